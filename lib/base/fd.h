/*
 * Descriptors: whole reads and writes, sealed memfds, temporary files. Everything is close-on-exec.
 * Errors: OG_ERR_IO with errno's text unless said otherwise.
 */
#ifndef OG_BASE_FD_H
#define OG_BASE_FD_H

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

/* Closes and sets to -1; accepts -1. */
void og_fd_close(int *fd);
int og_fd_write_all(int fd, struct og_slice s, struct og_error *err) OG_MUST_CHECK;
int og_fd_pwrite_all(int fd, struct og_slice s, uint64_t offset, struct og_error *err) OG_MUST_CHECK;
/* Exactly len bytes at offset; a short file is OG_ERR_CORRUPT. */
int og_fd_pread_all(int fd, void *p, size_t len, uint64_t offset, struct og_error *err) OG_MUST_CHECK;
/* Reads to the end (pipes too) and appends to b; more than max bytes: OG_ERR_TOO_LARGE. */
int og_fd_read_all(int fd, struct og_buf *b, size_t max, struct og_error *err) OG_MUST_CHECK;
/* The whole file at path; ENOENT gives OG_ERR_NOT_FOUND. Message: "<path>: <why>". */
int og_file_read(const char *path, struct og_buf *b, size_t max, struct og_error *err) OG_MUST_CHECK;
int og_fd_cloexec(int fd, struct og_error *err) OG_MUST_CHECK;
int og_fd_nonblock(int fd, struct og_error *err) OG_MUST_CHECK;

/* A memfd that may still be written. name shows in /proc. */
int og_memfd_new(const char *name, int *fd, struct og_error *err) OG_MUST_CHECK;
/* Seals it against write, grow, shrink and further seals; no writable mapping may exist any more. */
int og_memfd_seal(int fd, struct og_error *err) OG_MUST_CHECK;
/* A sealed memfd holding these bytes. */
int og_memfd_from(const char *name, struct og_slice s, int *fd, struct og_error *err) OG_MUST_CHECK;
/* The length of a file, also where path calls are forbidden (a locked worker); fstat(3) is not. */
int og_fd_size(int fd, uint64_t *size, struct og_error *err) OG_MUST_CHECK;
/* For a descriptor from another process: 0 iff it is a memfd with all four seals; *size is its length. */
int og_memfd_check(int fd, uint64_t *size, struct og_error *err) OG_MUST_CHECK;
/* Maps len bytes read-only and private. len 0 gives a valid empty slice. */
int og_map_file(int fd, uint64_t len, struct og_slice *out, struct og_error *err) OG_MUST_CHECK;
void og_unmap(struct og_slice *s);

/* Raises how many descriptors this process may have, up to `most` and to what its hard limit allows; what it is then (at most `most`). */
unsigned og_fd_raise_limit(unsigned most);

/* An unlinked temporary file in dir (NULL: $TMPDIR or /tmp). */
int og_tmpfile(const char *dir, int *fd, struct og_error *err) OG_MUST_CHECK;

#endif
