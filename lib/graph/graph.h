/*
 * A worker's (or og-cli's) half of a graph: which state a request sees, the images it needs, and its commits.
 *
 * Reading:  og_graph_state gives a state of a branch (or the state that a commit names) that holds everything acknowledged before the
 *           call (OG_LOOK_NEW); og_graph_pin adds the images that a plan needs. A state's view never changes; hold a reference for as long as a query runs.
 * Freshness: in a directory every process counts a shared page up after each commit (the doorbell); while it stands still the state at hand is
 *           the newest, and asking costs one load from memory. Without a doorbell every call joins or makes one look by og-storaged, which
 *           costs a request to the store, or none where an older state will do (enum og_look).
 * Overlay:  commits since the images were built are applied to a view when a query first needs one of their types.
 * Images:   a worker gets them from og-storaged; in direct mode the process fetches the layers and builds them itself.
 *           Where there is none og-storaged has a page of its own, which says what this host shows: OG_LOOK_HOST then costs no message.
 * Loss:     while og-storaged is away, what is at hand and newest (the doorbell stands still) is read on; all else ends with OG_ERR_UNAVAILABLE.
 *           og_graph_attach goes on with a new channel.
 *
 * Threads: the loop's thread; views may be read anywhere. Callbacks come from the loop or, when everything is at hand, from within the call.
 */
#ifndef OG_GRAPH_GRAPH_H
#define OG_GRAPH_GRAPH_H

#include <event2/event.h>

#include "engine/mutate.h"
#include "image/view.h"
#include "ipc/chan.h"
#include "ipc/wire.h"

struct og_graph;

struct og_snap_type {
	uint64_t rows, table_version;
	struct og_ulid owner;		/* branch that owns the content */
};

/* One state of one branch. Counted; the view in it has no images but those pinned so far. */
struct og_snap {
	int refs;
	struct og_graph *graph;
	struct og_catalog *catalog;
	struct og_slice branch_name;
	struct og_ulid branch, commit;
	bool by_commit;			/* opened by commit id: its state never moves */
	uint64_t seq, version;
	uint32_t ntypes;
	struct og_snap_type *types;	/* like catalog->types */
	struct og_line *line;		/* private: where the images and deltas come from */
	uint32_t ncommits;		/* private: commits of the line's tail that belong to this state */
};

struct og_graph_cfg {
	struct event_base *base;
	const char *uri;		/* as echoed to clients; copied */
	bool direct;			/* build images here */
};

/* chan may be NULL: unavailable until og_graph_attach. */
struct og_graph *og_graph_new(const struct og_graph_cfg *cfg, struct og_error *err);
void og_graph_free(struct og_graph *g);
void og_graph_attach(struct og_graph *g, struct og_chan *chan);
/* The channel is gone (freed, or in its closed()), so its open requests have had their end: everything that waits ends with OG_ERR_UNAVAILABLE. */
void og_graph_detach(struct og_graph *g);
const char *og_graph_uri(const struct og_graph *g);
/* Of an open branch main, or zero. */
struct og_ulid og_graph_id(const struct og_graph *g);

/* Handlers for the owner's rule table: HEAD_MOVED, BELL, IMAGE_DROP. */
int og_graph_on_head_moved(struct og_graph *g, struct og_ipc_msg *m, struct og_error *err);
int og_graph_on_bell(struct og_graph *g, struct og_ipc_msg *m, struct og_error *err);
int og_graph_on_image_drop(struct og_graph *g, struct og_ipc_msg *m, struct og_error *err);

/* err->code 0: snap is valid and borrowed (og_snap_ref to keep). Errors: NOT_FOUND (branch, commit), GONE, UNAVAILABLE. */
typedef void (*og_snap_cb)(void *arg, struct og_snap *snap, const struct og_error *err);
/*
 * Whether an error says something about the graph. Then it must come from the newest state before a client is told, while a commit needs none: its put is
 * its own look. Lack of memory, of time, of an answer says nothing.
 */
static inline bool og_graph_refusal(int code)
{
	switch (code) {
	case OG_ERR_NOMEM:
	case OG_ERR_UNAVAILABLE:
	case OG_ERR_UNKNOWN:
	case OG_ERR_CANCELLED:
	case OG_ERR_TIMEOUT:
	case OG_ERR_PEER:
		return false;
	}
	return true;
}
/* The least look that costs no more than `wanted`: with a doorbell the newest state is as cheap as any. */
enum og_look og_graph_look(const struct og_graph *g, enum og_look wanted);
/* branch p NULL or "main"; commit p NULL: the head. */
void og_graph_state(struct og_graph *g, enum og_look look, struct og_slice branch, struct og_slice commit, og_snap_cb cb, void *arg);
struct og_snap *og_snap_ref(struct og_snap *s);
void og_snap_unref(struct og_snap *s);

/* The view of that state with these images pinned; borrowed (og_view_ref). OG_ERR_GONE inside means: take the state again. */
typedef void (*og_view_cb)(void *arg, struct og_view *v, const struct og_error *err);
void og_graph_pin(struct og_snap *s, const struct og_need *needs, size_t n, og_view_cb cb, void *arg);

/* Commits. */
enum og_write_outcome { OG_WRITE_DONE, OG_WRITE_AGAIN, OG_WRITE_FAILED };
struct og_write_result {
	enum og_write_outcome outcome;
	bool counted;			/* AGAIN: one of at most five */
	const struct og_wire_commit *commit; /* DONE; valid during the call */
	const struct og_error *err;	/* AGAIN and FAILED */
};
typedef void (*og_write_cb)(void *arg, const struct og_write_result *r);
/* Sends what was evaluated on `s`; actor p NULL: none. The table entries of req are the caller's, and whether `s` came by
 * OG_LOOK_NEW (confirmed); branch and base are filled in here. */
void og_graph_commit(struct og_snap *s, struct og_wire_commit_req *req, og_write_cb cb, void *arg);
/* Turns a write set into table entries and key lists of a request, bodies encoded into `bodies` (one buffer each, freed by the caller). */
int og_graph_writeset_req(const struct og_writeset *w, struct og_arena *a, struct og_wire_commit_req *req, struct og_buf **bodies, size_t *nbodies,
			  struct og_error *err) OG_MUST_CHECK;

/* Puts rows of a type as a segment; nothing refers to it before a commit. */
typedef void (*og_segment_cb)(void *arg, const struct og_wire_segment *seg, const struct og_error *err);
void og_graph_segment_put(struct og_graph *g, uint32_t type_id, uint64_t rows, struct og_slice parquet, og_segment_cb cb, void *arg);

struct og_graph_stats {
	uint64_t images, image_bytes, delta_rows, opens, catchups;
};
void og_graph_stats(const struct og_graph *g, struct og_graph_stats *out);

#endif
