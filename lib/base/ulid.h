/*
 * ULIDs: 48-bit millisecond time, then 80 random bits; 26 upper-case Crockford base-32 characters.
 * Source: https://github.com/ulid/spec. Random bits come from getrandom(2), one call in 64 ULIDs.
 * og_ulid_new is monotonic within one generator: same millisecond, greater bits.
 * A generator starts as {0}. Threads: one generator, one thread; a forked child starts a new one.
 */
#ifndef OG_BASE_ULID_H
#define OG_BASE_ULID_H

#include "base/error.h"
#include "base/slice.h"

#define OG_ULID_CHARS 26

struct og_ulid {
	uint8_t b[16];		/* big-endian, so memcmp is time order */
};

struct og_ulid_text {
	char s[OG_ULID_CHARS + 1];
};

struct og_ulid_gen {
	uint64_t last_ms;
	struct og_ulid last;
	uint8_t pool[10 * 64];
	unsigned left;		/* unused 10-byte draws in pool */
};

/* 0, or OG_ERR_IO when the kernel gives no random bytes. */
int og_ulid_new(struct og_ulid_gen *g, struct og_ulid *out, struct og_error *err) OG_MUST_CHECK;
/*
 * The one behind the last of this generator, without a look at the clock (the first: og_ulid_new): for many at one go. Whoever makes them for long calls
 * og_ulid_new now and then.
 */
int og_ulid_next(struct og_ulid_gen *g, struct og_ulid *out, struct og_error *err) OG_MUST_CHECK;
/* A ULID of that time with zero random bits (a bound for comparisons). */
struct og_ulid og_ulid_at(uint64_t ms);
uint64_t og_ulid_ms(const struct og_ulid *u);
struct og_ulid_text og_ulid_format(const struct og_ulid *u);
/* Exactly 26 characters, upper case, first one 0..7. */
bool og_ulid_parse(struct og_slice s, struct og_ulid *out);
static inline int og_ulid_cmp(const struct og_ulid *a, const struct og_ulid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}
static inline bool og_ulid_zero(const struct og_ulid *a)
{
	static const struct og_ulid z;

	return memcmp(a->b, z.b, sizeof(z.b)) == 0;
}

#endif
