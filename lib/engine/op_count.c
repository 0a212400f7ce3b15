/*
 * Weights instead of rows: where an aggregate needs only how many ways lead on from a row, the last expansions are counted.
 *
 * A tail of traversals whose variables nobody looks at is a tree; the number of its matches below a node is the sum over the neighbours of the
 * product of their numbers. It depends on the node alone, so it is remembered by slot once it is asked for often.
 */
#include "config.h"

#include "engine/run.h"

/* A memo costs 8 bytes a slot: not for a few look-ups. */
#define MEMO_AFTER 2048

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
	uint64_t s;

	return __builtin_add_overflow(a, b, &s) ? UINT64_MAX - 1 : s;
}

static uint64_t saturating_mul(uint64_t a, uint64_t b)
{
	uint64_t s;

	return __builtin_mul_overflow(a, b, &s) ? UINT64_MAX - 1 : s;
}

static bool constant_time(const struct eng_weight *w)
{
	const struct eng_nbr *n = &w->nbr;

	return !w->nkids && n->plain && !n->bounded && !(n->in && n->out) && !n->empty && !og_view_adj(n->et)->parallel;
}

static int open_memo(struct eng_weight *w, struct og_error *err)
{
	struct og_exec *x = w->nbr.x;

	if (w->memo || w->asked++ < MEMO_AFTER || constant_time(w))
		return 0;
	w->memo = og_arena_array(&x->arena, eng_vtype(x, x->p->vars[w->from].type)->slots, sizeof(*w->memo));
	return w->memo ? 0 : eng_no_memory(x, err);
}

static int weight_at(struct eng_weight *w, uint32_t slot, uint64_t *out, struct og_error *err)
{
	const uint32_t *peers, *edges;
	uint64_t total = 0, one, each;
	size_t n;
	int rc = open_memo(w, err);

	if (rc < 0)
		return rc;
	if (w->memo && w->memo[slot]) {
		*out = w->memo[slot] - 1;
		return 0;
	}
	rc = eng_nbr_list(&w->nbr, slot, &peers, &edges, &n, err);
	if (rc < 0)
		return rc;
	if ((rc = eng_charge(w->nbr.x, 1 + (w->nkids ? n : 0), err)) < 0)
		return rc;
	if (!w->nkids)
		total = n;
	for (size_t i = 0; w->nkids && i < n; i++) {
		one = 1;
		for (size_t k = 0; one && k < w->nkids; k++) {
			rc = weight_at(w->kids[k], peers[i], &each, err);
			if (rc < 0)
				return rc;
			one = saturating_mul(one, each);
		}
		total = saturating_add(total, one);
	}
	if (w->memo)
		w->memo[slot] = total + 1;
	*out = total;
	return 0;
}

static int weigh_row(struct eng_count *c, struct eng_batch *b, uint32_t row, struct og_error *err)
{
	uint64_t all = c->factor, each;

	for (size_t i = 0; all && i < c->nw; i++) {
		int rc = weight_at(c->w[i], b->cols[c->w[i]->from][row], &each, err);

		if (rc < 0)
			return rc;
		all = saturating_mul(all, each);
	}
	c->weight[row] = all;
	b->sel[c->kept] = row;
	c->kept += all > 0;
	return 0;
}

static int count_next(struct eng_op *op, struct eng_batch **out, struct og_error *err)
{
	struct eng_count *c = (struct eng_count *)op;
	int rc;

	for (;;) {
		struct eng_batch *b = c->in;

		if (!b) {
			if ((rc = op->child->cls->next(op->child, &b, err)) != OP_ROWS)
				return rc;
			c->in = b;
			c->pos = c->kept = 0;
		}
		for (; c->pos < b->nsel; c->pos++) {
			if (op->x->pause)
				return OP_PAUSE;
			if ((rc = weigh_row(c, b, b->sel[c->pos], err)) < 0 || (rc = eng_charge(op->x, 1, err)) < 0)
				return rc;
		}
		c->in = NULL;
		b->nsel = c->kept;
		b->weight = c->weight;
		if (b->nsel) {
			*out = b;
			return OP_ROWS;
		}
	}
}

static void count_live(struct eng_op *op, bool *live)
{
	struct eng_count *c = (struct eng_count *)op;

	for (size_t i = 0; i < c->nw; i++)
		live[c->w[i]->from] = true;
}

static int count_prepare(struct eng_op *op, struct og_error *err)
{
	struct eng_count *c = (struct eng_count *)op;

	op->cap = op->child->cap;
	c->weight = og_arena_alloc(&op->x->arena, op->cap * sizeof(*c->weight));
	return c->weight ? 0 : eng_no_memory(op->x, err);
}

const struct eng_op_class eng_count_class = { count_next, count_live, count_prepare };

/* The weights that hang on `var` become kids of the expansion that reaches it. */
static int adopt(struct eng_weight *w, int32_t var, struct eng_weight **open, size_t *nopen, struct og_error *err)
{
	size_t k = 0;

	w->kids = og_arena_array(&w->nbr.x->arena, *nopen, sizeof(*w->kids));
	if (!w->kids)
		return eng_no_memory(w->nbr.x, err);
	for (size_t i = 0; i < *nopen; i++) {
		if (open[i]->from == var)
			w->kids[w->nkids++] = open[i];
		else
			open[k++] = open[i];
	}
	*nopen = k;
	return 0;
}

static bool countable(const struct eng_op *op, const bool *live)
{
	const struct eng_expand *e = (const struct eng_expand *)op;

	if (op->cls != &eng_expand_class || !e->s.t || e->s.equal >= 0 || live[e->s.to])
		return false;
	return e->edge < 0 || !live[e->edge];
}

/* A scan that nothing restricts and nobody looks at has as many rows as the type. */
static bool all_of_a_type(const struct eng_op *op, const bool *live)
{
	return op->cls == &eng_scan_class && !live[((const struct eng_scan *)op)->var];
}

int eng_count_tail(struct og_exec *x, struct eng_op **top, const bool *live, struct og_error *err)
{
	struct eng_weight **open;
	struct eng_op *op = *top;
	size_t nops = 0, nopen = 0;
	struct eng_count *c;

	for (const struct eng_op *o = op; countable(o, live); o = o->child)
		nops++;
	if (!nops && !all_of_a_type(op, live))
		return 0;
	open = og_arena_array(&x->arena, nops, sizeof(*open));
	c = og_arena_array(&x->arena, 1, sizeof(*c));
	if (!open || !c)
		return eng_no_memory(x, err);
	for (; nops; nops--, op = op->child) {
		struct eng_expand *e = (struct eng_expand *)op;
		struct eng_weight *w = og_arena_array(&x->arena, 1, sizeof(*w));
		int rc;

		if (!w)
			return eng_no_memory(x, err);
		eng_nbr_init(&w->nbr, x, e->s.t, e->s.from_src);
		w->from = e->s.from;
		rc = adopt(w, e->s.to, open, &nopen, err);
		if (rc < 0)
			return rc;
		open[nopen++] = w;
	}
	c->factor = 1;
	if (!nopen && all_of_a_type(op, live)) {
		c->factor = ((struct eng_scan *)op)->t->rows;
		op = eng_seed_new(x, false);
		if (!op)
			return eng_no_memory(x, err);
	}
	c->op = (struct eng_op){ .cls = &eng_count_class, .x = x, .child = op };
	c->w = open;
	c->nw = nopen;
	*top = &c->op;
	return 0;
}
