/* Help texts, made from the command table. */
#include "config.h"

#include "og-cli/args.h"

#include <stdio.h>

#include "base/utf8.h"

static const char about[] = "Omnigraph graph database CLI";

void help_arg(struct og_buf *b, const struct arg *arg)
{
	if (arg->flags & ARG_POSITIONAL)
		og_buf_printf(b, arg->flags & ARG_REQUIRED ? "<%s>" : "[%s]", arg->name);
	else if (arg->kind == ARG_FLAG)
		og_buf_printf(b, "--%s", arg->name);
	else
		og_buf_printf(b, "--%s <%s>", arg->name, arg->value);
	if (arg->flags & ARG_POSITIONAL && arg->flags & ARG_REPEATS)
		og_buf_str(b, "...");
}

void help_usage(struct og_buf *b, const struct command *const *path, size_t depth)
{
	const struct command *c = depth ? path[depth - 1] : NULL;
	const struct arg *arg;

	og_buf_str(b, "Usage: omnigraph");
	for (size_t i = 0; i < depth; i++)
		og_buf_printf(b, " %s", path[i]->name);
	og_buf_str(b, " [OPTIONS]");
	if (!c || c->subs) {
		og_buf_str(b, " <COMMAND>\n");
		return;
	}
	for (arg = c->args; arg && arg->name; arg++)
		if (arg->flags & ARG_REQUIRED && !(arg->flags & ARG_POSITIONAL)) {
			og_buf_byte(b, ' ');
			help_arg(b, arg);
		}
	for (arg = c->args; arg && arg->name; arg++)
		if (arg->flags & ARG_POSITIONAL && !(arg->flags & ARG_HIDDEN)) {
			og_buf_byte(b, ' ');
			help_arg(b, arg);
		}
	og_buf_byte(b, '\n');
}

/* Two columns: what, then its text. */
struct rows {
	struct og_buf *b;
	size_t width;		/* of the left column; 0: only measuring */
	size_t widest;
};

static void row(struct rows *r, const char *left, size_t len, const char *text)
{
	r->widest = OG_MAX(r->widest, len);
	if (!r->width)
		return;
	og_buf_printf(r->b, "  %-*.*s  %s\n", (int)r->width, (int)len, left, text);
}

static void command_rows(struct rows *r, const struct command *list)
{
	for (const struct command *c = list; c->name; c++) {
		char text[300];

		if (c->alias && !c->alias_hidden)
			snprintf(text, sizeof(text), "%s [aliases: %s]", c->about, c->alias);
		else
			snprintf(text, sizeof(text), "%s", c->about);
		row(r, c->name, strlen(c->name), text);
	}
	if (list == commands)
		row(r, "help", 4, "Print this message or the help of the given subcommand(s)");
}

static void arg_row(struct rows *r, const struct arg *arg)
{
	struct og_buf left = { 0 }, text = { 0 };

	if (!(arg->flags & ARG_POSITIONAL)) {
		if (arg->letter)
			og_buf_printf(&left, "-%c, ", arg->letter);
		else
			og_buf_str(&left, "    ");
	}
	help_arg(&left, arg);
	og_buf_str(&text, arg->help);
	if (arg->otherwise)
		og_buf_printf(&text, " [default: %s]", arg->otherwise);
	if (arg->choices) {
		og_buf_str(&text, " [possible values: ");
		for (size_t i = 0; arg->choices[i]; i++)
			og_buf_printf(&text, "%s%s", i ? ", " : "", arg->choices[i]);
		og_buf_byte(&text, ']');
	}
	if (!left.failed && !text.failed)
		row(r, left.data, left.len, text.data);
	og_buf_fini(&left);
	og_buf_fini(&text);
}

static void arg_rows(struct rows *r, const struct command *c, bool positional)
{
	for (const struct arg *arg = c ? c->args : NULL; arg && arg->name; arg++)
		if (!(arg->flags & ARG_HIDDEN) && positional == ((arg->flags & ARG_POSITIONAL) != 0))
			arg_row(r, arg);
	if (positional)
		return;
	row(r, "    --as <ACTOR>", 16, "Act under this name (default: cli.actor)");
	if (!c)
		row(r, "-v, --version", 13, "Print version");
	row(r, "-h, --help", 10, "Print help");
}

enum block { BLOCK_COMMANDS, BLOCK_ARGUMENTS, BLOCK_OPTIONS };

static void block_rows(struct rows *r, const struct command *c, enum block block)
{
	switch (block) {
	case BLOCK_COMMANDS:
		if (!c || c->subs)
			command_rows(r, c ? c->subs : commands);
		return;
	case BLOCK_ARGUMENTS:
		arg_rows(r, c, true);
		return;
	case BLOCK_OPTIONS:
		arg_rows(r, c, false);
		return;
	}
}

void help_command(struct og_buf *b, const struct command *const *path, size_t depth, bool full)
{
	static const char *const titles[] = { "Commands:", "Arguments:", "Options:" };
	const struct command *c = depth ? path[depth - 1] : NULL;

	og_buf_printf(b, "%s\n\n", c ? c->about : about);
	help_usage(b, path, depth);
	for (enum block block = BLOCK_COMMANDS; block <= BLOCK_OPTIONS; block++) {
		struct rows r = { .b = b };

		block_rows(&r, c, block);
		if (!r.widest)
			continue;
		og_buf_printf(b, "\n%s\n", titles[block]);
		r.width = r.widest;
		block_rows(&r, c, block);
	}
	if (full && !c)
		og_buf_str(b, "\nA graph is named by a path or URI, by --target, or by cli.graph of ./omnigraph.yaml.\n"
			      "See omnigraph(1).\n");
}
