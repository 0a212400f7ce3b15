/* A type and its segments as readers of a Delta table want to know them. */
#include "config.h"

#include "image/describe.h"

#include <stdlib.h>

static struct og_delta_column *columns(const struct og_type *t, struct og_arena *a, size_t *n, struct og_error *err)
{
	static const struct {
		const char *name;
		uint32_t id;
	} fixed[] = { { "id", OG_PROP_ID }, { "src", OG_PROP_SRC }, { "dst", OG_PROP_DST } };
	size_t nfixed = t->kind == OG_EDGE ? OG_COUNT(fixed) : 1;
	struct og_delta_column *c = og_arena_array(a, nfixed + t->nprops, sizeof(*c));

	if (!c) {
		(void)og_arena_error(a, err);
		return NULL;
	}
	for (size_t i = 0; i < nfixed; i++)
		c[i] = (struct og_delta_column){ .name = og_slice_str(fixed[i].name), .id = fixed[i].id, .type = { .scalar = OG_STRING } };
	for (uint32_t i = 0; i < t->nprops; i++)
		c[nfixed + i] = (struct og_delta_column){ .name = t->props[i].name, .id = t->props[i].id, .type = t->props[i].type };
	*n = nfixed + t->nprops;
	return c;
}

static int describe_file(struct og_arena *a, const struct og_delta_column *cols, size_t n, struct og_slice bytes, struct og_described_file *out,
			 struct og_error *err)
{
	struct og_pq_file f;
	int rc;

	if ((rc = og_pq_open(a, bytes, &f, err)) < 0)
		return rc;
	out->fits = og_delta_file_fits(cols, n, &f);
	og_delta_bounds(&out->bounds, cols, n, &f);
	return og_buf_ok(&out->bounds, err);
}

int og_describe(const struct og_type *type, const struct og_slice *files, size_t n, struct og_described *out, struct og_error *err)
{
	struct og_delta_column *cols;
	struct og_arena a;
	size_t ncols;
	int rc = 0;

	*out = (struct og_described){ 0 };
	og_arena_init(&a, 0);
	cols = columns(type, &a, &ncols, err);
	out->files = calloc(n ? n : 1, sizeof(*out->files));
	if (!cols || !out->files) {
		rc = cols ? og_error_nomem(err) : err->code;
		goto out;
	}
	out->nfiles = n;
	rc = og_delta_schema(&out->schema, cols, ncols, &out->why);
	if (rc == OG_ERR_UNSUPPORTED)
		rc = 0;
	else if (rc < 0)
		*err = out->why;
	for (size_t i = 0; rc == 0 && i < n; i++)
		if ((rc = describe_file(&a, cols, ncols, files[i], &out->files[i], err)) < 0 && rc != OG_ERR_NOMEM) {
			og_error_prefix(err, "layer %zu: ", i);
			rc = err->code = OG_ERR_CORRUPT;
		}
out:
	og_arena_fini(&a);
	return rc;
}

void og_described_fini(struct og_described *d)
{
	og_buf_fini(&d->schema);
	for (size_t i = 0; i < d->nfiles; i++)
		og_buf_fini(&d->files[i].bounds);
	free(d->files);
	*d = (struct og_described){ 0 };
}
