/* Lines: the base that images exist for, and the commits above it. */
#include "config.h"

#include "graph/line.h"

#include <stdlib.h>

#include "base/fd.h"
#include "graph/pin.h"

static void free_layers(struct og_line *l)
{
	for (uint32_t i = 0; l->layers && i < l->catalog->ntypes; i++) {
		struct line_layers *y = &l->layers[i];

		for (uint32_t k = 0; y->maps && k < y->n; k++)
			og_unmap(&y->maps[k]);
		free(y->wire);
		free(y->maps);
		free(y->layers);
		free(y->have);
	}
	free(l->layers);
}

void line_unref(struct og_line *l)
{
	if (!l || --l->refs > 0)
		return;
	if (l->next)
		l->next->prev = l->prev;
	if (l->prev)
		l->prev->next = l->next;
	else if (l->graph)
		l->graph->lines = l->next;
	for (uint32_t i = 0; i < l->ncommits; i++)
		free(l->commits[i]);
	free(l->commits);
	og_view_unref(l->cur);
	og_view_unref(l->base);
	if (l->catalog)
		free_layers(l);
	og_catalog_unref(l->catalog);
	free(l->touched);
	free(l->applied);
	free(l->meta);
	free(l->name);
	free(l);
}

struct og_line *line_ref(struct og_line *l)
{
	l->refs++;
	return l;
}

static int compile_catalog(struct og_line *l, const struct og_wire_head *h, struct og_error *err)
{
	struct og_type_id *ids = calloc(h->ntypes ? h->ntypes : 1, sizeof(*ids));
	int rc;

	if (!ids)
		return og_error_nomem(err);
	for (uint32_t i = 0; i < h->ntypes; i++)
		ids[i] = (struct og_type_id){ h->types[i].type_id, h->types[i].kind, h->types[i].name };
	rc = og_catalog_compile(h->schema, ids, h->ntypes, &l->catalog, err);
	free(ids);
	return rc;
}

static int copy_layers(struct line_layers *y, const struct og_wire_type *t, struct og_error *err)
{
	size_t n = t->nlayers ? t->nlayers : 1;

	y->n = t->nlayers;
	y->wire = calloc(n, sizeof(*y->wire));
	y->maps = calloc(n, sizeof(*y->maps));
	y->layers = calloc(n, sizeof(*y->layers));
	y->have = calloc(n, sizeof(*y->have));
	if (!y->wire || !y->maps || !y->layers || !y->have)
		return og_error_nomem(err);
	if (t->nlayers)
		memcpy(y->wire, t->layers, t->nlayers * sizeof(*y->wire));
	return 0;
}

/* Node types before edge types: setting the base of a node type drops its edge types. */
static int set_base(struct og_line *l, const struct og_wire_head *h, enum og_type_kind kind, struct og_error *err)
{
	for (uint32_t i = 0; i < h->ntypes; i++) {
		const struct og_wire_type *w = &h->types[i];
		const struct og_type *t = og_catalog_by_id(l->catalog, w->type_id);
		struct og_view_type *v;
		int rc;

		if (!t || t->kind != kind)
			continue;
		if (w->base_rows >= OG_SLOT_NONE)
			return og_error_set(err, OG_ERR_TOO_LARGE, "type %.*s has %llu rows: more than one graph can hold", OG_FMT(t->name),
					    (unsigned long long)w->base_rows);
		rc = og_view_set_base(l->base, t->index, (struct og_content_key){ w->content.hi, w->content.lo }, (uint32_t)w->base_rows, err);
		if (rc < 0)
			return rc;
		v = &l->base->types[t->index];
		v->table_version = w->table_version;
		v->owner = w->owner;
		l->meta[t->index] = (struct og_snap_type){ w->base_rows, w->table_version, w->owner };
		if (l->layers && (rc = copy_layers(&l->layers[t->index], w, err)) < 0)
			return rc;
	}
	return 0;
}

static int fill(struct og_line *l, const struct og_wire_head *h, bool direct, struct og_error *err)
{
	int rc;

	l->branch = h->branch;
	l->base_commit = h->base_commit;
	l->base_seq = h->base_seq;
	l->base_version = h->base_version;
	l->seq = h->seq;
	l->bell = h->bell;
	l->name = strndup(h->branch_name.len ? h->branch_name.p : "", h->branch_name.len);
	if (!l->name)
		return og_error_nomem(err);
	if ((rc = compile_catalog(l, h, err)) < 0)
		return rc;
	l->applied = calloc(l->catalog->ntypes ? l->catalog->ntypes : 1, sizeof(*l->applied));
	l->touched = malloc((l->catalog->ntypes ? l->catalog->ntypes : 1) * sizeof(*l->touched));
	l->meta = calloc(l->catalog->ntypes ? l->catalog->ntypes : 1, sizeof(*l->meta));
	l->base = og_view_new(l->catalog);
	if (direct)
		l->layers = calloc(l->catalog->ntypes ? l->catalog->ntypes : 1, sizeof(*l->layers));
	if (!l->applied || !l->touched || !l->meta || !l->base || (direct && !l->layers))
		return og_error_nomem(err);
	memset(l->touched, 0xff, l->catalog->ntypes * sizeof(*l->touched));
	l->base->graph = h->graph;
	l->base->branch = h->branch;
	l->base->commit = h->base_commit;
	l->base->seq = h->base_seq;
	l->base->version = h->base_version;
	if ((rc = set_base(l, h, OG_NODE, err)) < 0 || (rc = set_base(l, h, OG_EDGE, err)) < 0)
		return rc;
	for (uint32_t i = 0; i < h->ntail; i++)
		if ((rc = line_append(l, &h->tail[i], err)) < 0)
			return rc;
	return 0;
}

struct og_line *line_new(struct og_graph *g, const struct og_wire_head *h, struct og_error *err)
{
	struct og_line *l = calloc(1, sizeof(*l));
	bool direct = h->ntypes && h->types[0].layers != NULL;

	if (!l) {
		og_error_nomem(err);
		return NULL;
	}
	for (uint32_t i = 0; i < h->ntypes; i++)
		direct |= h->types[i].nlayers > 0;
	l->refs = 1;
	l->graph = g;
	l->next = g->lines;
	if (l->next)
		l->next->prev = l;
	g->lines = l;
	if (fill(l, h, direct, err) < 0) {
		line_unref(l);
		return NULL;
	}
	return l;
}

static struct tail_commit *copy_commit(const struct og_line *l, const struct og_wire_commit *c, struct og_error *err)
{
	size_t bytes = sizeof(struct tail_commit) + c->ntables * sizeof(struct tail_table), bodies = 0;
	struct tail_commit *t;
	char *p;

	for (uint32_t i = 0; i < c->ntables; i++)
		bodies += c->tables[i].body.len;
	t = malloc(bytes + bodies);
	if (!t) {
		og_error_nomem(err);
		return NULL;
	}
	t->seq = c->seq;
	t->version = c->version;
	t->commit = c->commit;
	t->ntables = 0;
	p = (char *)t + bytes;
	for (uint32_t i = 0; i < c->ntables; i++) {
		const struct og_wire_table *w = &c->tables[i];
		const struct og_type *type = og_catalog_by_id(l->catalog, w->type_id);

		if (!type)
			continue;	/* dropped since: nothing of it is visible */
		t->tables[t->ntables++] = (struct tail_table){ type->index, w->table_version, w->dn, w->all, w->rows,
							       og_slice(p, w->body.len) };
		if (w->body.len)
			memcpy(p, w->body.p, w->body.len);
		p += w->body.len;
	}
	return t;
}

static void note_commit(struct og_line *l, const struct tail_commit *c)
{
	for (uint32_t k = 0; k < c->ntables; k++) {
		const struct tail_table *t = &c->tables[k];
		struct og_snap_type *m = &l->meta[t->type];

		l->touched[t->type] = OG_MIN(l->touched[t->type], l->ncommits);
		m->rows = t->all ? t->rows : (uint64_t)((int64_t)m->rows + t->dn);
		m->table_version = t->version;
		m->owner = l->branch;
	}
}

int line_append(struct og_line *l, const struct og_wire_commit *c, struct og_error *err)
{
	struct tail_commit *t;

	l->reopen |= c->schema;
	for (uint32_t i = 0; i < c->ntables; i++)
		l->reopen |= c->tables[i].segments;
	if (l->reopen)
		return 0;
	if (l->ncommits == l->cap) {
		uint32_t cap = l->cap ? 2 * l->cap : 16;
		struct tail_commit **p = realloc(l->commits, cap * sizeof(struct tail_commit *));

		if (!p)
			return og_error_nomem(err);
		l->commits = p;
		l->cap = cap;
	}
	t = copy_commit(l, c, err);
	if (!t)
		return err->code;
	note_commit(l, t);
	l->commits[l->ncommits++] = t;
	return 0;
}

struct og_snap *line_snap(struct og_line *l, struct og_error *err)
{
	size_t bytes = l->catalog->ntypes * sizeof(struct og_snap_type);
	struct og_snap *s = calloc(1, sizeof(*s));

	if (s)
		s->types = malloc(bytes ? bytes : 1);
	if (!s || !s->types) {
		free(s);
		og_error_nomem(err);
		return NULL;
	}
	s->refs = 1;
	s->graph = l->graph;
	s->catalog = l->catalog;
	s->branch_name = og_slice_str(l->name);
	s->branch = l->branch;
	s->by_commit = l->by_commit;
	s->ntypes = l->catalog->ntypes;
	s->line = line_ref(l);
	s->ncommits = l->ncommits;
	s->seq = l->seq;
	s->commit = l->ncommits ? l->commits[l->ncommits - 1]->commit : l->base_commit;
	s->version = l->ncommits ? l->commits[l->ncommits - 1]->version : l->base_version;
	memcpy(s->types, l->meta, bytes);
	return s;
}

struct og_snap *og_snap_ref(struct og_snap *s)
{
	s->refs++;
	return s;
}

void og_snap_unref(struct og_snap *s)
{
	if (!s || --s->refs > 0)
		return;
	line_unref(s->line);
	free(s->types);
	free(s);
}

void line_pin(struct og_line *l, struct og_img *img)
{
	og_view_pin(l->base, img);
	if (l->cur)
		og_view_pin(l->cur, img);
}

void line_unpin(struct og_line *l, const struct og_img *img)
{
	const struct og_type *type = og_catalog_by_id(l->catalog, img->key.type_id);

	if (og_view_has(l->base, img) && og_view_unpin(l->base, img) < 0)
		return;
	if (!l->cur || !type || !og_view_has(l->cur, img))
		return;
	if (__atomic_load_n(&l->cur->refs, __ATOMIC_ACQUIRE) > 1) {
		struct og_view *copy = og_view_copy(l->cur);

		if (!copy)
			return;
		og_view_unref(l->cur);
		l->cur = copy;
	}
	og_view_share(l->cur, l->base, type->index);
}

void line_closure(const struct og_line *l, const struct og_need *needs, size_t n, bool *types)
{
	for (size_t i = 0; i < n; i++) {
		const struct og_type *t = needs[i].type;

		types[t->index] = true;
		if (t->kind == OG_EDGE)
			types[t->src_type] = types[t->dst_type] = true;
	}
	(void)l;
}

static int add_needs(struct og_need **list, size_t *n, size_t *cap, const struct og_need *add, size_t nadd, struct og_error *err)
{
	if (*n + nadd > *cap) {
		size_t want = 2 * (*n + nadd);
		struct og_need *p = realloc(*list, want * sizeof(*p));

		if (!p)
			return og_error_nomem(err);
		*list = p;
		*cap = want;
	}
	if (nadd)
		memcpy(*list + *n, add, nadd * sizeof(*add));
	*n += nadd;
	return 0;
}

int line_needs(const struct og_line *l, uint32_t ncommits, const bool *types, const struct og_need *needs, size_t n, struct og_need **out,
	       size_t *nout, struct og_error *err)
{
	struct og_need *list = NULL;
	size_t count = 0, cap = 0;
	int rc = add_needs(&list, &count, &cap, needs, n, err);

	for (uint32_t t = 0; rc == 0 && t < l->catalog->ntypes; t++) {
		struct og_need apply[16];

		if (l->touched[t] < ncommits && types[t])
			rc = add_needs(&list, &count, &cap, apply, og_view_apply_needs(l->base, &l->catalog->types[t], apply), err);
	}
	if (rc < 0) {
		free(list);
		return rc;
	}
	*out = list;
	*nout = count;
	return 0;
}

static int apply_table(struct og_view *v, const struct og_type *type, const struct tail_table *t, struct og_error *err)
{
	struct og_change c;
	int rc = 0;

	og_change_init(&c, type);
	if (t->body.len)
		rc = og_change_decode(&c, type, t->body, err);
	c.all = t->all;
	if (rc == 0)
		rc = og_view_apply(v, &c, err);
	og_change_fini(&c);
	return rc;
}

/* One commit: node types first, since its edges may name its nodes. */
static int apply_commit(struct og_line *l, struct og_view *v, const struct tail_commit *c, const bool *types, struct og_error *err)
{
	for (int edges = 0; edges < 2; edges++)
		for (uint32_t k = 0; k < c->ntables; k++) {
			const struct tail_table *t = &c->tables[k];
			const struct og_type *type = &l->catalog->types[t->type];
			int rc;

			if (!types[t->type] || (type->kind == OG_EDGE) != (edges == 1))
				continue;
			/* Without a body only counts or nothing at all changed; `all` without rows empties the type. */
			if (t->body.len == 0 && !t->all)
				continue;
			rc = apply_table(v, type, t, err);
			if (rc < 0)
				return og_error_prefix(err, "commit %s: ", og_ulid_format(&c->commit).s);
		}
	v->commit = c->commit;
	v->seq = c->seq;
	v->version = c->version;
	for (uint32_t k = 0; k < c->ntables; k++) {
		v->types[c->tables[k].type].table_version = c->tables[k].version;
		v->types[c->tables[k].type].owner = l->branch;
	}
	return 0;
}

/* A view with commits [from, to) applied on top of `v`, whose reference is taken over; a private copy if others read it. */
static struct og_view *advance(struct og_line *l, struct og_view *v, uint32_t from, uint32_t to, const bool *types, struct og_error *err)
{
	if (from < to && __atomic_load_n(&v->refs, __ATOMIC_ACQUIRE) > 1) {
		struct og_view *copy = og_view_copy(v);

		og_view_unref(v);
		if (!copy) {
			og_error_nomem(err);
			return NULL;
		}
		v = copy;
	}
	for (uint32_t i = from; i < to; i++)
		if (apply_commit(l, v, l->commits[i], types, err) < 0) {
			og_view_unref(v);
			return NULL;
		}
	return v;
}

struct og_view *line_view(struct og_line *l, uint32_t ncommits, const bool *types, struct og_error *err)
{
	struct og_view *v;

	if (l->cur && l->cur_n <= ncommits && memcmp(types, l->applied, l->catalog->ntypes * sizeof(*types)) == 0) {
		v = l->cur;
		l->cur = NULL;
		v = advance(l, v, l->cur_n, ncommits, l->applied, err);
	} else {
		/* Other types, or an older state: from the base again. */
		memcpy(l->applied, types, l->catalog->ntypes * sizeof(*types));
		v = og_view_copy(l->base);
		if (!v)
			og_error_nomem(err);
		else
			v = advance(l, v, 0, ncommits, l->applied, err);
		og_view_unref(l->cur);
	}
	l->cur = v;
	l->cur_n = ncommits;
	return v;
}
