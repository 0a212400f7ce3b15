/*
 * One connection and its server. Private to lib/http.
 *
 * A connection is freed when its descriptor is closed, its handler has no request of it, and nothing of it is on the stack (conn_release).
 * conn_run alone moves it from state to state; the functions of the public header note what was asked for and call it, unless it is
 * running already.
 */
#ifndef OG_HTTP_CONN_H
#define OG_HTTP_CONN_H

#include <sys/queue.h>

#include <event2/event_struct.h>

#include "base/buf.h"
#include "http/parse.h"

#define IN_SIZE (8u * OG_KIB)	      /* input buffer that most requests fit */
#define SCRATCH_SIZE (64u * OG_KIB)   /* bytes read at once at most */
#define SKIP_MAX (64u * OG_KIB)	      /* an unread body up to this length is read and dropped */
#define COPY_MAX (16u * OG_KIB)	      /* an answer up to this length is copied into one buffer */
#define WRITE_TURN (1u * OG_MIB)      /* bytes written at once at most */
#define LINGER_MS 30000u
#define SPARE_MAX 64u
#define LISTEN_MAX 16u
#define RUN_MAX 32u		      /* pipelined requests before others get their turn */

enum conn_state {
	CONN_HEAD,	/* waits for a request's head */
	CONN_HANDLER,	/* the handler has the request */
	CONN_BODY,	/* reading the body that the handler asked for */
	CONN_SEND,	/* the request has ended, its answer is going out */
	CONN_SKIP,	/* dropping the rest of a body that nobody read */
	CONN_LINGER,	/* answered and shut down; dropping input, lest a reset overtakes the answer */
	CONN_DEAD,	/* the descriptor is closed */
};

enum conn_timer { T_HEADER, T_IDLE, T_BODY, T_WRITE, T_LINGER, T_COUNT, T_NONE = T_COUNT };
enum conn_reading { RD_ON, RD_CLOSE /* only to see it closed */, RD_OFF };

struct conn {
	struct og_http_req req;	/* first: the handler's pointer is ours */
	struct og_http_server *s; /* NULL once that is gone */
	int fd;
	enum conn_state state;
	enum conn_timer timer;
	enum conn_reading reading;
	struct event rd, wr;
	bool rd_added, wr_added;
	bool running;		/* conn_run is on the stack */
	bool held;		/* the handler has the request */
	bool eof;		/* the peer sends no more */
	bool yielded;		/* conn_run stopped early */
	uint64_t due_ms, linger_end_ms;
	TAILQ_ENTRY(conn) timers, all;

	/* Input: head, then bytes of the body or of the next request. While the request is held the buffer does not move. */
	char *in;
	size_t in_len, in_cap;
	struct og_http_head head;
	size_t head_len;	/* 0: not complete yet */

	/* The body. */
	og_http_on_body on_body;
	uint64_t body_limit;
	struct og_http_chunks chunks;
	struct og_buf body;
	size_t body_charged;	/* bytes of body_memory_bytes */
	size_t body_in_place;	/* bytes of `in` behind the head that are the body */
	bool body_apart;	/* in `body`, not in place */
	bool body_asked, body_done;
	uint64_t skip_left;

	/* The answer: out, then main, then tail. */
	struct og_buf out, tail;
	size_t out_pos, main_pos, tail_pos;
	struct og_slice main;
	void (*release)(void *arg);
	void *release_arg;
	og_http_notify on_drained;
	uint64_t stream_left;
	bool begun, close, linger, streaming, framed /* as chunks */, mute /* HEAD */, want_drained;
};

TAILQ_HEAD(conn_list, conn);

struct og_http_server {
	struct event_base *base;
	og_http_on_request handler;
	void *arg;
	uint32_t timeout_ms[T_COUNT], tick_ms, max_connections, stream_buffer;
	uint64_t body_memory;
	struct conn_list timers[T_COUNT]; /* each in order of due_ms: one length a list */
	struct conn_list all;
	struct event tick;
	bool tick_added;
	struct event listeners[LISTEN_MAX];
	unsigned nlisteners;
	bool accepting, listening, draining, starved;
	struct event empty;
	void (*on_empty)(void *arg);
	void *empty_arg;
	struct og_http_stats stats;
	time_t date_at;
	char date[48];		/* the whole header line */
	size_t date_len;
	char *spares[SPARE_MAX];
	unsigned nspares;
	char scratch[SCRATCH_SIZE];
};

/* server.c */
uint64_t og_http_now_ms(void);
void og_http_timer(struct conn *c, enum conn_timer t);
char *og_http_spare_take(struct og_http_server *s);
void og_http_spare_give(struct og_http_server *s, char *p, size_t cap);
void og_http_date(struct og_http_server *s);
/* The connection's descriptor has gone. */
void og_http_server_lost(struct og_http_server *s);

/* conn.c */
/* A new one on fd; NULL without memory (fd stays open). */
struct conn *og_http_conn_new(struct og_http_server *s, int fd);
/* Moves on as far as it can. Frees c at the end if nothing needs it. */
void og_http_conn_run(struct conn *c);
void og_http_conn_readable(struct conn *c);
/* Closes the descriptor; tells the handler, if it has the request and `tell`. c stays until conn_release. */
void og_http_conn_drop(struct conn *c, bool tell);
/* Frees it if nothing needs it any more. */
void og_http_conn_release(struct conn *c);
void og_http_conn_timeout(struct conn *c);
/* The handler has ended the request: its answer is in out, main and tail. May free c. */
void og_http_conn_ended(struct conn *c);
enum og_http_flush { FLUSH_DONE, FLUSH_WAIT, FLUSH_DEAD };
/* Writes what it can; arms the write event (and its deadline) for the rest. */
enum og_http_flush og_http_conn_flush(struct conn *c);
static inline size_t og_http_pending(const struct conn *c)
{
	return c->out.len - c->out_pos + (c->main.len - c->main_pos) + (c->tail.len - c->tail_pos);
}

/* reply.c */
/* An answer without body to what never reached the handler; the connection closes. Leaves it in c->out. */
void og_http_refuse(struct conn *c, unsigned status);
void og_http_reply_clear(struct conn *c);

#endif
