/* Changes of a type: rows of a commit's body, encoded as a delta. */
#include "config.h"

#include "image/delta.h"

#include <stdlib.h>

#include "format/parquet.h"
#include "image/job.h"

void og_change_init(struct og_change *c, const struct og_type *type)
{
	*c = (struct og_change){ .type = type };
	og_colvec_init(&c->op, &og_type_op);
	og_colvec_init(&c->id, &og_type_string);
	og_colvec_init(&c->src, &og_type_string);
	og_colvec_init(&c->dst, &og_type_string);
	c->props = calloc(type->nprops ? type->nprops : 1, sizeof(*c->props));
	for (uint32_t i = 0; c->props && i < type->nprops; i++) {
		struct og_proptype t = type->props[i].type;

		t.nullable = true;	/* rows that delete have no values */
		og_colvec_init(&c->props[i], &t);
	}
}

void og_change_fini(struct og_change *c)
{
	og_colvec_fini(&c->op);
	og_colvec_fini(&c->id);
	og_colvec_fini(&c->src);
	og_colvec_fini(&c->dst);
	for (uint32_t i = 0; c->props && c->type && i < c->type->nprops; i++)
		og_colvec_fini(&c->props[i]);
	free(c->props);
	*c = (struct og_change){ 0 };
}

/* A column gets its row, catching up if rows before had none: rows 0 stands for all null. */
static void catch_up(struct og_colvec *v, uint32_t rows)
{
	while (v->rows < rows && !v->failed)
		og_colvec_append_null(v);
}

static void append_str(struct og_colvec *v, struct og_slice s)
{
	if (s.p)
		og_colvec_append_str(v, s);
	else
		og_colvec_append_null(v);
}

static int append_row(struct og_change *c, int32_t op, struct og_slice id, struct og_slice src, struct og_slice dst, const struct og_value *values,
		      struct og_error *err)
{
	uint32_t rows = c->rows;
	int rc;

	if (!c->props)
		return og_error_nomem(err);
	if (rows == INT32_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "more than %d rows of a type in one commit", INT32_MAX);
	if (op != 0 || c->op.rows) {
		while (c->op.rows < rows && !c->op.failed)
			og_colvec_append_i32(&c->op, 0);
		og_colvec_append_i32(&c->op, op);
	}
	og_colvec_append_str(&c->id, id);
	rc = og_colvec_ok(&c->id, err);
	if (c->type->kind == OG_EDGE) {
		append_str(&c->src, src);
		append_str(&c->dst, dst);
		if (rc == 0 && (rc = og_colvec_ok(&c->src, err)) == 0)
			rc = og_colvec_ok(&c->dst, err);
	}
	for (uint32_t i = 0; rc == 0 && i < c->type->nprops; i++) {
		struct og_colvec *v = &c->props[i];
		bool null = !values || values[i].kind == OG_V_NULL;

		if (null && v->rows == 0)
			continue;
		catch_up(v, rows);
		if (null)
			og_colvec_append_null(v);
		else
			og_colvec_append(v, &values[i]);
		rc = og_colvec_ok(v, err);
	}
	if (rc == 0 && (rc = og_colvec_ok(&c->op, err)) == 0)
		c->rows++;
	return rc;
}

int og_change_upsert(struct og_change *c, struct og_slice id, struct og_slice src, struct og_slice dst, const struct og_value *values,
		     struct og_error *err)
{
	return append_row(c, 0, id, src, dst, values, err);
}

int og_change_delete(struct og_change *c, struct og_slice id, struct og_slice src, struct og_slice dst, struct og_error *err)
{
	return append_row(c, 1, id, src, dst, NULL, err);
}

static void describe(struct og_pq_col_desc *d, const struct og_colvec **cols, size_t *n, struct og_slice name, uint32_t prop_id,
		     const struct og_colvec *v, bool nullable)
{
	d[*n] = (struct og_pq_col_desc){ .name = name, .field_id = (int32_t)prop_id, .type = v->type };
	d[*n].type.nullable = nullable;
	cols[*n] = v;
	++*n;
}

int og_change_encode(const struct og_change *c, struct og_buf *out, struct og_error *err)
{
	struct og_pq_options opt = { .codec = OG_PQ_ZSTD };
	size_t max = c->type->nprops + 4, n = 0;
	struct og_pq_col_desc *d = calloc(max, sizeof(*d));
	const struct og_colvec **cols = calloc(max, sizeof(*cols));
	int rc;

	if (!d || !cols || !c->props) {
		rc = og_error_nomem(err);
		goto out;
	}
	if (c->op.rows)
		describe(d, cols, &n, OG_SLICE("_op"), OG_PROP_OP, &c->op, false);
	describe(d, cols, &n, OG_SLICE("id"), OG_PROP_ID, &c->id, false);
	if (c->type->kind == OG_EDGE) {
		describe(d, cols, &n, OG_SLICE("src"), OG_PROP_SRC, &c->src, true);
		describe(d, cols, &n, OG_SLICE("dst"), OG_PROP_DST, &c->dst, true);
	}
	for (uint32_t i = 0; i < c->type->nprops; i++)
		if (c->props[i].rows)
			describe(d, cols, &n, c->type->props[i].name, c->type->props[i].id, &c->props[i], true);
	rc = og_pq_encode(out, d, cols, n, &opt, NULL, 0, err);
out:
	free(d);
	free(cols);
	return rc;
}

/* A column of every row group; a body without it leaves rows 0. */
static int read_column(const struct og_pq_file *f, uint32_t prop_id, struct og_colvec *out, bool *there, struct og_error *err)
{
	int rc, col = og_pq_find(f, (int32_t)prop_id);

	*there = col >= 0;
	if (col < 0)
		return 0;
	for (size_t g = 0; g < f->ngroups; g++)
		if ((rc = og_pq_read_column(f, g, (size_t)col, out, err)) < 0)
			return rc;
	if (out->rows != f->rows)
		return og_error_set(err, OG_ERR_CORRUPT, "column %u has %zu rows, the body %llu", prop_id, out->rows, (unsigned long long)f->rows);
	return og_colvec_ok(out, err);
}

static int check_rows(const struct og_change *c, struct og_error *err)
{
	bool edge = c->type->kind == OG_EDGE;

	if (c->id.nulls)
		return og_error_set(err, OG_ERR_CORRUPT, "a row without an id");
	for (uint32_t r = 0; r < c->rows; r++) {
		bool upsert = true;

		if (c->op.rows) {
			if (og_colvec_is_null(&c->op, r) || (uint32_t)c->op.i32[r] > 1)
				return og_error_set(err, OG_ERR_CORRUPT, "row %u: unknown operation", r);
			upsert = c->op.i32[r] == 0;
		}
		if (edge && upsert && (og_colvec_is_null(&c->src, r) || og_colvec_is_null(&c->dst, r)))
			return og_error_set(err, OG_ERR_CORRUPT, "row %u: an edge without an end", r);
	}
	return 0;
}

static int decode(struct og_arena *a, struct og_change *c, struct og_slice parquet, struct og_error *err)
{
	struct og_pq_file f;
	bool there;
	int rc;

	if (!c->props)
		return og_error_nomem(err);
	if ((rc = og_pq_open(a, parquet, &f, err)) < 0)
		return rc;
	if (f.rows > INT32_MAX)
		return og_error_set(err, OG_ERR_CORRUPT, "%llu rows are too many", (unsigned long long)f.rows);
	c->rows = (uint32_t)f.rows;
	if ((rc = read_column(&f, OG_PROP_ID, &c->id, &there, err)) < 0)
		return rc;
	if (!there)
		return og_error_set(err, OG_ERR_CORRUPT, "no id column");
	if ((rc = read_column(&f, OG_PROP_OP, &c->op, &there, err)) < 0)
		return rc;
	if (c->type->kind == OG_EDGE) {
		bool dst;

		if ((rc = read_column(&f, OG_PROP_SRC, &c->src, &there, err)) < 0 || (rc = read_column(&f, OG_PROP_DST, &c->dst, &dst, err)) < 0)
			return rc;
		if (!there || !dst)
			return og_error_set(err, OG_ERR_CORRUPT, "no columns src and dst");
	}
	for (uint32_t i = 0; i < c->type->nprops; i++)
		if ((rc = read_column(&f, c->type->props[i].id, &c->props[i], &there, err)) < 0)
			return rc;
	return check_rows(c, err);
}

int og_change_decode(struct og_change *c, const struct og_type *type, struct og_slice parquet, struct og_error *err)
{
	struct og_arena a;
	int rc;

	og_arena_init(&a, 0);
	rc = decode(&a, c, parquet, err);
	og_arena_fini(&a);
	if (rc == 0)
		return 0;
	/* What our reader does not know cannot stand in a body either. */
	if (rc == OG_ERR_NOMEM)
		return rc;
	if (err) {
		og_error_prefix(err, "rows of %.*s: ", OG_FMT(type->table_key));
		err->code = OG_ERR_CORRUPT;
	}
	return OG_ERR_CORRUPT;
}
