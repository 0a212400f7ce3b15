/*
 * Request heads and chunked bodies, incrementally, in place. Private to lib/http (and its tests).
 * Source:  RFC 9112 sections 2 to 7; what is refused beyond it stands in server.h.
 * Trust:   hostile bytes. Work is linear in the bytes: nothing already scanned is scanned again.
 * Memory:  positions are offsets, so the buffer may move between calls. Threads: values.
 */
#ifndef OG_HTTP_PARSE_H
#define OG_HTTP_PARSE_H

#include "http/server.h"

/* Starts as {0}. */
struct og_http_head {
	/* Offsets into the buffer; set once their line was read. */
	size_t method_at, method_len;
	size_t path_at, path_len;
	size_t query_at, query_len;
	size_t fields_at, fields_len;
	bool has_query;
	uint8_t minor;
	bool keep_alive;	/* after all lines: what the client asks for */
	bool chunked;
	bool has_length;
	bool expect_continue;
	uint64_t length;
	/* Where the scan stands. */
	size_t line_at;		/* start of the line being looked for */
	size_t scan_at;		/* no line end before this */
	unsigned nfields;
	bool have_line;		/* the request line was read */
	bool saw_close, saw_keep_alive, saw_encoding;
};

enum { OG_HTTP_MORE = 0 };

/*
 * Looks at buf[0..len), which starts where the request does. OG_HTTP_MORE: incomplete; > 0: the head is complete and this many bytes long;
 * < 0: refused with the negated status, 400, 414 or 431.
 */
long og_http_head_parse(struct og_http_head *h, const char *buf, size_t len);

/* Starts as {0}. */
struct og_http_chunks {
	uint64_t left;		/* data bytes of this chunk still to come */
	uint32_t overhead;	/* bytes of extensions and trailers so far */
	uint8_t state, digits;
};

enum og_http_chunk {
	OG_HTTP_CHUNK_MORE,	/* all input used */
	OG_HTTP_CHUNK_DATA,	/* *data is a piece */
	OG_HTTP_CHUNK_END,	/* the body and its trailers are over */
	OG_HTTP_CHUNK_BROKEN,
};
/* Advances *pos over in; a piece points into it. */
enum og_http_chunk og_http_chunks_next(struct og_http_chunks *c, struct og_slice in, size_t *pos, struct og_slice *data);

/* Value of the first line `name` at or after *pos in a block of checked header lines; *pos goes behind it. */
bool og_http_field_next(struct og_slice fields, const char *name, size_t *pos, struct og_slice *value);
/* a equals b but for ASCII case. */
bool og_http_same(struct og_slice a, const char *b);

#endif
