/*
 * Errors as clients see them: a status, and for most of them the JSON envelope
 *	{"error": text, "code": code?, "manifest_conflict" | "key_conflict" | "resource_limit": {...}?}
 * Threads: pure functions.
 */
#ifndef OG_API_ERROR_H
#define OG_API_ERROR_H

#include "base/buf.h"
#include "base/error.h"

/* Status of an error code; *code: the envelope's, or NULL for none. */
unsigned og_api_status(int err_code, const char **code);
/* The envelope with that code (NULL: none). */
void og_api_envelope(struct og_buf *b, const struct og_error *err, const char *code);
/* "node" or "edge", and the type's name, of a table key; false: it is none. */
bool og_api_split_key(struct og_slice table_key, struct og_slice *kind, struct og_slice *type);

#endif
