/*
 * The folder of the host's cache of objects (store/cache.h): where it is unless somebody says so, and making it.
 * Threads: any; reads the environment.
 */
#ifndef OG_PROC_CACHEDIR_H
#define OG_PROC_CACHEDIR_H

#include "base/error.h"
#include "proc/find.h"
#include "proc/spawn.h"

enum og_cachedir_user {
	OG_CACHEDIR_SERVER,
	OG_CACHEDIR_OPERATOR,	/* beside a server that root started, whose folder belongs to another user: its own */
};

/*
 * `given` (made absolute), else the first folder of $CACHE_DIRECTORY (which systemd sets), else, for root, /var/cache/omnigraph, else
 * $XDG_CACHE_HOME/omnigraph or $HOME/.cache/omnigraph. "" when there is no such place.
 */
void og_cachedir_find(const char *given, enum og_cachedir_user user, char out[OG_PROC_PATH_MAX]);
/*
 * Makes the folder, mode 0700, and those above it, when missing. ids (may be NULL) with `change`: of whoever will use it; it is given to them if
 * it was made here, or is empty and ours. OG_ERR_IO.
 */
int og_cachedir_make(const char *path, const struct og_spawn_ids *ids, struct og_error *err) OG_MUST_CHECK;

#endif
