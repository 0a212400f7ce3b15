/* Commits by id: their positions, open addressing with linear probing. */
#include "config.h"

#include "journal/state_private.h"

#include <stdlib.h>

#define CAP_MIN 64u

static size_t first_slot(const struct og_commit_index *ix, const struct og_ulid *id)
{
	return (size_t)og_hash(og_slice(id->b, sizeof(id->b))) & (ix->cap - 1);
}

void og_commit_index_fini(struct og_commit_index *ix)
{
	free(ix->slots);
	memset(ix, 0, sizeof(*ix));
}

static void place(struct og_commit_index *ix, const struct og_commit_info *v, size_t i)
{
	size_t at = first_slot(ix, &v[i].id);

	while (ix->slots[at])
		at = (at + 1) & (ix->cap - 1);
	ix->slots[at] = (uint32_t)i + 1;
}

static int grow(struct og_commit_index *ix, const struct og_commit_info *v, size_t n, struct og_error *err)
{
	struct og_commit_index wider = { .cap = ix->cap ? 2 * ix->cap : CAP_MIN };

	wider.slots = calloc(wider.cap, sizeof(*wider.slots));
	if (!wider.slots)
		return og_error_nomem(err);
	for (size_t i = 0; i < n; i++)
		place(&wider, v, i);
	free(ix->slots);
	*ix = wider;
	return 0;
}

int og_commit_index_put(struct og_commit_index *ix, const struct og_commit_info *v, size_t i, struct og_error *err)
{
	if (i >= UINT32_MAX - 1)
		return og_error_nomem(err);
	if (4 * (i + 1) > 3 * ix->cap && grow(ix, v, i, err) < 0)
		return err->code;
	place(ix, v, i);
	return 0;
}

void og_commit_index_pop(struct og_commit_index *ix, const struct og_commit_info *v, size_t i)
{
	size_t at = first_slot(ix, &v[i].id);

	/* Nothing came after it, so no probe leads over its slot. */
	while (ix->slots[at] != i + 1)
		at = (at + 1) & (ix->cap - 1);
	ix->slots[at] = 0;
}

size_t og_commit_index_find(const struct og_commit_index *ix, const struct og_commit_info *v, const struct og_ulid *id)
{
	size_t at;

	if (!ix->cap)
		return SIZE_MAX;
	for (at = first_slot(ix, id); ix->slots[at]; at = (at + 1) & (ix->cap - 1))
		if (og_ulid_cmp(&v[ix->slots[at] - 1].id, id) == 0)
			return ix->slots[at] - 1;
	return SIZE_MAX;
}
