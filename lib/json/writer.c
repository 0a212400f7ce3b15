/* The JSON writer. */
#include "config.h"

#include "json/writer.h"
#include "base/num.h"
#include "json/bytes.h"
#include "json/tree.h"

#include <assert.h>
#include <math.h>

void og_json_writer_init(struct og_json_writer *w, struct og_buf *b, bool pretty)
{
	*w = (struct og_json_writer){ .b = b, .pretty = pretty };
}

static void escape(struct og_buf *b, unsigned char c)
{
	static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";	/* byte, letter */
	static const char hex[] = "0123456789abcdef";
	char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	for (size_t i = 0; i + 1 < sizeof(names); i += 2) {
		if (names[i] == (char)c) {
			text[1] = names[i + 1];
			og_buf_append(b, text, 2);
			return;
		}
	}
	og_buf_append(b, text, 6);
}

void og_json_quote(struct og_buf *b, struct og_slice s)
{
	const char *p = s.p ? s.p : "", *end = p + s.len, *q;
	unsigned high = 0;
	char *out;

	q = og_json_run(p, end, &high);
	if (q == end) {		/* nothing to escape: one reservation for all */
		out = og_buf_reserve(b, s.len + 2);
		if (!out)
			return;
		out[0] = '"';
		memcpy(out + 1, p, s.len);
		out[s.len + 1] = '"';
		out[s.len + 2] = '\0';
		b->len += s.len + 2;
		return;
	}
	og_buf_byte(b, '"');
	for (;;) {
		og_buf_append(b, p, (size_t)(q - p));
		if (q == end)
			break;
		escape(b, (unsigned char)*q);
		p = q + 1;
		q = og_json_run(p, end, &high);
	}
	og_buf_byte(b, '"');
}

static void newline(struct og_json_writer *w)
{
	char *out = og_buf_reserve(w->b, 1 + 2 * (size_t)w->depth);

	if (!out)
		return;
	out[0] = '\n';
	memset(out + 1, ' ', 2 * (size_t)w->depth);
	out[1 + 2 * (size_t)w->depth] = '\0';
	w->b->len += 1 + 2 * (size_t)w->depth;
}

/* What goes before an item or a key: nothing, a comma, a line break. */
static void separate(struct og_json_writer *w)
{
	unsigned level = w->depth - 1;
	uint64_t bit = UINT64_C(1) << (level % 64);

	if (w->depth == 0)
		return;
	if (w->filled[level / 64] & bit)
		og_buf_byte(w->b, ',');
	w->filled[level / 64] |= bit;
	if (w->pretty)
		newline(w);
}

static void before_value(struct og_json_writer *w)
{
	if (w->after_key)
		w->after_key = false;
	else
		separate(w);
}

static void begin(struct og_json_writer *w, char bracket)
{
	before_value(w);
	assert(w->depth < OG_JSON_WRITER_DEPTH);
	w->filled[w->depth / 64] &= ~(UINT64_C(1) << (w->depth % 64));
	w->depth++;
	og_buf_byte(w->b, (uint8_t)bracket);
}

static void end(struct og_json_writer *w, char bracket)
{
	assert(w->depth > 0 && !w->after_key);
	w->depth--;
	if (w->pretty && (w->filled[w->depth / 64] >> (w->depth % 64) & 1))
		newline(w);
	og_buf_byte(w->b, (uint8_t)bracket);
}

void og_json_begin_object(struct og_json_writer *w)
{
	begin(w, '{');
}

void og_json_end_object(struct og_json_writer *w)
{
	end(w, '}');
}

void og_json_begin_array(struct og_json_writer *w)
{
	begin(w, '[');
}

void og_json_end_array(struct og_json_writer *w)
{
	end(w, ']');
}

void og_json_put_key(struct og_json_writer *w, struct og_slice key)
{
	assert(w->depth > 0 && !w->after_key);
	separate(w);
	og_json_quote(w->b, key);
	if (w->pretty)
		og_buf_append(w->b, ": ", 2);
	else
		og_buf_byte(w->b, ':');
	w->after_key = true;
}

void og_json_put_key_str(struct og_json_writer *w, const char *key)
{
	og_json_put_key(w, og_slice_str(key));
}

void og_json_put_raw(struct og_json_writer *w, struct og_slice json)
{
	before_value(w);
	og_buf_slice(w->b, json);
}

void og_json_put_null(struct og_json_writer *w)
{
	og_json_put_raw(w, OG_SLICE("null"));
}

void og_json_put_bool(struct og_json_writer *w, bool v)
{
	og_json_put_raw(w, v ? OG_SLICE("true") : OG_SLICE("false"));
}

void og_json_put_i64(struct og_json_writer *w, int64_t v)
{
	before_value(w);
	og_buf_i64(w->b, v);
}

void og_json_put_u64(struct og_json_writer *w, uint64_t v)
{
	before_value(w);
	og_buf_u64(w->b, v);
}

void og_json_put_double(struct og_json_writer *w, double v)
{
	char *out;

	if (isnan(v)) {
		og_json_put_raw(w, OG_SLICE("\"NaN\""));
	} else if (isinf(v)) {
		og_json_put_raw(w, v < 0 ? OG_SLICE("\"-Infinity\"") : OG_SLICE("\"Infinity\""));
	} else {
		before_value(w);
		out = og_buf_reserve(w->b, 40);
		if (out)
			w->b->len += og_double_json(v, out);
	}
}

void og_json_put_string(struct og_json_writer *w, struct og_slice s)
{
	before_value(w);
	og_json_quote(w->b, s);
}

void og_json_put_str(struct og_json_writer *w, const char *s)
{
	if (s)
		og_json_put_string(w, og_slice_str(s));
	else
		og_json_put_null(w);
}

/* As deep as the reader allows trees to be. */
void og_json_put_tree(struct og_json_writer *w, const struct og_json *j)
{
	switch ((enum og_json_type)j->type) {
	case OG_JT_NULL:
		og_json_put_null(w);
		return;
	case OG_JT_BOOL:
		og_json_put_bool(w, j->b);
		return;
	case OG_JT_NUMBER:
		og_json_put_raw(w, j->num.text);
		return;
	case OG_JT_STRING:
		og_json_put_string(w, j->s);
		return;
	case OG_JT_ARRAY:
		og_json_begin_array(w);
		for (size_t i = 0; i < j->items.n; i++)
			og_json_put_tree(w, &j->items.v[i]);
		og_json_end_array(w);
		return;
	case OG_JT_OBJECT:
		og_json_begin_object(w);
		for (size_t i = 0; i < j->members.n; i++) {
			og_json_put_key(w, j->members.v[i].key);
			og_json_put_tree(w, &j->members.v[i].value);
		}
		og_json_end_object(w);
		return;
	}
}

void og_json_member_null(struct og_json_writer *w, const char *key)
{
	og_json_put_key_str(w, key);
	og_json_put_null(w);
}

void og_json_member_bool(struct og_json_writer *w, const char *key, bool v)
{
	og_json_put_key_str(w, key);
	og_json_put_bool(w, v);
}

void og_json_member_i64(struct og_json_writer *w, const char *key, int64_t v)
{
	og_json_put_key_str(w, key);
	og_json_put_i64(w, v);
}

void og_json_member_u64(struct og_json_writer *w, const char *key, uint64_t v)
{
	og_json_put_key_str(w, key);
	og_json_put_u64(w, v);
}

void og_json_member_double(struct og_json_writer *w, const char *key, double v)
{
	og_json_put_key_str(w, key);
	og_json_put_double(w, v);
}

void og_json_member_string(struct og_json_writer *w, const char *key, struct og_slice s)
{
	og_json_put_key_str(w, key);
	og_json_put_string(w, s);
}

void og_json_member_str(struct og_json_writer *w, const char *key, const char *s)
{
	og_json_put_key_str(w, key);
	og_json_put_str(w, s);
}

void og_json_member_object(struct og_json_writer *w, const char *key)
{
	og_json_put_key_str(w, key);
	og_json_begin_object(w);
}

void og_json_member_array(struct og_json_writer *w, const char *key)
{
	og_json_put_key_str(w, key);
	og_json_begin_array(w);
}

void og_json_text(struct og_buf *b, const struct og_json *j)
{
	struct og_json_writer w;

	og_json_writer_init(&w, b, false);
	og_json_put_tree(&w, j);
}
