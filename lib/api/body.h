/*
 * JSON bodies into structs: a const table of fields names each member's place, type and rules.
 *
 * Errors:  OG_ERR_BAD with the whole text of the answer; *status is 400 (no JSON: "Failed to parse the request body as JSON: ...") or
 *          422 (another shape: "Failed to deserialize the JSON body into the target type: ..."). Syntax goes before shape, wherever it is.
 * Trust:   hostile; members nobody asked for are skipped, not stored.
 * Memory:  strings point into the body or the arena. Threads: pure functions.
 */
#ifndef OG_API_BODY_H
#define OG_API_BODY_H

#include "base/arena.h"
#include "base/error.h"
#include "json/tree.h"

enum og_body_type {
	OG_BODY_STRING,	 /* struct og_slice */
	OG_BODY_BOOL,	 /* bool */
	OG_BODY_U64,	 /* uint64_t */
	OG_BODY_ANY,	 /* const struct og_json *; JSON null is a tree, too */
	OG_BODY_STRINGS, /* struct og_slices of api/service.h */
	OG_BODY_ENUM,	 /* unsigned: index of the variant */
};

enum { OG_BODY_REQUIRED = 1, OG_BODY_NOT_NULL = 2 };

struct og_body_field {
	const char *name, *alias;	/* alias may be NULL; both together are a repeated key */
	enum og_body_type type;
	unsigned flags;			/* without OG_BODY_NOT_NULL null means absent */
	size_t offset;			/* in the target */
	const char *const *variants;	/* OG_BODY_ENUM: ended by NULL */
};

/* Members that are absent leave their place as it is: set the defaults before. At most 32 fields. */
int og_body_decode(struct og_arena *a, struct og_slice body, const struct og_body_field *fields, size_t nfields, void *out,
		   unsigned *status, struct og_error *err) OG_MUST_CHECK;

#endif
