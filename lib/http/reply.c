/* Requests as the handler sees them: header lookup, the body's start, answers. */
#include "config.h"

#include "http/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct conn *of(struct og_http_req *r)
{
	return (struct conn *)r;
}

/* ---- request ---- */

bool og_http_header(const struct og_http_req *r, const char *name, struct og_slice *value)
{
	size_t pos = 0;

	return og_http_field_next(r->fields, name, &pos, value);
}

size_t og_http_header_count(const struct og_http_req *r, const char *name)
{
	struct og_slice v;
	size_t pos = 0, n = 0;

	while (og_http_field_next(r->fields, name, &pos, &v))
		n++;
	return n;
}

bool og_http_gone(const struct og_http_req *r)
{
	return ((const struct conn *)r)->fd < 0;
}

void og_http_set_close(struct og_http_req *r)
{
	of(r)->close = true;
}

void og_http_body(struct og_http_req *r, uint64_t limit, og_http_on_body on_body)
{
	struct conn *c = of(r);

	assert(c->held && !c->begun && !c->body_asked);
	c->body_asked = true;
	c->body_limit = OG_MIN(limit, (uint64_t)SIZE_MAX / 8);
	c->on_body = on_body;
	if (c->fd < 0) {
		on_body(r->user, r, OG_ERR_CANCELLED, og_slice(NULL, 0));
		return;
	}
	c->state = CONN_BODY;
	if (c->head.expect_continue && r->has_body && r->length <= c->body_limit && c->in_len == c->head_len) {
		og_buf_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
		/* A failure shows when the body is read. */
		(void)og_http_conn_flush(c);
	}
	og_http_conn_run(c);
}

/* ---- the head of an answer ---- */

#define STATUS_LINE(code, reason) { code, OG_SLICE("HTTP/1.1 " #code " " reason "\r\n") }
static const struct {
	unsigned status;
	struct og_slice line;
} status_lines[] = {
	STATUS_LINE(200, "OK"),
	STATUS_LINE(204, "No Content"),
	STATUS_LINE(206, "Partial Content"),
	STATUS_LINE(302, "Found"),
	STATUS_LINE(304, "Not Modified"),
	STATUS_LINE(400, "Bad Request"),
	STATUS_LINE(401, "Unauthorized"),
	STATUS_LINE(403, "Forbidden"),
	STATUS_LINE(404, "Not Found"),
	STATUS_LINE(405, "Method Not Allowed"),
	STATUS_LINE(408, "Request Timeout"),
	STATUS_LINE(409, "Conflict"),
	STATUS_LINE(410, "Gone"),
	STATUS_LINE(412, "Precondition Failed"),
	STATUS_LINE(413, "Payload Too Large"),
	STATUS_LINE(414, "URI Too Long"),
	STATUS_LINE(415, "Unsupported Media Type"),
	STATUS_LINE(416, "Range Not Satisfiable"),
	STATUS_LINE(422, "Unprocessable Entity"),
	STATUS_LINE(424, "Failed Dependency"),
	STATUS_LINE(429, "Too Many Requests"),
	STATUS_LINE(431, "Request Header Fields Too Large"),
	STATUS_LINE(500, "Internal Server Error"),
	STATUS_LINE(501, "Not Implemented"),
	STATUS_LINE(503, "Service Unavailable"),
	STATUS_LINE(504, "Gateway Timeout"),
};

static void put_status(struct og_buf *b, unsigned status)
{
	for (size_t i = 0; i < OG_COUNT(status_lines); i++)
		if (status_lines[i].status == status) {
			og_buf_slice(b, status_lines[i].line);
			return;
		}
	og_buf_printf(b, "HTTP/1.1 %03u \r\n", status % 1000); /* the reason may be empty */
}

static void put_field(struct og_buf *b, const char *name, struct og_slice value)
{
	og_buf_str(b, name);
	og_buf_append(b, ": ", 2);
	og_buf_slice(b, value);
	og_buf_append(b, "\r\n", 2);
}

static void begin(struct conn *c, unsigned status, const char *content_type)
{
	c->begun = true;
	og_http_date(c->s);
	(void)og_buf_reserve(&c->out, 512); /* most answers fit; a failure is sticky */
	put_status(&c->out, status);
	og_buf_append(&c->out, c->s->date, c->s->date_len);
	if (content_type)
		put_field(&c->out, "Content-Type", og_slice_str(content_type));
}

void og_http_begin(struct og_http_req *r, unsigned status, const char *content_type)
{
	struct conn *c = of(r);

	assert(c->held && !c->begun);
	if (c->fd < 0)
		return;
	if (c->state == CONN_BODY) { /* answered while the body was still coming: it stays unread */
		c->state = CONN_HANDLER;
		og_http_timer(c, T_NONE);
		c->close = c->linger = true;
	}
	begin(c, status, content_type);
}

void og_http_add(struct og_http_req *r, const char *name, struct og_slice value)
{
	struct conn *c = of(r);

	if (c->fd < 0)
		return;
	for (size_t i = 0; i < value.len; i++)
		if (((uint8_t)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
			return;
	put_field(&c->out, name, value);
}

/* What remains of an unread body decides whether the connection can go on. */
static void settle_connection(struct conn *c)
{
	const struct og_http_req *r = &c->req;

	if (r->has_body && !c->body_done) {
		size_t have = c->in_len - c->head_len;
		uint64_t left = r->length > have ? r->length - have : 0;

		/* A client that still waits for 100 Continue may send the body or not: nobody can tell. */
		if (c->body_asked || r->chunked || left > SKIP_MAX || (left && c->head.expect_continue))
			c->close = c->linger = true;
	}
	if (c->s->draining)
		c->close = true;
	if (c->close)
		og_buf_str(&c->out, "Connection: close\r\n");
	else if (r->minor == 0)
		og_buf_str(&c->out, "Connection: keep-alive\r\n");
}

static void put_length(struct conn *c, uint64_t n)
{
	og_buf_str(&c->out, "Content-Length: ");
	og_buf_u64(&c->out, n);
	og_buf_append(&c->out, "\r\n", 2);
}

static void end_head(struct conn *c)
{
	og_buf_append(&c->out, "\r\n", 2);
}

void og_http_refuse(struct conn *c, unsigned status)
{
	c->close = c->linger = true;
	begin(c, status, NULL);
	og_buf_str(&c->out, "Connection: close\r\nContent-Length: 0\r\n");
	end_head(c);
}

void og_http_reply_clear(struct conn *c)
{
	if (c->release)
		c->release(c->release_arg);
	c->release = NULL;
	og_buf_fini(&c->out);
	og_buf_fini(&c->tail);
	c->main = og_slice(NULL, 0);
	c->out_pos = c->main_pos = c->tail_pos = 0;
	c->on_drained = NULL;
	c->begun = c->streaming = c->framed = c->mute = c->want_drained = c->linger = false;
}

/* ---- whole answers ---- */

/* The request is over; without memory for its answer there is none. */
static void end(struct conn *c)
{
	if (c->fd >= 0 && (c->out.failed || c->tail.failed))
		og_http_conn_drop(c, false);
	og_http_conn_ended(c);
}

void og_http_send(struct og_http_req *r, const struct og_http_parts *p)
{
	struct conn *c = of(r);
	size_t total = 0;
	bool borrow = false;

	assert(c->held && (c->begun || c->fd < 0) && !c->streaming);
	if (c->fd >= 0) {
		if (__builtin_add_overflow(p->head.len, p->main.len, &total) || __builtin_add_overflow(total, p->tail.len, &total)) {
			og_http_break(r);
			return;
		}
		settle_connection(c);
		put_length(c, total);
		end_head(c);
		if (!c->mute) {
			borrow = total > COPY_MAX;
			og_buf_slice(&c->out, p->head);
			if (borrow)
				c->main = p->main;
			else
				og_buf_slice(&c->out, p->main);
			og_buf_slice(borrow ? &c->tail : &c->out, p->tail);
		}
	}
	c->release = p->release;
	c->release_arg = p->arg;
	if (!borrow && c->release) {
		c->release(c->release_arg);
		c->release = NULL;
	}
	end(c);
}

void og_http_send_slice(struct og_http_req *r, struct og_slice body)
{
	struct conn *c = of(r);

	assert(c->held && (c->begun || c->fd < 0) && !c->streaming);
	if (c->fd >= 0) {
		settle_connection(c);
		put_length(c, body.len);
		end_head(c);
		if (!c->mute)
			og_buf_slice(&c->out, body);
	}
	end(c);
}

/* Statuses whose answers have no body, and so no length of one (RFC 9110 section 8.6). */
static bool bodyless(const struct conn *c)
{
	return c->out.len >= 12 && (memcmp(c->out.data + 9, "204", 3) == 0 || memcmp(c->out.data + 9, "304", 3) == 0);
}

void og_http_send_empty(struct og_http_req *r)
{
	struct conn *c = of(r);

	assert(c->held && (c->begun || c->fd < 0) && !c->streaming);
	if (c->fd >= 0) {
		settle_connection(c);
		if (!c->mute && !bodyless(c))
			put_length(c, 0);
		end_head(c);
	}
	end(c);
}

void og_http_send_length(struct og_http_req *r, uint64_t length)
{
	struct conn *c = of(r);

	assert(c->held && (c->begun || c->fd < 0) && !c->streaming);
	if (c->fd >= 0) {
		settle_connection(c);
		put_length(c, length);
		end_head(c);
	}
	end(c);
}

/* ---- answers in pieces ---- */

void og_http_stream(struct og_http_req *r, uint64_t length, og_http_notify on_drained)
{
	struct conn *c = of(r);

	assert(c->held && (c->begun || c->fd < 0) && !c->streaming);
	c->streaming = true;
	c->on_drained = on_drained;
	c->stream_left = length;
	if (c->fd < 0)
		return;
	c->framed = length == OG_HTTP_CHUNKED && r->minor == 1;
	if (length == OG_HTTP_CHUNKED && !c->framed)
		c->close = true; /* the close is its end */
	settle_connection(c);
	if (c->framed)
		og_buf_str(&c->out, "Transfer-Encoding: chunked\r\n");
	else if (length != OG_HTTP_CHUNKED)
		put_length(c, length);
	end_head(c);
}

enum og_http_room og_http_write(struct og_http_req *r, struct og_slice piece)
{
	struct conn *c = of(r);

	assert(c->held && c->streaming);
	if (c->fd < 0)
		return OG_HTTP_GONE;
	if (c->stream_left != OG_HTTP_CHUNKED && !c->mute) {
		piece.len = (size_t)OG_MIN((uint64_t)piece.len, c->stream_left);
		c->stream_left -= piece.len;
	}
	if (piece.len == 0 || c->mute)
		return OG_HTTP_ROOM;
	if (c->out_pos > c->out.len / 2) {
		og_buf_consume(&c->out, c->out_pos);
		c->out_pos = 0;
	}
	if (c->framed)
		og_buf_printf(&c->out, "%zx\r\n", piece.len);
	og_buf_slice(&c->out, piece);
	if (c->framed)
		og_buf_append(&c->out, "\r\n", 2);
	if (c->out.failed || (!c->wr_added && og_http_conn_flush(c) == FLUSH_DEAD)) {
		og_http_conn_drop(c, false);
		return OG_HTTP_GONE;
	}
	if (og_http_pending(c) < c->s->stream_buffer)
		return OG_HTTP_ROOM;
	c->want_drained = true;
	return OG_HTTP_FULL;
}

void og_http_finish(struct og_http_req *r)
{
	struct conn *c = of(r);

	assert(c->held && c->streaming);
	if (c->fd >= 0 && !c->mute && c->stream_left != OG_HTTP_CHUNKED && c->stream_left) {
		og_http_break(r);
		return;
	}
	if (c->fd >= 0 && c->framed && !c->mute)
		og_buf_str(&c->out, "0\r\n\r\n");
	end(c);
}

void og_http_break(struct og_http_req *r)
{
	struct conn *c = of(r);
	/* Where only the close ends the answer, it must not look like a proper one. */
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	assert(c->held);
	if (c->fd >= 0) {
		if (c->streaming && !c->framed && c->stream_left == OG_HTTP_CHUNKED)
			(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		og_http_conn_drop(c, false);
	}
	og_http_conn_ended(c);
}
