/* The model behind the tests of lib/image. */
#include "config.h"

#include "image_model.h"

#include <stdio.h>
#include <stdlib.h>

static const char schema[] =
	"node A { s: String? n: I32? big: I64 u: U64? h: U32? ok: Bool? d: Date? t: DateTime? f: F32? g: F64? tags: [String]? nums: [I64]? "
	"flags: [Bool]? vec: Vector(3)? b: Blob? }\n"
	"node B { x: String? }\n"
	"edge E: A -> B { w: I32? note: String? }\n"
	"edge K: A -> A {}\n";

void model_init(struct model *m, struct og_arena *a, uint64_t seed)
{
	struct og_error err = { 0 };

	*m = (struct model){ .arena = a, .rng = seed * 2 + 1 };
	if (og_catalog_compile(og_slice_str(schema), NULL, 0, &m->catalog, &err) < 0)
		ck_abort_msg("%s", err.message);
	ck_assert_uint_eq(m->catalog->ntypes, MODEL_TYPES);
	for (unsigned i = 0; i < MODEL_TYPES; i++)
		m->t[i].type = &m->catalog->types[i];
}

void model_fini(struct model *m)
{
	for (unsigned i = 0; i < MODEL_TYPES; i++)
		free(m->t[i].rows);
	og_catalog_unref(m->catalog);
}

struct model model_copy(const struct model *m)
{
	struct model c = *m;

	og_catalog_ref(c.catalog);
	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		c.t[i].cap = c.t[i].n + 1;
		c.t[i].rows = calloc(c.t[i].cap, sizeof(struct mrow));
		ck_assert_ptr_nonnull(c.t[i].rows);
		if (m->t[i].n)
			memcpy(c.t[i].rows, m->t[i].rows, m->t[i].n * sizeof(struct mrow));
	}
	return c;
}

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016. */
uint32_t model_random(struct model *m, uint32_t below)
{
	m->rng ^= m->rng >> 12;
	m->rng ^= m->rng << 25;
	m->rng ^= m->rng >> 27;
	return (uint32_t)((m->rng * 0x2545F4914F6CDD1Dull >> 32) % below);
}

static struct mrow *find_row(const struct mtype *t, struct og_slice id)
{
	for (size_t i = t->n; i-- > 0;)
		if (og_slice_eq(t->rows[i].id, id))
			return &t->rows[i];
	return NULL;
}

static const struct mrow *find_live(const struct mtype *t, struct og_slice id)
{
	struct mrow *r = find_row(t, id);

	return r && r->live ? r : NULL;
}

static struct og_slice random_id(struct model *m, const struct og_type *t)
{
	uint32_t n = model_random(m, MODEL_IDS);
	char *s = n % 7 == 0 ? og_arena_printf(m->arena, "%.*s-an-id-that-is-longer-than-most-%u", OG_FMT(t->name), n) :
			       og_arena_printf(m->arena, "%.*s%u", OG_FMT(t->name), n);

	ck_assert_ptr_nonnull(s);
	return og_slice_str(s);
}

static const struct mrow *random_live(struct model *m, struct mtype *t)
{
	for (unsigned tries = 0; t->n && tries < 50; tries++) {
		struct mrow *r = &t->rows[model_random(m, (uint32_t)t->n)];

		if (r->live)
			return r;
	}
	return NULL;
}

static struct og_value random_scalar(struct model *m, const struct og_proptype *t)
{
	struct og_value v = { .kind = og_proptype_kind(t) };
	float *f;

	if (t->list) {
		struct og_proptype item = *t;

		item.list = false;
		v.kind = og_proptype_kind(&item);
	}
	switch (t->scalar) {
	case OG_BOOL:
		v.i = model_random(m, 2);
		break;
	case OG_I32:
	case OG_DATE:
		v.i = (int32_t)model_random(m, UINT32_MAX);
		break;
	case OG_U32:
		v.u = model_random(m, UINT32_MAX);
		break;
	case OG_I64:
	case OG_U64:
	case OG_DATETIME:
		v.u = (uint64_t)model_random(m, UINT32_MAX) << 32 | model_random(m, UINT32_MAX);
		break;
	case OG_F32:
	case OG_F64:
		v.f = (float)model_random(m, 1000) / 8;
		break;
	case OG_STRING:
		v.s = og_slice_str(og_arena_printf(m->arena, "%.*s", (int)model_random(m, 30), "the quick brown fox jumps over"));
		break;
	case OG_BLOB:
		v.s = og_slice_str(og_arena_printf(m->arena, "b%u", model_random(m, 1000)));
		break;
	case OG_VECTOR:
		f = og_arena_array(m->arena, t->dim, sizeof(*f));
		for (uint32_t i = 0; i < t->dim; i++)
			f[i] = (float)model_random(m, 100);
		v.vec.v = f;
		v.vec.dim = t->dim;
		break;
	}
	return v;
}

static struct og_value random_value(struct model *m, const struct og_proptype *t)
{
	struct og_value v = { .kind = OG_V_LIST }, *items;
	size_t n;

	if (t->nullable && model_random(m, 4) == 0)
		return (struct og_value){ .kind = OG_V_NULL };
	if (!t->list)
		return random_scalar(m, t);
	n = model_random(m, 4);
	items = og_arena_array(m->arena, n + 1, sizeof(*items));
	for (size_t i = 0; i < n; i++)
		items[i] = model_random(m, 5) ? random_scalar(m, t) : (struct og_value){ .kind = OG_V_NULL };
	v.items.v = items;
	v.items.n = n;
	return v;
}

static struct mrow *new_row(struct mtype *t)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->rows = realloc(t->rows, t->cap * sizeof(*t->rows));
		ck_assert_ptr_nonnull(t->rows);
	}
	t->rows[t->n] = (struct mrow){ 0 };
	return &t->rows[t->n++];
}

static void must(int rc, const struct og_error *err)
{
	if (rc < 0)
		ck_abort_msg("%s", err->message);
}

static void delete_row(struct model *m, struct mtype *t, struct mrow *r, struct og_change *c)
{
	struct og_error err = { 0 };

	r->live = false;
	r->commit = m->commits;
	must(og_change_delete(c, r->id, r->src, r->dst, &err), &err);
	(void)t;
}

static void delete_edges_at(struct model *m, const struct og_type *node, struct og_slice id, struct og_change *changes)
{
	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		struct mtype *t = &m->t[i];

		if (t->type->kind != OG_EDGE)
			continue;
		for (size_t k = 0; k < t->n; k++) {
			struct mrow *r = &t->rows[k];

			if (r->live && ((t->type->src_type == node->index && og_slice_eq(r->src, id)) ||
					(t->type->dst_type == node->index && og_slice_eq(r->dst, id))))
				delete_row(m, t, r, &changes[i]);
		}
	}
}

static void upsert_row(struct model *m, struct mtype *t, struct og_slice id, struct mrow *r, struct og_change *c)
{
	const struct mrow *src = NULL, *dst = NULL;
	struct og_error err = { 0 };

	if (t->type->kind == OG_EDGE) {
		src = random_live(m, &m->t[t->type->src_type]);
		dst = random_live(m, &m->t[t->type->dst_type]);
		if (!src || !dst)
			return;
	}
	if (!r || !r->live) {
		r = new_row(t);
		r->id = id;
	} else if (src && model_random(m, 2)) {
		src = dst = NULL;	/* stays where it is */
	}
	r->live = true;
	r->commit = m->commits;
	if (src) {
		r->src = src->id;
		r->dst = dst->id;
	}
	r->v = og_arena_array(m->arena, t->type->nprops + 1, sizeof(*r->v));
	for (uint32_t p = 0; p < t->type->nprops; p++)
		r->v[p] = random_value(m, &t->type->props[p].type);
	must(og_change_upsert(c, r->id, r->src, r->dst, r->v, &err), &err);
}

void model_commit(struct model *m, unsigned n, bool deletes, struct og_change *changes)
{
	m->commits++;
	for (unsigned i = 0; i < MODEL_TYPES; i++)
		og_change_init(&changes[i], m->t[i].type);
	/* Types come edges first; nodes are changed first, so that edges see them. */
	for (unsigned i = MODEL_TYPES; i-- > 0;) {
		struct mtype *t = &m->t[i];
		uint32_t rows = model_random(m, n + 1);

		for (uint32_t k = 0; k < rows; k++) {
			struct og_slice id = random_id(m, t->type);
			struct mrow *r = find_row(t, id);

			if (r && r->commit == m->commits)
				continue;
			if (!deletes || model_random(m, 3)) {
				upsert_row(m, t, id, r, &changes[i]);
			} else if (r && r->live) {
				if (t->type->kind == OG_NODE)
					delete_edges_at(m, t->type, id, changes);
				delete_row(m, t, r, &changes[i]);
			}
		}
	}
}

void changes_fini(struct og_change *changes)
{
	for (unsigned i = 0; i < MODEL_TYPES; i++)
		og_change_fini(&changes[i]);
}

void model_apply(struct og_view *v, const struct model *m, const struct og_change *changes)
{
	struct og_error err = { 0 };

	for (unsigned kind = 0; kind < 2; kind++)
		for (unsigned i = 0; i < MODEL_TYPES; i++)
			if (m->t[i].type->kind == (kind ? OG_EDGE : OG_NODE))
				must(og_view_apply(v, &changes[i], &err), &err);
}

void layers_add(struct layers *l, const struct og_change *changes)
{
	struct og_error err = { 0 };

	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		size_t n = l->n[i];

		if (changes[i].rows == 0)
			continue;
		ck_assert_uint_lt(n, OG_COUNT(l->l[i]));
		must(og_change_encode(&changes[i], &l->bytes[i][n], &err), &err);
		l->l[i][n].bytes = og_buf_view(&l->bytes[i][n]);
		l->n[i]++;
	}
}

void layers_fini(struct layers *l)
{
	for (unsigned i = 0; i < MODEL_TYPES; i++)
		for (size_t k = 0; k < OG_COUNT(l->bytes[i]); k++)
			og_buf_fini(&l->bytes[i][k]);
	memset(l, 0, sizeof(*l));
}

struct og_need *all_needs(const struct og_catalog *c, size_t *n)
{
	size_t max = 0;
	struct og_need *needs;

	for (uint32_t i = 0; i < c->ntypes; i++)
		max += c->types[i].nprops + 3;
	needs = calloc(max, sizeof(*needs));
	ck_assert_ptr_nonnull(needs);
	*n = 0;
	for (uint32_t i = 0; i < c->ntypes; i++) {
		needs[(*n)++] = (struct og_need){ OG_NEED_IDX, &c->types[i], 0 };
		for (uint32_t p = 0; p < c->types[i].nprops; p++)
			needs[(*n)++] = (struct og_need){ OG_NEED_COL, &c->types[i], p };
		if (c->types[i].kind == OG_EDGE)
			needs[(*n)++] = (struct og_need){ OG_NEED_ADJ, &c->types[i], 0 };
	}
	return needs;
}

struct og_view *model_view(const struct model *m, const struct layers *l)
{
	struct og_view *v = og_view_new(m->catalog);
	struct og_local_type local[MODEL_TYPES];
	struct og_error err = { 0 };
	struct og_need *needs;
	size_t n;

	ck_assert_ptr_nonnull(v);
	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		local[i] = (struct og_local_type){ l->l[i], l->n[i] };
		must(og_view_set_local(v, i, l->l[i], l->n[i], &err), &err);
	}
	needs = all_needs(m->catalog, &n);
	must(og_view_build_local(v, local, needs, n, &err), &err);
	ck_assert_uint_eq(og_view_missing(v, needs, n, NULL, 0), 0);
	free(needs);
	return v;
}

static void check_value(const struct og_view_type *t, uint32_t prop, uint32_t slot, const struct og_value *want)
{
	struct og_arena a;
	struct og_value got;

	og_arena_init(&a, 0);
	ck_assert_int_eq(og_view_value(t, prop, slot, &a, &got), 0);
	ck_assert_int_eq(got.kind, want->kind);
	if (want->kind == OG_V_BLOB)
		ck_assert(og_slice_eq(got.s, want->s));
	else
		ck_assert_int_eq(og_value_order(&got, want), 0);
	og_arena_fini(&a);
}

/* The batch functions against og_view_value. */
static void check_gather(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n)
{
	const struct og_proptype *pt = &t->type->props[prop].type;
	int64_t *ints = calloc(n + 1, sizeof(*ints));
	double *doubles = calloc(n + 1, sizeof(*doubles));
	struct og_slice *strs = calloc(n + 1, sizeof(*strs));
	const float **vecs = calloc(n + 1, sizeof(*vecs));
	uint8_t *valid = calloc(n + 1, 1);
	size_t nulls = 0, want_nulls = 0;

	if (pt->list)
		goto out;
	if (pt->scalar == OG_STRING || pt->scalar == OG_BLOB)
		nulls = og_view_gather_str(t, prop, slots, n, strs, valid);
	else if (pt->scalar == OG_VECTOR)
		nulls = og_view_gather_vec(t, prop, slots, n, vecs, valid);
	else if (pt->scalar == OG_F32 || pt->scalar == OG_F64)
		nulls = og_view_gather_f64(t, prop, slots, n, doubles, valid);
	else
		nulls = og_view_gather_i64(t, prop, slots, n, ints, valid);
	for (size_t i = 0; i < n; i++) {
		struct og_value v;

		ck_assert_int_eq(og_view_value(t, prop, slots[i], NULL, &v), 0);
		ck_assert_int_eq(valid[i], v.kind != OG_V_NULL);
		want_nulls += !valid[i];
		if (!valid[i])
			continue;
		if (v.kind == OG_V_STRING || v.kind == OG_V_BLOB)
			ck_assert(og_slice_eq(strs[i], v.s));
		else if (v.kind == OG_V_VECTOR)
			ck_assert_int_eq(memcmp(vecs[i], v.vec.v, pt->dim * sizeof(float)), 0);
		else if (v.kind == OG_V_FLOAT)
			ck_assert(doubles[i] == v.f);
		else
			ck_assert_int_eq(ints[i], v.i);
	}
	ck_assert_uint_eq(nulls, want_nulls);
out:
	free(ints);
	free(doubles);
	free(strs);
	free(vecs);
	free(valid);
}

static int cmp_slice(const void *a, const void *b)
{
	return og_slice_cmp(*(const struct og_slice *)a, *(const struct og_slice *)b);
}

/* Edges at a node: the same set, read in batches of a random size. */
static void check_expand(const struct og_view *v, struct model *m, const struct mtype *et, enum og_dir dir, uint32_t node, struct og_slice id)
{
	const struct og_view_type *t = &v->types[et->type->index];
	const struct og_view_type *far = &v->types[dir == OG_OUT ? et->type->dst_type : et->type->src_type];
	struct og_slice want[1024], got[1024];
	uint32_t state = 0, peers[1024], edges[1024], only[1024], n = 0, total = 0, nonly = 0, max = 1 + model_random(m, 5);

	for (size_t i = 0; i < et->n; i++)
		if (et->rows[i].live && og_slice_eq(dir == OG_OUT ? et->rows[i].src : et->rows[i].dst, id))
			want[total++] = et->rows[i].id;
	for (;;) {
		size_t k = og_view_expand(t, dir, node, &state, peers + n, edges + n, max);

		n += (uint32_t)k;
		ck_assert_uint_le(n, total);
		if (k < max)
			break;
	}
	ck_assert_uint_eq(og_view_expand(t, dir, node, &state, peers + n, NULL, max), 0);
	ck_assert_uint_eq(n, total);
	ck_assert_uint_ge(og_view_degree(t, dir, node), n);
	for (state = 0;;) {
		size_t k = og_view_expand(t, dir, node, &state, only + nonly, NULL, max);

		nonly += (uint32_t)k;
		if (k < max)
			break;
	}
	ck_assert_uint_eq(nonly, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct mrow *r;

		got[i] = og_view_id(t, edges[i]);
		r = find_live(et, got[i]);
		ck_assert_ptr_nonnull(r);
		ck_assert_uint_eq(peers[i], only[i]);
		ck_assert(og_slice_eq(og_view_id(far, peers[i]), dir == OG_OUT ? r->dst : r->src));
	}
	qsort(want, n, sizeof(*want), cmp_slice);
	qsort(got, n, sizeof(*got), cmp_slice);
	for (uint32_t i = 0; i < n; i++)
		ck_assert(og_slice_eq(want[i], got[i]));
}

/* Two edges of one pair are never denied. */
static void check_parallel(const struct og_view_type *t, const struct mtype *mt)
{
	for (size_t i = 0; i < mt->n; i++)
		for (size_t k = 0; k < i; k++)
			if (mt->rows[i].live && mt->rows[k].live && og_slice_eq(mt->rows[i].src, mt->rows[k].src) &&
			    og_slice_eq(mt->rows[i].dst, mt->rows[k].dst)) {
				ck_assert(og_view_parallel(t));
				return;
			}
}

static void check_endpoints(const struct og_view *v, const struct mtype *mt, const uint32_t *slots, size_t n)
{
	const struct og_view_type *t = &v->types[mt->type->index];
	const struct og_view_type *nodes[2] = { &v->types[mt->type->src_type], &v->types[mt->type->dst_type] };
	uint32_t *src = calloc(n + 1, sizeof(*src)), *dst = calloc(n + 1, sizeof(*dst));

	og_view_gather_endpoints(t, slots, n, src, dst);
	for (size_t i = 0; i < n; i++) {
		const struct mrow *r = find_live(mt, og_view_id(t, slots[i]));
		uint32_t s, d;

		og_view_endpoints(t, slots[i], &s, &d);
		ck_assert_uint_eq(s, src[i]);
		ck_assert_uint_eq(d, dst[i]);
		ck_assert_uint_eq(s, og_view_find(nodes[0], r->src));
		ck_assert_uint_eq(d, og_view_find(nodes[1], r->dst));
	}
	free(src);
	free(dst);
}

static void check_edges(const struct og_view *v, struct model *m, const struct mtype *mt)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		const struct mtype *node = &m->t[dir ? mt->type->dst_type : mt->type->src_type];
		const struct og_view_type *nt = &v->types[node->type->index];

		for (size_t i = 0; i < node->n; i++)
			if (node->rows[i].live)
				check_expand(v, m, mt, dir ? OG_IN : OG_OUT, og_view_find(nt, node->rows[i].id), node->rows[i].id);
	}
	check_parallel(&v->types[mt->type->index], mt);
}

/* Ids that are there and that are not, all at once. */
static void check_find_many(const struct og_view_type *t, const struct mtype *mt)
{
	struct og_slice *ids = calloc(mt->n + 1, sizeof(*ids));
	uint32_t *slots = calloc(mt->n + 1, sizeof(*slots));

	for (size_t i = 0; i < mt->n; i++)
		ids[i] = mt->rows[i].id;
	og_view_find_many(t, ids, mt->n, slots);
	for (size_t i = 0; i < mt->n; i++)
		ck_assert_uint_eq(slots[i], og_view_find(t, ids[i]));
	free(ids);
	free(slots);
}

static void check_type(const struct og_view *v, struct model *m, const struct mtype *mt)
{
	const struct og_view_type *t = &v->types[mt->type->index];
	uint32_t *slots = calloc((size_t)t->slots + 64, sizeof(*slots)), cursor = 0, *ids;
	size_t n = 0, live = 0, k;
	size_t batch = 1 + model_random(m, 60);
	bool untouched = true;

	while ((k = og_view_scan(t, &cursor, slots + n, batch)) > 0) {
		ck_assert(slots[n] >= t->base_slots || slots[n + k - 1] < t->base_slots);
		n += k;
	}
	for (size_t i = 0; i < mt->n; i++) {
		live += mt->rows[i].live;
		if (!find_live(mt, mt->rows[i].id))
			ck_assert_uint_eq(og_view_find(t, mt->rows[i].id), OG_SLOT_NONE);
	}
	ck_assert_uint_eq(n, live);
	ck_assert_uint_eq(t->rows, live);
	for (size_t i = 0; i < n; i++) {
		struct og_slice id = og_view_id(t, slots[i]);
		const struct mrow *r = find_live(mt, id);

		ck_assert(i == 0 || slots[i] > slots[i - 1]);
		ck_assert(og_view_live(t, slots[i]));
		ck_assert_ptr_nonnull(r);
		ck_assert_uint_eq(og_view_find(t, id), slots[i]);
		for (uint32_t p = 0; p < mt->type->nprops; p++)
			check_value(t, p, slots[i], &r->v[p]);
	}
	for (uint32_t s = 0; s < t->base_slots; s++) {
		untouched &= og_view_untouched(t, s);
		ck_assert_int_eq(og_view_range_untouched(t, 0, s + 1), untouched);
	}
	ck_assert(!og_view_range_untouched(t, 0, t->base_slots + 1));
	for (uint32_t p = 0; p < mt->type->nprops; p++)
		check_gather(t, p, slots, n);
	if (mt->type->kind == OG_EDGE) {
		check_endpoints(v, mt, slots, n);
		check_edges(v, m, mt);
	}
	check_find_many(t, mt);
	/* Any order. */
	ids = calloc(n + 1, sizeof(*ids));
	for (size_t i = 0; n && i < n; i++)
		ids[i] = slots[model_random(m, (uint32_t)n)];
	for (uint32_t p = 0; p < mt->type->nprops; p++)
		check_gather(t, p, ids, n);
	if (mt->type->kind == OG_EDGE)
		check_endpoints(v, mt, ids, n);
	free(ids);
	free(slots);
}

void check_view(const struct og_view *v, struct model *m)
{
	for (unsigned i = 0; i < MODEL_TYPES; i++)
		check_type(v, m, &m->t[i]);
}

void check_order(const struct og_view *v, const struct model *m)
{
	for (unsigned i = 0; i < MODEL_TYPES; i++) {
		const struct og_view_type *t = &v->types[i];
		uint32_t slot = 0;

		if (m->t[i].type->kind == OG_NODE) {
			for (size_t r = 0; r < m->t[i].n; r++)
				if (m->t[i].rows[r].live)
					ck_assert(og_slice_eq(og_view_id(t, slot++), m->t[i].rows[r].id));
			continue;
		}
		for (slot = 1; slot < t->slots; slot++) {
			uint32_t s0, d0, s1, d1;

			og_view_endpoints(t, slot - 1, &s0, &d0);
			og_view_endpoints(t, slot, &s1, &d1);
			ck_assert(s0 < s1 || (s0 == s1 && d0 <= d1));
			/* Parallel ones by first appearance. */
			if (s0 == s1 && d0 == d1)
				ck_assert(find_live(&m->t[i], og_view_id(t, slot - 1)) < find_live(&m->t[i], og_view_id(t, slot)));
		}
	}
}

void read_all(const struct og_view *v)
{
	for (uint32_t i = 0; i < v->catalog->ntypes; i++) {
		const struct og_view_type *t = &v->types[i];
		struct og_arena a;

		og_arena_init(&a, 0);
		for (uint32_t s = 0; s < t->slots; s++) {
			struct og_value val;
			uint32_t src, dst;

			(void)og_view_find(t, og_view_id(t, s));
			for (uint32_t p = 0; p < t->type->nprops; p++)
				ck_assert_int_eq(og_view_value(t, p, s, &a, &val), 0);
			if (t->type->kind == OG_EDGE)
				og_view_endpoints(t, s, &src, &dst);
		}
		for (unsigned dir = 0; t->type->kind == OG_EDGE && dir < 2; dir++)
			for (uint32_t s = 0; s < v->types[dir ? t->type->dst_type : t->type->src_type].slots; s++) {
				uint32_t state = 0, peers[8], edges[8];

				while (og_view_expand(t, dir ? OG_IN : OG_OUT, s, &state, peers, edges, 8) == 8)
					;
			}
		og_arena_fini(&a);
	}
}
