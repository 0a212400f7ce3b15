/* Reading argv by the command table. */
#include "config.h"

#include "og-cli/args.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/utf8.h"

#define MORE "\nFor more information, try '--help'.\n"

struct parser {
	struct args *a;
	int argc, at;
	char **argv;
	bool only_positional;
	int actors;			/* --as on this side of the subcommand */
	const char **store;		/* room for one value per word */
	size_t used;
};

/* ---- what is wrong ---- */

/* error: <text>, and the usage unless it is about a value. */
static enum args_end wrong(struct parser *p, bool usage, const char *fmt, ...)
{
	struct og_buf b = { 0 };
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	og_buf_printf(&b, "error: %s\n", text);
	if (usage) {
		og_buf_byte(&b, '\n');
		help_usage(&b, p->a->path, p->a->depth);
	}
	og_buf_str(&b, MORE);
	if (!b.failed)
		fputs(b.data, stderr);
	og_buf_fini(&b);
	return ARGS_WRONG;
}

static const char *arg_label(const struct arg *arg, char out[100])
{
	struct og_buf b = { 0 };

	help_arg(&b, arg);
	snprintf(out, 100, "%s", b.failed || !b.data ? arg->name : b.data);
	og_buf_fini(&b);
	return out;
}

static const char *choices_text(const struct arg *arg, char out[400])
{
	size_t n = 0;

	out[0] = '\0';
	if (!arg->choices)
		return out;
	n = (size_t)snprintf(out, 400, "\n  [possible values: ");
	for (size_t i = 0; arg->choices[i]; i++)
		n += (size_t)snprintf(out + n, 400 - n, "%s%s", i ? ", " : "", arg->choices[i]);
	snprintf(out + n, 400 - n, "]");
	return out;
}

static enum args_end no_value(struct parser *p, const struct arg *arg)
{
	char label[100], choices[400];

	return wrong(p, false, "a value is required for '%s' but none was supplied%s", arg_label(arg, label), choices_text(arg, choices));
}

static enum args_end unexpected(struct parser *p, const char *word)
{
	if (word[0] == '-' && word[1] && p->a->command)
		return wrong(p, true, "unexpected argument '%s' found\n\n  tip: to pass '%s' as a value, use '-- %s'", word, word, word);
	return wrong(p, true, "unexpected argument '%s' found", word);
}

/* ---- values ---- */

static enum args_end bad_number(struct parser *p, const struct arg *arg, const char *v, const char *why)
{
	char label[100];

	return wrong(p, false, "invalid value '%s' for '%s': %s", v, arg_label(arg, label), why);
}

static enum args_end check_u32(struct parser *p, const struct arg *arg, const char *v)
{
	const char *digits = v[0] == '+' || v[0] == '-' ? v + 1 : v;
	char why[100];
	uint64_t n;

	if (!v[0])
		return bad_number(p, arg, v, "cannot parse integer from empty string");
	if (!digits[0] || strspn(digits, "0123456789") != strlen(digits))
		return bad_number(p, arg, v, "invalid digit found in string");
	if (v[0] != '-' && og_parse_u64(og_slice_str(digits), &n) && n <= UINT32_MAX)
		return ARGS_RUN;
	snprintf(why, sizeof(why), "%.40s is not in 0..=4294967295", v);
	return bad_number(p, arg, v, why);
}

static enum args_end check_value(struct parser *p, const struct arg *arg, const char *v)
{
	struct og_slice s = og_slice_str(v);
	char label[100], choices[400];

	if (arg->kind != ARG_PATH && og_utf8_check(s) != s.len)
		return wrong(p, false, "invalid UTF-8 was detected in one or more arguments");
	switch (arg->kind) {
	case ARG_FLAG:
	case ARG_TEXT:
		return ARGS_RUN;
	case ARG_PATH:
	case ARG_URI:
		return v[0] ? ARGS_RUN : no_value(p, arg);
	case ARG_ENUM:
		for (size_t i = 0; arg->choices[i]; i++)
			if (strcmp(arg->choices[i], v) == 0)
				return ARGS_RUN;
		return v[0] ? wrong(p, false, "invalid value '%s' for '%s'%s", v, arg_label(arg, label), choices_text(arg, choices)) :
			      no_value(p, arg);
	case ARG_U32:
		return check_u32(p, arg, v);
	}
	return ARGS_RUN;
}

static enum args_end put_value(struct parser *p, const struct arg *arg, const char *v)
{
	size_t i = (size_t)(arg - p->a->command->args);
	char label[100];

	if (p->a->values[i].n && !(arg->flags & ARG_REPEATS))
		return wrong(p, true, "the argument '%s' cannot be used multiple times", arg_label(arg, label));
	if (v) {
		enum args_end end = check_value(p, arg, v);

		if (end != ARGS_RUN)
			return end;
	}
	/* The values of one argument lie side by side: those behind move up. */
	if (!p->a->values[i].v)
		p->a->values[i].v = &p->store[p->used];
	else
		for (size_t k = p->used; &p->store[k] > p->a->values[i].v + p->a->values[i].n; k--)
			p->store[k] = p->store[k - 1];
	for (size_t k = 0; k < ARGS_MAX; k++)
		if (k != i && p->a->values[k].v && p->a->values[k].v > p->a->values[i].v)
			p->a->values[k].v++;
	p->a->values[i].v[p->a->values[i].n++] = v;
	p->used++;
	return ARGS_RUN;
}

/* ---- help and version ---- */

static enum args_end show_help(const struct command *const *path, size_t depth, bool full)
{
	struct og_buf b = { 0 };

	help_command(&b, path, depth, full);
	if (!b.failed)
		fputs(b.data, stdout);
	og_buf_fini(&b);
	return ARGS_DONE;
}

static const struct command *find_command(const struct command *list, const char *word)
{
	for (; list->name; list++)
		if (strcmp(list->name, word) == 0 || (list->alias && strcmp(list->alias, word) == 0))
			return list;
	return NULL;
}

/* omnigraph help [<sub>...] */
static enum args_end help_words(struct parser *p)
{
	const struct command *path[ARGS_DEPTH], *list = commands;
	size_t depth = 0;

	for (; p->at < p->argc; p->at++) {
		const struct command *c = list ? find_command(list, p->argv[p->at]) : NULL;

		if (!c && list == commands && strcmp(p->argv[p->at], "help") == 0)
			break;
		if (!c)
			return wrong(p, true, "unrecognized subcommand '%s'", p->argv[p->at]);
		path[depth++] = c;
		list = c->subs;
	}
	return show_help(path, depth, true);
}

/* ---- words ---- */

static const struct arg *find_arg(const struct parser *p, const char *name, size_t len)
{
	const struct arg *arg = p->a->command ? p->a->command->args : NULL;

	for (; arg && arg->name; arg++) {
		if (arg->flags & ARG_POSITIONAL)
			continue;
		if ((strlen(arg->name) == len && memcmp(arg->name, name, len) == 0) ||
		    (arg->alias && strlen(arg->alias) == len && memcmp(arg->alias, name, len) == 0))
			return arg;
	}
	return NULL;
}

/* The value of an option: behind `=`, or the next word unless that looks like an option. NULL: none. */
static const char *take_word(struct parser *p, const char *attached)
{
	const char *next = p->at < p->argc ? p->argv[p->at] : NULL;

	if (attached)
		return attached;
	if (!next || (next[0] == '-' && next[1]))
		return NULL;
	p->at++;
	return next;
}

static enum args_end take_actor(struct parser *p, const char *attached)
{
	static const struct arg as = { .name = "as", .value = "ACTOR", .kind = ARG_TEXT };
	const char *v = take_word(p, attached);

	if (p->actors++)
		return wrong(p, true, "the argument '--as <ACTOR>' cannot be used multiple times");
	if (!v)
		return no_value(p, &as);
	p->a->actor = v;
	return check_value(p, &as, v);
}

static enum args_end take_long(struct parser *p, const char *word)
{
	const char *name = word + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct arg *arg;
	const char *v;
	char label[100];

	if (len == 4 && memcmp(name, "help", 4) == 0 && !eq)
		return show_help(p->a->path, p->a->depth, true);
	if (len == 7 && memcmp(name, "version", 7) == 0 && !p->a->command && !eq) {
		puts("omnigraph " PACKAGE_VERSION);
		return ARGS_DONE;
	}
	if (len == 2 && memcmp(name, "as", 2) == 0)
		return take_actor(p, eq ? eq + 1 : NULL);
	arg = find_arg(p, name, len);
	if (!arg) {
		char bare[200];

		snprintf(bare, sizeof(bare), "%.*s", (int)(len + 2), word);
		return unexpected(p, bare);
	}
	if (arg->kind == ARG_FLAG)
		return eq ? wrong(p, true, "unexpected value '%s' for '%s' found; no more were accepted", eq + 1, arg_label(arg, label)) :
			    put_value(p, arg, NULL);
	v = take_word(p, eq ? eq + 1 : NULL);
	return v ? put_value(p, arg, v) : no_value(p, arg);
}

static enum args_end take_short(struct parser *p, const char *word)
{
	const struct arg *arg = p->a->command ? p->a->command->args : NULL;
	char bare[3] = { '-', word[1], '\0' };
	const char *v;

	if (word[1] == 'h')
		return show_help(p->a->path, p->a->depth, false);
	if (word[1] == 'v' && !p->a->command) {
		puts("omnigraph " PACKAGE_VERSION);
		return ARGS_DONE;
	}
	for (; arg && arg->name; arg++)
		if (arg->letter == word[1])
			break;
	if (!arg || !arg->name)
		return unexpected(p, (unsigned char)word[1] < 0x80 ? bare : word);
	v = take_word(p, word[2] == '=' ? word + 3 : word[2] ? word + 2 : NULL);
	return v ? put_value(p, arg, v) : no_value(p, arg);
}

static enum args_end take_positional(struct parser *p, const char *word)
{
	const struct command *c = p->a->command;

	for (const struct arg *arg = c->args; arg && arg->name; arg++) {
		size_t i = (size_t)(arg - c->args);

		if (arg->flags & ARG_POSITIONAL && (!p->a->values[i].n || arg->flags & ARG_REPEATS))
			return put_value(p, arg, word);
	}
	return unexpected(p, word);
}

static enum args_end no_subcommand(struct parser *p)
{
	const struct command *c = p->a->command, *list = c ? c->subs : commands;
	struct og_buf names = { 0 };
	enum args_end end;

	/* Alone it is a question for help, which goes to stderr. */
	if (p->argc == 1 + (int)p->a->depth) {
		struct og_buf b = { 0 };

		help_command(&b, p->a->path, p->a->depth, true);
		if (!b.failed)
			fputs(b.data, stderr);
		og_buf_fini(&b);
		return ARGS_WRONG;
	}
	for (const struct command *s = list; s->name; s++)
		og_buf_printf(&names, "%s%s", s == list ? "" : ", ", s->name);
	if (list == commands)
		og_buf_str(&names, ", help");
	end = wrong(p, true, "'omnigraph%s%s' requires a subcommand but one was not provided\n  [subcommands: %s]", c ? " " : "", c ? c->name : "",
		    names.data ? names.data : "");
	og_buf_fini(&names);
	return end;
}

static enum args_end take_subcommand(struct parser *p, const char *word)
{
	const struct command *list = p->a->command ? p->a->command->subs : commands;
	const struct command *c = find_command(list, word);

	if (!c && list == commands && strcmp(word, "help") == 0)
		return help_words(p);
	if (!c)
		return wrong(p, true, "unrecognized subcommand '%s'", word);
	p->a->path[p->a->depth++] = c;
	p->a->command = c;
	p->actors = 0;
	return ARGS_RUN;
}

static enum args_end take_words(struct parser *p)
{
	enum args_end end = ARGS_RUN;

	while (end == ARGS_RUN && p->at < p->argc) {
		const char *word = p->argv[p->at++];
		bool option = !p->only_positional && word[0] == '-' && word[1];

		if (option && strcmp(word, "--") == 0)
			p->only_positional = true;
		else if (option && word[1] == '-')
			end = take_long(p, word);
		else if (option)
			end = take_short(p, word);
		else if (!p->a->command || p->a->command->subs)
			end = take_subcommand(p, word);
		else
			end = take_positional(p, word);
	}
	return end;
}

/* ---- what belongs together ---- */

static const struct arg *rule_arg(const struct command *c, const char *name)
{
	for (const struct arg *arg = c->args; arg->name; arg++)
		if (strcmp(arg->name, name) == 0)
			return arg;
	assert(!"a rule names an argument of its command");
	return NULL;
}

static bool given(const struct parser *p, const struct arg *arg)
{
	return p->a->values[arg - p->a->command->args].n > 0;
}

static enum args_end check_exclusive(struct parser *p, const struct arg_rule *r)
{
	const struct arg *first = NULL, *others[4];
	char label[100], texts[500] = "";
	size_t n = 0;

	for (size_t i = 0; i < OG_COUNT(r->names) && r->names[i]; i++) {
		const struct arg *arg = rule_arg(p->a->command, r->names[i]);

		if (!given(p, arg))
			continue;
		if (!first)
			first = arg;
		else
			others[n++] = arg;
	}
	if (n == 0)
		return ARGS_RUN;
	arg_label(first, label);
	if (n == 1) {
		char other[100];

		return wrong(p, true, "the argument '%s' cannot be used with '%s'", label, arg_label(others[0], other));
	}
	for (size_t i = 0; i < n; i++) {
		char other[100];
		size_t len = strlen(texts);

		snprintf(texts + len, sizeof(texts) - len, "\n  %s", arg_label(others[i], other));
	}
	return wrong(p, true, "the argument '%s' cannot be used with:%s", label, texts);
}

/* Two options that read standard input. */
static enum args_end check_stdin(struct parser *p)
{
	const struct command *c = p->a->command;
	char label[100], other[100];
	const struct arg *first = NULL;

	for (const struct arg *arg = c->args; c->standard_input && arg && arg->name; arg++) {
		size_t i = (size_t)(arg - c->args);

		if (arg->kind != ARG_PATH || !p->a->values[i].n || strcmp(p->a->values[i].v[0], "-") != 0 || strcmp(arg->name, "config") == 0)
			continue;
		if (first)
			return wrong(p, true, "the argument '%s' cannot be used with '%s': both read standard input", arg_label(first, label),
				     arg_label(arg, other));
		first = arg;
	}
	return ARGS_RUN;
}

static enum args_end check_required(struct parser *p)
{
	const struct command *c = p->a->command;
	struct og_buf b = { 0 };
	enum args_end end = ARGS_RUN;

	for (const struct arg *arg = c->args; arg && arg->name; arg++)
		if (arg->flags & ARG_REQUIRED && !given(p, arg)) {
			og_buf_str(&b, "\n  ");
			help_arg(&b, arg);
		}
	for (const struct arg_rule *r = c->rules; r && r->names[0]; r++) {
		if (r->kind != ARG_NEED || !given(p, rule_arg(c, r->names[0])))
			continue;
		for (size_t i = 1; i < OG_COUNT(r->names) && r->names[i]; i++)
			if (!given(p, rule_arg(c, r->names[i]))) {
				og_buf_str(&b, "\n  ");
				help_arg(&b, rule_arg(c, r->names[i]));
			}
	}
	if (b.len)
		end = wrong(p, true, "the following required arguments were not provided:%s", b.data);
	og_buf_fini(&b);
	return end;
}

static enum args_end check_all(struct parser *p)
{
	const struct command *c = p->a->command;
	enum args_end end = ARGS_RUN;

	if (!c || c->subs)
		return no_subcommand(p);
	for (const struct arg_rule *r = c->rules; end == ARGS_RUN && r && r->names[0]; r++)
		if (r->kind == ARG_EXCLUDE)
			end = check_exclusive(p, r);
	if (end == ARGS_RUN)
		end = check_stdin(p);
	return end == ARGS_RUN ? check_required(p) : end;
}

/* ---- spellings of old ---- */

/* Looks at the first two words alone; a warning for each that is not today's. */
static void rewrite(int *argc, char **argv)
{
	static const struct {
		const char *first, *second, *now;
	} olds[] = {
		{ "query", "lint", "lint" }, { "query", "check", "lint" }, { "check", NULL, "lint" }, { "read", NULL, "query" }, { "change", NULL, "mutate" },
	};

	for (size_t i = 0; i < OG_COUNT(olds); i++) {
		if (*argc < 2 || strcmp(argv[1], olds[i].first) != 0)
			continue;
		if (olds[i].second && (*argc < 3 || strcmp(argv[2], olds[i].second) != 0))
			continue;
		fprintf(stderr, "warning: `omnigraph %s%s%s` is deprecated; use `omnigraph %s` instead\n", olds[i].first, olds[i].second ? " " : "",
			olds[i].second ? olds[i].second : "", olds[i].now);
		if (olds[i].second) {
			memmove(&argv[1], &argv[2], (size_t)(*argc - 1) * sizeof(*argv));
			(*argc)--;
		}
		argv[1] = (char *)(uintptr_t)olds[i].now;
		return;
	}
}

/* ---- public ---- */

enum args_end args_parse(int argc, char **argv, struct args *a)
{
	struct parser p = { .a = a, .at = 1, .argv = argv };
	enum args_end end;

	memset(a, 0, sizeof(*a));
	rewrite(&argc, argv);
	p.argc = argc;
	p.store = calloc((size_t)argc + 1, sizeof(*p.store));
	if (!p.store) {
		fputs("error: out of memory\n", stderr);
		return ARGS_WRONG;
	}
	end = take_words(&p);
	if (end == ARGS_RUN)
		end = check_all(&p);
	a->store = p.store;
	return end;
}

void args_free(struct args *a)
{
	free(a->store);
	a->store = NULL;
}

static size_t index_of(const struct args *a, const char *name)
{
	const struct arg *arg = a->command->args;

	for (; arg && arg->name; arg++)
		if (strcmp(arg->name, name) == 0)
			return (size_t)(arg - a->command->args);
	return SIZE_MAX;
}

bool arg_known(const struct args *a, const char *name)
{
	return index_of(a, name) != SIZE_MAX;
}

const char *arg_text(const struct args *a, const char *name)
{
	size_t i = index_of(a, name);

	assert(i != SIZE_MAX);
	return a->values[i].n ? a->values[i].v[0] : a->command->args[i].otherwise;
}

bool arg_flag(const struct args *a, const char *name)
{
	size_t i = index_of(a, name);

	assert(i != SIZE_MAX);
	return a->values[i].n > 0;
}

size_t arg_all(const struct args *a, const char *name, const char *const **v)
{
	size_t i = index_of(a, name);

	assert(i != SIZE_MAX);
	*v = a->values[i].v;
	return a->values[i].n;
}

int arg_choice(const struct args *a, const char *name)
{
	const char *v = arg_text(a, name);
	const struct arg *arg = &a->command->args[index_of(a, name)];

	for (int i = 0; v && arg->choices[i]; i++)
		if (strcmp(arg->choices[i], v) == 0)
			return i;
	return -1;
}

void args_label(const struct args *a, char out[64])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < a->depth; i++)
		n += (size_t)snprintf(out + n, 64 - n, "%s%s", i ? " " : "", a->path[i]->name);
}
