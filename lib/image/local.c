/* Building images in the process that reads them. */
#include "config.h"

#include "image/local.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/fd.h"

struct og_content_key og_local_key(const struct og_layer *layers, size_t nlayers)
{
	struct og_content_key key = { 0, 0 };

	/* A hash of hashes, so that the cuts between layers count. */
	for (size_t i = 0; i < nlayers; i++) {
		XXH128_hash_t h = XXH3_128bits(layers[i].bytes.p, layers[i].bytes.len);
		uint64_t both[4] = { key.hi, key.lo, h.high64, h.low64 };

		h = XXH3_128bits(both, sizeof(both));
		key = (struct og_content_key){ h.high64, h.low64 };
	}
	return key;
}

int og_view_set_local(struct og_view *v, uint32_t type, const struct og_layer *layers, size_t nlayers, struct og_error *err)
{
	struct og_build_in in = { .catalog = v->catalog, .type = &v->catalog->types[type], .layers = layers, .nlayers = nlayers };
	uint32_t rows;
	int rc;

	if ((rc = og_build_rows(&in, &rows, err)) < 0)
		return rc;
	return og_view_set_base(v, type, og_local_key(layers, nlayers), rows, err);
}

static int pin_built(void *arg, const struct og_build_out *out, struct og_error *err)
{
	struct og_view *v = arg;
	struct og_img *img;
	int fd = out->fd, rc = og_img_open(fd, &out->key, &img, err);

	og_fd_close(&fd);
	if (rc < 0)
		return rc;
	og_view_pin(v, img);
	og_img_unref(img);
	return 0;
}

static int build_type(struct og_view *v, const struct og_local_type *local, const struct og_type *type, const struct og_build_want *wants, size_t n,
		      struct og_error *err)
{
	const struct og_view_type *t = &v->types[type->index];
	struct og_build_in in = { .catalog = v->catalog, .type = type, .layers = local->layers, .nlayers = local->nlayers, .rows = t->base_slots,
				  .content = t->content };

	if (type->kind == OG_EDGE) {
		const struct og_view_type *src = &v->types[type->src_type], *dst = &v->types[type->dst_type];

		in.src_content = src->content;
		in.src_ids = src->ids;
		in.nsrc_ids = og_view_parts(src);
		in.src_idx = src->pins->idx;
		in.dst_content = dst->content;
		in.dst_ids = dst->ids;
		in.ndst_ids = og_view_parts(dst);
		in.dst_idx = dst->pins->idx;
	}
	return og_build(&in, wants, n, pin_built, v, err);
}

/* One job for all missing images of a type; a column's parts come together, so its first missing part stands for all. */
static int build_missing(struct og_view *v, const struct og_local_type *types, const struct og_type *type, const struct og_need *needs, size_t n,
			 struct og_error *err)
{
	struct og_img_key *keys = NULL;
	struct og_build_want *wants = NULL;
	struct og_need *mine = calloc(n ? n : 1, sizeof(*mine));
	size_t nmine = 0, nkeys, nwants = 0;
	int rc = 0;

	for (size_t i = 0; mine && i < n; i++)
		if (needs[i].type == type)
			mine[nmine++] = needs[i];
	nkeys = mine ? og_view_missing(v, mine, nmine, NULL, 0) : 0;
	keys = calloc(nkeys ? nkeys : 1, sizeof(*keys));
	wants = calloc(nkeys ? nkeys : 1, sizeof(*wants));
	if (!mine || !keys || !wants) {
		rc = og_error_nomem(err);
		goto out;
	}
	og_view_missing(v, mine, nmine, keys, nkeys);
	for (size_t i = 0; i < nkeys; i++)
		if (nwants == 0 || wants[nwants - 1].what != keys[i].what || wants[nwants - 1].prop_id != keys[i].prop_id)
			wants[nwants++] = (struct og_build_want){ keys[i].what, keys[i].prop_id };
	if (nwants)
		rc = build_type(v, &types[type->index], type, wants, nwants, err);
	if (rc == 0 && og_view_missing(v, mine, nmine, NULL, 0) > 0)
		rc = og_error_set(err, OG_ERR_CORRUPT, "%.*s: the layers do not have the rows that the snapshot announces", OG_FMT(type->table_key));
out:
	free(mine);
	free(keys);
	free(wants);
	return rc;
}

/* An edge type's images need the index of its node types. */
static int build_ends(struct og_view *v, const struct og_local_type *types, const struct og_type *type, const struct og_need *needs, size_t n,
		      struct og_error *err)
{
	for (size_t i = 0; i < n; i++) {
		int rc;

		if (needs[i].type != type || og_view_missing(v, &needs[i], 1, NULL, 0) == 0)
			continue;
		for (unsigned end = 0; end < 2; end++) {
			struct og_need idx = { OG_NEED_IDX, &v->catalog->types[end ? type->dst_type : type->src_type], 0 };

			if ((rc = build_missing(v, types, idx.type, &idx, 1, err)) < 0)
				return rc;
		}
		return 0;
	}
	return 0;
}

int og_view_build_local(struct og_view *v, const struct og_local_type *types, const struct og_need *needs, size_t n, struct og_error *err)
{
	int rc;

	for (uint32_t i = 0; i < v->catalog->ntypes; i++) {
		const struct og_type *type = &v->catalog->types[i];

		if (type->kind == OG_EDGE && (rc = build_ends(v, types, type, needs, n, err)) < 0)
			return rc;
		if ((rc = build_missing(v, types, type, needs, n, err)) < 0)
			return rc;
	}
	return 0;
}
