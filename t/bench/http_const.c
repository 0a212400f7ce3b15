/*
 * Answers every request with one constant: what lib/http alone costs.
 * usage: http_const [PORT]; prints "listening on 127.0.0.1:PORT"; stops at SIGINT or SIGTERM.
 */
#include "config.h"

#include "http/server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void on_request(void *arg, struct og_http_req *r)
{
	(void)arg;
	og_http_begin(r, 200, "text/plain");
	og_http_send_slice(r, OG_SLICE("hello, world\n"));
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	event_base_loopbreak(arg);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct event_base *base = event_base_new();
	struct og_http_config config = { 0 };
	struct event *ints, *terms;
	struct og_http_server *s;
	socklen_t len = sizeof(a);
	struct og_error err;

	a.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
	if (fd < 0 || !base || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 ||
	    listen(fd, 1024) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
		perror("http_const");
		return 1;
	}
	s = og_http_server_new(base, &config, on_request, NULL, &err);
	if (!s || og_http_server_listen(s, fd, &err) < 0) {
		fprintf(stderr, "http_const: %s\n", err.message);
		return 1;
	}
	ints = evsignal_new(base, SIGINT, on_signal, base);
	terms = evsignal_new(base, SIGTERM, on_signal, base);
	event_add(ints, NULL);
	event_add(terms, NULL);
	printf("listening on 127.0.0.1:%u\n", ntohs(a.sin_port));
	fflush(stdout);
	event_base_dispatch(base);
	og_http_server_free(s);
	event_free(ints);
	event_free(terms);
	event_base_free(base);
	return 0;
}
