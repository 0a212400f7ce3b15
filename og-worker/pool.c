/* Executor threads. */
#include "config.h"

#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#define SHORT_US 10000u		/* in the short pool, then the long one */
#define SLICE_US 5000u		/* of the long pool */
#define QUEUE_MAX 4096u

struct task {
	int (*step)(void *job, uint64_t budget_us);
	void (*done)(void *job);
	void *job;
	struct task *next;
};

struct queue {
	struct task *first, **last;
};

struct pool {
	struct event_base *base;
	struct og_runner runner;
	pthread_mutex_t lock;
	pthread_cond_t short_more, long_more, started;
	struct queue shorts, longs, finished;
	unsigned busy;
	bool stop;
	int wake;			/* eventfd: something is finished */
	struct event *on_wake;
	pthread_t threads[1 + POOL_LONG_MAX];
	unsigned nthreads, up;
};

static void push(struct queue *q, struct task *t)
{
	t->next = NULL;
	*q->last = t;
	q->last = &t->next;
}

static struct task *pop(struct queue *q)
{
	struct task *t = q->first;

	if (!t)
		return NULL;
	q->first = t->next;
	if (!q->first)
		q->last = &q->first;
	return t;
}

/* With the lock held. */
static void say_up(struct pool *p)
{
	p->up++;
	pthread_cond_signal(&p->started);
}

/* With the lock held. */
static void finish(struct pool *p, struct task *t)
{
	uint64_t one = 1;

	push(&p->finished, t);
	/* The counter cannot be full: whatever fails here, it is readable already. */
	if (write(p->wake, &one, sizeof(one)) < 0)
		return;
}

static void *short_thread(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	say_up(p);
	for (;;) {
		struct task *t;
		int rc;

		while (!(t = pop(&p->shorts)) && !p->stop)
			pthread_cond_wait(&p->short_more, &p->lock);
		if (!t)
			break;
		pthread_mutex_unlock(&p->lock);
		rc = t->step(t->job, SHORT_US);
		pthread_mutex_lock(&p->lock);
		if (rc > 0) {
			push(&p->longs, t);
			pthread_cond_signal(&p->long_more);
		} else {
			finish(p, t);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void *long_thread(void *arg)
{
	struct pool *p = arg;

	/* Linux: priorities are of threads. Without it long queries merely disturb more. */
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
	pthread_mutex_lock(&p->lock);
	say_up(p);
	for (;;) {
		struct task *t;
		int rc;

		while (!(t = pop(&p->longs)) && !p->stop)
			pthread_cond_wait(&p->long_more, &p->lock);
		if (!t)
			break;
		pthread_mutex_unlock(&p->lock);
		rc = t->step(t->job, SLICE_US);
		pthread_mutex_lock(&p->lock);
		if (rc > 0)
			push(&p->longs, t);
		else
			finish(p, t);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void take_finished(struct pool *p)
{
	struct task *t;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		t = pop(&p->finished);
		if (t)
			p->busy--;
		pthread_mutex_unlock(&p->lock);
		if (!t)
			return;
		t->done(t->job);
		free(t);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)what;
	if (read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		take_finished(arg);
}

static int pool_run(void *arg, int (*step)(void *, uint64_t), void (*done)(void *), void *job, struct og_error *err)
{
	struct pool *p = arg;
	struct task *t = malloc(sizeof(*t));
	bool full;

	if (!t)
		return og_error_nomem(err);
	*t = (struct task){ step, done, job, NULL };
	pthread_mutex_lock(&p->lock);
	full = p->stop || p->busy >= QUEUE_MAX;
	if (!full) {
		p->busy++;
		push(&p->shorts, t);
		pthread_cond_signal(&p->short_more);
	}
	pthread_mutex_unlock(&p->lock);
	if (full) {
		free(t);
		return og_error_set(err, OG_ERR_UNAVAILABLE, "too many queries are waiting; try again in a moment");
	}
	return 0;
}

struct pool *pool_start(struct event_base *base, unsigned long_threads, struct og_error *err)
{
	struct pool *p = calloc(1, sizeof(*p));
	int e = 0;

	if (!p) {
		og_error_nomem(err);
		return NULL;
	}
	p->base = base;
	p->runner = (struct og_runner){ p, pool_run };
	p->shorts.last = &p->shorts.first;
	p->longs.last = &p->longs.first;
	p->finished.last = &p->finished.first;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->short_more, NULL);
	pthread_cond_init(&p->long_more, NULL);
	pthread_cond_init(&p->started, NULL);
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake >= 0)
		p->on_wake = event_new(base, p->wake, EV_READ | EV_PERSIST, on_wake, p);
	if (p->wake < 0 || !p->on_wake || event_add(p->on_wake, NULL) < 0) {
		og_error_set(err, OG_ERR_IO, "no eventfd for the executor threads");
		pool_free(p);
		return NULL;
	}
	for (unsigned i = 0; e == 0 && i < 1 + long_threads; i++) {
		e = pthread_create(&p->threads[i], NULL, i == 0 ? short_thread : long_thread, p);
		if (e == 0)
			p->nthreads++;
	}
	if (e != 0) {
		og_error_sys(err, e, "starting an executor thread");
		pool_free(p);
		return NULL;
	}
	/* The caller's filter forbids what a thread does at its start. */
	pthread_mutex_lock(&p->lock);
	while (p->up < p->nthreads)
		pthread_cond_wait(&p->started, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return p;
}

const struct og_runner *pool_runner(struct pool *p)
{
	return &p->runner;
}

unsigned pool_busy(const struct pool *p)
{
	return __atomic_load_n(&p->busy, __ATOMIC_RELAXED);
}

void pool_free(struct pool *p)
{
	struct task *t;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->short_more);
	pthread_cond_broadcast(&p->long_more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->nthreads; i++)
		pthread_join(p->threads[i], NULL);
	/* What moved on when the long pool had ended already, or was never begun, ends here. */
	while ((t = pop(&p->shorts)) || (t = pop(&p->longs))) {
		while (t->step(t->job, SLICE_US) > 0)
			;
		push(&p->finished, t);
	}
	take_finished(p);
	if (p->on_wake)
		event_free(p->on_wake);
	og_fd_close(&p->wake);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->short_more);
	pthread_cond_destroy(&p->long_more);
	pthread_cond_destroy(&p->started);
	free(p);
}
