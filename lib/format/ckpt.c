/* Checkpoints and history chunks. */
#include "config.h"

#include "format/ckpt.h"

#include "format/fields.h"

static const char ckpt_magic[8] = { 'O', 'G', 'C', 'K', 'P', '1', '\r', '\n' };
static const char hist_magic[8] = { 'O', 'G', 'H', 'I', 'S', '1', '\r', '\n' };

/* ---- writing ---- */

static void write_branch(struct og_json_writer *w, const struct og_ckpt_branch *b)
{
	og_json_begin_object(w);
	og_member_ulid(w, "bid", &b->id);
	og_json_member_string(w, "name", b->name);
	if (!og_ulid_zero(&b->from)) {
		og_member_ulid(w, "from", &b->from);
		og_member_ulid(w, "fork", &b->fork);
	}
	og_json_member_bool(w, "live", b->live);
	if (b->live) {
		og_member_ulid(w, "head", &b->head);
		og_json_member_u64(w, "version", b->version);
	}
	og_json_end_object(w);
}

static void write_schema(struct og_json_writer *w, const struct og_ckpt_schema *s)
{
	og_json_begin_object(w);
	og_json_member_u64(w, "since", s->since);
	og_member_ulid(w, "commit", &s->commit);
	og_member_sha256(w, "digest", &s->digest);
	og_json_member_string(w, "text", s->text);
	og_member_types(w, "types", s->types, s->ntypes);
	og_member_u32s(w, "purge", s->purge, s->npurge);
	og_json_end_object(w);
}

static void write_placed(struct og_json_writer *w, const struct og_placed_record *p)
{
	og_json_begin_object(w);
	og_json_member_u64(w, "seq", p->seq);
	og_json_member_u64(w, "i", p->index);
	og_json_put_key_str(w, "r");
	og_record_write(w, &p->rec);
	og_json_end_object(w);
}

static void write_layer(struct og_json_writer *w, const struct og_ckpt_layer *l)
{
	og_json_begin_object(w);
	og_json_member_u64(w, "type", l->type);
	if (l->in_log) {
		og_json_member_u64(w, "seq", l->seq);
		og_json_member_u64(w, "body", l->body);
		og_json_member_u64(w, "off", l->off);
		og_json_member_u64(w, "len", l->len);
		og_member_sha256(w, "sha256", &l->sha256);
	} else {
		og_put_seg_members(w, &l->seg);
		if (l->seg.plain)
			og_json_member_bool(w, "plain", true);
	}
	og_json_end_object(w);
}

static bool table_equal(const struct og_ckpt_table *a, const struct og_ckpt_table *b)
{
	return a->type == b->type && a->version == b->version && a->rows == b->rows && a->nlayers == b->nlayers &&
	       og_ulid_cmp(&a->owner, &b->owner) == 0 &&
	       (a->nlayers == 0 || memcmp(a->layers, b->layers, a->nlayers * sizeof(*a->layers)) == 0);
}

/* Both have one table per type of the same schema, in order: else the state stands for itself. */
static bool like_possible(const struct og_ckpt_state *s, const struct og_ckpt_state *than)
{
	if (s->ntables != than->ntables)
		return false;
	for (size_t i = 0; i < s->ntables; i++)
		if (s->tables[i].type != than->tables[i].type)
			return false;
	return true;
}

static void write_state(struct og_json_writer *w, const struct og_ckpt *c, size_t n)
{
	const struct og_ckpt_state *s = &c->states[n];
	/* Branches are mostly close to the first state, main's head. */
	bool like = n > 0 && like_possible(s, &c->states[0]);

	og_json_begin_object(w);
	og_member_ulid(w, "commit", &s->commit);
	og_member_ulid(w, "branch", &s->branch);
	og_json_member_u64(w, "version", s->version);
	og_member_sha256(w, "schema", &s->schema);
	if (like)
		og_json_member_u64(w, "like", 0);
	og_json_member_array(w, "tables");
	for (size_t i = 0; i < s->ntables; i++) {
		const struct og_ckpt_table *t = &s->tables[i];

		if (like && table_equal(t, &c->states[0].tables[i]))
			continue;
		og_json_begin_object(w);
		og_json_member_u64(w, "t", t->type);
		og_json_member_u64(w, "v", t->version);
		og_member_ulid(w, "owner", &t->owner);
		og_json_member_u64(w, "rows", t->rows);
		og_member_u32s(w, "layers", t->layers, t->nlayers);
		og_json_end_object(w);
	}
	og_json_end_array(w);
	og_json_end_object(w);
}

static void write_lists(struct og_json_writer *w, const struct og_ckpt *c)
{
	og_json_member_array(w, "pins");
	for (size_t i = 0; i < c->npins; i++) {
		og_json_begin_object(w);
		og_member_ulid(w, "id", &c->pins[i].id);
		og_member_ulid(w, "commit", &c->pins[i].commit);
		og_json_member_i64(w, "at", c->pins[i].at_us);
		og_json_end_object(w);
	}
	og_json_end_array(w);
	og_json_member_array(w, "hist");
	for (size_t i = 0; i < c->nhist; i++) {
		og_json_begin_object(w);
		og_member_ulid(w, "id", &c->hist[i].id);
		og_json_member_u64(w, "first", c->hist[i].first);
		og_json_member_u64(w, "last", c->hist[i].last);
		og_json_member_u64(w, "count", c->hist[i].count);
		og_member_sha256(w, "sha256", &c->hist[i].sha256);
		og_json_end_object(w);
	}
	og_json_end_array(w);
	og_json_member_array(w, "recent");
	for (size_t i = 0; i < c->nrecent; i++)
		write_placed(w, &c->recent[i]);
	og_json_end_array(w);
	og_json_member_array(w, "layers");
	for (size_t i = 0; i < c->nlayers; i++)
		write_layer(w, &c->layers[i]);
	og_json_end_array(w);
	og_json_member_array(w, "states");
	for (size_t i = 0; i < c->nstates; i++)
		write_state(w, c, i);
	og_json_end_array(w);
	og_json_member_array(w, "index");
	for (size_t i = 0; i < c->nindex; i++)
		og_index_write(w, &c->index[i]);
	og_json_end_array(w);
}

static void write_ckpt(struct og_json_writer *w, const struct og_ckpt *c)
{
	og_json_begin_object(w);
	og_member_ulid(w, "graph", &c->graph);
	og_json_member_u64(w, "seq", c->seq);
	og_member_sha256(w, "digest", &c->digest);
	og_member_ulid(w, "host", &c->host);
	og_member_ulid(w, "object", &c->object);
	og_json_member_i64(w, "at", c->at_us);
	og_json_member_array(w, "branches");
	for (size_t i = 0; i < c->nbranches; i++)
		write_branch(w, &c->branches[i]);
	og_json_end_array(w);
	og_json_member_array(w, "schemas");
	for (size_t i = 0; i < c->nschemas; i++)
		write_schema(w, &c->schemas[i]);
	og_json_end_array(w);
	if (c->has_floor) {
		og_json_member_u64(w, "floor_seq", c->floor_seq);
		og_json_put_key_str(w, "floor");
		og_record_write(w, &c->floor);
	}
	og_json_member_object(w, "format");
	og_json_member_u64(w, "min_reader", c->min_reader);
	og_json_member_u64(w, "min_writer", c->min_writer);
	og_json_end_object(w);
	write_lists(w, c);
	og_json_end_object(w);
}

static int frame_begin(struct og_buf *b, struct og_error *err)
{
	og_buf_clear(b);
	if (!og_buf_reserve(b, OG_FRAME_SIZE))
		return og_buf_ok(b, err);
	b->len = OG_FRAME_SIZE;
	return 0;
}

static int frame_end(struct og_buf *b, const char magic[8], size_t max, struct og_error *err)
{
	struct og_sha256 digest;

	if (og_buf_ok(b, err) < 0)
		return OG_ERR_NOMEM;
	if (b->len - OG_FRAME_SIZE > max)
		return og_error_set(err, OG_ERR_TOO_LARGE, "%zu bytes, at most %zu", b->len, max);
	og_frame_encode(b->data, magic, og_slice(b->data + OG_FRAME_SIZE, b->len - OG_FRAME_SIZE), b->len, &digest);
	return 0;
}

int og_ckpt_encode(const struct og_ckpt *c, struct og_buf *b, struct og_error *err)
{
	struct og_json_writer w;

	if (frame_begin(b, err) < 0)
		return OG_ERR_NOMEM;
	og_json_writer_init(&w, b, false);
	write_ckpt(&w, c);
	return frame_end(b, ckpt_magic, OG_CKPT_MAX, err);
}

int og_hist_encode(const struct og_placed_record *recs, size_t n, struct og_buf *b, struct og_error *err)
{
	if (frame_begin(b, err) < 0)
		return OG_ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		struct og_json_writer w;

		og_json_writer_init(&w, b, false);
		write_placed(&w, &recs[i]);
		og_buf_byte(b, '\n');
	}
	return frame_end(b, hist_magic, OG_HIST_MAX, err);
}

/* ---- reading ---- */

static void read_branches(struct og_fields *f, const struct og_json *j, struct og_ckpt *c)
{
	const struct og_json *v = og_field_array(f, j, "branches", false, &c->nbranches);

	c->branches = og_field_alloc(f, c->nbranches, sizeof(*c->branches));
	for (size_t i = 0; i < c->nbranches && !f->failed; i++) {
		struct og_ckpt_branch *b = &c->branches[i];

		b->id = og_field_ulid(f, &v[i], "bid");
		b->name = og_field_string(f, &v[i], "name");
		if (!f->failed && og_json_get(&v[i], "from")) {
			b->from = og_field_ulid(f, &v[i], "from");
			b->fork = og_field_ulid(f, &v[i], "fork");
		}
		b->live = og_field_flag(f, &v[i], "live");
		if (b->live) {
			b->head = og_field_ulid(f, &v[i], "head");
			b->version = og_field_u64(f, &v[i], "version");
		}
	}
}

static void read_schemas(struct og_fields *f, const struct og_json *j, struct og_ckpt *c)
{
	const struct og_json *v = og_field_array(f, j, "schemas", false, &c->nschemas);

	c->schemas = og_field_alloc(f, c->nschemas, sizeof(*c->schemas));
	for (size_t i = 0; i < c->nschemas && !f->failed; i++) {
		struct og_ckpt_schema *s = &c->schemas[i];
		struct og_sha256 d;

		s->since = og_field_u64(f, &v[i], "since");
		s->commit = og_field_ulid(f, &v[i], "commit");
		s->digest = og_field_sha256(f, &v[i], "digest");
		s->text = og_field_string(f, &v[i], "text");
		s->types = og_field_types(f, &v[i], "types", &s->ntypes);
		s->purge = og_field_u32s(f, &v[i], "purge", &s->npurge);
		d = og_sha256(s->text);
		if (!f->failed && !og_sha256_eq(&d, &s->digest))
			og_field_fault(f, "a schema's digest does not fit");
	}
	if (!f->failed && c->nschemas == 0)
		og_field_fault(f, "no schema");
}

static void read_placed(struct og_fields *f, const struct og_json *j, struct og_placed_record *p)
{
	p->seq = og_field_u64(f, j, "seq");
	p->index = og_field_u32(f, j, "i");
	if (!f->failed && og_record_read(f->a, og_json_get(j, "r"), false, 0, &p->rec, f->err) < 0)
		f->failed = true;
}

static void read_lists(struct og_fields *f, const struct og_json *j, struct og_ckpt *c)
{
	const struct og_json *v = og_field_array(f, j, "pins", false, &c->npins);

	c->pins = og_field_alloc(f, c->npins, sizeof(*c->pins));
	for (size_t i = 0; i < c->npins && !f->failed; i++) {
		c->pins[i].id = og_field_ulid(f, &v[i], "id");
		c->pins[i].commit = og_field_ulid(f, &v[i], "commit");
		c->pins[i].at_us = og_field_i64(f, &v[i], "at");
	}
	v = og_field_array(f, j, "hist", false, &c->nhist);
	c->hist = og_field_alloc(f, c->nhist, sizeof(*c->hist));
	for (size_t i = 0; i < c->nhist && !f->failed; i++) {
		c->hist[i].id = og_field_ulid(f, &v[i], "id");
		c->hist[i].first = og_field_u64(f, &v[i], "first");
		c->hist[i].last = og_field_u64(f, &v[i], "last");
		c->hist[i].count = og_field_u64(f, &v[i], "count");
		c->hist[i].sha256 = og_field_sha256(f, &v[i], "sha256");
	}
	v = og_field_array(f, j, "recent", false, &c->nrecent);
	c->recent = og_field_alloc(f, c->nrecent, sizeof(*c->recent));
	for (size_t i = 0; i < c->nrecent && !f->failed; i++)
		read_placed(f, &v[i], &c->recent[i]);
}

static void read_layers(struct og_fields *f, const struct og_json *j, struct og_ckpt *c)
{
	const struct og_json *v = og_field_array(f, j, "layers", false, &c->nlayers);

	c->layers = og_field_alloc(f, c->nlayers, sizeof(*c->layers));
	for (size_t i = 0; i < c->nlayers && !f->failed; i++) {
		struct og_ckpt_layer *l = &c->layers[i];

		l->type = og_field_u32(f, &v[i], "type");
		l->in_log = og_json_get(&v[i], "seq") != NULL;
		if (!l->in_log) {
			l->seg = og_value_seg(f, &v[i]);
			l->seg.plain = og_field_flag(f, &v[i], "plain");
			continue;
		}
		l->seq = og_field_u64(f, &v[i], "seq");
		l->body = og_field_u32(f, &v[i], "body");
		l->off = og_field_u64(f, &v[i], "off");
		l->len = og_field_u64(f, &v[i], "len");
		l->sha256 = og_field_sha256(f, &v[i], "sha256");
		if (l->seq > c->seq || l->len > OG_LOG_OBJECT_MAX || l->off > OG_LOG_OBJECT_MAX)
			og_field_fault(f, "layer %zu lies outside of the log", i);
	}
}

static void read_table(struct og_fields *f, const struct og_json *v, const struct og_ckpt *c, struct og_ckpt_table *t)
{
	t->type = og_field_u32(f, v, "t");
	t->version = og_field_u64(f, v, "v");
	t->owner = og_field_ulid(f, v, "owner");
	t->rows = og_field_u64(f, v, "rows");
	t->layers = og_field_u32s(f, v, "layers", &t->nlayers);
	for (size_t i = 0; i < t->nlayers && !f->failed; i++)
		if (t->layers[i] >= c->nlayers || c->layers[t->layers[i]].type != t->type)
			og_field_fault(f, "table %u names layer %u", t->type, t->layers[i]);
}

static void read_state(struct og_fields *f, const struct og_json *v, struct og_ckpt *c, size_t at)
{
	struct og_ckpt_state *s = &c->states[at];
	const struct og_ckpt_state *like = NULL;
	size_t n, k = 0;
	const struct og_json *tables = og_field_array(f, v, "tables", false, &n);

	s->commit = og_field_ulid(f, v, "commit");
	s->branch = og_field_ulid(f, v, "branch");
	s->version = og_field_u64(f, v, "version");
	s->schema = og_field_sha256(f, v, "schema");
	if (!f->failed && og_json_get(v, "like")) {
		uint64_t i = og_field_u64(f, v, "like");

		if (i >= at)
			og_field_fault(f, "a state is like a later one");
		else
			like = &c->states[i];
	}
	s->ntables = like ? like->ntables : n;
	s->tables = og_field_alloc(f, s->ntables, sizeof(*s->tables));
	if (f->failed)
		return;
	if (like && like->ntables)
		memcpy(s->tables, like->tables, like->ntables * sizeof(*s->tables));
	for (size_t i = 0; i < n && !f->failed; i++) {
		struct og_ckpt_table t = { 0 };

		read_table(f, &tables[i], c, &t);
		if (like)
			while (k < s->ntables && s->tables[k].type < t.type)
				k++;
		else
			k = i;
		if (k >= s->ntables || (like && s->tables[k].type != t.type) || (!like && k && s->tables[k - 1].type >= t.type))
			og_field_fault(f, "tables of a state are not in order");
		else
			s->tables[k] = t;
	}
}

static void read_index(struct og_fields *f, const struct og_json *j, struct og_ckpt *c)
{
	size_t n;
	const struct og_json *v = og_field_array(f, j, "index", true, &n);

	c->index = og_field_alloc(f, n, sizeof(*c->index));
	for (size_t i = 0; i < n && !f->failed; i++)
		c->nindex += og_index_read(f, &v[i], &c->index[c->nindex]);
}

int og_ckpt_decode(struct og_arena *a, struct og_slice src, struct og_ckpt *out, struct og_error *err)
{
	struct og_error local = { 0 };
	struct og_fields f = { .a = a, .err = err ? err : &local };
	struct og_ckpt c = { 0 };
	struct og_frame frame;
	const struct og_json *j, *v;
	int rc = og_frame_decode(src, ckpt_magic, OG_CKPT_MAX, &frame, f.err);

	if (rc < 0)
		return rc;
	if (frame.total != src.len || src.len != OG_FRAME_SIZE + frame.header.len)
		return og_error_at(err, OG_ERR_CORRUPT, 16, "length mismatch");
	j = og_format_parse(a, frame.header, f.err);
	if (!j)
		return f.err->code;
	c.graph = og_field_ulid(&f, j, "graph");
	c.seq = og_field_u64(&f, j, "seq");
	c.digest = og_field_sha256(&f, j, "digest");
	c.host = og_field_ulid(&f, j, "host");
	c.object = og_field_ulid(&f, j, "object");
	c.at_us = og_field_i64(&f, j, "at");
	read_branches(&f, j, &c);
	read_schemas(&f, j, &c);
	if (!f.failed && og_json_get(j, "floor")) {
		c.has_floor = true;
		c.floor_seq = og_field_u64(&f, j, "floor_seq");
		if (!f.failed && og_record_read(a, og_json_get(j, "floor"), false, 0, &c.floor, f.err) < 0)
			return f.err->code;
		if (!f.failed && c.floor.kind != OG_REC_FLOOR)
			og_field_fault(&f, "`floor` is something else");
	}
	v = og_field_object(&f, j, "format");
	c.min_reader = og_field_u32(&f, v, "min_reader");
	c.min_writer = og_field_u32(&f, v, "min_writer");
	read_lists(&f, j, &c);
	read_layers(&f, j, &c);
	v = og_field_array(&f, j, "states", false, &c.nstates);
	c.states = og_field_alloc(&f, c.nstates, sizeof(*c.states));
	for (size_t i = 0; i < c.nstates && !f.failed; i++)
		read_state(&f, &v[i], &c, i);
	read_index(&f, j, &c);
	if (f.failed)
		return f.err->code;
	*out = c;
	return 0;
}

int og_hist_decode(struct og_arena *a, struct og_slice src, struct og_placed_record **recs, size_t *n,
		   struct og_error *err)
{
	struct og_error local = { 0 };
	struct og_fields f = { .a = a, .err = err ? err : &local };
	struct og_placed_record *v = NULL;
	size_t count = 0, cap = 0;
	struct og_frame frame;
	const char *p, *end;
	int rc = og_frame_decode(src, hist_magic, OG_HIST_MAX, &frame, f.err);

	if (rc < 0)
		return rc;
	if (frame.total != src.len || src.len != OG_FRAME_SIZE + frame.header.len)
		return og_error_at(err, OG_ERR_CORRUPT, 16, "length mismatch");
	p = frame.header.p;
	end = p + frame.header.len;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const struct og_json *j;

		if (!nl)
			return og_error_set(err, OG_ERR_CORRUPT, "last line not ended");
		j = og_format_parse(a, og_slice(p, (size_t)(nl - p)), f.err);
		if (!j)
			return f.err->code;
		v = og_arena_grow(a, v, &cap, count + 1, sizeof(*v));
		if (!v)
			return og_arena_error(a, err);
		memset(&v[count], 0, sizeof(*v));
		read_placed(&f, j, &v[count]);
		if (f.failed)
			return f.err->code;
		count++;
		p = nl + 1;
	}
	*recs = v;
	*n = count;
	return 0;
}
