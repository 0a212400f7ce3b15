/* The encoding thread of a load. */
#include "config.h"

#include "load/encoder.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct load_encoder {
	pthread_t thread;
	pthread_mutex_t lock;		/* all below, and `busy` of the jobs */
	pthread_cond_t given, done;
	struct load_encode *first, **last;
	bool leave;
};

static void *encode_all(void *arg)
{
	struct load_encoder *e = arg;

	pthread_mutex_lock(&e->lock);
	for (;;) {
		struct load_encode *job = e->first;

		if (!job) {
			if (e->leave)
				break;
			pthread_cond_wait(&e->given, &e->lock);
			continue;
		}
		e->first = job->next;
		if (!e->first)
			e->last = &e->first;
		pthread_mutex_unlock(&e->lock);
		job->rc = og_pq_write_group(job->writer, job->cols, job->ncols, &job->err);
		pthread_mutex_lock(&e->lock);
		job->busy = false;
		pthread_cond_broadcast(&e->done);
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

struct load_encoder *load_encoder_new(struct og_error *err)
{
	struct load_encoder *e = calloc(1, sizeof(*e));
	sigset_t all, old;
	int rc;

	if (!e) {
		og_error_nomem(err);
		return NULL;
	}
	e->last = &e->first;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->given, NULL);
	pthread_cond_init(&e->done, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&e->thread, NULL, encode_all, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		og_error_sys(err, rc, "a thread for encoding");
		free(e);
		return NULL;
	}
	return e;
}

void load_encoder_free(struct load_encoder *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->leave = true;
	pthread_cond_signal(&e->given);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	pthread_cond_destroy(&e->given);
	pthread_cond_destroy(&e->done);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

void load_encoder_put(struct load_encoder *e, struct load_encode *job)
{
	pthread_mutex_lock(&e->lock);
	job->busy = true;
	job->next = NULL;
	*e->last = job;
	e->last = &job->next;
	pthread_cond_signal(&e->given);
	pthread_mutex_unlock(&e->lock);
}

int load_encoder_wait(struct load_encoder *e, struct load_encode *job, struct og_error *err)
{
	pthread_mutex_lock(&e->lock);
	while (job->busy)
		pthread_cond_wait(&e->done, &e->lock);
	pthread_mutex_unlock(&e->lock);
	if (job->rc < 0)
		*err = job->err;
	return job->rc;
}
