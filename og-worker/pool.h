/*
 * A worker's executor threads: a runner (graph/op.h) for work that may not run on the loop.
 *
 * Short pool: one thread at normal priority; a job that has used 10 ms there goes on in the long pool. Long pool: a thread per usable CPU at nice 19, jobs in turn by
 * slices, so that any number of long queries share it evenly and none of them delays the loop or a short one for long.
 * Threads are started by pool_start, before the system call filter forbids clone; work is handed over by locked queues, completions by an eventfd.
 */
#ifndef OG_WORKER_POOL_H
#define OG_WORKER_POOL_H

#include <event2/event.h>

#include "graph/op.h"

#define POOL_LONG_MAX 16u

struct pool;

/* long_threads: 1 to POOL_LONG_MAX. */
struct pool *pool_start(struct event_base *base, unsigned long_threads, struct og_error *err);
const struct og_runner *pool_runner(struct pool *p);
/* Jobs that are queued or run. */
unsigned pool_busy(const struct pool *p);
/* Ends the threads; jobs must have been cancelled: it waits for the slices that run. Their done() is called. */
void pool_free(struct pool *p);

#endif
