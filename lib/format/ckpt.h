/*
 * Checkpoint: the whole state of a graph's log at one place, and where its rows lie. History: closed ranges of records.
 *
 * Format: the frame of format/logobj.h with magic `OGCKP1\r\n`, no bodies, header at most 256 MiB, JSON: graph, seq,
 *   digest (of log object seq), host, object, at, branches:{live,dead}, schemas, floor, pins, format, hist, recent, layers,
 *   states, index (format/index.h). A history chunk has magic `OGHIS1\r\n` and, as its header, NDJSON of commit, create and delete records.
 * Trust:  bytes of the store; every index (layer, state) is checked. `like` must name an earlier state.
 * Memory: decode copies into the arena. Threads: pure functions.
 */
#ifndef OG_FORMAT_CKPT_H
#define OG_FORMAT_CKPT_H

#include "format/index.h"
#include "format/logobj.h"

#define OG_CKPT_MAX (256u * OG_MIB)
#define OG_CKPT_RECENT_MAX 4096u
#define OG_HIST_MAX (256u * OG_MIB)

struct og_ckpt_branch {
	struct og_ulid id;
	struct og_slice name;
	struct og_ulid from, fork;
	bool live;
	struct og_ulid head;	/* live */
	uint64_t version;	/* live */
};

struct og_ckpt_schema {
	uint64_t since;			/* seq of the object that brought it; 0: genesis */
	struct og_ulid commit;		/* that brought it */
	struct og_sha256 digest;
	struct og_slice text;
	struct og_type_decl *types;
	size_t ntypes;
	uint32_t *purge;
	size_t npurge;
};

struct og_ckpt_pin {
	struct og_ulid id, commit;
	int64_t at_us;			/* of the last renewal */
};

struct og_ckpt_hist {
	struct og_ulid id;
	uint64_t first, last;		/* seq of the objects whose records it holds */
	uint64_t count;
	struct og_sha256 sha256;	/* of the object */
};

struct og_ckpt_layer {
	uint32_t type;
	bool in_log;
	struct og_seg seg;		/* !in_log */
	uint64_t seq;			/* in_log: body `body` of log object seq, at off */
	uint32_t body;
	uint64_t off, len;
	struct og_sha256 sha256;
};

struct og_ckpt_table {
	uint32_t type;
	uint64_t version;
	struct og_ulid owner;
	uint64_t rows;
	uint32_t *layers;		/* indexes, base up */
	size_t nlayers;
};

struct og_ckpt_state {
	struct og_ulid commit;
	struct og_ulid branch;		/* on whose line the commit is */
	uint64_t version;
	struct og_sha256 schema;
	struct og_ckpt_table *tables;	/* decode: complete, `like` resolved; by type id */
	size_t ntables;
};

/* A record of `recent` or of a history chunk, with its place. */
struct og_placed_record {
	uint64_t seq;
	uint32_t index;
	struct og_record rec;
};

struct og_ckpt {
	struct og_ulid graph;
	uint64_t seq;
	struct og_sha256 digest;
	struct og_ulid host, object;
	int64_t at_us;
	struct og_ckpt_branch *branches;
	size_t nbranches;
	struct og_ckpt_schema *schemas;	/* oldest first */
	size_t nschemas;
	bool has_floor;
	uint64_t floor_seq;
	struct og_record floor;
	struct og_ckpt_pin *pins;
	size_t npins;
	uint32_t min_reader, min_writer;
	struct og_ckpt_hist *hist;	/* oldest first */
	size_t nhist;
	struct og_placed_record *recent;
	size_t nrecent;
	struct og_ckpt_layer *layers;
	size_t nlayers;
	struct og_ckpt_state *states;
	size_t nstates;
	struct og_index *index;		/* objects of this build's format */
	size_t nindex;
};

/* Appends frame and header. Tables equal to those of an earlier state are written as `like` it. */
int og_ckpt_encode(const struct og_ckpt *c, struct og_buf *b, struct og_error *err) OG_MUST_CHECK;
int og_ckpt_decode(struct og_arena *a, struct og_slice src, struct og_ckpt *out, struct og_error *err) OG_MUST_CHECK;

int og_hist_encode(const struct og_placed_record *recs, size_t n, struct og_buf *b, struct og_error *err) OG_MUST_CHECK;
int og_hist_decode(struct og_arena *a, struct og_slice src, struct og_placed_record **recs, size_t *n,
		   struct og_error *err) OG_MUST_CHECK;

#endif
