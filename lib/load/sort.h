/*
 * Sorting more entries than memory holds: hashes of ids, ends and values with the row that they came from. Private to lib/load.
 *
 * Entries are collected in memory; when the budget that several sorters share is used up, the one that needs room writes what it has as a sorted run
 * into an unlinked temporary file. Reading merges the runs. Order: hi, lo, row.
 * Trust:   the temporary file is nobody else's. Threads: one at a time.
 */
#ifndef OG_LOAD_SORT_H
#define OG_LOAD_SORT_H

#include "base/error.h"
#include "base/slice.h"

struct load_entry {
	uint64_t hi, lo;	/* XXH3-128 of the bytes that are compared */
	uint32_t row;		/* of the load; LOAD_COMMITTED set: a slot of the view */
	uint32_t extra;		/* the owner's */
};
#define LOAD_COMMITTED 0x80000000u

/* Shared by the sorters of one load. */
struct load_budget {
	size_t limit, used;	/* bytes */
	bool spill;		/* temporary files may be made; else going over the limit is OG_ERR_TOO_LARGE */
};

struct load_run {
	uint64_t first, n;	/* entries in the file */
};

struct load_sorter {
	struct load_budget *budget;
	struct load_entry *v;
	size_t n, cap;
	int fd;			/* -1: nothing was spilled */
	uint64_t spilled;	/* entries in the file */
	struct load_run *runs;
	size_t nruns, runs_cap;
	bool sorted;
};

void load_sorter_init(struct load_sorter *s, struct load_budget *budget);
void load_sorter_fini(struct load_sorter *s);	/* also of a {0} whose init was not called */
int load_sorter_add(struct load_sorter *s, const struct load_entry *e, struct og_error *err) OG_MUST_CHECK;
uint64_t load_sorter_count(const struct load_sorter *s);

/* Reading in order, as often as wanted; no entry may be added once a cursor was opened. */
struct load_reader {
	struct load_entry *buf;		/* of a run */
	size_t at, n, cap;
	uint64_t next, end;		/* entries of the run that are not in buf */
};

struct load_cursor {
	const struct load_sorter *s;
	size_t at;			/* in memory */
	struct load_reader *readers;	/* of the runs */
	size_t *heap;			/* indexes of readers, least entry first */
	size_t nheap;
};

int load_cursor_open(struct load_cursor *c, struct load_sorter *s, struct og_error *err) OG_MUST_CHECK;
void load_cursor_close(struct load_cursor *c);
/* 1 and *e, 0 at the end, or an error. */
int load_cursor_next(struct load_cursor *c, struct load_entry *e, struct og_error *err) OG_MUST_CHECK;

static inline int load_entry_cmp(const struct load_entry *a, const struct load_entry *b)
{
	if (a->hi != b->hi)
		return a->hi < b->hi ? -1 : 1;
	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static inline bool load_entry_same(const struct load_entry *a, const struct load_entry *b)
{
	return a->hi == b->hi && a->lo == b->lo;
}

/* The entry of some bytes. */
struct load_entry load_entry_of(struct og_slice s, uint32_t row, uint32_t extra);

#endif
