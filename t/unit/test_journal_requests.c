/* How many requests the journal makes of the store. */
#include "config.h"

#include "journal_rig.h"

#include <event2/event.h>

#include "tally_store.h"

START_TEST(a_read_costs_nothing_while_the_bell_is_quiet)
{
	uint64_t before;

	confirm(a);
	before = requests();
	for (int i = 0; i < 10; i++)
		confirm(a);
	plain(a, "main");
	confirm(a);
	ck_assert_uint_eq(requests() - before, 1);
	ck_assert_int_ge(og_journal_bell_fd(a), 0);
}
END_TEST

/* Without a doorbell every check is one GET, shared by all that wait for it. */
START_TEST(a_read_costs_one_request_on_a_store_without_pages)
{
	struct outcome o[5] = { 0 };

	interpose(false);
	ck_assert_int_eq(og_journal_bell_fd(a), -1);
	tally_reset(st);
	for (int i = 0; i < 5; i++)
		og_journal_confirm(a, on_done, &o[i]);
	for (int i = 0; i < 5; i++)
		run(&o[i]);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], 1);
	/* a check that is on its way when another is asked for does not answer the second */
	o[0].done = o[1].done = false;
	tally_reset(st);
	og_journal_confirm(a, on_done, &o[0]);
	while (tally_of(st)->rounds == 0)
		event_base_loop(base, EVLOOP_ONCE);
	og_journal_confirm(a, on_done, &o[1]);
	run(&o[0]);
	run(&o[1]);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], 2);
}
END_TEST

/*
 * The objects of another host cost two requests each at most, one costs exactly two, and many are fetched many at a time. With a doorbell, which has rung,
 * no fewer are needed.
 */
static void check_backlogs(bool paged)
{
	static const unsigned backlogs[] = { 1, 2, 3, 4, 5, 7, 8, 20, 200 };

	interpose(paged);
	b = open_journal();
	for (size_t i = 0; i < OG_COUNT(backlogs); i++) {
		unsigned m = backlogs[i], gets = 1, rounds = 1, window = 1;

		/* windows of 1, 1, 2, 4, ... 64, 64, ... until one has the 404 in it */
		for (; gets <= m; rounds++) {
			gets += window;
			window = OG_MIN(2 * window, 64u);
		}
		for (unsigned k = 0; k < m; k++)
			plain(b, "main");
		tally_reset(st);
		confirm(a);
		ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], gets);
		ck_assert_uint_eq(tally_of(st)->rounds, rounds);
		ck_assert_uint_eq(rows(a, "main", 1), rows(b, "main", 1));
		ck_assert_uint_le(gets, OG_MAX(2 * m, m + 64));
	}
	ck_assert_uint_eq(tally_of(st)->at_once, 64);
}

START_TEST(objects_of_others_cost_two_requests_each_at_most)
{
	check_backlogs(false);
}
END_TEST

START_TEST(the_same_where_a_doorbell_rang)
{
	check_backlogs(true);
}
END_TEST

/* A put that loses costs itself and the look at what won; one that loses again has more to read, and reads more at a time. */
START_TEST(a_lost_round_costs_two_requests)
{
	static const struct {
		unsigned others, puts, gets;
	} cases[] = { { 0, 1, 0 }, { 1, 2, 1 }, { 2, 3, 1 + 2 }, { 3, 3, 1 + 2 }, { 4, 4, 1 + 2 + 4 }, { 7, 4, 1 + 2 + 4 }, { 127, 8, 1 + 2 + 4 + 8 + 16 + 32 + 64 } };

	interpose(false);
	b = open_journal();
	confirm(a);
	for (size_t i = 0; i < OG_COUNT(cases); i++) {
		struct spec s = on(a, "main");
		struct outcome o;

		s.w = 1000 + i;
		for (unsigned k = 0; k < cases[i].others; k++)
			plain(b, "main");
		tally_reset(st);
		o = commit(&s);
		ck_assert_int_eq(o.outcome, OG_COMMITTED);
		ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT_ABSENT], cases[i].puts);
		ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], cases[i].gets);
		confirm(b);
		ck_assert_uint_eq(rows(a, "main", 1), rows(b, "main", 1));
	}
}
END_TEST

/* Whatever its age: format.json, which checkpoints there are, the newest, which objects lie above it, and then all of those and the next at once. */
START_TEST(opening_is_five_rounds)
{
	static const unsigned tails[] = { 0, 1, 31, 64 };

	interpose(false);
	for (size_t i = 0; i < OG_COUNT(tails); i++) {
		plain(a, "main");
		checkpoint();
		for (unsigned k = 0; k < tails[i]; k++)
			plain(a, "main");
		og_journal_close(a);
		tally_reset(st);
		a = open_journal();
		ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_LIST], 2);
		ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], 2 + tails[i] + 1);
		ck_assert_uint_eq(tally_of(st)->rounds, 5);
		ck_assert_uint_eq(tally_of(st)->at_once, tails[i] + 1);
		confirm(a);
	}
	ck_assert_uint_eq(og_journal_state(a)->seq, rows(a, "main", 1));
}
END_TEST

/* A graph without a checkpoint saves the get of one; a tail that got too long takes more rounds, and no more requests. */
START_TEST(opening_without_a_checkpoint)
{
	interpose(false);
	tally_reset(st);
	reopen();
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_LIST], 2);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], 1 + 1);
	ck_assert_uint_eq(tally_of(st)->rounds, 4);
	for (unsigned k = 0; k < 200; k++)
		plain(a, "main");
	og_journal_close(a);
	tally_reset(st);
	a = open_journal();
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_LIST], 2);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], 1 + 200 + 1);
	ck_assert_uint_eq(tally_of(st)->rounds, 3 + 4);
	ck_assert_uint_eq(tally_of(st)->at_once, 65);
	ck_assert_uint_eq(rows(a, "main", 1), 200);
}
END_TEST

static uint64_t one_more(uint64_t *before)
{
	uint64_t was = *before;

	*before = requests();
	return *before - was;
}

/* Whatever a graph's users may change: the put that changes it, and no other request. */
START_TEST(each_change_is_one_request)
{
	struct og_commit_table t = { .type = 1, .as = true };
	struct og_commit_req req = { .op = OG_OP_MERGE, .has_merged = true, .tables = &t, .ntables = 1, .base_confirmed = true, .cb = on_commit };
	struct outcome o = { 0 };
	struct og_ulid at;
	uint64_t n;

	plain(a, "main");
	n = requests();
	ck_assert_int_eq(branch(a, "w", "main", false).outcome, OG_COMMITTED);
	ck_assert_uint_eq(one_more(&n), 1);
	ck_assert_int_eq(plain(a, "w").outcome, OG_COMMITTED);
	ck_assert_uint_eq(one_more(&n), 1);
	req.branch = bid(a, "main");
	req.base = head(a, "main");
	req.merged_branch = bid(a, "w");
	req.merged_commit = head(a, "w");
	req.arg = &o;
	og_journal_commit(a, &req);
	run(&o);
	ck_assert_msg(o.outcome == OG_COMMITTED, "%s", o.message);
	ck_assert_uint_eq(one_more(&n), 1);
	ck_assert_int_eq(branch(a, NULL, "w", true).outcome, OG_COMMITTED);
	ck_assert_uint_eq(one_more(&n), 1);
	at = head(a, "main");
	ck_assert_int_eq(schema_change(a, &at).outcome, OG_COMMITTED);
	ck_assert_uint_eq(one_more(&n), 1);
}
END_TEST

static struct outcome landed, refused, next;
static unsigned shown;

/* When the first of three commits is shown: what had the store been asked for, who had been answered? */
static void on_applied(void *arg, struct og_journal *j, const struct og_journal_event *ev)
{
	(void)arg;
	ck_assert_uint_eq(og_journal_state(j)->seq, ev->object->seq);
	if (shown++ > 0)
		return;
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT_ABSENT], 2);
	ck_assert(!landed.done && !refused.done && !next.done);
}

/*
 * On a store of another machine what has waited is put before what has landed is shown: judged on the new state, though, and nobody is told of that before
 * it is shown.
 */
START_TEST(the_next_put_leaves_before_what_landed_is_shown)
{
	struct spec s, strict;

	hooks.applied = on_applied;
	interpose(false);
	hooks.applied = NULL;
	memset(&landed, 0, sizeof(landed));
	refused = next = landed;
	shown = 0;
	s = strict = on(a, "main");
	strict.strict = 1;
	tally_reset(st);
	tally_of(st)->keep = OG_STORE_PUT_ABSENT;
	start(&s, &landed);
	while (tally_of(st)->kept == 0)
		event_base_loop(base, EVLOOP_ONCE);
	start(&strict, &refused);
	start(&s, &next);
	tally_let_go(st);
	run(&landed);
	run(&refused);
	run(&next);
	ck_assert_int_eq(landed.outcome, OG_COMMITTED);
	ck_assert_int_eq(refused.outcome, OG_CONFLICT);
	ck_assert_int_eq(next.outcome, OG_COMMITTED);
	ck_assert_uint_eq(next.seq, landed.seq + 1);
	ck_assert_uint_eq(shown, 2);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, the_next_put_leaves_before_what_landed_is_shown);
	tcase_add_test(tc, a_read_costs_nothing_while_the_bell_is_quiet);
	tcase_add_test(tc, a_read_costs_one_request_on_a_store_without_pages);
	tcase_add_test(tc, objects_of_others_cost_two_requests_each_at_most);
	tcase_add_test(tc, the_same_where_a_doorbell_rang);
	tcase_add_test(tc, a_lost_round_costs_two_requests);
	tcase_add_test(tc, opening_is_five_rounds);
	tcase_add_test(tc, opening_without_a_checkpoint);
	tcase_add_test(tc, each_change_is_one_request);
}

int main(void)
{
	return journal_main("journal requests", add);
}
