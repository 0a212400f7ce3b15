/*
 * Images: immutable, read-only memory made of the rows of one type, shared by every process of a host.
 *
 * An image is a sealed memfd: a header page, then buffers aligned to 64 bytes, in Arrow's memory layout where one exists (validity
 * bitmap LSB first, offsets, values). What is in it:
 *   OG_IMG_IDS   the ids of the type in slot order (a string column, one image a part)
 *   OG_IMG_IDX   hash index id -> slot over OG_IMG_IDS of the same content (one image)
 *   OG_IMG_COL   one property (one image a part)
 *   OG_IMG_ADJ   adjacency of an edge type in both directions over node slots (one image)
 * Slots: 32-bit, dense from 0, in the order in which rows first appear in the type's layers, base up (load order); edges are ordered by
 * (source slot, target slot), then by first appearance, and an edge's position in that order is its slot.
 * Part: OG_IMG_PART_ROWS consecutive slots, so a column of any length has part = slot >> OG_IMG_PART_SHIFT.
 * Content key: a 128-bit hash of the list of layers that hold a type's rows. Equal keys mean equal rows in equal order, whatever branch
 * or commit asks, so branches share images. An edge type's images also depend on the content keys of both node types.
 *
 * Trust:   images come from the builder by way of og-storaged, which checked seals and size; og_img_open checks the header and every offset.
 * Memory:  the mapping belongs to struct og_img; counted references. Threads: immutable, shared; references are atomic.
 */
#ifndef OG_IMAGE_IMAGE_H
#define OG_IMAGE_IMAGE_H

#include "base/arena.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/value.h"
#include "format/index.h"
#include "schema/catalog.h"

#define OG_IMG_FORMAT OG_INDEX_FORMAT	/* they lie in stores, too */
#define OG_IMG_PART_SHIFT 20
#define OG_IMG_PART_ROWS (1u << OG_IMG_PART_SHIFT)
#define OG_SLOT_NONE UINT32_MAX

enum og_img_what { OG_IMG_IDS = 1, OG_IMG_IDX = 2, OG_IMG_COL = 3, OG_IMG_ADJ = 4 };

struct og_content_key {
	uint64_t hi, lo;	/* XXH3-128 of the layer list; 0,0: a type without rows */
};

/* Names one image within a graph. */
struct og_img_key {
	uint32_t type_id;
	enum og_img_what what;
	uint32_t prop_id;		/* OG_IMG_COL, else 0 */
	uint32_t part;			/* OG_IMG_IDS, OG_IMG_COL; else 0 */
	struct og_content_key content;
	struct og_content_key src, dst;	/* edge types: contents of the node types; else 0 */
};

/* One part of a column, mapped. */
struct og_colpart {
	uint32_t rows;
	const uint8_t *validity;	/* NULL: all valid */
	const void *values;		/* fixed width: 4 or 8 bytes a value as in og_col_width; BOOL: one byte a value; VECTOR: dim singles a row;
					   STRING, BLOB: bytes; list: values of the child */
	const uint32_t *offsets;	/* STRING, BLOB: rows + 1 into values; list: rows + 1 into the child's items */
	const uint8_t *child_validity;	/* list */
	const uint32_t *child_offsets;	/* list of strings: items + 1 into child_bytes */
	const char *child_bytes;
};

/* The adjacency of one direction: runs only for slots that have edges, found by a bitmap with rank. */
struct og_adjdir {
	uint32_t slots;			/* node slots that the bitmap covers */
	const uint64_t *bitmap;		/* bit s: slot s has edges */
	const uint32_t *rank;		/* number of set bits before each 64-bit word */
	const uint32_t *offsets;	/* nruns + 1 */
	const uint32_t *peers;		/* forward: targets (position = edge slot), sorted within a run; backward: sources, sorted within a run */
	uint32_t nruns;
	uint32_t nedges;
};

struct og_adj {
	struct og_adjdir out, in;	/* over source slots, over target slots */
	bool parallel;			/* two edges of one (source, target) pair exist */
};

/* A line of the id index: entries are filled from the front. A tag is the low byte of the id's hash (1 for 0); 0: free. */
#define OG_IDX_WAYS 12u
struct og_idx_bucket {
	uint8_t tags[OG_IDX_WAYS];
	uint32_t unused;
	uint32_t slots[OG_IDX_WAYS];
};

struct og_img {
	int refs;			/* atomic */
	struct og_img_key key;
	struct og_slice map;		/* the whole mapping */
	enum og_scalar scalar;		/* COL (IDS: OG_STRING): what the values are; og_view_pin compares them with the property */
	bool list;
	uint32_t dim;
	uint64_t rows;			/* of the part (IDS, COL), of the type (IDX), edges (ADJ) */
	struct og_colpart col;		/* IDS, COL */
	struct og_adj adj;		/* ADJ */
	/* Called when the last reference has gone and the memory with it, by whoever let go; the caller's of og_img_open to set. */
	void (*gone)(void *arg);
	void *gone_arg;
	const struct og_idx_bucket *idx; /* IDX: an id is in its bucket (og_idx_bucket_of) or, if that is full, in the next */
	uint64_t nidx;
};

/* Maps and checks a sealed memfd; fd stays the caller's and may be closed afterwards. *out has one reference. */
int og_img_open(int fd, const struct og_img_key *expect, struct og_img **out, struct og_error *err) OG_MUST_CHECK;
struct og_img *og_img_ref(struct og_img *i);
void og_img_unref(struct og_img *i);	/* accepts NULL */

bool og_img_key_equal(const struct og_img_key *a, const struct og_img_key *b);
/* Key <-> bytes, in messages and in the image's header. */
void og_img_key_put(struct og_buf *b, const struct og_img_key *k);
struct og_img_key og_img_key_read(struct og_reader *r);
/* Any number of buckets will do: the hash's upper half as a fraction of it (Lemire, "Fast Random Integer Generation in an Interval", 2019). */
static inline uint64_t og_idx_bucket_of(uint64_t hash, uint64_t nidx)
{
	return (hash >> 32) * nidx >> 32;
}
/* Slot of an id, or OG_SLOT_NONE. `ids`: all parts of the same content; an entry that points outside them is passed over. */
uint32_t og_idx_find(const struct og_img *idx, struct og_img *const *ids, uint32_t nids, struct og_slice id);
/* The same for n ids at once, with the waits for memory overlapped: a third of the time where the index is larger than the caches. */
void og_idx_find_many(const struct og_img *idx, struct og_img *const *ids, uint32_t nids, const struct og_slice *want, size_t n, uint32_t *slots);

/* Bytes a value of fixed-width scalars (1, 4 or 8); 0 for the others. */
size_t og_col_width(enum og_scalar s);
/* Value at a row of a part; lists are built in `a` (strings inside are borrowed from the mapping). 0 or OG_ERR_NOMEM (og_arena_error says why). */
int og_colpart_get(const struct og_colpart *c, const struct og_proptype *t, uint32_t row, struct og_arena *a, struct og_value *out);
static inline bool og_colpart_valid(const struct og_colpart *c, uint32_t row)
{
	return !c->validity || (c->validity[row >> 3] >> (row & 7) & 1);
}
static inline struct og_slice og_colpart_str(const struct og_colpart *c, uint32_t row)
{
	return og_slice((const char *)c->values + c->offsets[row], c->offsets[row + 1] - c->offsets[row]);
}
/* Bounds of the run of `slot` in [0, nedges]; an empty run when it has no edges or lies beyond the image. */
static inline void og_adj_run(const struct og_adjdir *d, uint32_t slot, uint32_t *from, uint32_t *to)
{
	uint64_t word;
	uint32_t r;

	*from = *to = 0;
	if (slot >= d->slots)
		return;
	word = d->bitmap[slot >> 6];
	if (!(word >> (slot & 63) & 1))
		return;
	r = d->rank[slot >> 6] + (uint32_t)__builtin_popcountll(word & ((1ull << (slot & 63)) - 1));
	*from = d->offsets[r];
	*to = d->offsets[r + 1];
}

/* Source slot of an edge slot < nedges, by search in the forward direction. */
uint32_t og_adj_source(const struct og_adj *a, uint32_t edge);
/* Edge slot of position `pos` in the run [from, to) of target `dst` backward: the i-th edge of a (source, target) pair backward is its i-th forward.
 * OG_SLOT_NONE in a damaged image. */
uint32_t og_adj_in_edge(const struct og_adj *a, uint32_t dst, uint32_t from, uint32_t pos);

#endif
