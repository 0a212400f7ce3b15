/*
 * Outgoing HTTP/1.1 (RFC 9112): libcurl's multi interface on libevent.
 *
 * Every transfer is one attempt: it never follows a redirect, keeps no cookie, reads no .netrc and no variable of the
 * environment, and sends exactly the URL, the headers and the body that it was given. Connections are kept alive for 55 s.
 * Peer and host name are verified, TLS 1.2 or later, unless the request says otherwise.
 * Trust:   what a response holds is untrusted; header lines are bounded by 64 KiB in all, the body by max_bytes.
 * Memory:  URL, method and headers are copied; the bytes of a body and its descriptor stay the caller's and must live until
 *          the completion or og_net_cancel. What a response points at is valid during the completion only.
 * Threads: a client belongs to the thread that runs its event_base. Completions come from that loop, never from within a call
 *          of this header. Names are resolved by threads of libcurl's. The program calls og_net_global_init before any
 *          thread starts.
 */
#ifndef OG_NET_HTTP_CLIENT_H
#define OG_NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

struct event_base;
struct og_net;
struct og_net_transfer;

#define OG_NET_ERROR_BODY (64u * OG_KIB)	/* of an answer that is not 2xx no more is kept */

struct og_net_config {
	struct event_base *base;
	/* All may be NULL or empty and are copied. Proxies are URLs, perhaps with user and password. */
	const char *ca_file, *ca_dir;	/* instead of the system's */
	const char *https_proxy, *http_proxy, *all_proxy, *no_proxy;
};

struct og_net_header {
	const char *name, *value;	/* no CR, LF or NUL in either */
};

struct og_net_response;
/*
 * A completion; or, as `head`, a look at status and header fields when the first bytes of a 2xx body are there (outcome and body mean nothing
 * then): from within libcurl, so that no call of this header is allowed in it but og_net_header_find.
 */
typedef void (*og_net_cb)(void *arg, const struct og_net_response *res);

struct og_net_request {
	const char *method;		/* "GET", "HEAD", "PUT", ... */
	const char *url;		/* sent as it stands: nothing in it is squeezed or escaped */
	const struct og_net_header *headers;
	size_t nheaders;
	/* The body: bytes [offset, offset + len) of the parts in a row, or of the file. */
	const struct og_slice *parts;
	size_t nparts;
	bool from_fd;
	int fd;
	uint64_t offset, len;
	bool send_body;			/* false: no body; true with len 0: Content-Length: 0 */
	/* A body that was sent on a connection which then turned out dead is sent again only if this is set. */
	bool may_resend;
	uint64_t max_bytes;		/* of the answer's body; 0: 1 MiB */
	int sink_fd;			/* >= 0 and sink: the body of a 2xx answer is written here from sink_at on, not kept */
	uint64_t sink_at;
	bool sink;
	og_net_cb head;			/* see og_net_cb */
	unsigned connect_ms;		/* names, connection, TLS; 0: 5,000 */
	unsigned stall_s;		/* without a byte in either direction; 0: 30 */
	unsigned total_ms;		/* 0: no limit */
	bool no_proxy;			/* metadata services; loopback addresses never use one */
	bool no_verify;			/* TLS without verification */
};

/* What became of a transfer. */
enum og_net_outcome {
	OG_NET_ANSWERED,	/* a whole answer, whatever its status */
	OG_NET_NOT_SENT,	/* no byte of the request reached the server: worth another try */
	OG_NET_LOST,		/* it may have been carried out */
	OG_NET_TOO_LARGE,	/* the answer is longer than max_bytes */
	OG_NET_REFUSED,		/* certificate, URL, own disk: another try will not help */
};

/* What of TLS failed, for whoever words a remedy. */
enum og_net_tls {
	OG_NET_TLS_FINE,
	OG_NET_TLS_CERTIFICATE,	/* the server's is not trusted, or not for this host; or the file of trusted ones cannot be read */
	OG_NET_TLS_HANDSHAKE,
};

struct og_net_response {
	enum og_net_outcome outcome;
	const struct og_error *err;	/* not OG_NET_ANSWERED: the reason, naming the host */
	enum og_net_tls tls;
	unsigned status;
	struct og_slice body;		/* not with sink and 2xx */
	uint64_t received;		/* bytes of the body, also with sink */
	const struct og_buf *headers;	/* og_net_header_find */
};

/* Once per process, by main, before threads start. */
int og_net_global_init(struct og_error *err) OG_MUST_CHECK;

struct og_net *og_net_new(const struct og_net_config *config, struct og_error *err);
/* Transfers under way are dropped without their completions. NULL is fine. Not from within a completion. */
void og_net_free(struct og_net *n);

/*
 * The transfer (for og_net_cancel, valid until its completion), or NULL with *err: then the completion is not called. Over a connection that is open it
 * has left when this returns, as far as the socket takes it.
 */
struct og_net_transfer *og_net_start(struct og_net *n, const struct og_net_request *req, og_net_cb cb, void *arg,
				     struct og_error *err);
/* No completion any more. */
void og_net_cancel(struct og_net_transfer *t);

/* The first field of that name (any case), or false. Values are trimmed and NUL-terminated. */
bool og_net_header_find(const struct og_net_response *res, const char *name, const char **value);

/* The Date field, in seconds since the epoch. */
bool og_net_date(const struct og_net_response *res, int64_t *seconds);

/*
 * The store of header fields, on its own for tests. og_net_header_add takes a line as it came (CR LF may be there): a status line
 * empties the store, a field is kept, anything else is ignored. OG_ERR_TOO_LARGE beyond 64 KiB.
 */
int og_net_header_add(struct og_buf *fields, struct og_slice line, struct og_error *err) OG_MUST_CHECK;
bool og_net_header_get(const struct og_buf *fields, const char *name, const char **value);

/* Whether the URL's host is this host, by its spelling: localhost, 127.0.0.0/8, [::1]. */
bool og_net_is_loopback(const char *url);

#endif
