/*
 * og-cli: the commands, their shared context, and reports.
 *
 * main.c      entry, error reports
 * args.c      argv by the table of commands.c; help.c its texts
 * cli.c       what commands share: config, graph selection, output
 * direct.c    a private og-storaged for a local graph
 * render.c    query results as text
 * init.c, load.c, export.c, query.c, snapshot.c, lint.c, verify.c, status.c    commands
 */
#ifndef OG_CLI_CLI_H
#define OG_CLI_CLI_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "ipc/wire.h"
#include "json/writer.h"
#include "og-cli/args.h"

struct cli {
	struct args args;
	struct og_arena arena;		/* of the command */
	struct og_config config;
	bool config_loaded;
	struct og_buf out;		/* stdout, written when the command has succeeded */
	bool reader_gone;		/* of stdout */
	struct og_error err;		/* for the report */
	int secrets_fd;			/* or -1: what the environment held of secrets, for og-storaged alone */
};

/* Everything below returns 0 or a negative OG_ERR_*, with c->err filled. */

/* The config that --config names, or the one at hand; its environment file is applied. */
int cli_config(struct cli *c) OG_MUST_CHECK;
/* The graph by [URI], --uri, --target, cli.graph. */
int cli_select(struct cli *c, struct og_selection *sel) OG_MUST_CHECK;
/* Refuses what this version cannot reach. *path: the graph's directory, normalised, or its s3:// URI. */
int cli_local(struct cli *c, const char *uri, const char **path) OG_MUST_CHECK;
/* If the profile in use has its keys printed by a command (credential_process): runs it, and puts them among the secrets. */
int cli_process_keys(struct cli *c) OG_MUST_CHECK;
/* --branch > the alias's > cli.branch > main */
const char *cli_branch(const struct cli *c, const char *alias_branch);
/* --as > cli.actor; NULL: none. */
const char *cli_actor(const struct cli *c);
/* A local write under a policy file: not available yet, said clearly. */
int cli_policy(struct cli *c, const struct og_selection *sel) OG_MUST_CHECK;
/* A file of UTF-8 text; `-` is standard input. The text lies in the arena. */
int cli_read_text(struct cli *c, const char *path, struct og_slice *out) OG_MUST_CHECK;

/* The member "commit". */
void cli_put_commit(struct og_json_writer *w, const struct og_wire_commit *commit, struct og_slice branch);
/* Writes and empties c->out. A closed pipe ends the program in silence. */
int cli_flush(struct cli *c) OG_MUST_CHECK;
/* `Error:` and the causes of c->err on stderr; returns EXIT_FAILED. */
int cli_fail(struct cli *c);
/* "<label> is not available in this version" */
int cli_unavailable(struct cli *c);

int cmd_version(struct cli *c);
int cmd_init(struct cli *c);
int cmd_load(struct cli *c);
int cmd_ingest(struct cli *c);
int cmd_lint(struct cli *c);
int cmd_schema_show(struct cli *c);
int cmd_snapshot(struct cli *c);
int cmd_export(struct cli *c);
int cmd_query(struct cli *c);
int cmd_mutate(struct cli *c);
int cmd_verify(struct cli *c);
int cmd_optimize(struct cli *c);
int cmd_status(struct cli *c);

#endif
