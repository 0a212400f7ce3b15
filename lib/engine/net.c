/* The rows that a mutation is about to write. */
#include "config.h"

#include "engine/net.h"

int net_init(struct net *n, struct og_arena *a, struct og_view *v, struct og_error *err)
{
	*n = (struct net){ .a = a, .catalog = v->catalog, .view = v };
	n->types = og_arena_array(a, v->catalog->ntypes ? v->catalog->ntypes : 1, sizeof(*n->types));
	if (!n->types)
		return og_arena_error(a, err);
	for (uint32_t i = 0; i < v->catalog->ntypes; i++) {
		n->types[i].type = &v->catalog->types[i];
		n->types[i].base = &v->types[i];
	}
	return 0;
}

void net_fini(struct net *n)
{
	if (!n->types)
		return;
	for (uint32_t i = 0; i < n->catalog->ntypes; i++)
		og_map_fini(&n->types[i].by_id);
	n->types = NULL;
}

struct net_row *net_find(const struct net_type *t, struct og_slice id)
{
	struct og_map_entry *e = t->nrows ? og_map_find(&t->by_id, id) : NULL;

	return e ? &t->rows[e->value] : NULL;
}

int net_put(struct net *n, struct net_type *t, const struct net_row *row, struct og_error *err)
{
	struct og_map_entry *e;
	bool fresh;

	e = og_map_put(&t->by_id, row->id, &fresh);
	if (!e)
		return og_error_nomem(err);
	t->touched = true;
	if (!fresh) {
		t->rows[e->value] = *row;
		return 0;
	}
	e->value = t->nrows;
	if (t->nrows == t->cap) {
		struct net_row *rows = og_arena_grow(n->a, t->rows, &t->cap, t->nrows + 1, sizeof(*rows));

		if (!rows)
			return og_arena_error(n->a, err);
		t->rows = rows;
	}
	t->rows[t->nrows++] = *row;
	return 0;
}

bool net_exists(const struct net_type *t, struct og_slice id)
{
	const struct net_row *r = net_find(t, id);

	if (r)
		return !r->deleted;
	return og_view_find(t->base, id) != OG_SLOT_NONE;
}

int net_load_values(struct net *n, const struct net_type *t, uint32_t slot, struct og_value **out, struct og_error *err)
{
	struct og_value *v = og_arena_array(n->a, t->type->nprops ? t->type->nprops : 1, sizeof(*v));

	if (!v)
		return og_arena_error(n->a, err);
	for (uint32_t i = 0; i < t->type->nprops; i++)
		if (og_view_value(t->base, i, slot, n->a, &v[i]) < 0)
			return og_arena_error(n->a, err);
	*out = v;
	return 0;
}

int net_cancelled(const struct net *n, struct og_error *err)
{
	int c = n->limits && n->limits->cancel ? atomic_load_explicit(n->limits->cancel, memory_order_relaxed) : 0;

	if (c == 0)
		return 0;
	return og_error_set(err, c < 0 ? c : OG_ERR_CANCELLED, c == OG_ERR_TIMEOUT ? "the mutation exceeded its time limit" : "cancelled");
}

int net_key_add(struct net *n, struct og_keyset *set, enum og_key_kind kind, uint32_t type_id, struct og_slice payload, struct og_error *err)
{
	if (set->n == set->cap) {
		uint64_t *keys = og_arena_grow(n->a, set->keys, &set->cap, set->n + 1, sizeof(*keys));

		if (!keys)
			return og_arena_error(n->a, err);
		set->keys = keys;
	}
	set->keys[set->n++] = og_key_hash(kind, type_id, payload);
	return 0;
}

bool net_is_unique(const struct og_constraint *c)
{
	return c->kind == OG_C_UNIQUE;
}

static bool tuple_value(struct og_buf *b, const struct og_value *v)
{
	switch (v->kind) {
	case OG_V_NULL:
		return false;
	case OG_V_STRING:
	case OG_V_BLOB:
		og_put_bytes(b, v->s);
		return true;
	case OG_V_FLOAT: {
		double f = v->f == 0 ? 0.0 : v->f;
		uint64_t bits;

		memcpy(&bits, &f, sizeof(bits));
		og_put_u64(b, bits);
		return true;
	}
	case OG_V_BOOL:
	case OG_V_INT:
	case OG_V_UINT:
	case OG_V_DATE:
	case OG_V_DATETIME:
		og_put_u64(b, (uint64_t)v->i);
		return true;
	case OG_V_LIST:
	case OG_V_VECTOR:
		break;
	}
	return false;
}

bool net_tuple(struct og_buf *b, const struct og_type *t, const struct og_constraint *c, const struct net_row *r)
{
	og_buf_clear(b);
	og_put_u32(b, c->number);
	for (uint32_t i = 0; i < c->ncols; i++) {
		if (c->cols[i] == OG_COL_SRC)
			og_put_bytes(b, r->src);
		else if (c->cols[i] == OG_COL_DST)
			og_put_bytes(b, r->dst);
		else if (!tuple_value(b, &r->values[c->cols[i]]))
			return false;
	}
	return true;
}

/* The row that a pending one replaces, for the unique values it gives up; nobody has asked for other columns' images. */
static int old_row(struct net *n, const struct net_type *t, const struct net_row *r, struct net_row *old, struct og_error *err)
{
	struct og_value *v = og_arena_array(n->a, t->type->nprops ? t->type->nprops : 1, sizeof(*v));

	if (!v)
		return og_arena_error(n->a, err);
	memset(v, 0, t->type->nprops * sizeof(*v));
	for (uint32_t i = 0; i < t->type->nconstraints; i++) {
		const struct og_constraint *c = &t->type->constraints[i];

		for (uint32_t j = 0; net_is_unique(c) && j < c->ncols; j++)
			if (c->cols[j] >= 0 && og_view_value(t->base, (uint32_t)c->cols[j], r->slot, n->a, &v[c->cols[j]]) < 0)
				return og_arena_error(n->a, err);
	}
	*old = *r;
	old->values = v;
	return 0;
}

static int unique_keys(struct net *n, struct net_type *t, const struct net_row *r, struct og_error *err)
{
	struct og_buf b = { 0 };
	struct net_row old = { 0 };
	int rc = 0;

	if (r->slot != OG_SLOT_NONE && (rc = old_row(n, t, r, &old, err)) < 0)
		return rc;
	for (uint32_t i = 0; rc == 0 && i < t->type->nconstraints; i++) {
		const struct og_constraint *c = &t->type->constraints[i];

		if (!net_is_unique(c))
			continue;
		if (!r->deleted && net_tuple(&b, t->type, c, r)) {
			rc = net_key_add(n, &n->written, OG_KEY_UNIQUE, t->type->id, og_buf_view(&b), err);
			if (rc == 0)
				rc = net_key_add(n, &n->read, OG_KEY_UNIQUE, t->type->id, og_buf_view(&b), err);
		}
		if (rc == 0 && old.values && net_tuple(&b, t->type, c, &old))
			rc = net_key_add(n, &n->written, OG_KEY_UNIQUE, t->type->id, og_buf_view(&b), err);
	}
	if (rc == 0)
		rc = og_buf_ok(&b, err);
	og_buf_fini(&b);
	return rc;
}

static int edge_keys(struct net *n, const struct og_type *t, const struct net_row *r, struct og_error *err)
{
	uint32_t src = n->catalog->types[t->src_type].id, dst = n->catalog->types[t->dst_type].id;
	int rc;

	if ((rc = net_key_add(n, &n->written, OG_KEY_INCIDENT, src, r->src, err)) < 0 ||
	    (rc = net_key_add(n, &n->written, OG_KEY_INCIDENT, dst, r->dst, err)) < 0)
		return rc;
	if (!r->deleted && ((rc = net_key_add(n, &n->read, OG_KEY_ENTITY, src, r->src, err)) < 0 ||
			    (rc = net_key_add(n, &n->read, OG_KEY_ENTITY, dst, r->dst, err)) < 0))
		return rc;
	if (t->has_card && ((rc = net_key_add(n, &n->written, OG_KEY_CARD, t->id, r->src, err)) < 0 ||
			    (rc = net_key_add(n, &n->read, OG_KEY_CARD, t->id, r->src, err)) < 0))
		return rc;
	return 0;
}

int net_keys(struct net *n, struct og_error *err)
{
	for (uint32_t i = 0; i < n->catalog->ntypes; i++) {
		struct net_type *t = &n->types[i];
		bool unique = false;

		for (uint32_t c = 0; c < t->type->nconstraints; c++)
			unique |= net_is_unique(&t->type->constraints[c]);
		for (size_t k = 0; k < t->nrows; k++) {
			const struct net_row *r = &t->rows[k];
			int rc = net_key_add(n, &n->written, OG_KEY_ENTITY, t->type->id, r->id, err);

			if (rc == 0)
				rc = net_key_add(n, &n->read, OG_KEY_ENTITY, t->type->id, r->id, err);
			if (rc == 0 && r->deleted && t->type->kind == OG_NODE)
				rc = net_key_add(n, &n->read, OG_KEY_INCIDENT, t->type->id, r->id, err);
			if (rc == 0 && t->type->kind == OG_EDGE)
				rc = edge_keys(n, t->type, r, err);
			if (rc == 0 && unique)
				rc = unique_keys(n, t, r, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}
