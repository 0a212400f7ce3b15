/*
 * Reads: a checked query becomes a plan, a plan over a view becomes an execution, and an execution is stepped until its rows are there.
 *
 * Plan:      depends on catalog and query text only; immutable, shared by any number of executions and threads, cacheable by text.
 * Execution: pull operators over batches of slots with selection vectors, resumable between batches: one thread starts it, another may go on.
 * Result:    rows encoded as JSON, in the execution's arena (row count and length are known before the first byte leaves).
 *
 * Memory:  one arena an execution under a limit; over it the query ends with OG_ERR_TOO_LARGE, resource query_memory_bytes.
 * Threads: an execution belongs to one thread at a time; the cancel flag is read every batch, and at least every millisecond inside
 *          sorts, hash builds and frontiers.
 */
#ifndef OG_ENGINE_EXEC_H
#define OG_ENGINE_EXEC_H

#include <stdatomic.h>

#include "gq/gq.h"
#include "image/view.h"
#include "json/writer.h"

struct og_plan;
struct og_exec;

/* q must be checked against c (for a search query: OG_ERR_UNSUPPORTED, "... is not available yet"); both, and `a`, must outlive the plan. */
int og_plan_read(struct og_arena *a, const struct gq_query *q, const struct og_catalog *c, struct og_plan **out, struct og_error *err) OG_MUST_CHECK;
/* Images that must be pinned in the view before an execution starts. */
const struct og_need *og_plan_needs(const struct og_plan *p, size_t *n);

/* Memory that many executions draw on; {0} is one without a limit. Threads: any. */
struct og_exec_pool {
	atomic_size_t used;
	size_t limit;			/* bytes; 0: none */
};

struct og_exec_limits {
	size_t memory;			/* bytes; 0: none */
	struct og_exec_pool *pool;	/* NULL: none; outlives the execution. Whichever of both ends first is the limit that the error names */
	uint64_t row_budget;		/* rows that operators may touch in one step before it returns OG_EXEC_MORE; 0: none */
	const atomic_int *cancel;	/* non-zero: stop; NULL: never. A value < 0 is the OG_ERR_* to end with (else OG_ERR_CANCELLED) */
};

enum og_exec_state { OG_EXEC_DONE = 0, OG_EXEC_MORE = 1 };

/* Starts: evaluates constants (bad dates etc. fail here), looks keys up, orders the joins by the view's row counts, references the view. bindings, plan must
 * outlive the execution. More than 4,096 steps are OG_ERR_BAD: each takes stack. */
int og_exec_new(const struct og_plan *p, const struct gq_bindings *b, struct og_view *v, const struct og_exec_limits *limits, struct og_exec **out,
		struct og_error *err) OG_MUST_CHECK;
/* True if at most `rows` rows can be touched in all (key look-ups, expansions of counted degree): such a query may run on an event loop. */
bool og_exec_short(const struct og_exec *x, uint64_t rows);
/* OG_EXEC_DONE, OG_EXEC_MORE, or a negative error. Runs until the row budget or budget_us (0: none) of time is used up, checked at batch boundaries. */
int og_exec_step(struct og_exec *x, uint64_t budget_us, struct og_error *err) OG_MUST_CHECK;
void og_exec_free(struct og_exec *x);

/* After OG_EXEC_DONE: number of rows; the column names as a compact JSON array; the rows as a compact JSON array of objects in column order. Valid until og_exec_free. */
uint64_t og_exec_row_count(const struct og_exec *x);
struct og_slice og_exec_columns_json(const struct og_exec *x);
struct og_slice og_exec_rows_json(const struct og_exec *x);

#endif
