/* init: a new graph, and a config file beside it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "og-cli/cli.h"
#include "og-cli/direct.h"
#include "schema/catalog.h"

/* The directory and those above it. */
static int make_dirs(struct cli *c, const char *path)
{
	char *p = og_arena_strndup(&c->arena, path, strlen(path));
	int e;

	if (!p)
		return og_arena_error(&c->arena, &c->err);
	for (char *s = p + 1;; s++) {
		char at = *s;

		if (at != '/' && at)
			continue;
		*s = '\0';
		if (mkdir(p, 0777) < 0 && errno != EEXIST) {
			e = errno;
			return og_error_sys(&c->err, e, "%s", p);
		}
		*s = at;
		if (!at)
			return 0;
	}
}

static int put_init(struct cli *c, const struct og_catalog *cat, struct og_buf *body)
{
	struct og_wire_init init = { .schema = cat->source, .ntypes = cat->ntypes, .force = arg_flag(&c->args, "force") };

	init.types = og_arena_array(&c->arena, cat->ntypes ? cat->ntypes : 1, sizeof(*init.types));
	if (!init.types)
		return og_arena_error(&c->arena, &c->err);
	for (uint32_t i = 0; i < cat->ntypes; i++)
		init.types[i] = (struct og_wire_type){ .type_id = cat->types[i].id, .kind = (uint8_t)cat->types[i].kind, .name = cat->types[i].name };
	og_wire_put_init(body, &init);
	return og_buf_ok(body, &c->err);
}

static int create(struct cli *c, const struct og_catalog *cat, const char *path, const char *uri)
{
	struct og_buf body = { 0 }, text = { 0 };
	struct direct d = { 0 };
	int rc;

	if ((og_uri_kind(path) != OG_URI_S3 && (rc = make_dirs(c, path)) < 0) || (rc = put_init(c, cat, &body)) < 0 ||
	    (rc = direct_open(&d, path, uri, c->secrets_fd, DIRECT_CREATE, &c->err)) < 0)
		goto out;
	rc = direct_report(&d, OG_IPC_GRAPH_INIT, &body, &text, &c->err);
	if (rc == OG_ERR_EXISTS)
		rc = og_error_set(&c->err, rc, "graph already initialized at '%s'; pass --force to overwrite", uri);
out:
	direct_close(&d);
	og_buf_fini(&body);
	og_buf_fini(&text);
	return rc;
}

/* ---- the config file ---- */

static const char scaffold_head[] = "project:\n"
				    "  name: Omnigraph Project\n"
				    "\n"
				    "graphs:\n"
				    "  local:\n"
				    "    uri: ";
static const char scaffold_tail[] = "\n"
				    "    # bearer_token_env: OMNIGRAPH_BEARER_TOKEN\n"
				    "\n"
				    "server:\n"
				    "  graph: local\n"
				    "  bind: 127.0.0.1:8080\n"
				    "\n"
				    "cli:\n"
				    "  graph: local\n"
				    "  branch: main\n"
				    "  output_format: table\n"
				    "  table_max_column_width: 80\n"
				    "  table_cell_layout: truncate\n"
				    "\n"
				    "query:\n"
				    "  roots:\n"
				    "    - queries\n"
				    "    - .\n"
				    "\n"
				    "# auth:\n"
				    "#   env_file: .env.omni\n"
				    "\n"
				    "# policy:\n"
				    "#   file: policy.yaml\n"
				    "\n"
				    "aliases:\n"
				    "#  vessel:\n"
				    "#    command: query\n"
				    "#    query: vessels.gq\n"
				    "#    name: vessel_by_imo\n"
				    "#    args: [imo]\n"
				    "#    format: kv\n";

/* A YAML string in single quotes. A line break cannot be folded away in one: such a name goes in double quotes. */
static void put_yaml_text(struct og_buf *b, const char *s)
{
	bool plain = true;

	for (const char *p = s; *p && plain; p++)
		plain = (unsigned char)*p >= 0x20 && *p != 0x7f;
	og_buf_byte(b, plain ? '\'' : '"');
	for (; *s; s++) {
		if (plain && *s == '\'')
			og_buf_byte(b, '\'');
		if (!plain && ((unsigned char)*s < 0x20 || *s == 0x7f))
			og_buf_printf(b, "\\x%02x", (unsigned char)*s);
		else if (!plain && (*s == '"' || *s == '\\'))
			og_buf_printf(b, "\\%c", *s);
		else
			og_buf_byte(b, (uint8_t)*s);
	}
	og_buf_byte(b, plain ? '\'' : '"');
}

/* omnigraph.yaml in the parent of a path, or here for a URI with a scheme; *graph: what leads back to the graph from there. */
static int scaffold_place(struct cli *c, const char *uri, const char *path, const char **file, const char **graph)
{
	const char *slash = strrchr(path, '/');

	*graph = uri;
	*file = "omnigraph.yaml";
	if (og_uri_kind(uri) != OG_URI_PATH)
		return 0;
	*graph = path;
	if (!slash)
		return 0;
	*file = og_arena_printf(&c->arena, "%.*s/omnigraph.yaml", (int)(slash - path), path);
	/* Seen from the parent the last component is enough. */
	if (path[0] != '/')
		*graph = slash + 1;
	return *file ? 0 : og_arena_error(&c->arena, &c->err);
}

static int scaffold(struct cli *c, const char *uri, const char *path)
{
	const char *file, *graph;
	struct og_buf b = { 0 };
	int fd, e, rc = scaffold_place(c, uri, path, &file, &graph);

	if (rc < 0)
		return rc;
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	e = errno;
	if (fd < 0)
		return e == EEXIST ? 0 : og_error_sys(&c->err, e, "%s", file);
	og_buf_str(&b, scaffold_head);
	put_yaml_text(&b, graph);
	og_buf_str(&b, scaffold_tail);
	rc = og_buf_ok(&b, &c->err);
	if (rc == 0 && (rc = og_fd_write_all(fd, og_buf_view(&b), &c->err)) < 0)
		og_error_prefix(&c->err, "%s: ", file);
	og_fd_close(&fd);
	og_buf_fini(&b);
	return rc;
}

int cmd_init(struct cli *c)
{
	const char *uri = arg_text(&c->args, "URI"), *path;
	struct og_catalog *cat = NULL;
	struct og_slice source;
	int rc;

	if (og_uri_kind(uri) == OG_URI_HTTP)
		rc = og_error_set(&c->err, OG_ERR_UNSUPPORTED, "init is only supported against local graph URIs in this milestone");
	else
		rc = cli_local(c, uri, &path);
	if (rc < 0 || (rc = cli_read_text(c, arg_text(&c->args, "schema"), &source)) < 0 ||
	    (rc = og_catalog_compile(source, NULL, 0, &cat, &c->err)) < 0 || (rc = create(c, cat, path, uri)) < 0 ||
	    (rc = scaffold(c, uri, path)) < 0)
		goto out;
	og_buf_printf(&c->out, "initialized %s\n", uri);
out:
	og_catalog_unref(cat);
	return rc < 0 ? cli_fail(c) : EXIT_DONE;
}
