/* Checkpoints of the journal: opening from one, history in chunks, folding, when one is made. */
#include "config.h"

#include "journal_rig.h"

#include <stdlib.h>

#include <event2/event.h>

#include "journal/private.h"
#include "tally_store.h"

START_TEST(a_checkpoint_opens_as_the_log_does)
{
	struct outcome o = { 0 };
	struct og_seg seg = { .rows = 5, .bytes = 10 };
	struct og_ulid old;
	struct spec s;
	uint64_t before;

	for (int i = 0; i < 40; i++)
		plain(a, "main");
	branch(a, "w", "main", false);
	plain(a, "w");
	branch(a, "gone", "w", false);
	branch(a, NULL, "gone", true);
	old = head(a, "main");
	ck_assert_int_eq(og_journal_ulid(a, &seg.id, &failure), 0);
	s = on(a, "main");
	s.seg = &seg;
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	ck_assert_msg(o.code == 0, "%s", o.message);
	ck_assert_uint_eq(og_journal_checkpoint_seq(a), og_journal_state(a)->seq);
	plain(a, "w");
	og_journal_close(a);
	before = requests();
	a = open_journal();
	ck_assert_uint_eq(requests() - before, 4 + 2);	/* the tail of one, and the key behind it */
	ck_assert_uint_eq(og_journal_checkpoint_seq(a), og_journal_state(a)->seq - 1);
	ck_assert_uint_eq(rows(a, "main", 1), 41);
	ck_assert_uint_eq(rows(a, "w", 1), 42);
	ck_assert_uint_eq(og_journal_state(a)->nbranches, 3);
	ck_assert(og_journal_state(a)->commits_complete);
	const struct og_branch *m = og_state_main(og_journal_state(a));
	const struct og_branch *w = og_state_branch_named(og_journal_state(a), OG_SLICE("w"));
	ck_assert_uint_eq(og_branch_table(m, 1)->top->depth, 42);
	ck_assert(!og_branch_table(m, 1)->top->below->in_log);
	/* the shared part is shared in memory too */
	ck_assert_ptr_eq(og_branch_table(m, 1)->top->below->below, og_branch_table(w, 1)->top->below->below);
	/* a snapshot below the checkpoint */
	struct outcome snap = { 0 };
	og_journal_snapshot(a, &old, on_snapshot, &snap);
	run(&snap);
	ck_assert_msg(snap.code == 0, "%s", snap.message);
	ck_assert_uint_eq(og_branch_table(snap.state, 1)->rows, 40);
	/* and the bytes of a layer that is not in memory */
	struct outcome bytes = { 0 };
	og_journal_layer_bytes(a, og_branch_table(snap.state, 1)->top, on_bytes, &bytes);
	run(&bytes);
	ck_assert_msg(bytes.code == 0, "%s", bytes.message);
	ck_assert(og_slice_is(og_buf_view(&bytes.bytes), "PAR1"));
	og_buf_fini(&bytes.bytes);
	og_branch_unref(snap.state);
	plain(a, "main");
}
END_TEST

/* Old commits leave the checkpoint for chunks, chunks are merged, and all is found again when somebody asks. */
START_TEST(history_goes_into_chunks)
{
	struct og_ulid early, genesis = head(a, "main");
	struct outcome snap = { 0 }, o = { 0 };
	const struct og_commit_info **line;
	struct og_arena arena;
	size_t n;

	many(100);
	early = head(a, "main");
	many(1000);
	checkpoint();
	ck_assert_uint_eq(og_journal_state(a)->nhist, 1);
	for (int i = 0; i < 6; i++) {
		many(1100);
		checkpoint();
	}
	ck_assert_uint_eq(og_journal_state(a)->nhist, 7);
	many(1100);
	checkpoint();
	ck_assert_uint_eq(og_journal_state(a)->nhist, 1);
	ck_assert_uint_eq(og_journal_state(a)->hist[0].count, 8800);
	many(10);
	checkpoint();
	reopen();
	ck_assert(!og_journal_state(a)->commits_complete);
	ck_assert_uint_eq(og_journal_state(a)->ncommits, 10);
	og_journal_snapshot(a, &early, on_snapshot, &snap);
	run(&snap);
	ck_assert_msg(snap.code == 0, "%s", snap.message);
	ck_assert_uint_eq(og_branch_table(snap.state, 1)->rows, 100);
	og_branch_unref(snap.state);
	ck_assert(og_journal_state(a)->commits_complete);
	og_journal_history(a, on_done, &o);
	run(&o);
	og_arena_init(&arena, 0);
	ck_assert_int_eq(og_state_line(og_journal_state(a), &(struct og_ulid[]){ head(a, "main") }[0], &arena, &line, &n, &failure),
			 0);
	ck_assert_uint_eq(n, 8811);
	ck_assert_int_eq(og_ulid_cmp(&line[n - 1]->id, &genesis), 0);
	og_arena_fini(&arena);
	plain(a, "main");
}
END_TEST

static int folds;

static void fold_at_once(void *arg, struct og_journal *j, const struct og_fold_job *job, og_fold_done done, void *token)
{
	struct og_seg seg = { .rows = job->rows, .bytes = 1, .plain = true };

	folds++;
	ck_assert_int_eq(og_journal_ulid(j, &seg.id, &failure), 0);
	done(token, false, &seg, 1);
}

START_TEST(folding_replaces_stacks_and_keeps_sharing)
{
	struct outcome o = { 0 };

	og_journal_close(a);
	hooks.fold = fold_at_once;
	folds = 0;
	a = open_journal();
	for (int i = 0; i < 5; i++)
		plain(a, "main");
	branch(a, "w", "main", false);
	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	ck_assert_int_eq(o.code, 0);
	ck_assert_int_eq(folds, 1);
	const struct og_layer *top = og_branch_table(og_state_main(og_journal_state(a)), 1)->top;
	ck_assert_uint_eq(top->depth, 1);
	ck_assert(!top->in_log);
	ck_assert_ptr_eq(og_branch_table(og_state_branch_named(og_journal_state(a), OG_SLICE("w")), 1)->top, top);
	plain(a, "main");
	reopen();
	ck_assert_uint_eq(og_branch_table(og_state_main(og_journal_state(a)), 1)->top->depth, 2);
	ck_assert_uint_eq(rows(a, "main", 1), 6);
	o.done = false;
	og_journal_checkpoint(a, true, on_done, &o);
	run(&o);
	ck_assert_int_eq(folds, 2);
	o.done = false;
	og_journal_checkpoint(a, true, on_done, &o);	/* nothing left to do */
	run(&o);
	ck_assert_int_eq(folds, 2);
	hooks.fold = NULL;
}
END_TEST

static struct {
	og_fold_done done;
	void *token;
} handed[8];
static unsigned nhanded;

static void keep_fold(void *arg, struct og_journal *j, const struct og_fold_job *job, og_fold_done done, void *token)
{
	(void)arg;
	(void)j;
	(void)job;
	handed[nhanded].done = done;
	handed[nhanded++].token = token;
}

/* Three stacks, of which so many may be folded at one time: the next comes when one is done. */
START_TEST(so_many_folds_at_a_time)
{
	static const unsigned most[] = { 1, 2, 3, 0 };
	struct og_journal_config c = config();
	struct outcome o = { 0 }, done = { 0 };
	unsigned limit = most[_i] ? most[_i] : 3;

	hooks.fold = keep_fold;
	og_journal_close(a);
	c.folds_at_once = most[_i];
	og_journal_open(&c, on_open, &o);
	run(&o);
	a = o.j;
	for (uint32_t type = 1; type <= 3; type++) {
		struct spec s = on(a, "main");

		s.type = type;
		ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	}
	nhanded = 0;
	og_journal_checkpoint(a, false, on_done, &done);
	for (unsigned i = 0; i < 3; i++) {
		turn(10);
		ck_assert_uint_eq(nhanded, OG_MIN(limit + i, 3u));
		ck_assert(!done.done);
		handed[i].done(handed[i].token, true, NULL, 0);
	}
	run(&done);
	ck_assert_int_eq(done.code, 0);
	hooks.fold = NULL;
}
END_TEST

/* ---- index objects ---- */

static struct {
	unsigned asked;
	bool later;			/* answers when it is told to */
	struct og_index list[3];
	size_t n;
	og_index_done done;
	void *token;
	uint64_t depth;			/* of type 1, as it was told */
} index_hook;

static void index_answer(void)
{
	og_index_done done = index_hook.done;

	index_hook.done = NULL;
	done(index_hook.token, index_hook.list, index_hook.n);
}

static void on_index(void *arg, struct og_journal *j, const struct og_branch *main, bool full, og_index_done done, void *token)
{
	(void)arg;
	(void)full;
	ck_assert_ptr_eq(j, a);
	ck_assert_int_eq(og_ulid_cmp(&main->id, &og_state_main(og_journal_state(j))->id), 0);
	index_hook.asked++;
	index_hook.depth = og_branch_table(main, 1)->top->depth;
	index_hook.done = done;
	index_hook.token = token;
	if (!index_hook.later)
		index_answer();
}

static void list_index(size_t n)
{
	index_hook.n = n;
	for (size_t i = 0; i < n; i++) {
		index_hook.list[i] = (struct og_index){ .kind = OG_INDEX_COL, .type = 1, .prop = (uint32_t)i, .content = { 1, 2 }, .bytes = 5,
							.hash = { 3, i } };
		ck_assert_int_eq(og_journal_ulid(a, &index_hook.list[i].id, &failure), 0);
	}
}

static void check_index(size_t n)
{
	const struct og_state *s = og_journal_state(a);

	ck_assert_uint_eq(s->nindex, n);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(og_ulid_cmp(&s->index[i].id, &index_hook.list[i].id), 0);
		ck_assert_uint_eq(s->index[i].hash.lo, i);
	}
}

static void with_index(bool later)
{
	memset(&index_hook, 0, sizeof(index_hook));
	index_hook.later = later;
	og_journal_close(a);
	hooks.index = on_index;
	hooks.fold = fold_at_once;
	folds = 0;
	a = open_journal();
}

static uint64_t checkpoints(void)
{
	struct og_journal_stats stats;

	og_journal_stats(a, &stats);
	return stats.checkpoints;
}

START_TEST(a_checkpoint_names_index_objects)
{
	with_index(false);
	for (int i = 0; i < 5; i++)
		plain(a, "main");
	list_index(3);
	checkpoint();
	ck_assert_uint_eq(index_hook.asked, 1);
	ck_assert_uint_eq(index_hook.depth, 1);	/* what came of folding */
	check_index(3);
	/* The same ones at the same place: nothing to say. Others: a checkpoint of their own. */
	checkpoint();
	ck_assert_uint_eq(index_hook.asked, 2);
	ck_assert_uint_eq(checkpoints(), 1);
	reopen();
	check_index(3);
	list_index(2);
	checkpoint();
	ck_assert_uint_eq(checkpoints(), 1);
	check_index(2);
	reopen();
	check_index(2);
	plain(a, "main");
	index_hook.n = 0;
	checkpoint();
	check_index(0);
	reopen();
	check_index(0);
	/* Who has no hook takes over what there is. */
	list_index(3);
	checkpoint();
	hooks.index = NULL;
	reopen();
	plain(a, "main");
	checkpoint();
	check_index(3);
	reopen();
	check_index(3);
	hooks.fold = NULL;
}
END_TEST

/* While objects are put, writes go on; what is asked for then waits for the same checkpoint. */
START_TEST(index_objects_take_their_time)
{
	struct outcome o[2] = { 0 };

	with_index(true);
	for (int i = 0; i < 5; i++)
		plain(a, "main");
	list_index(2);
	og_journal_checkpoint(a, false, on_done, &o[0]);
	turn(3);
	ck_assert_uint_eq(index_hook.asked, 1);
	plain(a, "main");
	plain(a, "main");
	og_journal_checkpoint(a, false, on_done, &o[1]);
	turn(3);
	ck_assert(!o[0].done && !o[1].done);
	ck_assert_uint_eq(index_hook.asked, 1);
	index_answer();
	run(&o[0]);
	run(&o[1]);
	ck_assert_int_eq(o[0].code, 0);
	check_index(2);
	ck_assert_uint_eq(rows(a, "main", 1), 7);
	reopen();
	check_index(2);
	ck_assert_uint_eq(rows(a, "main", 1), 7);
	hooks.index = NULL;
	hooks.fold = NULL;
}
END_TEST

START_TEST(closed_while_index_objects_are_put)
{
	struct outcome o = { 0 };

	with_index(true);
	plain(a, "main");
	list_index(2);
	og_journal_checkpoint(a, false, on_done, &o);
	turn(3);
	ck_assert_ptr_nonnull(index_hook.done);
	og_journal_close(a);
	turn(3);
	index_answer();		/* nobody is there any more, and nothing is left behind */
	turn(3);
	a = open_journal();
	ck_assert_uint_eq(og_journal_state(a)->nindex, 0);
	ck_assert_uint_eq(og_journal_checkpoint_seq(a), 0);
	hooks.index = NULL;
	hooks.fold = NULL;
}
END_TEST

START_TEST(where_an_open_began)
{
	struct og_ulid main_id = bid(a, "main"), w, gone;
	const struct og_branch *then;

	/* With the genesis: nowhere. */
	ck_assert_ptr_null(og_journal_opened_branch(a, &main_id));
	for (int i = 0; i < 5; i++)
		plain(a, "main");
	branch(a, "w", "main", false);
	branch(a, "gone", "main", false);
	w = bid(a, "w");
	gone = bid(a, "gone");
	branch(a, NULL, "gone", true);
	checkpoint();
	ck_assert_ptr_null(og_journal_opened_branch(a, &main_id));	/* it has not been opened from */
	branch(a, "late", "main", false);
	plain(a, "main");
	plain(a, "main");
	reopen();
	then = og_journal_opened_branch(a, &main_id);
	ck_assert_ptr_nonnull(then);
	ck_assert_uint_eq(og_branch_table(then, 1)->rows, 5);
	ck_assert_uint_eq(then->seq, og_journal_checkpoint_seq(a));
	ck_assert_uint_eq(rows(a, "main", 1), 7);
	for (uint64_t seq = then->seq + 1; seq <= og_journal_state(a)->seq; seq++)
		ck_assert_ptr_nonnull(og_journal_object(a, seq));
	then = og_journal_opened_branch(a, &w);
	ck_assert_ptr_nonnull(then);
	ck_assert_uint_eq(og_branch_table(then, 1)->rows, 5);
	ck_assert_ptr_null(og_journal_opened_branch(a, &gone));
	ck_assert_ptr_null(og_journal_opened_branch(a, &(struct og_ulid[]){ bid(a, "late") }[0]));
	/* It stays as it was, whatever comes: commits, other layers, the end of the branch. */
	plain(a, "main");
	branch(a, NULL, "w", true);
	hooks.fold = fold_at_once;
	checkpoint();
	then = og_journal_opened_branch(a, &main_id);
	ck_assert_uint_eq(og_branch_table(then, 1)->rows, 5);
	then = og_journal_opened_branch(a, &w);
	ck_assert(then->live);
	hooks.fold = NULL;
}
END_TEST

/* Between the object that tells of a checkpoint and that checkpoint comes a floor that does not keep it: what it consists of may be deleted any time. */
START_TEST(a_checkpoint_that_a_floor_gave_up_is_not_taken_over)
{
	struct og_ckpt_name keep = { .seq = 3 };
	struct og_record floor = { .kind = OG_REC_FLOOR, .floor = { .keep = &keep, .nkeep = 1 } };
	struct og_journal_stats stats;
	struct outcome o = { 0 };

	ck_assert_int_eq(og_ulid_new(&gen, &keep.id, &failure), 0);
	ck_assert_int_eq(og_ulid_new(&gen, &floor.id, &failure), 0);
	floor.floor.before = floor.id;
	for (int i = 0; i < 5; i++)
		plain(a, "main");
	b = open_journal();
	plain(a, "main");
	plain(a, "main");
	checkpoint();
	/* Both are in one window of b's: it asks for one object, one, two. */
	plain(a, "main");
	ck_assert_uint_eq(og_journal_object(a, 8)->made.seq, 7);
	ck_assert_int_eq(og_jn_append_record(a, &floor, on_commit, &o, &failure), 0);
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	confirm(b);
	ck_assert_uint_eq(og_journal_state(b)->floor_seq, 9);
	while (b->ckpt_looking)
		turn(1);
	og_journal_stats(b, &stats);
	ck_assert_uint_eq(stats.checkpoints_taken, 0);
	ck_assert_uint_eq(og_journal_checkpoint_seq(b), 0);
}
END_TEST

START_TEST(a_long_tail_makes_a_checkpoint_by_itself)
{
	struct og_journal_config c = config();
	struct outcome o = { 0 };
	struct og_journal_stats stats;

	og_journal_close(a);
	c.checkpoint_tail = 0;
	og_journal_open(&c, on_open, &o);
	run(&o);
	a = o.j;
	do {
		plain(a, "main");
		og_journal_stats(a, &stats);
	} while (stats.checkpoints < 2 || stats.tail > 8);
	ck_assert_uint_le(stats.checkpoints, og_journal_state(a)->seq / 32);
	ck_assert_uint_ge(og_journal_checkpoint_seq(a), 64);
}
END_TEST

/* Opens a with checkpoints as they come by themselves, at 32 objects, on a store that can keep their puts back. */
static void automatic(void)
{
	struct og_journal_config c = config();
	struct outcome o = { 0 };

	interpose(true);
	og_journal_close(a);
	c.store = st;
	c.checkpoint_tail = 0;
	og_journal_open(&c, on_open, &o);
	run(&o);
	a = o.j;
	tally_reset(st);
}

/* Commits until the log is that long. */
static void until_seq(uint64_t seq)
{
	while (og_journal_state(a)->seq < seq)
		plain(a, "main");
	turn(3);
}

/* While one is on its way commits go on; at a tail of 64 they wait for it, but not for ever. There are never two. */
START_TEST(commits_do_not_wait_for_a_checkpoint)
{
	struct og_journal_stats stats;
	struct outcome o = { 0 };
	struct spec s;

	automatic();
	tally_of(st)->keep = OG_STORE_PUT;
	until_seq(32);
	ck_assert_uint_eq(tally_of(st)->kept, 1);
	until_seq(63);
	ck_assert_uint_eq(tally_of(st)->kept, 1);
	until_seq(66);
	ck_assert_uint_eq(tally_of(st)->kept, 1);
	/* Whoever waits goes on once it is there. */
	s = on(a, "main");
	start(&s, &o);
	tally_let_go(st);
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	do {
		turn(1);
		og_journal_stats(a, &stats);
	} while (stats.checkpoints == 0);
	ck_assert_uint_eq(og_journal_checkpoint_seq(a), 32);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT], 1);
}
END_TEST

/* One that took as long as 20 objects is followed by 60 without one; one that took no time by the usual 32. */
START_TEST(a_slow_checkpoint_is_followed_by_a_pause)
{
	struct og_journal_stats stats;

	automatic();
	tally_of(st)->keep = OG_STORE_PUT;
	until_seq(32);
	until_seq(52);
	tally_let_go(st);
	do {
		turn(1);
		og_journal_stats(a, &stats);
	} while (stats.checkpoints == 0);
	tally_of(st)->keep = OG_STORE_PUT;
	until_seq(32 + 4 * 20 - 1);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT], 1);
	until_seq(32 + 4 * 20);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT], 2);
	tally_let_go(st);
	do {
		turn(1);
		og_journal_stats(a, &stats);
	} while (stats.checkpoints == 1);
	tally_of(st)->keep = OG_STORE_PUT;
	until_seq(112 + 31);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT], 2);
	until_seq(112 + 32);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT], 3);
	tally_let_go(st);
}
END_TEST

/* Where none can be put, commits go on, and it is tried again after 32 objects, 64, 128 and so on. */
START_TEST(failing_checkpoints_become_rare)
{
	static const uint64_t tried[] = { 32, 64, 128, 256 };
	struct og_journal_stats stats;

	automatic();
	tally_of(st)->fail = OG_STORE_PUT;
	for (unsigned i = 0; i < OG_COUNT(tried); i++) {
		until_seq(tried[i] - 1);
		ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT], i);
		until_seq(tried[i]);
		do {
			turn(1);
			og_journal_stats(a, &stats);
		} while (stats.checkpoints_failed == i);
		ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT], i + 1);
	}
	ck_assert_uint_eq(stats.tail, 256);
	/* One that is asked for is not put off; and then all is as before. */
	tally_of(st)->fail = TALLY_NO_OP;
	checkpoint();
	og_journal_stats(a, &stats);
	ck_assert_uint_eq(stats.checkpoints, 1);
	ck_assert_uint_eq(stats.tail, 0);
	until_seq(256 + 32);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT], 6);
}
END_TEST

static const struct og_layer *top_layer(void)
{
	return og_branch_table(og_state_main(og_journal_state(a)), 1)->top;
}

/* All bodies of the stack, one after the other: how many requests that took. */
static uint64_t read_stack(void)
{
	uint64_t before = requests();

	for (const struct og_layer *l = top_layer(); l; l = l->below) {
		struct outcome o = { 0 };

		og_journal_layer_bytes(a, l, on_bytes, &o);
		run(&o);
		ck_assert_int_eq(o.code, 0);
		ck_assert_uint_eq(o.bytes.len, l->len);
		og_buf_fini(&o.bytes);
	}
	return requests() - before;
}

/* Each image of a type is made from all of its layers: those in the log below the checkpoint are read once, and nothing but they. */
START_TEST(bodies_below_the_checkpoint_are_read_once)
{
	uint64_t bytes = 0;

	for (int i = 0; i < 20; i++)
		plain(a, "main");
	checkpoint();
	interpose(false);
	for (const struct og_layer *l = top_layer(); l; l = l->below) {
		ck_assert(l->in_log);
		bytes += l->len;
	}
	ck_assert_ptr_null(og_journal_object(a, 1));
	tally_reset(st);
	ck_assert_uint_eq(read_stack(), 20);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], 20);
	ck_assert_uint_eq(tally_of(st)->bytes, bytes);
	ck_assert_uint_eq(read_stack(), 0);
	ck_assert_uint_eq(read_stack(), 0);
}
END_TEST

/* No more than 16 MiB of them. */
START_TEST(bodies_that_are_kept_are_bounded)
{
	enum { MIB = 1024 * 1024 };
	char *big = malloc(3 * MIB + 1);

	if (threads) {		/* once is enough: it writes 24 MiB */
		free(big);
		return;
	}
	memset(big, 'x', 3 * MIB);
	big[3 * MIB] = '\0';
	for (int i = 0; i < 8; i++) {
		struct spec s = on(a, "main");

		s.rows = big;
		ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	}
	free(big);
	checkpoint();
	interpose(false);
	ck_assert_uint_eq(read_stack(), 8);
	ck_assert_uint_eq(read_stack(), 8);	/* the one that is wanted next is the one used least lately */
	ck_assert_uint_le(a->bodies_bytes, 16 * MIB);
	ck_assert_uint_ge(a->nbodies, 4);
}
END_TEST

/* Objects in memory are bounded even where checkpoints are not made; what is gone from there is had from the store. */
START_TEST(a_long_tail_does_not_stay_in_memory)
{
	enum { MIB = 1024 * 1024 };
	char *big = malloc(4 * MIB + 1);
	struct outcome bytes = { 0 };
	unsigned kept = 0;

	if (threads) {		/* once is enough: it writes 80 MiB */
		free(big);
		return;
	}
	memset(big, 'x', 4 * MIB);
	big[4 * MIB] = '\0';
	for (int i = 0; i < 20; i++) {
		struct spec s = on(a, "main");

		s.rows = big;
		ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	}
	for (uint64_t seq = 1; seq <= 20; seq++)
		kept += og_journal_object(a, seq) != NULL;
	ck_assert_uint_ge(kept, 8);
	ck_assert_uint_le(kept, 16);
	ck_assert_ptr_nonnull(og_journal_object(a, 20));
	const struct og_layer *l = og_branch_table(og_state_main(og_journal_state(a)), 1)->top;
	while (l->below)
		l = l->below;
	ck_assert_uint_eq(l->seq, 1);
	og_journal_layer_bytes(a, l, on_bytes, &bytes);
	run(&bytes);
	ck_assert(og_slice_is(og_buf_view(&bytes.bytes), big));
	og_buf_fini(&bytes.bytes);
	free(big);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, a_checkpoint_opens_as_the_log_does);
	tcase_add_test(tc, history_goes_into_chunks);
	tcase_add_test(tc, folding_replaces_stacks_and_keeps_sharing);
	tcase_add_loop_test(tc, so_many_folds_at_a_time, 0, 4);
	tcase_add_test(tc, a_checkpoint_names_index_objects);
	tcase_add_test(tc, index_objects_take_their_time);
	tcase_add_test(tc, closed_while_index_objects_are_put);
	tcase_add_test(tc, where_an_open_began);
	tcase_add_test(tc, a_checkpoint_that_a_floor_gave_up_is_not_taken_over);
	tcase_add_test(tc, a_long_tail_makes_a_checkpoint_by_itself);
	tcase_add_test(tc, commits_do_not_wait_for_a_checkpoint);
	tcase_add_test(tc, a_slow_checkpoint_is_followed_by_a_pause);
	tcase_add_test(tc, failing_checkpoints_become_rare);
	tcase_add_test(tc, bodies_below_the_checkpoint_are_read_once);
	tcase_add_test(tc, bodies_that_are_kept_are_bounded);
	tcase_add_test(tc, a_long_tail_does_not_stay_in_memory);
}

int main(void)
{
	return journal_main("journal checkpoints", add);
}
