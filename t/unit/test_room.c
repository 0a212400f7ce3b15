/* og-storaged's sums of images' memory: who holds what, what goes and when. */
#include "config.h"

#include "suite.h"

#include "room.h"

#define N 8

static struct room_item items[N];
static struct room room;
static struct {
	int item;
	uint64_t peer, number;
} asked[64];
static unsigned nasked;
static bool gone[N], busy[N], deaf;

static bool on_ask(void *arg, struct room_item *it, uint64_t peer, uint64_t number)
{
	(void)arg;
	if (deaf)
		return false;
	ck_assert_uint_lt(nasked, OG_COUNT(asked));
	asked[nasked].item = (int)(it - items);
	asked[nasked].peer = peer;
	asked[nasked++].number = number;
	return true;
}

static bool on_busy(void *arg, const struct room_item *it)
{
	(void)arg;
	return busy[it - items];
}

static void on_gone(void *arg, struct room_item *it)
{
	(void)arg;
	ck_assert(!gone[it - items]);
	gone[it - items] = true;
}

static const struct room_ops ops = { .ask = on_ask, .busy = on_busy, .gone = on_gone };

static void start(uint64_t budget)
{
	memset(items, 0, sizeof(items));
	memset(gone, 0, sizeof(gone));
	memset(busy, 0, sizeof(busy));
	nasked = 0;
	deaf = false;
	room_init(&room, &ops, NULL, budget, 100);
}

static void have(int i, uint64_t bytes)
{
	room_add(&room, &items[i]);
	room_arrived(&room, &items[i], bytes);
}

static void hand(int i, uint64_t peer)
{
	struct og_error err = { 0 };

	ck_assert_int_eq(room_hand(&room, &items[i], peer, &err), 0);
}

static void answer(unsigned a)
{
	room_answered(&room, &items[asked[a].item], asked[a].peer, asked[a].number);
}

static void end(void)
{
	while (room.items)
		room_drop(&room, room.items);
	ck_assert_uint_eq(room.bytes, 0);
	ck_assert_uint_eq(room.leaving, 0);
	ck_assert_uint_eq(room.promised, 0);
	ck_assert_uint_eq(room.count, 0);
	ck_assert_uint_eq(room.nleaving, 0);
}

START_TEST(unheld_images_go_at_once_oldest_first)
{
	start(100);
	for (int i = 0; i < 4; i++)
		have(i, 25);
	room_use(&room, &items[0]);
	room_make(&room, 50, 0);
	ck_assert(gone[1] && gone[2] && !gone[0] && !gone[3]);
	ck_assert(room_fits(&room, 50, room.budget));
	ck_assert(!room_fits(&room, 51, room.budget));
	ck_assert(room_fits(&room, 51, room.most));
	end();
}
END_TEST

START_TEST(a_higher_rank_goes_last)
{
	start(100);
	items[0].rank = 1;
	have(0, 50);
	have(1, 50);
	room_use(&room, &items[1]);
	room_make(&room, 10, 0);
	ck_assert(gone[1] && !gone[0]);
	end();
}
END_TEST

START_TEST(a_held_image_counts_until_all_have_answered)
{
	start(100);
	have(0, 100);
	hand(0, 1);
	hand(0, 2);
	room_make(&room, 10, 0);
	ck_assert_uint_eq(nasked, 2);
	ck_assert_uint_eq(room.bytes, 100);
	ck_assert(!room_fits(&room, 10, room.budget));
	ck_assert(room_waits(&room));
	answer(0);
	ck_assert(!gone[0]);
	ck_assert_uint_eq(room.bytes, 100);
	answer(1);
	ck_assert(gone[0]);
	ck_assert(room_fits(&room, 100, room.budget));
	ck_assert(!room_waits(&room));
	end();
}
END_TEST

START_TEST(nobody_is_asked_twice)
{
	start(100);
	have(0, 100);
	hand(0, 1);
	room_make(&room, 10, 0);
	room_make(&room, 10, 0);
	room_ask_again(&room, 0);
	ck_assert_uint_eq(nasked, 1);
	answer(0);
	end();
}
END_TEST

START_TEST(handed_out_again_it_stays)
{
	start(100);
	have(0, 100);
	hand(0, 1);
	room_make(&room, 10, 0);
	hand(0, 1);
	ck_assert(!room_waits(&room));
	/* The answer speaks of the first mapping alone. */
	answer(0);
	ck_assert(!gone[0]);
	room_make(&room, 10, 0);
	ck_assert_uint_eq(nasked, 2);
	answer(1);
	ck_assert(gone[0]);
	end();
}
END_TEST

START_TEST(an_answer_that_comes_late_frees_nothing_that_others_hold)
{
	start(100);
	have(0, 100);
	hand(0, 1);
	room_make(&room, 10, 0);
	hand(0, 1);
	room_make(&room, 10, 0);
	ck_assert_uint_eq(nasked, 2);
	/* The second mapping is gone, the first one still read. */
	answer(1);
	ck_assert(!gone[0]);
	answer(0);
	ck_assert(gone[0]);
	end();
}
END_TEST

START_TEST(a_made_up_answer_is_no_answer)
{
	start(100);
	have(0, 100);
	hand(0, 1);
	room_answered(&room, &items[0], 1, 12345);
	room_make(&room, 10, 0);
	room_answered(&room, &items[0], 1, asked[0].number + 1);
	room_answered(&room, &items[0], 7, asked[0].number);
	ck_assert(!gone[0]);
	answer(0);
	ck_assert(gone[0]);
	end();
}
END_TEST

START_TEST(a_dead_process_holds_nothing)
{
	start(100);
	have(0, 50);
	have(1, 50);
	hand(0, 1);
	hand(0, 2);
	hand(1, 1);
	room_make(&room, 100, 0);
	room_forget(&room, 1);
	ck_assert(gone[1] && !gone[0]);
	room_forget(&room, 2);
	ck_assert(gone[0]);
	end();
}
END_TEST

START_TEST(what_a_job_reads_goes_after_it)
{
	start(100);
	have(0, 100);
	hand(0, 1);
	room_make(&room, 10, 0);
	busy[0] = true;
	answer(0);
	ck_assert(!gone[0]);
	room_ask_again(&room, 0);
	ck_assert(!gone[0]);
	busy[0] = false;
	room_ask_again(&room, 0);
	ck_assert(gone[0]);
	end();
}
END_TEST

START_TEST(a_busy_image_is_passed_over)
{
	start(100);
	have(0, 50);
	have(1, 50);
	busy[0] = true;
	room_make(&room, 50, 0);
	ck_assert(!gone[0] && gone[1]);
	room_make(&room, 100, 0);
	ck_assert(!gone[0]);
	end();
}
END_TEST

START_TEST(who_could_not_be_asked_is_asked_later)
{
	start(100);
	have(0, 100);
	hand(0, 1);
	deaf = true;
	room_make(&room, 10, 0);
	ck_assert_uint_eq(nasked, 0);
	deaf = false;
	room_ask_again(&room, 0);
	ck_assert_uint_eq(nasked, 1);
	answer(0);
	ck_assert(gone[0]);
	end();
}
END_TEST

START_TEST(what_is_being_built_counts)
{
	start(100);
	room_add(&room, &items[0]);
	room_promise(&room, &items[0], 60);
	ck_assert(!room_fits(&room, 50, room.budget));
	room_promise(&room, &items[0], 40);
	ck_assert(room_fits(&room, 60, room.budget));
	room_arrived(&room, &items[0], 70);
	ck_assert_uint_eq(room.promised, 0);
	ck_assert(!room_fits(&room, 31, room.budget));
	end();
}
END_TEST

START_TEST(descriptors_are_counted_too)
{
	start(1000);
	room.count_max = 3;
	for (int i = 0; i < 3; i++)
		have(i, 1);
	ck_assert(!room_fits(&room, 1, room.most));
	room_make(&room, 1, 0);
	ck_assert(gone[0] && !gone[1]);
	ck_assert(room_fits(&room, 1, room.budget));
	end();
}
END_TEST

START_TEST(who_never_answers_is_known)
{
	start(100);
	have(0, 60);
	have(1, 40);
	hand(0, 1);
	hand(1, 2);
	room_make(&room, 100, 1000);
	ck_assert_uint_eq(room_overdue(&room, 1, 500, 1500), 0);
	ck_assert_uint_eq(room_overdue(&room, 1, 500, 1501), 60);
	ck_assert_uint_eq(room_overdue(&room, 2, 500, 1501), 40);
	ck_assert_uint_eq(room_overdue(&room, 3, 500, 1501), 0);
	answer(1);
	ck_assert_uint_eq(room_overdue(&room, 2, 500, 1501), 0);
	end();
}
END_TEST

START_TEST(dropping_twice_is_dropping_once)
{
	start(100);
	have(0, 10);
	have(1, 10);
	room_drop(&room, &items[0]);
	room_drop(&room, &items[0]);
	ck_assert_ptr_eq(room.items, &items[1]);
	ck_assert_uint_eq(room.bytes, 10);
	end();
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, unheld_images_go_at_once_oldest_first);
	tcase_add_test(tc, a_higher_rank_goes_last);
	tcase_add_test(tc, a_held_image_counts_until_all_have_answered);
	tcase_add_test(tc, nobody_is_asked_twice);
	tcase_add_test(tc, handed_out_again_it_stays);
	tcase_add_test(tc, an_answer_that_comes_late_frees_nothing_that_others_hold);
	tcase_add_test(tc, a_made_up_answer_is_no_answer);
	tcase_add_test(tc, a_dead_process_holds_nothing);
	tcase_add_test(tc, what_a_job_reads_goes_after_it);
	tcase_add_test(tc, a_busy_image_is_passed_over);
	tcase_add_test(tc, who_could_not_be_asked_is_asked_later);
	tcase_add_test(tc, what_is_being_built_counts);
	tcase_add_test(tc, descriptors_are_counted_too);
	tcase_add_test(tc, who_never_answers_is_known);
	tcase_add_test(tc, dropping_twice_is_dropping_once);
}

int main(void)
{
	return suite_run("room", add, 20);
}
