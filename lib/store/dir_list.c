/* Listing of the directory back end: keys in byte order, whole folders below the start key not opened. */
#include "config.h"

#include "store/dir_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct names {
	char **v;		/* a folder's name ends in '/' */
	size_t n, cap;
};

static void names_free(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

static int names_add(struct names *l, const char *name, bool folder)
{
	size_t len = strlen(name);
	char *s;

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		char **v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -1;
		l->v = v;
		l->cap = cap;
	}
	s = malloc(len + 2);
	if (!s)
		return -1;
	memcpy(s, name, len);
	s[len] = folder ? '/' : '\0';
	s[len + 1] = '\0';
	l->v[l->n++] = s;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Regular files and folders whose keys can lie behind `after`, in the order of their keys. */
static int read_names(int fd, const char *rel, const char *after, struct names *l)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	char key[OG_STORE_KEY_MAX + 256 + 2];
	size_t rel_len = strlen(rel);
	int rc = 0;

	if (!dir) {
		rc = -errno;
		close(fd);
		return rc;
	}
	memcpy(key, rel, rel_len);
	while (errno = 0, (e = readdir(dir))) {
		bool folder = e->d_type == DT_DIR;
		size_t len = strlen(e->d_name);
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || strstr(e->d_name, ".tmp."))
			continue;
		if (rel_len + len > OG_STORE_KEY_MAX)
			continue;	/* no put of ours made it */
		if (e->d_type == DT_UNKNOWN || e->d_type == DT_LNK) {
			if (fstatat(dirfd(dir), e->d_name, &st, 0) < 0)
				continue;
			folder = S_ISDIR(st.st_mode);
			if (!folder && !S_ISREG(st.st_mode))
				continue;
		} else if (!folder && e->d_type != DT_REG) {
			continue;
		}
		memcpy(key + rel_len, e->d_name, len + 1);
		if (folder) {
			strcpy(key + rel_len + len, "/");
			/* All keys in it start with `key`: none is greater when `after` is greater within that length. */
			if (after && strncmp(after, key, rel_len + len + 1) > 0)
				continue;
		} else if (after && strcmp(key, after) <= 0) {
			continue;
		}
		if (names_add(l, e->d_name, folder) < 0) {
			rc = -ENOMEM;
			goto out;
		}
	}
	rc = -errno;
	if (!rc && l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_name);
out:
	closedir(dir);
	return rc;
}

static int add_item(struct og_dir_out *out, const char *rel, const char *name, uint64_t size)
{
	char *key;

	if (out->nitems == out->cap_items) {
		size_t cap = out->cap_items ? 2 * out->cap_items : 64;
		struct og_store_item *v = reallocarray(out->items, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		out->items = v;
		out->cap_items = cap;
	}
	if (asprintf(&key, "%s%s", rel, name) < 0)
		return -ENOMEM;
	out->items[out->nitems].key = key;
	out->items[out->nitems++].size = size;
	return 0;
}

static int list_folder(struct og_dir *d, const char *rel, const char *after, size_t limit, struct og_dir_out *out)
{
	struct names l = { 0 };
	char path[OG_STORE_KEY_MAX + 256 + 2];
	struct stat st;
	int rc = 0, fd = openat(d->root, *rel ? rel : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	rc = read_names(fd, rel, after, &l);
	for (size_t i = 0; i < l.n && !rc && !out->more; i++) {
		size_t len = strlen(l.v[i]);

		snprintf(path, sizeof(path), "%s%s", rel, l.v[i]);
		if (l.v[i][len - 1] == '/') {
			rc = list_folder(d, path, after, limit, out);
		} else if (fstatat(d->root, path, &st, 0) < 0) {
			rc = errno == ENOENT ? 0 : -errno;	/* deleted since */
		} else if (out->nitems == limit) {
			out->more = true;
		} else {
			rc = add_item(out, rel, l.v[i], (uint64_t)st.st_size);
		}
	}
	names_free(&l);
	return rc;
}

int og_dir_list(struct og_dir *d, const struct og_store_req *req, struct og_dir_out *out, struct og_error *err)
{
	size_t limit = req->limit && req->limit < OG_STORE_PAGE_MAX ? req->limit : OG_STORE_PAGE_MAX;
	int rc = list_folder(d, req->key, req->after, limit, out);

	if (rc == 0)
		return 0;
	if (rc == -ENOMEM)
		return og_error_nomem(err);
	return og_error_sys(err, -rc, "%s/%s", d->path, req->key);
}
