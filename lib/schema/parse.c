/* The schema parser: recursive descent over the cursor of lex.h; no rule calls itself. */
#include "config.h"
#include "schema/parse.h"
#include "base/num.h"
#include "base/utf8.h"
#include "schema/lex.h"

#include <errno.h>
#include <stdlib.h>

enum pg_arg_kind { ARG_STRING, ARG_INT, ARG_FLOAT, ARG_BOOL, ARG_NAME, ARG_BOUND };

struct pg_arg {
	enum pg_arg_kind kind;
	struct og_slice text;
	struct og_bound min, max;
};

/* A list that grows in the arena. */
struct list {
	void *items;
	size_t n, cap;
};

static void *list_add(struct pg_lex *l, struct list *list, size_t size)
{
	void *p = og_arena_grow(l->arena, list->items, &list->cap, list->n + 1, size);

	if (!p) {
		og_arena_error(l->arena, l->err);
		return NULL;
	}
	list->items = p;
	p = (char *)p + list->n++ * size;
	memset(p, 0, size);
	return p;
}

const char *pg_kind_name(enum pg_decl_kind k)
{
	static const char *const names[] = { "interface", "node", "edge" };

	return names[k];
}

/* Decimal digits into 32 bits. */
static bool to_u32(struct og_slice text, uint32_t *out)
{
	uint64_t v;

	if (!og_parse_u64(text, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* A bound is an integer unless it has a dot or does not fit 64 bits. */
static struct og_bound to_bound(struct og_slice text, bool is_float)
{
	struct og_bound b = { .kind = OG_BOUND_INT };
	char buf[64], *big;

	if (!is_float && og_parse_i64(text, &b.i))
		return b;
	b.kind = OG_BOUND_FLOAT;
	/* Leading zeros are legal here and not in JSON, so strtod reads it: the locale is "C" in every program. */
	if (text.len < sizeof(buf)) {
		memcpy(buf, text.p, text.len);
		buf[text.len] = '\0';
		b.f = strtod(buf, NULL);
	} else if ((big = strndup(text.p, text.len))) {
		b.f = strtod(big, NULL);
		free(big);
	}
	return b;
}

/* 1 and *out, 0 without a literal, negative without memory. */
static int parse_literal(struct pg_lex *l, struct pg_arg *out)
{
	bool is_float;
	size_t save;
	int rc = pg_string(l, &out->text);

	if (rc != 0) {
		out->kind = ARG_STRING;
		return rc;
	}
	if (pg_number(l, false, &out->text, &is_float)) {
		out->kind = is_float ? ARG_FLOAT : ARG_INT;
		return 1;
	}
	save = l->pos;
	if (pg_name(l, &out->text) && (og_slice_is(out->text, "true") || og_slice_is(out->text, "false"))) {
		out->kind = ARG_BOOL;
		return 1;
	}
	l->pos = save;
	return 0;
}

static enum og_annotation_arg annotation_arg(enum pg_arg_kind k)
{
	switch (k) {
	case ARG_STRING:
		return OG_ANN_STRING;
	case ARG_INT:
		return OG_ANN_INT;
	case ARG_FLOAT:
		return OG_ANN_FLOAT;
	case ARG_BOOL:
		return OG_ANN_BOOL;
	case ARG_NAME:
		return OG_ANN_NAME;
	case ARG_BOUND:
		break;
	}
	return OG_ANN_NONE;
}

/* { "," NAME "=" literal } */
static int parse_keywords(struct pg_lex *l, struct og_annotation *ann)
{
	struct list kws = { 0 };
	struct og_annotation_kw *kw;
	struct pg_arg arg = { 0 };
	int rc;

	while (pg_accept(l, ",")) {
		if (!(kw = list_add(l, &kws, sizeof(*kw))))
			return OG_ERR_NOMEM;
		if (!pg_name(l, &kw->name))
			return pg_expected(l, "a keyword argument");
		if (pg_expect(l, "=") < 0)
			return OG_ERR_BAD;
		if ((rc = parse_literal(l, &arg)) < 0)
			return rc;
		if (rc == 0)
			return pg_expected(l, "a literal");
		kw->arg = annotation_arg(arg.kind);
		kw->text = arg.text;
	}
	ann->kws = kws.items;
	ann->nkws = (uint32_t)kws.n;
	return 0;
}

static int parse_annotation(struct pg_lex *l, struct og_annotation *ann)
{
	struct pg_arg arg = { 0 };
	int rc;

	ann->byte = (uint32_t)l->pos;
	if (pg_expect(l, "@") < 0)
		return OG_ERR_BAD;
	if (!pg_name(l, &ann->name))
		return pg_expected(l, "an annotation name");
	if (!pg_accept(l, "("))
		return 0;
	if ((rc = parse_literal(l, &arg)) < 0)
		return rc;
	if (rc == 0) {
		arg.kind = ARG_NAME;
		if (!pg_name(l, &arg.text))
			return pg_expected(l, "a literal or a name");
	}
	ann->arg = annotation_arg(arg.kind);
	ann->text = arg.text;
	if ((rc = parse_keywords(l, ann)) < 0)
		return rc;
	return pg_expect(l, ")");
}

/* { annotation }: stops before what starts a constraint. */
static int parse_annotations(struct pg_lex *l, struct og_annotation **out, size_t *n)
{
	struct list anns = { 0 };
	struct og_annotation *ann;
	int rc;

	for (;;) {
		pg_skip(l);
		if (l->pos == l->src.len || l->src.p[l->pos] != '@' || pg_at_constraint(l))
			break;
		if (!(ann = list_add(l, &anns, sizeof(*ann))))
			return OG_ERR_NOMEM;
		if ((rc = parse_annotation(l, ann)) < 0)
			return rc;
	}
	*out = anns.items;
	*n = anns.n;
	return 0;
}

static bool parse_scalar(struct pg_lex *l, struct og_proptype *t)
{
	/* DateTime before Date: blanks are optional, so the longer name must be tried first. */
	static const struct {
		const char *name;
		enum og_scalar scalar;
	} scalars[] = {
		{ "String", OG_STRING }, { "Bool", OG_BOOL }, { "I32", OG_I32 },	   { "I64", OG_I64 },
		{ "U32", OG_U32 },	 { "U64", OG_U64 },   { "F32", OG_F32 },	   { "F64", OG_F64 },
		{ "DateTime", OG_DATETIME }, { "Date", OG_DATE }, { "Blob", OG_BLOB },
	};

	for (size_t i = 0; i < OG_COUNT(scalars); i++) {
		if (!pg_accept(l, scalars[i].name))
			continue;
		t->scalar = scalars[i].scalar;
		return true;
	}
	return false;
}

static int parse_vector(struct pg_lex *l, struct og_proptype *t)
{
	struct og_slice text;
	size_t at;

	t->scalar = OG_VECTOR;
	if (pg_expect(l, "(") < 0)
		return OG_ERR_BAD;
	pg_skip(l);
	at = l->pos;
	if (!pg_int(l, &text))
		return pg_expected(l, "a dimension");
	if (!to_u32(text, &t->dim))
		pg_note(l, at, "invalid Vector dimension: number too large to fit in target type");
	else if (t->dim == 0)
		pg_note(l, at, "Vector dimension must be greater than zero");
	else if (t->dim > INT32_MAX)
		pg_note(l, at, "Vector dimension %u exceeds maximum supported 2147483647", t->dim);
	return pg_expect(l, ")");
}

static int by_bytes(const void *a, const void *b)
{
	return og_slice_cmp(*(const struct og_slice *)a, *(const struct og_slice *)b);
}

static int parse_enum(struct pg_lex *l, struct og_proptype *t)
{
	struct list values = { 0 };
	struct og_slice *v;
	size_t at;

	t->scalar = OG_STRING;
	if (pg_expect(l, "(") < 0)
		return OG_ERR_BAD;
	at = l->pos;
	do {
		if (!(v = list_add(l, &values, sizeof(*v))))
			return OG_ERR_NOMEM;
		if (!pg_enum_value(l, v))
			return pg_expected(l, "an enum value");
	} while (pg_accept(l, ","));
	v = values.items;
	qsort(v, values.n, sizeof(*v), by_bytes);
	for (size_t i = 1; i < values.n; i++)
		if (og_slice_eq(v[i - 1], v[i]))
			pg_note(l, at, "enum type cannot include duplicate values");
	t->enums = v;
	t->nenum = (uint32_t)values.n;
	return pg_expect(l, ")");
}

static int parse_type(struct pg_lex *l, struct og_proptype *t)
{
	size_t at;
	int rc = 0;

	pg_skip(l);
	at = l->pos;
	if (pg_accept(l, "[")) {
		if (!parse_scalar(l, t))
			return pg_expected(l, "a scalar type");
		t->list = true;
		if (t->scalar == OG_BLOB)
			pg_note(l, at, "list of Blob is not supported");
		rc = pg_expect(l, "]");
	} else if (pg_accept(l, "Vector")) {
		rc = parse_vector(l, t);
	} else if (pg_accept(l, "enum")) {
		rc = parse_enum(l, t);
	} else if (!parse_scalar(l, t)) {
		return pg_expected(l, "a property type");
	}
	if (rc < 0)
		return rc;
	t->nullable = pg_accept(l, "?");
	return 0;
}

static int parse_property(struct pg_lex *l, struct pg_prop *p)
{
	int rc;

	pg_skip(l);
	p->byte = l->pos;
	if (!pg_name(l, &p->name))
		return pg_expected(l, "a property name");
	if (pg_expect(l, ":") < 0)
		return OG_ERR_BAD;
	if ((rc = parse_type(l, &p->type)) < 0)
		return rc;
	return parse_annotations(l, &p->annotations, &p->nannotations);
}

/* bound = SNUM ".." [ SNUM ] | ".." SNUM. 1 and *out, 0 if none stands here, negative on a syntax error. */
static int parse_bound(struct pg_lex *l, struct pg_arg *out)
{
	struct og_slice text;
	bool is_float;
	size_t save;

	pg_skip(l);
	save = l->pos;
	out->kind = ARG_BOUND;
	if (pg_number(l, true, &text, &is_float)) {
		if (!pg_accept(l, "..")) {
			l->pos = save;
			return 0;
		}
		out->min = to_bound(text, is_float);
		if (pg_number(l, true, &text, &is_float))
			out->max = to_bound(text, is_float);
		return 1;
	}
	if (!pg_accept(l, ".."))
		return 0;
	if (!pg_number(l, true, &text, &is_float))
		return pg_expected(l, "a number");
	/* A lone upper bound has always been read as the lower one; schemas in use rely on nothing else. */
	out->min = to_bound(text, is_float);
	return 1;
}

static int parse_carg(struct pg_lex *l, struct pg_arg *out)
{
	int rc = parse_bound(l, out);

	if (rc == 0)
		rc = parse_literal(l, out);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	out->kind = ARG_NAME;
	if (!pg_name(l, &out->text))
		return pg_expected(l, "a name, a literal or bounds");
	return 0;
}

/* The arguments of one constraint become its columns, bounds or pattern; faults are noted. */
static int convert_constraint(struct pg_lex *l, struct pg_constraint *c, const struct pg_arg *args, size_t n)
{
	bool two = c->kind == OG_C_RANGE || c->kind == OG_C_CHECK;

	c->ncols = two ? 1 : n;
	if (two && n < 2)
		pg_note(l, c->byte, "%s", c->kind == OG_C_RANGE ?
			"@range requires property name and bounds: @range(prop, min..max)" :
			"@check requires property name and pattern: @check(prop, \"regex\")");
	c->cols = og_arena_array(l->arena, c->ncols, sizeof(*c->cols));
	if (!c->cols)
		return og_arena_error(l->arena, l->err);
	for (size_t i = 0; i < c->ncols; i++) {
		if (args[i].kind != ARG_NAME)
			pg_note(l, c->byte, "expected property name in constraint");
		c->cols[i] = args[i].text;
	}
	if (!two || n < 2)
		return 0;
	if (c->kind == OG_C_RANGE && args[1].kind != ARG_BOUND)
		pg_note(l, c->byte, "expected range bounds (min..max) in @range constraint");
	if (c->kind == OG_C_CHECK && args[1].kind != ARG_STRING)
		pg_note(l, c->byte, "expected string argument in constraint");
	c->min = args[1].min;
	c->max = args[1].max;
	c->pattern = args[1].text;
	return 0;
}

static int parse_constraint(struct pg_lex *l, struct pg_constraint *c)
{
	static const char *const names[] = {
		[OG_C_KEY] = "key",	[OG_C_UNIQUE] = "unique", [OG_C_INDEX] = "index",
		[OG_C_RANGE] = "range", [OG_C_CHECK] = "check",
	};
	struct list args = { 0 };
	struct pg_arg *arg;
	struct og_slice name;
	int rc;

	/* pg_at_constraint has seen '@', one of the names and '('. */
	pg_skip(l);
	c->byte = l->pos;
	if (!pg_accept(l, "@") || !pg_name(l, &name) || !pg_accept(l, "("))
		return pg_expected(l, "a constraint");
	for (size_t i = 0; i < OG_COUNT(names); i++)
		if (og_slice_is(name, names[i]))
			c->kind = (enum og_constraint_kind)i;
	do {
		if (!(arg = list_add(l, &args, sizeof(*arg))))
			return OG_ERR_NOMEM;
		if ((rc = parse_carg(l, arg)) < 0)
			return rc;
	} while (pg_accept(l, ","));
	if (pg_expect(l, ")") < 0)
		return OG_ERR_BAD;
	return convert_constraint(l, c, args.items, args.n);
}

/* "{" { property | constraint } "}"; an interface has no constraints. */
static int parse_body(struct pg_lex *l, struct pg_decl *d)
{
	struct list props = { 0 }, constraints = { 0 };
	struct pg_constraint *c;
	struct pg_prop *p;
	int rc;

	if (pg_expect(l, "{") < 0)
		return OG_ERR_BAD;
	while (!pg_accept(l, "}")) {
		if (d->kind != PG_INTERFACE && pg_at_constraint(l)) {
			if (!(c = list_add(l, &constraints, sizeof(*c))))
				return OG_ERR_NOMEM;
			rc = parse_constraint(l, c);
		} else {
			if (l->pos == l->src.len || l->src.p[l->pos] == '@')
				return pg_expected(l, d->kind == PG_INTERFACE ? "a property or `}`" :
							"a property, a constraint or `}`");
			if (!(p = list_add(l, &props, sizeof(*p))))
				return OG_ERR_NOMEM;
			rc = parse_property(l, p);
		}
		if (rc < 0)
			return rc;
	}
	d->props = props.items;
	d->nprops = props.n;
	d->constraints = constraints.items;
	d->nconstraints = constraints.n;
	return 0;
}

static int parse_implements(struct pg_lex *l, struct pg_decl *d)
{
	struct list names = { 0 };
	struct og_slice *name;

	if (!pg_accept(l, "implements"))
		return 0;
	do {
		if (!(name = list_add(l, &names, sizeof(*name))))
			return OG_ERR_NOMEM;
		if (!pg_type_name(l, name))
			return pg_expected(l, "an interface name");
	} while (pg_accept(l, ","));
	d->implements = names.items;
	d->nimplements = names.n;
	return 0;
}

/* "@card" "(" INT ".." [ INT ] ")"; anything else behind "@card" is an ordinary annotation. */
static int parse_card(struct pg_lex *l, struct pg_decl *d)
{
	struct og_slice name, min = { 0 }, max = { 0 };
	size_t at;
	bool open;

	d->card_max = UINT32_MAX;
	if (!pg_at_card(l))
		return 0;
	pg_skip(l);
	at = l->pos;
	if (!pg_accept(l, "@") || !pg_name(l, &name) || !pg_accept(l, "(") || !pg_int(l, &min) || !pg_accept(l, ".."))
		return pg_expected(l, "a cardinality");
	open = !pg_int(l, &max);
	if (pg_expect(l, ")") < 0)
		return OG_ERR_BAD;
	d->has_card = true;
	if (!to_u32(min, &d->card_min))
		pg_note(l, at, "invalid cardinality min: %.*s", OG_FMT(min));
	else if (!open && !to_u32(max, &d->card_max))
		pg_note(l, at, "invalid cardinality max: %.*s", OG_FMT(max));
	else if (!open && d->card_min > d->card_max)
		pg_note(l, at, "cardinality min (%u) exceeds max (%u)", d->card_min, d->card_max);
	return 0;
}

static int parse_node(struct pg_lex *l, struct pg_decl *d)
{
	int rc;

	if ((rc = parse_annotations(l, &d->annotations, &d->nannotations)) < 0 || (rc = parse_implements(l, d)) < 0)
		return rc;
	return parse_body(l, d);
}

static int parse_edge(struct pg_lex *l, struct pg_decl *d)
{
	int rc;

	if (pg_expect(l, ":") < 0)
		return OG_ERR_BAD;
	if (!pg_type_name(l, &d->src))
		return pg_expected(l, "a source type name");
	if (pg_expect(l, "->") < 0)
		return OG_ERR_BAD;
	if (!pg_type_name(l, &d->dst))
		return pg_expected(l, "a target type name");
	if ((rc = parse_card(l, d)) < 0 || (rc = parse_annotations(l, &d->annotations, &d->nannotations)) < 0)
		return rc;
	pg_skip(l);
	if (l->pos < l->src.len && l->src.p[l->pos] == '{')
		return parse_body(l, d);
	return 0;
}

static int parse_decl(struct pg_lex *l, struct pg_decl *d)
{
	d->byte = l->pos;
	if (pg_accept(l, "interface"))
		d->kind = PG_INTERFACE;
	else if (pg_accept(l, "node"))
		d->kind = PG_NODE;
	else if (pg_accept(l, "edge"))
		d->kind = PG_EDGE;
	else
		return pg_expected(l, "`interface`, `node` or `edge`");
	if (!pg_type_name(l, &d->name))
		return pg_expected(l, "a type name");
	if (d->kind == PG_INTERFACE)
		return parse_body(l, d);
	return d->kind == PG_NODE ? parse_node(l, d) : parse_edge(l, d);
}

int pg_parse(struct og_arena *a, struct og_slice src, struct pg_file *out, struct og_error *err)
{
	struct pg_lex l = { .src = src, .arena = a, .err = err };
	struct list decls = { 0 };
	struct pg_decl *d;
	size_t good = og_utf8_check(src);
	int rc;

	if (src.len > UINT32_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "schema source is larger than 4 GiB");
	if (good < src.len)
		return og_error_at(err, OG_ERR_BAD, good, "parse error: invalid UTF-8 at byte %zu", good);
	while (!pg_end(&l)) {
		if (!(d = list_add(&l, &decls, sizeof(*d))))
			return OG_ERR_NOMEM;
		if ((rc = parse_decl(&l, d)) < 0)
			return rc;
	}
	if (l.conv.code) {
		*err = l.conv;
		return err->code;
	}
	out->decls = decls.items;
	out->ndecls = decls.n;
	return 0;
}
