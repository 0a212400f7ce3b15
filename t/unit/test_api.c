/* Routes over the real HTTP server with a fake graph behind them: order of checks, texts, shapes. */
#include "config.h"

#include "api/route.h"

#include "t/check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "json/writer.h"

static struct event_base *base;
static struct og_http_server *server;
static struct og_api api;
static int client;
static struct og_buf got;

/* ---- the fake graph: notes what it was asked, answers at once, or keeps the call ---- */

static struct og_buf asked;
static struct og_api_call *kept;
static unsigned cancelled, released, more;

static const struct og_api_commit commit = {
	.id = { "01ARZ3NDEKTSV4RRFFQ69G5FAV", 26 }, .manifest_version = 3, .parent = { "01ARZ3NDEKTSV4RRFFQ69G5FAU", 26 },
	.created_at_us = 1700000000000000,
};

static int snapshot(void *graph, struct og_api_call *c, struct og_slice branch, struct og_error *err)
{
	static const struct og_api_table tables[] = {
		{ { "edge:GrowsIn", 12 }, 1, { NULL, 0 }, 0 },
		{ { "node:Tree", 9 }, 2, { "wip", 3 }, 7 },
	};
	struct og_api_snapshot s = { branch, 3, 2, tables, 2 };

	(void)graph;
	if (og_slice_is(branch, "none"))
		return og_error_set(err, OG_ERR_NOT_FOUND, "branch 'none' not found");
	og_api_reply_snapshot(c, &s);
	return 0;
}

static void note_released(void *arg)
{
	(void)arg;
	released++;
}

static int read_(void *graph, struct og_api_call *c, const struct og_api_read *q, struct og_error *err)
{
	struct og_api_rows r = {
		.query_name = OG_SLICE("tall"), .branch = q->branch, .snapshot = q->snapshot, .graph_commit_id = commit.id, .row_count = 1,
		.columns_json = OG_SLICE("[\"t.name\"]"), .rows_json = OG_SLICE("[{\"t.name\":\"oak-7\"}]"), .release = note_released,
	};

	(void)graph;
	og_buf_printf(&asked, "read %d query=%.*s name=%.*s branch=%.*s snapshot=%.*s params=", q->legacy, OG_FMT(q->query), OG_FMT(q->name),
		      OG_FMT(q->branch), OG_FMT(q->snapshot));
	if (q->params)
		og_json_text(&asked, q->params);
	if (og_slice_is(q->query, "keep")) {
		kept = c;
		return 0;
	}
	if (og_slice_is(q->query, "slow"))
		return og_error_set(err, OG_ERR_TIMEOUT, "query time limit of 60 s exceeded");
	if (og_slice_is(q->query, "none")) {
		r.row_count = 0;
		r.columns_json = OG_SLICE("[]");
		r.rows_json = OG_SLICE("[]");
	}
	og_api_reply_rows(c, &r);
	return 0;
}

static int write_(void *graph, struct og_api_call *c, const struct og_api_write *q, struct og_error *err)
{
	struct og_api_change r = { q->branch, OG_SLICE("plant"), 1, 0, &commit };

	(void)graph;
	(void)err;
	og_buf_printf(&asked, "write query=%.*s name=%.*s branch=%.*s", OG_FMT(q->query), OG_FMT(q->name), OG_FMT(q->branch));
	if (og_slice_is(q->query, "stale")) {
		og_error_set(err, OG_ERR_CONFLICT, "stale view of 'node:Tree': expected manifest table version 3 but current is 4 — refresh and retry");
		err->detail.kind = OG_DETAIL_MANIFEST;
		strcpy(err->detail.name, "node:Tree");
		err->detail.expected = 3;
		err->detail.actual = 4;
		return err->code;
	}
	if (og_slice_is(q->query, "noop"))
		r.commit = NULL;
	og_api_reply_change(c, &r);
	return 0;
}

static int load(void *graph, struct og_api_call *c, const struct og_api_load *q, struct og_error *err)
{
	static const struct og_api_loaded_table tables[] = { { { "edge:GrowsIn", 12 }, 2 }, { { "node:Tree", 9 }, 3 } };
	struct og_api_loaded r = { OG_SLICE("/srv/g"), q->branch, q->from, q->from.p != NULL, q->mode, tables, 2, &commit };

	(void)graph;
	(void)err;
	og_buf_printf(&asked, "load data=%.*s branch=[%.*s] from=%.*s mode=%d", (int)OG_MIN(q->data.len, (size_t)20), q->data.p, OG_FMT(q->branch),
		      OG_FMT(q->from), (int)q->mode);
	og_api_reply_loaded(c, &r);
	return 0;
}

static int schema(void *graph, struct og_api_call *c, struct og_error *err)
{
	(void)graph;
	(void)err;
	og_api_reply_schema(c, OG_SLICE("node Tree {\n\tname: String\n}\n"));
	return 0;
}

static int export_(void *graph, struct og_api_call *c, const struct og_api_export *q, struct og_error *err)
{
	(void)graph;
	og_buf_printf(&asked, "export %.*s %zu %zu", OG_FMT(q->branch), q->type_names.n, q->table_keys.n);
	if (q->table_keys.n)
		return og_error_set(err, OG_ERR_BAD, "unknown export table '%.*s'", OG_FMT(q->table_keys.v[0]));
	og_api_stream_begin(c);
	ck_assert_int_eq(og_api_stream_write(c, OG_SLICE("{\"a\":1}\n")), OG_HTTP_ROOM);
	if (q->type_names.n)
		kept = c;
	else
		og_api_stream_end(c);
	return 0;
}

static void export_more(void *graph, struct og_api_call *c)
{
	(void)graph;
	(void)c;
	more++;
}

static void on_cancelled(void *graph, struct og_api_call *c)
{
	struct og_error err;

	(void)graph;
	ck_assert_int_eq(atomic_load(&c->cancel), 1);
	cancelled++;
	kept = NULL;
	og_error_set(&err, OG_ERR_CANCELLED, "cancelled");
	og_api_fail(c, &err);
}

static const struct og_api_ops ops = {
	.snapshot = snapshot, .read = read_, .write = write_, .load = load, .schema = schema, .export = export_,
	.export_more = export_more, .cancelled = on_cancelled,
};
static const struct og_api_graph graph = { &ops, NULL };

static const struct og_api_graph *find_graph(void *arg, struct og_slice id)
{
	(void)arg;
	return !id.p || og_slice_is(id, "grove") ? &graph : NULL;
}

static bool check_token(void *arg, struct og_slice token, struct og_slice *actor)
{
	(void)arg;
	*actor = OG_SLICE("act-ivy");
	return og_slice_is(token, "secret");
}

/* ---- */

static void setup(void)
{
	struct og_http_config config = { 0 };
	struct og_error err;
	int fds[2];

	base = event_base_new();
	api = (struct og_api){ .version = "0.1.0", .internal_schema_version = 2, .find_graph = find_graph };
	server = og_http_server_new(base, &config, og_api_on_request, &api, &err);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(og_http_server_adopt(server, fds[1], &err), 0);
	client = fds[0];
}

static void teardown(void)
{
	if (client >= 0)
		close(client);
	og_http_server_free(server);
	og_api_fini(&api);
	event_base_free(base);
	og_buf_fini(&asked);
	og_buf_fini(&got);
}

static void turn(void)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static const char *receive(void)
{
	char tmp[65536];
	ssize_t n;
	char *from;

	do {
		turn();
		while ((n = read(client, tmp, sizeof(tmp))) > 0)
			og_buf_append(&got, tmp, (size_t)n);
		turn();
	} while ((n = read(client, tmp, sizeof(tmp))) > 0 && (og_buf_append(&got, tmp, (size_t)n), true));
	og_buf_byte(&got, 0);
	got.len--;
	while ((from = strstr(got.data, "Date: ")))
		memmove(from, from + 37, strlen(from + 37) + 1);
	return got.data;
}

static void transmit(const char *s, size_t len)
{
	while (len) {
		ssize_t n = send(client, s, len, MSG_NOSIGNAL);

		if (n > 0) {
			s += n;
			len -= (size_t)n;
		} else {
			ck_assert_int_eq(errno, EAGAIN);
			turn();
		}
	}
}

static const char *ask(const char *head, const char *body)
{
	struct og_buf b = { 0 };

	og_buf_clear(&got);
	og_buf_clear(&asked);
	og_buf_str(&b, head);
	if (body)
		og_buf_printf(&b, "Content-Length: %zu\r\n", strlen(body));
	og_buf_str(&b, "\r\n");
	if (body)
		og_buf_str(&b, body);
	transmit(b.data, b.len);
	og_buf_fini(&b);
	return receive();
}

static const char *post(const char *path, const char *body)
{
	char head[256];

	snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nContent-Type: application/json\r\n", path);
	return ask(head, body);
}

static const char *get(const char *path)
{
	char head[256];

	snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\n", path);
	return ask(head, NULL);
}

static char expected[4096];

static const char *answer(const char *status, const char *type, const char *headers, const char *body)
{
	snprintf(expected, sizeof(expected), "HTTP/1.1 %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, type, headers, strlen(body), body);
	return expected;
}

static const char *json(const char *status, const char *body)
{
	return answer(status, "application/json", "", body);
}

static const char *plain(const char *status, const char *body)
{
	return answer(status, "text/plain; charset=utf-8", "", body);
}

#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

START_TEST(health_and_readiness)
{
	ck_assert_str_eq(get("/healthz"), json("200 OK", "{\"status\":\"ok\",\"version\":\"0.1.0\",\"internal_schema_version\":2}"));
	api.source_version = "abc";
	ck_assert_str_eq(get("/healthz?x"),
			 json("200 OK", "{\"status\":\"ok\",\"version\":\"0.1.0\",\"source_version\":\"abc\",\"internal_schema_version\":2}"));
	ck_assert_str_eq(get("/readyz"), json("200 OK", "{\"status\":\"ready\"}"));
	api.draining = true;
	ck_assert_str_eq(get("/readyz"), json("503 Service Unavailable", "{\"status\":\"draining\"}"));
	ck_assert_str_eq(ask("HEAD /readyz HTTP/1.1\r\n", NULL),
			 "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n");
}
END_TEST

START_TEST(unknown_paths_have_no_body)
{
	static const char *const paths[] = { "/", "/x", "/healthz/", "//healthz", "/graphs/x", "/graphs/", "/graphs/grove/snapshot", "/%68ealthz",
					     "/snapshot/x", "/Snapshot", "*", "healthz", "/mcp" };

	ck_assert_str_eq(get(paths[_i]), NOT_FOUND);
}
END_TEST

START_TEST(wrong_methods_are_told_the_right_ones)
{
	ck_assert_str_eq(ask("DELETE /snapshot HTTP/1.1\r\n", NULL), "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET,HEAD\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(get("/query"), "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(ask("HEAD /query HTTP/1.1\r\n", NULL), "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\n\r\n");
	ck_assert_str_eq(ask("BREW /healthz HTTP/1.1\r\n", NULL), "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET,HEAD\r\nContent-Length: 0\r\n\r\n");
	ck_assert_str_eq(get("/graphs"), json("405 Method Not Allowed", "{\"error\":\"GET /graphs is only available in multi-graph mode\","
									"\"code\":\"method_not_allowed\"}"));
}
END_TEST

START_TEST(content_types_are_checked)
{
	static const struct {
		const char *head;
		bool fine;
	} rows[] = {
		{ "", false },
		{ "Content-Type: text/json\r\n", false },
		{ "Content-Type: application/jsonx\r\n", false },
		{ "Content-Type: application/+jso\r\n", false },
		{ "Content-Type: application/x-www-form-urlencoded\r\n", false },
		{ "Content-Type: text/plain\r\nContent-Type: application/json\r\n", false },
		{ "Content-Type: application/json\r\n", true },
		{ "content-type: Application/JSON ; charset=utf-8\r\n", true },
		{ "Content-Type: application/vnd.x+json\r\n", true },
		{ "Content-Type: application/json\r\nContent-Type: text/plain\r\n", true },
	};
	char head[200];
	const char *a;

	snprintf(head, sizeof(head), "POST /query HTTP/1.1\r\n%s", rows[_i].head);
	a = ask(head, "{\"query\":\"q\"}");
	if (rows[_i].fine)
		ck_assert(strncmp(a, "HTTP/1.1 200", 12) == 0);
	else
		ck_assert_str_eq(a, plain("415 Unsupported Media Type", "Expected request with `Content-Type: application/json`"));
}
END_TEST

START_TEST(reads)
{
	ck_assert_str_eq(post("/query", "{\"query\":\"q\",\"name\":\"tall\",\"params\":{\"min\":3}}"),
			 json("200 OK", "{\"query_name\":\"tall\",\"target\":{\"branch\":\"main\",\"snapshot\":null},\"row_count\":1,\"columns\":[\"t.name\"],"
					"\"rows\":[{\"t.name\":\"oak-7\"}],\"graph_commit_id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"}"));
	ck_assert_str_eq(asked.data, "read 0 query=q name=tall branch=main snapshot= params={\"min\":3}");
	ck_assert_uint_eq(released, 1);
	ck_assert_str_eq(post("/query", "{\"query\":\"none\",\"snapshot\":\"01X\",\"branch\":null}"),
			 json("200 OK", "{\"query_name\":\"tall\",\"target\":{\"branch\":null,\"snapshot\":\"01X\"},\"row_count\":0,"
					"\"rows\":[],\"graph_commit_id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"}"));
	ck_assert_str_eq(post("/read", "{\"query_source\":\"q\",\"query_name\":\"n\",\"branch\":\" wip\\u00a0\"}"),
			 answer("200 OK", "application/json", "Deprecation: true\r\nLink: </query>; rel=\"successor-version\"\r\n",
				"{\"query_name\":\"tall\",\"target\":{\"branch\":\"wip\",\"snapshot\":null},\"row_count\":1,\"columns\":[\"t.name\"],"
				"\"rows\":[{\"t.name\":\"oak-7\"}]}"));
	ck_assert_str_eq(asked.data, "read 1 query=q name=n branch=wip snapshot= params=");
	/* no aliases between the two */
	ck_assert_str_eq(post("/read", "{\"query\":\"q\"}"),
			 plain("422 Unprocessable Entity", "Failed to deserialize the JSON body into the target type: missing field `query_source` at line 1 column 13"));
	ck_assert_str_eq(post("/query", "{\"query\":\"q\",\"branch\":\"a\",\"snapshot\":\"b\"}"),
			 json("400 Bad Request", "{\"error\":\"request may specify branch or snapshot, not both\",\"code\":\"bad_request\"}"));
	ck_assert_str_eq(post("/query", "{\"query\":\"q\",\"branch\":\" \"}"),
			 json("400 Bad Request", "{\"error\":\"branch name cannot be empty\",\"code\":\"bad_request\"}"));
	ck_assert_str_eq(post("/query", "{\"query\":\"slow\"}"),
			 json("504 Gateway Timeout", "{\"error\":\"query time limit of 60 s exceeded\"}"));
	ck_assert_str_eq(post("/query", ""),
			 plain("400 Bad Request", "Failed to parse the request body as JSON: unexpected end of input at line 1 column 1"));
}
END_TEST

START_TEST(snapshots)
{
	ck_assert_str_eq(get("/snapshot?x&branch=%20wip+"),
			 json("200 OK", "{\"branch\":\"wip\",\"manifest_version\":3,\"tables\":["
					"{\"table_key\":\"edge:GrowsIn\",\"table_path\":\"edges/e208a5e99ce7ee98\",\"table_version\":1,\"table_branch\":null,\"row_count\":0},"
					"{\"table_key\":\"node:Tree\",\"table_path\":\"nodes/85b3b9fb528f2775\",\"table_version\":2,\"table_branch\":\"wip\",\"row_count\":7}],"
					"\"graph_branch\":\"wip\",\"graph_manifest_version\":3,\"internal_schema_version\":2,\"datasets\":["
					"{\"entity_kind\":\"edge\",\"type_name\":\"GrowsIn\",\"dataset_path\":\"edges/e208a5e99ce7ee98\",\"published_dataset_version\":1,"
					"\"native_dataset_branch\":null,\"entity_count\":0},"
					"{\"entity_kind\":\"node\",\"type_name\":\"Tree\",\"dataset_path\":\"nodes/85b3b9fb528f2775\",\"published_dataset_version\":2,"
					"\"native_dataset_branch\":\"wip\",\"entity_count\":7}]}"));
}
END_TEST

START_TEST(snapshot_parameters)
{
	ck_assert(strstr(get("/snapshot"), "{\"branch\":\"main\"") != NULL);
	ck_assert_str_eq(get("/snapshot?branch="), json("400 Bad Request", "{\"error\":\"branch name cannot be empty\",\"code\":\"bad_request\"}"));
	ck_assert_str_eq(get("/snapshot?branch"), json("400 Bad Request", "{\"error\":\"branch name cannot be empty\",\"code\":\"bad_request\"}"));
	ck_assert_str_eq(get("/snapshot?branch=a&branch=a"), plain("400 Bad Request", "Failed to deserialize query string: duplicate field `branch`"));
	ck_assert_str_eq(get("/snapshot?branch=none"), json("404 Not Found", "{\"error\":\"branch 'none' not found\",\"code\":\"not_found\"}"));
	ck_assert_str_eq(get("/schema"), json("200 OK", "{\"schema_source\":\"node Tree {\\n\\tname: String\\n}\\n\"}"));
}
END_TEST

#define COMMIT \
	"{\"graph_commit_id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"manifest_branch\":null,\"manifest_version\":3," \
	"\"parent_commit_id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAU\",\"merged_parent_commit_id\":null,\"actor_id\":null," \
	"\"created_at\":1700000000000000,\"graph_branch\":null,\"graph_manifest_version\":3}"

START_TEST(writes)
{
	ck_assert_str_eq(post("/mutate", "{\"query\":\"q\",\"branch\":\"wip\"}"),
			 json("200 OK", "{\"branch\":\"wip\",\"query_name\":\"plant\",\"affected_nodes\":1,\"affected_edges\":0,\"actor_id\":null,\"commit\":" COMMIT "}"));
	ck_assert_str_eq(post("/change", "{\"query_source\":\"noop\",\"query_name\":\"n\"}"),
			 answer("200 OK", "application/json", "Deprecation: true\r\nLink: </mutate>; rel=\"successor-version\"\r\n",
				"{\"branch\":\"main\",\"query_name\":\"plant\",\"affected_nodes\":1,\"affected_edges\":0,\"actor_id\":null,\"commit\":null}"));
	ck_assert_str_eq(asked.data, "write query=noop name=n branch=main");
	ck_assert(strncmp(post("/mutate", "{\"query\":\"q\",\"query_source\":\"q\"}"), "HTTP/1.1 422", 12) == 0);
	ck_assert_str_eq(post("/change", "{\"query\":\"stale\"}"),
			 json("409 Conflict", "{\"error\":\"stale view of 'node:Tree': expected manifest table version 3 but current is 4 — refresh and retry\","
					      "\"code\":\"conflict\",\"manifest_conflict\":{\"table_key\":\"node:Tree\",\"expected\":3,\"actual\":4},"
					      "\"published_dataset_version_conflict\":{\"entity_kind\":\"node\",\"type_name\":\"Tree\","
					      "\"expected_published_dataset_version\":3,\"actual_published_dataset_version\":4}}"));
	ck_assert_str_eq(ask("POST /mutate HTTP/1.1\r\nContent-Type: application/json\r\nOmnigraph-If-Graph-Commit: x\r\n", "{\"query\":\"q\"}"),
			 json("400 Bad Request", "{\"error\":\"Omnigraph-If-Graph-Commit requires the fail-closed conditional route /mutate/if-graph-commit\","
						 "\"code\":\"bad_request\"}"));
}
END_TEST

#define LOADED(branch, base, created, mode) \
	"{\"uri\":\"/srv/g\",\"branch\":\"" branch "\",\"base_branch\":" base ",\"branch_created\":" created ",\"mode\":\"" mode "\"," \
	"\"tables\":[{\"table_key\":\"edge:GrowsIn\",\"rows_loaded\":2},{\"table_key\":\"node:Tree\",\"rows_loaded\":3}]," \
	"\"nodes\":[{\"name\":\"Tree\",\"entities_loaded\":3}],\"edges\":[{\"name\":\"GrowsIn\",\"entities_loaded\":2}],\"total_entities\":5," \
	"\"actor_id\":null,\"commit\":" COMMIT "}"

START_TEST(loads)
{
	struct og_buf big = { 0 };

	ck_assert_str_eq(post("/load", "{\"data\":\"{}\\n\"}"), json("200 OK", LOADED("main", "null", "false", "merge")));
	ck_assert_str_eq(asked.data, "load data={}\n branch=[main] from= mode=0");
	ck_assert_str_eq(post("/ingest", "{\"data\":\"\",\"branch\":\"b\",\"from\":\" main\",\"mode\":\"overwrite\"}"),
			 answer("200 OK", "application/json", "Deprecation: true\r\nLink: </load>; rel=\"successor-version\"\r\n",
				LOADED("b", "\"main\"", "true", "overwrite")));
	post("/ingest", "{\"data\":\"\",\"branch\":\"\"}");
	ck_assert_str_eq(asked.data, "load data= branch=[] from= mode=0");
	ck_assert(strstr(post("/load", "{\"data\":\"\",\"mode\":\"replace\"}"),
			 "unknown variant `replace`, expected one of `merge`, `append`, `overwrite` at line 1 column 27") != NULL);
	/* beyond the other routes' limit */
	og_buf_str(&big, "{\"data\":\"");
	for (int i = 0; i < 200000; i++)
		og_buf_str(&big, "0123456789");
	og_buf_str(&big, "\"}");
	ck_assert(strncmp(post("/load", big.data), "HTTP/1.1 200", 12) == 0);
	ck_assert_str_eq(asked.data, "load data=01234567890123456789 branch=[main] from= mode=0");
	ck_assert_str_eq(post("/query", big.data), answer("413 Payload Too Large", "text/plain; charset=utf-8", "Connection: close\r\n",
							  "Failed to buffer the request body: length limit exceeded"));
	og_buf_fini(&big);
}
END_TEST

START_TEST(a_broken_chunk_is_told)
{
	ck_assert_str_eq(ask("POST /query HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxx", NULL),
			 answer("400 Bad Request", "text/plain; charset=utf-8", "Connection: close\r\n",
				"Failed to buffer the request body: error reading a body from connection"));
}
END_TEST

START_TEST(exports)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"a\":1}\n\r\n";
	char whole[300];
	struct og_error err;

	snprintf(whole, sizeof(whole), "%s0\r\n\r\n", head);
	ck_assert_str_eq(post("/export", "{}"), whole);
	ck_assert_str_eq(asked.data, "export main 0 0");
	ck_assert_str_eq(post("/export", "{\"table_keys\":[\"node:X\"]}"),
			 json("400 Bad Request", "{\"error\":\"unknown export table 'node:X'\",\"code\":\"bad_request\"}"));
	ck_assert(strncmp(post("/export", "{\"table_keys\":null}"), "HTTP/1.1 422", 12) == 0);
	/* A failure in the middle is never a clean end. */
	ck_assert_str_eq(post("/export", "{\"type_names\":[\"T\"]}"), head);
	og_error_set(&err, OG_ERR_IO, "io: gone");
	og_api_fail(kept, &err);
	ck_assert_str_eq(receive(), head);
	ck_assert_uint_eq(og_http_server_stats(server).connections, 0);
}
END_TEST

START_TEST(a_full_stream_asks_for_more)
{
	static char lines[100000];
	size_t n = 0;

	post("/export", "{\"type_names\":[\"T\"]}");
	memset(lines, '\n', sizeof(lines));
	while (og_api_stream_write(kept, og_slice(lines, sizeof(lines))) == OG_HTTP_ROOM)
		ck_assert_uint_lt(++n, 100);
	ck_assert_uint_eq(more, 0);
	receive();
	ck_assert_uint_eq(more, 1);
	og_api_stream_end(kept);
}
END_TEST

START_TEST(a_lost_peer_cancels)
{
	post("/query", "{\"query\":\"keep\"}");
	ck_assert_ptr_nonnull(kept);
	close(client);
	client = -1;
	turn();
	ck_assert_uint_eq(cancelled, 1);
	ck_assert_uint_eq(og_http_server_stats(server).in_flight, 0);
}
END_TEST

START_TEST(tokens_come_first)
{
	static const char *const missing[] = { "", "Authorization: bearer secret\r\n", "Authorization: Bearer\r\n", "Authorization: Basic x\r\n",
					       "Authorization: Basic x\r\nAuthorization: Bearer secret\r\n", "Authorization: Bearer \xc3\xa9\r\n" };
	char head[300];

	api.check_token = check_token;
	for (size_t i = 0; i < OG_COUNT(missing); i++) {
		snprintf(head, sizeof(head), "DELETE /snapshot HTTP/1.1\r\n%s", missing[i]);
		ck_assert_str_eq(ask(head, NULL), json("401 Unauthorized", "{\"error\":\"missing bearer token\",\"code\":\"unauthorized\"}"));
	}
	ck_assert_str_eq(ask("GET /schema HTTP/1.1\r\nAuthorization: Bearer  secret\r\n", NULL),
			 json("401 Unauthorized", "{\"error\":\"invalid bearer token\",\"code\":\"unauthorized\"}"));
	ck_assert_str_eq(get("/x"), NOT_FOUND);
	ck_assert(strncmp(get("/healthz"), "HTTP/1.1 200", 12) == 0);
	ck_assert(strncmp(get("/readyz"), "HTTP/1.1 200", 12) == 0);
	ck_assert(strstr(ask("POST /mutate HTTP/1.1\r\nAuthorization: Bearer secret\r\nX-Actor-Id: eve\r\nContent-Type: application/json\r\n", "{\"query\":\"q\"}"),
			 "\"actor_id\":\"act-ivy\",\"commit\"") != NULL);
}
END_TEST

static void setup_multi(void)
{
	setup();
	api.multi = true;
}

START_TEST(graphs_have_their_prefix)
{
	static const struct {
		const char *path, *status, *text;
	} rows[] = {
		{ "/graphs/grove/schema", "200 OK", "schema_source" },
		{ "/graphs/grove//schema", "200 OK", "schema_source" },
		{ "/graphs/fen/schema", "404 Not Found", "{\"error\":\"graph 'fen' not found\",\"code\":\"not_found\"}" },
		{ "/graphs/a_b/schema", "400 Bad Request", "graph_id 'a_b' must match ^[a-zA-Z0-9-]{1,64}$" },
		{ "/graphs/%41/schema", "400 Bad Request", "graph_id '%41' must match" },
		{ "/graphs/healthz/schema", "400 Bad Request", "graph_id 'healthz' is reserved" },
		{ "/graphs//schema", "400 Bad Request", "cluster route missing /graphs/{graph_id} prefix" },
		{ "/graphs/0123456789012345678901234567890123456789012345678901234567890123_/schema", "400 Bad Request", "is 65 chars; max 64" },
		{ "/schema", "404 Not Found", "\r\n\r\n" },
		{ "/graphs/grove", "404 Not Found", "\r\n\r\n" },
		{ "/graphs/grove/healthz", "404 Not Found", "\r\n\r\n" },
		{ "/graphs/grove///schema", "404 Not Found", "\r\n\r\n" },
		{ "/healthz", "200 OK", "\"ok\"" },
		{ "/graphs", "403 Forbidden", "server-scoped actions require an explicit" },
		{ "/graphs/fen/query", "404 Not Found", "graph 'fen' not found" }, /* before the method */
		{ "/graphs/grove/query", "405 Method Not Allowed", "Allow: POST" },
	};
	const char *a = get(rows[_i].path);

	ck_assert_msg(strncmp(a + 9, rows[_i].status, strlen(rows[_i].status)) == 0, "%s: %s", rows[_i].path, a);
	ck_assert_msg(strstr(a, rows[_i].text) != NULL, "%s: %s", rows[_i].path, a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("api");
	TCase *tc = tcase_create("single"), *multi = tcase_create("multi");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, health_and_readiness);
	tcase_add_loop_test(tc, unknown_paths_have_no_body, 0, 13);
	tcase_add_test(tc, wrong_methods_are_told_the_right_ones);
	tcase_add_loop_test(tc, content_types_are_checked, 0, 10);
	tcase_add_test(tc, reads);
	tcase_add_test(tc, snapshots);
	tcase_add_test(tc, snapshot_parameters);
	tcase_add_test(tc, writes);
	tcase_add_test(tc, loads);
	tcase_add_test(tc, a_broken_chunk_is_told);
	tcase_add_test(tc, exports);
	tcase_add_test(tc, a_full_stream_asks_for_more);
	tcase_add_test(tc, a_lost_peer_cancels);
	tcase_add_test(tc, tokens_come_first);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(multi, setup_multi, teardown);
	tcase_add_loop_test(multi, graphs_have_their_prefix, 0, 16);
	suite_add_tcase(s, multi);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
