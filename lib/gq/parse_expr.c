/* Expressions and values of the query language. */
#include "config.h"
#include "gq/parse.h"
#include "base/num.h"
#include "base/utf8.h"

static struct gq_expr *new_expr(struct gq_parser *p, enum gq_expr_kind kind)
{
	struct gq_expr *x = og_arena_array(p->arena, 1, sizeof(*x));

	if (!x) {
		gq_nomem(p);
		return NULL;
	}
	x->kind = kind;
	x->pos = p->lex.tok.pos;
	x->var = x->param = -1;
	return x;
}

int gq_parse_string(struct gq_parser *p, struct og_slice *out)
{
	const struct gq_token *t = &p->lex.tok;
	size_t bad = 0, end;
	ptrdiff_t n;
	char *to;

	if (t->kind != GQ_T_STRING)
		return gq_expected(p, "a string");
	to = og_arena_alloc(p->arena, t->text.len + 1);
	if (!to)
		return gq_nomem(p);
	n = gq_unescape(t->text, to, &bad);
	if (n < 0) {
		end = bad;
		og_utf8_next(t->text, &end);
		gq_note(p, t->pos, "unsupported escape sequence: \\%.*s", (int)(end - bad), t->text.p + bad);
		n = 0;
	}
	*out = og_slice(to, (size_t)n);
	gq_lex_next(&p->lex);
	return 0;
}

/* 'date' '(' string ')' and 'datetime' likewise. */
static int parse_date(struct gq_parser *p, struct og_value *v)
{
	struct og_slice text;
	int rc;

	gq_lex_next(&p->lex);
	if ((rc = gq_expect_punct(p, "(")) < 0 || (rc = gq_parse_string(p, &text)) < 0)
		return rc;
	v->kind = OG_V_STRING;
	v->s = text;
	return gq_expect_punct(p, ")");
}

/* Is the current token the name of a function, with '(' behind it? */
static bool at_call(const struct gq_parser *p, const char *name)
{
	struct gq_token next;

	if (!gq_at_word(p, name))
		return false;
	next = gq_lex_peek(&p->lex, 1);
	return gq_tok_is(&next, GQ_T_PUNCT, "(");
}

static bool at_literal(const struct gq_parser *p)
{
	enum gq_token_kind k = p->lex.tok.kind;

	return k == GQ_T_STRING || k == GQ_T_INT || k == GQ_T_FLOAT || gq_at_punct(p, "[") || gq_at_word(p, "true") ||
	       gq_at_word(p, "false") || at_call(p, "date") || at_call(p, "datetime");
}

static int parse_literal(struct gq_parser *p, unsigned depth, struct og_value *v, uint8_t *date, uint8_t **item_dates);

static int parse_list(struct gq_parser *p, unsigned depth, struct og_value *v, uint8_t **item_dates)
{
	struct gq_list items = { 0 }, dates = { 0 };
	struct og_value *item;
	uint8_t *date, *ignored;
	int rc;

	if (depth >= GQ_MAX_DEPTH)
		return gq_expected(p, "less deeply nested lists");
	gq_lex_next(&p->lex);
	if (!gq_at_punct(p, "]")) {
		do {
			item = gq_list_add(p, &items, sizeof(*item));
			date = gq_list_add(p, &dates, sizeof(*date));
			if (!item || !date)
				return OG_ERR_NOMEM;
			if ((rc = parse_literal(p, depth + 1, item, date, &ignored)) < 0)
				return rc;
		} while (gq_accept_punct(p, ","));
	}
	v->kind = OG_V_LIST;
	v->items.v = items.items;
	v->items.n = items.n;
	*item_dates = dates.items;
	return gq_expect_punct(p, "]");
}

static void parse_number(struct gq_parser *p, struct og_value *v)
{
	const struct gq_token *t = &p->lex.tok;
	struct og_slice text = t->text;

	/* Leading zeros are legal here, in the shared reader of numbers they are not. */
	while (text.len > 1 && text.p[0] == '0' && text.p[1] != '.')
		text = og_slice(text.p + 1, text.len - 1);
	if (t->kind == GQ_T_INT) {
		v->kind = OG_V_INT;
		if (!og_parse_i64(text, &v->i))
			gq_note(p, t->pos, "invalid integer: number too large to fit in target type");
	} else {
		v->kind = OG_V_FLOAT;
		if (!og_parse_double(text, &v->f))
			gq_note(p, t->pos, "invalid float: number too large to fit in target type");
	}
	gq_lex_next(&p->lex);
}

static int parse_literal(struct gq_parser *p, unsigned depth, struct og_value *v, uint8_t *date, uint8_t **item_dates)
{
	const struct gq_token *t = &p->lex.tok;

	*item_dates = NULL;
	*date = GQ_LIT_PLAIN;
	if (!at_literal(p))
		return gq_expected(p, "a literal");
	if (gq_at_punct(p, "["))
		return parse_list(p, depth, v, item_dates);
	if (t->kind == GQ_T_STRING) {
		v->kind = OG_V_STRING;
		return gq_parse_string(p, &v->s);
	}
	if (t->kind == GQ_T_INT || t->kind == GQ_T_FLOAT) {
		parse_number(p, v);
		return 0;
	}
	if (gq_at_word(p, "true") || gq_at_word(p, "false")) {
		v->kind = OG_V_BOOL;
		v->i = gq_at_word(p, "true");
		gq_lex_next(&p->lex);
		return 0;
	}
	*date = gq_at_word(p, "date") ? GQ_LIT_DATE : GQ_LIT_DATETIME;
	return parse_date(p, v);
}

static int literal_expr(struct gq_parser *p, struct gq_expr **out)
{
	struct gq_expr *x = new_expr(p, GQ_X_LITERAL);
	uint8_t date;
	int rc;

	if (!x)
		return OG_ERR_NOMEM;
	rc = parse_literal(p, 0, &x->lit, &date, &x->item_dates);
	x->lit_date = (enum gq_lit_date)date;
	*out = x;
	return rc;
}

static int now_expr(struct gq_parser *p, struct gq_expr **out)
{
	int rc;

	*out = new_expr(p, GQ_X_NOW);
	if (!*out)
		return OG_ERR_NOMEM;
	gq_lex_next(&p->lex);
	if ((rc = gq_expect_punct(p, "(")) < 0)
		return rc;
	return gq_expect_punct(p, ")");
}

/* $v or $v.p */
static int var_expr(struct gq_parser *p, bool dotted, struct gq_expr **out)
{
	struct gq_expr *x = new_expr(p, GQ_X_VAR);
	int rc;

	if (!x)
		return OG_ERR_NOMEM;
	if ((rc = gq_expect_text(p, GQ_T_VAR, "a variable", &x->name)) < 0)
		return rc;
	*out = x;
	if (!dotted && !gq_at_punct(p, "."))
		return 0;
	if ((rc = gq_expect_punct(p, ".")) < 0)
		return rc;
	x->kind = GQ_X_PROP;
	return gq_expect_text(p, GQ_T_NAME, "a property name", &x->prop_name);
}

int gq_parse_value(struct gq_parser *p, struct gq_expr **out)
{
	if (p->lex.tok.kind == GQ_T_VAR) {
		*out = new_expr(p, GQ_X_VAR);
		if (!*out)
			return OG_ERR_NOMEM;
		return gq_expect_text(p, GQ_T_VAR, "a variable", &(*out)->name);
	}
	if (at_call(p, "now"))
		return now_expr(p, out);
	if (!at_literal(p))
		return gq_expected(p, "a literal, a variable or now()");
	return literal_expr(p, out);
}

static const struct call {
	const char *name;
	enum gq_expr_kind kind;
	enum gq_agg agg;
	uint8_t min, max;	/* arguments */
} calls[] = {
	{ "nearest", GQ_X_NEAREST, 0, 2, 2 },	{ "search", GQ_X_SEARCH, 0, 2, 2 },
	{ "fuzzy", GQ_X_FUZZY, 0, 2, 3 },	{ "match_text", GQ_X_MATCH_TEXT, 0, 2, 2 },
	{ "bm25", GQ_X_BM25, 0, 2, 2 },		{ "rrf", GQ_X_RRF, 0, 2, 3 },
	{ "count", GQ_X_AGG, GQ_COUNT, 1, 1 },	{ "sum", GQ_X_AGG, GQ_SUM, 1, 1 },
	{ "avg", GQ_X_AGG, GQ_AVG, 1, 1 },	{ "min", GQ_X_AGG, GQ_MIN, 1, 1 },
	{ "max", GQ_X_AGG, GQ_MAX, 1, 1 },
};

/* One argument; some positions take less than any expression. */
static int parse_arg(struct gq_parser *p, const struct call *c, unsigned i, unsigned depth, struct gq_expr **out)
{
	if (c->kind == GQ_X_NEAREST && i == 0)
		return var_expr(p, true, out);
	if (c->kind == GQ_X_RRF && i < 2 && !at_call(p, "nearest") && !at_call(p, "bm25"))
		return gq_expected(p, "nearest(...) or bm25(...)");
	return gq_parse_expr(p, depth + 1, out);
}

static int call_expr(struct gq_parser *p, const struct call *c, unsigned depth, struct gq_expr **out)
{
	struct gq_expr *x = new_expr(p, c->kind);
	int rc;

	if (!x)
		return OG_ERR_NOMEM;
	if (depth >= GQ_MAX_DEPTH)
		return gq_expected(p, "less deeply nested calls");
	*out = x;
	x->agg = c->agg;
	gq_lex_next(&p->lex);
	if ((rc = gq_expect_punct(p, "(")) < 0)
		return rc;
	while (x->nargs < c->max) {
		if (x->nargs >= c->min && !gq_at_punct(p, ","))
			break;
		if (x->nargs > 0 && (rc = gq_expect_punct(p, ",")) < 0)
			return rc;
		if ((rc = parse_arg(p, c, x->nargs, depth, &x->args[x->nargs])) < 0)
			return rc;
		x->nargs++;
	}
	return gq_expect_punct(p, ")");
}

int gq_parse_expr(struct gq_parser *p, unsigned depth, struct gq_expr **out)
{
	struct gq_expr *x;

	if (p->lex.tok.kind == GQ_T_VAR)
		return var_expr(p, false, out);
	if (at_call(p, "now"))
		return now_expr(p, out);
	for (size_t i = 0; i < OG_COUNT(calls); i++)
		if (at_call(p, calls[i].name))
			return call_expr(p, &calls[i], depth, out);
	if (at_literal(p))
		return literal_expr(p, out);
	if (p->lex.tok.kind != GQ_T_NAME)
		return gq_expected(p, "an expression");
	if (!(x = new_expr(p, GQ_X_ALIAS)))
		return OG_ERR_NOMEM;
	*out = x;
	return gq_expect_text(p, GQ_T_NAME, "a name", &x->name);
}

bool gq_parse_op(struct gq_parser *p, bool words, enum gq_op *out)
{
	static const struct {
		const char *text;
		enum gq_op op;
	} ops[] = {
		{ ">=", GQ_GE }, { "<=", GQ_LE }, { "!=", GQ_NE }, { ">", GQ_GT }, { "<", GQ_LT }, { "=", GQ_EQ },
	};

	for (size_t i = 0; i < OG_COUNT(ops); i++) {
		if (gq_accept_punct(p, ops[i].text)) {
			*out = ops[i].op;
			return true;
		}
	}
	if (words && (gq_at_word(p, "contains") || gq_at_word(p, "starts_with"))) {
		*out = gq_at_word(p, "contains") ? GQ_CONTAINS : GQ_STARTS_WITH;
		gq_lex_next(&p->lex);
		return true;
	}
	return false;
}
