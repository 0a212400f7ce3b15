/*
 * What the journal asks of a store, operation by operation, beside what it may: counted where requests enter the store, exactly, in requests and in rounds of
 * them. What no route reaches yet (branches, merges, schema changes) is here, too, and how a graph of ten thousand commits opens.
 *
 * journal_budget FOLDER | s3://bucket/prefix [commits]. Each run needs a place of its own. Exit status 1 where anything differs.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/date.h"
#include "journal/journal.h"
#include "net/http_client.h"
#include "store/dir.h"
#include "store/s3.h"
#include "t/unit/tally_store.h"

#define TYPES 112u
#define AGE 10000u
#define PATIENCE_US 120000000u

static struct event_base *base;
static struct og_store *st;
static struct og_ulid_gen ids;
static const char *place;
static bool bucket;			/* else a directory, where a doorbell saves the looks */
static bool failed;
static struct og_type_decl types[TYPES];
static char names[TYPES][8];

/* ---- time ---- */

static time_t slept_s;

/* The machine's clocks, but that one tells of sleep. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_BOOTTIME)
		ts->tv_sec += slept_s;
	return rc;
}

/* ---- running until something is done ---- */

static unsigned pending;
static struct og_journal *opened;
static enum og_commit_outcome outcome;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static void run(void)
{
	uint64_t end = og_monotonic_us() + PATIENCE_US;

	while (pending) {
		event_base_loop(base, EVLOOP_ONCE);
		if (og_monotonic_us() > end)
			die(place, "no answer");
	}
}

static void on_done(void *arg, const struct og_error *err)
{
	pending--;
	if (err->code)
		die(arg, err->message);
}

static void on_open(void *arg, struct og_journal *j, const struct og_error *err)
{
	opened = j;
	on_done(arg, err);
}

static void on_commit(void *arg, const struct og_commit_result *res)
{
	pending--;
	outcome = res->outcome;
	if (res->outcome != OG_COMMITTED && arg)
		die(arg, res->err->message);
}

/* ---- the graph ---- */

static struct og_journal_config config(const char *graph, unsigned checkpoint_tail)
{
	struct og_journal_config c = { .base = base, .store = st, .prefix = graph, .uri = graph, .checkpoint_tail = checkpoint_tail };
	struct og_error err = { 0 };

	if (og_ulid_new(&ids, &c.host, &err) < 0)
		die("ulid", err.message);
	return c;
}

static void make(const char *graph)
{
	struct og_journal_config c = config(graph, 0);
	struct og_journal_genesis g = { .schema = OG_SLICE("schema"), .types = types, .ntypes = TYPES };

	pending++;
	og_journal_init(&c, &g, on_done, (void *)(uintptr_t) "init");
	run();
}

static struct og_journal *open_graph(const char *graph, unsigned checkpoint_tail)
{
	struct og_journal_config c = config(graph, checkpoint_tail);

	pending++;
	og_journal_open(&c, on_open, (void *)(uintptr_t) "open");
	run();
	return opened;
}

static void confirm(struct og_journal *j)
{
	pending++;
	og_journal_confirm(j, on_done, (void *)(uintptr_t) "look");
}

static const struct og_branch *branch(struct og_journal *j, const char *name)
{
	return og_state_branch_named(og_journal_state(j), og_slice_str(name));
}

static void commit(struct og_journal *j, enum og_commit_op op, unsigned ntypes, uint64_t key)
{
	const struct og_branch *m = branch(j, "main");
	struct og_commit_table t[TYPES];
	struct og_commit_req req = { .op = op, .branch = m->id, .base = m->head, .tables = t, .ntables = ntypes, .w = &key, .nw = 1, .cb = on_commit,
				     .arg = (void *)(uintptr_t) "commit" };

	for (unsigned i = 0; i < ntypes; i++)
		t[i] = (struct og_commit_table){ .type = i + 1, .dn = 1, .parquet = OG_SLICE("PAR1") };
	pending++;
	og_journal_commit(j, &req);
}

static void branch_op(struct og_journal *j, const char *from, const char *create)
{
	struct og_branch_req req = { .branch = branch(j, from)->id, .name = create ? og_slice_str(create) : og_slice(NULL, 0), .cb = on_commit };

	req.arg = (void *)(uintptr_t)(create ? "branch create" : "branch delete");
	pending++;
	if (create)
		og_journal_branch_create(j, &req);
	else
		og_journal_branch_delete(j, &req);
	run();
}

static void merge(struct og_journal *j, const char *source)
{
	const struct og_branch *m = branch(j, "main"), *s = branch(j, source);
	struct og_commit_table t = { .type = 1, .as = true };
	struct og_commit_req req = { .op = OG_OP_MERGE, .branch = m->id, .base = m->head, .base_confirmed = true, .has_merged = true, .merged_branch = s->id,
				     .merged_commit = s->head, .tables = &t, .ntables = 1, .cb = on_commit, .arg = (void *)(uintptr_t) "merge" };

	pending++;
	og_journal_commit(j, &req);
	run();
}

static void schema_change(struct og_journal *j)
{
	const struct og_branch *m = branch(j, "main");
	struct og_commit_req req = { .op = OG_OP_SCHEMA, .branch = m->id, .base = m->head, .base_confirmed = true, .schema_text = OG_SLICE("another"),
				     .schema_types = types, .nschema_types = TYPES, .cb = on_commit, .arg = (void *)(uintptr_t) "schema" };

	pending++;
	og_journal_commit(j, &req);
	run();
}

/* ---- the table ---- */

struct cost {
	unsigned puts, gets, lists;	/* puts: if absent */
	unsigned rounds;
};

static void cost_text(const struct cost *c, char out[64])
{
	int n = 0;

	out[0] = '0';
	out[1] = '\0';
	if (c->puts)
		n += sprintf(out + n, "%u put_absent + ", c->puts);
	if (c->gets)
		n += sprintf(out + n, "%u get + ", c->gets);
	if (c->lists)
		n += sprintf(out + n, "%u list + ", c->lists);
	if (n)
		sprintf(out + n - 3, " in %u", c->rounds);
}

/* What was asked since the last call must be that, and nothing else. */
static void expect(const char *what, struct cost want)
{
	const struct tally *t = tally_of(st);
	struct cost got = { (unsigned)t->requests[OG_STORE_PUT_ABSENT], (unsigned)t->requests[OG_STORE_GET], (unsigned)t->requests[OG_STORE_LIST], t->rounds };
	uint64_t other = 0;
	char a[64], b[64];

	for (int i = 0; i < OG_STORE_NOPS; i++)
		if (i != OG_STORE_PUT_ABSENT && i != OG_STORE_GET && i != OG_STORE_LIST)
			other += t->requests[i];
	cost_text(&want, a);
	cost_text(&got, b);
	printf("%-48s %-34s %s", what, a, b);
	if (other)
		printf(" + %llu others", (unsigned long long)other);
	if (other || memcmp(&got, &want, sizeof(got)) != 0) {
		printf("  WRONG");
		failed = true;
	}
	printf("\n");
	tally_reset(st);
}

static struct cost one_look(void)
{
	return bucket ? (struct cost){ .gets = 1, .rounds = 1 } : (struct cost){ 0 };
}

static void rows_of_one_host(void)
{
	static const struct cost one = { .puts = 1, .rounds = 1 };
	struct og_journal *j;

	tally_reset(st);
	make("g/");
	expect("init", one);
	j = open_graph("g/", 1000000);
	expect("open of a new graph", (struct cost){ .lists = 2, .gets = 2, .rounds = 4 });
	commit(j, OG_OP_MUTATE, 1, 1);
	run();
	expect("mutation, 1 type", one);
	commit(j, OG_OP_MUTATE, TYPES, 2);
	run();
	expect("mutation, 112 types", one);
	commit(j, OG_OP_LOAD, TYPES, 3);
	run();
	expect("load, 112 types", one);
	branch_op(j, "main", "w");
	expect("branch create", one);
	commit(j, OG_OP_MUTATE, 1, 4);
	run();
	tally_reset(st);
	merge(j, "w");
	expect("merge", one);
	branch_op(j, "w", NULL);
	expect("branch delete", one);
	schema_change(j);
	expect("schema change", one);
	for (unsigned i = 0; i < 64; i++)
		commit(j, OG_OP_MUTATE, 1, 100 + i);
	run();
	expect("64 mutations that wait together", one);
	confirm(j);
	run();
	expect("read, list", one_look());
	for (unsigned i = 0; i < 64; i++)
		confirm(j);
	run();
	expect("64 reads at once", one_look());
	/* Is the graph still there? Asked beside what is wanted, by whom has asked the store nothing for 30 s. */
	slept_s += 31;
	commit(j, OG_OP_MUTATE, 1, 5);
	run();
	expect("mutation, first after 30 s without a request", bucket ? (struct cost){ .puts = 1, .gets = 1, .rounds = 1 } : one);
	slept_s += 31;
	confirm(j);
	run();
	expect("read, first after 30 s without a request", bucket ? (struct cost){ .gets = 2, .rounds = 1 } : (struct cost){ 0 });
	confirm(j);
	run();
	expect("read, the next", one_look());
	og_journal_close(j);
}

static void rows_of_two_hosts(void)
{
	struct og_journal *a, *b;

	make("two/");
	a = open_graph("two/", 1000000);
	b = open_graph("two/", 1000000);
	for (unsigned m = 1; m <= 3; m++) {
		char what[64];

		for (unsigned i = 0; i < m; i++) {
			commit(a, OG_OP_MUTATE, 1, i);
			run();
		}
		tally_reset(st);
		confirm(b);
		run();
		snprintf(what, sizeof(what), "read, %u of another host's before it", m);
		/* windows of 1, 1, 2: never more than twice what there was */
		expect(what, m == 1 ? (struct cost){ .gets = 2, .rounds = 2 } : (struct cost){ .gets = 4, .rounds = 3 });
		for (unsigned i = 0; i < m; i++) {
			commit(a, OG_OP_MUTATE, 1, i);
			run();
		}
		tally_reset(st);
		commit(b, OG_OP_MUTATE, 1, 1000 + m);
		run();
		snprintf(what, sizeof(what), "mutation, %u of another host's in between", m);
		/*
		 * One costs the put that lost and the look at it. Who loses a second time in a row looks at two places at once, so as not to run
		 * behind for ever: that may be one look more than there were objects, and spares a put where there were.
		 */
		expect(what, m == 1 ? (struct cost){ .puts = 2, .gets = 1, .rounds = 3 } : (struct cost){ .puts = 3, .gets = 3, .rounds = 5 });
		confirm(a);
		run();
	}
	og_journal_close(a);
	og_journal_close(b);
}

/* So many commits, as a server makes them: a few at once, with checkpoints. */
static void rows_of_age(unsigned age)
{
	struct og_journal_stats stats;
	struct og_journal *j;
	char graph[32], what[64];
	unsigned wide = age < 100 ? 1 : 40;

	snprintf(graph, sizeof(graph), "age%u/", age);
	make(graph);
	j = open_graph(graph, 0);
	for (unsigned i = 0; i < age; i++) {
		commit(j, OG_OP_MUTATE, 1, i);
		if ((i + 1) % wide == 0)
			run();
	}
	run();
	/* A checkpoint may be on its way. */
	while (tally_of(st)->under_way)
		event_base_loop(base, EVLOOP_ONCE);
	og_journal_close(j);
	tally_reset(st);
	j = open_graph(graph, 0);
	og_journal_stats(j, &stats);
	snprintf(what, sizeof(what), "open after %u commits, a tail of %u", age, (unsigned)stats.tail);
	if (stats.tail > 64) {
		printf("%s: longer than 64  WRONG\n", what);
		failed = true;
	}
	if (og_journal_checkpoint_seq(j))
		expect(what, (struct cost){ .lists = 2, .gets = 2 + (unsigned)stats.tail + 1, .rounds = 5 });
	else
		expect(what, (struct cost){ .lists = 2, .gets = 1 + (unsigned)stats.tail + 1, .rounds = 4 });
	if (og_branch_table(branch(j, "main"), 1)->rows != age)
		die(what, "rows are missing");
	og_journal_close(j);
}

/* ---- the store ---- */

static int lookup_env(void *arg, const char *name, char *value, size_t size, struct og_error *e)
{
	const char *v = getenv(name);

	(void)arg;
	if (!v)
		return og_error_set(e, OG_ERR_NOT_FOUND, "not set");
	snprintf(value, size, "%s", v);
	return 0;
}

static struct og_store *open_bucket(struct og_error *err)
{
	struct og_aws_settings settings;
	struct og_store_s3_config c = { .uri = place, .base = base, .settings = &settings };
	struct og_store *s;

	if (og_net_global_init(err) < 0 || og_aws_settings_load(&settings, lookup_env, NULL, err) < 0)
		return NULL;
	s = og_store_s3_new(&c, err);
	og_aws_settings_fini(&settings);
	return s;
}

static struct og_store *open_folder(struct og_error *err)
{
	struct og_store_dir_config c = { .path = place, .base = base, .threads = 3, .create = true };

	return og_store_dir_new(&c, err);
}

int main(int argc, char **argv)
{
	struct og_error err = { 0 };
	struct og_store *inner;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: journal_budget FOLDER | s3://bucket/prefix [commits]\n");
		return 2;
	}
	place = argv[1];
	bucket = strncmp(place, "s3://", 5) == 0;
	for (unsigned i = 0; i < TYPES; i++) {
		snprintf(names[i], sizeof(names[i]), "T%u", i);
		types[i] = (struct og_type_decl){ .id = i + 1, .kind = 'n', .name = og_slice_str(names[i]) };
	}
	base = event_base_new();
	inner = bucket ? open_bucket(&err) : open_folder(&err);
	if (!inner)
		die(place, err.message);
	st = tally_store_new(inner, true);
	if (!st)
		die(place, "out of memory");
	rows_of_one_host();
	rows_of_two_hosts();
	rows_of_age(10);
	rows_of_age(argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : AGE);
	og_store_free(st);
	event_base_free(base);
	return failed ? 1 : 0;
}
