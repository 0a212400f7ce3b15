/*
 * Images built where they are read: by og-cli in direct mode, and by tests. A server's workers get theirs from the builder instead.
 *
 * Memory:  as og_build; the images stay pinned in the view. Threads: the caller's.
 */
#ifndef OG_IMAGE_LOCAL_H
#define OG_IMAGE_LOCAL_H

#include "image/view.h"

/* The layers of one type, base up; they must be those that the view's base was set to. */
struct og_local_type {
	const struct og_layer *layers;
	size_t nlayers;
};

/* XXH3-128 over the layers' bytes: a content key where the store gives no better one. */
struct og_content_key og_local_key(const struct og_layer *layers, size_t nlayers);
/* og_view_set_base with og_local_key and the rows counted. */
int og_view_set_local(struct og_view *v, uint32_t type, const struct og_layer *layers, size_t nlayers, struct og_error *err) OG_MUST_CHECK;
/* Builds and pins what og_view_missing finds. `types` is indexed like catalog->types. */
int og_view_build_local(struct og_view *v, const struct og_local_type *types, const struct og_need *needs, size_t n, struct og_error *err) OG_MUST_CHECK;

#endif
