/* What a plan says it reads: a type that is only counted is read, too. */
#include "config.h"

#include "engine/exec.h"
#include "engine/mutate.h"
#include "suite.h"

static const char schema[] = "node A { k: String @key n: I32? } node B { k: String @key } edge E: A -> B { w: I32? }";

static const struct {
	const char *query, *table;
} cases[] = {
	{ "query q() { match { $a: A } return { count($a) } }", "node:A" },
	{ "query q() { match { $a: A $b: B } return { count($a) } }", "node:B" },
	{ "query q() { match { $a: A  $a e $b } return { count($b) } }", "node:B" },
	{ "query q() { match { $a: A  $a e $b } return { count($b) } }", "edge:E" },
	{ "query q() { match { $a: A  not { $a e $b } } return { count($a) } }", "edge:E" },
	{ "query q() { match { $a: A  not { $b: B  $a e $b } } return { count($a) } }", "node:B" },
};

START_TEST(every_type_read_is_named)
{
	struct og_catalog *cat;
	struct og_error err = { 0 };
	struct gq_file file;
	struct gq_query *q;
	struct og_plan *plan;
	struct og_arena a;
	const struct og_need *needs;
	bool found = false;
	size_t n;

	og_arena_init(&a, 0);
	ck_assert_int_eq(og_catalog_compile(og_slice_str(schema), NULL, 0, &cat, &err), 0);
	ck_assert_msg(gq_parse(&a, og_slice_str(cases[_i].query), &file, &err) == 0 && gq_select(&file, og_slice(NULL, 0), &q, &err) == 0 &&
			      gq_check(&a, q, cat, &err) == 0 && og_plan_read(&a, q, cat, &plan, &err) == 0, "%s", err.message);
	needs = og_plan_needs(plan, &n);
	for (size_t i = 0; i < n; i++)
		found |= needs[i].type == og_catalog_table(cat, og_slice_str(cases[_i].table));
	ck_assert_msg(found, "%s: %s is not named", cases[_i].query, cases[_i].table);
	og_catalog_unref(cat);
	og_arena_fini(&a);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_loop_test(tc, every_type_read_is_named, 0, (int)OG_COUNT(cases));
}

int main(void)
{
	return suite_run("needs", add, 10);
}
