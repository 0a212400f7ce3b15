/* The cursor of the schema parser. */
#include "config.h"
#include "schema/lex.h"
#include "base/excerpt.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

static char at(const struct pg_lex *l, size_t pos)
{
	return pos < l->src.len ? l->src.p[pos] : '\0';
}

static bool skip_comment(struct pg_lex *l)
{
	const char *p = l->src.p + l->pos, *end = l->src.p + l->src.len;

	if (end - p < 2 || p[0] != '/')
		return false;
	if (p[1] == '/') {
		p = memchr(p, '\n', (size_t)(end - p));
		l->pos = p ? (size_t)(p - l->src.p) + 1 : l->src.len;
		return true;
	}
	if (p[1] != '*')
		return false;
	p = memmem(p + 2, (size_t)(end - p) - 2, "*/", 2);
	if (!p)
		return false;
	l->pos = (size_t)(p - l->src.p) + 2;
	return true;
}

void pg_skip(struct pg_lex *l)
{
	for (;;) {
		char c = at(l, l->pos);

		if (l->pos < l->src.len && (c == ' ' || c == '\t' || c == '\r' || c == '\n'))
			l->pos++;
		else if (!skip_comment(l))
			return;
	}
}

bool pg_end(struct pg_lex *l)
{
	pg_skip(l);
	return l->pos == l->src.len;
}

bool pg_accept(struct pg_lex *l, const char *text)
{
	size_t n = strlen(text);

	pg_skip(l);
	if (l->src.len - l->pos < n || memcmp(l->src.p + l->pos, text, n) != 0)
		return false;
	l->pos += n;
	return true;
}

/* A run of word characters (and '-', where asked), at least one. */
static struct og_slice run(struct pg_lex *l, bool dash)
{
	size_t begin = l->pos;

	while (l->pos < l->src.len && (is_word(l->src.p[l->pos]) || (dash && l->src.p[l->pos] == '-')))
		l->pos++;
	return og_slice(l->src.p + begin, l->pos - begin);
}

bool pg_type_name(struct pg_lex *l, struct og_slice *out)
{
	char c;

	pg_skip(l);
	c = at(l, l->pos);
	if (c < 'A' || c > 'Z')
		return false;
	*out = run(l, false);
	return true;
}

bool pg_name(struct pg_lex *l, struct og_slice *out)
{
	char c;

	pg_skip(l);
	c = at(l, l->pos);
	if ((c < 'a' || c > 'z') && c != '_')
		return false;
	*out = run(l, false);
	return true;
}

bool pg_enum_value(struct pg_lex *l, struct og_slice *out)
{
	pg_skip(l);
	*out = run(l, true);
	return out->len > 0;
}

static size_t digits(const struct pg_lex *l, size_t pos)
{
	while (is_digit(at(l, pos)))
		pos++;
	return pos;
}

bool pg_int(struct pg_lex *l, struct og_slice *out)
{
	size_t end;

	pg_skip(l);
	end = digits(l, l->pos);
	if (end == l->pos)
		return false;
	*out = og_slice(l->src.p + l->pos, end - l->pos);
	l->pos = end;
	return true;
}

bool pg_number(struct pg_lex *l, bool sign, struct og_slice *out, bool *is_float)
{
	size_t begin, end;

	pg_skip(l);
	begin = l->pos + (sign && at(l, l->pos) == '-');
	end = digits(l, begin);
	if (end == begin)
		return false;
	*is_float = at(l, end) == '.' && is_digit(at(l, end + 1));
	if (*is_float)
		end = digits(l, end + 1);
	*out = og_slice(l->src.p + l->pos, end - l->pos);
	l->pos = end;
	return true;
}

static int unescape(struct pg_lex *l, size_t begin, size_t end, struct og_slice *out)
{
	char *to = og_arena_alloc(l->arena, end - begin + 1);
	size_t n = 0, pos = begin, next;

	if (!to)
		return og_arena_error(l->arena, l->err);
	while (pos < end) {
		char c = l->src.p[pos++];

		if (c == '\\') {
			c = l->src.p[pos++];
			if (c == 'n' || c == 'r' || c == 't') {
				c = c == 'n' ? '\n' : c == 'r' ? '\r' : '\t';
			} else if (c != '"' && c != '\\') {
				next = --pos;
				og_utf8_next(l->src, &next);
				pg_note(l, pos - 1, "unsupported escape sequence: \\%.*s", (int)(next - pos), l->src.p + pos);
				pos = next;
				continue;
			}
		}
		to[n++] = c;
	}
	to[n] = '\0';
	*out = og_slice(to, n);
	return 1;
}

int pg_string(struct pg_lex *l, struct og_slice *out)
{
	size_t pos;
	int rc;

	pg_skip(l);
	if (at(l, l->pos) != '"')
		return 0;
	for (pos = l->pos + 1; pos < l->src.len && l->src.p[pos] != '"'; pos++)
		if (l->src.p[pos] == '\\')
			pos++;
	if (pos >= l->src.len)		/* never closed: as if none stood here */
		return 0;
	rc = unescape(l, l->pos + 1, pos, out);
	l->pos = pos + 1;
	return rc;
}

bool pg_at_constraint(struct pg_lex *l)
{
	static const char *const names[] = { "key", "unique", "index", "range", "check" };
	size_t save = l->pos;
	struct og_slice name;
	bool found = false;

	if (pg_accept(l, "@") && pg_name(l, &name) && pg_accept(l, "("))
		for (size_t i = 0; i < OG_COUNT(names); i++)
			found = found || og_slice_is(name, names[i]);
	l->pos = save;
	return found;
}

bool pg_at_card(struct pg_lex *l)
{
	size_t save = l->pos;
	struct og_slice text;
	bool found;

	found = pg_accept(l, "@") && pg_name(l, &text) && og_slice_is(text, "card") && pg_accept(l, "(") &&
		pg_int(l, &text) && pg_accept(l, "..");
	l->pos = save;
	return found;
}

int pg_expected(struct pg_lex *l, const char *what)
{
	pg_skip(l);
	return og_error_excerpt(l->err, l->src, l->pos, "parse error: ", what);
}

int pg_expect(struct pg_lex *l, const char *text)
{
	char what[32];

	if (pg_accept(l, text))
		return 0;
	snprintf(what, sizeof(what), "`%s`", text);
	return pg_expected(l, what);
}

void pg_note(struct pg_lex *l, size_t at_byte, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (l->conv.code)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	og_error_set(&l->conv, OG_ERR_BAD, "parse error: parse error: %s", text);
	og_text_position(l->src, at_byte, false, &l->conv.pos.line, &l->conv.pos.column);
	l->conv.pos.byte = at_byte;
}
