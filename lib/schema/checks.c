/* Stages of the schema check that concern declarations among each other. */
#include "config.h"
#include "schema/checks.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int fault_at(struct pg_checker *k, size_t byte, const char *prefix, const char *fmt, va_list ap)
{
	char text[sizeof(k->err->message)];

	vsnprintf(text, sizeof(text), fmt, ap);
	og_error_set(k->err, OG_ERR_BAD, "%s%s", prefix, text);
	og_text_position(k->src, byte, false, &k->err->pos.line, &k->err->pos.column);
	k->err->pos.byte = byte;
	return OG_ERR_BAD;
}

int pg_fault(struct pg_checker *k, size_t byte, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* Clients know the prefix twice for everything but syntax. */
	fault_at(k, byte, "parse error: parse error: ", fmt, ap);
	va_end(ap);
	return OG_ERR_BAD;
}

static int OG_PRINTF(3, 4) catalog_fault(struct pg_checker *k, size_t byte, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_at(k, byte, "catalog error: ", fmt, ap);
	va_end(ap);
	return OG_ERR_BAD;
}

struct pg_prop *pg_find_prop(const struct pg_decl *d, struct og_slice name)
{
	for (size_t i = 0; i < d->nprops; i++)
		if (og_slice_eq(d->props[i].name, name))
			return &d->props[i];
	return NULL;
}

const struct og_annotation *pg_find_annotation(const struct og_annotation *anns, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (og_slice_is(anns[i].name, name))
			return &anns[i];
	return NULL;
}

static const struct pg_decl *find_decl(const struct pg_file *f, enum pg_decl_kind kind, struct og_slice name)
{
	for (size_t i = 0; i < f->ndecls; i++)
		if (f->decls[i].kind == kind && og_slice_eq(f->decls[i].name, name))
			return &f->decls[i];
	return NULL;
}

/* The node's property must have the interface's type; a property that the node lacks is added with its annotations. */
static int take_interface(struct pg_checker *k, struct pg_decl *node, const struct pg_decl *iface)
{
	struct og_buf a = { 0 }, b = { 0 };
	int rc = 0;

	for (size_t i = 0; i < iface->nprops && rc == 0; i++) {
		const struct pg_prop *want = &iface->props[i];
		const struct pg_prop *have = pg_find_prop(node, want->name);

		if (!have) {
			node->props[node->nprops++] = *want;
		} else if (!og_proptype_equal(&have->type, &want->type)) {
			og_proptype_format(&a, &have->type);
			og_proptype_format(&b, &want->type);
			rc = pg_fault(k, have->byte,
				      "node %.*s property '%.*s' has type %.*s but interface %.*s declares it as %.*s",
				      OG_FMT(node->name), OG_FMT(have->name), OG_FMT(og_buf_view(&a)), OG_FMT(iface->name),
				      OG_FMT(og_buf_view(&b)));
		}
	}
	og_buf_fini(&a);
	og_buf_fini(&b);
	return rc;
}

static int implement(struct pg_checker *k, struct pg_decl *node)
{
	const struct pg_decl *iface;
	struct pg_prop *room;
	size_t total = node->nprops;
	int rc = 0;

	for (size_t i = 0; i < node->nimplements; i++) {
		iface = find_decl(k->file, PG_INTERFACE, node->implements[i]);
		total += iface ? iface->nprops : 0;
	}
	if (node->nimplements == 0)
		return 0;
	room = og_arena_array(k->arena, total + 1, sizeof(*room));
	if (!room)
		return og_arena_error(k->arena, k->err);
	if (node->nprops)
		memcpy(room, node->props, node->nprops * sizeof(*room));
	node->props = room;
	for (size_t i = 0; i < node->nimplements && rc == 0; i++) {
		iface = find_decl(k->file, PG_INTERFACE, node->implements[i]);
		if (!iface)
			return pg_fault(k, node->byte, "node %.*s implements unknown interface '%.*s'", OG_FMT(node->name),
					OG_FMT(node->implements[i]));
		rc = take_interface(k, node, iface);
	}
	return rc;
}

/* 32-bit FNV-1a of the parts; 0 becomes 1. Only texts show it: ids are our own. */
static uint32_t name_hash(const char *kind, struct og_slice type, const struct og_slice *prop)
{
	struct og_slice parts[] = { og_slice_str(kind), OG_SLICE(":"), type, OG_SLICE(":"), prop ? *prop : OG_SLICE("") };
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < (prop ? 5u : 3u); i++)
		for (size_t j = 0; j < parts[i].len; j++)
			h = (h ^ (uint8_t)parts[i].p[j]) * 16777619u;
	return h ? h : 1;
}

static int check_repeated_props(struct pg_checker *k, const struct pg_decl *d)
{
	struct og_map seen = { 0 };
	bool fresh = true;
	int rc = 0;

	for (size_t i = 0; i < d->nprops && rc == 0; i++) {
		struct og_slice p = d->props[i].name;

		if (!og_map_put(&seen, p, &fresh))
			rc = og_error_nomem(k->err);
		else if (!fresh)
			rc = catalog_fault(k, d->props[i].byte,
					   "property id collision on %.*s: '%.*s' and '%.*s' both hash to %u", OG_FMT(d->name),
					   OG_FMT(p), OG_FMT(p), name_hash(pg_kind_name(d->kind), d->name, &p));
	}
	og_map_fini(&seen);
	return rc;
}

static int check_repeated(struct pg_checker *k)
{
	struct og_map seen[3] = { { 0 } };
	bool fresh = true;
	int rc = 0;

	for (size_t i = 0; i < k->file->ndecls && rc == 0; i++) {
		const struct pg_decl *d = &k->file->decls[i];

		if (!og_map_put(&seen[d->kind], d->name, &fresh))
			rc = og_error_nomem(k->err);
		else if (!fresh)
			rc = catalog_fault(k, d->byte, "type id collision: '%.*s' and '%.*s' both hash to %u", OG_FMT(d->name),
					   OG_FMT(d->name), name_hash(pg_kind_name(d->kind), d->name, NULL));
		else
			rc = check_repeated_props(k, d);
	}
	for (size_t i = 0; i < OG_COUNT(seen); i++)
		og_map_fini(&seen[i]);
	return rc;
}

static bool is_reserved(enum pg_decl_kind kind, struct og_slice name)
{
	/* The last five are columns of other stores of this format. */
	static const char *const names[] = { "id",	   "src",	   "dst",			 "_rowid",
					     "_rowaddr",   "_rowoffset",   "_row_created_at_version",
					     "_row_last_updated_at_version" };

	for (size_t i = 0; i < OG_COUNT(names); i++)
		if (og_slice_is(name, names[i]))
			return kind == PG_EDGE || i == 0 || i > 2;
	return false;
}

static int check_reserved(struct pg_checker *k)
{
	for (size_t i = 0; i < k->file->ndecls; i++) {
		const struct pg_decl *d = &k->file->decls[i];

		if (d->kind == PG_INTERFACE)	/* seen through the nodes that receive it */
			continue;
		for (size_t j = 0; j < d->nprops; j++)
			if (is_reserved(d->kind, d->props[j].name))
				return catalog_fault(k, d->props[j].byte, "property name '%.*s' is reserved (%s %.*s)",
						     OG_FMT(d->props[j].name), pg_kind_name(d->kind), OG_FMT(d->name));
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct pg_decl *x = *(const struct pg_decl *const *)a, *y = *(const struct pg_decl *const *)b;

	return og_slice_cmp(x->name, y->name);
}

/* The edge's name in lower case, which must be its alone. */
static int fold_edge(struct pg_checker *k, struct og_map *seen, const struct pg_decl *const *edges, size_t i)
{
	const struct pg_decl *e = edges[i];
	struct og_map_entry *entry;
	struct og_slice folded = og_arena_slice(k->arena, e->name);
	bool fresh = true;

	if (!folded.p)
		return og_arena_error(k->arena, k->err);
	for (size_t j = 0; j < folded.len; j++)
		if (folded.p[j] >= 'A' && folded.p[j] <= 'Z')
			((char *)(uintptr_t)folded.p)[j] += 'a' - 'A';
	entry = og_map_put(seen, folded, &fresh);
	if (!entry)
		return og_error_nomem(k->err);
	if (fresh)
		entry->value = i;
	else
		return catalog_fault(k, e->byte, "edge name collision after case folding: '%.*s' conflicts with '%.*s'",
				     OG_FMT(e->name), OG_FMT(edges[entry->value]->name));
	return 0;
}

static int check_edges(struct pg_checker *k)
{
	const struct pg_decl **edges = og_arena_array(k->arena, k->file->ndecls + 1, sizeof(*edges));
	struct og_map seen = { 0 };
	size_t n = 0;
	int rc = 0;

	if (!edges)
		return og_arena_error(k->arena, k->err);
	for (size_t i = 0; i < k->file->ndecls; i++)
		if (k->file->decls[i].kind == PG_EDGE)
			edges[n++] = &k->file->decls[i];
	qsort(edges, n, sizeof(*edges), by_name);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct pg_decl *e = edges[i];

		if (!find_decl(k->file, PG_NODE, e->src))
			rc = catalog_fault(k, e->byte, "edge %.*s references unknown source type: %.*s", OG_FMT(e->name),
					   OG_FMT(e->src));
		else if (!find_decl(k->file, PG_NODE, e->dst))
			rc = catalog_fault(k, e->byte, "edge %.*s references unknown target type: %.*s", OG_FMT(e->name),
					   OG_FMT(e->dst));
		else
			rc = fold_edge(k, &seen, edges, i);
	}
	og_map_fini(&seen);
	return rc;
}

int pg_check(struct pg_checker *k)
{
	int rc;

	for (size_t i = 0; i < k->file->ndecls; i++)
		if ((rc = implement(k, &k->file->decls[i])) < 0)
			return rc;
	if ((rc = pg_check_annotations(k)) < 0 || (rc = pg_check_constraints(k)) < 0 || (rc = check_repeated(k)) < 0 ||
	    (rc = check_reserved(k)) < 0)
		return rc;
	return check_edges(k);
}
