/* Sorting more entries than memory holds. */
#include "config.h"

#include "load/sort.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/fd.h"

#define ENTRIES_MIN 1024u		/* first allocation */
#define RUN_MIN (64u * 1024u)		/* entries; smaller runs would make the merge slow */
#define READ_ENTRIES 8192u		/* of a run at a time */

struct load_entry load_entry_of(struct og_slice s, uint32_t row, uint32_t extra)
{
	XXH128_hash_t h = XXH3_128bits(s.p ? s.p : "", s.len);

	return (struct load_entry){ h.high64, h.low64, row, extra };
}

void load_sorter_init(struct load_sorter *s, struct load_budget *budget)
{
	*s = (struct load_sorter){ .budget = budget, .fd = -1 };
}

void load_sorter_fini(struct load_sorter *s)
{
	if (!s->budget)
		return;
	s->budget->used -= s->cap * sizeof(*s->v);
	free(s->v);
	free(s->runs);
	og_fd_close(&s->fd);
	*s = (struct load_sorter){ .fd = -1 };
}

uint64_t load_sorter_count(const struct load_sorter *s)
{
	return s->spilled + s->n;
}

/* ---- sorting in memory: American flag sort (McIlroy, Bostic, McIlroy 1993) on the bytes of `hi`, which are spread evenly ---- */

static int cmp_entries(const void *a, const void *b)
{
	return load_entry_cmp(a, b);
}

static void insertion(struct load_entry *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct load_entry e = v[i];
		size_t k = i;

		for (; k > 0 && load_entry_cmp(&e, &v[k - 1]) < 0; k--)
			v[k] = v[k - 1];
		v[k] = e;
	}
}

static bool all_same(const struct load_entry *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (v[i].hi != v[0].hi)
			return false;
	return true;
}

static void flag_sort(struct load_entry *v, size_t n, unsigned shift)
{
	size_t next[256], end[256] = { 0 }, from = 0;

	if (n < 32) {
		insertion(v, n);
		return;
	}
	/* The ends of a popular node: one hash, many rows. */
	if (all_same(v, n)) {
		qsort(v, n, sizeof(*v), cmp_entries);
		return;
	}
	for (size_t i = 0; i < n; i++)
		end[v[i].hi >> shift & 255]++;
	for (unsigned b = 0; b < 256; b++) {
		next[b] = from;
		from += end[b];
		end[b] = from;
	}
	for (unsigned b = 0; b < 256; b++) {
		while (next[b] < end[b]) {
			struct load_entry e = v[next[b]];

			for (unsigned d = e.hi >> shift & 255; d != b; d = e.hi >> shift & 255) {
				struct load_entry other = v[next[d]];

				v[next[d]++] = e;
				e = other;
			}
			v[next[b]++] = e;
		}
	}
	for (unsigned b = 0; b < 256; b++) {
		size_t start = b ? end[b - 1] : 0;

		/* At shift 0 a bucket has one hash: all_same. */
		flag_sort(v + start, end[b] - start, shift ? shift - 8 : 0);
	}
}

static void sort_memory(struct load_sorter *s)
{
	flag_sort(s->v, s->n, 56);
}

/* ---- collecting ---- */

static int spill(struct load_sorter *s, struct og_error *err)
{
	int rc;

	if (s->nruns == s->runs_cap) {
		size_t cap = s->runs_cap ? s->runs_cap * 2 : 16;
		struct load_run *runs = realloc(s->runs, cap * sizeof(*runs));

		if (!runs)
			return og_error_nomem(err);
		s->runs = runs;
		s->runs_cap = cap;
	}
	if (s->fd < 0 && (rc = og_tmpfile(NULL, &s->fd, err)) < 0)
		return rc;
	sort_memory(s);
	if ((rc = og_fd_write_all(s->fd, og_slice(s->v, s->n * sizeof(*s->v)), err)) < 0)
		return rc;
	s->runs[s->nruns++] = (struct load_run){ s->spilled, s->n };
	s->spilled += s->n;
	s->n = 0;
	return 0;
}

static int make_room(struct load_sorter *s, struct og_error *err)
{
	size_t cap = s->cap < RUN_MIN ? OG_MAX(s->cap * 2, (size_t)ENTRIES_MIN) : s->cap + s->cap / 2, more = (cap - s->cap) * sizeof(*s->v);
	struct load_budget *b = s->budget;
	struct load_entry *v;

	/* Growing copies: for a moment the old array stands beside the new one. */
	if (b->used + more > b->limit && s->n) {
		if (b->spill && s->n >= RUN_MIN)
			return spill(s, err);
		if (!b->spill)
			return og_error_set(err, OG_ERR_TOO_LARGE, "the load needs more than %zu bytes of memory for its checks", b->limit);
	}
	v = realloc(s->v, cap * sizeof(*v));
	if (!v)
		return og_error_nomem(err);
	b->used += more;
	s->v = v;
	s->cap = cap;
	return 0;
}

int load_sorter_add(struct load_sorter *s, const struct load_entry *e, struct og_error *err)
{
	int rc;

	if (s->n == s->cap && (rc = make_room(s, err)) < 0)
		return rc;
	s->v[s->n++] = *e;
	return 0;
}

/* ---- reading ---- */

static int refill(const struct load_sorter *s, struct load_reader *r, struct og_error *err)
{
	uint64_t left = r->end - r->next;
	int rc;

	r->at = 0;
	r->n = left < r->cap ? (size_t)left : r->cap;
	rc = og_fd_pread_all(s->fd, r->buf, r->n * sizeof(*r->buf), r->next * sizeof(*r->buf), err);
	r->next += r->n;
	return rc;
}

static bool before(const struct load_cursor *c, size_t a, size_t b)
{
	const struct load_reader *x = &c->readers[a], *y = &c->readers[b];

	return load_entry_cmp(&x->buf[x->at], &y->buf[y->at]) < 0;
}

static void sift(struct load_cursor *c, size_t i)
{
	for (;;) {
		size_t least = i, kid = 2 * i + 1, h;

		if (kid < c->nheap && before(c, c->heap[kid], c->heap[least]))
			least = kid;
		if (kid + 1 < c->nheap && before(c, c->heap[kid + 1], c->heap[least]))
			least = kid + 1;
		if (least == i)
			return;
		h = c->heap[i];
		c->heap[i] = c->heap[least];
		c->heap[least] = h;
		i = least;
	}
}

int load_cursor_open(struct load_cursor *c, struct load_sorter *s, struct og_error *err)
{
	int rc;

	*c = (struct load_cursor){ .s = s };
	if (s->nruns && s->n && (rc = spill(s, err)) < 0)
		return rc;
	if (!s->nruns) {
		if (!s->sorted)
			sort_memory(s);
		s->sorted = true;
		return 0;
	}
	/* The runs are on disk: their memory is for others. */
	s->budget->used -= s->cap * sizeof(*s->v);
	free(s->v);
	s->v = NULL;
	s->cap = 0;
	c->readers = calloc(s->nruns, sizeof(*c->readers));
	c->heap = calloc(s->nruns, sizeof(*c->heap));
	if (!c->readers || !c->heap)
		return og_error_nomem(err);
	for (size_t i = 0; i < s->nruns; i++) {
		struct load_reader *r = &c->readers[i];

		r->cap = READ_ENTRIES;
		r->next = s->runs[i].first;
		r->end = s->runs[i].first + s->runs[i].n;
		r->buf = malloc(r->cap * sizeof(*r->buf));
		if (!r->buf)
			return og_error_nomem(err);
		if ((rc = refill(s, r, err)) < 0)
			return rc;
		c->heap[c->nheap++] = i;
	}
	for (size_t i = c->nheap; i-- > 0;)
		sift(c, i);
	return 0;
}

void load_cursor_close(struct load_cursor *c)
{
	for (size_t i = 0; c->readers && i < c->s->nruns; i++)
		free(c->readers[i].buf);
	free(c->readers);
	free(c->heap);
	*c = (struct load_cursor){ 0 };
}

int load_cursor_next(struct load_cursor *c, struct load_entry *e, struct og_error *err)
{
	struct load_reader *r;
	int rc;

	if (!c->readers) {
		if (c->at == c->s->n)
			return 0;
		*e = c->s->v[c->at++];
		return 1;
	}
	if (!c->nheap)
		return 0;
	r = &c->readers[c->heap[0]];
	*e = r->buf[r->at++];
	if (r->at == r->n) {
		if (r->next < r->end) {
			if ((rc = refill(c->s, r, err)) < 0)
				return rc;
		} else {
			c->heap[0] = c->heap[--c->nheap];
		}
	}
	sift(c, 0);
	return 1;
}
