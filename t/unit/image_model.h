/*
 * A naive model of a graph, random commits on it, and the comparison of a view with it: every read function against linear search.
 */
#ifndef OG_T_UNIT_IMAGE_MODEL_H
#define OG_T_UNIT_IMAGE_MODEL_H

#include "t/check.h"

#include "image/local.h"

#define MODEL_IDS 120u		/* entities of a type that there can be */
#define MODEL_TYPES 4u

struct mrow {
	struct og_slice id, src, dst;
	bool live;
	unsigned commit;	/* that touched it last */
	struct og_value *v;	/* one a property */
};

struct mtype {
	const struct og_type *type;
	struct mrow *rows;	/* in order of places; an id that comes again has a new row */
	size_t n, cap;
};

struct model {
	struct og_catalog *catalog;
	struct og_arena *arena;
	uint64_t rng;
	unsigned commits;
	struct mtype t[MODEL_TYPES];
};

void model_init(struct model *m, struct og_arena *a, uint64_t seed);
void model_fini(struct model *m);
/* Rows are copied, values shared (they never change). */
struct model model_copy(const struct model *m);
uint32_t model_random(struct model *m, uint32_t below);

/* One commit of random upserts and deletes, about n a type; changes[] (one a type, initialised here) say what happened. */
void model_commit(struct model *m, unsigned n, bool deletes, struct og_change *changes);
void changes_fini(struct og_change *changes);
void model_apply(struct og_view *v, const struct model *m, const struct og_change *changes);

/* Layers of every type, encoded as they come. */
struct layers {
	struct og_buf bytes[MODEL_TYPES][32];
	struct og_layer l[MODEL_TYPES][32];
	size_t n[MODEL_TYPES];
};
void layers_add(struct layers *l, const struct og_change *changes);
void layers_fini(struct layers *l);
/* A view whose base are these layers; everything is built and pinned. */
struct og_view *model_view(const struct model *m, const struct layers *l);
/* All needs of a catalog; free() it. */
struct og_need *all_needs(const struct og_catalog *c, size_t *n);

void check_view(const struct og_view *v, struct model *m);
/* Slots of a view without deltas are in the order that images promise. */
void check_order(const struct og_view *v, const struct model *m);
/* Calls everything for what it does to memory alone. */
void read_all(const struct og_view *v);

#endif
