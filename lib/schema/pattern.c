/* Patterns of @check: the scan in front of PCRE2, and PCRE2. */
#include "config.h"
#include "schema/pattern.h"
#include "base/buf.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#define MATCH_LIMIT 200000u	/* steps of one search: some 10 ms */
#define DEPTH_LIMIT 100000u
#define HEAP_LIMIT_KIB (16u * 1024u)

struct og_pattern {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *limits;
};

/* The dialect's text is read once and PCRE2's is written beside it: the two differ in a few escapes and the named classes. */
struct scan {
	struct og_slice re;
	size_t pos;
	struct og_buf out;
	const char *why;
};

static char peek(const struct scan *s, size_t ahead)
{
	return ahead < s->re.len - s->pos ? s->re.p[s->pos + ahead] : '\0';
}

static bool refuse(struct scan *s, const char *why)
{
	s->why = why;
	return false;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void copy(struct scan *s, size_t n)
{
	og_buf_append(&s->out, s->re.p + s->pos, n);
	s->pos += n;
}

/* \x, \u or \U, at the digits: exactly `n` of them, or any number in braces. */
static bool hex_escape(struct scan *s, size_t n)
{
	size_t len = 0;
	bool braces = peek(s, 0) == '{';

	if (braces)
		s->pos++;
	while (is_hex(peek(s, len)))
		len++;
	if (!braces && len > n)
		len = n;
	if (len == 0 || len > 8 || (braces ? peek(s, len) != '}' : len != n))
		return refuse(s, "invalid hexadecimal escape");
	og_buf_str(&s->out, "\\x{");
	copy(s, len);
	og_buf_byte(&s->out, '}');
	s->pos += braces;
	return true;
}

/* \p or \P, at the property: one letter or a name in braces. */
static bool property_escape(struct scan *s)
{
	size_t n = 1;

	if (peek(s, 0) == '{')
		while (n < s->re.len - s->pos && peek(s, n - 1) != '}')
			n++;
	else if (!is_letter(peek(s, 0)))
		return refuse(s, "invalid Unicode property");
	copy(s, n);
	return true;
}

/* At the backslash. */
static bool escape(struct scan *s, bool in_class)
{
	char c = peek(s, 1);

	if (s->re.len - s->pos < 2)
		return refuse(s, "incomplete escape sequence, reached end of pattern prematurely");
	if (strchr("xuU", c)) {
		s->pos += 2;
		return hex_escape(s, c == 'x' ? 2 : c == 'u' ? 4 : 8);
	}
	if (c == 'v') {		/* a character here, a class to PCRE2 */
		s->pos += 2;
		og_buf_str(&s->out, "\\x{0b}");
		return true;
	}
	if (is_digit(c))
		return refuse(s, "backreferences are not supported");
	if (strchr("bBAz", c)) {
		if (in_class || (strchr("bB", c) && peek(s, 2) == '{'))
			return refuse(s, "unrecognized escape sequence");
		copy(s, 2);
		return true;
	}
	if (is_letter(c) ? !strchr("dDwWsSpPnrtfa", c) : ((unsigned char)c < 0x20 || (unsigned char)c > 0x7e || c == '<' || c == '>'))
		return refuse(s, "unrecognized escape sequence");
	copy(s, 2);
	return c == 'p' || c == 'P' ? property_escape(s) : true;
}

/* At "[:": the named classes are ASCII here and would not be under PCRE2_UCP. */
static bool named_class(struct scan *s)
{
	static const char *const classes[][2] = {
		{ "[:alnum:]", "0-9A-Za-z" },	   { "[:alpha:]", "A-Za-z" },
		{ "[:ascii:]", "\\x00-\\x7F" },	   { "[:blank:]", "\\t\\x20" },
		{ "[:cntrl:]", "\\x00-\\x1F\\x7F" }, { "[:digit:]", "0-9" },
		{ "[:graph:]", "!-~" },		   { "[:lower:]", "a-z" },
		{ "[:print:]", "\\x20-~" },	   { "[:punct:]", "!-\\/:-@\\[-`{-~" },
		{ "[:space:]", "\\t\\n\\x0B\\f\\r\\x20" }, { "[:upper:]", "A-Z" },
		{ "[:word:]", "0-9A-Za-z_" },	   { "[:xdigit:]", "0-9A-Fa-f" },
	};
	struct og_slice rest = og_slice(s->re.p + s->pos, s->re.len - s->pos);

	for (size_t i = 0; i < OG_COUNT(classes); i++) {
		if (!og_slice_starts(rest, og_slice_str(classes[i][0])))
			continue;
		og_buf_str(&s->out, classes[i][1]);
		s->pos += strlen(classes[i][0]);
		return true;
	}
	return refuse(s, "unknown named character class");
}

/* At '['. */
static bool bracket(struct scan *s)
{
	copy(s, 1);
	if (peek(s, 0) == '^')
		copy(s, 1);
	if (peek(s, 0) == ']')
		copy(s, 1);
	for (;;) {
		char c = peek(s, 0);

		if (s->pos == s->re.len)
			return refuse(s, "unclosed character class");
		if (c == '\\') {
			if (!escape(s, true))
				return false;
		} else if (c == '[') {
			if (peek(s, 1) != ':')
				return refuse(s, "class set operations are not supported");
			if (!named_class(s))
				return false;
		} else if ((c == '&' || c == '-' || c == '~') && peek(s, 1) == c) {
			return refuse(s, "class set operations are not supported");
		} else {
			copy(s, 1);
			if (c == ']')
				return true;
		}
	}
}

/* At "(?": a name, flags or ':'. */
static bool group(struct scan *s)
{
	size_t n = 2;
	unsigned seen = 0;
	bool on = false;

	if (peek(s, n) == 'P')
		n++;
	if (peek(s, n) == '<' && peek(s, n + 1) != '=' && peek(s, n + 1) != '!') {
		copy(s, n + 1);
		return true;	/* PCRE2 checks the name */
	}
	if (n == 3)
		return refuse(s, "unrecognized group");
	if (peek(s, 2) == '=' || peek(s, 2) == '!' || peek(s, 2) == '<')
		return refuse(s, "look-around, including look-ahead and look-behind, is not supported");
	for (; peek(s, n) != ':' && peek(s, n) != ')'; n++) {
		static const char flags[] = "imsxU-";
		const char *flag = peek(s, n) ? strchr(flags, peek(s, n)) : NULL;

		if (!flag || (seen & (1u << (flag - flags))))
			return refuse(s, "unrecognized flag");
		seen |= 1u << (flag - flags);
		on = *flag != '-';
	}
	if (n > 2 ? !on : peek(s, n) == ')')
		return refuse(s, "unrecognized flag");
	copy(s, n + 1);
	return true;
}

/* At '{': {n}, {n,} or {n,m}. */
static bool counted(struct scan *s)
{
	size_t n = 1;

	while (is_digit(peek(s, n)))
		n++;
	if (n == 1)
		return refuse(s, "repetition quantifier expects a valid decimal");
	if (peek(s, n) == ',')
		for (n++; is_digit(peek(s, n));)
			n++;
	if (peek(s, n) != '}')
		return refuse(s, "unclosed counted repetition");
	copy(s, n + 1);
	return true;
}

static bool quantifier(struct scan *s)
{
	if (peek(s, 0) == '{') {
		if (!counted(s))
			return false;
	} else {
		copy(s, 1);
	}
	if (peek(s, 0) == '+')
		return refuse(s, "possessive quantifiers are not supported");
	if (peek(s, 0) == '?')
		copy(s, 1);
	return true;
}

static bool translate(struct scan *s)
{
	bool ok = true;

	while (ok && s->pos < s->re.len) {
		switch (s->re.p[s->pos]) {
		case '\\':
			ok = escape(s, false);
			break;
		case '[':
			ok = bracket(s);
			break;
		case '(':
			if (peek(s, 1) == '?')
				ok = group(s);
			else if (peek(s, 1) == '*')
				ok = refuse(s, "repetition operator missing expression");
			else
				copy(s, 1);
			break;
		case '*':
		case '+':
		case '?':
		case '{':
			ok = quantifier(s);
			break;
		default:
			copy(s, 1);
			break;
		}
	}
	return ok;
}

static int compile(struct og_pattern *p, struct og_slice re, char why[256])
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_SIZE at;
	int code;

	if (!context)
		return OG_ERR_NOMEM;
	pcre2_set_newline(context, PCRE2_NEWLINE_LF);
	p->code = pcre2_compile((PCRE2_SPTR)(re.p ? re.p : ""), re.len, PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code, &at,
				context);
	pcre2_compile_context_free(context);
	if (!p->code) {
		if (pcre2_get_error_message(code, (PCRE2_UCHAR *)why, 256) < 0)
			snprintf(why, 256, "error %d", code);
		return OG_ERR_BAD;
	}
	p->data = pcre2_match_data_create(1, NULL);
	p->limits = pcre2_match_context_create(NULL);
	if (!p->data || !p->limits)
		return OG_ERR_NOMEM;
	pcre2_set_match_limit(p->limits, MATCH_LIMIT);
	pcre2_set_depth_limit(p->limits, DEPTH_LIMIT);
	pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KIB);
	return 0;
}

int og_pattern_compile(struct og_slice re, struct og_pattern **out, char why[256])
{
	struct og_pattern *p = calloc(1, sizeof(*p));
	struct scan s = { .re = re };
	int rc;

	if (!p)
		return OG_ERR_NOMEM;
	if (!translate(&s)) {
		snprintf(why, 256, "%s", s.why);
		rc = OG_ERR_BAD;
	} else {
		rc = s.out.failed ? OG_ERR_NOMEM : compile(p, og_buf_view(&s.out), why);
	}
	og_buf_fini(&s.out);
	if (rc < 0)
		og_pattern_free(p);
	else
		*out = p;
	return rc;
}

void og_pattern_free(struct og_pattern *p)
{
	if (!p)
		return;
	pcre2_match_context_free(p->limits);
	pcre2_match_data_free(p->data);
	pcre2_code_free(p->code);
	free(p);
}

enum og_pattern_result og_pattern_search(struct og_pattern *p, struct og_slice subject)
{
	int rc = pcre2_match(p->code, (PCRE2_SPTR)(subject.p ? subject.p : ""), subject.len, 0, 0, p->data, p->limits);

	if (rc >= 0)
		return OG_PATTERN_YES;
	if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT ||
	    rc == PCRE2_ERROR_NOMEMORY)
		return OG_PATTERN_EXPENSIVE;
	return OG_PATTERN_NO;
}
