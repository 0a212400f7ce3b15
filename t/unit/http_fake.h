/*
 * A server on 127.0.0.1 for tests of what goes out: it runs on the test's own event_base, keeps what was asked, and answers as the test's handler says.
 */
#ifndef OG_T_UNIT_HTTP_FAKE_H
#define OG_T_UNIT_HTTP_FAKE_H

#include "t/check.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"

struct fake {
	struct evhttp *http;
	char url[64];
	unsigned asked;			/* requests so far */
	char method[16], path[512];	/* of the last one, with its query */
	struct og_buf body;
	void (*handler)(struct fake *f, struct evhttp_request *req);
	void *arg;
};

static inline const char *fake_header(struct evhttp_request *req, const char *name)
{
	const char *v = evhttp_find_header(evhttp_request_get_input_headers(req), name);

	return v ? v : "";
}

static inline void fake_set(struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static inline void fake_answer(struct evhttp_request *req, int code, const char *text)
{
	struct evbuffer *b = evbuffer_new();

	evbuffer_add(b, text, strlen(text));
	evhttp_send_reply(req, code, "-", b);
	evbuffer_free(b);
}

/* Reads all and says nothing: the connection is reset. */
static inline void fake_reset(struct evhttp_request *req)
{
	struct evhttp_connection *c = evhttp_request_get_connection(req);
	struct linger now = { 1, 0 };

	setsockopt(bufferevent_getfd(evhttp_connection_get_bufferevent(c)), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	evhttp_connection_free(c);
}

static inline const char *fake_method(struct evhttp_request *req)
{
	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	default:
		return "?";
	}
}

static inline void fake_on_request(struct evhttp_request *req, void *arg)
{
	struct fake *f = arg;
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t n = evbuffer_get_length(in);

	f->asked++;
	snprintf(f->method, sizeof(f->method), "%s", fake_method(req));
	snprintf(f->path, sizeof(f->path), "%s", evhttp_request_get_uri(req));
	og_buf_clear(&f->body);
	og_buf_append(&f->body, n ? (const char *)evbuffer_pullup(in, -1) : "", n);
	f->handler(f, req);
}

static inline void fake_start(struct fake *f, struct event_base *base)
{
	struct evhttp_bound_socket *s;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	memset(f, 0, sizeof(*f));
	f->http = evhttp_new(base);
	evhttp_set_allowed_methods(f->http, EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_DELETE);
	evhttp_set_gencb(f->http, fake_on_request, f);
	s = evhttp_bind_socket_with_handle(f->http, "127.0.0.1", 0);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&ss, &len), 0);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u", ntohs(((struct sockaddr_in *)&ss)->sin_port));
}

static inline void fake_stop(struct fake *f)
{
	evhttp_free(f->http);
	og_buf_fini(&f->body);
}

#endif
