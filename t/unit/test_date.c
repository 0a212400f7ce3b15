/* Dates, times and zones. */
#include "config.h"

#include "suite.h"
#include "base/date.h"
#include "base/fd.h"
#include "base/zone.h"
#include "base/zonedb.h"

#include <stdio.h>

#define MS(days, h, m, s) ((((INT64_C(1) * (days)*24 + (h)) * 60 + (m)) * 60 + (s)) * 1000)

static const struct {
	const char *text;
	int32_t days;
} dates[] = {
	{ "1970-01-01", 0 },
	{ "2024-02-29", 19782 },
	{ "2024-2-29", 19782 },
	{ "2024-02-9", 19762 },
	{ "2024-2-9", 19762 },
	{ "20240229", 19782 },
	{ "0000-01-01", -719528 },
	{ "9999-12-31", 2932896 },
	{ "+2024-02-29", 19782 },
	{ "+02024-2-029", 19782 },
	{ "-0001-03-01", -719834 },
	{ "-0000-01-01", -719528 },
	{ "+262142-12-31", 95026236 },
	{ "-262143-1-1", -96465292 },
	{ "2024-02-29T23:59:59", 19782 },
	{ "2024-02-29t23:59:60", 19782 },
	{ "2024-02-29 23:59:59-00:01", 19783 },
	{ "2024-03-01T00:00:00+01", 19782 },
	{ "1970-01-01T00:00:00.5+00:01", -1 },
	{ "+2024-02-29T12:00:00Z", 19782 },
	{ "20240229", 19782 },
};

START_TEST(dates_parse)
{
	struct og_slice s = exact_copy(og_slice_str(dates[_i].text), strlen(dates[_i].text));
	int32_t days = 0;

	ck_assert_msg(og_date_parse(s, &days), "%s", dates[_i].text);
	ck_assert_int_eq(days, dates[_i].days);
	free_copy(s);
}
END_TEST

static const struct {
	const char *text;
	int64_t ms;
} times[] = {
	{ "2024-02-29", MS(19782, 0, 0, 0) },
	{ "20240229", MS(19782, 0, 0, 0) },
	{ "+2024-2-29", MS(19782, 0, 0, 0) },
	{ "2024-02-29T08:30:15", MS(19782, 8, 30, 15) },
	{ "2024-02-29t08:30:15z", MS(19782, 8, 30, 15) },
	{ "2024-02-29 08:30:15Z", MS(19782, 8, 30, 15) },
	{ "2024-02-29 083015", MS(19782, 8, 30, 15) },
	{ "2024-02-29T083015Z", MS(19782, 8, 30, 15) },
	{ "2024-02-29T083015 +01", MS(19782, 7, 30, 15) },
	{ "2024-02-29T08:30:15.1", MS(19782, 8, 30, 15) + 100 },
	{ "2024-02-29T08:30:15.1239999999999999", MS(19782, 8, 30, 15) + 123 },
	{ "2024-02-29T08:30:15.0009Z", MS(19782, 8, 30, 15) },
	{ "2024-02-29T08:30:15+01:30", MS(19782, 7, 0, 15) },
	{ "2024-02-29T08:30:15-0130", MS(19782, 10, 0, 15) },
	{ "2024-02-29T08:30:15   -23", MS(19783, 7, 30, 15) },
	{ "2024-02-29T08:30:15.5+23:59", MS(19781, 8, 31, 15) + 500 },
	{ "2024-02-29T23:59:60", MS(19783, 0, 0, 0) },
	{ "2024-02-29T23:59:60.25", MS(19783, 0, 0, 0) + 250 },
	{ "1969-12-31T23:59:59.999", -1 },
	{ "+12024-03-01T00:00:00.000Z", MS(3672208, 0, 0, 0) },
	{ "-0044-03-15T12:00:00", MS(-735525, 12, 0, 0) },
	{ "+262142-12-31T23:59:59.999Z", MS(95026236, 23, 59, 59) + 999 },
};

START_TEST(times_parse)
{
	struct og_slice s = exact_copy(og_slice_str(times[_i].text), strlen(times[_i].text));
	int64_t ms = 0;

	ck_assert_msg(og_datetime_parse(s, &ms), "%s", times[_i].text);
	ck_assert_int_eq(ms, times[_i].ms);
	free_copy(s);
}
END_TEST

static const char *const neither[] = {
	"", "2024", "2024-02", "2024-02-30", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-01-00",
	"2024-1-32", "24-01-01", "02024-01-01", "+024-01-01", "2024-001-01", "2024-01-001", "2024/01/01", "2024-0101",
	"202401-01", "2024011", "202401011", "20240132", " 2024-01-01", "2024-01-01 ", "2024-01-01T", "2024-01-01Z",
	"+262143-01-01", "-262144-12-31", "+99999999999999999999-01-01", "2024-01-01T08", "2024-01-01T08:30",
	"2024-01-01T08:30Z", "2024-01-01T8:30:00", "2024-01-01T24:00:00", "2024-01-01T08:60:00", "2024-01-01T08:30:61",
	"2024-01-01T08:30:00.", "2024-01-01T08:30:00.Z", "2024-01-01T08:30:00,5", "2024-01-01T083000.5",
	"2024-01-01T08:3000", "2024-01-01T0830:00", "2024-1-1T08:30:00", "20240101T08:30:00", "2024-01-01T08:30:00 Z",
	"2024-01-01T08:30:00 ", "2024-01-01T08:30:00ZZ", "2024-01-01T083000+01", "2024-01-01T08:30:00+",
	"2024-01-01T08:30:00+1", "2024-01-01T08:30:00+24", "2024-01-01T08:30:00+01:60", "2024-01-01T08:30:00+01:",
	"2024-01-01T08:30:00+01:0", "2024-01-01T08:30:00+010", "2024-01-01T08:30:00+01:00 ", "2024-01-01T08:30:00+ 01",
	"2024-01-01_08:30:00", "2024-01-01  08:30:00", "2024-01-01T08:30:00 Nowhere/Town", "2024-01-01T08:30:00 +0x",
	"2024-01-01T-8:30:00", "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa4-01-01", ("2024-01-01T08:30:00\xe2\x88\x92" "01:00"),
	"9999999999", "-", "+", "--2024-01-01", "2024--1-1", "2024-01-01T08:30:00 europe/berlin",
	"2024-01-01T08:30:00 posix/Europe/Berlin", "2024-01-01T08:30:00 /Europe/Berlin", "2024-01-01T08:30:00 ../Europe/Berlin",
	"2024-01-01T08:30:00 Europe", "2024-01-01T08:30:00 tzdata.zi",
};

START_TEST(other_texts_are_refused)
{
	struct og_slice s = exact_copy(og_slice_str(neither[_i]), strlen(neither[_i]));
	struct og_error err;
	int64_t ms;
	int32_t days;

	ck_assert_int_eq(og_zones_load(&err), 0);
	ck_assert_msg(!og_date_parse(s, &days), "%s", neither[_i]);
	ck_assert_msg(!og_datetime_parse(s, &ms), "%s", neither[_i]);
	free_copy(s);
}
END_TEST

START_TEST(a_cut_text_never_reads_on)
{
	static const char text[] = "+12024-12-31T23:59:59.123456 -03:30";

	for (size_t n = 0; n < sizeof(text); n++) {
		struct og_slice s = exact_copy(OG_SLICE(text), n);
		int64_t ms;
		int32_t days;

		(void)og_date_parse(s, &days);
		(void)og_datetime_parse(s, &ms);
		free_copy(s);
	}
	ck_assert(!og_date_parse(og_slice(NULL, 0), &(int32_t){ 0 }));
}
END_TEST

START_TEST(dates_print)
{
	struct og_buf b = { 0 };

	for (size_t i = 0; i < OG_COUNT(dates); i++) {
		bool number = true;
		int32_t back;

		og_buf_clear(&b);
		og_date_format(&b, dates[i].days, &number);
		ck_assert(!number);
		ck_assert(og_date_parse(og_buf_view(&b), &back));
		ck_assert_int_eq(back, dates[i].days);
	}
	og_buf_clear(&b);
	og_date_format(&b, 3672208, NULL);
	og_date_format(&b, -735525, NULL);
	og_date_format(&b, 0, NULL);
	ck_assert_str_eq(b.data, "+12024-03-01-0044-03-151970-01-01");
	og_buf_fini(&b);
}
END_TEST

/* Day by day over 800 years and around the ends: each prints, reads back, and follows its predecessor. */
START_TEST(every_day_round_trips)
{
	struct og_buf b = { 0 };
	int32_t from = _i == 0 ? -200000 : _i == 1 ? 95026236 - 1000 : -96465292;
	int32_t to = _i == 0 ? 93000 : from + 1000;

	for (int32_t d = from; d <= to; d++) {
		bool number;
		int32_t back = 0;

		og_buf_clear(&b);
		og_date_format(&b, d, &number);
		if (number || !og_date_parse(og_buf_view(&b), &back) || back != d)
			ck_abort_msg("%d: %s: %d", d, b.data, back);
	}
	og_buf_fini(&b);
}
END_TEST

START_TEST(days_beyond_the_years_are_numbers)
{
	static const int32_t days[] = { 95026237, -96465293, INT32_MAX, INT32_MIN };
	static const int64_t ms[] = { INT64_MAX, INT64_MIN, MS(95026237, 0, 0, 0), MS(-96465292, 0, 0, 0) - 1 };
	struct og_buf b = { 0 };

	for (size_t i = 0; i < 4; i++) {
		bool number = false;
		char want[32];

		og_buf_clear(&b);
		og_date_format(&b, days[i], &number);
		ck_assert(number);
		snprintf(want, sizeof(want), "%d", days[i]);
		ck_assert_str_eq(b.data, want);
		og_buf_clear(&b);
		number = false;
		og_datetime_format(&b, ms[i], &number);
		ck_assert(number);
		og_buf_clear(&b);
		number = false;
		og_datetime_format_export(&b, ms[i], &number);
		ck_assert(number);
		snprintf(want, sizeof(want), "%lld", (long long)ms[i]);
		ck_assert_str_eq(b.data, want);
	}
	og_buf_fini(&b);
}
END_TEST

START_TEST(times_print)
{
	struct og_buf b = { 0 };
	bool number;

	og_datetime_format(&b, 0, NULL);
	ck_assert_str_eq(b.data, "1970-01-01T00:00:00.000Z");
	og_buf_clear(&b);
	og_datetime_format(&b, -1, NULL);
	ck_assert_str_eq(b.data, "1969-12-31T23:59:59.999Z");
	og_buf_clear(&b);
	og_datetime_format_export(&b, 1777624200000, NULL);
	ck_assert_str_eq(b.data, "2026-05-01T08:30:00");
	og_buf_clear(&b);
	og_datetime_format_export(&b, -62198755199993, &number);
	ck_assert_str_eq(b.data, "-0001-01-01T00:00:00.007");
	ck_assert(!number);
	og_buf_fini(&b);
}
END_TEST

static bool zoned(const char *text, int64_t *ms)
{
	return og_datetime_parse(og_slice_str(text), ms);
}

static void zone_is(const char *text, const char *utc)
{
	int64_t a = 1, b = 2;

	ck_assert_msg(zoned(text, &a), "%s", text);
	ck_assert(zoned(utc, &b));
	ck_assert_msg(a == b, "%s is %lld ms off", text, (long long)(a - b));
}

/* Another process finds in the block what the folder holds. */
START_TEST(zones_by_name_in_a_shared_block)
{
	struct og_error err;
	int64_t ms;
	int fd = -1;

	ck_assert_int_eq(og_zones_share(&fd, &err), 0);
	ck_assert(!zoned("2024-07-01T12:00:00 UTC", &ms));	/* not ours yet */
	ck_assert_int_eq(og_zones_map(fd, &err), 0);
	og_fd_close(&fd);
	if (!zoned("2024-07-01T12:00:00 UTC", &ms))
		return;		/* a system without tz database */
	zone_is("2024-07-01T12:00:00 Europe/Berlin", "2024-07-01T10:00:00");
	zone_is("2024-07-01T12:00:00 Asia/Kolkata", "2024-07-01T06:30:00");
	zone_is("2024-07-01T12:00:00 Asia/Calcutta", "2024-07-01T06:30:00");	/* a link */
	ck_assert(!zoned("2024-07-01T12:00:00 Europe", &ms));
	ck_assert(!zoned("2024-07-01T12:00:00 Europe/Berlin2", &ms));
}
END_TEST

/* One zone whose name or file would lie outside, and a count that the block has no room for. */
static const uint32_t bad_blocks[][6] = {
	{ 1, 20, 40, 20, 4, 0x41414141 },
	{ 1, 20, 4, 0xfffffff0, 0x20, 0x41414141 },
	{ 1, 20, 4, 20, 5, 0x41414141 },
	{ 0xffffffff, 20, 4, 20, 4, 0x41414141 },
};

START_TEST(a_bad_block_is_never_read_past)
{
	int fd = -1;
	struct og_error err;
	int64_t ms;

	ck_assert_int_eq(og_memfd_from("zones", og_slice(bad_blocks[_i], sizeof(bad_blocks[_i])), &fd, &err), 0);
	ck_assert_int_eq(og_zones_map(fd, &err), 0);
	ck_assert(!zoned("2024-07-01T12:00:00 AAAA", &ms));
	ck_assert(!zoned("2024-07-01T12:00:00 B", &ms));
	og_fd_close(&fd);
}
END_TEST

START_TEST(zones_by_name)
{
	struct og_error err;
	int64_t ms;

	ck_assert(!zoned("2024-07-01T12:00:00 Europe/Berlin", &ms));	/* nothing loaded */
	ck_assert_int_eq(og_zones_load(&err), 0);
	ck_assert_int_eq(og_zones_load(&err), 0);
	if (!zoned("2024-07-01T12:00:00 UTC", &ms))
		return;		/* a system without tz database */
	zone_is("2024-07-01T12:00:00 Europe/Berlin", "2024-07-01T10:00:00");
	zone_is("2024-07-01T12:00:00Europe/Berlin", "2024-07-01T10:00:00");
	zone_is("2024-01-01T12:00:00.25 Europe/Berlin", "2024-01-01T11:00:00.25");
	zone_is("2024-01-01T120000 Europe/Berlin", "2024-01-01T11:00:00");
	zone_is("2024-03-31T01:59:59 Europe/Berlin", "2024-03-31T00:59:59");
	ck_assert(!zoned("2024-03-31T02:00:00 Europe/Berlin", &ms));
	ck_assert(!zoned("2024-03-31T02:59:59 Europe/Berlin", &ms));
	zone_is("2024-03-31T03:00:00 Europe/Berlin", "2024-03-31T01:00:00");
	zone_is("2024-10-27T01:59:59 Europe/Berlin", "2024-10-26T23:59:59");
	ck_assert(!zoned("2024-10-27T02:00:00 Europe/Berlin", &ms));
	ck_assert(!zoned("2024-10-27T02:59:59 Europe/Berlin", &ms));
	zone_is("2024-10-27T03:00:00 Europe/Berlin", "2024-10-27T02:00:00");
	/* after the last transition in any file, by rule; and both hemispheres */
	zone_is("2399-07-01T12:00:00 Europe/Berlin", "2399-07-01T10:00:00");
	zone_is("2399-01-01T12:00:00 Europe/Berlin", "2399-01-01T11:00:00");
	zone_is("2399-01-01T12:00:00 Australia/Sydney", "2399-01-01T01:00:00");
	zone_is("2399-07-01T12:00:00 Australia/Sydney", "2399-07-01T02:00:00");
	ck_assert(!zoned("2399-03-28T02:30:00 Europe/Berlin", &ms));
	zone_is("2026-07-01T12:00:00 Asia/Kathmandu", "2026-07-01T06:15:00");
	zone_is("2026-07-01T12:00:00 America/Argentina/Buenos_Aires", "2026-07-01T15:00:00");
	zone_is("2026-07-01T12:00:00 Etc/GMT+5", "2026-07-01T17:00:00");
	zone_is("2026-01-01T12:00:00 Europe/Dublin", "2026-01-01T12:00:00");
	zone_is("2026-07-01T12:00:00 Europe/Dublin", "2026-07-01T11:00:00");
	/* Samoa left out a day, and before its first transition a zone has its local mean time. */
	ck_assert(!zoned("2011-12-30T12:00:00 Pacific/Apia", &ms));
	zone_is("1800-01-01T00:53:28 Europe/Berlin", "1800-01-01T00:00:00");
}
END_TEST

/* A file with one type, no transition, and rules; then every prefix and every changed byte of it. */
static const char tzif[] = "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
			   "\0\0\16\20\0\0CET\0"
			   "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
			   "\0\0\16\20\0\0CET\0"
			   "\nCET-1CEST,M3.5.0,M10.5.0/3\n";

START_TEST(zone_files_are_checked)
{
	struct og_slice all = og_slice(tzif, sizeof(tzif) - 1), s;
	int64_t offset;

	ck_assert(og_zone_offset_tzif(all, 1720000000, &offset));
	ck_assert_int_eq(offset, 7200);
	ck_assert(og_zone_offset_tzif(all, 1704067200, &offset));
	ck_assert_int_eq(offset, 3600);
	for (size_t n = 0; n < all.len; n++) {
		s = exact_copy(all, n);
		ck_assert(!og_zone_offset_tzif(s, 1720000000, &offset));
		free_copy(s);
	}
	s = exact_copy(all, all.len);
	for (size_t i = 0; i < all.len; i++) {
		char *p = (char *)(uintptr_t)s.p + i, was = *p;

		for (int c = 0; c < 256; c++) {
			*p = (char)c;
			(void)og_zone_offset_tzif(s, 1720000000, &offset);
			(void)og_zone_offset_tzif(s, INT64_C(-9000000000000), &offset);
		}
		*p = was;
	}
	free_copy(s);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, dates_parse, 0, (int)OG_COUNT(dates));
	tcase_add_loop_test(tc, times_parse, 0, (int)OG_COUNT(times));
	tcase_add_loop_test(tc, other_texts_are_refused, 0, (int)OG_COUNT(neither));
	tcase_add_test(tc, a_cut_text_never_reads_on);
	tcase_add_test(tc, dates_print);
	tcase_add_loop_test(tc, every_day_round_trips, 0, 3);
	tcase_add_test(tc, days_beyond_the_years_are_numbers);
	tcase_add_test(tc, times_print);
	tcase_add_test(tc, zones_by_name);
	tcase_add_test(tc, zones_by_name_in_a_shared_block);
	tcase_add_loop_test(tc, a_bad_block_is_never_read_past, 0, (int)OG_COUNT(bad_blocks));
	tcase_add_test(tc, zone_files_are_checked);
}

int main(void)
{
	return suite_run("date", add, 60);
}
