/*
 * Judges a history of operations on one graph by the log that is there at the end.
 *
 * The log is read here anew: chain, records, branches and commits from the bytes alone, by none of the journal's code but the decoding of an
 * object. Then each operation: what was acknowledged is in the log once, where it was said to be; what was refused is nowhere, and the
 * refusal was true of a state that held all that had been there when the operation came; what is unknown is there at most once; what
 * landed saw all that it depends on.
 */
#ifndef OG_T_SIM_CHECK_H
#define OG_T_SIM_CHECK_H

#include "journal/journal.h"
#include "t/fault/sim.h"

#define SIM_TYPES 3
#define SIM_KEYS_MAX 4

enum sim_op_kind { SIM_COMMIT, SIM_MERGE, SIM_CREATE, SIM_DELETE, SIM_READ, SIM_SNAPSHOT };

struct sim_op {
	enum sim_op_kind kind;
	unsigned host, incarnation;
	uint64_t start, end, deadline;	/* end 0: no answer yet */
	uint64_t before, after;		/* log objects that a confirmed state must hold, that there were at the end */
	bool died;			/* with its host: nobody knows */
	struct og_ulid id;		/* commit, branch */
	struct og_ulid branch;		/* written; create: the source; merge: the target */
	char name[16];			/* create */
	/* commit */
	struct og_ulid base, expect, merged_branch, merged;
	bool base_confirmed, has_expect;
	uint32_t strict, scanned;	/* one bit a type, 1 << type */
	uint32_t touched;
	uint64_t r[SIM_KEYS_MAX], w[SIM_KEYS_MAX];
	size_t nr, nw;
	int64_t dn;
	/* what was said */
	enum og_commit_outcome outcome;
	int code;
	uint64_t seq;			/* of a read: shown; of a commit: where it landed */
	uint32_t type;
	uint64_t expected, actual;
	char message[160];
	/* snapshot, read: rows of type 1 of `branch` at head `base`, its version */
	uint64_t rows, version;
	bool shown;			/* rows, version, base are those of a branch */
};

struct sim_ops {
	struct sim_op **v;
	size_t n, cap;
};

struct sim_op *sim_op_new(struct sim_ops *ops);
void sim_ops_fini(struct sim_ops *ops);

/* The first thing that is wrong, in a static buffer, or NULL. `s`: opened afresh, with its whole history; checked against the log as well. */
const char *sim_check(const struct sim_bucket *b, const struct og_genesis *g, const struct og_state *s, const struct sim_ops *ops);

#endif
