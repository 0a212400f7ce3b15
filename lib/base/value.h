/*
 * Property types and run-time values, as every layer above base names them.
 *
 * A proptype is what a schema declares; a value is one datum. Integers of all widths are carried in 64 bits, F32 as a
 * double that was rounded to single. Strings, lists and vectors are borrowed from an arena, an image or a source.
 * Threads: values are plain data.
 */
#ifndef OG_BASE_VALUE_H
#define OG_BASE_VALUE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

/* Numbers are stored in catalogs and images: never renumber. */
enum og_scalar {
	OG_STRING = 1,
	OG_BOOL = 2,
	OG_I32 = 3,
	OG_I64 = 4,
	OG_U32 = 5,
	OG_U64 = 6,
	OG_F32 = 7,
	OG_F64 = 8,
	OG_DATE = 9,		/* i: days */
	OG_DATETIME = 10,	/* i: milliseconds */
	OG_VECTOR = 11,		/* dim singles */
	OG_BLOB = 12,		/* s: 'b' + bytes, or 'u' + URI */
};

struct og_proptype {
	enum og_scalar scalar;		/* of the item for a list; enums are OG_STRING with nenum > 0 */
	bool nullable;
	bool list;
	uint32_t dim;			/* OG_VECTOR */
	struct og_slice *enums;		/* sorted bytewise; owner: the catalog */
	uint32_t nenum;
};

enum og_vkind {
	OG_V_NULL = 0,
	OG_V_BOOL,	/* i: 0 or 1 */
	OG_V_INT,	/* i: I32, I64 */
	OG_V_UINT,	/* u: U32, U64 */
	OG_V_FLOAT,	/* f: F32 (widened), F64 */
	OG_V_STRING,	/* s */
	OG_V_DATE,	/* i */
	OG_V_DATETIME,	/* i */
	OG_V_LIST,	/* items */
	OG_V_VECTOR,	/* vec */
	OG_V_BLOB,	/* s, tagged as OG_BLOB says */
};

struct og_value {
	enum og_vkind kind;
	union {
		int64_t i;
		uint64_t u;
		double f;
		struct og_slice s;
		struct {
			const struct og_value *v;
			size_t n;
		} items;
		struct {
			const float *v;
			uint32_t dim;
		} vec;
	};
};

/* "I32?", "[String]", "Vector(4)", "enum(a, b)?": the name used in error texts. */
void og_proptype_format(struct og_buf *b, const struct og_proptype *t);
/* The same without '?' whatever `nullable` says. */
void og_proptype_format_base(struct og_buf *b, const struct og_proptype *t);
bool og_proptype_equal(const struct og_proptype *a, const struct og_proptype *b);	/* nullable and enums included */
const char *og_scalar_name(enum og_scalar s);	/* "I32"; "Vector" and "Blob" bare */
static inline bool og_scalar_numeric(enum og_scalar s)
{
	return s >= OG_I32 && s <= OG_F64;
}
/* Kind of a non-null value of that type. */
enum og_vkind og_proptype_kind(const struct og_proptype *t);

/*
 * Comparison as `=` and `<` mean it: numbers by exact value across INT, UINT, FLOAT; strings bytewise; false < true; dates by
 * number. Both must be non-null and comparable (same kind, or both numeric); NaN: returns OG_UNORDERED.
 */
#define OG_UNORDERED 2
int og_value_cmp(const struct og_value *a, const struct og_value *b);
/*
 * The total order of sorting and grouping: null first, NaN after all numbers, lists and vectors element by element with null
 * elements first, then by length. Never OG_UNORDERED.
 */
int og_value_order(const struct og_value *a, const struct og_value *b);
/* Grouping equality: og_value_order == 0, and -0.0 equals 0.0, NaN equals NaN. Hash agrees with it. */
uint64_t og_value_hash(const struct og_value *v, uint64_t seed);

/* Canonical id text of a key value: integers in decimal, true/false, Date = day number, DateTime =
 * milliseconds, floats og_double_plain (single for F32), strings unchanged. NaN or infinity: OG_ERR_BAD. */
int og_value_id_text(struct og_buf *b, const struct og_value *v, enum og_scalar type, struct og_error *err) OG_MUST_CHECK;

#endif
