/*
 * A borrowed run of bytes: never owned, never NUL-terminated by promise.
 * Threads: a value; the bytes belong to somebody else.
 */
#ifndef OG_BASE_SLICE_H
#define OG_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct og_slice {
	const char *p;		/* may be NULL when len is 0 */
	size_t len;
};

#define OG_SLICE(literal) ((struct og_slice){ (literal), sizeof(literal) - 1 })
/* For printf: "%.*s", OG_FMT(s) */
#define OG_FMT(s) ((int)(s).len), ((s).p ? (s).p : "")

static inline struct og_slice og_slice(const void *p, size_t len)
{
	return (struct og_slice){ p, len };
}

static inline struct og_slice og_slice_str(const char *s)
{
	return (struct og_slice){ s, s ? strlen(s) : 0 };
}

static inline bool og_slice_eq(struct og_slice a, struct og_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool og_slice_is(struct og_slice a, const char *s)
{
	return og_slice_eq(a, og_slice_str(s));
}

/* Byte order, which for UTF-8 is code point order; a prefix sorts first. */
static inline int og_slice_cmp(struct og_slice a, struct og_slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	if (c)
		return c;
	return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool og_slice_starts(struct og_slice a, struct og_slice prefix)
{
	return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.p, prefix.p, prefix.len) == 0);
}

#endif
