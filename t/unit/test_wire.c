/* Bodies of the messages about graphs: what is encoded comes back; cut or changed anywhere, it is refused or means what it says. */
#include "config.h"

#include "suite.h"
#include "wire_samples.h"

/* Recodes an exact copy; the code. `out` is what was understood, encoded. */
static int recode(const struct wire_kind *k, struct og_slice bytes, size_t n, struct og_buf *out, struct og_error *err)
{
	struct og_slice copy = exact_copy(bytes, n);
	struct og_arena a;
	int rc;

	og_arena_init(&a, 4 * OG_MIB);
	rc = k->recode(copy, &a, out, err);
	ck_assert_msg(!a.over_limit, "%s: %zu bytes ask for 4 MiB", k->name, n);
	og_arena_fini(&a);
	free_copy(copy);
	return rc;
}

START_TEST(comes_back)
{
	const struct wire_kind *k = &wire_kinds[_i];
	struct og_buf b = { 0 }, again = { 0 };
	struct og_error err = { 0 };

	k->sample(&b);
	ck_assert_msg(recode(k, og_buf_view(&b), b.len, &again, &err) == 0, "%s: %s", k->name, err.message);
	ck_assert_uint_eq(again.len, b.len);
	ck_assert_mem_eq(again.data, b.data, b.len);
	og_buf_fini(&b);
	og_buf_fini(&again);
}
END_TEST

START_TEST(refuses_every_prefix_and_surplus)
{
	const struct wire_kind *k = &wire_kinds[_i];
	struct og_buf b = { 0 }, again = { 0 };

	k->sample(&b);
	for (size_t n = 0; n < b.len; n++) {
		struct og_error err = { 0 };

		ck_assert_msg(recode(k, og_buf_view(&b), n, &again, &err) < 0, "%s of %zu bytes", k->name, n);
		ck_assert_int_lt(err.code, 0);
	}
	og_buf_byte(&b, 0);
	ck_assert_int_lt(recode(k, og_buf_view(&b), b.len, &again, &(struct og_error){ 0 }), 0);
	og_buf_fini(&b);
	og_buf_fini(&again);
}
END_TEST

/* Every byte to every other value: an error, or exactly what the bytes say (there is one encoding of everything). */
START_TEST(survives_every_change_of_a_byte)
{
	const struct wire_kind *k = &wire_kinds[_i];
	struct og_buf b = { 0 }, again = { 0 };

	k->sample(&b);
	for (size_t at = 0; at < b.len; at++) {
		uint8_t was = (uint8_t)b.data[at];

		for (unsigned v = 0; v < 256; v++) {
			struct og_error err = { 0 };

			b.data[at] = (char)v;
			og_buf_clear(&again);
			if (recode(k, og_buf_view(&b), b.len, &again, &err) < 0 || k->lossy)
				continue;
			ck_assert_msg(again.len == b.len && memcmp(again.data, b.data, b.len) == 0, "%s: byte %zu as %u is understood as another",
				      k->name, at, v);
		}
		b.data[at] = (char)was;
	}
	og_buf_fini(&b);
	og_buf_fini(&again);
}
END_TEST

/* A refusal never turns into a success on its way, whatever its sender says. */
START_TEST(an_error_stays_one)
{
	struct og_error e = { .code = 5 }, got = { 0 }, err = { 0 };
	struct og_buf b = { 0 };

	og_wire_put_error(&b, &e);
	ck_assert_int_eq(og_wire_get_error(og_buf_view(&b), &got, &err), 0);
	ck_assert_int_lt(got.code, 0);
	og_buf_fini(&b);
}
END_TEST

/* Conflict checks merge sorted lists: unsorted keys would make them miss. */
START_TEST(refuses_unsorted_keys)
{
	static const uint64_t keys[2] = { 5, 4 };
	struct og_wire_commit_req c = { .op = OG_WIRE_MUTATE, .writes = keys, .nwrites = 2 }, got;
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_arena a;

	og_arena_init(&a, 0);
	og_wire_put_commit_req(&b, &c);
	ck_assert_int_lt(og_wire_get_commit_req(og_buf_view(&b), &a, &got, &err), 0);
	og_arena_fini(&a);
	og_buf_fini(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, comes_back, 0, (int)OG_COUNT(wire_kinds));
	tcase_add_loop_test(tc, refuses_every_prefix_and_surplus, 0, (int)OG_COUNT(wire_kinds));
	tcase_add_loop_test(tc, survives_every_change_of_a_byte, 0, (int)OG_COUNT(wire_kinds));
	tcase_add_test(tc, an_error_stays_one);
	tcase_add_test(tc, refuses_unsorted_keys);
}

int main(void)
{
	return suite_run("wire", add, 60);
}
