/*
 * From a logical plan and a view to operators: where to start, in which order to follow the traversals.
 *
 * Key look-ups come first, then tests as soon as their variables are there, then the cheapest traversal from what is bound; only a variable that no
 * traversal connects is multiplied in. Ties go to what was written first, so rows come in load order of the first variable where nothing speaks for
 * another one. Row counts of the view are the only statistics.
 */
#include "config.h"

#include "engine/run.h"

/* A chain is as deep as its operators are many, and each call takes stack. */
#define MAX_OPS 4096

struct physical {
	struct og_exec *x;
	const struct eng_block *k;
	struct eng_check *checks;	/* by test */
	bool *test_done, *trav_done, *not_done;
	bool *bound;			/* by variable */
	bool nested;
	struct eng_op *top;
};

static int plan_block(struct og_exec *x, const struct eng_block *k, struct eng_op *seed, bool *bound, struct eng_op **out, struct og_error *err);

static int push(struct physical *p, struct eng_op *op, struct og_error *err)
{
	if (!op)
		return eng_no_memory(p->x, err);
	if (++p->x->nops > MAX_OPS)
		return og_error_set(err, OG_ERR_BAD, "query has more than %d steps", MAX_OPS);
	p->top = op;
	return 0;
}

/* --- estimates ------------------------------------------------------------------------------------------------------------------------ */

static double share_of(const struct eng_check *c)
{
	switch (c->kind) {
	case TEST_NEVER:
		return 0;
	case TEST_ALWAYS:
		return 1;
	case TEST_INT:
	case TEST_UINT:
	case TEST_FLOAT:
	case TEST_STRING:
	case TEST_GENERIC:
		break;
	}
	switch (c->op) {
	case GQ_EQ:
		return c->col.prop && c->col.prop->type.scalar == OG_BOOL ? 0.5 : 0.02;
	case GQ_NE:
		return 0.9;
	case GQ_GT:
	case GQ_LT:
	case GQ_GE:
	case GQ_LE:
		return 0.3;
	case GQ_CONTAINS:
	case GQ_STARTS_WITH:
		break;
	}
	return 0.1;
}

static bool tests_alone(const struct eng_check *c, int32_t var)
{
	return (c->lhs.var == var && (c->rhs.var < 0 || c->rhs.var == var)) || (c->rhs.var == var && c->lhs.var < 0);
}

static double share_left(const struct physical *p, int32_t var)
{
	double s = 1;

	for (size_t i = 0; i < p->k->ntests; i++)
		if (!p->test_done[i] && tests_alone(&p->checks[i], var))
			s *= share_of(&p->checks[i]);
	return s;
}

static double rows_of(const struct physical *p, int32_t var)
{
	return (double)eng_vtype(p->x, p->x->p->vars[var].type)->rows;
}

static double fan_out(const struct physical *p, const struct eng_trav *t, bool from_src)
{
	int32_t from = from_src ? t->src : t->dst, to = from_src ? t->dst : t->src;
	double nodes = OG_MAX(rows_of(p, from), 1), one, all;

	one = (double)eng_vtype(p->x, t->edge)->rows / nodes * (t->undirected ? 2 : 1);
	all = one;
	for (uint32_t i = 1; t->bounded && i < t->max && all < rows_of(p, to); i++)
		all += all * OG_MAX(one, 1);
	return OG_MIN(all, rows_of(p, to)) * share_left(p, to);
}

/* --- what is ready -------------------------------------------------------------------------------------------------------------------- */

static bool ready(const struct physical *p, const struct eng_check *c)
{
	return (c->lhs.var < 0 || p->bound[c->lhs.var]) && (c->rhs.var < 0 || p->bound[c->rhs.var]);
}

/* Collects tests that hold a chosen set together, cheapest kinds first. */
static struct eng_check *take_tests(struct physical *p, int32_t only, size_t *n)
{
	struct eng_check *taken = og_arena_array(&p->x->arena, p->k->ntests, sizeof(*taken));

	*n = 0;
	for (size_t i = 0; taken && i < p->k->ntests; i++) {
		const struct eng_check *c = &p->checks[i];
		size_t at = *n;

		if (p->test_done[i] || (only >= 0 ? !tests_alone(c, only) : !ready(p, c)))
			continue;
		p->test_done[i] = true;
		if (c->kind == TEST_ALWAYS)
			continue;
		for (; at && taken[at - 1].kind > c->kind; at--)
			taken[at] = taken[at - 1];
		taken[at] = *c;
		(*n)++;
	}
	return taken;
}

static int place_tests(struct physical *p, struct og_error *err)
{
	bool any = false;
	struct eng_check *c;
	size_t n;

	for (size_t i = 0; i < p->k->ntests && !any; i++)
		any = !p->test_done[i] && ready(p, &p->checks[i]);
	if (!any)
		return 0;
	c = take_tests(p, -1, &n);
	if (!c)
		return eng_no_memory(p->x, err);
	return n ? push(p, eng_filter_new(p->x, p->top, c, n), err) : 0;
}

static int place_known(struct physical *p, struct og_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->k->ntravs; i++) {
		const struct eng_trav *t = &p->k->travs[i];
		struct eng_expand_spec s = { .t = t, .from_src = true, .from = t->src, .to = -1, .equal = t->dst, .once = p->nested };

		if (p->trav_done[i] || !p->bound[t->src] || !p->bound[t->dst])
			continue;
		p->trav_done[i] = true;
		if (t->edge_var < 0) {
			rc = push(p, eng_exists_new(p->x, p->top, t), err);
			continue;
		}
		rc = push(p, eng_expand_new(p->x, p->top, &s), err);
		p->bound[t->edge_var] = true;
	}
	return rc;
}

static int place_not(struct physical *p, const struct eng_not *n, struct og_error *err)
{
	struct og_exec *x = p->x;
	uint8_t *done = og_arena_array(&x->arena, ENG_BATCH, 1);
	bool *bound = og_arena_array(&x->arena, x->p->nvars, sizeof(*bound)), *live;
	struct eng_op *seed = eng_seed_new(x, true), *inner;
	int rc;

	if (!done || !bound || !seed)
		return eng_no_memory(x, err);
	seed->done = done;
	memcpy(bound, p->bound, x->p->nvars * sizeof(*bound));
	rc = plan_block(x, n->block, seed, bound, &inner, err);
	if (rc < 0)
		return rc;
	live = og_arena_array(&x->arena, x->p->nvars, sizeof(*live));
	if (!live)
		return eng_no_memory(x, err);
	for (struct eng_op *op = inner; op; op = op->child)
		op->cls->live(op, live);
	return push(p, eng_not_new(x, p->top, seed, inner, n, done), err);
}

static int place_nots(struct physical *p, struct og_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->k->nnots; i++) {
		const struct eng_not *n = &p->k->nots[i];
		bool all = true;

		for (size_t v = 0; v < n->nouter; v++)
			all &= p->bound[n->outer[v]];
		if (p->not_done[i] || !all)
			continue;
		p->not_done[i] = true;
		rc = place_not(p, n, err);
	}
	return rc;
}

static int place_ready(struct physical *p, struct og_error *err)
{
	int rc;

	if ((rc = place_tests(p, err)) < 0 || (rc = place_known(p, err)) < 0 || (rc = place_tests(p, err)) < 0)
		return rc;
	return place_nots(p, err);
}

/* --- look-ups ------------------------------------------------------------------------------------------------------------------------- */

static int push_slots(struct physical *p, int32_t var, const uint32_t *slots, size_t n, struct og_error *err)
{
	struct eng_expand_spec s = { .from = -1, .to = var, .equal = -1, .once = p->nested, .list = slots, .nlist = n };

	p->bound[var] = true;
	return push(p, eng_expand_new(p->x, p->top, &s), err);
}

/* Every column of the key is tied to a constant. */
static int look_up_one(struct physical *p, int32_t var, const struct og_type *t, struct og_error *err)
{
	const struct eng_check **checks = og_arena_array(&p->x->arena, t->nkey, sizeof(*checks));
	uint32_t *slot = og_arena_alloc(&p->x->arena, sizeof(*slot));
	size_t n;
	int rc;

	if (!checks || !slot)
		return eng_no_memory(p->x, err);
	for (uint32_t i = 0; i < t->nkey; i++) {
		for (size_t j = 0; j < p->k->ntests && !checks[i]; j++)
			if (eng_key_test(&p->checks[j], var, &t->props[t->key_cols[i]]))
				checks[i] = &p->checks[j];
		if (!checks[i])
			return 0;
	}
	rc = eng_key_slot(p->x, t, checks, slot, &n, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < t->nkey; i++)
		p->test_done[checks[i] - p->checks] = true;
	return push_slots(p, var, slot, n, err);
}

static int look_up_list(struct physical *p, int32_t var, const struct og_type *t, struct og_error *err)
{
	const struct og_property *key = eng_single_key(t);

	for (size_t j = 0; key && j < p->k->ntests; j++) {
		uint32_t *slots;
		size_t n;
		int rc;

		if (!eng_key_list_test(&p->checks[j], var, key))
			continue;
		rc = eng_key_list_slots(p->x, t, &p->checks[j].lhs.val, &slots, &n, err);
		if (rc < 0)
			return rc;
		p->test_done[j] = true;
		return push_slots(p, var, slots, n, err);
	}
	return 0;
}

static int place_lookups(struct physical *p, struct og_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->k->nvars; i++) {
		int32_t var = p->k->vars[i];
		const struct og_type *t = p->x->p->vars[var].type;

		if (t->nkey && !p->bound[var])
			rc = look_up_one(p, var, t, err);
	}
	/* Lists multiply rows: one at most, unless a traversal ties the others to it. */
	for (size_t i = 0; rc == 0 && i < p->k->nvars && p->top->cls == &eng_seed_class; i++) {
		int32_t var = p->k->vars[i];

		if (!p->bound[var])
			rc = look_up_list(p, var, p->x->p->vars[var].type, err);
	}
	return rc;
}

/* --- the next variable ---------------------------------------------------------------------------------------------------------------- */

static int expand(struct physical *p, size_t i, bool from_src, struct og_error *err)
{
	const struct eng_trav *t = &p->k->travs[i];
	struct eng_expand_spec s = {
		.t = t,
		.from_src = from_src,
		.from = from_src ? t->src : t->dst,
		.to = from_src ? t->dst : t->src,
		.equal = -1,
		.once = p->nested,
	};

	p->trav_done[i] = true;
	p->bound[s.to] = true;
	if (t->edge_var >= 0)
		p->bound[t->edge_var] = true;
	return push(p, eng_expand_new(p->x, p->top, &s), err);
}

/* 1: one was placed; 0: nothing connects. An estimate must be twice as good to go before what was written earlier. */
static int place_traversal(struct physical *p, struct og_error *err)
{
	size_t best = SIZE_MAX;
	bool best_from_src = false;
	double least = 0;
	int rc;

	for (size_t i = 0; i < p->k->ntravs; i++) {
		const struct eng_trav *t = &p->k->travs[i];
		bool from_src;
		double f;

		if (p->trav_done[i] || p->bound[t->src] == p->bound[t->dst])
			continue;
		from_src = p->bound[t->src];
		f = fan_out(p, t, from_src);
		if (best != SIZE_MAX && f * 2 > least)
			continue;
		best = i;
		best_from_src = from_src;
		least = f;
	}
	if (best == SIZE_MAX)
		return 0;
	rc = expand(p, best, best_from_src, err);
	return rc < 0 ? rc : 1;
}

static int32_t choose_start(const struct physical *p)
{
	const struct eng_var *vars = p->x->p->vars;
	int32_t best = -1;
	double least = 0;

	for (size_t i = 0; i < p->k->nvars; i++) {
		int32_t var = p->k->vars[i];
		double share, rows;

		if (p->bound[var])
			continue;
		share = share_left(p, var);
		rows = rows_of(p, var) * share;
		if (best < 0 || (share < 1 && rows * 2 < least) ||
		    (vars[var].declared && !vars[best].declared && share_left(p, best) == 1)) {
			best = var;
			least = rows;
		}
	}
	return best;
}

/* Scan with the tests of its variable alone. */
static int scan_chain(struct physical *p, int32_t var, struct eng_op **out, struct og_error *err)
{
	struct eng_op *op = eng_scan_new(p->x, var);
	struct eng_check *c;
	size_t n;

	if (!op)
		return eng_no_memory(p->x, err);
	c = take_tests(p, var, &n);
	if (!c)
		return eng_no_memory(p->x, err);
	if (n && !(op = eng_filter_new(p->x, op, c, n)))
		return eng_no_memory(p->x, err);
	*out = op;
	return 0;
}

/* A test that ties a variable without a value to one that has one. */
static bool joins(const struct physical *p, const struct eng_operand *build, const struct eng_operand *probe)
{
	return build->var >= 0 && probe->var >= 0 && !p->bound[build->var] && p->bound[probe->var] && !p->x->p->vars[build->var].is_edge &&
	       !build->col.prop->type.list && !probe->col.prop->type.list;
}

static int join(struct physical *p, const struct eng_operand *build, const struct eng_operand *probe, struct og_error *err)
{
	struct eng_expand_spec s = { .from = probe->var, .to = build->var, .equal = -1, .once = p->nested };
	int rc = 0;

	s.join = eng_join_new(p->x, build, probe);
	if (!s.join)
		return eng_no_memory(p->x, err);
	if (!s.join->by_key)
		rc = scan_chain(p, build->var, &s.pipe, err);
	p->bound[build->var] = true;
	return rc < 0 ? rc : push(p, eng_expand_new(p->x, p->top, &s), err);
}

/* 1: one was placed; 0: none is there. */
static int place_join(struct physical *p, struct og_error *err)
{
	for (size_t i = 0; i < p->k->ntests; i++) {
		const struct eng_check *c = &p->checks[i];
		bool left = joins(p, &c->lhs, &c->rhs);
		int rc;

		if (p->test_done[i] || c->op != GQ_EQ || (!left && !joins(p, &c->rhs, &c->lhs)))
			continue;
		p->test_done[i] = true;
		rc = left ? join(p, &c->lhs, &c->rhs, err) : join(p, &c->rhs, &c->lhs, err);
		return rc < 0 ? rc : 1;
	}
	return 0;
}

/* 1: one was placed; 0: all variables are bound. */
static int place_start(struct physical *p, struct og_error *err)
{
	struct eng_expand_spec s = { .from = -1, .to = choose_start(p), .equal = -1, .once = p->nested };
	struct eng_op *op = NULL;
	int rc;

	if (s.to < 0)
		return 0;
	rc = scan_chain(p, s.to, &op, err);
	if (rc < 0)
		return rc;
	p->bound[s.to] = true;
	if (!p->nested && p->top->cls == &eng_seed_class) {
		rc = push(p, op, err);
	} else {
		s.pipe = op;
		rc = push(p, eng_expand_new(p->x, p->top, &s), err);
	}
	return rc < 0 ? rc : 1;
}

static int init_checks(struct physical *p, struct og_error *err)
{
	const struct eng_block *k = p->k;
	int rc = 0;

	p->checks = og_arena_array(&p->x->arena, k->ntests, sizeof(*p->checks));
	p->test_done = og_arena_array(&p->x->arena, k->ntests, sizeof(bool));
	p->trav_done = og_arena_array(&p->x->arena, k->ntravs, sizeof(bool));
	p->not_done = og_arena_array(&p->x->arena, k->nnots, sizeof(bool));
	if (!p->checks || !p->test_done || !p->trav_done || !p->not_done)
		return eng_no_memory(p->x, err);
	for (size_t i = 0; rc == 0 && i < k->ntests; i++)
		rc = eng_check_init(p->x, &k->tests[i], &p->checks[i], err);
	return rc;
}

static bool matches_nothing(const struct physical *p)
{
	bool none = false;

	for (size_t i = 0; i < p->k->ntests; i++)
		none |= p->checks[i].kind == TEST_NEVER;
	for (size_t i = 0; i < p->k->ntravs; i++)
		none |= p->k->travs[i].empty;
	return none;
}

/* No row is worth looking at. The block was planned all the same: its constants may be wrong. */
static int give_up(struct physical *p, struct eng_op *seed, struct og_error *err)
{
	struct eng_check *never = og_arena_array(&p->x->arena, 1, sizeof(*never));

	if (!never)
		return eng_no_memory(p->x, err);
	*never = (struct eng_check){ .kind = TEST_NEVER, .var = -1, .lhs = { .var = -1 }, .rhs = { .var = -1 } };
	return push(p, eng_filter_new(p->x, seed, never, 1), err);
}

static int plan_block(struct og_exec *x, const struct eng_block *k, struct eng_op *seed, bool *bound, struct eng_op **out, struct og_error *err)
{
	struct physical p = { .x = x, .k = k, .bound = bound, .top = seed, .nested = k->depth > 0 };
	int rc = init_checks(&p, err);

	if (rc < 0 || (rc = place_lookups(&p, err)) < 0)
		return rc;
	do {
		rc = place_ready(&p, err);
		if (rc == 0)
			rc = place_traversal(&p, err);
		if (rc == 0)
			rc = place_join(&p, err);
		if (rc == 0)
			rc = place_start(&p, err);
	} while (rc > 0);
	if (rc == 0 && matches_nothing(&p))
		rc = give_up(&p, seed, err);
	*out = p.top;
	return rc;
}

/* --- the whole ------------------------------------------------------------------------------------------------------------------------ */

static void mark(bool *live, const struct eng_item *it)
{
	if (it->var >= 0 && !(it->kind == ENG_AGG && it->agg == GQ_COUNT && it->arg == ENG_ID))
		live[it->var] = true;
}

static void sink_columns(const struct og_plan *p, bool *live)
{
	for (uint32_t i = 0; i < p->nitems; i++)
		mark(live, &p->items[i]);
	for (uint32_t i = 0; i < p->nkeys; i++)
		if (p->keys[i].item < 0)
			mark(live, &p->keys[i].own);
	for (uint32_t i = 0; i < p->nties; i++)
		live[p->ties[i]] = true;
}

int eng_prepare(struct eng_op *top, struct og_error *err)
{
	int rc = top->child ? eng_prepare(top->child, err) : 0;

	return rc < 0 ? rc : top->cls->prepare(top, err);
}

int eng_physical(struct og_exec *x, struct og_error *err)
{
	uint32_t n = x->p->nvars;
	bool *bound = og_arena_array(&x->arena, n, sizeof(*bound));
	bool *live = og_arena_array(&x->arena, n, sizeof(*live));
	struct eng_op *seed = eng_seed_new(x, false);
	int rc;

	if (!bound || !live || !seed)
		return eng_no_memory(x, err);
	rc = plan_block(x, x->p->match, seed, bound, &x->top, err);
	if (rc < 0)
		return rc;
	sink_columns(x->p, live);
	if (x->p->aggregate && x->p->exact_weights && (rc = eng_count_tail(x, &x->top, live, err)) < 0)
		return rc;
	for (struct eng_op *op = x->top; op; op = op->child)
		op->cls->live(op, live);
	return eng_prepare(x->top, err);
}
