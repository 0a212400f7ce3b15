/*
 * Inside of the checks: check.c reads rows and fills lists, join.c runs through them. Private to these two.
 */
#ifndef OG_LOAD_CHECKING_H
#define OG_LOAD_CHECKING_H

#include "engine/net.h"
#include "load/check.h"
#include "load/idset.h"
#include "load/sort.h"

struct unique {
	const struct og_constraint *c;
	struct load_sorter rows;
};

struct checked {
	struct load_type *t;
	const struct og_type *type;
	const struct og_view_type *base;
	bool against;			/* rows of the view count beside those of the load */
	uint32_t stored;		/* rows of the load, repeated ids included */
	bool *props;			/* columns that constraints need */
	struct load_sorter ids;
	struct load_idset known;	/* nodes: the ids, while edges are read */
	uint64_t *replaced;		/* bit per slot of the view: the load has that entity */
	uint64_t nreplaced;
	uint64_t *superseded;		/* bit per row: a later one has its id */
	uint64_t nsuperseded;
	struct unique *uniques;
	uint32_t nuniques;
	/* edges */
	struct load_sorter ends[2];	/* that neither the view nor `known` has */
	struct load_sorter sources;	/* @card */
	/* nodes */
	struct load_sorter orphans;	/* ends of edges that stay while these nodes are replaced; extra: edge type * 2 + end */
};

struct checking {
	struct og_loader *l;
	struct og_view *view;
	struct load_budget budget;
	struct checked *types;		/* like catalog->types */
	struct load_verdict *out;
	struct og_arena scratch;
};

static inline bool bit_get(const uint64_t *bits, uint32_t i)
{
	return bits && (bits[i >> 6] >> (i & 63) & 1);
}

/* true if it was not set before. */
static inline bool bit_set(uint64_t *bits, uint32_t i)
{
	uint64_t m = (uint64_t)1 << (i & 63);

	if (bits[i >> 6] & m)
		return false;
	bits[i >> 6] |= m;
	return true;
}

/* One row of the load, read for the text of an error. */
struct told {
	struct og_change rows;
	bool own;			/* rows is this one's, and begins with stored row `first` */
	uint32_t first;
	struct load_meta meta;
	struct net_row row;
	struct og_value *values;
};
int told_open(struct checking *k, struct checked *c, uint32_t row, struct told *out, struct og_error *err) OG_MUST_CHECK;
void told_close(struct told *t);
/* Columns of a constraint in row `row` of rows as a net_row; values: room for all properties. */
void checked_row(const struct og_change *rows, uint32_t row, const struct og_constraint *c, struct og_value *values, struct net_row *out);

/* join.c, in the order of checks. Errors are noted; a result below 0 is one of the system. */
int join_ids(struct checking *k, struct checked *c, struct og_error *err) OG_MUST_CHECK;
int join_uniques(struct checking *k, struct checked *c, struct og_error *err) OG_MUST_CHECK;
int join_ends(struct checking *k, struct checked *edge, struct og_error *err) OG_MUST_CHECK;
int join_orphans(struct checking *k, struct checked *node, struct og_error *err) OG_MUST_CHECK;
int join_sources(struct checking *k, struct checked *edge, struct og_error *err) OG_MUST_CHECK;

#endif
