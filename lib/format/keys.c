/* Hashes of what writes depend on, and their list. */
#include "config.h"

#include "format/keys.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/codec.h"

uint64_t og_key_hash(enum og_key_kind kind, uint32_t type, struct og_slice payload)
{
	char small[256];
	XXH3_state_t st;

	small[0] = (char)kind;
	memcpy(small + 1, &type, sizeof(type));
	if (payload.len <= sizeof(small) - 5) {
		if (payload.len)
			memcpy(small + 5, payload.p, payload.len);
		return XXH3_64bits(small, 5 + payload.len);
	}
	XXH3_64bits_reset(&st);
	XXH3_64bits_update(&st, small, 5);
	XXH3_64bits_update(&st, payload.p, payload.len);
	return XXH3_64bits_digest(&st);
}

void og_key_unique(struct og_buf *b, uint32_t constraint, const struct og_slice *values, size_t nvalues)
{
	og_put_u32(b, constraint);
	for (size_t i = 0; i < nvalues; i++)
		og_put_bytes(b, values[i]);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

size_t og_keys_sort(uint64_t *keys, size_t n)
{
	size_t out = 0;

	if (n)
		qsort(keys, n, sizeof(*keys), by_number);
	for (size_t i = 0; i < n; i++)
		if (!out || keys[i] != keys[out - 1])
			keys[out++] = keys[i];
	return out;
}

/* The first place in a[from..n) that is not less than key: steps that double, then halves. */
static size_t seek(const uint64_t *a, size_t from, size_t n, uint64_t key)
{
	size_t step = 1, lo = from, hi;

	while (lo + step < n && a[lo + step] < key) {
		lo += step;
		step *= 2;
	}
	hi = OG_MIN(lo + step, n);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (a[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool og_keys_meet(const uint64_t *a, size_t na, const uint64_t *b, size_t nb)
{
	size_t i = 0, k = 0;

	while (i < na && k < nb) {
		if (a[i] == b[k])
			return true;
		if (a[i] < b[k])
			i = seek(a, i, na, b[k]);
		else
			k = seek(b, k, nb, a[i]);
	}
	return false;
}

void og_keys_encode(struct og_buf *b, const uint64_t *w, size_t nw)
{
	og_put_u32(b, (uint32_t)nw);
	og_put_u32(b, 0);
	og_buf_append(b, w, nw * sizeof(*w));
}

int og_keys_decode(struct og_arena *a, struct og_slice body, const uint64_t **w, size_t *nw, struct og_error *err)
{
	struct og_reader r = og_reader_init(body);
	uint32_t n = og_read_u32(&r);
	uint32_t nr = og_read_u32(&r);
	uint64_t *out;

	if (og_reader_ok(&r, err) < 0)
		return OG_ERR_CORRUPT;
	if (n > OG_KEYS_MAX || nr > OG_KEYS_MAX || og_reader_left(&r) != ((size_t)n + nr) * sizeof(uint64_t))
		return og_error_set(err, OG_ERR_CORRUPT, "keys: %u and %u announced in %zu bytes", n, nr, body.len);
	out = og_arena_array(a, n ? n : 1, sizeof(*out));
	if (!out)
		return og_arena_error(a, err);
	for (uint32_t i = 0; i < n; i++) {
		out[i] = og_read_u64(&r);
		if (i && out[i] <= out[i - 1])
			return og_error_set(err, OG_ERR_CORRUPT, "keys: not sorted");
	}
	*w = out;
	*nw = n;
	return 0;
}
