/* Landlock by raw system calls: landlock(7). The C library has no wrappers, and its header may be older than the kernel. */
#include "config.h"

#include "proc/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

/* Newer than some headers; the numbers are the kernel's ABI. */
#define FS_REFER (1ULL << 13)	  /* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define NET_BIND (1ULL << 0)	  /* ABI 4 */
#define NET_CONNECT (1ULL << 1)
#define SCOPE_ALL 3ULL /* ABI 6: abstract Unix sockets, signals */

struct ruleset {
	uint64_t fs;
	uint64_t net;	 /* ABI 4 */
	uint64_t scoped; /* ABI 6 */
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

#define RULE_NET_PORT 2

struct net_port {
	uint64_t allowed;
	uint64_t port;
} __attribute__((packed));

int og_proc_landlock_abi(void)
{
	long abi = syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static uint64_t all_fs(int abi)
{
	uint64_t all = (1ULL << 13) - 1;

	if (abi >= 2)
		all |= FS_REFER;
	if (abi >= 3)
		all |= FS_TRUNCATE;
	if (abi >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

static uint64_t rights(enum og_path_access access, bool folder, uint64_t all)
{
	uint64_t r = LANDLOCK_ACCESS_FS_READ_FILE;

	if (access == OG_PATH_WRITE)
		r = all & ~(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
			    FS_IOCTL_DEV);
	else if (folder)
		r |= LANDLOCK_ACCESS_FS_READ_DIR;
	if (!folder)
		r &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
	return r & all;
}

static int add_path(int ruleset, const struct og_lock_path *p, uint64_t all, struct og_error *err)
{
	struct path_beneath rule;
	struct stat st;
	int fd, rc = 0, e;

	fd = open(p->path, O_PATH | O_CLOEXEC);
	e = errno;
	if (fd < 0 && (e == ENOENT || e == ENOTDIR || e == EACCES))
		return 0;
	if (fd < 0)
		return og_error_sys(err, e, "%s", p->path);
	if (fstat(fd, &st) < 0) {
		e = errno;
		rc = og_error_sys(err, e, "%s", p->path);
		goto out;
	}
	rule.allowed = rights(p->access, S_ISDIR(st.st_mode), all);
	rule.parent = fd;
	if (syscall(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0) {
		e = errno;
		rc = og_error_sys(err, e, "landlock rule for %s", p->path);
	}
out:
	og_fd_close(&fd);
	return rc;
}

int og_proc_landlock(const struct og_lock_path *paths, size_t npaths, unsigned deny_net, uint32_t *held,
		     struct og_error *err)
{
	int abi = og_proc_landlock_abi(), fd, e, rc = 0;
	struct ruleset rs = { .fs = all_fs(abi) };
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;

	if (abi < 1)
		return 0;
	if (deny_net & OG_DENY_BIND)
		rs.net |= NET_BIND;
	if (deny_net & OG_DENY_CONNECT)
		rs.net |= NET_CONNECT;
	rs.scoped = SCOPE_ALL;
	fd = (int)syscall(__NR_landlock_create_ruleset, &rs, size, 0);
	e = errno;
	if (fd < 0)
		return og_error_sys(err, e, "landlock");
	for (size_t i = 0; i < npaths && rc == 0; i++)
		rc = add_path(fd, &paths[i], rs.fs, err);
	if (rc == 0 && syscall(__NR_landlock_restrict_self, fd, 0) < 0) {
		e = errno;
		rc = og_error_sys(err, e, "landlock");
	}
	og_fd_close(&fd);
	if (rc < 0)
		return rc;
	*held |= OG_HELD_LANDLOCK_FS;
	if (abi >= 4 && deny_net)
		*held |= OG_HELD_LANDLOCK_NET;
	if (abi >= 6)
		*held |= OG_HELD_LANDLOCK_SCOPE;
	return 0;
}

/* A second layer on top of the first: what both allow is allowed. */
int og_lock_ports(const uint16_t *ports, size_t n, uint32_t *held, struct og_error *err)
{
	struct ruleset rs = { .net = NET_CONNECT };
	int fd, e, rc = 0;

	if (og_proc_landlock_abi() < 4)
		return 0;
	fd = (int)syscall(__NR_landlock_create_ruleset, &rs, 16, 0);
	e = errno;
	if (fd < 0)
		return og_error_sys(err, e, "landlock");
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct net_port rule = { NET_CONNECT, ports[i] };

		if (syscall(__NR_landlock_add_rule, fd, RULE_NET_PORT, &rule, 0) < 0) {
			e = errno;
			rc = og_error_sys(err, e, "landlock rule for port %u", ports[i]);
		}
	}
	if (rc == 0 && syscall(__NR_landlock_restrict_self, fd, 0) < 0) {
		e = errno;
		rc = og_error_sys(err, e, "landlock");
	}
	og_fd_close(&fd);
	if (rc == 0)
		*held |= OG_HELD_LANDLOCK_PORTS;
	return rc;
}
