/* Whole operations on a graph: a query, a mutation. */
#include "config.h"

#include "graph/op.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/date.h"
#include "graph/plans.h"

#define SHORT_ROWS 1024u	/* what a plan on the loop may touch */
#define SHORT_SCAN 4096u	/* rows that a mutation may look at there */
#define REEVALUATIONS 5u

struct og_ops {
	struct og_graph *graph;
	const struct og_runner *runner;
	struct event_base *base;
	size_t query_memory;
	struct og_exec_pool pool;
	uint32_t query_timeout_ms;
	struct plan_cache plans;
	struct og_ulid_gen ids;
};

struct og_op {
	struct og_ops *ops;
	struct og_arena arena;		/* the request */
	struct og_arena arena_run;	/* one evaluation of a mutation, under the memory limit */
	bool mutation;
	enum og_query_route route;
	struct og_slice source, name, branch, snapshot, actor;
	const struct og_json *params;
	og_query_cb query_cb;
	og_mutate_cb mutate_cb;
	void *arg;
	bool starting, ended;		/* within og_op_query / og_op_mutate */
	bool kept;			/* the result is still being read */
	bool off_loop;			/* a thread works on it */
	bool moved_on;			/* a mutation went on to the long pool */
	atomic_int cancel;
	struct event *timer;
	struct og_error err;
	struct og_snap *snap;
	struct plan_entry *plan;
	struct gq_bindings bindings;
	struct og_view *view;
	struct og_exec *exec;
	struct og_writeset ws;
	struct og_ulid_gen ids;		/* off the loop */
	unsigned tries, reopens;
	enum og_look look;		/* that its state comes from */
	struct og_exec_limits limits;
};

struct og_ops *og_ops_new(const struct og_ops_cfg *cfg, struct og_error *err)
{
	struct og_ops *o = calloc(1, sizeof(*o));

	if (!o) {
		og_error_nomem(err);
		return NULL;
	}
	o->graph = cfg->graph;
	o->runner = cfg->runner;
	o->base = cfg->base;
	o->query_memory = cfg->query_memory;
	o->pool.limit = cfg->pool_memory;
	o->query_timeout_ms = cfg->query_timeout_ms;
	o->plans.limit = cfg->plan_cache_bytes;
	return o;
}

void og_ops_free(struct og_ops *o)
{
	if (!o)
		return;
	plan_cache_fini(&o->plans);
	free(o);
}

struct og_graph *og_ops_graph(const struct og_ops *o)
{
	return o->graph;
}

const struct og_runner *og_ops_runner(const struct og_ops *o)
{
	return o->runner;
}

struct og_ulid_gen *og_ops_ids(struct og_ops *o)
{
	return &o->ids;
}

/* ---- life ---- */

static struct og_op *op_new(struct og_ops *o)
{
	struct og_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->ops = o;
	op->starting = true;
	og_arena_init(&op->arena, 0);
	return op;
}

static void op_release(struct og_op *op)
{
	if (op->timer)
		event_free(op->timer);
	op->timer = NULL;
	og_exec_free(op->exec);
	op->exec = NULL;
	og_writeset_fini(&op->ws);
	og_view_unref(op->view);
	op->view = NULL;
	plan_unref(op->plan);
	op->plan = NULL;
	og_snap_unref(op->snap);
	op->snap = NULL;
}

static void op_free(struct og_op *op)
{
	op_release(op);
	og_arena_fini(&op->arena_run);
	og_arena_fini(&op->arena);
	free(op);
}

/* Frees, or leaves that to the caller that is still inside of og_op_query / og_op_mutate. */
static void op_end(struct og_op *op)
{
	op->ended = true;
	if (!op->starting && !op->kept)
		op_free(op);
}

void og_op_keep(struct og_op *op)
{
	op->kept = true;
}

void og_op_release(struct og_op *op)
{
	op->kept = false;
	if (op->ended && !op->starting)
		op_free(op);
}

static void mutate_again(struct og_op *op);

/*
 * The put of a commit is its own look, so a mutation is evaluated on what this host knows. But whatever does not become a commit says something about
 * the graph: that must come from the newest state.
 */
static bool look_again(struct og_op *op, int code)
{
	if (!op->mutation || op->look == OG_LOOK_NEW || atomic_load(&op->cancel) || !og_graph_refusal(code))
		return false;
	op->look = OG_LOOK_NEW;
	og_error_clear(&op->err);
	mutate_again(op);
	return true;
}

static void op_fail(struct og_op *op, const struct og_error *err)
{
	if (look_again(op, err->code))
		return;
	if (op->mutation)
		op->mutate_cb(op->arg, NULL, err);
	else
		op->query_cb(op->arg, NULL, err);
	op_end(op);
}

void og_op_stop(struct og_op *op)
{
	atomic_store(&op->cancel, OG_ERR_CANCELLED);
}

static bool stopped(const struct og_op *op)
{
	return atomic_load(&op->cancel) == OG_ERR_CANCELLED;
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct og_op *op = arg;

	int none = 0;

	(void)fd;
	(void)what;
	(void)atomic_compare_exchange_strong(&op->cancel, &none, OG_ERR_TIMEOUT);
}

static int copy_opt(struct og_op *op, struct og_slice in, struct og_slice *out, struct og_error *err)
{
	*out = og_slice(NULL, 0);
	if (!in.p)
		return 0;
	*out = og_arena_slice(&op->arena, in);
	return out->p ? 0 : og_arena_error(&op->arena, err);
}

/* ---- common steps ---- */

static int check_route(const struct og_op *op, const struct gq_query *q, struct og_error *err)
{
	if (op->mutation)
		return 0;	/* a read there is refused after the type check */
	if (q->is_mutation && op->route == OG_QUERY_READ_ONLY)
		return og_error_set(err, OG_ERR_BAD,
				    "query '%.*s' contains mutations (insert/update/delete); use POST /mutate for write queries", OG_FMT(q->name));
	return 0;
}

/* The errors that come before the type check, in their order: of the text, of the choice, of the route, of the parameters. */
static int early_errors(struct og_op *op, struct og_error *err)
{
	struct og_arena a;
	struct gq_file file;
	struct gq_query *q;
	struct gq_bindings b;
	int rc;

	og_arena_init(&a, 0);
	rc = gq_parse(&a, op->source, &file, err);
	if (rc == 0)
		rc = gq_select(&file, op->name, &q, err);
	if (rc == 0)
		rc = check_route(op, q, err);
	if (rc == 0)
		rc = gq_bind(&a, q, op->params, &b, err);
	og_arena_fini(&a);
	return rc;
}

static int compile(struct og_op *op, struct og_error *err)
{
	struct og_error early = { 0 };
	int rc;

	op->plan = plan_get(&op->ops->plans, op->snap->catalog, op->source, op->name, err);
	if (!op->plan) {
		if (early_errors(op, &early) < 0)
			*err = early;
		return err->code;
	}
	rc = check_route(op, op->plan->query, err);
	if (rc == 0)
		rc = gq_bind(&op->arena, op->plan->query, op->params, &op->bindings, err);
	op->bindings.now_ms = og_now_us() / 1000;
	if (rc == 0 && !op->mutation && op->plan->query->is_mutation)
		rc = og_error_set(err, OG_ERR_BAD, "type error: mutation query cannot be typechecked with read-query API");
	if (rc == 0 && op->mutation)
		rc = og_mutate_precheck(op->plan->query, err);
	if (rc == 0)
		rc = gq_require_params(op->plan->query, &op->bindings, err);
	return rc;
}

static void on_pinned(void *arg, struct og_view *v, const struct og_error *err);

static void on_state(void *arg, struct og_snap *snap, const struct og_error *err)
{
	struct og_op *op = arg;
	struct og_error e = { 0 };

	if (snap && stopped(op)) {
		og_error_set(&e, OG_ERR_CANCELLED, "cancelled");
		op_fail(op, &e);
		return;
	}
	if (!snap) {
		struct og_error early = { 0 };

		e = *err;
		/* A text that does not parse is the first thing wrong, whatever the branch. */
		if (e.code == OG_ERR_NOT_FOUND && early_errors(op, &early) < 0)
			e = early;
		op_fail(op, &e);
		return;
	}
	op->snap = og_snap_ref(snap);
	if (compile(op, &e) < 0) {
		op_fail(op, &e);
		return;
	}
	if (op->mutation) {
		og_graph_pin(op->snap, op->plan->needs, op->plan->nneeds, on_pinned, op);
	} else {
		size_t n;
		const struct og_need *needs = og_plan_needs(op->plan->plan, &n);

		og_graph_pin(op->snap, needs, n, on_pinned, op);
	}
}

static void start(struct og_op *op)
{
	og_graph_state(op->ops->graph, op->look, op->branch, op->snapshot, on_state, op);
}

static int go_off_loop(struct og_op *op, int (*step)(void *, uint64_t), void (*done)(void *), struct og_error *err)
{
	struct timeval tv = { op->ops->query_timeout_ms / 1000, (op->ops->query_timeout_ms % 1000) * 1000 };
	int rc;

	if (op->ops->query_timeout_ms) {
		op->timer = evtimer_new(op->ops->base, on_timeout, op);
		if (!op->timer || evtimer_add(op->timer, &tv) < 0)
			return og_error_nomem(err);
	}
	op->off_loop = true;
	rc = op->ops->runner->run(op->ops->runner->arg, step, done, op, err);
	if (rc < 0)
		op->off_loop = false;
	return rc;
}

/* An arena says only that it is full: the client is told of which limit. */
static void name_limit(const struct og_op *op, struct og_error *err)
{
	uint64_t limit = op->ops->query_memory;

	if (err->code != OG_ERR_TOO_LARGE || err->detail.kind != OG_DETAIL_NONE || !op->arena_run.over_limit)
		return;
	og_error_set(err, OG_ERR_TOO_LARGE, "resource limit exceeded for query_memory_bytes: actual %llu, limit %llu", (unsigned long long)limit + 1,
		     (unsigned long long)limit);
	err->detail.kind = OG_DETAIL_LIMIT;
	snprintf(err->detail.name, sizeof(err->detail.name), "query_memory_bytes");
	err->detail.expected = limit;
	err->detail.actual = limit + 1;
}

/* What a stopped operation is told. */
static void stop_reason(struct og_op *op)
{
	if (op->err.code == OG_ERR_TIMEOUT)
		og_error_set(&op->err, OG_ERR_TIMEOUT, "query exceeded its time limit of %u s", op->ops->query_timeout_ms / 1000);
}

/* ---- queries ---- */

static void query_done(struct og_op *op)
{
	struct og_query_result r = { 0 };

	r.query_name = op->plan->query->name;
	r.branch = op->snapshot.p ? og_slice(NULL, 0) : op->snap->branch_name;
	r.snapshot = op->snapshot;
	r.commit = op->snap->commit;
	r.row_count = og_exec_row_count(op->exec);
	r.columns_json = og_exec_columns_json(op->exec);
	r.rows_json = og_exec_rows_json(op->exec);
	r.op = op;
	op->query_cb(op->arg, &r, &op->err);
	op_end(op);
}

static int query_step(void *arg, uint64_t budget_us)
{
	struct og_op *op = arg;

	return og_exec_step(op->exec, budget_us, &op->err);
}

static void query_finished(void *arg)
{
	struct og_op *op = arg;

	op->off_loop = false;
	stop_reason(op);
	if (op->err.code < 0)
		op_fail(op, &op->err);
	else
		query_done(op);
}

static void run_query(struct og_op *op)
{
	struct og_error err = { 0 };
	int rc;

	op->limits = (struct og_exec_limits){ .memory = op->ops->query_memory, .pool = &op->ops->pool, .cancel = &op->cancel };
	rc = og_exec_new(op->plan->plan, &op->bindings, op->view, &op->limits, &op->exec, &err);
	if (rc == 0 && og_exec_short(op->exec, SHORT_ROWS)) {
		do {
			rc = og_exec_step(op->exec, 0, &err);
		} while (rc == OG_EXEC_MORE);
		if (rc == 0) {
			query_done(op);
			return;
		}
	} else if (rc == 0) {
		rc = go_off_loop(op, query_step, query_finished, &err);
		if (rc == 0)
			return;
	}
	op_fail(op, &err);
}

/* ---- mutations ---- */

/* Rows that a statement may look at, at most; checks at the end not counted. */
static uint64_t statement_rows(const struct og_view *v, const struct gq_stmt *s)
{
	bool by_key = s->where_prop && s->where_prop->key && s->type->nkey == 1 && s->op == GQ_EQ;
	uint64_t rows = 1;

	if (s->kind == GQ_INSERT)
		return 1;
	/* Edges of one node may be all there are. */
	if (!by_key)
		rows += v->types[s->type->index].rows;
	for (uint32_t i = 0; s->kind == GQ_DELETE && s->type->kind == OG_NODE && i < v->catalog->ntypes; i++) {
		const struct og_type *e = &v->catalog->types[i];

		if (e->kind == OG_EDGE && (e->src_type == s->type->index || e->dst_type == s->type->index))
			rows += v->types[i].rows;
	}
	return rows;
}

/* Whether all statements together, and the checks behind them, look at so few rows that the loop may run them. */
static bool mutation_is_short(const struct og_op *op)
{
	const struct gq_query *q = op->plan->query;
	const struct og_type *last = NULL;
	uint64_t rows = 0;

	for (uint32_t i = 0; i < q->nstmts && rows <= SHORT_SCAN; i++) {
		const struct gq_stmt *s = &q->stmts[i];

		rows += statement_rows(op->view, s);
		/* One scan a type, or a few where types alternate. */
		for (uint32_t c = 0; s->type != last && c < s->type->nconstraints; c++)
			if (s->type->constraints[c].kind == OG_C_UNIQUE)
				rows += op->view->types[s->type->index].rows;
		last = s->type;
	}
	return rows <= SHORT_SCAN;
}

static void mutate_again(struct og_op *op)
{
	op->moved_on = false;
	op_release(op);
	og_arena_fini(&op->arena_run);
	og_arena_init(&op->arena_run, op->ops->query_memory);
	start(op);
}

static void mutate_reply(struct og_op *op, const struct og_wire_commit *commit)
{
	struct og_mutate_result r = { 0 };

	r.query_name = op->plan->query->name;
	r.branch = op->snap->branch_name;
	r.affected_nodes = op->ws.affected_nodes;
	r.affected_edges = op->ws.affected_edges;
	r.committed = commit != NULL;
	if (commit)
		r.commit = *commit;
	op->mutate_cb(op->arg, &r, &op->err);
	op_end(op);
}

static void on_written(void *arg, const struct og_write_result *w)
{
	struct og_op *op = arg;
	struct og_error err = { 0 };

	switch (w->outcome) {
	case OG_WRITE_DONE:
		mutate_reply(op, w->commit);
		return;
	case OG_WRITE_FAILED:
		op->look = OG_LOOK_NEW;	/* og-storaged refuses from no older one; and an unknown end must not be followed by another try */
		op_fail(op, w->err);
		return;
	case OG_WRITE_AGAIN:
		break;
	}
	if (w->counted && ++op->tries > REEVALUATIONS) {
		og_error_set(&err, OG_ERR_CONFLICT, "manifest publish exhausted %u retries against concurrent writers", REEVALUATIONS);
		op_fail(op, &err);
		return;
	}
	/* What no race explains is a base that was too old. */
	if (!w->counted)
		op->look = OG_LOOK_NEW;
	mutate_again(op);
}

static void mutate_commit(struct og_op *op)
{
	struct og_wire_commit_req req = { .op = OG_WIRE_MUTATE, .actor = op->actor, .confirmed = op->look == OG_LOOK_NEW };
	struct og_error err = { 0 };
	struct og_buf *bodies = NULL;
	size_t nbodies = 0;
	int rc;

	if (op->ws.empty) {
		if (look_again(op, 0))
			return;
		mutate_reply(op, NULL);
		return;
	}
	/* A commit that cannot be sent ends the operation at once: it stays until what it lent is free again. */
	og_op_keep(op);
	rc = og_graph_writeset_req(&op->ws, &op->arena_run, &req, &bodies, &nbodies, &err);
	if (rc == 0)
		og_graph_commit(op->snap, &req, on_written, op);
	for (size_t i = 0; bodies && i <= nbodies && i < op->snap->ntypes; i++)
		og_buf_fini(&bodies[i]);
	if (rc < 0)
		op_fail(op, &err);
	og_op_release(op);
}

static int mutate_step(void *arg, uint64_t budget_us)
{
	struct og_op *op = arg;

	(void)budget_us;
	/* One piece of any length: only for the long pool, where whoever is not finished at once goes. */
	if (!op->moved_on) {
		op->moved_on = true;
		return 1;
	}
	return og_mutate_run(&op->arena_run, op->plan->query, &op->bindings, op->view, &op->limits, &op->ids, &op->ws, &op->err);
}

static void mutate_finished(void *arg)
{
	struct og_op *op = arg;

	op->off_loop = false;
	stop_reason(op);
	name_limit(op, &op->err);
	if (op->err.code < 0)
		op_fail(op, &op->err);
	else
		mutate_commit(op);
}

static void run_mutation(struct og_op *op)
{
	struct og_error err = { 0 };
	int rc;

	op->limits = (struct og_exec_limits){ .memory = op->ops->query_memory, .cancel = &op->cancel };
	if (mutation_is_short(op)) {
		rc = og_mutate_run(&op->arena_run, op->plan->query, &op->bindings, op->view, &op->limits, &op->ops->ids, &op->ws, &err);
		if (rc == 0) {
			mutate_commit(op);
			return;
		}
		name_limit(op, &err);
	} else {
		rc = go_off_loop(op, mutate_step, mutate_finished, &err);
		if (rc == 0)
			return;
	}
	op_fail(op, &err);
}

static void on_pinned(void *arg, struct og_view *v, const struct og_error *err)
{
	struct og_op *op = arg;

	if (!v) {
		/* Its images were given up meanwhile: the state is taken again, with the images of now. No write raced. */
		if (err->code == OG_ERR_GONE && op->reopens++ < REEVALUATIONS) {
			mutate_again(op);
			return;
		}
		op_fail(op, err);
		return;
	}
	op->view = og_view_ref(v);
	if (op->mutation)
		run_mutation(op);
	else
		run_query(op);
}

/* ---- entry ---- */

static int json_copy(struct og_arena *a, const struct og_json *in, struct og_json *out)
{
	*out = *in;
	switch ((enum og_json_type)in->type) {
	case OG_JT_NULL:
	case OG_JT_BOOL:
		return 0;
	case OG_JT_NUMBER:
		out->num.text = og_arena_slice(a, in->num.text);
		return out->num.text.p ? 0 : -1;
	case OG_JT_STRING:
		out->s = og_arena_slice(a, in->s);
		return out->s.p ? 0 : -1;
	case OG_JT_ARRAY:
		out->items.v = og_arena_array(a, in->items.n ? in->items.n : 1, sizeof(*out->items.v));
		for (size_t i = 0; out->items.v && i < in->items.n; i++)
			if (json_copy(a, &in->items.v[i], &out->items.v[i]) < 0)
				return -1;
		return out->items.v ? 0 : -1;
	case OG_JT_OBJECT:
		out->members.v = og_arena_array(a, in->members.n ? in->members.n : 1, sizeof(*out->members.v));
		for (size_t i = 0; out->members.v && i < in->members.n; i++) {
			out->members.v[i].key = og_arena_slice(a, in->members.v[i].key);
			if (!out->members.v[i].key.p || json_copy(a, &in->members.v[i].value, &out->members.v[i].value) < 0)
				return -1;
		}
		return out->members.v ? 0 : -1;
	}
	return -1;
}

static int copy_params(struct og_op *op, const struct og_json *params, struct og_error *err)
{
	struct og_json *copy;

	if (!params)
		return 0;
	copy = og_arena_alloc(&op->arena, sizeof(*copy));
	if (!copy || json_copy(&op->arena, params, copy) < 0)
		return og_arena_error(&op->arena, err);
	op->params = copy;
	return 0;
}

static struct og_op *launch(struct og_op *op)
{
	start(op);
	op->starting = false;
	if (!op->ended)
		return op;
	if (!op->kept)
		op_free(op);
	return NULL;
}

struct og_op *og_op_query(struct og_ops *o, const struct og_query_req *req, og_query_cb cb, void *arg)
{
	struct og_error err = { 0 };
	struct og_op *op = op_new(o);

	if (!op) {
		og_error_nomem(&err);
		cb(arg, NULL, &err);
		return NULL;
	}
	op->route = req->route;
	op->look = OG_LOOK_RECENT;
	op->query_cb = cb;
	op->arg = arg;
	if (copy_opt(op, req->source, &op->source, &err) < 0 || copy_opt(op, req->name, &op->name, &err) < 0 ||
	    copy_opt(op, req->branch, &op->branch, &err) < 0 || copy_opt(op, req->snapshot, &op->snapshot, &err) < 0 ||
	    copy_params(op, req->params, &err) < 0) {
		cb(arg, NULL, &err);
		op_free(op);
		return NULL;
	}
	return launch(op);
}

struct og_op *og_op_mutate(struct og_ops *o, const struct og_mutate_req *req, og_mutate_cb cb, void *arg)
{
	struct og_error err = { 0 };
	struct og_op *op = op_new(o);

	if (!op) {
		og_error_nomem(&err);
		cb(arg, NULL, &err);
		return NULL;
	}
	op->mutation = true;
	op->look = og_graph_look(o->graph, OG_LOOK_HOST);
	op->mutate_cb = cb;
	op->arg = arg;
	if (copy_opt(op, req->source, &op->source, &err) < 0 || copy_opt(op, req->name, &op->name, &err) < 0 ||
	    copy_opt(op, req->branch, &op->branch, &err) < 0 || copy_opt(op, req->actor, &op->actor, &err) < 0 ||
	    copy_params(op, req->params, &err) < 0) {
		cb(arg, NULL, &err);
		op_free(op);
		return NULL;
	}
	og_arena_init(&op->arena_run, o->query_memory);
	return launch(op);
}
