/*
 * A graph in a directory or a bucket: a private og-storaged on it, and the same operations as in a server, run one at a time.
 *
 * og-storaged runs in a process group of its own with an empty environment; started by root it takes on the ids of the directory's
 * owner. It leaves when our channels close, however we end; direct_close waits for it.
 * Threads: one; every call that waits runs the event loop.
 */
#ifndef OG_CLI_DIRECT_H
#define OG_CLI_DIRECT_H

#include <sys/types.h>

#include "graph/op.h"
#include "ipc/child.h"

struct direct {
	struct event_base *base;
	pid_t pid;			/* 0: none */
	struct og_chan *control, *chan;
	pid_t builder_pid;		/* 0: none */
	struct og_chan *builder;	/* its control channel */
	struct og_graph *graph;
	struct og_ops *ops;
	struct og_runner runner;
	bool ready, lost;
	struct og_error fault;		/* when lost */
};

enum direct_mode {
	DIRECT_OPEN,	/* the graph must be there */
	DIRECT_CREATE,	/* the directory must be there; a graph may be */
};

/* path: normalised, or an s3:// URI; uri: as shown; secrets_fd: or -1, a duplicate goes to og-storaged. On failure everything is undone. */
int direct_open(struct direct *d, const char *path, const char *uri, int secrets_fd, enum direct_mode mode, struct og_error *err) OG_MUST_CHECK;
void direct_close(struct direct *d);	/* accepts {0} and twice */
/* Runs the loop until *done. Requests that wait when og-storaged is lost end with an error by themselves. */
int direct_wait(struct direct *d, bool *done, struct og_error *err) OG_MUST_CHECK;
/* The same until any of the n flags is set. */
int direct_wait_any(struct direct *d, bool *const *flags, size_t n, struct og_error *err) OG_MUST_CHECK;
/*
 * Starts a builder for og-storaged, for what it cannot do without: og-worker in its sandbox, under the service's user where root starts it. It ends
 * with the rest; if it does so earlier, requests end with that error.
 */
int direct_builder(struct direct *d, struct og_error *err) OG_MUST_CHECK;
/* Asks og-storaged something whose answer is a REPORT; its text is appended to `text`. */
int direct_report(struct direct *d, enum og_ipc_type type, const struct og_buf *body, struct og_buf *text, struct og_error *err) OG_MUST_CHECK;
/* The state of a branch, with one reference for the caller. */
int direct_state(struct direct *d, const char *branch, struct og_snap **snap, struct og_error *err) OG_MUST_CHECK;

#endif
