/* Equality between properties of two variables: the nodes of one are found by value, not tried one after the other. */
#include "config.h"

#include "engine/run.h"

struct entry {
	struct og_value value;
	uint64_t hash;
	uint32_t slot;
	uint32_t next;		/* index + 1 in the bucket's chain, in slot order */
};

int eng_join_build(struct eng_join *j, const uint32_t *slots, size_t n, struct og_error *err)
{
	struct og_exec *x = j->x;
	size_t size = 16;

	while (size < n)
		size *= 2;
	j->heads = og_arena_array(&x->arena, size, sizeof(*j->heads));
	j->entries = og_arena_array(&x->arena, n, sizeof(*j->entries));
	if (!j->heads || !j->entries)
		return eng_no_memory(x, err);
	j->mask = size - 1;
	/* From the end, so that chains run in slot order. */
	for (size_t i = n; i-- > 0;) {
		struct entry *e = &j->entries[i];
		int rc = eng_col_get(&j->build, slots[i], &x->arena, &e->value, err);

		if (rc < 0 || (i % 4096 == 0 && (rc = eng_cancelled(x, err)) < 0))
			return rc;
		if (e->value.kind == OG_V_NULL)
			continue;
		e->hash = og_value_hash(&e->value, 0);
		e->slot = slots[i];
		e->next = j->heads[e->hash & j->mask];
		j->heads[e->hash & j->mask] = (uint32_t)i + 1;
	}
	return 0;
}

static int found(struct eng_join *j, uint32_t slot, size_t *n, struct og_error *err)
{
	uint32_t *grown = og_arena_grow(&j->x->arena, j->found, &j->cap, *n + 1, sizeof(*grown));

	if (!grown)
		return eng_no_memory(j->x, err);
	j->found = grown;
	grown[(*n)++] = slot;
	return 0;
}

int eng_join_list(struct eng_join *j, uint32_t from, const uint32_t **slots, size_t *n, struct og_error *err)
{
	struct og_value v;
	uint64_t hash;
	int rc;

	*n = 0;
	*slots = NULL;
	og_arena_reset(&j->x->tmp);
	rc = eng_col_get(&j->probe, from, &j->x->tmp, &v, err);
	if (rc < 0 || v.kind == OG_V_NULL)
		return rc;
	if (j->by_key) {
		uint32_t slot = og_view_find(j->build.t, v.s);

		rc = slot == OG_SLOT_NONE ? 0 : found(j, slot, n, err);
		*slots = j->found;
		return rc;
	}
	hash = og_value_hash(&v, 0);
	for (uint32_t i = j->heads[hash & j->mask]; rc == 0 && i; i = j->entries[i - 1].next) {
		const struct entry *e = &j->entries[i - 1];

		if (e->hash == hash && og_value_cmp(&e->value, &v) == 0)
			rc = found(j, e->slot, n, err);
	}
	*slots = j->found;
	return rc;
}

bool eng_join_by_key(const struct og_type *type, const struct og_property *build, const struct og_property *probe)
{
	return eng_single_key(type) == build && build->type.scalar == OG_STRING && probe->type.scalar == OG_STRING && !probe->type.list;
}

struct eng_join *eng_join_new(struct og_exec *x, const struct eng_operand *build, const struct eng_operand *probe)
{
	struct eng_join *j = og_arena_array(&x->arena, 1, sizeof(*j));

	if (!j)
		return NULL;
	j->x = x;
	j->build = build->col;
	j->probe = probe->col;
	j->by_key = eng_join_by_key(x->p->vars[build->var].type, build->col.prop, probe->col.prop);
	return j;
}
