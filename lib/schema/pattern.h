/*
 * Patterns of @check: a linear-time dialect (classes, groups, alternation, lazy quantifiers, Unicode-aware \d \w \s \b \A \z \p{...},
 * flags imsxU), executed by PCRE2 behind a scan that refuses everything else PCRE2 would understand: look-around, back-references,
 * recursion, atomic groups, verbs, unknown escapes, literal braces, class set operations.
 *
 * Trust:   patterns and subjects come from clients. Compiled size and nesting are bounded by PCRE2's own limits, matching by a fixed
 *          number of steps, depth and heap.
 * Threads: a compiled pattern belongs to one thread at a time. Private to lib/schema.
 */
#ifndef OG_SCHEMA_PATTERN_H
#define OG_SCHEMA_PATTERN_H

#include "base/error.h"
#include "base/slice.h"

struct og_pattern;

/* *out, or NULL with the reason in `why` (OG_ERR_BAD). OG_ERR_NOMEM. */
int og_pattern_compile(struct og_slice re, struct og_pattern **out, char why[256]) OG_MUST_CHECK;
void og_pattern_free(struct og_pattern *p);	/* accepts NULL */

enum og_pattern_result { OG_PATTERN_NO, OG_PATTERN_YES, OG_PATTERN_EXPENSIVE };

/* Is there a match anywhere in the subject? */
enum og_pattern_result og_pattern_search(struct og_pattern *p, struct og_slice subject);

#endif
