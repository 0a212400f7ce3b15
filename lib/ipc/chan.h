/*
 * One end of a channel between two of our processes: messages of ipc/messages.h over a SOCK_SEQPACKET socket,
 * driven by libevent. Nothing here blocks.
 *
 * A channel checks every packet against the message table (size, class, the peer's role) and against the const rule
 * table of its owner (which types this peer may send in its present state). Anything else closes it, with a logged
 * reason: unknown or forbidden message, truncated or surplus control data, a memfd without its seals, an answer that
 * nobody waits for, a handler that returned below 0.
 *
 * Sending:    og_chan_send, og_chan_request, og_chan_answer encode into a struct og_buf first; the channel copies it, so
 *             the buffer stays the caller's. Bodies over 64 KiB of class LARGE travel as sealed memfds by themselves.
 *             What the socket does not take at once is queued; pushes are dropped (OG_ERR_UNAVAILABLE) when 1,024
 *             messages or 16 MiB wait, requests and answers fail beyond 8,192 messages or 256 MiB.
 * Requests:   at most 1,024 open ones each way. A peer that has 1,024 requests or 256 MiB of them unanswered is not
 *             read from until answers go out, so every request handler must lead to exactly one final answer
 *             (og_chan_answer without MORE, og_chan_fail), now or later.
 * Descriptors: sent ones stay the caller's (duplicated while queued). Received ones (msg->fd) belong to the channel and
 *             are closed after the handler, unless it takes them: og_ipc_take_fd.
 * Memory:     og_chan_free may be called from within any handler or callback of the channel.
 * Threads:    the loop's thread alone.
 */
#ifndef OG_IPC_CHAN_H
#define OG_IPC_CHAN_H

#include <event2/event.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/error.h"
#include "ipc/messages.h"

#define OG_CHAN_REQUESTS_MAX 1024u
#define OG_CHAN_BYTES_MAX (256u * OG_MIB)

/* States of a peer, as bits of a rule's mask. */
enum og_ipc_state {
	OG_IPC_NEW = 1,	    /* n: has not said HELLO / not got START */
	OG_IPC_BOOTING = 2, /* b */
	OG_IPC_RUNNING = 4, /* r: running or draining */
};
#define OG_IPC_ANY_STATE 7u

struct og_chan;

struct og_ipc_msg {
	uint16_t type;
	uint16_t flags;
	uint32_t request;     /* 0: a push */
	struct og_slice body; /* valid during the handler; og_ipc_keep for longer */
	int fd;		      /* the message's descriptor or -1 */
	struct og_chan *chan;
	bool mapped; /* body is a mapping of a sealed memfd */
};

/* Handles one message. Below 0 (with *err) closes the channel: only for what an honest peer never sends; whatever
 * merely fails is answered with og_chan_fail. */
typedef int (*og_ipc_handler)(void *arg, struct og_ipc_msg *m, struct og_error *err);

struct og_ipc_rule {
	uint16_t type;
	uint16_t states; /* mask of og_ipc_state */
	og_ipc_handler fn;
};

/*
 * The end of a request. m is the answer (any type but FAILED: check m->type), or NULL with *err saying why there is
 * none: the peer's FAILED, OG_ERR_TIMEOUT after the deadline, OG_ERR_UNAVAILABLE when the channel closed. Called exactly
 * once, or, with OG_IPC_F_MORE in m->flags, once more for each further answer; never from within og_chan_request.
 * Below 0 closes the channel (an answer of a type that does not fit).
 */
typedef int (*og_ipc_answer)(void *arg, struct og_ipc_msg *m, struct og_error *err);

struct og_chan_cfg {
	enum og_role self, peer;
	const struct og_ipc_rule *rules; /* const table, lives longer than the channel */
	size_t nrules;
	void *arg; /* handed to handlers and closed() */
	/* The channel came to its end by itself: why->code 0 when the peer closed it in order, else the reason. Open
	 * requests have been failed before. The owner calls og_chan_free here or later. */
	void (*closed)(void *arg, struct og_chan *c, const struct og_error *why);
};

/* Takes fd (made non-blocking and close-on-exec), also when it fails. State: OG_IPC_NEW. NULL with *err. */
struct og_chan *og_chan_new(struct event_base *base, int fd, const struct og_chan_cfg *cfg, struct og_error *err);
/* Closes; open requests get their end (OG_ERR_UNAVAILABLE) first, closed() is not called. Accepts NULL. */
void og_chan_free(struct og_chan *c);
void og_chan_set_state(struct og_chan *c, enum og_ipc_state state);
enum og_ipc_state og_chan_state(const struct og_chan *c);
/* False once it was closed by itself: nothing will be sent any more. */
bool og_chan_alive(const struct og_chan *c);
/* Bytes that wait in the send queue. */
size_t og_chan_queued(const struct og_chan *c);
/* Waits up to ms (poll) until the queue is empty: for last words before exit. */
void og_chan_flush(struct og_chan *c, int ms);

/* Handles whatever has arrived, up to the end if the peer is gone: for the last words of a process that has ended. The channel may be
 * closed() in the course of it. */
void og_chan_read_now(struct og_chan *c);

/* A push. body may be NULL (empty), fd -1. A failed og_buf is OG_ERR_NOMEM. */
int og_chan_send(struct og_chan *c, enum og_ipc_type type, const struct og_buf *body, int fd, struct og_error *err);
/* Asks. deadline_ms 0: none. *request (may be NULL) names it for og_chan_forget. On failure (OG_ERR_UNAVAILABLE, ...) fn
 * is not called. */
int og_chan_request(struct og_chan *c, enum og_ipc_type type, const struct og_buf *body, int fd, uint32_t deadline_ms,
		    og_ipc_answer fn, void *arg, uint32_t *request, struct og_error *err);
/* Nobody waits any more: fn is not called for it, a late answer is dropped. */
void og_chan_forget(struct og_chan *c, uint32_t request);
/* The final answer to an open request of the peer; with `more`, one of several. A dead channel takes it silently (0). */
int og_chan_answer(struct og_chan *c, uint32_t request, enum og_ipc_type type, const struct og_buf *body, int fd,
		   struct og_error *err);
int og_chan_answer_more(struct og_chan *c, uint32_t request, enum og_ipc_type type, const struct og_buf *body, int fd,
			struct og_error *err);
/* The final answer FAILED. why->code must be below 0. */
void og_chan_fail(struct og_chan *c, uint32_t request, const struct og_error *why);

static inline struct og_reader og_ipc_body(const struct og_ipc_msg *m)
{
	return og_reader_init(m->body);
}
/* The descriptor, now the caller's; m->fd is -1 afterwards. */
int og_ipc_take_fd(struct og_ipc_msg *m);

/* A body that outlives its handler: the mapping taken over, or a copy. */
struct og_ipc_kept {
	struct og_slice body;
	bool mapped;
};
int og_ipc_keep(struct og_ipc_msg *m, struct og_ipc_kept *out, struct og_error *err) OG_MUST_CHECK;
void og_ipc_kept_fini(struct og_ipc_kept *k); /* accepts {0} and twice */

/* A SOCK_SEQPACKET socketpair, close-on-exec. */
int og_ipc_pair(int fds[2], struct og_error *err) OG_MUST_CHECK;

#endif
