/* Rows times lists: neighbours, paths, edges, looked-up nodes, products. */
#include "config.h"

#include "engine/run.h"

/* The slots of a product's other side do not depend on the row: they are gathered once. OP_END when they are there. */
static int gather(struct eng_expand *e, struct og_error *err)
{
	struct og_exec *x = e->op.x;

	while (!e->gathered) {
		struct eng_batch *b;
		uint32_t *grown;
		int rc = e->s.pipe->cls->next(e->s.pipe, &b, err);

		if (rc == OP_END) {
			e->gathered = true;
			if (e->s.join && (rc = eng_join_build(e->s.join, e->slots, e->nslots, err)) < 0)
				return rc;
			return OP_END;
		}
		if (rc != OP_ROWS)
			return rc;
		grown = og_arena_grow(&x->arena, e->slots, &e->cap, e->nslots + b->nsel, sizeof(*grown));
		if (!grown)
			return eng_no_memory(x, err);
		e->slots = grown;
		for (uint32_t i = 0; i < b->nsel; i++)
			e->slots[e->nslots++] = b->cols[e->s.to][b->sel[i]];
	}
	return OP_END;
}

/* Only edges whose other end is the node that the row already has. */
static int keep_equal(struct eng_expand *e, uint32_t peer, struct og_error *err)
{
	struct eng_nbr *n = &e->nbr;
	size_t k = 0;
	int rc = eng_nbr_room(n, e->npeers, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < e->npeers; i++) {
		uint32_t edge = e->edges[i];

		if (e->peers[i] != peer)
			continue;
		n->list[k] = peer;
		n->elist[k++] = edge;
	}
	e->peers = n->list;
	e->edges = n->elist;
	e->npeers = k;
	return 0;
}

/* The list of the next row of the input batch. */
static int start_row(struct eng_expand *e, struct og_error *err)
{
	int rc;

	e->row = e->in->sel[e->pos++];
	e->at = e->npeers = 0;
	if (e->op.done && e->op.done[e->in->origin[e->row]])
		return 0;
	if (e->s.t) {
		rc = eng_nbr_list(&e->nbr, e->in->cols[e->s.from][e->row], &e->peers, &e->edges, &e->npeers, err);
		if (rc == 0 && e->s.equal >= 0)
			rc = keep_equal(e, e->in->cols[e->s.equal][e->row], err);
		if (rc < 0)
			return rc;
	} else if (e->s.join) {
		rc = eng_join_list(e->s.join, e->in->cols[e->s.from][e->row], &e->peers, &e->npeers, err);
		if (rc < 0)
			return rc;
	} else if (e->s.pipe) {
		e->peers = e->slots;
		e->npeers = e->nslots;
	} else {
		e->peers = e->s.list;
		e->npeers = e->s.nlist;
	}
	if (e->s.once && !e->emit_to && !e->emit_edge && e->npeers > 1)
		e->npeers = 1;
	return 0;
}

static void fill(uint32_t *to, uint32_t v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = v;
}

/* As much of the current list as fits. */
static void emit(struct eng_expand *e)
{
	struct eng_batch *o = &e->out, *in = e->in;
	uint32_t n = (uint32_t)OG_MIN(e->npeers - e->at, (size_t)(e->op.cap - o->n));

	for (size_t i = 0; i < e->ncarry; i++)
		fill(o->cols[e->carry[i]] + o->n, in->cols[e->carry[i]][e->row], n);
	if (e->emit_to)
		memcpy(o->cols[e->s.to] + o->n, e->peers + e->at, n * sizeof(uint32_t));
	if (e->emit_edge)
		memcpy(o->cols[e->edge] + o->n, e->edges + e->at, n * sizeof(uint32_t));
	if (o->origin)
		fill(o->origin + o->n, in->origin[e->row], n);
	o->n += n;
	e->at += n;
}

static int finish_batch(struct eng_expand *e, struct eng_batch **out, struct og_error *err)
{
	struct eng_batch *o = &e->out;

	o->nsel = o->n;
	for (uint32_t i = 0; i < o->n; i++)
		o->sel[i] = i;
	*out = o;
	return OP_ROWS;
}

static int expand_next(struct eng_op *op, struct eng_batch **out, struct og_error *err)
{
	struct eng_expand *e = (struct eng_expand *)op;
	uint32_t before = 0;
	int rc;

	e->out.n = 0;
	/* An outer row that found its match while its list was being emitted needs no more of it. */
	if (op->done && e->in && e->at < e->npeers && op->done[e->in->origin[e->row]])
		e->at = e->npeers;
	while (e->out.n < op->cap) {
		if (e->at < e->npeers) {
			emit(e);
			continue;
		}
		if (e->in && e->pos < e->in->nsel) {
			if (e->s.pipe && !e->gathered && (rc = gather(e, err)) != OP_END)
				return rc;
			if ((rc = start_row(e, err)) < 0 || (rc = eng_charge(op->x, 1 + e->out.n - before, err)) < 0)
				return rc;
			before = e->out.n;
			if (op->x->pause && e->out.n)
				break;
			if (op->x->pause && !e->npeers)
				return OP_PAUSE;
			continue;
		}
		e->in = NULL;
		if (op->x->pause && !e->ended)
			return e->out.n ? finish_batch(e, out, err) : OP_PAUSE;
		if (e->ended || (rc = op->child->cls->next(op->child, &e->in, err)) == OP_END) {
			e->in = NULL;
			e->ended = e->out.n > 0;
			return e->ended ? finish_batch(e, out, err) : OP_END;
		}
		if (rc != OP_ROWS) {
			e->in = NULL;
			return rc == OP_PAUSE && e->out.n ? finish_batch(e, out, err) : rc;
		}
		e->pos = 0;
	}
	return finish_batch(e, out, err);
}

static void expand_live(struct eng_op *op, bool *live)
{
	struct eng_expand *e = (struct eng_expand *)op;

	e->emit_to = e->s.to >= 0 && live[e->s.to];
	e->emit_edge = e->edge >= 0 && live[e->edge];
	if (e->s.to >= 0)
		live[e->s.to] = false;
	if (e->edge >= 0)
		live[e->edge] = false;
	e->ncarry = 0;
	for (uint32_t i = 0; i < op->x->p->nvars; i++)
		if (live[i])
			e->carry[e->ncarry++] = (int32_t)i;
	if (e->s.from >= 0)
		live[e->s.from] = true;
	if (e->s.equal >= 0)
		live[e->s.equal] = true;
}

static int column(struct eng_expand *e, int32_t var, struct og_error *err)
{
	e->out.cols[var] = og_arena_alloc(&e->op.x->arena, e->op.cap * sizeof(uint32_t));
	return e->out.cols[var] ? 0 : eng_no_memory(e->op.x, err);
}

static int expand_prepare(struct eng_op *op, struct og_error *err)
{
	struct eng_expand *e = (struct eng_expand *)op;
	int rc = e->s.pipe ? eng_prepare(e->s.pipe, err) : 0;

	if (rc < 0)
		return rc;
	op->cap = ENG_BATCH;
	/* A key look-up gives no more rows than it is asked for. */
	if (!e->s.t && !e->s.pipe && (e->s.join || e->s.nlist <= 1))
		op->cap = op->child->cap;
	if (eng_batch_init(op->x, &e->out, op->cap, false, op->done != NULL) < 0)
		return eng_no_memory(op->x, err);
	for (size_t i = 0; rc == 0 && i < e->ncarry; i++)
		rc = column(e, e->carry[i], err);
	if (rc == 0 && e->emit_to)
		rc = column(e, e->s.to, err);
	if (rc == 0 && e->emit_edge)
		rc = column(e, e->edge, err);
	return rc;
}

const struct eng_op_class eng_expand_class = { expand_next, expand_live, expand_prepare };

struct eng_op *eng_expand_new(struct og_exec *x, struct eng_op *child, const struct eng_expand_spec *s)
{
	struct eng_expand *e = og_arena_array(&x->arena, 1, sizeof(*e));

	if (!e)
		return NULL;
	e->op = (struct eng_op){ .cls = &eng_expand_class, .x = x, .child = child, .done = child->done };
	e->s = *s;
	e->edge = s->t ? s->t->edge_var : -1;
	e->carry = og_arena_array(&x->arena, x->p->nvars, sizeof(*e->carry));
	if (!e->carry)
		return NULL;
	if (s->t)
		eng_nbr_init(&e->nbr, x, s->t, s->from_src);
	return &e->op;
}

/* --- both ends known ------------------------------------------------------------------------------------------------------------------ */

static uint32_t changes(const struct eng_batch *b, const uint32_t *col)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < b->nsel; i++)
		n += col[b->sel[i]] != col[b->sel[i - 1]];
	return n;
}

static int test_row(struct eng_exists *e, const struct eng_batch *b, uint32_t row, struct og_error *err)
{
	uint32_t from = b->cols[e->from][row], to = b->cols[e->to][row];

	return e->backward ? eng_nbr_reaches(&e->back, to, from, err) : eng_nbr_reaches(&e->nbr, from, to, err);
}

static int exists_next(struct eng_op *op, struct eng_batch **out, struct og_error *err)
{
	struct eng_exists *e = (struct eng_exists *)op;
	int rc;

	for (;;) {
		struct eng_batch *b = e->in;

		if (!b) {
			if ((rc = op->child->cls->next(op->child, &b, err)) != OP_ROWS)
				return rc;
			e->in = b;
			e->pos = e->kept = 0;
			e->backward = e->nbr.bounded && changes(b, b->cols[e->to]) < changes(b, b->cols[e->from]);
		}
		for (; e->pos < b->nsel; e->pos++) {
			uint32_t r = b->sel[e->pos];

			if (op->x->pause)
				return OP_PAUSE;
			rc = test_row(e, b, r, err);
			if (rc < 0)
				return rc;
			b->sel[e->kept] = r;
			e->kept += rc > 0;
			if ((rc = eng_charge(op->x, 1, err)) < 0)
				return rc;
		}
		e->in = NULL;
		b->nsel = e->kept;
		if (b->nsel) {
			*out = b;
			return OP_ROWS;
		}
	}
}

static void exists_live(struct eng_op *op, bool *live)
{
	struct eng_exists *e = (struct eng_exists *)op;

	live[e->from] = live[e->to] = true;
}

static int exists_prepare(struct eng_op *op, struct og_error *err)
{
	op->cap = op->child->cap;
	return 0;
}

const struct eng_op_class eng_exists_class = { exists_next, exists_live, exists_prepare };

struct eng_op *eng_exists_new(struct og_exec *x, struct eng_op *child, const struct eng_trav *t)
{
	struct eng_exists *e = og_arena_array(&x->arena, 1, sizeof(*e));

	if (!e)
		return NULL;
	e->op = (struct eng_op){ .cls = &eng_exists_class, .x = x, .child = child, .done = child->done };
	e->from = t->src;
	e->to = t->dst;
	eng_nbr_init(&e->nbr, x, t, true);
	eng_nbr_init(&e->back, x, t, false);
	return &e->op;
}
