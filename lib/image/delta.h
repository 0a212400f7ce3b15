/*
 * The rows of one type that commits added, replaced or removed since the images were built: the overlay of a snapshot.
 *
 * Shared between snapshots and copied on write: a delta with more than one reference is never changed, so a running query keeps exactly the rows it
 * started with. It is a stack of at most about a dozen layers, each at least four times the one above; a copy shares the layers and puts a new one on
 * top, so a change costs its own rows, now and then a merge, never a copy of the whole. What a layer holds: rows (the newest version of each slot), the
 * slots that it numbered, ids of these, and for edges lists by source and by target. Across layers: a bitmap of touched and dead slots, in pages that
 * are shared in the same way.
 * Slots: a row that replaces a base row keeps its slot; a new entity gets the next slot from base_slots on. A slot whose entity was deleted stays dead;
 * the same id inserted again gets a new slot.
 * Memory: heap. Threads: references are atomic; changes only by the owner of the sole reference.
 */
#ifndef OG_IMAGE_DELTA_H
#define OG_IMAGE_DELTA_H

#include "base/map.h"
#include "format/colvec.h"
#include "image/image.h"

struct og_delta;
struct og_delta *og_delta_ref(struct og_delta *d);
void og_delta_unref(struct og_delta *d);	/* accepts NULL */

/* One decoded change of a type, before slots are known: what a commit's body says, or what a mutation is about to commit. */
struct og_change {
	const struct og_type *type;
	bool all;			/* replaces the whole content */
	uint32_t rows;
	struct og_colvec op;		/* I32: 0 upsert, 1 delete; rows 0: all upserts */
	struct og_colvec id, src, dst;	/* src, dst of edges (also of deletes) */
	struct og_colvec *props;	/* type->nprops; entries with rows 0: all null */
};

void og_change_init(struct og_change *c, const struct og_type *type);
void og_change_fini(struct og_change *c);
/* Delta body of a commit <-> change. encode appends a Parquet file; decode fills an empty change, initialised for `type`, and checks everything
 * (OG_ERR_CORRUPT; the change is good for og_change_fini alone then). `all` is not in the body. */
int og_change_encode(const struct og_change *c, struct og_buf *out, struct og_error *err) OG_MUST_CHECK;
int og_change_decode(struct og_change *c, const struct og_type *type, struct og_slice parquet, struct og_error *err) OG_MUST_CHECK;
/* Appends one row; values are indexed like type->props. */
int og_change_upsert(struct og_change *c, struct og_slice id, struct og_slice src, struct og_slice dst, const struct og_value *values,
		     struct og_error *err) OG_MUST_CHECK;
int og_change_delete(struct og_change *c, struct og_slice id, struct og_slice src, struct og_slice dst, struct og_error *err) OG_MUST_CHECK;

#endif
