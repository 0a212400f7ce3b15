/*
 * Reads on a dependency graph: 60,000 packages, 360,000 edges, some packages needed by very many. Prints milliseconds a query (best of several).
 * With an argument the graph is also written there, as `n.csv` and `e.csv`, for other systems to load.
 */
#include "config.h"

#include "../unit/exec_graph.h"
#include "../unit/suite.h"

#include "base/date.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PACKAGES 60000u
#define EDGES 360000u
#define ROUNDS 7

static const char schema[] = "node Package { name: String @key  size: I64  area: String }\n"
			     "edge DependsOn: Package -> Package\n";

static uint64_t seed = 42;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % n);
}

/* Most dependencies go to few packages. */
static uint32_t target(void)
{
	uint32_t range = PACKAGES;

	for (int i = 0; i < 4 && rnd(2); i++)
		range /= 8;
	return rnd(range ? range : 1);
}

static char *say(const char *fmt, ...) OG_PRINTF(1, 2);
static char *say(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	va_end(ap);
	return s;
}

static FILE *output(const char *dir, const char *name)
{
	char *path = say("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	if (!f)
		abort();
	free(path);
	return f;
}

static size_t make_rows(struct graph_row *rows, const char *dir)
{
	FILE *nodes = dir ? output(dir, "n.csv") : NULL, *edges = dir ? output(dir, "e.csv") : NULL;
	size_t n = 0;

	for (uint32_t i = 0; i < PACKAGES; i++) {
		uint32_t size = rnd(1000000), area = rnd(200);

		rows[n++] = (struct graph_row){ "Package", say("{\"name\":\"p%u\",\"size\":%u,\"area\":\"area %u\"}", i, size, area) };
		if (nodes)
			fprintf(nodes, "p%u,%u,area %u\n", i, size, area);
	}
	for (uint32_t i = 0; i < EDGES; i++) {
		uint32_t s = rnd(PACKAGES), d = target();

		rows[n++] = (struct graph_row){ "DependsOn", say("{\"id\":\"e%u\",\"from\":\"p%u\",\"to\":\"p%u\"}", i, s, d) };
		if (edges)
			fprintf(edges, "p%u,p%u\n", s, d);
	}
	if (nodes)
		fclose(nodes);
	if (edges)
		fclose(edges);
	return n;
}

static void measure(struct graph *g, const char *query)
{
	struct answer a = { 0 };
	double best = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		answer_fini(&a);
		graph_query(g, query, "", NULL, &a);
		if (a.code < 0) {
			printf("%s\n  %s\n", query, a.json);
			answer_fini(&a);
			return;
		}
		best = a.us / 1000.0 < best ? a.us / 1000.0 : best;
	}
	printf("%9.3f ms  %8llu rows  %s\n             %.100s\n", best, (unsigned long long)a.rows, query, a.json);
	answer_fini(&a);
}

static const char *folder;	/* the program's argument */

/* A test, because the graph's builder reports its own faults as one. */
START_TEST(reads)
{
	static const char *const queries[] = {
		"query q() { match { $p: Package { name: \"p100\" } } return { $p.size } }",
		"query q() { match { $p: Package { name: \"p100\" } $d dependsOn $p } return { count($d) as n } }",
		"query q() { match { $p: Package { name: \"p100\" } $d dependsOn{1,3} $p } return { count($d) as n } }",
		"query q() { match { $p: Package { name: \"p59999\" } $d dependsOn{1,3} $p } return { count($d) as n } }",
		"query q() { match { $p: Package { name: \"p100\" } $d dependsOn{1,3} $p } return { $d.name } }",
		"query q() { match { $p: Package { name: \"p100\" } $d dependsOn{1,3} $p } return { $d.name $d.size } order { $d.size desc } limit 10 }",
		"query q() { match { $p: Package { name: \"p100\" } $d dependsOn{1,3} $p } return { $d.area count($d) as n } order { n desc } limit 5 }",
		"query q() { match { $p: Package { name: \"p100\" } $c dependsOn $p $b dependsOn $c $a dependsOn $b } return { count($a) as n } }",
		"query q() { match { $p: Package { area: \"area 7\" } $d dependsOn{1,3} $p } return { $p.name count($d) as n } order { n desc } limit 5 }",
		"query q() { match { $p: Package $d dependsOn $p } return { $p.name count($d) as n } order { n desc } limit 5 }",
		"query q() { match { $p: Package $q dependsOn $p $r dependsOn $q $s dependsOn $r } return { $p.name count($s) as n } order { n desc } limit 5 }",
		"query q() { match { $p: Package $d dependsOn{1,3} $p } return { $p.name count($d) as n } order { n desc } limit 5 }",
		"query q() { match { $p: Package $q: Package { area: \"area 7\" } $p.size = $q.size } return { count($p) as n } }",
		"query q() { match { $p: Package $p.size > 900000 } return { count($p) as n sum($p.size) as s } }",
		"query q() { match { $p: Package } return { $p.area count($p) as n avg($p.size) as a } order { $p.area } limit 5 }",
		"query q() { match { $p: Package not { $_ dependsOn $p } } return { count($p) as n } }",
		"query q() { match { $p: Package } return { $p.name } order { $p.size desc } limit 10 }",
		"query q() { match { $p: Package } return { $p.name $p.size } order { $p.size } }",
		"query q() { match { $p: Package $p.name contains \"99\" } return { $p.name } }",
	};
	struct graph_row *rows = calloc(PACKAGES + EDGES, sizeof(*rows));
	size_t n;

	if (!rows)
		abort();
	n = make_rows(rows, folder);
	for (int split = SPLIT_IMAGES; split <= SPLIT_MIXED; split++) {
		struct graph g;

		printf("%s\n", split == SPLIT_IMAGES ? "images alone" : "half in deltas");
		graph_open(&g, schema, rows, n, split);
		for (size_t i = 0; i < OG_COUNT(queries); i++)
			measure(&g, queries[i]);
		graph_close(&g);
	}
	for (size_t i = 0; i < n; i++)
		free((char *)rows[i].json);
	free(rows);
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, reads);
}

int main(int argc, char **argv)
{
	folder = argc > 1 ? argv[1] : NULL;
	setvbuf(stdout, NULL, _IOLBF, 0);
	return suite_run("reads", add_tests, 600);
}
