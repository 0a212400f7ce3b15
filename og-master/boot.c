/* The listening socket: the address, bind, and at last listen. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"
#include "og-master/master.h"
#include "proc/notify.h"

#define DEFAULT_BIND "127.0.0.1:8080"
#define LISTEN_BACKLOG 4096

/* --- the listening socket ---------------------------------------------------------------------------- */

static int split_addr(const char *text, char *host, size_t size, uint16_t *port, struct og_error *err)
{
	const char *colon = strrchr(text, ':');
	const char *from = text;
	size_t n = colon ? (size_t)(colon - text) : 0;
	uint64_t v;

	/* "::1" alone: the last colon is the address's own. */
	if (!colon || (text[0] != '[' && memchr(text, ':', n)) || (text[0] == '[' && (n < 2 || text[n - 1] != ']')))
		return og_error_set(err, OG_ERR_BAD, "invalid socket address: '%s' (HOST:PORT is expected)", text);
	if (!og_parse_u64(og_slice_str(colon + 1), &v) || colon[1] == '+' || v > UINT16_MAX)
		return og_error_set(err, OG_ERR_BAD, "invalid port value: '%s'", colon + 1);
	if (text[0] == '[') {
		from++;
		n -= 2;
	}
	if (!n || n >= size)
		return og_error_set(err, OG_ERR_BAD, "invalid socket address: '%s'", text);
	memcpy(host, from, n);
	host[n] = 0;
	*port = (uint16_t)v;
	return 0;
}

/* In the words that earlier releases used for a system error. */
static int system_error(struct og_error *err, int e)
{
	return og_error_set(err, OG_ERR_IO, "%s (os error %d)", strerror(e), e);
}

static int bind_one(const struct addrinfo *ai, int *fd, struct og_error *err)
{
	int f = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, e;

	if (f < 0) {
		e = errno;
		return system_error(err, e);
	}
	if (setsockopt(f, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(f, ai->ai_addr, ai->ai_addrlen) < 0) {
		e = errno;
		og_fd_close(&f);
		return system_error(err, e);
	}
	*fd = f;
	return 0;
}

static int write_addr(int fd, char *out, size_t size, struct og_error *err)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[INET6_ADDRSTRLEN];
	int e;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
		e = errno;
		return system_error(err, e);
	}
	if (ss.ss_family == AF_INET6) {
		struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)&ss;

		inet_ntop(AF_INET6, &s6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(s6->sin6_port));
	} else {
		struct sockaddr_in *s4 = (struct sockaddr_in *)&ss;

		inet_ntop(AF_INET, &s4->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(s4->sin_port));
	}
	return 0;
}

int boot_bind(struct master *m, struct og_error *err)
{
	const char *text = m->opt.bind ? m->opt.bind : m->config.server.bind ? m->config.server.bind : DEFAULT_BIND;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list = NULL;
	char host[256], service[8];
	uint16_t port = 0;
	int rc;

	if ((rc = split_addr(text, host, sizeof(host), &port, err)) < 0)
		return rc;
	snprintf(service, sizeof(service), "%u", port);
	rc = getaddrinfo(host, service, &hints, &list);
	if (rc != 0)
		return og_error_set(err, OG_ERR_IO, "failed to look up address of '%s': %s", host, gai_strerror(rc));
	/* The first address that can be bound, in the resolver's order. */
	for (struct addrinfo *ai = list; ai && m->listen_fd < 0; ai = ai->ai_next) {
		og_error_clear(err);
		rc = bind_one(ai, &m->listen_fd, err);
	}
	freeaddrinfo(list);
	if (m->listen_fd < 0)
		return rc < 0 ? rc : og_error_set(err, OG_ERR_IO, "no address for '%s'", host);
	return write_addr(m->listen_fd, m->addr, sizeof(m->addr), err);
}

int boot_serve(struct master *m, struct og_error *err)
{
	struct og_error ignored = { 0 };
	struct og_log_quoted q;
	int e;

	/* Two sockets can be bound to one port as long as neither listens. */
	if (listen(m->listen_fd, LISTEN_BACKLOG) < 0) {
		e = errno;
		return system_error(err, e);
	}
	printf("OMNIGRAPH_LISTEN_ADDR=%s\n", m->addr);
	if (fflush(stdout) != 0)
		og_log(OG_LOG_WARN, "listen.line", "text=\"stdout takes no listen line\"");
	og_log(OG_LOG_INFO, "serving", "mode=single graphs=1 uri=%s bind=%s workers=%zu",
	       og_log_quote(&q, m->graph_uri), m->addr, m->nchildren - CHILD_WORKERS);
	if (og_notify("READY=1", &ignored) < 0)
		og_log(OG_LOG_WARN, "notify", "reason=%s", og_log_quote(&q, ignored.message));
	return 0;
}
