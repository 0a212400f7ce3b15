/* Which graph, which file. */
#include "config.h"

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "config/config.h"

int og_config_named(struct og_config *c, const char *name, struct og_selection *sel, struct og_error *err)
{
	sel->graph = og_config_graph(c, name);
	if (!sel->graph)
		return og_error_set(err, OG_ERR_NOT_FOUND, "graph '%s' not found in omnigraph.yaml", name);
	sel->uri = og_config_graph_uri(c, sel->graph);
	return sel->uri ? 0 : og_arena_error(&c->arena, err);
}

int og_config_select(struct og_config *c, const char *uri, const char *target, const char *alias_graph, const char *otherwise,
		     struct og_selection *sel, struct og_error *err)
{
	const char *name = target ? target : alias_graph ? alias_graph : otherwise;

	*sel = (struct og_selection){ 0 };
	if (uri) {
		sel->uri = uri;
		return 0;
	}
	if (!name)
		return og_error_set(err, OG_ERR_BAD, "URI must be provided via <URI>, --target, or config");
	return og_config_named(c, name, sel, err);
}

int og_config_coherent(const struct og_config *c, const struct og_selection *sel, struct og_error *err)
{
	bool policy = c->policy.file != NULL, queries = c->queries.n > 0;

	if (!sel->graph || (!policy && !queries))
		return 0;
	return og_error_set(err, OG_ERR_BAD,
			    "named graph '%s' uses its own `graphs.%s.…` block, but top-level %s %s set and would be ignored. "
			    "Move %s under `graphs.%s`",
			    sel->graph->name, sel->graph->name, policy && queries ? "policy.file and queries" : policy ? "policy.file" : "queries",
			    policy && !queries ? "is" : "are", policy && !queries ? "it" : "them", sel->graph->name);
}

const char *og_config_path(struct og_config *c, const char *path)
{
	if (path[0] == '/')
		return og_arena_strndup(&c->arena, path, strlen(path));
	return og_arena_printf(&c->arena, "%s/%s", c->dir, path);
}

const char *og_config_graph_uri(struct og_config *c, const struct og_config_graph *g)
{
	if (strstr(g->uri, "://"))
		return g->uri;
	return og_config_path(c, g->uri);
}

int og_config_query_file(struct og_config *c, const char *path, const char **out, struct og_error *err)
{
	const char *p = og_config_path(c, path);

	if (!p)
		return og_arena_error(&c->arena, err);
	*out = p;
	if (path[0] == '/' || access(p, F_OK) == 0)
		return 0;
	for (size_t i = 0; i < c->query.roots.n; i++) {
		const char *root = og_config_path(c, c->query.roots.v[i]);

		p = root ? og_arena_printf(&c->arena, "%s/%s", root, path) : NULL;
		if (!p)
			return og_arena_error(&c->arena, err);
		*out = p;
		if (access(p, F_OK) == 0)
			return 0;
	}
	*out = NULL;
	return og_error_set(err, OG_ERR_NOT_FOUND, "query file '%s' not found", path);
}

enum og_uri_kind og_uri_kind(const char *uri)
{
	static const struct {
		const char *scheme;
		enum og_uri_kind kind;
	} schemes[] = { { "file://", OG_URI_FILE }, { "s3://", OG_URI_S3 }, { "http://", OG_URI_HTTP }, { "https://", OG_URI_HTTP } };

	for (size_t i = 0; i < OG_COUNT(schemes); i++)
		if (strncasecmp(uri, schemes[i].scheme, strlen(schemes[i].scheme)) == 0)
			return schemes[i].kind;
	return strstr(uri, "://") ? OG_URI_OTHER : OG_URI_PATH;
}

int og_uri_normal(struct og_arena *a, const char *uri, const char **out, struct og_error *err)
{
	enum og_uri_kind kind = og_uri_kind(uri);
	const char *p = kind == OG_URI_FILE ? uri + strlen("file://") : uri;
	size_t n = strlen(p), keep = 0;
	char *copy;

	if (kind == OG_URI_FILE && p[0] != '/')
		return og_error_set(err, OG_ERR_BAD, "%s: a file:// URI needs an absolute path", uri);
	if (kind != OG_URI_FILE && kind != OG_URI_PATH)
		keep = (size_t)(strstr(p, "://") - p) + 3;
	else if (n && p[0] == '/')
		keep = 1;
	while (n > keep && p[n - 1] == '/')
		n--;
	copy = og_arena_strndup(a, p, n);
	if (!copy)
		return og_arena_error(a, err);
	/* Scheme names are case-insensitive and shown in lower case. */
	for (char *s = copy; keep > 1 && *s != ':'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
	*out = copy;
	return 0;
}
