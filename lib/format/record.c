/* Records of the log as JSON. */
#include "config.h"

#include "format/record.h"

#include "format/fields.h"

static const char *const kind_names[] = {
	[OG_REC_COMMIT] = "commit", [OG_REC_CREATE] = "create", [OG_REC_DELETE] = "delete",
	[OG_REC_FLOOR] = "floor",   [OG_REC_PIN] = "pin",	[OG_REC_UNPIN] = "unpin",
	[OG_REC_FORMAT] = "format", [OG_REC_END] = "end",
};

static const char *const op_names[] = {
	[OG_OP_GENESIS] = "genesis", [OG_OP_MUTATE] = "mutate", [OG_OP_LOAD] = "load",
	[OG_OP_MERGE] = "merge",     [OG_OP_SCHEMA] = "schema", [OG_OP_REPAIR] = "repair",
};

const char *og_record_kind_name(enum og_record_kind k)
{
	return kind_names[k];
}

const char *og_commit_op_name(enum og_commit_op op)
{
	return op_names[op];
}

/* ---- writing ---- */

static void write_table(struct og_json_writer *w, const struct og_table_change *t)
{
	og_json_begin_object(w);
	og_json_member_u64(w, "t", t->type);
	og_json_member_u64(w, "v", t->version);
	if (t->as) {
		og_json_member_bool(w, "as", true);
	} else if (t->all) {
		og_json_member_bool(w, "all", true);
		og_json_member_u64(w, "n", t->rows);
	} else {
		og_json_member_i64(w, "dn", t->dn);
	}
	if (t->body != OG_NO_BODY)
		og_json_member_u64(w, "body", t->body);
	if (t->nsegs) {
		og_json_member_array(w, "segs");
		for (size_t i = 0; i < t->nsegs; i++) {
			og_json_begin_object(w);
			og_put_seg_members(w, &t->segs[i]);
			og_json_end_object(w);
		}
		og_json_end_array(w);
	}
	og_json_end_object(w);
}

static void write_schema(struct og_json_writer *w, const struct og_schema_change *s)
{
	og_json_member_object(w, "schema");
	og_member_sha256(w, "digest", &s->digest);
	if (s->body != OG_NO_BODY)
		og_json_member_u64(w, "body", s->body);
	og_member_types(w, "types", s->types, s->ntypes);
	if (s->npurge)
		og_member_u32s(w, "purge", s->purge, s->npurge);
	og_json_end_object(w);
}

static void write_commit(struct og_json_writer *w, const struct og_record *r)
{
	og_json_member_str(w, "op", og_commit_op_name(r->commit.op));
	og_member_ulid(w, "b", &r->commit.branch);
	og_json_member_u64(w, "ver", r->commit.version);
	og_member_ulid(w, "parent", &r->commit.parent);
	if (r->commit.has_merged) {
		og_json_member_object(w, "merged");
		og_member_ulid(w, "b", &r->commit.merged_branch);
		og_member_ulid(w, "commit", &r->commit.merged_commit);
		og_json_end_object(w);
	}
	og_json_member_array(w, "tables");
	for (size_t i = 0; i < r->commit.ntables; i++)
		write_table(w, &r->commit.tables[i]);
	og_json_end_array(w);
	if (r->commit.nblobs) {
		og_json_member_array(w, "blobs");
		for (size_t i = 0; i < r->commit.nblobs; i++)
			og_put_ulid(w, &r->commit.blobs[i]);
		og_json_end_array(w);
	}
	if (r->commit.keys_body != OG_NO_BODY)
		og_json_member_u64(w, "keys", r->commit.keys_body);
	if (r->commit.all_keys)
		og_json_member_bool(w, "all_keys", true);
	if (r->commit.schema.present)
		write_schema(w, &r->commit.schema);
}

static void write_floor(struct og_json_writer *w, const struct og_record *r)
{
	og_member_ulid(w, "before", &r->floor.before);
	og_json_member_array(w, "keep");
	for (size_t i = 0; i < r->floor.nkeep; i++) {
		og_json_begin_object(w);
		og_json_member_u64(w, "seq", r->floor.keep[i].seq);
		og_member_ulid(w, "id", &r->floor.keep[i].id);
		og_json_end_object(w);
	}
	og_json_end_array(w);
}

void og_record_write(struct og_json_writer *w, const struct og_record *r)
{
	og_json_begin_object(w);
	og_json_member_str(w, "k", og_record_kind_name(r->kind));
	og_member_ulid(w, "id", &r->id);
	og_json_member_i64(w, "at", r->at_us);
	og_member_string_or_null(w, "actor", r->actor);
	switch (r->kind) {
	case OG_REC_COMMIT:
		write_commit(w, r);
		break;
	case OG_REC_CREATE:
		og_json_member_string(w, "name", r->create.name);
		og_member_ulid(w, "from", &r->create.from);
		og_member_ulid(w, "fork", &r->create.fork);
		break;
	case OG_REC_DELETE:
		og_member_ulid(w, "b", &r->branch);
		break;
	case OG_REC_FLOOR:
		write_floor(w, r);
		break;
	case OG_REC_PIN:
	case OG_REC_UNPIN:
		og_member_ulid(w, "commit", &r->pinned);
		break;
	case OG_REC_FORMAT:
		og_json_member_u64(w, "min_reader", r->format.min_reader);
		og_json_member_u64(w, "min_writer", r->format.min_writer);
		break;
	case OG_REC_END:
		if (r->end.has_next)
			og_member_ulid(w, "next", &r->end.next);
		else
			og_json_member_null(w, "next");
		break;
	}
	og_json_end_object(w);
}

/* ---- copying ---- */

struct copier {
	struct og_arena *a;
	bool failed;
};

static void *copy_array(struct copier *c, const void *v, size_t n, size_t size)
{
	void *p = og_arena_array(c->a, n, size);

	if (!p)
		c->failed = true;
	else if (n)
		memcpy(p, v, n * size);
	return p;
}

static struct og_slice copy_string(struct copier *c, struct og_slice s)
{
	if (!s.p)
		return s;
	s = og_arena_slice(c->a, s);
	c->failed = c->failed || !s.p;
	return s;
}

/* A member that does not stand in the text has no value, whatever the writer left in it. */
static void copy_table(struct copier *c, const struct og_table_change *from, struct og_table_change *t)
{
	*t = *from;
	if (t->as || t->all)
		t->dn = 0;
	if (t->as || !t->all)
		t->rows = 0;
	t->segs = copy_array(c, from->segs, from->nsegs, sizeof(*t->segs));
	for (size_t i = 0; t->segs && i < t->nsegs; i++)
		t->segs[i].plain = false;
}

static void copy_commit(struct copier *c, const struct og_record *from, struct og_record *r)
{
	const struct og_schema_change *s = &from->commit.schema;

	r->commit.tables = copy_array(c, from->commit.tables, from->commit.ntables, sizeof(*r->commit.tables));
	for (size_t i = 0; r->commit.tables && i < r->commit.ntables; i++)
		copy_table(c, &from->commit.tables[i], &r->commit.tables[i]);
	r->commit.blobs = copy_array(c, from->commit.blobs, from->commit.nblobs, sizeof(*r->commit.blobs));
	if (!s->present)
		return;
	r->commit.schema.types = copy_array(c, s->types, s->ntypes, sizeof(*s->types));
	for (size_t i = 0; r->commit.schema.types && i < s->ntypes; i++)
		r->commit.schema.types[i].name = copy_string(c, s->types[i].name);
	r->commit.schema.purge = copy_array(c, s->purge, s->npurge, sizeof(*s->purge));
}

int og_record_copy(struct og_arena *a, const struct og_record *r, struct og_record *out, struct og_error *err)
{
	struct copier c = { .a = a };

	*out = *r;
	out->actor = copy_string(&c, r->actor);
	if (r->kind == OG_REC_COMMIT)
		copy_commit(&c, r, out);
	else if (r->kind == OG_REC_CREATE)
		out->create.name = copy_string(&c, r->create.name);
	else if (r->kind == OG_REC_FLOOR)
		out->floor.keep = copy_array(&c, r->floor.keep, r->floor.nkeep, sizeof(*r->floor.keep));
	return c.failed ? og_arena_error(a, err) : 0;
}

/* ---- reading ---- */

/* What an index may refer to. */
struct bodies {
	bool has;
	uint32_t n;
};

static uint32_t read_body(struct og_fields *f, const struct og_json *o, const char *name, struct bodies bodies)
{
	uint32_t i;

	if (f->failed || !og_json_get(o, name))
		return OG_NO_BODY;
	i = og_field_u32(f, o, name);
	if (!bodies.has)
		return OG_NO_BODY;
	if (i >= bodies.n)
		og_field_fault(f, "`%s` names body %u of %u", name, i, bodies.n);
	return i;
}

static void read_table(struct og_fields *f, const struct og_json *o, struct bodies bodies, struct og_table_change *t)
{
	size_t n;
	const struct og_json *segs;

	t->type = og_field_u32(f, o, "t");
	t->version = og_field_u64(f, o, "v");
	t->as = og_field_flag(f, o, "as");
	t->all = og_field_flag(f, o, "all");
	t->body = read_body(f, o, "body", bodies);
	if (t->all)
		t->rows = og_field_u64(f, o, "n");
	else if (!t->as)
		t->dn = og_field_i64(f, o, "dn");
	segs = og_field_array(f, o, "segs", true, &n);
	t->segs = og_field_alloc(f, n, sizeof(*t->segs));
	for (size_t i = 0; i < n && !f->failed; i++)
		t->segs[i] = og_value_seg(f, &segs[i]);
	t->nsegs = f->failed ? 0 : n;
	if (t->as && (t->all || t->body != OG_NO_BODY || n))
		og_field_fault(f, "table %u: `as` stands with rows", t->type);
}

static void read_schema(struct og_fields *f, const struct og_json *o, struct bodies bodies, struct og_schema_change *s)
{
	s->present = true;
	s->digest = og_field_sha256(f, o, "digest");
	s->body = read_body(f, o, "body", bodies);
	if (bodies.has && s->body == OG_NO_BODY)
		og_field_fault(f, "`schema` without its text");
	s->types = og_field_types(f, o, "types", &s->ntypes);
	s->purge = og_field_u32s(f, o, "purge", &s->npurge);
}

static enum og_commit_op read_op(struct og_fields *f, const struct og_json *o)
{
	const struct og_json *v = og_json_get(o, "op");

	for (size_t i = OG_OP_MUTATE; i < OG_COUNT(op_names); i++)
		if (og_json_is(v, OG_JT_STRING) && og_slice_is(v->s, op_names[i]))
			return (enum og_commit_op)i;
	og_field_fault(f, "unknown `op`");
	return OG_OP_MUTATE;
}

static void read_commit(struct og_fields *f, const struct og_json *o, struct bodies bodies, struct og_record *r)
{
	const struct og_json *v, *m;
	size_t n;

	r->commit.op = read_op(f, o);
	r->commit.branch = og_field_ulid(f, o, "b");
	r->commit.version = og_field_u64(f, o, "ver");
	r->commit.parent = og_field_ulid(f, o, "parent");
	m = og_json_get(o, "merged");
	if (m) {
		r->commit.has_merged = true;
		r->commit.merged_branch = og_field_ulid(f, m, "b");
		r->commit.merged_commit = og_field_ulid(f, m, "commit");
	}
	v = og_field_array(f, o, "tables", false, &n);
	r->commit.tables = og_field_alloc(f, n, sizeof(*r->commit.tables));
	for (size_t i = 0; i < n && !f->failed; i++) {
		read_table(f, &v[i], bodies, &r->commit.tables[i]);
		if (i && r->commit.tables[i].type <= r->commit.tables[i - 1].type)
			og_field_fault(f, "`tables` are not in order of type ids");
		if (r->commit.tables[i].as && !m)
			og_field_fault(f, "`as` without `merged`");
	}
	r->commit.ntables = f->failed ? 0 : n;
	v = og_field_array(f, o, "blobs", true, &n);
	r->commit.blobs = og_field_alloc(f, n, sizeof(*r->commit.blobs));
	for (size_t i = 0; i < n && !f->failed; i++)
		r->commit.blobs[i] = og_value_ulid(f, &v[i], "blobs");
	r->commit.nblobs = f->failed ? 0 : n;
	r->commit.keys_body = read_body(f, o, "keys", bodies);
	r->commit.all_keys = og_field_flag(f, o, "all_keys");
	r->commit.schema.body = OG_NO_BODY;
	if (!f->failed && og_json_get(o, "schema"))
		read_schema(f, og_field_object(f, o, "schema"), bodies, &r->commit.schema);
	if (!bodies.has)
		return;		/* history leaves out what commit lists do not show */
	if (!f->failed && (r->commit.op == OG_OP_SCHEMA) != r->commit.schema.present)
		og_field_fault(f, "`op` and `schema` contradict each other");
	if (!f->failed && (r->commit.op == OG_OP_MERGE) != r->commit.has_merged)
		og_field_fault(f, "`op` and `merged` contradict each other");
}

static void read_floor(struct og_fields *f, const struct og_json *o, struct og_record *r)
{
	size_t n;
	const struct og_json *v = og_field_array(f, o, "keep", false, &n);

	r->floor.before = og_field_ulid(f, o, "before");
	r->floor.keep = og_field_alloc(f, n, sizeof(*r->floor.keep));
	for (size_t i = 0; i < n && !f->failed; i++) {
		r->floor.keep[i].seq = og_field_u64(f, &v[i], "seq");
		r->floor.keep[i].id = og_field_ulid(f, &v[i], "id");
	}
	r->floor.nkeep = f->failed ? 0 : n;
	if (!f->failed && n == 0)
		og_field_fault(f, "`keep` is empty");
}

static void read_end(struct og_fields *f, const struct og_json *o, struct og_record *r)
{
	const struct og_json *v = og_json_get(o, "next");

	if (!v)
		og_field_fault(f, "`next` is missing");
	if (f->failed || v->type == OG_JT_NULL)
		return;
	r->end.has_next = true;
	r->end.next = og_value_ulid(f, v, "next");
}

static void read_by_kind(struct og_fields *f, const struct og_json *o, struct bodies bodies, struct og_record *r)
{
	switch (r->kind) {
	case OG_REC_COMMIT:
		read_commit(f, o, bodies, r);
		break;
	case OG_REC_CREATE:
		r->create.name = og_field_string(f, o, "name");
		r->create.from = og_field_ulid(f, o, "from");
		r->create.fork = og_field_ulid(f, o, "fork");
		break;
	case OG_REC_DELETE:
		r->branch = og_field_ulid(f, o, "b");
		break;
	case OG_REC_FLOOR:
		read_floor(f, o, r);
		break;
	case OG_REC_PIN:
	case OG_REC_UNPIN:
		r->pinned = og_field_ulid(f, o, "commit");
		break;
	case OG_REC_FORMAT:
		r->format.min_reader = og_field_u32(f, o, "min_reader");
		r->format.min_writer = og_field_u32(f, o, "min_writer");
		break;
	case OG_REC_END:
		read_end(f, o, r);
		break;
	}
}

int og_record_read(struct og_arena *a, const struct og_json *j, bool has_bodies, uint32_t nbodies, struct og_record *out,
		   struct og_error *err)
{
	struct og_fields f = { .a = a, .err = err };
	struct bodies bodies = { has_bodies, nbodies };
	const struct og_json *k = og_json_get(j, "k");
	struct og_record r = { 0 };

	if (!og_json_is(k, OG_JT_STRING))
		return og_error_set(err, OG_ERR_CORRUPT, "a record without `k`");
	for (size_t i = OG_REC_COMMIT; i < OG_COUNT(kind_names); i++)
		if (og_slice_is(k->s, kind_names[i]))
			r.kind = (enum og_record_kind)i;
	if (!r.kind)
		return og_error_set(err, OG_ERR_UNSUPPORTED, "record of kind '%.40s': written by a newer version",
				    og_arena_strndup(a, k->s.p, k->s.len));
	r.id = og_field_ulid(&f, j, "id");
	r.at_us = og_field_i64(&f, j, "at");
	r.actor = og_field_string_or_null(&f, j, "actor");
	r.commit.keys_body = r.commit.schema.body = OG_NO_BODY;
	read_by_kind(&f, j, bodies, &r);
	if (f.failed)
		return err ? err->code : OG_ERR_CORRUPT;
	*out = r;
	return 0;
}
