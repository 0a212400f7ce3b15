/*
 * The part of a load that needs no graph: records in, columns and segments out. Private to lib/load; load.h is the whole.
 *
 * Rows of a type are buffered as columns. When the buffers hold more than their share of the budget the largest is closed as a chunk: one Parquet file,
 * to be stored as a segment. A copy of it and a few bytes a row (line, record) go to the spool, a temporary file or memory, because the checks of the end
 * (check.h) read ids, ends and unique values again, once for each state of the graph that the load is checked against.
 *
 * Errors:  a broken record ends the load at once. What is wrong with a value is remembered: of all such errors the one that comes first in the order of
 *          the checks is told at the end (`doomed`, `first`), as if all records had been read before anything was checked.
 * Trust:   the input is hostile. Memory: the budget, and one record. Threads: one caller at a time; an encoder beside it.
 */
#ifndef OG_LOAD_LOADER_H
#define OG_LOAD_LOADER_H

#include "base/map.h"
#include "base/ulid.h"
#include "image/delta.h"
#include "ipc/wire.h"
#include "json/reader.h"
#include "load/encoder.h"
#include "load/load.h"
#include "schema/rowcheck.h"

/* Beside each stored row. */
struct load_meta {
	uint32_t line;			/* of the record; saturates */
	uint32_t ordinal : 31;		/* among the records of the type, from 0 */
	uint32_t generated : 1;		/* the id is ours: nothing can repeat or name it */
};

struct load_chunk {
	uint32_t type;			/* index in the catalog */
	uint32_t first, rows;		/* stored rows of the type */
	struct og_buf parquet;		/* until it is stored and spooled; for ever without a spool file */
	struct load_meta *meta;		/* without a spool file */
	uint64_t at;			/* in the spool file: parquet, then meta */
	size_t parquet_len;
	bool sent, stored;		/* on its way to the store; there */
	struct og_wire_segment seg;	/* stored */
};

/* A chunk of which some rows are encoded already. */
struct load_open {
	struct load_encode job;		/* its columns are those of `rows` */
	struct og_pq_col_desc *descs;
	struct og_change rows;		/* a group with the thread; or empty */
	struct og_buf parquet;
	struct load_meta *meta;
	size_t meta_cap;
	uint32_t nrows;			/* in all groups */
	size_t bytes;			/* that they took as buffers */
};

struct load_type {
	const struct og_type *type;
	bool used;
	bool named;			/* rows brought their own ids */
	uint32_t records;		/* of the input */
	uint32_t stored;		/* rows in chunks */
	struct og_change rows;		/* buffered behind these */
	struct load_meta *meta;		/* of `rows` */
	size_t meta_cap;
	uint64_t serial, *seen;		/* per property: the record that had it last */
	uint32_t *order, norder;	/* properties in the order of the record before */
	bool constrained;		/* has @range or @check */
	bool chunked;			/* has chunks, or an open one */
	struct load_open *open;		/* or NULL; what is in `rows` follows it */
	/* At the end, instead of a chunk: */
	bool inlined;
	struct og_buf body;
};

/* Where an error stands in the order of checks. */
struct load_rank {
	uint32_t phase;			/* enum load_phase */
	uint32_t type;
	uint32_t step;			/* enum load_step */
	uint32_t part;			/* property or constraint */
	uint64_t row;			/* record of the type */
};
enum load_phase { LOAD_NODES, LOAD_ENDS, LOAD_EDGES, LOAD_CARDS };
enum load_step { LOAD_IDS, LOAD_COLUMNS, LOAD_RANGES, LOAD_PATTERNS, LOAD_ENUMS, LOAD_UNIQUES };

struct og_loader {
	struct og_catalog *catalog;	/* referenced */
	enum og_load_mode mode;
	size_t budget;			/* bytes for buffers; as much again for the checks */
	bool spill;
	bool file;			/* bytes that are not UTF-8 are a reading error */
	bool trees;			/* for tests: reads every record by way of a tree */
	struct load_type *types;
	uint32_t ntypes;
	struct load_type *last[2];	/* node and edge type of the record before */
	struct og_rules *rules;
	struct og_ulid_gen ids;
	uint64_t piece, ids_piece;	/* of the input, from 1; that of the last generated id */
	struct og_arena arena;		/* of one record */
	struct og_arena kept;
	struct og_map remap;		/* type index and old id -> struct og_slice * */
	struct og_buf key;		/* scratch */
	/* input */
	struct og_buf window;
	size_t need;			/* the record at hand ends behind this many bytes */
	uint64_t records;
	struct og_pos pos;		/* of the window */
	bool doomed;
	struct load_rank rank;
	struct og_error first;
	size_t since;			/* bytes since the buffers were measured */
	/* output */
	struct load_chunk *chunks;
	size_t nchunks, chunks_cap;
	struct load_encoder *encoder;	/* or NULL: chunks are encoded as a whole, on the spot */
	int spool;			/* -1: none */
	uint64_t spooled;
};

int og_loader_new(struct og_catalog *c, enum og_load_mode mode, size_t budget, bool spill, struct og_loader **out, struct og_error *err) OG_MUST_CHECK;
void og_loader_free(struct og_loader *l);
/* From here on a thread of its own encodes. For processes that may start one. */
int og_loader_thread(struct og_loader *l, struct og_error *err) OG_MUST_CHECK;
/* The next bytes; `last`: there are no more. Chunks may have been added. */
int og_loader_feed(struct og_loader *l, struct og_slice bytes, bool last, struct og_error *err) OG_MUST_CHECK;
/* After the last bytes: old spellings in edges replaced, what is still buffered made ready (inlined, or closed as chunks). The remembered error. */
int og_loader_end(struct og_loader *l, struct og_error *err) OG_MUST_CHECK;
/* The chunk's file: chunk->parquet, read again if it was dropped. */
int og_loader_parquet(struct og_loader *l, struct load_chunk *c, struct og_error *err) OG_MUST_CHECK;
/* Its file is in the store: the memory may go. */
void og_loader_stored(struct og_loader *l, struct load_chunk *c, const struct og_wire_segment *seg);

/* ---- between the files of this module ---- */

/* Remembers an error unless one that comes before it is known. The text gets its line (0: it has one). Returns 0. */
int loader_note(struct og_loader *l, const struct load_rank *at, const struct og_error *e, uint64_t line);
bool loader_before(const struct og_loader *l, const struct load_rank *at);	/* it would be remembered */
/* record.c: one record at the head of the window. 1: read; 0: more bytes are needed; *used is done with either way. */
int loader_record(struct og_loader *l, struct og_slice window, bool last, size_t *used, struct og_error *err) OG_MUST_CHECK;
/* chunk.c: bytes in the buffers of a type */
size_t loader_buffered(const struct load_type *t);
int loader_flush(struct og_loader *l, struct load_type *t, struct og_error *err) OG_MUST_CHECK;
void loader_clear(struct load_type *t);		/* the buffers; their memory stays */
/* A file with these rows: kept, spooled if there is a spool. *parquet is taken. NULL: *err. */
struct load_chunk *loader_add_chunk(struct og_loader *l, struct load_type *t, uint32_t rows, struct og_buf *parquet, const struct load_meta *meta,
				    struct og_error *err);
/* The columns of a segment, those without rows if `all`; room for nprops + 3. Returns their number. */
size_t loader_columns(const struct og_change *c, bool all, struct og_pq_col_desc *descs, const struct og_colvec **cols);
/* open.c: gives the buffer to the thread, if there is one and enough for a group; the end of an open chunk. */
int loader_group(struct og_loader *l, struct load_type *t, struct og_error *err) OG_MUST_CHECK;
int loader_close(struct og_loader *l, struct load_type *t, struct og_error *err) OG_MUST_CHECK;
void loader_open_free(struct load_type *t);	/* the thread has ended, or is not at it */
/* Keeps the last row of each id that the buffer has more than once, where that is what counts. */
int loader_dedupe(struct og_loader *l, struct load_type *t, struct og_error *err) OG_MUST_CHECK;
/* Columns without any value are left out of what is written. */
void loader_drop_nulls(struct load_type *t);
/* Puts canonical ids in the place of old spellings in the ends of edges. */
int loader_remap(struct og_loader *l, struct og_error *err) OG_MUST_CHECK;
/* ids.c: the id of a row from its key, checked against the one that the record gives (given or its p NULL: none), which may be an old spelling. A mismatch
 * is OG_ERR_BAD. *id is valid until the next call. */
int loader_key_id(struct og_loader *l, struct load_type *t, const struct og_value *values, const struct og_slice *given, struct og_slice *id,
		  struct og_error *err) OG_MUST_CHECK;
int loader_new_id(struct og_loader *l, struct og_ulid_text *id, struct og_error *err) OG_MUST_CHECK;
/* The canonical id that an old spelling stands for, or NULL. */
const struct og_slice *loader_canonical(const struct og_loader *l, uint32_t type, struct og_slice old);

/* Ids, ends, and properties of a chunk marked in `props` (NULL: none), decoded. */
int loader_read(struct og_loader *l, struct load_chunk *c, const bool *props, struct og_change *rows, struct load_meta **meta,
		struct og_error *err) OG_MUST_CHECK;

#endif
