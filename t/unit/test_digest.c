/* Digests of both kinds. */
#include "config.h"

#include "t/unit/suite.h"

#include <string.h>

#include "base/digest.h"

/* By xxHash's own command, xxhsum -H2, of bytes that rise by 7 from their number: every way in which it goes through a length. */
static const struct {
	size_t len;
	const char *hex;
} known[] = {
	{ 0, "99aa06d3014798d86001c324468d497f" },    { 1, "51025a4491835505e12ef9d2eb86ceeb" },
	{ 3, "ce31763cbf8245a5a9088dda485b481c" },    { 8, "f69a63d1bfe6b421ed2e15d607e65102" },
	{ 16, "e8920f24c46d190e93e2125b8d5e83bd" },   { 17, "87a3d4506bedd5649f166f98e8c7d6d8" },
	{ 128, "6366d7603fd45b4ae5ba6e4129933089" },  { 129, "29ff8922f1223360efe75d0059e9e2d3" },
	{ 240, "162f94b689da4e16fd17fecfdb5c1b45" },  { 241, "83e91254d35bcf72bd7d29b6ba966d6a" },
	{ 1024, "8bbb9f7af37f2f52dc5acf0b043c445b" }, { 70000, "c719f442bacc91715ef2187bde48e2d5" },
};

static char bytes[70000];

static struct og_slice sample(size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 7 + len);
	return og_slice(bytes, len);
}

static struct og_digest in_pieces(enum og_digest_kind kind, struct og_slice s, size_t piece)
{
	struct og_digest_ctx c;

	og_digest_init(&c, kind);
	for (size_t at = 0; at < s.len; at += piece)
		og_digest_update(&c, og_slice(s.p + at, OG_MIN(piece, s.len - at)));
	return og_digest_final(&c);
}

START_TEST(known_answers)
{
	struct og_slice s = sample(known[_i].len);
	struct og_hash128 h = og_hash128(s);

	ck_assert_str_eq(og_hash128_format(&h).s, known[_i].hex);
	for (size_t piece = 1; piece <= s.len; piece = piece * 5 + 1) {
		struct og_digest d = in_pieces(OG_DIGEST_HASH128, s, piece), whole = og_digest_of_hash128(&h);
		struct og_sha256 sha = og_sha256(s);
		struct og_digest e = in_pieces(OG_DIGEST_SHA256, s, piece), f = og_digest_of_sha256(&sha);

		ck_assert(og_digest_eq(&d, &whole));
		ck_assert(og_digest_eq(&e, &f));
		ck_assert(!og_digest_eq(&d, &e));
	}
}
END_TEST

START_TEST(nothing_has_a_digest)
{
	struct og_hash128 h = og_hash128(og_slice(NULL, 0));
	struct og_digest d = in_pieces(OG_DIGEST_HASH128, og_slice("", 0), 1);

	ck_assert_str_eq(og_hash128_format(&h).s, known[0].hex);
	ck_assert_str_eq(og_digest_format(&d).s, known[0].hex);
}
END_TEST

START_TEST(text_there_and_back)
{
	struct og_hash128 h = { 0x0123456789abcdef, 0x00000000000000f0 }, back;
	struct og_sha256 sha = og_sha256(OG_SLICE("x"));
	struct og_digest d = og_digest_of_hash128(&h), e = og_digest_of_sha256(&sha), got;

	ck_assert_str_eq(og_hash128_format(&h).s, "0123456789abcdef00000000000000f0");
	ck_assert(og_hash128_parse(OG_SLICE("0123456789abcdef00000000000000f0"), &back));
	ck_assert(og_hash128_eq(&h, &back));
	ck_assert(og_digest_parse(og_slice_str(og_digest_format(&d).s), &got) && og_digest_eq(&d, &got));
	ck_assert(og_digest_parse(og_slice_str(og_digest_format(&e).s), &got) && og_digest_eq(&e, &got));
	ck_assert_uint_eq(og_digest_bits(&d), 0x0123);
	ck_assert_uint_eq(og_digest_bits(&e), sha.b[0] << 8 | sha.b[1]);
}
END_TEST

START_TEST(other_text_is_refused)
{
	static const char *const bad[] = {
		"", "0", "0123456789abcdef00000000000000f", "0123456789abcdef00000000000000f00", "0123456789ABCDEF00000000000000f0",
		"0123456789abcdeg00000000000000f0", "0x23456789abcdef00000000000000f0", " 123456789abcdef00000000000000f0",
		"0123456789abcdef00000000000000f/", "0123456789abcdef:0000000000000f0", "0123456789abcdef`0000000000000f0",
	};
	char text[100];
	struct og_hash128 h;
	struct og_digest d;

	for (size_t i = 0; i < OG_COUNT(bad); i++) {
		ck_assert_msg(!og_hash128_parse(og_slice_str(bad[i]), &h), "%s", bad[i]);
		ck_assert_msg(!og_digest_parse(og_slice_str(bad[i]), &d), "%s", bad[i]);
	}
	memset(text, 'a', sizeof(text));
	for (size_t len = 0; len <= sizeof(text); len++)
		ck_assert_int_eq(og_digest_parse(og_slice(text, len), &d), len == 32 || len == 64);
	/* Behind a NUL there is nothing. */
	memcpy(text, "0123456789abcdef\0" "0000000000000f0", 32);
	ck_assert(!og_hash128_parse(og_slice(text, 32), &h));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, known_answers, 0, OG_COUNT(known));
	tcase_add_test(tc, nothing_has_a_digest);
	tcase_add_test(tc, text_there_and_back);
	tcase_add_test(tc, other_text_is_refused);
}

int main(void)
{
	return suite_run("digest", add, 20);
}
