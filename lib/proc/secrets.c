/* Secrets out of the environment, into a sealed memfd. */
#include "config.h"

#include "proc/secrets.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fd.h"

#define BLOCK_MAX (1u * OG_MIB)

bool og_secrets_named(const char *name, size_t len)
{
	static const char *const prefixes[] = { "AWS_", "OMNIGRAPH_SERVER_BEARER_" };
	/* A proxy's URL may hold a password. */
	static const char *const names[] = { "http_proxy", "https_proxy", "all_proxy", "no_proxy" };
	static const char suffix[] = "_API_KEY";

	for (size_t i = 0; i < OG_COUNT(prefixes); i++)
		if (len >= strlen(prefixes[i]) && memcmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	for (size_t i = 0; i < OG_COUNT(names); i++)
		if (len == strlen(names[i]) && strncasecmp(name, names[i], len) == 0)
			return true;
	return len >= sizeof(suffix) - 1 && memcmp(name + len - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1) == 0;
}

static bool is_secret(const char *entry)
{
	const char *eq = strchr(entry, '=');

	return eq && og_secrets_named(entry, (size_t)(eq - entry));
}

/* One allocation of the final size: growing would leave copies behind in freed memory. */
static int collect(struct og_slice old, char **envp, char **out, size_t *len, struct og_error *err)
{
	size_t n = old.len;
	char *block, *p;

	for (char **e = envp; *e; e++)
		if (is_secret(*e))
			n += strlen(*e) + 1;
	*len = n;
	*out = NULL;
	if (!n)
		return 0;
	block = p = malloc(n);
	if (!block)
		return og_error_nomem(err);
	if (old.len)
		p = mempcpy(p, old.p, old.len);
	for (char **e = envp; *e; e++)
		if (is_secret(*e))
			p = stpcpy(p, *e) + 1;
	*out = block;
	return 0;
}

/* unsetenv would leave the text where the kernel shows it: wipe it in place, then close the gap in the list. */
static void wipe(char **envp)
{
	char **to = envp;

	for (char **e = envp; *e; e++) {
		if (is_secret(*e))
			explicit_bzero(*e, strlen(*e));
		else
			*to++ = *e;
	}
	*to = NULL;
}

static int take(struct og_slice old, char **envp, int *fd, struct og_error *err)
{
	char *block;
	size_t len;
	int rc;

	*fd = -1;
	if ((rc = collect(old, envp, &block, &len, err)) < 0 || !block)
		return rc;
	if (len > BLOCK_MAX)
		rc = og_error_set(err, OG_ERR_TOO_LARGE, "%zu bytes of secrets in the environment", len);
	else
		rc = og_memfd_from("og-secrets", og_slice(block, len), fd, err);
	explicit_bzero(block, len);
	free(block);
	if (rc == 0)
		wipe(envp);
	return rc;
}

int og_secrets_take(char **envp, int *fd, struct og_error *err)
{
	return take(og_slice(NULL, 0), envp, fd, err);
}

int og_secrets_take_more(char **envp, int *fd, struct og_error *err)
{
	struct og_slice old = { 0 };
	uint64_t len;
	int rc, more;

	if (*fd < 0)
		return og_secrets_take(envp, fd, err);
	if ((rc = og_memfd_check(*fd, &len, err)) < 0 || (rc = og_map_file(*fd, len, &old, err)) < 0)
		return rc;
	rc = take(old, envp, &more, err);
	og_unmap(&old);
	if (rc < 0)
		return rc;
	og_fd_close(fd);
	*fd = more;
	return 0;
}

static const char *find(const char *block, size_t len, const char *name)
{
	size_t n = strlen(name);
	const char *end = block + len;

	for (const char *p = block; p < end;) {
		size_t k = strnlen(p, (size_t)(end - p));

		if (p + k == end)
			return NULL; /* its NUL is missing: not ours */
		if (k > n && p[n] == '=' && memcmp(p, name, n) == 0)
			return p + n + 1;
		p += k + 1;
	}
	return NULL;
}

int og_secrets_get(int fd, const char *name, char *out, size_t size, struct og_error *err)
{
	struct og_slice block = { 0 };
	const char *value;
	uint64_t len;
	size_t n;
	int rc;

	if (fd < 0)
		return og_error_set(err, OG_ERR_NOT_FOUND, "%s is not set", name);
	if ((rc = og_memfd_check(fd, &len, err)) < 0 || (rc = og_map_file(fd, len, &block, err)) < 0)
		return rc;
	value = find(block.p, block.len, name);
	n = value ? strlen(value) : 0;
	if (!value) {
		rc = og_error_set(err, OG_ERR_NOT_FOUND, "%s is not set", name);
	} else if (n >= size) {
		rc = og_error_set(err, OG_ERR_TOO_LARGE, "%s has %zu bytes, at most %zu are possible", name, n,
				  size - 1);
	} else {
		memcpy(out, value, n + 1);
	}
	og_unmap(&block);
	return rc;
}

int og_secrets_each(int fd, int (*cb)(void *arg, const char *entry, struct og_error *err), void *arg, struct og_error *err)
{
	struct og_slice block = { 0 };
	uint64_t len;
	int rc;

	if (fd < 0)
		return 0;
	if ((rc = og_memfd_check(fd, &len, err)) < 0 || (rc = og_map_file(fd, len, &block, err)) < 0)
		return rc;
	for (size_t at = 0; at < block.len && rc == 0;) {
		size_t n = strnlen(block.p + at, block.len - at);

		if (at + n == block.len)
			break; /* its NUL is missing: not ours */
		rc = cb(arg, block.p + at, err);
		at += n + 1;
	}
	og_unmap(&block);
	return rc;
}
