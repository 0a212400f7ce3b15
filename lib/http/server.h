/*
 * Incoming HTTP/1.1 (RFC 9110, RFC 9112) on a libevent loop: connections, parsing, deadlines, answers. Knows no route.
 *
 * One handler function gets every request once its head is complete. It may answer at once or later, and decides after the head
 * whether the body is read at all (og_http_body) and up to which length. A request ends with exactly one call of a function marked
 * ENDS below; until then it and all slices it gave stay valid, even when the peer has gone; afterwards it must not be touched.
 * Requests of one connection are strictly one after the other: the next one is looked at when the answer's last byte was written.
 *
 * Malformed requests never reach the handler: 400, 414 (target over 65,534 bytes) or 431 (over 100 header lines or 64 KiB of them)
 * with an empty body, and the connection closes. Refused as malformed: folded lines, white space before the colon, control characters,
 * versions other than 1.0 and 1.1, Content-Length that differs or is no number, Transfer-Encoding other than one "chunked" or beside
 * a Content-Length. Accepted: bare LF as line end, empty lines before a request, no Host, absolute-form targets.
 *
 * Trust:   every byte is hostile; no length is believed before its bytes have come, no buffer grows beyond a stated limit,
 *          and a peer that does not read stops its own request alone.
 * Memory:  an idle connection holds no buffer.
 * Threads: everything on the loop's thread; another thread must hand results over by itself.
 */
#ifndef OG_HTTP_SERVER_H
#define OG_HTTP_SERVER_H

#include <event2/event.h>

#include "base/error.h"
#include "base/slice.h"

#define OG_HTTP_TARGET_MAX 65534u
#define OG_HTTP_FIELDS_MAX 100u		    /* header lines */
#define OG_HTTP_HEAD_MAX (64u * OG_KIB)	    /* bytes of all header lines */
#define OG_HTTP_STREAM_BUFFER (256u * OG_KIB) /* default of stream_buffer_bytes */

struct og_http_server;
struct og_http_req;

/* Zero anywhere means the default. */
struct og_http_config {
	uint32_t header_timeout_ms;    /* 30,000: from a request's first byte (or the connection's start) to the end of its head */
	uint32_t body_timeout_ms;      /* 60,000: without a byte of a body, or of room for an answer */
	uint32_t idle_timeout_ms;      /* 75,000: between requests */
	uint32_t max_connections;      /* 10,000; bounded by RLIMIT_NOFILE less 64 */
	uint64_t body_memory_bytes;    /* 512 MiB: bodies read or held, and heads over 8 KiB, all connections together */
	uint32_t stream_buffer_bytes;  /* when og_http_write says full */
};

/* The head of a request is complete. Must end it, now or later. */
typedef void (*og_http_on_request)(void *arg, struct og_http_req *r);
/*
 * The body is complete (rc 0), or will not be: OG_ERR_TOO_LARGE (over the limit), OG_ERR_BAD (broken chunk or cut off),
 * OG_ERR_UNAVAILABLE (body_memory_bytes is used up), OG_ERR_NOMEM, OG_ERR_CANCELLED (the peer has gone: on_gone is not called for it).
 * After an error the answer closes the connection. Must end the request, now or later.
 */
typedef void (*og_http_on_body)(void *arg, struct og_http_req *r, int rc, struct og_slice body);
typedef void (*og_http_notify)(void *arg, struct og_http_req *r);

enum og_http_method { OG_HTTP_OTHER, OG_HTTP_GET, OG_HTTP_HEAD, OG_HTTP_POST, OG_HTTP_DELETE, OG_HTTP_PUT, OG_HTTP_OPTIONS };

/* Read-only for the handler, except where said. */
struct og_http_req {
	enum og_http_method method;
	struct og_slice method_text;
	struct og_slice path;	 /* as sent: undecoded, from the first slash; of an absolute target what follows the authority */
	struct og_slice query;	 /* behind '?', as sent; p NULL without '?' */
	struct og_slice fields;	 /* all header lines, as sent; see og_http_header */
	uint8_t minor;		 /* HTTP/1.minor */
	bool has_body;		 /* one follows: chunked, or a length above 0 */
	bool chunked;
	uint64_t length;	 /* declared Content-Length, 0 without */
	/* Set by the handler: its own pointer, and what is called once when the peer goes away (closes its end, were it only for
	 * writing; or the server is freed) before the request ended. The request must still be ended; cancel the work and do so. */
	void *user;
	og_http_notify on_gone;
};

/* ---- server ---- */

struct og_http_server *og_http_server_new(struct event_base *base, const struct og_http_config *c, og_http_on_request handler,
					  void *arg, struct og_error *err);
/*
 * Accepts from a bound socket that listens already; takes it over (closes it at the end, not on failure). One connection is accepted
 * per wake-up, so that processes that share the socket share the load. At most 16 sockets.
 */
int og_http_server_listen(struct og_http_server *s, int fd, struct og_error *err) OG_MUST_CHECK;
/* Serves a connected stream socket; takes it over, also on failure. */
int og_http_server_adopt(struct og_http_server *s, int fd, struct og_error *err) OG_MUST_CHECK;
/* Stops and resumes accepting; a stopped server's sockets stay open. */
void og_http_server_accept(struct og_http_server *s, bool on);
/*
 * For good: closes the listening sockets and the idle connections; every further answer says Connection: close. on_empty (may be NULL)
 * is called once from the loop when the last connection is gone, at the earliest in the loop's next round.
 */
void og_http_server_drain(struct og_http_server *s, void (*on_empty)(void *arg), void *arg);
void og_http_server_close_idle(struct og_http_server *s);

struct og_http_stats {
	uint64_t accepted, refused /* by the limit or for want of memory */, requests, malformed, timed_out;
	uint64_t connections, in_flight; /* now */
	uint64_t body_bytes;		 /* now, of body_memory_bytes */
};
struct og_http_stats og_http_server_stats(const struct og_http_server *s);
/* Closes everything. Requests in flight see on_gone (or on_body with OG_ERR_CANCELLED) within this call; they may be ended later, too. NULL is fine. */
void og_http_server_free(struct og_http_server *s);

/* ---- request ---- */

/* Value of the first header line of that name (any case), without surrounding white space. false: none. */
bool og_http_header(const struct og_http_req *r, const char *name, struct og_slice *value);
size_t og_http_header_count(const struct og_http_req *r, const char *name);
/*
 * Reads the body, at most `limit` bytes of it, then calls on_body(r->user, ...), possibly before this returns. Says 100 Continue first
 * if the client waits for it. At most once per request; without it the body is skipped when short, else the answer closes the connection.
 * The slice stays valid until the request ends.
 */
void og_http_body(struct og_http_req *r, uint64_t limit, og_http_on_body on_body);
/* The answer will close the connection. */
void og_http_set_close(struct og_http_req *r);
bool og_http_gone(const struct og_http_req *r);

/* ---- answer ---- */

/* Status line, Date, Content-Type (NULL: none). First of the answer; once. */
void og_http_begin(struct og_http_req *r, unsigned status, const char *content_type);
/* One more header line. A value with control characters other than TAB is not sent at all. */
void og_http_add(struct og_http_req *r, const char *name, struct og_slice value);

/* head and tail are copied; main is borrowed until release(arg) (may be NULL) is called, once, from the loop's thread, perhaps before return. */
struct og_http_parts {
	struct og_slice head, main, tail;
	void (*release)(void *arg);
	void *arg;
};

/* ENDS. With Content-Length; to HEAD the same without the bytes. */
void og_http_send(struct og_http_req *r, const struct og_http_parts *parts);
/* ENDS. The same with a copy of these bytes. */
void og_http_send_slice(struct og_http_req *r, struct og_slice body);
/* ENDS. No body: Content-Length: 0, which HEAD, 204 and 304 do not get. */
void og_http_send_empty(struct og_http_req *r);
/* ENDS. Header lines alone, announcing a length: for HEAD and 304. */
void og_http_send_length(struct og_http_req *r, uint64_t length);

#define OG_HTTP_CHUNKED UINT64_MAX
/*
 * A body in pieces: chunked (to HTTP/1.0: ended by the close), or of a given length. on_drained(r->user, r) is called from the loop whenever
 * og_http_write had said full and half of the buffer has gone out.
 */
void og_http_stream(struct og_http_req *r, uint64_t length, og_http_notify on_drained);
enum og_http_room {
	OG_HTTP_ROOM,	/* go on */
	OG_HTTP_FULL,	/* taken, but wait for on_drained before the next one */
	OG_HTTP_GONE,	/* nobody reads any more: og_http_break */
};
/* Copies. Empty pieces are nothing. When it finds the peer gone it says so, and on_gone is not called any more. */
enum og_http_room og_http_write(struct og_http_req *r, struct og_slice piece);
/* ENDS. All was written; of a given length less: as og_http_break. */
void og_http_finish(struct og_http_req *r);
/* ENDS. Closes the connection with the answer unterminated (before og_http_begin: without an answer). What was written already may be lost. */
void og_http_break(struct og_http_req *r);

#endif
