/* The journal in trouble: lost answers, damage, the end of a graph. */
#include "config.h"

#include "journal_rig.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/date.h"
#include "store/fault.h"

/* ---- lost answers ---- */

static void with_faults(const char *plan)
{
	struct og_fault_plan p;

	og_journal_close(a);
	turn(10);
	ck_assert_int_eq(og_fault_parse(plan, &p, &failure), 0);
	st = og_store_fault_new(st, &(struct og_fault_plan){ 0 });
	a = open_journal();
	og_store_fault_set(st, &p);
}

START_TEST(a_lost_answer_is_found_out)
{
	struct outcome o;

	with_faults("lost-after:0:1:w");
	o = plain(a, "main");
	ck_assert_uint_eq(o.seq, 1);
	ck_assert_uint_eq(rows(a, "main", 1), 1);
	og_store_fault_set(st, &(struct og_fault_plan){ .kind = OG_FAULT_LOST_BEFORE, .count = 3, .writes_only = true });
	o = plain(a, "main");
	ck_assert_uint_eq(o.seq, 2);
	ck_assert_uint_eq(rows(a, "main", 1), 2);
	og_store_fault_set(st, &(struct og_fault_plan){ .kind = OG_FAULT_LOST_AFTER, .count = 4 });
	o = plain(a, "main");	/* even the read-back gets no answer for a while */
	ck_assert_uint_eq(o.seq, 3);
	ck_assert_uint_eq(rows(a, "main", 1), 3);
}
END_TEST

START_TEST(an_unknown_put_that_another_host_beat_is_lost)
{
	struct outcome o = { 0 };
	struct spec s;

	b = open_journal();
	with_faults("lost-before:0:1000000:w");	/* a's, however long the other takes */
	s = on(a, "main");
	s.w = 4;
	start(&s, &o);
	event_base_loop(base, EVLOOP_ONCE);
	plain(b, "main");
	og_store_fault_set(st, &(struct og_fault_plan){ 0 });
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	ck_assert_uint_eq(o.seq, 2);
	ck_assert_uint_eq(rows(a, "main", 1), 2);
}
END_TEST

/* As on S3: no doorbell. */
static void with_faults_and_no_pages(void)
{
	og_journal_close(a);
	turn(10);
	st = og_store_fault_new(st, &(struct og_fault_plan){ 0 });
	st->shared_pages = false;
	a = open_journal();
}

/* What landed in secret says nothing about what others put behind it. */
START_TEST(a_put_that_landed_earlier_confirms_nothing_later)
{
	struct outcome made = { 0 }, o;
	struct og_branch_req req = { .name = OG_SLICE("dock"), .cb = on_commit, .arg = &made };

	with_faults_and_no_pages();
	b = open_journal();
	og_store_fault_set(st, &(struct og_fault_plan){ .kind = OG_FAULT_LOST_AFTER, .count = 1, .writes_only = true });
	req.branch = bid(a, "main");
	og_journal_branch_create(a, &req);
	while (!og_state_branch_named(og_journal_state(b), OG_SLICE("dock")))
		confirm(b);
	o = branch(b, "dock", "dock", true);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	/* a may have read no further than its own object; "already exists" would be a word of the past. */
	o = branch(a, "dock", "main", false);
	ck_assert_msg(o.outcome == OG_COMMITTED, "%s", o.message);
	run(&made);
	ck_assert_int_eq(made.outcome, OG_COMMITTED);
	ck_assert_uint_eq(made.seq, 1);
}
END_TEST

struct reader {
	struct og_journal *j;
	const struct outcome *until;
};

static void on_read(void *arg, const struct og_error *e)
{
	struct reader *r = arg;

	if (!r->until->done)
		og_journal_confirm(r->j, on_read, r);
}

START_TEST(readers_that_never_cease_do_not_keep_a_put_unknown)
{
	struct outcome o = { 0 };
	struct reader r;
	struct spec s;

	with_faults_and_no_pages();
	r = (struct reader){ .j = a, .until = &o };
	og_journal_confirm(a, on_read, &r);
	og_store_fault_set(st, &(struct og_fault_plan){ .kind = OG_FAULT_LOST_BEFORE, .count = 2, .writes_only = true });
	s = on(a, "main");
	start(&s, &o);
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	turn(10);
}
END_TEST

START_TEST(a_deadline_in_the_unknown_is_told_as_unknown)
{
	struct outcome o = { 0 }, late = { 0 };
	struct og_commit_table t = { .type = 1, .dn = 1, .parquet = OG_SLICE("PAR1") };
	struct og_commit_req req = { .op = OG_OP_MUTATE, .tables = &t, .ntables = 1, .cb = on_commit, .arg = &o };

	with_faults("lost-before:0:1000:w");
	req.branch = bid(a, "main");
	req.base = head(a, "main");
	req.deadline_us = og_monotonic_us() + 60000;
	og_journal_commit(a, &req);
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMIT_UNKNOWN);
	ck_assert_int_eq(o.code, OG_ERR_UNKNOWN);
	req.arg = &late;
	req.deadline_us = og_monotonic_us() + 60000;
	og_journal_commit(a, &req);
	run(&late);
	ck_assert_int_eq(late.outcome, OG_COMMIT_FAILED);
	ck_assert_int_eq(late.code, OG_ERR_UNAVAILABLE);
	confirm(a);	/* reads go on */
	og_store_fault_set(st, &(struct og_fault_plan){ 0 });
	plain(a, "main");	/* and writes, once the store answers: the first one landed before */
	ck_assert_uint_eq(rows(a, "main", 1), 2);
}
END_TEST

START_TEST(a_put_that_fails_for_sure_changes_nothing)
{
	struct spec s;
	struct outcome o;

	with_faults("fail:0:1:w");
	s = on(a, "main");
	o = commit(&s);
	ck_assert_int_eq(o.outcome, OG_COMMIT_FAILED);
	ck_assert_int_eq(o.code, OG_ERR_IO);
	ck_assert_uint_eq(rows(a, "main", 1), 0);
	ck_assert_uint_eq(plain(a, "main").seq, 1);
}
END_TEST

/* ---- damage ---- */

static void log_path(uint64_t seq, char *out, size_t size)
{
	struct og_key_text k = og_key_log(&og_journal_genesis(a)->graph, seq);

	snprintf(out, size, "%s/%s", tmp, k.s);
}

static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	unsigned char c;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &c, 1, at), 1);
	c ^= 1;
	ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static struct outcome refused_write(void)
{
	struct spec s = on(a, "main");

	return commit(&s);
}

START_TEST(a_flipped_byte_makes_the_graph_read_only_below_it)
{
	char path[256];
	struct outcome o;

	for (int i = 0; i < 5; i++)
		plain(a, "main");
	log_path(3, path, sizeof(path));
	flip(path, 100);
	reopen();
	ck_assert_int_eq(og_journal_status(a), OG_JOURNAL_READ_ONLY);
	ck_assert_str_eq(og_journal_reason(a), "log object 3: digest mismatch");
	ck_assert_uint_eq(og_journal_state(a)->seq, 2);
	o = refused_write();
	ck_assert_int_eq(o.code, OG_ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(o.message, "log object 3: digest mismatch"));
	confirm(a);
}
END_TEST

START_TEST(a_hole_is_not_filled)
{
	char path[256];

	for (int i = 0; i < 5; i++)
		plain(a, "main");
	log_path(4, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	reopen();
	ck_assert_int_eq(og_journal_status(a), OG_JOURNAL_READ_ONLY);
	ck_assert_str_eq(og_journal_reason(a), "log object 4: missing");
	ck_assert_int_eq(refused_write().outcome, OG_COMMIT_FAILED);
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_damaged_checkpoint_only_costs_time)
{
	struct outcome o = { 0 };
	char path[256];
	glob_t found;

	plain(a, "main");
	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	plain(a, "main");
	snprintf(path, sizeof(path), "%s/ckpt/*/*", tmp);
	ck_assert_int_eq(glob(path, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		flip(found.gl_pathv[i], 80);
	globfree(&found);
	reopen();
	ck_assert_int_eq(og_journal_status(a), OG_JOURNAL_WRITABLE);
	ck_assert_uint_eq(rows(a, "main", 1), 2);
	ck_assert_uint_eq(og_journal_checkpoint_seq(a), 0);
	/* a missing log object for a good checkpoint's place refuses writes */
	o.done = false;
	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	log_path(2, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	reopen();
	ck_assert_str_eq(og_journal_reason(a), "log object 2: missing");
}
END_TEST

static char faults[4096];

static void on_fault(void *arg, bool derived, const char *text)
{
	(void)derived;
	strcat(strcat(faults, text), "\n");
}

static struct og_verify_report report;

static void on_verified(void *arg, const struct og_verify_report *r, const struct og_error *e)
{
	report = *r;
	on_done(arg, e);
}

static void verify(void)
{
	struct og_journal_config c = config();
	struct outcome o = { 0 };

	faults[0] = '\0';
	og_journal_verify(&c, on_fault, on_verified, &o);
	run(&o);
	ck_assert_msg(o.code == 0, "%s", o.message);
}

START_TEST(verify_finds_what_is_damaged)
{
	struct og_slice rows_of_seg = OG_SLICE("PAR1 segment PAR1");
	struct og_seg seg = { .rows = 5, .bytes = rows_of_seg.len, .sha256 = og_sha256(rows_of_seg) };
	struct og_store_req put = { .op = OG_STORE_PUT, .parts = &rows_of_seg, .nparts = 1 };
	struct outcome o = { 0 };
	char key[OG_STORE_KEY_MAX + 1], path[1200];
	struct spec s = on(a, "main");

	ck_assert_int_eq(og_journal_ulid(a, &seg.id, &failure), 0);
	ck_assert_int_eq(og_journal_segment_key(a, 1, &seg.id, key, &failure), 0);
	put.key = key;
	ck_assert_int_eq(og_store_wait(st, &put, NULL, NULL, &failure), 0);
	s.seg = &seg;
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	branch(a, "w", "main", false);
	plain(a, "w");
	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	plain(a, "main");
	verify();
	ck_assert_str_eq(faults, "");
	ck_assert_uint_eq(report.objects, 4);
	ck_assert_uint_eq(report.checkpoints, 1);
	ck_assert_uint_eq(report.segments, 1);
	snprintf(path, sizeof(path), "%s/%s", tmp, key);
	flip(path, 6);
	verify();
	ck_assert_ptr_nonnull(strstr(faults, ": digest mismatch\n"));
	ck_assert_uint_eq(report.faults, 1);
	ck_assert_int_eq(unlink(path), 0);
	verify();
	ck_assert_ptr_nonnull(strstr(faults, ": missing\n"));
	log_path(3, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	verify();
	ck_assert_ptr_nonnull(strstr(faults, "log object 3: missing\n"));
}
END_TEST

/* ---- the end of a graph ---- */

START_TEST(force_replaces_the_graph_and_stops_the_others)
{
	struct spec s;
	struct outcome o;
	struct og_ulid old = og_journal_genesis(a)->graph;

	plain(a, "main");
	s = on(a, "main");
	ck_assert_int_eq(init(true).code, 0);
	o = commit(&s);
	ck_assert_int_eq(o.outcome, OG_COMMIT_FAILED);
	ck_assert_int_eq(o.code, OG_ERR_GONE);
	ck_assert_int_eq(og_journal_status(a), OG_JOURNAL_ENDED);
	reopen();
	ck_assert_int_ne(og_ulid_cmp(&og_journal_genesis(a)->graph, &old), 0);
	ck_assert_uint_eq(rows(a, "main", 1), 0);
	plain(a, "main");
}
END_TEST

START_TEST(remove_leaves_nothing)
{
	struct og_journal_config c = config();
	struct outcome o = { 0 };
	struct og_buf list = { 0 };
	struct spec s;

	plain(a, "main");
	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	s = on(a, "main");
	o.done = false;
	og_journal_remove(&c, on_done, &o);
	run(&o);
	ck_assert_msg(o.code == 0, "%s", o.message);
	ck_assert_int_eq(og_store_wait_list(st, "", &list, &failure), 0);
	ck_assert_msg(list.len == 0, "%s", list.data);
	og_buf_fini(&list);
	o = commit(&s);
	ck_assert_int_ne(o.outcome, OG_COMMITTED);
	o.done = false;
	og_journal_remove(&c, on_done, &o);
	run(&o);
	ck_assert_int_eq(o.code, OG_ERR_NOT_FOUND);
	o.done = false;
	og_journal_open(&c, on_open, &o);
	run(&o);
	ck_assert_int_eq(o.code, OG_ERR_NOT_FOUND);
	ck_assert_int_eq(init(false).code, 0);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, a_lost_answer_is_found_out);
	tcase_add_test(tc, an_unknown_put_that_another_host_beat_is_lost);
	tcase_add_test(tc, a_put_that_landed_earlier_confirms_nothing_later);
	tcase_add_test(tc, readers_that_never_cease_do_not_keep_a_put_unknown);
	tcase_add_test(tc, a_deadline_in_the_unknown_is_told_as_unknown);
	tcase_add_test(tc, a_put_that_fails_for_sure_changes_nothing);
	tcase_add_test(tc, a_flipped_byte_makes_the_graph_read_only_below_it);
	tcase_add_test(tc, a_hole_is_not_filled);
	tcase_add_test(tc, a_damaged_checkpoint_only_costs_time);
	tcase_add_test(tc, verify_finds_what_is_damaged);
	tcase_add_test(tc, force_replaces_the_graph_and_stops_the_others);
	tcase_add_test(tc, remove_leaves_nothing);
}

int main(void)
{
	return journal_main("journal faults", add);
}
