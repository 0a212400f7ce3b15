/*
 * The HTTP server before arbitrary bytes. First byte: in which pieces they come (0: all at once). The parser must say the same for the
 * whole input as for single bytes, and a server must survive and end with nothing left, whatever its handlers do.
 */
#include "config.h"

#include "driver.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/parse.h"
#include "http/server.h"
#include "http/url.h"

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void fuzz_head(const char *p, size_t n)
{
	struct og_http_head whole = { 0 }, bytes = { 0 };
	long a = og_http_head_parse(&whole, p, n), b = OG_HTTP_MORE;

	for (size_t i = 1; i <= n && b == OG_HTTP_MORE; i++)
		b = og_http_head_parse(&bytes, p, i);
	check(a == b);
	if (a > 0)
		check(whole.path_at + whole.path_len <= n && whole.query_at + whole.query_len <= n && whole.fields_at + whole.fields_len <= n);
}

static void fuzz_url(const char *p, size_t n)
{
	struct og_slice s;
	struct og_arena a;

	og_arena_init(&a, 0);
	(void)og_url_query_get(&a, og_slice(p, n), "branch", &s);
	if (og_url_decode_segment(&a, og_slice(p, n), &s) == 0)
		check(s.len <= n);
	og_arena_fini(&a);
}

static void on_body(void *arg, struct og_http_req *r, int rc, struct og_slice body)
{
	struct og_http_parts parts = { .head = OG_SLICE("["), .main = body, .tail = OG_SLICE("]") };

	(void)arg;
	if (rc == OG_ERR_CANCELLED) {
		og_http_break(r);
		return;
	}
	og_http_begin(r, rc < 0 ? 400 : 200, "x");
	og_http_send(r, &parts);
}

/* What it does depends on the path's length. */
static void on_request(void *arg, struct og_http_req *r)
{
	struct og_slice v = { 0 };

	(void)arg;
	(void)og_http_header(r, "host", &v);
	if (r->path.len % 3 == 0) {
		og_http_body(r, 1000, on_body);
		return;
	}
	og_http_begin(r, 200, "x");
	og_http_add(r, "Echo", v);
	if (r->path.len % 3 == 1) {
		og_http_send_empty(r);
		return;
	}
	og_http_stream(r, OG_HTTP_CHUNKED, NULL);
	(void)og_http_write(r, r->path);
	og_http_finish(r);
}

static void fuzz_server(const char *p, size_t n, size_t step)
{
	static struct event_base *base;
	struct og_http_config config = { 0 };
	struct og_http_server *s;
	struct og_error err;
	char sink[4096];
	int fds[2];

	if (!base)
		base = event_base_new();
	check(base && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	s = og_http_server_new(base, &config, on_request, NULL, &err);
	check(s && og_http_server_adopt(s, fds[1], &err) == 0);
	check(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
	for (size_t i = 0; i < n; i += step) {
		if (send(fds[0], p + i, OG_MIN(step, n - i), MSG_NOSIGNAL) < 0)
			break;
		event_base_loop(base, EVLOOP_NONBLOCK);
		while (read(fds[0], sink, sizeof(sink)) > 0)
			;
	}
	(void)shutdown(fds[0], SHUT_WR);
	for (int i = 0; i < 50 && og_http_server_stats(s).connections; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		while (read(fds[0], sink, sizeof(sink)) > 0)
			;
	}
	check(og_http_server_stats(s).connections == 0);
	check(og_http_server_stats(s).in_flight == 0);
	check(og_http_server_stats(s).body_bytes == 0);
	close(fds[0]);
	og_http_server_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p;
	char *copy;

	if (size < 2)
		return 0;
	size--;
	copy = malloc(size); /* its own size: a read beyond it is seen */
	check(copy != NULL);
	memcpy(copy, data + 1, size);
	p = copy;
	fuzz_head(p, size);
	fuzz_url(p, size);
	fuzz_server(p, size, data[0] ? data[0] : size);
	free(copy);
	return 0;
}

bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	static const char *const seeds[] = {
		"GET /a?branch=%41+b&x HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /ab HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcdeGET /abc HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"POST /ab HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: x\r\n\r\nHEAD / HTTP/1.1\r\n\r\n",
		"POST /ab HTTP/1.1\nExpect: 100-continue\nContent-Length: 3\n\nabc\r\nOPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n",
		"PUT http://h:1/x#y HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/2.0\r\n\r\n",
	};
	static const uint8_t steps[] = { 0, 1, 9 };

	if (nr >= OG_COUNT(seeds) * OG_COUNT(steps))
		return false;
	og_buf_byte(out, steps[nr % OG_COUNT(steps)]);
	og_buf_str(out, seeds[nr / OG_COUNT(steps)]);
	return true;
}
