/* The hash index id -> slot. */
#include "config.h"

#include "base/map.h"
#include "image/job.h"

/* At most three entries in five are taken. */
static uint64_t capacity(uint64_t rows)
{
	uint64_t cap = 64;

	while (cap * 3 < rows * 5)
		cap *= 2;
	return cap;
}

static struct og_slice id_at(const struct og_job *j, uint32_t slot, uint32_t *layer)
{
	uint32_t row;

	*layer = og_job_at(j, slot, &row);
	return og_colvec_str(&j->layers[*layer].id, row);
}

static int fill(struct og_job *j, const struct og_img_writer *w, uint64_t mask, struct og_error *err)
{
	uint32_t *idx = og_img_buf(w, OG_BUF_IDX), layer, other;
	uint8_t *tags = og_img_buf(w, OG_BUF_TAGS);

	for (uint32_t slot = 0; slot < j->nplaces; slot++) {
		struct og_slice id = id_at(j, slot, &layer);
		uint64_t hash = og_hash(id), pos = hash >> 8 & mask;
		uint8_t tag = (uint8_t)hash ? (uint8_t)hash : 1;

		for (; tags[pos]; pos = (pos + 1) & mask)
			/* Only a layer that was taken as it is can have an id twice. */
			if (tags[pos] == tag && og_slice_eq(id, id_at(j, idx[pos], &other)))
				return og_error_set(err, OG_ERR_CORRUPT, "layer %u: id \"%.*s\" twice", layer, OG_FMT(id));
		tags[pos] = tag;
		idx[pos] = slot;
	}
	return 0;
}

int og_job_emit_index(struct og_job *j, const struct og_job_out *out, struct og_error *err)
{
	uint64_t cap = capacity(j->nplaces);
	struct og_img_writer w = { .head.key = og_job_key(j, OG_IMG_IDX, 0, 0), .head.rows = j->nplaces };
	int rc;

	w.head.bufs[OG_BUF_IDX].len = cap * sizeof(uint32_t);
	w.head.bufs[OG_BUF_TAGS].len = cap;
	if ((rc = og_img_begin(&w, err)) < 0)
		return rc;
	if ((rc = fill(j, &w, cap - 1, err)) < 0) {
		og_img_abort(&w);
		return rc;
	}
	return og_job_emit(&w, out, err);
}
