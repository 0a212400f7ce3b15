/* The overlay of a type: layers of changed rows over the base. */
#include "config.h"

#include "image/overlay.h"

#include <stdlib.h>

#include "base/map.h"
#include "image/job.h"

/* Spreads slot numbers, which come in runs (Fibonacci hashing: Knuth, volume 3, section 6.4). */
static uint64_t umap_pos(const struct og_umap *m, uint32_t key)
{
	return (key * 0x9E3779B97F4A7C15ull >> 32) & (m->cap - 1);
}

static void umap_fini(struct og_umap *m)
{
	free(m->keys);
	free(m->vals);
	*m = (struct og_umap){ 0 };
}

static uint32_t *umap_find(const struct og_umap *m, uint32_t key)
{
	if (m->count == 0)
		return NULL;
	for (uint64_t p = umap_pos(m, key); m->keys[p] != UINT32_MAX; p = (p + 1) & (m->cap - 1))
		if (m->keys[p] == key)
			return &m->vals[p];
	return NULL;
}

static bool umap_grow(struct og_umap *m)
{
	struct og_umap n = { .cap = m->cap ? m->cap * 2 : 16, .count = m->count };

	n.keys = malloc(n.cap * sizeof(*n.keys));
	n.vals = malloc(n.cap * sizeof(*n.vals));
	if (!n.keys || !n.vals) {
		umap_fini(&n);
		return false;
	}
	memset(n.keys, 0xff, n.cap * sizeof(*n.keys));
	for (uint64_t i = 0; i < m->cap; i++) {
		uint64_t p;

		if (m->keys[i] == UINT32_MAX)
			continue;
		for (p = umap_pos(&n, m->keys[i]); n.keys[p] != UINT32_MAX; p = (p + 1) & (n.cap - 1))
			;
		n.keys[p] = m->keys[i];
		n.vals[p] = m->vals[i];
	}
	umap_fini(m);
	*m = n;
	return true;
}

/* The value of a key, which may be new (then UINT32_MAX); NULL: no memory. */
static uint32_t *umap_put(struct og_umap *m, uint32_t key)
{
	uint32_t *v = umap_find(m, key);
	uint64_t p;

	if (v)
		return v;
	if (m->count >= m->cap / 2 && !umap_grow(m))
		return NULL;
	for (p = umap_pos(m, key); m->keys[p] != UINT32_MAX; p = (p + 1) & (m->cap - 1))
		;
	m->keys[p] = key;
	m->vals[p] = UINT32_MAX;
	m->count++;
	return &m->vals[p];
}

/* Room for `want` elements in one of several arrays of one capacity; the caller raises the capacity when all have grown. */
static bool array_grow(void *arrayp, uint32_t cap, size_t size)
{
	void **array = arrayp, *p = realloc(*array, (size_t)cap * size);

	if (!p)
		return false;
	*array = p;
	return true;
}

static uint32_t next_cap(uint32_t cap)
{
	return cap < 8 ? 8 : cap > UINT32_MAX / 2 ? UINT32_MAX : cap * 2;
}

static void chains_fini(struct og_chains *c)
{
	umap_fini(&c->map);
	free(c->lists);
	free(c->next);
}

static bool chains_add(struct og_chains *c, uint32_t node, uint32_t k)
{
	uint32_t *v = umap_put(&c->map, node);

	if (!v)
		return false;
	c->next[k] = OG_SLOT_NONE;
	if (*v == UINT32_MAX) {
		if (c->n == c->cap) {
			uint32_t cap = next_cap(c->cap);

			if (!array_grow(&c->lists, cap, sizeof(*c->lists)))
				return false;
			c->cap = cap;
		}
		*v = c->n;
		c->lists[c->n++] = (struct og_chain){ k, k, 1 };
		return true;
	}
	c->next[c->lists[*v].tail] = k;
	c->lists[*v].tail = k;
	c->lists[*v].count++;
	return true;
}

const struct og_chain *og_chain_find(const struct og_chains *c, uint32_t node)
{
	const uint32_t *v = umap_find(&c->map, node);

	return v ? &c->lists[*v] : NULL;
}

static struct og_dlayer *layer_new(const struct og_type *type, uint32_t first_new)
{
	struct og_dlayer *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->refs = 1;
	l->first_new = first_new;
	l->edge = type->kind == OG_EDGE;
	l->nprops = type->nprops;
	l->props = calloc(l->nprops ? l->nprops : 1, sizeof(*l->props));
	if (!l->props) {
		free(l);
		return NULL;
	}
	og_colvec_init(&l->id, &og_type_string);
	for (uint32_t i = 0; i < l->nprops; i++) {
		struct og_proptype t = type->props[i].type;

		t.nullable = true;
		t.enums = NULL;		/* the layer may outlive the catalog */
		t.nenum = 0;
		og_colvec_init(&l->props[i], &t);
	}
	return l;
}

static void layer_unref(struct og_dlayer *l)
{
	if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(l->row_slot);
	og_colvec_fini(&l->id);
	for (uint32_t i = 0; i < l->nprops; i++)
		og_colvec_fini(&l->props[i]);
	free(l->props);
	umap_fini(&l->upd);
	free(l->new_row);
	free(l->ids);
	free(l->id_hash);
	free(l->src);
	free(l->dst);
	chains_fini(&l->out);
	chains_fini(&l->in);
	free(l);
}

static bool alone(const int *refs)
{
	return __atomic_load_n(refs, __ATOMIC_ACQUIRE) == 1;
}

/* Where a row's values come from: a change, or another layer. A property vector with rows 0 is all null. */
struct row_src {
	const struct og_colvec *id, *props;
	uint32_t row;
};

static int layer_append(struct og_dlayer *l, const struct row_src *s, uint32_t slot, struct og_error *err)
{
	int rc;

	if (l->nrows == l->rows_cap) {
		uint32_t cap = next_cap(l->rows_cap);

		if (!array_grow(&l->row_slot, cap, sizeof(*l->row_slot)))
			return og_error_nomem(err);
		l->rows_cap = cap;
	}
	og_colvec_append_row(&l->id, s->id, s->row);
	if ((rc = og_colvec_ok(&l->id, err)) < 0)
		return rc;
	for (uint32_t i = 0; i < l->nprops; i++) {
		if (s->props[i].rows == 0)
			og_colvec_append_null(&l->props[i]);
		else
			og_colvec_append_row(&l->props[i], &s->props[i], s->row);
		if ((rc = og_colvec_ok(&l->props[i], err)) < 0)
			return rc;
	}
	l->row_slot[l->nrows++] = slot;
	return 0;
}

static bool layer_numbers(const struct og_dlayer *l, uint32_t slot)
{
	return slot >= l->first_new && slot - l->first_new < l->nnew;
}

static uint32_t layer_row(const struct og_dlayer *l, uint32_t slot)
{
	const uint32_t *v;

	if (layer_numbers(l, slot))
		return l->new_row[slot - l->first_new];
	v = umap_find(&l->upd, slot);
	return v ? *v : OG_ROW_NONE;
}

/* A newer version of a slot that exists already. */
static int layer_put(struct og_dlayer *l, uint32_t slot, const struct row_src *s, struct og_error *err)
{
	uint32_t row = l->nrows, *at;
	int rc;

	if ((rc = layer_append(l, s, slot, err)) < 0)
		return rc;
	at = layer_numbers(l, slot) ? &l->new_row[slot - l->first_new] : umap_put(&l->upd, slot);
	if (!at)
		return og_error_nomem(err);
	if (*at != OG_ROW_NONE)
		l->garbage++;
	*at = row;
	return 0;
}

/* The entry of an id among the layer's new slots, or the free one where it belongs. */
static uint64_t id_pos(const struct og_dlayer *l, struct og_slice id, uint32_t hash)
{
	uint64_t p;

	for (p = hash & (l->ids_cap - 1); l->ids[p]; p = (p + 1) & (l->ids_cap - 1)) {
		uint32_t row = l->new_row[l->ids[p] - 1];

		if (l->id_hash[p] == hash && row != OG_ROW_NONE && og_slice_eq(og_colvec_str(&l->id, row), id))
			break;
	}
	return p;
}

static bool ids_grow(struct og_dlayer *l)
{
	uint64_t cap = l->ids_cap ? l->ids_cap * 2 : 16;
	uint32_t *ids = calloc(cap, sizeof(*ids)), *hash = malloc(cap * sizeof(*hash));

	if (!ids || !hash) {
		free(ids);
		free(hash);
		return false;
	}
	for (uint64_t i = 0; i < l->ids_cap; i++) {
		uint64_t p;

		if (!l->ids[i])
			continue;
		for (p = l->id_hash[i] & (cap - 1); ids[p]; p = (p + 1) & (cap - 1))
			;
		ids[p] = l->ids[i];
		hash[p] = l->id_hash[i];
	}
	free(l->ids);
	free(l->id_hash);
	l->ids = ids;
	l->id_hash = hash;
	l->ids_cap = cap;
	return true;
}

static bool id_add(struct og_dlayer *l, struct og_slice id, uint32_t k)
{
	uint32_t hash = (uint32_t)(og_hash(id) >> 32);
	uint64_t p;

	if (l->ids_count >= l->ids_cap / 2 && !ids_grow(l))
		return false;
	p = id_pos(l, id, hash);
	if (!l->ids[p])
		l->ids_count++;
	l->ids[p] = k + 1;
	l->id_hash[p] = hash;
	return true;
}

static bool layer_room(struct og_dlayer *l)
{
	uint32_t cap = next_cap(l->new_cap);

	if (l->nnew < l->new_cap)
		return true;
	if (!array_grow(&l->new_row, cap, sizeof(uint32_t)))
		return false;
	if (l->edge && (!array_grow(&l->src, cap, sizeof(uint32_t)) || !array_grow(&l->dst, cap, sizeof(uint32_t)) ||
			!array_grow(&l->out.next, cap, sizeof(uint32_t)) || !array_grow(&l->in.next, cap, sizeof(uint32_t))))
		return false;
	l->new_cap = cap;
	return true;
}

/* The next new slot of the layer. s NULL: a dead one, which only keeps its number. */
static int layer_add(struct og_dlayer *l, const struct row_src *s, uint32_t src, uint32_t dst, struct og_error *err)
{
	uint32_t k = l->nnew, row = s ? l->nrows : OG_ROW_NONE;
	int rc;

	if (!layer_room(l))
		return og_error_nomem(err);
	if (s && (rc = layer_append(l, s, l->first_new + k, err)) < 0)
		return rc;
	l->new_row[k] = row;
	if (l->edge) {
		l->src[k] = src;
		l->dst[k] = dst;
		l->out.next[k] = l->in.next[k] = OG_SLOT_NONE;
	}
	l->nnew++;
	if (!s)
		return 0;
	if (!id_add(l, og_colvec_str(&l->id, row), k))
		return og_error_nomem(err);
	if (l->edge && (!chains_add(&l->out, src, k) || !chains_add(&l->in, dst, k)))
		return og_error_nomem(err);
	return 0;
}

/* Everything of a newer layer goes into `to`, but for slots that died and those that `over` (may be NULL) has too. */
static int layer_absorb(const struct og_delta *d, struct og_dlayer *to, const struct og_dlayer *from, const struct og_dlayer *over,
			struct og_error *err)
{
	struct row_src s = { .id = &from->id, .props = from->props };
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < from->upd.cap; i++) {
		uint32_t slot = from->upd.keys[i];

		if (slot == UINT32_MAX || og_delta_bit(d, slot, true) || (over && umap_find(&over->upd, slot)))
			continue;
		s.row = from->upd.vals[i];
		rc = layer_put(to, slot, &s, err);
	}
	for (uint32_t k = 0; rc == 0 && k < from->nnew; k++) {
		uint32_t slot = from->first_new + k;
		const uint32_t *newer = over ? umap_find(&over->upd, slot) : NULL;
		struct row_src n = s;
		bool dead = from->new_row[k] == OG_ROW_NONE || og_delta_bit(d, slot, true);

		n.row = from->new_row[k];
		if (newer)
			n = (struct row_src){ .id = &over->id, .props = over->props, .row = *newer };
		rc = layer_add(to, dead ? NULL : &n, from->edge ? from->src[k] : 0, from->edge ? from->dst[k] : 0, err);
	}
	return rc;
}

/* After absorb(a, over b) the newest rows of a's new slots are there already; b's others follow. */
static int layer_absorb_top(const struct og_delta *d, struct og_dlayer *to, const struct og_dlayer *a, const struct og_dlayer *b,
			    struct og_error *err)
{
	struct row_src s = { .id = &b->id, .props = b->props };
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < b->upd.cap; i++) {
		uint32_t slot = b->upd.keys[i];

		if (slot == UINT32_MAX || og_delta_bit(d, slot, true) || layer_numbers(a, slot))
			continue;
		s.row = b->upd.vals[i];
		rc = layer_put(to, slot, &s, err);
	}
	for (uint32_t k = 0; rc == 0 && k < b->nnew; k++) {
		bool dead = b->new_row[k] == OG_ROW_NONE || og_delta_bit(d, b->first_new + k, true);

		s.row = b->new_row[k];
		rc = layer_add(to, dead ? NULL : &s, b->edge ? b->src[k] : 0, b->edge ? b->dst[k] : 0, err);
	}
	return rc;
}

/* The two topmost layers become one. */
static int merge_top(struct og_delta *d, struct og_error *err)
{
	struct og_dlayer *a = d->layers[d->nlayers - 2], *b = d->layers[d->nlayers - 1], *to;
	int rc;

	if (alone(&a->refs)) {
		rc = layer_absorb(d, a, b, NULL, err);
		if (rc == 0) {
			layer_unref(b);
			d->nlayers--;
		}
		return rc;
	}
	to = layer_new(d->type, a->first_new);
	if (!to)
		return og_error_nomem(err);
	if ((rc = layer_absorb(d, to, a, b, err)) < 0 || (rc = layer_absorb_top(d, to, a, b, err)) < 0) {
		layer_unref(to);
		return rc;
	}
	layer_unref(a);
	layer_unref(b);
	d->layers[d->nlayers - 2] = to;
	d->nlayers--;
	return 0;
}

/* The topmost layer without rows that nothing refers to. */
static int sweep_top(struct og_delta *d, struct og_error *err)
{
	struct og_dlayer *l = d->layers[d->nlayers - 1], *to = layer_new(d->type, l->first_new);
	int rc;

	if (!to)
		return og_error_nomem(err);
	if ((rc = layer_absorb(d, to, l, NULL, err)) < 0) {
		layer_unref(to);
		return rc;
	}
	layer_unref(l);
	d->layers[d->nlayers - 1] = to;
	return 0;
}

static uint64_t layer_weight(const struct og_dlayer *l)
{
	return (uint64_t)l->nrows + l->nnew;
}

int og_delta_settle(struct og_delta *d, struct og_error *err)
{
	int rc;

	while (d->nlayers > 1 && (d->nlayers == OG_DELTA_LAYERS ||
				  layer_weight(d->layers[d->nlayers - 1]) * 4 >= layer_weight(d->layers[d->nlayers - 2])))
		if ((rc = merge_top(d, err)) < 0)
			return rc;
	if (d->nlayers && d->layers[d->nlayers - 1]->garbage > 64 &&
	    d->layers[d->nlayers - 1]->garbage > d->layers[d->nlayers - 1]->nrows / 2)
		return sweep_top(d, err);
	return 0;
}

static void page_unref(struct og_page *p)
{
	if (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(p);
}

struct og_delta *og_delta_ref(struct og_delta *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
	return d;
}

void og_delta_unref(struct og_delta *d)
{
	if (!d || __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (uint32_t i = 0; i < d->nlayers; i++)
		layer_unref(d->layers[i]);
	for (uint32_t i = 0; i < d->npages; i++)
		page_unref(d->pages[i]);
	free(d->pages);
	free(d);
}

static struct og_delta *delta_new(const struct og_type *type, uint32_t base_slots)
{
	struct og_delta *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->refs = 1;
	d->type = type;
	d->base_slots = d->slots = base_slots;
	return d;
}

static struct og_delta *delta_copy(const struct og_delta *old)
{
	struct og_delta *d = malloc(sizeof(*d));

	if (!d)
		return NULL;
	/* All but the count, in which others may be writing. */
	memcpy((char *)d + offsetof(struct og_delta, type), (const char *)old + offsetof(struct og_delta, type),
	       sizeof(*d) - offsetof(struct og_delta, type));
	d->refs = 1;
	d->pages = malloc((d->npages ? d->npages : 1) * sizeof(*d->pages));
	if (!d->pages) {
		free(d);
		return NULL;
	}
	for (uint32_t i = 0; i < d->npages; i++) {
		d->pages[i] = old->pages[i];
		if (d->pages[i])
			__atomic_fetch_add(&d->pages[i]->refs, 1, __ATOMIC_RELAXED);
	}
	for (uint32_t i = 0; i < d->nlayers; i++)
		__atomic_fetch_add(&d->layers[i]->refs, 1, __ATOMIC_RELAXED);
	return d;
}

int og_delta_open(struct og_delta **dp, const struct og_type *type, uint32_t base_slots, struct og_error *err)
{
	struct og_delta *d = *dp;
	int rc;

	if (!d || !alone(&d->refs)) {
		d = d ? delta_copy(d) : delta_new(type, base_slots);
		if (!d)
			return og_error_nomem(err);
		og_delta_unref(*dp);
		*dp = d;
	}
	/* The catalog of the view that writes is the one that is sure to live. */
	d->type = type;
	if (d->nlayers && alone(&d->layers[d->nlayers - 1]->refs))
		return 0;
	if (d->nlayers == OG_DELTA_LAYERS && (rc = merge_top(d, err)) < 0)
		return rc;
	if (d->nlayers && alone(&d->layers[d->nlayers - 1]->refs))
		return 0;
	d->layers[d->nlayers] = layer_new(type, d->slots);
	if (!d->layers[d->nlayers])
		return og_error_nomem(err);
	d->nlayers++;
	return 0;
}

/* The page of a slot, the delta's own; NULL: no memory. */
static struct og_page *page_own(struct og_delta *d, uint32_t slot)
{
	uint32_t n = slot >> OG_PAGE_SHIFT;
	struct og_page *p, *copy;

	if (n >= d->npages) {
		uint32_t cap = OG_MAX(n + 1, d->npages + d->npages / 4);
		struct og_page **pages = realloc(d->pages, cap * sizeof(struct og_page *));

		if (!pages)
			return NULL;
		memset(pages + d->npages, 0, (cap - d->npages) * sizeof(struct og_page *));
		d->pages = pages;
		d->npages = cap;
	}
	p = d->pages[n];
	if (p && alone(&p->refs))
		return p;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return NULL;
	if (p) {
		memcpy(copy->touched, p->touched, sizeof(p->touched));
		memcpy(copy->dead, p->dead, sizeof(p->dead));
	}
	copy->refs = 1;
	page_unref(p);
	d->pages[n] = copy;
	return copy;
}

static bool set_bits(struct og_delta *d, uint32_t slot, bool dead)
{
	struct og_page *p = page_own(d, slot);
	uint32_t i = slot & (OG_PAGE_SLOTS - 1);

	if (!p)
		return false;
	if (slot < d->base_slots)
		p->touched[i >> 6] |= 1ull << (i & 63);
	if (dead)
		p->dead[i >> 6] |= 1ull << (i & 63);
	return true;
}

static struct row_src change_row(const struct og_change *c, uint32_t row)
{
	return (struct row_src){ .id = &c->id, .props = c->props, .row = row };
}

int og_delta_put(struct og_delta *d, uint32_t slot, const struct og_change *c, uint32_t row, struct og_error *err)
{
	struct row_src s = change_row(c, row);

	if (slot < d->base_slots && !set_bits(d, slot, false))
		return og_error_nomem(err);
	return layer_put(d->layers[d->nlayers - 1], slot, &s, err);
}

int og_delta_add(struct og_delta *d, const struct og_change *c, uint32_t row, uint32_t src, uint32_t dst, struct og_error *err)
{
	struct row_src s = change_row(c, row);
	int rc = layer_add(d->layers[d->nlayers - 1], &s, src, dst, err);

	if (rc == 0)
		d->slots++;
	return rc;
}

int og_delta_kill(struct og_delta *d, uint32_t slot, struct og_error *err)
{
	struct og_dlayer *top = d->layers[d->nlayers - 1];

	if (!set_bits(d, slot, true))
		return og_error_nomem(err);
	if (slot < d->base_slots)
		d->dead_base++;
	if (layer_row(top, slot) != OG_ROW_NONE)
		top->garbage++;
	return 0;
}

uint32_t og_delta_row(const struct og_delta *d, uint32_t slot, const struct og_dlayer **layer)
{
	for (uint32_t i = d->nlayers; i-- > 0;) {
		uint32_t row = layer_row(d->layers[i], slot);

		if (row != OG_ROW_NONE) {
			*layer = d->layers[i];
			return row;
		}
		if (layer_numbers(d->layers[i], slot))
			break;
	}
	*layer = NULL;
	return OG_ROW_NONE;
}

uint32_t og_delta_find(const struct og_delta *d, struct og_slice id)
{
	uint32_t hash = (uint32_t)(og_hash(id) >> 32);

	for (uint32_t i = d->nlayers; i-- > 0;) {
		const struct og_dlayer *l = d->layers[i];
		uint64_t p;

		if (l->ids_count == 0)
			continue;
		p = id_pos(l, id, hash);
		if (l->ids[p])
			return l->first_new + l->ids[p] - 1;
	}
	return OG_SLOT_NONE;
}

const struct og_dlayer *og_delta_numbered(const struct og_delta *d, uint32_t slot)
{
	for (uint32_t i = d->nlayers; i-- > 0;)
		if (layer_numbers(d->layers[i], slot))
			return d->layers[i];
	return NULL;
}
