/* Finding our other programs. */
#include "config.h"

#include "proc/find.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool runs(const char *dir, const char *middle, const char *name, char out[OG_PROC_PATH_MAX])
{
	int n = snprintf(out, OG_PROC_PATH_MAX, "%s%s/%s", dir, middle, name);

	return n > 0 && n < OG_PROC_PATH_MAX && access(out, X_OK) == 0;
}

/* The folder of the running program; empty when the kernel does not tell. */
static void own_dir(char out[OG_PROC_PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", out, OG_PROC_PATH_MAX - 1);
	char *slash;

	out[n < 0 ? 0 : n] = 0;
	slash = strrchr(out, '/');
	if (slash)
		*slash = 0;
}

int og_proc_find(const char *name, const char *libexec_dir, char out[OG_PROC_PATH_MAX], struct og_error *err)
{
	char dir[OG_PROC_PATH_MAX], build[64];

	if (libexec_dir) {
		if (runs(libexec_dir, "", name, out))
			return 0;
		return og_error_set(err, OG_ERR_NOT_FOUND, "%s is not in %s", name, libexec_dir);
	}
	own_dir(dir);
	snprintf(build, sizeof(build), "/../%s", name);
	if ((dir[0] && (runs(dir, "", name, out) || runs(dir, build, name, out) ||
			runs(dir, "/../libexec/omnigraph", name, out))) ||
	    runs(OG_LIBEXECDIR, "", name, out))
		return 0;
	return og_error_set(err, OG_ERR_NOT_FOUND, "%s is neither beside this program (%s) nor in %s", name, dir,
			    OG_LIBEXECDIR);
}
