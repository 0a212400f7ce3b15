/*
 * Number texts: shortest digits that read back to the same double or single.
 * Threads: pure functions.
 */
#ifndef OG_BASE_NUM_H
#define OG_BASE_NUM_H

#include "base/buf.h"
#include "base/slice.h"

/* JSON form: shortest round-trip; plain for 1e-5 <= |x| < 1e16, integral values with ".0"; else "1e+16", "9.9e-6".
 * Not for NaN or infinities. Returns the length; out is NUL-terminated. */
size_t og_double_json(double x, char out[40]);
/* Constraint and id form: shortest digits, never an exponent, no ".0"; both zeros "0"; up to 330 characters.
 * `single`: shortest at single width (x holds a widened float). */
size_t og_double_plain(double x, bool single, char out[400]);
/* Strict decimal text: [+-]digits only. false: not such a text or out of range. */
bool og_parse_i64(struct og_slice s, int64_t *out);
bool og_parse_u64(struct og_slice s, uint64_t *out);
/* Bytes: digits only, then K, M, G or T (either case; powers of 1,024) or nothing. false: no such text or out of range. */
bool og_parse_size(struct og_slice s, uint64_t *out);
/* JSON number grammar; correctly rounded (strtod in the C locale, with a fast path). false: overflow to infinity
 * or not a number. */
bool og_parse_double(struct og_slice s, double *out);

#endif
