/* One connection: reading, the states of a request, writing. */
#include "config.h"

#include "http/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"

static void set_reading(struct conn *c, enum conn_reading want);

/* ---- the input buffer ---- */

/* What is larger than usual counts as memory of bodies. false: too much of it. */
static bool in_charge(struct conn *c, size_t cap)
{
	size_t was = c->in_cap > IN_SIZE ? c->in_cap - IN_SIZE : 0, now = cap > IN_SIZE ? cap - IN_SIZE : 0;

	c->in_cap = cap;
	if (!c->s)
		return true;
	c->s->stats.body_bytes += now;
	c->s->stats.body_bytes -= was;
	return now <= was || c->s->stats.body_bytes <= c->s->body_memory;
}

static bool in_grow(struct conn *c, size_t cap)
{
	char *p = realloc(c->in, cap);

	if (!p)
		return false;
	c->in = p;
	return in_charge(c, cap);
}

static void in_free(struct conn *c)
{
	if (c->in)
		og_http_spare_give(c->s, c->in, c->in_cap);
	(void)in_charge(c, 0);
	c->in = NULL;
	c->in_len = 0;
}

/* ---- birth and death ---- */

static void body_clear(struct conn *c)
{
	if (c->s)
		c->s->stats.body_bytes -= c->body_charged;
	c->body_charged = 0;
	og_buf_fini(&c->body);
	c->body_apart = c->body_asked = c->body_done = false;
	c->body_in_place = 0;
	c->chunks = (struct og_http_chunks){ 0 };
}

void og_http_conn_release(struct conn *c)
{
	if (c->fd >= 0 || c->held || c->running)
		return;
	og_http_reply_clear(c);
	body_clear(c);
	in_free(c);
	if (c->s)
		TAILQ_REMOVE(&c->s->all, c, all);
	free(c);
}

void og_http_conn_drop(struct conn *c, bool tell)
{
	enum conn_state was = c->state;

	if (c->fd < 0)
		return;
	if (c->rd_added)
		event_del(&c->rd);
	if (c->wr_added)
		event_del(&c->wr);
	c->rd_added = c->wr_added = false;
	og_http_timer(c, T_NONE);
	og_fd_close(&c->fd);
	c->state = CONN_DEAD;
	og_http_server_lost(c->s);
	if (!c->held || !tell)
		return;
	if (was == CONN_BODY) {
		c->body_done = true;
		c->on_body(c->req.user, &c->req, OG_ERR_CANCELLED, og_slice(NULL, 0));
	} else if (c->req.on_gone) {
		c->req.on_gone(c->req.user, &c->req);
	}
}

/* Drops it from an event's callback: the handler may end the request on the way. */
static void drop(struct conn *c)
{
	bool was = c->running;

	c->running = true;
	og_http_conn_drop(c, true);
	c->running = was;
	og_http_conn_release(c);
}

void og_http_conn_timeout(struct conn *c)
{
	if (c->state != CONN_LINGER)
		c->s->stats.timed_out++;
	drop(c);
}

/* ---- reading ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	og_http_conn_readable(arg);
}

/* The input buffer is full while the request runs: nothing is read, but a close is still seen. */
static void on_closed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	drop(arg);
}

static void set_reading(struct conn *c, enum conn_reading want)
{
	if (c->fd < 0 || (c->reading == want && c->rd_added == (want != RD_OFF)))
		return;
	if (c->rd_added)
		event_del(&c->rd);
	c->rd_added = false;
	c->reading = want;
	if (want == RD_OFF)
		return;
	if (want == RD_ON)
		event_assign(&c->rd, c->s->base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	else
		event_assign(&c->rd, c->s->base, c->fd, EV_CLOSED | EV_PERSIST, on_closed, c);
	c->rd_added = event_add(&c->rd, NULL) == 0;
}

struct recvd {
	size_t n;
	enum { RECV_DATA, RECV_NONE, RECV_EOF, RECV_DEAD } what;
};

static struct recvd conn_recv(struct conn *c, void *p, size_t n)
{
	ssize_t got = recv(c->fd, p, n, 0);

	if (got > 0)
		return (struct recvd){ (size_t)got, RECV_DATA };
	if (got == 0)
		return (struct recvd){ 0, RECV_EOF };
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return (struct recvd){ 0, RECV_NONE };
	return (struct recvd){ 0, RECV_DEAD };
}

/* Room behind in_len, at least one byte. The buffer may only move while no request is held. false: no memory. */
static bool in_room(struct conn *c)
{
	if (!c->in) {
		c->in = og_http_spare_take(c->s);
		c->in_cap = c->in ? IN_SIZE : 0;
		c->in_len = 0;
		return c->in != NULL;
	}
	/* The parser has refused what would be larger than a line and its headers may be. */
	return c->in_len < c->in_cap || in_grow(c, c->in_cap * 2);
}

static void in_drop_front(struct conn *c, size_t n)
{
	c->in_len -= n;
	if (c->in_len)
		memmove(c->in, c->in + n, c->in_len);
}

/* CONN_HEAD */
static void read_head(struct conn *c)
{
	struct recvd r = { 0, RECV_NONE };

	if (!in_room(c)) {
		drop(c);
		return;
	}
	r = conn_recv(c, c->in + c->in_len, c->in_cap - c->in_len);
	if (r.what == RECV_DEAD) {
		drop(c);
		return;
	}
	if (r.what == RECV_EOF) {
		c->eof = true;
		set_reading(c, RD_OFF);
	}
	c->in_len += r.n;
	if (r.what != RECV_NONE || c->yielded)
		og_http_conn_run(c);
	else if (c->in_len == 0 && c->fd >= 0) {
		/* woken for nothing */
		in_free(c);
	}
}

/* CONN_HANDLER, CONN_SEND: what comes is the next request, or the end. */
static void read_ahead(struct conn *c)
{
	struct recvd r;

	if (c->in_len == c->in_cap) {
		set_reading(c, RD_CLOSE);
		return;
	}
	r = conn_recv(c, c->in + c->in_len, c->in_cap - c->in_len);
	c->in_len += r.n;
	if (r.what == RECV_DEAD || (r.what == RECV_EOF && c->state == CONN_HANDLER)) {
		drop(c);
	} else if (r.what == RECV_EOF) {
		/* The answer is on its way, and half a connection is enough for it. */
		c->eof = true;
		set_reading(c, RD_OFF);
	}
}

static bool body_charge(struct conn *c)
{
	size_t more = c->body.cap - c->body_charged;

	c->body_charged += more;
	c->s->stats.body_bytes += more;
	return c->s->stats.body_bytes <= c->s->body_memory;
}

static void body_failed(struct conn *c, int rc)
{
	c->state = CONN_HANDLER;
	c->close = c->linger = true;
	og_http_timer(c, T_NONE);
	c->on_body(c->req.user, &c->req, rc, og_slice(NULL, 0));
}

/* CONN_BODY */
static void read_body(struct conn *c)
{
	struct recvd r;

	if (c->body_apart && !c->req.chunked) {
		size_t want = (size_t)OG_MIN(c->req.length - c->body.len, (uint64_t)SCRATCH_SIZE);
		char *to = og_buf_reserve(&c->body, want);
		bool fits = to && body_charge(c);

		if (!fits) {
			c->running = true;
			body_failed(c, to ? OG_ERR_UNAVAILABLE : OG_ERR_NOMEM);
			c->running = false;
			og_http_conn_run(c);
			return;
		}
		r = conn_recv(c, to, want);
		c->body.len += r.n;
	} else {
		r = conn_recv(c, c->in + c->in_len, c->in_cap - c->in_len);
		c->in_len += r.n;
	}
	if (r.what == RECV_DEAD) {
		drop(c);
		return;
	}
	if (r.what == RECV_EOF) {
		c->eof = true;
		set_reading(c, RD_OFF);
	}
	if (r.what == RECV_DATA)
		og_http_timer(c, T_BODY);
	if (r.what != RECV_NONE)
		og_http_conn_run(c);
}

/* CONN_SKIP, CONN_LINGER */
static void read_away(struct conn *c)
{
	size_t want = SCRATCH_SIZE;
	struct recvd r;

	if (c->state == CONN_SKIP)
		want = (size_t)OG_MIN((uint64_t)want, c->skip_left);
	r = conn_recv(c, c->s->scratch, want);
	if (r.what == RECV_NONE)
		return;
	if (r.what != RECV_DATA) {
		drop(c);
		return;
	}
	if (c->state == CONN_LINGER) {
		if (og_http_now_ms() >= c->linger_end_ms)
			drop(c);
		else
			og_http_timer(c, T_LINGER);
		return;
	}
	c->skip_left -= r.n;
	og_http_timer(c, T_BODY);
	og_http_conn_run(c);
}

void og_http_conn_readable(struct conn *c)
{
	switch (c->state) {
	case CONN_HEAD:
		read_head(c);
		return;
	case CONN_HANDLER:
	case CONN_SEND:
		read_ahead(c);
		return;
	case CONN_BODY:
		read_body(c);
		return;
	case CONN_SKIP:
	case CONN_LINGER:
		read_away(c);
		return;
	case CONN_DEAD:
		return;
	}
}

/* ---- writing ---- */

static void advance(size_t *pos, size_t len, size_t *n)
{
	size_t step = OG_MIN(len - *pos, *n);

	*pos += step;
	*n -= step;
}

static void set_writing(struct conn *c, bool on)
{
	if (on == c->wr_added)
		return;
	if (on)
		c->wr_added = event_add(&c->wr, NULL) == 0;
	else {
		event_del(&c->wr);
		c->wr_added = false;
	}
}

static enum og_http_flush wait_writable(struct conn *c)
{
	if (!c->wr_added)
		og_http_timer(c, T_WRITE);
	set_writing(c, true);
	return c->wr_added ? FLUSH_WAIT : FLUSH_DEAD;
}

enum og_http_flush og_http_conn_flush(struct conn *c)
{
	size_t written = 0;

	while (og_http_pending(c)) {
		struct iovec v[3] = {
			{ c->out.data + c->out_pos, c->out.len - c->out_pos },
			{ (char *)(uintptr_t)c->main.p + c->main_pos, c->main.len - c->main_pos },
			{ c->tail.data + c->tail_pos, c->tail.len - c->tail_pos },
		};
		struct msghdr m = { .msg_iov = v, .msg_iovlen = 3 };
		ssize_t sent;
		size_t n;

		if (v[1].iov_len == 0 && v[2].iov_len == 0)
			sent = send(c->fd, v[0].iov_base, v[0].iov_len, MSG_NOSIGNAL);
		else
			sent = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return wait_writable(c);
		if (sent < 0)
			return FLUSH_DEAD;
		n = (size_t)sent;
		advance(&c->out_pos, c->out.len, &n);
		advance(&c->main_pos, c->main.len, &n);
		advance(&c->tail_pos, c->tail.len, &n);
		if (c->wr_added)
			og_http_timer(c, T_WRITE);
		written += (size_t)sent;
		if (written >= WRITE_TURN && og_http_pending(c)) /* a reader as fast as we are: others first */
			return wait_writable(c);
	}
	set_writing(c, false);
	if (c->timer == T_WRITE)
		og_http_timer(c, T_NONE);
	og_buf_clear(&c->out);
	c->out_pos = 0;
	return FLUSH_DONE;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CONN_SEND) {
		og_http_conn_run(c);
		return;
	}
	/* CONN_HANDLER while streaming, or "100 Continue" in CONN_BODY */
	if (og_http_conn_flush(c) == FLUSH_DEAD) {
		drop(c);
		return;
	}
	if (c->state == CONN_BODY && c->timer == T_NONE)
		og_http_timer(c, T_BODY);
	if (!c->want_drained || og_http_pending(c) > c->s->stream_buffer / 2)
		return;
	/* What has gone out makes room. */
	og_buf_consume(&c->out, c->out_pos);
	c->out_pos = 0;
	c->want_drained = false;
	c->running = true;
	if (c->on_drained)
		c->on_drained(c->req.user, &c->req);
	c->running = false;
	og_http_conn_run(c);
}

/* ---- the states ---- */

/* Each returns true to go on in the new state, false to wait for an event. */

static bool wait_for_head(struct conn *c)
{
	c->yielded = false;
	if (c->eof) {
		og_http_conn_drop(c, false);
		return false;
	}
	/* Empty lines in front are done with. */
	if (c->head.line_at && !c->head.have_line) {
		in_drop_front(c, c->head.line_at);
		c->head = (struct og_http_head){ 0 };
	}
	if (c->in_len == 0) {
		in_free(c);
		if (c->s->draining) {
			og_http_conn_drop(c, false);
			return false;
		}
		if (c->timer != T_HEADER && c->timer != T_IDLE)
			og_http_timer(c, T_IDLE);
	} else if (c->timer != T_HEADER) {
		og_http_timer(c, T_HEADER);
	}
	set_reading(c, RD_ON);
	return false;
}

static enum og_http_method method_of(struct og_slice m)
{
	static const struct {
		struct og_slice text;
		enum og_http_method method;
	} known[] = {
		{ { "GET", 3 }, OG_HTTP_GET },	   { { "POST", 4 }, OG_HTTP_POST }, { { "HEAD", 4 }, OG_HTTP_HEAD },
		{ { "DELETE", 6 }, OG_HTTP_DELETE }, { { "PUT", 3 }, OG_HTTP_PUT },   { { "OPTIONS", 7 }, OG_HTTP_OPTIONS },
	};

	for (size_t i = 0; i < OG_COUNT(known); i++)
		if (og_slice_eq(m, known[i].text))
			return known[i].method;
	return OG_HTTP_OTHER;
}

/* The slices of the request, now that the buffer stays where it is. */
static void fill_request(struct conn *c)
{
	const struct og_http_head *h = &c->head;
	struct og_http_req *r = &c->req;

	*r = (struct og_http_req){
		.method_text = og_slice(c->in + h->method_at, h->method_len),
		.path = og_slice(c->in + h->path_at, h->path_len),
		.query = h->has_query ? og_slice(c->in + h->query_at, h->query_len) : og_slice(NULL, 0),
		.fields = og_slice(c->in + h->fields_at, h->fields_len),
		.minor = h->minor,
		.has_body = h->chunked || h->length > 0,
		.chunked = h->chunked,
		.length = h->length,
	};
	r->method = method_of(r->method_text);
	if (r->path.len == 0) /* an absolute target without a path; and "?x" is no malformed request either */
		r->path = OG_SLICE("/");
}

static bool do_head(struct conn *c)
{
	long n = OG_HTTP_MORE;

	if (c->in_len)
		n = og_http_head_parse(&c->head, c->in, c->in_len);
	if (n == OG_HTTP_MORE)
		return wait_for_head(c);
	if (n < 0) {
		c->s->stats.malformed++;
		og_http_refuse(c, (unsigned)-n);
		c->state = CONN_SEND;
		return true;
	}
	c->head_len = (size_t)n;
	/* A body is read into what is left behind the head: not byte by byte. */
	if (c->in_cap - c->head_len < IN_SIZE / 2 && !in_grow(c, c->in_cap + IN_SIZE)) {
		og_http_conn_drop(c, false);
		return false;
	}
	if (c->timer != T_NONE)
		og_http_timer(c, T_NONE);
	fill_request(c);
	c->mute = c->req.method == OG_HTTP_HEAD;
	c->close = !c->head.keep_alive;
	c->held = true;
	c->state = CONN_HANDLER;
	c->s->stats.requests++;
	c->s->stats.in_flight++;
	c->s->handler(c->s->arg, &c->req);
	return true;
}

/* The body is whole. */
static bool body_complete(struct conn *c, struct og_slice body)
{
	c->body_done = true;
	c->state = CONN_HANDLER;
	og_http_timer(c, T_NONE);
	c->on_body(c->req.user, &c->req, 0, body);
	return true;
}

static bool wait_for_body(struct conn *c)
{
	if (c->eof) {
		body_failed(c, OG_ERR_BAD);
		return true;
	}
	if (c->timer == T_NONE)
		og_http_timer(c, T_BODY);
	set_reading(c, RD_ON);
	return false;
}

static bool do_chunked(struct conn *c)
{
	struct og_slice in = og_slice(c->in + c->head_len, c->in_len - c->head_len), piece;
	enum og_http_chunk what;
	size_t pos = 0;
	int rc = 0;

	c->body_apart = true;
	while ((what = og_http_chunks_next(&c->chunks, in, &pos, &piece)) == OG_HTTP_CHUNK_DATA) {
		if (piece.len > c->body_limit - c->body.len)
			rc = OG_ERR_TOO_LARGE;
		else
			og_buf_slice(&c->body, piece);
		if (rc == 0 && c->body.failed)
			rc = OG_ERR_NOMEM;
		else if (rc == 0 && !body_charge(c))
			rc = OG_ERR_UNAVAILABLE;
		if (rc)
			break;
	}
	/* What is left belongs to the next request. */
	memmove(c->in + c->head_len, in.p + pos, in.len - pos);
	c->in_len = c->head_len + (in.len - pos);
	if (what == OG_HTTP_CHUNK_BROKEN)
		rc = OG_ERR_BAD;
	if (rc) {
		body_failed(c, rc);
		return true;
	}
	return what == OG_HTTP_CHUNK_END ? body_complete(c, og_buf_view(&c->body)) : wait_for_body(c);
}

static bool do_body(struct conn *c)
{
	size_t have = c->in_len - c->head_len;

	if (!c->req.has_body)
		return body_complete(c, og_slice("", 0));
	if (c->req.chunked)
		return do_chunked(c);
	if (c->req.length > c->body_limit) {
		body_failed(c, OG_ERR_TOO_LARGE);
		return true;
	}
	if (!c->body_apart && c->req.length <= c->in_cap - c->head_len) {
		if (have < c->req.length)
			return wait_for_body(c);
		c->body_in_place = (size_t)c->req.length;
		return body_complete(c, og_slice(c->in + c->head_len, c->body_in_place));
	}
	if (!c->body_apart) {
		/* have < length: all of it is body */
		c->body_apart = true;
		og_buf_append(&c->body, c->in + c->head_len, have);
		c->in_len = c->head_len;
		if (c->body.failed || !body_charge(c)) {
			body_failed(c, c->body.failed ? OG_ERR_NOMEM : OG_ERR_UNAVAILABLE);
			return true;
		}
	}
	if (c->body.len < c->req.length)
		return wait_for_body(c);
	return body_complete(c, og_buf_view(&c->body));
}

/* The answer is out, and the connection is to be closed. */
static bool do_close(struct conn *c)
{
	if (!c->linger || c->eof || shutdown(c->fd, SHUT_WR) < 0) {
		og_http_conn_drop(c, false);
		return false;
	}
	/* A close with bytes unread resets the connection, and the answer may be lost with it. */
	c->state = CONN_LINGER;
	c->linger_end_ms = og_http_now_ms() + LINGER_MS;
	c->in_len = 0;
	og_http_timer(c, T_LINGER);
	set_reading(c, RD_ON);
	return false;
}

/* Forgets the request; what is left in the input is the rest of its body, or the next one. */
static void next_request(struct conn *c)
{
	size_t used = c->head_len + c->body_in_place, have = c->in_len - c->head_len;

	if (c->req.has_body && !c->body_done) { /* short and not chunked: og_http_reply saw to it */
		size_t body = (size_t)OG_MIN((uint64_t)have, c->req.length);

		used += body;
		c->skip_left = c->req.length - body;
	}
	in_drop_front(c, used);
	c->head = (struct og_http_head){ 0 };
	c->head_len = 0;
	og_http_reply_clear(c);
	body_clear(c);
	if (c->in_cap > IN_SIZE && c->in_len == 0)
		in_free(c);
	c->state = CONN_HEAD;
}

static bool do_send(struct conn *c)
{
	switch (og_http_conn_flush(c)) {
	case FLUSH_DEAD:
		og_http_conn_drop(c, false);
		return false;
	case FLUSH_WAIT:
		return false;
	case FLUSH_DONE:
		break;
	}
	if (c->close)
		return do_close(c);
	next_request(c);
	if (c->skip_left)
		c->state = CONN_SKIP;
	return true;
}

static bool do_skip(struct conn *c)
{
	if (!c->skip_left) {
		c->state = CONN_HEAD;
		return true;
	}
	if (c->eof) {
		og_http_conn_drop(c, false);
		return false;
	}
	if (c->timer == T_NONE)
		og_http_timer(c, T_BODY);
	set_reading(c, RD_ON);
	return false;
}

static bool step(struct conn *c, unsigned *requests)
{
	switch (c->state) {
	case CONN_HEAD:
		if (++*requests > RUN_MAX && c->in_len) {
			/* A long pipeline: others first. */
			c->yielded = true;
			set_reading(c, RD_ON);
			event_active(&c->rd, EV_READ, 0);
			return false;
		}
		return do_head(c);
	case CONN_HANDLER:
		/* Waits for the handler; the peer is watched. */
		if (!c->eof && c->reading != RD_CLOSE)
			set_reading(c, RD_ON);
		return false;
	case CONN_BODY:
		return do_body(c);
	case CONN_SEND:
		return do_send(c);
	case CONN_SKIP:
		return do_skip(c);
	case CONN_LINGER:
	case CONN_DEAD:
		return false;
	}
	return false;
}

void og_http_conn_run(struct conn *c)
{
	unsigned requests = 0;

	if (c->running)
		return;
	c->running = true;
	while (step(c, &requests))
		;
	c->running = false;
	og_http_conn_release(c);
}

void og_http_conn_ended(struct conn *c)
{
	c->held = false;
	if (c->s)
		c->s->stats.in_flight--;
	if (c->fd >= 0)
		c->state = CONN_SEND;
	og_http_conn_run(c);
}

struct conn *og_http_conn_new(struct og_http_server *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->s = s;
	c->fd = fd;
	c->timer = T_NONE;
	c->reading = RD_OFF;
	event_assign(&c->wr, s->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	TAILQ_INSERT_TAIL(&s->all, c, all);
	og_http_timer(c, T_HEADER);
	set_reading(c, RD_ON);
	return c;
}
