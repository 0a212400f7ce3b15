/* The checker: parameters, projections, order, and what its other files share. */
#include "config.h"
#include "gq/check.h"

#include <stdarg.h>
#include <stdio.h>

int gq_fault(struct gq_checker *k, struct gq_pos pos, const char *fmt, ...)
{
	char text[sizeof(k->err->message)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	og_error_set(k->err, OG_ERR_BAD, "type error: %s", text);
	k->err->pos = (struct og_pos){ .line = pos.line, .column = pos.column };
	return OG_ERR_BAD;
}

const char *gq_type_text(struct gq_checker *k, const struct og_proptype *t)
{
	struct og_buf b = { 0 };
	const char *text;

	og_proptype_format(&b, t);
	text = b.failed ? NULL : og_arena_strndup(k->arena, b.data ? b.data : "", b.len);
	og_buf_fini(&b);
	return text ? text : "";
}

const char *gq_xtype_text(struct gq_checker *k, const struct gq_xtype *t)
{
	const char *text;

	switch (t->kind) {
	case GQ_XT_VALUE:
		return gq_type_text(k, &t->type);
	case GQ_XT_NODE:
		text = og_arena_printf(k->arena, "node `%.*s`", OG_FMT(t->entity->name));
		return text ? text : "";
	case GQ_XT_AGGREGATE:
		break;
	}
	return "aggregate";
}

bool gq_compatible(const struct og_proptype *a, const struct og_proptype *b)
{
	if (a->list != b->list)
		return false;
	if (a->scalar == b->scalar)
		return a->scalar != OG_VECTOR || a->dim == b->dim;
	return og_scalar_numeric(a->scalar) && og_scalar_numeric(b->scalar);
}

int32_t gq_find_param(const struct gq_checker *k, struct og_slice name)
{
	const struct og_map_entry *e = og_map_find(&k->params, name);

	return e ? (int32_t)e->value : -1;
}

static int check_params(struct gq_checker *k)
{
	struct og_map_entry *e;
	bool fresh = true;

	for (uint32_t i = 0; i < k->q->nparams; i++) {
		struct gq_param *p = &k->q->params[i];

		p->used = false;
		if (og_slice_is(p->name, "__nanograph_now"))
			return gq_fault(k, p->pos,
					"parameter name `$__nanograph_now` is reserved for runtime timestamp injection");
		if (p->bad_dim.p)
			return gq_fault(k, p->pos, "unknown parameter type `Vector(%.*s)` for `$%.*s`", OG_FMT(p->bad_dim),
					OG_FMT(p->name));
		/* Of two with one name the first counts. */
		if (!(e = og_map_put(&k->params, p->name, &fresh)))
			return og_error_nomem(k->err);
		if (fresh)
			e->value = i;
	}
	return 0;
}

static struct og_slice default_column(struct gq_checker *k, const struct gq_expr *x)
{
	char *text;

	while (x->kind == GQ_X_AGG)
		x = x->args[0];
	switch (x->kind) {
	case GQ_X_LITERAL:
		return OG_SLICE("literal");
	case GQ_X_NOW:
		return OG_SLICE("now");
	case GQ_X_PARAM:
	case GQ_X_VAR:
	case GQ_X_ALIAS:
		return x->name;
	case GQ_X_PROP:
		text = og_arena_printf(k->arena, "%.*s.%.*s", OG_FMT(x->name), OG_FMT(x->prop_name));
		return og_slice_str(text);
	case GQ_X_SEARCH:
		return OG_SLICE("search");
	case GQ_X_FUZZY:
		return OG_SLICE("fuzzy");
	case GQ_X_MATCH_TEXT:
		return OG_SLICE("match_text");
	case GQ_X_NEAREST:
		return OG_SLICE("nearest");
	case GQ_X_BM25:
		return OG_SLICE("bm25");
	case GQ_X_RRF:
		return OG_SLICE("rrf");
	case GQ_X_AGG:
		break;
	}
	return OG_SLICE("");
}

static int check_items(struct gq_checker *k, struct gq_read *r)
{
	struct gq_xtype t;
	int rc;

	r->aggregate = false;
	for (uint32_t i = 0; i < r->nitems; i++) {
		struct gq_item *item = &r->items[i];

		if ((rc = gq_check_expr(k, item->expr, &t)) < 0)
			return rc;
		item->column = item->alias.len ? item->alias : default_column(k, item->expr);
		if (!item->column.p)
			return og_arena_error(k->arena, k->err);
		r->aggregate |= item->expr->kind == GQ_X_AGG;
	}
	return 0;
}

/* Aliases by name; of two equal ones the first. */
static int index_aliases(struct gq_checker *k, const struct gq_read *r, struct og_map *aliases)
{
	bool fresh = true;

	for (uint32_t i = 0; i < r->nitems; i++) {
		struct og_map_entry *e;

		if (r->items[i].alias.len == 0)
			continue;
		e = og_map_put(aliases, r->items[i].alias, &fresh);
		if (!e)
			return og_error_nomem(k->err);
		if (fresh)
			e->value = i;
	}
	return 0;
}

/* What the keys of an order clause come to. */
struct ranks {
	bool nearest, rrf, alias;
	struct gq_pos pos;	/* of a rank function */
};

static int check_key(struct gq_checker *k, const struct gq_key *key, const struct og_map *aliases, struct ranks *ranks)
{
	const struct gq_expr *x = key->expr;
	const struct og_map_entry *e;
	struct gq_xtype t;
	int rc = gq_check_expr(k, key->expr, &t);

	if (rc < 0)
		return rc;
	if (x->kind == GQ_X_NEAREST && key->has_dir)
		return gq_fault(k, x->pos, "nearest ordering takes no direction");
	if (x->kind == GQ_X_ALIAS) {
		ranks->alias = true;
		e = og_map_find(aliases, x->name);
		if (!e)
			return 0;	/* a fault of the run */
		x = k->q->read.items[e->value].expr;
	}
	if (x->kind == GQ_X_NEAREST || x->kind == GQ_X_RRF)
		ranks->pos = x->pos;
	ranks->nearest |= x->kind == GQ_X_NEAREST;
	ranks->rrf |= x->kind == GQ_X_RRF;
	return 0;
}

static int check_keys(struct gq_checker *k, struct gq_read *r)
{
	struct ranks ranks = { 0 };
	struct og_map aliases = { 0 };
	int rc = r->nkeys ? index_aliases(k, r, &aliases) : 0;

	for (uint32_t i = 0; i < r->nkeys && rc == 0; i++)
		rc = check_key(k, &r->keys[i], &aliases, &ranks);
	og_map_fini(&aliases);
	if (rc < 0)
		return rc;
	if (ranks.rrf && !r->has_limit)
		return gq_fault(k, ranks.pos, "T21: rrf ordering requires a limit clause");
	if (ranks.nearest && !r->has_limit)
		return gq_fault(k, ranks.pos, "T17: nearest ordering requires a limit clause");
	if (ranks.nearest && ranks.alias)
		return gq_fault(k, ranks.pos, "T18: alias-based ordering is not supported together with nearest in phase 1");
	return 0;
}

/* What is reported when nothing else is wrong. */
static int check_last(struct gq_checker *k, const struct gq_read *r)
{
	if (k->lone_not)
		return gq_fault(k, k->lone_not_pos, "T9: negation block must reference at least one outer-bound variable");
	for (uint32_t i = 0; i < r->nitems && r->aggregate; i++) {
		enum gq_expr_kind kind = r->items[i].expr->kind;

		if (kind != GQ_X_AGG && kind != GQ_X_PROP && kind != GQ_X_VAR && kind != GQ_X_PARAM)
			return gq_fault(k, r->items[i].pos,
					"T9: non-aggregate expressions in an aggregate query must be property accesses or variables");
	}
	return 0;
}

static int finish_vars(struct gq_checker *k, struct gq_read *r)
{
	r->vars = og_arena_array(k->arena, k->nvars + 1, sizeof(*r->vars));
	if (!r->vars)
		return og_arena_error(k->arena, k->err);
	r->nvars = (uint32_t)k->nvars;
	for (size_t i = 0; i < k->nvars; i++)
		r->vars[i] = k->vars[i].v;
	return 0;
}

static int check_read(struct gq_checker *k)
{
	struct gq_read *r = &k->q->read;
	struct gq_scope scope = { .first_bound = -1 };
	int rc;

	k->scope = &scope;
	if ((rc = gq_check_clauses(k, r->clauses, r->nclauses, 0)) == 0 && (rc = check_items(k, r)) == 0 &&
	    (rc = check_keys(k, r)) == 0 && (rc = check_last(k, r)) == 0)
		rc = finish_vars(k, r);
	k->scope = NULL;
	og_map_fini(&scope.names);
	return rc;
}

int gq_check(struct og_arena *a, struct gq_query *q, const struct og_catalog *c, struct og_error *err)
{
	struct gq_checker k = { .arena = a, .q = q, .catalog = c, .err = err };
	int rc = check_params(&k);

	q->uses_search = false;
	if (rc == 0)
		rc = q->is_mutation ? gq_check_mutation(&k) : check_read(&k);
	og_map_fini(&k.params);
	return rc;
}
