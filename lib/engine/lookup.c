/* Nodes by their key: the slots that constants name. */
#include "config.h"

#include "engine/run.h"
#include "schema/rowcheck.h"

#include <stdlib.h>

/* The one value of the column that passes, if there is but one. */
static bool only_value(const struct eng_check *c, struct og_value *out)
{
	*out = (struct og_value){ .kind = og_proptype_kind(&c->col.prop->type) };
	switch (c->kind) {
	case TEST_INT:
		out->i = c->ilo;
		/* Columns of U32 are compared as signed numbers, but spelled as what they are. */
		return c->ilo == c->ihi && (out->kind != OG_V_UINT || c->ilo >= 0);
	case TEST_UINT:
		out->u = c->ulo;
		return c->ulo == c->uhi;
	case TEST_FLOAT:
		out->f = c->flo;
		return c->flo == c->fhi;
	case TEST_STRING:
		out->s = c->s;
		return true;
	case TEST_NEVER:
	case TEST_ALWAYS:
	case TEST_GENERIC:
		break;
	}
	return false;
}

bool eng_key_test(const struct eng_check *c, int32_t var, const struct og_property *key)
{
	return c->op == GQ_EQ && c->var == var && c->col.prop == key && c->kind != TEST_GENERIC && !c->negate;
}

/* checks[i] is about the i-th column of the key. */
int eng_key_slot(struct og_exec *x, const struct og_type *t, const struct eng_check *const *checks, uint32_t *slots, size_t *n,
		 struct og_error *err)
{
	struct og_value *values = og_arena_array(&x->arena, t->nprops, sizeof(*values));
	struct og_buf id = { 0 };
	int rc;

	*n = 0;
	if (!values)
		return eng_no_memory(x, err);
	for (uint32_t i = 0; i < t->nkey; i++)
		if (!only_value(checks[i], &values[t->key_cols[i]]))
			return 0;
	rc = og_key_id(&id, t, values, err);
	if (rc == 0)
		rc = og_buf_ok(&id, err);
	if (rc == 0) {
		slots[0] = og_view_find(eng_vtype(x, t), og_buf_view(&id));
		*n = slots[0] != OG_SLOT_NONE;
	}
	og_buf_fini(&id);
	return rc;
}

bool eng_key_list_test(const struct eng_check *c, int32_t var, const struct og_property *key)
{
	return c->op == GQ_CONTAINS && c->rhs.var == var && c->rhs.col.prop == key && key->type.scalar == OG_STRING && c->lhs.var < 0 &&
	       c->lhs.val.kind == OG_V_LIST;
}

static int by_slot(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int eng_key_list_slots(struct og_exec *x, const struct og_type *t, const struct og_value *list, uint32_t **slots, size_t *n, struct og_error *err)
{
	size_t k = 0;

	*n = 0;
	*slots = og_arena_array(&x->arena, list->items.n, sizeof(**slots));
	if (!*slots)
		return eng_no_memory(x, err);
	for (size_t i = 0; i < list->items.n; i++) {
		const struct og_value *v = &list->items.v[i];
		uint32_t s = v->kind == OG_V_STRING ? og_view_find(eng_vtype(x, t), v->s) : OG_SLOT_NONE;

		if (s != OG_SLOT_NONE)
			(*slots)[k++] = s;
	}
	/* In load order, each once. */
	qsort(*slots, k, sizeof(**slots), by_slot);
	for (size_t i = 0; i < k; i++)
		if (i == 0 || (*slots)[i] != (*slots)[i - 1])
			(*slots)[(*n)++] = (*slots)[i];
	return 0;
}
