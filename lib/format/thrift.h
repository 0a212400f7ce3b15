/*
 * Thrift compact protocol, as far as Parquet's footer and page headers need it. Private to lib/format.
 *
 * Format:  the Thrift compact protocol: field headers with id deltas, zigzag varints, length-prefixed binaries, list headers. No maps, no sets, no doubles
 *          (the reader skips doubles and refuses the rest).
 * Trust:   the reader is sticky, like og_reader: after a failure every read gives 0, and one check at the end suffices. No count is believed beyond
 *          the bytes that are left; nesting is limited.
 * Memory:  slices point into the source. Threads: values, one at a time.
 */
#ifndef OG_FORMAT_THRIFT_H
#define OG_FORMAT_THRIFT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

enum og_tc_type {
	OG_TC_STOP = 0,
	OG_TC_TRUE = 1,
	OG_TC_FALSE = 2,
	OG_TC_BYTE = 3,
	OG_TC_I16 = 4,
	OG_TC_I32 = 5,
	OG_TC_I64 = 6,
	OG_TC_DOUBLE = 7,
	OG_TC_BINARY = 8,
	OG_TC_LIST = 9,
	OG_TC_SET = 10,
	OG_TC_MAP = 11,
	OG_TC_STRUCT = 12,
};

/* Writer: fields in ascending order of id; `last` is the caller's, 0 at the start of each struct. */
void og_tc_put_field(struct og_buf *b, int16_t *last, int16_t id, enum og_tc_type type);
void og_tc_put_i32(struct og_buf *b, int16_t *last, int16_t id, int32_t v);
void og_tc_put_i64(struct og_buf *b, int16_t *last, int16_t id, int64_t v);
void og_tc_put_bool(struct og_buf *b, int16_t *last, int16_t id, bool v);
void og_tc_put_binary(struct og_buf *b, int16_t *last, int16_t id, struct og_slice s);
/* A list's header; elements follow as og_tc_put_elem_* or structs. */
void og_tc_put_list(struct og_buf *b, int16_t *last, int16_t id, enum og_tc_type elem, uint32_t n);
void og_tc_put_elem_i32(struct og_buf *b, int32_t v);
void og_tc_put_elem_binary(struct og_buf *b, struct og_slice s);
void og_tc_put_stop(struct og_buf *b);
/* Raw unsigned LEB128. Returns the bytes used (at most 10). */
size_t og_tc_varint(uint8_t *p, uint64_t v);

struct og_tc {
	const uint8_t *start, *p, *end;
	bool failed;
	size_t failed_at;		/* from start */
};

struct og_tc_field {
	int16_t id;		/* 0 before the first */
	enum og_tc_type type;
};

struct og_tc og_tc_init(struct og_slice src);
/* The next field of a struct: false at its end or after a failure. `f` starts as {0} for each struct. */
bool og_tc_next(struct og_tc *r, struct og_tc_field *f);
/* The value of the field just announced; another type on the wire is a failure. */
int32_t og_tc_i32(struct og_tc *r, const struct og_tc_field *f);
int64_t og_tc_i64(struct og_tc *r, const struct og_tc_field *f);
bool og_tc_bool(struct og_tc *r, const struct og_tc_field *f);
struct og_slice og_tc_binary(struct og_tc *r, const struct og_tc_field *f);
/* For a struct field: checks the type; read its fields with og_tc_next until false. */
bool og_tc_struct(struct og_tc *r, const struct og_tc_field *f);
/* Number of elements of that type; at most the bytes left / min_size. */
uint32_t og_tc_list(struct og_tc *r, const struct og_tc_field *f, enum og_tc_type elem, size_t min_size);
int32_t og_tc_elem_i32(struct og_tc *r);
struct og_slice og_tc_elem_binary(struct og_tc *r);
void og_tc_skip(struct og_tc *r, const struct og_tc_field *f);
void og_tc_fail(struct og_tc *r);
static inline size_t og_tc_pos(const struct og_tc *r)
{
	return (size_t)(r->p - r->start);
}

#endif
