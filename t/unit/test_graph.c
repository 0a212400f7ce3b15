/* lib/graph before an og-storaged of paper: which state a request sees, what is asked for it, and what becomes of it when answers are late, odd or missing. */
#include "config.h"

#include "suite.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "graph/op.h"
#include "image/build.h"

static const char schema[] = "node Person { name: String @key  age: I32? }\nnode Place { name: String @key }\n";

#define HELD_MAX 64
#define COMMITS_MAX 32

struct held {
	uint16_t type;
	uint32_t request;
	struct og_wire_image image;
};

struct commit {
	uint64_t seq;
	struct og_buf body;
	uint32_t type;
	int64_t dn;
	bool segments, all;
};

/* The other side: main is Person and Place; `base` commits are in the images, the rest is told. */
static struct fake {
	struct og_chan *chan;
	struct og_catalog *cat;
	bool hold;			/* keep requests until fake_go */
	struct held held[HELD_MAX];
	unsigned nheld, opens, catchups, images, commits_asked;
	struct commit commits[COMMITS_MAX];
	unsigned ncommits, base;	/* commits in the base */
	bool gone;			/* the branch does not exist */
	uint32_t claim, done;		/* of the last IMAGE_GET, of the last IMAGE_DONE */
	unsigned dropped;		/* IMAGE_DROPs answered */
	int fail_images;		/* so many IMAGE_GETs fail */
	int fail_code;
	unsigned again;			/* so many COMMITs are told to evaluate again */
	bool stale;			/* ... on a newer base, and it does not count */
	enum og_look looks[HELD_MAX];	/* of opens and catch-ups */
	unsigned nlooks;
	bool confirmed;			/* the base of the last COMMIT */
	bool silent_commits;
	uint64_t *bell;
	int bell_fd;
} fake;

static struct event_base *base;
static struct og_chan *chan;
static struct og_graph *graph;
static struct og_ops *ops;

static struct og_ulid ulid(uint8_t v)
{
	struct og_ulid u = { { 0 } };

	u.b[15] = v;
	return u;
}

/* ---- rows ---- */

static struct og_buf rows_of(uint32_t type_index, const char *names)
{
	const struct og_type *t = &fake.cat->types[type_index];
	struct og_buf out = { 0 };
	struct og_error err = { 0 };
	struct og_change c;

	og_change_init(&c, t);
	for (const char *p = names; *p; p++) {
		struct og_value v[2] = { { .kind = OG_V_NULL }, { .kind = OG_V_NULL } };

		v[og_type_property(t, OG_SLICE("name"))->index] = (struct og_value){ .kind = OG_V_STRING, .s = og_slice(p, 1) };
		ck_assert_int_eq(og_change_upsert(&c, og_slice(p, 1), og_slice(NULL, 0), og_slice(NULL, 0), v, &err), 0);
	}
	ck_assert_int_eq(og_change_encode(&c, &out, &err), 0);
	og_change_fini(&c);
	return out;
}

/* One more commit: a person of that name. */
static void person(const char *name)
{
	struct commit *c = &fake.commits[fake.ncommits++];

	*c = (struct commit){ .seq = fake.ncommits, .body = rows_of(og_catalog_table(fake.cat, OG_SLICE("node:Person"))->index, name),
			      .type = og_catalog_table(fake.cat, OG_SLICE("node:Person"))->id, .dn = (int64_t)strlen(name) };
}

static void ring(void)
{
	__atomic_fetch_add(fake.bell, 1, __ATOMIC_RELEASE);
}

static void wire_commit(const struct commit *c, struct og_wire_commit *w, struct og_wire_table *t)
{
	*t = (struct og_wire_table){ .type_id = c->type, .table_version = c->seq + 1, .dn = c->dn, .segments = c->segments, .all = c->all, .body = og_buf_view(&c->body) };
	*w = (struct og_wire_commit){ .seq = c->seq, .branch = ulid(1), .commit = ulid((uint8_t)(100 + c->seq)), .parent = ulid((uint8_t)(99 + c->seq)),
				      .version = c->seq + 1, .tables = t, .ntables = 1 };
}

/* ---- answers ---- */

static void answer_open(uint32_t request)
{
	struct og_wire_type types[2] = { { 0 } };
	struct og_wire_commit w[COMMITS_MAX];
	struct og_wire_table t[COMMITS_MAX];
	struct og_wire_head h = { .graph = ulid(1), .branch = ulid(1), .base_commit = ulid((uint8_t)(100 + fake.base)), .branch_name = OG_SLICE("main"),
				  .base_seq = fake.base, .base_version = fake.base + 1, .seq = fake.ncommits, .bell = *fake.bell,
				  .schema = og_slice_str(schema), .types = types, .ntypes = 2, .tail = w, .ntail = fake.ncommits - fake.base };
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	if (fake.gone) {
		og_error_set(&err, OG_ERR_NOT_FOUND, "branch 'main' not found");
		og_chan_fail(fake.chan, request, &err);
		return;
	}
	for (uint32_t i = 0; i < 2; i++) {
		types[i] = (struct og_wire_type){ .type_id = fake.cat->types[i].id, .kind = fake.cat->types[i].kind == OG_EDGE, .name = fake.cat->types[i].name };
		for (unsigned k = 0; k < fake.base; k++)
			if (fake.commits[k].type == types[i].type_id)
				types[i].base_rows += (uint64_t)fake.commits[k].dn;
		if (types[i].base_rows)
			types[i].content = (struct og_wire_hash128){ types[i].type_id, fake.base };
	}
	for (unsigned i = fake.base; i < fake.ncommits; i++)
		wire_commit(&fake.commits[i], &w[i - fake.base], &t[i]);
	og_wire_put_head(&b, &h);
	ck_assert_int_eq(og_chan_answer(fake.chan, request, OG_IPC_GRAPH_HEAD, &b, -1, &err), 0);
	og_buf_fini(&b);
}

static void put_tail(struct og_buf *b, uint64_t prev, bool reopen)
{
	struct og_wire_commit w[COMMITS_MAX];
	struct og_wire_table t[COMMITS_MAX];
	struct og_wire_tail tail = { .branch = ulid(1), .prev_seq = prev, .seq = fake.ncommits, .bell = *fake.bell, .reopen = reopen, .commits = w };

	for (unsigned i = (unsigned)prev; !reopen && i < fake.ncommits; i++) {
		wire_commit(&fake.commits[i], &w[tail.ncommits], &t[tail.ncommits]);
		tail.ncommits++;
	}
	og_wire_put_tail(b, &tail);
}

static uint64_t asked_seq, asked_base;

static void answer_catch_up(uint32_t request)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	if (fake.gone) {
		og_error_set(&err, OG_ERR_NOT_FOUND, "branch not found");
		og_chan_fail(fake.chan, request, &err);
		return;
	}
	put_tail(&b, asked_seq, asked_base != fake.base);
	ck_assert_int_eq(og_chan_answer(fake.chan, request, OG_IPC_TAIL, &b, -1, &err), 0);
	og_buf_fini(&b);
}

static void push(uint64_t prev, bool reopen)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	put_tail(&b, prev, reopen);
	ck_assert_int_eq(og_chan_send(fake.chan, OG_IPC_HEAD_MOVED, &b, -1, &err), 0);
	og_buf_fini(&b);
}

static struct og_wire_image building;
static uint32_t building_for;

static int emit(void *arg, const struct og_build_out *out, struct og_error *err)
{
	struct og_buf b = { 0 };
	int fd = out->fd;

	(void)arg;
	if (out->key.what == (enum og_img_what)building.what && out->key.prop_id == building.prop_id) {
		og_wire_put_image(&b, &building);
		ck_assert_int_eq(og_chan_answer(fake.chan, building_for, OG_IPC_IMAGE, &b, fd, err), 0);
		og_buf_fini(&b);
	}
	og_fd_close(&fd);
	return 0;
}

static void answer_image(const struct held *q)
{
	struct og_build_want want = { (enum og_img_what)q->image.what, q->image.prop_id };
	struct og_layer layers[COMMITS_MAX];
	struct og_build_in in = { .catalog = fake.cat, .type = og_catalog_by_id(fake.cat, q->image.type_id), .layers = layers,
				  .content = { q->image.content.hi, q->image.content.lo } };
	struct og_error err = { 0 };

	if (fake.fail_images > 0) {
		fake.fail_images--;
		og_error_set(&err, fake.fail_code, "no image of type %u", q->image.type_id);
		og_chan_fail(fake.chan, q->request, &err);
		return;
	}
	for (unsigned i = 0; i < (unsigned)q->image.content.lo; i++)
		if (fake.commits[i].type == q->image.type_id)
			layers[in.nlayers++].bytes = og_buf_view(&fake.commits[i].body);
	building = q->image;
	building_for = q->request;
	ck_assert_msg(og_build(&in, &want, 1, emit, NULL, &err) == 0, "%s", err.message);
}

static void answer_commit(uint32_t request)
{
	struct og_wire_conflict c = { .reevaluate = true, .counted = !fake.stale, .message = OG_SLICE("a later commit touched it") };
	struct og_wire_commit w = { .seq = fake.ncommits + 1, .branch = ulid(1), .commit = ulid(99), .version = 7 };
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	if (fake.silent_commits)
		return;
	if (fake.again) {
		fake.again--;
		og_wire_put_conflict(&b, &c);
		ck_assert_int_eq(og_chan_answer(fake.chan, request, OG_IPC_CONFLICT, &b, -1, &err), 0);
	} else {
		og_wire_put_committed(&b, &w, *fake.bell);
		ck_assert_int_eq(og_chan_answer(fake.chan, request, OG_IPC_COMMITTED, &b, -1, &err), 0);
	}
	og_buf_fini(&b);
}

static void fake_answer(const struct held *q)
{
	switch (q->type) {
	case OG_IPC_GRAPH_OPEN:
		answer_open(q->request);
		return;
	case OG_IPC_CATCH_UP:
		answer_catch_up(q->request);
		return;
	case OG_IPC_IMAGE_GET:
		answer_image(q);
		return;
	default:
		answer_commit(q->request);
	}
}

static void note_look(enum og_look look)
{
	ck_assert_uint_lt(fake.nlooks, HELD_MAX);
	fake.looks[fake.nlooks++] = look;
}

static void note_commit(struct og_slice body)
{
	struct og_wire_commit_req c;
	struct og_error err = { 0 };
	struct og_arena a;

	og_arena_init(&a, 0);
	ck_assert_int_eq(og_wire_get_commit_req(body, &a, &c, &err), 0);
	fake.confirmed = c.confirmed;
	og_arena_fini(&a);
	fake.commits_asked++;
}

static int on_request(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct held q = { .type = m->type, .request = m->request };
	struct og_wire_catchup c;
	struct og_wire_claim claim;
	struct og_wire_open o;

	(void)arg;
	if (m->type == OG_IPC_GRAPH_OPEN) {
		fake.opens++;
		ck_assert_int_eq(og_wire_get_open(m->body, &o, err), 0);
		note_look(o.look);
	}
	if (m->type == OG_IPC_IMAGE_GET) {
		fake.images++;
		ck_assert_int_eq(og_wire_get_claim(m->body, &claim, err), 0);
		q.image = claim.image;
		fake.claim = claim.claim;
	}
	if (m->type == OG_IPC_COMMIT)
		note_commit(m->body);
	if (m->type == OG_IPC_CATCH_UP) {
		fake.catchups++;
		ck_assert_int_eq(og_wire_get_catchup(m->body, &c, err), 0);
		note_look(c.look);
		asked_seq = c.seq;
		asked_base = c.base_seq;
	}
	if (fake.hold) {
		ck_assert_uint_lt(fake.nheld, HELD_MAX);
		fake.held[fake.nheld++] = q;
	} else {
		fake_answer(&q);
	}
	return 0;
}

static int on_image_done(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_reader r = og_ipc_body(m);

	(void)arg;
	fake.done = og_read_u32(&r);
	ck_assert_int_eq(og_reader_end(&r, err), 0);
	return 0;
}

static const struct og_ipc_rule fake_rules[] = {
	{ OG_IPC_GRAPH_OPEN, OG_IPC_ANY_STATE, on_request },
	{ OG_IPC_CATCH_UP, OG_IPC_ANY_STATE, on_request },
	{ OG_IPC_IMAGE_GET, OG_IPC_ANY_STATE, on_request },
	{ OG_IPC_IMAGE_DONE, OG_IPC_ANY_STATE, on_image_done },
	{ OG_IPC_COMMIT, OG_IPC_ANY_STATE, on_request },
};

/* ---- the worker's end ---- */

static int on_head_moved(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	(void)arg;
	return og_graph_on_head_moved(graph, m, err);
}

static int on_bell(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	(void)arg;
	return og_graph_on_bell(graph, m, err);
}

static int on_drop(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	(void)arg;
	return og_graph_on_image_drop(graph, m, err);
}

static const struct og_ipc_rule worker_rules[] = {
	{ OG_IPC_IMAGE_DROP, OG_IPC_ANY_STATE, on_drop },
	{ OG_IPC_HEAD_MOVED, OG_IPC_ANY_STATE, on_head_moved },
	{ OG_IPC_BELL, OG_IPC_ANY_STATE, on_bell },
};

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	(void)arg;
	(void)why;
	og_graph_detach(graph);
	og_chan_free(c);
	chan = NULL;
}

static void fake_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	(void)arg;
	(void)why;
	og_chan_free(c);
	fake.chan = NULL;
}

static void turn(void)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void fake_go(void)
{
	unsigned n = fake.nheld;

	fake.nheld = 0;
	for (unsigned i = 0; i < n; i++)
		fake_answer(&fake.held[i]);
	turn();
}

/* The newest alone. */
static void fake_go_one(void)
{
	ck_assert_uint_gt(fake.nheld, 0);
	fake_answer(&fake.held[--fake.nheld]);
	turn();
}

static void send_bell(enum og_bell kind)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	og_put_u8(&b, (uint8_t)kind);
	ck_assert_int_eq(og_chan_send(fake.chan, OG_IPC_BELL, &b, fake.bell_fd, &err), 0);
	og_buf_fini(&b);
	turn();
}

static void connect_both(bool bell)
{
	struct og_chan_cfg mine = { .self = OG_ROLE_WORKER, .peer = OG_ROLE_STORAGED, .rules = worker_rules, .nrules = OG_COUNT(worker_rules),
				    .closed = on_closed };
	struct og_chan_cfg theirs = { .self = OG_ROLE_STORAGED, .peer = OG_ROLE_WORKER, .rules = fake_rules, .nrules = OG_COUNT(fake_rules),
				      .closed = fake_closed };
	struct og_error err = { 0 };
	int fds[2];

	ck_assert_int_eq(og_ipc_pair(fds, &err), 0);
	chan = og_chan_new(base, fds[0], &mine, &err);
	fake.chan = og_chan_new(base, fds[1], &theirs, &err);
	ck_assert(chan && fake.chan);
	og_graph_attach(graph, chan);
	if (bell)
		send_bell(OG_BELL_ALL);
	turn();
}

/* og-storaged dies. */
static void disconnect(void)
{
	og_chan_free(fake.chan);
	fake.chan = NULL;
	turn();
	ck_assert_ptr_null(chan);
}

static unsigned off_loop;

static int run_now(void *arg, int (*step)(void *, uint64_t), void (*done)(void *), void *job, struct og_error *err)
{
	(void)arg;
	off_loop++;
	(void)err;
	while (step(job, 1000) > 0)
		;
	done(job);
	return 0;
}

static const struct og_runner runner = { NULL, run_now };

static void make_graph(void)
{
	struct og_error err = { 0 };
	struct og_graph_cfg cfg = { .base = base, .uri = "test" };
	struct og_ops_cfg oc = { .base = base, .runner = &runner, .plan_cache_bytes = 1 << 20 };

	graph = og_graph_new(&cfg, &err);
	ck_assert_ptr_nonnull(graph);
	oc.graph = graph;
	ops = og_ops_new(&oc, &err);
	ck_assert_ptr_nonnull(ops);
}

static void setup(void)
{
	struct og_error err = { 0 };

	memset(&fake, 0, sizeof(fake));
	ck_assert_msg(og_catalog_compile(og_slice_str(schema), NULL, 0, &fake.cat, &err) == 0, "%s", err.message);
	ck_assert_int_eq(og_memfd_new("bell", &fake.bell_fd, &err), 0);
	ck_assert_int_eq(ftruncate(fake.bell_fd, 4096), 0);
	fake.bell = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fake.bell_fd, 0);
	ck_assert(fake.bell != MAP_FAILED);
	*fake.bell = 5;
	base = event_base_new();
	make_graph();
	connect_both(true);
}

/* As on S3. */
static void without_bell(void)
{
	og_chan_free(chan);
	og_graph_detach(graph);
	og_ops_free(ops);
	og_graph_free(graph);
	og_chan_free(fake.chan);
	make_graph();
	connect_both(false);
}

static void teardown(void)
{
	og_chan_free(chan);
	og_graph_detach(graph);
	og_ops_free(ops);
	og_graph_free(graph);
	og_chan_free(fake.chan);
	event_base_free(base);
	og_catalog_unref(fake.cat);
	for (unsigned i = 0; i < fake.ncommits; i++)
		og_buf_fini(&fake.commits[i].body);
	munmap(fake.bell, 4096);
	og_fd_close(&fake.bell_fd);
}

/* ---- asking ---- */

struct asked {
	unsigned answers;
	int code;
	uint64_t rows, seq;
	struct og_snap *snap;
	bool again;		/* ask once more from within the answer */
	bool now;
};

static void on_state(void *arg, struct og_snap *s, const struct og_error *err);

static void ask(struct asked *a)
{
	og_graph_state(graph, OG_LOOK_NEW, og_slice(NULL, 0), og_slice(NULL, 0), on_state, a);
}

static void on_state(void *arg, struct og_snap *s, const struct og_error *err)
{
	struct asked *a = arg;
	uint32_t person_index = og_catalog_table(fake.cat, OG_SLICE("node:Person"))->index;

	a->answers++;
	a->code = err->code;
	if (s) {
		a->rows = s->types[person_index].rows;
		a->seq = s->seq;
		if (a->snap)
			og_snap_unref(a->snap);
		a->snap = og_snap_ref(s);
	}
	if (a->again) {
		a->again = false;
		ask(a);
		/* Names that nobody knows come and go with every question. */
		og_graph_state(graph, OG_LOOK_NEW, OG_SLICE("other"), og_slice(NULL, 0), on_state, a);
	}
}

static void release(struct asked *a)
{
	og_snap_unref(a->snap);
	a->snap = NULL;
}

/* Asks and has it answered: rows of Person. */
static uint64_t rows_now(void)
{
	struct asked a = { 0 };

	ask(&a);
	turn();
	ck_assert_uint_eq(a.answers, 1);
	ck_assert_int_eq(a.code, 0);
	release(&a);
	return a.rows;
}

/* ---- operations ---- */

struct ran {
	unsigned answers;
	int code;
	uint64_t rows;
	char message[2048];
};

static void on_rows(void *arg, const struct og_query_result *r, const struct og_error *err)
{
	struct ran *x = arg;

	x->answers++;
	x->code = err->code;
	snprintf(x->message, sizeof(x->message), "%s", err->message);
	if (r)
		x->rows = r->row_count;
}

static void on_changed(void *arg, const struct og_mutate_result *r, const struct og_error *err)
{
	struct ran *x = arg;

	x->answers++;
	x->code = err->code;
	snprintf(x->message, sizeof(x->message), "%s", err->message);
	x->rows = r ? r->affected_nodes : 0;
}

static void query(struct ran *x, const char *type)
{
	static char text[2][128];
	int which = strcmp(type, "Place") == 0;

	snprintf(text[which], sizeof(text[which]), "query q() { match { $p: %s } return { $p.name } }", type);
	(void)og_op_query(ops, &(struct og_query_req){ .source = og_slice_str(text[which]) }, on_rows, x);
	turn();
}

static void change(struct ran *x, const char *text)
{
	(void)og_op_mutate(ops, &(struct og_mutate_req){ .source = og_slice_str(text) }, on_changed, x);
	turn();
}

static void insert(struct ran *x)
{
	change(x, "query m() { insert Person { name: \"z\" } }");
}

/* ---- tests ---- */

START_TEST(nothing_is_asked_while_the_bell_stands_still)
{
	struct asked a = { 0 };

	person("a");
	ck_assert_uint_eq(rows_now(), 1);
	ask(&a);
	ck_assert_uint_eq(a.answers, 1);	/* from within the call */
	ck_assert_uint_eq(a.rows, 1);
	release(&a);
	ck_assert_uint_eq(fake.opens, 1);
	ck_assert_uint_eq(fake.catchups, 0);
}
END_TEST

/* A bell of og-storaged alone says what this host has shown, and nothing about others. */
START_TEST(the_bell_of_a_host_answers_for_the_host)
{
	struct asked a = { 0 };

	send_bell(OG_BELL_HOST);
	person("a");
	ck_assert_uint_eq(rows_now(), 1);
	og_graph_state(graph, OG_LOOK_HOST, og_slice(NULL, 0), og_slice(NULL, 0), on_state, &a);
	ck_assert_uint_eq(a.answers, 1);	/* from within the call */
	ck_assert_uint_eq(a.rows, 1);
	ck_assert_uint_eq(fake.catchups, 0);
	ck_assert_uint_eq(rows_now(), 1);
	ck_assert_uint_eq(fake.catchups, 1);
	og_graph_state(graph, OG_LOOK_RECENT, og_slice(NULL, 0), og_slice(NULL, 0), on_state, &a);
	turn();
	ck_assert_uint_eq(a.answers, 2);
	ck_assert_uint_eq(fake.catchups, 2);
	/* Somebody of this host wrote, and the push was dropped. */
	person("b");
	ring();
	og_graph_state(graph, OG_LOOK_HOST, og_slice(NULL, 0), og_slice(NULL, 0), on_state, &a);
	ck_assert_uint_eq(a.answers, 2);
	turn();
	ck_assert_uint_eq(a.answers, 3);
	ck_assert_uint_eq(a.rows, 2);
	ck_assert_uint_eq(fake.catchups, 3);
	release(&a);
}
END_TEST

START_TEST(a_bell_of_an_unknown_kind_is_refused)
{
	send_bell((enum og_bell)7);
	ck_assert_ptr_null(chan);
}
END_TEST

START_TEST(a_moved_bell_is_looked_into)
{
	ck_assert_uint_eq(rows_now(), 0);
	person("a");
	ring();
	ck_assert_uint_eq(rows_now(), 1);
	ck_assert_uint_eq(fake.catchups, 1);
	ck_assert_uint_eq(rows_now(), 1);
	ck_assert_uint_eq(fake.catchups, 1);
}
END_TEST

START_TEST(a_push_saves_the_look)
{
	ck_assert_uint_eq(rows_now(), 0);
	person("a");
	ring();
	push(0, false);
	turn();
	ck_assert_uint_eq(rows_now(), 1);
	ck_assert_uint_eq(fake.catchups, 0);
}
END_TEST

START_TEST(a_gap_in_the_pushes_is_closed)
{
	ck_assert_uint_eq(rows_now(), 0);
	person("a");	/* its push is lost */
	person("b");
	ring();
	push(1, false);
	turn();
	ck_assert_uint_eq(rows_now(), 2);
	ck_assert_uint_eq(fake.catchups, 1);
}
END_TEST

/* A push that overtakes the answer of a look brings nothing twice. */
START_TEST(a_push_within_a_look_counts_once)
{
	struct asked a = { 0 };

	ck_assert_uint_eq(rows_now(), 0);
	person("a");
	ring();
	fake.hold = true;
	ask(&a);
	turn();
	push(0, false);
	turn();
	fake_go();
	ck_assert_uint_eq(a.answers, 1);
	ck_assert_uint_eq(a.rows, 1);
	release(&a);
}
END_TEST

/* Who comes while a look is under way is not served by it when the bell has moved since: its commit may be newer than that look. */
START_TEST(a_late_comer_gets_its_own_look)
{
	struct asked a = { 0 }, late = { 0 };

	ck_assert_uint_eq(rows_now(), 0);
	person("a");
	ring();
	fake.hold = true;
	ask(&a);
	turn();
	ask(&late);
	fake_go();	/* the look of a */
	person("b");
	ring();
	turn();
	ck_assert_uint_eq(a.answers, 1);
	ck_assert_uint_eq(a.rows, 1);
	if (!late.answers)
		fake_go();
	ck_assert_uint_eq(late.answers, 1);
	release(&a);
	release(&late);
	ring();
	fake.hold = false;
	ck_assert_uint_eq(rows_now(), 2);
}
END_TEST

START_TEST(without_a_bell_every_request_is_looked_after)
{
	without_bell();
	ck_assert_uint_eq(rows_now(), 0);
	person("a");
	ck_assert_uint_eq(rows_now(), 1);
	ck_assert_uint_eq(rows_now(), 1);
	ck_assert_uint_eq(fake.catchups, 2);
}
END_TEST

/* Queries may be told something older, where the operator allows it; og-storaged decides. */
START_TEST(a_query_asks_for_what_is_recent)
{
	struct ran x = { 0 };

	without_bell();
	query(&x, "Person");
	query(&x, "Person");
	ck_assert_uint_eq(x.answers, 2);
	ck_assert_uint_eq(fake.nlooks, 2);
	ck_assert_int_eq(fake.looks[0], OG_LOOK_RECENT);
	ck_assert_int_eq(fake.looks[1], OG_LOOK_RECENT);
}
END_TEST

/* Who wants more takes the others along. */
START_TEST(a_shared_look_is_the_newest_wanted)
{
	struct asked a = { 0 };
	struct ran x = { 0 };

	without_bell();
	fake.hold = true;
	query(&x, "Person");
	insert(&x);
	ask(&a);
	query(&x, "Person");
	ck_assert_uint_eq(fake.nlooks, 1);
	fake_go();
	ck_assert_uint_eq(fake.nlooks, 2);
	ck_assert_int_eq(fake.looks[0], OG_LOOK_RECENT);
	ck_assert_int_eq(fake.looks[1], OG_LOOK_NEW);
	fake.hold = false;
	fake_go();
	ck_assert_uint_eq(x.answers, 3);
	ck_assert_uint_eq(a.answers, 1);
	release(&a);
}
END_TEST

/* The put of a commit is a look of its own; without a put there must be another. */
START_TEST(a_mutation_asks_the_store_only_when_it_refuses)
{
	struct ran x = { 0 };

	without_bell();
	insert(&x);
	ck_assert_msg(x.code == 0, "%s", x.message);
	ck_assert_uint_eq(fake.nlooks, 1);
	ck_assert_int_eq(fake.looks[0], OG_LOOK_HOST);
	ck_assert(!fake.confirmed);
	/* Nothing found. */
	change(&x, "query m() { delete Person where name = \"x\" }");
	ck_assert_int_eq(x.code, 0);
	ck_assert_uint_eq(fake.nlooks, 3);
	ck_assert_int_eq(fake.looks[1], OG_LOOK_HOST);
	ck_assert_int_eq(fake.looks[2], OG_LOOK_NEW);
	/* A type that another host may just have added. */
	change(&x, "query m() { insert Thing { name: \"x\" } }");
	ck_assert_int_eq(x.code, OG_ERR_BAD);
	ck_assert_int_eq(fake.looks[fake.nlooks - 1], OG_LOOK_NEW);
	ck_assert_uint_eq(fake.nlooks, 5);
	ck_assert_uint_eq(x.answers, 3);
	ck_assert_uint_eq(fake.commits_asked, 1);
}
END_TEST

START_TEST(a_stale_base_is_not_taken_twice)
{
	struct ran x = { 0 };

	without_bell();
	fake.again = 1;
	fake.stale = true;
	insert(&x);
	ck_assert_int_eq(x.code, 0);
	ck_assert_uint_eq(fake.commits_asked, 2);
	ck_assert(fake.confirmed);
	ck_assert_uint_eq(fake.nlooks, 2);
	ck_assert_int_eq(fake.looks[1], OG_LOOK_NEW);
}
END_TEST

START_TEST(with_a_bell_every_base_is_confirmed)
{
	struct ran x = { 0 };

	insert(&x);
	ck_assert_int_eq(x.code, 0);
	ck_assert(fake.confirmed);
}
END_TEST

START_TEST(a_new_base_is_opened)
{
	ck_assert_uint_eq(rows_now(), 0);
	person("ab");
	fake.base = fake.ncommits;
	ring();
	ck_assert_uint_eq(rows_now(), 2);	/* told by the tail */
	ck_assert_uint_eq(fake.opens, 2);
	person("c");
	fake.base = fake.ncommits;
	push(0, true);				/* told by a push, though the bell has not moved */
	turn();
	ck_assert_uint_eq(rows_now(), 3);
	ck_assert_uint_eq(fake.opens, 3);
	/* Rows in segments cannot be applied: the next who asks opens. */
	person("d");
	fake.commits[fake.ncommits - 1].segments = true;
	ring();
	push(fake.ncommits - 1, false);
	turn();
	fake.base = fake.ncommits;
	ck_assert_uint_eq(rows_now(), 4);
	ck_assert_uint_eq(fake.opens, 4);
}
END_TEST

START_TEST(a_branch_that_is_gone_says_so_and_may_come_back)
{
	struct asked a = { 0 };

	ck_assert_uint_eq(rows_now(), 0);
	fake.gone = true;
	ring();
	ask(&a);
	turn();
	ck_assert_uint_eq(a.answers, 1);
	ck_assert_int_eq(a.code, OG_ERR_NOT_FOUND);
	release(&a);
	fake.gone = false;
	person("a");
	ck_assert_uint_eq(rows_now(), 1);
}
END_TEST

/* Whoever is told of the loss asks again at once, for names that come and go. */
START_TEST(loss_ends_what_waits_and_a_new_channel_goes_on)
{
	struct asked a[8] = { { 0 } };
	char name[8][2];

	fake.hold = true;
	for (int i = 0; i < 8; i++) {
		name[i][0] = (char)('a' + i);
		a[i].again = true;
		og_graph_state(graph, OG_LOOK_NEW, og_slice(name[i], 1), og_slice(NULL, 0), on_state, &a[i]);
	}
	turn();
	disconnect();
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_eq(a[i].answers, 3);
		ck_assert_int_eq(a[i].code, OG_ERR_UNAVAILABLE);
	}
	fake.hold = false;
	fake.nheld = 0;
	person("a");
	connect_both(true);
	ck_assert_uint_eq(rows_now(), 1);
}
END_TEST

/* While og-storaged is away and nobody commits, what is at hand is the newest there is. */
START_TEST(what_is_at_hand_is_read_on_without_og_storaged)
{
	struct asked a = { 0 };

	person("a");
	ck_assert_uint_eq(rows_now(), 1);
	disconnect();
	ck_assert_uint_eq(rows_now(), 1);
	ring();
	ask(&a);
	ck_assert_uint_eq(a.answers, 1);
	ck_assert_int_eq(a.code, OG_ERR_UNAVAILABLE);
	release(&a);
	connect_both(true);
	ck_assert_uint_eq(rows_now(), 1);
	ck_assert_uint_eq(fake.opens, 2);
}
END_TEST

START_TEST(a_query_waits_for_its_images)
{
	struct ran x = { 0 };

	person("abc");
	fake.base = 1;
	person("d");
	(void)rows_now();
	fake.hold = true;
	query(&x, "Person");
	ck_assert_uint_eq(x.answers, 0);
	while (fake.nheld)
		fake_go();
	ck_assert_uint_eq(x.answers, 1);
	ck_assert_msg(x.code == 0, "%s", x.message);
	ck_assert_uint_eq(x.rows, 4);
	/* They are there now. */
	fake.images = 0;
	query(&x, "Person");
	ck_assert_uint_eq(x.answers, 2);
	ck_assert_uint_eq(fake.images, 0);
}
END_TEST

/* ---- images that og-storaged wants back ---- */

static int on_dropped(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	(void)arg;
	(void)err;
	if (m) {
		ck_assert_int_eq(m->type, OG_IPC_DROPPED);
		fake.dropped++;
	}
	return 0;
}

/* Asks for the image that was built last. */
static void drop(uint32_t claim)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	og_wire_put_claim(&b, &(struct og_wire_claim){ building, claim });
	ck_assert_int_eq(og_chan_request(fake.chan, OG_IPC_IMAGE_DROP, &b, -1, 0, on_dropped, NULL, NULL, &err), 0);
	og_buf_fini(&b);
	turn();
}

START_TEST(an_image_that_nobody_reads_is_given_back_at_once)
{
	struct ran x = { 0 };

	person("abc");
	fake.base = 1;
	query(&x, "Person");
	ck_assert_uint_eq(fake.done, fake.claim);
	drop(0);
	ck_assert_uint_eq(fake.dropped, 1);
	/* Unknown by now, and so given back too. */
	drop(0);
	ck_assert_uint_eq(fake.dropped, 2);
	fake.images = 0;
	query(&x, "Person");
	ck_assert_uint_eq(x.answers, 2);
	ck_assert_uint_eq(x.rows, 3);
	ck_assert_uint_eq(fake.images, 1);
}
END_TEST

static struct og_view *pinned;

static void on_pinned(void *arg, struct og_view *v, const struct og_error *err)
{
	(void)arg;
	ck_assert_msg(v != NULL, "%s", err->message);
	pinned = og_view_ref(v);
}

START_TEST(an_image_that_is_read_is_given_back_after_it)
{
	const struct og_type *t;
	struct asked a = { 0 };
	struct og_slice id;

	person("abc");
	fake.base = 1;
	ask(&a);
	turn();
	t = og_catalog_table(a.snap->catalog, OG_SLICE("node:Person"));
	og_graph_pin(a.snap, &(struct og_need){ OG_NEED_IDS, t, 0 }, 1, on_pinned, NULL);
	turn();
	drop(0);
	ck_assert_uint_eq(fake.dropped, 0);
	id = og_view_id(&pinned->types[t->index], 1);
	ck_assert(og_slice_is(id, "b"));
	/* Who comes now gets one of its own; the first view's end ends the first one. */
	fake.images = 0;
	og_graph_pin(a.snap, &(struct og_need){ OG_NEED_IDS, t, 0 }, 1, on_pinned, NULL);
	og_view_unref(pinned);
	turn();
	ck_assert_uint_eq(fake.images, 1);
	ck_assert_uint_eq(fake.dropped, 1);
	og_view_unref(pinned);
	drop(0);
	ck_assert_uint_eq(fake.dropped, 2);
	release(&a);
}
END_TEST

START_TEST(whose_turn_it_is_keeps_what_it_has)
{
	struct ran x = { 0 };

	person("abc");
	fake.base = 1;
	person("d");
	(void)rows_now();
	fake.hold = true;
	query(&x, "Person");
	ck_assert_uint_gt(fake.nheld, 1);
	fake_go_one();
	/* Somebody else's turn: it is lost, and asked for again at once. */
	fake.images = 0;
	drop(fake.claim + 1);
	ck_assert_uint_eq(fake.dropped, 1);
	ck_assert_uint_eq(fake.images, 1);
	fake_go_one();
	drop(fake.claim);
	ck_assert_uint_eq(fake.dropped, 1);
	ck_assert_uint_eq(fake.images, 1);
	while (fake.nheld)
		fake_go();
	turn();
	ck_assert_uint_eq(x.answers, 1);
	ck_assert_msg(x.code == 0, "%s", x.message);
	ck_assert_uint_eq(x.rows, 4);
	ck_assert_uint_eq(fake.dropped, 2);
}
END_TEST

/* The channel goes while images are on their way, and is replaced by the owner in the order that it must keep. */
START_TEST(loss_while_images_are_fetched)
{
	struct ran x = { 0 };

	person("abc");
	fake.base = 1;
	(void)rows_now();
	fake.hold = true;
	query(&x, "Person");
	og_chan_free(chan);
	chan = NULL;
	og_graph_detach(graph);
	turn();
	ck_assert_uint_eq(x.answers, 1);
	ck_assert_int_eq(x.code, OG_ERR_UNAVAILABLE);
	fake.hold = false;
	fake.nheld = 0;
	connect_both(true);
	query(&x, "Person");
	ck_assert_uint_eq(x.answers, 2);
	ck_assert_msg(x.code == 0, "%s", x.message);
}
END_TEST

/* An image that cannot be had is the concern of those who need it. */
START_TEST(a_damaged_type_is_no_concern_of_others)
{
	struct ran bad = { 0 }, good = { 0 };
	uint32_t place = og_catalog_table(fake.cat, OG_SLICE("node:Place"))->index;

	person("abc");
	fake.commits[1] = (struct commit){ .seq = 2, .body = rows_of(place, "x"), .type = fake.cat->types[place].id, .dn = 1 };
	fake.ncommits = fake.base = 2;
	(void)rows_now();
	fake.hold = true;
	query(&good, "Person");
	query(&bad, "Place");
	ck_assert_uint_ge(fake.nheld, 2);
	fake.fail_code = OG_ERR_CORRUPT;
	for (unsigned i = fake.nheld; i-- > 0;) {
		fake.fail_images = fake.held[i].image.type_id == fake.cat->types[place].id;
		fake_answer(&fake.held[i]);
	}
	fake.fail_images = 0;
	fake.nheld = 0;
	turn();
	while (fake.nheld)
		fake_go();
	ck_assert_uint_eq(bad.answers, 1);
	ck_assert_int_eq(bad.code, OG_ERR_CORRUPT);
	ck_assert_uint_eq(good.answers, 1);
	ck_assert_msg(good.code == 0, "%s", good.message);
	ck_assert_uint_eq(good.rows, 3);
}
END_TEST

/* Images given up: the state is opened anew, although the bell stands still. */
START_TEST(gone_images_open_the_state_again)
{
	struct ran x = { 0 };

	person("abc");
	fake.base = 1;
	(void)rows_now();
	fake.fail_images = 1;
	fake.fail_code = OG_ERR_GONE;
	query(&x, "Person");
	ck_assert_uint_eq(x.answers, 1);
	ck_assert_msg(x.code == 0, "%s", x.message);
	ck_assert_uint_eq(x.rows, 3);
	ck_assert_uint_eq(fake.opens, 2);
	/* But not for ever. */
	person("d");
	fake.base = 2;
	ring();
	fake.fail_images = 1000;
	query(&x, "Person");
	ck_assert_uint_eq(x.answers, 2);
	ck_assert_int_eq(x.code, OG_ERR_GONE);
}
END_TEST

/* A content replaced by nothing, and by something. */
START_TEST(a_type_is_emptied_and_filled)
{
	struct ran x = { 0 };
	uint32_t type;

	person("abc");
	fake.base = 1;
	person("d");
	type = fake.commits[0].type;
	fake.commits[2] = (struct commit){ .seq = 3, .type = type, .all = true };
	fake.ncommits = 3;
	ring();
	query(&x, "Person");
	ck_assert_msg(x.code == 0, "%s", x.message);
	ck_assert_uint_eq(x.rows, 0);
	person("e");
	fake.commits[3].all = true;
	ring();
	query(&x, "Person");
	ck_assert_msg(x.code == 0, "%s", x.message);
	ck_assert_uint_eq(x.rows, 1);
}
END_TEST

START_TEST(a_lost_race_is_run_again_five_times)
{
	struct ran x = { 0 };

	fake.again = 5;
	insert(&x);
	ck_assert_uint_eq(x.answers, 1);
	ck_assert_msg(x.code == 0, "%s", x.message);
	ck_assert_uint_eq(fake.commits_asked, 6);
	fake.again = 1000;
	fake.commits_asked = 0;
	insert(&x);
	ck_assert_uint_eq(x.answers, 2);
	ck_assert_int_eq(x.code, OG_ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(x.message, "exhausted 5 retries"));
	ck_assert_uint_eq(fake.commits_asked, 6);
}
END_TEST

/* Each statement looks at little, all of them together at much: not on the loop, which would stand still. */
START_TEST(many_statements_leave_the_loop)
{
	struct og_buf b = { 0 };
	struct ran x = { 0 };

	off_loop = 0;
	insert(&x);
	ck_assert_uint_eq(off_loop, 0);
	og_buf_str(&b, "query m() {");
	for (int i = 0; i < 5000; i++)
		og_buf_str(&b, " update Person set { age: 1 } where age = 2");
	og_buf_str(&b, " }");
	(void)og_op_mutate(ops, &(struct og_mutate_req){ .source = og_buf_view(&b) }, on_changed, &x);
	turn();
	ck_assert_uint_eq(x.answers, 2);
	ck_assert_msg(x.code == 0, "%s", x.message);
	ck_assert_uint_eq(off_loop, 1);
	og_buf_fini(&b);
}
END_TEST

START_TEST(a_commit_without_an_answer_is_unknown)
{
	struct ran x = { 0 };

	fake.silent_commits = true;
	insert(&x);
	ck_assert_uint_eq(x.answers, 0);
	disconnect();
	ck_assert_uint_eq(x.answers, 1);
	ck_assert_int_eq(x.code, OG_ERR_UNKNOWN);
	/* And so is one whose answer is nonsense. */
	connect_both(true);
	fake.hold = true;
	insert(&x);
	while (fake.nheld && fake.held[0].type != OG_IPC_COMMIT)
		fake_go();
	ck_assert_uint_eq(fake.nheld, 1);
	{
		struct og_error err = { 0 };
		struct og_buf b = { 0 };

		og_put_u8(&b, 1);
		ck_assert_int_eq(og_chan_answer(fake.chan, fake.held[0].request, OG_IPC_COMMITTED, &b, -1, &err), 0);
		og_buf_fini(&b);
		turn();
	}
	ck_assert_uint_eq(x.answers, 2);
	ck_assert_int_eq(x.code, OG_ERR_UNKNOWN);
	ck_assert_ptr_null(chan);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, nothing_is_asked_while_the_bell_stands_still);
	tcase_add_test(tc, the_bell_of_a_host_answers_for_the_host);
	tcase_add_test(tc, a_bell_of_an_unknown_kind_is_refused);
	tcase_add_test(tc, a_moved_bell_is_looked_into);
	tcase_add_test(tc, a_push_saves_the_look);
	tcase_add_test(tc, a_gap_in_the_pushes_is_closed);
	tcase_add_test(tc, a_push_within_a_look_counts_once);
	tcase_add_test(tc, a_late_comer_gets_its_own_look);
	tcase_add_test(tc, without_a_bell_every_request_is_looked_after);
	tcase_add_test(tc, a_query_asks_for_what_is_recent);
	tcase_add_test(tc, a_shared_look_is_the_newest_wanted);
	tcase_add_test(tc, a_mutation_asks_the_store_only_when_it_refuses);
	tcase_add_test(tc, a_stale_base_is_not_taken_twice);
	tcase_add_test(tc, with_a_bell_every_base_is_confirmed);
	tcase_add_test(tc, a_new_base_is_opened);
	tcase_add_test(tc, a_branch_that_is_gone_says_so_and_may_come_back);
	tcase_add_test(tc, loss_ends_what_waits_and_a_new_channel_goes_on);
	tcase_add_test(tc, what_is_at_hand_is_read_on_without_og_storaged);
	tcase_add_test(tc, a_query_waits_for_its_images);
	tcase_add_test(tc, an_image_that_nobody_reads_is_given_back_at_once);
	tcase_add_test(tc, an_image_that_is_read_is_given_back_after_it);
	tcase_add_test(tc, whose_turn_it_is_keeps_what_it_has);
	tcase_add_test(tc, loss_while_images_are_fetched);
	tcase_add_test(tc, a_damaged_type_is_no_concern_of_others);
	tcase_add_test(tc, gone_images_open_the_state_again);
	tcase_add_test(tc, a_type_is_emptied_and_filled);
	tcase_add_test(tc, a_lost_race_is_run_again_five_times);
	tcase_add_test(tc, many_statements_leave_the_loop);
	tcase_add_test(tc, a_commit_without_an_answer_is_unknown);
}

int main(void)
{
	return suite_run("graph", add, 30);
}
