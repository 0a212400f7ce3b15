/* Descriptors. */
#include "config.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_CHUNK (64 * OG_KIB)
#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

void og_fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);	/* nobody could act on an error here; what must last is synced before */
	*fd = -1;
}

int og_fd_write_all(int fd, struct og_slice s, struct og_error *err)
{
	while (s.len) {
		ssize_t n = write(fd, s.p, s.len);
		int e = errno;

		if (n < 0 && e == EINTR)
			continue;
		if (n < 0)
			return og_error_sys(err, e, "write");
		s.p += n;
		s.len -= (size_t)n;
	}
	return 0;
}

int og_fd_pwrite_all(int fd, struct og_slice s, uint64_t offset, struct og_error *err)
{
	if (offset > INT64_MAX || s.len > (uint64_t)INT64_MAX - offset)
		return og_error_set(err, OG_ERR_TOO_LARGE, "write of %zu bytes at impossible offset %llu", s.len, (unsigned long long)offset);
	while (s.len) {
		ssize_t n = pwrite(fd, s.p, s.len, (off_t)offset);
		int e = errno;

		if (n < 0 && e == EINTR)
			continue;
		if (n < 0)
			return og_error_sys(err, e, "write");
		s.p += n;
		s.len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int og_fd_pread_all(int fd, void *p, size_t len, uint64_t offset, struct og_error *err)
{
	char *to = p;
	size_t done = 0;

	if (offset > INT64_MAX || len > (uint64_t)INT64_MAX - offset)
		return og_error_set(err, OG_ERR_CORRUPT, "read of %zu bytes at impossible offset %llu", len,
				    (unsigned long long)offset);
	while (done < len) {
		ssize_t n = pread(fd, to + done, len - done, (off_t)(offset + done));
		int e = errno;

		if (n < 0 && e == EINTR)
			continue;
		if (n < 0)
			return og_error_sys(err, e, "read");
		if (n == 0)
			return og_error_at(err, OG_ERR_CORRUPT, offset + done,
					   "file ends at byte %llu, %zu bytes early",
					   (unsigned long long)(offset + done), len - done);
		done += (size_t)n;
	}
	return 0;
}

int og_fd_read_all(int fd, struct og_buf *b, size_t max, struct og_error *err)
{
	size_t got = 0;

	for (;;) {
		/* One byte beyond the limit tells "too large" from "exactly as large". */
		size_t want = max - got < READ_CHUNK ? max - got + 1 : READ_CHUNK;
		char *to = og_buf_reserve(b, want);
		ssize_t n;
		int e;

		if (!to)
			return og_error_nomem(err);
		n = read(fd, to, want);
		e = errno;
		if (n < 0 && e == EINTR)
			continue;
		if (n < 0)
			return og_error_sys(err, e, "read");
		if (n == 0)
			return 0;
		if ((size_t)n > max - got)
			return og_error_set(err, OG_ERR_TOO_LARGE, "more than %zu bytes", max);
		got += (size_t)n;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
	}
}

int og_file_read(const char *path, struct og_buf *b, size_t max, struct og_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int e = errno, rc;

	if (fd < 0)
		return og_error_sys(err, e, "%s", path);
	rc = og_fd_read_all(fd, b, max, err);
	if (rc < 0)
		og_error_prefix(err, "%s: ", path);
	og_fd_close(&fd);
	return rc;
}

int og_fd_cloexec(int fd, struct og_error *err)
{
	int e;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "fcntl");
}

int og_fd_nonblock(int fd, struct og_error *err)
{
	int flags = fcntl(fd, F_GETFL), e;

	if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "fcntl");
}

int og_memfd_new(const char *name, int *fd, struct og_error *err)
{
	int f, e;

	f = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	e = errno;
	if (f < 0)
		return og_error_sys(err, e, "memfd_create");
	*fd = f;
	return 0;
}

int og_memfd_seal(int fd, struct og_error *err)
{
	int e;

	if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "seal memfd");
}

int og_memfd_from(const char *name, struct og_slice s, int *fd, struct og_error *err)
{
	int f = -1, rc;

	if ((rc = og_memfd_new(name, &f, err)) < 0 || (rc = og_fd_write_all(f, s, err)) < 0 ||
	    (rc = og_memfd_seal(f, err)) < 0)
		goto out;
	*fd = f;
	f = -1;
out:
	og_fd_close(&f);
	return rc;
}

int og_fd_size(int fd, uint64_t *size, struct og_error *err)
{
	struct stat st;
	int e;

	/* Not fstat(3): the C library makes a path call of it, which a locked worker does not have. */
	if (syscall(SYS_fstat, fd, &st) < 0) {
		e = errno;
		return og_error_sys(err, e, "fstat");
	}
	*size = (uint64_t)st.st_size;
	return 0;
}

int og_memfd_check(int fd, uint64_t *size, struct og_error *err)
{
	int seals = fcntl(fd, F_GET_SEALS);

	/* Only memfds (and hugetlbfs files) know seals, so this also refuses other kinds of descriptors. */
	if (seals < 0 || (seals & SEALS) != SEALS)
		return og_error_set(err, OG_ERR_PEER, "descriptor is not a sealed memfd");
	return og_fd_size(fd, size, err);
}

int og_map_file(int fd, uint64_t len, struct og_slice *out, struct og_error *err)
{
	void *p;
	int e;

	if (len == 0) {
		*out = og_slice("", 0);
		return 0;
	}
	if (len > SIZE_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "file of %llu bytes", (unsigned long long)len);
	p = mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, fd, 0);
	e = errno;
	if (p == MAP_FAILED)
		return og_error_sys(err, e, "mmap");
	*out = og_slice(p, (size_t)len);
	return 0;
}

void og_unmap(struct og_slice *s)
{
	if (s->len)
		(void)munmap((void *)(uintptr_t)s->p, s->len);
	*s = og_slice(NULL, 0);
}

int og_tmpfile(const char *dir, int *fd, struct og_error *err)
{
	char path[4096];
	int f, e, n;

	if (!dir)
		dir = getenv("TMPDIR");
	if (!dir || !*dir)
		dir = "/tmp";
	f = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	e = errno;
	/* Some file systems know no O_TMPFILE. */
	if (f < 0 && (e == EOPNOTSUPP || e == EISDIR)) {
		n = snprintf(path, sizeof(path), "%s/omnigraph.XXXXXX", dir);
		if (n < 0 || (size_t)n >= sizeof(path))
			return og_error_sys(err, ENAMETOOLONG, "%s", dir);
		f = mkostemp(path, O_CLOEXEC);
		e = errno;
		if (f >= 0)
			(void)unlink(path);	/* a name left behind does no harm */
	}
	if (f < 0)
		return og_error_sys(err, e, "temporary file in %s", dir);
	*fd = f;
	return 0;
}

unsigned og_fd_raise_limit(unsigned most)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return OG_MIN(most, 256u);
	if (l.rlim_cur < most && l.rlim_cur < l.rlim_max) {
		struct rlimit up = { OG_MIN((rlim_t)most, l.rlim_max), l.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &up) == 0)
			l = up;
	}
	return (unsigned)OG_MIN((rlim_t)most, l.rlim_cur);
}
