/*
 * The Delta Lake log of one type: versions as JSON, one action a line, written and read back.
 *
 * Format:  Delta Lake transaction log protocol (delta-io/delta, PROTOCOL.md), reader version 1, writer version 7 with the feature `omnigraph`: every
 *          reader reads it, and a writer that knows the protocol refuses, as it must with a feature that it does not know. A version
 *          begins with commitInfo; its member `omnigraph` says which state of the graph the table shows from here on, and names all its files,
 *          so that the last version alone tells what is there.
 * Trust:   decode takes any bytes of the store.
 * Memory:  decode's results lie in the arena. Threads: pure functions.
 */
#ifndef OG_FORMAT_DELTA_H
#define OG_FORMAT_DELTA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/sha256.h"
#include "base/ulid.h"

#define OG_DELTA_VERSION_MAX (16u * OG_MIB)	/* bytes of one version */
#define OG_DELTA_FEATURE "omnigraph"

/* Of a type's log: keys data/<type>/_delta_log/<version>.json, versions from 0 without gaps. */
#define OG_DELTA_KEY_MAX 80
void og_delta_folder(uint32_t type, char out[OG_DELTA_KEY_MAX]);	/* with '/' at the end */
void og_delta_key(uint32_t type, uint64_t version, char out[OG_DELTA_KEY_MAX]);
/* false: not the name of a version (checkpoints and their kin, of other programs). `name`: behind the last '/'. */
bool og_delta_parse_name(const char *name, uint64_t *version);

/* What the table shows: main at one commit. */
struct og_delta_shown {
	struct og_ulid graph, commit;
	uint64_t version;		/* of main */
	uint64_t table_version;
	uint64_t seq;			/* log object */
	struct og_sha256 schema;	/* og_delta_schema_digest of the metaData in force */
	struct og_sha256 catalog;	/* the graph's schema of that commit: while it is the same, so is the one above */
	const struct og_ulid *files;	/* the live ones, ascending */
	size_t nfiles;
};

struct og_delta_file {
	struct og_ulid id;		/* <id>.parquet beside the log's folder; its time is the file's */
	uint64_t bytes, rows;
	struct og_slice bounds;		/* JSON members minValues, maxValues, nullCount as og_delta_bounds makes them; len 0: not known */
};

struct og_delta_version {
	struct og_delta_shown shown;
	uint32_t type;
	struct og_ulid host;
	int64_t at_us;
	bool first;			/* version 0: with the protocol */
	struct og_slice name, schema;	/* metaData: "node:Person", og_delta_schema; schema.p NULL: stays */
	const struct og_delta_file *adds;
	size_t nadds;
	const struct og_ulid *removes;
	size_t nremoves;
	bool data_change;		/* false: the same rows in other files */
};

/* Digest of the metaData: name and schema. */
struct og_sha256 og_delta_schema_digest(struct og_slice name, struct og_slice schema);
/* Appends the text. */
void og_delta_encode(struct og_buf *b, const struct og_delta_version *v);
/*
 * What the last version shows. OG_ERR_CORRUPT (with the byte's position): no such text. OG_ERR_NOT_FOUND: a version that another program
 * wrote: what is live is not known.
 */
int og_delta_decode(struct og_arena *a, struct og_slice src, struct og_delta_shown *out, struct og_error *err) OG_MUST_CHECK;

#endif
