/*
 * Giving up powers: what a process can do after its start is what it needs, and no more.
 *
 * A program calls og_lock_begin after it has read whatever needs files and before it starts threads, then starts its threads,
 * then calls og_lock_end, as the last thing before it reads a byte that came from outside. The order is forced: changing
 * ids (done by og_spawn) resets dumpability; Landlock binds the calling thread and those that it starts; the filter
 * forbids all of the above, so it is last, and is laid on all threads at once.
 *
 * What a worker must do before og_lock_end: load OpenSSL's algorithms and configuration, zone tables, anything that opens a
 * file once; start its threads (with their nice values); make its event base. Afterwards it has: read and write on what it
 * holds, accept4, shutdown with SHUT_WR only (SHUT_RD on the shared listening socket would stop it for everybody), a few
 * socket options, memfds, eventfd, memory without PROT_EXEC, clocks, getrandom, futex. fstat as a path call is answered
 * EPERM: use og_fd_size (base/fd.h).
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

/* No new privileges, undumpable, no core, no capabilities (but for the master's few), and Landlock with these paths alone
 * (no path and no TCP for a worker, no listening for og-storaged). A kernel without Landlock is no error: the bit stays
 * out of *held, as everything that does not hold. Adds bits to *held. Paths are ignored but for og-storaged. */
int og_lock_begin(enum og_lock_kind kind, const struct og_lock_path *paths, size_t npaths, uint32_t *held,
		  struct og_error *err) OG_MUST_CHECK;
/* Behind og_lock_begin: outgoing TCP to these ports alone, to none when n is 0 (OG_HELD_LANDLOCK_PORTS). Nothing where the kernel
 * cannot (before Linux 6.7). */
int og_lock_ports(const uint16_t *ports, size_t n, uint32_t *held, struct og_error *err) OG_MUST_CHECK;
/* The system call filter: what is not on the list kills the process (SIGSYS). On all threads (TSYNC). */
int og_lock_end(enum og_lock_kind kind, uint32_t *held, struct og_error *err) OG_MUST_CHECK;

/* The steps, for tests and for programs that need them one by one. */
int og_proc_no_new_privs(struct og_error *err) OG_MUST_CHECK;
int og_proc_undumpable(struct og_error *err) OG_MUST_CHECK;
int og_proc_no_core(struct og_error *err) OG_MUST_CHECK;
/* Keeps of root's powers those of the mask (bits 1 << CAP_*) and gives up all ways to more of them. Nothing for who has none. */
int og_proc_keep_caps(uint64_t mask, struct og_error *err) OG_MUST_CHECK;
/* The Landlock ABI of this kernel; 0 without it. */
int og_proc_landlock_abi(void);
enum og_deny_net { OG_DENY_BIND = 1, OG_DENY_CONNECT = 2 };
/* Adds the OG_HELD_LANDLOCK_* bits that hold. deny_net: TCP that is denied too (Linux 6.7). */
int og_proc_landlock(const struct og_lock_path *paths, size_t npaths, unsigned deny_net, uint32_t *held,
		     struct og_error *err) OG_MUST_CHECK;

/* One row of a filter: the call is allowed if all of its conditions hold; several rows of one call: any of them. */
struct og_call {
	int nr; /* __NR_* */
	int deny; /* not 0: the call does nothing and fails with this errno */
	bool self; /* argument 0 must be our pid */
	struct {
		uint64_t mask, value; /* (argument & mask) == value; mask 0: no condition */
		unsigned arg;
	} when[2];
};
/* What is on no row: the process is killed. */
int og_proc_seccomp(const struct og_call *calls, size_t ncalls, struct og_error *err) OG_MUST_CHECK;
/* The ready-made lists (og-master has none: *n = 0). */
const struct og_call *og_lock_calls(enum og_lock_kind kind, size_t *n);

#endif
