/* Writes a Parquet file of every type for t/interop/parquet.py, which knows the same formulas: write_parquet FILE CODEC ROWS GROUPS. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/parquet.h"

#define NTYPES 17
#define DIM 3

static const struct {
	const char *name;
	struct og_proptype type;
} columns[NTYPES] = {
	{ "few", { .scalar = OG_STRING } },
	{ "id", { .scalar = OG_STRING } },
	{ "bool", { .scalar = OG_BOOL } },
	{ "i32", { .scalar = OG_I32 } },
	{ "i64", { .scalar = OG_I64 } },
	{ "u32", { .scalar = OG_U32 } },
	{ "u64", { .scalar = OG_U64 } },
	{ "f32", { .scalar = OG_F32 } },
	{ "f64", { .scalar = OG_F64 } },
	{ "date", { .scalar = OG_DATE } },
	{ "datetime", { .scalar = OG_DATETIME } },
	{ "vector", { .scalar = OG_VECTOR, .dim = DIM } },
	{ "strings", { .scalar = OG_STRING, .list = true } },
	{ "numbers", { .scalar = OG_I64, .list = true } },
	{ "long", { .scalar = OG_STRING } },
	{ "odd32", { .scalar = OG_F32 } },
	{ "odd64", { .scalar = OG_F64 } },
};

static void append_text(struct og_colvec *c, const char *fmt, int i)
{
	char text[64];

	og_colvec_append_str(c, og_slice(text, (size_t)snprintf(text, sizeof(text), fmt, i)));
}

/* Longer than statistics keep; equal over most of that. */
static void append_long(struct og_colvec *c, int i)
{
	char text[160];

	og_colvec_append_str(c, og_slice(text, (size_t)snprintf(text, sizeof(text), "%060d/%080d", i / 1000, i)));
}

/* NaN and both zeroes among ordinary numbers. */
static double odd(int i)
{
	static const double values[] = { NAN, -0.0, 0.0 };

	return i % 10 < 3 ? values[i % 10] : (i - 1500) / 4.0;
}

static void append_items(struct og_colvec *c, int i)
{
	for (int j = 0; j < i % 4; j++) {
		if ((i + j) % 5 == 0)
			og_colvec_append_null(c->child);
		else if (c->type.scalar == OG_STRING)
			append_text(c->child, "x%d", j);
		else
			og_colvec_append_i64(c->child, (int64_t)i * j);
	}
	og_colvec_append_list(c);
}

static void append(struct og_colvec *c, int column, int i)
{
	float vec[DIM] = { (float)i, (float)i + 0.5f, (float)-i };

	switch (column) {
	case 0:
		append_text(c, "text-%d", i % 40);
		break;
	case 1:
		append_text(c, "id-%d-\xc3\xa4", i);
		break;
	case 2:
		og_colvec_append_bool(c, i % 2 == 0);
		break;
	case 3:
		og_colvec_append_i32(c, i - 1500);
		break;
	case 4:
		og_colvec_append_i64(c, (i - 1500) * INT64_C(5000000000));
		break;
	case 5:
		og_colvec_append_u32(c, UINT32_MAX - (uint32_t)i);
		break;
	case 6:
		og_colvec_append_u64(c, UINT64_MAX - (uint64_t)i);
		break;
	case 7:
		og_colvec_append_f32(c, (float)i / 4);
		break;
	case 8:
		og_colvec_append_f64(c, (double)i / 3);
		break;
	case 9:
		og_colvec_append_i32(c, i - 1000);
		break;
	case 10:
		og_colvec_append_i64(c, i * INT64_C(86400123));
		break;
	case 11:
		og_colvec_append_vec(c, vec);
		break;
	case 14:
		append_long(c, i);
		break;
	case 15:
		og_colvec_append_f32(c, (float)odd(i));
		break;
	case 16:
		og_colvec_append_f64(c, odd(i));
		break;
	default:
		append_items(c, i);
	}
}

static int to_file(void *arg, const void *p, size_t n, struct og_error *err)
{
	return fwrite(p, 1, n, arg) == n ? 0 : og_error_set(err, OG_ERR_IO, "cannot write");
}

static int write_groups(struct og_pq_writer *w, const struct og_pq_col_desc *d, int rows, int groups, struct og_error *err)
{
	struct og_colvec vecs[2 * NTYPES];
	const struct og_colvec *cols[2 * NTYPES];
	int rc = 0;

	for (int k = 0; k < 2 * NTYPES; k++) {
		og_colvec_init(&vecs[k], &d[k].type);
		cols[k] = &vecs[k];
	}
	for (int g = 0; g < groups && rc == 0; g++) {
		for (int k = 0; k < 2 * NTYPES; k++) {
			og_colvec_clear(&vecs[k]);
			for (int i = g * rows; i < (g + 1) * rows; i++) {
				if (d[k].type.nullable && i % 7 == 3)
					og_colvec_append_null(&vecs[k]);
				else
					append(&vecs[k], k % NTYPES, i);
			}
		}
		rc = og_pq_write_group(w, cols, 2 * NTYPES, err);
	}
	for (int k = 0; k < 2 * NTYPES; k++)
		og_colvec_fini(&vecs[k]);
	return rc;
}

int main(int argc, char **argv)
{
	struct og_pq_col_desc d[2 * NTYPES];
	struct og_pq_kv kv = { OG_SLICE("purpose"), OG_SLICE("interop") };
	struct og_pq_options opt = { 0 };
	struct og_pq_writer *w = NULL;
	struct og_error err = { 0 };
	char names[2 * NTYPES][16];
	FILE *f = argc == 5 ? fopen(argv[1], "wb") : NULL;
	int rc;

	if (!f) {
		fprintf(stderr, "usage: write_parquet FILE CODEC ROWS GROUPS\n");
		return 2;
	}
	opt.codec = (enum og_pq_codec)atoi(argv[2]);
	for (int k = 0; k < 2 * NTYPES; k++) {
		snprintf(names[k], sizeof(names[k]), "%s%s", columns[k % NTYPES].name, k < NTYPES ? "" : "_n");
		d[k] = (struct og_pq_col_desc){ og_slice_str(names[k]), 100 + k, columns[k % NTYPES].type };
		d[k].type.nullable = k >= NTYPES;
	}
	rc = og_pq_writer_new(d, 2 * NTYPES, &opt, to_file, f, &w, &err);
	if (rc == 0)
		rc = write_groups(w, d, atoi(argv[3]), atoi(argv[4]), &err);
	if (rc == 0)
		rc = og_pq_finish(w, &kv, 1, &err);
	og_pq_writer_free(w);
	if (fclose(f) != 0 || rc < 0) {
		fprintf(stderr, "write_parquet: %s\n", err.message);
		return 1;
	}
	return 0;
}
