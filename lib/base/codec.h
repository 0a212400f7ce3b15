/*
 * Bounds-checked field codec: fixed-width little-endian integers, length-prefixed bytes.
 * Used by IPC messages and by our binary formats.
 *
 * The reader is sticky: after a failure every read gives 0 or an empty slice, so one check at the
 * end (og_reader_end) suffices, and nothing may be acted on before it.
 * Trust:   the bytes are hostile; no length is believed beyond what is left.
 * Memory:  slices point into the source. Threads: a value, one at a time.
 */
#ifndef OG_BASE_CODEC_H
#define OG_BASE_CODEC_H

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

struct og_reader {
	struct og_slice src;
	size_t pos;
	bool failed;
	size_t failed_at;
};

struct og_reader og_reader_init(struct og_slice src);
uint8_t og_read_u8(struct og_reader *r);
uint16_t og_read_u16(struct og_reader *r);
uint32_t og_read_u32(struct og_reader *r);
uint64_t og_read_u64(struct og_reader *r);
/* n raw bytes. */
struct og_slice og_read_raw(struct og_reader *r, size_t n);
/* u32 length, then bytes. */
struct og_slice og_read_bytes(struct og_reader *r);
/* Unsigned LEB128, at most 10 bytes. */
uint64_t og_read_varint(struct og_reader *r);
/* A u32 count of elements, each at least min_size (> 0) bytes long: refused when what is left cannot hold them. */
uint32_t og_read_count(struct og_reader *r, size_t min_size);
static inline size_t og_reader_left(const struct og_reader *r)
{
	return r->failed ? 0 : r->src.len - r->pos;
}
/* 0, or OG_ERR_CORRUPT with the byte position: ran short, or bytes are left over. */
int og_reader_end(struct og_reader *r, struct og_error *err) OG_MUST_CHECK;
/* The same, bytes left over being fine. */
int og_reader_ok(struct og_reader *r, struct og_error *err) OG_MUST_CHECK;

void og_put_u8(struct og_buf *b, uint8_t v);
void og_put_u16(struct og_buf *b, uint16_t v);
void og_put_u32(struct og_buf *b, uint32_t v);
void og_put_u64(struct og_buf *b, uint64_t v);
void og_put_bytes(struct og_buf *b, struct og_slice s);	/* u32 length, bytes; len <= UINT32_MAX */
void og_put_str(struct og_buf *b, const char *s);
void og_put_varint(struct og_buf *b, uint64_t v);

/* Checked sizes: false on overflow, *out untouched. */
bool og_size_add(size_t a, size_t b, size_t *out) OG_MUST_CHECK;
bool og_size_mul(size_t a, size_t b, size_t *out) OG_MUST_CHECK;

static inline uint16_t og_le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}
static inline uint32_t og_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}
static inline uint64_t og_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the code assumes a little-endian machine"
#endif

#endif
