/* Request heads and chunked bodies. */
#include "config.h"

#include "http/parse.h"

/* More than a client needs for extensions and trailers, which are read and forgotten. */
#define CHUNK_OVERHEAD_MAX (16u * OG_KIB)
/* method, two spaces, "HTTP/1.1": what a request line may hold beside its target */
#define LINE_BESIDES_TARGET 64u

enum { C_TOKEN = 1, C_TARGET = 2, C_VALUE = 4, C_HEX = 8 };

/* RFC 9110 section 5.6.2 (token), 5.5 (field-value with obs-text); targets: visible ASCII and anything above it. */
#define V C_VALUE
#define T (C_VALUE | C_TARGET)
#define K (C_VALUE | C_TARGET | C_TOKEN)
#define X (C_VALUE | C_TARGET | C_TOKEN | C_HEX)
static const uint8_t classes[256] = {
	['\t'] = V, [' '] = V,
	['!'] = K, ['"'] = T, ['#'] = K, ['$'] = K, ['%'] = K, ['&'] = K, ['\''] = K, ['('] = T, [')'] = T, ['*'] = K,
	['+'] = K, [','] = T, ['-'] = K, ['.'] = K, ['/'] = T, ['0' ... '9'] = X, [':'] = T, [';'] = T, ['<'] = T, ['='] = T,
	['>'] = T, ['?'] = T, ['@'] = T, ['A' ... 'F'] = X, ['G' ... 'Z'] = K, ['['] = T, ['\\'] = T, [']'] = T, ['^'] = K,
	['_'] = K, ['`'] = K, ['a' ... 'f'] = X, ['g' ... 'z'] = K, ['{'] = T, ['|'] = K, ['}'] = T, ['~'] = K,
	[128 ... 255] = T,
};
#undef V
#undef T
#undef K
#undef X

static bool is(char c, unsigned class)
{
	return classes[(uint8_t)c] & class;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool og_http_same(struct og_slice a, const char *b)
{
	size_t i;

	for (i = 0; i < a.len; i++)
		if (!b[i] || lower(a.p[i]) != lower(b[i]))
			return false;
	return !b[i];
}

static struct og_slice trim(struct og_slice s)
{
	while (s.len && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.len--;
	}
	while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Next element of a comma-separated list, trimmed; empty ones too. */
static bool list_next(struct og_slice *rest, struct og_slice *item)
{
	const char *comma;
	size_t n;

	if (!rest->p)
		return false;
	comma = memchr(rest->p, ',', rest->len);
	n = comma ? (size_t)(comma - rest->p) : rest->len;
	*item = trim(og_slice(rest->p, n));
	*rest = comma ? og_slice(comma + 1, rest->len - n - 1) : og_slice(NULL, 0);
	return true;
}

/* ---- the request line ---- */

/* Splits a target at its path: origin form, absolute form, or whatever else it is (which no route matches). */
static void split_target(struct og_http_head *h, const char *buf, size_t at, size_t end)
{
	struct og_slice t = og_slice(buf + at, end - at);
	const char *hash = memchr(t.p, '#', t.len);
	const char *query;
	size_t skip = 0;

	if (hash) /* a fragment is not the server's business */
		t.len = (size_t)(hash - t.p);
	if (t.len >= 7 && og_http_same(og_slice(t.p, 7), "http://"))
		skip = 7;
	else if (t.len >= 8 && og_http_same(og_slice(t.p, 8), "https://"))
		skip = 8;
	while (skip && skip < t.len && t.p[skip] != '/' && t.p[skip] != '?')
		skip++;
	query = memchr(t.p + skip, '?', t.len - skip);
	h->path_at = at + skip;
	h->path_len = query ? (size_t)(query - t.p) - skip : t.len - skip;
	h->has_query = query != NULL;
	h->query_at = query ? (size_t)(query - buf) + 1 : at + t.len;
	h->query_len = at + t.len - h->query_at;
}

static int request_line(struct og_http_head *h, const char *buf, size_t at, size_t end)
{
	size_t p = at, target;

	while (p < end && is(buf[p], C_TOKEN))
		p++;
	if (p == at || p == end || buf[p] != ' ')
		return -400;
	h->method_at = at;
	h->method_len = p - at;
	target = ++p;
	while (p < end && is(buf[p], C_TARGET))
		p++;
	if (p == target || p == end || buf[p] != ' ')
		return -400;
	if (end - p != 9 || memcmp(buf + p, " HTTP/1.", 8) != 0 || (buf[end - 1] != '0' && buf[end - 1] != '1'))
		return -400;
	if (p - target > OG_HTTP_TARGET_MAX)
		return -414;
	h->minor = buf[end - 1] == '1';
	split_target(h, buf, target, p);
	h->have_line = true;
	return 0;
}

/* A request line that does not end: is its target too long already? */
static int endless_line(const char *buf, size_t at, size_t len)
{
	size_t p = at;

	if (len - at <= OG_HTTP_TARGET_MAX + LINE_BESIDES_TARGET)
		return OG_HTTP_MORE;
	while (p < len && is(buf[p], C_TOKEN))
		p++;
	return p > at && p < at + LINE_BESIDES_TARGET && buf[p] == ' ' ? -414 : -400;
}

/* ---- header lines ---- */

static int content_length(struct og_http_head *h, struct og_slice v)
{
	uint64_t n = 0;

	if (v.len == 0 || v.len > 19) /* 19 digits fit 64 bits */
		return -400;
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return -400;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	if (h->has_length && h->length != n)
		return -400;
	h->has_length = true;
	h->length = n;
	return 0;
}

static int field_meaning(struct og_http_head *h, struct og_slice name, struct og_slice v)
{
	struct og_slice item;

	/* Lengths first: most lines are none of these. */
	if (name.len == 14 && og_http_same(name, "content-length"))
		return content_length(h, v);
	if (name.len == 17 && og_http_same(name, "transfer-encoding")) {
		if (h->saw_encoding || !og_http_same(v, "chunked"))
			return -400;
		h->saw_encoding = h->chunked = true;
	} else if (name.len == 10 && og_http_same(name, "connection")) {
		while (list_next(&v, &item)) {
			h->saw_close |= og_http_same(item, "close");
			h->saw_keep_alive |= og_http_same(item, "keep-alive");
		}
	} else if (name.len == 6 && og_http_same(name, "expect")) {
		h->expect_continue |= og_http_same(v, "100-continue");
	}
	return 0;
}

static int field_line(struct og_http_head *h, const char *buf, size_t at, size_t end)
{
	size_t p = at, colon;

	if (++h->nfields > OG_HTTP_FIELDS_MAX)
		return -431;
	while (p < end && is(buf[p], C_TOKEN))
		p++;
	if (p == at || p == end || buf[p] != ':') /* a folded line begins with white space: no token */
		return -400;
	colon = p++;
	while (p < end && is(buf[p], C_VALUE))
		p++;
	if (p != end)
		return -400;
	return field_meaning(h, og_slice(buf + at, colon - at), trim(og_slice(buf + colon + 1, end - colon - 1)));
}

static int head_done(struct og_http_head *h)
{
	if (h->chunked && (h->has_length || h->minor == 0))
		return -400;
	h->keep_alive = !h->saw_close && (h->minor == 1 || h->saw_keep_alive);
	if (h->minor == 0)
		h->expect_continue = false;
	return 0;
}

long og_http_head_parse(struct og_http_head *h, const char *buf, size_t len)
{
	int rc;

	for (;;) {
		const char *lf = memchr(buf + h->scan_at, '\n', len - h->scan_at);
		size_t at = h->line_at, end;

		if (!lf) {
			h->scan_at = len;
			if (!h->have_line)
				return endless_line(buf, at, len);
			return len - h->fields_at > OG_HTTP_HEAD_MAX ? -431 : OG_HTTP_MORE;
		}
		end = (size_t)(lf - buf);
		h->line_at = h->scan_at = end + 1;
		if (end > at && buf[end - 1] == '\r')
			end--;
		if (!h->have_line) {
			if (end == at) /* an empty line before the request */
				continue;
			if ((rc = request_line(h, buf, at, end)) < 0)
				return rc;
			h->fields_at = h->line_at;
			continue;
		}
		if (h->line_at - h->fields_at > OG_HTTP_HEAD_MAX)
			return -431;
		if (end == at) {
			h->fields_len = at - h->fields_at;
			return (rc = head_done(h)) < 0 ? rc : (long)h->line_at;
		}
		if ((rc = field_line(h, buf, at, end)) < 0)
			return rc;
	}
}

bool og_http_field_next(struct og_slice fields, const char *name, size_t *pos, struct og_slice *value)
{
	size_t want = strlen(name);

	while (*pos < fields.len) {
		const char *line = fields.p + *pos;
		const char *lf = memchr(line, '\n', fields.len - *pos);
		size_t len = lf ? (size_t)(lf - line) : fields.len - *pos;

		*pos += len + (lf != NULL);
		if (len && line[len - 1] == '\r')
			len--;
		if (len > want && line[want] == ':' && og_http_same(og_slice(line, want), name)) {
			*value = trim(og_slice(line + want + 1, len - want - 1));
			return true;
		}
	}
	return false;
}

/* ---- chunks ---- */

enum {
	CH_SIZE,	/* digits of the size */
	CH_EXT,		/* behind them, until CR */
	CH_SIZE_LF,
	CH_DATA,
	CH_DATA_CR,
	CH_DATA_LF,
	CH_TRAILER,	/* at the start of a trailer line */
	CH_TRAILER_LINE,
	CH_TRAILER_LF,	/* the end of one */
	CH_END_LF,	/* the end of all */
	CH_DONE,
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool overhead(struct og_http_chunks *c)
{
	return ++c->overhead <= CHUNK_OVERHEAD_MAX;
}

/* One byte of framing. false: broken. Line ends are CR LF here without exception: two readings of a chunk are two requests. */
static bool chunk_byte(struct og_http_chunks *c, char b)
{
	int d;

	switch (c->state) {
	case CH_SIZE:
		if ((d = hex(b)) >= 0) {
			if (++c->digits > 15)
				return false;
			c->left = c->left << 4 | (uint64_t)d;
			return true;
		}
		if (!c->digits)
			return false;
		c->state = b == '\r' ? CH_SIZE_LF : CH_EXT;
		return b == '\r' || ((b == ';' || b == ' ' || b == '\t') && overhead(c));
	case CH_EXT:
		c->state = b == '\r' ? CH_SIZE_LF : CH_EXT;
		return b == '\r' || (is(b, C_VALUE) && overhead(c));
	case CH_SIZE_LF:
		c->state = c->left ? CH_DATA : CH_TRAILER;
		c->digits = 0;
		return b == '\n';
	case CH_DATA_CR:
		c->state = CH_DATA_LF;
		return b == '\r';
	case CH_DATA_LF:
		c->state = CH_SIZE;
		return b == '\n';
	case CH_TRAILER:
		c->state = b == '\r' ? CH_END_LF : CH_TRAILER_LINE;
		return b == '\r' || (is(b, C_TOKEN) && overhead(c));
	case CH_TRAILER_LINE:
		c->state = b == '\r' ? CH_TRAILER_LF : CH_TRAILER_LINE;
		return b == '\r' || (is(b, C_VALUE) && overhead(c));
	case CH_TRAILER_LF:
		c->state = CH_TRAILER;
		return b == '\n';
	case CH_END_LF:
		c->state = CH_DONE;
		return b == '\n';
	}
	return false;
}

enum og_http_chunk og_http_chunks_next(struct og_http_chunks *c, struct og_slice in, size_t *pos, struct og_slice *data)
{
	for (;;) {
		if (c->state == CH_DONE)
			return OG_HTTP_CHUNK_END;
		if (*pos == in.len)
			return OG_HTTP_CHUNK_MORE;
		if (c->state == CH_DATA) {
			size_t n = (size_t)OG_MIN(c->left, (uint64_t)(in.len - *pos));

			*data = og_slice(in.p + *pos, n);
			*pos += n;
			c->left -= n;
			if (!c->left)
				c->state = CH_DATA_CR;
			return OG_HTTP_CHUNK_DATA;
		}
		if (!chunk_byte(c, in.p[(*pos)++]))
			return OG_HTTP_CHUNK_BROKEN;
	}
}
