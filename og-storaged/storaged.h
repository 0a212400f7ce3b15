/*
 * og-storaged: the only process that touches the store. It holds the graph's journal, hands out states, images and layers, and
 * takes commits.
 *
 * main.c     start, lock-down, loop
 * open.c     the store by its URI
 * peer.c     channels, who may ask what
 * head.c     states: the base of a branch (what images are made of), commits above it, pushes
 * bell.c     the pages that tell workers whether there is anything new
 * write.c    commits, segments, init, maintenance
 * segments.c segments of the store, by way of the host's cache
 * images.c   the cache of images, what goes when it is too much (room.c: the sums)
 * asks.c     requests for images
 * job.c      the builder's jobs: inputs, outputs, folding
 * index.c    images in the store, so that a process which starts finds them
 * delta.c    the Delta Lake log of each type, after checkpoints
 *
 * Threads: one, but for the I/O threads of the store.
 */
#ifndef OG_STORAGED_STORAGED_H
#define OG_STORAGED_STORAGED_H

#include "base/map.h"
#include "ipc/chan.h"
#include "ipc/child.h"
#include "ipc/wire.h"
#include "journal/journal.h"
#include "proc/lock.h"
#include "room.h"
#include "store/cache.h"
#include "store/store.h"

struct storaged;
struct job;

enum { IMG_IDS = 1, IMG_IDX = 2, IMG_COL = 3, IMG_ADJ = 4 };	/* image numbers, as builder and workers know them */

struct peer {
	struct storaged *sd;
	uint64_t id;			/* never given twice: what waits for an answer names its peer by it */
	struct og_chan *chan;
	enum og_role role;
	uint32_t index;
	bool bell_sent;
	uint64_t told_seq;		/* pushes up to here were sent */
	unsigned drops;			/* open IMAGE_DROPs */
	struct peer *next;
};

/* What images of a type are made of: a stack of layers under the name of its content key. */
struct content {
	struct og_hash128 key;
	uint32_t type_id;
	char kind;			/* 'n', 'e' */
	uint64_t rows;
	struct og_layer *top;		/* counted */
	const struct og_schema_state *schema;
	unsigned bases;			/* of live branches that consist of it: kept */
	uint64_t used;
	struct content *next;
};

/* The base of a live branch. */
struct base {
	struct og_ulid branch;
	const struct og_branch *state;	/* counted */
	struct og_hash128 *keys;	/* like state->tables */
	struct content **contents;	/* the same, held; NULL: the state of a commit, which nobody moves on from */
	uint64_t delta_rows, delta_bytes, delta_commits;	/* since */
	struct base *next;
};

/* A commit above the bases, encoded as it is sent. */
struct recent {
	uint64_t seq, order;		/* order: among those of one object */
	struct og_ulid branch;
	size_t len;
	char bytes[];
};

struct image {
	struct room_item item;		/* first: room.c's pointer is ours */
	struct og_wire_image key;
	struct og_buf key_bytes;	/* the map's key */
	int fd;				/* -1: not here */
	bool building;			/* a job makes it, or it comes from the store */
	bool kept;			/* it lies in the store, or putting it there came to nothing */
	struct og_hash128 hash;		/* of its bytes */
	struct image *next;
};

struct storaged {
	struct og_child child;
	uint32_t held;
	struct og_store *store;
	struct og_cache *cache;		/* as long as there is a store */
	struct og_journal *journal;
	struct og_ulid host;
	struct og_ulid_gen ids;
	char *uri, *path;
	struct og_lock_path paths[24];	/* what Landlock leaves */
	size_t npaths;
	char *path_texts[8];
	size_t npath_texts;
	bool direct, stopping, ready_sent;
	bool opening;
	bool asked_before;		/* direct mode: the first question came, as far as its asker is concerned, before the graph was opened */
	struct og_error open_error;	/* why there is no journal */
	struct opener *openers;		/* requests that wait for it */
	struct peer *peers;
	uint64_t next_peer;
	struct base *bases;
	struct content *contents;
	size_t ncontents;
	uint64_t clock;
	struct recent **recents;
	size_t nrecents, cap_recents;
	struct event *flush;		/* pushes that wait for the bell */
	uint64_t *page;			/* what this host shows, where there is no shared doorbell; or NULL */
	int page_fd;
	uint64_t epoch;			/* of graphs opened here, one after the other */
	uint64_t pushed_seq;
	struct og_buf push;		/* what was applied since, up to push_seq, while some peers have been told and some not */
	uint64_t push_seq;		/* 0: there is none */
	uint64_t looked_us, opened_us;	/* CLOCK_BOOTTIME: what the store held then is in the state; when opening began */
	uint64_t max_staleness_us, poll_us;
	struct event *poll;
	struct og_map images;
	struct image *image_list;
	struct room room;
	struct og_map sizes;		/* what images of a type took, by what they are */
	uint64_t evicted;
	struct claim *claims;		/* queries that ask for images, oldest first */
	struct ask *asks;		/* in the order of their claims */
	uint64_t blocked_order, turn_ms;	/* claim whose turn it was without room; since */
	uint64_t blocked_ms, blocked_evicted;	/* since when nothing happened; images gone until then */
	uint64_t forced_order;		/* claim that may go beyond the budget */
	struct event *room_timer;
	struct job *jobs;
	uint32_t next_job;
	uint64_t next_send;
	uint64_t blamed_builder;	/* peer id of one whose death was blamed on a job */
	unsigned jobs_sent;
	bool jobs_running, jobs_again;
	struct event *jobs_retry, *leave;
	struct og_error fold_error;	/* the first failure of a fold since it was cleared */
	struct indexing *indexing;	/* index.c: a checkpoint waits for it */
	struct event *index_timer, *idle_timer;
	uint64_t idle_us, idle_since_us, idle_rest_us, idle_seq;	/* so long; CLOCK_MONOTONIC: no object since, no renewal before; the object */
	bool last_is_ours;		/* the newest object was put by us, or was there before us */
	struct og_ulid index_bad[64];	/* objects that were not what their checkpoint says, or gone; the newest */
	unsigned nindex_bad;
	struct og_index *index_dropped;	/* named by the last checkpoint, and not by the one that is being made */
	size_t nindex_dropped;
	uint64_t index_gets, index_puts;	/* images from the store, into it */
	struct delta *delta;		/* delta.c */
	uint64_t delta_puts;		/* requests of its own among the store's puts if absent */
	struct optimize *optimize;	/* write.c: one under way */
};

/* open.c */
bool store_is_s3(const struct storaged *sd);
/* Before the paths are fixed: sd->paths, and a bucket's client. Then after it: a directory with its threads. */
int store_prepare(struct storaged *sd, struct og_error *err);
int store_lock_ports(struct storaged *sd, struct og_error *err);
int store_open(struct storaged *sd, struct og_error *err);

/* peer.c */
int peer_add(struct storaged *sd, struct og_child_peer *p, struct og_error *err);
void peers_free(struct storaged *sd);
void peer_close(struct peer *p);		/* it has done what it must not; frees it */
struct peer *peer_builder(struct storaged *sd);	/* NULL: none is connected */
struct peer *peer_find(struct storaged *sd, uint64_t id);	/* NULL: it has gone */

/* head.c */
int on_graph_open(void *arg, struct og_ipc_msg *m, struct og_error *err);
int on_catch_up(void *arg, struct og_ipc_msg *m, struct og_error *err);
void graph_open(struct storaged *sd);
void graph_opened_hook(void *arg, struct og_journal *j, const struct og_journal_event *ev);
void graph_flush(struct storaged *sd);		/* sends what was applied to all peers */
void graph_tell(struct storaged *sd, struct peer *p);	/* ... to this one; the others wait for the loop */
void graph_close(struct storaged *sd);
const struct base *base_of(const struct storaged *sd, const struct og_ulid *branch);	/* NULL: nobody reads it */
void base_renew_main(struct storaged *sd);	/* readers of main move on to its present state */
struct content *content_find(struct storaged *sd, uint32_t type_id, const struct og_hash128 *key);
/* Registers (or finds) the content of a table. NULL: no memory. */
struct content *content_of(struct storaged *sd, const struct og_table *t, const struct og_schema_state *schema);
struct og_hash128 content_key(const struct og_table *t);
extern const struct og_journal_hooks storaged_hooks;
struct og_journal_config storaged_config(struct storaged *sd);

/* bell.c */
void bell_opened(struct storaged *sd);		/* there is a journal: all peers get the bell's descriptor */
void bell_publish(struct storaged *sd);		/* after each object, before anybody is told of it */
uint64_t bell_value(const struct storaged *sd);	/* that belongs to the journal's present state */
void bell_free(struct storaged *sd);
void peer_send_bell(struct peer *p);

/* write.c */
int on_commit(void *arg, struct og_ipc_msg *m, struct og_error *err);
int on_segment_put(void *arg, struct og_ipc_msg *m, struct og_error *err);
int on_segment_get(void *arg, struct og_ipc_msg *m, struct og_error *err);
int on_graph_init(void *arg, struct og_ipc_msg *m, struct og_error *err);
int on_maintain(void *arg, struct og_ipc_msg *m, struct og_error *err);
/* The hook of the journal. */
void on_checkpoint(void *arg, struct og_journal *j, const struct og_branch *main, bool full);
void optimize_go(struct storaged *sd);	/* one that waited for the builder */
int sd_no_journal(struct storaged *sd, struct og_error *err);	/* the reason, or 0 when there is a journal */

/* segments.c */
/* The folder of the cache, made when missing; NULL: there is to be none. For Landlock. */
const char *segments_folder(struct storaged *sd);
int segments_open(struct storaged *sd, struct og_error *err);	/* after the store */
int segment_get(struct storaged *sd, uint32_t type, const struct og_seg *seg, og_cache_cb cb, void *arg, struct og_error *err);
/* What was put into the store from this descriptor, or from these bytes, which must live until done. */
void segment_keep(struct storaged *sd, const struct og_seg *seg, int fd);
void segment_keep_bytes(struct storaged *sd, const struct og_sha256 *sha256, struct og_slice bytes, void (*done)(void *arg), void *arg);

/* images.c */
void images_init(struct storaged *sd);		/* the budget, from the settings */
void images_free(struct storaged *sd);
struct image *image_find(struct storaged *sd, const struct og_wire_image *k);
/* Found or made, not here and not asked of the builder. NULL: no memory. */
struct image *image_note(struct storaged *sd, const struct og_wire_image *k, struct og_error *err);
/* Forgets those that are not here, not on their way and not asked for. */
void images_sweep(struct storaged *sd);
/* Asks the store or the builder for it, unless it is here or on its way. */
int image_build(struct storaged *sd, struct image *i, struct og_error *err);
/* Both; room is not asked about. NULL: it cannot be. */
struct image *image_want(struct storaged *sd, const struct og_wire_image *k, struct og_error *err);
uint64_t image_size(struct storaged *sd, const struct og_wire_image *k);	/* bytes, about */
/* Bytes, about, that building it will take: itself and, for edges, what is missing of the nodes. */
uint64_t image_cost(struct storaged *sd, const struct og_wire_image *k);
/* The builder's answers. fd is taken over. */
void image_built(struct storaged *sd, const struct og_wire_image *k, int fd, uint64_t bytes, const struct og_hash128 *hash);
void image_failed(struct storaged *sd, const struct og_wire_image *k, const struct og_error *err);
/* No live branch consists of it any more: its images go first. */
void images_stale(struct storaged *sd, const struct content *c);
/* Builds for the new contents what exists for the old ones, as far as there is room. */
void images_prebuild(struct storaged *sd, const struct base *old, const struct base *new);

/* asks.c */
int on_image_get(void *arg, struct og_ipc_msg *m, struct og_error *err);
int on_image_done(void *arg, struct og_ipc_msg *m, struct og_error *err);
void asks_free(struct storaged *sd);
bool asks_for(const struct storaged *sd, const struct image *i);
/* The claim whose turn it is, if it is of this worker; else 0. */
uint32_t asks_turn(const struct storaged *sd, const struct peer *p);
/* This worker is asked for an image: its claims may lose it, but for the one whose turn it is. */
void asks_lose(struct storaged *sd, const struct peer *p);
void asks_answer(struct storaged *sd, struct image *i);	/* it is here */
void asks_fail(struct storaged *sd, const struct image *i, const struct og_error *err);
void asks_forget_peer(struct storaged *sd, const struct peer *p);
/* Goes on with what now can. */
void asks_admit(struct storaged *sd);
void room_soon(struct storaged *sd, unsigned ms);	/* ... from the loop */

/* job.c */
int job_add(struct storaged *sd, const struct og_wire_image *want, struct og_error *err);
void jobs_run(struct storaged *sd);
/* Whether a job waits for this image or reads it: giving it up would have it built for ever, or free nothing. */
bool jobs_need(const struct storaged *sd, const struct og_wire_image *k);
void jobs_free(struct storaged *sd);
/*
 * Has the builder describe a type and these segments of it: `about` is a struct og_wire_about of one file for each, undecoded; err->code < 0: there is none.
 * Answered from the loop, or during this call without memory; never when everything ends.
 */
typedef void job_described(void *arg, struct og_slice about, const struct og_error *err);
void job_describe(struct storaged *sd, uint32_t type, const struct og_schema_state *schema, struct og_layer *const *segs, uint32_t n,
		  job_described *done, void *arg);
void job_fold(void *arg, struct og_journal *j, const struct og_fold_job *fold, og_fold_done done, void *token);

/* index.c */
const struct og_index *index_find(struct storaged *sd, const struct og_wire_image *k);	/* NULL: not in the store */
/* Gets it from there: image_built, or else the builder's job. false: it does not lie there. */
bool index_fetch(struct storaged *sd, const struct image *i);
int index_start(struct storaged *sd, struct og_error *err);	/* there is a journal */
/* The builder made it: once nothing more comes it may be kept in the store. */
void index_soon(struct storaged *sd);
/* The hook. */
void index_keep(void *arg, struct og_journal *j, const struct og_branch *main, bool full, og_index_done done, void *token);
/* The checkpoint is in the store. */
void index_drop(struct storaged *sd);
void index_free(struct storaged *sd);

/* delta.c */
int delta_new(struct storaged *sd, struct og_error *err);
void delta_free(struct storaged *sd);
/* told: why types are not shown as they are, each text with a NUL behind it. */
typedef void delta_done(struct storaged *sd, const struct og_buf *told);
/* The hook: a checkpoint's state of main is to be shown. `done` (may be NULL) is called once all types have been looked at. */
void delta_show(struct storaged *sd, const struct og_branch *main, bool now, delta_done *done);
/* What the builder said of a segment that it made. */
void delta_learn(struct storaged *sd, uint32_t type, const struct og_schema_state *schema, const struct og_ulid *seg, struct og_slice about);
/* Whether a stack that could stay as it is should rather be folded wholly, so that the log can show it. */
bool delta_rewrite(struct storaged *sd, const struct og_layer *top);

#endif
