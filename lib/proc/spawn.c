/* Starting a child with nothing but what it is given. */
#include "config.h"

#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

/* Moved descriptors lie from here on, out of the way of the child's numbers. */
#define MOVED_MIN 64

enum stage { STAGE_FDS, STAGE_IDS, STAGE_EXEC };

struct report {
	int stage;
	int e;
};

/* --- between fork and exec: async-signal-safe calls only --------------------------------------------- */

static void give_up(int fd, enum stage stage, int e)
{
	struct report r = { stage, e };

	(void)!write(fd, &r, sizeof(r));
	_exit(127);
}

/* signal() refuses the two that the C library keeps for itself, and its posix_spawn (as make uses it) hands exactly these on ignored: asked of the kernel,
 * for which an action of zeros is the default. */
static void reset_signals(void)
{
	static const unsigned long default_action[8];
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)syscall(SYS_rt_sigaction, sig, default_action, NULL, 8); /* SIGKILL and SIGSTOP: refused, and default anyway */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_others_at_exec(unsigned first)
{
	struct rlimit lim;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */) == 0)
		return;
#endif
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur > 65536)
		lim.rlim_cur = 65536;
	for (unsigned fd = first; fd < lim.rlim_cur; fd++)
		(void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

static void place_fds(const struct og_spawn *s, int null_fd, int report)
{
	int moved[OG_SPAWN_FDS_MAX];
	bool given[3] = { false, false, true };
	unsigned max = 2;

	for (size_t i = 0; i < s->nfds; i++) {
		moved[i] = fcntl(s->fds[i].parent, F_DUPFD_CLOEXEC, MOVED_MIN);
		if (moved[i] < 0)
			give_up(report, STAGE_FDS, errno);
	}
	for (size_t i = 0; i < s->nfds; i++) {
		if (dup2(moved[i], s->fds[i].child) < 0)
			give_up(report, STAGE_FDS, errno);
		if (s->fds[i].child < 3)
			given[s->fds[i].child] = true;
		max = OG_MAX(max, (unsigned)s->fds[i].child);
	}
	for (int fd = 0; fd < 2; fd++)
		if (!given[fd] && dup2(null_fd, fd) < 0)
			give_up(report, STAGE_FDS, errno);
	close_others_at_exec(max + 1);
	/* What lies between the child's numbers and was not given. */
	for (unsigned fd = 3; fd < max; fd++) {
		bool ours = false;

		for (size_t i = 0; i < s->nfds; i++)
			ours |= (unsigned)s->fds[i].child == fd;
		if (!ours)
			(void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	}
}

static void change_ids(const struct og_spawn_ids *ids, int report)
{
	uid_t r, e, s;

	if (!ids->change) {
		(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
		return;
	}
	if (setgroups(1, &ids->gid) < 0 || setresgid(ids->gid, ids->gid, ids->gid) < 0 ||
	    setresuid(ids->uid, ids->uid, ids->uid) < 0)
		give_up(report, STAGE_IDS, errno);
	if (getresuid(&r, &e, &s) < 0 || r != ids->uid || e != ids->uid || s != ids->uid)
		give_up(report, STAGE_IDS, EPERM);
}

static void child(const struct og_spawn *s, int null_fd, int report)
{
	static char *const empty[] = { NULL };
	int high = fcntl(report, F_DUPFD_CLOEXEC, MOVED_MIN);

	if (high < 0)
		give_up(report, STAGE_FDS, errno);
	reset_signals();
	if (s->own_group)
		(void)setpgid(0, 0);
	place_fds(s, null_fd, high);
	change_ids(&s->ids, high);
	execve(s->path, s->argv, s->envp ? s->envp : empty);
	give_up(high, STAGE_EXEC, errno);
}

/* --- public ---------------------------------------------------------------------------------------- */

static int told(const struct og_spawn *s, const struct report *r, struct og_error *err)
{
	switch ((enum stage)r->stage) {
	case STAGE_FDS:
		return og_error_sys(err, r->e, "descriptors for %s", s->path);
	case STAGE_IDS:
		return og_error_sys(err, r->e, "user ids for %s", s->path);
	case STAGE_EXEC:
		return og_error_sys(err, r->e, "%s", s->path);
	}
	return og_error_set(err, OG_ERR_INTERNAL, "%s did not start", s->path);
}

int og_spawn(const struct og_spawn *s, pid_t *pid, struct og_error *err)
{
	int pipe_fds[2] = { -1, -1 }, null_fd = -1, e, rc = 0;
	struct report r;
	ssize_t n;
	pid_t p;

	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0) {
		e = errno;
		return og_error_sys(err, e, "/dev/null");
	}
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		e = errno;
		rc = og_error_sys(err, e, "pipe");
		goto out;
	}
	p = fork();
	e = errno;
	if (p == 0)
		child(s, null_fd, pipe_fds[1]);
	if (p < 0) {
		rc = og_error_sys(err, e, "fork");
		goto out;
	}
	og_fd_close(&pipe_fds[1]);
	/* exec closes the other end: no byte means that the program runs. */
	do
		n = read(pipe_fds[0], &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(r)) {
		while (waitpid(p, NULL, 0) < 0 && errno == EINTR)
			;
		rc = told(s, &r, err);
		goto out;
	}
	*pid = p;
out:
	og_fd_close(&null_fd);
	og_fd_close(&pipe_fds[0]);
	og_fd_close(&pipe_fds[1]);
	return rc;
}

int og_spawn_ids_of(const char *user, struct og_spawn_ids *ids, struct og_error *err)
{
	struct passwd *pw;
	int e;

	*ids = (struct og_spawn_ids){ .change = false };
	if (geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(user);
	e = errno;
	if (!pw && e && e != ENOENT && e != ESRCH)
		return og_error_sys(err, e, "user %s", user);
	if (!pw)
		return 0;
	if (pw->pw_uid == 0)
		return og_error_set(err, OG_ERR_BAD, "user %s has uid 0", user);
	*ids = (struct og_spawn_ids){ true, pw->pw_uid, pw->pw_gid };
	return 0;
}
