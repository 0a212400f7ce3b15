/* Reading a view. */
#include "config.h"

#include "image/view.h"

#include <assert.h>

#include "image/overlay.h"

bool og_view_live(const struct og_view_type *t, uint32_t slot)
{
	return slot < t->slots && !(t->delta && og_delta_bit(t->delta, slot, true));
}

bool og_view_untouched(const struct og_view_type *t, uint32_t slot)
{
	return slot < t->base_slots && !(t->delta && og_delta_bit(t->delta, slot, false));
}

bool og_view_range_untouched(const struct og_view_type *t, uint32_t from, uint32_t to)
{
	const struct og_delta *d = t->delta;

	if (to > t->base_slots)
		return from >= to;
	while (d && from < to) {
		const struct og_page *p = from >> OG_PAGE_SHIFT < d->npages ? d->pages[from >> OG_PAGE_SHIFT] : NULL;
		uint64_t bits;

		if (!p) {
			from = (from | (OG_PAGE_SLOTS - 1)) + 1;
			if (from == 0)
				break;
			continue;
		}
		bits = p->touched[(from & (OG_PAGE_SLOTS - 1)) >> 6] >> (from & 63);
		if (to - from < 64)
			bits &= (1ull << (to - from)) - 1;
		if (bits)
			return false;
		from = (from | 63) + 1;
		if (from == 0)
			break;
	}
	return true;
}

/* Live slots of [*cursor, limit), for a view with a delta. */
static size_t scan_delta(const struct og_delta *d, uint32_t *cursor, uint32_t limit, uint32_t *slots, size_t n)
{
	uint64_t slot = *cursor;
	size_t got = 0;

	while (got < n && slot < limit) {
		const struct og_page *p = slot >> OG_PAGE_SHIFT < d->npages ? d->pages[slot >> OG_PAGE_SHIFT] : NULL;
		uint64_t end = p ? (slot | 63) + 1 : (slot | (OG_PAGE_SLOTS - 1)) + 1, dead;

		end = OG_MIN(end, limit);
		dead = p ? p->dead[(slot & (OG_PAGE_SLOTS - 1)) >> 6] >> (slot & 63) : 0;
		if (!dead) {
			size_t take = OG_MIN(n - got, end - slot);

			for (size_t i = 0; i < take; i++)
				slots[got + i] = (uint32_t)(slot + i);
			got += take;
			slot += take;
			continue;
		}
		for (; slot < end && got < n; slot++, dead >>= 1)
			if (!(dead & 1))
				slots[got++] = (uint32_t)slot;
	}
	*cursor = (uint32_t)slot;
	return got;
}

size_t og_view_scan(const struct og_view_type *t, uint32_t *cursor, uint32_t *slots, size_t n)
{
	while (*cursor < t->slots && n > 0) {
		uint32_t from = *cursor;
		uint64_t limit = ((uint64_t)from | (OG_IMG_PART_ROWS - 1)) + 1;
		size_t got;

		limit = OG_MIN(limit, from < t->base_slots ? t->base_slots : t->slots);
		if (!t->delta) {
			got = OG_MIN(n, limit - from);
			for (size_t i = 0; i < got; i++)
				slots[i] = from + (uint32_t)i;
			*cursor = from + (uint32_t)got;
		} else {
			got = scan_delta(t->delta, cursor, (uint32_t)limit, slots, n);
		}
		if (got)
			return got;
	}
	return 0;
}

/* What the base's index says, corrected by the delta. */
static uint32_t find_newest(const struct og_view_type *t, uint32_t base, struct og_slice id)
{
	uint32_t slot;

	if (!t->delta || (base != OG_SLOT_NONE && og_view_live(t, base)))
		return base;
	slot = og_delta_find(t->delta, id);
	return slot != OG_SLOT_NONE && og_view_live(t, slot) ? slot : OG_SLOT_NONE;
}

uint32_t og_view_find(const struct og_view_type *t, struct og_slice id)
{
	uint32_t base = OG_SLOT_NONE;

	if (t->base_slots) {
		assert(t->pins->idx);
		base = og_idx_find(t->pins->idx, t->ids, og_view_parts(t), id);
	}
	return find_newest(t, base, id);
}

void og_view_find_many(const struct og_view_type *t, const struct og_slice *ids, size_t n, uint32_t *slots)
{
	if (t->base_slots) {
		assert(t->pins->idx);
		og_idx_find_many(t->pins->idx, t->ids, og_view_parts(t), ids, n, slots);
	} else {
		memset(slots, 0xff, n * sizeof(*slots));
	}
	for (size_t i = 0; t->delta && i < n; i++)
		slots[i] = find_newest(t, slots[i], ids[i]);
}

struct og_slice og_view_id(const struct og_view_type *t, uint32_t slot)
{
	const struct og_dlayer *l;
	uint32_t row;

	if (slot < t->base_slots) {
		const struct og_img *part = t->ids[slot >> OG_IMG_PART_SHIFT];

		assert(part);
		return og_colpart_str(&part->col, slot & (OG_IMG_PART_ROWS - 1));
	}
	assert(t->delta && slot < t->slots);
	row = og_delta_row(t->delta, slot, &l);
	return l ? og_colvec_str(&l->id, row) : og_slice("", 0);
}

const struct og_colpart *og_view_colpart(const struct og_view_type *t, uint32_t prop, uint32_t slot)
{
	assert(slot < t->base_slots && t->cols[prop] && t->cols[prop][slot >> OG_IMG_PART_SHIFT]);
	return &t->cols[prop][slot >> OG_IMG_PART_SHIFT]->col;
}

int og_view_value(const struct og_view_type *t, uint32_t prop, uint32_t slot, struct og_arena *a, struct og_value *out)
{
	const struct og_dlayer *l;
	struct og_error err;
	uint32_t row;

	if (og_view_untouched(t, slot))
		return og_colpart_get(og_view_colpart(t, prop, slot), &t->type->props[prop].type, slot & (OG_IMG_PART_ROWS - 1), a, out);
	*out = (struct og_value){ .kind = OG_V_NULL };
	assert(t->delta && slot < t->slots);
	row = og_delta_row(t->delta, slot, &l);
	return l ? og_colvec_value(&l->props[prop], row, a, out, &err) : 0;
}

/* Where the value of a slot lies; the arrays of image parts and of column vectors have one layout. */
struct place {
	const void *values;
	const uint8_t *validity;
	const uint32_t *offsets;
	const char *bytes;
	uint32_t row;
};

/* False: null. */
static inline bool locate(const struct og_view_type *t, uint32_t prop, uint32_t slot, struct place *p)
{
	const struct og_dlayer *l;

	if (og_view_untouched(t, slot)) {
		const struct og_colpart *c = og_view_colpart(t, prop, slot);

		p->values = c->values;
		p->validity = c->validity;
		p->offsets = c->offsets;
		p->bytes = c->values;
		p->row = slot & (OG_IMG_PART_ROWS - 1);
	} else {
		assert(t->delta && slot < t->slots);
		p->row = og_delta_row(t->delta, slot, &l);
		if (!l)
			return false;
		p->values = l->props[prop].values;
		p->validity = l->props[prop].validity;
		p->offsets = l->props[prop].offsets;
		p->bytes = l->props[prop].bytes;
	}
	return !p->validity || (p->validity[p->row >> 3] >> (p->row & 7) & 1);
}

/* How many of the slots, from the first on, are untouched and of one part; p is set for them, but for the row. */
static size_t plain_run(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, struct place *p)
{
	uint32_t part = slots[0] >> OG_IMG_PART_SHIFT, base = t->base_slots;
	size_t k;

	if (!t->delta) {
		for (k = 0; k < n && slots[k] < base && slots[k] >> OG_IMG_PART_SHIFT == part; k++)
			;
	} else {
		for (k = 0; k < n && slots[k] >> OG_IMG_PART_SHIFT == part && og_view_untouched(t, slots[k]); k++)
			;
	}
	if (k)
		(void)locate(t, prop, slots[0], p);
	return k;
}

/*
 * One loop a width, so that the type is decided once a batch; rows in a line that the image alone has are read without looking at the delta again.
 */
#define GATHER(expr, null)                                                                                   \
	do {                                                                                                 \
		for (size_t i = 0, run; i < n; i += run) {                                                   \
			struct place at = { 0 }, p;                                                          \
			bool one;                                                                            \
			run = plain_run(t, prop, slots + i, n - i, &at);                                     \
			one = run == 0;                                                                      \
			if (one) {                                                                           \
				valid[i] = locate(t, prop, slots[i], &at);                                   \
				run = 1;                                                                     \
			}                                                                                    \
			p = at;                                                                              \
			for (size_t k = i; k < i + run; k++) {                                               \
				if (!one) {                                                                  \
					p.row = slots[k] & (OG_IMG_PART_ROWS - 1);                           \
					valid[k] = !p.validity || (p.validity[p.row >> 3] >> (p.row & 7) & 1); \
				}                                                                            \
				if (valid[k]) {                                                              \
					out[k] = (expr);                                                     \
				} else {                                                                     \
					out[k] = (null);                                                     \
					nulls++;                                                             \
				}                                                                            \
			}                                                                                    \
		}                                                                                            \
	} while (0)
#define AT(type_) (((const type_ *)p.values)[p.row])

size_t og_view_gather_i64(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, int64_t *out, uint8_t *valid)
{
	size_t nulls = 0;

	switch (t->type->props[prop].type.scalar) {
	case OG_BOOL:
		GATHER(AT(uint8_t) != 0, 0);
		break;
	case OG_I32:
	case OG_DATE:
		GATHER(AT(int32_t), 0);
		break;
	case OG_U32:
		GATHER(AT(uint32_t), 0);
		break;
	case OG_I64:
	case OG_U64:
	case OG_DATETIME:
		GATHER(AT(int64_t), 0);
		break;
	case OG_STRING:
	case OG_F32:
	case OG_F64:
	case OG_VECTOR:
	case OG_BLOB:
		assert(!"no integers");
	}
	return nulls;
}

size_t og_view_gather_f64(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, double *out, uint8_t *valid)
{
	size_t nulls = 0;

	if (t->type->props[prop].type.scalar == OG_F32) {
		GATHER((double)AT(float), 0);
	} else {
		assert(t->type->props[prop].type.scalar == OG_F64);
		GATHER(AT(double), 0);
	}
	return nulls;
}

size_t og_view_gather_str(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, struct og_slice *out, uint8_t *valid)
{
	size_t nulls = 0;

	GATHER(og_slice(p.bytes ? p.bytes + p.offsets[p.row] : "", p.offsets[p.row + 1] - p.offsets[p.row]), og_slice("", 0));
	return nulls;
}

size_t og_view_gather_vec(const struct og_view_type *t, uint32_t prop, const uint32_t *slots, size_t n, const float **out, uint8_t *valid)
{
	size_t nulls = 0, dim = t->type->props[prop].type.dim;

	GATHER((const float *)p.values + p.row * dim, NULL);
	return nulls;
}

void og_view_gather_id(const struct og_view_type *t, const uint32_t *slots, size_t n, struct og_slice *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = og_view_id(t, slots[i]);
}

/* States of og_view_expand: a position in the base's run; NEW with the number of a new edge; the end. */
#define EXPAND_NEW 0x80000000u
#define EXPAND_END UINT32_MAX

/* First new edge at the node in layers [from, nlayers). */
static uint32_t first_new(const struct og_delta *d, enum og_dir dir, uint32_t node, uint32_t from, uint32_t *layer)
{
	for (uint32_t i = from; i < d->nlayers; i++) {
		const struct og_dlayer *l = d->layers[i];
		const struct og_chain *c = og_chain_find(dir == OG_OUT ? &l->out : &l->in, node);

		if (c) {
			*layer = i;
			return l->first_new + c->head;
		}
	}
	return OG_SLOT_NONE;
}

static size_t expand_delta(const struct og_view_type *et, enum og_dir dir, uint32_t node, uint32_t *state, uint32_t *peers, uint32_t *edges,
			   size_t max)
{
	const struct og_delta *d = et->delta;
	uint32_t slot, layer = 0;
	size_t n = 0;

	if (*state & EXPAND_NEW) {
		slot = et->base_slots + (*state & ~EXPAND_NEW);
		while (slot - d->layers[layer]->first_new >= d->layers[layer]->nnew)
			layer++;
	} else {
		slot = first_new(d, dir, node, 0, &layer);
	}
	while (slot != OG_SLOT_NONE && n < max) {
		const struct og_dlayer *l = d->layers[layer];
		uint32_t k = slot - l->first_new, next = (dir == OG_OUT ? &l->out : &l->in)->next[k];

		if (!og_delta_bit(d, slot, true)) {
			peers[n] = dir == OG_OUT ? l->dst[k] : l->src[k];
			if (edges)
				edges[n] = slot;
			n++;
		}
		slot = next != OG_SLOT_NONE ? l->first_new + next : first_new(d, dir, node, layer + 1, &layer);
	}
	*state = slot == OG_SLOT_NONE ? EXPAND_END : EXPAND_NEW | (slot - et->base_slots);
	return n;
}

size_t og_view_expand(const struct og_view_type *et, enum og_dir dir, uint32_t node, uint32_t *state, uint32_t *peers, uint32_t *edges, size_t max)
{
	bool dead = et->delta && et->delta->dead_base;
	size_t n = 0;

	if (*state == EXPAND_END || max == 0)
		return 0;
	if (!(*state & EXPAND_NEW) && et->base_slots) {
		const struct og_adjdir *d;
		uint32_t from, to, pos;

		assert(og_view_adj(et));
		d = dir == OG_OUT ? &og_view_adj(et)->out : &og_view_adj(et)->in;
		og_adj_run(d, node, &from, &to);
		for (pos = from + *state; pos < to && n < max; pos++) {
			if (edges || dead) {
				uint32_t edge = dir == OG_OUT ? pos : og_adj_in_edge(og_view_adj(et), node, from, pos);

				if (edge == OG_SLOT_NONE || (dead && og_delta_bit(et->delta, edge, true)))
					continue;
				if (edges)
					edges[n] = edge;
			}
			peers[n++] = d->peers[pos];
		}
		*state = pos - from;
		if (n == max)
			return n;
	}
	if (!et->delta) {
		*state = EXPAND_END;
		return n;
	}
	return n + expand_delta(et, dir, node, state, peers + n, edges ? edges + n : NULL, max - n);
}

uint32_t og_view_degree(const struct og_view_type *et, enum og_dir dir, uint32_t node)
{
	uint32_t from = 0, to = 0, n;

	if (et->base_slots) {
		assert(og_view_adj(et));
		og_adj_run(dir == OG_OUT ? &og_view_adj(et)->out : &og_view_adj(et)->in, node, &from, &to);
	}
	n = to - from;
	for (uint32_t i = 0; et->delta && i < et->delta->nlayers; i++) {
		const struct og_dlayer *l = et->delta->layers[i];
		const struct og_chain *c = og_chain_find(dir == OG_OUT ? &l->out : &l->in, node);

		n += c ? c->count : 0;
	}
	return n;
}

void og_view_endpoints(const struct og_view_type *et, uint32_t edge, uint32_t *src, uint32_t *dst)
{
	const struct og_dlayer *l;

	if (edge < et->base_slots) {
		assert(og_view_adj(et));
		*src = og_adj_source(og_view_adj(et), edge);
		*dst = og_view_adj(et)->out.peers[edge];
		return;
	}
	assert(et->delta);
	l = og_delta_numbered(et->delta, edge);
	assert(l);
	*src = l->src[edge - l->first_new];
	*dst = l->dst[edge - l->first_new];
}

/* First slot above `slot` that has edges; OG_SLOT_NONE. */
static uint32_t next_source(const struct og_adjdir *d, uint32_t slot)
{
	uint32_t words = (d->slots + 63) / 64, w = slot >> 6;
	uint64_t word = d->bitmap[w] & ~((2ull << (slot & 63)) - 1);

	while (!word && ++w < words)
		word = d->bitmap[w];
	return word ? w * 64 + (uint32_t)__builtin_ctzll(word) : OG_SLOT_NONE;
}

void og_view_gather_endpoints(const struct og_view_type *et, const uint32_t *edges, size_t n, uint32_t *src, uint32_t *dst)
{
	uint32_t from = 0, to = 0, cur = OG_SLOT_NONE;

	for (size_t i = 0; i < n; i++) {
		uint32_t edge = edges[i];
		const struct og_adj *a;

		if (edge >= et->base_slots) {
			og_view_endpoints(et, edge, &src[i], &dst[i]);
			continue;
		}
		assert(og_view_adj(et));
		a = og_view_adj(et);
		if (edge >= to && cur != OG_SLOT_NONE) {
			cur = next_source(&a->out, cur);
			from = to = 0;
			if (cur != OG_SLOT_NONE)
				og_adj_run(&a->out, cur, &from, &to);
		}
		if (edge < from || edge >= to) {
			cur = og_adj_source(a, edge);
			og_adj_run(&a->out, cur, &from, &to);
		}
		src[i] = cur;
		dst[i] = a->out.peers[edge];
	}
}

bool og_view_parallel(const struct og_view_type *et)
{
	if (et->base_slots) {
		assert(og_view_adj(et));
		if (og_view_adj(et)->parallel)
			return true;
	}
	/* New edges are not compared with what is there. */
	return et->slots > et->base_slots;
}
