/* The host's cache of objects: fetches that are shared, and the thread that works on the folder. */
#include "config.h"

#include "store/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/fd.h"
#include "base/log.h"
#include "store/cache_dir.h"

#define KEEPING_MAX (UINT64_C(256) * OG_MIB)
#define PIECE (1u * OG_MIB)	/* copied at a time */

enum task_kind {
	TASK_OPEN,	/* the folder */
	TASK_FIND,	/* a file, or room for one */
	TASK_KEEP,	/* what was fetched */
	TASK_PUT,
};

/* What the thread does. It has a task from the time that it is queued until it is done. */
struct task {
	struct task *next;
	enum task_kind kind;
	struct og_digest digest;
	uint64_t size;
	struct og_slice bytes;		/* put */
	struct og_cache_file file;	/* find: room; keep: what was fetched into */
	int fd;				/* find: a hit; keep: in a memfd what was fetched, else where to read it */
	bool sealed;			/* whoever asks maps it */
	bool copy;			/* keep: it is in a file of the store */
	bool verified;
	struct og_error failed;		/* copy */
	struct og_error err;		/* of the folder */
	void (*done)(struct og_cache *c, struct task *t);
};

struct waiter {
	og_cache_cb cb;
	void *arg;
	struct waiter *next;
};

/* An object on its way to whoever asked for it. */
struct flight {
	struct task task;		/* first */
	struct og_cache *c;
	char *key;
	struct og_error disk;		/* why it did not get into its file, unless it was the store */
	struct waiter *waiters;
	struct flight *next;
};

/* Something to be kept. */
struct keeping {
	struct task task;		/* first */
	void (*done)(void *arg);
	void *arg;
	bool waits;			/* until nobody waits for an object: his is the disk, and the processor */
	struct keeping *next;
};

struct queue {
	struct task *head, **tail;
};

struct og_cache {
	struct og_store *store;
	char *path;			/* NULL: no folder */
	uint64_t limit;
	struct flight *flights;
	struct keeping *keepings;
	uint64_t keeping_bytes;
	struct task opening;
	uint64_t hits, misses;
	bool troubled;			/* said in the log */
	int done_fd;			/* eventfd */
	struct event *done_ev;
	pthread_t thread;
	bool started;
	struct og_cache_dir dir;	/* the thread's; its `fd` does not change once the folder is open */
	pthread_mutex_t lock;		/* all below */
	pthread_cond_t wake;
	struct queue todo, done;
	bool stop;
	struct og_cache_stats seen;	/* what the thread has counted */
};

static void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void queue_put(struct queue *q, struct task *t)
{
	t->next = NULL;
	*q->tail = t;
	q->tail = &t->next;
}

static struct task *queue_take(struct queue *q)
{
	struct task *t = q->head;

	if (t) {
		q->head = t->next;
		if (!q->head)
			q->tail = &q->head;
	}
	return t;
}

/* ---- the thread ---- */

static int copy_compared(int from, int to, struct task *t)
{
	char *room = malloc(PIECE);
	struct og_digest_ctx ctx;
	struct og_digest have;
	int rc = room ? 0 : og_error_nomem(&t->failed);

	og_digest_init(&ctx, t->digest.kind);
	for (uint64_t at = 0; rc == 0 && at < t->size;) {
		struct og_slice part = og_slice(room, (size_t)OG_MIN(t->size - at, (uint64_t)PIECE));

		rc = og_fd_pread_all(from, room, part.len, at, &t->failed);
		if (rc == 0)
			rc = og_fd_write_all(to, part, &t->failed);
		og_digest_update(&ctx, part);
		at += part.len;
	}
	have = og_digest_final(&ctx);
	t->verified = rc == 0 && og_digest_eq(&have, &t->digest);
	free(room);
	return rc;
}

/* A file may be changed, or cut short, under whoever maps it. */
static void seal_copy(struct task *t)
{
	int from = t->fd;

	t->fd = -1;
	t->verified = false;
	if (og_memfd_new("object", &t->fd, &t->failed) < 0 || copy_compared(from, t->fd, t) < 0 || og_memfd_seal(t->fd, &t->failed) < 0)
		og_fd_close(&t->fd);
	og_fd_close(&from);
}

static void run_find(struct og_cache_dir *d, struct task *t)
{
	t->verified = og_cache_dir_find(d, &t->digest, t->size, &t->fd);
	if (t->sealed) {
		if (!t->verified)
			return;
		seal_copy(t);
		if (t->fd >= 0 && !t->verified)
			og_cache_dir_forget(d, &t->digest, t->size);	/* changed since it was compared, and the time tells nothing */
		/* If the copy came to grief it is fetched. */
		if (!t->verified)
			og_fd_close(&t->fd);
		return;
	}
	if (!t->verified && og_cache_dir_create(d, t->size, &t->file, &t->err) < 0)
		t->file.fd = -1;	/* it comes in memory */
}

static bool fits_memory(int fd, uint64_t size, const struct og_digest *digest)
{
	struct og_error ignored = { 0 };
	struct og_digest_ctx ctx;
	struct og_digest have;
	struct og_slice map;

	if (og_map_file(fd, size, &map, &ignored) < 0)
		return og_cache_fits(fd, size, digest);
	og_digest_init(&ctx, digest->kind);
	og_digest_update(&ctx, map);
	have = og_digest_final(&ctx);
	og_unmap(&map);
	return og_digest_eq(&have, digest);
}

/* What the store has is handed on whatever it is; only what fits is kept. */
static void run_keep(struct og_cache_dir *d, struct task *t)
{
	if (t->copy) {
		seal_copy(t);
		return;
	}
	t->verified = t->file.fd >= 0 ? og_cache_fits(t->file.fd, t->size, &t->digest) : fits_memory(t->fd, t->size, &t->digest);
	if (t->file.fd < 0) {
		if (og_memfd_seal(t->fd, &t->err) < 0)
			t->verified = false;	/* then whoever reads it looks for himself */
		return;
	}
	if (!t->verified) {
		og_cache_dir_drop(d, &t->file, &t->fd);
		return;
	}
	if (og_cache_dir_keep(d, &t->file, &t->digest, &t->fd, &t->err) < 0)
		t->file.tmp[0] = '\0';
}

static void run_put(struct og_cache_dir *d, struct task *t)
{
	int fd = -1;

	if (og_cache_dir_find(d, &t->digest, t->size, &fd)) {
		og_fd_close(&fd);
		return;
	}
	if (og_cache_dir_create(d, t->size, &t->file, &t->err) < 0)
		return;
	if (og_fd_pwrite_all(t->file.fd, t->bytes, 0, &t->err) < 0 ||
	    og_cache_dir_keep(d, &t->file, &t->digest, &fd, &t->err) < 0)
		og_cache_dir_drop(d, &t->file, NULL);
	og_fd_close(&fd);
}

static void run(struct og_cache *c, struct task *t)
{
	switch (t->kind) {
	case TASK_OPEN:
		if (og_cache_dir_open(&c->dir, c->path, c->limit, &t->err) < 0)
			og_cache_dir_close(&c->dir);
		return;
	case TASK_FIND:
		if (c->dir.fd >= 0)
			run_find(&c->dir, t);
		return;
	case TASK_KEEP:
		run_keep(&c->dir, t);
		return;
	case TASK_PUT:
		if (c->dir.fd >= 0)
			run_put(&c->dir, t);
		return;
	}
}

static void *thread_main(void *arg)
{
	struct og_cache *c = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct task *t = queue_take(&c->todo);

		if (!t) {
			pthread_cond_wait(&c->wake, &c->lock);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		run(c, t);
		pthread_mutex_lock(&c->lock);
		if (c->dir.fd >= 0)
			c->seen = (struct og_cache_stats){ .bytes = c->dir.bytes, .limit = c->dir.limit, .evicted = c->dir.evicted,
							   .damaged = c->dir.damaged };
		queue_put(&c->done, t);
		if (write(c->done_fd, &one, sizeof(one)) < 0)
			continue;	/* a full counter wakes the loop as well */
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void start_task(struct og_cache *c, struct task *t, enum task_kind kind, void (*done)(struct og_cache *c, struct task *t))
{
	t->kind = kind;
	t->done = done;
	t->err.code = 0;
	pthread_mutex_lock(&c->lock);
	queue_put(&c->todo, t);
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct og_cache *c = arg;
	struct task *t;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	for (;;) {
		pthread_mutex_lock(&c->lock);
		t = queue_take(&c->done);
		pthread_mutex_unlock(&c->lock);
		if (!t)
			return;
		t->done(c, t);
	}
}

/* Once, until it works again. An object that is larger than the cache is no trouble. */
static void tell_trouble(struct og_cache *c, const struct og_error *err)
{
	struct og_log_quoted q;

	if (err->code == 0 || err->code == OG_ERR_TOO_LARGE)
		return;
	if (!c->troubled)
		og_log(OG_LOG_WARN, "cache.trouble", "dir=%s text=%s", c->path, og_log_quote(&q, err->message));
	c->troubled = true;
}

/* ---- an object for whoever asked ---- */

static void flight_free(struct flight *f)
{
	while (f->waiters) {
		struct waiter *w = f->waiters;

		f->waiters = w->next;
		free(w);
	}
	og_fd_close(&f->task.fd);
	og_cache_dir_drop(&f->c->dir, &f->task.file, NULL);
	free(f->key);
	free(f);
}

static void unlink_flight(struct flight *f)
{
	struct flight **at = &f->c->flights;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
}

static void on_put(struct og_cache *c, struct task *t);

/* To all that wait; each has a descriptor of its own. */
static void complete(struct flight *f, const struct og_cache_result *res)
{
	struct og_cache *c = f->c;

	/* Who asks for it now asks anew. */
	unlink_flight(f);
	while (f->waiters) {
		struct waiter *w = f->waiters;
		struct og_cache_result r = *res;
		struct og_error err = { 0 };

		f->waiters = w->next;
		r.fd = -1;
		if (r.code == 0) {
			r.fd = fcntl(f->task.fd, F_DUPFD_CLOEXEC, 0);
			if (r.fd < 0) {
				r.code = og_error_sys(&err, errno, "a descriptor");
				r.err = &err;
			}
		}
		w->cb(w->arg, &r);
		og_fd_close(&r.fd);
		free(w);
	}
	flight_free(f);
	for (struct keeping *k = c->flights ? NULL : c->keepings; k; k = k->next)
		if (k->waits) {
			k->waits = false;
			start_task(c, &k->task, TASK_PUT, on_put);
		}
}

static void on_kept(struct og_cache *c, struct task *t)
{
	struct og_cache_result res = { .code = t->failed.code, .err = t->failed.code < 0 ? &t->failed : NULL, .size = t->size, .verified = t->verified };
	struct flight *f = (struct flight *)t;

	/* What came into memory for whoever maps it gets into the folder behind that. */
	if (t->sealed && !t->copy && t->verified)
		og_cache_put_fd(c, &(struct og_cache_object){ .digest = t->digest, .size = t->size }, t->fd);
	tell_trouble(c, &f->disk);
	tell_trouble(c, &t->err);
	if (t->file.tmp[0] && t->err.code == 0 && t->verified)
		c->troubled = false;
	complete(f, &res);
}

static void fetch(struct flight *f);

static void on_fetched(void *arg, struct og_store_result *sr)
{
	struct flight *f = arg;
	struct task *t = &f->task;
	struct og_cache_result res = { .code = sr->code, .err = sr->err, .size = sr->size };

	if (sr->code == OG_ERR_IO && t->file.fd >= 0) {
		/* The disk's fault, or the store's, which will say so again. */
		f->disk = *sr->err;
		og_cache_dir_drop(&f->c->dir, &t->file, NULL);
		fetch(f);
		return;
	}
	if (sr->code == 0 && t->file.fd < 0) {
		t->fd = sr->fd;
		sr->fd = -1;
	}
	t->copy = f->c->store->local;
	if (sr->code == 0 && sr->size == t->size) {
		start_task(f->c, t, TASK_KEEP, on_kept);
		return;
	}
	og_cache_dir_drop(&f->c->dir, &t->file, sr->code == 0 ? &t->fd : NULL);
	complete(f, &res);
}

static void fetch(struct flight *f)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = f->key, .len = OG_STORE_TO_END, .want_fd = true };

	req.into = f->task.file.fd >= 0;
	req.into_fd = f->task.file.fd;
	og_store_submit(f->c->store, &req, on_fetched, f);
}

static void on_found(struct og_cache *c, struct task *t)
{
	struct og_cache_result res = { .size = t->size, .verified = true };

	tell_trouble(c, &t->err);
	if (t->fd < 0) {
		og_error_clear(&t->failed);
		c->misses++;
		fetch((struct flight *)t);
		return;
	}
	c->hits++;
	complete((struct flight *)t, &res);
}

/* ---- a store that needs no cache ---- */

static void on_local(void *arg, struct og_store_result *sr)
{
	struct waiter *w = arg;
	struct og_cache_result res = { .code = sr->code, .err = sr->err, .fd = sr->fd, .size = sr->size };

	sr->fd = -1;
	w->cb(w->arg, &res);
	og_fd_close(&res.fd);
	free(w);
}

static void on_failure(void *arg, struct og_store_result *sr)
{
	struct waiter *w = arg;
	struct og_cache_result res = { .code = sr->code, .err = sr->err, .fd = -1 };

	w->cb(w->arg, &res);
	free(w);
}

/* ---- the interface ---- */

static struct flight *flight_find(struct og_cache *c, const struct og_cache_object *o)
{
	struct flight *f = c->flights;

	while (f && !(f->task.sealed == o->sealed && og_digest_eq(&f->task.digest, &o->digest)))
		f = f->next;
	return f;
}

static struct flight *flight_new(struct og_cache *c, const struct og_cache_object *o)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->c = c;
	f->key = strdup(o->key);
	if (!f->key) {
		free(f);
		return NULL;
	}
	f->task.digest = o->digest;
	f->task.size = o->size;
	f->task.sealed = o->sealed;
	f->task.fd = f->task.file.fd = -1;
	f->next = c->flights;
	c->flights = f;
	if (c->store->local)
		fetch(f);
	else
		start_task(c, &f->task, TASK_FIND, on_found);
	return f;
}

void og_cache_get(struct og_cache *c, const struct og_cache_object *o, og_cache_cb cb, void *arg)
{
	struct waiter *w = malloc(sizeof(*w)), **end;
	struct flight *f;

	/* Without these few bytes nobody could be told. */
	if (!w)
		abort();
	*w = (struct waiter){ cb, arg, NULL };
	if (c->store->local && !o->sealed) {
		og_store_get_fd(c->store, o->key, on_local, w);
		return;
	}
	f = flight_find(c, o);
	if (!f)
		f = flight_new(c, o);
	if (!f) {
		struct og_error err = { 0 };

		og_error_nomem(&err);
		og_store_defer(c->store, err.code, &err, on_failure, w);
		return;
	}
	for (end = &f->waiters; *end; end = &(*end)->next)
		;
	*end = w;
}

static void keeping_end(struct og_cache *c, struct keeping *k)
{
	struct keeping **at = &c->keepings;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	c->keeping_bytes -= k->task.size;
	k->done(k->arg);
	og_cache_dir_drop(&c->dir, &k->task.file, NULL);
	free(k);
}

static void on_put(struct og_cache *c, struct task *t)
{
	tell_trouble(c, &t->err);
	keeping_end(c, (struct keeping *)t);
}

void og_cache_put(struct og_cache *c, const struct og_cache_object *o, struct og_slice bytes, void (*done)(void *arg), void *arg)
{
	struct keeping *k = NULL;

	/* A disk slower than the store must not keep a whole load in memory. */
	if (c->path && !c->store->local && o->size <= KEEPING_MAX - c->keeping_bytes)
		k = calloc(1, sizeof(*k));
	if (!k) {
		done(arg);
		return;
	}
	k->task.digest = o->digest;
	k->task.size = o->size;
	k->task.bytes = bytes;
	k->task.fd = k->task.file.fd = -1;
	k->done = done;
	k->arg = arg;
	k->next = c->keepings;
	c->keepings = k;
	c->keeping_bytes += o->size;
	k->waits = c->flights != NULL;
	if (!k->waits)
		start_task(c, &k->task, TASK_PUT, on_put);
}

static void unmap(void *arg)
{
	og_unmap(arg);
	free(arg);
}

void og_cache_put_fd(struct og_cache *c, const struct og_cache_object *o, int fd)
{
	struct og_slice *map = c->path ? malloc(sizeof(*map)) : NULL;
	struct og_error ignored = { 0 };

	if (map && og_map_file(fd, o->size, map, &ignored) == 0)
		og_cache_put(c, o, *map, unmap, map);
	else
		free(map);
}

void og_cache_stats(struct og_cache *c, struct og_cache_stats *out)
{
	pthread_mutex_lock(&c->lock);
	*out = c->seen;
	pthread_mutex_unlock(&c->lock);
	out->hits = c->hits;
	out->misses = c->misses;
}

/* ---- life ---- */

static void on_opened(struct og_cache *c, struct task *t)
{
	tell_trouble(c, &t->err);
}

static int start_thread(struct og_cache *c, struct og_error *err)
{
	sigset_t all, old;
	int rc;

	/* Signals are the loop's; also a file size limit must come back as EFBIG, not as a signal. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&c->thread, NULL, thread_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->started = rc == 0;
	return rc ? og_error_sys(err, rc, "starting the cache's thread") : 0;
}

struct og_cache *og_cache_new(const struct og_cache_config *config, struct og_error *err)
{
	struct og_cache *c = calloc(1, sizeof(*c));
	int e;

	if (!c) {
		og_error_nomem(err);
		return NULL;
	}
	c->store = config->store;
	c->limit = config->limit;
	c->dir.fd = c->done_fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	queue_init(&c->todo);
	queue_init(&c->done);
	if (!c->store->local && config->dir && config->limit && !(c->path = strdup(config->dir))) {
		og_error_nomem(err);
		goto fail;
	}
	c->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->done_fd < 0) {
		e = errno;
		og_error_sys(err, e, "eventfd");
		goto fail;
	}
	c->done_ev = event_new(c->store->base, c->done_fd, EV_READ | EV_PERSIST, on_done, c);
	if (!c->done_ev || event_add(c->done_ev, NULL) < 0) {
		og_error_nomem(err);
		goto fail;
	}
	if (start_thread(c, err) < 0)
		goto fail;
	if (c->path)
		start_task(c, &c->opening, TASK_OPEN, on_opened);
	return c;
fail:
	og_cache_free(c);
	return NULL;
}

void og_cache_free(struct og_cache *c)
{
	if (!c)
		return;
	if (c->started) {
		pthread_mutex_lock(&c->lock);
		c->stop = true;
		pthread_cond_signal(&c->wake);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	while (c->flights) {
		struct flight *f = c->flights;

		c->flights = f->next;
		flight_free(f);
	}
	while (c->keepings)
		keeping_end(c, c->keepings);
	og_cache_dir_close(&c->dir);
	if (c->done_ev)
		event_free(c->done_ev);
	og_fd_close(&c->done_fd);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c->path);
	free(c);
}
