/* Requests of the owner become operations in the queue; everything they point at is copied. */
#include "config.h"

#include "journal/private.h"

#include <stdlib.h>

#include "base/utf8.h"

static struct og_jn_op *op_new(enum og_jn_op_kind kind)
{
	struct og_jn_op *op = calloc(1, sizeof(*op));

	if (!op)
		abort();	/* without it the owner could not even be told */
	og_arena_init(&op->arena, 0);
	op->kind = kind;
	op->rec.commit.keys_body = op->rec.commit.schema.body = OG_NO_BODY;
	return op;
}

/* An operation that is refused at once: answered from the loop. */
static void op_refuse(struct og_journal *j, struct og_jn_op *op, const struct og_error *err)
{
	op->final = og_arena_alloc(&op->arena, sizeof(*op->final));
	if (op->final) {
		memset(op->final, 0, sizeof(*op->final));
		op->final->err = *err;
		op->final->res.outcome = OG_COMMIT_FAILED;
		op->final->res.err = &op->final->err;
	}
	og_jn_queue_put(&j->answered, op);
	og_jn_wake(j);
}

/* The id that the caller drew, or a new one. */
static int give_id(struct og_journal *j, struct og_ulid *id, struct og_error *err)
{
	return og_ulid_zero(id) ? og_journal_ulid(j, id, err) : 0;
}

static void *copy(struct og_jn_op *op, const void *v, size_t n, size_t size, bool *ok)
{
	void *p = og_arena_array(&op->arena, n ? n : 1, size);

	if (!p)
		*ok = false;
	else if (n)
		memcpy(p, v, n * size);
	return p;
}

static struct og_slice copy_slice(struct og_jn_op *op, struct og_slice s, bool *ok)
{
	struct og_slice c = { 0 };

	if (!s.p)
		return c;
	c = og_arena_slice(&op->arena, s);
	if (!c.p)
		*ok = false;
	return c;
}

/* Digests are made as operations come, when the loop has nothing to do but to wait for the put before theirs. */
static struct og_log_part copy_part(struct og_jn_op *op, struct og_slice s, bool *ok)
{
	struct og_log_part none = { 0 };

	s = copy_slice(op, s, ok);
	return s.p ? og_log_part(s) : none;
}

static void encode_keys(struct og_jn_op *op, bool *ok)
{
	struct og_buf b = { 0 };

	og_keys_encode(&b, op->w, op->nw);
	*ok = *ok && !b.failed;
	if (*ok)
		op->keys = copy_part(op, og_buf_view(&b), ok);
	og_buf_fini(&b);
}

static uint64_t *copy_keys(struct og_jn_op *op, const uint64_t *v, size_t n, size_t *out, bool *ok)
{
	uint64_t *p = copy(op, v, n, sizeof(*v), ok);

	*out = p ? og_keys_sort(p, n) : 0;
	return p;
}

static int by_type(const void *a, const void *b)
{
	uint32_t x = ((const struct og_commit_table *)a)->type;
	uint32_t y = ((const struct og_commit_table *)b)->type;

	return x < y ? -1 : x > y;
}

static void copy_tables(struct og_jn_op *op, const struct og_commit_req *req, bool *ok)
{
	struct og_commit_table *sorted = copy(op, req->tables, req->ntables, sizeof(*sorted), ok);
	struct og_table_change *t = og_arena_array(&op->arena, req->ntables ? req->ntables : 1, sizeof(*t));

	op->payloads = og_arena_array(&op->arena, req->ntables ? req->ntables : 1, sizeof(*op->payloads));
	if (!sorted || !t || !op->payloads) {
		*ok = false;
		return;
	}
	qsort(sorted, req->ntables, sizeof(*sorted), by_type);
	for (size_t i = 0; i < req->ntables; i++) {
		t[i].type = sorted[i].type;
		t[i].all = sorted[i].all;
		t[i].as = sorted[i].as;
		t[i].dn = sorted[i].dn;
		t[i].rows = sorted[i].rows;
		t[i].body = OG_NO_BODY;
		t[i].segs = copy(op, sorted[i].segs, sorted[i].nsegs, sizeof(*t[i].segs), ok);
		t[i].nsegs = sorted[i].nsegs;
		op->payloads[i] = copy_part(op, sorted[i].parquet, ok);
		op->body_bytes += sorted[i].parquet.len;
	}
	op->rec.commit.tables = t;
	op->rec.commit.ntables = req->ntables;
}

static int type_by_id(const void *a, const void *b)
{
	uint32_t x = ((const struct og_type_decl *)a)->id;
	uint32_t y = ((const struct og_type_decl *)b)->id;

	return x < y ? -1 : x > y;
}

static void copy_schema(struct og_jn_op *op, const struct og_commit_req *req, bool *ok)
{
	struct og_schema_change *s = &op->rec.commit.schema;

	op->schema_text = copy_slice(op, req->schema_text, ok);
	op->body_bytes += req->schema_text.len;
	s->present = true;
	s->digest = og_sha256(req->schema_text);
	s->types = copy(op, req->schema_types, req->nschema_types, sizeof(*s->types), ok);
	s->ntypes = req->nschema_types;
	for (size_t i = 0; i < s->ntypes && *ok; i++)
		s->types[i].name = copy_slice(op, s->types[i].name, ok);
	if (*ok)
		qsort(s->types, s->ntypes, sizeof(*s->types), type_by_id);
	s->purge = copy(op, req->purge, req->npurge, sizeof(*s->purge), ok);
	s->npurge = req->npurge;
}

/* What would make an object that no reader takes. */
static int check_commit(const struct og_jn_op *op, const struct og_commit_req *req, struct og_error *err)
{
	const struct og_record *r = &op->rec;

	if ((req->op == OG_OP_SCHEMA) != (req->schema_text.p != NULL) || (req->op == OG_OP_MERGE) != req->has_merged ||
	    req->op == OG_OP_GENESIS)
		return og_error_set(err, OG_ERR_BAD, "a commit's kind and parts contradict each other");
	if (req->actor.p && og_utf8_check(req->actor) != req->actor.len)
		return og_error_set(err, OG_ERR_BAD, "the actor's name is not UTF-8");
	if (og_utf8_check(req->schema_text) != req->schema_text.len)
		return og_error_set(err, OG_ERR_BAD, "the schema is not UTF-8");
	for (size_t i = 0; i < r->commit.ntables; i++) {
		const struct og_table_change *t = &r->commit.tables[i];

		if (i && t->type == r->commit.tables[i - 1].type)
			return og_error_set(err, OG_ERR_BAD, "type %u stands twice in a commit", t->type);
		if (t->as && (t->all || t->nsegs || op->payloads[i].bytes.p || !req->has_merged))
			return og_error_set(err, OG_ERR_BAD, "type %u: `as` with rows or without a merge", t->type);
	}
	for (size_t i = 0; i < r->commit.schema.ntypes; i++) {
		const struct og_type_decl *t = &r->commit.schema.types[i];

		if ((i && t->id == t[-1].id) || (t->kind != 'n' && t->kind != 'e') ||
		    og_utf8_check(t->name) != t->name.len)
			return og_error_set(err, OG_ERR_BAD, "the schema's types contradict each other");
	}
	if (op->body_bytes > OG_LOG_OBJECT_MAX - OG_LOG_HEADER_MAX - 2 * OG_MIB)
		return og_error_set(err, OG_ERR_TOO_LARGE, "a commit of %zu bytes: larger ones are put as segments first",
				    op->body_bytes);
	return 0;
}

void og_journal_commit(struct og_journal *j, const struct og_commit_req *req)
{
	struct og_jn_op *op = op_new(OG_JN_COMMIT);
	struct og_record *r = &op->rec;
	struct og_error err = { 0 };
	bool ok = true;

	op->cb = req->cb;
	op->arg = req->arg;
	op->deadline_us = req->deadline_us;
	op->base = req->base;
	op->base_confirmed = req->base_confirmed;
	op->has_expect_head = req->has_expect_head;
	op->expect_head = req->expect_head;
	r->kind = OG_REC_COMMIT;
	r->id = req->id;
	r->at_us = req->at_us ? req->at_us : og_now_us();
	r->actor = copy_slice(op, req->actor, &ok);
	r->commit.op = req->op;
	r->commit.branch = req->branch;
	r->commit.has_merged = req->has_merged;
	r->commit.merged_branch = req->merged_branch;
	r->commit.merged_commit = req->merged_commit;
	copy_tables(op, req, &ok);
	r->commit.blobs = copy(op, req->blobs, req->nblobs, sizeof(*req->blobs), &ok);
	r->commit.nblobs = req->nblobs;
	op->strict = copy(op, req->strict, req->nstrict, sizeof(*req->strict), &ok);
	op->nstrict = req->nstrict;
	op->scanned = copy(op, req->scanned, req->nscanned, sizeof(*req->scanned), &ok);
	op->nscanned = req->nscanned;
	op->r = copy_keys(op, req->r, req->nr, &op->nr, &ok);
	op->w = copy_keys(op, req->w, req->nw, &op->nw, &ok);
	r->commit.all_keys = req->all_keys || op->nw > OG_KEYS_MAX;
	if (ok && op->nw && !r->commit.all_keys)
		encode_keys(op, &ok);
	op->body_bytes += op->keys.bytes.len;
	if (req->schema_text.p)
		copy_schema(op, req, &ok);
	if (!ok)
		og_error_nomem(&err);
	if (err.code || check_commit(op, req, &err) < 0 || give_id(j, &r->id, &err) < 0)
		op_refuse(j, op, &err);
	else
		og_jn_submit(j, op);
}

static void branch_op(struct og_journal *j, const struct og_branch_req *req, struct og_jn_op *op)
{
	struct og_record *r = &op->rec;
	struct og_error err = { 0 };
	bool ok = true;

	op->cb = req->cb;
	op->arg = req->arg;
	op->deadline_us = req->deadline_us;
	r->id = req->id;
	r->at_us = og_now_us();
	r->actor = copy_slice(op, req->actor, &ok);
	if (r->kind == OG_REC_CREATE) {
		r->create.name = copy_slice(op, req->name, &ok);
		r->create.from = req->branch;
	} else {
		r->branch = req->branch;
	}
	if (!ok)
		og_error_nomem(&err);
	else if (og_utf8_check(req->name) != req->name.len || og_utf8_check(req->actor) != req->actor.len ||
		 (r->kind == OG_REC_CREATE && req->name.len == 0))
		og_error_set(&err, OG_ERR_BAD, "a branch's name or an actor's is not UTF-8 text");
	if (err.code || give_id(j, &r->id, &err) < 0)
		op_refuse(j, op, &err);
	else
		og_jn_submit(j, op);
}

void og_journal_branch_create(struct og_journal *j, const struct og_branch_req *req)
{
	struct og_jn_op *op = op_new(OG_JN_CREATE);

	op->rec.kind = OG_REC_CREATE;
	branch_op(j, req, op);
}

void og_journal_branch_delete(struct og_journal *j, const struct og_branch_req *req)
{
	struct og_jn_op *op = op_new(OG_JN_DELETE);

	op->rec.kind = OG_REC_DELETE;
	branch_op(j, req, op);
}
