/* One end of a channel: packets in and out, requests and their answers, limits. */
#include "config.h"

#include "ipc/chan.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <fcntl.h>

#include <event2/event_struct.h>

#include "base/fd.h"
#include "base/log.h"
#include "ipc/wire.h"

#define PUSH_QUEUE_MESSAGES 1024u
#define PUSH_QUEUE_BYTES (16u * OG_MIB)
#define QUEUE_MESSAGES 8192u
/* What one wake-up may read, so that one peer cannot hold the loop. */
#define READ_PACKETS 64
/* A request number is a generation above a slot; slots are below the limit of open requests. */
#define SLOT_MASK (OG_CHAN_REQUESTS_MAX - 1)
#define SLOT_BITS 10
_Static_assert(OG_CHAN_REQUESTS_MAX == 1u << SLOT_BITS, "slots and limit are one thing");

struct packet {
	struct packet *next;
	int fd; /* ours, or -1 */
	size_t weight;
	size_t len;
	uint8_t data[];
};

enum pending_state { PENDING_FREE, PENDING_OPEN, PENDING_FORGOTTEN };

/* A request of ours. Forgotten ones keep their slot until the peer has answered: it counts them too. */
struct pending {
	struct og_chan *chan;
	enum pending_state state;
	uint32_t request; /* the number in use, or the last one */
	uint16_t type;
	uint32_t deadline_ms;
	og_ipc_answer fn;
	void *arg;
	struct event timer;
};

/* A request of the peer that awaits its answer; request 0: free. */
struct incoming {
	uint32_t request;
	uint32_t bytes;
};

struct og_chan {
	struct event_base *base;
	struct og_chan_cfg cfg;
	int fd;
	enum og_ipc_state state;
	bool alive, write_broken, freed;
	unsigned depth; /* callbacks under way: memory stays */
	struct event read, write, retry, defer;
	struct og_error fault; /* why it dies, told by on_defer */

	struct packet *head, **tail;
	size_t queued, nqueued;

	struct pending **pending;
	size_t npending, open_out;
	struct incoming *incoming;
	size_t nincoming, open_in, bytes_in;
};

/* --- life ------------------------------------------------------------------------------------------ */

static void drop_queue(struct og_chan *c)
{
	struct packet *p;

	while ((p = c->head)) {
		c->head = p->next;
		og_fd_close(&p->fd);
		free(p);
	}
	c->tail = &c->head;
	c->queued = c->nqueued = 0;
}

static void enter(struct og_chan *c)
{
	c->depth++;
}

/* False: c is gone. */
static bool leave(struct og_chan *c)
{
	if (--c->depth || !c->freed)
		return true;
	for (size_t i = 0; i < c->npending; i++)
		free(c->pending[i]);
	free(c->pending);
	free(c->incoming);
	free(c);
	return false;
}

static void fail_pending(struct og_chan *c)
{
	for (size_t i = 0; i < c->npending; i++) {
		struct pending *p = c->pending[i];
		struct og_error err = { 0 };

		event_del(&p->timer);
		if (p->state == PENDING_OPEN) {
			p->state = PENDING_FREE;
			og_error_set(&err, OG_ERR_UNAVAILABLE, "the channel to the %s closed before it answered %s",
				     og_role_name(c->cfg.peer), og_ipc_name(p->type));
			(void)p->fn(p->arg, NULL, &err); /* closing already */
		}
		p->state = PENDING_FREE;
	}
	c->open_out = 0;
}

static void shut(struct og_chan *c)
{
	c->alive = false;
	event_del(&c->read);
	event_del(&c->write);
	event_del(&c->retry);
	event_del(&c->defer);
	og_fd_close(&c->fd);
	drop_queue(c);
	c->open_in = c->bytes_in = 0;
	fail_pending(c);
}

/* The end that nobody here asked for. The caller holds a depth. */
static void die(struct og_chan *c, const struct og_error *why)
{
	struct og_log_quoted q;

	if (!c->alive)
		return;
	if (why->code)
		og_log(OG_LOG_WARN, "ipc.close", "peer=%s reason=%s", og_role_name(c->cfg.peer),
		       og_log_quote(&q, why->message));
	shut(c);
	if (!c->freed && c->cfg.closed)
		c->cfg.closed(c->cfg.arg, c, why);
}

/* Dies as soon as the loop runs again: senders must find their channel in place when they return. */
static void die_later(struct og_chan *c, const struct og_error *why)
{
	if (!c->fault.code)
		c->fault = *why;
	event_active(&c->defer, EV_TIMEOUT, 0);
}

static void on_defer(evutil_socket_t fd, short what, void *arg)
{
	struct og_chan *c = arg;

	enter(c);
	die(c, &c->fault);
	leave(c);
}

void og_chan_free(struct og_chan *c)
{
	if (!c || c->freed)
		return;
	c->freed = true;
	enter(c);
	if (c->alive)
		shut(c);
	leave(c);
}

/* --- out ------------------------------------------------------------------------------------------- */

enum sent { SENT_DONE, SENT_FULL, SENT_LATER, SENT_BROKEN, SENT_ERROR };

static enum sent send_packet(struct og_chan *c, const struct iovec *iov, size_t niov, int fd, struct og_error *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = niov };
	int e;

	if (fd >= 0) {
		struct cmsghdr *cm;

		msg.msg_control = ctl.buf;
		msg.msg_controllen = sizeof(ctl.buf);
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	}
	for (;;) {
		if (sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return SENT_DONE;
		e = errno;
		if (e == EINTR)
			continue;
		if (e == EAGAIN)
			return SENT_FULL;
		/* Too many descriptors in flight, or no kernel memory: the socket may well be writable. */
		if (e == ETOOMANYREFS || e == ENOBUFS || e == ENOMEM)
			return SENT_LATER;
		if (e == EPIPE || e == ECONNRESET || e == ENOTCONN)
			return SENT_BROKEN;
		og_error_sys(err, e, "sending to the %s", og_role_name(c->cfg.peer));
		return SENT_ERROR;
	}
}

/* The peer is gone, but what it said before may still be there to read: only reading ends the channel. */
static void stop_writing(struct og_chan *c)
{
	c->write_broken = true;
	drop_queue(c);
	event_del(&c->write);
	event_add(&c->read, NULL);
}

/* True: the packet is disposed of (sent, or the channel cannot send). False: try again after the event. */
static bool settle(struct og_chan *c, enum sent sent, const struct og_error *err)
{
	static const struct timeval soon = { 0, 10000 };

	switch (sent) {
	case SENT_DONE:
		return true;
	case SENT_FULL:
		event_add(&c->write, NULL);
		return false;
	case SENT_LATER:
		event_del(&c->write);
		event_add(&c->retry, &soon);
		return false;
	case SENT_BROKEN:
		stop_writing(c);
		return true;
	case SENT_ERROR:
		c->write_broken = true;
		die_later(c, err);
		return true;
	}
	return true;
}

static void flush_queue(struct og_chan *c)
{
	struct og_error err = { 0 };
	struct packet *p;

	while ((p = c->head)) {
		struct iovec iov = { p->data, p->len };

		if (!settle(c, send_packet(c, &iov, 1, p->fd, &err), &err))
			return;
		if (c->write_broken) {
			drop_queue(c);
			return;
		}
		c->head = p->next;
		if (!c->head)
			c->tail = &c->head;
		c->queued -= p->weight;
		c->nqueued--;
		og_fd_close(&p->fd);
		free(p);
	}
	event_del(&c->write);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	flush_queue(arg);
}

static int enqueue(struct og_chan *c, const uint8_t *header, struct og_slice body, int fd, size_t weight,
		   struct og_error *err)
{
	struct packet *p = malloc(sizeof(*p) + OG_IPC_HEADER_SIZE + body.len);
	int e;

	if (!p)
		return og_error_nomem(err);
	p->fd = -1;
	if (fd >= 0 && (p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0) {
		e = errno;
		free(p);
		return og_error_sys(err, e, "keeping a descriptor for the %s", og_role_name(c->cfg.peer));
	}
	p->next = NULL;
	p->weight = weight;
	p->len = OG_IPC_HEADER_SIZE + body.len;
	memcpy(p->data, header, OG_IPC_HEADER_SIZE);
	if (body.len)
		memcpy(p->data + OG_IPC_HEADER_SIZE, body.p, body.len);
	*c->tail = p;
	c->tail = &p->next;
	c->queued += weight;
	c->nqueued++;
	return 0;
}

static int check_room(const struct og_chan *c, const struct og_ipc_row *row, size_t weight, struct og_error *err)
{
	bool push = row->kind == OG_IPC_PUSH;

	/* FAILED always finds room: without it the request would stay open for ever. */
	if (row->type == OG_IPC_FAILED)
		return 0;
	if (c->nqueued >= (push ? PUSH_QUEUE_MESSAGES : QUEUE_MESSAGES) ||
	    c->queued + weight > (push ? PUSH_QUEUE_BYTES : OG_CHAN_BYTES_MAX))
		return og_error_set(err, OG_ERR_UNAVAILABLE, "the %s does not take its messages (%zu wait)",
				    og_role_name(c->cfg.peer), c->nqueued);
	return 0;
}

/* A body that the packet cannot carry becomes a sealed memfd. */
static int put(struct og_chan *c, const struct og_ipc_row *row, struct og_ipc_header *h, struct og_slice body, int fd,
	       struct og_error *err)
{
	uint8_t header[OG_IPC_HEADER_SIZE];
	struct iovec iov[2];
	size_t weight = OG_IPC_HEADER_SIZE + body.len;
	int rc, memfd = -1;

	if ((rc = check_room(c, row, weight, err)) < 0)
		return rc;
	if (body.len > OG_IPC_INLINE_MAX) {
		if ((rc = og_memfd_from("og-message", body, &memfd, err)) < 0)
			return rc;
		h->flags |= OG_IPC_F_MEMFD;
		body.len = 0;
		fd = memfd;
	} else if (fd >= 0) {
		h->flags |= OG_IPC_F_FD;
	}
	og_ipc_header_encode(h, header);
	iov[0] = (struct iovec){ header, sizeof(header) };
	iov[1] = (struct iovec){ (void *)body.p, body.len };
	rc = 0;
	if (c->head || !settle(c, send_packet(c, iov, body.len ? 2 : 1, fd, err), err))
		rc = enqueue(c, header, body, fd, weight, err);
	og_fd_close(&memfd);
	return rc;
}

static int send_message(struct og_chan *c, enum og_ipc_kind kind, enum og_ipc_type type, uint32_t request,
			unsigned flags, const struct og_buf *b, int fd, struct og_error *err)
{
	const struct og_ipc_row *row = og_ipc_row(type);
	struct og_slice body = b ? og_buf_view(b) : og_slice(NULL, 0);
	struct og_ipc_header h = { .type = (uint16_t)type, .flags = (uint16_t)flags, .request = request };
	bool takes_fd = row && (row->class == OG_IPC_FD || row->class == OG_IPC_FD_OPT);
	int rc;

	if (b && (rc = og_buf_ok(b, err)) < 0)
		return rc;
	if (!row || row->kind != kind || !(row->by & (1u << c->cfg.self)) || (fd >= 0 && !takes_fd) ||
	    (fd < 0 && row->class == OG_IPC_FD))
		return og_error_set(err, OG_ERR_INTERNAL, "message %s cannot be sent so", og_ipc_name(type));
	if (body.len > row->limit)
		return og_error_set(err, OG_ERR_TOO_LARGE, "%s of %zu bytes, limit %u", row->name, body.len,
				    row->limit);
	h.length = (uint32_t)body.len;
	return put(c, row, &h, body, fd, err);
}

static int unavailable(const struct og_chan *c, struct og_error *err)
{
	return og_error_set(err, OG_ERR_UNAVAILABLE, "no channel to the %s", og_role_name(c->cfg.peer));
}

int og_chan_send(struct og_chan *c, enum og_ipc_type type, const struct og_buf *body, int fd, struct og_error *err)
{
	if (!c->alive || c->write_broken)
		return unavailable(c, err);
	return send_message(c, OG_IPC_PUSH, type, 0, 0, body, fd, err);
}

/* --- our requests ---------------------------------------------------------------------------------- */

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct pending *p = arg;
	struct og_chan *c = p->chan;
	struct og_error err = { 0 };

	p->state = PENDING_FORGOTTEN;
	og_error_set(&err, OG_ERR_TIMEOUT, "the %s did not answer %s within %u ms", og_role_name(c->cfg.peer),
		     og_ipc_name(p->type), p->deadline_ms);
	enter(c);
	if (p->fn(p->arg, NULL, &err) < 0)
		die(c, &err);
	leave(c);
}

static struct pending *new_pending(struct og_chan *c)
{
	struct pending **grown, *p;
	size_t i;

	for (i = 0; i < c->npending; i++)
		if (c->pending[i]->state == PENDING_FREE)
			return c->pending[i];
	if (i == OG_CHAN_REQUESTS_MAX)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	grown = realloc(c->pending, (i + 1) * sizeof(*grown));
	if (!grown) {
		free(p);
		return NULL;
	}
	c->pending = grown;
	c->pending[i] = p;
	c->npending++;
	p->chan = c;
	p->request = (uint32_t)i;
	evtimer_assign(&p->timer, c->base, on_deadline, p);
	return p;
}

/* The next generation of the slot; never 0, which means "no request". */
static uint32_t next_number(uint32_t last)
{
	uint32_t n = last + OG_CHAN_REQUESTS_MAX;

	return n > SLOT_MASK ? n : n + OG_CHAN_REQUESTS_MAX;
}

int og_chan_request(struct og_chan *c, enum og_ipc_type type, const struct og_buf *body, int fd, uint32_t deadline_ms,
		    og_ipc_answer fn, void *arg, uint32_t *request, struct og_error *err)
{
	struct timeval tv = { deadline_ms / 1000, (suseconds_t)(deadline_ms % 1000) * 1000 };
	struct pending *p;
	int rc;

	if (!c->alive || c->write_broken)
		return unavailable(c, err);
	p = new_pending(c);
	if (!p)
		return og_error_set(err, OG_ERR_UNAVAILABLE, "%zu requests to the %s are unanswered", c->open_out,
				    og_role_name(c->cfg.peer));
	p->request = next_number(p->request);
	rc = send_message(c, OG_IPC_REQUEST, type, p->request, 0, body, fd, err);
	if (rc < 0)
		return rc;
	p->state = PENDING_OPEN;
	p->type = (uint16_t)type;
	p->fn = fn;
	p->arg = arg;
	p->deadline_ms = deadline_ms;
	c->open_out++;
	if (deadline_ms)
		evtimer_add(&p->timer, &tv);
	if (request)
		*request = p->request;
	return 0;
}

static struct pending *find_pending(struct og_chan *c, uint32_t request)
{
	size_t slot = request & SLOT_MASK;
	struct pending *p = slot < c->npending ? c->pending[slot] : NULL;

	return p && p->state != PENDING_FREE && p->request == request ? p : NULL;
}

void og_chan_forget(struct og_chan *c, uint32_t request)
{
	struct pending *p = find_pending(c, request);

	if (!p)
		return;
	event_del(&p->timer);
	p->state = PENDING_FORGOTTEN;
}

static int on_answer(struct og_chan *c, struct og_ipc_msg *m, struct og_error *err)
{
	struct pending *p = find_pending(c, m->request);
	bool more = m->flags & OG_IPC_F_MORE, wanted;
	struct og_error why = { 0 };
	int rc;

	if (!p)
		return og_error_set(err, OG_ERR_PEER, "%s answers request %u, which is not open", og_ipc_name(m->type),
				    m->request);
	if (m->type == OG_IPC_FAILED && more)
		return og_error_set(err, OG_ERR_PEER, "FAILED is a last answer");
	wanted = p->state == PENDING_OPEN;
	if (!more) {
		event_del(&p->timer);
		p->state = PENDING_FREE;
		c->open_out--;
	}
	if (!wanted)
		return 0;
	if (m->type != OG_IPC_FAILED)
		return p->fn(p->arg, m, err);
	if ((rc = og_wire_get_error(m->body, &why, err)) < 0) {
		/* The owner still gets its end; the channel then closes. */
		(void)p->fn(p->arg, NULL, err);
		return rc;
	}
	rc = p->fn(p->arg, NULL, &why);
	if (rc < 0)
		*err = why;
	return rc;
}

/* --- the peer's requests --------------------------------------------------------------------------- */

static bool full(const struct og_chan *c)
{
	return c->open_in >= OG_CHAN_REQUESTS_MAX || c->bytes_in >= OG_CHAN_BYTES_MAX;
}

static int open_incoming(struct og_chan *c, uint32_t request, uint32_t bytes, struct og_error *err)
{
	size_t slot = request & SLOT_MASK, want;
	struct incoming *grown;

	if (slot >= c->nincoming) {
		want = OG_MAX(c->nincoming * 2, (size_t)16);
		want = OG_MAX(want, slot + 1);
		grown = realloc(c->incoming, want * sizeof(*grown));
		if (!grown)
			return og_error_nomem(err);
		memset(grown + c->nincoming, 0, (want - c->nincoming) * sizeof(*grown));
		c->incoming = grown;
		c->nincoming = want;
	}
	if (c->incoming[slot].request)
		return og_error_set(err, OG_ERR_PEER, "request %u while %u is open", request,
				    c->incoming[slot].request);
	c->incoming[slot] = (struct incoming){ request, bytes };
	c->open_in++;
	c->bytes_in += bytes;
	return 0;
}

static struct incoming *find_incoming(struct og_chan *c, uint32_t request)
{
	size_t slot = request & SLOT_MASK;

	if (!request || slot >= c->nincoming || c->incoming[slot].request != request)
		return NULL;
	return &c->incoming[slot];
}

static int answer(struct og_chan *c, uint32_t request, enum og_ipc_type type, unsigned flags,
		  const struct og_buf *body, int fd, struct og_error *err)
{
	struct incoming *in;
	int rc;

	if (!c->alive)
		return 0;
	in = find_incoming(c, request);
	if (!in)
		return og_error_set(err, OG_ERR_INTERNAL, "%s answers request %u, which is not open",
				    og_ipc_name(type), request);
	if (!c->write_broken && (rc = send_message(c, OG_IPC_ANSWER, type, request, flags, body, fd, err)) < 0)
		return rc;
	if (flags & OG_IPC_F_MORE)
		return 0;
	c->open_in--;
	c->bytes_in -= in->bytes;
	in->request = 0;
	if (!full(c) && c->alive)
		event_add(&c->read, NULL);
	return 0;
}

int og_chan_answer(struct og_chan *c, uint32_t request, enum og_ipc_type type, const struct og_buf *body, int fd,
		   struct og_error *err)
{
	return answer(c, request, type, 0, body, fd, err);
}

int og_chan_answer_more(struct og_chan *c, uint32_t request, enum og_ipc_type type, const struct og_buf *body, int fd,
			struct og_error *err)
{
	return answer(c, request, type, OG_IPC_F_MORE, body, fd, err);
}

void og_chan_fail(struct og_chan *c, uint32_t request, const struct og_error *why)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	og_wire_put_error(&b, why);
	if (answer(c, request, OG_IPC_FAILED, 0, &b, -1, &err) < 0)
		die_later(c, &err); /* unanswered for ever otherwise */
	og_buf_fini(&b);
}

/* --- in -------------------------------------------------------------------------------------------- */

static int dispatch(struct og_chan *c, struct og_ipc_msg *m, struct og_error *err)
{
	const struct og_ipc_rule *rule = NULL;
	int rc;

	for (size_t i = 0; i < c->cfg.nrules && !rule; i++)
		if (c->cfg.rules[i].type == m->type)
			rule = &c->cfg.rules[i];
	if (!rule)
		return og_error_set(err, OG_ERR_PEER, "%s is nothing that a %s may send here", og_ipc_name(m->type),
				    og_role_name(c->cfg.peer));
	if (!(rule->states & c->state))
		return og_error_set(err, OG_ERR_PEER, "%s in state %d", og_ipc_name(m->type), (int)c->state);
	if (m->request && (rc = open_incoming(c, m->request, (uint32_t)m->body.len, err)) < 0)
		return rc;
	return rule->fn(c->cfg.arg, m, err);
}

static int map_body(struct og_ipc_msg *m, int *fd, uint32_t length, struct og_error *err)
{
	uint64_t size;
	int rc;

	if ((rc = og_memfd_check(*fd, &size, err)) < 0)
		return rc;
	if (size != length)
		return og_error_set(err, OG_ERR_PEER, "%s: %u bytes announced, the memfd has %llu",
				    og_ipc_name(m->type), length, (unsigned long long)size);
	if ((rc = og_map_file(*fd, size, &m->body, err)) < 0)
		return rc;
	m->mapped = true;
	og_fd_close(fd);
	return 0;
}

static int on_packet(struct og_chan *c, struct og_slice packet, int *fd, struct og_error *err)
{
	struct og_ipc_msg m = { .fd = -1, .chan = c };
	struct og_ipc_header h;
	int rc;

	if ((rc = og_ipc_decode(packet, c->cfg.peer, *fd >= 0, &h, &m.body, err)) < 0)
		return rc;
	m.type = h.type;
	m.flags = h.flags;
	m.request = h.request;
	if (h.flags & OG_IPC_F_MEMFD) {
		if ((rc = map_body(&m, fd, h.length, err)) < 0)
			return rc;
	} else {
		m.fd = *fd;
		*fd = -1;
	}
	rc = og_ipc_row(m.type)->kind == OG_IPC_ANSWER ? on_answer(c, &m, err) : dispatch(c, &m, err);
	if (rc < 0)
		og_error_prefix(err, "%s: ", og_ipc_name(m.type));
	og_fd_close(&m.fd);
	if (m.mapped)
		og_unmap(&m.body);
	return rc;
}

enum got { GOT_PACKET, GOT_NONE, GOT_END, GOT_ERROR };

static enum got receive(struct og_chan *c, uint8_t *buf, size_t size, size_t *len, int *fd, struct og_error *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = { buf, size };
	/* CMSG_LEN, not CMSG_SPACE: in the padding a second descriptor would fit. */
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = ctl.buf,
			      .msg_controllen = CMSG_LEN(sizeof(int)) };
	struct cmsghdr *cm;
	ssize_t n;
	int e, tries = 0;

	/* ECONNRESET comes once, before what is still queued: the peer left without reading all of ours. */
	do
		n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && tries++ < 3)));
	e = errno;
	if (n < 0 && e == EAGAIN)
		return GOT_NONE;
	if (n < 0 && e != ECONNRESET) {
		og_error_sys(err, e, "reading from the %s", og_role_name(c->cfg.peer));
		return GOT_ERROR;
	}
	if (n < 0)
		return GOT_END;
	cm = msg.msg_controllen >= sizeof(*cm) ? CMSG_FIRSTHDR(&msg) : NULL;
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS &&
	    cm->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(cm), sizeof(int));
	else if (cm)
		msg.msg_flags |= MSG_CTRUNC;
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		og_error_set(err, OG_ERR_PEER, "%s",
			     msg.msg_flags & MSG_TRUNC ? "a packet longer than any message"
						       : "more or other control data than one descriptor");
		return GOT_ERROR;
	}
	/* No message is empty, so a length of 0 is the peer's end. */
	if (n == 0)
		return GOT_END;
	*len = (size_t)n;
	return GOT_PACKET;
}

/* Up to `max` packets. False: nothing more is there, or the channel has died. */
static bool read_some(struct og_chan *c, int max)
{
	uint8_t buf[OG_IPC_HEADER_SIZE + OG_IPC_INLINE_MAX];
	enum got got = GOT_PACKET;

	for (int i = 0; i < max && c->alive && got == GOT_PACKET; i++) {
		struct og_error err = { 0 };
		size_t len = 0;
		int fd = -1;

		if (full(c) && !c->write_broken) {
			event_del(&c->read);
			return false;
		}
		got = receive(c, buf, sizeof(buf), &len, &fd, &err);
		if (got == GOT_PACKET && on_packet(c, og_slice(buf, len), &fd, &err) < 0)
			got = GOT_ERROR;
		og_fd_close(&fd);
		if (got == GOT_END || got == GOT_ERROR)
			die(c, &err);
	}
	return c->alive && got == GOT_PACKET;
}

static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct og_chan *c = arg;

	enter(c);
	(void)read_some(c, READ_PACKETS); /* the loop calls again while there is more */
	leave(c);
}

void og_chan_read_now(struct og_chan *c)
{
	enter(c);
	while (read_some(c, READ_PACKETS))
		;
	leave(c);
}

/* --- public, the rest ------------------------------------------------------------------------------ */

struct og_chan *og_chan_new(struct event_base *base, int fd, const struct og_chan_cfg *cfg, struct og_error *err)
{
	struct og_chan *c = calloc(1, sizeof(*c));

	if (!c) {
		og_error_nomem(err);
		goto fail;
	}
	if (og_fd_cloexec(fd, err) < 0 || og_fd_nonblock(fd, err) < 0)
		goto fail;
	c->base = base;
	c->cfg = *cfg;
	c->fd = fd;
	c->state = OG_IPC_NEW;
	c->alive = true;
	c->tail = &c->head;
	event_assign(&c->read, base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->write, base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	evtimer_assign(&c->retry, base, on_writable, c);
	evtimer_assign(&c->defer, base, on_defer, c);
	if (event_add(&c->read, NULL) < 0) {
		og_error_set(err, OG_ERR_IO, "the event loop refuses a channel");
		goto fail;
	}
	return c;
fail:
	free(c);
	og_fd_close(&fd);
	return NULL;
}

void og_chan_set_state(struct og_chan *c, enum og_ipc_state state)
{
	c->state = state;
}

enum og_ipc_state og_chan_state(const struct og_chan *c)
{
	return c->state;
}

bool og_chan_alive(const struct og_chan *c)
{
	return c->alive;
}

size_t og_chan_queued(const struct og_chan *c)
{
	return c->queued;
}

void og_chan_flush(struct og_chan *c, int ms)
{
	struct timespec t0, t;

	clock_gettime(CLOCK_MONOTONIC, &t0);
	while (c->alive && c->head) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };
		long left;

		clock_gettime(CLOCK_MONOTONIC, &t);
		left = ms - ((t.tv_sec - t0.tv_sec) * 1000 + (t.tv_nsec - t0.tv_nsec) / 1000000);
		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return;
		flush_queue(c);
	}
}

int og_ipc_take_fd(struct og_ipc_msg *m)
{
	int fd = m->fd;

	m->fd = -1;
	return fd;
}

int og_ipc_keep(struct og_ipc_msg *m, struct og_ipc_kept *out, struct og_error *err)
{
	char *copy;

	if (m->mapped) {
		*out = (struct og_ipc_kept){ m->body, true };
		m->mapped = false;
		return 0;
	}
	copy = malloc(m->body.len + 1);
	if (!copy)
		return og_error_nomem(err);
	if (m->body.len)
		memcpy(copy, m->body.p, m->body.len);
	*out = (struct og_ipc_kept){ og_slice(copy, m->body.len), false };
	return 0;
}

void og_ipc_kept_fini(struct og_ipc_kept *k)
{
	if (k->mapped)
		og_unmap(&k->body);
	else
		free((void *)k->body.p);
	*k = (struct og_ipc_kept){ 0 };
}

int og_ipc_pair(int fds[2], struct og_error *err)
{
	int e;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "socketpair");
}
