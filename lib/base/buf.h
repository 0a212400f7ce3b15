/*
 * A growing byte buffer on the heap. Appends are sticky: after a failed allocation the buffer
 * keeps what it had, `failed` is set and every later append does nothing, so that one check at
 * the end suffices (og_buf_ok).
 *
 * Memory: starts as {0}; og_buf_fini frees it and may be called twice. A NUL is kept behind the
 * last byte once anything was appended, so data can be used as a C string.
 * Threads: one at a time.
 */
#ifndef OG_BASE_BUF_H
#define OG_BASE_BUF_H

#include "base/error.h"
#include "base/slice.h"

struct og_buf {
	char *data;
	size_t len, cap;
	bool failed;
};

void og_buf_fini(struct og_buf *b);
/* Empties it, keeping the memory. */
void og_buf_clear(struct og_buf *b);
/* Room for n more bytes behind len; NULL (and failed) without memory. The caller raises len itself. */
char *og_buf_reserve(struct og_buf *b, size_t n);
void og_buf_append(struct og_buf *b, const void *p, size_t n);
void og_buf_slice(struct og_buf *b, struct og_slice s);
void og_buf_str(struct og_buf *b, const char *s);
void og_buf_byte(struct og_buf *b, uint8_t c);
void og_buf_printf(struct og_buf *b, const char *fmt, ...) OG_PRINTF(2, 3);
void og_buf_u64(struct og_buf *b, uint64_t v);	/* decimal */
void og_buf_i64(struct og_buf *b, int64_t v);
/* Drops n bytes from the front. n <= len. */
void og_buf_consume(struct og_buf *b, size_t n);
static inline struct og_slice og_buf_view(const struct og_buf *b)
{
	return og_slice(b->data, b->len);
}
/* 0, or OG_ERR_NOMEM if any append failed. */
int og_buf_ok(const struct og_buf *b, struct og_error *err) OG_MUST_CHECK;
/* Hands the memory (malloc'd, NUL-terminated, may be NULL when empty) to the caller. */
char *og_buf_take(struct og_buf *b);

#endif
