/* lib/graph before an og-storaged of paper: which state a request sees, what is asked for it, and what becomes of it when answers are late, odd or missing. */
#include "config.h"

#include "graph_rig.h"
#include "suite.h"

#include "base/fd.h"

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
