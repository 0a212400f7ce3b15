/* Bodies of queries: match, return, order, limit. */
#include "config.h"
#include "gq/parse.h"
#include "base/num.h"

int gq_parse_assign(struct gq_parser *p, struct gq_pmatch *out)
{
	int rc;

	out->pos = p->lex.tok.pos;
	if ((rc = gq_expect_text(p, GQ_T_NAME, "a property name", &out->name)) < 0 || (rc = gq_expect_punct(p, ":")) < 0)
		return rc;
	return gq_parse_value(p, &out->value);
}

/* '{' pmatch { ',' pmatch } [ ',' ] '}' */
static int parse_matches(struct gq_parser *p, struct gq_clause *c)
{
	struct gq_list list = { 0 };
	struct gq_pmatch *m;
	int rc;

	do {
		if (list.n > 0 && gq_at_punct(p, "}"))
			break;
		if (!(m = gq_list_add(p, &list, sizeof(*m))))
			return OG_ERR_NOMEM;
		if ((rc = gq_parse_assign(p, m)) < 0)
			return rc;
	} while (gq_accept_punct(p, ","));
	c->matches = list.items;
	c->nmatches = (uint32_t)list.n;
	return gq_expect_punct(p, "}");
}

/* The current token is the variable, ':' and a type name follow. */
static int parse_binding(struct gq_parser *p, struct gq_clause *c)
{
	int rc;

	c->kind = GQ_BINDING;
	if ((rc = gq_expect_text(p, GQ_T_VAR, "a variable", &c->var_name)) < 0 || (rc = gq_expect_punct(p, ":")) < 0 ||
	    (rc = gq_expect_text(p, GQ_T_TYPE, "a type name", &c->type_name)) < 0)
		return rc;
	return gq_accept_punct(p, "{") ? parse_matches(p, c) : 0;
}

static int parse_hops(struct gq_parser *p, const char *what, uint32_t *out)
{
	struct gq_pos pos = p->lex.tok.pos;
	struct og_slice text;
	uint64_t n;
	int rc;

	if ((rc = gq_expect_text(p, GQ_T_INT, "a number of hops", &text)) < 0)
		return rc;
	if (!og_parse_u64(text, &n) || n > UINT32_MAX)
		gq_note(p, pos, "invalid traversal %s bound: number too large to fit in target type", what);
	else
		*out = (uint32_t)n;
	return 0;
}

static bool is_not_word(struct og_slice name)
{
	return og_slice_is(name, "not") || og_slice_starts(name, OG_SLICE("not_"));
}

static int parse_edge_word(struct gq_parser *p, struct gq_clause *c)
{
	int rc;

	c->undirected = gq_accept_punct(p, "<");
	if (p->lex.tok.kind == GQ_T_NAME && is_not_word(p->lex.tok.text))
		return gq_expected(p, "an edge name");
	if ((rc = gq_expect_text(p, GQ_T_NAME, "an edge name", &c->edge_name)) < 0)
		return rc;
	return c->undirected ? gq_expect_punct(p, ">") : 0;
}

/* var [ var ':' ] edgeword [ '{' integer ',' [ integer ] '}' ] var */
static int parse_traversal(struct gq_parser *p, struct gq_clause *c)
{
	int rc;

	c->kind = GQ_TRAVERSAL;
	c->min = c->max = 1;
	if ((rc = gq_expect_text(p, GQ_T_VAR, "a variable", &c->left_name)) < 0)
		return rc;
	if (p->lex.tok.kind == GQ_T_VAR) {
		c->has_edge_var = true;
		if ((rc = gq_expect_text(p, GQ_T_VAR, "a variable", &c->edge_var_name)) < 0 ||
		    (rc = gq_expect_punct(p, ":")) < 0)
			return rc;
	}
	if ((rc = parse_edge_word(p, c)) < 0)
		return rc;
	if (gq_accept_punct(p, "{")) {
		c->has_bounds = true;
		if ((rc = parse_hops(p, "min", &c->min)) < 0 || (rc = gq_expect_punct(p, ",")) < 0)
			return rc;
		c->no_max = gq_at_punct(p, "}");
		if ((!c->no_max && (rc = parse_hops(p, "max", &c->max)) < 0) || (rc = gq_expect_punct(p, "}")) < 0)
			return rc;
	}
	if ((rc = gq_expect_text(p, GQ_T_VAR, "a variable", &c->right_name)) < 0)
		return rc;
	c->left_anon = og_slice_is(c->left_name, "_");
	c->right_anon = og_slice_is(c->right_name, "_");
	return 0;
}

static bool is_search(const struct gq_expr *x)
{
	return x->kind == GQ_X_SEARCH || x->kind == GQ_X_FUZZY || x->kind == GQ_X_MATCH_TEXT;
}

static int parse_filter(struct gq_parser *p, struct gq_clause *c)
{
	int rc;

	if ((rc = gq_parse_expr(p, 0, &c->lhs)) < 0)
		return rc;
	if (gq_parse_op(p, true, &c->op)) {
		c->kind = GQ_FILTER;
		return gq_parse_expr(p, 0, &c->rhs);
	}
	if (!is_search(c->lhs))
		return gq_expected(p, "a comparison operator");
	c->kind = GQ_SEARCH_CLAUSE;
	return 0;
}

/* What follows a variable at the start of a clause decides what the clause is. */
static enum gq_clause_kind after_variable(const struct gq_parser *p)
{
	struct gq_token one = gq_lex_peek(&p->lex, 1), two, three;

	if (one.kind == GQ_T_NAME || one.kind == GQ_T_VAR)
		return GQ_TRAVERSAL;
	if (gq_tok_is(&one, GQ_T_PUNCT, ":"))
		return GQ_BINDING;
	if (gq_tok_is(&one, GQ_T_PUNCT, "<")) {
		two = gq_lex_peek(&p->lex, 2);
		three = gq_lex_peek(&p->lex, 3);
		if (two.kind == GQ_T_NAME && gq_tok_is(&three, GQ_T_PUNCT, ">"))
			return GQ_TRAVERSAL;
	}
	return GQ_FILTER;
}

static int parse_clauses(struct gq_parser *p, unsigned depth, struct gq_clause **out, uint32_t *n);

static int parse_clause(struct gq_parser *p, unsigned depth, struct gq_clause *c)
{
	struct gq_token next = gq_lex_peek(&p->lex, 1);

	c->pos = p->lex.tok.pos;
	c->var = c->left = c->right = c->edge_var = -1;
	if (gq_at_word(p, "not") && gq_tok_is(&next, GQ_T_PUNCT, "{")) {
		if (depth >= GQ_MAX_DEPTH)
			return gq_expected(p, "less deeply nested `not` blocks");
		c->kind = GQ_NOT;
		gq_lex_next(&p->lex);
		return parse_clauses(p, depth + 1, &c->inner, &c->ninner);
	}
	if (p->lex.tok.kind != GQ_T_VAR)
		return parse_filter(p, c);
	switch (after_variable(p)) {
	case GQ_BINDING:
		return parse_binding(p, c);
	case GQ_TRAVERSAL:
		return parse_traversal(p, c);
	case GQ_FILTER:
	case GQ_NOT:
	case GQ_SEARCH_CLAUSE:
		break;
	}
	return parse_filter(p, c);
}

/* '{' clause { clause } '}' */
static int parse_clauses(struct gq_parser *p, unsigned depth, struct gq_clause **out, uint32_t *n)
{
	struct gq_list list = { 0 };
	struct gq_clause *c;
	int rc;

	if ((rc = gq_expect_punct(p, "{")) < 0)
		return rc;
	do {
		if (!(c = gq_list_add(p, &list, sizeof(*c))))
			return OG_ERR_NOMEM;
		if ((rc = parse_clause(p, depth, c)) < 0)
			return rc;
	} while (!gq_accept_punct(p, "}"));
	*out = list.items;
	*n = (uint32_t)list.n;
	return 0;
}

static int parse_item(struct gq_parser *p, struct gq_item *item)
{
	struct gq_token next;
	int rc;

	item->pos = p->lex.tok.pos;
	if ((rc = gq_parse_expr(p, 0, &item->expr)) < 0)
		return rc;
	next = gq_lex_peek(&p->lex, 1);
	if (gq_at_word(p, "as") && next.kind == GQ_T_NAME) {
		gq_lex_next(&p->lex);
		item->alias = p->lex.tok.text;
		gq_lex_next(&p->lex);
	}
	gq_accept_punct(p, ",");
	return 0;
}

static int parse_return(struct gq_parser *p, struct gq_read *r)
{
	struct gq_list list = { 0 };
	struct gq_item *item;
	int rc;

	if ((rc = gq_expect_word(p, "return")) < 0 || (rc = gq_expect_punct(p, "{")) < 0)
		return rc;
	do {
		if (!(item = gq_list_add(p, &list, sizeof(*item))))
			return OG_ERR_NOMEM;
		if ((rc = parse_item(p, item)) < 0)
			return rc;
	} while (!gq_accept_punct(p, "}"));
	r->items = list.items;
	r->nitems = (uint32_t)list.n;
	return 0;
}

static int parse_order(struct gq_parser *p, struct gq_read *r)
{
	struct gq_list list = { 0 };
	struct gq_key *key;
	int rc;

	if ((rc = gq_expect_punct(p, "{")) < 0)
		return rc;
	do {
		if (!(key = gq_list_add(p, &list, sizeof(*key))))
			return OG_ERR_NOMEM;
		if ((rc = gq_parse_expr(p, 0, &key->expr)) < 0)
			return rc;
		key->has_dir = gq_at_word(p, "asc") || gq_at_word(p, "desc");
		key->desc = gq_at_word(p, "desc");
		if (key->has_dir)
			gq_lex_next(&p->lex);
	} while (gq_accept_punct(p, ","));
	r->keys = list.items;
	r->nkeys = (uint32_t)list.n;
	return gq_expect_punct(p, "}");
}

static int parse_limit(struct gq_parser *p, struct gq_read *r)
{
	struct gq_pos pos = p->lex.tok.pos;
	struct og_slice text;
	int rc;

	if ((rc = gq_expect_text(p, GQ_T_INT, "a number", &text)) < 0)
		return rc;
	r->has_limit = true;
	if (!og_parse_u64(text, &r->limit))
		gq_note(p, pos, "invalid limit: number too large to fit in target type");
	return 0;
}

int gq_parse_read(struct gq_parser *p, struct gq_read *r)
{
	int rc;

	if ((rc = gq_expect_word(p, "match")) < 0 || (rc = parse_clauses(p, 0, &r->clauses, &r->nclauses)) < 0 ||
	    (rc = parse_return(p, r)) < 0)
		return rc;
	if (gq_accept_word(p, "order") && (rc = parse_order(p, r)) < 0)
		return rc;
	return gq_accept_word(p, "limit") ? parse_limit(p, r) : 0;
}
