/* The routes' operations on the graph. */
#include "config.h"

#include "worker.h"

#include <stdlib.h>

#include "load/export.h"
#include "load/load.h"

struct worker_export;

/* What a call is waiting for, should its peer go away. */
struct call_user {
	struct og_op *op;
	struct worker_export *export;
};

static int set_user(struct og_api_call *c, struct og_op *op, struct worker_export *export, struct og_error *err)
{
	struct call_user *u = og_arena_array(&c->arena, 1, sizeof(*u));

	if (!u)
		return og_arena_error(&c->arena, err);
	*u = (struct call_user){ op, export };
	c->user = u;
	return 0;
}

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
	og_graph_state(w->graph, OG_LOOK_RECENT, branch, og_slice(NULL, 0), on_snapshot, c);
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
	og_graph_state(w->graph, OG_LOOK_RECENT, og_slice(NULL, 0), og_slice(NULL, 0), on_schema, c);
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

	op = og_op_query(w->ops, &req, on_rows, c);
	if (op && set_user(c, op, NULL, err) < 0)
		og_error_clear(err);	/* it cannot be cancelled, that is all */
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

/* ---- loads ---- */

#define LOAD_BUDGET (128u * OG_MIB)	/* of a body of at most 32 MiB; no temporary files here */

static enum og_load_mode load_mode(enum og_api_mode m)
{
	switch (m) {
	case OG_API_MERGE:
		return OG_LOAD_MERGE;
	case OG_API_APPEND:
		return OG_LOAD_APPEND;
	case OG_API_OVERWRITE:
		return OG_LOAD_OVERWRITE;
	}
	return OG_LOAD_MERGE;
}

static enum og_api_mode api_mode(enum og_load_mode m)
{
	switch (m) {
	case OG_LOAD_MERGE:
		return OG_API_MERGE;
	case OG_LOAD_APPEND:
		return OG_API_APPEND;
	case OG_LOAD_OVERWRITE:
		return OG_API_OVERWRITE;
	}
	return OG_API_MERGE;
}

static void on_loaded(void *arg, const struct og_load_result *r, const struct og_error *err)
{
	struct og_api_call *c = arg;
	struct og_api_loaded out = { 0 };
	struct og_api_loaded_table *t;
	struct og_api_commit commit;

	if (!r) {
		og_api_fail(c, err);
		return;
	}
	t = og_arena_array(&c->arena, r->ntables ? r->ntables : 1, sizeof(*t));
	if (!t) {
		struct og_error e = { 0 };

		og_arena_error(&c->arena, &e);
		og_api_fail(c, &e);
		return;
	}
	for (size_t i = 0; i < r->ntables; i++)
		t[i] = (struct og_api_loaded_table){ r->tables[i].table_key, r->tables[i].rows_loaded };
	commit_of(c, r->commit, r->branch, &commit);
	out.uri = og_slice_str(og_graph_uri(((struct worker *)c->graph)->graph));
	out.branch = r->branch;
	out.base_branch = r->base_branch;
	out.branch_created = r->branch_created;
	out.mode = api_mode(r->mode);
	out.tables = t;
	out.ntables = r->ntables;
	out.commit = &commit;
	og_api_reply_loaded(c, &out);
}

static int api_load(void *graph, struct og_api_call *c, const struct og_api_load *q, struct og_error *err)
{
	struct worker *w = graph;
	struct og_load_req req = { .mode = load_mode(q->mode), .branch = q->branch, .from = q->from, .actor = c->actor, .budget = LOAD_BUDGET };

	(void)err;
	(void)og_op_load(w->ops, &req, q->data, on_loaded, c);	/* a write goes on when its client has gone */
	return 0;
}

/* ---- exports ---- */

struct worker_export {
	struct og_api_call *call;
	struct og_export *x;		/* NULL while og_op_export has not returned, and once it has failed */
	struct og_buf piece;
	bool begun;
	bool ready;			/* a piece may be asked for */
	bool *ended;			/* within api_export: tells it that this is gone */
};

/* err NULL: all was sent. Else an error answer, or the stream is cut off. */
static void export_end(struct worker_export *e, const struct og_error *err)
{
	struct og_api_call *c = e->call;

	if (e->ended)
		*e->ended = true;
	c->user = NULL;
	og_export_free(e->x);
	og_buf_fini(&e->piece);
	free(e);
	if (err)
		og_api_fail(c, err);
	else
		og_api_stream_end(c);
}

/* Pieces until the connection is full, the export waits for images, or there are no more. */
static void export_pump(struct worker_export *e)
{
	struct og_error err = { 0 };
	enum og_http_room room = OG_HTTP_ROOM;
	int rc = OG_EXPORT_MORE;

	if (!e->begun) {
		e->begun = true;
		og_api_stream_begin(e->call);
	}
	e->ready = false;
	while (rc == OG_EXPORT_MORE && room == OG_HTTP_ROOM) {
		og_buf_clear(&e->piece);
		rc = og_export_next(e->x, &e->piece, &err);
		if (e->piece.len)
			room = og_api_stream_write(e->call, og_buf_view(&e->piece));
	}
	if (room == OG_HTTP_GONE)
		rc = og_error_set(&err, OG_ERR_CANCELLED, "the client has gone");
	if (rc < 0)
		export_end(e, &err);
	else if (rc == OG_EXPORT_END)
		export_end(e, NULL);
	else if (rc == OG_EXPORT_MORE)
		e->ready = true;	/* export_more follows when there is room */
}

static void on_export_ready(void *arg, struct og_export *x, const struct og_error *err)
{
	struct worker_export *e = arg;

	if (!x) {
		e->x = NULL;	/* gone already */
		export_end(e, err);
		return;
	}
	e->ready = true;
	if (e->x)
		export_pump(e);
}

static int api_export(void *graph, struct og_api_call *c, const struct og_api_export *q, struct og_error *err)
{
	struct worker *w = graph;
	struct og_export_req req = { .branch = q->branch, .type_names = q->type_names.v, .ntype_names = q->type_names.n,
				     .table_keys = q->table_keys.v, .ntable_keys = q->table_keys.n };
	struct worker_export *e = calloc(1, sizeof(*e));
	struct og_export *x;
	bool ended = false;

	if (!e)
		return og_error_nomem(err);
	e->call = c;
	e->ended = &ended;
	x = og_op_export(w->ops, &req, on_export_ready, e);
	if (ended)
		return 0;
	e->ended = NULL;
	e->x = x;
	if (set_user(c, NULL, e, err) < 0) {
		export_end(e, err);
		return 0;
	}
	if (e->ready)
		export_pump(e);
	return 0;
}

static void api_export_more(void *graph, struct og_api_call *c)
{
	struct call_user *u = c->user;

	(void)graph;
	if (u && u->export && u->export->ready)
		export_pump(u->export);
}

/* The peer has gone. A query ends by its flag; an export stands between two pieces and ends here. */
static void api_cancelled(void *graph, struct og_api_call *c)
{
	struct call_user *u = c->user;
	struct og_error err = { 0 };

	(void)graph;
	if (u && u->op)
		og_op_stop(u->op);
	if (u && u->export) {
		og_error_set(&err, OG_ERR_CANCELLED, "the client has gone");
		export_end(u->export, &err);
	}
}

const struct og_api_ops worker_api_ops = {
	.snapshot = api_snapshot,
	.read = api_read,
	.write = api_write,
	.load = api_load,
	.schema = api_schema,
	.export = api_export,
	.export_more = api_export_more,
	.cancelled = api_cancelled,
};
