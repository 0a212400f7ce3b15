/*
 * Numbers to and from text.
 *
 * Shortest digits: Raffaello Giulietti, "The Schubfach way to render doubles" (2020).
 * Parsing: William Clinger, "How to read floating point numbers accurately" (1990) for short
 * numbers; else one multiplication by a 128-bit power of ten, after Daniel Lemire, "Number
 * parsing at a gigabyte per second" (2021), with our own bound on its error; strtod decides the
 * rest.
 */
#include "config.h"

#include "base/num.h"
#include "base/pow10.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 u128;

/* A text of more digits than a double can distinguish anyway (767); one more stands for "something follows". */
#define DIGITS_MAX 780
#define EXPONENT_CAP 100000000000LL

/* floor(log2(10^k)) for |k| <= 1233 */
static int log2_pow10(int k)
{
	return (k * 1741647) >> 19;
}

static bool pow10_exact(int k)
{
	return k >= 0 && k <= 55;
}

/* c * 2^q as written: digits * 10^exp. */
struct decimal {
	uint64_t digits;
	int exp;
};

/* floor(g * c / 2^128), the last bit set when anything was cut off. */
static uint64_t round_to_odd(uint64_t ghi, uint64_t glo, uint64_t c)
{
	uint64_t low = (uint64_t)((u128)glo * c >> 64);
	u128 y = (u128)ghi * c + low;

	return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/*
 * The shortest decimal in the rounding interval of c * 2^q, and of those the nearest. Where c is the
 * least of its binade the lower neighbour is closer (lower_closer).
 */
static struct decimal shortest(uint64_t c, int q, bool lower_closer)
{
	bool odd = c & 1;
	int k = (q * 1262611 - (lower_closer ? 524031 : 0)) >> 22;
	int h = q + log2_pow10(-k) + 1;
	const uint64_t *g = pow10_table[-k - POW10_MIN];
	uint64_t ghi = g[0], glo = g[1];
	uint64_t vbl, vb, vbr, lower, upper, s, sp;
	bool below, above;

	/* The method wants the power rounded up. */
	if (!pow10_exact(-k)) {
		glo++;
		ghi += glo == 0;
	}
	vbl = round_to_odd(ghi, glo, (4 * c - 2 + lower_closer) << h);
	vb = round_to_odd(ghi, glo, (4 * c) << h);
	vbr = round_to_odd(ghi, glo, (4 * c + 2) << h);
	lower = vbl + odd;	/* the ends belong to the interval of an even c only */
	upper = vbr - odd;
	s = vb / 4;
	if (s >= 10) {
		sp = s / 10;
		below = lower <= 40 * sp;
		above = 40 * sp + 40 <= upper;
		if (below != above)
			return (struct decimal){ sp + above, k + 1 };
	}
	below = lower <= 4 * s;
	above = 4 * s + 4 <= upper;
	if (below != above)
		return (struct decimal){ s + above, k };
	above = vb > 4 * s + 2 || (vb == 4 * s + 2 && (s & 1));
	return (struct decimal){ s + above, k };
}

/* x is finite and positive. */
static struct decimal decimal_of(double x, bool single)
{
	struct decimal d;
	uint64_t bits, c, hidden;
	uint32_t bits32;
	float f = (float)x;
	int e, q;

	if (single) {
		memcpy(&bits32, &f, sizeof(bits32));
		hidden = UINT64_C(1) << 23;
		c = bits32 & (hidden - 1);
		e = (int)(bits32 >> 23);
		q = OG_MAX(e, 1) - 150;
	} else {
		memcpy(&bits, &x, sizeof(bits));
		hidden = UINT64_C(1) << 52;
		c = bits & (hidden - 1);
		e = (int)(bits >> 52);
		q = OG_MAX(e, 1) - 1075;
	}
	if (e && q <= 0 && q > -53 && ((c | hidden) & ((UINT64_C(1) << -q) - 1)) == 0)
		d = (struct decimal){ (c | hidden) >> -q, 0 };	/* a small integer */
	else
		d = shortest(e ? c | hidden : c, q, c == 0 && e > 1);
	while (d.digits % 10 == 0) {
		d.digits /= 10;
		d.exp++;
	}
	return d;
}

/* Decimal digits of v without a NUL; the number of them. */
static size_t put_digits(char out[20], uint64_t v)
{
	char tmp[20];
	size_t at = sizeof(tmp);

	while (v >= 100) {
		unsigned two = (unsigned)(v % 100);

		v /= 100;
		tmp[--at] = (char)('0' + two % 10);
		tmp[--at] = (char)('0' + two / 10);
	}
	if (v >= 10) {
		tmp[--at] = (char)('0' + v % 10);
		v /= 10;
	}
	tmp[--at] = (char)('0' + v);
	memcpy(out, tmp + at, sizeof(tmp) - at);
	return sizeof(tmp) - at;
}

/* Without exponent; the value is 0.DIGITS * 10^point. Returns the end. */
static char *put_plain(char *out, const char *digits, size_t n, int point, bool keep_fraction)
{
	if (point <= 0) {
		*out++ = '0';
		*out++ = '.';
		memset(out, '0', (size_t)-point);
		out += -point;
		memcpy(out, digits, n);
		return out + n;
	}
	if ((size_t)point < n) {
		memcpy(out, digits, (size_t)point);
		out += point;
		*out++ = '.';
		memcpy(out, digits + point, n - (size_t)point);
		return out + (n - (size_t)point);
	}
	memcpy(out, digits, n);
	memset(out + n, '0', (size_t)point - n);
	out += point;
	if (keep_fraction) {
		*out++ = '.';
		*out++ = '0';
	}
	return out;
}

size_t og_double_json(double x, char out[40])
{
	char digits[20], *p = out;
	struct decimal d;
	size_t n;
	int point, sci;

	if (signbit(x))
		*p++ = '-';
	if (x == 0) {
		memcpy(p, "0.0", 4);
		return (size_t)(p - out) + 3;
	}
	d = decimal_of(fabs(x), false);
	n = put_digits(digits, d.digits);
	point = (int)n + d.exp;
	sci = point - 1;
	if (sci >= -5 && sci < 16) {
		p = put_plain(p, digits, n, point, true);
		*p = '\0';
		return (size_t)(p - out);
	}
	*p++ = digits[0];
	if (n > 1) {
		*p++ = '.';
		memcpy(p, digits + 1, n - 1);
		p += n - 1;
	}
	*p++ = 'e';
	*p++ = sci < 0 ? '-' : '+';
	n = put_digits(digits, (uint64_t)abs(sci));
	memcpy(p, digits, n);
	p += n;
	*p = '\0';
	return (size_t)(p - out);
}

size_t og_double_plain(double x, bool single, char out[400])
{
	char digits[20], *p = out;
	struct decimal d;
	size_t n;

	if (x == 0) {
		memcpy(out, "0", 2);
		return 1;
	}
	if (x < 0)
		*p++ = '-';
	d = decimal_of(fabs(x), single);
	n = put_digits(digits, d.digits);
	p = put_plain(p, digits, n, (int)n + d.exp, false);
	*p = '\0';
	return (size_t)(p - out);
}

static bool parse_magnitude(const char *p, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned)(unsigned char)p[i] - '0';

		if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*out = v;
	return true;
}

bool og_parse_u64(struct og_slice s, uint64_t *out)
{
	size_t sign = s.len && s.p[0] == '+';

	return parse_magnitude(s.p + sign, s.len - sign, out);
}

bool og_parse_size(struct og_slice s, uint64_t *out)
{
	static const char units[] = "kmgt";
	const char *unit = s.len ? memchr(units, s.p[s.len - 1] | 0x20, sizeof(units) - 1) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	uint64_t v;

	if (!parse_magnitude(s.p, s.len - (unit != NULL), &v) || v > UINT64_MAX >> shift)
		return false;
	*out = v << shift;
	return true;
}

bool og_parse_i64(struct og_slice s, int64_t *out)
{
	bool negative = s.len && s.p[0] == '-';
	size_t sign = s.len && (s.p[0] == '-' || s.p[0] == '+');
	uint64_t v;

	if (!parse_magnitude(s.p + sign, s.len - sign, &v) || v > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* A number's text, taken apart: first 19 significant digits w, value = w * 10^exp (and more, if cut). */
struct number_text {
	const char *digits;	/* of the integer part on */
	size_t len;		/* up to the exponent */
	uint64_t w;
	int64_t exp;
	bool negative;
	bool cut;		/* a digit other than 0 may have been left out of w */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void add_digits(struct number_text *t, const char *p, const char *end, bool fraction, unsigned *kept)
{
	for (; p < end; p++) {
		if (*kept < 19) {
			t->w = t->w * 10 + (uint64_t)(*p - '0');
			*kept += t->w != 0;
			t->exp -= fraction;
		} else {
			t->cut |= *p != '0';
			t->exp += !fraction;
		}
	}
}

static bool scan_number(struct og_slice s, struct number_text *t)
{
	const char *p = s.p, *end = s.p + s.len, *start;
	unsigned kept = 0;
	int64_t e = 0;
	bool minus;

	*t = (struct number_text){ .negative = s.len && *p == '-' };
	p += t->negative;
	t->digits = start = p;
	while (p < end && is_digit(*p))
		p++;
	if (p == start || (*start == '0' && p - start > 1))
		return false;
	add_digits(t, start, p, false, &kept);
	if (p < end && *p == '.') {
		start = ++p;
		while (p < end && is_digit(*p))
			p++;
		if (p == start)
			return false;
		add_digits(t, start, p, true, &kept);
	}
	t->len = (size_t)(p - t->digits);
	if (p == end)
		return true;
	if (*p != 'e' && *p != 'E')
		return false;
	p++;
	minus = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	start = p;
	for (; p < end && is_digit(*p); p++)
		if (e < EXPONENT_CAP)
			e = e * 10 + (*p - '0');
	t->exp += minus ? -e : e;
	return p == end && p > start;
}

/* w * 10^q where the answer is beyond doubt and a normal number. */
static bool multiply(uint64_t w, int q, double *out)
{
	const uint64_t *g = pow10_table[q - POW10_MIN];
	int zeros = __builtin_clzll(w), top, e;
	uint64_t m, low, bits;
	u128 product, rest, half;
	bool up;

	w <<= zeros;
	product = (u128)w * g[1];
	low = (uint64_t)product;
	product = (u128)w * g[0] + (uint64_t)(product >> 64);
	top = product >> 127 ? 127 : 126;
	m = (uint64_t)(product >> (top - 52));
	half = (u128)1 << (top - 53);
	rest = product & (2 * half - 1);
	if (pow10_exact(q)) {
		up = rest > half || (rest == half && (low || (m & 1)));
	} else {
		/* The true value lies above the product by less than one. */
		if (rest == half - 1)
			return false;
		up = rest >= half;
	}
	e = top - 52 + log2_pow10(q) - 63 - zeros;
	m += up;
	if (m >> 53) {
		m >>= 1;
		e++;
	}
	if (e + 52 < -1022 || e + 52 > 1023)
		return false;
	bits = (uint64_t)(e + 52 + 1023) << 52 | (m & ((UINT64_C(1) << 52) - 1));
	memcpy(out, &bits, sizeof(bits));
	return true;
}

/* strtod over the digits that can matter, with the exponent recomputed. */
static double slow_parse(const struct number_text *t)
{
	char text[DIGITS_MAX + 64];
	size_t n = 0;
	int64_t exp = t->exp;
	locale_t c_locale;
	unsigned kept = 0;
	bool more = false;
	double x;

	/* t->exp belongs to the first 19 digits; each further one moves the point. */
	text[n++] = '0';
	text[n++] = '.';
	for (size_t i = 0; i < t->len; i++) {
		char c = t->digits[i];

		if (c == '.' || (kept == 0 && c == '0'))
			continue;
		if (kept < DIGITS_MAX)
			text[n++] = c;
		else
			more |= c != '0';
		kept++;
	}
	if (more)
		text[n++] = '1';
	/* 0.DIGITS * 10^x: w * 10^exp has min(kept, 19) digits before its point. */
	exp += OG_MIN(kept, 19u);
	exp = OG_MAX(OG_MIN(exp, 100000), -100000);
	snprintf(text + n, sizeof(text) - n, "e%lld", (long long)exp);
	/* glibc hands out a constant for the C locale: neither file nor memory is needed. */
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	x = strtod_l(text, NULL, c_locale);
	freelocale(c_locale);
	return x;
}

static double magnitude(const struct number_text *t)
{
	static const double small[] = { 1e0,  1e1,  1e2,  1e3,	1e4,  1e5,  1e6,  1e7,	1e8,  1e9,  1e10, 1e11,
					1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
	double a, b;

	if (t->w == 0)
		return 0;
	/* Both factors are exact, so the one rounding is the right one. */
	if (!t->cut && t->w <= UINT64_C(1) << 53 && t->exp >= -22 && t->exp <= 22)
		return t->exp < 0 ? (double)t->w / small[-t->exp] : (double)t->w * small[t->exp];
	if (t->exp >= POW10_MIN && t->exp <= 308 && multiply(t->w, (int)t->exp, &a)) {
		if (!t->cut)
			return a;
		if (multiply(t->w + 1, (int)t->exp, &b) && a == b)
			return a;
	}
	return slow_parse(t);
}

bool og_parse_double(struct og_slice s, double *out)
{
	struct number_text t;
	double x;

	if (!scan_number(s, &t))
		return false;
	x = magnitude(&t);
	if (isinf(x))
		return false;
	*out = t.negative ? -x : x;
	return true;
}
