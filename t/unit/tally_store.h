/*
 * A store in front of another one that tells how requests lay in time: how many were under way at once, and in how many rounds they were made. A round
 * begins with a request while none is under way. Settling is no request. It can be told to keep requests of a kind back, or to fail them. For tests.
 */
#ifndef OG_T_UNIT_TALLY_STORE_H
#define OG_T_UNIT_TALLY_STORE_H

#include "store/store.h"

#define TALLY_NO_OP ((enum og_store_op)OG_STORE_NOPS)

struct tally {
	enum og_store_op keep, fail;	/* requests of this kind; TALLY_NO_OP: none */
	unsigned kept;		/* now */
	unsigned under_way;
	unsigned rounds;	/* since tally_reset */
	unsigned at_once;	/* the most under way at a time, since then */
	uint64_t requests[OG_STORE_NOPS];	/* since then */
	uint64_t bytes;		/* of answers to gets, since then */
};

/* Takes over `inner`; freeing the result frees it. `paged` false: like a store of another machine, without shared pages. NULL without memory. */
struct og_store *tally_store_new(struct og_store *inner, bool paged);
struct tally *tally_of(struct og_store *s);
void tally_reset(struct og_store *s);
void tally_let_go(struct og_store *s);	/* what is kept back is answered now, and nothing is kept any more */

#endif
