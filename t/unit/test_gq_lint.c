/* The linter's report, as JSON and for people. */
#include "config.h"
#include "gq/lint.h"

#include "t/check.h"
#include <stdlib.h>

static const char schema[] = "node Vessel { code: String @key  name: String  tonnage: I32?  flags: [String]?  hull: Vector(4)? @embed(name)  seen: DateTime? }"
			     "node Port { code: String @key  city: String? }"
			     "edge DocksAt: Vessel -> Port { berth: I32? }  edge Tows: Vessel -> Vessel";

static struct og_catalog *catalog;
static struct og_arena arena;
static struct gq_lint lint;
static struct og_buf out;

static void setup(void)
{
	struct og_error err = { 0 };

	og_arena_init(&arena, 0);
	ck_assert_int_eq(og_catalog_compile(OG_SLICE(schema), NULL, 0, &catalog, &err), 0);
	out = (struct og_buf){ 0 };
}

static void teardown(void)
{
	og_buf_fini(&out);
	og_catalog_unref(catalog);
	og_arena_fini(&arena);
}

static void run(const char *source)
{
	struct og_error err = { 0 };

	ck_assert_int_eq(gq_lint(&arena, og_slice_str(source), catalog, &lint, &err), 0);
}

static const char *json(void)
{
	struct gq_lint_origin origin = { "file", "s.pg", "q.gq" };
	struct og_json_writer w;

	og_json_writer_init(&w, &out, false);
	gq_lint_json(&w, &lint, &origin);
	return out.data;
}

START_TEST(reports_what_does_not_parse)
{
	run("query");
	ck_assert_uint_eq(lint.nresults, 0);
	ck_assert_int_eq(strncmp(json(), "{\"status\":\"error\",\"schema_source\":{\"kind\":\"file\",\"path\":\"s.pg\"},\"query_path\":\"q.gq\","
				 "\"queries_processed\":0,\"errors\":1,\"warnings\":0,\"infos\":0,\"results\":[],"
				 "\"findings\":[{\"severity\":\"error\",\"code\":\"Q000\",\"message\":\"parse error:  --> 1:6", 220), 0);
}
END_TEST

START_TEST(describes_operations)
{
	run("query q($s: String?) { match { $x: Vessel $x docksAt $p not { $x tows $y } } return { $x, $x.flags as f $x.hull $s avg($x.tonnage) count($p) min($x.name) } }");
	ck_assert_ptr_nonnull(strstr(json(),
		"\"results\":[{\"name\":\"q\",\"kind\":\"read\",\"status\":\"ok\",\"operation\":{\"result\":["
		"{\"name\":\"x\",\"kind\":\"object\",\"nullable\":false},"
		"{\"name\":\"f\",\"kind\":\"list\",\"item_kind\":\"string\",\"nullable\":true},"
		"{\"name\":\"hull\",\"kind\":\"vector\",\"vector_dim\":4,\"nullable\":true},"
		"{\"name\":\"s\",\"kind\":\"string\",\"nullable\":true},"
		"{\"name\":\"avg\",\"kind\":\"float\",\"nullable\":true},"
		"{\"name\":\"count\",\"kind\":\"bigint\",\"nullable\":true},"
		"{\"name\":\"min\",\"kind\":\"string\",\"nullable\":true}],"
		"\"reads\":[{\"kind\":\"node\",\"type_name\":\"Port\"},{\"kind\":\"node\",\"type_name\":\"Vessel\"},"
		"{\"kind\":\"edge\",\"type_name\":\"DocksAt\"},{\"kind\":\"edge\",\"type_name\":\"Tows\"}],\"writes\":[]}}],\"findings\":[]}"));
}
END_TEST

START_TEST(names_properties_that_no_update_sets)
{
	run("query b($s: String) { update Vessel set { name: $s } where code = $s }\n"
	    "query a($s: I32) { update Vessel set { tonnage: $s } where tonnage = $s }\n"
	    "query a($s: I32) { update Vessel set { tonnage: $s } where tonnage = 0 }\n"
	    "query bad($s: I32) { update Vessel set { seen: $s } where tonnage = 0 }\n"
	    "query d() { delete Port where code = \"a\" }\n");
	ck_assert_uint_eq(lint.nresults, 5);
	ck_assert_uint_eq(lint.errors, 1);
	ck_assert_uint_eq(lint.warnings, 3);
	ck_assert_ptr_nonnull(strstr(json(),
		"\"findings\":[{\"severity\":\"warning\",\"code\":\"L201\",\"message\":\"Vessel.flags exists in schema but no update query sets it\","
		"\"type_name\":\"Vessel\",\"property\":\"flags\",\"query_names\":[\"a\",\"b\"]},"
		"{\"severity\":\"warning\",\"code\":\"L201\",\"message\":\"Vessel.seen exists in schema but no update query sets it\","
		"\"type_name\":\"Vessel\",\"property\":\"seen\",\"query_names\":[\"a\",\"b\"]}]}"));
	ck_assert_ptr_nonnull(strstr(out.data, "\"name\":\"d\",\"kind\":\"mutation\",\"status\":\"ok\",\"warnings\":[\"mutation declares no params; "
					       "hardcoded mutations are easy to miss\"],\"operation\":{\"result\":[],\"reads\":[{\"kind\":\"node\","
					       "\"type_name\":\"Port\"},{\"kind\":\"edge\",\"type_name\":\"DocksAt\"}],\"writes\":[{\"kind\":\"node\","
					       "\"type_name\":\"Port\"},{\"kind\":\"edge\",\"type_name\":\"DocksAt\"}]}}"));
	og_buf_clear(&out);
	gq_lint_text(&out, &lint);
	ck_assert_str_eq(out.data, "OK    query `b` (mutation)\n"
				   "OK    query `a` (mutation)\n"
				   "OK    query `a` (mutation)\n"
				   "ERROR query `bad`: type error: T7: cannot assign/compare I32 with DateTime? for property `seen`\n"
				   "OK    query `d` (mutation)\n"
				   "WARN  query `d`: mutation declares no params; hardcoded mutations are easy to miss\n"
				   "WARN  Vessel.flags exists in schema but no update query sets it\n"
				   "WARN  Vessel.seen exists in schema but no update query sets it\n"
				   "INFO  Lint complete: 5 queries processed (1 error(s), 3 warning(s), 0 info item(s))\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gq_lint");
	TCase *tc = tcase_create("gq_lint");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, reports_what_does_not_parse);
	tcase_add_test(tc, describes_operations);
	tcase_add_test(tc, names_properties_that_no_update_sets);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
