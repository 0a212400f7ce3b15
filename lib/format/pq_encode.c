/* Parquet encodings: PLAIN, the RLE/bit-packed hybrid, dictionaries. */
#include "config.h"

#include "format/pq_private.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/codec.h"
#include "format/thrift.h"

static const struct pq_mapping mappings[] = {
	{ OG_STRING, PQ_BYTE_ARRAY, 0, { "\x1c\0\0", 3 } },
	{ OG_BOOL, PQ_BOOLEAN, -1, { "", 0 } },
	{ OG_I32, PQ_INT32, 17, { "\xac\x13\x20\x11\0\0", 6 } },
	{ OG_I64, PQ_INT64, -1, { "", 0 } },
	{ OG_U32, PQ_INT32, 13, { "\xac\x13\x20\x12\0\0", 6 } },
	{ OG_U64, PQ_INT64, 14, { "\xac\x13\x40\x12\0\0", 6 } },
	{ OG_F32, PQ_FLOAT, -1, { "", 0 } },
	{ OG_F64, PQ_DOUBLE, -1, { "", 0 } },
	{ OG_DATE, PQ_INT32, 6, { "\x6c\0\0", 3 } },
	{ OG_DATETIME, PQ_INT64, 9, { "\x8c\x11\x1c\x1c\0\0\0\0", 8 } },
	{ OG_VECTOR, PQ_FLOAT, -1, { "", 0 } },
	{ OG_BLOB, PQ_BYTE_ARRAY, -1, { "", 0 } },
};

const struct pq_mapping *pq_mapping_of(enum og_scalar s)
{
	for (size_t i = 0; i < OG_COUNT(mappings); i++)
		if (mappings[i].scalar == s)
			return &mappings[i];
	return NULL;
}

const struct pq_mapping *pq_mapping_find(int physical, int converted, struct og_slice logical)
{
	for (size_t i = 0; i < OG_COUNT(mappings); i++) {
		const struct pq_mapping *m = &mappings[i];

		if ((int)m->physical == physical && m->converted == converted && og_slice_eq(m->logical, logical))
			return m;
	}
	return NULL;
}

static inline __attribute__((always_inline)) uint32_t at(const void *v, size_t i, size_t size)
{
	return size == 1 ? ((const uint8_t *)v)[i] : ((const uint32_t *)v)[i];
}

/* Groups of eight values, the last one filled up with zeroes. */
static inline __attribute__((always_inline)) void put_packed(struct og_buf *b, const void *v, size_t n, unsigned width, size_t size)
{
	size_t groups = (n + 7) / 8;
	uint8_t head[10];
	uint64_t acc = 0;
	unsigned bits = 0;
	uint8_t *p, *start;

	og_buf_append(b, head, og_tc_varint(head, (uint64_t)groups << 1 | 1));
	p = start = (uint8_t *)og_buf_reserve(b, groups * width + 8);
	if (!p)
		return;
	for (size_t i = 0; i < n; i++) {
		acc |= (uint64_t)at(v, i, size) << bits;
		bits += width;
		if (bits >= 32) {
			memcpy(p, &acc, 4);
			p += 4;
			acc >>= 32;
			bits -= 32;
		}
	}
	/* At most 31 bits are left; zeroes fill the last group. Four bytes more than it has were reserved. */
	memset(p, 0, (size_t)(start + groups * width + 4 - p));
	memcpy(p, &acc, 4);
	b->len += groups * width;
}

static inline __attribute__((always_inline)) void put_run(struct og_buf *b, uint32_t value, size_t n, unsigned width)
{
	uint8_t head[16];
	size_t len = og_tc_varint(head, (uint64_t)n << 1);

	for (unsigned i = 0; i < width; i += 8)
		head[len++] = (uint8_t)(value >> i);
	og_buf_append(b, head, len);
}

/* Runs of at least eight equal values that start at a group's boundary become RLE, all else is packed. */
static inline __attribute__((always_inline)) void put_hybrid(struct og_buf *b, const void *v, size_t n, unsigned width, size_t size)
{
	size_t packed = 0, i = 0;	/* values from `packed` to i wait to be packed: whole groups */

	while (i < n) {
		uint32_t value = at(v, i, size);
		size_t end = i + 1;

		while (end < n && at(v, end, size) == value)
			end++;
		if (end - i >= 8 || (end == n && packed == i)) {
			if (i > packed)
				put_packed(b, (const char *)v + packed * size, i - packed, width, size);
			put_run(b, value, end - i, width);
			i = packed = end;
		} else {
			i = OG_MIN(i + 8, n);
		}
	}
	if (n > packed)
		put_packed(b, (const char *)v + packed * size, n - packed, width, size);
}

void pq_put_hybrid8(struct og_buf *b, const uint8_t *v, size_t n, unsigned width)
{
	put_hybrid(b, v, n, width, 1);
}

void pq_put_hybrid32(struct og_buf *b, const uint32_t *v, size_t n, unsigned width)
{
	put_hybrid(b, v, n, width, 4);
}

/* A bitmap is a bit-packed run of width 1 already, but for the place of its first bit. */
void pq_put_validity(struct og_buf *b, const uint8_t *validity, size_t from, size_t n)
{
	size_t groups = (n + 7) / 8, last = (from + n - 1) / 8;
	unsigned shift = from & 7;
	uint8_t head[10];
	uint8_t *p;

	og_buf_append(b, head, og_tc_varint(head, (uint64_t)groups << 1 | 1));
	p = (uint8_t *)og_buf_reserve(b, groups);
	if (!p)
		return;
	validity += from / 8;
	last -= from / 8;
	for (size_t i = 0; i < groups; i++) {
		unsigned v = validity[i];

		if (shift && i < last)
			v |= (unsigned)validity[i + 1] << 8;
		p[i] = (uint8_t)(v >> shift);
	}
	if (n & 7)
		p[groups - 1] &= (uint8_t)((1u << (n & 7)) - 1);
	b->len += groups;
}

static void plain_bool(struct og_buf *b, const struct og_colvec *c, size_t from, size_t n)
{
	uint8_t *p = (uint8_t *)og_buf_reserve(b, n / 8 + 1);
	unsigned acc = 0, bits = 0;
	size_t len = 0;

	if (!p)
		return;
	for (size_t i = from; i < from + n; i++) {
		if (og_colvec_is_null(c, i))
			continue;
		acc |= (unsigned)(c->u8[i] != 0) << bits++;
		if (bits == 8) {
			p[len++] = (uint8_t)acc;
			acc = bits = 0;
		}
	}
	if (bits)
		p[len++] = (uint8_t)acc;
	b->len += len;
}

static inline __attribute__((always_inline)) void plain_sparse(struct og_buf *b, const struct og_colvec *c, size_t from, size_t n, size_t width)
{
	char *p = og_buf_reserve(b, n * width);
	char *start = p;

	if (!p)
		return;
	for (size_t i = from; i < from + n; i++) {
		if (og_colvec_is_null(c, i))
			continue;
		memcpy(p, c->u8 + i * width, width);
		p += width;
	}
	b->len += (size_t)(p - start);
}

static void plain_strings(struct og_buf *b, const struct og_colvec *c, size_t from, size_t n)
{
	size_t bytes = c->offsets[from + n] - c->offsets[from];
	char *p = og_buf_reserve(b, bytes + 4 * n);
	char *start = p;

	if (!p)
		return;
	for (size_t i = from; i < from + n; i++) {
		uint32_t len = c->offsets[i + 1] - c->offsets[i];

		if (og_colvec_is_null(c, i))
			continue;
		memcpy(p, &len, 4);
		if (len)
			memcpy(p + 4, c->bytes + c->offsets[i], len);
		p += 4 + (size_t)len;
	}
	b->len += (size_t)(p - start);
}

void pq_put_plain(struct og_buf *b, const struct og_colvec *c, size_t from, size_t n)
{
	if (n == 0)
		return;
	if (c->type.scalar == OG_BOOL)
		plain_bool(b, c, from, n);
	else if (!c->width)
		plain_strings(b, c, from, n);
	else if (!c->validity)
		og_buf_append(b, c->u8 + from * c->width, n * c->width);
	else if (c->width == 4)
		plain_sparse(b, c, from, n, 4);
	else if (c->width == 8)
		plain_sparse(b, c, from, n, 8);
	else
		plain_sparse(b, c, from, n, c->width);
}

/* ---- dictionaries ---- */

struct pq_slot {
	uint32_t entry;		/* + 1; 0: free */
	uint32_t hash;
};

#define FIRST_SLOTS 1024u

void pq_dict_fini(struct pq_dict *d)
{
	og_buf_fini(&d->plain);
	free(d->rows);
	free(d->index);
	free(d->slots);
	*d = (struct pq_dict){ 0 };
}

static bool dict_start(struct pq_dict *d, size_t values)
{
	if (!d->rows)
		d->rows = malloc(PQ_DICT_MAX * sizeof(*d->rows));
	if (!d->slots) {
		d->slots = malloc(FIRST_SLOTS * sizeof(*d->slots));
		d->slots_cap = d->slots ? FIRST_SLOTS : 0;
	}
	if (d->index_cap < values) {
		free(d->index);
		d->index = malloc(values * sizeof(*d->index));
		d->index_cap = d->index ? values : 0;
	}
	d->failed = !d->rows || !d->slots || !d->index;
	d->count = 0;
	d->nslots = FIRST_SLOTS;
	og_buf_clear(&d->plain);
	if (d->slots)
		memset(d->slots, 0, FIRST_SLOTS * sizeof(*d->slots));
	return !d->failed;
}

static bool dict_grow(struct pq_dict *d)
{
	size_t n = d->nslots * 2;
	struct pq_slot *slots = calloc(n, sizeof(*slots));

	if (!slots) {
		d->failed = true;
		return false;
	}
	for (size_t i = 0; i < d->nslots; i++) {
		size_t at_slot = d->slots[i].hash & (n - 1);

		if (!d->slots[i].entry)
			continue;
		while (slots[at_slot].entry)
			at_slot = (at_slot + 1) & (n - 1);
		slots[at_slot] = d->slots[i];
	}
	free(d->slots);
	d->slots = slots;
	d->nslots = d->slots_cap = n;
	return true;
}

static struct og_slice raw_value(const struct og_colvec *c, size_t row)
{
	if (c->width)
		return og_slice(c->u8 + row * c->width, c->width);
	return og_colvec_str(c, row);
}

static void dict_put(struct pq_dict *d, struct og_slice v, bool fixed)
{
	uint32_t len = (uint32_t)v.len;

	if (!fixed)
		og_buf_append(&d->plain, &len, 4);
	og_buf_append(&d->plain, v.p, v.len);
}

/* Too many different values for a dictionary to pay, as far as one has seen. */
static bool dict_hopeless(const struct pq_dict *d, size_t seen)
{
	return (seen == 1024 || seen == 16384) && d->count > seen / 4 * 3;
}

/* false: give up. */
static bool dict_add(struct pq_dict *d, const struct og_colvec *c, size_t row, size_t nth)
{
	struct og_slice v = raw_value(c, row);
	uint32_t hash = (uint32_t)XXH3_64bits(v.p, v.len);
	size_t slot = hash & (d->nslots - 1);

	for (; d->slots[slot].entry; slot = (slot + 1) & (d->nslots - 1)) {
		uint32_t entry = d->slots[slot].entry - 1;

		if (d->slots[slot].hash == hash && og_slice_eq(raw_value(c, d->rows[entry]), v)) {
			d->index[nth] = entry;
			return true;
		}
	}
	if (d->count == PQ_DICT_MAX || d->plain.len + v.len > PQ_DICT_BYTES_MAX)
		return false;
	d->slots[slot] = (struct pq_slot){ .entry = d->count + 1, .hash = hash };
	d->rows[d->count] = (uint32_t)row;
	d->index[nth] = d->count++;
	dict_put(d, v, c->width > 0);
	return d->count * 2 <= d->nslots || dict_grow(d);
}

bool pq_dict_build(struct pq_dict *d, const struct og_colvec *c)
{
	size_t values = c->rows - c->nulls, nth = 0, plain, coded;

	if (values == 0 || !dict_start(d, values))
		return false;
	for (size_t row = 0; row < c->rows; row++) {
		if (og_colvec_is_null(c, row))
			continue;
		if (!dict_add(d, c, row, nth))
			return false;
		if (dict_hopeless(d, ++nth))
			return false;
	}
	d->failed |= d->plain.failed;
	plain = c->width ? values * c->width : c->nbytes + 4 * values;
	coded = d->plain.len + values * OG_MAX(1u, pq_bit_width(d->count - 1)) / 8;
	/* A second page and its look-ups should earn a tenth. */
	return !d->failed && coded < plain - plain / 10;
}
