/* og-worker: start, lock-down, loop. */
#include "config.h"

#include "worker.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/date.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/zonedb.h"
#include "builder.h"
#include "proc/lock.h"

#define LONELY_S 60	/* without og-storaged: longer than og-master lets it wait before it starts another */
#define LISTEN_RETRY_MS 5
#define FDS_MAX 65536u	/* of connections */

/* ---- og-storaged ---- */

static int on_head_moved(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct worker *w = arg;

	return og_graph_on_head_moved(w->graph, m, err);
}

static int on_bell(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct worker *w = arg;

	return og_graph_on_bell(w->graph, m, err);
}

static int on_image_drop(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct worker *w = arg;

	return og_graph_on_image_drop(w->graph, m, err);
}

static const struct og_ipc_rule storaged_rules[] = {
	{ OG_IPC_HEAD_MOVED, OG_IPC_RUNNING, on_head_moved },
	{ OG_IPC_BELL, OG_IPC_RUNNING, on_bell },
	{ OG_IPC_IMAGE_DROP, OG_IPC_RUNNING, on_image_drop },
};

/* og-storaged lives, but has closed our channel: nobody brings a new one. og-master starts another worker. */
static void on_lonely(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	og_log(OG_LOG_ERROR, "storaged.lost", "why=\"no new channel in %d s\"", LONELY_S);
	event_base_loopbreak(w->child.base);
}

static void on_storaged_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	static const struct timeval tv = { LONELY_S, 0 };
	struct worker *w = arg;

	og_log(OG_LOG_WARN, "storaged.lost", "why=\"%s\"", why->code < 0 ? why->message : "closed");
	og_graph_detach(w->graph);
	og_chan_free(c);
	w->storaged = NULL;
	if (!w->lonely)
		w->lonely = evtimer_new(w->child.base, on_lonely, w);
	if (w->lonely)
		evtimer_add(w->lonely, &tv);
}

static void say_ready(struct worker *w);

/* The graph is opened once before clients come, so that the first of them waits for nothing but its images. */
static void on_first_state(void *arg, struct og_snap *s, const struct og_error *err)
{
	struct worker *w = arg;

	if (s) {
		say_ready(w);
		return;
	}
	if (w->ready_sent)
		return;
	if (err->code != OG_ERR_UNAVAILABLE) {
		(void)og_child_abort(&w->child, err);
		_Exit(1);
	}
	/* og-storaged went away meanwhile; og-master brings a new channel, which comes here again. */
}

static int on_welcome(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct worker *w = arg;

	if (!m)
		return 0;	/* on_storaged_closed follows */
	if (m->type != OG_IPC_WELCOME)
		return og_error_set(err, OG_ERR_PEER, "HELLO answered by %s", og_ipc_name(m->type));
	og_graph_attach(w->graph, w->storaged);
	if (!w->ready_sent)
		og_graph_state(w->graph, OG_LOOK_HOST, og_slice(NULL, 0), og_slice(NULL, 0), on_first_state, w);
	return 0;
}

static int connect_storaged(struct worker *w, struct og_child_peer *p, struct og_error *err)
{
	struct og_chan_cfg cfg = { .self = OG_ROLE_WORKER, .peer = OG_ROLE_STORAGED, .rules = storaged_rules, .nrules = OG_COUNT(storaged_rules),
				   .arg = w, .closed = on_storaged_closed };
	struct og_buf b = { 0 };
	int fd = p->fd, rc;

	p->fd = -1;
	if (w->storaged) {
		/* Its open requests get their end by this, so it goes first. */
		og_chan_free(w->storaged);
		w->storaged = NULL;
		og_graph_detach(w->graph);
	}
	if (w->lonely)
		evtimer_del(w->lonely);
	w->storaged = og_chan_new(w->child.base, fd, &cfg, err);
	if (!w->storaged)
		return err->code;
	og_chan_set_state(w->storaged, OG_IPC_RUNNING);
	og_put_str(&b, OG_BUILD_ID);
	og_put_u32(&b, OG_IPC_TABLE_VERSION);
	rc = og_chan_request(w->storaged, OG_IPC_HELLO, &b, -1, 0, on_welcome, w, NULL, err);
	og_buf_fini(&b);
	return rc;
}

/* ---- og-master ---- */

static int on_channel(void *arg, struct og_child_peer *p, struct og_error *err)
{
	if (p->role != OG_ROLE_STORAGED)
		return og_error_set(err, OG_ERR_PEER, "a worker has no channel to role %d", (int)p->role);
	return connect_storaged(arg, p, err);
}

static void on_empty(void *arg)
{
	struct worker *w = arg;

	event_base_loopbreak(w->child.base);
}

static void on_drain(void *arg, uint32_t ms)
{
	struct worker *w = arg;

	(void)ms;
	if (w->draining)
		return;
	w->draining = true;
	w->api.draining = true;
	if (w->http)
		og_http_server_drain(w->http, on_empty, w);
	else
		on_empty(w);
}

static void on_stop(void *arg)
{
	on_empty(arg);
}

static int on_stats(void *arg, struct og_buf *b, struct og_error *err)
{
	struct worker *w = arg;
	struct og_http_stats h = { 0 };
	struct og_graph_stats g;

	if (w->http)
		h = og_http_server_stats(w->http);
	og_graph_stats(w->graph, &g);
	og_put_u32(b, 6);
	og_put_str(b, "http_requests");
	og_put_u64(b, h.requests);
	og_put_str(b, "http_connections");
	og_put_u64(b, h.connections);
	og_put_str(b, "http_in_flight");
	og_put_u64(b, h.in_flight);
	og_put_str(b, "queries_off_loop");
	og_put_u64(b, pool_busy(w->pool));
	og_put_str(b, "images_mapped");
	og_put_u64(b, g.images);
	og_put_str(b, "catch_ups");
	og_put_u64(b, g.catchups);
	og_put_u32(b, 0);
	return og_buf_ok(b, err);
}

static const struct og_child_ops worker_ops = { .channel = on_channel, .drain = on_drain, .stop = on_stop, .stats = on_stats };

/* ---- HTTP ---- */

static const struct og_api_graph *find_graph(void *arg, struct og_slice id)
{
	struct worker *w = arg;

	return id.p ? NULL : &w->api_graph;
}

static bool listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static void accept_clients(struct worker *w);

static void on_listen_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accept_clients(arg);
}

/* og-master calls listen(2) when all of its children are ready; until then there is nothing to wait for on the socket itself. */
static void accept_clients(struct worker *w)
{
	struct timeval tv = { 0, LISTEN_RETRY_MS * 1000 };
	struct og_error err = { 0 };

	if (w->draining || w->child.listen_fd < 0)
		return;
	if (!listening(w->child.listen_fd)) {
		if (!w->listen_retry)
			w->listen_retry = evtimer_new(w->child.base, on_listen_retry, w);
		if (w->listen_retry)
			evtimer_add(w->listen_retry, &tv);
		return;
	}
	if (og_http_server_listen(w->http, w->child.listen_fd, &err) < 0) {
		/* A worker that accepts nobody is of no use: og-master starts another one. */
		og_log(OG_LOG_ERROR, "accept", "why=\"%s\"", err.message);
		event_base_loopbreak(w->child.base);
		return;
	}
	w->child.listen_fd = -1;
}

static void say_ready(struct worker *w)
{
	struct og_error err = { 0 };

	if (w->ready_sent)
		return;
	w->ready_sent = true;
	if (og_child_ready(&w->child, w->held, "", &err) < 0)
		event_base_loopbreak(w->child.base);
	accept_clients(w);
}

static int http_init(struct worker *w, struct og_error *err)
{
	struct og_http_config c = { 0 };

	c.header_timeout_ms = (uint32_t)og_child_setting_u64(&w->child, "header_timeout", 30) * 1000;
	c.body_timeout_ms = (uint32_t)og_child_setting_u64(&w->child, "body_timeout", 60) * 1000;
	c.idle_timeout_ms = (uint32_t)og_child_setting_u64(&w->child, "idle_timeout", 75) * 1000;
	w->api = (struct og_api){ .version = PACKAGE_VERSION, .source_version = OG_BUILD_ID, .internal_schema_version = 1,
				  .find_graph = find_graph, .arg = w };
	w->api_graph = (struct og_api_graph){ &worker_api_ops, w };
	w->http = og_http_server_new(w->child.base, &c, og_api_on_request, &w->api, err);
	return w->http ? 0 : err->code;
}

/* One copy of the tz database for all workers. */
static int map_zones(struct worker *w, struct og_error *err)
{
	int fd = (int)og_child_setting_u64(&w->child, "zones_fd", 0), rc;

	if (fd <= 0)
		return og_zones_load(err);
	rc = og_zones_map(fd, err);
	og_fd_close(&fd);
	return rc;
}

static int worker_init(struct worker *w, struct og_error *err)
{
	const char *uri = og_child_setting(&w->child, "graph.0.uri");
	struct og_graph_cfg cfg = { .base = w->child.base, .uri = uri ? uri : "" };

	/* OpenSSL reads its files at the first digest, so before the lock-down. */
	(void)og_sha256(OG_SLICE(""));
	if (map_zones(w, err) < 0)
		return err->code;
	w->graph = og_graph_new(&cfg, err);
	return w->graph ? http_init(w, err) : err->code;
}

static int worker_start_threads(struct worker *w, struct og_error *err)
{
	uint64_t cpus = og_child_setting_u64(&w->child, "cpus", 1);
	struct og_ops_cfg cfg = { .graph = w->graph, .base = w->child.base, .plan_cache_bytes = 8 * OG_MIB };

	w->pool = pool_start(w->child.base, (unsigned)OG_MAX(1u, OG_MIN(cpus, POOL_LONG_MAX)), err);
	if (!w->pool)
		return err->code;
	cfg.runner = pool_runner(w->pool);
	cfg.query_memory = og_child_setting_u64(&w->child, "query_memory", 1024ull * OG_MIB);
	/* All workers together: a quarter of what there is. */
	cfg.pool_memory = og_child_setting_u64(&w->child, "memory", 0) / 4 / OG_MAX(og_child_setting_u64(&w->child, "workers", 1), (uint64_t)1);
	cfg.query_timeout_ms = (uint32_t)og_child_setting_u64(&w->child, "query_timeout", 60) * 1000;
	w->ops = og_ops_new(&cfg, err);
	return w->ops ? 0 : err->code;
}

static int run_worker(struct worker *w, struct og_error *err)
{
	if (worker_init(w, err) < 0 || og_lock_begin(OG_LOCK_WORKER, NULL, 0, &w->held, err) < 0 || worker_start_threads(w, err) < 0 ||
	    og_lock_end(OG_LOCK_WORKER, &w->held, err) < 0)
		return err->code;
	for (size_t i = 0; i < w->child.npeers; i++)
		if (on_channel(w, &w->child.peers[i], err) < 0)
			return err->code;
	event_base_dispatch(w->child.base);
	return 0;
}

/* ---- builder ---- */

struct builder_main {
	struct og_child child;
	struct builder *b;
	uint32_t held;
};

static int builder_channel(void *arg, struct og_child_peer *p, struct og_error *err)
{
	struct builder_main *m = arg;

	return builder_connect(m->b, p, err);
}

static void builder_drain(void *arg, uint32_t ms)
{
	(void)arg;
	(void)ms;	/* og-storaged may still need us; STOP follows */
}

static void builder_stop(void *arg)
{
	struct builder_main *m = arg;

	event_base_loopbreak(m->child.base);
}

static const struct og_child_ops builder_ops = { .channel = builder_channel, .drain = builder_drain, .stop = builder_stop };

static int main_builder(int argc, char **argv)
{
	struct builder_main m = { 0 };
	struct og_error err = { 0 };

	if (og_child_start(&m.child, argc, argv, &builder_ops, &m, &err) < 0)
		return og_child_abort(&m.child, &err);
	/* OpenSSL reads its files at the first digest. */
	(void)og_sha256(OG_SLICE(""));
	m.b = builder_new(&m.child, &err);
	if (!m.b || og_lock_begin(OG_LOCK_WORKER, NULL, 0, &m.held, &err) < 0 || og_lock_end(OG_LOCK_WORKER, &m.held, &err) < 0)
		return og_child_abort(&m.child, &err);
	for (size_t i = 0; i < m.child.npeers; i++)
		if (builder_connect(m.b, &m.child.peers[i], &err) < 0)
			return og_child_abort(&m.child, &err);
	if (og_child_ready(&m.child, m.held, "", &err) < 0)
		return og_child_abort(&m.child, &err);
	event_base_dispatch(m.child.base);
	builder_free(m.b);
	og_child_fini(&m.child);
	return 0;
}

static int main_worker(int argc, char **argv)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct og_error err = { 0 };

	if (!w)
		return 1;
	(void)og_fd_raise_limit(FDS_MAX);
	if (og_child_start(&w->child, argc, argv, &worker_ops, w, &err) < 0 || run_worker(w, &err) < 0)
		return og_child_abort(&w->child, &err);
	/* Requests in flight are given up with their connections; then nothing refers to what follows. */
	og_http_server_free(w->http);
	og_chan_free(w->storaged);
	og_graph_detach(w->graph);
	pool_free(w->pool);
	og_ops_free(w->ops);
	og_graph_free(w->graph);
	og_api_fini(&w->api);
	if (w->listen_retry)
		event_free(w->listen_retry);
	if (w->lonely)
		event_free(w->lonely);
	og_child_fini(&w->child);
	free(w);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "builder") == 0)
		return main_builder(argc, argv);
	return main_worker(argc, argv);
}
