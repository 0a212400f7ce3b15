/*
 * The catalog: what a schema text (`.pg`) compiles to, and what every layer above asks about types.
 *
 * Language: interfaces, nodes, edges, properties, constraints, annotations; one error at a time, with line and column.
 * Ids:     a type id is a u32 that never changes while the graph lives (renames keep it); at init node types get ids first, then
 *          edge types, each in byte order of their names, from 1. A property id is a u32 unique within its type: 1 = `id`, 2 = `src`, 3 = `dst`,
 *          properties from 16 on in byte order. They become Parquet field ids, so a rename rewrites nothing.
 * Memory:  a catalog lives in its own arena and is immutable once compiled; it may be shared between threads (reference counted).
 */
#ifndef OG_SCHEMA_CATALOG_H
#define OG_SCHEMA_CATALOG_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/value.h"

#define OG_PROP_ID 1u		/* the entity id */
#define OG_PROP_SRC 2u		/* of an edge */
#define OG_PROP_DST 3u
#define OG_PROP_FIRST 16u	/* of declared properties */

enum og_type_kind { OG_NODE = 0, OG_EDGE = 1 };

enum og_annotation_arg { OG_ANN_NONE, OG_ANN_STRING, OG_ANN_INT, OG_ANN_FLOAT, OG_ANN_BOOL, OG_ANN_NAME };

/* name=literal behind the positional argument. */
struct og_annotation_kw {
	struct og_slice name;
	enum og_annotation_arg arg;
	struct og_slice text;
};

struct og_annotation {
	struct og_slice name;
	enum og_annotation_arg arg;
	struct og_slice text;		/* of the argument; strings unescaped */
	struct og_annotation_kw *kws;
	uint32_t nkws;
	uint32_t byte;			/* where it stands in the source */
};

struct og_property {
	struct og_slice name;
	uint32_t id;			/* OG_PROP_FIRST + ... */
	uint32_t index;			/* position in og_type.props (byte order of names) */
	struct og_proptype type;
	bool key;			/* member of the @key */
	bool indexed;			/* has an @index (also by @key, @unique) */
	int32_t embed_source;		/* index of the @embed source property, or -1 */
	struct og_slice embed_model;	/* len 0: none */
	struct og_annotation *annotations;
	uint32_t nannotations;
};

struct og_bound {
	enum { OG_BOUND_NONE, OG_BOUND_INT, OG_BOUND_FLOAT } kind;
	int64_t i;
	double f;
};

enum og_constraint_kind { OG_C_KEY, OG_C_UNIQUE, OG_C_INDEX, OG_C_RANGE, OG_C_CHECK };

struct og_constraint {
	enum og_constraint_kind kind;
	uint32_t number;		/* position in og_type.constraints: constraint number of conflict keys */
	/* Columns sorted by name: property indexes; on edges `src` is OG_COL_SRC and `dst` OG_COL_DST. */
	int32_t *cols;
	uint32_t ncols;
	struct og_bound min, max;	/* OG_C_RANGE */
	struct og_slice pattern;	/* OG_C_CHECK */
	struct og_slice key_text;	/* "unique:a,b": order of checks, migration texts */
};
#define OG_COL_SRC (-1)
#define OG_COL_DST (-2)

struct og_type {
	enum og_type_kind kind;
	uint32_t id;			/* stable */
	uint32_t index;			/* position in og_catalog.types */
	struct og_slice name;
	struct og_slice table_key;	/* "node:Vessel" */
	struct og_property *props;	/* byte order of names */
	uint32_t nprops;
	struct og_constraint *constraints; /* order of key texts, the key last */
	uint32_t nconstraints;
	/* nodes */
	struct og_slice *implements;	/* interface names in the order written */
	uint32_t nimplements;
	int32_t *key_cols;		/* property indexes in identity order; NULL without a @key */
	uint32_t nkey;
	/* edges */
	uint32_t src_type, dst_type;	/* indexes in og_catalog.types */
	uint32_t card_min;		/* 0 without @card */
	uint32_t card_max;		/* UINT32_MAX: unbounded */
	bool has_card;
	struct og_annotation *annotations;
	uint32_t nannotations;
};

struct og_interface {
	struct og_slice name;
	struct og_property *props;
	uint32_t nprops;
};

struct og_catalog {
	struct og_arena arena;
	int refs;			/* atomic */
	struct og_slice source;		/* verbatim text */
	uint8_t digest[32];		/* SHA-256 of the source */
	struct og_type *types;		/* byte order of table keys: edges before nodes, as every listing wants */
	uint32_t ntypes;
	struct og_interface *interfaces;
	uint32_t ninterfaces;
};

/* One row of the id assignment that the genesis and schema commits carry. */
struct og_type_id {
	uint32_t id;
	enum og_type_kind kind;
	struct og_slice name;
};

/*
 * Compiles a schema. `ids` (may be NULL with nids 0: assign as at init) gives the stable type ids; a type without one is
 * OG_ERR_CORRUPT. On success *out has one reference. OG_ERR_BAD: message begins "parse error: " or "catalog error: ", pos set.
 */
int og_catalog_compile(struct og_slice source, const struct og_type_id *ids, size_t nids, struct og_catalog **out,
		       struct og_error *err) OG_MUST_CHECK;
struct og_catalog *og_catalog_ref(struct og_catalog *c);
void og_catalog_unref(struct og_catalog *c);	/* accepts NULL */

/* Exact name; NULL if there is none. */
const struct og_type *og_catalog_node(const struct og_catalog *c, struct og_slice name);
/* Exact name, else ignoring ASCII case. */
const struct og_type *og_catalog_edge(const struct og_catalog *c, struct og_slice name);
const struct og_type *og_catalog_table(const struct og_catalog *c, struct og_slice table_key);
const struct og_type *og_catalog_by_id(const struct og_catalog *c, uint32_t type_id);
const struct og_property *og_type_property(const struct og_type *t, struct og_slice name);
/* "nodes/110d0c8ec25d7b7b": 64-bit FNV-1a of the type's name. */
void og_type_table_path(const struct og_type *t, char out[32]);

#endif
