/* Property types and values: names, comparison, hashing, id texts. */
#include "config.h"

#include "base/value.h"
#include "base/num.h"

#include <math.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

const char *og_scalar_name(enum og_scalar s)
{
	switch (s) {
	case OG_STRING:
		return "String";
	case OG_BOOL:
		return "Bool";
	case OG_I32:
		return "I32";
	case OG_I64:
		return "I64";
	case OG_U32:
		return "U32";
	case OG_U64:
		return "U64";
	case OG_F32:
		return "F32";
	case OG_F64:
		return "F64";
	case OG_DATE:
		return "Date";
	case OG_DATETIME:
		return "DateTime";
	case OG_VECTOR:
		return "Vector";
	case OG_BLOB:
		return "Blob";
	}
	return "?";
}

void og_proptype_format_base(struct og_buf *b, const struct og_proptype *t)
{
	if (t->list)
		og_buf_byte(b, '[');
	if (t->nenum) {
		og_buf_str(b, "enum(");
		for (uint32_t i = 0; i < t->nenum; i++) {
			if (i)
				og_buf_str(b, ", ");
			og_buf_slice(b, t->enums[i]);
		}
		og_buf_byte(b, ')');
	} else {
		og_buf_str(b, og_scalar_name(t->scalar));
		if (t->scalar == OG_VECTOR)
			og_buf_printf(b, "(%u)", t->dim);
	}
	if (t->list)
		og_buf_byte(b, ']');
}

void og_proptype_format(struct og_buf *b, const struct og_proptype *t)
{
	og_proptype_format_base(b, t);
	if (t->nullable)
		og_buf_byte(b, '?');
}

bool og_proptype_equal(const struct og_proptype *a, const struct og_proptype *b)
{
	if (a->scalar != b->scalar || a->nullable != b->nullable || a->list != b->list ||
	    a->nenum != b->nenum || (a->scalar == OG_VECTOR && a->dim != b->dim))
		return false;
	for (uint32_t i = 0; i < a->nenum; i++)
		if (!og_slice_eq(a->enums[i], b->enums[i]))
			return false;
	return true;
}

enum og_vkind og_proptype_kind(const struct og_proptype *t)
{
	if (t->list)
		return OG_V_LIST;
	switch (t->scalar) {
	case OG_STRING:
		return OG_V_STRING;
	case OG_BOOL:
		return OG_V_BOOL;
	case OG_I32:
	case OG_I64:
		return OG_V_INT;
	case OG_U32:
	case OG_U64:
		return OG_V_UINT;
	case OG_F32:
	case OG_F64:
		return OG_V_FLOAT;
	case OG_DATE:
		return OG_V_DATE;
	case OG_DATETIME:
		return OG_V_DATETIME;
	case OG_VECTOR:
		return OG_V_VECTOR;
	case OG_BLOB:
		return OG_V_BLOB;
	}
	return OG_V_NULL;
}

#define THREE_WAY(x, y) ((x) < (y) ? -1 : (x) > (y))

static int cmp_int_double(int64_t i, double d)
{
	int64_t whole;
	double rest;

	if (isnan(d))
		return OG_UNORDERED;
	if (d >= TWO_63)
		return -1;
	if (d < -TWO_63)
		return 1;
	whole = (int64_t)d;
	if (i != whole)
		return i < whole ? -1 : 1;
	rest = d - (double)whole;	/* exact: below 2^53 whole is, above it there is no rest */
	return rest > 0 ? -1 : rest < 0;
}

static int cmp_uint_double(uint64_t u, double d)
{
	uint64_t whole;

	if (isnan(d))
		return OG_UNORDERED;
	if (d >= TWO_64)
		return -1;
	if (d < 0)
		return 1;
	whole = (uint64_t)d;
	if (u != whole)
		return u < whole ? -1 : 1;
	return d - (double)whole > 0 ? -1 : 0;
}

static int cmp_int_uint(int64_t i, uint64_t u)
{
	return i < 0 ? -1 : THREE_WAY((uint64_t)i, u);
}

static int cmp_double(double x, double y)
{
	if (isnan(x) || isnan(y))
		return OG_UNORDERED;
	return THREE_WAY(x, y);
}

static int flip(int c)
{
	return c == OG_UNORDERED ? c : -c;
}

static bool is_number(enum og_vkind k)
{
	return k == OG_V_INT || k == OG_V_UINT || k == OG_V_FLOAT;
}

static int cmp_numbers(const struct og_value *a, const struct og_value *b)
{
	if (a->kind == OG_V_FLOAT) {
		if (b->kind == OG_V_FLOAT)
			return cmp_double(a->f, b->f);
		return flip(cmp_numbers(b, a));
	}
	if (a->kind == OG_V_UINT) {
		if (b->kind == OG_V_UINT)
			return THREE_WAY(a->u, b->u);
		return b->kind == OG_V_INT ? -cmp_int_uint(b->i, a->u) : cmp_uint_double(a->u, b->f);
	}
	if (b->kind == OG_V_INT)
		return THREE_WAY(a->i, b->i);
	return b->kind == OG_V_UINT ? cmp_int_uint(a->i, b->u) : cmp_int_double(a->i, b->f);
}

/* NaN after every number, all NaNs alike. */
static int order_double(double x, double y)
{
	if (isnan(x) || isnan(y))
		return THREE_WAY(isnan(x) != 0, isnan(y) != 0);
	return THREE_WAY(x, y);
}

static int order_lists(const struct og_value *a, const struct og_value *b)
{
	size_t n = OG_MIN(a->items.n, b->items.n);

	for (size_t i = 0; i < n; i++) {
		int c = og_value_order(&a->items.v[i], &b->items.v[i]);

		if (c)
			return c;
	}
	return THREE_WAY(a->items.n, b->items.n);
}

static int order_vectors(const struct og_value *a, const struct og_value *b)
{
	uint32_t n = OG_MIN(a->vec.dim, b->vec.dim);

	for (uint32_t i = 0; i < n; i++) {
		int c = order_double(a->vec.v[i], b->vec.v[i]);

		if (c)
			return c;
	}
	return THREE_WAY(a->vec.dim, b->vec.dim);
}

int og_value_cmp(const struct og_value *a, const struct og_value *b)
{
	if (is_number(a->kind) && is_number(b->kind))
		return cmp_numbers(a, b);
	return og_value_order(a, b);
}

int og_value_order(const struct og_value *a, const struct og_value *b)
{
	if (is_number(a->kind) && is_number(b->kind)) {
		int c = cmp_numbers(a, b);

		if (c != OG_UNORDERED)
			return c;
		return order_double(a->kind == OG_V_FLOAT ? a->f : 0, b->kind == OG_V_FLOAT ? b->f : 0);
	}
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch (a->kind) {
	case OG_V_NULL:
		return 0;
	case OG_V_BOOL:
	case OG_V_INT:
	case OG_V_DATE:
	case OG_V_DATETIME:
		return THREE_WAY(a->i, b->i);
	case OG_V_UINT:
		return THREE_WAY(a->u, b->u);
	case OG_V_FLOAT:
		return order_double(a->f, b->f);
	case OG_V_STRING:
	case OG_V_BLOB: {
		int c = og_slice_cmp(a->s, b->s);

		return THREE_WAY(c, 0);
	}
	case OG_V_LIST:
		return order_lists(a, b);
	case OG_V_VECTOR:
		return order_vectors(a, b);
	}
	return 0;
}

/* What a hashed number stands for; the same bits mean different values in each. */
enum domain {
	NOTHING,
	NATURAL,	/* a non-negative integer, whatever carries it */
	NEGATIVE,	/* a negative integer */
	FRACTION,	/* bits of a double that is no integer of 64 bits */
	NOT_A_NUMBER,
	BOOL,
	DATE,
	DATETIME,
	LIST,		/* lengths */
	VECTOR,
};

/* A finaliser of the splitmix kind: every input bit reaches every output bit. */
static uint64_t mix(uint64_t x, enum domain d, uint64_t seed)
{
	x += (uint64_t)d * UINT64_C(0xd6e8feb86659fd93);
	x ^= seed + UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t hash_int(int64_t i, uint64_t seed)
{
	return mix((uint64_t)i, i < 0 ? NEGATIVE : NATURAL, seed);
}

/* Equal numbers hash alike whatever carries them: integral doubles as the integer they are. */
static uint64_t hash_double(double d, uint64_t seed)
{
	uint64_t bits;

	if (isnan(d))
		return mix(0, NOT_A_NUMBER, seed);
	if (d == floor(d) && d >= -TWO_63 && d < TWO_64)
		return d < 0 ? hash_int((int64_t)d, seed) : mix((uint64_t)d, NATURAL, seed);
	memcpy(&bits, &d, sizeof(bits));
	return mix(bits, FRACTION, seed);
}

uint64_t og_value_hash(const struct og_value *v, uint64_t seed)
{
	switch (v->kind) {
	case OG_V_NULL:
		return mix(0, NOTHING, seed);
	case OG_V_INT:
		return hash_int(v->i, seed);
	case OG_V_UINT:
		return mix(v->u, NATURAL, seed);
	case OG_V_FLOAT:
		return hash_double(v->f, seed);
	case OG_V_BOOL:
		return mix((uint64_t)v->i, BOOL, seed);
	case OG_V_DATE:
		return mix((uint64_t)v->i, DATE, seed);
	case OG_V_DATETIME:
		return mix((uint64_t)v->i, DATETIME, seed);
	case OG_V_STRING:
	case OG_V_BLOB:
		return XXH3_64bits_withSeed(v->s.p, v->s.len, seed + (uint64_t)v->kind);
	case OG_V_LIST:
		seed = mix(v->items.n, LIST, seed);
		for (size_t i = 0; i < v->items.n; i++)
			seed = og_value_hash(&v->items.v[i], seed);
		return seed;
	case OG_V_VECTOR:
		seed = mix(v->vec.dim, VECTOR, seed);
		for (uint32_t i = 0; i < v->vec.dim; i++)
			seed = hash_double(v->vec.v[i], seed);
		return seed;
	}
	return seed;
}

int og_value_id_text(struct og_buf *b, const struct og_value *v, enum og_scalar type, struct og_error *err)
{
	char text[400];
	size_t n;

	switch (v->kind) {
	case OG_V_STRING:
		og_buf_slice(b, v->s);
		break;
	case OG_V_BOOL:
		og_buf_str(b, v->i ? "true" : "false");
		break;
	case OG_V_INT:
	case OG_V_DATE:
	case OG_V_DATETIME:
		og_buf_i64(b, v->i);
		break;
	case OG_V_UINT:
		og_buf_u64(b, v->u);
		break;
	case OG_V_FLOAT:
		if (!isfinite(v->f))
			return og_error_set(err, OG_ERR_BAD,
					    "scalar key: non-finite %s value %s cannot identify an entity",
					    type == OG_F32 ? "Float32" : "Float64",
					    isnan(v->f) ? "NaN" : v->f < 0 ? "-inf" : "inf");
		n = og_double_plain(v->f, type == OG_F32, text);
		og_buf_append(b, text, n);
		break;
	case OG_V_NULL:
	case OG_V_LIST:
	case OG_V_VECTOR:
	case OG_V_BLOB:
		return og_error_set(err, OG_ERR_BAD, "scalar key: a %s value cannot identify an entity",
				    v->kind == OG_V_NULL ? "null" : og_scalar_name(type));
	}
	return og_buf_ok(b, err);
}
