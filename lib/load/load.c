/* Loading: the graph's part. A load reads its records, is checked against a state, stores its segments and commits. */
#include "config.h"

#include "load/load.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/date.h"
#include "load/check.h"

#define BUDGET_DEFAULT (256u * OG_MIB)
#define PUTS_MAX 3u		/* segments on their way; at the end more while they are small: */
#define PUTS_BYTES (16u * OG_MIB)
#define SLICE_BYTES (256u * OG_KIB)
#define TRIES_MAX 5u

struct og_load {
	struct og_ops *ops;
	struct og_graph *graph;
	const struct og_runner *runner;	/* NULL: everything within the calls */
	struct og_arena arena;
	struct og_load_req req;		/* copied */
	struct og_slice data;		/* of og_op_load */
	size_t data_at;
	void (*ready)(void *arg);
	og_load_cb cb;
	void *arg;
	unsigned busy;			/* callbacks that will come */
	unsigned held;			/* public calls that are going on */
	atomic_bool dead;		/* nobody is told anything any more; freed when nothing comes any more */
	bool waiting;			/* og_load_feed said wait */
	bool finishing;			/* the input is over */
	bool ended;			/* no chunk changes any more */
	bool checked;			/* the verdict holds for snap */
	bool again;			/* to be read once more, when no segment is on its way */
	enum og_look look;		/* by which the next state is taken */
	bool confirmed;			/* that state, or the present one, holds what was there when all of the input had come */
	struct og_error refusal;	/* to be told if the state has not moved */
	struct og_loader *loader;
	unsigned puts;
	size_t put_bytes;
	struct og_snap *snap;
	struct og_view *view;
	struct load_verdict verdict;
	unsigned tries;
	struct og_error err;		/* of what runs off the loop */
};

const char *og_load_mode_name(enum og_load_mode m)
{
	switch (m) {
	case OG_LOAD_OVERWRITE:
		return "overwrite";
	case OG_LOAD_APPEND:
		return "append";
	case OG_LOAD_MERGE:
		return "merge";
	}
	return "?";
}

bool og_load_mode_parse(struct og_slice s, enum og_load_mode *out)
{
	for (unsigned m = OG_LOAD_OVERWRITE; m <= OG_LOAD_MERGE; m++)
		if (og_slice_is(s, og_load_mode_name((enum og_load_mode)m))) {
			*out = (enum og_load_mode)m;
			return true;
		}
	return false;
}

/* ---- life ---- */

static void forget_state(struct og_load *l)
{
	og_load_verdict_fini(&l->verdict);
	og_view_unref(l->view);
	l->view = NULL;
	og_snap_unref(l->snap);
	l->snap = NULL;
	l->checked = false;
}

static void load_free(struct og_load *l)
{
	forget_state(l);
	og_loader_free(l->loader);
	og_arena_fini(&l->arena);
	free(l);
}

/* The last thing that a callback or call does with l. */
static void settle(struct og_load *l)
{
	if (l->dead && !l->busy && !l->held)
		load_free(l);
}

static void load_end(struct og_load *l)
{
	l->dead = true;
	settle(l);
}

static void load_fail(struct og_load *l, const struct og_error *err)
{
	if (!l->dead)
		l->cb(l->arg, NULL, err);
	load_end(l);
}

/* A callback came. false: nobody waits, and l may be gone. */
static bool alive(struct og_load *l)
{
	l->busy--;
	if (!l->dead)
		return true;
	settle(l);
	return false;
}

/* step again and again, off the loop if there is a runner; then done. */
static void run(struct og_load *l, int (*step)(void *arg, uint64_t budget_us), void (*done)(void *arg))
{
	struct og_error err = { 0 };
	int rc;

	l->busy++;
	if (!l->runner) {
		do {
			rc = step(l, 0);
		} while (rc > 0);
		done(l);
		return;
	}
	if (l->runner->run(l->runner->arg, step, done, l, &err) < 0) {
		l->busy--;
		load_fail(l, &err);
	}
}

/* ---- the end ---- */

static void load_done(struct og_load *l, const struct og_wire_commit *commit)
{
	struct og_load_result r = { .mode = l->req.mode, .branch = l->snap->branch_name, .base_branch = l->req.from, .commit = commit };
	struct og_load_table *tables = og_arena_array(&l->arena, l->loader->ntypes ? l->loader->ntypes : 1, sizeof(*tables));
	struct og_error err = { 0 };

	if (!tables) {
		og_arena_error(&l->arena, &err);
		load_fail(l, &err);
		return;
	}
	for (uint32_t i = 0; i < l->loader->ntypes; i++) {
		const struct load_type *t = &l->loader->types[i];

		if (!t->used)
			continue;
		tables[r.ntables++] = (struct og_load_table){ t->type->table_key, t->records };
		if (t->type->kind == OG_EDGE) {
			r.edges += t->records;
			r.edge_types++;
		} else {
			r.nodes += t->records;
			r.node_types++;
		}
	}
	r.tables = tables;
	l->cb(l->arg, &r, &err);
	load_end(l);
}

/* ---- refusals, and reading again ---- */

static void begin(struct og_load *l);
static void attempt(struct og_load *l);

/* Records are read anew, by the schema of now. */
static void read_again(struct og_load *l)
{
	struct og_error err = { 0 };

	l->again = l->puts > 0;
	if (l->again)
		return;		/* their chunks are in the store's hands: on_put comes back here */
	forget_state(l);
	og_loader_free(l->loader);
	l->loader = NULL;
	l->data_at = 0;
	l->ended = l->finishing = l->waiting = false;
	if (l->ready && l->req.rewind(l->arg, &err) < 0)
		load_fail(l, &err);
	else
		begin(l);
}

static void schema_changed(struct og_load *l)
{
	struct og_error err = { 0 };

	if ((!l->ready || l->req.rewind) && l->tries++ < TRIES_MAX) {
		read_again(l);
		return;
	}
	og_error_set(&err, OG_ERR_CONFLICT, "the schema changed while records were read; load them again");
	load_fail(l, &err);
}

static bool same_catalog(const struct og_catalog *a, const struct og_catalog *b)
{
	if (a == b)
		return true;
	if (a->ntypes != b->ntypes || memcmp(a->digest, b->digest, sizeof(a->digest)) != 0)
		return false;
	for (uint32_t i = 0; i < a->ntypes; i++)
		if (a->types[i].id != b->types[i].id || !og_slice_eq(a->types[i].table_key, b->types[i].table_key))
			return false;
	return true;
}

static void no_branch(const struct og_load *l, struct og_error *e)
{
	struct og_slice b = l->req.branch.p ? l->req.branch : OG_SLICE("main");

	if (l->req.from.p)
		og_error_set(e, OG_ERR_UNSUPPORTED, "creating a branch while loading is not available in this version");
	else
		og_error_set(e, OG_ERR_NOT_FOUND, "branch '%.*s' not found; pass `from` to create it", OG_FMT(b));
}

static void no_state(struct og_load *l, const struct og_error *err)
{
	struct og_error e = *err;

	if (e.code == OG_ERR_NOT_FOUND)
		no_branch(l, &e);
	load_fail(l, &e);
}

static void on_newest(void *arg, struct og_snap *snap, const struct og_error *err)
{
	struct og_load *l = arg;

	if (!alive(l))
		return;
	l->look = OG_LOOK_HOST;		/* this was it */
	if (!snap)
		no_state(l, err);
	else if (!same_catalog(l->loader->catalog, snap->catalog))
		schema_changed(l);
	else if (l->snap && (og_ulid_cmp(&l->snap->branch, &snap->branch) || og_ulid_cmp(&l->snap->commit, &snap->commit)))
		attempt(l);
	else
		load_fail(l, &l->refusal);
}

/* Whatever does not become a commit says something about the graph: that must come from the newest state. */
static void load_refuse(struct og_load *l, const struct og_error *err)
{
	if (l->confirmed || !og_graph_refusal(err->code)) {
		load_fail(l, err);
		return;
	}
	l->refusal = *err;
	og_error_clear(&l->err);
	l->confirmed = true;
	l->busy++;
	og_graph_state(l->graph, OG_LOOK_NEW, l->req.branch, og_slice(NULL, 0), on_newest, l);
}

/* ---- commit ---- */

static void on_written(void *arg, const struct og_write_result *w)
{
	struct og_load *l = arg;
	struct og_error err = { 0 };

	if (!alive(l))
		return;
	switch (w->outcome) {
	case OG_WRITE_DONE:
		load_done(l, w->commit);
		return;
	case OG_WRITE_FAILED:
		load_fail(l, w->err);
		return;
	case OG_WRITE_AGAIN:
		break;
	}
	if (w->counted && ++l->tries > TRIES_MAX) {
		og_error_set(&err, OG_ERR_CONFLICT, "manifest publish exhausted %u retries against concurrent writers", TRIES_MAX);
		load_fail(l, &err);
		return;
	}
	/* What no race explains is a base that was too old. */
	if (!w->counted) {
		l->look = OG_LOOK_NEW;
		l->confirmed = true;
	}
	attempt(l);
}

static int segments_of(struct og_load *l, struct og_arena *a, uint32_t type, struct og_wire_write *w, struct og_error *err)
{
	w->segs = og_arena_array(a, l->loader->nchunks + 1, sizeof(*w->segs));
	if (!w->segs)
		return og_arena_error(a, err);
	for (size_t i = 0; i < l->loader->nchunks; i++)
		if (l->loader->chunks[i].type == type)
			w->segs[w->nsegs++] = l->loader->chunks[i].seg;
	return 0;
}

static int cmp_writes(const void *a, const void *b)
{
	const struct og_wire_write *x = a, *y = b;

	return x->type_id < y->type_id ? -1 : x->type_id > y->type_id;
}

static int fill_tables(struct og_load *l, struct og_arena *a, struct og_wire_commit_req *req, struct og_error *err)
{
	uint32_t n = l->loader->ntypes;

	req->tables = og_arena_array(a, n + 1, sizeof(*req->tables));
	if (!req->tables)
		return og_arena_error(a, err);
	for (uint32_t i = 0; i < n; i++) {
		const struct load_type *t = &l->loader->types[i];
		const struct load_table *v = &l->verdict.tables[i];
		struct og_wire_write *w = &req->tables[req->ntables];
		int rc;

		if (!v->touched)
			continue;
		req->ntables++;
		w->type_id = t->type->id;
		if (l->req.mode == OG_LOAD_OVERWRITE) {
			w->all = true;
			w->rows = v->rows;
		} else {
			w->dn = v->dn;
		}
		if (t->inlined)
			w->body = og_buf_view(&t->body);
		else if ((rc = segments_of(l, a, i, w, err)) < 0)
			return rc;
	}
	qsort(req->tables, req->ntables, sizeof(*req->tables), cmp_writes);
	return 0;
}

/* An overwrite is strict for its types; who lists no keys reads whole types: those of the ends, and of edges that it must not orphan. */
static int fill_types(struct og_load *l, struct og_arena *a, struct og_wire_commit_req *req, struct og_error *err)
{
	uint32_t n = l->loader->ntypes;
	const struct og_catalog *c = l->loader->catalog;
	uint32_t *strict = og_arena_array(a, n + 1, sizeof(*strict)), *scanned = og_arena_array(a, n + 1, sizeof(*scanned));
	bool *ends = og_arena_array(a, n + 1, sizeof(*ends)), over = l->req.mode == OG_LOAD_OVERWRITE;

	if (!strict || !scanned || !ends)
		return og_arena_error(a, err);
	for (uint32_t i = 0; i < n; i++) {
		const struct og_type *t = &c->types[i];

		if (t->kind != OG_EDGE)
			continue;
		if (l->loader->types[i].used)
			ends[t->src_type] = ends[t->dst_type] = true;
		else if (over)
			ends[i] = l->loader->types[t->src_type].used || l->loader->types[t->dst_type].used;
	}
	for (uint32_t i = 0; i < n; i++) {
		bool used = l->loader->types[i].used;

		if (over && used)
			strict[req->nstrict++] = c->types[i].id;
		else if (l->verdict.all_keys && ends[i])
			scanned[req->nscanned++] = c->types[i].id;
	}
	req->strict = strict;
	req->scanned = scanned;
	return 0;
}

static void commit(struct og_load *l)
{
	struct og_wire_commit_req req = { .op = OG_WIRE_LOAD, .actor = l->req.actor, .all_keys = l->verdict.all_keys };
	struct og_error err = { 0 };
	struct og_arena a;
	int rc;

	og_arena_init(&a, 0);
	rc = fill_tables(l, &a, &req, &err);
	if (rc == 0)
		rc = fill_types(l, &a, &req, &err);
	if (!req.all_keys) {
		req.reads = l->verdict.read.v;
		req.nreads = (uint32_t)l->verdict.read.n;
		req.writes = l->verdict.written.v;
		req.nwrites = (uint32_t)l->verdict.written.n;
	}
	if (rc < 0) {
		load_fail(l, &err);
	} else {
		l->busy++;
		req.confirmed = l->confirmed;
		og_graph_commit(l->snap, &req, on_written, l);
	}
	og_arena_fini(&a);
}

/* ---- segments ---- */

struct put {
	struct og_load *l;
	size_t chunk;
};

static void puts_ended(struct og_load *l);

static void on_put(void *arg, const struct og_wire_segment *seg, const struct og_error *err)
{
	struct put *p = arg;
	struct og_load *l = p->l;
	struct load_chunk *c = &l->loader->chunks[p->chunk];

	free(p);
	l->puts--;
	l->put_bytes -= c->parquet_len;
	c->sent = false;
	if (!alive(l))
		return;
	if (!seg) {
		load_fail(l, err);
		return;
	}
	og_loader_stored(l->loader, c, seg);
	if (!l->again)
		puts_ended(l);
	else if (l->puts == 0)
		read_again(l);
}

static bool may_put(const struct og_load *l, const struct load_chunk *c)
{
	return l->puts < PUTS_MAX || (l->ended && l->put_bytes + c->parquet_len <= PUTS_BYTES);
}

/* Sends what waits, as far as may_put allows. Returns the chunks that still wait, or an error. */
static int send_chunks(struct og_load *l, struct og_error *err)
{
	int wait = 0;

	l->held++;
	for (size_t i = 0; i < l->loader->nchunks && !l->dead; i++) {
		struct load_chunk *c = &l->loader->chunks[i];
		struct put *p;

		if (c->stored || c->sent)
			continue;
		if (!may_put(l, c)) {
			wait++;
			continue;
		}
		p = malloc(sizeof(*p));
		if (!p || og_loader_parquet(l->loader, c, err) < 0) {
			free(p);
			l->held--;
			return p ? err->code : og_error_nomem(err);
		}
		*p = (struct put){ l, i };
		l->puts++;
		l->put_bytes += c->parquet_len;
		l->busy++;
		c->sent = true;
		og_graph_segment_put(l->graph, l->loader->catalog->types[c->type].id, c->rows, og_buf_view(&c->parquet), on_put, p);
	}
	l->held--;
	return wait;
}

static bool all_stored(const struct og_load *l)
{
	for (size_t i = 0; i < l->loader->nchunks; i++)
		if (!l->loader->chunks[i].stored)
			return false;
	return true;
}

static void end_input(struct og_load *l);

/* A segment is stored, or the check is over: what comes next. */
static void puts_ended(struct og_load *l)
{
	struct og_error err = { 0 };
	int rc;

	if (l->finishing && !l->ended) {
		if (l->puts == 0)
			end_input(l);
		else
			settle(l);
		return;
	}
	l->held++;
	rc = send_chunks(l, &err);
	l->held--;
	if (l->dead) {
		settle(l);
	} else if (rc < 0) {
		load_fail(l, &err);
	} else if (l->checked) {
		if (all_stored(l))
			commit(l);
	} else if (l->waiting && l->puts < PUTS_MAX) {
		l->waiting = false;
		l->ready(l->arg);
	}
}

/* ---- checks ---- */

static int check_step(void *arg, uint64_t budget_us)
{
	struct og_load *l = arg;

	(void)budget_us;
	return og_load_check(l->loader, l->view, &l->verdict, &l->err);
}

static void check_done(void *arg)
{
	struct og_load *l = arg;

	if (!alive(l))
		return;
	if (l->err.code < 0) {
		load_refuse(l, &l->err);
		return;
	}
	l->checked = true;
	puts_ended(l);
}

static void on_view(void *arg, struct og_view *v, const struct og_error *err)
{
	struct og_load *l = arg;

	if (!alive(l))
		return;
	if (!v) {
		/* Its images were given up meanwhile: the state is taken again. */
		if (err->code == OG_ERR_GONE && l->tries++ < TRIES_MAX)
			attempt(l);
		else
			load_fail(l, err);
		return;
	}
	l->view = og_view_ref(v);
	run(l, check_step, check_done);
}

static void on_state(void *arg, struct og_snap *snap, const struct og_error *err)
{
	struct og_load *l = arg;
	struct og_need *needs = NULL;
	struct og_error e = { 0 };
	size_t n;

	if (!alive(l))
		return;
	if (!snap && !l->confirmed && og_graph_refusal(err->code)) {
		/* Made anew meanwhile, perhaps. */
		l->confirmed = true;
		l->look = OG_LOOK_NEW;
		attempt(l);
		return;
	}
	if (!snap) {
		load_fail(l, err);
		return;
	}
	l->look = OG_LOOK_HOST;
	if (!same_catalog(l->loader->catalog, snap->catalog)) {
		schema_changed(l);
		return;
	}
	l->snap = og_snap_ref(snap);
	if (og_load_needs(l->loader, snap->catalog, &needs, &n, &e) < 0) {
		load_fail(l, &e);
		return;
	}
	l->busy++;
	og_graph_pin(l->snap, needs, n, on_view, l);
	free(needs);
}

/* Checks and commits. */
static void attempt(struct og_load *l)
{
	forget_state(l);
	l->busy++;
	og_graph_state(l->graph, l->look, l->req.branch, og_slice(NULL, 0), on_state, l);
}

/* ---- input ---- */

static int end_step(void *arg, uint64_t budget_us)
{
	struct og_load *l = arg;

	(void)budget_us;
	if (og_loader_feed(l->loader, og_slice(NULL, 0), true, &l->err) < 0)
		return l->err.code;
	return og_loader_end(l->loader, &l->err);
}

static void end_done(void *arg)
{
	struct og_load *l = arg;
	struct og_error err = { 0 };

	if (!alive(l))
		return;
	if (l->err.code < 0) {
		load_refuse(l, &l->err);
		return;
	}
	l->ended = true;
	/* What was newest when a stream began may be long past; with a doorbell it costs nothing to know. */
	if (l->ready) {
		l->look = og_graph_look(l->graph, OG_LOOK_HOST);
		l->confirmed = l->look == OG_LOOK_NEW;
	}
	/* Stored while they are checked; with a runner that would be two threads at one chunk. */
	l->held++;
	if (!l->runner && send_chunks(l, &err) < 0 && !l->dead)
		load_fail(l, &err);
	l->held--;
	if (l->dead)
		settle(l);
	else
		attempt(l);
}

/* The records are over, and no segment is on its way (one that is might be written anew). */
static void end_input(struct og_load *l)
{
	run(l, end_step, end_done);
}

static int data_step(void *arg, uint64_t budget_us)
{
	struct og_load *l = arg;
	uint64_t until = og_monotonic_us() + budget_us;

	while (l->data_at < l->data.len && !l->dead) {
		size_t n = OG_MIN(l->data.len - l->data_at, (size_t)SLICE_BYTES);

		if (og_loader_feed(l->loader, og_slice(l->data.p + l->data_at, n), false, &l->err) < 0)
			return l->err.code;
		l->data_at += n;
		if (og_monotonic_us() >= until && l->data_at < l->data.len && budget_us)
			return 1;
	}
	return 0;
}

static void data_done(void *arg)
{
	struct og_load *l = arg;

	if (!alive(l))
		return;
	if (l->err.code < 0) {
		load_refuse(l, &l->err);
		return;
	}
	l->finishing = true;
	end_input(l);
}

static void on_first_state(void *arg, struct og_snap *snap, const struct og_error *err)
{
	struct og_load *l = arg;
	struct og_error e = *err;

	if (!alive(l))
		return;
	if (!snap && !l->confirmed && og_graph_refusal(e.code)) {
		l->confirmed = true;
		l->look = OG_LOOK_NEW;
		begin(l);
		return;
	}
	if (!snap) {
		no_state(l, &e);
		return;
	}
	l->look = OG_LOOK_HOST;
	if (og_loader_new(snap->catalog, l->req.mode, l->req.budget, l->req.spill, &l->loader, &e) < 0) {
		load_fail(l, &e);
		return;
	}
	l->loader->file = l->req.file;
	if (l->req.thread && og_loader_thread(l->loader, &e) < 0) {
		load_fail(l, &e);
		return;
	}
	if (l->ready)
		l->ready(l->arg);
	else
		run(l, data_step, data_done);
}

static void begin(struct og_load *l)
{
	l->busy++;
	og_graph_state(l->graph, l->look, l->req.branch, og_slice(NULL, 0), on_first_state, l);
}

static bool blank(struct og_slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr(" \t\r\n", s.p[i]))
			return false;
	return true;
}

static int copy(struct og_load *l, struct og_slice in, struct og_slice *out, struct og_error *err)
{
	*out = og_slice(NULL, 0);
	if (!in.p)
		return 0;
	*out = og_arena_slice(&l->arena, in);
	return out->p ? 0 : og_arena_error(&l->arena, err);
}

static int init(struct og_load *l, struct og_ops *o, const struct og_load_req *req, struct og_error *err)
{
	int rc;

	og_arena_init(&l->arena, 0);
	l->ops = o;
	l->graph = og_ops_graph(o);
	l->req = *req;
	if (!l->req.budget)
		l->req.budget = BUDGET_DEFAULT;
	if ((rc = copy(l, req->branch, &l->req.branch, err)) < 0 || (rc = copy(l, req->from, &l->req.from, err)) < 0 ||
	    (rc = copy(l, req->actor, &l->req.actor, err)) < 0)
		return rc;
	if (req->branch.p && blank(req->branch)) {
		if (req->from.p || req->file)
			return og_error_set(err, OG_ERR_BAD, "branch name cannot be empty");
		no_branch(l, err);
		return err->code;
	}
	return 0;
}

static struct og_load *launch(struct og_load *l)
{
	bool over;

	l->look = l->ready ? OG_LOOK_NEW : og_graph_look(l->graph, OG_LOOK_HOST);
	l->confirmed = l->look == OG_LOOK_NEW;
	l->held++;
	begin(l);
	l->held--;
	over = l->dead;
	settle(l);
	return over ? NULL : l;
}

static struct og_load *load_new(struct og_ops *o, const struct og_load_req *req, og_load_cb cb, void *arg)
{
	struct og_load *l = calloc(1, sizeof(*l));
	struct og_error err = { 0 };

	if (!l) {
		og_error_nomem(&err);
		cb(arg, NULL, &err);
		return NULL;
	}
	l->cb = cb;
	l->arg = arg;
	if (init(l, o, req, &err) < 0) {
		load_fail(l, &err);
		return NULL;
	}
	return l;
}

struct og_load *og_load_start(struct og_ops *o, const struct og_load_req *req, void (*ready)(void *arg), og_load_cb cb, void *arg)
{
	struct og_load *l = load_new(o, req, cb, arg);

	if (!l)
		return NULL;
	l->ready = ready;
	return launch(l);
}

struct og_load *og_op_load(struct og_ops *o, const struct og_load_req *req, struct og_slice data, og_load_cb cb, void *arg)
{
	struct og_load *l = load_new(o, req, cb, arg);
	struct og_error err = { 0 };

	if (!l)
		return NULL;
	l->runner = og_ops_runner(o);
	if (data.len && copy(l, data, &l->data, &err) < 0) {
		load_fail(l, &err);
		return NULL;
	}
	return launch(l);
}

int og_load_feed(struct og_load *l, struct og_slice bytes, struct og_error *err)
{
	int rc = og_loader_feed(l->loader, bytes, false, err);

	l->held++;
	if (rc == 0)
		rc = send_chunks(l, err);
	l->held--;
	if (l->dead) {		/* a segment could not be sent, cb has run */
		settle(l);
		return og_error_set(err, OG_ERR_CANCELLED, "the load has ended");
	}
	if (rc < 0) {
		load_end(l);
		return rc;
	}
	l->waiting = rc > 0;
	return rc > 0 ? 1 : 0;
}

void og_load_finish(struct og_load *l)
{
	l->held++;
	l->finishing = true;
	if (l->puts == 0)
		end_input(l);
	l->held--;
	settle(l);
}

void og_load_cancel(struct og_load *l)
{
	if (l)
		load_end(l);
}
