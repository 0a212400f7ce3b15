/* What becomes of an operation on the state as it is now: the conflict table, row by row. */
#include "config.h"

#include "journal/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static enum og_jn_verdict refuse(struct og_jn_answer *out, int code, const char *fmt, ...) OG_PRINTF(3, 4);

static enum og_jn_verdict refuse(struct og_jn_answer *out, int code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	og_error_set(&out->err, code, "%s", text);
	out->res.outcome = OG_COMMIT_FAILED;
	return OG_JN_REFUSE;
}

static enum og_jn_verdict reevaluate(struct og_jn_answer *out, bool counted, const char *why)
{
	og_error_set(&out->err, OG_ERR_EVAL, "%s", why);
	out->res.outcome = OG_REEVALUATE;
	out->res.counted = counted;
	return OG_JN_ANSWER;
}

static bool has_type(const uint32_t *v, size_t n, uint32_t type)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == type)
			return true;
	return false;
}

/* "node:Port" */
static void table_key(const struct og_state *s, uint32_t type, char out[160])
{
	const struct og_schema_state *schema = og_state_schema(s);

	snprintf(out, 160, "type %u", type);
	for (size_t i = 0; i < schema->ntypes; i++)
		if (schema->types[i].id == type)
			snprintf(out, 160, "%s:%.*s", schema->types[i].kind == 'n' ? "node" : "edge",
				 OG_FMT(schema->types[i].name));
}

/* Merges take over whole contents with `as`: those types count as scanned. */
static bool scans(const struct og_jn_op *op, uint32_t type)
{
	if (has_type(op->scanned, op->nscanned, type))
		return true;
	for (size_t i = 0; i < op->rec.commit.ntables; i++)
		if (op->rec.commit.tables[i].type == type && (op->rec.commit.tables[i].as || op->rec.commit.all_keys))
			return true;
	return false;
}

struct findings {
	bool conflict, uncounted, counted;
	char key[160];			/* of the conflict */
	uint32_t type;
	uint64_t expected;
};

static void strict_touch(const struct og_state *s, const struct og_touch *t, struct findings *f)
{
	char key[160];

	table_key(s, t->type, key);
	if (!f->conflict || strcmp(key, f->key) < 0) {
		f->conflict = true;
		strcpy(f->key, key);
		f->type = t->type;
	}
}

/* The first commit after the base that touched the type tells the version at the base. */
static uint64_t version_at_base(struct og_line_commit *const *v, size_t n, uint32_t type)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < v[i]->ntouched; k++)
			if (v[i]->touched[k].type == type)
				return v[i]->touched[k].version - 1;
	return 0;
}

static void look_at(const struct og_state *s, const struct og_jn_op *op, const struct og_line_commit *c,
		    struct findings *f)
{
	for (size_t i = 0; i < c->ntouched; i++) {
		const struct og_touch *t = &c->touched[i];

		if (has_type(op->strict, op->nstrict, t->type)) {
			if (c->ours || op->base_confirmed)
				strict_touch(s, t, f);
			else
				f->uncounted = true;
		} else if (scans(op, t->type)) {
			f->counted = true;
		}
	}
	if (c->schema || (c->all_keys && op->nr + op->nw > 0) || og_keys_meet(c->w, c->nw, op->r, op->nr) ||
	    og_keys_meet(c->w, c->nw, op->w, op->nw))
		f->counted = true;
}

static enum og_jn_verdict conflict(const struct og_state *s, const struct og_branch *b, const struct findings *f,
				   struct og_jn_answer *out)
{
	const struct og_table *t = og_branch_table(b, f->type);
	uint64_t actual = t ? t->version : f->expected + 1;

	og_error_set(&out->err, OG_ERR_CONFLICT,
		     "stale view of '%s': expected manifest table version %llu but current is %llu \xe2\x80\x94 refresh "
		     "and retry", f->key, (unsigned long long)f->expected, (unsigned long long)actual);
	out->err.detail.kind = OG_DETAIL_MANIFEST;
	snprintf(out->err.detail.name, sizeof(out->err.detail.name), "%s", f->key);
	out->err.detail.expected = f->expected;
	out->err.detail.actual = actual;
	out->res.outcome = OG_CONFLICT;
	out->res.type = f->type;
	out->res.expected = f->expected;
	out->res.actual = actual;
	return OG_JN_ANSWER;
}

static enum og_jn_verdict not_found(const struct og_branch *b, const struct og_ulid *id, struct og_jn_answer *out)
{
	if (b)
		return refuse(out, OG_ERR_NOT_FOUND, "branch '%.*s' not found", OG_FMT(b->name));
	return refuse(out, OG_ERR_NOT_FOUND, "branch '%s' not found", og_ulid_format(id).s);
}

static enum og_jn_verdict check_head(const struct og_jn_op *op, const struct og_branch *b, struct og_jn_answer *out)
{
	if (!op->has_expect_head || og_ulid_cmp(&op->expect_head, &b->head) == 0)
		return OG_JN_TAKE;
	(void)refuse(out, OG_ERR_MISMATCH,
		     "precondition failed on branch '%.*s': expected head '%s' but current is %s", OG_FMT(b->name),
		     og_ulid_format(&op->expect_head).s, og_ulid_format(&b->head).s);
	snprintf(out->err.detail.name, sizeof(out->err.detail.name), "%s", og_ulid_format(&op->expect_head).s);
	snprintf(out->err.detail.id, sizeof(out->err.detail.id), "%s", og_ulid_format(&b->head).s);
	return OG_JN_REFUSE;
}

static int by_name(const void *a, const void *b)
{
	return og_slice_cmp((*(const struct og_branch *const *)a)->name, (*(const struct og_branch *const *)b)->name);
}

static enum og_jn_verdict check_schema(struct og_journal *j, const struct og_jn_op *op, const struct og_branch *b,
				       struct og_jn_answer *out)
{
	const struct og_state *s = j->state;
	const struct og_commit_info *base;

	if (s->nlive > 1) {
		const struct og_branch **v = calloc(s->nlive, sizeof(*v));
		struct og_buf text = { 0 };
		size_t n = 0;

		for (size_t i = 1; v && i < s->nbranches; i++)
			if (s->branches[i]->live)
				v[n++] = s->branches[i];
		if (n)
			qsort(v, n, sizeof(*v), by_name);
		for (size_t i = 0; i < n; i++)
			og_buf_printf(&text, "%s%.*s", i ? ", " : "", OG_FMT(v[i]->name));
		(void)refuse(out, OG_ERR_CONFLICT,
			     "schema apply requires a graph with only main; found non-main branches: %s",
			     text.data ? text.data : "");
		free(v);
		og_buf_fini(&text);
		return OG_JN_REFUSE;
	}
	if (og_ulid_cmp(&b->head, &op->base) == 0)
		return OG_JN_TAKE;
	if (!op->base_confirmed)
		return reevaluate(out, false, "main moved before the base was confirmed");
	base = og_state_commit_find(s, &op->base);
	(void)refuse(out, OG_ERR_CONFLICT,
		     "schema apply lost its write lease: main advanced from v%llu to v%llu while schema apply was in progress",
		     (unsigned long long)(base ? base->version : b->version - 1), (unsigned long long)b->version);
	return OG_JN_ANSWER;
}

static enum og_jn_verdict check_merge(struct og_journal *j, const struct og_jn_op *op, struct og_jn_answer *out)
{
	const struct og_record *r = &op->rec;
	const struct og_branch *source;
	const struct og_commit_info *c;

	if (!r->commit.has_merged)
		return OG_JN_TAKE;
	source = og_state_branch(j->state, &r->commit.merged_branch);
	if (!source || !source->live)
		return not_found(source, &r->commit.merged_branch, out);
	for (size_t i = 0; i < r->commit.ntables; i++)
		if (r->commit.tables[i].as && og_ulid_cmp(&source->head, &r->commit.merged_commit))
			return reevaluate(out, true, "the source's head moved");
	c = og_state_commit_find(j->state, &r->commit.merged_commit);
	if (c && !og_state_retained(j->state, c))
		return reevaluate(out, true, "the source's commit was given up");
	return OG_JN_TAKE;
}

/* New ids must not lie below a floor that came meanwhile: the load draws new ones. */
static bool ids_below_floor(const struct og_state *s, const struct og_record *r)
{
	if (!s->has_floor)
		return false;
	for (size_t i = 0; i < r->commit.ntables; i++)
		for (size_t k = 0; k < r->commit.tables[i].nsegs; k++)
			if (og_ulid_cmp(&r->commit.tables[i].segs[k].id, &s->floor_before) < 0)
				return true;
	for (size_t i = 0; i < r->commit.nblobs; i++)
		if (og_ulid_cmp(&r->commit.blobs[i], &s->floor_before) < 0)
			return true;
	return false;
}

static enum og_jn_verdict evaluate_commit(struct og_journal *j, struct og_jn_op *op, struct og_jn_answer *out)
{
	struct og_record *r = &op->rec;
	const struct og_branch *b = og_state_branch(j->state, &r->commit.branch);
	struct og_line_commit *const *first;
	struct findings f = { 0 };
	enum og_jn_verdict v;
	size_t n;

	if (!b || !b->live)
		return not_found(b, &r->commit.branch, out);
	if ((v = check_head(op, b, out)) != OG_JN_TAKE)
		return v;
	if (r->commit.op == OG_OP_SCHEMA && (v = check_schema(j, op, b, out)) != OG_JN_TAKE)
		return v;
	if ((v = check_merge(j, op, out)) != OG_JN_TAKE)
		return v;
	if (!og_lines_after(&j->lines, b, &op->base, &first, &n))
		return reevaluate(out, true, "the base is older than what is remembered");
	for (size_t i = 0; i < n; i++)
		look_at(j->state, op, first[i], &f);
	if (f.conflict)
		f.expected = version_at_base(first, n, f.type);
	if (f.conflict)
		return conflict(j->state, b, &f, out);
	if (f.counted || f.uncounted)
		return reevaluate(out, f.counted, "a later commit touched what this one depends on");
	if (ids_below_floor(j->state, r))
		return reevaluate(out, true, "a cleanup came between: its segments need new ids");
	r->commit.parent = b->head;
	r->commit.version = b->version + 1;
	for (size_t i = 0; i < r->commit.ntables; i++) {
		const struct og_table *t = og_branch_table(b, r->commit.tables[i].type);

		r->commit.tables[i].version = (t ? t->version : 0) + 1;
	}
	return OG_JN_TAKE;
}

static enum og_jn_verdict evaluate_create(struct og_journal *j, struct og_jn_op *op, struct og_jn_answer *out)
{
	struct og_record *r = &op->rec;
	const struct og_branch *from = og_state_branch(j->state, &r->create.from);

	if (!from || !from->live)
		return not_found(from, &r->create.from, out);
	if (og_state_branch_named(j->state, r->create.name))
		return refuse(out, OG_ERR_CONFLICT, "branch '%.*s' already exists", OG_FMT(r->create.name));
	r->create.fork = from->head;
	return OG_JN_TAKE;
}

static enum og_jn_verdict evaluate_delete(struct og_journal *j, struct og_jn_op *op, struct og_jn_answer *out)
{
	const struct og_branch *b = og_state_branch(j->state, &op->rec.branch);
	const struct og_branch *child;

	if (!b || !b->live)
		return not_found(b, &op->rec.branch, out);
	if (b == og_state_main(j->state))
		return refuse(out, OG_ERR_BAD, "cannot delete branch 'main'");
	child = og_state_child(j->state, &b->id);
	if (child)
		return refuse(out, OG_ERR_CONFLICT,
			      "cannot delete branch '%.*s' because descendant branch '%.*s' still depends on it",
			      OG_FMT(b->name), OG_FMT(child->name));
	return OG_JN_TAKE;
}

enum og_jn_verdict og_jn_evaluate(struct og_journal *j, struct og_jn_op *op, struct og_jn_answer *out)
{
	memset(out, 0, sizeof(*out));
	switch (op->kind) {
	case OG_JN_COMMIT:
		return evaluate_commit(j, op, out);
	case OG_JN_CREATE:
		return evaluate_create(j, op, out);
	case OG_JN_DELETE:
		return evaluate_delete(j, op, out);
	case OG_JN_OTHER:
		return OG_JN_TAKE;
	}
	return OG_JN_TAKE;
}
