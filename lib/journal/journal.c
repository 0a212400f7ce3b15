/* Life of a journal, its pump, and what it tells. */
#include "config.h"

#include "journal/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

#define BELL_SIZE 4096

/* ---- references ---- */

static void free_all(struct og_journal *j)
{
	struct og_jn_call *c;

	while ((c = j->calls)) {
		j->calls = c->next;
		free(c);
	}
	for (size_t i = 0; i < j->ntail; i++)
		og_jn_object_free(j->tail[i]);
	free(j->tail);
	og_jn_check_fini(&j->check);
	og_jn_snapshots_free(j);
	og_jn_bodies_free(j);
	og_lines_fini(&j->lines);
	og_state_free(j->state);
	og_arena_fini(&j->genesis_arena);
	if (j->bell)
		munmap(j->bell, BELL_SIZE);
	og_fd_close(&j->bell_fd);
	og_fd_close(&j->genesis_fd);
	free(j->prefix);
	free(j->uri);
	free(j);
}

void og_jn_ref(struct og_journal *j)
{
	j->refs++;
}

void og_jn_unref(struct og_journal *j)
{
	if (--j->refs == 0)
		free_all(j);
}

bool og_jn_back(struct og_journal *j)
{
	bool open = !j->closed;

	og_jn_unref(j);
	return open;
}

static void queue_free(struct og_jn_queue *q)
{
	struct og_jn_op *op;

	while ((op = og_jn_queue_take(q)))
		og_jn_op_free(op);
}

void og_journal_close(struct og_journal *j)
{
	struct og_jn_waiter *w;

	if (!j)
		return;
	j->closed = true;
	event_free(j->work);
	event_free(j->timer);
	queue_free(&j->queue);
	queue_free(&j->answered);
	/* A put in flight reads the batch's bytes; its completion frees it. */
	if (j->phase != OG_JN_PUTTING)
		og_jn_batch_free(j->batch);
	while ((w = j->waiters)) {
		j->waiters = w->next;
		free(w);
	}
	og_jn_ckpt_free(j);
	og_jn_opened_free(j);
	og_jn_unref(j);
}

/* ---- calls from the loop ---- */

struct og_jn_call *og_jn_call(struct og_journal *j, void (*run)(struct og_journal *, struct og_jn_call *))
{
	struct og_jn_call *c = calloc(1, sizeof(*c));

	if (!c)
		abort();	/* an answer that is lost leaves its owner waiting for ever */
	c->run = run;
	*j->calls_tail = c;
	j->calls_tail = &c->next;
	og_jn_wake(j);
	return c;
}

static void run_done(struct og_journal *j, struct og_jn_call *c)
{
	((og_journal_done)(void *)c->cb)(c->arg, &c->err);
}

void og_jn_call_done(struct og_journal *j, og_journal_done cb, void *arg, const struct og_error *err)
{
	struct og_jn_call *c = og_jn_call(j, run_done);

	c->cb = (void (*)(void))cb;
	c->arg = arg;
	if (err)
		c->err = *err;
}

void og_jn_wake(struct og_journal *j)
{
	if (!j->closed)
		event_active(j->work, EV_TIMEOUT, 1);
}

void og_jn_timer(struct og_journal *j, uint64_t at_us)
{
	uint64_t now, wait;
	struct timeval tv;

	if (j->timer_at && j->timer_at <= at_us)
		return;
	now = og_monotonic_us();
	wait = at_us > now ? at_us - now : 1;
	tv = (struct timeval){ (time_t)(wait / 1000000), (suseconds_t)(wait % 1000000) };
	j->timer_at = at_us;
	event_add(j->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct og_journal *j = arg;

	j->timer_at = 0;
	og_jn_ref(j);
	og_jn_pump(j);
	og_jn_unref(j);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct og_journal *j = arg;
	struct og_jn_call *c, *last;

	og_jn_ref(j);
	/* Those made meanwhile wait for the next turn. */
	for (last = NULL, c = j->calls; c; c = c->next)
		last = c;
	while (last && !j->closed && (c = j->calls)) {
		bool end = c == last;

		j->calls = c->next;
		if (!j->calls)
			j->calls_tail = &j->calls;
		c->run(j, c);
		free(c);
		if (end)
			break;
	}
	if (!j->closed)
		og_jn_pump(j);
	og_jn_unref(j);
}

/* ---- the pump ---- */

static void fail_unwritable(struct og_journal *j)
{
	struct og_error err = { 0 };

	if (!j->queue.head)
		return;
	switch (j->status) {
	case OG_JOURNAL_WRITABLE:
		return;
	case OG_JOURNAL_READ_ONLY:
		og_error_set(&err, j->read_only ? OG_ERR_DENIED : OG_ERR_UNAVAILABLE, "%s: read-only: %s", j->uri, j->reason);
		break;
	case OG_JOURNAL_ENDED:
		og_error_set(&err, OG_ERR_GONE, "%s: %s", j->uri, j->reason);
		break;
	}
	og_jn_fail_queue(j, &j->queue, OG_COMMIT_FAILED, &err);
}

/* Readers on this host trust the doorbell to tell them of a commit: who cannot ring it does not write. */
static void fail_unheard(struct og_journal *j)
{
	struct og_error err = { 0 };

	if (!j->queue.head || og_jn_open_bell(j, &err) == 0)
		return;
	og_error_prefix(&err, "%s: nothing can be written: ", j->uri);
	og_jn_fail_queue(j, &j->queue, OG_COMMIT_FAILED, &err);
}

void og_jn_pump(struct og_journal *j)
{
	uint64_t now = og_monotonic_us();

	og_jn_expire(j, now);
	fail_unwritable(j);
	og_jn_send_answers(j);
	if (j->phase != OG_JN_IDLE)
		return;
	fail_unheard(j);
	if (og_jn_wants_check(j) && og_jn_bell_quiet(j))
		og_jn_confirmed(j, ++j->tick);
	if (j->batch) {
		/*
		 * Not known whether it landed. Reads go on, and the check that they want may tell; but reads that never cease must
		 * not keep it from being decided.
		 */
		if (j->retry_us <= now)
			og_jn_retry(j);
		else if (og_jn_wants_check(j))
			og_jn_start_check(j);
		else
			og_jn_timer(j, j->retry_us);
		return;
	}
	if (!og_jn_start_batch(j) && og_jn_wants_check(j))
		og_jn_start_check(j);
	og_jn_send_answers(j);
}

void og_jn_set_status(struct og_journal *j, enum og_journal_status st, const char *reason)
{
	if (j->status == st || j->status == OG_JOURNAL_ENDED)
		return;
	j->status = st;
	snprintf(j->reason, sizeof(j->reason), "%.500s", reason);
	og_jn_wake(j);
	if (j->hooks.status && !j->opening)
		j->hooks.status(j->arg, j);
}

/* ---- making one ---- */

struct og_journal *og_jn_new(const struct og_journal_config *c, struct og_error *err)
{
	struct og_journal *j;

	if (strlen(c->prefix) + OG_KEY_TEXT_MAX > OG_STORE_KEY_MAX || !og_store_prefix_ok(c->prefix)) {
		og_error_set(err, OG_ERR_BAD, "%s: prefix is no prefix of keys or too long", c->uri);
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		og_error_nomem(err);
		return NULL;
	}
	j->refs = 1;
	j->base = c->base;
	j->store = c->store;
	j->prefix = strdup(c->prefix);
	j->uri = strdup(c->uri);
	j->host = c->host;
	j->read_only = c->read_only || c->store->read_only;
	j->checkpoint_tail = c->checkpoint_tail ? c->checkpoint_tail : OG_JN_TAIL_CHECKPOINT;
	j->folds_at_once = c->folds_at_once ? c->folds_at_once : OG_JN_FOLDS;
	if (c->hooks)
		j->hooks = *c->hooks;
	j->arg = c->arg;
	j->bell_fd = j->genesis_fd = -1;
	j->expire_us = UINT64_MAX;
	j->rng = og_monotonic_us() * 2654435761u + (uintptr_t)j + 1;
	j->calls_tail = &j->calls;
	j->waiters_tail = &j->waiters;
	og_jn_queue_init(&j->queue);
	og_jn_queue_init(&j->answered);
	og_arena_init(&j->genesis_arena, 0);
	j->work = event_new(j->base, -1, 0, on_work, j);
	j->timer = event_new(j->base, -1, 0, on_timer, j);
	if (j->read_only) {
		j->status = OG_JOURNAL_READ_ONLY;
		strcpy(j->reason, "opened read-only");
	}
	if (j->prefix && j->uri && j->work && j->timer)
		return j;
	og_error_nomem(err);
	if (j->work)
		event_free(j->work);
	if (j->timer)
		event_free(j->timer);
	og_jn_unref(j);
	return NULL;
}

const char *og_jn_key_str(const struct og_journal *j, const char *key, char out[OG_STORE_KEY_MAX + 1])
{
	snprintf(out, OG_STORE_KEY_MAX + 1, "%s%s", j->prefix, key);
	return out;
}

const char *og_jn_key(const struct og_journal *j, const struct og_key_text *key, char out[OG_STORE_KEY_MAX + 1])
{
	return og_jn_key_str(j, key->s, out);
}

/* ---- what is known ---- */

const struct og_state *og_journal_state(const struct og_journal *j)
{
	return j->state;
}

const struct og_genesis *og_journal_genesis(const struct og_journal *j)
{
	return &j->genesis;
}

enum og_journal_status og_journal_status(const struct og_journal *j)
{
	return j->status;
}

const char *og_journal_reason(const struct og_journal *j)
{
	return j->reason;
}

uint64_t og_journal_checkpoint_seq(const struct og_journal *j)
{
	return j->ckpt_seq;
}

int og_journal_bell_fd(const struct og_journal *j)
{
	return j->bell_fd;
}

uint64_t og_journal_bell_value(const struct og_journal *j)
{
	return j->bell_known;
}

void og_journal_confirm(struct og_journal *j, og_journal_done cb, void *arg)
{
	struct og_error err = { 0 };
	struct og_jn_waiter *w;

	if (j->status == OG_JOURNAL_ENDED || og_jn_graph_gone(j)) {
		og_error_set(&err, OG_ERR_GONE, "%s: %s", j->uri, j->reason);
		og_jn_call_done(j, cb, arg, &err);
		return;
	}
	/* Damage stops the log where it is: nothing later can be applied. */
	if (og_jn_bell_quiet(j) || j->damaged) {
		j->confirmed = OG_MAX(j->confirmed, ++j->tick);
		og_jn_call_done(j, cb, arg, NULL);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		og_error_nomem(&err);
		og_jn_call_done(j, cb, arg, &err);
		return;
	}
	w->tick = ++j->tick;
	/* An open may have a long way to go. */
	w->deadline_us = j->opening ? UINT64_MAX : og_monotonic_us() + OG_JN_DEADLINE_US;
	j->expire_us = OG_MIN(j->expire_us, w->deadline_us);
	w->cb = cb;
	w->arg = arg;
	*j->waiters_tail = w;
	j->waiters_tail = &w->next;
	og_jn_wake(j);
}

void og_journal_index_key(const struct og_journal *j, const struct og_index *x, char out[OG_STORE_KEY_MAX + 1])
{
	struct og_key_text key = og_key_index(x);

	og_jn_key(j, &key, out);
}

int og_journal_segment_key(const struct og_journal *j, uint32_t type, const struct og_ulid *id,
			   char out[OG_STORE_KEY_MAX + 1], struct og_error *err)
{
	struct og_key_text key = og_key_data(type, id);

	(void)err;
	og_jn_key(j, &key, out);
	return 0;
}

int og_journal_ulid(struct og_journal *j, struct og_ulid *out, struct og_error *err)
{
	int rc = og_ulid_new(&j->ulids, out, err);

	/* A clock far behind the floor's author would draw ids that no commit may name. */
	if (rc == 0 && j->state->has_floor && og_ulid_cmp(out, &j->state->floor_before) <= 0) {
		j->ulids.last = j->state->floor_before;
		j->ulids.last_ms = og_ulid_ms(&j->state->floor_before) + 1;
		rc = og_ulid_new(&j->ulids, out, err);
	}
	return rc;
}

void og_journal_stats(const struct og_journal *j, struct og_journal_stats *out)
{
	*out = j->stats;
	out->queued = j->queue.n;
	out->tail = j->state->seq - j->ckpt_seq;
}
