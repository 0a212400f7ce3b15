/*
 * Dates and times, from and to text.
 * A date text: YYYY-MM-DD (month and day may be one digit), YYYYMMDD, a signed extended year (4 digits at least,
 * -262143..+262142) with month and day of any width, or a date-time text, of which the UTC date is taken.
 * A date-time text: a date alone (midnight UTC), or YYYY-MM-DD (or an extended year) + T, t or a space + HH:MM:SS[.f...]
 * or HHMMSS, cut to milliseconds; then nothing (UTC), Z or z, +HH:MM, +HHMM or +HH (below 24 h; spaces may precede the
 * sign and one must after HHMMSS), or a zone name in exact case, spaces allowed before it; a local time that the zone
 * skips or repeats is refused. Second 60 counts as the next second; a date keeps its day.
 * Printed: YYYY-MM-DD, years outside 0..9999 signed; YYYY-MM-DDTHH:MM:SS.mmmZ.
 * Date: signed 32-bit days since 1970-01-01. DateTime: signed 64-bit milliseconds since the epoch, UTC.
 * Calendar: proleptic Gregorian. Zone names: the system's tz database is read once, at start
 * (og_zones_load), because a sandboxed process cannot open files later; without it zone names are
 * "invalid", offsets still work.
 * Threads: og_zones_load before threads start; the rest is pure.
 */
#ifndef OG_BASE_DATE_H
#define OG_BASE_DATE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

/* Reads /usr/share/zoneinfo (TZif, RFC 8536) into memory; a missing folder is no error. Idempotent. */
int og_zones_load(struct og_error *err) OG_MUST_CHECK;

/* false: no such text. */
bool og_date_parse(struct og_slice s, int32_t *days);
bool og_datetime_parse(struct og_slice s, int64_t *ms);
/* Query result form; appends without quotes. *plain_number is set (may be NULL) when the year is outside
 * -262143..262142 and the number itself was printed: then no quotes belong around it. */
void og_date_format(struct og_buf *b, int32_t days, bool *plain_number);
void og_datetime_format(struct og_buf *b, int64_t ms, bool *plain_number);
/* Export form of a DateTime: no zone, ".mmm" only when non-zero. */
void og_datetime_format_export(struct og_buf *b, int64_t ms, bool *plain_number);
int64_t og_now_us(void);	/* CLOCK_REALTIME, microseconds */
uint64_t og_boottime_us(void);	/* CLOCK_BOOTTIME: goes on while the machine sleeps */
uint64_t og_monotonic_us(void);	/* CLOCK_MONOTONIC */

#endif
