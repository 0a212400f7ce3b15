/*
 * format.json: the object by which a graph is found, and object 0 of its log.
 *
 * Format: JSON, one object: omnigraph (layout version, 1), graph (gid), attempt (ULID, unique to the put), min_reader,
 *   min_writer (protocol numbers), at (microseconds), genesis {id, actor: null, schema, digest, types:[{id,kind,name}]},
 *   sum (SHA-256 of all bytes before the comma in front of it; the last member).
 *   SHA-256 of its bytes is `prev` of log object 1. At most 4 MiB.
 * Trust:  bytes of the store. Memory: decode copies into the arena. Threads: pure functions.
 */
#ifndef OG_FORMAT_GENESIS_H
#define OG_FORMAT_GENESIS_H

#include "format/record.h"

#define OG_LAYOUT_VERSION 1u
#define OG_PROTOCOL_VERSION 1u	/* what this program reads and writes */
#define OG_GENESIS_MAX (4u * OG_MIB)

struct og_genesis {
	uint32_t layout;
	struct og_ulid graph;
	struct og_ulid attempt;
	uint32_t min_reader, min_writer;
	int64_t at_us;
	struct og_ulid id;		/* of the genesis commit */
	struct og_slice schema;		/* source text */
	struct og_sha256 schema_digest;	/* of the source text */
	struct og_type_decl *types;
	size_t ntypes;
	struct og_sha256 digest;	/* decode: of the whole object */
};

/* OG_ERR_TOO_LARGE: over 4 MiB. */
int og_genesis_encode(const struct og_genesis *g, struct og_buf *b, struct og_error *err) OG_MUST_CHECK;
/* OG_ERR_CORRUPT; OG_ERR_UNSUPPORTED (another layout: the text names it). */
int og_genesis_decode(struct og_arena *a, struct og_slice src, struct og_genesis *out, struct og_error *err) OG_MUST_CHECK;

#endif
