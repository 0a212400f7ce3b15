/* Buffers, arenas and the field codec. */
#include "config.h"

#include "suite.h"
#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/codec.h"

START_TEST(appends_pile_up)
{
	struct og_buf b = { 0 };
	struct og_error err = { 0 };
	char *p;

	og_buf_str(&b, "");
	ck_assert_str_eq(b.data, "");
	og_buf_str(&b, "ab");
	og_buf_byte(&b, 'c');
	og_buf_slice(&b, og_slice(NULL, 0));
	og_buf_i64(&b, INT64_MIN);
	og_buf_byte(&b, ' ');
	og_buf_i64(&b, 0);
	og_buf_byte(&b, ' ');
	og_buf_u64(&b, UINT64_MAX);
	og_buf_printf(&b, "<%d>", 5);
	ck_assert_str_eq(b.data, "abc-9223372036854775808 0 18446744073709551615<5>");
	og_buf_consume(&b, 3);
	og_buf_consume(&b, 0);
	ck_assert_int_eq(b.data[0], '-');
	ck_assert_uint_eq(strlen(b.data), b.len);
	og_buf_consume(&b, b.len);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_int_eq(og_buf_ok(&b, &err), 0);
	og_buf_str(&b, "own");
	p = og_buf_take(&b);
	ck_assert_str_eq(p, "own");
	ck_assert_ptr_null(b.data);
	free(p);
	og_buf_fini(&b);
	og_buf_fini(&b);
}
END_TEST

/* Formatted texts around the size of the first reservation. */
START_TEST(printf_grows)
{
	for (int n = 0; n < 300; n++) {
		struct og_buf b = { 0 };

		og_buf_byte(&b, '>');
		og_buf_printf(&b, "%*s", n, "");
		ck_assert_uint_eq(b.len, (size_t)n + 1);
		ck_assert_uint_eq(strlen(b.data), b.len);
		og_buf_fini(&b);
	}
}
END_TEST

START_TEST(a_failure_sticks)
{
	struct og_buf b = { 0 };
	struct og_error err = { 0 };

	og_buf_str(&b, "kept");
	ck_assert_ptr_null(og_buf_reserve(&b, SIZE_MAX));
	ck_assert_ptr_null(og_buf_reserve(&b, SIZE_MAX / 2));
	og_buf_str(&b, "lost");
	og_buf_byte(&b, 'x');
	og_buf_printf(&b, "%d", 1);
	ck_assert_str_eq(b.data, "kept");
	ck_assert_int_eq(og_buf_ok(&b, &err), OG_ERR_NOMEM);
	og_buf_clear(&b);
	ck_assert_int_eq(og_buf_ok(&b, &err), 0);
	og_buf_fini(&b);
}
END_TEST

START_TEST(arena_memory_is_aligned_and_apart)
{
	struct og_arena a;
	char *p[400];

	og_arena_init(&a, 0);
	for (size_t i = 0; i < 400; i++) {
		p[i] = og_arena_alloc(&a, i * 7);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_uint_eq((uintptr_t)p[i] % 16, 0);
		memset(p[i], (int)i, i * 7);
	}
	for (size_t i = 0; i < 400; i++)
		for (size_t k = 0; k < i * 7; k++)
			ck_assert_int_eq((unsigned char)p[i][k], (int)(i & 255));
	ck_assert_ptr_ne(og_arena_alloc(&a, 0), og_arena_alloc(&a, 0));
	og_arena_fini(&a);
	og_arena_fini(&a);
}
END_TEST

START_TEST(arena_keeps_to_its_limit)
{
	struct og_arena a;
	struct og_error err = { 0 };
	size_t got = 0;

	og_arena_init(&a, 100000);
	while (og_arena_alloc(&a, 1000))
		got += 1000;
	ck_assert_uint_gt(got, 80000);
	ck_assert_uint_le(a.total, 100000);
	ck_assert(a.over_limit);
	ck_assert_int_eq(og_arena_error(&a, &err), OG_ERR_TOO_LARGE);
	og_arena_reset(&a);
	ck_assert(!a.over_limit);
	ck_assert_ptr_nonnull(og_arena_alloc(&a, 1000));
	ck_assert_ptr_null(og_arena_alloc(&a, 200000));
	ck_assert_int_eq(og_arena_error(&a, &err), OG_ERR_TOO_LARGE);
	og_arena_fini(&a);
}
END_TEST

START_TEST(arena_checks_products)
{
	struct og_arena a;
	struct og_error err = { 0 };
	size_t cap = SIZE_MAX / 4;
	int *v;

	og_arena_init(&a, 0);
	ck_assert_ptr_null(og_arena_array(&a, SIZE_MAX / 2, 3));
	ck_assert_ptr_null(og_arena_alloc(&a, SIZE_MAX));
	ck_assert_ptr_null(og_arena_alloc(&a, SIZE_MAX - 20));
	ck_assert_ptr_null(og_arena_strndup(&a, "x", SIZE_MAX));
	ck_assert_ptr_null(og_arena_grow(&a, NULL, &cap, SIZE_MAX / 2, 16));
	ck_assert_uint_eq(cap, SIZE_MAX / 4);
	ck_assert_int_eq(og_arena_error(&a, &err), OG_ERR_NOMEM);
	v = og_arena_array(&a, 1000, sizeof(*v));
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(v[i], 0);
	ck_assert_ptr_nonnull(og_arena_array(&a, 0, 8));
	og_arena_fini(&a);
}
END_TEST

START_TEST(arena_grows_arrays)
{
	struct og_arena a;
	size_t cap = 0;
	int *v = NULL;

	og_arena_init(&a, 0);
	for (int i = 0; i < 10000; i++) {
		v = og_arena_grow(&a, v, &cap, (size_t)i + 1, sizeof(*v));
		ck_assert_ptr_nonnull(v);
		v[i] = i;
	}
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(v[i], i);
	ck_assert_ptr_eq(og_arena_grow(&a, v, &cap, 5, sizeof(*v)), v);
	og_arena_fini(&a);
}
END_TEST

START_TEST(arena_copies_texts)
{
	struct og_arena a;
	struct og_slice s;
	char long_text[2000];

	og_arena_init(&a, 0);
	s = og_arena_slice(&a, og_slice(NULL, 0));
	ck_assert_ptr_nonnull(s.p);
	ck_assert_uint_eq(s.len, 0);
	s = og_arena_slice(&a, OG_SLICE("abc"));
	ck_assert_str_eq(s.p, "abc");
	ck_assert_str_eq(og_arena_printf(&a, "%s-%d", "x", 1), "x-1");
	memset(long_text, 'q', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	ck_assert_str_eq(og_arena_printf(&a, "%s", long_text), long_text);
	og_arena_fini(&a);
}
END_TEST

static struct og_slice encoded(struct og_buf *b)
{
	og_put_u8(b, 0xfe);
	og_put_u16(b, 0xfedc);
	og_put_u32(b, 0xfedcba98);
	og_put_u64(b, UINT64_C(0xfedcba9876543210));
	og_put_str(b, "text");
	og_put_varint(b, 0);
	og_put_varint(b, 127);
	og_put_varint(b, 128);
	og_put_varint(b, UINT64_MAX);
	og_put_u32(b, 2);
	og_buf_append(b, "aabb", 4);
	return og_buf_view(b);
}

static void read_all(struct og_reader *r)
{
	(void)og_read_u8(r);
	(void)og_read_u16(r);
	(void)og_read_u32(r);
	(void)og_read_u64(r);
	(void)og_read_bytes(r);
	for (int i = 0; i < 4; i++)
		(void)og_read_varint(r);
	for (uint32_t n = og_read_count(r, 2); n; n--)
		(void)og_read_raw(r, 2);
}

START_TEST(reads_what_was_put)
{
	struct og_buf b = { 0 };
	struct og_reader r = og_reader_init(encoded(&b));
	struct og_error err = { 0 };

	ck_assert_uint_eq(og_read_u8(&r), 0xfe);
	ck_assert_uint_eq(og_read_u16(&r), 0xfedc);
	ck_assert_uint_eq(og_read_u32(&r), 0xfedcba98);
	ck_assert_uint_eq(og_read_u64(&r), UINT64_C(0xfedcba9876543210));
	ck_assert(og_slice_is(og_read_bytes(&r), "text"));
	ck_assert_uint_eq(og_read_varint(&r), 0);
	ck_assert_uint_eq(og_read_varint(&r), 127);
	ck_assert_uint_eq(og_read_varint(&r), 128);
	ck_assert_uint_eq(og_read_varint(&r), UINT64_MAX);
	ck_assert_int_eq(og_reader_end(&r, &err), OG_ERR_CORRUPT);	/* bytes left over */
	ck_assert_int_eq(og_reader_ok(&r, &err), 0);
	ck_assert_uint_eq(og_read_count(&r, 2), 2);
	ck_assert(og_slice_is(og_read_raw(&r, 4), "aabb"));
	ck_assert_uint_eq(og_reader_left(&r), 0);
	ck_assert_int_eq(og_reader_end(&r, &err), 0);
	og_buf_fini(&b);
}
END_TEST

START_TEST(every_prefix_fails_and_stays_failed)
{
	struct og_buf b = { 0 };
	struct og_slice all = encoded(&b);

	for (size_t n = 0; n < all.len; n++) {
		struct og_slice cut = exact_copy(all, n);
		struct og_reader r = og_reader_init(cut);
		struct og_error err = { 0 };

		read_all(&r);
		ck_assert_int_eq(og_reader_end(&r, &err), OG_ERR_CORRUPT);
		ck_assert_uint_le(err.pos.byte, n);
		ck_assert_int_eq(og_reader_ok(&r, &err), OG_ERR_CORRUPT);
		ck_assert_uint_eq(og_read_u8(&r), 0);
		ck_assert_ptr_null(og_read_raw(&r, 0).p);
		ck_assert_uint_eq(og_reader_left(&r), 0);
		free_copy(cut);
	}
	og_buf_fini(&b);
}
END_TEST

START_TEST(no_announced_length_is_believed)
{
	static const char huge[] = "\xff\xff\xff\xff" "abc";
	static const char eleven[] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01";
	static const char too_big[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";
	struct og_reader r = og_reader_init(og_slice(huge, 7));

	ck_assert_uint_eq(og_read_bytes(&r).len, 0);
	ck_assert(r.failed);
	r = og_reader_init(og_slice(huge, 7));
	ck_assert_uint_eq(og_read_count(&r, 1), 0);
	ck_assert(r.failed);
	r = og_reader_init(og_slice(huge, 7));
	(void)og_read_raw(&r, SIZE_MAX);
	ck_assert(r.failed);
	r = og_reader_init(og_slice(eleven, 11));
	ck_assert_uint_eq(og_read_varint(&r), 0);
	ck_assert(r.failed);
	r = og_reader_init(og_slice(too_big, 10));
	ck_assert_uint_eq(og_read_varint(&r), 0);
	ck_assert(r.failed);
	r = og_reader_init(og_slice(NULL, 0));
	ck_assert_ptr_nonnull(og_read_raw(&r, 0).p);
	ck_assert(!r.failed);
}
END_TEST

START_TEST(sizes_are_checked)
{
	size_t v = 7;

	ck_assert(!og_size_add(SIZE_MAX, 1, &v) && v == 7);
	ck_assert(!og_size_mul(SIZE_MAX / 2, 3, &v) && v == 7);
	ck_assert(og_size_add(1, 2, &v) && v == 3);
	ck_assert(og_size_mul(4, 5, &v) && v == 20);
}
END_TEST

static const char *const base64[][2] = { { "", "" },	     { "f", "Zg==" },	  { "fo", "Zm8=" },
					 { "foo", "Zm9v" },  { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
					 { "foobar", "Zm9vYmFy" } };

START_TEST(base64_knows_the_vectors_of_the_rfc)
{
	struct og_buf b = { 0 };
	struct og_error err = { 0 };
	struct og_slice text = exact_copy(og_slice_str(base64[_i][1]), strlen(base64[_i][1]));

	og_buf_byte(&b, '>');
	og_base64_encode(&b, og_slice_str(base64[_i][0]));
	ck_assert_str_eq(b.data + 1, base64[_i][1]);
	og_buf_clear(&b);
	og_buf_byte(&b, '>');
	ck_assert_int_eq(og_base64_decode(&b, text, &err), 0);
	ck_assert_str_eq(b.data + 1, base64[_i][0]);
	og_buf_fini(&b);
	free_copy(text);
}
END_TEST

START_TEST(base64_round_trips)
{
	struct og_buf text = { 0 }, back = { 0 };
	struct og_error err = { 0 };
	unsigned char bytes[300];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 167);
	for (size_t n = 0; n < sizeof(bytes); n++) {
		og_buf_clear(&text);
		og_buf_clear(&back);
		og_base64_encode(&text, og_slice(bytes, n));
		ck_assert_int_eq(og_base64_decode(&back, og_buf_view(&text), &err), 0);
		ck_assert(og_slice_eq(og_buf_view(&back), og_slice(bytes, n)));
	}
	og_buf_fini(&text);
	og_buf_fini(&back);
}
END_TEST

static const char *const no_base64[] = { "Z",	 "Zg",	  "Zg=",      "Zm9vY", "====",	"=AAA",	 "Z===",     "Zh==", "Zm9=",
					 "Zg=\n", "Zm 9", "Zm9v\n",   "Zg==Zg==", "Zm-_", "Zm9\xff", "Zg==\n\n\n\n" };

START_TEST(base64_is_strict)
{
	struct og_buf b = { 0 };
	struct og_error err = { 0 };
	struct og_slice text = exact_copy(og_slice_str(no_base64[_i]), strlen(no_base64[_i]));

	og_buf_str(&b, "kept");
	ck_assert_int_eq(og_base64_decode(&b, text, &err), OG_ERR_BAD);
	ck_assert_uint_le(err.pos.byte, text.len);
	ck_assert_uint_eq(b.len, 4);
	ck_assert_str_eq(b.data, "kept");
	og_buf_fini(&b);
	free_copy(text);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, appends_pile_up);
	tcase_add_test(tc, printf_grows);
	tcase_add_test(tc, a_failure_sticks);
	tcase_add_test(tc, arena_memory_is_aligned_and_apart);
	tcase_add_test(tc, arena_keeps_to_its_limit);
	tcase_add_test(tc, arena_checks_products);
	tcase_add_test(tc, arena_grows_arrays);
	tcase_add_test(tc, arena_copies_texts);
	tcase_add_test(tc, reads_what_was_put);
	tcase_add_test(tc, every_prefix_fails_and_stays_failed);
	tcase_add_test(tc, no_announced_length_is_believed);
	tcase_add_test(tc, sizes_are_checked);
	tcase_add_loop_test(tc, base64_knows_the_vectors_of_the_rfc, 0, (int)OG_COUNT(base64));
	tcase_add_test(tc, base64_round_trips);
	tcase_add_loop_test(tc, base64_is_strict, 0, (int)OG_COUNT(no_base64));
}

int main(void)
{
	return suite_run("buf", add, 60);
}
