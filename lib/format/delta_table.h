/*
 * What a Delta Lake reader must know of a type's Parquet files: the schema, and the bounds of the columns of a file.
 *
 * Types:   String string, Bool boolean, I32 integer, I64 long, U32 long, U64 decimal(20,0), F32 float, F64 double, Date date, DateTime timestamp,
 *          Blob binary, list array of nullable items, Vector array of float. Delta has no unsigned types; readers take Parquet's for these.
 * Nulls:   every column is declared nullable: a property that a file lacks reads as null, and a column that is not would be an invariant to Delta's
 *          own reader in Spark, which refuses a table whose protocol does not list that feature.
 * Trust:   the file's footer is untrusted: bounds that are not clean are left out. Memory: the buffers'. Threads: pure functions.
 */
#ifndef OG_FORMAT_DELTA_TABLE_H
#define OG_FORMAT_DELTA_TABLE_H

#include "base/buf.h"
#include "format/parquet.h"

/* Bounds are told of so many columns, the first; as Delta's own writers do. */
#define OG_DELTA_BOUNDS_COLUMNS 32u

struct og_delta_column {
	struct og_slice name;
	uint32_t id;			/* property id, the files' field id */
	struct og_proptype type;
};

/* OG_ERR_UNSUPPORTED: two names that differ in case alone, which Delta takes for one. Appends the text of schemaString. */
int og_delta_schema(struct og_buf *b, const struct og_delta_column *cols, size_t n, struct og_error *err) OG_MUST_CHECK;
/*
 * Whether readers that know columns by their names find in this file what the schema says: a column of one of these names has its id and type, and
 * one of these ids its name. (A file from before a property was renamed or replaced does not.)
 */
bool og_delta_file_fits(const struct og_delta_column *cols, size_t n, const struct og_pq_file *f);
/* `"minValues":{..},"maxValues":{..},"nullCount":{..}`, appended; nothing where nothing is known. */
void og_delta_bounds(struct og_buf *b, const struct og_delta_column *cols, size_t n, const struct og_pq_file *f);

#endif
