/* The recent commits of each branch and what they touched, for finding conflicts. */
#include "config.h"

#include "journal/private.h"

#include <stdlib.h>

static void line_free(struct og_line *line)
{
	for (size_t k = 0; k < line->n; k++)
		free(line->v[k]);
	free(line->v);
	free(line);
}

void og_lines_fini(struct og_lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		line_free(l->all[i]);
	free(l->all);
	og_map_fini(&l->map);
	memset(l, 0, sizeof(*l));
}

static struct og_line *line_find(const struct og_lines *l, const struct og_ulid *branch)
{
	const struct og_map_entry *e = og_map_find(&l->map, og_slice(branch->b, sizeof(branch->b)));

	return e ? (struct og_line *)(uintptr_t)e->value : NULL;
}

static struct og_line *line_get(struct og_lines *l, const struct og_ulid *branch)
{
	struct og_line *line = line_find(l, branch);
	struct og_map_entry *e;

	if (line)
		return line;
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 8;
		struct og_line **v = reallocarray(l->all, cap, sizeof(*v));

		if (!v)
			return NULL;
		l->all = v;
		l->cap = cap;
	}
	line = calloc(1, sizeof(*line));
	if (!line)
		return NULL;
	line->branch = *branch;
	e = og_map_put(&l->map, og_slice(line->branch.b, sizeof(line->branch.b)), NULL);
	if (!e) {
		free(line);
		return NULL;
	}
	e->value = (uintptr_t)line;
	l->all[l->n++] = line;
	return line;
}

/* With what it points at in one piece: there are thousands of them, come and gone with every batch. */
static struct og_line_commit *commit_new(const struct og_record *r, const uint64_t *w, size_t nw, bool ours)
{
	size_t n = r->commit.ntables;
	struct og_line_commit *c = malloc(sizeof(*c) + n * sizeof(*c->touched) + nw * sizeof(*w));

	if (!c)
		return NULL;
	*c = (struct og_line_commit){ .parent = r->commit.parent, .ours = ours, .all_keys = r->commit.all_keys,
				      .schema = r->commit.schema.present, .ntouched = n, .nw = nw };
	c->touched = (struct og_touch *)(c + 1);
	c->w = (uint64_t *)(c->touched + n);
	for (size_t i = 0; i < n; i++)
		c->touched[i] = (struct og_touch){ r->commit.tables[i].type, r->commit.tables[i].version };
	if (nw)
		memcpy(c->w, w, nw * sizeof(*w));
	return c;
}

int og_lines_add(struct og_lines *l, const struct og_record *r, const uint64_t *w, size_t nw, bool ours,
		 struct og_error *err)
{
	struct og_line *line = line_get(l, &r->commit.branch);
	struct og_line_commit *c;

	if (!line)
		return og_error_nomem(err);
	if (line->n == line->cap) {
		size_t cap = line->cap ? 2 * line->cap : 16;
		struct og_line_commit **v = reallocarray(line->v, cap, sizeof(*v));

		if (!v)
			return og_error_nomem(err);
		line->v = v;
		line->cap = cap;
	}
	c = commit_new(r, w, nw, ours);
	if (!c)
		return og_error_nomem(err);
	line->v[line->n++] = c;
	line->nkeys += nw;
	return 0;
}

void og_lines_drop(struct og_lines *l, const struct og_ulid *branch)
{
	struct og_line *line = line_find(l, branch);

	if (!line)
		return;
	(void)og_map_delete(&l->map, og_slice(line->branch.b, sizeof(line->branch.b)));
	for (size_t i = 0; i < l->n; i++)
		if (l->all[i] == line) {
			l->all[i] = l->all[--l->n];
			break;
		}
	line_free(line);
}

void og_lines_pop(struct og_lines *l, const struct og_ulid *branch)
{
	struct og_line *line = line_find(l, branch);
	struct og_line_commit *c = line->v[--line->n];

	line->nkeys -= c->nw;
	free(c);
}

void og_lines_trim(struct og_lines *l, const struct og_ulid *branch)
{
	struct og_line *line = line_find(l, branch);
	size_t drop = 0;

	if (!line || (line->n <= 2 * OG_JN_LINE_COMMITS && line->nkeys <= 2 * OG_JN_LINE_KEYS))
		return;
	/* Twice the limit is let grow, so that the move below is paid once in thousands of commits. */
	while (line->n - drop > 1 && (line->n - drop > OG_JN_LINE_COMMITS || line->nkeys > OG_JN_LINE_KEYS)) {
		line->nkeys -= line->v[drop]->nw;
		free(line->v[drop++]);
	}
	line->n -= drop;
	memmove(line->v, line->v + drop, line->n * sizeof(*line->v));
}

bool og_lines_after(const struct og_lines *l, const struct og_branch *b, const struct og_ulid *base,
		    struct og_line_commit *const **first, size_t *n)
{
	const struct og_line *line = line_find(l, &b->id);

	*first = NULL;
	*n = 0;
	if (og_ulid_cmp(&b->head, base) == 0)
		return true;
	if (!line)
		return false;
	/* By the parent, so that the fork of a branch is found too, which is no commit of its own line. */
	for (size_t i = line->n; i-- > 0;)
		if (og_ulid_cmp(&line->v[i]->parent, base) == 0) {
			*first = line->v + i;
			*n = line->n - i;
			return true;
		}
	return false;
}
