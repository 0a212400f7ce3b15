/* The hash index id -> slot. */
#include "config.h"

#include "base/map.h"
#include "image/job.h"

/* Buckets, so that at most three entries in five are taken. */
static uint64_t buckets(uint64_t rows)
{
	return rows * 5 / (3 * OG_IDX_WAYS) + 1;
}

static struct og_slice id_at(const struct og_job *j, uint32_t slot, uint32_t *layer)
{
	uint32_t row;

	*layer = og_job_at(j, slot, &row);
	return og_colvec_str(&j->layers[*layer].id, row);
}

/* The first free way of the bucket; OG_IDX_WAYS: it is full. OG_ERR_CORRUPT if the id is there already. */
static int free_way(const struct og_job *j, const struct og_idx_bucket *b, uint8_t tag, struct og_slice id, struct og_error *err)
{
	unsigned i;

	for (i = 0; i < OG_IDX_WAYS && b->tags[i]; i++) {
		uint32_t layer;

		/* Only a layer that was taken as it is can have an id twice. */
		if (b->tags[i] == tag && og_slice_eq(id, id_at(j, b->slots[i], &layer)))
			return og_error_set(err, OG_ERR_CORRUPT, "layer %u: id \"%.*s\" twice", layer, OG_FMT(id));
	}
	return (int)i;
}

static int fill(const struct og_job *j, struct og_idx_bucket *idx, uint64_t n, struct og_error *err)
{
	for (uint32_t slot = 0; slot < j->nplaces; slot++) {
		uint32_t layer;
		struct og_slice id = id_at(j, slot, &layer);
		uint64_t hash = og_hash(id), pos;
		uint8_t tag = (uint8_t)hash ? (uint8_t)hash : 1;
		int way;

		for (pos = og_idx_bucket_of(hash, n); (way = free_way(j, &idx[pos], tag, id, err)) == (int)OG_IDX_WAYS; pos = pos + 1 < n ? pos + 1 : 0)
			;
		if (way < 0)
			return way;
		idx[pos].tags[way] = tag;
		idx[pos].slots[way] = slot;
	}
	return 0;
}

int og_job_emit_index(struct og_job *j, const struct og_job_out *out, struct og_error *err)
{
	uint64_t n = buckets(j->nplaces);
	struct og_img_writer w = { .head.key = og_job_key(j, OG_IMG_IDX, 0, 0), .head.rows = j->nplaces };
	int rc;

	if ((rc = og_job_read_ids(j, err)) < 0)
		return rc;
	w.head.bufs[OG_BUF_IDX].len = n * sizeof(struct og_idx_bucket);
	if ((rc = og_img_begin(&w, err)) < 0)
		return rc;
	if ((rc = fill(j, og_img_buf(&w, OG_BUF_IDX), n, err)) < 0) {
		og_img_abort(&w);
		return rc;
	}
	return og_job_emit(&w, out, err);
}
