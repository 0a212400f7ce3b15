/*
 * Hashes of the things on which writes of one branch can conflict, and their list in a log object.
 *
 * A key is XXH3-64, seed 0, over: kind byte, type id (u32, little-endian), payload. Equal hashes of different keys cost a
 * needless re-evaluation and never hide a conflict.
 * Body: u32 count of W, u32 count of R, the sorted W, the sorted R (u64, little-endian). R is written empty.
 * Threads: pure functions.
 */
#ifndef OG_FORMAT_KEYS_H
#define OG_FORMAT_KEYS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

#define OG_KEYS_MAX 65536	/* more: no body, all_keys */

enum og_key_kind {
	OG_KEY_ENTITY = 'E',	/* payload: entity id. W: inserted, changed, deleted. R: end of a written edge, upsert, look-up */
	OG_KEY_INCIDENT = 'I',	/* payload: node id, type = node type. W: an edge there added, moved, removed. R: node deleted */
	OG_KEY_UNIQUE = 'U',	/* payload: og_key_unique. W: value taken or given up. R: value taken */
	OG_KEY_CARD = 'C',	/* payload: source id, type = edge type. W: number of edges changed. R: @card checked */
};

uint64_t og_key_hash(enum og_key_kind kind, uint32_t type, struct og_slice payload);
/* Payload of OG_KEY_UNIQUE: constraint number, then the canonical texts of its values, each with its length. Appends. */
void og_key_unique(struct og_buf *b, uint32_t constraint, const struct og_slice *values, size_t nvalues);
/* Sorts and removes repetitions; returns the new count. */
size_t og_keys_sort(uint64_t *keys, size_t n);
/* Both sorted without repetitions. true iff they have a key in common. */
bool og_keys_meet(const uint64_t *a, size_t na, const uint64_t *b, size_t nb);
/* w sorted. Appends the body. */
void og_keys_encode(struct og_buf *b, const uint64_t *w, size_t nw);
/* OG_ERR_CORRUPT: wrong length, not sorted. */
int og_keys_decode(struct og_arena *a, struct og_slice body, const uint64_t **w, size_t *nw,
		   struct og_error *err) OG_MUST_CHECK;

#endif
