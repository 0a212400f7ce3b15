/* lint: a query file against a schema. */
#include "config.h"

#include <limits.h>
#include <unistd.h>

#include "gq/lint.h"
#include "og-cli/cli.h"
#include "og-cli/direct.h"

struct linting {
	struct cli *c;
	struct direct d;
	struct og_snap *snap;
	struct og_catalog *catalog;	/* one reference */
	struct gq_lint_origin origin;
};

static int schema_from_file(struct linting *l, const char *path)
{
	struct og_slice source;
	int rc = cli_read_text(l->c, path, &source);

	l->origin.kind = "file";
	l->origin.place = path;
	return rc < 0 ? rc : og_catalog_compile(source, NULL, 0, &l->catalog, &l->c->err);
}

static int schema_from_graph(struct linting *l)
{
	struct cli *c = l->c;
	struct og_selection sel;
	const char *path;
	int rc;

	if (!arg_text(&c->args, "URI") && !arg_text(&c->args, "uri") && !arg_text(&c->args, "target") && !c->config.cli.graph)
		return og_error_set(&c->err, OG_ERR_BAD, "query lint requires --schema <schema.pg> or a resolvable graph target");
	if ((rc = cli_select(c, &sel)) < 0 || (rc = og_config_coherent(&c->config, &sel, &c->err)) < 0)
		return rc;
	if (og_uri_kind(sel.uri) == OG_URI_HTTP)
		return og_error_set(&c->err, OG_ERR_UNSUPPORTED, "query lint is only supported against local graph URIs in this milestone");
	if ((rc = cli_local(c, sel.uri, &path)) < 0 || (rc = direct_open(&l->d, path, sel.uri, c->secrets_fd, DIRECT_OPEN, &c->err)) < 0 ||
	    (rc = direct_state(&l->d, "main", &l->snap, &c->err)) < 0)
		return rc;
	l->origin.kind = "graph";
	l->origin.place = sel.uri;
	l->catalog = og_catalog_ref(l->snap->catalog);
	return 0;
}

static int read_queries(struct linting *l, struct og_slice *source)
{
	struct cli *c = l->c;
	const char *file = arg_text(&c->args, "query"), *path;
	int rc;

	l->origin.query_path = file;
	if (strcmp(file, "-") == 0)
		return cli_read_text(c, file, source);
	rc = og_config_query_file(&c->config, file, &path, &c->err);
	if (rc < 0)
		return rc;
	l->origin.query_path = path;
	return cli_read_text(c, path, source);
}

int cmd_lint(struct cli *c)
{
	struct linting l = { .c = c };
	struct og_slice source;
	struct gq_lint report = { 0 };
	const char *schema;
	int rc, code;

	if ((rc = cli_config(c)) < 0)
		goto out;
	schema = arg_text(&c->args, "schema");
	rc = schema ? schema_from_file(&l, schema) : schema_from_graph(&l);
	if (rc < 0 || (rc = read_queries(&l, &source)) < 0 || (rc = gq_lint(&c->arena, source, l.catalog, &report, &c->err)) < 0)
		goto out;
	if (arg_flag(&c->args, "json")) {
		struct og_json_writer w;

		og_json_writer_init(&w, &c->out, true);
		gq_lint_json(&w, &report, &l.origin);
		og_buf_byte(&c->out, '\n');
	} else {
		gq_lint_text(&c->out, &report);
	}
	rc = cli_flush(c);
out:
	code = rc < 0 ? cli_fail(c) : report.errors ? EXIT_FAILED : EXIT_DONE;
	og_catalog_unref(l.catalog);
	og_snap_unref(l.snap);
	direct_close(&l.d);
	return code;
}
