/* Bytes of the log: log objects, format.json, checkpoints, history, keys; and every way to damage them. */
#include "config.h"

#include "t/check.h"
#include <stdio.h>
#include <stdlib.h>

#include "format/ckpt.h"
#include "format/genesis.h"
#include "format/keys.h"
#include "json/writer.h"

static struct og_arena arena;
static struct og_error err;
static struct og_ulid_gen gen;
static struct og_buf good;	/* a log object as stored */
static struct og_logobj obj;	/* it */

static struct og_ulid ulid(void)
{
	struct og_ulid u;

	ck_assert_int_eq(og_ulid_new(&gen, &u, &err), 0);
	return u;
}

static struct og_record *sample_records(size_t *n)
{
	static struct og_table_change tables[3];
	static struct og_seg segs[2];
	static struct og_ckpt_name keep[2];
	static struct og_ulid blobs[1];
	static struct og_type_decl types[2];
	static struct og_record r[9];
	static uint32_t purge[1] = { 3 };

	for (size_t i = 0; i < OG_COUNT(r); i++) {
		memset(&r[i], 0, sizeof(r[i]));
		r[i].id = ulid();
		r[i].at_us = 1781007600123456 + (int64_t)i;
		r[i].commit.keys_body = r[i].commit.schema.body = OG_NO_BODY;
	}
	segs[0] = (struct og_seg){ .id = ulid(), .rows = 5, .bytes = 1000 };
	segs[1] = (struct og_seg){ .id = ulid(), .rows = UINT64_MAX, .bytes = 1 };
	tables[0] = (struct og_table_change){ .type = 1, .version = 7, .dn = -3, .body = 0 };
	tables[1] = (struct og_table_change){
		.type = 2, .version = 8, .all = true, .rows = 10, .body = OG_NO_BODY, .segs = segs, .nsegs = 2
	};
	tables[2] = (struct og_table_change){ .type = 4000000000u, .version = 2, .as = true, .body = OG_NO_BODY };
	r[0].kind = OG_REC_COMMIT;
	r[0].actor = OG_SLICE("act-m\xc3\xafra \"quoted\"");
	r[0].commit.op = OG_OP_MERGE;
	r[0].commit.branch = ulid();
	r[0].commit.version = 12;
	r[0].commit.parent = ulid();
	r[0].commit.has_merged = true;
	r[0].commit.merged_branch = ulid();
	r[0].commit.merged_commit = ulid();
	r[0].commit.tables = tables;
	r[0].commit.ntables = 3;
	blobs[0] = ulid();
	r[0].commit.blobs = blobs;
	r[0].commit.nblobs = 1;
	r[0].commit.keys_body = 1;
	r[1].kind = OG_REC_COMMIT;
	types[0] = (struct og_type_decl){ .id = 1, .kind = 'n', .name = OG_SLICE("Vessel") };
	types[1] = (struct og_type_decl){ .id = 2, .kind = 'e', .name = OG_SLICE("Owns") };
	r[1].commit.op = OG_OP_SCHEMA;
	r[1].commit.all_keys = true;
	r[1].commit.schema = (struct og_schema_change){
		.present = true, .body = 2, .types = types, .ntypes = 2, .purge = purge, .npurge = 1
	};
	r[2].kind = OG_REC_CREATE;
	r[2].create.name = OG_SLICE("dock/plan-7");
	r[2].create.from = ulid();
	r[2].create.fork = ulid();
	r[3].kind = OG_REC_DELETE;
	r[3].branch = ulid();
	r[4].kind = OG_REC_FLOOR;
	r[4].floor.before = ulid();
	keep[0] = (struct og_ckpt_name){ 5, ulid() };
	keep[1] = (struct og_ckpt_name){ 9, ulid() };
	r[4].floor.keep = keep;
	r[4].floor.nkeep = 2;
	r[5].kind = OG_REC_PIN;
	r[5].pinned = ulid();
	r[6].kind = OG_REC_UNPIN;
	r[6].pinned = ulid();
	r[7].kind = OG_REC_FORMAT;
	r[7].format.min_reader = 1;
	r[7].format.min_writer = 2;
	r[8].kind = OG_REC_END;
	r[8].end.has_next = true;
	r[8].end.next = ulid();
	*n = OG_COUNT(r);
	return r;
}

static void setup(void)
{
	struct og_log_part parts[3] = { og_log_part(OG_SLICE("PAR1 rows")), { 0 }, og_log_part(OG_SLICE("node Vessel {}")) };
	struct og_buf keys = { 0 };
	uint64_t w[3] = { 9, 1, 9 };
	size_t n = og_keys_sort(w, 3);

	og_arena_init(&arena, 0);
	og_keys_encode(&keys, w, n);
	parts[1] = og_log_part(og_buf_view(&keys));
	memset(&obj, 0, sizeof(obj));
	obj.graph = ulid();
	obj.seq = 10001;
	obj.prev = og_sha256(OG_SLICE("before"));
	obj.object = ulid();
	obj.host = ulid();
	obj.at_us = -1;
	obj.making = true;
	obj.made = (struct og_ckpt_name){ 9990, ulid() };
	obj.nbodies = 3;
	obj.records = sample_records(&obj.nrecords);
	ck_assert_msg(og_logobj_encode(&arena, &obj, parts, &good, &err) == 0, "%s", err.message);
	for (int i = 0; i < 3; i++)
		og_buf_slice(&good, parts[i].bytes);
	ck_assert_uint_eq(good.len, obj.total);
	og_buf_fini(&keys);
}

static void teardown(void)
{
	og_buf_fini(&good);
	og_arena_fini(&arena);
}

START_TEST(reads_back_what_was_written)
{
	struct og_logobj o;
	struct og_slice body;
	const uint64_t *w;
	size_t n;

	ck_assert_msg(og_logobj_decode(&arena, og_buf_view(&good), &o, &err) == 0, "%s", err.message);
	ck_assert(og_sha256_eq(&o.digest, &obj.digest));
	ck_assert(og_sha256_eq(&o.prev, &obj.prev));
	ck_assert_uint_eq(o.seq, 10001);
	ck_assert_int_eq(o.at_us, -1);
	ck_assert(o.making);
	ck_assert_uint_eq(o.made.seq, 9990);
	ck_assert_int_eq(og_ulid_cmp(&o.made.id, &obj.made.id), 0);
	ck_assert_uint_eq(o.nrecords, obj.nrecords);
	for (size_t i = 0; i < o.nrecords; i++) {
		ck_assert_int_eq(o.records[i].kind, obj.records[i].kind);
		ck_assert_int_eq(og_ulid_cmp(&o.records[i].id, &obj.records[i].id), 0);
		ck_assert_int_eq(o.records[i].at_us, obj.records[i].at_us);
	}
	ck_assert(og_slice_eq(o.records[0].actor, obj.records[0].actor));
	ck_assert_ptr_null(o.records[1].actor.p);
	ck_assert_uint_eq(o.records[0].commit.ntables, 3);
	ck_assert_int_eq(o.records[0].commit.tables[0].dn, -3);
	ck_assert_uint_eq(o.records[0].commit.tables[1].segs[1].rows, UINT64_MAX);
	ck_assert(o.records[0].commit.tables[2].as);
	ck_assert_uint_eq(o.records[0].commit.tables[2].type, 4000000000u);
	ck_assert_int_eq(o.records[1].commit.schema.types[1].kind, 'e');
	ck_assert_uint_eq(o.records[1].commit.schema.purge[0], 3);
	ck_assert(og_slice_is(o.records[2].create.name, "dock/plan-7"));
	ck_assert_uint_eq(o.records[4].floor.keep[1].seq, 9);
	ck_assert_uint_eq(o.records[7].format.min_writer, 2);
	ck_assert(o.records[8].end.has_next);
	ck_assert_int_eq(og_logobj_body(&o, 0, &body, &err), 0);
	ck_assert(og_slice_is(body, "PAR1 rows"));
	ck_assert_int_eq(og_logobj_body(&o, 1, &body, &err), 0);
	ck_assert_int_eq(og_keys_decode(&arena, body, &w, &n, &err), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(w[1], 9);
	ck_assert_int_eq(og_logobj_body(&o, 2, &body, &err), 0);
	ck_assert(og_slice_is(body, "node Vessel {}"));
}
END_TEST

static char *json_of(const struct og_record *r)
{
	struct og_json_writer w;
	struct og_buf b = { 0 };

	og_json_writer_init(&w, &b, false);
	og_record_write(&w, r);
	og_buf_byte(&b, 0);
	ck_assert(!b.failed);
	return b.data;
}

/* Nothing borrowed, and no value where a reader finds no member. */
START_TEST(a_copy_is_what_reading_back_gives)
{
	struct og_logobj o;
	struct og_record copy;
	char *want, *have;

	ck_assert_int_eq(og_logobj_decode(&arena, og_buf_view(&good), &o, &err), 0);
	for (size_t i = 0; i < obj.nrecords; i++) {
		struct og_record *r = &obj.records[i];
		struct og_arena a;

		for (size_t k = 0; r->kind == OG_REC_COMMIT && k < r->commit.ntables; k++) {
			struct og_table_change *t = &r->commit.tables[k];

			t->dn = t->as || t->all ? 77 : t->dn;
			t->rows = t->as || !t->all ? 88 : t->rows;
			for (size_t s = 0; s < t->nsegs; s++)
				t->segs[s].plain = true;
		}
		og_arena_init(&a, 0);
		ck_assert_int_eq(og_record_copy(&a, r, &copy, &err), 0);
		want = json_of(&o.records[i]);
		have = json_of(&copy);
		ck_assert_str_eq(have, want);
		free(want);
		free(have);
		for (size_t k = 0; r->kind == OG_REC_COMMIT && k < r->commit.ntables; k++) {
			const struct og_table_change *x = &copy.commit.tables[k], *y = &o.records[i].commit.tables[k];

			ck_assert_int_eq(x->dn, y->dn);
			ck_assert_uint_eq(x->rows, y->rows);
			for (size_t s = 0; s < x->nsegs; s++) {
				ck_assert_ptr_ne(&x->segs[s], &r->commit.tables[k].segs[s]);
				ck_assert_int_eq(x->segs[s].plain, y->segs[s].plain);
			}
		}
		ck_assert(!copy.actor.p == !r->actor.p && (!copy.actor.p || copy.actor.p != r->actor.p));
		og_arena_fini(&a);
	}
}
END_TEST

/* Wherever it is cut off: an error, no read past the end, the output untouched. */
START_TEST(refuses_every_prefix)
{
	for (size_t len = 0; len < good.len; len++) {
		char *cut = malloc(len ? len : 1);
		struct og_logobj o = { .seq = 7 };

		memcpy(cut, good.data, len);
		ck_assert_int_eq(og_logobj_decode(&arena, og_slice(cut, len), &o, &err), OG_ERR_CORRUPT);
		ck_assert_uint_eq(o.seq, 7);
		free(cut);
		og_arena_reset(&arena);
	}
}
END_TEST

/* Every byte matters: frame and header are refused, a body's digest is. */
START_TEST(notices_every_flipped_byte)
{
	size_t head = OG_FRAME_SIZE + *(uint32_t *)(good.data + 8);

	for (size_t i = 0; i < good.len; i++) {
		struct og_logobj o;
		struct og_slice body;
		int bad = 0;

		good.data[i] ^= 1 << (i % 8);
		if (og_logobj_decode(&arena, og_buf_view(&good), &o, &err) < 0) {
			ck_assert_int_eq(err.code, OG_ERR_CORRUPT);
			bad = 1;
		} else {
			ck_assert_uint_ge(i, head);
			for (uint32_t k = 0; k < o.nbodies; k++)
				bad += og_logobj_body(&o, k, &body, &err) < 0;
		}
		ck_assert_int_eq(bad, 1);
		good.data[i] ^= 1 << (i % 8);
		og_arena_reset(&arena);
	}
}
END_TEST

START_TEST(a_stub_has_the_digest_but_no_rows)
{
	size_t head = OG_FRAME_SIZE + *(uint32_t *)(good.data + 8);
	struct og_logobj o;
	struct og_slice body;

	memcpy(good.data, "OGSTB1\r\n", 8);
	ck_assert_int_eq(og_logobj_decode(&arena, og_buf_view(&good), &o, &err), OG_ERR_CORRUPT);
	ck_assert_int_eq(og_logobj_decode(&arena, og_slice(good.data, head), &o, &err), 0);
	ck_assert(o.stub);
	ck_assert(og_sha256_eq(&o.digest, &obj.digest));
	ck_assert_int_eq(og_logobj_body(&o, 0, &body, &err), OG_ERR_GONE);
	ck_assert_str_eq(err.message, "log object 10001: rows missing");
}
END_TEST

/* A header that is whole but says what no writer says. */
START_TEST(refuses_contradictions)
{
	static const struct {
		const char *from, *to;
		int code;
	} cases[] = {
		{ "\"k\":\"pin\"", "\"k\":\"pig\"", OG_ERR_UNSUPPORTED },
		{ "\"body\":0", "\"body\":3", OG_ERR_CORRUPT },
		{ "\"off\":0", "\"off\":1", OG_ERR_CORRUPT },
		{ "\"op\":\"merge\"", "\"op\":\"repai\"", OG_ERR_CORRUPT },
		{ "\"t\":2", "\"t\":1", OG_ERR_CORRUPT },
		{ "\"all\":true", "\"all\":\"tr\"", OG_ERR_CORRUPT },
		{ "\"ver\":12", "\"ver\":-2", OG_ERR_CORRUPT },
		{ "\"kind\":\"node\"", "\"kind\":\"mode\"", OG_ERR_CORRUPT },
	};

	for (size_t i = 0; i < OG_COUNT(cases); i++) {
		struct og_buf b = { 0 };
		struct og_logobj o;
		struct og_sha256 d;
		size_t h = *(uint32_t *)(good.data + 8);
		char *at;

		og_buf_slice(&b, og_buf_view(&good));
		at = memmem(b.data, b.len, cases[i].from, strlen(cases[i].from));
		ck_assert_ptr_nonnull(at);
		memcpy(at, cases[i].to, strlen(cases[i].to));
		d = og_sha256(og_slice(b.data + 64, h));
		memcpy(b.data + 32, d.b, 32);
		ck_assert_int_eq(og_logobj_decode(&arena, og_buf_view(&b), &o, &err), cases[i].code);
		og_buf_fini(&b);
	}
}
END_TEST

START_TEST(keys_of_objects)
{
	struct og_ulid g = og_ulid_at(0), id = ulid();
	struct og_ckpt_name name;
	uint64_t seq;

	ck_assert_str_eq(og_key_log(&g, 12345678).s,
			 "log/00000000000000000000000000/0000000000001234/00000000000012345678");
	ck_assert_str_eq(og_key_data(7, &g).s, "data/7/00000000000000000000000000.parquet");
	ck_assert(og_key_parse_log("00000000000012345678", &seq));
	ck_assert_uint_eq(seq, 12345678);
	ck_assert(!og_key_parse_log("0000000000001234567", &seq));
	ck_assert(!og_key_parse_log("+0000000000012345678", &seq));
	ck_assert(og_key_parse_ckpt(strrchr(og_key_ckpt(&g, 42, &id).s, '/') + 1, &name));
	ck_assert_uint_eq(name.seq, 42);
	ck_assert_int_eq(og_ulid_cmp(&name.id, &id), 0);
	/* newest first */
	ck_assert_int_lt(strcmp(og_key_ckpt(&g, 43, &id).s, og_key_ckpt(&g, 42, &id).s), 0);
}
END_TEST

START_TEST(genesis_round_trip_and_damage)
{
	struct og_type_decl types[] = { { .id = 1, .kind = 'n', .name = OG_SLICE("Port") } };
	struct og_genesis g = {
		.graph = ulid(), .attempt = ulid(), .min_reader = 1, .min_writer = 1, .at_us = 5, .id = ulid(),
		.schema = OG_SLICE("node Port {\n\tcode: String @key\n}\n"), .types = types, .ntypes = 1,
	}, back;
	struct og_buf b = { 0 };

	g.schema_digest = og_sha256(g.schema);
	ck_assert_int_eq(og_genesis_encode(&g, &b, &err), 0);
	ck_assert_msg(og_genesis_decode(&arena, og_buf_view(&b), &back, &err) == 0, "%s", err.message);
	ck_assert(og_slice_eq(back.schema, g.schema));
	ck_assert_int_eq(og_ulid_cmp(&back.graph, &g.graph), 0);
	ck_assert(og_slice_is(back.types[0].name, "Port"));
	for (size_t len = 0; len < b.len; len++)
		ck_assert_int_eq(og_genesis_decode(&arena, og_slice(b.data, len), &back, &err), OG_ERR_CORRUPT);
	/* Any other graph id is as good a ULID: that of an empty log, under which all rows would seem gone. */
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		b.data[bit / 8] ^= (char)(1 << bit % 8);
		ck_assert_msg(og_genesis_decode(&arena, og_buf_view(&b), &back, &err) < 0, "bit %zu", bit);
		b.data[bit / 8] ^= (char)(1 << bit % 8);
	}
	memcpy(memmem(b.data, b.len, "\"omnigraph\":1", 13), "\"omnigraph\":2", 13);
	ck_assert_int_eq(og_genesis_decode(&arena, og_buf_view(&b), &back, &err), OG_ERR_UNSUPPORTED);
	og_buf_fini(&b);
}
END_TEST

START_TEST(checkpoint_round_trip_and_damage)
{
	struct og_type_decl types[] = {
		{ .id = 1, .kind = 'n', .name = OG_SLICE("Port") }, { .id = 2, .kind = 'n', .name = OG_SLICE("Pier") }
	};
	struct og_ckpt_schema schema = {
		.commit = ulid(), .text = OG_SLICE("text"), .types = types, .ntypes = 2, .digest = og_sha256(OG_SLICE("text"))
	};
	struct og_ckpt_branch branches[] = {
		{ .id = ulid(), .name = OG_SLICE("main"), .live = true, .head = ulid(), .version = 3 },
		{ .id = ulid(), .name = OG_SLICE("old"), .from = ulid(), .fork = ulid() },
	};
	struct og_ckpt_layer layers[] = {
		{ .type = 1, .seg = { .id = ulid(), .rows = 3, .bytes = 4 } },
		{ .type = 1, .in_log = true, .seq = 9, .body = 2, .off = 100, .len = 50 },
	};
	uint32_t list[] = { 0, 1 };
	struct og_ckpt_table t0[] = { { .type = 1, .version = 2, .rows = 4, .layers = list, .nlayers = 2 },
				      { .type = 2, .version = 1 } };
	struct og_ckpt_table t1[] = { { .type = 1, .version = 2, .rows = 4, .layers = list, .nlayers = 2 },
				      { .type = 2, .version = 5, .rows = 1 } };
	struct og_ckpt_state states[] = { { .commit = ulid(), .branch = ulid(), .version = 3, .tables = t0, .ntables = 2 },
					  { .commit = ulid(), .branch = ulid(), .version = 4, .tables = t1, .ntables = 2 } };
	struct og_placed_record recent[2] = { { .seq = 8, .index = 1 }, { .seq = 9, .index = 0 } };
	struct og_ckpt_hist hist[1] = { { .id = ulid(), .first = 1, .last = 7, .count = 7 } };
	struct og_ckpt_pin pins[1] = { { .id = ulid(), .commit = ulid(), .at_us = 3 } };
	struct og_ckpt c = {
		.graph = ulid(), .seq = 9, .host = ulid(), .object = ulid(), .at_us = 1, .branches = branches, .nbranches = 2,
		.schemas = &schema, .nschemas = 1, .has_floor = true, .floor_seq = 4, .min_reader = 1, .min_writer = 1,
		.recent = recent, .nrecent = 2, .layers = layers, .nlayers = 2, .states = states, .nstates = 2,
		.hist = hist, .nhist = 1, .pins = pins, .npins = 1,
	}, back;
	struct og_buf b = { 0 };
	size_t n;

	recent[0].rec = sample_records(&n)[0];
	recent[1].rec = sample_records(&n)[2];
	c.floor = sample_records(&n)[4];
	ck_assert_int_eq(og_ckpt_encode(&c, &b, &err), 0);
	ck_assert_msg(og_ckpt_decode(&arena, og_buf_view(&b), &back, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(back.states[1].ntables, 2);
	ck_assert_uint_eq(back.states[1].tables[0].nlayers, 2);
	ck_assert_uint_eq(back.states[1].tables[1].version, 5);
	ck_assert(back.branches[0].live && !back.branches[1].live);
	ck_assert(back.layers[1].in_log && back.layers[1].off == 100);
	ck_assert_uint_eq(back.recent[0].rec.commit.ntables, 3);
	ck_assert_uint_eq(back.recent[0].rec.commit.keys_body, OG_NO_BODY);
	ck_assert_uint_eq(back.floor.floor.nkeep, 2);
	ck_assert_uint_eq(back.hist[0].last, 7);
	for (size_t len = 0; len < b.len; len += 7)
		ck_assert_int_eq(og_ckpt_decode(&arena, og_slice(b.data, len), &back, &err), OG_ERR_CORRUPT);
	for (size_t i = 0; i < b.len; i += 5) {
		b.data[i] ^= 0x10;
		ck_assert_int_eq(og_ckpt_decode(&arena, og_buf_view(&b), &back, &err), OG_ERR_CORRUPT);
		b.data[i] ^= 0x10;
	}
	og_buf_fini(&b);
}
END_TEST

static const struct og_index index_sample[] = {
	{ .kind = OG_INDEX_ADJ, .type = 7, .content = { 1, 2 }, .src = { 3, 4 }, .dst = { 5, 0 }, .bytes = 4096, .hash = { 6, 7 } },
	{ .kind = OG_INDEX_COL, .type = 1, .prop = 3, .part = 2, .content = { 0, 9 }, .bytes = 1, .hash = { UINT64_MAX, 1 } },
	{ .kind = OG_INDEX_IDS, .type = UINT32_MAX, .content = { 8, 8 }, .bytes = (uint64_t)1 << 40, .hash = { 0, 0 } },
	{ .kind = OG_INDEX_IDX, .type = 2, .content = { 8, 8 }, .bytes = 77, .hash = { 1, 1 } },
};

/* One of no branches. */
static struct og_ckpt bare_ckpt(void)
{
	static struct og_ckpt_schema schema = { .text = OG_SLICE("text") };

	schema.commit = ulid();
	schema.digest = og_sha256(schema.text);
	return (struct og_ckpt){ .graph = ulid(), .seq = 9, .host = ulid(), .object = ulid(), .at_us = 1, .min_reader = 1, .min_writer = 1,
				 .schemas = &schema, .nschemas = 1 };
}

/* A checkpoint with this array, as text; NULL: without one. */
static int decode_index(const char *array, struct og_ckpt *back)
{
	struct og_ckpt c = bare_ckpt();
	static const char empty[] = ",\"index\":[]";
	struct og_buf b = { 0 }, framed = { 0 };
	struct og_sha256 digest;
	char *at;
	int rc;

	ck_assert_int_eq(og_ckpt_encode(&c, &b, &err), 0);
	at = memmem(b.data, b.len, empty, strlen(empty));
	ck_assert_ptr_nonnull(at);
	og_buf_append(&framed, b.data + OG_FRAME_SIZE, (size_t)(at - b.data) - OG_FRAME_SIZE);
	if (array)
		og_buf_printf(&framed, ",\"index\":%s", array);
	og_buf_append(&framed, at + strlen(empty), b.len - (size_t)(at - b.data) - strlen(empty));
	og_buf_clear(&b);
	ck_assert(og_buf_reserve(&b, OG_FRAME_SIZE));
	og_frame_encode(b.data, "OGCKP1\r\n", og_buf_view(&framed), OG_FRAME_SIZE + framed.len, &digest);
	b.len = OG_FRAME_SIZE;
	og_buf_slice(&b, og_buf_view(&framed));
	rc = og_ckpt_decode(&arena, og_buf_view(&b), back, &err);
	og_buf_fini(&framed);
	og_buf_fini(&b);
	return rc;
}

START_TEST(index_entries_of_a_checkpoint)
{
	struct og_index x[OG_COUNT(index_sample)];
	struct og_ckpt c = bare_ckpt(), back;
	struct og_buf b = { 0 };

	memcpy(x, index_sample, sizeof(x));
	c.index = x;
	c.nindex = OG_COUNT(x);
	for (size_t i = 0; i < OG_COUNT(x); i++)
		x[i].id = ulid();
	ck_assert_int_eq(og_ckpt_encode(&c, &b, &err), 0);
	ck_assert_msg(og_ckpt_decode(&arena, og_buf_view(&b), &back, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(back.nindex, OG_COUNT(x));
	for (size_t i = 0; i < OG_COUNT(x); i++) {
		const struct og_index *y = &back.index[i];
		char want[100];

		ck_assert_int_eq(og_ulid_cmp(&x[i].id, &y->id), 0);
		ck_assert(x[i].kind == y->kind && x[i].type == y->type && x[i].prop == y->prop && x[i].part == y->part && x[i].bytes == y->bytes);
		ck_assert(og_hash128_eq(&x[i].content, &y->content) && og_hash128_eq(&x[i].src, &y->src) && og_hash128_eq(&x[i].dst, &y->dst));
		ck_assert(og_hash128_eq(&x[i].hash, &y->hash));
		snprintf(want, sizeof(want), "index/%u/%s.%s", y->type, og_ulid_format(&y->id).s,
			 (const char *const[]){ "", "ids", "idx", "col", "adj" }[y->kind]);
		ck_assert_str_eq(og_key_index(y).s, want);
	}
	og_buf_fini(&b);
}
END_TEST

#define ENTRY(id, kind, rest, content, format, bytes, hash) \
	"{\"id\":" id ",\"kind\":" kind rest ",\"content\":" content ",\"format\":" format ",\"bytes\":" bytes ",\"xxh128\":" hash "}"
#define ID "\"01J00000000000000000000001\""
#define NUMBERS ",\"type\":1,\"prop\":0,\"part\":0"
#define HASH "\"0123456789abcdef00000000000000f0\""
#define GOOD ENTRY(ID, "\"ids\"", NUMBERS, HASH, "1", "5", HASH)

/* Nothing depends on them, so what another program has written is no damage. */
START_TEST(index_entries_that_are_not_ours)
{
	struct og_ckpt back;

	ck_assert_msg(decode_index(NULL, &back) == 0, "%s", err.message);
	ck_assert_uint_eq(back.nindex, 0);
	ck_assert_int_eq(decode_index("[]", &back), 0);
	ck_assert_uint_eq(back.nindex, 0);
	ck_assert_msg(decode_index("[" GOOD "," ENTRY(ID, "\"ids\"", "", "7", "2", "\"many\"", "null") "," ENTRY(
			      ID, "\"text\"", NUMBERS, HASH, "1", "5", HASH) "," GOOD "]", &back) == 0, "%s", err.message);
	ck_assert_uint_eq(back.nindex, 2);
	ck_assert_uint_eq(back.index[0].bytes, 5);
	ck_assert_uint_eq(back.index[1].bytes, 5);
	ck_assert_uint_eq(back.index[1].hash.hi, 0x0123456789abcdef);
	/* Members that a later program adds. */
	ck_assert_int_eq(decode_index("[" ENTRY(ID, "\"col\"", NUMBERS ",\"new\":{}", HASH, "1", "5", HASH) "]", &back), 0);
	ck_assert_uint_eq(back.nindex, 1);
}
END_TEST

static const char *const bad_index[] = {
	"{}", "7", "null", "\"\"", "[7]", "[null]", "[[]]", "[{}]",
	"[" ENTRY("7", "\"ids\"", NUMBERS, HASH, "1", "5", HASH) "]",
	"[" ENTRY("\"01J\"", "\"ids\"", NUMBERS, HASH, "1", "5", HASH) "]",
	"[" ENTRY(ID, "1", NUMBERS, HASH, "1", "5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", ",\"type\":1,\"prop\":0", HASH, "1", "5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", ",\"type\":4294967296,\"prop\":0,\"part\":0", HASH, "1", "5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", ",\"type\":-1,\"prop\":0,\"part\":0", HASH, "1", "5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, "\"0123\"", "1", "5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, "\"0123456789ABCDEF00000000000000f0\"", "1", "5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, "7", "1", "5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, HASH, "\"1\"", "5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, HASH, "1", "-5", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, HASH, "1", "0", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, HASH, "1", "18446744073709551615", HASH) "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, HASH, "1", "5", "null") "]",
	"[" ENTRY(ID, "\"ids\"", NUMBERS, HASH, "1", "5", "\"0123\"") "]",
	"[{\"id\":" ID ",\"kind\":\"ids\"" NUMBERS ",\"format\":1,\"bytes\":5}]",
	"[" GOOD ",7]",
};

START_TEST(index_entries_that_are_damaged)
{
	struct og_ckpt back = { .seq = 77 };

	ck_assert_msg(decode_index(bad_index[_i], &back) == OG_ERR_CORRUPT, "%s: %s", bad_index[_i], err.message);
	ck_assert_uint_eq(back.seq, 77);
}
END_TEST

START_TEST(history_round_trip)
{
	struct og_placed_record recs[3] = { { .seq = 1 }, { .seq = 2, .index = 5 }, { .seq = 3 } };
	struct og_placed_record *back;
	struct og_buf b = { 0 };
	size_t n;

	recs[0].rec = sample_records(&n)[0];
	recs[1].rec = sample_records(&n)[2];
	recs[2].rec = sample_records(&n)[3];
	ck_assert_int_eq(og_hist_encode(recs, 3, &b, &err), 0);
	ck_assert_msg(og_hist_decode(&arena, og_buf_view(&b), &back, &n, &err) == 0, "%s", err.message);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(back[1].index, 5);
	ck_assert_int_eq(back[2].rec.kind, OG_REC_DELETE);
	b.data[b.len - 3] ^= 1;
	ck_assert_int_eq(og_hist_decode(&arena, og_buf_view(&b), &back, &n, &err), OG_ERR_CORRUPT);
	og_buf_fini(&b);
}
END_TEST

START_TEST(key_lists)
{
	uint64_t a[] = { 5, 1, 5, 9, 1000, 3 }, b[] = { 2, 4, 1000, 2000 }, c[] = { 0, 2, 4, 2000 };
	size_t n = og_keys_sort(a, OG_COUNT(a));
	struct og_buf body = { 0 };
	const uint64_t *w;

	ck_assert_uint_eq(n, 5);
	ck_assert(og_keys_meet(a, n, b, 4));
	ck_assert(og_keys_meet(b, 4, a, n));
	ck_assert(!og_keys_meet(a, n, c, 4));
	ck_assert(!og_keys_meet(a, n, NULL, 0));
	/* against the obvious way */
	srandom(1);
	for (int round = 0; round < 2000; round++) {
		uint64_t x[20], y[50];
		size_t nx, ny;
		bool want = false;

		for (size_t i = 0; i < 20; i++)
			x[i] = (uint64_t)random() % 600;
		for (size_t i = 0; i < 50; i++)
			y[i] = (uint64_t)random() % 600 + (round % 3) * 300;
		nx = og_keys_sort(x, 20);
		ny = og_keys_sort(y, 50);
		for (size_t i = 0; i < nx; i++)
			for (size_t k = 0; k < ny; k++)
				want |= x[i] == y[k];
		ck_assert_int_eq(og_keys_meet(x, nx, y, ny), want);
	}
	og_keys_encode(&body, a, n);
	ck_assert_int_eq(og_keys_decode(&arena, og_buf_view(&body), &w, &n, &err), 0);
	for (size_t len = 0; len < body.len; len++)
		ck_assert_int_eq(og_keys_decode(&arena, og_slice(body.data, len), &w, &n, &err), OG_ERR_CORRUPT);
	((uint64_t *)(void *)(body.data + 8))[1] = 1;
	ck_assert_int_eq(og_keys_decode(&arena, og_buf_view(&body), &w, &n, &err), OG_ERR_CORRUPT);
	ck_assert_uint_ne(og_key_hash(OG_KEY_ENTITY, 1, OG_SLICE("a")), og_key_hash(OG_KEY_INCIDENT, 1, OG_SLICE("a")));
	ck_assert_uint_ne(og_key_hash(OG_KEY_ENTITY, 1, OG_SLICE("a")), og_key_hash(OG_KEY_ENTITY, 2, OG_SLICE("a")));
	og_buf_fini(&body);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("logobj");
	TCase *tc = tcase_create("logobj");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, reads_back_what_was_written);
	tcase_add_test(tc, a_copy_is_what_reading_back_gives);
	tcase_add_test(tc, refuses_every_prefix);
	tcase_add_test(tc, notices_every_flipped_byte);
	tcase_add_test(tc, a_stub_has_the_digest_but_no_rows);
	tcase_add_test(tc, refuses_contradictions);
	tcase_add_test(tc, keys_of_objects);
	tcase_add_test(tc, genesis_round_trip_and_damage);
	tcase_add_test(tc, checkpoint_round_trip_and_damage);
	tcase_add_test(tc, index_entries_of_a_checkpoint);
	tcase_add_test(tc, index_entries_that_are_not_ours);
	tcase_add_loop_test(tc, index_entries_that_are_damaged, 0, OG_COUNT(bad_index));
	tcase_add_test(tc, history_round_trip);
	tcase_add_test(tc, key_lists);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
