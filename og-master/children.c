/* The children: started, wired to each other, started again, ended. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "ipc/child.h"
#include "ipc/wire.h"
#include "og-master/master.h"
#include "proc/cpus.h"
#include "proc/held.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 30000
/* Who lived that long starts again with the shortest wait. */
#define STABLE_MS 60000
/* A closed channel means "I am leaving"; who has not left by then is stuck. */
#define LEAVE_MS 5000

static void start_again(struct child *c);

uint64_t master_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void add_timer(struct event *e, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	event_add(e, &tv);
}

static bool running(const struct child *c)
{
	return c->pid && c->chan && og_chan_alive(c->chan);
}

void child_set_reason(struct child *c, const char *text)
{
	free(c->reason);
	c->reason = strdup(text);
}

/* --- what children say ------------------------------------------------------------------------------ */

static bool all_ready(const struct master *m)
{
	for (size_t i = 0; i < m->nchildren; i++)
		if (m->children[i].state != CHILD_READY)
			return false;
	return true;
}

static int start_workers(struct master *m, struct og_error *err);

static int on_ready(void *arg, struct og_ipc_msg *msg, struct og_error *err)
{
	struct child *c = arg;
	struct master *m = c->m;
	struct og_reader r = og_ipc_body(msg);
	struct og_error why = { 0 };

	c->held = og_read_u32(&r);
	(void)og_read_bytes(&r);
	if (og_reader_end(&r, err) < 0)
		return err->code;
	if (c->own_user)
		c->held |= OG_HELD_OWN_USER;
	c->state = CHILD_READY;
	og_chan_set_state(c->chan, OG_IPC_RUNNING);
	og_log(OG_LOG_INFO, "child.ready", "child=%s pid=%d ms=%llu", c->name, (int)c->pid,
	       (unsigned long long)(master_now_ms() - c->started_ms));
	if (m->phase != PHASE_BOOT)
		return 0;
	/* Workers have nothing to do before the graphs are open. */
	if (c->role == OG_ROLE_STORAGED && !m->workers_started && start_workers(m, &why) < 0)
		master_fail(m, why.message);
	else if (all_ready(m))
		master_all_ready(m);
	return 0;
}

static int on_rejected(void *arg, struct og_ipc_msg *msg, struct og_error *err)
{
	struct child *c = arg;
	struct og_error why = { 0 };
	struct og_log_quoted q;
	struct og_slice rest;

	if (msg->body.len < 4)
		return og_error_set(err, OG_ERR_PEER, "%zu bytes", msg->body.len);
	rest = og_slice(msg->body.p + 4, msg->body.len - 4);
	if (og_wire_get_error(rest, &why, err) < 0)
		return err->code;
	child_set_reason(c, why.message);
	og_log(OG_LOG_ERROR, "child.rejected", "child=%s pid=%d reason=%s", c->name, (int)c->pid,
	       og_log_quote(&q, why.message));
	if (c->m->phase == PHASE_BOOT)
		master_fail(c->m, why.message);
	return 0;
}

/* Whether a line is as our own logger writes it for this child: no control byte, and its name where the name belongs. */
static bool honest_line(const struct child *c, const char *line, size_t n)
{
	const char *p = line, *end = line + n;
	char member[64];
	size_t k;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return false;
	if (n && line[0] == '{') {
		k = (size_t)snprintf(member, sizeof(member), "\",\"proc\":\"%s\",\"event\":", c->name);
		p = memmem(line, OG_MIN(n, (size_t)128), member, k);
		return p && line[n - 1] == '}' && memchr(line, '\\', (size_t)(p - line)) == NULL;
	}
	for (int word = 0; word < 2; word++) {
		p = memchr(p, ' ', (size_t)(end - p));
		if (!p)
			return false;
		p++;
	}
	k = strlen(c->name);
	return (size_t)(end - p) > k && memcmp(p, c->name, k) == 0 && p[k] == ' ';
}

static void pass_line(const struct child *c, const char *line, size_t n)
{
	struct og_log_quoted q;
	char text[1024];

	if (n && honest_line(c, line, n)) {
		(void)!write(STDERR_FILENO, line, n + 1); /* with its LF; there is nowhere to report a failure */
		return;
	}
	n = OG_MIN(n, sizeof(text) - 1);
	memcpy(text, line, n);
	text[n] = 0;
	og_log(OG_LOG_WARN, "child.line", "child=%s text=%s", c->name, og_log_quote(&q, text));
}

static int on_log(void *arg, struct og_ipc_msg *msg, struct og_error *err)
{
	struct child *c = arg;
	struct og_reader r = og_ipc_body(msg);
	uint64_t dropped = og_read_u64(&r);
	struct og_slice lines = og_read_bytes(&r);
	const char *p, *end;

	if (og_reader_end(&r, err) < 0)
		return err->code;
	if (lines.len && lines.p[lines.len - 1] != '\n')
		return og_error_set(err, OG_ERR_PEER, "a log line without its end");
	if (dropped)
		og_log(OG_LOG_WARN, "child.lines_dropped", "child=%s lines=%llu", c->name, (unsigned long long)dropped);
	for (p = lines.p, end = p + lines.len; p < end;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		pass_line(c, p, (size_t)(lf - p));
		p = lf + 1;
	}
	return 0;
}

static const struct og_ipc_rule child_rules[] = {
	{ OG_IPC_READY, OG_IPC_BOOTING, on_ready },
	{ OG_IPC_REJECTED, OG_IPC_ANY_STATE, on_rejected },
	{ OG_IPC_LOG, OG_IPC_ANY_STATE, on_log },
};

/* A child that broke the rules is not trusted to leave by itself. */
static void on_closed(void *arg, struct og_chan *chan, const struct og_error *why)
{
	struct child *c = arg;

	watch_forget(c);
	og_chan_free(c->chan);
	c->chan = NULL;
	if (!c->pid)
		return;
	c->state = CHILD_LEAVING;
	if (why->code) {
		child_set_reason(c, why->message);
		(void)kill(c->pid, SIGKILL);
	} else {
		add_timer(&c->kill, LEAVE_MS);
	}
}

static void on_kill_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	if (!c->pid)
		return;
	og_log(OG_LOG_WARN, "child.stuck", "child=%s pid=%d", c->name, (int)c->pid);
	(void)kill(c->pid, SIGKILL);
}

/* --- starting --------------------------------------------------------------------------------------- */

static int send_channel(struct child *to, const struct child *peer, int fd, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	og_put_u8(&b, (uint8_t)peer->role);
	og_put_u32(&b, peer->index);
	og_put_u32(&b, peer->incarnation);
	rc = og_chan_send(to->chan, OG_IPC_CHANNEL, &b, fd, err);
	og_buf_fini(&b);
	return rc;
}

/* A fresh channel between og-storaged and one of its clients. */
static int connect_children(struct child *a, struct child *b, struct og_error *err)
{
	int fds[2], rc;

	if ((rc = og_ipc_pair(fds, err)) < 0)
		return rc;
	if ((rc = send_channel(a, b, fds[0], err)) == 0)
		rc = send_channel(b, a, fds[1], err);
	og_fd_close(&fds[0]);
	og_fd_close(&fds[1]);
	return rc;
}

static int connect_peers(struct child *c, struct og_error *err)
{
	struct master *m = c->m;
	int rc;

	for (size_t i = 0; i < m->nchildren; i++) {
		struct child *peer = &m->children[i];
		bool wanted = (c->role == OG_ROLE_STORAGED) != (peer->role == OG_ROLE_STORAGED);

		if (peer != c && wanted && running(peer) && (rc = connect_children(c, peer, err)) < 0)
			return rc;
	}
	return 0;
}

struct setting {
	const char *key, *text; /* text NULL: the number */
	uint64_t number;
};

static void put_settings(const struct child *c, struct og_buf *b)
{
	const struct master *m = c->m;
	const struct options *o = &m->opt;
	const char *level = getenv("RUST_LOG"), *home = getenv("HOME"), *ca = getenv("SSL_CERT_FILE"), *ca_dir = getenv("SSL_CERT_DIR");
	const char *cgi = getenv("REQUEST_METHOD");
	const struct setting all[] = {
		{ "build_id", OG_BUILD_ID, 0 },
		{ "log.level", level ? level : "info", 0 },
		{ "log.format", o->log_format ? o->log_format : "text", 0 },
		{ "proc", c->name, 0 },
		{ "mode", "single", 0 },
		{ "graphs", NULL, 1 },
		{ "graph.0.id", m->graph_name ? m->graph_name : "", 0 },
		{ "graph.0.uri", m->graph_uri, 0 },
		{ "graph.0.label", m->graph_name ? m->graph_name : m->graph_uri, 0 },
		{ "state", "open", 0 },
		{ "bind", m->addr, 0 },
		{ "workers", NULL, m->nchildren - CHILD_WORKERS },
		{ "cpus", NULL, og_proc_cpus() },
		{ "memory", NULL, og_proc_memory() },
		{ "header_timeout", NULL, o->header_timeout },
		{ "body_timeout", NULL, o->body_timeout },
		{ "idle_timeout", NULL, o->idle_timeout },
		{ "query_timeout", NULL, o->query_timeout },
		{ "query_memory", NULL, o->query_memory },
		{ "image_memory", NULL, o->image_memory ? o->image_memory : og_proc_memory() / 2 },
		{ "inflight_max", NULL, o->inflight_max },
		{ "bytes_max", NULL, o->bytes_max },
		{ "cache_dir", m->cache_dir, 0 },
		{ "cache_bytes", NULL, o->cache_bytes },
		{ "max_staleness_ms", NULL, o->max_staleness_ms },
		{ "poll_ms", NULL, o->poll_ms },
		{ "idle_ms", NULL, o->idle_ms },
		{ "env.HOME", home ? home : "", 0 },
		{ "env.SSL_CERT_FILE", ca ? ca : "", 0 },
		{ "env.SSL_CERT_DIR", ca_dir ? ca_dir : "", 0 },
		{ "env.REQUEST_METHOD", cgi ? cgi : "", 0 },
		{ "zones_fd", NULL, c->role == OG_ROLE_WORKER ? OG_CHILD_ZONES_FD : 0 },
	};

	og_put_u32(b, OG_COUNT(all));
	for (size_t i = 0; i < OG_COUNT(all); i++) {
		char number[24];

		snprintf(number, sizeof(number), "%llu", (unsigned long long)all[i].number);
		og_put_str(b, all[i].key);
		og_put_str(b, all[i].text ? all[i].text : number);
	}
}

static int send_start(struct child *c, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	og_put_u32(&b, c->m->generation);
	og_put_u32(&b, c->index);
	put_settings(c, &b);
	rc = og_chan_send(c->chan, OG_IPC_START, &b, -1, err);
	og_buf_fini(&b);
	if (rc == 0)
		og_chan_set_state(c->chan, OG_IPC_BOOTING);
	return rc;
}

/* Everything that the child takes before START. */
static int hand_over(struct child *c, struct og_error *err)
{
	struct master *m = c->m;
	struct og_buf b = { 0 };
	int rc = 0;

	if (c->role == OG_ROLE_WORKER) {
		og_put_str(&b, m->addr);
		rc = og_chan_send(c->chan, OG_IPC_LISTEN, &b, m->listen_fd, err);
		og_buf_fini(&b);
	}
	if (rc == 0 && c->role == OG_ROLE_STORAGED && m->secrets_fd >= 0)
		rc = og_chan_send(c->chan, OG_IPC_SECRETS, NULL, m->secrets_fd, err);
	if (rc == 0)
		rc = connect_peers(c, err);
	return rc < 0 ? rc : send_start(c, err);
}

static int spawn(struct child *c, int fd, struct og_error *err)
{
	bool storaged = c->role == OG_ROLE_STORAGED;
	const char *program = storaged ? "og-storaged" : "og-worker";
	char *argv[] = { (char *)program, (char *)og_role_name(c->role), NULL };
	struct og_spawn s = {
		.path = storaged ? c->m->storaged_path : c->m->worker_path,
		.argv = argv,
		.fds = { { fd, OG_CHILD_FD }, { c->m->zones_fd, OG_CHILD_ZONES_FD } },
		.nfds = c->role == OG_ROLE_WORKER ? 2 : 1,
		.own_group = true,
	};
	int rc;

	rc = og_spawn_ids_of(storaged ? "omnigraph-storage" : "omnigraph-worker", &s.ids, err);
	if (rc < 0)
		return rc;
	c->own_user = s.ids.change;
	return og_spawn(&s, &c->pid, err);
}

static int start(struct child *c, struct og_error *err)
{
	struct og_chan_cfg cfg = {
		.self = OG_ROLE_MASTER,
		.peer = c->role,
		.rules = child_rules,
		.nrules = OG_COUNT(child_rules),
		.arg = c,
		.closed = on_closed,
	};
	int fds[2], rc;

	if ((rc = og_ipc_pair(fds, err)) < 0)
		return rc;
	rc = spawn(c, fds[1], err);
	og_fd_close(&fds[1]);
	if (rc < 0) {
		og_fd_close(&fds[0]);
		return og_error_prefix(err, "starting %s: ", c->name);
	}
	c->incarnation++;
	c->state = CHILD_STARTING;
	c->started_ms = master_now_ms();
	c->held = 0;
	c->chan = og_chan_new(c->m->base, fds[0], &cfg, err);
	if (!c->chan || hand_over(c, err) < 0) {
		(void)kill(c->pid, SIGKILL);
		return og_error_prefix(err, "starting %s: ", c->name);
	}
	og_log(OG_LOG_INFO, "child.start", "child=%s pid=%d incarnation=%u", c->name, (int)c->pid, c->incarnation);
	return 0;
}

static void on_restart_timer(evutil_socket_t fd, short what, void *arg)
{
	start_again(arg);
}

static void schedule(struct child *c)
{
	if (c->started_ms && master_now_ms() - c->started_ms >= STABLE_MS)
		c->backoff_ms = BACKOFF_MIN_MS;
	add_timer(&c->restart, c->backoff_ms);
	c->backoff_ms = OG_MIN(c->backoff_ms * 2, (uint32_t)BACKOFF_MAX_MS);
}

static void start_again(struct child *c)
{
	struct og_error err = { 0 };
	struct og_log_quoted q;

	if (c->m->phase != PHASE_SERVE || c->pid)
		return;
	if (start(c, &err) == 0)
		return;
	child_set_reason(c, err.message);
	og_log(OG_LOG_ERROR, "child.start", "child=%s error=%s", c->name, og_log_quote(&q, err.message));
	/* Killed after its start: its end comes by itself and schedules. */
	if (!c->pid)
		schedule(c);
}

static int start_workers(struct master *m, struct og_error *err)
{
	int rc;

	m->workers_started = true;
	for (size_t i = CHILD_WORKERS; i < m->nchildren; i++)
		if ((rc = start(&m->children[i], err)) < 0)
			return rc;
	return 0;
}

int children_start(struct master *m, struct og_error *err)
{
	int rc;

	if ((rc = start(&m->children[CHILD_STORAGED], err)) < 0)
		return rc;
	return start(&m->children[CHILD_BUILDER], err);
}

/* --- ending ----------------------------------------------------------------------------------------- */

static void describe(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "signal=%d", WTERMSIG(status));
	else
		snprintf(out, size, "status=%d", WEXITSTATUS(status));
}

static bool workers_gone(const struct master *m)
{
	for (size_t i = CHILD_WORKERS; i < m->nchildren; i++)
		if (m->children[i].pid)
			return false;
	return true;
}

static bool clients_gone(const struct master *m)
{
	return workers_gone(m) && !m->children[CHILD_BUILDER].pid;
}

static void say_stop(struct child *c)
{
	/* Without a channel the child leaves anyway; a full one is seen to by the kill timer. */
	if (running(c))
		(void)og_chan_send(c->chan, OG_IPC_STOP, NULL, -1, NULL);
	if (c->pid)
		add_timer(&c->kill, LEAVE_MS);
}

static void after_end(struct child *c, const char *how, bool orderly)
{
	struct master *m = c->m;
	char text[128];

	switch (m->phase) {
	case PHASE_BOOT:
		snprintf(text, sizeof(text), "%s ended before it was ready (%s)", c->name, how);
		master_fail(m, c->reason ? c->reason : text);
		break;
	case PHASE_SERVE:
		schedule(c);
		break;
	case PHASE_DRAIN:
		/* og-storaged and the builder are needed as long as a worker has requests. */
		if (workers_gone(m))
			master_stop(m);
		else if (c->role != OG_ROLE_WORKER && !orderly)
			og_log(OG_LOG_WARN, "drain", "lost=%s", c->name);
		break;
	case PHASE_STOP:
		if (clients_gone(m))
			say_stop(&m->children[CHILD_STORAGED]);
		break;
	}
	if (m->phase == PHASE_STOP && children_gone(m))
		master_children_gone(m);
}

static void ended(struct child *c, int status)
{
	bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	enum og_log_level level = orderly && c->m->phase >= PHASE_DRAIN ? OG_LOG_INFO : OG_LOG_WARN;
	char how[32];

	describe(status, how, sizeof(how));
	og_log(level, "child.exit", "child=%s role=%s pid=%d %s", c->name, og_role_name(c->role), (int)c->pid, how);
	/* Its last words may still lie in the socket. */
	c->pid = 0;
	if (c->chan)
		og_chan_read_now(c->chan);
	watch_forget(c);
	og_chan_free(c->chan);
	c->chan = NULL;
	event_del(&c->kill);
	c->state = CHILD_DOWN;
	after_end(c, how, orderly);
	free(c->last_end);
	c->last_end = c->reason ? c->reason : strdup(how);
	c->reason = NULL;
}

void children_reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < m->nchildren; i++)
			if (m->children[i].pid == pid)
				ended(&m->children[i], status);
}

bool children_gone(const struct master *m)
{
	return clients_gone(m) && !m->children[CHILD_STORAGED].pid;
}

void children_drain(struct master *m, uint32_t ms)
{
	struct og_buf b = { 0 };

	og_put_u32(&b, ms);
	for (size_t i = CHILD_WORKERS; i < m->nchildren; i++) {
		struct child *c = &m->children[i];

		if (running(c) && og_chan_state(c->chan) != OG_IPC_NEW)
			(void)og_chan_send(c->chan, OG_IPC_DRAIN, &b, -1, NULL); /* STOP follows in any case */
	}
	og_buf_fini(&b);
	if (workers_gone(m))
		master_stop(m);
}

void children_stop(struct master *m)
{
	for (size_t i = CHILD_BUILDER; i < m->nchildren; i++)
		say_stop(&m->children[i]);
	if (clients_gone(m))
		say_stop(&m->children[CHILD_STORAGED]);
	if (children_gone(m))
		master_children_gone(m);
}

void children_kill(struct master *m)
{
	for (size_t i = 0; i < m->nchildren; i++)
		if (m->children[i].pid)
			(void)kill(m->children[i].pid, SIGKILL);
}

/* --- the table ---------------------------------------------------------------------------------------- */

static void init_child(struct master *m, struct child *c, enum og_role role, uint32_t index)
{
	c->m = m;
	c->role = role;
	c->index = index;
	c->backoff_ms = BACKOFF_MIN_MS;
	if (role == OG_ROLE_WORKER)
		snprintf(c->name, sizeof(c->name), "worker.%u", index);
	else
		snprintf(c->name, sizeof(c->name), "%s", og_role_name(role));
	evtimer_assign(&c->restart, m->base, on_restart_timer, c);
	evtimer_assign(&c->kill, m->base, on_kill_timer, c);
}

int children_init(struct master *m, struct og_error *err)
{
	size_t workers = m->opt.workers ? (size_t)m->opt.workers : og_proc_cpus();
	int rc;

	if ((rc = og_proc_find("og-storaged", m->opt.libexec_dir, m->storaged_path, err)) < 0 ||
	    (rc = og_proc_find("og-worker", m->opt.libexec_dir, m->worker_path, err)) < 0)
		return rc;
	m->nchildren = CHILD_WORKERS + workers;
	m->children = calloc(m->nchildren, sizeof(*m->children));
	if (!m->children)
		return og_error_nomem(err);
	init_child(m, &m->children[CHILD_STORAGED], OG_ROLE_STORAGED, 0);
	init_child(m, &m->children[CHILD_BUILDER], OG_ROLE_BUILDER, 0);
	for (size_t i = 0; i < workers; i++)
		init_child(m, &m->children[CHILD_WORKERS + i], OG_ROLE_WORKER, (uint32_t)i);
	return 0;
}

void children_fini(struct master *m)
{
	for (size_t i = 0; i < m->nchildren; i++) {
		struct child *c = &m->children[i];

		event_del(&c->restart);
		event_del(&c->kill);
		watch_forget(c);
		og_chan_free(c->chan);
		free(c->reason);
		free(c->last_end);
	}
	free(m->children);
	m->children = NULL;
	m->nchildren = 0;
}
