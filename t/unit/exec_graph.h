/*
 * A graph in memory for tests of the engine: schema text and JSON rows become a view, queries become JSON text.
 *
 * The rows may lie in images, in deltas above them, or both; whatever the split, a query must answer the same.
 */
#ifndef OG_T_UNIT_EXEC_GRAPH_H
#define OG_T_UNIT_EXEC_GRAPH_H

#include "engine/exec.h"
#include "image/local.h"
#include "json/tree.h"

enum split {
	SPLIT_IMAGES,	/* all rows in images */
	SPLIT_MIXED,	/* the first half of the nodes and the edges between them in images, the rest in deltas */
	SPLIT_REWRITTEN, /* images hold every row with its nullable properties null; deltas replace them all */
	SPLIT_DELTAS,	/* nothing in images */
	SPLITS,
};

struct graph_row {
	const char *type;	/* of a node or edge */
	/* Properties; edges also from, to; `id` where no key gives one. A '-' before it makes a ghost: in the images of SPLIT_REWRITTEN and SPLIT_MIXED,
	 * then deleted; in the others never there. */
	const char *json;
};

struct graph {
	struct og_catalog *catalog;
	struct og_view *view;
	struct og_buf *layers;	/* by type: a Parquet file, or nothing */
	struct og_layer *layer;
	struct og_local_type *local;
	/* While it is being opened: nodes in the images. */
	struct og_map base_ids;
	struct og_arena ids;
};

void graph_open(struct graph *g, const char *schema, const struct graph_row *rows, size_t n, enum split split);
void graph_close(struct graph *g);

struct answer {
	int code;		/* 0 or the error */
	uint64_t rows;
	bool is_short;
	unsigned steps;
	uint64_t us;		/* planning against the view and running */
	char *columns, *json;	/* malloc'd; on error json is the message */
};

struct run_options {
	struct og_exec_limits limits;
	uint64_t budget_us;
	int64_t now_ms;
};

void graph_query(struct graph *g, const char *query, const char *params, const struct run_options *o, struct answer *out);
void answer_fini(struct answer *a);
/* The elements of a JSON array as text, sorted and joined again: rows without an order. malloc'd. */
char *sorted_rows(const char *json);

#endif
