/*
 * Index objects: what a checkpoint says of images that lie in the store, so that whoever opens the graph need not build them from rows.
 *
 * Format: the object `index/<type id>/<ulid>.<kind>` is an image byte for byte as it lies in memory (image/image.h; OG_INDEX_FORMAT is the number of its layout).
 *   In a checkpoint `index` is an array of {id, kind, type, prop, part, content, src, dst, format, bytes, xxh128}: the contents are the keys of the
 *   stacks of layers that it was made of (32 hex digits, absent: no rows), which any host computes alike.
 * Derived: may vanish at any time, and is then built from rows again. Entries of another format number or an unknown kind are passed over.
 * Trust:   bytes of the store. The digest finds accidents; readers of an image check every offset in it.
 * Threads: pure functions.
 */
#ifndef OG_FORMAT_INDEX_H
#define OG_FORMAT_INDEX_H

#include "base/digest.h"
#include "base/ulid.h"
#include "format/logobj.h"

/* Changes with the layout of images and with the way in which contents are named. */
#define OG_INDEX_FORMAT 1u
/* What is said to be larger is damage; sums of sizes do not wrap. */
#define OG_INDEX_BYTES_MAX (UINT64_C(1) << 40)

/* Numbers as in image/image.h. */
enum og_index_kind { OG_INDEX_IDS = 1, OG_INDEX_IDX = 2, OG_INDEX_COL = 3, OG_INDEX_ADJ = 4 };

struct og_index {
	struct og_ulid id;
	enum og_index_kind kind;
	uint32_t type;
	uint32_t prop, part;
	struct og_hash128 content, src, dst;	/* zero: none */
	uint64_t bytes;				/* 1 to OG_INDEX_BYTES_MAX */
	struct og_hash128 hash;			/* of the object */
};

struct og_fields;
struct og_json;
struct og_json_writer;

struct og_key_text og_key_index(const struct og_index *x);
void og_index_write(struct og_json_writer *w, const struct og_index *x);
/* false: not for this build, *out is not set; a fault is f's. */
bool og_index_read(struct og_fields *f, const struct og_json *j, struct og_index *out);

#endif
