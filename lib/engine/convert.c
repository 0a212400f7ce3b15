/* Values on their way into a property. */
#include "config.h"

#include "engine/convert.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "base/base64.h"
#include "base/num.h"

static const char *width_name(enum og_scalar s)
{
	switch (s) {
	case OG_I32:
		return "Int32";
	case OG_I64:
		return "Int64";
	case OG_U32:
		return "UInt32";
	case OG_U64:
		return "UInt64";
	case OG_F32:
		return "Float32";
	case OG_F64:
		return "Float64";
	case OG_STRING:
	case OG_BOOL:
	case OG_DATE:
	case OG_DATETIME:
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	return "value";
}

/* Sign and magnitude, so that both integer kinds are compared without overflow. */
static void split_int(const struct og_value *v, bool *negative, uint64_t *magnitude)
{
	if (v->kind == OG_V_UINT) {
		*negative = false;
		*magnitude = v->u;
		return;
	}
	*negative = v->i < 0;
	*magnitude = v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i;
}

static bool int_fits(enum og_scalar s, bool negative, uint64_t m)
{
	switch (s) {
	case OG_I32:
		return m <= (negative ? 2147483648u : 2147483647u);
	case OG_I64:
		return m <= (negative ? (uint64_t)1 << 63 : (uint64_t)INT64_MAX);
	case OG_U32:
		return !negative && m <= UINT32_MAX;
	case OG_U64:
		return !negative;
	case OG_STRING:
	case OG_BOOL:
	case OG_F32:
	case OG_F64:
	case OG_DATE:
	case OG_DATETIME:
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	return false;
}

static int store_int(enum og_scalar s, const struct og_value *in, const char *what, struct og_value *out, struct og_error *err)
{
	bool negative;
	uint64_t m;

	split_int(in, &negative, &m);
	if (!int_fits(s, negative, m))
		return og_error_set(err, OG_ERR_BAD, "%s value %s%" PRIu64 " exceeds %s range", what, negative ? "-" : "", m, width_name(s));
	if (s == OG_U32 || s == OG_U64)
		*out = (struct og_value){ .kind = OG_V_UINT, .u = m };
	else
		*out = (struct og_value){ .kind = OG_V_INT, .i = negative ? (int64_t)(0 - m) : (int64_t)m };
	return 0;
}

static int store_float(enum og_scalar s, const struct og_value *in, struct og_value *out, struct og_error *err)
{
	double x = in->kind == OG_V_FLOAT ? in->f : in->kind == OG_V_UINT ? (double)in->u : (double)in->i;
	char text[40];

	if (!isfinite(x))
		return og_error_set(err, OG_ERR_BAD, "float value %s must be finite", isnan(x) ? "NaN" : x > 0 ? "inf" : "-inf");
	if (s == OG_F32) {
		float f = (float)x;

		if (!isfinite(f)) {
			og_double_json(x, text);
			return og_error_set(err, OG_ERR_BAD, "float value %s exceeds Float32 range", text);
		}
		x = (double)f;
	}
	*out = (struct og_value){ .kind = OG_V_FLOAT, .f = x };
	return 0;
}

static bool is_number(const struct og_value *v)
{
	return v->kind == OG_V_INT || v->kind == OG_V_UINT || v->kind == OG_V_FLOAT;
}

static int cannot(const struct og_property *p, struct og_error *err)
{
	struct og_buf t = { 0 };

	og_proptype_format_base(&t, &p->type);
	og_error_set(err, OG_ERR_BAD, "cannot convert the value for property '%.*s' to %s", OG_FMT(p->name), t.data ? t.data : "its type");
	og_buf_fini(&t);
	return OG_ERR_BAD;
}

static int store_vector(struct og_arena *a, const struct og_property *p, const struct og_value *in, struct og_value *out, struct og_error *err)
{
	float *v;

	if (in->kind == OG_V_VECTOR && in->vec.dim == p->type.dim) {
		*out = *in;
		return 0;
	}
	if (in->kind != OG_V_LIST || in->items.n != p->type.dim)
		return cannot(p, err);
	v = og_arena_array(a, in->items.n, sizeof(*v));
	if (!v)
		return og_arena_error(a, err);
	for (size_t i = 0; i < in->items.n; i++) {
		struct og_value x;

		if (!is_number(&in->items.v[i]))
			return cannot(p, err);
		if (store_float(OG_F32, &in->items.v[i], &x, err) < 0)
			return err->code;
		v[i] = (float)x.f;
	}
	*out = (struct og_value){ .kind = OG_V_VECTOR, .vec = { v, p->type.dim } };
	return 0;
}

static int store_blob(struct og_arena *a, const struct og_value *in, struct og_value *out, struct og_error *err)
{
	struct og_buf b = { 0 };
	struct og_slice text = in->s;
	struct og_error why = { 0 };
	int rc = 0;

	if (og_slice_starts(text, OG_SLICE("base64:"))) {
		og_buf_byte(&b, 'b');
		if (og_base64_decode(&b, og_slice(text.p + 7, text.len - 7), &why) < 0)
			rc = og_error_set(err, OG_ERR_BAD, "invalid base64 blob data: %s", why.message);
	} else {
		og_buf_byte(&b, 'u');
		og_buf_slice(&b, text);
	}
	if (rc == 0)
		rc = og_buf_ok(&b, err);
	if (rc == 0) {
		*out = (struct og_value){ .kind = OG_V_BLOB, .s = og_arena_slice(a, og_buf_view(&b)) };
		if (!out->s.p)
			rc = og_arena_error(a, err);
	}
	og_buf_fini(&b);
	return rc;
}

static int store_scalar(struct og_arena *a, const struct og_property *p, const struct og_value *in, const char *what, struct og_value *out,
			struct og_error *err)
{
	enum og_scalar s = p->type.scalar;

	switch (s) {
	case OG_I32:
	case OG_I64:
	case OG_U32:
	case OG_U64:
		if (in->kind == OG_V_INT || in->kind == OG_V_UINT)
			return store_int(s, in, what, out, err);
		return cannot(p, err);
	case OG_F32:
	case OG_F64:
		return is_number(in) ? store_float(s, in, out, err) : cannot(p, err);
	case OG_BLOB:
		if (in->kind == OG_V_STRING)
			return store_blob(a, in, out, err);
		break;
	case OG_VECTOR:
		return store_vector(a, p, in, out, err);
	case OG_STRING:
	case OG_BOOL:
	case OG_DATE:
	case OG_DATETIME:
		break;
	}
	if (in->kind != og_proptype_kind(&(struct og_proptype){ .scalar = s }))
		return cannot(p, err);
	*out = *in;
	return 0;
}

/* An item of another kind is stored as null; one of the right kind but out of range is an error. */
static int store_list(struct og_arena *a, const struct og_property *p, const struct og_value *in, struct og_value *out, struct og_error *err)
{
	struct og_value *items;
	struct og_error ignored;

	if (in->kind != OG_V_LIST)
		return cannot(p, err);
	items = og_arena_array(a, in->items.n ? in->items.n : 1, sizeof(*items));
	if (!items)
		return og_arena_error(a, err);
	for (size_t i = 0; i < in->items.n; i++) {
		const struct og_value *x = &in->items.v[i];
		bool integer = x->kind == OG_V_INT || x->kind == OG_V_UINT;
		bool ranged = is_number(x) && (og_scalar_numeric(p->type.scalar)) && (integer || p->type.scalar >= OG_F32);

		if (x->kind == OG_V_NULL)
			continue;
		if (store_scalar(a, p, x, "list", &items[i], ranged ? err : &ignored) < 0) {
			if (ranged)
				return err->code;
			items[i] = (struct og_value){ .kind = OG_V_NULL };
		}
	}
	*out = (struct og_value){ .kind = OG_V_LIST, .items = { items, in->items.n } };
	return 0;
}

int og_convert(struct og_arena *a, const struct og_property *p, const struct og_value *in, struct og_value *out, struct og_error *err)
{
	if (in->kind == OG_V_NULL) {
		*out = *in;
		return 0;
	}
	if (p->type.list)
		return store_list(a, p, in, out, err);
	return store_scalar(a, p, in, "integer", out, err);
}
