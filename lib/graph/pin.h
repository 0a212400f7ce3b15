/*
 * A graph's private state, and getting images. Private to lib/graph.
 */
#ifndef OG_GRAPH_PIN_H
#define OG_GRAPH_PIN_H

#include "base/map.h"
#include "graph/graph.h"
#include "graph/line.h"

#define GRAPH_DEADLINE_MS 60000u	/* of one request to og-storaged: it answers errors much sooner */

struct fetch;
struct pin_job;

struct og_graph {
	struct event_base *base;
	struct og_chan *chan;		/* NULL: og-storaged is away */
	char *uri;
	bool direct;
	struct og_ulid id;
	const uint64_t *bell;		/* the doorbell page, or NULL */
	bool bell_of_host;		/* it tells of this host's og-storaged alone */
	struct slot *slots;
	uint64_t clock;
	struct fetch *fetches;
	struct pin_job *jobs;
	struct og_line *lines;
	struct og_map mapped;		/* images of og-storaged that are mapped, by key */
	struct drop *drops;
	uint32_t claims;
	struct og_graph_stats stats;
};

int graph_unavailable(struct og_error *err);
/* og-storaged is another from now on: it has not asked for anything back. */
void pin_forget_drops(struct og_graph *g);
/* The graph goes; views may outlive it. */
void pin_fini(struct og_graph *g);
/* Ends everything that waits for images. */
void pin_fail_all(struct og_graph *g, const struct og_error *err);

#endif
