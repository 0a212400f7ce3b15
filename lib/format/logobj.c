/* Log objects and the frame that they share with checkpoints and history; object keys. */
#include "config.h"

#include "format/logobj.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/num.h"
#include "format/fields.h"

static const char log_magic[8] = { 'O', 'G', 'L', 'O', 'G', '1', '\r', '\n' };
static const char stub_magic[8] = { 'O', 'G', 'S', 'T', 'B', '1', '\r', '\n' };

void og_frame_encode(char out[OG_FRAME_SIZE], const char magic[8], struct og_slice header, uint64_t total,
		     struct og_sha256 *digest)
{
	uint32_t len = (uint32_t)header.len;

	*digest = og_sha256(header);
	memset(out, 0, OG_FRAME_SIZE);
	memcpy(out, magic, 8);
	memcpy(out + 8, &len, sizeof(len));
	memcpy(out + 16, &total, sizeof(total));
	memcpy(out + 32, digest->b, sizeof(digest->b));
}

int og_frame_decode(struct og_slice src, const char magic[8], uint64_t max, struct og_frame *out, struct og_error *err)
{
	struct og_frame f;
	struct og_sha256 said;
	uint32_t len;

	if (src.len < 8 || memcmp(src.p, magic, 8))
		return og_error_at(err, OG_ERR_CORRUPT, 0, "magic mismatch");
	if (src.len < OG_FRAME_SIZE)
		return og_error_at(err, OG_ERR_CORRUPT, src.len, "cut off in its frame");
	len = og_le32(src.p + 8);
	f.total = og_le64(src.p + 16);
	if (og_le32(src.p + 12) != 0 || og_le64(src.p + 24) != 0)
		return og_error_at(err, OG_ERR_CORRUPT, 12, "frame not zero where it must be");
	if (len > max)
		return og_error_at(err, OG_ERR_CORRUPT, 8, "header of %u bytes", len);
	if (len > src.len - OG_FRAME_SIZE)
		return og_error_at(err, OG_ERR_CORRUPT, src.len, "cut off in its header");
	if (f.total < OG_FRAME_SIZE + (uint64_t)len)
		return og_error_at(err, OG_ERR_CORRUPT, 16, "length mismatch");
	f.header = og_slice(src.p + OG_FRAME_SIZE, len);
	f.digest = og_sha256(f.header);
	memcpy(said.b, src.p + 32, sizeof(said.b));
	if (!og_sha256_eq(&f.digest, &said))
		return og_error_at(err, OG_ERR_CORRUPT, 32, "digest mismatch");
	*out = f;
	return 0;
}

static void write_header(struct og_json_writer *w, const struct og_logobj *o)
{
	uint64_t off = 0;

	og_json_begin_object(w);
	og_member_ulid(w, "graph", &o->graph);
	og_json_member_u64(w, "seq", o->seq);
	og_member_sha256(w, "prev", &o->prev);
	og_member_ulid(w, "object", &o->object);
	og_member_ulid(w, "host", &o->host);
	og_json_member_i64(w, "at", o->at_us);
	if (o->making)
		og_json_member_bool(w, "making", true);
	if (o->made.seq) {
		og_json_member_object(w, "made");
		og_json_member_u64(w, "seq", o->made.seq);
		og_member_ulid(w, "id", &o->made.id);
		og_json_end_object(w);
	}
	og_json_member_array(w, "bodies");
	for (size_t i = 0; i < o->nbodies; i++) {
		og_json_begin_object(w);
		og_json_member_u64(w, "off", off);
		og_json_member_u64(w, "len", o->bodies[i].len);
		og_member_sha256(w, "sha256", &o->bodies[i].sha256);
		og_json_end_object(w);
		off += o->bodies[i].len;
	}
	og_json_end_array(w);
	og_json_member_array(w, "records");
	for (size_t i = 0; i < o->nrecords; i++)
		og_record_write(w, &o->records[i]);
	og_json_end_array(w);
	og_json_end_object(w);
}

int og_logobj_encode(struct og_arena *a, struct og_logobj *o, const struct og_log_part *parts, struct og_buf *head,
		     struct og_error *err)
{
	struct og_json_writer w;
	struct og_slice header;
	char *frame;
	uint64_t bytes = 0;

	if (o->nrecords < 1 || o->nrecords > OG_LOG_RECORDS_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "%zu records in a log object", o->nrecords);
	o->bodies = og_arena_array(a, o->nbodies ? o->nbodies : 1, sizeof(*o->bodies));
	if (!o->bodies)
		return og_arena_error(a, err);
	for (size_t i = 0; i < o->nbodies; i++) {
		o->bodies[i].off = bytes;
		o->bodies[i].len = parts[i].bytes.len;
		o->bodies[i].sha256 = parts[i].sha256;
		if (parts[i].bytes.len > OG_LOG_OBJECT_MAX - bytes)
			return og_error_set(err, OG_ERR_TOO_LARGE, "a log object's bodies are over %u bytes",
					    OG_LOG_OBJECT_MAX);
		bytes += parts[i].bytes.len;
	}
	og_buf_clear(head);
	if (!og_buf_reserve(head, OG_FRAME_SIZE))
		return og_buf_ok(head, err);
	head->len = OG_FRAME_SIZE;
	og_json_writer_init(&w, head, false);
	write_header(&w, o);
	if (og_buf_ok(head, err) < 0)
		return OG_ERR_NOMEM;
	header = og_slice(head->data + OG_FRAME_SIZE, head->len - OG_FRAME_SIZE);
	o->total = head->len + bytes;
	if (header.len > OG_LOG_HEADER_MAX || o->total > OG_LOG_OBJECT_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "a log object of %llu bytes with a header of %zu",
				    (unsigned long long)o->total, header.len);
	for (size_t i = 0; i < o->nbodies; i++)
		o->bodies[i].off += head->len;
	frame = head->data;
	og_frame_encode(frame, log_magic, header, o->total, &o->digest);
	return 0;
}

static void read_bodies(struct og_fields *f, const struct og_json *j, uint64_t start, struct og_logobj *o)
{
	size_t n;
	const struct og_json *v = og_field_array(f, j, "bodies", false, &n);
	uint64_t at = start;

	o->bodies = og_field_alloc(f, n, sizeof(*o->bodies));
	for (size_t i = 0; i < n && !f->failed; i++) {
		uint64_t off = og_field_u64(f, &v[i], "off");
		uint64_t len = og_field_u64(f, &v[i], "len");

		o->bodies[i].sha256 = og_field_sha256(f, &v[i], "sha256");
		if (off != at - start || len > o->total - at)
			og_field_fault(f, "body %zu lies outside of its place", i);
		o->bodies[i].off = at;
		o->bodies[i].len = len;
		at += len;
	}
	if (!f->failed && at != o->total)
		og_field_fault(f, "length mismatch");
	o->nbodies = f->failed ? 0 : n;
}

static int read_records(struct og_fields *f, const struct og_json *j, struct og_logobj *o)
{
	size_t n;
	const struct og_json *v = og_field_array(f, j, "records", false, &n);

	if (!f->failed && (n < 1 || n > OG_LOG_RECORDS_MAX))
		og_field_fault(f, "%zu records", n);
	o->records = og_field_alloc(f, n, sizeof(*o->records));
	for (size_t i = 0; i < n && !f->failed; i++) {
		int rc = og_record_read(f->a, &v[i], true, (uint32_t)o->nbodies, &o->records[i], f->err);

		if (rc < 0) {
			og_error_prefix(f->err, "record %zu: ", i);
			return rc;
		}
	}
	o->nrecords = f->failed ? 0 : n;
	return f->failed ? f->err->code : 0;
}

/* What the header says, into o. */
static int read_header(struct og_arena *a, const struct og_json *j, size_t header_len, struct og_logobj *o,
		       struct og_error *err)
{
	struct og_fields f = { .a = a, .err = err };

	o->graph = og_field_ulid(&f, j, "graph");
	o->seq = og_field_u64(&f, j, "seq");
	o->prev = og_field_sha256(&f, j, "prev");
	o->object = og_field_ulid(&f, j, "object");
	o->host = og_field_ulid(&f, j, "host");
	o->at_us = og_field_i64(&f, j, "at");
	o->making = og_field_flag(&f, j, "making");
	if (og_json_get(j, "made")) {
		const struct og_json *made = og_field_object(&f, j, "made");

		o->made.seq = og_field_u64(&f, made, "seq");
		o->made.id = og_field_ulid(&f, made, "id");
	}
	read_bodies(&f, j, OG_FRAME_SIZE + header_len, o);
	return f.failed ? f.err->code : read_records(&f, j, o);
}

int og_logobj_decode(struct og_arena *a, struct og_slice src, struct og_logobj *out, struct og_error *err)
{
	struct og_error local = { 0 };
	struct og_error *e = err ? err : &local;
	struct og_logobj o = { 0 };
	struct og_frame frame;
	struct og_arena tree;	/* several times the size of what is kept */
	const struct og_json *j;
	int rc;

	o.stub = src.len >= 8 && !memcmp(src.p, stub_magic, 8);
	rc = og_frame_decode(src, o.stub ? stub_magic : log_magic, OG_LOG_HEADER_MAX, &frame, e);
	if (rc < 0)
		return rc;
	if (frame.total > OG_LOG_OBJECT_MAX ||
	    (o.stub ? OG_FRAME_SIZE + (uint64_t)frame.header.len : frame.total) != src.len)
		return og_error_at(err, OG_ERR_CORRUPT, 16, "length mismatch");
	o.digest = frame.digest;
	o.total = frame.total;
	o.bytes = src;
	og_arena_init(&tree, 0);
	j = og_format_parse(&tree, frame.header, e);
	rc = j ? read_header(a, j, frame.header.len, &o, e) : e->code;
	og_arena_fini(&tree);
	if (rc == 0)
		*out = o;
	return rc;
}

int og_logobj_body(const struct og_logobj *o, uint32_t i, struct og_slice *out, struct og_error *err)
{
	struct og_sha256 have;
	struct og_slice s;

	if (i >= o->nbodies)
		return og_error_set(err, OG_ERR_INTERNAL, "log object %llu has no body %u", (unsigned long long)o->seq, i);
	if (o->stub)
		return og_error_set(err, OG_ERR_GONE, "log object %llu: rows missing", (unsigned long long)o->seq);
	s = og_slice(o->bytes.p + o->bodies[i].off, o->bodies[i].len);
	if (!o->hashed && !o->bodies[i].sound)
		have = og_sha256(s);
	else
		have = o->bodies[i].sha256;
	if (!og_sha256_eq(&have, &o->bodies[i].sha256))
		return og_error_at(err, OG_ERR_CORRUPT, o->bodies[i].off, "log object %llu body %u: digest mismatch",
				   (unsigned long long)o->seq, i);
	o->bodies[i].sound = true;
	*out = s;
	return 0;
}

/* ---- keys ---- */

struct og_key_text og_key_log_folder(const struct og_ulid *graph, uint64_t seq)
{
	struct og_key_text k;

	snprintf(k.s, sizeof(k.s), "log/%s/%016llu/", og_ulid_format(graph).s, (unsigned long long)(seq / 10000));
	return k;
}

struct og_key_text og_key_log(const struct og_ulid *graph, uint64_t seq)
{
	struct og_key_text k;

	snprintf(k.s, sizeof(k.s), "log/%s/%016llu/%020llu", og_ulid_format(graph).s,
		 (unsigned long long)(seq / 10000), (unsigned long long)seq);
	return k;
}

struct og_key_text og_key_ckpt(const struct og_ulid *graph, uint64_t seq, const struct og_ulid *id)
{
	struct og_key_text k;

	snprintf(k.s, sizeof(k.s), "ckpt/%s/%020llu-%s", og_ulid_format(graph).s, (unsigned long long)(UINT64_MAX - seq),
		 og_ulid_format(id).s);
	return k;
}

struct og_key_text og_key_hist(const struct og_ulid *graph, const struct og_ulid *id)
{
	struct og_key_text k;

	snprintf(k.s, sizeof(k.s), "hist/%s/%s", og_ulid_format(graph).s, og_ulid_format(id).s);
	return k;
}

struct og_key_text og_key_data(uint32_t type, const struct og_ulid *id)
{
	struct og_key_text k;

	snprintf(k.s, sizeof(k.s), "data/%u/%s.parquet", type, og_ulid_format(id).s);
	return k;
}

struct og_key_text og_key_blob(const struct og_ulid *id)
{
	struct og_key_text k;

	snprintf(k.s, sizeof(k.s), "blob/%s", og_ulid_format(id).s);
	return k;
}

bool og_key_parse_log(const char *name, uint64_t *seq)
{
	struct og_slice s = og_slice_str(name);

	return s.len == 20 && name[0] >= '0' && name[0] <= '9' && og_parse_u64(s, seq);
}

bool og_key_parse_ckpt(const char *name, struct og_ckpt_name *out)
{
	struct og_slice s = og_slice_str(name);
	uint64_t down;

	if (s.len != 21 + OG_ULID_CHARS || name[20] != '-' || name[0] < '0' || name[0] > '9' ||
	    !og_parse_u64(og_slice(name, 20), &down) || !og_ulid_parse(og_slice(name + 21, OG_ULID_CHARS), &out->id))
		return false;
	out->seq = UINT64_MAX - down;
	return true;
}
