/*
 * The hashes of a type's ids in a table, for the question whether the load has an id. Private to lib/load.
 *
 * One probe an end is several times cheaper than sorting all ends to run them past the sorted ids; ends that the table lacks, and all ends where the
 * budget has no room for one, are sorted as before. Open addressing, linear probing, half full at most: 32 to 64 bytes an id.
 * Threads: one at a time.
 */
#ifndef OG_LOAD_IDSET_H
#define OG_LOAD_IDSET_H

#include "load/sort.h"

struct load_idset {
	struct load_budget *budget;
	uint64_t (*v)[2];	/* hi, lo; both 0: free. NULL: no table */
	size_t slots;		/* a power of two */
};

/* The entries of a sorter. No table, and no error, if it has spilled or the table would take more than half of what the budget has left. */
void load_idset_fill(struct load_idset *s, const struct load_sorter *ids);
void load_idset_fini(struct load_idset *s);
/* It will be asked for: its place is brought into the cache. */
void load_idset_expect(const struct load_idset *s, const struct load_entry *e);
/* true: it is there. false: it is not, or there is no table. */
bool load_idset_has(const struct load_idset *s, const struct load_entry *e);

#endif
