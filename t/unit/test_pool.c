/* og-worker/pool: every task ends once and on the loop, long ones give way, and ending the pool loses none. For ThreadSanitizer as well. */
#include "config.h"

#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "og-worker/pool.h"

struct task {
	int slices;		/* until it has finished */
	int taken;		/* by one thread at a time: no lock */
	int *ended;		/* of the loop alone */
	int order;
	bool fails, again;
	struct pool *pool;
	atomic_int *cancel;	/* runs until it is set */
	pthread_t loop, last;
};

static struct event_base *base;
static struct pool *pool;
static int ended;

static int step(void *arg, uint64_t budget_us)
{
	struct task *t = arg;

	ck_assert_uint_gt(budget_us, 0);
	t->last = pthread_self();
	t->taken++;
	if (t->cancel) {
		struct timespec ms = { 0, 1000000 };

		nanosleep(&ms, NULL);
		return atomic_load(t->cancel) ? -1 : 1;
	}
	return t->taken < t->slices ? 1 : t->fails ? -1 : 0;
}

static void done(void *arg);

static int run(struct task *t)
{
	const struct og_runner *r = pool_runner(pool);
	struct og_error err = { 0 };

	t->loop = pthread_self();
	t->ended = &ended;
	return r->run(r->arg, step, done, t, &err);
}

static void done(void *arg)
{
	struct task *t = arg;

	ck_assert(pthread_equal(pthread_self(), t->loop));
	t->order = ++*t->ended;
	if (t->again) {
		t->again = false;
		t->taken = 0;
		(void)run(t);
	}
}

static void until(int n)
{
	for (int i = 0; i < 20000 && ended < n; i++) {
		struct timespec ms = { 0, 500000 };

		event_base_loop(base, EVLOOP_NONBLOCK);
		nanosleep(&ms, NULL);
	}
	ck_assert_int_ge(ended, n);
}

static void setup(void)
{
	struct og_error err = { 0 };

	base = event_base_new();
	pool = pool_start(base, 2, &err);
	ck_assert_msg(pool != NULL, "%s", err.message);
	ended = 0;
}

static void teardown(void)
{
	pool_free(pool);
	event_base_free(base);
}

START_TEST(every_task_ends_once)
{
	static struct task t[1000];

	for (int i = 0; i < 1000; i++) {
		t[i] = (struct task){ .slices = 1 + i % 7, .fails = i % 3 == 0, .again = i % 5 == 0 };
		ck_assert_int_eq(run(&t[i]), 0);
	}
	until(1200);
	ck_assert_int_eq(ended, 1200);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(t[i].taken, t[i].slices);
		/* Whoever took longer than a moment went on elsewhere; and never on the loop. */
		ck_assert(!pthread_equal(t[i].last, t[i].loop));
	}
	ck_assert_uint_eq(pool_busy(pool), 0);
}
END_TEST

/* As many endless tasks as there are threads, and more: a short one passes them all. */
START_TEST(long_tasks_delay_no_short_one)
{
	atomic_int cancel = 0;
	struct task longs[6], one = { .slices = 1 };

	for (int i = 0; i < 6; i++) {
		longs[i] = (struct task){ .cancel = &cancel };
		ck_assert_int_eq(run(&longs[i]), 0);
	}
	ck_assert_int_eq(run(&one), 0);
	until(1);
	ck_assert_int_eq(one.order, 1);
	for (int i = 0; i < 50; i++) {
		struct timespec ms = { 0, 1000000 };

		nanosleep(&ms, NULL);
	}
	atomic_store(&cancel, 1);
	until(7);
	/* They shared the threads. */
	for (int i = 0; i < 6; i++)
		ck_assert_int_ge(longs[i].taken, 2);
}
END_TEST

START_TEST(too_many_are_refused)
{
	atomic_int cancel = 0;
	struct task *t = calloc(6000, sizeof(*t));
	int taken = 0;

	for (int i = 0; i < 6000; i++) {
		t[i].cancel = &cancel;
		if (run(&t[i]) == 0)
			taken++;
	}
	ck_assert_int_lt(taken, 6000);
	ck_assert_int_gt(taken, 1000);
	ck_assert_uint_eq(pool_busy(pool), (unsigned)taken);
	atomic_store(&cancel, 1);
	until(taken);
	ck_assert_int_eq(ended, taken);
	free(t);
}
END_TEST

/* The pool ends while its tasks are anywhere: each still ends, and what an end starts is refused. */
START_TEST(the_end_loses_nothing)
{
	static struct task t[500];

	for (int i = 0; i < 500; i++) {
		t[i] = (struct task){ .slices = 1 + i % 9, .again = i % 4 == 0 };
		ck_assert_int_eq(run(&t[i]), 0);
	}
	pool_free(pool);
	pool = NULL;
	ck_assert_int_eq(ended, 500);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_task_ends_once);
	tcase_add_test(tc, long_tasks_delay_no_short_one);
	tcase_add_test(tc, too_many_are_refused);
	tcase_add_loop_test(tc, the_end_loses_nothing, 0, 10);
}

int main(void)
{
	return suite_run("pool", add, 60);
}
