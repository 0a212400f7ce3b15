/*
 * What of the machine this process may use.
 * Source: sched_getaffinity(2); cgroup v2 cpu.max and memory.max of our group and those above it.
 * Threads: any.
 */
#ifndef OG_PROC_CPUS_H
#define OG_PROC_CPUS_H

#include <stdint.h>

/* CPUs: affinity, cut by the quota rounded up; 1 to 16. */
unsigned og_proc_cpus(void);
/* Bytes of memory: min(physical, memory.max). */
uint64_t og_proc_memory(void);

#endif
