/* The growing byte buffer. */
#include "config.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void og_buf_fini(struct og_buf *b)
{
	free(b->data);
	*b = (struct og_buf){ 0 };
}

void og_buf_clear(struct og_buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

char *og_buf_reserve(struct og_buf *b, size_t n)
{
	size_t want, cap;
	char *p;

	if (b->failed)
		return NULL;
	/* one more for the NUL */
	if (b->cap - b->len > n)
		return b->data + b->len;
	if (n > SIZE_MAX / 4 - b->len) {
		b->failed = true;
		return NULL;
	}
	want = b->len + n + 1;
	cap = b->cap + b->cap / 2;
	cap = OG_MAX(cap, want);
	cap = OG_MAX(cap, (size_t)64);
	p = realloc(b->data, cap);
	if (!p) {
		b->failed = true;
		return NULL;
	}
	b->data = p;
	b->cap = cap;
	b->data[b->len] = '\0';
	return b->data + b->len;
}

void og_buf_append(struct og_buf *b, const void *p, size_t n)
{
	char *to = og_buf_reserve(b, n);

	if (!to)
		return;
	if (n)
		memcpy(to, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void og_buf_slice(struct og_buf *b, struct og_slice s)
{
	og_buf_append(b, s.p, s.len);
}

void og_buf_str(struct og_buf *b, const char *s)
{
	og_buf_append(b, s, strlen(s));
}

void og_buf_byte(struct og_buf *b, uint8_t c)
{
	char *to = og_buf_reserve(b, 1);

	if (!to)
		return;
	to[0] = (char)c;
	to[1] = '\0';
	b->len++;
}

void og_buf_printf(struct og_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	size_t room;
	char *to;
	int n;

	to = og_buf_reserve(b, 63);
	if (!to)
		return;
	room = b->cap - b->len;
	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(to, room, fmt, ap);
	va_end(ap);
	if (n < 0) {
		to[0] = '\0';
		b->failed = true;
	} else if ((size_t)n < room) {
		b->len += (size_t)n;
	} else {
		to[0] = '\0';
		to = og_buf_reserve(b, (size_t)n);
		if (to) {
			(void)vsnprintf(to, (size_t)n + 1, fmt, again);
			b->len += (size_t)n;
		}
	}
	va_end(again);
}

void og_buf_u64(struct og_buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	og_buf_append(b, digits + at, sizeof(digits) - at);
}

void og_buf_i64(struct og_buf *b, int64_t v)
{
	if (v < 0) {
		og_buf_byte(b, '-');
		og_buf_u64(b, 0 - (uint64_t)v);
	} else {
		og_buf_u64(b, (uint64_t)v);
	}
}

void og_buf_consume(struct og_buf *b, size_t n)
{
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
	b->data[b->len] = '\0';
}

int og_buf_ok(const struct og_buf *b, struct og_error *err)
{
	return b->failed ? og_error_nomem(err) : 0;
}

char *og_buf_take(struct og_buf *b)
{
	char *p = b->data;

	*b = (struct og_buf){ 0 };
	return p;
}
