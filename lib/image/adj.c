/* Edges: endpoints to slots, the order of edge slots, adjacency in both directions. */
#include "config.h"

#include <stdlib.h>

#include "image/job.h"

/* One end of every edge: the column of ids, the node type's index, and where in the key the slot goes. */
struct end {
	const char *name;
	uint32_t prop_id;
	const struct og_img *idx;
	struct og_img *const *ids;
	uint32_t nids;
	unsigned shift;
};

/* Edges looked up at a time. */
#define ENDS_CHUNK 256u

/* The ids at one end of the places [from, from + n). */
static int end_ids(const struct og_job *j, const struct end *e, const struct og_job_column *col, uint32_t from, uint32_t n, struct og_slice *ids,
		   struct og_error *err)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row, layer = og_job_at(j, from + i, &row);
		const struct og_colvec *v = &col->layers[layer];

		if (v->rows == 0 || og_colvec_is_null(v, row))
			return og_error_set(err, OG_ERR_CORRUPT, "layer %u: an edge without a %s", layer, e->name);
		ids[i] = og_colvec_str(v, row);
	}
	return 0;
}

static int find_chunk(struct og_job *j, const struct end *e, const struct og_job_column *col, uint32_t from, uint32_t n, struct og_error *err)
{
	struct og_slice ids[ENDS_CHUNK], want[ENDS_CHUNK];
	uint32_t slots[ENDS_CHUNK], which[ENDS_CHUNK], nwant = 0;
	int rc;

	if ((rc = end_ids(j, e, col, from, n, ids, err)) < 0)
		return rc;
	/* Edges mostly come by source: one look-up a run of them. */
	for (uint32_t i = 0; i < n; i++) {
		if (!i || !og_slice_eq(ids[i], ids[i - 1]))
			want[nwant++] = ids[i];
		which[i] = nwant - 1;
	}
	if (e->idx)
		og_idx_find_many(e->idx, e->ids, e->nids, want, nwant, slots);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t row;

		if (!e->idx || slots[which[i]] == OG_SLOT_NONE)
			return og_error_set(err, OG_ERR_CORRUPT, "layer %u: %s \"%.*s\" of an edge does not exist", og_job_at(j, from + i, &row),
					    e->name, OG_FMT(ids[i]));
		j->ends[from + i] |= (uint64_t)slots[which[i]] << e->shift;
	}
	return 0;
}

static int find_ends(struct og_job *j, const struct end *e, struct og_error *err)
{
	struct og_job_column col;
	int rc = og_job_column(j, e->prop_id, &og_type_string, &col, err);
	uint32_t n;

	for (uint32_t from = 0; rc == 0 && from < j->nplaces; from += n) {
		n = OG_MIN(ENDS_CHUNK, j->nplaces - from);
		rc = find_chunk(j, e, &col, from, n, err);
	}
	og_job_column_fini(&col);
	return rc;
}

#define DIGIT_BITS 11u
#define DIGITS (1u << DIGIT_BITS)

/*
 * Stable radix sort (least significant digit first) of keys with their places; digits in which all keys agree are skipped.
 * Reference: Knuth, The Art of Computer Programming, volume 3, section 5.2.5.
 */
static int radix_sort(uint64_t *keys, uint32_t *places, uint32_t n, struct og_error *err)
{
	uint64_t *k2 = malloc(n * sizeof(*k2)), *ka = keys, *kb = k2, ones = 0, zeros = 0;
	uint32_t *p2 = malloc(n * sizeof(*p2)), *pa = places, *pb = p2;
	int rc = 0;

	if (!k2 || !p2) {
		rc = og_error_nomem(err);
		goto out;
	}
	for (uint32_t i = 0; i < n; i++) {
		ones |= keys[i];
		zeros |= ~keys[i];
	}
	for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
		uint32_t count[DIGITS] = { 0 }, at = 0;

		if (((ones & zeros) >> shift & (DIGITS - 1)) == 0)
			continue;
		for (uint32_t i = 0; i < n; i++)
			count[ka[i] >> shift & (DIGITS - 1)]++;
		for (uint32_t d = 0; d < DIGITS; d++) {
			uint32_t c = count[d];

			count[d] = at;
			at += c;
		}
		for (uint32_t i = 0; i < n; i++) {
			uint32_t to = count[ka[i] >> shift & (DIGITS - 1)]++;

			kb[to] = ka[i];
			pb[to] = pa[i];
		}
		ka = kb;
		pa = pb;
		kb = ka == keys ? k2 : keys;
		pb = pa == places ? p2 : places;
	}
	if (ka != keys) {
		memcpy(keys, ka, n * sizeof(*keys));
		memcpy(places, pa, n * sizeof(*places));
	}
out:
	free(k2);
	free(p2);
	return rc;
}

/* Keys with their places into the order of the sources alone, stably, by counting: slots are dense. */
static int sort_by_source(uint64_t *keys, uint32_t *places, uint32_t n, uint32_t slots, struct og_error *err)
{
	uint32_t *first = calloc((size_t)slots + 1, sizeof(*first)), *p2 = malloc(n * sizeof(*p2));
	uint64_t *k2 = malloc(n * sizeof(*k2));
	int rc = 0;

	if (!first || !p2 || !k2) {
		rc = og_error_nomem(err);
		goto out;
	}
	for (uint32_t i = 0; i < n; i++)
		first[(keys[i] >> 32) + 1]++;
	for (uint32_t s = 0; s < slots; s++)
		first[s + 1] += first[s];
	for (uint32_t i = 0; i < n; i++) {
		uint32_t to = first[keys[i] >> 32]++;

		k2[to] = keys[i];
		p2[to] = places[i];
	}
	memcpy(keys, k2, n * sizeof(*keys));
	memcpy(places, p2, n * sizeof(*places));
out:
	free(first);
	free(p2);
	free(k2);
	return rc;
}

/* Below this many an insertion sort is the fastest. */
#define SMALL_RUN 32u

static int sort_run(uint64_t *keys, uint32_t *places, uint32_t n, struct og_error *err)
{
	if (n > SMALL_RUN)
		return radix_sort(keys, places, n, err);
	for (uint32_t i = 1; i < n; i++) {
		uint64_t key = keys[i];
		uint32_t place = places[i], k = i;

		for (; k > 0 && keys[k - 1] > key; k--) {
			keys[k] = keys[k - 1];
			places[k] = places[k - 1];
		}
		keys[k] = key;
		places[k] = place;
	}
	return 0;
}

/* By source, then the run of each by target: most loads come by source already, and most runs are short. */
static int sort_edges(struct og_job *j, bool by_source, struct og_error *err)
{
	uint32_t n = j->nplaces, to;
	int rc = 0;

	if (!by_source && (rc = sort_by_source(j->ends, j->order, n, (uint32_t)j->in->src_idx->rows, err)) < 0)
		return rc;
	for (uint32_t from = 0; rc == 0 && from < n; from = to) {
		bool falls = false;

		for (to = from + 1; to < n && j->ends[to] >> 32 == j->ends[from] >> 32; to++)
			falls |= j->ends[to - 1] > j->ends[to];
		if (falls)
			rc = sort_run(j->ends + from, j->order + from, to - from, err);
	}
	return rc;
}

int og_job_sort(struct og_job *j, struct og_error *err)
{
	const struct og_build_in *in = j->in;
	struct end ends[2] = {
		{ "source", OG_PROP_SRC, in->src_idx, in->src_ids, (uint32_t)in->nsrc_ids, 32 },
		{ "target", OG_PROP_DST, in->dst_idx, in->dst_ids, (uint32_t)in->ndst_ids, 0 },
	};
	bool falls = false, source_falls = false;
	int rc;

	j->ends = calloc(j->nplaces ? j->nplaces : 1, sizeof(*j->ends));
	if (!j->ends)
		return og_error_nomem(err);
	for (size_t e = 0; e < OG_COUNT(ends); e++)
		if ((rc = find_ends(j, &ends[e], err)) < 0)
			return rc;
	for (uint32_t i = 1; i < j->nplaces; i++) {
		falls |= j->ends[i - 1] > j->ends[i];
		source_falls |= j->ends[i - 1] >> 32 > j->ends[i] >> 32;
	}
	if (!falls)
		return 0;
	j->order = malloc(j->nplaces * sizeof(*j->order));
	if (!j->order)
		return og_error_nomem(err);
	for (uint32_t i = 0; i < j->nplaces; i++)
		j->order[i] = i;
	return sort_edges(j, !source_falls, err);
}

/* Bitmap, ranks and run bounds out of the number of edges of each slot; first[] becomes the position of each slot's run. */
static void fill_runs(const struct og_img_writer *w, unsigned dir, uint32_t slots, uint32_t *first)
{
	uint64_t *bitmap = og_img_buf(w, dir + OG_BUF_BITMAP);
	uint32_t *rank = og_img_buf(w, dir + OG_BUF_RANK), *runs = og_img_buf(w, dir + OG_BUF_RUNS);
	uint32_t run = 0, at = 0;

	for (uint32_t s = 0; s < slots; s++) {
		uint32_t n = first[s];

		if ((s & 63) == 0)
			rank[s >> 6] = run;
		first[s] = at;
		if (!n)
			continue;
		bitmap[s >> 6] |= 1ull << (s & 63);
		runs[run++] = at;
		at += n;
	}
	runs[run] = at;
}

static uint32_t count_runs(const uint32_t *counts, uint32_t slots)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < slots; s++)
		n += counts[s] != 0;
	return n;
}

static void plan_dir(struct og_img_head *h, unsigned dir, uint64_t slots, uint64_t runs, uint64_t edges)
{
	h->bufs[dir + OG_BUF_BITMAP].len = (slots + 63) / 64 * sizeof(uint64_t);
	h->bufs[dir + OG_BUF_RANK].len = (slots + 63) / 64 * sizeof(uint32_t);
	h->bufs[dir + OG_BUF_RUNS].len = (runs + 1) * sizeof(uint32_t);
	h->bufs[dir + OG_BUF_PEERS].len = edges * sizeof(uint32_t);
}

int og_job_emit_adj(struct og_job *j, const struct og_job_out *out, struct og_error *err)
{
	uint32_t nout = j->in->src_idx ? (uint32_t)j->in->src_idx->rows : 0, nin = j->in->dst_idx ? (uint32_t)j->in->dst_idx->rows : 0;
	uint32_t *first_out = calloc((size_t)nout + 1, sizeof(uint32_t)), *first_in = calloc((size_t)nin + 1, sizeof(uint32_t));
	uint32_t *out_peers, *in_peers;
	struct og_img_writer w = { .head.key = og_job_key(j, OG_IMG_ADJ, 0, 0) };
	int rc;

	if (!first_out || !first_in) {
		rc = og_error_nomem(err);
		goto out;
	}
	w.head.rows = j->nplaces;
	w.head.out_slots = nout;
	w.head.in_slots = nin;
	/* Slots are below nout and nin: the index that gave them was checked against its rows. */
	for (uint32_t i = 0; i < j->nplaces; i++) {
		first_out[j->ends[i] >> 32]++;
		first_in[(uint32_t)j->ends[i]]++;
		w.head.parallel |= i > 0 && j->ends[i - 1] == j->ends[i];
	}
	plan_dir(&w.head, 0, nout, count_runs(first_out, nout), j->nplaces);
	plan_dir(&w.head, OG_BUF_IN, nin, count_runs(first_in, nin), j->nplaces);
	if ((rc = og_img_begin(&w, err)) < 0)
		goto out;
	fill_runs(&w, 0, nout, first_out);
	fill_runs(&w, OG_BUF_IN, nin, first_in);
	out_peers = og_img_buf(&w, OG_BUF_PEERS);
	in_peers = og_img_buf(&w, OG_BUF_IN + OG_BUF_PEERS);
	/* Edges come by source, so the sources of a target's run come out ascending. */
	for (uint32_t i = 0; i < j->nplaces; i++) {
		uint32_t dst = (uint32_t)j->ends[i];

		out_peers[i] = dst;
		in_peers[first_in[dst]++] = (uint32_t)(j->ends[i] >> 32);
	}
	rc = og_job_emit(&w, out, err);
out:
	free(first_out);
	free(first_in);
	return rc;
}
