/* Opening and resolving the layers of a type; the build as a whole. */
#include "config.h"

#include "image/job.h"

#include <stdlib.h>

#include "base/fd.h"
#include "base/map.h"

const struct og_proptype og_type_string = { .scalar = OG_STRING };
const struct og_proptype og_type_op = { .scalar = OG_I32 };

/* Whatever is wrong with a layer's bytes is damage of the store, with the layer's number. */
static int layer_error(struct og_error *err, size_t layer, int rc)
{
	if (rc == OG_ERR_NOMEM || !err)
		return rc;
	og_error_prefix(err, "layer %zu: ", layer);
	err->code = OG_ERR_CORRUPT;
	return OG_ERR_CORRUPT;
}

static int read_column(const struct og_pq_file *f, int col, const struct og_proptype *type, struct og_colvec *out, struct og_error *err)
{
	int rc;

	og_colvec_init(out, type);
	for (size_t g = 0; g < f->ngroups; g++)
		if ((rc = og_pq_read_column(f, g, (size_t)col, out, err)) < 0)
			return rc;
	if ((rc = og_colvec_ok(out, err)) < 0)
		return rc;
	if (out->rows != f->rows)
		return og_error_set(err, OG_ERR_CORRUPT, "column %.*s has %zu rows, the file %llu", OG_FMT(f->cols[col].name), out->rows,
				    (unsigned long long)f->rows);
	return 0;
}

static int open_layer(struct og_job *j, size_t n, struct og_error *err)
{
	struct og_job_layer *l = &j->layers[n];
	int rc = og_pq_open(&j->arena, j->in->layers[n].bytes, &l->file, err);

	if (rc < 0)
		return rc;
	if (l->file.rows >= OG_JOB_DELETE)
		return og_error_set(err, OG_ERR_CORRUPT, "%llu rows are too many", (unsigned long long)l->file.rows);
	/* Memory is taken by the row before a column is read. However alike ids are, our codecs take more than a bit for each. */
	if (l->file.rows / 8 > j->in->layers[n].bytes.len)
		return og_error_set(err, OG_ERR_CORRUPT, "%llu rows cannot be in %zu bytes", (unsigned long long)l->file.rows,
				    j->in->layers[n].bytes.len);
	if (og_pq_find(&l->file, OG_PROP_ID) < 0)
		return og_error_set(err, OG_ERR_CORRUPT, "no id column");
	l->has_op = og_pq_find(&l->file, OG_PROP_OP) >= 0;
	return 0;
}

static int read_ids(struct og_job_layer *l, struct og_error *err)
{
	int rc = read_column(&l->file, og_pq_find(&l->file, OG_PROP_ID), &og_type_string, &l->id, err);

	if (rc < 0)
		return rc;
	if (l->id.nulls)
		return og_error_set(err, OG_ERR_CORRUPT, "a row without an id");
	if (!l->has_op)
		return 0;
	if ((rc = read_column(&l->file, og_pq_find(&l->file, OG_PROP_OP), &og_type_op, &l->op, err)) < 0)
		return rc;
	for (size_t r = 0; r < l->op.rows; r++)
		if (og_colvec_is_null(&l->op, r) || (uint32_t)l->op.i32[r] > 1)
			return og_error_set(err, OG_ERR_CORRUPT, "row %zu: unknown operation", r);
	return 0;
}

int og_job_read_ids(struct og_job *j, struct og_error *err)
{
	for (size_t i = 0; !j->have_ids && i < j->in->nlayers; i++) {
		int rc = read_ids(&j->layers[i], err);

		if (rc < 0)
			return layer_error(err, i, rc);
	}
	j->have_ids = true;
	return 0;
}

int og_job_open(struct og_job *j, const struct og_build_in *in, struct og_error *err)
{
	*j = (struct og_job){ .in = in };
	og_arena_init(&j->arena, 0);
	if (in->nlayers >= OG_JOB_DELETE)
		return og_error_set(err, OG_ERR_TOO_LARGE, "%zu layers", in->nlayers);
	j->layers = calloc(in->nlayers ? in->nlayers : 1, sizeof(*j->layers));
	if (!j->layers)
		return og_error_nomem(err);
	for (size_t i = 0; i < in->nlayers; i++) {
		int rc = open_layer(j, i, err);

		if (rc < 0)
			return layer_error(err, i, rc);
	}
	return 0;
}

void og_job_fini(struct og_job *j)
{
	for (size_t i = 0; j->layers && i < j->in->nlayers; i++) {
		og_colvec_fini(&j->layers[i].id);
		og_colvec_fini(&j->layers[i].op);
	}
	free(j->layers);
	free(j->place_layer);
	free(j->place_row);
	free(j->order);
	free(j->ends);
	og_arena_fini(&j->arena);
	*j = (struct og_job){ 0 };
}

/* While resolving: id -> place + 1, over the ids of the places' rows. */
struct places {
	uint32_t *slot;
	uint32_t *hash;			/* high half, so that most misses cost no comparison */
	uint64_t mask;
	uint64_t used;
	size_t cap;			/* of place_layer, place_row */
};

/* place_layer of a place that nothing stands for any more. */
#define PLACE_VOID UINT32_MAX

static bool places_alloc(struct places *t, uint64_t cap)
{
	t->slot = calloc(cap, sizeof(*t->slot));
	t->hash = malloc(cap * sizeof(*t->hash));
	t->mask = cap - 1;
	return t->slot && t->hash;
}

static bool places_grow(struct places *t)
{
	struct places old = *t;

	if (t->slot && t->used * 5 < (t->mask + 1) * 3)
		return true;
	if (!places_alloc(t, old.slot ? (old.mask + 1) * 2 : 1024)) {
		free(t->slot);
		free(t->hash);
		*t = old;
		return false;
	}
	for (uint64_t i = 0; old.slot && i <= old.mask; i++) {
		uint64_t pos;

		if (!old.slot[i])
			continue;
		/* The high half alone decides the position, so that no id is hashed again. */
		for (pos = old.hash[i] & t->mask; t->slot[pos]; pos = (pos + 1) & t->mask)
			;
		t->slot[pos] = old.slot[i];
		t->hash[pos] = old.hash[i];
	}
	free(old.slot);
	free(old.hash);
	return true;
}

static int place_new(struct og_job *j, struct places *t, uint32_t layer, uint32_t row, struct og_error *err)
{
	if (j->nplaces >= OG_JOB_DELETE)
		return og_error_set(err, OG_ERR_TOO_LARGE, "more than %u rows of a type", OG_JOB_DELETE);
	if (j->nplaces == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 1024;
		uint32_t *a = realloc(j->place_layer, cap * sizeof(*a)), *b;

		if (a)
			j->place_layer = a;
		b = a ? realloc(j->place_row, cap * sizeof(*b)) : NULL;
		if (!b)
			return og_error_nomem(err);
		j->place_row = b;
		t->cap = cap;
	}
	j->place_layer[j->nplaces] = layer;
	j->place_row[j->nplaces] = row;
	j->nplaces++;
	return 0;
}

/* The row (layer, row) is the news about its id. */
static int resolve_row(struct og_job *j, struct places *t, uint32_t layer, uint32_t row, struct og_error *err)
{
	struct og_job_layer *l = &j->layers[layer];
	bool delete = l->has_op && l->op.i32[row] == 1;
	struct og_slice id = og_colvec_str(&l->id, row);
	uint32_t hash = (uint32_t)(og_hash(id) >> 32), place = 0;
	uint64_t pos;
	int rc;

	if (!places_grow(t))
		return og_error_nomem(err);
	for (pos = hash & t->mask; t->slot[pos]; pos = (pos + 1) & t->mask) {
		place = t->slot[pos] - 1;
		/* The row of a dead place still tells its id. */
		if (t->hash[pos] == hash &&
		    og_slice_eq(id, og_colvec_str(&j->layers[j->place_layer[place] & ~OG_JOB_DELETE].id, j->place_row[place])))
			break;
	}
	if (t->slot[pos] && !(j->place_layer[place] & OG_JOB_DELETE)) {
		if (!l->has_op && j->place_layer[place] == layer)
			return og_error_set(err, OG_ERR_CORRUPT, "id \"%.*s\" twice", OG_FMT(id));
		j->place_layer[place] = layer | (delete ? OG_JOB_DELETE : 0);
		j->place_row[place] = row;
		return 0;
	}
	if (delete && (t->slot[pos] || !j->keep_deletes))
		return 0;
	if ((rc = place_new(j, t, layer | (delete ? OG_JOB_DELETE : 0), row, err)) < 0)
		return rc;
	if (t->slot[pos])	/* deleted, and here again: the old place is given up */
		j->place_row[place] = PLACE_VOID;
	else
		t->used++;
	t->slot[pos] = j->nplaces;
	t->hash[pos] = hash;
	return 0;
}

/* Leaves out places that are dead; with keep_deletes only those given up. */
static void compact(struct og_job *j)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->nplaces; i++) {
		if ((j->place_layer[i] & OG_JOB_DELETE) && (!j->keep_deletes || j->place_row[i] == PLACE_VOID))
			continue;
		j->place_layer[n] = j->place_layer[i];
		j->place_row[n++] = j->place_row[i];
	}
	j->nplaces = n;
}

/* As many rows as are live: a row deleted or written again would make them more. */
static bool all_live(const struct og_job *j)
{
	uint64_t rows = 0;

	for (size_t l = 0; l < j->in->nlayers; l++)
		rows += j->layers[l].file.rows;
	return j->in->rows && rows == j->in->rows && rows < OG_JOB_DELETE;
}

static int place_all(struct og_job *j, struct og_error *err)
{
	uint32_t n = (uint32_t)j->in->rows, at = 0;

	j->place_layer = malloc(n * sizeof(*j->place_layer));
	j->place_row = malloc(n * sizeof(*j->place_row));
	if (!j->place_layer || !j->place_row)
		return og_error_nomem(err);
	for (uint32_t l = 0; l < j->in->nlayers; l++)
		for (uint32_t r = 0; r < j->layers[l].file.rows; r++) {
			j->place_layer[at] = l;
			j->place_row[at++] = r;
		}
	j->nplaces = n;
	return 0;
}

int og_job_resolve(struct og_job *j, bool keep_deletes, struct og_error *err)
{
	struct places t = { 0 };
	int rc;

	j->keep_deletes = keep_deletes;
	if (j->in->nlayers == 0 || (j->in->nlayers == 1 && (!j->layers[0].has_op || (!keep_deletes && all_live(j))))) {
		j->identity = true;
		j->nplaces = j->in->nlayers ? (uint32_t)j->layers[0].file.rows : 0;
		return 0;
	}
	if (!keep_deletes && all_live(j))
		return place_all(j, err);
	if ((rc = og_job_read_ids(j, err)) < 0)
		return rc;
	for (size_t l = 0; rc == 0 && l < j->in->nlayers; l++) {
		for (size_t r = 0; rc == 0 && r < j->layers[l].id.rows; r++)
			rc = resolve_row(j, &t, (uint32_t)l, (uint32_t)r, err);
		if (rc < 0)
			rc = layer_error(err, l, rc);
	}
	free(t.slot);
	free(t.hash);
	if (rc == 0)
		compact(j);
	return rc;
}

int og_job_column(struct og_job *j, uint32_t prop_id, const struct og_proptype *type, struct og_job_column *out, struct og_error *err)
{
	*out = (struct og_job_column){ 0 };
	out->layers = calloc(j->in->nlayers ? j->in->nlayers : 1, sizeof(*out->layers));
	if (!out->layers)
		return og_error_nomem(err);
	out->nlayers = j->in->nlayers;
	for (size_t i = 0; i < j->in->nlayers; i++) {
		int rc, col = og_pq_find(&j->layers[i].file, (int32_t)prop_id);

		if (col >= 0 && (rc = read_column(&j->layers[i].file, col, type, &out->layers[i], err)) < 0)
			return layer_error(err, i, rc);
	}
	return 0;
}

void og_job_column_fini(struct og_job_column *c)
{
	for (size_t i = 0; i < c->nlayers; i++)
		og_colvec_fini(&c->layers[i]);
	free(c->layers);
	*c = (struct og_job_column){ 0 };
}

int og_job_ids(struct og_job *j, struct og_job_column *out, struct og_error *err)
{
	int rc = og_job_read_ids(j, err);

	if (rc < 0)
		return rc;
	out->nlayers = j->in->nlayers;
	out->layers = og_arena_array(&j->arena, j->in->nlayers ? j->in->nlayers : 1, sizeof(*out->layers));
	if (!out->layers)
		return og_error_nomem(err);
	for (size_t i = 0; i < j->in->nlayers; i++)
		out->layers[i] = j->layers[i].id;
	return 0;
}

struct og_img_key og_job_key(const struct og_job *j, enum og_img_what what, uint32_t prop_id, uint32_t part)
{
	struct og_img_key k = { .type_id = j->in->type->id, .what = what, .prop_id = prop_id, .part = part, .content = j->in->content };

	if (j->in->type->kind == OG_EDGE) {
		k.src = j->in->src_content;
		k.dst = j->in->dst_content;
	}
	return k;
}

int og_job_emit(struct og_img_writer *w, const struct og_job_out *out, struct og_error *err)
{
	struct og_build_out o;
	int rc = og_img_finish(w, &o, err);

	if (rc < 0)
		return rc;
	return out->emit(out->arg, &o, err);
}

static int build_one(struct og_job *j, const struct og_build_want *want, const struct og_job_out *out, struct og_error *err)
{
	const struct og_type *type = j->in->type;
	struct og_job_column col;
	int rc;

	switch (want->what) {
	case OG_IMG_IDS:
		if ((rc = og_job_ids(j, &col, err)) < 0)
			return rc;
		return og_job_emit_column(j, OG_IMG_IDS, 0, &og_type_string, &col, out, err);
	case OG_IMG_IDX:
		return og_job_emit_index(j, out, err);
	case OG_IMG_ADJ:
		if (type->kind != OG_EDGE)
			return og_error_set(err, OG_ERR_BAD, "a node type has no adjacency");
		return og_job_emit_adj(j, out, err);
	case OG_IMG_COL:
		for (uint32_t i = 0; i < type->nprops; i++) {
			if (type->props[i].id != want->prop_id)
				continue;
			rc = og_job_column(j, want->prop_id, &type->props[i].type, &col, err);
			if (rc == 0)
				rc = og_job_emit_column(j, OG_IMG_COL, want->prop_id, &type->props[i].type, &col, out, err);
			og_job_column_fini(&col);
			return rc;
		}
		break;
	}
	return og_error_set(err, OG_ERR_BAD, "no such image of %.*s: kind %u, property %u", OG_FMT(type->table_key), (unsigned)want->what,
			    want->prop_id);
}

int og_build(const struct og_build_in *in, const struct og_build_want *wants, size_t nwants, og_build_emit *emit, void *arg, struct og_error *err)
{
	struct og_job_out out = { emit, arg };
	struct og_job j;
	int rc;

	if ((rc = og_job_open(&j, in, err)) < 0 || (rc = og_job_resolve(&j, false, err)) < 0)
		goto out;
	if (in->type->kind == OG_EDGE && (rc = og_job_sort(&j, err)) < 0)
		goto out;
	for (size_t i = 0; rc == 0 && i < nwants; i++)
		rc = build_one(&j, &wants[i], &out, err);
out:
	og_job_fini(&j);
	return rc;
}

int og_build_rows(const struct og_build_in *in, uint32_t *rows, struct og_error *err)
{
	struct og_job j;
	int rc;

	if ((rc = og_job_open(&j, in, err)) == 0 && (rc = og_job_resolve(&j, false, err)) == 0)
		*rows = j.nplaces;
	og_job_fini(&j);
	return rc;
}
