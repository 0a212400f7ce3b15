/*
 * Parquet files: a writer for any size with bounded memory, and a reader of exactly what that writer writes.
 *
 * Format:  Apache Parquet (parquet-format 2.10), data pages v1, PLAIN and RLE_DICTIONARY, uncompressed, Snappy or zstd pages. A property's identity is
 *          the field id of its top-level schema element. Types:
 *            String BYTE_ARRAY (String)      Bool BOOLEAN             I32 INT32 (INT(32, signed))   I64 INT64
 *            U32 INT32 (INT(32, unsigned))   U64 INT64 (INT(64, unsigned))                          F32 FLOAT    F64 DOUBLE
 *            Date INT32 (DATE)               DateTime INT64 (TIMESTAMP, milliseconds, UTC)          Blob BYTE_ARRAY
 *            list: LIST of optional `element`; Vector: LIST of required FLOAT `element`, dim of them in each row (dim is not in the file)
 *          Nullable columns are OPTIONAL, others REQUIRED.
 *          Chunks lie one behind the other from byte 4 to the footer, in the order of groups and columns; a page holds at most OG_PQ_PAGE_ROWS
 *          levels and at most OG_PQ_PAGE_MAX bytes, also once decoded. So a small file cannot make a reader allocate without end.
 * Trust:   the writer trusts its caller's types; the reader trusts nothing: any bytes give an error with the byte's position, or values.
 * Memory:  see each function. Threads: a writer belongs to one thread; an opened file is read-only and may be shared.
 */
#ifndef OG_FORMAT_PARQUET_H
#define OG_FORMAT_PARQUET_H

#include "base/arena.h"
#include "base/value.h"
#include "format/colvec.h"

#define OG_PQ_PAGE_MAX (64u * OG_MIB)
#define OG_PQ_PAGE_ROWS (1024u * 1024u)

/* Numbers of parquet.thrift's CompressionCodec. */
enum og_pq_codec {
	OG_PQ_NONE = 0,
	OG_PQ_SNAPPY = 1,
	OG_PQ_ZSTD = 6,
};

struct og_pq_col_desc {
	struct og_slice name;
	int32_t field_id;
	struct og_proptype type;	/* enums are not in the file; dim is 0 in what the reader gives */
};

struct og_pq_kv {
	struct og_slice key, value;
};

/* All zero: the defaults. Chunks below 1 KiB are never compressed; groups below 64 rows have no dictionaries and no statistics. */
struct og_pq_options {
	enum og_pq_codec codec;
	int zstd_level;			/* 0: 1 */
	size_t page_bytes;		/* 0: 1 MiB; at most 16 MiB */
	bool no_dictionary;
	bool no_statistics;
};

/* Takes the next bytes of the file. Negative ends the writing and is handed up. */
typedef int og_pq_sink(void *arg, const void *p, size_t n, struct og_error *err);

struct og_pq_writer;

/* The descs are copied, names too. `opt` may be NULL. ncols > 0. */
int og_pq_writer_new(const struct og_pq_col_desc *cols, size_t ncols, const struct og_pq_options *opt, og_pq_sink *sink, void *arg,
		     struct og_pq_writer **out, struct og_error *err) OG_MUST_CHECK;
/*
 * Writes one row group: cols[i] holds the rows of column i, all the same number (0: nothing is written). OG_ERR_BAD for a null in a REQUIRED column,
 * OG_ERR_TOO_LARGE for a single value over 60 MiB or of 1 Mi items, OG_ERR_INTERNAL for a vector of another type. After an error only og_pq_writer_free is allowed.
 */
int og_pq_write_group(struct og_pq_writer *w, const struct og_colvec *const *cols, size_t ncols, struct og_error *err) OG_MUST_CHECK;
/* Writes the footer. Once, last. */
int og_pq_finish(struct og_pq_writer *w, const struct og_pq_kv *kvs, size_t nkvs, struct og_error *err) OG_MUST_CHECK;
/* Bytes given to the sink so far. */
uint64_t og_pq_writer_bytes(const struct og_pq_writer *w);
/* NULL is fine. */
void og_pq_writer_free(struct og_pq_writer *w);
/* A whole file of at most one group, appended to `out`. */
int og_pq_encode(struct og_buf *out, const struct og_pq_col_desc *descs, const struct og_colvec *const *cols, size_t ncols,
		 const struct og_pq_options *opt, const struct og_pq_kv *kvs, size_t nkvs, struct og_error *err) OG_MUST_CHECK;

struct og_pq_stats {
	bool has_nulls;			/* the count is known */
	uint64_t nulls;
	/* Encoded as PLAIN without length; .p NULL: unknown, as beside a NaN. Bounds: strings may be cut, and are then not exact. */
	struct og_slice min, max;
	bool min_exact, max_exact;
};

struct og_pq_chunk {
	uint64_t offset, bytes;		/* in the file, dictionary page included */
	uint64_t values;		/* levels; rows unless a list */
	enum og_pq_codec codec;
	bool has_dictionary;
	struct og_pq_stats stats;
};

struct og_pq_group {
	uint64_t rows;			/* > 0 */
	struct og_pq_chunk *chunks;	/* ncols */
};

struct og_pq_file {
	struct og_slice bytes;
	struct og_pq_col_desc *cols;
	size_t ncols;
	struct og_pq_group *groups;
	size_t ngroups;
	uint64_t rows;			/* of all groups */
	struct og_pq_kv *kvs;
	size_t nkvs;
	struct og_slice created_by;
};

/*
 * Reads the footer. Everything in *out lives in the arena or is borrowed from `bytes`, which must outlive it. OG_ERR_CORRUPT with the position, or
 * OG_ERR_UNSUPPORTED for Parquet that our writer does not write; *out is untouched then.
 */
int og_pq_open(struct og_arena *a, struct og_slice bytes, struct og_pq_file *out, struct og_error *err) OG_MUST_CHECK;
/* Index of the column with that field id, or -1. */
int og_pq_find(const struct og_pq_file *f, int32_t field_id);
/* false: no such key. */
bool og_pq_find_kv(const struct og_pq_file *f, const char *key, struct og_slice *value);
/*
 * Appends the group's rows of a column to `out`, which was initialised with the wanted type: the same scalar and list (else OG_ERR_UNSUPPORTED); its
 * dim is what every Vector must have; nullability may differ. On error `out` has the rows it had before.
 */
int og_pq_read_column(const struct og_pq_file *f, size_t group, size_t col, struct og_colvec *out, struct og_error *err) OG_MUST_CHECK;
/* Bounds of the non-null values of a chunk. false: unknown (also for lists, Vector and Blob). Strings may be cut: still bounds. */
bool og_pq_range(const struct og_pq_file *f, size_t group, size_t col, struct og_value *min, struct og_value *max);

#endif
