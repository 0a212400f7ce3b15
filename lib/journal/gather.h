/*
 * When the next batch leaves. Clients that wait for their commits send the next ones as soon as they are answered. A batch that leaves before those are there
 * takes only what came meanwhile, so that such clients part into two groups, each of which waits for the other's put: half as many commits a put, and
 * twice the time for each. So, while most of those answered have been coming back within half a put, the next batch waits for as many as usually do, and
 * no longer than that half. Who comes once, or on his own time, waits for nobody: under a steady stream half of a batch's number comes in that time.
 *
 * Without it a commit leaves when no put is under way; nothing but time depends on it, and a batch may be late for any other reason.
 * Threads: plain data. Times are of one clock, in microseconds; the caller reads it.
 */
#ifndef OG_JOURNAL_GATHER_H
#define OG_JOURNAL_GATHER_H

#include <stdbool.h>
#include <stdint.h>

struct og_gather {
	uint64_t until_us;	/* half a put behind the last answers */
	uint32_t told, back;	/* answered then; come since, until then */
	uint32_t share;		/* of 256: how many of those answered came in time, a mean */
	bool on;
};

/* A batch of n operations has landed; a put takes put_us. */
void og_gather_told(struct og_gather *g, uint32_t n, uint64_t put_us, uint64_t now_us);
/* An operation has come. */
void og_gather_came(struct og_gather *g, uint64_t now_us);
/* Until when the next batch should wait, unless more come; 0: it should leave. */
uint64_t og_gather_wait(const struct og_gather *g, uint64_t now_us);

#endif
