/* Column vectors: growth, appends and access. */
#include "config.h"

#include "format/colvec.h"

#include <stdlib.h>

#include "base/codec.h"

#define FIRST_CAP 16u

static uint32_t type_width(const struct og_proptype *t)
{
	if (t->list)
		return 0;
	switch (t->scalar) {
	case OG_BOOL:
		return 1;
	case OG_I32:
	case OG_U32:
	case OG_F32:
	case OG_DATE:
		return 4;
	case OG_I64:
	case OG_U64:
	case OG_F64:
	case OG_DATETIME:
		return 8;
	case OG_VECTOR:
		return t->dim <= UINT32_MAX / 4 ? t->dim * 4 : 0;
	case OG_STRING:
	case OG_BLOB:
		return 0;
	}
	return 0;
}

static bool same_type(const struct og_proptype *a, const struct og_proptype *b)
{
	return a->scalar == b->scalar && a->list == b->list && (a->scalar != OG_VECTOR || a->dim == b->dim);
}

static bool fail(struct og_colvec *c, int code)
{
	if (!c->failed)
		c->failed = code;
	return false;
}

static void set_bits(uint8_t *bits, size_t from, size_t n)
{
	for (; n && (from & 7); from++, n--)
		bits[from >> 3] |= (uint8_t)(1u << (from & 7));
	memset(bits + (from >> 3), 0xff, n >> 3);
	from += n & ~(size_t)7;
	if (n & 7)
		bits[from >> 3] |= (uint8_t)((1u << (n & 7)) - 1);
}

/* Clears [from, from + n) and returns how many of those bits were 0. */
static size_t clear_bits(uint8_t *bits, size_t from, size_t n)
{
	size_t zeros = 0;

	for (size_t i = from; i < from + n; i++) {
		zeros += !((bits[i >> 3] >> (i & 7)) & 1);
		bits[i >> 3] &= (uint8_t)~(1u << (i & 7));
	}
	return zeros;
}

/* What no clearing mends. */
static int unusable(const struct og_colvec *c)
{
	if (c->type.scalar == OG_VECTOR && (c->type.list || c->width == 0))
		return OG_ERR_INTERNAL;
	return c->type.list && !c->child ? OG_ERR_NOMEM : 0;
}

void og_colvec_init(struct og_colvec *c, const struct og_proptype *type)
{
	*c = (struct og_colvec){ .type = *type, .width = type_width(type) };
	if (type->list) {
		struct og_proptype item = *type;

		item.list = false;
		item.nullable = true;
		c->child = malloc(sizeof(*c->child));
		if (c->child)
			og_colvec_init(c->child, &item);
	}
	c->failed = unusable(c);
}

void og_colvec_fini(struct og_colvec *c)
{
	if (c->child) {
		og_colvec_fini(c->child);
		free(c->child);
	}
	free(c->values);
	free(c->offsets);
	free(c->bytes);
	free(c->validity);
	*c = (struct og_colvec){ .type = c->type, .width = c->width };
}

void og_colvec_clear(struct og_colvec *c)
{
	free(c->validity);
	c->validity = NULL;
	c->rows = 0;
	c->nulls = 0;
	c->nbytes = 0;
	c->failed = unusable(c);
	if (c->child)
		og_colvec_clear(c->child);
}

void og_colvec_truncate(struct og_colvec *c, size_t rows)
{
	uint32_t end;

	if (c->validity)
		c->nulls -= clear_bits(c->validity, rows, c->rows - rows);
	c->rows = rows;
	if (!c->offsets)
		return;
	end = c->offsets[rows];
	if (c->child)
		og_colvec_truncate(c->child, end);
	else
		c->nbytes = end;
}

static bool grow_array(void **p, size_t n, size_t size)
{
	size_t bytes;
	void *grown;

	if (!og_size_mul(n, size, &bytes))
		return false;
	grown = realloc(*p, bytes);
	if (!grown)
		return false;
	*p = grown;
	return true;
}

bool og_colvec_grow(struct og_colvec *c, size_t n)
{
	size_t want, cap = c->cap;
	void *offsets = c->offsets, *validity = c->validity;

	if (c->failed)
		return false;
	if (n > UINT32_MAX - 1 - OG_MIN(c->rows, UINT32_MAX - 1))
		return fail(c, OG_ERR_TOO_LARGE);
	want = c->rows + n;
	if (want <= cap)
		return true;
	cap = OG_MAX(OG_MAX(want, cap * 2), FIRST_CAP);
	cap = (cap + 7) & ~(size_t)7;
	if (c->width) {
		if (!grow_array(&c->values, cap, c->width))
			return fail(c, OG_ERR_NOMEM);
	} else {
		if (!grow_array(&offsets, cap + 1, sizeof(*c->offsets)))
			return fail(c, OG_ERR_NOMEM);
		if (!c->offsets)
			((uint32_t *)offsets)[0] = 0;
		c->offsets = offsets;
	}
	if (c->validity) {
		if (!grow_array(&validity, cap / 8, 1))
			return fail(c, OG_ERR_NOMEM);
		c->validity = validity;
		memset(c->validity + c->cap / 8, 0, (cap - c->cap) / 8);
	}
	c->cap = cap;
	return true;
}

static bool grow_bytes(struct og_colvec *c, size_t n)
{
	size_t want, cap;
	char *grown;

	if (n > UINT32_MAX - c->nbytes)
		return fail(c, OG_ERR_TOO_LARGE);
	want = c->nbytes + n;
	if (want <= c->bytes_cap)
		return true;
	cap = OG_MAX(OG_MAX(want, c->bytes_cap * 2), 64u);
	grown = realloc(c->bytes, cap);
	if (!grown)
		return fail(c, OG_ERR_NOMEM);
	c->bytes = grown;
	c->bytes_cap = cap;
	return true;
}

bool og_colvec_reserve(struct og_colvec *c, size_t rows, size_t bytes)
{
	if (!og_colvec_grow(c, rows))
		return false;
	if (c->child)
		return og_colvec_reserve(c->child, bytes, 0) || fail(c, c->child->failed);
	return c->width || grow_bytes(c, bytes);
}

int og_colvec_ok(const struct og_colvec *c, struct og_error *err)
{
	int code = c->failed ? c->failed : c->child ? c->child->failed : 0;

	if (code == OG_ERR_NOMEM)
		return og_error_nomem(err);
	if (code == OG_ERR_TOO_LARGE)
		return og_error_set(err, code, "a column of one batch holds more than 4 GiB of text or list items");
	if (code)
		return og_error_set(err, OG_ERR_INTERNAL, "a %s column was given a value of another type", og_scalar_name(c->type.scalar));
	return 0;
}

/* The bitmap comes with the first null. */
static bool need_validity(struct og_colvec *c)
{
	if (c->validity)
		return true;
	c->validity = calloc(c->cap / 8, 1);
	if (!c->validity)
		return fail(c, OG_ERR_NOMEM);
	set_bits(c->validity, 0, c->rows);
	return true;
}

void og_colvec_append_null(struct og_colvec *c)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)) || !need_validity(c))
		return;
	if (c->width)
		memset(c->u8 + c->rows * c->width, 0, c->width);
	else
		c->offsets[c->rows + 1] = c->offsets[c->rows];
	c->rows++;
	c->nulls++;
}

void og_colvec_append_str(struct og_colvec *c, struct og_slice s)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
		return;
	if (s.len > c->bytes_cap - c->nbytes && !grow_bytes(c, s.len))
		return;
	if (s.len)
		memcpy(c->bytes + c->nbytes, s.p, s.len);
	c->nbytes += s.len;
	c->offsets[c->rows + 1] = (uint32_t)c->nbytes;
	og_colvec_commit(c);
}

void og_colvec_append_vec(struct og_colvec *c, const float *v)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
		return;
	memcpy(c->u8 + c->rows * c->width, v, c->width);
	og_colvec_commit(c);
}

void og_colvec_append_list(struct og_colvec *c)
{
	if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
		return;
	if (c->child->failed) {
		fail(c, c->child->failed);
		return;
	}
	c->offsets[c->rows + 1] = (uint32_t)c->child->rows;
	og_colvec_commit(c);
}

static void append_items(struct og_colvec *c, const struct og_value *v)
{
	if (v->kind != OG_V_LIST) {
		fail(c, OG_ERR_INTERNAL);
		return;
	}
	for (size_t i = 0; i < v->items.n; i++)
		og_colvec_append(c->child, &v->items.v[i]);
	og_colvec_append_list(c);
}

void og_colvec_append(struct og_colvec *c, const struct og_value *v)
{
	if (c->failed)
		return;
	if (v->kind == OG_V_NULL) {
		og_colvec_append_null(c);
		return;
	}
	if (c->type.list) {
		append_items(c, v);
		return;
	}
	if (v->kind != og_proptype_kind(&c->type) || (v->kind == OG_V_VECTOR && v->vec.dim != c->type.dim)) {
		fail(c, OG_ERR_INTERNAL);
		return;
	}
	switch (c->type.scalar) {
	case OG_BOOL:
		og_colvec_append_bool(c, v->i != 0);
		break;
	case OG_I32:
	case OG_DATE:
		og_colvec_append_i32(c, (int32_t)v->i);
		break;
	case OG_U32:
		og_colvec_append_u32(c, (uint32_t)v->u);
		break;
	case OG_I64:
	case OG_DATETIME:
		og_colvec_append_i64(c, v->i);
		break;
	case OG_U64:
		og_colvec_append_u64(c, v->u);
		break;
	case OG_F32:
		og_colvec_append_f32(c, (float)v->f);
		break;
	case OG_F64:
		og_colvec_append_f64(c, v->f);
		break;
	case OG_STRING:
	case OG_BLOB:
		og_colvec_append_str(c, v->s);
		break;
	case OG_VECTOR:
		og_colvec_append_vec(c, v->vec.v);
		break;
	}
}

void og_colvec_append_row(struct og_colvec *c, const struct og_colvec *src, size_t row)
{
	if (!c->failed && !same_type(&c->type, &src->type))
		fail(c, OG_ERR_INTERNAL);
	if (og_colvec_is_null(src, row)) {
		og_colvec_append_null(c);
		return;
	}
	if (c->child) {
		og_colvec_append_rows(c->child, src->child, src->offsets[row], src->offsets[row + 1] - src->offsets[row]);
		og_colvec_append_list(c);
	} else if (!c->width) {
		og_colvec_append_str(c, og_colvec_str(src, row));
	} else {
		if (c->failed || (c->rows == c->cap && !og_colvec_grow(c, 1)))
			return;
		memcpy(c->u8 + c->rows * c->width, src->u8 + row * c->width, c->width);
		og_colvec_commit(c);
	}
}

void og_colvec_commit_rows(struct og_colvec *c, const uint8_t *valid, size_t n)
{
	size_t nulls = 0;

	for (size_t i = 0; valid && i < n; i++)
		nulls += valid[i] == 0;
	if (nulls && !need_validity(c))
		return;
	if (!nulls && c->validity)
		set_bits(c->validity, c->rows, n);
	for (size_t i = 0; nulls && i < n; i++)
		c->validity[(c->rows + i) >> 3] |= (uint8_t)((valid[i] != 0) << ((c->rows + i) & 7));
	c->rows += n;
	c->nulls += nulls;
}

/* The validity of n rows just stored, whose source may have nulls. */
static bool copy_validity(struct og_colvec *c, const struct og_colvec *src, size_t from, size_t n)
{
	if (src->validity) {
		if (!need_validity(c))
			return false;
		for (size_t i = 0; i < n; i++) {
			if (og_colvec_is_null(src, from + i))
				c->nulls++;
			else
				set_bits(c->validity, c->rows + i, 1);
		}
	} else if (c->validity) {
		set_bits(c->validity, c->rows, n);
	}
	c->rows += n;
	return true;
}

void og_colvec_append_rows(struct og_colvec *c, const struct og_colvec *src, size_t from, size_t n)
{
	if (!c->failed && !same_type(&c->type, &src->type))
		fail(c, OG_ERR_INTERNAL);
	if (c->failed || n == 0 || !og_colvec_grow(c, n))
		return;
	if (c->width) {
		memcpy(c->u8 + c->rows * c->width, src->u8 + from * c->width, n * c->width);
	} else {
		uint32_t start = src->offsets[from];
		uint32_t len = src->offsets[from + n] - start;
		uint32_t base = c->offsets[c->rows];

		if (c->child) {
			og_colvec_append_rows(c->child, src->child, start, len);
			if (c->child->failed) {
				fail(c, c->child->failed);
				return;
			}
		} else {
			if (len > c->bytes_cap - c->nbytes && !grow_bytes(c, len))
				return;
			if (len)
				memcpy(c->bytes + c->nbytes, src->bytes + start, len);
			c->nbytes += len;
		}
		for (size_t i = 0; i < n; i++)
			c->offsets[c->rows + 1 + i] = base + (src->offsets[from + 1 + i] - start);
	}
	(void)copy_validity(c, src, from, n);	/* failure is sticky */
}

struct og_value og_colvec_get(const struct og_colvec *c, size_t row)
{
	struct og_value v = { .kind = OG_V_NULL };

	if (og_colvec_is_null(c, row))
		return v;
	if (c->type.list) {
		v.kind = OG_V_LIST;
		v.items.v = NULL;
		v.items.n = c->offsets[row + 1] - c->offsets[row];
		return v;
	}
	v.kind = og_proptype_kind(&c->type);
	switch (c->type.scalar) {
	case OG_BOOL:
		v.i = c->u8[row];
		break;
	case OG_I32:
	case OG_DATE:
		v.i = c->i32[row];
		break;
	case OG_U32:
		v.u = c->u32[row];
		break;
	case OG_I64:
	case OG_DATETIME:
		v.i = c->i64[row];
		break;
	case OG_U64:
		v.u = c->u64[row];
		break;
	case OG_F32:
		v.f = (double)c->f32[row];
		break;
	case OG_F64:
		v.f = c->f64[row];
		break;
	case OG_STRING:
	case OG_BLOB:
		v.s = og_colvec_str(c, row);
		break;
	case OG_VECTOR:
		v.vec.v = c->f32 + row * c->type.dim;
		v.vec.dim = c->type.dim;
		break;
	}
	return v;
}

int og_colvec_value(const struct og_colvec *c, size_t row, struct og_arena *a, struct og_value *out, struct og_error *err)
{
	struct og_value v = og_colvec_get(c, row);
	struct og_value *items;

	if (v.kind == OG_V_LIST && v.items.n) {
		items = og_arena_array(a, v.items.n, sizeof(*items));
		if (!items)
			return og_arena_error(a, err);
		for (size_t i = 0; i < v.items.n; i++)
			items[i] = og_colvec_get(c->child, c->offsets[row] + i);
		v.items.v = items;
	}
	*out = v;
	return 0;
}
