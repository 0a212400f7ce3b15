/* The routes' operations on the graph. */
#include "config.h"

#include "worker.h"

#include <stdlib.h>

static struct og_slice branch_or_null(struct og_slice name)
{
	return og_slice_is(name, "main") ? og_slice(NULL, 0) : name;
}

/* Texts of ids that a commit object shows; they live in the call's arena. */
static struct og_slice ulid_text(struct og_api_call *c, const struct og_ulid *u)
{
	struct og_ulid_text t = og_ulid_format(u);

	return og_ulid_zero(u) ? og_slice(NULL, 0) : og_arena_slice(&c->arena, og_slice(t.s, OG_ULID_CHARS));
}

static void commit_of(struct og_api_call *c, const struct og_wire_commit *w, struct og_slice branch, struct og_api_commit *out)
{
	*out = (struct og_api_commit){ .id = ulid_text(c, &w->commit), .branch = branch_or_null(branch), .manifest_version = w->version,
				       .parent = ulid_text(c, &w->parent), .merged_parent = ulid_text(c, &w->merged), .actor = w->actor,
				       .created_at_us = w->at_us };
}

/* ---- snapshot, schema ---- */

static void on_snapshot(void *arg, struct og_snap *s, const struct og_error *err)
{
	struct og_api_call *c = arg;
	struct og_api_snapshot out = { 0 };
	struct og_api_table *t;
	struct og_ulid main_id;

	if (!s) {
		og_api_fail(c, err);
		return;
	}
	t = og_arena_array(&c->arena, s->ntypes ? s->ntypes : 1, sizeof(*t));
	if (!t) {
		struct og_error e = { 0 };

		og_arena_error(&c->arena, &e);
		og_api_fail(c, &e);
		return;
	}
	main_id = og_graph_id(s->graph);
	for (uint32_t i = 0; i < s->ntypes; i++) {
		t[i].table_key = s->catalog->types[i].table_key;
		t[i].table_version = s->types[i].table_version;
		t[i].row_count = s->types[i].rows;
		/* Content that a branch took over from main is main's. */
		if (og_ulid_cmp(&s->types[i].owner, &main_id) != 0 && og_ulid_cmp(&s->types[i].owner, &s->branch) == 0)
			t[i].table_branch = s->branch_name;
	}
	out.branch = s->branch_name;
	out.manifest_version = s->version;
	out.internal_schema_version = 1;
	out.tables = t;
	out.ntables = s->ntypes;
	og_api_reply_snapshot(c, &out);
}

static int api_snapshot(void *graph, struct og_api_call *c, struct og_slice branch, struct og_error *err)
{
	struct worker *w = graph;

	(void)err;
	og_graph_state(w->graph, branch, og_slice(NULL, 0), on_snapshot, c);
	return 0;
}

static void on_schema(void *arg, struct og_snap *s, const struct og_error *err)
{
	struct og_api_call *c = arg;

	if (s)
		og_api_reply_schema(c, s->catalog->source);
	else
		og_api_fail(c, err);
}

static int api_schema(void *graph, struct og_api_call *c, struct og_error *err)
{
	struct worker *w = graph;

	(void)err;
	og_graph_state(w->graph, og_slice(NULL, 0), og_slice(NULL, 0), on_schema, c);
	return 0;
}

/* ---- queries ---- */

static void release_op(void *arg)
{
	og_op_release(arg);
}

/* A call whose operation was cancelled ends when its peer has gone: the answer goes nowhere. */
static void on_rows(void *arg, const struct og_query_result *r, const struct og_error *err)
{
	struct og_api_call *c = arg;
	struct og_api_rows out = { 0 };
	struct og_ulid_text id;

	c->user = NULL;
	if (!r) {
		og_api_fail(c, err);
		return;
	}
	id = og_ulid_format(&r->commit);
	og_op_keep(r->op);
	out.query_name = r->query_name;
	out.branch = r->branch;
	out.snapshot = r->snapshot;
	out.graph_commit_id = og_slice(id.s, OG_ULID_CHARS);
	out.row_count = r->row_count;
	out.columns_json = r->columns_json;
	out.rows_json = r->rows_json;
	out.release = release_op;
	out.arg = r->op;
	og_api_reply_rows(c, &out);
}

static int api_read(void *graph, struct og_api_call *c, const struct og_api_read *q, struct og_error *err)
{
	struct worker *w = graph;
	struct og_query_req req = { .route = q->legacy ? OG_QUERY_LEGACY : OG_QUERY_READ_ONLY, .source = q->query, .name = q->name,
				    .params = q->params, .branch = q->branch, .snapshot = q->snapshot };
	struct og_op *op;

	(void)err;
	op = og_op_query(w->ops, &req, on_rows, c);
	if (op)
		c->user = op;
	return 0;
}

/* ---- mutations ---- */

static void on_changed(void *arg, const struct og_mutate_result *r, const struct og_error *err)
{
	struct og_api_call *c = arg;
	struct og_api_change out = { 0 };
	struct og_api_commit commit;

	if (!r) {
		og_api_fail(c, err);
		return;
	}
	out.branch = r->branch;
	out.query_name = r->query_name;
	out.affected_nodes = r->affected_nodes;
	out.affected_edges = r->affected_edges;
	if (r->committed) {
		commit_of(c, &r->commit, r->branch, &commit);
		out.commit = &commit;
	}
	og_api_reply_change(c, &out);
}

static int api_write(void *graph, struct og_api_call *c, const struct og_api_write *q, struct og_error *err)
{
	struct worker *w = graph;
	struct og_mutate_req req = { .source = q->query, .name = q->name, .params = q->params, .branch = q->branch, .actor = c->actor };

	(void)err;
	(void)og_op_mutate(w->ops, &req, on_changed, c);	/* a write goes on when its client has gone */
	return 0;
}

static void api_cancelled(void *graph, struct og_api_call *c)
{
	struct og_op *op = c->user;

	(void)graph;
	if (op)
		og_op_stop(op);
}

const struct og_api_ops worker_api_ops = {
	.snapshot = api_snapshot,
	.read = api_read,
	.write = api_write,
	.schema = api_schema,
	.cancelled = api_cancelled,
};
