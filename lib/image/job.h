/*
 * Inside of lib/image: the layers of one type, opened and resolved, from which images and folded segments are gathered.
 *
 * Resolving finds the newest row of every live id. A place is a live row, numbered in order of first appearance. Places are slots for nodes; for
 * edges slots are the places sorted by (source slot, target slot).
 * Memory: id columns of all layers, 8 bytes a place and an index while resolving. A single layer without `_op` needs neither: place = row. Layers whose
 * rows are all live (og_build_in.rows) need no ids and no index: places are their rows one after the other.
 */
#ifndef OG_IMAGE_JOB_H
#define OG_IMAGE_JOB_H

#include "image/build.h"
#include "image/layout.h"

struct og_job_layer {
	struct og_pq_file file;
	bool has_op;
	struct og_colvec op;		/* has_op; like id after og_job_read_ids */
	struct og_colvec id;
};

struct og_job {
	const struct og_build_in *in;
	struct og_arena arena;
	struct og_job_layer *layers;
	bool have_ids;
	bool identity;			/* place = row of the only layer */
	bool keep_deletes;		/* places of deleted ids that may exist below stay, og_job_deleted */
	uint32_t nplaces;
	uint32_t *place_layer;		/* unless identity; OG_JOB_DELETE marks a deletion (keep_deletes) */
	uint32_t *place_row;
	/* Edges, after og_job_sort. */
	uint32_t *order;		/* slot -> place; NULL: the same */
	uint64_t *ends;			/* slot -> source slot << 32 | target slot */
};

#define OG_JOB_DELETE 0x80000000u

/* Opens the files; og_job_fini always. */
int og_job_open(struct og_job *j, const struct og_build_in *in, struct og_error *err) OG_MUST_CHECK;
void og_job_fini(struct og_job *j);
/* Reads the id (and `_op`) columns of all layers, once. */
int og_job_read_ids(struct og_job *j, struct og_error *err) OG_MUST_CHECK;
int og_job_resolve(struct og_job *j, bool keep_deletes, struct og_error *err) OG_MUST_CHECK;
/* Edges: looks up the endpoints and sorts. */
int og_job_sort(struct og_job *j, struct og_error *err) OG_MUST_CHECK;

static inline uint32_t og_job_at(const struct og_job *j, uint32_t slot, uint32_t *row)
{
	uint32_t place = j->order ? j->order[slot] : slot;

	if (j->identity) {
		*row = place;
		return 0;
	}
	*row = j->place_row[place];
	return j->place_layer[place] & ~OG_JOB_DELETE;
}
/* In a delta that was folded with keep_deletes; slots are places there. */
static inline bool og_job_deleted(const struct og_job *j, uint32_t place)
{
	return !j->identity && (j->place_layer[place] & OG_JOB_DELETE) != 0;
}

/* A column of every layer; a layer without it has rows 0, which means all null. */
struct og_job_column {
	struct og_colvec *layers;	/* in->nlayers */
	size_t nlayers;
};
int og_job_column(struct og_job *j, uint32_t prop_id, const struct og_proptype *type, struct og_job_column *out, struct og_error *err) OG_MUST_CHECK;
void og_job_column_fini(struct og_job_column *c);
/* The ids as a column; not to be freed. */
int og_job_ids(struct og_job *j, struct og_job_column *out, struct og_error *err) OG_MUST_CHECK;

typedef int og_build_emit(void *arg, const struct og_build_out *out, struct og_error *err);

struct og_job_out {
	og_build_emit *emit;
	void *arg;
};

/* Key of an image of this job. */
struct og_img_key og_job_key(const struct og_job *j, enum og_img_what what, uint32_t prop_id, uint32_t part);
/* Writes all parts of a column: gather.c */
int og_job_emit_column(struct og_job *j, enum og_img_what what, uint32_t prop_id, const struct og_proptype *type, const struct og_job_column *col,
		       const struct og_job_out *out, struct og_error *err) OG_MUST_CHECK;
int og_job_emit_index(struct og_job *j, const struct og_job_out *out, struct og_error *err) OG_MUST_CHECK;	/* idx.c */
int og_job_emit_adj(struct og_job *j, const struct og_job_out *out, struct og_error *err) OG_MUST_CHECK;	/* adj.c */
/* Closes the image and hands it out. On failure everything of it is freed. */
int og_job_emit(struct og_img_writer *w, const struct og_job_out *out, struct og_error *err) OG_MUST_CHECK;

extern const struct og_proptype og_type_string;	/* of ids, src, dst */
extern const struct og_proptype og_type_op;

#endif
