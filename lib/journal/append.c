/* Appending: the queue, group commit, and finding out what became of a put. */
#include "config.h"

#include "journal/private.h"

#include <stdlib.h>

#define BACKOFF_FIRST_US 20000u
#define BACKOFF_MAX_US 5000000u
#define CKPT_WAIT_US 1000000u

/* ---- queues ---- */

void og_jn_queue_init(struct og_jn_queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
	q->n = 0;
}

void og_jn_queue_put(struct og_jn_queue *q, struct og_jn_op *op)
{
	op->next = NULL;
	*q->tail = op;
	q->tail = &op->next;
	q->n++;
}

struct og_jn_op *og_jn_queue_take(struct og_jn_queue *q)
{
	struct og_jn_op *op = q->head;

	if (op) {
		q->head = op->next;
		if (!q->head)
			q->tail = &q->head;
		q->n--;
	}
	return op;
}

/* Takes out the one that *at points to. */
static struct og_jn_op *queue_cut(struct og_jn_queue *q, struct og_jn_op **at)
{
	struct og_jn_op *op = *at;

	*at = op->next;
	if (q->tail == &op->next)
		q->tail = at;
	q->n--;
	return op;
}

/* Puts all of `from` before what is in q. */
static void queue_unshift(struct og_jn_queue *q, struct og_jn_queue *from)
{
	if (!from->head)
		return;
	*from->tail = q->head;
	if (!q->head)
		q->tail = from->tail;
	q->head = from->head;
	q->n += from->n;
	og_jn_queue_init(from);
}

void og_jn_op_free(struct og_jn_op *op)
{
	og_arena_fini(&op->arena);
	free(op);
}

void og_jn_batch_free(struct og_jn_batch *b)
{
	struct og_jn_op *op;

	if (!b)
		return;
	while ((op = og_jn_queue_take(&b->ops)))
		og_jn_op_free(op);
	og_jn_object_free(b->object);
	og_buf_fini(&b->bytes);
	free(b);
}

/* ---- answers: always from the loop ---- */

static void answer(struct og_jn_op *op, struct og_commit_result *res)
{
	if (!op->answered && op->cb)
		op->cb(op->arg, res);
	op->answered = true;
}

static void answer_error(struct og_jn_op *op, enum og_commit_outcome o, const struct og_error *err)
{
	struct og_commit_result res = { .outcome = o, .err = err };

	answer(op, &res);
}

/* Answers that an owner must not get now: the state is in the middle of something. */
static void answer_later(struct og_journal *j, struct og_jn_op *op, const struct og_jn_answer *a)
{
	if (op->answered || !op->cb) {
		og_jn_op_free(op);
		return;
	}
	op->final = og_arena_alloc(&op->arena, sizeof(*op->final));
	if (op->final) {
		*op->final = *a;
		op->final->res.err = &op->final->err;
	}
	og_jn_queue_put(&j->answered, op);
}

void og_jn_send_answers(struct og_journal *j)
{
	struct og_jn_op *op;

	while ((op = og_jn_queue_take(&j->answered))) {
		struct og_error err = { 0 };

		if (op->final) {
			answer(op, &op->final->res);
		} else {
			og_error_nomem(&err);
			answer_error(op, OG_COMMIT_FAILED, &err);
		}
		og_jn_op_free(op);
	}
}

void og_jn_fail_queue(struct og_journal *j, struct og_jn_queue *q, enum og_commit_outcome o, const struct og_error *err)
{
	struct og_jn_queue mine = *q;
	struct og_jn_op *op;

	if (mine.tail == &q->head)
		og_jn_queue_init(&mine);
	og_jn_queue_init(q);	/* an answer may submit */
	while ((op = og_jn_queue_take(&mine))) {
		answer_error(op, o, err);
		og_jn_op_free(op);
	}
}

bool og_jn_wants_check(const struct og_journal *j)
{
	if (j->waiters)
		return true;
	for (const struct og_jn_op *op = j->queue.head; op; op = op->next)
		if (op->need_confirm && j->confirmed <= op->arrived)
			return true;
	return false;
}

void og_jn_fail_unconfirmed(struct og_journal *j, const struct og_error *err)
{
	struct og_jn_op **at = &j->queue.head;
	struct og_jn_queue out;

	og_jn_queue_init(&out);
	while (*at) {
		if ((*at)->need_confirm && j->confirmed <= (*at)->arrived)
			og_jn_queue_put(&out, queue_cut(&j->queue, at));
		else
			at = &(*at)->next;
	}
	og_jn_fail_queue(j, &out, OG_COMMIT_FAILED, err);
}

void og_jn_expire(struct og_journal *j, uint64_t now)
{
	struct og_jn_op **at = &j->queue.head;
	struct og_jn_queue late;
	struct og_error err = { 0 };
	uint64_t next = UINT64_MAX;

	/* Not with every operation through all of them. */
	if (now < j->expire_us) {
		if (j->expire_us != UINT64_MAX)
			og_jn_timer(j, j->expire_us);
		return;
	}
	og_jn_queue_init(&late);
	while (*at) {
		if ((*at)->deadline_us <= now) {
			og_jn_queue_put(&late, queue_cut(&j->queue, at));
			continue;
		}
		next = OG_MIN(next, (*at)->deadline_us);
		at = &(*at)->next;
	}
	og_error_set(&err, OG_ERR_UNAVAILABLE, "the write was not carried out in time; nothing happened");
	og_jn_fail_queue(j, &late, OG_COMMIT_FAILED, &err);
	og_error_set(&err, OG_ERR_UNKNOWN,
		     "the store has not answered: the write may or may not have happened");
	for (struct og_jn_op *op = j->batch ? j->batch->ops.head : NULL; op; op = op->next) {
		if (op->answered)
			continue;
		if (op->deadline_us <= now)
			answer_error(op, OG_COMMIT_UNKNOWN, &err);
		else
			next = OG_MIN(next, op->deadline_us);
	}
	og_jn_expire_waiters(j, now, &next);
	j->expire_us = next;
	if (next != UINT64_MAX)
		og_jn_timer(j, next);
}

void og_jn_submit(struct og_journal *j, struct og_jn_op *op)
{
	uint64_t now = og_monotonic_us();

	op->arrived = ++j->tick;
	if (!op->deadline_us)
		op->deadline_us = now + OG_JN_DEADLINE_US;
	og_gather_came(&j->gather, now);
	j->expire_us = OG_MIN(j->expire_us, op->deadline_us);
	og_jn_queue_put(&j->queue, op);
	j->stats.commits++;
	og_jn_wake(j);
}

int og_jn_append_record(struct og_journal *j, const struct og_record *r, og_commit_cb cb, void *arg, struct og_error *err)
{
	struct og_jn_op *op = calloc(1, sizeof(*op));

	if (!op)
		return og_error_nomem(err);
	og_arena_init(&op->arena, 0);
	op->kind = OG_JN_OTHER;
	op->rec = *r;
	op->cb = cb;
	op->arg = arg;
	og_jn_submit(j, op);
	return 0;
}

static bool foreign_lately(const struct og_journal *j)
{
	return j->foreign_seq && j->state->seq - j->foreign_seq < 8;
}

/* ---- building an object ---- */

/* Records and bodies gathered so far. */
struct draft {
	struct og_jn_object *object;
	struct og_log_part *parts;	/* heap */
	struct og_log_body *places;	/* heap; sizes alone, for the bodies have no place yet */
	size_t nparts, cap_parts;
	size_t bytes;
	struct og_ulid lines[OG_LOG_RECORDS_MAX];	/* branches whose lines grew */
	size_t nlines;
};

static void draft_fini(struct draft *d)
{
	og_jn_object_free(d->object);
	free(d->parts);
	free(d->places);
}

static int draft_init(struct draft *d, size_t nops, struct og_error *err)
{
	struct og_logobj *o;
	size_t n = OG_MIN(nops, (size_t)OG_LOG_RECORDS_MAX);

	if (!(d->object = og_jn_object_new(err)))
		return err->code;
	o = &d->object->obj;
	o->records = og_arena_array(&d->object->arena, n, sizeof(*o->records));
	return o->records ? 0 : og_error_nomem(err);
}

static bool draft_grow(struct draft *d)
{
	size_t cap = d->cap_parts ? 2 * d->cap_parts : 16;
	struct og_log_part *parts = reallocarray(d->parts, cap, sizeof(*parts));
	struct og_log_body *places;

	if (!parts)
		return false;
	d->parts = parts;
	places = reallocarray(d->places, cap, sizeof(*places));
	if (!places)
		return false;
	d->places = places;
	d->cap_parts = cap;
	return true;
}

static uint32_t draft_body(struct draft *d, struct og_log_part part)
{
	if (d->nparts == d->cap_parts && !draft_grow(d))
		return OG_NO_BODY;
	d->parts[d->nparts] = part;
	d->places[d->nparts] = (struct og_log_body){ .len = part.bytes.len, .sha256 = part.sha256 };
	d->bytes += part.bytes.len;
	return (uint32_t)d->nparts++;
}

/* Gives the record its bodies. false: no memory. */
static bool draft_bodies(struct draft *d, struct og_jn_op *op)
{
	struct og_record *r = &op->rec;

	if (op->kind != OG_JN_COMMIT)
		return true;
	for (size_t i = 0; i < r->commit.ntables; i++) {
		r->commit.tables[i].body = OG_NO_BODY;
		if (op->payloads[i].bytes.p &&
		    (r->commit.tables[i].body = draft_body(d, op->payloads[i])) == OG_NO_BODY)
			return false;
	}
	r->commit.keys_body = OG_NO_BODY;
	if (op->keys.bytes.p && (r->commit.keys_body = draft_body(d, op->keys)) == OG_NO_BODY)
		return false;
	if (!r->commit.schema.present)
		return true;
	r->commit.schema.body = draft_body(d, (struct og_log_part){ op->schema_text, r->commit.schema.digest });
	return r->commit.schema.body != OG_NO_BODY;
}

/* Applies the stamped record to the open batch of S, so that the next operation is judged on top of it. */
static int draft_record(struct og_journal *j, struct draft *d, struct og_jn_op *op, struct og_error *err)
{
	struct og_arena *a = &d->object->arena;
	struct og_logobj *o = &d->object->obj;
	struct og_logobj place = { .seq = j->state->seq + 1 };
	int rc;

	if (!draft_bodies(d, op))
		return og_error_nomem(err);
	if ((rc = og_record_copy(a, &op->rec, &o->records[o->nrecords], err)) < 0)
		return rc;
	place.nbodies = d->nparts;
	place.bodies = d->places;
	if (op->rec.kind == OG_REC_COMMIT) {
		rc = og_lines_add(&j->lines, &op->rec, op->w, op->nw, true, err);
		if (rc < 0)
			return rc;
		d->lines[d->nlines++] = op->rec.commit.branch;
	}
	rc = og_state_apply(j->state, &op->rec, &place, op->schema_text, err);
	if (rc == 0)
		o->nrecords++;
	else if (op->rec.kind == OG_REC_COMMIT)
		og_lines_pop(&j->lines, &d->lines[--d->nlines]);
	return rc;
}

/* One operation of the queue. true: it left the queue (taken into `ops`, or its answer is on its way). */
static bool take_one(struct og_journal *j, struct draft *d, struct og_jn_op **at, struct og_jn_queue *ops)
{
	struct og_jn_op *op = *at;
	struct og_jn_answer out;
	enum og_jn_verdict v = og_jn_evaluate(j, op, &out);
	struct og_error err = { 0 };
	size_t nparts = d->nparts, bytes = d->bytes;
	int rc;

	if (v == OG_JN_TAKE) {
		rc = draft_record(j, d, op, &err);
		if (rc == 0) {
			og_jn_queue_put(ops, queue_cut(&j->queue, at));
			return true;
		}
		d->nparts = nparts;
		d->bytes = bytes;
		/* A rule that the evaluation does not know: what the caller asked for contradicts itself. */
		out.err = err;
		out.err.code = rc == OG_ERR_CORRUPT ? OG_ERR_INTERNAL : rc;
		out.res = (struct og_commit_result){ .outcome = OG_COMMIT_FAILED };
		v = OG_JN_ANSWER;
	}
	/* What a record of this same batch may have caused waits until that record has landed. */
	if (d->object->obj.nrecords > 0)
		return false;
	if (v == OG_JN_REFUSE && j->confirmed <= op->arrived) {
		op->need_confirm = true;
		return false;
	}
	answer_later(j, queue_cut(&j->queue, at), &out);
	return true;
}

/* Fills the draft from the queue. */
static void gather(struct og_journal *j, struct draft *d, struct og_jn_queue *ops)
{
	struct og_jn_op **at = &j->queue.head;

	while (*at && d->object->obj.nrecords < OG_LOG_RECORDS_MAX) {
		struct og_jn_op *op = *at;

		if (d->object->obj.nrecords && d->bytes + op->body_bytes > OG_LOG_BATCH_BODIES)
			break;
		if (j->state->ended)	/* an end is the last record of the last object */
			break;
		if (!take_one(j, d, at, ops))
			at = &op->next;
	}
}

/* The batch's bytes, and what reading them back would give. */
static int encode(struct og_journal *j, struct draft *d, struct og_jn_batch *b, struct og_error *err)
{
	struct og_logobj *o = &d->object->obj;
	int rc = og_ulid_new(&j->ulids, &o->object, err);

	if (rc < 0)
		return rc;
	o->graph = j->state->graph;
	o->seq = b->seq;
	o->prev = j->state->digest;
	o->host = j->host;
	o->at_us = og_now_us();
	o->nbodies = d->nparts;
	og_jn_ckpt_say(j, o);
	rc = og_logobj_encode(&d->object->arena, o, d->parts, &b->bytes, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < d->nparts; i++)
		og_buf_slice(&b->bytes, d->parts[i].bytes);
	rc = og_buf_ok(&b->bytes, err);
	if (rc < 0)
		return rc;
	b->part = o->bytes = og_buf_view(&b->bytes);
	o->hashed = true;
	b->object = d->object;
	d->object = NULL;
	return 0;
}

/*
 * Alone with a server for a store: a directory's puts are too short to wait for anybody, and of several hosts the one that has just read gets its turn. A put
 * is a look as well, for which reads may be waiting.
 */
static uint64_t gather_until(struct og_journal *j, uint64_t now)
{
	uint64_t until = og_gather_wait(&j->gather, now);

	if (!until || j->store->local || j->queue.n >= OG_LOG_RECORDS_MAX || foreign_lately(j) || og_jn_wants_check(j))
		return 0;
	return until;
}

static bool may_start(struct og_journal *j, uint64_t now)
{
	uint64_t until;

	if (j->status != OG_JOURNAL_WRITABLE || !j->queue.head || og_jn_graph_gone(j))
		return false;
	if (j->delay_us > now) {
		og_jn_timer(j, j->delay_us);
		return false;
	}
	if ((until = gather_until(j, now))) {
		og_jn_timer(j, until);
		return false;
	}
	if ((j->ckpt || og_jn_ckpt_at_work(j)) && j->state->seq - j->ckpt_seq >= OG_JN_TAIL_WAIT) {
		if (!j->ckpt_wait_us)
			j->ckpt_wait_us = now + CKPT_WAIT_US;
		if (now < j->ckpt_wait_us) {
			og_jn_timer(j, j->ckpt_wait_us);
			return false;
		}
	} else {
		j->ckpt_wait_us = 0;
	}
	return true;
}

static void send_put(struct og_journal *j);

bool og_jn_start_batch(struct og_journal *j)
{
	struct draft d = { 0 };
	struct og_jn_batch *b;
	struct og_error err = { 0 };

	if (!may_start(j, og_monotonic_us()))
		return false;
	b = calloc(1, sizeof(*b));
	if (!b)
		return false;
	og_jn_queue_init(&b->ops);
	b->j = j;
	b->seq = j->state->seq + 1;
	if (draft_init(&d, j->queue.n, &err) < 0 || og_state_begin(j->state, &err) < 0)
		goto out;
	gather(j, &d, &b->ops);
	og_state_rollback(j->state);
	while (d.nlines > 0)
		og_lines_pop(&j->lines, &d.lines[--d.nlines]);
	if (b->ops.n == 0)
		goto out;
	if (encode(j, &d, b, &err) < 0) {
		struct og_jn_answer failed = { .res.outcome = OG_COMMIT_FAILED, .err = err };
		struct og_jn_op *op;

		while ((op = og_jn_queue_take(&b->ops)))
			answer_later(j, op, &failed);
		goto out;
	}
	draft_fini(&d);
	j->batch = b;
	j->backoff_us = BACKOFF_FIRST_US;
	send_put(j);
	return true;
out:
	draft_fini(&d);
	og_jn_batch_free(b);
	return false;
}

/* ---- the put and what became of it ---- */

static void on_put(void *arg, struct og_store_result *res);

static void send_put(struct og_journal *j)
{
	struct og_jn_batch *b = j->batch;
	struct og_key_text key = og_key_log(&j->state->graph, b->seq);
	char full[OG_STORE_KEY_MAX + 1];

	j->phase = OG_JN_PUTTING;
	j->retry_us = 0;
	b->sent_tick = ++j->tick;
	if (b->attempts++ == 0) {
		b->first_tick = b->sent_tick;
		b->first_us = og_boottime_us();
	}
	b->sent_us = og_monotonic_us();
	j->stats.objects_put++;
	og_jn_ref(j);
	og_store_put_absent(j->store, og_jn_key(j, &key, full), &b->part, 1, on_put, b);
	og_jn_fence_ask(j);
}

void og_jn_retry(struct og_journal *j)
{
	send_put(j);
}

void og_jn_back_off(struct og_journal *j)
{
	j->retry_us = og_monotonic_us() + j->backoff_us;
	j->backoff_us = OG_MIN(2 * j->backoff_us, (uint64_t)BACKOFF_MAX_US);
	og_jn_timer(j, j->retry_us);
	og_jn_wake(j);
}

/* Nothing of it is or will be in the store. */
static void batch_failed(struct og_journal *j, const struct og_error *err)
{
	struct og_jn_batch *b = j->batch;

	j->batch = NULL;
	og_jn_fail_queue(j, &b->ops, OG_COMMIT_FAILED, err);
	og_jn_batch_free(b);
	og_jn_wake(j);
}

/* Nobody will ever know whether it lasts: no more writes here. */
static void batch_lasting(struct og_journal *j, const struct og_error *cause)
{
	struct og_jn_batch *b = j->batch;
	struct og_error err = *cause;

	j->batch = NULL;
	err.code = OG_ERR_UNKNOWN;
	og_jn_fail_queue(j, &b->ops, OG_COMMIT_UNKNOWN, &err);
	og_jn_batch_free(b);
	og_jn_set_status(j, OG_JOURNAL_READ_ONLY, err.message);
}

void og_jn_batch_gone(struct og_journal *j)
{
	struct og_jn_batch *b = j->batch;
	struct og_error err = { 0 };

	j->batch = NULL;
	og_error_set(&err, OG_ERR_UNKNOWN, "the graph was removed or re-initialised meanwhile");
	og_jn_fail_queue(j, &b->ops, OG_COMMIT_UNKNOWN, &err);
	og_jn_batch_free(b);
	og_jn_wake(j);
}

static void put_fenced(struct og_journal *j)
{
	struct og_jn_batch *b = j->batch;

	j->phase = OG_JN_IDLE;
	if (j->status == OG_JOURNAL_ENDED) {
		og_jn_batch_gone(j);
	} else if (j->fence.failed) {
		/* Asked again by the same put, which is there by now. */
		b->unknown = true;
		og_jn_back_off(j);
	} else {
		og_jn_won(j, b->sent_tick);
	}
}

static void on_put(void *arg, struct og_store_result *res)
{
	struct og_jn_batch *b = arg;
	struct og_journal *j = b->j;

	if (j->closed)
		og_jn_batch_free(b);
	if (!og_jn_back(j))
		return;
	j->phase = OG_JN_IDLE;
	if (j->status == OG_JOURNAL_ENDED) {
		og_jn_batch_gone(j);
		return;
	}
	switch (res->code) {
	case 0:
		if (og_jn_fence_wait(j, put_fenced))
			j->phase = OG_JN_FENCED;
		else
			og_jn_won(j, b->sent_tick);
		return;
	case OG_ERR_EXISTS:
		b->unknown = true;
		og_jn_start_readback(j);
		return;
	case OG_ERR_UNKNOWN:
	case OG_ERR_UNAVAILABLE:
		b->unknown = true;
		if (res->lasting)
			batch_lasting(j, res->err);
		else
			og_jn_back_off(j);
		return;
	default:
		/* This attempt did nothing; an earlier one may still. */
		if (b->unknown)
			og_jn_back_off(j);
		else
			batch_failed(j, res->err);
		return;
	}
}

/* Another host wants this graph too: who has just read gets its turn. */
static void give_way(struct og_journal *j)
{
	if (!foreign_lately(j))
		return;
	j->rng ^= j->rng << 13;
	j->rng ^= j->rng >> 7;
	j->rng ^= j->rng << 17;
	j->delay_us = og_monotonic_us() + j->rng % (j->put_us + 1);
}

/*
 * With a server for a store, operations that have waited leave before those that have landed are told: the time until the next put is under way is
 * added to every commit behind it, that until an answer to one alone. They are judged on the new state, and nobody is told anything meanwhile.
 */
static void start_next(struct og_journal *j)
{
	if (!j->store->local && !j->state->ended && j->state->min_writer <= OG_PROTOCOL_VERSION)
		(void)og_jn_start_batch(j);
}

static void answer_landed(struct og_journal *j, struct og_jn_queue *ops, const struct og_jn_object *o)
{
	struct og_jn_op *op;

	for (size_t i = 0; (op = og_jn_queue_take(ops)); i++) {
		struct og_commit_result res = { .outcome = OG_COMMITTED, .record = &o->obj.records[i], .seq = o->obj.seq };

		answer(op, &res);
		og_jn_op_free(op);
	}
}

void og_jn_won(struct og_journal *j, uint64_t vacant)
{
	struct og_jn_batch *b = j->batch;
	struct og_jn_object *o;
	struct og_error err = { 0 };
	uint64_t took = og_monotonic_us() - b->sent_us;
	bool idle = j->phase == OG_JN_IDLE;

	if (og_jn_graph_gone(j)) {
		og_jn_batch_gone(j);
		return;
	}
	j->batch = NULL;
	j->losses = 0;
	j->phase = OG_JN_IDLE;
	j->put_us = j->put_us ? (7 * j->put_us + took) / 8 : took;
	og_jn_sure(j, b->first_us);
	o = b->object;
	b->object = NULL;
	og_jn_object_own(o, &b->bytes);
	if (og_jn_apply(j, o, true, &err) < 0) {
		/* It is in the log, and we cannot go on from it: say so, and stop. */
		err.code = OG_ERR_UNKNOWN;
		og_jn_fail_queue(j, &b->ops, OG_COMMIT_UNKNOWN, &err);
		og_jn_set_status(j, OG_JOURNAL_READ_ONLY, err.message);
		og_jn_batch_free(b);
		return;
	}
	/* The put itself asked whether anything stood at n+1. */
	j->confirmed = OG_MAX(j->confirmed, vacant);
	give_way(j);
	og_gather_told(&j->gather, (uint32_t)b->ops.n, j->put_us, og_monotonic_us());
	if (idle)
		start_next(j);
	og_jn_show(j, o, true);
	og_jn_confirmed(j, vacant);
	answer_landed(j, &b->ops, o);
	og_jn_batch_free(b);
	og_jn_send_answers(j);
	og_jn_ckpt_said(j, &o->obj);
	og_jn_after_object(j);
	og_jn_wake(j);
}

void og_jn_lost(struct og_journal *j)
{
	struct og_jn_batch *b = j->batch;
	struct og_jn_queue keep;
	struct og_jn_op *op;

	j->batch = NULL;
	j->stats.lost_rounds++;
	j->losses++;
	og_jn_queue_init(&keep);
	while ((op = og_jn_queue_take(&b->ops))) {
		/* One whose client was told "unknown" is known now not to have happened. That is the end of it. */
		if (op->answered)
			og_jn_op_free(op);
		else
			og_jn_queue_put(&keep, op);
	}
	queue_unshift(&j->queue, &keep);
	og_jn_batch_free(b);
	og_jn_wake(j);
}
