/*
 * Making images: the builder's job, also og-cli's in direct mode.
 *
 * A type's rows lie in layers, base up: Parquet segments and delta bodies. Columns of a layer, told apart by field id: `id` (OG_PROP_ID), `src`, `dst`
 * (edges), properties; and in deltas `_op` (OG_PROP_OP, I32: 0 upsert of a whole row, 1 delete by id). In a delta every column but
 * `_op` and `id` is nullable. A property that a layer lacks is null there. A later layer's row replaces an earlier one of the same id and keeps its
 * place; a deleted id that comes again takes a new place at the end.
 *
 * Trust:   the bytes come from the store: any content gives an image or OG_ERR_CORRUPT with the layer's number, never a crash.
 * Memory:  the decoded columns asked for, at most; outputs are memfds. Threads: one job, one thread.
 */
#ifndef OG_IMAGE_BUILD_H
#define OG_IMAGE_BUILD_H

#include "format/colvec.h"
#include "format/parquet.h"
#include "image/image.h"

#define OG_PROP_OP 4u

struct og_layer {
	struct og_slice bytes;		/* one Parquet file, mapped or in memory */
};

struct og_build_in {
	const struct og_catalog *catalog;
	const struct og_type *type;
	const struct og_layer *layers;	/* base up */
	size_t nlayers;
	/*
	 * Live rows as the log counts them, 0: not known. Where the layers' rows add up to it every one of them is live and has an id of its own, so that
	 * nothing has to be resolved and ids are read only where they are wanted: with generated ids they are most of a table of edges.
	 */
	uint64_t rows;
	struct og_content_key content, src_content, dst_content;
	/* Edge types: ids and index of both node types at the contents above (parts in order), to turn ids into slots. */
	struct og_img **src_ids, **dst_ids;
	size_t nsrc_ids, ndst_ids;
	const struct og_img *src_idx, *dst_idx;	/* NULL: the node type has no rows */
};

struct og_build_want {
	enum og_img_what what;
	uint32_t prop_id;		/* OG_IMG_COL */
};

struct og_build_out {
	struct og_img_key key;
	int fd;				/* sealed memfd; the caller's */
	uint64_t bytes;
	struct og_hash128 hash;		/* of all of them, for whoever keeps it in a store */
};

/*
 * Builds everything wanted in one pass over the layers; columns give one output a part. Calls `emit` for each; a negative result ends the job.
 * An edge whose endpoint does not exist is OG_ERR_CORRUPT.
 */
int og_build(const struct og_build_in *in, const struct og_build_want *wants, size_t nwants,
	     int (*emit)(void *arg, const struct og_build_out *out, struct og_error *err), void *arg, struct og_error *err) OG_MUST_CHECK;

/* Live rows of the layers: what og_view_set_base wants to know. Reads `layers` and `type` of *in alone. */
int og_build_rows(const struct og_build_in *in, uint32_t *rows, struct og_error *err) OG_MUST_CHECK;

/*
 * Folds layers into one segment, written to the sink as Parquet. `keep_deletes`: the result is itself a delta (lower layers exist), else a plain
 * segment of live rows; without any delete it has no `_op`. rows_out: rows written. Edges are put into (source, target) order when the node indexes are given (src_idx or dst_idx, or no
 * node at all); else they keep theirs.
 */
int og_fold(const struct og_build_in *in, bool keep_deletes, og_pq_sink *sink, void *arg, uint64_t *rows_out, struct og_error *err) OG_MUST_CHECK;

#endif
