/* Views: bases, pinned images, applying changes. */
#include "config.h"

#include "image/view.h"

#include <assert.h>
#include <stdlib.h>

#include "image/overlay.h"

/* The id of a node with one key, a string, is that string: the property that needs no image of its own. nprops: there is none. */
static uint32_t id_prop(const struct og_type *t)
{
	const struct og_property *p = t->kind == OG_NODE && t->nkey == 1 ? &t->props[t->key_cols[0]] : NULL;

	return p && p->type.scalar == OG_STRING && !p->type.list ? p->index : t->nprops;
}

static struct og_pins *pins_new(uint32_t parts, const struct og_type *type)
{
	struct og_pins *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->refs = 1;
	p->parts = parts;
	p->nprops = type->nprops;
	p->ids = calloc(parts ? parts : 1, sizeof(*p->ids));
	p->cols = calloc(type->nprops ? type->nprops : 1, sizeof(*p->cols));
	if (p->ids && p->cols) {
		if (id_prop(type) < type->nprops)
			p->cols[id_prop(type)] = p->ids;
		return p;
	}
	free(p->ids);
	free(p->cols);
	free(p);
	return NULL;
}

static void pins_unref(struct og_pins *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (uint32_t i = 0; i < p->parts; i++)
		og_img_unref(p->ids[i]);
	for (uint32_t c = 0; c < p->nprops; c++) {
		if (p->cols[c] == p->ids)
			continue;
		for (uint32_t i = 0; p->cols[c] && i < p->parts; i++)
			og_img_unref(p->cols[c][i]);
		free(p->cols[c]);
	}
	og_img_unref(p->idx);
	og_img_unref(p->adj);
	free(p->ids);
	free(p->cols);
	free(p);
}

/* No delta, and the images of `pins` (taken over). */
static void type_reset(struct og_view_type *t, struct og_pins *pins)
{
	og_delta_unref(t->delta);
	pins_unref(t->pins);
	t->delta = NULL;
	t->pins = pins;
	t->ids = pins->ids;
	t->cols = pins->cols;
	t->slots = t->base_slots;
	t->rows = t->base_slots;
}

struct og_view *og_view_new(struct og_catalog *catalog)
{
	struct og_view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->refs = 1;
	v->catalog = og_catalog_ref(catalog);
	v->types = calloc(catalog->ntypes ? catalog->ntypes : 1, sizeof(*v->types));
	for (uint32_t i = 0; v->types && i < catalog->ntypes; i++) {
		struct og_pins *p = pins_new(0, &catalog->types[i]);

		if (!p) {
			og_view_unref(v);
			return NULL;
		}
		v->types[i].type = &catalog->types[i];
		type_reset(&v->types[i], p);
	}
	if (v->types)
		return v;
	og_view_unref(v);
	return NULL;
}

struct og_view *og_view_ref(struct og_view *v)
{
	__atomic_fetch_add(&v->refs, 1, __ATOMIC_RELAXED);
	return v;
}

void og_view_unref(struct og_view *v)
{
	if (!v || __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (uint32_t i = 0; v->types && i < v->catalog->ntypes; i++) {
		og_delta_unref(v->types[i].delta);
		pins_unref(v->types[i].pins);
	}
	free(v->types);
	og_catalog_unref(v->catalog);
	free(v);
}

struct og_view *og_view_copy(const struct og_view *v)
{
	struct og_view *n = malloc(sizeof(*n));

	if (!n)
		return NULL;
	/* All but the count, in which others may be writing. */
	memcpy((char *)n + offsetof(struct og_view, catalog), (const char *)v + offsetof(struct og_view, catalog),
	       sizeof(*n) - offsetof(struct og_view, catalog));
	n->refs = 1;
	n->types = malloc((v->catalog->ntypes ? v->catalog->ntypes : 1) * sizeof(*n->types));
	if (!n->types) {
		free(n);
		return NULL;
	}
	og_catalog_ref(n->catalog);
	for (uint32_t i = 0; i < v->catalog->ntypes; i++) {
		struct og_view_type *t = &n->types[i];

		*t = v->types[i];
		if (t->delta)
			og_delta_ref(t->delta);
		__atomic_fetch_add(&t->pins->refs, 1, __ATOMIC_RELAXED);
	}
	return n;
}

int og_view_set_base(struct og_view *v, uint32_t type, struct og_content_key key, uint32_t rows, struct og_error *err)
{
	const struct og_catalog *c = v->catalog;
	struct og_pins *fresh = pins_new((uint32_t)(((uint64_t)rows + OG_IMG_PART_ROWS - 1) >> OG_IMG_PART_SHIFT), &c->types[type]);

	if (!fresh)
		return og_error_nomem(err);
	v->types[type].content = key;
	v->types[type].base_slots = rows;
	type_reset(&v->types[type], fresh);
	if (c->types[type].kind != OG_NODE)
		return 0;
	for (uint32_t i = 0; i < c->ntypes; i++) {
		struct og_view_type *et = &v->types[i];

		if (et->type->kind != OG_EDGE || (et->type->src_type != type && et->type->dst_type != type))
			continue;
		fresh = pins_new(og_view_parts(et), et->type);
		if (!fresh)
			return og_error_nomem(err);
		type_reset(et, fresh);
	}
	return 0;
}

static struct og_img_key key_of(const struct og_view *v, const struct og_view_type *t, enum og_img_what what, uint32_t prop_id, uint32_t part)
{
	struct og_img_key k = { .type_id = t->type->id, .what = what, .prop_id = prop_id, .part = part, .content = t->content };

	if (t->type->kind == OG_EDGE) {
		k.src = v->types[t->type->src_type].content;
		k.dst = v->types[t->type->dst_type].content;
	}
	return k;
}

/* The kinds that a need asks for as bits; an index is of no use without the ids. */
static unsigned need_bits(const struct og_need *need)
{
	if (need->kind == OG_NEED_COL && need->prop == id_prop(need->type))
		return 1u << OG_NEED_IDS;
	return need->kind == OG_NEED_IDX ? 1u << OG_NEED_IDX | 1u << OG_NEED_IDS : 1u << need->kind;
}

/* Kinds of needs[i] that no earlier need of its type has. */
static unsigned fresh_bits(const struct og_need *needs, size_t i)
{
	unsigned bits = need_bits(&needs[i]);

	for (size_t k = 0; k < i; k++) {
		if (needs[k].type != needs[i].type)
			continue;
		/* Other columns. */
		if (need_bits(&needs[k]) == 1u << OG_NEED_COL && needs[k].prop != needs[i].prop)
			continue;
		bits &= ~need_bits(&needs[k]);
	}
	return bits;
}

struct missing {
	struct og_img_key *keys;
	size_t n, max;
};

static void lacks(struct missing *m, struct og_img_key key)
{
	if (m->n < m->max)
		m->keys[m->n] = key;
	m->n++;
}

size_t og_view_missing(const struct og_view *v, const struct og_need *needs, size_t n, struct og_img_key *keys, size_t max)
{
	struct missing m = { keys, 0, max };

	for (size_t i = 0; i < n; i++) {
		const struct og_view_type *t = &v->types[needs[i].type->index];
		unsigned bits = fresh_bits(needs, i);
		uint32_t parts = og_view_parts(t);

		if (t->base_slots == 0)
			continue;
		for (uint32_t p = 0; (bits & 1u << OG_NEED_IDS) && p < parts; p++)
			if (!t->ids[p])
				lacks(&m, key_of(v, t, OG_IMG_IDS, 0, p));
		if ((bits & 1u << OG_NEED_IDX) && !t->pins->idx)
			lacks(&m, key_of(v, t, OG_IMG_IDX, 0, 0));
		for (uint32_t p = 0; (bits & 1u << OG_NEED_COL) && p < parts; p++)
			if (!t->cols[needs[i].prop] || !t->cols[needs[i].prop][p])
				lacks(&m, key_of(v, t, OG_IMG_COL, t->type->props[needs[i].prop].id, p));
		if ((bits & 1u << OG_NEED_ADJ) && !t->pins->adj && t->type->kind == OG_EDGE)
			lacks(&m, key_of(v, t, OG_IMG_ADJ, 0, 0));
	}
	return m.n;
}

/* Rows that a part must have. */
static bool part_fits(const struct og_view_type *t, const struct og_img *img)
{
	uint64_t from = (uint64_t)img->key.part << OG_IMG_PART_SHIFT;

	return from < t->base_slots && img->rows == OG_MIN((uint64_t)OG_IMG_PART_ROWS, t->base_slots - from);
}

static void keep(struct og_img **place, struct og_img *img)
{
	if (!*place)
		*place = og_img_ref(img);
}

static void pin_column(struct og_view_type *t, struct og_img *img)
{
	struct og_img ***cols = t->pins->cols;

	for (uint32_t i = 0; i < t->type->nprops; i++) {
		const struct og_property *p = &t->type->props[i];

		if (p->id != img->key.prop_id || cols[i] == t->pins->ids)
			continue;
		/* An image of another type's values must not be read as this one's. */
		if (img->scalar != p->type.scalar || img->list != p->type.list || img->dim != p->type.dim)
			return;
		if (!cols[i])
			cols[i] = calloc(t->pins->parts, sizeof(**cols));
		if (cols[i])
			keep(&cols[i][img->key.part], img);
		return;
	}
}

void og_view_pin(struct og_view *v, struct og_img *img)
{
	const struct og_type *type = og_catalog_by_id(v->catalog, img->key.type_id);
	struct og_view_type *t = type ? &v->types[type->index] : NULL;
	struct og_img_key key;

	if (!t || t->base_slots == 0)
		return;
	key = key_of(v, t, img->key.what, img->key.prop_id, img->key.part);
	if (!og_img_key_equal(&key, &img->key))
		return;
	switch (img->key.what) {
	case OG_IMG_IDS:
		if (part_fits(t, img))
			keep(&t->pins->ids[img->key.part], img);
		return;
	case OG_IMG_COL:
		if (part_fits(t, img))
			pin_column(t, img);
		return;
	case OG_IMG_IDX:
		if (img->rows == t->base_slots)
			keep(&t->pins->idx, img);
		return;
	case OG_IMG_ADJ:
		if (type->kind == OG_EDGE && img->rows == t->base_slots && img->adj.out.slots <= v->types[type->src_type].base_slots &&
		    img->adj.in.slots <= v->types[type->dst_type].base_slots)
			keep(&t->pins->adj, img);
		return;
	}
}

/* Where an image of its key lies, if the pins have a place for it. */
static struct og_img **place_of(const struct og_view_type *t, const struct og_img *img)
{
	uint32_t part = img->key.part;

	switch (img->key.what) {
	case OG_IMG_IDS:
		return part < t->pins->parts ? &t->pins->ids[part] : NULL;
	case OG_IMG_COL:
		for (uint32_t i = 0; i < t->type->nprops && part < t->pins->parts; i++)
			if (t->type->props[i].id == img->key.prop_id && t->pins->cols[i] && t->pins->cols[i] != t->pins->ids)
				return &t->pins->cols[i][part];
		return NULL;
	case OG_IMG_IDX:
		return &t->pins->idx;
	case OG_IMG_ADJ:
		return &t->pins->adj;
	}
	return NULL;
}

static struct og_view_type *type_of(const struct og_view *v, const struct og_img *img)
{
	const struct og_type *type = og_catalog_by_id(v->catalog, img->key.type_id);

	return type ? &v->types[type->index] : NULL;
}

bool og_view_has(const struct og_view *v, const struct og_img *img)
{
	const struct og_view_type *t = type_of(v, img);
	struct og_img **at = t ? place_of(t, img) : NULL;

	return at && *at == img;
}

static struct og_img *other_than(struct og_img *i, const struct og_img *img)
{
	return i && i != img ? og_img_ref(i) : NULL;
}

/* The same pins without img. NULL: no memory. */
static struct og_pins *pins_without(const struct og_type *type, const struct og_pins *old, const struct og_img *img)
{
	struct og_pins *p = pins_new(old->parts, type);

	for (uint32_t i = 0; p && i < old->parts; i++)
		p->ids[i] = other_than(old->ids[i], img);
	for (uint32_t c = 0; p && c < old->nprops; c++) {
		if (!old->cols[c] || old->cols[c] == old->ids)
			continue;
		p->cols[c] = calloc(old->parts, sizeof(**p->cols));
		if (!p->cols[c]) {
			pins_unref(p);
			return NULL;
		}
		for (uint32_t i = 0; i < old->parts; i++)
			p->cols[c][i] = other_than(old->cols[c][i], img);
	}
	if (p) {
		p->idx = other_than(old->idx, img);
		p->adj = other_than(old->adj, img);
	}
	return p;
}

/* Takes the reference over. */
static void set_pins(struct og_view_type *t, struct og_pins *p)
{
	pins_unref(t->pins);
	t->pins = p;
	t->ids = p->ids;
	t->cols = p->cols;
}

int og_view_unpin(struct og_view *v, const struct og_img *img)
{
	struct og_view_type *t = type_of(v, img);
	struct og_pins *p;

	if (!og_view_has(v, img))
		return 0;
	p = pins_without(t->type, t->pins, img);
	if (!p)
		return OG_ERR_NOMEM;
	set_pins(t, p);
	return 0;
}

void og_view_share(struct og_view *to, const struct og_view *from, uint32_t type)
{
	struct og_pins *p = from->types[type].pins;

	if (p == to->types[type].pins)
		return;
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	set_pins(&to->types[type], p);
}

size_t og_view_apply_needs(const struct og_view *v, const struct og_type *type, struct og_need *needs)
{
	size_t n = 0;

	needs[n++] = (struct og_need){ OG_NEED_IDS, type, 0 };
	needs[n++] = (struct og_need){ OG_NEED_IDX, type, 0 };
	if (type->kind != OG_EDGE)
		return n;
	needs[n++] = (struct og_need){ OG_NEED_ADJ, type, 0 };
	for (size_t end = 0; end < 2; end++) {
		const struct og_type *node = &v->catalog->types[end ? type->dst_type : type->src_type];

		needs[n++] = (struct og_need){ OG_NEED_IDS, node, 0 };
		needs[n++] = (struct og_need){ OG_NEED_IDX, node, 0 };
	}
	return n;
}

uint64_t og_view_delta_rows(const struct og_view_type *t)
{
	uint64_t n = 0;

	if (!t->delta)
		return 0;
	for (uint32_t i = 0; i < t->delta->nlayers; i++)
		n += t->delta->layers[i]->nrows;
	return n + t->delta->dead_base;
}

/* Node slots at both ends of every edge that a change upserts, in pairs. */
struct ends {
	uint32_t *slots;
	uint32_t room[2 * 32];		/* for the usual small change */
};

static bool upserts(const struct og_change *c, uint32_t row)
{
	return c->op.rows == 0 || c->op.i32[row] == 0;
}

static int find_ends(const struct og_view *v, const struct og_change *c, struct ends *e, struct og_error *err)
{
	const struct og_type *type = c->type;
	const struct og_view_type *nodes[2] = { &v->types[type->src_type], &v->types[type->dst_type] };
	const struct og_colvec *ids[2] = { &c->src, &c->dst };

	e->slots = c->rows <= OG_COUNT(e->room) / 2 ? e->room : malloc((size_t)c->rows * 2 * sizeof(*e->slots));
	if (!e->slots)
		return og_error_nomem(err);
	for (uint32_t r = 0; r < c->rows; r++) {
		if (!upserts(c, r))
			continue;
		for (unsigned i = 0; i < 2; i++) {
			struct og_slice id = og_colvec_str(ids[i], r);

			e->slots[2 * r + i] = og_view_find(nodes[i], id);
			if (e->slots[2 * r + i] == OG_SLOT_NONE)
				return og_error_set(err, OG_ERR_CORRUPT, "%.*s: %s \"%.*s\" of edge \"%.*s\" does not exist", OG_FMT(type->table_key),
						    i ? "target" : "source", OG_FMT(id), OG_FMT(og_colvec_str(&c->id, r)));
		}
	}
	return 0;
}

static int kill_slot(struct og_view_type *t, uint32_t slot, struct og_error *err)
{
	t->rows--;
	return og_delta_kill(t->delta, slot, err);
}

static int apply_row(struct og_view_type *t, const struct og_change *c, uint32_t r, const uint32_t *ends, struct og_error *err)
{
	uint32_t slot = og_view_find(t, og_colvec_str(&c->id, r));
	int rc;

	if (!upserts(c, r))
		return slot == OG_SLOT_NONE ? 0 : kill_slot(t, slot, err);
	if (slot != OG_SLOT_NONE && ends) {
		uint32_t src, dst;

		og_view_endpoints(t, slot, &src, &dst);
		if (src != ends[2 * r] || dst != ends[2 * r + 1]) {
			if ((rc = kill_slot(t, slot, err)) < 0)
				return rc;
			slot = OG_SLOT_NONE;
		}
	}
	if (slot != OG_SLOT_NONE)
		return og_delta_put(t->delta, slot, c, r, err);
	rc = og_delta_add(t->delta, c, r, ends ? ends[2 * r] : 0, ends ? ends[2 * r + 1] : 0, err);
	if (rc < 0)
		return rc;
	t->slots = t->delta->slots;
	t->rows++;
	return 0;
}

/* Everything that the change does not name goes. */
static int kill_others(struct og_view_type *t, const struct og_change *c, struct og_error *err)
{
	struct og_map keep_ids = { 0 };
	int rc = 0;

	for (uint32_t r = 0; r < c->rows; r++)
		if (!og_map_put(&keep_ids, og_colvec_str(&c->id, r), NULL)) {
			rc = og_error_nomem(err);
			goto out;
		}
	for (uint32_t slot = 0; rc == 0 && slot < t->slots; slot++)
		if (og_view_live(t, slot) && !og_map_find(&keep_ids, og_view_id(t, slot)))
			rc = kill_slot(t, slot, err);
out:
	og_map_fini(&keep_ids);
	return rc;
}

int og_view_apply(struct og_view *v, const struct og_change *c, struct og_error *err)
{
	struct og_view_type *t = &v->types[c->type->index];
	struct ends e = { 0 };
	bool edge = c->type->kind == OG_EDGE;
	int rc;

	assert(v->refs == 1 && t->type->id == c->type->id && t->type->nprops == c->type->nprops);
	if (c->rows == 0 && !c->all)
		return 0;
	/* og_view_expand keeps one bit of a new slot's number for itself. */
	if (c->rows > INT32_MAX - 1u - (t->slots - t->base_slots) || c->rows > UINT32_MAX - 1u - t->slots)
		return og_error_set(err, OG_ERR_TOO_LARGE, "%.*s: slot numbers run out; optimize the graph", OG_FMT(c->type->table_key));
	if (edge && (rc = find_ends(v, c, &e, err)) < 0)
		goto out;
	if ((rc = og_delta_open(&t->delta, t->type, t->base_slots, err)) < 0)
		goto out;
	if (c->all && (rc = kill_others(t, c, err)) < 0)
		goto out;
	for (uint32_t r = 0; rc == 0 && r < c->rows; r++)
		rc = apply_row(t, c, r, edge ? e.slots : NULL, err);
	if (rc == 0)
		rc = og_delta_settle(t->delta, err);
out:
	if (e.slots != e.room)
		free(e.slots);
	return rc;
}
