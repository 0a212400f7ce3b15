/* Arenas: bump allocation in chunks of doubling size. */
#include "config.h"

#include "base/arena.h"
#include "base/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Under ASan every allocation is followed by a poisoned gap, so that overruns inside a chunk show. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define GAP 16
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define GAP 0
#endif

#define ALIGN 16
#define CHUNK_MIN 4096
#define CHUNK_MAX (1024 * 1024)
/* An allocation of at least this part of a fresh chunk gets a chunk of its own. */
#define BIG_SHARE 4

struct og_arena_chunk {
	struct og_arena_chunk *older;
	size_t size;		/* of the whole malloc */
	char pad[ALIGN - (sizeof(void *) + sizeof(size_t)) % ALIGN];
	char bytes[];
};

void og_arena_init(struct og_arena *a, size_t limit)
{
	*a = (struct og_arena){ .limit = limit };
}

static void free_chunks(struct og_arena_chunk *c)
{
	while (c) {
		struct og_arena_chunk *older = c->older;

		UNPOISON(c, c->size);
		free(c);
		c = older;
	}
}

void og_arena_fini(struct og_arena *a)
{
	free_chunks(a->chunks);
	og_arena_init(a, a->limit);
}

void og_arena_reset(struct og_arena *a)
{
	struct og_arena_chunk *c = a->chunks;

	a->over_limit = false;
	if (!c)
		return;
	free_chunks(c->older);
	c->older = NULL;
	/* One huge request must not pin its memory for ever. */
	if (c->size > 2 * CHUNK_MAX) {
		og_arena_fini(a);
		return;
	}
	a->total = c->size;
	a->next = c->bytes;
	a->end = (char *)c + c->size;
	POISON(a->next, (size_t)(a->end - a->next));
}

static struct og_arena_chunk *new_chunk(struct og_arena *a, size_t size)
{
	struct og_arena_chunk *c;

	if (a->limit && size > a->limit - OG_MIN(a->total, a->limit)) {
		a->over_limit = true;
		return NULL;
	}
	c = malloc(size);
	if (!c)
		return NULL;
	c->size = size;
	a->total += size;
	POISON(c->bytes, size - sizeof(*c));
	return c;
}

/* n is rounded already. The current chunk stays current when the newcomer would leave less room. */
static void *alloc_slow(struct og_arena *a, size_t n)
{
	size_t need = sizeof(struct og_arena_chunk) + n;
	size_t size = a->total < CHUNK_MIN ? CHUNK_MIN : OG_MIN(a->total, (size_t)CHUNK_MAX);
	struct og_arena_chunk *c;

	if (a->limit && a->total < a->limit)
		size = OG_MIN(size, a->limit - a->total);
	if (need > size / BIG_SHARE && a->chunks) {
		c = new_chunk(a, need);
		if (!c)
			return NULL;
		/* Behind the newest, whose room is still in use. */
		c->older = a->chunks->older;
		a->chunks->older = c;
		return c->bytes;
	}
	c = new_chunk(a, OG_MAX(size, need));
	if (!c)
		return NULL;
	c->older = a->chunks;
	a->chunks = c;
	a->next = c->bytes + n;
	a->end = (char *)c + c->size;
	return c->bytes;
}

void *og_arena_alloc(struct og_arena *a, size_t n)
{
	size_t room = (size_t)(a->end - a->next);
	size_t whole;
	char *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	/* At least one unit, so that two allocations never share an address. */
	whole = n ? (n + GAP + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
	if (whole <= room) {
		p = a->next;
		a->next += whole;
	} else {
		p = alloc_slow(a, whole);
		if (!p)
			return NULL;
	}
	UNPOISON(p, n);
	return p;
}

void *og_arena_array(struct og_arena *a, size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (!og_size_mul(n, size, &bytes))
		return NULL;
	p = og_arena_alloc(a, bytes);
	if (p && bytes)
		memset(p, 0, bytes);
	return p;
}

void *og_arena_grow(struct og_arena *a, void *old, size_t *cap, size_t want, size_t size)
{
	size_t fresh = *cap, bytes;
	void *p;

	if (want <= *cap)
		return old;
	if (!og_size_mul(fresh, 2, &fresh))
		return NULL;
	fresh = OG_MAX(fresh, want);
	fresh = OG_MAX(fresh, (size_t)4);
	if (!og_size_mul(fresh, size, &bytes))
		return NULL;
	p = og_arena_alloc(a, bytes);
	if (!p)
		return NULL;
	if (*cap)
		memcpy(p, old, *cap * size);
	*cap = fresh;
	return p;
}

char *og_arena_strndup(struct og_arena *a, const char *p, size_t n)
{
	char *copy;

	if (n == SIZE_MAX)
		return NULL;
	copy = og_arena_alloc(a, n + 1);
	if (!copy)
		return NULL;
	if (n)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

struct og_slice og_arena_slice(struct og_arena *a, struct og_slice s)
{
	char *copy = og_arena_strndup(a, s.p, s.len);

	return og_slice(copy, copy ? s.len : 0);
}

char *og_arena_printf(struct og_arena *a, const char *fmt, ...)
{
	char small[256];
	va_list ap, again;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n >= 0)
		p = og_arena_alloc(a, (size_t)n + 1);
	if (p && (size_t)n < sizeof(small))
		memcpy(p, small, (size_t)n + 1);
	else if (p)
		(void)vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

int og_arena_error(const struct og_arena *a, struct og_error *err)
{
	if (a->over_limit)
		return og_error_set(err, OG_ERR_TOO_LARGE, "needs more than the limit of %zu bytes of memory",
				    a->limit);
	return og_error_nomem(err);
}
