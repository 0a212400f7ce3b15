/* States: the base of a branch, the commits above it, and telling everybody. */
#include "config.h"

#include "storaged.h"

#include <stdlib.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/date.h"
#include "base/log.h"

#define CONTENTS_MAX 4096u		/* contents remembered beyond those of live bases */
#define PUSH_MAX (768u * OG_KIB)	/* a longer push is left out: the next look fetches it */
#define TAIL_MAX (12u * OG_MIB)		/* a longer tail: a new base instead */
#define DELTA_ROWS_MIN 16384u		/* rows above a base before a new one is thought of */
#define DELTA_COMMITS_MAX 16384u
#define DELTA_BYTES_MAX (8u * OG_MIB)

/* ---- contents ---- */

/* XXH3-128 of type and layers, base up: every layer is named by what never comes again. */
struct og_hash128 content_key(const struct og_table *t)
{
	struct og_hash128 out = { 0 };
	XXH3_state_t *st;
	XXH128_hash_t h;

	if (!t->top)
		return out;
	st = XXH3_createState();
	if (!st)
		return out;
	XXH3_128bits_reset(st);
	XXH3_128bits_update(st, &t->type, sizeof(t->type));
	for (const struct og_layer *l = t->top; l; l = l->below) {
		uint64_t place[3] = { l->in_log, l->in_log ? l->seq : 0, l->in_log ? l->body : 0 };

		XXH3_128bits_update(st, place, sizeof(place));
		if (!l->in_log)
			XXH3_128bits_update(st, l->seg.id.b, sizeof(l->seg.id.b));
	}
	h = XXH3_128bits_digest(st);
	XXH3_freeState(st);
	out.hi = h.high64;
	out.lo = h.low64;
	return out;
}

struct content *content_find(struct storaged *sd, uint32_t type_id, const struct og_hash128 *key)
{
	for (struct content *c = sd->contents; c; c = c->next)
		if (c->type_id == type_id && og_hash128_eq(&c->key, key)) {
			c->used = ++sd->clock;
			return c;
		}
	return NULL;
}

static void contents_trim(struct storaged *sd)
{
	struct content **p, **oldest = NULL;

	if (sd->ncontents <= CONTENTS_MAX)
		return;
	for (p = &sd->contents; *p; p = &(*p)->next)
		if (!(*p)->bases && (!oldest || (*p)->used < (*oldest)->used))
			oldest = p;
	if (oldest) {
		struct content *c = *oldest;

		*oldest = c->next;
		og_layer_unref(c->top);
		free(c);
		sd->ncontents--;
	}
}

static char kind_of(const struct og_schema_state *schema, uint32_t type)
{
	for (size_t i = 0; i < schema->ntypes; i++)
		if (schema->types[i].id == type)
			return schema->types[i].kind;
	return 'n';
}

struct content *content_of(struct storaged *sd, const struct og_table *t, const struct og_schema_state *schema)
{
	struct og_hash128 key = content_key(t);
	struct content *c = content_find(sd, t->type, &key);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = key;
	c->type_id = t->type;
	c->kind = kind_of(schema, t->type);
	c->rows = t->rows;
	c->top = t->top ? og_layer_ref(t->top) : NULL;
	c->schema = schema;
	c->used = ++sd->clock;
	c->next = sd->contents;
	sd->contents = c;
	sd->ncontents++;
	contents_trim(sd);
	return c;
}

/* ---- bases ---- */

static void base_free(struct storaged *sd, struct base *b)
{
	if (!b)
		return;
	for (size_t i = 0; b->contents && i < b->state->ntables; i++)
		if (b->contents[i] && --b->contents[i]->bases == 0)
			images_stale(sd, b->contents[i]);
	og_branch_unref(b->state);
	free(b->contents);
	free(b->keys);
	free(b);
}

/* `held`: readers follow it, so what it consists of must stay known. */
static struct base *base_make(struct storaged *sd, const struct og_branch *br, bool held, struct og_error *err)
{
	struct base *b = calloc(1, sizeof(*b));
	size_t n = br->ntables ? br->ntables : 1;

	if (b)
		b->keys = calloc(n, sizeof(*b->keys));
	if (b && held)
		b->contents = calloc(n, sizeof(struct content *));
	if (!b || !b->keys || (held && !b->contents)) {
		if (b) {
			free(b->contents);
			free(b->keys);
		}
		free(b);
		og_error_nomem(err);
		return NULL;
	}
	b->branch = br->id;
	b->state = og_branch_ref(br);
	for (size_t i = 0; i < br->ntables; i++) {
		struct content *c = content_of(sd, &br->tables[i], br->schema);

		if (!c) {
			base_free(sd, b);
			og_error_nomem(err);
			return NULL;
		}
		b->keys[i] = c->key;
		if (held) {
			c->bases++;
			b->contents[i] = c;
		}
	}
	return b;
}

static struct base *base_find(const struct storaged *sd, const struct og_ulid *branch)
{
	for (struct base *b = sd->bases; b; b = b->next)
		if (og_ulid_cmp(&b->branch, branch) == 0)
			return b;
	return NULL;
}

/* Commits that are in the base of their branch, or whose branch has none, go. Those that nobody was told of yet stay. */
static void recents_trim(struct storaged *sd)
{
	size_t n = 0;

	for (size_t i = 0; i < sd->nrecents; i++) {
		struct recent *r = sd->recents[i];
		const struct base *b = base_find(sd, &r->branch);

		if (r->seq <= sd->pushed_seq && (!b || r->seq <= b->state->seq))
			free(r);
		else
			sd->recents[n++] = r;
	}
	sd->nrecents = n;
}

/* The branch's state of now becomes its base. */
static struct base *base_renew(struct storaged *sd, const struct og_branch *br, struct og_error *err)
{
	struct base *b = base_make(sd, br, true, err), **p;

	if (!b)
		return NULL;
	for (p = &sd->bases; *p; p = &(*p)->next)
		if (og_ulid_cmp(&(*p)->branch, &br->id) == 0) {
			struct base *old = *p;

			images_prebuild(sd, old, b);
			*p = old->next;
			base_free(sd, old);
			break;
		}
	b->next = sd->bases;
	sd->bases = b;
	recents_trim(sd);
	return b;
}

static uint64_t base_rows(const struct base *b)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < b->state->ntables; i++)
		rows += b->state->tables[i].rows;
	return rows;
}

static bool base_is_old(const struct base *b)
{
	uint64_t limit = OG_MAX(DELTA_ROWS_MIN, base_rows(b) / 8);

	/* However large the base, its commits must fit into one message. */
	return b->delta_rows > limit || b->delta_commits > DELTA_COMMITS_MAX ||
	       b->delta_bytes > OG_MIN(OG_MAX(DELTA_BYTES_MAX, limit * 64), TAIL_MAX);
}

/* ---- commits above the bases ---- */

static int put_recent(struct storaged *sd, uint64_t seq, const struct og_ulid *branch, const struct og_buf *b, struct og_error *err)
{
	struct recent *r = malloc(sizeof(*r) + b->len);

	if (!r)
		return og_error_nomem(err);
	r->seq = seq;
	r->order = sd->clock++;
	r->branch = *branch;
	r->len = b->len;
	memcpy(r->bytes, b->data, b->len);
	if (sd->nrecents == sd->cap_recents) {
		size_t cap = sd->cap_recents ? 2 * sd->cap_recents : 256;
		struct recent **p = realloc(sd->recents, cap * sizeof(struct recent *));

		if (!p) {
			free(r);
			return og_error_nomem(err);
		}
		sd->recents = p;
		sd->cap_recents = cap;
	}
	sd->recents[sd->nrecents++] = r;
	return 0;
}

/* One commit record as it is told to readers; `bodies` false: without its rows. Returns the rows it touches. */
static int wire_commit(const struct og_logobj *o, const struct og_record *rec, struct og_arena *a, bool bodies, struct og_wire_commit *c,
		       struct og_error *err)
{
	*c = (struct og_wire_commit){ .seq = o->seq, .branch = rec->commit.branch, .commit = rec->id, .parent = rec->commit.parent,
				      .version = rec->commit.version, .at_us = rec->at_us, .actor = rec->actor,
				      .schema = rec->commit.schema.present };
	if (rec->commit.has_merged)
		c->merged = rec->commit.merged_commit;
	c->tables = og_arena_array(a, rec->commit.ntables ? rec->commit.ntables : 1, sizeof(*c->tables));
	if (!c->tables)
		return og_arena_error(a, err);
	c->ntables = (uint32_t)rec->commit.ntables;
	for (size_t i = 0; i < rec->commit.ntables; i++) {
		const struct og_table_change *t = &rec->commit.tables[i];
		struct og_wire_table *w = &c->tables[i];

		*w = (struct og_wire_table){ .type_id = t->type, .table_version = t->version, .dn = t->dn, .all = t->all, .rows = t->rows,
					     .segments = t->nsegs > 0 || t->as };
		if (bodies && t->body != OG_NO_BODY && og_logobj_body(o, t->body, &w->body, err) < 0)
			return err->code;
	}
	return 0;
}

static void note_delta(struct storaged *sd, const struct og_wire_commit *c, size_t bytes)
{
	struct base *b = base_find(sd, &c->branch);

	if (!b)
		return;
	b->delta_commits++;
	b->delta_bytes += bytes;
	for (uint32_t i = 0; i < c->ntables; i++) {
		/* A row of a delta takes a hundred bytes or so in its file, more when it is alone. */
		b->delta_rows += 1 + c->tables[i].body.len / 256;
		if (c->tables[i].segments)
			b->delta_rows = UINT64_MAX / 2;
	}
	if (c->schema)
		b->delta_rows = UINT64_MAX / 2;
}

/* Encodes a tail by hand: its commits are encoded already. */
static void put_tail(struct og_buf *b, const struct og_ulid *branch, uint64_t prev, uint64_t seq, uint64_t bell, bool reopen,
		     struct recent *const *list, size_t n, const struct og_ulid *only)
{
	struct og_wire_tail t = { .prev_seq = prev, .seq = seq, .bell = bell, .reopen = reopen };
	uint32_t count = 0;
	size_t at;

	if (branch)
		t.branch = *branch;
	og_wire_put_tail(b, &t);
	at = b->len;	/* the count of commits is the last field: overwritten below */
	for (size_t i = 0; i < n; i++) {
		if (only && og_ulid_cmp(&list[i]->branch, only) != 0)
			continue;
		og_buf_append(b, list[i]->bytes, list[i]->len);
		count++;
	}
	if (!b->failed)
		memcpy(b->data + at - sizeof(count), &count, sizeof(count));
}

/* What was applied and not told, as a message that is made once for all peers. */
static void push_make(struct storaged *sd)
{
	uint64_t seq = sd->journal ? og_journal_state(sd->journal)->seq : sd->pushed_seq;
	size_t i = sd->nrecents;

	if (sd->push_seq || seq == sd->pushed_seq)
		return;
	/* It may have come up only with a first write. */
	for (struct peer *p = sd->peers; p; p = p->next)
		peer_send_bell(p);
	while (i > 0 && sd->recents[i - 1]->seq > sd->pushed_seq)
		i--;
	put_tail(&sd->push, NULL, sd->pushed_seq, seq, bell_value(sd), false, sd->recents + i, sd->nrecents - i, NULL);
	sd->push_seq = seq;
}

static void push_to(struct storaged *sd, struct peer *p)
{
	struct og_error err = { 0 };

	if (p->told_seq >= sd->push_seq || p->role == OG_ROLE_BUILDER || og_chan_state(p->chan) != OG_IPC_RUNNING)
		return;
	p->told_seq = sd->push_seq;
	if (!sd->push.failed && sd->push.len <= PUSH_MAX)
		(void)og_chan_send(p->chan, OG_IPC_HEAD_MOVED, &sd->push, -1, &err);	/* may be dropped: the next look tells */
}

/* Those who have not been told yet. */
static void push_end(struct storaged *sd)
{
	if (!sd->push_seq)
		return;
	for (struct peer *p = sd->peers; p; p = p->next)
		push_to(sd, p);
	sd->pushed_seq = sd->push_seq;
	sd->push_seq = 0;
	og_buf_fini(&sd->push);
}

/* ---- a base that the store has images of ---- */

static bool has_index(struct storaged *sd, const struct og_branch *br)
{
	const struct og_state *s = og_journal_state(sd->journal);

	for (size_t t = 0; t < br->ntables && s->nindex; t++) {
		struct og_hash128 key = content_key(&br->tables[t]);

		for (size_t i = 0; i < s->nindex; i++)
			if (og_hash128_eq(&s->index[i].content, &key))
				return true;
	}
	return false;
}

/* The branch's commits of one object, as readers are told of them. */
static int put_commits(struct storaged *sd, const struct og_logobj *o, const struct og_ulid *branch, struct og_error *err)
{
	struct og_arena a;
	struct og_buf b = { 0 };
	int rc = 0;

	og_arena_init(&a, 0);
	for (size_t i = 0; i < o->nrecords && rc == 0; i++) {
		const struct og_record *rec = &o->records[i];
		struct og_wire_commit c;

		if (rec->kind != OG_REC_COMMIT || og_ulid_cmp(&rec->commit.branch, branch) != 0)
			continue;
		og_buf_clear(&b);
		rc = wire_commit(o, rec, &a, true, &c, err);
		if (rc < 0)
			break;
		og_wire_put_commit(&b, &c);
		note_delta(sd, &c, b.len);
		rc = og_buf_ok(&b, err);
		if (rc == 0)
			rc = put_recent(sd, c.seq, &c.branch, &b, err);
	}
	og_buf_fini(&b);
	og_arena_fini(&a);
	return rc;
}

static int by_seq(const void *a, const void *b)
{
	const struct recent *x = *(struct recent *const *)a, *y = *(struct recent *const *)b;

	return x->seq != y->seq ? (x->seq < y->seq ? -1 : 1) : x->order < y->order ? -1 : x->order > y->order;
}

/*
 * The state of the checkpoint that we opened from, whose images lie in the store, and the commits since above it. NULL: the state of now is
 * the better base, for there are no images of that one, or too much came since.
 */
static struct base *base_opened(struct storaged *sd, const struct og_branch *now, struct og_error *err)
{
	const struct og_branch *then = og_journal_opened_branch(sd->journal, &now->id);
	struct base *b = then && then->seq < now->seq && has_index(sd, then) ? base_make(sd, then, true, err) : NULL;
	int rc = 0;

	if (!b)
		return NULL;
	b->next = sd->bases;
	sd->bases = b;
	for (uint64_t seq = then->seq + 1; seq <= now->seq && rc == 0 && !base_is_old(b); seq++) {
		const struct og_logobj *o = og_journal_object(sd->journal, seq);

		rc = o ? put_commits(sd, o, &now->id, err) : OG_ERR_NOT_FOUND;
	}
	if (rc < 0 || base_is_old(b)) {
		sd->bases = b->next;
		base_free(sd, b);
		recents_trim(sd);
		return NULL;
	}
	if (sd->nrecents)
		qsort(sd->recents, sd->nrecents, sizeof(struct recent *), by_seq);
	return b;
}

/* ---- from the journal to the readers ---- */

/* The journal applied an object: its commits are kept until graph_flush has told them. */
void graph_opened_hook(void *arg, struct og_journal *j, const struct og_journal_event *ev)
{
	struct storaged *sd = arg;
	struct og_error err = { 0 };
	struct og_arena a;
	struct og_buf b = { 0 };

	(void)j;
	push_end(sd);	/* a push begins where the one before ends */
	og_arena_init(&a, 0);
	for (size_t i = 0; i < ev->object->nrecords; i++) {
		const struct og_record *rec = &ev->object->records[i];
		struct og_wire_commit c;

		/* Whoever follows a branch has opened it, so it has a base. */
		if (rec->kind != OG_REC_COMMIT || !base_find(sd, &rec->commit.branch))
			continue;
		og_buf_clear(&b);
		if (wire_commit(ev->object, rec, &a, true, &c, &err) == 0) {
			og_wire_put_commit(&b, &c);
			note_delta(sd, &c, b.len);
			if (!b.failed && put_recent(sd, c.seq, &c.branch, &b, &err) == 0)
				continue;
		}
		/* Readers cannot be told what it is: they open again. */
		og_log(OG_LOG_ERROR, "commit.tell", "seq=%llu why=\"%s\"", (unsigned long long)ev->object->seq, err.message);
		base_find(sd, &rec->commit.branch)->delta_rows = UINT64_MAX / 2;
	}
	og_buf_fini(&b);
	og_arena_fini(&a);
	sd->last_is_ours = ev->ours;
	bell_publish(sd);
	/* Who has made a commit is told behind its answer, all others from the loop. */
	if (sd->flush)
		event_active(sd->flush, EV_TIMEOUT, 0);
}

static void push_all(struct storaged *sd, const struct og_buf *b)
{
	struct og_error err = { 0 };

	for (struct peer *p = sd->peers; p; p = p->next)
		if (p->role != OG_ROLE_BUILDER && og_chan_state(p->chan) == OG_IPC_RUNNING)
			(void)og_chan_send(p->chan, OG_IPC_HEAD_MOVED, b, -1, &err);	/* may be dropped: the next look tells */
}

static void push_reopen(struct storaged *sd, const struct og_ulid *branch)
{
	struct og_buf b = { 0 };

	put_tail(&b, branch, 0, sd->pushed_seq, 0, true, NULL, 0, NULL);
	if (!b.failed)
		push_all(sd, &b);
	og_buf_fini(&b);
}

static void renew_old_bases(struct storaged *sd)
{
	const struct og_state *s = og_journal_state(sd->journal);
	struct og_error err = { 0 };
	struct base *b, *next;

	for (b = sd->bases; b; b = next) {
		const struct og_branch *br = og_state_branch(s, &b->branch);
		struct og_ulid id = b->branch;

		next = b->next;
		if (!br || !br->live) {
			struct base **p;

			for (p = &sd->bases; *p != b; p = &(*p)->next)
				;
			*p = b->next;
			base_free(sd, b);
			push_reopen(sd, &id);
		} else if (base_is_old(b) && base_renew(sd, br, &err)) {
			push_reopen(sd, &id);
		}
	}
}

void graph_tell(struct storaged *sd, struct peer *p)
{
	push_make(sd);
	push_to(sd, p);
}

const struct base *base_of(const struct storaged *sd, const struct og_ulid *branch)
{
	return base_find(sd, branch);
}

void base_renew_main(struct storaged *sd)
{
	struct base *b = sd->journal ? base_find(sd, &og_state_main(og_journal_state(sd->journal))->id) : NULL;

	if (!b)
		return;
	b->delta_rows = UINT64_MAX / 2;
	renew_old_bases(sd);
}

void graph_flush(struct storaged *sd)
{
	push_make(sd);
	if (!sd->push_seq)
		return;
	push_end(sd);
	renew_old_bases(sd);
}

/* ---- how new ---- */

/* Somebody's og_journal_confirm, on its way. */
struct looker {
	struct storaged *sd;
	uint64_t began_us;
	og_journal_done cb;
	void *arg;
};

static void on_looked(void *arg, const struct og_error *err)
{
	struct looker *l = arg;

	/* What the store held when the look was asked for is in the state now. */
	if (err->code == 0)
		l->sd->looked_us = OG_MAX(l->sd->looked_us, l->began_us);
	if (l->cb)
		l->cb(l->arg, err);
	free(l);
}

static void look_new(struct storaged *sd, og_journal_done cb, void *arg)
{
	struct looker *l = malloc(sizeof(*l));

	if (!l) {
		/* Without its time it is of no use to later ones. */
		if (cb)
			og_journal_confirm(sd->journal, cb, arg);
		return;
	}
	*l = (struct looker){ sd, og_boottime_us(), cb, arg };
	og_journal_confirm(sd->journal, on_looked, l);
}

/* Calls cb once the state is as new as `look` wants it; at once when it is. */
static void look(struct storaged *sd, enum og_look look, og_journal_done cb, void *arg)
{
	static const struct og_error none;

	switch (look) {
	case OG_LOOK_HOST:
		cb(arg, &none);
		return;
	case OG_LOOK_RECENT:
		if (sd->max_staleness_us && sd->looked_us && og_boottime_us() - sd->looked_us <= sd->max_staleness_us) {
			cb(arg, &none);
			return;
		}
		break;
	case OG_LOOK_NEW:
		break;
	}
	look_new(sd, cb, arg);
}

/* Other hosts' commits are followed when nobody asks, too: whoever asks then has less to wait for. */
static void on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct storaged *sd = arg;

	(void)fd;
	(void)what;
	/* Not beside a look that has just been; and a timer that fires a little early is not to miss its turn. */
	if (sd->journal && og_journal_status(sd->journal) != OG_JOURNAL_ENDED && og_boottime_us() - sd->looked_us >= sd->poll_us / 4 * 3)
		look_new(sd, NULL, NULL);
}

static void start_poll(struct storaged *sd)
{
	struct timeval tv = { (time_t)(sd->poll_us / 1000000), (suseconds_t)(sd->poll_us % 1000000) };

	if (!sd->poll_us || sd->direct || sd->poll)
		return;
	sd->poll = event_new(sd->child.base, -1, EV_PERSIST, on_poll, sd);
	if (!sd->poll || event_add(sd->poll, &tv) < 0)
		og_log(OG_LOG_ERROR, "poll", "why=\"%s\"", "out of memory");
}

/* ---- GRAPH_OPEN ---- */

struct opener {
	struct storaged *sd;
	uint64_t peer;
	uint32_t request;
	struct og_arena arena;
	struct og_wire_open open;
	struct opener *next;
};

static void opener_free(struct opener *o)
{
	og_arena_fini(&o->arena);
	free(o);
}

static void opener_fail(struct opener *o, const struct og_error *err)
{
	struct peer *p = peer_find(o->sd, o->peer);

	if (p)
		og_chan_fail(p->chan, o->request, err);
	opener_free(o);
}

static int put_layers(struct og_arena *a, const struct og_table *t, struct og_wire_type *w, struct og_error *err)
{
	uint32_t n = t->top ? t->top->depth : 0, i = n;

	w->layers = og_arena_array(a, n ? n : 1, sizeof(*w->layers));
	if (!w->layers)
		return og_arena_error(a, err);
	w->nlayers = n;
	for (const struct og_layer *l = t->top; l && i > 0; l = l->below) {
		struct og_wire_layer *y = &w->layers[--i];

		if (l->in_log)
			*y = (struct og_wire_layer){ .kind = OG_LAYER_BODY, .seq = l->seq, .body = l->body, .bytes = l->len };
		else
			*y = (struct og_wire_layer){ .kind = OG_LAYER_SEGMENT, .segment = l->seg.id, .rows = l->seg.rows, .bytes = l->seg.bytes };
	}
	return 0;
}

static int put_types(struct opener *o, const struct base *b, struct og_wire_head *h, struct og_error *err)
{
	const struct og_branch *br = b->state;

	h->types = og_arena_array(&o->arena, br->ntables ? br->ntables : 1, sizeof(*h->types));
	if (!h->types)
		return og_arena_error(&o->arena, err);
	h->ntypes = (uint32_t)br->ntables;
	for (size_t i = 0; i < br->ntables; i++) {
		const struct og_table *t = &br->tables[i];
		struct og_wire_type *w = &h->types[i];

		*w = (struct og_wire_type){ .type_id = t->type, .content = b->keys[i], .base_rows = t->rows, .table_version = t->version,
					    .owner = t->owner };
		for (size_t k = 0; k < br->schema->ntypes; k++)
			if (br->schema->types[k].id == t->type) {
				w->kind = br->schema->types[k].kind == 'e';
				w->name = br->schema->types[k].name;
			}
		if (o->open.want_layers && put_layers(&o->arena, t, w, err) < 0)
			return err->code;
	}
	return 0;
}

/* The answer: base, then the commits above it. */
static void answer_head(struct opener *o, const struct base *b, bool moving)
{
	struct storaged *sd = o->sd;
	struct og_wire_head h = { .graph = og_journal_state(sd->journal)->graph, .branch = b->branch, .branch_name = b->state->name,
				  .base_commit = b->state->head, .base_seq = b->state->seq, .base_version = b->state->version,
				  .schema = b->state->schema->text };
	struct peer *p = peer_find(sd, o->peer);
	struct og_error err = { 0 };
	struct og_buf buf = { 0 };
	uint32_t count = 0;
	size_t at;
	int rc;

	h.seq = moving ? og_journal_state(sd->journal)->seq : b->state->seq;
	h.bell = bell_value(sd);
	rc = put_types(o, b, &h, &err);
	if (rc == 0) {
		og_wire_put_head(&buf, &h);
		at = buf.len;
		for (size_t i = 0; moving && i < sd->nrecents; i++) {
			const struct recent *r = sd->recents[i];

			if (r->seq <= b->state->seq || og_ulid_cmp(&r->branch, &b->branch) != 0)
				continue;
			og_buf_append(&buf, r->bytes, r->len);
			count++;
		}
		rc = og_buf_ok(&buf, &err);
		if (rc == 0)
			memcpy(buf.data + at - sizeof(count), &count, sizeof(count));
	}
	if (rc == 0 && p)
		rc = og_chan_answer(p->chan, o->request, OG_IPC_GRAPH_HEAD, &buf, -1, &err);
	og_buf_fini(&buf);
	if (rc < 0)
		opener_fail(o, &err);
	else
		opener_free(o);
}

static void open_branch(struct opener *o)
{
	struct storaged *sd = o->sd;
	const struct og_branch *br = og_state_branch_named(og_journal_state(sd->journal), o->open.branch);
	struct og_error err = { 0 };
	struct base *b;

	if (!br) {
		og_error_set(&err, OG_ERR_NOT_FOUND, "branch '%.*s' not found", OG_FMT(o->open.branch));
		opener_fail(o, &err);
		return;
	}
	b = base_find(sd, &br->id);
	if (!b && !o->open.want_layers)
		b = base_opened(sd, br, &err);
	/* Layers are told only as they are now: in direct mode the base is the present state. */
	if (!b || base_is_old(b) || (o->open.want_layers && b->state->seq != br->seq))
		b = base_renew(sd, br, &err);
	if (!b) {
		opener_fail(o, &err);
		return;
	}
	answer_head(o, b, true);
}

static void on_snapshot(void *arg, const struct og_branch *state, const struct og_error *err)
{
	struct opener *o = arg;
	struct storaged *sd = o->sd;
	struct og_error e = { 0 };
	struct base *b;

	if (!state) {
		opener_fail(o, err);
		return;
	}
	b = base_make(sd, state, false, &e);
	if (!b) {
		opener_fail(o, &e);
		return;
	}
	answer_head(o, b, false);	/* frees o */
	base_free(sd, b);
}

static void open_commit(struct opener *o)
{
	struct og_error err = { 0 };
	struct og_ulid id;

	if (!og_ulid_parse(o->open.commit, &id)) {
		og_error_set(&err, OG_ERR_NOT_FOUND, "commit '%.*s' not found", OG_FMT(o->open.commit));
		opener_fail(o, &err);
		return;
	}
	og_journal_snapshot(o->sd->journal, &id, on_snapshot, o);
}

/* A graph that has ended is one to ask for again: the next process serves what is in its place. */
static struct og_error confirm_error(const struct storaged *sd, const struct og_error *err)
{
	struct og_error e = *err;

	if (err->code == OG_ERR_GONE)
		og_error_set(&e, OG_ERR_UNAVAILABLE, "the graph at '%s' is being opened; try again in a moment", sd->uri);
	return e;
}

static void on_confirmed(void *arg, const struct og_error *err)
{
	struct opener *o = arg;

	if (err->code < 0) {
		struct og_error e = confirm_error(o->sd, err);

		opener_fail(o, &e);
		return;
	}
	graph_flush(o->sd);
	if (o->open.commit.len || o->open.commit.p)
		open_commit(o);
	else
		open_branch(o);
}

static void opener_go(struct opener *o)
{
	struct og_error err = { 0 };

	if (sd_no_journal(o->sd, &err) < 0) {
		opener_fail(o, &err);
		return;
	}
	/* The command that og-cli carries out was given before this process was started for it: the open was its look. */
	if (o->sd->asked_before) {
		o->sd->asked_before = false;
		on_confirmed(o, &err);
		return;
	}
	look(o->sd, o->open.look, on_confirmed, o);
}

int on_graph_open(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct opener *o = calloc(1, sizeof(*o));
	struct og_slice body;

	if (!o) {
		og_error_nomem(err);
		og_chan_fail(p->chan, m->request, err);
		return 0;
	}
	o->sd = p->sd;
	o->peer = p->id;
	o->request = m->request;
	og_arena_init(&o->arena, 0);
	body = og_arena_slice(&o->arena, m->body);
	if (!body.p || og_wire_get_open(body, &o->open, err) < 0) {
		opener_free(o);
		return body.p ? err->code : og_error_nomem(err);
	}
	if (o->open.commit.len == 0)
		o->open.commit.p = NULL;
	/* In direct mode the store may be out of reach: every request is answered with the reason. */
	if (!p->sd->store) {
		og_chan_fail(p->chan, m->request, &p->sd->open_error);
		opener_free(o);
		return 0;
	}
	if (p->sd->opening) {
		o->next = p->sd->openers;
		p->sd->openers = o;
		return 0;
	}
	/* In direct mode there may be no graph yet, or it was made meanwhile. */
	if (!p->sd->journal) {
		o->next = p->sd->openers;
		p->sd->openers = o;
		graph_open(p->sd);
		return 0;
	}
	opener_go(o);
	return 0;
}

/* ---- CATCH_UP ---- */

struct catcher {
	struct storaged *sd;
	uint64_t peer;
	uint32_t request;
	struct og_wire_catchup c;
};

static void answer_tail(struct catcher *c, struct peer *p, const struct og_branch *br)
{
	struct storaged *sd = c->sd;
	struct base *b = base_find(sd, &br->id);
	uint64_t seq = og_journal_state(sd->journal)->seq;
	bool reopen = !b || b->state->seq != c->c.base_seq || base_is_old(b);
	struct og_error err = { 0 };
	struct og_buf buf = { 0 };
	size_t i = sd->nrecents;

	while (i > 0 && sd->recents[i - 1]->seq > c->c.seq)
		i--;
	if (!reopen)
		put_tail(&buf, &br->id, c->c.seq, seq, bell_value(sd), false, sd->recents + i, sd->nrecents - i, &br->id);
	if (!reopen && buf.len > TAIL_MAX) {
		b->delta_rows = UINT64_MAX / 2;
		og_buf_clear(&buf);
		reopen = true;
	}
	if (reopen)
		put_tail(&buf, &br->id, c->c.seq, seq, 0, true, NULL, 0, NULL);
	if (og_buf_ok(&buf, &err) == 0)
		(void)og_chan_answer(p->chan, c->request, OG_IPC_TAIL, &buf, -1, &err);
	if (err.code < 0)
		og_chan_fail(p->chan, c->request, &err);
	og_buf_fini(&buf);
}

static void on_caught(void *arg, const struct og_error *err)
{
	struct catcher *c = arg;
	struct peer *p = peer_find(c->sd, c->peer);
	const struct og_branch *br;
	struct og_error e = { 0 };

	if (p) {
		graph_flush(c->sd);
		br = err->code < 0 ? NULL : og_state_branch(og_journal_state(c->sd->journal), &c->c.branch);
		if (err->code < 0) {
			e = confirm_error(c->sd, err);
			og_chan_fail(p->chan, c->request, &e);
		} else if (!br || !br->live) {
			og_error_set(&e, OG_ERR_NOT_FOUND, "branch not found");
			og_chan_fail(p->chan, c->request, &e);
		} else {
			answer_tail(c, p, br);
		}
	}
	free(c);
}

int on_catch_up(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct catcher *c;
	struct og_wire_catchup w;

	if (og_wire_get_catchup(m->body, &w, err) < 0)
		return err->code;
	c = calloc(1, sizeof(*c));
	if (!c || sd_no_journal(p->sd, err) < 0) {
		if (!c)
			og_error_nomem(err);
		free(c);
		og_chan_fail(p->chan, m->request, err);
		return 0;
	}
	*c = (struct catcher){ p->sd, p->id, m->request, w };
	look(p->sd, w.look, on_caught, c);
	return 0;
}

/* ---- opening and closing the graph ---- */

static void on_leave(evutil_socket_t fd, short what, void *arg)
{
	struct storaged *sd = arg;

	(void)fd;
	(void)what;
	event_base_loopbreak(sd->child.base);
}

/*
 * The graph was made anew, or removed, by another process: nothing here is about what lies in the store now. We leave, as after a crash: og-master starts
 * another one, and workers open again. Answers under way get a moment to be read.
 */
static void on_status(void *arg, struct og_journal *j)
{
	static const struct timeval soon = { 0, 100000 };
	struct storaged *sd = arg;

	if (og_journal_status(j) != OG_JOURNAL_ENDED || sd->leave)
		return;
	og_log(OG_LOG_WARN, "graph.ended", "why=%s", "the graph was re-initialised or removed");
	sd->leave = evtimer_new(sd->child.base, on_leave, sd);
	if (!sd->leave || evtimer_add(sd->leave, &soon) < 0)
		event_base_loopbreak(sd->child.base);
}

const struct og_journal_hooks storaged_hooks = { .applied = graph_opened_hook, .status = on_status, .fold = job_fold,
						 .index = index_keep, .checkpointed = on_checkpoint };
static const struct og_journal_hooks direct_hooks = { .applied = graph_opened_hook, .fold = job_fold, .index = index_keep,
						    .checkpointed = on_checkpoint };

struct og_journal_config storaged_config(struct storaged *sd)
{
	return (struct og_journal_config){ .base = sd->child.base, .store = sd->store, .prefix = "", .uri = sd->uri, .host = sd->host,
					   .folds_at_once = (unsigned)og_child_setting_u64(&sd->child, "folds_at_once", 0),
					   .hooks = sd->direct ? &direct_hooks : &storaged_hooks, .arg = sd };
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	graph_flush(arg);
}

/*
 * A log that is damaged is shown as far as it is whole: loudly, for the reader of og-cli alone gets no other hint that this is
 * not the newest state.
 */
static void warn_read_only(const struct storaged *sd, const struct og_journal *j)
{
	struct og_log_quoted q;

	og_log(sd->store->read_only ? OG_LOG_WARN : OG_LOG_ERROR, "graph.read_only", "why=%s", og_log_quote(&q, og_journal_reason(j)));
}

static void on_opened(void *arg, struct og_journal *j, const struct og_error *err)
{
	struct storaged *sd = arg;
	struct opener *o = sd->openers, *next;
	struct og_error e = { 0 };

	sd->opening = false;
	sd->journal = j;
	sd->open_error = *err;
	sd->openers = NULL;
	if (j) {
		if (og_journal_status(j) != OG_JOURNAL_WRITABLE)
			warn_read_only(sd, j);
		sd->pushed_seq = og_journal_state(j)->seq;
		for (struct peer *p = sd->peers; p; p = p->next)
			p->told_seq = 0;	/* of the graph that was here before */
		sd->looked_us = sd->opened_us;
		sd->asked_before = sd->direct;
		start_poll(sd);
		sd->last_is_ours = true;
		if (index_start(sd, &e) < 0)
			og_log(OG_LOG_ERROR, "index.start", "why=\"%s\"", e.message);
		if (!sd->flush)
			sd->flush = event_new(sd->child.base, -1, 0, on_flush, sd);
		bell_opened(sd);
	}
	for (; o; o = next) {
		next = o->next;
		opener_go(o);
	}
	if (sd->ready_sent)
		return;
	sd->ready_sent = true;
	if (!j && !sd->direct) {
		(void)og_child_abort(&sd->child, err);
		_exit(1);
	}
	if (og_child_ready(&sd->child, sd->held, "", &e) < 0)
		event_base_loopbreak(sd->child.base);
}

void graph_open(struct storaged *sd)
{
	struct og_journal_config cfg = storaged_config(sd);

	sd->opening = true;
	sd->opened_us = og_boottime_us();
	og_journal_open(&cfg, on_opened, sd);
}

void graph_close(struct storaged *sd)
{
	while (sd->bases) {
		struct base *b = sd->bases;

		sd->bases = b->next;
		base_free(sd, b);
	}
	while (sd->contents) {
		struct content *c = sd->contents;

		sd->contents = c->next;
		og_layer_unref(c->top);
		free(c);
	}
	sd->ncontents = 0;
	for (size_t i = 0; i < sd->nrecents; i++)
		free(sd->recents[i]);
	free(sd->recents);
	sd->recents = NULL;
	sd->nrecents = sd->cap_recents = 0;
	if (sd->flush)
		event_free(sd->flush);
	if (sd->leave)
		event_free(sd->leave);
	if (sd->poll)
		event_free(sd->poll);
	sd->flush = sd->leave = sd->poll = NULL;
	og_buf_fini(&sd->push);
	sd->push_seq = 0;
	og_journal_close(sd->journal);
	sd->journal = NULL;
	bell_publish(sd);
}
