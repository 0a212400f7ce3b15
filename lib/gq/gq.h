/*
 * The query language: parse, select, check, bind parameters.
 *
 * Source -> tokens -> tree (ast.h) -> checked tree. Errors are those of the language definition: "parse error: ", "type error: T6: ...".
 * Trust: source and parameters come from clients; nesting beyond 500 levels is a parse error, never a crash.
 * Memory: the caller's arena. Threads: pure functions.
 */
#ifndef OG_GQ_GQ_H
#define OG_GQ_GQ_H

#include "gq/ast.h"

struct og_json;

/* Parses a whole file. OG_ERR_BAD with position; message as the language defines ("parse error:  --> 1:7\n ..."). */
int gq_parse(struct og_arena *a, struct og_slice source, struct gq_file *out, struct og_error *err) OG_MUST_CHECK;
/* By name (p NULL: the only query). OG_ERR_BAD: "query '<n>' not found", "query file contains multiple queries; pass --name". */
int gq_select(struct gq_file *f, struct og_slice name, struct gq_query **out, struct og_error *err) OG_MUST_CHECK;
/* Completes the tree of one query. First error only. */
int gq_check(struct og_arena *a, struct gq_query *q, const struct og_catalog *c, struct og_error *err) OG_MUST_CHECK;

/* Values of a query's parameters, by index of gq_query.params. */
struct gq_bindings {
	struct og_value *values;
	bool *given;		/* false: omitted and not nullable: using it is "parameter '<p>' not provided" */
	uint32_t n;
	int64_t now_ms;		/* now(), one value for the whole query */
};

/*
 * Binds a JSON object (NULL or JSON null = {}) to the declared types and takes the time for now(). Dates and blobs stay
 * OG_V_STRING texts until they are used (gq_eval_const parses dates), F32 stays double. Nothing points into `params` afterwards.
 */
int gq_bind(struct og_arena *a, const struct gq_query *q, const struct og_json *params, struct gq_bindings *out,
	    struct og_error *err) OG_MUST_CHECK;
/*
 * The value of a checked literal, parameter or now() expression as it is compared with something of type `as` (NULL: as it is; for a
 * list property and a scalar value: membership). Texts of dates are parsed (OG_ERR_BAD "invalid Date literal '<s>'"), numbers beside
 * F32 rounded to single, a list beside a vector becomes one; otherwise integers and floats stay what they are, for exact comparison.
 * With `as` NULL a list literal of integers and floats is refused. Values to be stored: as NULL is wrong for such lists; pass the
 * property's type, then og_prop_from_value (schema/rowcheck.h).
 */
int gq_eval_const(struct og_arena *a, const struct gq_query *q, const struct gq_bindings *b, const struct gq_expr *x,
		  const struct og_proptype *as, struct og_value *out, struct og_error *err) OG_MUST_CHECK;
/* Before any work: every used parameter is given, else "parameter '<p>' not provided". */
int gq_require_params(const struct gq_query *q, const struct gq_bindings *b, struct og_error *err) OG_MUST_CHECK;

#endif
