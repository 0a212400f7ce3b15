/* Thrift compact protocol: fields of Parquet's headers and footer. */
#include "config.h"

#include "format/thrift.h"

#define MAX_DEPTH 16

size_t og_tc_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (uint8_t)(v | 0x80);
	p[n++] = (uint8_t)v;
	return n;
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static size_t field_header(uint8_t *p, int16_t *last, int16_t id, enum og_tc_type type)
{
	int delta = id - *last;
	size_t n = 0;

	*last = id;
	if (delta > 0 && delta <= 15) {
		p[n++] = (uint8_t)(delta << 4 | (int)type);
		return n;
	}
	p[n++] = (uint8_t)type;
	return n + og_tc_varint(p + n, zigzag(id));
}

void og_tc_put_field(struct og_buf *b, int16_t *last, int16_t id, enum og_tc_type type)
{
	uint8_t tmp[16];

	og_buf_append(b, tmp, field_header(tmp, last, id, type));
}

void og_tc_put_i32(struct og_buf *b, int16_t *last, int16_t id, int32_t v)
{
	uint8_t tmp[32];
	size_t n = field_header(tmp, last, id, OG_TC_I32);

	n += og_tc_varint(tmp + n, zigzag(v));
	og_buf_append(b, tmp, n);
}

void og_tc_put_i64(struct og_buf *b, int16_t *last, int16_t id, int64_t v)
{
	uint8_t tmp[32];
	size_t n = field_header(tmp, last, id, OG_TC_I64);

	n += og_tc_varint(tmp + n, zigzag(v));
	og_buf_append(b, tmp, n);
}

void og_tc_put_bool(struct og_buf *b, int16_t *last, int16_t id, bool v)
{
	og_tc_put_field(b, last, id, v ? OG_TC_TRUE : OG_TC_FALSE);
}

void og_tc_put_binary(struct og_buf *b, int16_t *last, int16_t id, struct og_slice s)
{
	og_tc_put_field(b, last, id, OG_TC_BINARY);
	og_tc_put_elem_binary(b, s);
}

void og_tc_put_list(struct og_buf *b, int16_t *last, int16_t id, enum og_tc_type elem, uint32_t n)
{
	uint8_t tmp[32];
	size_t len = field_header(tmp, last, id, OG_TC_LIST);

	if (n < 15) {
		tmp[len++] = (uint8_t)(n << 4 | (uint32_t)elem);
	} else {
		tmp[len++] = (uint8_t)(0xf0 | (uint32_t)elem);
		len += og_tc_varint(tmp + len, n);
	}
	og_buf_append(b, tmp, len);
}

void og_tc_put_elem_i32(struct og_buf *b, int32_t v)
{
	uint8_t tmp[16];

	og_buf_append(b, tmp, og_tc_varint(tmp, zigzag(v)));
}

void og_tc_put_elem_binary(struct og_buf *b, struct og_slice s)
{
	uint8_t tmp[16];

	og_buf_append(b, tmp, og_tc_varint(tmp, s.len));
	og_buf_append(b, s.p, s.len);
}

void og_tc_put_stop(struct og_buf *b)
{
	og_buf_byte(b, OG_TC_STOP);
}

struct og_tc og_tc_init(struct og_slice src)
{
	const uint8_t *p = (const uint8_t *)src.p;

	return (struct og_tc){ .start = p, .p = p, .end = src.len ? p + src.len : p };
}

void og_tc_fail(struct og_tc *r)
{
	if (r->failed)
		return;
	r->failed = true;
	r->failed_at = og_tc_pos(r);
}

static size_t left(const struct og_tc *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->p);
}

static uint8_t get_byte(struct og_tc *r)
{
	if (left(r) == 0) {
		og_tc_fail(r);
		return 0;
	}
	return *r->p++;
}

static uint64_t get_varint(struct og_tc *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t c = get_byte(r);

		/* The tenth byte has room for one bit. */
		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return r->failed ? 0 : v;
	}
	og_tc_fail(r);
	return 0;
}

static int64_t get_ranged(struct og_tc *r, int64_t min, int64_t max)
{
	int64_t v = unzigzag(get_varint(r));

	if (v < min || v > max) {
		og_tc_fail(r);
		return 0;
	}
	return v;
}

bool og_tc_next(struct og_tc *r, struct og_tc_field *f)
{
	uint8_t c = get_byte(r);
	int delta = c >> 4;
	int64_t id;

	if (r->failed || c == OG_TC_STOP)
		return false;
	id = delta ? f->id + delta : get_ranged(r, 1, INT16_MAX);
	/* Ascending ids without repetition, so that no field is read twice. */
	if (id <= f->id || id > INT16_MAX || (c & 15) == 0 || (c & 15) > OG_TC_STRUCT)
		og_tc_fail(r);
	if (r->failed)
		return false;
	f->id = (int16_t)id;
	f->type = (enum og_tc_type)(c & 15);
	return true;
}

static bool expect(struct og_tc *r, const struct og_tc_field *f, enum og_tc_type type)
{
	if (f->type != type)
		og_tc_fail(r);
	return !r->failed;
}

int32_t og_tc_i32(struct og_tc *r, const struct og_tc_field *f)
{
	return expect(r, f, OG_TC_I32) ? og_tc_elem_i32(r) : 0;
}

int64_t og_tc_i64(struct og_tc *r, const struct og_tc_field *f)
{
	return expect(r, f, OG_TC_I64) ? get_ranged(r, INT64_MIN, INT64_MAX) : 0;
}

bool og_tc_bool(struct og_tc *r, const struct og_tc_field *f)
{
	if (f->type != OG_TC_TRUE && f->type != OG_TC_FALSE)
		og_tc_fail(r);
	return !r->failed && f->type == OG_TC_TRUE;
}

struct og_slice og_tc_binary(struct og_tc *r, const struct og_tc_field *f)
{
	return expect(r, f, OG_TC_BINARY) ? og_tc_elem_binary(r) : og_slice("", 0);
}

bool og_tc_struct(struct og_tc *r, const struct og_tc_field *f)
{
	return expect(r, f, OG_TC_STRUCT);
}

static uint32_t list_header(struct og_tc *r, uint8_t *elem, size_t min_size)
{
	uint8_t c = get_byte(r);
	uint64_t n = c >> 4;

	*elem = c & 15;
	if (n == 15)
		n = get_varint(r);
	if (n > left(r) / min_size || n > UINT32_MAX) {
		og_tc_fail(r);
		return 0;
	}
	return (uint32_t)n;
}

uint32_t og_tc_list(struct og_tc *r, const struct og_tc_field *f, enum og_tc_type elem, size_t min_size)
{
	uint8_t found;
	uint32_t n;

	if (!expect(r, f, OG_TC_LIST))
		return 0;
	n = list_header(r, &found, min_size);
	if (n && found != (uint8_t)elem) {
		og_tc_fail(r);
		return 0;
	}
	return n;
}

int32_t og_tc_elem_i32(struct og_tc *r)
{
	return (int32_t)get_ranged(r, INT32_MIN, INT32_MAX);
}

struct og_slice og_tc_elem_binary(struct og_tc *r)
{
	uint64_t n = get_varint(r);
	struct og_slice s;

	if (n > left(r)) {
		og_tc_fail(r);
		n = 0;
	}
	s = og_slice(r->p, (size_t)n);
	r->p += n;
	return s;
}

static void skip_value(struct og_tc *r, uint8_t type, int depth);

static void skip_struct(struct og_tc *r, int depth)
{
	struct og_tc_field f = { 0 };

	while (og_tc_next(r, &f))
		if (f.type != OG_TC_TRUE && f.type != OG_TC_FALSE)
			skip_value(r, (uint8_t)f.type, depth);
}

static void skip_list(struct og_tc *r, int depth)
{
	uint8_t elem;
	uint32_t n = list_header(r, &elem, 1);

	for (uint32_t i = 0; i < n && !r->failed; i++)
		skip_value(r, elem, depth);
}

/* In lists a bool is a byte of its own; in structs the header holds it, and the caller does not come here. */
static void skip_value(struct og_tc *r, uint8_t type, int depth)
{
	if (r->failed)
		return;
	if (depth >= MAX_DEPTH) {
		og_tc_fail(r);
		return;
	}
	switch (type) {
	case OG_TC_TRUE:
	case OG_TC_FALSE:
	case OG_TC_BYTE:
		(void)get_byte(r);
		return;
	case OG_TC_I16:
	case OG_TC_I32:
	case OG_TC_I64:
		(void)get_varint(r);
		return;
	case OG_TC_DOUBLE:
		for (int i = 0; i < 8; i++)
			(void)get_byte(r);
		return;
	case OG_TC_BINARY:
		(void)og_tc_elem_binary(r);
		return;
	case OG_TC_LIST:
		skip_list(r, depth + 1);
		return;
	case OG_TC_STRUCT:
		skip_struct(r, depth + 1);
		return;
	}
	og_tc_fail(r);
}

void og_tc_skip(struct og_tc *r, const struct og_tc_field *f)
{
	if (f->type != OG_TC_TRUE && f->type != OG_TC_FALSE)
		skip_value(r, (uint8_t)f->type, 0);
}
