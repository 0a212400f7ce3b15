/* The watch on stuck loops: every child is asked for a sign of life, by a message that only its loop answers. */
#include "config.h"

#include <signal.h>

#include "base/log.h"
#include "og-master/master.h"

/* So many looks in a row must find the question unanswered. Counting looks instead of time spares everyone when the whole server, or
 * the machine, was stopped and goes on. */
#define LOOKS 3

static int on_alive(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct child *c = arg;

	/* FAILED is a sign of life as well. */
	c->ping = 0;
	c->missed = 0;
	return 0;
}

/* The builder has no client, and may decode for as long as a large graph takes. */
static bool watched(const struct child *c)
{
	return c->role != OG_ROLE_BUILDER && c->state == CHILD_READY && c->pid && c->chan && og_chan_alive(c->chan);
}

static void look(struct child *c)
{
	struct og_error err = { 0 };
	char text[64];

	if (!c->ping) {
		c->missed = 0;
		/* A full queue is one more reason to look again. */
		(void)og_chan_request(c->chan, OG_IPC_STATS, NULL, -1, 0, on_alive, c, &c->ping, &err);
		return;
	}
	if (++c->missed < LOOKS)
		return;
	snprintf(text, sizeof(text), "its loop stood still for %llu s", (unsigned long long)c->m->opt.stuck_timeout);
	og_log(OG_LOG_WARN, "child.stuck", "child=%s pid=%d seconds=%llu", c->name, (int)c->pid,
	       (unsigned long long)c->m->opt.stuck_timeout);
	child_set_reason(c, text);
	(void)kill(c->pid, SIGKILL);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	for (size_t i = 0; i < m->nchildren; i++)
		if (watched(&m->children[i]))
			look(&m->children[i]);
}

void watch_start(struct master *m)
{
	/* The first look asks, so the last of LOOKS more comes after the whole time. */
	uint64_t ms = m->opt.stuck_timeout * 1000 / LOOKS;
	struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	event_assign(&m->watch, m->base, -1, EV_PERSIST, on_look, m);
	event_add(&m->watch, &tv);
}

void watch_stop(struct master *m)
{
	if (event_initialized(&m->watch))
		event_del(&m->watch);
}

void watch_forget(struct child *c)
{
	if (c->ping && c->chan)
		og_chan_forget(c->chan, c->ping);
	c->ping = 0;
	c->missed = 0;
}
