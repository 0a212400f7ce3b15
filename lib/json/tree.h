/*
 * JSON values as a tree in an arena, and reading one value after the other from a stream.
 *
 * Errors:  OG_ERR_BAD with a bare reason and a position as json/reader.h says; OG_ERR_NOMEM or OG_ERR_TOO_LARGE from the
 *          arena.
 * Memory:  nodes lie in the arena; strings and number texts may point into the source, which must outlive the tree.
 * Threads: a finished tree is read-only and may be shared.
 */
#ifndef OG_JSON_TREE_H
#define OG_JSON_TREE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "json/reader.h"

enum og_json_type {
	OG_JT_NULL,
	OG_JT_BOOL,
	OG_JT_NUMBER,
	OG_JT_STRING,
	OG_JT_ARRAY,
	OG_JT_OBJECT,
};

struct og_json_member;

struct og_json {
	uint8_t type;		/* enum og_json_type */
	uint8_t kind;		/* OG_JT_NUMBER: enum og_json_number */
	bool repeated;		/* a member whose key occurred before (its earlier values are gone) */
	uint32_t end;		/* offset in the source just behind the value; UINT32_MAX beyond 4 GiB */
	union {
		bool b;
		struct {
			union {
				int64_t i;
				uint64_t u;
				double f;
			};
			struct og_slice text;	/* as written */
		} num;
		struct og_slice s;
		struct {
			struct og_json *v;
			size_t n;
		} items;
		struct {
			struct og_json_member *v;	/* in order of first appearance */
			size_t n;
		} members;
	};
};

struct og_json_member {
	struct og_slice key;
	struct og_json value;
};

enum og_json_repeats {
	OG_JSON_LAST_WINS,	/* the last value counts, marked `repeated` */
	OG_JSON_REFUSE_REPEATS,	/* error: duplicate JSON member 'x' */
};

/* One value and nothing else. NULL on error. */
struct og_json *og_json_parse(struct og_arena *a, struct og_slice src, enum og_json_repeats repeats, struct og_error *err);

/* A sequence of values with optional white space between them, read through a window onto the stream. */
struct og_json_stream {
	enum og_json_repeats repeats;
	struct og_pos pos;	/* of the window's first byte; {0} at the start */
	/* private: a value that goes on behind the window is only scanned for its end until that has come */
	bool waiting, in_string;
	size_t scanned, depth;
};

/*
 * Reads the value at the head of the window, which starts where the last call ended.
 * 1: *out is the value, and *used bytes of the window are done with (drop them once the tree is);
 * 0: no whole value in the window. Drop *used bytes (white space), append more and call again; any chunk size costs linear
 *    time. With `last`: the stream is over.
 * < 0: error; err->pos counts over the whole stream.
 */
int og_json_stream_next(struct og_json_stream *s, struct og_arena *a, struct og_slice window, bool last,
			const struct og_json **out, size_t *used, struct og_error *err) OG_MUST_CHECK;

/* The member's value or NULL (also when j is NULL or no object). */
const struct og_json *og_json_get(const struct og_json *j, const char *key);
const struct og_json *og_json_get_slice(const struct og_json *j, struct og_slice key);
static inline bool og_json_is(const struct og_json *j, enum og_json_type type)
{
	return j && j->type == type;
}
/* "null", "boolean", "number", "string", "array", "object" */
const char *og_json_type_name(const struct og_json *j);
/* Integers only: false for floats and for values outside the target. */
bool og_json_to_i64(const struct og_json *j, int64_t *out);
bool og_json_to_u64(const struct og_json *j, uint64_t *out);
/* Any number. */
bool og_json_to_double(const struct og_json *j, double *out);

#endif
