/* The cache's folder. */
#include "config.h"

#include "store/cache_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/cache.h"

#define LIMIT (UINT64_C(10) * 1024 * OG_MIB)
#define TMP ".tmp."
#define PIECE (1u * OG_MIB)

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* ---- content ---- */

bool og_cache_fits(int fd, uint64_t size, const struct og_digest *digest)
{
	char *room = malloc(PIECE);
	struct og_error ignored = { 0 };
	struct og_digest_ctx ctx;
	struct og_digest have;
	bool ok = room != NULL;

	og_digest_init(&ctx, digest->kind);
	for (uint64_t at = 0; ok && at < size;) {
		size_t n = (size_t)OG_MIN(size - at, (uint64_t)PIECE);

		ok = og_fd_pread_all(fd, room, n, at, &ignored) == 0;
		if (ok)
			og_digest_update(&ctx, og_slice(room, n));
		at += n;
	}
	have = og_digest_final(&ctx);
	free(room);
	return ok && og_digest_eq(&have, digest);
}

static struct og_cache_known *known_slot(struct og_cache_dir *d, const struct og_digest *digest)
{
	return &d->known[og_digest_bits(digest) % OG_CACHE_KNOWN];
}

/* A change of content changes the time, too; a use sets the other one. */
static bool is_known(struct og_cache_dir *d, const struct og_digest *digest, const struct stat *st)
{
	const struct og_cache_known *k = known_slot(d, digest);

	return og_digest_eq(&k->digest, digest) && k->dev == st->st_dev && k->ino == st->st_ino && same_time(&k->changed, &st->st_mtim);
}

static void make_known(struct og_cache_dir *d, const struct og_digest *digest, const struct stat *st)
{
	*known_slot(d, digest) = (struct og_cache_known){ *digest, st->st_dev, st->st_ino, st->st_mtim };
}

/* ---- what is there ---- */

struct entry {
	char name[OG_SHA256_HEX + 1];
	uint64_t bytes;
	struct timespec used;
};

struct entries {
	struct entry *p;
	size_t n, cap;
};

static bool entry_add(struct entries *e, const char *name, const struct stat *st)
{
	if (e->n == e->cap) {
		size_t cap = e->cap ? 2 * e->cap : 256;
		struct entry *p = reallocarray(e->p, cap, sizeof(*p));

		if (!p)
			return false;
		e->p = p;
		e->cap = cap;
	}
	e->p[e->n].bytes = (uint64_t)st->st_size;
	e->p[e->n].used = st->st_atim;
	memcpy(e->p[e->n].name, name, strlen(name) + 1);	/* a digest */
	e->n++;
	return true;
}

/* One whose writer lives holds its lock; who has just made one and not locked it yet sees that it is gone and makes another. */
static bool is_left_over(struct og_cache_dir *d, const char *name)
{
	int fd = openat(d->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool dead = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;

	if (dead)
		(void)unlinkat(d->fd, name, 0);
	og_fd_close(&fd);
	return dead;
}

static DIR *open_list(struct og_cache_dir *d, struct og_error *err)
{
	int e, fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (list)
		return list;
	e = errno;
	og_fd_close(&fd);
	og_error_sys(err, e, "the cache's folder");
	return NULL;
}

static int list_files(struct og_cache_dir *d, struct entries *out, struct og_error *err)
{
	struct og_digest digest;
	DIR *list = open_list(d, err);
	const struct dirent *f;
	bool ok = true;

	if (!list)
		return err->code;
	d->bytes = 0;
	while (ok && (f = readdir(list))) {
		bool tmp = strncmp(f->d_name, TMP, strlen(TMP)) == 0;
		struct stat st;

		if ((!tmp && !og_digest_parse(og_slice_str(f->d_name), &digest)) ||
		    fstatat(d->fd, f->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) || (tmp && is_left_over(d, f->d_name)))
			continue;
		d->bytes += (uint64_t)st.st_size;
		ok = tmp || entry_add(out, f->d_name, &st);
	}
	closedir(list);
	return ok ? 0 : og_error_nomem(err);
}

static int by_use(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
	return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static void note_time(struct og_cache_dir *d)
{
	struct stat st;

	d->counted = fstat(d->fd, &st) == 0;
	if (d->counted)
		d->seen = st.st_mtim;
}

/* Whether somebody else has been there since we looked. */
static bool is_changed(const struct og_cache_dir *d)
{
	struct stat st;

	return !d->counted || fstat(d->fd, &st) < 0 || !same_time(&st.st_mtim, &d->seen);
}

/* Counts the files and, where there would not be room for so many more bytes, deletes the least recently used, and some more so as not to come back at once. */
static int make_room(struct og_cache_dir *d, uint64_t more, struct og_error *err)
{
	struct entries e = { 0 };
	uint64_t goal = d->limit - more;
	int rc = list_files(d, &e, err);

	if (rc == 0 && e.n && d->bytes > goal) {
		qsort(e.p, e.n, sizeof(*e.p), by_use);
		goal -= OG_MIN(goal, d->limit / 16);
		for (size_t i = 0; i < e.n && d->bytes > goal; i++) {
			if (unlinkat(d->fd, e.p[i].name, 0) < 0 && errno != ENOENT)
				continue;
			d->bytes -= OG_MIN(d->bytes, e.p[i].bytes);
			d->evicted++;
		}
	}
	free(e.p);
	note_time(d);
	return rc;
}

/* ---- the folder ---- */

/* Half of what the files could take, those that are there included. */
static uint64_t limit_by_machine(const struct og_cache_dir *d)
{
	struct statfs fs;

	if (fstatfs(d->fd, &fs) < 0 || fs.f_bsize <= 0)
		return LIMIT;
	return OG_MIN(LIMIT, (d->bytes / 2) + (uint64_t)fs.f_bavail / 2 * (uint64_t)fs.f_bsize);
}

int og_cache_dir_open(struct og_cache_dir *d, const char *path, uint64_t limit, struct og_error *err)
{
	int e, rc;

	d->limit = limit;
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0) {
		e = errno;
		return og_error_sys(err, e, "%s", path);
	}
	rc = make_room(d, 0, err);
	if (rc == 0 && limit == OG_CACHE_BY_MACHINE) {
		d->limit = limit_by_machine(d);
		rc = make_room(d, 0, err);
	}
	return rc;
}

void og_cache_dir_close(struct og_cache_dir *d)
{
	og_fd_close(&d->fd);
}

/* Not the kernel's own "now", which stands still for milliseconds. At worst the file goes earlier than it should. */
static void set_used(int fd)
{
	struct timespec t[2] = { { 0 }, { .tv_nsec = UTIME_OMIT } };

	if (clock_gettime(CLOCK_REALTIME, &t[0]) == 0)
		(void)futimens(fd, t);
}

void og_cache_dir_forget(struct og_cache_dir *d, const struct og_digest *digest, uint64_t size)
{
	struct og_digest_text name = og_digest_format(digest);

	if (unlinkat(d->fd, name.s, 0) < 0)
		return;
	d->damaged++;
	d->bytes -= OG_MIN(d->bytes, size);
}

bool og_cache_dir_find(struct og_cache_dir *d, const struct og_digest *digest, uint64_t size, int *fd)
{
	struct og_digest_text name = og_digest_format(digest);
	int f = openat(d->fd, name.s, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st = { 0 };

	if (f < 0)
		return false;
	if (fstat(f, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size &&
	    (is_known(d, digest, &st) || og_cache_fits(f, size, digest))) {
		make_known(d, digest, &st);
		set_used(f);
		*fd = f;
		return true;
	}
	og_fd_close(&f);
	og_cache_dir_forget(d, digest, (uint64_t)st.st_size);
	return false;
}

/* ---- a new file ---- */

static int create_locked(struct og_cache_dir *d, struct og_cache_file *f, struct og_error *err)
{
	struct og_ulid id;
	struct stat st;
	int e, rc;

	for (;;) {
		if ((rc = og_ulid_new(&d->ids, &id, err)) < 0)
			return rc;
		snprintf(f->tmp, sizeof(f->tmp), TMP "%s", og_ulid_format(&id).s);
		f->fd = openat(d->fd, f->tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (f->fd < 0) {
			e = errno;
			f->tmp[0] = '\0';
			return og_error_sys(err, e, "a file of the cache");
		}
		if (flock(f->fd, LOCK_EX | LOCK_NB) == 0 && fstat(f->fd, &st) == 0 && st.st_nlink > 0)
			return 0;
		/* Somebody who tidies up held it for a left-over. */
		(void)unlinkat(d->fd, f->tmp, 0);
		og_fd_close(&f->fd);
	}
}

/* Now rather than when a part of the object has come. Where room cannot be set aside it comes as it is written. */
static int set_aside(int fd, uint64_t size, struct og_error *err)
{
	int e;

	if (fallocate(fd, 0, 0, (off_t)size) == 0)
		return 0;
	e = errno;
	if (e == EOPNOTSUPP || e == ENOSYS)
		return 0;
	return og_error_sys(err, e, "room for %llu bytes in the cache", (unsigned long long)size);
}

int og_cache_dir_create(struct og_cache_dir *d, uint64_t size, struct og_cache_file *f, struct og_error *err)
{
	int rc;

	f->fd = -1;
	f->tmp[0] = '\0';
	if (size > d->limit || size > INT64_MAX || !size)
		return og_error_set(err, OG_ERR_TOO_LARGE, "%llu bytes where %llu are allowed", (unsigned long long)size,
				    (unsigned long long)d->limit);
	if ((is_changed(d) || d->bytes > d->limit - size) && (rc = make_room(d, size, err)) < 0)
		return rc;
	if (d->bytes > d->limit - size)
		return og_error_set(err, OG_ERR_TOO_LARGE, "files that come to be take all of the cache");
	if ((rc = create_locked(d, f, err)) < 0)
		return rc;
	rc = set_aside(f->fd, size, err);
	if (rc < 0)
		og_cache_dir_drop(d, f, NULL);
	else
		d->bytes += size;
	note_time(d);
	return rc;
}

int og_cache_dir_keep(struct og_cache_dir *d, struct og_cache_file *f, const struct og_digest *digest, int *fd, struct og_error *err)
{
	struct og_digest_text name = og_digest_format(digest);
	int e, read_only = openat(d->fd, f->tmp, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	set_used(f->fd);
	if (read_only < 0 || fstat(read_only, &st) < 0 || renameat(d->fd, f->tmp, d->fd, name.s) < 0) {
		e = errno;
		og_cache_dir_drop(d, f, fd);
		og_error_sys(err, e, "a file of the cache");
	} else {
		*fd = f->fd;
		f->fd = -1;
		make_known(d, digest, &st);
		note_time(d);
	}
	if (read_only >= 0) {
		(void)close(*fd);
		*fd = read_only;
	}
	return err->code;
}

void og_cache_dir_drop(struct og_cache_dir *d, struct og_cache_file *f, int *fd)
{
	if (f->fd < 0)
		return;
	(void)unlinkat(d->fd, f->tmp, 0);
	if (fd)
		*fd = f->fd;
	else
		(void)close(f->fd);
	f->fd = -1;
	f->tmp[0] = '\0';
}
