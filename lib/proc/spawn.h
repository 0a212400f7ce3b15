/*
 * Starting a child: an explicit descriptor map, an empty environment, ids given up before the program runs.
 *
 * Everything that can fail is prepared before fork; between fork and exec only async-signal-safe calls are made, and a failure
 * there comes back as the error of og_spawn (over a close-on-exec pipe).
 * Threads: any; meant for a process of one thread.
 */
#ifndef OG_PROC_SPAWN_H
#define OG_PROC_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct og_spawn_ids {
	bool change; /* false: run as we are, without any capability */
	uid_t uid;
	gid_t gid;
};

struct og_spawn_fd {
	int parent; /* descriptor here */
	int child;  /* its number there, 0 or above */
};

#define OG_SPAWN_FDS_MAX 8

struct og_spawn {
	const char *path;	 /* absolute or with a slash; never searched */
	char *const *argv;	 /* argv[0] is free to choose; ends in NULL */
	char *const *envp;	 /* NULL: empty */
	struct og_spawn_fd fds[OG_SPAWN_FDS_MAX]; /* all others are closed; 0, 1 are /dev/null unless given, 2 is inherited */
	size_t nfds;
	struct og_spawn_ids ids;
	bool own_group;		 /* a process group of its own: the terminal's signals go to og-master alone */
};

/* *pid, or OG_ERR_*; the signal mask and dispositions of the child are the defaults. */
int og_spawn(const struct og_spawn *s, pid_t *pid, struct og_error *err) OG_MUST_CHECK;

/* Ids for a program's user ("omnigraph-worker"): started by root and the user exists: ids.change with its uid and gid. Otherwise
 * (no root, or no such user) the same uid as ours: single-uid mode. */
int og_spawn_ids_of(const char *user, struct og_spawn_ids *ids, struct og_error *err) OG_MUST_CHECK;

#endif
