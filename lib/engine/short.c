/* Is this execution proven short? Look-ups, and expansions whose neighbours are few enough to be counted beforehand. */
#include "config.h"

#include "engine/run.h"

struct bound {
	struct og_arena *arena;
	uint64_t limit;		/* rows that may be touched */
	uint64_t rows;		/* upper bound of the chain's rows so far */
	uint64_t touched;
	/* Nodes that one variable takes, one entry a row, as far as they are known. */
	int32_t var;		/* -1: none */
	uint32_t *slots;
	size_t nslots, cap;
};

static bool spend(struct bound *b, uint64_t n)
{
	if (n > b->limit || b->touched > b->limit - n)
		return false;
	b->touched += n;
	return true;
}

/* All rows of the next level; peers may repeat, which only makes the bound larger. */
static bool hop(struct bound *b, const struct eng_nbr *n, size_t from, size_t to)
{
	for (int d = 0; d < 2; d++) {
		if (d == 0 ? !n->out : !n->in)
			continue;
		for (size_t i = from; i < to; i++) {
			uint32_t state = 0, slot = b->slots[i], degree = og_view_degree(n->et, d == 0 ? OG_OUT : OG_IN, slot);
			uint32_t *grown;

			if (!degree)
				continue;
			if (!spend(b, degree))
				return false;
			grown = og_arena_grow(b->arena, b->slots, &b->cap, b->nslots + degree, sizeof(*grown));
			if (!grown)
				return false;
			b->slots = grown;
			b->nslots += og_view_expand(n->et, d == 0 ? OG_OUT : OG_IN, slot, &state, grown + b->nslots, NULL, degree);
		}
	}
	return true;
}

static bool bound_traversal(struct bound *b, const struct eng_nbr *n, int32_t from, int32_t to)
{
	size_t level = 0, end = b->nslots, first = end;

	if (n->empty) {
		b->rows = 0;
		b->nslots = 0;
		b->var = to;
		return true;
	}
	if (b->var != from || b->nslots != b->rows)
		return false;
	for (uint32_t depth = 1; depth <= (n->bounded ? n->max : 1) && level < end; depth++) {
		if (!hop(b, n, level, end))
			return false;
		level = end;
		end = b->nslots;
	}
	b->nslots -= first;
	if (b->nslots)
		memmove(b->slots, b->slots + first, b->nslots * sizeof(*b->slots));
	b->rows = b->nslots;
	b->var = to;
	return true;
}

static bool bound_expand(struct bound *b, const struct eng_expand *e)
{
	if (e->s.pipe)
		return false;
	if (e->s.t)
		return bound_traversal(b, &e->nbr, e->s.from, e->s.to);
	b->var = -1;
	b->nslots = 0;
	if (e->s.join)
		return spend(b, b->rows);
	if (!spend(b, 1) || (b->rows && e->s.nlist > b->limit / b->rows))
		return false;
	if (b->rows == 1 && e->s.nlist) {
		uint32_t *grown = og_arena_grow(b->arena, b->slots, &b->cap, e->s.nlist, sizeof(*grown));

		if (!grown)
			return false;
		b->slots = grown;
		memcpy(b->slots, e->s.list, e->s.nlist * sizeof(*b->slots));
		b->nslots = e->s.nlist;
		b->var = e->s.to;
	}
	b->rows *= e->s.nlist;
	return spend(b, b->rows);
}

static bool bound_chain(struct bound *b, const struct eng_op *op);

/* A branch that starts from the same rows. */
static bool fork_bound(const struct bound *b, struct bound *out)
{
	*out = *b;
	out->cap = b->nslots + 1;
	out->slots = og_arena_alloc(b->arena, out->cap * sizeof(*out->slots));
	if (out->slots && b->nslots)
		memcpy(out->slots, b->slots, b->nslots * sizeof(*b->slots));
	return out->slots != NULL;
}

static bool bound_weight(const struct bound *b, const struct eng_weight *w, uint64_t *touched)
{
	struct bound c;
	bool ok;

	if (!b->rows)
		return true;
	if (b->var != w->from || !fork_bound(b, &c))
		return false;
	c.touched = *touched;
	ok = bound_traversal(&c, &w->nbr, w->from, -2);
	*touched = c.touched;
	for (size_t i = 0; ok && i < w->nkids; i++) {
		c.var = w->kids[i]->from;
		ok = bound_weight(&c, w->kids[i], touched);
	}
	return ok;
}

static bool bound_count(struct bound *b, const struct eng_count *c)
{
	for (size_t i = 0; i < c->nw; i++)
		if (!bound_weight(b, c->w[i], &b->touched))
			return false;
	return true;
}

/* With a delta an edge is sought along the list of either end; in images by bisection. */
static bool bound_exists(struct bound *b, const struct eng_exists *e)
{
	if (!b->rows)
		return true;
	if (e->nbr.bounded)
		return false;
	if (e->nbr.plain)
		return spend(b, b->rows);
	if (b->var != e->from || b->nslots != b->rows)
		return false;
	for (size_t i = 0; i < b->nslots; i++)
		if (!spend(b, 1 + (uint64_t)og_view_degree(e->nbr.et, OG_OUT, b->slots[i]) + og_view_degree(e->nbr.et, OG_IN, b->slots[i])))
			return false;
	return true;
}

static bool bound_not(struct bound *b, const struct eng_not_op *n)
{
	struct bound c;

	if (!b->rows)
		return true;
	if (!fork_bound(b, &c) || !bound_chain(&c, n->inner))
		return false;
	b->touched = c.touched;
	return spend(b, b->rows);
}

static bool bound_one(struct bound *b, const struct eng_op *op)
{
	if (op->cls == &eng_seed_class) {
		if (!((const struct eng_seed *)op)->outer)
			b->rows = 1;
		return true;
	}
	if (op->cls == &eng_scan_class) {
		b->rows = ((const struct eng_scan *)op)->t->slots;
		return spend(b, b->rows);
	}
	if (op->cls == &eng_filter_class)
		return spend(b, b->rows);
	if (op->cls == &eng_exists_class)
		return bound_exists(b, (const struct eng_exists *)op);
	if (op->cls == &eng_expand_class)
		return bound_expand(b, (const struct eng_expand *)op);
	if (op->cls == &eng_count_class)
		return bound_count(b, (const struct eng_count *)op);
	return op->cls == &eng_not_class && bound_not(b, (const struct eng_not_op *)op);
}

static bool bound_chain(struct bound *b, const struct eng_op *op)
{
	return (!op->child || bound_chain(b, op->child)) && bound_one(b, op);
}

bool og_exec_short(const struct og_exec *x, uint64_t rows)
{
	struct og_arena arena;
	struct bound b = { .arena = &arena, .limit = rows, .var = -1 };
	bool is_short;

	if (x->stage == ENG_DONE)
		return true;
	og_arena_init(&arena, 0);
	is_short = bound_chain(&b, x->top);
	og_arena_fini(&arena);
	return is_short;
}
