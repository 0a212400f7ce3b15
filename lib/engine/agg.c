/* Aggregates: groups by hash, in the order in which they first appear. */
#include "config.h"

#include "engine/run.h"

/* A group by slot costs 4 bytes a slot: not for a few rows. */
#define MEMO_AFTER 1024

struct state {
	uint64_t n;		/* non-null inputs */
	double sum;
	struct og_value best;	/* of min, max */
};

struct group {
	uint64_t hash;
	struct og_value *keys;	/* by position in eng_agg.keys */
	struct state *states;	/* by position in eng_agg.aggs */
};

struct eng_agg {
	struct og_exec *x;
	uint32_t *keys, *aggs;	/* items */
	uint32_t nkeys, naggs;
	uint32_t *place;	/* by item: position in keys or aggs */
	bool counts;		/* nothing but numbers of rows */
	void **groups;		/* struct group *, first seen first */
	size_t n, cap;
	uint32_t *table;	/* index + 1; open addressing */
	size_t mask;		/* 0: no table yet */
	struct og_value *probe;
	/* While all keys hang on one variable, its slot names the group. */
	int32_t var;		/* -1: none does, or several do */
	bool by_slot;
	uint32_t last_slot, asked;
	struct group *last;
	uint32_t *memo;		/* by slot: index + 1 */
};

static void choose_memo(struct eng_agg *g)
{
	g->var = -1;
	g->by_slot = true;
	for (uint32_t i = 0; i < g->nkeys; i++) {
		int32_t var = g->x->items[g->keys[i]].var;

		if (var < 0)
			continue;
		if (g->var >= 0 && g->var != var)
			g->by_slot = false;
		g->var = var;
	}
	g->last_slot = OG_SLOT_NONE;
}

int eng_agg_new(struct og_exec *x, struct eng_agg **out, struct og_error *err)
{
	struct eng_agg *g = og_arena_array(&x->arena, 1, sizeof(*g));
	uint32_t n = x->p->nitems;

	if (!g)
		return eng_no_memory(x, err);
	g->x = x;
	g->keys = og_arena_array(&x->arena, n, sizeof(*g->keys));
	g->aggs = og_arena_array(&x->arena, n, sizeof(*g->aggs));
	g->probe = og_arena_array(&x->arena, n, sizeof(*g->probe));
	g->place = og_arena_array(&x->arena, n, sizeof(*g->place));
	if (!g->keys || !g->aggs || !g->probe || !g->place)
		return eng_no_memory(x, err);
	g->counts = true;
	for (uint32_t i = 0; i < n; i++) {
		const struct eng_item *it = &x->p->items[i];

		g->place[i] = it->kind == ENG_AGG ? g->naggs : g->nkeys;
		if (it->kind == ENG_AGG)
			g->aggs[g->naggs++] = i;
		else
			g->keys[g->nkeys++] = i;
		g->counts &= it->kind != ENG_AGG || (it->agg == GQ_COUNT && it->arg == ENG_ID);
	}
	choose_memo(g);
	*out = g;
	return 0;
}

static int grow_table(struct eng_agg *g, struct og_error *err)
{
	size_t size = g->mask ? 2 * (g->mask + 1) : 64;
	uint32_t *t;

	if (2 * (g->n + 1) <= g->mask)
		return 0;
	t = og_arena_array(&g->x->arena, size, sizeof(*t));
	if (!t)
		return eng_no_memory(g->x, err);
	for (size_t i = 0; i < g->n; i++) {
		size_t at = ((struct group *)g->groups[i])->hash & (size - 1);

		while (t[at])
			at = (at + 1) & (size - 1);
		t[at] = (uint32_t)i + 1;
	}
	g->table = t;
	g->mask = size - 1;
	return 0;
}

static int new_group(struct eng_agg *g, uint64_t hash, struct group **out, struct og_error *err)
{
	struct og_arena *a = &g->x->arena;
	size_t bytes = sizeof(struct group) + g->nkeys * sizeof(struct og_value) + g->naggs * sizeof(struct state);
	struct group *r = og_arena_array(a, 1, bytes);
	void **grown = og_arena_grow(a, g->groups, &g->cap, g->n + 1, sizeof(*grown));

	if (!r || !grown || g->n == UINT32_MAX - 1)
		return eng_no_memory(g->x, err);
	g->groups = grown;
	r->hash = hash;
	r->keys = (struct og_value *)(r + 1);
	r->states = (struct state *)(r->keys + g->nkeys);
	for (uint32_t i = 0; i < g->nkeys; i++) {
		int rc;

		r->keys[i] = g->probe[i];
		if ((rc = eng_keep(g->x, &r->keys[i], err)) < 0)
			return rc;
	}
	g->groups[g->n++] = r;
	*out = r;
	return 0;
}

static bool same_keys(const struct eng_agg *g, const struct group *r)
{
	for (uint32_t i = 0; i < g->nkeys; i++)
		if (og_value_order(&r->keys[i], &g->probe[i]) != 0)
			return false;
	return true;
}

static int find_by_keys(struct eng_agg *g, struct eng_batch *b, uint32_t row, struct group **out, struct og_error *err)
{
	uint64_t hash = 0;
	size_t at;
	int rc;

	for (uint32_t i = 0; i < g->nkeys; i++) {
		rc = eng_value_get(&g->x->items[g->keys[i]], b, row, &g->x->tmp, &g->probe[i], err);
		if (rc < 0)
			return rc;
		hash = og_value_hash(&g->probe[i], hash);
	}
	if ((rc = grow_table(g, err)) < 0)
		return rc;
	for (at = hash & g->mask; g->table[at]; at = (at + 1) & g->mask) {
		struct group *r = g->groups[g->table[at] - 1];

		if (r->hash == hash && same_keys(g, r)) {
			*out = r;
			return 0;
		}
	}
	g->table[at] = (uint32_t)g->n + 1;
	return new_group(g, hash, out, err);
}

static int open_memo(struct eng_agg *g, struct og_error *err)
{
	struct og_exec *x = g->x;

	if (g->memo || g->asked++ < MEMO_AFTER)
		return 0;
	g->memo = og_arena_array(&x->arena, eng_vtype(x, x->p->vars[g->var].type)->slots, sizeof(*g->memo));
	return g->memo ? 0 : eng_no_memory(x, err);
}

static size_t index_of(const struct eng_agg *g, const struct group *r)
{
	size_t at = r->hash & g->mask;

	while (g->groups[g->table[at] - 1] != r)
		at = (at + 1) & g->mask;
	return g->table[at] - 1;
}

static int find_group(struct eng_agg *g, struct eng_batch *b, uint32_t row, struct group **out, struct og_error *err)
{
	uint32_t slot;
	int rc;

	/* Without keys there is one group; with constant keys too. */
	if (g->by_slot && g->var < 0 && g->n) {
		*out = g->groups[0];
		return 0;
	}
	if (!g->by_slot || g->var < 0)
		return find_by_keys(g, b, row, out, err);
	slot = b->cols[g->var][row];
	if (slot == g->last_slot) {
		*out = g->last;
		return 0;
	}
	if ((rc = open_memo(g, err)) < 0)
		return rc;
	if (g->memo && g->memo[slot]) {
		*out = g->groups[g->memo[slot] - 1];
	} else {
		if ((rc = find_by_keys(g, b, row, out, err)) < 0)
			return rc;
		if (g->memo)
			g->memo[slot] = (uint32_t)index_of(g, *out) + 1;
	}
	g->last_slot = slot;
	g->last = *out;
	return 0;
}

static double as_double(const struct og_value *v)
{
	return v->kind == OG_V_INT ? (double)v->i : v->kind == OG_V_UINT ? (double)v->u : v->f;
}

static void update(enum gq_agg agg, struct state *s, const struct og_value *v, uint64_t weight)
{
	if (v->kind == OG_V_NULL || v->kind == OG_V_BLOB)
		return;
	switch (agg) {
	case GQ_COUNT:
		break;
	case GQ_SUM:
	case GQ_AVG:
		s->sum += as_double(v) * (double)weight;
		break;
	case GQ_MIN:
		if (!s->n || og_value_order(v, &s->best) < 0)
			s->best = *v;
		break;
	case GQ_MAX:
		if (!s->n || og_value_order(v, &s->best) > 0)
			s->best = *v;
		break;
	}
	if (__builtin_add_overflow(s->n, weight, &s->n))
		s->n = UINT64_MAX;
}

/* Rows of the one group there is, of which only the number matters. */
static int add_counts(struct eng_agg *g, struct eng_batch *b, struct og_error *err)
{
	struct og_value v = { .kind = OG_V_BOOL };
	uint64_t n = b->weight ? 0 : b->nsel;
	struct group *r;
	int rc;

	if (!b->nsel)
		return 0;
	for (uint32_t i = 0; b->weight && i < b->nsel; i++)
		if (__builtin_add_overflow(n, b->weight[b->sel[i]], &n))
			n = UINT64_MAX;
	if ((rc = find_group(g, b, b->sel[0], &r, err)) < 0)
		return rc;
	for (uint32_t k = 0; k < g->naggs; k++)
		update(GQ_COUNT, &r->states[k], &v, n);
	return 0;
}

int eng_agg_add(struct eng_agg *g, struct eng_batch *b, struct og_error *err)
{
	struct og_exec *x = g->x;

	og_arena_reset(&x->tmp);
	if (g->counts && g->by_slot && g->var < 0)
		return add_counts(g, b, err);
	for (uint32_t i = 0; i < b->nsel; i++) {
		uint32_t row = b->sel[i];
		uint64_t weight = b->weight ? b->weight[row] : 1;
		struct group *r;
		int rc = find_group(g, b, row, &r, err);

		for (uint32_t k = 0; rc == 0 && k < g->naggs; k++) {
			const struct eng_item *it = &x->p->items[g->aggs[k]];
			struct og_value v = { .kind = OG_V_BOOL };

			/* An entity is never null; its id is of no use to a count. */
			if (it->agg != GQ_COUNT || it->arg != ENG_ID)
				rc = eng_value_get(&x->items[g->aggs[k]], b, row, &x->tmp, &v, err);
			if (rc == 0)
				update(it->agg, &r->states[k], &v, weight);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static struct og_value result_of(enum gq_agg agg, const struct state *s)
{
	if (agg == GQ_COUNT)
		return (struct og_value){ .kind = OG_V_INT, .i = (int64_t)OG_MIN(s->n, (uint64_t)INT64_MAX) };
	if (!s->n)
		return (struct og_value){ .kind = OG_V_NULL };
	if (agg == GQ_SUM)
		return (struct og_value){ .kind = OG_V_FLOAT, .f = s->sum };
	if (agg == GQ_AVG)
		return (struct og_value){ .kind = OG_V_FLOAT, .f = s->sum / (double)s->n };
	return s->best;
}

static struct og_value value_of(const struct eng_agg *g, const struct group *r, uint32_t item)
{
	const struct eng_item *it = &g->x->p->items[item];

	return it->kind == ENG_AGG ? result_of(it->agg, &r->states[g->place[item]]) : r->keys[g->place[item]];
}

static int compare_groups(void *arg, const void *va, const void *vb)
{
	const struct eng_agg *g = arg;
	const struct og_plan *p = g->x->p;
	const struct group *a = va, *b = vb;

	for (uint32_t i = 0; i < p->nkeys; i++) {
		struct og_value x = value_of(g, a, (uint32_t)p->keys[i].item), y = value_of(g, b, (uint32_t)p->keys[i].item);
		int c = og_value_order(&x, &y);

		if (c)
			return p->keys[i].desc ? -c : c;
	}
	for (uint32_t i = 0; i < g->nkeys; i++) {
		int c = og_value_order(&a->keys[i], &b->keys[i]);

		if (c)
			return c;
	}
	return 0;
}

int eng_agg_finish(struct eng_agg *g, struct og_error *err)
{
	const struct og_plan *p = g->x->p;
	struct group *r;
	int rc;

	if (!g->nkeys && !g->n && (rc = new_group(g, 0, &r, err)) < 0)
		return rc;
	if (!p->nkeys)
		return 0;
	return eng_sort_top(g->x, g->groups, &g->n, p->has_limit ? p->limit : UINT64_MAX, compare_groups, g, err);
}

int eng_agg_emit(struct eng_agg *g, uint64_t from, uint32_t *n, struct og_error *err)
{
	struct og_exec *x = g->x;

	*n = from < g->n ? (uint32_t)OG_MIN(g->n - from, (uint64_t)ENG_BATCH) : 0;
	for (uint32_t i = 0; i < *n; i++) {
		int rc;

		if (x->p->has_limit && x->rows >= x->p->limit) {
			*n = 0;
			return 0;
		}
		for (uint32_t k = 0; k < x->p->nitems; k++)
			x->row[k] = value_of(g, g->groups[from + i], k);
		if ((rc = eng_encode_row(x, x->row, err)) < 0)
			return rc;
	}
	return 0;
}
