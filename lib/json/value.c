/* Values as JSON. */
#include "config.h"

#include "json/value.h"
#include "base/base64.h"
#include "base/date.h"

#include <math.h>

/* A date or time goes out in quotes unless it had to be printed as a number; both fit in 40 bytes. */
static void put_time(struct og_json_writer *w, const struct og_value *v, bool export)
{
	struct og_buf *b = w->b;
	bool number = false;
	size_t start;

	og_json_put_raw(w, OG_SLICE("\""));
	start = b->len;
	if (v->kind == OG_V_DATE)
		og_date_format(b, (int32_t)v->i, &number);
	else if (export)
		og_datetime_format_export(b, v->i, &number);
	else
		og_datetime_format(b, v->i, &number);
	if (b->failed)
		return;
	if (number) {
		memmove(b->data + start - 1, b->data + start, b->len - start);
		b->len--;
		b->data[b->len] = '\0';
	} else {
		og_buf_byte(b, '"');
	}
}

void og_json_value(struct og_json_writer *w, const struct og_value *v)
{
	switch (v->kind) {
	case OG_V_NULL:
	case OG_V_BLOB:
		og_json_put_null(w);
		return;
	case OG_V_BOOL:
		og_json_put_bool(w, v->i != 0);
		return;
	case OG_V_INT:
		og_json_put_i64(w, v->i);
		return;
	case OG_V_UINT:
		og_json_put_u64(w, v->u);
		return;
	case OG_V_FLOAT:
		og_json_put_double(w, v->f);
		return;
	case OG_V_STRING:
		og_json_put_string(w, v->s);
		return;
	case OG_V_DATE:
	case OG_V_DATETIME:
		put_time(w, v, false);
		return;
	case OG_V_LIST:
		og_json_begin_array(w);
		for (size_t i = 0; i < v->items.n; i++)
			og_json_value(w, &v->items.v[i]);
		og_json_end_array(w);
		return;
	case OG_V_VECTOR:
		og_json_begin_array(w);
		for (uint32_t i = 0; i < v->vec.dim; i++) {
			if (isfinite(v->vec.v[i]))
				og_json_put_double(w, v->vec.v[i]);
			else
				og_json_put_null(w);
		}
		og_json_end_array(w);
		return;
	}
}

static int export_float(struct og_json_writer *w, double f, bool single, struct og_error *err)
{
	if (!isfinite(f))
		return og_error_set(err, OG_ERR_INTERNAL, "storage: cannot encode %s value '%s' as JSON",
				    single ? "f32" : "f64", isnan(f) ? "NaN" : f < 0 ? "-inf" : "inf");
	og_json_put_double(w, f);
	return 0;
}

/* Tagged bytes: 'b' and the content, or 'u' and a URI. */
static void export_blob(struct og_json_writer *w, struct og_slice s)
{
	struct og_slice body = og_slice(s.len ? s.p + 1 : "", s.len ? s.len - 1 : 0);

	if (s.len && s.p[0] == 'u') {
		og_json_put_string(w, body);
		return;
	}
	og_json_put_raw(w, OG_SLICE("\"base64:"));
	og_base64_encode(w->b, body);
	og_buf_byte(w->b, '"');
}

int og_json_value_export(struct og_json_writer *w, const struct og_value *v, enum og_scalar type, struct og_error *err)
{
	int rc = 0;

	switch (v->kind) {
	case OG_V_NULL:
	case OG_V_BOOL:
	case OG_V_INT:
	case OG_V_UINT:
	case OG_V_STRING:
		og_json_value(w, v);
		return 0;
	case OG_V_FLOAT:
		return export_float(w, v->f, type == OG_F32, err);
	case OG_V_DATE:
		og_json_put_i64(w, v->i);
		return 0;
	case OG_V_DATETIME:
		put_time(w, v, true);
		return 0;
	case OG_V_LIST:
		og_json_begin_array(w);
		for (size_t i = 0; rc == 0 && i < v->items.n; i++)
			rc = og_json_value_export(w, &v->items.v[i], type, err);
		og_json_end_array(w);
		return rc;
	case OG_V_VECTOR:
		og_json_begin_array(w);
		for (uint32_t i = 0; rc == 0 && i < v->vec.dim; i++)
			rc = export_float(w, v->vec.v[i], true, err);
		og_json_end_array(w);
		return rc;
	case OG_V_BLOB:
		export_blob(w, v->s);
		return 0;
	}
	return 0;
}
