/* The route table, and the checks between a request and its handler. */
#include "config.h"

#include "api/call.h"

#include "api/error.h"
#include "http/url.h"

#define JSON_LIMIT (1 * OG_MIB)
#define LOAD_LIMIT (32 * OG_MIB)
#define GRAPH_ID_MAX 64u

/* clang-format off */
static const struct og_route routes[] = {
	{ OG_HTTP_GET, "/healthz", OG_ROUTE_GLOBAL | OG_ROUTE_OPEN, 0, og_api_health, NULL, NULL },
	{ OG_HTTP_GET, "/readyz", OG_ROUTE_GLOBAL | OG_ROUTE_OPEN, 0, og_api_ready, NULL, NULL },
	{ OG_HTTP_GET, "/graphs", OG_ROUTE_GLOBAL, 0, og_api_graphs, NULL, NULL },
	{ OG_HTTP_GET, "/snapshot", 0, 0, og_api_snapshot, NULL, og_api_check_branch_query },
	{ OG_HTTP_POST, "/query", OG_ROUTE_JSON, JSON_LIMIT, og_api_query, NULL, NULL },
	{ OG_HTTP_POST, "/read", OG_ROUTE_JSON, JSON_LIMIT, og_api_read_legacy, "</query>; rel=\"successor-version\"", NULL },
	{ OG_HTTP_POST, "/export", OG_ROUTE_JSON, JSON_LIMIT, og_api_export, NULL, NULL },
	{ OG_HTTP_POST, "/mutate", OG_ROUTE_JSON, JSON_LIMIT, og_api_mutate, NULL, og_api_check_unconditional },
	{ OG_HTTP_POST, "/change", OG_ROUTE_JSON, JSON_LIMIT, og_api_mutate, "</mutate>; rel=\"successor-version\"", og_api_check_unconditional },
	{ OG_HTTP_GET, "/schema", 0, 0, og_api_schema, NULL, NULL },
	{ OG_HTTP_POST, "/load", OG_ROUTE_JSON, LOAD_LIMIT, og_api_load, NULL, NULL },
	{ OG_HTTP_POST, "/ingest", OG_ROUTE_JSON, LOAD_LIMIT, og_api_load, "</load>; rel=\"successor-version\"", NULL },
};
/* clang-format on */

/* ---- paths ---- */

/* How well a path fits a pattern: 0 not at all, 1 with the help of a {…}, 2 literally. */
static int match(const char *pattern, struct og_slice path, struct og_slice params[2])
{
	const char *p = path.p, *end = path.p + path.len;
	unsigned n = 0;

	while (*pattern) {
		if (*pattern == '{') {
			const char *from = p;

			while (p < end && *p != '/')
				p++;
			if (p == from || n == 2)
				return 0;
			params[n++] = og_slice(from, (size_t)(p - from));
			while (*pattern++ != '}')
				;
		} else if (p == end || *p++ != *pattern++) {
			return 0;
		}
	}
	return p != end ? 0 : n ? 1 : 2;
}

/* A row with the pattern that fits best; a literal one goes before a {…}. NULL: unknown path. */
static const struct og_route *find_path(struct og_slice path, bool global, struct og_slice params[2])
{
	const struct og_route *best = NULL;
	struct og_slice found[2];

	for (size_t i = 0; i < OG_COUNT(routes); i++) {
		int fit;

		if (global != !!(routes[i].flags & OG_ROUTE_GLOBAL))
			continue;
		fit = match(routes[i].pattern, path, found);
		if (fit == 2)
			return &routes[i];
		if (fit == 1 && !best) {
			best = &routes[i];
			memcpy(params, found, sizeof(found));
		}
	}
	return best;
}

/* "/graphs/{graph_id}P" -> id and P. false: no such path. */
static bool split_graph(struct og_slice path, struct og_slice *id, struct og_slice *rest)
{
	static const struct og_slice prefix = { "/graphs/", 8 };
	const char *slash;

	if (!og_slice_starts(path, prefix))
		return false;
	path = og_slice(path.p + prefix.len, path.len - prefix.len);
	slash = path.len ? memchr(path.p, '/', path.len) : NULL;
	if (!slash)
		return false;
	*id = og_slice(path.p, (size_t)(slash - path.p));
	*rest = og_slice(slash, path.len - id->len);
	/* One empty segment behind the id is passed over: older command lines send it. */
	if (id->len && rest->len > 1 && rest->p[1] == '/')
		*rest = og_slice(rest->p + 1, rest->len - 1);
	return true;
}

/* Sets the route (any method) and the raw parameters. false: 404. */
static bool find_route(struct og_api_call *c)
{
	struct og_slice path = c->req->path, id, rest;

	c->route = find_path(path, true, c->params);
	if (c->route)
		return true;
	if (!c->api->multi) {
		c->route = find_path(path, false, c->params);
		return c->route != NULL;
	}
	if (!split_graph(path, &id, &rest))
		return false;
	c->route = find_path(rest, false, c->params);
	c->graph_id = id;
	return c->route != NULL;
}

/* ---- checks in front of a handler: 0, or they have answered ---- */

static int check_token(struct og_api_call *c)
{
	static const struct og_slice scheme = { "Bearer ", 7 };
	struct og_slice value, token;

	if (!c->api->check_token || (c->route->flags & OG_ROUTE_OPEN))
		return 0;
	if (!og_http_header(c->req, "authorization", &value) || !og_slice_starts(value, scheme))
		goto missing;
	token = og_slice(value.p + scheme.len, value.len - scheme.len);
	for (size_t i = 0; i < token.len; i++)
		if ((uint8_t)token.p[i] < 0x20 || (uint8_t)token.p[i] > 0x7e)
			goto missing;
	if (!token.len)
		goto missing;
	if (c->api->check_token(c->api->arg, token, &c->actor))
		return 0;
	og_api_reply_envelope(c, 401, "unauthorized", "invalid bearer token");
	return -1;
missing:
	og_api_reply_envelope(c, 401, "unauthorized", "missing bearer token");
	return -1;
}

const char *og_graph_id_problem(struct og_arena *a, struct og_slice id)
{
	static const char *const reserved[] = { "policies", "healthz", "openapi", "graphs" };
	const char *text = NULL;

	if (id.len == 0)
		return "graph_id must not be empty";
	if (id.len > GRAPH_ID_MAX) {
		text = og_arena_printf(a, "graph_id '%.*s' is %zu chars; max %u", (int)OG_MIN(id.len, (size_t)1000), id.p, id.len, GRAPH_ID_MAX);
		return text ? text : "graph_id is too long";
	}
	for (size_t i = 0; i < id.len; i++) {
		char ch = id.p[i];

		if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-')
			continue;
		text = og_arena_printf(a, "graph_id '%.*s' must match ^[a-zA-Z0-9-]{1,64}$", OG_FMT(id));
		return text ? text : "graph_id must match ^[a-zA-Z0-9-]{1,64}$";
	}
	for (size_t i = 0; i < OG_COUNT(reserved); i++)
		if (og_slice_is(id, reserved[i])) {
			text = og_arena_printf(a, "graph_id '%s' is reserved", reserved[i]);
			return text ? text : "graph_id is reserved";
		}
	return NULL;
}

static int check_graph(struct og_api_call *c)
{
	const struct og_api_graph *g;
	struct og_error err;
	const char *problem;

	if (c->route->flags & OG_ROUTE_GLOBAL)
		return 0;
	if (c->api->multi) {
		if (c->graph_id.len == 0)
			problem = "cluster route missing /graphs/{graph_id} prefix";
		else
			problem = og_graph_id_problem(&c->arena, c->graph_id);
		if (problem) {
			og_api_reply_envelope(c, 400, "bad_request", problem);
			return -1;
		}
	}
	g = c->api->find_graph(c->api->arg, c->graph_id);
	if (g) {
		c->ops = g->ops;
		c->graph = g->graph;
		return 0;
	}
	if (c->api->multi)
		og_error_set(&err, OG_ERR_NOT_FOUND, "graph '%.*s' not found", OG_FMT(c->graph_id));
	else
		og_error_set(&err, OG_ERR_UNAVAILABLE, "the graph is not available");
	og_api_fail(c, &err);
	return -1;
}

static bool serves(const struct og_route *row, enum og_http_method m)
{
	return row->method == m || (row->method == OG_HTTP_GET && m == OG_HTTP_HEAD);
}

static int check_method(struct og_api_call *c)
{
	static const struct {
		enum og_http_method method;
		const char *name;
	} names[] = { { OG_HTTP_GET, "GET,HEAD" }, { OG_HTTP_POST, "POST" }, { OG_HTTP_DELETE, "DELETE" } };
	const char *pattern = c->route->pattern;
	unsigned allowed = 0;
	char allow[64];
	int n = 0;

	for (size_t i = 0; i < OG_COUNT(routes); i++) {
		if (strcmp(routes[i].pattern, pattern) != 0)
			continue;
		if (serves(&routes[i], c->req->method)) {
			c->route = &routes[i];
			return 0;
		}
		allowed |= 1u << routes[i].method;
	}
	for (size_t i = 0; i < OG_COUNT(names); i++)
		if (allowed & 1u << names[i].method)
			n += snprintf(allow + n, sizeof(allow) - (size_t)n, "%s%s", n ? "," : "", names[i].name);
	og_http_begin(c->req, 405, NULL);
	og_http_add(c->req, "Allow", og_slice_str(allow));
	og_http_send_empty(c->req);
	og_api_call_free(c);
	return -1;
}

/* Decodes the path's parameters in place. */
static int check_params(struct og_api_call *c)
{
	const char *name = c->route->pattern;

	for (unsigned i = 0; i < OG_COUNT(c->params) && c->params[i].p; i++) {
		struct og_slice raw = c->params[i];
		struct og_error err;
		int rc = og_url_decode_segment(&c->arena, raw, &c->params[i]);

		name = strchr(name, '{') + 1;
		if (rc == OG_ERR_NOMEM) {
			og_error_nomem(&err);
			og_api_fail(c, &err);
			return -1;
		}
		if (rc < 0) {
			char *text = og_arena_printf(&c->arena, "Invalid URL: Invalid UTF-8 in `%.*s`", (int)strcspn(name, "}"), name);

			og_api_reply_text(c, 400, text ? text : "Invalid URL");
			return -1;
		}
	}
	return c->route->check ? c->route->check(c) : 0;
}

static bool same_nocase(struct og_slice a, const char *lower)
{
	if (a.len != strlen(lower))
		return false;
	for (size_t i = 0; i < a.len; i++)
		if ((a.p[i] >= 'A' && a.p[i] <= 'Z' ? a.p[i] + 32 : a.p[i]) != lower[i])
			return false;
	return true;
}

/* application/json or application/…+json, parameters or not. */
static bool is_json(struct og_slice type)
{
	const char *semicolon = type.len ? memchr(type.p, ';', type.len) : NULL;
	static const char main_type[] = "application/";
	const size_t n = sizeof(main_type) - 1;

	if (semicolon)
		type.len = (size_t)(semicolon - type.p);
	while (type.len && (type.p[type.len - 1] == ' ' || type.p[type.len - 1] == '\t'))
		type.len--;
	if (type.len <= n || !same_nocase(og_slice(type.p, n), main_type))
		return false;
	if (same_nocase(og_slice(type.p + n, type.len - n), "json"))
		return true;
	return type.len > n + 5 && same_nocase(og_slice(type.p + type.len - 5, 5), "+json");
}

static int check_content_type(struct og_api_call *c)
{
	struct og_slice type;

	if (!(c->route->flags & OG_ROUTE_JSON) || (og_http_header(c->req, "content-type", &type) && is_json(type)))
		return 0;
	og_api_reply_text(c, 415, "Expected request with `Content-Type: application/json`");
	return -1;
}

/* ---- the way in ---- */

static void on_gone(void *user, struct og_http_req *r)
{
	struct og_api_call *c = user;

	(void)r;
	atomic_store(&c->cancel, 1);
	if (c->ops && c->ops->cancelled)
		c->ops->cancelled(c->graph, c);
}

static void on_body(void *user, struct og_http_req *r, int rc, struct og_slice body)
{
	struct og_api_call *c = user;
	struct og_error err;

	(void)r;
	if (rc == 0) {
		c->route->handle(c, body);
		return;
	}
	if (rc == OG_ERR_TOO_LARGE) {
		og_api_reply_text(c, 413, "Failed to buffer the request body: length limit exceeded");
	} else if (rc == OG_ERR_BAD) {
		og_api_reply_text(c, 400, "Failed to buffer the request body: error reading a body from connection");
	} else {
		if (rc == OG_ERR_UNAVAILABLE)
			og_error_set(&err, rc, "too many request bodies at the same time");
		else
			og_error_set(&err, rc, "out of memory");
		og_api_fail(c, &err); /* without its peer the request just ends */
	}
}

void og_api_on_request(void *arg, struct og_http_req *r)
{
	struct og_api_call *c = og_api_call_new(arg, r);

	if (!c) {
		og_http_break(r);
		return;
	}
	r->user = c;
	r->on_gone = on_gone;
	if (!find_route(c)) {
		og_http_begin(r, 404, NULL);
		og_http_send_empty(r);
		og_api_call_free(c);
		return;
	}
	if (check_token(c) < 0 || check_graph(c) < 0 || check_method(c) < 0 || check_params(c) < 0 || check_content_type(c) < 0)
		return;
	if (c->route->flags & OG_ROUTE_JSON)
		og_http_body(r, c->route->body_limit, on_body);
	else
		c->route->handle(c, og_slice("", 0));
}
