/* The host's cache of objects, before a store that counts what it is asked. */
#include "config.h"

#include "t/unit/suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/fd.h"
#include "store/cache.h"

#define SIZE 10000u
#define OBJECTS 12u

/* ---- a store ---- */

struct fake {
	struct og_store store;		/* first */
	int code;			/* of the next gets */
	int into_code;			/* of those into a descriptor of the caller */
	bool spoiled;			/* answers other bytes */
	size_t len;			/* answers so many */
};

static char content[OBJECTS][SIZE];
static struct event_base *base;
static struct fake fake;
static struct og_cache *cache;
static struct og_cache_stats stats;
static struct og_error err;
static char dir[64];

struct answer {
	og_store_cb cb;
	void *arg;
	struct og_store_result res;
	struct og_error err;
};

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct answer *a = arg;

	(void)fd;
	(void)what;
	a->cb(a->arg, &a->res);
	og_fd_close(&a->res.fd);
	free(a);
}

static void fake_submit(struct og_store *s, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	static const struct timeval now = { 0, 0 };
	struct answer *a = calloc(1, sizeof(*a));
	char *bytes = content[atoi(req->key)];
	struct rlimit limit, none;
	int fd = req->into_fd;

	(void)s;
	ck_assert(req->want_fd);
	*a = (struct answer){ cb, arg, .res = { .fd = -1, .size = fake.len } };
	a->res.code = fake.code ? fake.code : req->into ? fake.into_code : 0;
	if (a->res.code) {
		a->res.err = &a->err;
		og_error_set(&a->err, a->res.code, "the store's error");
	} else {
		/* The limit is meant for the folder, not for memory. */
		getrlimit(RLIMIT_FSIZE, &limit);
		none = limit;
		none.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_FSIZE, &none);
		if (!req->into)
			ck_assert_int_eq(og_memfd_new("test", &fd, &err), 0);
		bytes[0] = (char)(bytes[0] ^ fake.spoiled);
		ck_assert_int_eq(og_fd_pwrite_all(fd, og_slice(bytes, fake.len), 0, &err), 0);
		bytes[0] = (char)(bytes[0] ^ fake.spoiled);
		setrlimit(RLIMIT_FSIZE, &limit);
		if (!req->into)
			a->res.fd = fd;
	}
	event_base_once(base, -1, EV_TIMEOUT, on_answer, a, &now);
}

static const struct og_store_ops fake_ops = { .submit = fake_submit };

/* ---- helpers ---- */

static struct og_cache *open_cache(const char *path, uint64_t limit)
{
	struct og_cache_config c = { .store = &fake.store, .dir = path, .limit = limit };
	struct og_cache *made = og_cache_new(&c, &err);

	ck_assert_msg(made != NULL, "%s", err.message);
	return made;
}

static void reopen(uint64_t limit)
{
	og_cache_free(cache);
	cache = open_cache(dir, limit);
}

static void setup(void)
{
	base = event_base_new();
	memset(&fake, 0, sizeof(fake));
	fake.len = SIZE;
	ck_assert_int_eq(og_store_init(&fake.store, &fake_ops, base, "fake://", &err), 0);
	for (unsigned i = 0; i < OBJECTS; i++)
		for (unsigned k = 0; k < SIZE; k++)
			content[i][k] = (char)((k * 2654435761u >> 13) + i);
	strcpy(dir, "/tmp/og-cache-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	cache = open_cache(dir, OG_CACHE_BY_MACHINE);
}

static void remove_all(void)
{
	DIR *d = opendir(dir);
	const struct dirent *f;

	while (d && (f = readdir(d)))
		if (f->d_name[0] != '.' || f->d_name[1] == 't')
			(void)(unlinkat(dirfd(d), f->d_name, 0) < 0 && unlinkat(dirfd(d), f->d_name, AT_REMOVEDIR));
	closedir(d);
	rmdir(dir);
}

static void teardown(void)
{
	og_cache_free(cache);
	og_store_fini(&fake.store);
	event_base_free(base);
	remove_all();
}

static struct og_cache_object object(unsigned i, char key[8])
{
	snprintf(key, 8, "%u", i);
	struct og_sha256 d = og_sha256(og_slice(content[i], SIZE));

	return (struct og_cache_object){ .key = key, .digest = og_digest_of_sha256(&d), .size = SIZE };
}

struct got {
	bool done, verified;
	int code, fd;
	uint64_t size;
};

static void on_got(void *arg, struct og_cache_result *res)
{
	struct got *g = arg;

	*g = (struct got){ true, res->verified, res->code, res->fd, res->size };
	ck_assert((res->code == 0) == (res->fd >= 0));
	ck_assert((res->code == 0) == (res->err == NULL));
	res->fd = -1;
}

static void ask(struct og_cache *c, unsigned i, struct got *g)
{
	char key[8];
	struct og_cache_object o = object(i, key);

	*g = (struct got){ .fd = -1 };
	og_cache_get(c, &o, on_got, g);
	ck_assert(!g->done);
}

static void wait_for(const bool *done)
{
	while (!*done)
		event_base_loop(base, EVLOOP_ONCE);
}

/* The bytes are those of the object; closes the descriptor. */
static void check_got(struct got *g, unsigned i)
{
	char b[SIZE];

	wait_for(&g->done);
	ck_assert_int_eq(g->code, 0);
	ck_assert(g->verified);
	ck_assert_uint_eq(g->size, SIZE);
	ck_assert_int_eq(pread(g->fd, b, SIZE, 0), SIZE);
	ck_assert_int_eq(memcmp(b, content[i], SIZE), 0);
	ck_assert_int_eq(pwrite(g->fd, b, 1, 0), -1);
	og_fd_close(&g->fd);
}

/* How many gets of the store it took to have it. */
static unsigned gets(struct og_cache *c, unsigned i)
{
	uint64_t before = fake.store.requests[OG_STORE_GET];
	struct got g;

	ask(c, i, &g);
	check_got(&g, i);
	return (unsigned)(fake.store.requests[OG_STORE_GET] - before);
}

static const char *path_of(unsigned i)
{
	static char path[200];
	struct og_sha256 sha = og_sha256(og_slice(content[i], SIZE));

	snprintf(path, sizeof(path), "%s/%s", dir, og_sha256_format(&sha).s);
	return path;
}

static uint64_t bytes_there(unsigned *files)
{
	DIR *d = opendir(dir);
	const struct dirent *f;
	uint64_t n = 0;
	struct stat st;

	*files = 0;
	while ((f = readdir(d)))
		if (fstatat(dirfd(d), f->d_name, &st, 0) == 0 && S_ISREG(st.st_mode)) {
			n += (uint64_t)st.st_size;
			++*files;
		}
	closedir(d);
	return n;
}

static unsigned files_there(void)
{
	unsigned n;

	(void)bytes_there(&n);
	return n;
}

/* ---- tests ---- */

/* ---- what is to be mapped, by its fast digest ---- */

static struct og_cache_object mapped(unsigned i, char key[8])
{
	struct og_hash128 h = og_hash128(og_slice(content[i], SIZE));

	snprintf(key, 8, "%u", i);
	return (struct og_cache_object){ .key = key, .digest = og_digest_of_hash128(&h), .size = SIZE, .sealed = true };
}

static void ask_mapped(struct og_cache *c, unsigned i, struct got *g)
{
	char key[8];
	struct og_cache_object o = mapped(i, key);

	*g = (struct got){ .fd = -1 };
	og_cache_get(c, &o, on_got, g);
	ck_assert(!g->done);
}

static void check_mapped(struct got *g, unsigned i)
{
	uint64_t size;

	wait_for(&g->done);
	ck_assert_int_eq(g->code, 0);
	ck_assert_msg(og_memfd_check(g->fd, &size, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(size, SIZE);
	check_got(g, i);
}

static unsigned gets_mapped(struct og_cache *c, unsigned i)
{
	uint64_t before = fake.store.requests[OG_STORE_GET];
	struct got g;

	ask_mapped(c, i, &g);
	check_mapped(&g, i);
	return (unsigned)(fake.store.requests[OG_STORE_GET] - before);
}

static const char *path_of_mapped(unsigned i)
{
	static char path[200];
	struct og_hash128 h = og_hash128(og_slice(content[i], SIZE));

	snprintf(path, sizeof(path), "%s/%s", dir, og_hash128_format(&h).s);
	return path;
}

/* Tasks of the thread follow each other: when a later one is done, what was to be kept is. */
static void settle(void)
{
	struct got g;

	fake.code = OG_ERR_NOT_FOUND;
	ask_mapped(cache, OBJECTS - 1, &g);
	wait_for(&g.done);
	fake.code = 0;
}

START_TEST(what_is_mapped_is_a_sealed_copy)
{
	struct stat st;

	ck_assert_uint_eq(gets_mapped(cache, 1), 1);
	settle();
	ck_assert_int_eq(stat(path_of_mapped(1), &st), 0);
	ck_assert_uint_eq(st.st_size, SIZE);
	ck_assert_uint_eq(gets_mapped(cache, 1), 0);
	reopen(OG_CACHE_BY_MACHINE);
	ck_assert_uint_eq(gets_mapped(cache, 1), 0);
	ck_assert_uint_eq(files_there(), 1);
	/* By its other digest it is another object. */
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(files_there(), 2);
	og_cache_stats(cache, &stats);
	ck_assert_uint_eq(stats.bytes, 2 * SIZE);
	ck_assert_uint_eq(stats.hits, 1);
	ck_assert_uint_eq(stats.misses, 1);
	/* Without a folder. */
	og_cache_free(cache);
	cache = open_cache(NULL, 0);
	ck_assert_uint_eq(gets_mapped(cache, 1), 1);
	ck_assert_uint_eq(gets_mapped(cache, 1), 1);
}
END_TEST

/* At rest; known to this process; and known, with nothing that tells of the change. */
START_TEST(what_is_mapped_is_compared_each_time)
{
	static const struct timespec then[2] = { { 1, 0 }, { 1, 0 } };
	int fd;

	ck_assert_uint_eq(gets_mapped(cache, 1), 1);
	settle();
	ck_assert_int_eq(utimensat(AT_FDCWD, path_of_mapped(1), then, 0), 0);
	ck_assert_uint_eq(gets_mapped(cache, 1), 0);
	fd = open(path_of_mapped(1), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "\x55", 1, SIZE / 2), 1);
	close(fd);
	if (_i == 2)
		ck_assert_int_eq(utimensat(AT_FDCWD, path_of_mapped(1), then, 0), 0);
	if (_i == 0)
		reopen(OG_CACHE_BY_MACHINE);
	ck_assert_uint_eq(gets_mapped(cache, 1), 1);
	settle();
	og_cache_stats(cache, &stats);
	ck_assert_uint_eq(stats.damaged, 1);
	ck_assert_uint_eq(gets_mapped(cache, 1), 0);
}
END_TEST

START_TEST(what_is_mapped_counts_and_goes_like_the_rest)
{
	uint64_t limit = 4 * SIZE + SIZE / 2;
	unsigned files;

	reopen(limit);
	for (unsigned i = 0; i + 1 < OBJECTS; i++) {
		ck_assert_uint_eq(i % 2 ? gets(cache, i) : gets_mapped(cache, i), 1);
		settle();
		ck_assert_uint_le(bytes_there(&files), limit);
		ck_assert_uint_ge(files, OG_MIN(i + 1, 3u));
	}
	og_cache_stats(cache, &stats);
	ck_assert_uint_eq(stats.evicted, OBJECTS - 1 - files);
	ck_assert_uint_eq(stats.bytes, files * SIZE);
	ck_assert_uint_eq(gets_mapped(cache, 10), 0);
	ck_assert_uint_eq(gets_mapped(cache, 0), 1);
}
END_TEST

/* local: a directory, whose files may be changed under whoever maps them. */
START_TEST(what_the_store_has_instead_is_told_to_who_maps_it)
{
	struct got g;

	fake.store.local = _i;
	og_cache_free(cache);
	cache = open_cache(dir, OG_CACHE_BY_MACHINE);
	ck_assert_uint_eq(gets_mapped(cache, 1), 1);
	ck_assert_uint_eq(gets_mapped(cache, 1), _i);	/* a local one is asked again */
	ck_assert_uint_eq(files_there(), !_i);
	fake.code = OG_ERR_NOT_FOUND;
	ask_mapped(cache, 2, &g);
	wait_for(&g.done);
	ck_assert_int_eq(g.code, OG_ERR_NOT_FOUND);
	fake.code = 0;
	/* Another byte; another length, which the caller sees. */
	fake.spoiled = true;
	ask_mapped(cache, 2, &g);
	wait_for(&g.done);
	ck_assert_int_eq(g.code, 0);
	ck_assert(!g.verified);
	og_fd_close(&g.fd);
	fake.spoiled = false;
	for (int more = -1; more <= 0; more++) {
		fake.len = SIZE + (size_t)more;
		ask_mapped(cache, 2, &g);
		wait_for(&g.done);
		ck_assert_int_eq(g.code, 0);
		ck_assert_uint_eq(g.size, fake.len);
		ck_assert_int_eq(g.verified, more == 0);
		og_fd_close(&g.fd);
	}
}
END_TEST

START_TEST(who_maps_and_who_reads)
{
	uint64_t before;
	struct got g[4];

	fake.store.local = _i;
	og_cache_free(cache);
	cache = open_cache(dir, OG_CACHE_BY_MACHINE);
	before = fake.store.requests[OG_STORE_GET];
	for (int i = 0; i < 3; i++)
		ask_mapped(cache, 1, &g[i]);
	for (int i = 0; i < 3; i++)
		check_mapped(&g[i], 1);
	ck_assert_uint_eq(fake.store.requests[OG_STORE_GET] - before, 1);
	if (_i)
		return;		/* an answer under way is the store's to free, which this one does not */
	ask_mapped(cache, 3, &g[3]);
	og_cache_free(cache);	/* in the middle */
	cache = NULL;
	ck_assert(!g[3].done);
}
END_TEST

/* ---- what is read ---- */

START_TEST(what_was_fetched_is_there_also_after_a_restart)
{
	struct stat st;

	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(gets(cache, 1), 0);
	ck_assert_uint_eq(gets(cache, 2), 1);
	og_cache_stats(cache, &stats);
	ck_assert_uint_eq(stats.hits, 1);
	ck_assert_uint_eq(stats.misses, 2);
	ck_assert_uint_eq(stats.bytes, 2 * SIZE);
	ck_assert_uint_gt(stats.limit, 2 * SIZE);
	ck_assert_uint_le(stats.limit, UINT64_C(10) << 30);
	reopen(OG_CACHE_BY_MACHINE);
	ck_assert_uint_eq(gets(cache, 1), 0);
	ck_assert_uint_eq(gets(cache, 2), 0);
	ck_assert_uint_eq(files_there(), 2);
	ck_assert_int_eq(stat(path_of(1), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	og_cache_stats(cache, &stats);
	ck_assert_uint_eq(stats.hits, 2);
	ck_assert_uint_eq(stats.misses, 0);
	ck_assert_uint_eq(stats.bytes, 2 * SIZE);
}
END_TEST

enum spoil { FLIP, CUT, LENGTHEN, LINK, FOLDER, SPOILS };

static void spoil(enum spoil how)
{
	const char *path = path_of(1);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	switch (how) {
	case FLIP:
		ck_assert_int_eq(pwrite(fd, "\x55", 1, SIZE - 1), 1);
		break;
	case CUT:
		ck_assert_int_eq(ftruncate(fd, SIZE - 1), 0);
		break;
	case LENGTHEN:
		ck_assert_int_eq(ftruncate(fd, SIZE + 1), 0);
		break;
	case LINK:
		ck_assert_int_eq(unlink(path), 0);
		ck_assert_int_eq(symlink("/etc/passwd", path), 0);
		break;
	case FOLDER:
		ck_assert_int_eq(unlink(path), 0);
		ck_assert_int_eq(mkdir(path, 0700), 0);
		break;
	case SPOILS:
		break;
	}
	close(fd);
}

/* In the process that compared it before, and in another one. */
START_TEST(what_does_not_fit_is_fetched_again)
{
	enum spoil how = (enum spoil)_i;

	for (int restart = 0; restart < 2; restart++) {
		ck_assert_uint_eq(gets(cache, 1), 1);
		/* A file system may tell times apart by a few milliseconds only. */
		ck_assert_int_eq(utimensat(AT_FDCWD, path_of(1), (struct timespec[2]){ { 1, 0 }, { 1, 0 } }, 0), 0);
		ck_assert_uint_eq(gets(cache, 1), 0);
		spoil(how);
		if (restart)
			reopen(OG_CACHE_BY_MACHINE);
		ck_assert_uint_eq(gets(cache, 1), 1);
		og_cache_stats(cache, &stats);
		if (how == FOLDER) {	/* nothing of ours: left alone, and in the way */
			ck_assert_int_eq(rmdir(path_of(1)), 0);
			continue;
		}
		if (how != LINK)
			ck_assert_uint_eq(stats.damaged, 1);
		ck_assert_uint_eq(gets(cache, 1), 0);
		ck_assert_int_eq(unlink(path_of(1)), 0);
	}
}
END_TEST

START_TEST(the_least_recently_used_goes)
{
	uint64_t limit = 4 * SIZE + SIZE / 2;
	unsigned files;
	struct got held;

	reopen(limit);
	ask(cache, 1, &held);
	wait_for(&held.done);
	for (unsigned i = 0; i < OBJECTS; i++) {
		gets(cache, i);
		ck_assert_uint_le(bytes_there(&files), limit);
		ck_assert_uint_ge(files, OG_MIN(i + 1, 3u));
		ck_assert_uint_eq(gets(cache, i), 0);
		/* Used again and again. */
		ck_assert_uint_eq(gets(cache, 0), 0);
	}
	og_cache_stats(cache, &stats);
	ck_assert_uint_le(stats.bytes, limit);
	ck_assert_uint_eq(stats.limit, limit);
	ck_assert_uint_eq(stats.evicted, OBJECTS - files);
	/* Whoever has one open keeps it. */
	ck_assert_int_ne(access(path_of(1), F_OK), 0);
	check_got(&held, 1);
	/* A smaller limit holds from the start. */
	reopen(2 * SIZE);
	ck_assert_uint_eq(gets(cache, 0), 0);
	ck_assert_uint_le(bytes_there(&files), 2 * SIZE);
}
END_TEST

START_TEST(no_room_at_all)
{
	reopen(SIZE - 1);
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(gets(cache, 1), 1);
	reopen(0);
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(files_there(), 0);
	og_cache_free(cache);
	cache = open_cache(NULL, OG_CACHE_BY_MACHINE);
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(gets(cache, 1), 1);
}
END_TEST

static int make_file(const char *name)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(left_overs_go_and_nothing_else)
{
	char path[200];
	int live;

	/* It tidies up as it starts. */
	og_cache_free(cache);
	cache = NULL;
	live = make_file(".tmp.live");
	ck_assert_int_eq(flock(live, LOCK_EX | LOCK_NB), 0);
	close(make_file(".tmp.dead"));
	close(make_file("README"));
	close(make_file("0123456789abcdef"));
	close(make_file("0123456789ABCDEF0123456789ABCDEF"));
	reopen(2 * SIZE);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(gets(cache, i), 1);
	snprintf(path, sizeof(path), "%s/.tmp.dead", dir);
	ck_assert_int_ne(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/.tmp.live", dir);
	ck_assert_int_eq(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/README", dir);
	ck_assert_int_eq(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/0123456789abcdef", dir);
	ck_assert_int_eq(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/0123456789ABCDEF0123456789ABCDEF", dir);
	ck_assert_int_eq(access(path, F_OK), 0);
	close(live);
}
END_TEST

START_TEST(two_users_of_a_folder)
{
	struct og_cache *other = open_cache(dir, 5 * SIZE);
	struct got a[OBJECTS], b[OBJECTS];
	unsigned files;

	reopen(5 * SIZE);
	for (unsigned turn = 0; turn < 10; turn++) {
		for (unsigned i = 0; i < OBJECTS; i++) {
			ask(cache, (i + turn) % OBJECTS, &a[i]);
			ask(other, (i * 5 + turn) % OBJECTS, &b[i]);
		}
		for (unsigned i = 0; i < OBJECTS; i++) {
			check_got(&a[i], (i + turn) % OBJECTS);
			check_got(&b[i], (i * 5 + turn) % OBJECTS);
		}
	}
	/* What one has fetched the other one has. */
	gets(other, 3);
	ck_assert_uint_eq(gets(cache, 3), 0);
	og_cache_free(other);
	reopen(5 * SIZE);
	ck_assert_uint_eq(gets(cache, 3), 0);
	ck_assert_uint_le(bytes_there(&files), 5 * SIZE);
}
END_TEST

START_TEST(who_asks_meanwhile_shares_the_fetch)
{
	struct got g[3];

	for (int folder = 0; folder < 2; folder++) {
		uint64_t before = fake.store.requests[OG_STORE_GET];

		if (!folder) {
			og_cache_free(cache);
			cache = open_cache(NULL, 0);
		} else {
			reopen(OG_CACHE_BY_MACHINE);
		}
		for (int i = 0; i < 3; i++)
			ask(cache, 1, &g[i]);
		for (int i = 0; i < 3; i++)
			wait_for(&g[i].done);
		ck_assert_int_ne(g[0].fd, g[1].fd);
		ck_assert_int_ne(g[1].fd, g[2].fd);
		for (int i = 0; i < 3; i++)
			check_got(&g[i], 1);
		ck_assert_uint_eq(fake.store.requests[OG_STORE_GET] - before, 1);
	}
}
END_TEST

/* The reason why nothing is kept costs a fetch, and no request fails. */
START_TEST(a_folder_that_does_not_work)
{
	struct rlimit limit;

	og_cache_free(cache);
	cache = open_cache("/nowhere/at/all", OG_CACHE_BY_MACHINE);
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(gets(cache, 1), 1);
	/* Nobody makes files there, root neither. */
	og_cache_free(cache);
	cache = open_cache("/proc", OG_CACHE_BY_MACHINE);
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(gets(cache, 1), 1);
	/* A disk that takes no file of that size, until it does. */
	reopen(OG_CACHE_BY_MACHINE);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = SIZE / 2;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(files_there(), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	/* One that is full in the middle: fetched once more, into memory. */
	fake.into_code = OG_ERR_IO;
	ck_assert_uint_eq(gets(cache, 1), 2);
	ck_assert_uint_eq(files_there(), 0);
	fake.into_code = 0;
	ck_assert_uint_eq(gets(cache, 1), 1);
	ck_assert_uint_eq(gets(cache, 1), 0);
}
END_TEST

START_TEST(what_the_store_says_is_handed_on)
{
	static const int codes[] = { OG_ERR_NOT_FOUND, OG_ERR_UNAVAILABLE, OG_ERR_IO };
	struct got g;

	for (size_t i = 0; i < OG_COUNT(codes); i++) {
		fake.code = codes[i];
		ask(cache, 1, &g);
		wait_for(&g.done);
		ck_assert_int_eq(g.code, codes[i]);
	}
	fake.code = 0;
	/* Other bytes than were put, or more or less of them: not kept, and to be judged by whoever asked. */
	for (int i = 0; i < 3; i++) {
		fake.spoiled = i == 0;
		fake.len = i == 1 ? SIZE - 1 : SIZE;
		ask(cache, 1, &g);
		wait_for(&g.done);
		ck_assert_int_eq(g.code, 0);
		ck_assert_uint_eq(g.size, fake.len);
		ck_assert_int_eq(g.verified, i == 2);
		ck_assert_uint_eq(files_there(), i == 2);
		og_fd_close(&g.fd);
	}
}
END_TEST

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

START_TEST(what_was_put_is_not_fetched)
{
	bool done = false;
	char key[8];
	struct og_cache_object o = object(4, key);

	og_cache_put(cache, &o, og_slice(content[4], SIZE), set_true, &done);
	wait_for(&done);
	ck_assert_uint_eq(gets(cache, 4), 0);
	done = false;
	og_cache_put(cache, &o, og_slice(content[4], SIZE), set_true, &done);
	wait_for(&done);
	ck_assert_uint_eq(files_there(), 1);
	/* Where there is no room nothing happens, and the bytes are given back. */
	reopen(SIZE - 1);
	done = false;
	og_cache_put(cache, &o, og_slice(content[4], SIZE), set_true, &done);
	wait_for(&done);
	reopen(0);
	done = false;
	og_cache_put(cache, &o, og_slice(content[4], SIZE), set_true, &done);
	ck_assert(done);
}
END_TEST

/* Nothing is left behind, and what was lent is given back. */
START_TEST(an_end_in_the_middle)
{
	struct got g[OBJECTS];
	bool done = false;
	char key[8];
	struct og_cache_object o = object(4, key);

	for (unsigned i = 0; i < OBJECTS; i++)
		ask(cache, i, &g[i]);
	og_cache_put(cache, &o, og_slice(content[4], SIZE), set_true, &done);
	og_cache_free(cache);
	cache = NULL;
	ck_assert(done);
	for (unsigned i = 0; i < OBJECTS; i++)
		ck_assert(!g[i].done);
	ck_assert_uint_le(files_there(), 1);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_was_fetched_is_there_also_after_a_restart);
	tcase_add_loop_test(tc, what_does_not_fit_is_fetched_again, 0, SPOILS);
	tcase_add_test(tc, the_least_recently_used_goes);
	tcase_add_test(tc, no_room_at_all);
	tcase_add_test(tc, left_overs_go_and_nothing_else);
	tcase_add_test(tc, two_users_of_a_folder);
	tcase_add_test(tc, who_asks_meanwhile_shares_the_fetch);
	tcase_add_test(tc, a_folder_that_does_not_work);
	tcase_add_test(tc, what_the_store_says_is_handed_on);
	tcase_add_test(tc, what_was_put_is_not_fetched);
	tcase_add_test(tc, an_end_in_the_middle);
	tcase_add_test(tc, what_is_mapped_is_a_sealed_copy);
	tcase_add_loop_test(tc, what_is_mapped_is_compared_each_time, 0, 3);
	tcase_add_test(tc, what_is_mapped_counts_and_goes_like_the_rest);
	tcase_add_loop_test(tc, what_the_store_has_instead_is_told_to_who_maps_it, 0, 2);
	tcase_add_loop_test(tc, who_maps_and_who_reads, 0, 2);
}

int main(void)
{
	return suite_run("cache", add, 60);
}
