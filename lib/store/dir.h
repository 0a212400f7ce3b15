/*
 * The directory back end of store/store.h.
 *
 * A put is O_TMPFILE, write, fdatasync, linkat (or rename over the key), fsync of the folder, and only then an answer; a
 * new folder is made and its parent synced before the first object appears in it. Hence what was answered survives a
 * power cut, and what was not is there as a whole or not at all. File systems without O_TMPFILE, or without hard links,
 * get `.tmp.<ulid>` files and renameat2(RENAME_NOREPLACE); where neither works a put is refused, naming the directory.
 * put if match compares SHA-256 under flock(2) on the folder, which every process on this host honours.
 *
 * Threads: `threads` I/O threads of its own carry requests out. With 0 they are carried out by the calling thread inside
 * og_store_submit (completions still come from the loop): for tools with one thing to do, and for tests that count calls.
 */
#ifndef OG_STORE_DIR_H
#define OG_STORE_DIR_H

#include "store/store.h"

struct og_store_dir_config {
	const char *path;
	struct event_base *base;
	unsigned threads;	/* 4 is plenty; 0: none, see above */
	bool create;		/* make the directory and its parents when missing */
	bool read_only;
};

/*
 * NULL with *err: OG_ERR_NOT_FOUND (no such directory and !create), OG_ERR_IO. I/O threads are started here, so call it
 * before a system call filter forbids clone.
 */
struct og_store *og_store_dir_new(const struct og_store_dir_config *config, struct og_error *err);

#endif
