/* The tz database in one block. */
#include "config.h"

#include "base/zonedb.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/date.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/zone.h"

#define ZONES_DIR "/usr/share/zoneinfo"
#define FILE_MAX (64 * OG_KIB)
#define DEPTH_MAX 4
#define ZONES_MAX 16384u		/* names; offsets stay below 2^32 */
#define ENTRY_WORDS 4u

/* Set once before threads start, constant afterwards: the tz database of the system. */
static struct {
	bool loaded;
	struct og_slice block;
} zones;

struct zone {
	struct og_slice name, file;
};

struct reading {
	struct og_arena arena;
	struct og_map files;	/* by their bytes: the address of the slice that is kept */
	struct zone *v;
	size_t n, cap;
};

/* ---- reading the folder ---- */

static int add_zone(struct reading *r, const char *name, struct og_slice bytes, struct og_error *err)
{
	struct og_map_entry *e = og_map_find(&r->files, bytes);
	struct og_slice file;
	struct zone *v;

	if (r->n == ZONES_MAX)
		return 0;
	v = og_arena_grow(&r->arena, r->v, &r->cap, r->n + 1, sizeof(*v));
	file = e ? e->key : og_arena_slice(&r->arena, bytes);
	if (!v || !file.p || (!e && !og_map_put(&r->files, file, NULL)))
		return og_error_nomem(err);
	r->v = v;
	v[r->n++] = (struct zone){ og_slice_str(name), file };
	return 0;
}

static int read_dir(struct reading *r, int parent, const char *name, const char *prefix, int depth, struct og_error *err);

/* Names that are no zones although they look like one: copies for other uses. */
static bool skipped(const char *prefix, const char *name)
{
	if (name[0] == '.')
		return true;
	return !*prefix && (!strcmp(name, "posix") || !strcmp(name, "right") || !strcmp(name, "posixrules") || !strcmp(name, "localtime"));
}

static int read_entry(struct reading *r, int dir, const char *name, const char *prefix, int depth, struct og_buf *scratch, struct og_error *err)
{
	char *path = og_arena_printf(&r->arena, "%s%s%s", prefix, *prefix ? "/" : "", name);
	struct og_error ignored;
	int fd, rc;

	if (!path)
		return og_error_nomem(err);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		og_fd_close(&fd);
		return read_dir(r, dir, name, path, depth + 1, err);
	}
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return 0;
	og_buf_clear(scratch);
	rc = og_fd_read_all(fd, scratch, FILE_MAX, &ignored);
	og_fd_close(&fd);
	if (rc < 0 || !og_zone_valid(og_buf_view(scratch)))
		return rc == OG_ERR_NOMEM ? og_error_nomem(err) : 0;
	return add_zone(r, path, og_buf_view(scratch), err);
}

/* Whatever cannot be read is left out: a zone missing makes one text invalid, not the service. */
static int read_dir(struct reading *r, int parent, const char *name, const char *prefix, int depth, struct og_error *err)
{
	struct og_buf scratch = { 0 };
	struct dirent *e;
	DIR *d;
	int fd, rc = 0;

	if (depth > DEPTH_MAX)
		return 0;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	d = fdopendir(fd);
	if (!d) {
		og_fd_close(&fd);
		return og_error_nomem(err);
	}
	while (rc == 0 && (e = readdir(d)))
		if (!skipped(prefix, e->d_name))
			rc = read_entry(r, dirfd(d), e->d_name, prefix, depth, &scratch, err);
	closedir(d);
	og_buf_fini(&scratch);
	return rc;
}

/* ---- the block ---- */

static int name_cmp(struct og_slice a, struct og_slice b)
{
	int c = memcmp(a.p, b.p, OG_MIN(a.len, b.len));

	return c ? c : a.len < b.len ? -1 : a.len > b.len;
}

static int cmp_zones(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;

	return name_cmp(x->name, y->name);
}

/* Where the bytes lie in the block, appended there unless they are already. Offsets do not move: what is appended goes behind the table. */
static uint32_t place(struct reading *r, struct og_buf *out, struct og_slice bytes)
{
	struct og_map_entry *e = og_map_find(&r->files, bytes);
	uint32_t at = (uint32_t)out->len;

	if (e && e->value)
		return (uint32_t)e->value;
	if (e)
		e->value = at;
	og_buf_slice(out, bytes);
	return at;
}

static int pack(struct reading *r, struct og_buf *out, struct og_error *err)
{
	size_t table = 4 + r->n * ENTRY_WORDS * 4;
	uint32_t *words = calloc(1 + r->n * ENTRY_WORDS, sizeof(*words));
	int rc;

	if (!words)
		return og_error_nomem(err);
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), cmp_zones);
	words[0] = (uint32_t)r->n;
	og_buf_append(out, words, table);
	for (size_t i = 0; i < r->n; i++) {
		uint32_t *w = &words[1 + i * ENTRY_WORDS];

		w[0] = (uint32_t)out->len;
		w[1] = (uint32_t)r->v[i].name.len;
		og_buf_slice(out, r->v[i].name);
		w[2] = place(r, out, r->v[i].file);
		w[3] = (uint32_t)r->v[i].file.len;
	}
	rc = og_buf_ok(out, err);
	if (rc == 0)
		memcpy(out->data, words, table);
	free(words);
	return rc;
}

static int read_block(struct og_buf *out, struct og_error *err)
{
	struct reading r = { 0 };
	int rc;

	og_arena_init(&r.arena, 0);
	rc = read_dir(&r, AT_FDCWD, ZONES_DIR, "", 0, err);
	if (rc == 0)
		rc = pack(&r, out, err);
	og_map_fini(&r.files);
	og_arena_fini(&r.arena);
	return rc;
}

int og_zones_load(struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	if (zones.loaded)
		return 0;
	rc = read_block(&b, err);
	if (rc < 0) {
		og_buf_fini(&b);
		return rc;
	}
	zones.block = og_buf_view(&b);		/* for ever */
	zones.loaded = true;
	return 0;
}

int og_zones_share(int *fd, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc = read_block(&b, err);

	if (rc == 0)
		rc = og_memfd_from("og-zones", og_buf_view(&b), fd, err);
	og_buf_fini(&b);
	return rc;
}

int og_zones_map(int fd, struct og_error *err)
{
	uint64_t size;
	int rc;

	if (zones.loaded)
		return 0;
	if ((rc = og_memfd_check(fd, &size, err)) < 0 || (rc = og_map_file(fd, size, &zones.block, err)) < 0)
		return rc;
	zones.loaded = true;
	return 0;
}

/* ---- finding ---- */

static uint32_t word(size_t i)
{
	uint32_t w;

	memcpy(&w, zones.block.p + i * 4, 4);
	return w;
}

/* Bytes of the block; empty where they would lie outside of it. */
static struct og_slice part(size_t at)
{
	uint32_t from = word(at), len = word(at + 1);

	if (from > zones.block.len || len > zones.block.len - from)
		return OG_SLICE("");
	return og_slice(zones.block.p + from, len);
}

bool og_zones_find(struct og_slice name, struct og_slice *tzif)
{
	size_t low = 0, high;

	if (zones.block.len < 4)
		return false;
	high = OG_MIN((size_t)word(0), (zones.block.len - 4) / (ENTRY_WORDS * 4));
	while (low < high) {
		size_t mid = low + (high - low) / 2, at = 1 + mid * ENTRY_WORDS;
		int c = name_cmp(name, part(at));

		if (c == 0) {
			*tzif = part(at + 2);
			return true;
		}
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}
