/* The folder of the host's cache. */
#include "config.h"

#include "proc/cachedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define SYSTEM_DIR "/var/cache/omnigraph"

/* false: too long, or no such variable. */
static bool below(const char *folder, const char *name, char out[OG_PROC_PATH_MAX])
{
	int n;

	if (!folder || folder[0] != '/')
		return false;
	n = snprintf(out, OG_PROC_PATH_MAX, "%s%s", folder, name);
	return n > 0 && n < OG_PROC_PATH_MAX;
}

static bool absolute(const char *path, char out[OG_PROC_PATH_MAX])
{
	char cwd[OG_PROC_PATH_MAX], name[OG_PROC_PATH_MAX];

	if (path[0] == '/')
		return below(path, "", out);
	return snprintf(name, sizeof(name), "/%s", path) < (int)sizeof(name) && getcwd(cwd, sizeof(cwd)) && below(cwd, name, out);
}

static bool is_ours(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid == geteuid();
}

void og_cachedir_find(const char *given, enum og_cachedir_user user, char out[OG_PROC_PATH_MAX])
{
	const char *listed = getenv("CACHE_DIRECTORY");
	bool found;

	if (given && *given) {
		found = absolute(given, out);
	} else if (listed && listed[0] == '/') {
		found = below(listed, "", out);
		if (found)
			*strchrnul(out, ':') = '\0';
	} else if (geteuid() == 0 && (user == OG_CACHEDIR_SERVER || is_ours(SYSTEM_DIR))) {
		found = below(SYSTEM_DIR, "", out);
	} else {
		found = below(getenv("XDG_CACHE_HOME"), "/omnigraph", out) || below(getenv("HOME"), "/.cache/omnigraph", out);
	}
	if (!found)
		out[0] = '\0';
}

static bool is_empty(int fd)
{
	int list_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
	const struct dirent *f;
	bool empty = list != NULL;

	if (!list) {
		og_fd_close(&list_fd);
		return false;
	}
	while (empty && (f = readdir(list)))
		empty = strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0;
	closedir(list);
	return empty;
}

static int hand_over(const char *path, bool made, const struct og_spawn_ids *ids, struct og_error *err)
{
	int e, fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int rc = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		e = errno;
		og_fd_close(&fd);
		return og_error_sys(err, e, "%s", path);
	}
	if (st.st_uid == geteuid() && st.st_uid != ids->uid && (made || is_empty(fd)) &&
	    (fchmod(fd, 0700) < 0 || fchown(fd, ids->uid, ids->gid) < 0)) {
		e = errno;
		rc = og_error_sys(err, e, "%s", path);
	}
	og_fd_close(&fd);
	return rc;
}

int og_cachedir_make(const char *path, const struct og_spawn_ids *ids, struct og_error *err)
{
	char part[OG_PROC_PATH_MAX];
	bool made;
	int e;

	if (!below(path, "", part))
		return og_error_set(err, OG_ERR_BAD, "%s: not an absolute path", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(part, 0755);	/* whatever is wrong shows below */
		*slash = '/';
	}
	made = mkdir(path, 0700) == 0;
	if (!made && errno != EEXIST) {
		e = errno;
		return og_error_sys(err, e, "%s", path);
	}
	return ids && ids->change ? hand_over(path, made, ids, err) : 0;
}
