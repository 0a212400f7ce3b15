/*
 * Every body of ipc/wire.h: a sample of each, and decoding followed by encoding. Shared by test_wire and fuzz_wire.
 */
#ifndef OG_T_WIRE_SAMPLES_H
#define OG_T_WIRE_SAMPLES_H

#include <string.h>

#include "base/error.h"
#include "ipc/wire.h"

struct wire_kind {
	const char *name;
	void (*sample)(struct og_buf *b);
	/* Decodes; on success encodes what it understood. */
	int (*recode)(struct og_slice s, struct og_arena *a, struct og_buf *b, struct og_error *err);
	bool lossy;		/* texts are cut, codes are mended: recoding need not give the same bytes */
};

static inline struct og_ulid sample_ulid(uint8_t v)
{
	struct og_ulid u;

	memset(u.b, v, sizeof(u.b));
	return u;
}

#define SAMPLE_ACTOR OG_SLICE("alice")

static inline void sample_error(struct og_buf *b)
{
	struct og_error e = { .code = OG_ERR_CONFLICT, .pos = { 3, 4, 5 } };

	og_error_set(&e, OG_ERR_CONFLICT, "stale view");
	e.detail.kind = OG_DETAIL_MANIFEST;
	memcpy(e.detail.name, "node:Port", 10);
	e.detail.expected = 7;
	e.detail.actual = 9;
	og_wire_put_error(b, &e);
}

static inline int recode_error(struct og_slice s, struct og_arena *a, struct og_buf *b, struct og_error *err)
{
	struct og_error e = { 0 };
	int rc = og_wire_get_error(s, &e, err);

	(void)a;
	if (rc == 0)
		og_wire_put_error(b, &e);
	return rc;
}

static inline void sample_open(struct og_buf *b)
{
	og_wire_put_open(b, &(struct og_wire_open){ OG_SLICE("main"), OG_SLICE("01ARZ3NDEKTSV4RRFFQ69G5FAV"), true, false });
}

static struct og_wire_table sample_tables[2] = {
	{ .type_id = 1, .table_version = 2, .dn = -3, .body = { "PAR1xPAR1", 9 } },
	{ .type_id = 2, .table_version = 5, .all = true, .rows = 8, .segments = true },
};

static inline struct og_wire_commit sample_commit(void)
{
	return (struct og_wire_commit){ .seq = 4, .branch = sample_ulid(1), .commit = sample_ulid(2), .parent = sample_ulid(3), .version = 6, .at_us = -7,
					.actor = SAMPLE_ACTOR, .tables = sample_tables, .ntables = 2 };
}

static struct og_wire_layer sample_layers[2] = {
	{ .kind = OG_LAYER_SEGMENT, .rows = 3, .bytes = 400 },
	{ .kind = OG_LAYER_BODY, .seq = 9, .body = 1, .bytes = 20 },
};

static struct og_wire_type sample_types[2] = {
	{ .type_id = 1, .kind = 0, .name = { "Port", 4 }, .content = { 1, 2 }, .base_rows = 3, .table_version = 4, .layers = sample_layers, .nlayers = 2 },
	{ .type_id = 2, .kind = 1, .name = { "DocksAt", 7 } },
};

static inline void sample_head(struct og_buf *b)
{
	struct og_wire_commit c = sample_commit();

	og_wire_put_head(b, &(struct og_wire_head){ .graph = sample_ulid(1), .branch = sample_ulid(1), .base_commit = sample_ulid(2),
						    .branch_name = OG_SLICE("main"), .base_seq = 3, .base_version = 4, .seq = 5, .bell = 6,
						    .schema = OG_SLICE("node A {}"), .types = sample_types, .ntypes = 2, .tail = &c, .ntail = 1 });
}

static inline void sample_catchup(struct og_buf *b)
{
	og_wire_put_catchup(b, &(struct og_wire_catchup){ sample_ulid(1), 2, 3, true });
}

static inline void sample_tail(struct og_buf *b)
{
	struct og_wire_commit c[2] = { sample_commit(), sample_commit() };

	c[1].actor = og_slice(NULL, 0);
	c[1].ntables = 0;
	og_wire_put_tail(b, &(struct og_wire_tail){ sample_ulid(1), 2, 3, 4, false, c, 2 });
}

static inline void sample_image(struct og_buf *b)
{
	og_wire_put_image(b, &(struct og_wire_image){ 1, 3, 2, 0, { 1, 2 }, { 3, 4 }, { 5, 6 } });
}

static inline void sample_claim(struct og_buf *b)
{
	og_wire_put_claim(b, &(struct og_wire_claim){ { 1, 3, 2, 0, { 1, 2 }, { 3, 4 }, { 5, 6 } }, 7 });
}

static inline void sample_segput(struct og_buf *b)
{
	og_wire_put_segput(b, &(struct og_wire_segput){ 1, 2, OG_SLICE("PAR1rowsPAR1") });
}

static inline void sample_segget(struct og_buf *b)
{
	og_wire_put_segget(b, &(struct og_wire_segget){ 1, sample_layers[1] });
}

static inline void sample_commit_req(struct og_buf *b)
{
	static const uint32_t types[2] = { 1, 2 };
	static const uint64_t keys[3] = { 1, 5, UINT64_MAX };
	struct og_wire_segment seg = { .id = sample_ulid(9), .rows = 2, .bytes = 3 };
	struct og_wire_write w[2] = { { .type_id = 1, .dn = -1, .body = OG_SLICE("PAR1") }, { .type_id = 2, .all = true, .rows = 5, .segs = &seg, .nsegs = 1 } };

	og_wire_put_commit_req(b, &(struct og_wire_commit_req){ .branch = sample_ulid(1), .base_commit = sample_ulid(2), .base_seq = 3, .confirmed = true,
								.op = OG_WIRE_LOAD, .actor = SAMPLE_ACTOR, .deadline_ms = 4, .strict = types,
								.nstrict = 2, .scanned = types, .nscanned = 1, .reads = keys, .nreads = 3,
								.writes = keys, .nwrites = 1, .tables = w, .ntables = 2 });
}

static inline void sample_committed(struct og_buf *b)
{
	struct og_wire_commit c = sample_commit();

	og_wire_put_committed(b, &c, 77);
}

static inline void sample_conflict(struct og_buf *b)
{
	og_wire_put_conflict(b, &(struct og_wire_conflict){ true, false, 1, 2, 3, OG_SLICE("moved") });
}

static inline void sample_init(struct og_buf *b)
{
	og_wire_put_init(b, &(struct og_wire_init){ OG_SLICE("node A {}"), sample_types, 2, true });
}

static struct og_wire_range sample_ranges[2] = { { .index = 0, .len = 10 }, { .index = 1, .off = 10, .len = 20, .check = true, .sha256 = { 1, 2 } } };

static inline void sample_input(struct og_buf *b)
{
	og_wire_put_input(b, &(struct og_wire_input){ 1, OG_IN_LAYERS, { 1, 3, 2, 0, { 1, 2 }, { 3, 4 }, { 5, 6 } }, sample_ranges, 2 });
}

static inline void sample_build(struct og_buf *b)
{
	struct og_wire_image want = { 1, 3, 2, 0, { 1, 2 }, { 3, 4 }, { 5, 6 } };

	og_wire_put_build(b, &(struct og_wire_build){ .job = 1, .kind = OG_JOB_FOLD, .schema = OG_SLICE("node A {}"), .types = sample_types, .ntypes = 2,
						      .type_id = 1, .nlayers = 2, .nsrc_ids = 3, .ndst_ids = 4, .content = { 1, 2 }, .src = { 3, 4 },
						      .dst = { 5, 6 }, .wants = &want, .nwants = 1 });
}

static inline void sample_built(struct og_buf *b)
{
	og_wire_put_built(b, &(struct og_wire_built){ .job = 1, .more = true, .about = true, .key = { 1, 3, 2, 0, { 1, 2 }, { 3, 4 }, { 5, 6 } }, .bytes = 2, .rows = 3,
						      .code = OG_ERR_CORRUPT, .message = OG_SLICE("page 3") });
}

static inline void sample_about(struct og_buf *b)
{
	struct og_wire_about_file files[2] = { { true, OG_SLICE("\"minValues\":{}") }, { false, { 0 } } };

	og_wire_put_about(b, &(struct og_wire_about){ OG_SLICE("{}"), OG_SLICE("why"), files, 2 });
}

/* Decoders with an arena and without. */
#define WIRE_RECODE_A(name, type, get, put) \
	static inline int recode_##name(struct og_slice s, struct og_arena *a, struct og_buf *b, struct og_error *err) \
	{ \
		struct type v = { 0 }; \
		int rc = get(s, a, &v, err); \
\
		if (rc == 0) \
			put(b, &v); \
		return rc; \
	}
#define WIRE_RECODE(name, type, get, put) \
	static inline int recode_##name(struct og_slice s, struct og_arena *a, struct og_buf *b, struct og_error *err) \
	{ \
		struct type v = { 0 }; \
		int rc = get(s, &v, err); \
\
		(void)a; \
		if (rc == 0) \
			put(b, &v); \
		return rc; \
	}

WIRE_RECODE(open, og_wire_open, og_wire_get_open, og_wire_put_open)
WIRE_RECODE_A(head, og_wire_head, og_wire_get_head, og_wire_put_head)
WIRE_RECODE(catchup, og_wire_catchup, og_wire_get_catchup, og_wire_put_catchup)
WIRE_RECODE_A(tail, og_wire_tail, og_wire_get_tail, og_wire_put_tail)
WIRE_RECODE(image, og_wire_image, og_wire_get_image, og_wire_put_image)
WIRE_RECODE(claim, og_wire_claim, og_wire_get_claim, og_wire_put_claim)
WIRE_RECODE(segput, og_wire_segput, og_wire_get_segput, og_wire_put_segput)
WIRE_RECODE(segget, og_wire_segget, og_wire_get_segget, og_wire_put_segget)
WIRE_RECODE_A(commit_req, og_wire_commit_req, og_wire_get_commit_req, og_wire_put_commit_req)
WIRE_RECODE(conflict, og_wire_conflict, og_wire_get_conflict, og_wire_put_conflict)
WIRE_RECODE_A(init, og_wire_init, og_wire_get_init, og_wire_put_init)
WIRE_RECODE_A(input, og_wire_input, og_wire_get_input, og_wire_put_input)
WIRE_RECODE_A(build, og_wire_build, og_wire_get_build, og_wire_put_build)
WIRE_RECODE_A(about, og_wire_about, og_wire_get_about, og_wire_put_about)
WIRE_RECODE(built, og_wire_built, og_wire_get_built, og_wire_put_built)

static inline int recode_committed(struct og_slice s, struct og_arena *a, struct og_buf *b, struct og_error *err)
{
	struct og_wire_commit c = { 0 };
	uint64_t bell;
	int rc = og_wire_get_committed(s, a, &c, &bell, err);

	if (rc == 0)
		og_wire_put_committed(b, &c, bell);
	return rc;
}

static const struct wire_kind wire_kinds[] = {
	{ "error", sample_error, recode_error, true },	   { "open", sample_open, recode_open, false },
	{ "head", sample_head, recode_head, false },	   { "catchup", sample_catchup, recode_catchup, false },
	{ "tail", sample_tail, recode_tail, false },	   { "image", sample_image, recode_image, false },
	{ "claim", sample_claim, recode_claim, false },
	{ "segput", sample_segput, recode_segput, false }, { "segget", sample_segget, recode_segget, false },
	{ "commit_req", sample_commit_req, recode_commit_req, false },
	{ "committed", sample_committed, recode_committed, false },
	{ "conflict", sample_conflict, recode_conflict, false },
	{ "init", sample_init, recode_init, false },	   { "input", sample_input, recode_input, false },
	{ "build", sample_build, recode_build, false },	   { "built", sample_built, recode_built, false },
	{ "about", sample_about, recode_about, false },
};

#endif
