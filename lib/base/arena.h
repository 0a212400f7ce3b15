/*
 * An arena: memory that dies as a whole, for everything that belongs to one request.
 *
 * Memory: chunks from malloc, freed by og_arena_fini alone. An optional limit in bytes makes
 * allocation fail (NULL) beyond it; `over_limit` then tells this from a lack of memory.
 * Threads: one at a time; two threads use two arenas.
 */
#ifndef OG_BASE_ARENA_H
#define OG_BASE_ARENA_H

#include "base/error.h"
#include "base/slice.h"

struct og_arena_chunk;

struct og_arena {
	struct og_arena_chunk *chunks;	/* newest first */
	char *next, *end;		/* free room of the newest */
	size_t total;			/* bytes taken from malloc */
	size_t limit;			/* 0: none */
	bool over_limit;
};

void og_arena_init(struct og_arena *a, size_t limit);
void og_arena_fini(struct og_arena *a);
/* Forgets everything but keeps one chunk for the next request. */
void og_arena_reset(struct og_arena *a);
/* 16-byte aligned, NOT cleared; NULL without memory or over the limit. */
void *og_arena_alloc(struct og_arena *a, size_t n);
/* n * size bytes, cleared; the product is checked. */
void *og_arena_array(struct og_arena *a, size_t n, size_t size);
/* Grows an array to hold at least `want` elements: returns old (capacity suffices) or a copy twice as
 * large; *cap is raised. NULL on failure, old stays valid. */
void *og_arena_grow(struct og_arena *a, void *old, size_t *cap, size_t want, size_t size);
/* A copy with a NUL behind it. */
char *og_arena_strndup(struct og_arena *a, const char *p, size_t n);
/* A copy; .p NULL on failure (also check: len 0 gives a non-NULL p). */
struct og_slice og_arena_slice(struct og_arena *a, struct og_slice s);
char *og_arena_printf(struct og_arena *a, const char *fmt, ...) OG_PRINTF(2, 3);
/* Sets *err to OG_ERR_NOMEM, or to OG_ERR_TOO_LARGE with the limit named, as the arena's state says. */
int og_arena_error(const struct og_arena *a, struct og_error *err);

#endif
