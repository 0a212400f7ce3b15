/* Stages of the schema check that concern declarations among each other. */
#include "config.h"
#include "schema/checks.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_PROPS 65536u	/* of one type, inherited ones counted as often as they are inherited */

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
	size_t lo = 0, hi = d->nprops;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (og_slice_cmp(d->by_name[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < d->nprops && og_slice_eq(d->by_name[lo]->name, name) ? d->by_name[lo] : NULL;
}

const struct og_annotation *pg_find_annotation(const struct og_annotation *anns, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (og_slice_is(anns[i].name, name))
			return &anns[i];
	return NULL;
}

static const struct pg_decl *find_decl(const struct pg_checker *k, enum pg_decl_kind kind, struct og_slice name)
{
	const struct og_map_entry *e = og_map_find(&k->names[kind], name);

	return e ? &k->file->decls[e->value] : NULL;
}

static int index_decls(struct pg_checker *k)
{
	bool fresh = true;

	for (size_t i = 0; i < k->file->ndecls; i++) {
		const struct pg_decl *d = &k->file->decls[i];
		struct og_map_entry *e = og_map_put(&k->names[d->kind], d->name, &fresh);

		if (!e)
			return og_error_nomem(k->err);
		if (fresh)
			e->value = i;
	}
	return 0;
}

static int by_prop(const void *a, const void *b)
{
	const struct pg_prop *x = *(const struct pg_prop *const *)a, *y = *(const struct pg_prop *const *)b;
	int cmp = og_slice_cmp(x->name, y->name);

	return cmp ? cmp : x < y ? -1 : x > y;
}

static int index_props(struct pg_checker *k, struct pg_decl *d)
{
	d->by_name = og_arena_array(k->arena, d->nprops + 1, sizeof(struct pg_prop *));
	if (!d->by_name)
		return og_arena_error(k->arena, k->err);
	for (size_t i = 0; i < d->nprops; i++)
		d->by_name[i] = &d->props[i];
	qsort(d->by_name, d->nprops, sizeof(struct pg_prop *), by_prop);
	return 0;
}

static int type_clash(struct pg_checker *k, const struct pg_decl *node, const struct pg_prop *have,
		      const struct pg_decl *iface, const struct pg_prop *want)
{
	struct og_buf a = { 0 }, b = { 0 };

	og_proptype_format(&a, &have->type);
	og_proptype_format(&b, &want->type);
	pg_fault(k, have->byte, "node %.*s property '%.*s' has type %.*s but interface %.*s declares it as %.*s",
		 OG_FMT(node->name), OG_FMT(have->name), OG_FMT(og_buf_view(&a)), OG_FMT(iface->name),
		 OG_FMT(og_buf_view(&b)));
	og_buf_fini(&a);
	og_buf_fini(&b);
	return OG_ERR_BAD;
}

/* The node's property must have the interface's type; a property that the node lacks is added with its annotations. `have`
 * finds the node's properties by name; `props` has room. */
static int take_interface(struct pg_checker *k, struct pg_decl *node, const struct pg_decl *iface, struct og_map *have)
{
	bool fresh = true;

	for (size_t i = 0; i < iface->nprops; i++) {
		const struct pg_prop *want = &iface->props[i];
		struct og_map_entry *e = og_map_put(have, want->name, &fresh);

		if (!e)
			return og_error_nomem(k->err);
		if (fresh) {
			e->value = node->nprops;
			node->props[node->nprops++] = *want;
		} else if (!og_proptype_equal(&node->props[e->value].type, &want->type)) {
			return type_clash(k, node, &node->props[e->value], iface, want);
		}
	}
	return 0;
}

/* Room for all properties that the node may end up with, its own moved there and entered in `have`. */
static int make_room(struct pg_checker *k, struct pg_decl *node, struct og_map *have)
{
	const struct pg_decl *iface;
	struct pg_prop *room;
	size_t total = node->nprops;
	bool fresh = true;

	for (size_t i = 0; i < node->nimplements; i++) {
		iface = find_decl(k, PG_INTERFACE, node->implements[i]);
		total += iface ? iface->nprops : 0;
	}
	if (total > MAX_PROPS)
		return og_error_set(k->err, OG_ERR_TOO_LARGE, "node %.*s has more than %u properties", OG_FMT(node->name), MAX_PROPS);
	room = og_arena_array(k->arena, total + 1, sizeof(*room));
	if (!room)
		return og_arena_error(k->arena, k->err);
	if (node->nprops)
		memcpy(room, node->props, node->nprops * sizeof(*room));
	node->props = room;
	for (size_t i = 0; i < node->nprops; i++) {
		struct og_map_entry *e = og_map_put(have, room[i].name, &fresh);

		if (!e)
			return og_error_nomem(k->err);
		if (fresh)
			e->value = i;
	}
	return 0;
}

static int implement(struct pg_checker *k, struct pg_decl *node)
{
	struct og_map have = { 0 };
	int rc = 0;

	if (node->nimplements == 0)
		return 0;
	rc = make_room(k, node, &have);
	for (size_t i = 0; i < node->nimplements && rc == 0; i++) {
		const struct pg_decl *iface = find_decl(k, PG_INTERFACE, node->implements[i]);

		if (iface)
			rc = take_interface(k, node, iface, &have);
		else
			rc = pg_fault(k, node->byte, "node %.*s implements unknown interface '%.*s'", OG_FMT(node->name),
				      OG_FMT(node->implements[i]));
	}
	og_map_fini(&have);
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

		if (!find_decl(k, PG_NODE, e->src))
			rc = catalog_fault(k, e->byte, "edge %.*s references unknown source type: %.*s", OG_FMT(e->name),
					   OG_FMT(e->src));
		else if (!find_decl(k, PG_NODE, e->dst))
			rc = catalog_fault(k, e->byte, "edge %.*s references unknown target type: %.*s", OG_FMT(e->name),
					   OG_FMT(e->dst));
		else
			rc = fold_edge(k, &seen, edges, i);
	}
	og_map_fini(&seen);
	return rc;
}

static int run_stages(struct pg_checker *k)
{
	int rc;

	for (size_t i = 0; i < k->file->ndecls; i++)
		if ((rc = implement(k, &k->file->decls[i])) < 0 || (rc = index_props(k, &k->file->decls[i])) < 0)
			return rc;
	if ((rc = pg_check_annotations(k)) < 0 || (rc = pg_check_constraints(k)) < 0 || (rc = check_repeated(k)) < 0 ||
	    (rc = check_reserved(k)) < 0)
		return rc;
	return check_edges(k);
}

int pg_check(struct pg_checker *k)
{
	int rc = index_decls(k);

	if (rc == 0)
		rc = run_stages(k);
	for (size_t i = 0; i < OG_COUNT(k->names); i++)
		og_map_fini(&k->names[i]);
	return rc;
}
