/* Images, deltas and views against a naive model. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "image_model.h"
#include "suite.h"

#include "base/fd.h"

static struct og_arena arena;
static struct model m;
static struct layers layers;

static void begin(int seed)
{
	og_arena_init(&arena, 0);
	model_init(&m, &arena, (uint64_t)seed + 7);
	memset(&layers, 0, sizeof(layers));
}

static void end(void)
{
	layers_fini(&layers);
	model_fini(&m);
	og_arena_fini(&arena);
}

static void add_layers(unsigned n, unsigned rows)
{
	for (unsigned i = 0; i < n; i++) {
		struct og_change changes[MODEL_TYPES];

		model_commit(&m, rows, i > 0, changes);
		layers_add(&layers, changes);
		changes_fini(changes);
	}
}

/* One plain layer takes the short way, several are resolved; both give the rows in the promised order. */
START_TEST(built_from_layers)
{
	struct og_view *v;

	begin(_i);
	add_layers((unsigned)_i % 8, 60);
	v = model_view(&m, &layers);
	check_view(v, &m);
	check_order(v, &m);
	og_view_unref(v);
	end();
}
END_TEST

/* Commits on top of a base: the view follows, and every copy taken on the way stays as it was. */
START_TEST(deltas_over_a_base)
{
	enum { COMMITS = 40 };
	struct og_view *v, *old[COMMITS] = { 0 };
	struct model olds[COMMITS];

	begin(_i);
	add_layers((unsigned)_i % 4, 80);
	v = model_view(&m, &layers);
	for (unsigned i = 0; i < COMMITS; i++) {
		struct og_change changes[MODEL_TYPES];

		if (model_random(&m, 4) == 0) {
			old[i] = og_view_copy(v);
			ck_assert_ptr_nonnull(old[i]);
			olds[i] = model_copy(&m);
		}
		model_commit(&m, model_random(&m, 3) ? 3 : 40, true, changes);
		model_apply(v, &m, changes);
		changes_fini(changes);
		if (i % 8 == 7)
			check_view(v, &m);
	}
	check_view(v, &m);
	for (unsigned i = 0; i < COMMITS; i++) {
		if (!old[i])
			continue;
		check_view(old[i], &olds[i]);
		og_view_unref(old[i]);
		model_fini(&olds[i]);
	}
	og_view_unref(v);
	end();
}
END_TEST

/* What a mutation tries out on a copy and throws away leaves no trace. */
START_TEST(trials_leave_no_trace)
{
	struct og_view *v;

	begin(_i);
	add_layers(2, 60);
	v = model_view(&m, &layers);
	for (unsigned i = 0; i < 20; i++) {
		struct og_change changes[MODEL_TYPES];
		struct model before = model_copy(&m);
		struct og_view *trial = og_view_copy(v);

		model_commit(&m, 5, true, changes);
		model_apply(trial, &m, changes);
		check_view(trial, &m);
		og_view_unref(trial);
		check_view(v, &before);
		model_apply(v, &m, changes);
		check_view(v, &m);
		changes_fini(changes);
		model_fini(&before);
	}
	og_view_unref(v);
	end();
}
END_TEST

/* Many versions of few rows, and rows that come and go: nothing old shows, and the overlay does not grow without end. */
START_TEST(updates_are_swept)
{
	struct og_view *v;
	uint64_t most = 0;

	begin(3);
	add_layers(1, 80);
	v = model_view(&m, &layers);
	for (unsigned i = 0; i < 600; i++) {
		struct og_change changes[MODEL_TYPES];

		model_commit(&m, 8, true, changes);
		model_apply(v, &m, changes);
		changes_fini(changes);
		for (unsigned t = 0; t < MODEL_TYPES; t++)
			most = OG_MAX(most, og_view_delta_rows(&v->types[t]));
	}
	check_view(v, &m);
	ck_assert_uint_lt(most, 8 * MODEL_IDS);
	og_view_unref(v);
	end();
}
END_TEST

static int append_sink(void *arg, const void *p, size_t n, struct og_error *err)
{
	og_buf_append(arg, p, n);
	return og_buf_ok(arg, err);
}

static void fold(const struct og_view *v, unsigned type, const struct og_layer *l, size_t n, bool keep_deletes, struct og_buf *out)
{
	const struct og_type *t = &m.catalog->types[type];
	struct og_build_in in = { .catalog = m.catalog, .type = t, .layers = l, .nlayers = n };
	struct og_error err = { 0 };
	uint64_t rows;

	if (t->kind == OG_EDGE && v) {
		in.src_ids = v->types[t->src_type].ids;
		in.nsrc_ids = og_view_parts(&v->types[t->src_type]);
		in.src_idx = v->types[t->src_type].pins->idx;
		in.dst_ids = v->types[t->dst_type].ids;
		in.ndst_ids = og_view_parts(&v->types[t->dst_type]);
		in.dst_idx = v->types[t->dst_type].pins->idx;
	}
	if (og_fold(&in, keep_deletes, append_sink, out, &rows, &err) < 0)
		ck_abort_msg("%s", err.message);
}

/* All layers folded into one segment hold the same rows. */
START_TEST(folded_into_a_segment)
{
	struct layers folded = { 0 };
	struct og_view *v, *w;

	begin(_i);
	add_layers(2 + (unsigned)_i % 5, 50);
	v = model_view(&m, &layers);
	for (unsigned t = 0; t < MODEL_TYPES; t++) {
		fold(_i % 2 ? v : NULL, t, layers.l[t], layers.n[t], false, &folded.bytes[t][0]);
		folded.l[t][0].bytes = og_buf_view(&folded.bytes[t][0]);
		folded.n[t] = 1;
	}
	w = model_view(&m, &folded);
	check_view(w, &m);
	/* Edges lie in slot order then, so nothing is left to sort. */
	for (unsigned t = 0; t < MODEL_TYPES; t++)
		for (uint32_t s = 0; s < w->types[t].slots && _i % 2; s++)
			ck_assert(og_slice_eq(og_view_id(&v->types[t], s), og_view_id(&w->types[t], s)));
	og_view_unref(v);
	og_view_unref(w);
	layers_fini(&folded);
	end();
}
END_TEST

/* The upper layers folded into one that keeps its deletions do to the lower what they did. */
START_TEST(folded_into_a_delta)
{
	struct layers folded = { 0 };
	struct og_view *w;

	begin(_i);
	add_layers(7, 50);
	for (unsigned t = 0; t < MODEL_TYPES; t++) {
		size_t low = layers.n[t] / 2;

		for (size_t k = 0; k < low; k++)
			folded.l[t][k] = layers.l[t][k];
		fold(NULL, t, layers.l[t] + low, layers.n[t] - low, true, &folded.bytes[t][31]);
		folded.l[t][low].bytes = og_buf_view(&folded.bytes[t][31]);
		folded.n[t] = low + 1;
	}
	w = model_view(&m, &folded);
	check_view(w, &m);
	og_view_unref(w);
	layers_fini(&folded);
	end();
}
END_TEST

/* A commit's body says what the change said. */
START_TEST(changes_survive_encoding)
{
	struct og_view *v;

	begin(_i);
	add_layers(2, 60);
	v = model_view(&m, &layers);
	for (unsigned i = 0; i < 10; i++) {
		struct og_change changes[MODEL_TYPES], decoded[MODEL_TYPES];

		model_commit(&m, 30, true, changes);
		for (unsigned t = 0; t < MODEL_TYPES; t++) {
			struct og_buf b = { 0 };
			struct og_error err = { 0 };

			ck_assert_int_eq(og_change_encode(&changes[t], &b, &err), 0);
			og_change_init(&decoded[t], changes[t].type);
			ck_assert_int_eq(og_change_decode(&decoded[t], changes[t].type, og_buf_view(&b), &err), 0);
			ck_assert_uint_eq(decoded[t].rows, changes[t].rows);
			og_buf_fini(&b);
		}
		model_apply(v, &m, decoded);
		check_view(v, &m);
		changes_fini(changes);
		changes_fini(decoded);
	}
	og_view_unref(v);
	end();
}
END_TEST

/* `all`: the change's rows are the content; ids that stay keep their slots, so edges of other types stay right. */
START_TEST(all_replaces_the_content)
{
	struct og_change c;
	struct og_error err = { 0 };
	struct og_view *v;
	const struct og_type *b;
	struct mtype *mt;
	struct og_value x = { .kind = OG_V_STRING, .s = OG_SLICE("new") };
	uint32_t fresh = 0;

	begin(5);
	add_layers(3, 80);
	v = model_view(&m, &layers);
	b = og_catalog_node(m.catalog, OG_SLICE("B"));
	mt = &m.t[b->index];
	og_change_init(&c, b);
	c.all = true;
	for (size_t i = 0; i < mt->n; i++) {
		/* Only those with edges, so that no edge is left hanging. */
		uint32_t slot = og_view_find(&v->types[b->index], mt->rows[i].id);
		const struct og_type *e = og_catalog_edge(m.catalog, OG_SLICE("E"));

		if (!mt->rows[i].live)
			continue;
		if (og_view_degree(&v->types[e->index], OG_IN, slot) == 0) {
			mt->rows[i].live = false;
			continue;
		}
		mt->rows[i].v = &x;
		ck_assert_int_eq(og_change_upsert(&c, mt->rows[i].id, og_slice(NULL, 0), og_slice(NULL, 0), &x, &err), 0);
		fresh++;
	}
	ck_assert_uint_gt(fresh, 0);
	ck_assert_int_eq(og_view_apply(v, &c, &err), 0);
	check_view(v, &m);
	/* And nothing at all. */
	og_change_fini(&c);
	og_change_init(&c, og_catalog_edge(m.catalog, OG_SLICE("E")));
	c.all = true;
	mt = &m.t[c.type->index];
	for (size_t i = 0; i < mt->n; i++)
		mt->rows[i].live = false;
	ck_assert_int_eq(og_view_apply(v, &c, &err), 0);
	check_view(v, &m);
	og_change_fini(&c);
	og_view_unref(v);
	end();
}
END_TEST

/* An edge to nowhere is refused as a whole; the view stays as it was. */
START_TEST(refuses_an_edge_to_nowhere)
{
	struct og_change c;
	struct og_error err = { 0 };
	struct og_view *v;
	const struct og_type *k;
	const struct mrow *a = NULL;

	begin(2);
	add_layers(2, 80);
	v = model_view(&m, &layers);
	k = og_catalog_edge(m.catalog, OG_SLICE("K"));
	for (size_t i = 0; i < m.t[k->src_type].n && !a; i++)
		if (m.t[k->src_type].rows[i].live)
			a = &m.t[k->src_type].rows[i];
	ck_assert_ptr_nonnull(a);
	og_change_init(&c, k);
	ck_assert_int_eq(og_change_upsert(&c, OG_SLICE("fine"), a->id, a->id, NULL, &err), 0);
	ck_assert_int_eq(og_change_upsert(&c, OG_SLICE("not"), a->id, OG_SLICE("nowhere"), NULL, &err), 0);
	ck_assert_int_eq(og_view_apply(v, &c, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "edge:K: target \"nowhere\" of edge \"not\" does not exist");
	check_view(v, &m);
	og_change_fini(&c);
	og_view_unref(v);
	end();
}
END_TEST

/* A new base drops what stood on the old one, at the edge types too; other types keep theirs. */
START_TEST(rebase_drops_what_stood_on_it)
{
	struct og_error err = { 0 };
	struct og_change changes[MODEL_TYPES];
	struct og_view *v, *copy;
	const struct og_type *b;
	struct og_need *needs;
	size_t n;

	begin(4);
	add_layers(2, 80);
	v = model_view(&m, &layers);
	model_commit(&m, 20, true, changes);
	model_apply(v, &m, changes);
	changes_fini(changes);
	copy = og_view_copy(v);
	b = og_catalog_node(m.catalog, OG_SLICE("B"));
	ck_assert_int_eq(og_view_set_base(v, b->index, (struct og_content_key){ 1, 2 }, 77, &err), 0);
	ck_assert_uint_eq(v->types[b->index].rows, 77);
	needs = all_needs(m.catalog, &n);
	ck_assert_uint_gt(og_view_missing(v, needs, n, NULL, 0), 0);
	for (size_t i = 0; i < n; i++) {
		bool gone = needs[i].type == b || (needs[i].type->kind == OG_EDGE && needs[i].type->dst_type == b->index);

		ck_assert_int_eq(og_view_missing(v, &needs[i], 1, NULL, 0) > 0, gone && v->types[needs[i].type->index].base_slots > 0);
	}
	check_view(copy, &m);
	free(needs);
	og_view_unref(copy);
	og_view_unref(v);
	end();
}
END_TEST

/* A copy made before an image was pinned has it all the same; else it would read a base without edges. */
START_TEST(pins_are_shared_with_earlier_copies)
{
	struct og_local_type local[MODEL_TYPES];
	struct og_error err = { 0 };
	struct og_view *v, *copy;
	struct og_need *needs;
	size_t n;

	begin(6);
	add_layers(2, 80);
	v = og_view_new(m.catalog);
	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		local[i] = (struct og_local_type){ layers.l[i], layers.n[i] };
		ck_assert_int_eq(og_view_set_local(v, i, layers.l[i], layers.n[i], &err), 0);
	}
	copy = og_view_copy(v);
	needs = all_needs(m.catalog, &n);
	ck_assert_int_eq(og_view_build_local(v, local, needs, n, &err), 0);
	ck_assert_uint_eq(og_view_missing(copy, needs, n, NULL, 0), 0);
	check_view(copy, &m);
	free(needs);
	og_view_unref(copy);
	og_view_unref(v);
	end();
}
END_TEST

/* A node's only key is its id if it is a string: asked for or not, no image of its own is, and it is never read from one. Other keys are columns. */
START_TEST(a_key_that_is_the_id_needs_no_image)
{
	static const struct {
		const char *schema;
		size_t images;
	} cases[] = {
		{ "node N { k: String @key v: I32? }", 3 },
		{ "node N { k: I64 @key v: I32? }", 4 },
		{ "node N { k: String l: String v: I32? @key(k, l) }", 4 },
		{ "node N { k: String v: I32? }", 4 },
	};
	struct og_error err = { 0 };
	struct og_catalog *cat;
	struct og_img_key keys[8];
	struct og_view *v;
	const struct og_type *t;
	size_t n, ids = 0;

	ck_assert_msg(og_catalog_compile(og_slice_str(cases[_i].schema), NULL, 0, &cat, &err) == 0, "%s", err.message);
	v = og_view_new(cat);
	t = og_catalog_node(cat, OG_SLICE("N"));
	ck_assert_int_eq(og_view_set_base(v, t->index, (struct og_content_key){ 1, 2 }, 100, &err), 0);
	{
		const struct og_need needs[] = {
			{ OG_NEED_COL, t, og_type_property(t, OG_SLICE("k"))->index }, { OG_NEED_COL, t, og_type_property(t, OG_SLICE("v"))->index },
			{ OG_NEED_IDX, t, 0 }, { OG_NEED_IDS, t, 0 },
		};

		n = og_view_missing(v, needs, OG_COUNT(needs), keys, OG_COUNT(keys));
	}
	ck_assert_uint_eq(n, cases[_i].images);
	for (size_t i = 0; i < n; i++)
		ids += keys[i].what == OG_IMG_IDS;
	ck_assert_uint_eq(ids, 1);
	og_view_unref(v);
	og_catalog_unref(cat);
}
END_TEST

/* Many small commits on an unshared view: their cost does not grow with what is there already. */
START_TEST(scales_over_many_rows)
{
	enum { ROWS = 20000 };
	struct og_view *v;
	struct og_error err = { 0 };
	const struct og_type *b, *a, *e;
	char id[32];

	begin(1);
	v = og_view_new(m.catalog);
	b = og_catalog_node(m.catalog, OG_SLICE("B"));
	a = og_catalog_node(m.catalog, OG_SLICE("A"));
	e = og_catalog_edge(m.catalog, OG_SLICE("E"));
	for (unsigned i = 0; i < ROWS; i++) {
		struct og_view *held = i % 3 == 0 ? og_view_copy(v) : NULL;
		struct og_change c;
		const struct og_type *order[3] = { a, b, e };

		for (unsigned k = 0; k < 3; k++) {
			og_change_init(&c, order[k]);
			snprintf(id, sizeof(id), "n%u", i);
			ck_assert_int_eq(og_change_upsert(&c, og_slice_str(id), og_slice_str(id), og_slice_str(id), NULL, &err), 0);
			if (og_view_apply(v, &c, &err) < 0)
				ck_abort_msg("%s", err.message);
			og_change_fini(&c);
		}
		og_view_unref(held);
	}
	for (unsigned i = 0; i < ROWS; i++) {
		uint32_t slot, state = 0, peer, edge;

		snprintf(id, sizeof(id), "n%u", i);
		slot = og_view_find(&v->types[a->index], og_slice_str(id));
		ck_assert_uint_ne(slot, OG_SLOT_NONE);
		ck_assert_uint_eq(og_view_expand(&v->types[e->index], OG_OUT, slot, &state, &peer, &edge, 1), 1);
		ck_assert(og_slice_is(og_view_id(&v->types[b->index], peer), id));
	}
	og_view_unref(v);
	end();
}
END_TEST

static int keep_bytes(void *arg, const struct og_build_out *out, struct og_error *err)
{
	struct og_slice map;
	int fd = out->fd, rc = og_map_file(fd, out->bytes, &map, err);

	if (rc == 0) {
		og_buf_slice(arg, map);
		og_unmap(&map);
	}
	og_fd_close(&fd);
	return rc;
}

/* Rows written once each need no resolving when their number tells so, and give the same images; with one row that is not live they are resolved. */
START_TEST(rows_that_are_all_live)
{
	struct og_build_want wants[] = { { OG_IMG_IDS, 0 }, { OG_IMG_IDX, 0 }, { OG_IMG_ADJ, 0 } };
	struct og_buf bytes[3] = { { 0 } }, images[2] = { { 0 } };
	const struct og_type *e;
	struct og_view *v;
	struct og_error err = { 0 };

	begin(3);
	e = og_catalog_edge(m.catalog, OG_SLICE("E"));
	add_layers(4, 60);	/* nodes for the edges' ends */
	layers.n[e->index] = 0;
	v = model_view(&m, &layers);
	for (unsigned l = 0; l < 3; l++) {
		struct og_change c;
		char id[16];

		og_change_init(&c, e);
		for (unsigned i = 0; i < 100; i++) {
			uint32_t src = (i * 7 + l) % v->types[e->src_type].slots, dst = i * 13 % v->types[e->dst_type].slots;

			snprintf(id, sizeof(id), "%u-%u", l, i);
			ck_assert_int_eq(og_change_upsert(&c, og_slice_str(id), og_view_id(&v->types[e->src_type], src),
							  og_view_id(&v->types[e->dst_type], dst), NULL, &err), 0);
		}
		if (l == 2 && _i)
			ck_assert_int_eq(og_change_delete(&c, OG_SLICE("0-5"), og_view_id(&v->types[e->src_type], 0),
							  og_view_id(&v->types[e->dst_type], 0), &err), 0);
		ck_assert_int_eq(og_change_encode(&c, &bytes[l], &err), 0);
		og_change_fini(&c);
		layers.l[e->index][l].bytes = og_buf_view(&bytes[l]);
	}
	layers.n[e->index] = 3;
	for (unsigned way = 0; way < 2; way++) {
		struct og_build_in in = { .catalog = m.catalog, .type = e, .layers = layers.l[e->index], .nlayers = layers.n[e->index], .rows = way == 0 ? 0 : _i ? 299 : 300,
					  .src_ids = v->types[e->src_type].ids, .nsrc_ids = og_view_parts(&v->types[e->src_type]),
					  .src_idx = v->types[e->src_type].pins->idx, .dst_ids = v->types[e->dst_type].ids,
					  .ndst_ids = og_view_parts(&v->types[e->dst_type]), .dst_idx = v->types[e->dst_type].pins->idx };

		for (size_t k = 0; k < OG_COUNT(wants); k++)
			if (og_build(&in, &wants[k], 1, keep_bytes, &images[way], &err) < 0)
				ck_abort_msg("%s", err.message);
	}
	ck_assert(og_slice_eq(og_buf_view(&images[0]), og_buf_view(&images[1])));
	for (unsigned i = 0; i < 3; i++)
		og_buf_fini(&bytes[i]);
	og_buf_fini(&images[0]);
	og_buf_fini(&images[1]);
	og_view_unref(v);
	end();
}
END_TEST

/* Columns of more than one part. */
START_TEST(several_parts)
{
	enum { ROWS = OG_IMG_PART_ROWS + 1000 };
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_change c;
	struct og_view *v;
	const struct og_type *t;
	char id[16];
	uint32_t cursor = 0, slots[1000], seen = 0;
	size_t n;

	begin(1);
	t = og_catalog_node(m.catalog, OG_SLICE("B"));
	og_change_init(&c, t);
	for (uint32_t i = 0; i < ROWS; i++) {
		struct og_value x = { .kind = OG_V_STRING };

		snprintf(id, sizeof(id), "%u", i * 3);
		x.s = og_slice_str(id);
		ck_assert_int_eq(og_change_upsert(&c, x.s, og_slice(NULL, 0), og_slice(NULL, 0), &x, &err), 0);
	}
	ck_assert_int_eq(og_change_encode(&c, &b, &err), 0);
	og_change_fini(&c);
	layers.l[t->index][0].bytes = og_buf_view(&b);
	layers.n[t->index] = 1;
	v = model_view(&m, &layers);
	ck_assert_uint_eq(og_view_parts(&v->types[t->index]), 2);
	while ((n = og_view_scan(&v->types[t->index], &cursor, slots, 1000)) > 0) {
		struct og_slice x[1000], ids[1000];
		uint8_t valid[1000];

		ck_assert_uint_eq(slots[0] >> OG_IMG_PART_SHIFT, slots[n - 1] >> OG_IMG_PART_SHIFT);
		ck_assert_uint_eq(og_view_gather_str(&v->types[t->index], 0, slots, n, x, valid), 0);
		og_view_gather_id(&v->types[t->index], slots, n, ids);
		for (size_t i = 0; i < n; i++)
			ck_assert(og_slice_eq(x[i], ids[i]));
		seen += (uint32_t)n;
		ck_assert_uint_eq(og_view_find(&v->types[t->index], ids[n - 1]), slots[n - 1]);
	}
	ck_assert_uint_eq(seen, ROWS);
	og_view_unref(v);
	og_buf_fini(&b);
	end();
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, built_from_layers, 0, 10);
	tcase_add_loop_test(tc, deltas_over_a_base, 0, 6);
	tcase_add_loop_test(tc, trials_leave_no_trace, 0, 2);
	tcase_add_test(tc, updates_are_swept);
	tcase_add_loop_test(tc, folded_into_a_segment, 0, 5);
	tcase_add_loop_test(tc, folded_into_a_delta, 0, 5);
	tcase_add_loop_test(tc, changes_survive_encoding, 0, 2);
	tcase_add_test(tc, all_replaces_the_content);
	tcase_add_test(tc, refuses_an_edge_to_nowhere);
	tcase_add_test(tc, rebase_drops_what_stood_on_it);
	tcase_add_test(tc, pins_are_shared_with_earlier_copies);
	tcase_add_loop_test(tc, a_key_that_is_the_id_needs_no_image, 0, 4);
	tcase_add_test(tc, scales_over_many_rows);
	tcase_add_loop_test(tc, rows_that_are_all_live, 0, 2);
	tcase_add_test(tc, several_parts);
}

int main(void)
{
	return suite_run("image", add, 120);
}
