/* What is served: options, config file, tokens and policy together, or why nothing is. */
#include "config.h"

#include <string.h>

#include "base/log.h"
#include "og-master/master.h"

#define GRAPH_ID_MAX 64

/* --- multi-graph mode: its config is judged as far as it can be, then refused -------------------------- */

/* `len` counts bytes. The order of the checks is what users see. */
static int check_graph_id(const char *id, struct og_error *err)
{
	static const char *const reserved[] = { "policies", "healthz", "openapi", "graphs" };
	size_t len = strlen(id);

	if (!len)
		return og_error_set(err, OG_ERR_BAD, "graph_id must not be empty");
	if (len > GRAPH_ID_MAX)
		return og_error_set(err, OG_ERR_BAD, "graph_id '%s' is %zu chars; max %d", id, len, GRAPH_ID_MAX);
	if (strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return og_error_set(err, OG_ERR_BAD, "graph_id '%s' must match ^[a-zA-Z0-9-]{1,64}$", id);
	for (size_t i = 0; i < OG_COUNT(reserved); i++)
		if (strcmp(id, reserved[i]) == 0)
			return og_error_set(err, OG_ERR_BAD, "graph_id '%s' is reserved: it would hide a route of the server", id);
	return 0;
}

static const struct og_config_graph *graph_at(const struct og_config *c, size_t i)
{
	return (const struct og_config_graph *)c->graphs.v + i;
}

static int normal_uri(struct og_config *c, const struct og_config_graph *g, const char **out, struct og_error *err)
{
	const char *uri = og_config_graph_uri(c, g);

	if (!uri)
		return og_arena_error(&c->arena, err);
	return og_uri_normal(&c->arena, uri, out, err);
}

static int check_multi(struct og_config *c, struct og_error *err)
{
	bool policy = c->policy.file != NULL, queries = c->queries.n > 0;
	const char **uris = og_arena_array(&c->arena, c->graphs.n, sizeof(*uris));
	int rc;

	if (!uris)
		return og_arena_error(&c->arena, err);
	if (policy || queries)
		return og_error_set(err, OG_ERR_BAD,
				    "multi-graph mode: top-level %s %s not honored; move %s under `graphs.<graph_id>` (a policy of the "
				    "server itself under `server.policy.file`)",
				    policy && queries ? "policy.file and queries" : policy ? "policy.file" : "queries",
				    policy && !queries ? "is" : "are", policy && !queries ? "it" : "them");
	for (size_t i = 0; i < c->graphs.n; i++) {
		const char *name = graph_at(c, i)->name;

		if (check_graph_id(name, err) < 0)
			return og_error_prefix(err, "invalid graph id '%s' in omnigraph.yaml: ", name);
		if ((rc = normal_uri(c, graph_at(c, i), &uris[i], err)) < 0)
			return rc;
		for (size_t k = 0; k < i; k++)
			if (strcmp(uris[i], uris[k]) == 0)
				return og_error_set(err, OG_ERR_BAD,
						    "multi-graph registry: URI '%s' is already registered as another graph", uris[i]);
	}
	return 0;
}

/* --- which graph ------------------------------------------------------------------------------------- */

/* What governs the choice: the places where policy and stored queries of this server stand. */
struct choice {
	bool multi;
	const char *uri;			/* as given or as the file resolves it */
	const struct og_config_graph *graph;	/* NULL: anonymous */
	const char *policy;			/* a policy file that applies; NULL: none */
	const struct og_config_query *query;	/* a stored query that applies; NULL: none */
};

static const struct og_config_query *first_query(const struct og_section_map *queries)
{
	return queries->n ? queries->v : NULL;
}

static int choose_named(struct og_config *c, const char *name, struct choice *ch, struct og_error *err)
{
	struct og_selection sel = { 0 };
	int rc;

	if ((rc = og_config_named(c, name, &sel, err)) < 0 || (rc = og_config_coherent(c, &sel, err)) < 0)
		return rc;
	ch->uri = sel.uri;
	ch->graph = sel.graph;
	ch->policy = sel.graph->policy.file;
	ch->query = first_query(&sel.graph->queries);
	return 0;
}

static int choose_multi(struct og_config *c, struct choice *ch, struct og_error *err)
{
	ch->multi = true;
	for (size_t i = 0; i < c->graphs.n; i++) {
		const struct og_config_graph *g = graph_at(c, i);

		if (!ch->policy)
			ch->policy = g->policy.file;
		if (!ch->query)
			ch->query = first_query(&g->queries);
	}
	return check_multi(c, err);
}

static int choose(const struct options *o, struct og_config *c, struct choice *ch, struct og_error *err)
{
	const char *name = o->target ? o->target : c->server.graph;
	int rc;

	if (o->uri) {
		ch->uri = o->uri;
		ch->policy = c->policy.file;
		ch->query = first_query(&c->queries);
	} else if (name) {
		if ((rc = choose_named(c, name, ch, err)) < 0)
			return rc;
	} else if (o->config && c->graphs.n) {
		if ((rc = choose_multi(c, ch, err)) < 0)
			return rc;
	} else {
		return og_error_set(err, OG_ERR_BAD,
				    "no graph to serve: pass a URI (a local path, file://... or s3://bucket/prefix), or --target "
				    "or server.graph with a config file that names graphs, or --config with a graphs: map");
	}
	if (!ch->policy)
		ch->policy = c->server.policy.file;
	return 0;
}

/* --- may it be served -------------------------------------------------------------------------------- */

/* The variable that configures bearer tokens, or NULL. */
static const char *token_source(void)
{
	static const char *const sources[] = {
		"OMNIGRAPH_SERVER_BEARER_TOKENS_AWS_SECRET",
		"OMNIGRAPH_SERVER_BEARER_TOKEN",
		"OMNIGRAPH_SERVER_BEARER_TOKENS_FILE",
		"OMNIGRAPH_SERVER_BEARER_TOKENS_JSON",
	};

	for (size_t i = 0; i < OG_COUNT(sources); i++)
		if (options_env(sources[i]))
			return sources[i];
	return NULL;
}

/* Tokens x policy x --unauthenticated. Where one is meant to protect that this version cannot check, it does not start. */
static int check_access(const struct options *o, const struct choice *ch, struct og_error *err)
{
	const char *tokens = token_source();

	if (!tokens && ch->policy)
		return og_error_set(err, OG_ERR_DENIED,
				    "policy file is configured but no bearer tokens — every request would 401; set "
				    "OMNIGRAPH_SERVER_BEARER_TOKEN, OMNIGRAPH_SERVER_BEARER_TOKENS_FILE or "
				    "OMNIGRAPH_SERVER_BEARER_TOKENS_JSON, or remove the policy ('%s')",
				    ch->policy);
	if (!tokens && !o->unauthenticated)
		return og_error_set(err, OG_ERR_DENIED,
				    "server has no bearer tokens and no policy file configured; anyone who reaches the "
				    "port could read and write: pass --unauthenticated (or set "
				    "OMNIGRAPH_UNAUTHENTICATED=1) to serve so");
	if (ch->policy)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "policy files ('%s') are not available in this version; the server does not start without what "
				    "is meant to protect it",
				    ch->policy);
	if (tokens)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "%s is set, but bearer tokens are not available in this version; unset it and pass "
				    "--unauthenticated to serve without",
				    tokens);
	return 0;
}

/* What the config asks for and this version does not have. */
static int check_available(const struct choice *ch, struct og_error *err)
{
	if (ch->query)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "stored queries ('%s', file '%s') are not available in this version; remove them from the "
				    "config file",
				    ch->query->name, ch->query->file);
	if (ch->multi)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "serving several graphs is not available in this version; choose one with --target or "
				    "server.graph, or pass its URI");
	return 0;
}

static int load_config(struct master *m, struct og_error *err)
{
	const struct options *o = &m->opt;
	int rc;

	if (o->cluster && (o->uri || o->target || o->config))
		return og_error_set(err, OG_ERR_BAD,
				    "--cluster is an exclusive boot source; it cannot combine with a graph URI, "
				    "--target, or --config");
	if (o->cluster)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "serving a cluster is not available in this version; pass a graph URI");
	rc = og_config_load(&m->config, o->config, err);
	m->has_config = rc == 0;
	return rc;
}

int mode_choose(struct master *m, struct og_error *err)
{
	struct choice ch = { 0 };
	enum og_uri_kind kind;
	int rc;

	if ((rc = load_config(m, err)) < 0 || (rc = choose(&m->opt, &m->config, &ch, err)) < 0 ||
	    (rc = check_access(&m->opt, &ch, err)) < 0 || (rc = check_available(&ch, err)) < 0)
		return rc;
	kind = og_uri_kind(ch.uri);
	if (kind == OG_URI_HTTP || kind == OG_URI_OTHER)
		return og_error_set(err, OG_ERR_BAD,
				    "%s: a server's graph is a local path, file://... or s3://bucket/prefix", ch.uri);
	if ((rc = og_uri_normal(&m->config.arena, ch.uri, &m->graph_uri, err)) < 0)
		return rc;
	m->graph_name = ch.graph ? ch.graph->name : NULL;
	og_log(OG_LOG_WARN, "access.open", "text=\"no bearer tokens and no policy: every request is allowed\"");
	return 0;
}
