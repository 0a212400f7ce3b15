/* Direct mode: og-cli starts an og-storaged of its own, and a builder where one is needed. */
#include "config.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "ipc/child.h"

static int send_start(struct og_chan *c, const struct og_launch *l, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	og_put_u32(&b, 1);
	og_put_u32(&b, 0);
	og_put_u32(&b, (uint32_t)l->nsettings);
	for (size_t i = 0; i < l->nsettings; i++) {
		og_put_str(&b, l->settings[i].key);
		og_put_str(&b, l->settings[i].value);
	}
	rc = og_chan_send(c, OG_IPC_START, &b, -1, err);
	og_buf_fini(&b);
	return rc;
}

/* The secrets, one channel for requests, the settings. */
static int hand_over(struct og_chan *c, const struct og_launch *l, int theirs, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc = 0;

	if (l->secrets_fd >= 0)
		rc = og_chan_send(c, OG_IPC_SECRETS, NULL, l->secrets_fd, err);
	if (rc < 0)
		return rc;
	og_put_u8(&b, l->role == OG_ROLE_STORAGED ? OG_ROLE_OPERATOR : OG_ROLE_STORAGED);
	og_put_u32(&b, 0);
	og_put_u32(&b, 1);
	rc = og_chan_send(c, OG_IPC_CHANNEL, &b, theirs, err);
	og_buf_fini(&b);
	return rc < 0 ? rc : send_start(c, l, err);
}

int og_child_launch(struct event_base *base, const struct og_launch *l, pid_t *pid, struct og_chan **control, int *fd,
		    struct og_error *err)
{
	bool storaged = l->role == OG_ROLE_STORAGED;
	char *argv[] = { (char *)(storaged ? "og-storaged" : "og-worker"), (char *)og_role_name(l->role), (char *)"operator", NULL };
	struct og_spawn s = { .path = l->path, .argv = argv, .nfds = 1, .ids = l->ids, .own_group = true };
	struct og_chan_cfg cfg = *l->control;
	int ctl[2] = { -1, -1 }, req[2] = { -1, -1 }, rc;
	struct og_chan *c = NULL;

	if ((rc = og_ipc_pair(ctl, err)) < 0 || (rc = og_ipc_pair(req, err)) < 0)
		goto out;
	s.fds[0] = (struct og_spawn_fd){ ctl[1], OG_CHILD_FD };
	if ((rc = og_spawn(&s, pid, err)) < 0)
		goto out;
	cfg.self = OG_ROLE_OPERATOR;
	cfg.peer = l->role;
	c = og_chan_new(base, ctl[0], &cfg, err);
	ctl[0] = -1;
	rc = c ? hand_over(c, l, req[1], err) : err->code;
	if (rc < 0) {
		og_chan_free(c);
		(void)kill(*pid, SIGKILL);
		(void)waitpid(*pid, NULL, 0);
		goto out;
	}
	og_chan_set_state(c, OG_IPC_BOOTING);
	*control = c;
	*fd = req[0];
	req[0] = -1;
out:
	for (int i = 0; i < 2; i++) {
		og_fd_close(&ctl[i]);
		og_fd_close(&req[i]);
	}
	return rc;
}
