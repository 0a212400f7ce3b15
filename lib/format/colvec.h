/*
 * Column vectors: the values of one column, row after row. The form in which the loader, the image builder and the encoder of changes hand rows to each
 * other and to Parquet.
 *
 * Layout by type (row r of `rows`):
 *   Bool                       u8[r], 0 or 1
 *   I32, Date / U32 / F32      i32[r] / u32[r] / f32[r]
 *   I64, DateTime / U64 / F64  i64[r] / u64[r] / f64[r]
 *   String, Blob               bytes[offsets[r] .. offsets[r + 1])
 *   Vector                     f32[r * dim .. (r + 1) * dim)
 *   list                       rows offsets[r] .. offsets[r + 1] of `child`, a vector of the (nullable) item type
 * A null row has its place too: zeroes, or an empty range. offsets[0] is 0; arrays may be NULL while rows is 0.
 * Nulls are accepted whatever type.nullable says; whoever stores the rows checks.
 *
 * Appends are sticky like those of og_buf: after a failure the vector keeps what it had, `failed` holds the code, later appends do nothing, and one
 * og_colvec_ok at the end suffices. Strings and list items of one vector are limited to 4 GiB and 2^32 - 1 items (OG_ERR_TOO_LARGE).
 *
 * Memory:  heap; og_colvec_fini frees it and may be called twice. type.enums is borrowed. Threads: one at a time; read-only ones may be shared.
 */
#ifndef OG_FORMAT_COLVEC_H
#define OG_FORMAT_COLVEC_H

#include "base/arena.h"
#include "base/value.h"

struct og_colvec {
	struct og_proptype type;
	size_t rows;
	size_t nulls;		/* of `rows` */
	uint8_t *validity;	/* bit r % 8 of byte r / 8 set: not null; bits from `rows` on are 0. NULL: no null */
	union {
		void *values;
		uint8_t *u8;
		int32_t *i32;
		uint32_t *u32;
		int64_t *i64;
		uint64_t *u64;
		float *f32;
		double *f64;
	};
	uint32_t *offsets;
	char *bytes;
	size_t nbytes;
	struct og_colvec *child;
	int failed;		/* 0 or OG_ERR_* */
	/* private: */
	size_t cap;		/* rows that there is room for */
	size_t bytes_cap;
	uint32_t width;		/* bytes of a row in `values`; 0: offsets */
};

/* Vector types need dim > 0. No memory is taken before the first append, except for the child of a list (failure is sticky). */
void og_colvec_init(struct og_colvec *c, const struct og_proptype *type);
void og_colvec_fini(struct og_colvec *c);
/* No rows and no failure; keeps the memory. */
void og_colvec_clear(struct og_colvec *c);
/* Drops the rows from `rows` on. rows <= c->rows. Items of lists go along. */
void og_colvec_truncate(struct og_colvec *c, size_t rows);
/* Room for that many more rows and bytes of strings (or items of lists). false: failed. */
bool og_colvec_reserve(struct og_colvec *c, size_t rows, size_t bytes);
/* 0, or the sticky failure: OG_ERR_NOMEM, OG_ERR_TOO_LARGE or OG_ERR_INTERNAL (a value of another type was appended). */
int og_colvec_ok(const struct og_colvec *c, struct og_error *err) OG_MUST_CHECK;

void og_colvec_append_null(struct og_colvec *c);
/* Any value of the column's type, or null. The value's kind must be og_proptype_kind of it; integers are in range. */
void og_colvec_append(struct og_colvec *c, const struct og_value *v);
/* Row `row` of a vector of the same type (nullability and enums aside). */
void og_colvec_append_row(struct og_colvec *c, const struct og_colvec *src, size_t row);
/* Rows [from, from + n) of it, in bulk. */
void og_colvec_append_rows(struct og_colvec *c, const struct og_colvec *src, size_t from, size_t n);
/* String, Blob (tag included). */
void og_colvec_append_str(struct og_colvec *c, struct og_slice s);
/* dim singles. */
void og_colvec_append_vec(struct og_colvec *c, const float *v);
/* Ends a row of a list column: its items are what was appended to c->child since the row before. */
void og_colvec_append_list(struct og_colvec *c);

/* Grows to hold n more rows; for the inline appends below. */
bool og_colvec_grow(struct og_colvec *c, size_t n);

/*
 * For code that stores many rows at once, behind the last one, after og_colvec_reserve: values (zeroes for nulls) or offsets and bytes; then this counts
 * them. valid[i] is 0 for a null; valid NULL: none is. nbytes is the caller's to raise.
 */
void og_colvec_commit_rows(struct og_colvec *c, const uint8_t *valid, size_t n);

/* Marks the row that was just stored as not null. */
static inline void og_colvec_commit(struct og_colvec *c)
{
	if (c->validity)
		c->validity[c->rows >> 3] |= (uint8_t)(1u << (c->rows & 7));
	c->rows++;
}

/* Typed fast paths: the caller knows the layout (see above). */
static inline void og_colvec_append_bool(struct og_colvec *c, bool v)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
		return;
	c->u8[c->rows] = v;
	og_colvec_commit(c);
}

static inline void og_colvec_append_i32(struct og_colvec *c, int32_t v)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
		return;
	c->i32[c->rows] = v;
	og_colvec_commit(c);
}

static inline void og_colvec_append_u32(struct og_colvec *c, uint32_t v)
{
	og_colvec_append_i32(c, (int32_t)v);
}

static inline void og_colvec_append_i64(struct og_colvec *c, int64_t v)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
		return;
	c->i64[c->rows] = v;
	og_colvec_commit(c);
}

static inline void og_colvec_append_u64(struct og_colvec *c, uint64_t v)
{
	og_colvec_append_i64(c, (int64_t)v);
}

static inline void og_colvec_append_f32(struct og_colvec *c, float v)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
		return;
	c->f32[c->rows] = v;
	og_colvec_commit(c);
}

static inline void og_colvec_append_f64(struct og_colvec *c, double v)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
		return;
	c->f64[c->rows] = v;
	og_colvec_commit(c);
}

static inline bool og_colvec_is_null(const struct og_colvec *c, size_t row)
{
	return c->validity && !((c->validity[row >> 3] >> (row & 7)) & 1);
}

/* String or Blob; empty for a null. */
static inline struct og_slice og_colvec_str(const struct og_colvec *c, size_t row)
{
	uint32_t from = c->offsets[row];

	return og_slice(c->bytes ? c->bytes + from : "", c->offsets[row + 1] - from);
}

/*
 * The value of a row, borrowed from the vector until its next change. A list comes without its items: items.v is NULL, items.n their number; they are
 * the rows of c->child from c->offsets[row] on.
 */
struct og_value og_colvec_get(const struct og_colvec *c, size_t row);
/* The same with the items of a list in the arena. */
int og_colvec_value(const struct og_colvec *c, size_t row, struct og_arena *a, struct og_value *out, struct og_error *err) OG_MUST_CHECK;

#endif
