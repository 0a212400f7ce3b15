/* The schema language: what compiles, what it compiles to, and every error text. */
#include "config.h"
#include "schema/catalog.h"
#include "base/buf.h"

#include "t/check.h"
#include <stdio.h>
#include <stdlib.h>

static const char example[] = "interface Labelled { code: String @key  label: String? }\n"
			      "\n"
			      "node Vessel @description(\"A ship\") implements Labelled {\n"
			      "    flag: enum(tug, coastal, deep-sea)? @index\n"
			      "    tonnage: F64?\n"
			      "    notes: String?\n"
			      "    notes_vec: Vector(8)? @embed(notes)\n"
			      "    @range(tonnage, 0.0..600000.0)\n"
			      "    @check(code, \"^[A-Z]{2}-[0-9]+$\")\n"
			      "}\n"
			      "node Port { code: String @key  name: String @index }\n"
			      "edge CallsAt: Vessel -> Port @card(0..3) @description(\"visit\") {\n"
			      "    berth: String?\n"
			      "    @unique(src, dst)\n"
			      "}\n";

/* A copy of exactly that length on the heap, so that a read past the end is seen. */
static struct og_slice exact(const char *s, size_t n)
{
	char *p = malloc(n ? n : 1);

	ck_assert_ptr_nonnull(p);
	memcpy(p, s, n);
	return og_slice(p, n);
}

static int compile(const char *text, size_t n, struct og_catalog **out, struct og_error *err)
{
	struct og_slice src = exact(text, n);
	int rc = og_catalog_compile(src, NULL, 0, out, err);

	free((void *)(uintptr_t)src.p);
	return rc;
}

static struct og_catalog *good(const char *text)
{
	struct og_catalog *c = NULL;
	struct og_error err = { 0 };

	if (compile(text, strlen(text), &c, &err) < 0)
		ck_abort_msg("%s: %s", text, err.message);
	return c;
}

static const struct og_type *node(const struct og_catalog *c, const char *name)
{
	const struct og_type *t = og_catalog_node(c, og_slice_str(name));

	ck_assert_ptr_nonnull(t);
	return t;
}

static const struct og_property *prop(const struct og_type *t, const char *name)
{
	const struct og_property *p = og_type_property(t, og_slice_str(name));

	ck_assert_msg(p, "no property %s", name);
	return p;
}

/* "P: " and "C: " stand for the prefixes of the stages behind the syntax. */
static const struct {
	const char *source, *message;
} errors[] = {
	{ "node T { v: Vector(0) }", "P: Vector dimension must be greater than zero" },
	{ "node T { v: Vector(2147483648) }", "P: Vector dimension 2147483648 exceeds maximum supported 2147483647" },
	{ "node T { v: Vector(4294967296) }", "P: invalid Vector dimension: number too large to fit in target type" },
	{ "node T { v: [Blob] }", "P: list of Blob is not supported" },
	{ "node T { v: enum(b, a, b) }", "P: enum type cannot include duplicate values" },
	{ "node A {} edge E: A -> A @card(4294967296..)", "P: invalid cardinality min: 4294967296" },
	{ "node A {} edge E: A -> A @card(0..99999999999999999999)", "P: invalid cardinality max: 99999999999999999999" },
	{ "node A {} edge E: A -> A @card(3..2)", "P: cardinality min (3) exceeds max (2)" },
	{ "node T { p: String @unique(\"x\") }", "P: expected property name in constraint" },
	{ "node T { p: String @key(true) }", "P: expected property name in constraint" },
	{ "node T { p: String @index(0..1) }", "P: expected property name in constraint" },
	{ "node T { p: I32 @range(p) }", "P: @range requires property name and bounds: @range(prop, min..max)" },
	{ "node T { p: I32 @range(p, 5) }", "P: expected range bounds (min..max) in @range constraint" },
	{ "node T { p: I32 @range(p, p) }", "P: expected range bounds (min..max) in @range constraint" },
	{ "node T { p: String @check(p) }", "P: @check requires property name and pattern: @check(prop, \"regex\")" },
	{ "node T { p: String @check(p, 5) }", "P: expected string argument in constraint" },
	{ "node T @description(\"a\\qb\") {}", "P: unsupported escape sequence: \\q" },
	{ "node T @description(\"a\\\u00e9b\") {}", "P: unsupported escape sequence: \\\u00e9" },
	{ "node T implements I {}", "P: node T implements unknown interface 'I'" },
	{ "interface I { p: I32? } node T implements I { p: I32 }",
	  "P: node T property 'p' has type I32 but interface I declares it as I32?" },
	{ "interface I { p: enum(b, a) } node T implements I { p: [String] }",
	  "P: node T property 'p' has type [String] but interface I declares it as enum(a, b)" },
	{ "interface I { p: Vector(3) } interface J { p: Vector(4) } node T implements I, J {}",
	  "P: node T property 'p' has type Vector(3) but interface J declares it as Vector(4)" },
	{ "node T @key { p: String }", "P: @key is only supported on node properties or as body constraint (node T)" },
	{ "node T @embed(p) { p: String }", "P: @embed is only supported on node properties or as body constraint (node T)" },
	{ "node A {} edge E: A -> A @unique", "P: @unique is not supported on edges (edge E)" },
	{ "node T @description(\"a\") @description(\"b\") {}", "P: node T declares @description multiple times" },
	{ "node A {} edge E: A -> A @instruction(\"a\") @instruction(\"b\")", "P: edge E declares @instruction multiple times" },
	{ "node T { p: I32 @description(\"a\") @description(\"b\") }", "P: property T.p declares @description multiple times" },
	{ "node T @description {}", "P: @description on node T requires a non-empty value" },
	{ "node T { p: I32 @description(\" \\n\") }", "P: @description on property T.p requires a non-empty value" },
	{ "node T @rename_from(\"A\") @rename_from(\"B\") {}", "P: node T declares @rename_from multiple times" },
	{ "node T { p: I32 @rename_from }",
	  "P: @rename_from on property T.p requires exactly one non-empty positional value" },
	{ "node T { p: [String] @key }", "P: @key is not supported on list property T.p" },
	{ "node T { p: [String] @index }", "P: @index is not supported on list property T.p" },
	{ "node T { p: [String] @embed(p) }", "P: @embed is not supported on list property T.p" },
	{ "node T { p: Vector(3) @unique }", "P: @unique is not supported on vector property T.p" },
	{ "node T { p: Blob @index }", "P: @index is not supported on blob property T.p" },
	{ "node T { p: I32 @instruction(\"x\") }", "P: @instruction is only supported on node and edge types (property T.p)" },
	{ "node A {} edge E: A -> A { p: String @key }", "P: @key is not supported on edge properties (edge E.p)" },
	{ "node A {} edge E: A -> A { s: String p: Vector(2) @embed(s) }",
	  "P: @embed is not supported on edge properties (edge E.p)" },
	{ "node T { p: String @unique @unique }", "P: property T.p declares @unique multiple times" },
	{ "node T { p: String @embed(p) }", "P: @embed is only supported on vector properties (T.p)" },
	{ "node T { p: Vector(2) @embed }", "P: @embed on T.p requires a source property name" },
	{ "node T { p: Vector(2) @embed(\" \") }", "P: @embed on T.p requires a non-empty source property name" },
	{ "node T { p: Vector(2) @embed(q) }", "P: @embed on T.p references unknown source property q" },
	{ "node T { q: I32 p: Vector(2) @embed(q) }", "P: @embed source property T.q must be String" },
	{ "node T { q: [String] p: Vector(2) @embed(q) }", "P: @embed source property T.q must be String" },
	{ "node T { q: String p: Vector(2) @embed(q, dim=3) }",
	  "P: @embed on T.p has unknown argument 'dim=' (only 'model' is supported)" },
	{ "node A {} edge E: A -> A { p: String @key(p) }", "P: @key constraint is not supported on edges (edge E)" },
	{ "node T { p: String @key q: String @key }", "P: node type T has multiple @key constraints; only one is supported" },
	{ "node T { @key(p) }", "P: @key on T references unknown property 'p'" },
	{ "node T { @unique(p) }", "P: @unique on T references unknown property 'p'" },
	{ "node T { @index(src) }", "P: @index on T references unknown property 'src'" },
	{ "node T { @range(p, 0..) }", "P: @range on T references unknown property 'p'" },
	{ "node T { @check(p, \"x\") }", "P: @check on T references unknown property 'p'" },
	{ "node T { p: String? @key }", "P: @key property T.p cannot be nullable" },
	{ "node T { p: [String] @key(p) }", "P: @key is not supported on list property T.p" },
	{ "node T { p: Vector(2) @key(p) }", "P: @key is not supported on vector property T.p" },
	{ "node T { p: Blob @key(p) }", "P: @key is not supported on blob property T.p" },
	{ "node T { p: Blob @index(p) }", "P: @index is not supported on blob property T.p" },
	{ "node T { p: Blob @unique(p) }", "P: @unique is not supported on blob property T.p" },
	{ "node A {} edge E: A -> A { p: I32 @range(p, 0..1) }", "P: @range constraint is not supported on edges (edge E)" },
	{ "node A {} edge E: A -> A { p: String @check(p, \"x\") }", "P: @check constraint is not supported on edges (edge E)" },
	{ "node T { p: String? @range(p, 0..1) }", "P: @range on T.p requires a numeric type, got String?" },
	{ "node T { p: I32 @check(p, \"x\") }", "P: @check on T.p requires String type, got I32" },
	{ "node Person {} node Person {}", "C: type id collision: 'Person' and 'Person' both hash to 3227219152" },
	{ "node Person { name: String name: I32 }",
	  "C: property id collision on Person: 'name' and 'name' both hash to 1466009789" },
	{ "node T { id: String }", "C: property name 'id' is reserved (node T)" },
	{ "node A {} edge E: A -> A { src: String }", "C: property name 'src' is reserved (edge E)" },
	{ "node T { _rowid: I32 }", "C: property name '_rowid' is reserved (node T)" },
	{ "interface I { id: I32 } node T implements I {}", "C: property name 'id' is reserved (node T)" },
	{ "node A {} edge E: B -> A", "C: edge E references unknown source type: B" },
	{ "node A {} edge E: A -> B", "C: edge E references unknown target type: B" },
	{ "interface I {} node A {} edge E: A -> I", "C: edge E references unknown target type: I" },
	{ "node A {} edge LikeS: A -> A edge LiKes: A -> A",
	  "C: edge name collision after case folding: 'LikeS' conflicts with 'LiKes'" },
	/* The order of the stages. */
	{ "node T { v: Vector(0) } node U implements I {}", "P: Vector dimension must be greater than zero" },
	{ "node T @key {} node U implements I {}", "P: node U implements unknown interface 'I'" },
	{ "node T { @key(x) } node U @key {}", "P: @key is only supported on node properties or as body constraint (node U)" },
	{ "node T {} node T {} node U { @key(x) }", "P: @key on U references unknown property 'x'" },
	{ "edge E: A -> A node Person {} node Person {}",
	  "C: type id collision: 'Person' and 'Person' both hash to 3227219152" },
	{ "node T { id: I32 } node Person { name: I32 name: I32 }",
	  "C: property id collision on Person: 'name' and 'name' both hash to 1466009789" },
};

START_TEST(words_every_error)
{
	struct og_catalog *c = NULL;
	struct og_error err = { 0 };
	const char *want = errors[_i].message;
	char text[512];

	snprintf(text, sizeof(text), "%s%s", want[0] == 'P' ? "parse error: parse error: " : "catalog error: ", want + 3);
	ck_assert_int_eq(compile(errors[_i].source, strlen(errors[_i].source), &c, &err), OG_ERR_BAD);
	ck_assert_ptr_null(c);
	ck_assert_str_eq(err.message, text);
	ck_assert_uint_gt(err.pos.line, 0);
}
END_TEST

/* The place of a syntax error, "line:column", by the source's text. */
static const struct {
	const char *source, *place;
} syntax[] = {
	{ "\xef\xbb\xbfnode T {}", "1:1" },
	{ "node t {}", "1:6" },
	{ "node T\u00a0{}", "1:7" },
	{ "node T {", "1:9" },
	{ "node T {}\n  edge E A -> A", "2:10" },
	{ "node T { p String }", "1:12" },
	{ "node T { p: Text }", "1:13" },
	{ "node T { p: [enum(a)] }", "1:14" },
	{ "node T { p: [String?] }", "1:20" },
	{ "node T { p: enum() }", "1:18" },
	{ "node T { p: enum(a,) }", "1:20" },
	{ "node T { p: String, q: String }", "1:19" },
	{ "node T { @foo(x) }", "1:10" },
	{ "node T { @key() }", "1:15" },
	{ "node T { p: String @key(p,) }", "1:27" },
	{ "interface I { p: String @key(p) }", "1:25" },
	{ "interface I @description(\"x\") {}", "1:13" },
	{ "node T implements I @foo {}", "1:21" },
	{ "node A {} edge E: A -> A @foo @card(0..1)", "1:38" },
	{ "node A {} edge E: A -> A @card(0..*)", "1:35" },
	{ "node T { p: I32 @range(p, -5) }", "1:27" },
	{ "node T { p: I32 @range(p, 1e3..) }", "1:28" },
	{ "node T @default(-5) {}", "1:17" },
	{ "node T @a(b, c) {}", "1:15" },
	{ "node T { p: String @x(\"open) }", "1:23" },
	{ "node T {} /* open", "1:11" },
	{ "node T {} }", "1:11" },
	{ "node T { v: Vector(-1) }", "1:20" },
	{ "// \u00e9\u00e9\nnode T { /* \u00e9 */ ! }", "2:18" },
};

START_TEST(places_every_syntax_error)
{
	struct og_catalog *c = NULL;
	struct og_error err = { 0 };
	char want[64];

	snprintf(want, sizeof(want), "parse error:  --> %s\n", syntax[_i].place);
	ck_assert_int_eq(compile(syntax[_i].source, strlen(syntax[_i].source), &c, &err), OG_ERR_BAD);
	ck_assert_msg(strncmp(err.message, want, strlen(want)) == 0, "%s: %s", syntax[_i].source, err.message);
}
END_TEST

START_TEST(shows_the_line_with_a_caret)
{
	struct og_catalog *c = NULL;
	struct og_error err = { 0 };
	const char *src = "node A {}\n\n\n\n\n\n\n\n\n\tnode b {}\n";

	ck_assert_int_eq(compile(src, strlen(src), &c, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "parse error:   --> 10:7\n   |\n10 | \tnode b {}\n   | \t     ^---\n   |\n"
				      "   = expected a type name");
	ck_assert_uint_eq(err.pos.line, 10);
	ck_assert_uint_eq(err.pos.column, 7);
}
END_TEST

START_TEST(cuts_long_lines_around_the_caret)
{
	struct og_catalog *c = NULL;
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	og_buf_str(&b, "/*");
	for (int i = 0; i < 4000; i++)
		og_buf_str(&b, "\u00e9");
	og_buf_str(&b, "*/ ! // ");
	for (int i = 0; i < 4000; i++)
		og_buf_str(&b, "\u00e9");
	ck_assert_int_eq(compile(b.data, b.len, &c, &err), OG_ERR_BAD);
	ck_assert_ptr_nonnull(strstr(err.message, "--> 1:4006\n"));
	ck_assert_ptr_nonnull(strstr(err.message, "= expected"));
	og_buf_fini(&b);
}
END_TEST

START_TEST(compiles_the_example)
{
	struct og_catalog *c = good(example);
	const struct og_type *vessel = node(c, "Vessel"), *port = node(c, "Port"), *calls;
	char path[32];

	ck_assert_uint_eq(c->ntypes, 3);
	ck_assert_uint_eq(c->ninterfaces, 1);
	ck_assert(og_slice_is(c->types[0].table_key, "edge:CallsAt"));
	ck_assert(og_slice_is(c->types[1].table_key, "node:Port"));
	ck_assert(og_slice_is(c->types[2].table_key, "node:Vessel"));
	ck_assert_uint_eq(port->id, 1);
	ck_assert_uint_eq(vessel->id, 2);
	calls = og_catalog_edge(c, OG_SLICE("callsat"));
	ck_assert_ptr_nonnull(calls);
	ck_assert_uint_eq(calls->id, 3);
	ck_assert_ptr_eq(og_catalog_by_id(c, 3), calls);
	ck_assert_ptr_eq(og_catalog_table(c, OG_SLICE("edge:CallsAt")), calls);
	ck_assert_ptr_null(og_catalog_table(c, OG_SLICE("edge:callsat")));
	ck_assert_ptr_null(og_catalog_node(c, OG_SLICE("vessel")));
	ck_assert_ptr_null(og_catalog_node(c, OG_SLICE("Labelled")));
	ck_assert_uint_eq(calls->src_type, vessel->index);
	ck_assert_uint_eq(calls->dst_type, port->index);
	ck_assert_uint_eq(calls->card_min, 0);
	ck_assert_uint_eq(calls->card_max, 3);
	ck_assert(calls->has_card);
	ck_assert_uint_eq(calls->nconstraints, 1);
	ck_assert_int_eq(calls->constraints[0].cols[0], OG_COL_DST);
	ck_assert_int_eq(calls->constraints[0].cols[1], OG_COL_SRC);
	og_type_table_path(vessel, path);
	ck_assert_int_eq((int)strlen(path), 22);
	ck_assert_uint_eq(c->source.len, strlen(example));
	og_catalog_unref(og_catalog_ref(c));
	og_catalog_unref(c);
}
END_TEST

START_TEST(orders_properties_and_constraints)
{
	struct og_catalog *c = good(example);
	const struct og_type *v = node(c, "Vessel");
	static const char *const names[] = { "code", "flag", "label", "notes", "notes_vec", "tonnage" };
	static const char *const texts[] = { "check:code:^[A-Z]{2}-[0-9]+$", "index:flag",
					     "range:tonnage:Some(Float(0.0)):Some(Float(600000.0))", "key:code" };

	ck_assert_uint_eq(v->nprops, OG_COUNT(names));
	for (uint32_t i = 0; i < v->nprops; i++) {
		ck_assert(og_slice_is(v->props[i].name, names[i]));
		ck_assert_uint_eq(v->props[i].index, i);
		ck_assert_uint_eq(v->props[i].id, OG_PROP_FIRST + i);
	}
	ck_assert_uint_eq(v->nconstraints, OG_COUNT(texts));
	for (uint32_t i = 0; i < v->nconstraints; i++) {
		ck_assert(og_slice_is(v->constraints[i].key_text, texts[i]));
		ck_assert_uint_eq(v->constraints[i].number, i);
	}
	ck_assert_uint_eq(v->nkey, 1);
	ck_assert_int_eq(v->key_cols[0], 0);
	ck_assert(prop(v, "code")->key && prop(v, "code")->indexed);
	ck_assert(prop(v, "flag")->indexed && !prop(v, "flag")->key);
	ck_assert(!prop(v, "label")->indexed);
	ck_assert_int_eq(prop(v, "notes_vec")->embed_source, 3);
	ck_assert_int_eq(prop(v, "notes")->embed_source, -1);
	ck_assert_uint_eq(prop(v, "flag")->type.nenum, 3);
	ck_assert(og_slice_is(prop(v, "flag")->type.enums[0], "coastal"));
	ck_assert(prop(v, "flag")->type.nullable);
	ck_assert_uint_eq(prop(v, "notes_vec")->type.dim, 8);
	og_catalog_unref(c);
}
END_TEST

static const char *const good_sources[] = {
	"", " \t\r\n", "// only a comment", "/* a /* b */", "interface I {}", "node T{}",
	/* Blanks are optional everywhere, even behind keywords. */
	"nodeA{p:String?q:I32}edgeE:A->A@card(0..1)", "node A implementsI{}interfaceI{}",
	/* No reserved words. */
	"node T { node: String type: String edge: Date date: DateTime enum: enum(enum) }",
	"node T { p: enum(2fa, tier-1, -x, _) }",
	"node T { a: String b: Bool c: I32 d: I64 e: U32 f: U64 g: F32 h: F64 i: Date j: DateTime k: Blob l: [F32]? m: Vector(3)? }",
	"node T { code: String @unique(code) }", "node T { code: String @ key }", "node T { p: I32 @range @check @default(5) @x(y) }",
	"node A {} edge E: A -> A @card(2) @card", "node A {} edge E: A -> A @card(0 .. )",
	"node A {} edge E: A -> A @card(1..1) { s: String @index @unique @index(src) }",
	"node Link {} edge Link: Link -> Link interface Link {}",
	"interface I { p: String @instruction(\"x\") id: I32 } node T {}",
	"interface I { p: String @key } interface J { p: String @unique } node T implements I, J {}",
	"node T { p: I32 q: F64 @range(p, -5..10) @range(q, ..3) @range(q, 0..99999999999999999999) }",
	"node T { p: [I32] q: [String] @range(p, 1..0) @check(q, \"(\") }",
	"node T { p: Vector(3072) @embed(\"t\") @index t: enum(a) }",
	"node T { t: String p: Vector(3) @embed(t, model=\"m\") }",
	"node T { p: String @description(\"two\nlines \\\" \\\\ \\n\\r\\t\") @foo(\"\\t\", a = 1, b = true, c = \"x\") }",
	"node T { p: String q: I32 @key(q, p) @unique(p) @unique(p) }",
	"node T { p: I32 @rename_from(\"q\") }",
	"node T { a: String // trailing\n b: String /* c */ ? }",
};

START_TEST(accepts)
{
	og_catalog_unref(good(good_sources[_i]));
}
END_TEST

/* Of the example's bytes each test takes one in PARTS: a process for each byte would cost more than what it does. */
#define PARTS 16

START_TEST(refuses_or_accepts_every_prefix)
{
	for (size_t n = (size_t)_i; n < sizeof(example); n += PARTS) {
		struct og_catalog *c = NULL;
		struct og_error err = { 0 };

		if (compile(example, n, &c, &err) == 0)
			og_catalog_unref(c);
		else
			ck_assert_msg(err.code == OG_ERR_BAD, "%zu bytes: %d", n, err.code);
	}
}
END_TEST

/* Every byte of the example replaced by every byte: an answer, never a crash. */
START_TEST(survives_every_changed_byte)
{
	struct og_catalog *c = NULL;
	struct og_error err = { 0 };
	char text[sizeof(example)];

	for (size_t at = (size_t)_i; at < sizeof(example) - 1; at += PARTS) {
		memcpy(text, example, sizeof(example));
		for (int byte = 0; byte < 256; byte++) {
			text[at] = (char)byte;
			if (compile(text, sizeof(example) - 1, &c, &err) == 0)
				og_catalog_unref(c);
		}
	}
}
END_TEST

START_TEST(names_key_columns_in_order)
{
	struct og_catalog *c = good("node T { b: I32 a: String @key(b, a) }");
	const struct og_type *t = node(c, "T");

	ck_assert_uint_eq(t->nkey, 2);
	ck_assert_int_eq(t->key_cols[0], 0);
	ck_assert_int_eq(t->key_cols[1], 1);
	ck_assert(og_slice_is(t->constraints[0].key_text, "key:a,b"));
	og_catalog_unref(c);
}
END_TEST

START_TEST(reads_bounds)
{
	struct og_catalog *c = good("node T { p: F64 @range(p, -5..0.5) @range(p, ..3) @range(p, 1..99999999999999999999) }");
	const struct og_type *t = node(c, "T");

	ck_assert_uint_eq(t->nconstraints, 3);
	ck_assert(og_slice_is(t->constraints[0].key_text, "range:p:Some(Integer(-5)):Some(Float(0.5))"));
	ck_assert(og_slice_is(t->constraints[1].key_text, "range:p:Some(Integer(1)):Some(Float(1e20))"));
	ck_assert(og_slice_is(t->constraints[2].key_text, "range:p:Some(Integer(3)):None"));
	og_catalog_unref(c);
}
END_TEST

START_TEST(inherits_from_interfaces)
{
	struct og_catalog *c = good("interface I { k: String @key e: enum(b, a) @index } interface J { k: String v: Vector(2) @embed(e) }"
				    "node T implements I, J { e: enum(a, b) }");
	const struct og_type *t = node(c, "T");

	ck_assert_uint_eq(t->nprops, 3);
	ck_assert(prop(t, "k")->key);
	ck_assert(!prop(t, "e")->indexed);	/* declared by the node: annotations are not inherited */
	ck_assert_int_eq(prop(t, "v")->embed_source, 0);
	ck_assert_uint_eq(t->nimplements, 2);
	og_catalog_unref(c);
}
END_TEST

START_TEST(keeps_given_type_ids)
{
	struct og_type_id ids[] = { { 7, OG_NODE, OG_SLICE("A") }, { 9, OG_EDGE, OG_SLICE("E") }, { 8, OG_NODE, OG_SLICE("Gone") } };
	struct og_slice src = OG_SLICE("node A {} edge E: A -> A");
	struct og_catalog *c = NULL;
	struct og_error err = { 0 };

	ck_assert_int_eq(og_catalog_compile(src, ids, 3, &c, &err), 0);
	ck_assert_uint_eq(node(c, "A")->id, 7);
	ck_assert_uint_eq(og_catalog_edge(c, OG_SLICE("E"))->id, 9);
	og_catalog_unref(c);
	ck_assert_int_eq(og_catalog_compile(src, ids, 1, &c, &err), OG_ERR_CORRUPT);
}
END_TEST

START_TEST(refuses_bytes_that_are_no_text)
{
	struct og_catalog *c = NULL;
	struct og_error err = { 0 };

	ck_assert_int_eq(compile("// \xff", 4, &c, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "parse error: invalid UTF-8 at byte 3");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("schema");
	TCase *tc = tcase_create("schema");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, words_every_error, 0, OG_COUNT(errors));
	tcase_add_loop_test(tc, places_every_syntax_error, 0, OG_COUNT(syntax));
	tcase_add_test(tc, shows_the_line_with_a_caret);
	tcase_add_test(tc, cuts_long_lines_around_the_caret);
	tcase_add_test(tc, compiles_the_example);
	tcase_add_test(tc, orders_properties_and_constraints);
	tcase_add_loop_test(tc, accepts, 0, OG_COUNT(good_sources));
	tcase_add_loop_test(tc, refuses_or_accepts_every_prefix, 0, PARTS);
	tcase_add_loop_test(tc, survives_every_changed_byte, 0, PARTS);
	tcase_add_test(tc, names_key_columns_in_order);
	tcase_add_test(tc, reads_bounds);
	tcase_add_test(tc, inherits_from_interfaces);
	tcase_add_test(tc, keeps_given_type_ids);
	tcase_add_test(tc, refuses_bytes_that_are_no_text);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
