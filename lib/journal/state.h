/*
 * S(n): the state of a graph's log after object n. A pure function of objects 0 to n: no clock, no store, no event loop.
 *
 * A branch's state is an immutable, reference-counted og_branch; applying a record replaces it. So a snapshot is one
 * reference, a fork copies a few words per type, and undoing a batch puts old pointers back.
 * Layers: the rows of a type are a stack of layers, each a segment or a log body (Parquet), base first; a later layer's rows
 * replace those of equal id below it. Branches share what lies below their fork.
 *
 * Trust:   records are untrusted; every precondition is checked before anything is changed.
 * Memory:  heap; strings are interned and live as long as the state. og_branch and og_layer outlive it while referenced, but
 *          their names and schemas do not.
 * Threads: one at a time; references are not atomic and belong to the thread that owns the state.
 */
#ifndef OG_JOURNAL_STATE_H
#define OG_JOURNAL_STATE_H

#include "base/map.h"
#include "format/ckpt.h"
#include "format/genesis.h"
#include "format/logobj.h"

struct og_layer {
	unsigned refs;
	struct og_layer *below;		/* owned reference; NULL: this is the base */
	uint32_t depth;			/* layers in the stack, this one included */
	uint32_t type;
	bool in_log;
	struct og_seg seg;		/* !in_log: data/<type>/<seg.id>.parquet */
	uint64_t seq;			/* in_log: body `body` of log object seq, len bytes at off */
	uint32_t body;
	uint64_t off, len;
	struct og_sha256 sha256;
	bool checked;			/* the segment's bytes were read once and agreed with its digest; kept by who reads them */
};

struct og_table {
	uint32_t type;
	uint64_t version;
	struct og_ulid owner;		/* branch on whose line the content was last written */
	uint64_t rows;			/* live rows */
	struct og_layer *top;		/* NULL: empty from the start */
};

struct og_schema_state {
	uint64_t since;			/* seq of the object that brought it; 0: genesis */
	struct og_ulid commit;
	struct og_sha256 digest;
	struct og_slice text;
	struct og_type_decl *types;	/* by id */
	size_t ntypes;
	uint32_t *purge;
	size_t npurge;
	uint64_t version;		/* of main after that commit; 0: not known here */
};

struct og_branch {
	unsigned refs;
	struct og_ulid id;
	struct og_slice name;
	struct og_ulid from, fork;	/* of main: zero */
	bool live;
	struct og_ulid head;
	uint64_t version;
	uint64_t seq;			/* of the object that made this value of the branch */
	const struct og_schema_state *schema;	/* of the head; the state's */
	struct og_table *tables;	/* by type id: one per type of the schema */
	size_t ntables;
};

/* One commit of the log; the record of versioning's commit lists. */
struct og_commit_info {
	struct og_ulid id, parent, merged;	/* zero: none */
	struct og_ulid merged_branch;
	struct og_ulid branch;		/* on which it was made */
	uint64_t version;
	int64_t at_us;
	struct og_slice actor;		/* p NULL: null */
	enum og_commit_op op;
	uint64_t seq;
	bool schema_change;
};

/* Private to lib/journal. */
struct og_commit_index {
	uint32_t *slots;		/* position + 1, 0: free */
	size_t cap;			/* 0 or a power of two */
};

struct og_pin_state {
	struct og_ulid id, commit;
	int64_t at_us;
};

struct og_state {
	struct og_ulid graph;
	uint64_t seq;			/* n */
	struct og_sha256 digest;	/* of object n: `prev` of the next */
	uint32_t min_reader, min_writer;
	bool ended, has_next;
	struct og_ulid next;

	struct og_branch **branches;	/* live and dead, in order of creation; [0] is main */
	size_t nbranches, cap_branches;
	struct og_map by_id;		/* branch id (16 bytes) -> index */
	struct og_map by_name;		/* of live branches -> index */
	size_t nlive;

	struct og_schema_state **schemas;	/* oldest first; the last is current */
	size_t nschemas, cap_schemas;

	/* Commits in order of the log; those before the first are in history chunks. */
	struct og_commit_info *commits;
	size_t ncommits, cap_commits;
	struct og_commit_index commit_by_id;
	bool commits_complete;		/* from the genesis on */
	uint64_t hist_last;		/* commits of objects up to this one are in chunks too */

	bool has_floor;
	uint64_t floor_seq;
	struct og_ulid floor_before;
	struct og_ckpt_name *keep;
	size_t nkeep;
	struct og_pin_state *pins;
	size_t npins, cap_pins;
	uint64_t guard_seq;		/* of the last floor, pin or merge: a floor planned before it does not stand */
	struct og_ckpt_hist *hist;
	size_t nhist;
	struct og_index *index;		/* images in the store, as the last checkpoint of ours, or that we opened from, names them */
	size_t nindex;
	struct og_commit_info genesis;

	struct og_arena strings;
	struct og_map interned;
	struct og_state_undo *undo;	/* open batch; private */
};

/* S(0). */
struct og_state *og_state_from_genesis(const struct og_genesis *g, struct og_error *err);
/* S(c). OG_ERR_CORRUPT: the checkpoint contradicts itself or format.json. */
struct og_state *og_state_from_ckpt(const struct og_genesis *g, const struct og_ckpt *c, struct og_error *err);
void og_state_free(struct og_state *s);

/*
 * Applies one record on top of the open batch, or directly when none is open. `obj` is the object it stands in (its bodies'
 * places go into layers; bodies need not be present, but a schema's text must, or have come by og_schema_text).
 * OG_ERR_CORRUPT with the rule that does not hold (nothing changed), OG_ERR_NOMEM, OG_ERR_GONE: ended.
 */
int og_state_apply(struct og_state *s, const struct og_record *r, const struct og_logobj *obj, struct og_slice schema_text,
		   struct og_error *err) OG_MUST_CHECK;
/* Everything applied between begin and rollback is undone; batches do not nest. */
int og_state_begin(struct og_state *s, struct og_error *err) OG_MUST_CHECK;
void og_state_commit(struct og_state *s);
void og_state_rollback(struct og_state *s);
/*
 * A whole object: graph, seq, prev, protocol numbers, then its records, all or none. Message of a failure: `log object N: ...`
 * or `log object N record I: <rule>`; OG_ERR_CORRUPT, OG_ERR_UNSUPPORTED (a newer format), OG_ERR_NOMEM.
 */
int og_state_apply_object(struct og_state *s, const struct og_logobj *obj, struct og_error *err) OG_MUST_CHECK;

/* NULL: none such. A find by id finds dead branches too. Borrowed; ref to keep. */
const struct og_branch *og_state_branch(const struct og_state *s, const struct og_ulid *id);
const struct og_branch *og_state_branch_named(const struct og_state *s, struct og_slice name);
static inline const struct og_branch *og_state_main(const struct og_state *s)
{
	return s->branches[0];
}
const struct og_commit_info *og_state_commit_find(const struct og_state *s, const struct og_ulid *id);
/* The live branch created from b whose name is bytewise first, or NULL. */
const struct og_branch *og_state_child(const struct og_state *s, const struct og_ulid *b);
const struct og_schema_state *og_state_schema(const struct og_state *s);
/* The schema in force right after that commit. */
const struct og_schema_state *og_state_schema_at(const struct og_state *s, const struct og_commit_info *c);
/* Whether a floor has given the commit's rows up. */
bool og_state_retained(const struct og_state *s, const struct og_commit_info *c);
/*
 * First parents from the commit to the genesis (or to the oldest that is loaded), newest first, into the arena.
 */
int og_state_line(const struct og_state *s, const struct og_ulid *head, struct og_arena *a,
		  const struct og_commit_info ***out, size_t *n, struct og_error *err) OG_MUST_CHECK;
/* true iff `commit` is on the first-parent line of branch b (inherited part included). */
bool og_state_on_line(const struct og_state *s, const struct og_branch *b, const struct og_ulid *commit);
/* Puts older commits (of all chunks, oldest first) before the loaded ones, and the genesis before those. */
int og_state_prepend(struct og_state *s, const struct og_placed_record *recs, size_t n, struct og_error *err) OG_MUST_CHECK;

const struct og_table *og_branch_table(const struct og_branch *b, uint32_t type);	/* NULL: no such type */
const struct og_branch *og_branch_ref(const struct og_branch *b);
void og_branch_unref(const struct og_branch *b);	/* NULL is fine */
struct og_layer *og_layer_ref(struct og_layer *l);
void og_layer_unref(struct og_layer *l);
/* Puts a layer on `below` (whose reference is taken over, also on failure). */
struct og_layer *og_layer_segment(struct og_layer *below, uint32_t type, const struct og_seg *seg);
struct og_layer *og_layer_body(struct og_layer *below, uint32_t type, uint64_t seq, uint32_t body,
			       const struct og_log_body *place);

/* All layers are segments that only add rows: the rows of the files, one after the other, are those of the table. NULL: true. */
bool og_layer_plain(const struct og_layer *top);
/*
 * How many layers of a stack, base up, a fold should leave as they are; the depth of the stack: nothing is to be done. Those above become one.
 * What changes rows is folded into the rest once it exceeds an eighth of that; layers that only add are gathered in segments
 * of OG_LAYER_SMALL bytes and more, their sizes falling by factors of 8. `full`: as many as there can be in a stack that is plain and has at most
 * one small segment at its top; where the fold of the others turns out to change rows, none.
 */
#define OG_LAYER_SMALL (8u * OG_MIB)
uint32_t og_layer_keep(const struct og_layer *top, bool full);
uint64_t og_layer_bytes(const struct og_layer *l);	/* of this one alone */

/*
 * Replaces, in every live branch, the stack that ends in `old` by the one that ends in `with` (equal content; NULL: empty),
 * keeping what lies above. Sharing among branches is kept.
 */
int og_state_relayer(struct og_state *s, struct og_layer *old, struct og_layer *with, struct og_error *err) OG_MUST_CHECK;

/*
 * `from` is the same S(n) in other layers: takes, type by type, the stacks of all live branches over where those are less deep. On failure some of them
 * may have been: content is equal. OG_ERR_NOMEM.
 */
int og_state_take_layers(struct og_state *s, const struct og_state *from, struct og_error *err) OG_MUST_CHECK;

/* The commits of objects above `after`, as records for a history chunk or for a checkpoint's `recent`. */
int og_state_recent(const struct og_state *s, struct og_arena *a, uint64_t after, struct og_placed_record **out, size_t *n,
		    struct og_error *err) OG_MUST_CHECK;
/* Index objects in the store: take the place of those that were known. */
int og_state_set_index(struct og_state *s, const struct og_index *x, size_t n, struct og_error *err) OG_MUST_CHECK;
/* A chunk is in the store; it takes the place of the last `merged` ones. */
int og_state_add_hist(struct og_state *s, const struct og_ckpt_hist *h, size_t merged, struct og_error *err) OG_MUST_CHECK;
/* S(n) as a checkpoint, everything in the arena; states: all live heads, then `more`. c->object, host, at are the caller's. */
int og_state_to_ckpt(const struct og_state *s, struct og_arena *a, const struct og_branch *const *more, size_t nmore,
		     struct og_ckpt *c, struct og_error *err) OG_MUST_CHECK;

#endif
