/* Parquet reader: the pages of one column chunk. */
#include "config.h"

#include "format/parquet.h"

#include <inttypes.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/codec.h"
#include "format/pq_private.h"
#include "format/thrift.h"

struct page {
	int type, encoding;
	int64_t raw, packed, values;
	struct og_slice body;		/* decompressed */
	uint64_t pos;			/* of its header in the file */
};

struct reader {
	const struct og_pq_col_desc *desc;
	const struct og_pq_chunk *chunk;
	struct og_slice src;		/* the chunk */
	size_t pos;
	uint64_t values_left;
	struct pq_levels levels;
	struct og_colvec *out;
	struct pq_dictionary dict;
	bool has_dict;
	char *dict_buf;
	char *page_buf;
	size_t page_cap;
	uint8_t *rep, *def;		/* page levels */
	size_t levels_cap;
	uint32_t *index;
	size_t index_cap;
	ZSTD_DCtx *zstd;
	struct og_error *err;
};

static int damaged(const struct reader *r, const struct page *p, const char *what)
{
	return og_error_at(r->err, OG_ERR_CORRUPT, p->pos, "Parquet column %.*s: damaged page: %s", OG_FMT(r->desc->name), what);
}

/* ---- page headers and bodies ---- */

static void read_data_header(struct og_tc *r, const struct og_tc_field *field, struct page *p, bool *levels_ok)
{
	struct og_tc_field f = { 0 };

	if (!og_tc_struct(r, field))
		return;
	while (og_tc_next(r, &f)) {
		if (f.id == 1)
			p->values = og_tc_i32(r, &f);
		else if (f.id == 2)
			p->encoding = og_tc_i32(r, &f);
		else if (field->id == 5 && (f.id == 3 || f.id == 4))
			*levels_ok &= og_tc_i32(r, &f) == PQ_RLE;
		else
			og_tc_skip(r, &f);
	}
}

static int read_header(struct reader *r, struct page *p)
{
	struct og_tc t = og_tc_init(og_slice(r->src.p + r->pos, r->src.len - r->pos));
	struct og_tc_field f = { 0 };
	bool levels_ok = true;

	*p = (struct page){ .type = -1, .encoding = -1, .raw = -1, .packed = -1, .values = -1, .pos = r->chunk->offset + r->pos };
	while (og_tc_next(&t, &f)) {
		if (f.id == 1)
			p->type = og_tc_i32(&t, &f);
		else if (f.id == 2)
			p->raw = og_tc_i32(&t, &f);
		else if (f.id == 3)
			p->packed = og_tc_i32(&t, &f);
		else if ((f.id == 5 && p->type == PQ_DATA_PAGE) || (f.id == 7 && p->type == PQ_DICTIONARY_PAGE))
			read_data_header(&t, &f, p, &levels_ok);
		else
			og_tc_skip(&t, &f);
	}
	if (t.failed)
		return og_error_at(r->err, OG_ERR_CORRUPT, p->pos + t.failed_at, "Parquet column %.*s: damaged page header",
				   OG_FMT(r->desc->name));
	if ((p->type != PQ_DATA_PAGE && p->type != PQ_DICTIONARY_PAGE) || !levels_ok)
		return og_error_at(r->err, OG_ERR_UNSUPPORTED, p->pos, "Parquet column %.*s: a page of a kind that is not written here",
				   OG_FMT(r->desc->name));
	r->pos += og_tc_pos(&t);
	if (p->raw < 0 || p->packed < 0 || p->values < 0 || p->raw > (int64_t)OG_PQ_PAGE_MAX || (uint64_t)p->packed > r->src.len - r->pos)
		return damaged(r, p, "its sizes");
	return 0;
}

static int unpack_zstd(struct reader *r, struct page *p, struct og_slice packed, char *to)
{
	size_t n;

	if (!r->zstd)
		r->zstd = ZSTD_createDCtx();
	if (!r->zstd)
		return og_error_nomem(r->err);
	n = ZSTD_decompressDCtx(r->zstd, to, (size_t)p->raw, packed.p, packed.len);
	if (ZSTD_isError(n) || n != (size_t)p->raw)
		return damaged(r, p, "zstd");
	return 0;
}

/* `buf`, with room for `cap`, receives what is not stored plainly. */
static int read_body(struct reader *r, struct page *p, char **buf, size_t *cap)
{
	struct og_slice packed = og_slice(r->src.p + r->pos, (size_t)p->packed);
	size_t raw = (size_t)p->raw, n = 0;
	int rc;

	r->pos += packed.len;
	if (r->chunk->codec == OG_PQ_NONE) {
		if (packed.len != raw)
			return damaged(r, p, "its sizes");
		p->body = packed;
		return 0;
	}
	/* The compressed bytes must agree with the header before any room is taken. */
	if (r->chunk->codec == OG_PQ_SNAPPY) {
		if (snappy_uncompressed_length(packed.p, packed.len, &n) != SNAPPY_OK || n != raw)
			return damaged(r, p, "Snappy");
	} else if (ZSTD_getFrameContentSize(packed.p, packed.len) != raw) {
		return damaged(r, p, "zstd");
	}
	if (!*buf || *cap < raw) {
		free(*buf);
		*cap = 0;
		*buf = malloc(raw + 1);
		if (!*buf)
			return og_error_nomem(r->err);
		*cap = raw;
	}
	if (r->chunk->codec == OG_PQ_SNAPPY) {
		if (snappy_uncompress(packed.p, packed.len, *buf, &n) != SNAPPY_OK || n != raw)
			return damaged(r, p, "Snappy");
	} else if ((rc = unpack_zstd(r, p, packed, *buf)) < 0) {
		return rc;
	}
	p->body = og_slice(*buf, raw);
	return 0;
}

static int read_dictionary(struct reader *r, struct page *p)
{
	const struct og_colvec *leaf = r->out->child ? r->out->child : r->out;
	size_t cap = 0;
	int rc;

	if (r->has_dict || r->values_left != r->chunk->values || !r->chunk->has_dictionary || p->encoding != PQ_PLAIN ||
	    leaf->type.scalar == OG_BOOL || leaf->type.scalar == OG_VECTOR)
		return damaged(r, p, "a dictionary that does not belong here");
	if ((rc = read_body(r, p, &r->dict_buf, &cap)) < 0)
		return rc;
	if (p->values < 1 || p->values > PQ_DICT_MAX)
		return damaged(r, p, "its number of values");
	r->has_dict = true;
	r->dict.page = p->body;
	r->dict.count = (uint32_t)p->values;
	if (leaf->width)
		return p->body.len == r->dict.count * (size_t)leaf->width ? 0 : damaged(r, p, "its length");
	r->dict.offsets = calloc(r->dict.count, sizeof(*r->dict.offsets));
	if (!r->dict.offsets)
		return og_error_nomem(r->err);
	return pq_dictionary_scan(&r->dict) ? 0 : damaged(r, p, "its texts");
}

/* ---- levels ---- */

static int levels_room(struct reader *r, size_t n)
{
	if (n <= r->levels_cap)
		return 0;
	free(r->rep);
	r->levels_cap = 0;
	r->rep = malloc(2 * n);
	if (!r->rep)
		return og_error_nomem(r->err);
	r->def = r->rep + n;
	r->levels_cap = n;
	return 0;
}

/* Cuts a length-prefixed run of levels off the body. */
static bool cut_levels(struct og_slice *body, struct og_slice *levels)
{
	uint32_t len;

	if (body->len < 4)
		return false;
	len = og_le32(body->p);
	if (len > body->len - 4)
		return false;
	*levels = og_slice(body->p + 4, len);
	*body = og_slice(body->p + 4 + len, body->len - 4 - len);
	return true;
}

static bool read_levels(struct og_slice *body, size_t n, uint8_t max, uint8_t *out)
{
	struct og_slice s;
	size_t used;

	return cut_levels(body, &s) && pq_get_hybrid8(s, n, pq_bit_width(max), max, out, &used) && used == s.len;
}

/* ---- data pages ---- */

/* Appends n rows to the flat vector from what is left of the page. */
static int read_values(struct reader *r, const struct page *p, struct og_colvec *to, struct og_slice body, const uint8_t *valid, size_t n)
{
	enum pq_decoded rc;
	size_t nvalid = 0;

	if (p->encoding == PQ_PLAIN) {
		rc = pq_get_plain(to, body, valid, n);
	} else {
		for (size_t i = 0; valid && i < n; i++)
			nvalid += valid[i] != 0;
		if (!valid)
			nvalid = n;
		if (nvalid > r->index_cap) {
			free(r->index);
			r->index_cap = 0;
			r->index = malloc(nvalid * sizeof(*r->index));
			if (!r->index)
				return og_error_nomem(r->err);
			r->index_cap = nvalid;
		}
		if (body.len < 1 || !pq_get_hybrid32(og_slice(body.p + 1, body.len - 1), nvalid, (uint8_t)body.p[0], r->dict.count - 1, r->index))
			return damaged(r, p, "its dictionary indices");
		rc = pq_get_indexed(to, &r->dict, r->index, valid, n);
	}
	if (rc == PQ_NO_MEMORY)
		return og_colvec_ok(to, r->err);
	return rc == PQ_GOOD ? 0 : damaged(r, p, "its values");
}

static int read_flat(struct reader *r, const struct page *p)
{
	size_t n = (size_t)p->values, used;
	struct og_slice body = p->body, levels;
	const uint8_t *valid = NULL;
	int rc;

	if (r->levels.max) {
		if (!cut_levels(&body, &levels))
			return damaged(r, p, "its levels");
		if (!pq_hybrid_is_run(levels, n, 1, &used)) {
			if ((rc = levels_room(r, n)) < 0)
				return rc;
			if (!pq_get_hybrid8(levels, n, 1, 1, r->def, &used))
				return damaged(r, p, "its levels");
			valid = r->def;
		}
		if (used != levels.len)
			return damaged(r, p, "its levels");
	}
	return read_values(r, p, r->out, body, valid, n);
}

/* Turns the levels of n items into rows: their validity (left in r->rep) and offsets; the items' validity is left in r->def. false: damaged. */
static bool list_rows(struct reader *r, size_t n, size_t *nrows, size_t *nitems)
{
	struct og_colvec *out = r->out;
	uint32_t *offsets = out->offsets + out->rows;
	uint8_t row = r->levels.row, max = r->levels.max;
	size_t m = 0, k = 0;
	bool open = false;	/* the row may have more items */

	for (size_t i = 0; i < n; i++) {
		uint8_t def = r->def[i];

		if (r->rep[i] && (!open || def <= row))
			return false;
		if (!r->rep[i]) {
			open = def > row;
			r->rep[m] = def >= row;
			offsets[m + 1] = offsets[m];
			m++;
		}
		if (def > row) {
			r->def[k++] = def == max;
			offsets[m]++;
		}
	}
	*nrows = m;
	*nitems = k;
	return true;
}

static int read_list(struct reader *r, const struct page *p, struct og_slice body)
{
	struct og_colvec *out = r->out;
	size_t n = (size_t)p->values, nrows, nitems;
	int rc;

	/* Offsets are counted up from the last one, so they end within 32 bits if the items do. */
	if (out->child->rows > UINT32_MAX - n)
		return og_error_set(r->err, OG_ERR_TOO_LARGE, "a column of one batch holds more than 4 GiB of text or list items");
	if (!og_colvec_reserve(out, n, 0))
		return og_colvec_ok(out, r->err);
	if (!list_rows(r, n, &nrows, &nitems))
		return damaged(r, p, "its levels");
	if ((rc = read_values(r, p, out->child, body, r->def, nitems)) < 0)
		return rc;
	og_colvec_commit_rows(out, r->rep, nrows);
	return og_colvec_ok(out, r->err);
}

/* Each row has no item (null) or exactly dim of them. false: damaged. */
static bool vector_rows(struct reader *r, size_t n, size_t *nrows)
{
	size_t dim = r->out->type.dim, m = 0;
	uint8_t max = r->levels.max;

	for (size_t i = 0; i < n; m++) {
		uint8_t bad = r->rep[i];

		if (r->def[i] < r->levels.row) {
			r->rep[m] = 0;
			i++;
		} else {
			if (dim > n - i)
				return false;
			for (size_t j = 1; j < dim; j++)
				bad |= !r->rep[i + j];
			for (size_t j = 0; j < dim; j++)
				bad |= r->def[i + j] != max;
			r->rep[m] = 1;
			i += dim;
		}
		if (bad)
			return false;
	}
	*nrows = m;
	return true;
}

static int read_nested(struct reader *r, const struct page *p)
{
	size_t n = (size_t)p->values, nrows;
	struct og_slice body = p->body;
	int rc;

	if ((rc = levels_room(r, n)) < 0)
		return rc;
	if (!read_levels(&body, n, 1, r->rep) || !read_levels(&body, n, r->levels.max, r->def) || r->rep[0])
		return damaged(r, p, "its levels");
	if (r->out->type.list)
		return read_list(r, p, body);
	if (!vector_rows(r, n, &nrows))
		return og_error_at(r->err, OG_ERR_CORRUPT, p->pos, "Parquet column %.*s: damaged page: vectors not of %u numbers",
				   OG_FMT(r->desc->name), r->out->type.dim);
	return read_values(r, p, r->out, body, r->rep, nrows);
}

static int read_data(struct reader *r, struct page *p)
{
	int rc;

	if (p->encoding != PQ_PLAIN && (p->encoding != PQ_RLE_DICTIONARY || !r->has_dict))
		return og_error_at(r->err, OG_ERR_UNSUPPORTED, p->pos, "Parquet column %.*s: encoding %d is not known here", OG_FMT(r->desc->name),
				   p->encoding);
	if (p->values == 0 || p->values > (int64_t)OG_PQ_PAGE_ROWS || (uint64_t)p->values > r->values_left)
		return damaged(r, p, "its number of values");
	if ((rc = read_body(r, p, &r->page_buf, &r->page_cap)) < 0)
		return rc;
	r->values_left -= (uint64_t)p->values;
	return r->levels.nested ? read_nested(r, p) : read_flat(r, p);
}

static int read_pages(struct reader *r, uint64_t rows)
{
	size_t before = r->out->rows;
	struct page p;
	int rc;

	while (r->pos < r->src.len) {
		if ((rc = read_header(r, &p)) < 0)
			return rc;
		rc = p.type == PQ_DICTIONARY_PAGE ? read_dictionary(r, &p) : read_data(r, &p);
		if (rc < 0)
			return rc;
		if (r->out->rows - before > rows)
			return damaged(r, &p, "more rows than the group has");
	}
	if (r->out->rows - before != rows || r->values_left)
		return og_error_at(r->err, OG_ERR_CORRUPT, r->chunk->offset, "Parquet column %.*s: %zu rows in a group of %" PRIu64,
				   OG_FMT(r->desc->name), r->out->rows - before, rows);
	return 0;
}

int og_pq_read_column(const struct og_pq_file *f, size_t group, size_t col, struct og_colvec *out, struct og_error *err)
{
	const struct og_pq_col_desc *d = &f->cols[col];
	const struct og_pq_chunk *ch = &f->groups[group].chunks[col];
	struct reader r = {
		.desc = d,
		.chunk = ch,
		.src = og_slice(f->bytes.p + ch->offset, ch->bytes),
		.values_left = ch->values,
		.levels = pq_levels_of(&d->type),
		.out = out,
		.err = err,
	};
	size_t before = out->rows;
	int rc = og_colvec_ok(out, err);

	if (rc < 0)
		return rc;
	if (out->type.scalar != d->type.scalar || out->type.list != d->type.list)
		return og_error_at(err, OG_ERR_UNSUPPORTED, ch->offset, "Parquet column %.*s: holds %s%s, not %s%s", OG_FMT(d->name),
				   d->type.list ? "lists of " : "", og_scalar_name(d->type.scalar), out->type.list ? "lists of " : "",
				   og_scalar_name(out->type.scalar));
	rc = read_pages(&r, f->groups[group].rows);
	if (rc < 0)
		og_colvec_truncate(out, before);
	free(r.dict.offsets);
	free(r.dict_buf);
	free(r.page_buf);
	free(r.rep);
	free(r.index);
	ZSTD_freeDCtx(r.zstd);
	return rc;
}
