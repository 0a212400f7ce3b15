/*
 * og-storaged's half of one graph: its log in a store, appended to by any number of processes.
 *
 * What it promises (the commit protocol): an operation that was answered "committed" is in the log for ever and in one
 * place; operations take effect one by one in the order of the log; an answer that refuses comes from a state that was
 * checked after the operation arrived; whatever was shown survives a power cut. One object is put at a time; operations that
 * arrive meanwhile share the next (group commit).
 *
 * Threads: everything happens on the thread that runs config->base. Completions and hooks are called from the loop, never
 *          from within a call of this header (so a caller may hold pointers across a call).
 * Memory:  requests and what they point at are copied, except bytes that the header says are borrowed until completion.
 * Life:    a completion may call anything here but og_journal_close of its own journal; close calls no completions.
 */
#ifndef OG_JOURNAL_JOURNAL_H
#define OG_JOURNAL_JOURNAL_H

#include "format/keys.h"
#include "journal/state.h"
#include "store/store.h"

struct og_journal;

enum og_journal_status {
	OG_JOURNAL_WRITABLE,
	OG_JOURNAL_READ_ONLY,	/* opened so, the store is, or damage was found: og_journal_reason says why */
	OG_JOURNAL_ENDED,	/* re-initialised or removed elsewhere: close and open again */
};

/* An object that has just been applied. Everything is valid during the call; og_journal_object finds it again later. */
struct og_journal_event {
	const struct og_logobj *object;	/* seq, records, bodies */
	bool ours;			/* put by this journal */
};

/* A type's rows are to be folded: layers[0..n) base up, equal content wanted in fewer layers. */
struct og_fold_job {
	uint32_t type;
	const struct og_schema_state *schema;
	const struct og_layer *top;	/* the stack: top, top->below, ... */
	uint64_t rows;			/* live ones of the stack */
	struct og_ulid not_below;	/* ids of new segments must be greater (the floor's `before`) */
	bool full;			/* optimize: whatever it costs (og_layer_keep) */
};
/* segs: the new stack, base up, already put under data/<type>/, `plain` set; n 0 with keep: leave the layers as they are. */
typedef void (*og_fold_done)(void *token, bool keep, const struct og_seg *segs, size_t n);

typedef void (*og_index_done)(void *token, const struct og_index *index, size_t n);

struct og_journal_hooks {
	/* Every object, ours or another's, in order, before any answer that shows it. May be NULL. */
	void (*applied)(void *arg, struct og_journal *j, const struct og_journal_event *ev);
	/* The status changed (og_journal_status, og_journal_reason). May be NULL. */
	void (*status)(void *arg, struct og_journal *j);
	/*
	 * Folds a stack with log bodies in it, for a checkpoint. done(token, ...) must be called exactly once, from the loop,
	 * also during this call. NULL: checkpoints name log bodies as layers.
	 */
	void (*fold)(void *arg, struct og_journal *j, const struct og_fold_job *job, og_fold_done done, void *token);
	/*
	 * What index objects (format/index.h) the checkpoint is to name: at least those known (og_state.index) that are still of use. They must be in
	 * the store by then. done(token, ...) as for fold. NULL: those known.
	 */
	void (*index)(void *arg, struct og_journal *j, const struct og_branch *main, bool full, og_index_done done, void *token);
	/*
	 * A checkpoint is in the store. `main`: the branch as it was when the folding for it began, on the layers that came of that;
	 * borrowed. Also when there was nothing to be put. May be NULL.
	 */
	void (*checkpointed)(void *arg, struct og_journal *j, const struct og_branch *main, bool full);
	/* Row count of a Parquet object, for verify: 0 or an error. NULL: not checked. */
	int (*count_rows)(void *arg, struct og_slice parquet, uint64_t *rows, struct og_error *err);
};

struct og_journal_config {
	struct event_base *base;
	struct og_store *store;		/* borrowed; outlives the journal */
	const char *prefix;		/* of the graph in the store: "" or ending in '/' */
	const char *uri;		/* of the graph, for messages */
	struct og_ulid host;		/* this process: a ULID drawn at its start */
	bool read_only;			/* writes nothing at all, not even checkpoints */
	unsigned checkpoint_tail;	/* own object that makes the tail this long starts a checkpoint; 0: 32 */
	unsigned folds_at_once;		/* stacks being folded at one time, at most; 0: 8 */
	const struct og_journal_hooks *hooks;	/* NULL: none */
	void *arg;
};

/* ---- life ---- */

typedef void (*og_journal_opened)(void *arg, struct og_journal *j, const struct og_error *err);
typedef void (*og_journal_done)(void *arg, const struct og_error *err);	/* err->code 0: done */

/*
 * Opens the graph. j NULL: OG_ERR_NOT_FOUND (no graph here), OG_ERR_UNAVAILABLE (`graph is being re-initialised; run init
 * --force again`, or a newer program is needed), OG_ERR_CORRUPT (format.json), OG_ERR_IO. A damaged log opens read-only.
 * S is confirmed as of the open. The hooks see no object that was there before.
 */
void og_journal_open(const struct og_journal_config *config, og_journal_opened cb, void *arg);
/* Drops the journal. An object in flight lands or not, as when the process dies; nothing more is called. NULL is fine. */
void og_journal_close(struct og_journal *j);

struct og_journal_genesis {
	struct og_slice schema;			/* source text */
	const struct og_type_decl *types;
	size_t ntypes;
	bool force;				/* replace a graph that is there */
};
/*
 * One put. OG_ERR_EXISTS: `graph already initialized at '<uri>'; pass --force to overwrite`. With force over a graph: an
 * `end` in its log, then the new format.json; a repetition after a crash goes on where it stopped.
 */
void og_journal_init(const struct og_journal_config *config, const struct og_journal_genesis *g, og_journal_done cb,
		     void *arg);
/* Ends the log, deletes format.json, then all else. Repeatable; a graph that is not there is OG_ERR_NOT_FOUND. */
void og_journal_remove(const struct og_journal_config *config, og_journal_done cb, void *arg);

/* ---- what is known ---- */

/* S(n) as applied now; changes only from the loop. */
const struct og_state *og_journal_state(const struct og_journal *j);
const struct og_genesis *og_journal_genesis(const struct og_journal *j);
enum og_journal_status og_journal_status(const struct og_journal *j);
const char *og_journal_reason(const struct og_journal *j);	/* "" while writable */
/*
 * A branch as it was in the checkpoint that the open began with (its seq: that of the checkpoint), if it was live there; NULL: the open began with the
 * genesis, or they were given up. The log objects since may be in memory (og_journal_object).
 */
const struct og_branch *og_journal_opened_branch(const struct og_journal *j, const struct og_ulid *id);
uint64_t og_journal_checkpoint_seq(const struct og_journal *j);	/* that an opener would start from, as far as known here */

/*
 * The shared page that every process on this host counts up when it has published something: a u64 at offset 0, read with
 * an atomic load. A value equal to the one of og_journal_bell_value means: what og_journal_state shows is all there is.
 * -1: none (S3, read-only mount, network file system): use og_journal_confirm. The descriptor is the journal's.
 */
int og_journal_bell_fd(const struct og_journal *j);
uint64_t og_journal_bell_value(const struct og_journal *j);	/* the value for which S(n) is known to be whole */

/*
 * Makes sure that S holds everything that was in the store when this was called; 0 requests when the bell has not moved, else
 * one GET shared by all that wait. err: OG_ERR_UNAVAILABLE (the store does not answer, or has kept this waiting for 30 s), OG_ERR_GONE (ended).
 */
void og_journal_confirm(struct og_journal *j, og_journal_done cb, void *arg);

/*
 * A log object still in memory: the tail since the last checkpoint and what came before it, while there was room.
 * NULL: take the layers instead. Valid until the loop runs again.
 */
const struct og_logobj *og_journal_object(const struct og_journal *j, uint64_t seq);

typedef void (*og_journal_bytes)(void *arg, struct og_slice bytes, const struct og_error *err);
/*
 * The Parquet bytes of an in-log layer, digest checked: from memory, or by one GET of their range alone. Of those 16 MiB are kept, so that the next image
 * of the type costs none. Answered from the loop.
 */
void og_journal_layer_bytes(struct og_journal *j, const struct og_layer *l, og_journal_bytes cb, void *arg);
/* The store key (prefix included) of an index object, of a segment's object, for og_store_get_fd. */
void og_journal_index_key(const struct og_journal *j, const struct og_index *x, char out[OG_STORE_KEY_MAX + 1]);
int og_journal_segment_key(const struct og_journal *j, uint32_t type, const struct og_ulid *id,
			   char out[OG_STORE_KEY_MAX + 1], struct og_error *err) OG_MUST_CHECK;

/*
 * The state that a commit names. Immediate for the head of a live branch, else from a checkpoint at or below it and the
 * log in between. The branch value's id and name are those of the line it was made on. OG_ERR_NOT_FOUND: no such commit;
 * OG_ERR_GONE (410): its rows were given up. The callee takes a reference if it wants to keep it.
 */
typedef void (*og_journal_snapshot_cb)(void *arg, const struct og_branch *state, const struct og_error *err);
void og_journal_snapshot(struct og_journal *j, const struct og_ulid *commit, og_journal_snapshot_cb cb, void *arg);
/* Loads all history chunks, so that S's commits are complete. Immediate when they are. */
void og_journal_history(struct og_journal *j, og_journal_done cb, void *arg);

/* ---- writing ---- */

enum og_commit_outcome {
	OG_COMMITTED,
	OG_CONFLICT,		/* 409 for the client: err has the manifest detail: table type in `type`, expected, actual */
	OG_REEVALUATE,		/* on a newer state; `counted`: one of at most five */
	OG_COMMIT_FAILED,	/* err: NOT_FOUND (branch), MISMATCH (expected head), CONFLICT, UNAVAILABLE, IO: nothing happened */
	OG_COMMIT_UNKNOWN,	/* deadline passed while the store had not answered (503) */
};

struct og_commit_result {
	enum og_commit_outcome outcome;
	const struct og_error *err;	/* not committed: never NULL */
	/* committed: the record as it landed, valid during the call */
	const struct og_record *record;
	uint64_t seq;
	/* OG_CONFLICT */
	uint32_t type;			/* bytewise first of the touched strict types, by table key ("edge:X" < "node:Y") */
	uint64_t expected, actual;
	bool counted;
};
typedef void (*og_commit_cb)(void *arg, const struct og_commit_result *res);

struct og_commit_table {
	uint32_t type;
	bool all, as;
	int64_t dn;
	uint64_t rows;			/* all */
	struct og_slice parquet;	/* inline delta, p NULL: none; at most OG_LOG_INLINE_MAX is wise, 48 MiB possible */
	const struct og_seg *segs;	/* already put under data/<type>/ */
	size_t nsegs;
};

struct og_commit_req {
	enum og_commit_op op;
	struct og_ulid id;		/* commit id drawn by the caller, zero: drawn here */
	struct og_ulid branch;
	struct og_ulid base;		/* commit that was evaluated on: once a head of the branch */
	bool base_confirmed;		/* S was confirmed after the client's request arrived */
	bool has_expect_head;		/* conditional write: refuse unless the head is this one */
	struct og_ulid expect_head;
	int64_t at_us;			/* 0: now */
	struct og_slice actor;		/* p NULL: null */
	const uint32_t *strict;		/* type ids */
	size_t nstrict;
	const uint32_t *scanned;
	size_t nscanned;
	const uint64_t *r, *w;		/* og_key_hash; any order */
	size_t nr, nw;
	bool all_keys;			/* conflicts on every type touched, as reader and as writer */
	const struct og_commit_table *tables;
	size_t ntables;
	const struct og_ulid *blobs;	/* new blob objects, already put */
	size_t nblobs;
	bool has_merged;
	struct og_ulid merged_branch, merged_commit;
	/* op schema: branch must be main */
	struct og_slice schema_text;	/* p NULL: none */
	const struct og_type_decl *schema_types;
	size_t nschema_types;
	const uint32_t *purge;
	size_t npurge;
	uint64_t deadline_us;		/* og_monotonic_us; 0: 30 s from now */
	og_commit_cb cb;
	void *arg;
};

/* Everything req points at is copied. Always answered, from the loop. */
void og_journal_commit(struct og_journal *j, const struct og_commit_req *req);

/*
 * Branches. The outcome is OG_COMMITTED or OG_COMMIT_FAILED (or unknown); refusals: `branch '<b>' already exists` (CONFLICT),
 * `branch '<b>' not found` (NOT_FOUND), `cannot delete branch '<b>' because descendant branch '<d>' still depends on it`
 * (CONFLICT), `cannot delete branch 'main'` (BAD). Whether a name may exist at all is the caller's check.
 */
struct og_branch_req {
	struct og_ulid id;		/* create: id of the new branch, zero: drawn here */
	struct og_ulid branch;		/* create: the source; delete: the branch */
	struct og_slice name;		/* create */
	struct og_slice actor;
	uint64_t deadline_us;
	og_commit_cb cb;
	void *arg;
};
void og_journal_branch_create(struct og_journal *j, const struct og_branch_req *req);
void og_journal_branch_delete(struct og_journal *j, const struct og_branch_req *req);

/* Id generator of this journal, for segments and commits; ids are above the floor. */
int og_journal_ulid(struct og_journal *j, struct og_ulid *out, struct og_error *err) OG_MUST_CHECK;

/* ---- upkeep ---- */

/* A checkpoint of S now (full: with every stack folded, for optimize). At the present seq already: nothing to do. */
void og_journal_checkpoint(struct og_journal *j, bool full, og_journal_done cb, void *arg);

struct og_verify_report {
	uint64_t objects, records, bodies, checkpoints, segments, bytes;
	uint64_t index;			/* index objects that the newest checkpoint names, sound ones */
	uint64_t faults;
};
/* derived: no fault of the graph, and not counted as one: what is damaged or gone is made from rows again. */
typedef void (*og_verify_fault)(void *arg, bool derived, const char *text);
typedef void (*og_verify_done)(void *arg, const struct og_verify_report *r, const struct og_error *err);
/* Walks the chain from the genesis, every precondition, checkpoints, segments and index objects; each fault is told as it is found. */
void og_journal_verify(const struct og_journal_config *config, og_verify_fault fault, og_verify_done done, void *arg);

struct og_journal_stats {
	uint64_t commits, objects_put, objects_followed, lost_rounds, readbacks, confirms, confirm_gets;
	uint64_t checkpoints, checkpoints_failed;
	uint64_t checkpoints_taken;	/* of other hosts, whose layers are used here since */
	uint64_t queued;	/* operations waiting now */
	uint64_t tail;		/* objects since the checkpoint that an opener would take */
};
void og_journal_stats(const struct og_journal *j, struct og_journal_stats *out);

#endif
