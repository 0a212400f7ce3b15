/*
 * The HTTP surface: one table of routes, one order of checks, and the answers around them.
 *
 * Order of checks: path (404) -> bearer token (401) -> graph (400, 404) -> method (405) -> path and query-string parameters (400)
 * -> content type (415) -> size (413) -> syntax (400) -> shape (422) -> the handler's own.
 * In single mode a graph route is served at its path P, in multi mode at /graphs/{graph_id}P and P is unknown.
 *
 * A route joins as a line in route.c and a handler in one of the *_routes.c files.
 * Trust: requests are hostile. Threads: the event loop's.
 */
#ifndef OG_API_ROUTE_H
#define OG_API_ROUTE_H

#include "api/service.h"

/* A graph that is served. */
struct og_api_graph {
	const struct og_api_ops *ops;
	void *graph;
};

struct og_api {
	/* Set by the program; strings and tables live as long as this. */
	bool multi;
	const char *version;
	const char *source_version;	/* NULL or "": the build has none */
	uint32_t internal_schema_version; /* storage format of this binary */
	/* The graph of that id (single mode: p NULL), or NULL: 404 in multi mode. */
	const struct og_api_graph *(*find_graph)(void *arg, struct og_slice graph_id);
	/* NULL: no authentication. Whether the token is known; *actor: whose, valid until the call is over. */
	bool (*check_token)(void *arg, struct og_slice token, struct og_slice *actor);
	void *arg;
	bool draining;			/* /readyz says so */

	/* Private. */
	struct og_api_call *spare;
	unsigned nspare;
};

/* Of og_http_server_new; arg is the struct og_api. */
void og_api_on_request(void *api, struct og_http_req *r);
/* Frees spare calls. No call may be unanswered. */
void og_api_fini(struct og_api *api);

/* The text that og_api_on_request answers a bad graph id with, or NULL. Also for the checks at start. */
const char *og_graph_id_problem(struct og_arena *a, struct og_slice id);

#endif
