/* The journal on a directory: opening, group commit, conflicts, branches, checkpoints, other writers, damage. */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/date.h"
#include "journal/journal.h"
#include "store/dir.h"
#include "store/fault.h"

static char tmp[64];
static struct event_base *base;
static struct og_store *st;
static struct og_journal *a, *b;
static struct og_error err;
static struct og_ulid_gen gen;
static struct og_journal_hooks hooks;
static unsigned threads;

static const struct og_type_decl types[] = {
	{ .id = 1, .kind = 'n', .name = { "Port", 4 } },
	{ .id = 2, .kind = 'n', .name = { "Vessel", 6 } },
	{ .id = 3, .kind = 'e', .name = { "DocksAt", 7 } },
};

/* ---- running until something is done ---- */

struct outcome {
	bool done;
	int code;
	enum og_commit_outcome outcome;
	char message[512];
	struct og_ulid id;
	uint64_t seq, version, expected, actual;
	uint32_t type;
	bool counted;
	struct og_journal *j;
	const struct og_branch *state;
	struct og_buf bytes;
};

static void run(struct outcome *o)
{
	uint64_t end = og_monotonic_us() + 20000000;

	while (!o->done) {
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		ck_assert_msg(og_monotonic_us() < end, "no answer");
	}
}

static void on_done(void *arg, const struct og_error *e)
{
	struct outcome *o = arg;

	o->done = true;
	o->code = e->code;
	snprintf(o->message, sizeof(o->message), "%.500s", e->message);
}

static void on_open(void *arg, struct og_journal *j, const struct og_error *e)
{
	struct outcome *o = arg;

	o->j = j;
	on_done(arg, e);
}

static void on_commit(void *arg, const struct og_commit_result *res)
{
	struct outcome *o = arg;

	ck_assert(!o->done);
	o->done = true;
	o->outcome = res->outcome;
	o->counted = res->counted;
	o->type = res->type;
	o->expected = res->expected;
	o->actual = res->actual;
	if (res->record) {
		o->id = res->record->id;
		o->seq = res->seq;
		o->version = res->record->commit.version;
	} else {
		ck_assert_ptr_nonnull(res->err);
		o->code = res->err->code;
		snprintf(o->message, sizeof(o->message), "%.500s", res->err->message);
	}
}

static void on_snapshot(void *arg, const struct og_branch *s, const struct og_error *e)
{
	struct outcome *o = arg;

	o->state = s ? og_branch_ref(s) : NULL;
	on_done(arg, e);
}

static void on_bytes(void *arg, struct og_slice bytes, const struct og_error *e)
{
	struct outcome *o = arg;

	og_buf_slice(&o->bytes, bytes);
	on_done(arg, e);
}

static struct og_journal_config config(void)
{
	struct og_journal_config c = {
		.base = base, .store = st, .prefix = "", .uri = tmp, .hooks = &hooks, .checkpoint_tail = 1000000
	};

	ck_assert_int_eq(og_ulid_new(&gen, &c.host, &err), 0);
	return c;
}

static struct og_journal *open_journal(void)
{
	struct og_journal_config c = config();
	struct outcome o = { 0 };

	og_journal_open(&c, on_open, &o);
	run(&o);
	ck_assert_msg(o.j != NULL, "%s", o.message);
	return o.j;
}

static struct outcome init(bool force)
{
	struct og_journal_config c = config();
	struct og_journal_genesis g = { .schema = OG_SLICE("schema text"), .types = types, .ntypes = 3, .force = force };
	struct outcome o = { 0 };

	og_journal_init(&c, &g, on_done, &o);
	run(&o);
	return o;
}

static struct og_store *open_store(void)
{
	struct og_store_dir_config c = { .path = tmp, .base = base, .threads = threads, .create = true };
	struct og_store *s = og_store_dir_new(&c, &err);

	ck_assert_msg(s != NULL, "%s", err.message);
	return s;
}

static void setup(void)
{
	strcpy(tmp, "/tmp/og-journal-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tmp));
	base = event_base_new();
	st = open_store();
	ck_assert_int_eq(init(false).code, 0);
	a = open_journal();
	b = NULL;
}

/* The same with I/O threads, as og-storaged runs it. */
static void setup_threads(void)
{
	threads = 4;
	setup();
}

static void teardown(void)
{
	char cmd[128];

	og_journal_close(a);
	og_journal_close(b);
	for (int i = 0; i < 20; i++) {	/* what is in flight comes back */
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (threads)
			usleep(2000);
	}
	og_store_free(st);
	event_base_free(base);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", tmp);
	ck_assert_int_eq(system(cmd), 0);
}

/* ---- commits ---- */

struct spec {
	struct og_journal *j;
	struct og_ulid branch, base;
	uint32_t type;
	int64_t dn;
	uint32_t strict, scanned;	/* 0: none */
	uint64_t r, w;			/* 0: none */
	bool unconfirmed, all_keys;
	const char *rows;
	const struct og_ulid *expect;
	const struct og_seg *seg;
};

static void start(const struct spec *s, struct outcome *o)
{
	const char *rows = s->rows ? s->rows : "PAR1";
	struct og_commit_table t = { .type = s->type, .dn = s->dn, .parquet = og_slice_str(rows), .segs = s->seg,
				     .nsegs = s->seg ? 1 : 0 };
	struct og_commit_req req = {
		.op = OG_OP_MUTATE, .branch = s->branch, .base = s->base, .base_confirmed = !s->unconfirmed,
		.actor = OG_SLICE("act-mira"), .strict = &s->strict, .nstrict = s->strict ? 1 : 0, .scanned = &s->scanned,
		.nscanned = s->scanned ? 1 : 0, .r = &s->r, .nr = s->r ? 1 : 0, .w = &s->w, .nw = s->w ? 1 : 0,
		.tables = &t, .ntables = 1, .all_keys = s->all_keys, .cb = on_commit, .arg = o,
	};

	if (s->expect) {
		req.has_expect_head = true;
		req.expect_head = *s->expect;
	}
	og_journal_commit(s->j, &req);
	ck_assert(!o->done);
}

static struct outcome commit(const struct spec *s)
{
	struct outcome o = { 0 };

	start(s, &o);
	run(&o);
	return o;
}

static struct og_ulid head(struct og_journal *j, const char *name)
{
	const struct og_branch *br = og_state_branch_named(og_journal_state(j), og_slice_str(name));

	ck_assert_ptr_nonnull(br);
	return br->head;
}

static struct og_ulid bid(struct og_journal *j, const char *name)
{
	const struct og_branch *br = og_state_branch_named(og_journal_state(j), og_slice_str(name));

	ck_assert_ptr_nonnull(br);
	return br->id;
}

static struct spec on(struct og_journal *j, const char *name)
{
	return (struct spec){ .j = j, .branch = bid(j, name), .base = head(j, name), .type = 1, .dn = 1 };
}

static struct outcome plain(struct og_journal *j, const char *name)
{
	struct spec s = on(j, name);
	struct outcome o = commit(&s);

	ck_assert_msg(o.outcome == OG_COMMITTED, "%s", o.message);
	return o;
}

static struct outcome branch(struct og_journal *j, const char *name, const char *from, bool delete)
{
	struct outcome o = { 0 };
	struct og_branch_req req = { .branch = bid(j, from), .name = og_slice_str(name), .cb = on_commit, .arg = &o };

	if (delete)
		og_journal_branch_delete(j, &req);
	else
		og_journal_branch_create(j, &req);
	run(&o);
	return o;
}

static void confirm(struct og_journal *j)
{
	struct outcome o = { 0 };

	og_journal_confirm(j, on_done, &o);
	run(&o);
	ck_assert_int_eq(o.code, 0);
}

static uint64_t rows(struct og_journal *j, const char *name, uint32_t type)
{
	return og_branch_table(og_state_branch_named(og_journal_state(j), og_slice_str(name)), type)->rows;
}

static void requests(uint64_t *total)
{
	*total = 0;
	for (int i = 0; i < OG_STORE_NOPS; i++)
		*total += st->requests[i];
}

/* ---- tests ---- */

START_TEST(init_is_one_put_and_happens_once)
{
	struct outcome o;

	ck_assert_uint_eq(st->requests[OG_STORE_PUT_ABSENT], 1);
	o = init(false);
	ck_assert_int_eq(o.code, OG_ERR_EXISTS);
	ck_assert_ptr_nonnull(strstr(o.message, "graph already initialized at '"));
	ck_assert_ptr_nonnull(strstr(o.message, "'; pass --force to overwrite"));
	ck_assert_uint_eq(og_state_main(og_journal_state(a))->version, 1);
	ck_assert_uint_eq(og_state_main(og_journal_state(a))->ntables, 3);
}
END_TEST

START_TEST(a_commit_is_one_request_and_survives_reopening)
{
	uint64_t before, after;
	struct outcome o;

	requests(&before);
	o = plain(a, "main");
	requests(&after);
	ck_assert_uint_eq(after - before, 1);
	ck_assert_uint_eq(o.seq, 1);
	ck_assert_uint_eq(o.version, 2);
	og_journal_close(a);
	a = open_journal();
	ck_assert_uint_eq(og_journal_state(a)->seq, 1);
	ck_assert_uint_eq(rows(a, "main", 1), 1);
	ck_assert_int_eq(memcmp(&(struct og_ulid[]){ head(a, "main") }, &o.id, 16), 0);
	ck_assert_uint_eq(og_state_commit_find(og_journal_state(a), &o.id)->version, 2);
	ck_assert(og_slice_is(og_state_commit_find(og_journal_state(a), &o.id)->actor, "act-mira"));
}
END_TEST

START_TEST(a_read_costs_nothing_while_the_bell_is_quiet)
{
	uint64_t before, after;

	confirm(a);
	requests(&before);
	for (int i = 0; i < 10; i++)
		confirm(a);
	plain(a, "main");
	confirm(a);
	requests(&after);
	ck_assert_uint_eq(after - before, 1);
	ck_assert_int_ge(og_journal_bell_fd(a), 0);
}
END_TEST

/* Without a doorbell every check is one GET, shared by all that wait for it. */
START_TEST(a_read_costs_one_request_on_a_store_without_pages)
{
	struct outcome o[5] = { 0 };
	uint64_t before;

	og_journal_close(a);
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
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

START_TEST(queued_commits_share_an_object)
{
	struct outcome o[64] = { 0 };
	uint64_t before = st->requests[OG_STORE_PUT_ABSENT];
	struct spec s = on(a, "main");

	for (int i = 0; i < 64; i++) {
		s.w = (uint64_t)i + 1;
		start(&s, &o[i]);
	}
	for (int i = 0; i < 64; i++) {
		run(&o[i]);
		ck_assert_int_eq(o[i].outcome, OG_COMMITTED);
		ck_assert_uint_eq(o[i].version, (uint64_t)i + 2);
	}
	ck_assert_uint_eq(rows(a, "main", 1), 64);
	ck_assert_uint_le(st->requests[OG_STORE_PUT_ABSENT] - before, 2);
}
END_TEST

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

START_TEST(a_lost_round_costs_two_requests)
{
	uint64_t before, after;
	struct spec s;
	struct outcome o;

	b = open_journal();
	s = on(a, "main");
	s.w = 1;
	plain(b, "main");
	requests(&before);
	o = commit(&s);
	requests(&after);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	ck_assert_uint_eq(o.version, 3);
	ck_assert_uint_eq(after - before, 3);	/* the put that lost, the get, the put */
	confirm(b);
	ck_assert_uint_eq(rows(b, "main", 1), 2);
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
	og_journal_close(a);
	a = open_journal();
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

static struct outcome schema_change(struct og_journal *j, const struct og_ulid *from)
{
	static const struct og_type_decl after[] = {
		{ .id = 1, .kind = 'n', .name = { "Harbour", 7 } },
		{ .id = 9, .kind = 'n', .name = { "Crane", 5 } },
	};
	struct outcome o = { 0 };
	struct og_commit_req req = {
		.op = OG_OP_SCHEMA, .branch = bid(j, "main"), .base = *from, .base_confirmed = true,
		.schema_text = OG_SLICE("new schema"), .schema_types = after, .nschema_types = 2, .cb = on_commit, .arg = &o,
	};

	og_journal_commit(j, &req);
	run(&o);
	return o;
}

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
	og_journal_close(a);
	a = open_journal();
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

static uint64_t one_more(uint64_t *before)
{
	uint64_t was = *before;

	requests(before);
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
	requests(&n);
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

START_TEST(a_checkpoint_opens_as_the_log_does)
{
	struct outcome o = { 0 };
	struct og_seg seg = { .rows = 5, .bytes = 10 };
	struct og_ulid old;
	struct spec s;
	uint64_t before, after;

	for (int i = 0; i < 40; i++)
		plain(a, "main");
	branch(a, "w", "main", false);
	plain(a, "w");
	branch(a, "gone", "w", false);
	branch(a, NULL, "gone", true);
	old = head(a, "main");
	ck_assert_int_eq(og_journal_ulid(a, &seg.id, &err), 0);
	s = on(a, "main");
	s.seg = &seg;
	ck_assert_int_eq(commit(&s).outcome, OG_COMMITTED);
	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	ck_assert_msg(o.code == 0, "%s", o.message);
	ck_assert_uint_eq(og_journal_checkpoint_seq(a), og_journal_state(a)->seq);
	plain(a, "w");
	og_journal_close(a);
	requests(&before);
	a = open_journal();
	requests(&after);
	ck_assert_uint_eq(after - before, 4 + 2);	/* the tail of one, and the key behind it */
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

static void many(unsigned n)
{
	while (n) {
		static struct outcome o[64];
		unsigned k = OG_MIN(n, 64u);
		struct spec s = on(a, "main");

		memset(o, 0, sizeof(o));
		for (unsigned i = 0; i < k; i++) {
			s.w = i + 1;
			start(&s, &o[i]);
		}
		for (unsigned i = 0; i < k; i++) {
			run(&o[i]);
			ck_assert_int_eq(o[i].outcome, OG_COMMITTED);
		}
		n -= k;
	}
}

static void checkpoint(void)
{
	struct outcome o = { 0 };

	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	ck_assert_msg(o.code == 0, "%s", o.message);
}

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
	og_journal_close(a);
	a = open_journal();
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
	ck_assert_int_eq(og_state_line(og_journal_state(a), &(struct og_ulid[]){ head(a, "main") }[0], &arena, &line, &n, &err),
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
	struct og_seg seg = { .rows = 1, .bytes = 1 };

	folds++;
	ck_assert_int_eq(og_journal_ulid(j, &seg.id, &err), 0);
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
	og_journal_close(a);
	a = open_journal();
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
	for (int i = 0; i < 100; i++)
		plain(a, "main");
	confirm(a);
	for (int i = 0; i < 50; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(threads ? 2000 : 0);
	}
	og_journal_stats(a, &stats);
	ck_assert_uint_ge(stats.checkpoints, 2);
	ck_assert_uint_le(stats.tail, 40);
}
END_TEST

/* ---- lost answers ---- */

static void with_faults(const char *plan)
{
	struct og_fault_plan p;

	og_journal_close(a);
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(og_fault_parse(plan, &p, &err), 0);
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
	struct og_store *plain_store = st;

	b = open_journal();
	with_faults("lost-before:0:1:w");
	s = on(a, "main");
	s.w = 4;
	start(&s, &o);
	event_base_loop(base, EVLOOP_ONCE);
	(void)plain_store;
	plain(b, "main");
	run(&o);
	ck_assert_int_eq(o.outcome, OG_COMMITTED);
	ck_assert_uint_eq(o.seq, 2);
	ck_assert_uint_eq(rows(a, "main", 1), 2);
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
	og_journal_close(a);
	a = open_journal();
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
	og_journal_close(a);
	a = open_journal();
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
	og_journal_close(a);
	a = open_journal();
	ck_assert_int_eq(og_journal_status(a), OG_JOURNAL_WRITABLE);
	ck_assert_uint_eq(rows(a, "main", 1), 2);
	ck_assert_uint_eq(og_journal_checkpoint_seq(a), 0);
	/* a missing log object for a good checkpoint's place refuses writes */
	o.done = false;
	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	log_path(2, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	og_journal_close(a);
	a = open_journal();
	ck_assert_str_eq(og_journal_reason(a), "log object 2: missing");
}
END_TEST

static char faults[4096];

static void on_fault(void *arg, const char *text)
{
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

	ck_assert_int_eq(og_journal_ulid(a, &seg.id, &err), 0);
	ck_assert_int_eq(og_journal_segment_key(a, 1, &seg.id, key, &err), 0);
	put.key = key;
	ck_assert_int_eq(og_store_wait(st, &put, NULL, NULL, &err), 0);
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
	og_journal_close(a);
	a = open_journal();
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
	ck_assert_int_eq(og_store_wait_list(st, "", &list, &err), 0);
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

/* ---- two processes, one log ---- */

static int appender(int who, int n)
{
	int fd;
	char path[256];

	base = event_base_new();
	memset(&gen, 0, sizeof(gen));
	st = open_store();
	a = open_journal();
	snprintf(path, sizeof(path), "%s.%d", tmp, who);
	fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
	for (int i = 0; i < n;) {
		struct outcome o[8] = { 0 };
		struct spec s = on(a, "main");
		int k = OG_MIN(1 + i % 8, n - i);

		for (int m = 0; m < k; m++) {
			s.w = (uint64_t)who * 1000000 + (uint64_t)(i + m) + 1;
			start(&s, &o[m]);
		}
		for (int m = 0; m < k; m++) {
			run(&o[m]);
			if (o[m].outcome != OG_COMMITTED)
				return 1;
			if (write(fd, &o[m].id, sizeof(o[m].id)) != sizeof(o[m].id))
				return 1;
		}
		i += k;
	}
	close(fd);
	return 0;
}

START_TEST(two_processes_make_one_chain)
{
	enum { N = 500 };
	const struct og_commit_info **line;
	struct og_arena arena;
	size_t n;

	og_journal_close(a);
	a = NULL;
	og_store_free(st);
	for (int who = 1; who <= 2; who++)
		if (fork() == 0)
			_exit(appender(who, N));
	for (int i = 0; i < 2; i++) {
		int status;

		wait(&status);
		ck_assert_int_eq(status, 0);
	}
	st = open_store();
	a = open_journal();
	ck_assert_uint_eq(rows(a, "main", 1), 2 * N);
	ck_assert_uint_eq(og_state_main(og_journal_state(a))->version, 2 * N + 1);
	og_arena_init(&arena, 0);
	ck_assert_int_eq(og_state_line(og_journal_state(a), &og_state_main(og_journal_state(a))->head, &arena, &line, &n,
				       &err), 0);
	ck_assert_uint_eq(n, 2 * N + 1);
	for (int who = 1; who <= 2; who++) {
		struct og_ulid ids[N];
		char path[256];
		int fd;

		snprintf(path, sizeof(path), "%s.%d", tmp, who);
		fd = open(path, O_RDONLY);
		ck_assert_int_eq(read(fd, ids, sizeof(ids)), sizeof(ids));
		for (int i = 0; i < N; i++)
			ck_assert_ptr_nonnull(og_state_commit_find(og_journal_state(a), &ids[i]));
		close(fd);
		unlink(path);
	}
	og_arena_fini(&arena);
}
END_TEST

static TCase *cases(const char *name, void (*up)(void))
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, up, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, init_is_one_put_and_happens_once);
	tcase_add_test(tc, a_commit_is_one_request_and_survives_reopening);
	tcase_add_test(tc, a_read_costs_nothing_while_the_bell_is_quiet);
	tcase_add_test(tc, a_read_costs_one_request_on_a_store_without_pages);
	tcase_add_test(tc, queued_commits_share_an_object);
	tcase_add_test(tc, strict_race_is_a_conflict_with_versions);
	tcase_add_test(tc, eight_strict_at_once_have_one_winner);
	tcase_add_test(tc, keys_that_meet_are_evaluated_again);
	tcase_add_test(tc, a_strict_race_with_a_commit_that_came_before_is_none);
	tcase_add_test(tc, a_lost_round_costs_two_requests);
	tcase_add_test(tc, expected_head);
	tcase_add_test(tc, branches_are_made_and_removed);
	tcase_add_test(tc, a_refusal_is_checked_first);
	tcase_add_test(tc, create_and_delete_race_on_two_hosts);
	tcase_add_test(tc, a_schema_change_needs_main_alone);
	tcase_add_test(tc, merge_takes_over_contents);
	tcase_add_test(tc, each_change_is_one_request);
	tcase_add_test(tc, a_checkpoint_opens_as_the_log_does);
	tcase_add_test(tc, history_goes_into_chunks);
	tcase_add_test(tc, folding_replaces_stacks_and_keeps_sharing);
	tcase_add_test(tc, a_long_tail_makes_a_checkpoint_by_itself);
	tcase_add_test(tc, a_lost_answer_is_found_out);
	tcase_add_test(tc, an_unknown_put_that_another_host_beat_is_lost);
	tcase_add_test(tc, a_deadline_in_the_unknown_is_told_as_unknown);
	tcase_add_test(tc, a_put_that_fails_for_sure_changes_nothing);
	tcase_add_test(tc, a_flipped_byte_makes_the_graph_read_only_below_it);
	tcase_add_test(tc, a_hole_is_not_filled);
	tcase_add_test(tc, a_damaged_checkpoint_only_costs_time);
	tcase_add_test(tc, verify_finds_what_is_damaged);
	tcase_add_test(tc, force_replaces_the_graph_and_stops_the_others);
	tcase_add_test(tc, remove_leaves_nothing);
	tcase_add_test(tc, two_processes_make_one_chain);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("journal");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, cases("no threads", setup));
	suite_add_tcase(s, cases("threads", setup_threads));
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
