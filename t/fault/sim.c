/* Virtual time, and object stores in memory that misbehave. */
#include "config.h"

#include "t/fault/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "format/logobj.h"

#define EPOCH_US (UINT64_C(1700000000) * SIM_SECOND)

/* ---- chance ---- */

static uint64_t rng;

static uint64_t draw(void)
{
	/* splitmix64, Steele, Lea and Flood 2014 */
	uint64_t z = (rng += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t sim_rand(uint64_t below)
{
	return below ? draw() % below : 0;
}

bool sim_chance(double p)
{
	return (double)(draw() >> 11) * 0x1p-53 < p;
}

uint64_t sim_delay(uint64_t mean_us)
{
	uint64_t d = sim_rand(mean_us) + sim_rand(mean_us) * sim_rand(2);

	return sim_rand(40) ? d : 10 * d;
}

ssize_t getrandom(void *out, size_t n, unsigned flags)
{
	(void)flags;
	for (size_t i = 0; i < n; i++)
		((uint8_t *)out)[i] = (uint8_t)draw();
	return (ssize_t)n;
}

/* ---- time ---- */

struct due {
	uint64_t when, nr;
	void (*f)(void *arg);
	void *arg;
};

static uint64_t now = SIM_SECOND;
static struct due *heap;
static size_t nheap, cap_heap;
static uint64_t heap_nr;
static uint64_t run_end;
static struct event_base *running;
static int socket_ms;
static bool quiet;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t t = id == CLOCK_REALTIME ? EPOCH_US + now : now;

	ts->tv_sec = (time_t)(t / SIM_SECOND);
	ts->tv_nsec = (long)(t % SIM_SECOND) * 1000;
	return 0;
}

/* Instead of waiting, time goes on: to the loop's next timer, to what is due here, or to the end. */
int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	/* Once nothing has moved for so long, nothing will before time goes on; a moment is enough then. */
	int ms = quiet ? OG_MIN(socket_ms, 1) : socket_ms;
	int n = (int)syscall(SYS_epoll_pwait, fd, events, max, timeout ? ms : 0, NULL, 8);
	uint64_t to = nheap ? OG_MIN(heap[0].when, run_end) : run_end;

	if (n != 0)
		quiet = false;
	if (n != 0 || timeout == 0)
		return n;
	quiet = true;
	if (timeout > 0)
		to = OG_MIN(to, now + (uint64_t)timeout * 1000);
	now = OG_MAX(now, to);
	/* The loop returns for events of its own alone; what is due here is no such thing. */
	if (to == run_end || (nheap && heap[0].when <= now))
		event_base_loopbreak(running);
	return 0;
}

static bool before(const struct due *a, const struct due *b)
{
	return a->when != b->when ? a->when < b->when : a->nr < b->nr;
}

void sim_at(uint64_t when, void (*f)(void *arg), void *arg)
{
	struct due d = { OG_MAX(when, now), heap_nr++, f, arg };
	size_t i;

	if (nheap == cap_heap) {
		cap_heap = cap_heap ? 2 * cap_heap : 256;
		heap = reallocarray(heap, cap_heap, sizeof(*heap));
		if (!heap)
			abort();
	}
	for (i = nheap++; i && before(&d, &heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = d;
}

static struct due take_due(void)
{
	struct due first = heap[0], last = heap[--nheap];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < nheap) {
		if (k + 1 < nheap && before(&heap[k + 1], &heap[k]))
			k++;
		if (!before(&heap[k], &last))
			break;
		heap[i] = heap[k];
		i = k;
	}
	heap[i] = last;
	return first;
}

void sim_run(struct event_base *base, uint64_t end, const bool *stop)
{
	run_end = end;
	running = base;
	while (now < end && !*stop) {
		struct due d;

		/* 1: it has no events at all, and would not have waited. */
		if (event_base_loop(base, EVLOOP_ONCE) == 1)
			now = OG_MAX(now, nheap ? OG_MIN(heap[0].when, end) : end);
		/* What became active must run before time or anything else goes on. */
		while (event_base_get_num_events(base, EVENT_BASE_COUNT_ACTIVE) > 0)
			event_base_loop(base, EVLOOP_NONBLOCK);
		if (!nheap || heap[0].when > now)
			continue;
		d = take_due();
		d.f(d.arg);
	}
}

void sim_sockets(int ms)
{
	socket_ms = ms;
}

void sim_forget(void)
{
	nheap = 0;
}

void sim_start(uint64_t seed)
{
	rng = seed * UINT64_C(0xd1342543de82ef95) + 1;
	now = SIM_SECOND;
	heap_nr = 0;
	sim_forget();
}

uint64_t sim_now(void)
{
	return now;
}

/* ---- objects ---- */

void sim_bucket_init(struct sim_bucket *b, bool directory)
{
	*b = (struct sim_bucket){ .directory = directory, .travel_us = 5000, .patience_us = 2 * SIM_SECOND, .page = -1 };
}

void sim_bucket_fini(struct sim_bucket *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->v[i].key);
		free(b->v[i].bytes);
	}
	free(b->v);
	if (b->page >= 0)
		close(b->page);
}

/* The first whose key is not below. */
static size_t place(const struct sim_bucket *b, const char *key)
{
	size_t lo = 0, hi = b->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (strcmp(b->v[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct sim_object *find(const struct sim_bucket *b, const char *key)
{
	size_t i = place(b, key);

	return i < b->n && !strcmp(b->v[i].key, key) ? &b->v[i] : NULL;
}

const struct sim_object *sim_object(const struct sim_bucket *b, const char *key)
{
	return find(b, key);
}

static bool log_seq(const char *key, uint64_t *seq)
{
	const char *name = strrchr(key, '/');

	return strstr(key, "log/") && name && og_key_parse_log(name + 1, seq);
}

const struct sim_object *sim_log_object(const struct sim_bucket *b, uint64_t seq)
{
	uint64_t s;

	for (size_t i = 0; i < b->n; i++)
		if (log_seq(b->v[i].key, &s) && s == seq)
			return &b->v[i];
	return NULL;
}

static void drop(struct sim_bucket *b, struct sim_object *o)
{
	free(o->key);
	free(o->bytes);
	memmove(o, o + 1, (size_t)(b->v + b->n - (o + 1)) * sizeof(*o));
	b->n--;
}

static void store(struct sim_bucket *b, const char *key, const char *bytes, size_t len)
{
	struct sim_object *o = find(b, key);
	bool fresh = !o;
	uint64_t seq;

	if (fresh) {
		size_t i = place(b, key);

		if (b->n == b->cap) {
			b->cap = b->cap ? 2 * b->cap : 64;
			b->v = reallocarray(b->v, b->cap, sizeof(*b->v));
			if (!b->v)
				abort();
		}
		o = b->v + i;
		memmove(o + 1, o, (b->n++ - i) * sizeof(*o));
		*o = (struct sim_object){ .key = strdup(key), .born = now };
	}
	free(o->bytes);
	o->bytes = malloc(len + 1);
	if (!o->key || !o->bytes)
		abort();
	memcpy(o->bytes, bytes, len);
	o->len = len;
	o->durable = !b->directory;
	if (!fresh || !log_seq(key, &seq))
		return;
	b->landed = OG_MAX(b->landed, seq);
	if (b->landing)
		b->landing(b->arg, seq);
}

static bool in_folder(const char *key, const char *folder)
{
	size_t n = strlen(folder);

	return !strncmp(key, folder, n) && !strchr(key + n, '/');
}

/* fsync(folder) */
static void sync_folder(struct sim_bucket *b, const char *folder)
{
	for (size_t i = 0; i < b->n; i++)
		if (in_folder(b->v[i].key, folder))
			b->v[i].durable = true;
}

static void sync_of(struct sim_bucket *b, const char *key)
{
	char folder[OG_STORE_KEY_MAX + 1];
	char *end;

	snprintf(folder, sizeof(folder), "%s", key);
	end = strrchr(folder, '/');
	*(end ? end + 1 : folder) = 0;
	sync_folder(b, folder);
}

void sim_power_cut(struct sim_bucket *b)
{
	uint64_t seq;

	for (size_t i = b->n; i-- > 0;) {
		struct sim_object *o = &b->v[i];
		bool last = log_seq(o->key, &seq) && seq == b->landed;

		if (b->lie == SIM_NO_SYNC && last && seq > 1)
			b->lies++;
		else if (o->durable || sim_rand(2))
			continue;
		drop(b, o);
	}
	for (size_t i = 0; i < b->n; i++)
		b->v[i].durable = true;
	b->landed = 0;
	for (size_t i = 0; i < b->n; i++)
		if (log_seq(b->v[i].key, &seq))
			b->landed = OG_MAX(b->landed, seq);
	if (b->page >= 0)
		close(b->page);
	b->page = -1;
}

/* ---- a host's store ---- */

struct sim_store {
	struct og_store store;		/* first */
	struct sim_bucket *bucket;
	struct request *open;		/* those whose sender waits */
	bool dead, off;
};

struct request {
	struct request *next, **link;	/* in s->open; link NULL: answered */
	unsigned refs;
	struct sim_store *s;
	struct sim_bucket *bucket;
	enum og_store_op op;
	char *key, *after;
	char *bytes;			/* of a put; of the answer to a get */
	size_t len;
	struct og_store_tag tag;
	uint64_t offset, want, limit;
	bool settle;
	bool dead;			/* will not arrive any more */
	bool lasting;			/* no repetition will tell */
	int code;			/* what the store says */
	uint64_t size;
	char **keys;			/* delete of many; answer of a list */
	struct og_store_item *items;
	size_t nkeys;
	bool more;
	uint64_t answer_after;		/* UINT64_MAX: the answer is lost */
	unsigned fault;
	og_store_cb cb;
	void *arg;
};

enum fault {
	FINE,
	REFUSED,		/* no connection */
	LOST_BEFORE,		/* never arrives, and nobody says so */
	LOST_AFTER,		/* arrives; no answer */
	LATE,			/* arrives long after its sender gave up */
	TWICE,			/* something on the way sends it again, and the second answer is heard */
	BUSY,			/* 503, 409: nothing happened; said to be unknown by the client */
	FALSE_412,		/* a put if absent is answered EXISTS, and nothing is there */
	DENIED,			/* nothing happened, for sure */
	SLOW,
	STALE_LIST,		/* as it was some time ago */
	NO_FSYNC,		/* a directory's: the name is there, and its folder could not be synced */
	NFAULTS,
};

const char *sim_fault_name(unsigned kind)
{
	static const char *const names[] = { "fine", "refused", "lost before", "lost after", "late", "twice", "busy", "false 412",
					     "denied", "slow", "stale list", "no fsync" };

	return kind < OG_COUNT(names) ? names[kind] : NULL;
}

static void unref(struct request *r)
{
	if (--r->refs)
		return;
	for (size_t i = 0; i < r->nkeys; i++)
		free(r->keys[i]);
	free(r->keys);
	free(r->items);
	free(r->key);
	free(r->after);
	free(r->bytes);
	free(r);
}

static void answer(struct request *r, int code)
{
	struct og_store_result res = { .code = code, .fd = -1 };
	struct og_error err = { 0 };
	og_store_cb cb = r->cb;

	if (!r->link)
		return;
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	r->link = NULL;
	if (code < 0) {
		og_error_set(&err, code, "simulated store: %s of '%s': %s", og_store_op_name(r->op), r->key, sim_fault_name(r->fault));
		res.err = &err;
		res.lasting = r->lasting;
	} else if (r->op == OG_STORE_GET && !r->settle) {
		res.body = og_slice(r->bytes, r->len);
		res.size = r->size;
	} else if (r->op == OG_STORE_LIST) {
		res.items = r->items;
		res.nitems = r->nkeys;
		res.more = r->more;
	}
	res.size = r->size;
	res.tag = r->tag;
	cb(r->arg, &res);
	unref(r);
}

static bool writes(enum og_store_op op)
{
	return op != OG_STORE_GET && op != OG_STORE_HEAD && op != OG_STORE_LIST;
}

static void run_answer(void *arg)
{
	struct request *r = arg;

	if (r->bucket->directory && r->code == 0 && writes(r->op) && !r->dead)
		sync_of(r->bucket, r->key);
	answer(r, r->code);
	unref(r);
}

static void run_give_up(void *arg)
{
	struct request *r = arg;

	answer(r, writes(r->op) ? OG_ERR_UNKNOWN : OG_ERR_UNAVAILABLE);
	unref(r);
}

static struct og_store_tag tag_of(const struct sim_object *o)
{
	struct og_store_tag t;

	snprintf(t.s, sizeof(t.s), "%016llx", (unsigned long long)og_hash(og_slice(o->bytes, o->len)));
	return t;
}

static void list(struct request *r)
{
	struct sim_bucket *b = r->bucket;
	uint64_t as_of = r->fault == STALE_LIST ? now - OG_MIN(now, sim_rand(3 * SIM_SECOND)) : now;
	size_t n = strlen(r->key);

	r->keys = calloc(b->n + 1, sizeof(*r->keys));
	r->items = calloc(b->n + 1, sizeof(*r->items));
	if (!r->keys || !r->items)
		abort();
	for (size_t i = 0; i < b->n; i++) {
		const struct sim_object *o = &b->v[i];

		if (strncmp(o->key, r->key, n) || (r->after && strcmp(o->key, r->after) <= 0) || o->born > as_of)
			continue;
		if (r->nkeys == r->limit) {
			r->more = true;
			break;
		}
		r->keys[r->nkeys] = strdup(o->key);
		r->items[r->nkeys] = (struct og_store_item){ r->keys[r->nkeys], o->len };
		r->nkeys++;
	}
}

static int get(struct request *r, const struct sim_object *o)
{
	uint64_t seq;

	if (r->bucket->lie == SIM_OLD_GET && o && log_seq(o->key, &seq) && now - o->born < 300000) {
		r->bucket->lies++;
		return OG_ERR_NOT_FOUND;
	}
	if (!o)
		return OG_ERR_NOT_FOUND;
	r->size = o->len;
	r->tag = tag_of(o);
	if (r->op == OG_STORE_HEAD)
		return 0;
	r->len = r->offset < o->len ? (size_t)OG_MIN(r->want, o->len - r->offset) : 0;
	free(r->bytes);
	r->bytes = malloc(r->len + 1);
	if (!r->bytes)
		abort();
	memcpy(r->bytes, o->bytes + OG_MIN(r->offset, o->len), r->len);
	return 0;
}

static int put(struct request *r, const struct sim_object *o)
{
	struct sim_bucket *b = r->bucket;
	struct og_store_tag tag;
	uint64_t seq;

	if (r->op == OG_STORE_PUT_ABSENT && b->lie == SIM_ACK_WITHOUT_STORING && !o && log_seq(r->key, &seq) && !sim_rand(20)) {
		b->lies++;
		return 0;
	}
	if (r->op == OG_STORE_PUT_ABSENT && o) {
		if (b->lie != SIM_PUT_OVER)
			return OG_ERR_EXISTS;
		b->lies++;
	}
	if (r->op == OG_STORE_PUT_MATCH) {
		if (!o)
			return OG_ERR_NOT_FOUND;
		tag = tag_of(o);
		if (strcmp(tag.s, r->tag.s))
			return OG_ERR_MISMATCH;
	}
	store(b, r->key, r->bytes, r->len);
	if (b->lie == SIM_LOSE && log_seq(r->key, &seq) && seq > 3 && !sim_rand(20)) {
		b->lies++;
		drop(b, find(b, r->key));
	}
	return 0;
}

/* The request takes effect. */
static int effect(struct request *r)
{
	struct sim_object *o = find(r->bucket, r->key);

	if (r->settle) {
		sync_folder(r->bucket, r->key);
		return 0;
	}
	switch (r->op) {
	case OG_STORE_GET:
	case OG_STORE_HEAD:
		return get(r, o);
	case OG_STORE_PUT:
	case OG_STORE_PUT_ABSENT:
	case OG_STORE_PUT_MATCH:
		return put(r, o);
	case OG_STORE_DELETE:
		if (o)
			drop(r->bucket, o);
		return 0;
	case OG_STORE_DELETE_MANY:
		for (size_t i = 0; i < r->nkeys; i++)
			if ((o = find(r->bucket, r->keys[i])))
				drop(r->bucket, o);
		return 0;
	case OG_STORE_LIST:
		list(r);
		return 0;
	}
	return OG_ERR_BAD;
}

static void run_arrive(void *arg)
{
	struct request *r = arg;

	if (!r->dead) {
		r->code = effect(r);
		if (r->fault == TWICE)
			r->code = effect(r);
		if (r->fault == NO_FSYNC && r->code == 0) {
			r->code = OG_ERR_UNKNOWN;
			r->lasting = true;
		}
		if (r->answer_after != UINT64_MAX) {
			sim_at(now + r->answer_after, run_answer, r);
			return;
		}
	}
	unref(r);
}

static void fail(struct request *r, int code, uint64_t after)
{
	r->code = code;
	r->dead = true;
	r->refs++;
	sim_at(now + after, run_answer, r);
}

static enum fault choose(struct request *r)
{
	static const enum fault s3[] = { REFUSED, LOST_BEFORE, LOST_AFTER, LOST_AFTER, LATE, LATE, TWICE, BUSY, FALSE_412, DENIED, SLOW,
					 STALE_LIST };
	static const enum fault dir[] = { DENIED, DENIED, SLOW, SLOW, SLOW, NO_FSYNC };
	struct sim_bucket *b = r->bucket;
	enum fault f;

	if (r->s->off || b->out)
		return sim_rand(4) ? LOST_BEFORE : REFUSED;
	if (!sim_chance(b->faults))
		return FINE;
	f = b->directory ? dir[sim_rand(OG_COUNT(dir))] : s3[sim_rand(OG_COUNT(s3))];
	if (r->op == OG_STORE_LIST && !b->directory && sim_rand(2))
		f = STALE_LIST;
	if ((f == FALSE_412 && r->op != OG_STORE_PUT_ABSENT) || (f == STALE_LIST && r->op != OG_STORE_LIST) ||
	    (f == TWICE && r->op == OG_STORE_LIST) || (f == NO_FSYNC && r->op != OG_STORE_PUT_ABSENT))
		return FINE;
	return f;
}

static void depart(struct request *r)
{
	struct sim_bucket *b = r->bucket;
	uint64_t travel = sim_delay(b->travel_us);
	int unknown = writes(r->op) ? OG_ERR_UNKNOWN : OG_ERR_UNAVAILABLE;

	r->fault = choose(r);
	b->met[r->fault]++;
	r->answer_after = sim_delay(b->travel_us);
	if (b->faults <= 0) {		/* nor so slow that anybody would give up */
		travel = OG_MIN(travel, b->patience_us / 4);
		r->answer_after = OG_MIN(r->answer_after, b->patience_us / 4);
	}
	switch ((enum fault)r->fault) {
	case REFUSED:
	case BUSY:
		fail(r, unknown, travel);
		return;
	case FALSE_412:
		fail(r, OG_ERR_EXISTS, travel);
		return;
	case DENIED:
		fail(r, writes(r->op) ? OG_ERR_IO : OG_ERR_UNAVAILABLE, travel);
		return;
	case LOST_BEFORE:
		r->dead = true;
		r->refs++;
		sim_at(now + b->patience_us, run_give_up, r);
		return;
	case LOST_AFTER:
		r->answer_after = UINT64_MAX;
		break;
	case LATE:
		travel = b->patience_us + sim_rand(10 * SIM_SECOND);
		r->answer_after = UINT64_MAX;
		break;
	case SLOW:
		travel += sim_rand(b->patience_us);
		break;
	case FINE:
	case TWICE:
	case STALE_LIST:
	case NO_FSYNC:
	case NFAULTS:
		break;
	}
	/* A directory's calls take their time; nobody gives up. */
	if (!b->directory) {
		r->refs++;
		sim_at(now + b->patience_us, run_give_up, r);
	}
	r->refs++;
	sim_at(now + travel, run_arrive, r);
}

static struct request *request_new(struct sim_store *s, const char *key, og_store_cb cb, void *arg)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r || !(r->key = strdup(key ? key : "")))
		abort();
	r->s = s;
	r->bucket = s->bucket;
	r->cb = cb;
	r->arg = arg;
	r->refs = 1;
	r->next = s->open;
	if (r->next)
		r->next->link = &r->next;
	r->link = &s->open;
	s->open = r;
	return r;
}

static void sim_submit(struct og_store *store, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	struct sim_store *s = (struct sim_store *)store;
	struct request *r = request_new(s, req->key, cb, arg);
	struct og_buf b = { 0 };

	r->op = req->op;
	r->offset = req->offset;
	r->want = req->len;
	r->limit = req->limit ? req->limit : OG_STORE_PAGE_MAX;
	if (req->after)
		r->after = strdup(req->after);
	if (req->tag)
		r->tag = *req->tag;
	for (size_t i = 0; i < req->nparts; i++)
		og_buf_slice(&b, req->parts[i]);
	if (b.failed)
		abort();
	r->bytes = b.data;
	r->len = b.len;
	if (req->nkeys && !(r->keys = calloc(req->nkeys, sizeof(*r->keys))))
		abort();
	for (; r->nkeys < req->nkeys; r->nkeys++)
		r->keys[r->nkeys] = strdup(req->keys[r->nkeys]);
	if (s->dead)
		fail(r, OG_ERR_UNAVAILABLE, 0);
	else
		depart(r);
}

static void sim_settle(struct og_store *store, const char *folder, og_store_cb cb, void *arg)
{
	struct sim_store *s = (struct sim_store *)store;
	struct request *r = request_new(s, folder, cb, arg);

	r->op = OG_STORE_GET;
	r->settle = true;
	if (s->dead) {
		fail(r, OG_ERR_UNAVAILABLE, 0);
		return;
	}
	r->answer_after = 0;
	r->refs++;
	sim_at(now + (s->bucket->directory ? sim_delay(s->bucket->travel_us) : 0), run_arrive, r);
}

static int sim_page(struct og_store *store, const char *key, int *fd, struct og_error *err)
{
	struct sim_bucket *b = ((struct sim_store *)store)->bucket;

	(void)key;
	if (!b->directory)
		return og_error_set(err, OG_ERR_UNSUPPORTED, "no shared pages");
	if (b->page < 0 && ((b->page = memfd_create("page", MFD_CLOEXEC)) < 0 || ftruncate(b->page, 4096) < 0))
		abort();
	*fd = dup(b->page);
	return *fd < 0 ? og_error_set(err, OG_ERR_IO, "dup") : 0;
}

static void sim_free(struct og_store *store)
{
	og_store_fini(store);
	free(store);
}

struct og_store *sim_store_new(struct sim_bucket *b, struct event_base *base)
{
	static const struct og_store_ops ops = { .submit = sim_submit, .settle = sim_settle, .page = sim_page, .free = sim_free };
	struct sim_store *s = calloc(1, sizeof(*s));

	if (!s || og_store_init(&s->store, &ops, base, "sim", NULL) < 0) {
		free(s);
		return NULL;
	}
	s->store.shared_pages = b->directory;
	s->bucket = b;
	return &s->store;
}

void sim_store_kill(struct og_store *store)
{
	struct sim_store *s = (struct sim_store *)store;

	s->dead = true;
	while (s->open) {
		struct request *r = s->open;

		/* A call that runs on a disk may be over or not; its object is then there without having been synced. */
		r->dead = r->dead || s->bucket->directory;
		answer(r, writes(r->op) ? OG_ERR_UNKNOWN : OG_ERR_UNAVAILABLE);
	}
}

void sim_store_cut_off(struct og_store *store, bool off)
{
	((struct sim_store *)store)->off = off;
}
