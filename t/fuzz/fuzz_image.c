/* Any bytes as a layer over a sound one: images or an error; and as a commit's body, applied to a view. */
#include "config.h"

#include <stdlib.h>

#include "base/fd.h"
#include "image/local.h"
#include "t/fuzz/driver.h"

static const char schema[] = "node A { s: String? n: I32? ok: Bool? tags: [String]? nums: [I64]? v: Vector(2)? }\nedge K: A -> A { w: I32? }\n";

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* A body of type `name` with a few rows. */
static void rows(const struct og_catalog *c, const char *name, bool deletes, struct og_buf *out)
{
	const struct og_type *t = og_catalog_table(c, og_slice_str(name));
	const struct og_value tags[2] = { { .kind = OG_V_STRING, .s = OG_SLICE("x") }, { .kind = OG_V_NULL } };
	const float vec[2] = { 1, 2 };
	struct og_change ch;
	struct og_error err;

	og_change_init(&ch, t);
	for (int i = 0; i < 5; i++) {
		struct og_value v[8] = { 0 };
		char id[2] = { (char)('a' + i), 0 };

		if (deletes && i == 2) {
			require(og_change_delete(&ch, og_slice_str(id), OG_SLICE("a"), OG_SLICE("b"), &err) == 0);
			continue;
		}
		for (uint32_t p = 0; p < t->nprops; p++) {
			const struct og_proptype *pt = &t->props[p].type;

			v[p].kind = i % 2 ? OG_V_NULL : og_proptype_kind(pt);
			if (v[p].kind == OG_V_LIST && pt->scalar == OG_STRING) {
				v[p].items.v = tags;
				v[p].items.n = 2;
			} else if (v[p].kind == OG_V_VECTOR) {
				v[p].vec.v = vec;
				v[p].vec.dim = 2;
			} else if (v[p].kind == OG_V_STRING) {
				v[p].s = OG_SLICE("text");
			}
		}
		require(og_change_upsert(&ch, og_slice_str(id), OG_SLICE("a"), OG_SLICE("b"), v, &err) == 0);
	}
	require(og_change_encode(&ch, out, &err) == 0);
	og_change_fini(&ch);
}

static struct og_catalog *catalog(void)
{
	struct og_catalog *c;
	struct og_error err;

	require(og_catalog_compile(og_slice_str(schema), NULL, 0, &c, &err) == 0);
	return c;
}

/* The first byte says what the others are. */
bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	struct og_catalog *c;

	if (nr >= 4)
		return false;
	c = catalog();
	og_buf_byte(out, (uint8_t)nr);
	rows(c, nr & 1 ? "edge:K" : "node:A", nr & 2, out);
	og_catalog_unref(c);
	return true;
}

static void read_type(const struct og_view_type *t)
{
	uint32_t slots[16], cursor = 0, src, dst;
	struct og_arena a;
	size_t n;

	og_arena_init(&a, 0);
	while ((n = og_view_scan(t, &cursor, slots, 16)) > 0)
		for (size_t i = 0; i < n; i++) {
			struct og_value v;

			require(og_view_find(t, og_view_id(t, slots[i])) == slots[i]);
			for (uint32_t p = 0; p < t->type->nprops; p++)
				require(og_view_value(t, p, slots[i], &a, &v) == 0);
			if (t->type->kind == OG_EDGE)
				og_view_endpoints(t, slots[i], &src, &dst);
		}
	og_arena_fini(&a);
}

/* Base layers of A and K, one of them with `extra` on top. NULL: refused. */
static struct og_view *build(struct og_catalog *c, const struct og_layer *base, uint32_t type, struct og_slice extra)
{
	struct og_view *v = og_view_new(c);
	struct og_layer layers[2][2];
	struct og_local_type local[2];
	struct og_need needs[16];
	struct og_error err;
	size_t n = 0;

	for (uint32_t i = 0; i < 2; i++) {
		layers[i][0] = base[i];
		layers[i][1].bytes = extra;
		local[i] = (struct og_local_type){ layers[i], extra.len && i == type ? 2 : 1 };
		/* Nodes that edges of the base need may be gone: that is damage too. */
		if (og_view_set_local(v, i, layers[i], local[i].nlayers, &err) < 0)
			goto bad;
	}
	for (uint32_t i = 0; i < 2; i++) {
		needs[n++] = (struct og_need){ OG_NEED_IDX, &c->types[i], 0 };
		needs[n++] = (struct og_need){ OG_NEED_ADJ, &c->types[i], 0 };
		for (uint32_t p = 0; p < c->types[i].nprops; p++)
			needs[n++] = (struct og_need){ OG_NEED_COL, &c->types[i], p };
	}
	if (og_view_build_local(v, local, needs, n, &err) == 0)
		return v;
bad:
	require(err.code == OG_ERR_CORRUPT || err.code == OG_ERR_TOO_LARGE);
	og_view_unref(v);
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct og_catalog *c = catalog();
	struct og_slice body = og_slice(size ? data + 1 : data, size ? size - 1 : 0);
	const struct og_type *type = og_catalog_table(c, og_slice_str(size && data[0] & 1 ? "edge:K" : "node:A"));
	struct og_buf bytes[2] = { { 0 }, { 0 } };
	struct og_layer base[2];
	struct og_change ch;
	struct og_error err;
	struct og_view *v;

	for (uint32_t i = 0; i < 2; i++) {
		rows(c, c->types[i].kind == OG_EDGE ? "edge:K" : "node:A", false, &bytes[i]);
		base[i].bytes = og_buf_view(&bytes[i]);
	}
	v = build(c, base, type->index, body);
	for (uint32_t i = 0; v && i < 2; i++)
		read_type(&v->types[i]);
	og_view_unref(v);
	v = build(c, base, 0, og_slice(NULL, 0));
	require(v != NULL);
	og_change_init(&ch, type);
	if (og_change_decode(&ch, type, body, &err) == 0) {
		int rc = og_view_apply(v, &ch, &err);

		require(rc == 0 || rc == OG_ERR_CORRUPT);
		for (uint32_t i = 0; i < 2; i++)
			read_type(&v->types[i]);
	}
	og_change_fini(&ch);
	og_view_unref(v);
	og_buf_fini(&bytes[0]);
	og_buf_fini(&bytes[1]);
	og_catalog_unref(c);
	return 0;
}
