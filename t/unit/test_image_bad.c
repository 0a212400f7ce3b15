/* Damaged layers, bodies and images: an error, or some rows, but never a read outside. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image_model.h"
#include "suite.h"

#include "base/fd.h"
#include "image/layout.h"

static struct og_arena arena;
static struct model m;
static struct layers layers;

static void begin(int seed, unsigned n)
{
	og_arena_init(&arena, 0);
	model_init(&m, &arena, (uint64_t)seed + 100);
	memset(&layers, 0, sizeof(layers));
	for (unsigned i = 0; i < n; i++) {
		struct og_change changes[MODEL_TYPES];

		model_commit(&m, 60, i > 0, changes);
		layers_add(&layers, changes);
		changes_fini(changes);
	}
}

static void end(void)
{
	layers_fini(&layers);
	model_fini(&m);
	og_arena_fini(&arena);
}

/* Builds everything of a type out of these layers and opens what comes out. */
static int open_built(void *arg, const struct og_build_out *out, struct og_error *err)
{
	struct og_img *img;
	int fd = out->fd, rc = og_img_open(fd, &out->key, &img, err);

	(void)arg;
	og_fd_close(&fd);
	/* Whatever the rows, an image that was built is sound. */
	if (rc < 0)
		ck_abort_msg("%s", err->message);
	og_img_unref(img);
	return 0;
}

static int build_all(const struct og_view *v, unsigned type, const struct og_layer *l, size_t n, struct og_error *err)
{
	const struct og_type *t = &m.catalog->types[type];
	struct og_build_in in = { .catalog = m.catalog, .type = t, .layers = l, .nlayers = n };
	struct og_build_want wants[24];
	size_t nwants = 0;

	wants[nwants++] = (struct og_build_want){ OG_IMG_IDS, 0 };
	wants[nwants++] = (struct og_build_want){ OG_IMG_IDX, 0 };
	for (uint32_t p = 0; p < t->nprops; p++)
		wants[nwants++] = (struct og_build_want){ OG_IMG_COL, t->props[p].id };
	if (t->kind == OG_EDGE) {
		const struct og_view_type *src = &v->types[t->src_type], *dst = &v->types[t->dst_type];

		wants[nwants++] = (struct og_build_want){ OG_IMG_ADJ, 0 };
		in.src_ids = src->ids;
		in.nsrc_ids = og_view_parts(src);
		in.src_idx = src->pins->idx;
		in.dst_ids = dst->ids;
		in.ndst_ids = og_view_parts(dst);
		in.dst_idx = dst->pins->idx;
	}
	return og_build(&in, wants, nwants, open_built, NULL, err);
}

/* Builds with one layer replaced by bytes that were tampered with. */
static void build_bad(const struct og_view *v, unsigned type, size_t layer, struct og_slice bytes)
{
	struct og_layer l[32];
	struct og_error err = { 0 };
	struct og_change c;
	int rc;

	memcpy(l, layers.l[type], sizeof(l));
	l[layer].bytes = bytes;
	rc = build_all(v, type, l, layers.n[type], &err);
	ck_assert(rc == 0 || rc == OG_ERR_CORRUPT);
	if (rc < 0)
		ck_assert_ptr_nonnull(strstr(err.message, "layer "));
	og_change_init(&c, &m.catalog->types[type]);
	rc = og_change_decode(&c, &m.catalog->types[type], bytes, &err);
	ck_assert(rc == 0 || rc == OG_ERR_CORRUPT);
	og_change_fini(&c);
}

START_TEST(damaged_layers)
{
	struct og_view *v;

	begin(_i, 3);
	v = model_view(&m, &layers);
	for (unsigned type = 0; type < MODEL_TYPES; type++) {
		for (unsigned i = 0; i < 150; i++) {
			size_t k = model_random(&m, (uint32_t)layers.n[type]);
			struct og_slice all = layers.l[type][k].bytes;
			bool cut = model_random(&m, 4) == 0;
			struct og_slice s = exact_copy(all, cut ? model_random(&m, (uint32_t)all.len) : all.len);

			for (unsigned flips = cut ? 0 : 1 + model_random(&m, 2); flips; flips--)
				((char *)(uintptr_t)s.p)[model_random(&m, (uint32_t)s.len)] ^= (char)(1u << model_random(&m, 8));
			build_bad(v, type, k, s);
			free_copy(s);
		}
	}
	og_view_unref(v);
	end();
}
END_TEST

/* One layer of type `name` made of `rows` ids, with the given operation codes (NULL: none). */
static void small_layer(const char *table, const char *const *ids, size_t rows, const int *ops, struct og_buf *out)
{
	struct og_change c;
	struct og_error err = { 0 };

	og_change_init(&c, og_catalog_table(m.catalog, og_slice_str(table)));
	for (size_t i = 0; i < rows; i++) {
		og_colvec_append_str(&c.id, og_slice_str(ids[i]));
		if (ops)
			og_colvec_append_i32(&c.op, ops[i]);
		if (c.type->kind == OG_EDGE) {
			og_colvec_append_str(&c.src, og_slice_str("p"));
			og_colvec_append_str(&c.dst, og_slice_str("q"));
		}
	}
	c.rows = (uint32_t)rows;
	ck_assert_int_eq(og_change_encode(&c, out, &err), 0);
	og_change_fini(&c);
}

START_TEST(an_id_twice_is_damage)
{
	static const char *const twice[] = { "a", "b", "a" }, *const once[] = { "c" };
	struct og_buf b = { 0 }, other = { 0 };
	struct og_layer l[2];
	struct og_error err = { 0 };
	unsigned type;

	begin(0, 0);
	type = og_catalog_node(m.catalog, OG_SLICE("B"))->index;
	small_layer("node:B", once, 1, NULL, &other);
	small_layer("node:B", twice, 3, NULL, &b);
	l[0].bytes = og_buf_view(&b);
	ck_assert_int_eq(build_all(NULL, type, l, 1, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "layer 0: id \"a\" twice");
	l[0].bytes = og_buf_view(&other);
	l[1].bytes = og_buf_view(&b);
	ck_assert_int_eq(build_all(NULL, type, l, 2, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "layer 1: id \"a\" twice");
	og_buf_fini(&b);
	og_buf_fini(&other);
	end();
}
END_TEST

/* The number of rows is a word of the footer until a column is read, and memory is taken by it: no more than the file can hold. */
START_TEST(more_rows_than_bytes_are_damage)
{
	enum { ROWS = 200000 };
	char (*text)[8] = malloc(ROWS * sizeof(*text));
	const char **ids = malloc(ROWS * sizeof(*ids));
	struct og_buf b = { 0 };
	struct og_layer l;
	struct og_error err = { 0 };
	char want[100];
	unsigned type;

	begin(0, 0);
	type = og_catalog_node(m.catalog, OG_SLICE("B"))->index;
	for (unsigned i = 0; i < ROWS; i++) {
		snprintf(text[i], sizeof(text[i]), "%06u", i);
		ids[i] = text[i];
	}
	small_layer("node:B", ids, ROWS, NULL, &b);
	l.bytes = og_buf_view(&b);
	ck_assert_msg(build_all(NULL, type, &l, 1, &err) == 0, "%s", err.message);
	for (unsigned i = 0; i < ROWS; i++)
		ids[i] = "a";
	og_buf_clear(&b);
	small_layer("node:B", ids, ROWS, NULL, &b);
	l.bytes = og_buf_view(&b);
	ck_assert_int_eq(build_all(NULL, type, &l, 1, &err), OG_ERR_CORRUPT);
	snprintf(want, sizeof(want), "layer 0: %u rows cannot be in %zu bytes", ROWS, b.len);
	ck_assert_str_eq(err.message, want);
	og_buf_fini(&b);
	free(ids);
	free(text);
	end();
}
END_TEST

START_TEST(an_unknown_operation_is_damage)
{
	static const char *const ids[] = { "a", "b" };
	static const int ops[] = { 0, 2 };
	struct og_buf b = { 0 };
	struct og_layer l;
	struct og_change c;
	struct og_error err = { 0 };
	const struct og_type *type;

	begin(0, 0);
	type = og_catalog_node(m.catalog, OG_SLICE("B"));
	small_layer("node:B", ids, 2, ops, &b);
	l.bytes = og_buf_view(&b);
	ck_assert_int_eq(build_all(NULL, type->index, &l, 1, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "layer 0: row 1: unknown operation");
	og_change_init(&c, type);
	ck_assert_int_eq(og_change_decode(&c, type, l.bytes, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "rows of node:B: row 1: unknown operation");
	og_change_fini(&c);
	og_buf_fini(&b);
	end();
}
END_TEST

static int no_sink(void *arg, const void *p, size_t n, struct og_error *err)
{
	(void)arg;
	(void)p;
	(void)n;
	(void)err;
	return 0;
}

/* A null where the schema has none cannot go into a plain segment. */
START_TEST(a_null_where_none_may_be_is_damage)
{
	static const char *const ids[] = { "a", "b" };
	struct og_buf b = { 0 };
	struct og_layer l;
	struct og_error err = { 0 };
	struct og_build_in in = { .layers = &l, .nlayers = 1 };
	uint64_t rows;

	begin(0, 0);
	small_layer("node:A", ids, 2, NULL, &b);
	l.bytes = og_buf_view(&b);
	in.catalog = m.catalog;
	in.type = og_catalog_node(m.catalog, OG_SLICE("A"));
	ck_assert_int_eq(og_fold(&in, false, no_sink, NULL, &rows, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "layer 0: row 0: big is null");
	ck_assert_int_eq(og_fold(&in, true, no_sink, NULL, &rows, &err), 0);
	ck_assert_uint_eq(rows, 2);
	og_buf_fini(&b);
	end();
}
END_TEST

START_TEST(an_edge_to_nowhere_is_damage)
{
	static const char *const ids[] = { "e" };
	struct og_buf b = { 0 };
	struct og_layer l;
	struct og_view *v;
	struct og_error err = { 0 };

	begin(0, 0);
	v = og_view_new(m.catalog);
	small_layer("edge:K", ids, 1, NULL, &b);
	l.bytes = og_buf_view(&b);
	ck_assert_int_eq(build_all(v, og_catalog_edge(m.catalog, OG_SLICE("K"))->index, &l, 1, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "layer 0: source \"p\" of an edge does not exist");
	og_view_unref(v);
	og_buf_fini(&b);
	end();
}
END_TEST

/* A sealed memfd of the same bytes, with `flips` bits turned over. */
static int tampered(const struct og_img *img, unsigned flips, uint32_t below)
{
	struct og_error err = { 0 };
	char *p = malloc(img->map.len);
	int fd = -1;

	ck_assert_ptr_nonnull(p);
	memcpy(p, img->map.p, img->map.len);
	for (; flips; flips--)
		p[model_random(&m, below)] ^= (char)(1u << model_random(&m, 8));
	ck_assert_int_eq(og_memfd_from("test", og_slice(p, img->map.len), &fd, &err), 0);
	free(p);
	return fd;
}

static void read_with(const struct og_view *good, struct og_img *bad)
{
	struct og_view *v = og_view_new(m.catalog);
	struct og_error err = { 0 };

	for (unsigned i = 0; i < MODEL_TYPES; i++)
		ck_assert_int_eq(og_view_set_base(v, i, good->types[i].content, good->types[i].base_slots, &err), 0);
	og_view_pin(v, bad);
	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		const struct og_view_type *t = &good->types[i];

		for (uint32_t p = 0; p < og_view_parts(t); p++) {
			og_view_pin(v, t->ids[p]);
			for (uint32_t c = 0; c < t->type->nprops; c++)
				og_view_pin(v, t->cols[c][p]);
		}
		if (t->pins->idx)
			og_view_pin(v, t->pins->idx);
		if (t->pins->adj)
			og_view_pin(v, t->pins->adj);
	}
	read_all(v);
	og_view_unref(v);
}

static void tamper(const struct og_view *v, const struct og_img *img, unsigned flips, uint32_t below)
{
	struct og_img *bad;
	struct og_error err = { 0 };
	int fd = tampered(img, flips, below), rc = og_img_open(fd, &img->key, &bad, &err);

	og_fd_close(&fd);
	ck_assert(rc == 0 || rc == OG_ERR_CORRUPT);
	if (rc < 0)
		return;
	read_with(v, bad);
	og_img_unref(bad);
}

static void tamper_much(const struct og_view *v, const struct og_img *img)
{
	for (unsigned i = 0; i < 120; i++)
		tamper(v, img, 1, 260);		/* the header's fields */
	for (unsigned i = 0; i < 60; i++)
		tamper(v, img, 1 + model_random(&m, 3), (uint32_t)img->map.len);
}

START_TEST(damaged_images)
{
	struct og_view *v;

	begin(_i, 2);
	v = model_view(&m, &layers);
	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		const struct og_view_type *t = &v->types[i];

		if (!t->base_slots)
			continue;
		tamper_much(v, t->ids[0]);
		tamper_much(v, t->pins->idx);
		if (t->pins->adj)
			tamper_much(v, t->pins->adj);
		if (t->type->nprops)
			tamper_much(v, t->cols[(unsigned)_i % t->type->nprops][0]);
	}
	og_view_unref(v);
	end();
}
END_TEST

/* A header that was changed on purpose rather than by chance. */
static int reheaded(const struct og_img *img, const struct og_img_head *h)
{
	struct og_buf b = { 0 };
	struct og_error err = { 0 };
	char *p = malloc(img->map.len);
	int fd = -1;

	og_img_head_put(&b, h);
	memcpy(p, img->map.p, img->map.len);
	memcpy(p, b.data, b.len);
	ck_assert_int_eq(og_memfd_from("test", og_slice(p, img->map.len), &fd, &err), 0);
	og_buf_fini(&b);
	free(p);
	return fd;
}

static void refused(const struct og_img *img, const struct og_img_head *h)
{
	struct og_img *bad;
	struct og_error err = { 0 };
	int fd = reheaded(img, h);

	ck_assert_int_eq(og_img_open(fd, NULL, &bad, &err), OG_ERR_CORRUPT);
	og_fd_close(&fd);
}

START_TEST(lying_headers)
{
	static const uint64_t lies[] = { 0, 1, 63, 64, 4095, 4096, 1u << 20, UINT32_MAX, 1ull << 40, UINT64_MAX - 63, UINT64_MAX };
	struct og_view *v;

	begin(_i, 2);
	v = model_view(&m, &layers);
	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		const struct og_view_type *t = &v->types[i];
		const struct og_img *imgs[] = { t->ids[0], t->pins->idx, t->pins->adj };

		for (size_t k = 0; k < OG_COUNT(imgs); k++) {
			struct og_img_head h, good;
			struct og_error err = { 0 };

			if (!imgs[k])
				continue;
			ck_assert_int_eq(og_img_head_read(og_slice(imgs[k]->map.p, OG_IMG_PAGE), &good, &err), 0);
			for (size_t l = 0; l < OG_COUNT(lies); l++) {
				h = good;
				h.rows = lies[l];
				if (k != 1 && lies[l] != good.rows)
					refused(imgs[k], &h);
				for (unsigned buf = 0; buf < OG_IMG_BUFS; buf++) {
					h = good;
					h.bufs[buf].len = lies[l];
					if (lies[l] > imgs[k]->map.len)
						refused(imgs[k], &h);
					h = good;
					h.bufs[buf].off = lies[l];
					if (lies[l] % 64 || lies[l] < 4096 || lies[l] > imgs[k]->map.len)
						refused(imgs[k], &h);
				}
			}
			h = good;
			h.key.what = (enum og_img_what)9;
			refused(imgs[k], &h);
		}
	}
	og_view_unref(v);
	end();
}
END_TEST

START_TEST(refuses_what_is_not_sealed)
{
	struct og_view *v;
	struct og_img *img;
	struct og_error err = { 0 };
	struct og_img_key other;
	const struct og_img *good;
	int fd;

	begin(1, 1);
	v = model_view(&m, &layers);
	good = v->types[MODEL_TYPES - 1].ids[0];
	ck_assert_int_eq(og_memfd_new("test", &fd, &err), 0);
	ck_assert_int_eq(og_fd_write_all(fd, good->map, &err), 0);
	ck_assert_int_lt(og_img_open(fd, &good->key, &img, &err), 0);
	/* Sealed, it is fine; but not under another name, nor cut short. */
	ck_assert_int_eq(og_memfd_seal(fd, &err), 0);
	ck_assert_int_eq(og_img_open(fd, &good->key, &img, &err), 0);
	og_img_unref(img);
	other = good->key;
	other.content.lo ^= 1;
	ck_assert_int_eq(og_img_open(fd, &other, &img, &err), OG_ERR_CORRUPT);
	og_fd_close(&fd);
	ck_assert_int_eq(og_memfd_from("test", og_slice(good->map.p, 4095), &fd, &err), 0);
	ck_assert_int_eq(og_img_open(fd, &good->key, &img, &err), OG_ERR_CORRUPT);
	og_fd_close(&fd);
	og_view_unref(v);
	end();
}
END_TEST

/* An image of other values, or of other rows, is not taken for a view's own. */
START_TEST(pins_only_what_fits)
{
	struct og_view *v, *w;
	struct og_error err = { 0 };
	const struct og_type *b, *e;

	begin(1, 1);
	v = model_view(&m, &layers);
	b = og_catalog_node(m.catalog, OG_SLICE("B"));
	e = og_catalog_edge(m.catalog, OG_SLICE("E"));
	w = og_view_new(m.catalog);
	ck_assert_int_eq(og_view_set_base(w, b->index, v->types[b->index].content, v->types[b->index].base_slots + 1, &err), 0);
	og_view_pin(w, v->types[b->index].ids[0]);
	og_view_pin(w, v->types[b->index].pins->idx);
	ck_assert_ptr_null(w->types[b->index].ids[0]);
	ck_assert_ptr_null(w->types[b->index].pins->idx);
	/* Node types whose content the view has otherwise: the edges' slots would be others. */
	ck_assert_int_eq(og_view_set_base(w, e->index, v->types[e->index].content, v->types[e->index].base_slots, &err), 0);
	og_view_pin(w, v->types[e->index].pins->adj);
	ck_assert_ptr_null(w->types[e->index].pins->adj);
	og_view_unref(w);
	og_view_unref(v);
	end();
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, damaged_layers, 0, 2);
	tcase_add_test(tc, an_id_twice_is_damage);
	tcase_add_test(tc, more_rows_than_bytes_are_damage);
	tcase_add_test(tc, an_unknown_operation_is_damage);
	tcase_add_test(tc, a_null_where_none_may_be_is_damage);
	tcase_add_test(tc, an_edge_to_nowhere_is_damage);
	tcase_add_loop_test(tc, damaged_images, 0, 4);
	tcase_add_loop_test(tc, lying_headers, 0, 1);
	tcase_add_test(tc, refuses_what_is_not_sealed);
	tcase_add_test(tc, pins_only_what_fits);
}

int main(void)
{
	return suite_run("image_bad", add, 120);
}
