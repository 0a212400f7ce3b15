/* The hash table: linear probing, at most 3/4 full, deletion by moving later entries up. */
#include "config.h"

#include "base/map.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CAP_MIN 8

void og_map_fini(struct og_map *m)
{
	free(m->slots);
	*m = (struct og_map){ 0 };
}

uint64_t og_hash(struct og_slice s)
{
	return XXH3_64bits(s.p, s.len);
}

/* The slot that holds key, or the free one where it belongs. cap > 0. */
static struct og_map_entry *probe(const struct og_map *m, struct og_slice key, uint64_t hash)
{
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct og_map_entry *e = &m->slots[i];

		if (!e->key.p || (e->hash == hash && og_slice_eq(e->key, key)))
			return e;
	}
}

struct og_map_entry *og_map_find(const struct og_map *m, struct og_slice key)
{
	struct og_map_entry *e;

	if (m->count == 0)
		return NULL;
	e = probe(m, key, og_hash(key));
	return e->key.p ? e : NULL;
}

static bool grow(struct og_map *m)
{
	struct og_map fresh = { .count = m->count, .cap = m->cap ? m->cap * 2 : CAP_MIN };

	if (m->cap > SIZE_MAX / 2 / sizeof(*m->slots))
		return false;
	fresh.slots = calloc(fresh.cap, sizeof(*fresh.slots));
	if (!fresh.slots)
		return false;
	for (size_t i = 0; i < m->cap; i++) {
		const struct og_map_entry *e = &m->slots[i];

		if (e->key.p)
			*probe(&fresh, e->key, e->hash) = *e;
	}
	free(m->slots);
	*m = fresh;
	return true;
}

struct og_map_entry *og_map_put(struct og_map *m, struct og_slice key, bool *fresh)
{
	uint64_t hash = og_hash(key);
	struct og_map_entry *e = NULL;

	if (!key.p)
		key.p = "";	/* NULL marks a free slot */
	if (m->cap)
		e = probe(m, key, hash);
	if (fresh)
		*fresh = !e || !e->key.p;
	if (e && e->key.p)
		return e;
	if (m->count >= m->cap / 4 * 3) {
		if (!grow(m))
			return NULL;
		e = probe(m, key, hash);
	}
	*e = (struct og_map_entry){ .key = key, .hash = hash };
	m->count++;
	return e;
}

bool og_map_delete(struct og_map *m, struct og_slice key)
{
	struct og_map_entry *e = og_map_find(m, key);
	size_t mask = m->cap - 1, hole, i;

	if (!e)
		return false;
	hole = (size_t)(e - m->slots);
	for (i = (hole + 1) & mask; m->slots[i].key.p; i = (i + 1) & mask) {
		size_t home = m->slots[i].hash & mask;

		/* It may move up unless that would put it before its home. */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct og_map_entry){ 0 };
	m->count--;
	return true;
}

struct og_map_entry *og_map_next(const struct og_map *m, size_t *i)
{
	while (*i < m->cap) {
		struct og_map_entry *e = &m->slots[(*i)++];

		if (e->key.p)
			return e;
	}
	return NULL;
}
