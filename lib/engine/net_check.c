/* Constraints on the state after all statements. */
#include "config.h"

#include "engine/net.h"

#include <inttypes.h>

#include "base/num.h"

/* ---- endpoints ---- */

static int check_endpoint(struct net *n, const struct og_type *node, struct og_slice id, const char *which, struct og_error *err)
{
	if (net_exists(&n->types[node->index], id))
		return 0;
	return og_error_set(err, OG_ERR_BAD, "%s '%.*s' not found in %.*s", which, OG_FMT(id), OG_FMT(node->name));
}

static int check_endpoints(struct net *n, const struct net_type *t, struct og_error *err)
{
	const struct og_type *src = &n->catalog->types[t->type->src_type], *dst = &n->catalog->types[t->type->dst_type];

	for (size_t i = 0; i < t->nrows; i++) {
		const struct net_row *r = &t->rows[i];

		if (r->deleted)
			continue;
		if (check_endpoint(n, src, r->src, "src", err) < 0 || check_endpoint(n, dst, r->dst, "dst", err) < 0)
			return err->code;
	}
	return 0;
}

/* ---- @unique ---- */

static void value_text(struct og_buf *b, const struct og_type *t, int32_t col, const struct net_row *r)
{
	char num[400];
	const struct og_value *v;

	if (col == OG_COL_SRC || col == OG_COL_DST) {
		og_buf_slice(b, col == OG_COL_SRC ? r->src : r->dst);
		return;
	}
	v = &r->values[col];
	switch (v->kind) {
	case OG_V_STRING:
	case OG_V_BLOB:
		og_buf_slice(b, v->s);
		break;
	case OG_V_BOOL:
		og_buf_str(b, v->i ? "true" : "false");
		break;
	case OG_V_INT:
	case OG_V_DATE:
	case OG_V_DATETIME:
		og_buf_i64(b, v->i);
		break;
	case OG_V_UINT:
		og_buf_u64(b, v->u);
		break;
	case OG_V_FLOAT:
		og_double_plain(v->f, t->props[col].type.scalar == OG_F32, num);
		og_buf_str(b, num);
		break;
	case OG_V_NULL:
	case OG_V_LIST:
	case OG_V_VECTOR:
		break;
	}
}

static struct og_slice col_name(const struct og_type *t, int32_t col)
{
	if (col == OG_COL_SRC)
		return OG_SLICE("src");
	if (col == OG_COL_DST)
		return OG_SLICE("dst");
	return t->props[col].name;
}

void net_unique_text(struct og_buf *cols, struct og_buf *vals, const struct og_type *t, const struct og_constraint *c, const struct net_row *r)
{
	bool many = c->ncols > 1;

	for (uint32_t i = 0; i < c->ncols; i++) {
		og_buf_str(cols, i ? ", " : many ? "(" : "");
		og_buf_slice(cols, col_name(t, c->cols[i]));
		og_buf_str(vals, i ? ", " : many ? "(" : "");
		value_text(vals, t, c->cols[i], r);
	}
	og_buf_str(cols, many ? ")" : "");
	og_buf_str(vals, many ? ")" : "");
}

static int unique_violation(const struct og_type *t, const struct og_constraint *c, const struct net_row *r, struct og_slice other,
			    struct og_error *err)
{
	struct og_buf cols = { 0 }, vals = { 0 };

	net_unique_text(&cols, &vals, t, c, r);
	og_error_set(err, OG_ERR_BAD, "@unique violation on %.*s.%s: value '%s' held by '%.*s' and '%.*s'", OG_FMT(t->name),
		     cols.data ? cols.data : "", vals.data ? vals.data : "", OG_FMT(other), OG_FMT(r->id));
	og_buf_fini(&cols);
	og_buf_fini(&vals);
	return OG_ERR_BAD;
}

/* The pending rows' tuples of one constraint: tuple -> row index. Two pending rows of one value are found here. */
static int collect_tuples(struct net *n, const struct net_type *t, const struct og_constraint *c, struct og_map *m, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->nrows; i++) {
		const struct net_row *r = &t->rows[i];
		struct og_map_entry *e;
		struct og_slice key;
		bool fresh;

		if (r->deleted || !net_tuple(&b, t->type, c, r))
			continue;
		key = og_arena_slice(n->a, og_buf_view(&b));
		if (!key.p) {
			rc = og_arena_error(n->a, err);
			break;
		}
		e = og_map_put(m, key, &fresh);
		if (!e)
			rc = og_error_nomem(err);
		else if (!fresh)
			rc = unique_violation(t->type, c, r, t->rows[e->value].id, err);
		else
			e->value = i;
	}
	if (rc == 0)
		rc = og_buf_ok(&b, err);
	og_buf_fini(&b);
	return rc;
}

struct unique_scan {
	struct net *n;
	const struct net_type *t;
	const struct og_constraint *c;
	const struct og_map *pending;
	struct og_buf tuple;
	struct og_value *values;	/* scratch row: only the constraint's columns are read */
	struct og_arena scratch;
};

static int unique_scan_row(struct unique_scan *s, uint32_t slot, struct og_error *err)
{
	const struct og_type *t = s->t->type;
	struct net_row r = { .slot = slot, .values = s->values };
	struct og_map_entry *e;
	uint32_t src, dst;

	for (uint32_t i = 0; i < s->c->ncols; i++) {
		int32_t col = s->c->cols[i];

		if (col >= 0 && og_view_value(s->t->base, (uint32_t)col, slot, &s->scratch, &s->values[col]) < 0)
			return og_error_nomem(err);
		if (col < 0) {
			og_view_endpoints(s->t->base, slot, &src, &dst);
			r.src = og_view_id(&s->n->view->types[t->src_type], src);
			r.dst = og_view_id(&s->n->view->types[t->dst_type], dst);
		}
	}
	if (!net_tuple(&s->tuple, t, s->c, &r))
		return 0;
	e = og_map_find(s->pending, og_buf_view(&s->tuple));
	if (!e)
		return 0;
	r.id = og_view_id(s->t->base, slot);
	if (net_find(s->t, r.id))	/* rewritten or deleted by this very write */
		return 0;
	return unique_violation(t, s->c, &s->t->rows[e->value], r.id, err);
}

static int check_unique(struct net *n, const struct net_type *t, const struct og_constraint *c, struct og_error *err)
{
	struct og_map pending = { 0 };
	struct unique_scan s = { .n = n, .t = t, .c = c, .pending = &pending };
	uint32_t cursor = 0, slots[1024];
	size_t got;
	int rc;

	og_arena_init(&s.scratch, 0);
	rc = collect_tuples(n, t, c, &pending, err);
	if (rc == 0 && pending.count) {
		s.values = og_arena_array(n->a, t->type->nprops ? t->type->nprops : 1, sizeof(*s.values));
		if (!s.values)
			rc = og_arena_error(n->a, err);
		while (rc == 0 && (got = og_view_scan(t->base, &cursor, slots, OG_COUNT(slots))) > 0) {
			for (size_t i = 0; rc == 0 && i < got; i++)
				rc = unique_scan_row(&s, slots[i], err);
			og_arena_reset(&s.scratch);
			if (rc == 0)
				rc = net_cancelled(n, err);
		}
	}
	og_buf_fini(&s.tuple);
	og_arena_fini(&s.scratch);
	og_map_fini(&pending);
	return rc;
}

/* ---- @card ---- */

struct card_source {
	struct og_slice id;
	int64_t delta;			/* pending edges added and removed */
};

/* Live edges of a source in the view. */
static uint64_t live_degree(const struct net *n, const struct net_type *t, struct og_slice src)
{
	uint32_t slot = og_view_find(&n->view->types[t->type->src_type], src), state = 0, peers[256];
	uint64_t count = 0;
	size_t got;

	if (slot == OG_SLOT_NONE)
		return 0;
	while ((got = og_view_expand(t->base, OG_OUT, slot, &state, peers, NULL, OG_COUNT(peers))) > 0)
		count += got;
	return count;
}

static int note_source(struct og_map *m, struct card_source *list, size_t *nlist, struct og_slice id, int delta, struct og_error *err)
{
	bool fresh;
	struct og_map_entry *e = og_map_put(m, id, &fresh);

	if (!e)
		return og_error_nomem(err);
	if (fresh) {
		e->value = *nlist;
		list[(*nlist)++] = (struct card_source){ .id = id };
	}
	list[e->value].delta += delta;
	return 0;
}

static int collect_sources(struct net *n, const struct net_type *t, struct og_map *m, struct card_source *list, size_t *nlist,
			   struct og_error *err)
{
	const struct og_view_type *nodes = &n->view->types[t->type->src_type];

	for (size_t i = 0; i < t->nrows; i++) {
		const struct net_row *r = &t->rows[i];
		struct og_slice old_src;
		int rc = 0;

		if (r->slot != OG_SLOT_NONE) {
			uint32_t src, dst;

			og_view_endpoints(t->base, r->slot, &src, &dst);
			old_src = og_view_id(nodes, src);
			rc = note_source(m, list, nlist, old_src, -1, err);
		}
		if (rc == 0 && !r->deleted)
			rc = note_source(m, list, nlist, r->src, 1, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_card(struct net *n, const struct net_type *t, struct og_error *err)
{
	const struct og_type *et = t->type;
	struct card_source *list = og_arena_array(n->a, 2 * t->nrows + 1, sizeof(*list));
	struct og_map m = { 0 };
	size_t nlist = 0;
	int rc;

	if (!list)
		return og_arena_error(n->a, err);
	rc = collect_sources(n, t, &m, list, &nlist, err);
	for (size_t i = 0; rc == 0 && i < nlist; i++) {
		int64_t count = (int64_t)live_degree(n, t, list[i].id) + list[i].delta;

		if (!net_exists(&n->types[et->src_type], list[i].id))
			continue;	/* it goes together with its edges */
		if (et->card_max != UINT32_MAX && count > (int64_t)et->card_max)
			rc = og_error_set(err, OG_ERR_BAD, "@card violation on edge %.*s: source '%.*s' has %" PRId64 " edges (max %u)",
					  OG_FMT(et->name), OG_FMT(list[i].id), count, et->card_max);
		else if (count > 0 && count < (int64_t)et->card_min)	/* a source without edges never violates a minimum */
			rc = og_error_set(err, OG_ERR_BAD, "@card violation on edge %.*s: source '%.*s' has %" PRId64 " edges (min %u)",
					  OG_FMT(et->name), OG_FMT(list[i].id), count, et->card_min);
	}
	og_map_fini(&m);
	return rc;
}

int net_check(struct net *n, struct og_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n->catalog->ntypes; i++)
		if (n->types[i].type->kind == OG_EDGE && n->types[i].nrows)
			rc = check_endpoints(n, &n->types[i], err);
	for (uint32_t i = 0; rc == 0 && i < n->catalog->ntypes; i++) {
		const struct net_type *t = &n->types[i];

		for (uint32_t c = 0; rc == 0 && t->nrows && c < t->type->nconstraints; c++)
			if (net_is_unique(&t->type->constraints[c]))
				rc = check_unique(n, t, &t->type->constraints[c], err);
		if (rc == 0 && t->nrows && t->type->kind == OG_EDGE && t->type->has_card)
			rc = check_card(n, t, err);
	}
	return rc;
}
