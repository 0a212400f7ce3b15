/*
 * The host's cache of immutable objects of a remote store, whose digest and size the caller knows: files of a folder on the local disk, each
 * named by its digest (base/digest.h: 64 or 32 hex digits). The content of a file is compared with its name before it is used, once per process and file as long as the
 * file is not changed; what does not fit is deleted and fetched again. Nothing is synced: a file that a power cut spoils does not fit its name.
 *
 * Any number of processes and graphs may share a folder. Files come to be under another name (".tmp.<ulid>", locked by flock while their writer
 * lives; what has no writer any more is deleted) and are renamed when whole. The least recently used (by their access time, which is set with
 * every use) are deleted before more is put in than the limit allows; whoever has one open keeps it. Other names are left alone.
 *
 * Whatever goes wrong with the folder (full disk, no permission) costs a fetch, and one line in the log until it works again; a request
 * does not fail for it. Without a folder objects come in memfds.
 *
 * Who asks for an object that is being fetched shares the fetch. A store that is local itself is read as it is, without any of this, but for
 * the copy that a sealed object is.
 *
 * Trust:   the folder's files and the store's bytes are untrusted. The folder belongs to us: whoever may write to it may hold us up, no more.
 * Threads: the cache belongs to the thread of the store's event_base; completions come from that loop, never from within a call. Files are
 *          opened, compared, written and deleted by a thread of its own.
 */
#ifndef OG_STORE_CACHE_H
#define OG_STORE_CACHE_H

#include "base/digest.h"
#include "store/store.h"

struct og_cache;

#define OG_CACHE_BY_MACHINE UINT64_MAX

struct og_cache_config {
	struct og_store *store;		/* lives longer */
	const char *dir;		/* exists; copied; NULL: none */
	uint64_t limit;			/* bytes of files; OG_CACHE_BY_MACHINE: 10 GiB, but no more than half of the space that they could take */
};

struct og_cache_object {
	const char *key;		/* in the store; copied */
	struct og_digest digest;
	uint64_t size;
	bool sealed;			/* it is to be mapped: a sealed memfd is wanted, whatever the store and the folder are */
};

struct og_cache_result {
	int code;			/* 0, or what the store's get says */
	const struct og_error *err;
	int fd;				/* read-only, or a sealed memfd; whoever takes it sets it to -1, else it is closed */
	uint64_t size;			/* another one than that of the object: only if the store's object has another one */
	bool verified;			/* the content has that digest; false: the store's does not, or nobody has looked (a local store, unless sealed) */
};

typedef void (*og_cache_cb)(void *arg, struct og_cache_result *res);

struct og_cache_stats {
	uint64_t bytes, limit;		/* bytes: of all files of the folder, as last seen */
	uint64_t hits, misses;		/* objects from the folder; from the store */
	uint64_t evicted, damaged;	/* files deleted for want of room; because they did not fit their names */
};

/* NULL: no memory, thread or descriptor. A folder that cannot be used is only logged. */
struct og_cache *og_cache_new(const struct og_cache_config *config, struct og_error *err);
/* Waits for its thread; completions of requests under way are not called, puts under way are given up and done. NULL is fine. Before the store. */
void og_cache_free(struct og_cache *c);

void og_cache_get(struct og_cache *c, const struct og_cache_object *o, og_cache_cb cb, void *arg);
/*
 * Keeps what this host has put into the store itself, so that it is not fetched; not while 256 MiB wait to be written already. The bytes must
 * live until done, which is called from the loop, or from within when there is nothing to do.
 */
void og_cache_put(struct og_cache *c, const struct og_cache_object *o, struct og_slice bytes, void (*done)(void *arg), void *arg);
/* Whether the first size bytes of a file have that digest. Blocking. */
bool og_cache_fits(int fd, uint64_t size, const struct og_digest *digest);
/* The same of a sealed memfd, which stays the caller's and may be closed at once; nothing is said when it cannot be: only a fetch is saved. */
void og_cache_put_fd(struct og_cache *c, const struct og_cache_object *o, int fd);
void og_cache_stats(struct og_cache *c, struct og_cache_stats *out);

#endif
