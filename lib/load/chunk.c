/* Buffers, chunks and the spool. */
#include "config.h"

#include "load/loader.h"

#include <stdlib.h>

#include "base/fd.h"
#include "format/parquet.h"
#include "load/sort.h"

static size_t vec_bytes(const struct og_colvec *c)
{
	return c->rows * (c->width ? c->width : sizeof(*c->offsets)) + c->nbytes + (c->child ? vec_bytes(c->child) : 0);
}

size_t loader_buffered(const struct load_type *t)
{
	size_t n = vec_bytes(&t->rows.id) + vec_bytes(&t->rows.src) + vec_bytes(&t->rows.dst) + t->rows.rows * sizeof(*t->meta);

	for (uint32_t i = 0; t->rows.rows && i < t->type->nprops; i++)
		n += vec_bytes(&t->rows.props[i]);
	return n;
}

void loader_clear(struct load_type *t)
{
	og_colvec_clear(&t->rows.id);
	og_colvec_clear(&t->rows.src);
	og_colvec_clear(&t->rows.dst);
	for (uint32_t i = 0; i < t->type->nprops; i++)
		og_colvec_clear(&t->rows.props[i]);
	t->rows.rows = 0;
}

void loader_drop_nulls(struct load_type *t)
{
	for (uint32_t i = 0; i < t->type->nprops; i++)
		if (t->rows.props[i].nulls == t->rows.props[i].rows)
			og_colvec_clear(&t->rows.props[i]);
}

/* ---- repeated ids ---- */

static int cmp_entries(const void *a, const void *b)
{
	return load_entry_cmp(a, b);
}

/* drop[row] is set for rows that a later one of the buffer replaces; returns their number. */
static size_t find_replaced(const struct load_type *t, struct load_entry *v, uint8_t *drop)
{
	size_t n = 0, replaced = 0;

	for (uint32_t i = 0; i < t->rows.rows; i++)
		if (!t->meta[i].generated)
			v[n++] = load_entry_of(og_colvec_str(&t->rows.id, i), i, 0);
	qsort(v, n, sizeof(*v), cmp_entries);
	for (size_t i = 0; i + 1 < n; i++)
		if (load_entry_same(&v[i], &v[i + 1])) {
			drop[v[i].row] = 1;
			replaced++;
		}
	return replaced;
}

static int keep_rows(struct og_colvec *c, const uint8_t *drop, uint32_t rows, struct og_error *err)
{
	struct og_colvec fresh;
	int rc;

	if (c->rows == 0)
		return 0;
	og_colvec_init(&fresh, &c->type);
	for (uint32_t i = 0; i < rows; i++)
		if (!drop[i])
			og_colvec_append_row(&fresh, c, i);
	if ((rc = og_colvec_ok(&fresh, err)) < 0) {
		og_colvec_fini(&fresh);
		return rc;
	}
	og_colvec_fini(c);
	*c = fresh;
	return 0;
}

static int drop_rows(struct load_type *t, const uint8_t *drop, struct og_error *err)
{
	uint32_t n = 0, rows = t->rows.rows;
	int rc;

	if ((rc = keep_rows(&t->rows.id, drop, rows, err)) < 0 || (rc = keep_rows(&t->rows.src, drop, rows, err)) < 0 ||
	    (rc = keep_rows(&t->rows.dst, drop, rows, err)) < 0)
		return rc;
	for (uint32_t i = 0; i < t->type->nprops; i++)
		if ((rc = keep_rows(&t->rows.props[i], drop, rows, err)) < 0)
			return rc;
	for (uint32_t i = 0; i < rows; i++)
		if (!drop[i])
			t->meta[n++] = t->meta[i];
	t->rows.rows = n;
	return 0;
}

int loader_dedupe(struct og_loader *l, struct load_type *t, struct og_error *err)
{
	struct load_entry *v;
	uint8_t *drop;
	int rc = 0;

	/* Elsewhere a repeated id is refused at the end. */
	if (l->mode != OG_LOAD_MERGE || t->type->nkey || t->rows.rows == 0)
		return 0;
	v = malloc(t->rows.rows * sizeof(*v));
	drop = calloc(t->rows.rows, 1);
	if (!v || !drop)
		rc = og_error_nomem(err);
	else if (find_replaced(t, v, drop))
		rc = drop_rows(t, drop, err);
	free(v);
	free(drop);
	return rc;
}

/* ---- chunks ---- */

static void describe(struct og_pq_col_desc *d, const struct og_colvec **cols, size_t *n, const char *name, uint32_t prop_id, const struct og_colvec *v)
{
	d[*n] = (struct og_pq_col_desc){ .name = og_slice_str(name), .field_id = (int32_t)prop_id, .type = { .scalar = OG_STRING } };
	cols[(*n)++] = v;
}

size_t loader_columns(const struct og_change *c, bool all, struct og_pq_col_desc *descs, const struct og_colvec **cols)
{
	size_t n = 0;

	describe(descs, cols, &n, "id", OG_PROP_ID, &c->id);
	if (c->type->kind == OG_EDGE) {
		describe(descs, cols, &n, "src", OG_PROP_SRC, &c->src);
		describe(descs, cols, &n, "dst", OG_PROP_DST, &c->dst);
	}
	for (uint32_t i = 0; i < c->type->nprops; i++) {
		const struct og_property *p = &c->type->props[i];

		if (c->props[i].rows == 0 && !all)
			continue;
		descs[n] = (struct og_pq_col_desc){ .name = p->name, .field_id = (int32_t)p->id, .type = p->type };
		cols[n++] = &c->props[i];
	}
	return n;
}

/* A segment: plain rows; columns without any value are left out. */
static int encode(const struct og_change *c, struct og_buf *out, struct og_error *err)
{
	struct og_pq_options opt = { .codec = OG_PQ_SNAPPY };
	size_t max = c->type->nprops + 3;
	struct og_pq_col_desc *d = calloc(max, sizeof(*d));
	const struct og_colvec **cols = calloc(max, sizeof(*cols));
	int rc;

	if (!d || !cols)
		rc = og_error_nomem(err);
	else
		rc = og_pq_encode(out, d, cols, loader_columns(c, false, d, cols), &opt, NULL, 0, err);
	free(d);
	free(cols);
	return rc < 0 ? rc : og_buf_ok(out, err);
}

static int to_spool(struct og_loader *l, struct load_chunk *c, const struct load_meta *meta, struct og_error *err)
{
	size_t bytes = c->rows * sizeof(*meta);
	int rc;

	if (!l->spill) {
		c->meta = malloc(bytes);
		if (!c->meta)
			return og_error_nomem(err);
		memcpy(c->meta, meta, bytes);
		return 0;
	}
	if (l->spool < 0 && (rc = og_tmpfile(NULL, &l->spool, err)) < 0)
		return rc;
	if ((rc = og_fd_write_all(l->spool, og_buf_view(&c->parquet), err)) < 0 || (rc = og_fd_write_all(l->spool, og_slice(meta, bytes), err)) < 0)
		return rc;
	c->at = l->spooled;
	l->spooled += c->parquet_len + bytes;
	return 0;
}

struct load_chunk *loader_add_chunk(struct og_loader *l, struct load_type *t, uint32_t rows, struct og_buf *parquet, const struct load_meta *meta,
				    struct og_error *err)
{
	struct load_chunk *c;

	if (l->nchunks == l->chunks_cap) {
		size_t cap = l->chunks_cap ? l->chunks_cap * 2 : 16;
		struct load_chunk *chunks = realloc(l->chunks, cap * sizeof(*chunks));

		if (!chunks) {
			og_error_nomem(err);
			return NULL;
		}
		l->chunks = chunks;
		l->chunks_cap = cap;
	}
	c = &l->chunks[l->nchunks];
	*c = (struct load_chunk){ .type = t->type->index, .first = t->stored, .rows = rows, .parquet = *parquet, .parquet_len = parquet->len };
	*parquet = (struct og_buf){ 0 };
	if (to_spool(l, c, meta, err) < 0) {
		og_buf_fini(&c->parquet);
		free(c->meta);
		return NULL;
	}
	l->nchunks++;
	t->stored += rows;
	t->chunked = true;
	return c;
}

int loader_flush(struct og_loader *l, struct load_type *t, struct og_error *err)
{
	struct og_buf parquet = { 0 };
	int rc;

	if (t->open)
		return loader_close(l, t, err);
	if (t->rows.rows == 0)
		return 0;
	if ((rc = loader_dedupe(l, t, err)) < 0)
		return rc;
	loader_drop_nulls(t);
	if ((rc = encode(&t->rows, &parquet, err)) < 0 || !loader_add_chunk(l, t, t->rows.rows, &parquet, t->meta, err)) {
		og_buf_fini(&parquet);
		return err->code;
	}
	loader_clear(t);
	return 0;
}

int og_loader_parquet(struct og_loader *l, struct load_chunk *c, struct og_error *err)
{
	int rc;

	if (c->parquet.len)
		return 0;
	og_buf_clear(&c->parquet);
	if (!og_buf_reserve(&c->parquet, c->parquet_len))
		return og_error_nomem(err);
	if ((rc = og_fd_pread_all(l->spool, c->parquet.data, c->parquet_len, c->at, err)) < 0)
		return rc;
	c->parquet.len = c->parquet_len;
	return 0;
}

void og_loader_stored(struct og_loader *l, struct load_chunk *c, const struct og_wire_segment *seg)
{
	c->seg = *seg;
	c->stored = true;
	if (l->spill)
		og_buf_fini(&c->parquet);
}

/* ---- reading back ---- */

static int read_column(const struct og_pq_file *f, uint32_t prop_id, struct og_colvec *out, struct og_error *err)
{
	int rc, col = og_pq_find(f, (int32_t)prop_id);

	for (size_t g = 0; col >= 0 && g < f->ngroups; g++)
		if ((rc = og_pq_read_column(f, g, (size_t)col, out, err)) < 0)
			return rc;
	return og_colvec_ok(out, err);
}

static int read_columns(const struct load_chunk *c, const bool *props, struct og_change *rows, struct og_error *err)
{
	const struct og_type *t = rows->type;
	struct og_pq_file f;
	struct og_arena a;
	int rc;

	og_arena_init(&a, 0);
	rc = og_pq_open(&a, og_buf_view(&c->parquet), &f, err);
	if (rc == 0)
		rc = read_column(&f, OG_PROP_ID, &rows->id, err);
	if (rc == 0 && t->kind == OG_EDGE && (rc = read_column(&f, OG_PROP_SRC, &rows->src, err)) == 0)
		rc = read_column(&f, OG_PROP_DST, &rows->dst, err);
	for (uint32_t i = 0; rc == 0 && props && i < t->nprops; i++)
		if (props[i])
			rc = read_column(&f, t->props[i].id, &rows->props[i], err);
	rows->rows = c->rows;
	og_arena_fini(&a);
	return rc;
}

int loader_read(struct og_loader *l, struct load_chunk *c, const bool *props, struct og_change *rows, struct load_meta **meta, struct og_error *err)
{
	size_t bytes = c->rows * sizeof(**meta);
	int rc;

	og_change_init(rows, &l->catalog->types[c->type]);
	*meta = malloc(bytes);
	if (!*meta || !rows->props)
		rc = og_error_nomem(err);
	else
		rc = og_loader_parquet(l, c, err);
	if (rc == 0)
		rc = read_columns(c, props, rows, err);
	if (rc == 0 && l->spill)
		rc = og_fd_pread_all(l->spool, *meta, bytes, c->at + c->parquet_len, err);
	else if (rc == 0)
		memcpy(*meta, c->meta, bytes);
	if (l->spill && c->stored)
		og_buf_fini(&c->parquet);
	if (rc < 0) {
		og_change_fini(rows);
		free(*meta);
		*meta = NULL;
	}
	return rc;
}

/* ---- old spellings in edges ---- */

static int remap_ends(const struct og_loader *l, uint32_t node, struct og_colvec *c, bool *changed, struct og_error *err)
{
	struct og_colvec fresh;
	bool any = false;
	int rc;

	for (size_t i = 0; !any && i < c->rows; i++)
		any = loader_canonical(l, node, og_colvec_str(c, i)) != NULL;
	if (!any)
		return 0;
	og_colvec_init(&fresh, &c->type);
	for (size_t i = 0; i < c->rows; i++) {
		const struct og_slice *id = loader_canonical(l, node, og_colvec_str(c, i));

		og_colvec_append_str(&fresh, id ? *id : og_colvec_str(c, i));
	}
	if ((rc = og_colvec_ok(&fresh, err)) < 0) {
		og_colvec_fini(&fresh);
		return rc;
	}
	og_colvec_fini(c);
	*c = fresh;
	*changed = true;
	return 0;
}

static int remap_rows(const struct og_loader *l, struct og_change *rows, bool *changed, struct og_error *err)
{
	int rc = remap_ends(l, rows->type->src_type, &rows->src, changed, err);

	return rc < 0 ? rc : remap_ends(l, rows->type->dst_type, &rows->dst, changed, err);
}

/* The chunk is written anew; what of it is in the store already is garbage. */
static int remap_chunk(struct og_loader *l, struct load_chunk *c, bool *props, struct og_error *err)
{
	struct load_meta *meta;
	struct og_change rows;
	bool changed = false;
	int rc = loader_read(l, c, props, &rows, &meta, err);

	if (rc < 0)
		return rc;
	rc = remap_rows(l, &rows, &changed, err);
	if (rc == 0 && changed) {
		og_buf_clear(&c->parquet);
		free(c->meta);
		c->meta = NULL;
		c->stored = false;
		rc = encode(&rows, &c->parquet, err);
		c->parquet_len = c->parquet.len;
		if (rc == 0)
			rc = to_spool(l, c, meta, err);
	}
	og_change_fini(&rows);
	free(meta);
	return rc;
}

int loader_remap(struct og_loader *l, struct og_error *err)
{
	uint32_t most = 1;
	bool *props, ignored;
	int rc = 0;

	if (!l->remap.count)
		return 0;
	for (uint32_t i = 0; i < l->ntypes; i++)
		most = OG_MAX(most, l->types[i].type->nprops);
	props = malloc(most);
	if (!props)
		return og_error_nomem(err);
	memset(props, true, most);
	for (uint32_t i = 0; rc == 0 && i < l->ntypes; i++)
		if (l->types[i].type->kind == OG_EDGE && l->types[i].rows.rows)
			rc = remap_rows(l, &l->types[i].rows, &ignored, err);
	for (size_t i = 0; rc == 0 && i < l->nchunks; i++)
		if (l->catalog->types[l->chunks[i].type].kind == OG_EDGE)
			rc = remap_chunk(l, &l->chunks[i], props, err);
	free(props);
	return rc;
}
