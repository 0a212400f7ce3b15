/* format.json. */
#include "config.h"

#include "format/genesis.h"

#include "format/fields.h"

/* `,"sum":"` 64 digits `"}` */
#define SUM_TAIL 74u

int og_genesis_encode(const struct og_genesis *g, struct og_buf *b, struct og_error *err)
{
	struct og_json_writer w;
	struct og_sha256 sum;

	og_buf_clear(b);
	og_json_writer_init(&w, b, false);
	og_json_begin_object(&w);
	og_json_member_u64(&w, "omnigraph", OG_LAYOUT_VERSION);
	og_member_ulid(&w, "graph", &g->graph);
	og_member_ulid(&w, "attempt", &g->attempt);
	og_json_member_u64(&w, "min_reader", g->min_reader);
	og_json_member_u64(&w, "min_writer", g->min_writer);
	og_json_member_i64(&w, "at", g->at_us);
	og_json_member_object(&w, "genesis");
	og_member_ulid(&w, "id", &g->id);
	og_json_member_null(&w, "actor");
	og_json_member_string(&w, "schema", g->schema);
	og_member_sha256(&w, "digest", &g->schema_digest);
	og_member_types(&w, "types", g->types, g->ntypes);
	og_json_end_object(&w);
	if (og_buf_ok(b, err) < 0)
		return OG_ERR_NOMEM;
	sum = og_sha256(og_buf_view(b));
	og_member_sha256(&w, "sum", &sum);
	og_json_end_object(&w);
	if (og_buf_ok(b, err) < 0)
		return OG_ERR_NOMEM;
	if (b->len > OG_GENESIS_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "format.json of %zu bytes, at most %u: the schema is too long",
				    b->len, OG_GENESIS_MAX);
	return 0;
}

int og_genesis_decode(struct og_arena *a, struct og_slice src, struct og_genesis *out, struct og_error *err)
{
	struct og_error local = { 0 };
	struct og_fields f = { .a = a, .err = err ? err : &local };
	struct og_genesis g = { 0 };
	struct og_sha256 text, sum;
	const struct og_json *j, *o;

	if (src.len > OG_GENESIS_MAX)
		return og_error_set(err, OG_ERR_CORRUPT, "format.json: %zu bytes", src.len);
	j = og_format_parse(a, src, f.err);
	if (!j)
		return og_error_prefix(f.err, "format.json: ");
	g.layout = og_field_u32(&f, j, "omnigraph");
	if (!f.failed && g.layout != OG_LAYOUT_VERSION)
		return og_error_set(err, OG_ERR_UNSUPPORTED, "format.json: layout version %u, this program knows %u",
				    g.layout, OG_LAYOUT_VERSION);
	g.graph = og_field_ulid(&f, j, "graph");
	g.attempt = og_field_ulid(&f, j, "attempt");
	g.min_reader = og_field_u32(&f, j, "min_reader");
	g.min_writer = og_field_u32(&f, j, "min_writer");
	g.at_us = og_field_i64(&f, j, "at");
	o = og_field_object(&f, j, "genesis");
	g.id = og_field_ulid(&f, o, "id");
	g.schema = og_field_string(&f, o, "schema");
	g.schema_digest = og_field_sha256(&f, o, "digest");
	g.types = og_field_types(&f, o, "types", &g.ntypes);
	text = og_sha256(g.schema);
	if (!f.failed && !og_sha256_eq(&text, &g.schema_digest))
		og_field_fault(&f, "the schema's digest does not fit");
	/* The log's digests begin behind this object: without its own, a damaged graph id would lead to an empty log. */
	sum = og_field_sha256(&f, j, "sum");
	text = og_sha256(og_slice(src.p, src.len > SUM_TAIL ? src.len - SUM_TAIL : 0));
	if (!f.failed && !og_sha256_eq(&text, &sum))
		og_field_fault(&f, "digest mismatch");
	if (f.failed)
		return og_error_prefix(f.err, "format.json: ");
	g.digest = og_sha256(src);
	*out = g;
	return 0;
}
