/* SHA-256 over OpenSSL's EVP. */
#include "config.h"

#include "base/sha256.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/evp.h>

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;	/* looked up once: with EVP_sha256() every digest searches the providers anew */

static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void og_sha256_init(struct og_sha256_ctx *c)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	pthread_once(&fetched, fetch);
	/* Digests decide what is in the log; there is no sensible way to go on without one. */
	if (!md || !sha256 || EVP_DigestInit_ex(md, sha256, NULL) != 1)
		abort();
	c->md = md;
}

void og_sha256_update(struct og_sha256_ctx *c, struct og_slice s)
{
	if (s.len && EVP_DigestUpdate(c->md, s.p, s.len) != 1)
		abort();
}

struct og_sha256 og_sha256_final(struct og_sha256_ctx *c)
{
	struct og_sha256 out;

	if (EVP_DigestFinal_ex(c->md, out.b, NULL) != 1)
		abort();
	EVP_MD_CTX_free(c->md);
	c->md = NULL;
	return out;
}

struct og_sha256 og_sha256(struct og_slice s)
{
	struct og_sha256_ctx c;

	og_sha256_init(&c);
	og_sha256_update(&c, s);
	return og_sha256_final(&c);
}

struct og_sha256_text og_sha256_format(const struct og_sha256 *d)
{
	static const char digits[] = "0123456789abcdef";
	struct og_sha256_text t;

	for (size_t i = 0; i < sizeof(d->b); i++) {
		t.s[2 * i] = digits[d->b[i] >> 4];
		t.s[2 * i + 1] = digits[d->b[i] & 15];
	}
	t.s[OG_SHA256_HEX] = '\0';
	return t;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool og_sha256_parse(struct og_slice s, struct og_sha256 *out)
{
	struct og_sha256 d;

	if (s.len != OG_SHA256_HEX)
		return false;
	for (size_t i = 0; i < sizeof(d.b); i++) {
		int hi = hex_digit(s.p[2 * i]);
		int lo = hex_digit(s.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		d.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*out = d;
	return true;
}
