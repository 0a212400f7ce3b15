/*
 * Compiled queries by text: parsed, checked and planned once per schema. Least recently used ones go when the byte limit is passed.
 * Memory: entries are counted, so a running query keeps its own. Threads: the loop's thread; an entry's content is immutable.
 */
#ifndef OG_GRAPH_PLANS_H
#define OG_GRAPH_PLANS_H

#include "base/map.h"
#include "engine/exec.h"
#include "gq/gq.h"

struct plan_entry {
	int refs;			/* of the loop's thread */
	struct og_arena arena;
	struct og_slice key;
	struct og_catalog *catalog;
	struct gq_query *query;
	struct og_plan *plan;		/* reads */
	struct og_need *needs;		/* mutations */
	size_t nneeds;
	struct plan_entry *newer, *older;
};

struct plan_cache {
	struct og_map by_key;
	struct plan_entry *newest, *oldest;
	size_t bytes, limit;
	struct og_buf key;		/* scratch */
};

void plan_cache_fini(struct plan_cache *c);
/* The compiled query of a text on a catalog, made if need be, with one reference for the caller. NULL: parse, selection or type error, in this order. */
struct plan_entry *plan_get(struct plan_cache *c, struct og_catalog *cat, struct og_slice source, struct og_slice name, struct og_error *err);
void plan_unref(struct plan_entry *e);

#endif
