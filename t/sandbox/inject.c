/*
 * Plays a compromised worker: makes a running process call something that it never calls by itself.
 *
 * usage: inject PID open|socket|connect|execve|ptrace|fork|mount|unlink|kill
 * The process is stopped by ptrace in the middle of a system call; its registers are set so that it makes another one from the same
 * instruction. Prints "killed by signal N", "returned N" (the call was answered: N is negative for an error) or why nothing could be tried.
 * Exit status: 0 killed, 1 returned, 77 not possible here.
 * Source: ptrace(2). x86-64 alone.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if !defined(__x86_64__)
int main(void)
{
	puts("only for x86-64");
	return 77;
}
#else
#include <sys/user.h>

struct call {
	const char *name;
	long nr;
	unsigned long args[5];
};

/* Pointers are null: what matters is that the call is made at all. */
static const struct call calls[] = {
	{ "open", SYS_open, { 0 } },
	{ "openat", SYS_openat, { (unsigned long)AT_FDCWD } },
	{ "socket", SYS_socket, { AF_INET, SOCK_STREAM, 0 } },
	{ "connect", SYS_connect, { 0 } },
	{ "execve", SYS_execve, { 0 } },
	{ "ptrace", SYS_ptrace, { PTRACE_TRACEME } },
	{ "fork", SYS_fork, { 0 } },
	{ "clone", SYS_clone, { SIGCHLD } },
	{ "mount", SYS_mount, { 0 } },
	{ "unlink", SYS_unlink, { 0 } },
	{ "kill", SYS_kill, { 1, 9 } },
};

static int give_up(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 77;
}

/* Waits for the next stop or end. */
static int next_stop(pid_t pid, int *status)
{
	while (waitpid(pid, status, __WALL) < 0)
		if (errno != EINTR)
			return -1;
	return 0;
}

/* At a stop the instruction pointer is behind the two bytes of `syscall`: from there it is made again. */
static int inject(pid_t pid, const struct call *c, struct user_regs_struct *regs)
{
	long word = ptrace(PTRACE_PEEKTEXT, pid, (void *)(regs->rip - 2), NULL);

	if ((word & 0xffff) != 0x050f) {
		puts("it was not stopped in a system call");
		return 77;
	}
	regs->rip -= 2;
	regs->rax = (unsigned long)c->nr;
	regs->orig_rax = (unsigned long)-1;
	regs->rdi = c->args[0];
	regs->rsi = c->args[1];
	regs->rdx = c->args[2];
	regs->r10 = c->args[3];
	regs->r8 = c->args[4];
	if (ptrace(PTRACE_SETREGS, pid, NULL, regs) < 0)
		return give_up("PTRACE_SETREGS");
	return 0;
}

/* Runs it to the entry of that call, to its exit (a refusing filter rolls it back, and the signal comes behind that), and on to its next one, or to its end. */
static int outcome(pid_t pid)
{
	struct user_regs_struct regs = { 0 };
	int status;

	for (int stops = 0; stops < 3; stops++) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0 || next_stop(pid, &status) < 0)
			return give_up("PTRACE_SYSCALL");
		if (WIFSIGNALED(status) || (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSYS)) {
			printf("killed by signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : SIGSYS);
			return 0;
		}
		if (WIFEXITED(status)) {
			printf("exited with %d\n", WEXITSTATUS(status));
			return 1;
		}
		if (stops == 1 && ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
			return give_up("PTRACE_GETREGS");
	}
	printf("returned %ld\n", (long)regs.rax);
	kill(pid, SIGKILL);	/* its state is spoiled */
	return 1;
}

int main(int argc, char **argv)
{
	const struct call *c = NULL;
	struct user_regs_struct regs;
	int status, rc;
	pid_t pid;

	for (size_t i = 0; argc == 3 && i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(argv[2], calls[i].name) == 0)
			c = &calls[i];
	if (!c) {
		fputs("usage: inject PID CALL\n", stderr);
		return 2;
	}
	pid = (pid_t)strtol(argv[1], NULL, 10);
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
		return give_up("PTRACE_ATTACH");
	if (next_stop(pid, &status) < 0 || ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return give_up("PTRACE_GETREGS");
	rc = inject(pid, c, &regs);
	return rc ? rc : outcome(pid);
}
#endif
