/* Giving up powers, step by step and as ready-made sequences. */
#include "config.h"

#include "proc/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <malloc.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CAP(name) (1ULL << CAP_##name)
/* og-master at any time starts children under their users, ends them, binds, and reads key files again. */
#define MASTER_CAPS (CAP(SETUID) | CAP(SETGID) | CAP(KILL) | CAP(NET_BIND_SERVICE) | CAP(DAC_READ_SEARCH))

#ifdef OG_SANITIZED
/* A filtered process cannot start the leak checker's tracer. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

int og_proc_no_new_privs(struct og_error *err)
{
	int e;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "no-new-privs");
}

int og_proc_undumpable(struct og_error *err)
{
	int e;

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "undumpable");
}

int og_proc_no_core(struct og_error *err)
{
	struct rlimit none = { 0, 0 };
	int e;

	if (setrlimit(RLIMIT_CORE, &none) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "core limit");
}

static int get_caps(struct __user_cap_data_struct data[2], struct og_error *err)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	int e;

	if (syscall(__NR_capget, &h, data) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "capabilities");
}

int og_proc_keep_caps(uint64_t mask, struct og_error *err)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	int e, rc;

	if ((rc = get_caps(data, err)) < 0)
		return rc;
	/* Not supported before Linux 4.3, and then there is nothing to clear. */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (data[0].permitted & CAP(SETPCAP)) {
		for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
			if (mask & (1ULL << cap) || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
				continue;
			e = errno;
			return og_error_sys(err, e, "capability %d", cap);
		}
		/* Uid 0 alone shall give nothing to a program that is executed later. */
		if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) < 0) {
			e = errno;
			return og_error_sys(err, e, "securebits");
		}
	}
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(mask >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(__NR_capset, &h, data) == 0)
		return 0;
	e = errno;
	return og_error_sys(err, e, "capabilities");
}

static uint32_t caps_held(void)
{
	struct __user_cap_data_struct data[2] = { 0 };

	if (get_caps(data, NULL) < 0)
		return 0;
	if (!data[0].permitted && !data[1].permitted)
		return OG_HELD_NO_CAPS;
	if (!(data[0].permitted & ~(uint32_t)MASTER_CAPS) && !data[1].permitted)
		return OG_HELD_FEW_CAPS;
	return 0;
}

static int add_row(scmp_filter_ctx ctx, const struct og_call *c)
{
	struct scmp_arg_cmp cmp[3];
	unsigned n = 0;
	uint32_t action = c->deny ? SCMP_ACT_ERRNO((uint32_t)c->deny) : SCMP_ACT_ALLOW;

	if (c->self)
		cmp[n++] = SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(), 0);
	for (size_t i = 0; i < OG_COUNT(c->when); i++)
		if (c->when[i].mask)
			cmp[n++] = SCMP_CMP(c->when[i].arg, SCMP_CMP_MASKED_EQ, c->when[i].mask, c->when[i].value);
	return seccomp_rule_add_array(ctx, action, c->nr, n, cmp);
}

int og_proc_seccomp(const struct og_call *calls, size_t ncalls, struct og_error *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc;

	if (!ctx)
		return og_error_nomem(err);
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A tree instead of a chain: the last row costs as much as the first. Older libraries lack it; no harm. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < ncalls && rc == 0; i++) {
		rc = add_row(ctx, &calls[i]);
		if (rc == -EEXIST) /* a wider row of the same call came before */
			rc = 0;
	}
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc < 0)
		return og_error_sys(err, -rc, "system call filter");
	return 0;
}

static int lock_paths(enum og_lock_kind kind, const struct og_lock_path *paths, size_t npaths, uint32_t *held,
		      struct og_error *err)
{
	switch (kind) {
	case OG_LOCK_WORKER:
		/* Trimming another thread's heap makes the C library open a file of /proc, which would kill us. */
		mallopt(M_TRIM_THRESHOLD, INT_MAX);
		/* So does the first conversion of a time, gmtime_r's too, that of a log line. */
		tzset();
		return og_proc_landlock(NULL, 0, OG_DENY_BIND | OG_DENY_CONNECT, held, err);
	case OG_LOCK_STORAGED:
		return og_proc_landlock(paths, npaths, OG_DENY_BIND, held, err);
	case OG_LOCK_MASTER:
		return 0;
	}
	return 0;
}

int og_lock_begin(enum og_lock_kind kind, const struct og_lock_path *paths, size_t npaths, uint32_t *held,
		  struct og_error *err)
{
	int rc;

	if ((rc = og_proc_keep_caps(kind == OG_LOCK_MASTER ? MASTER_CAPS : 0, err)) < 0 ||
	    (rc = og_proc_undumpable(err)) < 0 || (rc = og_proc_no_core(err)) < 0 ||
	    (rc = og_proc_no_new_privs(err)) < 0 || (rc = lock_paths(kind, paths, npaths, held, err)) < 0)
		return rc;
	*held |= OG_HELD_UNDUMPABLE | OG_HELD_NO_CORE | OG_HELD_NO_NEW_PRIVS | caps_held();
	if (kind != OG_LOCK_MASTER && (!environ || !environ[0]))
		*held |= OG_HELD_EMPTY_ENV;
	return 0;
}

int og_lock_end(enum og_lock_kind kind, uint32_t *held, struct og_error *err)
{
	const struct og_call *calls;
	size_t n;
	int rc;

	calls = og_lock_calls(kind, &n);
	if (!n)
		return 0;
	if ((rc = og_proc_seccomp(calls, n, err)) < 0)
		return rc;
	*held |= OG_HELD_SECCOMP;
	return 0;
}
