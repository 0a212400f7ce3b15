/*
 * The blocking half of the directory back end: files and folders. Private to lib/store.
 * Threads: an og_dir may be used by several at a time.
 */
#ifndef OG_STORE_DIR_IO_H
#define OG_STORE_DIR_IO_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/ulid.h"
#include "store/store.h"

#define OG_DIR_FOLDERS 32

/* A folder that objects are put into: open, and durable in its parents. */
struct og_dir_folder {
	char *path;		/* relative to the root, without a final '/'; "" is the root; NULL: free */
	int fd;
	unsigned users;
	bool stale;		/* removed meanwhile: forget it with its last user */
	uint64_t used;		/* for choosing whom to forget */
};

struct og_dir {
	char *path;
	int root;
	bool network;		/* on a file system that other hosts use too: no shared pages, and names that were not there may be remembered so */
	pthread_mutex_t lock;	/* folders, ulids */
	struct og_dir_folder folders[OG_DIR_FOLDERS];
	uint64_t clock;
	struct og_ulid_gen ulids;
	atomic_int link_method;	/* enum, see dir_io.c: the best that has worked so far */
};

/* The outcome of one blocking operation. Strings and bodies are on the heap. */
struct og_dir_out {
	bool lasting, same;
	struct og_buf body;
	int fd;
	uint64_t size;
	struct og_store_tag tag;
	struct og_store_item *items;
	size_t nitems, cap_items;
	bool more;
};

int og_dir_open(struct og_dir *d, const char *path, bool create, struct og_error *err) OG_MUST_CHECK;
void og_dir_close(struct og_dir *d);
void og_dir_out_fini(struct og_dir_out *out);

/* Carries a checked request out. Returns the code. */
int og_dir_run(struct og_dir *d, const struct og_store_req *req, struct og_dir_out *out, struct og_error *err);
int og_dir_settle(struct og_dir *d, const char *folder, struct og_dir_out *out, struct og_error *err);
int og_dir_page(struct og_dir *d, const char *key, int *fd, struct og_error *err);

/* dir_list.c */
int og_dir_list(struct og_dir *d, const struct og_store_req *req, struct og_dir_out *out, struct og_error *err);

#endif
