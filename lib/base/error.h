/*
 * Errors: one code, one message, one place, handed up unchanged to the user.
 *
 * Every fallible function returns 0 or a negative OG_ERR_* and fills *err; functions that return
 * a pointer return NULL. Whoever finds the fault words it, once, with its place; callers pass it up
 * and add at most a prefix ("while doing X: ", og_error_prefix). lib/ never exits.
 *
 * Memory: struct og_error owns nothing and may be copied. A message longer than the buffer is
 * cut at a character boundary and ends in "...".
 * Threads: no shared state.
 */
#ifndef OG_BASE_ERROR_H
#define OG_BASE_ERROR_H

#include <stddef.h>
#include <stdint.h>

#define OG_MUST_CHECK __attribute__((warn_unused_result))
#define OG_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define OG_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OG_KIB 1024u
#define OG_MIB (1024u * 1024u)
#define OG_MIN(a, b) ((a) < (b) ? (a) : (b))
#define OG_MAX(a, b) ((a) > (b) ? (a) : (b))

enum og_err {
	OG_OK = 0,
	OG_ERR_NOMEM = -1,
	OG_ERR_IO = -2,		/* the system refused: errno's text is in the message */
	OG_ERR_CORRUPT = -3,	/* bytes of the store or a file are not what they must be */
	OG_ERR_BAD = -4,	/* the caller's input is wrong (400) */
	OG_ERR_NOT_FOUND = -5,	/* (404) */
	OG_ERR_EXISTS = -6,	/* put-if-absent met an object; a graph or branch is already there */
	OG_ERR_MISMATCH = -7,	/* put-if-match met another object (412) */
	OG_ERR_CONFLICT = -8,	/* lost a race, retry may succeed (409) */
	OG_ERR_GONE = -9,	/* its rows were given up (410) */
	OG_ERR_TOO_LARGE = -10, /* over a stated limit (413) */
	OG_ERR_TIMEOUT = -11,	/* over a time limit (504) */
	OG_ERR_CANCELLED = -12, /* nobody waits for the answer any more */
	OG_ERR_UNAVAILABLE = -13, /* may work in a moment (503) */
	OG_ERR_UNKNOWN = -14,	/* the outcome is not known: may or may not have happened (503) */
	OG_ERR_DENIED = -15,	/* (403) */
	OG_ERR_UNSUPPORTED = -16, /* a feature that this build lacks, said clearly (400) */
	OG_ERR_PEER = -17,	/* a process said what an honest one never says */
	OG_ERR_INTERNAL = -18,	/* our own fault (500) */
	OG_ERR_EVAL = -19,	/* internal to writes: re-evaluate on a newer state */
};

enum og_detail_kind {
	OG_DETAIL_NONE = 0,
	OG_DETAIL_MANIFEST,	/* manifest_conflict: name = table key, expected, actual */
	OG_DETAIL_KEY,		/* key_conflict: name = table key, id in `id` (may be empty) */
	OG_DETAIL_LIMIT,	/* resource_limit: name = resource, expected = limit, actual */
};

struct og_pos {
	uint64_t line;		/* 1-based; 0: none */
	uint64_t column;	/* 1-based */
	uint64_t byte;		/* offset in the source */
};

struct og_error {
	int code;		/* enum og_err; 0: no error */
	int sys;		/* errno where the system refused, else 0 */
	struct og_pos pos;
	struct {
		enum og_detail_kind kind;
		char name[160];
		char id[160];
		uint64_t expected, actual;
	} detail;
	char message[2048];	/* UTF-8, NUL-terminated */
};

/* All set *err (which may be NULL; what it held before is forgotten, the arguments may point into it) and return `code`,
 * so that one can `return og_error_set(...)`. */
int og_error_set(struct og_error *err, int code, const char *fmt, ...) OG_PRINTF(3, 4);
/* The same with a byte position (position of damage in a file). */
int og_error_at(struct og_error *err, int code, uint64_t byte, const char *fmt, ...) OG_PRINTF(4, 5);
/* "<what>: <strerror(errnum)>"; code OG_ERR_IO, or OG_ERR_NOT_FOUND / OG_ERR_EXISTS / OG_ERR_NOMEM
 * for ENOENT / EEXIST / ENOMEM. Pass errno explicitly, on the line after the call. */
int og_error_sys(struct og_error *err, int errnum, const char *fmt, ...) OG_PRINTF(3, 4);
int og_error_nomem(struct og_error *err);
/* Puts text before the message. Returns err->code. */
int og_error_prefix(struct og_error *err, const char *fmt, ...) OG_PRINTF(2, 3);
void og_error_clear(struct og_error *err);
/* A short name for logs: "not_found". Total over enum og_err. */
const char *og_error_name(int code);

#endif
