/* Several hops: breadth-first search with a bitmap of what was visited. */
#include "config.h"

#include "engine/run.h"

static void clear_marks(struct eng_nbr *n, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		n->seen[n->list[i] >> 6] &= ~(1ull << (n->list[i] & 63));
}

static void mark_new(struct eng_nbr *n, const uint32_t *peers, size_t count, size_t *len)
{
	uint64_t *seen = n->seen;
	uint32_t *list = n->list;
	size_t k = *len;

	for (size_t i = 0; i < count; i++) {
		uint32_t s = peers[i];
		uint64_t bit = 1ull << (s & 63), word = seen[s >> 6];

		/* Written unconditionally: whether it was new is hard to predict. */
		list[k] = s;
		k += !(word & bit);
		seen[s >> 6] = word | bit;
	}
	*len = k;
}

/* Appends what one node newly reaches in one direction. There is room for one entry more than is used. */
static int visit(struct eng_nbr *n, enum og_dir dir, uint32_t node, size_t *len, size_t *edges, struct og_error *err)
{
	uint32_t buf[256], state = 0;
	size_t got;
	int rc;

	if (n->plain) {
		const struct og_adjdir *d = dir == OG_OUT ? &og_view_adj(n->et)->out : &og_view_adj(n->et)->in;
		uint32_t a, z;

		og_adj_run(d, node, &a, &z);
		if (a == z)
			return 0;
		*edges += z - a;
		rc = eng_nbr_room(n, *len + (z - a) + 1, err);
		if (rc == 0)
			mark_new(n, d->peers + a, z - a, len);
		return rc;
	}
	while ((got = og_view_expand(n->et, dir, node, &state, buf, NULL, OG_COUNT(buf)))) {
		*edges += got;
		rc = eng_nbr_room(n, *len + got + 1, err);
		if (rc < 0)
			return rc;
		mark_new(n, buf, got, len);
	}
	return 0;
}

/* One more hop from list[from..to). */
static int next_level(struct eng_nbr *n, size_t from, size_t to, size_t *len, size_t *edges, struct og_error *err)
{
	size_t checked = *edges;
	int rc = 0;

	for (size_t i = from; rc == 0 && i < to; i++) {
		uint32_t node = n->list[i];

		if (n->out)
			rc = visit(n, OG_OUT, node, len, edges, err);
		if (rc == 0 && n->in)
			rc = visit(n, OG_IN, node, len, edges, err);
		if (*edges - checked > ENG_CHECK_EDGES) {
			checked = *edges;
			if (rc == 0)
				rc = eng_cancelled(n->x, err);
		}
	}
	return rc;
}

int eng_bfs(struct eng_nbr *n, uint32_t from, bool keep, size_t *first, size_t *count, struct og_error *err)
{
	size_t level = 0, len = 1, end = 1, edges = 0, result = SIZE_MAX;
	int rc;

	if ((rc = eng_nbr_seen(n, err)) < 0 || (rc = eng_nbr_room(n, 64, err)) < 0)
		return rc;
	/* Only reached with marks kept from another start, which then lie in list[0..nmarked). */
	clear_marks(n, 0, n->nmarked);
	n->nmarked = 0;
	n->start = OG_SLOT_NONE;
	n->list[0] = from;
	n->seen[from >> 6] |= 1ull << (from & 63);
	for (uint32_t depth = 1; depth <= n->max; depth++) {
		rc = next_level(n, level, end, &len, &edges, err);
		if (rc < 0)
			return rc;
		if (len == end)
			break;
		if (depth >= n->min && result == SIZE_MAX)
			result = end;
		level = end;
		end = len;
	}
	if (result == SIZE_MAX)
		result = len;
	*first = result;
	*count = len - result;
	if (keep) {
		clear_marks(n, 0, result);
		n->nmarked = len;
		n->start = from;
	} else {
		clear_marks(n, 0, len);
	}
	/* Booked by whoever takes the list, apart from the edges that led nowhere new. */
	n->x->spent += edges;
	return 0;
}
