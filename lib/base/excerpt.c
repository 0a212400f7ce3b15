/* Syntax errors with an excerpt of the source. */
#include "config.h"
#include "base/excerpt.h"
#include "base/buf.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

#define WINDOW 300u		/* bytes shown on each side of the caret in a long line */

static bool continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* The part of the line around `offset` that is shown: [*from, *to). */
static void window(struct og_slice src, size_t offset, size_t *from, size_t *to)
{
	size_t begin = offset, end = offset;

	while (begin > 0 && src.p[begin - 1] != '\n')
		begin--;
	while (end < src.len && src.p[end] != '\n' && src.p[end] != '\r')
		end++;
	if (offset - begin > 2 * WINDOW) {
		begin = offset - WINDOW;
		while (begin < offset && continues(src.p[begin]))
			begin++;
	}
	if (end - offset > WINDOW) {
		end = offset + WINDOW;
		while (end > offset && continues(src.p[end]))
			end--;
	}
	*from = begin;
	*to = end;
}

int og_error_excerpt(struct og_error *err, struct og_slice src, size_t offset, const char *prefix, const char *expected)
{
	struct og_buf b = { 0 };
	uint64_t line, column;
	size_t from, to, pos;
	char number[24];
	int digits;

	og_text_position(src, offset, false, &line, &column);
	digits = snprintf(number, sizeof(number), "%" PRIu64, line);
	window(src, offset, &from, &to);
	og_buf_printf(&b, "%s%*s--> %s:%" PRIu64 "\n%*s |\n%s | ", prefix, digits, "", number, column, digits, "", number);
	og_buf_slice(&b, og_slice(src.p + from, to - from));
	og_buf_printf(&b, "\n%*s | ", digits, "");
	for (pos = from; pos < offset;)
		og_buf_byte(&b, og_utf8_next(src, &pos) == '\t' ? '\t' : ' ');
	og_buf_printf(&b, "^---\n%*s |\n%*s = expected %s", digits, "", digits, "", expected);
	if (b.failed) {
		og_buf_fini(&b);
		return og_error_nomem(err);
	}
	og_error_set(err, OG_ERR_BAD, "%s", b.data);
	if (err)
		err->pos = (struct og_pos){ line, column, offset };
	og_buf_fini(&b);
	return OG_ERR_BAD;
}
