/*
 * Runs of string bytes that need no care in JSON: neither `"`, `\` nor a control. Private to lib/json.
 * Threads: pure functions.
 */
#ifndef OG_JSON_BYTES_H
#define OG_JSON_BYTES_H

#include "base/codec.h"

#ifdef __SSE2__
#include <emmintrin.h>

#define OG_JSON_BLOCK 16

/* Bit per byte of the block that needs care; *high gets a bit set when one is not ASCII. */
static inline unsigned og_json_block(const char *p, unsigned *high)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i c = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);

	c = _mm_or_si128(c, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
	c = _mm_or_si128(c, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	*high |= (unsigned)_mm_movemask_epi8(v);
	return (unsigned)_mm_movemask_epi8(c);
}

#define OG_JSON_BLOCK_FIRST(mask) ((size_t)__builtin_ctz(mask))

#else

#define OG_JSON_BLOCK 8
#define OG_JSON_EACH(b) (UINT64_C(0x0101010101010101) * (b))

/* The same with a high bit per byte; a byte may be marked wrongly only behind one marked rightly. */
static inline uint64_t og_json_block(const char *p, unsigned *high)
{
	uint64_t v = og_le64(p), quote = v ^ OG_JSON_EACH('"'), slash = v ^ OG_JSON_EACH('\\');
	uint64_t marks = ((v - OG_JSON_EACH(0x20)) & ~v) | ((quote - OG_JSON_EACH(1)) & ~quote) |
			 ((slash - OG_JSON_EACH(1)) & ~slash);

	*high |= (v & OG_JSON_EACH(0x80)) != 0;
	return marks & OG_JSON_EACH(0x80);
}

#define OG_JSON_BLOCK_FIRST(mask) ((size_t)__builtin_ctzll(mask) / 8)

#endif

static inline bool og_json_special(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

/* The first byte in [p, end) that needs care, or end. *high is non-zero afterwards if the run holds non-ASCII bytes (or
 * perhaps if the bytes behind it do). */
static inline const char *og_json_run(const char *p, const char *end, unsigned *high)
{
	while ((size_t)(end - p) >= OG_JSON_BLOCK) {
		unsigned block_high = 0;
		typeof(og_json_block(p, &block_high)) mask = og_json_block(p, &block_high);

		*high |= block_high;
		if (mask)
			return p + OG_JSON_BLOCK_FIRST(mask);
		p += OG_JSON_BLOCK;
	}
	while (p < end && !og_json_special((unsigned char)*p)) {
		*high |= (unsigned char)*p & 0x80;
		p++;
	}
	return p;
}

#endif
