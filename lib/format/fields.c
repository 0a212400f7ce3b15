/* Members of JSON objects, read with checks and written. */
#include "config.h"

#include "format/fields.h"

#include <stdarg.h>
#include <stdio.h>

void og_field_fault(struct og_fields *f, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (f->failed)
		return;
	f->failed = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	og_error_set(f->err, OG_ERR_CORRUPT, "%s", text);
}

void *og_field_alloc(struct og_fields *f, size_t n, size_t size)
{
	void *p = f->failed ? NULL : og_arena_array(f->a, n ? n : 1, size);

	if (!p && !f->failed) {
		f->failed = true;
		og_arena_error(f->a, f->err);
	}
	return p;
}

static const struct og_json *member(struct og_fields *f, const struct og_json *o, const char *name)
{
	const struct og_json *v = f->failed ? NULL : og_json_get(o, name);

	if (!v)
		og_field_fault(f, "`%s` is missing", name);
	return v;
}

uint64_t og_field_u64(struct og_fields *f, const struct og_json *o, const char *name)
{
	const struct og_json *v = member(f, o, name);
	uint64_t n = 0;

	if (v && !og_json_to_u64(v, &n))
		og_field_fault(f, "`%s` is not an unsigned integer", name);
	return f->failed ? 0 : n;
}

uint32_t og_field_u32(struct og_fields *f, const struct og_json *o, const char *name)
{
	uint64_t n = og_field_u64(f, o, name);

	if (n > UINT32_MAX)
		og_field_fault(f, "`%s` is over 32 bits", name);
	return f->failed ? 0 : (uint32_t)n;
}

int64_t og_field_i64(struct og_fields *f, const struct og_json *o, const char *name)
{
	const struct og_json *v = member(f, o, name);
	int64_t n = 0;

	if (v && !og_json_to_i64(v, &n))
		og_field_fault(f, "`%s` is not an integer", name);
	return f->failed ? 0 : n;
}

struct og_ulid og_value_ulid(struct og_fields *f, const struct og_json *v, const char *what)
{
	struct og_ulid u = { { 0 } };

	if (!f->failed && (!og_json_is(v, OG_JT_STRING) || !og_ulid_parse(v->s, &u)))
		og_field_fault(f, "`%s` is not a ULID", what);
	return u;
}

struct og_ulid og_field_ulid(struct og_fields *f, const struct og_json *o, const char *name)
{
	return og_value_ulid(f, member(f, o, name), name);
}

struct og_sha256 og_field_sha256(struct og_fields *f, const struct og_json *o, const char *name)
{
	const struct og_json *v = member(f, o, name);
	struct og_sha256 d = { { 0 } };

	if (v && (v->type != OG_JT_STRING || !og_sha256_parse(v->s, &d)))
		og_field_fault(f, "`%s` is not a SHA-256", name);
	return d;
}

struct og_slice og_field_string(struct og_fields *f, const struct og_json *o, const char *name)
{
	const struct og_json *v = member(f, o, name);
	struct og_slice s = { 0 };

	if (!v)
		return s;
	if (v->type != OG_JT_STRING) {
		og_field_fault(f, "`%s` is not a string", name);
		return s;
	}
	s = og_arena_slice(f->a, v->s);
	if (!s.p) {
		f->failed = true;
		og_arena_error(f->a, f->err);
	}
	return s;
}

struct og_slice og_field_string_or_null(struct og_fields *f, const struct og_json *o, const char *name)
{
	const struct og_json *v = member(f, o, name);

	if (!v || v->type == OG_JT_NULL)
		return (struct og_slice){ 0 };
	return og_field_string(f, o, name);
}

bool og_field_flag(struct og_fields *f, const struct og_json *o, const char *name)
{
	const struct og_json *v = f->failed ? NULL : og_json_get(o, name);

	if (!v)
		return false;
	if (v->type != OG_JT_BOOL)
		og_field_fault(f, "`%s` is not a boolean", name);
	return !f->failed && v->b;
}

const struct og_json *og_field_array(struct og_fields *f, const struct og_json *o, const char *name, bool optional,
				     size_t *n)
{
	const struct og_json *v = f->failed ? NULL : og_json_get(o, name);

	*n = 0;
	if (!v) {
		if (!optional)
			og_field_fault(f, "`%s` is missing", name);
		return NULL;
	}
	if (v->type != OG_JT_ARRAY) {
		og_field_fault(f, "`%s` is not an array", name);
		return NULL;
	}
	*n = v->items.n;
	return v->items.v;
}

const struct og_json *og_field_object(struct og_fields *f, const struct og_json *o, const char *name)
{
	const struct og_json *v = member(f, o, name);

	if (v && v->type != OG_JT_OBJECT)
		og_field_fault(f, "`%s` is not an object", name);
	return f->failed ? NULL : v;
}

struct og_type_decl *og_field_types(struct og_fields *f, const struct og_json *o, const char *name, size_t *n)
{
	size_t count;
	const struct og_json *v = og_field_array(f, o, name, false, &count);
	struct og_type_decl *t = og_field_alloc(f, count, sizeof(*t));

	*n = 0;
	for (size_t i = 0; i < count && !f->failed; i++) {
		struct og_slice kind = og_field_string(f, &v[i], "kind");

		t[i].id = og_field_u32(f, &v[i], "id");
		t[i].name = og_field_string(f, &v[i], "name");
		t[i].kind = kind.len ? kind.p[0] : 0;
		if (!og_slice_is(kind, "node") && !og_slice_is(kind, "edge"))
			og_field_fault(f, "`kind` is neither node nor edge");
		if (i && t[i].id <= t[i - 1].id)
			og_field_fault(f, "`%s` is not in order of ids", name);
	}
	*n = f->failed ? 0 : count;
	return t;
}

uint32_t *og_field_u32s(struct og_fields *f, const struct og_json *o, const char *name, size_t *n)
{
	size_t count;
	const struct og_json *v = og_field_array(f, o, name, true, &count);
	uint32_t *out = og_field_alloc(f, count, sizeof(*out));

	for (size_t i = 0; i < count && !f->failed; i++) {
		uint64_t x = 0;

		if (!og_json_to_u64(&v[i], &x) || x > UINT32_MAX)
			og_field_fault(f, "`%s` holds something else than 32-bit integers", name);
		out[i] = (uint32_t)x;
	}
	*n = f->failed ? 0 : count;
	return out;
}

struct og_seg og_value_seg(struct og_fields *f, const struct og_json *v)
{
	struct og_seg s = { 0 };

	s.id = og_field_ulid(f, v, "id");
	s.rows = og_field_u64(f, v, "rows");
	s.bytes = og_field_u64(f, v, "bytes");
	s.sha256 = og_field_sha256(f, v, "sha256");
	return s;
}

void og_put_ulid(struct og_json_writer *w, const struct og_ulid *u)
{
	og_json_put_str(w, og_ulid_format(u).s);
}

void og_member_ulid(struct og_json_writer *w, const char *name, const struct og_ulid *u)
{
	og_json_member_str(w, name, og_ulid_format(u).s);
}

void og_member_sha256(struct og_json_writer *w, const char *name, const struct og_sha256 *d)
{
	og_json_member_str(w, name, og_sha256_format(d).s);
}

void og_member_string_or_null(struct og_json_writer *w, const char *name, struct og_slice s)
{
	if (s.p)
		og_json_member_string(w, name, s);
	else
		og_json_member_null(w, name);
}

void og_member_types(struct og_json_writer *w, const char *name, const struct og_type_decl *t, size_t n)
{
	og_json_member_array(w, name);
	for (size_t i = 0; i < n; i++) {
		og_json_begin_object(w);
		og_json_member_u64(w, "id", t[i].id);
		og_json_member_str(w, "kind", t[i].kind == 'n' ? "node" : "edge");
		og_json_member_string(w, "name", t[i].name);
		og_json_end_object(w);
	}
	og_json_end_array(w);
}

void og_member_u32s(struct og_json_writer *w, const char *name, const uint32_t *v, size_t n)
{
	og_json_member_array(w, name);
	for (size_t i = 0; i < n; i++)
		og_json_put_u64(w, v[i]);
	og_json_end_array(w);
}

void og_put_seg_members(struct og_json_writer *w, const struct og_seg *s)
{
	og_member_ulid(w, "id", &s->id);
	og_json_member_u64(w, "rows", s->rows);
	og_json_member_u64(w, "bytes", s->bytes);
	og_member_sha256(w, "sha256", &s->sha256);
}

const struct og_json *og_format_parse(struct og_arena *a, struct og_slice src, struct og_error *err)
{
	struct og_error e = { 0 };
	const struct og_json *j = og_json_parse(a, src, OG_JSON_REFUSE_REPEATS, &e);

	if (!j && e.code == OG_ERR_BAD)
		og_error_at(err, OG_ERR_CORRUPT, e.pos.byte, "header: %s", e.message);
	else if (!j && err)
		*err = e;
	return j;
}
