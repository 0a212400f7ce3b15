/*
 * What the files of the Parquet writer and reader share. Private to lib/format.
 *
 * Format: numbers of parquet.thrift; RLE/bit-packed hybrid of parquet-format's Encodings.md.
 */
#ifndef OG_FORMAT_PQ_PRIVATE_H
#define OG_FORMAT_PQ_PRIVATE_H

#include "base/buf.h"
#include "format/colvec.h"
#include "format/parquet.h"

#define PQ_MAGIC "PAR1"
#define PQ_MAGIC_LEN 4u
#define PQ_TAIL_LEN 8u			/* footer length, magic */
#define PQ_ROW_MAX (60u * OG_MIB)
#define PQ_DICT_MAX 65536u		/* entries: an index has at most 16 bits */
#define PQ_DICT_BYTES_MAX (4u * OG_MIB)
#define PQ_STAT_MAX 64u			/* bytes of a string bound */

enum pq_physical { PQ_BOOLEAN = 0, PQ_INT32 = 1, PQ_INT64 = 2, PQ_FLOAT = 4, PQ_DOUBLE = 5, PQ_BYTE_ARRAY = 6 };
enum pq_repetition { PQ_REQUIRED = 0, PQ_OPTIONAL = 1, PQ_REPEATED = 2 };
enum pq_encoding { PQ_PLAIN = 0, PQ_RLE = 3, PQ_RLE_DICTIONARY = 8 };
enum pq_page { PQ_DATA_PAGE = 0, PQ_DICTIONARY_PAGE = 2 };
#define PQ_CONVERTED_LIST 3
/* LogicalType, encoded: the union's field, its empty struct, the ends of both. */
#define PQ_LOGICAL_LIST OG_SLICE("\x3c\0\0")

/* How a scalar appears in a schema element. */
struct pq_mapping {
	enum og_scalar scalar;
	enum pq_physical physical;
	int converted;			/* -1: none */
	struct og_slice logical;	/* encoded LogicalType; empty: none */
};

const struct pq_mapping *pq_mapping_of(enum og_scalar s);
/* NULL: no scalar looks like that. OG_VECTOR is not found: a FLOAT is OG_F32. */
const struct pq_mapping *pq_mapping_find(int physical, int converted, struct og_slice logical);

/* Levels of a column: a row is null below `row`, a list is empty at `row`; an item is there at `max`, null just below it (lists alone). */
struct pq_levels {
	bool nested;		/* list or Vector: repetition levels up to 1 */
	uint8_t row;		/* definition level of a row that is not null */
	uint8_t max;
};

static inline struct pq_levels pq_levels_of(const struct og_proptype *t)
{
	struct pq_levels l = { .nested = t->list || t->scalar == OG_VECTOR, .row = t->nullable };

	l.max = (uint8_t)(l.row + (t->list ? 2 : l.nested ? 1 : 0));
	return l;
}

/* Bits to store 0..max. */
static inline unsigned pq_bit_width(uint32_t max)
{
	return max ? 32u - (unsigned)__builtin_clz(max) : 0;
}

/* pq_encode.c: all append to `b`. */
void pq_put_hybrid8(struct og_buf *b, const uint8_t *v, size_t n, unsigned width);
void pq_put_hybrid32(struct og_buf *b, const uint32_t *v, size_t n, unsigned width);
/* Definition levels 0 and 1 of rows [from, from + n) straight from a validity bitmap. */
void pq_put_validity(struct og_buf *b, const uint8_t *validity, size_t from, size_t n);
/* The non-null values of rows [from, from + n) of a vector that is no list. */
void pq_put_plain(struct og_buf *b, const struct og_colvec *c, size_t from, size_t n);

/* A dictionary under construction, reused from chunk to chunk. */
struct pq_dict {
	struct og_buf plain;		/* its page */
	uint32_t count;
	uint32_t *rows;			/* first row of each entry; PQ_DICT_MAX */
	uint32_t *index;		/* entry of each non-null value */
	size_t index_cap;
	struct pq_slot *slots;		/* hash table */
	size_t nslots, slots_cap;
	bool failed;			/* no memory */
};

/* Tries to. false: not worth it, or failed. */
bool pq_dict_build(struct pq_dict *d, const struct og_colvec *c);
void pq_dict_fini(struct pq_dict *d);

/* pq_stats.c */
struct pq_bounds {
	bool has_min, has_max;
	bool min_exact, max_exact;	/* a value that is there, not a string that was cut */
	uint8_t min_len, max_len;
	uint8_t min[PQ_STAT_MAX], max[PQ_STAT_MAX];
};

/* Bounds of a flat column; of the rows listed alone where rows is not NULL. */
void pq_bounds_of(struct pq_bounds *b, const struct og_colvec *c, const uint32_t *rows, size_t nrows);

/* pq_decode.c: a page's values. All check every length; false: damaged. */
/* Exactly n values of at most `width` bits, each at most max. *used: bytes taken. */
bool pq_get_hybrid8(struct og_slice src, size_t n, unsigned width, uint8_t max, uint8_t *out, size_t *used);
bool pq_get_hybrid32(struct og_slice src, size_t n, unsigned width, uint32_t max, uint32_t *out);
/* Whether n levels are one run of the value 1 (of the given width); *used as above. */
bool pq_hybrid_is_run(struct og_slice src, size_t n, uint8_t value, size_t *used);

enum pq_decoded { PQ_GOOD = 0, PQ_BAD, PQ_NO_MEMORY };

/* A decoded dictionary: fixed-width values or strings, borrowed from `page`. */
struct pq_dictionary {
	struct og_slice page;
	uint32_t count;
	uint32_t *offsets;		/* strings: where each length stands in `page`; NULL for fixed widths */
};

/*
 * Appends n rows to a vector that is no list: row i is null where valid && !valid[i]; the others take the values of `src` in turn, all of it.
 */
enum pq_decoded pq_get_plain(struct og_colvec *out, struct og_slice src, const uint8_t *valid, size_t n);
/* The same from indices (count of them: the valid ones) into a dictionary. */
enum pq_decoded pq_get_indexed(struct og_colvec *out, const struct pq_dictionary *d, const uint32_t *index, const uint8_t *valid, size_t n);
/* Finds the strings in a dictionary page; offsets has room for count. */
bool pq_dictionary_scan(struct pq_dictionary *d);

#endif
