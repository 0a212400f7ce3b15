/*
 * What tells whether bytes are those that were meant: SHA-256 where nobody may be able to make others that fit, XXH3-128 (xxHash 0.8, canonical form,
 * seed 0) for derived bytes, where only accidents are to be found and a digest at the speed of memory is worth more.
 * Threads: a context belongs to one thread; the rest is pure.
 */
#ifndef OG_BASE_DIGEST_H
#define OG_BASE_DIGEST_H

#include "base/sha256.h"

#define OG_HASH128_HEX 32

struct og_hash128 {
	uint64_t hi, lo;
};

struct og_hash128_text {
	char s[OG_HASH128_HEX + 1];
};

struct og_hash128 og_hash128(struct og_slice s);
struct og_hash128_text og_hash128_format(const struct og_hash128 *h);	/* lower-case hex, hi first */
/* Exactly 32 lower-case hex digits. */
bool og_hash128_parse(struct og_slice s, struct og_hash128 *out);
static inline bool og_hash128_eq(const struct og_hash128 *a, const struct og_hash128 *b)
{
	return a->hi == b->hi && a->lo == b->lo;
}

enum og_digest_kind { OG_DIGEST_SHA256, OG_DIGEST_HASH128 };

struct og_digest {
	enum og_digest_kind kind;
	struct og_sha256 sha256;	/* one of these two; the other is zero */
	struct og_hash128 hash128;
};

struct og_digest_text {
	char s[OG_SHA256_HEX + 1];
};

struct og_digest_ctx {
	enum og_digest_kind kind;
	struct og_sha256_ctx sha256;
	void *xxh;		/* XXH3_state_t */
};

static inline struct og_digest og_digest_of_sha256(const struct og_sha256 *d)
{
	return (struct og_digest){ .kind = OG_DIGEST_SHA256, .sha256 = *d };
}
static inline struct og_digest og_digest_of_hash128(const struct og_hash128 *d)
{
	return (struct og_digest){ .kind = OG_DIGEST_HASH128, .hash128 = *d };
}
bool og_digest_eq(const struct og_digest *a, const struct og_digest *b);
/* The hex digits alone: their number tells the kind. */
struct og_digest_text og_digest_format(const struct og_digest *d);
bool og_digest_parse(struct og_slice s, struct og_digest *out);
/* Sixteen of its bits. */
uint16_t og_digest_bits(const struct og_digest *d);

/* Without memory the process cannot go on and aborts, as og_sha256 does. */
void og_digest_init(struct og_digest_ctx *c, enum og_digest_kind kind);
void og_digest_update(struct og_digest_ctx *c, struct og_slice s);
/* Frees the context. */
struct og_digest og_digest_final(struct og_digest_ctx *c);

#endif
