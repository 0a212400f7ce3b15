/* Binding parameters and evaluating constants: every accepted form and every refusal. */
#include "config.h"
#include "gq/gq.h"
#include "json/tree.h"

#include "t/check.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct og_catalog *catalog;
static struct og_arena arena;

static void setup(void)
{
	struct og_error err = { 0 };
	struct og_slice src = OG_SLICE("node T { k: String @key i: I32? f: F32? d: Date? v: Vector(2)? l: [F32]? dl: [Date]? }");

	og_arena_init(&arena, 0);
	ck_assert_int_eq(og_catalog_compile(src, NULL, 0, &catalog, &err), 0);
}

static void teardown(void)
{
	og_catalog_unref(catalog);
	og_arena_fini(&arena);
}

static struct gq_query *query(const char *text)
{
	struct og_error err = { 0 };
	struct gq_query *q = NULL;
	struct gq_file f = { 0 };

	if (gq_parse(&arena, og_slice_str(text), &f, &err) < 0 || gq_select(&f, (struct og_slice){ 0 }, &q, &err) < 0 ||
	    gq_check(&arena, q, catalog, &err) < 0)
		ck_abort_msg("%s: %s", text, err.message);
	return q;
}

static int bind(const struct gq_query *q, const char *json, struct gq_bindings *b, struct og_error *err)
{
	struct og_json *j = json ? og_json_parse(&arena, og_slice_str(json), OG_JSON_LAST_WINS, err) : NULL;

	ck_assert(!json || j);
	return gq_bind(&arena, q, j, b, err);
}

static const struct {
	const char *type, *value, *message;	/* NULL: accepted */
} rows[] = {
	{ "String", "\"a\"", NULL },
	{ "String", "7", "expected string, got number" },
	{ "String", "{}", "expected string, got object" },
	{ "String", "null", "null is not accepted for non-nullable parameter" },
	{ "String?", "null", NULL },
	{ "Bool", "true", NULL },
	{ "Bool", "1", "expected boolean" },
	{ "I32", "-2147483648", NULL },
	{ "I32", "\"+007\"", NULL },
	{ "I32", "\"-7\"", NULL },
	{ "I32", "2147483648", "value 2147483648 exceeds I32" },
	{ "I32", "\"-2147483649\"", "value -2147483649 exceeds I32" },
	{ "I32", "3.0", "expected integer number" },
	{ "I64", "1e3", "expected integer number" },
	{ "I64", "9223372036854775808", "expected integer number" },
	{ "I64", "\" 7\"", "expected integer string, got ' 7'" },
	{ "I64", "\"\"", "expected integer string, got ''" },
	{ "I64", "\"9223372036854775808\"", "expected integer string, got '9223372036854775808'" },
	{ "I64", "true", "expected integer" },
	{ "U32", "4294967295", NULL },
	{ "U32", "\"+7\"", NULL },
	{ "U32", "4294967296", "value 4294967296 exceeds U32" },
	{ "U32", "-1", "expected unsigned integer number" },
	{ "U64", "1.5", "expected unsigned integer number" },
	{ "U64", "\"-7\"", "expected unsigned integer string, got '-7'" },
	{ "U64", "[]", "expected unsigned integer" },
	{ "U64", "9223372036854775807", NULL },
	{ "U64", "9223372036854775808",
	  "value 9223372036854775808 exceeds current engine range for U64 (max 9223372036854775807)" },
	{ "F32", "7", NULL },
	{ "F64", "1e300", NULL },
	{ "F64", "\"1\"", "expected float" },
	{ "Date", "\"nonsense\"", NULL },	/* looked at when used */
	{ "Date", "19000", "expected date string" },
	{ "DateTime", "false", "expected datetime string" },
	{ "Blob", "\"base64:\"", NULL },
	{ "Blob", "[1]", "expected blob URI string, got array" },
	{ "[I32]", "[1, \"2\"]", NULL },
	{ "[I32]", "1", "expected array for [I32]" },
	{ "[I32]", "[1, 2.5]", "expected integer number" },
	{ "[I32]", "[null]", "expected integer" },
	{ "[String]", "[null]", "expected string, got null" },
	{ "[String]", "[]", NULL },
	{ "Vector(2)", "[1, 2.5]", NULL },
	{ "Vector(2)", "[1]", "expected 2 values for Vector(2), got 1" },
	{ "Vector(2)", "[1, \"2\"]", "vector element is not numeric" },
	{ "Vector(2)", "\"1\"", "expected array for Vector(2)" },
};

START_TEST(binds_by_declared_type)
{
	struct gq_query *q = query(og_arena_printf(&arena, "query q($p: %s) { match { $x: T } return { $x } }", rows[_i].type));
	struct gq_bindings b;
	struct og_error err = { 0 };
	char want[256];
	int rc = bind(q, og_arena_printf(&arena, "{\"p\": %s}", rows[_i].value), &b, &err);

	if (!rows[_i].message) {
		ck_assert_msg(rc == 0, "%s", err.message);
		ck_assert(b.given[0]);
		return;
	}
	snprintf(want, sizeof(want), "param 'p': %s", rows[_i].message);
	ck_assert_int_eq(rc, OG_ERR_BAD);
	ck_assert_str_eq(err.message, want);
}
END_TEST

START_TEST(ignores_strangers_but_objects)
{
	struct gq_query *q = query("query q($p: String?) { match { $x: T } return { $p } }");
	struct gq_bindings b;
	struct og_error err = { 0 };

	ck_assert_int_eq(bind(q, "{\"z\": [1, [null]], \"y\": \"a\"}", &b, &err), 0);
	ck_assert(b.given[0]);
	ck_assert_int_eq((int)b.values[0].kind, OG_V_NULL);
	ck_assert_int_eq(bind(q, "{\"z\": {}}", &b, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "param 'z': object is not supported");
	ck_assert_int_eq(bind(q, "{\"z\": [[{}]]}", &b, &err), OG_ERR_BAD);
	ck_assert_int_eq(bind(q, "[]", &b, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "params must be a JSON object");
	ck_assert_int_eq(bind(q, NULL, &b, &err), 0);
	ck_assert_int_eq(bind(q, "null", &b, &err), 0);
	ck_assert_int_gt(b.now_ms, 1700000000000);
}
END_TEST

START_TEST(misses_only_what_is_used)
{
	struct gq_query *q = query("query q($a: String, $b: String) { match { $x: T { k: $b } } return { $x } }");
	struct gq_bindings b;
	struct og_error err = { 0 };

	ck_assert_int_eq(bind(q, "{\"b\": \"1\"}", &b, &err), 0);
	ck_assert_int_eq(gq_require_params(q, &b, &err), 0);
	ck_assert_int_eq(bind(q, "{\"a\": \"1\"}", &b, &err), 0);
	ck_assert_int_eq(gq_require_params(q, &b, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "parameter 'b' not provided");
}
END_TEST

/* The value of an inline match beside property p. */
static int eval(const char *prop, const char *text, const char *params, bool typed, struct og_value *out, struct og_error *err)
{
	struct gq_query *q = query(og_arena_printf(&arena,
		"query q($d: Date?, $f: F64?, $i: I64?, $v: Vector(2)?, $dl: [Date]?) { update T set { %s: %s } where k = \"a\" }", prop, text));
	struct gq_bindings b;

	ck_assert_int_eq(bind(q, params, &b, err), 0);
	return gq_eval_const(&arena, q, &b, q->stmts[0].assigns[0].value, typed ? &q->stmts[0].assigns[0].prop->type : NULL, out, err);
}

START_TEST(evaluates_constants)
{
	struct og_error err = { 0 };
	struct og_value v;

	ck_assert_int_eq(eval("i", "7", NULL, true, &v, &err), 0);
	ck_assert_int_eq((int)v.kind, OG_V_INT);
	ck_assert_int_eq(eval("f", "0.1", NULL, true, &v, &err), 0);
	ck_assert(v.kind == OG_V_FLOAT && v.f == (double)0.1f);
	ck_assert_int_eq(eval("f", "0.1", NULL, false, &v, &err), 0);
	ck_assert(v.f == 0.1);
	ck_assert_int_eq(eval("f", "$i", "{\"i\": 16777217}", true, &v, &err), 0);
	ck_assert(v.kind == OG_V_FLOAT && v.f == 16777216.0);
	ck_assert_int_eq(eval("f", "$f", "{\"f\": 1e39}", true, &v, &err), 0);
	ck_assert(v.f == 1e39);
	ck_assert_int_eq(eval("d", "date(\"1970-01-11\")", NULL, true, &v, &err), 0);
	ck_assert(v.kind == OG_V_DATE && v.i == 10);
	ck_assert_int_eq(eval("d", "$d", "{\"d\": \"1970-01-02T23:00:00Z\"}", false, &v, &err), 0);
	ck_assert(v.kind == OG_V_DATE && v.i == 1);
	ck_assert_int_eq(eval("d", "$d", "{\"d\": \"x\"}", true, &v, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "invalid Date literal 'x'");
	ck_assert_int_eq(eval("v", "[1, 2.5]", NULL, true, &v, &err), 0);
	ck_assert(v.kind == OG_V_VECTOR && v.vec.dim == 2 && v.vec.v[1] == 2.5f);
	ck_assert_int_eq(eval("v", "$v", NULL, true, &v, &err), 0);
	ck_assert_int_eq((int)v.kind, OG_V_NULL);
	ck_assert_int_eq(eval("l", "[1, 0.1]", NULL, true, &v, &err), 0);
	ck_assert(v.kind == OG_V_LIST && v.items.n == 2 && v.items.v[1].f == (double)0.1f && v.items.v[0].f == 1.0);
	ck_assert_int_eq(eval("l", "[1, 0.1]", NULL, false, &v, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "list literal elements must share a compatible scalar type");
	ck_assert_int_eq(eval("dl", "[date(\"1970-01-11\"), date(\"1970-01-12\")]", NULL, true, &v, &err), 0);
	ck_assert(v.items.v[1].kind == OG_V_DATE && v.items.v[1].i == 11);
	ck_assert_int_eq(eval("dl", "$dl", "{\"dl\": [\"19700111\"]}", true, &v, &err), 0);
	ck_assert(v.items.v[0].kind == OG_V_DATE && v.items.v[0].i == 10);
	ck_assert_int_eq(eval("dl", "[date(\"x\")]", NULL, true, &v, &err), OG_ERR_BAD);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gq_bind");
	TCase *tc = tcase_create("gq_bind");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, binds_by_declared_type, 0, OG_COUNT(rows));
	tcase_add_test(tc, ignores_strangers_but_objects);
	tcase_add_test(tc, misses_only_what_is_used);
	tcase_add_test(tc, evaluates_constants);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
