/*
 * Where our other programs lie: beside the running one in a build tree or a relocated installation, else in libexecdir.
 * Threads: any.
 */
#ifndef OG_PROC_FIND_H
#define OG_PROC_FIND_H

#include "base/error.h"

#define OG_PROC_PATH_MAX 4096

/*
 * The path of a program ("og-worker"). Looked for, in this order: in libexec_dir when not NULL, and nowhere else then; in the
 * folder of the running program; in ../NAME of it (build tree); in ../libexec/omnigraph of it; in the configured libexecdir.
 * OG_ERR_NOT_FOUND names the places.
 */
int og_proc_find(const char *name, const char *libexec_dir, char out[OG_PROC_PATH_MAX], struct og_error *err) OG_MUST_CHECK;

#endif
