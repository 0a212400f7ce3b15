/* Values of parameters and constants. */
#include "config.h"
#include "gq/gq.h"
#include "base/date.h"
#include "base/num.h"
#include "json/tree.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_PARAMS 4096u

struct binder {
	struct og_arena *arena;
	struct og_error *err;
	struct og_slice name;		/* of the parameter that is being bound */
};

static int OG_PRINTF(2, 3) refuse(struct binder *b, const char *fmt, ...);

static int refuse(struct binder *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return og_error_set(b->err, OG_ERR_BAD, "param '%.*s': %s", OG_FMT(b->name), text);
}

static int bind_signed(struct binder *b, enum og_scalar type, const struct og_json *j, struct og_value *out)
{
	out->kind = OG_V_INT;
	if (j->type == OG_JT_NUMBER) {
		if (!og_json_to_i64(j, &out->i))
			return refuse(b, "expected integer number");
	} else if (j->type == OG_JT_STRING) {
		if (!og_parse_i64(j->s, &out->i))
			return refuse(b, "expected integer string, got '%.*s'", OG_FMT(j->s));
	} else {
		return refuse(b, "expected integer");
	}
	if (type == OG_I32 && (out->i < INT32_MIN || out->i > INT32_MAX))
		return refuse(b, "value %" PRId64 " exceeds I32", out->i);
	return 0;
}

static int bind_unsigned(struct binder *b, enum og_scalar type, const struct og_json *j, struct og_value *out)
{
	out->kind = OG_V_UINT;
	if (j->type == OG_JT_NUMBER) {
		if (!og_json_to_u64(j, &out->u))
			return refuse(b, "expected unsigned integer number");
	} else if (j->type == OG_JT_STRING) {
		if (!og_parse_u64(j->s, &out->u))
			return refuse(b, "expected unsigned integer string, got '%.*s'", OG_FMT(j->s));
	} else {
		return refuse(b, "expected unsigned integer");
	}
	if (type == OG_U32 && out->u > UINT32_MAX)
		return refuse(b, "value %" PRIu64 " exceeds U32", out->u);
	if (out->u > INT64_MAX)
		return refuse(b, "value %" PRIu64 " exceeds current engine range for U64 (max 9223372036854775807)", out->u);
	return 0;
}

static int bind_text(struct binder *b, enum og_scalar type, const struct og_json *j, struct og_value *out)
{
	if (j->type != OG_JT_STRING) {
		if (type == OG_DATE)
			return refuse(b, "expected date string");
		if (type == OG_DATETIME)
			return refuse(b, "expected datetime string");
		return refuse(b, "expected %s, got %s", type == OG_BLOB ? "blob URI string" : "string", og_json_type_name(j));
	}
	out->kind = OG_V_STRING;
	out->s = og_arena_slice(b->arena, j->s);
	return out->s.p ? 0 : og_arena_error(b->arena, b->err);
}

static int bind_scalar(struct binder *b, enum og_scalar type, const struct og_json *j, struct og_value *out)
{
	switch (type) {
	case OG_STRING:
	case OG_DATE:
	case OG_DATETIME:
	case OG_BLOB:
		return bind_text(b, type, j, out);
	case OG_BOOL:
		if (j->type != OG_JT_BOOL)
			return refuse(b, "expected boolean");
		out->kind = OG_V_BOOL;
		out->i = j->b;
		return 0;
	case OG_I32:
	case OG_I64:
		return bind_signed(b, type, j, out);
	case OG_U32:
	case OG_U64:
		return bind_unsigned(b, type, j, out);
	case OG_F32:
	case OG_F64:
		out->kind = OG_V_FLOAT;
		return og_json_to_double(j, &out->f) ? 0 : refuse(b, "expected float");
	case OG_VECTOR:
		break;
	}
	return og_error_set(b->err, OG_ERR_INTERNAL, "parameter of no type");
}

static int bind_vector(struct binder *b, uint32_t dim, const struct og_json *j, struct og_value *out)
{
	float *vec;
	double x;

	if (j->type != OG_JT_ARRAY)
		return refuse(b, "expected array for Vector(%u)", dim);
	if (j->items.n != dim)
		return refuse(b, "expected %u values for Vector(%u), got %zu", dim, dim, j->items.n);
	vec = og_arena_array(b->arena, dim, sizeof(*vec));
	if (!vec)
		return og_arena_error(b->arena, b->err);
	for (uint32_t i = 0; i < dim; i++) {
		if (!og_json_to_double(&j->items.v[i], &x))
			return refuse(b, "vector element is not numeric");
		vec[i] = (float)x;
	}
	out->kind = OG_V_VECTOR;
	out->vec.v = vec;
	out->vec.dim = dim;
	return 0;
}

static int bind_list(struct binder *b, enum og_scalar type, const struct og_json *j, struct og_value *out)
{
	struct og_value *items;
	int rc;

	if (j->type != OG_JT_ARRAY)
		return refuse(b, "expected array for [%s]", og_scalar_name(type));
	items = og_arena_array(b->arena, j->items.n + 1, sizeof(*items));
	if (!items)
		return og_arena_error(b->arena, b->err);
	for (size_t i = 0; i < j->items.n; i++)
		if ((rc = bind_scalar(b, type, &j->items.v[i], &items[i])) < 0)
			return rc;
	out->kind = OG_V_LIST;
	out->items.v = items;
	out->items.n = j->items.n;
	return 0;
}

static int bind_one(struct binder *b, const struct og_proptype *t, const struct og_json *j, struct og_value *out)
{
	if (j->type == OG_JT_NULL) {
		if (!t->nullable)
			return refuse(b, "null is not accepted for non-nullable parameter");
		*out = (struct og_value){ .kind = OG_V_NULL };
		return 0;
	}
	if (t->list)
		return bind_list(b, t->scalar, j, out);
	return t->scalar == OG_VECTOR ? bind_vector(b, t->dim, j, out) : bind_scalar(b, t->scalar, j, out);
}

/* JSON nests at most OG_JSON_DEPTH levels, so the recursion is bounded. */
static bool has_object(const struct og_json *j)
{
	if (j->type == OG_JT_OBJECT)
		return true;
	for (size_t i = 0; j->type == OG_JT_ARRAY && i < j->items.n; i++)
		if (has_object(&j->items.v[i]))
			return true;
	return false;
}

/* Of two parameters with one name the first binds. */
static uint32_t find_param(const struct gq_query *q, struct og_slice name)
{
	uint32_t i = 0;

	while (i < q->nparams && !og_slice_eq(q->params[i].name, name))
		i++;
	return i;
}

int gq_bind(struct og_arena *a, const struct gq_query *q, const struct og_json *params, struct gq_bindings *out,
	    struct og_error *err)
{
	struct binder b = { .arena = a, .err = err };
	uint32_t p;
	int rc;

	if (params && params->type != OG_JT_NULL && params->type != OG_JT_OBJECT)
		return og_error_set(err, OG_ERR_BAD, "params must be a JSON object");
	/* Parameters are found one by one; this keeps a hostile request from making that matter. */
	if (q->nparams > MAX_PARAMS)
		return og_error_set(err, OG_ERR_TOO_LARGE, "query has more than %u parameters", MAX_PARAMS);
	*out = (struct gq_bindings){ .n = q->nparams, .now_ms = og_now_us() / 1000 };
	out->values = og_arena_array(a, q->nparams + 1, sizeof(*out->values));
	out->given = og_arena_array(a, q->nparams + 1, sizeof(*out->given));
	if (!out->values || !out->given)
		return og_arena_error(a, err);
	for (p = 0; p < q->nparams; p++)
		out->given[p] = q->params[p].type.nullable;
	for (size_t i = 0; og_json_is(params, OG_JT_OBJECT) && i < params->members.n; i++) {
		const struct og_json_member *m = &params->members.v[i];

		b.name = m->key;
		p = find_param(q, m->key);
		if (p == q->nparams) {
			if (has_object(&m->value))
				return refuse(&b, "object is not supported");
			continue;
		}
		if ((rc = bind_one(&b, &q->params[p].type, &m->value, &out->values[p])) < 0)
			return rc;
		out->given[p] = true;
	}
	return 0;
}

int gq_require_params(const struct gq_query *q, const struct gq_bindings *b, struct og_error *err)
{
	for (uint32_t i = 0; i < q->nparams; i++)
		if (q->params[i].used && !b->given[i])
			return og_error_set(err, OG_ERR_BAD, "parameter '%.*s' not provided", OG_FMT(q->params[i].name));
	return 0;
}

/* A text that stands for a date or time becomes one. */
static int parse_time(struct og_value *v, enum og_scalar type, struct og_error *err)
{
	struct og_slice text = v->s;
	int32_t days;

	if (type == OG_DATE) {
		if (!og_date_parse(text, &days))
			return og_error_set(err, OG_ERR_BAD, "invalid Date literal '%.*s'", OG_FMT(text));
		v->kind = OG_V_DATE;
		v->i = days;
	} else if (type == OG_DATETIME) {
		int64_t ms;

		if (!og_datetime_parse(text, &ms))
			return og_error_set(err, OG_ERR_BAD, "invalid DateTime literal '%.*s'", OG_FMT(text));
		v->kind = OG_V_DATETIME;
		v->i = ms;
	}
	return 0;
}

static double to_double(const struct og_value *v)
{
	if (v->kind == OG_V_FLOAT)
		return v->f;
	return v->kind == OG_V_UINT ? (double)v->u : (double)v->i;
}

static bool is_number(const struct og_value *v)
{
	return v->kind == OG_V_INT || v->kind == OG_V_UINT || v->kind == OG_V_FLOAT;
}

/* Numbers beside singles become singles; one that no single comes near stays what it is. */
static void round_single(struct og_value *v)
{
	double x;

	if (!is_number(v))
		return;
	x = (double)(float)to_double(v);
	if (isinf(x))
		return;
	v->kind = OG_V_FLOAT;
	v->f = x;
}

static int convert_scalar(struct og_value *v, enum og_scalar declared, const struct og_proptype *as, struct og_error *err)
{
	if (v->kind == OG_V_STRING)
		return parse_time(v, declared, err);
	if (as && as->scalar == OG_F32)
		round_single(v);
	return 0;
}

static int to_vector(struct og_arena *a, const struct og_proptype *as, struct og_value *v, struct og_error *err)
{
	float *vec;

	if (v->items.n != as->dim)
		return og_error_set(err, OG_ERR_BAD, "expected %u values for Vector(%u), got %zu", as->dim, as->dim, v->items.n);
	vec = og_arena_array(a, as->dim, sizeof(*vec));
	if (!vec)
		return og_arena_error(a, err);
	for (uint32_t i = 0; i < as->dim; i++)
		vec[i] = (float)to_double(&v->items.v[i]);
	v->kind = OG_V_VECTOR;
	v->vec.v = vec;
	v->vec.dim = as->dim;
	return 0;
}

static bool mixes_numbers(const struct og_value *v)
{
	bool ints = false, floats = false;

	for (size_t i = 0; i < v->items.n; i++) {
		ints |= v->items.v[i].kind == OG_V_INT;
		floats |= v->items.v[i].kind == OG_V_FLOAT;
	}
	return ints && floats;
}

static int convert_list(struct og_arena *a, const struct gq_expr *x, enum og_scalar declared, const struct og_proptype *as,
			struct og_value *v, struct og_error *err)
{
	struct og_value *items;
	int rc;

	if (as && as->scalar == OG_VECTOR)
		return to_vector(a, as, v, err);
	/* Stored, the items take the property's type; elsewhere they have none in common. */
	if (!as && x->kind == GQ_X_LITERAL && mixes_numbers(v))
		return og_error_set(err, OG_ERR_BAD, "list literal elements must share a compatible scalar type");
	items = og_arena_array(a, v->items.n + 1, sizeof(*items));
	if (!items)
		return og_arena_error(a, err);
	for (size_t i = 0; i < v->items.n; i++) {
		items[i] = v->items.v[i];
		if ((rc = convert_scalar(&items[i], declared, as, err)) < 0)
			return rc;
	}
	v->items.v = items;
	return 0;
}

int gq_eval_const(struct og_arena *a, const struct gq_query *q, const struct gq_bindings *b, const struct gq_expr *x,
		  const struct og_proptype *as, struct og_value *out, struct og_error *err)
{
	switch (x->kind) {
	case GQ_X_LITERAL:
		*out = x->lit;
		break;
	case GQ_X_PARAM:
		if (!b->given[x->param])
			return og_error_set(err, OG_ERR_BAD, "parameter '%.*s' not provided",
					    OG_FMT(q->params[x->param].name));
		*out = b->values[x->param];
		break;
	case GQ_X_NOW:
		*out = (struct og_value){ .kind = OG_V_DATETIME, .i = b->now_ms };
		return 0;
	case GQ_X_VAR:
	case GQ_X_PROP:
	case GQ_X_ALIAS:
	case GQ_X_AGG:
	case GQ_X_SEARCH:
	case GQ_X_FUZZY:
	case GQ_X_MATCH_TEXT:
	case GQ_X_NEAREST:
	case GQ_X_BM25:
	case GQ_X_RRF:
		return og_error_set(err, OG_ERR_INTERNAL, "not a constant");
	}
	/* x->type is the literal's or the parameter's: it tells texts from dates. */
	if (out->kind == OG_V_LIST)
		return convert_list(a, x, x->type.scalar, as, out, err);
	return convert_scalar(out, x->type.scalar, as, err);
}
