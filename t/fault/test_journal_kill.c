/*
 * A process that is killed, or hears of a failure, at any store request: whatever it had acknowledged is there afterwards, whatever it had not is
 * there as a whole or not at all, and the next process just works. The process is killed before request i, and after it
 * with nobody having learned the answer, for every i until a run ends unhindered.
 */
#include "config.h"

#include "t/check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/date.h"
#include "journal/journal.h"
#include "store/dir.h"
#include "store/fault.h"

#define COMMITS 6

static char tmp[64];
static struct event_base *base;
static struct og_store *st;
static struct og_journal *j;
static struct og_error err;

static const struct og_type_decl types[] = {
	{ .id = 1, .kind = 'n', .name = { "Port", 4 } },
	{ .id = 2, .kind = 'n', .name = { "Vessel", 6 } },
};

/* What the killed process had been told, in memory that outlives it. */
struct acks {
	bool init, created, deleted, checkpoint;
	unsigned main_commits, branch_commits;
	struct og_ulid ids[4 * COMMITS];
	unsigned nids;
	uint64_t requests;
};

struct outcome {
	bool done;
	int code;
	enum og_commit_outcome outcome;
	struct og_ulid id;
	struct og_journal *j;
};

static void on_done(void *arg, const struct og_error *e)
{
	struct outcome *o = arg;

	o->done = true;
	o->code = e->code;
}

static void on_open(void *arg, struct og_journal *opened, const struct og_error *e)
{
	((struct outcome *)arg)->j = opened;
	on_done(arg, e);
}

static void on_commit(void *arg, const struct og_commit_result *res)
{
	struct outcome *o = arg;

	o->done = true;
	o->outcome = res->outcome;
	o->code = res->err ? res->err->code : 0;
	if (res->record)
		o->id = res->record->id;
}

static void run(struct outcome *o)
{
	uint64_t end = og_monotonic_us() + 30000000;

	while (!o->done && og_monotonic_us() < end)
		if (event_base_loop(base, EVLOOP_ONCE) < 0)
			break;
	if (!o->done)
		_exit(9);
}

static struct og_journal_config config(void)
{
	struct og_ulid_gen gen = { 0 };
	struct og_journal_config c = { .base = base, .store = st, .prefix = "g/", .uri = tmp, .checkpoint_tail = 5 };

	if (og_ulid_new(&gen, &c.host, &err) < 0)
		_exit(8);
	return c;
}

static int init_graph(void)
{
	struct og_journal_config c = config();
	struct og_journal_genesis g = { .schema = OG_SLICE("text"), .types = types, .ntypes = 2 };
	struct outcome o = { 0 };

	og_journal_init(&c, &g, on_done, &o);
	run(&o);
	return o.code;
}

static int open_graph(void)
{
	struct og_journal_config c = config();
	struct outcome o = { 0 };

	og_journal_open(&c, on_open, &o);
	run(&o);
	j = o.j;
	return o.code;
}

static void open_store(const struct og_fault_plan *plan)
{
	struct og_store_dir_config c = { .path = tmp, .threads = 0, .create = true };

	base = event_base_new();
	c.base = base;
	st = og_store_dir_new(&c, &err);
	if (st)
		st = og_store_fault_new(st, plan);
	if (!st)
		_exit(7);
}

static void close_all(void)
{
	og_journal_close(j);
	j = NULL;
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	og_store_free(st);
	event_base_free(base);
}

/* Two types in one commit: one never without the other. */
static void commit(const char *branch, unsigned *count, struct acks *a)
{
	const struct og_branch *b = og_state_branch_named(og_journal_state(j), og_slice_str(branch));
	struct og_commit_table t[2] = {
		{ .type = 1, .dn = 1, .parquet = OG_SLICE("PAR1 one") },
		{ .type = 2, .dn = 2, .parquet = OG_SLICE("PAR1 two") },
	};
	struct outcome o = { 0 };
	struct og_commit_req req = {
		.op = OG_OP_MUTATE, .tables = t, .ntables = 2, .cb = on_commit, .arg = &o,
	};

	if (!b)
		_exit(6);
	req.branch = b->id;
	req.base = b->head;
	og_journal_commit(j, &req);
	run(&o);
	if (o.outcome != OG_COMMITTED)
		_exit(5);
	a->ids[a->nids++] = o.id;
	(*count)++;
}

static void branch(const char *name, bool delete, bool *ack)
{
	const struct og_branch *b = og_state_branch_named(og_journal_state(j), og_slice_str(delete ? name : "main"));
	struct outcome o = { 0 };
	struct og_branch_req req = { .name = og_slice_str(name), .cb = on_commit, .arg = &o };

	if (!b)
		_exit(6);
	req.branch = b->id;
	if (delete)
		og_journal_branch_delete(j, &req);
	else
		og_journal_branch_create(j, &req);
	run(&o);
	if (o.outcome != OG_COMMITTED)
		_exit(5);
	*ack = true;
}

/* The life of the process that is killed. */
static void life(const struct og_fault_plan *plan, struct acks *a)
{
	struct outcome o = { 0 };

	int rc;

	open_store(plan);
	/* A client that repeats its init finds the graph that an unanswered one has made. */
	while ((rc = init_graph()) == OG_ERR_UNAVAILABLE || rc == OG_ERR_UNKNOWN)
		;
	if (rc < 0 && rc != OG_ERR_EXISTS)
		_exit(4);
	a->init = true;
	while ((rc = open_graph()) == OG_ERR_UNAVAILABLE)
		;
	if (rc < 0)
		_exit(3);
	for (int i = 0; i < COMMITS; i++)
		commit("main", &a->main_commits, a);
	branch("dock", false, &a->created);
	for (int i = 0; i < 2; i++)
		commit("dock", &a->branch_commits, a);
	og_journal_checkpoint(j, false, on_done, &o);
	run(&o);
	a->checkpoint = o.code == 0;
	branch("dock", true, &a->deleted);
	commit("main", &a->main_commits, a);
	a->requests = og_store_fault_seen(st);
	close_all();
	_exit(0);
}

static void check_pair(const struct og_branch *b)
{
	ck_assert_uint_eq(2 * og_branch_table(b, 1)->rows, og_branch_table(b, 2)->rows);
	ck_assert_uint_eq(b->version - 1, og_branch_table(b, 1)->rows);
}

/* What must be true after the kill; then ordinary work, and everything once more. */
static void check_after(const struct acks *a, const char *what)
{
	struct og_fault_plan none = { 0 };
	const struct og_state *s;
	const struct og_branch *dock, *m;
	unsigned extra = 0;
	struct acks more = { 0 };

	open_store(&none);
	if (open_graph() == OG_ERR_NOT_FOUND) {
		ck_assert_msg(!a->init, "%s: an acknowledged graph is gone", what);
		ck_assert_int_eq(init_graph(), 0);
		ck_assert_int_eq(open_graph(), 0);
	}
	ck_assert_msg(j != NULL, "%s: %s", what, err.message);
	ck_assert_msg(og_journal_status(j) == OG_JOURNAL_WRITABLE, "%s: %s", what, og_journal_reason(j));
	s = og_journal_state(j);
	m = og_state_main(s);
	check_pair(m);
	ck_assert_msg(m->version - 1 == a->main_commits || m->version - 1 == a->main_commits + 1, "%s: %u acknowledged, %u there",
		      what, a->main_commits, (unsigned)m->version - 1);
	for (unsigned i = 0; i < a->nids; i++)
		ck_assert_msg(og_state_commit_find(s, &a->ids[i]) != NULL, "%s: commit %u is gone", what, i);
	dock = og_state_branch_named(s, OG_SLICE("dock"));
	if (a->created && !a->deleted && !dock)
		ck_assert_msg(a->branch_commits == 2, "%s: the branch is gone", what);
	if (a->deleted)
		ck_assert_msg(!dock, "%s: the branch is back", what);
	if (dock) {
		check_pair(dock);
		extra = (unsigned)(dock->version - 1 - COMMITS);
		ck_assert_msg(extra == a->branch_commits || extra == a->branch_commits + 1, "%s: branch", what);
	}
	commit("main", &more.main_commits, &more);
	close_all();
	open_store(&none);
	ck_assert_int_eq(open_graph(), 0);
	ck_assert_ptr_nonnull(og_state_commit_find(og_journal_state(j), &more.ids[0]));
	check_pair(og_state_main(og_journal_state(j)));
	close_all();
}

static struct acks *shared;

static const char *kind_name(enum og_fault_kind kind)
{
	switch (kind) {
	case OG_FAULT_NONE:
		return "unhindered";
	case OG_FAULT_KILL_BEFORE:
		return "killed before";
	case OG_FAULT_KILL_AFTER:
		return "killed after";
	case OG_FAULT_FAIL:
		return "failed";
	case OG_FAULT_LOST_BEFORE:
		return "lost before";
	case OG_FAULT_LOST_AFTER:
		return "lost after";
	}
	return "?";
}

/* true: there may be more requests than `at`. */
static bool life_with(enum og_fault_kind kind, uint64_t at, uint64_t count)
{
	struct og_fault_plan plan = { .kind = kind, .at = at, .count = count };
	bool kills = kind == OG_FAULT_KILL_BEFORE || kind == OG_FAULT_KILL_AFTER;
	char what[64], cmd[128];
	int status;
	pid_t pid;

	strcpy(tmp, "/tmp/og-kill-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tmp));
	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (pid == 0)
		life(&plan, shared);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	snprintf(what, sizeof(what), "%s request %llu", kind_name(kind), (unsigned long long)at);
	ck_assert_msg(kills || WIFEXITED(status), "%s: died of signal %d", what, WTERMSIG(status));
	/* Whoever is refused for sure may give up; lost answers are found out. */
	if (WIFEXITED(status) && kind != OG_FAULT_FAIL)
		ck_assert_msg(status == 0, "%s: exit status %d", what, WEXITSTATUS(status));
	check_after(shared, what);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", tmp);
	ck_assert_int_eq(system(cmd), 0);
	return kills ? WIFSIGNALED(status) : status != 0 || at < shared->requests;
}

static void sweep(enum og_fault_kind kind)
{
	uint64_t at = 0;

	while (life_with(kind, at, 1))
		at++;
	ck_assert_uint_gt(at, 10);
	ck_assert_uint_ge(at, shared->requests);
}

START_TEST(killed_before_every_request)
{
	sweep(OG_FAULT_KILL_BEFORE);
}
END_TEST

START_TEST(killed_after_every_request)
{
	sweep(OG_FAULT_KILL_AFTER);
}
END_TEST

START_TEST(every_request_fails_once)
{
	sweep(OG_FAULT_FAIL);
}
END_TEST

START_TEST(every_request_is_lost_once)
{
	sweep(OG_FAULT_LOST_BEFORE);
}
END_TEST

START_TEST(every_answer_is_lost_once)
{
	sweep(OG_FAULT_LOST_AFTER);
}
END_TEST

/* The resend and the read-back get no answer either. */
START_TEST(answers_are_lost_in_a_row)
{
	for (uint64_t at = 0; life_with(at % 2 ? OG_FAULT_LOST_AFTER : OG_FAULT_LOST_BEFORE, at, 3); at++)
		;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("journal-kill");
	TCase *tc = tcase_create("kill");
	SRunner *sr;
	int failed;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, killed_before_every_request);
	tcase_add_test(tc, killed_after_every_request);
	tcase_add_test(tc, every_request_fails_once);
	tcase_add_test(tc, every_request_is_lost_once);
	tcase_add_test(tc, every_answer_is_lost_once);
	tcase_add_test(tc, answers_are_lost_in_a_row);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
