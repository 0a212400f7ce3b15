/* Index objects in a checkpoint. */
#include "config.h"

#include "format/index.h"

#include <stdio.h>

#include "format/fields.h"

static const char *const kinds[] = { [OG_INDEX_IDS] = "ids", [OG_INDEX_IDX] = "idx", [OG_INDEX_COL] = "col", [OG_INDEX_ADJ] = "adj" };

struct og_key_text og_key_index(const struct og_index *x)
{
	struct og_key_text k;

	snprintf(k.s, sizeof(k.s), "index/%u/%s.%s", x->type, og_ulid_format(&x->id).s, kinds[x->kind]);
	return k;
}

static void put_hash(struct og_json_writer *w, const char *name, const struct og_hash128 *h)
{
	if (h->hi || h->lo)
		og_json_member_str(w, name, og_hash128_format(h).s);
}

void og_index_write(struct og_json_writer *w, const struct og_index *x)
{
	og_json_begin_object(w);
	og_member_ulid(w, "id", &x->id);
	og_json_member_str(w, "kind", kinds[x->kind]);
	og_json_member_u64(w, "type", x->type);
	og_json_member_u64(w, "prop", x->prop);
	og_json_member_u64(w, "part", x->part);
	put_hash(w, "content", &x->content);
	put_hash(w, "src", &x->src);
	put_hash(w, "dst", &x->dst);
	og_json_member_u64(w, "format", OG_INDEX_FORMAT);
	og_json_member_u64(w, "bytes", x->bytes);
	og_json_member_str(w, "xxh128", og_hash128_format(&x->hash).s);
	og_json_end_object(w);
}

static struct og_hash128 read_hash(struct og_fields *f, const struct og_json *j, const char *name)
{
	struct og_hash128 h = { 0 };
	struct og_slice s = { 0 };

	if (f->failed || !og_json_get(j, name))
		return h;
	s = og_field_string(f, j, name);
	if (!f->failed && !og_hash128_parse(s, &h))
		og_field_fault(f, "`%s` is not a digest", name);
	return h;
}

static bool read_kind(struct og_slice text, enum og_index_kind *out)
{
	for (unsigned k = OG_INDEX_IDS; k <= OG_INDEX_ADJ; k++)
		if (og_slice_is(text, kinds[k])) {
			*out = k;
			return true;
		}
	return false;
}

bool og_index_read(struct og_fields *f, const struct og_json *j, struct og_index *out)
{
	struct og_index x = { 0 };

	/* Of an entry that is not for us only as much is read as tells that. */
	if (og_field_u32(f, j, "format") != OG_INDEX_FORMAT || !read_kind(og_field_string(f, j, "kind"), &x.kind) || f->failed)
		return false;
	x.id = og_field_ulid(f, j, "id");
	x.type = og_field_u32(f, j, "type");
	x.prop = og_field_u32(f, j, "prop");
	x.part = og_field_u32(f, j, "part");
	x.content = read_hash(f, j, "content");
	x.src = read_hash(f, j, "src");
	x.dst = read_hash(f, j, "dst");
	x.bytes = og_field_u64(f, j, "bytes");
	if (!f->failed && (x.bytes == 0 || x.bytes > OG_INDEX_BYTES_MAX))
		og_field_fault(f, "an index object of %llu bytes", (unsigned long long)x.bytes);
	(void)og_field_string(f, j, "xxh128");
	x.hash = read_hash(f, j, "xxh128");
	*out = x;
	return !f->failed;
}
