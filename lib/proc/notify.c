/* sd_notify(3) and sd_listen_fds(3), the parts that a server needs. */
#include "config.h"

#include "proc/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"

#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX 16

int og_notify(const char *state, struct og_error *err)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	int fd, e, rc = 0;

	if (!n)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || n >= sizeof(sa.sun_path))
		return og_error_set(err, OG_ERR_BAD, "NOTIFY_SOCKET is neither a path nor an abstract name");
	memcpy(sa.sun_path, path, n);
	if (path[0] == '@')
		sa.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	e = errno;
	if (fd < 0)
		return og_error_sys(err, e, "notify socket");
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&sa,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
		e = errno;
		rc = og_error_sys(err, e, "notify socket");
	}
	og_fd_close(&fd);
	return rc;
}

static bool env_u64(const char *name, uint64_t *v)
{
	const char *text = getenv(name);

	return text && og_parse_u64(og_slice_str(text), v);
}

int og_notify_listen_fds(void)
{
	uint64_t pid, n;
	bool ours = env_u64("LISTEN_PID", &pid) && pid == (uint64_t)getpid() && env_u64("LISTEN_FDS", &n) &&
		    n <= LISTEN_FDS_MAX;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!ours)
		return 0;
	for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + (int)n; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return (int)n;
}
