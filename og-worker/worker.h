/*
 * og-worker: HTTP on one side, og-storaged on the other; in between parsing, planning, execution. It holds no file, no credential and
 * opens no connection.
 *
 * main.c      start, lock-down, loop, life cycle
 * service.c   the routes' operations on the graph
 * pool.c      executor threads
 * builder.c   the same program as builder
 */
#ifndef OG_WORKER_WORKER_H
#define OG_WORKER_WORKER_H

#include "api/route.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "http/server.h"
#include "ipc/child.h"
#include "pool.h"

struct worker {
	struct og_child child;
	uint32_t held;
	struct og_chan *storaged;
	struct og_graph *graph;
	struct og_ops *ops;
	struct pool *pool;
	struct og_http_server *http;
	struct og_api api;
	struct og_api_graph api_graph;
	struct event *listen_retry, *lonely;
	bool ready_sent, draining;
};

extern const struct og_api_ops worker_api_ops;	/* graph: struct worker */

#endif
