/* Loads and exports without a graph: records against views made of what earlier loads gave. */
#include "config.h"

#include <stdio.h>

#include "load_graph.h"
#include "suite.h"

static struct graph g;
static struct og_error err;
static struct load_verdict verdict;
static uint64_t last_records;
static bool with_thread;

static void begin(void)
{
	memset(&err, 0, sizeof(err));
	graph_init(&g);
}

static void end(void)
{
	graph_fini(&g);
}

static void commit(struct og_loader *l)
{
	for (uint32_t i = 0; i < l->ntypes; i++) {
		struct load_type *t = &l->types[i];
		uint64_t before = g.view->types[i].rows;

		if (!t->used)
			continue;
		if (l->mode == OG_LOAD_OVERWRITE) {
			graph_drop_layers(&g, i);
			before = 0;
		}
		for (size_t k = 0; k < l->nchunks; k++)
			if (l->chunks[k].type == i) {
				ck_assert_int_eq(og_loader_parquet(l, &l->chunks[k], &err), 0);
				graph_add_layer(&g, i, og_buf_view(&l->chunks[k].parquet));
			}
		if (t->inlined)
			graph_add_layer(&g, i, og_buf_view(&t->body));
		verdict.tables[i].rows = l->mode == OG_LOAD_OVERWRITE ? verdict.tables[i].rows : before + (uint64_t)verdict.tables[i].dn;
	}
	graph_open(&g);
	/* What the commit says about the number of rows holds. */
	for (uint32_t i = 0; i < l->ntypes; i++)
		if (l->types[i].used)
			ck_assert_uint_eq(g.view->types[i].rows, verdict.tables[i].rows);
}

static int load_pieces(enum og_load_mode mode, const char *text, size_t piece, size_t budget, bool spill)
{
	struct og_loader *l;
	size_t len = strlen(text), at = 0;
	int rc;

	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(og_loader_new(g.catalog, mode, budget, spill, &l, &err), 0);
	ck_assert(!with_thread || og_loader_thread(l, &err) == 0);
	for (rc = 0; rc == 0 && at < len; at += piece)
		rc = og_loader_feed(l, og_slice(text + at, OG_MIN(piece, len - at)), false, &err);
	if (rc == 0)
		rc = og_loader_feed(l, og_slice(NULL, 0), true, &err);
	if (rc == 0)
		rc = og_loader_end(l, &err);
	if (rc == 0)
		rc = og_load_check(l, g.view, &verdict, &err);
	if (rc == 0)
		commit(l);
	last_records = l->records;
	og_load_verdict_fini(&verdict);
	og_loader_free(l);
	return rc;
}

static int load(enum og_load_mode mode, const char *text)
{
	return load_pieces(mode, text, 1u << 20, 1u << 26, false);
}

static void loads(enum og_load_mode mode, const char *text)
{
	ck_assert_msg(load(mode, text) == 0, "%s", err.message);
}

static void fails(enum og_load_mode mode, const char *text, const char *message)
{
	int rc = load(mode, text);

	ck_assert_int_lt(rc, 0);
	ck_assert_str_eq(err.message, message);
}

static void exports(const char *table, const char *text)
{
	char *got = graph_export(&g, table);

	ck_assert_str_eq(got, text);
	free(got);
}

#define P(slug) "{\"type\":\"Person\",\"data\":{\"slug\":\"" slug "\"}}\n"
#define N(id) "{\"type\":\"Note\",\"data\":{\"id\":\"" id "\",\"text\":\"t\"}}\n"
#define KNOWS(a, b) "{\"edge\":\"Knows\",\"from\":\"" a "\",\"to\":\"" b "\"}\n"

static const char everything[] =
	"{\"edge\":\"knows\",\"from\":\"ann\",\"to\":\"bob\",\"data\":{\"id\":\"k1\",\"since\":\"2024-1-3\",\"weight\":2}}\n"
	"{\"type\":\"Person\",\"data\":{\"slug\":\"ann\",\"age\":7,\"score\":0.1,\"big\":18446744073709551615,\"born\":\"2024-02-29\","
	"\"seen\":\"2026-05-01T08:30:00.25+02:00\",\"mood\":\"wild\",\"tags\":[\"x\",null,\"\\u00e9\"],\"days\":[\"1970-01-02\",5],"
	"\"vec\":[1,2.5,-3e1],\"pic\":\"base64:aGk=\",\"ok\":true,\"mail\":\"a@b\",\"unknown\":{\"x\":[1]}},\"more\":[{}]}\n\r\n\n"
	"  {\"data\":{\"slug\":\"bob\",\"age\":null,\"pic\":\"http://x/y\"}, \"type\":\"Person\"}{\"type\":\"Person\",\n\"data\":{\"id\":\"cy\",\n"
	"\"slug\":\"cy\",\"days\":[],\"age\":3,\"age\":4}}\n"
	"{\"type\":\"Note\",\"edge\":\"Knows\",\"data\":{\"id\":\"n1\",\"text\":\"\"}}\n"
	"{\"edge\":\"Wrote\",\"from\":\"cy\",\"to\":\"n1\",\"data\":{\"id\":\"w1\",\"at\":0}}";

static const char everything_out[] =
	"{\"edge\":\"Knows\",\"from\":\"ann\",\"to\":\"bob\",\"data\":{\"id\":\"k1\",\"since\":19725,\"weight\":2.0}}\n"
	"{\"edge\":\"Wrote\",\"from\":\"cy\",\"to\":\"n1\",\"data\":{\"id\":\"w1\",\"at\":\"1970-01-01T00:00:00\"}}\n"
	"{\"type\":\"Note\",\"data\":{\"id\":\"n1\",\"rank\":null,\"text\":\"\"}}\n"
	"{\"type\":\"Person\",\"data\":{\"id\":\"ann\",\"age\":7,\"big\":18446744073709551615,\"born\":19782,\"days\":[1,5],\"mail\":\"a@b\","
	"\"mood\":\"wild\",\"ok\":true,\"pic\":\"base64:aGk=\",\"score\":0.10000000149011612,\"seen\":\"2026-05-01T06:30:00.250\",\"slug\":\"ann\","
	"\"tags\":[\"x\",null,\"é\"],\"vec\":[1.0,2.5,-30.0]}}\n"
	"{\"type\":\"Person\",\"data\":{\"id\":\"bob\",\"age\":null,\"big\":null,\"born\":null,\"days\":null,\"mail\":null,\"mood\":null,\"ok\":null,"
	"\"pic\":\"http://x/y\",\"score\":null,\"seen\":null,\"slug\":\"bob\",\"tags\":null,\"vec\":null}}\n"
	"{\"type\":\"Person\",\"data\":{\"id\":\"cy\",\"age\":4,\"big\":null,\"born\":null,\"days\":[],\"mail\":null,\"mood\":null,\"ok\":null,"
	"\"pic\":null,\"score\":null,\"seen\":null,\"slug\":\"cy\",\"tags\":null,\"vec\":null}}\n";

/* Whatever the size of the pieces. */
START_TEST(loads_every_type_and_exports_it)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 64, 100000 };

	begin();
	ck_assert_msg(load_pieces(OG_LOAD_MERGE, everything, pieces[_i], 1u << 20, false) == 0, "%s", err.message);
	ck_assert_uint_eq(last_records, 6);
	exports(NULL, everything_out);
	end();
}
END_TEST

START_TEST(loads_its_own_export)
{
	begin();
	loads(OG_LOAD_OVERWRITE, everything_out);
	exports(NULL, everything_out);
	loads(OG_LOAD_MERGE, everything_out);
	exports(NULL, everything_out);
	loads(OG_LOAD_OVERWRITE, everything_out);
	exports(NULL, everything_out);
	end();
}
END_TEST

START_TEST(takes_an_empty_input)
{
	begin();
	loads(OG_LOAD_OVERWRITE, "");
	loads(OG_LOAD_APPEND, " \n\t\r\n");
	exports(NULL, "");
	end();
}
END_TEST

static const struct {
	const char *text, *message;
} broken[] = {
	{ "{\"type\":\"Person\"", "invalid JSON at record 1: unexpected end of input at line 1 column 17" },
	{ P("a") "\n  nope", "invalid JSON at record 2: expected a value at line 3 column 4" },
	{ P("a") "{\"type\":\"Person\",\"data\":{\"slug\":1x}}", "invalid JSON at record 2: expected `,` or `}` at line 2 column 34" },
	{ "\xef\xbb\xbf" P("a"), "invalid JSON at record 1: byte order mark at line 1 column 1" },
	{ P("a") "[1]", "record 2: expected 'type' or 'edge' field (line 2)" },
	{ "{\"type\":3,\"edge\":null}", "record 1: expected 'type' or 'edge' field (line 1)" },
	{ "{\"type\":\"person\"}", "record 1: unknown node type 'person' (line 1)" },
	{ "{\"edge\":\"Hates\",\"from\":\"a\",\"to\":\"b\"}", "record 1: unknown edge type 'Hates' (line 1)" },
	{ "{\"edge\":\"Knows\",\"to\":\"b\"}", "record 1: edge missing 'from' (line 1)" },
	{ "\n{\"edge\":\"Knows\",\"from\":\"b\",\"to\":2}", "record 1: edge missing 'to' (line 2)" },
	/* A broken record is told before any value. */
	{ "{\"type\":\"Person\",\"data\":{}} {", "invalid JSON at record 2: unexpected end of input at line 1 column 30" },
	/* ids, columns by name, ranges, patterns, enums, whatever the order of the records. */
	{ "{\"type\":\"Person\",\"data\":{}}", "node Person missing @key property 'slug' (line 1)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":null}}", "node Person missing @key property 'slug' (line 1)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"age\":200}}\n{\"type\":\"Person\",\"data\":{\"slug\":\"b\",\"ok\":1}}",
	  "property 'ok' expects Bool?, got 1 (line 2)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"ok\":1}}\n{\"type\":\"Person\",\"data\":{\"slug\":\"b\",\"age\":\"7\"}}",
	  "property 'age' expects I32?, got \"7\" (line 2)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":\"A\"}}\n{\"type\":\"Person\",\"data\":{\"slug\":\"b\",\"age\":200}}",
	  "@range violation on Person.age: value 200 > max 150 (line 2)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"mood\":\"odd\"}}\n{\"type\":\"Person\",\"data\":{\"slug\":\"B\"}}",
	  "@check violation on Person.slug: value 'B' does not match pattern '^[a-z0-9-]+$' (line 2)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"mood\":\"odd\"}}",
	  "invalid enum value 'odd' for Person.mood (expected: calm, wild) (line 1)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"big\":-1}}", "property 'big' value -1 exceeds UInt64 range (line 1)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"born\":\"2023-02-29\"}}", "invalid Date literal '2023-02-29' (line 1)" },
	{ "{\"type\":\"Note\",\"data\":{}}", "non-nullable property 'text' has null or invalid values (line 1)" },
	{ "{\"type\":\"Note\",\"data\":{\"id\":7,\"text\":\"\"}}", "node Note explicit id must be a string, got 7 (line 1)" },
	{ "{\"type\":\"Person\",\"data\":{\"id\":\"b\",\"slug\":\"a\"}}",
	  "node Person has explicit id 'b' that does not match @key property 'slug' canonical value 'a' (line 1)" },
	{ "{\"type\":\"Pair\",\"data\":{\"id\":\"b\",\"a\":\"x\",\"b\":1}}",
	  "node Pair has explicit id 'b' that does not match @key properties (a, b) canonical value '[\"x\",\"1\"]' (line 1)" },
	/* within the load */
	{ P("a") P("b") "\n" P("a"), "@unique violation on Person.slug: value 'a' appears in rows 0 and 2 (lines 1 and 4)" },
	{ "{\"type\":\"Pair\",\"data\":{\"a\":\"x\",\"b\":1}}{\"type\":\"Pair\",\"data\":{\"a\":\"x\",\"b\":1}}",
	  "@unique violation on Pair.(a, b): value '(x, 1)' appears in rows 0 and 1 (lines 1 and 1)" },
	{ "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"mail\":\"m\"}}\n{\"type\":\"Person\",\"data\":{\"slug\":\"b\",\"mail\":\"m\"}}",
	  "@unique violation on Person.mail: value 'm' appears in rows 0 and 1 (lines 1 and 2)" },
	{ P("a") KNOWS("a", "b"), "dst 'b' not found in Person (line 2)" },
	{ P("a") "\n" KNOWS("b", "a"), "src 'b' not found in Person (line 3)" },
	{ P("a") P("b") P("c") KNOWS("a", "a") KNOWS("a", "b") KNOWS("a", "c"),
	  "@card violation on edge Knows: source 'a' has 3 edges (max 2) (line 6)" },
};

START_TEST(tells_the_first_fault)
{
	begin();
	loads(OG_LOAD_MERGE, P("kept"));
	for (enum og_load_mode mode = OG_LOAD_OVERWRITE; mode <= OG_LOAD_MERGE; mode++) {
		fails(mode, broken[_i].text, broken[_i].message);
		ck_assert_int_eq(err.code, OG_ERR_BAD);
		/* Also from buffers that were closed as segments, one row each. */
		ck_assert_int_lt(load_pieces(mode, broken[_i].text, 5, 64, true), 0);
		ck_assert_str_eq(err.message, broken[_i].message);
	}
	end();
}
END_TEST

START_TEST(append_refuses_what_is_there)
{
	begin();
	loads(OG_LOAD_APPEND, P("a") P("b") N("n") "{\"edge\":\"Knows\",\"from\":\"a\",\"to\":\"b\",\"data\":{\"id\":\"k\"}}");
	fails(OG_LOAD_APPEND, P("c") P("b"), "node type 'Person' already has this id (line 2)");
	ck_assert_int_eq(err.code, OG_ERR_CONFLICT);
	ck_assert_int_eq(err.detail.kind, OG_DETAIL_KEY);
	ck_assert_str_eq(err.detail.name, "node:Person");
	ck_assert_str_eq(err.detail.id, "b");
	fails(OG_LOAD_APPEND, "{\"edge\":\"Knows\",\"from\":\"b\",\"to\":\"b\",\"data\":{\"id\":\"k\"}}", "edge type 'Knows' already has this id (line 1)");
	ck_assert_str_eq(err.detail.name, "edge:Knows");
	fails(OG_LOAD_APPEND, N("x") N("x"), "@unique violation on Note.id: value 'x' appears in rows 0 and 1 (lines 1 and 2)");
	fails(OG_LOAD_OVERWRITE, N("x") N("x"), "@unique violation on Note.id: value 'x' appears in rows 0 and 1 (lines 1 and 2)");
	/* New edges between old nodes. */
	loads(OG_LOAD_APPEND, P("c") KNOWS("b", "c") KNOWS("c", "a"));
	ck_assert_uint_eq(graph_rows(&g, "edge:Knows"), 3);
	end();
}
END_TEST

START_TEST(merge_replaces_whole_rows)
{
	begin();
	loads(OG_LOAD_MERGE, "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"age\":1,\"mail\":\"m\"}}" P("b") N("n"));
	loads(OG_LOAD_MERGE, "{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"ok\":false}}" P("c")
			     "{\"type\":\"Note\",\"data\":{\"id\":\"n\",\"text\":\"1\"}}{\"type\":\"Note\",\"data\":{\"id\":\"n\",\"text\":\"2\"}}"
			     "{\"type\":\"Note\",\"data\":{\"id\":\"o\",\"text\":\"3\"}}{\"type\":\"Note\",\"data\":{\"id\":\"o\",\"text\":\"4\"}}");
	exports("node:Note", "{\"type\":\"Note\",\"data\":{\"id\":\"n\",\"rank\":null,\"text\":\"2\"}}\n"
			     "{\"type\":\"Note\",\"data\":{\"id\":\"o\",\"rank\":null,\"text\":\"4\"}}\n");
	/* Across chunks as well. */
	ck_assert_int_eq(load_pieces(OG_LOAD_MERGE, "{\"type\":\"Note\",\"data\":{\"id\":\"o\",\"text\":\"5\"}}{\"type\":\"Note\",\"data\":{\"id\":\"o\","
						    "\"text\":\"6\"}}{\"type\":\"Note\",\"data\":{\"id\":\"p\",\"text\":\"7\"}}", 1, 64, true), 0);
	ck_assert_uint_eq(graph_rows(&g, "node:Note"), 3);
	ck_assert_uint_eq(graph_rows(&g, "node:Person"), 3);
	/* The value that the row gave up is free; one that stays is not. */
	loads(OG_LOAD_MERGE, "{\"type\":\"Person\",\"data\":{\"slug\":\"b\",\"mail\":\"m\"}}");
	fails(OG_LOAD_MERGE, "{\"type\":\"Person\",\"data\":{\"slug\":\"c\",\"mail\":\"m\"}}",
	      "@unique violation on Person.mail: value 'm' held by 'b' and 'c' (line 1)");
	loads(OG_LOAD_MERGE, "{\"type\":\"Person\",\"data\":{\"slug\":\"c\",\"mail\":\"m\"}}" P("b"));
	end();
}
END_TEST

START_TEST(merge_moves_edges)
{
	begin();
	loads(OG_LOAD_MERGE, P("a") P("b") P("c") "{\"edge\":\"Knows\",\"from\":\"a\",\"to\":\"b\",\"data\":{\"id\":\"1\"}}" KNOWS("a", "c"));
	/* The same edge counts once, and one that leaves makes room. */
	loads(OG_LOAD_MERGE, "{\"edge\":\"Knows\",\"from\":\"a\",\"to\":\"c\",\"data\":{\"id\":\"1\"}}");
	fails(OG_LOAD_MERGE, KNOWS("a", "a"), "@card violation on edge Knows: source 'a' has 3 edges (max 2) (line 1)");
	loads(OG_LOAD_MERGE, KNOWS("a", "a") "{\"edge\":\"Knows\",\"from\":\"b\",\"to\":\"c\",\"data\":{\"id\":\"1\"}}");
	ck_assert_uint_eq(graph_rows(&g, "edge:Knows"), 3);
	loads(OG_LOAD_MERGE, N("n") "{\"edge\":\"Wrote\",\"from\":\"a\",\"to\":\"n\"}");
	fails(OG_LOAD_MERGE, "{\"edge\":\"Wrote\",\"from\":\"b\",\"to\":\"n\"}\n{\"edge\":\"Wrote\",\"from\":\"a\",\"to\":\"n\",\"data\":{\"id\":\"w\"}}",
	      err.message);
	ck_assert_ptr_nonnull(strstr(err.message, "@unique violation on Wrote.(dst, src): value '(n, a)' held by '"));
	end();
}
END_TEST

START_TEST(overwrite_replaces_types_and_orphans_none)
{
	begin();
	loads(OG_LOAD_MERGE, P("a") P("b") N("n") KNOWS("a", "b") "{\"edge\":\"Wrote\",\"from\":\"a\",\"to\":\"n\"}");
	fails(OG_LOAD_OVERWRITE, P("b"), "src 'a' not found in Person");
	fails(OG_LOAD_OVERWRITE, N("m"), "dst 'n' not found in Note");
	fails(OG_LOAD_OVERWRITE, P("c") KNOWS("c", "a"), "dst 'a' not found in Person (line 2)");
	loads(OG_LOAD_OVERWRITE, P("a") P("c") KNOWS("c", "a") KNOWS("c", "c"));
	ck_assert_uint_eq(graph_rows(&g, "node:Person"), 2);
	ck_assert_uint_eq(graph_rows(&g, "edge:Knows"), 2);
	ck_assert_uint_eq(graph_rows(&g, "edge:Wrote"), 1);
	/* Edges alone: their nodes are those of before. */
	loads(OG_LOAD_OVERWRITE, KNOWS("a", "c"));
	ck_assert_uint_eq(graph_rows(&g, "edge:Knows"), 1);
	end();
}
END_TEST

START_TEST(old_spellings_name_their_rows)
{
	static const char text[] = "{\"edge\":\"On\",\"from\":\"n\",\"to\":\"2024-1-3\",\"data\":{\"id\":\"o\"}}\n" N("n")
				   "{\"edge\":\"Of\",\"from\":\"n\",\"to\":\"x\",\"data\":{\"id\":\"f\"}}\n"
				   "{\"type\":\"Day\",\"data\":{\"id\":\"2024-1-3\",\"on\":\"2024-01-03\"}}\n"
				   "{\"type\":\"Pair\",\"data\":{\"id\":\"x\",\"b\":7,\"a\":\"x\"}}\n";
	size_t budget = _i ? 64 : 1u << 20;

	begin();
	ck_assert_msg(load_pieces(OG_LOAD_APPEND, text, 11, budget, _i > 0) == 0, "%s", err.message);
	exports("edge:On", "{\"edge\":\"On\",\"from\":\"n\",\"to\":\"19725\",\"data\":{\"id\":\"o\"}}\n");
	exports("edge:Of", "{\"edge\":\"Of\",\"from\":\"n\",\"to\":\"[\\\"x\\\",\\\"7\\\"]\",\"data\":{\"id\":\"f\"}}\n");
	ck_assert_int_lt(load(OG_LOAD_MERGE, "{\"type\":\"Pair\",\"data\":{\"id\":\"x\",\"b\":7,\"a\":\"x\"}}"
					     "{\"type\":\"Pair\",\"data\":{\"id\":\"x\",\"b\":8,\"a\":\"x\"}}"), 0);
	ck_assert_ptr_nonnull(strstr(err.message, "refusing ambiguous edge endpoint remap"));
	end();
}
END_TEST

/*
 * Far more rows than the budget holds: chunks, runs on disk, and every check still made. Or more than one group has, with a thread that encodes, whose
 * chunks lie in a file or in memory.
 */
START_TEST(loads_more_than_its_budget)
{
	enum { ROWS = 60000 };
	size_t budget = _i ? 1u << 26 : 1u << 19;
	bool spill = _i < 2;
	struct og_buf b = { 0 };

	begin();
	with_thread = _i > 0;
	for (int i = 0; i < ROWS; i++) {
		og_buf_printf(&b, "{\"type\":\"Person\",\"data\":{\"slug\":\"p%d\",\"mail\":\"m%d\",\"age\":%d}}\n", i, i, i % 100);
		og_buf_printf(&b, "{\"edge\":\"Knows\",\"from\":\"p%d\",\"to\":\"p%d\"}\n", ROWS - 1 - i, i / 2);
	}
	ck_assert_msg(load_pieces(OG_LOAD_APPEND, b.data, 4096, budget, spill) == 0, "%s", err.message);
	ck_assert_uint_eq(graph_rows(&g, "node:Person"), ROWS);
	ck_assert_uint_eq(graph_rows(&g, "edge:Knows"), ROWS);
	og_buf_clear(&b);
	for (int i = 0; i < ROWS; i++)
		og_buf_printf(&b, "{\"type\":\"Person\",\"data\":{\"slug\":\"q%d\",\"mail\":\"m%d\"}}\n", i, i + ROWS - 1);
	ck_assert_int_lt(load_pieces(OG_LOAD_MERGE, b.data, 4096, budget, spill), 0);
	ck_assert_str_eq(err.message, "@unique violation on Person.mail: value 'm59999' held by 'p59999' and 'q0' (line 1)");
	og_buf_fini(&b);
	end();
}
END_TEST

START_TEST(export_knows_its_tables)
{
	struct og_slice name = OG_SLICE("Nobody"), key = OG_SLICE("node:person");
	struct og_export_req req = { .type_names = &name, .ntype_names = 1 };
	bool tables[GRAPH_TYPES];

	begin();
	ck_assert_int_eq(og_export_select(g.catalog, &req, tables, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "unknown export type 'Nobody'");
	req = (struct og_export_req){ .table_keys = &key, .ntable_keys = 1 };
	ck_assert_int_eq(og_export_select(g.catalog, &req, tables, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "unknown export table 'node:person'");
	end();
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, loads_every_type_and_exports_it, 0, 6);
	tcase_add_test(tc, loads_its_own_export);
	tcase_add_test(tc, takes_an_empty_input);
	tcase_add_loop_test(tc, tells_the_first_fault, 0, OG_COUNT(broken));
	tcase_add_test(tc, append_refuses_what_is_there);
	tcase_add_test(tc, merge_replaces_whole_rows);
	tcase_add_test(tc, merge_moves_edges);
	tcase_add_test(tc, overwrite_replaces_types_and_orphans_none);
	tcase_add_loop_test(tc, old_spellings_name_their_rows, 0, 2);
	tcase_add_loop_test(tc, loads_more_than_its_budget, 0, 3);
	tcase_add_test(tc, export_knows_its_tables);
}

int main(void)
{
	return suite_run("load", add, 120);
}
