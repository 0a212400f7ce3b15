/*
 * Images in the store. Whoever opens a graph finds them named by the checkpoint it opens from, and fetches what a query needs instead of building it
 * from rows. They are derived: what is missing or damaged is built; what cannot be put there is built again next time. What a new checkpoint names
 * no more is deleted: no live branch consists of it.
 *
 * An image stands for one state of its type, the rows written since are deltas above it. Once nobody has written for a while the host that wrote last
 * folds them in and has new images made, so that a server which ends then is quickly back.
 *
 * What is kept: images of main, as the checkpoint has it, that queries have asked for, of types large enough to be worth a request, and of columns
 * those of few bytes a row, which gain most: strings and vectors are as soon read from their Parquet.
 */
#include "config.h"

#include "storaged.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/date.h"
#include "base/fd.h"
#include "base/log.h"

#define ROWS_BYTES_MIN OG_MIB		/* a type of fewer bytes of Parquet is built as soon as it is fetched */
#define COLUMN_BYTES 9u			/* a row; and some more for the header and the alignment */
#define COLUMN_BYTES_MORE 8192u
#define PUTS_MAX 2u			/* at one time */
#define QUIET_MS 2000			/* without a new image, before what there is is put */
#define PART_ROWS (1u << 20)		/* as in image/image.h */
#define LOOKS 4u			/* whether the log stands still, in the time that it must */
#define REST UINT64_C(20)		/* such times between two renewals: rewriting and building are never more than a small part of it */

/* ---- from the store ---- */

static bool is_bad(const struct storaged *sd, const struct og_ulid *id)
{
	for (unsigned i = 0; i < OG_MIN(sd->nindex_bad, (unsigned)OG_COUNT(sd->index_bad)); i++)
		if (og_ulid_cmp(&sd->index_bad[i], id) == 0)
			return true;
	return false;
}

const struct og_index *index_find(struct storaged *sd, const struct og_wire_image *k)
{
	const struct og_state *s = sd->journal ? og_journal_state(sd->journal) : NULL;

	for (size_t i = 0; s && i < s->nindex; i++) {
		const struct og_index *x = &s->index[i];

		if (x->type == k->type_id && (unsigned)x->kind == k->what && x->prop == k->prop_id && x->part == k->part &&
		    og_hash128_eq(&x->content, &k->content) && og_hash128_eq(&x->src, &k->src) && og_hash128_eq(&x->dst, &k->dst) && !is_bad(sd, &x->id))
			return x;
	}
	return NULL;
}

struct fetch {
	struct storaged *sd;
	struct og_wire_image key;
	struct og_ulid id;
	struct og_hash128 hash;
	uint64_t bytes;
};

/* It is built after all. */
static void build_instead(struct storaged *sd, struct fetch *f, const struct og_error *why)
{
	struct og_error err = { 0 };
	struct og_log_quoted q;

	og_log(OG_LOG_WARN, "index.lost", "object=%s why=%s", og_ulid_format(&f->id).s, og_log_quote(&q, why->message));
	sd->index_bad[sd->nindex_bad++ % OG_COUNT(sd->index_bad)] = f->id;
	if (job_add(sd, &f->key, &err) < 0)
		image_failed(sd, &f->key, &err);
}

static void on_fetched(void *arg, struct og_cache_result *res)
{
	struct fetch *f = arg;
	struct storaged *sd = f->sd;
	struct og_error err = { 0 };
	struct image *i;
	uint64_t size;

	if (res->code < 0)
		err = *res->err;
	else if (res->size != f->bytes)
		og_error_set(&err, OG_ERR_CORRUPT, "%llu bytes instead of %llu", (unsigned long long)res->size, (unsigned long long)f->bytes);
	else if (!res->verified)
		og_error_set(&err, OG_ERR_CORRUPT, "digest mismatch");
	if (err.code < 0 || og_memfd_check(res->fd, &size, &err) < 0) {
		build_instead(sd, f, &err);
	} else {
		sd->index_gets++;
		image_built(sd, &f->key, res->fd, f->bytes, &f->hash);
		res->fd = -1;
		/* Who asked for it may be gone, and it with them if room was short. */
		i = image_find(sd, &f->key);
		if (i)
			i->kept = true;
	}
	free(f);
	jobs_run(sd);
}

bool index_fetch(struct storaged *sd, const struct image *i)
{
	const struct og_index *x = index_find(sd, &i->key);
	struct og_cache_object o = { .sealed = true };
	char key[OG_STORE_KEY_MAX + 1];
	struct fetch *f = x ? malloc(sizeof(*f)) : NULL;

	if (!f)
		return false;
	*f = (struct fetch){ sd, i->key, x->id, x->hash, x->bytes };
	og_journal_index_key(sd->journal, x, key);
	o.key = key;
	o.digest = og_digest_of_hash128(&x->hash);
	o.size = x->bytes;
	og_cache_get(sd->cache, &o, on_fetched, f);
	return true;
}

/* ---- what is worth it ---- */

/* A state with the names of its contents. */
struct named {
	const struct og_branch *b;
	struct og_hash128 *keys;	/* as b->tables */
};

static bool named_init(struct named *n, const struct og_branch *b)
{
	n->b = b;
	n->keys = calloc(b->ntables ? b->ntables : 1, sizeof(*n->keys));
	for (size_t i = 0; n->keys && i < b->ntables; i++)
		n->keys[i] = content_key(&b->tables[i]);
	return n->keys != NULL;
}

static const struct og_table *table_of(const struct named *n, const struct og_hash128 *content)
{
	for (size_t i = 0; i < n->b->ntables; i++)
		if (n->b->tables[i].top && og_hash128_eq(&n->keys[i], content))
			return &n->b->tables[i];
	return NULL;
}

static bool is_none(const struct og_hash128 *h)
{
	return h->hi == 0 && h->lo == 0;
}

/* Whether an image of these contents can be asked for of a branch in this state. */
static bool is_of(const struct named *n, uint32_t type, const struct og_hash128 *content, const struct og_hash128 *src,
		  const struct og_hash128 *dst)
{
	const struct og_table *t = table_of(n, content);

	return t && t->type == type && (is_none(src) || table_of(n, src)) && (is_none(dst) || table_of(n, dst));
}

/* Bytes of its segments; 0: rows of it are in the log alone, and will soon lie elsewhere. */
static uint64_t stack_bytes(const struct og_table *t)
{
	uint64_t sum = 0;

	for (const struct og_layer *l = t->top; l; l = l->below) {
		if (l->in_log)
			return 0;
		sum += l->seg.bytes;
	}
	return sum;
}

static bool is_small_column(const struct image *i, const struct og_table *t)
{
	uint64_t first = (uint64_t)i->key.part * PART_ROWS, rows = t->rows > first ? OG_MIN(t->rows - first, (uint64_t)PART_ROWS) : 0;

	return i->item.bytes <= COLUMN_BYTES_MORE + rows * COLUMN_BYTES;
}

static bool is_worth(struct storaged *sd, const struct named *n, const struct image *i)
{
	const struct og_table *t;

	/* One that was given up and came back does not know that it lies there. */
	if (i->fd < 0 || i->kept || index_find(sd, &i->key) || !is_of(n, i->key.type_id, &i->key.content, &i->key.src, &i->key.dst))
		return false;
	t = table_of(n, &i->key.content);
	return stack_bytes(t) >= ROWS_BYTES_MIN && (i->key.what != IMG_COL || is_small_column(i, t));
}

/* ---- into the store ---- */

struct indexing {
	struct storaged *sd;
	og_index_done done;
	void *token;
	struct og_index *list;		/* what the checkpoint will name */
	size_t n, cap;
	struct put *puts;		/* to be made */
	unsigned running;
};

struct put {
	struct indexing *x;
	struct og_index entry;
	int fd;				/* own */
	struct put *next;
};

static bool list_add(struct indexing *x, const struct og_index *entry)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 16;
		struct og_index *p = reallocarray(x->list, cap, sizeof(*p));

		if (!p)
			return false;
		x->list = p;
		x->cap = cap;
	}
	x->list[x->n++] = *entry;
	return true;
}

static void put_free(struct put *p)
{
	og_fd_close(&p->fd);
	free(p);
}

static void go_on(struct indexing *x);

static void on_put(void *arg, struct og_store_result *res)
{
	struct put *p = arg;
	struct indexing *x = p->x;
	struct og_log_quoted q;

	x->running--;
	if (res->code < 0)
		og_log(OG_LOG_WARN, "index.keep", "object=%s why=%s", og_ulid_format(&p->entry.id).s, og_log_quote(&q, res->err->message));
	else if (list_add(x, &p->entry))
		x->sd->index_puts++;
	put_free(p);
	go_on(x);
}

/* The next ones, or the end. */
static void go_on(struct indexing *x)
{
	struct storaged *sd = x->sd;
	char key[OG_STORE_KEY_MAX + 1];

	while (x->puts && x->running < PUTS_MAX) {
		struct put *p = x->puts;

		x->puts = p->next;
		x->running++;
		og_journal_index_key(sd->journal, &p->entry, key);
		og_store_put_fd(sd->store, key, p->fd, p->entry.bytes, on_put, p);
	}
	if (x->running)
		return;
	sd->indexing = NULL;
	x->done(x->token, x->list, x->n);
	free(x->list);
	free(x);
}

/* A checkpoint may go without it. */
static void add_put(struct indexing *x, struct image *i)
{
	struct storaged *sd = x->sd;
	struct og_error err = { 0 };
	struct put *p = calloc(1, sizeof(*p));

	i->kept = true;		/* not tried again */
	if (!p)
		return;
	p->x = x;
	p->fd = fcntl(i->fd, F_DUPFD_CLOEXEC, 0);
	if (p->fd < 0 || og_journal_ulid(sd->journal, &p->entry.id, &err) < 0) {
		put_free(p);
		return;
	}
	p->entry.kind = i->key.what;
	p->entry.type = i->key.type_id;
	p->entry.prop = i->key.prop_id;
	p->entry.part = i->key.part;
	p->entry.content = i->key.content;
	p->entry.src = i->key.src;
	p->entry.dst = i->key.dst;
	p->entry.bytes = i->item.bytes;
	p->entry.hash = i->hash;
	p->next = x->puts;
	x->puts = p;
}

static bool entry_is_of(const struct named *n, const struct og_index *e)
{
	return is_of(n, e->type, &e->content, &e->src, &e->dst);
}

/* Whether another branch than main can ask for it: most share main's layers, and are passed over. */
static bool other_wants(const struct og_state *s, const struct named *main, const struct og_index *e)
{
	const struct og_table *there = og_branch_table(main->b, e->type);

	for (size_t i = 1; i < s->nbranches; i++) {
		const struct og_table *t = s->branches[i]->live ? og_branch_table(s->branches[i], e->type) : NULL;
		struct og_hash128 key;
		struct named n;
		bool wants;

		if (!t || !t->top || (there && there->top == t->top))
			continue;
		key = content_key(t);
		if (!og_hash128_eq(&e->content, &key) || !named_init(&n, s->branches[i]))
			continue;
		wants = entry_is_of(&n, e);
		free(n.keys);
		if (wants)
			return true;
	}
	return false;
}

/* Those known that can still be asked for; the others go once a checkpoint without them is there. */
static bool take_over(struct indexing *x, const struct og_state *s, const struct named *main)
{
	struct storaged *sd = x->sd;
	struct og_index *dropped = reallocarray(sd->index_dropped, sd->nindex_dropped + s->nindex + 1, sizeof(*dropped));

	if (!dropped)
		return false;
	sd->index_dropped = dropped;
	for (size_t i = 0; i < s->nindex; i++) {
		const struct og_index *e = &s->index[i];

		if (is_bad(sd, &e->id) || (!entry_is_of(main, e) && !other_wants(s, main, e)))
			dropped[sd->nindex_dropped++] = *e;
		else if (!list_add(x, e))
			return false;
	}
	return true;
}

void index_keep(void *arg, struct og_journal *j, const struct og_branch *main, bool full, og_index_done done, void *token)
{
	struct storaged *sd = arg;
	struct indexing *x = calloc(1, sizeof(*x));
	struct named n = { 0 };

	(void)full;
	if (x)
		*x = (struct indexing){ .sd = sd, .done = done, .token = token };
	if (!x || !named_init(&n, main) || !take_over(x, og_journal_state(j), &n)) {
		if (x)
			free(x->list);
		free(x);
		free(n.keys);
		done(token, og_journal_state(j)->index, og_journal_state(j)->nindex);
		return;
	}
	sd->indexing = x;
	for (struct image *i = sd->image_list; i; i = i->next)
		if (is_worth(sd, &n, i))
			add_put(x, i);
	free(n.keys);
	go_on(x);
}

/* ---- out of the store ---- */

static void on_deleted(void *arg, struct og_store_result *res)
{
	struct og_log_quoted q;

	(void)arg;
	/* Left for a cleanup. */
	if (res->code < 0)
		og_log(OG_LOG_WARN, "index.drop", "why=%s", og_log_quote(&q, res->err->message));
}

/* A checkpoint that failed may have dropped what another host's, taken over since, names; and without memory the old list stays as it was. */
static void keep_named(struct storaged *sd)
{
	const struct og_state *s = og_journal_state(sd->journal);
	size_t n = 0;

	for (size_t i = 0; i < sd->nindex_dropped; i++) {
		bool named = false;

		for (size_t k = 0; k < s->nindex && !named; k++)
			named = og_ulid_cmp(&s->index[k].id, &sd->index_dropped[i].id) == 0;
		if (!named)
			sd->index_dropped[n++] = sd->index_dropped[i];
	}
	sd->nindex_dropped = n;
}

/* Whoever opened an older checkpoint may still ask for them, and builds what it does not find. */
void index_drop(struct storaged *sd)
{
	char (*keys)[OG_STORE_KEY_MAX + 1];
	const char **list;
	struct og_store_req req = { .op = OG_STORE_DELETE_MANY };
	size_t most;

	keep_named(sd);
	most = OG_MIN(sd->nindex_dropped, (size_t)OG_STORE_PAGE_MAX);
	keys = most ? calloc(most, sizeof(*keys)) : NULL;
	list = most ? calloc(most, sizeof(*list)) : NULL;
	for (size_t i = 0, n = 0; keys && list && i < sd->nindex_dropped; i++) {
		og_journal_index_key(sd->journal, &sd->index_dropped[i], keys[n]);
		list[n] = keys[n];
		n++;
		if (n < most && i + 1 < sd->nindex_dropped)
			continue;
		req.keys = list;
		req.nkeys = n;
		og_store_submit(sd->store, &req, on_deleted, sd);
		n = 0;
	}
	sd->nindex_dropped = 0;
	free(keys);
	free(list);
}

/* ---- when ---- */

static void on_index_done(void *arg, const struct og_error *err)
{
	/* What came too late for that one; a failure is told by the journal. */
	if (err->code == 0)
		index_soon(arg);
}

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
	struct storaged *sd = arg;
	struct named n;
	bool worth = false;

	(void)fd;
	(void)what;
	/* What is being built is to be in the same checkpoint. */
	if (sd->jobs) {
		index_soon(sd);
		return;
	}
	if (!sd->journal || og_journal_status(sd->journal) != OG_JOURNAL_WRITABLE || !named_init(&n, og_state_main(og_journal_state(sd->journal))))
		return;
	for (struct image *i = sd->image_list; i && !worth; i = i->next)
		worth = is_worth(sd, &n, i);
	free(n.keys);
	if (worth && sd->indexing)
		index_soon(sd);		/* too late for the one under way */
	else if (worth)
		og_journal_checkpoint(sd->journal, false, on_index_done, sd);
}

void index_soon(struct storaged *sd)
{
	static const struct timeval quiet = { QUIET_MS / 1000, QUIET_MS % 1000 * 1000 };

	if (sd->direct)
		return;
	if (!sd->index_timer)
		sd->index_timer = evtimer_new(sd->child.base, on_quiet, sd);
	if (sd->index_timer)
		evtimer_add(sd->index_timer, &quiet);
}

/* ---- when nobody writes any more ---- */

/*
 * A large type that was written since the base was made: its images are of what no checkpoint has, so that the next process would begin from rows.
 * Only what somebody reads is worth it.
 */
static bool is_behind(struct storaged *sd, const struct base *b, const struct og_branch *now)
{
	for (size_t i = 0; i < b->state->ntables; i++) {
		const struct og_table *then = &b->state->tables[i], *t = og_branch_table(now, then->type);
		struct og_hash128 key = t ? content_key(t) : b->keys[i];
		uint64_t bytes = 0;

		for (const struct og_layer *l = t ? t->top : NULL; l; l = l->below)
			bytes += l->in_log ? 0 : l->seg.bytes;
		if (bytes < ROWS_BYTES_MIN || (og_hash128_eq(&key, &b->keys[i]) && stack_bytes(t) > 0))
			continue;
		for (const struct image *m = sd->image_list; m; m = m->next)
			if (m->fd >= 0 && og_hash128_eq(&m->key.content, &b->keys[i]))
				return true;
	}
	return false;
}

static void on_idle_done(void *arg, const struct og_error *err)
{
	struct storaged *sd = arg;

	/* Images of the new base are made; once they are there they are put. Who writes again meanwhile is no more idle than before. */
	if (err->code == 0 && og_journal_state(sd->journal)->seq == sd->idle_seq)
		base_renew_main(sd);
}

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct storaged *sd = arg;
	uint64_t now = og_monotonic_us();
	const struct og_state *s = sd->journal ? og_journal_state(sd->journal) : NULL;
	const struct base *b = s ? base_of(sd, &og_state_main(s)->id) : NULL;

	(void)fd;
	(void)what;
	if (!b || og_journal_status(sd->journal) != OG_JOURNAL_WRITABLE || sd->jobs || sd->indexing)
		return;
	if (s->seq != sd->idle_seq) {
		sd->idle_seq = s->seq;
		sd->idle_since_us = now;
	}
	if (!sd->last_is_ours || now - sd->idle_since_us < sd->idle_us || now < sd->idle_rest_us || !is_behind(sd, b, og_state_main(s)))
		return;
	sd->idle_rest_us = now + REST * sd->idle_us;
	og_journal_checkpoint(sd->journal, false, on_idle_done, sd);
}

int index_start(struct storaged *sd, struct og_error *err)
{
	uint64_t us = sd->idle_us / LOOKS;
	struct timeval tv = { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };

	if (!sd->idle_us || sd->direct || sd->idle_timer)
		return 0;
	sd->idle_timer = event_new(sd->child.base, -1, EV_PERSIST, on_idle, sd);
	return sd->idle_timer && event_add(sd->idle_timer, &tv) == 0 ? 0 : og_error_nomem(err);
}

void index_free(struct storaged *sd)
{
	struct indexing *x = sd->indexing;

	if (sd->idle_timer)
		event_free(sd->idle_timer);
	sd->idle_timer = NULL;

	free(sd->index_dropped);
	sd->index_dropped = NULL;

	if (sd->index_timer)
		event_free(sd->index_timer);
	sd->index_timer = NULL;
	sd->indexing = NULL;
	while (x && x->puts) {
		struct put *p = x->puts;

		x->puts = p->next;
		put_free(p);
	}
	if (x)
		free(x->list);
	free(x);
}
