/*
 * Values on their way into a property: what may be stored where, and what it becomes.
 * Threads: pure functions.
 */
#ifndef OG_ENGINE_CONVERT_H
#define OG_ENGINE_CONVERT_H

#include "base/arena.h"
#include "base/value.h"
#include "schema/catalog.h"

/*
 * The form in which `in` is stored in a property of that type: integers range-checked, integers widened to floats, F32 rounded, list items
 * converted one by one (an item of another kind becomes null), blob texts decoded ("base64:..." or a URI). A null is stored as it is; whether it may
 * be is the caller's question. OG_ERR_BAD with the text for the client.
 */
int og_convert(struct og_arena *a, const struct og_property *p, const struct og_value *in, struct og_value *out, struct og_error *err) OG_MUST_CHECK;

#endif
