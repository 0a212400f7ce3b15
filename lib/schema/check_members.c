/* Stages of the schema check that concern annotations and constraints. */
#include "config.h"
#include "schema/checks.h"
#include "base/buf.h"

#include <stdio.h>

static const char *const shorthands[] = { "key", "unique", "index", "embed" };

/* 0..3 in the order of `shorthands`, or -1. */
static int shorthand(const struct og_annotation *ann)
{
	for (size_t i = 0; i < OG_COUNT(shorthands); i++)
		if (og_slice_is(ann->name, shorthands[i]))
			return (int)i;
	return -1;
}

enum { S_KEY, S_UNIQUE, S_INDEX, S_EMBED };

/* No visible character: white space of any script counts as blank, ASCII is what occurs. */
static bool blank(struct og_slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr(" \t\r\n\v\f", s.p[i]) || s.p[i] == '\0')
			return false;
	return true;
}

/* @description, @instruction and @rename_from: once per target, with a text. */
static int check_texts(struct pg_checker *k, const char *target, const struct og_annotation *anns, size_t n)
{
	static const char *const names[] = { "description", "instruction", "rename_from" };
	bool seen[OG_COUNT(names)] = { false };

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < OG_COUNT(names); j++) {
			if (!og_slice_is(anns[i].name, names[j]))
				continue;
			if (seen[j])
				return pg_fault(k, anns[i].byte, "%s declares @%s multiple times", target, names[j]);
			seen[j] = true;
			if (anns[i].arg != OG_ANN_NONE && !blank(anns[i].text))
				continue;
			if (j == 2)
				return pg_fault(k, anns[i].byte,
						"@rename_from on %s requires exactly one non-empty positional value", target);
			return pg_fault(k, anns[i].byte, "@%s on %s requires a non-empty value", names[j], target);
		}
	}
	return 0;
}

static int check_embed(struct pg_checker *k, const struct pg_decl *d, const struct pg_prop *p, const struct og_annotation *ann)
{
	const struct pg_prop *src;

	if (p->type.scalar != OG_VECTOR)
		return pg_fault(k, ann->byte, "@embed is only supported on vector properties (%.*s.%.*s)", OG_FMT(d->name),
				OG_FMT(p->name));
	if (ann->arg == OG_ANN_NONE)
		return pg_fault(k, ann->byte, "@embed on %.*s.%.*s requires a source property name", OG_FMT(d->name),
				OG_FMT(p->name));
	if (blank(ann->text))
		return pg_fault(k, ann->byte, "@embed on %.*s.%.*s requires a non-empty source property name", OG_FMT(d->name),
				OG_FMT(p->name));
	for (uint32_t i = 0; i < ann->nkws; i++) {
		if (!og_slice_is(ann->kws[i].name, "model"))
			return pg_fault(k, ann->byte, "@embed on %.*s.%.*s has unknown argument '%.*s=' (only 'model' is supported)",
					OG_FMT(d->name), OG_FMT(p->name), OG_FMT(ann->kws[i].name));
		if (ann->kws[i].arg != OG_ANN_STRING || blank(ann->kws[i].text))
			return pg_fault(k, ann->byte, "@embed on %.*s.%.*s requires a non-empty string for 'model='",
					OG_FMT(d->name), OG_FMT(p->name));
	}
	src = pg_find_prop(d, ann->text);
	if (!src)
		return pg_fault(k, ann->byte, "@embed on %.*s.%.*s references unknown source property %.*s", OG_FMT(d->name),
				OG_FMT(p->name), OG_FMT(ann->text));
	if (src->type.scalar != OG_STRING || src->type.list)
		return pg_fault(k, ann->byte, "@embed source property %.*s.%.*s must be String", OG_FMT(d->name),
				OG_FMT(src->name));
	return 0;
}

/* NULL, or the kind of property that cannot carry the shorthand. */
static const char *unfit(const struct og_proptype *t, int which)
{
	if (t->list)
		return "list";
	if (t->scalar == OG_VECTOR && (which == S_KEY || which == S_UNIQUE))
		return "vector";
	return t->scalar == OG_BLOB ? "blob" : NULL;
}

static int check_prop_annotations(struct pg_checker *k, const struct pg_decl *d, const struct pg_prop *p)
{
	bool seen[OG_COUNT(shorthands)] = { false };
	const char *kind;
	char target[512];
	int which, rc;

	snprintf(target, sizeof(target), "property %.*s.%.*s", OG_FMT(d->name), OG_FMT(p->name));
	if ((rc = check_texts(k, target, p->annotations, p->nannotations)) < 0)
		return rc;
	for (size_t i = 0; i < p->nannotations; i++) {
		const struct og_annotation *ann = &p->annotations[i];

		if (og_slice_is(ann->name, "instruction"))
			return pg_fault(k, ann->byte, "@instruction is only supported on node and edge types (%s)", target);
		if ((which = shorthand(ann)) < 0)
			continue;
		if ((kind = unfit(&p->type, which)))
			return pg_fault(k, ann->byte, "@%s is not supported on %s %s", shorthands[which], kind, target);
		if (d->kind == PG_EDGE && (which == S_KEY || which == S_EMBED))
			return pg_fault(k, ann->byte, "@%s is not supported on edge properties (edge %.*s.%.*s)",
					shorthands[which], OG_FMT(d->name), OG_FMT(p->name));
		if (seen[which])
			return pg_fault(k, ann->byte, "%s declares @%s multiple times", target, shorthands[which]);
		seen[which] = true;
		if (which == S_EMBED && (rc = check_embed(k, d, p, ann)) < 0)
			return rc;
	}
	return 0;
}

static int check_type_annotations(struct pg_checker *k, const struct pg_decl *d)
{
	char target[300];
	int which;

	for (size_t i = 0; i < d->nannotations; i++) {
		if ((which = shorthand(&d->annotations[i])) < 0)
			continue;
		if (d->kind == PG_NODE)
			return pg_fault(k, d->annotations[i].byte,
					"@%s is only supported on node properties or as body constraint (node %.*s)",
					shorthands[which], OG_FMT(d->name));
		return pg_fault(k, d->annotations[i].byte, "@%s is not supported on edges (edge %.*s)", shorthands[which],
				OG_FMT(d->name));
	}
	snprintf(target, sizeof(target), "%s %.*s", pg_kind_name(d->kind), OG_FMT(d->name));
	return check_texts(k, target, d->annotations, d->nannotations);
}

int pg_check_annotations(struct pg_checker *k)
{
	int rc;

	for (size_t i = 0; i < k->file->ndecls; i++) {
		const struct pg_decl *d = &k->file->decls[i];

		/* An interface's own are looked at in the nodes that receive them. */
		if (d->kind == PG_INTERFACE)
			continue;
		if ((rc = check_type_annotations(k, d)) < 0)
			return rc;
		for (size_t j = 0; j < d->nprops; j++)
			if ((rc = check_prop_annotations(k, d, &d->props[j])) < 0)
				return rc;
	}
	return 0;
}

/* @key, @unique and @index on a property stand for the constraint with that one column; they come before those of the body. */
static int add_shorthands(struct pg_checker *k, struct pg_decl *d)
{
	static const enum og_constraint_kind kinds[] = { OG_C_KEY, OG_C_UNIQUE, OG_C_INDEX };
	struct pg_constraint *all;
	size_t extra = 0, n = 0;
	int which;

	for (size_t i = 0; i < d->nprops; i++)
		extra += d->props[i].nannotations;
	if (extra == 0)
		return 0;
	all = og_arena_array(k->arena, extra + d->nconstraints, sizeof(*all));
	if (!all)
		return og_arena_error(k->arena, k->err);
	for (size_t i = 0; i < d->nprops; i++) {
		for (size_t j = 0; j < d->props[i].nannotations; j++) {
			which = shorthand(&d->props[i].annotations[j]);
			if (which < 0 || which == S_EMBED)
				continue;
			all[n++] = (struct pg_constraint){ .kind = kinds[which],
							   .byte = d->props[i].annotations[j].byte,
							   .cols = &d->props[i].name,
							   .ncols = 1 };
		}
	}
	if (d->nconstraints)
		memcpy(all + n, d->constraints, d->nconstraints * sizeof(*all));
	d->constraints = all;
	d->nconstraints += n;
	return 0;
}

static const char *const constraint_names[] = {
	[OG_C_KEY] = "key", [OG_C_UNIQUE] = "unique", [OG_C_INDEX] = "index", [OG_C_RANGE] = "range", [OG_C_CHECK] = "check",
};

static int wrong_type(struct pg_checker *k, const struct pg_decl *d, const struct pg_constraint *c, const struct pg_prop *p,
		      const char *wants)
{
	struct og_buf type = { 0 };

	og_proptype_format(&type, &p->type);
	pg_fault(k, c->byte, "@%s on %.*s.%.*s requires %s, got %.*s", constraint_names[c->kind], OG_FMT(d->name),
		 OG_FMT(p->name), wants, OG_FMT(og_buf_view(&type)));
	og_buf_fini(&type);
	return OG_ERR_BAD;
}

static int check_column(struct pg_checker *k, const struct pg_decl *d, const struct pg_constraint *c, struct og_slice col)
{
	const char *name = constraint_names[c->kind], *kind;
	const struct pg_prop *p = pg_find_prop(d, col);

	if (!p && d->kind == PG_EDGE && (c->kind == OG_C_UNIQUE || c->kind == OG_C_INDEX) &&
	    (og_slice_is(col, "src") || og_slice_is(col, "dst")))
		return 0;
	if (!p)
		return pg_fault(k, c->byte, "@%s on %.*s references unknown property '%.*s'", name, OG_FMT(d->name), OG_FMT(col));
	if (c->kind == OG_C_KEY) {
		if (p->type.nullable)
			return pg_fault(k, c->byte, "@key property %.*s.%.*s cannot be nullable", OG_FMT(d->name), OG_FMT(col));
		if ((kind = unfit(&p->type, S_KEY)))
			return pg_fault(k, c->byte, "@key is not supported on %s property %.*s.%.*s", kind, OG_FMT(d->name),
					OG_FMT(col));
	}
	if ((c->kind == OG_C_INDEX || c->kind == OG_C_UNIQUE) && p->type.scalar == OG_BLOB)
		return pg_fault(k, c->byte, "@%s is not supported on blob property %.*s.%.*s", name, OG_FMT(d->name), OG_FMT(col));
	if (c->kind == OG_C_RANGE && !og_scalar_numeric(p->type.scalar))
		return wrong_type(k, d, c, p, "a numeric type");
	if (c->kind == OG_C_CHECK && p->type.scalar != OG_STRING)
		return wrong_type(k, d, c, p, "String type");
	return 0;
}

static int check_decl_constraints(struct pg_checker *k, const struct pg_decl *d)
{
	size_t keys = 0;
	int rc;

	for (size_t i = 0; i < d->nconstraints; i++) {
		const struct pg_constraint *c = &d->constraints[i];

		if (c->kind != OG_C_KEY)
			continue;
		if (d->kind == PG_EDGE)
			return pg_fault(k, c->byte, "@key constraint is not supported on edges (edge %.*s)", OG_FMT(d->name));
		if (++keys > 1)
			return pg_fault(k, c->byte, "node type %.*s has multiple @key constraints; only one is supported",
					OG_FMT(d->name));
	}
	for (size_t i = 0; i < d->nconstraints; i++) {
		const struct pg_constraint *c = &d->constraints[i];

		if (d->kind == PG_EDGE && (c->kind == OG_C_RANGE || c->kind == OG_C_CHECK))
			return pg_fault(k, c->byte, "@%s constraint is not supported on edges (edge %.*s)",
					constraint_names[c->kind], OG_FMT(d->name));
		for (size_t j = 0; j < c->ncols; j++)
			if ((rc = check_column(k, d, c, c->cols[j])) < 0)
				return rc;
	}
	return 0;
}

int pg_check_constraints(struct pg_checker *k)
{
	int rc;

	for (size_t i = 0; i < k->file->ndecls; i++) {
		struct pg_decl *d = &k->file->decls[i];

		if (d->kind == PG_INTERFACE)
			continue;
		if ((rc = add_shorthands(k, d)) < 0 || (rc = check_decl_constraints(k, d)) < 0)
			return rc;
	}
	return 0;
}
