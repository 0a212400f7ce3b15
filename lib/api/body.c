/* JSON bodies into structs, in one pass over the tokens. */
#include "config.h"

#include "api/body.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/service.h"
#include "base/utf8.h"
#include "json/writer.h"

#define SYNTAX "Failed to parse the request body as JSON: "
#define SHAPE "Failed to deserialize the JSON body into the target type: "

struct decoder {
	struct og_arena *a;
	struct og_json_reader r;
	const struct og_body_field *fields;
	size_t nfields;
	char *out;
	uint32_t seen;
	struct og_error *err;	/* of syntax and memory */
	struct og_error shape;	/* the first fault of shape; code 0: none */
};

static char *place(const struct decoder *d, const struct og_body_field *f)
{
	return d->out + f->offset;
}

/* The first fault counts; its place is the last byte read. The rest is still looked at, for its syntax. */
static void OG_PRINTF(2, 3) wrong(struct decoder *d, const char *fmt, ...)
{
	size_t at = (size_t)(d->r.p - d->r.src.p);
	uint64_t line, column;
	char text[1024];
	va_list ap;

	if (d->shape.code)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	og_text_position(d->r.src, at ? at - 1 : 0, true, &line, &column);
	og_error_set(&d->shape, OG_ERR_BAD, SHAPE "%s at line %llu column %llu", text, (unsigned long long)line, (unsigned long long)column);
	d->shape.pos = (struct og_pos){ line, column, at };
}

/* "integer `5`", "string \"x\"", ...: what was found. */
static const char *found(const struct decoder *d, int token, struct og_buf *b)
{
	struct og_slice text = d->r.text;

	if (text.len > 200) {
		text.len = 200;
		while (text.len && ((uint8_t)text.p[text.len] & 0xc0) == 0x80) /* whole characters */
			text.len--;
	}
	switch (token) {
	case OG_JSON_NULL:
		return "null";
	case OG_JSON_TRUE:
		return "boolean `true`";
	case OG_JSON_FALSE:
		return "boolean `false`";
	case OG_JSON_ARRAY:
		return "sequence";
	case OG_JSON_OBJECT:
		return "map";
	case OG_JSON_STRING:
		og_buf_str(b, "string ");
		og_json_quote(b, text);
		break;
	default: /* a number: the token is an int, no enum */
		og_buf_printf(b, "%s `%.*s`", d->r.kind == OG_JSON_F64 ? "floating point" : "integer", OG_FMT(text));
		break;
	}
	return b->data ? b->data : "value";
}

/* Notes the fault and reads over the value. */
static int mismatch(struct decoder *d, int token, const char *expected)
{
	struct og_buf b = { 0 };
	const char *what = found(d, token, &b);

	wrong(d, "invalid type: %s, expected %s", what, expected);
	og_buf_fini(&b);
	return og_json_skip(&d->r, token, d->err);
}

static int strings(struct decoder *d, struct og_slices *out)
{
	struct og_slices s = { 0 };
	size_t cap = 0;
	int t;

	while ((t = og_json_next(&d->r, d->err)) != OG_JSON_ARRAY_END) {
		struct og_slice *v;

		if (t < 0)
			return t;
		if (t != OG_JSON_STRING) {
			if ((t = mismatch(d, t, "a string")) < 0)
				return t;
			continue;
		}
		v = og_arena_grow(d->a, s.v, &cap, s.n + 1, sizeof(*s.v));
		if (!v)
			return og_arena_error(d->a, d->err);
		s.v = v;
		s.v[s.n++] = d->r.text;
	}
	*out = s;
	return 0;
}

/* `before` is the reader's place behind the key: the value's text is read again as a tree. */
static int any(struct decoder *d, int token, const char *before, const struct og_json **out)
{
	int rc = og_json_skip(&d->r, token, d->err);

	if (rc < 0)
		return rc;
	while (before < d->r.p && (*before == ':' || *before == ' ' || *before == '\t' || *before == '\n' || *before == '\r'))
		before++;
	*out = og_json_parse(d->a, og_slice(before, (size_t)(d->r.p - before)), OG_JSON_LAST_WINS, d->err);
	return *out ? 0 : d->err->code;
}

static int variant(struct decoder *d, const struct og_body_field *f)
{
	struct og_buf b = { 0 };

	for (unsigned i = 0; f->variants[i]; i++)
		if (og_slice_is(d->r.text, f->variants[i])) {
			*(unsigned *)(void *)place(d, f) = i;
			return 0;
		}
	for (unsigned i = 0; f->variants[i]; i++)
		og_buf_printf(&b, "%s`%s`", i ? ", " : "", f->variants[i]);
	wrong(d, "unknown variant `%.*s`, expected one of %s", (int)OG_MIN(d->r.text.len, (size_t)100), d->r.text.p ? d->r.text.p : "",
	      b.data ? b.data : "");
	og_buf_fini(&b);
	return 0;
}

static int value(struct decoder *d, const struct og_body_field *f, const char *before)
{
	static const char *const expected[] = {
		[OG_BODY_STRING] = "a string", [OG_BODY_BOOL] = "a boolean", [OG_BODY_U64] = "u64",
		[OG_BODY_ANY] = "any value",   [OG_BODY_STRINGS] = "a sequence", [OG_BODY_ENUM] = "a string",
	};
	void *to = place(d, f);
	int t = og_json_next(&d->r, d->err);

	if (t < 0)
		return t;
	if (f->type == OG_BODY_ANY)
		return any(d, t, before, to);
	if (t == OG_JSON_NULL && !(f->flags & (OG_BODY_NOT_NULL | OG_BODY_REQUIRED)))
		return 0;
	switch (f->type) {
	case OG_BODY_STRING:
		if (t != OG_JSON_STRING)
			break;
		*(struct og_slice *)to = d->r.text.p ? d->r.text : OG_SLICE("");
		return 0;
	case OG_BODY_BOOL:
		if (t != OG_JSON_TRUE && t != OG_JSON_FALSE)
			break;
		*(bool *)to = t == OG_JSON_TRUE;
		return 0;
	case OG_BODY_U64:
		if (t != OG_JSON_NUMBER || d->r.kind == OG_JSON_F64 || (d->r.kind == OG_JSON_I64 && d->r.i < 0))
			break;
		*(uint64_t *)to = d->r.kind == OG_JSON_I64 ? (uint64_t)d->r.i : d->r.u;
		return 0;
	case OG_BODY_STRINGS:
		if (t != OG_JSON_ARRAY)
			break;
		return strings(d, to);
	case OG_BODY_ENUM:
		if (t != OG_JSON_STRING)
			break;
		return variant(d, f);
	case OG_BODY_ANY:
		break;
	}
	return mismatch(d, t, expected[f->type]);
}

static int member(struct decoder *d)
{
	struct og_slice key = d->r.text;
	const char *before = d->r.p;
	int t;

	for (size_t i = 0; i < d->nfields; i++) {
		const struct og_body_field *f = &d->fields[i];

		if (!og_slice_is(key, f->name) && !(f->alias && og_slice_is(key, f->alias)))
			continue;
		if (d->seen & 1u << i) {
			wrong(d, "duplicate field `%s`", f->name);
			break;
		}
		d->seen |= 1u << i;
		return value(d, f, before);
	}
	t = og_json_next(&d->r, d->err);
	return t < 0 ? t : og_json_skip(&d->r, t, d->err);
}

static int document(struct decoder *d)
{
	int t = og_json_next(&d->r, d->err);

	if (t < 0)
		return t;
	if (t != OG_JSON_OBJECT) {
		if ((t = mismatch(d, t, "a map")) < 0)
			return t;
	} else {
		while ((t = og_json_next(&d->r, d->err)) == OG_JSON_KEY)
			if ((t = member(d)) < 0)
				return t;
		if (t < 0)
			return t;
		for (size_t i = 0; i < d->nfields; i++)
			if ((d->fields[i].flags & OG_BODY_REQUIRED) && !(d->seen & 1u << i))
				wrong(d, "missing field `%s`", d->fields[i].name);
	}
	t = og_json_next(&d->r, d->err); /* nothing may follow */
	return t < 0 ? t : 0;
}

int og_body_decode(struct og_arena *a, struct og_slice body, const struct og_body_field *fields, size_t nfields, void *out,
		   unsigned *status, struct og_error *err)
{
	struct decoder d = { .a = a, .fields = fields, .nfields = nfields, .out = out, .err = err };
	int rc;

	og_json_reader_init(&d.r, body, a);
	rc = document(&d);
	if (rc == OG_ERR_BAD) {
		struct og_pos pos = err->pos;

		*status = 400;
		og_error_set(err, OG_ERR_BAD, SYNTAX "%s at line %llu column %llu", err->message, (unsigned long long)pos.line,
			     (unsigned long long)pos.column);
		err->pos = pos;
		return OG_ERR_BAD;
	}
	if (rc < 0)
		return rc;
	if (d.shape.code) {
		*status = 422;
		*err = d.shape;
		return OG_ERR_BAD;
	}
	return 0;
}
