/*
 * One execution, private to the engine: operators over batches of slots.
 *
 * Operators: a chain of pull operators for the match and one for each `not`. next() answers OP_ROWS with a batch that is valid until the next call,
 *            OP_END (the operator is then as new and may run again), OP_PAUSE (the step's budget is used up; call again later), or an error.
 * Batch:     up to ENG_BATCH rows, a column of slots for each variable that is still looked at, and the rows selected of it in ascending order.
 *            Filters drop rows by shortening the selection of the batch they were given.
 * Memory:    the execution's arena, whose limit is the query's; `tmp` is emptied at every batch of the sink.
 * Threads:   one at a time.
 */
#ifndef OG_ENGINE_RUN_H
#define OG_ENGINE_RUN_H

#include "engine/plan.h"

#define ENG_BATCH 1024
/* Edges that may be followed between two looks at the cancel flag; well below a millisecond. */
#define ENG_CHECK_EDGES 65536

enum { OP_END = 0, OP_ROWS = 1, OP_PAUSE = 2 };

struct eng_batch {
	uint32_t n;
	uint32_t nsel;
	uint32_t *sel;
	uint32_t **cols;	/* by variable; NULL: not carried */
	uint64_t *weight;	/* how many rows each stands for; NULL: one */
	uint32_t *origin;	/* in a `not`: row of the outer batch */
};

struct eng_op;

struct eng_op_class {
	int (*next)(struct eng_op *op, struct eng_batch **out, struct og_error *err);
	/* Columns: `live` says what is looked at behind this operator; turns it into what it needs in front. */
	void (*live)(struct eng_op *op, bool *live);
	/* Memory of its batch, once liveness is known. */
	int (*prepare)(struct eng_op *op, struct og_error *err);
};

struct eng_op {
	const struct eng_op_class *cls;
	struct og_exec *x;
	struct eng_op *child;
	const uint8_t *done;	/* in a `not`: outer rows that need no further match, by origin; else NULL */
	uint32_t cap;		/* most rows of a batch */
};

/* --- columns and tests --------------------------------------------------------------------------------------------------------------- */

struct eng_col {
	const struct og_view_type *t;
	const struct og_property *prop;
	struct og_img **parts;	/* NULL: nothing in the images */
	bool plain;		/* no delta: every value is an image's */
};

enum eng_test_kind { TEST_NEVER, TEST_ALWAYS, TEST_INT, TEST_UINT, TEST_FLOAT, TEST_STRING, TEST_GENERIC };

struct eng_operand {
	int32_t var;		/* -1: val */
	struct eng_col col;
	struct og_value val;
};

/* A test made ready: numbers, bools and dates against a constant are a range of the column's own values, as exact as the constant. */
struct eng_check {
	enum eng_test_kind kind;
	bool negate;		/* outside the range */
	int32_t var;		/* of the kinds that have a column */
	struct eng_col col;
	enum gq_op string_op;	/* column on the left */
	int64_t ilo, ihi;
	uint64_t ulo, uhi;
	double flo, fhi;
	struct og_slice s;
	/* The test as written: TEST_GENERIC, and values that are not in an image. */
	enum gq_op op;
	struct eng_operand lhs, rhs;
};

/* False: the value at this slot is the delta's. */
static inline bool eng_col_in_image(const struct eng_col *c, uint32_t slot)
{
	return c->plain || (slot < c->t->base_slots && og_view_untouched(c->t, slot));
}
void eng_col_init(struct eng_col *c, const struct og_view *v, const struct og_type *t, const struct og_property *p);
/* Value at a slot, NULL value for null and for blobs. 0 or an error. */
int eng_col_get(const struct eng_col *c, uint32_t slot, struct og_arena *a, struct og_value *out, struct og_error *err) OG_MUST_CHECK;
/* False also when unknown. */
bool eng_compare(enum gq_op op, const struct og_value *a, const struct og_value *b);
int eng_check_init(struct og_exec *x, const struct eng_test *t, struct eng_check *out, struct og_error *err) OG_MUST_CHECK;
/* Shortens the selection. */
int eng_check_apply(struct og_exec *x, const struct eng_check *c, struct eng_batch *b, struct og_error *err) OG_MUST_CHECK;
/* The constant side of a test or an item. */
int eng_constant(struct og_exec *x, const struct eng_side *s, struct og_value *out, struct og_error *err) OG_MUST_CHECK;

/* --- neighbours ---------------------------------------------------------------------------------------------------------------------- */

/* All that one traversal reaches from a node, each once (or an edge a time), as a list. One list at a time. */
struct eng_nbr {
	struct og_exec *x;
	const struct og_view_type *et;
	const struct og_view_type *to;
	bool out, in;		/* directions to follow; both: undirected */
	bool plain;		/* images alone: adjacency may be read directly */
	bool edges;		/* one entry an edge, with the edge's slot */
	bool bounded, empty;
	uint32_t min, max;
	uint64_t *seen;		/* bitmap over `to`; clear between lists */
	uint32_t *list, *elist;
	size_t cap, ecap;
	/* eng_nbr_reaches over several hops: what is marked in `seen` */
	uint32_t start;		/* OG_SLOT_NONE: nothing */
	size_t nmarked;
	uint64_t *keys;		/* scratch of sorting: peer, edge */
	size_t kcap;
};

/* from_src: the known end is the edge type's source. */
void eng_nbr_init(struct eng_nbr *n, struct og_exec *x, const struct eng_trav *t, bool from_src);
int eng_nbr_list(struct eng_nbr *n, uint32_t from, const uint32_t **peers, const uint32_t **edges, size_t *count, struct og_error *err) OG_MUST_CHECK;
/* 1: `to` is among them; 0: it is not. */
int eng_nbr_reaches(struct eng_nbr *n, uint32_t from, uint32_t to, struct og_error *err) OG_MUST_CHECK;
/* Breadth-first search; op_varlen.c. Results in n->list from *first on; with `keep` the marks of the results stay in `seen`. */
int eng_bfs(struct eng_nbr *n, uint32_t from, bool keep, size_t *first, size_t *count, struct og_error *err) OG_MUST_CHECK;
/* Live edges of one direction, parallel ones repeated, appended to the list at *len (and elist, if n->edges). */
int eng_nbr_raw(struct eng_nbr *n, enum og_dir dir, uint32_t from, size_t *len, struct og_error *err) OG_MUST_CHECK;
int eng_nbr_room(struct eng_nbr *n, size_t want, struct og_error *err) OG_MUST_CHECK;
int eng_nbr_seen(struct eng_nbr *n, struct og_error *err) OG_MUST_CHECK;

/* --- equality of properties ---------------------------------------------------------------------------------------------------------- */

/* Nodes whose property equals that of a known node: by the id where the property is the key, else through a hash table over a scan's slots. */
struct eng_join {
	struct og_exec *x;
	struct eng_col build, probe;
	bool by_key;
	uint32_t *heads;
	size_t mask;
	struct entry *entries;
	uint32_t *found;
	size_t cap;
};

struct eng_join *eng_join_new(struct og_exec *x, const struct eng_operand *build, const struct eng_operand *probe);
int eng_join_build(struct eng_join *j, const uint32_t *slots, size_t n, struct og_error *err) OG_MUST_CHECK;
int eng_join_list(struct eng_join *j, uint32_t from, const uint32_t **slots, size_t *n, struct og_error *err) OG_MUST_CHECK;
bool eng_join_by_key(const struct og_type *type, const struct og_property *build, const struct og_property *probe);

/* --- look-ups by key; lookup.c ------------------------------------------------------------------------------------------------------- */

/* The check ties a column of the key to one constant; or the key to the items of a list. */
bool eng_key_test(const struct eng_check *c, int32_t var, const struct og_property *key);
bool eng_key_list_test(const struct eng_check *c, int32_t var, const struct og_property *key);
/* checks[i] is about the i-th column of the key; room for one slot. */
int eng_key_slot(struct og_exec *x, const struct og_type *t, const struct eng_check *const *checks, uint32_t *slots, size_t *n,
		 struct og_error *err) OG_MUST_CHECK;
int eng_key_list_slots(struct og_exec *x, const struct og_type *t, const struct og_value *list, uint32_t **slots, size_t *n,
		       struct og_error *err) OG_MUST_CHECK;

/* --- operators ----------------------------------------------------------------------------------------------------------------------- */

/* One row without columns, or (batch given later by eng_seed_arm) the rows of an outer batch. */
struct eng_op *eng_seed_new(struct og_exec *x, bool outer);
void eng_seed_arm(struct eng_op *op, struct eng_batch *b);
struct eng_op *eng_scan_new(struct og_exec *x, int32_t var);
struct eng_op *eng_filter_new(struct og_exec *x, struct eng_op *child, struct eng_check *checks, size_t n);
struct eng_op *eng_exists_new(struct og_exec *x, struct eng_op *child, const struct eng_trav *t);
/* One of t (traversal), list (known slots), pipe (a scan whose rows form a product) and join (over the pipe's slots, unless it goes by key). */
struct eng_expand_spec {
	const struct eng_trav *t;
	bool from_src;
	int32_t from, to, equal;	/* equal: a column that the peer must equal, or -1; then `to` is -1 */
	struct eng_op *pipe;
	struct eng_join *join;
	const uint32_t *list;
	size_t nlist;
	bool once;			/* in a `not`: one row is as good as many, if its columns are not looked at */
};
struct eng_op *eng_expand_new(struct og_exec *x, struct eng_op *child, const struct eng_expand_spec *s);
struct eng_op *eng_not_new(struct og_exec *x, struct eng_op *child, struct eng_op *seed, struct eng_op *inner, const struct eng_not *n, uint8_t *done);
/* Turns expansions at the end of the chain, whose variables nobody looks at, into weights. */
int eng_count_tail(struct og_exec *x, struct eng_op **top, const bool *live, struct og_error *err) OG_MUST_CHECK;

extern const struct eng_op_class eng_seed_class, eng_scan_class, eng_filter_class, eng_exists_class, eng_expand_class, eng_not_class, eng_count_class;

struct eng_seed {
	struct eng_op op;
	struct eng_batch *batch;
	bool outer, given;
	struct eng_batch one;
	uint32_t zero;
};

struct eng_scan {
	struct eng_op op;
	int32_t var;
	const struct og_view_type *t;
	struct eng_batch out;
	uint32_t cursor;
};

struct eng_filter {
	struct eng_op op;
	struct eng_check *checks;
	size_t nchecks;
};

struct eng_exists {
	struct eng_op op;
	int32_t from, to;
	struct eng_nbr nbr, back;	/* from either end; over several hops the end that changes less often serves */
	bool backward;
	struct eng_batch *in;	/* being tested, else NULL */
	uint32_t pos, kept;
};

struct eng_expand {
	struct eng_op op;
	struct eng_expand_spec s;
	int32_t edge;		/* column of the edge, or -1 */
	struct eng_nbr nbr;
	bool emit_to, emit_edge;
	int32_t *carry;
	size_t ncarry;
	struct eng_batch out;
	/* where it stands */
	struct eng_batch *in;
	uint32_t pos;		/* next of in->sel */
	uint32_t row;		/* row of `in` whose list is being emitted */
	const uint32_t *peers, *edges;
	size_t npeers, at;
	bool ended;
	/* a product's list, gathered on first need */
	bool gathered;
	uint32_t *slots;
	size_t nslots, cap;
};

struct eng_not_op {
	struct eng_op op;
	struct eng_op *seed, *inner;
	const struct eng_not *n;
	uint8_t *done;
	struct eng_batch outer;
	uint32_t *identity;
	struct eng_batch *in;	/* being tested, else NULL */
};

/* Number of ways to go on from a node, by slot. */
struct eng_weight {
	struct eng_nbr nbr;
	int32_t from;
	struct eng_weight **kids;
	size_t nkids;
	uint64_t *memo;		/* weight + 1; 0: not known */
	uint32_t asked;
};

struct eng_count {
	struct eng_op op;
	uint64_t factor;	/* of every row */
	struct eng_weight **w;
	size_t nw;
	uint64_t *weight;
	struct eng_batch *in;	/* being weighed, else NULL */
	uint32_t pos, kept;
};

/* --- sinks --------------------------------------------------------------------------------------------------------------------------- */

/* An item made ready. */
struct eng_value_of {
	enum eng_item_kind kind;	/* of the value; an aggregate's argument here */
	int32_t var;
	struct eng_col col;
	const struct og_view_type *t;	/* ENG_ID */
	struct og_value val;		/* ENG_CONST */
};

int eng_value_init(struct og_exec *x, const struct eng_item *it, struct eng_value_of *out, struct og_error *err) OG_MUST_CHECK;
int eng_value_get(const struct eng_value_of *v, struct eng_batch *b, uint32_t row, struct og_arena *a, struct og_value *out, struct og_error *err) OG_MUST_CHECK;

/* Makes a value outlive the batch: lists are built in `tmp`, everything else lies in the view. */
int eng_keep(struct og_exec *x, struct og_value *v, struct og_error *err) OG_MUST_CHECK;

/* Stable merge sort of pointers; looks at the cancel flag as it goes. */
int eng_sort(struct og_exec *x, void **v, size_t n, int (*cmp)(void *arg, const void *a, const void *b), void *arg, struct og_error *err) OG_MUST_CHECK;

/* Only the k least need come, in order; *n becomes their number if the others were dropped. */
int eng_sort_top(struct og_exec *x, void **v, size_t *n, uint64_t k, int (*cmp)(void *arg, const void *a, const void *b), void *arg,
		 struct og_error *err) OG_MUST_CHECK;

/* Rows kept for `order`: the best `limit`, or all. */
struct eng_sorter;
int eng_sorter_new(struct og_exec *x, struct eng_sorter **out, struct og_error *err) OG_MUST_CHECK;
int eng_sorter_add(struct eng_sorter *s, struct eng_batch *b, struct og_error *err) OG_MUST_CHECK;
int eng_sorter_finish(struct eng_sorter *s, struct og_error *err) OG_MUST_CHECK;
/* Encodes rows [from, ...) of at most a batch; the number done. */
int eng_sorter_emit(struct eng_sorter *s, uint64_t from, uint32_t *n, struct og_error *err) OG_MUST_CHECK;

struct eng_agg;
int eng_agg_new(struct og_exec *x, struct eng_agg **out, struct og_error *err) OG_MUST_CHECK;
int eng_agg_add(struct eng_agg *g, struct eng_batch *b, struct og_error *err) OG_MUST_CHECK;
int eng_agg_finish(struct eng_agg *g, struct og_error *err) OG_MUST_CHECK;
int eng_agg_emit(struct eng_agg *g, uint64_t from, uint32_t *n, struct og_error *err) OG_MUST_CHECK;

/* JSON rows. values[i] belongs to item i. */
int eng_encode_init(struct og_exec *x, struct og_error *err) OG_MUST_CHECK;
int eng_encode_row(struct og_exec *x, const struct og_value *values, struct og_error *err) OG_MUST_CHECK;
/* Rows of a batch as they come, up to the limit. */
/* All that the execution holds, against both limits. */
int eng_check_memory(struct og_exec *x, struct og_error *err) OG_MUST_CHECK;
int eng_encode_batch(struct og_exec *x, struct eng_batch *b, struct og_error *err) OG_MUST_CHECK;

/* --- the execution ------------------------------------------------------------------------------------------------------------------- */

enum eng_stage { ENG_PULL, ENG_FINISH, ENG_EMIT, ENG_DONE };

struct og_exec {
	const struct og_plan *p;
	const struct gq_bindings *b;
	struct og_view *v;
	struct og_exec_limits limits;
	struct og_arena arena;
	struct og_arena tmp;
	struct eng_op *top;
	enum eng_stage stage;
	uint64_t spent;		/* rows and edges of this step */
	uint64_t next_look;	/* `spent` at which to look up again */
	uint64_t deadline_us;	/* 0: none */
	bool pause;
	uint64_t rows;		/* encoded */
	uint64_t emitted;	/* of the sink's rows */
	struct eng_sorter *sorter;
	struct eng_agg *agg;
	struct eng_value_of *items;	/* an aggregate item's is its argument's */
	struct og_slice *names;		/* `"name":` of each column */
	struct og_value *row;		/* one value an item */
	bool closed;		/* the closing bracket is there */
	size_t charged;		/* bytes drawn from the pool */
	size_t out_seen;	/* capacity of the rows' buffer when it was last looked at */
	struct og_buf out, columns;
	size_t nops;		/* operators made */
	/* op_filter.c: values of a batch that do not lie in one part of the images */
	uint32_t *slots;
	uint8_t *valid;
	union {
		int64_t *i;
		double *f;
		struct og_slice *s;
	} gathered;
};

/* Batches of a chain, from its source on. Inner chains are prepared by the operator that owns them. */
int eng_prepare(struct eng_op *top, struct og_error *err) OG_MUST_CHECK;
/* Physical plan. */
int eng_physical(struct og_exec *x, struct og_error *err) OG_MUST_CHECK;
/* Looks at flag, budget, clock and memory; sets x->pause. 0 or an error that ends the query. */
int eng_look(struct og_exec *x, struct og_error *err) OG_MUST_CHECK;
/* Books work done. */
static inline int eng_charge(struct og_exec *x, uint64_t work, struct og_error *err)
{
	x->spent += work;
	return x->spent < x->next_look ? 0 : eng_look(x, err);
}
/* Between check points of long loops: the cancel flag alone. */
int eng_cancelled(struct og_exec *x, struct og_error *err) OG_MUST_CHECK;
int eng_no_memory(struct og_exec *x, struct og_error *err);
static inline const struct og_view_type *eng_vtype(const struct og_exec *x, const struct og_type *t)
{
	return &x->v->types[t->index];
}
int eng_batch_init(struct og_exec *x, struct eng_batch *b, uint32_t cap, bool weight, bool origin);

#endif
