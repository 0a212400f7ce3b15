/* Neighbours of a node over one edge type, as a list without repetitions. */
#include "config.h"

#include "engine/run.h"

#include <stdlib.h>

#define CHUNK 256

void eng_nbr_init(struct eng_nbr *n, struct og_exec *x, const struct eng_trav *t, bool from_src)
{
	const struct og_catalog *c = x->v->catalog;

	*n = (struct eng_nbr){
		.x = x,
		.et = eng_vtype(x, t->edge),
		.to = eng_vtype(x, &c->types[from_src ? t->edge->dst_type : t->edge->src_type]),
		.out = from_src || t->undirected,
		.in = !from_src || t->undirected,
		.edges = t->edge_var >= 0,
		.bounded = t->bounded,
		.empty = t->empty,
		.min = t->min,
		.max = t->max,
		.start = OG_SLOT_NONE,
	};
	n->plain = og_view_adj_plain(n->et);
	/* A type that never had rows has no image to read either. */
	if (n->plain && !og_view_adj(n->et))
		n->empty = true;
}

int eng_nbr_room(struct eng_nbr *n, size_t want, struct og_error *err)
{
	uint32_t *grown;

	if (want > n->cap) {
		grown = og_arena_grow(&n->x->arena, n->list, &n->cap, want, sizeof(*grown));
		if (!grown)
			return eng_no_memory(n->x, err);
		n->list = grown;
	}
	if (n->edges && want > n->ecap) {
		grown = og_arena_grow(&n->x->arena, n->elist, &n->ecap, want, sizeof(*grown));
		if (!grown)
			return eng_no_memory(n->x, err);
		n->elist = grown;
	}
	return 0;
}

int eng_nbr_seen(struct eng_nbr *n, struct og_error *err)
{
	if (!n->seen)
		n->seen = og_arena_array(&n->x->arena, (size_t)n->to->slots / 64 + 1, sizeof(*n->seen));
	return n->seen ? 0 : eng_no_memory(n->x, err);
}

static const struct og_adjdir *direction(const struct eng_nbr *n, enum og_dir dir)
{
	return dir == OG_OUT ? &og_view_adj(n->et)->out : &og_view_adj(n->et)->in;
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Neighbours of images come by peer, those of deltas in the order of their commits. Sorted, they come as they would if all of them lay in
 * images: which commits were folded when must not show.
 */
static int sort_run(struct eng_nbr *n, size_t from, size_t to, struct og_error *err)
{
	size_t len = to - from;

	if (len < 2)
		return 0;
	if (len > n->kcap) {
		uint64_t *grown = og_arena_grow(&n->x->arena, n->keys, &n->kcap, len, sizeof(*grown));

		if (!grown)
			return eng_no_memory(n->x, err);
		n->keys = grown;
	}
	for (size_t i = 0; i < len; i++)
		n->keys[i] = (uint64_t)n->list[from + i] << 32 | (n->edges ? n->elist[from + i] : 0);
	qsort(n->keys, len, sizeof(*n->keys), by_key);
	for (size_t i = 0; i < len; i++) {
		n->list[from + i] = (uint32_t)(n->keys[i] >> 32);
		if (n->edges)
			n->elist[from + i] = (uint32_t)n->keys[i];
	}
	return 0;
}

int eng_nbr_raw(struct eng_nbr *n, enum og_dir dir, uint32_t from, size_t *len, struct og_error *err)
{
	size_t got, start = *len;
	uint32_t state = 0;
	int rc;

	if (n->plain && !n->edges) {
		const struct og_adjdir *d = direction(n, dir);
		uint32_t a, z;

		og_adj_run(d, from, &a, &z);
		rc = eng_nbr_room(n, *len + (z - a), err);
		if (rc < 0)
			return rc;
		if (z > a)
			memcpy(n->list + *len, d->peers + a, (z - a) * sizeof(*n->list));
		*len += z - a;
		return 0;
	}
	do {
		rc = eng_nbr_room(n, *len + CHUNK, err);
		if (rc < 0)
			return rc;
		got = og_view_expand(n->et, dir, from, &state, n->list + *len, n->edges ? n->elist + *len : NULL, CHUNK);
		*len += got;
	} while (got);
	return n->plain ? 0 : sort_run(n, start, *len, err);
}

/* Keeps the first of equal peers. */
static int distinct(struct eng_nbr *n, size_t *len, struct og_error *err)
{
	size_t k = 0;
	int rc = eng_nbr_seen(n, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < *len; i++) {
		uint32_t s = n->list[i];

		if (n->seen[s >> 6] >> (s & 63) & 1)
			continue;
		n->seen[s >> 6] |= 1ull << (s & 63);
		n->list[k++] = s;
	}
	*len = k;
	for (size_t i = 0; i < k; i++)
		n->seen[n->list[i] >> 6] = 0;
	return 0;
}

/* Followed in both directions a self-loop would come twice. */
static size_t drop_loops(struct eng_nbr *n, size_t at, size_t len, uint32_t from)
{
	size_t k = at;

	for (size_t i = at; i < len; i++) {
		if (n->list[i] == from)
			continue;
		n->list[k] = n->list[i];
		n->elist[k] = n->elist[i];
		k++;
	}
	return k;
}

static int list_images(struct eng_nbr *n, uint32_t from, const uint32_t **peers, size_t *count, struct og_error *err)
{
	const struct og_adjdir *d = direction(n, n->out ? OG_OUT : OG_IN);
	uint32_t a, z;
	size_t k = 0;
	int rc;

	og_adj_run(d, from, &a, &z);
	*peers = d->peers + a;
	*count = z - a;
	if (!og_view_adj(n->et)->parallel || z - a < 2)
		return 0;
	rc = eng_nbr_room(n, z - a, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = a; i < z; i++)
		if (i == a || d->peers[i] != d->peers[i - 1])
			n->list[k++] = d->peers[i];
	*peers = n->list;
	*count = k;
	return 0;
}

int eng_nbr_list(struct eng_nbr *n, uint32_t from, const uint32_t **peers, const uint32_t **edges, size_t *count, struct og_error *err)
{
	size_t len = 0, first = 0, mid;
	int rc = 0;

	*count = 0;
	*edges = NULL;
	if (n->empty)
		return 0;
	if (n->bounded) {
		rc = eng_bfs(n, from, false, &first, count, err);
		*peers = n->list + first;
		return rc;
	}
	if (n->plain && !n->edges && !(n->out && n->in))
		return list_images(n, from, peers, count, err);
	if (n->out)
		rc = eng_nbr_raw(n, OG_OUT, from, &len, err);
	mid = len;
	if (rc == 0 && n->in)
		rc = eng_nbr_raw(n, OG_IN, from, &len, err);
	if (rc == 0 && n->edges && n->out)
		len = drop_loops(n, mid, len, from);
	else if (rc == 0 && !n->edges)
		rc = distinct(n, &len, err);
	*peers = n->list;
	*edges = n->elist;
	*count = len;
	return rc;
}

/* Runs of images are sorted by peer. */
static bool in_run(const struct og_adjdir *d, uint32_t a, uint32_t z, uint32_t peer)
{
	while (a < z) {
		uint32_t m = a + (z - a) / 2;

		if (d->peers[m] == peer)
			return true;
		if (d->peers[m] < peer)
			a = m + 1;
		else
			z = m;
	}
	return false;
}

/* One edge in one direction, sought from the end that has fewer. */
static bool adjacent(const struct eng_nbr *n, enum og_dir dir, uint32_t from, uint32_t to)
{
	enum og_dir back = dir == OG_OUT ? OG_IN : OG_OUT;
	uint32_t peers[CHUNK], state = 0;
	size_t got;

	if (og_view_degree(n->et, dir, from) > og_view_degree(n->et, back, to)) {
		uint32_t swap = from;

		from = to;
		to = swap;
		dir = back;
	}
	if (n->plain) {
		const struct og_adjdir *d = direction(n, dir);
		uint32_t a, z;

		og_adj_run(d, from, &a, &z);
		return in_run(d, a, z, to);
	}
	while ((got = og_view_expand(n->et, dir, from, &state, peers, NULL, CHUNK)))
		for (size_t i = 0; i < got; i++)
			if (peers[i] == to)
				return true;
	return false;
}

int eng_nbr_reaches(struct eng_nbr *n, uint32_t from, uint32_t to, struct og_error *err)
{
	size_t first, count;
	int rc;

	if (n->empty)
		return 0;
	if (!n->bounded)
		return (n->out && adjacent(n, OG_OUT, from, to)) || (n->in && adjacent(n, OG_IN, from, to));
	/* Rows with one start follow each other: its marks are kept until another comes. */
	if (n->start != from) {
		rc = eng_bfs(n, from, true, &first, &count, err);
		if (rc < 0)
			return rc;
	}
	return n->seen[to >> 6] >> (to & 63) & 1;
}
