/*
 * What stands between the routes and a graph: each graph operation as a function of the program, answered later.
 *
 * The routes (api/route.h) decode a request and call one og_api_ops function. It returns 0 when it has taken the call, which it answers
 * exactly once, then or later, with an og_api_reply_* function, og_api_stream_end or og_api_fail; or a negative code with *err, and the
 * routes answer that. After the answer the call is gone.
 *
 * Branch names arrive trimmed and not empty unless said otherwise; nothing else about them was checked. Slices and trees of a request are
 * valid until its answer; those of a result need only live through the reply call, except for rows (og_api_rows).
 * Threads: everything on the event loop's; other threads may read og_api_call.cancel and use the arena as long as the loop does not.
 */
#ifndef OG_API_SERVICE_H
#define OG_API_SERVICE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "http/server.h"
#include "json/tree.h"

struct og_api;
struct og_route;
struct og_api_ops;

/* One request. The first part is the service's to read. */
struct og_api_call {
	struct og_arena arena;	   /* lives as long as the call */
	struct og_slice actor;	   /* p NULL: none */
	struct og_slice graph_id;  /* p NULL: single mode */
	void *graph;		   /* of og_api_graph */
	atomic_int cancel;	   /* 1: nobody waits for the answer any more; the call must be answered all the same */
	void *user;		   /* the service's own */

	/* Private to lib/api. */
	struct og_api *api;
	const struct og_route *route;
	const struct og_api_ops *ops;
	struct og_http_req *req;
	struct og_slice params[2]; /* {…} segments of the path, decoded */
	bool begun;		   /* the answer's head is out */
	struct og_api_call *next;
};

/* ---- requests ---- */

struct og_api_read {
	bool legacy;		/* /read: a mutation is a type error; /query: it is told to use POST /mutate */
	struct og_slice query;	/* source text */
	struct og_slice name;	/* p NULL: none */
	const struct og_json *params; /* may be NULL, may be anything */
	struct og_slice branch;	  /* exactly one of the two has p non-NULL; "main" by default */
	struct og_slice snapshot; /* as sent, may be empty */
};

struct og_api_write {
	struct og_slice query, name;
	const struct og_json *params;
	struct og_slice branch;
};

enum og_api_mode { OG_API_MERGE, OG_API_APPEND, OG_API_OVERWRITE };

struct og_api_load {
	struct og_slice data;	/* records */
	struct og_slice branch; /* trimmed; may be empty, which like any missing one is created from `from` or not found */
	struct og_slice from;	/* trimmed; p NULL: none */
	enum og_api_mode mode;
};

struct og_slices {
	struct og_slice *v;
	size_t n;
};

struct og_api_export {
	struct og_slice branch;
	struct og_slices type_names, table_keys; /* both empty: everything */
};

/* Of one graph. `graph` is og_api_graph.graph. */
struct og_api_ops {
	int (*snapshot)(void *graph, struct og_api_call *c, struct og_slice branch, struct og_error *err);
	int (*read)(void *graph, struct og_api_call *c, const struct og_api_read *q, struct og_error *err);
	int (*write)(void *graph, struct og_api_call *c, const struct og_api_write *q, struct og_error *err);
	int (*load)(void *graph, struct og_api_call *c, const struct og_api_load *q, struct og_error *err);
	int (*schema)(void *graph, struct og_api_call *c, struct og_error *err);
	/* Answers with og_api_stream_begin, _write, _end; export_more is called when a full stream has room again. */
	int (*export)(void *graph, struct og_api_call *c, const struct og_api_export *q, struct og_error *err);
	void (*export_more)(void *graph, struct og_api_call *c);
	/* c->cancel has just been set: the peer went away. May be NULL. The call must still be answered. */
	void (*cancelled)(void *graph, struct og_api_call *c);
};

/* ---- answers ---- */

struct og_api_commit {
	struct og_slice id;
	struct og_slice branch;		/* p NULL: main */
	uint64_t manifest_version;
	struct og_slice parent, merged_parent, actor; /* p NULL: null */
	int64_t created_at_us;
};

struct og_api_table {
	struct og_slice table_key;	/* "node:Tree" */
	uint64_t table_version;
	struct og_slice table_branch;	/* p NULL: main */
	uint64_t row_count;
};

struct og_api_snapshot {
	struct og_slice branch;
	uint64_t manifest_version;
	uint32_t internal_schema_version;
	const struct og_api_table *tables; /* in the order of the answer: by key */
	size_t ntables;
};

/* Rows are borrowed until release(arg) is called, once, on the loop's thread: perhaps long after the reply, and after the call is gone. */
struct og_api_rows {
	struct og_slice query_name;
	struct og_slice branch, snapshot;	/* one of them p NULL */
	struct og_slice graph_commit_id;
	uint64_t row_count;
	struct og_slice columns_json;		/* array of names; copied */
	struct og_slice rows_json;		/* array of objects */
	void (*release)(void *arg);
	void *arg;
};

struct og_api_change {
	struct og_slice branch, query_name;
	uint64_t affected_nodes, affected_edges;
	const struct og_api_commit *commit;	/* NULL: nothing changed */
};

struct og_api_loaded_table {
	struct og_slice table_key;
	uint64_t rows;
};

struct og_api_loaded {
	struct og_slice uri, branch, base_branch; /* p NULL: null */
	bool branch_created;
	enum og_api_mode mode;
	const struct og_api_loaded_table *tables; /* by key */
	size_t ntables;
	const struct og_api_commit *commit;
};

/* All END the call. */
void og_api_reply_snapshot(struct og_api_call *c, const struct og_api_snapshot *s);
void og_api_reply_rows(struct og_api_call *c, const struct og_api_rows *r);
void og_api_reply_change(struct og_api_call *c, const struct og_api_change *r);
void og_api_reply_loaded(struct og_api_call *c, const struct og_api_loaded *r);
void og_api_reply_schema(struct og_api_call *c, struct og_slice source);
/* The error as its status and envelope (api/error.h). After og_api_stream_begin: the stream is cut off. */
void og_api_fail(struct og_api_call *c, const struct og_error *err);

/* 200 and NDJSON, from now on. */
void og_api_stream_begin(struct og_api_call *c);
/* OG_HTTP_FULL: taken, but wait for export_more; OG_HTTP_GONE: answer with og_api_fail. */
enum og_http_room og_api_stream_write(struct og_api_call *c, struct og_slice lines);
/* ENDS the call. */
void og_api_stream_end(struct og_api_call *c);

#endif
