/* credential_process: a profile's command that prints keys, run here for the private og-storaged. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/process.h"
#include "base/fd.h"
#include "og-cli/cli.h"
#include "proc/secrets.h"
#include "proc/spawn.h"

#define OUTPUT_MAX (64u * OG_KIB)
#define ENTRIES_MAX 1024u
#define VARIABLE "AWS_CREDENTIAL_PROCESS_KEYS"

static int lookup(void *arg, const char *name, char *out, size_t size, struct og_error *err)
{
	const struct cli *c = arg;
	const char *home = strcmp(name, "HOME") == 0 ? getenv("HOME") : NULL;

	if (!home)
		return og_secrets_get(c->secrets_fd, name, out, size, err);
	if (strlen(home) >= size)
		return og_error_set(err, OG_ERR_TOO_LARGE, "HOME is too long");
	strcpy(out, home);
	return 0;
}

/* ---- its environment: ours, with what of AWS we took out of it ---- */

struct entries {
	char *v[ENTRIES_MAX + 1];
	size_t n, own;			/* own: of them on the heap */
};

static int add_entry(void *arg, const char *entry, struct og_error *err)
{
	struct entries *e = arg;
	size_t n = strcspn(entry, "=");

	/* A proxy is needed to reach AWS; tokens and other keys are none of its business. */
	if (strncmp(entry, "AWS_", 4) != 0 && !(n > 6 && strncasecmp(entry + n - 6, "_proxy", 6) == 0))
		return 0;
	if (e->n == ENTRIES_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "more than %u variables", ENTRIES_MAX);
	e->v[e->n] = strdup(entry);
	if (!e->v[e->n])
		return og_error_nomem(err);
	e->n++;
	e->own++;
	return 0;
}

static int make_environment(const struct cli *c, struct entries *e, struct og_error *err)
{
	int rc = og_secrets_each(c->secrets_fd, add_entry, e, err);

	for (char **v = environ; rc == 0 && *v && e->n < ENTRIES_MAX; v++)
		e->v[e->n++] = *v;
	return rc;
}

static void wipe_environment(struct entries *e)
{
	for (size_t i = 0; i < e->own; i++) {
		explicit_bzero(e->v[i], strlen(e->v[i]));
		free(e->v[i]);
	}
}

/* ---- running it ---- */

static int read_output(int fd, char *out, size_t *len, struct og_error *err)
{
	ssize_t n;
	int e;

	/* One buffer that does not grow: growing would leave copies behind. */
	while ((n = read(fd, out + *len, OUTPUT_MAX - *len)) != 0) {
		e = errno;
		if (n < 0 && e != EINTR)
			return og_error_sys(err, e, "its output");
		*len += n > 0 ? (size_t)n : 0;
		if (*len == OUTPUT_MAX)
			return og_error_set(err, OG_ERR_TOO_LARGE, "it prints more than %u bytes", OUTPUT_MAX - 1);
	}
	return 0;
}

static int run(const struct cli *c, const char *command, char *out, size_t *len, struct og_error *err)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)command, NULL };
	struct entries env = { 0 };
	int pipe_fds[2] = { -1, -1 }, status = 0, e, rc;
	pid_t pid = -1;

	if ((rc = make_environment(c, &env, err)) < 0)
		goto out;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		e = errno;
		rc = og_error_sys(err, e, "pipe");
		goto out;
	}
	rc = og_spawn(&(struct og_spawn){ .path = "/bin/sh", .argv = argv, .envp = env.v, .fds = { { pipe_fds[1], 1 } }, .nfds = 1 }, &pid, err);
	og_fd_close(&pipe_fds[1]);
	if (rc == 0)
		rc = read_output(pipe_fds[0], out, len, err);
	og_fd_close(&pipe_fds[0]);	/* one that prints on ends now */
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == 0 && WIFEXITED(status) && WEXITSTATUS(status) != 0)
		rc = og_error_set(err, OG_ERR_DENIED, "it ended with exit code %d", WEXITSTATUS(status));
	else if (rc == 0 && !WIFEXITED(status))
		rc = og_error_set(err, OG_ERR_DENIED, "it was ended by signal %d", WTERMSIG(status));
out:
	wipe_environment(&env);
	og_fd_close(&pipe_fds[0]);
	og_fd_close(&pipe_fds[1]);
	return rc;
}

/* The result goes the way of all that is secret. */
static int hand_over(struct cli *c, const struct og_buf *value)
{
	size_t n = strlen(VARIABLE) + 1 + value->len + 1;
	char *envp[] = { malloc(n), NULL };
	int rc;

	if (!envp[0])
		return og_error_nomem(&c->err);
	snprintf(envp[0], n, VARIABLE "=%s", value->data);
	rc = og_secrets_take_more((char *[]){ envp[0], NULL }, &c->secrets_fd, &c->err);
	explicit_bzero(envp[0], n);
	free(envp[0]);
	return rc;
}

static int run_for(struct cli *c, const char *profile, const char *command)
{
	char *out = calloc(1, OUTPUT_MAX);
	struct og_buf value = { 0 };
	size_t len = 0;
	int rc;

	if (!out)
		return og_error_nomem(&c->err);
	rc = run(c, command, out, &len, &c->err);
	if (rc < 0)
		og_error_prefix(&c->err, "credential_process of profile '%s': ", profile);
	else
		rc = og_aws_process_output(og_slice(out, len), profile, &value, &c->err);
	if (rc == 0)
		rc = hand_over(c, &value);
	explicit_bzero(out, OUTPUT_MAX);
	free(out);
	if (value.data)
		explicit_bzero(value.data, value.cap);
	og_buf_fini(&value);
	return rc;
}

int cli_process_keys(struct cli *c)
{
	char *profile = NULL, *command = NULL;
	struct og_aws_settings settings;
	struct og_error ignored = { 0 };
	int rc = og_aws_settings_load(&settings, lookup, c, &c->err);

	if (rc < 0)
		return rc;
	/* What is wrong with the configuration og-storaged says. */
	if (!settings.process_keys && og_aws_process_needed(&settings, &profile, &command, &ignored) == 0 && command)
		rc = run_for(c, profile, command);
	free(profile);
	free(command);
	og_aws_settings_fini(&settings);
	return rc;
}
