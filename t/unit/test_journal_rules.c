/* What the journal takes, refuses and sends back: races, branches, schema changes, merges. */
#include "config.h"

#include "journal_rig.h"

START_TEST(strict_race_is_a_conflict_with_versions)
{
	struct spec s = on(a, "main"), t = on(a, "main");
	struct outcome o;

	plain(a, "main");
	plain(a, "main");
	s.strict = 1;
	o = commit(&s);
	ck_assert_int_eq(o.outcome, OG_CONFLICT);
	ck_assert_uint_eq(o.expected, 1);
	ck_assert_uint_eq(o.actual, 3);
	ck_assert_ptr_nonnull(strstr(o.message, "stale view of 'node:Port': expected manifest table version 1 but current is 3"));
	/* our own commit counts even when the base was not confirmed */
	s.unconfirmed = true;
	ck_assert_int_eq(commit(&s).outcome, OG_CONFLICT);
	/* another type: no conflict */
	t.type = t.strict = 2;
	ck_assert_int_eq(commit(&t).outcome, OG_COMMITTED);
}
END_TEST

START_TEST(eight_strict_at_once_have_one_winner)
{
	struct outcome o[8] = { 0 };
	struct spec s = on(a, "main");
	int won = 0;

	s.strict = 1;
	for (int i = 0; i < 8; i++)
		start(&s, &o[i]);
	for (int i = 0; i < 8; i++) {
		run(&o[i]);
		won += o[i].outcome == OG_COMMITTED;
		if (o[i].outcome != OG_COMMITTED)
			ck_assert_int_eq(o[i].outcome, OG_CONFLICT);
	}
	ck_assert_int_eq(won, 1);
}
END_TEST

START_TEST(keys_that_meet_are_evaluated_again)
{
	struct spec first = on(a, "main"), s = on(a, "main");
	struct outcome o;

	first.w = 7;
	ck_assert_int_eq(commit(&first).outcome, OG_COMMITTED);
	s.r = 7;
	o = commit(&s);
	ck_assert_int_eq(o.outcome, OG_REEVALUATE);
	ck_assert(o.counted);
	s.r = 0;
	s.w = 7;
	ck_assert_int_eq(commit(&s).outcome, OG_REEVALUATE);
	s.w = 8;
	s.r = 9;
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);	/* a rebase */
	s.r = s.w = 0;
	s.scanned = 1;
	ck_assert_int_eq(commit(&s).outcome, OG_REEVALUATE);
	s.scanned = 2;
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	s.scanned = 0;
	s.all_keys = true;
	ck_assert_int_eq(commit(&s).outcome, OG_REEVALUATE);
	s.base = head(a, "main");
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	/* after a commit with all keys any key may have been met */
	s.base = og_state_commit_find(og_journal_state(a), &(struct og_ulid[]){ head(a, "main") }[0])->parent;
	s.all_keys = false;
	s.w = 1000;
	ck_assert_int_eq(commit(&s).outcome, OG_REEVALUATE);
}
END_TEST

START_TEST(a_strict_race_with_a_commit_that_came_before_is_none)
{
	struct spec s;
	struct outcome o;

	b = open_journal();
	s = on(a, "main");	/* a has not heard of what b commits now */
	plain(b, "main");
	s.strict = 1;
	s.unconfirmed = true;
	o = commit(&s);
	ck_assert_int_eq(o.outcome, OG_REEVALUATE);
	ck_assert(!o.counted);
	ck_assert_uint_eq(og_journal_state(a)->seq, 1);
	s.unconfirmed = false;
	ck_assert_int_eq(commit(&s).outcome, OG_CONFLICT);
	s.base = head(a, "main");
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
}
END_TEST

START_TEST(expected_head)
{
	struct spec s = on(a, "main");
	struct og_ulid old = s.base;
	struct outcome o;

	s.expect = &old;
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	o = commit(&s);
	ck_assert_int_eq(o.outcome, OG_COMMIT_FAILED);
	ck_assert_int_eq(o.code, OG_ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(o.message, "precondition failed on branch 'main': expected head '"));
}
END_TEST

START_TEST(branches_are_made_and_removed)
{
	struct outcome o;
	struct spec dead;

	plain(a, "main");
	ck_assert_int_eq(branch(a, "dock/plan-7", "main", false).outcome, OG_COMMITTED);
	o = branch(a, "dock/plan-7", "main", false);
	ck_assert_int_eq(o.code, OG_ERR_CONFLICT);
	ck_assert_str_eq(o.message, "branch 'dock/plan-7' already exists");
	ck_assert_uint_eq(rows(a, "dock/plan-7", 1), 1);
	plain(a, "dock/plan-7");
	ck_assert_uint_eq(rows(a, "dock/plan-7", 1), 2);
	ck_assert_uint_eq(rows(a, "main", 1), 1);
	ck_assert_int_eq(branch(a, "zchild", "dock/plan-7", false).outcome, OG_COMMITTED);
	ck_assert_int_eq(branch(a, "child", "dock/plan-7", false).outcome, OG_COMMITTED);
	o = branch(a, NULL, "dock/plan-7", true);
	ck_assert_int_eq(o.code, OG_ERR_CONFLICT);
	ck_assert_str_eq(o.message,
			 "cannot delete branch 'dock/plan-7' because descendant branch 'child' still depends on it");
	o = branch(a, NULL, "main", true);
	ck_assert_str_eq(o.message, "cannot delete branch 'main'");
	dead = on(a, "child");
	ck_assert_int_eq(branch(a, NULL, "child", true).outcome, OG_COMMITTED);
	o = commit(&dead);
	ck_assert_int_eq(o.code, OG_ERR_NOT_FOUND);
	ck_assert_str_eq(o.message, "branch 'child' not found");
	/* the name is free, the new branch another one */
	ck_assert_int_eq(branch(a, "child", "main", false).outcome, OG_COMMITTED);
	ck_assert_int_eq(commit(&dead).code, OG_ERR_NOT_FOUND);
	reopen();
	ck_assert_uint_eq(og_journal_state(a)->nlive, 4);
	ck_assert_uint_eq(rows(a, "child", 1), 1);
	ck_assert_uint_eq(rows(a, "zchild", 1), 2);
}
END_TEST

/* A refusal comes from a confirmed state: b refuses nothing that a has just made possible. */
START_TEST(a_refusal_is_checked_first)
{
	struct outcome o = { 0 };
	struct og_ulid id;
	struct og_branch_req req = { .name = OG_SLICE("x"), .cb = on_commit, .arg = &o };

	b = open_journal();
	ck_assert_int_eq(branch(a, "x", "main", false).outcome, OG_COMMITTED);
	id = bid(a, "x");
	plain(a, "x");
	/* b has not seen x: a commit on it must not be refused */
	struct spec s = { .j = b, .branch = id, .base = head(a, "x"), .type = 1, .dn = 1 };
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	ck_assert_int_eq(branch(a, NULL, "x", true).outcome, OG_COMMITTED);
	/* nor its name, once it is free */
	req.branch = bid(b, "main");
	og_journal_branch_create(b, &req);
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
}
END_TEST

START_TEST(create_and_delete_race_on_two_hosts)
{
	struct outcome o = { 0 };
	struct og_branch_req req = { .name = OG_SLICE("kid"), .cb = on_commit, .arg = &o };

	ck_assert_int_eq(branch(a, "p", "main", false).outcome, OG_COMMITTED);
	b = open_journal();
	req.branch = bid(b, "p");
	ck_assert_int_eq(branch(a, NULL, "p", true).outcome, OG_COMMITTED);
	og_journal_branch_create(b, &req);
	run(&o);
	ck_assert_int_eq(o.code, OG_ERR_NOT_FOUND);
	ck_assert_str_eq(o.message, "branch 'p' not found");
}
END_TEST

START_TEST(a_schema_change_needs_main_alone)
{
	struct og_ulid at = head(a, "main"), old;
	struct outcome o;
	struct spec s = on(a, "main");

	ck_assert_int_eq(branch(a, "tides", "main", false).outcome, OG_COMMITTED);
	ck_assert_int_eq(branch(a, "dock", "main", false).outcome, OG_COMMITTED);
	o = schema_change(a, &at);
	ck_assert_int_eq(o.code, OG_ERR_CONFLICT);
	ck_assert_str_eq(o.message,
			 "schema apply requires a graph with only main; found non-main branches: dock, tides");
	branch(a, NULL, "tides", true);
	branch(a, NULL, "dock", true);
	plain(a, "main");
	o = schema_change(a, &at);
	ck_assert_str_eq(o.message,
			 "schema apply lost its write lease: main advanced from v1 to v2 while schema apply was in progress");
	old = at = head(a, "main");
	o = schema_change(a, &at);
	ck_assert_msg(o.outcome == OG_COMMITTED, "%s", o.message);
	/* a mutation that was evaluated under the old schema goes back */
	s.base = old;
	s.w = 3;
	ck_assert_int_eq(commit(&s).outcome, OG_REEVALUATE);
	reopen();
	ck_assert(og_slice_is(og_state_schema(og_journal_state(a))->text, "new schema"));
	ck_assert_uint_eq(og_state_main(og_journal_state(a))->ntables, 2);
	ck_assert_uint_eq(rows(a, "main", 1), 1);
	ck_assert_uint_eq(og_branch_table(og_state_main(og_journal_state(a)), 9)->version, 1);
	/* the old commit has the old schema */
	struct outcome snap = { 0 };
	og_journal_snapshot(a, &old, on_snapshot, &snap);
	run(&snap);
	ck_assert_int_eq(snap.code, 0);
	ck_assert_uint_eq(snap.state->ntables, 3);
	ck_assert(og_slice_is(snap.state->schema->text, "schema text"));
	og_branch_unref(snap.state);
}
END_TEST

START_TEST(merge_takes_over_contents)
{
	struct og_commit_table t = { .type = 1, .as = true };
	struct outcome o = { 0 };
	struct og_commit_req req = {
		.op = OG_OP_MERGE, .has_merged = true, .tables = &t, .ntables = 1, .base_confirmed = true,
		.cb = on_commit, .arg = &o,
	};

	branch(a, "w", "main", false);
	plain(a, "w");
	plain(a, "w");
	req.branch = bid(a, "main");
	req.base = head(a, "main");
	req.merged_branch = bid(a, "w");
	req.merged_commit = head(a, "w");
	og_journal_commit(a, &req);
	run(&o);
	ck_assert_msg(o.outcome == OG_COMMITTED, "%s", o.message);
	ck_assert_uint_eq(rows(a, "main", 1), 2);
	ck_assert_int_eq(og_ulid_cmp(&og_state_commit_find(og_journal_state(a), &o.id)->merged, &req.merged_commit), 0);
	/* the source moved since: its content is another one */
	plain(a, "w");
	req.base = head(a, "main");
	o = (struct outcome){ 0 };
	og_journal_commit(a, &req);
	run(&o);
	ck_assert_int_eq(o.outcome, OG_REEVALUATE);
	branch(a, NULL, "w", true);
	o = (struct outcome){ 0 };
	og_journal_commit(a, &req);
	run(&o);
	ck_assert_str_eq(o.message, "branch 'w' not found");
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, strict_race_is_a_conflict_with_versions);
	tcase_add_test(tc, eight_strict_at_once_have_one_winner);
	tcase_add_test(tc, keys_that_meet_are_evaluated_again);
	tcase_add_test(tc, a_strict_race_with_a_commit_that_came_before_is_none);
	tcase_add_test(tc, expected_head);
	tcase_add_test(tc, branches_are_made_and_removed);
	tcase_add_test(tc, a_refusal_is_checked_first);
	tcase_add_test(tc, create_and_delete_race_on_two_hosts);
	tcase_add_test(tc, a_schema_change_needs_main_alone);
	tcase_add_test(tc, merge_takes_over_contents);
}

int main(void)
{
	return journal_main("journal rules", add);
}
