/*
 * The sandbox from inside: a process locked like a worker that tries what a worker never does is killed by the kernel, and what a
 * worker does do still works. The same for og-storaged's lock. Each try is a process of its own.
 */
#include "config.h"

#include "proc/lock.h"

#include "t/check.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

/* What a process finds that was started before its lock. */
struct things {
	int listener, tcp[2], unix_pair[2], file;
	char dir[64];
	pid_t parent;
	bool landlock;
	pthread_t thread;
	int work[2], done[2]; /* one byte makes the thread work once */
};

struct try {
	const char *name;
	int (*run)(struct things *t); /* 0: it worked; else an errno */
};

/* --- what must kill a worker ------------------------------------------------------------------------ */

static int got(long rc)
{
	return rc < 0 ? errno : 0;
}

#ifndef OG_SANITIZED /* see killed[] */
static int try_open(struct things *t)
{
	return got(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}
static int try_creat(struct things *t)
{
	return got(open("/tmp/og-sandbox-probe", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}
#endif
static int try_openat2(struct things *t)
{
	uint64_t how[3] = { O_RDONLY, 0, 0 };

	return got(syscall(437, AT_FDCWD, "/etc/passwd", how, sizeof(how)));
}
static int try_unlink(struct things *t)
{
	return got(unlink("/tmp/og-sandbox-none"));
}
static int try_socket(struct things *t)
{
	return got(socket(AF_INET, SOCK_STREAM, 0));
}
static int try_socketpair(struct things *t)
{
	int sv[2];

	return got(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
}
static int try_connect(struct things *t)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };

	return got(connect(t->tcp[1], (struct sockaddr *)&sa, sizeof(sa)));
}
static int try_bind(struct things *t)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };

	return got(bind(t->tcp[1], (struct sockaddr *)&sa, sizeof(sa)));
}
static int try_fastopen(struct things *t)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };

	return got(sendto(t->tcp[1], "x", 1, MSG_FASTOPEN, (struct sockaddr *)&sa, sizeof(sa)));
}
static int try_stop_listener(struct things *t)
{
	return got(shutdown(t->listener, SHUT_RD));
}
static int try_setsockopt(struct things *t)
{
	int one = 1;

	return got(setsockopt(t->listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
}
static int try_exec(struct things *t)
{
	char *argv[] = { (char *)"true", NULL };

	return got(execve("/bin/true", argv, argv + 1));
}
static int try_ptrace(struct things *t)
{
	return got(ptrace(PTRACE_ATTACH, t->parent, NULL, NULL));
}
static int try_vm_read(struct things *t)
{
	char c;
	struct iovec l = { &c, 1 }, r = { &c, 1 };

	return got(process_vm_readv(t->parent, &l, 1, &r, 1, 0));
}
static int try_fork(struct things *t)
{
	pid_t p = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (p == 0)
		_exit(0);
	return got(p);
}
static void *nothing(void *arg)
{
	return arg;
}
static int try_thread(struct things *t)
{
	pthread_t th;

	return pthread_create(&th, NULL, nothing, NULL);
}
static int try_mount(struct things *t)
{
	return got(mount("none", "/tmp", "tmpfs", 0, NULL));
}
static int try_kill(struct things *t)
{
	return got(kill(t->parent, 0));
}
static int try_tgkill(struct things *t)
{
	return got(syscall(SYS_tgkill, t->parent, t->parent, 0));
}
static int try_exec_memory(struct things *t)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}
static int try_exec_protect(struct things *t)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return got(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int try_setuid(struct things *t)
{
	return got(syscall(SYS_setuid, 0));
}
static int try_unshare(struct things *t)
{
	return got(unshare(CLONE_NEWUSER));
}
static int try_bpf(struct things *t)
{
	return got(syscall(SYS_bpf, 0, NULL, 0));
}
static int try_io_uring(struct things *t)
{
	return got(syscall(425, 1, NULL));
}
#ifndef OG_SANITIZED
static int try_undo_dumpable(struct things *t)
{
	return got(syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0));
}
#endif
static int try_fcntl_owner(struct things *t)
{
	return got(fcntl(t->file, F_SETOWN, t->parent));
}

static const struct try killed[] = {
#ifndef OG_SANITIZED /* the sanitizers' runtime opens files; Landlock still refuses, see below */
	{ "open", try_open },
	{ "creat", try_creat },
	{ "prctl dumpable", try_undo_dumpable },
#endif
	{ "openat2", try_openat2 },	{ "unlink", try_unlink },
	{ "socket", try_socket },	{ "socketpair", try_socketpair },
	{ "connect", try_connect },	{ "bind", try_bind },
	{ "fastopen", try_fastopen },	{ "stop the listener", try_stop_listener },
	{ "setsockopt", try_setsockopt }, { "execve", try_exec },
	{ "ptrace", try_ptrace },	{ "process_vm_readv", try_vm_read },
	{ "fork", try_fork },		{ "thread", try_thread },
	{ "mount", try_mount },		{ "kill", try_kill },
	{ "tgkill", try_tgkill },	{ "executable memory", try_exec_memory },
	{ "mprotect exec", try_exec_protect }, { "setuid", try_setuid },
	{ "unshare", try_unshare },	{ "bpf", try_bpf },
	{ "io_uring", try_io_uring },	{ "F_SETOWN", try_fcntl_owner },
};

/* --- what a worker does ----------------------------------------------------------------------------- */

static int try_memfd(struct things *t)
{
	struct og_error err = { 0 };
	struct og_slice map = { 0 };
	uint64_t size;
	int fd = -1;

	if (og_memfd_from("probe", OG_SLICE("hello"), &fd, &err) < 0 || og_memfd_check(fd, &size, &err) < 0 ||
	    og_map_file(fd, size, &map, &err) < 0 || !og_slice_is(map, "hello"))
		return EIO;
	og_unmap(&map);
	og_fd_close(&fd);
	return 0;
}

static int try_serve(struct things *t)
{
	char c;
	int one = 1;

	if (setsockopt(t->tcp[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 || send(t->tcp[1], "x", 1, 0) != 1 ||
	    recv(t->tcp[0], &c, 1, 0) != 1 || shutdown(t->tcp[1], SHUT_WR) < 0)
		return errno;
	if (accept4(t->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) >= 0 || errno != EAGAIN)
		return EIO;
	return 0;
}

/* Sizes that grow and trim heaps, of this thread and of another. */
static void churn(void)
{
	void *p[64];

	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < OG_COUNT(p); i++) {
			size_t n = 1000u << (i % 8);

			p[i] = malloc(n);
			ck_assert_ptr_nonnull(p[i]);
			memset(p[i], round, n);
		}
		for (size_t i = OG_COUNT(p); i > 0; i--)
			free(p[i - 1]);
	}
}

static void *work(void *arg)
{
	struct things *t = arg;
	char c;

	while (read(t->work[0], &c, 1) == 1) {
		churn();
		(void)!write(t->done[1], "d", 1);
	}
	return NULL;
}

static int try_memory(struct things *t)
{
	char c;

	churn();
	(void)!write(t->work[1], "w", 1);
	return read(t->done[0], &c, 1) == 1 ? 0 : EIO;
}

/* The filter holds for threads that were there before it. */
static void *work_badly(void *arg)
{
	struct things *t = arg;
	char c;

	if (read(t->work[0], &c, 1) == 1)
		(void)socket(AF_INET, SOCK_STREAM, 0);
	return NULL;
}

static int try_time_and_print(struct things *t)
{
	struct timespec ts;
	struct pollfd p = { .fd = t->listener, .events = POLLIN };
	char text[64];

	og_log(OG_LOG_INFO, "probe", "text=\"a line of a locked worker\"");
	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(text, sizeof(text), "%ld %g", (long)ts.tv_sec, 1.5);
	if (poll(&p, 1, 1) != 0)
		return EIO;
	/* A stream that was never written to before asks what its descriptor is. */
	fprintf(stdout, "%s", "");
	fflush(stdout);
	return 0;
}

static int try_fstat_is_refused_softly(struct things *t)
{
	struct stat st;
	uint64_t size;

	if (og_fd_size(t->file, &size, NULL) < 0)
		return EIO;
#ifdef OG_SANITIZED
	return 0;
#endif
	return stat("/etc/passwd", &st) == 0 ? EIO : errno == EPERM ? 0 : errno;
}

static const struct try works[] = {
	{ "memfd", try_memfd },		{ "serve", try_serve },
	{ "memory", try_memory },	{ "time", try_time_and_print },
	{ "fstat", try_fstat_is_refused_softly },
};

/* --- og-storaged ------------------------------------------------------------------------------------- */

static int file_in(const char *dir, const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static int try_store(struct things *t)
{
	char from[128], to[128], proc[64];
	int fd = open(t->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), dir;

	if (fd < 0)
		return errno;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	snprintf(from, sizeof(from), "%s/sub", t->dir);
	if (mkdir(from, 0700) < 0)
		return errno;
	snprintf(from, sizeof(from), "%s/sub/a", t->dir);
	snprintf(to, sizeof(to), "%s/b", t->dir);
	if (write(fd, "x", 1) != 1 || fsync(fd) < 0 || linkat(AT_FDCWD, proc, AT_FDCWD, from, AT_SYMLINK_FOLLOW) < 0 ||
	    rename(from, to) < 0)
		return errno;
	close(fd);
	dir = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0 || unlink(to) < 0)
		return errno;
	fd = file_in(t->dir, "lock", O_CREAT | O_RDWR);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return errno;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? errno : 0;
}

static int try_new_thread(struct things *t)
{
	pthread_t th;
	int rc = pthread_create(&th, NULL, nothing, NULL);

	return rc ? rc : pthread_join(th, NULL);
}

static int try_outside(struct things *t)
{
	if (!t->landlock)
		return 0;
	if (open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 || errno != EACCES)
		return EIO;
	if (open("/tmp/og-sandbox-probe", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0 || errno != EACCES)
		return EIO;
	return 0;
}

static int try_new_socket(struct things *t)
{
	return got(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static const struct try storaged_tasks[] = {
	{ "store", try_store }, { "thread", try_new_thread },	   { "memfd", try_memfd },
	{ "memory", try_memory }, { "outside", try_outside }, { "socket", try_new_socket },
};

static const struct try storaged_killed[] = {
	{ "execve", try_exec },	  { "ptrace", try_ptrace }, { "fork", try_fork },
	{ "mount", try_mount },	  { "setuid", try_setuid }, { "executable memory", try_exec_memory },
	{ "process_vm_readv", try_vm_read },
};

/* --- the runner -------------------------------------------------------------------------------------- */

static void prepare(struct things *t)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sa);

	t->parent = getpid();
	t->landlock = og_proc_landlock_abi() > 0;
	strcpy(t->dir, "/tmp/og-sandbox-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t->dir));
	t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(t->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(t->listener, 4), 0);
	ck_assert_int_eq(getsockname(t->listener, (struct sockaddr *)&sa, &len), 0);
	t->tcp[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(t->tcp[0], (struct sockaddr *)&sa, sizeof(sa)), 0);
	t->tcp[1] = accept(t->listener, NULL, NULL);
	ck_assert_int_ge(t->tcp[1], 0);
	ck_assert_int_eq(fcntl(t->listener, F_SETFL, O_NONBLOCK), 0);
	t->file = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pipe(t->work), 0);
	ck_assert_int_eq(pipe(t->done), 0);
}

/* In a process of its own: locks, runs, exits with what the try says. The status as of waitpid. */
static int run(enum og_lock_kind kind, int (*fn)(struct things *t), void *(*thread)(void *))
{
	struct things t = { 0 };
	int status;
	pid_t p;

	prepare(&t);
	p = fork();
	ck_assert_int_ge(p, 0);
	if (p == 0) {
		struct og_lock_path paths[] = { { t.dir, OG_PATH_WRITE }, { "/etc", OG_PATH_READ } };
		struct og_error err = { 0 };
		uint32_t held = 0;

		if (og_lock_begin(kind, paths, OG_COUNT(paths), &held, &err) < 0 ||
		    pthread_create(&t.thread, NULL, thread, &t) != 0 || og_lock_end(kind, &held, &err) < 0) {
			fprintf(stderr, "lock: %s\n", err.message);
			_exit(250);
		}
		if (!(held & OG_HELD_SECCOMP))
			_exit(251);
		_exit(fn(&t));
	}
	ck_assert_int_eq(waitpid(p, &status, 0), p);
	for (const char *const *f = (const char *const[]){ "lock", "sub", NULL }; *f; f++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", t.dir, *f);
		(void)remove(path);
	}
	rmdir(t.dir);
	return status;
}

static void assert_killed(const struct try *what, int status)
{
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status 0x%x instead of SIGSYS", what->name,
		      status);
}

static void assert_works(const struct try *what, int status)
{
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status 0x%x (%s)", what->name, status,
		      WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "signal");
}

START_TEST(a_worker_is_killed)
{
	assert_killed(&killed[_i], run(OG_LOCK_WORKER, killed[_i].run, work));
}
END_TEST

START_TEST(a_worker_works)
{
	assert_works(&works[_i], run(OG_LOCK_WORKER, works[_i].run, work));
}
END_TEST

START_TEST(storaged_is_killed)
{
	assert_killed(&storaged_killed[_i], run(OG_LOCK_STORAGED, storaged_killed[_i].run, work));
}
END_TEST

START_TEST(storaged_works)
{
	assert_works(&storaged_tasks[_i], run(OG_LOCK_STORAGED, storaged_tasks[_i].run, work));
}
END_TEST

static int wake_the_bad_thread(struct things *t)
{
	struct timespec long_time = { 20, 0 };

	(void)!write(t->work[1], "w", 1);
	nanosleep(&long_time, NULL);
	return 0;
}

START_TEST(the_filter_holds_for_every_thread)
{
	struct try what = { "socket in an older thread", NULL };

	assert_killed(&what, run(OG_LOCK_WORKER, wake_the_bad_thread, work_badly));
}
END_TEST

/* Two layers: even if the filter had a hole, no path opens. */
static int begin_only(enum og_lock_kind kind, uint32_t *held)
{
	struct og_error err = { 0 };

	return og_lock_begin(kind, NULL, 0, held, &err);
}

START_TEST(landlock_alone_refuses_every_path)
{
	uint32_t held = 0;

	ck_assert_int_eq(begin_only(OG_LOCK_WORKER, &held), 0);
	if (!(held & OG_HELD_LANDLOCK_FS))
		return;
	ck_assert_int_lt(open("/etc/passwd", O_RDONLY | O_CLOEXEC), 0);
	ck_assert_int_eq(errno, EACCES);
	ck_assert(held & OG_HELD_NO_NEW_PRIVS);
	ck_assert(held & OG_HELD_UNDUMPABLE);
	ck_assert(held & OG_HELD_NO_CORE);
	ck_assert(held & OG_HELD_NO_CAPS);
}
END_TEST

/* The port of a listener on 127.0.0.1. */
static uint16_t listen_somewhere(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(listen(fd, 4), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin_port);
}

/* 0 or the errno. */
static int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), e;

	ck_assert_int_ge(fd, 0);
	e = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : errno;
	close(fd);
	return e;
}

START_TEST(landlock_lets_out_to_the_ports_given)
{
	struct og_error err = { 0 };
	uint16_t good = listen_somewhere(), other = listen_somewhere();
	uint32_t held = 0;

	ck_assert_int_eq(begin_only(OG_LOCK_STORAGED, &held), 0);
	ck_assert_int_eq(connect_to(other), 0);
	ck_assert_int_eq(og_lock_ports(&good, 1, &held, &err), 0);
	if (!(held & OG_HELD_LANDLOCK_PORTS)) {
		ck_assert_int_lt(og_proc_landlock_abi(), 4);
		return;
	}
	ck_assert_int_eq(connect_to(good), 0);
	ck_assert_int_eq(connect_to(other), EACCES);
	ck_assert_int_eq(og_lock_ports(NULL, 0, &held, &err), 0);
	ck_assert_int_eq(connect_to(good), EACCES);
}
END_TEST

START_TEST(no_capability_comes_back_by_exec)
{
	uint32_t held = 0;
	int status;
	pid_t p;

	p = fork();
	ck_assert_int_ge(p, 0);
	if (p == 0) {
		/* The lock without Landlock, so that a shell can run. */
		if (begin_only(OG_LOCK_MASTER, &held) < 0)
			_exit(3);
		execl("/bin/sh", "sh", "-c", "grep -q '^CapEff:.0*$' /proc/self/status", (char *)NULL);
		_exit(4);
	}
	ck_assert_int_eq(waitpid(p, &status, 0), p);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, a_worker_is_killed, 0, (int)OG_COUNT(killed));
	tcase_add_loop_test(tc, a_worker_works, 0, (int)OG_COUNT(works));
	tcase_add_loop_test(tc, storaged_is_killed, 0, (int)OG_COUNT(storaged_killed));
	tcase_add_loop_test(tc, storaged_works, 0, (int)OG_COUNT(storaged_tasks));
	tcase_add_test(tc, the_filter_holds_for_every_thread);
	tcase_add_test(tc, landlock_alone_refuses_every_path);
	tcase_add_test(tc, landlock_lets_out_to_the_ports_given);
	tcase_add_test(tc, no_capability_comes_back_by_exec);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
