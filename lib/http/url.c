/* Percent and form decoding. */
#include "config.h"

#include "http/url.h"

#include "base/utf8.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* out has room for raw.len bytes. */
static size_t unescape(struct og_slice raw, bool form, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < raw.len; i++) {
		char c = raw.p[i];

		if (c == '%' && raw.len - i > 2 && hex(raw.p[i + 1]) >= 0 && hex(raw.p[i + 2]) >= 0) {
			c = (char)(hex(raw.p[i + 1]) << 4 | hex(raw.p[i + 2]));
			i += 2;
		} else if (form && c == '+') {
			c = ' ';
		}
		out[n++] = c;
	}
	return n;
}

int og_url_decode_segment(struct og_arena *a, struct og_slice raw, struct og_slice *out)
{
	char *p = og_arena_alloc(a, raw.len + 1);
	struct og_slice s;

	if (!p)
		return OG_ERR_NOMEM;
	s = og_slice(p, unescape(raw, false, p));
	if (og_utf8_check(s) != s.len)
		return OG_ERR_BAD;
	*out = s;
	return 0;
}

bool og_url_query_next(struct og_slice *rest, struct og_slice *key, struct og_slice *value)
{
	while (rest->len) {
		const char *amp = memchr(rest->p, '&', rest->len);
		size_t len = amp ? (size_t)(amp - rest->p) : rest->len;
		struct og_slice part = og_slice(rest->p, len);
		const char *eq;

		*rest = amp ? og_slice(amp + 1, rest->len - len - 1) : og_slice(NULL, 0);
		if (!part.len)
			continue;
		eq = memchr(part.p, '=', part.len);
		*key = eq ? og_slice(part.p, (size_t)(eq - part.p)) : part;
		*value = eq ? og_slice(eq + 1, part.len - key->len - 1) : og_slice("", 0);
		return true;
	}
	return false;
}

struct og_slice og_url_form_decode(struct og_arena *a, struct og_slice raw)
{
	struct og_slice in = { 0 }, out = { 0 };
	char *p = og_arena_alloc(a, raw.len + 1), *q;
	size_t room, pos = 0, n = 0;

	if (!p)
		return out;
	in = og_slice(p, unescape(raw, true, p));
	if (og_utf8_check(in) == in.len)
		return in;
	if (__builtin_mul_overflow(in.len, (size_t)3, &room)) /* U+FFFD takes three bytes for one */
		return out;
	q = og_arena_alloc(a, room);
	if (!q)
		return out;
	while (pos < in.len)
		n += og_utf8_put(q + n, og_utf8_next(in, &pos));
	return og_slice(q, n);
}

size_t og_url_query_get(struct og_arena *a, struct og_slice query, const char *key, struct og_slice *value)
{
	struct og_slice k, v;
	size_t count = 0;

	while (og_url_query_next(&query, &k, &v)) {
		k = og_url_form_decode(a, k);
		if (!k.p)
			return SIZE_MAX;
		if (!og_slice_is(k, key))
			continue;
		if (count++ == 0) {
			*value = og_url_form_decode(a, v);
			if (!value->p)
				return SIZE_MAX;
		}
	}
	return count;
}
