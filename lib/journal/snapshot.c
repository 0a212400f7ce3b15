/* States of older commits, older commits themselves, and the bytes of in-log layers. */
#include "config.h"

#include "journal/private.h"

#include <stdio.h>
#include <stdlib.h>

#include "journal/state_private.h"

#define SNAPSHOTS_KEPT 64u

struct og_jn_snapshot {
	const struct og_branch *state;	/* head: the commit */
	uint64_t used;
};

/* ---- bytes of a layer ---- */

void og_jn_bodies_free(struct og_journal *j)
{
	for (size_t i = 0; i < j->nbodies; i++)
		og_buf_fini(&j->bodies[i].bytes);
	free(j->bodies);
	j->bodies = NULL;
	j->nbodies = j->cap_bodies = j->bodies_bytes = 0;
}

static struct og_jn_body *kept_body(struct og_journal *j, uint64_t seq, uint32_t body)
{
	for (size_t i = 0; i < j->nbodies; i++)
		if (j->bodies[i].seq == seq && j->bodies[i].body == body) {
			j->bodies[i].used = ++j->tick;
			return &j->bodies[i];
		}
	return NULL;
}

static size_t body_cost(const struct og_jn_body *b)
{
	return sizeof(*b) + b->bytes.cap;
}

static void forget_oldest(struct og_journal *j)
{
	size_t oldest = 0;

	for (size_t i = 1; i < j->nbodies; i++)
		if (j->bodies[i].used < j->bodies[oldest].used)
			oldest = i;
	j->bodies_bytes -= body_cost(&j->bodies[oldest]);
	og_buf_fini(&j->bodies[oldest].bytes);
	j->bodies[oldest] = j->bodies[--j->nbodies];
}

/* Each image of a type is made from all of its layers. Without memory they are read again. */
static void keep_body(struct og_journal *j, uint64_t seq, uint32_t body, struct og_slice bytes)
{
	struct og_jn_body b = { .seq = seq, .body = body, .used = ++j->tick };

	if (bytes.len > OG_JN_BODIES_BYTES / 4 || kept_body(j, seq, body))
		return;
	if (j->nbodies == j->cap_bodies) {
		size_t cap = j->cap_bodies ? 2 * j->cap_bodies : 16;
		struct og_jn_body *v = reallocarray(j->bodies, cap, sizeof(*v));

		if (!v)
			return;
		j->bodies = v;
		j->cap_bodies = cap;
	}
	og_buf_slice(&b.bytes, bytes);
	if (b.bytes.failed) {
		og_buf_fini(&b.bytes);
		return;
	}
	j->bodies[j->nbodies++] = b;
	j->bodies_bytes += body_cost(&b);
	while (j->bodies_bytes > OG_JN_BODIES_BYTES)
		forget_oldest(j);
}

struct layer_get {
	struct og_journal *j;
	uint64_t seq, off, len;
	uint32_t body;
	struct og_sha256 sha256;
	og_journal_bytes cb;
	void *arg;
};

static void on_layer(void *arg, struct og_store_result *res)
{
	struct layer_get *g = arg;
	struct og_sha256 have;
	struct og_error err = { 0 };
	struct og_slice bytes = res->body;

	if (!og_jn_back(g->j)) {
		free(g);
		return;
	}
	if (res->code < 0) {
		err = *res->err;
		if (err.code == OG_ERR_NOT_FOUND)
			og_error_set(&err, OG_ERR_CORRUPT, "log object %llu: missing", (unsigned long long)g->seq);
	} else {
		have = og_sha256(bytes);
		if (!og_sha256_eq(&have, &g->sha256))
			og_error_set(&err, OG_ERR_CORRUPT, "log object %llu body %u: digest mismatch",
				     (unsigned long long)g->seq, g->body);
		else
			keep_body(g->j, g->seq, g->body, bytes);
	}
	g->cb(g->arg, err.code ? og_slice(NULL, 0) : bytes, &err);
	free(g);
}

static void fetch_layer(struct layer_get *g)
{
	struct og_key_text key = og_key_log(&g->j->state->graph, g->seq);
	char full[OG_STORE_KEY_MAX + 1];

	og_jn_ref(g->j);
	og_store_get_range(g->j->store, og_jn_key(g->j, &key, full), g->off, g->len, on_layer, g);
}

static void run_bytes(struct og_journal *j, struct og_jn_call *c)
{
	struct layer_get *g = (struct layer_get *)(uintptr_t)c->ref;
	const struct og_logobj *o = og_journal_object(j, g->seq);
	const struct og_jn_body *kept = o ? NULL : kept_body(j, g->seq, g->body);
	struct og_slice bytes = { 0 };
	struct og_error err = { 0 };

	/* It was there a moment ago, but objects have come since. */
	if (!o && !kept) {
		fetch_layer(g);
		return;
	}
	if (kept)
		bytes = og_buf_view(&kept->bytes);
	else if (og_logobj_body(o, g->body, &bytes, &err) < 0)
		bytes = og_slice(NULL, 0);
	g->cb(g->arg, bytes, &err);
	free(g);
}

void og_journal_layer_bytes(struct og_journal *j, const struct og_layer *l, og_journal_bytes cb, void *arg)
{
	struct layer_get *g = malloc(sizeof(*g));
	const struct og_logobj *o = og_journal_object(j, l->seq);

	if (!g)
		abort();
	*g = (struct layer_get){ .j = j, .seq = l->seq, .off = l->off, .len = l->len, .body = l->body, .sha256 = l->sha256, .cb = cb, .arg = arg };
	if (o ? !o->stub : kept_body(j, l->seq, l->body) != NULL)
		og_jn_call(j, run_bytes)->ref = g;
	else
		fetch_layer(g);
}

/* ---- history ---- */

struct history {
	struct og_journal *j;
	struct og_arena arena;
	struct og_buf *chunks;
	size_t at, n;
	og_journal_done cb;
	void *arg;
};

static void history_free(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		og_buf_fini(&h->chunks[i]);
	free(h->chunks);
	og_arena_fini(&h->arena);
	free(h);
}

static void history_done(struct history *h, struct og_error *err)
{
	struct og_placed_record *all = NULL;
	size_t n = 0, cap = 0;

	for (size_t i = 0; i < h->n && !err->code; i++) {
		struct og_placed_record *recs;
		size_t count;

		if (og_hist_decode(&h->arena, og_buf_view(&h->chunks[i]), &recs, &count, err) < 0) {
			og_error_prefix(err, "history: ");
			break;
		}
		all = og_arena_grow(&h->arena, all, &cap, n + count + 1, sizeof(*all));
		if (!all) {
			og_arena_error(&h->arena, err);
			break;
		}
		memcpy(all + n, recs, count * sizeof(*all));
		n += count;
	}
	/* Another call may have done it meanwhile. */
	if (!err->code && !h->j->state->commits_complete && og_state_prepend(h->j->state, all, n, err) == 0)
		og_error_clear(err);
	h->cb(h->arg, err);
	history_free(h);
}

static void next_chunk(struct history *h);

static void on_chunk(void *arg, struct og_store_result *res)
{
	struct history *h = arg;
	struct og_error err = { 0 };
	struct og_sha256 d;

	if (!og_jn_back(h->j)) {
		history_free(h);
		return;
	}
	if (res->code < 0) {
		err = *res->err;
		history_done(h, &err);
		return;
	}
	d = og_sha256(res->body);
	if (!og_sha256_eq(&d, &h->j->state->hist[h->at].sha256)) {
		og_error_set(&err, OG_ERR_CORRUPT, "history %s: digest mismatch",
			     og_ulid_format(&h->j->state->hist[h->at].id).s);
		history_done(h, &err);
		return;
	}
	og_buf_slice(&h->chunks[h->at++], res->body);
	next_chunk(h);
}

static void next_chunk(struct history *h)
{
	struct og_journal *j = h->j;
	struct og_key_text key;
	char full[OG_STORE_KEY_MAX + 1];
	struct og_error err = { 0 };

	if (h->at == h->n) {
		history_done(h, &err);
		return;
	}
	key = og_key_hist(&j->state->graph, &j->state->hist[h->at].id);
	og_jn_ref(j);
	og_store_get(j->store, og_jn_key(j, &key, full), OG_HIST_MAX, on_chunk, h);
}

void og_journal_history(struct og_journal *j, og_journal_done cb, void *arg)
{
	struct history *h;

	if (j->state->commits_complete) {
		og_jn_call_done(j, cb, arg, NULL);
		return;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		abort();
	h->j = j;
	h->n = j->state->nhist;
	h->chunks = calloc(h->n, sizeof(*h->chunks));
	if (!h->chunks)
		abort();
	h->cb = cb;
	h->arg = arg;
	og_arena_init(&h->arena, 0);
	next_chunk(h);
}

/* ---- snapshots ---- */

void og_jn_snapshots_free(struct og_journal *j)
{
	for (size_t i = 0; i < j->nsnapshots; i++)
		og_branch_unref(j->snapshots[i].state);
	free(j->snapshots);
	j->snapshots = NULL;
	j->nsnapshots = 0;
}

static const struct og_branch *kept(struct og_journal *j, const struct og_ulid *commit)
{
	for (size_t i = 0; i < j->state->nbranches; i++)
		if (j->state->branches[i]->live && og_ulid_cmp(&j->state->branches[i]->head, commit) == 0)
			return j->state->branches[i];
	for (size_t i = 0; i < j->nsnapshots; i++)
		if (og_ulid_cmp(&j->snapshots[i].state->head, commit) == 0) {
			j->snapshots[i].used = ++j->tick;
			return j->snapshots[i].state;
		}
	return NULL;
}

static void keep(struct og_journal *j, const struct og_branch *state)
{
	struct og_jn_snapshot *v, *oldest;

	if (j->nsnapshots < SNAPSHOTS_KEPT) {
		v = reallocarray(j->snapshots, j->nsnapshots + 1, sizeof(*v));
		if (!v)
			return;
		j->snapshots = v;
		oldest = &v[j->nsnapshots++];
	} else {
		oldest = &j->snapshots[0];
		for (size_t i = 1; i < j->nsnapshots; i++)
			if (j->snapshots[i].used < oldest->used)
				oldest = &j->snapshots[i];
		og_branch_unref(oldest->state);
	}
	oldest->state = og_branch_ref(state);
	oldest->used = ++j->tick;
}

struct snapshot {
	struct og_journal *j;
	struct og_ulid commit;
	struct og_ulid branch;
	uint64_t seq;			/* of the object that holds the commit */
	struct og_state *state;
	struct og_ckpt_name ckpt;
	og_journal_snapshot_cb cb;
	void *arg;
};

static void snapshot_free(struct snapshot *s)
{
	og_state_free(s->state);
	free(s);
}

static void snapshot_end(struct snapshot *s, const struct og_branch *b, const struct og_error *err)
{
	struct og_error none = { 0 };

	s->cb(s->arg, b, err ? err : &none);
	snapshot_free(s);
}

static void run_snapshot(struct og_journal *j, struct og_jn_call *c)
{
	const struct og_branch *b = c->ref;

	((og_journal_snapshot_cb)(void *)c->cb)(c->arg, b, &c->err);
	og_branch_unref(b);
}

/* A value that stands on the journal's own schema and strings. */
static const struct og_branch *adopt(struct og_journal *j, const struct og_branch *b)
{
	struct og_branch *c = og_branch_copy(b);

	if (!c)
		return NULL;
	c->name = og_state_intern(j->state, b->name);
	c->schema = NULL;
	for (size_t i = j->state->nschemas; i-- > 0 && !c->schema;)
		if (og_sha256_eq(&j->state->schemas[i]->digest, &b->schema->digest))
			c->schema = j->state->schemas[i];
	if (c->name.p && c->schema)
		return c;
	og_branch_unref(c);
	return NULL;
}

/* The temporary state stands at the commit. */
static void snapshot_found(struct snapshot *s)
{
	const struct og_branch *b = og_state_branch(s->state, &s->branch), *mine;
	struct og_error err = { 0 };

	if (!b || og_ulid_cmp(&b->head, &s->commit)) {
		og_error_set(&err, OG_ERR_CORRUPT, "commit '%s' is not where it was", og_ulid_format(&s->commit).s);
		snapshot_end(s, NULL, &err);
		return;
	}
	mine = adopt(s->j, b);
	if (!mine) {
		og_error_nomem(&err);
		snapshot_end(s, NULL, &err);
		return;
	}
	keep(s->j, mine);
	snapshot_end(s, mine, NULL);
	og_branch_unref(mine);
}

/* Applies the object that holds the commit up to the commit and no further. */
static int apply_part(struct snapshot *s, const struct og_logobj *o, struct og_error *err)
{
	int rc;

	if (o->seq != s->state->seq + 1 || !og_sha256_eq(&o->prev, &s->state->digest))
		return og_error_set(err, OG_ERR_CORRUPT, "log object %llu: `prev` mismatch", (unsigned long long)o->seq);
	for (size_t i = 0; i < o->nrecords; i++) {
		const struct og_record *r = &o->records[i];
		struct og_slice text = { 0 };

		if (r->kind == OG_REC_COMMIT && r->commit.schema.present &&
		    (rc = og_logobj_body(o, r->commit.schema.body, &text, err)) < 0)
			return rc;
		if ((rc = og_state_apply(s->state, r, o, text, err)) < 0)
			return rc;
		if (r->kind == OG_REC_COMMIT && og_ulid_cmp(&r->id, &s->commit) == 0)
			return 0;
	}
	return og_error_set(err, OG_ERR_CORRUPT, "log object %llu: a commit is missing in it", (unsigned long long)o->seq);
}

static void walk(struct snapshot *s);

/* false: ended. */
static bool step(struct snapshot *s, const struct og_logobj *o)
{
	struct og_error err = { 0 };
	int rc;

	if (o->seq < s->seq) {
		rc = og_state_apply_object(s->state, o, &err);
		if (rc == 0)
			return true;
	} else {
		rc = apply_part(s, o, &err);
		if (rc == 0) {
			snapshot_found(s);
			return false;
		}
	}
	snapshot_end(s, NULL, &err);
	return false;
}

static void on_walked(void *arg, struct og_store_result *res)
{
	struct snapshot *s = arg;
	struct og_arena a;
	struct og_logobj o;
	struct og_error err = { 0 };

	if (!og_jn_back(s->j)) {
		snapshot_free(s);
		return;
	}
	if (res->code < 0) {
		err = *res->err;
		if (err.code == OG_ERR_NOT_FOUND)
			og_error_set(&err, OG_ERR_CORRUPT, "log object %llu: missing",
				     (unsigned long long)s->state->seq + 1);
		snapshot_end(s, NULL, &err);
		return;
	}
	og_arena_init(&a, 0);
	if (og_logobj_decode(&a, res->body, &o, &err) < 0) {
		og_error_prefix(&err, "log object %llu: ", (unsigned long long)s->state->seq + 1);
		snapshot_end(s, NULL, &err);
	} else if (step(s, &o)) {
		walk(s);
	}
	og_arena_fini(&a);
}

static void walk(struct snapshot *s)
{
	struct og_journal *j = s->j;
	const struct og_logobj *o;
	struct og_key_text key;
	char full[OG_STORE_KEY_MAX + 1];

	if (s->seq <= s->state->seq) {
		snapshot_found(s);
		return;
	}
	while ((o = og_journal_object(j, s->state->seq + 1)))
		if (!step(s, o))
			return;
	key = og_key_log(&j->state->graph, s->state->seq + 1);
	og_jn_ref(j);
	og_store_get(j->store, og_jn_key(j, &key, full), OG_LOG_OBJECT_MAX, on_walked, s);
}

static void from_genesis(struct snapshot *s)
{
	struct og_error err = { 0 };

	s->state = og_state_from_genesis(&s->j->genesis, &err);
	if (s->state)
		walk(s);
	else
		snapshot_end(s, NULL, &err);
}

static void on_base(void *arg, struct og_store_result *res)
{
	struct snapshot *s = arg;
	struct og_arena a;
	struct og_ckpt c;
	struct og_error err = { 0 };

	if (!og_jn_back(s->j)) {
		snapshot_free(s);
		return;
	}
	if (res->code == OG_ERR_UNAVAILABLE || res->code == OG_ERR_IO) {
		snapshot_end(s, NULL, res->err);
		return;
	}
	og_arena_init(&a, 0);
	/* At its own seq a checkpoint has heads alone: good if the commit is one of them. */
	if (res->code == 0 && og_ckpt_decode(&a, res->body, &c, &err) == 0)
		s->state = og_state_from_ckpt(&s->j->genesis, &c, &err);
	og_arena_fini(&a);
	if (s->state)
		walk(s);
	else
		from_genesis(s);
}

static void on_ckpts(void *arg, struct og_store_result *res)
{
	struct snapshot *s = arg;
	struct og_key_text key;
	char full[OG_STORE_KEY_MAX + 1];

	if (!og_jn_back(s->j)) {
		snapshot_free(s);
		return;
	}
	if (res->code < 0) {
		snapshot_end(s, NULL, res->err);
		return;
	}
	for (size_t i = 0; i < res->nitems; i++) {
		const char *name = strrchr(res->items[i].key, '/');

		if (!name || !og_key_parse_ckpt(name + 1, &s->ckpt) || s->ckpt.seq >= s->seq)
			continue;
		key = og_key_ckpt(&s->j->state->graph, s->ckpt.seq, &s->ckpt.id);
		og_jn_ref(s->j);
		og_store_get(s->j->store, og_jn_key(s->j, &key, full), OG_CKPT_MAX, on_base, s);
		return;
	}
	from_genesis(s);
}

static void locate(struct snapshot *s)
{
	struct og_journal *j = s->j;
	const struct og_commit_info *c = og_state_commit_find(j->state, &s->commit);
	char folder[OG_STORE_KEY_MAX + 1], after[OG_STORE_KEY_MAX + 1], key[OG_KEY_TEXT_MAX];
	struct og_error err = { 0 };

	if (!c) {
		og_error_set(&err, OG_ERR_NOT_FOUND, "commit '%s' not found", og_ulid_format(&s->commit).s);
		snapshot_end(s, NULL, &err);
		return;
	}
	if (!og_state_retained(j->state, c)) {
		og_error_set(&err, OG_ERR_GONE, "the rows of commit '%s' were reclaimed by cleanup",
			     og_ulid_format(&s->commit).s);
		snapshot_end(s, NULL, &err);
		return;
	}
	s->seq = c->seq;
	s->branch = c->branch;
	/* Names fall with seq: the first behind this one is the newest checkpoint below the commit. */
	snprintf(key, sizeof(key), "ckpt/%s/%020llu", og_ulid_format(&j->state->graph).s,
		 (unsigned long long)(UINT64_MAX - s->seq));
	og_jn_key_str(j, key, after);
	snprintf(key, sizeof(key), "ckpt/%s/", og_ulid_format(&j->state->graph).s);
	og_jn_ref(j);
	og_store_list(j->store, og_jn_key_str(j, key, folder), after, 16, on_ckpts, s);
}

static void on_history(void *arg, const struct og_error *err)
{
	struct snapshot *s = arg;

	if (err->code)
		snapshot_end(s, NULL, err);
	else
		locate(s);
}

void og_journal_snapshot(struct og_journal *j, const struct og_ulid *commit, og_journal_snapshot_cb cb, void *arg)
{
	const struct og_branch *b = kept(j, commit);
	struct snapshot *s;

	if (b) {
		struct og_jn_call *c = og_jn_call(j, run_snapshot);

		c->ref = og_branch_ref(b);
		c->cb = (void (*)(void))cb;
		c->arg = arg;
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->j = j;
	s->commit = *commit;
	s->cb = cb;
	s->arg = arg;
	if (og_state_commit_find(j->state, commit))
		locate(s);
	else
		og_journal_history(j, on_history, s);
}
