/* Any bytes are a schema or an error with a place; a catalog finds everything that it lists, and its patterns run or are refused. */
#include "config.h"

#include <stdlib.h>

#include "schema/catalog.h"
#include "schema/rowcheck.h"
#include "t/fuzz/driver.h"

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void try_patterns(struct og_rules *r, const struct og_type *t)
{
	static const char *const subjects[] = { "", "GB-12", "aaaaaaaaaaaaaaaaaaaa\u00e9\n" };
	struct og_error err;

	for (uint32_t i = 0; i < t->nconstraints; i++) {
		for (size_t j = 0; j < OG_COUNT(subjects) && t->constraints[i].kind == OG_C_CHECK; j++) {
			struct og_value v = { .kind = OG_V_STRING, .s = og_slice_str(subjects[j]) };
			int rc = og_rules_pattern(r, t, &t->constraints[i], &v, &err);

			require(rc == 0 || rc == OG_ERR_BAD);
		}
	}
}

static void look_around(const struct og_catalog *c)
{
	struct og_rules *r = og_rules_new(NULL);
	char path[32];

	require(r != NULL);
	for (uint32_t i = 0; i < c->ntypes; i++) {
		const struct og_type *t = &c->types[i];

		require(og_catalog_table(c, t->table_key) == t && og_catalog_by_id(c, t->id) == t);
		require((t->kind == OG_NODE ? og_catalog_node(c, t->name) : og_catalog_edge(c, t->name)) == t);
		for (uint32_t j = 0; j < t->nprops; j++)
			require(og_type_property(t, t->props[j].name) == &t->props[j] && t->props[j].index == j);
		for (uint32_t j = 0; j < t->nconstraints; j++)
			require(t->constraints[j].number == j);
		require(t->kind == OG_NODE || (t->src_type < c->ntypes && c->types[t->dst_type].kind == OG_NODE));
		og_type_table_path(t, path);
		try_patterns(r, t);
	}
	og_rules_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct og_catalog *c = NULL;
	struct og_error err;

	if (og_catalog_compile(og_slice(data, size), NULL, 0, &c, &err) == 0) {
		look_around(c);
		og_catalog_unref(c);
	} else {
		require(c == NULL && err.code == OG_ERR_BAD);
	}
	return 0;
}
