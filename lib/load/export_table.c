/* Exports: the rows of one table as JSON lines. */
#include "config.h"

#include <stdlib.h>

#include "base/codec.h"
#include "image/view.h"
#include "json/value.h"
#include "load/export.h"

struct place {
	uint64_t key[3];		/* 24 bytes of the id behind what all ids begin with, big-endian: the whole of a ULID, nearly always */
	uint32_t slot;
	uint32_t src, dst;		/* of an edge */
};

struct og_export_table {
	struct og_view *view;
	const struct og_view_type *t;
	struct place *rows;
	size_t n, at;
	size_t common;			/* bytes with which all ids begin */
	struct og_buf head;		/* what every line begins with */
	struct og_slice *keys;		/* `,"name":` of each property */
	struct og_arena kept;
	struct og_arena arena;		/* of one row */
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

static uint64_t key_at(struct og_slice s, size_t at)
{
	uint64_t k = 0;

	if (s.len >= at + 8)
		return __builtin_bswap64(og_le64(s.p + at));
	for (size_t i = at; i < at + 8; i++)
		k = k << 8 | (i < s.len ? (unsigned char)s.p[i] : 0);
	return k;
}

static int cmp_places(const void *a, const void *b, void *arg)
{
	const struct og_view_type *t = arg;
	const struct place *x = a, *y = b;

	for (unsigned i = 0; i < OG_COUNT(x->key); i++)
		if (x->key[i] != y->key[i])
			return x->key[i] < y->key[i] ? -1 : 1;
	return og_slice_cmp(og_view_id(t, x->slot), og_view_id(t, y->slot));
}

static size_t common_prefix(struct og_slice a, struct og_slice b, size_t max)
{
	size_t n = 0;

	max = OG_MIN(max, OG_MIN(a.len, b.len));
	while (n < max && a.p[n] == b.p[n])
		n++;
	return n;
}

static int list_rows(struct og_export_table *x, struct og_error *err)
{
	uint32_t cursor = 0, slots[1024], ends[2][1024];
	bool edge = x->t->type->kind == OG_EDGE;
	struct og_slice ids[1024], first = { 0 };
	size_t got;

	x->rows = malloc((x->t->rows + 1) * sizeof(*x->rows));
	if (!x->rows)
		return og_error_nomem(err);
	while ((got = og_view_scan(x->t, &cursor, slots, OG_COUNT(slots))) > 0) {
		if (got > x->t->rows - x->n)
			return og_error_set(err, OG_ERR_INTERNAL, "more rows of %.*s than its state announces", OG_FMT(x->t->type->table_key));
		og_view_gather_id(x->t, slots, got, ids);
		if (edge)
			og_view_gather_endpoints(x->t, slots, got, ends[0], ends[1]);
		if (x->n == 0) {
			first = ids[0];
			x->common = first.len;
		}
		for (size_t i = 0; i < got; i++) {
			x->common = common_prefix(first, ids[i], x->common);
			x->rows[x->n++] = (struct place){ .slot = slots[i], .src = edge ? ends[0][i] : 0, .dst = edge ? ends[1][i] : 0 };
		}
	}
	return 0;
}

static int sort_rows(struct og_export_table *x, struct og_error *err)
{
	bool sorted = true;
	int rc = list_rows(x, err);

	for (size_t i = 0; rc == 0 && i < x->n; i++) {
		struct og_slice id = og_view_id(x->t, x->rows[i].slot);

		for (unsigned k = 0; k < OG_COUNT(x->rows[i].key); k++)
			x->rows[i].key[k] = key_at(id, x->common + 8 * k);
		/* Most tables were loaded in order. */
		sorted = sorted && (i == 0 || cmp_places(&x->rows[i - 1], &x->rows[i], (void *)(uintptr_t)x->t) < 0);
	}
	if (rc == 0 && !sorted)
		qsort_r(x->rows, x->n, sizeof(*x->rows), cmp_places, (void *)(uintptr_t)x->t);
	return rc;
}

/* What does not change from line to line. */
static int write_constants(struct og_export_table *x, struct og_error *err)
{
	const struct og_type *t = x->t->type;
	struct og_buf b = { 0 };
	int rc = 0;

	og_buf_str(&x->head, t->kind == OG_NODE ? "{\"type\":" : "{\"edge\":");
	og_json_quote(&x->head, t->name);
	og_buf_str(&x->head, t->kind == OG_NODE ? ",\"data\":{\"id\":" : ",\"from\":");
	x->keys = og_arena_array(&x->kept, t->nprops + 1, sizeof(*x->keys));
	if (!x->keys)
		rc = og_arena_error(&x->kept, err);
	for (uint32_t i = 0; rc == 0 && i < t->nprops; i++) {
		og_buf_clear(&b);
		og_buf_byte(&b, ',');
		og_json_quote(&b, t->props[i].name);
		og_buf_byte(&b, ':');
		if ((rc = og_buf_ok(&b, err)) < 0)
			break;
		x->keys[i] = og_arena_slice(&x->kept, og_buf_view(&b));
		if (!x->keys[i].p)
			rc = og_arena_error(&x->kept, err);
	}
	og_buf_fini(&b);
	return rc < 0 ? rc : og_buf_ok(&x->head, err);
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
	og_arena_init(&x->kept, 0);
	rc = write_constants(x, err);
	if (rc == 0)
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
	og_arena_fini(&x->kept);
	og_buf_fini(&x->head);
	free(x->rows);
	og_view_unref(x->view);
	free(x);
}

/* ---- lines ---- */

static int put_row(struct og_export_table *x, struct og_buf *out, const struct place *row, struct og_error *err)
{
	const struct og_type *t = x->t->type;
	struct og_json_writer w;
	int rc;

	og_buf_slice(out, og_buf_view(&x->head));
	if (t->kind == OG_EDGE) {
		og_json_quote(out, og_view_id(&x->view->types[t->src_type], row->src));
		og_buf_slice(out, OG_SLICE(",\"to\":"));
		og_json_quote(out, og_view_id(&x->view->types[t->dst_type], row->dst));
		og_buf_slice(out, OG_SLICE(",\"data\":{\"id\":"));
	}
	og_json_quote(out, og_view_id(x->t, row->slot));
	og_json_writer_init(&w, out, false);
	for (uint32_t i = 0; i < t->nprops; i++) {
		struct og_value v;

		if (og_view_value(x->t, i, row->slot, &x->arena, &v) < 0)
			return og_arena_error(&x->arena, err);
		og_buf_slice(out, x->keys[i]);
		/* Each value is a whole of its own to the writer. */
		if ((rc = og_json_value_export(&w, &v, t->props[i].type.scalar, err)) < 0)
			return rc;
	}
	og_buf_slice(out, OG_SLICE("}}\n"));
	return og_buf_ok(out, err);
}

int og_export_table_next(struct og_export_table *x, struct og_buf *out, size_t want, struct og_error *err)
{
	size_t from = out->len;

	while (x->at < x->n) {
		size_t line = out->len;
		int rc;

		og_arena_reset(&x->arena);
		rc = put_row(x, out, &x->rows[x->at], err);
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
