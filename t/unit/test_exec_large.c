/*
 * Reads over more rows than a batch holds, on a ring whose answers are known by arithmetic: node i is followed by i + 1 and i + 2.
 *
 * OG_TEST_NODES sets another size, a multiple of 700; beyond a million the columns have several parts.
 */
#include "config.h"

#include "exec_graph.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

static const char schema[] = "node N { key: I64 @key  x: I32  y: String?  f: F64? }\n"
			     "edge Next: N -> N { w: I32 }\n";

static unsigned nodes = 5600;
static struct graph_row *rows;
static size_t nrows;

static void add_row(const char *type, const char *text)
{
	rows[nrows++] = (struct graph_row){ type, strdup(text) };
}

static void make_rows(void)
{
	char text[160];

	if (getenv("OG_TEST_NODES"))
		nodes = (unsigned)atoi(getenv("OG_TEST_NODES"));
	rows = calloc(3 * (size_t)nodes, sizeof(*rows));
	for (unsigned i = 0; i < nodes; i++) {
		if (i % 100)
			snprintf(text, sizeof(text), "{\"key\":%u,\"x\":%u,\"y\":\"y%u\",\"f\":%u.5}", i, i % 7, i % 50, i);
		else
			snprintf(text, sizeof(text), "{\"key\":%u,\"x\":%u}", i, i % 7);
		add_row("N", text);
	}
	for (unsigned i = 0; i < nodes; i++)
		for (unsigned k = 1; k <= 2; k++) {
			snprintf(text, sizeof(text), "{\"id\":\"e%u.%u\",\"from\":\"%u\",\"to\":\"%u\",\"w\":1}", i, k, i, (i + k) % nodes);
			add_row("Next", text);
		}
}

/* want NULL: not known for this number of nodes; it must only end well. */
static void ask(struct graph *g, const char *query, const char *want)
{
	for (int budget = 0; budget <= 1000; budget += 1000) {
		struct run_options o = { .limits = { .row_budget = (uint64_t)budget } };
		struct answer a;

		graph_query(g, query, "", &o, &a);
		ck_assert_msg(a.code == 0 && (!want || !strcmp(a.json, want)), "%s\n got %.2000s\nwant %.2000s", query, a.json, want ? want : "");
		answer_fini(&a);
	}
}

static void ask_number(struct graph *g, const char *query, uint64_t n)
{
	char want[64];

	snprintf(want, sizeof(want), "[{\"n\":%llu}]", (unsigned long long)n);
	ask(g, query, want);
}

#define Q(body) "query q() { match { " body " }"

START_TEST(rows_are_counted)
{
	uint64_t n = nodes, f = 0, y = 0;
	struct graph g;

	for (unsigned i = 0; i < nodes; i++) {
		f += i % 100 && i >= 99;
		y += i % 100 && i % 50 == 3;
	}
	graph_open(&g, schema, rows, nrows, _i);
	ask_number(&g, Q("$a: N") " return { count($a) as n } }", n);
	ask_number(&g, Q("$a: N $a.x = 3") " return { count($a) as n } }", n / 7);
	ask_number(&g, Q("$a: N $a.f > 99.0") " return { count($a) as n } }", f);
	ask_number(&g, Q("$a: N $a.y = \"y3\"") " return { count($a) as n } }", y);
	ask_number(&g, Q("$a: N $a next $b") " return { count($b) as n } }", 2 * n);
	ask_number(&g, Q("$a: N $a next $b $b next $c $c next $d") " return { count($d) as n } }", 8 * n);
	ask_number(&g, Q("$a: N $a next $b $b next $c $c.x = 3") " return { count($c) as n } }", 4 * n / 7);
	ask_number(&g, Q("$a: N { x: 2 } $a next{1,5} $b") " return { count($b) as n } }", 10 * n / 7);
	ask_number(&g, Q("$a: N { x: 2 } $a <next>{3,4} $b") " return { count($b) as n } }", 8 * n / 7);
	ask_number(&g, Q("$a: N $a next $b $a next $c $b next $c") " return { count($c) as n } }", n);
	ask_number(&g, Q("$a: N $a $e:next $b $e.w = 1") " return { count($e.w) as n } }", 2 * n);
	ask_number(&g, Q("$a: N $a next $b not { $a next $b $b.x = 3 }") " return { count($a) as n } }", 12 * n / 7);
	ask_number(&g, Q("$a: N $b: N { key: 3 } not { $b next{1,6} $a }") " return { count($a) as n } }", n - 12);
	ask_number(&g, Q("$a: N not { $a next $b $b.x > 4 not { $b.x = 6 } }") " return { count($a) as n } }", 5 * n / 7);
	ask_number(&g, Q("$a: N $b: N { x: 1 } $a.key = $b.key") " return { count($a) as n } }", n / 7);
	ask_number(&g, Q("$a: N $b: N { key: 8 } $a.x = $b.x $c: N { key: 5 }") " return { count($a) as n } }", n / 7);
	graph_close(&g);
}
END_TEST

static void by_x(struct og_buf *b, const char *format)
{
	og_buf_clear(b);
	og_buf_str(b, "[");
	for (unsigned x = 0; x < 7; x++)
		og_buf_printf(b, "%s{\"a.x\":%u,%s%u}", x ? "," : "", x, format, nodes / 7);
	og_buf_str(b, "]");
}

START_TEST(groups_are_kept_apart)
{
	struct og_buf want = { 0 };
	struct graph g;

	graph_open(&g, schema, rows, nrows, _i);
	by_x(&want, "\"n\":");
	ask(&g, Q("$a: N") " return { $a.x count($a) as n } order { $a.x } }", want.data);
	by_x(&want, "\"m\":1,\"n\":");
	ask(&g, Q("$a: N $a $e:next $b $b.x != $a.x $c: N { key: 0 } $b next $d $d.key >= 0 $e.w = 1 not { $b.x < 0 } $a next $d") " return { $a.x max($e.w) as m count($b) as n } order { $a.x } }",
	    want.data);
	/* Many groups: all by one variable, then by two. */
	ask(&g, Q("$a: N $a next $b $b next $c") " return { $a as i count($c) as n } order { n desc, i desc } limit 2 }", nodes == 5600 ? "[{\"i\":\"999\",\"n\":4},{\"i\":\"998\",\"n\":4}]" : NULL);
	ask(&g, Q("$a: N $a next $b $b.key >= 0") " return { $a.key count($b) as n } order { $a.key } limit 2 }", "[{\"a.key\":0,\"n\":2},{\"a.key\":1,\"n\":2}]");
	ask(&g, Q("$a: N $a next $b") " return { $a.key $b.key count($b) as n } order { n, $a.key desc } limit 2 }",
	    nodes == 5600 ? "[{\"a.key\":5599,\"b.key\":0,\"n\":1},{\"a.key\":5599,\"b.key\":1,\"n\":1}]" : NULL);
	ask(&g, Q("$a: N $a next $b $b next $a2") " return { $a.x $b.x count($b) as n } order { $a.x, $b.x } limit 1 }",
	    nodes == 5600 ? "[{\"a.x\":0,\"b.x\":1,\"n\":1600}]" : NULL);
	graph_close(&g);
	og_buf_fini(&want);
}
END_TEST

START_TEST(order_is_total)
{
	struct run_options o = { 0 };
	struct answer all, cut;
	struct graph g;

	graph_open(&g, schema, rows, nrows, _i);
	ask(&g, Q("$a: N") " return { $a.key } order { $a.f desc } limit 2 }", nodes == 5600 ? "[{\"a.key\":5599},{\"a.key\":5598}]" : NULL);
	ask(&g, Q("$a: N") " return { $a.key } order { $a.y, $a.f } limit 3 }", nodes == 5600 ? "[{\"a.key\":0},{\"a.key\":100},{\"a.key\":1000}]" : NULL);
	/* The best rows are the first of all rows. */
	graph_query(&g, Q("$a: N $a next $b") " return { $a.key $b.key } order { $b.x desc, $a.y } }", "", &o, &all);
	graph_query(&g, Q("$a: N $a next $b") " return { $a.key $b.key } order { $b.x desc, $a.y } limit 500 }", "", &o, &cut);
	ck_assert_uint_eq(all.rows, 2 * nodes);
	ck_assert_uint_eq(cut.rows, 500);
	ck_assert_mem_eq(all.json, cut.json, strlen(cut.json) - 1);
	answer_fini(&all);
	answer_fini(&cut);
	graph_query(&g, Q("$a: N $b: N { x: 1 } $a.x = 2") " return { $a.key $b.key } limit 3000 }", "", &o, &cut);
	ck_assert_uint_eq(cut.rows, 3000);
	answer_fini(&cut);
	graph_close(&g);
}
END_TEST

static void add_tests(TCase *tc)
{
	make_rows();
	tcase_add_loop_test(tc, rows_are_counted, 0, SPLITS);
	tcase_add_loop_test(tc, groups_are_kept_apart, 0, SPLITS);
	tcase_add_loop_test(tc, order_is_total, 0, SPLITS);
}

int main(void)
{
	return suite_run("exec, large", add_tests, 600);
}
