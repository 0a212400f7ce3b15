/* Dates and times: texts to numbers and back. */
#include "config.h"

#include "base/date.h"
#include "base/zone.h"

#include <time.h>

#define YEAR_MIN (-262143)
#define YEAR_MAX 262142
#define DAY_S 86400
#define DAY_MS INT64_C(86400000)

/* Days from 1970-01-01 in the proleptic Gregorian calendar; years count from March inside. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t days, int64_t *y, int *m, int *d)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int mp = (int)((5 * doy + 2) / 153);

	*d = (int)(doy - (153 * mp + 2) / 5) + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = yoe + era * 400 + (*m <= 2);
}

static bool is_leap(int64_t y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static bool valid_date(int64_t y, int m, int d)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (y < YEAR_MIN || y > YEAR_MAX || m < 1 || m > 12 || d < 1)
		return false;
	return d <= lengths[m - 1] + (m == 2 && is_leap(y));
}

/* A cursor over the text. */
struct cursor {
	const char *p, *end;
};

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static bool accept(struct cursor *c, char want)
{
	if (c->p == c->end || *c->p != want)
		return false;
	c->p++;
	return true;
}

/* Between min and max digits (as many as there are); too large a number saturates. */
static bool digits(struct cursor *c, size_t min, size_t max, int *out)
{
	size_t n = 0;
	int v = 0;

	while (n < max && c->p < c->end && *c->p >= '0' && *c->p <= '9') {
		if (v < 100000000)
			v = v * 10 + (*c->p - '0');
		c->p++;
		n++;
	}
	*out = v;
	return n >= min;
}

/* [+-]Y...Y-M-D, the sign making the year's and the other widths free; else YYYY-MM-DD with widths min..2. */
static bool dashed_date(struct cursor *c, size_t min, int64_t *days)
{
	int y, m, d, sign = 1;
	size_t max = 2;

	if (c->p < c->end && (*c->p == '+' || *c->p == '-')) {
		sign = *c->p++ == '-' ? -1 : 1;
		min = 1;
		max = SIZE_MAX;
	}
	if (!digits(c, 4, max == 2 ? 4 : max, &y) || !accept(c, '-') || !digits(c, min, max, &m) || !accept(c, '-') ||
	    !digits(c, min, max, &d) || !valid_date(sign * y, m, d))
		return false;
	*days = days_from_civil(sign * y, m, d);
	return true;
}

/* A text that is a date and nothing else. */
static bool whole_date(struct og_slice s, int64_t *days)
{
	struct cursor c = { s.p, s.p + s.len };
	int y, m, d;

	if (s.len == 0)
		return false;
	if (dashed_date(&c, 1, days))
		return c.p == c.end;
	c = (struct cursor){ s.p, s.p + s.len };
	if (s.len != 8 || !digits(&c, 4, 4, &y) || !digits(&c, 2, 2, &m) || !digits(&c, 2, 2, &d) ||
	    !valid_date(y, m, d))
		return false;
	*days = days_from_civil(y, m, d);
	return true;
}

struct clock {
	int64_t second;		/* of the day; a leap second counts as the 59th */
	int ms;
	bool leap;
	bool compact;		/* HHMMSS */
};

static bool clock_time(struct cursor *c, struct clock *t)
{
	int h, m, s;

	*t = (struct clock){ 0 };
	if (!digits(c, 2, 2, &h))
		return false;
	t->compact = !accept(c, ':');
	if (!digits(c, 2, 2, &m) || (!t->compact && !accept(c, ':')) || !digits(c, 2, 2, &s))
		return false;
	if (h > 23 || m > 59 || s > 60)
		return false;
	t->leap = s == 60;
	t->second = h * 3600 + m * 60 + s - t->leap;
	if (!t->compact && accept(c, '.')) {
		int weight = 100;

		if (c->p == c->end || *c->p < '0' || *c->p > '9')
			return false;
		while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
			t->ms += weight * (*c->p++ - '0');
			weight /= 10;
		}
	}
	return true;
}

/* What follows the time; *offset is how far local time is ahead of UTC at the local second. */
static bool zone_part(struct cursor *c, bool compact, int64_t local, int64_t *offset)
{
	bool space = false;
	int h, m = 0, sign;

	*offset = 0;
	if (c->p == c->end)
		return true;
	if (left(c) == 1 && (*c->p == 'Z' || *c->p == 'z'))
		return true;
	while (accept(c, ' '))
		space = true;
	if (c->p == c->end)
		return false;
	if (*c->p != '+' && *c->p != '-')
		return og_zone_offset(og_slice(c->p, left(c)), local, offset);
	/* 120000-0330 would be too easily misread. */
	if (compact && !space)
		return false;
	sign = *c->p++ == '-' ? -1 : 1;
	if (!digits(c, 2, 2, &h))
		return false;
	if (c->p < c->end) {
		(void)accept(c, ':');
		if (!digits(c, 2, 2, &m))
			return false;
	}
	if (c->p != c->end || h > 23 || m > 59)
		return false;
	*offset = sign * (h * 3600 + m * 60);
	return true;
}

/* A date with a time: seconds of UTC since the epoch, without the leap second. */
static bool date_and_time(struct og_slice s, int64_t *utc, struct clock *t)
{
	struct cursor c = { s.p, s.p + s.len };
	int64_t days, offset;

	if (!dashed_date(&c, 2, &days))
		return false;
	if (!accept(&c, 'T') && !accept(&c, 't') && !accept(&c, ' '))
		return false;
	if (!clock_time(&c, t) || !zone_part(&c, t->compact, days * DAY_S + t->second, &offset))
		return false;
	*utc = days * DAY_S + t->second - offset;
	return true;
}

bool og_date_parse(struct og_slice s, int32_t *days)
{
	struct clock t;
	int64_t d, utc;

	if (whole_date(s, &d)) {
		*days = (int32_t)d;
		return true;
	}
	if (s.len <= 10 || !date_and_time(s, &utc, &t))
		return false;
	*days = (int32_t)((utc - (utc < 0 ? DAY_S - 1 : 0)) / DAY_S);
	return true;
}

bool og_datetime_parse(struct og_slice s, int64_t *ms)
{
	struct clock t;
	int64_t d, utc;

	if (whole_date(s, &d)) {
		*ms = d * DAY_MS;
		return true;
	}
	if (s.len <= 10 || !date_and_time(s, &utc, &t))
		return false;
	*ms = (utc + t.leap) * 1000 + t.ms;
	return true;
}

static char *two(char *p, int v)
{
	*p++ = (char)('0' + v / 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

/* Up to 13 characters, or NULL: the year is outside the range of the texts. */
static char *put_date(char *p, int64_t days)
{
	int64_t y;
	int m, d;
	char tmp[8];
	size_t n = 0;

	civil_from_days(days, &y, &m, &d);
	if (y < YEAR_MIN || y > YEAR_MAX)
		return NULL;
	if (y < 0 || y > 9999)
		*p++ = y < 0 ? '-' : '+';
	y = y < 0 ? -y : y;
	do {
		tmp[n++] = (char)('0' + y % 10);
		y /= 10;
	} while (y || n < 4);
	while (n)
		*p++ = tmp[--n];
	*p++ = '-';
	p = two(p, m);
	*p++ = '-';
	return two(p, d);
}

static void put_datetime(struct og_buf *b, int64_t ms, bool export, bool *plain_number)
{
	int64_t days = ms / DAY_MS - (ms % DAY_MS < 0);
	int64_t rest = ms % DAY_MS + (ms % DAY_MS < 0 ? DAY_MS : 0);
	char text[64], *p = put_date(text, days);
	int second = (int)(rest / 1000), milli = (int)(rest % 1000);

	if (plain_number)
		*plain_number = !p;
	if (!p) {
		og_buf_i64(b, ms);
		return;
	}
	*p++ = 'T';
	p = two(p, second / 3600);
	*p++ = ':';
	p = two(p, second / 60 % 60);
	*p++ = ':';
	p = two(p, second % 60);
	if (!export || milli) {
		*p++ = '.';
		*p++ = (char)('0' + milli / 100);
		p = two(p, milli % 100);
	}
	if (!export)
		*p++ = 'Z';
	og_buf_append(b, text, (size_t)(p - text));
}

void og_date_format(struct og_buf *b, int32_t days, bool *plain_number)
{
	char text[32], *p = put_date(text, days);

	if (plain_number)
		*plain_number = !p;
	if (p)
		og_buf_append(b, text, (size_t)(p - text));
	else
		og_buf_i64(b, days);
}

void og_datetime_format(struct og_buf *b, int64_t ms, bool *plain_number)
{
	put_datetime(b, ms, false, plain_number);
}

void og_datetime_format_export(struct og_buf *b, int64_t ms, bool *plain_number)
{
	put_datetime(b, ms, true, plain_number);
}

int64_t og_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

uint64_t og_boottime_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t og_monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}
