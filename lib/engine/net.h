/*
 * The rows that a mutation (or load) is about to write, at most one an entity, beside the view that it started from. Private to lib/engine
 * and lib/load.
 */
#ifndef OG_ENGINE_NET_H
#define OG_ENGINE_NET_H

#include "base/map.h"
#include "engine/mutate.h"
#include "format/keys.h"

struct net_row {
	struct og_slice id, src, dst;	/* in the arena */
	const struct og_value *values;	/* type->nprops; NULL when deleted */
	uint32_t slot;			/* of the row it replaces or removes; OG_SLOT_NONE: new */
	bool deleted;
};

struct net_type {
	const struct og_type *type;
	const struct og_view_type *base;
	struct net_row *rows;
	size_t nrows, cap;
	struct og_map by_id;		/* id -> row index */
	bool strict, scanned, touched;
};

struct net {
	struct og_arena *a;
	const struct og_catalog *catalog;
	struct og_view *view;
	struct net_type *types;		/* like catalog->types */
	struct og_keyset read, written;
	uint64_t affected_nodes, affected_edges;
	const struct og_exec_limits *limits;
};

int net_init(struct net *n, struct og_arena *a, struct og_view *v, struct og_error *err) OG_MUST_CHECK;
void net_fini(struct net *n);
/* The pending row of an entity, or NULL. Valid until the next net_put. */
struct net_row *net_find(const struct net_type *t, struct og_slice id);
/* Adds or replaces. `slot` is looked up by the caller. Slices must live in the arena. */
int net_put(struct net *n, struct net_type *t, const struct net_row *row, struct og_error *err) OG_MUST_CHECK;
/* True if an entity of that id exists once everything pending is applied. */
bool net_exists(const struct net_type *t, struct og_slice id);
/* Row of a base slot's values, copied out of the view. */
int net_load_values(struct net *n, const struct net_type *t, uint32_t slot, struct og_value **out, struct og_error *err) OG_MUST_CHECK;
/* Cancelled or over time: the error. */
int net_cancelled(const struct net *n, struct og_error *err);

/* Keys. */
int net_key_add(struct net *n, struct og_keyset *set, enum og_key_kind kind, uint32_t type_id, struct og_slice payload, struct og_error *err) OG_MUST_CHECK;
/* Keys of all pending rows: entities, incident nodes, unique values taken and given up, counted sources. */
int net_keys(struct net *n, struct og_error *err) OG_MUST_CHECK;

/* Constraints on the state after all statements: endpoints, @unique, @card. */
int net_check(struct net *n, struct og_error *err) OG_MUST_CHECK;
/* Tuple of a constraint's columns for one row as bytes that are equal iff the values are; false: a member is null (exempt). */
bool net_tuple(struct og_buf *b, const struct og_type *t, const struct og_constraint *c, const struct net_row *r);

/* The constraint's columns and the row's values as an error names them: `email` and `a@b`, `(a, b)` and `(1, 2)`. Appends. */
void net_unique_text(struct og_buf *cols, struct og_buf *vals, const struct og_type *t, const struct og_constraint *c, const struct net_row *r);

/* Columns of a unique constraint that needs a look at other rows (not the key, whose values are ids). */
bool net_is_unique(const struct og_constraint *c);

#endif
