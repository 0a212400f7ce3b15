/* Mutations on a graph in memory: what they change, what they refuse, which keys they name. */
#include "config.h"

#include <stdio.h>

#include "engine/mutate.h"
#include "format/keys.h"
#include "json/tree.h"
#include "suite.h"

static const char schema[] =
	"node Vessel { code: String @key  name: String  tonnage: I32?  mmsi: I64? @unique  flag: enum(coastal, tug)?  tags: [String]?\n"
	"  w: F32?  built: Date?  plan: Blob?  @range(tonnage, 0..500) @check(name, \"^[A-Z]\") }\n"
	"node Port { code: String @key  city: String }\n"
	"node Pilot { name: String }\n"
	"edge DocksAt: Vessel -> Port { berth: I32?  note: String? }\n"
	"edge Guides: Pilot -> Vessel @card(0..2)\n"
	"edge Owns: Vessel -> Vessel @card(1..3) { @unique(src, dst) }\n"
	"edge Tows: Vessel -> Vessel @card(2..4) { rope: I32? }\n";

struct graph {
	struct og_catalog *cat;
	struct og_view *view;
	struct og_ulid_gen ids;
	struct og_arena arena;
	struct og_writeset ws;
};

static struct graph g;

static void setup(void)
{
	struct og_error err = { 0 };

	memset(&g, 0, sizeof(g));
	ck_assert_msg(og_catalog_compile(og_slice_str(schema), NULL, 0, &g.cat, &err) == 0, "%s", err.message);
	g.view = og_view_new(g.cat);
	ck_assert_ptr_nonnull(g.view);
	og_arena_init(&g.arena, 0);
}

static void teardown(void)
{
	og_writeset_fini(&g.ws);
	og_view_unref(g.view);
	og_catalog_unref(g.cat);
	og_arena_fini(&g.arena);
}

/* Evaluates; 0 or the error. */
static int eval(const char *body, const char *params, struct og_error *err)
{
	char *text = og_arena_printf(&g.arena, "query m%s", body);
	struct og_json *p = params ? og_json_parse(&g.arena, og_slice_str(params), OG_JSON_LAST_WINS, err) : NULL;
	struct gq_file file;
	struct gq_query *q;
	struct gq_bindings b;
	int rc;

	og_writeset_fini(&g.ws);
	if ((rc = gq_parse(&g.arena, og_slice_str(text), &file, err)) < 0 || (rc = gq_select(&file, og_slice(NULL, 0), &q, err)) < 0 ||
	    (rc = gq_bind(&g.arena, q, p, &b, err)) < 0 || (rc = gq_check(&g.arena, q, g.cat, err)) < 0 ||
	    (rc = og_mutate_precheck(q, err)) < 0)
		return rc;
	b.now_ms = 1000;
	return og_mutate_run(&g.arena, q, &b, g.view, NULL, &g.ids, &g.ws, err);
}

/* Evaluates and applies, as a commit does: through the encoded delta. */
static void commit(const char *body, const char *params)
{
	struct og_error err = { 0 };

	ck_assert_msg(eval(body, params, &err) == 0, "%s: %s", body, err.message);
	for (int edges = 0; edges < 2; edges++)
		for (uint32_t i = 0; i < g.ws.ntypes; i++) {
			struct og_ws_type *t = &g.ws.types[i];
			struct og_change c;
			struct og_buf b = { 0 };

			if (!t->touched || (t->type->kind == OG_EDGE) != (edges == 1))
				continue;
			ck_assert_int_eq(og_change_encode(&t->change, &b, &err), 0);
			og_change_init(&c, t->type);
			ck_assert_msg(og_change_decode(&c, t->type, og_buf_view(&b), &err) == 0, "%s", err.message);
			ck_assert_msg(og_view_apply(g.view, &c, &err) == 0, "%s", err.message);
			og_change_fini(&c);
			og_buf_fini(&b);
		}
}

static void refuse(const char *body, const char *params, const char *message)
{
	struct og_error err = { 0 };

	ck_assert_msg(eval(body, params, &err) < 0, "%s was not refused (%s)", body, message);
	ck_assert_msg(strstr(err.message, message) != NULL, "%s: got `%s`, want `%s`", body, err.message, message);
}

static const struct og_view_type *type(const char *table)
{
	return &g.view->types[og_catalog_table(g.cat, og_slice_str(table))->index];
}

static struct og_value value(const char *table, const char *id, const char *prop)
{
	const struct og_view_type *t = type(table);
	uint32_t slot = og_view_find(t, og_slice_str(id));
	struct og_value v = { 0 };

	ck_assert_msg(slot != OG_SLOT_NONE, "%s %s is not there", table, id);
	ck_assert_int_eq(og_view_value(t, og_type_property(t->type, og_slice_str(prop))->index, slot, &g.arena, &v), 0);
	return v;
}

static bool has(const char *table, const char *id)
{
	return og_view_find(type(table), og_slice_str(id)) != OG_SLOT_NONE;
}

static void seed(void)
{
	commit("() { insert Vessel { code: \"V1\" name: \"Ilse\" tonnage: 410 mmsi: 1 } insert Vessel { code: \"V2\" name: \"Corvo\" mmsi: 2 }\n"
	       " insert Port { code: \"LEH\" city: \"Le Havre\" } insert DocksAt { from: \"V1\" to: \"LEH\" berth: 7 } }", NULL);
}

START_TEST(insert_counts_and_stores)
{
	seed();
	ck_assert_uint_eq(g.ws.affected_nodes, 3);
	ck_assert_uint_eq(g.ws.affected_edges, 1);
	ck_assert(!g.ws.strict);
	ck_assert_uint_eq(type("node:Vessel")->rows, 2);
	ck_assert_uint_eq(type("edge:DocksAt")->rows, 1);
	ck_assert_int_eq(value("node:Vessel", "V1", "tonnage").i, 410);
	ck_assert_int_eq(value("node:Vessel", "V2", "tonnage").kind, OG_V_NULL);
}
END_TEST

/* A keyed insert replaces the whole node: what is not assigned becomes null. */
START_TEST(insert_is_an_upsert)
{
	seed();
	commit("() { insert Vessel { code: \"V1\" name: \"Elsa\" } }", NULL);
	ck_assert_uint_eq(g.ws.affected_nodes, 1);
	ck_assert_int_eq(g.ws.types[type("node:Vessel")->type->index].dn, 0);
	ck_assert_uint_eq(type("node:Vessel")->rows, 2);
	ck_assert_int_eq(value("node:Vessel", "V1", "tonnage").kind, OG_V_NULL);
	/* Of two in one query the later wins. */
	commit("() { insert Vessel { code: \"V9\" name: \"Aa\" } insert Vessel { code: \"V9\" name: \"Bb\" } }", NULL);
	ck_assert_uint_eq(g.ws.affected_nodes, 2);
	ck_assert(og_slice_is(value("node:Vessel", "V9", "name").s, "Bb"));
	ck_assert_uint_eq(type("node:Vessel")->rows, 3);
}
END_TEST

START_TEST(insert_without_key_always_creates)
{
	commit("() { insert Pilot { name: \"A\" } }", NULL);
	commit("() { insert Pilot { name: \"A\" } }", NULL);
	ck_assert_uint_eq(type("node:Pilot")->rows, 2);
}
END_TEST

START_TEST(update_changes_what_it_names)
{
	seed();
	commit("($t: I32) { update Vessel set { tonnage: $t } where code = \"V2\" }", "{\"t\":5}");
	ck_assert_uint_eq(g.ws.affected_nodes, 1);
	ck_assert(g.ws.strict);
	ck_assert(!g.ws.types[type("node:Vessel")->type->index].scanned);
	ck_assert_int_eq(value("node:Vessel", "V2", "tonnage").i, 5);
	ck_assert(og_slice_is(value("node:Vessel", "V2", "name").s, "Corvo"));
	commit("() { update Vessel set { name: \"Big\" } where tonnage >= 5 }", NULL);
	ck_assert_uint_eq(g.ws.affected_nodes, 2);
	ck_assert(g.ws.types[type("node:Vessel")->type->index].scanned);
}
END_TEST

START_TEST(later_statements_see_earlier_ones)
{
	seed();
	commit("() { insert Vessel { code: \"V3\" name: \"New\" tonnage: 1 } update Vessel set { tonnage: 2 } where tonnage = 1\n"
	       " update Vessel set { name: \"Two\" } where tonnage = 2 }", NULL);
	ck_assert_uint_eq(g.ws.affected_nodes, 3);
	ck_assert_int_eq(value("node:Vessel", "V3", "tonnage").i, 2);
	ck_assert(og_slice_is(value("node:Vessel", "V3", "name").s, "Two"));
	/* An edge may name a node of any statement of the query. */
	commit("() { insert DocksAt { from: \"V4\" to: \"LEH\" } insert Vessel { code: \"V4\" name: \"Late\" } }", NULL);
	ck_assert_uint_eq(type("edge:DocksAt")->rows, 2);
}
END_TEST

START_TEST(nothing_matched_is_no_commit)
{
	struct og_error err = { 0 };

	seed();
	ck_assert_int_eq(eval("() { update Vessel set { tonnage: 2 } where code = \"none\" }", NULL, &err), 0);
	ck_assert(g.ws.empty);
	ck_assert_int_eq(eval("() { delete Vessel where tonnage > 100000 }", NULL, &err), 0);
	ck_assert(g.ws.empty);
	/* The same values written again are a commit all the same. */
	ck_assert_int_eq(eval("() { update Vessel set { tonnage: 410 } where code = \"V1\" }", NULL, &err), 0);
	ck_assert(!g.ws.empty);
}
END_TEST

START_TEST(delete_cascades_each_edge_once)
{
	seed();
	commit("() { insert Owns { from: \"V1\" to: \"V2\" } insert Owns { from: \"V2\" to: \"V1\" } insert Pilot { name: \"P\" } }", NULL);
	commit("() { delete Vessel where code = \"V1\" }", NULL);
	ck_assert_uint_eq(g.ws.affected_nodes, 1);
	ck_assert_uint_eq(g.ws.affected_edges, 3);
	ck_assert(!has("node:Vessel", "V1"));
	ck_assert(has("node:Vessel", "V2"));
	ck_assert_uint_eq(type("edge:Owns")->rows, 0);
	ck_assert_uint_eq(type("edge:DocksAt")->rows, 0);
}
END_TEST

START_TEST(delete_of_edges_by_end_and_property)
{
	seed();
	commit("() { insert DocksAt { from: \"V2\" to: \"LEH\" berth: 9 } insert DocksAt { from: \"V1\" to: \"LEH\" berth: 9 } }", NULL);
	commit("() { delete DocksAt where from = \"V1\" }", NULL);
	ck_assert_uint_eq(g.ws.affected_edges, 2);
	commit("() { delete DocksAt where berth = 9 delete DocksAt where to = \"LEH\" }", NULL);
	ck_assert_uint_eq(g.ws.affected_edges, 1);
	ck_assert_uint_eq(type("edge:DocksAt")->rows, 0);
}
END_TEST

static const struct {
	const char *body, *params, *message;
} refusals[] = {
	{ "() { insert Vessel { code: \"a\" name: \"X\" } delete Port where code = \"x\" }", NULL,
	  "mutation 'm' on the same query mixes inserts/updates and deletes; split into separate mutations: (1) inserts and updates, then (2) deletes." },
	{ "() { insert DocksAt { from: \"no\" to: \"LEH\" } }", NULL, "src 'no' not found in Vessel" },
	{ "() { insert DocksAt { from: \"V1\" to: \"no\" } }", NULL, "dst 'no' not found in Port" },
	{ "($f: String?) { insert DocksAt { from: $f to: \"LEH\" } }", NULL, "edge DocksAt from endpoint must be a string id, got NULL" },
	{ "() { update Vessel set { code: \"z\" } where code = \"none\" }", NULL, "cannot update @key property 'code' — delete and re-insert instead" },
	{ "() { insert Vessel { code: \"a\" name: \"X\" tonnage: 501 } }", NULL, "@range violation on Vessel.tonnage: value 501 > max 500" },
	{ "($t: I32) { update Vessel set { tonnage: $t } where code = \"V1\" }", "{\"t\":-1}", "@range violation on Vessel.tonnage: value -1 < min 0" },
	{ "() { insert Vessel { code: \"a\" name: \"x\" } }", NULL, "@check violation on Vessel.name: value 'x' does not match pattern '^[A-Z]'" },
	{ "($f: String) { insert Vessel { code: \"a\" name: \"X\" flag: $f } }", "{\"f\":\"liner\"}",
	  "invalid enum value 'liner' for Vessel.flag (expected: coastal, tug)" },
	{ "() { insert Vessel { code: \"a\" name: \"X\" mmsi: 2 } }", NULL, "@unique violation on Vessel.mmsi: value '2' held by 'V2' and 'a'" },
	{ "() { insert Vessel { code: \"a\" name: \"X\" mmsi: 8 } insert Vessel { code: \"b\" name: \"X\" mmsi: 8 } }", NULL,
	  "@unique violation on Vessel.mmsi: value '8' held by 'a' and 'b'" },
	{ "($n: String?) { insert Vessel { code: \"a\" name: $n } }", NULL, "property `name` is non-nullable but got null" },
	{ "($n: String?) { insert Vessel { code: $n name: \"X\" } }", NULL, "insert @key property 'code' cannot contain null" },
	{ "($n: I64) { insert Vessel { code: \"a\" name: \"X\" tonnage: $n } }", "{\"n\":3000000000}", "integer value 3000000000 exceeds Int32 range" },
	{ "($n: F64) { insert Vessel { code: \"a\" name: \"X\" w: $n } }", "{\"n\":1e300}", "exceeds Float32 range" },
	{ "($n: F64) { insert Vessel { code: \"a\" name: \"X\" tonnage: $n } }", "{\"n\":1.5}", "cannot convert" },
	{ "($n: String) { insert Vessel { code: \"a\" name: \"X\" plan: $n } }", "{\"n\":\"base64:*\"}", "invalid base64 blob data: " },
	{ "() { insert Vessel { code: \"a\" name: \"X\" built: date(\"2020-13-01\") } }", NULL, "invalid Date literal '2020-13-01'" },
	{ "($n: String) { insert Vessel { code: \"a\" name: $n } }", "{}", "parameter 'n' not provided" },
	{ "($n: String) { delete Vessel where name = $n }", "{}", "parameter 'n' not provided" },
};

START_TEST(refuses)
{
	seed();
	refuse(refusals[_i].body, refusals[_i].params, refusals[_i].message);
	ck_assert_uint_eq(type("node:Vessel")->rows, 2);
}
END_TEST

START_TEST(card_counts_the_final_state)
{
	seed();
	commit("() { insert Pilot { name: \"P\" } }", NULL);
	/* Owns @card(1..3) */
	commit("() { insert Vessel { code: \"V3\" name: \"C\" } insert Vessel { code: \"V4\" name: \"D\" } insert Owns { from: \"V1\" to: \"V2\" }\n"
	       " insert Owns { from: \"V1\" to: \"V3\" } insert Owns { from: \"V1\" to: \"V4\" } }", NULL);
	refuse("() { insert Owns { from: \"V1\" to: \"V1\" } }", NULL, "@card violation on edge Owns: source 'V1' has 4 edges (max 3)");
	refuse("() { insert Tows { from: \"V1\" to: \"V2\" } }", NULL, "@card violation on edge Tows: source 'V1' has 1 edges (min 2)");
	commit("() { insert Tows { from: \"V1\" to: \"V2\" rope: 1 } insert Tows { from: \"V1\" to: \"V3\" rope: 2 } }", NULL);
	/* A delete counts the source that it leaves behind; a source without edges is no violation. */
	refuse("() { delete Tows where rope = 1 }", NULL, "@card violation on edge Tows: source 'V1' has 1 edges (min 2)");
	commit("() { delete Tows where from = \"V1\" }", NULL);
	refuse("() { insert Owns { from: \"V2\" to: \"V1\" } insert Owns { from: \"V2\" to: \"V1\" } }", NULL,
	       "@unique violation on Owns.(dst, src): value '(V1, V2)' held by");
	refuse("() { insert Owns { from: \"V1\" to: \"V2\" } }", NULL, "violation on");
	/* The source goes with its edges. */
	commit("() { delete Vessel where code = \"V1\" }", NULL);
	ck_assert_uint_eq(type("edge:Owns")->rows, 0);
}
END_TEST

/* A value given up by one statement may be taken by another of the same query. */
START_TEST(unique_looks_at_the_final_state)
{
	seed();
	commit("() { update Vessel set { mmsi: 77 } where code = \"V1\" insert Vessel { code: \"V5\" name: \"X\" mmsi: 1 } }", NULL);
	ck_assert_int_eq(value("node:Vessel", "V5", "mmsi").i, 1);
	/* An entity does not collide with itself. */
	commit("() { update Vessel set { mmsi: 77 } where code = \"V1\" }", NULL);
	/* Null is exempt. */
	commit("() { insert Vessel { code: \"V6\" name: \"X\" } insert Vessel { code: \"V7\" name: \"X\" } }", NULL);
}
END_TEST

static bool names_key(const struct og_keyset *s, enum og_key_kind kind, const char *table, const char *payload)
{
	uint64_t k = og_key_hash(kind, og_catalog_table(g.cat, og_slice_str(table))->id, og_slice_str(payload));

	for (size_t i = 0; i < s->n; i++)
		if (s->keys[i] == k)
			return true;
	return false;
}

START_TEST(keys_name_what_was_read_and_written)
{
	struct og_error err = { 0 };

	seed();
	ck_assert_int_eq(eval("() { insert DocksAt { from: \"V1\" to: \"LEH\" } }", NULL, &err), 0);
	ck_assert(names_key(&g.ws.read, OG_KEY_ENTITY, "node:Vessel", "V1"));
	ck_assert(names_key(&g.ws.read, OG_KEY_ENTITY, "node:Port", "LEH"));
	ck_assert(names_key(&g.ws.written, OG_KEY_INCIDENT, "node:Vessel", "V1"));
	ck_assert(!names_key(&g.ws.written, OG_KEY_ENTITY, "node:Vessel", "V1"));
	ck_assert_int_eq(eval("() { delete Vessel where code = \"V1\" }", NULL, &err), 0);
	ck_assert(names_key(&g.ws.written, OG_KEY_ENTITY, "node:Vessel", "V1"));
	ck_assert(names_key(&g.ws.read, OG_KEY_INCIDENT, "node:Vessel", "V1"));
	ck_assert_int_eq(eval("() { insert Owns { from: \"V1\" to: \"V2\" } }", NULL, &err), 0);
	ck_assert(names_key(&g.ws.written, OG_KEY_CARD, "edge:Owns", "V1"));
	ck_assert(names_key(&g.ws.read, OG_KEY_CARD, "edge:Owns", "V1"));
	for (size_t i = 1; i < g.ws.written.n; i++)
		ck_assert_uint_lt(g.ws.written.keys[i - 1], g.ws.written.keys[i]);
}
END_TEST

/* Too many keys to list: what was looked at outside of the types written must count as read, or a node could go under its new edges. */
START_TEST(without_keys_whole_types_are_read)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	seed();
	og_buf_str(&b, "() {");
	for (int i = 0; i < 22000; i++)
		og_buf_str(&b, " insert DocksAt { from: \"V1\" to: \"LEH\" }");
	og_buf_str(&b, " }");
	og_buf_byte(&b, 0);
	ck_assert_msg(eval((const char *)b.data, NULL, &err) == 0, "%s", err.message);
	/* One new entity each, two ends: listed. */
	ck_assert(!g.ws.all_keys);
	og_buf_fini(&b);
	og_buf_str(&b, "() {");
	for (int i = 0; i < 66000; i++)
		og_buf_str(&b, " insert DocksAt { from: \"V1\" to: \"LEH\" }");
	og_buf_str(&b, " }");
	og_buf_byte(&b, 0);
	ck_assert_msg(eval((const char *)b.data, NULL, &err) == 0, "%s", err.message);
	og_buf_fini(&b);
	ck_assert(g.ws.all_keys);
	ck_assert(g.ws.types[type("node:Vessel")->type->index].scanned);
	ck_assert(g.ws.types[type("node:Port")->type->index].scanned);
	ck_assert(!g.ws.types[type("node:Pilot")->type->index].scanned);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, insert_counts_and_stores);
	tcase_add_test(tc, insert_is_an_upsert);
	tcase_add_test(tc, insert_without_key_always_creates);
	tcase_add_test(tc, update_changes_what_it_names);
	tcase_add_test(tc, later_statements_see_earlier_ones);
	tcase_add_test(tc, nothing_matched_is_no_commit);
	tcase_add_test(tc, delete_cascades_each_edge_once);
	tcase_add_test(tc, delete_of_edges_by_end_and_property);
	tcase_add_loop_test(tc, refuses, 0, (int)OG_COUNT(refusals));
	tcase_add_test(tc, card_counts_the_final_state);
	tcase_add_test(tc, unique_looks_at_the_final_state);
	tcase_add_test(tc, keys_name_what_was_read_and_written);
	tcase_add_test(tc, without_keys_whole_types_are_read);
}

int main(void)
{
	return suite_run("mutate", add, 30);
}
