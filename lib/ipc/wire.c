/* Encoders and decoders of the messages about graphs. */
#include "config.h"

#include "ipc/wire.h"

#include "base/error.h"

static void put_bool(struct og_buf *b, bool v)
{
	og_put_u8(b, v ? 1 : 0);
}

/* Anything but 0 and 1 fails the reader. */
static bool read_bool(struct og_reader *r)
{
	uint8_t v = og_read_u8(r);

	if (v > 1)
		r->failed = true;
	return v == 1;
}

static uint8_t read_enum(struct og_reader *r, uint8_t lo, uint8_t hi)
{
	uint8_t v = og_read_u8(r);

	if (v < lo || v > hi) {
		r->failed = true;
		return lo;
	}
	return v;
}

static void put_ulid(struct og_buf *b, const struct og_ulid *u)
{
	og_buf_append(b, u->b, sizeof(u->b));
}

static void read_ulid(struct og_reader *r, struct og_ulid *u)
{
	struct og_slice s = og_read_raw(r, sizeof(u->b));

	if (s.len == sizeof(u->b))
		memcpy(u->b, s.p, sizeof(u->b));
	else
		memset(u, 0, sizeof(*u));
}

/* An optional text: absent and empty differ. */
static void put_opt(struct og_buf *b, struct og_slice s)
{
	put_bool(b, s.p != NULL);
	if (s.p)
		og_put_bytes(b, s);
}

static struct og_slice read_opt(struct og_reader *r)
{
	if (!read_bool(r))
		return og_slice(NULL, 0);
	return og_read_bytes(r);
}

static void put_hash(struct og_buf *b, const struct og_hash128 *h)
{
	og_put_u64(b, h->hi);
	og_put_u64(b, h->lo);
}

static void read_hash(struct og_reader *r, struct og_hash128 *h)
{
	h->hi = og_read_u64(r);
	h->lo = og_read_u64(r);
}

/* An array of `n` in the arena; NULL and a failed reader without memory. */
static void *read_array(struct og_reader *r, struct og_arena *a, uint32_t *n, size_t min_size, size_t size)
{
	void *p;

	*n = og_read_count(r, min_size);
	if (*n == 0 || r->failed) {
		*n = 0;
		return NULL;
	}
	p = og_arena_array(a, *n, size);
	if (!p) {
		r->failed = true;
		*n = 0;
	}
	return p;
}

void og_wire_put_error(struct og_buf *b, const struct og_error *e)
{
	og_put_u32(b, (uint32_t)e->code);
	og_put_u32(b, (uint32_t)e->sys);
	og_put_u64(b, e->pos.line);
	og_put_u64(b, e->pos.column);
	og_put_u64(b, e->pos.byte);
	og_put_u8(b, (uint8_t)e->detail.kind);
	og_put_str(b, e->detail.name);
	og_put_str(b, e->detail.id);
	og_put_u64(b, e->detail.expected);
	og_put_u64(b, e->detail.actual);
	og_put_str(b, e->message);
}

static void copy_text(char *out, size_t size, struct og_slice s)
{
	size_t n = OG_MIN(s.len, size - 1);

	if (n)
		memcpy(out, s.p, n);
	out[n] = '\0';
}

int og_wire_get_error(struct og_slice body, struct og_error *out, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);
	struct og_error e = { 0 };

	e.code = (int32_t)og_read_u32(&r);
	e.sys = (int32_t)og_read_u32(&r);
	e.pos.line = og_read_u64(&r);
	e.pos.column = og_read_u64(&r);
	e.pos.byte = og_read_u64(&r);
	e.detail.kind = read_enum(&r, OG_DETAIL_NONE, OG_DETAIL_LIMIT);
	copy_text(e.detail.name, sizeof(e.detail.name), og_read_bytes(&r));
	copy_text(e.detail.id, sizeof(e.detail.id), og_read_bytes(&r));
	e.detail.expected = og_read_u64(&r);
	e.detail.actual = og_read_u64(&r);
	copy_text(e.message, sizeof(e.message), og_read_bytes(&r));
	if (e.code >= 0)
		e.code = OG_ERR_INTERNAL;
	if (og_reader_end(&r, err) < 0)
		return err->code;
	*out = e;
	return 0;
}

void og_wire_put_open(struct og_buf *b, const struct og_wire_open *o)
{
	og_put_bytes(b, o->branch);
	og_put_bytes(b, o->commit);
	og_put_u8(b, (uint8_t)o->look);
	put_bool(b, o->want_layers);
}

int og_wire_get_open(struct og_slice body, struct og_wire_open *o, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	o->branch = og_read_bytes(&r);
	o->commit = og_read_bytes(&r);
	o->look = (enum og_look)read_enum(&r, OG_LOOK_HOST, OG_LOOK_NEW);
	o->want_layers = read_bool(&r);
	return og_reader_end(&r, err);
}

static void put_table(struct og_buf *b, const struct og_wire_table *t)
{
	og_put_u32(b, t->type_id);
	og_put_u64(b, t->table_version);
	og_put_u64(b, (uint64_t)t->dn);
	put_bool(b, t->all);
	og_put_u64(b, t->rows);
	put_bool(b, t->segments);
	og_put_bytes(b, t->body);
}
#define TABLE_MIN 34

static void read_table(struct og_reader *r, struct og_wire_table *t)
{
	t->type_id = og_read_u32(r);
	t->table_version = og_read_u64(r);
	t->dn = (int64_t)og_read_u64(r);
	t->all = read_bool(r);
	t->rows = og_read_u64(r);
	t->segments = read_bool(r);
	t->body = og_read_bytes(r);
}

void og_wire_put_commit(struct og_buf *b, const struct og_wire_commit *c)
{
	og_put_u64(b, c->seq);
	put_ulid(b, &c->branch);
	put_ulid(b, &c->commit);
	put_ulid(b, &c->parent);
	put_ulid(b, &c->merged);
	og_put_u64(b, c->version);
	og_put_u64(b, (uint64_t)c->at_us);
	put_opt(b, c->actor);
	put_bool(b, c->schema);
	og_put_u32(b, c->ntables);
	for (uint32_t i = 0; i < c->ntables; i++)
		put_table(b, &c->tables[i]);
}
#define COMMIT_MIN 94

static void read_commit(struct og_reader *r, struct og_arena *a, struct og_wire_commit *c)
{
	c->seq = og_read_u64(r);
	read_ulid(r, &c->branch);
	read_ulid(r, &c->commit);
	read_ulid(r, &c->parent);
	read_ulid(r, &c->merged);
	c->version = og_read_u64(r);
	c->at_us = (int64_t)og_read_u64(r);
	c->actor = read_opt(r);
	c->schema = read_bool(r);
	c->tables = read_array(r, a, &c->ntables, TABLE_MIN, sizeof(*c->tables));
	for (uint32_t i = 0; i < c->ntables; i++)
		read_table(r, &c->tables[i]);
}

int og_wire_read_commit(struct og_reader *r, struct og_arena *a, struct og_wire_commit *c, struct og_error *err)
{
	read_commit(r, a, c);
	return og_reader_ok(r, err);
}

static void put_layer(struct og_buf *b, const struct og_wire_layer *l)
{
	og_put_u8(b, (uint8_t)l->kind);
	put_ulid(b, &l->segment);
	og_put_u64(b, l->seq);
	og_put_u32(b, l->body);
	og_put_u64(b, l->rows);
	og_put_u64(b, l->bytes);
}
#define LAYER_SIZE 45

static void read_layer(struct og_reader *r, struct og_wire_layer *l)
{
	l->kind = read_enum(r, OG_LAYER_SEGMENT, OG_LAYER_BODY);
	read_ulid(r, &l->segment);
	l->seq = og_read_u64(r);
	l->body = og_read_u32(r);
	l->rows = og_read_u64(r);
	l->bytes = og_read_u64(r);
}

static void put_type(struct og_buf *b, const struct og_wire_type *t)
{
	og_put_u32(b, t->type_id);
	og_put_u8(b, t->kind);
	og_put_bytes(b, t->name);
	put_hash(b, &t->content);
	og_put_u64(b, t->base_rows);
	og_put_u64(b, t->table_version);
	put_ulid(b, &t->owner);
	og_put_u32(b, t->nlayers);
	for (uint32_t i = 0; i < t->nlayers; i++)
		put_layer(b, &t->layers[i]);
}
#define TYPE_MIN 61

static void read_type(struct og_reader *r, struct og_arena *a, struct og_wire_type *t)
{
	t->type_id = og_read_u32(r);
	t->kind = read_enum(r, 0, 1);
	t->name = og_read_bytes(r);
	read_hash(r, &t->content);
	t->base_rows = og_read_u64(r);
	t->table_version = og_read_u64(r);
	read_ulid(r, &t->owner);
	t->layers = read_array(r, a, &t->nlayers, LAYER_SIZE, sizeof(*t->layers));
	for (uint32_t i = 0; i < t->nlayers; i++)
		read_layer(r, &t->layers[i]);
}

static void put_types(struct og_buf *b, const struct og_wire_type *types, uint32_t n)
{
	og_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		put_type(b, &types[i]);
}

static struct og_wire_type *read_types(struct og_reader *r, struct og_arena *a, uint32_t *n)
{
	struct og_wire_type *types = read_array(r, a, n, TYPE_MIN, sizeof(*types));

	for (uint32_t i = 0; i < *n; i++)
		read_type(r, a, &types[i]);
	return types;
}

static void put_commits(struct og_buf *b, const struct og_wire_commit *commits, uint32_t n)
{
	og_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		og_wire_put_commit(b, &commits[i]);
}

static struct og_wire_commit *read_commits(struct og_reader *r, struct og_arena *a, uint32_t *n)
{
	struct og_wire_commit *commits = read_array(r, a, n, COMMIT_MIN, sizeof(*commits));

	for (uint32_t i = 0; i < *n; i++)
		read_commit(r, a, &commits[i]);
	return commits;
}

void og_wire_put_head(struct og_buf *b, const struct og_wire_head *h)
{
	put_ulid(b, &h->graph);
	put_ulid(b, &h->branch);
	put_ulid(b, &h->base_commit);
	og_put_bytes(b, h->branch_name);
	og_put_u64(b, h->base_seq);
	og_put_u64(b, h->base_version);
	og_put_u64(b, h->seq);
	og_put_u64(b, h->bell);
	og_put_bytes(b, h->schema);
	put_types(b, h->types, h->ntypes);
	put_commits(b, h->tail, h->ntail);
}

int og_wire_get_head(struct og_slice body, struct og_arena *a, struct og_wire_head *h, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	read_ulid(&r, &h->graph);
	read_ulid(&r, &h->branch);
	read_ulid(&r, &h->base_commit);
	h->branch_name = og_read_bytes(&r);
	h->base_seq = og_read_u64(&r);
	h->base_version = og_read_u64(&r);
	h->seq = og_read_u64(&r);
	h->bell = og_read_u64(&r);
	h->schema = og_read_bytes(&r);
	h->types = read_types(&r, a, &h->ntypes);
	h->tail = read_commits(&r, a, &h->ntail);
	return og_reader_end(&r, err);
}

void og_wire_put_catchup(struct og_buf *b, const struct og_wire_catchup *c)
{
	put_ulid(b, &c->branch);
	og_put_u64(b, c->base_seq);
	og_put_u64(b, c->seq);
	og_put_u8(b, (uint8_t)c->look);
}

int og_wire_get_catchup(struct og_slice body, struct og_wire_catchup *c, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	read_ulid(&r, &c->branch);
	c->base_seq = og_read_u64(&r);
	c->seq = og_read_u64(&r);
	c->look = (enum og_look)read_enum(&r, OG_LOOK_HOST, OG_LOOK_NEW);
	return og_reader_end(&r, err);
}

void og_wire_put_tail(struct og_buf *b, const struct og_wire_tail *t)
{
	put_ulid(b, &t->branch);
	og_put_u64(b, t->prev_seq);
	og_put_u64(b, t->seq);
	og_put_u64(b, t->bell);
	put_bool(b, t->reopen);
	put_commits(b, t->commits, t->ncommits);
}

int og_wire_get_tail(struct og_slice body, struct og_arena *a, struct og_wire_tail *t, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	read_ulid(&r, &t->branch);
	t->prev_seq = og_read_u64(&r);
	t->seq = og_read_u64(&r);
	t->bell = og_read_u64(&r);
	t->reopen = read_bool(&r);
	t->commits = read_commits(&r, a, &t->ncommits);
	return og_reader_end(&r, err);
}

void og_wire_put_image(struct og_buf *b, const struct og_wire_image *k)
{
	og_put_u32(b, k->type_id);
	og_put_u8(b, k->what);
	og_put_u32(b, k->prop_id);
	og_put_u32(b, k->part);
	put_hash(b, &k->content);
	put_hash(b, &k->src);
	put_hash(b, &k->dst);
}
#define IMAGE_SIZE 61

void og_wire_read_image(struct og_reader *r, struct og_wire_image *k)
{
	k->type_id = og_read_u32(r);
	k->what = og_read_u8(r);
	k->prop_id = og_read_u32(r);
	k->part = og_read_u32(r);
	read_hash(r, &k->content);
	read_hash(r, &k->src);
	read_hash(r, &k->dst);
}

int og_wire_get_image(struct og_slice body, struct og_wire_image *k, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	og_wire_read_image(&r, k);
	return og_reader_end(&r, err);
}

void og_wire_put_claim(struct og_buf *b, const struct og_wire_claim *c)
{
	og_wire_put_image(b, &c->image);
	og_put_u32(b, c->claim);
}

int og_wire_get_claim(struct og_slice body, struct og_wire_claim *c, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	og_wire_read_image(&r, &c->image);
	c->claim = og_read_u32(&r);
	return og_reader_end(&r, err);
}

void og_wire_put_segment(struct og_buf *b, const struct og_wire_segment *s)
{
	put_ulid(b, &s->id);
	og_put_u64(b, s->rows);
	og_put_u64(b, s->bytes);
	og_buf_append(b, s->sha256, sizeof(s->sha256));
}
#define SEGMENT_SIZE 64

static void read_sha256(struct og_reader *r, uint8_t out[32])
{
	struct og_slice sha = og_read_raw(r, 32);

	if (sha.len == 32)
		memcpy(out, sha.p, 32);
}

void og_wire_read_segment(struct og_reader *r, struct og_wire_segment *s)
{
	read_ulid(r, &s->id);
	s->rows = og_read_u64(r);
	s->bytes = og_read_u64(r);
	read_sha256(r, s->sha256);
}

void og_wire_put_segput(struct og_buf *b, const struct og_wire_segput *s)
{
	og_put_u32(b, s->type_id);
	og_put_u64(b, s->rows);
	og_put_bytes(b, s->parquet);
}

int og_wire_get_segput(struct og_slice body, struct og_wire_segput *s, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	s->type_id = og_read_u32(&r);
	s->rows = og_read_u64(&r);
	s->parquet = og_read_bytes(&r);
	return og_reader_end(&r, err);
}

void og_wire_put_segget(struct og_buf *b, const struct og_wire_segget *s)
{
	og_put_u32(b, s->type_id);
	put_layer(b, &s->layer);
}

int og_wire_get_segget(struct og_slice body, struct og_wire_segget *s, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	s->type_id = og_read_u32(&r);
	read_layer(&r, &s->layer);
	return og_reader_end(&r, err);
}

static void put_u32s(struct og_buf *b, const uint32_t *v, uint32_t n)
{
	og_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		og_put_u32(b, v[i]);
}

static const uint32_t *read_u32s(struct og_reader *r, struct og_arena *a, uint32_t *n)
{
	uint32_t *v = read_array(r, a, n, 4, sizeof(*v));

	for (uint32_t i = 0; i < *n; i++)
		v[i] = og_read_u32(r);
	return v;
}

static void put_keys(struct og_buf *b, const uint64_t *v, uint32_t n)
{
	og_put_u32(b, n);
	if (n)
		og_buf_append(b, v, (size_t)n * sizeof(*v));
}

/* Sorted, as promised; anything else would make conflict checks miss. */
static const uint64_t *read_keys(struct og_reader *r, struct og_arena *a, uint32_t *n)
{
	uint64_t *v = read_array(r, a, n, 8, sizeof(*v));

	for (uint32_t i = 0; i < *n; i++) {
		v[i] = og_read_u64(r);
		if (i > 0 && v[i] < v[i - 1])
			r->failed = true;
	}
	return v;
}

static void put_write(struct og_buf *b, const struct og_wire_write *w)
{
	og_put_u32(b, w->type_id);
	og_put_u64(b, (uint64_t)w->dn);
	put_bool(b, w->all);
	og_put_u64(b, w->rows);
	og_put_bytes(b, w->body);
	og_put_u32(b, w->nsegs);
	for (uint32_t i = 0; i < w->nsegs; i++)
		og_wire_put_segment(b, &w->segs[i]);
}
#define WRITE_MIN 29

static void read_write(struct og_reader *r, struct og_arena *a, struct og_wire_write *w)
{
	w->type_id = og_read_u32(r);
	w->dn = (int64_t)og_read_u64(r);
	w->all = read_bool(r);
	w->rows = og_read_u64(r);
	w->body = og_read_bytes(r);
	w->segs = read_array(r, a, &w->nsegs, SEGMENT_SIZE, sizeof(*w->segs));
	for (uint32_t i = 0; i < w->nsegs; i++)
		og_wire_read_segment(r, &w->segs[i]);
}

void og_wire_put_commit_req(struct og_buf *b, const struct og_wire_commit_req *c)
{
	put_ulid(b, &c->branch);
	put_ulid(b, &c->base_commit);
	og_put_u64(b, c->base_seq);
	put_bool(b, c->confirmed);
	og_put_u8(b, c->op);
	put_opt(b, c->actor);
	og_put_u32(b, c->deadline_ms);
	put_u32s(b, c->strict, c->nstrict);
	put_u32s(b, c->scanned, c->nscanned);
	put_keys(b, c->reads, c->nreads);
	put_keys(b, c->writes, c->nwrites);
	put_bool(b, c->all_keys);
	og_put_u32(b, c->ntables);
	for (uint32_t i = 0; i < c->ntables; i++)
		put_write(b, &c->tables[i]);
}

int og_wire_get_commit_req(struct og_slice body, struct og_arena *a, struct og_wire_commit_req *c, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	read_ulid(&r, &c->branch);
	read_ulid(&r, &c->base_commit);
	c->base_seq = og_read_u64(&r);
	c->confirmed = read_bool(&r);
	c->op = read_enum(&r, OG_WIRE_MUTATE, OG_WIRE_REPAIR);
	c->actor = read_opt(&r);
	c->deadline_ms = og_read_u32(&r);
	c->strict = read_u32s(&r, a, &c->nstrict);
	c->scanned = read_u32s(&r, a, &c->nscanned);
	c->reads = read_keys(&r, a, &c->nreads);
	c->writes = read_keys(&r, a, &c->nwrites);
	c->all_keys = read_bool(&r);
	c->tables = read_array(&r, a, &c->ntables, WRITE_MIN, sizeof(*c->tables));
	for (uint32_t i = 0; i < c->ntables; i++)
		read_write(&r, a, &c->tables[i]);
	return og_reader_end(&r, err);
}

void og_wire_put_committed(struct og_buf *b, const struct og_wire_commit *c, uint64_t bell)
{
	og_put_u64(b, bell);
	og_wire_put_commit(b, c);
}

int og_wire_get_committed(struct og_slice body, struct og_arena *a, struct og_wire_commit *c, uint64_t *bell, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	*bell = og_read_u64(&r);
	read_commit(&r, a, c);
	return og_reader_end(&r, err);
}

void og_wire_put_conflict(struct og_buf *b, const struct og_wire_conflict *c)
{
	put_bool(b, c->reevaluate);
	put_bool(b, c->counted);
	og_put_u32(b, c->type_id);
	og_put_u64(b, c->expected);
	og_put_u64(b, c->actual);
	og_put_bytes(b, c->message);
}

int og_wire_get_conflict(struct og_slice body, struct og_wire_conflict *c, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	c->reevaluate = read_bool(&r);
	c->counted = read_bool(&r);
	c->type_id = og_read_u32(&r);
	c->expected = og_read_u64(&r);
	c->actual = og_read_u64(&r);
	c->message = og_read_bytes(&r);
	return og_reader_end(&r, err);
}

void og_wire_put_init(struct og_buf *b, const struct og_wire_init *i)
{
	og_put_bytes(b, i->schema);
	put_types(b, i->types, i->ntypes);
	put_bool(b, i->force);
}

int og_wire_get_init(struct og_slice body, struct og_arena *a, struct og_wire_init *i, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	i->schema = og_read_bytes(&r);
	i->types = read_types(&r, a, &i->ntypes);
	i->force = read_bool(&r);
	return og_reader_end(&r, err);
}

void og_wire_put_input(struct og_buf *b, const struct og_wire_input *i)
{
	og_put_u32(b, i->job);
	og_put_u8(b, i->role);
	og_wire_put_image(b, &i->key);
	og_put_u32(b, i->nranges);
	for (uint32_t n = 0; n < i->nranges; n++) {
		og_put_u32(b, i->ranges[n].index);
		og_put_u64(b, i->ranges[n].off);
		og_put_u64(b, i->ranges[n].len);
		og_put_u8(b, i->ranges[n].check);
		if (!i->ranges[n].check)
			continue;
		put_ulid(b, &i->ranges[n].segment);
		og_buf_append(b, i->ranges[n].sha256, sizeof(i->ranges[n].sha256));
	}
}

int og_wire_get_input(struct og_slice body, struct og_arena *a, struct og_wire_input *i, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	i->job = og_read_u32(&r);
	i->role = read_enum(&r, OG_IN_LAYERS, OG_IN_DST_IDX);
	og_wire_read_image(&r, &i->key);
	i->ranges = read_array(&r, a, &i->nranges, 21, sizeof(*i->ranges));
	for (uint32_t n = 0; n < i->nranges; n++) {
		i->ranges[n].index = og_read_u32(&r);
		i->ranges[n].off = og_read_u64(&r);
		i->ranges[n].len = og_read_u64(&r);
		i->ranges[n].check = read_bool(&r);
		if (!i->ranges[n].check)
			continue;
		read_ulid(&r, &i->ranges[n].segment);
		read_sha256(&r, i->ranges[n].sha256);
	}
	return og_reader_end(&r, err);
}

void og_wire_put_build(struct og_buf *b, const struct og_wire_build *w)
{
	og_put_u32(b, w->job);
	og_put_u8(b, w->kind);
	og_put_bytes(b, w->schema);
	put_types(b, w->types, w->ntypes);
	og_put_u32(b, w->type_id);
	og_put_u32(b, w->nlayers);
	og_put_u32(b, w->nsrc_ids);
	og_put_u32(b, w->ndst_ids);
	og_put_u64(b, w->rows);
	put_hash(b, &w->content);
	put_hash(b, &w->src);
	put_hash(b, &w->dst);
	og_put_u32(b, w->nwants);
	for (uint32_t i = 0; i < w->nwants; i++)
		og_wire_put_image(b, &w->wants[i]);
}

int og_wire_get_build(struct og_slice body, struct og_arena *a, struct og_wire_build *w, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	w->job = og_read_u32(&r);
	w->kind = read_enum(&r, OG_JOB_IMAGES, OG_JOB_DESCRIBE);
	w->schema = og_read_bytes(&r);
	w->types = read_types(&r, a, &w->ntypes);
	w->type_id = og_read_u32(&r);
	w->nlayers = og_read_u32(&r);
	w->nsrc_ids = og_read_u32(&r);
	w->ndst_ids = og_read_u32(&r);
	w->rows = og_read_u64(&r);
	read_hash(&r, &w->content);
	read_hash(&r, &w->src);
	read_hash(&r, &w->dst);
	w->wants = read_array(&r, a, &w->nwants, IMAGE_SIZE, sizeof(*w->wants));
	for (uint32_t i = 0; i < w->nwants; i++)
		og_wire_read_image(&r, &w->wants[i]);
	return og_reader_end(&r, err);
}

void og_wire_put_built(struct og_buf *b, const struct og_wire_built *w)
{
	og_put_u32(b, w->job);
	put_bool(b, w->more);
	put_bool(b, w->about);
	og_wire_put_image(b, &w->key);
	og_put_u64(b, w->bytes);
	put_hash(b, &w->hash);
	og_put_u64(b, w->rows);
	og_put_u32(b, (uint32_t)w->code);
	og_put_bytes(b, w->message);
}

int og_wire_get_built(struct og_slice body, struct og_wire_built *w, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	w->job = og_read_u32(&r);
	w->more = read_bool(&r);
	w->about = read_bool(&r);
	og_wire_read_image(&r, &w->key);
	w->bytes = og_read_u64(&r);
	read_hash(&r, &w->hash);
	w->rows = og_read_u64(&r);
	w->code = (int32_t)og_read_u32(&r);
	w->message = og_read_bytes(&r);
	return og_reader_end(&r, err);
}

void og_wire_put_about(struct og_buf *b, const struct og_wire_about *w)
{
	og_put_bytes(b, w->schema);
	og_put_bytes(b, w->why);
	og_put_u32(b, w->nfiles);
	for (uint32_t i = 0; i < w->nfiles; i++) {
		put_bool(b, w->files[i].fits);
		og_put_bytes(b, w->files[i].bounds);
	}
}

int og_wire_get_about(struct og_slice body, struct og_arena *a, struct og_wire_about *w, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);

	w->schema = og_read_bytes(&r);
	w->why = og_read_bytes(&r);
	w->files = read_array(&r, a, &w->nfiles, 5, sizeof(*w->files));
	for (uint32_t i = 0; i < w->nfiles; i++) {
		w->files[i].fits = read_bool(&r);
		w->files[i].bounds = og_read_bytes(&r);
	}
	return og_reader_end(&r, err);
}
