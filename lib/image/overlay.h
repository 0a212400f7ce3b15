/*
 * Inside of lib/image: the delta as view.c and read.c see it. delta.h tells the idea.
 *
 * Layer:  rows of columns; the newest version of a slot is the one in the topmost layer that has the slot. A layer numbers a contiguous range of
 *         new slots (first_new, nnew); for these `new_row` gives the row, for older slots `upd` does. Ids are hashed only for a layer's own new
 *         slots: other rows are found through the base's index or a lower layer. Edges of the range are chained by source and by target.
 *         A layer of more than one delta is never changed.
 * Page:   bits of OG_PAGE_SLOTS consecutive slots; a missing page is all zero. Pages are shared like layers.
 */
#ifndef OG_IMAGE_OVERLAY_H
#define OG_IMAGE_OVERLAY_H

#include "image/delta.h"

#define OG_PAGE_SHIFT 14u
#define OG_PAGE_SLOTS (1u << OG_PAGE_SHIFT)
#define OG_DELTA_LAYERS 24u
#define OG_ROW_NONE UINT32_MAX

struct og_page {
	int refs;
	uint64_t touched[OG_PAGE_SLOTS / 64];	/* base slots only */
	uint64_t dead[OG_PAGE_SLOTS / 64];
};

/* u32 -> u32, open addressing; the key UINT32_MAX marks a free entry. */
struct og_umap {
	uint32_t *keys, *vals;
	uint32_t count;
	uint64_t cap;			/* 0 or a power of two */
};

/* New edges at one node, chained through next[] in the order of their slots. */
struct og_chain {
	uint32_t head, tail, count;	/* slot - first_new */
};

struct og_chains {
	struct og_umap map;		/* node slot -> index in lists */
	struct og_chain *lists;
	uint32_t n, cap;
	uint32_t *next;			/* one a new slot; OG_SLOT_NONE ends */
};

struct og_dlayer {
	int refs;
	uint32_t nrows, rows_cap;
	uint32_t garbage;		/* rows that no slot has any more */
	uint32_t *row_slot;
	struct og_colvec id, *props;
	uint32_t nprops;
	struct og_umap upd;		/* older slot -> row */
	uint32_t first_new, nnew, new_cap;
	uint32_t *new_row;		/* OG_ROW_NONE: dead and dropped */
	uint32_t *ids, *id_hash;	/* open addressing: slot - first_new + 1, high half of the hash */
	uint64_t ids_cap;
	uint32_t ids_count;
	bool edge;
	uint32_t *src, *dst;		/* edges: one a new slot */
	struct og_chains out, in;
};

struct og_delta {
	int refs;			/* atomic */
	const struct og_type *type;
	uint32_t base_slots, slots;
	uint32_t dead_base;		/* base slots that are dead */
	uint32_t nlayers, npages;
	struct og_dlayer *layers[OG_DELTA_LAYERS];	/* bottom up */
	struct og_page **pages;
};

static inline bool og_delta_bit(const struct og_delta *d, uint32_t slot, bool dead)
{
	const struct og_page *p;
	uint32_t i = slot & (OG_PAGE_SLOTS - 1);

	if (slot >> OG_PAGE_SHIFT >= d->npages)
		return false;
	p = d->pages[slot >> OG_PAGE_SHIFT];
	return p && ((dead ? p->dead : p->touched)[i >> 6] >> (i & 63) & 1);
}

/* Row of a slot's newest version; *layer NULL and OG_ROW_NONE if no layer has one. */
uint32_t og_delta_row(const struct og_delta *d, uint32_t slot, const struct og_dlayer **layer);
/* The new slot that carries this id, dead or alive; OG_SLOT_NONE. The newest if there were several. */
uint32_t og_delta_find(const struct og_delta *d, struct og_slice id);
/* The layer that numbered a new slot. */
const struct og_dlayer *og_delta_numbered(const struct og_delta *d, uint32_t slot);
const struct og_chain *og_chain_find(const struct og_chains *c, uint32_t node);

/*
 * Writing. og_delta_open makes *d writable: made if NULL, copied if shared, with a topmost layer of its own. The others need that. All return 0
 * or OG_ERR_NOMEM. og_delta_settle restores the proportions of the layers; call it after each change.
 */
int og_delta_open(struct og_delta **d, const struct og_type *type, uint32_t base_slots, struct og_error *err) OG_MUST_CHECK;
/* Row `row` of a change becomes the newest version of a live slot. */
int og_delta_put(struct og_delta *d, uint32_t slot, const struct og_change *c, uint32_t row, struct og_error *err) OG_MUST_CHECK;
/* The same as a new entity; ends of edges as slots. */
int og_delta_add(struct og_delta *d, const struct og_change *c, uint32_t row, uint32_t src, uint32_t dst, struct og_error *err) OG_MUST_CHECK;
int og_delta_kill(struct og_delta *d, uint32_t slot, struct og_error *err) OG_MUST_CHECK;
int og_delta_settle(struct og_delta *d, struct og_error *err) OG_MUST_CHECK;

#endif
