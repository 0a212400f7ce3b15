/*
 * Inside of lib/image: how an image lies in its memfd, for the writer (build) and the reader (image.c).
 *
 * Bytes 0..4095: the header (struct og_img_head in the field codec, zeroes behind it). Then the buffers, each from a multiple of 64, in the
 * order of the enums below, zeroes between them. A buffer that an image lacks has length 0.
 */
#ifndef OG_IMAGE_LAYOUT_H
#define OG_IMAGE_LAYOUT_H

#include "image/build.h"
#include "image/image.h"

#define OG_IMG_MAGIC "OGIMG1\r\n"
#define OG_IMG_PAGE 4096u
#define OG_IMG_ALIGN 64u
#define OG_IMG_BUFS 8u

/* IDS, COL. */
enum { OG_BUF_VALIDITY, OG_BUF_VALUES, OG_BUF_OFFSETS, OG_BUF_CHILD_VALIDITY, OG_BUF_CHILD_OFFSETS, OG_BUF_CHILD_BYTES };
/* IDX. */
enum { OG_BUF_IDX };
/* ADJ: the four of one direction, forward first. */
enum { OG_BUF_BITMAP, OG_BUF_RANK, OG_BUF_RUNS, OG_BUF_PEERS, OG_BUF_IN = 4 };

struct og_img_head {
	struct og_img_key key;
	uint64_t rows;
	enum og_scalar scalar;
	bool list;
	bool parallel;
	uint32_t dim;
	uint32_t out_slots, in_slots;	/* ADJ */
	struct {
		uint64_t off, len;	/* bytes */
	} bufs[OG_IMG_BUFS];
};

void og_img_head_put(struct og_buf *b, const struct og_img_head *h);
int og_img_head_read(struct og_slice page, struct og_img_head *h, struct og_error *err) OG_MUST_CHECK;

/* An image being written: the buffers lie in the mapping of its memfd. */
struct og_img_writer {
	struct og_img_head head;
	int fd;
	uint8_t *map;
	size_t size;
};

/* head.bufs[].len are set, offsets are computed here. The memory is zero. */
int og_img_begin(struct og_img_writer *w, struct og_error *err) OG_MUST_CHECK;
static inline void *og_img_buf(const struct og_img_writer *w, unsigned i)
{
	return w->map + w->head.bufs[i].off;
}
/* Writes the header, unmaps, seals; *out owns the descriptor. */
int og_img_finish(struct og_img_writer *w, struct og_build_out *out, struct og_error *err) OG_MUST_CHECK;
/* After a failure; may be called twice. */
void og_img_abort(struct og_img_writer *w);

#endif
