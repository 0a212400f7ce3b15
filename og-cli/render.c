/* Query results as text. */
#include "config.h"

#include "og-cli/render.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/utf8.h"
#include "json/tree.h"
#include "json/writer.h"

struct columns {
	struct og_slice *v;
	size_t n;
	size_t *widths;			/* table */
};

struct render {
	struct og_buf *out;
	const struct render_result *r;
	const struct render_opts *o;
	struct og_error *err;
	struct og_arena arena;		/* of the whole call */
	struct og_arena row;		/* of one row */
	struct columns cols;
};

/* ---- rows, one after the other ---- */

struct row_iter {
	struct render *r;
	const char *p, *end;
	size_t n;			/* rows given so far */
};

static void skip_blanks(struct row_iter *it)
{
	while (it->p < it->end && memchr(" \t\r\n", *it->p, 4))
		it->p++;
}

static int bad_rows(struct render *r)
{
	return og_error_set(r->err, OG_ERR_BAD, "the rows are not a list of objects");
}

static int iter_begin(struct row_iter *it, struct render *r)
{
	*it = (struct row_iter){ .r = r, .p = r->r->rows.p, .end = r->r->rows.p + r->r->rows.len };
	skip_blanks(it);
	if (it->p == it->end || *it->p++ != '[')
		return bad_rows(r);
	return 0;
}

/* 1 and the row, 0 at the end. The row lives until the next call. */
static int iter_next(struct row_iter *it, const struct og_json **row)
{
	struct render *r = it->r;
	struct og_json_reader reader;
	const char *start;
	int token;

	skip_blanks(it);
	if (it->p < it->end && *it->p == ']')
		return 0;
	if (it->n && (it->p == it->end || *it->p++ != ','))
		return bad_rows(r);
	og_arena_reset(&r->row);
	start = it->p;
	og_json_reader_init_head(&reader, og_slice(start, (size_t)(it->end - start)), true, NULL, &r->row);
	token = og_json_next(&reader, r->err);
	if (token < 0 || (token = og_json_skip(&reader, token, r->err)) < 0)
		return token;
	it->p = reader.p;
	*row = og_json_parse(&r->row, og_slice(start, (size_t)(it->p - start)), OG_JSON_LAST_WINS, r->err);
	if (!*row)
		return r->err->code;
	if (!og_json_is(*row, OG_JT_OBJECT))
		return bad_rows(r);
	it->n++;
	return 1;
}

/* Calls fn with each row and its number, from 1. */
static int each_row(struct render *r, int (*fn)(struct render *r, const struct og_json *row, size_t i))
{
	const struct og_json *row;
	struct row_iter it;
	int rc = iter_begin(&it, r);

	while (rc >= 0 && (rc = iter_next(&it, &row)) > 0)
		rc = fn(r, row, it.n);
	return rc;
}

/* ---- columns ---- */

static int by_name(const void *a, const void *b)
{
	return og_slice_cmp(*(const struct og_slice *)a, *(const struct og_slice *)b);
}

static int given_columns(struct render *r)
{
	const struct og_json *list = og_json_parse(&r->arena, r->r->columns, OG_JSON_LAST_WINS, r->err);

	if (!list)
		return r->err->code;
	if (!og_json_is(list, OG_JT_ARRAY))
		return og_error_set(r->err, OG_ERR_BAD, "the columns are not a list of names");
	r->cols.v = og_arena_array(&r->arena, list->items.n ? list->items.n : 1, sizeof(*r->cols.v));
	if (!r->cols.v)
		return og_arena_error(&r->arena, r->err);
	for (size_t i = 0; i < list->items.n; i++) {
		if (!og_json_is(&list->items.v[i], OG_JT_STRING))
			return og_error_set(r->err, OG_ERR_BAD, "the columns are not a list of names");
		r->cols.v[i] = list->items.v[i].s;
	}
	r->cols.n = list->items.n;
	return 0;
}

/* The sorted union of all keys, for answers without columns. */
static int found_columns(struct render *r)
{
	struct og_map seen = { 0 };
	struct og_map_entry *e;
	const struct og_json *row;
	struct row_iter it;
	int rc = iter_begin(&it, r);

	while (rc >= 0 && (rc = iter_next(&it, &row)) > 0)
		for (size_t i = 0; i < row->members.n; i++) {
			struct og_slice key = row->members.v[i].key;

			if (og_map_find(&seen, key))
				continue;
			key = og_arena_slice(&r->arena, key);
			if (!key.p || !og_map_put(&seen, key, NULL)) {
				rc = og_error_nomem(r->err);
				break;
			}
		}
	r->cols.v = rc == 0 ? og_arena_array(&r->arena, seen.count ? seen.count : 1, sizeof(*r->cols.v)) : NULL;
	if (rc == 0 && !r->cols.v)
		rc = og_arena_error(&r->arena, r->err);
	for (size_t i = 0; rc == 0 && (e = og_map_next(&seen, &i));)
		r->cols.v[r->cols.n++] = e->key;
	if (r->cols.n)
		qsort(r->cols.v, r->cols.n, sizeof(*r->cols.v), by_name);
	og_map_fini(&seen);
	return rc;
}

/* ---- cells ---- */

/* Mostly the row's members are in the order of the columns. */
static const struct og_json *cell(const struct render *r, const struct og_json *row, size_t col)
{
	if (col < row->members.n && og_slice_eq(row->members.v[col].key, r->cols.v[col]))
		return &row->members.v[col].value;
	return og_json_get_slice(row, r->cols.v[col]);
}

/* Strings raw, null and what is missing `null`, the rest as compact JSON. */
static void put_cell(struct og_buf *b, const struct og_json *v)
{
	if (!v)
		og_buf_str(b, "null");
	else if (v->type == OG_JT_STRING)
		og_buf_slice(b, v->s);
	else
		og_json_text(b, v);
}

static void put_head(struct render *r)
{
	const struct render_result *x = r->r;

	og_buf_printf(r->out, "%llu rows from %s ", (unsigned long long)x->row_count, x->snapshot.p ? "snapshot" : "branch");
	og_buf_slice(r->out, x->snapshot.p ? x->snapshot : x->branch);
	og_buf_str(r->out, " via ");
	og_buf_slice(r->out, x->query_name);
	og_buf_byte(r->out, '\n');
}

/* ---- json, jsonl ---- */

static void put_slice_or_null(struct og_json_writer *w, const char *key, struct og_slice s)
{
	if (s.p)
		og_json_member_string(w, key, s);
	else
		og_json_member_null(w, key);
}

static void put_target(struct og_json_writer *w, const struct render_result *x)
{
	og_json_member_object(w, "target");
	put_slice_or_null(w, "branch", x->branch);
	put_slice_or_null(w, "snapshot", x->snapshot);
	og_json_end_object(w);
}

static int render_json(struct render *r)
{
	const struct og_json *row;
	struct og_json_writer w;
	struct row_iter it;
	int rc;

	og_json_writer_init(&w, r->out, true);
	og_json_begin_object(&w);
	og_json_member_string(&w, "query_name", r->r->query_name);
	put_target(&w, r->r);
	og_json_member_u64(&w, "row_count", r->r->row_count);
	if (r->cols.n && r->r->columns.len) {
		og_json_member_array(&w, "columns");
		for (size_t i = 0; i < r->cols.n; i++)
			og_json_put_string(&w, r->cols.v[i]);
		og_json_end_array(&w);
	}
	og_json_member_array(&w, "rows");
	rc = iter_begin(&it, r);
	while (rc >= 0 && (rc = iter_next(&it, &row)) > 0)
		og_json_put_tree(&w, row);
	if (rc < 0)
		return rc;
	og_json_end_array(&w);
	if (r->r->commit.p)
		og_json_member_string(&w, "graph_commit_id", r->r->commit);
	og_json_end_object(&w);
	og_buf_byte(r->out, '\n');
	return 0;
}

static int jsonl_row(struct render *r, const struct og_json *row, size_t i)
{
	og_json_text(r->out, row);
	og_buf_byte(r->out, '\n');
	return 0;
}

static int render_jsonl(struct render *r)
{
	struct og_json_writer w;

	og_json_writer_init(&w, r->out, false);
	og_json_begin_object(&w);
	og_json_member_str(&w, "kind", "metadata");
	og_json_member_string(&w, "query_name", r->r->query_name);
	put_target(&w, r->r);
	og_json_member_u64(&w, "row_count", r->r->row_count);
	og_json_end_object(&w);
	og_buf_byte(r->out, '\n');
	return each_row(r, jsonl_row);
}

/* ---- csv ---- */

/* RFC 4180 section 2, but for lines that end in LF. */
static void put_field(struct og_buf *out, struct og_slice s)
{
	bool quote = false;

	for (size_t i = 0; i < s.len && !quote; i++)
		quote = s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\r' || s.p[i] == '\n';
	if (!quote) {
		og_buf_slice(out, s);
		return;
	}
	og_buf_byte(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"')
			og_buf_byte(out, '"');
		og_buf_byte(out, (uint8_t)s.p[i]);
	}
	og_buf_byte(out, '"');
}

static int csv_row(struct render *r, const struct og_json *row, size_t i)
{
	struct og_buf text = { 0 };
	int rc;

	for (size_t c = 0; c < r->cols.n; c++) {
		og_buf_clear(&text);
		put_cell(&text, cell(r, row, c));
		if (c)
			og_buf_byte(r->out, ',');
		put_field(r->out, og_buf_view(&text));
	}
	og_buf_byte(r->out, '\n');
	rc = og_buf_ok(&text, r->err);
	og_buf_fini(&text);
	return rc;
}

static int render_csv(struct render *r)
{
	for (size_t c = 0; c < r->cols.n; c++) {
		if (c)
			og_buf_byte(r->out, ',');
		put_field(r->out, r->cols.v[c]);
	}
	og_buf_byte(r->out, '\n');
	return each_row(r, csv_row);
}

/* ---- kv ---- */

static int kv_row(struct render *r, const struct og_json *row, size_t i)
{
	if (i > 1)
		og_buf_byte(r->out, '\n');
	og_buf_printf(r->out, "row %zu\n", i);
	for (size_t c = 0; c < r->cols.n; c++) {
		og_buf_slice(r->out, r->cols.v[c]);
		og_buf_str(r->out, ": ");
		put_cell(r->out, cell(r, row, c));
		og_buf_byte(r->out, '\n');
	}
	return 0;
}

static int render_kv(struct render *r)
{
	const struct og_json *row;
	struct row_iter it;
	int rc = iter_begin(&it, r);

	put_head(r);
	if (rc == 0)
		rc = iter_next(&it, &row);
	if (rc == 0)
		og_buf_str(r->out, "(no rows)\n");
	return rc > 0 ? each_row(r, kv_row) : rc;
}

/* ---- table ---- */

/* As put_cell, a line break shown as \n. */
static void put_table_cell(struct og_buf *b, const struct og_json *v)
{
	size_t from = b->len;
	const char *lf;

	put_cell(b, v);
	while (!b->failed && from < b->len && (lf = memchr(b->data + from, '\n', b->len - from))) {
		size_t at = (size_t)(lf - b->data);

		og_buf_byte(b, 0);
		if (b->failed)
			return;
		memmove(b->data + at + 2, b->data + at + 1, b->len - at - 2);
		memcpy(b->data + at, "\\n", 2);
		from = at + 2;
	}
}

static int measure_row(struct render *r, const struct og_json *row, size_t i)
{
	struct og_buf text = { 0 };
	int rc;

	for (size_t c = 0; c < r->cols.n; c++) {
		size_t n;

		og_buf_clear(&text);
		put_table_cell(&text, cell(r, row, c));
		n = og_utf8_count(og_buf_view(&text));
		r->cols.widths[c] = OG_MAX(r->cols.widths[c], n);
	}
	rc = og_buf_ok(&text, r->err);
	og_buf_fini(&text);
	return rc;
}

static int measure(struct render *r)
{
	size_t max = (size_t)OG_MIN(r->o->max_width, (uint64_t)SIZE_MAX / 2), cap = OG_MAX(max, (size_t)8);
	int rc;

	r->cols.widths = og_arena_array(&r->arena, r->cols.n ? r->cols.n : 1, sizeof(*r->cols.widths));
	if (!r->cols.widths)
		return og_arena_error(&r->arena, r->err);
	if ((rc = each_row(r, measure_row)) < 0)
		return rc;
	for (size_t c = 0; c < r->cols.n; c++) {
		size_t *w = &r->cols.widths[c];

		*w = OG_MIN(OG_MAX(og_utf8_count(r->cols.v[c]), OG_MIN(*w, max)), cap);
		*w = OG_MAX(*w, (size_t)1);
	}
	return 0;
}

/* The bytes of the first n characters. */
static size_t prefix_bytes(struct og_slice s, size_t n)
{
	size_t pos = 0;

	while (n-- && pos < s.len)
		(void)og_utf8_next(s, &pos);
	return pos;
}

static void put_padded(struct og_buf *out, struct og_slice s, size_t width)
{
	og_buf_slice(out, s);
	for (size_t n = og_utf8_count(s); n < width; n++)
		og_buf_byte(out, ' ');
}

/* What a line shows of a cell's rest; the rest moves on. */
static void put_piece(struct render *r, struct og_slice *rest, size_t width)
{
	size_t n = prefix_bytes(*rest, width);

	if (n == rest->len) {
		put_padded(r->out, *rest, width);
		*rest = og_slice(NULL, 0);
		return;
	}
	switch (r->o->layout) {
	case OG_LAYOUT_WRAP:
		og_buf_append(r->out, rest->p, n);
		*rest = og_slice(rest->p + n, rest->len - n);
		return;
	case OG_LAYOUT_TRUNCATE:
		if (width == 1) {
			og_buf_append(r->out, rest->p, n);
		} else {
			og_buf_append(r->out, rest->p, prefix_bytes(*rest, width - 1));
			og_buf_str(r->out, "…");
		}
		*rest = og_slice(NULL, 0);
		return;
	}
}

static int table_row(struct render *r, const struct og_json *row, size_t i)
{
	struct og_slice *rests = og_arena_array(&r->row, r->cols.n, sizeof(*rests));
	bool more = true;

	if (!rests)
		return og_arena_error(&r->row, r->err);
	for (size_t c = 0; c < r->cols.n; c++) {
		struct og_buf text = { 0 };
		int rc;

		put_table_cell(&text, cell(r, row, c));
		rc = og_buf_ok(&text, r->err);
		rests[c] = rc == 0 ? og_arena_slice(&r->row, og_buf_view(&text)) : og_slice(NULL, 0);
		og_buf_fini(&text);
		if (!rests[c].p)
			return rc < 0 ? rc : og_arena_error(&r->row, r->err);
	}
	while (more) {
		more = false;
		for (size_t c = 0; c < r->cols.n; c++) {
			if (c)
				og_buf_str(r->out, " | ");
			put_piece(r, &rests[c], r->cols.widths[c]);
			more |= rests[c].len > 0;
		}
		og_buf_byte(r->out, '\n');
	}
	return 0;
}

static int render_table(struct render *r)
{
	int rc = measure(r);

	if (rc < 0)
		return rc;
	put_head(r);
	if (r->cols.n == 0) {
		og_buf_str(r->out, "(no rows)\n");
		return 0;
	}
	for (size_t c = 0; c < r->cols.n; c++) {
		if (c)
			og_buf_str(r->out, " | ");
		put_padded(r->out, r->cols.v[c], r->cols.widths[c]);
	}
	og_buf_byte(r->out, '\n');
	for (size_t c = 0; c < r->cols.n; c++) {
		if (c)
			og_buf_str(r->out, "-+-");
		for (size_t i = 0; i < r->cols.widths[c]; i++)
			og_buf_byte(r->out, '-');
	}
	og_buf_byte(r->out, '\n');
	return each_row(r, table_row);
}

/* ---- public ---- */

static int render(struct render *r)
{
	int rc = r->r->columns.len ? given_columns(r) : 0;

	if (rc == 0 && r->cols.n == 0)
		rc = found_columns(r);
	if (rc < 0)
		return rc;
	switch (r->o->format) {
	case OG_FORMAT_TABLE:
		return render_table(r);
	case OG_FORMAT_KV:
		return render_kv(r);
	case OG_FORMAT_CSV:
		return render_csv(r);
	case OG_FORMAT_JSONL:
		return render_jsonl(r);
	case OG_FORMAT_JSON:
		return render_json(r);
	}
	return 0;
}

int render_query(struct og_buf *out, const struct render_result *result, const struct render_opts *o, struct og_error *err)
{
	struct render r = { .out = out, .r = result, .o = o, .err = err };
	int rc;

	og_arena_init(&r.arena, 0);
	og_arena_init(&r.row, 0);
	rc = render(&r);
	og_arena_fini(&r.row);
	og_arena_fini(&r.arena);
	return rc < 0 ? rc : og_buf_ok(out, err);
}
