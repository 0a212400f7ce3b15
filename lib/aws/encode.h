/*
 * Percent encoding as signatures want it: unreserved bytes (RFC 3986 section 2.3) stand, all others are %XX in upper case.
 * Pure functions.
 */
#ifndef OG_AWS_ENCODE_H
#define OG_AWS_ENCODE_H

#include "base/buf.h"

/* A path: '/' stands. */
void og_aws_encode_path(struct og_buf *b, struct og_slice s);
/* A name or value of a query: '/' too is encoded. */
void og_aws_encode(struct og_buf *b, struct og_slice s);
/* Decodes in place, '+' as a space; returns the new length. A '%' without two hex digits stands for itself. */
size_t og_aws_decode(char *s, size_t len);

struct og_aws_param {
	const char *name, *value;	/* not encoded; value NULL: "" */
};
/* "a=1&b=" in the order of signatures: by encoded name, then encoded value. The array is reordered. */
void og_aws_query(struct og_buf *b, struct og_aws_param *params, size_t n);
/* The same pairs as application/x-www-form-urlencoded, in the given order. */
void og_aws_form(struct og_buf *b, const struct og_aws_param *params, size_t n);

#endif
