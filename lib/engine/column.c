/* Property values at slots, and the comparisons of the language. */
#include "config.h"

#include "engine/run.h"

void eng_col_init(struct eng_col *c, const struct og_view *v, const struct og_type *t, const struct og_property *p)
{
	const struct og_view_type *vt = &v->types[t->index];

	*c = (struct eng_col){
		.t = vt, .prop = p, .parts = vt->cols ? vt->cols[p->index] : NULL, .plain = !vt->delta
	};
}

static void fixed_value(const struct og_colpart *p, enum og_scalar s, uint32_t row, struct og_value *out)
{
	switch (s) {
	case OG_BOOL:
		*out = (struct og_value){ .kind = OG_V_BOOL, .i = ((const uint8_t *)p->values)[row] != 0 };
		return;
	case OG_I32:
		*out = (struct og_value){ .kind = OG_V_INT, .i = ((const int32_t *)p->values)[row] };
		return;
	case OG_I64:
		*out = (struct og_value){ .kind = OG_V_INT, .i = ((const int64_t *)p->values)[row] };
		return;
	case OG_U32:
		*out = (struct og_value){ .kind = OG_V_UINT, .u = ((const uint32_t *)p->values)[row] };
		return;
	case OG_U64:
		*out = (struct og_value){ .kind = OG_V_UINT, .u = ((const uint64_t *)p->values)[row] };
		return;
	case OG_F32:
		*out = (struct og_value){ .kind = OG_V_FLOAT, .f = ((const float *)p->values)[row] };
		return;
	case OG_F64:
		*out = (struct og_value){ .kind = OG_V_FLOAT, .f = ((const double *)p->values)[row] };
		return;
	case OG_DATE:
		*out = (struct og_value){ .kind = OG_V_DATE, .i = ((const int32_t *)p->values)[row] };
		return;
	case OG_DATETIME:
		*out = (struct og_value){ .kind = OG_V_DATETIME, .i = ((const int64_t *)p->values)[row] };
		return;
	case OG_STRING:
		*out = (struct og_value){ .kind = OG_V_STRING };
		out->s = og_slice((const char *)p->values + p->offsets[row], p->offsets[row + 1] - p->offsets[row]);
		return;
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	*out = (struct og_value){ .kind = OG_V_NULL };
}

int eng_col_get(const struct eng_col *c, uint32_t slot, struct og_arena *a, struct og_value *out, struct og_error *err)
{
	const struct og_proptype *t = &c->prop->type;
	const struct og_colpart *p;
	uint32_t row = slot & (OG_IMG_PART_ROWS - 1);

	if (t->scalar == OG_BLOB) {
		*out = (struct og_value){ .kind = OG_V_NULL };
		return 0;
	}
	if (t->list || t->scalar == OG_VECTOR || (!c->plain && !eng_col_in_image(c, slot))) {
		if (og_view_value(c->t, c->prop->index, slot, a, out) < 0)
			return og_arena_error(a, err);
		return 0;
	}
	p = &c->parts[slot >> OG_IMG_PART_SHIFT]->col;
	if (og_colpart_valid(p, row))
		fixed_value(p, t->scalar, row, out);
	else
		*out = (struct og_value){ .kind = OG_V_NULL };
	return 0;
}

static bool contains(const struct og_value *a, const struct og_value *b)
{
	if (a->kind == OG_V_STRING)
		return b->s.len == 0 || (a->s.len && memmem(a->s.p, a->s.len, b->s.p, b->s.len));
	for (size_t i = 0; a->kind == OG_V_LIST && i < a->items.n; i++)
		if (a->items.v[i].kind != OG_V_NULL && og_value_cmp(&a->items.v[i], b) == 0)
			return true;
	return false;
}

/* A vector beside a list of numbers: a literal or parameter that was not turned into a vector. */
static bool vector_equal(const struct og_value *v, const struct og_value *list)
{
	if (list->kind == OG_V_VECTOR)
		return og_value_cmp(v, list) == 0;
	if (list->kind != OG_V_LIST || list->items.n != v->vec.dim)
		return false;
	for (uint32_t i = 0; i < v->vec.dim; i++) {
		const struct og_value *n = &list->items.v[i];
		double d = n->kind == OG_V_INT ? (double)n->i : n->kind == OG_V_UINT ? (double)n->u : n->f;

		if (n->kind == OG_V_NULL || (float)d != v->vec.v[i])
			return false;
	}
	return true;
}

bool eng_compare(enum gq_op op, const struct og_value *a, const struct og_value *b)
{
	int c;

	if (a->kind == OG_V_NULL || b->kind == OG_V_NULL)
		return false;
	if (op == GQ_CONTAINS)
		return contains(a, b);
	if (op == GQ_STARTS_WITH)
		return og_slice_starts(a->s, b->s);
	if (a->kind == OG_V_VECTOR && op == GQ_EQ)
		return vector_equal(a, b);
	c = og_value_cmp(a, b);
	if (c == OG_UNORDERED)
		return op == GQ_NE;
	switch (op) {
	case GQ_EQ:
		return c == 0;
	case GQ_NE:
		return c != 0;
	case GQ_GT:
		return c > 0;
	case GQ_LT:
		return c < 0;
	case GQ_GE:
		return c >= 0;
	case GQ_LE:
		return c <= 0;
	case GQ_CONTAINS:
	case GQ_STARTS_WITH:
		break;
	}
	return false;
}

int eng_value_init(struct og_exec *x, const struct eng_item *it, struct eng_value_of *out, struct og_error *err)
{
	enum eng_item_kind kind = it->kind == ENG_AGG ? it->arg : it->kind;
	const struct og_type *type = it->var >= 0 ? x->p->vars[it->var].type : NULL;

	*out = (struct eng_value_of){ .kind = kind, .var = it->var };
	if (kind == ENG_PROP) {
		eng_col_init(&out->col, x->v, type, it->prop);
	} else if (kind == ENG_ID) {
		out->t = eng_vtype(x, type);
	} else {
		struct eng_side s = { .var = -1, .x = it->x, .as = it->x->type };

		s.has_as = s.as.scalar == OG_DATE || s.as.scalar == OG_DATETIME;
		return eng_constant(x, &s, &out->val, err);
	}
	return 0;
}

int eng_value_get(const struct eng_value_of *v, struct eng_batch *b, uint32_t row, struct og_arena *a, struct og_value *out,
		  struct og_error *err)
{
	switch (v->kind) {
	case ENG_PROP:
		return eng_col_get(&v->col, b->cols[v->var][row], a, out, err);
	case ENG_ID:
		*out = (struct og_value){ .kind = OG_V_STRING };
		out->s = og_view_id(v->t, b->cols[v->var][row]);
		return 0;
	case ENG_CONST:
	case ENG_AGG:
		break;
	}
	*out = v->val;
	return 0;
}

int eng_constant(struct og_exec *x, const struct eng_side *s, struct og_value *out, struct og_error *err)
{
	return gq_eval_const(&x->arena, x->p->q, x->b, s->x, s->has_as ? &s->as : NULL, out, err);
}

int eng_keep(struct og_exec *x, struct og_value *v, struct og_error *err)
{
	struct og_value *copy;

	if (v->kind != OG_V_LIST || !v->items.n)
		return 0;
	copy = og_arena_array(&x->arena, v->items.n, sizeof(*copy));
	if (!copy)
		return eng_no_memory(x, err);
	memcpy(copy, v->items.v, v->items.n * sizeof(*copy));
	v->items.v = copy;
	return 0;
}
