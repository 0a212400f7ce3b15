/*
 * A store that makes trouble, in front of another one; for tests of everything above.
 *
 * Requests that change something, and gets, are numbered from 0 as they are submitted. At the chosen number it
 *   OG_FAULT_KILL_BEFORE   kills the process (SIGKILL) before the request is passed on
 *   OG_FAULT_KILL_AFTER    kills it when the answer is there, before anybody learns it
 *   OG_FAULT_FAIL          answers OG_ERR_IO, the request not having been passed on
 *   OG_FAULT_LOST_BEFORE   answers OG_ERR_UNKNOWN (gets: OG_ERR_UNAVAILABLE), the request not having been passed on
 *   OG_FAULT_LOST_AFTER    the same, the request having been carried out
 * Threads: as the store in front of which it stands.
 */
#ifndef OG_STORE_FAULT_H
#define OG_STORE_FAULT_H

#include "store/store.h"

enum og_fault_kind {
	OG_FAULT_NONE,
	OG_FAULT_KILL_BEFORE,
	OG_FAULT_KILL_AFTER,
	OG_FAULT_FAIL,
	OG_FAULT_LOST_BEFORE,
	OG_FAULT_LOST_AFTER,
};

struct og_fault_plan {
	enum og_fault_kind kind;
	uint64_t at;		/* number of the request */
	uint64_t count;		/* this many from there on; 0 is 1 */
	bool writes_only;	/* number puts and deletes alone */
};

/* Takes over `inner`; freeing the result frees it. NULL without memory (inner is then still the caller's). */
struct og_store *og_store_fault_new(struct og_store *inner, const struct og_fault_plan *plan);
/* Requests numbered so far. */
uint64_t og_store_fault_seen(const struct og_store *s);
void og_store_fault_set(struct og_store *s, const struct og_fault_plan *plan);	/* numbering starts again at 0 */
/*
 * Reads "kind:at[:count][:w]" (kill-before, kill-after, fail, lost-before, lost-after), the form in which a test passes a
 * plan to a program. OG_ERR_BAD: no such text.
 */
int og_fault_parse(const char *text, struct og_fault_plan *out, struct og_error *err) OG_MUST_CHECK;

#endif
