/* proc/spawn, secrets, held, notify, cpus, cachedir. */
#include "config.h"

#include "t/check.h"
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "proc/cachedir.h"
#include "proc/cpus.h"
#include "proc/held.h"
#include "proc/notify.h"
#include "proc/secrets.h"
#include "proc/spawn.h"

/* Runs a shell line with descriptor 5 given and stdout in a pipe; what it printed. */
static void shell(const char *line, struct og_buf *out, struct og_spawn_ids ids)
{
	char *argv[] = { (char *)"named-otherwise", (char *)"-c", (char *)line, NULL };
	struct og_error err = { 0 };
	int p[2], status, extra = open("/dev/null", O_RDONLY), given = -1;
	pid_t pid;

	ck_assert_int_eq(og_memfd_from("given", OG_SLICE("gift\n"), &given, &err), 0);
	ck_assert_int_eq(pipe(p), 0);
	struct og_spawn s = { .path = "/bin/sh", .argv = argv, .fds = { { p[1], 1 }, { given, 5 } }, .nfds = 2,
			      .ids = ids };
	ck_assert_msg(og_spawn(&s, &pid, &err) == 0, "%s", err.message);
	close(p[1]);
	ck_assert_int_eq(og_fd_read_all(p[0], out, 65536, &err), 0);
	close(p[0]);
	close(extra);
	close(given);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(a_child_has_what_it_was_given_and_nothing_else)
{
	struct og_buf out = { 0 };

	setenv("OG_TEST_LEAK", "leak", 1);
	shell("echo \"env=$OG_TEST_LEAK\"; read x < /proc/self/fd/5; echo $x; ls /proc/$$/fd", &out,
	      (struct og_spawn_ids){ .change = false });
	ck_assert_ptr_nonnull(strstr(out.data, "env=\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "gift\n"));
	/* No pipe behind ls: the shell would hold its ends for a moment. */
	ck_assert_msg(strstr(out.data, "0\n1\n2\n") != NULL, "%s", out.data);
	ck_assert_str_eq(strstr(out.data, "0\n1\n2\n"), "0\n1\n2\n5\n");
	og_buf_fini(&out);
}
END_TEST

START_TEST(a_child_gives_up_its_ids)
{
	struct og_buf out = { 0 };

	if (geteuid() != 0)
		return;
	shell("grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status", &out,
	      (struct og_spawn_ids){ true, 65534, 65533 });
	ck_assert_ptr_nonnull(strstr(out.data, "Uid:\t65534\t65534\t65534\t65534"));
	ck_assert_ptr_nonnull(strstr(out.data, "Gid:\t65533\t65533\t65533\t65533"));
	ck_assert_ptr_nonnull(strstr(out.data, "Groups:\t65533 \n"));
	ck_assert_ptr_nonnull(strstr(out.data, "CapEff:\t0000000000000000"));
	og_buf_fini(&out);
}
END_TEST

START_TEST(a_child_has_default_signals)
{
	struct og_buf out = { 0 };
	sigset_t all;

	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	shell("grep -E '^Sig(Blk|Ign)' /proc/self/status", &out, (struct og_spawn_ids){ .change = false });
	ck_assert_ptr_nonnull(strstr(out.data, "SigBlk:\t0000000000000000"));
	ck_assert_ptr_nonnull(strstr(out.data, "SigIgn:\t0000000000000000"));
	og_buf_fini(&out);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_an_error_here)
{
	char *argv[] = { (char *)"x", NULL };
	struct og_spawn s = { .path = "/nonexistent/program", .argv = argv };
	struct og_error err = { 0 };
	pid_t pid = -1;

	ck_assert_int_eq(og_spawn(&s, &pid, &err), OG_ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/program"));
	ck_assert_int_eq(pid, -1);
	ck_assert_int_lt(waitpid(-1, NULL, WNOHANG), 0); /* no zombie either */
}
END_TEST

START_TEST(secrets_leave_the_environment)
{
	char a[] = "AWS_SECRET_ACCESS_KEY=hunter2", b[] = "PATH=/bin", c[] = "https_proxy=http://u:p@h", d[] = "OPENAI_API_KEY=k",
	     e[] = "EMPTY", f[] = "AWSOME=1";
	char *envp[] = { a, b, c, d, e, f, NULL };
	struct og_error err = { 0 };
	char out[64];
	int fd = -1;

	ck_assert_int_eq(og_secrets_take(envp, &fd, &err), 0);
	ck_assert_ptr_eq(envp[0], b);
	ck_assert_ptr_eq(envp[1], e);
	ck_assert_ptr_eq(envp[2], f);
	ck_assert_ptr_null(envp[3]);
	for (size_t i = 0; i < sizeof(a); i++)
		ck_assert_int_eq(a[i], 0);
	for (size_t i = 0; i < sizeof(c); i++)
		ck_assert_int_eq(c[i], 0);
	ck_assert_int_eq(og_secrets_get(fd, "AWS_SECRET_ACCESS_KEY", out, sizeof(out), &err), 0);
	ck_assert_str_eq(out, "hunter2");
	ck_assert_int_eq(og_secrets_get(fd, "OPENAI_API_KEY", out, sizeof(out), &err), 0);
	ck_assert_str_eq(out, "k");
	ck_assert_int_eq(og_secrets_get(fd, "AWS_SECRET", out, sizeof(out), &err), OG_ERR_NOT_FOUND);
	ck_assert_int_eq(og_secrets_get(fd, "AWS_SECRET_ACCESS_KEY", out, 7, &err), OG_ERR_TOO_LARGE);
	ck_assert_int_eq(og_secrets_get(-1, "X", out, 7, &err), OG_ERR_NOT_FOUND);
	ck_assert_int_lt(write(fd, "x", 1), 0);
	close(fd);
}
END_TEST

START_TEST(no_secrets_no_descriptor)
{
	char b[] = "PATH=/bin";
	char *envp[] = { b, NULL };
	struct og_error err = { 0 };
	int fd = 7;

	ck_assert_int_eq(og_secrets_take(envp, &fd, &err), 0);
	ck_assert_int_eq(fd, -1);
	ck_assert_str_eq(b, "PATH=/bin");
}
END_TEST

START_TEST(protections_have_names)
{
	struct og_buf b = { 0 };

	og_held_list(OG_HELD_SECCOMP | OG_HELD_NO_CORE | 1u << 31, &b);
	ck_assert_str_eq(b.data, "no-core,seccomp");
	og_buf_fini(&b);
}
END_TEST

START_TEST(notifies_an_abstract_socket)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct og_error err = { 0 };
	char name[64], got[64] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(og_notify("READY=1", &err), 0);
	snprintf(name, sizeof(name), "@og-test-%d", (int)getpid());
	memcpy(sa.sun_path, name, strlen(name));
	sa.sun_path[0] = 0;
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(og_notify("READY=1", &err), 0);
	ck_assert_int_eq(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 7);
	ck_assert_str_eq(got, "READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_int_eq(og_notify("READY=1", &err), OG_ERR_BAD);
	close(fd);
}
END_TEST

START_TEST(listen_fds_are_ours_only_with_our_pid)
{
	char pid[32];

	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", "1", 1);
	ck_assert_int_eq(og_notify_listen_fds(), 0);
	ck_assert_ptr_null(getenv("LISTEN_FDS"));
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_PID", pid, 1);
	ck_assert_int_eq(og_notify_listen_fds(), 2);
}
END_TEST

START_TEST(the_machine_has_something)
{
	ck_assert_uint_ge(og_proc_cpus(), 1);
	ck_assert_uint_le(og_proc_cpus(), 16);
	ck_assert_uint_gt(og_proc_memory(), OG_MIB);
}
END_TEST

/* ---- the folder of the cache ---- */

static const char *found(const char *given, enum og_cachedir_user user)
{
	static char path[OG_PROC_PATH_MAX];

	og_cachedir_find(given, user, path);
	return path;
}

START_TEST(where_the_cache_is)
{
	bool root = geteuid() == 0;
	char cwd[1000], want[1100], *longer = malloc(OG_PROC_PATH_MAX + 1);

	unsetenv("CACHE_DIRECTORY");
	setenv("XDG_CACHE_HOME", "/x/cache", 1);
	setenv("HOME", "/home/somebody", 1);
	ck_assert_str_eq(found("/given", OG_CACHEDIR_SERVER), "/given");
	ck_assert_ptr_nonnull(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/in/here", cwd);
	ck_assert_str_eq(found("in/here", OG_CACHEDIR_OPERATOR), want);
	ck_assert_str_eq(found("", OG_CACHEDIR_SERVER), root ? "/var/cache/omnigraph" : "/x/cache/omnigraph");
	ck_assert_str_eq(found(NULL, OG_CACHEDIR_SERVER), root ? "/var/cache/omnigraph" : "/x/cache/omnigraph");
	setenv("CACHE_DIRECTORY", "/var/cache/a:/var/cache/b", 1);
	ck_assert_str_eq(found(NULL, OG_CACHEDIR_SERVER), "/var/cache/a");
	ck_assert_str_eq(found("/given", OG_CACHEDIR_SERVER), "/given");
	unsetenv("CACHE_DIRECTORY");
	if (!root) {
		setenv("XDG_CACHE_HOME", "relative, and so ignored", 1);
		ck_assert_str_eq(found(NULL, OG_CACHEDIR_OPERATOR), "/home/somebody/.cache/omnigraph");
		unsetenv("XDG_CACHE_HOME");
		unsetenv("HOME");
		ck_assert_str_eq(found(NULL, OG_CACHEDIR_OPERATOR), "");
	}
	memset(longer, 'x', OG_PROC_PATH_MAX);
	longer[0] = '/';
	longer[OG_PROC_PATH_MAX] = '\0';
	ck_assert_str_eq(found(longer, OG_CACHEDIR_SERVER), "");
	free(longer);
}
END_TEST

START_TEST(the_folder_of_the_cache_belongs_to_who_uses_it)
{
	char top[] = "/tmp/og-cachedir-test.XXXXXX", path[100], inside[120];
	struct og_spawn_ids other = { true, 65534, 65534 };
	struct og_error err = { 0 };
	struct stat st;

	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/a/b", top);
	ck_assert_int_eq(og_cachedir_make(path, NULL, &err), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_uint_eq(st.st_uid, geteuid());
	ck_assert_int_eq(og_cachedir_make(path, NULL, &err), 0);
	if (geteuid() == 0) {
		/* Not what somebody has put something into. */
		snprintf(inside, sizeof(inside), "%s/file", path);
		close(open(inside, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		ck_assert_int_eq(og_cachedir_make(path, &other, &err), 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_uid, 0);
		unlink(inside);
		chmod(path, 0755);
		ck_assert_int_eq(og_cachedir_make(path, &other, &err), 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_uid, 65534);
		ck_assert_uint_eq(st.st_mode & 07777, 0700);
		ck_assert_int_eq(og_cachedir_make(path, &other, &err), 0);
	}
	rmdir(path);
	/* A file in the way, and no place at all. */
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	snprintf(inside, sizeof(inside), "%s/file", path);
	ck_assert_int_eq(og_cachedir_make(inside, NULL, &err), OG_ERR_IO);
	ck_assert_ptr_nonnull(strstr(err.message, inside));
	ck_assert_int_eq(og_cachedir_make("relative", NULL, &err), OG_ERR_BAD);
	unlink(path);
	snprintf(path, sizeof(path), "%s/a", top);
	rmdir(path);
	ck_assert_int_eq(rmdir(top), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proc");
	TCase *tc = tcase_create("proc");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, where_the_cache_is);
	tcase_add_test(tc, the_folder_of_the_cache_belongs_to_who_uses_it);
	tcase_add_test(tc, a_child_has_what_it_was_given_and_nothing_else);
	tcase_add_test(tc, a_child_gives_up_its_ids);
	tcase_add_test(tc, a_child_has_default_signals);
	tcase_add_test(tc, a_program_that_is_not_there_is_an_error_here);
	tcase_add_test(tc, secrets_leave_the_environment);
	tcase_add_test(tc, no_secrets_no_descriptor);
	tcase_add_test(tc, protections_have_names);
	tcase_add_test(tc, notifies_an_abstract_socket);
	tcase_add_test(tc, listen_fds_are_ours_only_with_our_pid);
	tcase_add_test(tc, the_machine_has_something);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
