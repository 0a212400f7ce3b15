/*
 * A schema text as a list of declarations, before anything refers to anything.
 * Memory: the arena of the catalog; names are slices of the source. Private to lib/schema.
 */
#ifndef OG_SCHEMA_PARSE_H
#define OG_SCHEMA_PARSE_H

#include "schema/catalog.h"

struct pg_prop {
	struct og_slice name;
	size_t byte;			/* where it stands, for errors */
	struct og_proptype type;
	struct og_annotation *annotations;
	size_t nannotations;
};

struct pg_constraint {
	enum og_constraint_kind kind;
	size_t byte;
	struct og_slice *cols;		/* as written */
	size_t ncols;
	struct og_bound min, max;
	struct og_slice pattern;
};

enum pg_decl_kind { PG_INTERFACE, PG_NODE, PG_EDGE };

struct pg_decl {
	enum pg_decl_kind kind;
	struct og_slice name;
	size_t byte;
	struct og_annotation *annotations;
	size_t nannotations;
	struct og_slice *implements;
	size_t nimplements;
	struct og_slice src, dst;	/* endpoint type names of an edge */
	bool has_card;
	uint32_t card_min, card_max;
	struct pg_prop *props;
	size_t nprops;
	struct pg_prop **by_name;	/* the same sorted, of equal names the first written first; set by pg_check */
	struct pg_constraint *constraints;	/* those of the body; shorthands are added by pg_check */
	size_t nconstraints;
};

struct pg_file {
	struct pg_decl *decls;
	size_t ndecls;
};

/* "interface", "node", "edge". */
const char *pg_kind_name(enum pg_decl_kind k);
/* Syntax first, then the conversions that reading a declaration involves, the first of each. */
int pg_parse(struct og_arena *a, struct og_slice src, struct pg_file *out, struct og_error *err) OG_MUST_CHECK;

#endif
