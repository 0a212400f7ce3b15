/*
 * The query language as a tree: what the parser makes and the checker completes.
 *
 * The parser fills names and positions; og_gq_check resolves them against a catalog and sets every field marked [C]. The engine
 * reads checked trees only.
 * Memory: everything lives in the arena handed to the parser, names are slices of a copy of the source there.
 * Threads: immutable after the check.
 */
#ifndef OG_GQ_AST_H
#define OG_GQ_AST_H

#include "base/arena.h"
#include "base/value.h"
#include "schema/catalog.h"

struct gq_pos {
	uint32_t line, column;		/* 1-based, column in characters */
};

struct gq_param {
	struct og_slice name;		/* without $ */
	struct og_proptype type;
	struct og_slice bad_dim;	/* a Vector's dimension that is none, as written: refused by the checker */
	bool used;			/* [C] somewhere in the query */
	struct gq_pos pos;
};

enum gq_op { GQ_EQ, GQ_NE, GQ_GT, GQ_LT, GQ_GE, GQ_LE, GQ_CONTAINS, GQ_STARTS_WITH };
enum gq_agg { GQ_COUNT, GQ_SUM, GQ_AVG, GQ_MIN, GQ_MAX };

enum gq_lit_date { GQ_LIT_PLAIN, GQ_LIT_DATE, GQ_LIT_DATETIME };

enum gq_expr_kind {
	GQ_X_LITERAL,	/* lit */
	GQ_X_PARAM,	/* param */
	GQ_X_NOW,
	GQ_X_VAR,	/* $v bare: var */
	GQ_X_PROP,	/* $v.p: var, prop */
	GQ_X_ALIAS,	/* a bare name: name */
	GQ_X_AGG,	/* agg, args[0] */
	GQ_X_SEARCH,	/* search(f, q); parsed and checked, not yet executable */
	GQ_X_FUZZY,
	GQ_X_MATCH_TEXT,
	GQ_X_NEAREST,
	GQ_X_BM25,
	GQ_X_RRF,
};

struct gq_expr {
	enum gq_expr_kind kind;
	struct gq_pos pos;
	struct og_slice name;		/* variable, parameter or alias as written, without $ */
	struct og_slice prop_name;	/* GQ_X_PROP */
	struct og_value lit;		/* GQ_X_LITERAL: STRING, INT, FLOAT, BOOL, LIST; dates: see lit_date */
	enum gq_lit_date lit_date;	/* not plain: lit is the text, parsed when used */
	uint8_t *item_dates;		/* of a list: an enum gq_lit_date per item */
	enum gq_agg agg;
	struct gq_expr *args[3];
	uint32_t nargs;
	int32_t var;			/* [C] index in gq_read.vars; -1 none */
	const struct og_property *prop;	/* [C] */
	int32_t param;			/* [C] index in gq_query.params, -1 none */
	/* [C] static type of the value; scalar 0 for a bare variable (see entity) and for an alias not resolved here. */
	struct og_proptype type;
	const struct og_type *entity;	/* [C] bare variable: its node type */
};

struct gq_pmatch {			/* inline match or assignment: name: value */
	struct og_slice name;
	struct gq_expr *value;		/* literal, param or now() */
	const struct og_property *prop;	/* [C]; NULL for from/to of an edge insert */
	enum { GQ_ASSIGN_PROP, GQ_ASSIGN_FROM, GQ_ASSIGN_TO } target;	/* [C] */
	struct gq_pos pos;
};

enum gq_clause_kind { GQ_BINDING, GQ_TRAVERSAL, GQ_FILTER, GQ_NOT, GQ_SEARCH_CLAUSE };

struct gq_clause {
	enum gq_clause_kind kind;
	struct gq_pos pos;
	/* GQ_BINDING: var, type, matches */
	struct og_slice var_name;
	struct og_slice type_name;
	int32_t var;			/* [C] */
	const struct og_type *type;	/* [C] node type, or edge type of a traversal */
	struct gq_pmatch *matches;
	uint32_t nmatches;
	/* GQ_TRAVERSAL: left [edge_var:] edge {min,max} right */
	struct og_slice left_name, right_name, edge_name, edge_var_name;
	bool left_anon, right_anon;	/* written $_ */
	bool has_edge_var;		/* $e: or $_: */
	bool undirected;		/* <edge> */
	bool has_bounds, no_max;
	uint32_t min, max;		/* 1,1 without bounds */
	int32_t left, right;		/* [C] variables, anonymous ones included */
	int32_t edge_var;		/* [C] -1: not bound */
	bool left_is_source;		/* [C] direction: the edge goes from left to right */
	/* GQ_FILTER: lhs op rhs; GQ_SEARCH_CLAUSE: lhs */
	struct gq_expr *lhs, *rhs;
	enum gq_op op;
	/* GQ_NOT */
	struct gq_clause *inner;
	uint32_t ninner;
};

struct gq_var {
	struct og_slice name;		/* "_" for anonymous ones */
	bool anonymous;
	bool is_edge;			/* bound edge */
	const struct og_type *type;	/* [C] node or edge type */
	bool declared;			/* [C] has a binding clause */
	uint32_t depth;			/* [C] 0: outside; number of enclosing `not` blocks of the block that introduces it */
};

struct gq_item {
	struct gq_expr *expr;
	struct og_slice alias;		/* len 0: none */
	struct og_slice column;		/* [C] name of the column */
	struct gq_pos pos;
};

struct gq_key {
	struct gq_expr *expr;
	bool desc;
	bool has_dir;			/* asc or desc was written */
};

struct gq_read {
	struct gq_clause *clauses;	/* array */
	uint32_t nclauses;
	struct gq_item *items;
	uint32_t nitems;
	struct gq_key *keys;
	uint32_t nkeys;
	bool has_limit;
	uint64_t limit;
	struct gq_var *vars;		/* [C] all of the query, inner ones included */
	uint32_t nvars;
	bool aggregate;			/* [C] some item is an aggregate */
};

enum gq_stmt_kind { GQ_INSERT, GQ_UPDATE, GQ_DELETE };

struct gq_stmt {
	enum gq_stmt_kind kind;
	struct gq_pos pos;
	struct og_slice type_name;
	const struct og_type *type;	/* [C] */
	struct gq_pmatch *assigns;
	uint32_t nassigns;
	/* where */
	struct og_slice where_name;
	enum gq_op op;
	struct gq_expr *where_value;
	const struct og_property *where_prop;	/* [C] */
	enum { GQ_WHERE_PROP, GQ_WHERE_FROM, GQ_WHERE_TO } where_target;	/* [C] */
};

struct gq_query {
	struct og_slice name;
	struct gq_pos pos;
	struct gq_param *params;
	uint32_t nparams;
	struct og_slice description, instruction;	/* p NULL: absent */
	bool is_mutation;
	struct gq_read read;
	struct gq_stmt *stmts;
	uint32_t nstmts;
	struct og_slice source;		/* text of this query alone */
	bool mixes_deletes;		/* inserts/updates and deletes in one mutation */
	bool uses_search;		/* [C] some search or rank function: not executable yet */
};

struct gq_file {
	struct gq_query *queries;
	uint32_t nqueries;
};

#endif
