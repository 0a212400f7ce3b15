/* How many requests the journal makes of the store. */
#include "config.h"

#include "journal_rig.h"

#include <event2/event.h>

#include "store/fault.h"

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
	uint64_t before;

	og_journal_close(a);
	turn(10);
	st = og_store_fault_new(st, &(struct og_fault_plan){ 0 });
	st->local = st->shared_pages = false;
	a = open_journal();
	b = open_journal();
	ck_assert_int_eq(og_journal_bell_fd(a), -1);
	before = st->requests[OG_STORE_GET];
	for (int i = 0; i < 5; i++)
		og_journal_confirm(a, on_done, &o[i]);
	for (int i = 0; i < 5; i++)
		run(&o[i]);
	ck_assert_uint_eq(st->requests[OG_STORE_GET] - before, 1);
	for (int i = 0; i < 30; i++)
		plain(b, "main");
	confirm(a);
	ck_assert_uint_eq(rows(a, "main", 1), 30);
	/* a check that is on its way when another is asked for does not answer the second */
	o[0].done = o[1].done = false;
	before = st->requests[OG_STORE_GET];
	og_journal_confirm(a, on_done, &o[0]);
	event_base_loop(base, EVLOOP_ONCE);
	og_journal_confirm(a, on_done, &o[1]);
	run(&o[0]);
	run(&o[1]);
	ck_assert_uint_eq(st->requests[OG_STORE_GET] - before, 2);
}
END_TEST

START_TEST(a_lost_round_costs_two_requests)
{
	uint64_t before;
	struct spec s;
	struct outcome o;

	b = open_journal();
	s = on(a, "main");
	s.w = 1;
	plain(b, "main");
	before = requests();
	o = commit(&s);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	ck_assert_uint_eq(o.version, 3);
	ck_assert_uint_eq(requests() - before, 3);	/* the put that lost, the get, the put */
	confirm(b);
	ck_assert_uint_eq(rows(b, "main", 1), 2);
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

static void add(TCase *tc)
{
	tcase_add_test(tc, a_read_costs_nothing_while_the_bell_is_quiet);
	tcase_add_test(tc, a_read_costs_one_request_on_a_store_without_pages);
	tcase_add_test(tc, a_lost_round_costs_two_requests);
	tcase_add_test(tc, each_change_is_one_request);
}

int main(void)
{
	return journal_main("journal requests", add);
}
