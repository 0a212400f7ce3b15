/* From the options to a bound socket: modes, refusals, the listen address. */
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
#define CONFIG_FILE "omnigraph.yaml"

/* --- which graph, and may it be served -------------------------------------------------------------- */

static int check_mode(const struct options *o, struct og_error *err)
{
	if (o->cluster && (o->uri || o->target || o->config))
		return og_error_set(err, OG_ERR_BAD,
				    "--cluster is an exclusive boot source; it cannot combine with a graph URI, "
				    "--target, or --config");
	if (o->cluster)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "serving a cluster is not available in this build; pass a graph URI");
	if (o->config)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "%s: reading a config file is not available in this build; pass a graph URI "
				    "without --config",
				    o->config);
	/* It may name a policy: to serve without it would be a way around it. */
	if (access(CONFIG_FILE, F_OK) == 0)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "./" CONFIG_FILE " would apply here, but reading a config file is not available "
				    "in this build; start in another directory");
	if (o->uri)
		return 0;
	if (o->target)
		return og_error_set(err, OG_ERR_NOT_FOUND, "graph '%s' not found in " CONFIG_FILE, o->target);
	return og_error_set(err, OG_ERR_BAD,
			    "no graph to serve: pass a URI (a local path, file://... or s3://bucket/prefix)");
}

/* file:// and trailing slashes go, nothing else changes. */
static int normalise_uri(struct master *m, struct og_error *err)
{
	const char *uri = m->opt.uri, *scheme = strstr(uri, "://");
	size_t n;

	if (strncmp(uri, "file://", 7) == 0) {
		uri += 7;
		if (uri[0] != '/')
			return og_error_set(err, OG_ERR_BAD, "%s: a file:// URI needs an absolute path", m->opt.uri);
	} else if (scheme && strncmp(uri, "s3://", 5) != 0) {
		return og_error_set(err, OG_ERR_BAD,
				    "%s: a graph URI is a local path, file://... or s3://bucket/prefix", uri);
	}
	m->uri_text = strdup(uri);
	if (!m->uri_text)
		return og_error_nomem(err);
	for (n = strlen(m->uri_text); n > 1 && m->uri_text[n - 1] == '/'; n--)
		m->uri_text[n - 1] = 0;
	m->graph_uri = m->uri_text;
	return 0;
}

/* Tokens x policy x --unauthenticated. This build checks no token, so it must not start where one is meant to protect. */
static int check_tokens(const struct options *o, struct og_error *err)
{
	static const char *const sources[] = {
		"OMNIGRAPH_SERVER_BEARER_TOKENS_AWS_SECRET",
		"OMNIGRAPH_SERVER_BEARER_TOKEN",
		"OMNIGRAPH_SERVER_BEARER_TOKENS_FILE",
		"OMNIGRAPH_SERVER_BEARER_TOKENS_JSON",
	};

	for (size_t i = 0; i < OG_COUNT(sources); i++)
		if (options_env(sources[i]))
			return og_error_set(err, OG_ERR_UNSUPPORTED,
					    "%s is set, but authentication by bearer tokens is not available in this "
					    "build; unset it and pass --unauthenticated to serve without",
					    sources[i]);
	if (!o->unauthenticated)
		return og_error_set(err, OG_ERR_DENIED,
				    "server has no bearer tokens and no policy file configured; anyone who reaches the "
				    "port could read and write: pass --unauthenticated (or set "
				    "OMNIGRAPH_UNAUTHENTICATED=1) to serve so");
	og_log(OG_LOG_WARN, "access.open", "text=\"no bearer tokens and no policy: every request is allowed\"");
	return 0;
}

int boot_check(struct master *m, struct og_error *err)
{
	int rc;

	if ((rc = check_mode(&m->opt, err)) < 0 || (rc = normalise_uri(m, err)) < 0 ||
	    (rc = check_tokens(&m->opt, err)) < 0)
		return rc;
	return 0;
}

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
	const char *text = m->opt.bind ? m->opt.bind : DEFAULT_BIND;
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
