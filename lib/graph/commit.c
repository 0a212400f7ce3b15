/* Commits and segments of a worker or operator. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "graph/graph.h"
#include "graph/pin.h"

struct write_call {
	struct og_snap *snap;
	og_write_cb cb;
	void *arg;
};

/* The client's 409: og-storaged knows the type by id, its name is ours to give. */
static void name_conflict(const struct og_catalog *c, uint32_t type_id, uint64_t expected, uint64_t actual, struct og_error *e)
{
	const struct og_type *t = og_catalog_by_id(c, type_id);

	if (!t)
		return;
	og_error_set(e, OG_ERR_CONFLICT, "stale view of '%.*s': expected manifest table version %" PRIu64 " but current is %" PRIu64
		     " — refresh and retry", OG_FMT(t->table_key), expected, actual);
	e->detail.kind = OG_DETAIL_MANIFEST;
	e->detail.expected = expected;
	e->detail.actual = actual;
	snprintf(e->detail.name, sizeof(e->detail.name), "%.*s", OG_FMT(t->table_key));
}

static void end_write(struct write_call *c, enum og_write_outcome outcome, bool counted, const struct og_wire_commit *commit,
		      const struct og_error *err)
{
	struct og_write_result r = { outcome, counted, commit, err };

	c->cb(c->arg, &r);
	og_snap_unref(c->snap);
	free(c);
}

/* An answer that is none: the channel closes, and the writer is told what is known, nothing. Returns the code. */
static int end_unknown(struct write_call *w, const struct og_error *why)
{
	struct og_error told = { 0 };
	int rc = why->code;

	og_error_set(&told, OG_ERR_UNKNOWN, "the storage daemon's answer made no sense (%s): the write may or may not have been committed",
		     why->message);
	end_write(w, OG_WRITE_FAILED, false, NULL, &told);
	return rc;
}

static int end_conflict(struct write_call *w, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_wire_conflict c;
	struct og_error told = { 0 };

	if (og_wire_get_conflict(m->body, &c, err) < 0)
		return end_unknown(w, err);
	og_error_set(&told, OG_ERR_CONFLICT, "%.*s", OG_FMT(c.message));
	if (!c.reevaluate)
		name_conflict(w->snap->catalog, c.type_id, c.expected, c.actual, &told);
	end_write(w, c.reevaluate ? OG_WRITE_AGAIN : OG_WRITE_FAILED, c.counted, NULL, &told);
	return 0;
}

static int on_commit_answer(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct write_call *w = arg;
	struct og_wire_commit c;
	struct og_arena a;
	uint64_t bell;
	int rc;

	if (!m) {
		const struct og_chan *chan = w->snap->graph->chan;
		struct og_error told = *err;

		/* The channel went down with the answer: whether the commit landed is not known. A refusal came over it. */
		if (!chan || !og_chan_alive(chan))
			og_error_set(&told, OG_ERR_UNKNOWN,
				     "the storage daemon went away before it answered: the write may or may not have been committed");
		end_write(w, OG_WRITE_FAILED, false, NULL, &told);
		return 0;
	}
	if (m->type == OG_IPC_CONFLICT)
		return end_conflict(w, m, err);
	if (m->type != OG_IPC_COMMITTED) {
		og_error_set(err, OG_ERR_PEER, "COMMIT answered by %s", og_ipc_name(m->type));
		return end_unknown(w, err);
	}
	og_arena_init(&a, 0);
	rc = og_wire_get_committed(m->body, &a, &c, &bell, err);
	if (rc == 0)
		end_write(w, OG_WRITE_DONE, false, &c, NULL);
	else
		end_unknown(w, err);
	og_arena_fini(&a);
	return rc;
}

void og_graph_commit(struct og_snap *s, struct og_wire_commit_req *req, og_write_cb cb, void *arg)
{
	struct og_graph *g = s->graph;
	struct write_call *w = calloc(1, sizeof(*w));
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	int rc = 0;

	if (!w) {
		og_error_nomem(&err);
		cb(arg, &(struct og_write_result){ OG_WRITE_FAILED, false, NULL, &err });
		return;
	}
	*w = (struct write_call){ og_snap_ref(s), cb, arg };
	req->branch = s->branch;
	req->base_commit = s->commit;
	req->base_seq = s->seq;
	if (!g->chan)
		rc = graph_unavailable(&err);
	if (rc == 0) {
		og_wire_put_commit_req(&b, req);
		rc = og_chan_request(g->chan, OG_IPC_COMMIT, &b, -1, 0, on_commit_answer, w, NULL, &err);
	}
	og_buf_fini(&b);
	if (rc < 0)
		end_write(w, OG_WRITE_FAILED, false, NULL, &err);
}

static uint32_t *type_ids(struct og_arena *a, const struct og_writeset *w, bool strict, uint32_t *n)
{
	uint32_t *ids = og_arena_array(a, w->ntypes ? w->ntypes : 1, sizeof(*ids));

	*n = 0;
	for (uint32_t i = 0; ids && i < w->ntypes; i++)
		if (strict ? w->types[i].strict : w->types[i].scanned)
			ids[(*n)++] = w->types[i].type->id;
	return ids;
}

int og_graph_writeset_req(const struct og_writeset *w, struct og_arena *a, struct og_wire_commit_req *req, struct og_buf **bodies, size_t *nbodies,
			  struct og_error *err)
{
	struct og_buf *b = og_arena_array(a, w->ntypes ? w->ntypes : 1, sizeof(*b));

	req->strict = type_ids(a, w, true, &req->nstrict);
	req->scanned = type_ids(a, w, false, &req->nscanned);
	req->tables = og_arena_array(a, w->ntypes ? w->ntypes : 1, sizeof(*req->tables));
	req->ntables = 0;
	*bodies = b;
	*nbodies = 0;
	if (!b || !req->strict || !req->scanned || !req->tables)
		return og_arena_error(a, err);
	req->all_keys = w->all_keys;
	if (!w->all_keys) {
		req->reads = w->read.keys;
		req->nreads = (uint32_t)w->read.n;
		req->writes = w->written.keys;
		req->nwrites = (uint32_t)w->written.n;
	}
	for (uint32_t i = 0; i < w->ntypes; i++) {
		const struct og_ws_type *t = &w->types[i];

		if (!t->touched)
			continue;
		if (og_change_encode(&t->change, &b[*nbodies], err) < 0)
			return err->code;
		req->tables[req->ntables++] = (struct og_wire_write){ .type_id = t->type->id, .dn = t->dn, .body = og_buf_view(&b[*nbodies]) };
		(*nbodies)++;
	}
	return 0;
}

/* ---- segments ---- */

struct segment_call {
	og_segment_cb cb;
	void *arg;
};

static int on_segment(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct segment_call *c = arg;
	struct og_wire_segment seg = { 0 };
	struct og_reader r;
	int rc = 0;

	if (m && m->type != OG_IPC_SEGMENT) {
		rc = og_error_set(err, OG_ERR_PEER, "SEGMENT_PUT answered by %s", og_ipc_name(m->type));
	} else if (m) {
		r = og_ipc_body(m);
		og_wire_read_segment(&r, &seg);
		rc = og_reader_end(&r, err);
	}
	c->cb(c->arg, m && rc == 0 ? &seg : NULL, err);
	free(c);
	return rc;
}

void og_graph_segment_put(struct og_graph *g, uint32_t type_id, uint64_t rows, struct og_slice parquet, og_segment_cb cb, void *arg)
{
	struct segment_call *c = calloc(1, sizeof(*c));
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	int rc;

	if (!c) {
		og_error_nomem(&err);
		cb(arg, NULL, &err);
		return;
	}
	*c = (struct segment_call){ cb, arg };
	if (!g->chan) {
		rc = graph_unavailable(&err);
	} else {
		og_wire_put_segput(&b, &(struct og_wire_segput){ type_id, rows, parquet });
		rc = og_chan_request(g->chan, OG_IPC_SEGMENT_PUT, &b, -1, 0, on_segment, c, NULL, &err);
	}
	og_buf_fini(&b);
	if (rc < 0) {
		cb(arg, NULL, &err);
		free(c);
	}
}
