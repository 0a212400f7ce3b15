/*
 * Plays og-storaged, builder and worker for tests of og-master: the real start, channels and lock-down, and no graph.
 * The last part of the graph's URI says how: "good", "reject" (og-storaged refuses), "crash" (a worker dies at its start),
 * "slow" (a worker takes a second after the connection to answer, and DRAIN waits for it).
 * A worker answers a connection with one line: its index, process id, and og-storaged's process id as it knows it.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/fd.h"
#include "base/log.h"
#include "ipc/child.h"
#include "proc/lock.h"
#include "proc/secrets.h"

#define PEERS 64

struct prog {
	struct og_child child;
	uint32_t held;
	const char *how;
	bool ready_said, draining;
	struct og_chan *peers[PEERS]; /* og-storaged's clients; a client's [0] is og-storaged */
	char storaged[64];
	struct event accept, later;
	int waiting;
};

static void leave(struct prog *p)
{
	event_base_loopbreak(p->child.base);
}

/* --- both ------------------------------------------------------------------------------------------- */

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	struct prog *p = arg;

	for (size_t i = 0; i < PEERS; i++)
		if (p->peers[i] == c)
			p->peers[i] = NULL;
	og_chan_free(c);
}

static int on_hello(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	og_buf_printf(&b, "%d", (int)getpid());
	rc = og_chan_answer(m->chan, m->request, OG_IPC_WELCOME, &b, -1, err);
	og_buf_fini(&b);
	return rc;
}

static const struct og_ipc_rule hello_rules[] = { { OG_IPC_HELLO, OG_IPC_ANY_STATE, on_hello } };

static int on_welcome(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct prog *p = arg;
	struct og_error why = { 0 };

	if (!m)
		return 0;
	snprintf(p->storaged, sizeof(p->storaged), "%.*s", OG_FMT(m->body));
	og_log(OG_LOG_INFO, "welcome", "storaged=%s", p->storaged);
	if (p->ready_said)
		return 0;
	p->ready_said = true;
	return og_child_ready(&p->child, p->held, "", &why);
}

static int on_channel(void *arg, struct og_child_peer *peer, struct og_error *err)
{
	struct prog *p = arg;
	bool storaged = p->child.self == OG_ROLE_STORAGED;
	struct og_chan_cfg cfg = {
		.self = p->child.self,
		.peer = peer->role,
		.rules = hello_rules,
		.nrules = storaged ? 1 : 0,
		.arg = p,
		.closed = on_closed,
	};
	size_t slot = !storaged ? 0 : peer->role == OG_ROLE_BUILDER ? PEERS - 1 : peer->index;

	og_chan_free(p->peers[slot]);
	p->peers[slot] = og_chan_new(p->child.base, peer->fd, &cfg, err);
	peer->fd = -1;
	if (!p->peers[slot])
		return err->code;
	if (storaged)
		return 0;
	return og_chan_request(p->peers[slot], OG_IPC_HELLO, NULL, -1, 5000, on_welcome, p, NULL, err);
}

static void on_drain(void *arg, uint32_t ms)
{
	struct prog *p = arg;

	p->draining = true;
	event_del(&p->accept);
	if (p->waiting < 0)
		leave(p);
}

static void on_stop(void *arg)
{
	leave(arg);
}

static int on_stats(void *arg, struct og_buf *b, struct og_error *err)
{
	og_put_u32(b, 1);
	og_put_str(b, "commits");
	og_put_u64(b, 7);
	og_put_u32(b, 1);
	og_put_str(b, "g");
	og_put_str(b, "/some/where");
	og_put_u32(b, 1);
	og_put_str(b, "main");
	og_put_str(b, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
	og_put_u64(b, 42);
	return 0;
}

/* --- worker ------------------------------------------------------------------------------------------ */

static void answer(struct prog *p)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "%u %d %s\n", p->child.index, (int)getpid(), p->storaged);

	(void)!send(p->waiting, text, (size_t)n, MSG_NOSIGNAL);
	og_fd_close(&p->waiting);
	if (p->draining)
		leave(p);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	answer(arg);
}

static void on_accept(evutil_socket_t sock, short what, void *arg)
{
	static const struct timeval second = { 1, 0 };
	struct prog *p = arg;

	if (p->waiting >= 0)
		return;
	p->waiting = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (p->waiting < 0)
		return;
	og_log(OG_LOG_INFO, "accepted", "worker=%u", p->child.index);
	if (strcmp(p->how, "slow") == 0)
		evtimer_add(&p->later, &second);
	else
		answer(p);
}

static int begin(struct prog *p, struct og_error *err)
{
	enum og_lock_kind kind = p->child.self == OG_ROLE_STORAGED ? OG_LOCK_STORAGED : OG_LOCK_WORKER;
	const char *uri = og_child_setting(&p->child, "graph.0.uri");
	char secret[64];
	int rc;

	p->how = uri && strrchr(uri, '/') ? strrchr(uri, '/') + 1 : "good";
	evtimer_assign(&p->later, p->child.base, on_later, p);
	event_assign(&p->accept, p->child.base, p->child.listen_fd, EV_READ | EV_PERSIST, on_accept, p);
	if (p->child.self == OG_ROLE_STORAGED && strcmp(p->how, "reject") == 0)
		return og_error_set(err, OG_ERR_NOT_FOUND, "%s: there is no graph", uri);
	if (p->child.self == OG_ROLE_WORKER && strcmp(p->how, "crash") == 0)
		raise(SIGKILL);
	if (p->child.self == OG_ROLE_STORAGED && og_secrets_get(p->child.secrets_fd, "AWS_PROBE", secret, sizeof(secret), NULL) == 0)
		og_log(OG_LOG_INFO, "secret", "length=%zu", strlen(secret));
	if ((rc = og_lock_begin(kind, NULL, 0, &p->held, err)) < 0 || (rc = og_lock_end(kind, &p->held, err)) < 0)
		return rc;
	for (size_t i = 0; i < p->child.npeers; i++)
		if ((rc = on_channel(p, &p->child.peers[i], err)) < 0)
			return rc;
	if (p->child.self == OG_ROLE_WORKER)
		event_add(&p->accept, NULL);
	if (p->child.self != OG_ROLE_STORAGED)
		return 0;
	p->ready_said = true;
	return og_child_ready(&p->child, p->held, "", err);
}

int main(int argc, char **argv)
{
	static const struct og_child_ops ops = {
		.channel = on_channel, .drain = on_drain, .stop = on_stop, .stats = on_stats
	};
	struct prog p = { .waiting = -1 };
	struct og_error err = { 0 };

	if (og_child_start(&p.child, argc, argv, &ops, &p, &err) < 0 || begin(&p, &err) < 0)
		return og_child_abort(&p.child, &err);
	event_base_dispatch(p.child.base);
	for (size_t i = 0; i < PEERS; i++)
		og_chan_free(p.peers[i]);
	og_child_fini(&p.child);
	return 0;
}
