/* A host that slept while its graph was removed or replaced: it acknowledges nothing, shows nothing, and asks for that only when it has slept. */
#include "config.h"

#include "journal_rig.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/date.h"
#include "journal/private.h"
#include "tally_store.h"

static time_t slept_s;

/* The machine's clocks, but that one tells of sleep. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_BOOTTIME)
		ts->tv_sec += slept_s;
	return rc;
}

static void sleep_for(time_t s)
{
	slept_s += s;
}

/* a and b, each a host of its own on a store that has neither descriptors nor pages. */
static void two_hosts(void)
{
	interpose(false);
	b = open_journal();
	plain(a, "main");
	confirm(b);
	tally_reset(st);
}

/* rounds 0: they may overlap */
static void ck_requests(unsigned puts, unsigned gets, unsigned rounds)
{
	uint64_t all = 0;

	for (int i = 0; i < OG_STORE_NOPS; i++)
		all += tally_of(st)->requests[i];
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_PUT_ABSENT], puts);
	ck_assert_uint_eq(tally_of(st)->requests[OG_STORE_GET], gets);
	ck_assert_uint_eq(all, puts + gets);
	if (rounds)
		ck_assert_uint_eq(tally_of(st)->rounds, rounds);
	tally_reset(st);
}

static int ask(struct og_journal *j)
{
	struct outcome o = { 0 };

	og_journal_confirm(j, on_done, &o);
	run(&o);
	return o.code;
}

static struct outcome removed(void)
{
	struct og_journal_config c = config();
	struct outcome o = { 0 };

	og_journal_remove(&c, on_done, &o);
	run(&o);
	return o;
}

static struct outcome write_to(struct og_journal *j)
{
	struct spec s = on(j, "main");

	return commit(&s);
}

static void ck_ended(struct og_journal *j)
{
	struct outcome o = write_to(j);

	ck_assert_int_eq(og_journal_status(j), OG_JOURNAL_ENDED);
	ck_assert_int_eq(o.outcome, OG_COMMIT_FAILED);
	ck_assert_int_eq(o.code, OG_ERR_GONE);
	ck_assert_int_eq(ask(j), OG_ERR_GONE);
}

START_TEST(who_is_busy_asks_nothing_more)
{
	two_hosts();
	for (int i = 0; i < 5; i++) {
		sleep_for(29);
		plain(a, "main");
		ck_requests(1, 0, 1);
		sleep_for(29);
		confirm(a);
		ck_requests(0, 1, 1);
	}
}
END_TEST

START_TEST(who_slept_asks_once_and_beside_what_he_wants)
{
	struct outcome o[5] = { 0 };

	two_hosts();
	sleep_for(31);
	plain(a, "main");
	ck_requests(1, 1, 1);
	plain(a, "main");
	ck_requests(1, 0, 1);
	sleep_for(31);
	for (int i = 0; i < 5; i++)
		og_journal_confirm(a, on_done, &o[i]);
	for (int i = 0; i < 5; i++)
		run(&o[i]);
	ck_requests(0, 2, 1);
	confirm(a);
	ck_requests(0, 1, 1);
	/* What the others did meanwhile is found as ever. */
	sleep_for(1000);
	confirm(b);
	ck_requests(0, 1 + 1 + 1 + 2, 3);
	ck_assert_uint_eq(rows(b, "main", 1), rows(a, "main", 1));
}
END_TEST

/* A put that loses to another's object, by one who slept: the look at the winner is not a reason to ask again. */
START_TEST(who_slept_and_loses_asks_once)
{
	two_hosts();
	plain(a, "main");
	tally_reset(st);
	sleep_for(31);
	plain(b, "main");
	ck_requests(2, 2, 0);
}
END_TEST

START_TEST(nothing_is_acknowledged_in_a_graph_that_was_removed)
{
	struct outcome o;

	two_hosts();
	og_journal_close(b);
	b = NULL;
	ck_assert_int_eq(removed().code, 0);
	sleep_for(31);
	o = write_to(a);
	ck_assert_int_eq(o.outcome, OG_COMMIT_UNKNOWN);
	ck_assert_int_eq(o.code, OG_ERR_UNKNOWN);
	ck_ended(a);
}
END_TEST

START_TEST(nothing_is_shown_of_a_graph_that_was_removed)
{
	two_hosts();
	ck_assert_int_eq(removed().code, 0);
	sleep_for(31);
	ck_assert_int_eq(ask(a), OG_ERR_GONE);
	ck_ended(a);
	ck_assert_int_eq(ask(b), OG_ERR_GONE);
	ck_ended(b);
}
END_TEST

/* Another graph of the same name is not the one that it knew, whether the old one was removed first or replaced. */
START_TEST(a_graph_made_anew_is_another_one)
{
	struct outcome o;

	two_hosts();
	if (_i) {
		ck_assert_int_eq(init(true).code, 0);
	} else {
		ck_assert_int_eq(removed().code, 0);
		ck_assert_int_eq(init(false).code, 0);
	}
	sleep_for(31);
	o = write_to(a);
	ck_assert_int_ne(o.outcome, OG_COMMITTED);
	ck_ended(a);
	ck_assert_int_eq(ask(b), OG_ERR_GONE);
	reopen();
	ck_assert_uint_eq(rows(a, "main", 1), 0);
	plain(a, "main");
}
END_TEST

static void put_format(const char *text)
{
	struct og_slice part = og_slice_str(text);
	struct og_store_req req = { .op = OG_STORE_PUT, .key = "format.json", .parts = &part, .nparts = 1 };

	ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &failure), 0);
}

/* Brought back from a backup, or encrypted anew: another tag, and still the graph that it was. Other bytes are none. */
START_TEST(the_same_graph_under_another_tag)
{
	two_hosts();
	strcpy(a->genesis_tag.s, "old");
	sleep_for(31);
	plain(a, "main");
	ck_requests(1, 1, 1);
	ck_assert_str_eq(a->genesis_tag.s, b->genesis_tag.s);
	put_format("no graph's");
	sleep_for(31);
	ck_assert_int_eq(ask(a), OG_ERR_GONE);
	ck_ended(a);
}
END_TEST

/* A store that does not say whether the graph is there: no answer, and no second commit once it does. */
START_TEST(who_is_not_told_does_not_answer)
{
	struct spec s;
	struct outcome o = { 0 }, r = { 0 };
	uint64_t end;

	two_hosts();
	sleep_for(31);
	tally_of(st)->fail = OG_STORE_GET;
	s = on(a, "main");
	start(&s, &o);
	for (end = og_monotonic_us() + 100000; og_monotonic_us() < end;)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert(!o.done);
	og_journal_confirm(a, on_done, &r);
	run(&r);
	ck_assert_int_eq(r.code, OG_ERR_IO);
	ck_assert(!o.done);
	tally_of(st)->fail = TALLY_NO_OP;
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	ck_assert_uint_eq(rows(a, "main", 1), 2);
	confirm(b);
	ck_assert_uint_eq(rows(b, "main", 1), 2);
}
END_TEST

/* The put is answered, the question is not. Closed in the middle of that, too. */
START_TEST(the_answer_waits_for_the_graph)
{
	struct spec s;
	struct outcome o = { 0 };

	two_hosts();
	sleep_for(31);
	tally_of(st)->keep = OG_STORE_GET;
	s = on(a, "main");
	start(&s, &o);
	while (tally_of(st)->kept == 0 || tally_of(st)->under_way > 1)
		event_base_loop(base, EVLOOP_ONCE);
	turn(10);
	ck_assert(!o.done);
	if (_i) {
		og_journal_close(a);
		a = NULL;
		tally_let_go(st);
		turn(10);
		ck_assert(!o.done);
		return;
	}
	tally_let_go(st);
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	ck_requests(1, 1, 1);
}
END_TEST

/* It was awake when it asked, and slept before it was answered. */
START_TEST(who_sleeps_in_between_asks_then)
{
	struct spec s;
	struct outcome o = { 0 };

	two_hosts();
	tally_of(st)->keep = OG_STORE_PUT_ABSENT;
	s = on(a, "main");
	start(&s, &o);
	while (tally_of(st)->kept == 0)
		event_base_loop(base, EVLOOP_ONCE);
	sleep_for(31);
	tally_let_go(st);
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	ck_requests(1, 1, 2);
}
END_TEST

/* A directory tells by the link count of what is held open, however long ago anything was. */
START_TEST(in_a_directory_it_costs_nothing)
{
	uint64_t before;

	confirm(a);
	before = requests();
	sleep_for(1000);
	confirm(a);
	plain(a, "main");
	ck_assert_uint_eq(requests() - before, 1);
	ck_assert_int_eq(removed().code, 0);
	ck_assert_int_ne(write_to(a).outcome, OG_COMMITTED);
	ck_ended(a);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, who_is_busy_asks_nothing_more);
	tcase_add_test(tc, who_slept_asks_once_and_beside_what_he_wants);
	tcase_add_test(tc, who_slept_and_loses_asks_once);
	tcase_add_test(tc, nothing_is_acknowledged_in_a_graph_that_was_removed);
	tcase_add_test(tc, nothing_is_shown_of_a_graph_that_was_removed);
	tcase_add_loop_test(tc, a_graph_made_anew_is_another_one, 0, 2);
	tcase_add_test(tc, the_same_graph_under_another_tag);
	tcase_add_test(tc, who_is_not_told_does_not_answer);
	tcase_add_loop_test(tc, the_answer_waits_for_the_graph, 0, 2);
	tcase_add_test(tc, who_sleeps_in_between_asks_then);
	tcase_add_test(tc, in_a_directory_it_costs_nothing);
}

int main(void)
{
	return journal_main("journal gone", add);
}
