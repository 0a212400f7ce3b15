/* Direct mode's start: launch PROGRAM. Starts it as og-cli starts og-storaged, says HELLO, wants WELCOME, says STOP, wants its end. */
#include "config.h"

#include <stdio.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "ipc/child.h"

struct test {
	struct event_base *base;
	struct og_chan *control, *requests;
	bool ready, welcome, closed;
};

static int on_ready(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct test *t = arg;

	t->ready = true;
	return 0;
}

static int on_log(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	return 0;
}

static const struct og_ipc_rule rules[] = {
	{ OG_IPC_READY, OG_IPC_ANY_STATE, on_ready },
	{ OG_IPC_LOG, OG_IPC_ANY_STATE, on_log },
};

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	struct test *t = arg;

	t->closed = true;
	event_base_loopbreak(t->base);
}

static int on_welcome(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct test *t = arg;
	struct og_error ignored = { 0 };

	t->welcome = m && m->type == OG_IPC_WELCOME;
	return og_chan_send(t->control, OG_IPC_STOP, NULL, -1, &ignored);
}

static int fail(const char *what, const struct og_error *err)
{
	fprintf(stderr, "launch: %s %s\n", what, err->message);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct og_launch_setting settings[] = { { "graph.0.uri", "/x/good" }, { "proc", "storaged" } };
	struct test t = { .base = event_base_new() };
	struct og_chan_cfg control = { .rules = rules, .nrules = OG_COUNT(rules), .arg = &t, .closed = on_closed };
	struct og_chan_cfg requests = { .self = OG_ROLE_OPERATOR, .peer = OG_ROLE_STORAGED };
	struct og_launch l = { .path = argv[1], .role = OG_ROLE_STORAGED, .settings = settings, .nsettings = OG_COUNT(settings), .secrets_fd = -1,
			       .control = &control };
	struct og_error err = { 0 };
	int fd, status;
	pid_t pid;

	if (argc != 2 || !t.base)
		return 2;
	if (og_child_launch(t.base, &l, &pid, &t.control, &fd, &err) < 0)
		return fail("start:", &err);
	t.requests = og_chan_new(t.base, fd, &requests, &err);
	if (!t.requests || og_chan_request(t.requests, OG_IPC_HELLO, NULL, -1, 5000, on_welcome, &t, NULL, &err) < 0)
		return fail("request:", &err);
	event_base_dispatch(t.base);
	if (!t.ready || !t.welcome || !t.closed)
		return fail("no READY, WELCOME or end", &err);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return fail("it did not end well", &err);
	og_chan_free(t.requests);
	og_chan_free(t.control);
	event_base_free(t.base);
	return 0;
}
