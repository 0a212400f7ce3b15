/* Speed of the Parquet writer and reader: bytes of column vectors a second, and the time of a one-row file. Prints, gates nothing. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "format/parquet.h"

#define ROWS 1000000u

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const struct og_error *err)
{
	fprintf(stderr, "%s\n", err->message);
	exit(1);
}

static void append(struct og_colvec *c, unsigned kind, unsigned i)
{
	float vec[128];
	char text[64];

	switch (kind) {
	case 0:	/* unique texts */
		og_colvec_append_str(c, og_slice(text, (size_t)snprintf(text, sizeof(text), "person-%08x-%u", i * 2654435761u, i)));
		break;
	case 1:	/* few texts */
		og_colvec_append_str(c, og_slice(text, (size_t)snprintf(text, sizeof(text), "department number %u", i * 7919 % 211)));
		break;
	case 2:
		og_colvec_append_i64(c, (int64_t)i * 1000003);
		break;
	case 3:	/* one in eight null */
		if (i % 8 == 3)
			og_colvec_append_null(c);
		else
			og_colvec_append_f64(c, (double)i / 7);
		break;
	case 4:
		for (unsigned j = 0; j < 128; j++)
			vec[j] = (float)(i ^ j);
		og_colvec_append_vec(c, vec);
		break;
	case 5:
		for (unsigned j = 0; j < i % 5; j++)
			og_colvec_append_str(c->child, og_slice(text, (size_t)snprintf(text, sizeof(text), "tag %u of %u", j, i)));
		og_colvec_append_list(c);
		break;
	case 6:
		og_colvec_append_bool(c, i % 3 == 0);
		break;
	}
}

static void column(const char *name, const struct og_proptype *t, unsigned kind, unsigned rows)
{
	static const struct {
		const char *name;
		enum og_pq_codec codec;
	} codecs[] = { { "none", OG_PQ_NONE }, { "snappy", OG_PQ_SNAPPY }, { "zstd", OG_PQ_ZSTD } };
	struct og_pq_col_desc d = { og_slice_str(name), 1, *t };
	struct og_colvec c, back;
	const struct og_colvec *cols[1] = { &c };
	struct og_error err;
	double bytes;

	og_colvec_init(&c, t);
	for (unsigned i = 0; i < rows; i++)
		append(&c, kind, i);
	bytes = (double)(c.nbytes + c.rows * (c.width ? c.width : 4) + (c.child ? c.child->nbytes + 4 * c.child->rows : 0));
	for (size_t k = 0; k < OG_COUNT(codecs); k++) {
		struct og_pq_options opt = { .codec = codecs[k].codec };
		struct og_buf out = { 0 };
		struct og_arena a;
		struct og_pq_file f;
		double start, wrote = 1e9, read = 1e9;

		og_arena_init(&a, 0);
		for (int round = 0; round < 3; round++) {
			og_buf_clear(&out);
			start = now();
			if (og_pq_encode(&out, &d, cols, 1, &opt, NULL, 0, &err) < 0)
				die(&err);
			wrote = OG_MIN(wrote, now() - start);
			og_colvec_init(&back, t);
			start = now();
			if (og_pq_open(&a, og_buf_view(&out), &f, &err) < 0 || og_pq_read_column(&f, 0, 0, &back, &err) < 0)
				die(&err);
			read = OG_MIN(read, now() - start);
			og_colvec_fini(&back);
		}
		printf("%-14s %-7s %7.1f MB -> %7.1f MB  write %6.0f MB/s  read %6.0f MB/s\n", name, codecs[k].name, bytes / 1e6,
		       (double)out.len / 1e6, bytes / wrote / 1e6, bytes / read / 1e6);
		og_arena_fini(&a);
		og_buf_fini(&out);
	}
	og_colvec_fini(&c);
}

static void one_row(void)
{
	static const enum og_scalar scalars[] = { OG_STRING, OG_I64, OG_F64, OG_BOOL, OG_STRING };
	struct og_pq_col_desc d[5];
	struct og_colvec c[5];
	const struct og_colvec *cols[5];
	struct og_buf out = { 0 };
	struct og_error err;
	struct og_arena a;
	struct og_pq_file f;
	double start, wrote, read;
	int rounds = 100000;

	for (int i = 0; i < 5; i++) {
		struct og_proptype t = { .scalar = scalars[i], .nullable = true };

		d[i] = (struct og_pq_col_desc){ OG_SLICE("property"), i, t };
		og_colvec_init(&c[i], &t);
		if (t.scalar == OG_STRING)
			og_colvec_append_str(&c[i], OG_SLICE("some text"));
		else if (t.scalar == OG_BOOL)
			og_colvec_append_bool(&c[i], true);
		else
			og_colvec_append_i64(&c[i], 77);
		cols[i] = &c[i];
	}
	start = now();
	for (int i = 0; i < rounds; i++) {
		og_buf_clear(&out);
		if (og_pq_encode(&out, d, cols, 5, NULL, NULL, 0, &err) < 0)
			die(&err);
	}
	wrote = (now() - start) / rounds;
	og_arena_init(&a, 0);
	start = now();
	for (int i = 0; i < rounds; i++) {
		og_arena_reset(&a);
		if (og_pq_open(&a, og_buf_view(&out), &f, &err) < 0)
			die(&err);
		for (size_t k = 0; k < 5; k++) {
			og_colvec_clear(&c[k]);
			if (og_pq_read_column(&f, 0, k, &c[k], &err) < 0)
				die(&err);
		}
	}
	read = (now() - start) / rounds;
	printf("one row of five columns: %zu bytes, written in %.1f us, read in %.1f us\n", out.len, wrote * 1e6, read * 1e6);
	og_arena_fini(&a);
	og_buf_fini(&out);
	for (int i = 0; i < 5; i++)
		og_colvec_fini(&c[i]);
}

int main(void)
{
	column("unique text", &(struct og_proptype){ .scalar = OG_STRING }, 0, ROWS);
	column("few texts", &(struct og_proptype){ .scalar = OG_STRING, .nullable = true }, 1, ROWS);
	column("I64", &(struct og_proptype){ .scalar = OG_I64 }, 2, ROWS);
	column("F64, nulls", &(struct og_proptype){ .scalar = OG_F64, .nullable = true }, 3, ROWS);
	column("Vector(128)", &(struct og_proptype){ .scalar = OG_VECTOR, .dim = 128, .nullable = true }, 4, ROWS / 10);
	column("[String]", &(struct og_proptype){ .scalar = OG_STRING, .list = true, .nullable = true }, 5, ROWS / 2);
	column("Bool", &(struct og_proptype){ .scalar = OG_BOOL }, 6, ROWS);
	one_row();
	return 0;
}
