/*
 * Giving up powers: what a process can do after its start is what it needs, and no more.
 *
 * A program calls og_lock_begin after it has read whatever needs files and before it starts threads, then starts its threads,
 * then calls og_lock_end, as the last thing before it reads a byte that came from outside. The order is forced: changing
 * ids (done by og_spawn) resets dumpability; Landlock binds the calling thread and those that it starts; the filter
 * forbids all of the above, so it is last, and is laid on all threads at once.
 *
 * Sources: prctl(2), landlock(7) (raw system calls, ABI 1 to 6), seccomp(2) by libseccomp.
 * Threads: og_lock_begin with one thread only.
 */
#ifndef OG_PROC_LOCK_H
#define OG_PROC_LOCK_H

#include <stdbool.h>

#include "base/error.h"
#include "proc/held.h"

enum og_lock_kind {
	OG_LOCK_WORKER,	  /* worker and builder: no path at all; no new socket, no exec, no new thread */
	OG_LOCK_STORAGED, /* the paths given; sockets, no exec; new threads but no new process */
	OG_LOCK_MASTER,	  /* no filter: it forks and executes */
};

enum og_path_access {
	OG_PATH_READ,  /* files and folders below */
	OG_PATH_WRITE, /* also create, write, rename, link, delete below */
};

struct og_lock_path {
	const char *path; /* one that does not exist is skipped */
	enum og_path_access access;
};

/* No new privileges, undumpable, no core, no capabilities (but for the master's few), and Landlock with these paths alone. A kernel without Landlock is no error: the bit
 * stays out of *held. Adds bits to *held. Paths are ignored for the master. */
int og_lock_begin(enum og_lock_kind kind, const struct og_lock_path *paths, size_t npaths, uint32_t *held, struct og_error *err) OG_MUST_CHECK;
/* The system call filter: what is not on the list kills the process (SIGSYS). On all threads (TSYNC). */
int og_lock_end(enum og_lock_kind kind, uint32_t *held, struct og_error *err) OG_MUST_CHECK;

/* The steps, for programs that need them one by one. */
int og_proc_no_new_privs(struct og_error *err) OG_MUST_CHECK;
int og_proc_undumpable(struct og_error *err) OG_MUST_CHECK;
int og_proc_no_core(struct og_error *err) OG_MUST_CHECK;
/* The Landlock ABI of this kernel; 0 without it. */
int og_proc_landlock_abi(void);
/* Adds the OG_HELD_LANDLOCK_* bits that hold. With `net`, outgoing and listening TCP is also denied (Linux 6.7). */
int og_proc_landlock(const struct og_lock_path *paths, size_t npaths, bool net, uint32_t *held, struct og_error *err) OG_MUST_CHECK;

/* One row of a filter. With arg < 0 the call is allowed whatever its arguments; else only if (argument[arg] & mask) == value. Several rows of one call: any of them. */
struct og_call {
	int nr; /* __NR_*; below 0: this machine does not have it */
	int arg;
	uint64_t mask, value;
};
/* What is on no row: the process is killed. */
int og_proc_seccomp(const struct og_call *calls, size_t ncalls, struct og_error *err) OG_MUST_CHECK;
/* The ready-made lists; *n is their length. */
const struct og_call *og_lock_calls(enum og_lock_kind kind, size_t *n);

#endif
