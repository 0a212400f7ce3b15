/* Chunks that are written group by group, by the encoding thread, while more of their rows are read. */
#include "config.h"

#include <stdlib.h>

#include "load/loader.h"

#define GROUP_BYTES (4u * OG_MIB)	/* of the buffers */
#define CHUNK_BYTES (32u * OG_MIB)	/* of the buffers; a file of it fits one message */

static int to_file(void *arg, const void *p, size_t n, struct og_error *err)
{
	struct og_buf *b = arg;

	og_buf_append(b, p, n);
	return og_buf_ok(b, err);
}

/*
 * Rows of one segment have different ids. Where a later row replaces one before it (loader_dedupe) all rows that brought their ids must be looked at
 * together; elsewhere a repeated id ends the load.
 */
static bool settles_ids(const struct og_loader *l, const struct load_type *t)
{
	return l->mode == OG_LOAD_MERGE && !t->type->nkey && t->named;
}

static int open_chunk(struct load_type *t, struct og_error *err)
{
	struct og_pq_options opt = { .codec = OG_PQ_SNAPPY };
	struct load_open *o = calloc(1, sizeof(*o));
	int rc = 0;

	if (o) {
		o->descs = calloc(t->type->nprops + 3, sizeof(*o->descs));
		o->job.cols = calloc(t->type->nprops + 3, sizeof(*o->job.cols));
		og_change_init(&o->rows, t->type);
	}
	if (!o || !o->descs || !o->job.cols || !o->rows.props)
		rc = og_error_nomem(err);
	/* Whether a column stays without values is not known yet: all are written. */
	if (rc == 0) {
		o->job.ncols = loader_columns(&o->rows, true, o->descs, o->job.cols);
		rc = og_pq_writer_new(o->descs, o->job.ncols, &opt, to_file, &o->parquet, &o->job.writer, err);
	}
	t->open = o;
	if (rc < 0)
		loader_open_free(t);
	else
		t->chunked = true;
	return rc;
}

void loader_open_free(struct load_type *t)
{
	struct load_open *o = t->open;

	if (!o)
		return;
	og_pq_writer_free(o->job.writer);
	free(o->job.cols);
	free(o->descs);
	og_change_fini(&o->rows);
	og_buf_fini(&o->parquet);
	free(o->meta);
	free(o);
	t->open = NULL;
}

static int keep_meta(struct load_open *o, const struct load_type *t, struct og_error *err)
{
	size_t n = (size_t)o->nrows + t->rows.rows;
	struct load_meta *meta;

	if (n > o->meta_cap) {
		o->meta_cap = OG_MAX(n, o->meta_cap * 2);
		meta = realloc(o->meta, o->meta_cap * sizeof(*meta));
		if (!meta)
			return og_error_nomem(err);
		o->meta = meta;
	}
	memcpy(o->meta + o->nrows, t->meta, t->rows.rows * sizeof(*t->meta));
	o->nrows = (uint32_t)n;
	return 0;
}

/*
 * The buffered rows, in a merge without keys the only ones of the chunk with ids of their own, go to the thread. The buffers that it is done with take the
 * next ones.
 */
static int give_group(struct og_loader *l, struct load_type *t, struct og_error *err)
{
	struct load_open *o = t->open;
	size_t bytes = loader_buffered(t);
	struct og_change rows;
	int rc;

	if ((rc = loader_dedupe(l, t, err)) < 0 || (rc = load_encoder_wait(l->encoder, &o->job, err)) < 0 ||
	    (rc = og_buf_ok(&o->parquet, err)) < 0 || (rc = keep_meta(o, t, err)) < 0)
		return rc;
	o->bytes += bytes;
	rows = t->rows;
	t->rows = o->rows;
	o->rows = rows;
	(void)loader_columns(&o->rows, true, o->descs, o->job.cols);
	loader_clear(t);
	load_encoder_put(l->encoder, &o->job);
	return 0;
}

int loader_close(struct og_loader *l, struct load_type *t, struct og_error *err)
{
	struct load_open *o = t->open;
	struct load_chunk *c;
	int rc;

	if (t->rows.rows && (rc = give_group(l, t, err)) < 0)
		return rc;
	if ((rc = load_encoder_wait(l->encoder, &o->job, err)) < 0 || (rc = og_pq_finish(o->job.writer, NULL, 0, err)) < 0 ||
	    (rc = og_buf_ok(&o->parquet, err)) < 0)
		return rc;
	c = loader_add_chunk(l, t, o->nrows, &o->parquet, o->meta, err);
	if (!c)
		return err->code;
	loader_open_free(t);
	return 0;
}

int loader_group(struct og_loader *l, struct load_type *t, struct og_error *err)
{
	int rc;

	if (t->open && settles_ids(l, t))
		return loader_close(l, t, err);
	if (!l->encoder || settles_ids(l, t) || loader_buffered(t) < GROUP_BYTES)
		return 0;
	if (!t->open && (rc = open_chunk(t, err)) < 0)
		return rc;
	if ((rc = give_group(l, t, err)) < 0)
		return rc;
	return t->open->bytes < CHUNK_BYTES ? 0 : loader_close(l, t, err);
}
