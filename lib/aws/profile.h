/*
 * The shared files of AWS tools: ~/.aws/config and ~/.aws/credentials.
 * Source:  AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
 * Trust:   the operator's files; lines that make no sense are skipped.
 * Memory:  one block of text a file, wiped by og_aws_profiles_fini; values point into it.
 */
#ifndef OG_AWS_PROFILE_H
#define OG_AWS_PROFILE_H

#include "base/buf.h"

struct og_aws_profile_entry {
	const char *profile, *key, *value;
};

struct og_aws_profiles {
	struct og_buf text[2];		/* config, credentials */
	struct og_aws_profile_entry *v;
	size_t n, cap;
};

/* A file that is not there or may not be read is an empty one (started by root we are another user, and the home folder root's); either path may be
 * NULL. OG_ERR_IO names the file. */
int og_aws_profiles_read(struct og_aws_profiles *p, const char *config_path, const char *credentials_path, struct og_error *err) OG_MUST_CHECK;
void og_aws_profiles_fini(struct og_aws_profiles *p);
bool og_aws_profile_known(const struct og_aws_profiles *p, const char *profile);
/* Keys in lower case. The credentials file is asked first. NULL: not set, or empty. */
const char *og_aws_profile_get(const struct og_aws_profiles *p, const char *profile, const char *key);
/* The first key of the profile that begins so and is not empty, or NULL. */
const char *og_aws_profile_with(const struct og_aws_profiles *p, const char *profile, const char *prefix);

#endif
