/* The header of an image, and the writer that lays one out in a memfd. */
#include "config.h"

#include "image/layout.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

void og_img_key_put(struct og_buf *b, const struct og_img_key *k)
{
	og_put_u32(b, k->type_id);
	og_put_u32(b, (uint32_t)k->what);
	og_put_u32(b, k->prop_id);
	og_put_u32(b, k->part);
	og_put_u64(b, k->content.hi);
	og_put_u64(b, k->content.lo);
	og_put_u64(b, k->src.hi);
	og_put_u64(b, k->src.lo);
	og_put_u64(b, k->dst.hi);
	og_put_u64(b, k->dst.lo);
}

static struct og_content_key read_content(struct og_reader *r)
{
	struct og_content_key k;

	k.hi = og_read_u64(r);
	k.lo = og_read_u64(r);
	return k;
}

struct og_img_key og_img_key_read(struct og_reader *r)
{
	struct og_img_key k;

	k.type_id = og_read_u32(r);
	k.what = (enum og_img_what)og_read_u32(r);
	k.prop_id = og_read_u32(r);
	k.part = og_read_u32(r);
	k.content = read_content(r);
	k.src = read_content(r);
	k.dst = read_content(r);
	return k;
}

static bool content_equal(const struct og_content_key *a, const struct og_content_key *b)
{
	return a->hi == b->hi && a->lo == b->lo;
}

bool og_img_key_equal(const struct og_img_key *a, const struct og_img_key *b)
{
	return a->type_id == b->type_id && a->what == b->what && a->prop_id == b->prop_id && a->part == b->part &&
	       content_equal(&a->content, &b->content) && content_equal(&a->src, &b->src) && content_equal(&a->dst, &b->dst);
}

void og_img_head_put(struct og_buf *b, const struct og_img_head *h)
{
	og_buf_append(b, OG_IMG_MAGIC, 8);
	og_put_u32(b, OG_IMG_FORMAT);
	og_img_key_put(b, &h->key);
	og_put_u64(b, h->rows);
	og_put_u32(b, (uint32_t)h->scalar);
	og_put_u32(b, h->dim);
	og_put_u8(b, h->list);
	og_put_u8(b, h->parallel);
	og_put_u32(b, h->out_slots);
	og_put_u32(b, h->in_slots);
	for (size_t i = 0; i < OG_IMG_BUFS; i++) {
		og_put_u64(b, h->bufs[i].off);
		og_put_u64(b, h->bufs[i].len);
	}
}

int og_img_head_read(struct og_slice page, struct og_img_head *h, struct og_error *err)
{
	struct og_reader r = og_reader_init(page);
	struct og_slice magic = og_read_raw(&r, 8);
	uint32_t format = og_read_u32(&r);

	h->key = og_img_key_read(&r);
	h->rows = og_read_u64(&r);
	h->scalar = (enum og_scalar)og_read_u32(&r);
	h->dim = og_read_u32(&r);
	h->list = og_read_u8(&r) != 0;
	h->parallel = og_read_u8(&r) != 0;
	h->out_slots = og_read_u32(&r);
	h->in_slots = og_read_u32(&r);
	for (size_t i = 0; i < OG_IMG_BUFS; i++) {
		h->bufs[i].off = og_read_u64(&r);
		h->bufs[i].len = og_read_u64(&r);
	}
	if (og_reader_ok(&r, err) < 0)
		return OG_ERR_CORRUPT;
	if (!og_slice_eq(magic, OG_SLICE(OG_IMG_MAGIC)))
		return og_error_at(err, OG_ERR_CORRUPT, 0, "not an image");
	if (format != OG_IMG_FORMAT)
		return og_error_at(err, OG_ERR_CORRUPT, 8, "image of format %u, this build reads %u", format, OG_IMG_FORMAT);
	return 0;
}

int og_img_begin(struct og_img_writer *w, struct og_error *err)
{
	size_t size = OG_IMG_PAGE;
	void *p;
	int rc;

	w->fd = -1;
	w->map = NULL;
	for (size_t i = 0; i < OG_IMG_BUFS; i++) {
		w->head.bufs[i].off = size;
		if (!og_size_add(size, w->head.bufs[i].len, &size) || !og_size_add(size, OG_IMG_ALIGN - 1, &size))
			return og_error_set(err, OG_ERR_TOO_LARGE, "an image would be larger than the address space");
		size &= ~(size_t)(OG_IMG_ALIGN - 1);
	}
	w->size = size;
	if ((rc = og_memfd_new("og-image", &w->fd, err)) < 0)
		return rc;
	if (ftruncate(w->fd, (off_t)size) < 0) {
		rc = og_error_sys(err, errno, "an image of %zu bytes", size);
		og_img_abort(w);
		return rc;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	if (p == MAP_FAILED) {
		rc = og_error_sys(err, errno, "mapping an image of %zu bytes", size);
		og_img_abort(w);
		return rc;
	}
	w->map = p;
	return 0;
}

int og_img_finish(struct og_img_writer *w, struct og_build_out *out, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	og_img_head_put(&b, &w->head);
	rc = og_buf_ok(&b, err);
	if (rc == 0) {
		memcpy(w->map, b.data, b.len);
		out->hash = og_hash128(og_slice((const char *)w->map, w->size));
		/* The seal is refused while a writable mapping exists. */
		munmap(w->map, w->size);
		w->map = NULL;
		rc = og_memfd_seal(w->fd, err);
	}
	og_buf_fini(&b);
	if (rc < 0) {
		og_img_abort(w);
		return rc;
	}
	out->key = w->head.key;
	out->bytes = w->size;
	out->fd = w->fd;
	w->fd = -1;
	return 0;
}

void og_img_abort(struct og_img_writer *w)
{
	if (w->map)
		munmap(w->map, w->size);
	w->map = NULL;
	og_fd_close(&w->fd);
}
