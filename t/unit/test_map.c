/* Hash tables and ULIDs. */
#include "config.h"

#include "suite.h"
#include "base/map.h"
#include "base/ulid.h"

#include <stdio.h>

#define KEYS 5000

static char keys[KEYS][16];

static void make_keys(void)
{
	for (int i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
}

START_TEST(an_empty_map_has_nothing)
{
	struct og_map m = { 0 };
	size_t i = 0;

	ck_assert_ptr_null(og_map_find(&m, OG_SLICE("x")));
	ck_assert(!og_map_delete(&m, OG_SLICE("x")));
	ck_assert_ptr_null(og_map_next(&m, &i));
	og_map_fini(&m);
	og_map_fini(&m);
}
END_TEST

START_TEST(finds_what_was_put)
{
	struct og_map m = { 0 };
	struct og_map_entry *e;
	size_t at = 0, n = 0;
	bool fresh;

	make_keys();
	for (int i = 0; i < KEYS; i++) {
		e = og_map_put(&m, og_slice_str(keys[i]), &fresh);
		ck_assert(fresh);
		ck_assert_uint_eq(e->value, 0);
		e->value = (uint64_t)i;
	}
	e = og_map_put(&m, OG_SLICE("k77"), &fresh);
	ck_assert(!fresh);
	ck_assert_uint_eq(e->value, 77);
	ck_assert_uint_eq(m.count, KEYS);
	for (int i = 0; i < KEYS; i++)
		ck_assert_uint_eq(og_map_find(&m, og_slice_str(keys[i]))->value, (uint64_t)i);
	ck_assert_ptr_null(og_map_find(&m, OG_SLICE("k5000")));
	ck_assert_ptr_null(og_map_find(&m, OG_SLICE("k")));
	while (og_map_next(&m, &at))
		n++;
	ck_assert_uint_eq(n, KEYS);
	og_map_fini(&m);
}
END_TEST

/* Deleting moves others about: after each step all that should be there is, nothing else. */
START_TEST(deletes_and_keeps_the_rest)
{
	struct og_map m = { 0 };
	bool in[200] = { false };
	unsigned r = 12345;
	size_t count = 0;

	make_keys();
	for (int step = 0; step < 20000; step++) {
		unsigned k = (r = r * 1103515245 + 12345) >> 16 & 0x7fff;
		struct og_slice key = og_slice_str(keys[k % 200]);

		if (r & 0x8000) {
			bool fresh;
			struct og_map_entry *e = og_map_put(&m, key, &fresh);

			ck_assert(fresh == !in[k % 200]);
			e->value = k % 200;
			count += fresh;
			in[k % 200] = true;
		} else {
			ck_assert(og_map_delete(&m, key) == in[k % 200]);
			count -= in[k % 200];
			in[k % 200] = false;
		}
		ck_assert_uint_eq(m.count, count);
		if (step % 50)
			continue;
		for (unsigned i = 0; i < 200; i++) {
			struct og_map_entry *e = og_map_find(&m, og_slice_str(keys[i]));

			ck_assert((e != NULL) == in[i]);
			ck_assert(!e || e->value == i);
		}
	}
	og_map_fini(&m);
}
END_TEST

START_TEST(an_empty_key_is_a_key)
{
	struct og_map m = { 0 };
	bool fresh;

	og_map_put(&m, og_slice(NULL, 0), &fresh)->value = 9;
	ck_assert(fresh);
	ck_assert_uint_eq(og_map_find(&m, OG_SLICE(""))->value, 9);
	ck_assert_uint_eq(og_map_put(&m, OG_SLICE(""), NULL)->value, 9);
	ck_assert(og_map_delete(&m, og_slice(NULL, 0)));
	ck_assert_uint_eq(m.count, 0);
	og_map_fini(&m);
}
END_TEST

START_TEST(ulids_rise)
{
	struct og_ulid_gen g = { 0 };
	struct og_ulid last, u;
	struct og_error err;

	ck_assert_int_eq(og_ulid_new(&g, &last, &err), 0);
	for (int i = 0; i < 100000; i++) {
		ck_assert_int_eq(og_ulid_new(&g, &u, &err), 0);
		ck_assert_int_gt(og_ulid_cmp(&u, &last), 0);
		last = u;
	}
	/* A clock far ahead that was set back, with all random bits used up. */
	g.last = og_ulid_at(UINT64_C(1) << 45);
	memset(g.last.b + 6, 0xff, 10);
	g.last_ms = UINT64_C(1) << 45;
	last = g.last;
	ck_assert_int_eq(og_ulid_new(&g, &u, &err), 0);
	ck_assert_int_gt(og_ulid_cmp(&u, &last), 0);
	ck_assert_uint_eq(og_ulid_ms(&u), (UINT64_C(1) << 45) + 1);
}
END_TEST

/* Without the clock, too, even where the random bits run over. */
START_TEST(the_next_ulid_is_greater)
{
	struct og_ulid_gen g = { 0 };
	struct og_ulid last, u;
	struct og_error err = { 0 };

	ck_assert_int_eq(og_ulid_next(&g, &last, &err), 0);
	ck_assert_uint_ne(og_ulid_ms(&last), 0);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(og_ulid_next(&g, &u, &err), 0);
		ck_assert_int_gt(og_ulid_cmp(&u, &last), 0);
		last = u;
		if (i == 500) {
			memset(g.last.b + 6, 0xff, 10);
			last = g.last;
		}
	}
}
END_TEST

START_TEST(ulids_have_texts)
{
	struct og_ulid u, v;
	struct og_ulid_text t;
	struct og_ulid_gen g = { 0 };
	struct og_error err;

	ck_assert(og_ulid_parse(OG_SLICE("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &u));
	ck_assert_uint_eq(og_ulid_ms(&u), 1469922850259);
	t = og_ulid_format(&u);
	ck_assert_str_eq(t.s, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(og_ulid_new(&g, &u, &err), 0);
		t = og_ulid_format(&u);
		ck_assert(og_ulid_parse(og_slice_str(t.s), &v));
		ck_assert_int_eq(og_ulid_cmp(&u, &v), 0);
	}
	u = og_ulid_at(UINT64_MAX);
	t = og_ulid_format(&u);
	ck_assert_str_eq(t.s, "7ZZZZZZZZZ0000000000000000");
	u = og_ulid_at(0);
	ck_assert(og_ulid_zero(&u));
}
END_TEST

static const char *const no_ulids[] = { "",
					"01ARZ3NDEKTSV4RRFFQ69G5FA",
					"01ARZ3NDEKTSV4RRFFQ69G5FAVV",
					"81ARZ3NDEKTSV4RRFFQ69G5FAV",
					"01arz3ndektsv4rrffq69g5fav",
					"01ARZ3NDEKTSV4RRFFQ69G5FAI",
					"01ARZ3NDEKTSV4RRFFQ69G5FAL",
					"01ARZ3NDEKTSV4RRFFQ69G5FAO",
					"01ARZ3NDEKTSV4RRFFQ69G5FAU",
					"01ARZ3NDEK-SV4RRFFQ69G5FAV" };

START_TEST(bad_ulids_are_refused)
{
	struct og_slice s = exact_copy(og_slice_str(no_ulids[_i]), strlen(no_ulids[_i]));
	struct og_ulid u;

	ck_assert(!og_ulid_parse(s, &u));
	free_copy(s);
	ck_assert(!og_ulid_parse(OG_SLICE("01ARZ3NDEKTSV4RRFFQ69G5FA\0"), &u));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, an_empty_map_has_nothing);
	tcase_add_test(tc, finds_what_was_put);
	tcase_add_test(tc, deletes_and_keeps_the_rest);
	tcase_add_test(tc, an_empty_key_is_a_key);
	tcase_add_test(tc, ulids_rise);
	tcase_add_test(tc, the_next_ulid_is_greater);
	tcase_add_test(tc, ulids_have_texts);
	tcase_add_loop_test(tc, bad_ulids_are_refused, 0, (int)OG_COUNT(no_ulids));
}

int main(void)
{
	return suite_run("map", add, 60);
}
