/* Tests on batches: ranges of fixed-width columns, strings, and everything else by value. */
#include "config.h"

#include "engine/run.h"

#include <math.h>

/* --- making a test ready -------------------------------------------------------------------------------------------------------------- */

static enum gq_op mirrored(enum gq_op op)
{
	switch (op) {
	case GQ_GT:
		return GQ_LT;
	case GQ_LT:
		return GQ_GT;
	case GQ_GE:
		return GQ_LE;
	case GQ_LE:
		return GQ_GE;
	case GQ_EQ:
	case GQ_NE:
	case GQ_CONTAINS:
	case GQ_STARTS_WITH:
		break;
	}
	return op;
}

/* All non-null values pass: none lies in an empty range. */
static void everything(struct eng_check *c)
{
	c->negate = true;
	c->ilo = c->ulo = 1;
	c->ihi = c->uhi = 0;
	c->flo = INFINITY;
	c->fhi = -INFINITY;
}

/* Bounds of the integers v with `v op c`, as wide as any column and its constant need. */
static void int_bounds(enum gq_op op, const struct og_value *c, __int128 *lo, __int128 *hi)
{
	const __int128 far = (__int128)1 << 70;
	__int128 floor_c, ceil_c;

	if (c->kind == OG_V_FLOAT) {
		double d = fmin(fmax(c->f, -0x1p69), 0x1p69);

		floor_c = (__int128)floor(d);
		ceil_c = (__int128)ceil(d);
	} else {
		floor_c = ceil_c = c->kind == OG_V_UINT ? (__int128)c->u : (__int128)c->i;
	}
	*lo = -far;
	*hi = far;
	if (op == GQ_EQ || op == GQ_NE) {
		*lo = ceil_c;	/* empty when the constant is no integer */
		*hi = floor_c;
	} else if (op == GQ_LT) {
		*hi = ceil_c - 1;
	} else if (op == GQ_LE) {
		*hi = floor_c;
	} else if (op == GQ_GT) {
		*lo = floor_c + 1;
	} else {
		*lo = ceil_c;
	}
}

static void int_range(struct eng_check *c, enum gq_op op, const struct og_value *k, bool is_unsigned)
{
	__int128 lo, hi, min = is_unsigned ? 0 : INT64_MIN, max = is_unsigned ? (__int128)UINT64_MAX : INT64_MAX;

	c->kind = is_unsigned ? TEST_UINT : TEST_INT;
	c->negate = op == GQ_NE;
	if (k->kind == OG_V_FLOAT && isnan(k->f)) {
		everything(c);
		if (op != GQ_NE)
			c->kind = TEST_NEVER;
		return;
	}
	int_bounds(op, k, &lo, &hi);
	lo = OG_MAX(lo, min);
	hi = OG_MIN(hi, max);
	if (lo > hi) {
		everything(c);
		if (op != GQ_NE)
			c->kind = TEST_NEVER;
		return;
	}
	c->ilo = (int64_t)lo;
	c->ihi = (int64_t)hi;
	c->ulo = (uint64_t)lo;
	c->uhi = (uint64_t)hi;
}

/* The doubles next to a constant that may be an integer between two of them. */
static void neighbours(const struct og_value *k, double *below, double *at_most, double *at_least, double *above, bool *exact)
{
	double d = k->kind == OG_V_UINT ? (double)k->u : k->kind == OG_V_FLOAT ? k->f : (double)k->i;
	struct og_value v = { .kind = OG_V_FLOAT, .f = d };
	int c = og_value_cmp(&v, k);

	*exact = c == 0;
	*at_most = c <= 0 ? d : nextafter(d, -INFINITY);
	*at_least = c >= 0 ? d : nextafter(d, INFINITY);
	*below = c < 0 ? d : nextafter(d, -INFINITY);
	*above = c > 0 ? d : nextafter(d, INFINITY);
}

static void float_range(struct eng_check *c, enum gq_op op, const struct og_value *k)
{
	double below, at_most, at_least, above;
	bool exact;

	c->kind = TEST_FLOAT;
	c->negate = op == GQ_NE;
	if (k->kind == OG_V_FLOAT && isnan(k->f)) {
		everything(c);
		if (op != GQ_NE)
			c->kind = TEST_NEVER;
		return;
	}
	neighbours(k, &below, &at_most, &at_least, &above, &exact);
	c->flo = -INFINITY;
	c->fhi = INFINITY;
	if (op == GQ_EQ || op == GQ_NE) {
		c->flo = exact ? at_least : INFINITY;
		c->fhi = exact ? at_most : -INFINITY;
	} else if (op == GQ_LT || op == GQ_LE) {
		c->fhi = op == GQ_LT ? below : at_most;
		if (op == GQ_LT && k->kind == OG_V_FLOAT && k->f == -INFINITY)
			c->kind = TEST_NEVER;
	} else {
		c->flo = op == GQ_GT ? above : at_least;
		if (op == GQ_GT && k->kind == OG_V_FLOAT && k->f == INFINITY)
			c->kind = TEST_NEVER;
	}
}

/* A column beside a constant. */
static void typed_check(struct eng_check *c, const struct eng_operand *col, const struct og_value *k, enum gq_op op)
{
	const struct og_proptype *t = &col->col.prop->type;

	c->kind = TEST_GENERIC;
	c->var = col->var;
	c->col = col->col;
	if (t->list || (op == GQ_STARTS_WITH && t->scalar != OG_STRING))
		return;
	switch (t->scalar) {
	case OG_STRING:
		if (k->kind != OG_V_STRING)
			return;
		c->kind = TEST_STRING;
		c->string_op = op;
		c->s = k->s;
		return;
	case OG_BOOL:
	case OG_I32:
	case OG_I64:
	case OG_U32:
	case OG_DATE:
	case OG_DATETIME:
		int_range(c, op, k, false);
		return;
	case OG_U64:
		int_range(c, op, k, true);
		return;
	case OG_F32:
	case OG_F64:
		float_range(c, op, k);
		return;
	case OG_VECTOR:
	case OG_BLOB:
		return;
	}
}

static int operand(struct og_exec *x, const struct eng_side *s, struct eng_operand *out, struct og_error *err)
{
	struct eng_side plain = *s;
	int rc = 0;

	out->var = s->prop ? s->var : -1;
	/* A list literal that mixes integers and floats is no list to compare with, whatever could store it. */
	plain.has_as = false;
	if (!s->prop && s->as.list)
		rc = eng_constant(x, &plain, &out->val, err);
	if (!s->prop)
		return rc < 0 ? rc : eng_constant(x, s, &out->val, err);
	eng_col_init(&out->col, x->v, x->p->vars[s->var].type, s->prop);
	return 0;
}

int eng_check_init(struct og_exec *x, const struct eng_test *t, struct eng_check *out, struct og_error *err)
{
	bool positional = t->op == GQ_CONTAINS || t->op == GQ_STARTS_WITH;
	int rc;

	*out = (struct eng_check){ .kind = TEST_GENERIC, .op = t->op, .var = -1 };
	if ((rc = operand(x, &t->lhs, &out->lhs, err)) < 0 || (rc = operand(x, &t->rhs, &out->rhs, err)) < 0)
		return rc;
	if (out->lhs.var < 0 && out->rhs.var < 0)
		out->kind = eng_compare(t->op, &out->lhs.val, &out->rhs.val) ? TEST_ALWAYS : TEST_NEVER;
	else if ((out->lhs.var < 0 && out->lhs.val.kind == OG_V_NULL) || (out->rhs.var < 0 && out->rhs.val.kind == OG_V_NULL))
		out->kind = TEST_NEVER;
	else if (out->rhs.var < 0)
		typed_check(out, &out->lhs, &out->rhs.val, t->op);
	else if (out->lhs.var < 0 && !positional)
		typed_check(out, &out->rhs, &out->lhs.val, mirrored(t->op));
	return 0;
}

/* --- applying it ---------------------------------------------------------------------------------------------------------------------- */

static bool string_test(const struct eng_check *c, const char *p, size_t n)
{
	int d;

	switch (c->string_op) {
	case GQ_EQ:
		return n == c->s.len && memcmp(p, c->s.p, n) == 0;
	case GQ_NE:
		return n != c->s.len || memcmp(p, c->s.p, n) != 0;
	case GQ_CONTAINS:
		return c->s.len == 0 || (n >= c->s.len && memmem(p, n, c->s.p, c->s.len));
	case GQ_STARTS_WITH:
		return og_slice_starts(og_slice(p, n), c->s);
	case GQ_GT:
	case GQ_LT:
	case GQ_GE:
	case GQ_LE:
		break;
	}
	d = og_slice_cmp(og_slice(p, n), c->s);
	return c->string_op == GQ_GT ? d > 0 : c->string_op == GQ_LT ? d < 0 : c->string_op == GQ_GE ? d >= 0 : d <= 0;
}

/* One part's rows; the selection is compressed without branches on the outcome. */
#define RANGE_LOOP(ctype, wide, lo, hi)                                                                                \
	do {                                                                                                           \
		const ctype *vals = p->values;                                                                         \
		const wide from = (lo), to = (hi);                                                                     \
		for (uint32_t i = 0; i < b->nsel; i++) {                                                               \
			uint32_t r = b->sel[i], s = slots[r] & (OG_IMG_PART_ROWS - 1);                                 \
			wide y = (wide)vals[s];                                                                        \
			bool ok = ((y >= from) & (y <= to)) != c->negate;                                              \
			b->sel[n] = r;                                                                                 \
			n += ok & og_colpart_valid(p, s);                                                              \
		}                                                                                                      \
	} while (0)

static void apply_part(const struct eng_check *c, struct eng_batch *b, const uint32_t *slots, const struct og_colpart *p)
{
	uint32_t n = 0;

	switch (c->col.prop->type.scalar) {
	case OG_BOOL:
		RANGE_LOOP(uint8_t, int64_t, c->ilo, c->ihi);
		break;
	case OG_I32:
	case OG_DATE:
		RANGE_LOOP(int32_t, int64_t, c->ilo, c->ihi);
		break;
	case OG_U32:
		RANGE_LOOP(uint32_t, int64_t, c->ilo, c->ihi);
		break;
	case OG_I64:
	case OG_DATETIME:
		RANGE_LOOP(int64_t, int64_t, c->ilo, c->ihi);
		break;
	case OG_U64:
		RANGE_LOOP(uint64_t, uint64_t, c->ulo, c->uhi);
		break;
	case OG_F32:
		RANGE_LOOP(float, double, c->flo, c->fhi);
		break;
	case OG_F64:
		RANGE_LOOP(double, double, c->flo, c->fhi);
		break;
	case OG_STRING:
		for (uint32_t i = 0; i < b->nsel; i++) {
			uint32_t r = b->sel[i], s = slots[r] & (OG_IMG_PART_ROWS - 1);
			const char *text = (const char *)p->values + p->offsets[s];

			if (og_colpart_valid(p, s) && string_test(c, text, p->offsets[s + 1] - p->offsets[s]))
				b->sel[n++] = r;
		}
		break;
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	b->nsel = n;
}

static int side_value(const struct eng_operand *o, const struct eng_batch *b, uint32_t row, struct og_arena *a, struct og_value *out,
		      struct og_error *err)
{
	if (o->var < 0) {
		*out = o->val;
		return 0;
	}
	return eng_col_get(&o->col, b->cols[o->var][row], a, out, err);
}

static int apply_values(struct og_exec *x, const struct eng_check *c, struct eng_batch *b, struct og_error *err)
{
	uint32_t n = 0;

	og_arena_reset(&x->tmp);
	for (uint32_t i = 0; i < b->nsel; i++) {
		uint32_t r = b->sel[i];
		struct og_value l, v;
		int rc;

		if ((rc = side_value(&c->lhs, b, r, &x->tmp, &l, err)) < 0 || (rc = side_value(&c->rhs, b, r, &x->tmp, &v, err)) < 0)
			return rc;
		if (eng_compare(c->op, &l, &v))
			b->sel[n++] = r;
	}
	b->nsel = n;
	return 0;
}

/* All selected slots lie in one part of the images. */
static bool one_part(const struct eng_batch *b, const uint32_t *slots)
{
	uint32_t first = slots[b->sel[0]], differ = 0;

	for (uint32_t i = 0; i < b->nsel; i++)
		differ |= slots[b->sel[i]] ^ first;
	return differ < OG_IMG_PART_ROWS;
}

static int gather_room(struct og_exec *x, struct og_error *err)
{
	if (x->slots)
		return 0;
	x->valid = og_arena_alloc(&x->arena, ENG_BATCH);
	x->gathered.s = og_arena_alloc(&x->arena, ENG_BATCH * sizeof(struct og_slice));
	if (x->valid && x->gathered.s)
		x->slots = og_arena_alloc(&x->arena, ENG_BATCH * sizeof(*x->slots));
	return x->slots ? 0 : eng_no_memory(x, err);
}

/* Slots of several parts, or with a delta over them. */
static int apply_gathered(struct og_exec *x, const struct eng_check *c, struct eng_batch *b, const uint32_t *slots, struct og_error *err)
{
	uint32_t p = c->col.prop->index, n = b->nsel, k = 0;
	int rc = gather_room(x, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n; i++)
		x->slots[i] = slots[b->sel[i]];
	if (c->kind == TEST_FLOAT)
		og_view_gather_f64(c->col.t, p, x->slots, n, x->gathered.f, x->valid);
	else if (c->kind == TEST_STRING)
		og_view_gather_str(c->col.t, p, x->slots, n, x->gathered.s, x->valid);
	else
		og_view_gather_i64(c->col.t, p, x->slots, n, x->gathered.i, x->valid);
	for (uint32_t i = 0; i < n; i++) {
		bool ok;

		if (c->kind == TEST_FLOAT)
			ok = (x->gathered.f[i] >= c->flo && x->gathered.f[i] <= c->fhi) != c->negate;
		else if (c->kind == TEST_STRING)
			ok = x->valid[i] && string_test(c, x->gathered.s[i].p, x->gathered.s[i].len);
		else if (c->kind == TEST_UINT)
			ok = ((uint64_t)x->gathered.i[i] >= c->ulo && (uint64_t)x->gathered.i[i] <= c->uhi) != c->negate;
		else
			ok = (x->gathered.i[i] >= c->ilo && x->gathered.i[i] <= c->ihi) != c->negate;
		b->sel[k] = b->sel[i];
		k += ok & x->valid[i];
	}
	b->nsel = k;
	return 0;
}

int eng_check_apply(struct og_exec *x, const struct eng_check *c, struct eng_batch *b, struct og_error *err)
{
	const uint32_t *slots;

	if (c->kind == TEST_ALWAYS || !b->nsel)
		return 0;
	if (c->kind == TEST_NEVER) {
		b->nsel = 0;
		return 0;
	}
	if (c->kind == TEST_GENERIC)
		return apply_values(x, c, b, err);
	slots = b->cols[c->var];
	if (!c->col.plain || !one_part(b, slots))
		return apply_gathered(x, c, b, slots, err);
	apply_part(c, b, slots, &c->col.parts[slots[b->sel[0]] >> OG_IMG_PART_SHIFT]->col);
	return 0;
}

/* --- the operator --------------------------------------------------------------------------------------------------------------------- */

static int filter_next(struct eng_op *op, struct eng_batch **out, struct og_error *err)
{
	struct eng_filter *f = (struct eng_filter *)op;

	for (;;) {
		int rc = op->child->cls->next(op->child, out, err);

		if (rc != OP_ROWS)
			return rc;
		for (size_t i = 0; i < f->nchecks && (*out)->nsel; i++) {
			rc = eng_check_apply(op->x, &f->checks[i], *out, err);
			if (rc < 0)
				return rc;
		}
		if ((*out)->nsel)
			return OP_ROWS;
	}
}

static void filter_live(struct eng_op *op, bool *live)
{
	struct eng_filter *f = (struct eng_filter *)op;

	for (size_t i = 0; i < f->nchecks; i++) {
		if (f->checks[i].lhs.var >= 0)
			live[f->checks[i].lhs.var] = true;
		if (f->checks[i].rhs.var >= 0)
			live[f->checks[i].rhs.var] = true;
	}
}

static int filter_prepare(struct eng_op *op, struct og_error *err)
{
	op->cap = op->child->cap;
	return 0;
}

const struct eng_op_class eng_filter_class = { filter_next, filter_live, filter_prepare };

struct eng_op *eng_filter_new(struct og_exec *x, struct eng_op *child, struct eng_check *checks, size_t n)
{
	struct eng_filter *f = og_arena_array(&x->arena, 1, sizeof(*f));

	if (!f)
		return NULL;
	f->op = (struct eng_op){ .cls = &eng_filter_class, .x = x, .child = child, .done = child->done };
	f->checks = checks;
	f->nchecks = n;
	return &f->op;
}
