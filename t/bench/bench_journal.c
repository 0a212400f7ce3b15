/*
 * What a commit costs on a directory: one at a time, and 64 at once, beside the floor that the disk sets (write, fdatasync,
 * link, fsync of the folder). Prints; never gates. Usage: bench_journal FOLDER
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/date.h"
#include "journal/journal.h"
#include "store/dir.h"

#define ROUNDS 300
#define WIDE 64

static struct og_journal *journal;
static unsigned pending;

static void on_open(void *arg, struct og_journal *j, const struct og_error *err)
{
	if (!j)
		fprintf(stderr, "%s\n", err->message);
	journal = j;
	event_base_loopbreak(arg);
}

static void on_done(void *arg, const struct og_error *err)
{
	if (err->code)
		fprintf(stderr, "%s\n", err->message);
	event_base_loopbreak(arg);
}

static void on_commit(void *arg, const struct og_commit_result *res)
{
	if (res->outcome != OG_COMMITTED)
		fprintf(stderr, "%s\n", res->err->message);
	if (--pending == 0)
		event_base_loopbreak(arg);
}

static void submit(struct event_base *base, uint64_t key, struct og_slice rows)
{
	const struct og_branch *m = og_state_main(og_journal_state(journal));
	struct og_commit_table t = { .type = 1, .dn = 1, .parquet = rows };
	struct og_commit_req req = {
		.op = OG_OP_MUTATE, .branch = m->id, .base = m->head, .tables = &t, .ntables = 1, .w = &key, .nw = 1,
		.cb = on_commit, .arg = base,
	};

	pending++;
	og_journal_commit(journal, &req);
}

static double floor_us(const char *folder)
{
	char path[4096], bytes[1500] = { 1 };
	uint64_t start;
	int dir;

	snprintf(path, sizeof(path), "%s/floor", folder);
	if (mkdir(path, 0700) < 0 || (dir = open(path, O_RDONLY | O_DIRECTORY)) < 0)
		return 0;
	start = og_monotonic_us();
	for (int i = 0; i < ROUNDS; i++) {
		char name[32], proc[40];
		int fd = openat(dir, ".", O_TMPFILE | O_WRONLY, 0600);

		snprintf(name, sizeof(name), "%d", i);
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		if (fd < 0 || write(fd, bytes, sizeof(bytes)) < 0 || fdatasync(fd) < 0 ||
		    linkat(AT_FDCWD, proc, dir, name, AT_SYMLINK_FOLLOW) < 0 || fsync(dir) < 0)
			return 0;
		close(fd);
	}
	close(dir);
	return (double)(og_monotonic_us() - start) / ROUNDS;
}

static int run(struct event_base *base, struct og_store *store, const char *folder)
{
	static const struct og_type_decl types[] = { { .id = 1, .kind = 'n', .name = { "Port", 4 } } };
	struct og_journal_genesis g = { .schema = OG_SLICE("node Port {}"), .types = types, .ntypes = 1 };
	struct og_journal_config c = { .base = base, .store = store, .prefix = "", .uri = folder };
	static char rows[600];
	double one, wide, disk = floor_us(folder);
	uint64_t start;

	og_journal_init(&c, &g, on_done, base);
	event_base_dispatch(base);
	og_journal_open(&c, on_open, base);
	event_base_dispatch(base);
	if (!journal)
		return 1;
	start = og_monotonic_us();
	for (int i = 0; i < ROUNDS; i++) {
		submit(base, (uint64_t)i, og_slice(rows, sizeof(rows)));
		event_base_dispatch(base);
	}
	one = (double)(og_monotonic_us() - start) / ROUNDS;
	start = og_monotonic_us();
	for (int i = 0; i < ROUNDS / 10; i++) {
		for (int k = 0; k < WIDE; k++)
			submit(base, (uint64_t)(10000 + i * WIDE + k), og_slice(rows, sizeof(rows)));
		event_base_dispatch(base);
	}
	wide = (double)(og_monotonic_us() - start) / (ROUNDS / 10) / WIDE;
	printf("floor (two syncs) %.0f us; one commit at a time %.0f us (%.2f x); %d at once %.1f us each\n", disk, one,
	       disk > 0 ? one / disk : 0, WIDE, wide);
	og_journal_close(journal);
	return 0;
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct og_error err = { 0 };
	struct og_store_dir_config c = { .base = base, .threads = 4, .create = true };
	struct og_store *store;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_journal FOLDER\n");
		return 2;
	}
	c.path = argv[1];
	store = og_store_dir_new(&c, &err);
	if (!store) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	rc = run(base, store, argv[1]);
	og_store_free(store);
	event_base_free(base);
	return rc;
}
