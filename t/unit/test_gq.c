/* The query language: grammar, positions, every type rule with its text, and what a checked tree says. */
#include "config.h"
#include "gq/gq.h"
#include "base/buf.h"

#include "t/check.h"
#include <stdio.h>
#include <stdlib.h>

static const char schema[] =
	"node Vessel { code: String @key  name: String @index  tonnage: I32?  flags: [String]?  built: Date?  seen: DateTime?\n"
	"              hull: Vector(4)?  plan: Blob?  kind: enum(tug, ferry)?  width: F32? ok: Bool? days: [Date]? nums: [I32]? }\n"
	"node Port   { code: String @key  city: String }\n"
	"node Pilot  { name: String }\n"
	"node Doc    { text: String  vec: Vector(2) @embed(text) }\n"
	"edge DocksAt: Vessel -> Port { berth: I32?  note: String? }\n"
	"edge Tows:    Vessel -> Vessel\n"
	"edge Guides:  Pilot -> Vessel @card(0..2) { since: Date }\n";

static struct og_catalog *catalog;
static struct og_arena arena;

static void setup(void)
{
	struct og_error err = { 0 };

	og_arena_init(&arena, 0);
	ck_assert_msg(og_catalog_compile(OG_SLICE(schema), NULL, 0, &catalog, &err) == 0, "%s", err.message);
}

static void teardown(void)
{
	og_catalog_unref(catalog);
	og_arena_fini(&arena);
}

/* Parses an exact heap copy, so that a read past the end is seen. */
static int parse(const char *text, size_t n, struct gq_file *f, struct og_error *err)
{
	char *copy = malloc(n ? n : 1);
	int rc;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, n);
	rc = gq_parse(&arena, og_slice(copy, n), f, err);
	free(copy);
	return rc;
}

static int check(const char *text, struct gq_query **q, struct og_error *err)
{
	struct gq_file f = { 0 };
	int rc = parse(text, strlen(text), &f, err);

	if (rc == 0)
		rc = gq_select(&f, (struct og_slice){ 0 }, q, err);
	return rc < 0 ? rc : gq_check(&arena, *q, catalog, err);
}

static struct gq_query *good(const char *text)
{
	struct og_error err = { 0 };
	struct gq_query *q = NULL;

	if (check(text, &q, &err) < 0)
		ck_abort_msg("%s: %s", text, err.message);
	return q;
}

/* Sources: "m:" stands for a match with that body, "r:" for the return list of a match of a vessel, "o:" for its order,
 * "w:" for a mutation. All have the parameters below. */
#define PARAMS "$s: String, $i: I32, $f: F64, $d: Date, $t: DateTime, $v: Vector(4), $v3: Vector(3), $l: [String], $fl: [F32], " \
	       "$il: [I64], $b: Blob, $n: String?"

static const char *expand(const char *text)
{
	const char *body = text + 2;
	char kind = text[0] && text[1] == ':' ? text[0] : '\0';

	if (kind == 'm')
		return og_arena_printf(&arena, "query q(" PARAMS ") { match { %s } return { $s } }", body);
	if (kind == 'r')
		return og_arena_printf(&arena, "query q(" PARAMS ") { match { $x: Vessel } return { %s } }", body);
	if (kind == 'o')	/* the text closes the braces: a limit may stand between them */
		return og_arena_printf(&arena, "query q(" PARAMS ") { match { $x: Vessel $x $e:docksAt $y } return { $x.name as a, "
					       "nearest($x.hull, $v) as z } order { %s", body);
	if (kind == 'w')
		return og_arena_printf(&arena, "query q(" PARAMS ") { %s }", body);
	return text;
}

static const struct {
	const char *source, *message;
} type_errors[] = {
	/* parameters */
	{ "query q($p: Vector(0)) { match { $x: Port } return { $x } }", "unknown parameter type `Vector(0)` for `$p`" },
	{ "query q($p: Vector(2147483648)?) { match { $x: Nope } return { $x } }",
	  "unknown parameter type `Vector(2147483648)` for `$p`" },
	{ "query q($__nanograph_now: DateTime) { match { $x: Port } return { $x } }",
	  "parameter name `$__nanograph_now` is reserved for runtime timestamp injection" },
	/* T1 */
	{ "m:$x: Nope", "T1: unknown node type `Nope`" },
	{ "m:$x: DocksAt", "T1: unknown node type `DocksAt`" },
	{ "m:$x: Port not { $y: Nope }", "T1: unknown node type `Nope`" },
	/* T2 */
	{ "m:$x: Port { nope: 1 }", "T2: type `Port` has no property `nope`" },
	{ "m:$x: Port { id: \"a\" }", "T2: type `Port` has no property `id`" },
	/* T3 */
	{ "m:$x: Vessel { plan: \"a\" }", "T3: blob property `Vessel.plan` cannot be used in match patterns" },
	{ "m:$x: Vessel { hull: [1, 2, 3] }", "T3: property `hull` has type Vector(4) but got vector literal with 3 elements" },
	{ "m:$x: Vessel { hull: [] }", "T3: property `hull` has type Vector(4) but got vector literal with 0 elements" },
	{ "m:$x: Vessel { hull: \"a\" }", "T3: property `hull` has type Vector(4)? but got String" },
	{ "m:$x: Vessel { tonnage: \"7\" }", "T3: property `tonnage` has type I32? but got String" },
	{ "m:$x: Vessel { built: \"2031-01-01\" }", "T3: property `built` has type Date? but got String" },
	{ "m:$x: Vessel { built: datetime(\"2031-01-01\") }", "T3: property `built` has type Date? but got DateTime" },
	{ "m:$x: Vessel { name: [\"a\"] }", "T3: property `name` has type String but got [String]" },
	{ "m:$x: Vessel { kind: \"Tug\" }", "T3: property `kind` expects one of [ferry, tug], got 'Tug'" },
	{ "m:$x: Vessel { flags: [\"a\"] }",
	  "T3: list equality is not supported for property `flags`; use a scalar value to match list membership" },
	{ "m:$x: Vessel { flags: 7 }", "T3: property `flags` has type [String]? but membership match got I64" },
	/* T4, T5 */
	{ "m:$x: Vessel $x nope $y", "T4: unknown edge type `nope`" },
	{ "m:$x: Vessel $x contains $y", "T4: unknown edge type `contains`" },
	{ "m:$x: Pilot $x docksAt $y",
	  "T5: variable `$x` has type `Pilot`, which is not an endpoint of edge `DocksAt: Vessel -> Port`" },
	{ "m:$y: Pilot $x docksAt $y",
	  "T5: variable `$y` has type `Pilot`, which is not an endpoint of edge `DocksAt: Vessel -> Port`" },
	{ "m:$x: Vessel $y: Pilot $x docksAt $y", "T5: variable `$y` has type `Pilot` but edge `DocksAt` expects `Port`" },
	{ "m:$x: Port $y: Port $x docksAt $y", "T5: variable `$y` has type `Port` but edge `DocksAt` expects `Vessel`" },
	{ "m:$x docksAt $x", "T5: variable `$x` has type `Vessel` but edge `DocksAt` expects `Port`" },
	/* T6 */
	{ "m:$x: Vessel $y.name = \"a\"", "T6: variable `$y` is not bound" },
	{ "m:$_: Vessel $_.name = \"a\"", "T6: variable `$_` is not bound" },
	{ "m:$x.name = \"a\" $x: Vessel", "T6: variable `$x` is not bound" },
	{ "m:$x: Vessel { name: $y }", "T6: variable `$y` is not bound" },
	{ "m:$y: Vessel $x: Vessel { name: $y }", "T6: variable `$y` is not bound" },
	{ "m:$s: Vessel", "T6: variable `$s` is already declared as a parameter" },
	{ "m:$x: Vessel $x docksAt $s", "T6: variable `$s` is already declared as a parameter" },
	{ "m:$x: Vessel $x $s:docksAt $y", "T6: variable `$s` is already declared as a parameter" },
	{ "m:$x: Vessel $x.nope = 1", "T6: type `Vessel` has no property `nope`" },
	{ "m:$x: Vessel $s.nope = 1", "T6: variable `$s` is not bound" },
	{ "m:$x $e:docksAt $y $e.nope = 1", "T6: edge `DocksAt` has no property `nope`" },
	{ "m:$x: Vessel not { $x docksAt $y } $y.city = \"a\"", "T6: variable `$y` is not bound" },
	{ "m:$x: Vessel not { $y.city = \"a\" $x docksAt $y } $x docksAt $y", "T6: variable `$y` is not bound" },
	{ "r:$y.name", "T6: variable `$y` is not bound" },
	{ "r:$y", "variable `$y` is not bound" },
	{ "m:$x: Vessel $x: Port", "variable `$x` already bound to type `Vessel`, cannot rebind to `Port`" },
	{ "m:$v1: Vessel not { $v1 docksAt $y $y: Pilot }", "variable `$y` already bound to type `Port`, cannot rebind to `Pilot`" },
	{ "m:$x: Vessel not { $x docksAt $y } $y: Pilot", "variable `$y` already bound to type `Port`, cannot rebind to `Pilot`" },
	/* T7: values beside properties */
	{ "m:$x: Vessel { tonnage: $s }", "T7: cannot assign/compare String with I32? for property `tonnage`" },
	{ "m:$x: Vessel { built: now() }", "T7: cannot assign/compare DateTime with Date? for property `built`" },
	{ "m:$x: Vessel { hull: $v3 }", "T7: cannot assign/compare Vector(3) with Vector(4)? for property `hull`" },
	{ "m:$x: Vessel { flags: $l }",
	  "T7: list equality is not supported for property `flags`; use a scalar parameter for membership matching" },
	{ "m:$x: Vessel { flags: $i }", "T7: cannot compare I32 membership against [String]? for property `flags`" },
	{ "m:$x: Vessel { flags: now() }", "T7: cannot compare DateTime membership against [String]? for property `flags`" },
	/* T7: filters */
	{ "m:$x: Vessel $x.tonnage = $n", "T7: cannot compare I32? with String?" },
	{ "m:$x: Vessel $x.built > $x.seen", "T7: cannot compare Date? with DateTime?" },
	{ "m:$x: Vessel $x = \"a\"", "T7: filter comparisons require scalar operands, got node `Vessel` and String" },
	{ "m:$x: Vessel 1 < count($x)", "T7: filter comparisons require scalar operands, got I64 and aggregate" },
	{ "m:$x: Vessel nope = 1", "T7: filter comparisons require scalar operands, got aggregate and I64" },
	{ "m:$x: Vessel $x.flags = \"a\"",
	  "T7: list comparisons in filters are not supported; use `contains` for list membership" },
	{ "m:$x: Vessel $x.hull = $v", "T7: vector comparisons in filters are not supported" },
	{ "m:$x: Vessel $x.plan = $s", "T7: blob comparisons in filters are not supported" },
	{ "m:$x: Vessel $x.tonnage contains 1",
	  "T7: contains requires a list property (membership) or a String property (substring) on the left, got I32?" },
	{ "m:$x: Vessel $x.hull contains 1.5",
	  "T7: contains requires a list property (membership) or a String property (substring) on the left, got Vector(4)?" },
	{ "m:$x: Vessel $x.flags contains $l", "T7: contains requires a scalar right operand" },
	{ "m:$x: Vessel $x.flags contains $v", "T7: vector membership filters are not supported" },
	{ "m:$x: Vessel $x.flags contains 7", "T7: cannot test membership of I64 in [String]?" },
	{ "m:$x: Vessel [] contains 7", "T7: cannot test membership of I64 in [String]" },
	{ "m:$x: Vessel $x.name contains 7", "T7: string contains requires a String right operand, got I64" },
	{ "m:$x: Vessel $x.flags starts_with \"a\"", "T7: starts_with requires a String property on the left, got [String]?" },
	{ "m:$x: Vessel $x.name starts_with $i", "T7: starts_with requires a String right operand, got I32" },
	/* literals */
	{ "m:$x: Vessel [[1]] contains 1", "nested list literals are not supported" },
	{ "m:$x: Vessel [1, \"a\"] contains 1", "list literal elements must share a compatible scalar type" },
	{ "m:$x: Vessel [date(\"x\"), \"a\"] contains 1", "list literal elements must share a compatible scalar type" },
	/* T8, T10, T9 */
	{ "r:sum($x.name)", "T8: sum requires numeric type, got String" },
	{ "r:avg($x.flags)", "T8: avg requires numeric type, got [String]?" },
	{ "r:min($x.built)", "T8: min requires numeric or string type, got Date?" },
	{ "r:max($x.ok)", "T8: max requires numeric or string type, got Bool?" },
	{ "r:sum(count($x))", "T8: sum cannot be applied to an aggregate" },
	{ "r:sum($x)", "T10: sum needs a numeric property" },
	{ "r:count($x) 7", "T9: non-aggregate expressions in an aggregate query must be property accesses or variables" },
	{ "r:count($x) a", "T9: non-aggregate expressions in an aggregate query must be property accesses or variables" },
	{ "m:$x: Vessel not { $y: Port }", "T9: negation block must reference at least one outer-bound variable" },
	{ "m:$x: Vessel not { $y: Port not { $x docksAt $y } }",
	  "T9: negation block must reference at least one outer-bound variable" },
	{ "m:not { $x docksAt $y } $x: Vessel", "T9: negation block must reference at least one outer-bound variable" },
	{ "m:$x: Vessel not { $y: Port { code: $s } }", "T9: negation block must reference at least one outer-bound variable" },
	/* T15 */
	{ "m:$x: Vessel $x tows{0,2} $y", "T15: traversal min hop bound must be >= 1" },
	{ "m:$x: Vessel $x tows{3,2} $y", "T15: invalid traversal bounds {3,2}; max must be >= min" },
	{ "m:$x: Vessel $x tows{1,} $y", "T15: unbounded traversal is disabled; use bounded traversal {min,max}" },
	{ "o:nearest($q.hull, $v) } limit 1 }", "T15: variable `$q` is not bound" },
	{ "o:nearest($x.nope, $v) } limit 1 }", "T15: type `Vessel` has no property `nope`" },
	{ "o:nearest($x.name, $v) } limit 1 }", "T15: nearest requires a Vector property, got Vessel.name: String" },
	{ "o:nearest($x.hull, [1, 2, 3]) } limit 1 }",
	  "T15: nearest vector dimension mismatch: property is Vector(4), query literal has 3 elements" },
	{ "o:nearest($x.hull, $v3) } limit 1 }",
	  "T15: nearest vector dimension mismatch: property is Vector(4), query is Vector(3)" },
	{ "o:nearest($x.hull, $i) } limit 1 }", "T15: nearest query must be Vector(4) or String, got I32" },
	{ "o:nearest($x.hull, $il) } limit 1 }", "T15: nearest query must be Vector(4) or String, got [I64]" },
	{ "o:nearest($x.hull, [\"a\"]) } limit 1 }", "T15: nearest query must be Vector(4) or String, got [String]" },
	{ "o:nearest($x.hull, $x) } limit 1 }", "T15: nearest query must be a scalar expression" },
	{ "o:nearest($x.hull, $x.hull) } limit 1 }", "T15: nearest query must be a scalar expression" },
	/* T17, T18 */
	{ "o:nearest($x.hull, $v) } }", "T17: nearest ordering requires a limit clause" },
	{ "o:nearest($x.hull, $v), a } limit 1 }",
	  "T18: alias-based ordering is not supported together with nearest in phase 1" },
	{ "o:z } limit 1 }", "T18: alias-based ordering is not supported together with nearest in phase 1" },
	{ "o:nearest($x.hull, $v) desc } limit 1 }", "nearest ordering takes no direction" },
	/* T19, T20 */
	{ "m:$x: Vessel search($x.tonnage, \"a\")", "T19: search field must be String, got I32?" },
	{ "m:$x: Vessel search($x.flags, \"a\")", "T19: search field must be a scalar String expression" },
	{ "m:$x: Vessel search($x, \"a\")", "T19: search field must be a scalar String expression" },
	{ "m:$x: Vessel search($x.name, 7)", "T19: search query must be String, got I64" },
	{ "m:$x: Vessel search($x.name, $l)", "T19: search query must be a scalar String expression" },
	{ "m:$x: Vessel fuzzy($x.built, \"a\")", "T19: fuzzy field must be String, got Date?" },
	{ "m:$x: Vessel fuzzy($x.flags, \"a\")", "T19: fuzzy field must be a scalar String expression" },
	{ "m:$x: Vessel fuzzy($x.name, 7)", "T19: fuzzy query must be String, got I64" },
	{ "m:$x: Vessel fuzzy($x.name, \"a\", \"b\")", "T19: fuzzy max_edits must be an integer scalar, got String" },
	{ "m:$x: Vessel fuzzy($x.name, \"a\", 1.5)", "T19: fuzzy max_edits must be an integer scalar, got F64" },
	{ "m:$x: Vessel fuzzy($x.name, \"a\", $il)", "T19: fuzzy max_edits must be an integer scalar expression" },
	{ "m:$x: Vessel match_text($x.tonnage, \"a\")", "T20: match_text field must be String, got I32?" },
	{ "m:$x: Vessel match_text($x.name, $x)", "T20: match_text query must be a scalar String expression" },
	{ "o:bm25($x.tonnage, \"a\") } }", "T20: bm25 field must be String, got I32?" },
	{ "o:bm25($x.name, 1.5) } }", "T20: bm25 query must be String, got F64" },
	/* T21 */
	{ "o:rrf(nearest($x.hull, $v), bm25($x.name, $s)) } }", "T21: rrf ordering requires a limit clause" },
	{ "o:rrf(nearest($x.hull, $v), bm25($x.name, $s), 0) } limit 1 }", "T21: rrf k must be greater than 0" },
	{ "o:rrf(nearest($x.hull, $v), bm25($x.name, $s), \"a\") } limit 1 }", "T21: rrf k must be an integer scalar, got String" },
	{ "o:rrf(nearest($x.hull, $v), bm25($x.name, $s), $il) } limit 1 }",
	  "T21: rrf k must be an integer scalar expression" },
	{ "o:rrf(nearest($x.hull, $v), bm25($y.city, $s)) } limit 1 }", "T21: both arms of rrf must rank the same variable" },
	/* T22, T23 */
	{ "m:$x: Vessel $x <docksAt> $y",
	  "T22: undirected traversal `<DocksAt>` requires a same-endpoint-type edge, but `DocksAt: Vessel -> Port` is asymmetric; use the directional form" },
	{ "m:$x: Vessel $x $e:tows{1,2} $y",
	  "T23: edge binding `$e` cannot be combined with traversal bounds; a multi-hop traversal matches a path of edges, not one edge" },
	{ "m:$x: Vessel $x $x:tows $y",
	  "T23: edge binding `$x` cannot reuse a traversal endpoint name; edge bindings and node endpoints need distinct names" },
	{ "m:$x: Vessel $z: Port $x $z:tows $y", "T23: variable `$z` is already bound; an edge binding needs a fresh name" },
	{ "m:$x $e:tows $y $x $e:tows $z", "T23: variable `$e` is already bound; an edge binding needs a fresh name" },
	{ "m:$x $e:tows $y $e tows $x",
	  "T23: edge binding `$e` cannot be used as a traversal endpoint; traversal endpoints must be node bindings" },
	{ "m:$x $e:tows $y $e = 1",
	  "T23: edge binding `$e` cannot be used bare; access one of its properties (`$e.{prop}`)" },
	{ "m:$x $e:tows $y $e: Vessel", "T23: variable `$e` is bound to edge type `Tows` and cannot be rebound as node type `Vessel`" },
	{ "m:$x $e:docksAt $y search($e.note, \"a\")",
	  "T23: search cannot target edge property `$e.note`; text/rank search runs on node properties — edge properties support comparison filters and projection" },
	{ "o:bm25($e.note, \"a\") } }",
	  "T23: bm25 cannot target edge property `$e.note`; text/rank search runs on node properties — edge properties support comparison filters and projection" },
	{ "o:nearest($e.note, \"a\") } limit 1 }",
	  "T23: nearest cannot target edge binding `$e`; vector search runs on node properties" },
	/* mutations */
	{ "w:insert Nope { a: 1 }", "T10: unknown node/edge type `Nope`" },
	{ "w:insert Docksat { a: 1 }", "T10: unknown node/edge type `Docksat`" },
	{ "w:insert Port { nope: 1 }", "T11: type `Port` has no property `nope`" },
	{ "w:delete Port where id = \"a\"", "T11: type `Port` has no property `id`" },
	{ "w:delete Port where from = \"a\"", "T11: type `Port` has no property `from`" },
	{ "w:delete Vessel where plan = $s", "T11: blob property `plan` cannot be used in WHERE predicates" },
	{ "w:insert Port { code: \"a\" }", "T12: insert for `Port` must provide non-nullable property `city`" },
	{ "w:insert Doc { text: \"a\" } insert Port { code: \"a\" }", "T12: insert for `Port` must provide non-nullable property `city`" },
	{ "w:insert DocksAt { berth: 1 }", "T12: insert for `DocksAt` must provide required endpoint `from`" },
	{ "w:insert DocksAt { from: \"a\" }", "T12: insert for `DocksAt` must provide required endpoint `to`" },
	{ "w:insert Guides { from: \"a\" to: \"b\" }", "T12: insert for `Guides` must provide non-nullable property `since`" },
	{ "w:insert Port { code: \"a\" code: \"b\" }", "T13: duplicate assignment for property `code`" },
	{ "w:insert Port { code: $q }", "T14: mutation variable `$q` must be a declared query parameter" },
	{ "w:delete Port where code = $q", "T14: mutation variable `$q` must be a declared query parameter" },
	{ "w:update DocksAt set { berth: 1 } where berth = 2", "T16: update mutation for edge type `DocksAt` is not supported" },
	{ "w:update Vessel set { plan: \"uri\" } where code = \"a\"", "T3: property `plan` has type Blob? but got String" },
	{ "w:update Vessel set { kind: \"x\" } where code = \"a\"", "T3: property `kind` expects one of [ferry, tug], got 'x'" },
	{ "w:update Vessel set { name: \"x\" } where kind = \"a\"", "T3: property `kind` expects one of [ferry, tug], got 'a'" },
	{ "w:update Vessel set { flags: \"x\" } where code = \"a\"", "T3: property `flags` has type [String]? but got String" },
	{ "w:update Vessel set { nums: [] } where code = \"a\"", "T3: property `nums` has type [I32]? but got [String]" },
	{ "w:update Vessel set { hull: [1] } where code = \"a\"",
	  "T3: property `hull` has type Vector(4) but got vector literal with 1 elements" },
	{ "w:update Vessel set { hull: $fl } where code = \"a\"",
	  "T7: cannot assign/compare [F32] with Vector(4)? for property `hull`" },
	{ "w:update Vessel set { built: now() } where code = \"a\"",
	  "T7: cannot assign/compare DateTime with Date? for property `built`" },
	{ "w:update Vessel set { name: \"a\" } where flags = \"a\"", "T3: property `flags` has type [String]? but got String" },
	{ "w:insert DocksAt { from: 1 to: \"b\" }", "T3: property `from` has type String but got I64" },
	{ "w:insert DocksAt { from: \"a\" to: $i }", "T7: cannot assign/compare I32 with String for property `to`" },
	{ "w:delete DocksAt where from = 7", "T3: property `from` has type String but got I64" },
	/* the order of the stages */
	{ "query q() { match { $x: Vessel not { $y: Port } } return { $x.nope } }", "T6: type `Vessel` has no property `nope`" },
	{ "query q() { match { $x: Vessel } return { count($x) 7 } order { $x.nope } }", "T6: type `Vessel` has no property `nope`" },
};

START_TEST(words_every_type_error)
{
	const char *source = expand(type_errors[_i].source);
	struct gq_query *q = NULL;
	struct og_error err = { 0 };
	char want[512];

	snprintf(want, sizeof(want), "type error: %s", type_errors[_i].message);
	ck_assert_msg(check(source, &q, &err) == OG_ERR_BAD, "no error: %s", source);
	ck_assert_str_eq(err.message, want);
	ck_assert_uint_gt(err.pos.line, 0);
}
END_TEST

static const char *const good_sources[] = {
	"m:$x: Vessel", "m:$x: Vessel { code: \"a\", tonnage: 7, }", "m:$x: Vessel { tonnage: 7.5, hull: $v }",
	"m:$x: Vessel { flags: $s, days: date(\"2031-01-01\"), nums: 1.5 }", "m:$x: Vessel { seen: now(), kind: $s, width: 1 }",
	"m:$x: Vessel $x: Vessel { name: $n }", "m:$x docksAt $y $x: Vessel $y: Port", "m:$x docksat $y", "m:$_ docksAt $_ $_ tows $_",
	"m:$y: Port $y docksAt $x $x.name = \"a\"", "m:$x: Port $y: Vessel $x docksAt $y", "m:$x tows{1,3} $y", "m:$x <tows>{2,2} $y",
	"m:$x <tows> $y", "m:$x $e:<tows> $y", "m:$x $_:tows $y", "m:$x $e:docksAt $y $e.berth > 2", "m:$x tows $x",
	"m:$x: Vessel $x.name contains \"a\" $x.flags contains $s [1, 2.5] contains $x.tonnage \"abc\" contains $x.name",
	"m:$x: Vessel $x.name starts_with $x.code", "m:$x: Vessel now() > $x.seen 2.7 = $x.tonnage $x.tonnage != $f",
	"m:$x: Vessel $x.kind = \"nope\" $x.kind contains \"u\"",
	"m:$x: Vessel search($x.name, $s) fuzzy($x.kind, \"a\", 2) match_text($x.code, $n)",
	"m:$x: Vessel search($x.name, \"a\") = false", "m:$x: Vessel nearest($x.hull, $v) < 0.5",
	"m:$x: Vessel not { $x docksAt $y not { $y: Port { code: \"a\" } $x tows $_ } }",
	"m:$x: Vessel not { $x docksAt $y } $x docksAt $y", "m:$x: Vessel not { $x $e:docksAt $_ } $x $e:tows $_",
	"m:$x: Vessel not { $x docksAt $y } not { $x tows $y }", "m:$x: Vessel not { $x.tonnage = 1 }",
	"r:$x, $x.name as b $s now() 7 [1, 2] date(\"x\") b as c", "r:count($x) $x.name, $s $x as id", "r:min($x) max($x.name) avg($x.width)",
	"r:count(1) count($x.plan) sum($x.tonnage)", "r:$x.name as as", "r:$x.name as $x.code as as2",
	"o:$x.code desc, a asc, $y.city } }", "o:$x.code } limit 0 }", "o:nope } limit 007 }", "o:count($x) } }", "o:$x } }",
	"o:nearest($x.hull, [1, 2, 3.5, 4]), $x.code desc } limit 1 }", "o:nearest($x.hull, $s) } limit 1 }",
	"o:nearest($x.hull, $fl) } limit 1 }", "o:bm25($x.name, $s) desc, a } }",
	"o:rrf(nearest($x.hull, \"a\"), bm25($x.name, \"b\"), 10) asc } limit 1 }",
	"w:insert Port { code: $s, city: \"b\" } update Port set { city: \"x\" } where code >= \"a\"",
	"w:delete Vessel where hull = [1, 2, 3, 4] delete Vessel where flags = [] delete DocksAt where to != $s",
	"w:insert Doc { text: \"a\" }", "w:insert Doc { text: \"a\" vec: [1, 2] }", "w:insert DocksAt { to: \"a\", from: $n, berth: 1.5 }",
	"w:update Vessel set { plan: $s } where code = \"a\" update Vessel set { plan: $b, nums: [1, 2.5], seen: now() } where code = \"a\"",
	"query match() { match { $match: Port } return { $match } }",
	"query q($p: String, $p: I32) { match { $x: Port { city: $p } } return { $x } }",
	"query q() @description(\"a\") @instruction(\"b\\n\") { match { $x: Port } return { $x.city as order } order { order } limit 1 }",
	"query q(){match{$x:Port{code:\"a\"}}return{$x.city}}", "/* c */ query q() { // x\n match { $x: Port } return { $x } } // end",
};

START_TEST(accepts)
{
	good(expand(good_sources[_i]));
}
END_TEST

static const struct {
	const char *source, *place;
} syntax[] = {
	{ "query (", "1:7" },
	{ "queryq() { match { $x: A } return { $x } }", "1:1" },
	{ "\xef\xbb\xbfquery", "1:1" },
	{ "query q() {", "1:12" },
	{ "query q() {}", "1:12" },
	{ "query Q() { match", "1:7" },
	{ "query q($P: String) {", "1:9" },
	{ "query q($p: Text) {", "1:13" },
	{ "query q($p: [Vector(3)]) {", "1:14" },
	{ "query q($p: String,) {", "1:20" },
	{ "query q() @foo(\"a\") {", "1:12" },
	{ "query q() { match {} return { $x } }", "1:20" },
	{ "query q() { match { $x: A } return {} }", "1:37" },
	{ "query q() { match { $x: A } return { $x } order {} }", "1:50" },
	{ "query q() { match { $x: A } return { $x } order { $x asc desc } }", "1:58" },
	{ "query q() { match { $x: A } return { $x } order { $x.a, } }", "1:57" },
	{ "query q() { match { $x: A } return { $x } limit3 }", "1:43" },
	{ "query q() { match { $x: A } return { $x } limit $n }", "1:49" },
	{ "query q() { match { $x: A } return { $x } limit -1 }", "1:49" },
	{ "query q() { match { $x: A {} } return { $x } }", "1:28" },
	{ "query q() { match { $x: A { p: $a.b } } return { $x } }", "1:34" },
	{ "query q() { match { $x: A { p: 1 q: 2 } } return { $x } }", "1:34" },
	{ "query q() { match { $x: A { p: [$a] } } return { $x } }", "1:33" },
	{ "query q() { match { $x: A { p: -1 } } return { $x } }", "1:32" },
	{ "query q() { match { $x: A { p: [1,] } } return { $x } }", "1:35" },
	{ "query q() { match { $x: A { p: 1. } } return { $x } }", "1:33" },
	{ "query q() { match { $x: A { p: 1e3 } } return { $x } }", "1:33" },
	{ "query q() { match { $x not_at $y } return { $x } }", "1:24" },
	{ "query q() { match { $x not $y } return { $x } }", "1:24" },
	{ "query q() { match { $x a{1} $y } return { $x } }", "1:27" },
	{ "query q() { match { $x.a } return { $x } }", "1:26" },
	{ "query q() { match { foo($x.a, 1) } return { $x } }", "1:24" },
	{ "query q() { match { nearest(1, 2) < 3 } return { $x } }", "1:29" },
	{ "query q() { match { rrf(1, 2) < 3 } return { $x } }", "1:25" },
	{ "query q() { match { not {} } return { $x } }", "1:26" },
	{ "query q() { match { $x: A $x DocksAt $y } return { $x } }", "1:30" },
	{ "query q() { match { $x: A } return { \"open } }", "1:38" },
	{ "query q() { insert A {} }", "1:23" },
	{ "query q() { insert A }", "1:22" },
	{ "query q() { update A { p: 1 } where a = 1 }", "1:22" },
	{ "query q() { update A set { p: 1 } }", "1:35" },
	{ "query q() { delete A where a contains 1 }", "1:30" },
	{ "query q() { insert A { p: 1 } match { $x: A } return { $x } }", "1:31" },
	{ "query q() { match { $x: A } return { $x } } /* open", "1:45" },
	{ "query q() {\n  // \u00e9\n  \"\u00e9\u00e9\" ! }", "3:3" },
	{ "query q() { match { $x.a ! 1 } return { $x } }", "1:26" },
};

START_TEST(places_every_syntax_error)
{
	struct gq_file f = { 0 };
	struct og_error err = { 0 };
	char want[64];

	snprintf(want, sizeof(want), "parse error:  --> %s\n", syntax[_i].place);
	ck_assert_msg(parse(syntax[_i].source, strlen(syntax[_i].source), &f, &err) == OG_ERR_BAD, "no error: %s", syntax[_i].source);
	ck_assert_msg(strncmp(err.message, want, strlen(want)) == 0, "%s: %s", syntax[_i].source, err.message);
}
END_TEST

static const struct {
	const char *source, *message;
} conversions[] = {
	{ "query q() { match { $x: A { p: \"a\\qb\" } } return { $x } }", "unsupported escape sequence: \\q" },
	{ "query q() @description(\"a\\\u00e9\") { match { $x: A } return { $x } }", "unsupported escape sequence: \\\u00e9" },
	{ "query q() @description(\"a\") @description(\"b\") { match { $x: A } return { $x } }",
	  "query `q` cannot include duplicate @description annotations" },
	{ "query q() @instruction(\"\") @instruction(\"b\") { match { $x: A } return { $x } }",
	  "query `q` cannot include duplicate @instruction annotations" },
	{ "query q() { match { $x: A { p: 9223372036854775808 } } return { $x } }",
	  "invalid integer: number too large to fit in target type" },
	{ "query q() { match { $x: A } return { $x } limit 18446744073709551616 }",
	  "invalid limit: number too large to fit in target type" },
	{ "query q() { match { $x a{4294967296,2} $y } return { $x } }",
	  "invalid traversal min bound: number too large to fit in target type" },
	{ "query q() { match { $x a{1,4294967296} $y } return { $x } }",
	  "invalid traversal max bound: number too large to fit in target type" },
};

START_TEST(words_what_the_grammar_lets_pass)
{
	struct gq_file f = { 0 };
	struct og_error err = { 0 };
	char want[256];

	snprintf(want, sizeof(want), "parse error: parse error: %s", conversions[_i].message);
	ck_assert_int_eq(parse(conversions[_i].source, strlen(conversions[_i].source), &f, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, want);
}
END_TEST

START_TEST(shows_the_line_with_a_caret)
{
	struct gq_file f = { 0 };
	struct og_error err = { 0 };

	ck_assert_int_eq(parse("query (", 7, &f, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "parse error:  --> 1:7\n  |\n1 | query (\n  |       ^---\n  |\n  = expected a query name");
}
END_TEST

START_TEST(selects_queries)
{
	const char *two = "query a() { match { $x: A } return { $x } } query b() { delete A where a = 1 } query a() { delete A where a = 1 }";
	struct gq_file f = { 0 }, none = { 0 };
	struct gq_query *q = NULL;
	struct og_error err = { 0 };

	ck_assert_int_eq(parse(two, strlen(two), &f, &err), 0);
	ck_assert_uint_eq(f.nqueries, 3);
	ck_assert_int_eq(gq_select(&f, OG_SLICE("a"), &q, &err), 0);
	ck_assert(!q->is_mutation);
	ck_assert(og_slice_is(q->source, "query a() { match { $x: A } return { $x } }"));
	ck_assert_int_eq(gq_select(&f, OG_SLICE("b"), &q, &err), 0);
	ck_assert(q->is_mutation);
	ck_assert_int_eq(gq_select(&f, OG_SLICE("c"), &q, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "query 'c' not found");
	ck_assert_int_eq(gq_select(&f, OG_SLICE(""), &q, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "query '' not found");
	ck_assert_int_eq(gq_select(&f, (struct og_slice){ 0 }, &q, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "query file contains multiple queries; pass --name");
	ck_assert_int_eq(parse("", 0, &none, &err), 0);
	ck_assert_int_eq(gq_select(&none, (struct og_slice){ 0 }, &q, &err), OG_ERR_BAD);
}
END_TEST

START_TEST(finds_directions)
{
	struct gq_query *q = good("query q() { match { $x: Vessel $x docksAt $y $z: Port $z docksAt $w $u docksAt $z $a tows $b } return { $x } }");
	const struct gq_clause *c = q->read.clauses;

	ck_assert(c[1].left_is_source && !c[3].left_is_source && c[4].left_is_source && c[5].left_is_source);
	ck_assert(og_slice_is(q->read.vars[c[3].right].type->name, "Vessel"));
	ck_assert(og_slice_is(q->read.vars[c[4].left].type->name, "Vessel"));
	ck_assert(q->read.vars[c[0].var].declared && !q->read.vars[c[1].right].declared);
}
END_TEST

START_TEST(names_columns)
{
	static const char *const names[] = { "x", "x.name", "s", "literal", "now", "x.tonnage", "x", "b", "search", "nope" };
	struct gq_query *q = good(expand("r:$x $x.name $s 7 now() $x.tonnage $x $x.code as b search($x.name, $s) nope"));

	ck_assert_uint_eq(q->read.nitems, OG_COUNT(names));
	for (uint32_t i = 0; i < q->read.nitems; i++)
		ck_assert(og_slice_is(q->read.items[i].column, names[i]));
	ck_assert(q->uses_search && !q->read.aggregate);
	q = good(expand("r:avg($x.tonnage) count($x) count(1)"));
	ck_assert(q->read.aggregate);
	ck_assert(og_slice_is(q->read.items[0].column, "x.tonnage"));
	ck_assert(og_slice_is(q->read.items[1].column, "x"));
	ck_assert(og_slice_is(q->read.items[2].column, "literal"));
	ck_assert_int_eq((int)q->read.items[0].expr->type.scalar, OG_F64);
	ck_assert_int_eq((int)q->read.items[1].expr->type.scalar, OG_I64);
}
END_TEST

START_TEST(scopes_variables)
{
	struct gq_query *q = good("query q() { match { $x: Vessel not { $x docksAt $y not { $y: Port $x tows $z } } $x tows $z } return { $x } }");
	const struct gq_clause *c = q->read.clauses, *in = c[1].inner, *deep = in[1].inner;

	/* $y is local to the block, $z belongs to the outermost one, which introduces it below. */
	ck_assert_uint_eq(q->read.vars[in[0].right].depth, 1);
	ck_assert_int_eq(deep[0].var, in[0].right);
	ck_assert_uint_eq(q->read.vars[deep[1].right].depth, 0);
	ck_assert_int_eq(deep[1].right, c[2].right);
	ck_assert_int_eq(in[0].left, c[0].var);
	q = good("query q() { match { $x: Vessel not { $x docksAt $y } not { $x tows $y } } return { $x } }");
	ck_assert_int_ne(q->read.clauses[1].inner[0].right, q->read.clauses[2].inner[0].right);
	q = good("query q() { match { $x $_:docksAt $_ $x $e:docksAt $_ } return { $e.berth, $x } }");
	ck_assert_int_eq(q->read.clauses[0].edge_var, -1);
	ck_assert(q->read.clauses[0].has_edge_var);
	ck_assert_int_ge(q->read.clauses[1].edge_var, 0);
	ck_assert(q->read.vars[q->read.clauses[1].edge_var].is_edge);
	ck_assert_int_ne(q->read.clauses[0].right, q->read.clauses[1].right);
	ck_assert(q->read.vars[q->read.clauses[0].right].anonymous);
}
END_TEST

START_TEST(marks_used_parameters)
{
	struct gq_query *q = good("query q($a: String, $b: String, $c: I32) { match { $x: Port { city: $a } } return { count($c) } }");

	ck_assert(q->params[0].used && !q->params[1].used && q->params[2].used);
	q = good("query q($a: String, $b: String) { update Port set { city: $b } where code = \"x\" delete Port where code = \"y\" }");
	ck_assert(!q->params[0].used && q->params[1].used);
	ck_assert(q->mixes_deletes);
}
END_TEST

/* 500 levels of each kind work; any number is survived. */
START_TEST(survives_deep_nesting)
{
	static const struct {
		const char *head, *open, *mid, *close, *tail;
	} kinds[] = {
		{ "query q() { match { $x: Vessel ", "not { $x.name = \"a\" ", "", "}", "} return { $x } }" },
		{ "query q() { match { $x: Vessel } return { ", "count(", "$x", ")", "} }" },
		{ "query q() { match { $x: Vessel } return { ", "[", "1", "]", "} }" },
		{ "query q() { match { $x: Vessel } return { ", "search(", "$x", ", \"a\")", "} }" },
		{ "query q() { delete Port where code = ", "[", "", "]", "}" },
	};
	static const int depths[] = { 1, 499, 500, 513, 5000, 100000 };

	for (size_t k = 0; k < OG_COUNT(kinds); k++) {
		struct gq_file f = { 0 };
		struct og_error err = { 0 };
		struct og_buf b = { 0 };
		int n = depths[_i], rc;

		og_buf_str(&b, kinds[k].head);
		for (int i = 0; i < n; i++)
			og_buf_str(&b, kinds[k].open);
		og_buf_str(&b, kinds[k].mid);
		for (int i = 0; i < n; i++)
			og_buf_str(&b, kinds[k].close);
		og_buf_str(&b, kinds[k].tail);
		rc = parse(b.data, b.len, &f, &err);
		if (n <= 500)
			ck_assert_msg(rc == 0, "%s", err.message);
		else if (n > 1000)
			ck_assert_int_eq(rc, OG_ERR_BAD);
		if (rc == 0) {
			rc = gq_check(&arena, &f.queries[0], catalog, &err);
			ck_assert(rc == 0 || rc == OG_ERR_BAD);
		}
		og_buf_fini(&b);
	}
}
END_TEST

static const char everything[] =
	"query q($s: String, $v: Vector(4)?, $l: [I32]) @description(\"a\\nb\") { // c\n"
	" match { $x: Vessel { code: \"a\", tonnage: 7, built: date(\"2031-05-09\"), } $x $e:docksAt $y $x <tows>{1,2} $z\n"
	"  not { $y: Port { city: $s } $x.tonnage >= 1.5 } $x.name contains $s search($x.name, \"b\") fuzzy($x.name, $s, 2) = false }\n"
	" return { $x, $x.name as n count($e.berth), now() [1, 2.5] }\n"
	" order { rrf(nearest($x.hull, $v), bm25($x.name, $s), 60), n desc } limit 10 }\n"
	"query w($s: String) { insert Port { code: $s, city: \"x\" } update Port set { city: now() } where code != \"a\" delete Tows where from = $s }\n";

/* Parsed and checked: an answer, never a crash. */
static void answers(const char *text, size_t n)
{
	struct gq_file f = { 0 };
	struct og_error err = { 0 };

	if (parse(text, n, &f, &err) < 0) {
		ck_assert_int_eq(err.code, OG_ERR_BAD);
		f.nqueries = 0;
	}
	for (uint32_t i = 0; i < f.nqueries; i++) {
		int rc = gq_check(&arena, &f.queries[i], catalog, &err);

		ck_assert(rc == 0 || rc == OG_ERR_BAD);
	}
	og_arena_reset(&arena);
}

/* Of the bytes each test takes one in PARTS: a process for each byte would cost more than what it does. */
#define PARTS 16

START_TEST(refuses_or_accepts_every_prefix)
{
	for (size_t n = (size_t)_i; n < sizeof(everything); n += PARTS)
		answers(everything, n);
}
END_TEST

START_TEST(survives_every_changed_byte)
{
	char text[sizeof(everything)];

	for (size_t at = (size_t)_i; at < sizeof(everything) - 1; at += PARTS) {
		memcpy(text, everything, sizeof(everything));
		for (int byte = 0; byte < 256; byte++) {
			text[at] = (char)byte;
			answers(text, sizeof(everything) - 1);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gq");
	TCase *tc = tcase_create("gq");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, words_every_type_error, 0, OG_COUNT(type_errors));
	tcase_add_loop_test(tc, accepts, 0, OG_COUNT(good_sources));
	tcase_add_loop_test(tc, places_every_syntax_error, 0, OG_COUNT(syntax));
	tcase_add_loop_test(tc, words_what_the_grammar_lets_pass, 0, OG_COUNT(conversions));
	tcase_add_test(tc, shows_the_line_with_a_caret);
	tcase_add_test(tc, selects_queries);
	tcase_add_test(tc, finds_directions);
	tcase_add_test(tc, names_columns);
	tcase_add_test(tc, scopes_variables);
	tcase_add_test(tc, marks_used_parameters);
	tcase_add_loop_test(tc, survives_deep_nesting, 0, 6);
	tcase_add_loop_test(tc, refuses_or_accepts_every_prefix, 0, PARTS);
	tcase_add_loop_test(tc, survives_every_changed_byte, 0, PARTS);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
