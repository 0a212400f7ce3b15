/* omnigraph.yaml: keys, rules of text, errors with their place, resolution. */
#include "config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "t/unit/suite.h"

static struct og_config cfg;
static struct og_error err;

static int parse(const char *text)
{
	struct og_slice s = exact_copy(og_slice_str(text), strlen(text));
	int rc = og_config_parse(&cfg, s, "omnigraph.yaml", "/srv/conf", &err);

	free_copy(s);
	return rc;
}

static void good(const char *text)
{
	og_error_clear(&err);
	ck_assert_msg(parse(text) == 0, "%s", err.message);
}

static void bad(const char *text, const char *message)
{
	og_error_clear(&err);
	ck_assert_int_eq(parse(text), OG_ERR_BAD);
	ck_assert_str_eq(err.message, message);
}

START_TEST(nothing_gives_defaults)
{
	static const char *const empties[] = { "", "# only a comment\n", "---\n", "cli:\nserver: ~\ngraphs: null\n", "unknown: {a: [1]}\n", "{}" };

	good(empties[_i]);
	ck_assert_ptr_null(cfg.cli.graph);
	ck_assert_int_eq(cfg.cli.output_format, -1);
	ck_assert_uint_eq(cfg.cli.table_max_column_width, 80);
	ck_assert_int_eq(cfg.cli.table_cell_layout, OG_LAYOUT_TRUNCATE);
	ck_assert_uint_eq(cfg.graphs.n + cfg.queries.n + cfg.aliases.n + cfg.query.roots.n, 0);
	og_config_fini(&cfg);
}
END_TEST

START_TEST(reads_every_key)
{
	const struct og_config_graph *g;
	const struct og_config_alias *a;
	const struct og_config_query *q;

	good("project: { name: Harbour }\n"
	     "graphs:\n"
	     "  quay:  { uri: ./harbour.omni, policy: { file: p.yaml }, queries: { b: { file: gq/b.gq, mcp: { expose: false, tool_name: t } }, a: { file: a.gq } } }\n"
	     "  fleet: { uri: https://ferries.example/graphs/fleet, bearer_token_env: FLEET_TOKEN }\n"
	     "server: { graph: quay, bind: '0.0.0.0:80', policy: { file: s.yaml } }\n"
	     "cli: { graph: quay, branch: 12, actor: act-mira, output_format: kv, table_max_column_width: 20, table_cell_layout: wrap }\n"
	     "query: { roots: [gq, 1.50] }\n"
	     "auth: { env_file: .env.omni }\n"
	     "aliases:\n"
	     "  due-today: { command: query, query: v.gq, name: by_imo, args: [imo], format: csv, graph: quay, branch: b }\n"
	     "  put: { command: change, query: v.gq }\n");
	ck_assert_str_eq(cfg.project.name, "Harbour");
	ck_assert_uint_eq(cfg.graphs.n, 2);
	g = og_config_graph(&cfg, "quay");
	ck_assert_str_eq(og_config_graph_uri(&cfg, g), "/srv/conf/./harbour.omni");
	ck_assert_str_eq(g->policy.file, "p.yaml");
	q = g->queries.v;
	ck_assert_uint_eq(g->queries.n, 2);
	ck_assert_str_eq(q[0].name, "a");
	ck_assert(q[0].mcp.expose && !q[0].mcp.tool_name);
	ck_assert(!q[1].mcp.expose);
	ck_assert_str_eq(q[1].mcp.tool_name, "t");
	g = og_config_graph(&cfg, "fleet");
	ck_assert_str_eq(og_config_graph_uri(&cfg, g), "https://ferries.example/graphs/fleet");
	ck_assert_str_eq(g->bearer_token_env, "FLEET_TOKEN");
	ck_assert_str_eq(cfg.server.bind, "0.0.0.0:80");
	ck_assert_str_eq(cfg.server.policy.file, "s.yaml");
	ck_assert_str_eq(cfg.cli.branch, "12");
	ck_assert_int_eq(cfg.cli.output_format, OG_FORMAT_KV);
	ck_assert_uint_eq(cfg.cli.table_max_column_width, 20);
	ck_assert_int_eq(cfg.cli.table_cell_layout, OG_LAYOUT_WRAP);
	ck_assert_str_eq(cfg.query.roots.v[1], "1.50");
	a = og_config_alias(&cfg, "due-today");
	ck_assert_int_eq(og_config_alias_command(a), OG_CONFIG_QUERY);
	ck_assert_int_eq(a->format, OG_FORMAT_CSV);
	ck_assert_uint_eq(a->args.n, 1);
	a = og_config_alias(&cfg, "put");
	ck_assert_int_eq(og_config_alias_command(a), OG_CONFIG_MUTATE);
	ck_assert_int_eq(a->format, -1);
	og_config_fini(&cfg);
}
END_TEST

START_TEST(follows_the_rules_of_text)
{
	good("cli: {graph: null, branch: 'null', actor: \"12\"}\n");
	ck_assert_ptr_null(cfg.cli.graph);
	ck_assert_str_eq(cfg.cli.branch, "null");
	ck_assert_str_eq(cfg.cli.actor, "12");
	og_config_fini(&cfg);
	/* Anchors work, << is an unknown key, the last entry of a map wins. */
	good("x: &u {uri: a}\ngraphs: {g: *u, h: {uri: b, queries: {q: {file: 1}}}, h: {uri: c}}\ncli: {<<: {graph: z}}\n");
	ck_assert_str_eq(og_config_graph(&cfg, "g")->uri, "a");
	ck_assert_str_eq(og_config_graph(&cfg, "h")->uri, "c");
	ck_assert_uint_eq(og_config_graph(&cfg, "h")->queries.n, 0);
	ck_assert_ptr_null(cfg.cli.graph);
	og_config_fini(&cfg);
}
END_TEST

START_TEST(refuses_with_the_place)
{
	bad("graphs:\n  quay: {}\n", "omnigraph.yaml: graphs.quay: missing field `uri` at line 2 column 9");
	ck_assert_uint_eq(err.pos.line, 2);
	ck_assert_uint_eq(err.pos.column, 9);
	bad("cli: {branch: a, branch: b}", "omnigraph.yaml: cli: duplicate field `branch` at line 1 column 6");
	bad("cli: {}\ncli: {}\n", "omnigraph.yaml: duplicate field `cli`");
	bad("cli:\n  output_format: xml\n",
	    "omnigraph.yaml: cli.output_format: unknown variant `xml`, expected one of `table`, `kv`, `csv`, `jsonl`, `json` at line 2 column 18");
	bad("cli: {branch: [a]}", "omnigraph.yaml: cli.branch: invalid type: sequence, expected a string at line 1 column 15");
	bad("cli: {table_max_column_width: -1}",
	    "omnigraph.yaml: cli.table_max_column_width: invalid type: integer `-1`, expected usize at line 1 column 31");
	bad("cli: {table_max_column_width: '9'}",
	    "omnigraph.yaml: cli.table_max_column_width: invalid type: string \"9\", expected usize at line 1 column 31");
	bad("queries: {q: {file: f, mcp: {expose: yes}}}",
	    "omnigraph.yaml: queries.q.mcp.expose: invalid type: string \"yes\", expected a boolean at line 1 column 38");
	bad("query: {roots: [a, {b: c}]}", "omnigraph.yaml: query.roots[1]: invalid type: map, expected a string at line 1 column 20");
	bad("- a\n", "omnigraph.yaml: invalid type: sequence, expected a map");
	bad("aliases: {a: {query: q}}", "omnigraph.yaml: aliases.a: missing field `command` at line 1 column 14");
	bad("a: 1\n---\nb: 2\n", "omnigraph.yaml: more than one document at line 2 column 1");
	bad("cli: \xff", "omnigraph.yaml: stream did not contain valid UTF-8");
	bad("cli: {graph: a\n", "omnigraph.yaml: did not find expected ',' or '}' at line 2 column 1, while parsing a flow mapping at line 1 column 6");
	bad("cli: {graph: \"a\\0b\"}", "omnigraph.yaml: cli.graph: invalid value: a string with a NUL character at line 1 column 14");
}
END_TEST

START_TEST(every_prefix_ends_well)
{
	static const char text[] = "graphs: {g: {uri: x, queries: {q: {file: f, mcp: {expose: true}}}}}\ncli: {graph: g}\n";
	struct og_slice cut = exact_copy(og_slice_str(text), (size_t)_i);

	if (og_config_parse(&cfg, cut, NULL, "/", &err) == 0)
		og_config_fini(&cfg);
	free_copy(cut);
}
END_TEST

START_TEST(selects_a_graph)
{
	struct og_selection sel;

	good("graphs: {quay: {uri: g.omni}, far: {uri: 's3://b/x'}}\npolicy: {}\n");
	ck_assert_int_eq(og_config_select(&cfg, "./given", "quay", NULL, "far", &sel, &err), 0);
	ck_assert_str_eq(sel.uri, "./given");
	ck_assert_ptr_null(sel.graph);
	ck_assert_int_eq(og_config_select(&cfg, NULL, NULL, "far", "quay", &sel, &err), 0);
	ck_assert_str_eq(sel.uri, "s3://b/x");
	ck_assert_int_eq(og_config_select(&cfg, NULL, NULL, NULL, "quay", &sel, &err), 0);
	ck_assert_str_eq(sel.uri, "/srv/conf/g.omni");
	ck_assert_int_eq(og_config_coherent(&cfg, &sel, &err), 0);
	ck_assert_int_lt(og_config_select(&cfg, NULL, "nix", NULL, "quay", &sel, &err), 0);
	ck_assert_str_eq(err.message, "graph 'nix' not found in omnigraph.yaml");
	ck_assert_int_lt(og_config_select(&cfg, NULL, NULL, NULL, NULL, &sel, &err), 0);
	ck_assert_str_eq(err.message, "URI must be provided via <URI>, --target, or config");
	og_config_fini(&cfg);
	good("graphs: {quay: {uri: g}}\npolicy: {file: p}\nqueries: {q: {file: f}}\n");
	ck_assert_int_eq(og_config_select(&cfg, NULL, "quay", NULL, NULL, &sel, &err), 0);
	ck_assert_int_lt(og_config_coherent(&cfg, &sel, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.message, "named graph 'quay' uses its own `graphs.quay.…` block, but top-level policy.file and queries are set and would be ignored."));
	ck_assert_int_eq(og_config_select(&cfg, "x", NULL, NULL, NULL, &sel, &err), 0);
	ck_assert_int_eq(og_config_coherent(&cfg, &sel, &err), 0);
	og_config_fini(&cfg);
}
END_TEST

static const struct {
	const char *uri, *normal;
	enum og_uri_kind kind;
} uris[] = {
	{ "g.omni///", "g.omni", OG_URI_PATH },
	{ "/", "/", OG_URI_PATH },
	{ "//", "/", OG_URI_PATH },
	{ "./a/../g", "./a/../g", OG_URI_PATH },
	{ "file:///srv/g/", "/srv/g", OG_URI_FILE },
	{ "FILE:///srv/g", "/srv/g", OG_URI_FILE },
	{ "s3://b/x/", "s3://b/x", OG_URI_S3 },
	{ "HTTPS://H/graphs/q/", "https://H/graphs/q", OG_URI_HTTP },
	{ "gs://b", "gs://b", OG_URI_OTHER },
	{ "file://rel", NULL, OG_URI_FILE },
};

START_TEST(normalises_uris)
{
	struct og_arena a;
	const char *out = NULL;

	og_arena_init(&a, 0);
	ck_assert_int_eq(og_uri_kind(uris[_i].uri), uris[_i].kind);
	if (uris[_i].normal) {
		ck_assert_int_eq(og_uri_normal(&a, uris[_i].uri, &out, &err), 0);
		ck_assert_str_eq(out, uris[_i].normal);
	} else {
		ck_assert_int_eq(og_uri_normal(&a, uris[_i].uri, &out, &err), OG_ERR_BAD);
	}
	og_arena_fini(&a);
}
END_TEST

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

START_TEST(files_stand_on_the_config)
{
	char dir[] = "/tmp/og-config-XXXXXX", want[300];
	const char *out;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(mkdir("conf", 0700) | mkdir("conf/gq", 0700), 0);
	/* None at all. */
	ck_assert_int_eq(og_config_load(&cfg, NULL, &err), 0);
	ck_assert_ptr_null(cfg.file);
	ck_assert_str_eq(cfg.dir, dir);
	og_config_fini(&cfg);
	ck_assert_int_eq(og_config_load(&cfg, "conf/nix.yaml", &err), OG_ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "No such file or directory"));
	put_file("conf/c.yaml", "query: {roots: [nix, gq]}\nauth: {env_file: e}\n");
	put_file("conf/gq/a.gq", "");
	put_file("conf/e", "# c\nexport OG_T_A = \"x y\" \nOG_T_A=second\nOG_T_B=new\nno equals\n=x\nOG_T_C=' '\nOG_T_D=a # b\r\n");
	ck_assert_int_eq(og_config_load(&cfg, "conf/c.yaml", &err), 0);
	snprintf(want, sizeof(want), "%s/conf/gq/a.gq", dir);
	ck_assert_int_eq(og_config_query_file(&cfg, "a.gq", &out, &err), 0);
	ck_assert_str_eq(out, want);
	ck_assert_int_lt(og_config_query_file(&cfg, "b.gq", &out, &err), 0);
	ck_assert_str_eq(err.message, "query file 'b.gq' not found");
	setenv("OG_T_B", "", 1);
	ck_assert_int_eq(og_config_env(&cfg, &err), 0);
	ck_assert_str_eq(getenv("OG_T_A"), "x y");
	ck_assert_str_eq(getenv("OG_T_B"), "");
	ck_assert_str_eq(getenv("OG_T_C"), " ");
	ck_assert_str_eq(getenv("OG_T_D"), "a # b");
	ck_assert_int_eq(unlink("conf/e"), 0);
	ck_assert_int_eq(og_config_env(&cfg, &err), 0);
	og_config_fini(&cfg);
	unlink("conf/c.yaml");
	unlink("conf/gq/a.gq");
	rmdir("conf/gq");
	rmdir("conf");
	rmdir(dir);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, nothing_gives_defaults, 0, 6);
	tcase_add_test(tc, reads_every_key);
	tcase_add_test(tc, follows_the_rules_of_text);
	tcase_add_test(tc, refuses_with_the_place);
	tcase_add_loop_test(tc, every_prefix_ends_well, 0, 85);
	tcase_add_test(tc, selects_a_graph);
	tcase_add_loop_test(tc, normalises_uris, 0, (int)OG_COUNT(uris));
	tcase_add_test(tc, files_stand_on_the_config);
}

int main(void)
{
	return suite_run("config", add, 20);
}
