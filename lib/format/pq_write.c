/* Parquet writer: pages, chunks, row groups, footer. */
#include "config.h"

#include "format/parquet.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

#include "format/pq_private.h"
#include "format/thrift.h"

#define DEFAULT_PAGE_BYTES OG_MIB
#define MAX_PAGE_BYTES (16u * OG_MIB)
#define SMALL_GROUP 64u		/* rows: dictionary and statistics cost more than they bring */
#define SMALL_CHUNK 1024u	/* bytes: not worth compressing */

struct og_pq_writer {
	struct og_arena arena;
	const struct og_pq_col_desc *cols;
	size_t ncols;
	struct og_pq_options opt;
	og_pq_sink *sink;
	void *arg;
	uint64_t pos;			/* bytes given to the sink */
	uint64_t rows;
	struct og_buf groups;		/* RowGroup structs, encoded */
	uint32_t ngroups;
	bool has_bounds;
	/* scratch: */
	struct og_buf head, page, packed;
	uint8_t *levels;
	size_t levels_cap;
	struct pq_dict dict;
	ZSTD_CCtx *zstd;
};

/* A column chunk on its way out. */
struct chunk {
	const struct og_pq_col_desc *desc;
	const struct og_colvec *col;
	const struct og_colvec *leaf;	/* col, or the items of a list */
	struct pq_levels levels;
	enum og_pq_codec codec;
	bool started;			/* a page is out: the codec is settled */
	bool dictionary;
	size_t nth;			/* dictionary indices written */
	uint64_t dict_offset, data_offset;
	uint64_t raw_bytes, packed_bytes, values;
	struct pq_bounds bounds;
};

static int put(struct og_pq_writer *w, const void *p, size_t n, struct og_error *err)
{
	int rc = w->sink(w->arg, p, n, err);

	if (rc == 0)
		w->pos += n;
	return rc;
}

/* ---- pages ---- */

static int compress_page(struct og_pq_writer *w, enum og_pq_codec codec, struct og_error *err)
{
	size_t len = w->page.len, cap;

	og_buf_clear(&w->packed);
	cap = codec == OG_PQ_SNAPPY ? snappy_max_compressed_length(len) : ZSTD_compressBound(len);
	if (!og_buf_reserve(&w->packed, cap))
		return og_error_nomem(err);
	if (codec == OG_PQ_SNAPPY) {
		if (snappy_compress(w->page.data, len, w->packed.data, &cap) != SNAPPY_OK)
			return og_error_set(err, OG_ERR_INTERNAL, "snappy refused to compress a page");
		w->packed.len = cap;
		return 0;
	}
	if (!w->zstd)
		w->zstd = ZSTD_createCCtx();
	if (!w->zstd)
		return og_error_nomem(err);
	cap = ZSTD_compressCCtx(w->zstd, w->packed.data, cap, w->page.data, len, w->opt.zstd_level);
	if (ZSTD_isError(cap))
		return og_error_set(err, OG_ERR_INTERNAL, "zstd refused to compress a page: %s", ZSTD_getErrorName(cap));
	w->packed.len = cap;
	return 0;
}

static void page_header(struct og_buf *b, enum pq_page type, enum pq_encoding encoding, size_t raw, size_t packed, size_t values)
{
	int16_t last = 0, inner = 0;

	og_buf_clear(b);
	og_tc_put_i32(b, &last, 1, type);
	og_tc_put_i32(b, &last, 2, (int32_t)raw);
	og_tc_put_i32(b, &last, 3, (int32_t)packed);
	og_tc_put_field(b, &last, type == PQ_DATA_PAGE ? 5 : 7, OG_TC_STRUCT);
	og_tc_put_i32(b, &inner, 1, (int32_t)values);
	og_tc_put_i32(b, &inner, 2, encoding);
	if (type == PQ_DATA_PAGE) {
		og_tc_put_i32(b, &inner, 3, PQ_RLE);
		og_tc_put_i32(b, &inner, 4, PQ_RLE);
	}
	og_tc_put_stop(b);
	og_tc_put_stop(b);
}

/* Writes w->page. The first page of a chunk shows whether compression pays at all. */
static int emit_page(struct og_pq_writer *w, struct chunk *ch, enum pq_page type, enum pq_encoding encoding, size_t values, struct og_error *err)
{
	const struct og_buf *body = &w->page;
	int rc;

	if ((rc = og_buf_ok(&w->page, err)) < 0)
		return rc;
	if (ch->codec != OG_PQ_NONE) {
		if ((rc = compress_page(w, ch->codec, err)) < 0)
			return rc;
		if (!ch->started && w->packed.len >= w->page.len - w->page.len / 16)
			ch->codec = OG_PQ_NONE;
		else
			body = &w->packed;
	}
	ch->started = true;
	page_header(&w->head, type, encoding, w->page.len, body->len, values);
	if ((rc = og_buf_ok(&w->head, err)) < 0 || (rc = put(w, w->head.data, w->head.len, err)) < 0 ||
	    (body->len && (rc = put(w, body->data, body->len, err)) < 0))
		return rc;
	ch->raw_bytes += w->head.len + w->page.len;
	ch->packed_bytes += w->head.len + body->len;
	return 0;
}

/* Levels are prefixed with their length. */
static size_t levels_begin(struct og_buf *b)
{
	static const char room[4];

	og_buf_append(b, room, sizeof(room));
	return b->len;
}

static void levels_end(struct og_buf *b, size_t start)
{
	uint32_t len = (uint32_t)(b->len - start);

	if (!b->failed)
		memcpy(b->data + start - 4, &len, 4);
}

static size_t nulls_in(const struct og_colvec *c, size_t from, size_t n)
{
	size_t k = 0;

	if (c->nulls == 0)
		return 0;
	for (size_t i = from; i < from + n; i++)
		k += og_colvec_is_null(c, i);
	return k;
}

static void flat_levels(struct og_buf *b, const struct og_colvec *c, size_t from, size_t n, size_t nulls)
{
	size_t start = levels_begin(b);

	if (nulls == 0 || nulls == n) {
		/* One run; pq_put_hybrid8 would have to look at every level. */
		uint8_t run[16];
		size_t len = og_tc_varint(run, (uint64_t)n << 1);

		run[len++] = nulls == 0;
		og_buf_append(b, run, len);
	} else {
		pq_put_validity(b, c->validity, from, n);
	}
	levels_end(b, start);
}

static size_t row_items(const struct og_colvec *c, size_t row)
{
	if (og_colvec_is_null(c, row))
		return 0;
	return c->child ? c->offsets[row + 1] - c->offsets[row] : c->type.dim;
}

/* Repetition and definition levels of rows [from, from + n). Returns their number. */
static int nested_levels(struct og_pq_writer *w, const struct chunk *ch, size_t from, size_t n, size_t *count, struct og_error *err)
{
	const struct og_colvec *c = ch->col;
	size_t cap = 0, k = 0, start;
	uint8_t *rep, *def;

	for (size_t i = from; i < from + n; i++)
		cap += OG_MAX(row_items(c, i), 1u);
	if (w->levels_cap < cap) {
		free(w->levels);
		w->levels = malloc(2 * cap);
		w->levels_cap = w->levels ? cap : 0;
		if (!w->levels)
			return og_error_nomem(err);
	}
	rep = w->levels;
	def = w->levels + cap;
	for (size_t i = from; i < from + n; i++) {
		size_t items = row_items(c, i);

		rep[k] = 0;
		if (items == 0) {
			def[k++] = og_colvec_is_null(c, i) ? 0 : ch->levels.row;
			continue;
		}
		memset(rep + k + 1, 1, items - 1);
		memset(def + k, ch->levels.max, items);
		for (size_t j = 0; c->child && c->child->nulls && j < items; j++)
			def[k + j] = (uint8_t)(def[k + j] - og_colvec_is_null(c->child, c->offsets[i] + j));
		k += items;
	}
	start = levels_begin(&w->page);
	pq_put_hybrid8(&w->page, rep, k, 1);
	levels_end(&w->page, start);
	start = levels_begin(&w->page);
	pq_put_hybrid8(&w->page, def, k, pq_bit_width(ch->levels.max));
	levels_end(&w->page, start);
	*count = k;
	return 0;
}

static int write_page(struct og_pq_writer *w, struct chunk *ch, size_t from, size_t n, struct og_error *err)
{
	const struct og_colvec *c = ch->col;
	size_t levels = n, first = from, items = n;	/* rows of the leaf */
	int rc;

	og_buf_clear(&w->page);
	if (ch->levels.nested) {
		if ((rc = nested_levels(w, ch, from, n, &levels, err)) < 0)
			return rc;
		if (c->child) {
			first = c->offsets[from];
			items = c->offsets[from + n] - first;
		}
	} else if (ch->levels.max) {
		flat_levels(&w->page, c, from, n, nulls_in(c, from, n));
	}
	if (ch->dictionary) {
		size_t k = items - nulls_in(ch->leaf, first, items);
		unsigned width = OG_MAX(1u, pq_bit_width(w->dict.count - 1));

		og_buf_byte(&w->page, (uint8_t)width);
		pq_put_hybrid32(&w->page, w->dict.index + ch->nth, k, width);
		ch->nth += k;
	} else {
		pq_put_plain(&w->page, ch->leaf, first, items);
	}
	ch->values += levels;
	return emit_page(w, ch, PQ_DATA_PAGE, ch->dictionary ? PQ_RLE_DICTIONARY : PQ_PLAIN, levels, err);
}

/* ---- chunks ---- */

/* Bytes of rows [from, to) of a vector that is no list, once decoded. */
static uint64_t flat_bytes(const struct og_colvec *c, size_t from, size_t to)
{
	uint64_t n = to - from;

	if (c->width)
		return n * c->width;
	return to > from ? (uint64_t)(c->offsets[to] - c->offsets[from]) + 4 * n : 0;
}

static uint64_t col_bytes(const struct og_colvec *c, size_t from, size_t to)
{
	if (!c->child)
		return flat_bytes(c, from, to);
	return 4 * (uint64_t)(to - from) + flat_bytes(c->child, c->offsets[from], c->offsets[to]);
}

static uint64_t max_levels(const struct og_colvec *c, size_t from, size_t to)
{
	uint64_t n = to - from;

	if (c->child)
		return n + (c->offsets[to] - c->offsets[from]);
	return c->type.scalar == OG_VECTOR ? n * c->type.dim : n;
}

static bool fits(const struct og_colvec *c, size_t from, size_t to, uint64_t bytes)
{
	return col_bytes(c, from, to) <= bytes && max_levels(c, from, to) <= OG_PQ_PAGE_ROWS;
}

/* The end of the page that starts at row `from`: as many rows as fit, at least one. */
static size_t page_end(const struct og_pq_writer *w, const struct og_colvec *c, size_t from)
{
	size_t low = from + 1, high = c->rows;

	if (fits(c, from, high, w->opt.page_bytes))
		return high;
	while (low < high) {
		size_t mid = low + (high - low + 1) / 2;

		if (fits(c, from, mid, w->opt.page_bytes))
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static bool wants_dictionary(const struct og_pq_writer *w, const struct chunk *ch)
{
	if (w->opt.no_dictionary || ch->leaf->rows < SMALL_GROUP)
		return false;
	switch (ch->desc->type.scalar) {
	case OG_STRING:
	case OG_I32:
	case OG_I64:
	case OG_U32:
	case OG_U64:
	case OG_DATE:
	case OG_DATETIME:
		return true;
	case OG_BOOL:
	case OG_F32:
	case OG_F64:
	case OG_VECTOR:
	case OG_BLOB:
		return false;
	}
	return false;
}

static int write_dictionary(struct og_pq_writer *w, struct chunk *ch, struct og_error *err)
{
	if (!pq_dict_build(&w->dict, ch->leaf))
		return w->dict.failed ? og_error_nomem(err) : 0;
	ch->dictionary = true;
	ch->dict_offset = w->pos;
	og_buf_clear(&w->page);
	og_buf_append(&w->page, w->dict.plain.data, w->dict.plain.len);
	return emit_page(w, ch, PQ_DICTIONARY_PAGE, PQ_PLAIN, w->dict.count, err);
}

static int write_pages(struct og_pq_writer *w, struct chunk *ch, struct og_error *err)
{
	const struct og_colvec *c = ch->col;
	int rc;

	if (col_bytes(c, 0, c->rows) >= SMALL_CHUNK)
		ch->codec = w->opt.codec;
	if (wants_dictionary(w, ch) && (rc = write_dictionary(w, ch, err)) < 0)
		return rc;
	ch->data_offset = w->pos;
	for (size_t from = 0, to; from < c->rows; from = to) {
		to = page_end(w, c, from);
		if (to == from + 1 && !fits(c, from, to, PQ_ROW_MAX))
			return og_error_set(err, OG_ERR_TOO_LARGE, "column %.*s: a value is larger than 60 MiB or longer than %u items",
					    OG_FMT(ch->desc->name), OG_PQ_PAGE_ROWS - 1);
		if ((rc = write_page(w, ch, from, to - from, err)) < 0)
			return rc;
	}
	return 0;
}

static void put_statistics(struct og_pq_writer *w, struct og_buf *b, int16_t *last, struct chunk *ch)
{
	bool rows_known = ch->dictionary && ch->leaf == ch->col;
	int16_t inner = 0;

	pq_bounds_of(&ch->bounds, ch->col, rows_known ? w->dict.rows : NULL, rows_known ? w->dict.count : 0);
	og_tc_put_field(b, last, 12, OG_TC_STRUCT);
	og_tc_put_i64(b, &inner, 3, (int64_t)ch->col->nulls);
	if (ch->bounds.has_max)
		og_tc_put_binary(b, &inner, 5, og_slice(ch->bounds.max, ch->bounds.max_len));
	if (ch->bounds.has_min)
		og_tc_put_binary(b, &inner, 6, og_slice(ch->bounds.min, ch->bounds.min_len));
	if (ch->bounds.has_max)
		og_tc_put_bool(b, &inner, 7, ch->bounds.max_exact);
	if (ch->bounds.has_min)
		og_tc_put_bool(b, &inner, 8, ch->bounds.min_exact);
	og_tc_put_stop(b);
	w->has_bounds |= ch->bounds.has_max || ch->bounds.has_min;
}

/* The ColumnChunk of the footer. */
static void put_chunk(struct og_pq_writer *w, struct og_buf *b, struct chunk *ch)
{
	int16_t last = 0, meta = 0;

	og_tc_put_i64(b, &last, 2, 0);	/* file_offset: deprecated, always 0 */
	og_tc_put_field(b, &last, 3, OG_TC_STRUCT);
	og_tc_put_i32(b, &meta, 1, pq_mapping_of(ch->desc->type.scalar)->physical);
	og_tc_put_list(b, &meta, 2, OG_TC_I32, ch->dictionary ? 3 : 2);
	og_tc_put_elem_i32(b, PQ_PLAIN);
	og_tc_put_elem_i32(b, PQ_RLE);
	if (ch->dictionary)
		og_tc_put_elem_i32(b, PQ_RLE_DICTIONARY);
	og_tc_put_list(b, &meta, 3, OG_TC_BINARY, ch->levels.nested ? 3 : 1);
	og_tc_put_elem_binary(b, ch->desc->name);
	if (ch->levels.nested) {
		og_tc_put_elem_binary(b, OG_SLICE("list"));
		og_tc_put_elem_binary(b, OG_SLICE("element"));
	}
	og_tc_put_i32(b, &meta, 4, ch->codec);
	og_tc_put_i64(b, &meta, 5, (int64_t)ch->values);
	og_tc_put_i64(b, &meta, 6, (int64_t)ch->raw_bytes);
	og_tc_put_i64(b, &meta, 7, (int64_t)ch->packed_bytes);
	og_tc_put_i64(b, &meta, 9, (int64_t)ch->data_offset);
	if (ch->dictionary)
		og_tc_put_i64(b, &meta, 11, (int64_t)ch->dict_offset);
	/* Levels of a list are not what its null count means to other readers. */
	if (!w->opt.no_statistics && ch->col->rows >= SMALL_GROUP && !ch->levels.nested)
		put_statistics(w, b, &meta, ch);
	og_tc_put_stop(b);
	og_tc_put_stop(b);
}

static int check_column(const struct og_pq_col_desc *d, const struct og_colvec *c, size_t rows, struct og_error *err)
{
	int rc = og_colvec_ok(c, err);

	if (rc < 0)
		return rc;
	if (c->rows != rows)
		return og_error_set(err, OG_ERR_INTERNAL, "column %.*s: %zu rows, the first column has %zu", OG_FMT(d->name), c->rows, rows);
	if (c->type.scalar != d->type.scalar || c->type.list != d->type.list ||
	    (c->type.scalar == OG_VECTOR && c->type.dim != d->type.dim))
		return og_error_set(err, OG_ERR_INTERNAL, "column %.*s: a vector of another type", OG_FMT(d->name));
	if (c->nulls && !d->type.nullable)
		return og_error_set(err, OG_ERR_BAD, "column %.*s: null where none is allowed", OG_FMT(d->name));
	return 0;
}

/* ---- the file ---- */

static int writer_init(struct og_pq_writer *w, const struct og_pq_col_desc *cols, size_t ncols, const struct og_pq_options *opt, og_pq_sink *sink,
		       void *arg, struct og_error *err)
{
	static const struct og_pq_options defaults;

	*w = (struct og_pq_writer){ .cols = cols, .ncols = ncols, .opt = opt ? *opt : defaults, .sink = sink, .arg = arg };
	if (!w->opt.page_bytes)
		w->opt.page_bytes = DEFAULT_PAGE_BYTES;
	w->opt.page_bytes = OG_MIN(w->opt.page_bytes, MAX_PAGE_BYTES);
	if (!w->opt.zstd_level)
		w->opt.zstd_level = 1;
	return put(w, PQ_MAGIC, PQ_MAGIC_LEN, err);
}

static void writer_fini(struct og_pq_writer *w)
{
	og_buf_fini(&w->groups);
	og_buf_fini(&w->head);
	og_buf_fini(&w->page);
	og_buf_fini(&w->packed);
	free(w->levels);
	pq_dict_fini(&w->dict);
	ZSTD_freeCCtx(w->zstd);
}

int og_pq_writer_new(const struct og_pq_col_desc *cols, size_t ncols, const struct og_pq_options *opt, og_pq_sink *sink, void *arg,
		     struct og_pq_writer **out, struct og_error *err)
{
	struct og_pq_writer *w = calloc(1, sizeof(*w));
	struct og_pq_col_desc *copy;
	struct og_arena arena;
	int rc;

	if (!w)
		return og_error_nomem(err);
	og_arena_init(&arena, 0);
	copy = og_arena_array(&arena, ncols, sizeof(*copy));
	for (size_t i = 0; copy && i < ncols; i++) {
		copy[i] = cols[i];
		copy[i].name = og_arena_slice(&arena, cols[i].name);
		if (!copy[i].name.p)
			copy = NULL;
	}
	rc = copy ? writer_init(w, copy, ncols, opt, sink, arg, err) : og_error_nomem(err);
	w->arena = arena;
	if (rc < 0) {
		og_pq_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void og_pq_writer_free(struct og_pq_writer *w)
{
	if (!w)
		return;
	writer_fini(w);
	og_arena_fini(&w->arena);
	free(w);
}

uint64_t og_pq_writer_bytes(const struct og_pq_writer *w)
{
	return w->pos;
}

int og_pq_write_group(struct og_pq_writer *w, const struct og_colvec *const *cols, size_t ncols, struct og_error *err)
{
	struct og_buf *b = &w->groups;
	uint64_t raw_bytes = 0;
	int16_t last = 0;
	size_t rows;
	int rc;

	if (ncols != w->ncols || ncols == 0)
		return og_error_set(err, OG_ERR_INTERNAL, "%zu columns of %zu given", ncols, w->ncols);
	rows = cols[0]->rows;
	for (size_t i = 0; i < ncols; i++)
		if ((rc = check_column(&w->cols[i], cols[i], rows, err)) < 0)
			return rc;
	if (rows == 0)
		return 0;
	og_tc_put_list(b, &last, 1, OG_TC_STRUCT, (uint32_t)ncols);
	for (size_t i = 0; i < ncols; i++) {
		struct chunk ch;

		memset(&ch, 0, offsetof(struct chunk, bounds));
		ch.desc = &w->cols[i];
		ch.col = cols[i];
		ch.leaf = cols[i]->child ? cols[i]->child : cols[i];
		ch.levels = pq_levels_of(&w->cols[i].type);
		if ((rc = write_pages(w, &ch, err)) < 0)
			return rc;
		put_chunk(w, b, &ch);
		raw_bytes += ch.raw_bytes;
	}
	og_tc_put_i64(b, &last, 2, (int64_t)raw_bytes);
	og_tc_put_i64(b, &last, 3, (int64_t)rows);
	og_tc_put_stop(b);
	w->ngroups++;
	w->rows += rows;
	return og_buf_ok(b, err);
}

static void put_leaf(struct og_buf *b, const struct og_pq_col_desc *d, bool top)
{
	const struct pq_mapping *m = pq_mapping_of(d->type.scalar);
	bool optional = top ? d->type.nullable : d->type.list;
	int16_t last = 0;

	og_tc_put_i32(b, &last, 1, m->physical);
	og_tc_put_i32(b, &last, 3, optional ? PQ_OPTIONAL : PQ_REQUIRED);
	og_tc_put_binary(b, &last, 4, top ? d->name : OG_SLICE("element"));
	if (m->converted >= 0)
		og_tc_put_i32(b, &last, 6, m->converted);
	if (top)
		og_tc_put_i32(b, &last, 9, d->field_id);
	if (m->logical.len) {
		og_tc_put_field(b, &last, 10, OG_TC_STRUCT);
		og_buf_slice(b, m->logical);
	}
	og_tc_put_stop(b);
}

/* Name, then `list`, then `element`: the standard form of lists. */
static void put_nested(struct og_buf *b, const struct og_pq_col_desc *d)
{
	int16_t last = 0;

	og_tc_put_i32(b, &last, 3, d->type.nullable ? PQ_OPTIONAL : PQ_REQUIRED);
	og_tc_put_binary(b, &last, 4, d->name);
	og_tc_put_i32(b, &last, 5, 1);
	og_tc_put_i32(b, &last, 6, PQ_CONVERTED_LIST);
	og_tc_put_i32(b, &last, 9, d->field_id);
	og_tc_put_field(b, &last, 10, OG_TC_STRUCT);
	og_buf_slice(b, PQ_LOGICAL_LIST);
	og_tc_put_stop(b);
	last = 0;
	og_tc_put_i32(b, &last, 3, PQ_REPEATED);
	og_tc_put_binary(b, &last, 4, OG_SLICE("list"));
	og_tc_put_i32(b, &last, 5, 1);
	og_tc_put_stop(b);
	put_leaf(b, d, false);
}

static void put_schema(struct og_pq_writer *w, struct og_buf *b, int16_t *last)
{
	uint32_t n = (uint32_t)w->ncols + 1;
	int16_t root = 0;

	for (size_t i = 0; i < w->ncols; i++)
		n += pq_levels_of(&w->cols[i].type).nested ? 2 : 0;
	og_tc_put_list(b, last, 2, OG_TC_STRUCT, n);
	og_tc_put_binary(b, &root, 4, OG_SLICE("schema"));
	og_tc_put_i32(b, &root, 5, (int32_t)w->ncols);
	og_tc_put_stop(b);
	for (size_t i = 0; i < w->ncols; i++) {
		if (pq_levels_of(&w->cols[i].type).nested)
			put_nested(b, &w->cols[i]);
		else
			put_leaf(b, &w->cols[i], true);
	}
}

int og_pq_finish(struct og_pq_writer *w, const struct og_pq_kv *kvs, size_t nkvs, struct og_error *err)
{
	struct og_buf *b = &w->page;
	int16_t last = 0;
	uint32_t len;
	int rc;

	og_buf_clear(b);
	og_tc_put_i32(b, &last, 1, 2);	/* version */
	put_schema(w, b, &last);
	og_tc_put_i64(b, &last, 3, (int64_t)w->rows);
	og_tc_put_list(b, &last, 4, OG_TC_STRUCT, w->ngroups);
	og_buf_append(b, w->groups.data, w->groups.len);
	if (nkvs)
		og_tc_put_list(b, &last, 5, OG_TC_STRUCT, (uint32_t)nkvs);
	for (size_t i = 0; i < nkvs; i++) {
		int16_t inner = 0;

		og_tc_put_binary(b, &inner, 1, kvs[i].key);
		og_tc_put_binary(b, &inner, 2, kvs[i].value);
		og_tc_put_stop(b);
	}
	og_tc_put_binary(b, &last, 6, OG_SLICE("omnigraph version " PACKAGE_VERSION));
	/* Bounds count only where the order is stated: each column's type's own. */
	if (w->has_bounds)
		og_tc_put_list(b, &last, 7, OG_TC_STRUCT, (uint32_t)w->ncols);
	for (size_t i = 0; w->has_bounds && i < w->ncols; i++)
		og_buf_slice(b, OG_SLICE("\x1c\0\0"));
	og_tc_put_stop(b);
	if (b->len > UINT32_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "a Parquet footer of %zu bytes", b->len);
	len = (uint32_t)b->len;
	og_buf_append(b, &len, 4);
	og_buf_append(b, PQ_MAGIC, PQ_MAGIC_LEN);
	if ((rc = og_buf_ok(b, err)) < 0)
		return rc;
	return put(w, b->data, b->len, err);
}

static int buf_sink(void *arg, const void *p, size_t n, struct og_error *err)
{
	struct og_buf *b = arg;

	og_buf_append(b, p, n);
	return b->failed ? og_error_nomem(err) : 0;
}

int og_pq_encode(struct og_buf *out, const struct og_pq_col_desc *descs, const struct og_colvec *const *cols, size_t ncols,
		 const struct og_pq_options *opt, const struct og_pq_kv *kvs, size_t nkvs, struct og_error *err)
{
	struct og_pq_writer w;
	int rc;

	if ((rc = writer_init(&w, descs, ncols, opt, buf_sink, out, err)) == 0 && (rc = og_pq_write_group(&w, cols, ncols, err)) == 0)
		rc = og_pq_finish(&w, kvs, nkvs, err);
	writer_fini(&w);
	return rc;
}
