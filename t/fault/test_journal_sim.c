/*
 * Random histories of several hosts on one graph in a simulated world (sim.h): lost answers, puts that take effect long after, refused,
 * slow and false answers, hosts cut off, killed and started again, power cuts. Whatever happens: everything is answered in time, reads
 * hold all that was there before them, refusals are true, and the log at the end says of every operation what its client was told
 * (sim_check.h). When the faults end every host goes on by itself.
 *
 *   test_journal_sim [--runs N] [--seconds S] [--seed S] [--lie N] (OG_TEST_TIME=FACTOR: so many times the usual seconds)
 *
 * First the test of the test: stores that break their word must be found out. --seed: that history alone, once, unless told how many.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/num.h"
#include "journal/private.h"
#include "t/fault/sim_check.h"

#define HOSTS 4
#define CLIENTS 3
#define KEYS 8
#define DEFAULT_SECONDS 14	/* of CPU, times OG_TEST_TIME */
#define SLACK_US 50000		/* the loop turns in milliseconds */

struct world;

struct client {
	struct host *h;
	struct sim_op *op;		/* waits for an answer */
	bool planned;			/* op is not sent yet */
	bool eager;			/* reads again at once */
	unsigned tries;
	unsigned life;			/* of the host, when what is due was planned */
};

struct host {
	struct world *w;
	unsigned nr, incarnation;
	struct og_store *st;
	struct og_journal *j;
	bool opening, restart;
	uint64_t opened;		/* what its opening must show at least */
	uint64_t seen;
	struct client clients[CLIENTS];
};

struct world {
	struct event_base *base;
	struct sim_bucket bucket;
	struct og_ulid_gen gen;
	struct host hosts[HOSTS];
	unsigned nhosts;
	struct sim_ops ops;
	struct og_store *stores[256];
	unsigned nstores;
	uint64_t known;			/* the last log object that any client has heard of */
	uint64_t commits, answers[8], reads, kills, cuts;
	bool calm;			/* no faults any more */
	bool quiet;			/* clients only read */
	double kill_share;
	bool stop;
	char why[700];
};

static bool wrong(struct world *w, const char *fmt, ...) OG_PRINTF(2, 3);

static bool wrong(struct world *w, const char *fmt, ...)
{
	va_list ap;

	w->stop = true;
	if (w->why[0])
		return false;
	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	return false;
}

static const struct og_type_decl types[] = {
	{ .id = 1, .kind = 'n', .name = { "Port", 4 } },
	{ .id = 2, .kind = 'n', .name = { "Vessel", 6 } },
	{ .id = 3, .kind = 'e', .name = { "DocksAt", 7 } },
};

/* What a confirmed state must hold: on S3 all that was put, on a directory all that anybody has shown. */
static uint64_t must_show(const struct world *w)
{
	return w->bucket.directory ? w->known : w->bucket.landed;
}

static void act_later(struct client *c, uint64_t mean_us);

/* ---- answers ---- */

static struct sim_op *answered(struct client *c, int code, const char *message)
{
	struct sim_op *op = c->op;
	struct world *w = c->h->w;

	c->op = NULL;
	op->end = sim_now();
	op->after = w->bucket.landed;
	op->code = code;
	snprintf(op->message, sizeof(op->message), "%.150s", message);
	if (op->end > op->deadline + SLACK_US)
		wrong(w, "host %u: no answer in time: asked at %.3f, due at %.3f, answered at %.3f: %s", op->host, (double)op->start / 1e6,
		      (double)op->deadline / 1e6, (double)op->end / 1e6, message);
	if (code && !*message)
		wrong(w, "host %u: an error without a word", op->host);
	return op;
}

/* One commit raises the first type by n and the second by 2n. */
static void check_whole(struct host *h, const struct og_branch *b)
{
	if (2 * og_branch_table(b, 1)->rows != og_branch_table(b, 2)->rows)
		wrong(h->w, "host %u shows half a commit on %.*s", h->nr, OG_FMT(b->name));
}

static void note_shown(struct host *h, struct sim_op *op, const struct og_branch *b)
{
	check_whole(h, b);
	op->shown = true;
	op->base = b->head;
	op->rows = og_branch_table(b, 1)->rows;
	op->version = b->version;
}

static const struct og_branch *any_branch(const struct og_state *s, bool but_main)
{
	size_t skip = sim_rand(s->nlive);

	for (size_t i = but_main, n = 0; i < s->nbranches; i++)
		if (s->branches[i]->live && (n++ >= skip || (but_main && n == s->nlive - 1)))
			return s->branches[i];
	return but_main ? NULL : og_state_main(s);
}

static void on_read(void *arg, const struct og_error *err)
{
	struct client *c = arg;
	struct host *h = c->h;
	struct sim_op *op = answered(c, err->code, err->message);
	const struct og_state *s = og_journal_state(h->j);

	h->w->reads++;
	if (err->code == 0) {
		op->seq = s->seq;
		if (s->seq < op->before)
			wrong(h->w, "host %u reads %llu at %.3f s, %llu was there at %.3f s", h->nr, (unsigned long long)s->seq,
			      (double)op->end / 1e6, (unsigned long long)op->before, (double)op->start / 1e6);
		h->w->known = OG_MAX(h->w->known, s->seq);
		note_shown(h, op, any_branch(s, false));
	} else if (err->code != OG_ERR_UNAVAILABLE) {
		wrong(h->w, "host %u: a read is answered: %s", h->nr, err->message);
	}
	act_later(c, c->eager ? 0 : 200000);
}

static void on_snapshot(void *arg, const struct og_branch *b, const struct og_error *err)
{
	struct client *c = arg;
	struct sim_op *op = answered(c, err->code, err->message);

	if (b && og_ulid_cmp(&b->head, &op->base))
		wrong(c->h->w, "host %u: a snapshot of another commit", c->h->nr);
	else if (b)
		note_shown(c->h, op, b);
	else if (err->code != OG_ERR_UNAVAILABLE)
		wrong(c->h->w, "host %u: a snapshot is answered: %s", c->h->nr, err->message);
	act_later(c, 200000);
}

static void plan_commit(struct client *c, const struct sim_op *like);

static void on_write(void *arg, const struct og_commit_result *res)
{
	struct client *c = arg;
	struct host *h = c->h;
	struct sim_op *op = answered(c, res->err ? res->err->code : 0, res->err ? res->err->message : "");

	op->outcome = res->outcome;
	h->w->answers[res->outcome]++;
	if (res->outcome == OG_COMMITTED) {
		op->seq = res->seq;
		op->id = res->record->id;
		h->w->known = OG_MAX(h->w->known, res->seq);
	} else if (res->outcome == OG_CONFLICT) {
		op->type = res->type;
		op->expected = res->expected;
		op->actual = res->actual;
	} else if (res->outcome == OG_REEVALUATE && c->tries++ < 6) {
		plan_commit(c, op);
		return;
	}
	c->tries = 0;
	act_later(c, 150000);
}

/* ---- requests ---- */

static struct sim_op *begin(struct client *c, enum sim_op_kind kind)
{
	struct world *w = c->h->w;
	struct sim_op *op = sim_op_new(&w->ops);

	op->kind = kind;
	op->host = c->h->nr;
	op->incarnation = c->h->incarnation;
	op->start = sim_now();
	op->before = must_show(w);
	/* A check follows a put and its read-back, and has a few rounds itself, each as slow as the store. */
	op->deadline = sim_now() + 12 * w->bucket.patience_us + SIM_SECOND;
	c->op = op;
	return op;
}

static void new_id(struct host *h, struct og_ulid *id)
{
	if (og_journal_ulid(h->j, id, &(struct og_error){ 0 }) < 0)
		abort();
}

static void send_commit(struct client *c)
{
	static const char filler[3000];
	struct sim_op *op = c->op;
	uint32_t strict[SIM_TYPES], scanned[SIM_TYPES];
	struct og_commit_table t[3];
	struct og_commit_req req = {
		.op = op->kind == SIM_MERGE ? OG_OP_MERGE : OG_OP_MUTATE, .id = op->id, .branch = op->branch, .base = op->base,
		.base_confirmed = op->base_confirmed, .has_expect_head = op->has_expect, .expect_head = op->expect,
		.strict = strict, .scanned = scanned, .r = op->r, .nr = op->nr, .w = op->w, .nw = op->nw, .tables = t,
		.has_merged = op->kind == SIM_MERGE, .merged_branch = op->merged_branch, .merged_commit = op->merged,
		.cb = on_write, .arg = c,
	};

	for (uint32_t k = 1; k <= SIM_TYPES; k++) {
		if (op->strict & 1u << k)
			strict[req.nstrict++] = k;
		if (op->scanned & 1u << k)
			scanned[req.nscanned++] = k;
		if (op->touched & 1u << k)
			t[req.ntables++] = (struct og_commit_table){
				.type = k, .dn = k == 2 ? 2 * op->dn : op->dn, .parquet = og_slice(filler, 4 + sim_rand(sizeof(filler) - 4))
			};
	}
	c->planned = false;
	op->start = sim_now();
	op->before = must_show(c->h->w);
	req.deadline_us = op->deadline = sim_now() + 200000 + sim_rand(sim_rand(2) ? 2 * SIM_SECOND : 15 * SIM_SECOND);
	c->h->w->commits++;
	og_journal_commit(c->h->j, &req);
}

static void run_send(void *arg)
{
	struct client *c = arg;

	if (c->op && c->planned && c->life == c->h->incarnation && c->h->j)
		send_commit(c);
}

/* Reads a base now, is evaluated for a while, and comes then. */
static void plan_commit(struct client *c, const struct sim_op *like)
{
	struct host *h = c->h;
	const struct og_state *s = og_journal_state(h->j);
	const struct og_branch *b = like ? og_state_branch(s, &like->branch) : any_branch(s, false);
	const struct og_branch *source = any_branch(s, false);
	bool merge = like ? like->kind == SIM_MERGE : !sim_rand(12) && source != b;
	struct sim_op *op;

	if (like && (!b->live || (merge && !og_state_branch(s, &like->merged_branch)->live))) {
		act_later(c, 100000);
		return;
	}
	if (like && merge)
		source = og_state_branch(s, &like->merged_branch);
	op = begin(c, merge ? SIM_MERGE : SIM_COMMIT);
	c->planned = true;
	c->life = h->incarnation;
	new_id(h, &op->id);
	op->branch = b->id;
	op->base = b->head;
	if (merge) {
		op->merged_branch = source->id;
		op->merged = source->head;
	}
	op->dn = 1 + (int64_t)sim_rand(2);
	op->touched = 1u << 1 | 1u << 2 | (sim_rand(3) ? 0 : 1u << 3);
	op->strict = sim_rand(4) ? 0 : 1u << (1 + sim_rand(3));
	op->scanned = sim_rand(12) ? 0 : 1u << (1 + sim_rand(3));
	op->base_confirmed = !like && h->j->confirmed == h->j->tick && !sim_rand(2);
	op->has_expect = !sim_rand(8);
	op->expect = b->head;
	for (op->nw = 0; op->nw < 1 + sim_rand(2); op->nw++)
		op->w[op->nw] = op->r[op->nw] = sim_rand(KEYS);
	op->nr = op->nw;
	op->r[op->nr++] = sim_rand(KEYS);
	sim_at(sim_now() + sim_delay(like ? 5000 : 60000), run_send, c);
}

static void send_branch(struct client *c, bool delete)
{
	struct host *h = c->h;
	const struct og_branch *b = any_branch(og_journal_state(h->j), delete);
	struct og_branch_req req = { .cb = on_write, .arg = c };
	struct sim_op *op;

	if (!b || (!delete && og_journal_state(h->j)->nbranches > 200)) {
		act_later(c, 100000);
		return;
	}
	op = begin(c, delete ? SIM_DELETE : SIM_CREATE);
	new_id(h, &op->id);
	op->branch = req.branch = b->id;
	req.id = op->id;
	if (!delete) {
		snprintf(op->name, sizeof(op->name), "b%u", (unsigned)sim_rand(6));
		req.name = og_slice_str(op->name);
	}
	req.deadline_us = op->deadline = sim_now() + 200000 + sim_rand(sim_rand(2) ? 2 * SIM_SECOND : 15 * SIM_SECOND);
	if (delete)
		og_journal_branch_delete(h->j, &req);
	else
		og_journal_branch_create(h->j, &req);
}

static void on_checkpoint(void *arg, const struct og_error *err)
{
	(void)arg;
	(void)err;
}

static void send_snapshot(struct client *c)
{
	const struct og_state *s = og_journal_state(c->h->j);
	struct sim_op *op = begin(c, SIM_SNAPSHOT);

	op->base = s->ncommits ? s->commits[sim_rand(s->ncommits)].id : og_state_main(s)->head;
	/* A checkpoint and the log above it. */
	op->deadline += 10 * c->h->w->bucket.patience_us;
	og_journal_snapshot(c->h->j, &op->base, on_snapshot, c);
}

static void act(void *arg)
{
	struct client *c = arg;
	struct host *h = c->h;
	uint64_t what = c->eager ? 60 : sim_rand(100);

	if ((h->w->quiet && !c->eager) || h->w->stop || c->op)
		return;
	if (!h->j) {
		act_later(c, 300000);
	} else if (what < 55) {
		plan_commit(c, NULL);
	} else if (what < 75) {
		begin(c, SIM_READ);
		og_journal_confirm(h->j, on_read, c);
	} else if (what < 84) {
		send_branch(c, false);
	} else if (what < 92) {
		send_branch(c, true);
	} else if (what < 97) {
		send_snapshot(c);
	} else {
		og_journal_checkpoint(h->j, false, on_checkpoint, NULL);
		act_later(c, 100000);
	}
}

static void act_later(struct client *c, uint64_t mean_us)
{
	sim_at(sim_now() + sim_delay(mean_us), act, c);
}

/* ---- hosts ---- */

static void on_applied(void *arg, struct og_journal *j, const struct og_journal_event *ev)
{
	struct host *h = arg;
	bool by_us = og_ulid_cmp(&ev->object->host, &j->host) == 0;

	if (ev->object->seq != ++h->seen)
		wrong(h->w, "host %u applies %llu after %llu", h->nr, (unsigned long long)ev->object->seq, (unsigned long long)h->seen - 1);
	/* One whose fsync failed was given up: it is read as another's would be. */
	if (ev->ours ? !by_us : by_us && !h->w->bucket.directory)
		wrong(h->w, "host %u takes log object %llu for another's", h->nr, (unsigned long long)ev->object->seq);
	for (size_t i = 0; i < j->state->nbranches; i++)
		if (j->state->branches[i]->live)
			check_whole(h, j->state->branches[i]);
}

static void host_kill(struct host *h);

static void run_operator(void *arg)
{
	struct host *h = arg;

	if (h->j && og_journal_status(h->j) != OG_JOURNAL_WRITABLE)
		host_kill(h);
}

/* Whoever cannot sync writes no more, until he is started again. */
static void on_status(void *arg, struct og_journal *j)
{
	struct host *h = arg;

	if (!h->w->bucket.directory || og_journal_status(j) != OG_JOURNAL_READ_ONLY)
		wrong(h->w, "host %u: %s", h->nr, og_journal_reason(j));
	sim_at(sim_now() + sim_delay(SIM_SECOND / 2), run_operator, h);
}

static const struct og_journal_hooks hooks = { .applied = on_applied, .status = on_status };

static struct og_journal_config config(struct world *w, struct og_store *st, void *arg)
{
	struct og_journal_config c = {
		.base = w->base, .store = st, .prefix = "g/", .uri = "sim", .checkpoint_tail = 4 + (unsigned)sim_rand(40),
		.hooks = arg ? &hooks : NULL, .arg = arg,
	};

	if (og_ulid_new(&w->gen, &c.host, &(struct og_error){ 0 }) < 0)
		abort();
	return c;
}

static struct og_store *store_new(struct world *w)
{
	struct og_store *st = sim_store_new(&w->bucket, w->base);

	if (!st || w->nstores == OG_COUNT(w->stores))
		abort();
	return w->stores[w->nstores++] = st;
}

static void host_start(void *arg);

static void on_opened(void *arg, struct og_journal *j, const struct og_error *err)
{
	struct host *h = arg;

	h->opening = false;
	if (!j) {
		if (err->code != OG_ERR_UNAVAILABLE && err->code != OG_ERR_IO)
			wrong(h->w, "host %u: the graph does not open: %s", h->nr, err->message);
		sim_at(sim_now() + 100000 + sim_delay(200000), host_start, h);
		return;
	}
	if (h->restart) {		/* killed meanwhile */
		og_journal_close(j);
		h->restart = false;
		sim_at(sim_now() + sim_delay(SIM_SECOND), host_start, h);
		return;
	}
	h->j = j;
	h->seen = og_journal_state(j)->seq;
	/* So that a seed repeats its history. */
	j->rng = 1 + sim_rand(UINT64_MAX - 1);
	if (h->seen < h->opened)
		wrong(h->w, "host %u opens at %llu, %llu was there", h->nr, (unsigned long long)h->seen, (unsigned long long)h->opened);
	if (og_journal_status(j) != OG_JOURNAL_WRITABLE)
		wrong(h->w, "host %u: opened, and %s", h->nr, og_journal_reason(j));
}

static void host_start(void *arg)
{
	struct host *h = arg;
	struct og_journal_config c;

	if (h->j || h->opening || h->w->stop)
		return;
	h->st = store_new(h->w);
	h->opening = true;
	h->opened = must_show(h->w);
	c = config(h->w, h->st, h);
	og_journal_open(&c, on_opened, h);
}

/* kill -9 */
static void host_kill(struct host *h)
{
	h->w->kills++;
	if (h->opening) {
		h->restart = true;
		return;
	}
	h->incarnation++;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &h->clients[i];

		if (!c->op)
			continue;
		/* A commit that was still being thought about never came. */
		c->op->died = true;
		c->op->end = sim_now();
		c->op = NULL;
		c->tries = 0;
		act_later(c, SIM_SECOND);
	}
	if (h->j) {
		og_journal_close(h->j);
		h->j = NULL;
		sim_store_kill(h->st);
		sim_at(sim_now() + sim_delay(SIM_SECOND), host_start, h);
	}
}

static void power_cut(struct world *w)
{
	w->cuts++;
	for (unsigned i = 0; i < w->nhosts; i++) {
		if (w->hosts[i].opening)
			return;		/* another time */
	}
	for (unsigned i = 0; i < w->nhosts; i++)
		host_kill(&w->hosts[i]);
	sim_power_cut(&w->bucket);
	if (w->bucket.landed < w->known)
		wrong(w, "a power cut took log object %llu, which was shown", (unsigned long long)w->known);
}

static void mishap(void *arg)
{
	struct world *w = arg;
	struct host *h = &w->hosts[sim_rand(w->nhosts)];

	if (w->calm)
		return;
	if (sim_chance(w->kill_share)) {
		if (w->bucket.directory && !sim_rand(4))
			power_cut(w);
		else
			host_kill(h);
	} else if (!w->bucket.directory && !sim_rand(3)) {
		w->bucket.out = !w->bucket.out;
	} else if (!w->bucket.directory && h->st) {
		sim_store_cut_off(h->st, sim_rand(2));
	} else {
		w->bucket.out = false;
	}
	sim_at(sim_now() + sim_delay(SIM_SECOND), mishap, w);
}

/* ---- a history ---- */

struct done {
	bool done;
	struct og_error err;
	struct og_journal *j;
	uint64_t faults;
	char fault[200];
};

static void on_done(void *arg, const struct og_error *err)
{
	struct done *d = arg;

	d->done = true;
	d->err = *err;
}

static void on_fresh(void *arg, struct og_journal *j, const struct og_error *err)
{
	((struct done *)arg)->j = j;
	on_done(arg, err);
}

static void on_fault(void *arg, bool derived, const char *text)
{
	(void)derived;
	snprintf(((struct done *)arg)->fault, sizeof(((struct done *)arg)->fault), "%s", text);
}

static void on_verified(void *arg, const struct og_verify_report *r, const struct og_error *err)
{
	((struct done *)arg)->faults = r ? r->faults : 0;
	on_done(arg, err);
}

static void on_last(void *arg, const struct og_commit_result *res)
{
	((struct done *)arg)->done = true;
	if (res->err)
		((struct done *)arg)->err = *res->err;
}

static void make_graph(struct world *w)
{
	struct og_journal_config c = config(w, store_new(w), NULL);
	struct og_journal_genesis g = { .schema = OG_SLICE("text"), .types = types, .ntypes = 3 };
	struct done d = { 0 };

	og_journal_init(&c, &g, on_done, &d);
	sim_run(w->base, sim_now() + 100 * SIM_SECOND, &d.done);
	if (!d.done || d.err.code)
		wrong(w, "no graph can be made: %s", d.err.message);
}

static void begin_world(struct world *w, uint64_t seed, enum sim_lie lie)
{
	static const double shares[] = { 0, 0.05, 0.2, 0.4, 0.6 };
	static const uint64_t travels[] = { 100, 2000, 5000, 40000 };

	memset(w, 0, sizeof(*w));
	sim_start(seed);
	w->base = event_base_new();
	if (!w->base)
		abort();
	sim_bucket_init(&w->bucket, lie == SIM_NO_SYNC || (lie == SIM_HONEST && !sim_rand(4)));
	make_graph(w);
	w->bucket.lie = lie;
	w->bucket.faults = shares[sim_rand(OG_COUNT(shares))];
	w->bucket.travel_us = travels[sim_rand(OG_COUNT(travels))];
	w->bucket.patience_us = SIM_SECOND / 2 + sim_rand(4 * SIM_SECOND);
	w->kill_share = sim_rand(3) ? 0.5 : 0;
	w->nhosts = 1 + (unsigned)sim_rand(HOSTS);
	for (unsigned i = 0; i < w->nhosts; i++) {
		struct host *h = &w->hosts[i];

		h->w = w;
		h->nr = i;
		host_start(h);
		for (unsigned k = 0; k < CLIENTS; k++) {
			h->clients[k] = (struct client){ .h = h, .eager = k == 2 && !w->bucket.directory && w->bucket.travel_us >= 2000 && !sim_rand(10) };
			act_later(&h->clients[k], SIM_SECOND);
		}
	}
	sim_at(sim_now() + sim_delay(SIM_SECOND), mishap, w);
}

/* The faults are over: everybody who lives goes on by himself. */
static void recover(struct world *w)
{
	struct done d[HOSTS] = { 0 };

	w->calm = true;
	w->bucket.faults = 0;
	w->bucket.out = false;
	for (unsigned i = 0; i < w->nstores; i++)
		sim_store_cut_off(w->stores[i], false);
	/* Those who were killed are started again. */
	for (unsigned n = 0; n < 60 && !w->stop; n++) {
		bool all = true;

		for (unsigned i = 0; i < w->nhosts; i++)
			all = all && w->hosts[i].j && og_journal_status(w->hosts[i].j) == OG_JOURNAL_WRITABLE;
		if (all && n >= 2)
			break;
		sim_run(w->base, sim_now() + SIM_SECOND, &w->stop);
	}
	/* Nobody writes but one; readers that never cease are not to keep it from that. */
	w->quiet = true;
	for (unsigned i = 0; i < w->nhosts && !w->stop; i++) {
		struct host *h = &w->hosts[i];
		struct og_commit_table t[2] = { { .type = 1, .dn = 1 }, { .type = 2, .dn = 2 } };
		struct og_commit_req req = { .op = OG_OP_MUTATE, .tables = t, .ntables = 2, .cb = on_last, .arg = &d[i] };

		if (!h->j) {
			wrong(w, "host %u does not open again", i);
			return;
		}
		req.branch = og_state_main(og_journal_state(h->j))->id;
		req.base = og_state_main(og_journal_state(h->j))->head;
		req.deadline_us = sim_now() + 10 * SIM_SECOND;
		og_journal_commit(h->j, &req);
		sim_run(w->base, sim_now() + 11 * SIM_SECOND, &d[i].done);
		if (!d[i].done || d[i].err.code)
			wrong(w, "host %u does not write again: %s", i, d[i].err.message);
	}
	for (unsigned i = 0; i < w->nhosts; i++)
		for (unsigned k = 0; k < CLIENTS; k++)
			w->hosts[i].clients[k].eager = false;
	sim_run(w->base, sim_now() + 60 * SIM_SECOND, &w->stop);
	for (size_t i = 0; i < w->ops.n && !w->stop; i++)
		if (!w->ops.v[i]->end)
			wrong(w, "host %u: an operation of %.3f s has no answer", w->ops.v[i]->host, (double)w->ops.v[i]->start / 1e6);
}

static void judge(struct world *w)
{
	struct og_journal_config c = config(w, store_new(w), NULL);
	struct done open = { 0 }, history = { 0 }, verify = { 0 };
	const char *why;

	c.read_only = true;
	og_journal_open(&c, on_fresh, &open);
	sim_run(w->base, sim_now() + 100 * SIM_SECOND, &open.done);
	if (!open.j) {
		wrong(w, "the graph does not open at the end: %s", open.err.message);
		return;
	}
	og_journal_history(open.j, on_done, &history);
	sim_run(w->base, sim_now() + 100 * SIM_SECOND, &history.done);
	why = history.done && !history.err.code ? sim_check(&w->bucket, og_journal_genesis(open.j), og_journal_state(open.j), &w->ops) :
						  "the history cannot be read";
	if (why)
		wrong(w, "%s", why);
	og_journal_close(open.j);
	og_journal_verify(&c, on_fault, on_verified, &verify);
	sim_run(w->base, sim_now() + 100 * SIM_SECOND, &verify.done);
	if (!verify.done || verify.err.code || verify.faults)
		wrong(w, "verify: %s%s", verify.err.message, verify.fault);
}

static void end_world(struct world *w)
{
	bool never = false;

	for (unsigned i = 0; i < w->nhosts; i++) {
		og_journal_close(w->hosts[i].j);
		w->hosts[i].j = NULL;
	}
	w->quiet = w->calm = w->stop = true;
	for (unsigned i = 0; i < w->nstores; i++)
		sim_store_kill(w->stores[i]);
	sim_run(w->base, sim_now() + 200 * SIM_SECOND, &never);
	sim_forget();
	for (unsigned i = 0; i < w->nstores; i++)
		og_store_free(w->stores[i]);
	sim_ops_fini(&w->ops);
	sim_bucket_fini(&w->bucket);
	event_base_free(w->base);
}

/* ---- all of them ---- */

struct totals {
	uint64_t histories, commits, answers[8], reads, kills, cuts, objects, met[16];
};

/* true: nothing is wrong. */
static bool history(uint64_t seed, enum sim_lie lie, struct totals *t, char why[700])
{
	static struct world w;

	begin_world(&w, seed, lie);
	if (!w.stop)
		sim_run(w.base, sim_now() + SIM_SECOND / 2 + sim_rand(sim_rand(4) ? 3 * SIM_SECOND : 12 * SIM_SECOND), &w.stop);
	if (!w.stop)
		recover(&w);
	if (!w.stop)
		judge(&w);
	t->histories++;
	t->commits += w.commits;
	t->reads += w.reads;
	t->kills += w.kills;
	t->cuts += w.cuts;
	t->objects += w.bucket.landed;
	for (size_t i = 0; i < OG_COUNT(t->answers); i++)
		t->answers[i] += w.answers[i];
	for (size_t i = 0; i < OG_COUNT(t->met); i++)
		t->met[i] += w.bucket.met[i];
	strcpy(why, w.why);
	end_world(&w);
	return !*why;
}

/* A machine with other work to do makes as many histories. */
static double cpu_seconds(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A test that finds nothing must be able to find something. */
static bool finds_liars(uint64_t seed)
{
	static const char *const names[] = { "", "acknowledges without storing", "puts over what is there", "answers gets late", "loses objects",
					     "does not sync" };
	struct totals t = { 0 };
	char why[700];

	for (enum sim_lie lie = SIM_HONEST + 1; lie < SIM_NLIES; lie++) {
		unsigned n = 0;

		while (n < 300 && history(seed + n, lie, &t, why))
			n++;
		if (n == 300) {
			printf("FAIL: 300 histories do not show that a store %s\n", names[lie]);
			return false;
		}
		printf("a store that %s: history %u: %s\n", names[lie], n + 1, why);
	}
	return true;
}

static void print_totals(const struct totals *t, uint64_t seed, double seconds)
{
	const char *name;

	printf("%llu histories from seed %llu in %.1f s of CPU: %llu commits asked for: %llu committed, %llu conflicts, %llu to evaluate again, %llu "
	       "refused, %llu unknown; %llu log objects, %llu reads, %llu kills, %llu power cuts; requests:",
	       (unsigned long long)t->histories, (unsigned long long)seed, seconds, (unsigned long long)t->commits,
	       (unsigned long long)t->answers[OG_COMMITTED], (unsigned long long)t->answers[OG_CONFLICT],
	       (unsigned long long)t->answers[OG_REEVALUATE], (unsigned long long)t->answers[OG_COMMIT_FAILED],
	       (unsigned long long)t->answers[OG_COMMIT_UNKNOWN], (unsigned long long)t->objects, (unsigned long long)t->reads,
	       (unsigned long long)t->kills, (unsigned long long)t->cuts);
	for (unsigned i = 0; (name = sim_fault_name(i)); i++)
		printf(" %s %u,", name, (unsigned)t->met[i]);
	printf("\n");
}

static uint64_t first_seed(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
	return ((uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000) % 1000000000;
}

static uint64_t number(const char *text)
{
	uint64_t n;

	if (!og_parse_u64(og_slice_str(text), &n)) {
		fprintf(stderr, "'%s' is not a number\n", text);
		exit(2);
	}
	return n;
}

/* The factor that the environment gives. */
static double test_time(void)
{
	const char *s = getenv("OG_TEST_TIME");
	double f = s ? strtod(s, NULL) : 1;

	return f > 0 && f < 1e6 ? f : 1;
}

int main(int argc, char **argv)
{
	uint64_t runs = UINT64_MAX, seed = first_seed();
	uint64_t seconds = (uint64_t)(DEFAULT_SECONDS * test_time()), lie = SIM_HONEST;
	bool one = false, timed = false;
	struct totals t = { 0 };
	double start = cpu_seconds();
	char why[700];

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--runs"))
			runs = number(argv[i + 1]);
		else if (!strcmp(argv[i], "--seconds"))
			seconds = number(argv[i + 1]), timed = true;
		else if (!strcmp(argv[i], "--seed"))
			seed = number(argv[i + 1]), one = true;
		else if (!strcmp(argv[i], "--lie"))
			lie = number(argv[i + 1]);
	}
	og_log_init("test_journal_sim", OG_LOG_ERROR, false);	/* checkpoints that fail are none of its business */
	if (runs != UINT64_MAX)
		seconds = UINT64_MAX;
	else if (one && !timed)
		runs = 1;
	if (!one && !finds_liars(seed))
		return EXIT_FAILURE;
	for (uint64_t n = 0; n < runs && (n == 0 || cpu_seconds() - start < (double)seconds); n++) {
		if (!history(seed + n, (enum sim_lie)lie, &t, why)) {
			printf("FAIL: %s\nrepeat: %s --seed %llu\n", why, argv[0], (unsigned long long)(seed + n));
			return EXIT_FAILURE;
		}
	}
	print_totals(&t, seed, cpu_seconds() - start);
	return EXIT_SUCCESS;
}
