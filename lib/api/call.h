/*
 * Calls and their answers, between routes. Private to lib/api.
 */
#ifndef OG_API_CALL_H
#define OG_API_CALL_H

#include "api/route.h"
#include "json/writer.h"

enum og_route_flag {
	OG_ROUTE_GLOBAL = 1,  /* the same path in both modes */
	OG_ROUTE_OPEN = 2,    /* no token needed */
	OG_ROUTE_JSON = 4,    /* needs a JSON body of at most `body_limit` bytes */
};

/*
 * A handler sees the call once all checks of the table have passed; `body` is empty without OG_ROUTE_JSON. It answers the call,
 * now or by handing it to the service.
 */
struct og_route {
	enum og_http_method method;
	const char *pattern;	/* "/branches/{branch}": a {…} segment is any that is not empty */
	unsigned flags;
	uint32_t body_limit;
	void (*handle)(struct og_api_call *c, struct og_slice body);
	const char *successor;	/* value of Link on a 200 of a deprecated route */
	/* Before the body, path and query-string parameters: 0, or it has answered. May be NULL. */
	int (*check)(struct og_api_call *c);
};

/* ---- call.c ---- */
struct og_api_call *og_api_call_new(struct og_api *api, struct og_http_req *r);
/* The HTTP request has ended. */
void og_api_call_free(struct og_api_call *c);

/* All END the call. */
void og_api_reply_status(struct og_api_call *c, unsigned status, const char *content_type, struct og_slice body);
void og_api_reply_text(struct og_api_call *c, unsigned status, const char *text);
/* Takes b. 200 with the deprecation headers of the route, if it has any. */
void og_api_reply_json(struct og_api_call *c, struct og_buf *b);
/* The envelope with a status and code that no error code has. */
void og_api_reply_envelope(struct og_api_call *c, unsigned status, const char *code, const char *text);

/* ---- handlers ---- */
void og_api_health(struct og_api_call *c, struct og_slice body);
void og_api_ready(struct og_api_call *c, struct og_slice body);
void og_api_graphs(struct og_api_call *c, struct og_slice body);
void og_api_snapshot(struct og_api_call *c, struct og_slice body);
void og_api_query(struct og_api_call *c, struct og_slice body);
void og_api_read_legacy(struct og_api_call *c, struct og_slice body);
void og_api_mutate(struct og_api_call *c, struct og_slice body);
void og_api_load(struct og_api_call *c, struct og_slice body);
void og_api_schema(struct og_api_call *c, struct og_slice body);
void og_api_export(struct og_api_call *c, struct og_slice body);

int og_api_check_branch_query(struct og_api_call *c);
int og_api_check_unconditional(struct og_api_call *c);

#endif
