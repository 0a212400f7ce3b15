/* The query parser: files, headers of queries, mutations, and what its other files share. */
#include "config.h"
#include "gq/gq.h"
#include "base/excerpt.h"
#include "base/num.h"
#include "base/utf8.h"
#include "gq/parse.h"

#include <stdarg.h>
#include <stdio.h>

int gq_nomem(struct gq_parser *p)
{
	og_arena_error(p->arena, p->err);
	return OG_ERR_NOMEM;
}

void *gq_list_add(struct gq_parser *p, struct gq_list *list, size_t size)
{
	void *items = og_arena_grow(p->arena, list->items, &list->cap, list->n + 1, size);
	char *item;

	if (!items) {
		gq_nomem(p);
		return NULL;
	}
	list->items = items;
	item = (char *)items + list->n++ * size;
	memset(item, 0, size);
	return item;
}

int gq_expected(struct gq_parser *p, const char *what)
{
	return og_error_excerpt(p->err, p->lex.src, p->lex.tok.begin, "parse error: ", what);
}

void gq_note(struct gq_parser *p, struct gq_pos pos, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (p->conv.code)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Clients know the prefix twice for everything but syntax. */
	og_error_set(&p->conv, OG_ERR_BAD, "parse error: parse error: %s", text);
	p->conv.pos = (struct og_pos){ .line = pos.line, .column = pos.column };
}

bool gq_at_punct(const struct gq_parser *p, const char *text)
{
	return gq_tok_is(&p->lex.tok, GQ_T_PUNCT, text);
}

bool gq_at_word(const struct gq_parser *p, const char *text)
{
	return gq_tok_is(&p->lex.tok, GQ_T_NAME, text);
}

bool gq_accept_punct(struct gq_parser *p, const char *text)
{
	if (!gq_at_punct(p, text))
		return false;
	gq_lex_next(&p->lex);
	return true;
}

bool gq_accept_word(struct gq_parser *p, const char *text)
{
	if (!gq_at_word(p, text))
		return false;
	gq_lex_next(&p->lex);
	return true;
}

static int expected_text(struct gq_parser *p, const char *text)
{
	char what[48];

	snprintf(what, sizeof(what), "`%s`", text);
	return gq_expected(p, what);
}

int gq_expect_punct(struct gq_parser *p, const char *text)
{
	return gq_accept_punct(p, text) ? 0 : expected_text(p, text);
}

int gq_expect_word(struct gq_parser *p, const char *text)
{
	return gq_accept_word(p, text) ? 0 : expected_text(p, text);
}

int gq_expect_text(struct gq_parser *p, enum gq_token_kind kind, const char *what, struct og_slice *out)
{
	if (p->lex.tok.kind != kind)
		return gq_expected(p, what);
	*out = p->lex.tok.text;
	gq_lex_next(&p->lex);
	return 0;
}

static int parse_base(struct gq_parser *p, struct og_proptype *t)
{
	static const enum og_scalar scalars[] = { OG_STRING, OG_BLOB, OG_BOOL, OG_I32,	    OG_I64, OG_U32,
						  OG_U64,    OG_F32,  OG_F64,  OG_DATETIME, OG_DATE };

	for (size_t i = 0; i < OG_COUNT(scalars); i++) {
		if (!gq_tok_is(&p->lex.tok, GQ_T_TYPE, og_scalar_name(scalars[i])))
			continue;
		t->scalar = scalars[i];
		gq_lex_next(&p->lex);
		return 0;
	}
	return gq_expected(p, "a parameter type");
}

static int parse_vector(struct gq_parser *p, struct gq_param *param)
{
	struct og_slice text;
	uint64_t dim;
	int rc;

	gq_lex_next(&p->lex);
	param->type.scalar = OG_VECTOR;
	if ((rc = gq_expect_punct(p, "(")) < 0 || (rc = gq_expect_text(p, GQ_T_INT, "a dimension", &text)) < 0)
		return rc;
	if (og_parse_u64(text, &dim) && dim > 0 && dim <= INT32_MAX)
		param->type.dim = (uint32_t)dim;
	else
		param->bad_dim = text;
	return gq_expect_punct(p, ")");
}

/* var ':' typeref */
static int parse_param(struct gq_parser *p, struct gq_param *param)
{
	int rc;

	param->pos = p->lex.tok.pos;
	if ((rc = gq_expect_text(p, GQ_T_VAR, "a parameter", &param->name)) < 0 || (rc = gq_expect_punct(p, ":")) < 0)
		return rc;
	if (gq_accept_punct(p, "[")) {
		param->type.list = true;
		if ((rc = parse_base(p, &param->type)) == 0)
			rc = gq_expect_punct(p, "]");
	} else if (gq_tok_is(&p->lex.tok, GQ_T_TYPE, "Vector")) {
		rc = parse_vector(p, param);
	} else {
		rc = parse_base(p, &param->type);
	}
	param->type.nullable = rc == 0 && gq_accept_punct(p, "?");
	return rc;
}

static int parse_params(struct gq_parser *p, struct gq_query *q)
{
	struct gq_list list = { 0 };
	struct gq_param *param;
	int rc;

	if ((rc = gq_expect_punct(p, "(")) < 0)
		return rc;
	if (gq_accept_punct(p, ")"))
		return 0;
	do {
		if (!(param = gq_list_add(p, &list, sizeof(*param))))
			return OG_ERR_NOMEM;
		if ((rc = parse_param(p, param)) < 0)
			return rc;
	} while (gq_accept_punct(p, ","));
	q->params = list.items;
	q->nparams = (uint32_t)list.n;
	return gq_expect_punct(p, ")");
}

static int parse_annotations(struct gq_parser *p, struct gq_query *q)
{
	struct og_slice *target;
	struct gq_pos pos;
	const char *name;
	int rc;

	for (;;) {
		pos = p->lex.tok.pos;
		if (!gq_accept_punct(p, "@"))
			return 0;
		name = gq_at_word(p, "description") ? "description" : "instruction";
		target = gq_at_word(p, "description") ? &q->description : &q->instruction;
		if (!gq_accept_word(p, name))
			return gq_expected(p, "`description` or `instruction`");
		if (target->p)
			gq_note(p, pos, "query `%.*s` cannot include duplicate @%s annotations", OG_FMT(q->name), name);
		if ((rc = gq_expect_punct(p, "(")) < 0 || (rc = gq_parse_string(p, target)) < 0 ||
		    (rc = gq_expect_punct(p, ")")) < 0)
			return rc;
	}
}

/* '{' assign { assign } '}' */
static int parse_assigns(struct gq_parser *p, struct gq_stmt *s)
{
	struct gq_list list = { 0 };
	struct gq_pmatch *a;
	int rc;

	if ((rc = gq_expect_punct(p, "{")) < 0)
		return rc;
	do {
		if (!(a = gq_list_add(p, &list, sizeof(*a))))
			return OG_ERR_NOMEM;
		if ((rc = gq_parse_assign(p, a)) < 0)
			return rc;
		gq_accept_punct(p, ",");
	} while (!gq_accept_punct(p, "}"));
	s->assigns = list.items;
	s->nassigns = (uint32_t)list.n;
	return 0;
}

static int parse_where(struct gq_parser *p, struct gq_stmt *s)
{
	int rc;

	if ((rc = gq_expect_word(p, "where")) < 0 ||
	    (rc = gq_expect_text(p, GQ_T_NAME, "a property name", &s->where_name)) < 0)
		return rc;
	if (!gq_parse_op(p, false, &s->op))
		return gq_expected(p, "a comparison operator");
	return gq_parse_value(p, &s->where_value);
}

static int parse_stmt(struct gq_parser *p, struct gq_stmt *s)
{
	int rc;

	s->pos = p->lex.tok.pos;
	if (gq_accept_word(p, "insert"))
		s->kind = GQ_INSERT;
	else if (gq_accept_word(p, "update"))
		s->kind = GQ_UPDATE;
	else if (gq_accept_word(p, "delete"))
		s->kind = GQ_DELETE;
	else
		return gq_expected(p, "`insert`, `update` or `delete`");
	if ((rc = gq_expect_text(p, GQ_T_TYPE, "a type name", &s->type_name)) < 0)
		return rc;
	switch (s->kind) {
	case GQ_INSERT:
		return parse_assigns(p, s);
	case GQ_UPDATE:
		if ((rc = gq_expect_word(p, "set")) < 0 || (rc = parse_assigns(p, s)) < 0)
			return rc;
		return parse_where(p, s);
	case GQ_DELETE:
		return parse_where(p, s);
	}
	return 0;
}

int gq_parse_mutation(struct gq_parser *p, struct gq_query *q)
{
	struct gq_list list = { 0 };
	bool writes = false, deletes = false;
	struct gq_stmt *s;
	int rc;

	do {
		if (!(s = gq_list_add(p, &list, sizeof(*s))))
			return OG_ERR_NOMEM;
		if ((rc = parse_stmt(p, s)) < 0)
			return rc;
		deletes |= s->kind == GQ_DELETE;
		writes |= s->kind != GQ_DELETE;
	} while (!gq_at_punct(p, "}"));
	q->is_mutation = true;
	q->mixes_deletes = deletes && writes;
	q->stmts = list.items;
	q->nstmts = (uint32_t)list.n;
	return 0;
}

static int parse_query(struct gq_parser *p, struct gq_query *q)
{
	size_t begin = p->lex.tok.begin, end;
	int rc;

	q->pos = p->lex.tok.pos;
	if ((rc = gq_expect_word(p, "query")) < 0 || (rc = gq_expect_text(p, GQ_T_NAME, "a query name", &q->name)) < 0 ||
	    (rc = parse_params(p, q)) < 0 || (rc = parse_annotations(p, q)) < 0 || (rc = gq_expect_punct(p, "{")) < 0)
		return rc;
	if (gq_at_word(p, "insert") || gq_at_word(p, "update") || gq_at_word(p, "delete"))
		rc = gq_parse_mutation(p, q);
	else if (gq_at_word(p, "match"))
		rc = gq_parse_read(p, &q->read);
	else
		rc = gq_expected(p, "`match`, `insert`, `update` or `delete`");
	if (rc < 0)
		return rc;
	end = p->lex.tok.end;
	if ((rc = gq_expect_punct(p, "}")) < 0)
		return rc;
	q->source = og_slice(p->lex.src.p + begin, end - begin);
	return 0;
}

int gq_parse(struct og_arena *a, struct og_slice source, struct gq_file *out, struct og_error *err)
{
	struct gq_parser p = { .arena = a, .err = err };
	struct gq_list list = { 0 };
	struct gq_query *q;
	size_t good = og_utf8_check(source);
	int rc;

	if (good < source.len)
		return og_error_at(err, OG_ERR_BAD, good, "parse error: invalid UTF-8 at byte %zu", good);
	source = og_arena_slice(a, source);
	if (!source.p)
		return og_arena_error(a, err);
	gq_lex_init(&p.lex, source);
	while (p.lex.tok.kind != GQ_T_END) {
		if (!(q = gq_list_add(&p, &list, sizeof(*q))))
			return OG_ERR_NOMEM;
		if ((rc = parse_query(&p, q)) < 0)
			return rc;
	}
	if (p.conv.code) {
		*err = p.conv;
		return err->code;
	}
	out->queries = list.items;
	out->nqueries = (uint32_t)list.n;
	return 0;
}

int gq_select(struct gq_file *f, struct og_slice name, struct gq_query **out, struct og_error *err)
{
	if (!name.p) {
		if (f->nqueries != 1)
			return og_error_set(err, OG_ERR_BAD, "query file contains multiple queries; pass --name");
		*out = &f->queries[0];
		return 0;
	}
	for (uint32_t i = 0; i < f->nqueries; i++) {
		if (og_slice_eq(f->queries[i].name, name)) {
			*out = &f->queries[i];
			return 0;
		}
	}
	return og_error_set(err, OG_ERR_BAD, "query '%.*s' not found", OG_FMT(name));
}
