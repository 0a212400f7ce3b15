/* What the tests of the journal share. */
#include "config.h"

#include "journal_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/date.h"
#include "store/dir.h"
#include "tally_store.h"

char tmp[64];
struct event_base *base;
struct og_store *st;
struct og_journal *a, *b;
struct og_error failure;
struct og_ulid_gen gen;
struct og_journal_hooks hooks;
unsigned threads;

static const struct og_type_decl types[] = {
	{ .id = 1, .kind = 'n', .name = { "Port", 4 } },
	{ .id = 2, .kind = 'n', .name = { "Vessel", 6 } },
	{ .id = 3, .kind = 'e', .name = { "DocksAt", 7 } },
};

/* ---- running until something is done ---- */

void run(struct outcome *o)
{
	uint64_t end = og_monotonic_us() + 20000000;

	while (!o->done) {
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		ck_assert_msg(og_monotonic_us() < end, "no answer");
	}
}

void turn(int n)
{
	while (n-- > 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

void on_done(void *arg, const struct og_error *e)
{
	struct outcome *o = arg;

	o->done = true;
	o->code = e->code;
	snprintf(o->message, sizeof(o->message), "%.500s", e->message);
}

void on_open(void *arg, struct og_journal *j, const struct og_error *e)
{
	struct outcome *o = arg;

	o->j = j;
	on_done(arg, e);
}

void on_commit(void *arg, const struct og_commit_result *res)
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

void on_snapshot(void *arg, const struct og_branch *s, const struct og_error *e)
{
	struct outcome *o = arg;

	o->state = s ? og_branch_ref(s) : NULL;
	on_done(arg, e);
}

void on_bytes(void *arg, struct og_slice bytes, const struct og_error *e)
{
	struct outcome *o = arg;

	og_buf_slice(&o->bytes, bytes);
	on_done(arg, e);
}

struct og_journal_config config(void)
{
	struct og_journal_config c = {
		.base = base, .store = st, .prefix = "", .uri = tmp, .hooks = &hooks, .checkpoint_tail = 1000000
	};

	ck_assert_int_eq(og_ulid_new(&gen, &c.host, &failure), 0);
	return c;
}

struct og_journal *open_journal(void)
{
	struct og_journal_config c = config();
	struct outcome o = { 0 };

	og_journal_open(&c, on_open, &o);
	run(&o);
	ck_assert_msg(o.j != NULL, "%s", o.message);
	return o.j;
}

void reopen(void)
{
	og_journal_close(a);
	a = open_journal();
}

void interpose(bool paged)
{
	og_journal_close(a);
	turn(10);
	st = tally_store_new(st, paged);
	ck_assert_ptr_nonnull(st);
	a = open_journal();
}

struct outcome init(bool force)
{
	struct og_journal_config c = config();
	struct og_journal_genesis g = { .schema = OG_SLICE("schema text"), .types = types, .ntypes = 3, .force = force };
	struct outcome o = { 0 };

	og_journal_init(&c, &g, on_done, &o);
	run(&o);
	return o;
}

struct og_store *open_store(void)
{
	struct og_store_dir_config c = { .path = tmp, .base = base, .threads = threads, .create = true };
	struct og_store *s = og_store_dir_new(&c, &failure);

	ck_assert_msg(s != NULL, "%s", failure.message);
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

void start(const struct spec *s, struct outcome *o)
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

struct outcome commit(const struct spec *s)
{
	struct outcome o = { 0 };

	start(s, &o);
	run(&o);
	return o;
}

struct og_ulid head(struct og_journal *j, const char *name)
{
	const struct og_branch *br = og_state_branch_named(og_journal_state(j), og_slice_str(name));

	ck_assert_ptr_nonnull(br);
	return br->head;
}

struct og_ulid bid(struct og_journal *j, const char *name)
{
	const struct og_branch *br = og_state_branch_named(og_journal_state(j), og_slice_str(name));

	ck_assert_ptr_nonnull(br);
	return br->id;
}

struct spec on(struct og_journal *j, const char *name)
{
	return (struct spec){ .j = j, .branch = bid(j, name), .base = head(j, name), .type = 1, .dn = 1 };
}

struct outcome plain(struct og_journal *j, const char *name)
{
	struct spec s = on(j, name);
	struct outcome o = commit(&s);

	ck_assert_msg(o.outcome == OG_COMMITTED, "%s", o.message);
	return o;
}

struct outcome branch(struct og_journal *j, const char *name, const char *from, bool delete)
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

void confirm(struct og_journal *j)
{
	struct outcome o = { 0 };

	og_journal_confirm(j, on_done, &o);
	run(&o);
	ck_assert_int_eq(o.code, 0);
}

uint64_t rows(struct og_journal *j, const char *name, uint32_t type)
{
	return og_branch_table(og_state_branch_named(og_journal_state(j), og_slice_str(name)), type)->rows;
}

uint64_t requests(void)
{
	uint64_t total = 0;

	for (int i = 0; i < OG_STORE_NOPS; i++)
		total += st->requests[i];
	return total;
}

struct outcome schema_change(struct og_journal *j, const struct og_ulid *from)
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

void many(unsigned n)
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

void checkpoint(void)
{
	struct outcome o = { 0 };

	og_journal_checkpoint(a, false, on_done, &o);
	run(&o);
	ck_assert_msg(o.code == 0, "%s", o.message);
}

int journal_main(const char *name, void (*add)(TCase *tc))
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create("no threads");
	SRunner *sr;
	int failed;

	for (int i = 0; i < 2; i++) {
		tcase_add_checked_fixture(tc, i ? setup_threads : setup, teardown);
		tcase_set_timeout(tc, 120);
		add(tc);
		suite_add_tcase(s, tc);
		if (i == 0)
			tc = tcase_create("threads");
	}
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
