/*
 * A view: one consistent state of a whole graph, as queries read it. Images below, deltas above, slots throughout.
 *
 * A query says what it needs (og_view_need), the resolver pins images until og_view_missing finds none, then the functions below answer without I/O.
 * Calling one whose image is not pinned is a bug (assert). A node's only key, if it is a string, is read from the ids: they are equal.
 *
 * Memory:  counted; holds references on images, deltas and the catalog. What it returns lives as long as the view.
 * Threads: immutable while shared; any number of readers. Pinning happens on the owner's thread before readers start, or adds images that nobody reads yet.
 */
#ifndef OG_IMAGE_VIEW_H
#define OG_IMAGE_VIEW_H

#include "base/ulid.h"
#include "image/build.h"
#include "image/delta.h"
#include "image/image.h"

/* The pinned images of one base, which copies of a view share: what is pinned for one view is there for all. Entries go from NULL to an image once and
 * stay until the last view goes; og_view_unpin gives a view other pins. */
struct og_pins {
	int refs;			/* atomic */
	uint32_t parts, nprops;
	struct og_img **ids;		/* parts; og_view_parts(t) entries */
	struct og_img ***cols;		/* [property index][part]; cols[i] NULL until wanted, `ids` for a key that is the id */
	struct og_img *idx;
	struct og_img *adj;		/* edges */
};

struct og_view_type {
	const struct og_type *type;
	struct og_content_key content;	/* of the images */
	uint32_t base_slots;		/* rows of the images; slots from here on are the delta's */
	uint32_t slots;			/* exclusive bound of all slots, dead ones included */
	uint64_t rows;			/* live rows */
	uint64_t table_version;
	struct og_ulid owner;		/* branch that owns the table's content; the graph's id for main */
	struct og_delta *delta;		/* NULL: none */
	struct og_img **ids, ***cols;	/* those of pins */
	struct og_pins *pins;
};

struct og_view {
	int refs;			/* atomic */
	struct og_catalog *catalog;
	struct og_ulid graph, branch, commit;
	uint64_t seq;			/* log position */
	uint64_t version;		/* manifest_version of the branch */
	struct og_view_type *types;	/* indexed like catalog->types */
};

/* What a plan touches. Bits may be repeated. */
enum og_need_kind {
	OG_NEED_IDS,
	OG_NEED_IDX,
	OG_NEED_COL,
	OG_NEED_ADJ,
	OG_NEED_ROWS,	/* no image, but which rows live: whoever keeps views fresh must know that the type is read */
};
struct og_need {
	enum og_need_kind kind;
	const struct og_type *type;
	uint32_t prop;			/* property index, OG_NEED_COL */
};

/* A view without rows: every type empty, nothing pinned. One reference. NULL: no memory. */
struct og_view *og_view_new(struct og_catalog *catalog);
struct og_view *og_view_ref(struct og_view *v);
void og_view_unref(struct og_view *v);
/* A copy that shares images and deltas; for stepping to the next commit while others still read this one, or for trying changes out. O(types). */
struct og_view *og_view_copy(const struct og_view *v);
/* Sets the base of a type: content key and rows (og_build_rows); drops pinned images and delta of that type, and those of the edge types at a node type,
 * whose slots are void then: rebase these to the same commit too. */
int og_view_set_base(struct og_view *v, uint32_t type, struct og_content_key key, uint32_t rows, struct og_error *err) OG_MUST_CHECK;
static inline uint32_t og_view_parts(const struct og_view_type *t)
{
	return (uint32_t)(((uint64_t)t->base_slots + OG_IMG_PART_ROWS - 1) >> OG_IMG_PART_SHIFT);
}

/* Fills keys[] (at most max) with images that these needs still lack; returns how many there are (may exceed max). 0: ready. Edge types need no index of
 * their node types to be read. */
size_t og_view_missing(const struct og_view *v, const struct og_need *needs, size_t n, struct og_img_key *keys, size_t max);
/* Adds an image; ignored if it is there already or not of this view (key compared). */
void og_view_pin(struct og_view *v, struct og_img *img);
/* Gives one image up: the view, which must not be shared, lacks it from now on, while copies that were made before keep it until they go. 0, also when it
 * was not there, or OG_ERR_NOMEM: it still is. */
int og_view_unpin(struct og_view *v, const struct og_img *img) OG_MUST_CHECK;
bool og_view_has(const struct og_view *v, const struct og_img *img);
/* Both views, of one catalog and base, share the pins of `from` for this type. `to` must not be shared. */
void og_view_share(struct og_view *to, const struct og_view *from, uint32_t type);
/* What applying changes of these types needs before og_view_apply may be called: ids and index of touched node types, ids and adjacency (with the endpoint types' index) of
 * touched edge types; returns the number of needs written (at most 8 a type). */
size_t og_view_apply_needs(const struct og_view *v, const struct og_type *type, struct og_need *needs);
/* Applies one type's changes of a commit to this view, which must not be shared (deltas are copied if they are). All node types first, then edges. A change with `all` needs the type rebased
 * (og_view_set_base) unless it is small: then base rows die and the change's rows follow as new slots. */
int og_view_apply(struct og_view *v, const struct og_change *c, struct og_error *err) OG_MUST_CHECK;
/* More about og_view_apply. An upsert of a live id replaces the whole row; an edge whose endpoints change gets a new slot. A delete of an id that is not
 * there does nothing. `all`: ids that the change has too keep their slots, the others die. OG_ERR_CORRUPT (an endpoint does not exist) and
 * OG_ERR_TOO_LARGE (slot numbers run out) leave the view as it was; after OG_ERR_NOMEM it must be thrown away. */
/* Rows in the delta: the owner decides when new images are worth it. */
uint64_t og_view_delta_rows(const struct og_view_type *t);

/* Reading. `t` is a view type; slot < t->slots. */
bool og_view_live(const struct og_view_type *t, uint32_t slot);
/* true if nothing in the delta concerns this base slot: its values are those of the images. */
bool og_view_untouched(const struct og_view_type *t, uint32_t slot);
/* Next live slots at or after *cursor, at most n, ascending; advances *cursor. 0: end. The slots of one batch are of one part, and all of the base or all of
 * the delta (a batch may be short for this reason alone). */
size_t og_view_scan(const struct og_view_type *t, uint32_t *cursor, uint32_t *slots, size_t n);
/* Slot of a live entity, or OG_SLOT_NONE. Needs IDS and IDX. */
uint32_t og_view_find(const struct og_view_type *t, struct og_slice id);
/* The same for n ids, faster a piece where the type is large. */
void og_view_find_many(const struct og_view_type *t, const struct og_slice *ids, size_t n, uint32_t *slots);
struct og_slice og_view_id(const struct og_view_type *t, uint32_t slot);
/* Property value; lists are built in a. NULL value for null. */
int og_view_value(const struct og_view_type *t, uint32_t prop, uint32_t slot, struct og_arena *a, struct og_value *out);
/* The image part that holds a base slot's value, for vectorised access; row = slot & (OG_IMG_PART_ROWS - 1). Right for untouched slots only. */
const struct og_colpart *og_view_colpart(const struct og_view_type *t, uint32_t prop, uint32_t slot);
/* True if no slot of [from, to) is touched: og_view_colpart serves them all. Looks at 16,384 slots at a time where nothing is touched, else at 64. */
bool og_view_range_untouched(const struct og_view_type *t, uint32_t from, uint32_t to);
/*
 * Values of n slots at once, any slots in any order (fastest ascending); needs as og_view_value. valid[i] is 1, or 0 for a null, whose out[i] is 0 or
 * empty. i64: BOOL, I32, I64, U32, U64 (the same bits), DATE, DATETIME; f64: F32 (widened), F64; str: STRING, BLOB; vec: dim singles each. No lists.
 * Returns the number of nulls.
 */
size_t og_view_gather_i64(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, int64_t *out, uint8_t *valid);
size_t og_view_gather_f64(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, double *out, uint8_t *valid);
size_t og_view_gather_str(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, struct og_slice *out, uint8_t *valid);
size_t og_view_gather_vec(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, const float **out, uint8_t *valid);
void og_view_gather_id(const struct og_view_type *t, const uint32_t *slots, size_t n, struct og_slice *out);

enum og_dir { OG_OUT, OG_IN };
/* Neighbours over an edge type from a node slot: fills peers[] and, if not NULL, edges[] (edge slots); at most max from *state on (0 at first; opaque);
 * returns the number, less than max only at the end, from where on 0. No allocation. Live edges only; parallel edges repeat. Order: base run by peer slot, then the delta's in commit order. */
size_t og_view_expand(const struct og_view_type *et, enum og_dir dir, uint32_t node, uint32_t *state, uint32_t *peers, uint32_t *edges, size_t max);
/* Upper bound on the number of neighbours, O(1). */
uint32_t og_view_degree(const struct og_view_type *et, enum og_dir dir, uint32_t node);
/* The adjacency of the base; NULL: not pinned, or the base has no edges. */
static inline const struct og_adj *og_view_adj(const struct og_view_type *et)
{
	return et->pins->adj ? &et->pins->adj->adj : NULL;
}
/* True if et has no delta at all: then og_adj_run on og_view_adj may be used directly. */
static inline bool og_view_adj_plain(const struct og_view_type *et)
{
	return et->delta == NULL;
}
/* Endpoints of a live edge slot. Needs ADJ. */
void og_view_endpoints(const struct og_view_type *et, uint32_t edge, uint32_t *src, uint32_t *dst);
/* The same for n edge slots; ascending ones cost a step each. */
void og_view_gather_endpoints(const struct og_view_type *et, const uint32_t *edges, size_t n, uint32_t *src, uint32_t *dst);
/* True if two live edges of one (source, target) pair may exist, so that distinct neighbours need care. */
bool og_view_parallel(const struct og_view_type *et);

#endif
