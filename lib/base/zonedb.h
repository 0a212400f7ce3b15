/*
 * The system's tz database as one block of bytes: read once, shared by all processes.
 *
 * Block:   u32 count; count times u32 name, name_len, file, file_len (offsets into the block), ascending by name; the bytes. The machine's own byte order:
 *          a block never leaves the host. Names that are links to one zone share its bytes.
 * Trust:   a block comes from ourselves or from the process that started us, sealed; its offsets are checked all the same.
 * Threads: og_zones_load and og_zones_map before threads start; read-only afterwards.
 */
#ifndef OG_BASE_ZONEDB_H
#define OG_BASE_ZONEDB_H

#include "base/error.h"
#include "base/slice.h"

/* Reads /usr/share/zoneinfo and puts the block into a sealed memfd, for og_zones_map of other processes. A missing folder gives an empty block. */
int og_zones_share(int *fd, struct og_error *err) OG_MUST_CHECK;
/* In place of og_zones_load (base/date.h): maps the block and keeps it. fd stays the caller's. */
int og_zones_map(int fd, struct og_error *err) OG_MUST_CHECK;
/* The TZif file of a zone. false: unknown, or nothing is loaded. */
bool og_zones_find(struct og_slice name, struct og_slice *tzif);

#endif
