/*
 * Bodies of the messages about graphs: what og-storaged, workers, builder and operator say to each other, as structs with an
 * encoder and a bounds-checked decoder each. Layout: base/codec.h fields in the order of the struct.
 *
 * Trust:   decoders believe nothing: counts are bounded by what is left, enums are checked; whoever acts on an id checks that it names something.
 * Memory:  decoded slices point into the message; arrays are in the caller's arena. Threads: pure functions.
 */
#ifndef OG_IPC_WIRE_H
#define OG_IPC_WIRE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/digest.h"
#include "base/ulid.h"

/* FAILED: any refusal, as an og_error that reaches the user unchanged. */
void og_wire_put_error(struct og_buf *b, const struct og_error *e);
int og_wire_get_error(struct og_slice body, struct og_error *out, struct og_error *err) OG_MUST_CHECK;

/* How new a state must be, seen from the request. A doorbell that stands still shows that the state at hand is the newest: then nobody asks. */
enum og_look {
	OG_LOOK_HOST,		/* all that this host has acknowledged or shown; costs no request */
	OG_LOOK_RECENT,		/* and what the store held max_staleness_ms ago, or now if that is 0: for reads */
	OG_LOOK_NEW,		/* and all that any host has acknowledged so far: one look that all who wait share */
};

/* BELL: a byte, and the page: whom its value tells of. While it is the value that came with a state, that state is their newest. */
enum og_bell {
	OG_BELL_ALL,		/* every process that uses the store: all looks are free */
	OG_BELL_HOST,		/* this og-storaged: OG_LOOK_HOST is free */
};

/* GRAPH_OPEN: which state. */
struct og_wire_open {
	struct og_slice branch;		/* name; "main" */
	struct og_slice commit;		/* 26 characters, or empty: the head */
	enum og_look look;
	bool want_layers;		/* operator: send the layers of every type */
};
void og_wire_put_open(struct og_buf *b, const struct og_wire_open *o);
int og_wire_get_open(struct og_slice body, struct og_wire_open *o, struct og_error *err) OG_MUST_CHECK;

/* One table of a commit. */
struct og_wire_table {
	uint32_t type_id;
	uint64_t table_version;		/* after the commit */
	int64_t dn;			/* change of the row count */
	bool all;			/* content replaced: rows = the whole count */
	uint64_t rows;
	bool segments;			/* rows lie in segments: not applicable as a delta, a reader opens again */
	struct og_slice body;		/* Parquet delta; empty when segments */
};

/* One commit on one branch. */
struct og_wire_commit {
	uint64_t seq;
	struct og_ulid branch, commit, parent, merged;
	uint64_t version;
	int64_t at_us;
	struct og_slice actor;		/* p NULL: none */
	bool schema;			/* the schema changed: a reader opens again */
	struct og_wire_table *tables;
	uint32_t ntables;
};
void og_wire_put_commit(struct og_buf *b, const struct og_wire_commit *c);
int og_wire_read_commit(struct og_reader *r, struct og_arena *a, struct og_wire_commit *c, struct og_error *err) OG_MUST_CHECK;

/* A layer of a type's rows. */
struct og_wire_layer {
	enum { OG_LAYER_SEGMENT = 0, OG_LAYER_BODY = 1 } kind;
	struct og_ulid segment;
	uint64_t seq;			/* OG_LAYER_BODY: log object and body index */
	uint32_t body;
	uint64_t rows, bytes;
};

struct og_wire_type {
	uint32_t type_id;
	uint8_t kind;			/* enum og_type_kind */
	struct og_slice name;
	struct og_hash128 content;	/* of the base */
	uint64_t base_rows;		/* rows of the images */
	uint64_t table_version;		/* at the base */
	struct og_ulid owner;		/* branch that owns the content */
	struct og_wire_layer *layers;	/* base up; only with want_layers */
	uint32_t nlayers;
};

/* GRAPH_HEAD: the base of a branch (what images exist for), and the commits above it. */
struct og_wire_head {
	struct og_ulid graph, branch, base_commit;
	struct og_slice branch_name;
	uint64_t base_seq, base_version;
	uint64_t seq;			/* the state is complete up to here */
	uint64_t bell;			/* doorbell value as of which it was confirmed; 0: none */
	struct og_slice schema;		/* source text */
	struct og_wire_type *types;
	uint32_t ntypes;
	struct og_wire_commit *tail;	/* of this branch, ascending */
	uint32_t ntail;
};
void og_wire_put_head(struct og_buf *b, const struct og_wire_head *h);
int og_wire_get_head(struct og_slice body, struct og_arena *a, struct og_wire_head *h, struct og_error *err) OG_MUST_CHECK;

/* CATCH_UP */
struct og_wire_catchup {
	struct og_ulid branch;
	uint64_t base_seq;		/* of the base that the asker stands on */
	uint64_t seq;			/* what it has */
	enum og_look look;
};
void og_wire_put_catchup(struct og_buf *b, const struct og_wire_catchup *c);
int og_wire_get_catchup(struct og_slice body, struct og_wire_catchup *c, struct og_error *err) OG_MUST_CHECK;

/* TAIL, and HEAD_MOVED (a push with at most one commit; prev_seq = position before it). */
struct og_wire_tail {
	struct og_ulid branch;
	uint64_t prev_seq, seq, bell;
	bool reopen;			/* there is a new base (or schema): GRAPH_OPEN again; no commits follow */
	struct og_wire_commit *commits;
	uint32_t ncommits;
};
void og_wire_put_tail(struct og_buf *b, const struct og_wire_tail *t);
int og_wire_get_tail(struct og_slice body, struct og_arena *a, struct og_wire_tail *t, struct og_error *err) OG_MUST_CHECK;

/* The body of IMAGE (descriptor: the image). Fields as struct og_img_key. */
struct og_wire_image {
	uint32_t type_id;
	uint8_t what;
	uint32_t prop_id, part;
	struct og_hash128 content, src, dst;
};
void og_wire_put_image(struct og_buf *b, const struct og_wire_image *k);
void og_wire_read_image(struct og_reader *r, struct og_wire_image *k);
int og_wire_get_image(struct og_slice body, struct og_wire_image *k, struct og_error *err) OG_MUST_CHECK;

/* IMAGE_GET: for which query of the worker (numbers are its own, 0 is none); IMAGE_DROP: the query that still waits for images and must not lose this one. */
struct og_wire_claim {
	struct og_wire_image image;
	uint32_t claim;
};
void og_wire_put_claim(struct og_buf *b, const struct og_wire_claim *c);
int og_wire_get_claim(struct og_slice body, struct og_wire_claim *c, struct og_error *err) OG_MUST_CHECK;

/* A segment that a commit refers to; the answer SEGMENT to a SEGMENT_PUT. */
struct og_wire_segment {
	struct og_ulid id;
	uint64_t rows, bytes;
	uint8_t sha256[32];
};
void og_wire_put_segment(struct og_buf *b, const struct og_wire_segment *s);
void og_wire_read_segment(struct og_reader *r, struct og_wire_segment *s);

/* SEGMENT_PUT: the file follows as the last field. */
struct og_wire_segput {
	uint32_t type_id;
	uint64_t rows;
	struct og_slice parquet;
};
void og_wire_put_segput(struct og_buf *b, const struct og_wire_segput *s);
int og_wire_get_segput(struct og_slice body, struct og_wire_segput *s, struct og_error *err) OG_MUST_CHECK;

/* SEGMENT_GET: a layer of a type -> SEGMENT_FD {offset u64, length u64} with a descriptor. */
struct og_wire_segget {
	uint32_t type_id;
	struct og_wire_layer layer;
};
void og_wire_put_segget(struct og_buf *b, const struct og_wire_segget *s);
int og_wire_get_segget(struct og_slice body, struct og_wire_segget *s, struct og_error *err) OG_MUST_CHECK;

/* COMMIT */
enum og_wire_op { OG_WIRE_MUTATE = 1, OG_WIRE_LOAD = 2, OG_WIRE_MERGE = 3, OG_WIRE_SCHEMA = 4, OG_WIRE_REPAIR = 5 };

struct og_wire_write {
	uint32_t type_id;
	int64_t dn;
	bool all;
	uint64_t rows;			/* with all */
	struct og_slice body;		/* inline delta; empty when segments are given */
	struct og_wire_segment *segs;
	uint32_t nsegs;
};

struct og_wire_commit_req {
	struct og_ulid branch, base_commit;
	uint64_t base_seq;
	bool confirmed;			/* the base was confirmed after the request arrived */
	uint8_t op;			/* enum og_wire_op */
	struct og_slice actor;		/* p NULL: none */
	uint32_t deadline_ms;		/* 0: none */
	const uint32_t *strict, *scanned; /* type ids */
	uint32_t nstrict, nscanned;
	const uint64_t *reads, *writes;	/* sorted key hashes */
	uint32_t nreads, nwrites;
	bool all_keys;
	struct og_wire_write *tables;
	uint32_t ntables;
};
void og_wire_put_commit_req(struct og_buf *b, const struct og_wire_commit_req *c);
int og_wire_get_commit_req(struct og_slice body, struct og_arena *a, struct og_wire_commit_req *c, struct og_error *err) OG_MUST_CHECK;

/* COMMITTED: the commit (without bodies) and the doorbell's value behind it. */
int og_wire_get_committed(struct og_slice body, struct og_arena *a, struct og_wire_commit *c, uint64_t *bell, struct og_error *err) OG_MUST_CHECK;
void og_wire_put_committed(struct og_buf *b, const struct og_wire_commit *c, uint64_t bell);

/* CONFLICT: the write lost a race. */
struct og_wire_conflict {
	bool reevaluate;		/* on a newer state; else it is the client's 409 */
	bool counted;			/* one of at most five re-evaluations */
	uint32_t type_id;
	uint64_t expected, actual;	/* table versions */
	struct og_slice message;
};
void og_wire_put_conflict(struct og_buf *b, const struct og_wire_conflict *c);
int og_wire_get_conflict(struct og_slice body, struct og_wire_conflict *c, struct og_error *err) OG_MUST_CHECK;

/* GRAPH_INIT (operator): a new graph, or with force a new one over an old. */
struct og_wire_init {
	struct og_slice schema;
	struct og_wire_type *types;	/* id assignment: type_id, kind, name */
	uint32_t ntypes;
	bool force;
};
void og_wire_put_init(struct og_buf *b, const struct og_wire_init *i);
int og_wire_get_init(struct og_slice body, struct og_arena *a, struct og_wire_init *i, struct og_error *err) OG_MUST_CHECK;

/*
 * BUILD_INPUT: one descriptor of a job, before its BUILD. A layer file may hold several layers (log bodies packed together).
 * BUILD: starts the job. BUILT: one output with a descriptor each (more = true), then the end without one.
 */
enum og_wire_role { OG_IN_LAYERS = 1, OG_IN_SRC_IDS, OG_IN_DST_IDS, OG_IN_SRC_IDX, OG_IN_DST_IDX };
struct og_wire_range {
	uint32_t index;			/* layer number, or part of ids */
	uint64_t off, len;
	bool check;			/* a segment whose bytes nobody has compared with its digest yet */
	struct og_ulid segment;		/* with check: for the message */
	uint8_t sha256[32];
};
struct og_wire_input {
	uint32_t job;
	uint8_t role;			/* enum og_wire_role */
	struct og_wire_image key;	/* of an image; zero for layers */
	struct og_wire_range *ranges;
	uint32_t nranges;
};
void og_wire_put_input(struct og_buf *b, const struct og_wire_input *i);
int og_wire_get_input(struct og_slice body, struct og_arena *a, struct og_wire_input *i, struct og_error *err) OG_MUST_CHECK;

enum og_wire_job { OG_JOB_IMAGES = 1, OG_JOB_FOLD = 2, OG_JOB_FOLD_DELETES = 3, OG_JOB_COUNT = 4, OG_JOB_DESCRIBE = 5 };
struct og_wire_build {
	uint32_t job;
	uint8_t kind;			/* enum og_wire_job; COUNT: only checks the layers and counts live rows */
	struct og_slice schema;
	struct og_wire_type *types;	/* id assignment: type_id, kind, name */
	uint32_t ntypes;
	uint32_t type_id;
	uint32_t nlayers, nsrc_ids, ndst_ids;
	uint64_t rows;			/* live rows of the layers as the log counts them; 0: not known */
	struct og_hash128 content, src, dst;
	struct og_wire_image *wants;	/* what and prop_id count */
	uint32_t nwants;
};
void og_wire_put_build(struct og_buf *b, const struct og_wire_build *w);
int og_wire_get_build(struct og_slice body, struct og_arena *a, struct og_wire_build *w, struct og_error *err) OG_MUST_CHECK;

struct og_wire_built {
	uint32_t job;
	bool more;			/* an output is attached */
	bool about;			/* it is a struct og_wire_about: of DESCRIBE's layers, or of the segment that a fold gave before it */
	struct og_wire_image key;
	uint64_t bytes;
	struct og_hash128 hash;	/* of an image: XXH3-128 of its bytes */
	uint64_t rows;			/* at the end of a fold or count */
	int32_t code;			/* at the end: 0 or OG_ERR_* */
	struct og_slice message;
};
void og_wire_put_built(struct og_buf *b, const struct og_wire_built *w);
int og_wire_get_built(struct og_slice body, struct og_wire_built *w, struct og_error *err) OG_MUST_CHECK;

/* What the Delta log says of a type and its files (image/describe.h). */
#define OG_WIRE_ABOUT_MAX (16u * OG_MIB)
struct og_wire_about_file {
	bool fits;
	struct og_slice bounds;
};
struct og_wire_about {
	struct og_slice schema;		/* len 0: none is possible, `why` */
	struct og_slice why;
	struct og_wire_about_file *files;
	uint32_t nfiles;
};
void og_wire_put_about(struct og_buf *b, const struct og_wire_about *w);
int og_wire_get_about(struct og_slice body, struct og_arena *a, struct og_wire_about *w, struct og_error *err) OG_MUST_CHECK;

#endif
