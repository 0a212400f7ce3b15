/*
 * Log object: one place in a graph's log, as bytes.
 *
 * Format (integers little-endian):
 *   0   8   magic `OGLOG1\r\n`; of a stub, whose bodies were cut off, `OGSTB1\r\n`
 *   8   4   H, length of the header, at most 4 MiB
 *   12  4   0
 *   16  8   length of the object as first written, at most 64 MiB
 *   24  8   0
 *   32  32  SHA-256 of the header: the digest of this object, `prev` of the next
 *   64  H   header, JSON in UTF-8: graph, seq, prev, object, host, at, making (true or left out), made:{seq,id} (or left out),
 *           bodies:[{off,len,sha256}], records:[...]
 *   64+H    bodies, back to back, `off` counted from here; nothing after the last
 * Trust:   bytes come from the store; every length is checked, in the order magic, lengths, digest, then what the header says.
 *          A body's own digest is checked by og_logobj_body, before use.
 * Memory:  decode copies the header's content into the arena; bodies borrow from the source.
 * Threads: pure functions.
 */
#ifndef OG_FORMAT_LOGOBJ_H
#define OG_FORMAT_LOGOBJ_H

#include "format/record.h"

#define OG_FRAME_SIZE 64
#define OG_LOG_HEADER_MAX (4u * OG_MIB)
#define OG_LOG_OBJECT_MAX (64u * OG_MIB)
#define OG_LOG_RECORDS_MAX 256u
#define OG_LOG_BATCH_BODIES (8u * OG_MIB)	/* a writer stops filling an object here */
#define OG_LOG_INLINE_MAX (1u * OG_MIB)		/* a longer delta is put as segments first */

struct og_log_body {
	uint64_t off;		/* in memory: from the start of the object */
	uint64_t len;
	struct og_sha256 sha256;
	bool sound;		/* og_logobj_body has looked, and need not again: the bytes belong to whoever holds the object */
};

/* A body that has no place yet: its bytes and their digest, made when there was time for it. */
struct og_log_part {
	struct og_slice bytes;
	struct og_sha256 sha256;
};

struct og_logobj {
	bool stub;
	bool hashed;			/* the bodies' digests were made from these very bytes: og_logobj_body does not look again */
	struct og_sha256 digest;
	uint64_t total;			/* length as first written */
	struct og_ulid graph;
	uint64_t seq;
	struct og_sha256 prev;
	struct og_ulid object;
	struct og_ulid host;
	int64_t at_us;
	/* Advice to the other hosts; nothing depends on it. */
	bool making;			/* a checkpoint was being made when this was written */
	struct og_ckpt_name made;	/* one that its writer has put since it last said so; seq 0: none */
	struct og_log_body *bodies;
	size_t nbodies;
	struct og_record *records;
	size_t nrecords;
	struct og_slice bytes;		/* the whole object, borrowed: of decode the source, of encode not set */
};

/*
 * The parts of a new object: `head` receives frame and header (bodies not included), o->digest and o->total are set.
 * `parts` are o->nbodies bodies, digests included; o->bodies is allocated in the arena and filled. OG_ERR_TOO_LARGE over a
 * limit. With the bodies appended to `head`, and o->bytes a view of it, o is what decode would make of it.
 */
int og_logobj_encode(struct og_arena *a, struct og_logobj *o, const struct og_log_part *parts, struct og_buf *head,
		     struct og_error *err) OG_MUST_CHECK;
static inline struct og_log_part og_log_part(struct og_slice bytes)
{
	return (struct og_log_part){ bytes, og_sha256(bytes) };
}
/* A whole object or stub. OG_ERR_CORRUPT (message without "log object N"), OG_ERR_UNSUPPORTED, OG_ERR_NOMEM. */
int og_logobj_decode(struct og_arena *a, struct og_slice src, struct og_logobj *out, struct og_error *err) OG_MUST_CHECK;
/* Body i of a decoded object, digest checked. OG_ERR_GONE: a stub; OG_ERR_CORRUPT. */
int og_logobj_body(const struct og_logobj *o, uint32_t i, struct og_slice *out, struct og_error *err) OG_MUST_CHECK;

/* Shared by log objects, checkpoints and history. 0 or OG_ERR_CORRUPT; max: of the header. */
struct og_frame {
	struct og_slice header;
	uint64_t total;
	struct og_sha256 digest;
};
int og_frame_decode(struct og_slice src, const char magic[8], uint64_t max, struct og_frame *out,
		    struct og_error *err) OG_MUST_CHECK;
void og_frame_encode(char out[OG_FRAME_SIZE], const char magic[8], struct og_slice header, uint64_t total,
		     struct og_sha256 *digest);

/* Object keys, all below a graph's prefix. */
#define OG_KEY_TEXT_MAX 160
struct og_key_text {
	char s[OG_KEY_TEXT_MAX];
};
struct og_key_text og_key_log(const struct og_ulid *graph, uint64_t seq);	 /* log/<gid>/<seq / 10000>/<seq> */
struct og_key_text og_key_log_folder(const struct og_ulid *graph, uint64_t seq);	/* ends in '/' */
struct og_key_text og_key_ckpt(const struct og_ulid *graph, uint64_t seq, const struct og_ulid *id);
struct og_key_text og_key_hist(const struct og_ulid *graph, const struct og_ulid *id);
struct og_key_text og_key_data(uint32_t type, const struct og_ulid *id);	/* data/<type id>/<ulid>.parquet */
struct og_key_text og_key_blob(const struct og_ulid *id);
/* The seq of a log key's last component; of a checkpoint's last component seq and id. false: no such name. */
bool og_key_parse_log(const char *name, uint64_t *seq);
bool og_key_parse_ckpt(const char *name, struct og_ckpt_name *out);

#endif
