/*
 * Loading: JSON records become rows of one branch, in one commit.
 *
 * Input:   JSON objects one behind the other, {"type":T,"data":{...}} or {"edge":E,"from":id,"to":id,"data":{...}}, in any order, of any length.
 * Modes:   append (new ids only), merge (an id that is there is replaced as a whole), overwrite (the types in the input are replaced entirely).
 * Errors:  OG_ERR_BAD with the line of the record, OG_ERR_CONFLICT (an id that append met, with its key detail), whatever the graph answers. Nothing is
 *          written then; segments that were put meanwhile are garbage that cleanup removes.
 * Freshness: a commit is put behind the newest object or not at all, so records are read and checked by the state that this host knows, without asking the
 *          store: if they depend on what another host has done since, the log tells when the commit is put, and they are checked again, or, by a new
 *          schema, read again. A refusal has no such put behind it: before one is told, the state is taken anew, and if it moved, so is the verdict. A
 *          stream is read by a state that was confirmed after it began, as it cannot always be read twice.
 * Memory:  `budget` for the buffers and as much for the checks; the rest goes to unlinked temporary files (spill), or, where none can be made, the
 *          load ends with OG_ERR_TOO_LARGE. Three machine words a row are sorted: ids and ends are compared by their XXH3-128.
 * Threads: the loop's thread, and one of its own if asked for. With a runner, reading and checking happen off it, and callbacks still come from the loop.
 */
#ifndef OG_LOAD_LOAD_H
#define OG_LOAD_LOAD_H

#include "graph/op.h"

enum og_load_mode { OG_LOAD_OVERWRITE, OG_LOAD_APPEND, OG_LOAD_MERGE };

const char *og_load_mode_name(enum og_load_mode m);	/* "merge" */
/* false: no such mode. */
bool og_load_mode_parse(struct og_slice s, enum og_load_mode *out);

struct og_load_table {
	struct og_slice table_key;
	uint64_t rows_loaded;		/* records of the input */
};

struct og_load_result {
	enum og_load_mode mode;
	struct og_slice branch;
	struct og_slice base_branch;	/* `from` as given; p NULL: none */
	bool branch_created;
	const struct og_load_table *tables;	/* touched ones, ascending by table key */
	size_t ntables;
	uint64_t nodes, edges;		/* records */
	uint64_t node_types, edge_types;
	const struct og_wire_commit *commit;
};
/* r is valid during the call; NULL: *err. Exactly once, the last thing that happens; `l` is gone afterwards. */
typedef void (*og_load_cb)(void *arg, const struct og_load_result *r, const struct og_error *err);

struct og_load_req {
	enum og_load_mode mode;
	struct og_slice branch;		/* p NULL: main */
	struct og_slice from;		/* p NULL: none */
	struct og_slice actor;		/* p NULL: none */
	size_t budget;			/* bytes; 0: 256 MiB */
	bool thread;			/* a thread may be started, which encodes */
	bool spill;			/* temporary files may be made ($TMPDIR or /tmp) */
	bool file;			/* the input is a file: bytes that are not UTF-8 are told as a reading error */
	/*
	 * Of a stream: the schema changed after the last byte. 0: ready() will be called, then the same bytes come again from the first one. NULL: they
	 * cannot be had twice, and the load ends with OG_ERR_CONFLICT.
	 */
	int (*rewind)(void *arg, struct og_error *err);
};

struct og_load;

/*
 * A load that is fed piece by piece: ready() is called when og_load_feed may be called, first when the branch is known. Reading and checking happen within
 * the calls. NULL: cb has run already.
 */
struct og_load *og_load_start(struct og_ops *o, const struct og_load_req *req, void (*ready)(void *arg), og_load_cb cb, void *arg);
/*
 * The next bytes, all of which are taken. 0: go on; 1: wait for ready() (rows are on their way to the store). Negative: the load has failed, with *err;
 * cb is not called any more and `l` is gone.
 */
int og_load_feed(struct og_load *l, struct og_slice bytes, struct og_error *err) OG_MUST_CHECK;
/* No more bytes: checks, commits, calls cb (perhaps within the call). */
void og_load_finish(struct og_load *l);
/* Nobody waits any more: no callback. A commit that is under way goes on. */
void og_load_cancel(struct og_load *l);

/* The whole input at once (copied), read by the runner of `o`. cb may be called within the call; then NULL. */
struct og_load *og_op_load(struct og_ops *o, const struct og_load_req *req, struct og_slice data, og_load_cb cb, void *arg);

#endif
