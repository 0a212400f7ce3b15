/* The JSON pull reader. */
#include "config.h"

#include "json/reader.h"
#include "base/num.h"
#include "base/utf8.h"
#include "json/bytes.h"

enum expect {
	VALUE,		/* at the top, or behind `:` or `,` */
	FIRST_ITEM,	/* behind `[` */
	FIRST_KEY,	/* behind `{` */
	KEY,		/* behind `,` in an object */
	COMMA,		/* behind a value inside something */
	TAIL,		/* behind the top-level value */
	OVER,
};

void og_json_reader_init_head(struct og_json_reader *r, struct og_slice src, bool last, const struct og_pos *origin,
			      struct og_arena *a)
{
	if (!src.p)
		src.p = "";
	*r = (struct og_json_reader){ .src = src, .p = src.p, .end = src.p + src.len, .arena = a, .partial = !last };
	if (origin)
		r->origin = *origin;
}

void og_json_reader_init(struct og_json_reader *r, struct og_slice src, struct og_arena *a)
{
	og_json_reader_init_head(r, src, true, NULL, a);
}

int og_json_error_at(const struct og_json_reader *r, const char *at, const char *why, struct og_error *err)
{
	uint64_t line, column;
	size_t offset = (size_t)(at - r->src.p);

	og_error_set(err, OG_ERR_BAD, "%s", why);
	if (!err)
		return OG_ERR_BAD;
	og_text_position(r->src, offset, true, &line, &column);
	if (line == 1 && r->origin.column)
		column += r->origin.column - 1;
	err->pos.line = line + (r->origin.line ? r->origin.line - 1 : 0);
	err->pos.column = column;
	err->pos.byte = offset + r->origin.byte;
	return OG_ERR_BAD;
}

static int fail(struct og_json_reader *r, const char *at, const char *why, struct og_error *err)
{
	r->expect = OVER;
	return og_json_error_at(r, at, why, err);
}

/* The source ends where something must follow. */
static int ran_out(struct og_json_reader *r, struct og_error *err)
{
	if (r->partial) {
		r->expect = OVER;
		return OG_JSON_MORE;
	}
	return fail(r, r->end, "unexpected end of input", err);
}

static bool in_object(const struct og_json_reader *r)
{
	unsigned level = r->depth - 1;

	return r->objects[level / 64] >> (level % 64) & 1;
}

static void value_done(struct og_json_reader *r)
{
	r->expect = r->depth ? COMMA : TAIL;
}

static int open_level(struct og_json_reader *r, bool object, struct og_error *err)
{
	uint64_t bit = UINT64_C(1) << (r->depth % 64);

	if (r->depth == OG_JSON_DEPTH)
		return fail(r, r->p, "nested deeper than 127 levels", err);
	if (object)
		r->objects[r->depth / 64] |= bit;
	else
		r->objects[r->depth / 64] &= ~bit;
	r->depth++;
	r->p++;
	r->expect = object ? FIRST_KEY : FIRST_ITEM;
	return object ? OG_JSON_OBJECT : OG_JSON_ARRAY;
}

static int close_level(struct og_json_reader *r)
{
	bool object = in_object(r);

	r->p++;
	r->depth--;
	value_done(r);
	return object ? OG_JSON_OBJECT_END : OG_JSON_ARRAY_END;
}

/* Four hex digits at p, or -1. */
static int hex4(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)p[i];
		int d;

		if (c >= '0' && c <= '9')
			d = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			d = (c | 0x20) - 'a' + 10;
		else
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* The character of \uXXXX at p (behind the `u`), two escapes for those outside the BMP. NULL and *why on error. */
static const char *unicode_escape(const char *p, const char *end, uint32_t *cp, const char **why)
{
	int hi, lo;

	*why = "invalid escape";
	if (end - p < 4 || (hi = hex4(p)) < 0)
		return NULL;
	p += 4;
	*cp = (uint32_t)hi;
	if (hi < 0xd800 || hi > 0xdfff)
		return p;
	*why = "lone surrogate in an escape";
	if (hi > 0xdbff || end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return NULL;
	lo = hex4(p + 2);
	if (lo < 0xdc00 || lo > 0xdfff)
		return NULL;
	*cp = 0x10000 + ((uint32_t)(hi - 0xd800) << 10) + (uint32_t)(lo - 0xdc00);
	return p + 6;
}

static char simple_escape(char c)
{
	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	}
	return '\0';
}

/* [start, end) is a string's inside, well-formed but for its escapes. */
static int unescape(struct og_json_reader *r, const char *start, const char *end, struct og_error *err)
{
	char *out = og_arena_alloc(r->arena, (size_t)(end - start)), *q = out;
	const char *p = start, *slash, *next, *why;
	uint32_t cp;
	char c;

	if (!out)
		return og_arena_error(r->arena, err);
	while ((slash = memchr(p, '\\', (size_t)(end - p)))) {
		memcpy(q, p, (size_t)(slash - p));
		q += slash - p;
		if (slash[1] == 'u') {
			next = unicode_escape(slash + 2, end, &cp, &why);
			if (!next)
				return fail(r, slash, why, err);
			/* Never longer than the escape was. */
			q += og_utf8_put(q, cp);
			p = next;
			continue;
		}
		c = simple_escape(slash[1]);
		if (!c)
			return fail(r, slash, "invalid escape", err);
		*q++ = c;
		p = slash + 2;
	}
	memcpy(q, p, (size_t)(end - p));
	q += end - p;
	r->text = og_slice(out, (size_t)(q - out));
	return 0;
}

/* r->p is at the opening quote. */
static int read_string(struct og_json_reader *r, int token, struct og_error *err)
{
	const char *start = r->p + 1, *p = start;
	bool escapes = false;
	unsigned high = 0;
	size_t bad;
	int rc;

	for (;;) {
		p = og_json_run(p, r->end, &high);
		if (p == r->end)
			return ran_out(r, err);
		if (*p == '"')
			break;
		if (*p != '\\')
			return fail(r, p, "control character in a string", err);
		escapes = true;
		if (r->end - p < 2)
			return ran_out(r, err);
		high |= (unsigned char)p[1] & 0x80;
		/* What follows the backslash is judged later, it only must not end the string; a control it may not be. */
		p += (unsigned char)p[1] < 0x20 ? 1 : 2;
	}
	r->text = og_slice(start, (size_t)(p - start));
	if (high) {
		bad = og_utf8_check(r->text);
		if (bad < r->text.len)
			return fail(r, start + bad, "invalid UTF-8", err);
	}
	if (escapes && (rc = unescape(r, start, p, err)) < 0) {
		r->expect = OVER;
		return rc;
	}
	r->p = p + 1;
	return token;
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && (unsigned char)(*p - '0') < 10)
		p++;
	return p;
}

static int float_number(struct og_json_reader *r, const char *p, struct og_error *err)
{
	const char *digits;

	if (p < r->end && *p == '.') {
		digits = ++p;
		p = skip_digits(p, r->end);
		if (p == r->end && r->partial)
			return ran_out(r, err);
		if (p == digits)
			return fail(r, p, "expected a digit after the point", err);
	}
	if (p < r->end && (*p | 0x20) == 'e') {
		p++;
		if (p < r->end && (*p == '+' || *p == '-'))
			p++;
		digits = p;
		p = skip_digits(p, r->end);
		if (p == r->end && r->partial)
			return ran_out(r, err);
		if (p == digits)
			return fail(r, p, "expected a digit in the exponent", err);
	}
	r->text = og_slice(r->p, (size_t)(p - r->p));
	r->kind = OG_JSON_F64;
	if (!og_parse_double(r->text, &r->f))
		return fail(r, r->p, "number out of range", err);
	r->p = p;
	value_done(r);
	return OG_JSON_NUMBER;
}

static int read_number(struct og_json_reader *r, struct og_error *err)
{
	bool negative = *r->p == '-', fits = true;
	const char *digits = r->p + negative, *p = digits;
	uint64_t v = 0;

	p = skip_digits(p, r->end);
	if (p == r->end && r->partial)
		return ran_out(r, err);
	if (p == digits)
		return p == r->end ? ran_out(r, err) : fail(r, p, "expected a digit", err);
	if (*digits == '0' && p - digits > 1)
		return fail(r, digits, "leading zero in a number", err);
	if (p < r->end && (*p == '.' || (*p | 0x20) == 'e'))
		return float_number(r, p, err);
	/* Nineteen digits cannot overflow 64 bits. */
	if (p - digits <= 19) {
		for (const char *d = digits; d < p; d++)
			v = v * 10 + (uint64_t)(*d - '0');
	} else {
		fits = og_parse_u64(og_slice(digits, (size_t)(p - digits)), &v);
	}
	if (negative && (v == 0 || v > (uint64_t)INT64_MAX + 1))
		fits = false;
	if (!fits)
		return float_number(r, p, err);
	r->text = og_slice(r->p, (size_t)(p - r->p));
	r->kind = negative || v <= INT64_MAX ? OG_JSON_I64 : OG_JSON_U64;
	r->u = negative ? 0 - v : v;
	r->p = p;
	value_done(r);
	return OG_JSON_NUMBER;
}

static int read_literal(struct og_json_reader *r, const char *word, size_t n, int token, struct og_error *err)
{
	size_t left = (size_t)(r->end - r->p), k = OG_MIN(n, left);

	for (size_t i = 0; i < k; i++)
		if (r->p[i] != word[i])
			return fail(r, r->p + i, "expected a value", err);
	if (k < n)
		return ran_out(r, err);
	r->p += n;
	value_done(r);
	return token;
}

static int read_value(struct og_json_reader *r, struct og_error *err)
{
	int rc;

	switch (*r->p) {
	case '"':
		rc = read_string(r, OG_JSON_STRING, err);
		if (rc == OG_JSON_STRING)
			value_done(r);
		return rc;
	case '{':
		return open_level(r, true, err);
	case '[':
		return open_level(r, false, err);
	case 't':
		return read_literal(r, "true", 4, OG_JSON_TRUE, err);
	case 'f':
		return read_literal(r, "false", 5, OG_JSON_FALSE, err);
	case 'n':
		return read_literal(r, "null", 4, OG_JSON_NULL, err);
	case '-':
	case '0' ... '9':
		return read_number(r, err);
	}
	if (r->end - r->p >= 3 && memcmp(r->p, "\xef\xbb\xbf", 3) == 0)
		return fail(r, r->p, "byte order mark", err);
	return fail(r, r->p, "expected a value", err);
}

static void skip_space(struct og_json_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
		r->p++;
}

static int read_key(struct og_json_reader *r, struct og_error *err)
{
	int rc;

	if (*r->p != '"')
		return fail(r, r->p, "expected a string as key", err);
	rc = read_string(r, OG_JSON_KEY, err);
	if (rc != OG_JSON_KEY)
		return rc;
	skip_space(r);
	if (r->p == r->end)
		return ran_out(r, err);
	if (*r->p != ':')
		return fail(r, r->p, "expected `:`", err);
	r->p++;
	r->expect = VALUE;
	return OG_JSON_KEY;
}

static int read_tail(struct og_json_reader *r, struct og_error *err)
{
	if (r->p < r->end)
		return fail(r, r->p, "trailing characters", err);
	r->expect = OVER;
	return OG_JSON_END;
}

int og_json_next(struct og_json_reader *r, struct og_error *err)
{
	bool object;

	skip_space(r);
	switch ((enum expect)r->expect) {
	case TAIL:
		return read_tail(r, err);
	case OVER:
		return OG_JSON_END;
	case VALUE:
	case FIRST_ITEM:
	case FIRST_KEY:
	case KEY:
	case COMMA:
		break;
	}
	if (r->p == r->end)
		return ran_out(r, err);
	if (r->expect == COMMA) {
		object = in_object(r);
		if (*r->p == (object ? '}' : ']'))
			return close_level(r);
		if (*r->p != ',')
			return fail(r, r->p, object ? "expected `,` or `}`" : "expected `,` or `]`", err);
		r->p++;
		r->expect = object ? KEY : VALUE;
		skip_space(r);
		if (r->p == r->end)
			return ran_out(r, err);
	}
	if (r->expect == FIRST_KEY && *r->p == '}')
		return close_level(r);
	if (r->expect == FIRST_ITEM && *r->p == ']')
		return close_level(r);
	if (r->expect == KEY || r->expect == FIRST_KEY)
		return read_key(r, err);
	return read_value(r, err);
}

int og_json_skip(struct og_json_reader *r, int token, struct og_error *err)
{
	unsigned depth = r->depth;

	if (token != OG_JSON_ARRAY && token != OG_JSON_OBJECT)
		return token;
	/* The opening token has raised the depth. */
	while (r->depth >= depth) {
		token = og_json_next(r, err);
		if (token <= OG_JSON_MORE)
			return token;
	}
	return token;
}
