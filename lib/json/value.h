/*
 * Run-time values (base/value.h) as JSON: the form of query results and the form of exports.
 *
 *                 query results                              export
 *   F32, F64      shortest digits; "NaN", "Infinity", ...    the same; non-finite: error
 *   Date          "YYYY-MM-DD"                               day number
 *   DateTime      "YYYY-MM-DDTHH:MM:SS.mmmZ"                 "YYYY-MM-DDTHH:MM:SS[.mmm]"
 *   Vector        array; a non-finite element is null        array; non-finite: error
 *   Blob          null                                       "base64:...", or the URI
 * F32 is widened to double first; dates and times outside the years that texts can name are numbers; lists are arrays of
 * the above. Threads: pure but for the writer.
 */
#ifndef OG_JSON_VALUE_H
#define OG_JSON_VALUE_H

#include "base/error.h"
#include "base/value.h"
#include "json/writer.h"

void og_json_value(struct og_json_writer *w, const struct og_value *v);
/* type: the property's scalar (the item's for a list), which words the error: OG_ERR_INTERNAL,
 * storage: cannot encode f64 value 'NaN' as JSON. The writer's buffer is then cut in mid-value. */
int og_json_value_export(struct og_json_writer *w, const struct og_value *v, enum og_scalar type,
			 struct og_error *err) OG_MUST_CHECK;

#endif
