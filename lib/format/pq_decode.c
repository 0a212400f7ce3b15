/* Parquet decoding: the RLE/bit-packed hybrid, PLAIN values, dictionary indices. Every byte is suspect. */
#include "config.h"

#include "format/pq_private.h"

#include "base/codec.h"
#include "base/utf8.h"

/* One run of the hybrid encoding. */
struct run {
	bool packed;
	uint32_t value;			/* RLE */
	size_t count;			/* values in it that are wanted */
	const uint8_t *bits;		/* packed */
	size_t bytes;
};

/* The next run of at most `want` values; false: damaged. */
static bool next_run(struct og_slice src, size_t *pos, size_t want, unsigned width, struct run *r)
{
	const uint8_t *p = (const uint8_t *)src.p;
	size_t nbytes = (width + 7) / 8;
	uint64_t head = 0;

	for (unsigned shift = 0;; shift += 7) {
		if (*pos == src.len || shift > 28)
			return false;
		head |= (uint64_t)(p[*pos] & 0x7f) << shift;
		if (!(p[(*pos)++] & 0x80))
			break;
	}
	r->packed = head & 1;
	head >>= 1;
	if (head == 0)
		return false;
	if (!r->packed) {
		if (head > want || nbytes > src.len - *pos)
			return false;
		r->count = head;
		r->value = 0;
		for (size_t i = 0; i < nbytes; i++)
			r->value |= (uint32_t)p[(*pos)++] << (8 * i);
		return true;
	}
	/* Only the filling of the last group is superfluous. */
	if (head * 8 >= want + 8 || head * width > src.len - *pos)
		return false;
	r->count = OG_MIN(head * 8, want);
	r->bits = p + *pos;
	r->bytes = head * width;
	*pos += r->bytes;
	return true;
}

/* Levels have one or two bits, so a group of eight has one or two bytes. */
static uint8_t unpack_levels(const struct run *r, unsigned width, uint8_t *out)
{
	unsigned mask = (1u << width) - 1;
	uint8_t max = 0;

	for (size_t i = 0; i < r->count; i += 8) {
		const uint8_t *p = r->bits + i / 8 * width;
		unsigned bits = p[0] | (width > 1 ? (unsigned)p[1] << 8 : 0);
		size_t n = OG_MIN(r->count - i, 8u);

		for (size_t j = 0; j < n; j++, bits >>= width) {
			out[i + j] = bits & mask;
			max = OG_MAX(max, out[i + j]);
		}
	}
	return max;
}

bool pq_get_hybrid8(struct og_slice src, size_t n, unsigned width, uint8_t max, uint8_t *out, size_t *used)
{
	size_t pos = 0;
	struct run r;

	for (size_t done = 0; done < n; done += r.count) {
		if (!next_run(src, &pos, n - done, width, &r))
			return false;
		if (r.packed) {
			if (unpack_levels(&r, width, out + done) > max)
				return false;
		} else {
			if (r.value > max)
				return false;
			memset(out + done, (int)r.value, r.count);
		}
	}
	*used = pos;
	return true;
}

bool pq_hybrid_is_run(struct og_slice src, size_t n, uint8_t value, size_t *used)
{
	size_t pos = 0;
	struct run r = { 0 };

	if (n == 0 || !next_run(src, &pos, n, 1, &r) || r.packed || r.count != n || r.value != value)
		return false;
	*used = pos;
	return true;
}

/* Groups of eight are `width` bytes; each value is cut out of a four-byte load, which may reach four bytes beyond the group. */
static uint32_t unpack_indices(const struct run *r, unsigned width, uint32_t *out)
{
	uint32_t mask = (1u << width) - 1, max = 0;

	for (size_t i = 0; i < r->count; i += 8) {
		size_t from = i / 8 * width, n = OG_MIN(r->count - i, 8u);
		const uint8_t *p = r->bits + from;
		uint8_t last[32] = { 0 };

		if (r->bytes - from < width + 4) {
			memcpy(last, p, width);
			p = last;
		}
		for (unsigned j = 0; j < n; j++) {
			uint32_t v = og_le32(p + j * width / 8) >> (j * width % 8) & mask;

			out[i + j] = v;
			max = OG_MAX(max, v);
		}
	}
	return max;
}

bool pq_get_hybrid32(struct og_slice src, size_t n, unsigned width, uint32_t max, uint32_t *out)
{
	size_t pos = 0;
	struct run r;

	if (width == 0 || width > 16)
		return false;
	for (size_t done = 0; done < n; done += r.count) {
		if (!next_run(src, &pos, n - done, width, &r))
			return false;
		if (r.packed) {
			if (unpack_indices(&r, width, out + done) > max)
				return false;
		} else {
			if (r.value > max)
				return false;
			for (size_t i = 0; i < r.count; i++)
				out[done + i] = r.value;
		}
	}
	return pos == src.len;
}

static size_t count_valid(const uint8_t *valid, size_t n)
{
	size_t k = 0;

	if (!valid)
		return n;
	for (size_t i = 0; i < n; i++)
		k += valid[i] != 0;
	return k;
}

static enum pq_decoded plain_bool(struct og_colvec *out, struct og_slice src, const uint8_t *valid, size_t n, size_t nvalid)
{
	uint8_t *dst = out->u8 + out->rows;
	size_t k = 0;

	if (src.len != (nvalid + 7) / 8)
		return PQ_BAD;
	for (size_t i = 0; i < n; i++) {
		dst[i] = 0;
		if (valid && !valid[i])
			continue;
		dst[i] = (uint8_t)src.p[k / 8] >> (k % 8) & 1;
		k++;
	}
	og_colvec_commit_rows(out, valid, n);
	return out->failed ? PQ_NO_MEMORY : PQ_GOOD;
}

static inline __attribute__((always_inline)) void spread(uint8_t *dst, const char *src, const uint8_t *valid, size_t n, size_t width)
{
	for (size_t i = 0; i < n; i++, dst += width) {
		if (valid[i]) {
			memcpy(dst, src, width);
			src += width;
		} else {
			memset(dst, 0, width);
		}
	}
}

static enum pq_decoded plain_fixed(struct og_colvec *out, struct og_slice src, const uint8_t *valid, size_t n, size_t nvalid)
{
	uint8_t *dst = out->u8 + out->rows * out->width;

	if (src.len != nvalid * out->width)
		return PQ_BAD;
	if (nvalid == n)
		memcpy(dst, src.p, src.len);
	else if (out->width == 4)
		spread(dst, src.p, valid, n, 4);
	else if (out->width == 8)
		spread(dst, src.p, valid, n, 8);
	else
		spread(dst, src.p, valid, n, out->width);
	og_colvec_commit_rows(out, valid, n);
	return out->failed ? PQ_NO_MEMORY : PQ_GOOD;
}

/* What JSON and comparisons rely on. Mostly ASCII, which one sweep over the bytes shows. */
static bool all_utf8(const char *bytes, const uint32_t *offsets, size_t n)
{
	const char *p = bytes + offsets[0];
	size_t len = offsets[n] - offsets[0], i = 0;
	uint64_t high = 0;

	for (; i + 8 <= len; i += 8)
		high |= og_le64(p + i);
	for (; i < len; i++)
		high |= (uint8_t)p[i];
	if (!(high & 0x8080808080808080u))
		return true;
	for (i = 0; i < n; i++) {
		struct og_slice s = og_slice(bytes + offsets[i], offsets[i + 1] - offsets[i]);

		if (og_utf8_check(s) != s.len)
			return false;
	}
	return true;
}

/* The rows' offsets and bytes are in place. */
static enum pq_decoded commit_strings(struct og_colvec *out, const uint8_t *valid, size_t n, size_t nbytes)
{
	if (out->type.scalar == OG_STRING && nbytes && !all_utf8(out->bytes, out->offsets + out->rows, n))
		return PQ_BAD;
	out->nbytes += nbytes;
	og_colvec_commit_rows(out, valid, n);
	return out->failed ? PQ_NO_MEMORY : PQ_GOOD;
}

static enum pq_decoded plain_strings(struct og_colvec *out, struct og_slice src, const uint8_t *valid, size_t n, size_t nvalid)
{
	const char *p = src.p;
	uint32_t *offsets;
	size_t total, room;
	char *dst;

	if (src.len / 4 < nvalid)
		return PQ_BAD;
	/* What is not a length is text: no text may take more than is left of that. */
	total = room = src.len - 4 * nvalid;
	if (!og_colvec_reserve(out, n, total))
		return PQ_NO_MEMORY;
	offsets = out->offsets + out->rows;
	dst = out->bytes + out->nbytes;
	for (size_t i = 0; i < n; i++) {
		uint32_t len;

		offsets[i + 1] = offsets[i];
		if (valid && !valid[i])
			continue;
		len = og_le32(p);
		if (len > room)
			return PQ_BAD;
		room -= len;
		if (len)
			memcpy(dst, p + 4, len);
		p += 4 + (size_t)len;
		dst += len;
		offsets[i + 1] += len;
	}
	return room ? PQ_BAD : commit_strings(out, valid, n, total);
}

enum pq_decoded pq_get_plain(struct og_colvec *out, struct og_slice src, const uint8_t *valid, size_t n)
{
	size_t nvalid = count_valid(valid, n);

	if (n == 0)
		return src.len ? PQ_BAD : PQ_GOOD;
	if (!out->width)
		return plain_strings(out, src, valid, n, nvalid);
	/* Nulls cost nothing in the file, but room here. */
	if (n > OG_PQ_PAGE_MAX / out->width)
		return PQ_BAD;
	if (!og_colvec_reserve(out, n, 0))
		return PQ_NO_MEMORY;
	if (out->type.scalar == OG_BOOL)
		return plain_bool(out, src, valid, n, nvalid);
	return plain_fixed(out, src, valid, n, nvalid);
}

bool pq_dictionary_scan(struct pq_dictionary *d)
{
	size_t pos = 0;

	for (uint32_t i = 0; i < d->count; i++) {
		if (d->page.len - pos < 4)
			return false;
		d->offsets[i] = (uint32_t)pos;
		if (og_le32(d->page.p + pos) > d->page.len - pos - 4)
			return false;
		pos += 4 + (size_t)og_le32(d->page.p + pos);
	}
	return pos == d->page.len;
}

static inline __attribute__((always_inline)) void pick(uint8_t *dst, const char *values, const uint32_t *index, const uint8_t *valid, size_t n, size_t width)
{
	for (size_t i = 0; i < n; i++, dst += width) {
		if (!valid || valid[i])
			memcpy(dst, values + *index++ * width, width);
		else
			memset(dst, 0, width);
	}
}

static enum pq_decoded indexed_strings(struct og_colvec *out, const struct pq_dictionary *d, const uint32_t *index, const uint8_t *valid, size_t n,
				       size_t nvalid)
{
	size_t total = 0;
	uint32_t *offsets;
	char *dst;

	/* A long text may be named by few bits a million times. */
	for (size_t i = 0; i < nvalid; i++) {
		total += og_le32(d->page.p + d->offsets[index[i]]);
		if (total > OG_PQ_PAGE_MAX)
			return PQ_BAD;
	}
	if (!og_colvec_reserve(out, n, total))
		return PQ_NO_MEMORY;
	offsets = out->offsets + out->rows;
	dst = out->bytes + out->nbytes;
	for (size_t i = 0; i < n; i++) {
		const char *entry;
		uint32_t len;

		offsets[i + 1] = offsets[i];
		if (valid && !valid[i])
			continue;
		entry = d->page.p + d->offsets[*index++];
		len = og_le32(entry);
		if (len)
			memcpy(dst, entry + 4, len);
		dst += len;
		offsets[i + 1] += len;
	}
	return commit_strings(out, valid, n, total);
}

enum pq_decoded pq_get_indexed(struct og_colvec *out, const struct pq_dictionary *d, const uint32_t *index, const uint8_t *valid, size_t n)
{
	uint8_t *dst;

	if (!out->width)
		return indexed_strings(out, d, index, valid, n, count_valid(valid, n));
	if (!og_colvec_reserve(out, n, 0))
		return PQ_NO_MEMORY;
	dst = out->u8 + out->rows * out->width;
	if (out->width == 4)
		pick(dst, d->page.p, index, valid, n, 4);
	else
		pick(dst, d->page.p, index, valid, n, 8);
	og_colvec_commit_rows(out, valid, n);
	return out->failed ? PQ_NO_MEMORY : PQ_GOOD;
}
