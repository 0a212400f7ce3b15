/* Folding: the newest rows of several layers, written as one segment. */
#include "config.h"

#include <stdlib.h>

#include "image/job.h"

/* Rows of one row group: small enough that a reader of one group stays small, large enough for dictionaries. */
#define GROUP_ROWS (128u * 1024u)

struct fold {
	struct og_job *j;
	size_t ncols;
	struct og_pq_col_desc *descs;
	struct og_job_column *cols;	/* sources; [0] borrowed from the job, `_op` has none */
	struct og_colvec *group;	/* the rows of one group */
	const struct og_colvec **ptrs;
	size_t op_at;			/* SIZE_MAX: none */
};

static int add_column(struct fold *f, struct og_slice name, uint32_t prop_id, const struct og_proptype *type, bool nullable, struct og_error *err)
{
	struct og_pq_col_desc *d = &f->descs[f->ncols];
	struct og_job_column *c = &f->cols[f->ncols];

	*d = (struct og_pq_col_desc){ .name = name, .field_id = (int32_t)prop_id, .type = *type };
	d->type.nullable = nullable;
	og_colvec_init(&f->group[f->ncols], &d->type);
	f->ptrs[f->ncols] = &f->group[f->ncols];
	f->ncols++;
	if (prop_id == OG_PROP_OP)
		return 0;
	if (prop_id == OG_PROP_ID)
		return og_job_ids(f->j, c, err);
	return og_job_column(f->j, prop_id, type, c, err);
}

/* Without one the result has no `_op`: where it also replaces nothing below it is rows like any others. */
static bool has_deletes(const struct og_job *j)
{
	for (uint32_t i = 0; j->keep_deletes && i < j->nplaces; i++)
		if (og_job_deleted(j, i))
			return true;
	return false;
}

static int open_columns(struct fold *f, struct og_error *err)
{
	const struct og_type *type = f->j->in->type;
	bool keep = f->j->keep_deletes;
	size_t max = type->nprops + 4;
	int rc;

	f->descs = og_arena_array(&f->j->arena, max, sizeof(*f->descs));
	f->cols = og_arena_array(&f->j->arena, max, sizeof(*f->cols));
	f->group = og_arena_array(&f->j->arena, max, sizeof(*f->group));
	f->ptrs = og_arena_array(&f->j->arena, max, sizeof(*f->ptrs));
	if (!f->descs || !f->cols || !f->group || !f->ptrs)
		return og_error_nomem(err);
	if ((rc = add_column(f, OG_SLICE("id"), OG_PROP_ID, &og_type_string, false, err)) < 0)
		return rc;
	if (type->kind == OG_EDGE && ((rc = add_column(f, OG_SLICE("src"), OG_PROP_SRC, &og_type_string, keep, err)) < 0 ||
				      (rc = add_column(f, OG_SLICE("dst"), OG_PROP_DST, &og_type_string, keep, err)) < 0))
		return rc;
	if (has_deletes(f->j)) {
		f->op_at = f->ncols;
		if ((rc = add_column(f, OG_SLICE("_op"), OG_PROP_OP, &og_type_op, false, err)) < 0)
			return rc;
	}
	for (uint32_t i = 0; i < type->nprops; i++) {
		const struct og_property *p = &type->props[i];

		if ((rc = add_column(f, p->name, p->id, &p->type, keep || p->type.nullable, err)) < 0)
			return rc;
	}
	return 0;
}

static void fini_columns(struct fold *f)
{
	for (size_t i = 0; i < f->ncols; i++) {
		og_colvec_fini(&f->group[i]);
		if (f->descs[i].field_id != (int32_t)OG_PROP_ID)
			og_job_column_fini(&f->cols[i]);
	}
}

static int fill_group(struct fold *f, uint32_t from, uint32_t to, struct og_error *err)
{
	for (size_t c = 0; c < f->ncols; c++) {
		struct og_colvec *out = &f->group[c];
		int rc;

		og_colvec_clear(out);
		for (uint32_t s = from; s < to; s++) {
			uint32_t row, layer;
			const struct og_colvec *v;

			if (c == f->op_at) {
				og_colvec_append_i32(out, og_job_deleted(f->j, s));
				continue;
			}
			layer = og_job_at(f->j, s, &row);
			v = &f->cols[c].layers[layer];
			if (!f->descs[c].type.nullable && (v->rows == 0 || og_colvec_is_null(v, row)))
				return og_error_set(err, OG_ERR_CORRUPT, "layer %u: row %u: %.*s is null", layer, row, OG_FMT(f->descs[c].name));
			if (v->rows == 0)
				og_colvec_append_null(out);
			else
				og_colvec_append_row(out, v, row);
		}
		if ((rc = og_colvec_ok(out, err)) < 0)
			return rc;
	}
	return 0;
}

static int write_rows(struct fold *f, og_pq_sink *sink, void *arg, struct og_error *err)
{
	struct og_pq_options opt = { .codec = OG_PQ_ZSTD };
	struct og_pq_writer *w;
	uint32_t n = f->j->nplaces, to;
	int rc;

	if ((rc = og_pq_writer_new(f->descs, f->ncols, &opt, sink, arg, &w, err)) < 0)
		return rc;
	for (uint32_t from = 0; rc == 0 && from < n; from = to) {
		to = from + OG_MIN(GROUP_ROWS, n - from);
		if ((rc = fill_group(f, from, to, err)) == 0)
			rc = og_pq_write_group(w, f->ptrs, f->ncols, err);
	}
	if (rc == 0)
		rc = og_pq_finish(w, NULL, 0, err);
	og_pq_writer_free(w);
	return rc;
}

int og_fold(const struct og_build_in *in, bool keep_deletes, og_pq_sink *sink, void *arg, uint64_t *rows_out, struct og_error *err)
{
	struct og_job j;
	struct fold f = { .j = &j, .op_at = SIZE_MAX };
	int rc;

	if ((rc = og_job_open(&j, in, err)) < 0 || (rc = og_job_resolve(&j, keep_deletes, err)) < 0)
		goto out;
	/* A delta without deletions is kept in the order of its changes, as is what cannot be sorted for lack of indexes. */
	if (in->type->kind == OG_EDGE && !keep_deletes && (in->src_idx || in->dst_idx) && (rc = og_job_sort(&j, err)) < 0)
		goto out;
	if ((rc = open_columns(&f, err)) == 0)
		rc = write_rows(&f, sink, arg, err);
	if (rc == 0)
		*rows_out = j.nplaces;
out:
	fini_columns(&f);
	og_job_fini(&j);
	return rc;
}
