/*
 * Results of reads as text: table, kv, csv, jsonl, json. The same for what a local query gives and for what a server answers.
 * Memory: scratch arenas of its own; rows are gone through one at a time, so a large result costs its text alone.
 * Threads: pure.
 */
#ifndef OG_CLI_RENDER_H
#define OG_CLI_RENDER_H

#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"

struct render_result {
	struct og_slice query_name;
	struct og_slice branch;		/* p NULL when by snapshot */
	struct og_slice snapshot;	/* p NULL when by branch */
	struct og_slice commit;		/* graph_commit_id; p NULL: not known */
	uint64_t row_count;
	struct og_slice columns;	/* JSON array of names; len 0: not given */
	struct og_slice rows;		/* JSON array of objects */
};

struct render_opts {
	enum og_config_format format;
	uint64_t max_width;		/* of a table's column */
	enum og_config_layout layout;
};

/* Appends the text to `out`. OG_ERR_BAD when the arrays are not what they must be. */
int render_query(struct og_buf *out, const struct render_result *r, const struct render_opts *o, struct og_error *err) OG_MUST_CHECK;

#endif
