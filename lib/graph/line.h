/*
 * Lines: a branch (or one commit) as a worker holds it — the base that images exist for, and the commits above it. Private to lib/graph.
 */
#ifndef OG_GRAPH_LINE_H
#define OG_GRAPH_LINE_H

#include "graph/graph.h"

struct tail_table {
	uint32_t type;			/* index in the catalog */
	uint64_t version;
	int64_t dn;
	bool all;
	uint64_t rows;
	struct og_slice body;
};

/* One commit above the base; one allocation holds it with its bodies. */
struct tail_commit {
	uint64_t seq, version;
	struct og_ulid commit;
	uint32_t ntables;
	struct tail_table tables[];
};

struct line_layers {
	struct og_wire_layer *wire;
	uint32_t n;
	/* Direct mode: fetched files. */
	struct og_slice *maps;		/* whole mappings, to unmap */
	struct og_layer *layers;	/* the bytes inside them */
	bool *have;
};

struct og_line {
	int refs;			/* of the loop's thread alone */
	struct og_graph *graph;
	struct og_line *prev, *next;	/* all of the graph */
	struct og_catalog *catalog;
	char *name;
	struct og_ulid branch, base_commit;
	bool by_commit, reopen;
	uint64_t base_seq, base_version;
	struct og_view *base;		/* no deltas; images are pinned here */
	struct line_layers *layers;	/* direct mode, like catalog->types */
	struct tail_commit **commits;
	uint32_t ncommits, cap;
	uint32_t *touched;		/* like catalog->types: number of the first commit that touches it, or UINT32_MAX */
	uint64_t seq, bell;
	/* The newest view: `applied[t]` types have their deltas up to commit cur_n. */
	struct og_view *cur;
	uint32_t cur_n;
	bool *applied;
	struct og_snap_type *meta;	/* counts and versions after the last commit, like catalog->types */
};

/* From a GRAPH_HEAD. One reference. */
struct og_line *line_new(struct og_graph *g, const struct og_wire_head *h, struct og_error *err);
struct og_line *line_ref(struct og_line *l);
void line_unref(struct og_line *l);
/* Appends a commit (copied). A commit with segments or a new schema marks the line for reopening instead. */
int line_append(struct og_line *l, const struct og_wire_commit *c, struct og_error *err) OG_MUST_CHECK;
/* The newest state, with one reference; it keeps the line. */
struct og_snap *line_snap(struct og_line *l, struct og_error *err);
/* An image for whoever of this state needs it. */
void line_pin(struct og_line *l, struct og_img *img);
/* Gives an image up: views that queries read keep it, later ones have it not. No memory: it stays. */
void line_unpin(struct og_line *l, const struct og_img *img);
/* Marks `types` (an array of flags like catalog->types) with what `needs` touch, closed under "an edge type needs its node types". */
void line_closure(const struct og_line *l, const struct og_need *needs, size_t n, bool *types);
/* Needs plus what applying the pending commits of the marked types takes. Heap array. */
int line_needs(const struct og_line *l, uint32_t ncommits, const bool *types, const struct og_need *needs, size_t n, struct og_need **out, size_t *nout,
	       struct og_error *err) OG_MUST_CHECK;
/* The view at commit number ncommits with exactly these types applied; images for it are pinned. Borrowed. */
struct og_view *line_view(struct og_line *l, uint32_t ncommits, const bool *types, struct og_error *err);

#endif
