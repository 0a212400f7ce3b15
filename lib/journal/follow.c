/* Following: head checks, read-back, applying what others put, the doorbell. */
#include "config.h"

#include "journal/private.h"

#include <stdio.h>
#include <stdlib.h>

#define LOSSES_BACKLOG 1u

/* ---- the doorbell ---- */

bool og_jn_bell_quiet(const struct og_journal *j)
{
	return j->bell && j->bell_valid && __atomic_load_n(j->bell, __ATOMIC_SEQ_CST) == j->bell_known;
}

void og_jn_ring(struct og_journal *j)
{
	uint64_t before;

	if (!j->bell)
		return;
	before = __atomic_fetch_add(j->bell, 1, __ATOMIC_SEQ_CST);
	/* Nobody else rang since: the new value says about S what the old one did. */
	if (before == j->bell_known)
		j->bell_known = before + 1;
	if (j->check.running && before == j->check.bell)
		j->check.bell = before + 1;
}

/* ---- objects in memory ---- */

void og_jn_object_free(struct og_jn_object *o)
{
	if (!o)
		return;
	og_arena_fini(&o->arena);
	og_buf_fini(&o->bytes);
	free(o);
}

struct og_jn_object *og_jn_object_new(struct og_error *err)
{
	struct og_jn_object *o = calloc(1, sizeof(*o));

	if (o)
		og_arena_init(&o->arena, 0);
	else
		og_error_nomem(err);
	return o;
}

void og_jn_object_own(struct og_jn_object *o, struct og_buf *bytes)
{
	o->bytes = *bytes;
	memset(bytes, 0, sizeof(*bytes));
}

struct og_jn_object *og_jn_object_decode(struct og_buf *bytes, struct og_error *err)
{
	struct og_jn_object *o = og_jn_object_new(err);

	if (o && og_logobj_decode(&o->arena, og_buf_view(bytes), &o->obj, err) == 0) {
		og_jn_object_own(o, bytes);
		return o;
	}
	og_jn_object_free(o);
	og_buf_fini(bytes);
	return NULL;
}

size_t og_jn_object_cost(const struct og_jn_object *o)
{
	return sizeof(*o) + o->bytes.cap + o->arena.total;
}

void og_jn_check_writer(struct og_journal *j)
{
	char text[120];

	if (j->state->min_writer <= OG_PROTOCOL_VERSION)
		return;
	snprintf(text, sizeof(text), "protocol version %u is needed to write this graph, this program has %u",
		 j->state->min_writer, OG_PROTOCOL_VERSION);
	og_jn_set_status(j, OG_JOURNAL_READ_ONLY, text);
}

static int remember(struct og_journal *j, struct og_jn_object *o, struct og_error *err)
{
	if (j->ntail == j->cap_tail) {
		size_t cap = j->cap_tail ? 2 * j->cap_tail : 64;
		struct og_jn_object **v = reallocarray(j->tail, cap, sizeof(*v));

		if (!v)
			return og_error_nomem(err);
		j->tail = v;
		j->cap_tail = cap;
	}
	j->tail[j->ntail++] = o;
	j->tail_bytes += og_jn_object_cost(o);
	return 0;
}

const struct og_logobj *og_journal_object(const struct og_journal *j, uint64_t seq)
{
	uint64_t first = j->ntail ? j->tail[0]->obj.seq : 0;

	if (!j->ntail || seq < first || seq - first >= j->ntail)
		return NULL;
	return &j->tail[seq - first]->obj;
}

/* Which keys a commit wrote; those of a stub are not known, which counts as all. */
static int add_line(struct og_journal *j, struct og_jn_object *o, struct og_record *r, bool ours, struct og_error *err)
{
	const uint64_t *w = NULL;
	size_t nw = 0;
	struct og_slice body;
	int rc;

	if (r->commit.keys_body != OG_NO_BODY) {
		if (o->obj.stub) {
			r->commit.all_keys = true;
		} else if ((rc = og_logobj_body(&o->obj, r->commit.keys_body, &body, err)) < 0 ||
			   (rc = og_keys_decode(&o->arena, body, &w, &nw, err)) < 0) {
			return rc;
		}
	}
	rc = og_lines_add(&j->lines, r, w, nw, ours, err);
	if (rc == 0)
		og_lines_trim(&j->lines, &r->commit.branch);
	return rc;
}

int og_jn_apply(struct og_journal *j, struct og_jn_object *o, bool ours, struct og_error *err)
{
	int rc = og_state_apply_object(j->state, &o->obj, err);

	for (size_t i = 0; i < o->obj.nrecords && rc == 0; i++) {
		if (o->obj.records[i].kind == OG_REC_COMMIT)
			rc = add_line(j, o, &o->obj.records[i], ours, err);
		else if (o->obj.records[i].kind == OG_REC_DELETE)
			og_lines_drop(&j->lines, &o->obj.records[i].branch);
	}
	if (rc == 0)
		rc = remember(j, o, err);
	if (rc < 0) {
		og_jn_object_free(o);
		return rc;
	}
	if (!ours) {
		j->stats.objects_followed++;
		j->foreign_seq = o->obj.seq;
	}
	return 0;
}

void og_jn_show(struct og_journal *j, const struct og_jn_object *o, bool ours)
{
	struct og_journal_event ev = { .object = &o->obj, .ours = ours };

	/* Before it is shown: who sees it here must find it in every other process. */
	og_jn_ring(j);
	if (j->hooks.applied && !j->opening)
		j->hooks.applied(j->arg, j, &ev);
	og_jn_check_writer(j);
	if (j->state->ended)
		og_jn_set_status(j, OG_JOURNAL_ENDED, j->state->has_next ? "the graph was re-initialised" :
									    "the graph was removed");
}

/* ---- waiters ---- */

void og_jn_confirmed(struct og_journal *j, uint64_t tick)
{
	struct og_jn_waiter **at = &j->waiters, *w, *due = NULL, **last = &due;
	struct og_error none = { 0 };

	j->confirmed = OG_MAX(j->confirmed, tick);
	while ((w = *at)) {
		if (w->tick < tick) {
			*at = w->next;
			*last = w;
			last = &w->next;
		} else {
			at = &w->next;
		}
	}
	*last = NULL;
	j->waiters_tail = at;
	while ((w = due)) {
		due = w->next;
		w->cb(w->arg, &none);
		free(w);
	}
}

void og_jn_fail_waiters(struct og_journal *j, const struct og_error *err)
{
	struct og_jn_waiter *w, *all = j->waiters;

	j->waiters = NULL;
	j->waiters_tail = &j->waiters;
	while ((w = all)) {
		all = w->next;
		w->cb(w->arg, err);
		free(w);
	}
}

void og_jn_expire_waiters(struct og_journal *j, uint64_t now, uint64_t *next)
{
	struct og_jn_waiter **at = &j->waiters, *w, *late = NULL, **last = &late;
	struct og_error err = { 0 };

	while ((w = *at)) {
		if (w->deadline_us <= now) {
			*at = w->next;
			w->next = NULL;
			*last = w;
			last = &w->next;
		} else {
			*next = OG_MIN(*next, w->deadline_us);
			at = &w->next;
		}
	}
	j->waiters_tail = at;
	og_error_set(&err, OG_ERR_UNAVAILABLE, "%s: the store has not answered for %u s: whether there is anything newer is not known", j->uri,
		     OG_JN_DEADLINE_US / 1000000);
	while ((w = late)) {
		late = w->next;
		w->cb(w->arg, &err);
		free(w);
	}
}

/* ---- windows of GETs ---- */

static void window_done(struct og_journal *j);

static void on_got(void *arg, struct og_store_result *res)
{
	struct og_jn_get *g = arg;
	struct og_journal *j = g->j;
	struct og_jn_check *c = &j->check;

	if (!og_jn_back(j))
		return;
	g->code = res->code;
	if (res->code == 0) {
		og_buf_clear(&g->bytes);
		og_buf_slice(&g->bytes, res->body);
		if (g->bytes.failed)
			g->code = og_error_nomem(&c->err);
	} else if (res->code != OG_ERR_NOT_FOUND) {
		c->err = *res->err;
	}
	if (--c->waiting == 0)
		window_done(j);
}

/*
 * How many to ask for at once. What a listing showed is there: all of it, and the key behind it. Of what nobody showed, as
 * many as were found so far: then m objects of other hosts never cost more than 2 m requests (one costs two, itself and
 * the 404 behind it), and a long backlog is soon fetched OG_JN_WINDOW_MAX at a time. A put that loses to an object costs
 * two as well. One that loses again has fallen behind a host that writes without a pause: if it read one object a round it
 * would never catch up, and never win. Its read-back grows until it meets the end; a GET costs a fraction of a lost put.
 */
static unsigned next_window(const struct og_journal *j)
{
	const struct og_jn_check *c = &j->check;

	if (c->listed >= c->first)
		return (unsigned)OG_MIN(c->listed - c->first + 2, (uint64_t)OG_JN_GETS_MAX);
	if (c->readback)
		return j->losses < LOSSES_BACKLOG ? 1 : OG_MIN(2u << OG_MIN(j->losses - LOSSES_BACKLOG, 5u), OG_JN_WINDOW_MAX);
	return (unsigned)OG_MIN(OG_MAX(c->more, 1u), (uint64_t)OG_JN_WINDOW_MAX);
}

static void send_window(struct og_journal *j)
{
	struct og_jn_check *c = &j->check;
	char full[OG_STORE_KEY_MAX + 1];

	c->window = c->waiting = next_window(j);
	for (unsigned i = 0; i < c->window; i++) {
		struct og_key_text key = og_key_log(&j->state->graph, c->first + i);

		c->got[i].j = j;
		og_jn_ref(j);
		j->stats.confirm_gets++;
		og_store_get(j->store, og_jn_key(j, &key, full), OG_LOG_OBJECT_MAX, on_got, &c->got[i]);
	}
}

static void start(struct og_journal *j, bool readback)
{
	struct og_jn_check *c = &j->check;

	c->running = true;
	c->readback = readback;
	c->start_tick = ++j->tick;
	c->start_us = og_boottime_us();
	c->bell = j->bell ? __atomic_load_n(j->bell, __ATOMIC_SEQ_CST) : 0;
	c->first = j->state->seq + 1;
	c->listed = j->opening_last;
	c->more = 0;
	c->err.code = 0;
	j->opening_last = 0;
	j->phase = readback ? OG_JN_READBACK : OG_JN_CHECKING;
	if (readback)
		j->stats.readbacks++;
	else
		j->stats.confirms++;
	send_window(j);
	og_jn_fence_ask(j);
}

void og_jn_start_check(struct og_journal *j)
{
	start(j, false);
}

void og_jn_start_readback(struct og_journal *j)
{
	start(j, true);
}

void og_jn_check_fini(struct og_jn_check *c)
{
	c->running = false;
	for (unsigned i = 0; i < OG_JN_GETS_MAX; i++)
		og_buf_fini(&c->got[i].bytes);
}

static void check_end(struct og_journal *j)
{
	og_jn_check_fini(&j->check);
	j->phase = OG_JN_IDLE;
	og_jn_wake(j);
}

/* The log is damaged from here on: what lies below can be read, nothing can be written. */
static void damaged(struct og_journal *j, const struct og_error *err)
{
	struct og_jn_batch *b = j->batch;
	struct og_error unknown;

	j->damaged = true;
	og_jn_set_status(j, OG_JOURNAL_READ_ONLY, err->message);
	snprintf(j->reason, sizeof(j->reason), "%.500s", err->message);
	if (!b)
		return;
	j->batch = NULL;
	og_error_set(&unknown, OG_ERR_UNKNOWN, "%s", err->message);
	og_jn_fail_queue(j, &b->ops, OG_COMMIT_UNKNOWN, &unknown);
	og_jn_batch_free(b);
}

/* One object found in the log, settled. false: no further. */
static bool take_found(struct og_journal *j, struct og_buf *bytes)
{
	struct og_error err = { 0 };
	uint64_t n = j->state->seq + 1;
	struct og_jn_object *o = og_jn_object_decode(bytes, &err);

	if (!o) {
		if (err.code == OG_ERR_CORRUPT)
			og_error_prefix(&err, "log object %llu: ", (unsigned long long)n);
		damaged(j, &err);
		return false;
	}
	if (j->batch && j->batch->seq == n && og_sha256_eq(&j->batch->object->obj.digest, &o->obj.digest)) {
		og_jn_object_free(o);
		/* Which attempt landed, and what others have put behind it since, is not known. */
		og_jn_won(j, j->batch->first_tick);
		j->phase = OG_JN_CHECKING;
		return j->status == OG_JOURNAL_WRITABLE;
	}
	if (og_jn_apply(j, o, false, &err) < 0) {
		damaged(j, &err);
		return false;
	}
	og_jn_show(j, o, false);
	if (j->batch)
		og_jn_lost(j);
	og_jn_ckpt_heed(j, &o->obj);
	og_jn_after_object(j);
	return j->status != OG_JOURNAL_ENDED;
}

/* All found objects are in S, and the key after them had no object. */
static void at_the_end(struct og_journal *j)
{
	uint64_t tick = j->check.start_tick, bell = j->check.bell;

	og_jn_sure(j, j->check.start_us);
	j->bell_known = bell;
	j->bell_valid = j->bell != NULL;
	check_end(j);
	og_jn_confirmed(j, tick);
}

static void store_silent(struct og_journal *j, const struct og_error *why)
{
	struct og_error err = *why;

	check_end(j);
	/* A store that refuses (rights, bucket) is not one that is silent: to ask again in a moment would not help. */
	if (err.code != OG_ERR_IO)
		err.code = OG_ERR_UNAVAILABLE;
	og_jn_fail_waiters(j, &err);
	og_jn_fail_unconfirmed(j, &err);
}

/* All found objects are in S; or, !go_on, those up to where it cannot go on. */
static void window_taken(struct og_journal *j, bool go_on)
{
	struct og_jn_check *c = &j->check;
	int end = c->found < c->window ? c->got[c->found].code : 0;
	uint64_t tick = c->start_tick;
	bool readback = c->readback;

	if (!go_on) {
		check_end(j);
		/* A damaged log is shown as far as it is whole; its status says the rest. */
		if (!readback)
			og_jn_confirmed(j, tick);
		return;
	}
	if (readback && c->found == 0) {
		/* Occupied a moment ago, and now not readable: ask by the put again. */
		j->retry_us = og_monotonic_us() + 1000;
		check_end(j);
	} else if (end == OG_ERR_NOT_FOUND) {
		j->losses = 0;
		at_the_end(j);
	} else if (readback) {
		check_end(j);
	} else if (end) {
		store_silent(j, &c->err);
	} else {
		c->first += c->window;
		c->more += c->first - 1 > c->listed ? OG_MIN(c->window, c->first - 1 - c->listed) : 0;
		send_window(j);
	}
}

static void take_window(struct og_journal *j)
{
	struct og_jn_check *c = &j->check;
	bool go_on = true;

	for (unsigned i = 0; i < c->found && go_on; i++)
		go_on = take_found(j, &c->got[i].bytes);
	window_taken(j, go_on);
}

static void on_settled_last(void *arg, struct og_store_result *res)
{
	struct og_journal *j = arg;
	struct og_error err = { 0 };

	if (!og_jn_back(j))
		return;
	if (res->code < 0) {
		/* What we see may vanish: build on nothing. */
		err = *res->err;
		err.code = OG_ERR_UNAVAILABLE;
		damaged(j, &err);
		check_end(j);
		og_jn_fail_waiters(j, &err);
		return;
	}
	take_window(j);
}

static void settle(struct og_journal *j, uint64_t seq, og_store_cb cb)
{
	struct og_key_text folder = og_key_log_folder(&j->state->graph, seq);
	char full[OG_STORE_KEY_MAX + 1];

	og_jn_ref(j);
	og_store_settle(j->store, og_jn_key(j, &folder, full), cb, j);
}

static void on_settled_first(void *arg, struct og_store_result *res)
{
	struct og_journal *j = arg;

	if (j->closed || res->code < 0) {
		on_settled_last(j, res);
		return;
	}
	if (!og_jn_back(j))
		return;
	settle(j, j->check.first + j->check.found - 1, on_settled_last);
}

/* No answer: what was found, or not found, is about a graph that is no more. */
static void graph_gone(struct og_journal *j)
{
	struct og_error err = { 0 };

	check_end(j);
	og_error_set(&err, OG_ERR_GONE, "%s: %s", j->uri, j->reason);
	og_jn_fail_waiters(j, &err);
	og_jn_fail_unconfirmed(j, &err);
	if (j->batch)
		og_jn_batch_gone(j);
}

static void window_fenced(struct og_journal *j)
{
	struct og_jn_check *c = &j->check;
	uint64_t last;

	if (j->status == OG_JOURNAL_ENDED || og_jn_graph_gone(j)) {
		graph_gone(j);
		return;
	}
	if (j->fence.failed) {
		if (c->readback)
			og_jn_back_off(j);
		store_silent(j, &j->fence.err);
		return;
	}
	c->found = 0;
	while (c->found < c->window && c->got[c->found].code == 0)
		c->found++;
	if (c->found == 0) {
		window_taken(j, true);
		return;
	}
	/* Visible is not durable yet on a directory (store/store.h): once per window, not per object. */
	last = c->first + c->found - 1;
	if (last / 10000 != c->first / 10000)
		settle(j, c->first, on_settled_first);
	else
		settle(j, last, on_settled_last);
}

static void window_done(struct og_journal *j)
{
	if (!og_jn_fence_wait(j, window_fenced))
		window_fenced(j);
}
