/*
 * Speed of reading and checking a load: bytes of JSON a second, without a store. Prints, gates nothing.
 * bench_load SCHEMA FILE [BUDGET_MIB]
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/date.h"
#include "base/fd.h"
#include "load/check.h"

static void must(int rc, const struct og_error *err)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s\n", err->message);
	exit(1);
}

int main(int argc, char **argv)
{
	struct og_error err = { 0 };
	struct og_buf schema = { 0 };
	struct og_catalog *c;
	struct og_loader *l;
	struct og_view *v;
	struct load_verdict verdict;
	struct rusage use;
	static char piece[256 * 1024];
	uint64_t start, fed, ended, checked, bytes = 0;
	ssize_t n;
	int fd;

	if (argc < 3)
		return 2;
	must(og_file_read(argv[1], &schema, OG_MIB, &err), &err);
	must(og_catalog_compile(og_buf_view(&schema), NULL, 0, &c, &err), &err);
	must(og_loader_new(c, OG_LOAD_APPEND, (argc > 3 ? (size_t)atoi(argv[3]) : 256) * OG_MIB, true, &l, &err), &err);
	must(og_loader_thread(l, &err), &err);
	v = og_view_new(c);
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !v) {
		perror(argv[2]);
		return 1;
	}
	start = og_monotonic_us();
	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		must(og_loader_feed(l, og_slice(piece, (size_t)n), false, &err), &err);
		bytes += (uint64_t)n;
		for (size_t i = l->nchunks; i-- > 0 && !l->chunks[i].stored;)
			og_loader_stored(l, &l->chunks[i], &(struct og_wire_segment){ 0 });
	}
	must(og_loader_feed(l, og_slice(NULL, 0), true, &err), &err);
	fed = og_monotonic_us();
	must(og_loader_end(l, &err), &err);
	ended = og_monotonic_us();
	must(og_load_check(l, v, &verdict, &err), &err);
	checked = og_monotonic_us();
	getrusage(RUSAGE_SELF, &use);
	printf("records %llu  MB %.1f  read %.2f s  end %.2f s  check %.2f s  total %.1f MB/s  chunks %zu  spooled %.1f MB  peak %ld MiB\n",
	       (unsigned long long)l->records, (double)bytes / 1e6, (double)(fed - start) / 1e6, (double)(ended - fed) / 1e6,
	       (double)(checked - ended) / 1e6, (double)bytes / (double)(checked - start), l->nchunks, (double)l->spooled / 1e6,
	       use.ru_maxrss / 1024);
	og_load_verdict_fini(&verdict);
	og_view_unref(v);
	og_loader_free(l);
	og_catalog_unref(c);
	og_buf_fini(&schema);
	close(fd);
	return 0;
}
