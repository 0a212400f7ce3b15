/* Schema and bounds for readers of Delta tables. */
#include "config.h"

#include "format/delta_table.h"

#include <math.h>
#include <stdio.h>

#include "base/date.h"
#include "base/utf8.h"
#include "json/writer.h"

/* ---- schema ---- */

static const char *type_name(enum og_scalar s)
{
	switch (s) {
	case OG_STRING:
		return "string";
	case OG_BOOL:
		return "boolean";
	case OG_I32:
		return "integer";
	case OG_I64:
	case OG_U32:
		return "long";
	case OG_U64:
		return "decimal(20,0)";
	case OG_F32:
	case OG_VECTOR:		/* of its items */
		return "float";
	case OG_F64:
		return "double";
	case OG_DATE:
		return "date";
	case OG_DATETIME:
		return "timestamp";
	case OG_BLOB:
		return "binary";
	}
	return "binary";
}

static void put_type(struct og_json_writer *w, const struct og_proptype *t)
{
	bool vector = t->scalar == OG_VECTOR;

	if (!vector && !t->list) {
		og_json_member_str(w, "type", type_name(t->scalar));
		return;
	}
	og_json_member_object(w, "type");
	og_json_member_str(w, "type", "array");
	og_json_member_str(w, "elementType", type_name(t->scalar));
	og_json_member_bool(w, "containsNull", !vector);
	og_json_end_object(w);
}

static bool same_but_case(struct og_slice a, struct og_slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		char x = a.p[i], y = b.p[i];

		x = x >= 'A' && x <= 'Z' ? (char)(x | 0x20) : x;
		y = y >= 'A' && y <= 'Z' ? (char)(y | 0x20) : y;
		if (x != y)
			return false;
	}
	return true;
}

int og_delta_schema(struct og_buf *b, const struct og_delta_column *cols, size_t n, struct og_error *err)
{
	struct og_json_writer w;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (same_but_case(cols[i].name, cols[k].name))
				return og_error_set(err, OG_ERR_UNSUPPORTED, "columns '%.*s' and '%.*s' are one to Delta Lake, which ignores case",
						    OG_FMT(cols[k].name), OG_FMT(cols[i].name));
	og_json_writer_init(&w, b, false);
	og_json_begin_object(&w);
	og_json_member_str(&w, "type", "struct");
	og_json_member_array(&w, "fields");
	for (size_t i = 0; i < n; i++) {
		og_json_begin_object(&w);
		og_json_member_string(&w, "name", cols[i].name);
		put_type(&w, &cols[i].type);
		og_json_member_bool(&w, "nullable", true);
		og_json_member_object(&w, "metadata");
		og_json_member_u64(&w, "omnigraph.id", cols[i].id);
		og_json_end_object(&w);
		og_json_end_object(&w);
	}
	og_json_end_array(&w);
	og_json_end_object(&w);
	return og_buf_ok(b, err);
}

bool og_delta_file_fits(const struct og_delta_column *cols, size_t n, const struct og_pq_file *f)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < f->ncols; k++) {
			const struct og_pq_col_desc *d = &f->cols[k];
			bool name = same_but_case(d->name, cols[i].name), id = d->field_id == (int32_t)cols[i].id;

			if (name != id)
				return false;
			if (id && (!og_slice_eq(d->name, cols[i].name) || d->type.scalar != cols[i].type.scalar || d->type.list != cols[i].type.list))
				return false;
		}
	return true;
}

/* ---- bounds ---- */

/* JSON of a bound; false: it has none that every reader takes. */
static bool put_value(struct og_buf *b, const struct og_value *v)
{
	bool plain = false;

	switch (v->kind) {
	case OG_V_BOOL:
		og_buf_str(b, v->i ? "true" : "false");
		return true;
	case OG_V_INT:
		og_buf_printf(b, "%lld", (long long)v->i);
		return true;
	case OG_V_UINT:
		og_buf_printf(b, "%llu", (unsigned long long)v->u);
		return true;
	case OG_V_FLOAT: {
		struct og_json_writer w;

		if (!isfinite(v->f))
			return false;
		og_json_writer_init(&w, b, false);
		og_json_put_double(&w, v->f);
		return true;
	}
	case OG_V_STRING:
		if (og_utf8_check(v->s) != v->s.len)
			return false;
		og_json_quote(b, v->s);
		return true;
	case OG_V_DATE:
	case OG_V_DATETIME: {
		size_t from = b->len;

		og_buf_byte(b, '"');
		if (v->kind == OG_V_DATE)
			og_date_format(b, (int32_t)v->i, &plain);
		else
			og_datetime_format(b, v->i, &plain);
		/* Years of other than four digits have a sign. */
		if (plain || b->failed || b->len < from + 2 || b->data[from + 1] < '0' || b->data[from + 1] > '9')
			return false;
		og_buf_byte(b, '"');
		return true;
	}
	case OG_V_NULL:
	case OG_V_LIST:
	case OG_V_VECTOR:
	case OG_V_BLOB:
		break;
	}
	return false;
}

/*
 * The least and the greatest over all groups; groups of nulls alone have none. Of floats only what is said to be exact: earlier writers passed over a
 * NaN, to Spark the greatest of all.
 */
static bool range_of(const struct og_pq_file *f, size_t col, struct og_value *min, struct og_value *max)
{
	bool floats = f->cols[col].type.scalar == OG_F32 || f->cols[col].type.scalar == OG_F64, any = false;

	for (size_t g = 0; g < f->ngroups; g++) {
		const struct og_pq_stats *s = &f->groups[g].chunks[col].stats;
		struct og_value lo, hi;

		if (s->has_nulls && s->nulls == f->groups[g].rows)
			continue;
		if ((floats && !(s->min_exact && s->max_exact)) || !og_pq_range(f, g, col, &lo, &hi))
			return false;
		if (!any || og_value_cmp(&lo, min) < 0)
			*min = lo;
		if (!any || og_value_cmp(&hi, max) == 1)
			*max = hi;
		any = true;
	}
	return any;
}

static bool nulls_of(const struct og_pq_file *f, size_t col, uint64_t *nulls)
{
	*nulls = 0;
	if (f->cols[col].type.list || f->cols[col].type.scalar == OG_VECTOR)
		return false;	/* their levels count items */
	for (size_t g = 0; g < f->ngroups; g++) {
		const struct og_pq_stats *s = &f->groups[g].chunks[col].stats;

		if (!s->has_nulls || s->nulls > f->groups[g].rows)
			return false;
		*nulls += s->nulls;
	}
	return true;
}

static void put_member(struct og_buf *b, struct og_slice name, struct og_slice value)
{
	if (b->len)
		og_buf_byte(b, ',');
	og_json_quote(b, name);
	og_buf_byte(b, ':');
	og_buf_slice(b, value);
}

/* The values' texts: a bound without its counterpart is of no use to anybody. false: none. */
static bool put_range(struct og_buf *mins, struct og_buf *maxs, struct og_slice name, const struct og_value *min, const struct og_value *max)
{
	struct og_buf lo = { 0 }, hi = { 0 };
	bool told = put_value(&lo, min) && put_value(&hi, max);

	if (told) {
		put_member(mins, name, og_buf_view(&lo));
		put_member(maxs, name, og_buf_view(&hi));
	}
	if (lo.failed || hi.failed)
		mins->failed = true;
	og_buf_fini(&lo);
	og_buf_fini(&hi);
	return told;
}

static void put_part(struct og_buf *b, const char *name, const struct og_buf *members, struct og_error *err)
{
	if (og_buf_ok(members, err) < 0)
		b->failed = true;
	else if (members->len)
		og_buf_printf(b, "%s\"%s\":{%.*s}", b->len ? "," : "", name, (int)members->len, members->data);
}

void og_delta_bounds(struct og_buf *b, const struct og_delta_column *cols, size_t n, const struct og_pq_file *f)
{
	struct og_buf mins = { 0 }, maxs = { 0 }, nulls = { 0 }, all = { 0 };
	struct og_error err = { 0 };

	for (size_t i = 0; i < OG_MIN(n, OG_DELTA_BOUNDS_COLUMNS); i++) {
		int col = og_pq_find(f, (int32_t)cols[i].id);
		struct og_value min = { 0 }, max = { 0 };
		char text[24];
		uint64_t count;
		bool told;

		if (col < 0)
			continue;
		told = range_of(f, (size_t)col, &min, &max) && put_range(&mins, &maxs, cols[i].name, &min, &max);
		/* deltalake takes a count of nulls without bounds for bounds of null, and finds no row that is not null. */
		if (nulls_of(f, (size_t)col, &count) && (told || count == f->rows)) {
			snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
			put_member(&nulls, cols[i].name, og_slice_str(text));
		}
	}
	put_part(&all, "minValues", &mins, &err);
	put_part(&all, "maxValues", &maxs, &err);
	put_part(&all, "nullCount", &nulls, &err);
	if (og_buf_ok(&all, &err) < 0)
		b->failed = true;
	else
		og_buf_slice(b, og_buf_view(&all));
	og_buf_fini(&mins);
	og_buf_fini(&maxs);
	og_buf_fini(&nulls);
	og_buf_fini(&all);
}
