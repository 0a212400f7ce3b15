/* Exports: the rows of one table as JSON lines. */
#include "config.h"

#include <stdlib.h>

#include "image/view.h"
#include "json/value.h"
#include "load/export.h"

struct place {
	uint64_t prefix;		/* the first eight bytes of the id, big-endian */
	uint32_t slot;
};

struct og_export_table {
	struct og_view *view;
	const struct og_view_type *t;
	struct place *rows;
	size_t n, at;
	struct og_arena arena;
};

int og_export_select(const struct og_catalog *c, const struct og_export_req *req, bool *tables, struct og_error *err)
{
	bool all = req->ntype_names == 0 && req->ntable_keys == 0;

	for (uint32_t i = 0; i < c->ntypes; i++)
		tables[i] = all;
	for (size_t n = 0; n < req->ntype_names; n++) {
		bool found = false;

		for (uint32_t i = 0; i < c->ntypes; i++)
			if (og_slice_eq(c->types[i].name, req->type_names[n]))
				tables[i] = found = true;
		if (!found)
			return og_error_set(err, OG_ERR_BAD, "unknown export type '%.*s'", OG_FMT(req->type_names[n]));
	}
	for (size_t n = 0; n < req->ntable_keys; n++) {
		const struct og_type *t = og_catalog_table(c, req->table_keys[n]);

		if (!t)
			return og_error_set(err, OG_ERR_BAD, "unknown export table '%.*s'", OG_FMT(req->table_keys[n]));
		tables[t->index] = true;
	}
	return 0;
}

size_t og_export_needs(const struct og_catalog *c, const struct og_type *t, struct og_need *needs)
{
	size_t n = 0;

	needs[n++] = (struct og_need){ OG_NEED_IDS, t, 0 };
	for (uint32_t i = 0; i < t->nprops; i++)
		needs[n++] = (struct og_need){ OG_NEED_COL, t, i };
	if (t->kind == OG_NODE)
		return n;
	needs[n++] = (struct og_need){ OG_NEED_ADJ, t, 0 };
	needs[n++] = (struct og_need){ OG_NEED_IDS, &c->types[t->src_type], 0 };
	needs[n++] = (struct og_need){ OG_NEED_IDS, &c->types[t->dst_type], 0 };
	return n;
}

/* ---- order ---- */

static uint64_t prefix_of(struct og_slice s)
{
	uint64_t p = 0;

	for (size_t i = 0; i < 8; i++)
		p = p << 8 | (i < s.len ? (unsigned char)s.p[i] : 0);
	return p;
}

static int cmp_places(const void *a, const void *b, void *arg)
{
	const struct og_view_type *t = arg;
	const struct place *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return og_slice_cmp(og_view_id(t, x->slot), og_view_id(t, y->slot));
}

static int sort_rows(struct og_export_table *x, struct og_error *err)
{
	uint32_t cursor = 0, slots[1024];
	struct og_slice ids[1024];
	bool sorted = true;
	size_t got;

	x->rows = malloc((x->t->rows + 1) * sizeof(*x->rows));
	if (!x->rows)
		return og_error_nomem(err);
	while ((got = og_view_scan(x->t, &cursor, slots, OG_COUNT(slots))) > 0) {
		if (got > x->t->rows - x->n)
			return og_error_set(err, OG_ERR_INTERNAL, "more rows of %.*s than its state announces", OG_FMT(x->t->type->table_key));
		og_view_gather_id(x->t, slots, got, ids);
		for (size_t i = 0; i < got; i++) {
			x->rows[x->n] = (struct place){ prefix_of(ids[i]), slots[i] };
			/* Most tables were loaded in order. */
			sorted = sorted && (x->n == 0 || cmp_places(&x->rows[x->n - 1], &x->rows[x->n], (void *)(uintptr_t)x->t) < 0);
			x->n++;
		}
	}
	if (!sorted)
		qsort_r(x->rows, x->n, sizeof(*x->rows), cmp_places, (void *)(uintptr_t)x->t);
	return 0;
}

int og_export_table_new(struct og_view *v, uint32_t type, struct og_export_table **out, struct og_error *err)
{
	struct og_export_table *x = calloc(1, sizeof(*x));
	int rc;

	if (!x)
		return og_error_nomem(err);
	x->view = og_view_ref(v);
	x->t = &v->types[type];
	og_arena_init(&x->arena, 0);
	rc = sort_rows(x, err);
	if (rc < 0) {
		og_export_table_free(x);
		return rc;
	}
	*out = x;
	return 0;
}

void og_export_table_free(struct og_export_table *x)
{
	if (!x)
		return;
	og_arena_fini(&x->arena);
	free(x->rows);
	og_view_unref(x->view);
	free(x);
}

/* ---- lines ---- */

static int put_row(struct og_export_table *x, struct og_buf *out, uint32_t slot, struct og_error *err)
{
	const struct og_type *t = x->t->type;
	struct og_json_writer w;
	uint32_t src, dst;
	int rc;

	og_json_writer_init(&w, out, false);
	og_json_begin_object(&w);
	if (t->kind == OG_NODE) {
		og_json_member_string(&w, "type", t->name);
	} else {
		og_view_endpoints(x->t, slot, &src, &dst);
		og_json_member_string(&w, "edge", t->name);
		og_json_member_string(&w, "from", og_view_id(&x->view->types[t->src_type], src));
		og_json_member_string(&w, "to", og_view_id(&x->view->types[t->dst_type], dst));
	}
	og_json_member_object(&w, "data");
	og_json_member_string(&w, "id", og_view_id(x->t, slot));
	for (uint32_t i = 0; i < t->nprops; i++) {
		struct og_value v;

		if (og_view_value(x->t, i, slot, &x->arena, &v) < 0)
			return og_arena_error(&x->arena, err);
		og_json_put_key(&w, t->props[i].name);
		if ((rc = og_json_value_export(&w, &v, t->props[i].type.scalar, err)) < 0)
			return rc;
	}
	og_json_end_object(&w);
	og_json_end_object(&w);
	og_buf_byte(out, '\n');
	return og_buf_ok(out, err);
}

int og_export_table_next(struct og_export_table *x, struct og_buf *out, size_t want, struct og_error *err)
{
	size_t from = out->len;

	while (x->at < x->n) {
		size_t line = out->len;
		int rc;

		og_arena_reset(&x->arena);
		rc = put_row(x, out, x->rows[x->at].slot, err);
		if (rc < 0) {
			out->len = line;
			return rc;
		}
		x->at++;
		if (out->len - from >= want)
			break;
	}
	return x->at < x->n ? OG_EXPORT_MORE : OG_EXPORT_END;
}
