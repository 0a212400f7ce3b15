/*
 * Whole operations on a graph: a query, a mutation. What routes and commands call; the same in a worker and in og-cli.
 *
 * Work that may take long is handed to a runner: a worker's is its thread pools, og-cli's runs it on the spot. The loop never runs a plan that was not
 * proven short.
 * Memory: requests are copied, parameters included; results are valid during the callback. Threads: the loop's thread; callbacks come from it.
 */
#ifndef OG_GRAPH_OP_H
#define OG_GRAPH_OP_H

#include "graph/graph.h"
#include "json/tree.h"

/* Runs work off the loop and then calls done on it. */
struct og_runner {
	void *arg;
	/*
	 * step is called again and again off the loop until it returns 0 (finished) or less (failed: its own business); budget_us is how long a call may take.
	 * Then done, on the loop, exactly once. OG_ERR_UNAVAILABLE: no room, nothing will be called.
	 */
	int (*run)(void *arg, int (*step)(void *job, uint64_t budget_us), void (*done)(void *job), void *job, struct og_error *err);
};

struct og_ops;

struct og_ops_cfg {
	struct og_graph *graph;
	const struct og_runner *runner;	/* borrowed */
	struct event_base *base;
	size_t query_memory;		/* bytes a query; 0: none */
	size_t pool_memory;		/* bytes all queries together; 0: none */
	uint32_t query_timeout_ms;	/* 0: none */
	size_t plan_cache_bytes;
};

struct og_ops *og_ops_new(const struct og_ops_cfg *cfg, struct og_error *err);
void og_ops_free(struct og_ops *o);
struct og_graph *og_ops_graph(const struct og_ops *o);
const struct og_runner *og_ops_runner(const struct og_ops *o);
struct og_ulid_gen *og_ops_ids(struct og_ops *o);

/* A running operation, for cancelling; gone once its callback has run. */
struct og_op;
/* Nobody wants the answer any more: the operation ends soon, its callback gets OG_ERR_CANCELLED (or the result, if that was first). A commit that is under
 * way goes on. */
void og_op_stop(struct og_op *op);

enum og_query_route {
	OG_QUERY_READ_ONLY,	/* refuses mutations, naming the route for them */
	OG_QUERY_LEGACY,	/* /read and the command line: a mutation is a type error */
};

struct og_query_req {
	enum og_query_route route;
	struct og_slice source;		/* the text; several queries: name chooses */
	struct og_slice name;		/* p NULL: the only one */
	const struct og_json *params;	/* NULL: none */
	struct og_slice branch;		/* p NULL: main */
	struct og_slice snapshot;	/* commit id, p NULL: none */
};

struct og_query_result {
	struct og_slice query_name;
	struct og_slice branch;		/* p NULL when by snapshot */
	struct og_slice snapshot;
	struct og_ulid commit;
	uint64_t row_count;
	struct og_slice columns_json, rows_json; /* compact arrays */
	struct og_op *op;		/* for og_op_keep */
};
typedef void (*og_query_cb)(void *arg, const struct og_query_result *r, const struct og_error *err);
/* Within the callback of a query: its result stays valid until og_op_release. */
void og_op_keep(struct og_op *op);
void og_op_release(struct og_op *op);
/* NULL when cb has run already. */
struct og_op *og_op_query(struct og_ops *o, const struct og_query_req *req, og_query_cb cb, void *arg);

struct og_mutate_req {
	struct og_slice source, name;
	const struct og_json *params;
	struct og_slice branch;
	struct og_slice actor;		/* p NULL: none */
};

struct og_mutate_result {
	struct og_slice query_name, branch;
	uint64_t affected_nodes, affected_edges;
	bool committed;
	struct og_wire_commit commit;	/* if committed */
};
typedef void (*og_mutate_cb)(void *arg, const struct og_mutate_result *r, const struct og_error *err);
struct og_op *og_op_mutate(struct og_ops *o, const struct og_mutate_req *req, og_mutate_cb cb, void *arg);

#endif
