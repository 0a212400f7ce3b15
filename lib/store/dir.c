/* The directory back end: requests to I/O threads, completions back to the loop. */
#include "config.h"

#include "store/dir.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/fd.h"
#include "store/dir_io.h"

#define THREADS_MAX 16u
#define SHORT_BYTES (1u * OG_MIB)

enum job_kind { JOB_REQUEST, JOB_SETTLE };

struct job {
	struct job *next;
	enum job_kind kind;
	struct og_store_req req;	/* key, after, keys, tag: owned copies; parts: the array too, not the bytes */
	struct og_store_tag tag;
	og_store_cb cb;
	void *arg;
	struct og_dir_out out;
	struct og_error err;
	int code;
};

struct queue {
	struct job *head, **tail;
};

struct dir_store {
	struct og_store store;		/* first */
	struct og_dir dir;
	unsigned nthreads;
	pthread_t threads[THREADS_MAX];
	pthread_mutex_t lock;		/* all below */
	pthread_cond_t wake_short, wake_any;
	/*
	 * Short requests are those on which an answer to a client hangs: log objects, heads, reads. The first thread takes
	 * nothing else, so that a commit never waits behind a large segment.
	 */
	struct queue short_jobs, long_jobs, done;
	bool stop, first_idle;
	int done_fd;			/* eventfd */
	struct event *done_ev;
};

static void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void queue_put(struct queue *q, struct job *j)
{
	j->next = NULL;
	*q->tail = j;
	q->tail = &j->next;
}

static struct job *queue_take(struct queue *q)
{
	struct job *j = q->head;

	if (j) {
		q->head = j->next;
		if (!q->head)
			q->tail = &q->head;
	}
	return j;
}

static void job_free(struct job *j)
{
	og_dir_out_fini(&j->out);
	free((char *)(uintptr_t)j->req.key);
	free((char *)(uintptr_t)j->req.after);
	free((void *)(uintptr_t)j->req.parts);
	if (j->req.keys)
		for (size_t i = 0; i < j->req.nkeys; i++)
			free((char *)(uintptr_t)j->req.keys[i]);
	free((void *)(uintptr_t)j->req.keys);
	free(j);
}

static void run_job(struct dir_store *s, struct job *j)
{
	switch (j->kind) {
	case JOB_REQUEST:
		j->code = og_dir_run(&s->dir, &j->req, &j->out, &j->err);
		return;
	case JOB_SETTLE:
		j->code = og_dir_settle(&s->dir, j->req.key, &j->out, &j->err);
		return;
	}
}

static void *io_thread(void *arg)
{
	struct dir_store *s = arg;
	bool first;
	struct job *j;
	uint64_t one = 1;

	pthread_mutex_lock(&s->lock);
	first = pthread_equal(pthread_self(), s->threads[0]);	/* written before the lock was let go */
	while (!s->stop) {
		j = queue_take(&s->short_jobs);
		if (!j && (!first || s->nthreads == 1))
			j = queue_take(&s->long_jobs);
		if (!j) {
			if (first)
				s->first_idle = true;
			pthread_cond_wait(first ? &s->wake_short : &s->wake_any, &s->lock);
			if (first)
				s->first_idle = false;
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		run_job(s, j);
		pthread_mutex_lock(&s->lock);
		queue_put(&s->done, j);
		if (write(s->done_fd, &one, sizeof(one)) < 0)
			continue;	/* a full counter wakes the loop as well */
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct dir_store *s = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	/* One at a time: a completion may submit, and with no threads its job is done at once. */
	for (unsigned i = 0; i < 256; i++) {
		struct og_store_result res = { 0 };
		struct job *j;

		pthread_mutex_lock(&s->lock);
		j = queue_take(&s->done);
		pthread_mutex_unlock(&s->lock);
		if (!j)
			return;
		res.code = j->code;
		res.lasting = j->out.lasting;
		res.same = j->out.same;
		res.err = j->code ? &j->err : NULL;
		res.body = og_buf_view(&j->out.body);
		res.fd = j->out.fd;
		res.size = j->out.size;
		res.tag = j->out.tag;
		res.items = j->out.items;
		res.nitems = j->out.nitems;
		res.more = j->out.more;
		j->cb(j->arg, &res);
		j->out.fd = res.fd;
		job_free(j);
	}
	event_active(s->done_ev, EV_READ, 1);
}

/* A put of much, or a delete of many. */
static bool job_long(const struct job *j)
{
	uint64_t bytes = 0;

	if (j->kind != JOB_REQUEST)
		return false;
	for (size_t i = 0; i < j->req.nparts; i++)
		bytes += j->req.parts[i].len;
	return bytes > SHORT_BYTES || j->req.from_fd || j->req.op == OG_STORE_DELETE_MANY;
}

static void dispatch(struct dir_store *s, struct job *j)
{
	bool slow = job_long(j);

	if (s->nthreads == 0) {
		run_job(s, j);
		pthread_mutex_lock(&s->lock);
		queue_put(&s->done, j);
		pthread_mutex_unlock(&s->lock);
		event_active(s->done_ev, EV_READ, 1);
		return;
	}
	pthread_mutex_lock(&s->lock);
	queue_put(slow ? &s->long_jobs : &s->short_jobs, j);
	/* One thread is woken, not two: the hop is part of a commit's latency. */
	if (s->nthreads == 1 || (!slow && s->first_idle))
		pthread_cond_signal(&s->wake_short);
	else
		pthread_cond_signal(&s->wake_any);
	pthread_mutex_unlock(&s->lock);
}

static int copy_request(struct job *j, const struct og_store_req *req)
{
	struct og_slice *parts;
	char **keys;

	j->req = *req;
	j->req.key = j->req.after = NULL;
	j->req.parts = NULL;
	j->req.keys = NULL;
	if (req->key && !(j->req.key = strdup(req->key)))
		return -1;
	if (req->after && !(j->req.after = strdup(req->after)))
		return -1;
	if (req->tag) {
		j->tag = *req->tag;
		j->req.tag = &j->tag;
	}
	if (req->nparts) {
		if (!(parts = calloc(req->nparts, sizeof(*parts))))
			return -1;
		memcpy(parts, req->parts, req->nparts * sizeof(*parts));
		j->req.parts = parts;
	}
	j->req.nkeys = 0;
	if (req->nkeys) {
		if (!(keys = calloc(req->nkeys, sizeof(*keys))))
			return -1;
		j->req.keys = (const char *const *)keys;
		for (; j->req.nkeys < req->nkeys; j->req.nkeys++)
			if (!(keys[j->req.nkeys] = strdup(req->keys[j->req.nkeys])))
				return -1;
	}
	return 0;
}

static void start(struct dir_store *s, enum job_kind kind, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	struct job *j = calloc(1, sizeof(*j));
	struct og_error err = { 0 };

	if (!j || copy_request(j, req) < 0) {
		if (j)
			job_free(j);
		og_error_nomem(&err);
		og_store_defer(&s->store, err.code, &err, cb, arg);
		return;
	}
	j->kind = kind;
	j->out.fd = -1;
	j->cb = cb;
	j->arg = arg;
	dispatch(s, j);
}

static void dir_submit(struct og_store *store, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	start((struct dir_store *)store, JOB_REQUEST, req, cb, arg);
}

static void dir_settle(struct og_store *store, const char *folder, og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_LIST, .key = folder };

	start((struct dir_store *)store, JOB_SETTLE, &req, cb, arg);
}

static int dir_page(struct og_store *store, const char *key, int *fd, struct og_error *err)
{
	return og_dir_page(&((struct dir_store *)store)->dir, key, fd, err);
}

static void drain(struct queue *q)
{
	struct job *j;

	while ((j = queue_take(q)))
		job_free(j);
}

static void dir_free(struct og_store *store)
{
	struct dir_store *s = (struct dir_store *)store;

	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->wake_short);
	pthread_cond_broadcast(&s->wake_any);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->nthreads; i++)
		pthread_join(s->threads[i], NULL);
	drain(&s->short_jobs);
	drain(&s->long_jobs);
	drain(&s->done);
	if (s->done_ev)
		event_free(s->done_ev);
	og_fd_close(&s->done_fd);
	og_dir_close(&s->dir);
	pthread_cond_destroy(&s->wake_short);
	pthread_cond_destroy(&s->wake_any);
	pthread_mutex_destroy(&s->lock);
	og_store_fini(&s->store);
	free(s);
}

static const struct og_store_ops dir_ops = {
	.submit = dir_submit,
	.settle = dir_settle,
	.page = dir_page,
	.free = dir_free,
};

static int start_threads(struct dir_store *s, unsigned want, struct og_error *err)
{
	sigset_t all, old;
	int rc = 0;

	/* Signals are the loop's; also a file size limit must come back as EFBIG, not as a signal. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&s->lock);
	while (s->nthreads < want && rc == 0) {
		rc = pthread_create(&s->threads[s->nthreads], NULL, io_thread, s);
		if (rc == 0)
			s->nthreads++;
	}
	pthread_mutex_unlock(&s->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc ? og_error_sys(err, rc, "starting an I/O thread") : 0;
}

struct og_store *og_store_dir_new(const struct og_store_dir_config *config, struct og_error *err)
{
	struct dir_store *s = calloc(1, sizeof(*s));

	if (!s) {
		og_error_nomem(err);
		return NULL;
	}
	s->done_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake_short, NULL);
	pthread_cond_init(&s->wake_any, NULL);
	queue_init(&s->short_jobs);
	queue_init(&s->long_jobs);
	queue_init(&s->done);
	if (og_dir_open(&s->dir, config->path, config->create && !config->read_only, err) < 0) {
		free(s);
		return NULL;
	}
	if (og_store_init(&s->store, &dir_ops, config->base, config->path, err) < 0)
		goto fail;
	s->store.local = true;
	s->store.shared_pages = !s->dir.network;
	s->store.read_only = config->read_only;
	s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->done_fd < 0) {
		og_error_sys(err, errno, "eventfd");
		goto fail;
	}
	s->done_ev = event_new(config->base, s->done_fd, EV_READ | EV_PERSIST, on_done, s);
	if (!s->done_ev || event_add(s->done_ev, NULL) < 0) {
		og_error_nomem(err);
		goto fail;
	}
	if (start_threads(s, OG_MIN(config->threads, THREADS_MAX), err) == 0)
		return &s->store;
fail:
	dir_free(&s->store);
	return NULL;
}
