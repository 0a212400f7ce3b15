/*
 * Several hosts write one graph in a simulated world (sim.h), and one of them makes the checkpoint for all: how many there are, how long the log above the
 * newest gets, what hosts ask the store for besides, and what happens when the one that makes it dies, rests or takes long.
 *
 *   test_journal_share [--seed N] [--runs N]
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/num.h"
#include "journal/private.h"
#include "t/fault/sim.h"

#define HOSTS_MAX 8u
#define LENGTH 480u			/* objects of a history */
#define CHECKPOINTS 32u			/* objects after which one is due */

struct host {
	struct og_store *st;
	struct og_journal *j;
	bool busy;			/* a commit is under way */
	unsigned life;
};

struct scenario {
	const char *name;
	unsigned hosts;
	uint64_t fold_us;
	bool kill;			/* the first who makes a checkpoint, mostly */
	bool rest;			/* whoever makes one writes nothing for a while */
	unsigned checkpoints_max;	/* of LENGTH objects */
	unsigned lists_max;
	unsigned tail_max;
	unsigned makers_max;		/* at one time */
};

static struct event_base *base;
static struct sim_bucket bucket;
static struct og_ulid_gen ids;
static struct host hosts[HOSTS_MAX];
static const struct scenario *sc;
static struct og_store *stores[256];
static unsigned nstores, kills;
static uint64_t killed_after;		/* newest checkpoint then */
static unsigned tail_max, makers_max;
static uint64_t committed, lists, taken;
static bool over;

static const struct og_type_decl types[] = { { .id = 1, .kind = 'n', .name = { "Port", 4 } } };

static void die(const char *what, const char *why)
{
	printf("FAIL: %s: %s: %s\n", sc->name, what, why);
	exit(1);
}

/* ---- what lies in the store ---- */

static unsigned checkpoints(uint64_t *newest)
{
	struct og_ckpt_name name;
	unsigned n = 0;

	*newest = 0;
	for (size_t i = 0; i < bucket.n; i++) {
		const char *at = strstr(bucket.v[i].key, "ckpt/");

		if (!at || !og_key_parse_ckpt(strrchr(at, '/') + 1, &name))
			continue;
		*newest = OG_MAX(*newest, name.seq);
		n++;
	}
	return n;
}

static void on_landing(void *arg, uint64_t seq)
{
	uint64_t newest;
	unsigned makers = 0;

	(void)arg;
	(void)checkpoints(&newest);
	tail_max = OG_MAX(tail_max, (unsigned)(seq - newest));
	for (unsigned i = 0; i < sc->hosts; i++)
		makers += hosts[i].j && hosts[i].j->ckpt;
	makers_max = OG_MAX(makers_max, makers);
}

/* ---- folds: one segment for all, after a while ---- */

struct folding {
	struct og_journal *j;
	og_fold_done done;
	void *token;
	uint64_t rows;
};

static void fold_end(void *arg)
{
	struct folding *f = arg;
	struct og_seg seg = { .rows = f->rows, .bytes = 100 * f->rows };

	if (og_ulid_new(&ids, &seg.id, &(struct og_error){ 0 }) < 0)
		abort();
	f->done(f->token, false, &seg, 1);
	free(f);
}

static void fold(void *arg, struct og_journal *j, const struct og_fold_job *job, og_fold_done done, void *token)
{
	struct folding *f = malloc(sizeof(*f));

	(void)arg;
	*f = (struct folding){ j, done, token, job->rows };
	sim_at(sim_now() + sc->fold_us, fold_end, f);
}

static const struct og_journal_hooks hooks = { .fold = fold };

/* ---- hosts ---- */

struct done {
	bool done;
	struct og_journal *j;
	struct og_error err;
	uint64_t faults;
};

static void on_done(void *arg, const struct og_error *err)
{
	struct done *d = arg;

	d->done = true;
	d->err = *err;
}

static void on_open(void *arg, struct og_journal *j, const struct og_error *err)
{
	((struct done *)arg)->j = j;
	on_done(arg, err);
}

static void run_until(struct done *d, const char *what)
{
	sim_run(base, sim_now() + 100 * SIM_SECOND, &d->done);
	if (!d->done || d->err.code)
		die(what, d->err.message);
}

static struct og_store *store_new(void)
{
	if (nstores == OG_COUNT(stores) || !(stores[nstores] = sim_store_new(&bucket, base)))
		abort();
	return stores[nstores++];
}

static struct og_journal_config config(struct og_store *st)
{
	struct og_journal_config c = { .base = base, .store = st, .prefix = "", .uri = "sim", .hooks = &hooks };

	if (og_ulid_new(&ids, &c.host, &(struct og_error){ 0 }) < 0)
		abort();
	return c;
}

static void act(void *arg);

static void open_host(struct host *h)
{
	struct og_journal_config c;
	struct done d = { 0 };

	h->st = store_new();
	c = config(h->st);
	og_journal_open(&c, on_open, &d);
	run_until(&d, "open");
	h->j = d.j;
	h->j->rng = 1 + sim_rand(UINT64_MAX - 1);
	h->st->requests[OG_STORE_LIST] = 0;
	h->busy = false;
}

static void close_host(struct host *h)
{
	struct og_journal_stats s;

	og_journal_stats(h->j, &s);
	taken += s.checkpoints_taken;
	lists += h->st->requests[OG_STORE_LIST];
	og_journal_close(h->j);
	h->j = NULL;
	h->life++;
	sim_store_kill(h->st);
}

struct asked {
	struct host *h;
	unsigned life;
};

static void act_later(struct host *h, uint64_t us)
{
	struct asked *a = malloc(sizeof(*a));

	*a = (struct asked){ h, h->life };
	sim_at(sim_now() + us, act, a);
}

static void on_commit(void *arg, const struct og_commit_result *res)
{
	struct host *h = arg;

	h->busy = false;
	committed += res->outcome == OG_COMMITTED;
	act_later(h, sc->rest && h->j->ckpt ? SIM_SECOND / 2 : sim_delay(10000));
}

static void act(void *arg)
{
	struct asked *a = arg;
	struct host *h = a->h;
	struct og_commit_table t = { .type = 1, .dn = 1, .parquet = OG_SLICE("PAR1") };
	struct og_commit_req req = { .op = OG_OP_MUTATE, .tables = &t, .ntables = 1, .cb = on_commit, .arg = h };
	bool ours = h->j && h->life == a->life && !h->busy && !over;

	free(a);
	if (!ours)
		return;
	over = bucket.landed >= LENGTH;
	req.branch = og_state_main(h->j->state)->id;
	req.base = og_state_main(h->j->state)->head;
	h->busy = true;
	og_journal_commit(h->j, &req);
}

/* Who makes a checkpoint is killed in the middle of it, once for each that there will be, and another starts in his place. */
static void kill_some(void)
{
	uint64_t newest;

	(void)checkpoints(&newest);
	for (unsigned i = 0; i < sc->hosts; i++) {
		struct host *h = &hosts[i];

		if (!h->j->ckpt || sim_rand(2) || newest == killed_after)
			continue;
		kills++;
		killed_after = newest;
		close_host(h);
		open_host(h);
		act_later(h, sim_delay(100000));
	}
}

static void end_history(void)
{
	bool never = false;
	struct og_journal_config c = config(store_new());
	struct done d = { 0 };
	uint64_t rows = 0;

	for (unsigned i = 0; i < sc->hosts; i++) {
		const struct og_layer *top = og_state_main(hosts[i].j->state)->tables[0].top;

		if (top && top->depth > 2 * sc->tail_max)
			die("a host", "its layers are as many as ever");
		close_host(&hosts[i]);
	}
	c.hooks = NULL;
	c.read_only = true;
	og_journal_open(&c, on_open, &d);
	run_until(&d, "open at the end");
	rows = og_branch_table(og_state_main(og_journal_state(d.j)), 1)->rows;
	/* One that was killed may have written more than it was told of. */
	if (rows < committed || (!kills && rows != committed))
		die("rows", "are missing");
	og_journal_close(d.j);
	for (unsigned i = 0; i < nstores; i++)
		sim_store_kill(stores[i]);
	sim_run(base, sim_now() + 100 * SIM_SECOND, &never);
	sim_forget();
	for (unsigned i = 0; i < nstores; i++)
		og_store_free(stores[i]);
	nstores = 0;
}

static void history(uint64_t seed)
{
	struct og_journal_genesis g = { .schema = OG_SLICE("text"), .types = types, .ntypes = 1 };
	struct og_journal_config c;
	struct done d = { 0 };
	unsigned made;
	uint64_t newest;
	bool never = false;

	sim_start(seed);
	base = event_base_new();
	sim_bucket_init(&bucket, false);
	bucket.landing = on_landing;
	tail_max = makers_max = kills = 0;
	killed_after = UINT64_MAX;
	committed = lists = taken = 0;
	over = false;
	memset(hosts, 0, sizeof(hosts));
	c = config(store_new());
	og_journal_init(&c, &g, on_done, &d);
	run_until(&d, "init");
	for (unsigned i = 0; i < sc->hosts; i++) {
		open_host(&hosts[i]);
		act_later(&hosts[i], sim_delay(10000));
	}
	while (!over) {
		sim_run(base, sim_now() + 20000, &never);
		if (sc->kill)
			kill_some();
		if (sim_now() > 3000 * SIM_SECOND)
			die("the hosts", "have stopped");
	}
	sim_run(base, sim_now() + 10 * SIM_SECOND, &never);
	made = checkpoints(&newest);
	end_history();
	printf("%-32s %u hosts, %u objects: %u checkpoints (%.1f for 48 objects), taken over %u times; at most %u at once, a tail of %u; %u lists, %u kills\n",
	       sc->name, sc->hosts, (unsigned)bucket.landed, made, 48.0 * made / (double)bucket.landed, (unsigned)taken, makers_max, tail_max,
	       (unsigned)lists, kills);
	if (made > sc->checkpoints_max || made < LENGTH / 128 || tail_max > sc->tail_max || lists > sc->lists_max || makers_max > sc->makers_max)
		die("more than", "there may be");
	sim_bucket_fini(&bucket);
	event_base_free(base);
}

/* Each for itself they made 1.5 for 48 objects if there was one, 9 if there were eight. */
static const struct scenario scenarios[] = {
	{ "one host", 1, 1000, .checkpoints_max = LENGTH / CHECKPOINTS, .tail_max = 64, .makers_max = 1 },
	{ "two hosts", 2, 1000, .checkpoints_max = LENGTH / CHECKPOINTS + 1, .lists_max = LENGTH / 48, .tail_max = 64, .makers_max = 1 },
	{ "many hosts", 8, 1000, .checkpoints_max = LENGTH / CHECKPOINTS + 1, .lists_max = LENGTH / 8, .tail_max = 64, .makers_max = 1 },
	{ "folding takes long", 4, 2 * SIM_SECOND, .checkpoints_max = LENGTH / 48, .lists_max = LENGTH / 8, .tail_max = LENGTH, .makers_max = 4 },
	{ "who makes one then rests", 4, 1000, .rest = true, .checkpoints_max = LENGTH / CHECKPOINTS + 1, .lists_max = LENGTH / 16, .tail_max = 64,
	  .makers_max = 1 },
	{ "whoever makes one dies once", 4, 30000, .kill = true, .checkpoints_max = LENGTH / 20, .lists_max = LENGTH / 8, .tail_max = 64, .makers_max = 4 },
};

static uint64_t number(const char *text)
{
	uint64_t n;

	if (!og_parse_u64(og_slice_str(text), &n)) {
		fprintf(stderr, "'%s' is not a number\n", text);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, runs = 1;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seed"))
			seed = number(argv[i + 1]);
		else if (!strcmp(argv[i], "--runs"))
			runs = number(argv[i + 1]);
	}
	og_log_init("test_journal_share", OG_LOG_ERROR, false);
	for (uint64_t r = 0; r < runs; r++)
		for (size_t i = 0; i < OG_COUNT(scenarios); i++) {
			sc = &scenarios[i];
			history(seed + r);
		}
	return 0;
}
