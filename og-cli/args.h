/*
 * The command line as a table: every command with its options and positionals, and the parser that reads argv by it.
 *
 * Grammar: options `--name value`, `--name=value`, `-e value`, `-evalue`, `-e=value`; names are never abbreviated; a value given
 * as a word of its own may not begin with `-`, but a lone `-` is one; everything after a bare `--` is positional.
 * Usage errors are printed as `error: <text>`, a usage line and a pointer to --help; their exit code is 2.
 * Memory: values point into argv. Threads: one.
 */
#ifndef OG_CLI_ARGS_H
#define OG_CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,	/* any failure at run time */
	EXIT_USAGE = 2,
};

enum arg_kind {
	ARG_FLAG,
	ARG_TEXT,	/* UTF-8; may be empty */
	ARG_PATH,	/* any bytes; empty counts as none */
	ARG_URI,	/* UTF-8; empty counts as none */
	ARG_ENUM,	/* one of choices */
	ARG_U32,
};

#define ARG_REQUIRED 1u
#define ARG_REPEATS 2u
#define ARG_HIDDEN 4u
#define ARG_POSITIONAL 8u	/* in the order of the table; with ARG_REPEATS: all that are left */

struct arg {
	const char *name;		/* "data"; of a positional "URI" */
	const char *value;		/* "DATA"; NULL for flags and positionals */
	enum arg_kind kind;
	unsigned flags;
	char letter;			/* 'e': -e; 0: none */
	const char *const *choices;	/* ARG_ENUM, ends in NULL */
	const char *otherwise;		/* the default, for help and arg_text */
	const char *help;
	const char *alias;		/* another spelling, hidden; NULL: none */
};

/* Groups: of the names at most one may be given; or: the first needs all others. End in NULL. */
struct arg_rule {
	enum { ARG_EXCLUDE, ARG_NEED } kind;
	const char *names[4];
};

struct cli;

struct command {
	const char *name;
	const char *alias;		/* shown in help when it is a shown one */
	bool alias_hidden;
	const char *about;
	const struct command *subs;	/* ends with name NULL; then there is nothing else but help */
	const struct arg *args;		/* ends with name NULL */
	const struct arg_rule *rules;	/* ends with names[0] NULL; may be NULL */
	bool standard_input;		/* a lone `-` may stand for it, once */
	int (*run)(struct cli *c);	/* exit code; NULL: not available in this version */
};

/* commands.c */
extern const struct command commands[];
extern const char *const arg_modes[];

#define ARGS_MAX 24
#define ARGS_DEPTH 3

struct args {
	const struct command *path[ARGS_DEPTH];	/* "branch", "create" */
	size_t depth;
	const struct command *command;	/* the last of path */
	struct {
		const char **v;		/* in argv order */
		size_t n;
	} values[ARGS_MAX];		/* like command->args; of a flag n counts */
	const char *actor;		/* --as */
	const char **store;		/* private: the values */
};

enum args_end {
	ARGS_RUN,
	ARGS_DONE,		/* help or version was printed: exit 0 */
	ARGS_WRONG,		/* told: exit 2 */
};

/* Prints what there is to say, deprecation warnings included. argv may be reordered. */
enum args_end args_parse(int argc, char **argv, struct args *a);
void args_free(struct args *a);

/* By the name in the table, which must be there. NULL: not given and no default. */
const char *arg_text(const struct args *a, const char *name);
bool arg_flag(const struct args *a, const char *name);
/* All values of a repeated one. */
size_t arg_all(const struct args *a, const char *name, const char *const **v);
/* Whether the command has it at all. */
bool arg_known(const struct args *a, const char *name);
/* -1: not given. */
int arg_choice(const struct args *a, const char *name);

/* "branch create" */
void args_label(const struct args *a, char out[64]);

/* help.c: texts of --help. */
void help_command(struct og_buf *b, const struct command *const *path, size_t depth, bool full);
void help_usage(struct og_buf *b, const struct command *const *path, size_t depth);
/* "--mode <MODE>", "<URI>", "--force" */
void help_arg(struct og_buf *b, const struct arg *arg);

#endif
