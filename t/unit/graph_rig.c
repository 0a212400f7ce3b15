/* The og-storaged of paper. */
#include "config.h"

#include "graph_rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/fd.h"

struct fake fake;

static const char schema[] = "node Person { name: String @key  age: I32? }\nnode Place { name: String @key }\n";

struct event_base *base;
struct og_chan *chan;
struct og_graph *graph;
struct og_ops *ops;

static struct og_ulid ulid(uint8_t v)
{
	struct og_ulid u = { { 0 } };

	u.b[15] = v;
	return u;
}

/* ---- rows ---- */

struct og_buf rows_of(uint32_t type_index, const char *names)
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
void person(const char *name)
{
	struct commit *c = &fake.commits[fake.ncommits++];

	*c = (struct commit){ .seq = fake.ncommits, .body = rows_of(og_catalog_table(fake.cat, OG_SLICE("node:Person"))->index, name),
			      .type = og_catalog_table(fake.cat, OG_SLICE("node:Person"))->id, .dn = (int64_t)strlen(name) };
}

void ring(void)
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
			types[i].content = (struct og_hash128){ types[i].type_id, fake.base };
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

void push(uint64_t prev, bool reopen)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	put_tail(&b, prev, reopen);
	ck_assert_int_eq(og_chan_send(fake.chan, OG_IPC_HEAD_MOVED, &b, -1, &err), 0);
	og_buf_fini(&b);
}

struct og_wire_image building;
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

void fake_answer(const struct held *q)
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

void turn(void)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

void fake_go(void)
{
	unsigned n = fake.nheld;

	fake.nheld = 0;
	for (unsigned i = 0; i < n; i++)
		fake_answer(&fake.held[i]);
	turn();
}

/* The newest alone. */
void fake_go_one(void)
{
	ck_assert_uint_gt(fake.nheld, 0);
	fake_answer(&fake.held[--fake.nheld]);
	turn();
}

void send_bell(enum og_bell kind)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	og_put_u8(&b, (uint8_t)kind);
	ck_assert_int_eq(og_chan_send(fake.chan, OG_IPC_BELL, &b, fake.bell_fd, &err), 0);
	og_buf_fini(&b);
	turn();
}

void connect_both(bool bell)
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
void disconnect(void)
{
	og_chan_free(fake.chan);
	fake.chan = NULL;
	turn();
	ck_assert_ptr_null(chan);
}

unsigned off_loop;

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

void setup(void)
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
void without_bell(void)
{
	og_chan_free(chan);
	og_graph_detach(graph);
	og_ops_free(ops);
	og_graph_free(graph);
	og_chan_free(fake.chan);
	make_graph();
	connect_both(false);
}

void teardown(void)
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

void ask(struct asked *a)
{
	og_graph_state(graph, OG_LOOK_NEW, og_slice(NULL, 0), og_slice(NULL, 0), on_state, a);
}

void on_state(void *arg, struct og_snap *s, const struct og_error *err)
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

void release(struct asked *a)
{
	og_snap_unref(a->snap);
	a->snap = NULL;
}

/* Asks and has it answered: rows of Person. */
uint64_t rows_now(void)
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

static void on_rows(void *arg, const struct og_query_result *r, const struct og_error *err)
{
	struct ran *x = arg;

	x->answers++;
	x->code = err->code;
	snprintf(x->message, sizeof(x->message), "%s", err->message);
	if (r)
		x->rows = r->row_count;
}

void on_changed(void *arg, const struct og_mutate_result *r, const struct og_error *err)
{
	struct ran *x = arg;

	x->answers++;
	x->code = err->code;
	snprintf(x->message, sizeof(x->message), "%s", err->message);
	x->rows = r ? r->affected_nodes : 0;
}

void query(struct ran *x, const char *type)
{
	static char text[2][128];
	int which = strcmp(type, "Place") == 0;

	snprintf(text[which], sizeof(text[which]), "query q() { match { $p: %s } return { $p.name } }", type);
	(void)og_op_query(ops, &(struct og_query_req){ .source = og_slice_str(text[which]) }, on_rows, x);
	turn();
}

void change(struct ran *x, const char *text)
{
	(void)og_op_mutate(ops, &(struct og_mutate_req){ .source = og_slice_str(text) }, on_changed, x);
	turn();
}

void insert(struct ran *x)
{
	change(x, "query m() { insert Person { name: \"z\" } }");
}
