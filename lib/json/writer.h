/*
 * JSON text, appended to a buffer: compact, or indented by two spaces with `": "`, `[]` and `{}` for empties.
 * Strings must be UTF-8; only `"`, `\` and controls are escaped (\b \f \n \r \t, else \u001f style).
 *
 * Misuse (a value where a key belongs, more than OG_JSON_WRITER_DEPTH levels) is our own bug and asserted.
 * Memory:  the buffer's; its failure sticks there (og_buf_ok). Starts by og_json_writer_init, needs no end.
 * Threads: one writer, one thread.
 */
#ifndef OG_JSON_WRITER_H
#define OG_JSON_WRITER_H

#include "base/buf.h"
#include "base/slice.h"

#define OG_JSON_WRITER_DEPTH 255

struct og_json;

struct og_json_writer {
	struct og_buf *b;
	bool pretty;
	bool after_key;
	unsigned depth;
	uint64_t filled[4];	/* bit per level: something was written in it */
};

void og_json_writer_init(struct og_json_writer *w, struct og_buf *b, bool pretty);

void og_json_begin_object(struct og_json_writer *w);
void og_json_end_object(struct og_json_writer *w);
void og_json_begin_array(struct og_json_writer *w);
void og_json_end_array(struct og_json_writer *w);
void og_json_put_key(struct og_json_writer *w, struct og_slice key);
void og_json_put_key_str(struct og_json_writer *w, const char *key);

void og_json_put_null(struct og_json_writer *w);
void og_json_put_bool(struct og_json_writer *w, bool v);
void og_json_put_i64(struct og_json_writer *w, int64_t v);
void og_json_put_u64(struct og_json_writer *w, uint64_t v);
/* Shortest round-trip digits with fraction or exponent; "NaN", "Infinity" and "-Infinity" as strings. */
void og_json_put_double(struct og_json_writer *w, double v);
void og_json_put_string(struct og_json_writer *w, struct og_slice s);
void og_json_put_str(struct og_json_writer *w, const char *s);	/* NULL: null */
/* One whole value that is JSON already, copied as it is. */
void og_json_put_raw(struct og_json_writer *w, struct og_slice json);
/* A tree: numbers as written, the rest in the writer's layout. */
void og_json_put_tree(struct og_json_writer *w, const struct og_json *j);

/* A key and its value. */
void og_json_member_null(struct og_json_writer *w, const char *key);
void og_json_member_bool(struct og_json_writer *w, const char *key, bool v);
void og_json_member_i64(struct og_json_writer *w, const char *key, int64_t v);
void og_json_member_u64(struct og_json_writer *w, const char *key, uint64_t v);
void og_json_member_double(struct og_json_writer *w, const char *key, double v);
void og_json_member_string(struct og_json_writer *w, const char *key, struct og_slice s);
void og_json_member_str(struct og_json_writer *w, const char *key, const char *s);	/* NULL: null */
void og_json_member_object(struct og_json_writer *w, const char *key);	/* begins it */
void og_json_member_array(struct og_json_writer *w, const char *key);	/* begins it */

/* Just the text of one value in compact form, for messages ("got {json}"). */
void og_json_text(struct og_buf *b, const struct og_json *j);
/* A string with its quotes, outside of any writer. */
void og_json_quote(struct og_buf *b, struct og_slice s);

#endif
