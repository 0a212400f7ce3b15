/* Which images a mutation may read. */
#include "config.h"

#include "engine/mutate.h"

#include "engine/net.h"

struct need_list {
	struct og_arena *a;
	struct og_need *v;
	size_t n, cap;
	bool failed;
};

static void need(struct need_list *l, enum og_need_kind kind, const struct og_type *t, uint32_t prop)
{
	struct og_need *v;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind == kind && l->v[i].type == t && l->v[i].prop == prop)
			return;
	v = og_arena_grow(l->a, l->v, &l->cap, l->n + 1, sizeof(*v));
	if (!v) {
		l->failed = true;
		return;
	}
	l->v = v;
	l->v[l->n++] = (struct og_need){ kind, t, prop };
}

static void need_all_columns(struct need_list *l, const struct og_type *t)
{
	for (uint32_t i = 0; i < t->nprops; i++)
		need(l, OG_NEED_COL, t, i);
}

/* Ids and adjacency of an edge type, ids and index of its endpoints. */
static void need_edge(struct need_list *l, const struct og_catalog *c, const struct og_type *t)
{
	const struct og_type *ends[2] = { &c->types[t->src_type], &c->types[t->dst_type] };

	for (int i = 0; i < 2; i++) {
		need(l, OG_NEED_IDS, ends[i], 0);
		need(l, OG_NEED_IDX, ends[i], 0);
	}
	need(l, OG_NEED_IDS, t, 0);
	need(l, OG_NEED_ADJ, t, 0);
}

static void need_unique(struct need_list *l, const struct og_catalog *c, const struct og_type *t)
{
	for (uint32_t i = 0; i < t->nconstraints; i++) {
		const struct og_constraint *k = &t->constraints[i];

		if (!net_is_unique(k))
			continue;
		for (uint32_t j = 0; j < k->ncols; j++)
			if (k->cols[j] >= 0)
				need(l, OG_NEED_COL, t, (uint32_t)k->cols[j]);
		if (t->kind == OG_EDGE)
			need_edge(l, c, t);
		need(l, OG_NEED_IDS, t, 0);
	}
}

static void need_delete_node(struct need_list *l, const struct og_catalog *c, const struct og_type *t)
{
	for (uint32_t i = 0; i < c->ntypes; i++) {
		const struct og_type *et = &c->types[i];

		if (et->kind != OG_EDGE || (et->src_type != t->index && et->dst_type != t->index))
			continue;
		need_edge(l, c, et);
		need_unique(l, c, et);
	}
}

static void need_statement(struct need_list *l, const struct og_catalog *c, const struct gq_stmt *s)
{
	const struct og_type *t = s->type;

	if (t->kind == OG_NODE) {
		need(l, OG_NEED_IDS, t, 0);
		need(l, OG_NEED_IDX, t, 0);
	}
	/* Edges have fresh ids: an insert looks at the nodes alone, and at the edges only where these are counted. */
	if (t->kind == OG_EDGE && (s->kind != GQ_INSERT || t->has_card)) {
		need_edge(l, c, t);
	} else if (t->kind == OG_EDGE) {
		need(l, OG_NEED_IDS, &c->types[t->src_type], 0);
		need(l, OG_NEED_IDX, &c->types[t->src_type], 0);
		need(l, OG_NEED_IDS, &c->types[t->dst_type], 0);
		need(l, OG_NEED_IDX, &c->types[t->dst_type], 0);
	}
	if (s->kind != GQ_INSERT && s->where_prop)
		need(l, OG_NEED_COL, t, s->where_prop->index);
	if (s->kind == GQ_UPDATE)
		need_all_columns(l, t);
	if (s->kind == GQ_DELETE && t->kind == OG_NODE)
		need_delete_node(l, c, t);
	need_unique(l, c, t);
}

int og_mutate_needs(struct og_arena *a, const struct gq_query *q, const struct og_catalog *c, struct og_need **needs, size_t *n,
		    struct og_error *err)
{
	struct need_list l = { .a = a };

	for (uint32_t i = 0; i < q->nstmts; i++)
		need_statement(&l, c, &q->stmts[i]);
	if (l.failed)
		return og_arena_error(a, err);
	*needs = l.v;
	*n = l.n;
	return 0;
}
