/* Runs a fuzz target over a corpus and mutations of it. */
#include "config.h"

#include "t/fuzz/driver.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_RUNS 2000u
#define MAX_INPUT_BYTES (1024u * 1024u)
#define HANG_SECONDS 20u

struct corpus {
	struct og_buf *inputs;
	size_t n, cap;
};

static struct og_buf *corpus_add(struct corpus *c)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 16;
		c->inputs = realloc(c->inputs, c->cap * sizeof(*c->inputs));
		if (!c->inputs)
			abort();
	}
	c->inputs[c->n] = (struct og_buf){ 0 };
	return &c->inputs[c->n++];
}

static bool read_file(struct corpus *c, const char *path)
{
	FILE *f = fopen(path, "rb");
	struct og_buf *b;
	char tmp[4096];
	size_t n;

	if (!f)
		return false;
	b = corpus_add(c);
	while ((n = fread(tmp, 1, sizeof(tmp), f)) > 0 && b->len < MAX_INPUT_BYTES)
		og_buf_append(b, tmp, n);
	fclose(f);
	return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The files of a folder, in an order that does not depend on the file system. false: not a folder. */
static bool read_folder(struct corpus *c, const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, by_name);
	char full[4096];

	if (n < 0)
		return false;
	for (int i = 0; i < n; i++) {
		snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			(void)read_file(c, full);	/* a folder within reads as empty */
		free(names[i]);
	}
	free(names);
	return true;
}

/* ---- mutations ---- */

struct rng {
	uint64_t s;
};

static uint64_t next(struct rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t below(struct rng *r, size_t n)
{
	return n ? next(r) % n : 0;
}

static void overwrite(struct og_buf *b, size_t at, const void *p, size_t n)
{
	if (at < b->len)
		memcpy(b->data + at, p, OG_MIN(n, b->len - at));
}

/* Replaces [at, at + cut) by n bytes. */
static void splice(struct og_buf *b, size_t at, size_t cut, const char *p, size_t n)
{
	struct og_buf out = { 0 };

	og_buf_append(&out, b->data, at);
	og_buf_append(&out, p, n);
	og_buf_append(&out, b->data + at + cut, b->len - at - cut);
	og_buf_fini(b);
	*b = out;
}

static void mutate_once(struct og_buf *b, const struct corpus *c, struct rng *r)
{
	static const uint8_t bytes[] = { 0, 1, 0x7f, 0x80, 0xff, ' ', '"', '{', '[', '\n' };
	static const uint32_t words[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x10000, 0xff };
	const struct og_buf *other = &c->inputs[below(r, c->n)];
	size_t at = below(r, b->len + 1), n = 1 + below(r, below(r, 4) ? 8 : 200);
	size_t from = below(r, other->len + 1);
	uint8_t v = (uint8_t)next(r);

	switch (below(r, 9)) {
	case 0:
	case 1:
		v = at < b->len ? (uint8_t)b->data[at] ^ (uint8_t)(1u << below(r, 8)) : 0;
		overwrite(b, at, &v, 1);
		break;
	case 2:
		overwrite(b, at, &v, 1);
		break;
	case 3:
		overwrite(b, at, &bytes[below(r, sizeof(bytes))], 1);
		break;
	case 4:
		overwrite(b, at, &words[below(r, OG_COUNT(words))], below(r, 2) ? 4 : 2);
		break;
	case 5:
		v = at < b->len ? (uint8_t)((uint8_t)b->data[at] + (below(r, 2) ? 1 : 255)) : 0;
		overwrite(b, at, &v, 1);
		break;
	case 6:
		splice(b, at, OG_MIN(n, b->len - at), NULL, 0);
		break;
	case 7:
		splice(b, at, 0, other->data ? other->data + from : NULL, OG_MIN(n, other->len - from));
		break;
	case 8:
		overwrite(b, at, other->data ? other->data + from : "", OG_MIN(n, other->len - from));
		break;
	}
}

/* Input number nr: the corpus first, then mutations, each from its own numbers. */
static void make_input(struct og_buf *b, const struct corpus *c, uint64_t seed, size_t nr)
{
	struct rng r = { seed * 1000003u + nr };
	const struct og_buf *base = &c->inputs[nr < c->n ? nr : below(&r, c->n)];

	og_buf_append(b, base->data, base->len);
	for (size_t k = nr < c->n ? 0 : 1 + below(&r, 4); k > 0; k--)
		mutate_once(b, c, &r);
}

static void run_one(const struct corpus *c, uint64_t seed, size_t nr)
{
	struct og_buf b = { 0 };
	uint8_t *exact;

	make_input(&b, c, seed, nr);
	exact = malloc(b.len ? b.len : 1);
	if (!exact || b.failed)
		abort();
	if (b.len)
		memcpy(exact, b.data, b.len);
	alarm(HANG_SECONDS);
	(void)LLVMFuzzerTestOneInput(exact, b.len);
	free(exact);
	og_buf_fini(&b);
}

static int report_crash(const char *name, const struct corpus *c, uint64_t seed, size_t nr)
{
	struct og_buf b = { 0 };
	char path[256];
	FILE *f;

	make_input(&b, c, seed, nr);
	snprintf(path, sizeof(path), "crash-%s-%llu-%zu", name, (unsigned long long)seed, nr);
	f = fopen(path, "wb");
	if (!f || fwrite(b.data, 1, b.len, f) != b.len)
		perror(path);
	if (f)
		fclose(f);
	printf("fuzz_%s: input %zu of seed %llu ends it; kept as %s\n", name, nr, (unsigned long long)seed, path);
	og_buf_fini(&b);
	return 1;
}

static int run_all(const char *name, const struct corpus *c, uint64_t seed, size_t total)
{
	volatile size_t *at = mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid;

	if (at == MAP_FAILED)
		return 2;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return 2;
	if (pid == 0) {
		for (size_t nr = 0; nr < total; nr++) {
			*at = nr;
			run_one(c, seed, nr);
		}
		_exit(0);	/* leaks are the unit tests' */
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		return report_crash(name, c, seed, *at);
	printf("fuzz_%s: %zu inputs, 0 crashes\n", name, total);
	return 0;
}

static void add_defaults(struct corpus *c, const char *name, bool files_given)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];

	snprintf(path, sizeof(path), "%s/t/fuzz/corpus/%s", srcdir ? srcdir : ".", name);
	if (!files_given)
		(void)read_folder(c, path);	/* a target may live from its own seeds */
	for (unsigned nr = 0; og_fuzz_seed; nr++) {
		struct og_buf seed = { 0 };

		if (!og_fuzz_seed(nr, &seed))
			break;
		*corpus_add(c) = seed;
	}
	if (c->n == 0)
		(void)corpus_add(c);	/* the empty input */
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	size_t runs = DEFAULT_RUNS;
	struct corpus c = { 0 };
	uint64_t seed = 1;
	int rc;

	name = strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
			runs = strtoull(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
			seed = strtoull(argv[++i], NULL, 10);
		} else if (!read_folder(&c, argv[i]) && !read_file(&c, argv[i])) {
			perror(argv[i]);
			return 2;
		}
	}
	add_defaults(&c, name, c.n > 0);
	rc = run_all(name, &c, seed, c.n + runs);
	for (size_t i = 0; i < c.n; i++)
		og_buf_fini(&c.inputs[i]);
	free(c.inputs);
	return rc;
}
