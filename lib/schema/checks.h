/*
 * What declarations must satisfy, in the order in which it is reported: implements, annotations, constraints, repeated names,
 * endpoints. Completes the declarations on the way: properties that come from interfaces, constraints written as shorthands.
 * Private to lib/schema.
 */
#ifndef OG_SCHEMA_CHECKS_H
#define OG_SCHEMA_CHECKS_H

#include "base/map.h"
#include "schema/parse.h"

struct pg_checker {
	struct og_arena *arena;
	struct og_slice src;
	struct pg_file *file;
	struct og_error *err;
	struct og_map names[3];		/* by enum pg_decl_kind: name -> index of the first declaration */
};

/* OG_ERR_BAD with the first fault, OG_ERR_TOO_LARGE; on success every node has its inherited properties and `constraints` is complete. */
int pg_check(struct pg_checker *k) OG_MUST_CHECK;

/* The stages; checks.c runs them. */
int pg_check_annotations(struct pg_checker *k) OG_MUST_CHECK;
int pg_check_constraints(struct pg_checker *k) OG_MUST_CHECK;
/* "parse error: parse error: ..." at a byte of the source. Returns OG_ERR_BAD. */
int pg_fault(struct pg_checker *k, size_t byte, const char *fmt, ...) OG_PRINTF(3, 4);
struct pg_prop *pg_find_prop(const struct pg_decl *d, struct og_slice name);
const struct og_annotation *pg_find_annotation(const struct og_annotation *anns, size_t n, const char *name);

#endif
