/* Clauses of a match: variables and their scopes, bindings, traversals, filters, negation. */
#include "config.h"
#include "gq/check.h"

#define ANONYMOUS OG_SLICE("_")

static int32_t add_var(struct gq_checker *k, struct og_slice name, uint32_t depth)
{
	struct gq_cvar *vars = og_arena_grow(k->arena, k->vars, &k->capvars, k->nvars + 1, sizeof(*vars));

	if (!vars) {
		og_arena_error(k->arena, k->err);
		return -1;
	}
	k->vars = vars;
	vars[k->nvars] = (struct gq_cvar){ .v = { .name = name, .depth = depth }, .owner_depth = depth };
	return (int32_t)k->nvars++;
}

int32_t gq_find_var(const struct gq_checker *k, struct og_slice name)
{
	const struct og_map_entry *e;

	for (const struct gq_scope *s = k->scope; s; s = s->outer)
		if ((e = og_map_find(&s->names, name)))
			return (int32_t)e->value;
	return -1;
}

/* A clause of the block names a variable; one that was bound above ties the block to its surroundings. */
static void mention(struct gq_checker *k, int32_t var)
{
	if (k->vars[var].bound && k->vars[var].bound_depth < k->scope->depth)
		k->scope->mentions_outer = true;
}

int32_t gq_bound_var(struct gq_checker *k, struct og_slice name)
{
	int32_t var = og_slice_eq(name, ANONYMOUS) ? -1 : gq_find_var(k, name);

	if (var < 0 || !k->vars[var].bound)
		return -1;
	mention(k, var);
	return var;
}

/* Gives the block the variables that it introduces, before any clause is looked at: blocks inside may name them too. */
static int own_name(struct gq_checker *k, struct og_slice name, bool edge)
{
	struct og_map_entry *e;
	int32_t var;

	if (og_slice_eq(name, ANONYMOUS))
		return 0;
	var = gq_find_var(k, name);
	/* An edge of an inner block is its own unless the name is already taken. */
	if (var >= 0 && (!edge || k->vars[var].bound || k->vars[var].owner_depth == k->scope->depth))
		return 0;
	if ((var = add_var(k, name, k->scope->depth)) < 0)
		return k->err->code;
	if (!(e = og_map_put(&k->scope->names, name, NULL)))
		return og_error_nomem(k->err);
	e->value = (uint64_t)var;
	return 0;
}

static int own_names(struct gq_checker *k, const struct gq_clause *clauses, uint32_t n)
{
	int rc = 0;

	for (uint32_t i = 0; i < n && rc == 0; i++) {
		const struct gq_clause *c = &clauses[i];

		if (c->kind == GQ_BINDING)
			rc = own_name(k, c->var_name, false);
		if (c->kind != GQ_TRAVERSAL)
			continue;
		if ((rc = own_name(k, c->left_name, false)) == 0)
			rc = own_name(k, c->right_name, false);
		if (rc == 0 && c->has_edge_var)
			rc = own_name(k, c->edge_var_name, true);
	}
	return rc;
}

/* The variable of a binding or endpoint; a fresh one for `$_`. */
static int use_name(struct gq_checker *k, struct gq_pos pos, struct og_slice name, int32_t *out)
{
	if (og_slice_eq(name, ANONYMOUS)) {
		*out = add_var(k, name, k->scope->depth);
		if (*out < 0)
			return k->err->code;
		k->vars[*out].v.anonymous = true;
		return 0;
	}
	if (gq_find_param(k, name) >= 0)
		return gq_fault(k, pos, "T6: variable `$%.*s` is already declared as a parameter", OG_FMT(name));
	*out = gq_find_var(k, name);
	mention(k, *out);
	return 0;
}

static int rebind_fault(struct gq_checker *k, struct gq_pos pos, const struct gq_cvar *var, const struct og_type *old,
			const struct og_type *type)
{
	return gq_fault(k, pos, "variable `$%.*s` already bound to type `%.*s`, cannot rebind to `%.*s`", OG_FMT(var->v.name),
			OG_FMT(old->name), OG_FMT(type->name));
}

static int introduce(struct gq_checker *k, struct gq_pos pos, int32_t i, const struct og_type *type)
{
	struct gq_cvar *var = &k->vars[i];

	/* One block below has already used the name for another type: no entity could be both. */
	if (var->seen && var->seen != type)
		return rebind_fault(k, pos, var, var->seen, type);
	var->v.type = type;
	var->bound = true;
	var->bound_depth = k->scope->depth;
	var->next_bound = k->scope->first_bound;
	k->scope->first_bound = i;
	return 0;
}

/* Forgets what the block introduced. */
static void leave_scope(struct gq_checker *k)
{
	for (int32_t i = k->scope->first_bound; i >= 0; i = k->vars[i].next_bound) {
		struct gq_cvar *var = &k->vars[i];

		var->bound = false;
		if (var->owner_depth < k->scope->depth)
			var->seen = var->v.type;
	}
}

static int check_match(struct gq_checker *k, const struct og_type *type, struct gq_pmatch *m)
{
	m->prop = og_type_property(type, m->name);
	if (!m->prop)
		return gq_fault(k, m->pos, "T2: type `%.*s` has no property `%.*s`", OG_FMT(type->name), OG_FMT(m->name));
	if (m->prop->type.scalar == OG_BLOB)
		return gq_fault(k, m->pos, "T3: blob property `%.*s.%.*s` cannot be used in match patterns", OG_FMT(type->name),
				OG_FMT(m->name));
	return gq_check_value(k, GQ_USE_MATCH, m->name, &m->prop->type, m->value);
}

static int check_binding(struct gq_checker *k, struct gq_clause *c)
{
	struct gq_cvar *var;
	int rc;

	c->type = og_catalog_node(k->catalog, c->type_name);
	if (!c->type)
		return gq_fault(k, c->pos, "T1: unknown node type `%.*s`", OG_FMT(c->type_name));
	if ((rc = use_name(k, c->pos, c->var_name, &c->var)) < 0)
		return rc;
	var = &k->vars[c->var];
	if (var->bound && var->v.is_edge)
		return gq_fault(k, c->pos, "T23: variable `$%.*s` is bound to edge type `%.*s` and cannot be rebound as node type `%.*s`",
				OG_FMT(c->var_name), OG_FMT(var->v.type->name), OG_FMT(c->type->name));
	if (var->bound && var->v.type != c->type)
		return rebind_fault(k, c->pos, var, var->v.type, c->type);
	if (!var->bound && (rc = introduce(k, c->pos, c->var, c->type)) < 0)
		return rc;
	if (var->owner_depth == k->scope->depth)
		var->v.declared = true;
	for (uint32_t i = 0; i < c->nmatches; i++)
		if ((rc = check_match(k, c->type, &c->matches[i])) < 0)
			return rc;
	return 0;
}

static int check_hops(struct gq_checker *k, const struct gq_clause *c)
{
	if (!c->has_bounds)
		return 0;
	if (c->min < 1)
		return gq_fault(k, c->pos, "T15: traversal min hop bound must be >= 1");
	if (c->no_max)
		return gq_fault(k, c->pos, "T15: unbounded traversal is disabled; use bounded traversal {min,max}");
	if (c->max < c->min)
		return gq_fault(k, c->pos, "T15: invalid traversal bounds {%u,%u}; max must be >= min", c->min, c->max);
	return 0;
}

static int check_edge_var(struct gq_checker *k, const struct gq_clause *c)
{
	struct og_slice e = c->edge_var_name;
	int32_t var;

	if (!c->has_edge_var)
		return 0;
	if (c->has_bounds)
		return gq_fault(k, c->pos,
				"T23: edge binding `$%.*s` cannot be combined with traversal bounds; a multi-hop traversal matches a path of edges, not one edge",
				OG_FMT(e));
	if (og_slice_eq(e, ANONYMOUS))
		return 0;
	if (og_slice_eq(e, c->left_name) || og_slice_eq(e, c->right_name))
		return gq_fault(k, c->pos,
				"T23: edge binding `$%.*s` cannot reuse a traversal endpoint name; edge bindings and node endpoints need distinct names",
				OG_FMT(e));
	if (gq_find_param(k, e) >= 0)
		return gq_fault(k, c->pos, "T6: variable `$%.*s` is already declared as a parameter", OG_FMT(e));
	var = gq_find_var(k, e);
	if (k->vars[var].bound)
		return gq_fault(k, c->pos, "T23: variable `$%.*s` is already bound; an edge binding needs a fresh name", OG_FMT(e));
	return 0;
}

static int no_endpoint(struct gq_checker *k, const struct gq_clause *c, const struct gq_cvar *var)
{
	const struct og_type *src = &k->catalog->types[c->type->src_type], *dst = &k->catalog->types[c->type->dst_type];

	return gq_fault(k, c->pos, "T5: variable `$%.*s` has type `%.*s`, which is not an endpoint of edge `%.*s: %.*s -> %.*s`",
			OG_FMT(var->v.name), OG_FMT(var->v.type->name), OG_FMT(c->type->name), OG_FMT(src->name), OG_FMT(dst->name));
}

/* The edge's direction follows from what stands above, whatever side it is written on. */
static int find_direction(struct gq_checker *k, struct gq_clause *c)
{
	const struct gq_cvar *left = &k->vars[c->left], *right = &k->vars[c->right];
	const struct og_type *src = &k->catalog->types[c->type->src_type], *dst = &k->catalog->types[c->type->dst_type];

	c->left_is_source = true;
	if (left->bound) {
		if (left->v.type == src)
			return 0;
		c->left_is_source = false;
		return left->v.type == dst ? 0 : no_endpoint(k, c, left);
	}
	if (!right->bound || right->v.type == dst)
		return 0;
	c->left_is_source = false;
	return right->v.type == src ? 0 : no_endpoint(k, c, right);
}

static int set_endpoint(struct gq_checker *k, const struct gq_clause *c, int32_t i, const struct og_type *type)
{
	const struct gq_cvar *var = &k->vars[i];

	if (!var->bound)
		return introduce(k, c->pos, i, type);
	if (var->v.type != type)
		return gq_fault(k, c->pos, "T5: variable `$%.*s` has type `%.*s` but edge `%.*s` expects `%.*s`",
				OG_FMT(var->v.name), OG_FMT(var->v.type->name), OG_FMT(c->type->name), OG_FMT(type->name));
	return 0;
}

static int check_endpoint(struct gq_checker *k, const struct gq_clause *c, struct og_slice name, int32_t *out)
{
	int rc = use_name(k, c->pos, name, out);

	if (rc == 0 && k->vars[*out].bound && k->vars[*out].v.is_edge)
		return gq_fault(k, c->pos,
				"T23: edge binding `$%.*s` cannot be used as a traversal endpoint; traversal endpoints must be node bindings",
				OG_FMT(name));
	return rc;
}

static int check_traversal(struct gq_checker *k, struct gq_clause *c)
{
	const struct og_type *src, *dst;
	int rc;

	c->type = og_catalog_edge(k->catalog, c->edge_name);
	if (!c->type)
		return gq_fault(k, c->pos, "T4: unknown edge type `%.*s`", OG_FMT(c->edge_name));
	src = &k->catalog->types[c->type->src_type];
	dst = &k->catalog->types[c->type->dst_type];
	if ((rc = check_hops(k, c)) < 0)
		return rc;
	if (c->undirected && src != dst)
		return gq_fault(k, c->pos,
				"T22: undirected traversal `<%.*s>` requires a same-endpoint-type edge, but `%.*s: %.*s -> %.*s` is asymmetric; use the directional form",
				OG_FMT(c->type->name), OG_FMT(c->type->name), OG_FMT(src->name), OG_FMT(dst->name));
	if ((rc = check_edge_var(k, c)) < 0 || (rc = check_endpoint(k, c, c->left_name, &c->left)) < 0 ||
	    (rc = check_endpoint(k, c, c->right_name, &c->right)) < 0 || (rc = find_direction(k, c)) < 0 ||
	    (rc = set_endpoint(k, c, c->left, c->left_is_source ? src : dst)) < 0 ||
	    (rc = set_endpoint(k, c, c->right, c->left_is_source ? dst : src)) < 0)
		return rc;
	if (!c->has_edge_var || og_slice_eq(c->edge_var_name, ANONYMOUS))
		return 0;
	c->edge_var = gq_find_var(k, c->edge_var_name);
	k->vars[c->edge_var].v.is_edge = true;
	return introduce(k, c->pos, c->edge_var, c->type);
}

static int check_contains(struct gq_checker *k, const struct gq_clause *c, const struct gq_xtype *l, const struct gq_xtype *r)
{
	struct og_proptype item = l->type;
	bool text = l->type.scalar == OG_STRING && !l->type.list;

	if (c->op == GQ_STARTS_WITH) {
		if (!text)
			return gq_fault(k, c->pos, "T7: starts_with requires a String property on the left, got %s",
					gq_type_text(k, &l->type));
		if (r->type.scalar != OG_STRING || r->type.list)
			return gq_fault(k, c->pos, "T7: starts_with requires a String right operand, got %s",
					gq_type_text(k, &r->type));
		return 0;
	}
	if (text) {
		if (r->type.scalar != OG_STRING || r->type.list)
			return gq_fault(k, c->pos, "T7: string contains requires a String right operand, got %s",
					gq_type_text(k, &r->type));
		return 0;
	}
	if (!l->type.list)
		return gq_fault(k, c->pos,
				"T7: contains requires a list property (membership) or a String property (substring) on the left, got %s",
				gq_type_text(k, &l->type));
	if (r->type.list)
		return gq_fault(k, c->pos, "T7: contains requires a scalar right operand");
	if (r->type.scalar == OG_VECTOR)
		return gq_fault(k, c->pos, "T7: vector membership filters are not supported");
	item.list = false;
	if (!gq_compatible(&item, &r->type))
		return gq_fault(k, c->pos, "T7: cannot test membership of %s in %s", gq_type_text(k, &r->type),
				gq_type_text(k, &l->type));
	return 0;
}

static int check_filter(struct gq_checker *k, struct gq_clause *c)
{
	struct gq_xtype l, r;
	int rc;

	if ((rc = gq_check_expr(k, c->lhs, &l)) < 0 || (rc = gq_check_expr(k, c->rhs, &r)) < 0)
		return rc;
	if (l.kind != GQ_XT_VALUE || r.kind != GQ_XT_VALUE)
		return gq_fault(k, c->pos, "T7: filter comparisons require scalar operands, got %s and %s", gq_xtype_text(k, &l),
				gq_xtype_text(k, &r));
	if (c->op == GQ_CONTAINS || c->op == GQ_STARTS_WITH)
		return check_contains(k, c, &l, &r);
	if (l.type.list || r.type.list)
		return gq_fault(k, c->pos,
				"T7: list comparisons in filters are not supported; use `contains` for list membership");
	if (l.type.scalar == OG_VECTOR || r.type.scalar == OG_VECTOR)
		return gq_fault(k, c->pos, "T7: vector comparisons in filters are not supported");
	if (l.type.scalar == OG_BLOB || r.type.scalar == OG_BLOB)
		return gq_fault(k, c->pos, "T7: blob comparisons in filters are not supported");
	if (!gq_compatible(&l.type, &r.type))
		return gq_fault(k, c->pos, "T7: cannot compare %s with %s", gq_type_text(k, &l.type), gq_type_text(k, &r.type));
	return 0;
}

static int check_clause(struct gq_checker *k, struct gq_clause *c, uint32_t depth)
{
	struct gq_xtype t;

	switch (c->kind) {
	case GQ_BINDING:
		return check_binding(k, c);
	case GQ_TRAVERSAL:
		return check_traversal(k, c);
	case GQ_FILTER:
		return check_filter(k, c);
	case GQ_NOT:
		return gq_check_clauses(k, c->inner, c->ninner, depth + 1);
	case GQ_SEARCH_CLAUSE:
		return gq_check_expr(k, c->lhs, &t);
	}
	return 0;
}

/* Depth 0 leaves its scope open: return and order still look into it. */
int gq_check_clauses(struct gq_checker *k, struct gq_clause *clauses, uint32_t n, uint32_t depth)
{
	struct gq_scope scope = { .outer = k->scope, .depth = depth, .first_bound = -1 };
	int rc;

	if (depth == 0) {
		rc = own_names(k, clauses, n);
		for (uint32_t i = 0; i < n && rc == 0; i++)
			rc = check_clause(k, &clauses[i], depth);
		return rc;
	}
	k->scope = &scope;
	rc = own_names(k, clauses, n);
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = check_clause(k, &clauses[i], depth);
	if (rc == 0)
		leave_scope(k);
	if (rc == 0 && !scope.mentions_outer && !k->lone_not) {
		k->lone_not = true;
		k->lone_not_pos = clauses[0].pos;
	}
	k->scope = scope.outer;
	og_map_fini(&scope.names);
	return rc;
}
