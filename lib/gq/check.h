/* The checker's state and the rules that call each other across files. Private to lib/gq. */
#ifndef OG_GQ_CHECK_H
#define OG_GQ_CHECK_H

#include "base/map.h"
#include "gq/gq.h"

/* A variable while its query is being checked. */
struct gq_cvar {
	struct gq_var v;
	bool bound;			/* introduced above the place that is being checked */
	uint32_t bound_depth;		/* of the block that introduced it */
	uint32_t owner_depth;		/* of the block that it belongs to */
	int32_t next_bound;		/* list of gq_scope.first_bound */
	const struct og_type *seen;	/* type under which a block inside introduced it before its owner did */
};

/* A block: the outermost match or one `not`. Owns the variables that it introduces and no enclosing block does. */
struct gq_scope {
	struct gq_scope *outer;
	uint32_t depth;
	struct og_map names;		/* name -> index in vars */
	int32_t first_bound;		/* what its clauses introduced, whoever owns it; -1: end */
	bool mentions_outer;		/* some clause of its own names a variable bound above */
};

struct gq_checker {
	struct og_arena *arena;
	struct gq_query *q;
	const struct og_catalog *catalog;
	struct og_error *err;
	struct og_map params;		/* name -> index */
	struct gq_cvar *vars;
	size_t nvars, capvars;
	struct gq_scope *scope;		/* NULL in mutations */
	bool lone_not;			/* a `not` without outer variable: reported last */
	struct gq_pos lone_not_pos;
};

/* What an expression is: a value of a type, an entity, or something that only an aggregate query yields. */
struct gq_xtype {
	enum { GQ_XT_VALUE, GQ_XT_NODE, GQ_XT_AGGREGATE } kind;
	struct og_proptype type;
	const struct og_type *entity;
};

/* "type error: ..." at a place. Returns OG_ERR_BAD. */
int gq_fault(struct gq_checker *k, struct gq_pos pos, const char *fmt, ...) OG_PRINTF(3, 4);
/* Texts in the arena; "" without memory. */
const char *gq_type_text(struct gq_checker *k, const struct og_proptype *t);
const char *gq_xtype_text(struct gq_checker *k, const struct gq_xtype *t);

bool gq_compatible(const struct og_proptype *a, const struct og_proptype *b);
/* The index of a parameter, or -1. */
int32_t gq_find_param(const struct gq_checker *k, struct og_slice name);
/* The variable that a name means at this place, or -1; and the same if it is bound above, noting the mention. */
int32_t gq_find_var(const struct gq_checker *k, struct og_slice name);
int32_t gq_bound_var(struct gq_checker *k, struct og_slice name);

/* Resolves a literal's type into x->type. */
int gq_check_literal(struct gq_checker *k, struct gq_expr *x);
int gq_check_expr(struct gq_checker *k, struct gq_expr *x, struct gq_xtype *out);

enum gq_use { GQ_USE_MATCH, GQ_USE_ASSIGN, GQ_USE_WHERE };
/* A literal, parameter or now() beside a property of that name and type. */
int gq_check_value(struct gq_checker *k, enum gq_use use, struct og_slice name, const struct og_proptype *prop,
		   struct gq_expr *x);
int gq_check_clauses(struct gq_checker *k, struct gq_clause *clauses, uint32_t n, uint32_t depth);
int gq_check_mutation(struct gq_checker *k);

#endif
