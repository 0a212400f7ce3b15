/* From a checked query to a logical plan. */
#include "config.h"

#include "engine/plan.h"

struct builder {
	struct og_arena *a;
	struct og_plan *p;
	struct og_error *err;
};

/* The block being built and those around it. */
struct frame {
	struct frame *up;
	struct eng_block *block;
	struct eng_not *not;	/* NULL: the match itself */
};

static int no_memory(struct builder *b)
{
	return og_arena_error(b->a, b->err);
}

static int push_var(struct builder *b, int32_t **list, size_t *n, size_t *cap, int32_t var)
{
	int32_t *grown;

	for (size_t i = 0; i < *n; i++)
		if ((*list)[i] == var)
			return 0;
	grown = og_arena_grow(b->a, *list, cap, *n + 1, sizeof(*grown));
	if (!grown)
		return no_memory(b);
	*list = grown;
	grown[(*n)++] = var;
	return 0;
}

static int add_need(struct builder *b, enum og_need_kind kind, const struct og_type *t, uint32_t prop)
{
	struct og_plan *p = b->p;
	struct og_need *grown;

	for (size_t i = 0; i < p->nneeds; i++)
		if (p->needs[i].kind == kind && p->needs[i].type == t && p->needs[i].prop == prop)
			return 0;
	grown = og_arena_grow(b->a, p->needs, &p->needs_cap, p->nneeds + 1, sizeof(*grown));
	if (!grown)
		return no_memory(b);
	p->needs = grown;
	grown[p->nneeds++] = (struct og_need){ .kind = kind, .type = t, .prop = prop };
	return 0;
}

static int need_prop(struct builder *b, int32_t var, const struct og_property *prop)
{
	/* A blob reads as null, whatever its column holds. */
	if (prop->type.scalar == OG_BLOB)
		return 0;
	return add_need(b, OG_NEED_COL, b->p->vars[var].type, prop->index);
}

const struct og_property *eng_single_key(const struct og_type *t)
{
	return t->kind == OG_NODE && t->nkey == 1 ? &t->props[t->key_cols[0]] : NULL;
}

/* A variable belongs to the block that introduces it; every block between here and there takes it from outside. */
static int mention(struct builder *b, struct frame *f, int32_t var)
{
	const struct eng_var *v = &b->p->vars[var];

	for (; f; f = f->up) {
		int rc;

		if (v->depth >= f->block->depth) {
			if (v->is_edge)
				return 0;
			return push_var(b, &f->block->vars, &f->block->nvars, &f->block->vars_cap, var);
		}
		rc = push_var(b, &f->not->outer, &f->not->nouter, &f->not->outer_cap, var);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static const char *search_name(enum gq_expr_kind k)
{
	switch (k) {
	case GQ_X_SEARCH:
		return "search";
	case GQ_X_FUZZY:
		return "fuzzy";
	case GQ_X_MATCH_TEXT:
		return "match_text";
	case GQ_X_NEAREST:
		return "nearest";
	case GQ_X_BM25:
		return "bm25";
	case GQ_X_RRF:
		return "rrf";
	case GQ_X_LITERAL:
	case GQ_X_PARAM:
	case GQ_X_NOW:
	case GQ_X_VAR:
	case GQ_X_PROP:
	case GQ_X_ALIAS:
	case GQ_X_AGG:
		return NULL;
	}
	return NULL;
}

static int refuse_search(struct builder *b, const struct gq_expr *x)
{
	return og_error_set(b->err, OG_ERR_UNSUPPORTED, "%s is not available in this version yet",
			    search_name(x->kind));
}

static bool is_constant(const struct gq_expr *x)
{
	return x->kind == GQ_X_LITERAL || x->kind == GQ_X_PARAM || x->kind == GQ_X_NOW ||
	       (x->kind == GQ_X_VAR && x->var < 0 && x->param >= 0);
}

static bool is_date_like(enum og_scalar s)
{
	return s == OG_DATE || s == OG_DATETIME;
}

/* One side of a filter. A constant beside no property keeps its own type; only date texts must still be read. */
static int filter_side(struct builder *b, struct frame *f, const struct gq_expr *x, struct eng_side *out)
{
	*out = (struct eng_side){ .var = -1 };
	if (is_constant(x)) {
		out->x = x;
		out->as = x->type;
		out->has_as = is_date_like(x->type.scalar);
		return 0;
	}
	if (x->kind == GQ_X_PROP) {
		int rc = mention(b, f, x->var);

		out->var = x->var;
		out->prop = x->prop;
		return rc < 0 ? rc : need_prop(b, x->var, x->prop);
	}
	if (x->kind == GQ_X_NEAREST || x->kind == GQ_X_BM25 || x->kind == GQ_X_RRF)
		return og_error_set(b->err, OG_ERR_BAD, "unsupported expression in filter: %s",
				    search_name(x->kind));
	if (search_name(x->kind))
		return refuse_search(b, x);
	return og_error_set(b->err, OG_ERR_BAD, "unsupported expression in filter");
}

/* A constant is read as what the property beside it holds: one such value, or a list of them. */
static void side_as(struct eng_side *c, const struct og_property *p, bool list)
{
	c->as = p->type;
	c->as.list = list;
	c->has_as = true;
}

static int push_test(struct builder *b, struct eng_block *k, const struct eng_test *t)
{
	struct eng_test *grown = og_arena_grow(b->a, k->tests, &k->tests_cap, k->ntests + 1, sizeof(*t));

	if (!grown)
		return no_memory(b);
	k->tests = grown;
	grown[k->ntests++] = *t;
	return 0;
}

static int add_filter(struct builder *b, struct frame *f, const struct gq_clause *c)
{
	struct eng_test t = { .op = c->op };
	int rc;

	if ((rc = filter_side(b, f, c->lhs, &t.lhs)) < 0 || (rc = filter_side(b, f, c->rhs, &t.rhs)) < 0)
		return rc;
	if (t.lhs.prop && !t.rhs.prop)
		side_as(&t.rhs, t.lhs.prop, false);
	else if (t.rhs.prop && !t.lhs.prop)
		side_as(&t.lhs, t.rhs.prop, t.lhs.as.list);
	return push_test(b, f->block, &t);
}

static int add_binding(struct builder *b, struct frame *f, const struct gq_clause *c)
{
	int rc = mention(b, f, c->var);

	for (uint32_t i = 0; rc == 0 && i < c->nmatches; i++) {
		const struct gq_pmatch *m = &c->matches[i];
		struct eng_test t = {
			.op = m->prop->type.list ? GQ_CONTAINS : GQ_EQ,
			.lhs = { .var = c->var, .prop = m->prop },
			.rhs = { .var = -1, .x = m->value },
		};

		side_as(&t.rhs, m->prop, false);
		rc = need_prop(b, c->var, m->prop);
		if (rc == 0)
			rc = push_test(b, f->block, &t);
	}
	return rc;
}

/* `$_:` binds nothing but still gives a row an edge: it gets a column of its own. */
static int hidden_edge(struct builder *b, struct frame *f, const struct og_type *edge, int32_t *out)
{
	struct og_plan *p = b->p;
	size_t cap = p->nvars;
	struct eng_var *grown = og_arena_grow(b->a, p->vars, &cap, p->nvars + 1, sizeof(*grown));

	if (!grown)
		return no_memory(b);
	p->vars = grown;
	*out = (int32_t)p->nvars;
	grown[p->nvars++] = (struct eng_var){
		.type = edge, .is_edge = true, .depth = f->block->depth, .name = OG_SLICE("_")
	};
	return 0;
}

static int add_traversal(struct builder *b, struct frame *f, const struct gq_clause *c)
{
	bool forward = c->undirected || c->left_is_source;
	struct eng_trav t = {
		.edge = c->type,
		.src = forward ? c->left : c->right,
		.dst = forward ? c->right : c->left,
		.edge_var = c->has_edge_var ? c->edge_var : -1,
		.undirected = c->undirected,
		.min = c->min,
		.max = c->max,
	};
	struct eng_block *k = f->block;
	struct eng_trav *grown;
	int rc;

	if ((rc = mention(b, f, c->left)) < 0 || (rc = mention(b, f, c->right)) < 0)
		return rc;
	if (c->has_edge_var && t.edge_var < 0 && (rc = hidden_edge(b, f, c->type, &t.edge_var)) < 0)
		return rc;
	/* Between two types no second hop exists. */
	t.bounded = c->has_bounds && c->type->src_type == c->type->dst_type;
	t.empty = c->has_bounds && !t.bounded && c->min > 1;
	grown = og_arena_grow(b->a, k->travs, &k->travs_cap, k->ntravs + 1, sizeof(t));
	if (!grown)
		return no_memory(b);
	k->travs = grown;
	grown[k->ntravs++] = t;
	return add_need(b, OG_NEED_ADJ, c->type, 0);
}

static int build_block(struct builder *b, struct frame *f, const struct gq_clause *clauses, uint32_t n);

static int add_not(struct builder *b, struct frame *f, const struct gq_clause *c)
{
	struct eng_block *k = f->block;
	struct eng_not *grown, inner = { 0 };
	struct frame g = { .up = f, .not = &inner };
	int rc;

	inner.block = og_arena_array(b->a, 1, sizeof(*inner.block));
	if (!inner.block)
		return no_memory(b);
	inner.block->depth = k->depth + 1;
	g.block = inner.block;
	rc = build_block(b, &g, c->inner, c->ninner);
	if (rc < 0)
		return rc;
	grown = og_arena_grow(b->a, k->nots, &k->nots_cap, k->nnots + 1, sizeof(inner));
	if (!grown)
		return no_memory(b);
	k->nots = grown;
	grown[k->nnots++] = inner;
	return 0;
}

static int build_block(struct builder *b, struct frame *f, const struct gq_clause *clauses, uint32_t n)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const struct gq_clause *c = &clauses[i];

		switch (c->kind) {
		case GQ_BINDING:
			rc = add_binding(b, f, c);
			break;
		case GQ_TRAVERSAL:
			rc = add_traversal(b, f, c);
			break;
		case GQ_FILTER:
			rc = add_filter(b, f, c);
			break;
		case GQ_NOT:
			rc = add_not(b, f, c);
			break;
		case GQ_SEARCH_CLAUSE:
			rc = refuse_search(b, c->lhs);
			break;
		}
	}
	return rc;
}

static int projection_error(struct builder *b, const struct gq_expr *x)
{
	if (search_name(x->kind))
		return refuse_search(b, x);
	if (x->kind == GQ_X_ALIAS)
		return og_error_set(b->err, OG_ERR_BAD, "unsupported projection expression: alias '%.*s'",
				    OG_FMT(x->name));
	return og_error_set(b->err, OG_ERR_BAD, "unsupported projection expression");
}

/* A plain value of a row: property, id or constant. */
static int plain_item(struct builder *b, const struct gq_expr *x, struct eng_item *out)
{
	*out = (struct eng_item){ .var = -1 };
	if (is_constant(x)) {
		out->kind = ENG_CONST;
		out->x = x;
		return 0;
	}
	if (x->kind == GQ_X_PROP) {
		out->kind = ENG_PROP;
		out->var = x->var;
		out->prop = x->prop;
		return need_prop(b, x->var, x->prop);
	}
	if (x->kind == GQ_X_VAR && x->var >= 0) {
		out->kind = ENG_ID;
		out->var = x->var;
		return 0;
	}
	return projection_error(b, x);
}

static bool exact_sum(const struct eng_item *it)
{
	if (it->agg == GQ_COUNT || it->agg == GQ_MIN || it->agg == GQ_MAX)
		return true;
	return it->arg == ENG_PROP && it->prop->type.scalar >= OG_I32 && it->prop->type.scalar <= OG_U64;
}

static int build_item(struct builder *b, const struct gq_expr *x, struct eng_item *out)
{
	int rc;

	if (x->kind != GQ_X_AGG) {
		rc = plain_item(b, x, out);
		if (rc == 0 && out->kind == ENG_ID)
			rc = add_need(b, OG_NEED_IDS, b->p->vars[out->var].type, 0);
		return rc;
	}
	rc = plain_item(b, x->args[0], out);
	if (rc < 0)
		return rc;
	out->arg = out->kind;
	out->kind = ENG_AGG;
	out->agg = x->agg;
	if (!exact_sum(out))
		b->p->exact_weights = false;
	if (out->arg == ENG_ID && out->agg != GQ_COUNT)
		rc = add_need(b, OG_NEED_IDS, b->p->vars[out->var].type, 0);
	return rc;
}

/* Of columns that share a name each row shows the last value, in the first one's place. */
static int build_shown(struct builder *b)
{
	struct og_plan *p = b->p;
	const struct gq_item *items = p->q->read.items;

	p->shown = og_arena_array(b->a, p->nitems, sizeof(*p->shown));
	if (!p->shown)
		return no_memory(b);
	for (uint32_t i = 0; i < p->nitems; i++) {
		bool first = true;

		p->shown[i] = (int32_t)i;
		for (uint32_t j = 0; j < p->nitems; j++) {
			if (j == i || !og_slice_eq(items[j].column, items[i].column))
				continue;
			first &= j > i;
			p->shown[i] = OG_MAX(p->shown[i], (int32_t)j);
		}
		if (!first)
			p->shown[i] = -1;
	}
	return 0;
}

static int build_items(struct builder *b)
{
	const struct gq_read *r = &b->p->q->read;
	struct og_plan *p = b->p;
	int rc = 0;

	p->nitems = r->nitems;
	p->exact_weights = true;
	p->items = og_arena_array(b->a, r->nitems, sizeof(*p->items));
	if (!p->items)
		return no_memory(b);
	for (uint32_t i = 0; rc == 0 && i < r->nitems; i++) {
		rc = build_item(b, r->items[i].expr, &p->items[i]);
		p->aggregate |= rc == 0 && p->items[i].kind == ENG_AGG;
	}
	return rc < 0 ? rc : build_shown(b);
}

static int key_by_alias(struct builder *b, const struct gq_expr *x, struct eng_key *out)
{
	const struct gq_read *r = &b->p->q->read;

	for (uint32_t i = 0; i < r->nitems; i++)
		if (r->items[i].alias.len && og_slice_eq(r->items[i].alias, x->name))
			out->item = (int32_t)i;
	if (out->item < 0)
		return og_error_set(b->err, OG_ERR_BAD, "alias '%.*s' not found for ordering", OG_FMT(x->name));
	return 0;
}

/* The rows of an aggregate query have only the returned columns. */
static int key_by_column(struct builder *b, const struct gq_expr *x, struct eng_key *out)
{
	const struct gq_read *r = &b->p->q->read;

	for (uint32_t i = 0; i < r->nitems; i++) {
		struct og_slice c = r->items[i].column;

		if (c.len == x->name.len + 1 + x->prop_name.len && og_slice_starts(c, x->name) &&
		    c.p[x->name.len] == '.' &&
		    og_slice_eq(og_slice(c.p + x->name.len + 1, x->prop_name.len), x->prop_name))
			out->item = (int32_t)i;
	}
	if (out->item < 0)
		return og_error_set(b->err, OG_ERR_BAD, "column '%.*s.%.*s' not found for ordering", OG_FMT(x->name),
				    OG_FMT(x->prop_name));
	return 0;
}

static int build_key(struct builder *b, const struct gq_key *k, struct eng_key *out)
{
	const struct gq_expr *x = k->expr;

	*out = (struct eng_key){ .desc = k->desc, .item = -1 };
	if (x->kind == GQ_X_ALIAS)
		return key_by_alias(b, x, out);
	if (x->kind == GQ_X_PROP) {
		if (b->p->aggregate)
			return key_by_column(b, x, out);
		return plain_item(b, x, &out->own);
	}
	if (x->kind == GQ_X_NEAREST || x->kind == GQ_X_BM25 || x->kind == GQ_X_RRF)
		return refuse_search(b, x);
	return og_error_set(b->err, OG_ERR_BAD, "unsupported ordering expression");
}

/* All variables of the match, by name; one name's (only `_` repeats) in order of appearance. The edge of `$_:` is bound to nothing: rows that differ
 * in it alone look the same. */
static int build_ties(struct builder *b)
{
	struct og_plan *p = b->p;

	p->ties = og_arena_array(b->a, p->nvars, sizeof(*p->ties));
	if (!p->ties)
		return no_memory(b);
	for (uint32_t i = 0; i < p->q->read.nvars; i++) {
		uint32_t at = p->nties;
		int rc;

		if (p->vars[i].depth)
			continue;
		rc = add_need(b, OG_NEED_IDS, p->vars[i].type, 0);
		if (rc < 0)
			return rc;
		for (; at && og_slice_cmp(p->vars[p->ties[at - 1]].name, p->vars[i].name) > 0; at--)
			p->ties[at] = p->ties[at - 1];
		p->ties[at] = (int32_t)i;
		p->nties++;
	}
	return 0;
}

static int build_keys(struct builder *b)
{
	const struct gq_read *r = &b->p->q->read;
	struct og_plan *p = b->p;
	int rc = 0;

	p->nkeys = r->nkeys;
	p->keys = og_arena_array(b->a, r->nkeys, sizeof(*p->keys));
	if (!p->keys)
		return no_memory(b);
	for (uint32_t i = 0; rc == 0 && i < r->nkeys; i++)
		rc = build_key(b, &r->keys[i], &p->keys[i]);
	return rc < 0 || !p->nkeys || p->aggregate ? rc : build_ties(b);
}

static int build_vars(struct builder *b)
{
	const struct gq_read *r = &b->p->q->read;
	struct og_plan *p = b->p;

	p->nvars = r->nvars;
	p->vars = og_arena_array(b->a, r->nvars, sizeof(*p->vars));
	if (!p->vars)
		return no_memory(b);
	for (uint32_t i = 0; i < r->nvars; i++)
		p->vars[i] = (struct eng_var){
			.type = r->vars[i].type,
			.is_edge = r->vars[i].is_edge,
			.declared = r->vars[i].declared,
			.depth = r->vars[i].depth,
			.name = r->vars[i].anonymous ? OG_SLICE("_") : r->vars[i].name,
		};
	return 0;
}

/* A variable that an equality may look up by its key needs ids and their index; an index of no use costs only memory. */
static int need_lookup(struct builder *b, const struct eng_side *s)
{
	const struct og_type *type;
	int rc;

	if (!s->prop)
		return 0;
	type = b->p->vars[s->var].type;
	if (!s->prop->key)
		return 0;
	rc = add_need(b, OG_NEED_IDS, type, 0);
	return rc < 0 ? rc : add_need(b, OG_NEED_IDX, type, 0);
}

static int need_lookups(struct builder *b, const struct eng_block *k)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < k->ntests; i++) {
		const struct eng_test *t = &k->tests[i];

		if (t->op == GQ_EQ)
			rc = need_lookup(b, &t->lhs);
		if (rc == 0 && (t->op == GQ_EQ || (t->op == GQ_CONTAINS && !t->lhs.prop)))
			rc = need_lookup(b, &t->rhs);
	}
	for (size_t i = 0; rc == 0 && i < k->nnots; i++)
		rc = need_lookups(b, k->nots[i].block);
	return rc;
}

/* Every type that a variable ranges over, also where no image is read: a count of nodes needs their deltas all the same. */
static int need_types(struct builder *b)
{
	for (uint32_t i = 0; i < b->p->nvars; i++) {
		int rc = b->p->vars[i].type ? add_need(b, OG_NEED_ROWS, b->p->vars[i].type, 0) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

int og_plan_read(struct og_arena *a, const struct gq_query *q, const struct og_catalog *c, struct og_plan **out,
		 struct og_error *err)
{
	struct og_plan *p = og_arena_array(a, 1, sizeof(*p));
	struct builder b = { .a = a, .p = p, .err = err };
	struct frame top = { 0 };
	int rc;

	if (!p)
		return og_arena_error(a, err);
	p->q = q;
	p->c = c;
	p->has_limit = q->read.has_limit;
	p->limit = q->read.limit;
	p->match = og_arena_array(a, 1, sizeof(*p->match));
	if (!p->match)
		return og_arena_error(a, err);
	top.block = p->match;
	if ((rc = build_vars(&b)) < 0 || (rc = build_block(&b, &top, q->read.clauses, q->read.nclauses)) < 0 ||
	    (rc = build_items(&b)) < 0 || (rc = build_keys(&b)) < 0 || (rc = need_lookups(&b, p->match)) < 0 ||
	    (rc = need_types(&b)) < 0)
		return rc;
	*out = p;
	return 0;
}

const struct og_need *og_plan_needs(const struct og_plan *p, size_t *n)
{
	*n = p->nneeds;
	return p->needs;
}
