/* A table of the ids of a load. */
#include "config.h"

#include "load/idset.h"

#include <stdlib.h>

static size_t first_slot(const struct load_idset *s, const struct load_entry *e)
{
	return (size_t)e->lo & (s->slots - 1);
}

static void put(struct load_idset *s, const struct load_entry *e)
{
	size_t i = first_slot(s, e);

	while (s->v[i][0] | s->v[i][1]) {
		if (s->v[i][0] == e->hi && s->v[i][1] == e->lo)
			return;
		i = (i + 1) & (s->slots - 1);
	}
	/* The hash 0 looks like a free slot, is never found, and goes the way of the sorted lists. */
	s->v[i][0] = e->hi;
	s->v[i][1] = e->lo;
}

void load_idset_fill(struct load_idset *s, const struct load_sorter *ids)
{
	struct load_budget *b = ids->budget;
	size_t slots = 16;

	*s = (struct load_idset){ .budget = b };
	if (ids->n == 0 || ids->spilled)
		return;
	while (slots / 2 < ids->n)
		slots *= 2;
	if (b->used > b->limit || slots > (b->limit - b->used) / 2 / sizeof(*s->v))
		return;
	s->v = calloc(slots, sizeof(*s->v));
	if (!s->v)
		return;
	b->used += slots * sizeof(*s->v);
	s->slots = slots;
	for (size_t i = 0; i < ids->n; i++)
		put(s, &ids->v[i]);
}

void load_idset_fini(struct load_idset *s)
{
	if (!s->v)
		return;
	s->budget->used -= s->slots * sizeof(*s->v);
	free(s->v);
	*s = (struct load_idset){ 0 };
}

void load_idset_expect(const struct load_idset *s, const struct load_entry *e)
{
	if (s->v)
		__builtin_prefetch(s->v[first_slot(s, e)]);
}

bool load_idset_has(const struct load_idset *s, const struct load_entry *e)
{
	if (!s->v)
		return false;
	for (size_t i = first_slot(s, e); s->v[i][0] | s->v[i][1]; i = (i + 1) & (s->slots - 1))
		if (s->v[i][0] == e->hi && s->v[i][1] == e->lo)
			return true;
	return false;
}
