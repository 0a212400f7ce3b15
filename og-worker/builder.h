/*
 * og-worker as builder: decodes layers into images, folds layers into segments. It sees no client; the same sandbox holds.
 */
#ifndef OG_WORKER_BUILDER_H
#define OG_WORKER_BUILDER_H

#include "ipc/child.h"

struct builder;

struct builder *builder_new(struct og_child *child, struct og_error *err);
/* The channel to og-storaged; replaces an older one, whose jobs are forgotten. Takes peer->fd. */
int builder_connect(struct builder *b, struct og_child_peer *peer, struct og_error *err);
void builder_free(struct builder *b);

#endif
