/* JSON bodies: what is decoded, and the text and status of what is not. */
#include "config.h"

#include "api/body.h"

#include "t/check.h"
#include <stddef.h>
#include <stdlib.h>

#include "api/service.h"

struct target {
	struct og_slice s, t;
	bool flag;
	uint64_t n;
	const struct og_json *any;
	struct og_slices list;
	unsigned mode;
};

static const char *const modes[] = { "merge", "append", NULL };
static const struct og_body_field fields[] = {
	{ "s", "source", OG_BODY_STRING, OG_BODY_REQUIRED, offsetof(struct target, s), NULL },
	{ "t", NULL, OG_BODY_STRING, 0, offsetof(struct target, t), NULL },
	{ "flag", NULL, OG_BODY_BOOL, OG_BODY_NOT_NULL, offsetof(struct target, flag), NULL },
	{ "n", NULL, OG_BODY_U64, 0, offsetof(struct target, n), NULL },
	{ "any", NULL, OG_BODY_ANY, 0, offsetof(struct target, any), NULL },
	{ "list", NULL, OG_BODY_STRINGS, OG_BODY_NOT_NULL, offsetof(struct target, list), NULL },
	{ "mode", NULL, OG_BODY_ENUM, 0, offsetof(struct target, mode), modes },
};

static struct og_arena arena;
static char *copy;	/* strings point into it */
static struct target out;
static unsigned status;
static struct og_error err;

static int decode(const char *text, size_t len)
{
	int rc;

	free(copy);
	copy = malloc(len ? len : 1); /* its own size: ASan sees one byte too many */
	memcpy(copy, text, len);
	out = (struct target){ .mode = 7 };
	status = 0;
	rc = og_body_decode(&arena, og_slice(copy, len), fields, OG_COUNT(fields), &out, &status, &err);
	return rc;
}

START_TEST(all_types_are_decoded)
{
	const char *text = " {\"s\":\"a\\nb\",\"x\":[{\"s\":1}],\"t\":null,\"flag\":true,\"n\":18446744073709551615 , \"any\" : {\"k\":[1,2.50]} ,"
			   "\"list\":[\"p\",\"\",\"q\"],\"mode\":\"append\",\"zz\":null} ";

	ck_assert_int_eq(decode(text, strlen(text)), 0);
	ck_assert(og_slice_is(out.s, "a\nb"));
	ck_assert_ptr_null(out.t.p);
	ck_assert(out.flag);
	ck_assert_uint_eq(out.n, UINT64_MAX);
	ck_assert_uint_eq(out.list.n, 3);
	ck_assert(og_slice_is(out.list.v[2], "q"));
	ck_assert_uint_eq(out.mode, 1);
	ck_assert_ptr_nonnull(og_json_get(out.any, "k"));
	ck_assert_uint_eq(og_json_get(out.any, "k")->items.n, 2);
}
END_TEST

START_TEST(absent_and_empty_differ)
{
	ck_assert_int_eq(decode("{\"source\":\"\"}", 13), 0);
	ck_assert_ptr_nonnull(out.s.p);
	ck_assert_uint_eq(out.s.len, 0);
	ck_assert_ptr_null(out.t.p);
	ck_assert_ptr_null(out.any);
	ck_assert_uint_eq(out.mode, 7);
	ck_assert_int_eq(decode("{\"s\":\"x\",\"any\":null,\"mode\":null}", 32), 0);
	ck_assert(og_json_is(out.any, OG_JT_NULL));
	ck_assert_uint_eq(out.mode, 7);
}
END_TEST

#define P "Failed to parse the request body as JSON: "
#define D "Failed to deserialize the JSON body into the target type: "
static const struct {
	const char *text;
	unsigned status;
	const char *starts;
} bad[] = {
	{ "", 400, P },
	{ " ", 400, P },
	{ "{", 400, P },
	{ "{}x", 400, P },
	{ "{\"s\":\"\\ud800\"}", 400, P },
	{ "{\"s\":\"\xff\"}", 400, P },
	{ "\xef\xbb\xbf{\"s\":\"\"}", 400, P },
	{ "{\"s\":1e999}", 400, P },
	{ "{\"s\":\"a\",}", 400, P },
	{ "{\"any\":[1,]}", 400, P },
	{ "{\"s\":5,\"t\":", 400, P }, /* syntax before shape */
	{ "{}", 422, D "missing field `s` at line 1 column 2" },
	{ "\n{\n}", 422, D "missing field `s` at line 3 column 1" },
	{ "{\"t\":\"x\"}", 422, D "missing field `s`" },
	{ "{\"s\":null}", 422, D "invalid type: null, expected a string at line 1 column 9" },
	{ "{\"s\":5}", 422, D "invalid type: integer `5`, expected a string at line 1 column 6" },
	{ "{\"s\":1.5}", 422, D "invalid type: floating point `1.5`, expected a string" },
	{ "{\"s\":true}", 422, D "invalid type: boolean `true`, expected a string" },
	{ "{\"s\":[\"x\"]}", 422, D "invalid type: sequence, expected a string" },
	{ "{\"s\":{\"s\":\"x\"}}", 422, D "invalid type: map, expected a string" },
	{ "{\"s\":\"a\",\"s\":\"b\"}", 422, D "duplicate field `s`" },
	{ "{\"s\":\"a\",\"source\":\"b\"}", 422, D "duplicate field `s`" },
	{ "{\"s\":\"a\",\"t\":null,\"t\":null}", 422, D "duplicate field `t`" },
	{ "{\"s\":\"a\",\"flag\":null}", 422, D "invalid type: null, expected a boolean" },
	{ "{\"s\":\"a\",\"flag\":\"true\"}", 422, D "invalid type: string \"true\", expected a boolean" },
	{ "{\"s\":\"a\",\"n\":-1}", 422, D "invalid type: integer `-1`, expected u64" },
	{ "{\"s\":\"a\",\"n\":1.0}", 422, D "invalid type: floating point `1.0`, expected u64" },
	{ "{\"s\":\"a\",\"list\":null}", 422, D "invalid type: null, expected a sequence" },
	{ "{\"s\":\"a\",\"list\":[\"x\",null]}", 422, D "invalid type: null, expected a string" },
	{ "{\"s\":\"a\",\"list\":[[\"x\"],5]}", 422, D "invalid type: sequence, expected a string" },
	{ "{\"s\":\"a\",\"mode\":\"Merge\"}", 422, D "unknown variant `Merge`, expected one of `merge`, `append`" },
	{ "{\"s\":\"a\",\"mode\":3}", 422, D "invalid type: integer `3`, expected a string" },
	{ "[\"a\"]", 422, D "invalid type: sequence, expected a map" },
	{ "null", 422, D "invalid type: null, expected a map" },
	{ "\"a\"", 422, D "invalid type: string \"a\", expected a map" },
};

START_TEST(bad_bodies_are_told)
{
	ck_assert_int_eq(decode(bad[_i].text, strlen(bad[_i].text)), OG_ERR_BAD);
	ck_assert_msg(status == bad[_i].status, "%s: %u", bad[_i].text, status);
	ck_assert_msg(strncmp(err.message, bad[_i].starts, strlen(bad[_i].starts)) == 0, "%s: %s", bad[_i].text, err.message);
}
END_TEST

START_TEST(every_prefix_is_a_syntax_error)
{
	static const char text[] = "{\"s\":\"a\\u00e9\",\"any\":{\"k\":[1,null]},\"list\":[\"x\"],\"flag\":true}";

	ck_assert_int_eq(decode(text, sizeof(text) - 1), 0);
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		ck_assert_int_eq(decode(text, n), OG_ERR_BAD);
		ck_assert_uint_eq(status, 400);
	}
}
END_TEST

static void setup(void)
{
	og_arena_init(&arena, 0);
}

static void teardown(void)
{
	og_arena_fini(&arena);
	free(copy);
}

int main(void)
{
	Suite *s = suite_create("api_body");
	TCase *tc = tcase_create("body");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, all_types_are_decoded);
	tcase_add_test(tc, absent_and_empty_differ);
	tcase_add_loop_test(tc, bad_bodies_are_told, 0, OG_COUNT(bad));
	tcase_add_test(tc, every_prefix_is_a_syntax_error);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
