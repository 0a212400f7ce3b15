/* Mutations: statements evaluated in order. */
#include "config.h"

#include "engine/mutate.h"

#include <stdlib.h>

#include "engine/convert.h"
#include "engine/net.h"
#include "engine/run.h"
#include "schema/rowcheck.h"

struct mut {
	struct net net;
	const struct gq_query *q;
	const struct gq_bindings *b;
	struct og_rules *rules;		/* compiled patterns */
	struct og_ulid_gen *ids;
};

int og_mutate_precheck(const struct gq_query *q, struct og_error *err)
{
	if (!q->is_mutation)
		return og_error_set(err, OG_ERR_BAD, "mutation execution called on a read query; use query instead");
	if (q->mixes_deletes)
		return og_error_set(err, OG_ERR_BAD,
				    "mutation '%.*s' on the same query mixes inserts/updates and deletes; split into separate mutations: "
				    "(1) inserts and updates, then (2) deletes.", OG_FMT(q->name));
	return 0;
}

static int null_refused(const struct og_type *t, const struct og_property *p, struct og_error *err)
{
	if (p->key)
		return og_error_set(err, OG_ERR_BAD, "insert @key property '%.*s' cannot contain null", OG_FMT(p->name));
	if (p->type.scalar == OG_BLOB && !p->type.list)
		return og_error_set(err, OG_ERR_BAD, "missing required blob property '%.*s'", OG_FMT(p->name));
	(void)t;
	return og_error_set(err, OG_ERR_BAD, "property `%.*s` is non-nullable but got null", OG_FMT(p->name));
}

/* One assignment as it will be stored, enum and value constraints checked. */
static int assigned_value(struct mut *m, const struct og_type *t, const struct gq_pmatch *as, struct og_value *out, struct og_error *err)
{
	struct og_value v;
	int rc;

	if ((rc = gq_eval_const(m->net.a, m->q, m->b, as->value, &as->prop->type, &v, err)) < 0 ||
	    (rc = og_convert(m->net.a, as->prop, &v, out, err)) < 0)
		return rc;
	if (out->kind == OG_V_NULL)
		return as->prop->type.nullable ? 0 : null_refused(t, as->prop, err);
	return og_rules_check(m->rules, t, as->prop, out, err);
}

/* `from` and `to`: a string id. */
static int endpoint_value(struct mut *m, const struct og_type *t, const struct gq_pmatch *as, struct og_slice *out, struct og_error *err)
{
	struct og_value v;

	if (gq_eval_const(m->net.a, m->q, m->b, as->value, NULL, &v, err) < 0)
		return err->code;
	if (v.kind != OG_V_STRING)
		return og_error_set(err, OG_ERR_BAD, "edge %.*s %s endpoint must be a string id, got %s", OG_FMT(t->name),
				    as->target == GQ_ASSIGN_FROM ? "from" : "to", v.kind == OG_V_NULL ? "NULL" : "another type");
	*out = og_arena_slice(m->net.a, v.s);
	return out->p ? 0 : og_arena_error(m->net.a, err);
}

static int fresh_id(struct mut *m, struct og_slice *out, struct og_error *err)
{
	struct og_ulid u;
	struct og_ulid_text text;

	if (og_ulid_new(m->ids, &u, err) < 0)
		return err->code;
	text = og_ulid_format(&u);
	*out = og_arena_slice(m->net.a, og_slice(text.s, OG_ULID_CHARS));
	return out->p ? 0 : og_arena_error(m->net.a, err);
}

static int node_id(struct mut *m, const struct og_type *t, const struct og_value *values, struct og_slice *out, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	if (!t->nkey)
		return fresh_id(m, out, err);
	rc = og_key_id(&b, t, values, err);
	if (rc == 0)
		rc = og_buf_ok(&b, err);
	if (rc == 0) {
		*out = og_arena_slice(m->net.a, og_buf_view(&b));
		if (!out->p)
			rc = og_arena_error(m->net.a, err);
	}
	og_buf_fini(&b);
	return rc;
}

static int run_insert(struct mut *m, const struct gq_stmt *s, struct og_error *err)
{
	const struct og_type *t = s->type;
	struct net_type *nt = &m->net.types[t->index];
	struct og_value *values = og_arena_array(m->net.a, t->nprops ? t->nprops : 1, sizeof(*values));
	bool *given = og_arena_array(m->net.a, t->nprops ? t->nprops : 1, sizeof(*given));
	struct net_row row = { .slot = OG_SLOT_NONE, .values = values };
	int rc = 0;

	if (!values || !given)
		return og_arena_error(m->net.a, err);
	for (uint32_t i = 0; rc == 0 && i < s->nassigns; i++) {
		const struct gq_pmatch *as = &s->assigns[i];

		if (as->target == GQ_ASSIGN_PROP) {
			given[as->prop->index] = true;
			rc = assigned_value(m, t, as, &values[as->prop->index], err);
		} else {
			rc = endpoint_value(m, t, as, as->target == GQ_ASSIGN_FROM ? &row.src : &row.dst, err);
		}
	}
	for (uint32_t i = 0; rc == 0 && i < t->nprops; i++)
		if (!given[i] && !t->props[i].type.nullable)
			rc = og_error_set(err, OG_ERR_BAD, "missing required property '%.*s'", OG_FMT(t->props[i].name));
	if (rc < 0)
		return rc;
	rc = t->kind == OG_NODE ? node_id(m, t, values, &row.id, err) : fresh_id(m, &row.id, err);
	if (rc < 0)
		return rc;
	if (t->nkey) {
		const struct net_row *old = net_find(nt, row.id);

		row.slot = old ? old->slot : og_view_find(nt->base, row.id);
	}
	if (t->kind == OG_NODE)
		m->net.affected_nodes++;
	else
		m->net.affected_edges++;
	return net_put(&m->net, nt, &row, err);
}

/* ---- predicates ---- */

struct pred {
	const struct gq_stmt *s;
	struct og_value want;		/* null: nothing matches */
};

static bool pred_value(const struct pred *p, const struct og_value *v)
{
	if (v->kind == OG_V_NULL || p->want.kind == OG_V_NULL || v->kind == OG_V_LIST || v->kind == OG_V_VECTOR ||
	    p->want.kind == OG_V_LIST || p->want.kind == OG_V_VECTOR)
		return false;
	return eng_compare(p->s->op, v, &p->want);
}

static int pred_init(struct mut *m, const struct gq_stmt *s, struct pred *p, struct og_error *err)
{
	*p = (struct pred){ .s = s };
	return gq_eval_const(m->net.a, m->q, m->b, s->where_value, s->where_target == GQ_WHERE_PROP ? &s->where_prop->type : NULL, &p->want,
			     err);
}

static bool pred_row(const struct pred *p, const struct net_row *r)
{
	struct og_value v = { .kind = OG_V_STRING };

	if (p->s->where_target == GQ_WHERE_PROP)
		return r->values && pred_value(p, &r->values[p->s->where_prop->index]);
	v.s = p->s->where_target == GQ_WHERE_FROM ? r->src : r->dst;
	return pred_value(p, &v);
}

static int pred_slot(struct mut *m, const struct pred *p, const struct net_type *nt, uint32_t slot, struct og_arena *scratch, bool *yes,
		     struct og_error *err)
{
	struct og_value v = { .kind = OG_V_STRING };
	const struct og_type *t = nt->type;
	uint32_t src, dst;

	if (p->s->where_target == GQ_WHERE_PROP) {
		if (og_view_value(nt->base, p->s->where_prop->index, slot, scratch, &v) < 0)
			return og_error_nomem(err);
	} else {
		og_view_endpoints(nt->base, slot, &src, &dst);
		v.s = p->s->where_target == GQ_WHERE_FROM ? og_view_id(&m->net.view->types[t->src_type], src) :
							    og_view_id(&m->net.view->types[t->dst_type], dst);
	}
	*yes = pred_value(p, &v);
	return 0;
}

typedef int (*on_match)(struct mut *m, struct net_type *nt, uint32_t slot, struct net_row *pending, const struct gq_stmt *s,
			struct og_error *err);

/* The single-column key compared for equality: one look-up instead of a scan. */
static bool is_key_lookup(const struct pred *p)
{
	return p->s->where_target == GQ_WHERE_PROP && p->s->op == GQ_EQ && p->s->type->nkey == 1 && p->s->where_prop->key;
}

static int match_key(struct mut *m, struct net_type *nt, const struct pred *p, on_match fn, struct og_error *err)
{
	struct og_buf b = { 0 };
	struct net_row *pending;
	struct og_slice id;
	struct og_value stored;
	struct og_error ignored;
	uint32_t slot;
	int rc;

	/* A value that the key cannot hold (2.5 for an integer) matches nothing. */
	if (p->want.kind == OG_V_NULL || og_convert(m->net.a, p->s->where_prop, &p->want, &stored, &ignored) < 0 ||
	    og_value_cmp(&stored, &p->want) != 0)
		return 0;
	rc = og_value_id_text(&b, &stored, p->s->where_prop->type.scalar, err);
	if (rc == 0)
		rc = og_buf_ok(&b, err);
	id = og_arena_slice(m->net.a, og_buf_view(&b));
	og_buf_fini(&b);
	if (rc < 0)
		return rc;
	if (!id.p)
		return og_arena_error(m->net.a, err);
	rc = net_key_add(&m->net, &m->net.read, OG_KEY_ENTITY, nt->type->id, id, err);
	if (rc < 0)
		return rc;
	pending = net_find(nt, id);
	if (pending)
		return pending->deleted ? 0 : fn(m, nt, pending->slot, pending, p->s, err);
	slot = og_view_find(nt->base, id);
	return slot == OG_SLOT_NONE ? 0 : fn(m, nt, slot, NULL, p->s, err);
}

/* Edges from one node: its run instead of all edges. */
static int match_endpoint(struct mut *m, struct net_type *nt, const struct pred *p, on_match fn, struct og_error *err)
{
	bool from = p->s->where_target == GQ_WHERE_FROM;
	const struct og_type *node = &m->net.catalog->types[from ? nt->type->src_type : nt->type->dst_type];
	uint32_t peers[256], edges[256], state = 0, slot;
	size_t got;
	int rc;

	if (p->want.kind != OG_V_STRING)
		return 0;
	rc = net_key_add(&m->net, &m->net.read, OG_KEY_INCIDENT, node->id, p->want.s, err);
	if (rc < 0)
		return rc;
	slot = og_view_find(&m->net.view->types[node->index], p->want.s);
	if (slot == OG_SLOT_NONE)
		return 0;
	while ((got = og_view_expand(nt->base, from ? OG_OUT : OG_IN, slot, &state, peers, edges, OG_COUNT(peers))) > 0)
		for (size_t i = 0; i < got; i++) {
			const struct net_row *done = net_find(nt, og_view_id(nt->base, edges[i]));

			if (done && done->deleted)
				continue;
			if ((rc = fn(m, nt, edges[i], NULL, p->s, err)) < 0)
				return rc;
		}
	return 0;
}

static int match_scan(struct mut *m, struct net_type *nt, const struct pred *p, on_match fn, struct og_error *err)
{
	uint32_t cursor = 0, slots[1024];
	size_t got, pending = nt->nrows;
	struct og_arena scratch;
	int rc = 0;

	nt->scanned = true;
	og_arena_init(&scratch, 0);
	while (rc == 0 && (got = og_view_scan(nt->base, &cursor, slots, OG_COUNT(slots))) > 0) {
		for (size_t i = 0; rc == 0 && i < got; i++) {
			bool yes = false;

			if (pending && net_find(nt, og_view_id(nt->base, slots[i])))
				continue;	/* an earlier statement's image of it counts, below */
			rc = pred_slot(m, p, nt, slots[i], &scratch, &yes, err);
			if (rc == 0 && yes)
				rc = fn(m, nt, slots[i], NULL, p->s, err);
		}
		og_arena_reset(&scratch);
		if (rc == 0)
			rc = net_cancelled(&m->net, err);
	}
	og_arena_fini(&scratch);
	for (size_t i = 0; rc == 0 && i < pending; i++)
		if (!nt->rows[i].deleted && pred_row(p, &nt->rows[i]))
			rc = fn(m, nt, nt->rows[i].slot, &nt->rows[i], p->s, err);
	return rc;
}

static int each_match(struct mut *m, const struct gq_stmt *s, on_match fn, struct og_error *err)
{
	struct net_type *nt = &m->net.types[s->type->index];
	struct pred p;

	nt->strict = true;
	if (pred_init(m, s, &p, err) < 0)
		return err->code;
	if (is_key_lookup(&p))
		return match_key(m, nt, &p, fn, err);
	if (s->where_target != GQ_WHERE_PROP && s->op == GQ_EQ)
		return match_endpoint(m, nt, &p, fn, err);
	return match_scan(m, nt, &p, fn, err);
}

/* ---- update, delete ---- */

static int update_one(struct mut *m, struct net_type *nt, uint32_t slot, struct net_row *pending, const struct gq_stmt *s,
		      struct og_error *err)
{
	const struct og_type *t = nt->type;
	struct og_value *values;
	struct net_row row = { .slot = slot };
	int rc;

	if (pending) {
		row = *pending;
		values = og_arena_array(m->net.a, t->nprops ? t->nprops : 1, sizeof(*values));
		if (!values)
			return og_arena_error(m->net.a, err);
		if (t->nprops)
			memcpy(values, pending->values, t->nprops * sizeof(*values));
	} else {
		rc = net_load_values(&m->net, nt, slot, &values, err);
		if (rc < 0)
			return rc;
		row.id = og_view_id(nt->base, slot);
	}
	for (uint32_t i = 0; i < s->nassigns; i++) {
		const struct gq_pmatch *as = &s->assigns[i];
		struct og_value v;

		rc = assigned_value(m, t, as, &v, err);
		if (rc < 0)
			return rc;
		/* A null given for a blob leaves it as it is. */
		if (v.kind != OG_V_NULL || as->prop->type.scalar != OG_BLOB)
			values[as->prop->index] = v;
	}
	row.values = values;
	m->net.affected_nodes++;
	return net_put(&m->net, nt, &row, err);
}

static int run_update(struct mut *m, const struct gq_stmt *s, struct og_error *err)
{
	for (uint32_t i = 0; i < s->nassigns; i++)
		if (s->assigns[i].prop->key)
			return og_error_set(err, OG_ERR_BAD, "cannot update @key property '%.*s' — delete and re-insert instead",
					    OG_FMT(s->assigns[i].prop->name));
	return each_match(m, s, update_one, err);
}

static int delete_edge_slot(struct mut *m, struct net_type *nt, uint32_t slot, struct og_error *err)
{
	const struct og_type *t = nt->type;
	struct net_row row = { .slot = slot, .deleted = true };
	const struct net_row *old;
	uint32_t src, dst;

	row.id = og_view_id(nt->base, slot);
	old = net_find(nt, row.id);
	if (old && old->deleted)
		return 0;
	og_view_endpoints(nt->base, slot, &src, &dst);
	row.src = og_view_id(&m->net.view->types[t->src_type], src);
	row.dst = og_view_id(&m->net.view->types[t->dst_type], dst);
	m->net.affected_edges++;
	return net_put(&m->net, nt, &row, err);
}

static int cascade(struct mut *m, struct net_type *et, enum og_dir dir, uint32_t node, struct og_error *err)
{
	uint32_t peers[256], edges[256], state = 0;
	size_t got;

	while ((got = og_view_expand(et->base, dir, node, &state, peers, edges, OG_COUNT(peers))) > 0)
		for (size_t i = 0; i < got; i++)
			if (delete_edge_slot(m, et, edges[i], err) < 0)
				return err->code;
	return 0;
}

static int delete_node(struct mut *m, struct net_type *nt, uint32_t slot, struct net_row *pending, const struct gq_stmt *s,
		       struct og_error *err)
{
	struct net_row row = { .slot = slot, .deleted = true };

	(void)pending;	/* nothing else than a delete can be pending beside deletes */
	(void)s;
	row.id = og_view_id(nt->base, slot);
	m->net.affected_nodes++;
	if (net_put(&m->net, nt, &row, err) < 0)
		return err->code;
	for (uint32_t i = 0; i < m->net.catalog->ntypes; i++) {
		struct net_type *et = &m->net.types[i];

		if (et->type->kind != OG_EDGE)
			continue;
		if (et->type->src_type == nt->type->index && cascade(m, et, OG_OUT, slot, err) < 0)
			return err->code;
		if (et->type->dst_type == nt->type->index && cascade(m, et, OG_IN, slot, err) < 0)
			return err->code;
	}
	return 0;
}

static int delete_edge(struct mut *m, struct net_type *nt, uint32_t slot, struct net_row *pending, const struct gq_stmt *s,
		       struct og_error *err)
{
	(void)pending;
	(void)s;
	return delete_edge_slot(m, nt, slot, err);
}

static int run_statement(struct mut *m, const struct gq_stmt *s, struct og_error *err)
{
	switch (s->kind) {
	case GQ_INSERT:
		return run_insert(m, s, err);
	case GQ_UPDATE:
		return run_update(m, s, err);
	case GQ_DELETE:
		return each_match(m, s, s->type->kind == OG_NODE ? delete_node : delete_edge, err);
	}
	return 0;
}

/* ---- the write set ---- */

static int finish_type(struct net_type *nt, struct og_ws_type *w, struct og_error *err)
{
	int rc = 0;

	w->type = nt->type;
	w->strict = nt->strict && nt->nrows > 0;
	w->scanned = nt->scanned;
	w->touched = nt->nrows > 0;
	for (size_t i = 0; rc == 0 && i < nt->nrows; i++) {
		const struct net_row *r = &nt->rows[i];

		if (r->deleted) {
			w->dn--;
			rc = og_change_delete(&w->change, r->id, r->src, r->dst, err);
		} else {
			w->dn += r->slot == OG_SLOT_NONE;
			rc = og_change_upsert(&w->change, r->id, r->src, r->dst, r->values, err);
		}
	}
	return rc;
}

/* Without keys a commit depends on whole types: the ends of its edges, and the edges that its nodes may have. */
static void scan_neighbours(const struct og_catalog *c, struct og_writeset *w)
{
	for (uint32_t i = 0; i < c->ntypes; i++) {
		const struct og_type *t = &c->types[i];

		if (t->kind != OG_EDGE)
			continue;
		if (w->types[i].touched)
			w->types[t->src_type].scanned = w->types[t->dst_type].scanned = true;
		if (w->types[t->src_type].touched || w->types[t->dst_type].touched)
			w->types[i].scanned = true;
	}
}

static int finish(struct mut *m, struct og_writeset *out, struct og_error *err)
{
	struct net *n = &m->net;
	int rc = 0;

	out->ntypes = n->catalog->ntypes;
	out->types = og_arena_array(n->a, out->ntypes ? out->ntypes : 1, sizeof(*out->types));
	if (!out->types) {
		out->ntypes = 0;
		return og_arena_error(n->a, err);
	}
	for (uint32_t i = 0; i < out->ntypes; i++)
		og_change_init(&out->types[i].change, n->types[i].type);
	out->empty = true;
	for (uint32_t i = 0; rc == 0 && i < out->ntypes; i++) {
		rc = finish_type(&n->types[i], &out->types[i], err);
		out->strict |= out->types[i].strict;
		out->empty &= !out->types[i].touched;
	}
	out->read = n->read;
	out->written = n->written;
	out->read.n = og_keys_sort(out->read.keys, out->read.n);
	out->written.n = og_keys_sort(out->written.keys, out->written.n);
	out->all_keys = out->read.n > OG_KEYS_MAX || out->written.n > OG_KEYS_MAX;
	if (out->all_keys)
		scan_neighbours(n->catalog, out);
	out->affected_nodes = n->affected_nodes;
	out->affected_edges = n->affected_edges;
	out->arena = n->a;
	return rc;
}

int og_mutate_run(struct og_arena *a, const struct gq_query *q, const struct gq_bindings *b, struct og_view *v, const struct og_exec_limits *limits,
		  struct og_ulid_gen *ids, struct og_writeset *out, struct og_error *err)
{
	struct mut m = { .q = q, .b = b, .ids = ids };
	int rc;

	*out = (struct og_writeset){ 0 };
	rc = net_init(&m.net, a, v, err);
	if (rc < 0)
		return rc;
	m.net.limits = limits;
	m.rules = og_rules_new(err);
	if (!m.rules)
		rc = err->code;
	if (rc == 0)
		rc = gq_require_params(q, b, err);
	for (uint32_t i = 0; rc == 0 && i < q->nstmts; i++)
		rc = run_statement(&m, &q->stmts[i], err);
	if (rc == 0)
		rc = net_check(&m.net, err);
	if (rc == 0)
		rc = net_keys(&m.net, err);
	if (rc == 0)
		rc = finish(&m, out, err);
	if (rc < 0)
		og_writeset_fini(out);
	og_rules_free(m.rules);
	net_fini(&m.net);
	return rc;
}

void og_writeset_fini(struct og_writeset *w)
{
	for (uint32_t i = 0; w->types && i < w->ntypes; i++)
		og_change_fini(&w->types[i].change);
	w->types = NULL;
	w->ntypes = 0;
}
