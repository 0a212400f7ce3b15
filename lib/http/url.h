/*
 * Percent and form decoding of request targets (RFC 3986 section 2.1, application/x-www-form-urlencoded).
 * Trust: hostile. A '%' without two hex digits stands for itself. Memory: the caller's arena. Threads: pure functions.
 */
#ifndef OG_HTTP_URL_H
#define OG_HTTP_URL_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

/* A path segment, percent-decoded. OG_ERR_BAD: not UTF-8 afterwards (no message: the caller knows the parameter's name); OG_ERR_NOMEM. */
int og_url_decode_segment(struct og_arena *a, struct og_slice raw, struct og_slice *out) OG_MUST_CHECK;

/* Walks a query string: the next key and value, both raw. Only '&' separates, empty parts are passed over; a key without '=' has the empty value. */
bool og_url_query_next(struct og_slice *rest, struct og_slice *key, struct og_slice *value);
/* A key or value, form-decoded ('+' is a space); bytes that are not UTF-8 become U+FFFD. .p NULL: no memory. */
struct og_slice og_url_form_decode(struct og_arena *a, struct og_slice raw);
/* Values of that key: how many there are (SIZE_MAX: no memory), and the first one, decoded. */
size_t og_url_query_get(struct og_arena *a, struct og_slice query, const char *key, struct og_slice *value);

#endif
