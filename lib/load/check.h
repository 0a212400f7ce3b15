/*
 * The checks of a load against one state of the graph: repeated and existing ids, ends of edges, @unique, @card, rows that an overwrite would orphan; and
 * the keys on which its commit can conflict. Private to lib/load.
 *
 * Ids, ends and values are compared by 128-bit hashes, sorted (sort.h), so that no more than the budget stays in memory. Which rows exist already is
 * looked up in the view while ids are read; everything within the load is found by running through sorted lists side by side.
 * Threads: one at a time, any; the view is only read.
 */
#ifndef OG_LOAD_CHECK_H
#define OG_LOAD_CHECK_H

#include "image/view.h"
#include "load/loader.h"

struct load_table {
	bool touched;
	uint64_t rows;			/* entities of the load */
	int64_t dn;			/* more than there were; not for overwrite */
};

struct load_keys {
	uint64_t *v;			/* sorted, each once */
	size_t n, cap;
	bool over;			/* there were more than OG_KEYS_MAX */
};

struct load_verdict {
	struct load_table *tables;	/* like catalog->types */
	struct load_keys read, written;
	bool all_keys;
};

/* What a view with that catalog, equal to the loader's, must have pinned. Heap array. */
int og_load_needs(const struct og_loader *l, const struct og_catalog *cat, struct og_need **needs, size_t *n, struct og_error *err) OG_MUST_CHECK;
/* After og_loader_end; the view's catalog must be the loader's or an equal one. The first error in the order of checks. */
int og_load_check(struct og_loader *l, struct og_view *v, struct load_verdict *out, struct og_error *err) OG_MUST_CHECK;
void og_load_verdict_fini(struct load_verdict *v);

#endif
