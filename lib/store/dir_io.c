/* Blocking operations of the directory back end. */
#include "config.h"

#include "store/dir_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sha256.h"

#define GET_MAX (1024ull * OG_MIB)
#define COPY_CHUNK (256u * OG_KIB)
#define PUT_TRIES 4		/* a folder may be removed under us by somebody who tidies up */

/* How a file without a name gets one, best first. */
enum {
	LINK_EMPTY_PATH,	/* linkat(AT_EMPTY_PATH): Linux 6.10, or a capability */
	LINK_PROC,		/* linkat(/proc/self/fd/N) */
	LINK_NAMED,		/* no O_TMPFILE or no way to name it: .tmp.<ulid>, link, unlink */
	LINK_RENAME,		/* no hard links: .tmp.<ulid>, renameat2(RENAME_NOREPLACE) */
};

/* A new file, with or without a temporary name. */
struct new_file {
	int fd;
	char tmp[48];		/* "": nameless */
};

static int sys_error(const struct og_dir *d, const char *key, int errnum, struct og_error *err)
{
	return og_error_sys(err, errnum, "%s/%s", d->path, key);
}

/* ---- folders ---- */

static void folder_forget(struct og_dir_folder *f)
{
	close(f->fd);
	free(f->path);
	memset(f, 0, sizeof(*f));
}

static void folder_put(struct og_dir *d, struct og_dir_folder *f)
{
	pthread_mutex_lock(&d->lock);
	if (--f->users == 0 && f->stale)
		folder_forget(f);
	pthread_mutex_unlock(&d->lock);
}

/* Removed since it was opened: nothing can be linked into it any more. */
static bool folder_gone(struct og_dir *d, struct og_dir_folder *f)
{
	struct stat st;

	if (fstat(f->fd, &st) == 0 && st.st_nlink > 0)
		return false;
	pthread_mutex_lock(&d->lock);
	f->stale = true;
	pthread_mutex_unlock(&d->lock);
	return true;
}

static struct og_dir_folder *folder_find(struct og_dir *d, const char *path)
{
	for (size_t i = 0; i < OG_DIR_FOLDERS; i++) {
		struct og_dir_folder *f = &d->folders[i];

		if (f->path && !f->stale && !strcmp(f->path, path))
			return f;
	}
	return NULL;
}

static struct og_dir_folder *folder_slot(struct og_dir *d)
{
	struct og_dir_folder *best = NULL;

	for (size_t i = 0; i < OG_DIR_FOLDERS; i++) {
		struct og_dir_folder *f = &d->folders[i];

		if (!f->path)
			return f;
		if (f->users == 0 && (!best || f->used < best->used))
			best = f;
	}
	if (best)
		folder_forget(best);
	return best;	/* never NULL: fewer threads than slots */
}

/*
 * Makes and opens the folder, its name durable in its parent before anything appears in it: otherwise a power cut could
 * take a folder of acknowledged objects, or leave a hole where the log changes folders. Called with the lock held, so that
 * two threads do not race for a slot; making a folder is rare.
 */
static int folder_make(struct og_dir *d, const char *path, int *fd_out, struct og_error *err)
{
	char part[OG_STORE_KEY_MAX + 1];
	int rc = 0, fd = -1, parent = fcntl(d->root, F_DUPFD_CLOEXEC, 0);

	if (parent < 0)
		return sys_error(d, path, errno, err);
	for (const char *p = path; *p;) {
		const char *end = strchrnul(p, '/');

		memcpy(part, p, (size_t)(end - p));
		part[end - p] = '\0';
		if ((mkdirat(parent, part, 0777) < 0 && errno != EEXIST) ||
		    fsync(parent) < 0 ||
		    (fd = openat(parent, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
			rc = sys_error(d, path, errno, err);
			goto out;
		}
		close(parent);
		parent = fd;
		fd = -1;
		p = *end ? end + 1 : end;
	}
	*fd_out = parent;
	return 0;
out:
	close(parent);
	return rc;
}

/* The folder of a key, held until folder_put. *name points into key. */
static int folder_get(struct og_dir *d, const char *key, struct og_dir_folder **out, const char **name,
		      struct og_error *err)
{
	char path[OG_STORE_KEY_MAX + 1];
	const char *slash = strrchr(key, '/');
	size_t len = slash ? (size_t)(slash - key) : 0;
	struct og_dir_folder *f;
	int fd = -1, rc = 0;

	memcpy(path, key, len);
	path[len] = '\0';
	*name = slash ? slash + 1 : key;
	pthread_mutex_lock(&d->lock);
	f = folder_find(d, path);
	if (!f) {
		char *copy = strdup(path);

		rc = copy ? folder_make(d, path, &fd, err) : og_error_nomem(err);
		if (rc < 0) {
			free(copy);
			goto out;
		}
		f = folder_slot(d);
		*f = (struct og_dir_folder){ .path = copy, .fd = fd };
	}
	f->users++;
	f->used = ++d->clock;
	*out = f;
out:
	pthread_mutex_unlock(&d->lock);
	return rc;
}

/* ---- reading ---- */

/*
 * A client of a network file system remembers for a while that a name was not there (nfs(5), lookupcache). Attributes that are fetched from
 * the server (statx(2), AT_STATX_FORCE_SYNC) tell it of folders that have changed since, from the top down.
 */
static void look_afresh(struct og_dir *d, const char *key)
{
	char folder[OG_STORE_KEY_MAX + 1];
	struct statx st;

	strcpy(folder, key);
	(void)statx(d->root, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_CTIME | STATX_MTIME, &st);
	for (char *end = strchr(folder, '/'); end; end = strchr(end + 1, '/')) {
		*end = '\0';
		(void)statx(d->root, folder, AT_STATX_FORCE_SYNC, STATX_CTIME | STATX_MTIME, &st);
		*end = '/';
	}
}

static int open_object(struct og_dir *d, const char *key, int *fd_out, uint64_t *size, struct og_error *err)
{
	struct stat st;
	int fd = openat(d->root, key, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ENOENT && d->network) {
		look_afresh(d, key);
		fd = openat(d->root, key, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	if (fd < 0) {
		int e = errno == ENOTDIR ? ENOENT : errno;

		return sys_error(d, key, e, err);
	}
	if (fstat(fd, &st) < 0) {
		int e = errno;

		close(fd);
		return sys_error(d, key, e, err);
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return sys_error(d, key, ENOENT, err);
	}
	*fd_out = fd;
	*size = (uint64_t)st.st_size;
	return 0;
}

static int read_range(struct og_dir *d, const char *key, int fd, uint64_t offset, uint64_t len, struct og_buf *b,
		      struct og_error *err)
{
	char *p = og_buf_reserve(b, len);

	if (!p)
		return og_error_nomem(err);
	while (len) {
		ssize_t n = pread(fd, p, OG_MIN(len, (uint64_t)1 << 30), (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sys_error(d, key, errno, err);
		if (n == 0)
			return og_error_set(err, OG_ERR_IO, "%s/%s: became shorter while it was read", d->path, key);
		p += n;
		b->len += (size_t)n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int hash_object(struct og_dir *d, const char *key, int fd, struct og_store_tag *tag, struct og_error *err)
{
	char *chunk = malloc(COPY_CHUNK);
	struct og_sha256_ctx ctx;
	struct og_sha256 sum;
	ssize_t n;
	off_t at = 0;
	int e;

	if (!chunk)
		return og_error_nomem(err);
	og_sha256_init(&ctx);
	while ((n = pread(fd, chunk, COPY_CHUNK, at)) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0) {
			og_sha256_update(&ctx, og_slice(chunk, (size_t)n));
			at += n;
		}
	}
	e = errno;
	sum = og_sha256_final(&ctx);
	free(chunk);
	if (n < 0)
		return sys_error(d, key, e, err);
	strcpy(tag->s, og_sha256_format(&sum).s);
	return 0;
}

/* The body of a whole object is known by its tag; it goes if it is the one that the caller has. */
static void tag_body(const struct og_store_req *req, struct og_dir_out *out)
{
	struct og_sha256 sum = og_sha256(og_buf_view(&out->body));

	strcpy(out->tag.s, og_sha256_format(&sum).s);
	if (!req->tag || strcmp(out->tag.s, req->tag->s) != 0)
		return;
	out->same = true;
	og_buf_clear(&out->body);
}

static int run_get(struct og_dir *d, const struct og_store_req *req, struct og_dir_out *out, struct og_error *err)
{
	uint64_t max = req->max_bytes ? req->max_bytes : GET_MAX, len;
	int rc, fd = -1;

	if ((rc = open_object(d, req->key, &fd, &out->size, err)) < 0)
		return rc;
	if (req->want_fd) {
		out->fd = fd;
		return 0;
	}
	len = req->offset < out->size ? OG_MIN(out->size - req->offset, req->len) : 0;
	if (len > max)
		rc = og_error_set(err, OG_ERR_TOO_LARGE, "%s/%s: %llu bytes, at most %llu expected", d->path, req->key,
				  (unsigned long long)len, (unsigned long long)max);
	else if (len)
		rc = read_range(d, req->key, fd, req->offset, len, &out->body, err);
	if (rc == 0 && (req->want_tag || req->tag))
		tag_body(req, out);
	close(fd);
	return rc;
}

static int run_head(struct og_dir *d, const struct og_store_req *req, struct og_dir_out *out, struct og_error *err)
{
	int fd, rc = open_object(d, req->key, &fd, &out->size, err);

	if (rc < 0)
		return rc;
	if (req->want_tag)
		rc = hash_object(d, req->key, fd, &out->tag, err);
	close(fd);
	return rc;
}

/* ---- writing ---- */

static int tmp_name(struct og_dir *d, char out[48], struct og_error *err)
{
	struct og_ulid u;
	int rc;

	pthread_mutex_lock(&d->lock);
	rc = og_ulid_new(&d->ulids, &u, err);
	pthread_mutex_unlock(&d->lock);
	if (rc == 0)
		snprintf(out, 48, ".tmp.%s", og_ulid_format(&u).s);
	return rc;
}

static int new_named(struct og_dir *d, const char *key, int dirfd, struct new_file *f, struct og_error *err)
{
	int rc = tmp_name(d, f->tmp, err);

	if (rc < 0)
		return rc;
	f->fd = openat(dirfd, f->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (f->fd < 0) {
		f->tmp[0] = '\0';
		return sys_error(d, key, errno, err);
	}
	return 0;
}

static int new_file(struct og_dir *d, const char *key, int dirfd, struct new_file *f, struct og_error *err)
{
	if (atomic_load(&d->link_method) >= LINK_NAMED)
		return new_named(d, key, dirfd, f, err);
	f->tmp[0] = '\0';
	f->fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (f->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return sys_error(d, key, errno, err);
	atomic_store(&d->link_method, LINK_NAMED);
	return new_named(d, key, dirfd, f, err);
}

static int write_parts(int fd, const struct og_slice *parts, size_t nparts)
{
	struct iovec iov[16];
	size_t i = 0, skip = 0;

	while (i < nparts) {
		size_t n = 0;
		ssize_t done;

		for (size_t k = i; k < nparts && n < OG_COUNT(iov); k++, n++) {
			size_t from = k == i ? skip : 0;

			iov[n].iov_base = (void *)(uintptr_t)(parts[k].len ? parts[k].p + from : NULL);
			iov[n].iov_len = parts[k].len - from;
		}
		done = writev(fd, iov, (int)n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		for (size_t left = (size_t)done + skip; i < nparts; i++) {
			if (left < parts[i].len) {
				skip = left;
				break;
			}
			left -= parts[i].len;
			skip = 0;
		}
	}
	return 0;
}

static int write_from_fd(int fd, int from, uint64_t len)
{
	char *chunk = malloc(COPY_CHUNK);
	uint64_t at = 0;
	int rc = 0;

	if (!chunk)
		return -ENOMEM;
	while (at < len && !rc) {
		ssize_t n = pread(from, chunk, OG_MIN(len - at, COPY_CHUNK), (off_t)at);
		struct og_slice part;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? -errno : -ENODATA;
			break;
		}
		part = og_slice(chunk, (size_t)n);
		rc = write_parts(fd, &part, 1);
		at += (uint64_t)n;
	}
	free(chunk);
	return rc;
}

/* Gives a nameless file its name. -EEXIST, -ENOENT (the folder is gone), ...; -EOPNOTSUPP: there is no way to. */
static int link_nameless(struct og_dir *d, int fd, int dirfd, const char *name)
{
	char proc[40];
	struct stat st;
	int e;

	if (atomic_load(&d->link_method) == LINK_EMPTY_PATH) {
		if (linkat(fd, "", dirfd, name, AT_EMPTY_PATH) == 0)
			return 0;
		e = errno;
		/* ENOENT is how an older kernel says EPERM, but also a folder that is gone. */
		if ((e != ENOENT && e != EPERM && e != EINVAL) || (fstat(dirfd, &st) == 0 && st.st_nlink == 0))
			return -e;
		atomic_store(&d->link_method, LINK_PROC);
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, proc, dirfd, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	e = errno;
	if (e == EEXIST || e == ENOSPC || e == EDQUOT || e == EIO || (fstat(dirfd, &st) == 0 && st.st_nlink == 0))
		return -e;
	return -EOPNOTSUPP;
}

static int link_named(struct og_dir *d, int dirfd, const char *tmp, const char *name)
{
	int e;

	if (atomic_load(&d->link_method) != LINK_RENAME) {
		if (linkat(dirfd, tmp, dirfd, name, 0) == 0) {
			(void)unlinkat(dirfd, tmp, 0);	/* a leftover is skipped by every list */
			return 0;
		}
		e = errno;
		if (e != EPERM && e != EOPNOTSUPP && e != ENOSYS && e != EMLINK)
			return -e;
	}
	if (renameat2(dirfd, tmp, dirfd, name, RENAME_NOREPLACE) == 0) {
		atomic_store(&d->link_method, LINK_RENAME);
		return 0;
	}
	e = errno;
	return e == EINVAL || e == ENOSYS ? -EOPNOTSUPP : -e;
}

/* The name appears with the whole content; it lasts once the folder is synced. */
static int publish(struct og_dir *d, struct new_file *f, int dirfd, const char *name, bool replace,
		   struct og_error *err)
{
	int rc;

	if (!replace)
		return f->tmp[0] ? link_named(d, dirfd, f->tmp, name) : link_nameless(d, f->fd, dirfd, name);
	if (!f->tmp[0]) {
		char tmp[48];

		/* Names are mostly new ones, and then no rename is needed. */
		rc = link_nameless(d, f->fd, dirfd, name);
		if (rc != -EEXIST)
			return rc;
		if (tmp_name(d, tmp, err) < 0)
			return -EIO;
		if ((rc = link_nameless(d, f->fd, dirfd, tmp)) < 0)
			return rc;
		strcpy(f->tmp, tmp);
	}
	return renameat(dirfd, f->tmp, dirfd, name) == 0 ? 0 : -errno;
}

static int fill(struct og_dir *d, const struct og_store_req *req, int fd, struct og_error *err)
{
	int rc = req->from_fd ? write_from_fd(fd, req->fd, req->fd_len) : write_parts(fd, req->parts, req->nparts);

	if (rc == -ENODATA)
		return og_error_set(err, OG_ERR_IO, "%s/%s: the source is shorter than announced", d->path, req->key);
	if (rc < 0)
		return sys_error(d, req->key, -rc, err);
	if (fdatasync(fd) < 0)
		return sys_error(d, req->key, errno, err);
	return 0;
}

/* *again: this file system needs another way. */
static int put_once(struct og_dir *d, const struct og_store_req *req, struct og_dir_folder *folder, const char *name,
		    bool replace, struct og_dir_out *out, bool *again, struct og_error *err)
{
	struct new_file f = { .fd = -1 };
	struct stat st;
	int rc, sys;

	/* Saves two syncs to the one who comes too late; the link decides. */
	if (!replace && fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return og_error_set(err, OG_ERR_EXISTS, "%s/%s: exists", d->path, req->key);
	if ((rc = new_file(d, req->key, folder->fd, &f, err)) < 0) {
		return rc;
	}
	if ((rc = fill(d, req, f.fd, err)) < 0)
		goto out;
	sys = publish(d, &f, folder->fd, name, replace, err);
	if (sys == -EOPNOTSUPP && !f.tmp[0]) {
		/* No name for a nameless file here: begin again with a named one. */
		atomic_store(&d->link_method, LINK_NAMED);
		*again = true;
		rc = OG_ERR_UNAVAILABLE;
		goto out;
	}
	if (sys == -EEXIST) {
		rc = og_error_set(err, OG_ERR_EXISTS, "%s/%s: exists", d->path, req->key);
	} else if (sys == -EOPNOTSUPP) {
		rc = og_error_set(err, OG_ERR_IO,
				  "%s: this file system has no atomic way to create a file only if it is absent", d->path);
	} else if (sys < 0) {
		rc = sys_error(d, req->key, -sys, err);
	} else {
		f.tmp[0] = '\0';
		if (fsync(folder->fd) < 0) {
			/* The name is there for all to see and may vanish: nobody can ever tell. */
			og_error_sys(err, errno, "%s/%s", d->path, req->key);
			out->lasting = true;
			rc = err->code = OG_ERR_UNKNOWN;
		}
	}
out:
	if (f.tmp[0])
		(void)unlinkat(folder->fd, f.tmp, 0);
	close(f.fd);
	return rc;
}

static int put_file(struct og_dir *d, const struct og_store_req *req, bool replace, struct og_dir_out *out,
		    struct og_error *err)
{
	int rc = 0;

	for (int i = 0; i < PUT_TRIES; i++) {
		struct og_dir_folder *folder;
		const char *name;
		bool again = false;

		if ((rc = folder_get(d, req->key, &folder, &name, err)) < 0)
			return rc;
		rc = put_once(d, req, folder, name, replace, out, &again, err);
		/* File systems differ in how they say that the folder was removed meanwhile. */
		if (rc < 0 && rc != OG_ERR_EXISTS && rc != OG_ERR_UNKNOWN && folder_gone(d, folder))
			again = true;
		folder_put(d, folder);
		if (!again)
			break;
	}
	/* What a put lacks is never the object itself. */
	return rc == OG_ERR_NOT_FOUND || rc == OG_ERR_UNAVAILABLE ? (err->code = OG_ERR_IO) : rc;
}

static int run_put_match(struct og_dir *d, const struct og_store_req *req, struct og_dir_out *out,
			 struct og_error *err)
{
	char path[OG_STORE_KEY_MAX + 1];
	struct og_store_tag now;
	const char *slash = strrchr(req->key, '/');
	uint64_t size;
	int rc, fd = -1, lock;

	snprintf(path, sizeof(path), "%.*s", slash ? (int)(slash - req->key) : 1, slash ? req->key : ".");
	/* Its own open file description: flock would not keep two of our threads apart on a shared one. */
	lock = openat(d->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return sys_error(d, req->key, errno, err);
	while ((rc = flock(lock, LOCK_EX)) < 0 && errno == EINTR)
		;
	if (rc < 0) {
		rc = sys_error(d, req->key, errno, err);
		goto out;
	}
	if ((rc = open_object(d, req->key, &fd, &size, err)) < 0 ||
	    (rc = hash_object(d, req->key, fd, &now, err)) < 0)
		goto out;
	if (strcmp(now.s, req->tag->s))
		rc = og_error_set(err, OG_ERR_MISMATCH, "%s/%s: is another object by now", d->path, req->key);
	else
		rc = put_file(d, req, true, out, err);
out:
	og_fd_close(&fd);
	close(lock);
	return rc;
}

/* Takes folders away that have become empty; never the root. Whoever is about to put there makes them again. */
static void prune(struct og_dir *d, const char *key)
{
	char path[OG_STORE_KEY_MAX + 1];
	char *slash;

	strcpy(path, key);
	while ((slash = strrchr(path, '/'))) {
		*slash = '\0';
		if (unlinkat(d->root, path, AT_REMOVEDIR) < 0)
			return;
	}
}

static int delete_one(struct og_dir *d, const char *key, struct og_dir_out *out, struct og_error *err)
{
	char path[OG_STORE_KEY_MAX + 1];
	const char *slash = strrchr(key, '/');
	int rc = 0, fd;

	snprintf(path, sizeof(path), "%.*s", slash ? (int)(slash - key) : 1, slash ? key : ".");
	fd = openat(d->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : sys_error(d, key, errno, err);
	if (unlinkat(fd, slash ? slash + 1 : key, 0) < 0) {
		if (errno != ENOENT)
			rc = sys_error(d, key, errno, err);
	} else if (fsync(fd) < 0) {
		og_error_sys(err, errno, "%s/%s", d->path, key);
		out->lasting = true;
		rc = err->code = OG_ERR_UNKNOWN;
	}
	close(fd);
	if (rc == 0)
		prune(d, key);
	return rc;
}

static int run_delete_many(struct og_dir *d, const struct og_store_req *req, struct og_dir_out *out,
			   struct og_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < req->nkeys; i++) {
		struct og_error e = { 0 };
		int one = delete_one(d, req->keys[i], out, &e);

		if (one < 0 && rc == 0) {
			rc = one;
			*err = e;
		}
	}
	return rc;
}

int og_dir_settle(struct og_dir *d, const char *folder, struct og_dir_out *out, struct og_error *err)
{
	int rc = 0, fd = openat(d->root, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : sys_error(d, folder, errno, err);
	/* A read-only file system has nothing to lose. */
	if (fsync(fd) < 0 && errno != EROFS && errno != EINVAL) {
		rc = sys_error(d, folder, errno, err);
		out->lasting = true;
	}
	close(fd);
	return rc;
}

int og_dir_page(struct og_dir *d, const char *key, int *fd_out, struct og_error *err)
{
	struct stat st;
	int rc, fd;

	if (d->network)
		return og_error_set(err, OG_ERR_UNSUPPORTED, "%s: a network file system has no shared pages", d->path);
	fd = openat(d->root, key, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);

	if (fd < 0)
		return sys_error(d, key, errno, err);
	/* Growing only: whoever comes second must not cut the page of the first. Its block is taken now: on a full disk the first write to a
	 * mapped hole would be a SIGBUS. File systems that cannot take a block ahead are no worse off than before. */
	if (fstat(fd, &st) < 0 || (st.st_size < 4096 && ftruncate(fd, 4096) < 0) ||
	    (fallocate(fd, 0, 0, 4096) < 0 && errno != EOPNOTSUPP && errno != ENOSYS)) {
		rc = sys_error(d, key, errno, err);
		close(fd);
		return rc;
	}
	*fd_out = fd;
	return 0;
}

int og_dir_run(struct og_dir *d, const struct og_store_req *req, struct og_dir_out *out, struct og_error *err)
{
	switch (req->op) {
	case OG_STORE_GET:
		return run_get(d, req, out, err);
	case OG_STORE_HEAD:
		return run_head(d, req, out, err);
	case OG_STORE_PUT:
		return put_file(d, req, true, out, err);
	case OG_STORE_PUT_ABSENT:
		return put_file(d, req, false, out, err);
	case OG_STORE_PUT_MATCH:
		return run_put_match(d, req, out, err);
	case OG_STORE_DELETE:
		return delete_one(d, req->key, out, err);
	case OG_STORE_DELETE_MANY:
		return run_delete_many(d, req, out, err);
	case OG_STORE_LIST:
		return og_dir_list(d, req, out, err);
	}
	return og_error_set(err, OG_ERR_INTERNAL, "no such operation");
}

/* ---- the root ---- */

/* mkdir -p, each new name synced in its parent. */
static int make_path(const char *path, struct og_error *err)
{
	char part[4096];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return og_error_set(err, OG_ERR_BAD, "path too long");
	for (size_t i = 1; i <= len; i++) {
		char parent[sizeof(part)];
		char *slash;
		int fd, rc;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0777) == 0) {
			strcpy(parent, part);
			slash = strrchr(parent, '/');
			if (slash)
				slash[slash == parent] = '\0';
			fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			rc = fd < 0 ? -1 : fsync(fd);
			if (rc < 0)
				rc = og_error_sys(err, errno, "%s", part);
			og_fd_close(&fd);
			if (rc < 0)
				return rc;
		} else if (errno != EEXIST) {
			return og_error_sys(err, errno, "%s", part);
		}
	}
	return 0;
}

/* File systems of other hosts too, where a mapping is no common memory (magic numbers: linux/magic.h, statfs(2)). */
static bool over_network(int fd)
{
	static const unsigned long magics[] = {
		0x6969 /* NFS */, 0x517b /* SMB */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */, 0x65735546 /* FUSE */,
		0x01021997 /* 9P */, 0x5346414f /* AFS */, 0x00c36400 /* Ceph */, 0x73757245 /* Coda */,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < OG_COUNT(magics); i++)
		if (((unsigned long)fs.f_type & 0xffffffff) == magics[i])
			return true;
	return false;
}

int og_dir_open(struct og_dir *d, const char *path, bool create, struct og_error *err)
{
	int rc;

	memset(d, 0, sizeof(*d));
	d->root = -1;
	pthread_mutex_init(&d->lock, NULL);
	if (create && (rc = make_path(path, err)) < 0)
		goto fail;
	d->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->root < 0) {
		rc = og_error_sys(err, errno, "%s", path);
		goto fail;
	}
	d->network = over_network(d->root);
	d->path = strdup(path);
	if (d->path)
		return 0;
	rc = og_error_nomem(err);
fail:
	og_dir_close(d);
	return rc;
}

void og_dir_close(struct og_dir *d)
{
	for (size_t i = 0; i < OG_DIR_FOLDERS; i++)
		if (d->folders[i].path)
			folder_forget(&d->folders[i]);
	og_fd_close(&d->root);
	free(d->path);
	d->path = NULL;
	pthread_mutex_destroy(&d->lock);
}

void og_dir_out_fini(struct og_dir_out *out)
{
	og_buf_fini(&out->body);
	og_fd_close(&out->fd);
	for (size_t i = 0; i < out->nitems; i++)
		free((char *)(uintptr_t)out->items[i].key);
	free(out->items);
	out->items = NULL;
	out->nitems = 0;
}
