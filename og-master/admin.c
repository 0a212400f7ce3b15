/* The admin socket: who may ask, and the answers. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/utf8.h"
#include "json/writer.h"
#include "og-master/master.h"
#include "proc/held.h"

#define PEERS_MAX 16
#define STATS_MS 2000

struct admin_peer {
	struct master *m;
	struct admin_peer *next;
	struct og_chan *chan;
	uint32_t request; /* the status that waits for og-storaged; 0: none */
	uint32_t stats;	  /* our question to it */
};

/* --- status ----------------------------------------------------------------------------------------- */

static void put_text(struct og_json_writer *w, const char *key, struct og_slice s)
{
	/* A child's text goes in only as text; the writer takes UTF-8 alone. */
	og_json_member_string(w, key, og_utf8_check(s) == s.len ? s : OG_SLICE("?"));
}

static void put_held(struct og_json_writer *w, uint32_t held)
{
	og_json_member_array(w, "protections");
	for (unsigned bit = 0; bit < 32; bit++)
		if (held & (1u << bit) && og_held_name(bit))
			og_json_put_str(w, og_held_name(bit));
	og_json_end_array(w);
}

/* Rss and Pss in KiB from a text of /proc; false when the kernel does not let us read it. */
static bool read_rollup(pid_t pid, uint64_t *rss, uint64_t *pss)
{
	char path[64], line[256];
	unsigned long long v;
	bool any = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Rss: %llu kB", &v) == 1) {
			*rss = v * 1024;
			any = true;
		} else if (sscanf(line, "Pss: %llu kB", &v) == 1) {
			*pss = v * 1024;
		}
	}
	fclose(f);
	return any;
}

static bool read_statm(pid_t pid, uint64_t *rss)
{
	unsigned long long size, resident;
	char path[64];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fscanf(f, "%llu %llu", &size, &resident) == 2;
	fclose(f);
	if (ok)
		*rss = resident * (uint64_t)sysconf(_SC_PAGESIZE);
	return ok;
}

static void put_memory(struct og_json_writer *w, pid_t pid)
{
	uint64_t rss = 0, pss = 0;

	if (pid && read_rollup(pid, &rss, &pss)) {
		og_json_member_u64(w, "rss_bytes", rss);
		og_json_member_u64(w, "pss_bytes", pss);
		return;
	}
	if (pid && read_statm(pid, &rss))
		og_json_member_u64(w, "rss_bytes", rss);
	else
		og_json_member_null(w, "rss_bytes");
	og_json_member_null(w, "pss_bytes");
}

static const char *state_name(enum child_state s)
{
	switch (s) {
	case CHILD_DOWN:
		return "down";
	case CHILD_STARTING:
		return "starting";
	case CHILD_READY:
		return "ready";
	case CHILD_LEAVING:
		return "leaving";
	}
	return "?";
}

static const char *phase_name(enum phase p)
{
	switch (p) {
	case PHASE_BOOT:
		return "booting";
	case PHASE_SERVE:
		return "serving";
	case PHASE_DRAIN:
		return "draining";
	case PHASE_STOP:
		return "stopping";
	}
	return "?";
}

static void put_child(struct og_json_writer *w, const struct child *c)
{
	const struct master *m = c->m;

	og_json_begin_object(w);
	og_json_member_str(w, "name", c->name);
	og_json_member_str(w, "role", og_role_name(c->role));
	if (c->pid)
		og_json_member_i64(w, "pid", c->pid);
	else
		og_json_member_null(w, "pid");
	og_json_member_str(w, "state", state_name(c->state));
	og_json_member_u64(w, "generation", m->generation);
	og_json_member_u64(w, "uptime_s", c->pid ? (master_now_ms() - c->started_ms) / 1000 : 0);
	put_memory(w, c->pid);
	og_json_member_u64(w, "restarts", c->incarnation ? c->incarnation - 1 : 0);
	if (c->last_end)
		put_text(w, "last_end", og_slice_str(c->last_end));
	put_held(w, c->held);
	og_json_end_object(w);
}

static void put_processes(struct og_json_writer *w, const struct master *m)
{
	og_json_member_array(w, "processes");
	og_json_begin_object(w);
	og_json_member_str(w, "name", "master");
	og_json_member_str(w, "role", "master");
	og_json_member_i64(w, "pid", getpid());
	og_json_member_str(w, "state", phase_name(m->phase));
	og_json_member_u64(w, "generation", m->generation);
	og_json_member_u64(w, "uptime_s", (master_now_ms() - m->started_ms) / 1000);
	put_memory(w, getpid());
	og_json_member_u64(w, "restarts", 0);
	put_held(w, m->held);
	og_json_end_object(w);
	for (size_t i = 0; i < m->nchildren; i++)
		put_child(w, &m->children[i]);
	og_json_end_array(w);
}

/* og-storaged's STATS_REPLY, into the members "counters" and "graphs". */
static int put_stats(struct og_json_writer *w, struct og_slice body, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);
	uint32_t n = og_read_count(&r, 12);

	og_json_member_object(w, "counters");
	for (uint32_t i = 0; i < n; i++) {
		struct og_slice name = og_read_bytes(&r);

		og_json_put_key(w, og_utf8_check(name) == name.len ? name : OG_SLICE("?"));
		og_json_put_u64(w, og_read_u64(&r));
	}
	og_json_end_object(w);
	og_json_member_array(w, "graphs");
	n = og_read_count(&r, 12);
	for (uint32_t i = 0; i < n; i++) {
		struct og_slice id = og_read_bytes(&r), uri = og_read_bytes(&r);
		uint32_t heads = og_read_count(&r, 16);

		og_json_begin_object(w);
		put_text(w, "graph", id);
		put_text(w, "uri", uri);
		og_json_member_array(w, "heads");
		for (uint32_t k = 0; k < heads; k++) {
			struct og_slice branch = og_read_bytes(&r), commit = og_read_bytes(&r);

			og_json_begin_object(w);
			put_text(w, "branch", branch);
			put_text(w, "commit", commit);
			og_json_member_u64(w, "seq", og_read_u64(&r));
			og_json_end_object(w);
		}
		og_json_end_array(w);
		og_json_end_object(w);
	}
	og_json_end_array(w);
	return og_reader_end(&r, err);
}

static void begin_status(struct og_json_writer *w, struct og_buf *text, const struct master *m)
{
	og_json_writer_init(w, text, false);
	og_json_begin_object(w);
	og_json_member_str(w, "version", PACKAGE_VERSION);
	if (OG_BUILD_ID[0])
		og_json_member_str(w, "source_version", OG_BUILD_ID);
	og_json_member_str(w, "state", phase_name(m->phase));
	og_json_member_str(w, "listen", m->addr);
	og_json_member_str(w, "uri", m->graph_uri);
	if (m->cache_dir[0])
		og_json_member_str(w, "cache_dir", m->cache_dir);
	put_processes(w, m);
}

static void reply(struct admin_peer *p, uint32_t request, const struct og_buf *text)
{
	struct og_error err = { 0 };
	struct og_buf body = { 0 };

	og_put_bytes(&body, og_buf_view(text));
	if (text->failed)
		body.failed = true;
	if (og_chan_answer(p->chan, request, OG_IPC_ADMIN_REPLY, &body, -1, &err) < 0)
		og_chan_fail(p->chan, request, &err);
	og_buf_fini(&body);
}

/* With what og-storaged says about the graphs, or with the reason why it says nothing. */
static int answer_status(struct admin_peer *p, struct og_slice stats, const char *unknown, struct og_error *err)
{
	struct og_buf text = { 0 };
	struct og_json_writer w;
	uint32_t request = p->request;
	int rc = 0;

	p->request = 0;
	begin_status(&w, &text, p->m);
	if (!unknown) {
		rc = put_stats(&w, stats, err);
	} else {
		og_json_member_null(&w, "graphs");
		put_text(&w, "graphs_unknown", og_slice_str(unknown));
	}
	og_json_end_object(&w);
	if (rc < 0)
		og_chan_fail(p->chan, request, err);
	else
		reply(p, request, &text);
	og_buf_fini(&text);
	return rc;
}

static int on_stats(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct admin_peer *p = arg;
	struct og_error ignored = { 0 };

	p->stats = 0;
	if (!m)
		return answer_status(p, og_slice(NULL, 0), err->message, &ignored);
	if (m->type != OG_IPC_STATS_REPLY) {
		(void)answer_status(p, og_slice(NULL, 0), "og-storaged answered something else", &ignored);
		return og_error_set(err, OG_ERR_PEER, "%s to STATS", og_ipc_name(m->type));
	}
	return answer_status(p, m->body, NULL, err);
}

static void status(struct admin_peer *p, uint32_t request)
{
	struct child *storaged = &p->m->children[CHILD_STORAGED];
	struct og_error err = { 0 };

	if (p->request) {
		og_error_set(&err, OG_ERR_CONFLICT, "a status is being answered already");
		og_chan_fail(p->chan, request, &err);
		return;
	}
	p->request = request;
	if (!storaged->chan || storaged->state == CHILD_DOWN)
		(void)answer_status(p, og_slice(NULL, 0), "og-storaged is not running", &err);
	else if (og_chan_request(storaged->chan, OG_IPC_STATS, NULL, -1, STATS_MS, on_stats, p, &p->stats, &err) < 0)
		(void)answer_status(p, og_slice(NULL, 0), err.message, &err);
}

/* --- peers ------------------------------------------------------------------------------------------- */

static int on_admin(void *arg, struct og_ipc_msg *msg, struct og_error *err)
{
	struct admin_peer *p = arg;
	struct og_reader r = og_ipc_body(msg);
	struct og_slice verb = og_read_bytes(&r);
	uint32_t n = og_read_count(&r, 4);
	struct og_error why = { 0 };

	for (uint32_t i = 0; i < n; i++)
		(void)og_read_bytes(&r);
	if (og_reader_end(&r, err) < 0)
		return err->code;
	if (og_slice_is(verb, "status") && n == 0) {
		status(p, msg->request);
		return 0;
	}
	og_error_set(&why, OG_ERR_UNSUPPORTED, "the server does not know the command '%.*s'%s",
		     (int)OG_MIN(verb.len, (size_t)64), verb.p ? verb.p : "", n ? " with arguments" : "");
	og_chan_fail(p->chan, msg->request, &why);
	return 0;
}

static const struct og_ipc_rule admin_rules[] = {
	{ OG_IPC_ADMIN, OG_IPC_ANY_STATE, on_admin },
};

static void free_peer(struct admin_peer *p)
{
	struct child *storaged = &p->m->children[CHILD_STORAGED];
	struct admin_peer **at = &p->m->admin_peers;

	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
	if (p->stats && storaged->chan)
		og_chan_forget(storaged->chan, p->stats);
	og_chan_free(p->chan);
	free(p);
}

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	free_peer(arg);
}

static size_t count_peers(const struct master *m)
{
	size_t n = 0;

	for (const struct admin_peer *p = m->admin_peers; p; p = p->next)
		n++;
	return n;
}

static int add_peer(struct master *m, int fd, struct og_error *err)
{
	struct og_chan_cfg cfg = {
		.self = OG_ROLE_MASTER,
		.peer = OG_ROLE_ADMIN,
		.rules = admin_rules,
		.nrules = OG_COUNT(admin_rules),
		.closed = on_closed,
	};
	struct admin_peer *p;
	int rc;

	if (count_peers(m) >= PEERS_MAX)
		rc = og_error_set(err, OG_ERR_UNAVAILABLE, "more than %d admin connections", PEERS_MAX);
	else
		rc = og_admin_check_peer(fd, err);
	p = rc == 0 ? calloc(1, sizeof(*p)) : NULL;
	if (!p) {
		og_fd_close(&fd);
		return rc < 0 ? rc : og_error_nomem(err);
	}
	p->m = m;
	cfg.arg = p;
	p->chan = og_chan_new(m->base, fd, &cfg, err);
	if (!p->chan) {
		free(p);
		return err->code;
	}
	p->next = m->admin_peers;
	m->admin_peers = p;
	return 0;
}

static void on_connect(evutil_socket_t sock, short what, void *arg)
{
	struct master *m = arg;
	struct og_error err = { 0 };
	struct og_log_quoted q;
	int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return; /* gone again, or no descriptors: the next wake-up tries anew */
	if (add_peer(m, fd, &err) < 0)
		og_log(OG_LOG_WARN, "admin.refused", "reason=%s", og_log_quote(&q, err.message));
}

int admin_open(struct master *m, struct og_error *err)
{
	struct og_log_quoted q;
	int rc;

	if ((rc = og_admin_addr(m->opt.admin_socket, &m->admin_addr, err)) < 0)
		return rc;
	rc = og_admin_listen(&m->admin_addr, &m->admin_fd, err);
	if (rc < 0 && m->opt.admin_socket)
		return rc;
	if (rc < 0) {
		/* Nobody asked for it by name, and the graph can be served without. */
		og_log(OG_LOG_WARN, "admin.none", "reason=%s", og_log_quote(&q, err->message));
		og_error_clear(err);
		return 0;
	}
	event_assign(&m->admin, m->base, m->admin_fd, EV_READ | EV_PERSIST, on_connect, m);
	event_add(&m->admin, NULL);
	og_log(OG_LOG_INFO, "admin.open", "socket=%s", og_log_quote(&q, m->admin_addr.text));
	return 0;
}

void admin_close(struct master *m)
{
	while (m->admin_peers)
		free_peer(m->admin_peers);
	if (m->admin_fd < 0)
		return;
	event_del(&m->admin);
	og_fd_close(&m->admin_fd);
	if (m->admin_addr.text[0] != '@')
		(void)unlink(m->admin_addr.sa.sun_path);
}
