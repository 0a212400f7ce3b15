/* Routes about the server itself. */
#include "config.h"

#include "api/call.h"

void og_api_health(struct og_api_call *c, struct og_slice body)
{
	const struct og_api *api = c->api;
	struct og_json_writer w;
	struct og_buf b = { 0 };

	(void)body;
	og_json_writer_init(&w, &b, false);
	og_json_begin_object(&w);
	og_json_member_str(&w, "status", "ok");
	og_json_member_str(&w, "version", api->version);
	if (api->source_version && api->source_version[0])
		og_json_member_str(&w, "source_version", api->source_version);
	og_json_member_u64(&w, "internal_schema_version", api->internal_schema_version);
	og_json_end_object(&w);
	og_api_reply_json(c, &b);
}

void og_api_ready(struct og_api_call *c, struct og_slice body)
{
	(void)body;
	if (c->api->draining)
		og_api_reply_status(c, 503, "application/json", OG_SLICE("{\"status\":\"draining\"}"));
	else
		og_api_reply_status(c, 200, "application/json", OG_SLICE("{\"status\":\"ready\"}"));
}

void og_api_graphs(struct og_api_call *c, struct og_slice body)
{
	(void)body;
	if (!c->api->multi)
		og_api_reply_envelope(c, 405, "method_not_allowed", "GET /graphs is only available in multi-graph mode");
	else /* no policy of the server grants it */
		og_api_reply_envelope(c, 403, "forbidden",
				      "server-scoped actions require an explicit policy: set server.policy.file to permit 'graph_list'");
}
