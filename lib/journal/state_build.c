/* S(0) from format.json, S(c) from a checkpoint, and back. */
#include "config.h"

#include "journal/state.h"

#include <stdlib.h>

#include "journal/state_private.h"

static struct og_state *state_new(const struct og_genesis *g, struct og_error *err)
{
	struct og_state *s = calloc(1, sizeof(*s));

	if (!s) {
		og_error_nomem(err);
		return NULL;
	}
	og_arena_init(&s->strings, 0);
	s->graph = g->graph;
	s->digest = g->digest;
	s->min_reader = g->min_reader;
	s->min_writer = g->min_writer;
	s->genesis = (struct og_commit_info){
		.id = g->id, .branch = g->graph, .version = 1, .at_us = g->at_us, .op = OG_OP_GENESIS,
	};
	return s;
}

void og_state_free(struct og_state *s)
{
	if (!s)
		return;
	if (s->undo)
		og_state_rollback(s);
	for (size_t i = 0; i < s->nbranches; i++)
		og_branch_unref(s->branches[i]);
	free(s->branches);
	free(s->schemas);
	free(s->commits);
	free(s->pins);
	free(s->hist);
	free(s->index);
	og_map_fini(&s->by_id);
	og_map_fini(&s->by_name);
	og_commit_index_fini(&s->commit_by_id);
	og_map_fini(&s->interned);
	og_arena_fini(&s->strings);
	free(s);
}

static struct og_branch *branch_new(size_t ntables)
{
	struct og_branch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->refs = 1;
	b->ntables = ntables;
	b->tables = calloc(ntables ? ntables : 1, sizeof(*b->tables));
	if (!b->tables) {
		free(b);
		return NULL;
	}
	return b;
}

struct og_state *og_state_from_genesis(const struct og_genesis *g, struct og_error *err)
{
	struct og_state *s = state_new(g, err);
	struct og_schema_state schema = {
		.commit = g->id, .digest = g->schema_digest, .text = g->schema, .types = g->types, .ntypes = g->ntypes,
		.version = 1,
	};
	struct og_branch *main_branch;

	if (!s)
		return NULL;
	s->commits_complete = true;
	main_branch = branch_new(g->ntypes);
	if (!main_branch) {
		og_error_nomem(err);
		goto fail;
	}
	main_branch->id = g->graph;
	main_branch->name = OG_SLICE("main");
	main_branch->live = true;
	main_branch->head = g->id;
	main_branch->version = 1;
	for (size_t i = 0; i < g->ntypes; i++)
		main_branch->tables[i] = (struct og_table){ .type = g->types[i].id, .version = 1, .owner = g->graph };
	if (og_state_add_branch(s, main_branch, err) < 0) {
		og_branch_unref(main_branch);
		goto fail;
	}
	if (og_state_add_schema(s, &schema, err) < 0 || og_state_add_commit(s, &s->genesis, err) < 0)
		goto fail;
	main_branch->schema = s->schemas[0];
	return s;
fail:
	og_state_free(s);
	return NULL;
}

/* ---- from a checkpoint ---- */

/* Layer stacks built so far, so that states which share their lower layers share memory. */
struct stacks {
	struct og_map map;		/* (layer below, index) -> layer */
	struct og_arena keys;
};

struct stack_key {
	struct og_layer *below;
	uint64_t index;
};

static struct og_layer *stack_layer(struct stacks *st, const struct og_ckpt *c, struct og_layer *below, uint32_t index)
{
	struct stack_key probe = { below, index };
	struct og_map_entry *e = og_map_find(&st->map, og_slice(&probe, sizeof(probe)));
	const struct og_ckpt_layer *l = &c->layers[index];
	struct stack_key *key;
	struct og_layer *made;

	if (e) {
		og_layer_unref(below);
		return og_layer_ref((struct og_layer *)(uintptr_t)e->value);
	}
	key = og_arena_alloc(&st->keys, sizeof(*key));
	if (!key) {
		og_layer_unref(below);
		return NULL;
	}
	*key = probe;
	if (l->in_log) {
		struct og_log_body place = { .off = l->off, .len = l->len, .sha256 = l->sha256 };

		made = og_layer_body(below, l->type, l->seq, l->body, &place);
	} else {
		made = og_layer_segment(below, l->type, &l->seg);
	}
	e = made ? og_map_put(&st->map, og_slice(key, sizeof(*key)), NULL) : NULL;
	if (e)
		e->value = (uintptr_t)made;
	return made;
}

/* Checkpoints of earlier versions do not say which layers only add rows; where all do the counts tell. */
static void mark_plain(struct og_layer *top, uint64_t rows)
{
	uint64_t sum = 0;

	for (const struct og_layer *l = top; l; l = l->below)
		if (l->in_log || __builtin_add_overflow(sum, l->seg.rows, &sum))
			return;
	for (struct og_layer *l = sum == rows ? top : NULL; l; l = l->below)
		l->seg.plain = true;
}

static int fill_tables(struct stacks *st, const struct og_ckpt *c, const struct og_ckpt_state *from, struct og_branch *b)
{
	for (size_t i = 0; i < from->ntables; i++) {
		const struct og_ckpt_table *t = &from->tables[i];
		struct og_layer *top = NULL;

		for (size_t k = 0; k < t->nlayers; k++)
			if (!(top = stack_layer(st, c, top, t->layers[k])))
				return -1;
		mark_plain(top, t->rows);
		b->tables[i] = (struct og_table){
			.type = t->type, .version = t->version, .owner = t->owner, .rows = t->rows, .top = top
		};
	}
	return 0;
}

static const struct og_ckpt_state *state_of(const struct og_ckpt *c, const struct og_ckpt_branch *b)
{
	for (size_t i = 0; i < c->nstates; i++)
		if (og_ulid_cmp(&c->states[i].commit, &b->head) == 0)
			return &c->states[i];
	return NULL;
}

static const struct og_schema_state *schema_by_digest(const struct og_state *s, const struct og_sha256 *d)
{
	for (size_t i = s->nschemas; i-- > 0;)
		if (og_sha256_eq(&s->schemas[i]->digest, d))
			return s->schemas[i];
	return NULL;
}

static bool tables_fit(const struct og_ckpt_state *st, const struct og_schema_state *schema)
{
	if (st->ntables != schema->ntypes)
		return false;
	for (size_t i = 0; i < st->ntables; i++)
		if (st->tables[i].type != schema->types[i].id)
			return false;
	return true;
}

static int add_branch(struct og_state *s, struct stacks *stacks, const struct og_ckpt *c, const struct og_ckpt_branch *from,
		      struct og_error *err)
{
	const struct og_ckpt_state *st = from->live ? state_of(c, from) : NULL;
	const struct og_schema_state *schema = st ? schema_by_digest(s, &st->schema) : NULL;
	struct og_branch *b;
	int rc;

	if (from->live && (!st || !schema || !tables_fit(st, schema)))
		return og_error_set(err, OG_ERR_CORRUPT, "no state for the head of branch %s", og_ulid_format(&from->id).s);
	b = branch_new(st ? st->ntables : 0);
	if (!b)
		return og_error_nomem(err);
	b->id = from->id;
	b->name = og_state_intern(s, from->name);
	b->from = from->from;
	b->fork = from->fork;
	b->live = from->live;
	b->head = from->head;
	b->version = from->version;
	b->seq = c->seq;
	b->schema = schema;
	if (!b->name.p || (st && fill_tables(stacks, c, st, b) < 0))
		rc = og_error_nomem(err);
	else if (og_state_branch(s, &b->id) || (b->live && og_state_branch_named(s, b->name)))
		rc = og_error_set(err, OG_ERR_CORRUPT, "branch %s twice", og_ulid_format(&b->id).s);
	else
		rc = og_state_add_branch(s, b, err);
	if (rc < 0)
		og_branch_unref(b);
	return rc;
}

static int add_recent(struct og_state *s, const struct og_ckpt *c, struct og_error *err)
{
	int rc = 0;

	s->commits_complete = c->nhist == 0;
	if (s->commits_complete)
		rc = og_state_add_commit(s, &s->genesis, err);
	for (size_t i = 0; i < c->nrecent && rc == 0; i++) {
		const struct og_placed_record *p = &c->recent[i];
		struct og_commit_info info;

		if (p->rec.kind != OG_REC_COMMIT)
			continue;
		rc = og_state_info(s, &p->rec, p->seq, &info, err);
		if (rc == 0)
			rc = og_state_add_commit(s, &info, err);
		if (rc == 0 && !og_ulid_zero(&info.merged))
			s->guard_seq = OG_MAX(s->guard_seq, p->seq);
	}
	return rc;
}

static int add_schemas(struct og_state *s, const struct og_ckpt *c, struct og_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < c->nschemas && rc == 0; i++) {
		const struct og_ckpt_schema *from = &c->schemas[i];
		const struct og_commit_info *commit = og_state_commit_find(s, &from->commit);
		struct og_schema_state x = {
			.since = from->since, .commit = from->commit, .digest = from->digest, .text = from->text,
			.types = from->types, .ntypes = from->ntypes, .purge = from->purge, .npurge = from->npurge,
			.version = commit ? commit->version : 0,
		};

		rc = og_state_add_schema(s, &x, err);
	}
	return rc;
}

static int add_rest(struct og_state *s, const struct og_ckpt *c, struct og_error *err)
{
	s->seq = c->seq;
	s->digest = c->digest;
	s->min_reader = c->min_reader;
	s->min_writer = c->min_writer;
	for (size_t i = 0; i < c->nhist; i++)
		if (og_state_add_hist(s, &c->hist[i], 0, err) < 0)
			return OG_ERR_NOMEM;
	if (og_state_set_index(s, c->index, c->nindex, err) < 0)
		return OG_ERR_NOMEM;
	if (c->npins) {
		s->pins = calloc(c->npins, sizeof(*s->pins));
		if (!s->pins)
			return og_error_nomem(err);
		for (size_t i = 0; i < c->npins; i++)
			s->pins[i] = (struct og_pin_state){ c->pins[i].id, c->pins[i].commit, c->pins[i].at_us };
		s->npins = s->cap_pins = c->npins;
		s->guard_seq = c->seq;	/* where the last one stood is not told: the safe side */
	}
	if (c->has_floor) {
		s->has_floor = true;
		s->floor_seq = c->floor_seq;
		s->guard_seq = OG_MAX(s->guard_seq, c->floor_seq);
		s->floor_before = c->floor.floor.before;
		s->nkeep = c->floor.floor.nkeep;
		s->keep = og_arena_array(&s->strings, s->nkeep, sizeof(*s->keep));
		if (!s->keep)
			return og_error_nomem(err);
		memcpy(s->keep, c->floor.floor.keep, s->nkeep * sizeof(*s->keep));
	}
	return 0;
}

struct og_state *og_state_from_ckpt(const struct og_genesis *g, const struct og_ckpt *c, struct og_error *err)
{
	struct stacks stacks = { 0 };
	struct og_state *s;
	int rc;

	if (og_ulid_cmp(&c->graph, &g->graph)) {
		og_error_set(err, OG_ERR_CORRUPT, "belongs to another graph");
		return NULL;
	}
	if (c->nbranches == 0 || og_ulid_cmp(&c->branches[0].id, &g->graph) || !c->branches[0].live) {
		og_error_set(err, OG_ERR_CORRUPT, "main is not its first branch");
		return NULL;
	}
	s = state_new(g, err);
	if (!s)
		return NULL;
	og_arena_init(&stacks.keys, 0);
	rc = add_recent(s, c, err);
	if (rc == 0)
		rc = add_schemas(s, c, err);
	for (size_t i = 0; i < c->nbranches && rc == 0; i++)
		rc = add_branch(s, &stacks, c, &c->branches[i], err);
	if (rc == 0)
		rc = add_rest(s, c, err);
	og_map_fini(&stacks.map);
	og_arena_fini(&stacks.keys);
	if (rc == 0)
		return s;
	og_state_free(s);
	return NULL;
}

/* ---- history ---- */

int og_state_set_index(struct og_state *s, const struct og_index *x, size_t n, struct og_error *err)
{
	struct og_index *v = malloc((n ? n : 1) * sizeof(*v));

	if (!v)
		return og_error_nomem(err);
	if (n)
		memcpy(v, x, n * sizeof(*v));
	free(s->index);
	s->index = v;
	s->nindex = n;
	return 0;
}

int og_state_add_hist(struct og_state *s, const struct og_ckpt_hist *h, size_t merged, struct og_error *err)
{
	struct og_ckpt_hist *v = reallocarray(s->hist, s->nhist + 1, sizeof(*v));

	if (!v)
		return og_error_nomem(err);
	s->hist = v;
	s->nhist -= merged;
	v[s->nhist++] = *h;
	s->hist_last = OG_MAX(s->hist_last, h->last);
	return 0;
}

int og_state_prepend(struct og_state *s, const struct og_placed_record *recs, size_t n, struct og_error *err)
{
	struct og_commit_info *old = s->commits, *tail;
	size_t nold = s->ncommits, first = 0;
	int rc;

	/* Built anew: indexes move. What chunks and `recent` both hold is taken from the chunks. */
	while (first < nold && old[first].seq <= s->hist_last)
		first++;
	tail = old + first;
	s->commits = NULL;
	s->ncommits = s->cap_commits = 0;
	og_commit_index_fini(&s->commit_by_id);
	rc = og_state_add_commit(s, &s->genesis, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct og_commit_info info;

		if (recs[i].rec.kind != OG_REC_COMMIT)
			continue;
		rc = og_state_info(s, &recs[i].rec, recs[i].seq, &info, err);
		if (rc == 0)
			rc = og_state_add_commit(s, &info, err);
	}
	for (size_t i = 0; i < nold - first && rc == 0; i++)
		rc = og_state_add_commit(s, &tail[i], err);
	free(old);
	s->commits_complete = rc == 0;
	return rc;
}

int og_state_recent(const struct og_state *s, struct og_arena *a, uint64_t after, struct og_placed_record **out, size_t *n,
		    struct og_error *err)
{
	struct og_placed_record *v;
	size_t first = s->ncommits, count = 0;

	/* They stand in the order of the log, and most of them in chunks: a record is many times a commit's size. */
	while (first > 0 && s->commits[first - 1].seq > after && s->commits[first - 1].op != OG_OP_GENESIS)
		first--;
	v = og_arena_array(a, s->ncommits - first + 1, sizeof(*v));
	if (!v)
		return og_arena_error(a, err);
	for (size_t i = first; i < s->ncommits; i++) {
		const struct og_commit_info *c = &s->commits[i];
		struct og_record *r = &v[count].rec;

		v[count].seq = c->seq;
		r->kind = OG_REC_COMMIT;
		r->id = c->id;
		r->at_us = c->at_us;
		r->actor = c->actor;
		r->commit.op = c->op;
		r->commit.branch = c->branch;
		r->commit.version = c->version;
		r->commit.parent = c->parent;
		r->commit.has_merged = !og_ulid_zero(&c->merged);
		r->commit.merged_branch = c->merged_branch;
		r->commit.merged_commit = c->merged;
		r->commit.keys_body = r->commit.schema.body = OG_NO_BODY;
		count++;
	}
	*out = v;
	*n = count;
	return 0;
}

/* ---- to a checkpoint ---- */

struct layer_index {
	struct og_arena *a;
	struct og_map map;		/* address of a layer -> index */
	struct og_ckpt_layer *v;
	size_t n, cap;
};

static int index_layer(struct layer_index *x, struct og_layer *l, uint32_t *out)
{
	struct og_layer **key;
	struct og_map_entry *e = og_map_find(&x->map, og_slice(&l, sizeof(l)));

	if (e) {
		*out = (uint32_t)e->value;
		return 0;
	}
	key = og_arena_alloc(x->a, sizeof(l));
	x->v = og_arena_grow(x->a, x->v, &x->cap, x->n + 1, sizeof(*x->v));
	if (!key || !x->v)
		return -1;
	*key = l;
	e = og_map_put(&x->map, og_slice(key, sizeof(l)), NULL);
	if (!e)
		return -1;
	e->value = x->n;
	x->v[x->n] = (struct og_ckpt_layer){
		.type = l->type, .in_log = l->in_log, .seg = l->seg, .seq = l->seq, .body = l->body, .off = l->off,
		.len = l->len, .sha256 = l->sha256,
	};
	*out = (uint32_t)x->n++;
	return 0;
}

static int put_state(struct layer_index *x, const struct og_branch *b, struct og_ckpt_state *out)
{
	out->commit = b->head;
	out->branch = b->id;
	out->version = b->version;
	out->schema = b->schema->digest;
	out->ntables = b->ntables;
	out->tables = og_arena_array(x->a, b->ntables ? b->ntables : 1, sizeof(*out->tables));
	if (!out->tables)
		return -1;
	for (size_t i = 0; i < b->ntables; i++) {
		const struct og_table *t = &b->tables[i];
		struct og_ckpt_table *o = &out->tables[i];
		size_t k;

		*o = (struct og_ckpt_table){ .type = t->type, .version = t->version, .owner = t->owner, .rows = t->rows };
		o->nlayers = k = t->top ? t->top->depth : 0;
		o->layers = og_arena_array(x->a, k ? k : 1, sizeof(*o->layers));
		if (!o->layers)
			return -1;
		for (struct og_layer *l = t->top; l; l = l->below)
			if (index_layer(x, l, &o->layers[--k]) < 0)
				return -1;
	}
	return 0;
}

static int put_schemas(const struct og_state *s, struct og_arena *a, struct og_ckpt *c)
{
	c->schemas = og_arena_array(a, s->nschemas, sizeof(*c->schemas));
	if (!c->schemas)
		return -1;
	c->nschemas = s->nschemas;
	for (size_t i = 0; i < s->nschemas; i++) {
		const struct og_schema_state *x = s->schemas[i];

		c->schemas[i] = (struct og_ckpt_schema){
			.since = x->since, .commit = x->commit, .digest = x->digest, .text = x->text, .types = x->types,
			.ntypes = x->ntypes, .purge = x->purge, .npurge = x->npurge,
		};
	}
	return 0;
}

static int put_branches(const struct og_state *s, struct og_arena *a, const struct og_branch *const *more, size_t nmore,
			struct og_ckpt *c)
{
	struct layer_index x = { .a = a };
	int rc = 0;

	c->branches = og_arena_array(a, s->nbranches, sizeof(*c->branches));
	c->states = og_arena_array(a, s->nlive + nmore, sizeof(*c->states));
	if (!c->branches || !c->states)
		return -1;
	c->nbranches = s->nbranches;
	for (size_t i = 0; i < s->nbranches && rc == 0; i++) {
		const struct og_branch *b = s->branches[i];

		c->branches[i] = (struct og_ckpt_branch){
			.id = b->id, .name = b->name, .from = b->from, .fork = b->fork, .live = b->live,
			.head = b->head, .version = b->version,
		};
		if (b->live)
			rc = put_state(&x, b, &c->states[c->nstates++]);
	}
	for (size_t i = 0; i < nmore && rc == 0; i++)
		rc = put_state(&x, more[i], &c->states[c->nstates++]);
	c->layers = x.v;
	c->nlayers = x.n;
	og_map_fini(&x.map);
	return rc;
}

int og_state_to_ckpt(const struct og_state *s, struct og_arena *a, const struct og_branch *const *more, size_t nmore,
		     struct og_ckpt *c, struct og_error *err)
{
	memset(c, 0, sizeof(*c));
	c->graph = s->graph;
	c->seq = s->seq;
	c->digest = s->digest;
	c->min_reader = s->min_reader;
	c->min_writer = s->min_writer;
	c->has_floor = s->has_floor;
	c->floor_seq = s->floor_seq;
	if (s->has_floor) {
		c->floor.kind = OG_REC_FLOOR;
		c->floor.floor.before = s->floor_before;
		c->floor.floor.keep = s->keep;
		c->floor.floor.nkeep = s->nkeep;
	}
	if (put_schemas(s, a, c) < 0 || put_branches(s, a, more, nmore, c) < 0 ||
	    og_state_recent(s, a, s->hist_last, &c->recent, &c->nrecent, err) < 0)
		return og_error_nomem(err);
	c->pins = og_arena_array(a, s->npins ? s->npins : 1, sizeof(*c->pins));
	c->hist = og_arena_array(a, s->nhist ? s->nhist : 1, sizeof(*c->hist));
	if (!c->pins || !c->hist)
		return og_error_nomem(err);
	for (size_t i = 0; i < s->npins; i++)
		c->pins[i] = (struct og_ckpt_pin){ s->pins[i].id, s->pins[i].commit, s->pins[i].at_us };
	c->npins = s->npins;
	if (s->nhist)
		memcpy(c->hist, s->hist, s->nhist * sizeof(*c->hist));
	c->nhist = s->nhist;
	c->index = s->index;	/* borrowed */
	c->nindex = s->nindex;
	return 0;
}
