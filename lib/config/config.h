/*
 * omnigraph.yaml, and the rules by which commands and the server choose what to work on.
 *
 * Format:  a YAML mapping, every key optional unless `required` in config.c; unknown keys are ignored.
 * Errors:  "<file>: <dotted path>: <what> at line <l> column <c>", OG_ERR_BAD; a file that cannot be read: the system's text.
 * Trust:   the operator's own file; policy and query files are only named here, never read.
 * Memory:  everything lies in the config's arena. Threads: read-only once loaded.
 */
#ifndef OG_CONFIG_CONFIG_H
#define OG_CONFIG_CONFIG_H

#include "base/arena.h"
#include "config/section.h"

/* A stored query. */
struct og_config_query {
	const char *name;
	const char *file;		/* as written: og_config_path resolves it */
	struct {
		bool expose;
		const char *tool_name;	/* NULL: the query's name */
	} mcp;
};

struct og_config_graph {
	const char *name;
	const char *uri;		/* as written: og_config_graph_uri resolves it */
	const char *bearer_token_env;
	struct {
		const char *file;
	} policy;
	struct og_section_map queries;	/* of struct og_config_query */
};

enum og_config_command { OG_CONFIG_QUERY, OG_CONFIG_MUTATE };
enum og_config_format { OG_FORMAT_TABLE, OG_FORMAT_KV, OG_FORMAT_CSV, OG_FORMAT_JSONL, OG_FORMAT_JSON };
enum og_config_layout { OG_LAYOUT_TRUNCATE, OG_LAYOUT_WRAP };
/* "table", ...: ends in NULL; the order of help and errors. */
extern const char *const og_config_formats[];

struct og_config_alias {
	const char *name;
	int command_word;		/* og_config_alias_command tells which */
	const char *query;		/* path */
	const char *query_name;
	const char *graph, *branch;
	int format;			/* enum og_config_format, -1: none */
	struct og_texts args;
};

struct og_config {
	struct og_arena arena;
	const char *file;		/* as given, or "omnigraph.yaml"; NULL: there is none */
	const char *dir;		/* absolute: what relative paths stand on */
	struct {
		const char *name;
	} project;
	struct og_section_map graphs;	/* of struct og_config_graph */
	struct og_section_map queries;	/* of struct og_config_query: an anonymous graph's */
	struct {
		const char *file;	/* an anonymous graph's */
	} policy;
	struct {
		const char *graph, *bind;
		struct {
			const char *file;
		} policy;
	} server;
	struct {
		const char *graph, *branch, *actor;
		int output_format;	/* enum og_config_format, -1: none */
		uint64_t table_max_column_width;
		int table_cell_layout;	/* enum og_config_layout */
	} cli;
	struct {
		struct og_texts roots;
	} query;
	struct {
		const char *env_file;
	} auth;
	struct og_section_map aliases;	/* of struct og_config_alias */
};

/*
 * file NULL: ./omnigraph.yaml if it is there, else an empty config. Relative paths then stand on the current directory.
 * c need not be initialised; on error there is nothing to free.
 */
int og_config_load(struct og_config *c, const char *file, struct og_error *err) OG_MUST_CHECK;
/* The same from bytes; `file` is for messages, dir for relative paths. */
int og_config_parse(struct og_config *c, struct og_slice text, const char *file, const char *dir, struct og_error *err) OG_MUST_CHECK;
void og_config_fini(struct og_config *c);

/* NULL: there is none of that name. */
const struct og_config_graph *og_config_graph(const struct og_config *c, const char *name);
const struct og_config_alias *og_config_alias(const struct og_config *c, const char *name);
enum og_config_command og_config_alias_command(const struct og_config_alias *a);

/* ---- which graph, which file ---- */

struct og_selection {
	const char *uri;		/* verbatim when given, else resolved; in the config's arena or the caller's text */
	const struct og_config_graph *graph; /* NULL: anonymous */
};

/* `uri` wins, then the names `target`, `alias_graph`, `otherwise` (cli.graph or server.graph); each may be NULL. */
int og_config_select(struct og_config *c, const char *uri, const char *target, const char *alias_graph, const char *otherwise,
		     struct og_selection *sel, struct og_error *err) OG_MUST_CHECK;
/* The graph of that name, or OG_ERR_NOT_FOUND "graph '<n>' not found in omnigraph.yaml". */
int og_config_named(struct og_config *c, const char *name, struct og_selection *sel, struct og_error *err) OG_MUST_CHECK;
/* A named graph beside a populated top-level policy.file or queries, which would be ignored: OG_ERR_BAD. */
int og_config_coherent(const struct og_config *c, const struct og_selection *sel, struct og_error *err) OG_MUST_CHECK;
/* A path as written in the file: absolute, or joined to its directory. NULL: no memory. */
const char *og_config_path(struct og_config *c, const char *path);
/* graphs.<n>.uri: the same, but with "://" verbatim. NULL: no memory. */
const char *og_config_graph_uri(struct og_config *c, const struct og_config_graph *g);
/* A .gq file: absolute as is, else in the config's directory, then in each of query.roots; the first that exists. */
int og_config_query_file(struct og_config *c, const char *path, const char **out, struct og_error *err) OG_MUST_CHECK;

enum og_uri_kind { OG_URI_PATH, OG_URI_FILE, OG_URI_S3, OG_URI_HTTP, OG_URI_OTHER };
enum og_uri_kind og_uri_kind(const char *uri);	/* by the scheme, whatever its case */
/*
 * How a graph is named in outputs and as policy resource: trailing slashes off (a lone one stays), file:// turned into its path,
 * other schemes kept. A file:// URI that is not absolute: OG_ERR_BAD.
 */
int og_uri_normal(struct og_arena *a, const char *uri, const char **out, struct og_error *err) OG_MUST_CHECK;

/* ---- environment file ---- */

/*
 * Puts the assignments of auth.env_file into the environment, but for variables that are there already, empty ones too.
 * A file that does not exist is none. For a process of one thread, before it makes others.
 */
int og_config_env(struct og_config *c, struct og_error *err) OG_MUST_CHECK;

#endif
