/*
 * Secrets given in the environment: kept in a sealed memfd that og-master never maps and that og-storaged alone gets.
 *
 * unsetenv leaves the bytes readable in /proc/PID/environ, so the initial block itself is overwritten. Which names are
 * secret: AWS_*, OMNIGRAPH_SERVER_BEARER_*, proxy variables (their URLs hold passwords) and every name ending in _API_KEY.
 * Block: "NAME=value" each ended by a NUL byte.
 * Threads: before any thread starts.
 */
#ifndef OG_PROC_SECRETS_H
#define OG_PROC_SECRETS_H

#include "base/error.h"
#include "base/slice.h"

/* Moves the secret variables of `envp` (the initial block, as main got it) into a sealed memfd and overwrites them where they stand;
 * they are unset afterwards. *fd = -1 when there were none. */
int og_secrets_take(char **envp, int *fd, struct og_error *err) OG_MUST_CHECK;
/* The same later, for what was added meanwhile (envp: environ): *fd, perhaps -1, is replaced by one that holds the old ones and, behind them, the new.
 * Of a name that occurs twice the older value counts. */
int og_secrets_take_more(char **envp, int *fd, struct og_error *err) OG_MUST_CHECK;
/* Copies the value of one secret out of the memfd into out (NUL-terminated, at most size - 1 bytes). OG_ERR_NOT_FOUND without it or with fd -1. The caller
 * wipes it with explicit_bzero. */
int og_secrets_get(int fd, const char *name, char *out, size_t size, struct og_error *err) OG_MUST_CHECK;
/* Calls cb with each "NAME=value", valid during the call; below 0 ends it with that code. Nothing with fd -1. */
int og_secrets_each(int fd, int (*cb)(void *arg, const char *entry, struct og_error *err), void *arg, struct og_error *err) OG_MUST_CHECK;
/* Whether a variable of this name is a secret. */
bool og_secrets_named(const char *name, size_t len);

#endif
