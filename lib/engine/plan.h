/*
 * The logical plan of a read, private to the engine: what a checked query asks, freed of the order in which it was written.
 *
 * A block (the match itself, or the inside of a `not`) is a conjunction over its variables: tests, traversals and nested blocks. Its meaning is the
 * set of assignments of entities to variables that satisfy all of them, so any order of evaluation gives the same rows.
 * Memory: the plan's arena. Threads: immutable once made.
 */
#ifndef OG_ENGINE_PLAN_H
#define OG_ENGINE_PLAN_H

#include "engine/exec.h"

struct eng_var {
	const struct og_type *type;
	bool is_edge;
	bool declared;		/* has a binding clause in its block */
	uint32_t depth;		/* 0: the match; else how many `not` blocks enclose it */
	struct og_slice name;	/* "_" when anonymous */
};

/* One side of a test: a property of a variable, or an expression that is constant for the whole execution. */
struct eng_side {
	int32_t var;			/* -1: constant */
	const struct og_property *prop;
	const struct gq_expr *x;	/* constant */
	struct og_proptype as;		/* what the constant is compared as */
	bool has_as;
};

struct eng_test {
	enum gq_op op;
	struct eng_side lhs, rhs;
};

struct eng_trav {
	const struct og_type *edge;
	int32_t src, dst;	/* by the edge's own direction */
	int32_t edge_var;	/* one row an edge; -1: one row a pair */
	bool undirected;
	bool bounded;		/* hop bounds between one type and itself: the start is never reached */
	bool empty;		/* bounds that no path can satisfy */
	uint32_t min, max;
};

struct eng_not;

struct eng_block {
	uint32_t depth;
	struct eng_test *tests;
	size_t ntests, tests_cap;
	struct eng_trav *travs;
	size_t ntravs, travs_cap;
	struct eng_not *nots;
	size_t nnots, nots_cap;
	int32_t *vars;		/* node variables of this block, in order of appearance */
	size_t nvars, vars_cap;
};

struct eng_not {
	struct eng_block *block;
	int32_t *outer;		/* variables of enclosing blocks that it mentions */
	size_t nouter, outer_cap;
};

/* What an item or an order key computes for a row. */
enum eng_item_kind { ENG_CONST, ENG_PROP, ENG_ID, ENG_AGG };

struct eng_item {
	enum eng_item_kind kind;
	int32_t var;			/* ENG_PROP, ENG_ID; of an aggregate's argument, else -1 */
	const struct og_property *prop; /* ENG_PROP, also of an aggregate's argument */
	const struct gq_expr *x;	/* ENG_CONST, or a constant argument */
	enum gq_agg agg;
	enum eng_item_kind arg;		/* ENG_AGG: what the argument is */
};

struct eng_key {
	bool desc;
	int32_t item;		/* column it orders by; -1: `own` */
	struct eng_item own;
};

struct og_plan {
	const struct gq_query *q;
	const struct og_catalog *c;
	struct eng_var *vars;	/* the query's, then one for each anonymous bound edge */
	uint32_t nvars;
	struct eng_block *match;
	struct eng_item *items;
	uint32_t nitems;
	int32_t *shown;		/* item whose value column i shows; -1: the name was shown before */
	struct eng_key *keys;
	uint32_t nkeys;
	int32_t *ties;		/* variables whose ids break ties, in order */
	uint32_t nties;
	bool aggregate;
	bool exact_weights;	/* aggregates for which n equal rows may be taken as one row n times */
	bool has_limit;
	uint64_t limit;
	struct og_need *needs;
	size_t nneeds, needs_cap;
};

/* Single column that identifies a node of this type, or NULL (no key, or a composite one). */
const struct og_property *eng_single_key(const struct og_type *t);

#endif
