/* Query results as text: every format, widths, and arrays that are none. */
#include "config.h"

#include "og-cli/render.h"
#include "t/unit/suite.h"

static struct og_buf out;
static struct og_error err;

#define COLUMNS "[\"v.imo\",\"v.name\"]"
#define ROWS "[{\"v.imo\":9321483,\"v.name\":\"Elsa\"},{\"v.imo\":9074729,\"v.name\":null}]"
#define VERY_WIDE 80

static struct render_result result(const char *columns, const char *rows, uint64_t n)
{
	return (struct render_result){ .query_name = OG_SLICE("vessels_at"), .branch = OG_SLICE("main"), .row_count = n,
				       .columns = og_slice_str(columns), .rows = og_slice_str(rows) };
}

static void check(const struct render_result *r, enum og_config_format f, uint64_t width, enum og_config_layout layout, const char *want)
{
	struct render_opts o = { f, width, layout };
	struct render_result copy = *r;

	/* Heap copies, so that a read past an end is seen. */
	copy.rows = exact_copy(r->rows, r->rows.len);
	copy.columns = exact_copy(r->columns, r->columns.len);
	og_buf_clear(&out);
	ck_assert_msg(render_query(&out, &copy, &o, &err) == 0, "%s", err.message);
	ck_assert_str_eq(out.data, want);
	free_copy(copy.rows);
	free_copy(copy.columns);
}

START_TEST(prints_every_format)
{
	struct render_result r = result(COLUMNS, ROWS, 2);

	check(&r, OG_FORMAT_TABLE, VERY_WIDE, OG_LAYOUT_TRUNCATE,
	      "2 rows from branch main via vessels_at\n"
	      "v.imo   | v.name\n"
	      "--------+-------\n"
	      "9321483 | Elsa  \n"
	      "9074729 | null  \n");
	check(&r, OG_FORMAT_KV, VERY_WIDE, OG_LAYOUT_TRUNCATE,
	      "2 rows from branch main via vessels_at\n"
	      "row 1\nv.imo: 9321483\nv.name: Elsa\n"
	      "\nrow 2\nv.imo: 9074729\nv.name: null\n");
	check(&r, OG_FORMAT_CSV, VERY_WIDE, OG_LAYOUT_TRUNCATE, "v.imo,v.name\n9321483,Elsa\n9074729,null\n");
	check(&r, OG_FORMAT_JSONL, VERY_WIDE, OG_LAYOUT_TRUNCATE,
	      "{\"kind\":\"metadata\",\"query_name\":\"vessels_at\",\"target\":{\"branch\":\"main\",\"snapshot\":null},\"row_count\":2}\n"
	      "{\"v.imo\":9321483,\"v.name\":\"Elsa\"}\n"
	      "{\"v.imo\":9074729,\"v.name\":null}\n");
	r.branch = og_slice(NULL, 0);
	r.snapshot = OG_SLICE("01X");
	r.commit = OG_SLICE("01X");
	check(&r, OG_FORMAT_JSON, VERY_WIDE, OG_LAYOUT_TRUNCATE,
	      "{\n"
	      "  \"query_name\": \"vessels_at\",\n"
	      "  \"target\": {\n"
	      "    \"branch\": null,\n"
	      "    \"snapshot\": \"01X\"\n"
	      "  },\n"
	      "  \"row_count\": 2,\n"
	      "  \"columns\": [\n"
	      "    \"v.imo\",\n"
	      "    \"v.name\"\n"
	      "  ],\n"
	      "  \"rows\": [\n"
	      "    {\n"
	      "      \"v.imo\": 9321483,\n"
	      "      \"v.name\": \"Elsa\"\n"
	      "    },\n"
	      "    {\n"
	      "      \"v.imo\": 9074729,\n"
	      "      \"v.name\": null\n"
	      "    }\n"
	      "  ],\n"
	      "  \"graph_commit_id\": \"01X\"\n"
	      "}\n");
	check(&r, OG_FORMAT_CSV, VERY_WIDE, OG_LAYOUT_TRUNCATE, "v.imo,v.name\n9321483,Elsa\n9074729,null\n");
}
END_TEST

START_TEST(prints_no_rows)
{
	struct render_result r = result(COLUMNS, "[]", 0);

	check(&r, OG_FORMAT_TABLE, VERY_WIDE, OG_LAYOUT_TRUNCATE, "0 rows from branch main via vessels_at\nv.imo | v.name\n------+-------\n");
	check(&r, OG_FORMAT_KV, VERY_WIDE, OG_LAYOUT_TRUNCATE, "0 rows from branch main via vessels_at\n(no rows)\n");
	check(&r, OG_FORMAT_CSV, VERY_WIDE, OG_LAYOUT_TRUNCATE, "v.imo,v.name\n");
	r.columns = OG_SLICE("[]");
	check(&r, OG_FORMAT_TABLE, VERY_WIDE, OG_LAYOUT_TRUNCATE, "0 rows from branch main via vessels_at\n(no rows)\n");
	check(&r, OG_FORMAT_JSON, VERY_WIDE, OG_LAYOUT_TRUNCATE,
	      "{\n  \"query_name\": \"vessels_at\",\n  \"target\": {\n    \"branch\": \"main\",\n    \"snapshot\": null\n  },\n"
	      "  \"row_count\": 0,\n  \"rows\": []\n}\n");
}
END_TEST

/* Old servers give no columns. */
START_TEST(finds_columns_in_the_rows)
{
	struct render_result r = result("", " [ {\"b\": 1} , {\"a\": [1, \"x\"], \"b\": {\"k\": true}} ] ", 2);

	check(&r, OG_FORMAT_CSV, VERY_WIDE, OG_LAYOUT_TRUNCATE, "a,b\nnull,1\n\"[1,\"\"x\"\"]\",\"{\"\"k\"\":true}\"\n");
}
END_TEST

START_TEST(keeps_numbers_as_written)
{
	struct render_result r = result("[\"n\"]", "[{\"n\":9223372036854775807},{\"n\":1.0},{\"n\":1e+16}]", 3);

	check(&r, OG_FORMAT_CSV, VERY_WIDE, OG_LAYOUT_TRUNCATE, "n\n9223372036854775807\n1.0\n1e+16\n");
}
END_TEST

START_TEST(quotes_csv)
{
	struct render_result r = result("[\"a,b\",\"c\"]", "[{\"a,b\":\"x\\\"y\",\"c\":\"l1\\nl2\"},{\"a,b\":\"\\r\",\"c\":\" \"}]", 2);

	check(&r, OG_FORMAT_CSV, VERY_WIDE, OG_LAYOUT_TRUNCATE, "\"a,b\",c\n\"x\"\"y\",\"l1\nl2\"\n\"\r\", \n");
}
END_TEST

START_TEST(cuts_and_wraps_cells)
{
	struct render_result r = result("[\"name\",\"n\"]", "[{\"name\":\"Übergrößenträger\",\"n\":1},{\"name\":\"a\\nb\",\"n\":2}]", 2);

	check(&r, OG_FORMAT_TABLE, 6, OG_LAYOUT_TRUNCATE,
	      "2 rows from branch main via vessels_at\n"
	      "name   | n\n"
	      "-------+--\n"
	      "Überg… | 1\n"
	      "a\\nb   | 2\n");
	check(&r, OG_FORMAT_TABLE, 6, OG_LAYOUT_WRAP,
	      "2 rows from branch main via vessels_at\n"
	      "name   | n\n"
	      "-------+--\n"
	      "Übergr | 1\n"
	      "ößentr |  \n"
	      "äger   |  \n"
	      "a\\nb   | 2\n");
	/* The name decides where the longest cell may not. */
	check(&r, OG_FORMAT_TABLE, 1, OG_LAYOUT_TRUNCATE,
	      "2 rows from branch main via vessels_at\n"
	      "name | n\n"
	      "-----+--\n"
	      "Übe… | 1\n"
	      "a\\nb | 2\n");
	/* At most max(M, 8), and a longer name is not cut. */
	r = result("[\"abcdefghijkl\"]", "[{\"abcdefghijkl\":\"123456789\"}]", 1);
	check(&r, OG_FORMAT_TABLE, 3, OG_LAYOUT_TRUNCATE,
	      "1 rows from branch main via vessels_at\n"
	      "abcdefghijkl\n"
	      "--------\n"
	      "1234567…\n");
	r = result("[\"x\"]", "[{\"x\":\"123\"}]", 1);
	check(&r, OG_FORMAT_TABLE, 0, OG_LAYOUT_TRUNCATE, "1 rows from branch main via vessels_at\nx\n-\n1\n");
	check(&r, OG_FORMAT_TABLE, 0, OG_LAYOUT_WRAP, "1 rows from branch main via vessels_at\nx\n-\n1\n2\n3\n");
}
END_TEST

static const struct {
	const char *columns, *rows;
} damaged[] = {
	{ "{}", "[]" },	       { "[1]", "[]" },	   { "[", "[]" },	{ "[\"a\"]", "" },     { "[\"a\"]", "{}" },
	{ "[\"a\"]", "[" },    { "[\"a\"]", "[1]" }, { "[\"a\"]", "[{}" }, { "[\"a\"]", "[{} {}]" }, { "[\"a\"]", "[{\"a\":}]" },
	{ "[\"a\"]", "[{},]" },
};

START_TEST(refuses_what_is_no_result)
{
	static const enum og_config_format formats[] = { OG_FORMAT_TABLE, OG_FORMAT_KV, OG_FORMAT_CSV, OG_FORMAT_JSONL, OG_FORMAT_JSON };
	struct render_result r = result(damaged[_i].columns, damaged[_i].rows, 1);

	r.rows = exact_copy(r.rows, r.rows.len);
	for (size_t i = 0; i < OG_COUNT(formats); i++) {
		struct render_opts o = { formats[i], VERY_WIDE, OG_LAYOUT_WRAP };

		ck_assert_int_lt(render_query(&out, &r, &o, &err), 0);
		ck_assert_int_lt(err.code, 0);
	}
	free_copy(r.rows);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, prints_every_format);
	tcase_add_test(tc, prints_no_rows);
	tcase_add_test(tc, finds_columns_in_the_rows);
	tcase_add_test(tc, keeps_numbers_as_written);
	tcase_add_test(tc, quotes_csv);
	tcase_add_test(tc, cuts_and_wraps_cells);
	tcase_add_loop_test(tc, refuses_what_is_no_result, 0, (int)OG_COUNT(damaged));
}

int main(void)
{
	return suite_run("render", add, 20);
}
