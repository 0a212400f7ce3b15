/* Base64. */
#include "config.h"

#include "base/base64.h"
#include "base/codec.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void og_base64_encode(struct og_buf *b, struct og_slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n, i;
	char *out;

	if (!og_size_mul(s.len / 3 + 1, 4, &n)) {
		b->failed = true;
		return;
	}
	out = og_buf_reserve(b, n);
	if (!out)
		return;
	for (i = 0; s.len - i >= 3; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];

		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = alphabet[v >> 6 & 63];
		*out++ = alphabet[v & 63];
	}
	if (i < s.len) {
		bool two = s.len - i == 2;
		uint32_t v = (uint32_t)p[i] << 16 | (two ? (uint32_t)p[i + 1] << 8 : 0);

		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = two ? alphabet[v >> 6 & 63] : '=';
		*out++ = '=';
	}
	*out = '\0';
	b->len = (size_t)(out - b->data);
}

static int sextet(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int og_base64_decode(struct og_buf *b, struct og_slice s, struct og_error *err)
{
	size_t start = b->len, len = s.len, pad = 0;
	uint32_t v = 0;
	char *out;

	if (s.len % 4)
		return og_error_at(err, OG_ERR_BAD, s.len, "length %zu is not a multiple of 4", s.len);
	while (pad < 2 && len && s.p[len - 1] == '=') {
		len--;
		pad++;
	}
	out = og_buf_reserve(b, s.len / 4 * 3);
	if (!out)
		return og_error_nomem(err);
	for (size_t i = 0; i < len; i++) {
		int six = sextet((unsigned char)s.p[i]);

		if (six < 0) {
			b->data[start] = '\0';
			return og_error_at(err, OG_ERR_BAD, i, "invalid byte %u at offset %zu", (unsigned char)s.p[i], i);
		}
		v = v << 6 | (uint32_t)six;
		if (i % 4 == 3) {
			*out++ = (char)(v >> 16);
			*out++ = (char)(v >> 8);
			*out++ = (char)v;
			v = 0;
		}
	}
	if (pad) {
		/* 12 bits hold one byte and 4 that must be zero, 18 bits two and 2. */
		v <<= 6 * pad;
		if (v & (pad == 2 ? 0xffff : 0xff)) {
			b->data[start] = '\0';
			return og_error_at(err, OG_ERR_BAD, len - 1, "unused bits set at offset %zu", len - 1);
		}
		*out++ = (char)(v >> 16);
		if (pad == 1)
			*out++ = (char)(v >> 8);
	}
	*out = '\0';
	b->len = (size_t)(out - b->data);
	return 0;
}
