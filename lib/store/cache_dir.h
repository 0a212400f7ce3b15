/* The cache's folder: files named by digests. Blocking; for one thread at a time. Between the files of the cache. */
#ifndef OG_STORE_CACHE_DIR_H
#define OG_STORE_CACHE_DIR_H

#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "base/digest.h"
#include "base/slice.h"
#include "base/ulid.h"

#define OG_CACHE_KNOWN 1024u

struct og_cache_dir {
	int fd;				/* -1: none */
	uint64_t limit, bytes;
	uint64_t evicted, damaged;
	struct timespec seen;		/* the folder's, when its files were counted or changed by us */
	bool counted;
	struct og_ulid_gen ids;
	/* Files whose content was compared, by some bits of their digests; one pushes out another. */
	struct og_cache_known {
		struct og_digest digest;
		dev_t dev;
		ino_t ino;
		struct timespec changed;
	} known[OG_CACHE_KNOWN];
};

/* A file that comes to be. */
struct og_cache_file {
	int fd;				/* for reading and writing; -1: none */
	char tmp[48];
};

/* Opens the folder and counts its files; deletes what is left over or too much. */
int og_cache_dir_open(struct og_cache_dir *d, const char *path, uint64_t limit, struct og_error *err) OG_MUST_CHECK;
void og_cache_dir_close(struct og_cache_dir *d);
/* The file of that digest and size, compared; false: there is none (any more). */
bool og_cache_dir_find(struct og_cache_dir *d, const struct og_digest *digest, uint64_t size, int *fd);
/* Its content is not what its name says. */
void og_cache_dir_forget(struct og_cache_dir *d, const struct og_digest *digest, uint64_t size);
/* A new file with room for size bytes, others deleted for it. OG_ERR_TOO_LARGE: over the limit by itself. */
int og_cache_dir_create(struct og_cache_dir *d, uint64_t size, struct og_cache_file *f, struct og_error *err) OG_MUST_CHECK;
/* It is whole and has that digest: gets its name. *fd: to read it, also when it does not get its name. Nothing is left in f. */
int og_cache_dir_keep(struct og_cache_dir *d, struct og_cache_file *f, const struct og_digest *digest, int *fd, struct og_error *err) OG_MUST_CHECK;
/* Deletes it; its descriptor is closed, or lives on as *fd when that is given. From any thread. */
void og_cache_dir_drop(struct og_cache_dir *d, struct og_cache_file *f, int *fd);

#endif
