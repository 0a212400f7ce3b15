/* og-cli: entry, and the end of a command. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "og-cli/cli.h"
#include "proc/secrets.h"

int cmd_version(struct cli *c)
{
	og_buf_str(&c->out, "omnigraph " PACKAGE_VERSION "\n");
	return EXIT_DONE;
}

/* What args.c printed must have arrived as well. */
static int close_stdout(struct cli *c, int code)
{
	int e;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	e = errno;
	if (e == EPIPE)
		return EXIT_FAILED;
	og_error_sys(&c->err, e, "stdout");
	return cli_fail(c);
}

int main(int argc, char **argv, char **envp)
{
	struct cli c = { .secrets_fd = -1 };
	int code = EXIT_FAILED;

	/* A closed pipe is an error of write(2), so that what we started is stopped in order. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	og_log_init("omnigraph", og_log_parse_level(getenv("RUST_LOG") ? getenv("RUST_LOG") : "error"), false);
	switch (args_parse(argc, argv, &c.args)) {
	case ARGS_DONE:
		code = close_stdout(&c, EXIT_DONE);
		break;
	case ARGS_WRONG:
		code = EXIT_USAGE;
		break;
	case ARGS_RUN:
		og_arena_init(&c.arena, 0);
		/* Before any file is read: credentials are og-storaged's, not ours. */
		if (og_secrets_take(envp, &c.secrets_fd, &c.err) < 0) {
			code = cli_fail(&c);
			break;
		}
		code = c.args.command->run ? c.args.command->run(&c) : cli_unavailable(&c);
		if (code == EXIT_DONE && cli_flush(&c) < 0)
			code = cli_fail(&c);
		break;
	}
	og_buf_fini(&c.out);
	if (c.config_loaded)
		og_config_fini(&c.config);
	og_arena_fini(&c.arena);
	og_fd_close(&c.secrets_fd);
	args_free(&c.args);
	return code;
}
