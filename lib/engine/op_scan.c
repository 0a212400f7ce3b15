/* Where rows come from: one empty row, an outer batch, or all live nodes of a type. */
#include "config.h"

#include "engine/run.h"

int eng_batch_init(struct og_exec *x, struct eng_batch *b, uint32_t cap, bool weight, bool origin)
{
	*b = (struct eng_batch){ 0 };
	b->sel = og_arena_alloc(&x->arena, cap * sizeof(*b->sel));
	b->cols = og_arena_array(&x->arena, x->p->nvars, sizeof(*b->cols));
	if (!b->sel || !b->cols)
		return -1;
	if (weight && !(b->weight = og_arena_alloc(&x->arena, cap * sizeof(*b->weight))))
		return -1;
	if (origin && !(b->origin = og_arena_alloc(&x->arena, cap * sizeof(*b->origin))))
		return -1;
	return 0;
}

/* --- seed ----------------------------------------------------------------------------------------------------------------------------- */

static int seed_next(struct eng_op *op, struct eng_batch **out, struct og_error *err)
{
	struct eng_seed *s = (struct eng_seed *)op;

	if (s->given)
		return s->given = false, OP_END;
	if (!s->outer) {
		s->one.nsel = 1;
		s->one.sel[0] = 0;
	}
	s->given = true;
	*out = s->batch;
	return OP_ROWS;
}

static void seed_live(struct eng_op *op, bool *live)
{
}

static int seed_prepare(struct eng_op *op, struct og_error *err)
{
	struct eng_seed *s = (struct eng_seed *)op;

	op->cap = ENG_BATCH;
	if (s->outer)
		return 0;
	op->cap = 1;
	if (eng_batch_init(op->x, &s->one, 1, false, false) < 0)
		return eng_no_memory(op->x, err);
	s->one.n = 1;
	s->batch = &s->one;
	return 0;
}

const struct eng_op_class eng_seed_class = { seed_next, seed_live, seed_prepare };

struct eng_op *eng_seed_new(struct og_exec *x, bool outer)
{
	struct eng_seed *s = og_arena_array(&x->arena, 1, sizeof(*s));

	if (!s)
		return NULL;
	s->op = (struct eng_op){ .cls = &eng_seed_class, .x = x };
	s->outer = outer;
	return &s->op;
}

void eng_seed_arm(struct eng_op *op, struct eng_batch *b)
{
	struct eng_seed *s = (struct eng_seed *)op;

	s->batch = b;
	s->given = false;
}

/* --- scan ----------------------------------------------------------------------------------------------------------------------------- */

static int scan_next(struct eng_op *op, struct eng_batch **out, struct og_error *err)
{
	struct eng_scan *s = (struct eng_scan *)op;
	size_t n;
	int rc;

	if (op->x->pause)
		return OP_PAUSE;
	n = og_view_scan(s->t, &s->cursor, s->out.cols[s->var], ENG_BATCH);
	if (!n) {
		s->cursor = 0;
		return OP_END;
	}
	rc = eng_charge(op->x, n, err);
	if (rc < 0)
		return rc;
	s->out.n = s->out.nsel = (uint32_t)n;
	for (uint32_t i = 0; i < s->out.n; i++)
		s->out.sel[i] = i;
	*out = &s->out;
	return OP_ROWS;
}

static void scan_live(struct eng_op *op, bool *live)
{
	live[((struct eng_scan *)op)->var] = false;
}

static int scan_prepare(struct eng_op *op, struct og_error *err)
{
	struct eng_scan *s = (struct eng_scan *)op;

	op->cap = ENG_BATCH;
	if (eng_batch_init(op->x, &s->out, ENG_BATCH, false, false) < 0)
		return eng_no_memory(op->x, err);
	s->out.cols[s->var] = og_arena_alloc(&op->x->arena, ENG_BATCH * sizeof(uint32_t));
	return s->out.cols[s->var] ? 0 : eng_no_memory(op->x, err);
}

const struct eng_op_class eng_scan_class = { scan_next, scan_live, scan_prepare };

struct eng_op *eng_scan_new(struct og_exec *x, int32_t var)
{
	struct eng_scan *s = og_arena_array(&x->arena, 1, sizeof(*s));

	if (!s)
		return NULL;
	s->op = (struct eng_op){ .cls = &eng_scan_class, .x = x };
	s->var = var;
	s->t = eng_vtype(x, x->p->vars[var].type);
	return &s->op;
}
