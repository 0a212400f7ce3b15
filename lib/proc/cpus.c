/* CPUs and memory that are ours to use. */
#include "config.h"

#include "proc/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"

#define CPUS_MAX 16
#define CGROUP_ROOT "/sys/fs/cgroup"

/* The first line of a control file of one group; false without it. */
static bool read_line(const char *group, const char *file, char *out, size_t size)
{
	char path[4096];
	FILE *f;
	bool ok;

	if (snprintf(path, sizeof(path), CGROUP_ROOT "%s/%s", group, file) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(out, (int)size, f) != NULL;
	fclose(f);
	if (ok)
		out[strcspn(out, "\n")] = 0;
	return ok;
}

/* Our group below the cgroup v2 root: the line "0::/path". */
static bool own_group(char *out, size_t size)
{
	char line[4096];
	FILE *f = fopen("/proc/self/cgroup", "re");
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		found = strncmp(line, "0::/", 4) == 0 && strlen(line + 3) < size;
		if (found)
			strcpy(out, line + 3);
	}
	fclose(f);
	if (found && strcmp(out, "/") == 0)
		out[0] = 0;
	return found;
}

/* Calls look for our group and for every one above it, whose limits hold as well. */
static void each_group(void (*look)(const char *group, void *arg), void *arg)
{
	char group[4000];

	if (!own_group(group, sizeof(group)))
		return;
	for (;;) {
		char *slash;

		look(group, arg);
		slash = strrchr(group, '/');
		if (!slash)
			return;
		*slash = 0;
	}
}

static void look_cpu(const char *group, void *arg)
{
	unsigned *cpus = arg;
	unsigned long long quota, period;
	char line[128];

	if (!read_line(group, "cpu.max", line, sizeof(line)) || sscanf(line, "%llu %llu", &quota, &period) != 2 ||
	    !quota || !period)
		return;
	quota = (quota + period - 1) / period;
	*cpus = (unsigned)OG_MIN((unsigned long long)*cpus, quota);
}

static void look_memory(const char *group, void *arg)
{
	uint64_t *bytes = arg, max;
	char line[128];

	if (read_line(group, "memory.max", line, sizeof(line)) && og_parse_u64(og_slice_str(line), &max) && max)
		*bytes = OG_MIN(*bytes, max);
}

unsigned og_proc_cpus(void)
{
	cpu_set_t set;
	unsigned cpus = 1;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		cpus = (unsigned)CPU_COUNT(&set);
	each_group(look_cpu, &cpus);
	return OG_MAX(1u, OG_MIN(cpus, (unsigned)CPUS_MAX));
}

uint64_t og_proc_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t bytes = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : (uint64_t)1 << 30;

	each_group(look_memory, &bytes);
	return bytes;
}
