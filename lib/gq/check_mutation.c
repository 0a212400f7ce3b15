/* Statements of a mutation. */
#include "config.h"
#include "gq/check.h"

static const struct og_proptype id_type = { .scalar = OG_STRING };

static int check_assign(struct gq_checker *k, const struct gq_stmt *s, uint32_t i, struct og_map *seen)
{
	struct gq_pmatch *a = &s->assigns[i];
	const struct og_proptype *type = &id_type;
	bool fresh = true;

	a->target = GQ_ASSIGN_PROP;
	if (s->type->kind == OG_EDGE && og_slice_is(a->name, "from"))
		a->target = GQ_ASSIGN_FROM;
	else if (s->type->kind == OG_EDGE && og_slice_is(a->name, "to"))
		a->target = GQ_ASSIGN_TO;
	if (a->target == GQ_ASSIGN_PROP) {
		a->prop = og_type_property(s->type, a->name);
		if (!a->prop)
			return gq_fault(k, a->pos, "T11: type `%.*s` has no property `%.*s`", OG_FMT(s->type->name),
					OG_FMT(a->name));
		type = &a->prop->type;
	}
	if (!og_map_put(seen, a->name, &fresh))
		return og_error_nomem(k->err);
	if (!fresh)
		return gq_fault(k, a->pos, "T13: duplicate assignment for property `%.*s`", OG_FMT(a->name));
	return gq_check_value(k, GQ_USE_ASSIGN, a->name, type, a->value);
}

static int check_required(struct gq_checker *k, const struct gq_stmt *s, const struct og_map *seen)
{
	const struct og_type *t = s->type;
	static const char *const ends[] = { "from", "to" };

	for (size_t i = 0; i < 2 && t->kind == OG_EDGE; i++)
		if (!og_map_find(seen, og_slice_str(ends[i])))
			return gq_fault(k, s->pos, "T12: insert for `%.*s` must provide required endpoint `%s`", OG_FMT(t->name),
					ends[i]);
	for (uint32_t i = 0; i < t->nprops; i++) {
		const struct og_property *p = &t->props[i];
		struct og_slice src = { 0 };

		if (p->type.nullable || og_map_find(seen, p->name))
			continue;
		if (p->embed_source < 0)
			return gq_fault(k, s->pos, "T12: insert for `%.*s` must provide non-nullable property `%.*s`",
					OG_FMT(t->name), OG_FMT(p->name));
		src = t->props[p->embed_source].name;
		if (!og_map_find(seen, src))
			return gq_fault(k, s->pos,
					"T12: insert for `%.*s` must provide non-nullable property `%.*s` or @embed source `%.*s`",
					OG_FMT(t->name), OG_FMT(p->name), OG_FMT(src));
	}
	return 0;
}

static int check_assigns(struct gq_checker *k, const struct gq_stmt *s)
{
	struct og_map seen = { 0 };
	int rc = 0;

	for (uint32_t i = 0; i < s->nassigns && rc == 0; i++)
		rc = check_assign(k, s, i, &seen);
	if (rc == 0 && s->kind == GQ_INSERT)
		rc = check_required(k, s, &seen);
	og_map_fini(&seen);
	return rc;
}

static int check_where(struct gq_checker *k, struct gq_stmt *s)
{
	const struct og_proptype *type = &id_type;

	s->where_target = GQ_WHERE_PROP;
	if (s->type->kind == OG_EDGE && og_slice_is(s->where_name, "from"))
		s->where_target = GQ_WHERE_FROM;
	else if (s->type->kind == OG_EDGE && og_slice_is(s->where_name, "to"))
		s->where_target = GQ_WHERE_TO;
	if (s->where_target == GQ_WHERE_PROP) {
		s->where_prop = og_type_property(s->type, s->where_name);
		if (!s->where_prop)
			return gq_fault(k, s->pos, "T11: type `%.*s` has no property `%.*s`", OG_FMT(s->type->name),
					OG_FMT(s->where_name));
		type = &s->where_prop->type;
	}
	if (type->scalar == OG_BLOB)
		return gq_fault(k, s->pos, "T11: blob property `%.*s` cannot be used in WHERE predicates",
				OG_FMT(s->where_name));
	return gq_check_value(k, GQ_USE_WHERE, s->where_name, type, s->where_value);
}

static int check_stmt(struct gq_checker *k, struct gq_stmt *s)
{
	int rc;

	/* A node type goes before an edge type of its name; edges ignore case in traversals only. */
	s->type = og_catalog_node(k->catalog, s->type_name);
	if (!s->type) {
		s->type = og_catalog_edge(k->catalog, s->type_name);
		if (s->type && !og_slice_eq(s->type->name, s->type_name))
			s->type = NULL;
	}
	if (!s->type)
		return gq_fault(k, s->pos, "T10: unknown node/edge type `%.*s`", OG_FMT(s->type_name));
	if (s->kind == GQ_UPDATE && s->type->kind == OG_EDGE)
		return gq_fault(k, s->pos, "T16: update mutation for edge type `%.*s` is not supported", OG_FMT(s->type_name));
	if (s->kind != GQ_DELETE && (rc = check_assigns(k, s)) < 0)
		return rc;
	return s->kind == GQ_INSERT ? 0 : check_where(k, s);
}

int gq_check_mutation(struct gq_checker *k)
{
	int rc = 0;

	for (uint32_t i = 0; i < k->q->nstmts && rc == 0; i++)
		rc = check_stmt(k, &k->q->stmts[i]);
	return rc;
}
