/* The meaning of reads, rule by rule: each query against each way in which the rows may be stored. */
#include "config.h"

#include "exec_graph.h"
#include "suite.h"

#include <stdio.h>

static const char schema[] =
	"node Vessel { code: String @key  name: String @index  tonnage: I32?  flags: [String]?  built: Date?  seen: DateTime?\n"
	"  hull: Vector(4)?  plan: Blob? }\n"
	"node Port { code: String @key  city: String }\n"
	"node Pilot { name: String }\n"
	"node Num { key: I64 @key  a: I32?  b: U32?  c: I64?  d: U64?  e: F32?  f: F64?  g: Bool?  ns: [I32]?  fs: [F64]?  camelCase: String?\n"
	"  days: [Date]? }\n"
	"node Real { key: F64 @key }\n"
	"node Pair { a: String  b: U32  note: String?  @key(a, b) }\n"
	"edge DocksAt: Vessel -> Port { berth: I32?  note: String? }\n"
	"edge Tows: Vessel -> Vessel\n"
	"edge Guides: Pilot -> Vessel\n";

static const struct graph_row rows[] = {
	{ "Vessel", "{\"code\":\"ilse\",\"name\":\"Ilse\",\"tonnage\":410,\"flags\":[\"NL\",\"DE\"],\"built\":\"1998-05-01\","
		    "\"seen\":\"2031-05-09T04:00:00Z\",\"hull\":[1,0,0.5,0]}" },
	{ "Vessel", "{\"code\":\"corvo\",\"name\":\"Corvo\",\"flags\":[],\"built\":\"2001-01-01\"}" },
	{ "Vessel", "{\"code\":\"dora\",\"name\":\"Dora\",\"tonnage\":90,\"flags\":[\"PT\",null],\"seen\":\"2020-01-01T00:00:00.5Z\"}" },
	{ "Vessel", "{\"code\":\"elk\",\"name\":\"Elk\",\"tonnage\":410,\"hull\":[0,0,0,1]}" },
	{ "Vessel", "{\"code\":\"fen\",\"name\":\"a \\\"fen\\\"\",\"tonnage\":5,\"built\":\"1970-01-01\"}" },
	{ "Port", "{\"code\":\"rtm\",\"city\":\"Rotterdam\"}" },
	{ "Port", "{\"code\":\"lis\",\"city\":\"Lisbon\"}" },
	{ "Port", "{\"code\":\"ant\",\"city\":\"Antwerp\"}" },
	{ "Pilot", "{\"id\":\"p1\",\"name\":\"Ana\"}" },
	{ "Pilot", "{\"id\":\"p2\",\"name\":\"Bo\"}" },
	{ "Num", "{\"key\":1,\"a\":-3,\"b\":4000000000,\"c\":9007199254740993,\"d\":18446744073709551615,\"e\":0.1,\"f\":0.1,\"g\":true,\"ns\":[1,2],"
		 "\"fs\":[1.5,null,2.0],\"camelCase\":\"yes\",\"days\":[\"2020-02-03\"]}" },
	{ "Num", "{\"key\":2,\"a\":7,\"b\":0,\"c\":-5,\"d\":0,\"e\":3.0,\"f\":1e16,\"g\":false,\"ns\":[],\"fs\":[]}" },
	{ "Num", "{\"key\":3}" },
	{ "Num", "{\"key\":-4,\"a\":7,\"ns\":[null],\"f\":9007199254740992.0}" },
	{ "Real", "{\"key\":0.5}" },
	{ "Real", "{\"key\":2}" },
	{ "Pair", "{\"a\":\"x\",\"b\":1,\"note\":\"x1\"}" },
	{ "Pair", "{\"a\":\"x\",\"b\":2,\"note\":\"x2\"}" },
	{ "Pair", "{\"a\":\"y\",\"b\":1}" },
	{ "DocksAt", "{\"id\":\"d1\",\"from\":\"ilse\",\"to\":\"rtm\",\"berth\":7,\"note\":\"a\"}" },
	{ "DocksAt", "{\"id\":\"d2\",\"from\":\"ilse\",\"to\":\"rtm\",\"berth\":8}" },
	{ "DocksAt", "{\"id\":\"d3\",\"from\":\"ilse\",\"to\":\"lis\"}" },
	{ "DocksAt", "{\"id\":\"d4\",\"from\":\"corvo\",\"to\":\"lis\",\"berth\":3}" },
	{ "DocksAt", "{\"id\":\"d5\",\"from\":\"dora\",\"to\":\"ant\",\"berth\":1}" },
	{ "Tows", "{\"id\":\"t1\",\"from\":\"ilse\",\"to\":\"corvo\"}" },
	{ "Tows", "{\"id\":\"t2\",\"from\":\"corvo\",\"to\":\"dora\"}" },
	{ "Tows", "{\"id\":\"t3\",\"from\":\"dora\",\"to\":\"ilse\"}" },
	{ "Tows", "{\"id\":\"t4\",\"from\":\"elk\",\"to\":\"elk\"}" },
	{ "Tows", "{\"id\":\"t5\",\"from\":\"ilse\",\"to\":\"corvo\"}" },
	{ "Tows", "{\"id\":\"t6\",\"from\":\"corvo\",\"to\":\"elk\"}" },
	{ "Guides", "{\"id\":\"g1\",\"from\":\"p1\",\"to\":\"ilse\"}" },
	{ "Guides", "{\"id\":\"g2\",\"from\":\"p1\",\"to\":\"corvo\"}" },
	{ "Guides", "{\"id\":\"g3\",\"from\":\"p2\",\"to\":\"dora\"}" },
};

/* Without `order` the rows are compared as a bag. An answer that starts with '!' is an error's text, with '~' the beginning of one. */
struct rule {
	const char *query, *params, *answer;
};

static const struct rule rules[] = {
#include "exec_rules.h"
};

static void check_answer(const struct rule *r, enum split split, const struct answer *a)
{
	char *got = a->code < 0 ? strdup(a->json) : strstr(r->query, "order {") ? strdup(a->json) : sorted_rows(a->json);
	char *want = *r->answer == '[' && !strstr(r->query, "order {") ? sorted_rows(r->answer) : strdup(r->answer);
	bool same;

	if (*r->answer == '!')
		same = a->code < 0 && strcmp(got, r->answer + 1) == 0;
	else if (*r->answer == '~')
		same = a->code < 0 && strncmp(got, r->answer + 1, strlen(r->answer + 1)) == 0;
	else
		same = a->code == 0 && strcmp(got, want) == 0;
	ck_assert_msg(same, "split %d, %s %s\n got %s\nwant %s", split, r->query, r->params, got, want);
	free(got);
	free(want);
}

/* Test i takes one storage; all rules run on it. */
START_TEST(every_rule_holds)
{
	struct run_options o = { .now_ms = 1900000000000 };
	struct graph g;

	graph_open(&g, schema, rows, OG_COUNT(rows), _i);
	for (size_t i = 0; i < OG_COUNT(rules); i++) {
		struct answer a;

		graph_query(&g, rules[i].query, rules[i].params, &o, &a);
		check_answer(&rules[i], _i, &a);
		answer_fini(&a);
	}
	graph_close(&g);
}
END_TEST

/* A step may end after any batch; the answer is the same. */
START_TEST(steps_do_not_change_the_answer)
{
	struct run_options o = { .now_ms = 1900000000000, .limits = { .row_budget = 1 } };
	unsigned steps = 0;
	struct graph g;

	graph_open(&g, schema, rows, OG_COUNT(rows), _i);
	for (size_t i = 0; i < OG_COUNT(rules); i++) {
		struct answer a;

		graph_query(&g, rules[i].query, rules[i].params, &o, &a);
		check_answer(&rules[i], _i, &a);
		steps += a.steps;
		answer_fini(&a);
	}
	ck_assert_uint_gt(steps, 2 * OG_COUNT(rules));
	graph_close(&g);
}
END_TEST

/* Types that never had a row have no images. */
START_TEST(an_empty_graph_answers_too)
{
	struct run_options o = { .now_ms = 1900000000000 };
	struct graph g;

	graph_open(&g, schema, NULL, 0, SPLIT_IMAGES);
	for (size_t i = 0; i < OG_COUNT(rules); i++) {
		bool refused = *rules[i].answer == '!' || *rules[i].answer == '~';
		struct answer a;

		graph_query(&g, rules[i].query, rules[i].params, &o, &a);
		ck_assert_msg((a.code < 0) == refused, "%s: %s", rules[i].query, a.json);
		ck_assert_uint_le(a.rows, 1);
		answer_fini(&a);
	}
	graph_close(&g);
}
END_TEST

static void ask(const char *query, const char *params, const struct run_options *o, struct answer *a)
{
	struct graph g;

	graph_open(&g, schema, rows, OG_COUNT(rows), SPLIT_IMAGES);
	graph_query(&g, query, params, o, a);
	graph_close(&g);
}

START_TEST(columns_are_named_in_order)
{
	struct answer a;

	ask("query q($x: I32?) { match { $v: Vessel } return { $v $v.name as n $v.name $x 1 now() $v.name as n count($v) max($v.name) } }", "", NULL, &a);
	ck_assert_int_lt(a.code, 0);	/* literals are no group keys */
	answer_fini(&a);
	ask("query q($x: I32?) { match { $v: Vessel { code: \"none\" } } return { $v $v.name as n $v.name $x 1 now() $v.name as n } }", "", NULL, &a);
	ck_assert_str_eq(a.columns, "[\"v\",\"n\",\"v.name\",\"x\",\"literal\",\"now\",\"n\"]");
	ck_assert_str_eq(a.json, "[]");
	ck_assert_uint_eq(a.rows, 0);
	answer_fini(&a);
}
END_TEST

START_TEST(load_order_without_order)
{
	struct answer a;

	ask("query q() { match { $v: Vessel } return { $v } limit 3 }", "", NULL, &a);
	ck_assert_str_eq(a.json, "[{\"v\":\"ilse\"},{\"v\":\"corvo\"},{\"v\":\"dora\"}]");
	ck_assert_uint_eq(a.rows, 3);
	answer_fini(&a);
}
END_TEST

START_TEST(cancelled_by_the_flag)
{
	atomic_int flag = 1;
	struct run_options o = { .limits = { .cancel = &flag } };
	struct answer a;

	ask("query q() { match { $v: Vessel } return { $v } }", "", &o, &a);
	ck_assert_int_eq(a.code, OG_ERR_CANCELLED);
	answer_fini(&a);
	flag = OG_ERR_TIMEOUT;
	ask("query q() { match { $v: Vessel } return { $v } }", "", &o, &a);
	ck_assert_int_eq(a.code, OG_ERR_TIMEOUT);
	answer_fini(&a);
}
END_TEST

START_TEST(memory_ends_at_the_limit)
{
	struct run_options o = { .limits = { .memory = 400000 } };
	struct answer a;

	ask("query q() { match { $a: Vessel $b: Vessel $c: Vessel $d: Vessel $e: Vessel $f: Vessel $g: Vessel } return { $a $b $c } order { $g.name } }", "", &o,
	    &a);
	ck_assert_int_eq(a.code, OG_ERR_TOO_LARGE);
	ck_assert_ptr_nonnull(strstr(a.json, "resource limit exceeded for query_memory_bytes: actual "));
	answer_fini(&a);
	/* Encoded rows count too. */
	ask("query q() { match { $a: Vessel $b: Vessel $c: Vessel $d: Vessel $e: Vessel $f: Vessel $g: Vessel } return { $a $b $c } }", "", &o, &a);
	ck_assert_int_eq(a.code, OG_ERR_TOO_LARGE);
	answer_fini(&a);
}
END_TEST

START_TEST(queries_share_a_pool)
{
	static const char big[] = "query q() { match { $a: Vessel $b: Vessel $c: Vessel $d: Vessel $e: Vessel $f: Vessel $g: Vessel } return { $a $b $c } }";
	struct og_exec_pool pool = { .limit = 400000 };
	struct run_options o = { .limits = { .memory = 100000000, .pool = &pool } };
	struct answer a;

	ask(big, "", &o, &a);
	ck_assert_int_eq(a.code, OG_ERR_TOO_LARGE);
	ck_assert_ptr_nonnull(strstr(a.json, ", limit 400000"));
	answer_fini(&a);
	ck_assert_uint_eq(atomic_load(&pool.used), 0);
	ask("query q() { match { $v: Vessel } return { $v.name } }", "", &o, &a);
	ck_assert_int_eq(a.code, 0);
	answer_fini(&a);
	ck_assert_uint_eq(atomic_load(&pool.used), 0);
	/* What others hold is not there for us. */
	atomic_store(&pool.used, 399999);
	ask("query q() { match { $v: Vessel } return { $v.name } }", "", &o, &a);
	ck_assert_int_eq(a.code, OG_ERR_TOO_LARGE);
	answer_fini(&a);
	ck_assert_uint_eq(atomic_load(&pool.used), 399999);
}
END_TEST

START_TEST(short_queries_are_known)
{
	static const struct {
		const char *query;
		bool is_short;
	} cases[] = {
		{ "query q() { match { $v: Vessel { code: \"ilse\" } } return { $v.name } }", true },
		{ "query q() { match { $v: Vessel { code: \"ilse\" } $v docksAt $p } return { $v.name $p.city } }", true },
		{ "query q() { match { $v: Vessel { code: \"ilse\" } $v tows{1,2} $p } return { count($p) } }", true },
		{ "query q() { match { $v: Vessel $v.tonnage > 3 } return { $v.name } }", true },	/* five rows */
		{ "query q() { match { $v: Vessel { code: \"ilse\" } $v docksAt $p $v docksAt $r } return { $v.name $p.city } }", false },
		{ "query q() { match { $v: Vessel [\"elk\", \"ilse\"] contains $v.code $v docksAt $p } return { $v.name } }", true },
		{ "query q() { match { $v: Vessel { code: \"elk\" } not { $v docksAt $_ } } return { $v.name } }", true },
		{ "query q() { match { $v: Vessel { code: \"elk\" } not { $w: Vessel $v.tonnage < $w.tonnage } } return { $v.name } }", false },
		{ "query q() { match { $v: Vessel { code: \"elk\" } $p: Port { code: \"lis\" } not { $v docksAt $p } } return { $v.name } }", true },
		{ "query q() { match { $v: Vessel $w: Vessel } return { $v.name } }", false },
	};

	for (size_t i = 0; i < OG_COUNT(cases); i++) {
		struct answer a;

		ask(cases[i].query, "", NULL, &a);
		ck_assert_int_eq(a.code, 0);
		ck_assert_msg(a.is_short == cases[i].is_short, "%s", cases[i].query);
		answer_fini(&a);
	}
}
END_TEST

/* Each level turns the answer round: vessels that tow nothing, that tow something, ... */
START_TEST(negations_nest_deeply)
{
	for (int depth = 1; depth < 400; depth += depth < 6 ? 1 : 97) {
		struct og_buf q = { 0 };
		struct answer a;

		og_buf_str(&q, "query q() { match { $v: Vessel { code: \"ilse\" } ");
		for (int i = 0; i < depth; i++)
			og_buf_printf(&q, "not { $v tows $w%d ", i);
		for (int i = 0; i < depth; i++)
			og_buf_str(&q, "} ");
		og_buf_str(&q, "} return { $v } }");
		ask(q.data, "", NULL, &a);
		ck_assert_msg(a.code == 0, "%s", a.json);
		ck_assert_str_eq(a.json, depth % 2 ? "[]" : "[{\"v\":\"ilse\"}]");
		answer_fini(&a);
		og_buf_fini(&q);
	}
}
END_TEST

/* More steps than a stack should bear are refused. */
START_TEST(too_many_steps_are_refused)
{
	struct og_buf q = { 0 };
	struct answer a;

	og_buf_str(&q, "query q() { match { $v: Vessel { code: \"none\" } ");
	for (int i = 0; i < 5000; i++)
		og_buf_str(&q, "$v tows $_ ");
	og_buf_str(&q, "} return { $v } }");
	ask(q.data, "", NULL, &a);
	ck_assert_int_eq(a.code, OG_ERR_BAD);
	answer_fini(&a);
	og_buf_fini(&q);
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, an_empty_graph_answers_too);
	tcase_add_test(tc, negations_nest_deeply);
	tcase_add_test(tc, too_many_steps_are_refused);
	tcase_add_loop_test(tc, every_rule_holds, 0, SPLITS);
	tcase_add_loop_test(tc, steps_do_not_change_the_answer, 0, SPLITS);
	tcase_add_test(tc, columns_are_named_in_order);
	tcase_add_test(tc, load_order_without_order);
	tcase_add_test(tc, cancelled_by_the_flag);
	tcase_add_test(tc, memory_ends_at_the_limit);
	tcase_add_test(tc, queries_share_a_pool);
	tcase_add_test(tc, short_queries_are_known);
}

int main(void)
{
	return suite_run("exec", add_tests, 60);
}
