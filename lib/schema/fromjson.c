/* JSON members of load records as values of properties. */
#include "config.h"
#include "schema/rowcheck.h"
#include "base/base64.h"
#include "base/date.h"
#include "json/writer.h"

#include <inttypes.h>
#include <math.h>

#define SHOWN 200u	/* bytes of a JSON value in a message */

/* The value as compact JSON, cut at a character if it is long. */
static const char *shown(struct og_arena *a, const struct og_json *j)
{
	struct og_buf b = { 0 };
	const char *text;
	size_t n;

	og_json_text(&b, j);
	n = b.len;
	if (n > SHOWN)
		for (n = SHOWN; n > 0 && ((unsigned char)b.data[n] & 0xc0) == 0x80;)
			n--;
	text = b.failed ? NULL : og_arena_printf(a, "%.*s%s", (int)n, b.data, n < b.len ? "..." : "");
	og_buf_fini(&b);
	return text ? text : "";
}

int og_prop_missing(const struct og_property *p, struct og_error *err)
{
	if (p->type.scalar == OG_BLOB)
		return og_error_set(err, OG_ERR_BAD, "non-nullable blob property '%.*s' has null values", OG_FMT(p->name));
	if (p->type.scalar == OG_VECTOR)
		return og_error_set(err, OG_ERR_BAD, "non-nullable vector property '%.*s' has null values", OG_FMT(p->name));
	return og_error_set(err, OG_ERR_BAD, "non-nullable property '%.*s' has null or invalid values", OG_FMT(p->name));
}

static int unexpected(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_error *err)
{
	struct og_buf type = { 0 };

	og_proptype_format(&type, &p->type);
	og_error_set(err, OG_ERR_BAD, "property '%.*s' expects %.*s, got %s", OG_FMT(p->name), OG_FMT(og_buf_view(&type)),
		     shown(a, j));
	og_buf_fini(&type);
	return OG_ERR_BAD;
}

/* "value" of a property, "list value" of an item: the same fault has two texts. */
static int out_of_range(const struct og_property *p, const struct og_json *j, const char *type, struct og_error *err)
{
	if (p->type.list)
		return og_error_set(err, OG_ERR_BAD, "list value %.*s exceeds %s range", OG_FMT(j->num.text), type);
	return og_error_set(err, OG_ERR_BAD, "property '%.*s' value %.*s exceeds %s range", OG_FMT(p->name),
			    OG_FMT(j->num.text), type);
}

/* The functions for one scalar type: 1 and *out, 0 for a JSON value of another type, negative for one that cannot be taken. */

static int from_signed(const struct og_property *p, const struct og_json *j, struct og_value *out, struct og_error *err)
{
	bool narrow = p->type.scalar == OG_I32;

	if (j->type != OG_JT_NUMBER || j->kind == OG_JSON_F64)
		return 0;
	if (!og_json_to_i64(j, &out->i) || (narrow && (out->i < INT32_MIN || out->i > INT32_MAX)))
		return out_of_range(p, j, narrow ? "Int32" : "Int64", err);
	out->kind = OG_V_INT;
	return 1;
}

static int from_unsigned(const struct og_property *p, const struct og_json *j, struct og_value *out, struct og_error *err)
{
	bool narrow = p->type.scalar == OG_U32;

	if (j->type != OG_JT_NUMBER || j->kind == OG_JSON_F64)
		return 0;
	if (!og_json_to_u64(j, &out->u) || (narrow && out->u > UINT32_MAX))
		return out_of_range(p, j, narrow ? "UInt32" : "UInt64", err);
	out->kind = OG_V_UINT;
	return 1;
}

static int to_single(const struct og_property *p, const struct og_json *j, float *out, struct og_error *err)
{
	double x;

	if (!og_json_to_double(j, &x))
		return 0;
	*out = (float)x;
	if (isinf(*out))	/* never worded as a list value */
		return og_error_set(err, OG_ERR_BAD, "property '%.*s' value %.*s exceeds Float32 range", OG_FMT(p->name),
				    OG_FMT(j->num.text));
	return 1;
}

static int from_float(const struct og_property *p, const struct og_json *j, struct og_value *out, struct og_error *err)
{
	float single;
	int rc;

	out->kind = OG_V_FLOAT;
	if (p->type.scalar == OG_F64)
		return og_json_to_double(j, &out->f) ? 1 : 0;
	rc = to_single(p, j, &single, err);
	if (rc == 1)
		out->f = (double)single;
	return rc;
}

static int from_date(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_value *out,
		     struct og_error *err)
{
	int32_t days;

	if (j->type == OG_JT_ARRAY)
		return unexpected(a, p, j, err);
	out->kind = OG_V_DATE;
	if (j->type == OG_JT_STRING) {
		if (!og_date_parse(j->s, &days))
			return og_error_set(err, OG_ERR_BAD, "invalid Date literal '%.*s'", OG_FMT(j->s));
		out->i = days;
		return 1;
	}
	if (j->type != OG_JT_NUMBER || j->kind == OG_JSON_F64)
		return 0;
	if (!og_json_to_i64(j, &out->i) || out->i < INT32_MIN || out->i > INT32_MAX)
		return og_error_set(err, OG_ERR_BAD, "Date value out of range: %.*s", OG_FMT(j->num.text));
	return 1;
}

static int from_datetime(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_value *out,
			 struct og_error *err)
{
	if (j->type == OG_JT_ARRAY)
		return unexpected(a, p, j, err);
	out->kind = OG_V_DATETIME;
	if (j->type == OG_JT_STRING) {
		if (!og_datetime_parse(j->s, &out->i))
			return og_error_set(err, OG_ERR_BAD, "invalid DateTime literal '%.*s'", OG_FMT(j->s));
		return 1;
	}
	if (j->type != OG_JT_NUMBER || j->kind == OG_JSON_F64)
		return 0;
	if (!og_json_to_i64(j, &out->i))
		return og_error_set(err, OG_ERR_BAD, "DateTime value out of range: %.*s", OG_FMT(j->num.text));
	return 1;
}

static int from_blob(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_value *out,
		     struct og_error *err)
{
	static const struct og_slice scheme = { "base64:", 7 };
	struct og_buf b = { 0 };
	int rc;

	if (j->type != OG_JT_STRING || j->s.len == 0)
		return og_error_set(err, OG_ERR_BAD, "blob property '%.*s' must be a URI string or base64: prefixed data",
				    OG_FMT(p->name));
	if (!og_slice_starts(j->s, scheme)) {
		og_buf_byte(&b, 'u');
		og_buf_slice(&b, j->s);
	} else {
		og_buf_byte(&b, 'b');
		rc = og_base64_decode(&b, og_slice(j->s.p + scheme.len, j->s.len - scheme.len), err);
		if (rc < 0) {
			og_buf_fini(&b);
			return rc == OG_ERR_BAD ? og_error_prefix(err, "invalid base64 blob data: ") : rc;
		}
	}
	rc = og_buf_ok(&b, err);
	if (rc == 0) {
		out->kind = OG_V_BLOB;
		out->s = og_arena_slice(a, og_buf_view(&b));
		rc = out->s.p ? 1 : og_arena_error(a, err);
	}
	og_buf_fini(&b);
	return rc;
}

static int from_vector(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_value *out,
		       struct og_error *err)
{
	uint32_t dim = p->type.dim;
	float *vec;
	int rc;

	if (j->type != OG_JT_ARRAY)
		return 0;
	if (j->items.n != dim)
		return og_error_set(err, OG_ERR_BAD, "vector property '%.*s' expects %u dimensions, got %zu", OG_FMT(p->name),
				    dim, j->items.n);
	vec = og_arena_array(a, dim, sizeof(*vec));
	if (!vec)
		return og_arena_error(a, err);
	for (uint32_t i = 0; i < dim; i++) {
		rc = to_single(p, &j->items.v[i], &vec[i], err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return og_error_set(err, OG_ERR_BAD, "vector property '%.*s' elements must be numeric, got %s",
					    OG_FMT(p->name), shown(a, &j->items.v[i]));
	}
	out->kind = OG_V_VECTOR;
	out->vec.v = vec;
	out->vec.dim = dim;
	return 1;
}

static int from_scalar(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_value *out,
		       struct og_error *err)
{
	switch (p->type.scalar) {
	case OG_STRING:
		out->kind = OG_V_STRING;
		if (j->type == OG_JT_STRING)
			out->s = j->s;
		return j->type == OG_JT_STRING;
	case OG_BOOL:
		out->kind = OG_V_BOOL;
		if (j->type == OG_JT_BOOL)
			out->i = j->b;
		return j->type == OG_JT_BOOL;
	case OG_I32:
	case OG_I64:
		return from_signed(p, j, out, err);
	case OG_U32:
	case OG_U64:
		return from_unsigned(p, j, out, err);
	case OG_F32:
	case OG_F64:
		return from_float(p, j, out, err);
	case OG_DATE:
		return from_date(a, p, j, out, err);
	case OG_DATETIME:
		return from_datetime(a, p, j, out, err);
	case OG_VECTOR:
		return from_vector(a, p, j, out, err);
	case OG_BLOB:
		return from_blob(a, p, j, out, err);
	}
	return og_error_set(err, OG_ERR_INTERNAL, "property of no type");
}

/* Items of another JSON type are null items. */
static int from_list(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_value *out,
		     struct og_error *err)
{
	struct og_value *items;
	int rc;

	if (j->type != OG_JT_ARRAY)
		return og_error_set(err, OG_ERR_BAD, "list property '%.*s' expects a JSON array, got %s", OG_FMT(p->name),
				    shown(a, j));
	items = og_arena_array(a, j->items.n + 1, sizeof(*items));
	if (!items)
		return og_arena_error(a, err);
	for (size_t i = 0; i < j->items.n; i++) {
		if (j->items.v[i].type == OG_JT_NULL)
			continue;
		rc = from_scalar(a, p, &j->items.v[i], &items[i], err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			items[i] = (struct og_value){ .kind = OG_V_NULL };
	}
	out->kind = OG_V_LIST;
	out->items.v = items;
	out->items.n = j->items.n;
	return 1;
}

int og_prop_from_json(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_value *out,
		      struct og_error *err)
{
	int rc;

	*out = (struct og_value){ .kind = OG_V_NULL };
	if (!j || j->type == OG_JT_NULL)
		return 0;
	rc = p->type.list ? from_list(a, p, j, out, err) : from_scalar(a, p, j, out, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	/* A value of another type is never silently null. */
	return p->type.nullable ? unexpected(a, p, j, err) : og_prop_missing(p, err);
}
