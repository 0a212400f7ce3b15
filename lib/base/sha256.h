/*
 * SHA-256 (FIPS 180-4) through OpenSSL's EVP interface.
 * Threads: a context belongs to one thread; og_sha256 is pure.
 */
#ifndef OG_BASE_SHA256_H
#define OG_BASE_SHA256_H

#include "base/error.h"
#include "base/slice.h"

#define OG_SHA256_HEX 64

struct og_sha256 {
	uint8_t b[32];
};

struct og_sha256_text {
	char s[OG_SHA256_HEX + 1];
};

struct og_sha256_ctx {
	void *md;		/* EVP_MD_CTX; NULL after a failure */
};

/* Of s as a whole. Never fails: without memory for OpenSSL's context the process cannot go on and aborts. */
struct og_sha256 og_sha256(struct og_slice s);
void og_sha256_init(struct og_sha256_ctx *c);
void og_sha256_update(struct og_sha256_ctx *c, struct og_slice s);
/* Frees the context. */
struct og_sha256 og_sha256_final(struct og_sha256_ctx *c);
struct og_sha256_text og_sha256_format(const struct og_sha256 *d);	/* lower-case hex */
/* Exactly 64 lower-case hex digits. */
bool og_sha256_parse(struct og_slice s, struct og_sha256 *out);
static inline bool og_sha256_eq(const struct og_sha256 *a, const struct og_sha256 *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

#endif
