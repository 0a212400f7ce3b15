/* Types and values. */
#include "config.h"

#include "suite.h"
#include "base/value.h"

#include <float.h>
#include <math.h>

#define I(x) { .kind = OG_V_INT, .i = (x) }
#define U(x) { .kind = OG_V_UINT, .u = (x) }
#define F(x) { .kind = OG_V_FLOAT, .f = (x) }
#define S(x) { .kind = OG_V_STRING, .s = { (x), sizeof(x) - 1 } }

START_TEST(types_have_names)
{
	struct og_slice enums[] = { OG_SLICE("a"), OG_SLICE("b") };
	struct og_proptype types[] = {
		{ .scalar = OG_I32, .nullable = true },
		{ .scalar = OG_STRING, .list = true },
		{ .scalar = OG_DATETIME, .list = true, .nullable = true },
		{ .scalar = OG_VECTOR, .dim = 4 },
		{ .scalar = OG_STRING, .enums = enums, .nenum = 2, .nullable = true },
	};
	static const char *const names[] = { "I32?", "[String]", "[DateTime]?", "Vector(4)", "enum(a, b)?" };
	struct og_buf b = { 0 };

	for (size_t i = 0; i < OG_COUNT(types); i++) {
		og_buf_clear(&b);
		og_proptype_format(&b, &types[i]);
		ck_assert_str_eq(b.data, names[i]);
		for (size_t j = 0; j < OG_COUNT(types); j++)
			ck_assert(og_proptype_equal(&types[i], &types[j]) == (i == j));
	}
	og_buf_clear(&b);
	og_proptype_format_base(&b, &types[4]);
	ck_assert_str_eq(b.data, "enum(a, b)");
	ck_assert_int_eq(og_proptype_kind(&types[1]), OG_V_LIST);
	ck_assert_int_eq(og_proptype_kind(&types[0]), OG_V_INT);
	ck_assert_int_eq(og_proptype_kind(&types[3]), OG_V_VECTOR);
	og_buf_fini(&b);
}
END_TEST

/* Strictly ascending. */
static const struct og_value ascending[] = {
	F(-INFINITY), F(-1e300), F(-9223372036854777856.0), I(INT64_MIN), I(INT64_MIN + 1), F(-2.5), I(-2), F(-1.5), I(-1),
	F(-DBL_TRUE_MIN), I(0), F(DBL_TRUE_MIN), F(0.5), U(1), F(1.5), I(2), I(9007199254740991), F(9007199254740992.0),
	I(9007199254740993), F(9007199254740994.0), I(INT64_MAX), F(9223372036854775808.0), U(9223372036854775809u),
	U(UINT64_MAX), F(18446744073709551616.0), F(1e300), F(INFINITY),
};

START_TEST(numbers_compare_by_exact_value)
{
	for (size_t i = 0; i < OG_COUNT(ascending); i++) {
		for (size_t j = 0; j < OG_COUNT(ascending); j++) {
			int want = i < j ? -1 : i > j;

			ck_assert_msg(og_value_cmp(&ascending[i], &ascending[j]) == want, "%zu %zu", i, j);
			ck_assert_int_eq(og_value_order(&ascending[i], &ascending[j]), want);
		}
	}
}
END_TEST

START_TEST(equal_numbers_hash_alike)
{
	static const struct og_value same[][3] = {
		{ I(0), F(-0.0), F(0.0) },
		{ I(7), U(7), F(7) },
		{ I(-7), F(-7), I(-7) },
		{ I(INT64_MIN), F(-9223372036854775808.0), I(INT64_MIN) },
		{ U(UINT64_C(1) << 63), F(9223372036854775808.0), U(UINT64_C(1) << 63) },
		{ F(NAN), F(-NAN), F(NAN) },
		{ F(0.5), F(0.5), F(0.5) },
	};

	for (size_t i = 0; i < OG_COUNT(same); i++) {
		for (size_t j = 0; j < 3; j++) {
			ck_assert_int_eq(og_value_order(&same[i][0], &same[i][j]), 0);
			ck_assert_uint_eq(og_value_hash(&same[i][0], 5), og_value_hash(&same[i][j], 5));
		}
	}
	for (size_t i = 0; i < OG_COUNT(ascending); i++)
		for (size_t j = 0; j < i; j++)
			ck_assert_uint_ne(og_value_hash(&ascending[i], 1), og_value_hash(&ascending[j], 1));
	ck_assert_uint_ne(og_value_hash(&ascending[3], 1), og_value_hash(&ascending[3], 2));
}
END_TEST

START_TEST(nan_is_unordered_but_sorts_last)
{
	struct og_value nan = F(NAN), inf = F(INFINITY), max = U(UINT64_MAX), null = { 0 };

	ck_assert_int_eq(og_value_cmp(&nan, &nan), OG_UNORDERED);
	ck_assert_int_eq(og_value_cmp(&nan, &max), OG_UNORDERED);
	ck_assert_int_eq(og_value_cmp(&max, &nan), OG_UNORDERED);
	ck_assert_int_eq(og_value_order(&nan, &nan), 0);
	ck_assert_int_eq(og_value_order(&nan, &inf), 1);
	ck_assert_int_eq(og_value_order(&max, &nan), -1);
	ck_assert_int_eq(og_value_order(&null, &nan), -1);
	ck_assert_int_eq(og_value_order(&nan, &null), 1);
	ck_assert_int_eq(og_value_order(&null, &null), 0);
}
END_TEST

START_TEST(other_kinds_compare)
{
	static const struct og_value text[] = { S(""), S("a"), S("a\0"), S("ab"), S("b"), S("\xc3\xa9"), S("\xf0\x9f\x98\x80") };
	static const struct og_value one[] = { I(1) }, one_null[] = { I(1), { .kind = OG_V_NULL } }, one_two[] = { I(1), I(2) };
	static const struct og_value lists[] = {
		{ .kind = OG_V_LIST, .items = { NULL, 0 } },	 { .kind = OG_V_LIST, .items = { one_null + 1, 1 } },
		{ .kind = OG_V_LIST, .items = { one, 1 } },	 { .kind = OG_V_LIST, .items = { one_null, 2 } },
		{ .kind = OG_V_LIST, .items = { one_two, 2 } },
	};
	static const float v[] = { 1, 2, NAN };
	static const struct og_value vectors[] = {
		{ .kind = OG_V_VECTOR, .vec = { v, 1 } },
		{ .kind = OG_V_VECTOR, .vec = { v, 2 } },
		{ .kind = OG_V_VECTOR, .vec = { v + 1, 1 } },
		{ .kind = OG_V_VECTOR, .vec = { v + 2, 1 } },
	};

	for (size_t i = 0; i < OG_COUNT(text); i++)
		for (size_t j = 0; j < OG_COUNT(text); j++)
			ck_assert_int_eq(og_value_cmp(&text[i], &text[j]), i < j ? -1 : i > j);
	for (size_t i = 0; i < OG_COUNT(lists); i++)
		for (size_t j = 0; j < OG_COUNT(lists); j++)
			ck_assert_int_eq(og_value_order(&lists[i], &lists[j]), i < j ? -1 : i > j);
	for (size_t i = 0; i < OG_COUNT(vectors); i++)
		for (size_t j = 0; j < OG_COUNT(vectors); j++)
			ck_assert_int_eq(og_value_order(&vectors[i], &vectors[j]), i < j ? -1 : i > j);
	ck_assert_uint_ne(og_value_hash(&lists[2], 0), og_value_hash(&lists[3], 0));
	ck_assert_uint_ne(og_value_hash(&lists[2], 0), og_value_hash(&one[0], 0));
	ck_assert_uint_eq(og_value_hash(&vectors[3], 0), og_value_hash(&vectors[3], 0));
}
END_TEST

START_TEST(ids_have_canonical_texts)
{
	static const struct {
		struct og_value v;
		enum og_scalar type;
		const char *want;
	} ids[] = {
		{ S("as it is\n"), OG_STRING, "as it is\n" },
		{ { .kind = OG_V_BOOL, .i = 1 }, OG_BOOL, "true" },
		{ I(-7), OG_I32, "-7" },
		{ U(UINT64_MAX), OG_U64, "18446744073709551615" },
		{ { .kind = OG_V_DATE, .i = 19723 }, OG_DATE, "19723" },
		{ { .kind = OG_V_DATETIME, .i = -1 }, OG_DATETIME, "-1" },
		{ F(-0.0), OG_F64, "0" },
		{ F(1e21), OG_F64, "1000000000000000000000" },
		{ F((double)0.1f), OG_F32, "0.1" },
		{ F((double)0.1f), OG_F64, "0.10000000149011612" },
	};
	struct og_value nan = F(NAN), inf = F(-INFINITY), null = { 0 };
	struct og_buf b = { 0 };
	struct og_error err = { 0 };

	for (size_t i = 0; i < OG_COUNT(ids); i++) {
		og_buf_clear(&b);
		ck_assert_int_eq(og_value_id_text(&b, &ids[i].v, ids[i].type, &err), 0);
		ck_assert_str_eq(b.data, ids[i].want);
	}
	ck_assert_int_eq(og_value_id_text(&b, &nan, OG_F64, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "scalar key: non-finite Float64 value NaN cannot identify an entity");
	ck_assert_int_eq(og_value_id_text(&b, &inf, OG_F32, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "scalar key: non-finite Float32 value -inf cannot identify an entity");
	ck_assert_int_eq(og_value_id_text(&b, &null, OG_STRING, &err), OG_ERR_BAD);
	og_buf_fini(&b);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, types_have_names);
	tcase_add_test(tc, numbers_compare_by_exact_value);
	tcase_add_test(tc, equal_numbers_hash_alike);
	tcase_add_test(tc, nan_is_unordered_but_sorts_last);
	tcase_add_test(tc, other_kinds_compare);
	tcase_add_test(tc, ids_have_canonical_texts);
}

int main(void)
{
	return suite_run("value", add, 60);
}
