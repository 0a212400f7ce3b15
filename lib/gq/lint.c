/* The linter. */
#include "config.h"
#include "gq/lint.h"

#include <stdlib.h>

const char *gq_kind_name(enum og_scalar s)
{
	switch (s) {
	case OG_STRING:
		return "string";
	case OG_BOOL:
		return "bool";
	case OG_I32:
	case OG_U32:
		return "int";
	case OG_I64:
	case OG_U64:
		return "bigint";
	case OG_F32:
	case OG_F64:
		return "float";
	case OG_DATE:
		return "date";
	case OG_DATETIME:
		return "datetime";
	case OG_VECTOR:
		return "vector";
	case OG_BLOB:
		return "blob";
	}
	return "object";
}

/* ---- what a query touches ---- */

static void touch_clauses(const struct og_catalog *c, const struct gq_clause *clauses, uint32_t n, bool *reads)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct og_type *t = clauses[i].type;

		if (clauses[i].kind == GQ_NOT)
			touch_clauses(c, clauses[i].inner, clauses[i].ninner, reads);
		if (!t)
			continue;
		reads[t->index] = true;
		if (t->kind == OG_EDGE)
			reads[t->src_type] = reads[t->dst_type] = true;
	}
}

static void touch_stmt(const struct og_catalog *c, const struct gq_stmt *s, bool *reads, bool *writes)
{
	reads[s->type->index] = writes[s->type->index] = true;
	if (s->type->kind == OG_EDGE && s->kind == GQ_INSERT)
		reads[s->type->src_type] = reads[s->type->dst_type] = true;
	/* A deleted node takes its edges with it. */
	for (uint32_t i = 0; i < c->ntypes && s->type->kind == OG_NODE && s->kind == GQ_DELETE; i++) {
		const struct og_type *e = &c->types[i];

		if (e->kind == OG_EDGE && (e->src_type == s->type->index || e->dst_type == s->type->index))
			reads[i] = writes[i] = true;
	}
}

static int touch(struct og_arena *a, const struct og_catalog *c, struct gq_lint_result *r, struct og_error *err)
{
	r->reads = og_arena_array(a, c->ntypes + 1, sizeof(bool));
	r->writes = og_arena_array(a, c->ntypes + 1, sizeof(bool));
	if (!r->reads || !r->writes)
		return og_arena_error(a, err);
	touch_clauses(c, r->query->read.clauses, r->query->read.nclauses, r->reads);
	for (uint32_t i = 0; i < r->query->nstmts; i++)
		touch_stmt(c, &r->query->stmts[i], r->reads, r->writes);
	return 0;
}

/* ---- findings ---- */

static struct gq_finding *add_finding(struct og_arena *a, struct gq_lint *l, size_t *cap)
{
	struct gq_finding *f = og_arena_grow(a, l->findings, cap, l->nfindings + 1, sizeof(*f));

	if (!f)
		return NULL;
	l->findings = f;
	f = &f[l->nfindings++];
	memset(f, 0, sizeof(*f));
	return f;
}

static int by_slice(const void *a, const void *b)
{
	return og_slice_cmp(*(const struct og_slice *)a, *(const struct og_slice *)b);
}

/* Names of the well-typed queries that update a type, sorted, each once; and which of its properties they set. */
static int updaters(struct og_arena *a, const struct gq_lint *l, const struct og_type *t, struct gq_finding *out, bool *set)
{
	struct og_slice *names = og_arena_array(a, l->nresults + 1, sizeof(*names));
	size_t n = 0, kept = 0;

	if (!names)
		return -1;
	for (size_t i = 0; i < l->nresults; i++) {
		const struct gq_query *q = l->results[i].query;
		bool updates = false;

		for (uint32_t s = 0; s < q->nstmts && !l->results[i].error; s++) {
			if (q->stmts[s].kind != GQ_UPDATE || q->stmts[s].type != t)
				continue;
			updates = true;
			for (uint32_t j = 0; j < q->stmts[s].nassigns; j++)
				set[q->stmts[s].assigns[j].prop->index] = true;
		}
		if (updates)
			names[n++] = q->name;
	}
	qsort(names, n, sizeof(*names), by_slice);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !og_slice_eq(names[i], names[i - 1]))
			names[kept++] = names[i];
	out->query_names = names;
	out->nquery_names = kept;
	return 0;
}

/* Nullable properties of a type with updates that no update ever sets. */
static int find_unset(struct og_arena *a, struct gq_lint *l, const struct og_type *t, size_t *cap)
{
	bool *set = og_arena_array(a, t->nprops + 1, sizeof(*set));
	struct gq_finding model = { .severity = GQ_SEV_WARNING, .code = "L201", .type_name = t->name };
	struct gq_finding *f;

	if (!set || updaters(a, l, t, &model, set) < 0)
		return -1;
	for (uint32_t i = 0; i < t->nprops && model.nquery_names > 0; i++) {
		const struct og_property *p = &t->props[i];

		if (!p->type.nullable || p->key || p->embed_source >= 0 || set[i])
			continue;
		model.property = p->name;
		model.message = og_arena_printf(a, "%.*s.%.*s exists in schema but no update query sets it", OG_FMT(t->name),
						OG_FMT(p->name));
		if (!model.message || !(f = add_finding(a, l, cap)))
			return -1;
		*f = model;
		l->warnings++;
	}
	return 0;
}

static int lint_query(struct og_arena *a, struct gq_query *q, const struct og_catalog *c, struct gq_lint *l,
		      struct og_error *err)
{
	struct gq_lint_result *r = &l->results[l->nresults++];
	int rc = gq_check(a, q, c, err);

	r->query = q;
	if (q->is_mutation && q->nparams == 0)
		r->warning = "mutation declares no params; hardcoded mutations are easy to miss";
	l->warnings += r->warning != NULL;
	if (rc == 0)
		return touch(a, c, r, err);
	if (rc != OG_ERR_BAD)
		return rc;
	l->errors++;
	r->error = og_arena_strndup(a, err->message, strlen(err->message));
	return r->error ? 0 : og_arena_error(a, err);
}

static int parse_finding(struct og_arena *a, struct gq_lint *l, struct og_error *err)
{
	size_t cap = 0;
	struct gq_finding *f = add_finding(a, l, &cap);

	if (!f)
		return og_arena_error(a, err);
	f->severity = GQ_SEV_ERROR;
	f->code = "Q000";
	f->message = og_arena_strndup(a, err->message, strlen(err->message));
	l->errors = 1;
	return f->message ? 0 : og_arena_error(a, err);
}

int gq_lint(struct og_arena *a, struct og_slice source, const struct og_catalog *c, struct gq_lint *out, struct og_error *err)
{
	struct gq_file file = { 0 };
	size_t cap = 0;
	int rc = gq_parse(a, source, &file, err);

	*out = (struct gq_lint){ .catalog = c };
	if (rc < 0)
		return rc == OG_ERR_BAD ? parse_finding(a, out, err) : rc;
	out->results = og_arena_array(a, file.nqueries + 1, sizeof(*out->results));
	if (!out->results)
		return og_arena_error(a, err);
	for (uint32_t i = 0; i < file.nqueries; i++)
		if ((rc = lint_query(a, &file.queries[i], c, out, err)) < 0)
			return rc;
	/* Types and properties stand in byte order, and all findings here are of one kind: they come out sorted. */
	for (uint32_t i = 0; i < c->ntypes; i++)
		if (c->types[i].kind == OG_NODE && find_unset(a, out, &c->types[i], &cap) < 0)
			return og_arena_error(a, err);
	return 0;
}

/* ---- the report ---- */

static const char *const severities[] = { [GQ_SEV_ERROR] = "error", [GQ_SEV_WARNING] = "warning", [GQ_SEV_INFO] = "info" };
static const char *const severity_tags[] = { [GQ_SEV_ERROR] = "ERROR", [GQ_SEV_WARNING] = "WARN ", [GQ_SEV_INFO] = "INFO " };
static const char *const agg_names[] = {
	[GQ_COUNT] = "count", [GQ_SUM] = "sum", [GQ_AVG] = "avg", [GQ_MIN] = "min", [GQ_MAX] = "max",
};

static struct og_slice result_name(const struct gq_item *item)
{
	const struct gq_expr *x = item->expr;

	if (item->alias.len)
		return item->alias;
	if (x->kind == GQ_X_PROP)
		return x->prop_name;
	if (x->kind == GQ_X_AGG)
		return og_slice_str(agg_names[x->agg]);
	return item->column;
}

static void put_result(struct og_json_writer *w, const struct gq_item *item)
{
	const struct gq_expr *x = item->expr;
	bool list = x->type.list;

	og_json_begin_object(w);
	og_json_member_string(w, "name", result_name(item));
	og_json_member_str(w, "kind", x->type.scalar == 0 ? "object" : list ? "list" : gq_kind_name(x->type.scalar));
	if (list)
		og_json_member_str(w, "item_kind", gq_kind_name(x->type.scalar));
	if (!list && x->type.scalar == OG_VECTOR)
		og_json_member_u64(w, "vector_dim", x->type.dim);
	og_json_member_bool(w, "nullable", x->kind == GQ_X_AGG || x->type.nullable);
	og_json_end_object(w);
}

static void put_types(struct og_json_writer *w, const char *key, const struct og_catalog *c, const bool *marked)
{
	static const enum og_type_kind kinds[] = { OG_NODE, OG_EDGE };

	og_json_member_array(w, key);
	for (size_t k = 0; k < OG_COUNT(kinds); k++) {
		for (uint32_t i = 0; i < c->ntypes; i++) {
			if (!marked[i] || c->types[i].kind != kinds[k])
				continue;
			og_json_begin_object(w);
			og_json_member_str(w, "kind", kinds[k] == OG_NODE ? "node" : "edge");
			og_json_member_string(w, "type_name", c->types[i].name);
			og_json_end_object(w);
		}
	}
	og_json_end_array(w);
}

static void put_query(struct og_json_writer *w, const struct gq_lint *l, const struct gq_lint_result *r)
{
	const struct gq_query *q = r->query;

	og_json_begin_object(w);
	og_json_member_string(w, "name", q->name);
	og_json_member_str(w, "kind", q->is_mutation ? "mutation" : "read");
	og_json_member_str(w, "status", r->error ? "error" : "ok");
	if (r->warning) {
		og_json_member_array(w, "warnings");
		og_json_put_str(w, r->warning);
		og_json_end_array(w);
	}
	if (r->error) {
		og_json_member_str(w, "error", r->error);
	} else {
		og_json_member_object(w, "operation");
		og_json_member_array(w, "result");
		for (uint32_t i = 0; i < q->read.nitems; i++)
			put_result(w, &q->read.items[i]);
		og_json_end_array(w);
		put_types(w, "reads", l->catalog, r->reads);
		put_types(w, "writes", l->catalog, r->writes);
		og_json_end_object(w);
	}
	og_json_end_object(w);
}

static void put_finding(struct og_json_writer *w, const struct gq_finding *f)
{
	og_json_begin_object(w);
	og_json_member_str(w, "severity", severities[f->severity]);
	og_json_member_str(w, "code", f->code);
	og_json_member_str(w, "message", f->message);
	if (f->type_name.len)
		og_json_member_string(w, "type_name", f->type_name);
	if (f->property.len)
		og_json_member_string(w, "property", f->property);
	if (f->nquery_names) {
		og_json_member_array(w, "query_names");
		for (size_t i = 0; i < f->nquery_names; i++)
			og_json_put_string(w, f->query_names[i]);
		og_json_end_array(w);
	}
	og_json_end_object(w);
}

void gq_lint_json(struct og_json_writer *w, const struct gq_lint *l, const struct gq_lint_origin *origin)
{
	bool file = strcmp(origin->kind, "file") == 0;

	og_json_begin_object(w);
	og_json_member_str(w, "status", l->errors ? "error" : "ok");
	og_json_member_object(w, "schema_source");
	og_json_member_str(w, "kind", origin->kind);
	og_json_member_str(w, file ? "path" : "uri", origin->place);
	og_json_end_object(w);
	og_json_member_str(w, "query_path", origin->query_path);
	og_json_member_u64(w, "queries_processed", l->nresults);
	og_json_member_u64(w, "errors", l->errors);
	og_json_member_u64(w, "warnings", l->warnings);
	og_json_member_u64(w, "infos", l->infos);
	og_json_member_array(w, "results");
	for (size_t i = 0; i < l->nresults; i++)
		put_query(w, l, &l->results[i]);
	og_json_end_array(w);
	og_json_member_array(w, "findings");
	for (size_t i = 0; i < l->nfindings; i++)
		put_finding(w, &l->findings[i]);
	og_json_end_array(w);
	og_json_end_object(w);
}

void gq_lint_text(struct og_buf *b, const struct gq_lint *l)
{
	for (size_t i = 0; i < l->nresults; i++) {
		const struct gq_lint_result *r = &l->results[i];

		if (r->error)
			og_buf_printf(b, "ERROR query `%.*s`: %s\n", OG_FMT(r->query->name), r->error);
		else
			og_buf_printf(b, "OK    query `%.*s` (%s)\n", OG_FMT(r->query->name),
				      r->query->is_mutation ? "mutation" : "read");
		if (r->warning)
			og_buf_printf(b, "WARN  query `%.*s`: %s\n", OG_FMT(r->query->name), r->warning);
	}
	for (size_t i = 0; i < l->nfindings; i++)
		og_buf_printf(b, "%s %s\n", severity_tags[l->findings[i].severity], l->findings[i].message);
	og_buf_printf(b, "INFO  Lint complete: %zu queries processed (%zu error(s), %zu warning(s), %zu info item(s))\n",
		      l->nresults, l->errors, l->warnings, l->infos);
}
