/* Percent encoding. */
#include "config.h"

#include "aws/encode.h"

#include <stdlib.h>

static const char hex[] = "0123456789ABCDEF";

static bool unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

static void encode(struct og_buf *b, struct og_slice s, bool slash)
{
	size_t n;

	for (size_t i = 0; i < s.len; i += n) {
		unsigned char c = (unsigned char)s.p[i];
		char x[3] = { '%', hex[c >> 4], hex[c & 15] };

		for (n = 0; i + n < s.len && (unreserved(s.p[i + n]) || (slash && s.p[i + n] == '/')); n++)
			;
		og_buf_append(b, n ? s.p + i : x, n ? n : 3);
		n = OG_MAX(n, (size_t)1);
	}
}

void og_aws_encode_path(struct og_buf *b, struct og_slice s)
{
	encode(b, s, true);
}

void og_aws_encode(struct og_buf *b, struct og_slice s)
{
	encode(b, s, false);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

size_t og_aws_decode(char *s, size_t len)
{
	size_t to = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '%' && len - i > 2 && digit(s[i + 1]) >= 0 && digit(s[i + 2]) >= 0) {
			s[to++] = (char)(digit(s[i + 1]) << 4 | digit(s[i + 2]));
			i += 2;
		} else {
			s[to++] = s[i] == '+' ? ' ' : s[i];
		}
	}
	return to;
}

/* Order of the encoded text: of two bytes that differ, an encoded one begins with '%', which is below all unreserved ones. */
static int compare_encoded(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	if (!*a || !*b || unreserved(*a) == unreserved(*b))
		return (unsigned char)*a - (unsigned char)*b;
	return unreserved(*a) ? 1 : -1;
}

static int compare_params(const void *x, const void *y)
{
	const struct og_aws_param *a = x, *b = y;
	int c = compare_encoded(a->name, b->name);

	return c ? c : compare_encoded(a->value ? a->value : "", b->value ? b->value : "");
}

void og_aws_form(struct og_buf *b, const struct og_aws_param *params, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			og_buf_byte(b, '&');
		og_aws_encode(b, og_slice_str(params[i].name));
		og_buf_byte(b, '=');
		og_aws_encode(b, og_slice_str(params[i].value));
	}
}

void og_aws_query(struct og_buf *b, struct og_aws_param *params, size_t n)
{
	qsort(params, n, sizeof(*params), compare_params);
	og_aws_form(b, params, n);
}
