/* query, mutate. */
#include "config.h"

#include <stdio.h>

#include "base/date.h"
#include "json/tree.h"
#include "og-cli/cli.h"
#include "og-cli/direct.h"
#include "og-cli/render.h"

struct ask {
	struct cli *c;
	const char *verb_name;		/* "Read", "Change": as in messages about aliases */
	enum og_config_command verb;
	const struct og_config_alias *alias;
	const char *const *words;	/* arguments of the alias */
	size_t nwords;
	struct og_selection sel;
	struct og_slice source;
	const struct og_json *params;	/* NULL: none */
	struct direct d;
	bool done;
	int rc;
};

/* ---- source, alias, graph ---- */

/* What can be said before anything is read. */
static int check_source(struct ask *a)
{
	struct args *args = &a->c->args;
	const char *text = arg_text(args, "query-string");

	if (!text && !arg_text(args, "query") && !arg_text(args, "alias"))
		return og_error_set(&a->c->err, OG_ERR_BAD, "exactly one of --query, --query-string, or --alias must be provided");
	if (text && text[strspn(text, " \t\r\n\v\f")] == '\0')
		return og_error_set(&a->c->err, OG_ERR_BAD, "--query-string must not be empty");
	return 0;
}

static int find_alias(struct ask *a)
{
	const char *name = arg_text(&a->c->args, "alias");

	if (!name)
		return 0;
	a->alias = og_config_alias(&a->c->config, name);
	if (!a->alias)
		return og_error_set(&a->c->err, OG_ERR_NOT_FOUND, "alias '%s' not found", name);
	if (og_config_alias_command(a->alias) != a->verb)
		return og_error_set(&a->c->err, OG_ERR_BAD, "alias '%s' is a %s alias, not a %s alias", name,
				    a->verb == OG_CONFIG_QUERY ? "Change" : "Read", a->verb_name);
	return 0;
}

/* The first word is a URI, unless there is an alias and the graph is known without. */
static int select_graph(struct ask *a)
{
	struct cli *c = a->c;
	const char *uri = arg_text(&c->args, "uri"), *target = arg_text(&c->args, "target");
	const char *of_alias = a->alias ? a->alias->graph : NULL;
	int rc;

	a->nwords = arg_all(&c->args, "ALIAS_ARGS", &a->words);
	if (a->nwords && !(a->alias && (uri || target || of_alias || c->config.cli.graph))) {
		if (!uri)
			uri = a->words[0];
		a->words++;
		a->nwords--;
	}
	if (uri && !uri[0])
		return og_error_set(&c->err, OG_ERR_BAD, "the graph's URI must not be empty");
	rc = og_config_select(&c->config, uri, target, of_alias, c->config.cli.graph, &a->sel, &c->err);
	return rc < 0 ? rc : og_config_coherent(&c->config, &a->sel, &c->err);
}

static int read_source(struct ask *a)
{
	struct cli *c = a->c;
	const char *file = a->alias ? a->alias->query : arg_text(&c->args, "query"), *path;
	int rc;

	if (!file) {
		a->source = og_slice_str(arg_text(&c->args, "query-string"));
		return 0;
	}
	if (!a->alias && strcmp(file, "-") == 0)
		return cli_read_text(c, file, &a->source);
	rc = og_config_query_file(&c->config, file, &path, &c->err);
	return rc < 0 ? rc : cli_read_text(c, path, &a->source);
}

/* ---- parameters ---- */

static int given_params(struct ask *a, const struct og_json **out)
{
	struct cli *c = a->c;
	const char *text = arg_text(&c->args, "params"), *file = arg_text(&c->args, "params-file");
	struct og_slice s = og_slice_str(text);
	const struct og_json *j;
	int rc;

	if (!text && !file)
		return 0;
	if (file && (rc = cli_read_text(c, file, &s)) < 0)
		return rc;
	j = og_json_parse(&c->arena, s, OG_JSON_LAST_WINS, &c->err);
	if (!j) {
		struct og_pos pos = c->err.pos;
		struct og_error why = c->err;

		og_error_set(&c->err, why.code, "params: %s at line %llu column %llu", why.message, (unsigned long long)pos.line,
			     (unsigned long long)pos.column);
		return why.code;
	}
	if (!og_json_is(j, OG_JT_OBJECT))
		return og_error_set(&c->err, OG_ERR_BAD, "params JSON must be an object");
	*out = j;
	return 0;
}

/* JSON if it is, else a string. */
static void put_word(struct og_json_writer *w, struct og_arena *scratch, const char *word)
{
	const struct og_json *j = og_json_parse(scratch, og_slice_str(word), OG_JSON_LAST_WINS, NULL);

	if (j)
		og_json_put_tree(w, j);
	else
		og_json_put_str(w, word);
}

/* Arguments of the alias below what was given explicitly, as one object. */
static int merge_params(struct ask *a, const struct og_json *given)
{
	struct cli *c = a->c;
	struct og_buf text = { 0 };
	struct og_json_writer w;
	struct og_slice kept;
	int rc;

	og_json_writer_init(&w, &text, false);
	og_json_begin_object(&w);
	for (size_t i = 0; i < a->nwords; i++) {
		const char *name = a->alias->args.v[i];

		if (given && og_json_get(given, name))
			continue;
		og_json_put_key_str(&w, name);
		put_word(&w, &c->arena, a->words[i]);
	}
	for (size_t i = 0; given && i < given->members.n; i++) {
		og_json_put_key(&w, given->members.v[i].key);
		og_json_put_tree(&w, &given->members.v[i].value);
	}
	og_json_end_object(&w);
	rc = og_buf_ok(&text, &c->err);
	kept = rc == 0 ? og_arena_slice(&c->arena, og_buf_view(&text)) : og_slice(NULL, 0);
	og_buf_fini(&text);
	if (!kept.p)
		return rc < 0 ? rc : og_arena_error(&c->arena, &c->err);
	a->params = og_json_parse(&c->arena, kept, OG_JSON_LAST_WINS, &c->err);
	return a->params ? 0 : c->err.code;
}

static int read_params(struct ask *a)
{
	size_t max = a->alias ? a->alias->args.n : 0;
	const struct og_json *given = NULL;
	int rc = given_params(a, &given);

	if (rc < 0)
		return rc;
	if (a->nwords > max)
		return og_error_set(&a->c->err, OG_ERR_BAD, "alias '%s' expects at most %zu args but got %zu", a->alias ? a->alias->name : "<alias>",
				    max, a->nwords);
	if (a->nwords)
		return merge_params(a, given);
	a->params = given;
	return 0;
}

static struct og_slice query_name(const struct ask *a)
{
	const char *name = arg_text(&a->c->args, "name");

	if (!name && a->alias)
		name = a->alias->query_name;
	return og_slice_str(name);
}

/* Everything up to the open graph, in the order in which faults are reported. */
static int prepare(struct ask *a)
{
	struct cli *c = a->c;
	const char *path;
	int rc;

	if ((rc = check_source(a)) < 0 || (rc = cli_config(c)) < 0 || (rc = find_alias(a)) < 0 || (rc = select_graph(a)) < 0 ||
	    (rc = read_source(a)) < 0 || (rc = read_params(a)) < 0 || (rc = cli_local(c, a->sel.uri, &path)) < 0)
		return rc;
	if (a->verb == OG_CONFIG_MUTATE && (rc = cli_policy(c, &a->sel)) < 0)
		return rc;
	/* Times may name zones. */
	if ((rc = og_zones_load(&c->err)) < 0)
		return rc;
	return direct_open(&a->d, path, a->sel.uri, c->secrets_fd, DIRECT_OPEN, &c->err);
}

static int finish(struct ask *a, int rc)
{
	if (rc == 0)
		rc = direct_wait(&a->d, &a->done, &a->c->err);
	if (rc == 0)
		rc = a->rc;
	direct_close(&a->d);
	return rc < 0 ? cli_fail(a->c) : EXIT_DONE;
}

/* ---- query ---- */

static enum og_config_format output_format(const struct ask *a)
{
	const struct og_config *config = &a->c->config;
	int chosen = arg_choice(&a->c->args, "format");

	if (arg_flag(&a->c->args, "json"))
		return OG_FORMAT_JSON;
	if (chosen < 0 && a->alias)
		chosen = a->alias->format;
	if (chosen < 0)
		chosen = config->cli.output_format;
	return chosen < 0 ? OG_FORMAT_TABLE : (enum og_config_format)chosen;
}

static void on_query(void *arg, const struct og_query_result *r, const struct og_error *err)
{
	struct ask *a = arg;
	const struct og_config *config = &a->c->config;
	struct render_opts opts = { output_format(a), config->cli.table_max_column_width, (enum og_config_layout)config->cli.table_cell_layout };
	struct og_ulid_text commit;
	struct render_result x;

	a->done = true;
	a->rc = err->code;
	if (err->code < 0) {
		a->c->err = *err;
		return;
	}
	commit = og_ulid_format(&r->commit);
	x = (struct render_result){ .query_name = r->query_name, .branch = r->branch, .snapshot = r->snapshot, .commit = og_slice_str(commit.s),
				    .row_count = r->row_count, .columns = r->columns_json, .rows = r->rows_json };
	a->rc = render_query(&a->c->out, &x, &opts, &a->c->err);
}

int cmd_query(struct cli *c)
{
	struct ask a = { .c = c, .verb_name = "Read", .verb = OG_CONFIG_QUERY };
	int rc = prepare(&a);

	if (rc == 0) {
		const char *snapshot = arg_text(&c->args, "snapshot");
		struct og_query_req req = { .route = OG_QUERY_LEGACY, .source = a.source, .name = query_name(&a), .params = a.params };

		if (snapshot)
			req.snapshot = og_slice_str(snapshot);
		else
			req.branch = og_slice_str(cli_branch(c, a.alias ? a.alias->branch : NULL));
		(void)og_op_query(a.d.ops, &req, on_query, &a);
	}
	return finish(&a, rc);
}

/* ---- mutate ---- */

static void mutate_json(struct cli *c, const struct og_mutate_result *r)
{
	struct og_json_writer w;

	og_json_writer_init(&w, &c->out, true);
	og_json_begin_object(&w);
	og_json_member_string(&w, "branch", r->branch);
	og_json_member_string(&w, "query_name", r->query_name);
	og_json_member_u64(&w, "affected_nodes", r->affected_nodes);
	og_json_member_u64(&w, "affected_edges", r->affected_edges);
	og_json_member_str(&w, "actor_id", cli_actor(c));
	if (r->committed)
		cli_put_commit(&w, &r->commit, r->branch);
	else
		og_json_member_null(&w, "commit");
	og_json_end_object(&w);
	og_buf_byte(&c->out, '\n');
}

static void on_mutate(void *arg, const struct og_mutate_result *r, const struct og_error *err)
{
	struct ask *a = arg;
	struct cli *c = a->c;

	a->done = true;
	a->rc = err->code;
	if (err->code < 0) {
		c->err = *err;
		return;
	}
	if (arg_flag(&c->args, "json")) {
		mutate_json(c, r);
		return;
	}
	og_buf_printf(&c->out, "changed %.*s via %.*s: %llu nodes, %llu edges\n", OG_FMT(r->branch), OG_FMT(r->query_name),
		      (unsigned long long)r->affected_nodes, (unsigned long long)r->affected_edges);
	if (cli_actor(c))
		og_buf_printf(&c->out, "actor_id: %s\n", cli_actor(c));
}

int cmd_mutate(struct cli *c)
{
	struct ask a = { .c = c, .verb_name = "Change", .verb = OG_CONFIG_MUTATE };
	int rc = prepare(&a);

	if (rc == 0) {
		struct og_mutate_req req = { .source = a.source, .name = query_name(&a), .params = a.params,
					     .branch = og_slice_str(cli_branch(c, a.alias ? a.alias->branch : NULL)),
					     .actor = og_slice_str(cli_actor(c)) };

		(void)og_op_mutate(a.d.ops, &req, on_mutate, &a);
	}
	return finish(&a, rc);
}
