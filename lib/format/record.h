/*
 * Records of a graph's log: what one log object, one history chunk or one checkpoint says happened.
 *
 * Format: JSON objects, member names as in the comments; integers as JSON numbers, ULIDs and digests as strings. Unknown
 * members are ignored; an unknown kind is OG_ERR_UNSUPPORTED (a newer program wrote it: stop).
 * Trust:  bytes of the store; every number is range checked, every index checked against the bodies of the object.
 * Memory: decoded records live in the caller's arena and borrow nothing from the source.
 * Threads: plain data.
 */
#ifndef OG_FORMAT_RECORD_H
#define OG_FORMAT_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/slice.h"
#include "base/ulid.h"

#define OG_NO_BODY UINT32_MAX

enum og_record_kind {		/* "k" */
	OG_REC_COMMIT = 1,
	OG_REC_CREATE,
	OG_REC_DELETE,
	OG_REC_FLOOR,
	OG_REC_PIN,
	OG_REC_UNPIN,
	OG_REC_FORMAT,
	OG_REC_END,
};

enum og_commit_op {		/* "op" */
	OG_OP_GENESIS = 0,	/* never in a log object */
	OG_OP_MUTATE,
	OG_OP_LOAD,
	OG_OP_MERGE,
	OG_OP_SCHEMA,
	OG_OP_REPAIR,
};

/* An object data/<type id>/<ulid>.parquet. */
struct og_seg {
	struct og_ulid id;
	uint64_t rows;		/* in the file, whatever is deleted above it */
	uint64_t bytes;		/* of the object */
	struct og_sha256 sha256;
	bool plain;		/* in checkpoints: every row is there and new, nothing below is replaced or deleted by it */
};

/* What a commit did to one type: "t", "v", "dn" or "all" and "n", "body", "segs", "as". */
struct og_table_change {
	uint32_t type;
	uint64_t version;	/* after the commit */
	bool all;		/* the content before is replaced: `rows` is the new count */
	bool as;		/* the content becomes that of the merged commit; rows, body, segs unused */
	int64_t dn;		/* !all: rows added less rows deleted */
	uint64_t rows;		/* all: rows afterwards */
	uint32_t body;		/* index of the inline Parquet delta, or OG_NO_BODY */
	struct og_seg *segs;	/* base up, below `body` */
	size_t nsegs;
};

struct og_type_decl {		/* {id, kind, name} */
	uint32_t id;
	char kind;		/* 'n' node, 'e' edge */
	struct og_slice name;
};

struct og_schema_change {
	bool present;
	struct og_sha256 digest;	/* of the source text */
	uint32_t body;			/* the source text; OG_NO_BODY in hist and checkpoints */
	struct og_type_decl *types;	/* all types afterwards, by id */
	size_t ntypes;
	uint32_t *purge;		/* type ids whose rows below this commit are given up at once */
	size_t npurge;
};

struct og_ckpt_name {		/* {seq, id}: one checkpoint */
	uint64_t seq;
	struct og_ulid id;
};

struct og_record {
	enum og_record_kind kind;
	struct og_ulid id;	/* of a commit: the commit id; of a create: the branch id */
	int64_t at_us;		/* microseconds since the epoch, by the author's clock */
	struct og_slice actor;	/* p NULL: null */

	struct {
		enum og_commit_op op;
		struct og_ulid branch;		/* "b" */
		uint64_t version;		/* "ver" */
		struct og_ulid parent;
		bool has_merged;
		struct og_ulid merged_branch;	/* "merged": {b, commit} */
		struct og_ulid merged_commit;
		struct og_table_change *tables;	/* by type id, each once */
		size_t ntables;
		struct og_ulid *blobs;
		size_t nblobs;
		uint32_t keys_body;		/* "keys": index of the W and R hashes, or OG_NO_BODY */
		bool all_keys;
		struct og_schema_change schema;
	} commit;
	struct {
		struct og_slice name;
		struct og_ulid from, fork;
	} create;
	struct og_ulid branch;	/* delete: "b" */
	struct {
		struct og_ulid before;
		struct og_ckpt_name *keep;
		size_t nkeep;
	} floor;
	struct og_ulid pinned;	/* pin, unpin: "commit" */
	struct {
		uint32_t min_reader, min_writer;
	} format;
	struct {
		bool has_next;
		struct og_ulid next;	/* gid of the graph that takes this one's place */
	} end;
};

const char *og_record_kind_name(enum og_record_kind k);	/* "commit" */
const char *og_commit_op_name(enum og_commit_op op);		/* "mutate" */

struct og_json_writer;
struct og_json;
/* Writes the record as one JSON object. It must be well formed (it is our own) and its strings UTF-8. */
void og_record_write(struct og_json_writer *w, const struct og_record *r);
/* What reading back would make of the record, body indexes included; nothing of `r` is borrowed. OG_ERR_NOMEM, or over the arena's limit. */
int og_record_copy(struct og_arena *a, const struct og_record *r, struct og_record *out, struct og_error *err) OG_MUST_CHECK;
/*
 * j: the JSON of one record. nbodies: how many bodies its object has (indexes are checked against it); without has_bodies (a
 * checkpoint, history) indexes become OG_NO_BODY, whatever was written.
 * OG_ERR_CORRUPT with what is wrong, OG_ERR_UNSUPPORTED, OG_ERR_NOMEM.
 */
int og_record_read(struct og_arena *a, const struct og_json *j, bool has_bodies, uint32_t nbodies, struct og_record *out,
		   struct og_error *err) OG_MUST_CHECK;

#endif
