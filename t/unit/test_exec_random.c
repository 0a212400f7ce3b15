/*
 * Random queries on small random graphs, against an evaluator that tries every assignment of entities to variables.
 *
 * The evaluator walks the checked tree clause by clause and knows nothing of plans: what it shares with the engine is the language alone.
 */
#include "config.h"

#include "exec_graph.h"
#include "suite.h"

#include <stdio.h>

static const char schema[] =
	"node A { key: String @key  x: I32? }\n"
	"node B { key: String @key  x: I32? }\n"
	"edge Aa: A -> A { w: I32? }\n"
	"edge Ab: A -> B { w: I32? }\n"
	"edge Ba: B -> A { w: I32? }\n"
	"edge Bb: B -> B { w: I32? }\n";

#define MAX_NODES 7
#define MAX_EDGES 14
#define GHOST_EDGES 8
#define MAX_VARS 32
#define NONE INT32_MIN

static const char *const edge_types[] = { "Aa", "Ab", "Ba", "Bb" };

struct model {
	uint64_t seed;
	int nodes[2];		/* A, B */
	int x[2][MAX_NODES];	/* NONE: null */
	int nedges[4];
	struct {
		int src, dst, w;
		char id[16];
	} edges[4][MAX_EDGES];
};

static uint32_t rnd(struct model *m, uint32_t n)
{
	m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->seed >> 33) % n;
}

static int node_kind(const struct og_type *t)
{
	return t->name.p[0] == 'B';
}

static int edge_kind(const struct og_type *t)
{
	for (int i = 0; i < 4; i++)
		if (og_slice_is(t->name, edge_types[i]))
			return i;
	ck_abort();
}

/* --- the graph ------------------------------------------------------------------------------------------------------------------------ */

static void number(char *out, size_t n, const char *name, int v)
{
	if (v == NONE)
		*out = 0;
	else
		snprintf(out, n, ",\"%s\":%d", name, v);
}

static int maybe(struct model *m)
{
	return rnd(m, 5) ? (int)rnd(m, 4) : NONE;
}

/* Nodes and edges that deltas delete again. */
static size_t make_ghosts(struct model *m, struct graph_row *rows, char text[][96], size_t n)
{
	for (int k = 0; k < 2; k++) {
		snprintf(text[n], 96, "-{\"key\":\"ghost %c\",\"x\":1}", "ab"[k]);
		rows[n] = (struct graph_row){ k ? "B" : "A", text[n] };
		n++;
	}
	for (int i = 0; i < GHOST_EDGES; i++) {
		int e = (int)rnd(m, 4), src = edge_types[e][0] == 'B', dst = edge_types[e][1] == 'b';
		char ends[2][16];

		(void)snprintf(ends[0], 16, rnd(m, 2) ? "ghost %c" : "%c%u", "ab"[src], rnd(m, (uint32_t)m->nodes[src]));
		(void)snprintf(ends[1], 16, rnd(m, 2) ? "ghost %c" : "%c%u", "ab"[dst], rnd(m, (uint32_t)m->nodes[dst]));
		snprintf(text[n], 96, "-{\"id\":\"ghost %d\",\"from\":\"%s\",\"to\":\"%s\"}", i, ends[0], ends[1]);
		rows[n] = (struct graph_row){ edge_types[e], text[n] };
		n++;
	}
	return n;
}

static size_t make_rows(struct model *m, struct graph_row *rows, char text[][96])
{
	size_t n = 0;

	for (int k = 0; k < 2; k++) {
		m->nodes[k] = 1 + (int)rnd(m, k ? 4 : MAX_NODES);
		for (int i = 0; i < m->nodes[k]; i++) {
			char x[24];

			m->x[k][i] = maybe(m);
			number(x, sizeof(x), "x", m->x[k][i]);
			snprintf(text[n], 96, "{\"key\":\"%c%d\"%s}", "ab"[k], i, x);
			rows[n] = (struct graph_row){ k ? "B" : "A", text[n] };
			n++;
		}
	}
	for (int e = 0; e < 4; e++) {
		int src = edge_types[e][0] == 'B', dst = edge_types[e][1] == 'b';

		m->nedges[e] = (int)rnd(m, MAX_EDGES + 1);
		for (int i = 0; i < m->nedges[e]; i++) {
			char w[24];

			m->edges[e][i].src = (int)rnd(m, (uint32_t)m->nodes[src]);
			m->edges[e][i].dst = (int)rnd(m, (uint32_t)m->nodes[dst]);
			m->edges[e][i].w = maybe(m);
			snprintf(m->edges[e][i].id, sizeof(m->edges[e][i].id), "%d%d", e, 99 - i);
			number(w, sizeof(w), "w", m->edges[e][i].w);
			snprintf(text[n], 96, "{\"id\":\"%s\",\"from\":\"%c%d\",\"to\":\"%c%d\"%s}", m->edges[e][i].id, "ab"[src], m->edges[e][i].src, "ab"[dst],
				 m->edges[e][i].dst, w);
			rows[n] = (struct graph_row){ edge_types[e], text[n] };
			n++;
		}
	}
	return make_ghosts(m, rows, text, n);
}

/* --- the query ------------------------------------------------------------------------------------------------------------------------ */

static const char outer_vars[] = "abcd", inner_vars[] = "abcdpqr";

static char pick(struct model *m, const char *from)
{
	return from[rnd(m, (uint32_t)strlen(from))];
}

static void say_traversal(struct model *m, struct og_buf *q, const char *vars, int *nedge)
{
	const char *word = edge_types[rnd(m, 4)];
	bool undirected = word[0] - 'A' == word[1] - 'a' && rnd(m, 3) == 0;

	og_buf_printf(q, " $%c ", rnd(m, 8) ? pick(m, vars) : '_');
	if (rnd(m, 4) == 0)
		og_buf_printf(q, rnd(m, 4) ? "$e%d:" : "$_:", (*nedge)++);
	og_buf_printf(q, undirected ? "<%c%c>" : "%c%c", word[0] + 32, word[1]);
	if (rnd(m, 4) == 0)
		og_buf_printf(q, "{%u,%u}", 1 + rnd(m, 2), 2 + rnd(m, 3));
	og_buf_printf(q, " $%c", rnd(m, 8) ? pick(m, vars) : '_');
}

static void say_operand(struct model *m, struct og_buf *q, const char *vars, int nedge)
{
	if (rnd(m, 3) == 0)
		og_buf_printf(q, " %u", rnd(m, 4));
	else if (nedge && rnd(m, 4) == 0)
		og_buf_printf(q, " $e%u.w", rnd(m, (uint32_t)nedge));
	else
		og_buf_printf(q, " $%c.x", pick(m, vars));
}

static void say_clauses(struct model *m, struct og_buf *q, int depth, int *nedge)
{
	static const char *const ops[] = { "=", "!=", "<", "<=", ">", ">=" };
	const char *vars = depth ? inner_vars : outer_vars;
	uint32_t n = 1 + rnd(m, depth ? 3 : 4);

	for (uint32_t i = 0; i < n; i++) {
		switch (rnd(m, depth < 3 ? 9 : 7)) {
		case 0:
		case 1:
			og_buf_printf(q, " $%c: %c", pick(m, vars), "AAAB"[rnd(m, 4)]);
			if (rnd(m, 3) == 0)
				og_buf_printf(q, " { x: %u }", rnd(m, 4));
			else if (rnd(m, 5) == 0)
				og_buf_printf(q, " { key: \"a%u\" }", rnd(m, 4));
			break;
		case 2:
			say_operand(m, q, vars, *nedge);
			og_buf_printf(q, " %s", ops[rnd(m, 6)]);
			say_operand(m, q, vars, *nedge);
			break;
		case 7:
		case 8:
			og_buf_str(q, " not {");
			say_clauses(m, q, depth + 1, nedge);
			og_buf_str(q, " }");
			break;
		default:
			say_traversal(m, q, vars, nedge);
		}
	}
}

static void say_query(struct model *m, struct og_buf *q)
{
	int nedge = 0;
	char v = pick(m, outer_vars), w = pick(m, outer_vars);

	og_buf_clear(q);
	og_buf_str(q, "query q() { match {");
	say_clauses(m, q, 0, &nedge);
	switch (rnd(m, 6)) {
	case 0:
		og_buf_printf(q, " } return { count($%c) as n }", v);
		break;
	case 1:
		og_buf_printf(q, " } return { $%c.x count($%c) as n max($%c.x) as hi }", v, w, w);
		break;
	case 2:
		og_buf_printf(q, " } return { $%c sum($%c.x) as s min($%c) as lo }", v, w, w);
		break;
	case 3:
		og_buf_printf(q, " } return { $%c $%c.x } order { $%c.x%s } limit %u", v, w, w, rnd(m, 2) ? " desc" : "", rnd(m, 6));
		break;
	case 4:
		og_buf_printf(q, " } return { $%c $%c } order { $%c.x, $%c.x desc }", v, w, v, w);
		break;
	default:
		og_buf_printf(q, " } return { $%c $%c.x }", v, w);
	}
	og_buf_str(q, " }");
}

/* --- the evaluator -------------------------------------------------------------------------------------------------------------------- */

struct naive {
	const struct model *m;
	const struct gq_query *q;
	int value[MAX_VARS];	/* node or edge number; -1: none */
	int row[100000][MAX_VARS];
	size_t nrows;
};

struct block {
	const struct gq_clause *clauses;
	uint32_t n, depth;
	int32_t vars[MAX_VARS];
	int nvars;
};

static bool exists(struct naive *e, const struct gq_clause *clauses, uint32_t n, uint32_t depth);

static bool joined(const struct naive *e, int kind, int edge, int src, int dst, bool undirected)
{
	int s = e->m->edges[kind][edge].src, d = e->m->edges[kind][edge].dst;

	return (s == src && d == dst) || (undirected && s == dst && d == src);
}

static bool connected(const struct naive *e, int kind, int src, int dst, bool undirected)
{
	for (int i = 0; i < e->m->nedges[kind]; i++)
		if (joined(e, kind, i, src, dst, undirected))
			return true;
	return false;
}

/* Shortest distance between two nodes of one type; 0 for a node and itself, 99: none. */
static uint32_t distance(const struct naive *e, int kind, int from, int to, bool undirected)
{
	int n = e->m->nodes[edge_types[kind][0] == 'B'];
	uint32_t d[MAX_NODES];

	for (int i = 0; i < n; i++)
		d[i] = i == from ? 0 : 99;
	for (int round = 0; round < n; round++)
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				if (d[i] < 99 && d[i] + 1 < d[j] && connected(e, kind, i, j, undirected))
					d[j] = d[i] + 1;
	return d[to];
}

static bool reaches(const struct naive *e, const struct gq_clause *c)
{
	int kind = edge_kind(c->type), l = e->value[c->left], r = e->value[c->right];
	int src = c->left_is_source || c->undirected ? l : r, dst = c->left_is_source || c->undirected ? r : l;
	uint32_t d;

	if (!c->has_bounds)
		return connected(e, kind, src, dst, c->undirected);
	if (c->type->src_type != c->type->dst_type)
		return c->min <= 1 && connected(e, kind, src, dst, false);
	d = distance(e, kind, src, dst, c->undirected);
	return d > 0 && d >= c->min && d <= c->max && d < 99;
}

static int number_of(const struct naive *e, const struct gq_expr *x)
{
	const struct gq_var *v;

	if (x->kind == GQ_X_LITERAL)
		return (int)x->lit.i;
	v = &e->q->read.vars[x->var];
	if (v->is_edge)
		return e->m->edges[edge_kind(v->type)][e->value[x->var]].w;
	return e->m->x[node_kind(v->type)][e->value[x->var]];
}

static bool holds(const struct naive *e, const struct gq_clause *c)
{
	int l = number_of(e, c->lhs), r = number_of(e, c->rhs);

	if (l == NONE || r == NONE)
		return false;
	return c->op == GQ_EQ ? l == r : c->op == GQ_NE ? l != r : c->op == GQ_LT ? l < r : c->op == GQ_LE ? l <= r : c->op == GQ_GT ? l > r : l >= r;
}

static bool bound(const struct naive *e, const struct gq_clause *c)
{
	int kind = node_kind(c->type), v = e->value[c->var];

	for (uint32_t i = 0; i < c->nmatches; i++) {
		const struct gq_pmatch *p = &c->matches[i];
		char key[16];

		snprintf(key, sizeof(key), "%c%d", "ab"[kind], v);
		if (og_slice_is(p->name, "key") ? !og_slice_is(p->value->lit.s, key) : e->m->x[kind][v] != (int)p->value->lit.i)
			return false;
	}
	return true;
}

typedef bool (*leaf)(struct naive *e);

/* Clauses from i on, negations last; true when the leaf wants no more. */
static bool check(struct naive *e, const struct block *b, uint32_t i, bool nots, leaf done)
{
	const struct gq_clause *c = &b->clauses[i];

	if (i == b->n)
		return nots ? done(e) : check(e, b, 0, true, done);
	if (nots != (c->kind == GQ_NOT))
		return check(e, b, i + 1, nots, done);
	switch (c->kind) {
	case GQ_BINDING:
		if (!bound(e, c))
			return false;
		break;
	case GQ_FILTER:
		if (!holds(e, c))
			return false;
		break;
	case GQ_NOT:
		if (exists(e, c->inner, c->ninner, b->depth + 1))
			return false;
		break;
	case GQ_SEARCH_CLAUSE:
		ck_abort();
	case GQ_TRAVERSAL:
		if (!c->has_edge_var) {
			if (!reaches(e, c))
				return false;
			break;
		}
		for (int k = edge_kind(c->type), x = 0; x < e->m->nedges[k]; x++) {
			bool forward = c->left_is_source || c->undirected;

			if (!joined(e, k, x, e->value[forward ? c->left : c->right], e->value[forward ? c->right : c->left], c->undirected))
				continue;
			if (c->edge_var >= 0)
				e->value[c->edge_var] = x;
			if (check(e, b, i + 1, nots, done))
				return true;
		}
		return false;
	}
	return check(e, b, i + 1, nots, done);
}

static void own(const struct naive *e, struct block *b, int32_t var)
{
	for (int i = 0; i < b->nvars; i++)
		if (b->vars[i] == var)
			return;
	if (e->q->read.vars[var].depth == b->depth)
		b->vars[b->nvars++] = var;
}

static bool assign(struct naive *e, const struct block *b, int i, leaf done)
{
	int n;

	if (i == b->nvars)
		return check(e, b, 0, false, done);
	n = e->m->nodes[node_kind(e->q->read.vars[b->vars[i]].type)];
	for (int v = 0; v < n; v++) {
		e->value[b->vars[i]] = v;
		if (assign(e, b, i + 1, done))
			return true;
	}
	return false;
}

static bool run_block(struct naive *e, const struct gq_clause *clauses, uint32_t n, uint32_t depth, leaf done)
{
	struct block b = { .clauses = clauses, .n = n, .depth = depth };

	for (uint32_t i = 0; i < n; i++) {
		if (clauses[i].kind == GQ_BINDING)
			own(e, &b, clauses[i].var);
		if (clauses[i].kind == GQ_TRAVERSAL) {
			own(e, &b, clauses[i].left);
			own(e, &b, clauses[i].right);
		}
	}
	return assign(e, &b, 0, done);
}

static bool one_is_enough(struct naive *e)
{
	return true;
}

static bool exists(struct naive *e, const struct gq_clause *clauses, uint32_t n, uint32_t depth)
{
	return run_block(e, clauses, n, depth, one_is_enough);
}

static bool keep(struct naive *e)
{
	ck_assert_uint_lt(e->nrows, OG_COUNT(e->row));
	memcpy(e->row[e->nrows++], e->value, sizeof(e->value));
	return false;
}

/* --- its answer ----------------------------------------------------------------------------------------------------------------------- */

static void id_text(const struct naive *e, const int *row, int32_t var, char out[16])
{
	const struct gq_var *v = &e->q->read.vars[var];

	if (v->is_edge)
		snprintf(out, 16, "%s", e->m->edges[edge_kind(v->type)][row[var]].id);
	else
		snprintf(out, 16, "%c%d", "ab"[node_kind(v->type)], row[var]);
}

static int x_of(const struct naive *e, const int *row, int32_t var)
{
	return e->m->x[node_kind(e->q->read.vars[var].type)][row[var]];
}

/* Rows by the order keys, then by ids in byte order of names, `_` first. */
static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct naive *e = arg;
	const struct gq_read *r = &e->q->read;
	static const char names[] = "_abcd";

	for (uint32_t i = 0; i < r->nkeys; i++) {
		int x = x_of(e, a, r->keys[i].expr->var), y = x_of(e, b, r->keys[i].expr->var);

		if (x != y)
			return (x < y) != r->keys[i].desc ? -1 : 1;
	}
	for (int pass = 0; pass < 6; pass++)
		for (uint32_t v = 0; v < r->nvars; v++) {
			char x[16], y[16];
			bool mine = pass < 5 ? !r->vars[v].is_edge && r->vars[v].name.p[0] == names[pass] : r->vars[v].is_edge;

			if (r->vars[v].depth || !mine)
				continue;
			id_text(e, a, (int32_t)v, x);
			id_text(e, b, (int32_t)v, y);
			if (strcmp(x, y))
				return strcmp(x, y);
		}
	return 0;
}

static void put(const struct naive *e, struct og_buf *o, const int *row, const struct gq_item *it)
{
	char id[16];
	int x;

	if (it->expr->kind == GQ_X_VAR) {
		id_text(e, row, it->expr->var, id);
		og_buf_printf(o, "\"%s\"", id);
		return;
	}
	x = x_of(e, row, it->expr->var);
	if (x == NONE)
		og_buf_str(o, "null");
	else
		og_buf_printf(o, "%d", x);
}

static bool same_group(const struct naive *e, const int *a, const int *b)
{
	const struct gq_item *it = &e->q->read.items[0];
	char x[16], y[16];

	if (it->expr->kind == GQ_X_AGG)
		return true;
	if (it->expr->kind == GQ_X_PROP)
		return x_of(e, a, it->expr->var) == x_of(e, b, it->expr->var);
	id_text(e, a, it->expr->var, x);
	id_text(e, b, it->expr->var, y);
	return !strcmp(x, y);
}

static void put_aggregate(const struct naive *e, struct og_buf *o, size_t first, const struct gq_item *it)
{
	const struct gq_expr *arg = it->expr->args[0];
	int n = 0, sum = 0, hi = NONE;
	char lo[16] = "", id[16];

	for (size_t i = first; i < e->nrows; i++) {
		int x = arg->kind == GQ_X_PROP ? x_of(e, e->row[i], arg->var) : 0;

		if (!same_group(e, e->row[first], e->row[i]) || x == NONE)
			continue;
		n++;
		sum += x;
		hi = OG_MAX(hi, x);
		id_text(e, e->row[i], arg->var, id);
		if (!*lo || strcmp(id, lo) < 0)
			strcpy(lo, id);
	}
	if (it->expr->agg == GQ_COUNT)
		og_buf_printf(o, "%d", n);
	else if (!n)
		og_buf_str(o, "null");
	else if (it->expr->agg == GQ_SUM)
		og_buf_printf(o, "%d.0", sum);
	else if (it->expr->agg == GQ_MAX)
		og_buf_printf(o, "%d", hi);
	else
		og_buf_printf(o, "\"%s\"", lo);
}

static void put_row(const struct naive *e, struct og_buf *o, size_t i)
{
	const struct gq_read *r = &e->q->read;

	og_buf_str(o, o->len > 1 ? ",{" : "{");
	for (uint32_t k = 0; k < r->nitems; k++) {
		bool again = false;

		for (uint32_t j = 0; j < k; j++)
			again |= og_slice_eq(r->items[j].column, r->items[k].column);
		if (again)	/* the generator repeats only equal items */
			continue;
		og_buf_printf(o, "%s\"%.*s\":", k ? "," : "", OG_FMT(r->items[k].column));
		if (r->items[k].expr->kind == GQ_X_AGG)
			put_aggregate(e, o, i, &r->items[k]);
		else
			put(e, o, e->row[i], &r->items[k]);
	}
	og_buf_str(o, "}");
}

static void answer_of(struct naive *e, struct og_buf *o)
{
	const struct gq_read *r = &e->q->read;

	(void)run_block(e, r->clauses, r->nclauses, 0, keep);
	if (r->nkeys)
		qsort_r(e->row, e->nrows, sizeof(e->row[0]), compare_rows, e);
	og_buf_clear(o);
	og_buf_str(o, "[");
	for (size_t i = 0; i < e->nrows; i++) {
		bool seen = false;

		if (r->has_limit && i >= r->limit)
			break;
		for (size_t j = 0; r->aggregate && j < i && !seen; j++)
			seen = same_group(e, e->row[i], e->row[j]);
		if (!seen)
			put_row(e, o, i);
	}
	if (!e->nrows && r->aggregate && r->items[0].expr->kind == GQ_X_AGG)
		og_buf_str(o, "{\"n\":0}");
	og_buf_str(o, "]");
}

/* --- the comparison ------------------------------------------------------------------------------------------------------------------- */

static struct naive naive;	/* large */

/* False: the generator wrote something that the language refuses. */
static bool expect(const struct model *m, struct og_catalog *c, const char *query, struct og_buf *out, bool *ordered)
{
	struct og_error err = { 0 };
	struct gq_query *q;
	struct gq_file f;
	struct og_arena a;
	bool ok;

	og_arena_init(&a, 0);
	ck_assert_msg(gq_parse(&a, og_slice_str(query), &f, &err) == 0, "%s: %s", query, err.message);
	ck_assert_int_eq(gq_select(&f, og_slice(NULL, 0), &q, &err), 0);
	ok = gq_check(&a, q, c, &err) == 0 && q->read.nvars <= MAX_VARS;
	if (ok) {
		naive.m = m;
		naive.q = q;
		naive.nrows = 0;
		answer_of(&naive, out);
		*ordered = q->read.nkeys > 0;
	}
	og_arena_fini(&a);
	return ok;
}

static void compare(struct graph *g, const struct model *m, enum split split, const char *query, const char *want, bool ordered)
{
	struct run_options o = { .limits = { .row_budget = m->seed >> 60 } };
	struct answer a;
	char *got, *sorted;

	graph_query(g, query, "", &o, &a);
	ck_assert_msg(a.code == 0, "%s: %s", query, a.json);
	got = ordered ? strdup(a.json) : sorted_rows(a.json);
	sorted = ordered ? strdup(want) : sorted_rows(want);
	ck_assert_msg(!strcmp(got, sorted), "split %d: %s\n got %s\nwant %s", split, query, got, sorted);
	free(got);
	free(sorted);
	answer_fini(&a);
}

START_TEST(agrees_with_trying_everything)
{
	static char text[2 * (MAX_NODES + 1) + 4 * MAX_EDGES + GHOST_EDGES][96];
	struct graph_row rows[OG_COUNT(text)];
	struct model m = { .seed = (uint64_t)_i * 7919 + 17 };
	struct og_buf query = { 0 }, want = { 0 };
	struct graph g[SPLITS];
	int asked = 0;
	size_t n;

	for (int warm = 0; warm < 8; warm++)
		(void)rnd(&m, 2);
	n = make_rows(&m, rows, text);
	for (int s = 0; s < SPLITS; s++)
		graph_open(&g[s], schema, rows, n, s);
	for (int i = 0; i < 5000 && asked < 60; i++) {
		bool ordered;

		say_query(&m, &query);
		if (!expect(&m, g[0].catalog, query.data, &want, &ordered))
			continue;
		asked++;
		for (int s = 0; s < SPLITS; s++)
			compare(&g[s], &m, s, query.data, want.data, ordered);
	}
	ck_assert_int_eq(asked, 60);
	for (int s = 0; s < SPLITS; s++)
		graph_close(&g[s]);
	og_buf_fini(&query);
	og_buf_fini(&want);
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, agrees_with_trying_everything, 0, 60);
}

int main(void)
{
	return suite_run("exec, random", add_tests, 120);
}
