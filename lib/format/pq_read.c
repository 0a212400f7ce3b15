/* Parquet reader: the footer, believed only where it says what our writer would have said. */
#include "config.h"

#include "format/parquet.h"

#include <inttypes.h>

#include "base/codec.h"
#include "base/utf8.h"
#include "format/pq_private.h"
#include "format/thrift.h"

/* Bytes that a footer spends at least on each of these. */
#define MIN_ELEMENT 4u
#define MIN_CHUNK 16u
#define MIN_KV 3u

struct element {
	int type, repetition, converted;	/* -1: absent */
	int32_t children, field_id;
	bool has_field_id;
	struct og_slice name, logical;
	size_t pos;				/* in the footer */
};

struct footer {
	struct og_arena *arena;
	struct og_pq_file *file;
	struct og_tc r;
	uint64_t start;		/* of the footer in the file */
	uint64_t next;		/* where the next chunk must begin */
	struct og_error *err;
};

static uint64_t here(const struct footer *f)
{
	return f->start + og_tc_pos(&f->r);
}

/* The structure itself is damaged. */
static int broken(const struct footer *f)
{
	return og_error_at(f->err, OG_ERR_CORRUPT, f->start + (f->r.failed ? f->r.failed_at : og_tc_pos(&f->r)), "damaged Parquet footer");
}

/* ---- schema ---- */

static void read_element(struct og_tc *r, struct element *e)
{
	struct og_tc_field f = { 0 };
	const uint8_t *from;

	*e = (struct element){ .type = -1, .repetition = -1, .converted = -1, .pos = og_tc_pos(r) };
	while (og_tc_next(r, &f)) {
		switch (f.id) {
		case 1:
			e->type = og_tc_i32(r, &f);
			break;
		case 3:
			e->repetition = og_tc_i32(r, &f);
			break;
		case 4:
			e->name = og_tc_binary(r, &f);
			break;
		case 5:
			e->children = og_tc_i32(r, &f);
			break;
		case 6:
			e->converted = og_tc_i32(r, &f);
			break;
		case 9:
			e->field_id = og_tc_i32(r, &f);
			e->has_field_id = true;
			break;
		case 10:
			from = r->p;
			if (og_tc_struct(r, &f))
				og_tc_skip(r, &f);
			e->logical = og_slice(from, (size_t)(r->p - from));
			break;
		default:
			og_tc_skip(r, &f);
		}
	}
}

static bool is_list_group(const struct element *e, size_t left)
{
	return left >= 3 && e[0].type < 0 && e[0].children == 1 && e[0].converted == PQ_CONVERTED_LIST && og_slice_eq(e[0].logical, PQ_LOGICAL_LIST) &&
	       e[1].type < 0 && e[1].children == 1 && e[1].repetition == PQ_REPEATED && og_slice_is(e[1].name, "list") && e[2].children == 0 &&
	       og_slice_is(e[2].name, "element");
}

/* The column that starts at e[0]; *used: elements taken. */
static int read_column_desc(struct footer *f, const struct element *e, size_t left, struct og_pq_col_desc *d, size_t *used)
{
	bool list = e[0].children > 0;
	const struct element *leaf = list && left >= 3 ? &e[2] : &e[0];
	const struct pq_mapping *m;

	if (e[0].name.len == 0 || og_utf8_check(e[0].name) != e[0].name.len || e[0].children < 0)
		return og_error_at(f->err, OG_ERR_CORRUPT, f->start + e[0].pos, "damaged Parquet schema: a column's name");
	m = pq_mapping_find(leaf->type, leaf->converted, leaf->logical);
	if (!e[0].has_field_id || (list && !is_list_group(e, left)) || !m ||
	    (e[0].repetition != PQ_REQUIRED && e[0].repetition != PQ_OPTIONAL) ||
	    (leaf->repetition != PQ_REQUIRED && leaf->repetition != PQ_OPTIONAL) ||
	    (list && leaf->repetition == PQ_REQUIRED && m->scalar != OG_F32))
		return og_error_at(f->err, OG_ERR_UNSUPPORTED, f->start + e[0].pos, "Parquet column %.*s: not of a type that is written here",
				   OG_FMT(e[0].name));
	*d = (struct og_pq_col_desc){ .name = e[0].name, .field_id = e[0].field_id };
	d->type.nullable = e[0].repetition == PQ_OPTIONAL;
	d->type.list = list && leaf->repetition == PQ_OPTIONAL;
	d->type.scalar = list && !d->type.list ? OG_VECTOR : m->scalar;
	*used = list ? 3 : 1;
	return 0;
}

static int read_schema(struct footer *f, const struct og_tc_field *field)
{
	uint32_t n = og_tc_list(&f->r, field, OG_TC_STRUCT, MIN_ELEMENT);
	struct og_pq_file *file = f->file;
	struct element *e = og_arena_array(f->arena, n, sizeof(*e));
	size_t used = 1, i;
	int rc;

	file->cols = og_arena_array(f->arena, n, sizeof(*file->cols));
	if (!e || !file->cols)
		return og_arena_error(f->arena, f->err);
	for (i = 0; i < n; i++)
		read_element(&f->r, &e[i]);
	if (f->r.failed)
		return broken(f);
	if (n < 2 || e[0].children < 1)
		return og_error_at(f->err, OG_ERR_CORRUPT, here(f), "damaged Parquet schema: no columns");
	for (i = 1; i < n; i += used, file->ncols++)
		if ((rc = read_column_desc(f, &e[i], n - i, &file->cols[file->ncols], &used)) < 0)
			return rc;
	if (file->ncols != (size_t)e[0].children)
		return og_error_at(f->err, OG_ERR_CORRUPT, f->start + e[0].pos, "damaged Parquet schema: %zu columns, %d announced", file->ncols,
				   e[0].children);
	return 0;
}

/* ---- row groups ---- */

struct chunk_meta {
	int type, codec;
	int64_t values, bytes, data_offset, dict_offset;	/* -1: absent */
	bool path_ok, foreign;
};

static bool read_path(struct og_tc *r, const struct og_tc_field *field, const struct og_pq_col_desc *d)
{
	uint32_t n = og_tc_list(r, field, OG_TC_BINARY, 1);
	bool nested = pq_levels_of(&d->type).nested;
	bool ok = n == (nested ? 3 : 1);

	for (uint32_t i = 0; i < n && !r->failed; i++) {
		struct og_slice s = og_tc_elem_binary(r);

		if (i == 0)
			ok &= og_slice_eq(s, d->name);
		else
			ok &= og_slice_is(s, i == 1 ? "list" : "element");
	}
	return ok;
}

static void read_statistics(struct og_tc *r, const struct og_tc_field *field, struct og_pq_stats *s)
{
	struct og_tc_field f = { 0 };
	int64_t nulls;

	if (!og_tc_struct(r, field))
		return;
	while (og_tc_next(r, &f)) {
		switch (f.id) {
		case 3:
			nulls = og_tc_i64(r, &f);
			s->has_nulls = nulls >= 0;
			s->nulls = s->has_nulls ? (uint64_t)nulls : 0;
			break;
		case 5:
			s->max = og_tc_binary(r, &f);
			break;
		case 6:
			s->min = og_tc_binary(r, &f);
			break;
		case 7:
			s->max_exact = og_tc_bool(r, &f);
			break;
		case 8:
			s->min_exact = og_tc_bool(r, &f);
			break;
		default:
			og_tc_skip(r, &f);
		}
	}
}

static void read_chunk_meta(struct og_tc *r, const struct og_tc_field *field, const struct og_pq_col_desc *d, struct chunk_meta *m,
			    struct og_pq_stats *stats)
{
	struct og_tc_field f = { 0 };

	if (!og_tc_struct(r, field))
		return;
	while (og_tc_next(r, &f)) {
		switch (f.id) {
		case 1:
			m->type = og_tc_i32(r, &f);
			break;
		case 3:
			m->path_ok = read_path(r, &f, d);
			break;
		case 4:
			m->codec = og_tc_i32(r, &f);
			break;
		case 5:
			m->values = og_tc_i64(r, &f);
			break;
		case 7:
			m->bytes = og_tc_i64(r, &f);
			break;
		case 9:
			m->data_offset = og_tc_i64(r, &f);
			break;
		case 11:
			m->dict_offset = og_tc_i64(r, &f);
			break;
		case 12:
			read_statistics(r, &f, stats);
			break;
		default:
			og_tc_skip(r, &f);
		}
	}
}

/* Chunks follow each other without gaps: no two claim the same bytes. */
static bool chunk_in_place(const struct footer *f, const struct chunk_meta *m)
{
	uint64_t bytes = (uint64_t)m->bytes, data = (uint64_t)m->data_offset, dict = (uint64_t)m->dict_offset;

	if (m->bytes <= 0 || m->data_offset < 0 || bytes > f->start - f->next)
		return false;
	if (m->dict_offset < 0)
		return data == f->next;
	return dict == f->next && data > dict && data - dict < bytes;
}

static int read_chunk(struct footer *f, const struct og_pq_col_desc *d, struct og_pq_chunk *ch, uint64_t *pos)
{
	struct chunk_meta m = { .type = -1, .codec = -1, .values = -1, .bytes = -1, .data_offset = -1, .dict_offset = -1 };
	struct og_tc_field field = { 0 };

	*pos = here(f);
	while (og_tc_next(&f->r, &field)) {
		if (field.id == 3)
			read_chunk_meta(&f->r, &field, d, &m, &ch->stats);
		else
			og_tc_skip(&f->r, &field);
		m.foreign |= field.id == 1;	/* its pages lie in another file */
	}
	if (f->r.failed)
		return broken(f);
	if (m.foreign || (m.codec != OG_PQ_NONE && m.codec != OG_PQ_SNAPPY && m.codec != OG_PQ_ZSTD))
		return og_error_at(f->err, OG_ERR_UNSUPPORTED, *pos, "Parquet column %.*s: codec %d is not known here", OG_FMT(d->name), m.codec);
	if (m.type != (int)pq_mapping_of(d->type.scalar)->physical || !m.path_ok || m.values < 0 || !chunk_in_place(f, &m))
		return og_error_at(f->err, OG_ERR_CORRUPT, *pos, "Parquet column %.*s: damaged description of a chunk", OG_FMT(d->name));
	ch->offset = f->next;
	ch->bytes = (uint64_t)m.bytes;
	ch->values = (uint64_t)m.values;
	ch->codec = (enum og_pq_codec)m.codec;
	ch->has_dictionary = m.dict_offset >= 0;
	f->next += ch->bytes;
	return 0;
}

static int read_chunks(struct footer *f, const struct og_tc_field *field, struct og_pq_group *g)
{
	uint32_t n = og_tc_list(&f->r, field, OG_TC_STRUCT, MIN_CHUNK);
	uint64_t pos;
	int rc;

	if (f->r.failed)
		return broken(f);
	if (n != f->file->ncols)
		return og_error_at(f->err, OG_ERR_CORRUPT, here(f), "damaged Parquet footer: %u chunks for %zu columns", n, f->file->ncols);
	g->chunks = og_arena_array(f->arena, n, sizeof(*g->chunks));
	if (!g->chunks)
		return og_arena_error(f->arena, f->err);
	for (uint32_t i = 0; i < n; i++)
		if ((rc = read_chunk(f, &f->file->cols[i], &g->chunks[i], &pos)) < 0)
			return rc;
	return 0;
}

static int read_group(struct footer *f, struct og_pq_group *g)
{
	struct og_tc_field field = { 0 };
	uint64_t pos = here(f);
	int64_t rows = 0;
	int rc;

	while (og_tc_next(&f->r, &field)) {
		if (field.id == 1) {
			if ((rc = read_chunks(f, &field, g)) < 0)
				return rc;
		} else if (field.id == 3) {
			rows = og_tc_i64(&f->r, &field);
		} else {
			og_tc_skip(&f->r, &field);
		}
	}
	if (f->r.failed)
		return broken(f);
	if (rows <= 0 || rows > UINT32_MAX || !g->chunks)
		return og_error_at(f->err, OG_ERR_CORRUPT, pos, "damaged Parquet row group: %" PRId64 " rows", rows);
	g->rows = (uint64_t)rows;
	f->file->rows += g->rows;
	for (size_t i = 0; i < f->file->ncols; i++) {
		bool nested = pq_levels_of(&f->file->cols[i].type).nested;

		if (nested ? g->chunks[i].values < g->rows : g->chunks[i].values != g->rows)
			return og_error_at(f->err, OG_ERR_CORRUPT, pos, "Parquet column %.*s: %" PRIu64 " values in %" PRIu64 " rows",
					   OG_FMT(f->file->cols[i].name), g->chunks[i].values, g->rows);
	}
	return 0;
}

static int read_groups(struct footer *f, const struct og_tc_field *field)
{
	struct og_pq_file *file = f->file;
	uint32_t n;
	int rc;

	if (file->ncols == 0)
		return broken(f);
	n = og_tc_list(&f->r, field, OG_TC_STRUCT, MIN_CHUNK * file->ncols);
	file->groups = og_arena_array(f->arena, n, sizeof(*file->groups));
	if (!file->groups)
		return og_arena_error(f->arena, f->err);
	for (file->ngroups = 0; file->ngroups < n; file->ngroups++)
		if ((rc = read_group(f, &file->groups[file->ngroups])) < 0)
			return rc;
	return 0;
}

/* ---- the footer ---- */

static int read_kvs(struct footer *f, const struct og_tc_field *field)
{
	uint32_t n = og_tc_list(&f->r, field, OG_TC_STRUCT, MIN_KV);
	struct og_pq_file *file = f->file;

	file->kvs = og_arena_array(f->arena, n, sizeof(*file->kvs));
	if (!file->kvs)
		return og_arena_error(f->arena, f->err);
	for (file->nkvs = 0; file->nkvs < n && !f->r.failed; file->nkvs++) {
		struct og_tc_field inner = { 0 };

		while (og_tc_next(&f->r, &inner)) {
			if (inner.id == 1)
				file->kvs[file->nkvs].key = og_tc_binary(&f->r, &inner);
			else if (inner.id == 2)
				file->kvs[file->nkvs].value = og_tc_binary(&f->r, &inner);
			else
				og_tc_skip(&f->r, &inner);
		}
	}
	return 0;
}

static int read_footer(struct footer *f)
{
	struct og_tc_field field = { 0 };
	int64_t rows = -1;
	int rc = 0;

	while (rc == 0 && og_tc_next(&f->r, &field)) {
		switch (field.id) {
		case 2:
			rc = read_schema(f, &field);
			break;
		case 3:
			rows = og_tc_i64(&f->r, &field);
			break;
		case 4:
			rc = read_groups(f, &field);
			break;
		case 5:
			rc = read_kvs(f, &field);
			break;
		case 6:
			f->file->created_by = og_tc_binary(&f->r, &field);
			break;
		default:
			og_tc_skip(&f->r, &field);
		}
	}
	if (rc < 0)
		return rc;
	/* The trees are whole, all bytes used, and the chunks fill the file. */
	if (f->r.failed || f->r.p != f->r.end || f->file->ncols == 0)
		return broken(f);
	if (rows < 0 || (uint64_t)rows != f->file->rows)
		return og_error_at(f->err, OG_ERR_CORRUPT, f->start, "damaged Parquet footer: %" PRId64 " rows, %" PRIu64 " in its groups", rows,
				   f->file->rows);
	if (f->next != f->start)
		return og_error_at(f->err, OG_ERR_CORRUPT, f->next, "Parquet file: bytes that belong to no column");
	return 0;
}

int og_pq_open(struct og_arena *a, struct og_slice bytes, struct og_pq_file *out, struct og_error *err)
{
	struct og_pq_file file = { .bytes = bytes };
	struct footer f = { .arena = a, .file = &file, .next = PQ_MAGIC_LEN, .err = err };
	size_t tail;
	uint32_t len;
	int rc;

	if (bytes.len < PQ_MAGIC_LEN + PQ_TAIL_LEN || !og_slice_starts(bytes, OG_SLICE(PQ_MAGIC)))
		return og_error_at(err, OG_ERR_CORRUPT, 0, "not a Parquet file");
	tail = bytes.len - PQ_TAIL_LEN;
	if (memcmp(bytes.p + tail + 4, PQ_MAGIC, PQ_MAGIC_LEN) != 0)
		return og_error_at(err, OG_ERR_CORRUPT, tail + 4, "Parquet file without its end");
	len = og_le32(bytes.p + tail);
	if (len > tail - PQ_MAGIC_LEN)
		return og_error_at(err, OG_ERR_CORRUPT, tail, "Parquet footer of %u bytes in a file of %zu", len, bytes.len);
	f.start = tail - len;
	f.r = og_tc_init(og_slice(bytes.p + f.start, len));
	if ((rc = read_footer(&f)) < 0)
		return rc;
	*out = file;
	return 0;
}

int og_pq_find(const struct og_pq_file *f, int32_t field_id)
{
	for (size_t i = 0; i < f->ncols; i++)
		if (f->cols[i].field_id == field_id)
			return (int)i;
	return -1;
}

bool og_pq_find_kv(const struct og_pq_file *f, const char *key, struct og_slice *value)
{
	for (size_t i = 0; i < f->nkvs; i++) {
		if (og_slice_is(f->kvs[i].key, key)) {
			*value = f->kvs[i].value;
			return true;
		}
	}
	return false;
}

static bool bound_value(const struct og_proptype *t, struct og_slice s, struct og_value *v)
{
	size_t width = 0;
	float single;

	v->kind = og_proptype_kind(t);
	switch (t->scalar) {
	case OG_STRING:
		v->s = s;
		return og_utf8_check(s) == s.len;
	case OG_BOOL:
		width = 1;
		break;
	case OG_I32:
	case OG_DATE:
	case OG_U32:
	case OG_F32:
		width = 4;
		break;
	case OG_I64:
	case OG_DATETIME:
	case OG_U64:
	case OG_F64:
		width = 8;
		break;
	case OG_VECTOR:
	case OG_BLOB:
		return false;
	}
	if (s.len != width)
		return false;
	if (t->scalar == OG_F32) {
		memcpy(&single, s.p, 4);
		v->f = (double)single;
	} else if (width == 8) {
		memcpy(&v->u, s.p, 8);	/* i, u and f share their place */
	} else if (width == 1) {
		v->i = s.p[0] != 0;
	} else if (t->scalar == OG_U32) {
		v->u = og_le32(s.p);
	} else {
		v->i = (int32_t)og_le32(s.p);
	}
	return true;
}

bool og_pq_range(const struct og_pq_file *f, size_t group, size_t col, struct og_value *min, struct og_value *max)
{
	const struct og_pq_stats *s = &f->groups[group].chunks[col].stats;
	const struct og_proptype *t = &f->cols[col].type;

	return !t->list && s->min.p && s->max.p && bound_value(t, s->min, min) && bound_value(t, s->max, max);
}
