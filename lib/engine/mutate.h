/*
 * Mutations: statements evaluated in order on a private copy of a view, giving the delta, the keys and the counts of one commit.
 *
 * Nothing is written here: the caller commits the write set, or evaluates again on a newer view when it lost a race. Constraints are
 * checked once, on the state after all statements. The same rules serve loads (og_rules_*).
 *
 * Conflict keys: XXH3-64 over (kind, type id, payload), kinds E entity id, I node id whose edges change, U constraint number with
 * values, C source id whose number of edges of a type changes.
 * Memory: the write set lives in the arena and owns heap column vectors (og_writeset_fini). Threads: one evaluation, one thread.
 */
#ifndef OG_ENGINE_MUTATE_H
#define OG_ENGINE_MUTATE_H

#include "base/ulid.h"
#include "engine/exec.h"
#include "gq/gq.h"
#include "image/view.h"

struct og_ws_type {
	const struct og_type *type;
	struct og_change change;	/* net rows, at most one per entity */
	int64_t dn;			/* difference of live rows */
	bool touched;			/* change has rows, or an update matched rows */
	bool strict;			/* update, delete: a foreign commit on this type conflicts */
	bool scanned;			/* a predicate or constraint read the whole type: a foreign commit re-evaluates */
};

struct og_keyset {
	uint64_t *keys;			/* sorted, unique after og_writeset_finish */
	size_t n, cap;
};

struct og_writeset {
	struct og_ws_type *types;	/* indexed like catalog->types */
	uint32_t ntypes;
	struct og_keyset read, written;
	bool all_keys;			/* more than 65,536 keys: conflicts by type */
	uint64_t affected_nodes, affected_edges;
	bool strict;			/* any type strict */
	bool empty;			/* nothing matched: no commit */
	struct og_arena *arena;
};

/* Images that the evaluation may read, from query and catalog alone (so predicates' columns, constraint columns, adjacency and ids of cascades). */
int og_mutate_needs(struct og_arena *a, const struct gq_query *q, const struct og_catalog *c, struct og_need **needs, size_t *n, struct og_error *err) OG_MUST_CHECK;
/*
 * Evaluates all statements. The mixing rule (inserts/updates beside deletes) was refused by the caller through og_mutate_precheck. Errors are the
 * client's (OG_ERR_BAD, ...) and hold for the view's state: the caller must hold a confirmed one before it answers them.
 */
int og_mutate_precheck(const struct gq_query *q, struct og_error *err) OG_MUST_CHECK;
int og_mutate_run(struct og_arena *a, const struct gq_query *q, const struct gq_bindings *b, struct og_view *v, const struct og_exec_limits *limits,
		  struct og_ulid_gen *ids, struct og_writeset *out, struct og_error *err) OG_MUST_CHECK;
void og_writeset_fini(struct og_writeset *w);

#endif
