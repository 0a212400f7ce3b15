/*
 * Reading members of JSON objects that our own programs wrote. Sticky, like base/codec.h: after the first fault every read
 * gives zero, and f->failed is checked once before anything is acted on. Private to lib/format.
 */
#ifndef OG_FORMAT_FIELDS_H
#define OG_FORMAT_FIELDS_H

#include "base/arena.h"
#include "base/sha256.h"
#include "base/ulid.h"
#include "format/record.h"
#include "json/tree.h"
#include "json/writer.h"

struct og_fields {
	struct og_arena *a;
	struct og_error *err;
	bool failed;
};

/* All take the object and the member's name; a missing or wrong member is a fault. */
uint64_t og_field_u64(struct og_fields *f, const struct og_json *o, const char *name);
uint32_t og_field_u32(struct og_fields *f, const struct og_json *o, const char *name);
int64_t og_field_i64(struct og_fields *f, const struct og_json *o, const char *name);
struct og_ulid og_field_ulid(struct og_fields *f, const struct og_json *o, const char *name);
struct og_sha256 og_field_sha256(struct og_fields *f, const struct og_json *o, const char *name);
struct og_slice og_field_string(struct og_fields *f, const struct og_json *o, const char *name);	/* copied */
/* null gives .p NULL */
struct og_slice og_field_string_or_null(struct og_fields *f, const struct og_json *o, const char *name);
/* Missing counts as false. */
bool og_field_flag(struct og_fields *f, const struct og_json *o, const char *name);
/* NULL with *n 0 when missing and `optional`, or after a fault. */
const struct og_json *og_field_array(struct og_fields *f, const struct og_json *o, const char *name, bool optional,
				     size_t *n);
const struct og_json *og_field_object(struct og_fields *f, const struct og_json *o, const char *name);
/* The value itself. */
struct og_ulid og_value_ulid(struct og_fields *f, const struct og_json *v, const char *what);
void *og_field_alloc(struct og_fields *f, size_t n, size_t size);
/* Sets the fault unless there was one. */
void og_field_fault(struct og_fields *f, const char *fmt, ...) OG_PRINTF(2, 3);

/* Types [{id, kind, name}] and ids [n]. */
struct og_type_decl *og_field_types(struct og_fields *f, const struct og_json *o, const char *name, size_t *n);
uint32_t *og_field_u32s(struct og_fields *f, const struct og_json *o, const char *name, size_t *n);
struct og_seg og_value_seg(struct og_fields *f, const struct og_json *v);

void og_member_ulid(struct og_json_writer *w, const char *name, const struct og_ulid *u);
void og_member_sha256(struct og_json_writer *w, const char *name, const struct og_sha256 *d);
void og_member_string_or_null(struct og_json_writer *w, const char *name, struct og_slice s);
void og_member_types(struct og_json_writer *w, const char *name, const struct og_type_decl *t, size_t n);
void og_member_u32s(struct og_json_writer *w, const char *name, const uint32_t *v, size_t n);
void og_put_seg_members(struct og_json_writer *w, const struct og_seg *s);
void og_put_ulid(struct og_json_writer *w, const struct og_ulid *u);

/* Parses a header: OG_ERR_CORRUPT instead of the parser's OG_ERR_BAD. */
const struct og_json *og_format_parse(struct og_arena *a, struct og_slice src, struct og_error *err);

#endif
