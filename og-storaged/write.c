/* Commits, segments, new graphs, maintenance. */
#include "config.h"

#include "storaged.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/date.h"
#include "base/fd.h"
#include "base/log.h"
#include "json/writer.h"
#include "store/s3.h"

#define ROWS_MAX ((int64_t)UINT32_MAX - 1)	/* of a type: slots are 32-bit */

int sd_no_journal(struct storaged *sd, struct og_error *err)
{
	if (sd->journal && og_journal_status(sd->journal) != OG_JOURNAL_ENDED)
		return 0;
	if (sd->open_error.code < 0) {
		*err = sd->open_error;
		return err->code;
	}
	return og_error_set(err, OG_ERR_UNAVAILABLE, "the graph at '%s' is being opened; try again in a moment", sd->uri);
}

/* A request whose answer comes later; the peer may be gone by then. */
struct pending {
	struct storaged *sd;
	uint64_t peer;
	uint32_t request;
	struct og_arena arena;
	struct og_ipc_kept kept;
	struct og_wire_segment seg;
	struct og_slice bytes;		/* of a segment, in what is kept */
};

static struct pending *pending_new(struct peer *p, struct og_ipc_msg *m, struct og_error *err)
{
	struct pending *w = calloc(1, sizeof(*w));

	if (!w) {
		og_error_nomem(err);
		og_chan_fail(p->chan, m->request, err);
		return NULL;
	}
	w->sd = p->sd;
	w->peer = p->id;
	w->request = m->request;
	og_arena_init(&w->arena, 0);
	return w;
}

static void pending_free(struct pending *w)
{
	og_ipc_kept_fini(&w->kept);
	og_arena_fini(&w->arena);
	free(w);
}

/* The channel, or NULL when the peer has gone. */
static struct og_chan *pending_chan(const struct pending *w)
{
	const struct peer *p = peer_find(w->sd, w->peer);

	return p ? p->chan : NULL;
}

static void pending_fail(struct pending *w, const struct og_error *err)
{
	struct og_chan *c = pending_chan(w);

	if (c)
		og_chan_fail(c, w->request, err);
	pending_free(w);
}

static void pending_send(struct pending *w, enum og_ipc_type type, const struct og_buf *b, int fd)
{
	struct og_chan *c = pending_chan(w);
	struct og_error err = { 0 };

	if (c && og_chan_answer(c, w->request, type, b, fd, &err) < 0)
		og_chan_fail(c, w->request, &err);
}

static void pending_answer(struct pending *w, enum og_ipc_type type, const struct og_buf *b, int fd)
{
	pending_send(w, type, b, fd);
	pending_free(w);
}

/* ---- COMMIT ---- */

static void answer_committed(struct pending *w, const struct og_commit_result *res)
{
	const struct og_record *rec = res->record;
	struct og_wire_commit c = { .seq = res->seq, .branch = rec->commit.branch, .commit = rec->id, .parent = rec->commit.parent,
				    .version = rec->commit.version, .at_us = rec->at_us, .actor = rec->actor };
	struct og_buf b = { 0 };

	if (rec->commit.has_merged)
		c.merged = rec->commit.merged_commit;
	og_wire_put_committed(&b, &c, bell_value(w->sd));
	pending_answer(w, OG_IPC_COMMITTED, &b, -1);
	og_buf_fini(&b);
}

static void answer_conflict(struct pending *w, const struct og_commit_result *res)
{
	struct og_wire_conflict c = { .reevaluate = res->outcome == OG_REEVALUATE, .counted = res->counted, .type_id = res->type,
				      .expected = res->expected, .actual = res->actual, .message = og_slice_str(res->err->message) };
	struct og_buf b = { 0 };

	og_wire_put_conflict(&b, &c);
	pending_answer(w, OG_IPC_CONFLICT, &b, -1);
	og_buf_fini(&b);
}

static void on_commit_result(void *arg, const struct og_commit_result *res)
{
	struct pending *w = arg;
	struct storaged *sd = w->sd;
	struct peer *p = peer_find(sd, w->peer);

	switch (res->outcome) {
	case OG_COMMITTED:
		/* Whoever reads after this answer finds the commit: the bell has been rung. Rows that nobody waits for come behind it. */
		answer_committed(w, res);
		if (p)
			graph_tell(sd, p);
		return;
	case OG_CONFLICT:
	case OG_REEVALUATE:
		graph_flush(sd);	/* the next try needs them */
		answer_conflict(w, res);
		return;
	case OG_COMMIT_FAILED:
	case OG_COMMIT_UNKNOWN:
		break;
	}
	graph_flush(sd);
	pending_fail(w, res->err);
}

static int fill_tables(struct pending *w, const struct og_wire_commit_req *in, struct og_commit_req *out, struct og_error *err)
{
	struct og_commit_table *t = og_arena_array(&w->arena, in->ntables ? in->ntables : 1, sizeof(*t));

	if (!t)
		return og_arena_error(&w->arena, err);
	for (uint32_t i = 0; i < in->ntables; i++) {
		const struct og_wire_write *x = &in->tables[i];
		struct og_seg *segs = og_arena_array(&w->arena, x->nsegs ? x->nsegs : 1, sizeof(*segs));

		if (!segs)
			return og_arena_error(&w->arena, err);
		/* What no type can hold would make the branch one that nobody can open. */
		if (x->dn > ROWS_MAX || x->dn < -ROWS_MAX || (x->all && x->rows > (uint64_t)ROWS_MAX))
			return og_error_set(err, OG_ERR_BAD, "a commit of more rows of type %u than a graph can hold", x->type_id);
		for (uint32_t k = 0; k < x->nsegs; k++) {
			segs[k] = (struct og_seg){ .id = x->segs[k].id, .rows = x->segs[k].rows, .bytes = x->segs[k].bytes };
			memcpy(segs[k].sha256.b, x->segs[k].sha256, sizeof(segs[k].sha256.b));
		}
		t[i] = (struct og_commit_table){ .type = x->type_id, .all = x->all, .dn = x->dn, .rows = x->rows, .segs = segs,
						 .nsegs = x->nsegs };
		if (x->body.len)
			t[i].parquet = x->body;
	}
	out->tables = t;
	out->ntables = in->ntables;
	return 0;
}

static enum og_commit_op op_of(uint8_t op)
{
	switch ((enum og_wire_op)op) {
	case OG_WIRE_MUTATE:
		return OG_OP_MUTATE;
	case OG_WIRE_LOAD:
		return OG_OP_LOAD;
	case OG_WIRE_MERGE:
		return OG_OP_MERGE;
	case OG_WIRE_SCHEMA:
		return OG_OP_SCHEMA;
	case OG_WIRE_REPAIR:
		return OG_OP_REPAIR;
	}
	return OG_OP_MUTATE;
}

int on_commit(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct pending *w = pending_new(p, m, err);
	struct og_wire_commit_req in;
	struct og_commit_req req = { 0 };
	int rc;

	if (!w)
		return 0;
	rc = og_wire_get_commit_req(m->body, &w->arena, &in, err);
	if (rc < 0) {
		pending_free(w);
		return rc;
	}
	rc = sd_no_journal(p->sd, err);
	if (rc == 0)
		rc = fill_tables(w, &in, &req, err);
	if (rc < 0) {
		pending_fail(w, err);
		return 0;
	}
	req.op = op_of(in.op);
	req.branch = in.branch;
	req.base = in.base_commit;
	req.base_confirmed = in.confirmed;
	req.actor = in.actor;
	req.strict = in.strict;
	req.nstrict = in.nstrict;
	req.scanned = in.scanned;
	req.nscanned = in.nscanned;
	req.r = in.reads;
	req.nr = in.nreads;
	req.w = in.writes;
	req.nw = in.nwrites;
	req.all_keys = in.all_keys;
	if (in.deadline_ms)
		req.deadline_us = og_monotonic_us() + (uint64_t)in.deadline_ms * 1000;
	req.cb = on_commit_result;
	req.arg = w;
	og_journal_commit(p->sd->journal, &req);	/* copies what it needs */
	return 0;
}

/* ---- segments ---- */

static void pending_end(void *arg)
{
	pending_free(arg);
}

static void on_segment_stored(void *arg, struct og_store_result *res)
{
	struct pending *w = arg;
	struct og_sha256 sha256;
	struct og_buf b = { 0 };

	if (res->code < 0) {
		pending_fail(w, res->err);
		return;
	}
	og_wire_put_segment(&b, &w->seg);
	pending_send(w, OG_IPC_SEGMENT, &b, -1);
	og_buf_fini(&b);
	memcpy(sha256.b, w->seg.sha256, sizeof(sha256.b));
	segment_keep_bytes(w->sd, &sha256, w->bytes, pending_end, w);
}

int on_segment_put(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct pending *w = pending_new(p, m, err);
	struct og_wire_segput in;
	char key[OG_STORE_KEY_MAX + 1];
	struct og_sha256 sha;
	int rc;

	if (!w)
		return 0;
	rc = og_wire_get_segput(m->body, &in, err);
	if (rc < 0) {
		pending_free(w);
		return rc;
	}
	if ((rc = sd_no_journal(p->sd, err)) < 0 || (rc = og_journal_ulid(p->sd->journal, &w->seg.id, err)) < 0 ||
	    (rc = og_journal_segment_key(p->sd->journal, in.type_id, &w->seg.id, key, err)) < 0 ||
	    (rc = og_ipc_keep(m, &w->kept, err)) < 0) {
		pending_fail(w, err);
		return 0;
	}
	rc = og_wire_get_segput(w->kept.body, &in, err);	/* slices into what is kept */
	if (rc < 0) {
		pending_free(w);
		return rc;
	}
	w->seg.rows = in.rows;
	w->seg.bytes = in.parquet.len;
	sha = og_sha256(in.parquet);
	memcpy(w->seg.sha256, sha.b, sizeof(w->seg.sha256));
	w->bytes = in.parquet;
	og_store_put(p->sd->store, key, &in.parquet, 1, on_segment_stored, w);
	return 0;
}

static void on_segment_fetched(void *arg, struct og_cache_result *res)
{
	struct pending *w = arg;
	struct og_buf b = { 0 };

	if (res->code < 0) {
		pending_fail(w, res->err);
		return;
	}
	og_put_u64(&b, 0);
	og_put_u64(&b, res->size);
	og_put_u8(&b, !res->verified);
	if (!res->verified)
		og_buf_append(&b, w->seg.sha256, sizeof(w->seg.sha256));
	pending_answer(w, OG_IPC_SEGMENT_FD, &b, res->fd);
	og_buf_fini(&b);
}

static void on_body_fetched(void *arg, struct og_slice bytes, const struct og_error *err)
{
	struct pending *w = arg;
	struct og_error e = { 0 };
	struct og_buf b = { 0 };
	int fd = -1;

	if (err->code < 0) {
		pending_fail(w, err);
		return;
	}
	if (og_memfd_from("layer", bytes, &fd, &e) < 0) {
		pending_fail(w, &e);
		return;
	}
	og_put_u64(&b, 0);
	og_put_u64(&b, bytes.len);
	og_put_u8(&b, 0);	/* the journal has compared it */
	pending_answer(w, OG_IPC_SEGMENT_FD, &b, fd);
	og_buf_fini(&b);
	og_fd_close(&fd);
}

/* The layer of a content that the asker was told of; nothing else can be named. */
static struct og_layer *find_layer(struct storaged *sd, const struct og_wire_segget *g)
{
	for (struct content *c = sd->contents; c; c = c->next) {
		if (c->type_id != g->type_id)
			continue;
		for (struct og_layer *l = c->top; l; l = l->below) {
			if (g->layer.kind == OG_LAYER_BODY ? l->in_log && l->seq == g->layer.seq && l->body == g->layer.body :
							     !l->in_log && og_ulid_cmp(&l->seg.id, &g->layer.segment) == 0)
				return l;
		}
	}
	return NULL;
}

int on_segment_get(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct pending *w = pending_new(p, m, err);
	struct og_wire_segget g;
	struct og_layer *l;
	int rc;

	if (!w)
		return 0;
	rc = og_wire_get_segget(m->body, &g, err);
	if (rc < 0) {
		pending_free(w);
		return rc;
	}
	rc = sd_no_journal(p->sd, err);
	l = rc == 0 ? find_layer(p->sd, &g) : NULL;
	if (rc == 0 && !l)
		rc = og_error_set(err, OG_ERR_GONE, "the layer asked for is not known any more");
	if (l)
		memcpy(w->seg.sha256, l->seg.sha256.b, sizeof(w->seg.sha256));
	if (rc == 0 && l->in_log)
		og_journal_layer_bytes(p->sd->journal, l, on_body_fetched, w);
	else if (rc < 0 || segment_get(p->sd, g.type_id, &l->seg, on_segment_fetched, w, err) < 0)
		pending_fail(w, err);
	return 0;
}

/* ---- GRAPH_INIT ---- */

static void on_init_done(void *arg, const struct og_error *err)
{
	struct pending *w = arg;
	struct og_buf b = { 0 };

	if (err->code < 0) {
		pending_fail(w, err);
		return;
	}
	og_put_str(&b, "{}");
	pending_answer(w, OG_IPC_REPORT, &b, -1);
	og_buf_fini(&b);
}

/* A graph to be made; in the arena of the request. */
struct making {
	struct pending *w;
	struct og_journal_config cfg;
	struct og_journal_genesis g;
};

static void on_checked(void *arg, struct og_store_result *res)
{
	struct making *mk = arg;

	if (res->code < 0)
		pending_fail(mk->w, res->err);
	else
		og_journal_init(&mk->cfg, &mk->g, on_init_done, mk->w);
}

static int by_id(const void *a, const void *b)
{
	const struct og_type_decl *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

int on_graph_init(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct pending *w = pending_new(p, m, err);
	struct og_type_decl *types;
	struct og_wire_init in;
	struct og_slice body;
	struct making *mk;
	int rc;

	if (!w)
		return 0;
	/* The put may outlive this message. */
	body = og_arena_slice(&w->arena, m->body);
	rc = body.p ? og_wire_get_init(body, &w->arena, &in, err) : og_error_nomem(err);
	types = rc == 0 ? og_arena_array(&w->arena, in.ntypes ? in.ntypes : 1, sizeof(*types)) : NULL;
	mk = types ? og_arena_array(&w->arena, 1, sizeof(*mk)) : NULL;
	if (rc < 0 || !mk) {
		pending_free(w);
		return rc < 0 ? rc : og_error_nomem(err);
	}
	for (uint32_t i = 0; i < in.ntypes; i++)
		types[i] = (struct og_type_decl){ in.types[i].type_id, in.types[i].kind == 1 ? 'e' : 'n', in.types[i].name };
	/* A catalog lists its types by name, the genesis by id. */
	if (in.ntypes)
		qsort(types, in.ntypes, sizeof(*types), by_id);
	*mk = (struct making){ .w = w, .cfg = storaged_config(p->sd) };
	mk->g.schema = in.schema;
	mk->g.types = types;
	mk->g.ntypes = in.ntypes;
	mk->g.force = in.force;
	if (!p->sd->store)
		pending_fail(w, &p->sd->open_error);
	else if (og_store_s3_custom(p->sd->store))
		og_store_check(p->sd->store, on_checked, mk);
	else
		og_journal_init(&mk->cfg, &mk->g, on_init_done, w);
	return 0;
}

/* ---- MAINTAIN ---- */

struct verify {
	struct pending *w;
	struct og_buf faults;
	struct og_json_writer json;
	struct og_buf notes;		/* texts, each with a NUL behind it */
};

static void on_verify_fault(void *arg, bool derived, const char *text)
{
	struct verify *v = arg;

	if (derived)
		og_buf_append(&v->notes, text, strlen(text) + 1);
	else
		og_json_put_str(&v->json, text);
}

static void on_verified(void *arg, const struct og_verify_report *r, const struct og_error *err)
{
	struct verify *v = arg;
	struct og_json_writer *j = &v->json;
	struct og_buf b = { 0 };

	if (err->code < 0) {
		pending_fail(v->w, err);
	} else {
		og_json_end_array(j);
		og_json_member_array(j, "notes");
		for (size_t at = 0; at < v->notes.len; at += strlen(v->notes.data + at) + 1)
			og_json_put_str(j, v->notes.data + at);
		og_json_end_array(j);
		og_json_member_u64(j, "index", r->index);
		og_json_member_u64(j, "objects", r->objects);
		og_json_member_u64(j, "records", r->records);
		og_json_member_u64(j, "bodies", r->bodies);
		og_json_member_u64(j, "checkpoints", r->checkpoints);
		og_json_member_u64(j, "segments", r->segments);
		og_json_member_u64(j, "bytes", r->bytes);
		og_json_end_object(j);
		og_put_bytes(&b, og_buf_view(&v->faults));
		pending_answer(v->w, OG_IPC_REPORT, &b, -1);
	}
	og_buf_fini(&b);
	og_buf_fini(&v->faults);
	og_buf_fini(&v->notes);
	free(v);
}

static void start_verify(struct pending *w)
{
	struct og_journal_config cfg = storaged_config(w->sd);
	struct verify *v = calloc(1, sizeof(*v));
	struct og_error err = { 0 };

	if (!v) {
		og_error_nomem(&err);
		pending_fail(w, &err);
		return;
	}
	v->w = w;
	og_json_writer_init(&v->json, &v->faults, false);
	og_json_begin_object(&v->json);
	og_json_member_array(&v->json, "faults");
	cfg.read_only = true;
	og_journal_verify(&cfg, on_verify_fault, on_verified, v);
}

static void on_checkpointed(void *arg, const struct og_error *err)
{
	on_init_done(arg, err);
}

/* ---- optimize ---- */

#define FULL_TRIES 3u		/* a checkpoint that was under way already is not a full one */

struct optimize {
	struct pending *w;
	const struct og_branch *before, *after;	/* main; references held */
	unsigned tries;
	bool started, checkpointed, shown;
	struct og_buf told;			/* by delta_show */
};

static void optimize_end(struct storaged *sd, const struct og_buf *report, const struct og_error *err)
{
	struct optimize *o = sd->optimize;

	sd->optimize = NULL;
	og_branch_unref(o->before);
	og_branch_unref(o->after);
	og_buf_fini(&o->told);
	if (err)
		pending_fail(o->w, err);
	else
		pending_answer(o->w, OG_IPC_REPORT, report, -1);
	free(o);
}

static bool same_layer(const struct og_layer *a, const struct og_layer *b)
{
	if (a->in_log != b->in_log)
		return false;
	return a->in_log ? a->seq == b->seq && a->body == b->body : og_ulid_cmp(&a->seg.id, &b->seg.id) == 0;
}

/* How many layers of a are not in b: stacks share their lowest ones. */
static uint32_t layers_beyond(const struct og_layer *a, const struct og_layer *b)
{
	uint32_t n = a ? a->depth : 0;

	for (; a; a = a->below) {
		const struct og_layer *l = b;

		while (l && l->depth > a->depth)
			l = l->below;
		if (l && l->depth == a->depth && same_layer(a, l))
			return n - a->depth;
	}
	return n;
}

static void put_optimized(struct og_json_writer *w, const struct optimize *o)
{
	const struct og_schema_state *s = o->after->schema;

	og_json_begin_object(w);
	og_json_member_array(w, "tables");
	for (size_t i = 0; i < o->after->ntables; i++) {
		const struct og_table *t = &o->after->tables[i], *old = og_branch_table(o->before, t->type);
		const struct og_layer *was = old ? old->top : NULL;
		struct og_buf key = { 0 };

		for (size_t k = 0; k < s->ntypes; k++)
			if (s->types[k].id == t->type)
				og_buf_printf(&key, "%s:%.*s", s->types[k].kind == 'e' ? "edge" : "node", OG_FMT(s->types[k].name));
		og_json_begin_object(w);
		og_json_member_string(w, "table_key", og_buf_view(&key));
		og_json_member_u64(w, "fragments_removed", layers_beyond(was, t->top));
		og_json_member_u64(w, "fragments_added", layers_beyond(t->top, was));
		og_json_end_object(w);
		og_buf_fini(&key);
	}
	og_json_end_array(w);
	og_json_member_array(w, "warnings");
	for (size_t at = 0; at < o->told.len; at += strlen(o->told.data + at) + 1)
		og_json_put_str(w, o->told.data + at);
	og_json_end_array(w);
	og_json_end_object(w);
}

static void optimize_step(struct storaged *sd)
{
	struct optimize *o = sd->optimize;
	struct og_json_writer w;
	struct og_buf text = { 0 }, b = { 0 };

	if (!o->checkpointed || !o->shown)
		return;
	/* Whatever could be folded is; but it was not everything. */
	if (sd->fold_error.code < 0) {
		optimize_end(sd, NULL, &sd->fold_error);
		return;
	}
	og_json_writer_init(&w, &text, false);
	put_optimized(&w, o);
	og_put_bytes(&b, og_buf_view(&text));
	optimize_end(sd, &b, NULL);
	og_buf_fini(&text);
	og_buf_fini(&b);
}

static void on_shown(struct storaged *sd, const struct og_buf *told)
{
	if (!sd->optimize)
		return;
	sd->optimize->shown = true;
	og_buf_slice(&sd->optimize->told, og_buf_view(told));
	optimize_step(sd);
}

void on_checkpoint(void *arg, struct og_journal *j, const struct og_branch *main, bool full)
{
	struct storaged *sd = arg;
	struct optimize *o = full ? sd->optimize : NULL;

	(void)j;
	index_drop(sd);
	if (o && !o->after)
		o->after = og_branch_ref(main);
	delta_show(sd, main, full, o ? on_shown : NULL);
}

static void on_optimized(void *arg, const struct og_error *err)
{
	struct storaged *sd = arg;
	struct optimize *o = sd->optimize;
	struct og_error busy = { 0 };

	if (err->code < 0) {
		optimize_end(sd, NULL, err);
	} else if (!o->after && ++o->tries < FULL_TRIES) {
		og_journal_checkpoint(sd->journal, true, on_optimized, sd);
	} else if (!o->after) {
		og_error_set(&busy, OG_ERR_UNAVAILABLE, "checkpoints of other writers come between; try again");
		optimize_end(sd, NULL, &busy);
	} else {
		o->checkpointed = true;
		optimize_step(sd);
	}
}

void optimize_go(struct storaged *sd)
{
	struct optimize *o = sd->optimize;

	if (!o || o->started || !peer_builder(sd))
		return;
	o->started = true;
	og_error_clear(&sd->fold_error);
	o->before = og_branch_ref(og_state_main(og_journal_state(sd->journal)));
	og_journal_checkpoint(sd->journal, true, on_optimized, sd);
}

static void start_optimize(struct pending *w)
{
	struct storaged *sd = w->sd;
	struct og_error err = { 0 };

	if (sd_no_journal(sd, &err) < 0) {
		pending_fail(w, &err);
		return;
	}
	if (sd->optimize)
		og_error_set(&err, OG_ERR_CONFLICT, "optimize is under way already");
	else if (!(sd->optimize = calloc(1, sizeof(*sd->optimize))))
		og_error_nomem(&err);
	if (err.code < 0) {
		pending_fail(w, &err);
		return;
	}
	sd->optimize->w = w;
	optimize_go(sd);	/* or once the builder says HELLO */
}

int on_maintain(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct pending *w = pending_new(p, m, err);
	struct og_reader r = og_ipc_body(m);
	struct og_slice verb = og_read_bytes(&r);

	if (!w)
		return 0;
	if (og_reader_end(&r, err) < 0) {
		pending_free(w);
		return err->code;
	}
	if (!p->sd->store) {
		pending_fail(w, &p->sd->open_error);
	} else if (og_slice_is(verb, "verify")) {
		start_verify(w);
	} else if (og_slice_is(verb, "checkpoint")) {
		if (sd_no_journal(p->sd, err) < 0)
			pending_fail(w, err);
		else
			og_journal_checkpoint(p->sd->journal, false, on_checkpointed, w);
	} else if (og_slice_is(verb, "optimize")) {
		start_optimize(w);
	} else {
		og_error_set(err, OG_ERR_UNSUPPORTED, "maintenance '%.*s' is not available in this version", OG_FMT(verb));
		pending_fail(w, err);
	}
	return 0;
}
