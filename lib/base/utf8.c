/* UTF-8. */
#include "config.h"

#include "base/utf8.h"
#include "base/codec.h"

/*
 * Length of the well-formed sequence at p (1..4), 0 if there is none. Table 3-7 of the Unicode
 * standard: the second byte's range depends on the first one.
 */
static size_t sequence(const unsigned char *p, size_t left)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n > left)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t og_utf8_check(struct og_slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0, n;

	while (i < s.len) {
		/* Most text is ASCII: eight bytes at a time. */
		while (s.len - i >= 8 && !(og_le64(p + i) & UINT64_C(0x8080808080808080)))
			i += 8;
		while (i < s.len && p[i] < 0x80)
			i++;
		while (i < s.len && p[i] >= 0x80) {
			n = sequence(p + i, s.len - i);
			if (n == 0)
				return i;
			i += n;
		}
	}
	return s.len;
}

size_t og_utf8_count(struct og_slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

uint32_t og_utf8_next(struct og_slice s, size_t *pos)
{
	const unsigned char *p = (const unsigned char *)s.p + *pos;

	switch (sequence(p, s.len - *pos)) {
	case 1:
		*pos += 1;
		return p[0];
	case 2:
		*pos += 2;
		return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
	case 3:
		*pos += 3;
		return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
	case 4:
		*pos += 4;
		return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
		       (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
	}
	*pos += 1;
	return 0xfffd;
}

size_t og_utf8_put(char out[4], uint32_t cp)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

void og_text_position(struct og_slice src, size_t offset, bool column_in_bytes, uint64_t *line, uint64_t *column)
{
	const char *p = src.p, *end = src.p, *lf;
	struct og_slice rest;

	*line = 1;
	*column = 1;
	offset = OG_MIN(offset, src.len);
	if (!p || offset == 0)
		return;
	end += offset;
	while ((lf = memchr(p, '\n', (size_t)(end - p)))) {
		++*line;
		p = lf + 1;
	}
	rest = og_slice(p, (size_t)(end - p));
	*column = 1 + (column_in_bytes ? rest.len : og_utf8_count(rest));
}
