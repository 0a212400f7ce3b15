/* og-master: signals and phases. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/zonedb.h"
#include "og-master/master.h"
#include "proc/cachedir.h"
#include "proc/lock.h"
#include "proc/notify.h"
#include "proc/secrets.h"

/* After STOP; a child that has not left by then is killed. */
#define STOP_SECONDS 8

/* --- phases ------------------------------------------------------------------------------------------ */

static void tell_systemd(const char *state)
{
	struct og_error err = { 0 };
	struct og_log_quoted q;

	if (og_notify(state, &err) < 0)
		og_log(OG_LOG_WARN, "notify", "reason=%s", og_log_quote(&q, err.message));
}

void master_all_ready(struct master *m)
{
	struct og_error err = { 0 };

	if (boot_serve(m, &err) < 0)
		master_fail(m, err.message);
	else
		m->phase = PHASE_SERVE;
	if (m->phase == PHASE_SERVE)
		watch_start(m);
}

void master_fail(struct master *m, const char *message)
{
	if (!m->failed)
		fprintf(stderr, "Error: %s\n", message);
	m->failed = true;
	m->exit_code = 1;
	master_stop(m);
}

void master_stop(struct master *m)
{
	static const struct timeval limit = { STOP_SECONDS, 0 };

	if (m->phase == PHASE_STOP)
		return;
	m->phase = PHASE_STOP;
	if (!m->nchildren)
		return; /* nothing was started */
	watch_stop(m);
	event_del(&m->drain_timer);
	evtimer_add(&m->stop_timer, &limit);
	og_fd_close(&m->listen_fd);
	children_stop(m);
}

static void drain(struct master *m)
{
	struct timeval limit = { (time_t)m->opt.drain_timeout, 0 };

	m->phase = PHASE_DRAIN;
	og_log(OG_LOG_INFO, "drain", "seconds=%llu", (unsigned long long)m->opt.drain_timeout);
	tell_systemd("STOPPING=1");
	/* Workers close theirs; with the last one whoever knocks is refused at once instead of waiting for the end. */
	og_fd_close(&m->listen_fd);
	evtimer_add(&m->drain_timer, &limit);
	children_drain(m, (uint32_t)m->opt.drain_timeout * 1000);
}

void master_children_gone(struct master *m)
{
	event_base_loopbreak(m->base);
}

/* --- signals and timers ------------------------------------------------------------------------------ */

/* The first one asks running requests to finish, the second one does not. */
static void on_stop_signal(evutil_socket_t sig, short what, void *arg)
{
	struct master *m = arg;

	og_log(OG_LOG_INFO, "signal", "signal=%d", (int)sig);
	switch (m->phase) {
	case PHASE_SERVE:
		drain(m);
		return;
	case PHASE_BOOT:
	case PHASE_DRAIN:
		master_stop(m);
		return;
	case PHASE_STOP:
		children_kill(m);
		return;
	}
}

static void on_child_signal(evutil_socket_t sig, short what, void *arg)
{
	children_reap(arg);
}

static void on_reload_signal(evutil_socket_t sig, short what, void *arg)
{
	og_log(OG_LOG_WARN, "reload", "text=\"reloading is not available in this build; restart to apply changes\"");
}

static void on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	og_log(OG_LOG_WARN, "drain", "text=\"deadline: running requests are given up\"");
	master_stop(m);
}

static void on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	og_log(OG_LOG_WARN, "stop", "text=\"children that did not leave are killed\"");
	children_kill(arg);
}

static int watch_signals(struct master *m, struct og_error *err)
{
	evsignal_assign(&m->sigterm, m->base, SIGTERM, on_stop_signal, m);
	evsignal_assign(&m->sigint, m->base, SIGINT, on_stop_signal, m);
	evsignal_assign(&m->sigchld, m->base, SIGCHLD, on_child_signal, m);
	evsignal_assign(&m->sighup, m->base, SIGHUP, on_reload_signal, m);
	evtimer_assign(&m->drain_timer, m->base, on_drain_timer, m);
	evtimer_assign(&m->stop_timer, m->base, on_stop_timer, m);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (evsignal_add(&m->sigterm, NULL) < 0 || evsignal_add(&m->sigint, NULL) < 0 ||
	    evsignal_add(&m->sigchld, NULL) < 0 || evsignal_add(&m->sighup, NULL) < 0)
		return og_error_set(err, OG_ERR_IO, "signals cannot be watched");
	return 0;
}

/* --- life -------------------------------------------------------------------------------------------- */

/* Made here only where og-storaged, under a user of its own, could not. What is wrong with the folder costs the cache, as og-storaged will say. */
static int choose_cache(struct master *m, struct og_error *err)
{
	struct og_error ignored = { 0 };
	struct og_spawn_ids ids;
	int rc;

	if (og_uri_kind(m->graph_uri) != OG_URI_S3 || !m->opt.cache_bytes)
		return 0;
	og_cachedir_find(m->opt.cache_dir, OG_CACHEDIR_SERVER, m->cache_dir);
	if ((rc = og_spawn_ids_of("omnigraph-storage", &ids, err)) < 0)
		return rc;
	if (ids.change && m->cache_dir[0] && og_cachedir_make(m->cache_dir, &ids, &ignored) < 0)
		og_log(OG_LOG_DEBUG, "cache.folder", "text=\"%s\"", ignored.message);
	return 0;
}

static int boot(struct master *m, char **envp, struct og_error *err)
{
	int rc;

	if ((rc = mode_choose(m, err)) < 0 || (rc = choose_cache(m, err)) < 0)
		return rc;
	/* Before any other program runs: what is secret leaves our memory and our environment. */
	if ((rc = og_secrets_take(envp, &m->secrets_fd, err)) < 0 || (rc = og_zones_share(&m->zones_fd, err)) < 0)
		return rc;
	m->base = event_base_new();
	if (!m->base)
		return og_error_set(err, OG_ERR_IO, "no event loop");
	if ((rc = watch_signals(m, err)) < 0 || (rc = children_init(m, err)) < 0 || (rc = boot_bind(m, err)) < 0 ||
	    (rc = admin_open(m, err)) < 0 || (rc = og_lock_begin(OG_LOCK_MASTER, NULL, 0, &m->held, err)) < 0)
		return rc;
	return children_start(m, err);
}

static void finish(struct master *m)
{
	if (m->base) {
		admin_close(m);
		children_fini(m);
		event_del(&m->sigterm);
		event_del(&m->sigint);
		event_del(&m->sigchld);
		event_del(&m->sighup);
		event_del(&m->drain_timer);
		event_del(&m->stop_timer);
		watch_stop(m);
		event_base_free(m->base);
	}
	og_fd_close(&m->listen_fd);
	og_fd_close(&m->secrets_fd);
	og_fd_close(&m->zones_fd);
	if (m->has_config)
		og_config_fini(&m->config);
}

int main(int argc, char **argv, char **envp)
{
	struct master m = { .listen_fd = -1, .secrets_fd = -1, .zones_fd = -1, .admin_fd = -1, .generation = 1 };
	struct og_error err = { 0 };

	switch (options_parse(argc, argv, &m.opt, &err)) {
	case OPTIONS_HELP:
		fputs(options_usage, stdout);
		return 0;
	case OPTIONS_VERSION:
		puts("omnigraph-server " PACKAGE_VERSION);
		return 0;
	case OPTIONS_WRONG:
		fprintf(stderr, "error: %s\n\n%s", err.message, options_usage);
		return 2;
	case OPTIONS_RUN:
		break;
	}
	m.started_ms = master_now_ms();
	og_log_init("master", og_log_parse_level(getenv("RUST_LOG")),
		    m.opt.log_format && strcmp(m.opt.log_format, "json") == 0);
	options_environment(&m.opt);
	if (boot(&m, envp, &err) < 0)
		master_fail(&m, err.message);
	if (m.nchildren && !(m.phase == PHASE_STOP && children_gone(&m)))
		event_base_dispatch(m.base);
	finish(&m);
	if (!m.failed)
		og_log(OG_LOG_INFO, "exit", "status=%d", m.exit_code);
	return m.exit_code;
}
