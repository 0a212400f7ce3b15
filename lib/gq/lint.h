/*
 * The linter: every query of a file checked against a schema, and what the queries together leave undone.
 *
 * Trust: the source is a client's. Memory: the caller's arena; names point into the catalog, which must outlive the report.
 * Threads: pure.
 */
#ifndef OG_GQ_LINT_H
#define OG_GQ_LINT_H

#include "gq/gq.h"
#include "json/writer.h"

struct gq_lint_result {
	const struct gq_query *query;
	const char *error;		/* the first type error; NULL: well typed */
	const char *warning;		/* or NULL */
	/* Well typed only: what it touches, by index of og_catalog.types. */
	bool *reads, *writes;
};

enum gq_severity { GQ_SEV_ERROR, GQ_SEV_WARNING, GQ_SEV_INFO };

struct gq_finding {
	enum gq_severity severity;
	const char *code;		/* "Q000", "L201" */
	const char *message;
	struct og_slice type_name, property;	/* len 0: none */
	struct og_slice *query_names;	/* sorted, each once */
	size_t nquery_names;
};

struct gq_lint {
	const struct og_catalog *catalog;
	struct gq_lint_result *results;	/* in file order; none when the file does not parse */
	size_t nresults;
	struct gq_finding *findings;	/* by severity, type, property, message */
	size_t nfindings;
	size_t errors, warnings, infos;	/* findings and entries of results, each counted once */
};

/* A file that does not parse is a finding, not a failure. OG_ERR_NOMEM, OG_ERR_TOO_LARGE. */
int gq_lint(struct og_arena *a, struct og_slice source, const struct og_catalog *c, struct gq_lint *out,
	    struct og_error *err) OG_MUST_CHECK;

/* Where the schema came from, for the report. */
struct gq_lint_origin {
	const char *kind;		/* "file", "graph" */
	const char *place;		/* path of a file, URI of a graph */
	const char *query_path;
};

/* The report as one JSON object. */
void gq_lint_json(struct og_json_writer *w, const struct gq_lint *l, const struct gq_lint_origin *origin);
/* The same for people, one line each. */
void gq_lint_text(struct og_buf *b, const struct gq_lint *l);

/* Kind of a type in catalogs of queries: "string", "bool", "int", "bigint", "float", "date", "datetime", "blob", "vector". */
const char *gq_kind_name(enum og_scalar s);

#endif
