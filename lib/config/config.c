/* The keys of omnigraph.yaml. */
#include "config.h"

#include "config/config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

#define CONFIG_MAX (16u * OG_MIB)
#define CONFIG_DEFAULT "omnigraph.yaml"

const char *const og_config_formats[] = { "table", "kv", "csv", "jsonl", "json", NULL };
static const char *const layouts[] = { "truncate", "wrap", NULL };
static const char *const alias_commands[] = { "read", "query", "change", "mutate", NULL };

#define SECTION(fields_, type) { (fields_), OG_COUNT(fields_), sizeof(type) }
#define TEXT(type, field) { #field, OG_FIELD_TEXT, offsetof(type, field), false, 0, NULL, NULL }
#define NAMED_TEXT(type, key, field, required_) { key, OG_FIELD_TEXT, offsetof(type, field), required_, 0, NULL, NULL }
#define SUB(type, field, sub_) { #field, OG_FIELD_SECTION, offsetof(type, field), false, 0, NULL, &(sub_) }
#define MAP(type, field, sub_) { #field, OG_FIELD_MAP, offsetof(type, field), false, 0, NULL, &(sub_) }

/* Types of the unnamed members, for offsets. */
typedef typeof(((struct og_config_query *)0)->mcp) mcp_t;
typedef typeof(((struct og_config_graph *)0)->policy) policy_t;
typedef typeof(((struct og_config *)0)->project) project_t;
typedef typeof(((struct og_config *)0)->server) server_t;
typedef typeof(((struct og_config *)0)->cli) cli_t;
typedef typeof(((struct og_config *)0)->query) query_t;
typedef typeof(((struct og_config *)0)->auth) auth_t;

static const struct og_field mcp_fields[] = {
	{ "expose", OG_FIELD_BOOL, offsetof(mcp_t, expose), false, 1, NULL, NULL },
	TEXT(mcp_t, tool_name),
};
static const struct og_section mcp_section = SECTION(mcp_fields, mcp_t);

static const struct og_field query_entry_fields[] = {
	NAMED_TEXT(struct og_config_query, "file", file, true),
	SUB(struct og_config_query, mcp, mcp_section),
};
static const struct og_section query_entry_section = SECTION(query_entry_fields, struct og_config_query);

static const struct og_field policy_fields[] = { NAMED_TEXT(policy_t, "file", file, false) };
static const struct og_section policy_section = SECTION(policy_fields, policy_t);

static const struct og_field graph_fields[] = {
	NAMED_TEXT(struct og_config_graph, "uri", uri, true),
	TEXT(struct og_config_graph, bearer_token_env),
	SUB(struct og_config_graph, policy, policy_section),
	MAP(struct og_config_graph, queries, query_entry_section),
};
static const struct og_section graph_section = SECTION(graph_fields, struct og_config_graph);

static const struct og_field project_fields[] = { TEXT(project_t, name) };
static const struct og_section project_section = SECTION(project_fields, project_t);

static const struct og_field server_fields[] = {
	TEXT(server_t, graph),
	NAMED_TEXT(server_t, "bind", bind, false),
	SUB(server_t, policy, policy_section),
};
static const struct og_section server_section = SECTION(server_fields, server_t);

static const struct og_field cli_fields[] = {
	TEXT(cli_t, graph),
	TEXT(cli_t, branch),
	TEXT(cli_t, actor),
	{ "output_format", OG_FIELD_ENUM, offsetof(cli_t, output_format), false, -1, og_config_formats, NULL },
	{ "table_max_column_width", OG_FIELD_UINT, offsetof(cli_t, table_max_column_width), false, 80, NULL, NULL },
	{ "table_cell_layout", OG_FIELD_ENUM, offsetof(cli_t, table_cell_layout), false, OG_LAYOUT_TRUNCATE, layouts, NULL },
};
static const struct og_section cli_section = SECTION(cli_fields, cli_t);

static const struct og_field query_fields[] = {
	{ "roots", OG_FIELD_TEXTS, offsetof(query_t, roots), false, 0, NULL, NULL },
};
static const struct og_section query_section = SECTION(query_fields, query_t);

static const struct og_field auth_fields[] = { TEXT(auth_t, env_file) };
static const struct og_section auth_section = SECTION(auth_fields, auth_t);

static const struct og_field alias_fields[] = {
	{ "command", OG_FIELD_ENUM, offsetof(struct og_config_alias, command_word), true, -1, alias_commands, NULL },
	NAMED_TEXT(struct og_config_alias, "query", query, true),
	NAMED_TEXT(struct og_config_alias, "name", query_name, false),
	TEXT(struct og_config_alias, graph),
	TEXT(struct og_config_alias, branch),
	{ "format", OG_FIELD_ENUM, offsetof(struct og_config_alias, format), false, -1, og_config_formats, NULL },
	{ "args", OG_FIELD_TEXTS, offsetof(struct og_config_alias, args), false, 0, NULL, NULL },
};
static const struct og_section alias_section = SECTION(alias_fields, struct og_config_alias);

static const struct og_field root_fields[] = {
	SUB(struct og_config, project, project_section),
	MAP(struct og_config, graphs, graph_section),
	MAP(struct og_config, queries, query_entry_section),
	SUB(struct og_config, policy, policy_section),
	SUB(struct og_config, server, server_section),
	SUB(struct og_config, cli, cli_section),
	SUB(struct og_config, query, query_section),
	SUB(struct og_config, auth, auth_section),
	MAP(struct og_config, aliases, alias_section),
};
static const struct og_section root_section = SECTION(root_fields, struct og_config);

/* ---- loading ---- */

int og_config_parse(struct og_config *c, struct og_slice text, const char *file, const char *dir, struct og_error *err)
{
	struct og_arena arena;
	struct og_yaml y;
	int rc;

	og_arena_init(&arena, 0);
	memset(c, 0, sizeof(*c));
	rc = og_yaml_parse(&y, text, err);
	if (rc == 0)
		rc = og_section_read(&root_section, &y, &arena, c, err);
	og_yaml_fini(&y);
	if (rc < 0) {
		if (file)
			og_error_prefix(err, "%s: ", file);
		og_arena_fini(&arena);
		memset(c, 0, sizeof(*c));
		return rc;
	}
	c->arena = arena;
	c->file = file ? og_arena_strndup(&c->arena, file, strlen(file)) : NULL;
	c->dir = og_arena_strndup(&c->arena, dir, strlen(dir));
	if ((file && !c->file) || !c->dir) {
		og_config_fini(c);
		return og_error_nomem(err);
	}
	return 0;
}

/* The directory of `file`, made absolute, not tidied. */
static int dir_of(const char *file, char out[PATH_MAX], struct og_error *err)
{
	const char *slash = file ? strrchr(file, '/') : NULL;
	size_t n = slash ? (size_t)(slash - file) : 0, len = 0;
	int e;

	out[0] = '\0';
	if (!slash || file[0] != '/') {
		if (!getcwd(out, PATH_MAX)) {
			e = errno;
			return og_error_sys(err, e, "the current directory");
		}
		len = strlen(out);
	}
	/* "/x.yaml" lies in "/", whose text is empty before a joining slash. */
	if (len + n + 2 > PATH_MAX)
		return og_error_sys(err, ENAMETOOLONG, "%s", file);
	if (slash) {
		if (file[0] != '/' && n)
			out[len++] = '/';
		memcpy(out + len, file, n);
		out[len + n] = '\0';
	}
	return 0;
}

int og_config_load(struct og_config *c, const char *file, struct og_error *err)
{
	struct og_buf text = { 0 };
	char dir[PATH_MAX];
	int rc;

	memset(c, 0, sizeof(*c));
	rc = dir_of(file, dir, err);
	if (rc == 0)
		rc = og_file_read(file ? file : CONFIG_DEFAULT, &text, CONFIG_MAX, err);
	if (rc == OG_ERR_NOT_FOUND && !file) {
		og_error_clear(err);
		rc = og_config_parse(c, OG_SLICE(""), NULL, dir, err);
	} else if (rc == 0) {
		rc = og_config_parse(c, og_buf_view(&text), file ? file : CONFIG_DEFAULT, dir, err);
	}
	og_buf_fini(&text);
	return rc;
}

void og_config_fini(struct og_config *c)
{
	struct og_arena arena = c->arena;

	memset(c, 0, sizeof(*c));
	og_arena_fini(&arena);
}

/* ---- finding ---- */

const struct og_config_graph *og_config_graph(const struct og_config *c, const char *name)
{
	const struct og_config_graph *g = c->graphs.v;

	for (size_t i = 0; i < c->graphs.n; i++)
		if (strcmp(g[i].name, name) == 0)
			return &g[i];
	return NULL;
}

const struct og_config_alias *og_config_alias(const struct og_config *c, const char *name)
{
	const struct og_config_alias *a = c->aliases.v;

	for (size_t i = 0; i < c->aliases.n; i++)
		if (strcmp(a[i].name, name) == 0)
			return &a[i];
	return NULL;
}

enum og_config_command og_config_alias_command(const struct og_config_alias *a)
{
	return a->command_word < 2 ? OG_CONFIG_QUERY : OG_CONFIG_MUTATE;
}
