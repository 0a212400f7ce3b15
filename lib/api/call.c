/* Calls: their life, and the answers every route shares. */
#include "config.h"

#include "api/call.h"

#include <stdlib.h>

#include "api/error.h"

#define SPARE_MAX 64u
#define SPARE_BYTES (64u * OG_KIB) /* a large arena is not kept */
#define JSON "application/json"

struct og_api_call *og_api_call_new(struct og_api *api, struct og_http_req *r)
{
	struct og_api_call *c = api->spare;
	struct og_arena arena;

	if (c) {
		api->spare = c->next;
		api->nspare--;
		arena = c->arena;
	} else {
		c = malloc(sizeof(*c));
		if (!c)
			return NULL;
		og_arena_init(&arena, 0);
	}
	memset(c, 0, sizeof(*c));
	c->arena = arena;
	atomic_init(&c->cancel, 0);
	c->api = api;
	c->req = r;
	return c;
}

void og_api_call_free(struct og_api_call *c)
{
	struct og_api *api = c->api;

	if (api->nspare < SPARE_MAX && c->arena.total <= SPARE_BYTES) {
		og_arena_reset(&c->arena);
		c->next = api->spare;
		api->spare = c;
		api->nspare++;
		return;
	}
	og_arena_fini(&c->arena);
	free(c);
}

void og_api_fini(struct og_api *api)
{
	struct og_api_call *c;

	while ((c = api->spare)) {
		api->spare = c->next;
		og_arena_fini(&c->arena);
		free(c);
	}
	api->nspare = 0;
}

/* ---- answers ---- */

void og_api_reply_status(struct og_api_call *c, unsigned status, const char *content_type, struct og_slice body)
{
	og_http_begin(c->req, status, content_type);
	og_http_send_slice(c->req, body);
	og_api_call_free(c);
}

void og_api_reply_text(struct og_api_call *c, unsigned status, const char *text)
{
	og_api_reply_status(c, status, "text/plain; charset=utf-8", og_slice_str(text));
}

static void begin_ok(struct og_api_call *c)
{
	og_http_begin(c->req, 200, JSON);
	if (c->route->successor) {
		og_http_add(c->req, "Deprecation", OG_SLICE("true"));
		og_http_add(c->req, "Link", og_slice_str(c->route->successor));
	}
}

void og_api_reply_json(struct og_api_call *c, struct og_buf *b)
{
	struct og_http_parts parts = { 0 };

	if (b->failed) {
		og_buf_fini(b);
		og_api_reply_envelope(c, 500, "internal", "out of memory");
		return;
	}
	begin_ok(c);
	parts.main = og_buf_view(b);
	parts.release = free;
	parts.arg = og_buf_take(b);
	parts.main.p = parts.arg;
	og_http_send(c->req, &parts);
	og_api_call_free(c);
}

static void send_envelope(struct og_api_call *c, unsigned status, const char *code, const struct og_error *err)
{
	struct og_buf b = { 0 };

	og_api_envelope(&b, err, code);
	og_http_begin(c->req, status, JSON);
	if (status == 503)
		og_http_add(c->req, "Retry-After", OG_SLICE("1"));
	og_http_send_slice(c->req, b.failed ? OG_SLICE("{\"error\":\"out of memory\"}") : og_buf_view(&b));
	og_buf_fini(&b);
	og_api_call_free(c);
}

void og_api_reply_envelope(struct og_api_call *c, unsigned status, const char *code, const char *text)
{
	struct og_error err;

	og_error_set(&err, OG_ERR_INTERNAL, "%s", text);
	send_envelope(c, status, code, &err);
}

void og_api_fail(struct og_api_call *c, const struct og_error *err)
{
	const char *code;
	unsigned status;

	if (c->begun || og_http_gone(c->req)) {
		og_http_break(c->req);
		og_api_call_free(c);
		return;
	}
	status = og_api_status(err->code, &code);
	send_envelope(c, status, code, err);
}

void og_api_reply_rows(struct og_api_call *c, const struct og_api_rows *r)
{
	struct og_buf head = { 0 }, tail = { 0 };
	struct og_http_parts parts = { .main = r->rows_json, .release = r->release, .arg = r->arg };
	struct og_json_writer w;

	og_json_writer_init(&w, &head, false);
	og_json_begin_object(&w);
	og_json_member_string(&w, "query_name", r->query_name);
	og_json_member_object(&w, "target");
	og_json_put_key_str(&w, "branch");
	if (r->branch.p)
		og_json_put_string(&w, r->branch);
	else
		og_json_put_null(&w);
	og_json_put_key_str(&w, "snapshot");
	if (r->snapshot.p)
		og_json_put_string(&w, r->snapshot);
	else
		og_json_put_null(&w);
	og_json_end_object(&w);
	og_json_member_u64(&w, "row_count", r->row_count);
	if (r->columns_json.len && !og_slice_is(r->columns_json, "[]")) {
		og_json_put_key_str(&w, "columns");
		og_json_put_raw(&w, r->columns_json);
	}
	og_json_put_key_str(&w, "rows");
	/* The rows themselves are not copied: they go between head and tail. */
	if (!c->route->successor) { /* the old spelling stays as it always was */
		og_buf_str(&tail, ",\"graph_commit_id\":");
		og_json_quote(&tail, r->graph_commit_id);
	}
	og_buf_byte(&tail, '}');
	if (head.failed || tail.failed) {
		if (r->release)
			r->release(r->arg);
		og_api_reply_envelope(c, 500, "internal", "out of memory");
	} else {
		parts.head = og_buf_view(&head);
		parts.tail = og_buf_view(&tail);
		begin_ok(c);
		og_http_send(c->req, &parts);
		og_api_call_free(c);
	}
	og_buf_fini(&head);
	og_buf_fini(&tail);
}

/* ---- streams ---- */

static void on_drained(void *user, struct og_http_req *r)
{
	struct og_api_call *c = user;

	(void)r;
	if (c->ops->export_more)
		c->ops->export_more(c->graph, c);
}

void og_api_stream_begin(struct og_api_call *c)
{
	c->begun = true;
	og_http_begin(c->req, 200, "application/x-ndjson; charset=utf-8");
	og_http_stream(c->req, OG_HTTP_CHUNKED, on_drained);
}

enum og_http_room og_api_stream_write(struct og_api_call *c, struct og_slice lines)
{
	enum og_http_room room = og_http_write(c->req, lines);

	if (room == OG_HTTP_GONE)
		atomic_store(&c->cancel, 1);
	return room;
}

void og_api_stream_end(struct og_api_call *c)
{
	og_http_finish(c->req);
	og_api_call_free(c);
}
