/*
 * UTF-8 checks (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). Pure functions.
 */
#ifndef OG_BASE_UTF8_H
#define OG_BASE_UTF8_H

#include "base/slice.h"

/* Offset of the first byte that is not part of a well-formed sequence; s.len if all is well. */
size_t og_utf8_check(struct og_slice s);
/* Code points in well-formed text. */
size_t og_utf8_count(struct og_slice s);
/* Decodes one code point at s.p[*pos], advances *pos; U+FFFD and one byte on a bad sequence. */
uint32_t og_utf8_next(struct og_slice s, size_t *pos);
/* Encodes; returns 1..4. */
size_t og_utf8_put(char out[4], uint32_t cp);
/* Line and column (both 1-based, column in characters or bytes) of a byte offset. */
void og_text_position(struct og_slice src, size_t offset, bool column_in_bytes, uint64_t *line, uint64_t *column);

#endif
