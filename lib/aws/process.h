/*
 * credential_process of the shared files: a command that prints keys. og-cli alone runs it, before it starts its og-storaged, to
 * which it hands the keys in one variable, AWS_CREDENTIAL_PROCESS_KEYS.
 * Source:  AWS SDKs and Tools Reference Guide, "Process credential provider".
 * Memory:  what holds keys is wiped when it is freed.
 */
#ifndef OG_AWS_PROCESS_H
#define OG_AWS_PROCESS_H

#include "aws/settings.h"
#include "base/buf.h"

/* The profile whose keys a command has to print, with that command, both on the heap; both NULL when the chain needs none. An error
 * is one of the configuration: og-storaged will find it too. */
int og_aws_process_needed(const struct og_aws_settings *s, char **profile, char **command, struct og_error *err) OG_MUST_CHECK;

/* What the command printed, as the value of that variable. OG_ERR_DENIED, naming the profile: not JSON of version 1, no keys, or
 * keys that have expired. The caller wipes *value. */
int og_aws_process_output(struct og_slice output, const char *profile, struct og_buf *value, struct og_error *err) OG_MUST_CHECK;

struct og_aws_process_keys {
	char *id, *secret, *token;	/* token: NULL when there is none */
};
/* OG_ERR_BAD: the value is no such thing, or for another profile. */
int og_aws_process_keys_read(const char *value, const char *profile, struct og_aws_process_keys *k, struct og_error *err) OG_MUST_CHECK;
void og_aws_process_keys_fini(struct og_aws_process_keys *k);

#endif
