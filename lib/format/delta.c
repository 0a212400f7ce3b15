/* The Delta Lake log: actions as JSON lines. */
#include "config.h"

#include "format/delta.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/fields.h"

#define VERSION_DIGITS 20u
/* What nobody may remove because Delta's log no longer names it: branches, older states and the layers of the graph still may. */
#define RETENTION "interval 52000 weeks"

/* ---- names ---- */

void og_delta_folder(uint32_t type, char out[OG_DELTA_KEY_MAX])
{
	snprintf(out, OG_DELTA_KEY_MAX, "data/%" PRIu32 "/_delta_log/", type);
}

void og_delta_key(uint32_t type, uint64_t version, char out[OG_DELTA_KEY_MAX])
{
	snprintf(out, OG_DELTA_KEY_MAX, "data/%" PRIu32 "/_delta_log/%0*" PRIu64 ".json", type, (int)VERSION_DIGITS, version);
}

bool og_delta_parse_name(const char *name, uint64_t *version)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < VERSION_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(name[i] - '0'), &v))
			return false;
	}
	*version = v;
	/* Delta's versions are signed. */
	return v <= LLONG_MAX && strcmp(name + VERSION_DIGITS, ".json") == 0;
}

/* ---- writing ---- */

struct og_sha256 og_delta_schema_digest(struct og_slice name, struct og_slice schema)
{
	struct og_sha256_ctx c;

	og_sha256_init(&c);
	og_sha256_update(&c, name);
	og_sha256_update(&c, og_slice("", 1));
	og_sha256_update(&c, schema);
	return og_sha256_final(&c);
}

/* A line with one action of that name. */
static void begin_action(struct og_json_writer *w, struct og_buf *b, const char *name)
{
	og_json_writer_init(w, b, false);
	og_json_begin_object(w);
	og_json_member_object(w, name);
}

static void end_action(struct og_json_writer *w)
{
	og_json_end_object(w);
	og_json_end_object(w);
	og_buf_byte(w->b, '\n');
}

static void put_shown(struct og_json_writer *w, const struct og_delta_version *v)
{
	const struct og_delta_shown *s = &v->shown;

	og_json_member_object(w, "omnigraph");
	og_member_ulid(w, "graph", &s->graph);
	og_json_member_str(w, "branch", "main");
	og_member_ulid(w, "commit", &s->commit);
	og_json_member_u64(w, "version", s->version);
	og_json_member_u64(w, "table_version", s->table_version);
	og_json_member_u64(w, "seq", s->seq);
	og_member_ulid(w, "host", &v->host);
	og_member_sha256(w, "schema", &s->schema);
	og_member_sha256(w, "catalog", &s->catalog);
	og_json_member_array(w, "files");
	for (size_t i = 0; i < s->nfiles; i++)
		og_put_ulid(w, &s->files[i]);
	og_json_end_array(w);
	og_json_end_object(w);
}

static void put_info(struct og_buf *b, const struct og_delta_version *v)
{
	struct og_json_writer w;
	char note[96];

	snprintf(note, sizeof(note), "main at commit %s, version %" PRIu64, og_ulid_format(&v->shown.commit).s, v->shown.version);
	begin_action(&w, b, "commitInfo");
	og_json_member_i64(&w, "timestamp", v->at_us / 1000);
	og_json_member_str(&w, "operation", v->data_change ? "WRITE" : "OPTIMIZE");
	og_json_member_object(&w, "operationParameters");
	og_json_end_object(&w);
	og_json_member_str(&w, "engineInfo", PACKAGE_NAME "/" PACKAGE_VERSION);
	og_json_member_str(&w, "userMetadata", note);
	put_shown(&w, v);
	end_action(&w);
}

static void put_protocol(struct og_buf *b)
{
	struct og_json_writer w;

	begin_action(&w, b, "protocol");
	og_json_member_u64(&w, "minReaderVersion", 1);
	og_json_member_u64(&w, "minWriterVersion", 7);
	og_json_member_array(&w, "writerFeatures");
	og_json_put_str(&w, OG_DELTA_FEATURE);
	og_json_end_array(&w);
	end_action(&w);
}

/* A UUID that is the same whenever it is made: version 8 of RFC 9562, out of graph and type. */
static void put_table_id(struct og_json_writer *w, const struct og_ulid *graph, uint32_t type)
{
	struct og_sha256_ctx c;
	struct og_sha256 d;
	char text[40];
	size_t n = 0;

	og_sha256_init(&c);
	og_sha256_update(&c, og_slice(graph->b, sizeof(graph->b)));
	snprintf(text, sizeof(text), "%" PRIu32, type);
	og_sha256_update(&c, og_slice_str(text));
	d = og_sha256_final(&c);
	d.b[6] = (uint8_t)(0x80 | (d.b[6] & 0x0f));
	d.b[8] = (uint8_t)(0x80 | (d.b[8] & 0x3f));
	for (size_t i = 0; i < 16; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", d.b[i]);
	og_json_member_str(w, "id", text);
}

static void put_metadata(struct og_buf *b, const struct og_delta_version *v)
{
	struct og_json_writer w;

	begin_action(&w, b, "metaData");
	put_table_id(&w, &v->shown.graph, v->type);
	og_json_member_string(&w, "name", v->name);
	og_json_member_str(&w, "description", "a type of an Omnigraph graph, branch main; written by og-storaged alone, read-only for all others");
	og_json_member_object(&w, "format");
	og_json_member_str(&w, "provider", "parquet");
	og_json_member_object(&w, "options");
	og_json_end_object(&w);
	og_json_end_object(&w);
	og_json_member_string(&w, "schemaString", v->schema);
	og_json_member_array(&w, "partitionColumns");
	og_json_end_array(&w);
	og_json_member_object(&w, "configuration");
	og_json_member_str(&w, "delta.deletedFileRetentionDuration", RETENTION);
	og_json_end_object(&w);
	og_json_member_i64(&w, "createdTime", v->at_us / 1000);
	end_action(&w);
}

static void put_path(struct og_json_writer *w, const struct og_ulid *id)
{
	char path[OG_ULID_CHARS + 16];

	snprintf(path, sizeof(path), "%s.parquet", og_ulid_format(id).s);
	og_json_member_str(w, "path", path);
}

static void put_add(struct og_buf *b, struct og_buf *stats, const struct og_delta_file *f, bool data_change)
{
	struct og_json_writer w;

	og_buf_clear(stats);
	og_buf_printf(stats, "{\"numRecords\":%" PRIu64, f->rows);
	if (f->bounds.len) {
		og_buf_byte(stats, ',');
		og_buf_slice(stats, f->bounds);
	}
	og_buf_byte(stats, '}');
	begin_action(&w, b, "add");
	put_path(&w, &f->id);
	og_json_member_object(&w, "partitionValues");
	og_json_end_object(&w);
	og_json_member_u64(&w, "size", f->bytes);
	og_json_member_u64(&w, "modificationTime", og_ulid_ms(&f->id));
	og_json_member_bool(&w, "dataChange", data_change);
	og_json_member_string(&w, "stats", og_buf_view(stats));
	end_action(&w);
}

static void put_remove(struct og_buf *b, const struct og_ulid *id, int64_t at_us, bool data_change)
{
	struct og_json_writer w;

	begin_action(&w, b, "remove");
	put_path(&w, id);
	og_json_member_i64(&w, "deletionTimestamp", at_us / 1000);
	og_json_member_bool(&w, "dataChange", data_change);
	end_action(&w);
}

void og_delta_encode(struct og_buf *b, const struct og_delta_version *v)
{
	struct og_error err = { 0 };
	struct og_buf stats = { 0 };

	put_info(b, v);
	if (v->first)
		put_protocol(b);
	if (v->schema.p)
		put_metadata(b, v);
	for (size_t i = 0; i < v->nremoves; i++)
		put_remove(b, &v->removes[i], v->at_us, v->data_change);
	for (size_t i = 0; i < v->nadds; i++)
		put_add(b, &stats, &v->adds[i], v->data_change);
	if (og_buf_ok(&stats, &err) < 0)
		b->failed = true;
	og_buf_fini(&stats);
}

/* ---- reading ---- */

static int by_ulid(const void *a, const void *b)
{
	return og_ulid_cmp(a, b);
}

static int read_shown(struct og_arena *a, const struct og_json *j, struct og_delta_shown *out, struct og_error *err)
{
	struct og_fields f = { .a = a, .err = err };
	struct og_delta_shown s = { 0 };
	const struct og_json *files;
	struct og_ulid *ids;

	s.graph = og_field_ulid(&f, j, "graph");
	s.commit = og_field_ulid(&f, j, "commit");
	s.version = og_field_u64(&f, j, "version");
	s.table_version = og_field_u64(&f, j, "table_version");
	s.seq = og_field_u64(&f, j, "seq");
	s.schema = og_field_sha256(&f, j, "schema");
	s.catalog = og_field_sha256(&f, j, "catalog");
	files = og_field_array(&f, j, "files", false, &s.nfiles);
	ids = og_field_alloc(&f, s.nfiles, sizeof(*ids));
	for (size_t i = 0; i < s.nfiles && !f.failed; i++)
		ids[i] = og_value_ulid(&f, &files[i], "files");
	if (f.failed)
		return err->code;
	if (s.nfiles)
		qsort(ids, s.nfiles, sizeof(*ids), by_ulid);
	s.files = ids;
	*out = s;
	return 0;
}

int og_delta_decode(struct og_arena *a, struct og_slice src, struct og_delta_shown *out, struct og_error *err)
{
	size_t at = 0;

	while (at < src.len) {
		const char *nl = memchr(src.p + at, '\n', src.len - at);
		size_t len = nl ? (size_t)(nl - src.p) - at : src.len - at;
		struct og_slice line = og_slice(src.p + at, len);
		const struct og_json *j, *ours;
		struct og_error e = { 0 };

		if (len) {
			j = og_format_parse(a, line, &e);
			if (!j)
				return e.code == OG_ERR_CORRUPT ? og_error_at(err, e.code, at + e.pos.byte, "a line of the Delta log: %s", e.message) :
								  og_error_set(err, e.code, "%s", e.message);
			ours = og_json_get(og_json_get(j, "commitInfo"), "omnigraph");
			if (og_json_is(ours, OG_JT_OBJECT))
				return read_shown(a, ours, out, err);
		}
		at += len + 1;
	}
	return og_error_set(err, OG_ERR_NOT_FOUND, "a version that another program wrote");
}
