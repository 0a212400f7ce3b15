/*
 * The bytes of a graph's log before arbitrary input. A digest would keep every mutation out, so the target seals what it is given: first byte: kind; then
 *   'l'  header, NUL, bodies of log object 1, which is also applied to S(0)    'c'  header of a checkpoint, from which S(c) is built and written again
 *   'h'  lines of a history chunk    'g'  format.json    'k'  a body of keys    'r'  a log object as it stands
 */
#include "config.h"

#include "driver.h"

#include <stdlib.h>

#include "format/keys.h"
#include "journal/state.h"

static const struct og_type_decl types[] = {
	{ .id = 1, .kind = 'n', .name = { "Port", 4 } },
	{ .id = 2, .kind = 'e', .name = { "Owns", 4 } },
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static struct og_ulid id(uint8_t n)
{
	struct og_ulid u = { { 1, 2, 3 } };

	u.b[15] = n;
	return u;
}

static struct og_genesis genesis(void)
{
	struct og_genesis g = {
		.graph = id(1), .min_reader = 1, .min_writer = 1, .id = id(2), .schema = OG_SLICE("text"), .types = (struct og_type_decl *)(uintptr_t)types,
		.ntypes = 2,
	};

	g.schema_digest = og_sha256(g.schema);
	g.digest = og_sha256(OG_SLICE("format.json"));
	return g;
}

/* Frame, header and what follows it. */
static void seal(struct og_buf *b, const char magic[8], struct og_slice header, struct og_slice rest)
{
	struct og_sha256 d;

	check(og_buf_reserve(b, OG_FRAME_SIZE) != NULL);
	b->len = OG_FRAME_SIZE;
	og_frame_encode(b->data, magic, header, OG_FRAME_SIZE + header.len + rest.len, &d);
	og_buf_slice(b, header);
	og_buf_slice(b, rest);
}

/* The state can be written as a checkpoint, and what comes back from that says the same. */
static void check_state(const struct og_genesis *g, const struct og_state *s)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_arena a;
	struct og_ckpt c;
	struct og_state *back;

	og_arena_init(&a, 0);
	check(og_state_to_ckpt(s, &a, NULL, 0, &c, &err) == 0 && og_ckpt_encode(&c, &b, &err) == 0);
	check(og_ckpt_decode(&a, og_buf_view(&b), &c, &err) == 0);
	back = og_state_from_ckpt(g, &c, &err);
	check(back != NULL && back->nlive == s->nlive && back->nbranches == s->nbranches && back->npins == s->npins);
	og_state_free(back);
	og_arena_fini(&a);
	og_buf_fini(&b);
}

static void fuzz_object(struct og_arena *a, struct og_slice src)
{
	struct og_genesis g = genesis();
	struct og_error err = { 0 };
	struct og_logobj o;
	struct og_state *s = og_state_from_genesis(&g, &err);

	check(s != NULL);
	if (og_logobj_decode(a, src, &o, &err) == 0) {
		for (uint32_t i = 0; i < o.nbodies; i++) {
			struct og_slice body;

			check(og_logobj_body(&o, i, &body, &err) < 0 || body.len == o.bodies[i].len);
		}
		if (og_state_apply_object(s, &o, &err) == 0) {
			check(s->seq == 1);
			check_state(&g, s);
		} else {
			/* nothing of it stays */
			check(s->seq == 0 && s->nbranches == 1 && s->ncommits == 1 && s->nlive == 1 && s->nschemas == 1);
			check_state(&g, s);
		}
	}
	og_state_free(s);
}

static void fuzz_ckpt(struct og_arena *a, struct og_slice src)
{
	struct og_genesis g = genesis();
	struct og_error err = { 0 };
	struct og_ckpt c;
	struct og_state *s;

	if (og_ckpt_decode(a, src, &c, &err) < 0)
		return;
	s = og_state_from_ckpt(&g, &c, &err);
	if (s)
		check_state(&g, s);
	og_state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct og_slice in = og_slice(data + 1, size ? size - 1 : 0), rest = { 0 };
	const char *nul = in.len ? memchr(in.p, 0, in.len) : NULL;
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_arena a;
	struct og_placed_record *recs;
	struct og_genesis g;
	const uint64_t *w;
	size_t n;

	if (!size)
		return 0;
	og_arena_init(&a, 64 * OG_MIB);
	switch (data[0]) {
	case 'l':
		if (nul)
			rest = og_slice(nul + 1, (size_t)(in.p + in.len - nul - 1));
		seal(&b, "OGLOG1\r\n", nul ? og_slice(in.p, (size_t)(nul - in.p)) : in, rest);
		fuzz_object(&a, og_buf_view(&b));
		break;
	case 'c':
		seal(&b, "OGCKP1\r\n", in, rest);
		fuzz_ckpt(&a, og_buf_view(&b));
		break;
	case 'h':
		seal(&b, "OGHIS1\r\n", in, rest);
		check(og_hist_decode(&a, og_buf_view(&b), &recs, &n, &err) < 0 || n <= in.len);
		break;
	case 'g':
		check(og_genesis_decode(&a, in, &g, &err) < 0 || g.layout == 1);
		break;
	case 'k':
		check(og_keys_decode(&a, in, &w, &n, &err) < 0 || 8 + 8 * n <= in.len);
		break;
	default:
		fuzz_object(&a, in);
	}
	og_buf_fini(&b);
	og_arena_fini(&a);
	return 0;
}

/* ---- seeds ---- */

static void add_record(struct og_record *r, enum og_record_kind kind, uint8_t n)
{
	memset(r, 0, sizeof(*r));
	r->kind = kind;
	r->id = id(n);
	r->actor = OG_SLICE("act");
	r->commit.keys_body = r->commit.schema.body = OG_NO_BODY;
}

/* Log object 1: a commit on main, a branch, a commit there, its merge, its end, a pin, a schema change. */
static void seed_object(struct og_buf *out, bool raw)
{
	struct og_table_change t[2] = {
		{ .type = 1, .version = 2, .dn = 3, .body = 0 },
		{ .type = 2, .version = 2, .all = true, .rows = 1, .body = OG_NO_BODY },
	};
	struct og_table_change as = { .type = 1, .version = 3, .as = true, .body = OG_NO_BODY };
	struct og_table_change again = { .type = 1, .version = 3, .dn = -1, .body = OG_NO_BODY };
	struct og_seg seg = { .id = id(90), .rows = 1, .bytes = 2 };
	struct og_log_part parts[3] = { og_log_part(OG_SLICE("PAR1")), og_log_part(OG_SLICE("\1\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0")), og_log_part(OG_SLICE("text 2")) };
	struct og_record r[7];
	struct og_genesis g = genesis();
	struct og_logobj o = { .graph = g.graph, .seq = 1, .prev = g.digest, .object = id(70), .host = id(71), .records = r, .nrecords = 7, .nbodies = 3 };
	struct og_buf head = { 0 };
	struct og_error err = { 0 };
	struct og_arena a;

	t[1].segs = &seg;
	t[1].nsegs = 1;
	add_record(&r[0], OG_REC_COMMIT, 10);
	r[0].commit.op = OG_OP_MUTATE;
	r[0].commit.branch = g.graph;
	r[0].commit.version = 2;
	r[0].commit.parent = g.id;
	r[0].commit.tables = t;
	r[0].commit.ntables = 2;
	r[0].commit.keys_body = 1;
	add_record(&r[1], OG_REC_CREATE, 11);
	r[1].create.name = OG_SLICE("dock/plan");
	r[1].create.from = g.graph;
	r[1].create.fork = id(10);
	r[2] = r[0];
	r[2].id = id(12);
	r[2].commit.branch = id(11);
	r[2].commit.version = 3;
	r[2].commit.parent = id(10);
	r[2].commit.tables = &again;
	r[2].commit.ntables = 1;
	r[2].commit.keys_body = OG_NO_BODY;
	r[3] = r[2];
	r[3].id = id(13);
	r[3].commit.op = OG_OP_MERGE;
	r[3].commit.branch = g.graph;
	r[3].commit.has_merged = true;
	r[3].commit.merged_branch = id(11);
	r[3].commit.merged_commit = id(12);
	r[3].commit.tables = &as;
	add_record(&r[4], OG_REC_DELETE, 14);
	r[4].branch = id(11);
	add_record(&r[5], OG_REC_PIN, 15);
	r[5].pinned = id(13);
	add_record(&r[6], OG_REC_COMMIT, 16);
	r[6].commit.op = OG_OP_SCHEMA;
	r[6].commit.branch = g.graph;
	r[6].commit.version = 4;
	r[6].commit.parent = id(13);
	r[6].commit.schema = (struct og_schema_change){
		.present = true, .digest = parts[2].sha256, .body = 2, .types = (struct og_type_decl *)(uintptr_t)types, .ntypes = 1
	};
	og_arena_init(&a, 0);
	check(og_logobj_encode(&a, &o, parts, &head, &err) == 0);
	og_buf_byte(out, raw ? 'r' : 'l');
	og_buf_append(out, head.data + (raw ? 0 : OG_FRAME_SIZE), head.len - (raw ? 0 : OG_FRAME_SIZE));
	if (!raw)
		og_buf_byte(out, 0);
	for (int i = 0; i < 3; i++)
		og_buf_slice(out, parts[i].bytes);
	og_buf_fini(&head);
	og_arena_fini(&a);
}

/* The checkpoint of S(1). */
static void seed_ckpt(struct og_buf *out)
{
	struct og_genesis g = genesis();
	struct og_error err = { 0 };
	struct og_buf src = { 0 }, b = { 0 };
	struct og_state *s = og_state_from_genesis(&g, &err);
	struct og_logobj o;
	struct og_ckpt c;
	struct og_arena a;

	og_arena_init(&a, 0);
	seed_object(&src, true);
	check(s && og_logobj_decode(&a, og_slice(src.data + 1, src.len - 1), &o, &err) == 0 && og_state_apply_object(s, &o, &err) == 0);
	check(og_state_to_ckpt(s, &a, NULL, 0, &c, &err) == 0 && og_ckpt_encode(&c, &b, &err) == 0);
	og_buf_byte(out, 'c');
	og_buf_append(out, b.data + OG_FRAME_SIZE, b.len - OG_FRAME_SIZE);
	og_buf_fini(&src);
	og_buf_fini(&b);
	og_state_free(s);
	og_arena_fini(&a);
}

static void seed_rest(struct og_buf *out, bool hist)
{
	struct og_placed_record p = { .seq = 1 };
	struct og_genesis g = genesis();
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	add_record(&p.rec, OG_REC_DELETE, 5);
	if (hist)
		check(og_hist_encode(&p, 1, &b, &err) == 0);
	else
		check(og_genesis_encode(&g, &b, &err) == 0);
	og_buf_byte(out, hist ? 'h' : 'g');
	og_buf_append(out, b.data + (hist ? OG_FRAME_SIZE : 0), b.len - (hist ? OG_FRAME_SIZE : 0));
	og_buf_fini(&b);
}

bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	switch (nr) {
	case 0:
		seed_object(out, false);
		return true;
	case 1:
		seed_object(out, true);
		return true;
	case 2:
		seed_ckpt(out);
		return true;
	case 3:
		seed_rest(out, true);
		return true;
	case 4:
		seed_rest(out, false);
		return true;
	case 5:
		og_buf_append(out, "k\1\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0", 17);
		return true;
	default:
		return false;
	}
}
