/* A small graph for tests of loads. */
#include "config.h"

#include "load_graph.h"
#include "suite.h"

static const char schema[] =
	"node Person @description(\"who\") { slug: String @key  age: I32?  score: F32?  big: U64?  born: Date?  seen: DateTime?\n"
	" mood: enum(calm, wild)?  tags: [String]?  days: [Date]?  vec: Vector(3)?  pic: Blob?  ok: Bool?  mail: String? @unique\n"
	" @range(age, 0..150) @check(slug, \"^[a-z0-9-]+$\") }\n"
	"node Note { text: String  rank: I64? }\n"
	"node Day { on: Date @key  what: String? }\n"
	"node Pair { a: String  b: I32  note: String? @key(a, b) }\n"
	"edge Knows: Person -> Person @card(0..2) { since: Date? weight: F64? }\n"
	"edge Wrote: Person -> Note { at: DateTime? @unique(src, dst) }\n"
	"edge On: Note -> Day\n"
	"edge Of: Note -> Pair\n";

void graph_open(struct graph *g)
{
	struct og_local_type types[GRAPH_TYPES];
	struct og_need needs[128];
	struct og_error err = { 0 };
	size_t n = 0;

	og_view_unref(g->view);
	g->view = og_view_new(g->catalog);
	for (uint32_t i = 0; i < g->catalog->ntypes; i++) {
		const struct og_type *t = &g->catalog->types[i];

		types[i] = (struct og_local_type){ g->layers[i], g->nlayers[i] };
		ck_assert_int_eq(og_view_set_local(g->view, i, g->layers[i], g->nlayers[i], &err), 0);
		n += og_export_needs(g->catalog, t, needs + n);
		needs[n++] = (struct og_need){ OG_NEED_IDX, t, 0 };
	}
	for (uint32_t i = 0; i < g->catalog->ntypes; i++)
		g->view->types[i].rows = g->view->types[i].base_slots;
	ck_assert_msg(og_view_build_local(g->view, types, needs, n, &err) == 0, "%s", err.message);
}

void graph_init_with(struct graph *g, const char *text)
{
	struct og_error err = { 0 };

	memset(g, 0, sizeof(*g));
	ck_assert_msg(og_catalog_compile(og_slice_str(text), NULL, 0, &g->catalog, &err) == 0, "%s", err.message);
	graph_open(g);
}

void graph_init(struct graph *g)
{
	graph_init_with(g, schema);
}

void graph_drop_layers(struct graph *g, uint32_t type)
{
	while (g->nlayers[type])
		free_copy(g->layers[type][--g->nlayers[type]].bytes);
}

void graph_fini(struct graph *g)
{
	for (uint32_t i = 0; i < g->catalog->ntypes; i++)
		graph_drop_layers(g, i);
	og_view_unref(g->view);
	og_catalog_unref(g->catalog);
}

uint32_t graph_type(const struct graph *g, const char *table_key)
{
	const struct og_type *t = og_catalog_table(g->catalog, og_slice_str(table_key));

	ck_assert_ptr_nonnull(t);
	return t->index;
}

uint64_t graph_rows(const struct graph *g, const char *table_key)
{
	return g->view->types[graph_type(g, table_key)].rows;
}

void graph_add_layer(struct graph *g, uint32_t type, struct og_slice parquet)
{
	ck_assert_uint_lt(g->nlayers[type], GRAPH_LAYERS);
	g->layers[type][g->nlayers[type]++].bytes = exact_copy(parquet, parquet.len);
}

char *graph_export(const struct graph *g, const char *table_key)
{
	struct og_slice key = og_slice_str(table_key);
	struct og_export_req req = { .table_keys = &key, .ntable_keys = table_key != NULL };
	bool tables[GRAPH_TYPES];
	struct og_error err = { 0 };
	struct og_buf out = { 0 };

	ck_assert_int_eq(og_export_select(g->catalog, &req, tables, &err), 0);
	for (uint32_t i = 0; i < g->catalog->ntypes; i++) {
		struct og_export_table *t;
		int rc;

		if (!tables[i])
			continue;
		ck_assert_int_eq(og_export_table_new(g->view, i, &t, &err), 0);
		while ((rc = og_export_table_next(t, &out, 100, &err)) == OG_EXPORT_MORE)
			;
		ck_assert_int_eq(rc, OG_EXPORT_END);
		og_export_table_free(t);
	}
	return out.data ? og_buf_take(&out) : strdup("");
}
