/* JSON: reader, trees, streams. */
#include "config.h"

#include "suite.h"
#include "base/buf.h"
#include "json/tree.h"
#include "json/writer.h"

#include <math.h>
#include <stdio.h>

static const char sample[] =
	" {\"type\":\"Per\\u0073on\",\"data\":{\"name\":\"\xc3\xa9\\ud83d\\ude00\\n\",\"n\":[1,-2.5e3,0,true,false,null],"
	"\"empty\":{},\"none\":[],\"big\":18446744073709551615,\"long text without an escape\":\"0123456789abcdefghijklm\"}} ";

static struct og_arena arena;

static void setup(void)
{
	og_arena_init(&arena, 0);
}

static void teardown(void)
{
	og_arena_fini(&arena);
}

static void text_is(const struct og_json *j, const char *want)
{
	struct og_buf b = { 0 };

	ck_assert_ptr_nonnull(j);
	og_json_text(&b, j);
	ck_assert_str_eq(b.data, want);
	og_buf_fini(&b);
}

static struct og_json *parse(const char *text)
{
	struct og_error err = { 0 };
	struct og_json *j = og_json_parse(&arena, og_slice_str(text), OG_JSON_LAST_WINS, &err);

	ck_assert_msg(j != NULL, "%s: %s", text, err.message);
	return j;
}

START_TEST(reads_a_document)
{
	const struct og_json *j = parse(sample), *data = og_json_get(j, "data"), *n = og_json_get(data, "n");
	uint64_t u;
	int64_t i;
	double d;

	ck_assert(og_slice_is(og_json_get(j, "type")->s, "Person"));
	ck_assert(og_slice_is(og_json_get(data, "name")->s, "\xc3\xa9\xf0\x9f\x98\x80\n"));
	ck_assert_uint_eq(n->items.n, 6);
	ck_assert(og_json_to_i64(&n->items.v[0], &i) && i == 1);
	ck_assert(!og_json_to_i64(&n->items.v[1], &i));
	ck_assert(og_json_to_double(&n->items.v[1], &d) && d == -2500);
	ck_assert(n->items.v[3].b && !n->items.v[4].b);
	ck_assert(og_json_to_u64(og_json_get(data, "big"), &u) && u == UINT64_MAX);
	ck_assert(!og_json_to_i64(og_json_get(data, "big"), &i));
	ck_assert_ptr_null(og_json_get(data, "absent"));
	ck_assert_ptr_null(og_json_get(n, "x"));
	ck_assert_ptr_null(og_json_get(NULL, "x"));
	ck_assert_uint_eq(og_json_get(data, "none")->items.n, 0);
	ck_assert_uint_eq(j->end, sizeof(sample) - 2);
	text_is(j, "{\"type\":\"Person\",\"data\":{\"name\":\"\xc3\xa9\xf0\x9f\x98\x80\\n\",\"n\":[1,-2.5e3,0,true,false,"
		   "null],\"empty\":{},\"none\":[],\"big\":18446744073709551615,\"long text without an escape\":"
		   "\"0123456789abcdefghijklm\"}}");
}
END_TEST

START_TEST(refuses_every_prefix)
{
	for (size_t n = 0; n < sizeof(sample) - 2; n++) {
		struct og_slice cut = exact_copy(OG_SLICE(sample), n);
		struct og_error err = { 0 };

		ck_assert_msg(!og_json_parse(&arena, cut, OG_JSON_LAST_WINS, &err), "%zu bytes", n);
		ck_assert_int_eq(err.code, OG_ERR_BAD);
		ck_assert_uint_le(err.pos.byte, cut.len);
		ck_assert_uint_eq(err.pos.line, 1);
		ck_assert_uint_eq(err.pos.column, err.pos.byte + 1);
		free_copy(cut);
	}
}
END_TEST

/* Any byte changed: accepted or refused, but never a read outside nor a broken tree. */
START_TEST(survives_every_changed_byte)
{
	struct og_slice s = exact_copy(OG_SLICE(sample), sizeof(sample) - 1);
	char *p = (char *)(uintptr_t)s.p;
	struct og_buf b = { 0 };

	for (size_t at = 0; at < sizeof(sample) - 1; at++) {
		for (int c = 0; c < 256; c++) {
			struct og_error err = { 0 };
			struct og_json *j;

			p[at] = (char)c;
			j = og_json_parse(&arena, s, OG_JSON_LAST_WINS, &err);
			ck_assert_msg((j == NULL) == (err.code != 0), "byte %zu as %d", at, c);
			og_buf_clear(&b);
			if (j)
				og_json_text(&b, j);
			og_arena_reset(&arena);
		}
		p[at] = sample[at];
	}
	og_buf_fini(&b);
	free_copy(s);
}
END_TEST

static const struct {
	const char *text;
	const char *why;
	unsigned line, column;
} bad[] = {
	{ "", "unexpected end of input", 1, 1 },
	{ " \n ", "unexpected end of input", 2, 2 },
	{ "\xef\xbb\xbf{}", "byte order mark", 1, 1 },
	{ "\xef\xbb", "expected a value", 1, 1 },
	{ "{} x", "trailing characters", 1, 4 },
	{ "{}\n{}", "trailing characters", 2, 1 },
	{ "[1,]", "expected a value", 1, 4 },
	{ "[1 2]", "expected `,` or `]`", 1, 4 },
	{ "[1}", "expected `,` or `]`", 1, 3 },
	{ "[,1]", "expected a value", 1, 2 },
	{ "{\"a\":1,}", "expected a string as key", 1, 8 },
	{ "{\"a\":1]", "expected `,` or `}`", 1, 7 },
	{ "{\"a\" 1}", "expected `:`", 1, 6 },
	{ "{\"a\":}", "expected a value", 1, 6 },
	{ "{a:1}", "expected a string as key", 1, 2 },
	{ "{1:1}", "expected a string as key", 1, 2 },
	{ "{,}", "expected a string as key", 1, 2 },
	{ "}", "expected a value", 1, 1 },
	{ "'a'", "expected a value", 1, 1 },
	{ "True", "expected a value", 1, 1 },
	{ "trux", "expected a value", 1, 4 },
	{ "tru", "unexpected end of input", 1, 4 },
	{ "nulls", "trailing characters", 1, 5 },
	{ "NaN", "expected a value", 1, 1 },
	{ "+1", "expected a value", 1, 1 },
	{ "-", "unexpected end of input", 1, 2 },
	{ "-x", "expected a digit", 1, 2 },
	{ "01", "leading zero in a number", 1, 1 },
	{ "-00", "leading zero in a number", 1, 2 },
	{ "1.", "expected a digit after the point", 1, 3 },
	{ ".5", "expected a value", 1, 1 },
	{ "1.e1", "expected a digit after the point", 1, 3 },
	{ "1e", "expected a digit in the exponent", 1, 3 },
	{ "1e+", "expected a digit in the exponent", 1, 4 },
	{ "0x1", "trailing characters", 1, 2 },
	{ "1e309", "number out of range", 1, 1 },
	{ "[\n  -1e999999999999]", "number out of range", 2, 3 },
	{ "\"a", "unexpected end of input", 1, 3 },
	{ "\"a\\\"", "unexpected end of input", 1, 5 },
	{ "\"a\\", "unexpected end of input", 1, 4 },
	{ "\"\t\"", "control character in a string", 1, 2 },
	{ "\"a\n\"", "control character in a string", 1, 3 },
	{ "\"\\\n\"", "control character in a string", 1, 3 },
	{ "\"\\x41\"", "invalid escape", 1, 2 },
	{ "\"\\u12\"", "invalid escape", 1, 2 },
	{ "\"\\u12g4\"", "invalid escape", 1, 2 },
	{ "\"\\uD800\"", "lone surrogate in an escape", 1, 2 },
	{ "\"a\\uDC00\"", "lone surrogate in an escape", 1, 3 },
	{ "\"\\uD800\\u0041\"", "lone surrogate in an escape", 1, 2 },
	{ "\"\\uD800\\n\"", "lone surrogate in an escape", 1, 2 },
	{ "\"\\uD800\\uD800\"", "lone surrogate in an escape", 1, 2 },
	{ "\"\xff\"", "invalid UTF-8", 1, 2 },
	{ "\"a\xc3\"", "invalid UTF-8", 1, 3 },
	{ "\"\xed\xa0\x80\"", "invalid UTF-8", 1, 2 },
	{ "\"\xc0\x80\"", "invalid UTF-8", 1, 2 },
	{ "\"\xf4\x90\x80\x80\"", "invalid UTF-8", 1, 2 },
	{ "\"0123456789abcdef\xff\"", "invalid UTF-8", 1, 18 },
	{ "{\"a\":1 /* c */}", "expected `,` or `}`", 1, 8 },
	{ "\f1", "expected a value", 1, 1 },
	{ "\xc2\xa0" "1", "expected a value", 1, 1 },
};

START_TEST(refuses_with_reason_and_place)
{
	struct og_slice s = exact_copy(og_slice_str(bad[_i].text), strlen(bad[_i].text));
	struct og_error err = { 0 };

	ck_assert_msg(!og_json_parse(&arena, s, OG_JSON_LAST_WINS, &err), "%s", bad[_i].text);
	ck_assert_int_eq(err.code, OG_ERR_BAD);
	ck_assert_str_eq(err.message, bad[_i].why);
	ck_assert_uint_eq(err.pos.line, bad[_i].line);
	ck_assert_uint_eq(err.pos.column, bad[_i].column);
	ck_assert_ptr_null(og_json_parse(&arena, s, OG_JSON_LAST_WINS, NULL));
	free_copy(s);
}
END_TEST

START_TEST(refuses_a_nul_byte)
{
	struct og_error err = { 0 };

	ck_assert_ptr_null(og_json_parse(&arena, OG_SLICE("\"a\0b\""), OG_JSON_LAST_WINS, &err));
	ck_assert_ptr_null(og_json_parse(&arena, OG_SLICE("1\0"), OG_JSON_LAST_WINS, &err));
	ck_assert_ptr_null(og_json_parse(&arena, OG_SLICE("\0"), OG_JSON_LAST_WINS, &err));
	ck_assert_ptr_nonnull(og_json_parse(&arena, OG_SLICE("\"a\\u0000b\""), OG_JSON_LAST_WINS, &err));
}
END_TEST

START_TEST(nests_127_levels)
{
	char text[1000];
	struct og_error err = { 0 };

	for (int objects = 0; objects < 2; objects++) {
		size_t n = 0;

		for (int i = 0; i < OG_JSON_DEPTH; i++)
			n += (size_t)sprintf(text + n, "%s", objects ? (i + 1 < OG_JSON_DEPTH ? "{\"\":" : "{") : "[");
		for (int i = 0; i < OG_JSON_DEPTH; i++)
			text[n++] = objects ? '}' : ']';
		ck_assert_ptr_nonnull(og_json_parse(&arena, og_slice(text, n), OG_JSON_LAST_WINS, &err));
	}
	memset(text, '[', 128);
	memset(text + 128, ']', 128);
	ck_assert_ptr_null(og_json_parse(&arena, og_slice(text, 256), OG_JSON_LAST_WINS, &err));
	ck_assert_str_eq(err.message, "nested deeper than 127 levels");
	ck_assert_uint_eq(err.pos.column, 128);
}
END_TEST

START_TEST(classifies_numbers)
{
	static const struct {
		const char *text;
		enum og_json_number kind;
		double f;
	} numbers[] = {
		{ "0", OG_JSON_I64, 0 },
		{ "-1", OG_JSON_I64, -1 },
		{ "9223372036854775807", OG_JSON_I64, 9223372036854775807.0 },
		{ "-9223372036854775808", OG_JSON_I64, -9223372036854775808.0 },
		{ "9223372036854775808", OG_JSON_U64, 9223372036854775808.0 },
		{ "18446744073709551615", OG_JSON_U64, 18446744073709551615.0 },
		{ "18446744073709551616", OG_JSON_F64, 18446744073709551616.0 },
		{ "-9223372036854775809", OG_JSON_F64, -9223372036854775808.0 },
		{ "99999999999999999999999999", OG_JSON_F64, 99999999999999999999999999.0 },
		{ "-0", OG_JSON_F64, -0.0 },
		{ "7.0", OG_JSON_F64, 7 },
		{ "1e3", OG_JSON_F64, 1000 },
		{ "1E-2", OG_JSON_F64, 0.01 },
	};

	for (size_t i = 0; i < OG_COUNT(numbers); i++) {
		const struct og_json *j = parse(numbers[i].text);
		double d;

		ck_assert_int_eq(j->kind, numbers[i].kind);
		ck_assert(og_slice_is(j->num.text, numbers[i].text));
		ck_assert(og_json_to_double(j, &d));
		ck_assert_msg(d == numbers[i].f && signbit(d) == signbit(numbers[i].f), "%s", numbers[i].text);
	}
}
END_TEST

START_TEST(repeats_are_the_callers_choice)
{
	struct og_error err = { 0 };
	struct og_slice src = OG_SLICE("{\"a\":1,\"b\":2,\"\\u0061\":{\"c\":0,\"c\":[]}}");
	const struct og_json *j = og_json_parse(&arena, src, OG_JSON_LAST_WINS, &err);

	text_is(j, "{\"a\":{\"c\":[]},\"b\":2}");
	ck_assert(og_json_get(j, "a")->repeated);
	ck_assert(!og_json_get(j, "b")->repeated);
	ck_assert(og_json_get(og_json_get(j, "a"), "c")->repeated);
	ck_assert_ptr_null(og_json_parse(&arena, src, OG_JSON_REFUSE_REPEATS, &err));
	ck_assert_str_eq(err.message, "duplicate JSON member 'c'");
	ck_assert_ptr_nonnull(og_json_parse(&arena, OG_SLICE("[{\"a\":1},{\"a\":1}]"), OG_JSON_REFUSE_REPEATS, &err));
}
END_TEST

START_TEST(repeats_are_found_in_large_objects)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	const struct og_json *j;
	int64_t v;

	og_buf_byte(&b, '{');
	for (int i = 0; i < 3000; i++)
		og_buf_printf(&b, "%s\"k%d\":%d", i ? "," : "", i % 2000, i);
	og_buf_byte(&b, '}');
	j = og_json_parse(&arena, og_buf_view(&b), OG_JSON_LAST_WINS, &err);
	ck_assert_ptr_nonnull(j);
	ck_assert_uint_eq(j->members.n, 2000);
	ck_assert(og_json_to_i64(og_json_get(j, "k5"), &v) && v == 2005);
	ck_assert(og_json_to_i64(og_json_get(j, "k1999"), &v) && v == 1999);
	ck_assert_ptr_null(og_json_parse(&arena, og_buf_view(&b), OG_JSON_REFUSE_REPEATS, &err));
	ck_assert_str_eq(err.message, "duplicate JSON member 'k0'");
	og_buf_fini(&b);
}
END_TEST

START_TEST(an_arena_limit_is_an_error)
{
	struct og_arena small;
	struct og_error err = { 0 };

	og_arena_init(&small, 5000);
	ck_assert_ptr_null(og_json_parse(&small, OG_SLICE("[[[1,2,3],[4,5,6]],[1,2],[3,4],[4,5,6],[7,8,9],[[1],[2],[3]],"
							  "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,"
							  "23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,"
							  "43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61]]"),
					 OG_JSON_LAST_WINS, &err));
	ck_assert_int_eq(err.code, OG_ERR_TOO_LARGE);
	og_arena_fini(&small);
}
END_TEST

START_TEST(skips_values)
{
	struct og_json_reader r;
	struct og_error err = { 0 };
	int token;

	og_json_reader_init(&r, OG_SLICE("{\"a\":[1,{\"b\":[]}],\"c\":7}"), &arena);
	ck_assert_int_eq(og_json_next(&r, &err), OG_JSON_OBJECT);
	ck_assert_int_eq(og_json_next(&r, &err), OG_JSON_KEY);
	token = og_json_next(&r, &err);
	ck_assert_int_eq(token, OG_JSON_ARRAY);
	ck_assert_int_eq(og_json_skip(&r, token, &err), OG_JSON_ARRAY_END);
	ck_assert_int_eq(og_json_next(&r, &err), OG_JSON_KEY);
	ck_assert(og_slice_is(r.text, "c"));
	token = og_json_next(&r, &err);
	ck_assert_int_eq(og_json_skip(&r, token, &err), OG_JSON_NUMBER);
	ck_assert_int_eq(og_json_next(&r, &err), OG_JSON_OBJECT_END);
	ck_assert_int_eq(og_json_next(&r, &err), OG_JSON_END);
	ck_assert_int_eq(og_json_next(&r, &err), OG_JSON_END);
}
END_TEST

static const char input[] = "\n{\"a\":[1,2]}\r\n\n{\n\"b\": \"x}\\\"]\"}{\"c\":{}} 12 \"str\"[true]\"\\\\\"7\n";
static const char *const values[] = { "{\"a\":[1,2]}", "{\"b\":\"x}\\\"]\"}", "{\"c\":{}}", "12",
				      "\"str\"",       "[true]",		"\"\\\\\"",   "7" };

/* Delivered in pieces of every size, the values are the same. */
START_TEST(streams_in_any_pieces)
{
	struct og_json_stream s = { 0 };
	struct og_slice all = OG_SLICE(input);
	size_t chunk = (size_t)_i, from = 0, to = 0, used, n = 0;
	struct og_error err = { 0 };
	const struct og_json *j;
	int rc;

	for (;;) {
		struct og_slice w = exact_copy(og_slice(all.p + from, all.len - from), to - from);

		rc = og_json_stream_next(&s, &arena, w, to == all.len, &j, &used, &err);
		ck_assert_msg(rc >= 0, "%s", err.message);
		ck_assert_uint_le(used, w.len);
		if (rc == 1) {
			ck_assert_uint_lt(n, OG_COUNT(values));
			text_is(j, values[n++]);
		}
		from += used;
		free_copy(w);
		ck_assert_uint_eq(s.pos.byte, from);
		if (rc == 0 && to == all.len)
			break;
		if (rc == 0)
			to = OG_MIN(to + chunk, all.len);
	}
	ck_assert_uint_eq(n, OG_COUNT(values));
	ck_assert_uint_eq(s.pos.line, 6);
	ck_assert_uint_eq(from, all.len);
}
END_TEST

START_TEST(stream_errors_count_over_the_whole_input)
{
	struct og_json_stream s = { 0 };
	struct og_slice w = OG_SLICE("{}\n {} [1,\n2] {\"a\":x}");
	struct og_error err = { 0 };
	const struct og_json *j;
	size_t used;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(og_json_stream_next(&s, &arena, w, true, &j, &used, &err), 1);
		w = og_slice(w.p + used, w.len - used);
	}
	ck_assert_int_eq(og_json_stream_next(&s, &arena, w, true, &j, &used, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "expected a value");
	ck_assert_uint_eq(err.pos.line, 3);
	ck_assert_uint_eq(err.pos.column, 9);
	ck_assert_uint_eq(err.pos.byte, 19);
}
END_TEST

START_TEST(a_stream_cut_short_is_an_error)
{
	struct og_json_stream s = { 0 };
	struct og_error err = { 0 };
	const struct og_json *j;
	size_t used;

	ck_assert_int_eq(og_json_stream_next(&s, &arena, OG_SLICE("{\"a\":"), false, &j, &used, &err), 0);
	ck_assert_int_eq(og_json_stream_next(&s, &arena, OG_SLICE("{\"a\":\"\\"), false, &j, &used, &err), 0);
	ck_assert_int_eq(og_json_stream_next(&s, &arena, OG_SLICE("{\"a\":\"\\"), true, &j, &used, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "unexpected end of input");
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, reads_a_document);
	tcase_add_test(tc, refuses_every_prefix);
	tcase_add_test(tc, survives_every_changed_byte);
	tcase_add_loop_test(tc, refuses_with_reason_and_place, 0, (int)OG_COUNT(bad));
	tcase_add_test(tc, refuses_a_nul_byte);
	tcase_add_test(tc, nests_127_levels);
	tcase_add_test(tc, classifies_numbers);
	tcase_add_test(tc, repeats_are_the_callers_choice);
	tcase_add_test(tc, repeats_are_found_in_large_objects);
	tcase_add_test(tc, an_arena_limit_is_an_error);
	tcase_add_test(tc, skips_values);
	tcase_add_loop_test(tc, streams_in_any_pieces, 1, sizeof(input));
	tcase_add_test(tc, stream_errors_count_over_the_whole_input);
	tcase_add_test(tc, a_stream_cut_short_is_an_error);
}

int main(void)
{
	return suite_run("json", add, 60);
}
