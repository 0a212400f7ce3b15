/* Rules on single values: JSON into properties, enum, @range, @check and its dialect, ids from keys. */
#include "config.h"
#include "schema/rowcheck.h"
#include "json/value.h"

#include "t/check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct og_arena arena;
static struct og_error error;

static void setup(void)
{
	og_arena_init(&arena, 0);
	og_error_clear(&error);
}

static void teardown(void)
{
	og_arena_fini(&arena);
}

static struct og_catalog *compile(const char *text)
{
	struct og_catalog *c = NULL;

	if (og_catalog_compile(og_slice_str(text), NULL, 0, &c, &error) < 0)
		ck_abort_msg("%s: %s", text, error.message);
	return c;
}

/* A property p of that type; the value in export form, or the error. */
static const struct {
	const char *type, *json, *want;
	bool bad;
} rows[] = {
	{ "String", "\"\"", "\"\"", false },
	{ "String", "7", "non-nullable property 'p' has null or invalid values", true },
	{ "String?", "7", "property 'p' expects String?, got 7", true },
	{ "String?", "{\"a\": [1, null]}", "property 'p' expects String?, got {\"a\":[1,null]}", true },
	{ "String?", "null", "null", false },
	{ "String", "null", "null", false },	/* the caller's to refuse */
	{ "String?", NULL, "null", false },
	{ "enum(a)?", "\"b\"", "\"b\"", false },	/* looked at later */
	{ "enum(b, a)?", "1", "property 'p' expects enum(a, b)?, got 1", true },
	{ "Bool", "true", "true", false },
	{ "Bool?", "0", "property 'p' expects Bool?, got 0", true },
	{ "I32", "-2147483648", "-2147483648", false },
	{ "I32", "2147483648", "property 'p' value 2147483648 exceeds Int32 range", true },
	{ "I32?", "7.0", "property 'p' expects I32?, got 7.0", true },
	{ "I32", "1e3", "non-nullable property 'p' has null or invalid values", true },
	{ "I32?", "-0", "property 'p' expects I32?, got -0", true },
	{ "I32?", "\"7\"", "property 'p' expects I32?, got \"7\"", true },
	{ "I32", "9223372036854775808", "property 'p' value 9223372036854775808 exceeds Int32 range", true },
	{ "I64", "9223372036854775807", "9223372036854775807", false },
	{ "I64", "9223372036854775808", "property 'p' value 9223372036854775808 exceeds Int64 range", true },
	{ "I64?", "18446744073709551616", "property 'p' expects I64?, got 18446744073709551616", true },
	{ "U32", "4294967295", "4294967295", false },
	{ "U32", "4294967296", "property 'p' value 4294967296 exceeds UInt32 range", true },
	{ "U32", "-1", "property 'p' value -1 exceeds UInt32 range", true },
	{ "U64", "18446744073709551615", "18446744073709551615", false },
	{ "U64", "-1", "property 'p' value -1 exceeds UInt64 range", true },
	{ "F32", "0.1", "0.10000000149011612", false },
	{ "F32", "1e39", "property 'p' value 1e39 exceeds Float32 range", true },
	{ "F32?", "\"1\"", "property 'p' expects F32?, got \"1\"", true },
	{ "F64", "7", "7.0", false },
	{ "F64?", "[]", "property 'p' expects F64?, got []", true },
	{ "Date", "\"1970-01-11\"", "10", false },
	{ "Date", "-5", "-5", false },
	{ "Date", "2147483648", "Date value out of range: 2147483648", true },
	{ "Date", "\"2024-13-01\"", "invalid Date literal '2024-13-01'", true },
	{ "Date?", "1.5", "property 'p' expects Date?, got 1.5", true },
	{ "Date", "true", "non-nullable property 'p' has null or invalid values", true },
	{ "Date", "[1]", "property 'p' expects Date, got [1]", true },
	{ "DateTime", "\"2026-05-01T08:30:00Z\"", "\"2026-05-01T08:30:00\"", false },
	{ "DateTime", "1", "\"1970-01-01T00:00:00.001\"", false },
	{ "DateTime", "9223372036854775808", "DateTime value out of range: 9223372036854775808", true },
	{ "DateTime", "\"x\"", "invalid DateTime literal 'x'", true },
	{ "DateTime?", "{}", "property 'p' expects DateTime?, got {}", true },
	{ "Vector(2)", "[1, 0.5]", "[1.0,0.5]", false },
	{ "Vector(2)", "[1]", "vector property 'p' expects 2 dimensions, got 1", true },
	{ "Vector(2)", "[1, \"x\"]", "vector property 'p' elements must be numeric, got \"x\"", true },
	{ "Vector(2)", "[1, null]", "vector property 'p' elements must be numeric, got null", true },
	{ "Vector(2)", "[1, 1e39]", "property 'p' value 1e39 exceeds Float32 range", true },
	{ "Vector(2)", "1", "non-nullable vector property 'p' has null values", true },
	{ "Vector(2)?", "1", "property 'p' expects Vector(2)?, got 1", true },
	{ "[String]", "[]", "[]", false },
	{ "[String]", "[\"a\", 1, null]", "[\"a\",null,null]", false },
	{ "[String]?", "\"a\"", "list property 'p' expects a JSON array, got \"a\"", true },
	{ "[I32]", "[1, 2.5, 2147483647]", "[1,null,2147483647]", false },
	{ "[I32]", "[2147483648]", "list value 2147483648 exceeds Int32 range", true },
	{ "[U32]", "[-1]", "list value -1 exceeds UInt32 range", true },
	{ "[U64]", "[-1]", "list value -1 exceeds UInt64 range", true },
	{ "[F32]", "[1e39]", "property 'p' value 1e39 exceeds Float32 range", true },
	{ "[Date]", "[\"x\"]", "invalid Date literal 'x'", true },
	{ "[Date]", "[1, true]", "[1,null]", false },
	{ "[Bool]", "[true, 1]", "[true,null]", false },
	{ "Blob", "\"base64:\"", "\"base64:\"", false },
	{ "Blob", "\"base64:aGk=\"", "\"base64:aGk=\"", false },
	{ "Blob", "\"s3://b/k\"", "\"s3://b/k\"", false },
	{ "Blob", "\"BASE64:aGk=\"", "\"BASE64:aGk=\"", false },
	{ "Blob", "\"\"", "blob property 'p' must be a URI string or base64: prefixed data", true },
	{ "Blob?", "7", "blob property 'p' must be a URI string or base64: prefixed data", true },
};

START_TEST(takes_json)
{
	struct og_catalog *c = compile(og_arena_printf(&arena, "node T { p: %s }", rows[_i].type));
	const struct og_type *t = og_catalog_node(c, OG_SLICE("T"));
	struct og_json *j = NULL;
	struct og_value v;
	int rc;

	if (rows[_i].json)
		ck_assert_ptr_nonnull(j = og_json_parse(&arena, og_slice_str(rows[_i].json), OG_JSON_LAST_WINS, &error));
	rc = og_prop_from_json(&arena, &t->props[0], j, &v, &error);
	if (rows[_i].bad) {
		ck_assert_int_eq(rc, OG_ERR_BAD);
		ck_assert_str_eq(error.message, rows[_i].want);
	} else {
		struct og_buf b = { 0 };
		struct og_json_writer w;

		ck_assert_msg(rc == 0, "%s", error.message);
		og_json_writer_init(&w, &b, false);
		ck_assert_int_eq(og_json_value_export(&w, &v, t->props[0].type.scalar, &error), 0);
		ck_assert_str_eq(b.data, rows[_i].want);
		og_buf_fini(&b);
	}
	og_catalog_unref(c);
}
END_TEST

START_TEST(words_bad_base64)
{
	struct og_catalog *c = compile("node T { p: Blob }");
	struct og_json *j = og_json_parse(&arena, OG_SLICE("\"base64:a\""), OG_JSON_LAST_WINS, &error);
	struct og_value v;

	ck_assert_int_eq(og_prop_from_json(&arena, &c->types[0].props[0], j, &v, &error), OG_ERR_BAD);
	ck_assert_int_eq(strncmp(error.message, "invalid base64 blob data: ", 26), 0);
	og_catalog_unref(c);
}
END_TEST

START_TEST(words_missing_values)
{
	struct og_catalog *c = compile("node T { b: Blob s: String v: Vector(2) }");

	og_prop_missing(&c->types[0].props[0], &error);
	ck_assert_str_eq(error.message, "non-nullable blob property 'b' has null values");
	og_prop_missing(&c->types[0].props[1], &error);
	ck_assert_str_eq(error.message, "non-nullable property 's' has null or invalid values");
	og_prop_missing(&c->types[0].props[2], &error);
	ck_assert_str_eq(error.message, "non-nullable vector property 'v' has null values");
	og_catalog_unref(c);
}
END_TEST

static int rule(const char *schema, struct og_value v)
{
	struct og_catalog *c = compile(schema);
	const struct og_type *t = og_catalog_node(c, OG_SLICE("T"));
	struct og_rules *r = og_rules_new(&error);
	int rc = og_rules_check(r, t, og_type_property(t, OG_SLICE("p")), &v, &error);

	og_rules_free(r);
	og_catalog_unref(c);
	return rc;
}

static struct og_value number(double x)
{
	return (struct og_value){ .kind = OG_V_FLOAT, .f = x };
}

static struct og_value integer(int64_t x)
{
	return (struct og_value){ .kind = OG_V_INT, .i = x };
}

static struct og_value string(const char *s)
{
	return (struct og_value){ .kind = OG_V_STRING, .s = og_slice_str(s) };
}

START_TEST(checks_ranges)
{
	const char *s = "node T { p: F64 q: I32 @range(p, -5..0.5) @range(p, ..-1) @range(q, 0..0) }";

	ck_assert_int_eq(rule(s, number(0.5)), 0);
	ck_assert_int_eq(rule(s, (struct og_value){ .kind = OG_V_NULL }), 0);
	ck_assert_int_eq(rule(s, number((double)0.6f)), OG_ERR_BAD);
	ck_assert_str_eq(error.message, "@range violation on T.p: value 0.6000000238418579 > max 0.5");
	ck_assert_int_eq(rule(s, number(-250)), OG_ERR_BAD);
	ck_assert_str_eq(error.message, "@range violation on T.p: value -250 < min -1");	/* first by key text */
	/* A lone upper bound is read as the lower one. */
	ck_assert_int_eq(rule(s, number(-2)), OG_ERR_BAD);
	ck_assert_str_eq(error.message, "@range violation on T.p: value -2 < min -1");
	ck_assert_int_eq(rule(s, number(NAN)), OG_ERR_BAD);
	ck_assert_str_eq(error.message, "@range violation on T.p: value is NaN");
	ck_assert_int_eq(rule("node T { p: I32 @range(p, 1..2) }", integer(1)), 0);
	ck_assert_int_eq(rule("node T { p: I32 @range(p, 1..2) }", integer(3)), OG_ERR_BAD);
	ck_assert_str_eq(error.message, "@range violation on T.p: value 3 > max 2");
}
END_TEST

START_TEST(checks_enums)
{
	ck_assert_int_eq(rule("node T { p: enum(b, a) }", string("a")), 0);
	ck_assert_int_eq(rule("node T { p: enum(b, a) }", string("A")), OG_ERR_BAD);
	ck_assert_str_eq(error.message, "invalid enum value 'A' for T.p (expected: a, b)");
}
END_TEST

static int pattern(const char *re, const char *subject)
{
	struct og_buf b = { 0 };
	int rc;

	og_buf_str(&b, "node T { p: String @check(p, \"");
	for (; *re; re++) {
		if (*re == '\\' || *re == '"')
			og_buf_byte(&b, '\\');
		og_buf_byte(&b, (uint8_t)*re);
	}
	og_buf_str(&b, "\") }");
	rc = rule(b.data, string(subject));
	og_buf_fini(&b);
	return rc;
}

static const struct {
	const char *re, *subject;
	bool match;
} patterns[] = {
	{ "^[A-Z]{2}-[0-9]+$", "GB-12", true },
	{ "^[A-Z]{2}-[0-9]+$", "GB-12\n", false },	/* $ is the very end */
	{ "b", "abc", true },
	{ "a.c", "a\nc", false },
	{ "(?s)a.c", "a\nc", true },
	{ "(?i)straße", "STRASSE", false },
	{ "(?i)É", "é", true },
	{ "^\\w+$", "héllo", true },
	{ "^\\d$", "٣", true },
	{ "^\\p{Lu}\\P{Lu}$", "Éa", true },
	{ "^\\pL$", "é", true },
	{ "^[[:alpha:]]+$", "é", false },	/* named classes are ASCII */
	{ "^[[:alpha:]_-]+$", "a_-", true },
	{ "^[]a]+$", "]a", true },
	{ "^\\v$", "\v", true },
	{ "^\\v$", "\f", false },
	{ "^\\x41\\x{e9}\\u00e9\\u{e9}$", "Aééé", true },
	{ "^a{2,3}?b*?c+?$", "aac", true },
	{ "(?P<year>[0-9]{4})-(?<m>\\d)", "2024-1", true },
	{ "(?im-s:a)", "A", true },
	{ "\\bfoo\\b", "a foo b", true },
	{ "^\\$\\.\\-\\/\\#\\ $", "$.-/# ", true },
	{ "\\Aab\\z", "ab", true },
	{ "a}b", "a}b", true },
	{ "", "", true },
	{ "^$", "x", false },
};

START_TEST(matches_its_dialect)
{
	int rc = pattern(patterns[_i].re, patterns[_i].subject);

	ck_assert_msg(rc == (patterns[_i].match ? 0 : OG_ERR_BAD), "%s: %s", patterns[_i].re, error.message);
	if (!patterns[_i].match)
		ck_assert_ptr_nonnull(strstr(error.message, "does not match pattern"));
}
END_TEST

static const char *const bad_patterns[] = {
	"(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", "(?>a)", "(a)\\1", "\\k<a>", "\\Z", "\\K", "\\Q.\\E", "\\R", "\\h", "\\C", "\\X", "\\N", "\\G",
	"a{", "{", "a{x}", "a{,2}", "{2}", "(?:{2})", "a|{2}", "[a-z&&[^aeiou]]", "[a[b]]", "[a--b]", "[a~~b]", "[", "[a", "(", ")", "a)", "*", "+a",
	"(*UTF)", "(?R)", "(?1)", "(?&a)", "(?P>a)", "(?P=a)", "(?|a)", "(?#c)", "(?C)", "(?(1)a)", "(?u)a", "(?xx)a", "(?)", "(?i-)", "(?'a'b)",
	"a++", "a*+", "a?+", "a{2}+", "\\", "\\p", "\\p{Nope}", "\\x", "\\x{}", "\\x{110000}", "\\u12", "\\b{start}", "[\\b]", "[[:nope:]]", "[[:^alpha:]]",
	"[z-a]", "a{2,1}", "a{99999}", "\\é", "\\0", "\\<a",
};

START_TEST(refuses_what_is_not_of_its_dialect)
{
	ck_assert_msg(pattern(bad_patterns[_i], "a") == OG_ERR_BAD, "%s accepted", bad_patterns[_i]);
	ck_assert_msg(strstr(error.message, "has invalid regex '"), "%s: %s", bad_patterns[_i], error.message);
}
END_TEST

START_TEST(words_pattern_faults)
{
	ck_assert_int_eq(pattern("^a$", "b"), OG_ERR_BAD);
	ck_assert_str_eq(error.message, "@check violation on T.p: value 'b' does not match pattern '^a$'");
	ck_assert_int_eq(pattern("(?=a)", "b"), OG_ERR_BAD);
	ck_assert_str_eq(error.message, "@check on T.p has invalid regex '(?=a)': look-around, including look-ahead and look-behind, is not supported");
	ck_assert_int_eq(pattern("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"), OG_ERR_BAD);
	ck_assert_ptr_nonnull(strstr(error.message, "pattern too expensive"));
}
END_TEST

/* Whatever bytes a pattern has, it is refused or matched. */
START_TEST(survives_any_pattern)
{
	static const char alphabet[] = "\\[](){}?*+|^$.-&~:<>=!PxuUpdwsbzAQEai01,#";
	uint32_t seed = 12345u + (uint32_t)_i;
	char re[12];

	for (int n = 0; n < 300; n++) {
		size_t len = 1 + seed % (sizeof(re) - 1);

		for (size_t i = 0; i < len; i++) {
			seed = seed * 1664525u + 1013904223u;
			re[i] = alphabet[(seed >> 8) % (sizeof(alphabet) - 1)];
		}
		re[len] = '\0';
		pattern(re, "aaa[b]1\n");
	}
}
END_TEST

static const char *id_of(const char *schema, const struct og_value *vals)
{
	struct og_catalog *c = compile(schema);
	struct og_buf b = { 0 };
	int rc = og_key_id(&b, og_catalog_node(c, OG_SLICE("T")), vals, &error);
	const char *text = rc < 0 ? error.message : og_arena_strndup(&arena, b.data ? b.data : "", b.len);

	og_buf_fini(&b);
	og_catalog_unref(c);
	return text;
}

START_TEST(makes_ids)
{
	struct og_value two[] = { string("ac\"me"), integer(-7) };
	struct og_value date = { .kind = OG_V_DATE, .i = 19723 }, yes = { .kind = OG_V_BOOL, .i = 1 }, null = { .kind = OG_V_NULL };
	struct og_value single = number((double)0.1f), zero = number(-0.0), inf = number(INFINITY);

	ck_assert_str_eq(id_of("node T { a: String @key b: I32 }", two), "ac\"me");
	ck_assert_str_eq(id_of("node T { a: String b: I32 @key }", two), "-7");
	ck_assert_str_eq(id_of("node T { a: String b: I32 @key(b, a) }", two), "[\"ac\\\"me\",\"-7\"]");
	ck_assert_str_eq(id_of("node T { a: Date @key }", &date), "19723");
	ck_assert_str_eq(id_of("node T { a: Bool @key }", &yes), "true");
	ck_assert_str_eq(id_of("node T { a: F32 @key }", &single), "0.1");
	ck_assert_str_eq(id_of("node T { a: F64 @key }", &zero), "0");
	ck_assert_int_eq(strncmp(id_of("node T { a: F64 @key }", &inf), "scalar key: non-finite Float64 value ", 36), 0);
	ck_assert_str_eq(id_of("node T { a: String @key }", &null), "insert @key property 'a' cannot contain null");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rowcheck");
	TCase *tc = tcase_create("rowcheck");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, takes_json, 0, OG_COUNT(rows));
	tcase_add_test(tc, words_bad_base64);
	tcase_add_test(tc, words_missing_values);
	tcase_add_test(tc, checks_ranges);
	tcase_add_test(tc, checks_enums);
	tcase_add_loop_test(tc, matches_its_dialect, 0, OG_COUNT(patterns));
	tcase_add_loop_test(tc, refuses_what_is_not_of_its_dialect, 0, OG_COUNT(bad_patterns));
	tcase_add_test(tc, words_pattern_faults);
	tcase_add_loop_test(tc, survives_any_pattern, 0, 10);
	tcase_add_test(tc, makes_ids);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
