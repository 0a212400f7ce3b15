/* Columns: the values of every slot, put in slot order straight into the images. */
#include "config.h"

#include "image/job.h"

/* What one part will hold. */
struct part {
	struct og_job *j;
	const struct og_proptype *type;
	const struct og_job_column *col;
	uint32_t from, rows;		/* slots */
	uint64_t nulls, items, item_nulls, bytes;
};

static bool is_string(const struct og_proptype *t)
{
	return t->scalar == OG_STRING || t->scalar == OG_BLOB;
}

/* The vector that holds the value of a slot; NULL for a null. */
static const struct og_colvec *source(const struct part *p, uint32_t slot, uint32_t *row)
{
	const struct og_colvec *v = &p->col->layers[og_job_at(p->j, slot, row)];

	return v->rows == 0 || og_colvec_is_null(v, *row) ? NULL : v;
}

static void measure(struct part *p)
{
	for (uint32_t i = 0; i < p->rows; i++) {
		uint32_t row, from, to;
		const struct og_colvec *v = source(p, p->from + i, &row);

		if (!v) {
			p->nulls++;
			continue;
		}
		if (!p->type->list) {
			if (is_string(p->type))
				p->bytes += og_colvec_str(v, row).len;
			continue;
		}
		from = v->offsets[row];
		to = v->offsets[row + 1];
		p->items += to - from;
		if (is_string(p->type) && to > from)
			p->bytes += v->child->offsets[to] - v->child->offsets[from];
		if (v->child->validity)
			for (uint32_t k = from; k < to; k++)
				p->item_nulls += og_colvec_is_null(v->child, k);
	}
}

static void set_bit(uint8_t *bits, size_t i)
{
	bits[i >> 3] |= (uint8_t)(1u << (i & 7));
}

static size_t row_width(const struct og_proptype *t)
{
	return t->scalar == OG_VECTOR ? t->dim * sizeof(float) : og_col_width(t->scalar);
}

/* The element loop with a constant width, which the compiler turns into single moves. */
#define COPY_FIXED(p, w, type_)                                                                      \
	do {                                                                                         \
		type_ *to_ = og_img_buf(w, OG_BUF_VALUES);                                           \
		for (uint32_t i_ = 0; i_ < (p)->rows; i_++) {                                        \
			uint32_t row_;                                                               \
			const struct og_colvec *v_ = source(p, (p)->from + i_, &row_);               \
			if (v_)                                                                      \
				to_[i_] = ((const type_ *)v_->values)[row_];                         \
		}                                                                                    \
	} while (0)

static void fill_fixed(const struct part *p, const struct og_img_writer *w)
{
	size_t width = row_width(p->type);
	char *to = og_img_buf(w, OG_BUF_VALUES);

	if (width == 1) {
		COPY_FIXED(p, w, uint8_t);
	} else if (width == 4) {
		COPY_FIXED(p, w, uint32_t);
	} else if (width == 8) {
		COPY_FIXED(p, w, uint64_t);
	} else {
		for (uint32_t i = 0; i < p->rows; i++) {
			uint32_t row;
			const struct og_colvec *v = source(p, p->from + i, &row);

			if (v)
				memcpy(to + i * width, (const char *)v->values + row * width, width);
		}
	}
}

static void fill_strings(const struct part *p, const struct og_img_writer *w)
{
	uint32_t *offsets = og_img_buf(w, OG_BUF_OFFSETS), at = 0;
	char *to = og_img_buf(w, OG_BUF_VALUES);

	for (uint32_t i = 0; i < p->rows; i++) {
		uint32_t row;
		const struct og_colvec *v = source(p, p->from + i, &row);

		if (v) {
			struct og_slice s = og_colvec_str(v, row);

			if (s.len)
				memcpy(to + at, s.p, s.len);
			at += (uint32_t)s.len;
		}
		offsets[i + 1] = at;
	}
}

/* Items [from, to) of a list go to place `at` of the part's items; strings behind `bytes`. */
static void fill_items(const struct part *p, const struct og_img_writer *w, const struct og_colvec *child, uint32_t from, uint32_t to, uint32_t at,
		       uint32_t *bytes)
{
	size_t width = row_width(p->type);

	if (p->item_nulls)
		for (uint32_t k = from; k < to; k++)
			if (!og_colvec_is_null(child, k))
				set_bit(og_img_buf(w, OG_BUF_CHILD_VALIDITY), at + (k - from));
	if (is_string(p->type)) {
		uint32_t *offsets = og_img_buf(w, OG_BUF_CHILD_OFFSETS);
		uint32_t first = child->offsets[from], len = child->offsets[to] - first;

		for (uint32_t k = from; k < to; k++)
			offsets[at + (k - from) + 1] = *bytes + (child->offsets[k + 1] - first);
		if (len)
			memcpy((char *)og_img_buf(w, OG_BUF_CHILD_BYTES) + *bytes, child->bytes + first, len);
		*bytes += len;
		return;
	}
	memcpy((char *)og_img_buf(w, OG_BUF_VALUES) + at * width, (const char *)child->values + from * width, (to - from) * width);
}

static void fill_lists(const struct part *p, const struct og_img_writer *w)
{
	uint32_t *offsets = og_img_buf(w, OG_BUF_OFFSETS), at = 0, bytes = 0;

	for (uint32_t i = 0; i < p->rows; i++) {
		uint32_t row;
		const struct og_colvec *v = source(p, p->from + i, &row);

		if (v && v->offsets[row + 1] > v->offsets[row]) {
			fill_items(p, w, v->child, v->offsets[row], v->offsets[row + 1], at, &bytes);
			at += v->offsets[row + 1] - v->offsets[row];
		}
		offsets[i + 1] = at;
	}
}

static void plan(const struct part *p, struct og_img_head *h)
{
	uint64_t n = p->type->list ? p->items : p->rows;

	h->rows = p->rows;
	h->scalar = p->type->scalar;
	h->list = p->type->list;
	h->dim = p->type->dim;
	if (p->nulls)
		h->bufs[OG_BUF_VALIDITY].len = ((uint64_t)p->rows + 7) / 8;
	if (p->item_nulls)
		h->bufs[OG_BUF_CHILD_VALIDITY].len = (p->items + 7) / 8;
	if (p->type->list)
		h->bufs[OG_BUF_OFFSETS].len = ((uint64_t)p->rows + 1) * sizeof(uint32_t);
	if (!is_string(p->type)) {
		h->bufs[OG_BUF_VALUES].len = n * row_width(p->type);
	} else if (p->type->list) {
		h->bufs[OG_BUF_CHILD_OFFSETS].len = (n + 1) * sizeof(uint32_t);
		h->bufs[OG_BUF_CHILD_BYTES].len = p->bytes;
	} else {
		h->bufs[OG_BUF_OFFSETS].len = (n + 1) * sizeof(uint32_t);
		h->bufs[OG_BUF_VALUES].len = p->bytes;
	}
}

static int emit_part(struct part *p, const struct og_img_key *key, const struct og_job_out *out, struct og_error *err)
{
	struct og_img_writer w = { .head.key = *key };
	int rc;

	measure(p);
	if (p->bytes > UINT32_MAX || p->items > UINT32_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "property %u of %.*s: more than 4 GiB in %u rows", key->prop_id,
				    OG_FMT(p->j->in->type->table_key), p->rows);
	plan(p, &w.head);
	if ((rc = og_img_begin(&w, err)) < 0)
		return rc;
	if (p->type->list)
		fill_lists(p, &w);
	else if (is_string(p->type))
		fill_strings(p, &w);
	else
		fill_fixed(p, &w);
	if (p->nulls) {
		uint8_t *bits = og_img_buf(&w, OG_BUF_VALIDITY);

		for (uint32_t i = 0; i < p->rows; i++) {
			uint32_t row;

			if (source(p, p->from + i, &row))
				set_bit(bits, i);
		}
	}
	return og_job_emit(&w, out, err);
}

int og_job_emit_column(struct og_job *j, enum og_img_what what, uint32_t prop_id, const struct og_proptype *type, const struct og_job_column *col,
		       const struct og_job_out *out, struct og_error *err)
{
	int rc = 0;

	for (uint32_t from = 0; rc == 0 && from < j->nplaces; from += OG_MIN(OG_IMG_PART_ROWS, j->nplaces - from)) {
		struct part p = { .j = j, .type = type, .col = col, .from = from, .rows = OG_MIN(OG_IMG_PART_ROWS, j->nplaces - from) };
		struct og_img_key key = og_job_key(j, what, prop_id, from >> OG_IMG_PART_SHIFT);

		rc = emit_part(&p, &key, out, err);
	}
	return rc;
}
