/* Statistics of a column chunk: least and greatest value, as Parquet's ColumnOrder TYPE_ORDER compares them. */
#include "config.h"

#include "format/pq_private.h"

#include <math.h>

#include "base/codec.h"

/*
 * Least and greatest of a field of the vector, by its C type's order. None beside a NaN: the format orders no NaN, but readers do (to DuckDB and Spark it
 * is the greatest), and would leave its row out, or take it in, by bounds that know nothing of it.
 */
#define BOUNDS_FN(name, T, field, is_nan) \
	static bool name(const struct og_colvec *c, T *min, T *max) \
	{ \
		T lo = 0, hi = 0; \
		bool any = false; \
\
		for (size_t i = 0; i < c->rows; i++) { \
			T v = c->field[i]; \
\
			if (og_colvec_is_null(c, i)) \
				continue; \
			if (is_nan(v)) \
				return false; \
			lo = !any || v < lo ? v : lo; \
			hi = !any || v > hi ? v : hi; \
			any = true; \
		} \
		*min = lo; \
		*max = hi; \
		return any; \
	}
#define NEVER_NAN(v) false

BOUNDS_FN(bounds_u8, uint8_t, u8, NEVER_NAN)
BOUNDS_FN(bounds_i32, int32_t, i32, NEVER_NAN)
BOUNDS_FN(bounds_u32, uint32_t, u32, NEVER_NAN)
BOUNDS_FN(bounds_i64, int64_t, i64, NEVER_NAN)
BOUNDS_FN(bounds_u64, uint64_t, u64, NEVER_NAN)
BOUNDS_FN(bounds_f32, float, f32, isnan)
BOUNDS_FN(bounds_f64, double, f64, isnan)

static void store(struct pq_bounds *b, const void *min, const void *max, size_t n)
{
	memcpy(b->min, min, n);
	memcpy(b->max, max, n);
	b->min_len = b->max_len = (uint8_t)n;
	b->has_min = b->has_max = true;
	b->min_exact = b->max_exact = true;
}

static void numeric(struct pq_bounds *b, const struct og_colvec *c)
{
	union {
		uint8_t u8;
		int32_t i32;
		uint32_t u32;
		int64_t i64;
		uint64_t u64;
		float f32;
		double f64;
	} min = { 0 }, max = { 0 };
	bool any = false;

	switch (c->type.scalar) {
	case OG_BOOL:
		any = bounds_u8(c, &min.u8, &max.u8);
		break;
	case OG_I32:
	case OG_DATE:
		any = bounds_i32(c, &min.i32, &max.i32);
		break;
	case OG_U32:
		any = bounds_u32(c, &min.u32, &max.u32);
		break;
	case OG_I64:
	case OG_DATETIME:
		any = bounds_i64(c, &min.i64, &max.i64);
		break;
	case OG_U64:
		any = bounds_u64(c, &min.u64, &max.u64);
		break;
	case OG_F32:
		any = bounds_f32(c, &min.f32, &max.f32);
		/* The zeroes are equal, and readers compare them as they like: the bounds must hold for both. */
		min.f32 = min.f32 == 0 ? -0.0f : min.f32;
		max.f32 = max.f32 == 0 ? 0.0f : max.f32;
		break;
	case OG_F64:
		any = bounds_f64(c, &min.f64, &max.f64);
		min.f64 = min.f64 == 0 ? -0.0 : min.f64;
		max.f64 = max.f64 == 0 ? 0.0 : max.f64;
		break;
	case OG_STRING:
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	if (any)
		store(b, &min, &max, c->width);
}

/* Start of the character that has its last byte at s[n - 1]. */
static size_t char_start(const uint8_t *s, size_t n)
{
	do
		n--;
	while (n && (s[n] & 0xc0) == 0x80);
	return n;
}

/* Length of the longest prefix of at most PQ_STAT_MAX bytes that cuts no character of UTF-8. */
static size_t cut_length(struct og_slice s)
{
	size_t n = PQ_STAT_MAX;

	if (s.len <= n)
		return s.len;
	return ((uint8_t)s.p[n] & 0xc0) == 0x80 ? char_start((const uint8_t *)s.p, n) : n;
}

/* The next character in place, of the same length; false: there is none. */
static bool next_char(uint8_t *s, size_t n)
{
	static const uint32_t last[] = { 0, 0x7f, 0x7ff, 0xffff, 0x10ffff };
	uint32_t cp = s[0];

	if (n > 4)
		return false;
	if (n > 1)
		cp &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++)
		cp = cp << 6 | (s[i] & 0x3f);
	cp = cp == 0xd7ff ? 0xe000 : cp + 1;	/* surrogates are no characters */
	if (cp > last[n])
		return false;
	for (size_t i = n; i-- > 1; cp >>= 6)
		s[i] = (uint8_t)(0x80 | (cp & 0x3f));
	s[0] = (uint8_t)(n == 1 ? cp : (0xf00u >> n & 0xff) | cp);
	return true;
}

/* A prefix is no upper bound: its last character is raised, or dropped where that is impossible. */
static bool raise_prefix(uint8_t *s, size_t *len)
{
	while (*len) {
		size_t start = char_start(s, *len);

		if (next_char(s + start, *len - start))
			return true;
		*len = start;
	}
	return false;
}

static void strings(struct pq_bounds *b, const struct og_colvec *c, const uint32_t *rows, size_t nrows)
{
	struct og_slice min = { 0 }, max = { 0 };
	size_t n;

	for (size_t i = 0; i < nrows; i++) {
		size_t row = rows ? rows[i] : i;
		struct og_slice s;

		if (og_colvec_is_null(c, row))
			continue;
		s = og_colvec_str(c, row);
		if (!min.p)
			min = max = s;
		else if (og_slice_cmp(s, min) < 0)
			min = s;
		else if (og_slice_cmp(s, max) > 0)
			max = s;
	}
	if (!min.p)
		return;
	n = cut_length(min);
	memcpy(b->min, min.p, n);
	b->min_len = (uint8_t)n;
	b->has_min = true;
	b->min_exact = n == min.len;
	n = cut_length(max);
	memcpy(b->max, max.p, n);
	b->max_exact = n == max.len;
	b->has_max = b->max_exact || raise_prefix(b->max, &n);
	b->max_len = (uint8_t)n;
}

void pq_bounds_of(struct pq_bounds *b, const struct og_colvec *c, const uint32_t *rows, size_t nrows)
{
	b->has_min = b->has_max = false;
	if (c->type.list || c->type.scalar == OG_BLOB || c->type.scalar == OG_VECTOR)
		return;
	if (c->type.scalar == OG_STRING)
		strings(b, c, rows, rows ? nrows : c->rows);
	else
		numeric(b, c);
}
