/* The admin socket: its address, both ends. */
#include "config.h"

#include "ipc/admin.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/fd.h"
#include "ipc/chan.h"

#define RUN_DIR "/run/omnigraph"
#define BACKLOG 16

static int set_addr(struct og_admin_addr *a, const char *text, struct og_error *err)
{
	size_t n = strlen(text);

	if (n < 2 || n >= sizeof(a->sa.sun_path))
		return og_error_set(err, OG_ERR_BAD, "admin socket: a name of %zu bytes, at most %zu are possible", n,
				    sizeof(a->sa.sun_path) - 1);
	memset(a, 0, sizeof(*a));
	a->sa.sun_family = AF_UNIX;
	memcpy(a->sa.sun_path, text, n);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (text[0] == '@')
		a->sa.sun_path[0] = 0;
	else
		a->len++; /* with its NUL */
	snprintf(a->text, sizeof(a->text), "%s", text);
	return 0;
}

int og_admin_addr(const char *given, struct og_admin_addr *out, struct og_error *err)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	char text[256];

	if (given)
		return set_addr(out, given, err);
	if (dir && dir[0] == '/' && access(dir, W_OK | X_OK) == 0)
		snprintf(text, sizeof(text), "%s/omnigraph.sock", dir);
	else if (access(RUN_DIR, X_OK) == 0 &&
		 (access(RUN_DIR, W_OK) == 0 || access(RUN_DIR "/admin.sock", F_OK) == 0))
		snprintf(text, sizeof(text), RUN_DIR "/admin.sock");
	else
		snprintf(text, sizeof(text), "@omnigraph-%lu", (unsigned long)geteuid());
	return set_addr(out, text, err);
}

static int new_socket(int *fd, struct og_error *err)
{
	int e;

	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	e = errno;
	return *fd < 0 ? og_error_sys(err, e, "admin socket") : 0;
}

/* Whether somebody answers at this address. */
static bool served(const struct og_admin_addr *a)
{
	struct og_error err = { 0 };
	int fd;
	bool yes;

	if (new_socket(&fd, &err) < 0)
		return true;
	yes = connect(fd, (const struct sockaddr *)&a->sa, a->len) == 0 || errno != ECONNREFUSED;
	og_fd_close(&fd);
	return yes;
}

int og_admin_listen(const struct og_admin_addr *a, int *fd, struct og_error *err)
{
	mode_t old;
	int e, rc, f = -1;

	if ((rc = new_socket(&f, err)) < 0)
		return rc;
	/* The socket file must never be there for others, not for a moment. */
	old = umask(0177);
	rc = bind(f, (const struct sockaddr *)&a->sa, a->len);
	e = errno;
	if (rc < 0 && e == EADDRINUSE && a->text[0] != '@' && !served(a)) {
		(void)unlink(a->sa.sun_path);
		rc = bind(f, (const struct sockaddr *)&a->sa, a->len);
		e = errno;
	}
	umask(old);
	if (rc == 0) {
		rc = listen(f, BACKLOG);
		e = errno;
	}
	if (rc < 0) {
		rc = e == EADDRINUSE
			     ? og_error_set(err, OG_ERR_EXISTS, "admin socket %s: another server has it", a->text)
			     : og_error_sys(err, e, "admin socket %s", a->text);
		og_fd_close(&f);
		return rc;
	}
	*fd = f;
	return og_fd_nonblock(f, err);
}

int og_admin_check_peer(int fd, struct og_error *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int e;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		e = errno;
		return og_error_sys(err, e, "admin socket");
	}
	if (cred.uid != 0 && cred.uid != geteuid())
		return og_error_set(err, OG_ERR_DENIED, "admin socket: its other end belongs to uid %lu",
				    (unsigned long)cred.uid);
	return 0;
}

/* --- asking ---------------------------------------------------------------------------------------- */

struct call {
	struct event_base *base;
	struct og_buf *reply;
	struct og_error *err;
	int rc;
	bool done;
};

static int on_reply(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct call *c = arg;
	struct og_reader r;
	struct og_slice text;

	c->done = true;
	event_base_loopbreak(c->base);
	if (!m) {
		*c->err = *err;
		c->rc = err->code;
		return 0;
	}
	r = og_ipc_body(m);
	text = og_read_bytes(&r);
	if (m->type != OG_IPC_ADMIN_REPLY || og_reader_end(&r, err) < 0)
		c->rc = og_error_set(c->err, OG_ERR_PEER, "admin socket: an answer that is none");
	else
		og_buf_slice(c->reply, text);
	return 0;
}

static int ask(struct call *c, int fd, const struct og_buf *question, unsigned timeout_ms)
{
	struct og_chan_cfg cfg = { .self = OG_ROLE_ADMIN, .peer = OG_ROLE_MASTER };
	struct og_chan *chan = og_chan_new(c->base, fd, &cfg, c->err);
	int rc;

	if (!chan)
		return c->err->code;
	rc = og_chan_request(chan, OG_IPC_ADMIN, question, -1, timeout_ms, on_reply, c, NULL, c->err);
	if (rc == 0) {
		event_base_dispatch(c->base);
		rc = c->done ? c->rc : og_error_set(c->err, OG_ERR_IO, "admin socket: the event loop failed");
	}
	og_chan_free(chan);
	return rc;
}

int og_admin_call(const struct og_admin_addr *a, const char *verb, const char *const *args, size_t nargs,
		  unsigned timeout_ms, struct og_buf *reply, struct og_error *err)
{
	struct call c = { .reply = reply, .err = err };
	struct og_buf question = { 0 };
	int fd = -1, e, rc;

	if ((rc = new_socket(&fd, err)) < 0)
		return rc;
	if (connect(fd, (const struct sockaddr *)&a->sa, a->len) < 0) {
		e = errno;
		og_fd_close(&fd);
		return og_error_set(err, OG_ERR_UNAVAILABLE, "no server at the admin socket %s: %s", a->text,
				    strerror(e));
	}
	if ((rc = og_admin_check_peer(fd, err)) < 0) {
		og_fd_close(&fd);
		return rc;
	}
	og_put_str(&question, verb);
	og_put_u32(&question, (uint32_t)nargs);
	for (size_t i = 0; i < nargs; i++)
		og_put_str(&question, args[i]);
	c.base = event_base_new();
	if (c.base) {
		rc = ask(&c, fd, &question, timeout_ms);
		event_base_free(c.base);
	} else {
		og_fd_close(&fd);
		rc = og_error_set(err, OG_ERR_IO, "no event loop");
	}
	og_buf_fini(&question);
	return rc;
}
