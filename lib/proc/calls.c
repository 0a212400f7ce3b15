/*
 * The system calls that a locked process still has. Everything not named here kills it.
 *
 * Rows are grouped by purpose; conditions take away what a call could do beyond that purpose. Where the C library picks one of
 * several calls for one function (poll or ppoll, by machine), all of them stand here.
 */
#include "config.h"

#include "proc/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#define WHOLE UINT64_MAX
#define INT_BITS 0xffffffffULL /* int arguments: the upper half of the register means nothing */

#define ANY(name) { .nr = __NR_##name }
#define IS(name, a, v) { .nr = __NR_##name, .when = { { INT_BITS, v, a } } }
#define LACKS(name, a, bits) { .nr = __NR_##name, .when = { { bits, 0, a } } }
#define HAS(name, a, bits) { .nr = __NR_##name, .when = { { bits, bits, a } } }
#define IS2(name, a, v, b, w) { .nr = __NR_##name, .when = { { INT_BITS, v, a }, { INT_BITS, w, b } } }
#define FAILS(name, e) { .nr = __NR_##name, .deny = e }
#define SELF(name) { .nr = __NR_##name, .self = true }

/* Memory without code; threads that exist; clocks; the end. No PROT_EXEC: nothing here compiles at run time. */
#define COMMON_CALLS                                                                                             \
	LACKS(mmap, 2, PROT_EXEC), LACKS(mprotect, 2, PROT_EXEC), ANY(munmap), ANY(mremap), ANY(madvise), ANY(brk),  \
		ANY(futex), ANY(set_robust_list), ANY(rseq), ANY(sched_yield), ANY(sched_getaffinity), ANY(getcpu),  \
		ANY(clock_gettime), ANY(clock_getres), ANY(clock_nanosleep), ANY(nanosleep), ANY(gettimeofday),      \
		ANY(getrandom), ANY(getpid), ANY(gettid), ANY(getppid), ANY(getrusage), ANY(sysinfo), ANY(uname),    \
		ANY(rt_sigprocmask), ANY(rt_sigaction), ANY(rt_sigreturn), ANY(sigaltstack), ANY(restart_syscall),   \
		SELF(tgkill), IS(prctl, 0, PR_SET_NAME), IS(prctl, 0, PR_SET_VMA), ANY(membarrier), ANY(exit),       \
		ANY(exit_group)

/* Descriptors that exist. */
#define IO_CALLS                                                                                              \
	ANY(read), ANY(write), ANY(readv), ANY(writev), ANY(pread64), ANY(pwrite64), ANY(preadv), ANY(pwritev), \
		ANY(close), ANY(lseek), ANY(ftruncate), ANY(fallocate), ANY(fstat), ANY(memfd_create),        \
		IS(fcntl, 1, F_GETFD), IS(fcntl, 1, F_SETFD), IS(fcntl, 1, F_GETFL), IS(fcntl, 1, F_SETFL),   \
		IS(fcntl, 1, F_DUPFD_CLOEXEC), IS(fcntl, 1, F_ADD_SEALS), IS(fcntl, 1, F_GET_SEALS),          \
		ANY(eventfd2), ANY(epoll_ctl), ANY(epoll_pwait), ANY(ppoll), ANY(sendfile)

/*
 * Sockets that exist. MSG_FASTOPEN makes a connection out of a socket that shutdown has brought back to the beginning, and
 * SHUT_RD would do that to the listening socket, which all workers share.
 */
#define SOCKET_CALLS                                                                                                 \
	ANY(accept4), ANY(recvfrom), ANY(recvmsg), LACKS(sendto, 3, MSG_FASTOPEN), LACKS(sendmsg, 2, MSG_FASTOPEN),     \
		IS(shutdown, 1, SHUT_WR), ANY(getsockname), ANY(getpeername), ANY(getsockopt)

#define SET(level, name) IS2(setsockopt, 1, level, 2, name)
#define SOCKOPT_CALLS                                                                                               \
	SET(SOL_SOCKET, SO_KEEPALIVE), SET(SOL_SOCKET, SO_LINGER), SET(SOL_SOCKET, SO_SNDBUF),                         \
		SET(SOL_SOCKET, SO_RCVBUF), SET(IPPROTO_TCP, TCP_NODELAY), SET(IPPROTO_TCP, TCP_CORK),              \
		SET(IPPROTO_TCP, TCP_QUICKACK), SET(IPPROTO_TCP, TCP_KEEPIDLE), SET(IPPROTO_TCP, TCP_KEEPINTVL),    \
		SET(IPPROTO_TCP, TCP_KEEPCNT), SET(IPPROTO_TCP, TCP_USER_TIMEOUT), SET(IPPROTO_TCP, TCP_NOTSENT_LOWAT)

/* Older calls for the same things, which newer machines do not have. */
#ifdef __x86_64__
#define OLD_CALLS ANY(epoll_wait), ANY(poll), ANY(time), ANY(accept)
#else
#define OLD_CALLS ANY(accept)
#endif

#ifdef __NR_epoll_pwait2
#define NEW_CALLS ANY(epoll_pwait2)
#else
#define NEW_CALLS ANY(epoll_pwait)
#endif

/* What the sanitizers' runtime calls, most of it only while it reports. */
#ifdef OG_SANITIZED
#define SANITIZER_CALLS                                                                                             \
	ANY(openat), ANY(readlinkat), ANY(getdents64), ANY(newfstatat), ANY(prlimit64), ANY(sched_setaffinity),        \
		ANY(prctl), ANY(personality), ANY(ioctl), ANY(getuid), ANY(geteuid), ANY(mincore), ANY(faccessat)
#define PATH_STAT SANITIZER_CALLS
#ifdef __x86_64__
#define SANITIZER_OLD ANY(readlink), ANY(open), ANY(stat), ANY(lstat), ANY(access), ANY(getrlimit)
#else
#define SANITIZER_OLD ANY(readlinkat)
#endif
#else
/* fstat of the C library is newfstatat with an empty path, and what path it is no filter sees. */
#define PATH_STAT FAILS(newfstatat, EPERM)
#define SANITIZER_OLD FAILS(newfstatat, EPERM)
#endif

static const struct og_call worker_calls[] = {
	COMMON_CALLS, IO_CALLS, SOCKET_CALLS, SOCKOPT_CALLS, OLD_CALLS, NEW_CALLS, PATH_STAT, SANITIZER_OLD,
	/* Nobody reads a terminal here, but the C library asks when it first writes to a stream. */
#ifndef OG_SANITIZED
	FAILS(ioctl, ENOTTY),
#endif
};

/* Files, below the folders that Landlock leaves. */
#define FILE_CALLS                                                                                                  \
	ANY(openat), ANY(newfstatat), ANY(statx), ANY(getdents64), ANY(mkdirat), ANY(unlinkat), ANY(linkat),           \
		ANY(renameat2), ANY(renameat), ANY(readlinkat), ANY(faccessat), ANY(fsync), ANY(fdatasync),         \
		ANY(sync_file_range), ANY(copy_file_range), ANY(statfs), ANY(fstatfs), ANY(flock), ANY(fcntl),      \
		ANY(fchmod), ANY(fchmodat), ANY(utimensat), ANY(fadvise64), ANY(getcwd), ANY(msync), ANY(mlock),    \
		ANY(munlock), ANY(dup), ANY(dup3), ANY(pipe2), ANY(timerfd_create), ANY(timerfd_settime),           \
		ANY(epoll_create1), ANY(umask), ANY(getuid), ANY(geteuid), ANY(getgid), ANY(getegid),               \
		ANY(prlimit64), ANY(ioctl), ANY(setpriority), ANY(getpriority), ANY(sched_setscheduler)

/* Outgoing connections and name look-ups. */
#define NET_CALLS                                                                                                   \
	ANY(socket), ANY(socketpair), ANY(connect), ANY(bind), ANY(sendto), ANY(sendmsg), ANY(sendmmsg), ANY(recvmmsg), \
		ANY(recvfrom), ANY(recvmsg), ANY(shutdown), ANY(getsockname), ANY(getpeername), ANY(getsockopt),    \
		ANY(setsockopt), ANY(accept4)

/* New threads, no new processes. Which of the two clone3 makes stands in memory, where no filter sees it; the C library
 * then takes clone. */
#define THREAD_CALLS HAS(clone, 0, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND), FAILS(clone3, ENOSYS)

#ifdef __x86_64__
#define FILE_OLD                                                                                                  \
	ANY(open), ANY(stat), ANY(lstat), ANY(access), ANY(mkdir), ANY(unlink), ANY(rmdir), ANY(rename), ANY(link),  \
		ANY(readlink), ANY(chmod), ANY(dup2), ANY(getrlimit), ANY(select)
#else
#define FILE_OLD ANY(pselect6)
#endif

#ifdef __NR_faccessat2
#define FILE_NEW ANY(faccessat2), ANY(close_range)
#else
#define FILE_NEW ANY(faccessat)
#endif

static const struct og_call storaged_calls[] = {
	COMMON_CALLS, IO_CALLS, OLD_CALLS, NEW_CALLS, FILE_CALLS, FILE_OLD, FILE_NEW, NET_CALLS, THREAD_CALLS,
#ifdef OG_SANITIZED
	SANITIZER_CALLS,
	SANITIZER_OLD,
#endif
};

const struct og_call *og_lock_calls(enum og_lock_kind kind, size_t *n)
{
	switch (kind) {
	case OG_LOCK_WORKER:
		*n = OG_COUNT(worker_calls);
		return worker_calls;
	case OG_LOCK_STORAGED:
		*n = OG_COUNT(storaged_calls);
		return storaged_calls;
	case OG_LOCK_MASTER:
		break;
	}
	*n = 0;
	return NULL;
}
