/* Column vectors and Parquet: what is written is read back; nothing else is believed. */
#include "config.h"

#include "format/parquet.h"

#include "t/check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/pq_private.h"

static struct og_arena arena;

static void setup(void)
{
	og_arena_init(&arena, 0);
}

static void teardown(void)
{
	og_arena_fini(&arena);
}

/* ---- columns of arbitrary rows ---- */

struct rng {
	uint64_t s;
};

static uint32_t roll(struct rng *r, uint32_t n)
{
	r->s = r->s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(r->s >> 33) % n;
}

struct shape {
	uint32_t distinct;	/* values drawn from that many */
	uint32_t null_in;	/* one of that many is null; 0: none */
};

static void add_value(struct og_colvec *c, struct rng *r, const struct shape *s);

static void add_list(struct og_colvec *c, struct rng *r, const struct shape *s)
{
	uint32_t n = roll(r, 6);
	struct shape item = { s->distinct, roll(r, 2) ? 3 : 0 };

	for (uint32_t i = 0; i < n; i++)
		add_value(c->child, r, &item);
	og_colvec_append_list(c);
}

static void add_value(struct og_colvec *c, struct rng *r, const struct shape *s)
{
	uint32_t v = roll(r, s->distinct);
	float floats[64];
	char text[64];

	if (s->null_in && roll(r, s->null_in) == 0) {
		og_colvec_append_null(c);
		return;
	}
	if (c->type.list) {
		add_list(c, r, s);
		return;
	}
	switch (c->type.scalar) {
	case OG_BOOL:
		og_colvec_append_bool(c, v & 1);
		break;
	case OG_I32:
	case OG_DATE:
		og_colvec_append_i32(c, (int32_t)(v - s->distinct / 2));
		break;
	case OG_U32:
		og_colvec_append_u32(c, UINT32_MAX - v);
		break;
	case OG_I64:
	case OG_DATETIME:
		og_colvec_append_i64(c, ((int64_t)v - s->distinct / 2) * 5000000000);
		break;
	case OG_U64:
		og_colvec_append_u64(c, UINT64_MAX - v);
		break;
	case OG_F32:
		og_colvec_append_f32(c, v == 0 ? NAN : (float)v / 3);
		break;
	case OG_F64:
		og_colvec_append_f64(c, v == 1 ? -INFINITY : (double)v / -7);
		break;
	case OG_STRING:
	case OG_BLOB:
		og_colvec_append_str(c, og_slice(text, (size_t)snprintf(text, sizeof(text), "%.*s%u", (int)(v % 4 * 2), "äöü", v) * (v % 13 != 0)));
		break;
	case OG_VECTOR:
		for (uint32_t i = 0; i < c->type.dim; i++)
			floats[i] = (float)v + (float)i / 8;
		og_colvec_append_vec(c, floats);
		break;
	}
}

static void fill(struct og_colvec *c, const struct og_proptype *t, size_t rows, const struct shape *s, uint64_t seed)
{
	struct rng r = { seed };
	struct shape shape = *s;

	if (!t->nullable)
		shape.null_in = 0;
	og_colvec_init(c, t);
	for (size_t i = 0; i < rows; i++)
		add_value(c, &r, &shape);
	ck_assert_int_eq(c->failed, 0);
	ck_assert_uint_eq(c->rows, rows);
}

static bool same(const struct og_colvec *a, const struct og_colvec *b)
{
	if (a->rows != b->rows || a->nulls != b->nulls)
		return false;
	for (size_t i = 0; i < a->rows; i++) {
		if (og_colvec_is_null(a, i) != og_colvec_is_null(b, i))
			return false;
		if (a->width ? memcmp(a->u8 + i * a->width, b->u8 + i * a->width, a->width) != 0 : a->offsets[i + 1] != b->offsets[i + 1])
			return false;
	}
	if (a->child)
		return same(a->child, b->child);
	return a->nbytes == b->nbytes && (a->nbytes == 0 || memcmp(a->bytes, b->bytes, a->nbytes) == 0);
}

/* All types there are: scalars, then lists; each nullable or not. */
#define NTYPES 46

static struct og_proptype type_nr(int i)
{
	static const enum og_scalar scalars[] = { OG_STRING, OG_BOOL, OG_I32, OG_I64, OG_U32, OG_U64, OG_F32, OG_F64, OG_DATE, OG_DATETIME, OG_BLOB, OG_VECTOR };
	struct og_proptype t = { .scalar = scalars[i / 2 % 12], .nullable = i & 1, .list = i / 2 >= 12 };

	t.dim = t.scalar == OG_VECTOR ? 5 : 0;
	return t;
}

/* Exactly as long as it is, so that ASan sees one byte too many. */
static struct og_slice exact_copy(const char *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, n);
	return og_slice(copy, n);
}

static void round_trip(const struct og_proptype *t, size_t rows, const struct shape *s, const struct og_pq_options *opt)
{
	struct og_pq_col_desc d = { OG_SLICE("column"), 17, *t };
	struct og_pq_kv kv = { OG_SLICE("key"), OG_SLICE("value") };
	const struct og_colvec *cols[1];
	struct og_buf out = { 0 };
	struct og_error err = { 0 };
	struct og_colvec in, back;
	struct og_pq_file f;
	struct og_slice bytes, v;

	fill(&in, t, rows, s, rows);
	cols[0] = &in;
	ck_assert_int_eq(og_pq_encode(&out, &d, cols, 1, opt, &kv, 1, &err), 0);
	bytes = exact_copy(out.data, out.len);
	ck_assert_msg(og_pq_open(&arena, bytes, &f, &err) == 0, "%s at %zu", err.message, (size_t)err.pos.byte);
	ck_assert_uint_eq(f.rows, rows);
	ck_assert_uint_eq(f.ngroups, rows > 0);
	ck_assert_uint_eq(f.ncols, 1);
	ck_assert_int_eq(f.cols[0].field_id, 17);
	ck_assert_int_eq(og_pq_find(&f, 17), 0);
	ck_assert(f.cols[0].type.scalar == t->scalar && f.cols[0].type.list == t->list && f.cols[0].type.nullable == t->nullable);
	ck_assert(og_pq_find_kv(&f, "key", &v) && og_slice_is(v, "value") && !og_pq_find_kv(&f, "no", &v));
	og_colvec_init(&back, t);
	for (size_t g = 0; g < f.ngroups; g++)
		ck_assert_msg(og_pq_read_column(&f, g, 0, &back, &err) == 0, "%s", err.message);
	ck_assert(same(&in, &back));
	og_colvec_fini(&back);
	og_colvec_fini(&in);
	og_buf_fini(&out);
	free((char *)bytes.p);
}

START_TEST(reads_back_every_type)
{
	static const size_t rows[] = { 0, 1, 2, 8, 63, 64, 65, 1000, 5000 };
	static const struct shape shapes[] = { { 5, 0 }, { 5, 4 }, { 300, 50 }, { 1000000, 2 }, { 1, 1 }, { 1, 0 } };
	static const enum og_pq_codec codecs[] = { OG_PQ_NONE, OG_PQ_SNAPPY, OG_PQ_ZSTD };
	struct og_proptype t = type_nr(_i);

	for (size_t r = 0; r < OG_COUNT(rows); r++)
		for (size_t s = 0; s < OG_COUNT(shapes); s++)
			for (size_t c = 0; c < OG_COUNT(codecs); c++) {
				struct og_pq_options opt = { .codec = codecs[c], .page_bytes = s & 1 ? 3000 : 0, .no_dictionary = r == 7 && s == 0 };

				round_trip(&t, rows[r], &shapes[s], &opt);
			}
}
END_TEST

static int to_buf(void *arg, const void *p, size_t n, struct og_error *err)
{
	og_buf_append(arg, p, n);
	return og_buf_ok(arg, err);
}

START_TEST(reads_back_many_groups_and_columns)
{
	enum { ROWS = 700, GROUPS = 7 };
	struct og_pq_col_desc d[NTYPES];
	const struct og_colvec *cols[NTYPES];
	struct og_colvec in[NTYPES], part[NTYPES], back;
	struct og_pq_writer *w = NULL;
	struct og_error err = { 0 };
	struct og_buf out = { 0 };
	struct og_pq_file f;
	char names[NTYPES][8];

	for (int i = 0; i < NTYPES; i++) {
		struct shape s = { 20, 5 };

		d[i] = (struct og_pq_col_desc){ og_slice(names[i], (size_t)sprintf(names[i], "c%d", i)), 100 + i, type_nr(i) };
		fill(&in[i], &d[i].type, ROWS, &s, (uint64_t)i);
		og_colvec_init(&part[i], &d[i].type);
		cols[i] = &part[i];
	}
	ck_assert_int_eq(og_pq_writer_new(d, NTYPES, NULL, to_buf, &out, &w, &err), 0);
	for (size_t g = 0; g < GROUPS; g++) {
		for (size_t i = 0; i < NTYPES; i++) {
			og_colvec_clear(&part[i]);
			og_colvec_append_rows(&part[i], &in[i], g * (ROWS / GROUPS), ROWS / GROUPS);
		}
		ck_assert_int_eq(og_pq_write_group(w, cols, NTYPES, &err), 0);
	}
	ck_assert_int_eq(og_pq_finish(w, NULL, 0, &err), 0);
	ck_assert_uint_eq(og_pq_writer_bytes(w), out.len);
	og_pq_writer_free(w);
	ck_assert_int_eq(og_pq_open(&arena, og_buf_view(&out), &f, &err), 0);
	ck_assert_uint_eq(f.ngroups, GROUPS);
	ck_assert_uint_eq(f.rows, ROWS);
	for (size_t i = 0; i < NTYPES; i++) {
		og_colvec_init(&back, &d[i].type);
		for (size_t g = 0; g < GROUPS; g++)
			ck_assert_int_eq(og_pq_read_column(&f, g, i, &back, &err), 0);
		ck_assert(same(&back, &in[i]));
		og_colvec_fini(&back);
		og_colvec_fini(&in[i]);
		og_colvec_fini(&part[i]);
	}
	og_buf_fini(&out);
}
END_TEST

/* ---- values and places in column vectors ---- */

START_TEST(gives_back_appended_values)
{
	struct og_proptype t = { .scalar = OG_U32, .list = true, .nullable = true };
	struct og_value items[2] = { { .kind = OG_V_UINT, .u = 7 }, { .kind = OG_V_NULL } };
	struct og_value v = { .kind = OG_V_LIST, .items = { items, 2 } }, got;
	struct og_value null = { .kind = OG_V_NULL };
	struct og_error err = { 0 };
	struct og_colvec c;

	og_colvec_init(&c, &t);
	og_colvec_append(&c, &v);
	og_colvec_append(&c, &null);
	ck_assert_int_eq(og_colvec_value(&c, 0, &arena, &got, &err), 0);
	ck_assert_int_eq(got.kind, OG_V_LIST);
	ck_assert_uint_eq(got.items.n, 2);
	ck_assert_int_eq(got.items.v[0].kind, OG_V_UINT);
	ck_assert_uint_eq(got.items.v[0].u, 7);
	ck_assert_int_eq(got.items.v[1].kind, OG_V_NULL);
	ck_assert_int_eq(og_colvec_get(&c, 1).kind, OG_V_NULL);
	/* A row begun and given up leaves nothing. */
	og_colvec_append_u32(c.child, 9);
	og_colvec_truncate(&c, 1);
	ck_assert_uint_eq(c.child->rows, 2);
	ck_assert_uint_eq(c.nulls, 0);
	og_colvec_append_null(&c);
	ck_assert(og_colvec_is_null(&c, 1) && !og_colvec_is_null(&c, 0));
	og_colvec_fini(&c);
	og_colvec_fini(&c);
}
END_TEST

START_TEST(a_wrong_kind_is_a_sticky_failure)
{
	struct og_proptype t = { .scalar = OG_I32 };
	struct og_value v = { .kind = OG_V_STRING, .s = OG_SLICE("x") };
	struct og_error err = { 0 };
	struct og_colvec c;

	og_colvec_init(&c, &t);
	og_colvec_append_i32(&c, 1);
	og_colvec_append(&c, &v);
	og_colvec_append_i32(&c, 2);
	ck_assert_uint_eq(c.rows, 1);
	ck_assert_int_eq(og_colvec_ok(&c, &err), OG_ERR_INTERNAL);
	og_colvec_clear(&c);
	ck_assert_int_eq(og_colvec_ok(&c, &err), 0);
	og_colvec_fini(&c);
}
END_TEST

START_TEST(copies_single_rows)
{
	struct og_proptype t = type_nr(_i);
	struct shape s = { 50, 4 };
	struct og_colvec in, out;

	fill(&in, &t, 300, &s, 3);
	og_colvec_init(&out, &t);
	for (size_t i = 0; i < in.rows; i++)
		og_colvec_append_row(&out, &in, i);
	ck_assert(same(&in, &out));
	og_colvec_truncate(&out, 100);
	og_colvec_append_rows(&out, &in, 100, 200);
	ck_assert(same(&in, &out));
	og_colvec_fini(&in);
	og_colvec_fini(&out);
}
END_TEST

/* ---- what the writer promises ---- */

static void encode_one(struct og_buf *out, const struct og_colvec *c, bool nullable, int want)
{
	struct og_pq_col_desc d = { OG_SLICE("x"), 1, c->type };
	const struct og_colvec *cols[1] = { c };
	struct og_error err = { 0 };

	d.type.nullable = nullable;
	ck_assert_int_eq(og_pq_encode(out, &d, cols, 1, NULL, NULL, 0, &err), want);
}

START_TEST(refuses_nulls_in_required_columns)
{
	struct og_proptype t = { .scalar = OG_I32 };
	struct og_buf out = { 0 };
	struct og_colvec c;

	og_colvec_init(&c, &t);
	og_colvec_append_null(&c);
	encode_one(&out, &c, false, OG_ERR_BAD);
	encode_one(&out, &c, true, 0);
	og_colvec_fini(&c);
	og_buf_fini(&out);
}
END_TEST

START_TEST(large_strings)
{
	struct og_proptype t = { .scalar = OG_STRING };
	char *big = calloc(1, 61u << 20);
	struct og_error err = { 0 };
	struct og_buf out = { 0 };
	struct og_colvec c, back;
	struct og_pq_file f;

	ck_assert_ptr_nonnull(big);
	og_colvec_init(&c, &t);
	og_colvec_append_str(&c, og_slice(big, 40u << 20));
	og_colvec_append_str(&c, og_slice(big, 3));
	og_colvec_append_str(&c, og_slice(big, 40u << 20));
	encode_one(&out, &c, false, 0);
	ck_assert_int_eq(og_pq_open(&arena, og_buf_view(&out), &f, &err), 0);
	og_colvec_init(&back, &t);
	ck_assert_int_eq(og_pq_read_column(&f, 0, 0, &back, &err), 0);
	ck_assert(same(&c, &back));
	og_colvec_append_str(&c, og_slice(big, 61u << 20));
	encode_one(&out, &c, false, OG_ERR_TOO_LARGE);
	og_colvec_fini(&c);
	og_colvec_fini(&back);
	og_buf_fini(&out);
	free(big);
}
END_TEST

START_TEST(small_files_are_small)
{
	static const enum og_scalar scalars[] = { OG_STRING, OG_I64, OG_F64, OG_BOOL, OG_DATETIME };
	struct og_pq_col_desc d[5];
	struct og_colvec c[5];
	const struct og_colvec *cols[5];
	struct og_error err = { 0 };
	struct og_buf out = { 0 };

	for (int i = 0; i < 5; i++) {
		struct og_proptype t = { .scalar = scalars[i], .nullable = i & 1 };
		struct shape s = { 100, 0 };

		d[i] = (struct og_pq_col_desc){ OG_SLICE("property"), i, t };
		fill(&c[i], &t, 1, &s, 5);
		cols[i] = &c[i];
	}
	ck_assert_int_eq(og_pq_encode(&out, d, cols, 5, NULL, NULL, 0, &err), 0);
	ck_assert_uint_lt(out.len, 1000);
	for (int i = 0; i < 5; i++)
		og_colvec_fini(&c[i]);
	og_buf_fini(&out);
}
END_TEST

/* ---- statistics ---- */

static void open_one(const struct og_colvec *c, struct og_buf *out, struct og_pq_file *f)
{
	struct og_error err = { 0 };

	encode_one(out, c, true, 0);
	ck_assert_int_eq(og_pq_open(&arena, og_buf_view(out), f, &err), 0);
}

static bool has_nan(const struct og_colvec *c)
{
	for (size_t i = 0; c->type.scalar == OG_F32 && !c->type.list && i < c->rows; i++)
		if (isnan(c->f32[i]))
			return true;
	return false;
}

START_TEST(bounds_of_numbers)
{
	struct og_proptype t = type_nr(_i);
	struct shape s = { 100000, 10 };
	struct og_value min, max, v;
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_colvec c;
	bool known;

	fill(&c, &t, 2000, &s, 9);
	ck_assert(!has_nan(&c));
	open_one(&c, &out, &f);
	known = og_pq_range(&f, 0, 0, &min, &max);
	ck_assert_int_eq(known, !t.list && t.scalar != OG_VECTOR && t.scalar != OG_BLOB);
	for (size_t i = 0; known && i < c.rows; i++) {
		v = og_colvec_get(&c, i);
		if (v.kind == OG_V_NULL)
			continue;
		ck_assert_int_le(og_value_cmp(&min, &v), 0);
		ck_assert_int_ge(og_value_cmp(&max, &v), 0);
	}
	if (!t.list && t.scalar != OG_VECTOR) {
		ck_assert(f.groups[0].chunks[0].stats.has_nulls);
		ck_assert_uint_eq(f.groups[0].chunks[0].stats.nulls, c.nulls);
	}
	og_colvec_fini(&c);
	og_buf_fini(&out);
}
END_TEST

/* Some readers take it for the greatest number, some for none: either would be misled by bounds of the others. */
START_TEST(no_bounds_beside_a_nan)
{
	struct og_proptype t = { .scalar = _i ? OG_F64 : OG_F32, .nullable = true };
	struct og_value min, max;
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_colvec c;

	og_colvec_init(&c, &t);
	for (int i = 0; i < 100; i++) {
		if (i == 50)
			og_colvec_append_null(&c);
		else if (_i)
			og_colvec_append_f64(&c, i == 70 ? (double)NAN : i);
		else
			og_colvec_append_f32(&c, i == 70 ? NAN : (float)i);
	}
	open_one(&c, &out, &f);
	ck_assert(!og_pq_range(&f, 0, 0, &min, &max));
	ck_assert_ptr_null(f.groups[0].chunks[0].stats.min.p);
	ck_assert_ptr_null(f.groups[0].chunks[0].stats.max.p);
	ck_assert_uint_eq(f.groups[0].chunks[0].stats.nulls, 1);
	og_colvec_fini(&c);
	og_buf_fini(&out);
}
END_TEST

/* Readers answer min() and max() from exact bounds; cut ones must not look so. */
START_TEST(cut_bounds_are_not_exact)
{
	struct og_proptype t = { .scalar = OG_STRING, .nullable = true };
	const struct og_pq_stats *s;
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_colvec c;
	char text[80];

	memset(text, 'm', sizeof(text));
	for (int cut = 0; cut < 4; cut++) {
		og_colvec_init(&c, &t);
		text[0] = 'a';
		og_colvec_append_str(&c, og_slice(text, cut & 1 ? sizeof(text) : 64));
		for (int i = 0; i < 100; i++)
			og_colvec_append_str(&c, OG_SLICE("k"));
		text[0] = 'z';
		og_colvec_append_str(&c, og_slice(text, cut & 2 ? sizeof(text) : 64));
		open_one(&c, &out, &f);
		s = &f.groups[0].chunks[0].stats;
		ck_assert(s->min.p && s->max.p);
		ck_assert_int_eq(s->min_exact, !(cut & 1));
		ck_assert_int_eq(s->max_exact, !(cut & 2));
		og_colvec_fini(&c);
		og_buf_fini(&out);
	}
}
END_TEST

/* Bounds are cut to 64 bytes, between characters, and an upper bound is raised. */
START_TEST(bounds_of_long_strings)
{
	static const struct {
		const char *last;	/* characters after `fill` x 'a' */
		int fill;
		const char *max;	/* after the same; NULL: exact prefix ends one earlier */
	} cases[] = {
		{ "bcd", 63, "c" },
		{ "\x7f" "cd", 63, NULL },
		{ "\xc3\xa4" "cd", 63, NULL },		/* cut before the character */
		{ "\xc3\xa4" "cd", 62, "\xc3\xa5" },
		{ "\xdf\xbf" "cd", 62, NULL },
		{ "\xed\x9f\xbf" "cd", 61, "\xee\x80\x80" },
		{ "\xf4\x8f\xbf\xbf" "cd", 60, NULL },
		{ "\xf0\x9f\xbf\xbf" "cd", 60, "\xf0\xa0\x80\x80" },
	};
	struct og_proptype t = { .scalar = OG_STRING, .nullable = true };
	char text[100], want[100];
	struct og_value min, max;
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_colvec c;
	int fill_len = cases[_i].fill;

	memset(text, 'a', sizeof(text));
	memset(want, 'a', sizeof(want));
	strcpy(text + fill_len, cases[_i].last);
	if (cases[_i].max)
		strcpy(want + fill_len, cases[_i].max);
	else
		strcpy(want + fill_len - 1, "b");
	og_colvec_init(&c, &t);
	for (int i = 0; i < 100; i++)
		og_colvec_append_str(&c, og_slice_str(text));
	open_one(&c, &out, &f);
	ck_assert(og_pq_range(&f, 0, 0, &min, &max));
	ck_assert_int_eq(max.s.len, strlen(want));
	ck_assert(og_slice_is(max.s, want));
	ck_assert(og_slice_starts(og_slice_str(text), min.s));
	ck_assert_int_le((int)min.s.len, 64);
	ck_assert_int_ge((int)min.s.len, 60);
	og_colvec_fini(&c);
	og_buf_fini(&out);
}
END_TEST

START_TEST(no_upper_bound_where_there_is_none)
{
	struct og_proptype t = { .scalar = OG_STRING, .nullable = true };
	struct og_value min, max;
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_colvec c;
	char text[100];

	for (size_t i = 0; i < sizeof(text); i += 4)
		memcpy(text + i, "\xf4\x8f\xbf\xbf", 4);
	og_colvec_init(&c, &t);
	for (int i = 0; i < 100; i++)
		og_colvec_append_str(&c, og_slice(text, sizeof(text)));
	open_one(&c, &out, &f);
	ck_assert(!og_pq_range(&f, 0, 0, &min, &max));
	ck_assert_ptr_nonnull(f.groups[0].chunks[0].stats.min.p);
	og_colvec_fini(&c);
	og_buf_fini(&out);
}
END_TEST

/* ---- hostile bytes ---- */

/* A file with most of what the format has. */
static void sample(struct og_buf *out, enum og_pq_codec codec, size_t rows)
{
	static const int types[] = { 0, 1, 3, 4, 15, 22, 23, 24, 29 };
	struct og_pq_options opt = { .codec = codec, .page_bytes = 700 };
	struct og_pq_kv kv = { OG_SLICE("schema"), OG_SLICE("7") };
	struct og_pq_col_desc d[OG_COUNT(types)];
	const struct og_colvec *cols[OG_COUNT(types)];
	struct og_colvec c[OG_COUNT(types)];
	struct og_error err = { 0 };

	for (size_t i = 0; i < OG_COUNT(types); i++) {
		struct shape s = { 9, 4 };

		d[i] = (struct og_pq_col_desc){ OG_SLICE("c"), (int32_t)i, type_nr(types[i]) };
		fill(&c[i], &d[i].type, rows, &s, i);
		cols[i] = &c[i];
	}
	ck_assert_int_eq(og_pq_encode(out, d, cols, OG_COUNT(types), &opt, &kv, 1, &err), 0);
	for (size_t i = 0; i < OG_COUNT(types); i++)
		og_colvec_fini(&c[i]);
}

/* Opens and reads everything. Negative: refused, with a place. */
static int read_all(struct og_slice bytes)
{
	struct og_error err = { 0 };
	struct og_pq_file f;
	struct og_value min, max;
	int rc = og_pq_open(&arena, bytes, &f, &err), worst = rc;

	for (size_t g = 0; rc == 0 && g < f.ngroups; g++) {
		for (size_t i = 0; i < f.ncols; i++) {
			struct og_proptype t = f.cols[i].type;
			struct og_colvec c;

			t.dim = t.scalar == OG_VECTOR ? 5 : 0;
			og_colvec_init(&c, &t);
			rc = og_pq_read_column(&f, g, i, &c, &err);
			ck_assert_uint_eq(c.rows, rc < 0 ? 0 : f.groups[g].rows);
			worst = OG_MIN(worst, rc);
			(void)og_pq_range(&f, g, i, &min, &max);
			og_colvec_fini(&c);
		}
		rc = 0;
	}
	if (worst < 0) {
		ck_assert(worst == OG_ERR_CORRUPT || worst == OG_ERR_UNSUPPORTED);
		ck_assert_uint_le(err.pos.byte, bytes.len);
		ck_assert_uint_gt(strlen(err.message), 0);
	}
	og_arena_reset(&arena);
	return worst;
}

START_TEST(refuses_every_prefix)
{
	struct og_buf out = { 0 };

	sample(&out, _i ? OG_PQ_SNAPPY : OG_PQ_NONE, 100);
	ck_assert_int_eq(read_all(og_buf_view(&out)), 0);
	for (size_t n = 0; n < out.len; n++) {
		struct og_slice cut = exact_copy(out.data, n);

		ck_assert_int_lt(read_all(cut), 0);
		free((char *)cut.p);
	}
	og_buf_fini(&out);
}
END_TEST

START_TEST(survives_every_flipped_byte)
{
	static const enum og_pq_codec codecs[] = { OG_PQ_NONE, OG_PQ_SNAPPY, OG_PQ_ZSTD };
	static const uint8_t flips[] = { 0x01, 0x80, 0xff, 0x10 };
	struct og_buf out = { 0 };
	struct og_slice copy;

	sample(&out, codecs[_i], 80);
	copy = exact_copy(out.data, out.len);
	for (size_t n = 0; n < out.len; n++) {
		for (size_t k = 0; k < OG_COUNT(flips); k++) {
			char *p = (char *)copy.p + n;

			*p ^= (char)flips[k];
			(void)read_all(copy);
			*p ^= (char)flips[k];
		}
	}
	ck_assert_int_eq(read_all(copy), 0);
	free((char *)copy.p);
	og_buf_fini(&out);
}
END_TEST

START_TEST(refuses_another_type)
{
	struct og_proptype t = { .scalar = OG_I32 }, wrong = { .scalar = OG_I64 };
	struct shape s = { 10, 0 };
	struct og_error err = { 0 };
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_colvec c, back;

	fill(&c, &t, 10, &s, 1);
	open_one(&c, &out, &f);
	og_colvec_init(&back, &wrong);
	ck_assert_int_eq(og_pq_read_column(&f, 0, 0, &back, &err), OG_ERR_UNSUPPORTED);
	og_colvec_fini(&back);
	og_colvec_fini(&c);
	og_buf_fini(&out);
}
END_TEST

START_TEST(refuses_vectors_of_another_length)
{
	struct og_proptype t = { .scalar = OG_VECTOR, .dim = 4 }, wrong = { .scalar = OG_VECTOR, .dim = 2 };
	struct shape s = { 10, 0 };
	struct og_error err = { 0 };
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_colvec c, back;

	fill(&c, &t, 10, &s, 1);
	open_one(&c, &out, &f);
	og_colvec_init(&back, &wrong);
	ck_assert_int_eq(og_pq_read_column(&f, 0, 0, &back, &err), OG_ERR_CORRUPT);
	ck_assert_uint_eq(back.rows, 0);
	og_colvec_fini(&back);
	og_colvec_fini(&c);
	og_buf_fini(&out);
}
END_TEST

START_TEST(refuses_text_that_is_not_utf8)
{
	struct og_proptype t = { .scalar = OG_STRING };
	struct og_error err = { 0 };
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_colvec c, back;

	og_colvec_init(&c, &t);
	/* Two halves of one character: only together are they well-formed. */
	og_colvec_append_str(&c, OG_SLICE("\xc3"));
	og_colvec_append_str(&c, OG_SLICE("\xa4"));
	open_one(&c, &out, &f);
	og_colvec_init(&back, &t);
	ck_assert_int_eq(og_pq_read_column(&f, 0, 0, &back, &err), OG_ERR_CORRUPT);
	og_colvec_fini(&back);
	og_colvec_fini(&c);
	og_buf_fini(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("parquet");
	TCase *tc = tcase_create("parquet");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, reads_back_every_type, 0, NTYPES);
	tcase_add_test(tc, reads_back_many_groups_and_columns);
	tcase_add_test(tc, gives_back_appended_values);
	tcase_add_test(tc, a_wrong_kind_is_a_sticky_failure);
	tcase_add_loop_test(tc, copies_single_rows, 0, NTYPES);
	tcase_add_test(tc, refuses_nulls_in_required_columns);
	tcase_add_test(tc, large_strings);
	tcase_add_test(tc, small_files_are_small);
	tcase_add_loop_test(tc, bounds_of_numbers, 0, NTYPES);
	tcase_add_loop_test(tc, no_bounds_beside_a_nan, 0, 2);
	tcase_add_test(tc, cut_bounds_are_not_exact);
	tcase_add_loop_test(tc, bounds_of_long_strings, 0, 8);
	tcase_add_test(tc, no_upper_bound_where_there_is_none);
	tcase_add_loop_test(tc, refuses_every_prefix, 0, 2);
	tcase_add_loop_test(tc, survives_every_flipped_byte, 0, 3);
	tcase_add_test(tc, refuses_another_type);
	tcase_add_test(tc, refuses_vectors_of_another_length);
	tcase_add_test(tc, refuses_text_that_is_not_utf8);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
