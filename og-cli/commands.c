/* The table of commands. */
#include "config.h"

#include "config/config.h"
#include "og-cli/cli.h"

const char *const arg_modes[] = { "overwrite", "append", "merge", NULL };

static const char *const actions[] = { "read", "export", "change", "schema-apply", "branch-create", "branch-delete", "branch-merge",
				       "admin", "graph-list", "invoke-query", NULL };

/* ---- arguments that many share ---- */

#define CONFIG { .name = "config", .value = "CONFIG", .kind = ARG_PATH, .help = "Config file (default: ./omnigraph.yaml if it exists)" }
#define TARGET { .name = "target", .value = "TARGET", .kind = ARG_TEXT, .help = "Graph by its name in the config file" }
#define URI_OPTION { .name = "uri", .value = "URI", .kind = ARG_URI, .help = "Graph: a path, file://, s3:// or http(s):// URI" }
/* Wherever the URI is positional the option serves as well. */
#define URI_HIDDEN { .name = "uri", .value = "URI", .kind = ARG_URI, .flags = ARG_HIDDEN, .help = "" }
#define URI_WORD { .name = "URI", .kind = ARG_URI, .flags = ARG_POSITIONAL, .help = "Graph: a path, file://, s3:// or http(s):// URI" }
#define BY_WORD URI_WORD, URI_HIDDEN, TARGET, CONFIG
#define BY_OPTION URI_OPTION, TARGET, CONFIG
#define JSON { .name = "json", .kind = ARG_FLAG, .help = "Print JSON" }
#define BRANCH(text) { .name = "branch", .value = "BRANCH", .kind = ARG_TEXT, .help = text }
#define FROM(text) { .name = "from", .value = "FROM", .kind = ARG_TEXT, .help = text }
#define END { .name = NULL }
#define FLAG(name_, text) { .name = name_, .kind = ARG_FLAG, .help = text }
#define WORD(name_, text) { .name = name_, .kind = ARG_TEXT, .flags = ARG_POSITIONAL | ARG_REQUIRED, .help = text }

static const struct arg_rule uri_once[] = { { ARG_EXCLUDE, { "uri", "URI" } }, { 0 } };

/* ---- arguments of each ---- */

static const struct arg no_args[] = { END };
static const struct arg located_json[] = { BY_WORD, JSON, END };
static const struct arg optioned_json[] = { BY_OPTION, JSON, END };

static const struct arg embed_args[] = {
	{ .name = "seed", .value = "SEED", .kind = ARG_PATH, .help = "Seed manifest" },
	{ .name = "input", .value = "INPUT", .kind = ARG_PATH, .help = "Rows to embed" },
	{ .name = "output", .value = "OUTPUT", .kind = ARG_PATH, .help = "Where the rows go" },
	{ .name = "spec", .value = "SPEC", .kind = ARG_PATH, .help = "What to embed" },
	FLAG("clean", "Remove embeddings"),
	{ .name = "reembed-all", .kind = ARG_FLAG, .alias = "reembed_all", .help = "Embed everything anew" },
	{ .name = "type", .value = "TYPE", .kind = ARG_TEXT, .flags = ARG_REPEATS, .help = "Only rows of this type" },
	{ .name = "select", .value = "SELECT", .kind = ARG_TEXT, .flags = ARG_REPEATS, .help = "Only rows with [Type:]field=value" },
	JSON,
	END,
};
static const struct arg_rule embed_rules[] = {
	{ ARG_EXCLUDE, { "clean", "reembed-all" } }, { ARG_EXCLUDE, { "seed", "input" } }, { ARG_EXCLUDE, { "seed", "output" } },
	{ ARG_EXCLUDE, { "seed", "spec" } }, { ARG_NEED, { "input", "output", "spec" } }, { ARG_NEED, { "spec", "input", "output" } }, { 0 },
};

static const struct arg init_args[] = {
	{ .name = "URI", .kind = ARG_URI, .flags = ARG_POSITIONAL | ARG_REQUIRED, .help = "Where to create the graph" },
	{ .name = "schema", .value = "SCHEMA", .kind = ARG_PATH, .flags = ARG_REQUIRED, .help = "Schema file (.pg)" },
	FLAG("force", "Overwrite a graph that is there"),
	END,
};

#define DATA { .name = "data", .value = "DATA", .kind = ARG_PATH, .flags = ARG_REQUIRED, .help = "JSONL file (-: standard input)" }
static const struct arg load_args[] = {
	BY_WORD,
	DATA,
	{ .name = "mode", .value = "MODE", .kind = ARG_ENUM, .flags = ARG_REQUIRED, .choices = arg_modes, .help = "What happens to rows that are there" },
	BRANCH("Branch to load into (default: cli.branch, else main)"),
	FROM("Create the branch from this one if it does not exist"),
	JSON,
	END,
};
static const struct arg ingest_args[] = {
	BY_WORD,
	DATA,
	{ .name = "mode", .value = "MODE", .kind = ARG_ENUM, .choices = arg_modes, .otherwise = "merge", .help = "What happens to rows that are there" },
	BRANCH("Branch to load into (default: cli.branch, else main)"),
	FROM("Branch to create it from (default: cli.branch, else main)"),
	JSON,
	END,
};

static const struct arg branch_create_args[] = { BY_OPTION, FROM("Branch to start from"), WORD("NAME", "Name of the new branch"), JSON, END };
static const struct arg branch_delete_args[] = { BY_OPTION, WORD("NAME", "Branch to delete"), JSON, END };
static const struct arg branch_merge_args[] = {
	BY_OPTION, WORD("SOURCE", "Branch to merge"), { .name = "into", .value = "INTO", .kind = ARG_TEXT, .help = "Branch to merge into" }, JSON, END,
};
static const struct command branch_commands[] = {
	{ .name = "create", .about = "Create a branch", .args = branch_create_args },
	{ .name = "list", .about = "List branches", .args = optioned_json },
	{ .name = "delete", .about = "Delete a branch", .args = branch_delete_args },
	{ .name = "merge", .about = "Merge a branch into another", .args = branch_merge_args },
	{ 0 },
};

static const struct arg schema_write_args[] = {
	BY_WORD,
	{ .name = "schema", .value = "SCHEMA", .kind = ARG_PATH, .flags = ARG_REQUIRED, .help = "Schema file (.pg)" },
	FLAG("allow-data-loss", "Let drops remove data for good"),
	JSON,
	END,
};
static const struct command schema_commands[] = {
	{ .name = "plan", .about = "Show what a schema would change", .args = schema_write_args, .rules = uri_once },
	{ .name = "apply", .about = "Change the schema of a graph", .args = schema_write_args, .rules = uri_once },
	{ .name = "show", .alias = "get", .alias_hidden = true, .about = "Print the schema of a graph", .args = located_json, .rules = uri_once,
	  .run = cmd_schema_show },
	{ 0 },
};

static const struct arg lint_args[] = {
	BY_WORD,
	{ .name = "query", .value = "QUERY", .kind = ARG_PATH, .flags = ARG_REQUIRED, .help = "Query file (.gq)" },
	{ .name = "schema", .value = "SCHEMA", .kind = ARG_PATH, .help = "Schema file to check against, instead of a graph" },
	JSON,
	END,
};

static const struct arg queries_list_args[] = { TARGET, CONFIG, JSON, END };
static const struct command queries_commands[] = {
	{ .name = "validate", .about = "Check the stored queries against the schema", .args = located_json, .rules = uri_once },
	{ .name = "list", .about = "List the stored queries", .args = queries_list_args },
	{ 0 },
};

static const struct arg snapshot_args[] = { BY_WORD, BRANCH("Branch (default: cli.branch, else main)"), JSON, END };
static const struct arg export_args[] = {
	BY_WORD,
	BRANCH("Branch (default: cli.branch, else main)"),
	{ .name = "type", .value = "TYPE", .kind = ARG_TEXT, .flags = ARG_REPEATS, .help = "Only this type" },
	{ .name = "table", .value = "TABLE", .kind = ARG_TEXT, .flags = ARG_REPEATS, .help = "Only this table, as node:Name or edge:Name" },
	{ .name = "jsonl", .kind = ARG_FLAG, .flags = ARG_HIDDEN, .help = "" },
	END,
};

static const struct arg commit_list_args[] = { BY_WORD, BRANCH("Branch (default: main)"), JSON, END };
static const struct arg commit_show_args[] = { BY_OPTION, WORD("COMMIT_ID", "Commit"), JSON, END };
static const struct command commit_commands[] = {
	{ .name = "list", .about = "List commits", .args = commit_list_args, .rules = uri_once },
	{ .name = "show", .about = "Show a commit", .args = commit_show_args },
	{ 0 },
};

#define SOURCE \
	{ .name = "query", .value = "QUERY", .kind = ARG_PATH, .help = "Query file (.gq; -: standard input)" }, \
	{ .name = "query-string", .value = "GQ", .kind = ARG_TEXT, .letter = 'e', .help = "Query text" }, \
	{ .name = "alias", .value = "ALIAS", .kind = ARG_TEXT, .help = "Alias of the config file" }, \
	{ .name = "name", .value = "NAME", .kind = ARG_TEXT, .help = "Query, where the source has several" }, \
	{ .name = "params", .value = "PARAMS", .kind = ARG_TEXT, .help = "Parameters as a JSON object" }, \
	{ .name = "params-file", .value = "PARAMS_FILE", .kind = ARG_PATH, .help = "File with the parameters (-: standard input)" }
#define ALIAS_ARGS { .name = "ALIAS_ARGS", .kind = ARG_TEXT, .flags = ARG_POSITIONAL | ARG_REPEATS, .help = "Arguments of the alias" }
static const struct arg query_args[] = {
	ALIAS_ARGS,
	BY_OPTION,
	SOURCE,
	BRANCH("Branch (default: cli.branch, else main)"),
	{ .name = "snapshot", .value = "SNAPSHOT", .kind = ARG_TEXT, .help = "Read the state of this commit" },
	{ .name = "format", .value = "FORMAT", .kind = ARG_ENUM, .choices = og_config_formats, .help = "Output format" },
	{ .name = "json", .kind = ARG_FLAG, .help = "The same as --format json" },
	END,
};
static const struct arg_rule query_rules[] = {
	{ ARG_EXCLUDE, { "query", "query-string", "alias" } }, { ARG_EXCLUDE, { "params", "params-file" } },
	{ ARG_EXCLUDE, { "branch", "snapshot" } }, { ARG_EXCLUDE, { "format", "json" } }, { 0 },
};
static const struct arg mutate_args[] = { ALIAS_ARGS, BY_OPTION, SOURCE, BRANCH("Branch (default: cli.branch, else main)"), JSON, END };
static const struct arg_rule mutate_rules[] = {
	{ ARG_EXCLUDE, { "query", "query-string", "alias" } }, { ARG_EXCLUDE, { "params", "params-file" } }, { 0 },
};

static const struct arg config_args[] = { CONFIG, END };
static const struct arg explain_args[] = {
	CONFIG,
	{ .name = "actor", .value = "ACTOR", .kind = ARG_TEXT, .flags = ARG_REQUIRED, .help = "Who" },
	{ .name = "action", .value = "ACTION", .kind = ARG_ENUM, .flags = ARG_REQUIRED, .choices = actions, .help = "What" },
	BRANCH("On this branch"),
	{ .name = "target-branch", .value = "TARGET_BRANCH", .kind = ARG_TEXT, .help = "Targeting this branch" },
	END,
};
static const struct command policy_commands[] = {
	{ .name = "validate", .about = "Check the policy file", .args = config_args },
	{ .name = "test", .about = "Run the policy's test cases", .args = config_args },
	{ .name = "explain", .about = "Explain a decision", .args = explain_args },
	{ 0 },
};

static const struct arg repair_args[] = { BY_WORD, FLAG("confirm", "Repair, not only show"), FLAG("force", "Publish suspicious drift too"), JSON, END };
static const struct arg_rule repair_rules[] = { { ARG_EXCLUDE, { "uri", "URI" } }, { ARG_NEED, { "force", "confirm" } }, { 0 } };
static const struct arg cleanup_args[] = {
	BY_WORD,
	{ .name = "keep", .value = "KEEP", .kind = ARG_U32, .help = "Versions to keep" },
	{ .name = "older-than", .value = "OLDER_THAN", .kind = ARG_TEXT, .help = "Remove what is older (90s, 15m, 12h, 7d, 2w)" },
	FLAG("confirm", "Remove, not only show"),
	JSON,
	END,
};

#define CLUSTER_CONFIG { .name = "config", .value = "CONFIG", .kind = ARG_PATH, .otherwise = ".", .help = "Folder of the cluster's configuration" }
static const struct arg cluster_args[] = { CLUSTER_CONFIG, JSON, END };
static const struct arg approve_args[] = { CLUSTER_CONFIG, WORD("RESOURCE", "What to approve"), JSON, END };
static const struct arg unlock_args[] = { CLUSTER_CONFIG, WORD("LOCK_ID", "Lock to remove"), JSON, END };
static const struct command cluster_commands[] = {
	{ .name = "validate", .about = "Check the configuration", .args = cluster_args },
	{ .name = "plan", .about = "Show what apply would do", .args = cluster_args },
	{ .name = "apply", .about = "Make the cluster what is declared", .args = cluster_args },
	{ .name = "status", .about = "Show the applied state", .args = cluster_args },
	{ .name = "refresh", .about = "Compare the state with what there is", .args = cluster_args },
	{ .name = "import", .about = "Take over what there is", .args = cluster_args },
	{ .name = "approve", .about = "Approve a change", .args = approve_args },
	{ .name = "force-unlock", .about = "Remove a lock that was left", .args = unlock_args },
	{ 0 },
};

static const struct command graphs_commands[] = {
	{ .name = "list", .about = "List the graphs of a server", .args = optioned_json },
	{ 0 },
};

static const struct arg status_args[] = {
	{ .name = "admin-socket", .value = "ADMIN_SOCKET", .kind = ARG_PATH, .help = "Admin socket of the server (default: by the system)" }, JSON, END,
};

const struct command commands[] = {
	{ .name = "version", .about = "Print the version", .args = no_args, .run = cmd_version },
	{ .name = "embed", .about = "Add embeddings to data files", .args = embed_args, .rules = embed_rules },
	{ .name = "init", .about = "Create a graph", .args = init_args, .run = cmd_init },
	{ .name = "load", .about = "Load data into a branch", .args = load_args, .rules = uri_once, .standard_input = true, .run = cmd_load },
	{ .name = "ingest", .about = "Load data (deprecated: use load)", .args = ingest_args, .rules = uri_once, .standard_input = true, .run = cmd_ingest },
	{ .name = "branch", .about = "Work with branches", .subs = branch_commands },
	{ .name = "schema", .about = "Show, plan and change the schema", .subs = schema_commands },
	{ .name = "lint", .alias = "check", .alias_hidden = true, .about = "Check a query file", .args = lint_args, .rules = uri_once, .standard_input = true,
	  .run = cmd_lint },
	{ .name = "queries", .about = "Work with stored queries", .subs = queries_commands },
	{ .name = "snapshot", .about = "Show a branch's tables", .args = snapshot_args, .rules = uri_once, .run = cmd_snapshot },
	{ .name = "export", .about = "Print a branch as JSONL", .args = export_args, .rules = uri_once, .run = cmd_export },
	{ .name = "commit", .about = "Look at commits", .subs = commit_commands },
	{ .name = "query", .alias = "read", .about = "Run a query", .args = query_args, .rules = query_rules, .standard_input = true, .run = cmd_query },
	{ .name = "mutate", .alias = "change", .about = "Run a mutation", .args = mutate_args, .rules = mutate_rules, .standard_input = true,
	  .run = cmd_mutate },
	{ .name = "policy", .about = "Check and explain policies", .subs = policy_commands },
	{ .name = "optimize", .about = "Fold small files", .args = located_json, .rules = uri_once, .run = cmd_optimize },
	{ .name = "repair", .about = "Find and repair drift", .args = repair_args, .rules = repair_rules },
	{ .name = "cleanup", .about = "Remove old versions", .args = cleanup_args, .rules = uri_once },
	{ .name = "cluster", .about = "Declare and converge a cluster", .subs = cluster_commands },
	{ .name = "graphs", .about = "Look at a server's graphs", .subs = graphs_commands },
	{ .name = "verify", .about = "Read a whole graph and check it", .args = located_json, .rules = uri_once, .run = cmd_verify },
	{ .name = "status", .about = "Show a running server's processes", .args = status_args, .run = cmd_status },
	{ 0 },
};
