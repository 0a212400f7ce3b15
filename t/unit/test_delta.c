/* Delta Lake logs: versions written and read back, damaged and foreign ones; the schema; bounds out of a file's footer. */
#include "config.h"

#include <math.h>
#include <stdio.h>

#include "format/delta.h"
#include "format/delta_table.h"
#include "json/tree.h"
#include "suite.h"

static struct og_arena arena;
static struct og_error err;

static void setup(void)
{
	og_arena_init(&arena, 0);
	og_error_clear(&err);
}

static void teardown(void)
{
	og_arena_fini(&arena);
}

static struct og_ulid ulid(uint8_t n)
{
	struct og_ulid u = og_ulid_at(1700000000000);

	u.b[15] = n;
	return u;
}

/* Version 0: one file in, with bounds; and version 1: two others in, that one out. */
static void sample(struct og_buf *b, bool first)
{
	static struct og_ulid live[2], gone[1];
	static struct og_delta_file adds[2];
	struct og_delta_version v = { .type = 7, .host = ulid(100), .at_us = 1700000001234567, .first = first, .adds = adds, .data_change = first };

	live[0] = ulid(first ? 1 : 2);
	live[1] = ulid(3);
	gone[0] = ulid(1);
	adds[0] = (struct og_delta_file){ live[0], 1000, 5, OG_SLICE("\"nullCount\":{\"a\":2}") };
	adds[1] = (struct og_delta_file){ live[1], 2000, 6, { 0 } };
	v.shown = (struct og_delta_shown){ .graph = ulid(101), .commit = ulid(102), .version = 9, .table_version = 8, .seq = 77, .files = live,
					   .nfiles = first ? 1 : 2 };
	v.shown.schema.b[0] = 0xab;
	v.shown.catalog.b[31] = 0xcd;
	v.nadds = first ? 1 : 2;
	v.removes = gone;
	v.nremoves = !first;
	if (first) {
		v.name = OG_SLICE("node:P\"ort");
		v.schema = OG_SLICE("{\"type\":\"struct\",\"fields\":[]}");
	}
	og_delta_encode(b, &v);
	ck_assert_int_eq(og_buf_ok(b, &err), 0);
}

static const struct og_json *action(const struct og_buf *b, unsigned line, const char *name)
{
	struct og_slice rest = og_buf_view(b);
	const struct og_json *j;

	for (unsigned i = 0; i < line; i++) {
		const char *nl = memchr(rest.p, '\n', rest.len);

		ck_assert_ptr_nonnull(nl);
		rest = og_slice(nl + 1, rest.len - (size_t)(nl + 1 - rest.p));
	}
	rest.len = (size_t)((const char *)memchr(rest.p, '\n', rest.len) - rest.p);
	j = og_json_parse(&arena, rest, OG_JSON_REFUSE_REPEATS, &err);
	ck_assert_msg(j != NULL, "%s", err.message);
	j = og_json_get(j, name);
	ck_assert_msg(og_json_is(j, OG_JT_OBJECT), "line %u is no %s: %.*s", line, name, OG_FMT(rest));
	return j;
}

static const char *text(const struct og_json *j, const char *name)
{
	const struct og_json *v = og_json_get(j, name);

	ck_assert_msg(og_json_is(v, OG_JT_STRING), "%s", name);
	return og_arena_slice(&arena, v->s).p;
}

START_TEST(the_first_version_has_protocol_and_schema)
{
	const struct og_json *m, *p, *a;
	struct og_buf b = { 0 };
	int64_t i;

	sample(&b, true);
	ck_assert_str_eq(text(action(&b, 0, "commitInfo"), "operation"), "WRITE");
	p = action(&b, 1, "protocol");
	ck_assert(og_json_to_i64(og_json_get(p, "minReaderVersion"), &i) && i == 1);
	ck_assert(og_json_to_i64(og_json_get(p, "minWriterVersion"), &i) && i == 7);
	m = action(&b, 2, "metaData");
	ck_assert_str_eq(text(m, "name"), "node:P\"ort");
	ck_assert_uint_eq(strlen(text(m, "id")), 36);
	ck_assert_int_eq(text(m, "id")[14], '8');
	ck_assert_str_eq(text(m, "schemaString"), "{\"type\":\"struct\",\"fields\":[]}");
	a = action(&b, 3, "add");
	ck_assert(og_json_to_i64(og_json_get(a, "modificationTime"), &i) && i == 1700000000000);
	ck_assert(og_json_get(a, "dataChange")->b);
	ck_assert_str_eq(text(a, "stats"), "{\"numRecords\":5,\"nullCount\":{\"a\":2}}");
	og_buf_fini(&b);
}
END_TEST

START_TEST(a_version_is_read_back)
{
	struct og_delta_shown s = { 0 };
	struct og_buf b = { 0 };

	sample(&b, false);
	ck_assert_str_eq(text(action(&b, 1, "remove"), "path"), "01HF7YAT000000000000000001.parquet");
	ck_assert(!og_json_get(action(&b, 2, "add"), "dataChange")->b);
	ck_assert_int_eq(og_delta_decode(&arena, og_buf_view(&b), &s, &err), 0);
	ck_assert_int_eq(og_ulid_cmp(&s.graph, &(struct og_ulid[]){ ulid(101) }[0]), 0);
	ck_assert_int_eq(og_ulid_cmp(&s.commit, &(struct og_ulid[]){ ulid(102) }[0]), 0);
	ck_assert_uint_eq(s.version, 9);
	ck_assert_uint_eq(s.table_version, 8);
	ck_assert_uint_eq(s.seq, 77);
	ck_assert_uint_eq(s.schema.b[0], 0xab);
	ck_assert_uint_eq(s.catalog.b[31], 0xcd);
	ck_assert_uint_eq(s.nfiles, 2);
	ck_assert_int_eq(og_ulid_cmp(&s.files[0], &(struct og_ulid[]){ ulid(2) }[0]), 0);
	og_buf_fini(&b);
}
END_TEST

/* Cut anywhere in its first line it is damaged or foreign, with a place in it; behind that it says what it said. */
START_TEST(every_prefix_is_refused_or_says_the_same)
{
	struct og_buf b = { 0 };
	size_t line;

	sample(&b, false);
	line = (size_t)((char *)memchr(b.data, '\n', b.len) - b.data);
	for (size_t n = 0; n <= b.len; n++) {
		struct og_slice cut = exact_copy(og_buf_view(&b), n);
		struct og_delta_shown s = { .seq = 5 };
		int rc = og_delta_decode(&arena, cut, &s, &err);

		ck_assert_int_eq(rc, n >= line ? 0 : n == 0 ? OG_ERR_NOT_FOUND : OG_ERR_CORRUPT);
		ck_assert_uint_eq(s.seq, n >= line ? 77 : 5);
		if (rc == OG_ERR_CORRUPT)
			ck_assert_uint_le(err.pos.byte, n);
		free((char *)(uintptr_t)cut.p);
	}
	og_buf_fini(&b);
}
END_TEST

START_TEST(other_programs_versions_are_told_apart)
{
	static const char *const foreign[] = {
		"{\"commitInfo\":{\"operation\":\"WRITE\"}}\n{\"add\":{\"path\":\"x\"}}\n", "{\"add\":{}}", "\n\n", "[1]", "{\"commitInfo\":{\"omnigraph\":1}}",
	};
	static const char *const damaged[] = {
		"{\"commitInfo\":{\"omnigraph\":{}}}", "{", "{\"a\":1,\"a\":2}", "\xff",
		"{\"add\":{}}\n{\"commitInfo\":{\"omnigraph\":{\"graph\":\"x\"}}}",
	};
	struct og_delta_shown s;

	for (size_t i = 0; i < OG_COUNT(foreign); i++)
		ck_assert_int_eq(og_delta_decode(&arena, og_slice_str(foreign[i]), &s, &err), OG_ERR_NOT_FOUND);
	for (size_t i = 0; i < OG_COUNT(damaged); i++)
		ck_assert_int_eq(og_delta_decode(&arena, og_slice_str(damaged[i]), &s, &err), OG_ERR_CORRUPT);
}
END_TEST

START_TEST(names_of_versions)
{
	static const char *const wrong[] = {
		"",		"0000000000000000012.json",	     "00000000000000000012.checkpoint.parquet", "00000000000000000012.json.tmp",
		"000000000000000000012.json", "_last_checkpoint",	     "0000000000000000001x.json",		"99999999999999999999.json",
		"09223372036854775808.json",
	};
	char key[OG_DELTA_KEY_MAX];
	uint64_t v;

	og_delta_key(UINT32_MAX, UINT64_MAX, key);
	ck_assert_str_eq(key, "data/4294967295/_delta_log/18446744073709551615.json");
	og_delta_key(3, 12, key);
	ck_assert_str_eq(key, "data/3/_delta_log/00000000000000000012.json");
	ck_assert(og_delta_parse_name(strrchr(key, '/') + 1, &v) && v == 12);
	og_delta_folder(3, key);
	ck_assert_str_eq(key, "data/3/_delta_log/");
	for (size_t i = 0; i < OG_COUNT(wrong); i++)
		ck_assert_msg(!og_delta_parse_name(wrong[i], &v), "%s", wrong[i]);
}
END_TEST

/* ---- schema, bounds ---- */

static struct og_delta_column column(const char *name, uint32_t id, enum og_scalar type, bool list)
{
	return (struct og_delta_column){ .name = og_slice_str(name), .id = id, .type = { .scalar = type, .list = list, .nullable = true,
											 .dim = type == OG_VECTOR ? 2 : 0 } };
}

START_TEST(every_type_has_a_name)
{
	static const struct {
		enum og_scalar type;
		const char *json;
	} types[] = {
		{ OG_STRING, "\"string\"" }, { OG_BOOL, "\"boolean\"" }, { OG_I32, "\"integer\"" },    { OG_I64, "\"long\"" },
		{ OG_U32, "\"long\"" },	     { OG_U64, "\"decimal(20,0)\"" }, { OG_F32, "\"float\"" }, { OG_F64, "\"double\"" },
		{ OG_DATE, "\"date\"" },     { OG_DATETIME, "\"timestamp\"" }, { OG_BLOB, "\"binary\"" },
		{ OG_VECTOR, "{\"type\":\"array\",\"elementType\":\"float\",\"containsNull\":false}" },
	};

	for (size_t i = 0; i < OG_COUNT(types); i++) {
		struct og_delta_column c = column("a", 16, types[i].type, false);
		struct og_buf b = { 0 };
		char want[256];

		snprintf(want, sizeof(want), "{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":%s,\"nullable\":true,\"metadata\":{\"omnigraph.id\":16}}]}",
			 types[i].json);
		ck_assert_int_eq(og_delta_schema(&b, &c, 1, &err), 0);
		ck_assert_str_eq(b.data, want);
		og_buf_fini(&b);
	}
}
END_TEST

START_TEST(lists_and_names_that_differ_in_case_alone)
{
	struct og_delta_column c[3] = { column("id", 1, OG_STRING, false), column("aB", 16, OG_I64, true), column("ab", 17, OG_I64, false) };
	struct og_buf b = { 0 };

	ck_assert_int_eq(og_delta_schema(&b, c, 2, &err), 0);
	ck_assert_ptr_nonnull(strstr(b.data, "{\"name\":\"id\",\"type\":\"string\",\"nullable\":true,"));
	ck_assert_ptr_nonnull(strstr(b.data, "{\"type\":\"array\",\"elementType\":\"long\",\"containsNull\":true}"));
	og_buf_clear(&b);
	ck_assert_int_eq(og_delta_schema(&b, c, 3, &err), OG_ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.message, "'aB' and 'ab'"));
	og_buf_fini(&b);
}
END_TEST

#define ROWS 200u
static const char *const names[] = { "id", "n", "u", "f", "d", "t", "b", "l", "z", "s", "nan", "g" };
static const enum og_scalar scalars[] = { OG_STRING, OG_I32, OG_U64, OG_F64, OG_DATE, OG_DATETIME, OG_BOOL, OG_I32, OG_F32, OG_STRING, OG_F64, OG_F64 };
#define COLS OG_COUNT(names)

/* Row r of column c. */
static void append(struct og_colvec *v, size_t c, unsigned r)
{
	static char longer[100];

	memset(longer, 'x', sizeof(longer));
	switch (c) {
	case 0:
		longer[0] = (char)('a' + r % 26);
		og_colvec_append_str(v, og_slice(longer, sizeof(longer)));
		return;
	case 1:
		if (r % 4)
			og_colvec_append_i32(v, (int32_t)r - 100);
		else
			og_colvec_append_null(v);
		return;
	case 2:
		og_colvec_append_u64(v, r ? UINT64_MAX - r : 0);
		return;
	case 3:
		og_colvec_append_f64(v, r == 3 ? (double)INFINITY : r * 0.5);
		return;
	case 4:
		og_colvec_append_i32(v, (int32_t)r - 1);
		return;
	case 5:
		og_colvec_append_i64(v, 1700000000123 + r);
		return;
	case 6:
		og_colvec_append_bool(v, r & 1);
		return;
	case 7:
		og_colvec_append_i32(v->child, (int32_t)r);
		og_colvec_append_list(v);
		return;
	case 8:
		og_colvec_append_null(v);
		return;
	case 9:
		og_colvec_append_str(v, r ? OG_SLICE("m\"") : OG_SLICE("\xc3\xa4"));
		return;
	case 10:
		og_colvec_append_f64(v, r == 3 ? (double)NAN : r * 0.5);
		return;
	case 11:
		og_colvec_append_f64(v, r * 0.5 - 1);
		return;
	default:
		ck_abort();
	}
}

static void write_file(struct og_buf *out, struct og_delta_column *cols)
{
	struct og_pq_col_desc d[COLS];
	struct og_colvec v[COLS];
	const struct og_colvec *p[COLS];

	for (size_t c = 0; c < COLS; c++) {
		cols[c] = column(names[c], c ? 15 + (uint32_t)c : 1, scalars[c], c == 7);
		d[c] = (struct og_pq_col_desc){ cols[c].name, (int32_t)cols[c].id, cols[c].type };
		og_colvec_init(&v[c], &cols[c].type);
		for (unsigned r = 0; r < ROWS; r++)
			append(&v[c], c, r);
		p[c] = &v[c];
	}
	ck_assert_int_eq(og_pq_encode(out, d, p, COLS, NULL, NULL, 0, &err), 0);
	for (size_t c = 0; c < COLS; c++)
		og_colvec_fini(&v[c]);
}

START_TEST(bounds_hold_and_are_json)
{
	struct og_delta_column cols[COLS];
	struct og_buf file = { 0 }, b = { 0 };
	const struct og_json *j, *min, *max, *nulls;
	struct og_pq_file f;
	const char *s;

	write_file(&file, cols);
	ck_assert_int_eq(og_pq_open(&arena, og_buf_view(&file), &f, &err), 0);
	ck_assert(og_delta_file_fits(cols, COLS, &f));
	og_buf_byte(&b, '{');
	og_delta_bounds(&b, cols, COLS, &f);
	og_buf_byte(&b, '}');
	j = og_json_parse(&arena, og_buf_view(&b), OG_JSON_REFUSE_REPEATS, &err);
	ck_assert_msg(j != NULL, "%s: %s", err.message, b.data);
	min = og_json_get(j, "minValues");
	max = og_json_get(j, "maxValues");
	nulls = og_json_get(j, "nullCount");
	s = text(min, "id");
	ck_assert(strlen(s) == 64 && s[0] == 'a' && s[63] == 'x');
	s = text(max, "id");
	ck_assert_msg(strlen(s) == 64 && s[0] == 'z' && s[63] == 'y', "%s", s);	/* cut, and raised */
	ck_assert_int_eq(og_json_get(min, "n")->num.i, -99);
	ck_assert_int_eq(og_json_get(max, "n")->num.i, 99);
	ck_assert_uint_eq(og_json_get(max, "u")->num.u, UINT64_MAX - 1);
	ck_assert_ptr_null(og_json_get(max, "f"));	/* infinite */
	ck_assert_ptr_null(og_json_get(max, "nan"));
	ck_assert(og_json_get(min, "g")->num.f == -1.0 && og_json_get(max, "g")->num.f == 98.5);
	ck_assert_str_eq(text(min, "d"), "1969-12-31");
	ck_assert_str_eq(text(max, "t"), "2023-11-14T22:13:20.322Z");
	ck_assert(!og_json_get(min, "b")->b && og_json_get(max, "b")->b);
	ck_assert_ptr_null(og_json_get(min, "l"));
	ck_assert_ptr_null(og_json_get(min, "z"));	/* nulls alone */
	ck_assert_str_eq(text(min, "s"), "m\"");
	ck_assert_str_eq(text(max, "s"), "\xc3\xa4");
	ck_assert_int_eq(og_json_get(nulls, "n")->num.i, 50);
	ck_assert_int_eq(og_json_get(nulls, "z")->num.i, ROWS);
	ck_assert_ptr_null(og_json_get(nulls, "l"));
	ck_assert_ptr_null(og_json_get(nulls, "f"));	/* none without bounds */
	ck_assert_ptr_null(og_json_get(nulls, "nan"));
	ck_assert_int_eq(og_json_get(nulls, "b")->num.i, 0);
	og_buf_fini(&file);
	og_buf_fini(&b);
}
END_TEST

START_TEST(a_file_with_other_names_does_not_fit)
{
	struct og_delta_column cols[COLS];
	struct og_buf file = { 0 };
	struct og_pq_file f;

	write_file(&file, cols);
	ck_assert_int_eq(og_pq_open(&arena, og_buf_view(&file), &f, &err), 0);
	ck_assert(og_delta_file_fits(cols, COLS - 1, &f));	/* a column that the schema lacks: dropped, nobody reads it */
	cols[1].name = OG_SLICE("renamed");
	ck_assert(!og_delta_file_fits(cols, COLS, &f));
	cols[1].name = OG_SLICE("n");
	cols[1].id = 99;					/* dropped, and another of that name added */
	ck_assert(!og_delta_file_fits(cols, COLS, &f));
	cols[1].id = 16;
	cols[1].type.scalar = OG_I64;
	ck_assert(!og_delta_file_fits(cols, COLS, &f));
	og_buf_fini(&file);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_first_version_has_protocol_and_schema);
	tcase_add_test(tc, a_version_is_read_back);
	tcase_add_test(tc, every_prefix_is_refused_or_says_the_same);
	tcase_add_test(tc, other_programs_versions_are_told_apart);
	tcase_add_test(tc, names_of_versions);
	tcase_add_test(tc, every_type_has_a_name);
	tcase_add_test(tc, lists_and_names_that_differ_in_case_alone);
	tcase_add_test(tc, bounds_hold_and_are_json);
	tcase_add_test(tc, a_file_with_other_names_does_not_fit);
}

int main(void)
{
	return suite_run("delta", add, 30);
}
