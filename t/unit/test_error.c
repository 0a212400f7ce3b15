/* Errors, and UTF-8, which their cut depends on. */
#include "config.h"

#include "suite.h"
#include "base/error.h"
#include "base/utf8.h"

#include <errno.h>

START_TEST(set_forgets_what_was_before)
{
	struct og_error err = { .sys = 5, .pos = { .line = 3 }, .detail = { .kind = OG_DETAIL_KEY } };

	ck_assert_int_eq(og_error_set(&err, OG_ERR_BAD, "no %s", "such"), OG_ERR_BAD);
	ck_assert_int_eq(err.code, OG_ERR_BAD);
	ck_assert_str_eq(err.message, "no such");
	ck_assert_int_eq(err.sys, 0);
	ck_assert_uint_eq(err.pos.line, 0);
	ck_assert_int_eq(err.detail.kind, OG_DETAIL_NONE);
	ck_assert_int_eq(og_error_at(&err, OG_ERR_CORRUPT, 77, "%s!", err.message), OG_ERR_CORRUPT);
	ck_assert_str_eq(err.message, "no such!");
	ck_assert_uint_eq(err.pos.byte, 77);
	og_error_clear(&err);
	ck_assert_int_eq(err.code, 0);
}
END_TEST

START_TEST(every_setter_takes_null)
{
	ck_assert_int_eq(og_error_set(NULL, OG_ERR_BAD, "x"), OG_ERR_BAD);
	ck_assert_int_eq(og_error_at(NULL, OG_ERR_BAD, 1, "x"), OG_ERR_BAD);
	ck_assert_int_eq(og_error_sys(NULL, ENOENT, "x"), OG_ERR_NOT_FOUND);
	ck_assert_int_eq(og_error_nomem(NULL), OG_ERR_NOMEM);
	og_error_clear(NULL);
	(void)og_error_prefix(NULL, "x");
}
END_TEST

START_TEST(system_errors_have_codes)
{
	struct og_error err;

	ck_assert_int_eq(og_error_sys(&err, ENOENT, "%s", "/x"), OG_ERR_NOT_FOUND);
	ck_assert_str_eq(err.message, "/x: No such file or directory");
	ck_assert_int_eq(err.sys, ENOENT);
	ck_assert_int_eq(og_error_sys(&err, EEXIST, "x"), OG_ERR_EXISTS);
	ck_assert_int_eq(og_error_sys(&err, ENOMEM, "x"), OG_ERR_NOMEM);
	ck_assert_int_eq(og_error_sys(&err, EACCES, "x"), OG_ERR_IO);
}
END_TEST

START_TEST(prefixes_pile_up)
{
	struct og_error err = { 0 };

	og_error_at(&err, OG_ERR_IO, 9, "why");
	ck_assert_int_eq(og_error_prefix(&err, "opening %d: ", 7), OG_ERR_IO);
	ck_assert_int_eq(og_error_prefix(&err, "graph: "), OG_ERR_IO);
	ck_assert_str_eq(err.message, "graph: opening 7: why");
	ck_assert_uint_eq(err.pos.byte, 9);
}
END_TEST

/* A cut never leaves half a character, wherever it falls. */
START_TEST(long_messages_are_cut_between_characters)
{
	static const char *const units[] = { "x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	size_t unit = strlen(units[_i / 8]), room = sizeof(((struct og_error *)0)->message) - 1, n = (size_t)(_i % 8);
	struct og_error err = { 0 };
	char text[9000];

	memset(text, 'a', n);
	while (n < 8000) {
		memcpy(text + n, units[_i / 8], unit);
		n += unit;
	}
	text[n] = '\0';
	og_error_set(&err, OG_ERR_BAD, "%s", text);
	ck_assert_uint_le(strlen(err.message), room);
	ck_assert_uint_gt(strlen(err.message), room - 8);
	ck_assert_str_eq(err.message + strlen(err.message) - 3, "...");
	ck_assert_uint_eq(og_utf8_check(og_slice_str(err.message)), strlen(err.message));
	og_error_prefix(&err, "p%.*s: ", _i % 8, "1234567");
	ck_assert_uint_le(strlen(err.message), room);
	ck_assert_str_eq(err.message + strlen(err.message) - 3, "...");
	ck_assert_uint_eq(og_utf8_check(og_slice_str(err.message)), strlen(err.message));
}
END_TEST

START_TEST(a_message_that_just_fits_is_whole)
{
	struct og_error err = { 0 };
	char text[sizeof(err.message) + 1];

	memset(text, 'a', sizeof(text));
	text[sizeof(err.message) - 1] = '\0';
	og_error_set(&err, OG_ERR_BAD, "%s", text);
	ck_assert_str_eq(err.message, text);
	og_error_prefix(&err, "b");
	ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
	ck_assert_int_eq(err.message[0], 'b');
}
END_TEST

START_TEST(every_code_has_its_own_name)
{
	for (int a = 0; a >= OG_ERR_EVAL; a--) {
		ck_assert_str_ne(og_error_name(a), "?");
		for (int b = 0; b > a; b--)
			ck_assert_str_ne(og_error_name(a), og_error_name(b));
	}
	ck_assert_str_eq(og_error_name(7), "?");
}
END_TEST

/* The definition, for comparison: decode naively, encode, compare. */
static size_t plain_check(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = p[i] < 0x80 ? 1 : p[i] >= 0xf0 ? 4 : p[i] >= 0xe0 ? 3 : p[i] >= 0xc0 ? 2 : 0;
		uint32_t cp = k == 1 ? p[i] : p[i] & (0xffu >> (k + 1));
		char back[4];

		if (k == 0 || p[i] >= 0xf8 || k > n - i)
			return i;
		for (size_t j = 1; j < k; j++) {
			if ((p[i + j] & 0xc0) != 0x80)
				return i;
			cp = cp << 6 | (p[i + j] & 0x3f);
		}
		if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000) || og_utf8_put(back, cp) != k)
			return i;
		i += k;
	}
	return n;
}

START_TEST(utf8_agrees_with_its_definition)
{
	static const unsigned char edges[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
					       0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff };
	size_t n = sizeof(edges);

	for (size_t i = 0; i < n * n * n * n; i++) {
		unsigned char b[4] = { edges[i % n], edges[i / n % n], edges[i / n / n % n], edges[i / n / n / n] };
		struct og_slice s = og_slice(b, sizeof(b));

		ck_assert_uint_eq(og_utf8_check(s), plain_check(b, sizeof(b)));
	}
}
END_TEST

START_TEST(utf8_is_checked_at_every_place)
{
	for (size_t n = 1; n < 40; n++) {
		char text[40];
		struct og_slice s;

		memset(text, 'x', sizeof(text));
		s = exact_copy(og_slice(text, n), n);
		ck_assert_uint_eq(og_utf8_check(s), n);
		for (size_t at = 0; at < n; at++) {
			((char *)(uintptr_t)s.p)[at] = (char)0xc3;
			ck_assert_uint_eq(og_utf8_check(s), at);
			((char *)(uintptr_t)s.p)[at] = 'x';
		}
		free_copy(s);
	}
	ck_assert_uint_eq(og_utf8_check(og_slice(NULL, 0)), 0);
}
END_TEST

START_TEST(utf8_next_undoes_put)
{
	for (uint32_t cp = 0; cp <= 0x10ffff; cp += cp < 0x3000 ? 1 : 251) {
		char b[4];
		size_t n = og_utf8_put(b, cp), pos = 0;

		if (cp >= 0xd800 && cp < 0xe000)
			continue;
		ck_assert_uint_eq(og_utf8_next(og_slice(b, n), &pos), cp);
		ck_assert_uint_eq(pos, n);
		ck_assert_uint_eq(og_utf8_count(og_slice(b, n)), 1);
		pos = 0;
		if (n > 1) {
			ck_assert_uint_eq(og_utf8_next(og_slice(b, n - 1), &pos), 0xfffd);
			ck_assert_uint_eq(pos, 1);
		}
	}
}
END_TEST

START_TEST(positions_count_lines_and_columns)
{
	struct og_slice s = OG_SLICE("ab\n\xc3\xa9x\n\n");
	uint64_t line, column;

	og_text_position(s, 0, true, &line, &column);
	ck_assert(line == 1 && column == 1);
	og_text_position(s, 2, true, &line, &column);
	ck_assert(line == 1 && column == 3);
	og_text_position(s, 5, true, &line, &column);
	ck_assert(line == 2 && column == 3);
	og_text_position(s, 5, false, &line, &column);
	ck_assert(line == 2 && column == 2);
	og_text_position(s, 8, true, &line, &column);
	ck_assert(line == 4 && column == 1);
	og_text_position(s, 99, true, &line, &column);
	ck_assert(line == 4 && column == 1);
	og_text_position(og_slice(NULL, 0), 3, true, &line, &column);
	ck_assert(line == 1 && column == 1);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, set_forgets_what_was_before);
	tcase_add_test(tc, every_setter_takes_null);
	tcase_add_test(tc, system_errors_have_codes);
	tcase_add_test(tc, prefixes_pile_up);
	tcase_add_loop_test(tc, long_messages_are_cut_between_characters, 0, 32);
	tcase_add_test(tc, a_message_that_just_fits_is_whole);
	tcase_add_test(tc, every_code_has_its_own_name);
	tcase_add_test(tc, utf8_agrees_with_its_definition);
	tcase_add_test(tc, utf8_is_checked_at_every_place);
	tcase_add_test(tc, utf8_next_undoes_put);
	tcase_add_test(tc, positions_count_lines_and_columns);
}

int main(void)
{
	return suite_run("error", add, 60);
}
