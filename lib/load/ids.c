/* Ids of rows: generated, or from keys; old spellings of keys. */
#include "config.h"

#include "load/loader.h"

#include "base/date.h"
#include "base/num.h"

int loader_new_id(struct og_loader *l, struct og_ulid_text *id, struct og_error *err)
{
	struct og_ulid u;
	/* Rows of one piece of the input are of one time. */
	bool look = l->ids_piece != l->piece;
	int rc = look ? og_ulid_new(&l->ids, &u, err) : og_ulid_next(&l->ids, &u, err);

	l->ids_piece = l->piece;
	if (rc == 0)
		*id = og_ulid_format(&u);
	return rc;
}

/* True if the text, read as the key's type, is the value: what the id of that row was before ids had one canonical form. */
static bool old_text(const struct og_property *p, const struct og_value *v, struct og_slice text)
{
	int32_t days;
	int64_t i;
	uint64_t u;
	double f;

	switch (p->type.scalar) {
	case OG_STRING:
		return og_slice_eq(v->s, text);
	case OG_BOOL:
		return og_slice_is(text, v->i ? "true" : "false");
	case OG_I32:
	case OG_I64:
		return og_parse_i64(text, &i) && i == v->i;
	case OG_U32:
	case OG_U64:
		return og_parse_u64(text, &u) && u == v->u;
	case OG_F32:
		return og_parse_double(text, &f) && (double)(float)f == v->f;
	case OG_F64:
		return og_parse_double(text, &f) && f == v->f;
	case OG_DATE:
		return (og_date_parse(text, &days) && days == v->i) || (og_parse_i64(text, &i) && i == v->i);
	case OG_DATETIME:
		return og_datetime_parse(text, &i) ? i == v->i : og_parse_i64(text, &i) && i == v->i;
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	return false;
}

/* Of a composite key the first component in the order of names was the id. */
static uint32_t old_column(const struct og_type *t)
{
	int32_t first = t->key_cols[0];

	for (uint32_t i = 1; i < t->nkey; i++)
		first = OG_MIN(first, t->key_cols[i]);
	return (uint32_t)first;
}

static struct og_slice remap_key(struct og_buf *b, uint32_t type, struct og_slice old)
{
	og_buf_clear(b);
	og_buf_append(b, &type, sizeof(type));
	og_buf_slice(b, old);
	return og_buf_view(b);
}

const struct og_slice *loader_canonical(const struct og_loader *l, uint32_t type, struct og_slice old)
{
	struct og_buf b = { 0 };
	struct og_map_entry *e = l->remap.count ? og_map_find(&l->remap, remap_key(&b, type, old)) : NULL;

	og_buf_fini(&b);
	return e ? (const struct og_slice *)(uintptr_t)e->value : NULL;
}

static int remember_old(struct og_loader *l, struct load_type *t, struct og_slice old, struct og_slice id, struct og_error *err)
{
	const struct og_slice *known = loader_canonical(l, t->type->index, old);
	struct og_buf b = { 0 };
	struct og_slice *copy, key;
	struct og_map_entry *e;

	if (known && og_slice_eq(*known, id))
		return 0;
	if (known)
		return og_error_set(err, OG_ERR_BAD, "id '%.*s' of node %.*s names both '%.*s' and '%.*s': refusing ambiguous edge endpoint remap",
				    OG_FMT(old), OG_FMT(t->type->name), OG_FMT(*known), OG_FMT(id));
	if (l->kept.total > l->budget + OG_MIB)
		return og_error_set(err, OG_ERR_TOO_LARGE, "more old spellings of ids than %zu bytes can hold", l->budget);
	copy = og_arena_alloc(&l->kept, sizeof(*copy));
	if (copy)
		*copy = og_arena_slice(&l->kept, id);
	key = og_arena_slice(&l->kept, remap_key(&b, t->type->index, old));
	og_buf_fini(&b);
	if (!copy || !copy->p || !key.p)
		return og_arena_error(&l->kept, err);
	e = og_map_put(&l->remap, key, NULL);
	if (!e)
		return og_error_nomem(err);
	e->value = (uintptr_t)copy;
	return 0;
}

static int mismatch(const struct og_type *t, struct og_slice given, struct og_slice id, struct og_error *err)
{
	struct og_buf cols = { 0 };

	for (uint32_t i = 0; i < t->nkey; i++) {
		og_buf_str(&cols, i ? ", " : "");
		og_buf_slice(&cols, t->props[t->key_cols[i]].name);
	}
	og_error_set(err, OG_ERR_BAD, t->nkey == 1 ? "node %.*s has explicit id '%.*s' that does not match @key property '%s' canonical value '%.*s'" :
						     "node %.*s has explicit id '%.*s' that does not match @key properties (%s) canonical value '%.*s'",
		     OG_FMT(t->name), OG_FMT(given), cols.data ? cols.data : "", OG_FMT(id));
	og_buf_fini(&cols);
	return OG_ERR_BAD;
}

int loader_key_id(struct og_loader *l, struct load_type *t, const struct og_value *values, const struct og_slice *given, struct og_slice *id,
		  struct og_error *err)
{
	uint32_t col = old_column(t->type);
	int rc;

	og_buf_clear(&l->key);
	if ((rc = og_key_id(&l->key, t->type, values, err)) < 0 || (rc = og_buf_ok(&l->key, err)) < 0)
		return rc;
	*id = og_buf_view(&l->key);
	if (!id->p)
		*id = OG_SLICE("");
	if (!given || !given->p || og_slice_eq(*given, *id))
		return 0;
	if (!old_text(&t->type->props[col], &values[col], *given))
		return mismatch(t->type, *given, *id, err);
	return remember_old(l, t, *given, *id, err);
}
