/* The checks of a load: running through sorted lists. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "load/checking.h"

static uint32_t phase_of(const struct checked *t)
{
	return t->type->kind == OG_EDGE ? LOAD_EDGES : LOAD_NODES;
}

/* ---- groups of equal entries ---- */

struct group {
	struct load_cursor cursor;
	struct load_entry next;
	int more;			/* next is valid */
	struct load_entry *v;
	size_t n, cap;
};

static int group_open(struct group *g, struct load_sorter *s, struct og_error *err)
{
	int rc;

	*g = (struct group){ 0 };
	if ((rc = load_cursor_open(&g->cursor, s, err)) < 0)
		return rc;
	g->more = load_cursor_next(&g->cursor, &g->next, err);
	return g->more < 0 ? g->more : 0;
}

static void group_close(struct group *g)
{
	load_cursor_close(&g->cursor);
	free(g->v);
}

/* 1: v[0..n) are the next entries with one hash. */
static int group_next(struct group *g, struct og_error *err)
{
	g->n = 0;
	if (g->more <= 0)
		return g->more;
	do {
		if (g->n == g->cap) {
			size_t cap = g->cap ? g->cap * 2 : 64;
			struct load_entry *v = realloc(g->v, cap * sizeof(*v));

			if (!v)
				return og_error_nomem(err);
			g->v = v;
			g->cap = cap;
		}
		g->v[g->n++] = g->next;
		g->more = load_cursor_next(&g->cursor, &g->next, err);
		if (g->more < 0)
			return g->more;
	} while (g->more && load_entry_same(&g->v[0], &g->next));
	return 1;
}

/* ---- ids within the load ---- */

static int repeated_id(struct checking *k, struct checked *t, uint32_t a, uint32_t b, struct og_error *err)
{
	bool key = t->type->nkey > 0;
	struct told x = { 0 }, y = { 0 };
	struct og_error e = { 0 };
	struct og_buf cols = { 0 }, vals = { 0 };
	struct load_rank at = { phase_of(t), t->type->index, key ? LOAD_UNIQUES : LOAD_IDS, key ? UINT32_MAX : 0, 0 };
	int rc;

	/* Rows are in the order of records. */
	at.row = b;
	if (!loader_before(k->l, &at))
		return 0;
	if ((rc = told_open(k, t, a, &x, err)) < 0 || (rc = told_open(k, t, b, &y, err)) < 0)
		goto out;
	at.row = y.meta.ordinal;
	if (key) {
		const struct og_constraint *c = NULL;

		for (uint32_t i = 0; i < t->type->nconstraints; i++)
			if (t->type->constraints[i].kind == OG_C_KEY)
				c = &t->type->constraints[i];
		if (c) {
			checked_row(x.own ? &x.rows : &t->t->rows, a - (x.own ? x.first : t->t->stored), c, x.values, &x.row);
			net_unique_text(&cols, &vals, t->type, c, &x.row);
		}
	} else {
		og_buf_str(&cols, "id");
		og_buf_slice(&vals, x.row.id);
	}
	og_error_set(&e, OG_ERR_BAD, "@unique violation on %.*s.%s: value '%s' appears in rows %u and %u (lines %u and %u)", OG_FMT(t->type->name),
		     cols.data ? cols.data : "", vals.data ? vals.data : "", x.meta.ordinal, y.meta.ordinal, x.meta.line, y.meta.line);
	loader_note(k->l, &at, &e, 0);
out:
	told_close(&x);
	told_close(&y);
	og_buf_fini(&cols);
	og_buf_fini(&vals);
	return rc;
}

int join_ids(struct checking *k, struct checked *t, struct og_error *err)
{
	bool last_wins = k->l->mode == OG_LOAD_MERGE && !t->type->nkey;
	struct group g;
	int rc, more = 0;

	rc = group_open(&g, &t->ids, err);
	while (rc == 0 && (more = group_next(&g, err)) > 0) {
		if (g.n == 1)
			continue;
		if (!last_wins)
			rc = repeated_id(k, t, g.v[0].row, g.v[1].row, err);
		for (size_t i = 0; last_wins && i + 1 < g.n; i++) {
			bit_set(t->superseded, g.v[i].row);
			t->nsuperseded++;
		}
	}
	group_close(&g);
	return rc < 0 ? rc : more;
}

/* ---- @unique ---- */

static int note_unique(struct checking *k, struct checked *t, const struct og_constraint *c, uint32_t a, uint32_t b, struct og_error *err)
{
	bool held = a & LOAD_COMMITTED;
	struct told x = { 0 }, y = { 0 };
	struct og_buf cols = { 0 }, vals = { 0 };
	struct og_error e = { 0 };
	struct load_rank at = { phase_of(t), t->type->index, LOAD_UNIQUES, c->number, b };
	int rc;

	if (!loader_before(k->l, &at))
		return 0;
	if ((rc = told_open(k, t, b, &y, err)) < 0 || (!held && (rc = told_open(k, t, a, &x, err)) < 0))
		goto out;
	at.row = y.meta.ordinal;
	net_unique_text(&cols, &vals, t->type, c, &y.row);
	if (held) {
		og_error_set(&e, OG_ERR_BAD, "@unique violation on %.*s.%s: value '%s' held by '%.*s' and '%.*s'", OG_FMT(t->type->name),
			     cols.data ? cols.data : "", vals.data ? vals.data : "", OG_FMT(og_view_id(t->base, a & ~LOAD_COMMITTED)),
			     OG_FMT(y.row.id));
		loader_note(k->l, &at, &e, y.meta.line);
	} else {
		og_error_set(&e, OG_ERR_BAD, "@unique violation on %.*s.%s: value '%s' appears in rows %u and %u (lines %u and %u)",
			     OG_FMT(t->type->name), cols.data ? cols.data : "", vals.data ? vals.data : "", x.meta.ordinal, y.meta.ordinal,
			     x.meta.line, y.meta.line);
		loader_note(k->l, &at, &e, 0);
	}
out:
	told_close(&x);
	told_close(&y);
	og_buf_fini(&cols);
	og_buf_fini(&vals);
	return rc;
}

/* Which hashes the load has, roughly: most committed values need not be sorted. */
struct sieve {
	uint64_t *bits;
	uint64_t mask;
};

static int sieve_fill(struct sieve *s, struct load_sorter *rows, struct og_error *err)
{
	uint64_t want = load_sorter_count(rows) * 8, n = 1024;
	struct load_cursor c;
	struct load_entry e;
	int rc;

	while (n < want && n < ((uint64_t)1 << 32))
		n *= 2;
	s->mask = n - 1;
	s->bits = calloc(n / 64, sizeof(*s->bits));
	if (!s->bits)
		return og_error_nomem(err);
	rc = load_cursor_open(&c, rows, err);
	while (rc == 0 && (rc = load_cursor_next(&c, &e, err)) > 0) {
		bit_set(s->bits, (uint32_t)(e.lo & s->mask));
		rc = 0;
	}
	load_cursor_close(&c);
	return rc;
}

static int view_row(struct checking *k, struct checked *t, const struct og_constraint *c, uint32_t slot, struct og_value *values, struct net_row *r,
		    struct og_error *err)
{
	const struct og_view_type *src = &k->view->types[t->type->src_type], *dst = &k->view->types[t->type->dst_type];
	uint32_t s, d;

	*r = (struct net_row){ .values = values, .slot = slot };
	for (uint32_t i = 0; i < c->ncols; i++) {
		int32_t col = c->cols[i];

		if (col >= 0 && og_view_value(t->base, (uint32_t)col, slot, &k->scratch, &values[col]) < 0)
			return og_arena_error(&k->scratch, err);
		if (col >= 0)
			continue;
		og_view_endpoints(t->base, slot, &s, &d);
		r->src = og_view_id(src, s);
		r->dst = og_view_id(dst, d);
	}
	return 0;
}

/* Committed rows that stay and hold a value of the load, perhaps. */
static int held_values(struct checking *k, struct checked *t, struct unique *u, struct load_sorter *held, struct og_error *err)
{
	struct og_value *values = calloc(t->type->nprops + 1, sizeof(*values));
	struct sieve s = { 0 };
	struct og_buf tuple = { 0 };
	uint32_t cursor = 0, slots[1024];
	size_t got;
	int rc = values ? sieve_fill(&s, &u->rows, err) : og_error_nomem(err);

	while (rc == 0 && (got = og_view_scan(t->base, &cursor, slots, OG_COUNT(slots))) > 0) {
		og_arena_reset(&k->scratch);
		for (size_t i = 0; rc == 0 && i < got; i++) {
			struct load_entry e;
			struct net_row r;

			if (bit_get(t->replaced, slots[i]))
				continue;
			rc = view_row(k, t, u->c, slots[i], values, &r, err);
			if (rc < 0 || !net_tuple(&tuple, t->type, u->c, &r))
				continue;
			e = load_entry_of(og_buf_view(&tuple), LOAD_COMMITTED | slots[i], 0);
			if (bit_get(s.bits, (uint32_t)(e.lo & s.mask)))
				rc = load_sorter_add(held, &e, err);
		}
	}
	if (rc == 0)
		rc = og_buf_ok(&tuple, err);
	og_buf_fini(&tuple);
	free(s.bits);
	free(values);
	return rc;
}

/* The first two rows of the load in a group that are not superseded; returns how many (0, 1, 2). */
static unsigned first_two(const struct checked *t, const struct group *g, uint32_t out[2])
{
	unsigned n = 0;

	for (size_t i = 0; n < 2 && i < g->n; i++)
		if (!bit_get(t->superseded, g->v[i].row))
			out[n++] = g->v[i].row;
	return n;
}

static int join_unique(struct checking *k, struct checked *t, struct unique *u, struct load_sorter *held, struct og_error *err)
{
	struct load_cursor c = { 0 };
	struct load_entry e;
	struct group g;
	uint32_t rows[2];
	int rc, more = 0, have = 0;

	rc = group_open(&g, &u->rows, err);
	if (rc == 0 && (rc = load_cursor_open(&c, held, err)) == 0)
		rc = have = load_cursor_next(&c, &e, err);
	rc = rc < 0 ? rc : 0;
	while (rc == 0 && (more = group_next(&g, err)) > 0) {
		unsigned n = first_two(t, &g, rows);

		while (have > 0 && (e.hi < g.v[0].hi || (e.hi == g.v[0].hi && e.lo < g.v[0].lo)))
			have = load_cursor_next(&c, &e, err);
		if (have < 0)
			rc = have;
		else if (n == 2)
			rc = note_unique(k, t, u->c, rows[0], rows[1], err);
		else if (n == 1 && have && load_entry_same(&e, &g.v[0]))
			rc = note_unique(k, t, u->c, e.row, rows[0], err);
	}
	load_cursor_close(&c);
	group_close(&g);
	return rc < 0 ? rc : more;
}

int join_uniques(struct checking *k, struct checked *t, struct og_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < t->nuniques; i++) {
		struct load_sorter held;

		load_sorter_init(&held, &k->budget);
		if (t->against && load_sorter_count(&t->uniques[i].rows))
			rc = held_values(k, t, &t->uniques[i], &held, err);
		if (rc == 0)
			rc = join_unique(k, t, &t->uniques[i], &held, err);
		load_sorter_fini(&held);
	}
	return rc;
}

/* ---- ends ---- */

static int note_end(struct checking *k, struct checked *edge, unsigned end, uint32_t row, struct og_error *err)
{
	const struct og_type *node = k->types[end ? edge->type->dst_type : edge->type->src_type].type;
	struct load_rank at = { LOAD_ENDS, edge->type->index, 0, 0, (uint64_t)row * 2 + end };
	struct og_error e = { 0 };
	struct told t;
	int rc;

	if (!loader_before(k->l, &at))
		return 0;
	if ((rc = told_open(k, edge, row, &t, err)) < 0)
		return rc;
	og_error_set(&e, OG_ERR_BAD, "%s '%.*s' not found in %.*s", end ? "dst" : "src", OG_FMT(end ? t.row.dst : t.row.src), OG_FMT(node->name));
	loader_note(k->l, &at, &e, t.meta.line);
	told_close(&t);
	return 0;
}

/* The entries of `wanted` that `ids` lacks, one by one. */
static int missing_ids(struct load_sorter *wanted, struct load_sorter *ids, int (*lacks)(void *arg, const struct load_entry *e, struct og_error *err),
		       void *arg, struct og_error *err)
{
	struct load_cursor a = { 0 }, b = { 0 };
	struct load_entry w, id;
	int rc, have = 0, more = 0;

	rc = load_cursor_open(&a, wanted, err);
	if (rc == 0 && (rc = load_cursor_open(&b, ids, err)) == 0)
		have = load_cursor_next(&b, &id, err);
	while (rc == 0 && have >= 0 && (more = load_cursor_next(&a, &w, err)) > 0) {
		while (have > 0 && (id.hi < w.hi || (id.hi == w.hi && id.lo < w.lo)))
			have = load_cursor_next(&b, &id, err);
		if (have >= 0 && (have == 0 || !load_entry_same(&id, &w)))
			rc = lacks(arg, &w, err);
	}
	load_cursor_close(&a);
	load_cursor_close(&b);
	return rc < 0 ? rc : have < 0 ? have : more;
}

struct end_search {
	struct checking *k;
	struct checked *edge;
	unsigned end;
};

static int lacks_end(void *arg, const struct load_entry *e, struct og_error *err)
{
	struct end_search *s = arg;

	return bit_get(s->edge->superseded, e->row) ? 0 : note_end(s->k, s->edge, s->end, e->row, err);
}

int join_ends(struct checking *k, struct checked *edge, struct og_error *err)
{
	int rc = 0;

	for (unsigned end = 0; rc == 0 && end < 2; end++) {
		struct checked *node = &k->types[end ? edge->type->dst_type : edge->type->src_type];
		struct end_search s = { k, edge, end };

		rc = missing_ids(&edge->ends[end], &node->ids, lacks_end, &s, err);
	}
	return rc;
}

struct orphan_search {
	struct checking *k;
	struct checked *node;
};

static int lacks_orphan(void *arg, const struct load_entry *e, struct og_error *err)
{
	struct orphan_search *s = arg;
	const struct checked *node = s->node;
	struct load_rank at = { LOAD_ENDS, e->extra / 2, 1, e->extra % 2, e->row & ~LOAD_COMMITTED };
	struct og_error told = { 0 };

	(void)err;
	og_error_set(&told, OG_ERR_BAD, "%s '%.*s' not found in %.*s", e->extra % 2 ? "dst" : "src",
		     OG_FMT(og_view_id(node->base, e->row & ~LOAD_COMMITTED)), OG_FMT(node->type->name));
	return loader_note(s->k->l, &at, &told, 0);
}

int join_orphans(struct checking *k, struct checked *node, struct og_error *err)
{
	struct orphan_search s = { k, node };

	return missing_ids(&node->orphans, &node->ids, lacks_orphan, &s, err);
}

/* ---- @card ---- */

static uint64_t live_degree(const struct og_view_type *edges, uint32_t slot)
{
	uint32_t state = 0, peers[256];
	uint64_t n = 0;
	size_t got;

	while ((got = og_view_expand(edges, OG_OUT, slot, &state, peers, NULL, OG_COUNT(peers))) > 0)
		n += got;
	return n;
}

static int note_card(struct checking *k, struct checked *edge, int64_t count, uint32_t row, uint32_t slot, struct og_error *err)
{
	const struct og_type *et = edge->type;
	bool max = count > (int64_t)et->card_max && et->card_max != UINT32_MAX, told_row = !(row & LOAD_COMMITTED);
	struct load_rank at = { LOAD_CARDS, et->index, 0, 0, row };
	struct og_error e = { 0 };
	struct told t = { 0 };
	struct og_slice id;
	int rc;

	if (!loader_before(k->l, &at))
		return 0;
	if (told_row && (rc = told_open(k, edge, row, &t, err)) < 0)
		return rc;
	id = told_row ? t.row.src : og_view_id(&k->view->types[et->src_type], slot);
	og_error_set(&e, OG_ERR_BAD, "@card violation on edge %.*s: source '%.*s' has %" PRId64 " edges (%s %u)", OG_FMT(et->name), OG_FMT(id), count,
		     max ? "max" : "min", max ? et->card_max : et->card_min);
	loader_note(k->l, &at, &e, t.meta.line);
	told_close(&t);
	return 0;
}

int join_sources(struct checking *k, struct checked *edge, struct og_error *err)
{
	const struct og_type *et = edge->type;
	struct group g;
	int rc, more = 0;

	rc = group_open(&g, &edge->sources, err);
	while (rc == 0 && (more = group_next(&g, err)) > 0) {
		uint32_t slot = OG_SLOT_NONE, row = g.v[0].row;
		int64_t count = 0;

		for (size_t i = 0; i < g.n; i++) {
			if (g.v[i].extra != OG_SLOT_NONE)
				slot = g.v[i].extra;
			if (g.v[i].row & LOAD_COMMITTED) {
				count--;
			} else if (!bit_get(edge->superseded, g.v[i].row)) {
				count++;
				row = g.v[i].row;
			}
		}
		if (edge->against && slot != OG_SLOT_NONE)
			count += (int64_t)live_degree(edge->base, slot);
		if (count > 0 && ((et->card_max != UINT32_MAX && count > (int64_t)et->card_max) || count < (int64_t)et->card_min))
			rc = note_card(k, edge, count, row, slot, err);
	}
	group_close(&g);
	return rc < 0 ? rc : more;
}
