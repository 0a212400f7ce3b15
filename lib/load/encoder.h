/*
 * A thread that encodes row groups while the loader reads on. Private to lib/load.
 *
 * Jobs run one after the other in the order in which they were given. A job and all that it points to belong to the thread from load_encoder_put until
 * load_encoder_wait has returned.
 * Threads: one owner; the thread touches nothing but its job.
 */
#ifndef OG_LOAD_ENCODER_H
#define OG_LOAD_ENCODER_H

#include "format/parquet.h"

struct load_encode {
	struct og_pq_writer *writer;
	const struct og_colvec **cols;
	size_t ncols;
	/* private: */
	bool busy;
	int rc;
	struct og_error err;
	struct load_encode *next;
};

struct load_encoder;

/* NULL: *err. Signals are left to the other threads. */
struct load_encoder *load_encoder_new(struct og_error *err);
/* Finishes what was given. NULL is fine. */
void load_encoder_free(struct load_encoder *e);
void load_encoder_put(struct load_encoder *e, struct load_encode *job);
/* Until the job is done (at once if it was never given): its result. */
int load_encoder_wait(struct load_encoder *e, struct load_encode *job, struct og_error *err) OG_MUST_CHECK;

#endif
