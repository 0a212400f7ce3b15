/* Time zones. */
#include "config.h"

#include "base/zone.h"

#include <stdlib.h>

#include "base/zonedb.h"

#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define DAY_S 86400
/* RFC 8536 lets an offset be less than 25 h west and 26 h east. */
#define OFFSET_MAX (26 * 3600)

/* The 64-bit block of a TZif file. */
struct tzif {
	uint32_t ntimes, ntypes;
	const unsigned char *times;	/* 8 bytes each, ascending */
	const unsigned char *kinds;	/* 1 byte each */
	const unsigned char *types;	/* 6 bytes each: offset, dst, name */
	struct og_slice footer;		/* POSIX TZ string, may be empty */
};

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const unsigned char *p)
{
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

/* Size of the data behind a header whose times are time_bytes wide. */
static uint64_t block_bytes(const unsigned char *h, unsigned time_bytes)
{
	uint64_t isut = be32(h + 20), isstd = be32(h + 24), leap = be32(h + 28), times = be32(h + 32);
	uint64_t types = be32(h + 36), chars = be32(h + 40);

	return times * (time_bytes + 1) + types * TYPE_BYTES + chars + leap * (time_bytes + 4) + isstd + isut;
}

static bool open_tzif(struct og_slice s, struct tzif *z)
{
	const unsigned char *p = (const unsigned char *)s.p;
	const char *lf;
	uint64_t skip, size;
	size_t at;

	if (s.len < HEADER_BYTES || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return false;
	skip = HEADER_BYTES + block_bytes(p, 4);
	if (skip > s.len || s.len - skip < HEADER_BYTES || memcmp(p + skip, "TZif", 4) != 0)
		return false;
	p += skip;
	at = (size_t)skip + HEADER_BYTES;
	size = block_bytes(p, 8);
	if (size > s.len - at)
		return false;
	z->ntimes = be32(p + 32);
	z->ntypes = be32(p + 36);
	if (z->ntypes == 0)
		return false;
	z->times = p + HEADER_BYTES;
	z->kinds = z->times + (size_t)z->ntimes * 8;
	z->types = z->kinds + z->ntimes;
	for (uint32_t i = 0; i < z->ntimes; i++)
		if (z->kinds[i] >= z->ntypes)
			return false;
	at += (size_t)size;
	if (at == s.len || s.p[at] != '\n')
		return false;
	at++;
	lf = memchr(s.p + at, '\n', s.len - at);
	if (!lf)
		return false;
	z->footer = og_slice(s.p + at, (size_t)(lf - (s.p + at)));
	return true;
}

/* A day and second of every year at which clocks change. */
struct rule {
	char form;	/* 'M': m.w.d; 'J': 1..365 without 29 February; 'D': 0..365 */
	int m, w, d;
	int second;	/* of local time before the change; may be negative or beyond a day */
};

struct posix_tz {
	int std, dst;	/* offsets east of UTC */
	bool has_dst;
	struct rule to_dst, to_std;
};

struct cursor {
	const char *p, *end;
};

static char peek(const struct cursor *c)
{
	return c->p < c->end ? *c->p : '\0';
}

static bool number(struct cursor *c, int *out)
{
	int v = 0;

	if (peek(c) < '0' || peek(c) > '9')
		return false;
	while (peek(c) >= '0' && peek(c) <= '9') {
		v = v * 10 + (*c->p++ - '0');
		if (v > 1000)
			return false;
	}
	*out = v;
	return true;
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool hms(struct cursor *c, int *out)
{
	int sign = 1, h, m = 0, s = 0;

	if (peek(c) == '+' || peek(c) == '-')
		sign = *c->p++ == '-' ? -1 : 1;
	if (!number(c, &h) || h > 167)
		return false;
	if (peek(c) == ':') {
		c->p++;
		if (!number(c, &m) || m > 59)
			return false;
		if (peek(c) == ':') {
			c->p++;
			if (!number(c, &s) || s > 59)
				return false;
		}
	}
	*out = sign * (h * 3600 + m * 60 + s);
	return true;
}

static bool zone_abbreviation(struct cursor *c)
{
	const char *start = c->p;

	if (peek(c) == '<') {
		while (c->p < c->end && *c->p != '>')
			c->p++;
		if (c->p == c->end)
			return false;
		c->p++;
		return true;
	}
	while ((peek(c) >= 'a' && peek(c) <= 'z') || (peek(c) >= 'A' && peek(c) <= 'Z'))
		c->p++;
	return c->p - start >= 3;
}

static bool day_rule(struct cursor *c, struct rule *r)
{
	*r = (struct rule){ .form = 'D', .second = 2 * 3600 };
	if (peek(c) != ',')
		return false;
	c->p++;
	if (peek(c) == 'M') {
		r->form = 'M';
		c->p++;
		if (!number(c, &r->m) || peek(c) != '.')
			return false;
		c->p++;
		if (!number(c, &r->w) || peek(c) != '.')
			return false;
		c->p++;
		if (!number(c, &r->d) || r->m < 1 || r->m > 12 || r->w < 1 || r->w > 5 || r->d > 6)
			return false;
	} else {
		if (peek(c) == 'J') {
			r->form = 'J';
			c->p++;
		}
		if (!number(c, &r->d) || r->d > 365 || (r->form == 'J' && r->d < 1))
			return false;
	}
	if (peek(c) == '/') {
		c->p++;
		return hms(c, &r->second);
	}
	return true;
}

static bool parse_posix_tz(struct og_slice s, struct posix_tz *tz)
{
	struct cursor c = { s.p, s.p + s.len };
	int west;

	*tz = (struct posix_tz){ 0 };
	if (!zone_abbreviation(&c) || !hms(&c, &west))
		return false;
	tz->std = -west;
	if (c.p == c.end)
		return true;
	tz->has_dst = true;
	tz->dst = tz->std + 3600;
	if (!zone_abbreviation(&c))
		return false;
	if (peek(&c) != ',' && c.p < c.end) {
		if (!hms(&c, &west))
			return false;
		tz->dst = -west;
	}
	return day_rule(&c, &tz->to_dst) && day_rule(&c, &tz->to_std) && c.p == c.end;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static bool is_leap(int64_t y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

/* Days from 1970-01-01 to 1 January of year y. */
static int64_t year_start(int64_t y)
{
	int64_t p = y - 1;

	return 365 * (y - 1970) + floor_div(p, 4) - floor_div(p, 100) + floor_div(p, 400) - 477;
}

static int64_t year_of(int64_t day)
{
	int64_t y = 1970 + floor_div(day * 400, 146097);

	while (year_start(y) > day)
		y--;
	while (year_start(y + 1) <= day)
		y++;
	return y;
}

/* Local seconds since the epoch at which the rule applies in year y. */
static int64_t rule_time(const struct rule *r, int64_t y)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
	int64_t day = year_start(y);

	if (r->form == 'D') {
		day += r->d;
	} else if (r->form == 'J') {
		day += r->d - 1 + (is_leap(y) && r->d > 59);
	} else {
		int64_t first = day + before[r->m - 1] + (is_leap(y) && r->m > 2);
		int length = before[r->m] - before[r->m - 1] + (is_leap(y) && r->m == 2);
		int weekday = (int)(((first + 4) % 7 + 7) % 7);	/* 1970-01-01 was a Thursday */
		int d = (r->d - weekday + 7) % 7 + 7 * (r->w - 1);

		if (d >= length)
			d -= 7;
		day = first + d;
	}
	return day * DAY_S + r->second;
}

static int posix_offset(const struct posix_tz *tz, int64_t utc)
{
	int64_t year, on, off;

	if (!tz->has_dst)
		return tz->std;
	year = year_of(floor_div(utc + tz->std, DAY_S));
	on = rule_time(&tz->to_dst, year) - tz->std;
	off = rule_time(&tz->to_std, year) - tz->dst;
	if (on < off)
		return utc >= on && utc < off ? tz->dst : tz->std;
	return utc >= off && utc < on ? tz->std : tz->dst;
}

static int type_offset(const struct tzif *z, unsigned type)
{
	return (int)be32(z->types + type * TYPE_BYTES);
}

/* Transitions at or before utc. */
static uint32_t transitions_until(const struct tzif *z, int64_t utc)
{
	uint32_t lo = 0, hi = z->ntimes;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (be64(z->times + (size_t)mid * 8) <= utc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int offset_at(const struct tzif *z, const struct posix_tz *tz, int64_t utc)
{
	uint32_t n = transitions_until(z, utc);

	if (n == z->ntimes && tz)
		return posix_offset(tz, utc);
	return type_offset(z, n ? z->kinds[n - 1] : 0);
}

struct answers {
	int64_t offset;
	unsigned count;		/* distinct instants */
};

static void try_offset(const struct tzif *z, const struct posix_tz *tz, int64_t local, int offset, struct answers *a)
{
	if (a->count && a->offset == offset)
		return;
	if (offset_at(z, tz, local - offset) != offset)
		return;
	a->offset = offset;
	a->count++;
}

/* Every offset that can be in force near `local` is tried; one that gives itself back is an answer. */
static bool resolve(const struct tzif *z, int64_t local, int64_t *offset)
{
	struct posix_tz rules, *tz = NULL;
	struct answers a = { 0 };
	uint32_t from = transitions_until(z, local - OFFSET_MAX);
	uint32_t to = transitions_until(z, local + OFFSET_MAX);

	if (z->footer.len) {
		if (!parse_posix_tz(z->footer, &rules))
			return false;
		tz = &rules;
	}
	for (uint32_t i = from; i <= to && a.count < 2; i++)
		try_offset(z, tz, local, type_offset(z, i ? z->kinds[i - 1] : 0), &a);
	if (to == z->ntimes && tz && a.count < 2) {
		try_offset(z, tz, local, tz->std, &a);
		if (tz->has_dst && a.count < 2)
			try_offset(z, tz, local, tz->dst, &a);
	}
	if (a.count != 1)
		return false;
	*offset = a.offset;
	return true;
}

bool og_zone_offset_tzif(struct og_slice tzif, int64_t local, int64_t *offset)
{
	struct tzif z;

	return open_tzif(tzif, &z) && resolve(&z, local, offset);
}

bool og_zone_valid(struct og_slice tzif)
{
	struct tzif z;

	return open_tzif(tzif, &z);
}

bool og_zone_offset(struct og_slice name, int64_t local, int64_t *offset)
{
	struct og_slice tzif;

	return og_zones_find(name, &tzif) && og_zone_offset_tzif(tzif, local, offset);
}
