/* Checkpoints: fold, index objects, history chunk, put. Nothing depends on one; killed anywhere it leaves garbage. */
#include "config.h"

#include "journal/private.h"
#include "journal/state_private.h"

#include <stdlib.h>

#include "base/log.h"

#define RETRIES 5
/* Every checkpoint writes the recent commits again and every open reads them: well below OG_CKPT_RECENT_MAX. */
#define RECENT_WANTED 1024u
#define MERGE_CHUNKS 8u
/* A checkpoint under way takes part of the disk, the network, the builder: at most one part in so many of the time in which writes go on. */
#define SHARE 4u
#define PAUSE_MAX 1024u	/* objects */

struct fold {
	struct og_jn_ckpt *k;
	struct og_layer *top;		/* reference held */
	struct og_layer *with;		/* what came of it, reference held; NULL: it stays, or no rows (folded) */
	uint64_t rows;
	bool full, done, folded;
};

struct og_jn_ckpt {
	struct og_journal *j;		/* NULL: the journal was closed */
	unsigned refs;			/* requests and folds under way, and the journal's own */
	bool full;
	const struct og_branch *main;	/* as it was when folding began; then on what came of that. Reference held */
	struct fold *folds;
	size_t nfolds, folding;		/* folding: not done yet */
	size_t next;			/* of folds: not handed out yet */
	bool handing;
	struct og_arena arena;
	struct og_buf bytes;
	struct og_slice part;
	struct og_ckpt_hist hist;
	size_t merged;			/* chunks that it takes the place of */
	uint64_t began;			/* seq then */
	uint64_t seq;
	struct og_ulid id;
	unsigned tries;
	og_journal_done *cbs;
	void **args;
	size_t ncbs;
};

static void ckpt_unref(struct og_jn_ckpt *k)
{
	if (--k->refs > 0)
		return;
	for (size_t i = 0; i < k->nfolds; i++) {
		og_layer_unref(k->folds[i].top);
		og_layer_unref(k->folds[i].with);
	}
	free(k->folds);
	og_branch_unref(k->main);
	og_arena_fini(&k->arena);
	og_buf_fini(&k->bytes);
	free(k->cbs);
	free(k->args);
	free(k);
}

void og_jn_ckpt_free(struct og_journal *j)
{
	if (!j->ckpt)
		return;
	j->ckpt->j = NULL;
	ckpt_unref(j->ckpt);
	j->ckpt = NULL;
}

/*
 * When the next may begin by itself, in objects, the measure of the work that it is for: one that took as long as n objects is followed by 3 n without one.
 * Up to 12 objects that is no pause beyond the usual tail. What failed is tried again after twice as many objects each time.
 */
static void pace(struct og_journal *j, const struct og_jn_ckpt *k, bool failed)
{
	uint64_t pause;

	if (!failed) {
		j->ckpt_failures = 0;
		pause = SHARE * (j->state->seq - k->began);
		j->ckpt_due = k->began + OG_MIN(pause, (uint64_t)PAUSE_MAX);
		return;
	}
	j->stats.checkpoints_failed++;
	pause = (uint64_t)j->checkpoint_tail << OG_MIN(j->ckpt_failures, 5u);
	j->ckpt_failures++;
	j->ckpt_due = j->state->seq + OG_MIN(pause, (uint64_t)PAUSE_MAX);
}

static void ckpt_end(struct og_jn_ckpt *k, const struct og_error *err)
{
	struct og_journal *j = k->j;
	struct og_log_quoted q;

	pace(j, k, err != NULL);
	if (err)
		og_log(OG_LOG_WARN, "journal.checkpoint", "seq=%llu why=%s", (unsigned long long)j->state->seq, og_log_quote(&q, err->message));
	for (size_t i = 0; i < k->ncbs; i++)
		og_jn_call_done(j, k->cbs[i], k->args[i], err);
	j->ckpt = NULL;
	k->j = NULL;
	ckpt_unref(k);
	og_jn_wake(j);
}

/* ---- 5: who wants to know ---- */

/* It is in the store. */
static void ckpt_done(struct og_jn_ckpt *k)
{
	struct og_journal *j = k->j;

	if (j->hooks.checkpointed)
		j->hooks.checkpointed(j->arg, j, k->main, k->full);
	ckpt_end(k, NULL);
}

/* ---- 4: the checkpoint itself ---- */

static void put_ckpt(struct og_jn_ckpt *k);

static void on_ckpt_put(void *arg, struct og_store_result *res)
{
	struct og_jn_ckpt *k = arg;
	struct og_journal *j = k->j;

	if (j && res->code < 0 && res->code != OG_ERR_UNKNOWN && res->code != OG_ERR_UNAVAILABLE) {
		ckpt_end(k, res->err);
	} else if (j && res->code < 0) {
		if (++k->tries < RETRIES)
			put_ckpt(k);
		else
			ckpt_end(k, res->err);
	} else if (j) {
		j->ckpt_told = (struct og_ckpt_name){ k->seq, k->id };
		og_jn_ckpt_known(j, &j->ckpt_told);
		j->stats.checkpoints++;
		j->index_changed = false;	/* until this one ends no other changes it */
		ckpt_done(k);
	}
	ckpt_unref(k);
}

static void put_ckpt(struct og_jn_ckpt *k)
{
	struct og_journal *j = k->j;
	struct og_key_text key = og_key_ckpt(&j->state->graph, k->seq, &k->id);
	char full[OG_STORE_KEY_MAX + 1];

	k->part = og_buf_view(&k->bytes);
	k->refs++;
	og_store_put(j->store, og_jn_key(j, &key, full), &k->part, 1, on_ckpt_put, k);
}

static void make_ckpt(struct og_jn_ckpt *k)
{
	struct og_journal *j = k->j;
	struct og_ckpt c;
	struct og_error err = { 0 };

	/* The state as it is now, not as it was when folding began: the layers above the folded ones are log bodies. */
	if (og_state_to_ckpt(j->state, &k->arena, NULL, 0, &c, &err) < 0 ||
	    og_journal_ulid(j, &k->id, &err) < 0)
		goto fail;
	c.host = j->host;
	c.object = k->id;
	c.at_us = og_now_us();
	k->seq = c.seq;
	if (og_ckpt_encode(&c, &k->bytes, &err) < 0)
		goto fail;
	put_ckpt(k);
	return;
fail:
	ckpt_end(k, &err);
}

/* ---- 3: history ---- */

static void on_hist_put(void *arg, struct og_store_result *res)
{
	struct og_jn_ckpt *k = arg;
	struct og_error err = { 0 };

	if (k->j && res->code == 0) {
		if (og_state_add_hist(k->j->state, &k->hist, k->merged, &err) < 0)
			ckpt_end(k, &err);
		else
			make_ckpt(k);
	} else if (k->j) {
		ckpt_end(k, res->err);
	}
	ckpt_unref(k);
}

/*
 * How many of the last chunks go into the new one: seven of like size, so that there are O(log n) of them. Their commits
 * must be in memory; else the next checkpoint of a process that has them does it.
 */
static size_t chunks_to_merge(const struct og_state *s, uint64_t n)
{
	size_t merge = 0;

	if (!s->commits_complete)
		return 0;
	while (s->nhist - merge >= MERGE_CHUNKS - 1) {
		const struct og_ckpt_hist *last = s->hist + s->nhist - merge - (MERGE_CHUNKS - 1);
		uint64_t sum = n;

		for (size_t i = 0; i < MERGE_CHUNKS - 1; i++) {
			if (last[i].count > 2 * n)
				return merge;
			sum += last[i].count;
		}
		merge += MERGE_CHUNKS - 1;
		n = sum;
	}
	return merge;
}

static void put_hist(struct og_jn_ckpt *k)
{
	struct og_journal *j = k->j;
	struct og_state *s = j->state;
	struct og_placed_record *recs;
	struct og_key_text key;
	struct og_error err = { 0 };
	char full[OG_STORE_KEY_MAX + 1];
	uint64_t after = s->hist_last;
	size_t n;

	if (og_state_recent(s, &k->arena, after, &recs, &n, &err) < 0) {
		ckpt_end(k, &err);
		return;
	}
	if (n <= RECENT_WANTED) {
		make_ckpt(k);
		return;
	}
	k->merged = chunks_to_merge(s, n);
	after = k->merged < s->nhist ? s->hist[s->nhist - k->merged - 1].last : 0;
	if (k->merged && og_state_recent(s, &k->arena, after, &recs, &n, &err) < 0) {
		ckpt_end(k, &err);
		return;
	}
	if (og_hist_encode(recs, n, &k->bytes, &err) < 0 || og_journal_ulid(j, &k->hist.id, &err) < 0) {
		ckpt_end(k, &err);
		return;
	}
	k->hist.first = recs[0].seq;
	k->hist.last = s->seq;
	k->hist.count = n;
	k->part = og_buf_view(&k->bytes);
	k->hist.sha256 = og_sha256(k->part);
	key = og_key_hist(&s->graph, &k->hist.id);
	k->refs++;
	og_store_put(j->store, og_jn_key(j, &key, full), &k->part, 1, on_hist_put, k);
}

/* ---- 2: index objects ---- */

static bool same_index(const struct og_state *s, const struct og_index *x, size_t n)
{
	for (size_t i = 0; i < n && n == s->nindex; i++)
		if (og_ulid_cmp(&s->index[i].id, &x[i].id) != 0)
			return false;
	return n == s->nindex;
}

static void index_done(void *token, const struct og_index *x, size_t n)
{
	struct og_jn_ckpt *k = token;
	struct og_journal *j = k->j;
	struct og_error err = { 0 };
	bool same = j && same_index(j->state, x, n);

	if (!j)
		goto out;
	/* They are derived: without memory to name them they are left out. */
	if (!same && og_state_set_index(j->state, x, n, &err) == 0)
		j->index_changed = true;
	if (!j->index_changed && k->nfolds == 0 && j->state->seq == j->ckpt_seq)
		ckpt_done(k);	/* there is one that says the same */
	else
		put_hist(k);
out:
	ckpt_unref(k);
}

static struct og_layer *folded_top(const struct og_jn_ckpt *k, struct og_layer *top)
{
	for (size_t i = 0; i < k->nfolds; i++)
		if (k->folds[i].top == top && k->folds[i].folded)
			return k->folds[i].with;
	return top;
}

/* Of main as it lies now. */
static void make_index(struct og_jn_ckpt *k)
{
	struct og_journal *j = k->j;
	struct og_branch *b = og_branch_copy(k->main);
	struct og_error err = { 0 };

	if (!b) {
		og_error_nomem(&err);
		ckpt_end(k, &err);
		return;
	}
	for (size_t i = 0; i < b->ntables; i++) {
		struct og_layer *old = b->tables[i].top;

		b->tables[i].top = og_layer_ref(folded_top(k, old));
		og_layer_unref(old);
	}
	og_branch_unref(k->main);
	k->main = b;
	k->refs++;
	if (j->hooks.index)
		j->hooks.index(j->arg, j, k->main, k->full, index_done, k);
	else
		index_done(k, j->state->index, j->state->nindex);
}

/* ---- 1: folding ---- */

static void fold_result(struct fold *f, const struct og_seg *segs, size_t n)
{
	struct og_journal *j = f->k->j;
	struct og_layer *with = NULL;
	struct og_error err = { 0 };

	for (size_t i = 0; i < n; i++) {
		with = og_layer_segment(with, f->top->type, &segs[i]);
		if (!with)
			return;		/* without memory the layers stay as they are */
	}
	if (og_state_relayer(j->state, f->top, with, &err) < 0)
		og_log(OG_LOG_WARN, "journal.fold", "type=%u error=nomem", f->top->type);
	f->with = with;
	f->folded = true;
}

static void fold_done(void *token, bool keep, const struct og_seg *segs, size_t n);

/* As many at a time as may be; one may be done within the call that hands it out. */
static void hand_out(struct og_jn_ckpt *k)
{
	if (k->handing)
		return;
	k->handing = true;
	while (k->j && k->next < k->nfolds && k->next + k->folding < k->nfolds + k->j->folds_at_once) {
		struct fold *f = &k->folds[k->next++];
		struct og_fold_job job = {
			.type = f->top->type, .schema = og_state_schema(k->j->state), .top = f->top,
			.rows = f->rows, .not_below = k->j->state->floor_before, .full = f->full,
		};

		k->refs++;
		k->j->hooks.fold(k->j->arg, k->j, &job, fold_done, f);
	}
	k->handing = false;
}

static void fold_done(void *token, bool keep, const struct og_seg *segs, size_t n)
{
	struct fold *f = token;
	struct og_jn_ckpt *k = f->k;

	if (f->done)
		return;
	f->done = true;
	k->folding--;
	if (k->j && !keep)
		fold_result(f, segs, n);
	if (k->j && k->folding == 0)
		make_index(k);
	else if (k->j)
		hand_out(k);
	ckpt_unref(k);
}

static int add_fold(struct og_jn_ckpt *k, const struct og_table *t, bool full)
{
	struct og_layer *top = t->top;
	struct fold *v;

	if (!top || og_layer_keep(top, full) == top->depth)
		return 0;
	for (size_t i = 0; i < k->nfolds; i++)
		if (k->folds[i].top == top)
			return 0;
	v = reallocarray(k->folds, k->nfolds + 1, sizeof(*v));
	if (!v)
		return -1;
	k->folds = v;
	v[k->nfolds++] = (struct fold){ .k = k, .top = og_layer_ref(top), .rows = t->rows, .full = full };
	return 0;
}

/* Wholly on main's line alone: a copy of everything for each branch would be dear, and goes with the branch. */
static int plan_folds(struct og_jn_ckpt *k)
{
	const struct og_state *s = k->j->state;

	for (size_t i = 0; i < s->nbranches; i++)
		for (size_t t = 0; s->branches[i]->live && t < s->branches[i]->ntables; t++)
			if (add_fold(k, &s->branches[i]->tables[t], k->full && i == 0) < 0)
				return -1;
	return 0;
}

static void start_folds(struct og_jn_ckpt *k)
{
	struct og_journal *j = k->j;

	k->main = og_branch_ref(og_state_main(j->state));
	if (!j->hooks.fold || plan_folds(k) < 0 || k->nfolds == 0) {
		make_index(k);
		return;
	}
	k->folding = k->nfolds;
	hand_out(k);
}

static void run_start(struct og_journal *j, struct og_jn_call *c)
{
	struct og_jn_ckpt *k = j->ckpt;

	(void)c;
	if (!k)
		return;
	k->refs++;
	start_folds(k);
	ckpt_unref(k);
}

static struct og_jn_ckpt *ckpt_new(struct og_journal *j, bool full)
{
	struct og_jn_ckpt *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->j = j;
	k->refs = 1;
	k->full = full;
	k->began = j->state->seq;
	og_arena_init(&k->arena, 0);
	j->ckpt = k;
	(void)og_jn_call(j, run_start);
	return k;
}

void og_journal_checkpoint(struct og_journal *j, bool full, og_journal_done cb, void *arg)
{
	struct og_error err = { 0 };
	struct og_jn_ckpt *k = j->ckpt;
	og_journal_done *cbs;
	void **args;

	if (j->status != OG_JOURNAL_WRITABLE) {
		og_error_set(&err, OG_ERR_UNAVAILABLE, "%s: read-only: %s", j->uri, j->reason);
		og_jn_call_done(j, cb, arg, &err);
		return;
	}
	if (!k)
		k = ckpt_new(j, full);
	cbs = k ? reallocarray(k->cbs, k->ncbs + 1, sizeof(*cbs)) : NULL;
	if (cbs)
		k->cbs = cbs;
	args = cbs ? reallocarray(k->args, k->ncbs + 1, sizeof(*args)) : NULL;
	if (!args) {
		og_error_nomem(&err);
		og_jn_call_done(j, cb, arg, &err);
		return;
	}
	k->args = args;
	cbs[k->ncbs] = cb;
	args[k->ncbs++] = arg;
}

void og_jn_ckpt_start(struct og_journal *j)
{
	(void)ckpt_new(j, false);
}

void og_jn_trim_tail(struct og_journal *j)
{
	size_t drop = 0;

	while (drop + 1 < j->ntail &&
	       j->tail_bytes > (j->tail[drop]->obj.seq <= j->ckpt_seq ? OG_JN_CACHE_BYTES : OG_JN_TAIL_BYTES)) {
		j->tail_bytes -= og_jn_object_cost(j->tail[drop]);
		og_jn_object_free(j->tail[drop++]);
	}
	j->ntail -= drop;
	if (drop)
		memmove(j->tail, j->tail + drop, j->ntail * sizeof(*j->tail));
}
