/*
 * What other programs must know of a type and its segments, for the Delta log (format/delta_table.h).
 *
 * Trust:   the segments are untrusted: OG_ERR_CORRUPT with the number of the one that is no file of ours.
 * Memory:  og_described_fini frees what *out holds. Threads: pure functions.
 */
#ifndef OG_IMAGE_DESCRIBE_H
#define OG_IMAGE_DESCRIBE_H

#include "format/delta_table.h"
#include "schema/catalog.h"

struct og_described_file {
	bool fits;			/* og_delta_file_fits */
	struct og_buf bounds;		/* og_delta_bounds */
};

struct og_described {
	struct og_buf schema;		/* og_delta_schema; empty: there can be none, `why` says why */
	struct og_error why;
	struct og_described_file *files;
	size_t nfiles;
};

int og_describe(const struct og_type *type, const struct og_slice *files, size_t n, struct og_described *out, struct og_error *err) OG_MUST_CHECK;
void og_described_fini(struct og_described *d);

#endif
