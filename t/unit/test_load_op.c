/*
 * Loads and exports as operations on a graph, which is a fake here: it keeps layers, answers when the test says so, loses races, fails, goes away. What
 * lib/graph would export is defined in this file, so that the library's own is not linked.
 */
#include "config.h"

#include <stdio.h>

#include "load_graph.h"
#include "suite.h"

/* ---- the fake ---- */

enum call { CALL_STATE, CALL_PIN, CALL_PUT, CALL_COMMIT, CALL_RUN };

struct pending {
	enum call call;
	void (*fn)(void);	/* any of the callbacks */
	void *arg;
	enum og_look look;
	struct og_snap *snap;
	struct og_wire_segment seg;
	int (*step)(void *job, uint64_t budget_us);
	void (*done)(void *job);
};

struct segment {
	struct og_ulid id;
	uint32_t type_id;
	struct og_slice bytes;
};

struct og_graph {
	struct graph g;
	struct og_snap snap;
	struct pending calls[64];
	size_t ncalls;
	struct segment segs[256];
	size_t nsegs;
	unsigned again;		/* commits to lose first */
	bool counted;
	void (*before_commit)(void);
	int fail_call;		/* the how-manieth answer is an error; -1: none */
	int answers;
	unsigned commits;
	unsigned max_puts, puts;
	/* What another host did since this one looked: until it looks again, or a put of its own fails for it, it shows this instead. */
	bool behind, doorbell;
	bool late;		/* it falls behind with its next look */
	struct graph old;
	struct og_snap old_snap;
	bool born;		/* there is a branch b, of which this host may not have heard */
	unsigned looks, runs, rewinds;
	/* of the last commit */
	bool confirmed;
	bool all_keys;
	uint32_t nstrict, nscanned, nreads, nwrites, ntables;
};

struct og_ops {
	struct og_runner runner;
};

static struct og_graph *f;
static struct og_ops ops;

struct og_graph *og_ops_graph(const struct og_ops *o)
{
	(void)o;
	return f;
}

const struct og_runner *og_ops_runner(const struct og_ops *o)
{
	return &o->runner;
}

struct og_snap *og_snap_ref(struct og_snap *s)
{
	s->refs++;
	return s;
}

void og_snap_unref(struct og_snap *s)
{
	if (s)
		s->refs--;
}

static struct pending *later(enum call call, void (*fn)(void), void *arg)
{
	struct pending *p = &f->calls[f->ncalls++];

	ck_assert_uint_le(f->ncalls, 64);
	*p = (struct pending){ .call = call, .fn = fn, .arg = arg };
	return p;
}

void og_graph_state(struct og_graph *g, enum og_look look, struct og_slice branch, struct og_slice commit, og_snap_cb cb, void *arg)
{
	struct og_error err = { 0 };

	(void)g;
	ck_assert_ptr_null(commit.p);
	g->looks += look == OG_LOOK_NEW;
	if (look == OG_LOOK_NEW) {
		g->behind = g->late;
		g->late = false;
	}
	if (branch.p && !og_slice_is(branch, "main") && (!g->born || g->behind)) {
		og_error_set(&err, OG_ERR_NOT_FOUND, "branch '%.*s' not found", OG_FMT(branch));
		cb(arg, NULL, &err);
		return;
	}
	later(CALL_STATE, (void (*)(void))cb, arg)->look = look;
}

enum og_look og_graph_look(const struct og_graph *g, enum og_look wanted)
{
	return g->doorbell ? OG_LOOK_NEW : wanted;
}

void og_graph_pin(struct og_snap *s, const struct og_need *needs, size_t n, og_view_cb cb, void *arg)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_ptr_eq(&s->catalog->types[needs[i].type->index], needs[i].type);
	later(CALL_PIN, (void (*)(void))cb, arg)->snap = s;
}

void og_graph_segment_put(struct og_graph *g, uint32_t type_id, uint64_t rows, struct og_slice parquet, og_segment_cb cb, void *arg)
{
	struct pending *p = later(CALL_PUT, (void (*)(void))cb, arg);
	struct segment *s = &g->segs[g->nsegs++];

	ck_assert_uint_le(g->nsegs, 256);
	g->puts++;
	g->max_puts = OG_MAX(g->max_puts, g->puts);
	*s = (struct segment){ .type_id = type_id, .bytes = exact_copy(parquet, parquet.len) };
	s->id.b[15] = (uint8_t)g->nsegs;
	s->id.b[14] = (uint8_t)(g->nsegs >> 8);
	p->seg = (struct og_wire_segment){ .id = s->id, .rows = rows, .bytes = parquet.len };
}

static struct og_slice find_segment(const struct og_wire_segment *w, uint32_t type_id)
{
	for (size_t i = 0; i < f->nsegs; i++)
		if (og_ulid_cmp(&f->segs[i].id, &w->id) == 0 && f->segs[i].type_id == type_id)
			return f->segs[i].bytes;
	ck_abort_msg("no such segment");
	return og_slice(NULL, 0);
}

static void apply_table(const struct og_wire_write *w)
{
	const struct og_type *t = og_catalog_by_id(f->g.catalog, w->type_id);

	ck_assert_ptr_nonnull(t);
	ck_assert((w->body.len > 0) != (w->nsegs > 0));
	if (w->all)
		graph_drop_layers(&f->g, t->index);
	for (uint32_t k = 0; k < w->nsegs; k++)
		graph_add_layer(&f->g, t->index, find_segment(&w->segs[k], w->type_id));
	if (w->body.len)
		graph_add_layer(&f->g, t->index, w->body);
}

static void apply(const struct og_wire_commit_req *req)
{
	uint64_t expect[GRAPH_TYPES];
	uint32_t last = 0;

	for (uint32_t i = 0; i < f->g.catalog->ntypes; i++)
		expect[i] = f->g.view->types[i].rows;
	for (uint32_t i = 0; i < req->ntables; i++) {
		const struct og_wire_write *w = &req->tables[i];
		uint32_t index = og_catalog_by_id(f->g.catalog, w->type_id)->index;

		ck_assert_uint_gt(w->type_id, last);
		last = w->type_id;
		expect[index] = w->all ? w->rows : expect[index] + (uint64_t)w->dn;
		apply_table(w);
	}
	graph_open(&f->g);
	for (uint32_t i = 0; i < f->g.catalog->ntypes; i++)
		ck_assert_uint_eq(f->g.view->types[i].rows, expect[i]);
}

void og_graph_commit(struct og_snap *s, struct og_wire_commit_req *req, og_write_cb cb, void *arg)
{
	ck_assert_uint_eq(req->op, OG_WIRE_LOAD);
	f->confirmed = req->confirmed;
	if (s == &f->old_snap) {
		/* Its put lost to what the other host did, which is known here from now on. */
		f->behind = false;
		f->again++;
	}
	f->all_keys = req->all_keys;
	f->nstrict = req->nstrict;
	f->nscanned = req->nscanned;
	f->nreads = req->nreads;
	f->nwrites = req->nwrites;
	f->ntables = req->ntables;
	if (f->again == 0 && f->fail_call != f->answers) {
		apply(req);
		f->commits++;
	} else if (f->before_commit) {
		f->before_commit();
	}
	later(CALL_COMMIT, (void (*)(void))cb, arg);
}

static int run_later(void *arg, int (*step)(void *job, uint64_t budget_us), void (*done)(void *job), void *job, struct og_error *err)
{
	struct pending *p = later(CALL_RUN, NULL, job);

	(void)arg;
	(void)err;
	p->step = step;
	p->done = done;
	return 0;
}

static void answer_commit(const struct pending *p, bool fail, const struct og_error *err)
{
	struct og_wire_commit c = { .seq = 7, .version = 9 };
	struct og_write_result r = { .outcome = OG_WRITE_DONE, .commit = &c, .err = err };

	if (fail)
		r = (struct og_write_result){ .outcome = OG_WRITE_FAILED, .err = err };
	else if (f->again)
		r = (struct og_write_result){ .outcome = OG_WRITE_AGAIN, .counted = f->counted, .err = err };
	f->again -= f->again > 0;
	((og_write_cb)p->fn)(p->arg, &r);
}

/* Answers one waiting call, any of them. false: nothing waits. */
static bool pump(size_t which)
{
	struct og_error err = { 0 };
	struct pending p;
	bool fail;

	if (!f->ncalls)
		return false;
	which %= f->ncalls;
	p = f->calls[which];
	memmove(&f->calls[which], &f->calls[which + 1], (--f->ncalls - which) * sizeof(p));
	fail = f->answers++ == f->fail_call && p.call != CALL_RUN;
	if (fail)
		og_error_set(&err, OG_ERR_UNAVAILABLE, "away");
	switch (p.call) {
	case CALL_STATE:
		((og_snap_cb)p.fn)(p.arg, fail ? NULL : f->behind && p.look != OG_LOOK_NEW ? &f->old_snap : &f->snap, &err);
		break;
	case CALL_PIN:
		((og_view_cb)p.fn)(p.arg, fail ? NULL : p.snap == &f->old_snap ? f->old.view : f->g.view, &err);
		break;
	case CALL_PUT:
		f->puts--;
		((og_segment_cb)p.fn)(p.arg, fail ? NULL : &p.seg, &err);
		break;
	case CALL_COMMIT:
		answer_commit(&p, fail, &err);
		break;
	case CALL_RUN:
		f->runs++;
		while (p.step(p.arg, 1) > 0)
			;
		p.done(p.arg);
		break;
	}
	return true;
}

static void begin(void)
{
	f = calloc(1, sizeof(*f));
	graph_init(&f->g);
	f->snap.catalog = f->g.catalog;
	f->snap.branch_name = OG_SLICE("main");
	f->fail_call = -1;
	ops.runner = (struct og_runner){ NULL, run_later };
}

/* Another host has done something since: here the graph is still an empty one of this schema. */
static void fall_behind(const char *schema)
{
	f->behind = true;
	graph_init_with(&f->old, schema);
	f->old_snap.catalog = f->old.catalog;
	f->old_snap.branch_name = OG_SLICE("main");
	f->old_snap.commit.b[0] = 1;
}

static void end(void)
{
	while (pump(0))
		;
	ck_assert_int_eq(f->snap.refs, 0);
	ck_assert_int_eq(f->old_snap.refs, 0);
	if (f->old.catalog)
		graph_fini(&f->old);
	for (size_t i = 0; i < f->nsegs; i++)
		free_copy(f->segs[i].bytes);
	graph_fini(&f->g);
	free(f);
}

/* ---- loads ---- */

struct outcome {
	unsigned calls, ready;
	int code;
	char message[2048];
	uint64_t nodes, edges, node_types, edge_types, ntables;
};

static struct outcome got;

static void on_load(void *arg, const struct og_load_result *r, const struct og_error *err)
{
	(void)arg;
	got.calls++;
	got.code = r ? 0 : err->code;
	snprintf(got.message, sizeof(got.message), "%s", r ? "" : err->message);
	if (!r)
		return;
	ck_assert_uint_eq(r->commit->version, 9);
	ck_assert(og_slice_is(r->branch, "main"));
	got.nodes = r->nodes;
	got.edges = r->edges;
	got.node_types = r->node_types;
	got.edge_types = r->edge_types;
	got.ntables = r->ntables;
}

static void on_ready(void *arg)
{
	(void)arg;
	got.ready++;
}

static void op_load(enum og_load_mode mode, const char *text, size_t budget)
{
	struct og_load_req req = { .mode = mode, .budget = budget };

	got = (struct outcome){ 0 };
	(void)og_op_load(&ops, &req, og_slice_str(text), on_load, NULL);
	while (pump(0))
		;
	ck_assert_uint_eq(got.calls, 1);
}

/* Many rows of two types. */
static char *many(int from, int rows)
{
	struct og_buf b = { 0 };

	for (int i = from; i < from + rows; i++) {
		og_buf_printf(&b, "{\"type\":\"Person\",\"data\":{\"slug\":\"p%d\",\"mail\":\"m%d\"}}\n", i, i);
		og_buf_printf(&b, "{\"edge\":\"Knows\",\"from\":\"p%d\",\"to\":\"p%d\"}\n", i, from + (i - from) / 2);
	}
	return og_buf_take(&b);
}

static bool rewindable;

static int on_rewind(void *arg, struct og_error *err)
{
	(void)arg;
	(void)err;
	f->rewinds++;
	return 0;
}

/* Fed in pieces, with as little as fits in the budget; answers come in an order of their own. */
static int stream(enum og_load_mode mode, const char *text, size_t piece, size_t budget, unsigned seed)
{
	struct og_load_req req = { .mode = mode, .budget = budget, .spill = true, .file = true };
	size_t len = strlen(text);
	struct og_error err = { 0 };
	struct og_load *l;
	unsigned ready = 0, rewinds;
	int rc;

	got = (struct outcome){ 0 };
	req.rewind = rewindable ? on_rewind : NULL;
	l = og_load_start(&ops, &req, on_ready, on_load, NULL);
again:
	rewinds = f->rewinds;
	for (size_t at = 0; l && at < len; at += piece) {
		while (got.ready == ready && !got.calls && pump(seed++ * 7919))
			;
		if (got.calls)
			return got.code;
		rc = og_load_feed(l, og_slice(text + at, OG_MIN(piece, len - at)), &err);
		if (rc < 0) {
			ck_assert(!got.calls || err.code == OG_ERR_CANCELLED);
			return got.calls ? got.code : rc;
		}
		if (rc == 1)
			ready = got.ready;
	}
	while (l && got.ready == ready && !got.calls && pump(seed++ * 7919))
		;
	ready = got.ready;
	if (l && !got.calls)
		og_load_finish(l);
	while (f->rewinds == rewinds && pump(seed++ * 7919))
		;
	if (f->rewinds != rewinds)
		goto again;
	ck_assert_uint_eq(got.calls, 1);
	return got.code;
}

START_TEST(a_small_load_is_one_commit_of_deltas)
{
	begin();
	op_load(OG_LOAD_MERGE, "{\"type\":\"Person\",\"data\":{\"slug\":\"a\"}}{\"edge\":\"Knows\",\"from\":\"a\",\"to\":\"a\"}", 0);
	ck_assert_msg(got.code == 0, "%s", got.message);
	ck_assert_uint_eq(got.nodes, 1);
	ck_assert_uint_eq(got.edges, 1);
	ck_assert_uint_eq(got.ntables, 2);
	ck_assert_uint_eq(f->commits, 1);
	ck_assert_uint_eq(f->nsegs, 0);
	ck_assert(!f->all_keys && f->nstrict == 0 && f->nwrites == 1 && f->nreads == 1);
	/* Ends that are there: both incident, and counted. */
	op_load(OG_LOAD_APPEND, "{\"edge\":\"Knows\",\"from\":\"a\",\"to\":\"a\"}", 0);
	ck_assert_int_eq(got.code, 0);
	ck_assert_uint_eq(f->nwrites, 2);
	ck_assert_uint_eq(f->nreads, 2);
	op_load(OG_LOAD_MERGE, "", 0);
	ck_assert_int_eq(got.code, 0);
	ck_assert_uint_eq(f->ntables, 0);
	ck_assert_uint_eq(f->commits, 3);
	op_load(OG_LOAD_OVERWRITE, "{\"type\":\"Person\",\"data\":{\"slug\":\"a\"}}", 0);
	ck_assert_int_eq(got.code, 0);
	ck_assert(f->all_keys && f->nstrict == 1 && f->nscanned == 2);
	end();
}
END_TEST

START_TEST(a_load_in_pieces_waits_for_its_segments)
{
	char *text = many(0, 20000);

	begin();
	ck_assert_int_eq(stream(OG_LOAD_APPEND, text, 1000 + 313 * (size_t)_i, 1u << 18, (unsigned)_i), 0);
	ck_assert_uint_eq(graph_rows(&f->g, "node:Person"), 20000);
	ck_assert_uint_eq(graph_rows(&f->g, "edge:Knows"), 20000);
	ck_assert_uint_gt(got.ready, 1);
	ck_assert_uint_gt(f->nsegs, 4);
	ck_assert_uint_le(f->max_puts, 4);
	ck_assert_uint_eq(f->commits, 1);
	free(text);
	end();
}
END_TEST

/* Whatever answer fails: one call back with that error, no commit, nothing leaked. */
START_TEST(fails_at_every_answer)
{
	char *text = many(0, 8000);
	int fails = 0;

	for (int n = 0; n < 40; n++) {
		begin();
		f->fail_call = n;
		if (stream(OG_LOAD_APPEND, text, 4000, 1u << 18, (unsigned)n) < 0) {
			ck_assert_str_eq(got.message, "away");
			ck_assert_uint_eq(got.calls, 1);
			ck_assert_uint_eq(f->commits, 0);
			fails++;
		}
		end();
	}
	ck_assert_int_gt(fails, 5);
	free(text);
}
END_TEST

START_TEST(may_be_cancelled_between_any_two_answers)
{
	char *text = many(0, 8000);

	for (int n = 0; n < 30; n++) {
		struct og_load_req req = { .mode = OG_LOAD_APPEND, .budget = 1u << 18 };
		struct og_load *l;

		begin();
		got = (struct outcome){ 0 };
		l = og_op_load(&ops, &req, og_slice_str(text), on_load, NULL);
		for (int i = 0; i < n && !got.calls; i++)
			pump((size_t)i);
		if (!got.calls) {
			og_load_cancel(l);
			while (pump(0))
				;
			ck_assert_uint_eq(got.calls, 0);
		}
		end();
	}
	free(text);
}
END_TEST

static void somebody_else(void)
{
	struct og_loader *l;
	struct load_verdict v;
	struct og_error err = { 0 };

	/* The rival's row. */
	ck_assert_int_eq(og_loader_new(f->g.catalog, OG_LOAD_APPEND, 1u << 20, false, &l, &err), 0);
	ck_assert_int_eq(og_loader_feed(l, OG_SLICE("{\"type\":\"Person\",\"data\":{\"slug\":\"p5\",\"mail\":\"m5\"}}"), true, &err), 0);
	ck_assert_int_eq(og_loader_end(l, &err), 0);
	ck_assert_int_eq(og_load_check(l, f->g.view, &v, &err), 0);
	for (uint32_t i = 0; i < l->ntypes; i++)
		if (l->types[i].used)
			graph_add_layer(&f->g, i, og_buf_view(&l->types[i].body));
	graph_open(&f->g);
	og_load_verdict_fini(&v);
	og_loader_free(l);
	f->before_commit = NULL;
}

/* After a lost race everything is checked on the newer state: counts, ids, values. */
START_TEST(a_lost_race_is_checked_again)
{
	char *text = many(0, 3000);

	for (int big = 0; big < 2; big++) {
		size_t budget = big ? 1u << 17 : 1u << 26;

		begin();
		f->again = 1;
		f->counted = true;
		f->before_commit = somebody_else;
		ck_assert_int_eq(stream(OG_LOAD_MERGE, text, 5000, budget, 3), 0);
		ck_assert_uint_eq(graph_rows(&f->g, "node:Person"), 3000);
		end();
		begin();
		f->again = 1;
		f->before_commit = somebody_else;
		ck_assert_int_eq(stream(OG_LOAD_APPEND, text, 5000, budget, 3), OG_ERR_CONFLICT);
		ck_assert_str_eq(got.message, "node type 'Person' already has this id (line 11)");
		end();
	}
	begin();
	f->again = 100;
	f->counted = true;
	ck_assert_int_eq(stream(OG_LOAD_MERGE, text, 5000, 1u << 26, 3), OG_ERR_CONFLICT);
	ck_assert_str_eq(got.message, "manifest publish exhausted 5 retries against concurrent writers");
	ck_assert_uint_eq(f->again, 94);
	f->again = 0;
	end();
	free(text);
}
END_TEST

#define ONE_EDGE "{\"edge\":\"Knows\",\"from\":\"a\",\"to\":\"a\"}"
#define ONE_NODE "{\"type\":\"Person\",\"data\":{\"slug\":\"a\"}}"

/* A commit is its own look: a load that becomes one asks for no other. */
START_TEST(a_load_asks_the_store_nothing)
{
	begin();
	op_load(OG_LOAD_MERGE, ONE_NODE ONE_EDGE, 0);
	ck_assert_int_eq(got.code, 0);
	ck_assert_uint_eq(f->looks, 0);
	ck_assert(!f->confirmed);
	/* A stream is read by a state that was confirmed once, and checked by that of this host. */
	ck_assert_int_eq(stream(OG_LOAD_MERGE, ONE_NODE, 100, 0, 0), 0);
	ck_assert_uint_eq(f->looks, 1);
	ck_assert(!f->confirmed);
	f->doorbell = true;
	op_load(OG_LOAD_MERGE, ONE_NODE, 0);
	ck_assert_int_eq(got.code, 0);
	ck_assert(f->confirmed);
	ck_assert_int_eq(stream(OG_LOAD_MERGE, ONE_NODE, 100, 0, 0), 0);
	ck_assert(f->confirmed);
	end();
}
END_TEST

static const char small[] = "node Person { slug: String @key } edge Knows: Person -> Person";

static char *own_schema(void)
{
	return strndup(f->g.catalog->source.p, f->g.catalog->source.len);
}

/* What another host has made possible is not refused because this one has not heard of it. */
START_TEST(a_refusal_comes_from_the_newest_state)
{
	char *schema;

	for (int streamed = 0; streamed < 2; streamed++) {
		begin();
		op_load(OG_LOAD_MERGE, ONE_NODE, 0);
		schema = own_schema();
		fall_behind(schema);
		free(schema);
		f->looks = 0;
		if (streamed) {
			f->behind = false;
			f->late = true;
			ck_assert_int_eq(stream(OG_LOAD_MERGE, ONE_EDGE, 100, 0, 0), 0);
			ck_assert_uint_eq(f->looks, 2);
		} else {
			op_load(OG_LOAD_MERGE, ONE_EDGE, 0);
			ck_assert_uint_eq(f->looks, 1);
			ck_assert(f->confirmed);
		}
		ck_assert_msg(got.code == 0, "%s", got.message);
		ck_assert_uint_eq(graph_rows(&f->g, "edge:Knows"), 1);
		end();
	}
}
END_TEST

/* Where nothing has moved the refusal stands, without another check. */
START_TEST(a_refusal_that_stands_is_one_look)
{
	static const char *const bad[] = { ONE_EDGE, "{\"type\":\"Nobody\",\"data\":{}}", "no json", "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"age\":-1}}" };
	static const unsigned runs[] = { 3, 1, 1, 2 };	/* reading, its end, the check */

	for (size_t i = 0; i < OG_COUNT(bad); i++) {
		begin();
		op_load(OG_LOAD_MERGE, bad[i], 0);
		ck_assert_int_eq(got.code, OG_ERR_BAD);
		ck_assert_uint_eq(f->looks, 1);
		ck_assert_uint_le(f->runs, 3);
		ck_assert_uint_ge(f->runs, runs[i]);
		ck_assert_uint_eq(f->commits, 0);
		end();
	}
}
END_TEST

/* A schema that this host has not heard of: records are read again by it, whether the old one refused them or not. */
START_TEST(a_new_schema_is_read_by)
{
	static const char note[] = "{\"type\":\"Note\",\"data\":{\"text\":\"t\"}}";

	begin();
	fall_behind(small);
	op_load(OG_LOAD_MERGE, note, 0);
	ck_assert_msg(got.code == 0, "%s", got.message);
	ck_assert_uint_eq(f->looks, 1);
	ck_assert_uint_eq(graph_rows(&f->g, "node:Note"), 1);
	end();
	begin();
	fall_behind(small);
	op_load(OG_LOAD_MERGE, ONE_NODE, 0);
	ck_assert_msg(got.code == 0, "%s", got.message);
	ck_assert_uint_eq(graph_rows(&f->g, "node:Person"), 1);
	ck_assert_uint_eq(f->commits, 1);
	end();
	/* What the new one forbids is refused, by its rules. */
	begin();
	fall_behind(small);
	op_load(OG_LOAD_MERGE, "{\"type\":\"Person\",\"data\":{\"slug\":\"A A\"}}", 0);
	ck_assert_int_eq(got.code, OG_ERR_BAD);
	ck_assert_uint_eq(f->commits, 0);
	end();
}
END_TEST

static void schema_moves(void)
{
	f->before_commit = NULL;
	f->snap.catalog = f->old.catalog;
}

/* A stream is read again where its bytes can be had again. */
START_TEST(a_stream_is_rewound)
{
	for (int big = 0; big < 2; big++) {
		char *text = many(0, big ? 8000 : 10);

		for (rewindable = 0;; rewindable = true) {
			char *schema;
			int rc;

			begin();
			schema = own_schema();
			/* The same but for a letter: another schema, by which the same records can be read. */
			memcpy(strstr(schema, "who"), "WHO", 3);
			fall_behind(schema);
			free(schema);
			f->behind = false;
			f->again = 1;
			f->counted = true;
			f->before_commit = schema_moves;
			rc = stream(OG_LOAD_APPEND, text, 4000, big ? 1u << 18 : 0, 5);
			ck_assert_uint_eq(f->rewinds, rewindable ? 1 : 0);
			if (rewindable)
				ck_assert_msg(rc == 0, "%s", got.message);
			else
				ck_assert_str_eq(got.message, "the schema changed while records were read; load them again");
			end();
			if (rewindable)
				break;
		}
		rewindable = false;
		free(text);
	}
}
END_TEST

START_TEST(a_branch_may_be_new)
{
	struct og_load_req req = { .mode = OG_LOAD_MERGE, .branch = OG_SLICE("b") };

	begin();
	fall_behind(small);
	f->born = true;
	got = (struct outcome){ 0 };
	ck_assert_ptr_nonnull(og_op_load(&ops, &req, OG_SLICE(ONE_NODE), on_load, NULL));
	while (pump(0))
		;
	ck_assert_msg(got.code == 0, "%s", got.message);
	ck_assert_uint_eq(f->looks, 1);
	end();
}
END_TEST

START_TEST(a_branch_must_exist)
{
	struct og_load_req req = { .mode = OG_LOAD_MERGE, .branch = OG_SLICE("b") };

	begin();
	got = (struct outcome){ 0 };
	ck_assert_ptr_null(og_op_load(&ops, &req, OG_SLICE(""), on_load, NULL));
	ck_assert_int_eq(got.code, OG_ERR_NOT_FOUND);
	ck_assert_str_eq(got.message, "branch 'b' not found; pass `from` to create it");
	req.from = OG_SLICE("main");
	ck_assert_ptr_null(og_op_load(&ops, &req, OG_SLICE(""), on_load, NULL));
	ck_assert_int_eq(got.code, OG_ERR_UNSUPPORTED);
	req.branch = OG_SLICE(" ");
	ck_assert_ptr_null(og_load_start(&ops, &req, on_ready, on_load, NULL));
	ck_assert_str_eq(got.message, "branch name cannot be empty");
	req.branch = OG_SLICE("main");
	ck_assert_ptr_nonnull(og_op_load(&ops, &req, OG_SLICE(""), on_load, NULL));
	end();
	ck_assert_int_eq(got.code, 0);
}
END_TEST

START_TEST(a_file_that_is_not_text_cannot_be_read)
{
	begin();
	ck_assert_int_eq(stream(OG_LOAD_MERGE, "{\"type\":\"Note\",\"data\":{\"text\":\"\xff\"}}", 100, 0, 0), OG_ERR_BAD);
	end();
}
END_TEST

/* ---- exports ---- */

struct reading {
	struct og_export *x;
	unsigned ready;
	int code;
};

static void on_export(void *arg, struct og_export *x, const struct og_error *err)
{
	struct reading *r = arg;

	r->ready++;
	r->code = err->code;
	if (!x)
		r->x = NULL;
}

static int read_export(const struct og_export_req *req, struct og_buf *out)
{
	struct reading r = { 0 };
	struct og_error err = { 0 };
	unsigned seen = 0;
	int rc = OG_EXPORT_WAIT;

	r.x = og_op_export(&ops, req, on_export, &r);
	if (!r.x)
		return r.code;
	while (rc > 0) {
		while (rc == OG_EXPORT_WAIT && r.ready == seen && pump(0))
			;
		seen = r.ready;
		if (r.code < 0)
			return r.code;
		rc = og_export_next(r.x, out, &err);
	}
	og_export_free(r.x);
	return rc;
}

START_TEST(an_export_comes_in_pieces)
{
	char *text = many(0, 5000), *all;
	struct og_slice nobody = OG_SLICE("Nobody");
	struct og_export_req req = { 0 }, wrong = { .type_names = &nobody, .ntype_names = 1 };
	struct og_buf out = { 0 };

	begin();
	op_load(OG_LOAD_APPEND, text, 1u << 26);
	ck_assert_int_eq(read_export(&req, &out), 0);
	all = graph_export(&f->g, NULL);
	ck_assert_str_eq(out.data, all);
	ck_assert_uint_gt(out.len, 500000);
	ck_assert_int_eq(read_export(&wrong, &out), OG_ERR_BAD);
	req.branch = OG_SLICE("b");
	ck_assert_int_eq(read_export(&req, &out), OG_ERR_NOT_FOUND);
	for (int n = 0; n < 20; n++) {	/* given up anywhere, or failing there */
		struct reading r = { 0 };
		struct og_error err = { 0 };

		req = (struct og_export_req){ 0 };
		f->answers = 0;
		f->fail_call = n % 2 ? n : -1;
		r.x = og_op_export(&ops, &req, on_export, &r);
		for (int i = 0; i < n && r.x; i++)
			if (!pump(0) && og_export_next(r.x, &out, &err) == OG_EXPORT_END)
				break;
		og_export_free(r.x);
		while (pump(0))
			;
	}
	free(all);
	free(text);
	og_buf_fini(&out);
	end();
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, a_small_load_is_one_commit_of_deltas);
	tcase_add_loop_test(tc, a_load_in_pieces_waits_for_its_segments, 0, 6);
	tcase_add_test(tc, fails_at_every_answer);
	tcase_add_test(tc, may_be_cancelled_between_any_two_answers);
	tcase_add_test(tc, a_lost_race_is_checked_again);
	tcase_add_test(tc, a_load_asks_the_store_nothing);
	tcase_add_test(tc, a_refusal_comes_from_the_newest_state);
	tcase_add_test(tc, a_refusal_that_stands_is_one_look);
	tcase_add_test(tc, a_new_schema_is_read_by);
	tcase_add_test(tc, a_stream_is_rewound);
	tcase_add_test(tc, a_branch_may_be_new);
	tcase_add_test(tc, a_branch_must_exist);
	tcase_add_test(tc, a_file_that_is_not_text_cannot_be_read);
	tcase_add_test(tc, an_export_comes_in_pieces);
}

int main(void)
{
	return suite_run("load_op", add, 120);
}
