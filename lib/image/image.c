/* Opening and checking images; look-ups inside one. */
#include "config.h"

#include "image/image.h"

#include <stdlib.h>

#include "base/fd.h"
#include "base/map.h"
#include "image/layout.h"

struct opening {
	const struct og_img_head *head;
	const char *base;
	struct og_error *err;
};

static int bad(const struct opening *o, unsigned buf, const char *what)
{
	return og_error_at(o->err, OG_ERR_CORRUPT, o->head->bufs[buf].off, "image: %s", what);
}

static const void *buffer(const struct opening *o, unsigned buf)
{
	return o->base + o->head->bufs[buf].off;
}

/* `n` elements of `width` bytes fill the buffer exactly. */
static bool has(const struct opening *o, unsigned buf, uint64_t n, size_t width)
{
	return o->head->bufs[buf].len / width == n && o->head->bufs[buf].len % width == 0;
}

static int check_offsets(const struct opening *o, unsigned buf, uint64_t rows, uint64_t limit)
{
	const uint32_t *off = buffer(o, buf);
	uint32_t falls = 0;

	if (!has(o, buf, rows + 1, sizeof(*off)))
		return bad(o, buf, "offsets of the wrong number");
	for (uint64_t i = 0; i < rows; i++)
		falls |= off[i] > off[i + 1];
	if (off[0] != 0 || falls || off[rows] > limit)
		return bad(o, buf, "offsets out of order");
	return 0;
}

static int check_validity(const struct opening *o, unsigned buf, uint64_t rows, const uint8_t **out)
{
	if (o->head->bufs[buf].len == 0)
		return 0;
	if (!has(o, buf, (rows + 7) / 8, 1))
		return bad(o, buf, "validity bits of the wrong number");
	*out = buffer(o, buf);
	return 0;
}

/* Values of fixed width, or the strings that offsets in `offbuf` cut out of `bytebuf`. */
static int check_values(const struct opening *o, uint64_t n, unsigned valbuf, unsigned offbuf, unsigned bytebuf)
{
	size_t width = og_col_width(o->head->scalar);

	if (o->head->scalar == OG_STRING || o->head->scalar == OG_BLOB)
		return check_offsets(o, offbuf, n, o->head->bufs[bytebuf].len);
	if (o->head->scalar == OG_VECTOR) {
		if (o->head->dim == 0)
			return bad(o, valbuf, "a vector without a dimension");
		n *= o->head->dim;
		width = sizeof(float);
	}
	if (!has(o, valbuf, n, width))
		return bad(o, valbuf, "values of the wrong number");
	return 0;
}

static int open_col(const struct opening *o, struct og_img *img)
{
	const struct og_img_head *h = o->head;
	struct og_colpart *c = &img->col;
	int rc;

	if (h->rows > OG_IMG_PART_ROWS)
		return bad(o, OG_BUF_VALUES, "too many rows for a part");
	if (h->scalar < OG_STRING || h->scalar > OG_BLOB || (h->list && h->scalar == OG_VECTOR))
		return bad(o, OG_BUF_VALUES, "unknown type of values");
	c->rows = (uint32_t)h->rows;
	if ((rc = check_validity(o, OG_BUF_VALIDITY, h->rows, &c->validity)) < 0)
		return rc;
	if (h->list) {
		uint64_t items;

		if ((rc = check_offsets(o, OG_BUF_OFFSETS, h->rows, UINT32_MAX)) < 0)
			return rc;
		c->offsets = buffer(o, OG_BUF_OFFSETS);
		items = c->offsets[h->rows];
		if ((rc = check_validity(o, OG_BUF_CHILD_VALIDITY, items, &c->child_validity)) < 0 ||
		    (rc = check_values(o, items, OG_BUF_VALUES, OG_BUF_CHILD_OFFSETS, OG_BUF_CHILD_BYTES)) < 0)
			return rc;
		c->child_offsets = buffer(o, OG_BUF_CHILD_OFFSETS);
		c->child_bytes = buffer(o, OG_BUF_CHILD_BYTES);
	} else {
		if ((rc = check_values(o, h->rows, OG_BUF_VALUES, OG_BUF_OFFSETS, OG_BUF_VALUES)) < 0)
			return rc;
		c->offsets = buffer(o, OG_BUF_OFFSETS);
	}
	c->values = buffer(o, OG_BUF_VALUES);
	return 0;
}

static int open_idx(const struct opening *o, struct og_img *img)
{
	const struct og_idx_bucket *idx = buffer(o, OG_BUF_IDX);
	uint64_t n = o->head->bufs[OG_BUF_IDX].len / sizeof(*idx), used = 0;
	uint32_t beyond = 0;

	if (n == 0 || n > UINT32_MAX || !has(o, OG_BUF_IDX, n, sizeof(*idx)))
		return bad(o, OG_BUF_IDX, "an index of the wrong size");
	if (o->head->rows > UINT32_MAX)
		return bad(o, OG_BUF_IDX, "an index of too many rows");
	for (uint64_t b = 0; b < n; b++)
		for (unsigned i = 0; i < OG_IDX_WAYS; i++) {
			bool taken = idx[b].tags[i] != 0;

			used += taken;
			beyond |= taken && idx[b].slots[i] >= o->head->rows;
		}
	if (beyond)
		return bad(o, OG_BUF_IDX, "an index entry beyond the rows");
	if (used == n * OG_IDX_WAYS)
		return bad(o, OG_BUF_IDX, "an index without a free entry");
	img->idx = idx;
	img->nidx = n;
	return 0;
}

/*
 * Every run's peers ascend and are below `peers`. They do if the list descends nowhere but where a run begins: counted over all of it and over the
 * beginnings, in loops without branches, for this is most of what mapping a large image takes.
 */
static bool runs_fine(const struct og_adjdir *d, uint32_t peers)
{
	uint32_t wrong = d->offsets[0] != 0 || d->offsets[d->nruns] != d->nedges, all = 0, begins = 0, largest = 0;

	for (uint32_t r = 0; r < d->nruns; r++)
		wrong |= d->offsets[r] >= d->offsets[r + 1];
	if (wrong)	/* before the offsets are followed */
		return false;
	for (uint32_t i = 0; i < d->nedges; i++)
		largest = OG_MAX(largest, d->peers[i]);
	for (uint32_t i = 1; i < d->nedges; i++)
		all += d->peers[i - 1] > d->peers[i];
	for (uint32_t r = 1; r < d->nruns; r++)
		begins += d->peers[d->offsets[r] - 1] > d->peers[d->offsets[r]];
	return all == begins && (d->nedges == 0 || largest < peers);
}

static int open_dir(const struct opening *o, unsigned first, uint32_t slots, uint32_t peers, struct og_adjdir *d)
{
	uint64_t words = ((uint64_t)slots + 63) / 64, runs, seen = 0;
	uint32_t wrong = 0;

	if (!has(o, first + OG_BUF_BITMAP, words, 8) || !has(o, first + OG_BUF_RANK, words, 4))
		return bad(o, first + OG_BUF_BITMAP, "an adjacency bitmap of the wrong size");
	if (o->head->bufs[first + OG_BUF_RUNS].len < 4 || !has(o, first + OG_BUF_PEERS, o->head->rows, 4))
		return bad(o, first + OG_BUF_PEERS, "adjacency of the wrong size");
	runs = o->head->bufs[first + OG_BUF_RUNS].len / 4 - 1;
	if (!has(o, first + OG_BUF_RUNS, runs + 1, 4) || runs > slots)
		return bad(o, first + OG_BUF_RUNS, "adjacency runs of the wrong number");
	d->slots = slots;
	d->bitmap = buffer(o, first + OG_BUF_BITMAP);
	d->rank = buffer(o, first + OG_BUF_RANK);
	d->offsets = buffer(o, first + OG_BUF_RUNS);
	d->peers = buffer(o, first + OG_BUF_PEERS);
	d->nruns = (uint32_t)runs;
	d->nedges = (uint32_t)o->head->rows;
	for (uint64_t w = 0; w < words; w++) {
		wrong |= d->rank[w] != seen;
		seen += (uint64_t)__builtin_popcountll(d->bitmap[w]);
	}
	if (slots & 63)
		wrong |= d->bitmap[words - 1] >> (slots & 63) != 0;
	if (wrong || seen != runs)
		return bad(o, first + OG_BUF_BITMAP, "adjacency bits and ranks disagree");
	if (!runs_fine(d, peers))
		return bad(o, first + OG_BUF_RUNS, "adjacency runs out of order");
	return 0;
}

static int open_adj(const struct opening *o, struct og_img *img)
{
	const struct og_img_head *h = o->head;
	int rc;

	if (h->rows > UINT32_MAX)
		return bad(o, OG_BUF_PEERS, "too many edges");
	img->adj.parallel = h->parallel;
	if ((rc = open_dir(o, 0, h->out_slots, h->in_slots, &img->adj.out)) < 0)
		return rc;
	return open_dir(o, OG_BUF_IN, h->in_slots, h->out_slots, &img->adj.in);
}

static int open_what(const struct opening *o, struct og_img *img)
{
	for (unsigned i = 0; i < OG_IMG_BUFS; i++) {
		uint64_t off = o->head->bufs[i].off;

		if (off % OG_IMG_ALIGN != 0 || off < OG_IMG_PAGE || off > img->map.len || o->head->bufs[i].len > img->map.len - off)
			return og_error_at(o->err, OG_ERR_CORRUPT, off, "image: buffer %u lies outside", i);
	}
	switch (o->head->key.what) {
	case OG_IMG_IDS:
		if (o->head->scalar != OG_STRING || o->head->list || o->head->bufs[OG_BUF_VALIDITY].len != 0)
			return bad(o, OG_BUF_VALUES, "ids that are not strings");
		return open_col(o, img);
	case OG_IMG_COL:
		return open_col(o, img);
	case OG_IMG_IDX:
		return open_idx(o, img);
	case OG_IMG_ADJ:
		return open_adj(o, img);
	}
	return og_error_at(o->err, OG_ERR_CORRUPT, 0, "image of an unknown kind %u", (unsigned)o->head->key.what);
}

int og_img_open(int fd, const struct og_img_key *expect, struct og_img **out, struct og_error *err)
{
	struct og_img_head head;
	struct opening o = { .head = &head, .err = err };
	struct og_img *img;
	uint64_t size;
	int rc;

	if ((rc = og_memfd_check(fd, &size, err)) < 0)
		return rc;
	if (size < OG_IMG_PAGE)
		return og_error_at(err, OG_ERR_CORRUPT, size, "image: shorter than its header");
	img = calloc(1, sizeof(*img));
	if (!img)
		return og_error_nomem(err);
	img->refs = 1;
	if ((rc = og_map_file(fd, size, &img->map, err)) < 0 ||
	    (rc = og_img_head_read(og_slice(img->map.p, OG_IMG_PAGE), &head, err)) < 0)
		goto out;
	if (expect && !og_img_key_equal(expect, &head.key)) {
		rc = og_error_at(err, OG_ERR_CORRUPT, 0, "image: not the one that was asked for");
		goto out;
	}
	img->key = head.key;
	img->rows = head.rows;
	img->scalar = head.scalar;
	img->list = head.list;
	img->dim = head.dim;
	o.base = img->map.p;
	rc = open_what(&o, img);
out:
	if (rc < 0) {
		og_img_unref(img);
		return rc;
	}
	*out = img;
	return 0;
}

struct og_img *og_img_ref(struct og_img *i)
{
	__atomic_fetch_add(&i->refs, 1, __ATOMIC_RELAXED);
	return i;
}

void og_img_unref(struct og_img *i)
{
	if (!i || __atomic_sub_fetch(&i->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	og_unmap(&i->map);
	if (i->gone)
		i->gone(i->gone_arg);
	free(i);
}

/*
 * Bytes of `word` equal to `tag`, as bits 7, 15, ... Exact up to the first one; above it a byte may be reported wrongly, which costs a comparison.
 * Source: the zero byte test in "Bit Twiddling Hacks" (Anderson).
 */
static inline uint64_t same_bytes(uint64_t word, uint8_t tag)
{
	uint64_t x = word ^ 0x0101010101010101ull * tag;

	return (x - 0x0101010101010101ull) & ~x & 0x8080808080808080ull;
}

/* Ways of a bucket whose tag it is, as bits 8 * way + 7; the ways from 8 on are in hi. */
static inline void match(const struct og_idx_bucket *b, uint8_t tag, uint64_t *lo, uint64_t *hi)
{
	*lo = same_bytes(og_le64(b->tags), tag);
	*hi = same_bytes(og_le32(b->tags + 8), tag) & 0x80808080u;
}

static inline bool has_free(const struct og_idx_bucket *b)
{
	/* Filled from the front. */
	return b->tags[OG_IDX_WAYS - 1] == 0;
}

static inline uint8_t tag_of(uint64_t hash)
{
	return (uint8_t)hash ? (uint8_t)hash : 1;
}

static inline bool id_is(struct og_img *const *ids, uint32_t nids, uint32_t slot, struct og_slice id)
{
	uint32_t row = slot & (OG_IMG_PART_ROWS - 1), part = slot >> OG_IMG_PART_SHIFT;

	return part < nids && row < ids[part]->col.rows && og_slice_eq(og_colpart_str(&ids[part]->col, row), id);
}

static uint32_t find_hashed(const struct og_img *idx, struct og_img *const *ids, uint32_t nids, struct og_slice id, uint64_t hash)
{
	/* In a damaged index no bucket may look free: one round, then it is over. */
	for (uint64_t i = 0, pos = og_idx_bucket_of(hash, idx->nidx); i < idx->nidx; i++, pos = pos + 1 < idx->nidx ? pos + 1 : 0) {
		const struct og_idx_bucket *b = &idx->idx[pos];
		uint64_t lo, hi;

		match(b, tag_of(hash), &lo, &hi);
		for (; lo; lo &= lo - 1) {
			uint32_t slot = b->slots[__builtin_ctzll(lo) >> 3];

			if (id_is(ids, nids, slot, id))
				return slot;
		}
		for (; hi; hi &= hi - 1) {
			uint32_t slot = b->slots[8 + (__builtin_ctzll(hi) >> 3)];

			if (id_is(ids, nids, slot, id))
				return slot;
		}
		if (has_free(b))
			break;
	}
	return OG_SLOT_NONE;
}

uint32_t og_idx_find(const struct og_img *idx, struct og_img *const *ids, uint32_t nids, struct og_slice id)
{
	return find_hashed(idx, ids, nids, id, og_hash(id));
}

/* Look-ups under way at a time: enough to keep the memory busy, few enough for the line fill buffers. */
#define FIND_GROUP 16u

/* The likely slot of an id from its first bucket; OG_SLOT_NONE where the bucket has none. */
static inline uint32_t candidate(const struct og_idx_bucket *b, uint8_t tag)
{
	uint64_t lo, hi;

	match(b, tag, &lo, &hi);
	if (lo)
		return b->slots[__builtin_ctzll(lo) >> 3];
	return hi ? b->slots[8 + (__builtin_ctzll(hi) >> 3)] : OG_SLOT_NONE;
}

static void find_group(const struct og_img *idx, struct og_img *const *ids, uint32_t nids, const struct og_slice *want, size_t n, uint32_t *slots)
{
	uint64_t hash[FIND_GROUP];

	for (size_t i = 0; i < n; i++) {
		hash[i] = og_hash(want[i]);
		__builtin_prefetch(&idx->idx[og_idx_bucket_of(hash[i], idx->nidx)]);
	}
	for (size_t i = 0; i < n; i++) {
		slots[i] = candidate(&idx->idx[og_idx_bucket_of(hash[i], idx->nidx)], tag_of(hash[i]));
		if (slots[i] >> OG_IMG_PART_SHIFT < nids)
			__builtin_prefetch(&ids[slots[i] >> OG_IMG_PART_SHIFT]->col.offsets[slots[i] & (OG_IMG_PART_ROWS - 1)]);
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t row = slots[i] & (OG_IMG_PART_ROWS - 1), part = slots[i] >> OG_IMG_PART_SHIFT;

		if (part < nids && row < ids[part]->col.rows)
			__builtin_prefetch((const char *)ids[part]->col.values + ids[part]->col.offsets[row]);
	}
	for (size_t i = 0; i < n; i++)
		if (slots[i] == OG_SLOT_NONE || !id_is(ids, nids, slots[i], want[i]))
			slots[i] = find_hashed(idx, ids, nids, want[i], hash[i]);
}

void og_idx_find_many(const struct og_img *idx, struct og_img *const *ids, uint32_t nids, const struct og_slice *want, size_t n, uint32_t *slots)
{
	for (size_t at = 0; at < n; at += FIND_GROUP)
		find_group(idx, ids, nids, want + at, OG_MIN(FIND_GROUP, n - at), slots + at);
}

size_t og_col_width(enum og_scalar s)
{
	switch (s) {
	case OG_BOOL:
		return 1;
	case OG_I32:
	case OG_U32:
	case OG_F32:
	case OG_DATE:
		return 4;
	case OG_I64:
	case OG_U64:
	case OG_F64:
	case OG_DATETIME:
		return 8;
	case OG_STRING:
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	return 0;
}

/* One non-null scalar out of the arrays of a part or of a list's items. */
static void scalar_get(const struct og_proptype *t, const void *values, const uint32_t *offsets, const char *bytes, size_t row, struct og_value *out)
{
	switch (t->scalar) {
	case OG_BOOL:
		*out = (struct og_value){ .kind = OG_V_BOOL, .i = ((const uint8_t *)values)[row] != 0 };
		return;
	case OG_I32:
		*out = (struct og_value){ .kind = OG_V_INT, .i = ((const int32_t *)values)[row] };
		return;
	case OG_I64:
		*out = (struct og_value){ .kind = OG_V_INT, .i = ((const int64_t *)values)[row] };
		return;
	case OG_U32:
		*out = (struct og_value){ .kind = OG_V_UINT, .u = ((const uint32_t *)values)[row] };
		return;
	case OG_U64:
		*out = (struct og_value){ .kind = OG_V_UINT, .u = ((const uint64_t *)values)[row] };
		return;
	case OG_F32:
		*out = (struct og_value){ .kind = OG_V_FLOAT, .f = ((const float *)values)[row] };
		return;
	case OG_F64:
		*out = (struct og_value){ .kind = OG_V_FLOAT, .f = ((const double *)values)[row] };
		return;
	case OG_DATE:
		*out = (struct og_value){ .kind = OG_V_DATE, .i = ((const int32_t *)values)[row] };
		return;
	case OG_DATETIME:
		*out = (struct og_value){ .kind = OG_V_DATETIME, .i = ((const int64_t *)values)[row] };
		return;
	case OG_VECTOR:
		*out = (struct og_value){ .kind = OG_V_VECTOR };
		out->vec.v = (const float *)values + row * t->dim;
		out->vec.dim = t->dim;
		return;
	case OG_STRING:
	case OG_BLOB:
		*out = (struct og_value){ .kind = t->scalar == OG_BLOB ? OG_V_BLOB : OG_V_STRING };
		out->s = og_slice(bytes + offsets[row], offsets[row + 1] - offsets[row]);
		return;
	}
	*out = (struct og_value){ .kind = OG_V_NULL };
}

int og_colpart_get(const struct og_colpart *c, const struct og_proptype *t, uint32_t row, struct og_arena *a, struct og_value *out)
{
	struct og_value *items;
	uint32_t from, n;

	*out = (struct og_value){ .kind = OG_V_NULL };
	if (!og_colpart_valid(c, row))
		return 0;
	if (!t->list) {
		scalar_get(t, c->values, c->offsets, c->values, row, out);
		return 0;
	}
	from = c->offsets[row];
	n = c->offsets[row + 1] - from;
	items = og_arena_array(a, n, sizeof(*items));
	if (!items && n)
		return OG_ERR_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		size_t at = (size_t)from + i;

		if (!c->child_validity || (c->child_validity[at >> 3] >> (at & 7) & 1))
			scalar_get(t, c->values, c->child_offsets, c->child_bytes, at, &items[i]);
	}
	out->kind = OG_V_LIST;
	out->items.v = items;
	out->items.n = n;
	return 0;
}

uint32_t og_adj_source(const struct og_adj *a, uint32_t edge)
{
	const struct og_adjdir *d = &a->out;
	uint32_t lo = 0, hi = d->nruns, wlo = 0, whi = (d->slots + 63) / 64;
	uint64_t word;

	/* The run that holds the edge: offsets[lo] <= edge < offsets[lo + 1]. */
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (d->offsets[mid] <= edge)
			lo = mid;
		else
			hi = mid;
	}
	/* The slot of run lo: the last word with rank <= lo, then the bit in it. */
	while (whi - wlo > 1) {
		uint32_t mid = wlo + (whi - wlo) / 2;

		if (d->rank[mid] <= lo)
			wlo = mid;
		else
			whi = mid;
	}
	word = d->bitmap[wlo];
	for (uint32_t skip = lo - d->rank[wlo]; skip; skip--)
		word &= word - 1;
	return wlo * 64 + (uint32_t)__builtin_ctzll(word);
}

uint32_t og_adj_in_edge(const struct og_adj *a, uint32_t dst, uint32_t from, uint32_t pos)
{
	uint32_t src = a->in.peers[pos], nth = 0, lo, hi, end;

	while (pos - nth > from && a->in.peers[pos - nth - 1] == src)
		nth++;
	og_adj_run(&a->out, src, &lo, &end);
	for (hi = end; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->out.peers[mid] < dst)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (end - lo <= nth || a->out.peers[lo + nth] != dst)
		return OG_SLOT_NONE;
	return lo + nth;
}
