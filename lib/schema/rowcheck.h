/*
 * Rules of single values, shared by loads and mutations: what a JSON value becomes in a property, enum, @range and @check, and ids from keys.
 *
 * Memory: values borrow from the JSON tree or live in the caller's arena. Threads: an og_rules belongs to one thread at a time.
 */
#ifndef OG_SCHEMA_ROWCHECK_H
#define OG_SCHEMA_ROWCHECK_H

#include "base/arena.h"
#include "base/value.h"
#include "json/tree.h"
#include "schema/catalog.h"

/* Compiled @check patterns, made when first needed; a bad pattern is found then. */
struct og_rules;
struct og_rules *og_rules_new(struct og_error *err);
void og_rules_free(struct og_rules *r);	/* accepts NULL */
/*
 * Enum membership (list items too), then every @range and @check of the type that names this property. Null is exempt. OG_ERR_BAD with the text for the
 * client: "invalid enum value '...' for T.p (expected: a, b)", "@range violation on T.p: value ... < min ...", "@check violation on T.p: ...",
 * "@check on T.p has invalid regex '...': ...".
 */
int og_rules_check(struct og_rules *r, const struct og_type *t, const struct og_property *p, const struct og_value *v, struct og_error *err) OG_MUST_CHECK;
/* The parts, for loads, whose order is ranges, checks, enums over all rows of a type. */
int og_rules_enum(const struct og_type *t, const struct og_property *p, const struct og_value *v, struct og_error *err) OG_MUST_CHECK;
int og_rules_range(const struct og_type *t, const struct og_constraint *c, const struct og_value *v, struct og_error *err) OG_MUST_CHECK;
int og_rules_pattern(struct og_rules *r, const struct og_type *t, const struct og_constraint *c, const struct og_value *v, struct og_error *err) OG_MUST_CHECK;

/*
 * A JSON value (NULL: member absent) as the property stores it; required-but-absent is the caller's to see (out->kind OG_V_NULL). Wrong types are errors:
 * "property '<p>' expects <type>, got <json>" (for a required property the text of og_prop_missing), "property '<p>' value <v> exceeds Int32 range",
 * "invalid Date literal '<s>'", ... Enum membership is not looked at.
 */
int og_prop_from_json(struct og_arena *a, const struct og_property *p, const struct og_json *j, struct og_value *out, struct og_error *err) OG_MUST_CHECK;
/* "non-nullable property '<p>' has null or invalid values" and its variants for vectors and blobs. */
int og_prop_missing(const struct og_property *p, struct og_error *err);

/* Appends the id that the key values give: the canonical text of a single key, a compact JSON array of these for a composite one, in key_cols order.
 * values is indexed like t->props. The type must have a key. */
int og_key_id(struct og_buf *b, const struct og_type *t, const struct og_value *values, struct og_error *err) OG_MUST_CHECK;

#endif
