/* pqrows FILE...: the rows of segments as JSON lines, nulls left out; of strings, integers, floats and booleans. For tests. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "format/parquet.h"
#include "json/writer.h"

static void put(struct og_json_writer *w, const struct og_colvec *c, size_t row)
{
	struct og_value v = og_colvec_get(c, row);

	switch (v.kind) {
	case OG_V_BOOL:
		og_json_put_bool(w, v.i != 0);
		return;
	case OG_V_INT:
		og_json_put_i64(w, v.i);
		return;
	case OG_V_UINT:
		og_json_put_u64(w, v.u);
		return;
	case OG_V_FLOAT:
		og_json_put_double(w, v.f);
		return;
	case OG_V_STRING:
		og_json_put_string(w, v.s);
		return;
	case OG_V_NULL:
	case OG_V_DATE:
	case OG_V_DATETIME:
	case OG_V_LIST:
	case OG_V_VECTOR:
	case OG_V_BLOB:
		break;
	}
	og_json_put_str(w, "(not shown)");
}

static int rows(struct og_arena *a, const struct og_pq_file *f, struct og_buf *out, struct og_error *err)
{
	struct og_colvec *cols = og_arena_array(a, f->ncols, sizeof(*cols));
	struct og_json_writer w;
	int rc = 0;

	if (!cols)
		return og_arena_error(a, err);
	for (size_t c = 0; c < f->ncols; c++) {
		struct og_proptype t = f->cols[c].type;

		if (t.scalar == OG_VECTOR)
			return og_error_set(err, OG_ERR_UNSUPPORTED, "a vector");
		og_colvec_init(&cols[c], &t);
		for (size_t g = 0; rc == 0 && g < f->ngroups; g++)
			rc = og_pq_read_column(f, g, c, &cols[c], err);
	}
	for (size_t r = 0; rc == 0 && r < f->rows; r++) {
		og_json_writer_init(&w, out, false);
		og_json_begin_object(&w);
		for (size_t c = 0; c < f->ncols; c++) {
			if (og_colvec_is_null(&cols[c], r))
				continue;
			og_json_put_key(&w, f->cols[c].name);
			put(&w, &cols[c], r);
		}
		og_json_end_object(&w);
		og_buf_byte(out, '\n');
	}
	for (size_t c = 0; c < f->ncols; c++)
		og_colvec_fini(&cols[c]);
	return rc;
}

static int print(const char *path, struct og_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;
	struct og_buf out = { 0 };
	struct og_slice map;
	struct og_pq_file f;
	struct og_arena a;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return og_error_set(err, OG_ERR_IO, "it cannot be opened");
	if ((rc = og_map_file(fd, (uint64_t)st.st_size, &map, err)) < 0)
		return rc;
	og_arena_init(&a, 0);
	if ((rc = og_pq_open(&a, map, &f, err)) == 0 && (rc = rows(&a, &f, &out, err)) == 0 && (rc = og_buf_ok(&out, err)) == 0)
		fwrite(out.data, 1, out.len, stdout);
	og_arena_fini(&a);
	og_buf_fini(&out);
	og_unmap(&map);
	close(fd);
	return rc;
}

int main(int argc, char **argv)
{
	struct og_error err = { 0 };

	for (int i = 1; i < argc; i++)
		if (print(argv[i], &err) < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], err.message);
			return 1;
		}
	return fflush(stdout) == 0 ? 0 : 1;
}
