/* The checks of a load: what is read from its rows. */
#include "config.h"

#include "load/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "format/keys.h"
#include "load/checking.h"

/* ---- keys ---- */

static void key_add(struct load_keys *k, enum og_key_kind kind, uint32_t type_id, struct og_slice payload)
{
	if (k->over)
		return;
	if (k->n == k->cap) {
		k->n = og_keys_sort(k->v, k->n);
		/* Mostly different ones: the rest will not fit either. */
		k->over = k->n > k->cap / 4 * 3;
		if (k->over)
			return;
	}
	k->v[k->n++] = og_key_hash(kind, type_id, payload);
}

/* Who overwrites whole types lists no keys. */
static int keys_init(struct load_keys *k, enum og_load_mode mode, struct og_error *err)
{
	k->over = mode == OG_LOAD_OVERWRITE;
	if (k->over)
		return 0;
	k->cap = OG_KEYS_MAX + OG_KEYS_MAX / 2;
	k->v = malloc(k->cap * sizeof(*k->v));
	return k->v ? 0 : og_error_nomem(err);
}

/* ---- rows ---- */

void checked_row(const struct og_change *rows, uint32_t row, const struct og_constraint *c, struct og_value *values, struct net_row *out)
{
	*out = (struct net_row){ .id = og_colvec_str(&rows->id, row), .values = values, .slot = OG_SLOT_NONE };
	if (rows->type->kind == OG_EDGE) {
		out->src = og_colvec_str(&rows->src, row);
		out->dst = og_colvec_str(&rows->dst, row);
	}
	for (uint32_t i = 0; c && i < c->ncols; i++) {
		int32_t col = c->cols[i];

		if (col < 0)
			continue;
		/* A column without rows has no value in any. */
		values[col] = rows->props[col].rows ? og_colvec_get(&rows->props[col], row) : (struct og_value){ .kind = OG_V_NULL };
	}
}

/* Lists have no canonical text. */
static int unique_type(struct checking *k, const struct checked *t, const struct unique *u, const struct og_value *values, const struct load_meta *meta)
{
	struct load_rank at = { t->type->kind == OG_EDGE ? LOAD_EDGES : LOAD_NODES, t->type->index, LOAD_UNIQUES, u->c->number, meta->ordinal };
	struct og_error e = { 0 };
	struct og_buf b = { 0 };

	for (uint32_t i = 0; i < u->c->ncols; i++) {
		int32_t col = u->c->cols[i];
		const struct og_property *p = col < 0 ? NULL : &t->type->props[col];

		if (!p || values[col].kind == OG_V_NULL || (!p->type.list && p->type.scalar != OG_VECTOR && p->type.scalar != OG_BLOB))
			continue;
		og_proptype_format_base(&b, &p->type);
		og_error_set(&e, OG_ERR_BAD, "uniqueness key: unsupported column type %s of %.*s.%.*s", b.data ? b.data : "", OG_FMT(t->type->name),
			     OG_FMT(p->name));
		og_buf_fini(&b);
		return loader_note(k->l, &at, &e, meta->line);
	}
	return 0;
}

static int read_uniques(struct checking *k, struct checked *t, const struct og_change *rows, uint32_t i, uint32_t row, const struct load_meta *meta,
			struct og_value *values, struct og_buf *tuple, struct og_error *err)
{
	int rc = 0;

	for (uint32_t u = 0; rc == 0 && u < t->nuniques; u++) {
		struct load_entry e;
		struct net_row r;

		checked_row(rows, i, t->uniques[u].c, values, &r);
		if (!net_tuple(tuple, t->type, t->uniques[u].c, &r)) {
			unique_type(k, t, &t->uniques[u], values, meta);
			continue;
		}
		if ((rc = og_buf_ok(tuple, err)) < 0)
			return rc;
		e = load_entry_of(og_buf_view(tuple), row, 0);
		rc = load_sorter_add(&t->uniques[u].rows, &e, err);
		key_add(&k->out->read, OG_KEY_UNIQUE, t->type->id, og_buf_view(tuple));
		key_add(&k->out->written, OG_KEY_UNIQUE, t->type->id, og_buf_view(tuple));
	}
	return rc;
}

static void note_existing(struct checking *k, const struct checked *t, struct og_slice id, const struct load_meta *meta)
{
	bool edge = t->type->kind == OG_EDGE;
	struct load_rank at = { edge ? LOAD_EDGES : LOAD_NODES, t->type->index, LOAD_IDS, 1, meta->ordinal };
	struct og_error e = { 0 };

	if (!loader_before(k->l, &at))
		return;
	og_error_set(&e, OG_ERR_CONFLICT, "%s type '%.*s' already has this id", edge ? "edge" : "node", OG_FMT(t->type->name));
	e.detail.kind = OG_DETAIL_KEY;
	snprintf(e.detail.name, sizeof(e.detail.name), "%.*s", OG_FMT(t->type->table_key));
	snprintf(e.detail.id, sizeof(e.detail.id), "%.*s", OG_FMT(id));
	loader_note(k->l, &at, &e, meta->line);
}

/* A committed edge goes: its source has one less, and both of its ends change. */
static int read_replaced(struct checking *k, struct checked *t, uint32_t slot, struct og_error *err)
{
	const struct og_view_type *src = &k->view->types[t->type->src_type], *dst = &k->view->types[t->type->dst_type];
	uint32_t s, d;
	struct load_entry e;

	og_view_endpoints(t->base, slot, &s, &d);
	key_add(&k->out->written, OG_KEY_INCIDENT, src->type->id, og_view_id(src, s));
	key_add(&k->out->written, OG_KEY_INCIDENT, dst->type->id, og_view_id(dst, d));
	if (!t->type->has_card)
		return 0;
	key_add(&k->out->written, OG_KEY_CARD, t->type->id, og_view_id(src, s));
	e = load_entry_of(og_view_id(src, s), LOAD_COMMITTED | slot, s);
	return load_sorter_add(&t->sources, &e, err);
}

static int read_id(struct checking *k, struct checked *t, struct og_slice id, uint32_t row, const struct load_meta *meta, struct og_error *err)
{
	struct load_entry e = load_entry_of(id, row, OG_SLOT_NONE);
	int rc = load_sorter_add(&t->ids, &e, err);
	uint32_t slot;

	if (rc < 0)
		return rc;
	key_add(&k->out->read, OG_KEY_ENTITY, t->type->id, id);
	key_add(&k->out->written, OG_KEY_ENTITY, t->type->id, id);
	slot = t->against ? og_view_find(t->base, id) : OG_SLOT_NONE;
	if (slot == OG_SLOT_NONE)
		return 0;
	if (k->l->mode == OG_LOAD_APPEND)
		note_existing(k, t, id, meta);
	if (!bit_set(t->replaced, slot))
		return 0;
	t->nreplaced++;
	return t->type->kind == OG_EDGE && k->l->mode == OG_LOAD_MERGE ? read_replaced(k, t, slot, err) : 0;
}

/* Rows whose hashes are made, and whose places in the tables are asked for, before the first of them is looked up. */
#define AHEAD 64u

struct ends_ahead {
	struct load_entry e[2][AHEAD];
};

static void hash_ends(struct checking *k, const struct checked *t, const struct og_change *rows, uint32_t first, struct ends_ahead *a)
{
	uint32_t n = OG_MIN(AHEAD, (uint32_t)rows->rows - first);

	for (unsigned end = 0; end < 2; end++) {
		const struct checked *node = &k->types[end ? t->type->dst_type : t->type->src_type];
		const struct og_colvec *c = end ? &rows->dst : &rows->src;

		for (uint32_t i = 0; i < n; i++) {
			a->e[end][i] = load_entry_of(og_colvec_str(c, first + i), 0, 0);
			load_idset_expect(&node->known, &a->e[end][i]);
		}
	}
}

static int read_ends(struct checking *k, struct checked *t, const struct og_change *rows, uint32_t i, uint32_t row, const struct ends_ahead *a,
		     struct og_error *err)
{
	int rc = 0;

	for (unsigned end = 0; rc == 0 && end < 2; end++) {
		const struct checked *node = &k->types[end ? t->type->dst_type : t->type->src_type];
		struct og_slice id = og_colvec_str(end ? &rows->dst : &rows->src, i);
		uint32_t slot = node->against ? og_view_find(node->base, id) : OG_SLOT_NONE;
		bool card = end == 0 && t->type->has_card;
		struct load_entry e;

		if (slot != OG_SLOT_NONE) {
			key_add(&k->out->written, OG_KEY_INCIDENT, node->type->id, id);
			key_add(&k->out->read, OG_KEY_ENTITY, node->type->id, id);
			if (card) {
				key_add(&k->out->written, OG_KEY_CARD, t->type->id, id);
				key_add(&k->out->read, OG_KEY_CARD, t->type->id, id);
			}
			if (!card)
				continue;
		}
		e = a->e[end][i % AHEAD];
		e.row = row;
		e.extra = slot;
		if (slot == OG_SLOT_NONE && !load_idset_has(&node->known, &e))
			rc = load_sorter_add(&t->ends[end], &e, err);
		if (rc == 0 && card)
			rc = load_sorter_add(&t->sources, &e, err);
	}
	return rc;
}

static int read_rows(struct checking *k, struct checked *t, const struct og_change *rows, uint32_t first, const struct load_meta *meta,
		     struct og_error *err)
{
	struct og_value *values = calloc(t->type->nprops + 1, sizeof(*values));
	struct og_buf tuple = { 0 };
	struct ends_ahead ahead;
	int rc = values ? 0 : og_error_nomem(err);

	for (uint32_t i = 0; rc == 0 && i < rows->rows; i++) {
		if (!meta[i].generated)
			rc = read_id(k, t, og_colvec_str(&rows->id, i), first + i, &meta[i], err);
		if (t->type->kind == OG_EDGE && i % AHEAD == 0)
			hash_ends(k, t, rows, i, &ahead);
		if (rc == 0 && t->type->kind == OG_EDGE)
			rc = read_ends(k, t, rows, i, first + i, &ahead, err);
		if (rc == 0 && t->nuniques)
			rc = read_uniques(k, t, rows, i, first + i, &meta[i], values, &tuple, err);
	}
	free(values);
	og_buf_fini(&tuple);
	return rc;
}

static int read_type(struct checking *k, struct checked *t, struct og_error *err)
{
	struct og_loader *l = k->l;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < l->nchunks; i++) {
		struct load_chunk *c = &l->chunks[i];
		struct og_change rows;
		struct load_meta *meta;

		if (c->type != t->type->index)
			continue;
		if ((rc = loader_read(l, c, t->props, &rows, &meta, err)) < 0)
			return rc;
		rc = read_rows(k, t, &rows, c->first, meta, err);
		og_change_fini(&rows);
		free(meta);
	}
	if (rc == 0 && t->t->rows.rows)
		rc = read_rows(k, t, &t->t->rows, t->t->stored, t->t->meta, err);
	return rc;
}

/* ---- a row for the text of an error ---- */

int told_open(struct checking *k, struct checked *c, uint32_t row, struct told *out, struct og_error *err)
{
	struct og_change *rows = &c->t->rows;
	uint32_t at = row - c->t->stored;
	struct load_meta *meta;
	int rc;

	*out = (struct told){ .values = calloc(c->type->nprops + 1, sizeof(*out->values)) };
	if (!out->values)
		return og_error_nomem(err);
	if (row >= c->t->stored) {
		out->meta = c->t->meta[at];
	} else {
		struct load_chunk *chunk = k->l->chunks;

		while (chunk->type != c->type->index || row - chunk->first >= chunk->rows)
			chunk++;
		if ((rc = loader_read(k->l, chunk, c->props, &out->rows, &meta, err)) < 0) {
			told_close(out);
			return rc;
		}
		out->own = true;
		out->first = chunk->first;
		rows = &out->rows;
		at = row - chunk->first;
		out->meta = meta[at];
		free(meta);
	}
	checked_row(rows, at, NULL, out->values, &out->row);
	for (uint32_t u = 0; u < c->nuniques; u++)
		checked_row(rows, at, c->uniques[u].c, out->values, &out->row);
	return 0;
}

void told_close(struct told *t)
{
	if (t->own)
		og_change_fini(&t->rows);
	free(t->values);
	*t = (struct told){ 0 };
}

/* ---- edges that lose an end ---- */

static int edge_orphans(struct checking *k, const struct og_type *et, struct og_error *err)
{
	const struct og_view_type *edges = &k->view->types[et->index];
	uint32_t cursor = 0, slots[1024], ends[2][1024];
	size_t got;
	int rc = 0;

	while (rc == 0 && (got = og_view_scan(edges, &cursor, slots, OG_COUNT(slots))) > 0) {
		og_view_gather_endpoints(edges, slots, got, ends[0], ends[1]);
		for (unsigned end = 0; end < 2; end++) {
			struct checked *node = &k->types[end ? et->dst_type : et->src_type];

			for (size_t i = 0; rc == 0 && node->t->used && i < got; i++) {
				uint32_t slot = ends[end][i];
				struct load_entry e;

				/* Of many edges at a node the first stands for all. */
				if (!bit_set(node->replaced, slot))
					continue;
				e = load_entry_of(og_view_id(node->base, slot), LOAD_COMMITTED | slot, et->index * 2 + end);
				rc = load_sorter_add(&node->orphans, &e, err);
			}
		}
	}
	return rc;
}

static int read_orphans(struct checking *k, struct og_error *err)
{
	int rc = 0;

	if (k->l->mode != OG_LOAD_OVERWRITE)
		return 0;
	for (uint32_t i = 0; rc == 0 && i < k->l->ntypes; i++) {
		const struct og_type *et = k->types[i].type;

		if (et->kind == OG_EDGE && !k->types[i].t->used && k->types[i].base->rows &&
		    (k->types[et->src_type].t->used || k->types[et->dst_type].t->used))
			rc = edge_orphans(k, et, err);
	}
	return rc;
}

/* ---- as a whole ---- */

static int init_uniques(struct checking *k, struct checked *t, struct og_error *err)
{
	const struct og_type *type = t->type;

	t->uniques = calloc(type->nconstraints + 1, sizeof(*t->uniques));
	t->props = calloc(type->nprops + 1, sizeof(*t->props));
	if (!t->uniques || !t->props)
		return og_error_nomem(err);
	for (uint32_t i = 0; i < type->nconstraints; i++) {
		const struct og_constraint *c = &type->constraints[i];

		if (!net_is_unique(c))
			continue;
		t->uniques[t->nuniques].c = c;
		load_sorter_init(&t->uniques[t->nuniques++].rows, &k->budget);
		for (uint32_t n = 0; n < c->ncols; n++)
			if (c->cols[n] >= 0)
				t->props[c->cols[n]] = true;
	}
	for (uint32_t i = 0; type->nkey && i < type->nkey; i++)
		t->props[type->key_cols[i]] = true;
	return 0;
}

static int init_type(struct checking *k, struct checked *t, uint32_t index, struct og_error *err)
{
	t->t = &k->l->types[index];
	t->type = t->t->type;
	t->base = &k->view->types[index];
	t->stored = t->t->stored + t->t->rows.rows;
	t->against = t->base->rows > 0 && !(k->l->mode == OG_LOAD_OVERWRITE && t->t->used);
	load_sorter_init(&t->ids, &k->budget);
	load_sorter_init(&t->ends[0], &k->budget);
	load_sorter_init(&t->ends[1], &k->budget);
	load_sorter_init(&t->sources, &k->budget);
	load_sorter_init(&t->orphans, &k->budget);
	if (!t->t->used)
		return 0;
	t->replaced = calloc(t->base->slots / 64 + 1, sizeof(*t->replaced));
	t->superseded = calloc(t->stored / 64 + 1, sizeof(*t->superseded));
	if (!t->replaced || !t->superseded)
		return og_error_nomem(err);
	return init_uniques(k, t, err);
}

static void fini_type(struct checked *t)
{
	load_sorter_fini(&t->ids);
	load_idset_fini(&t->known);
	load_sorter_fini(&t->ends[0]);
	load_sorter_fini(&t->ends[1]);
	load_sorter_fini(&t->sources);
	load_sorter_fini(&t->orphans);
	for (uint32_t i = 0; i < t->nuniques; i++)
		load_sorter_fini(&t->uniques[i].rows);
	free(t->uniques);
	free(t->props);
	free(t->replaced);
	free(t->superseded);
}

/* Nodes first: most ends of edges then need no list. */
static int read_types(struct checking *k, struct og_error *err)
{
	int rc = 0;

	for (unsigned edges = 0; edges < 2; edges++) {
		for (uint32_t i = 0; rc == 0 && i < k->l->ntypes; i++) {
			struct checked *t = &k->types[i];

			if (!t->t->used || (t->type->kind == OG_EDGE) != edges)
				continue;
			rc = read_type(k, t, err);
			if (!edges)
				load_idset_fill(&t->known, &t->ids);
		}
	}
	for (uint32_t i = 0; i < k->l->ntypes; i++)
		load_idset_fini(&k->types[i].known);
	return rc;
}

static int check_all(struct checking *k, struct og_error *err)
{
	uint32_t n = k->l->ntypes;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = init_type(k, &k->types[i], i, err);
	rc = rc < 0 ? rc : read_types(k, err);
	if (rc == 0)
		rc = read_orphans(k, err);
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		if (k->types[i].t->used && (rc = join_ids(k, &k->types[i], err)) == 0)
			rc = join_uniques(k, &k->types[i], err);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		struct checked *t = &k->types[i];

		if (t->type->kind == OG_NODE)
			rc = t->t->used ? join_orphans(k, t, err) : 0;
		else if (t->t->used && (rc = join_ends(k, t, err)) == 0 && t->type->has_card)
			rc = join_sources(k, t, err);
	}
	return rc;
}

static void finish(struct checking *k)
{
	struct load_verdict *v = k->out;

	for (uint32_t i = 0; i < k->l->ntypes; i++) {
		const struct checked *t = &k->types[i];
		uint64_t rows = t->stored - t->nsuperseded;

		v->tables[i] = (struct load_table){ t->t->used, rows, (int64_t)rows - (int64_t)t->nreplaced };
	}
	v->read.n = og_keys_sort(v->read.v, v->read.n);
	v->written.n = og_keys_sort(v->written.v, v->written.n);
	v->all_keys = v->read.over || v->written.over || v->read.n > OG_KEYS_MAX || v->written.n > OG_KEYS_MAX;
}

int og_load_check(struct og_loader *l, struct og_view *v, struct load_verdict *out, struct og_error *err)
{
	struct checking k = { .l = l, .view = v, .budget = { .limit = l->budget, .spill = l->spill }, .out = out };
	int rc;

	*out = (struct load_verdict){ 0 };
	l->doomed = false;
	og_arena_init(&k.scratch, 0);
	k.types = calloc(l->ntypes ? l->ntypes : 1, sizeof(*k.types));
	out->tables = calloc(l->ntypes ? l->ntypes : 1, sizeof(*out->tables));
	if (!k.types || !out->tables)
		rc = og_error_nomem(err);
	else if ((rc = keys_init(&out->read, l->mode, err)) == 0 && (rc = keys_init(&out->written, l->mode, err)) == 0)
		rc = check_all(&k, err);
	if (rc == 0)
		finish(&k);
	for (uint32_t i = 0; k.types && i < l->ntypes; i++)
		fini_type(&k.types[i]);
	free(k.types);
	og_arena_fini(&k.scratch);
	if (rc == 0 && l->doomed) {
		*err = l->first;
		rc = err->code;
	}
	if (rc < 0)
		og_load_verdict_fini(out);
	return rc;
}

void og_load_verdict_fini(struct load_verdict *v)
{
	free(v->tables);
	free(v->read.v);
	free(v->written.v);
	*v = (struct load_verdict){ 0 };
}

/* ---- images ---- */

struct need_list {
	struct og_need *v;
	size_t n, cap;
	bool failed;
};

static void need(struct need_list *list, enum og_need_kind kind, const struct og_type *t, uint32_t prop)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 32;
		struct og_need *v = realloc(list->v, cap * sizeof(*v));

		if (!v) {
			list->failed = true;
			return;
		}
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = (struct og_need){ kind, t, prop };
}

static void need_ids(struct need_list *list, const struct og_type *t, bool index)
{
	need(list, OG_NEED_IDS, t, 0);
	if (index)
		need(list, OG_NEED_IDX, t, 0);
}

static void need_adjacency(const struct og_catalog *c, struct need_list *list, const struct og_type *et)
{
	need(list, OG_NEED_ADJ, et, 0);
	need_ids(list, &c->types[et->src_type], false);
	need_ids(list, &c->types[et->dst_type], false);
}

static void type_needs(const struct og_loader *l, const struct og_catalog *cat, const struct load_type *t, struct need_list *list)
{
	const struct og_type *type = &cat->types[t->type->index];
	bool over = l->mode == OG_LOAD_OVERWRITE;

	if (type->kind == OG_EDGE)
		for (unsigned end = 0; end < 2; end++) {
			uint32_t node = end ? type->dst_type : type->src_type;

			if (!over || !l->types[node].used)
				need_ids(list, &cat->types[node], true);
		}
	if (over)
		return;
	if (t->named)
		need_ids(list, type, true);
	if (type->kind == OG_EDGE && (type->has_card || t->named))
		need_adjacency(cat, list, type);
	for (uint32_t i = 0; i < type->nconstraints; i++) {
		const struct og_constraint *c = &type->constraints[i];

		if (!net_is_unique(c))
			continue;
		need_ids(list, type, false);
		for (uint32_t n = 0; n < c->ncols; n++) {
			if (c->cols[n] >= 0)
				need(list, OG_NEED_COL, type, (uint32_t)c->cols[n]);
			else
				need_adjacency(cat, list, type);
		}
	}
}

int og_load_needs(const struct og_loader *l, const struct og_catalog *cat, struct og_need **needs, size_t *n, struct og_error *err)
{
	struct need_list list = { 0 };

	for (uint32_t i = 0; i < l->ntypes; i++) {
		const struct og_type *t = &cat->types[i];

		if (l->types[i].used)
			type_needs(l, cat, &l->types[i], &list);
		else if (l->mode == OG_LOAD_OVERWRITE && t->kind == OG_EDGE && (l->types[t->src_type].used || l->types[t->dst_type].used))
			need_adjacency(cat, &list, t);
	}
	if (list.failed) {
		free(list.v);
		return og_error_nomem(err);
	}
	*needs = list.v;
	*n = list.n;
	return 0;
}
