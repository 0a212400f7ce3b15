/* Any bytes are a Parquet file or an error; what was read can be written and read again. */
#include "config.h"

#include <stdlib.h>

#include "format/parquet.h"
#include "t/fuzz/driver.h"

#define DIM 3u
#define MAX_AGAIN 3000u		/* rows worth a second round */

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void read_column(const struct og_pq_file *f, size_t col, struct og_colvec *c)
{
	struct og_proptype t = f->cols[col].type;
	struct og_value min, max;
	struct og_error err;
	size_t rows = 0;

	t.dim = t.scalar == OG_VECTOR ? DIM : 0;
	og_colvec_init(c, &t);
	for (size_t g = 0; g < f->ngroups; g++) {
		/* 16 groups hold all there is to see, and not too many rows. */
		if (g < 16 && og_pq_read_column(f, g, col, c, &err) == 0)
			rows += f->groups[g].rows;
		(void)og_pq_range(f, g, col, &min, &max);
	}
	require(c->rows == rows);
}

static void again(const struct og_pq_col_desc *desc, const struct og_colvec *c)
{
	struct og_pq_col_desc d = *desc;
	struct og_arena a;
	struct og_buf out = { 0 };
	struct og_pq_file f;
	struct og_error err;
	struct og_colvec back;

	d.type.dim = c->type.dim;
	d.type.nullable = true;
	og_arena_init(&a, 0);
	require(og_pq_encode(&out, &d, &c, 1, NULL, NULL, 0, &err) == 0);
	require(og_pq_open(&a, og_buf_view(&out), &f, &err) == 0);
	read_column(&f, 0, &back);
	require(back.rows == c->rows && back.nulls == c->nulls && back.nbytes == c->nbytes);
	og_colvec_fini(&back);
	og_buf_fini(&out);
	og_arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct og_error err;
	struct og_pq_file f;
	struct og_arena a;

	og_arena_init(&a, 0);
	if (og_pq_open(&a, og_slice(data, size), &f, &err) == 0) {
		for (size_t i = 0; i < f.ncols; i++) {
			struct og_colvec c;

			read_column(&f, i, &c);
			if (c.rows <= MAX_AGAIN)
				again(&f.cols[i], &c);
			og_colvec_fini(&c);
		}
	}
	og_arena_fini(&a);
	return 0;
}

static void add_item(struct og_colvec *c, unsigned i)
{
	float vec[DIM] = { (float)i, 0.5f, -1 };
	char text[16];

	if (i % 5 == 2) {
		og_colvec_append_null(c);
		return;
	}
	if (c->type.list) {
		for (unsigned j = 0; j < i % 3; j++)
			add_item(c->child, i + j);
		og_colvec_append_list(c);
	} else if (c->type.scalar == OG_VECTOR) {
		og_colvec_append_vec(c, vec);
	} else if (!c->width) {
		memset(text, 'a' + (int)(i % 7), sizeof(text));
		og_colvec_append_str(c, og_slice(text, i % 16));
	} else if (c->width == 8) {
		og_colvec_append_u64(c, i % 11 * UINT64_C(0x100000001));
	} else if (c->width == 4) {
		og_colvec_append_u32(c, i * 7);
	} else {
		og_colvec_append_bool(c, i & 1);
	}
}

bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	static const struct og_proptype types[] = {
		{ .scalar = OG_STRING, .nullable = true },
		{ .scalar = OG_BOOL, .nullable = true },
		{ .scalar = OG_I64, .nullable = true },
		{ .scalar = OG_F32, .nullable = true },
		{ .scalar = OG_VECTOR, .nullable = true, .dim = DIM },
		{ .scalar = OG_STRING, .nullable = true, .list = true },
		{ .scalar = OG_DATE, .nullable = true, .list = true },
	};
	static const enum og_pq_codec codecs[] = { OG_PQ_NONE, OG_PQ_SNAPPY, OG_PQ_ZSTD };
	struct og_pq_options opt = { .codec = codecs[nr / OG_COUNT(types) % 3], .page_bytes = 500 };
	struct og_pq_col_desc d = { OG_SLICE("x"), 5, types[nr % OG_COUNT(types)] };
	unsigned rows = nr < 3 * OG_COUNT(types) ? 200 : 3;
	struct og_error err;
	struct og_colvec c;
	const struct og_colvec *col = &c;

	if (nr >= 4 * OG_COUNT(types))
		return false;
	og_colvec_init(&c, &d.type);
	for (unsigned i = 0; i < rows; i++)
		add_item(&c, i);
	require(og_pq_encode(out, &d, &col, 1, &opt, NULL, 0, &err) == 0);
	og_colvec_fini(&c);
	return true;
}
