/*
 * A small graph for tests of loads: the layers of each type, as commits left them, and a view on them with everything pinned. The test fails where
 * something of this fails.
 */
#ifndef OG_T_UNIT_LOAD_GRAPH_H
#define OG_T_UNIT_LOAD_GRAPH_H

#include "image/local.h"
#include "load/check.h"
#include "load/export.h"

#define GRAPH_TYPES 8
#define GRAPH_LAYERS 128

struct graph {
	struct og_catalog *catalog;
	struct og_layer layers[GRAPH_TYPES][GRAPH_LAYERS];
	size_t nlayers[GRAPH_TYPES];
	struct og_view *view;
};

void graph_init(struct graph *g);
void graph_init_with(struct graph *g, const char *schema);
void graph_fini(struct graph *g);
uint32_t graph_type(const struct graph *g, const char *table_key);
uint64_t graph_rows(const struct graph *g, const char *table_key);
void graph_add_layer(struct graph *g, uint32_t type, struct og_slice parquet);
void graph_drop_layers(struct graph *g, uint32_t type);
/* A new view on the layers as they are. */
void graph_open(struct graph *g);
/* JSON lines of one table, or of all (NULL). malloc'd. */
char *graph_export(const struct graph *g, const char *table_key);

#endif
