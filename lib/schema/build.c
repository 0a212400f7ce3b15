/* From checked declarations to the types of a catalog. */
#include "config.h"
#include "schema/build.h"
#include "base/buf.h"
#include "base/num.h"
#include "schema/checks.h"

#include <inttypes.h>
#include <stdlib.h>

static int by_prop_name(const void *a, const void *b)
{
	return og_slice_cmp(((const struct og_property *)a)->name, ((const struct og_property *)b)->name);
}

static int by_interface_name(const void *a, const void *b)
{
	return og_slice_cmp(((const struct og_interface *)a)->name, ((const struct og_interface *)b)->name);
}

static int by_table_key(const void *a, const void *b)
{
	return og_slice_cmp(((const struct og_type *)a)->table_key, ((const struct og_type *)b)->table_key);
}

/* The key comes last, whatever its text. */
static int by_key_text(const void *a, const void *b)
{
	const struct og_constraint *x = a, *y = b;

	if ((x->kind == OG_C_KEY) != (y->kind == OG_C_KEY))
		return x->kind == OG_C_KEY ? 1 : -1;
	return og_slice_cmp(x->key_text, y->key_text);
}

static int nomem(struct og_catalog *c, struct og_error *err)
{
	return og_arena_error(&c->arena, err);
}

static int build_props(struct og_catalog *c, const struct pg_decl *d, struct og_property **out, struct og_error *err)
{
	struct og_property *props = og_arena_array(&c->arena, d->nprops + 1, sizeof(*props));

	if (!props)
		return nomem(c, err);
	for (size_t i = 0; i < d->nprops; i++) {
		props[i].name = d->props[i].name;
		props[i].type = d->props[i].type;
		props[i].embed_source = -1;
		props[i].annotations = d->props[i].annotations;
		props[i].nannotations = (uint32_t)d->props[i].nannotations;
	}
	qsort(props, d->nprops, sizeof(*props), by_prop_name);
	for (size_t i = 0; i < d->nprops; i++) {
		props[i].index = (uint32_t)i;
		props[i].id = OG_PROP_FIRST + (uint32_t)i;
	}
	*out = props;
	return 0;
}

static void link_embeds(struct og_type *t)
{
	for (uint32_t i = 0; i < t->nprops; i++) {
		struct og_property *p = &t->props[i];
		const struct og_annotation *ann = pg_find_annotation(p->annotations, p->nannotations, "embed");
		const struct og_property *src = ann && t->kind == OG_NODE ? og_type_property(t, ann->text) : NULL;

		if (!src)
			continue;
		p->embed_source = (int32_t)src->index;
		for (uint32_t j = 0; j < ann->nkws; j++)
			if (og_slice_is(ann->kws[j].name, "model"))
				p->embed_model = ann->kws[j].text;
	}
}

static struct og_slice col_name(const struct og_type *t, int32_t col)
{
	if (col == OG_COL_SRC)
		return OG_SLICE("src");
	return col == OG_COL_DST ? OG_SLICE("dst") : t->props[col].name;
}

static int32_t col_find(const struct og_type *t, struct og_slice name)
{
	const struct og_property *p = og_type_property(t, name);

	if (p)
		return (int32_t)p->index;
	return og_slice_is(name, "src") ? OG_COL_SRC : OG_COL_DST;
}

static void put_bound(struct og_buf *b, const struct og_bound *bound)
{
	char text[40];
	size_t n;

	switch (bound->kind) {
	case OG_BOUND_NONE:
		og_buf_str(b, ":None");
		return;
	case OG_BOUND_INT:
		og_buf_printf(b, ":Some(Integer(%" PRId64 "))", bound->i);
		return;
	case OG_BOUND_FLOAT:
		break;
	}
	n = og_double_json(bound->f, text);
	og_buf_str(b, ":Some(Float(");
	/* These texts have no sign in front of a positive exponent. */
	for (size_t i = 0; i < n; i++)
		if (text[i] != '+')
			og_buf_byte(b, (uint8_t)text[i]);
	og_buf_str(b, "))");
}

static int put_key_text(struct og_catalog *c, const struct og_type *t, struct og_constraint *con, struct og_error *err)
{
	static const char *const names[] = {
		[OG_C_KEY] = "key",	[OG_C_UNIQUE] = "unique", [OG_C_INDEX] = "index",
		[OG_C_RANGE] = "range", [OG_C_CHECK] = "check",
	};
	struct og_buf b = { 0 };
	int rc;

	og_buf_str(&b, names[con->kind]);
	for (uint32_t i = 0; i < con->ncols; i++) {
		og_buf_byte(&b, i ? ',' : ':');
		og_buf_slice(&b, col_name(t, con->cols[i]));
	}
	if (con->kind == OG_C_RANGE) {
		put_bound(&b, &con->min);
		put_bound(&b, &con->max);
	} else if (con->kind == OG_C_CHECK) {
		og_buf_byte(&b, ':');
		og_buf_slice(&b, con->pattern);
	}
	if ((rc = og_buf_ok(&b, err)) == 0) {
		con->key_text = og_arena_slice(&c->arena, og_buf_view(&b));
		if (!con->key_text.p)
			rc = nomem(c, err);
	}
	og_buf_fini(&b);
	return rc;
}

static int by_col_name(const void *a, const void *b, void *type)
{
	return og_slice_cmp(col_name(type, *(const int32_t *)a), col_name(type, *(const int32_t *)b));
}

static int build_constraint(struct og_catalog *c, const struct og_type *t, const struct pg_constraint *from,
			    struct og_constraint *to, struct og_error *err)
{
	to->kind = from->kind;
	to->min = from->min;
	to->max = from->max;
	to->pattern = from->pattern;
	to->ncols = (uint32_t)from->ncols;
	to->cols = og_arena_array(&c->arena, from->ncols, sizeof(*to->cols));
	if (!to->cols)
		return nomem(c, err);
	for (size_t i = 0; i < from->ncols; i++)
		to->cols[i] = col_find(t, from->cols[i]);
	qsort_r(to->cols, to->ncols, sizeof(*to->cols), by_col_name, (void *)(uintptr_t)t);
	return put_key_text(c, t, to, err);
}

/* Flags that follow from the constraints, and the key in identity order: that of the names, as long as nothing was renamed. */
static void mark_columns(struct og_type *t)
{
	for (uint32_t i = 0; i < t->nconstraints; i++) {
		const struct og_constraint *con = &t->constraints[i];

		if (con->kind == OG_C_RANGE || con->kind == OG_C_CHECK)
			continue;
		for (uint32_t j = 0; j < con->ncols; j++) {
			if (con->cols[j] < 0)
				continue;
			t->props[con->cols[j]].indexed = true;
			t->props[con->cols[j]].key |= con->kind == OG_C_KEY;
		}
		if (con->kind == OG_C_KEY) {
			t->key_cols = con->cols;
			t->nkey = con->ncols;
		}
	}
}

static int build_constraints(struct og_catalog *c, struct og_type *t, const struct pg_decl *d, struct og_error *err)
{
	uint32_t n = 0;
	int rc;

	t->constraints = og_arena_array(&c->arena, d->nconstraints + 1, sizeof(*t->constraints));
	if (!t->constraints)
		return nomem(c, err);
	for (size_t i = 0; i < d->nconstraints; i++)
		if ((rc = build_constraint(c, t, &d->constraints[i], &t->constraints[i], err)) < 0)
			return rc;
	qsort(t->constraints, d->nconstraints, sizeof(*t->constraints), by_key_text);
	/* One said twice, as a shorthand and in the body, counts once. */
	for (size_t i = 0; i < d->nconstraints; i++) {
		if (n > 0 && og_slice_eq(t->constraints[n - 1].key_text, t->constraints[i].key_text))
			continue;
		t->constraints[n] = t->constraints[i];
		t->constraints[n].number = n;
		n++;
	}
	t->nconstraints = n;
	mark_columns(t);
	return 0;
}

static int build_type(struct og_catalog *c, const struct pg_decl *d, struct og_type *t, struct og_error *err)
{
	char *key = og_arena_printf(&c->arena, "%s:%.*s", pg_kind_name(d->kind), OG_FMT(d->name));
	int rc;

	if (!key)
		return nomem(c, err);
	t->kind = d->kind == PG_EDGE ? OG_EDGE : OG_NODE;
	t->name = d->name;
	t->table_key = og_slice_str(key);
	t->annotations = d->annotations;
	t->nannotations = (uint32_t)d->nannotations;
	t->implements = d->implements;
	t->nimplements = (uint32_t)d->nimplements;
	t->has_card = d->has_card;
	t->card_min = d->card_min;
	t->card_max = d->kind == PG_EDGE ? d->card_max : UINT32_MAX;
	t->nprops = (uint32_t)d->nprops;
	if ((rc = build_props(c, d, &t->props, err)) < 0)
		return rc;
	link_embeds(t);
	return build_constraints(c, t, d, err);
}

/* Names become indexes once the types stand in their order. */
static void link_endpoints(struct og_catalog *c, const struct pg_file *f)
{
	for (size_t i = 0; i < f->ndecls; i++) {
		const struct pg_decl *d = &f->decls[i];
		struct og_type *t;

		if (d->kind != PG_EDGE)
			continue;
		t = (struct og_type *)(uintptr_t)og_catalog_edge(c, d->name);
		t->src_type = og_catalog_node(c, d->src)->index;
		t->dst_type = og_catalog_node(c, d->dst)->index;
	}
}

static int build_interface(struct og_catalog *c, const struct pg_decl *d, struct og_interface *out, struct og_error *err)
{
	out->name = d->name;
	out->nprops = (uint32_t)d->nprops;
	return build_props(c, d, &out->props, err);
}

int pg_build(struct og_catalog *c, const struct pg_file *f, struct og_error *err)
{
	int rc;

	c->types = og_arena_array(&c->arena, f->ndecls + 1, sizeof(*c->types));
	c->interfaces = og_arena_array(&c->arena, f->ndecls + 1, sizeof(*c->interfaces));
	if (!c->types || !c->interfaces)
		return nomem(c, err);
	for (size_t i = 0; i < f->ndecls; i++) {
		if (f->decls[i].kind == PG_INTERFACE)
			rc = build_interface(c, &f->decls[i], &c->interfaces[c->ninterfaces++], err);
		else
			rc = build_type(c, &f->decls[i], &c->types[c->ntypes++], err);
		if (rc < 0)
			return rc;
	}
	qsort(c->types, c->ntypes, sizeof(*c->types), by_table_key);
	qsort(c->interfaces, c->ninterfaces, sizeof(*c->interfaces), by_interface_name);
	for (uint32_t i = 0; i < c->ntypes; i++)
		c->types[i].index = i;
	link_endpoints(c, f);
	return 0;
}
