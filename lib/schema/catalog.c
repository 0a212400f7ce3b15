/* Compiling a schema, and asking the catalog. */
#include "config.h"
#include "schema/catalog.h"
#include "base/sha256.h"
#include "schema/build.h"
#include "schema/checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Nodes first, then edges, each in order of names; c->types has all edges before all nodes. */
static void number_types(struct og_catalog *c)
{
	uint32_t next = 1;

	for (uint32_t i = 0; i < c->ntypes; i++)
		if (c->types[i].kind == OG_NODE)
			c->types[i].id = next++;
	for (uint32_t i = 0; i < c->ntypes; i++)
		if (c->types[i].kind == OG_EDGE)
			c->types[i].id = next++;
}

static int take_ids(struct og_catalog *c, const struct og_type_id *ids, size_t nids, struct og_error *err)
{
	if (!ids) {
		number_types(c);
		return 0;
	}
	for (size_t i = 0; i < nids; i++) {
		const struct og_type *t = ids[i].kind == OG_NODE ? og_catalog_node(c, ids[i].name) :
								   og_catalog_edge(c, ids[i].name);

		/* An id may belong to a type that was dropped; edge names are compared exactly here. */
		if (t && og_slice_eq(t->name, ids[i].name))
			c->types[t->index].id = ids[i].id;
	}
	for (uint32_t i = 0; i < c->ntypes; i++)
		if (c->types[i].id == 0)
			return og_error_set(err, OG_ERR_CORRUPT, "type %.*s has no id", OG_FMT(c->types[i].table_key));
	return 0;
}

static int compile(struct og_catalog *c, struct og_slice source, const struct og_type_id *ids, size_t nids,
		   struct og_error *err)
{
	struct pg_file file = { 0 };
	struct pg_checker k = { .arena = &c->arena, .file = &file, .err = err };
	struct og_sha256 digest;
	int rc;

	c->source = og_arena_slice(&c->arena, source);
	if (!c->source.p)
		return og_arena_error(&c->arena, err);
	digest = og_sha256(c->source);
	memcpy(c->digest, digest.b, sizeof(c->digest));
	k.src = c->source;
	if ((rc = pg_parse(&c->arena, c->source, &file, err)) < 0 || (rc = pg_check(&k)) < 0 ||
	    (rc = pg_build(c, &file, err)) < 0)
		return rc;
	return take_ids(c, ids, nids, err);
}

int og_catalog_compile(struct og_slice source, const struct og_type_id *ids, size_t nids, struct og_catalog **out,
		       struct og_error *err)
{
	struct og_catalog *c = calloc(1, sizeof(*c));
	struct og_error local;
	int rc;

	if (!err)
		err = &local;
	if (!c)
		return og_error_nomem(err);
	c->refs = 1;
	og_arena_init(&c->arena, 0);
	rc = compile(c, source, ids, nids, err);
	if (rc < 0)
		og_catalog_unref(c);
	else
		*out = c;
	return rc;
}

struct og_catalog *og_catalog_ref(struct og_catalog *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void og_catalog_unref(struct og_catalog *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	og_arena_fini(&c->arena);
	free(c);
}

static const struct og_type *find_type(const struct og_catalog *c, enum og_type_kind kind, struct og_slice name)
{
	uint32_t lo = 0, hi = c->ntypes;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct og_type *t = &c->types[mid];
		/* Edges stand before nodes. */
		int cmp = t->kind == kind ? og_slice_cmp(t->name, name) : t->kind == OG_EDGE ? -1 : 1;

		if (cmp == 0)
			return t;
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct og_type *og_catalog_node(const struct og_catalog *c, struct og_slice name)
{
	return find_type(c, OG_NODE, name);
}

static bool same_folded(struct og_slice a, struct og_slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		char x = a.p[i], y = b.p[i];

		if (x >= 'A' && x <= 'Z')
			x += 'a' - 'A';
		if (y >= 'A' && y <= 'Z')
			y += 'a' - 'A';
		if (x != y)
			return false;
	}
	return true;
}

const struct og_type *og_catalog_edge(const struct og_catalog *c, struct og_slice name)
{
	const struct og_type *t = find_type(c, OG_EDGE, name);

	for (uint32_t i = 0; !t && i < c->ntypes && c->types[i].kind == OG_EDGE; i++)
		if (same_folded(c->types[i].name, name))
			t = &c->types[i];
	return t;
}

const struct og_type *og_catalog_table(const struct og_catalog *c, struct og_slice table_key)
{
	if (og_slice_starts(table_key, OG_SLICE("node:")))
		return find_type(c, OG_NODE, og_slice(table_key.p + 5, table_key.len - 5));
	if (og_slice_starts(table_key, OG_SLICE("edge:")))
		return find_type(c, OG_EDGE, og_slice(table_key.p + 5, table_key.len - 5));
	return NULL;
}

const struct og_type *og_catalog_by_id(const struct og_catalog *c, uint32_t type_id)
{
	for (uint32_t i = 0; i < c->ntypes; i++)
		if (c->types[i].id == type_id)
			return &c->types[i];
	return NULL;
}

const struct og_property *og_type_property(const struct og_type *t, struct og_slice name)
{
	uint32_t lo = 0, hi = t->nprops;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int cmp = og_slice_cmp(t->props[mid].name, name);

		if (cmp == 0)
			return &t->props[mid];
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void og_type_table_path(const struct og_type *t, char out[32])
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < t->name.len; i++)
		h = (h ^ (uint8_t)t->name.p[i]) * 1099511628211u;
	snprintf(out, 32, "%s/%016" PRIx64, t->kind == OG_NODE ? "nodes" : "edges", h);
}
