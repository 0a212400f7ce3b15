/* Routes of a graph: requests decoded for the service, its results as JSON. */
#include "config.h"

#include "api/body.h"
#include "api/call.h"
#include "api/error.h"
#include "base/utf8.h"
#include "http/url.h"

/* ---- what they share ---- */

/* Unicode's White_Space. */
static bool is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static struct og_slice trim(struct og_slice s)
{
	size_t pos = 0, start = SIZE_MAX, end = 0;

	while (pos < s.len) {
		size_t at = pos;

		if (is_space(og_utf8_next(s, &pos)))
			continue;
		if (start == SIZE_MAX)
			start = at;
		end = pos;
	}
	return start == SIZE_MAX ? og_slice("", 0) : og_slice(s.p + start, end - start);
}

/* The trimmed name, "main" if absent. An empty one is answered: -1. */
static int branch_name(struct og_api_call *c, struct og_slice given, struct og_slice *out)
{
	*out = given.p ? trim(given) : OG_SLICE("main");
	if (out->len)
		return 0;
	og_api_reply_envelope(c, 400, "bad_request", "branch name cannot be empty");
	return -1;
}

/* Decodes the body; what is wrong with it is answered: -1. */
static int decode(struct og_api_call *c, struct og_slice body, const struct og_body_field *fields, size_t n, void *out)
{
	struct og_error err;
	unsigned status = 400;
	int rc = og_body_decode(&c->arena, body, fields, n, out, &status, &err);

	if (rc == 0)
		return 0;
	if (rc == OG_ERR_BAD)
		og_api_reply_text(c, status, err.message);
	else
		og_api_fail(c, &err);
	return -1;
}

/* What the service refused at once. Otherwise the call may be gone already. */
static void settle(struct og_api_call *c, int rc, const struct og_error *err)
{
	if (rc < 0)
		og_api_fail(c, err);
}

static void member_or_null(struct og_json_writer *w, const char *key, struct og_slice s)
{
	if (s.p)
		og_json_member_string(w, key, s);
	else
		og_json_member_null(w, key);
}

static void put_commit(struct og_json_writer *w, const struct og_api_commit *m)
{
	og_json_put_key_str(w, "commit");
	if (!m) {
		og_json_put_null(w);
		return;
	}
	og_json_begin_object(w);
	og_json_member_string(w, "graph_commit_id", m->id);
	member_or_null(w, "manifest_branch", m->branch);
	og_json_member_u64(w, "manifest_version", m->manifest_version);
	member_or_null(w, "parent_commit_id", m->parent);
	member_or_null(w, "merged_parent_commit_id", m->merged_parent);
	member_or_null(w, "actor_id", m->actor);
	og_json_member_i64(w, "created_at", m->created_at_us);
	member_or_null(w, "graph_branch", m->branch);
	og_json_member_u64(w, "graph_manifest_version", m->manifest_version);
	og_json_end_object(w);
}

/* ---- GET /snapshot, GET /schema ---- */

/* Leaves the value of ?branch in params[0]. */
int og_api_check_branch_query(struct og_api_call *c)
{
	struct og_error err;
	size_t n = og_url_query_get(&c->arena, c->req->query, "branch", &c->params[0]);

	if (n == SIZE_MAX) {
		og_error_nomem(&err);
		og_api_fail(c, &err);
		return -1;
	}
	if (n > 1) {
		og_api_reply_text(c, 400, "Failed to deserialize query string: duplicate field `branch`");
		return -1;
	}
	return 0;
}

void og_api_snapshot(struct og_api_call *c, struct og_slice body)
{
	struct og_slice branch;
	struct og_error err;

	(void)body;
	if (branch_name(c, c->params[0], &branch) < 0)
		return;
	settle(c, c->ops->snapshot(c->graph, c, branch, &err), &err);
}

/* 64-bit FNV-1a, which names a type's place in a snapshot. */
static struct og_slice table_path(struct og_slice kind, struct og_slice type, char out[32])
{
	uint64_t h = 0xcbf29ce484222325u;
	int n;

	for (size_t i = 0; i < type.len; i++)
		h = (h ^ (uint8_t)type.p[i]) * 0x100000001b3u;
	n = snprintf(out, 32, "%s/%016llx", og_slice_is(kind, "edge") ? "edges" : "nodes", (unsigned long long)h);
	return og_slice(out, (size_t)n);
}

void og_api_reply_snapshot(struct og_api_call *c, const struct og_api_snapshot *s)
{
	struct og_slice kind = { 0 }, type = { 0 };
	struct og_json_writer w;
	struct og_buf b = { 0 };
	char path[32];

	og_json_writer_init(&w, &b, false);
	og_json_begin_object(&w);
	og_json_member_string(&w, "branch", s->branch);
	og_json_member_u64(&w, "manifest_version", s->manifest_version);
	og_json_member_array(&w, "tables");
	for (size_t i = 0; i < s->ntables; i++) {
		const struct og_api_table *t = &s->tables[i];

		(void)og_api_split_key(t->table_key, &kind, &type);
		og_json_begin_object(&w);
		og_json_member_string(&w, "table_key", t->table_key);
		og_json_member_string(&w, "table_path", table_path(kind, type, path));
		og_json_member_u64(&w, "table_version", t->table_version);
		member_or_null(&w, "table_branch", t->table_branch);
		og_json_member_u64(&w, "row_count", t->row_count);
		og_json_end_object(&w);
	}
	og_json_end_array(&w);
	/* the same in the newer vocabulary */
	og_json_member_string(&w, "graph_branch", s->branch);
	og_json_member_u64(&w, "graph_manifest_version", s->manifest_version);
	og_json_member_u64(&w, "internal_schema_version", s->internal_schema_version);
	og_json_member_array(&w, "datasets");
	for (size_t i = 0; i < s->ntables; i++) {
		const struct og_api_table *t = &s->tables[i];

		(void)og_api_split_key(t->table_key, &kind, &type);
		og_json_begin_object(&w);
		og_json_member_string(&w, "entity_kind", kind);
		og_json_member_string(&w, "type_name", type);
		og_json_member_string(&w, "dataset_path", table_path(kind, type, path));
		og_json_member_u64(&w, "published_dataset_version", t->table_version);
		member_or_null(&w, "native_dataset_branch", t->table_branch);
		og_json_member_u64(&w, "entity_count", t->row_count);
		og_json_end_object(&w);
	}
	og_json_end_array(&w);
	og_json_end_object(&w);
	og_api_reply_json(c, &b);
}

void og_api_schema(struct og_api_call *c, struct og_slice body)
{
	struct og_error err;

	(void)body;
	settle(c, c->ops->schema(c->graph, c, &err), &err);
}

void og_api_reply_schema(struct og_api_call *c, struct og_slice source)
{
	struct og_json_writer w;
	struct og_buf b = { 0 };

	og_json_writer_init(&w, &b, false);
	og_json_begin_object(&w);
	og_json_member_string(&w, "schema_source", source);
	og_json_end_object(&w);
	og_api_reply_json(c, &b);
}

/* ---- POST /query, POST /read ---- */

static void read_with(struct og_api_call *c, struct og_slice body, const struct og_body_field *fields, size_t n, bool legacy)
{
	struct og_api_read q = { .legacy = legacy };
	struct og_error err;

	if (decode(c, body, fields, n, &q) < 0)
		return;
	if (q.branch.p && q.snapshot.p) {
		og_api_reply_envelope(c, 400, "bad_request", "request may specify branch or snapshot, not both");
		return;
	}
	if (!q.snapshot.p && branch_name(c, q.branch, &q.branch) < 0)
		return;
	settle(c, c->ops->read(c->graph, c, &q, &err), &err);
}

#define READ(field) offsetof(struct og_api_read, field)

void og_api_query(struct og_api_call *c, struct og_slice body)
{
	static const struct og_body_field fields[] = {
		{ "query", NULL, OG_BODY_STRING, OG_BODY_REQUIRED, READ(query), NULL },
		{ "name", NULL, OG_BODY_STRING, 0, READ(name), NULL },
		{ "params", NULL, OG_BODY_ANY, 0, READ(params), NULL },
		{ "branch", NULL, OG_BODY_STRING, 0, READ(branch), NULL },
		{ "snapshot", NULL, OG_BODY_STRING, 0, READ(snapshot), NULL },
	};

	read_with(c, body, fields, OG_COUNT(fields), false);
}

void og_api_read_legacy(struct og_api_call *c, struct og_slice body)
{
	static const struct og_body_field fields[] = {
		{ "query_source", NULL, OG_BODY_STRING, OG_BODY_REQUIRED, READ(query), NULL },
		{ "query_name", NULL, OG_BODY_STRING, 0, READ(name), NULL },
		{ "params", NULL, OG_BODY_ANY, 0, READ(params), NULL },
		{ "branch", NULL, OG_BODY_STRING, 0, READ(branch), NULL },
		{ "snapshot", NULL, OG_BODY_STRING, 0, READ(snapshot), NULL },
	};

	read_with(c, body, fields, OG_COUNT(fields), true);
}

/* ---- POST /mutate, POST /change ---- */

int og_api_check_unconditional(struct og_api_call *c)
{
	if (!og_http_header_count(c->req, "omnigraph-if-graph-commit"))
		return 0;
	/* A condition that would not be looked at must not seem to hold. */
	og_api_reply_envelope(c, 400, "bad_request", "Omnigraph-If-Graph-Commit requires the fail-closed conditional route /mutate/if-graph-commit");
	return -1;
}

#define WRITE(field) offsetof(struct og_api_write, field)

void og_api_mutate(struct og_api_call *c, struct og_slice body)
{
	static const struct og_body_field fields[] = {
		{ "query", "query_source", OG_BODY_STRING, OG_BODY_REQUIRED, WRITE(query), NULL },
		{ "name", "query_name", OG_BODY_STRING, 0, WRITE(name), NULL },
		{ "params", NULL, OG_BODY_ANY, 0, WRITE(params), NULL },
		{ "branch", NULL, OG_BODY_STRING, 0, WRITE(branch), NULL },
	};
	struct og_api_write q = { 0 };
	struct og_error err;

	if (decode(c, body, fields, OG_COUNT(fields), &q) < 0 || branch_name(c, q.branch, &q.branch) < 0)
		return;
	settle(c, c->ops->write(c->graph, c, &q, &err), &err);
}

void og_api_reply_change(struct og_api_call *c, const struct og_api_change *r)
{
	struct og_json_writer w;
	struct og_buf b = { 0 };

	og_json_writer_init(&w, &b, false);
	og_json_begin_object(&w);
	og_json_member_string(&w, "branch", r->branch);
	og_json_member_string(&w, "query_name", r->query_name);
	og_json_member_u64(&w, "affected_nodes", r->affected_nodes);
	og_json_member_u64(&w, "affected_edges", r->affected_edges);
	member_or_null(&w, "actor_id", c->actor);
	put_commit(&w, r->commit);
	og_json_end_object(&w);
	og_api_reply_json(c, &b);
}

/* ---- POST /load, POST /ingest ---- */

static const char *const modes[] = { [OG_API_MERGE] = "merge", [OG_API_APPEND] = "append", [OG_API_OVERWRITE] = "overwrite", NULL };

#define LOAD(field) offsetof(struct og_api_load, field)

void og_api_load(struct og_api_call *c, struct og_slice body)
{
	static const struct og_body_field fields[] = {
		{ "data", NULL, OG_BODY_STRING, OG_BODY_REQUIRED, LOAD(data), NULL },
		{ "branch", NULL, OG_BODY_STRING, 0, LOAD(branch), NULL },
		{ "from", NULL, OG_BODY_STRING, 0, LOAD(from), NULL },
		{ "mode", NULL, OG_BODY_ENUM, 0, LOAD(mode), modes },
	};
	struct og_api_load q = { .mode = OG_API_MERGE };
	struct og_error err;

	_Static_assert(sizeof(q.mode) == sizeof(unsigned), "decoded as unsigned");
	if (decode(c, body, fields, OG_COUNT(fields), &q) < 0)
		return;
	q.branch = q.branch.p ? trim(q.branch) : OG_SLICE("main");
	if (q.from.p)
		q.from = trim(q.from);
	settle(c, c->ops->load(c->graph, c, &q, &err), &err);
}

/* nodes[] or edges[] of the newer vocabulary. */
static uint64_t put_entities(struct og_json_writer *w, const char *key, const char *kind, const struct og_api_loaded *r)
{
	struct og_slice k, type;
	uint64_t total = 0;

	og_json_member_array(w, key);
	for (size_t i = 0; i < r->ntables; i++) {
		if (!og_api_split_key(r->tables[i].table_key, &k, &type) || !og_slice_is(k, kind))
			continue;
		og_json_begin_object(w);
		og_json_member_string(w, "name", type);
		og_json_member_u64(w, "entities_loaded", r->tables[i].rows);
		og_json_end_object(w);
		total += r->tables[i].rows;
	}
	og_json_end_array(w);
	return total;
}

void og_api_reply_loaded(struct og_api_call *c, const struct og_api_loaded *r)
{
	struct og_json_writer w;
	struct og_buf b = { 0 };
	uint64_t total;

	og_json_writer_init(&w, &b, false);
	og_json_begin_object(&w);
	og_json_member_string(&w, "uri", r->uri);
	og_json_member_string(&w, "branch", r->branch);
	member_or_null(&w, "base_branch", r->base_branch);
	og_json_member_bool(&w, "branch_created", r->branch_created);
	og_json_member_str(&w, "mode", modes[r->mode]);
	og_json_member_array(&w, "tables");
	for (size_t i = 0; i < r->ntables; i++) {
		og_json_begin_object(&w);
		og_json_member_string(&w, "table_key", r->tables[i].table_key);
		og_json_member_u64(&w, "rows_loaded", r->tables[i].rows);
		og_json_end_object(&w);
	}
	og_json_end_array(&w);
	total = put_entities(&w, "nodes", "node", r);
	total += put_entities(&w, "edges", "edge", r);
	og_json_member_u64(&w, "total_entities", total);
	member_or_null(&w, "actor_id", c->actor);
	put_commit(&w, r->commit);
	og_json_end_object(&w);
	og_api_reply_json(c, &b);
}

/* ---- POST /export ---- */

#define EXPORT(field) offsetof(struct og_api_export, field)

void og_api_export(struct og_api_call *c, struct og_slice body)
{
	static const struct og_body_field fields[] = {
		{ "branch", NULL, OG_BODY_STRING, 0, EXPORT(branch), NULL },
		{ "type_names", NULL, OG_BODY_STRINGS, OG_BODY_NOT_NULL, EXPORT(type_names), NULL },
		{ "table_keys", NULL, OG_BODY_STRINGS, OG_BODY_NOT_NULL, EXPORT(table_keys), NULL },
	};
	struct og_api_export q = { 0 };
	struct og_error err;

	if (decode(c, body, fields, OG_COUNT(fields), &q) < 0 || branch_name(c, q.branch, &q.branch) < 0)
		return;
	settle(c, c->ops->export(c->graph, c, &q, &err), &err);
}
