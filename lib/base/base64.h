/*
 * Base64, the standard alphabet with padding (RFC 4648 section 4). Strict: no white space, whole groups of four, unused
 * bits zero. Threads: pure functions.
 */
#ifndef OG_BASE_BASE64_H
#define OG_BASE_BASE64_H

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

void og_base64_encode(struct og_buf *b, struct og_slice s);
/* Appends the bytes. OG_ERR_BAD with a bare reason and err->pos.byte, b as before; OG_ERR_NOMEM. */
int og_base64_decode(struct og_buf *b, struct og_slice s, struct og_error *err) OG_MUST_CHECK;

#endif
