/* Types of expressions and of values beside properties. */
#include "config.h"
#include "gq/check.h"

#include <stdio.h>

static int fault_text_type(struct gq_checker *k, const struct gq_expr *x, const char *code, const char *what,
			   const struct gq_xtype *t)
{
	if (t->kind == GQ_XT_VALUE && !t->type.list)
		return gq_fault(k, x->pos, "%s: %s must be String, got %s", code, what, gq_type_text(k, &t->type));
	return gq_fault(k, x->pos, "%s: %s must be a scalar String expression", code, what);
}

static bool is_integer(const struct og_proptype *t)
{
	return !t->list && t->scalar >= OG_I32 && t->scalar <= OG_U64;
}

static bool is_string(const struct gq_xtype *t)
{
	return t->kind == GQ_XT_VALUE && !t->type.list && t->type.scalar == OG_STRING;
}

static int check_integer(struct gq_checker *k, struct gq_expr *x, const char *code, const char *what)
{
	struct gq_xtype t;
	int rc = gq_check_expr(k, x, &t);

	if (rc < 0)
		return rc;
	if (t.kind != GQ_XT_VALUE || t.type.list)
		return gq_fault(k, x->pos, "%s: %s must be an integer scalar expression", code, what);
	if (!is_integer(&t.type))
		return gq_fault(k, x->pos, "%s: %s must be an integer scalar, got %s", code, what, gq_type_text(k, &t.type));
	return 0;
}

static enum og_scalar item_scalar(const struct og_value *v, uint8_t date)
{
	switch (v->kind) {
	case OG_V_INT:
		return OG_I64;
	case OG_V_FLOAT:
		return OG_F64;
	case OG_V_BOOL:
		return OG_BOOL;
	case OG_V_STRING:
	case OG_V_NULL:
	case OG_V_UINT:
	case OG_V_DATE:
	case OG_V_DATETIME:
	case OG_V_LIST:
	case OG_V_VECTOR:
	case OG_V_BLOB:
		break;
	}
	return date == GQ_LIT_DATE ? OG_DATE : date == GQ_LIT_DATETIME ? OG_DATETIME : OG_STRING;
}

int gq_check_literal(struct gq_checker *k, struct gq_expr *x)
{
	struct og_proptype item = { 0 };

	x->type = (struct og_proptype){ .scalar = OG_STRING };
	if (x->lit.kind != OG_V_LIST) {
		x->type.scalar = item_scalar(&x->lit, (uint8_t)x->lit_date);
		return 0;
	}
	x->type.list = true;
	for (size_t i = 0; i < x->lit.items.n; i++) {
		if (x->lit.items.v[i].kind == OG_V_LIST)
			return gq_fault(k, x->pos, "nested list literals are not supported");
		item.scalar = item_scalar(&x->lit.items.v[i], x->item_dates[i]);
		if (i == 0)
			x->type.scalar = item.scalar;
		else if (item.scalar != x->type.scalar &&
			 !(og_scalar_numeric(item.scalar) && og_scalar_numeric(x->type.scalar)))
			return gq_fault(k, x->pos, "list literal elements must share a compatible scalar type");
	}
	return 0;
}

/* search, match_text, bm25 and fuzzy: a text field of a node and a query text. */
static int check_search(struct gq_checker *k, struct gq_expr *x, const char *code, const char *func)
{
	struct gq_expr *field = x->args[0];
	char what[40];
	struct gq_xtype t;
	int rc = gq_check_expr(k, field, &t);

	if (rc < 0)
		return rc;
	if (field->kind == GQ_X_PROP && k->vars[field->var].v.is_edge)
		return gq_fault(k, field->pos,
				"T23: %s cannot target edge property `$%.*s.%.*s`; text/rank search runs on node properties — "
				"edge properties support comparison filters and projection",
				func, OG_FMT(field->name), OG_FMT(field->prop_name));
	snprintf(what, sizeof(what), "%s field", func);
	if (!is_string(&t))
		return fault_text_type(k, field, code, what, &t);
	if ((rc = gq_check_expr(k, x->args[1], &t)) < 0)
		return rc;
	snprintf(what, sizeof(what), "%s query", func);
	if (!is_string(&t))
		return fault_text_type(k, x->args[1], code, what, &t);
	return x->nargs > 2 ? check_integer(k, x->args[2], code, "fuzzy max_edits") : 0;
}

static int nearest_field(struct gq_checker *k, struct gq_expr *field)
{
	const struct og_type *t;
	struct og_proptype shown;

	field->var = gq_bound_var(k, field->name);
	if (field->var < 0)
		return gq_fault(k, field->pos, "T15: variable `$%.*s` is not bound", OG_FMT(field->name));
	if (k->vars[field->var].v.is_edge)
		return gq_fault(k, field->pos,
				"T23: nearest cannot target edge binding `$%.*s`; vector search runs on node properties",
				OG_FMT(field->name));
	t = k->vars[field->var].v.type;
	field->prop = og_type_property(t, field->prop_name);
	if (!field->prop)
		return gq_fault(k, field->pos, "T15: type `%.*s` has no property `%.*s`", OG_FMT(t->name),
				OG_FMT(field->prop_name));
	field->type = field->prop->type;
	if (field->type.scalar == OG_VECTOR && field->type.list)
		return gq_fault(k, field->pos, "T15: nearest does not support list-wrapped vectors");
	shown = field->type;
	if (field->type.scalar != OG_VECTOR)
		return gq_fault(k, field->pos, "T15: nearest requires a Vector property, got %.*s.%.*s: %s", OG_FMT(t->name),
				OG_FMT(field->prop_name), gq_type_text(k, &shown));
	return 0;
}

static int check_nearest(struct gq_checker *k, struct gq_expr *x)
{
	struct gq_expr *query = x->args[1];
	struct gq_xtype t;
	uint32_t dim;
	int rc;

	if ((rc = nearest_field(k, x->args[0])) < 0 || (rc = gq_check_expr(k, query, &t)) < 0)
		return rc;
	dim = x->args[0]->type.dim;
	/* A value that differs from row to row has no one order. */
	if (t.kind != GQ_XT_VALUE || query->kind == GQ_X_PROP)
		return gq_fault(k, query->pos, "T15: nearest query must be a scalar expression");
	if (query->kind == GQ_X_LITERAL && t.type.list && (og_scalar_numeric(t.type.scalar) || query->lit.items.n == 0)) {
		if (query->lit.items.n != dim)
			return gq_fault(k, query->pos,
					"T15: nearest vector dimension mismatch: property is Vector(%u), query literal has %zu elements",
					dim, query->lit.items.n);
		return 0;
	}
	if (t.type.scalar == OG_VECTOR && !t.type.list) {
		if (t.type.dim != dim)
			return gq_fault(k, query->pos,
					"T15: nearest vector dimension mismatch: property is Vector(%u), query is Vector(%u)", dim,
					t.type.dim);
		return 0;
	}
	if (t.type.list ? t.type.scalar == OG_F32 || t.type.scalar == OG_F64 : t.type.scalar == OG_STRING)
		return 0;
	return gq_fault(k, query->pos, "T15: nearest query must be Vector(%u) or String, got %s", dim, gq_type_text(k, &t.type));
}

static int check_rrf(struct gq_checker *k, struct gq_expr *x)
{
	struct gq_xtype t;
	int rc;

	for (unsigned i = 0; i < 2; i++)
		if ((rc = gq_check_expr(k, x->args[i], &t)) < 0)
			return rc;
	if (x->args[0]->args[0]->var != x->args[1]->args[0]->var)
		return gq_fault(k, x->pos, "T21: both arms of rrf must rank the same variable");
	if (x->nargs < 3)
		return 0;
	if ((rc = check_integer(k, x->args[2], "T21", "rrf k")) < 0)
		return rc;
	if (x->args[2]->kind == GQ_X_LITERAL && x->args[2]->lit.i <= 0)
		return gq_fault(k, x->args[2]->pos, "T21: rrf k must be greater than 0");
	return 0;
}

static const char *const agg_names[] = {
	[GQ_COUNT] = "count", [GQ_SUM] = "sum", [GQ_AVG] = "avg", [GQ_MIN] = "min", [GQ_MAX] = "max",
};

static int check_agg(struct gq_checker *k, struct gq_expr *x)
{
	const char *name = agg_names[x->agg];
	struct gq_xtype t;
	bool numeric;
	int rc = gq_check_expr(k, x->args[0], &t);

	if (rc < 0)
		return rc;
	if (x->args[0]->kind == GQ_X_AGG)
		return gq_fault(k, x->pos, "T8: %s cannot be applied to an aggregate", name);
	numeric = t.kind == GQ_XT_VALUE && !t.type.list && og_scalar_numeric(t.type.scalar);
	x->type = (struct og_proptype){ .scalar = OG_F64, .nullable = true };
	switch (x->agg) {
	case GQ_COUNT:
		x->type = (struct og_proptype){ .scalar = OG_I64 };
		break;
	case GQ_SUM:
	case GQ_AVG:
		if (t.kind == GQ_XT_NODE)
			return gq_fault(k, x->pos, "T10: %s needs a numeric property", name);
		if (!numeric)
			return gq_fault(k, x->pos, "T8: %s requires numeric type, got %s", name, gq_xtype_text(k, &t));
		break;
	case GQ_MIN:
	case GQ_MAX:
		if (!numeric && !is_string(&t) && t.kind != GQ_XT_NODE)
			return gq_fault(k, x->pos, "T8: %s requires numeric or string type, got %s", name,
					gq_xtype_text(k, &t));
		x->type = t.type;	/* of an entity its id */
		if (t.kind == GQ_XT_NODE)
			x->type.scalar = OG_STRING;
		x->type.nullable = true;
		break;
	}
	return 0;
}

static int check_var(struct gq_checker *k, struct gq_expr *x, struct gq_xtype *out)
{
	int32_t param = gq_find_param(k, x->name);

	x->var = gq_bound_var(k, x->name);
	if (x->var >= 0) {
		if (k->vars[x->var].v.is_edge)
			return gq_fault(k, x->pos,
					"T23: edge binding `$%.*s` cannot be used bare; access one of its properties (`$%.*s.{prop}`)",
					OG_FMT(x->name), OG_FMT(x->name));
		x->entity = k->vars[x->var].v.type;
		*out = (struct gq_xtype){ .kind = GQ_XT_NODE, .entity = x->entity };
		return 0;
	}
	if (param < 0)
		return gq_fault(k, x->pos, "variable `$%.*s` is not bound", OG_FMT(x->name));
	x->kind = GQ_X_PARAM;
	x->param = param;
	k->q->params[param].used = true;
	x->type = k->q->params[param].type;
	return 0;
}

static int check_prop(struct gq_checker *k, struct gq_expr *x)
{
	const struct gq_var *v;

	x->var = gq_bound_var(k, x->name);
	if (x->var < 0)
		return gq_fault(k, x->pos, "T6: variable `$%.*s` is not bound", OG_FMT(x->name));
	v = &k->vars[x->var].v;
	x->prop = og_type_property(v->type, x->prop_name);
	if (!x->prop)
		return gq_fault(k, x->pos, "T6: %s `%.*s` has no property `%.*s`", v->is_edge ? "edge" : "type",
				OG_FMT(v->type->name), OG_FMT(x->prop_name));
	x->type = x->prop->type;
	return 0;
}

/* The search and rank functions. */
static int check_ranked(struct gq_checker *k, struct gq_expr *x)
{
	k->q->uses_search = true;
	x->type = (struct og_proptype){ .scalar = OG_F64 };
	if (x->kind == GQ_X_NEAREST) {
		x->type.nullable = true;
		return check_nearest(k, x);
	}
	if (x->kind == GQ_X_RRF)
		return check_rrf(k, x);
	if (x->kind == GQ_X_BM25)
		return check_search(k, x, "T20", "bm25");
	x->type.scalar = OG_BOOL;
	if (x->kind == GQ_X_MATCH_TEXT)
		return check_search(k, x, "T20", "match_text");
	return check_search(k, x, "T19", x->kind == GQ_X_FUZZY ? "fuzzy" : "search");
}

int gq_check_expr(struct gq_checker *k, struct gq_expr *x, struct gq_xtype *out)
{
	int rc = 0;

	*out = (struct gq_xtype){ .kind = GQ_XT_VALUE };
	switch (x->kind) {
	case GQ_X_LITERAL:
		rc = gq_check_literal(k, x);
		break;
	case GQ_X_NOW:
		x->type = (struct og_proptype){ .scalar = OG_DATETIME };
		break;
	case GQ_X_VAR:
	case GQ_X_PARAM:
		if ((rc = check_var(k, x, out)) < 0 || out->kind == GQ_XT_NODE)
			return rc;
		break;
	case GQ_X_PROP:
		rc = check_prop(k, x);
		break;
	case GQ_X_ALIAS:
		out->kind = GQ_XT_AGGREGATE;
		break;
	case GQ_X_AGG:
		rc = check_agg(k, x);
		out->kind = GQ_XT_AGGREGATE;
		break;
	case GQ_X_SEARCH:
	case GQ_X_FUZZY:
	case GQ_X_MATCH_TEXT:
	case GQ_X_NEAREST:
	case GQ_X_BM25:
	case GQ_X_RRF:
		rc = check_ranked(k, x);
		break;
	}
	out->type = x->type;
	return rc;
}

static int check_literal_value(struct gq_checker *k, enum gq_use use, struct og_slice name, const struct og_proptype *prop,
			       const struct gq_expr *x)
{
	struct og_proptype item = *prop;
	struct og_buf b = { 0 };

	item.list = false;
	if (use == GQ_USE_MATCH && prop->list) {
		if (x->type.list)
			return gq_fault(k, x->pos,
					"T3: list equality is not supported for property `%.*s`; use a scalar value to match list membership",
					OG_FMT(name));
		if (!gq_compatible(&item, &x->type))
			return gq_fault(k, x->pos, "T3: property `%.*s` has type %s but membership match got %s", OG_FMT(name),
					gq_type_text(k, prop), gq_type_text(k, &x->type));
		return 0;
	}
	if (prop->scalar == OG_VECTOR && x->type.list && (og_scalar_numeric(x->type.scalar) || x->lit.items.n == 0)) {
		if (x->lit.items.n != prop->dim)
			return gq_fault(k, x->pos, "T3: property `%.*s` has type Vector(%u) but got vector literal with %zu elements",
					OG_FMT(name), prop->dim, x->lit.items.n);
		return 0;
	}
	if (!gq_compatible(prop, &x->type) || prop->scalar == OG_BLOB)
		return gq_fault(k, x->pos, "T3: property `%.*s` has type %s but got %s", OG_FMT(name), gq_type_text(k, prop),
				gq_type_text(k, &x->type));
	if (prop->nenum == 0 || prop->list)
		return 0;
	for (uint32_t i = 0; i < prop->nenum; i++)
		if (og_slice_eq(prop->enums[i], x->lit.s))
			return 0;
	for (uint32_t i = 0; i < prop->nenum; i++)
		og_buf_printf(&b, "%s%.*s", i ? ", " : "", OG_FMT(prop->enums[i]));
	gq_fault(k, x->pos, "T3: property `%.*s` expects one of [%.*s], got '%.*s'", OG_FMT(name), OG_FMT(og_buf_view(&b)),
		 OG_FMT(x->lit.s));
	og_buf_fini(&b);
	return OG_ERR_BAD;
}

static int check_bound_value(struct gq_checker *k, enum gq_use use, struct og_slice name, const struct og_proptype *prop,
			     const struct gq_expr *x)
{
	struct og_proptype item = *prop;

	item.list = false;
	if (use == GQ_USE_MATCH && prop->list) {
		if (x->type.list)
			return gq_fault(k, x->pos,
					"T7: list equality is not supported for property `%.*s`; use a scalar parameter for membership matching",
					OG_FMT(name));
		if (!gq_compatible(&item, &x->type))
			return gq_fault(k, x->pos, "T7: cannot compare %s membership against %s for property `%.*s`",
					gq_type_text(k, &x->type), gq_type_text(k, prop), OG_FMT(name));
		return 0;
	}
	/* A blob arrives as the text that names or holds it. */
	if (prop->scalar == OG_BLOB && x->type.scalar == OG_STRING && !x->type.list)
		return 0;
	if (!gq_compatible(prop, &x->type))
		return gq_fault(k, x->pos, "T7: cannot assign/compare %s with %s for property `%.*s`", gq_type_text(k, &x->type),
				gq_type_text(k, prop), OG_FMT(name));
	return 0;
}

int gq_check_value(struct gq_checker *k, enum gq_use use, struct og_slice name, const struct og_proptype *prop,
		   struct gq_expr *x)
{
	int rc;

	if (x->kind == GQ_X_LITERAL) {
		rc = gq_check_literal(k, x);
		return rc < 0 ? rc : check_literal_value(k, use, name, prop, x);
	}
	if (x->kind == GQ_X_NOW) {
		x->type = (struct og_proptype){ .scalar = OG_DATETIME };
		return check_bound_value(k, use, name, prop, x);
	}
	x->param = gq_find_param(k, x->name);
	if (x->param < 0 && use == GQ_USE_MATCH)
		return gq_fault(k, x->pos, "T6: variable `$%.*s` is not bound", OG_FMT(x->name));
	if (x->param < 0)
		return gq_fault(k, x->pos, "T14: mutation variable `$%.*s` must be a declared query parameter", OG_FMT(x->name));
	x->kind = GQ_X_PARAM;
	x->type = k->q->params[x->param].type;
	k->q->params[x->param].used = true;
	return check_bound_value(k, use, name, prop, x);
}
