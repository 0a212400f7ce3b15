/*
 * Exports: the rows of a state as JSON lines that a load reads back.
 *
 * Format:  tables in ascending order of their keys (edges before nodes), rows in ascending byte order of their ids, one compact object a line:
 *          {"type":T,"data":{"id":...,properties by name}} or {"edge":E,"from":...,"to":...,"data":{...}}; nulls are written.
 * Memory:  40 bytes a row of the table at hand, its images, and the piece being written. Threads: the loop's thread; sorting happens off it if the
 *          runner of the operations is more than a loop.
 */
#ifndef OG_LOAD_EXPORT_H
#define OG_LOAD_EXPORT_H

#include "graph/op.h"

struct og_export_req {
	struct og_slice branch;			/* p NULL: main */
	const struct og_slice *type_names;	/* nodes and edges of that name */
	size_t ntype_names;
	const struct og_slice *table_keys;	/* "node:Vessel" */
	size_t ntable_keys;			/* no name and no key: everything */
};

struct og_export;

/*
 * err->code 0: og_export_next may be called. Before the first piece: the branch is known and the filters name something. An error is the last thing that
 * happens (x is NULL and gone); it may come before any piece or between two of them.
 */
typedef void (*og_export_cb)(void *arg, struct og_export *x, const struct og_error *err);

/* ready is called for the first piece and after each OG_EXPORT_WAIT. It may be called within this call; NULL: it was called with an error. */
struct og_export *og_op_export(struct og_ops *o, const struct og_export_req *req, og_export_cb ready, void *arg);

enum { OG_EXPORT_END = 0, OG_EXPORT_MORE = 1, OG_EXPORT_WAIT = 2 };
/*
 * Appends whole lines, about 64 KiB. MORE: call again when there is room. WAIT: ready() will be called. END: that was all. Negative: *err, nothing more
 * can be had. The export is freed with og_export_free in every case. Not to be called from within ready() of the first piece before og_op_export has
 * returned.
 */
int og_export_next(struct og_export *x, struct og_buf *out, struct og_error *err) OG_MUST_CHECK;
/* Also in mid-export: ready is not called any more. NULL is fine. */
void og_export_free(struct og_export *x);

/* ---- the parts that need no graph ---- */

/* Marks what the filters select in tables[ntypes]. OG_ERR_BAD: unknown export type '{T}', unknown export table '{k}'. */
int og_export_select(const struct og_catalog *c, const struct og_export_req *req, bool *tables, struct og_error *err) OG_MUST_CHECK;
/* Images that one table needs; room for nprops + 4. */
size_t og_export_needs(const struct og_catalog *c, const struct og_type *t, struct og_need *needs);

struct og_export_table;
/* Sorts the rows. References the view. */
int og_export_table_new(struct og_view *v, uint32_t type, struct og_export_table **out, struct og_error *err) OG_MUST_CHECK;
/* Appends lines until `want` bytes were added: MORE, END or an error (the buffer then ends with a whole line). */
int og_export_table_next(struct og_export_table *t, struct og_buf *out, size_t want, struct og_error *err) OG_MUST_CHECK;
void og_export_table_free(struct og_export_table *t);

#endif
