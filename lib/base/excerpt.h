/*
 * Syntax errors that show the place: an arrow with line and column, the line itself, a caret under it.
 *
 *	parse error:  --> 1:7
 *	  |
 *	1 | query (
 *	  |       ^---
 *	  |
 *	  = expected a query name
 *
 * Threads: pure.
 */
#ifndef OG_BASE_EXCERPT_H
#define OG_BASE_EXCERPT_H

#include "base/error.h"
#include "base/slice.h"

/*
 * Sets *err to OG_ERR_BAD with that text and the position; `src` is well-formed UTF-8, offset <= src.len, columns count
 * characters. `prefix` is the text before the blanks of the arrow ("parse error: "). Of a line too long for a message only
 * the surroundings of the caret are shown. Returns OG_ERR_BAD.
 */
int og_error_excerpt(struct og_error *err, struct og_slice src, size_t offset, const char *prefix, const char *expected);

#endif
