/* Tokens of the query language. */
#include "config.h"
#include "gq/lex.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_word(char c)
{
	return is_lower(c) || is_upper(c) || is_digit(c);
}

static char at(const struct gq_lex *l, size_t pos)
{
	return pos < l->src.len ? l->src.p[pos] : '\0';
}

/* Moves to `end`, keeping line and column. */
static void advance(struct gq_lex *l, size_t end)
{
	for (; l->at < end; l->at++) {
		if (l->src.p[l->at] == '\n') {
			l->pos.line++;
			l->pos.column = 1;
		} else if (((unsigned char)l->src.p[l->at] & 0xc0) != 0x80) {
			l->pos.column++;	/* continuation bytes are no characters of their own */
		}
	}
}

/* Over blanks and comments; an unterminated comment is left standing, where no token begins. */
static void skip(struct gq_lex *l)
{
	const char *end = l->src.p + l->src.len, *p;
	char c;

	for (;;) {
		c = at(l, l->at);
		if (l->at < l->src.len && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
			advance(l, l->at + 1);
			continue;
		}
		if (c != '/' || l->src.len - l->at < 2)
			return;
		p = l->src.p + l->at + 2;
		if (at(l, l->at + 1) == '/') {
			p = memchr(p, '\n', (size_t)(end - p));
			advance(l, p ? (size_t)(p - l->src.p) : l->src.len);
		} else if (at(l, l->at + 1) == '*') {
			p = memmem(p, (size_t)(end - p), "*/", 2);
			if (!p)
				return;
			advance(l, (size_t)(p - l->src.p) + 2);
		} else {
			return;
		}
	}
}

static size_t word_end(const struct gq_lex *l, size_t pos)
{
	while (is_word(at(l, pos)))
		pos++;
	return pos;
}

static size_t digits_end(const struct gq_lex *l, size_t pos)
{
	while (is_digit(at(l, pos)))
		pos++;
	return pos;
}

static void read_number(struct gq_lex *l, struct gq_token *t)
{
	t->kind = GQ_T_INT;
	t->end = digits_end(l, t->begin);
	if (at(l, t->end) == '.' && is_digit(at(l, t->end + 1))) {
		t->kind = GQ_T_FLOAT;
		t->end = digits_end(l, t->end + 1);
	}
}

static void read_string(struct gq_lex *l, struct gq_token *t)
{
	size_t pos;

	for (pos = t->begin + 1; pos < l->src.len && l->src.p[pos] != '"'; pos++)
		if (l->src.p[pos] == '\\')
			pos++;
	if (pos >= l->src.len)
		return;
	t->kind = GQ_T_STRING;
	t->text = og_slice(l->src.p + t->begin + 1, pos - t->begin - 1);
	t->end = pos + 1;
}

static void read_punct(struct gq_lex *l, struct gq_token *t)
{
	char c = at(l, t->begin);

	if (c == '\0' || !strchr("(){}[],:.@?<>=!", c))
		return;
	t->end = t->begin + 1;
	if ((c == '<' || c == '>' || c == '!') && at(l, t->end) == '=')
		t->end++;
	else if (c == '!')
		return;
	t->kind = GQ_T_PUNCT;
}

void gq_lex_next(struct gq_lex *l)
{
	struct gq_token *t = &l->tok;
	char c;

	skip(l);
	*t = (struct gq_token){ .kind = GQ_T_BAD, .begin = l->at, .end = l->at, .pos = l->pos };
	if (l->at == l->src.len) {
		t->kind = GQ_T_END;
		return;
	}
	c = l->src.p[l->at];
	if (is_lower(c) || is_upper(c)) {
		t->kind = is_upper(c) ? GQ_T_TYPE : GQ_T_NAME;
		t->end = word_end(l, t->begin);
	} else if (c == '$' && is_lower(at(l, l->at + 1))) {
		t->kind = GQ_T_VAR;
		t->end = word_end(l, t->begin + 1);
		t->text = og_slice(l->src.p + t->begin + 1, t->end - t->begin - 1);
	} else if (is_digit(c)) {
		read_number(l, t);
	} else if (c == '"') {
		read_string(l, t);
	} else {
		read_punct(l, t);
	}
	if (!t->text.p)
		t->text = og_slice(l->src.p + t->begin, t->end - t->begin);
	if (t->kind != GQ_T_BAD)
		advance(l, t->end);
}

void gq_lex_init(struct gq_lex *l, struct og_slice src)
{
	*l = (struct gq_lex){ .src = src, .pos = { 1, 1 } };
	gq_lex_next(l);
}

struct gq_token gq_lex_peek(const struct gq_lex *l, unsigned n)
{
	struct gq_lex ahead = *l;

	while (n-- > 0)
		gq_lex_next(&ahead);
	return ahead.tok;
}

ptrdiff_t gq_unescape(struct og_slice text, char *to, size_t *bad)
{
	size_t n = 0;

	for (size_t pos = 0; pos < text.len; pos++) {
		char c = text.p[pos];

		if (c == '\\') {
			c = text.p[++pos];
			if (c == 'n' || c == 'r' || c == 't') {
				c = c == 'n' ? '\n' : c == 'r' ? '\r' : '\t';
			} else if (c != '"' && c != '\\') {
				*bad = pos;
				return -1;
			}
		}
		to[n++] = c;
	}
	return (ptrdiff_t)n;
}
