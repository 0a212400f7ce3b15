/* Numbers to and from text. */
#include "config.h"

#include "suite.h"
#include "base/num.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double from_bits(uint64_t bits)
{
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static void is_json(double x, const char *want)
{
	char text[40];

	ck_assert_uint_eq(og_double_json(x, text), strlen(want));
	ck_assert_str_eq(text, want);
}

START_TEST(prints_json_doubles)
{
	is_json(0.0, "0.0");
	is_json(-0.0, "-0.0");
	is_json(1, "1.0");
	is_json(-1.5, "-1.5");
	is_json(120, "120.0");
	is_json(0.1, "0.1");
	is_json((double)0.1f, "0.10000000149011612");
	is_json(1e-5, "0.00001");
	is_json(9.9e-6, "9.9e-6");
	is_json(1e-6, "1e-6");
	is_json(1e15, "1000000000000000.0");
	is_json(9999999999999998.0, "9999999999999998.0");
	is_json(1e16, "1e+16");
	is_json(1.5e20, "1.5e+20");
	is_json(1e100, "1e+100");
	is_json(123456.789, "123456.789");
	is_json(5e-324, "5e-324");
	is_json(DBL_MAX, "1.7976931348623157e+308");
	is_json(-DBL_MIN, "-2.2250738585072014e-308");
	is_json(9007199254740993.0, "9007199254740992.0");
	is_json(2e-3, "0.002");
}
END_TEST

/*
 * The C library's digits at the least precision that reads back are the reference. Below a power of two the doubles lie
 * closer together, so that there a shorter text may read back that is not the C library's rounding.
 */
static void is_shortest(double x)
{
	char text[40], want[40];
	struct og_slice s;
	size_t n = 0, m = 0;
	double back;

	s = og_slice(text, og_double_json(x, text));
	ck_assert_msg(strtod(text, NULL) == x, "%s does not read back as %.17g", text, x);
	ck_assert(og_parse_double(s, &back));
	ck_assert_msg(back == x, "%s parsed as %.17g", text, back);
	for (int p = 1; p <= 17; p++) {
		snprintf(want, sizeof(want), "%.*e", p - 1, x);
		if (strtod(want, NULL) == x)
			break;
	}
	/* Compare significant digits. */
	for (const char *p = want; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			want[m++] = *p;
	for (const char *p = text; *p && *p != 'e'; p++)
		if (*p >= '0' && *p <= '9' && (n || *p != '0'))
			text[n++] = *p;
	while (n > 1 && text[n - 1] == '0')
		n--;
	while (m > 1 && want[m - 1] == '0')
		m--;
	if (n < m)
		return;
	ck_assert_msg(n == m && !memcmp(text, want, n), "%.17g: %.*s instead of %.*s", x, (int)n, text, (int)m, want);
}

START_TEST(digits_are_shortest_and_nearest)
{
	for (int i = 0; i < 20000; i++) {
		double x = fabs(from_bits(next_random()));

		if (isfinite(x) && x > 0)
			is_shortest(x);
		is_shortest((double)(next_random() % 100000000 + 1) / 1000);
		is_shortest((double)(float)((double)next_random() / 1.8e19 + 1e-9));
	}
	for (int e = -1074; e <= 1023; e++) {
		is_shortest(ldexp(1, e));
		is_shortest(nextafter(ldexp(1, e), INFINITY));
		if (e > -1074)
			is_shortest(nextafter(ldexp(1, e), 0));
	}
}
END_TEST

static void is_plain(double x, bool single, const char *want)
{
	char text[400];

	ck_assert_uint_eq(og_double_plain(x, single, text), strlen(want));
	ck_assert_str_eq(text, want);
}

START_TEST(prints_plain_forms)
{
	char text[400];

	is_plain(0, false, "0");
	is_plain(-0.0, true, "0");
	is_plain(1, false, "1");
	is_plain(-2.5, false, "-2.5");
	is_plain((double)0.1f, true, "0.1");
	is_plain((double)0.1f, false, "0.10000000149011612");
	is_plain(1e21, false, "1000000000000000000000");
	is_plain((double)16777216.0f, true, "16777216");
	is_plain(1e-7, false, "0.0000001");
	is_plain((double)1e-45f, true, "0.000000000000000000000000000000000000000000001");
	ck_assert_uint_le(og_double_plain(-DBL_MAX, false, text), 330);
	ck_assert_uint_le(og_double_plain(-DBL_MIN, false, text), 330);
	ck_assert_uint_le(og_double_plain(-5e-324, false, text), 330);
}
END_TEST

START_TEST(singles_read_back)
{
	char text[400];

	for (int i = 0; i < 20000; i++) {
		uint32_t bits = (uint32_t)next_random();
		char want[64];
		float f;
		int p;

		memcpy(&f, &bits, sizeof(f));
		if (!isfinite(f) || f == 0)
			continue;
		og_double_plain((double)f, true, text);
		ck_assert_msg(strtof(text, NULL) == f, "%s", text);
		for (p = 1; p < 9; p++) {
			snprintf(want, sizeof(want), "%.*e", p - 1, (double)f);
			if (strtof(want, NULL) == f)
				break;
		}
		size_t digits = 0, zeros = 0;
		for (const char *c = text; *c; c++) {
			if (*c < '0' || *c > '9' || (!digits && *c == '0'))
				continue;
			digits++;
			zeros = *c == '0' ? zeros + 1 : 0;
		}
		ck_assert_msg(digits - zeros <= (size_t)p, "%s has more than %d digits", text, p);
	}
}
END_TEST

static void parses(const char *text, double want)
{
	struct og_slice s = exact_copy(og_slice_str(text), strlen(text));
	double x = 7;

	ck_assert_msg(og_parse_double(s, &x), "%s refused", text);
	ck_assert_msg(x == want && signbit(x) == signbit(want), "%s: %.17g", text, x);
	free_copy(s);
}

START_TEST(parses_doubles)
{
	parses("0", 0);
	parses("-0", -0.0);
	parses("-0.0e5", -0.0);
	parses("1", 1);
	parses("1e22", 1e22);
	parses("1e23", 1e23);
	parses("8.5E-3", 8.5e-3);
	parses("9007199254740993", 9007199254740992.0);
	parses("9007199254740993.0000000000000000000000000001", 9007199254740994.0);
	parses("1.7976931348623157e308", DBL_MAX);
	parses("1.7976931348623158e308", DBL_MAX);
	parses("2.2250738585072012e-308", DBL_MIN);
	parses("4.9e-324", 5e-324);
	parses("2.4703282292062328e-324", 5e-324);
	parses("2.4703282292062327e-324", 0);
	parses("1e-400", 0);
	parses("0e999999999999999999999", 0);
	parses("1e-999999999999999999999", 0);
	parses("123456789012345678901234567890", 123456789012345678901234567890.0);
	parses("0.000000000000000000000000000000000000000000000000000001e54", 1);
	parses("7.2057594037927933e16", 72057594037927936.0);
	parses("1448997445238699", 1448997445238699.0);
}
END_TEST

/* The decimal expansion of a halfway point, one digit less, one more: 770 digits decide. */
START_TEST(parses_halfway_points)
{
	char text[1200];

	for (int i = 0; i < 300; i++) {
		double x = fabs(from_bits(next_random() % (UINT64_C(2046) << 52)));
		double up = nextafter(x, INFINITY), back;
		int n;
		long double half = ((long double)x + (long double)up) / 2;

		if (x < DBL_MIN * 4)
			continue;
		n = snprintf(text, sizeof(text), "%.800Le", half);
		ck_assert(og_parse_double(og_slice(text, (size_t)n), &back));
		ck_assert_msg(back == strtod(text, NULL), "%.17g", back);
		n = snprintf(text, sizeof(text), "%.19Le", half);
		ck_assert(og_parse_double(og_slice(text, (size_t)n), &back));
		ck_assert_msg(back == strtod(text, NULL), "%s", text);
		n = snprintf(text, sizeof(text), "%.*e", (int)(next_random() % 25), x);
		ck_assert(og_parse_double(og_slice(text, (size_t)n), &back));
		ck_assert_msg(back == strtod(text, NULL), "%s", text);
	}
}
END_TEST

START_TEST(parses_long_texts)
{
	size_t n = 100000;
	char *text = malloc(n + 20), *p = text;
	double x;

	memset(p, '0', n);
	memcpy(p, "0.", 2);
	n += (size_t)sprintf(p + n, "1e99999");
	ck_assert(og_parse_double(og_slice(text, n), &x));
	ck_assert_double_eq(x, 1.0);
	memset(text, '9', 100000);
	ck_assert(!og_parse_double(og_slice(text, 100000), &x));
	memcpy(text + 100000, "e-99999", 7);
	ck_assert(og_parse_double(og_slice(text, 100007), &x));
	ck_assert_double_eq(x, 10.0);
	free(text);
}
END_TEST

static const char *const no_doubles[] = { "",    "-",   "+1",  ".5",	"1.",  "01",  "-01", "1e",  "1e+",   "1.e5", "0x10",
					  "nan", "inf", "1 ",  " 1",	"1,5", "1_0", "--1", "1e5.", "1e400", "-1e309",
					  "1.7976931348623159e308", "1e99999999999999999999" };

START_TEST(refuses_what_is_no_double)
{
	struct og_slice s = exact_copy(og_slice_str(no_doubles[_i]), strlen(no_doubles[_i]));
	double x;

	ck_assert_msg(!og_parse_double(s, &x), "%s", no_doubles[_i]);
	free_copy(s);
}
END_TEST

START_TEST(parses_integers)
{
	int64_t i;
	uint64_t u;

	ck_assert(og_parse_i64(OG_SLICE("-9223372036854775808"), &i) && i == INT64_MIN);
	ck_assert(og_parse_i64(OG_SLICE("+9223372036854775807"), &i) && i == INT64_MAX);
	ck_assert(og_parse_i64(OG_SLICE("007"), &i) && i == 7);
	ck_assert(og_parse_i64(OG_SLICE("-0"), &i) && i == 0);
	ck_assert(og_parse_u64(OG_SLICE("18446744073709551615"), &u) && u == UINT64_MAX);
	ck_assert(og_parse_u64(OG_SLICE("+1"), &u) && u == 1);
	ck_assert(!og_parse_i64(OG_SLICE("9223372036854775808"), &i));
	ck_assert(!og_parse_i64(OG_SLICE("-9223372036854775809"), &i));
	ck_assert(!og_parse_i64(OG_SLICE(""), &i));
	ck_assert(!og_parse_i64(og_slice(NULL, 0), &i));
	ck_assert(!og_parse_i64(OG_SLICE("-"), &i));
	ck_assert(!og_parse_i64(OG_SLICE("+-1"), &i));
	ck_assert(!og_parse_i64(OG_SLICE(" 7"), &i));
	ck_assert(!og_parse_i64(OG_SLICE("7 "), &i));
	ck_assert(!og_parse_i64(OG_SLICE("7\0"), &i));
	ck_assert(!og_parse_u64(OG_SLICE("-1"), &u));
	ck_assert(!og_parse_u64(OG_SLICE("18446744073709551616"), &u));
	ck_assert(!og_parse_u64(OG_SLICE("99999999999999999999999"), &u));
	ck_assert(!og_parse_u64(OG_SLICE("1e3"), &u));
}
END_TEST

START_TEST(sizes)
{
	static const char *const bad[] = { "", "K", "1X", "1KB", "1 K", "-1K", "+1K", "1.5G", "16777216T", "18446744073709551616", "0x1K" };
	uint64_t u = 7;

	ck_assert(og_parse_size(OG_SLICE("0"), &u) && u == 0);
	ck_assert(og_parse_size(OG_SLICE("1023"), &u) && u == 1023);
	ck_assert(og_parse_size(OG_SLICE("64k"), &u) && u == 65536);
	ck_assert(og_parse_size(OG_SLICE("3M"), &u) && u == 3145728);
	ck_assert(og_parse_size(OG_SLICE("10G"), &u) && u == 10737418240);
	ck_assert(og_parse_size(OG_SLICE("16777215T"), &u) && u == UINT64_C(16777215) << 40);
	for (size_t i = 0; i < OG_COUNT(bad); i++)
		ck_assert_msg(!og_parse_size(og_slice_str(bad[i]), &u), "%s", bad[i]);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, prints_json_doubles);
	tcase_add_test(tc, digits_are_shortest_and_nearest);
	tcase_add_test(tc, prints_plain_forms);
	tcase_add_test(tc, singles_read_back);
	tcase_add_test(tc, parses_doubles);
	tcase_add_test(tc, parses_halfway_points);
	tcase_add_test(tc, parses_long_texts);
	tcase_add_loop_test(tc, refuses_what_is_no_double, 0, (int)(sizeof(no_doubles) / sizeof(no_doubles[0])));
	tcase_add_test(tc, parses_integers);
}

int main(void)
{
	return suite_run("num", add, 60);
}
