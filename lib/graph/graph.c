/* Which state a request sees: branches, freshness, waiting. */
#include "config.h"

#include "graph/graph.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "graph/pin.h"

#define COMMIT_SLOTS 16u	/* states opened by commit id that are kept */

struct waiter {
	og_snap_cb cb;
	void *arg;
	enum og_look look;
	struct waiter *next;
};

/* A branch or a commit id that was asked for. */
struct slot {
	char *name;			/* branch name, or the commit id */
	bool by_commit;
	struct og_line *line;
	struct og_snap *snap;		/* newest state, or NULL */
	struct waiter *asked, *waiting;	/* those whose look is under way; those that came since */
	bool asking;
	uint64_t used;
	struct slot *next;
	struct og_graph *graph;
};

int graph_unavailable(struct og_error *err)
{
	return og_error_set(err, OG_ERR_UNAVAILABLE, "the storage daemon is not available; try again in a moment");
}

struct og_graph *og_graph_new(const struct og_graph_cfg *cfg, struct og_error *err)
{
	struct og_graph *g = calloc(1, sizeof(*g));

	if (g)
		g->uri = strdup(cfg->uri);
	if (!g || !g->uri) {
		free(g);
		og_error_nomem(err);
		return NULL;
	}
	g->base = cfg->base;
	g->direct = cfg->direct;
	return g;
}

static void slot_drop_state(struct slot *s)
{
	og_snap_unref(s->snap);
	s->snap = NULL;
}

static void slot_free(struct slot *s)
{
	slot_drop_state(s);
	line_unref(s->line);
	free(s->name);
	free(s);
}

static void finish_waiters(struct waiter *w, struct og_snap *snap, const struct og_error *err)
{
	while (w) {
		struct waiter *next = w->next;

		w->cb(w->arg, snap, err);
		free(w);
		w = next;
	}
}

static void fail_slot(struct slot *s, const struct og_error *err)
{
	struct waiter *a = s->asked, *b = s->waiting;

	s->asked = s->waiting = NULL;
	s->asking = false;
	finish_waiters(a, NULL, err);
	finish_waiters(b, NULL, err);
}

/* Those who wait now take part in this look. */
static void slot_join(struct slot *s)
{
	struct waiter **end = &s->asked;

	while (*end)
		end = &(*end)->next;
	*end = s->waiting;
	s->waiting = NULL;
}

static void unmap_bell(struct og_graph *g)
{
	if (g->bell)
		munmap((void *)g->bell, sizeof(uint64_t));
	g->bell = NULL;
}

void og_graph_free(struct og_graph *g)
{
	struct slot *s, *next;

	if (!g)
		return;
	og_graph_detach(g);
	for (s = g->slots; s; s = next) {
		next = s->next;
		slot_free(s);
	}
	pin_fini(g);
	unmap_bell(g);
	free(g->uri);
	free(g);
}

void og_graph_attach(struct og_graph *g, struct og_chan *chan)
{
	struct slot *s;

	g->chan = chan;
	unmap_bell(g);	/* it sends its own, if there is one now */
	/* What a new og-storaged knows as images and bases may differ, and it does not count what its predecessor made: open again when asked. */
	for (s = g->slots; s; s = s->next) {
		slot_drop_state(s);
		if (s->line)
			s->line->reopen = true;
		line_unref(s->line);
		s->line = NULL;
	}
}

void og_graph_detach(struct og_graph *g)
{
	struct waiter *all = NULL, **end = &all;
	struct og_error err = { 0 };
	struct slot *s;

	/* The doorbell stays mapped: while it stands still, what is at hand is the newest, whoever else is there or not. */
	pin_forget_drops(g);
	g->chan = NULL;
	graph_unavailable(&err);
	/* Who is told may ask again at once, and so move slots: all are collected before. */
	for (s = g->slots; s; s = s->next) {
		s->asking = false;
		slot_join(s);
		*end = s->asked;
		s->asked = NULL;
		while (*end)
			end = &(*end)->next;
	}
	finish_waiters(all, NULL, &err);
	pin_fail_all(g, &err);
}

const char *og_graph_uri(const struct og_graph *g)
{
	return g->uri;
}

struct og_ulid og_graph_id(const struct og_graph *g)
{
	return g->id;
}

/* ---- freshness ---- */

static bool slot_fresh(const struct slot *s, enum og_look look)
{
	const struct og_graph *g = s->graph;

	if (!s->line || s->line->reopen)
		return false;
	if (s->by_commit)
		return true;
	if (!g->bell || (g->bell_of_host && look != OG_LOOK_HOST))
		return false;
	return __atomic_load_n(g->bell, __ATOMIC_ACQUIRE) == s->line->bell;
}

static void slot_serve(struct slot *s, struct waiter *w)
{
	struct og_error err = { 0 };
	struct og_snap *snap;

	if (!s->snap)
		s->snap = line_snap(s->line, &err);
	snap = s->snap ? og_snap_ref(s->snap) : NULL;
	finish_waiters(w, snap, &err);
	og_snap_unref(snap);
}

static void slot_ask(struct slot *s);

/* A look has ended well: whoever waited for it is served; whoever came later needs another, unless the bell stands still. */
static void slot_looked(struct slot *s)
{
	struct waiter *w = s->asked;

	s->asked = NULL;
	slot_serve(s, w);	/* still asking: callbacks neither start a look nor evict this slot */
	s->asking = false;
	if (!s->waiting)
		return;
	if (slot_fresh(s, OG_LOOK_NEW)) {
		w = s->waiting;
		s->waiting = NULL;
		slot_serve(s, w);
		return;
	}
	slot_ask(s);
}

static int on_opened(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct slot *s = arg;
	struct og_wire_head h = { 0 };
	struct og_arena a;
	struct og_line *line;
	int rc;

	if (!m) {
		if (err->code == OG_ERR_NOT_FOUND) {
			slot_drop_state(s);
			line_unref(s->line);
			s->line = NULL;
		}
		fail_slot(s, err);
		return 0;
	}
	if (m->type != OG_IPC_GRAPH_HEAD)
		return og_error_set(err, OG_ERR_PEER, "GRAPH_OPEN answered by %s", og_ipc_name(m->type));
	og_arena_init(&a, 0);
	rc = og_wire_get_head(m->body, &a, &h, err);
	if (rc < 0) {
		og_arena_fini(&a);
		return rc;
	}
	line = line_new(s->graph, &h, err);
	og_arena_fini(&a);
	if (!line) {
		fail_slot(s, err);
		return 0;
	}
	line->by_commit = s->by_commit;
	s->graph->id = line->base->graph;
	s->graph->stats.opens++;
	slot_drop_state(s);
	line_unref(s->line);
	s->line = line;
	slot_looked(s);
	return 0;
}

static int on_tail(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct slot *s = arg;
	struct og_wire_tail t = { 0 };
	struct og_arena a;
	int rc;

	if (!m) {
		/* A branch that is gone, or re-made under its name, is found by opening it by name again. */
		if (err->code == OG_ERR_NOT_FOUND && s->line && !s->line->reopen) {
			s->line->reopen = true;
			s->asking = false;
			slot_ask(s);
			return 0;
		}
		fail_slot(s, err);
		return 0;
	}
	if (m->type != OG_IPC_TAIL)
		return og_error_set(err, OG_ERR_PEER, "CATCH_UP answered by %s", og_ipc_name(m->type));
	og_arena_init(&a, 0);
	rc = og_wire_get_tail(m->body, &a, &t, err);
	s->graph->stats.catchups++;
	if (rc == 0 && s->line && !t.reopen && t.seq >= s->line->seq) {
		/* A push may have brought some of them meanwhile. */
		for (uint32_t i = 0; rc == 0 && i < t.ncommits; i++)
			if (t.commits[i].seq > s->line->seq)
				rc = line_append(s->line, &t.commits[i], err);
		s->line->seq = t.seq;
		s->line->bell = t.bell;
		slot_drop_state(s);
	}
	og_arena_fini(&a);
	if (rc < 0)
		return rc;
	if (t.reopen || !s->line || s->line->reopen) {
		if (s->line)
			s->line->reopen = true;
		s->asking = false;
		slot_ask(s);
		return 0;
	}
	slot_looked(s);
	return 0;
}

/* As new as the most demanding of those who take part wants it. */
static enum og_look look_wanted(const struct slot *s)
{
	enum og_look look = OG_LOOK_HOST;

	for (const struct waiter *w = s->asked; w; w = w->next)
		look = OG_MAX(look, w->look);
	return look;
}

static void slot_ask(struct slot *s)
{
	struct og_graph *g = s->graph;
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	int rc;

	slot_join(s);
	s->asking = true;
	if (!g->chan) {
		graph_unavailable(&err);
		fail_slot(s, &err);
		return;
	}
	if (!s->line || s->line->reopen) {
		struct og_wire_open o = { .look = look_wanted(s), .want_layers = g->direct };

		if (s->by_commit)
			o.commit = og_slice_str(s->name);
		o.branch = s->by_commit ? OG_SLICE("main") : og_slice_str(s->name);
		og_wire_put_open(&b, &o);
		rc = og_chan_request(g->chan, OG_IPC_GRAPH_OPEN, &b, -1, GRAPH_DEADLINE_MS, on_opened, s, NULL, &err);
	} else {
		og_wire_put_catchup(&b, &(struct og_wire_catchup){ s->line->branch, s->line->base_seq, s->line->seq, look_wanted(s) });
		rc = og_chan_request(g->chan, OG_IPC_CATCH_UP, &b, -1, GRAPH_DEADLINE_MS, on_tail, s, NULL, &err);
	}
	og_buf_fini(&b);
	if (rc < 0)
		fail_slot(s, &err);
}

/* ---- slots ---- */

/* Old states opened by commit id make room; one in use is kept. */
static void evict_commit_slot(struct og_graph *g)
{
	struct slot **p, **oldest = NULL;
	unsigned n = 0;

	for (p = &g->slots; *p; p = &(*p)->next) {
		if (!(*p)->by_commit)
			continue;
		n++;
		if ((*p)->asking || (*p)->waiting)
			continue;
		if (!oldest || (*p)->used < (*oldest)->used)
			oldest = p;
	}
	if (n >= COMMIT_SLOTS && oldest) {
		struct slot *s = *oldest;

		*oldest = s->next;
		slot_free(s);
	}
}

static struct slot *slot_find(struct og_graph *g, struct og_slice name, bool by_commit, struct og_error *err)
{
	struct slot *s;

	for (s = g->slots; s; s = s->next)
		if (s->by_commit == by_commit && og_slice_is(name, s->name))
			return s;
	/* A name from a client is a key here: no NUL inside, no boundless length. */
	if (name.len > 1024 || memchr(name.len ? name.p : "", '\0', name.len)) {
		og_error_set(err, OG_ERR_NOT_FOUND, by_commit ? "commit '%.*s' not found" : "branch '%.*s' not found",
			     (int)OG_MIN(name.len, 200u), name.p);
		return NULL;
	}
	evict_commit_slot(g);
	s = calloc(1, sizeof(*s));
	if (s)
		s->name = strndup(name.len ? name.p : "", name.len);
	if (!s || !s->name) {
		free(s);
		og_error_nomem(err);
		return NULL;
	}
	s->by_commit = by_commit;
	s->graph = g;
	s->next = g->slots;
	g->slots = s;
	return s;
}

/* Names that no graph knows are not kept. */
static void sweep_unknown(struct og_graph *g, struct slot *keep)
{
	struct slot **p = &g->slots;

	while (*p) {
		struct slot *s = *p;

		if (s != keep && !s->line && !s->asking && !s->waiting) {
			*p = s->next;
			slot_free(s);
		} else {
			p = &s->next;
		}
	}
}

enum og_look og_graph_look(const struct og_graph *g, enum og_look wanted)
{
	return g->bell && !g->bell_of_host ? OG_LOOK_NEW : wanted;
}

void og_graph_state(struct og_graph *g, enum og_look look, struct og_slice branch, struct og_slice commit, og_snap_cb cb, void *arg)
{
	struct og_error err = { 0 };
	bool by_commit = commit.p != NULL;
	struct slot *s = NULL;
	struct og_ulid id;
	struct waiter *w;

	if (by_commit && !og_ulid_parse(commit, &id))
		og_error_set(&err, OG_ERR_NOT_FOUND, "commit '%.*s' not found", (int)OG_MIN(commit.len, 200u), commit.p);
	else
		s = slot_find(g, by_commit ? commit : branch.p ? branch : OG_SLICE("main"), by_commit, &err);
	if (!s) {
		cb(arg, NULL, &err);
		return;
	}
	sweep_unknown(g, s);
	s->used = ++g->clock;
	if (slot_fresh(s, look)) {
		struct og_snap *snap;

		if (!s->snap)
			s->snap = line_snap(s->line, &err);
		snap = s->snap ? og_snap_ref(s->snap) : NULL;
		cb(arg, snap, &err);
		og_snap_unref(snap);
		return;
	}
	w = malloc(sizeof(*w));
	if (!w) {
		og_error_nomem(&err);
		cb(arg, NULL, &err);
		return;
	}
	*w = (struct waiter){ cb, arg, look, s->waiting };
	s->waiting = w;
	if (!s->asking)
		slot_ask(s);
}

/* ---- pushes ---- */

int og_graph_on_head_moved(struct og_graph *g, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_wire_tail t;
	struct og_arena a;
	struct slot *s;
	int rc;

	og_arena_init(&a, 0);
	rc = og_wire_get_tail(m->body, &a, &t, err);
	for (s = g->slots; rc == 0 && s; s = s->next) {
		struct og_line *l = s->line;

		if (!l || s->by_commit || l->reopen)
			continue;
		if (t.reopen && og_ulid_cmp(&t.branch, &l->branch) == 0) {
			l->reopen = true;
			continue;
		}
		/* A gap (a push was dropped) is closed by the next look. */
		if (l->seq != t.prev_seq || t.reopen)
			continue;
		for (uint32_t i = 0; rc == 0 && i < t.ncommits; i++)
			if (og_ulid_cmp(&t.commits[i].branch, &l->branch) == 0)
				rc = line_append(l, &t.commits[i], err);
		l->seq = t.seq;
		l->bell = t.bell;
		slot_drop_state(s);
	}
	og_arena_fini(&a);
	return rc;
}

int og_graph_on_bell(struct og_graph *g, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_reader r;
	uint64_t size;
	uint8_t kind;
	void *p;
	int e;

	r = og_reader_init(m->body);
	kind = og_read_u8(&r);
	if (og_reader_end(&r, err) < 0)
		return err->code;
	if (kind != OG_BELL_ALL && kind != OG_BELL_HOST)
		return og_error_set(err, OG_ERR_PEER, "a doorbell of kind %u", kind);
	if (og_fd_size(m->fd, &size, err) < 0)
		return err->code;
	if (size < sizeof(uint64_t))
		return og_error_set(err, OG_ERR_PEER, "a doorbell of %llu bytes", (unsigned long long)size);
	p = mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, m->fd, 0);
	e = errno;
	if (p == MAP_FAILED)
		return og_error_sys(err, e, "mapping the doorbell");
	unmap_bell(g);
	g->bell = p;
	g->bell_of_host = kind == OG_BELL_HOST;
	return 0;
}

void og_graph_stats(const struct og_graph *g, struct og_graph_stats *out)
{
	*out = g->stats;
}
