/*
 * JSON pull reader (RFC 8259, strict) over bytes in memory; one token a call.
 *
 * Refused beyond the grammar: more than OG_JSON_DEPTH levels of arrays and objects, a byte order mark, bad UTF-8,
 * escapes that leave a lone surrogate, numbers beyond a double. Repeated members are the caller's affair (json/tree.h
 * knows two policies).
 * Errors:  OG_ERR_BAD; the message is a bare reason ("expected `,` or `}`"), err->pos has line, column (both 1-based,
 *          the column in bytes) and byte of the fault, counted from `origin`. The caller composes the sentence.
 * Trust:   the bytes are hostile; time is linear in them, memory at most the length of the escaped strings.
 * Memory:  strings without escapes are slices of the source; others are unescaped into the arena.
 * Threads: one reader, one thread.
 */
#ifndef OG_JSON_READER_H
#define OG_JSON_READER_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define OG_JSON_DEPTH 127

enum og_json_token {
	OG_JSON_END = 0,	/* the value is complete and nothing but white space follows */
	OG_JSON_MORE,		/* `partial` only: the source ends inside the value */
	OG_JSON_NULL,
	OG_JSON_FALSE,
	OG_JSON_TRUE,
	OG_JSON_NUMBER,		/* see kind and i, u or f; text is the token as written */
	OG_JSON_STRING,		/* text */
	OG_JSON_KEY,		/* text; its value is the next token */
	OG_JSON_ARRAY,
	OG_JSON_ARRAY_END,
	OG_JSON_OBJECT,
	OG_JSON_OBJECT_END,
};

/* A token without fraction and exponent that fits 64 bits is an integer; "-0" is not. */
enum og_json_number {
	OG_JSON_I64,	/* i: fits int64_t */
	OG_JSON_U64,	/* u: above INT64_MAX */
	OG_JSON_F64,	/* f */
};

struct og_json_reader {
	/* the token last returned */
	struct og_slice text;
	enum og_json_number kind;
	union {
		int64_t i;
		uint64_t u;
		double f;
	};

	struct og_slice src;
	const char *p, *end;		/* what is unread */
	struct og_arena *arena;
	struct og_pos origin;		/* of src.p; {0}: line 1, column 1, byte 0 */
	unsigned depth;
	uint64_t objects[2];		/* bit per open level: object or array */
	uint8_t expect;
	bool partial;
};

/* Reads src as one value with nothing behind it. */
void og_json_reader_init(struct og_json_reader *r, struct og_slice src, struct og_arena *a);
/*
 * Reads the value at the head of src, which may go on behind its end unless `last`: a source that ends too early gives
 * OG_JSON_MORE. Once the value is complete (depth 0) the caller stops; r->p is behind it.
 */
void og_json_reader_init_head(struct og_json_reader *r, struct og_slice src, bool last, const struct og_pos *origin,
			      struct og_arena *a);
/* The next token (enum og_json_token, >= 0), or a negative OG_ERR_*. After an error or OG_JSON_MORE: the end. */
int og_json_next(struct og_json_reader *r, struct og_error *err) OG_MUST_CHECK;
/* Reads on to the end of the value whose first token (not a key) was returned last. Returns as og_json_next: that
 * value's last token, OG_JSON_MORE or an error. */
int og_json_skip(struct og_json_reader *r, int token, struct og_error *err) OG_MUST_CHECK;
/* Sets err->pos for a byte offset of src, and returns og_error_set(err, OG_ERR_BAD, "%s", why). */
int og_json_error_at(const struct og_json_reader *r, const char *at, const char *why, struct og_error *err);

#endif
