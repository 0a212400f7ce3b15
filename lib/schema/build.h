/* From checked declarations to the types of a catalog. Private to lib/schema. */
#ifndef OG_SCHEMA_BUILD_H
#define OG_SCHEMA_BUILD_H

#include "schema/catalog.h"
#include "schema/parse.h"

/* Fills types and interfaces, ids excepted. Everything lives in the catalog's arena. 0, OG_ERR_NOMEM or OG_ERR_TOO_LARGE. */
int pg_build(struct og_catalog *c, const struct pg_file *f, struct og_error *err) OG_MUST_CHECK;

#endif
