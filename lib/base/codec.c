/* The field codec. */
#include "config.h"

#include "base/codec.h"

struct og_reader og_reader_init(struct og_slice src)
{
	return (struct og_reader){ .src = src };
}

/* Where n bytes start, or NULL, which makes the failure stick. */
static const char *take(struct og_reader *r, size_t n)
{
	const char *p;

	if (r->failed)
		return NULL;
	if (n > r->src.len - r->pos) {
		r->failed = true;
		r->failed_at = r->pos;
		return NULL;
	}
	/* An empty source may have no address at all. */
	p = r->src.p ? r->src.p + r->pos : "";
	r->pos += n;
	return p;
}

uint8_t og_read_u8(struct og_reader *r)
{
	const char *p = take(r, 1);

	return p ? (uint8_t)*p : 0;
}

uint16_t og_read_u16(struct og_reader *r)
{
	const char *p = take(r, 2);

	return p ? og_le16(p) : 0;
}

uint32_t og_read_u32(struct og_reader *r)
{
	const char *p = take(r, 4);

	return p ? og_le32(p) : 0;
}

uint64_t og_read_u64(struct og_reader *r)
{
	const char *p = take(r, 8);

	return p ? og_le64(p) : 0;
}

struct og_slice og_read_raw(struct og_reader *r, size_t n)
{
	const char *p = take(r, n);

	return og_slice(p, p ? n : 0);
}

struct og_slice og_read_bytes(struct og_reader *r)
{
	uint32_t n = og_read_u32(r);

	return og_read_raw(r, n);
}

uint64_t og_read_varint(struct og_reader *r)
{
	uint64_t v = 0;
	size_t start = r->pos;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t c = og_read_u8(r);

		if (r->failed)
			return 0;
		/* The tenth byte has room for one bit. */
		if (shift == 63 && c > 1)
			break;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return v;
	}
	r->failed = true;
	r->failed_at = start;
	return 0;
}

uint32_t og_read_count(struct og_reader *r, size_t min_size)
{
	size_t start = r->pos;
	uint32_t n = og_read_u32(r);

	if (r->failed)
		return 0;
	if (n > (r->src.len - r->pos) / min_size) {
		r->failed = true;
		r->failed_at = start;
		return 0;
	}
	return n;
}

int og_reader_ok(struct og_reader *r, struct og_error *err)
{
	if (!r->failed)
		return 0;
	return og_error_at(err, OG_ERR_CORRUPT, r->failed_at, "malformed or cut short at byte %zu of %zu",
			   r->failed_at, r->src.len);
}

int og_reader_end(struct og_reader *r, struct og_error *err)
{
	if (!r->failed && r->pos != r->src.len)
		return og_error_at(err, OG_ERR_CORRUPT, r->pos, "%zu bytes left over at byte %zu",
				   r->src.len - r->pos, r->pos);
	return og_reader_ok(r, err);
}

void og_put_u8(struct og_buf *b, uint8_t v)
{
	og_buf_byte(b, v);
}

void og_put_u16(struct og_buf *b, uint16_t v)
{
	og_buf_append(b, &v, sizeof(v));
}

void og_put_u32(struct og_buf *b, uint32_t v)
{
	og_buf_append(b, &v, sizeof(v));
}

void og_put_u64(struct og_buf *b, uint64_t v)
{
	og_buf_append(b, &v, sizeof(v));
}

void og_put_bytes(struct og_buf *b, struct og_slice s)
{
	if (s.len > UINT32_MAX) {
		b->failed = true;
		return;
	}
	og_put_u32(b, (uint32_t)s.len);
	og_buf_slice(b, s);
}

void og_put_str(struct og_buf *b, const char *s)
{
	og_put_bytes(b, og_slice_str(s));
}

void og_put_varint(struct og_buf *b, uint64_t v)
{
	while (v >= 0x80) {
		og_buf_byte(b, (uint8_t)(v | 0x80));
		v >>= 7;
	}
	og_buf_byte(b, (uint8_t)v);
}

bool og_size_add(size_t a, size_t b, size_t *out)
{
	size_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*out = sum;
	return true;
}

bool og_size_mul(size_t a, size_t b, size_t *out)
{
	size_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*out = product;
	return true;
}
