/* Request heads, chunks and URL decoding: what is read, what is refused, at every cut. */
#include "config.h"

#include "http/parse.h"

#include "t/check.h"
#include <stdlib.h>

#include "base/buf.h"
#include "http/url.h"

/* In a heap copy of exactly that size, whole and byte by byte: both must agree. */
static long parse(const char *text, size_t len, struct og_http_head *out)
{
	char *copy = malloc(len ? len : 1);
	struct og_http_head h = { 0 }, bytes = { 0 };
	long whole, piecewise = OG_HTTP_MORE;

	memcpy(copy, text, len);
	whole = og_http_head_parse(&h, copy, len);
	for (size_t i = 1; i <= len && piecewise == OG_HTTP_MORE; i++) {
		char *cut = malloc(i);

		memcpy(cut, text, i);
		piecewise = og_http_head_parse(&bytes, cut, i);
		free(cut);
	}
	ck_assert_int_eq(whole, piecewise);
	if (whole > 0) {
		ck_assert_uint_eq(h.path_at, bytes.path_at);
		ck_assert_uint_eq(h.path_len, bytes.path_len);
		ck_assert_uint_eq(h.query_len, bytes.query_len);
		ck_assert_uint_eq(h.fields_len, bytes.fields_len);
		ck_assert_uint_eq(h.length, bytes.length);
		ck_assert_int_eq(h.chunked, bytes.chunked);
		ck_assert_int_eq(h.keep_alive, bytes.keep_alive);
	}
	free(copy);
	if (out)
		*out = h;
	return whole;
}

static const struct {
	const char *text;
	int status; /* 0: accepted */
} heads[] = {
	{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\n\n", 0 },
	{ "GET / HTTP/1.1\nHost: a\n\r\n", 0 },
	{ "\r\n\r\nGET / HTTP/1.1\r\n\r\n", 0 },
	{ "\nGET / HTTP/1.0\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\nHost:\r\nHost: b\r\n\r\n", 0 },
	{ "FROB-x! /a?b HTTP/1.1\r\n\r\n", 0 },
	{ "GET http://host/x?y HTTP/1.1\r\n\r\n", 0 },
	{ "OPTIONS * HTTP/1.1\r\n\r\n", 0 },
	{ "GET /\xc3\xa9 HTTP/1.1\r\nX: \xff\t\r\n\r\n", 0 },
	{ "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 0 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: \t ChunKed \r\n\r\n", 0 },
	{ "POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n", 0 },
	{ "GET / HTTP/1.2\r\n\r\n", 400 },
	{ "GET / HTTP/2.0\r\n\r\n", 400 },
	{ "GET / HTTP/1.11\r\n\r\n", 400 },
	{ "GET / http/1.1\r\n\r\n", 400 },
	{ "GET /\r\n\r\n", 400 },
	{ "GET\r\n", 400 },
	{ "GET  / HTTP/1.1\r\n\r\n", 400 },
	{ "GET /  HTTP/1.1\r\n\r\n", 400 },
	{ " GET / HTTP/1.1\r\n\r\n", 400 },
	{ "G\tT / HTTP/1.1\r\n\r\n", 400 },
	{ "GET /\x01 HTTP/1.1\r\n\r\n", 400 },
	{ "GET /\x7f HTTP/1.1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1 \r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\r\n\r\n", 400 },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400 },
	{ "\x16\x03\x01\x02\n", 400 },
	{ "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n A: b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nA : b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\n: b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nnocolon\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nA\xc3: b\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", 400 },
	{ "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
};

START_TEST(heads_are_accepted_or_refused)
{
	size_t len = strlen(heads[_i].text);
	long rc = parse(heads[_i].text, len, NULL);

	ck_assert_msg(heads[_i].status ? rc == -heads[_i].status : rc == (long)len, "%s: %ld", heads[_i].text, rc);
}
END_TEST

START_TEST(a_nul_is_refused)
{
	ck_assert_int_eq(parse("GET /\0 HTTP/1.1\r\n\r\n", 19, NULL), -400);
	ck_assert_int_eq(parse("GET / HTTP/1.1\r\nA: \0\r\n\r\n", 24, NULL), -400);
}
END_TEST

static const struct {
	const char *target, *path, *query;
} targets[] = {
	{ "/a/b", "/a/b", NULL },
	{ "/a?", "/a", "" },
	{ "/a?x=1&y?z", "/a", "x=1&y?z" },
	{ "/a#f?x", "/a", NULL },
	{ "/a?x#f", "/a", "x" },
	{ "http://h:80/p?q", "/p", "q" },
	{ "HTTPS://h/p", "/p", NULL },
	{ "http://h", "", NULL },
	{ "http://h?q", "", "q" },
	{ "http://", "", NULL },
	{ "*", "*", NULL },
	{ "h:80", "h:80", NULL },
	{ "//a//b", "//a//b", NULL },
	{ "/%2F?%", "/%2F", "%" },
};

START_TEST(targets_are_split)
{
	struct og_http_head h;
	char text[128];
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n\r\n", targets[_i].target);

	ck_assert_int_eq(parse(text, (size_t)n, &h), n);
	ck_assert(og_slice_is(og_slice(text + h.path_at, h.path_len), targets[_i].path));
	ck_assert_int_eq(h.has_query, targets[_i].query != NULL);
	if (targets[_i].query)
		ck_assert(og_slice_is(og_slice(text + h.query_at, h.query_len), targets[_i].query));
}
END_TEST

static const struct {
	const char *version, *fields;
	bool keep, expect;
} lives[] = {
	{ "1.1", "", true, false },
	{ "1.1", "Connection: close\r\n", false, false },
	{ "1.1", "Connection: foo, CLOSE\r\n", false, false },
	{ "1.1", "Connection: keep-alive\r\nConnection: close\r\n", false, false },
	{ "1.1", "Connection: closed\r\n", true, false },
	{ "1.0", "", false, false },
	{ "1.0", "Connection: Keep-Alive\r\n", true, false },
	{ "1.0", "Connection: keep-alive, close\r\n", false, false },
	{ "1.1", "Expect: 100-Continue\r\n", true, true },
	{ "1.1", "Expect: something\r\n", true, false },
	{ "1.0", "Expect: 100-continue\r\n", false, false },
};

START_TEST(connections_live_as_asked)
{
	struct og_http_head h;
	char text[256];
	int n = snprintf(text, sizeof(text), "GET / HTTP/%s\r\n%s\r\n", lives[_i].version, lives[_i].fields);

	ck_assert_int_eq(parse(text, (size_t)n, &h), n);
	ck_assert_int_eq(h.keep_alive, lives[_i].keep);
	ck_assert_int_eq(h.expect_continue, lives[_i].expect);
}
END_TEST

static long parse_long(const char *before, char fill, size_t n, const char *after)
{
	size_t a = strlen(before), b = strlen(after), len = a + n + b;
	struct og_http_head h = { 0 };
	char *text = malloc(len);
	long rc;

	memcpy(text, before, a);
	memset(text + a, fill, n);
	memcpy(text + a + n, after, b);
	rc = og_http_head_parse(&h, text, len);
	free(text);
	return rc;
}

START_TEST(sizes_have_limits)
{
	const char *end = " HTTP/1.1\r\n\r\n";

	ck_assert_int_gt(parse_long("GET /", 'a', OG_HTTP_TARGET_MAX - 1, end), 0);
	ck_assert_int_eq(parse_long("GET /", 'a', OG_HTTP_TARGET_MAX, end), -414);
	ck_assert_int_eq(parse_long("GET /", 'a', 1 << 20, end), -414);
	ck_assert_int_eq(parse_long("GET /", 'a', 100000, ""), -414);
	ck_assert_int_eq(parse_long("GET /", 'a', 65000, ""), OG_HTTP_MORE);
	ck_assert_int_eq(parse_long("", 'G', 100000, ""), -400);
	/* "A: " and two line ends are part of the block */
	ck_assert_int_gt(parse_long("GET / HTTP/1.1\r\nA: ", 'a', OG_HTTP_HEAD_MAX - 7, "\r\n\r\n"), 0);
	ck_assert_int_eq(parse_long("GET / HTTP/1.1\r\nA: ", 'a', OG_HTTP_HEAD_MAX - 6, "\r\n\r\n"), -431);
	ck_assert_int_eq(parse_long("GET / HTTP/1.1\r\nA: ", 'a', OG_HTTP_HEAD_MAX, ""), -431);
}
END_TEST

START_TEST(header_lines_are_counted)
{
	struct og_buf b = { 0 };
	struct og_http_head h = { 0 };

	og_buf_str(&b, "GET / HTTP/1.1\r\n");
	for (unsigned i = 0; i < OG_HTTP_FIELDS_MAX; i++)
		og_buf_str(&b, "A: b\r\n");
	og_buf_str(&b, "\r\n");
	ck_assert_int_eq(og_http_head_parse(&h, b.data, b.len), (long)b.len);
	b.len -= 2;
	og_buf_str(&b, "A: b\r\n\r\n");
	h = (struct og_http_head){ 0 };
	ck_assert_int_eq(og_http_head_parse(&h, b.data, b.len), -431);
	og_buf_fini(&b);
}
END_TEST

static const struct {
	const char *in, *out; /* NULL: broken */
	size_t rest;	      /* bytes left for the next request */
} chunks[] = {
	{ "0\r\n\r\n", "", 0 },
	{ "3\r\nabc\r\n0\r\n\r\n", "abc", 0 },
	{ "3\r\nabc\r\n00002\r\nde\r\n0\r\n\r\nGET", "abcde", 3 },
	{ "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0 },
	{ "a;x=y;\"z\"\r\n0123456789\r\n0;q\r\n\r\n", "0123456789", 0 },
	{ "1 \r\na\r\n0\r\nT: x\r\nU: y\r\n\r\n", "a", 0 },
	{ "\r\n", NULL, 0 },
	{ "x\r\n", NULL, 0 },
	{ ";a\r\n", NULL, 0 },
	{ "-1\r\n", NULL, 0 },
	{ "3\nabc\r\n", NULL, 0 },
	{ "3\r\nabcd\r\n", NULL, 0 },
	{ "3\r\nabc\n", NULL, 0 },
	{ "3\r\rabc", NULL, 0 },
	{ "3;a\nabc", NULL, 0 },
	{ "1000000000000000\r\n", NULL, 0 },
	{ "0000000000000001\r\n", NULL, 0 },
	{ "0\r\n\n", NULL, 0 },
	{ "0\r\n x\r\n\r\n", NULL, 0 },
	{ "0\r\nA\nB\r\n\r\n", NULL, 0 },
};

/* In pieces of `step` bytes. */
static void decode(const char *in, size_t step, const char *want, size_t rest)
{
	struct og_http_chunks c = { 0 };
	enum og_http_chunk what = OG_HTTP_CHUNK_MORE;
	struct og_slice data;
	struct og_buf out = { 0 };
	size_t len = strlen(in), used = 0;

	while (used < len && what == OG_HTTP_CHUNK_MORE) {
		struct og_slice piece = og_slice(in + used, OG_MIN(step, len - used));
		size_t pos = 0;

		while ((what = og_http_chunks_next(&c, piece, &pos, &data)) == OG_HTTP_CHUNK_DATA)
			og_buf_slice(&out, data);
		used += pos;
	}
	if (want) {
		ck_assert_int_eq(what, OG_HTTP_CHUNK_END);
		ck_assert(og_slice_is(og_buf_view(&out), want));
		ck_assert_uint_eq(len - used, rest);
	} else {
		ck_assert_msg(what == OG_HTTP_CHUNK_BROKEN, "%s", in);
	}
	og_buf_fini(&out);
}

START_TEST(chunks_are_read_or_broken)
{
	for (size_t step = 1; step < 9; step++)
		decode(chunks[_i].in, step, chunks[_i].out, chunks[_i].rest);
	decode(chunks[_i].in, 1000, chunks[_i].out, chunks[_i].rest);
}
END_TEST

START_TEST(chunk_extensions_have_a_limit)
{
	struct og_http_chunks c = { 0 };
	struct og_slice data;
	char text[1001];
	enum og_http_chunk what = OG_HTTP_CHUNK_MORE;
	unsigned n = 0;

	memset(text, 'x', sizeof(text));
	text[0] = '1';
	text[1] = ';';
	for (; what == OG_HTTP_CHUNK_MORE && n < 100; n++) {
		size_t pos = n ? 2 : 0;

		what = og_http_chunks_next(&c, og_slice(text, sizeof(text)), &pos, &data);
	}
	ck_assert_int_eq(what, OG_HTTP_CHUNK_BROKEN);
	ck_assert_uint_lt(n, 20);
}
END_TEST

START_TEST(fields_are_found)
{
	struct og_slice f = OG_SLICE("Host: a\r\nAUTHORIZATION:  Bearer x \r\nX:\nx: 2\r\nXX: 3\r\n"), v;
	size_t pos = 0;

	ck_assert(og_http_field_next(f, "authorization", &pos, &v));
	ck_assert(og_slice_is(v, "Bearer x"));
	pos = 0;
	ck_assert(og_http_field_next(f, "X", &pos, &v));
	ck_assert_uint_eq(v.len, 0);
	ck_assert(og_http_field_next(f, "X", &pos, &v));
	ck_assert(og_slice_is(v, "2"));
	ck_assert(!og_http_field_next(f, "X", &pos, &v));
	pos = 0;
	ck_assert(!og_http_field_next(f, "hos", &pos, &v));
}
END_TEST

static const struct {
	const char *raw, *path, *form;
} urls[] = {
	{ "a%20b", "a b", "a b" },	  { "wip%2Fgraft", "wip/graft", "wip/graft" },
	{ "a+b", "a+b", "a b" },	  { "%", "%", "%" },
	{ "%4", "%4", "%4" },		  { "%zz%41", "%zzA", "%zzA" },
	{ "%%41", "%A", "%A" },		  { "%c3%A9", "\xc3\xa9", "\xc3\xa9" },
	{ "%ff", NULL, "\xef\xbf\xbd" },  { "\xc3", NULL, "\xef\xbf\xbd" },
	{ "a%FFb", NULL, "a\xef\xbf\xbd" "b" }, { "", "", "" },
};

START_TEST(urls_are_decoded)
{
	struct og_arena a;
	struct og_slice raw = og_slice_str(urls[_i].raw), s;

	og_arena_init(&a, 0);
	if (urls[_i].path) {
		ck_assert_int_eq(og_url_decode_segment(&a, raw, &s), 0);
		ck_assert(og_slice_is(s, urls[_i].path));
	} else {
		ck_assert_int_eq(og_url_decode_segment(&a, raw, &s), OG_ERR_BAD);
	}
	s = og_url_form_decode(&a, raw);
	ck_assert(og_slice_is(s, urls[_i].form));
	og_arena_fini(&a);
}
END_TEST

START_TEST(query_strings_are_walked)
{
	struct og_arena a;
	struct og_slice v = { 0 };

	og_arena_init(&a, 0);
	ck_assert_uint_eq(og_url_query_get(&a, OG_SLICE("x=1&&br%61nch=a+b&=z&branch"), "branch", &v), 2);
	ck_assert(og_slice_is(v, "a b"));
	ck_assert_uint_eq(og_url_query_get(&a, OG_SLICE("branch"), "branch", &v), 1);
	ck_assert_uint_eq(v.len, 0);
	ck_assert_ptr_nonnull(v.p);
	ck_assert_uint_eq(og_url_query_get(&a, OG_SLICE("branch=a=b;branch=c"), "branch", &v), 1);
	ck_assert(og_slice_is(v, "a=b;branch=c"));
	ck_assert_uint_eq(og_url_query_get(&a, og_slice(NULL, 0), "branch", &v), 0);
	og_arena_fini(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_parse");
	TCase *tc = tcase_create("parse");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(tc, heads_are_accepted_or_refused, 0, OG_COUNT(heads));
	tcase_add_test(tc, a_nul_is_refused);
	tcase_add_loop_test(tc, targets_are_split, 0, OG_COUNT(targets));
	tcase_add_loop_test(tc, connections_live_as_asked, 0, OG_COUNT(lives));
	tcase_add_test(tc, sizes_have_limits);
	tcase_add_test(tc, header_lines_are_counted);
	tcase_add_loop_test(tc, chunks_are_read_or_broken, 0, OG_COUNT(chunks));
	tcase_add_test(tc, chunk_extensions_have_a_limit);
	tcase_add_test(tc, fields_are_found);
	tcase_add_loop_test(tc, urls_are_decoded, 0, OG_COUNT(urls));
	tcase_add_test(tc, query_strings_are_walked);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
