/*
 * Hash table from byte strings to a 64-bit value (an index or a pointer), open addressing over
 * XXH3-64. Keys are borrowed: they must outlive the map (keep them in an arena or in the value).
 * Iteration order is unspecified.
 * Memory: heap; starts as {0}. Threads: readers may share, a writer needs it alone.
 */
#ifndef OG_BASE_MAP_H
#define OG_BASE_MAP_H

#include "base/error.h"
#include "base/slice.h"

struct og_map_entry {
	struct og_slice key;	/* p NULL: free */
	uint64_t hash;
	uint64_t value;
};

struct og_map {
	struct og_map_entry *slots;
	size_t count, cap;	/* cap is 0 or a power of two */
};

void og_map_fini(struct og_map *m);
uint64_t og_hash(struct og_slice s);	/* XXH3-64, seed 0 */
/* The entry, or NULL. Valid until the next put or delete. */
struct og_map_entry *og_map_find(const struct og_map *m, struct og_slice key);
/* Finds or inserts (value 0); *fresh tells which (may be NULL). NULL: no memory. An empty key is legal. */
struct og_map_entry *og_map_put(struct og_map *m, struct og_slice key, bool *fresh);
/* true if it was there. */
bool og_map_delete(struct og_map *m, struct og_slice key);
/* for (size_t i = 0; (e = og_map_next(m, &i)); ) */
struct og_map_entry *og_map_next(const struct og_map *m, size_t *i);

#endif
