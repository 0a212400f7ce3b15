/* When the next batch leaves: with those who wait for their commits, and not waiting for those who do not. */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "journal/gather.h"

#define PUT 10000u

static struct og_gather g;
static uint64_t now;

static void setup(void)
{
	g = (struct og_gather){ 0 };
	now = 1000000;
}

/* So many batches of n, `back` of each come within half a put, `late` behind that. */
static void rounds(unsigned times, uint32_t n, uint32_t back, uint32_t late)
{
	for (unsigned i = 0; i < times; i++) {
		og_gather_told(&g, n, PUT, now);
		for (uint32_t k = 0; k < back; k++)
			og_gather_came(&g, now + 1 + k);
		for (uint32_t k = 0; k < late; k++)
			og_gather_came(&g, now + PUT / 2 + k);
		now += PUT;
	}
}

START_TEST(nobody_is_waited_for_at_first)
{
	ck_assert_uint_eq(og_gather_wait(&g, now), 0);
	og_gather_told(&g, 32, PUT, now);
	ck_assert_uint_eq(og_gather_wait(&g, now), 0);
}
END_TEST

START_TEST(who_always_comes_back_is_waited_for)
{
	rounds(40, 32, 32, 0);
	og_gather_told(&g, 32, PUT, now);
	for (uint32_t i = 0; i < 32; i++) {
		ck_assert_uint_eq(og_gather_wait(&g, now + i), now + PUT / 2);
		og_gather_came(&g, now + i);
	}
	ck_assert_uint_eq(og_gather_wait(&g, now + 32), 0);
}
END_TEST

START_TEST(no_longer_than_half_a_put)
{
	rounds(12, 32, 32, 0);
	og_gather_told(&g, 32, PUT, now);
	ck_assert_uint_ne(og_gather_wait(&g, now + PUT / 2 - 1), 0);
	ck_assert_uint_eq(og_gather_wait(&g, now + PUT / 2), 0);
}
END_TEST

/* One writer: his next commit is the one that is waited for. */
START_TEST(a_lone_commit_leaves_at_once)
{
	rounds(12, 1, 1, 0);
	og_gather_told(&g, 1, PUT, now);
	og_gather_came(&g, now + 100);
	ck_assert_uint_eq(og_gather_wait(&g, now + 100), 0);
}
END_TEST

/* Half of what comes during a put comes in the first half of it. */
START_TEST(a_steady_stream_is_not_held_up)
{
	rounds(100, 32, 16, 16);
	og_gather_told(&g, 32, PUT, now);
	ck_assert_uint_eq(og_gather_wait(&g, now), 0);
}
END_TEST

/* Those who stopped coming are not waited for again and again. */
START_TEST(clients_that_turn_into_a_stream_are_let_go)
{
	rounds(12, 32, 32, 0);
	rounds(6, 32, 16, 16);
	og_gather_told(&g, 32, PUT, now);
	ck_assert_uint_eq(og_gather_wait(&g, now), 0);
	/* And back. */
	rounds(6, 32, 32, 0);
	og_gather_told(&g, 32, PUT, now);
	ck_assert_uint_ne(og_gather_wait(&g, now), 0);
}
END_TEST

/* Seven of ten come at once: the other three are not waited for. */
START_TEST(as_many_as_usually_come)
{
	rounds(12, 10, 10, 0);
	rounds(40, 10, 7, 3);
	og_gather_told(&g, 10, PUT, now);
	for (uint32_t i = 0; i < 6; i++)
		og_gather_came(&g, now + i);
	ck_assert_uint_ne(og_gather_wait(&g, now + 6), 0);
	og_gather_came(&g, now + 6);
	ck_assert_uint_eq(og_gather_wait(&g, now + 7), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gather");
	TCase *tc = tcase_create("gather");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, nobody_is_waited_for_at_first);
	tcase_add_test(tc, who_always_comes_back_is_waited_for);
	tcase_add_test(tc, no_longer_than_half_a_put);
	tcase_add_test(tc, a_lone_commit_leaves_at_once);
	tcase_add_test(tc, a_steady_stream_is_not_held_up);
	tcase_add_test(tc, clients_that_turn_into_a_stream_are_let_go);
	tcase_add_test(tc, as_many_as_usually_come);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
