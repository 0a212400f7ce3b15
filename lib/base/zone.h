/*
 * Time zones by name: TZif files (RFC 8536) held in memory, and the daylight saving rules of their
 * footers (POSIX TZ strings, extended as the RFC says) for later years.
 * Loaded by og_zones_load of base/date.h, or shared (base/zonedb.h).
 * Trust:   the files are the system's, yet every length is checked; a bad file is left out.
 * Threads: read-only after loading.
 */
#ifndef OG_BASE_ZONE_H
#define OG_BASE_ZONE_H

#include "base/error.h"
#include "base/slice.h"

/* Seconds that local time is ahead of UTC in the zone of that name when its clocks show `local` (seconds since the
 * epoch as if UTC). false: unknown zone, or a local time that the zone skips or repeats. */
bool og_zone_offset(struct og_slice name, int64_t local, int64_t *offset);
/* It can be read. */
bool og_zone_valid(struct og_slice tzif);
/* For tests: takes a TZif file's bytes in place of a name; the bytes are borrowed. */
bool og_zone_offset_tzif(struct og_slice tzif, int64_t local, int64_t *offset);

#endif
