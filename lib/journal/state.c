/* Applying records: every precondition first, then the effect; batches that can be undone. */
#include "config.h"

#include "journal/state.h"

#include <stdlib.h>

#include "base/codec.h"
#include "journal/state_private.h"

#define RULE(err, ...) og_error_set(err, OG_ERR_CORRUPT, __VA_ARGS__)

/* What a batch needs to be undone: old values of branches, newest last, and copies of the scalars. */
struct undo_branch {
	size_t slot;
	struct og_branch *old;		/* owned */
};

struct og_state_undo {
	struct undo_branch *branches;
	size_t n, cap;
	size_t nbranches, nlive, nschemas, ncommits;
	uint64_t seq, floor_seq, guard_seq;
	struct og_sha256 digest;
	uint32_t min_reader, min_writer;
	bool ended, has_next, has_floor;
	struct og_ulid next, floor_before;
	struct og_ckpt_name *keep;
	size_t nkeep;
	struct og_pin_state *pins;	/* copy */
	size_t npins;
};

/* ---- small things ---- */

struct og_slice og_state_intern(struct og_state *s, struct og_slice bytes)
{
	struct og_map_entry *e = og_map_find(&s->interned, bytes);
	struct og_slice copy;

	if (e)
		return e->key;
	copy = og_arena_slice(&s->strings, bytes);
	if (copy.p && !og_map_put(&s->interned, copy, NULL))
		copy.p = NULL;
	return copy;
}

static struct og_slice id_key(const struct og_ulid *id)
{
	return og_slice(id->b, sizeof(id->b));
}

static int grow(void **v, size_t *cap, size_t want, size_t size)
{
	size_t n = *cap ? *cap : 16;
	void *p;

	if (want <= *cap)
		return 0;
	while (n < want)
		n *= 2;
	p = reallocarray(*v, n, size);
	if (!p)
		return -1;
	*v = p;
	*cap = n;
	return 0;
}

static int map_set(struct og_map *m, struct og_slice key, size_t value)
{
	struct og_map_entry *e = key.p ? og_map_put(m, key, NULL) : NULL;

	if (!e)
		return -1;
	e->value = value;
	return 0;
}

int og_state_add_branch(struct og_state *s, struct og_branch *b, struct og_error *err)
{
	if (grow((void **)&s->branches, &s->cap_branches, s->nbranches + 1, sizeof(*s->branches)) < 0 ||
	    map_set(&s->by_id, og_state_intern(s, id_key(&b->id)), s->nbranches) < 0 ||
	    (b->live && map_set(&s->by_name, b->name, s->nbranches) < 0))
		return og_error_nomem(err);
	s->branches[s->nbranches++] = b;
	s->nlive += b->live;
	return 0;
}

int og_state_add_commit(struct og_state *s, const struct og_commit_info *c, struct og_error *err)
{
	if (grow((void **)&s->commits, &s->cap_commits, s->ncommits + 1, sizeof(*s->commits)) < 0)
		return og_error_nomem(err);
	s->commits[s->ncommits] = *c;
	if (og_commit_index_put(&s->commit_by_id, s->commits, s->ncommits, err) < 0)
		return err->code;
	s->ncommits++;
	return 0;
}

struct og_type_decl *og_state_types(struct og_state *s, const struct og_type_decl *types, size_t n)
{
	struct og_type_decl *t = og_arena_array(&s->strings, n ? n : 1, sizeof(*t));

	for (size_t i = 0; t && i < n; i++) {
		t[i] = types[i];
		t[i].name = og_state_intern(s, types[i].name);
		if (!t[i].name.p)
			return NULL;
	}
	return t;
}

int og_state_add_schema(struct og_state *s, const struct og_schema_state *schema, struct og_error *err)
{
	struct og_schema_state *copy = og_arena_array(&s->strings, 1, sizeof(*copy));

	if (!copy || grow((void **)&s->schemas, &s->cap_schemas, s->nschemas + 1, sizeof(*s->schemas)) < 0)
		return og_error_nomem(err);
	*copy = *schema;
	copy->text = og_state_intern(s, schema->text);
	copy->types = og_state_types(s, schema->types, schema->ntypes);
	copy->purge = og_arena_array(&s->strings, schema->npurge ? schema->npurge : 1, sizeof(*copy->purge));
	if (!copy->text.p || !copy->types || !copy->purge)
		return og_error_nomem(err);
	if (schema->npurge)
		memcpy(copy->purge, schema->purge, schema->npurge * sizeof(*copy->purge));
	s->schemas[s->nschemas++] = copy;
	return 0;
}

int og_state_info(struct og_state *s, const struct og_record *r, uint64_t seq, struct og_commit_info *out,
		  struct og_error *err)
{
	struct og_commit_info c = {
		.id = r->id, .parent = r->commit.parent, .branch = r->commit.branch, .version = r->commit.version,
		.at_us = r->at_us, .op = r->commit.op, .seq = seq, .schema_change = r->commit.op == OG_OP_SCHEMA,
	};

	if (r->commit.has_merged) {
		c.merged = r->commit.merged_commit;
		c.merged_branch = r->commit.merged_branch;
	}
	if (r->actor.p) {
		c.actor = og_state_intern(s, r->actor);
		if (!c.actor.p)
			return og_error_nomem(err);
	}
	*out = c;
	return 0;
}

/* ---- batches ---- */

int og_state_begin(struct og_state *s, struct og_error *err)
{
	struct og_state_undo *u = calloc(1, sizeof(*u));

	if (!u)
		return og_error_nomem(err);
	u->pins = calloc(s->npins ? s->npins : 1, sizeof(*u->pins));
	if (!u->pins) {
		free(u);
		return og_error_nomem(err);
	}
	if (s->npins)
		memcpy(u->pins, s->pins, s->npins * sizeof(*u->pins));
	u->npins = s->npins;
	u->nbranches = s->nbranches;
	u->nlive = s->nlive;
	u->nschemas = s->nschemas;
	u->ncommits = s->ncommits;
	u->seq = s->seq;
	u->digest = s->digest;
	u->floor_seq = s->floor_seq;
	u->guard_seq = s->guard_seq;
	u->min_reader = s->min_reader;
	u->min_writer = s->min_writer;
	u->ended = s->ended;
	u->has_next = s->has_next;
	u->has_floor = s->has_floor;
	u->next = s->next;
	u->floor_before = s->floor_before;
	u->keep = s->keep;
	u->nkeep = s->nkeep;
	s->undo = u;
	return 0;
}

static void undo_free(struct og_state *s)
{
	struct og_state_undo *u = s->undo;

	for (size_t i = 0; u && i < u->n; i++)
		og_branch_unref(u->branches[i].old);
	if (u) {
		free(u->branches);
		free(u->pins);
	}
	free(u);
	s->undo = NULL;
}

void og_state_commit(struct og_state *s)
{
	undo_free(s);
}

static void undo_slot(struct og_state *s, const struct undo_branch *b)
{
	struct og_branch *now = s->branches[b->slot];

	if (b->old->live && !now->live) {
		/* The name cannot have been lost: the entry's room is still there. */
		struct og_map_entry *e = og_map_put(&s->by_name, b->old->name, NULL);

		if (e)
			e->value = b->slot;
	}
	s->branches[b->slot] = b->old;
	og_branch_unref(now);
}

void og_state_rollback(struct og_state *s)
{
	struct og_state_undo *u = s->undo;

	while (s->ncommits > u->ncommits)
		og_commit_index_pop(&s->commit_by_id, s->commits, --s->ncommits);
	/* New branches first: their names may be those of branches that died in the batch. */
	while (s->nbranches > u->nbranches) {
		struct og_branch *b = s->branches[--s->nbranches];

		(void)og_map_delete(&s->by_id, id_key(&b->id));
		if (b->live)
			(void)og_map_delete(&s->by_name, b->name);
		og_branch_unref(b);
	}
	while (u->n > 0) {
		struct undo_branch *b = &u->branches[--u->n];

		if (b->slot < u->nbranches)
			undo_slot(s, b);
		else
			og_branch_unref(b->old);
	}
	s->nlive = u->nlive;
	s->nschemas = u->nschemas;
	s->seq = u->seq;
	s->digest = u->digest;
	s->floor_seq = u->floor_seq;
	s->guard_seq = u->guard_seq;
	s->min_reader = u->min_reader;
	s->min_writer = u->min_writer;
	s->ended = u->ended;
	s->has_next = u->has_next;
	s->has_floor = u->has_floor;
	s->next = u->next;
	s->floor_before = u->floor_before;
	s->keep = u->keep;
	s->nkeep = u->nkeep;
	s->npins = u->npins;	/* the array never shrinks */
	if (u->npins)
		memcpy(s->pins, u->pins, u->npins * sizeof(*s->pins));
	undo_free(s);
}

/* Puts a new value into a slot; the old one is kept while a batch is open. Takes b over when it succeeds. */
static int replace_branch(struct og_state *s, size_t slot, struct og_branch *b, struct og_error *err)
{
	struct og_state_undo *u = s->undo;
	struct og_branch *old = s->branches[slot];

	if (u) {
		if (grow((void **)&u->branches, &u->cap, u->n + 1, sizeof(*u->branches)) < 0)
			return og_error_nomem(err);
		u->branches[u->n++] = (struct undo_branch){ slot, old };
	} else {
		og_branch_unref(old);
	}
	s->branches[slot] = b;
	return 0;
}

/* ---- look-ups used by the rules ---- */

static bool find_slot(const struct og_state *s, const struct og_ulid *id, size_t *slot)
{
	const struct og_map_entry *e = og_map_find(&s->by_id, id_key(id));

	if (e)
		*slot = e->value;
	return e != NULL;
}

static bool below_floor(const struct og_state *s, const struct og_ulid *id)
{
	return s->has_floor && og_ulid_cmp(id, &s->floor_before) < 0;
}

static const struct og_table_change *change_of(const struct og_record *r, uint32_t type)
{
	for (size_t i = 0; i < r->commit.ntables; i++)
		if (r->commit.tables[i].type == type)
			return &r->commit.tables[i];
	return NULL;
}

/* ---- commit ---- */

static int check_merge(const struct og_state *s, const struct og_record *r, const struct og_branch **source,
		       struct og_error *err)
{
	const struct og_commit_info *c;
	size_t slot = 0;

	*source = NULL;
	if (!r->commit.has_merged)
		return 0;
	if (!find_slot(s, &r->commit.merged_branch, &slot) || !s->branches[slot]->live)
		return RULE(err, "the merged branch is not alive");
	*source = s->branches[slot];
	if (og_ulid_cmp(&(*source)->head, &r->commit.merged_commit) == 0)
		return 0;
	for (size_t i = 0; i < r->commit.ntables; i++)
		if (r->commit.tables[i].as)
			return RULE(err, "`as` takes over a commit that is not the head of its branch");
	if (!og_state_on_line(s, *source, &r->commit.merged_commit))
		return RULE(err, "the merged commit is not on its branch");
	c = og_state_commit_find(s, &r->commit.merged_commit);
	if (c && !og_state_retained(s, c))
		return RULE(err, "the merged commit is not retained");
	return 0;
}

static int check_table(const struct og_state *s, const struct og_branch *b, const struct og_table_change *t,
		       const struct og_logobj *obj, const struct og_branch *source, bool schema_change,
		       struct og_error *err)
{
	const struct og_table *old = og_branch_table(b, t->type);
	uint64_t rows = t->all || !old ? 0 : old->rows;

	if (!old && !schema_change)
		return RULE(err, "table %u: no such type", t->type);
	if (t->version != (old ? old->version : 0) + 1)
		return RULE(err, "table %u: version %llu does not follow %llu", t->type, (unsigned long long)t->version,
			    (unsigned long long)(old ? old->version : 0));
	if (t->as && !(source && og_branch_table(source, t->type)))
		return RULE(err, "table %u: the merged commit has no such type", t->type);
	if (!t->all && !t->as && (t->dn < 0 ? rows < (uint64_t)-(t->dn + 1) + 1 : rows > INT64_MAX - (uint64_t)t->dn))
		return RULE(err, "table %u: %lld rows more than %llu", t->type, (long long)t->dn,
			    (unsigned long long)rows);
	if (t->body != OG_NO_BODY && t->body >= obj->nbodies)
		return RULE(err, "table %u: no body %u", t->type, t->body);
	for (size_t i = 0; i < t->nsegs; i++)
		if (below_floor(s, &t->segs[i].id))
			return RULE(err, "table %u: segment %s is below the floor", t->type,
				    og_ulid_format(&t->segs[i].id).s);
	return 0;
}

static int check_schema(const struct og_state *s, const struct og_record *r, size_t slot, struct og_error *err)
{
	const struct og_schema_change *c = &r->commit.schema;

	if (!c->present)
		return 0;
	if (slot != 0)
		return RULE(err, "a schema change on a branch");
	if (s->nlive != 1)
		return RULE(err, "a schema change while another branch is alive");
	for (size_t i = 0; i < r->commit.ntables; i++) {
		bool found = false;

		for (size_t k = 0; k < c->ntypes && !found; k++)
			found = c->types[k].id == r->commit.tables[i].type;
		if (!found)
			return RULE(err, "table %u: not a type of the new schema", r->commit.tables[i].type);
	}
	return 0;
}

static int check_commit(const struct og_state *s, const struct og_record *r, const struct og_logobj *obj, size_t *slot,
			const struct og_branch **source, struct og_error *err)
{
	const struct og_branch *b;
	int rc;

	if (!find_slot(s, &r->commit.branch, slot) || !s->branches[*slot]->live)
		return RULE(err, "its branch is not alive");
	b = s->branches[*slot];
	if (og_ulid_cmp(&r->commit.parent, &b->head))
		return RULE(err, "its parent is not the head of its branch");
	if (r->commit.version != b->version + 1)
		return RULE(err, "version %llu does not follow %llu", (unsigned long long)r->commit.version,
			    (unsigned long long)b->version);
	if (og_state_commit_find(s, &r->id))
		return RULE(err, "its id was used before");
	if ((rc = check_merge(s, r, source, err)) < 0 || (rc = check_schema(s, r, *slot, err)) < 0)
		return rc;
	for (size_t i = 0; i < r->commit.ntables; i++) {
		rc = check_table(s, b, &r->commit.tables[i], obj, *source, r->commit.schema.present, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < r->commit.nblobs; i++)
		if (below_floor(s, &r->commit.blobs[i]))
			return RULE(err, "blob %s is below the floor", og_ulid_format(&r->commit.blobs[i]).s);
	return 0;
}

/*
 * Whether the commit's segments only add rows. An update among them would count as a row of theirs and add none to the table, a delete
 * as one more than is left: so the counts agree only where there is neither.
 */
static bool adds_only(const struct og_table_change *c)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->nsegs; i++)
		if (__builtin_add_overflow(sum, c->segs[i].rows, &sum))
			return false;
	if (c->body != OG_NO_BODY)
		return false;
	return c->all ? c->rows == sum : c->dn >= 0 && (uint64_t)c->dn == sum;
}

/* t has the old values (or those of a new type); its top reference is owned. */
static int change_table(struct og_table *t, const struct og_table_change *c, const struct og_record *r,
			const struct og_logobj *obj, const struct og_branch *source)
{
	bool plain = adds_only(c);
	struct og_layer *top;

	t->version = c->version;
	t->owner = r->commit.branch;
	if (c->as) {
		const struct og_table *from = og_branch_table(source, c->type);

		og_layer_ref(from->top);
		og_layer_unref(t->top);
		t->top = from->top;
		t->rows = from->rows;
		return 0;
	}
	if (c->all) {
		og_layer_unref(t->top);
		t->top = NULL;
		t->rows = c->rows;
	} else {
		t->rows += (uint64_t)c->dn;
	}
	top = t->top;
	t->top = NULL;	/* taken over by the next layer */
	for (size_t i = 0; i < c->nsegs; i++) {
		if (!(top = og_layer_segment(top, c->type, &c->segs[i])))
			return -1;
		top->seg.plain = plain;
	}
	if (c->body != OG_NO_BODY && !(top = og_layer_body(top, c->type, obj->seq, c->body, &obj->bodies[c->body])))
		return -1;
	t->top = top;
	return 0;
}

/* Gives the branch value the tables of the new schema: those that stay, and new ones, version 1, empty. */
static int change_types(struct og_branch *b, const struct og_schema_change *c)
{
	struct og_table *t = calloc(c->ntypes ? c->ntypes : 1, sizeof(*t));

	if (!t)
		return -1;
	for (size_t i = 0; i < c->ntypes; i++) {
		const struct og_table *old = og_branch_table(b, c->types[i].id);

		t[i] = old ? *old : (struct og_table){ .type = c->types[i].id, .version = 1, .owner = b->id };
		og_layer_ref(t[i].top);
	}
	for (size_t i = 0; i < b->ntables; i++)
		og_layer_unref(b->tables[i].top);
	free(b->tables);
	b->tables = t;
	b->ntables = c->ntypes;
	return 0;
}

static int apply_schema(struct og_state *s, const struct og_record *r, const struct og_logobj *obj, struct og_slice text,
			struct og_branch *b, struct og_error *err)
{
	const struct og_schema_change *c = &r->commit.schema;
	struct og_schema_state schema = {
		.since = obj->seq, .commit = r->id, .digest = c->digest, .text = text, .types = c->types,
		.ntypes = c->ntypes, .purge = c->purge, .npurge = c->npurge, .version = r->commit.version,
	};

	if (og_state_add_schema(s, &schema, err) < 0 || change_types(b, c) < 0)
		return og_error_nomem(err);
	b->schema = s->schemas[s->nschemas - 1];
	return 0;
}

static int apply_commit(struct og_state *s, const struct og_record *r, const struct og_logobj *obj, struct og_slice text,
			struct og_error *err)
{
	const struct og_branch *source = NULL;
	struct og_commit_info info;
	struct og_branch *b;
	size_t slot = 0;	/* set by check_commit; gcc cannot follow */
	int rc = check_commit(s, r, obj, &slot, &source, err);

	if (rc < 0)
		return rc;
	b = og_branch_copy(s->branches[slot]);
	if (!b)
		return og_error_nomem(err);
	if (r->commit.schema.present && (rc = apply_schema(s, r, obj, text, b, err)) < 0)
		goto fail;
	for (size_t i = 0; i < b->ntables; i++) {
		const struct og_table_change *c = change_of(r, b->tables[i].type);

		if (c && change_table(&b->tables[i], c, r, obj, source) < 0) {
			rc = og_error_nomem(err);
			goto fail;
		}
	}
	b->head = r->id;
	b->version = r->commit.version;
	b->seq = obj->seq;
	if ((rc = og_state_info(s, r, obj->seq, &info, err)) < 0 || (rc = og_state_add_commit(s, &info, err)) < 0 ||
	    (rc = replace_branch(s, slot, b, err)) < 0)
		goto fail;
	if (r->commit.has_merged)
		s->guard_seq = obj->seq;
	return 0;
fail:
	og_branch_unref(b);
	return rc;
}

/* ---- the other kinds ---- */

static int apply_create(struct og_state *s, const struct og_record *r, const struct og_logobj *obj, struct og_error *err)
{
	struct og_branch *b;
	size_t slot = 0;
	int rc;

	if (!find_slot(s, &r->create.from, &slot) || !s->branches[slot]->live)
		return RULE(err, "its source is not alive");
	if (og_ulid_cmp(&s->branches[slot]->head, &r->create.fork))
		return RULE(err, "its fork is not the head of its source");
	if (og_slice_is(r->create.name, "__schema_apply_lock__") || r->create.name.len == 0)
		return RULE(err, "its name is reserved");
	if (og_state_branch_named(s, r->create.name))
		return RULE(err, "its name is held by a live branch");
	if (find_slot(s, &r->id, &(size_t){ 0 }))
		return RULE(err, "its id was used before");
	b = og_branch_copy(s->branches[slot]);
	if (!b)
		return og_error_nomem(err);
	b->id = r->id;
	b->from = r->create.from;
	b->fork = r->create.fork;
	b->seq = obj->seq;
	b->name = og_state_intern(s, r->create.name);
	rc = b->name.p ? og_state_add_branch(s, b, err) : og_error_nomem(err);
	if (rc < 0)
		og_branch_unref(b);
	return rc;
}

static int apply_delete(struct og_state *s, const struct og_record *r, const struct og_logobj *obj, struct og_error *err)
{
	struct og_branch *b;
	size_t slot = 0;
	int rc;

	if (!find_slot(s, &r->branch, &slot) || !s->branches[slot]->live)
		return RULE(err, "its branch is not alive");
	if (slot == 0)
		return RULE(err, "main cannot be deleted");
	if (og_state_child(s, &r->branch))
		return RULE(err, "its branch has a live descendant");
	/* Rows of the dead are nobody's: its layers go unless somebody forked or merged them. */
	b = calloc(1, sizeof(*b));
	if (!b)
		return og_error_nomem(err);
	*b = *s->branches[slot];
	b->refs = 1;
	b->live = false;
	b->tables = NULL;
	b->ntables = 0;
	b->seq = obj->seq;
	if ((rc = replace_branch(s, slot, b, err)) < 0) {
		free(b);
		return rc;
	}
	(void)og_map_delete(&s->by_name, b->name);
	s->nlive--;
	return 0;
}

static int apply_floor(struct og_state *s, const struct og_record *r, const struct og_logobj *obj, struct og_error *err)
{
	uint64_t newest = 0;
	struct og_ckpt_name *keep;

	if (below_floor(s, &r->floor.before))
		return RULE(err, "its `before` is lower than that of the last floor");
	for (size_t i = 0; i < r->floor.nkeep; i++) {
		newest = OG_MAX(newest, r->floor.keep[i].seq);
		if (r->floor.keep[i].seq >= obj->seq)
			return RULE(err, "it keeps a checkpoint that is not below it");
	}
	if (newest < s->guard_seq)
		return RULE(err, "a floor, pin or merge came after its plan");
	keep = og_arena_array(&s->strings, r->floor.nkeep, sizeof(*keep));
	if (!keep)
		return og_error_nomem(err);
	memcpy(keep, r->floor.keep, r->floor.nkeep * sizeof(*keep));
	s->has_floor = true;
	s->floor_seq = s->guard_seq = obj->seq;
	s->floor_before = r->floor.before;
	s->keep = keep;
	s->nkeep = r->floor.nkeep;
	return 0;
}

static int apply_pin(struct og_state *s, const struct og_record *r, const struct og_logobj *obj, struct og_error *err)
{
	const struct og_commit_info *c = og_state_commit_find(s, &r->pinned);
	size_t i = 0;

	if (!c && s->commits_complete)
		return RULE(err, "no such commit");
	if (c && !og_state_retained(s, c))
		return RULE(err, "its commit is not retained");
	while (i < s->npins && og_ulid_cmp(&s->pins[i].id, &r->id))
		i++;
	if (grow((void **)&s->pins, &s->cap_pins, i + 1, sizeof(*s->pins)) < 0)
		return og_error_nomem(err);
	s->pins[i] = (struct og_pin_state){ .id = r->id, .commit = r->pinned, .at_us = r->at_us };
	s->npins = OG_MAX(s->npins, i + 1);
	s->guard_seq = obj->seq;
	return 0;
}

static int apply_unpin(struct og_state *s, const struct og_record *r)
{
	for (size_t i = 0; i < s->npins; i++)
		if (og_ulid_cmp(&s->pins[i].id, &r->id) == 0) {
			s->pins[i] = s->pins[--s->npins];
			break;
		}
	return 0;	/* a pin that expired long ago may be gone */
}

static int apply_format(struct og_state *s, const struct og_record *r, struct og_error *err)
{
	if (r->format.min_reader < s->min_reader || r->format.min_writer < s->min_writer)
		return RULE(err, "protocol numbers fall");
	s->min_reader = r->format.min_reader;
	s->min_writer = r->format.min_writer;
	return 0;
}

static int apply_end(struct og_state *s, const struct og_record *r)
{
	s->ended = true;
	s->has_next = r->end.has_next;
	s->next = r->end.next;
	return 0;
}

int og_state_apply(struct og_state *s, const struct og_record *r, const struct og_logobj *obj, struct og_slice text,
		   struct og_error *err)
{
	if (s->ended)
		return RULE(err, "stands after the end of the log");
	switch (r->kind) {
	case OG_REC_COMMIT:
		return apply_commit(s, r, obj, text, err);
	case OG_REC_CREATE:
		return apply_create(s, r, obj, err);
	case OG_REC_DELETE:
		return apply_delete(s, r, obj, err);
	case OG_REC_FLOOR:
		return apply_floor(s, r, obj, err);
	case OG_REC_PIN:
		return apply_pin(s, r, obj, err);
	case OG_REC_UNPIN:
		return apply_unpin(s, r);
	case OG_REC_FORMAT:
		return apply_format(s, r, err);
	case OG_REC_END:
		return apply_end(s, r);
	}
	return og_error_set(err, OG_ERR_INTERNAL, "no such record");
}

static int check_object(const struct og_state *s, const struct og_logobj *obj, struct og_error *err)
{
	unsigned long long n = obj->seq;

	if (s->min_reader > OG_PROTOCOL_VERSION)
		return og_error_set(err, OG_ERR_UNSUPPORTED, "protocol version %u is needed to read this graph, this program"
				    " has %u", s->min_reader, OG_PROTOCOL_VERSION);
	if (og_ulid_cmp(&obj->graph, &s->graph))
		return RULE(err, "log object %llu: belongs to another graph", n);
	if (obj->seq != s->seq + 1)
		return RULE(err, "log object %llu: stands in the place of %llu", n, (unsigned long long)s->seq + 1);
	if (!og_sha256_eq(&obj->prev, &s->digest))
		return RULE(err, "log object %llu: `prev` mismatch", n);
	return 0;
}

static int record_text(const struct og_record *r, const struct og_logobj *obj, struct og_slice *text, struct og_error *err)
{
	struct og_sha256 d;

	*text = og_slice(NULL, 0);
	if (r->kind != OG_REC_COMMIT || !r->commit.schema.present)
		return 0;
	if (og_logobj_body(obj, r->commit.schema.body, text, err) < 0)
		return OG_ERR_CORRUPT;
	d = og_sha256(*text);
	if (!og_sha256_eq(&d, &r->commit.schema.digest))
		return RULE(err, "the schema's digest does not fit");
	return 0;
}

int og_state_apply_object(struct og_state *s, const struct og_logobj *obj, struct og_error *err)
{
	int rc = check_object(s, obj, err);

	if (rc < 0 || (rc = og_state_begin(s, err)) < 0)
		return rc;
	for (size_t i = 0; i < obj->nrecords; i++) {
		struct og_slice text;

		rc = record_text(&obj->records[i], obj, &text, err);
		if (rc == 0)
			rc = og_state_apply(s, &obj->records[i], obj, text, err);
		if (rc == OG_ERR_CORRUPT)
			og_error_prefix(err, "log object %llu record %zu: ", (unsigned long long)obj->seq, i);
		if (rc < 0) {
			og_state_rollback(s);
			return rc;
		}
	}
	s->seq = obj->seq;
	s->digest = obj->digest;
	og_state_commit(s);
	return 0;
}
