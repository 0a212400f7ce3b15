/* JSON: the writer, and values. */
#include "config.h"

#include "suite.h"
#include "json/tree.h"
#include "json/value.h"
#include "json/writer.h"

#include <math.h>

static void write_sample(struct og_json_writer *w)
{
	og_json_begin_object(w);
	og_json_member_str(w, "a", "x\"y");
	og_json_member_str(w, "nothing", NULL);
	og_json_member_array(w, "list");
	og_json_put_i64(w, INT64_MIN);
	og_json_put_u64(w, UINT64_MAX);
	og_json_put_double(w, 120);
	og_json_begin_object(w);
	og_json_end_object(w);
	og_json_begin_array(w);
	og_json_end_array(w);
	og_json_end_array(w);
	og_json_member_object(w, "o");
	og_json_member_bool(w, "yes", true);
	og_json_end_object(w);
	og_json_member_double(w, "nan", NAN);
	og_json_put_key_str(w, "raw");
	og_json_put_raw(w, OG_SLICE("[0]"));
	og_json_end_object(w);
}

START_TEST(writes_compactly)
{
	struct og_buf b = { 0 };
	struct og_json_writer w;

	og_json_writer_init(&w, &b, false);
	write_sample(&w);
	ck_assert_str_eq(b.data, "{\"a\":\"x\\\"y\",\"nothing\":null,\"list\":[-9223372036854775808,18446744073709551615,120.0,{},"
				 "[]],\"o\":{\"yes\":true},\"nan\":\"NaN\",\"raw\":[0]}");
	og_buf_fini(&b);
}
END_TEST

START_TEST(writes_prettily)
{
	struct og_buf b = { 0 };
	struct og_json_writer w;

	og_json_writer_init(&w, &b, true);
	write_sample(&w);
	ck_assert_str_eq(b.data, "{\n  \"a\": \"x\\\"y\",\n  \"nothing\": null,\n  \"list\": [\n    -9223372036854775808,\n"
				 "    18446744073709551615,\n    120.0,\n    {},\n    []\n  ],\n  \"o\": {\n    \"yes\": true\n"
				 "  },\n  \"nan\": \"NaN\",\n  \"raw\": [0]\n}");
	og_buf_fini(&b);
}
END_TEST

START_TEST(escapes_what_must_be_at_every_place)
{
	struct og_buf b = { 0 };
	char text[40];

	for (size_t len = 1; len < sizeof(text); len++) {
		for (size_t at = 0; at < len; at++) {
			struct og_slice s;

			memset(text, 'x', len);
			text[at] = '\x1f';
			s = exact_copy(og_slice(text, len), len);
			og_buf_clear(&b);
			og_json_quote(&b, s);
			ck_assert_uint_eq(b.len, len + 7);
			ck_assert_int_eq(memcmp(b.data + 1 + at, "\\u001f", 6), 0);
			free_copy(s);
		}
	}
	og_buf_clear(&b);
	og_json_quote(&b, OG_SLICE("\b\f\n\r\t\"\\/\x01\x7f\xc3\xa9\0"));
	ck_assert_str_eq(b.data, "\"\\b\\f\\n\\r\\t\\\"\\\\/\\u0001\x7f\xc3\xa9\\u0000\"");
	og_buf_clear(&b);
	og_json_quote(&b, og_slice(NULL, 0));
	ck_assert_str_eq(b.data, "\"\"");
	og_buf_fini(&b);
}
END_TEST

/* Every byte comes back from the reader as it went into the writer. */
START_TEST(strings_survive_a_round_trip)
{
	struct og_buf b = { 0 };
	struct og_arena a;
	char text[130];
	struct og_json *j;

	og_arena_init(&a, 0);
	for (int i = 0; i < 128; i++)
		text[i] = (char)i;
	og_json_quote(&b, og_slice(text, 128));
	j = og_json_parse(&a, og_buf_view(&b), OG_JSON_LAST_WINS, NULL);
	ck_assert_ptr_nonnull(j);
	ck_assert(og_slice_eq(j->s, og_slice(text, 128)));
	og_arena_fini(&a);
	og_buf_fini(&b);
}
END_TEST

static const float floats[] = { 0.5f, 0.1f, NAN, -INFINITY };
static const struct og_value items[] = { { .kind = OG_V_INT, .i = 1 }, { .kind = OG_V_NULL }, { .kind = OG_V_FLOAT, .f = NAN } };

static const struct {
	struct og_value v;
	enum og_scalar type;
	const char *result, *export;
} values[] = {
	{ { .kind = OG_V_NULL }, OG_STRING, "null", "null" },
	{ { .kind = OG_V_BOOL, .i = 1 }, OG_BOOL, "true", "true" },
	{ { .kind = OG_V_INT, .i = -7 }, OG_I32, "-7", "-7" },
	{ { .kind = OG_V_UINT, .u = UINT64_MAX }, OG_U64, "18446744073709551615", "18446744073709551615" },
	{ { .kind = OG_V_FLOAT, .f = 3 }, OG_F64, "3.0", "3.0" },
	{ { .kind = OG_V_FLOAT, .f = (double)0.1f }, OG_F32, "0.10000000149011612", "0.10000000149011612" },
	{ { .kind = OG_V_FLOAT, .f = NAN }, OG_F64, "\"NaN\"", "!storage: cannot encode f64 value 'NaN' as JSON" },
	{ { .kind = OG_V_FLOAT, .f = -INFINITY }, OG_F32, "\"-Infinity\"", "!storage: cannot encode f32 value '-inf' as JSON" },
	{ { .kind = OG_V_STRING, .s = { "a\"", 2 } }, OG_STRING, "\"a\\\"\"", "\"a\\\"\"" },
	{ { .kind = OG_V_DATE, .i = 19723 }, OG_DATE, "\"2024-01-01\"", "19723" },
	{ { .kind = OG_V_DATE, .i = INT32_MAX }, OG_DATE, "2147483647", "2147483647" },
	{ { .kind = OG_V_DATETIME, .i = 1777624200000 }, OG_DATETIME, "\"2026-05-01T08:30:00.000Z\"", "\"2026-05-01T08:30:00\"" },
	{ { .kind = OG_V_DATETIME, .i = -1 }, OG_DATETIME, "\"1969-12-31T23:59:59.999Z\"", "\"1969-12-31T23:59:59.999\"" },
	{ { .kind = OG_V_DATETIME, .i = INT64_MIN }, OG_DATETIME, "-9223372036854775808", "-9223372036854775808" },
	{ { .kind = OG_V_LIST, .items = { items, 2 } }, OG_I64, "[1,null]", "[1,null]" },
	{ { .kind = OG_V_LIST, .items = { items, 3 } }, OG_F64, "[1,null,\"NaN\"]", "!storage: cannot encode f64 value 'NaN' as JSON" },
	{ { .kind = OG_V_VECTOR, .vec = { floats, 2 } }, OG_VECTOR, "[0.5,0.10000000149011612]", "[0.5,0.10000000149011612]" },
	{ { .kind = OG_V_VECTOR, .vec = { floats, 4 } }, OG_VECTOR, "[0.5,0.10000000149011612,null,null]",
	  "!storage: cannot encode f32 value 'NaN' as JSON" },
	{ { .kind = OG_V_BLOB, .s = { "bhello", 6 } }, OG_BLOB, "null", "\"base64:aGVsbG8=\"" },
	{ { .kind = OG_V_BLOB, .s = { "b", 1 } }, OG_BLOB, "null", "\"base64:\"" },
	{ { .kind = OG_V_BLOB, .s = { "ufile:x", 7 } }, OG_BLOB, "null", "\"file:x\"" },
};

START_TEST(values_have_two_forms)
{
	struct og_buf b = { 0 };
	struct og_json_writer w;
	struct og_error err = { 0 };
	int rc;

	og_json_writer_init(&w, &b, false);
	og_json_begin_array(&w);
	og_json_put_null(&w);
	og_json_value(&w, &values[_i].v);
	og_json_end_array(&w);
	ck_assert_int_eq(strncmp(b.data, "[null,", 6), 0);
	b.data[b.len - 1] = '\0';
	ck_assert_str_eq(b.data + 6, values[_i].result);

	og_buf_clear(&b);
	og_json_writer_init(&w, &b, false);
	rc = og_json_value_export(&w, &values[_i].v, values[_i].type, &err);
	if (values[_i].export[0] == '!') {
		ck_assert_int_eq(rc, OG_ERR_INTERNAL);
		ck_assert_str_eq(err.message, values[_i].export + 1);
	} else {
		ck_assert_int_eq(rc, 0);
		ck_assert_str_eq(b.data, values[_i].export);
	}
	og_buf_fini(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, writes_compactly);
	tcase_add_test(tc, writes_prettily);
	tcase_add_test(tc, escapes_what_must_be_at_every_place);
	tcase_add_test(tc, strings_survive_a_round_trip);
	tcase_add_loop_test(tc, values_have_two_forms, 0, (int)OG_COUNT(values));
}

int main(void)
{
	return suite_run("json writer", add, 60);
}
