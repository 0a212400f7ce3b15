/* The HTTP server over a socketpair: answers byte for byte, at every cut of the input, and what a hostile or slow peer gets. */
#include "config.h"

#include "http/server.h"

#include <arpa/inet.h>
#include "t/check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

static struct event_base *base;
static struct og_http_server *server;
static struct og_http_config config;
static struct og_http_req *held;	/* /async and /stream wait for the test */
static unsigned gone, bodies, drained, released;
static int body_rc;
static size_t body_len;

static void text(struct og_http_req *r, unsigned status, struct og_slice body)
{
	og_http_begin(r, status, "text/plain");
	og_http_send_slice(r, body);
}

static void on_gone(void *arg, struct og_http_req *r)
{
	(void)arg;
	gone++;
	held = NULL;
	og_http_break(r);
}

static void on_echo(void *arg, struct og_http_req *r, int rc, struct og_slice body)
{
	struct og_http_parts parts = { .head = OG_SLICE("["), .main = body, .tail = OG_SLICE("]") };

	(void)arg;
	bodies++;
	body_rc = rc;
	body_len = body.len;
	if (rc == OG_ERR_CANCELLED) {
		og_http_break(r);
	} else if (rc < 0) {
		text(r, rc == OG_ERR_TOO_LARGE ? 413 : rc == OG_ERR_BAD ? 400 : 503, OG_SLICE("no"));
	} else {
		og_http_begin(r, 200, NULL);
		og_http_send(r, &parts);
	}
}

static void on_drained(void *arg, struct og_http_req *r)
{
	(void)arg;
	(void)r;
	drained++;
}

static void on_request(void *arg, struct og_http_req *r)
{
	(void)arg;
	if (og_slice_is(r->path, "/hello")) {
		text(r, 200, OG_SLICE("hello"));
	} else if (og_slice_is(r->path, "/echo")) {
		og_http_body(r, 10, on_echo);
	} else if (og_slice_is(r->path, "/bigecho")) {
		og_http_body(r, 4 * OG_MIB, on_echo);
	} else if (og_slice_is(r->path, "/async")) {
		held = r;
		r->on_gone = on_gone;
	} else if (og_slice_is(r->path, "/stream")) {
		held = r;
		r->on_gone = on_gone;
		og_http_begin(r, 200, "x");
		og_http_stream(r, OG_HTTP_CHUNKED, on_drained);
	} else {
		og_http_begin(r, 404, NULL);
		og_http_send_empty(r);
	}
}

static void setup(void)
{
	struct og_error err;

	base = event_base_new();
	server = og_http_server_new(base, &config, on_request, NULL, &err);
	ck_assert_ptr_nonnull(server);
}

static void teardown(void)
{
	og_http_server_free(server);
	event_base_free(base);
}

/* ---- a client ---- */

struct client {
	int fd;
	struct og_buf got;
	bool eof;
};

static struct client client_new(void)
{
	struct client c = { .fd = -1 };
	struct og_error err;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(og_http_server_adopt(server, fds[1], &err), 0);
	c.fd = fds[0];
	return c;
}

static void client_free(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	og_buf_fini(&c->got);
}

static void turn(void)
{
	for (int i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void client_read(struct client *c)
{
	char tmp[65536];
	ssize_t n;

	for (;;) {
		turn();
		n = read(c->fd, tmp, sizeof(tmp));
		if (n <= 0)
			break;
		og_buf_append(&c->got, tmp, (size_t)n);
	}
	c->eof |= n == 0 || (errno != EAGAIN);
}

static void client_send(struct client *c, const char *s, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, s, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			turn();
			continue;
		}
		if (n < 0)
			return;
		s += n;
		len -= (size_t)n;
	}
	turn();
}

/* Waits up to a second for the end of the connection. */
static void client_wait_eof(struct client *c)
{
	for (int i = 0; i < 100 && !c->eof; i++) {
		client_read(c);
		if (!c->eof)
			usleep(10000);
	}
	ck_assert(c->eof);
}

/* What came, without the Date lines, of which every answer must have one (100 Continue none). */
static const char *answer(struct client *c)
{
	char *from, *to;

	client_read(c);
	og_buf_byte(&c->got, 0);
	c->got.len--;
	while ((from = strstr(c->got.data, "Date: "))) {
		to = strstr(from, "GMT\r\n");
		ck_assert_ptr_nonnull(to);
		ck_assert_int_eq(to - from, 32);
		to += 5;
		memmove(from, to, strlen(to) + 1);
	}
	return c->got.data ? c->got.data : "";
}

#define HELLO "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
#define HELLO_CLOSE "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
#define REFUSED(line) "HTTP/1.1 " line "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
#define NO(line) "HTTP/1.1 " line "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"

static const struct {
	const char *in, *out;
	bool closes;
} exchanges[] = {
	{ "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", HELLO, false },
	{ "\r\nGET /hello HTTP/1.1\n\n", HELLO, false },
	{ "GET http://x/hello HTTP/1.1\r\n\r\n", HELLO, false },
	{ "GET /hello HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n", HELLO HELLO NOT_FOUND, false },
	{ "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n", HELLO_CLOSE, true },
	{ "GET /hello HTTP/1.0\r\n\r\n", HELLO_CLOSE, true },
	{ "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", false },
	{ "HEAD /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n", false },
	{ "HEAD /x HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n\r\n" HELLO, false },
	{ "GET /x HTTP/1.1\r\n\r\n", NOT_FOUND, false },
	/* bodies */
	{ "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[abc]" HELLO, false },
	{ "POST /echo HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", false },
	{ "POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n[0123456789]", false },
	{ "POST /echo HTTP/1.1\r\nContent-Length: 11\r\n\r\n0123456789a", NO("413 Payload Too Large"), true },
	{ "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\nGET /hello HTTP/1.1\r\n\r\n",
	  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[abc]" HELLO, false },
	{ "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n012345678\r\n1\r\n9\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n[0123456789]", false },
	{ "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n012345678\r\n2\r\n9a\r\n0\r\n\r\n", NO("413 Payload Too Large"), true },
	{ "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", NO("400 Bad Request"), true },
	{ "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", NO("400 Bad Request"), true },
	/* unread ones */
	{ "POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /hello HTTP/1.1\r\n\r\n", NOT_FOUND HELLO, false },
	{ "POST /x HTTP/1.1\r\nContent-Length: 65537000\r\n\r\nabc", "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", true },
	{ "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", true },
	/* malformed */
	{ "GET / HTTP/3.0\r\n\r\n", REFUSED("400 Bad Request"), true },
	{ "GET /hello HTTP/1.1\r\n\r\nNONSENSE\r\n\r\n", HELLO REFUSED("400 Bad Request"), true },
	{ "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", REFUSED("400 Bad Request"), true },
	{ "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", REFUSED("400 Bad Request"), true },
};

static void exchange(const char *in, size_t step, const char *out, bool closes)
{
	struct client c = client_new();
	size_t len = strlen(in);

	for (size_t i = 0; i < len; i += step)
		client_send(&c, in + i, OG_MIN(step, len - i));
	ck_assert_str_eq(answer(&c), out);
	if (closes)
		shutdown(c.fd, SHUT_WR);
	client_read(&c);
	ck_assert_int_eq(c.eof, closes);
	client_free(&c);
	turn();
	ck_assert_uint_eq(og_http_server_stats(server).connections, 0);
	ck_assert_uint_eq(og_http_server_stats(server).in_flight, 0);
	ck_assert_uint_eq(og_http_server_stats(server).body_bytes, 0);
}

START_TEST(answers_are_exact)
{
	exchange(exchanges[_i].in, 100000, exchanges[_i].out, exchanges[_i].closes);
}
END_TEST

START_TEST(answers_do_not_depend_on_cuts)
{
	exchange(exchanges[_i].in, 1, exchanges[_i].out, exchanges[_i].closes);
	exchange(exchanges[_i].in, 7, exchanges[_i].out, exchanges[_i].closes);
}
END_TEST

START_TEST(continue_is_said_when_the_body_is_wanted)
{
	struct client c = client_new();
	static const char head[] = "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
	static const char large[] = "POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n";
	static const char lost[] = "POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";

	client_send(&c, head, sizeof(head) - 1);
	ck_assert_str_eq(answer(&c), CONTINUE);
	client_send(&c, "abc", 3);
	ck_assert_str_eq(answer(&c), CONTINUE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[abc]");
	/* Not when it is too large: the answer comes instead. */
	og_buf_clear(&c.got);
	client_send(&c, large, sizeof(large) - 1);
	ck_assert_str_eq(answer(&c), NO("413 Payload Too Large"));
	client_free(&c);
	/* Nor when nobody reads it. */
	c = client_new();
	client_send(&c, lost, sizeof(lost) - 1);
	ck_assert_str_eq(answer(&c), "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	client_free(&c);
}
END_TEST

START_TEST(large_bodies_go_round)
{
	struct client c = client_new();
	size_t len = 3 * OG_MIB;
	struct og_buf b = { 0 };
	char *body = malloc(len);

	for (size_t i = 0; i < len; i++)
		body[i] = (char)('a' + i % 26);
	if (_i == 0) {
		og_buf_printf(&b, "POST /bigecho HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", len);
		og_buf_append(&b, body, len);
	} else {
		og_buf_str(&b, "POST /bigecho HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (size_t i = 0; i < len; i += 1000) {
			size_t n = OG_MIN((size_t)1000, len - i);

			og_buf_printf(&b, "%zx\r\n", n);
			og_buf_append(&b, body + i, n);
			og_buf_str(&b, "\r\n");
		}
		og_buf_str(&b, "0\r\n\r\n");
	}
	og_buf_str(&b, "GET /hello HTTP/1.1\r\n\r\n");
	client_send(&c, b.data, b.len);
	answer(&c);
	ck_assert_uint_eq(body_len, len);
	/* the echo, whole, then the next answer */
	ck_assert_uint_gt(c.got.len, len);
	ck_assert_ptr_nonnull(memmem(c.got.data, c.got.len, body, len));
	ck_assert_ptr_nonnull(strstr(c.got.data, "]HTTP/1.1 200 OK\r\n"));
	client_free(&c);
	free(body);
	og_buf_fini(&b);
}
END_TEST

START_TEST(pipelines_beyond_a_turn_are_answered)
{
	struct client c = client_new();
	struct og_buf b = { 0 };
	size_t n = 0;

	for (int i = 0; i < 1000; i++)
		og_buf_str(&b, "GET /x HTTP/1.1\r\n\r\n");
	client_send(&c, b.data, b.len);
	answer(&c);
	for (const char *p = c.got.data; (p = strstr(p, NOT_FOUND)); p++)
		n++;
	ck_assert_uint_eq(n, 1000);
	client_free(&c);
	og_buf_fini(&b);
}
END_TEST

START_TEST(a_held_request_is_answered_later)
{
	struct client c = client_new();
	char much[20000];

	client_send(&c, "GET /async HTTP/1.1\r\n\r\n", 23);
	ck_assert_ptr_nonnull(held);
	/* Nothing else of this connection is looked at, and what it sends is not hoarded. */
	memset(much, '\n', sizeof(much));
	client_send(&c, "GET /hello HTTP/1.1\r\n\r\n", 23);
	client_send(&c, much, sizeof(much));
	ck_assert_str_eq(answer(&c), "");
	ck_assert(og_slice_is(held->path, "/async"));
	text(held, 200, OG_SLICE("later"));
	ck_assert_str_eq(answer(&c), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nlater" HELLO);
	client_free(&c);
}
END_TEST

START_TEST(a_close_is_seen_while_the_request_runs)
{
	struct client c = client_new();
	char much[20000];

	client_send(&c, "GET /async HTTP/1.1\r\n\r\n", 23);
	if (_i == 1) { /* even when its input is full */
		memset(much, '\n', sizeof(much));
		client_send(&c, much, sizeof(much));
	}
	ck_assert_ptr_nonnull(held);
	client_free(&c);
	turn();
	ck_assert_uint_eq(gone, 1);
	ck_assert_ptr_null(held);
	ck_assert_uint_eq(og_http_server_stats(server).in_flight, 0);
}
END_TEST

static void note_gone(void *arg, struct og_http_req *r)
{
	(void)arg;
	(void)r;
	gone++;
}

START_TEST(a_request_outlives_its_peer)
{
	struct client c = client_new();
	struct og_http_parts parts = { .main = OG_SLICE("x") };

	client_send(&c, "GET /async?q HTTP/1.1\r\n\r\n", 25);
	held->on_gone = note_gone;
	client_free(&c);
	turn();
	ck_assert_uint_eq(gone, 1);
	ck_assert(og_http_gone(held));
	ck_assert(og_slice_is(held->query, "q"));
	ck_assert_uint_eq(og_http_server_stats(server).connections, 0);
	ck_assert_uint_eq(og_http_server_stats(server).in_flight, 1);
	if (_i == 0) {
		og_http_begin(held, 200, "x");
		og_http_add(held, "A", OG_SLICE("b"));
		og_http_send(held, &parts);
	} else if (_i == 1) {
		og_http_begin(held, 200, "x");
		og_http_stream(held, OG_HTTP_CHUNKED, NULL);
		ck_assert_int_eq(og_http_write(held, OG_SLICE("x")), OG_HTTP_GONE);
		og_http_finish(held);
	} else if (_i == 2) {
		og_http_body(held, 10, on_echo);
		ck_assert_int_eq(body_rc, OG_ERR_CANCELLED);
	} else {
		/* even its server */
		og_http_server_free(server);
		server = NULL;
		og_http_break(held);
		return;
	}
	ck_assert_uint_eq(og_http_server_stats(server).in_flight, 0);
}
END_TEST

START_TEST(a_cut_body_is_broken)
{
	struct client c = client_new();

	client_send(&c, "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 44);
	shutdown(c.fd, SHUT_WR);
	ck_assert_str_eq(answer(&c), NO("400 Bad Request"));
	ck_assert(c.eof);
	ck_assert_int_eq(body_rc, OG_ERR_BAD);
	client_free(&c);
}
END_TEST

/* ---- streams ---- */

START_TEST(streams_are_chunked)
{
	struct client c = client_new();

	client_send(&c, "GET /stream HTTP/1.1\r\n\r\n", 24);
	ck_assert_int_eq(og_http_write(held, OG_SLICE("0123456789abcdef")), OG_HTTP_ROOM);
	ck_assert_int_eq(og_http_write(held, OG_SLICE("")), OG_HTTP_ROOM);
	ck_assert_int_eq(og_http_write(held, OG_SLICE("x")), OG_HTTP_ROOM);
	og_http_finish(held);
	client_send(&c, "GET /hello HTTP/1.1\r\n\r\n", 23);
	ck_assert_str_eq(answer(&c), "HTTP/1.1 200 OK\r\nContent-Type: x\r\nTransfer-Encoding: chunked\r\n\r\n"
				     "10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n" HELLO);
	client_free(&c);
}
END_TEST

START_TEST(broken_streams_do_not_end)
{
	struct client c = client_new();

	client_send(&c, "GET /stream HTTP/1.1\r\n\r\n", 24);
	og_http_write(held, OG_SLICE("abc"));
	og_http_break(held);
	ck_assert_str_eq(answer(&c), "HTTP/1.1 200 OK\r\nContent-Type: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	client_wait_eof(&c);
	client_free(&c);
}
END_TEST

START_TEST(old_clients_get_streams_to_the_close)
{
	struct client c = client_new();

	client_send(&c, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 48);
	og_http_write(held, OG_SLICE("abc"));
	og_http_finish(held);
	ck_assert_str_eq(answer(&c), "HTTP/1.1 200 OK\r\nContent-Type: x\r\nConnection: close\r\n\r\nabc");
	client_wait_eof(&c);
	client_free(&c);
}
END_TEST

START_TEST(a_slow_reader_stops_its_stream)
{
	struct client c = client_new();
	size_t sent = 0, piece = 10000;
	char *data = calloc(1, piece);
	enum og_http_room room = OG_HTTP_ROOM;

	client_send(&c, "GET /stream HTTP/1.1\r\n\r\n", 24);
	while (room == OG_HTTP_ROOM && sent < 100 * OG_MIB) {
		room = og_http_write(held, og_slice(data, piece));
		sent += piece;
	}
	ck_assert_int_eq(room, OG_HTTP_FULL);
	ck_assert_uint_lt(sent, 2 * OG_MIB); /* the socket's buffer and ours */
	turn();
	ck_assert_uint_eq(drained, 0);
	client_read(&c);
	ck_assert_uint_eq(drained, 1);
	ck_assert_int_eq(og_http_write(held, og_slice(data, piece)), OG_HTTP_ROOM);
	og_http_finish(held);
	client_read(&c);
	ck_assert_uint_gt(c.got.len, sent + piece);
	ck_assert_int_eq(memcmp(c.got.data + c.got.len - 7, "\r\n0\r\n\r\n", 7), 0);
	client_free(&c);
	free(data);
}
END_TEST

static void note_released(void *arg)
{
	released++;
	free(arg);
}

START_TEST(borrowed_bytes_are_released_once)
{
	struct client c = client_new();
	size_t len = _i == 0 ? 10 : 8 * OG_MIB;
	char *big = calloc(1, len);
	struct og_http_parts parts = { .main = og_slice(big, len), .tail = OG_SLICE("]"), .release = note_released, .arg = big };

	client_send(&c, "GET /async HTTP/1.1\r\n\r\n", 23);
	og_http_begin(held, 200, NULL);
	og_http_send(held, &parts);
	ck_assert_uint_eq(released, _i == 0);
	if (_i == 2) { /* the reader leaves in the middle */
		client_free(&c);
		turn();
	} else {
		client_read(&c);
		ck_assert_uint_gt(c.got.len, len);
		ck_assert_int_eq(c.got.data[c.got.len - 1], ']');
	}
	ck_assert_uint_eq(released, 1);
	client_free(&c);
}
END_TEST

START_TEST(header_values_cannot_split_an_answer)
{
	struct client c = client_new();

	client_send(&c, "GET /async HTTP/1.1\r\n\r\n", 23);
	og_http_begin(held, 302, NULL);
	og_http_add(held, "Location", OG_SLICE("/a\r\nX: y"));
	og_http_add(held, "Allow", OG_SLICE("GET,HEAD"));
	og_http_send_empty(held);
	ck_assert_str_eq(answer(&c), "HTTP/1.1 302 Found\r\nAllow: GET,HEAD\r\nContent-Length: 0\r\n\r\n");
	client_free(&c);
}
END_TEST

/* ---- limits of the server ---- */

static void with_short_deadlines(void)
{
	config = (struct og_http_config){ .header_timeout_ms = 40, .body_timeout_ms = 40, .idle_timeout_ms = 40 };
	setup();
}

START_TEST(late_clients_are_closed)
{
	static const char *const sends[] = {
		"", "GET /hel", "GET /hello HTTP/1.1\r\n\r\n", "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
		"POST /x HTTP/1.1\r\nContent-Length: 30000\r\n\r\nab",
	};
	struct client c = client_new();

	client_send(&c, sends[_i], strlen(sends[_i]));
	client_wait_eof(&c);
	ck_assert_uint_eq(og_http_server_stats(server).timed_out, 1);
	ck_assert_uint_eq(bodies, _i == 3);
	client_free(&c);
}
END_TEST

START_TEST(a_peer_that_never_reads_is_closed)
{
	struct client c = client_new();
	static char big[8 * OG_MIB];
	struct og_http_parts parts = { .main = og_slice(big, sizeof(big)) };

	client_send(&c, "GET /async HTTP/1.1\r\n\r\n", 23);
	og_http_begin(held, 200, NULL);
	og_http_send(held, &parts);
	for (int i = 0; i < 100 && og_http_server_stats(server).connections; i++) {
		usleep(10000);
		turn();
	}
	ck_assert_uint_eq(og_http_server_stats(server).connections, 0);
	client_free(&c);
}
END_TEST

START_TEST(a_running_request_has_no_deadline_here)
{
	struct client c = client_new();

	client_send(&c, "GET /async HTTP/1.1\r\n\r\n", 23);
	for (int i = 0; i < 20; i++) {
		usleep(10000);
		turn();
	}
	ck_assert_uint_eq(gone, 0);
	text(held, 200, OG_SLICE("hello"));
	ck_assert_str_eq(answer(&c), HELLO);
	client_free(&c);
}
END_TEST

static void with_little_memory(void)
{
	config = (struct og_http_config){ .body_memory_bytes = 300000 };
	setup();
}

START_TEST(bodies_share_a_limit)
{
	static char zeros[250000];
	struct client a = client_new(), b = client_new();
	static const char head[] = "POST /bigecho HTTP/1.1\r\nContent-Length: 250000\r\n\r\n";

	client_send(&a, head, sizeof(head) - 1);
	client_send(&a, zeros, 200000);
	client_send(&b, head, sizeof(head) - 1);
	client_send(&b, zeros, 200000);
	ck_assert_str_eq(answer(&b), NO("503 Service Unavailable"));
	client_free(&b);
	turn();
	client_send(&a, zeros, 50000);
	client_read(&a);
	ck_assert_uint_gt(a.got.len, 250000);
	client_free(&a);
}
END_TEST

START_TEST(long_heads_share_it)
{
	struct client c[3] = { client_new(), client_new(), client_new() };
	static char line[60000];

	memset(line, 'a', sizeof(line));
	for (int i = 0; i < 3; i++) {
		client_send(&c[i], "GET /hello HTTP/1.1\r\nA: ", 24);
		client_send(&c[i], line, sizeof(line));
		client_send(&c[i], "\r\nB:", 4);
		turn();
	}
	ck_assert_uint_eq(og_http_server_stats(server).connections, 3);
	ck_assert_uint_gt(og_http_server_stats(server).body_bytes, 3 * 50000);
	for (int i = 0; i < 3; i++) {
		client_send(&c[i], "\r\n\r\n", 4);
		ck_assert_str_eq(answer(&c[i]), HELLO);
	}
	ck_assert_uint_eq(og_http_server_stats(server).body_bytes, 0);
	for (int i = 0; i < 3; i++)
		client_free(&c[i]);
}
END_TEST

START_TEST(too_many_long_heads_are_closed)
{
	struct client c[8];
	static char line[60000];

	memset(line, 'a', sizeof(line));
	for (int i = 0; i < 8; i++) {
		c[i] = client_new();
		client_send(&c[i], "GET /hello HTTP/1.1\r\nA: ", 24);
		client_send(&c[i], line, sizeof(line));
	}
	ck_assert_uint_lt(og_http_server_stats(server).connections, 8);
	ck_assert_uint_le(og_http_server_stats(server).body_bytes, 300000);
	for (int i = 0; i < 8; i++)
		client_free(&c[i]);
}
END_TEST

static void on_empty(void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(a_drain_finishes_what_runs)
{
	struct client idle = client_new(), busy = client_new(), half = client_new();
	unsigned empty = 0;

	client_send(&busy, "GET /async HTTP/1.1\r\n\r\n", 23);
	client_send(&half, "GET /hello HT", 13);
	og_http_server_drain(server, on_empty, &empty);
	client_wait_eof(&idle);
	client_send(&half, "TP/1.1\r\n\r\n", 10);
	ck_assert_str_eq(answer(&half), HELLO_CLOSE);
	ck_assert(half.eof);
	ck_assert_uint_eq(empty, 0);
	text(held, 200, OG_SLICE("hello"));
	ck_assert_str_eq(answer(&busy), HELLO_CLOSE);
	turn();
	ck_assert_uint_eq(empty, 1);
	client_free(&idle);
	client_free(&busy);
	client_free(&half);
}
END_TEST

START_TEST(freeing_the_server_tells_everybody)
{
	struct client a = client_new(), b = client_new(), c = client_new();

	client_send(&a, "GET /async HTTP/1.1\r\n\r\n", 23);
	client_send(&b, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", 44);
	og_http_server_free(server);
	server = NULL;
	ck_assert_uint_eq(gone, 1);
	ck_assert_int_eq(body_rc, OG_ERR_CANCELLED);
	client_free(&a);
	client_free(&b);
	client_free(&c);
}
END_TEST

/* ---- listening ---- */

static int listener(struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*a);
	struct og_error err;

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)a, len), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)a, &len), 0);
	ck_assert_int_eq(og_http_server_listen(server, fd, &err), 0);
	return fd;
}

static struct client client_connect(const struct sockaddr_in *a)
{
	struct client c = { .fd = socket(AF_INET, SOCK_STREAM, 0) };

	ck_assert_int_eq(connect(c.fd, (const struct sockaddr *)a, sizeof(*a)), 0);
	ck_assert_int_eq(fcntl(c.fd, F_SETFL, O_NONBLOCK), 0);
	return c;
}

static void with_two_connections(void)
{
	config = (struct og_http_config){ .max_connections = 2 };
	setup();
}

START_TEST(connections_beyond_the_limit_wait)
{
	struct sockaddr_in a;
	struct client c[3];

	listener(&a);
	for (int i = 0; i < 3; i++) {
		c[i] = client_connect(&a);
		client_send(&c[i], "GET /hello HTTP/1.1\r\n\r\n", 23);
	}
	ck_assert_str_eq(answer(&c[0]), HELLO);
	ck_assert_str_eq(answer(&c[1]), HELLO);
	ck_assert_str_eq(answer(&c[2]), "");
	client_free(&c[0]);
	turn();
	ck_assert_str_eq(answer(&c[2]), HELLO);
	client_free(&c[1]);
	client_free(&c[2]);
}
END_TEST

START_TEST(accepting_can_be_stopped)
{
	struct sockaddr_in a;
	struct client c;

	listener(&a);
	og_http_server_accept(server, false);
	c = client_connect(&a);
	client_send(&c, "GET /hello HTTP/1.1\r\n\r\n", 23);
	ck_assert_str_eq(answer(&c), "");
	og_http_server_accept(server, true);
	ck_assert_str_eq(answer(&c), HELLO);
	client_free(&c);
}
END_TEST

START_TEST(an_early_answer_survives_a_large_body)
{
	struct sockaddr_in a;
	struct client c;
	static char zeros[4 * OG_MIB];

	listener(&a);
	c = client_connect(&a);
	client_send(&c, "POST /echo HTTP/1.1\r\nContent-Length: 4194304\r\n\r\n", 48);
	client_send(&c, zeros, sizeof(zeros)); /* all of it, as clients do that never read before */
	ck_assert_str_eq(answer(&c), NO("413 Payload Too Large"));
	client_free(&c);
}
END_TEST

static TCase *tcase(Suite *s, const char *name, SFun before)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, before, teardown);
	tcase_set_timeout(tc, 20);
	suite_add_tcase(s, tc);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("http");
	TCase *tc = tcase(s, "exchanges", setup);
	SRunner *r;
	int failed;

	tcase_add_loop_test(tc, answers_are_exact, 0, OG_COUNT(exchanges));
	tcase_add_loop_test(tc, answers_do_not_depend_on_cuts, 0, OG_COUNT(exchanges));
	tcase_add_test(tc, continue_is_said_when_the_body_is_wanted);
	tcase_add_loop_test(tc, large_bodies_go_round, 0, 2);
	tcase_add_test(tc, pipelines_beyond_a_turn_are_answered);
	tcase_add_test(tc, a_held_request_is_answered_later);
	tcase_add_loop_test(tc, a_close_is_seen_while_the_request_runs, 0, 2);
	tcase_add_loop_test(tc, a_request_outlives_its_peer, 0, 4);
	tcase_add_test(tc, a_cut_body_is_broken);
	tcase_add_test(tc, streams_are_chunked);
	tcase_add_test(tc, broken_streams_do_not_end);
	tcase_add_test(tc, old_clients_get_streams_to_the_close);
	tcase_add_test(tc, a_slow_reader_stops_its_stream);
	tcase_add_loop_test(tc, borrowed_bytes_are_released_once, 0, 3);
	tcase_add_test(tc, header_values_cannot_split_an_answer);
	tcase_add_test(tc, a_drain_finishes_what_runs);
	tcase_add_test(tc, freeing_the_server_tells_everybody);
	tcase_add_test(tc, accepting_can_be_stopped);
	tcase_add_test(tc, an_early_answer_survives_a_large_body);
	tc = tcase(s, "deadlines", with_short_deadlines);
	tcase_add_loop_test(tc, late_clients_are_closed, 0, 5);
	tcase_add_test(tc, a_peer_that_never_reads_is_closed);
	tcase_add_test(tc, a_running_request_has_no_deadline_here);
	tc = tcase(s, "memory", with_little_memory);
	tcase_add_test(tc, bodies_share_a_limit);
	tcase_add_test(tc, long_heads_share_it);
	tcase_add_test(tc, too_many_long_heads_are_closed);
	tc = tcase(s, "connections", with_two_connections);
	tcase_add_test(tc, connections_beyond_the_limit_wait);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
