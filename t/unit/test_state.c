/* S(n): every precondition of every record, and that a batch that is undone leaves nothing. */
#include "config.h"

#include "t/check.h"
#include <stdlib.h>

#include "journal/state.h"

static struct og_state *s;
static struct og_error err;
static struct og_arena arena;
static const struct og_type_decl types[] = {
	{ .id = 1, .kind = 'n', .name = { "Port", 4 } },
	{ .id = 2, .kind = 'n', .name = { "Vessel", 6 } },
};
static struct og_log_body places[4];
static struct og_logobj obj = { .seq = 1, .bodies = places, .nbodies = 4 };

static struct og_ulid id(unsigned n)
{
	struct og_ulid u = { { 1 } };

	u.b[14] = (uint8_t)(n >> 8);
	u.b[15] = (uint8_t)n;
	return u;
}

#define MAIN id(1)
#define GENESIS id(2)

static void setup(void)
{
	struct og_genesis g = {
		.graph = MAIN, .min_reader = 1, .min_writer = 1, .id = GENESIS, .schema = OG_SLICE("text"),
		.types = (struct og_type_decl *)(uintptr_t)types, .ntypes = 2,
	};

	g.schema_digest = og_sha256(g.schema);
	og_arena_init(&arena, 0);
	obj.seq = 1;
	s = og_state_from_genesis(&g, &err);
	ck_assert_ptr_nonnull(s);
}

static void teardown(void)
{
	og_state_free(s);
	og_arena_fini(&arena);
}

static struct og_record commit(unsigned n, struct og_ulid branch, struct og_ulid parent, uint64_t ver, struct og_table_change *t,
			       size_t nt)
{
	struct og_record r = { .kind = OG_REC_COMMIT, .id = id(n), .at_us = 5 };

	r.commit.op = OG_OP_MUTATE;
	r.commit.branch = branch;
	r.commit.parent = parent;
	r.commit.version = ver;
	r.commit.tables = t;
	r.commit.ntables = nt;
	r.commit.keys_body = r.commit.schema.body = OG_NO_BODY;
	return r;
}

static struct og_record create(unsigned n, const char *name, struct og_ulid from, struct og_ulid fork)
{
	struct og_record r = { .kind = OG_REC_CREATE, .id = id(n) };

	r.create.name = og_slice_str(name);
	r.create.from = from;
	r.create.fork = fork;
	return r;
}

static struct og_record delete(unsigned n, struct og_ulid branch)
{
	return (struct og_record){ .kind = OG_REC_DELETE, .id = id(n), .branch = branch };
}

static int apply(struct og_record r)
{
	return og_state_apply(s, &r, &obj, OG_SLICE("new text"), &err);
}

#define ck_applies(r) ck_assert_msg(apply(r) == 0, "%s", err.message)
#define ck_breaks(r, rule) \
	do { \
		ck_assert_int_eq(apply(r), OG_ERR_CORRUPT); \
		ck_assert_msg(strstr(err.message, rule) != NULL, "%s", err.message); \
	} while (0)

static struct og_table_change plus(uint32_t type, uint64_t v, int64_t dn)
{
	return (struct og_table_change){ .type = type, .version = v, .dn = dn, .body = 0 };
}

START_TEST(commits)
{
	struct og_table_change t = plus(1, 2, 5), t3 = plus(1, 3, -5), less = plus(1, 3, -6), skip = plus(1, 4, 1),
			       odd = plus(7, 1, 1), no_body = plus(1, 3, 0), all = plus(1, 3, 0), min = plus(1, 3, INT64_MIN);
	const struct og_branch *m;

	ck_breaks(commit(10, id(99), GENESIS, 2, &t, 1), "branch is not alive");
	ck_breaks(commit(10, MAIN, id(98), 2, &t, 1), "parent is not the head");
	ck_breaks(commit(10, MAIN, GENESIS, 3, &t, 1), "version 3 does not follow 1");
	ck_breaks(commit(10, MAIN, GENESIS, 1, &t, 1), "version 1 does not follow 1");
	ck_breaks(commit(2, MAIN, GENESIS, 2, &t, 1), "id was used before");
	ck_applies(commit(10, MAIN, GENESIS, 2, &t, 1));
	m = og_state_main(s);
	ck_assert_uint_eq(og_branch_table(m, 1)->rows, 5);
	ck_assert_uint_eq(og_branch_table(m, 1)->version, 2);
	ck_assert_uint_eq(og_branch_table(m, 2)->version, 1);
	ck_breaks(commit(11, MAIN, id(10), 3, &t, 1), "table 1: version 2 does not follow 2");
	ck_breaks(commit(11, MAIN, id(10), 3, &skip, 1), "table 1: version 4 does not follow 2");
	ck_breaks(commit(11, MAIN, id(10), 3, &odd, 1), "table 7: no such type");
	ck_breaks(commit(11, MAIN, id(10), 3, &less, 1), "-6 rows more than 5");
	ck_breaks(commit(11, MAIN, id(10), 3, &min, 1), "rows more than 5");
	no_body.body = 4;
	ck_breaks(commit(11, MAIN, id(10), 3, &no_body, 1), "no body 4");
	ck_applies(commit(11, MAIN, id(10), 3, &t3, 1));
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 1)->rows, 0);
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 1)->top->depth, 2);
	all.version = 4;
	all.all = true;
	all.rows = 9;
	ck_applies(commit(12, MAIN, id(11), 4, &all, 1));
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 1)->top->depth, 1);
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 1)->rows, 9);
	ck_applies(commit(13, MAIN, id(12), 5, NULL, 0));	/* an empty load */
}
END_TEST

START_TEST(branches)
{
	struct og_table_change t = plus(1, 2, 1);

	ck_breaks(create(20, "x", id(99), GENESIS), "source is not alive");
	ck_breaks(create(20, "x", MAIN, id(98)), "fork is not the head");
	ck_breaks(create(20, "main", MAIN, GENESIS), "name is held");
	ck_breaks(create(20, "__schema_apply_lock__", MAIN, GENESIS), "name is reserved");
	ck_applies(create(20, "x", MAIN, GENESIS));
	ck_breaks(create(21, "x", MAIN, GENESIS), "name is held");
	ck_breaks(create(20, "y", MAIN, GENESIS), "id was used before");
	ck_applies(create(21, "x/y", id(20), GENESIS));
	ck_breaks(delete(30, MAIN), "main cannot be deleted");
	ck_breaks(delete(30, id(20)), "live descendant");
	ck_breaks(delete(30, id(77)), "branch is not alive");
	ck_applies(delete(30, id(21)));
	ck_breaks(delete(31, id(21)), "branch is not alive");
	ck_breaks(commit(32, id(21), GENESIS, 2, &t, 1), "branch is not alive");
	ck_applies(delete(33, id(20)));
	ck_assert_uint_eq(s->nlive, 1);
	ck_applies(create(34, "x", MAIN, GENESIS));
	ck_assert_int_eq(og_ulid_cmp(&og_state_branch_named(s, OG_SLICE("x"))->id, &(struct og_ulid[]){ id(34) }[0]), 0);
	ck_applies(commit(35, id(34), GENESIS, 2, &t, 1));
	ck_assert_int_eq(og_ulid_cmp(&og_branch_table(og_state_branch(s, &(struct og_ulid[]){ id(34) }[0]), 1)->owner,
				     &(struct og_ulid[]){ id(34) }[0]), 0);
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 1)->version, 1);
}
END_TEST

START_TEST(merges)
{
	struct og_table_change t = plus(1, 2, 1), t2 = plus(1, 3, 1), as = { .type = 1, .version = 2, .as = true, .body = OG_NO_BODY };
	struct og_record m;

	ck_applies(create(20, "w", MAIN, GENESIS));
	ck_applies(commit(21, id(20), GENESIS, 2, &t, 1));
	ck_applies(commit(22, id(20), id(21), 3, &t2, 1));
	m = commit(30, MAIN, GENESIS, 2, &as, 1);
	ck_breaks(m, "no such type");	/* `as` without a merge */
	m.commit.op = OG_OP_MERGE;
	m.commit.has_merged = true;
	m.commit.merged_branch = id(99);
	m.commit.merged_commit = id(22);
	ck_breaks(m, "merged branch is not alive");
	m.commit.merged_branch = id(20);
	m.commit.merged_commit = id(21);
	ck_breaks(m, "not the head");
	m.commit.merged_commit = id(77);
	m.commit.ntables = 0;
	ck_breaks(m, "not on its branch");
	m.commit.merged_commit = id(22);
	m.commit.ntables = 1;
	ck_applies(m);
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 1)->rows, 2);
	ck_assert_ptr_eq(og_branch_table(og_state_main(s), 1)->top,
			 og_branch_table(og_state_branch_named(s, OG_SLICE("w")), 1)->top);
}
END_TEST

START_TEST(schema_changes)
{
	static struct og_type_decl after[] = {
		{ .id = 2, .kind = 'n', .name = { "Ship", 4 } }, { .id = 3, .kind = 'e', .name = { "Owns", 4 } }
	};
	struct og_table_change t = plus(2, 2, 4), gone = plus(1, 2, 1), fresh = plus(3, 1, 2);
	struct og_record r;

	ck_applies(commit(9, MAIN, GENESIS, 2, &t, 1));
	r = commit(10, MAIN, id(9), 3, NULL, 0);
	r.commit.op = OG_OP_SCHEMA;
	r.commit.schema = (struct og_schema_change){ .present = true, .types = after, .ntypes = 2 };
	ck_applies(create(20, "w", MAIN, id(9)));
	ck_breaks(r, "another branch is alive");
	ck_applies(delete(21, id(20)));
	r.commit.tables = &gone;
	r.commit.ntables = 1;
	ck_breaks(r, "not a type of the new schema");
	r.commit.tables = &fresh;
	ck_applies(r);
	ck_assert_uint_eq(og_state_main(s)->ntables, 2);
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 2)->rows, 4);
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 3)->rows, 2);
	ck_assert_ptr_null(og_branch_table(og_state_main(s), 1));
	ck_assert(og_slice_is(og_state_schema(s)->text, "new text"));
	ck_assert_ptr_ne(og_state_schema_at(s, og_state_commit_find(s, &(struct og_ulid[]){ id(9) }[0])), og_state_schema(s));
	ck_assert_ptr_eq(og_state_schema_at(s, og_state_commit_find(s, &(struct og_ulid[]){ id(10) }[0])), og_state_schema(s));
}
END_TEST

START_TEST(floors_pins_formats_ends)
{
	struct og_seg seg = { .id = id(5) };
	struct og_table_change t = plus(1, 2, 1);
	struct og_ckpt_name keep = { .seq = 1, .id = id(50) };
	struct og_record floor = { .kind = OG_REC_FLOOR, .id = id(40) }, pin = { .kind = OG_REC_PIN, .id = id(41) },
			 fmt = { .kind = OG_REC_FORMAT, .id = id(42) }, end = { .kind = OG_REC_END, .id = id(43) }, c;
	struct og_ulid blob = id(6);

	pin.pinned = id(99);
	ck_breaks(pin, "no such commit");
	pin.pinned = GENESIS;
	ck_applies(pin);
	ck_assert_uint_eq(s->npins, 1);
	pin.at_us = 7;
	ck_applies(pin);	/* renewed */
	ck_assert_uint_eq(s->npins, 1);
	floor.floor.before = id(60);
	floor.floor.keep = &keep;
	floor.floor.nkeep = 1;
	ck_breaks(floor, "not below it");
	obj.seq = 3;
	keep.seq = 0;
	ck_breaks(floor, "came after its plan");
	keep.seq = 2;
	ck_applies(floor);
	floor.floor.before = id(59);
	ck_breaks(floor, "lower than that of the last floor");
	t.segs = &seg;
	t.nsegs = 1;
	c = commit(70, MAIN, GENESIS, 2, &t, 1);
	ck_breaks(c, "is below the floor");
	seg.id = id(61);
	c.commit.blobs = &blob;
	c.commit.nblobs = 1;
	ck_breaks(c, "is below the floor");
	blob = id(62);
	ck_applies(c);
	pin.kind = OG_REC_UNPIN;
	ck_applies(pin);
	ck_assert_uint_eq(s->npins, 0);
	fmt.format.min_reader = 1;
	fmt.format.min_writer = 0;
	ck_breaks(fmt, "numbers fall");
	fmt.format.min_writer = 9;
	ck_applies(fmt);
	ck_applies(end);
	ck_breaks(end, "after the end");
}
END_TEST

/* Whatever a batch did, a rollback gives back: names, heads, pins, counts, references. */
START_TEST(rollback_restores_everything)
{
	struct og_table_change t = plus(1, 2, 1), t3 = plus(1, 3, 1);
	struct og_record pin = { .kind = OG_REC_PIN, .id = id(41), .pinned = GENESIS }, end = { .kind = OG_REC_END, .id = id(43) };
	const struct og_branch *main_before, *x_before;

	ck_applies(create(20, "x", MAIN, GENESIS));
	ck_applies(pin);
	main_before = og_state_main(s);
	x_before = og_state_branch_named(s, OG_SLICE("x"));
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(og_state_begin(s, &err), 0);
		ck_applies(commit(50, MAIN, GENESIS, 2, &t, 1));
		ck_applies(commit(51, MAIN, id(50), 3, &t3, 1));
		ck_applies(delete(52, id(20)));
		ck_applies(create(53, "x", MAIN, id(51)));
		ck_applies(create(54, "y", id(53), id(51)));
		ck_applies(delete(55, id(54)));
		pin.kind = OG_REC_UNPIN;
		ck_applies(pin);
		ck_applies(end);
		og_state_rollback(s);
		ck_assert_ptr_eq(og_state_main(s), main_before);
		ck_assert_ptr_eq(og_state_branch_named(s, OG_SLICE("x")), x_before);
		ck_assert_ptr_null(og_state_branch_named(s, OG_SLICE("y")));
		ck_assert_ptr_null(og_state_branch(s, &(struct og_ulid[]){ id(53) }[0]));
		ck_assert_ptr_null(og_state_commit_find(s, &(struct og_ulid[]){ id(50) }[0]));
		ck_assert_uint_eq(s->nlive, 2);
		ck_assert_uint_eq(s->nbranches, 2);
		ck_assert_uint_eq(s->ncommits, 1);
		ck_assert_uint_eq(s->npins, 1);
		ck_assert(!s->ended);
	}
	ck_assert_int_eq(og_state_begin(s, &err), 0);
	ck_applies(commit(50, MAIN, GENESIS, 2, &t, 1));
	og_state_commit(s);
	ck_assert_uint_eq(og_state_main(s)->version, 2);
}
END_TEST

/* An object is applied as a whole or not at all, and the place of the fault is told. */
START_TEST(objects_are_whole)
{
	struct og_table_change t = plus(1, 2, 1);
	struct og_record r[2] = { commit(50, MAIN, GENESIS, 2, &t, 1), commit(51, MAIN, id(98), 3, NULL, 0) };
	struct og_logobj o = { .graph = MAIN, .seq = 1, .prev = s->digest, .bodies = places, .nbodies = 4, .records = r, .nrecords = 2 };

	ck_assert_int_eq(og_state_apply_object(s, &o, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "log object 1 record 1: its parent is not the head of its branch");
	ck_assert_uint_eq(og_state_main(s)->version, 1);
	o.nrecords = 1;
	o.seq = 2;
	ck_assert_int_eq(og_state_apply_object(s, &o, &err), OG_ERR_CORRUPT);
	o.seq = 1;
	o.prev.b[3] ^= 1;
	ck_assert_int_eq(og_state_apply_object(s, &o, &err), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "log object 1: `prev` mismatch");
	o.prev.b[3] ^= 1;
	o.graph = id(3);
	ck_assert_int_eq(og_state_apply_object(s, &o, &err), OG_ERR_CORRUPT);
	o.graph = MAIN;
	ck_assert_int_eq(og_state_apply_object(s, &o, &err), 0);
	ck_assert_uint_eq(s->seq, 1);
}
END_TEST

START_TEST(relayering_keeps_what_lies_above_and_sharing)
{
	struct og_table_change t = plus(1, 2, 1), t3 = plus(1, 3, 1), t4 = plus(1, 4, 1), t5 = plus(1, 5, 1);
	struct og_seg seg = { .id = id(9), .rows = 2 };
	struct og_layer *old, *with;
	const struct og_branch *w;

	ck_applies(commit(10, MAIN, GENESIS, 2, &t, 1));
	ck_applies(commit(11, MAIN, id(10), 3, &t3, 1));
	old = og_layer_ref(og_branch_table(og_state_main(s), 1)->top);
	ck_applies(commit(12, MAIN, id(11), 4, &t4, 1));
	ck_applies(create(20, "w", MAIN, id(12)));
	ck_applies(commit(21, id(20), id(12), 5, &t5, 1));
	with = og_layer_segment(NULL, 1, &seg);
	ck_assert_int_eq(og_state_relayer(s, old, with, &err), 0);
	og_layer_unref(old);
	og_layer_unref(with);
	w = og_state_branch_named(s, OG_SLICE("w"));
	ck_assert_uint_eq(og_branch_table(og_state_main(s), 1)->top->depth, 2);
	ck_assert_uint_eq(og_branch_table(w, 1)->top->depth, 3);
	ck_assert_ptr_eq(og_branch_table(w, 1)->top->below, og_branch_table(og_state_main(s), 1)->top);
	ck_assert(!og_branch_table(w, 1)->top->below->below->in_log);
}
END_TEST

/* A stack by its letters, base up: P a plain segment, C one that changes rows, L a body in the log; MiB of each. */
static struct og_layer *stack(const char *kinds, const uint64_t *mib)
{
	struct og_layer *top = NULL;

	for (size_t i = 0; kinds[i]; i++) {
		struct og_log_body place = { .len = mib[i] * OG_MIB };
		struct og_seg seg = { .id = id((unsigned)i), .bytes = mib[i] * OG_MIB, .plain = kinds[i] == 'P' };

		top = kinds[i] == 'L' ? og_layer_body(top, 1, i, 0, &place) : og_layer_segment(top, 1, &seg);
		ck_assert_ptr_nonnull(top);
	}
	return top;
}

START_TEST(a_fold_leaves_what_need_not_be_written_again)
{
	static const struct {
		const char *kinds;
		uint64_t mib[12];
		uint32_t keep, full;
	} cases[] = {
		{ "P", { 1 }, 1, 1 },
		{ "L", { 1 }, 0, 0 },
		{ "C", { 1 }, 0, 0 },
		{ "PL", { 80, 10 }, 1, 1 },
		{ "PL", { 79, 10 }, 0, 1 },		/* over an eighth */
		{ "PC", { 80, 10 }, 2, 1 },		/* one segment over another: nothing to gain */
		{ "PC", { 79, 10 }, 0, 1 },
		{ "PCL", { 80, 5, 5 }, 1, 1 },
		{ "PPPPL", { 16, 16, 16, 16, 1 }, 4, 4 },	/* a load's segments stay together */
		{ "PPPPL", { 16, 16, 16, 16, 9 }, 0, 4 },
		{ "PPPL", { 64, 64, 4, 1 }, 2, 2 },	/* but for a small one */
		{ "PPPL", { 64, 64, 8, 1 }, 3, 3 },
		{ "PPPL", { 64, 6, 4, 1 }, 1, 1 },
		{ "PCPL", { 80, 1, 1, 1 }, 1, 1 },
		{ "PP", { 1, 1 }, 2, 0 },
		{ "PP", { 64, 64 }, 2, 2 },
		{ "PPP", { 64, 1, 64 }, 3, 3 },
		{ "PPP", { 64, 1, 1 }, 3, 1 },
		{ "PPPPPPPP", { 7, 1, 1, 1, 1, 1, 1, 1 }, 0, 0 },
		{ "PPPPPPPPP", { 8, 1, 1, 1, 1, 1, 1, 1, 1 }, 1, 1 },
		{ "PPPPPPPP", { 8, 1, 1, 1, 1, 1, 1, 1 }, 8, 1 },
	};

	ck_assert_uint_eq(og_layer_keep(NULL, true), 0);
	ck_assert(og_layer_plain(NULL));
	for (size_t i = 0; i < OG_COUNT(cases); i++) {
		struct og_layer *top = stack(cases[i].kinds, cases[i].mib);

		ck_assert_msg(og_layer_keep(top, false) == cases[i].keep, "case %zu: %u stay", i, og_layer_keep(top, false));
		ck_assert_msg(og_layer_keep(top, true) == cases[i].full, "case %zu: %u stay of a full fold", i, og_layer_keep(top, true));
		ck_assert_int_eq(og_layer_plain(top), strspn(cases[i].kinds, "P") == strlen(cases[i].kinds));
		og_layer_unref(top);
	}
}
END_TEST

/* What only adds rows is known by the counts, of a commit as of a checkpoint that does not say it; and a checkpoint says it. */
START_TEST(the_counts_tell_which_layers_only_add)
{
	struct og_seg segs[2] = { { .id = id(50), .rows = 3, .bytes = 1 }, { .id = id(51), .rows = 2, .bytes = 1 } };
	struct og_table_change adds = { .type = 1, .version = 2, .dn = 5, .body = OG_NO_BODY, .segs = segs, .nsegs = 2 };
	struct og_table_change changes = { .type = 1, .version = 3, .dn = 4, .body = OG_NO_BODY, .segs = segs, .nsegs = 2 };
	struct og_table_change all = { .type = 1, .version = 4, .all = true, .rows = 5, .body = OG_NO_BODY, .segs = segs, .nsegs = 2 };
	struct og_genesis g = { .graph = MAIN, .min_reader = 1, .min_writer = 1, .id = GENESIS, .schema = OG_SLICE("text"),
				.types = (struct og_type_decl *)(uintptr_t)types, .ntypes = 2 };
	const struct og_layer *top;
	struct og_buf bytes = { 0 };
	struct og_state *back;
	struct og_ckpt c;

	g.schema_digest = og_sha256(g.schema);
	ck_applies(commit(10, MAIN, GENESIS, 2, &adds, 1));
	ck_assert(og_layer_plain(og_branch_table(og_state_main(s), 1)->top));
	segs[0].id = id(52);
	segs[1].id = id(53);
	ck_applies(commit(11, MAIN, id(10), 3, &changes, 1));
	top = og_branch_table(og_state_main(s), 1)->top;
	ck_assert(!top->seg.plain && !top->below->seg.plain && top->below->below->seg.plain);
	ck_assert_int_eq(og_state_to_ckpt(s, &arena, NULL, 0, &c, &err), 0);
	c.host = c.object = id(60);
	ck_assert_int_eq(og_ckpt_encode(&c, &bytes, &err), 0);
	ck_assert_int_eq(og_ckpt_decode(&arena, og_buf_view(&bytes), &c, &err), 0);
	back = og_state_from_ckpt(&g, &c, &err);
	ck_assert_msg(back != NULL, "%s", err.message);
	top = og_branch_table(og_state_main(back), 1)->top;
	ck_assert(!top->seg.plain && !top->below->seg.plain && top->below->below->seg.plain && top->below->below->below->seg.plain);
	og_state_free(back);
	og_buf_clear(&bytes);
	segs[0].id = id(54);
	segs[1].id = id(55);
	ck_applies(commit(12, MAIN, id(11), 4, &all, 1));
	ck_assert(og_layer_plain(og_branch_table(og_state_main(s), 1)->top));
	ck_assert_int_eq(og_state_to_ckpt(s, &arena, NULL, 0, &c, &err), 0);
	for (size_t i = 0; i < c.nlayers; i++)
		c.layers[i].seg.plain = false;	/* of an earlier version */
	back = og_state_from_ckpt(&g, &c, &err);
	ck_assert_msg(back != NULL, "%s", err.message);
	ck_assert(og_layer_plain(og_branch_table(og_state_main(back), 1)->top));
	og_state_free(back);
	og_buf_fini(&bytes);
}
END_TEST

/* Thousands of commits, some of them taken back: each is found at its place, and none that is not there. */
START_TEST(commits_are_found_by_id)
{
	enum { N = 2000 };
	struct og_ulid parent = GENESIS;
	struct og_table_change t = { .type = 1, .version = 2, .body = OG_NO_BODY };

	for (unsigned i = 0; i < N; i++) {
		t.version = i + 2;
		if (i % 7 == 0) {
			/* A batch that is undone, larger than what the table has room for at times. */
			struct og_ulid p = parent;
			struct og_table_change u = t;

			ck_assert_int_eq(og_state_begin(s, &err), 0);
			for (unsigned k = 0; k < 60; k++) {
				u.version = i + k + 2;
				ck_applies(commit(20000 + k, MAIN, p, i + k + 2, &u, 1));
				p = id(20000 + k);
			}
			og_state_rollback(s);
			ck_assert_ptr_null(og_state_commit_find(s, &p));
		}
		ck_applies(commit(100 + i, MAIN, parent, i + 2, &t, 1));
		parent = id(100 + i);
		obj.seq++;
	}
	ck_assert_uint_eq(s->ncommits, N + 1);
	for (unsigned i = 0; i < N; i++) {
		struct og_ulid want = id(100 + i), none = id(20000 + i);

		ck_assert_ptr_eq(og_state_commit_find(s, &want), &s->commits[i + 1]);
		ck_assert_ptr_null(og_state_commit_find(s, &none));
	}
	ck_assert_ptr_eq(og_state_commit_find(s, &(struct og_ulid[]){ GENESIS }[0]), &s->commits[0]);
}
END_TEST

/* What a checkpoint writes of them takes room for those alone, however many there are. */
START_TEST(recent_commits_are_those_after)
{
	struct og_ulid parent = GENESIS;
	struct og_table_change t = { .type = 1, .body = OG_NO_BODY };
	struct og_placed_record *recs;
	size_t n;

	for (unsigned i = 0; i < 5000; i++) {
		t.version = i + 2;
		ck_applies(commit(100 + i, MAIN, parent, i + 2, &t, 1));
		parent = id(100 + i);
		obj.seq += i % 2;	/* two in an object */
	}
	ck_assert_int_eq(og_state_recent(s, &arena, obj.seq - 11, &recs, &n, &err), 0);
	ck_assert_uint_eq(n, 20);
	ck_assert_uint_lt(arena.total, 50 * sizeof(*recs));
	ck_assert_int_eq(og_ulid_cmp(&recs[19].rec.id, &parent), 0);
	ck_assert_uint_eq(recs[0].seq, obj.seq - 10);
	ck_assert_int_eq(og_state_recent(s, &arena, obj.seq, &recs, &n, &err), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(og_state_recent(s, &arena, 0, &recs, &n, &err), 0);
	ck_assert_uint_eq(n, 5000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *tc = tcase_create("state");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, commits);
	tcase_add_test(tc, branches);
	tcase_add_test(tc, merges);
	tcase_add_test(tc, schema_changes);
	tcase_add_test(tc, floors_pins_formats_ends);
	tcase_add_test(tc, rollback_restores_everything);
	tcase_add_test(tc, objects_are_whole);
	tcase_add_test(tc, relayering_keeps_what_lies_above_and_sharing);
	tcase_add_test(tc, a_fold_leaves_what_need_not_be_written_again);
	tcase_add_test(tc, the_counts_tell_which_layers_only_add);
	tcase_add_test(tc, commits_are_found_by_id);
	tcase_add_test(tc, recent_commits_are_those_after);
	suite_add_tcase(suite, tc);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
