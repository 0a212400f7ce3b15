/* Rows as JSON objects, straight into the result's buffer. */
#include "config.h"

#include "engine/run.h"
#include "base/date.h"
#include "base/num.h"

#include <math.h>

static void put_double(struct og_buf *o, double d)
{
	char text[40];

	if (isnan(d))
		og_buf_str(o, "\"NaN\"");
	else if (isinf(d))
		og_buf_str(o, d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
	else
		og_buf_append(o, text, og_double_json(d, text));
}

/* A year beyond the calendar's range is printed as the bare number. */
static void put_date(struct og_buf *o, const struct og_value *v)
{
	size_t at = o->len;
	bool plain = false;

	og_buf_byte(o, '"');
	if (v->kind == OG_V_DATE)
		og_date_format(o, (int32_t)v->i, &plain);
	else
		og_datetime_format(o, v->i, &plain);
	if (!plain) {
		og_buf_byte(o, '"');
	} else if (!o->failed) {
		memmove(o->data + at, o->data + at + 1, o->len - at - 1);
		o->len--;
	}
}

static void put_vector(struct og_buf *o, const struct og_value *v)
{
	og_buf_byte(o, '[');
	for (uint32_t i = 0; i < v->vec.dim; i++) {
		if (i)
			og_buf_byte(o, ',');
		if (isfinite(v->vec.v[i]))
			put_double(o, v->vec.v[i]);
		else
			og_buf_str(o, "null");
	}
	og_buf_byte(o, ']');
}

static void put_value(struct og_buf *o, const struct og_value *v)
{
	switch (v->kind) {
	case OG_V_NULL:
	case OG_V_BLOB:
		og_buf_append(o, "null", 4);
		return;
	case OG_V_BOOL:
		og_buf_str(o, v->i ? "true" : "false");
		return;
	case OG_V_INT:
		og_buf_i64(o, v->i);
		return;
	case OG_V_UINT:
		og_buf_u64(o, v->u);
		return;
	case OG_V_FLOAT:
		put_double(o, v->f);
		return;
	case OG_V_STRING:
		og_json_quote(o, v->s);
		return;
	case OG_V_DATE:
	case OG_V_DATETIME:
		put_date(o, v);
		return;
	case OG_V_VECTOR:
		put_vector(o, v);
		return;
	case OG_V_LIST:
		break;
	}
	og_buf_byte(o, '[');
	for (size_t i = 0; i < v->items.n; i++) {
		if (i)
			og_buf_byte(o, ',');
		put_value(o, &v->items.v[i]);
	}
	og_buf_byte(o, ']');
}

static int name_columns(struct og_exec *x, struct og_error *err)
{
	const struct gq_item *items = x->p->q->read.items;
	struct og_buf b = { 0 };

	og_buf_byte(&x->columns, '[');
	for (uint32_t i = 0; i < x->p->nitems; i++) {
		if (i)
			og_buf_byte(&x->columns, ',');
		og_json_quote(&x->columns, items[i].column);
		og_buf_clear(&b);
		og_json_quote(&b, items[i].column);
		og_buf_byte(&b, ':');
		if (b.failed)
			break;
		x->names[i] = og_arena_slice(&x->arena, og_buf_view(&b));
		if (!x->names[i].p) {
			og_buf_fini(&b);
			return eng_no_memory(x, err);
		}
	}
	og_buf_byte(&x->columns, ']');
	x->columns.failed |= b.failed;
	og_buf_fini(&b);
	return og_buf_ok(&x->columns, err);
}

/* A Blob parameter is a value of type Blob, whatever text it came as. */
static void hide_blob(const struct eng_item *it, struct eng_value_of *v)
{
	if (it->kind == ENG_CONST && it->x->type.scalar == OG_BLOB && !it->x->type.list)
		v->val.kind = OG_V_NULL;
}

int eng_encode_init(struct og_exec *x, struct og_error *err)
{
	uint32_t n = x->p->nitems;
	int rc = 0;

	x->items = og_arena_array(&x->arena, n, sizeof(*x->items));
	x->names = og_arena_array(&x->arena, n, sizeof(*x->names));
	x->row = og_arena_array(&x->arena, n, sizeof(*x->row));
	if (!x->items || !x->names || !x->row)
		return eng_no_memory(x, err);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		rc = eng_value_init(x, &x->p->items[i], &x->items[i], err);
		if (rc == 0)
			hide_blob(&x->p->items[i], &x->items[i]);
	}
	return rc < 0 ? rc : name_columns(x, err);
}

int eng_encode_row(struct og_exec *x, const struct og_value *values, struct og_error *err)
{
	struct og_buf *o = &x->out;
	char before = '{';

	og_buf_byte(o, x->rows ? ',' : '[');
	for (uint32_t i = 0; i < x->p->nitems; i++) {
		int32_t shown = x->p->shown[i];

		if (shown < 0)
			continue;
		og_buf_byte(o, (uint8_t)before);
		before = ',';
		og_buf_slice(o, x->names[i]);
		put_value(o, &values[shown]);
	}
	og_buf_byte(o, '}');
	x->rows++;
	if (o->failed)
		return eng_no_memory(x, err);
	/* A batch of large texts is far more than what comes between two looks elsewhere. */
	if (o->cap == x->out_seen)
		return 0;
	x->out_seen = o->cap;
	return eng_check_memory(x, err);
}

int eng_encode_batch(struct og_exec *x, struct eng_batch *b, struct og_error *err)
{
	og_arena_reset(&x->tmp);
	for (uint32_t i = 0; i < b->nsel; i++) {
		int rc = 0;

		if (x->p->has_limit && x->rows >= x->p->limit)
			return 0;
		for (uint32_t c = 0; rc == 0 && c < x->p->nitems; c++)
			rc = eng_value_get(&x->items[c], b, b->sel[i], &x->tmp, &x->row[c], err);
		if (rc < 0 || (rc = eng_encode_row(x, x->row, err)) < 0)
			return rc;
	}
	return 0;
}
