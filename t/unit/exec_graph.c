/* A graph in memory for tests of the engine. */
#include "config.h"

#include "exec_graph.h"

#include "base/date.h"
#include "schema/rowcheck.h"

#include "t/check.h"
#include <stdio.h>
#include <stdlib.h>

/* Check's own assertions write to a file each: too slow for every value of a large graph. */
#define NEED(x)                                   \
	do {                                      \
		if (!(x))                         \
			ck_abort_msg("%s", #x);   \
	} while (0)

static void must(int rc, const struct og_error *err)
{
	if (rc < 0)
		ck_abort_msg("%s: %s", og_error_name(rc), err->message);
}

/* --- rows ----------------------------------------------------------------------------------------------------------------------------- */

static bool is_ghost(const struct graph_row *r)
{
	return *r->json == '-';
}

static struct og_slice json_text(const struct graph_row *r)
{
	return og_slice_str(r->json + is_ghost(r));
}

static struct og_value scalar_of(const struct og_json *j, const struct og_proptype *t, struct og_arena *a)
{
	struct og_value v = { .kind = og_proptype_kind(t) };
	int32_t days;
	double d;

	if (!j || j->type == OG_JT_NULL)
		return (struct og_value){ .kind = OG_V_NULL };
	switch (v.kind) {
	case OG_V_BOOL:
		v.i = j->b;
		break;
	case OG_V_INT:
		NEED(og_json_to_i64(j, &v.i));
		break;
	case OG_V_UINT:
		NEED(og_json_to_u64(j, &v.u));
		break;
	case OG_V_FLOAT:
		NEED(og_json_to_double(j, &d));
		v.f = t->scalar == OG_F32 ? (double)(float)d : d;
		break;
	case OG_V_STRING:
	case OG_V_BLOB:
		v.s = j->s;
		break;
	case OG_V_DATE:
		NEED(og_date_parse(j->s, &days));
		v.i = days;
		break;
	case OG_V_DATETIME:
		NEED(og_datetime_parse(j->s, &v.i));
		break;
	case OG_V_VECTOR: {
		float *f = og_arena_array(a, t->dim, sizeof(*f));

		NEED(j->items.n == t->dim);
		for (uint32_t i = 0; i < t->dim; i++) {
			NEED(og_json_to_double(&j->items.v[i], &d));
			f[i] = (float)d;
		}
		v.vec.v = f;
		v.vec.dim = t->dim;
		break;
	}
	case OG_V_LIST:
	case OG_V_NULL:
		ck_abort();
	}
	return v;
}

static struct og_value value_of(const struct og_json *j, const struct og_proptype *t, struct og_arena *a)
{
	struct og_proptype item = *t;
	struct og_value v = { .kind = OG_V_LIST }, *items;

	if (!t->list || !j || j->type == OG_JT_NULL)
		return scalar_of(j, t->list ? &item : t, a);
	item.list = false;
	items = og_arena_array(a, j->items.n, sizeof(*items));
	for (size_t i = 0; i < j->items.n; i++)
		items[i] = scalar_of(&j->items.v[i], &item, a);
	v.items.v = items;
	v.items.n = j->items.n;
	return v;
}

static struct og_slice id_of(const struct og_type *t, const struct og_json *row, const struct og_value *values, struct og_arena *a)
{
	const struct og_json *id = og_json_get(row, "id");
	struct og_buf b = { 0 };
	struct og_error err = { 0 };
	struct og_slice s;

	if (!t->nkey) {
		NEED(id);
		return id->s;
	}
	must(og_key_id(&b, t, values, &err), &err);
	s = og_arena_slice(a, og_buf_view(&b));
	og_buf_fini(&b);
	return s;
}

static void add_row(struct graph *g, struct og_change *c, const struct graph_row *r, bool base, enum split split, struct og_arena *a)
{
	struct og_error err = { 0 };
	const struct og_json *row = og_json_parse(a, json_text(r), OG_JSON_REFUSE_REPEATS, &err), *from, *to;
	struct og_value *values = og_arena_array(a, c->type->nprops, sizeof(*values));
	struct og_slice none = { 0 }, id;

	if (!row)
		ck_abort_msg("%s in %s", err.message, r->json);
	for (uint32_t i = 0; i < c->type->nprops; i++) {
		const struct og_property *p = &c->type->props[i];

		values[i] = value_of(og_json_get_slice(row, p->name), &p->type, a);
		if (base && split == SPLIT_REWRITTEN && !p->key && p->type.nullable)
			values[i].kind = OG_V_NULL;
	}
	id = id_of(c->type, row, values, a);
	from = og_json_get(row, "from");
	to = og_json_get(row, "to");
	if (is_ghost(r) && !base)
		must(og_change_delete(c, id, from ? from->s : none, to ? to->s : none, &err), &err);
	else
		must(og_change_upsert(c, id, from ? from->s : none, to ? to->s : none, values, &err), &err);
	if (base && split == SPLIT_MIXED && c->type->kind == OG_NODE)
		NEED(og_map_put(&g->base_ids, og_arena_slice(&g->ids, id), NULL));
}

static bool is_type(const struct graph_row *r, const struct og_type *t)
{
	return og_slice_is(t->name, r->type);
}

/* Which rows of a type go to the images: all, none, or of a mixed graph the first half of the nodes and the edges between these. */
static bool in_base(const struct graph *g, const struct og_type *t, const struct graph_row *r, size_t k, size_t all, enum split split, struct og_arena *a)
{
	struct og_error err = { 0 };
	const struct og_json *row;

	if (split != SPLIT_MIXED)
		return split != SPLIT_DELTAS;
	if (t->kind == OG_NODE)
		return k < all / 2 || is_ghost(r);
	row = og_json_parse(a, json_text(r), OG_JSON_REFUSE_REPEATS, &err);
	NEED(row);
	return og_map_find(&g->base_ids, og_json_get(row, "from")->s) && og_map_find(&g->base_ids, og_json_get(row, "to")->s);
}

/* Rows of a type: those for the images, or what deltas then say. */
static void fill_change(struct graph *g, struct og_change *c, const struct og_type *t, const struct graph_row *rows, size_t n, bool base,
			enum split split, struct og_arena *a)
{
	size_t k = 0, all = 0;
	bool stored;

	og_change_init(c, t);
	for (size_t i = 0; i < n; i++)
		all += is_type(&rows[i], t);
	for (size_t i = 0; i < n; i++) {
		if (!is_type(&rows[i], t))
			continue;
		og_arena_reset(a);
		stored = in_base(g, t, &rows[i], k++, all, split, a);
		if (is_ghost(&rows[i]) ? split == SPLIT_REWRITTEN || (split == SPLIT_MIXED && stored) : base == stored || (!base && split == SPLIT_REWRITTEN))
			add_row(g, c, &rows[i], base, split, a);
	}
}

/* --- images and deltas ---------------------------------------------------------------------------------------------------------------- */

static void set_base(struct graph *g, const struct og_type *t, const struct og_change *c)
{
	struct og_error err = { 0 };
	uint32_t i = t->index;

	if (!c->rows)
		return;
	must(og_change_encode(c, &g->layers[i], &err), &err);
	g->layer[i].bytes = og_buf_view(&g->layers[i]);
	g->local[i] = (struct og_local_type){ .layers = &g->layer[i], .nlayers = 1 };
}

static void build_bases(struct graph *g, const struct og_need *needs, size_t n)
{
	struct og_error err = { 0 };

	must(og_view_build_local(g->view, g->local, needs, n, &err), &err);
}

static void apply(struct graph *g, const struct og_change *c)
{
	struct og_error err = { 0 };
	struct og_need needs[8];

	if (!c->rows)
		return;
	build_bases(g, needs, og_view_apply_needs(g->view, c->type, needs));
	must(og_view_apply(g->view, c, &err), &err);
}

static void apply_rest(struct graph *g, enum og_type_kind kind, const struct graph_row *rows, size_t n, enum split split, struct og_arena *a)
{
	for (uint32_t i = 0; i < g->catalog->ntypes; i++) {
		const struct og_type *t = &g->catalog->types[i];
		struct og_change c;

		if (t->kind != kind)
			continue;
		fill_change(g, &c, t, rows, n, false, split, a);
		apply(g, &c);
		og_change_fini(&c);
	}
}

/* Node types before edge types: setting their base drops that of the edge types. */
static void set_bases(struct graph *g, enum og_type_kind kind, const struct graph_row *rows, size_t n, enum split split, struct og_arena *a)
{
	struct og_error err = { 0 };

	for (uint32_t i = 0; i < g->catalog->ntypes; i++) {
		const struct og_type *t = &g->catalog->types[i];
		struct og_change c;

		if (t->kind != kind)
			continue;
		fill_change(g, &c, t, rows, n, true, split, a);
		set_base(g, t, &c);
		og_change_fini(&c);
		if (g->local[i].nlayers)
			must(og_view_set_local(g->view, i, g->local[i].layers, 1, &err), &err);
	}
}

void graph_open(struct graph *g, const char *schema, const struct graph_row *rows, size_t n, enum split split)
{
	struct og_error err = { 0 };
	struct og_arena a;

	og_arena_init(&a, 0);
	memset(g, 0, sizeof(*g));
	og_arena_init(&g->ids, 0);
	must(og_catalog_compile(og_slice_str(schema), NULL, 0, &g->catalog, &err), &err);
	g->view = og_view_new(g->catalog);
	ck_assert_ptr_nonnull(g->view);
	g->layers = calloc(g->catalog->ntypes, sizeof(*g->layers));
	g->layer = calloc(g->catalog->ntypes, sizeof(*g->layer));
	g->local = calloc(g->catalog->ntypes, sizeof(*g->local));
	set_bases(g, OG_NODE, rows, n, split, &a);
	set_bases(g, OG_EDGE, rows, n, split, &a);
	apply_rest(g, OG_NODE, rows, n, split, &a);
	apply_rest(g, OG_EDGE, rows, n, split, &a);
	og_map_fini(&g->base_ids);
	og_arena_fini(&g->ids);
	og_arena_fini(&a);
}

void graph_close(struct graph *g)
{
	for (uint32_t i = 0; i < g->catalog->ntypes; i++)
		og_buf_fini(&g->layers[i]);
	free(g->layers);
	free(g->layer);
	free(g->local);
	og_view_unref(g->view);
	og_catalog_unref(g->catalog);
}

/* --- queries -------------------------------------------------------------------------------------------------------------------------- */

static char *text_of(struct og_slice s)
{
	char *p = strndup(s.p ? s.p : "", s.len);

	ck_assert_ptr_nonnull(p);
	return p;
}

static int run(struct graph *g, struct og_arena *a, struct og_slice query, struct og_slice params, const struct run_options *o, struct answer *out,
	       struct og_error *err)
{
	struct og_json *json = params.len ? og_json_parse(a, params, OG_JSON_LAST_WINS, err) : NULL;
	struct gq_bindings b = { 0 };
	const struct og_need *needs;
	struct og_exec *x = NULL;
	struct gq_query *q;
	struct gq_file f;
	struct og_plan *p;
	uint64_t start;
	size_t nneeds;
	int rc;

	ck_assert(json || !params.len);
	if ((rc = gq_parse(a, query, &f, err)) < 0 || (rc = gq_select(&f, og_slice(NULL, 0), &q, err)) < 0 || (rc = gq_bind(a, q, json, &b, err)) < 0)
		return rc;
	b.now_ms = o->now_ms;
	if ((rc = gq_check(a, q, g->catalog, err)) < 0 || (rc = og_plan_read(a, q, g->catalog, &p, err)) < 0)
		return rc;
	needs = og_plan_needs(p, &nneeds);
	build_bases(g, needs, nneeds);
	ck_assert_uint_eq(og_view_missing(g->view, needs, nneeds, NULL, 0), 0);
	start = og_monotonic_us();
	if ((rc = og_exec_new(p, &b, g->view, &o->limits, &x, err)) < 0)
		return rc;
	out->is_short = og_exec_short(x, 1024);
	do {
		rc = og_exec_step(x, o->budget_us, err);
		out->steps++;
	} while (rc == OG_EXEC_MORE);
	out->us = og_monotonic_us() - start;
	if (rc == OG_EXEC_DONE) {
		out->rows = og_exec_row_count(x);
		out->columns = text_of(og_exec_columns_json(x));
		out->json = text_of(og_exec_rows_json(x));
	}
	og_exec_free(x);
	return rc;
}

void graph_query(struct graph *g, const char *query, const char *params, const struct run_options *o, struct answer *out)
{
	static const struct run_options plain = { 0 };
	struct og_error err = { 0 };
	struct og_arena a;

	og_arena_init(&a, 0);
	memset(out, 0, sizeof(*out));
	out->code = run(g, &a, og_slice_str(query), og_slice_str(params), o ? o : &plain, out, &err);
	if (out->code < 0)
		out->json = text_of(og_slice_str(err.message));
	og_arena_fini(&a);
}

void answer_fini(struct answer *a)
{
	free(a->columns);
	free(a->json);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *sorted_rows(const char *json)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_json *j;
	struct og_arena a;
	char **rows, *out;

	og_arena_init(&a, 0);
	j = og_json_parse(&a, og_slice_str(json), OG_JSON_LAST_WINS, &err);
	ck_assert_msg(j && j->type == OG_JT_ARRAY, "%s: %s", err.message, json);
	rows = og_arena_array(&a, j->items.n, sizeof(*rows));
	for (size_t i = 0; i < j->items.n; i++) {
		og_buf_clear(&b);
		og_json_text(&b, &j->items.v[i]);
		rows[i] = og_arena_strndup(&a, b.data, b.len);
	}
	qsort(rows, j->items.n, sizeof(*rows), by_text);
	og_buf_clear(&b);
	og_buf_str(&b, "[");
	for (size_t i = 0; i < j->items.n; i++) {
		og_buf_str(&b, i ? "," : "");
		og_buf_str(&b, rows[i]);
	}
	og_buf_str(&b, "]");
	out = text_of(og_buf_view(&b));
	og_buf_fini(&b);
	og_arena_fini(&a);
	return out;
}
