/* Negation: rows of the outer batch for which the inner chain finds nothing. */
#include "config.h"

#include "engine/run.h"

/* The inner chain gets the batch with a selection of its own: it drops rows in its own way. */
static int take_batch(struct eng_not_op *n, struct og_error *err)
{
	int rc = n->op.child->cls->next(n->op.child, &n->in, err);

	if (rc != OP_ROWS) {
		n->in = NULL;
		return rc;
	}
	n->outer.n = n->in->n;
	n->outer.nsel = n->in->nsel;
	memcpy(n->outer.sel, n->in->sel, n->in->nsel * sizeof(*n->outer.sel));
	n->outer.cols = n->in->cols;
	n->outer.origin = n->identity;
	memset(n->done, 0, n->in->n);
	eng_seed_arm(n->seed, &n->outer);
	return OP_ROWS;
}

static int not_next(struct eng_op *op, struct eng_batch **out, struct og_error *err)
{
	struct eng_not_op *n = (struct eng_not_op *)op;

	for (;;) {
		struct eng_batch *b;
		uint32_t k = 0;
		int rc;

		if (!n->in && (rc = take_batch(n, err)) != OP_ROWS)
			return rc;
		while ((rc = n->inner->cls->next(n->inner, &b, err)) == OP_ROWS)
			for (uint32_t i = 0; i < b->nsel; i++)
				n->done[b->origin[b->sel[i]]] = 1;
		if (rc != OP_END)
			return rc;
		b = n->in;
		n->in = NULL;
		for (uint32_t i = 0; i < b->nsel; i++)
			if (!n->done[b->sel[i]])
				b->sel[k++] = b->sel[i];
		b->nsel = k;
		if (k) {
			*out = b;
			return OP_ROWS;
		}
	}
}

static void not_live(struct eng_op *op, bool *live)
{
	struct eng_not_op *n = (struct eng_not_op *)op;

	for (size_t i = 0; i < n->n->nouter; i++)
		live[n->n->outer[i]] = true;
}

static int not_prepare(struct eng_op *op, struct og_error *err)
{
	struct eng_not_op *n = (struct eng_not_op *)op;

	op->cap = op->child->cap;
	n->outer.sel = og_arena_alloc(&op->x->arena, op->cap * sizeof(*n->outer.sel));
	n->identity = og_arena_alloc(&op->x->arena, op->cap * sizeof(*n->identity));
	if (!n->outer.sel || !n->identity)
		return eng_no_memory(op->x, err);
	for (uint32_t i = 0; i < op->cap; i++)
		n->identity[i] = i;
	return eng_prepare(n->inner, err);
}

const struct eng_op_class eng_not_class = { not_next, not_live, not_prepare };

struct eng_op *eng_not_new(struct og_exec *x, struct eng_op *child, struct eng_op *seed, struct eng_op *inner, const struct eng_not *n,
			   uint8_t *done)
{
	struct eng_not_op *o = og_arena_array(&x->arena, 1, sizeof(*o));

	if (!o)
		return NULL;
	o->op = (struct eng_op){ .cls = &eng_not_class, .x = x, .child = child, .done = child->done };
	o->seed = seed;
	o->inner = inner;
	o->n = n;
	o->done = done;
	return &o->op;
}
