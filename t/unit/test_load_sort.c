/* Sorting in runs: the same order whatever the budget. */
#include "config.h"

#include "load/idset.h"
#include "suite.h"

static uint64_t seed;

static uint64_t next_random(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 16;
}

static int cmp(const void *a, const void *b)
{
	return load_entry_cmp(a, b);
}

/* Every third entry has one of few hashes, as the ends of popular nodes do. */
static struct load_entry *make(size_t n)
{
	struct load_entry *v = malloc((n ? n : 1) * sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		uint64_t text = i % 3 ? next_random() : next_random() % 3;

		v[i] = load_entry_of(og_slice(&text, sizeof(text)), (uint32_t)i, (uint32_t)text);
	}
	return v;
}

static void check(struct load_sorter *s, const struct load_entry *v, size_t n)
{
	struct load_cursor c;
	struct load_entry e;
	struct og_error err = { 0 };

	ck_assert_int_eq(load_cursor_open(&c, s, &err), 0);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(load_cursor_next(&c, &e, &err), 1);
		ck_assert_mem_eq(&e, &v[i], sizeof(e));
	}
	ck_assert_int_eq(load_cursor_next(&c, &e, &err), 0);
	load_cursor_close(&c);
}

static const size_t sizes[] = { 0, 1, 31, 32, 1000, 300000 };

/* Budgets: everything in memory; many runs; less than one run. */
START_TEST(gives_every_entry_in_order)
{
	size_t n = sizes[_i % 6];
	struct load_budget b = { .limit = _i / 6 == 0 ? SIZE_MAX : _i / 6 == 1 ? 3u << 20 : 1000, .spill = true };
	struct load_sorter s;
	struct load_entry *v;
	struct og_error err = { 0 };

	seed = (uint64_t)_i;
	v = make(n);
	load_sorter_init(&s, &b);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(load_sorter_add(&s, &v[i], &err), 0);
	ck_assert_uint_eq(load_sorter_count(&s), n);
	qsort(v, n, sizeof(*v), cmp);
	check(&s, v, n);
	check(&s, v, n);	/* as often as wanted */
	ck_assert(n < 300000 || _i / 6 == 0 || s.nruns > 1);
	load_sorter_fini(&s);
	ck_assert_uint_eq(b.used, 0);
	free(v);
}
END_TEST

/* Where no temporary file may be made the limit is an error. */
START_TEST(refuses_to_go_over_the_limit_without_files)
{
	struct load_budget b = { .limit = 1u << 20 };
	struct load_entry e = { 0 };
	struct load_sorter s;
	struct og_error err = { 0 };
	int rc = 0;

	load_sorter_init(&s, &b);
	for (size_t i = 0; rc == 0 && i < 1u << 20; i++)
		rc = load_sorter_add(&s, &e, &err);
	ck_assert_int_eq(rc, OG_ERR_TOO_LARGE);
	ck_assert_uint_le(b.used, b.limit);
	load_sorter_fini(&s);
}
END_TEST

/* With a table nothing is found that was not put; where there is no room for one, nothing is found at all. */
START_TEST(a_table_has_its_ids_and_no_others)
{
	struct load_budget b = { .limit = _i ? 64u << 10 : SIZE_MAX, .spill = true };
	size_t n = 3000, had = 0;
	struct load_sorter s;
	struct load_idset set;
	struct load_entry *v;
	struct og_error err = { 0 };

	seed = 7;
	v = make(n);
	load_sorter_init(&s, &b);
	for (size_t i = 0; i < n / 2; i++)
		ck_assert_int_eq(load_sorter_add(&s, &v[i], &err), 0);
	load_idset_fill(&set, &s);
	ck_assert_int_eq(set.v == NULL, _i);
	for (size_t i = 0; i < n / 2; i++)
		had += load_idset_has(&set, &v[i]);
	ck_assert_uint_eq(had, _i ? 0 : n / 2);
	for (size_t i = n / 2; i < n; i++) {
		bool among = false;

		for (size_t k = 0; k < n / 2 && i % 3 == 0; k++)
			among |= load_entry_same(&v[i], &v[k]);
		ck_assert_int_eq(load_idset_has(&set, &v[i]), among && !_i);
	}
	load_idset_fini(&set);
	load_sorter_fini(&s);
	ck_assert_uint_eq(b.used, 0);
	free(v);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, a_table_has_its_ids_and_no_others, 0, 2);
	tcase_add_loop_test(tc, gives_every_entry_in_order, 0, 18);
	tcase_add_test(tc, refuses_to_go_over_the_limit_without_files);
}

int main(void)
{
	return suite_run("load_sort", add, 60);
}
