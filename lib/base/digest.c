/* Digests of two kinds. */
#include "config.h"

#include "base/digest.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static struct og_hash128 from_xxh(XXH128_hash_t h)
{
	return (struct og_hash128){ h.high64, h.low64 };
}

struct og_hash128 og_hash128(struct og_slice s)
{
	return from_xxh(XXH3_128bits(s.p ? s.p : "", s.len));
}

struct og_hash128_text og_hash128_format(const struct og_hash128 *h)
{
	struct og_hash128_text t;

	snprintf(t.s, sizeof(t.s), "%016llx%016llx", (unsigned long long)h->hi, (unsigned long long)h->lo);
	return t;
}

static bool parse_word(const char *p, uint64_t *out)
{
	uint64_t v = 0;

	for (int i = 0; i < 16; i++) {
		char c = p[i];
		bool digit = c >= '0' && c <= '9';

		if (!digit && !(c >= 'a' && c <= 'f'))
			return false;
		v = v << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
	}
	*out = v;
	return true;
}

bool og_hash128_parse(struct og_slice s, struct og_hash128 *out)
{
	return s.len == OG_HASH128_HEX && parse_word(s.p, &out->hi) && parse_word(s.p + 16, &out->lo);
}

bool og_digest_eq(const struct og_digest *a, const struct og_digest *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case OG_DIGEST_SHA256:
		return og_sha256_eq(&a->sha256, &b->sha256);
	case OG_DIGEST_HASH128:
		return og_hash128_eq(&a->hash128, &b->hash128);
	}
	return false;
}

struct og_digest_text og_digest_format(const struct og_digest *d)
{
	struct og_digest_text t;

	if (d->kind == OG_DIGEST_SHA256)
		memcpy(t.s, og_sha256_format(&d->sha256).s, OG_SHA256_HEX + 1);
	else
		memcpy(t.s, og_hash128_format(&d->hash128).s, OG_HASH128_HEX + 1);
	return t;
}

bool og_digest_parse(struct og_slice s, struct og_digest *out)
{
	memset(out, 0, sizeof(*out));
	out->kind = s.len == OG_HASH128_HEX ? OG_DIGEST_HASH128 : OG_DIGEST_SHA256;
	return out->kind == OG_DIGEST_HASH128 ? og_hash128_parse(s, &out->hash128) : og_sha256_parse(s, &out->sha256);
}

uint16_t og_digest_bits(const struct og_digest *d)
{
	return d->kind == OG_DIGEST_SHA256 ? (uint16_t)(d->sha256.b[0] << 8 | d->sha256.b[1]) : (uint16_t)(d->hash128.hi >> 48);
}

void og_digest_init(struct og_digest_ctx *c, enum og_digest_kind kind)
{
	*c = (struct og_digest_ctx){ .kind = kind };
	if (kind == OG_DIGEST_SHA256) {
		og_sha256_init(&c->sha256);
		return;
	}
	c->xxh = XXH3_createState();
	if (!c->xxh)
		abort();
	XXH3_128bits_reset(c->xxh);
}

void og_digest_update(struct og_digest_ctx *c, struct og_slice s)
{
	if (c->kind == OG_DIGEST_SHA256)
		og_sha256_update(&c->sha256, s);
	else
		XXH3_128bits_update(c->xxh, s.p, s.len);
}

struct og_digest og_digest_final(struct og_digest_ctx *c)
{
	struct og_digest d = { .kind = c->kind };

	if (c->kind == OG_DIGEST_SHA256) {
		d.sha256 = og_sha256_final(&c->sha256);
		return d;
	}
	d.hash128 = from_xxh(XXH3_128bits_digest(c->xxh));
	XXH3_freeState(c->xxh);
	c->xxh = NULL;
	return d;
}
