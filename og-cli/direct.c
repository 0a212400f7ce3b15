/* Direct mode. */
#include "config.h"

#include "og-cli/direct.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/date.h"
#include "base/log.h"
#include "base/num.h"
#include "config/config.h"
#include "proc/cachedir.h"
#include "proc/find.h"

#define STEP_US UINT64_C(1000000)
#define PLAN_CACHE (1u * OG_MIB)
#define LEAVE_MS 10000u		/* og-storaged has nothing to do any more when it is told to leave */

/* ---- the runner: on the spot, but never from within the call ---- */

struct work {
	int (*step)(void *job, uint64_t budget_us);
	void (*done)(void *job);
	void *job;
};

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct work w = *(struct work *)arg;

	free(arg);
	while (w.step(w.job, STEP_US) > 0)
		;
	w.done(w.job);
}

static int run_here(void *arg, int (*step)(void *job, uint64_t budget_us), void (*done)(void *job), void *job, struct og_error *err)
{
	static const struct timeval now = { 0, 0 };
	struct direct *d = arg;
	struct work *w = malloc(sizeof(*w));

	if (!w)
		return og_error_nomem(err);
	*w = (struct work){ step, done, job };
	if (event_base_once(d->base, -1, EV_TIMEOUT, on_work, w, &now) == 0)
		return 0;
	free(w);
	return og_error_set(err, OG_ERR_UNAVAILABLE, "the event loop takes no more work");
}

/* ---- what og-storaged says ---- */

static int on_ready(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct direct *d = arg;

	d->ready = true;
	og_chan_set_state(m->chan, OG_IPC_RUNNING);
	return 0;
}

static int on_rejected(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct direct *d = arg;
	struct og_reader r = og_ipc_body(m);
	struct og_slice rest;

	(void)og_read_u32(&r);
	rest = og_read_raw(&r, og_reader_left(&r));
	if (og_wire_get_error(rest, &d->fault, err) < 0)
		return err->code;
	d->lost = true;
	return 0;
}

/* Its log lines are warnings and errors alone, unless RUST_LOG asks for more. */
static int on_log(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_reader r = og_ipc_body(m);
	uint64_t dropped = og_read_u64(&r);
	struct og_slice lines = og_read_bytes(&r);

	if (og_reader_end(&r, err) < 0)
		return err->code;
	fwrite(lines.p, 1, lines.len, stderr);
	if (dropped)
		fprintf(stderr, "(%llu log lines were dropped)\n", (unsigned long long)dropped);
	return 0;
}

static int on_head_moved(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct direct *d = arg;

	return og_graph_on_head_moved(d->graph, m, err);
}

static int on_bell(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct direct *d = arg;

	return og_graph_on_bell(d->graph, m, err);
}

static int on_image_drop(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct direct *d = arg;

	return og_graph_on_image_drop(d->graph, m, err);
}

static const struct og_ipc_rule control_rules[] = {
	{ OG_IPC_READY, OG_IPC_BOOTING, on_ready },
	{ OG_IPC_REJECTED, OG_IPC_BOOTING | OG_IPC_RUNNING, on_rejected },
	{ OG_IPC_LOG, OG_IPC_BOOTING | OG_IPC_RUNNING, on_log },
};

static const struct og_ipc_rule chan_rules[] = {
	{ OG_IPC_HEAD_MOVED, OG_IPC_RUNNING, on_head_moved },
	{ OG_IPC_BELL, OG_IPC_RUNNING, on_bell },
	{ OG_IPC_IMAGE_DROP, OG_IPC_RUNNING, on_image_drop },
};

/* What waits for the builder's work would wait for ever: all requests end. */
static void builder_lost(struct direct *d, const struct og_error *why)
{
	if (d->lost)
		return;
	d->lost = true;
	if (why->code < 0)
		d->fault = *why;
	else
		og_error_set(&d->fault, OG_ERR_UNAVAILABLE, "og-worker, the builder, has ended unexpectedly");
	og_chan_free(d->chan);
	d->chan = NULL;
	og_graph_detach(d->graph);
}

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	struct direct *d = arg;

	if (c == d->builder) {
		builder_lost(d, why);
		return;
	}
	if (!d->lost) {
		d->lost = true;
		if (why->code < 0)
			d->fault = *why;
		else
			og_error_set(&d->fault, OG_ERR_UNAVAILABLE, "og-storaged has ended unexpectedly");
	}
	if (c == d->chan && d->graph)
		og_graph_detach(d->graph);
}

/* ---- start and end ---- */

static int check_path(const char *path, const char *uri, struct og_spawn_ids *ids, struct og_error *err)
{
	struct stat st;
	int e;

	if (stat(path, &st) < 0) {
		e = errno;
		if (e == ENOENT || e == ENOTDIR)
			return og_error_set(err, OG_ERR_NOT_FOUND, "graph not found at '%s': %s", uri, strerror(e));
		return og_error_sys(err, e, "%s", uri);
	}
	if (!S_ISDIR(st.st_mode))
		return og_error_set(err, OG_ERR_NOT_FOUND, "graph not found at '%s': not a directory", uri);
	/* A server that runs as the owner must be able to read what is written. */
	if (geteuid() == 0 && st.st_uid != 0)
		*ids = (struct og_spawn_ids){ true, st.st_uid, st.st_gid };
	return 0;
}

static const char *env(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v ? v : otherwise;
}

/* As a server reads it. */
static uint64_t wanted_cache(void)
{
	const char *text = getenv("OMNIGRAPH_CACHE_BYTES");
	uint64_t n = UINT64_MAX;
	struct og_log_quoted q;

	if (text && *text && !og_parse_size(og_slice_str(text), &n))
		og_log(OG_LOG_WARN, "settings.invalid", "variable=OMNIGRAPH_CACHE_BYTES value=%s", og_log_quote(&q, text));
	return n;
}

/* How many types a checkpoint of this command works on at a time; 0: as many as the journal thinks right. */
static int wanted_folds(unsigned *out, struct og_error *err)
{
	const char *text = getenv("OMNIGRAPH_MAINTENANCE_CONCURRENCY");
	uint64_t n;

	*out = 0;
	if (!text || !*text)
		return 0;
	if (!og_parse_u64(og_slice_str(text), &n) || n == 0 || n > UINT32_MAX)
		return og_error_set(err, OG_ERR_BAD, "OMNIGRAPH_MAINTENANCE_CONCURRENCY: '%.64s' is not a positive integer", text);
	*out = (unsigned)n;
	return 0;
}

static int launch(struct direct *d, const char *path, int secrets_fd, enum direct_mode mode, const struct og_spawn_ids *ids, int *fd,
		  struct og_error *err)
{
	char program[OG_PROC_PATH_MAX], cache_dir[OG_PROC_PATH_MAX], cache_bytes[24], folds_text[16];
	unsigned folds = 0;
	const struct og_launch_setting settings[] = {
		{ "mode", "direct" },		{ "graphs", "1" }, { "graph.0.id", "" }, { "graph.0.uri", path },
		{ "log.level", env("RUST_LOG", "error") }, { "proc", "storaged" },
		{ "env.HOME", env("HOME", "") }, { "env.SSL_CERT_FILE", env("SSL_CERT_FILE", "") },
		{ "env.SSL_CERT_DIR", env("SSL_CERT_DIR", "") }, { "env.REQUEST_METHOD", env("REQUEST_METHOD", "") },
		{ "cache_dir", cache_dir }, { "cache_bytes", cache_bytes },
		{ "folds_at_once", folds_text },
		{ "create", "1" },
	};
	struct og_chan_cfg control = { .rules = control_rules, .nrules = OG_COUNT(control_rules), .arg = d, .closed = on_closed };
	struct og_launch l = { .role = OG_ROLE_STORAGED, .settings = settings, .nsettings = OG_COUNT(settings) - (mode != DIRECT_CREATE), .secrets_fd = secrets_fd,
			       .ids = *ids, .control = &control };
	int rc = og_proc_find("og-storaged", NULL, program, err);

	if (rc < 0 || (rc = wanted_folds(&folds, err)) < 0)
		return rc;
	snprintf(folds_text, sizeof(folds_text), "%u", folds);
	l.path = program;
	og_cachedir_find(getenv("OMNIGRAPH_CACHE_DIR"), OG_CACHEDIR_OPERATOR, cache_dir);
	snprintf(cache_bytes, sizeof(cache_bytes), "%llu", (unsigned long long)wanted_cache());
	return og_child_launch(d->base, &l, &d->pid, &d->control, fd, err);
}

struct hello {
	bool done;
	struct og_error err;
};

static int on_welcome(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct hello *h = arg;

	h->done = true;
	if (!m) {
		h->err = *err;
		return 0;
	}
	if (m->type != OG_IPC_WELCOME)
		return og_error_set(err, OG_ERR_PEER, "%s to HELLO", og_ipc_name(m->type));
	/* Pushes follow at once. */
	og_chan_set_state(m->chan, OG_IPC_RUNNING);
	return 0;
}

static int greet(struct direct *d, struct og_error *err)
{
	struct hello h = { 0 };
	struct og_buf b = { 0 };
	int rc;

	og_put_str(&b, OG_BUILD_ID);
	og_put_u32(&b, OG_IPC_TABLE_VERSION);
	rc = og_chan_request(d->chan, OG_IPC_HELLO, &b, -1, 30000, on_welcome, &h, NULL, err);
	og_buf_fini(&b);
	if (rc == 0)
		rc = direct_wait(d, &h.done, err);
	if (rc == 0 && h.err.code < 0) {
		*err = h.err;
		rc = err->code;
	}
	return rc;
}

static int start(struct direct *d, const char *path, const char *uri, int secrets_fd, enum direct_mode mode, struct og_error *err)
{
	struct og_chan_cfg cfg = { .self = OG_ROLE_OPERATOR, .peer = OG_ROLE_STORAGED, .rules = chan_rules, .nrules = OG_COUNT(chan_rules),
				   .arg = d, .closed = on_closed };
	struct og_graph_cfg graph = { .uri = uri, .direct = true };
	struct og_ops_cfg ops = { .runner = &d->runner, .plan_cache_bytes = PLAN_CACHE };
	struct og_spawn_ids ids = { 0 };
	int fd = -1, rc = og_uri_kind(path) == OG_URI_S3 ? 0 : check_path(path, uri, &ids, err);

	if (rc < 0)
		return rc;
	d->base = event_base_new();
	if (!d->base)
		return og_error_set(err, OG_ERR_IO, "no event loop");
	graph.base = ops.base = d->base;
	d->graph = og_graph_new(&graph, err);
	if (!d->graph)
		return err->code;
	ops.graph = d->graph;
	d->runner = (struct og_runner){ d, run_here };
	d->ops = og_ops_new(&ops, err);
	if (!d->ops)
		return err->code;
	if ((rc = launch(d, path, secrets_fd, mode, &ids, &fd, err)) < 0 || (rc = direct_wait(d, &d->ready, err)) < 0) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	d->chan = og_chan_new(d->base, fd, &cfg, err);
	if (!d->chan)
		return err->code;
	if ((rc = greet(d, err)) < 0)
		return rc;
	og_graph_attach(d->graph, d->chan);
	return 0;
}

int direct_open(struct direct *d, const char *path, const char *uri, int secrets_fd, enum direct_mode mode, struct og_error *err)
{
	int rc;

	*d = (struct direct){ 0 };
	rc = start(d, path, uri, secrets_fd, mode, err);
	if (rc < 0)
		direct_close(d);
	return rc;
}

static int hand_builder(struct direct *d, int fd, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	og_put_u8(&b, OG_ROLE_BUILDER);
	og_put_u32(&b, 0);
	og_put_u32(&b, 1);
	rc = og_chan_send(d->control, OG_IPC_CHANNEL, &b, fd, err);
	og_buf_fini(&b);
	return rc;
}

int direct_builder(struct direct *d, struct og_error *err)
{
	const struct og_launch_setting settings[] = { { "mode", "direct" }, { "log.level", env("RUST_LOG", "error") }, { "proc", "builder" } };
	struct og_chan_cfg control = { .rules = control_rules, .nrules = OG_COUNT(control_rules), .arg = d, .closed = on_closed };
	struct og_launch l = { .role = OG_ROLE_BUILDER, .settings = settings, .nsettings = OG_COUNT(settings), .secrets_fd = -1,
			       .control = &control };
	char program[OG_PROC_PATH_MAX];
	int fd = -1, rc;

	if ((rc = og_proc_find("og-worker", NULL, program, err)) < 0 || (rc = og_spawn_ids_of("omnigraph-worker", &l.ids, err)) < 0)
		return rc;
	l.path = program;
	rc = og_child_launch(d->base, &l, &d->builder_pid, &d->builder, &fd, err);
	if (rc == 0)
		rc = hand_builder(d, fd, err);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* It has closed files and threads to end; only one that hangs is killed. */
static void reap(pid_t pid)
{
	uint64_t until = og_monotonic_us() + LEAVE_MS * UINT64_C(1000);
	struct timespec pause = { 0, 200000 };

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (og_monotonic_us() > until) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			return;
		}
		(void)nanosleep(&pause, NULL);
		pause.tv_nsec = OG_MIN(pause.tv_nsec * 2, 20000000L);
	}
}

void direct_close(struct direct *d)
{
	d->lost = true;
	/* Requests that are still open end first: their callbacks belong to the graph and its operations. */
	og_chan_free(d->chan);
	d->chan = NULL;
	if (d->graph) {
		og_graph_detach(d->graph);
		og_graph_free(d->graph);
		d->graph = NULL;
	}
	og_ops_free(d->ops);
	og_chan_free(d->builder);
	og_chan_free(d->control);
	if (d->builder_pid > 0)
		reap(d->builder_pid);
	if (d->pid > 0)
		reap(d->pid);
	if (d->base)
		event_base_free(d->base);
	*d = (struct direct){ 0 };
}

/* ---- asking ---- */

static bool any(bool *const *flags, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*flags[i])
			return true;
	return false;
}

int direct_wait_any(struct direct *d, bool *const *flags, size_t n, struct og_error *err)
{
	while (!any(flags, n)) {
		/* Before there are requests nothing else would end the wait. */
		if (d->lost && !d->chan) {
			*err = d->fault;
			return err->code;
		}
		if (event_base_loop(d->base, EVLOOP_ONCE) != 0) {
			if (d->lost)
				*err = d->fault;
			else
				og_error_set(err, OG_ERR_INTERNAL, "the event loop stands still");
			return err->code;
		}
	}
	return 0;
}

int direct_wait(struct direct *d, bool *done, struct og_error *err)
{
	return direct_wait_any(d, &done, 1, err);
}

struct report {
	struct og_buf *text;
	bool done;
	struct og_error err;
};

static int on_report(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct report *r = arg;
	struct og_reader reader;
	struct og_slice text;

	if (!m) {
		r->done = true;
		r->err = *err;
		return 0;
	}
	if (m->flags & OG_IPC_F_MORE)
		return 0;
	r->done = true;
	if (m->type != OG_IPC_REPORT) {
		og_error_set(&r->err, OG_ERR_PEER, "%s instead of REPORT", og_ipc_name(m->type));
		return og_error_set(err, OG_ERR_PEER, "%s instead of REPORT", og_ipc_name(m->type));
	}
	reader = og_ipc_body(m);
	text = og_read_bytes(&reader);
	if (og_reader_end(&reader, err) < 0) {
		r->err = *err;
		return err->code;
	}
	og_buf_slice(r->text, text);
	return 0;
}

int direct_report(struct direct *d, enum og_ipc_type type, const struct og_buf *body, struct og_buf *text, struct og_error *err)
{
	struct report r = { .text = text };
	int rc = og_chan_request(d->chan, type, body, -1, 0, on_report, &r, NULL, err);

	if (rc == 0)
		rc = direct_wait(d, &r.done, err);
	if (rc < 0)
		return rc;
	*err = r.err.code < 0 && d->lost ? d->fault : r.err;
	return err->code < 0 ? err->code : og_buf_ok(text, err);
}

struct state {
	struct og_snap *snap;
	bool done;
	struct og_error err;
};

static void on_state(void *arg, struct og_snap *snap, const struct og_error *err)
{
	struct state *s = arg;

	s->done = true;
	if (err->code < 0)
		s->err = *err;
	else
		s->snap = og_snap_ref(snap);
}

int direct_state(struct direct *d, const char *branch, struct og_snap **snap, struct og_error *err)
{
	struct state s = { 0 };
	int rc;

	og_graph_state(d->graph, OG_LOOK_NEW, og_slice_str(branch), og_slice(NULL, 0), on_state, &s);
	rc = direct_wait(d, &s.done, err);
	if (rc < 0)
		return rc;
	*snap = s.snap;
	*err = s.err;
	return s.err.code;
}
