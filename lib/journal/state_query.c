/* Questions about S(n). */
#include "config.h"

#include "journal/state.h"

#include <stdlib.h>

#include "journal/state_private.h"

const struct og_branch *og_state_branch(const struct og_state *s, const struct og_ulid *id)
{
	const struct og_map_entry *e = og_map_find(&s->by_id, og_slice(id->b, sizeof(id->b)));

	return e ? s->branches[e->value] : NULL;
}

const struct og_branch *og_state_branch_named(const struct og_state *s, struct og_slice name)
{
	const struct og_map_entry *e = og_map_find(&s->by_name, name);

	return e ? s->branches[e->value] : NULL;
}

const struct og_commit_info *og_state_commit_find(const struct og_state *s, const struct og_ulid *id)
{
	size_t i = og_commit_index_find(&s->commit_by_id, s->commits, id);

	return i != SIZE_MAX ? &s->commits[i] : NULL;
}

const struct og_branch *og_state_child(const struct og_state *s, const struct og_ulid *b)
{
	const struct og_branch *first = NULL;

	for (size_t i = 1; i < s->nbranches; i++) {
		const struct og_branch *c = s->branches[i];

		if (c->live && og_ulid_cmp(&c->from, b) == 0 && (!first || og_slice_cmp(c->name, first->name) < 0))
			first = c;
	}
	return first;
}

const struct og_schema_state *og_state_schema(const struct og_state *s)
{
	return s->schemas[s->nschemas - 1];
}

const struct og_schema_state *og_state_schema_at(const struct og_state *s, const struct og_commit_info *c)
{
	for (size_t i = s->nschemas - 1; i > 0; i--) {
		const struct og_schema_state *x = s->schemas[i];

		if (x->since < c->seq)
			return x;
		/* In the object that changed it: main's commits before the change had the old one. */
		if (x->since == c->seq &&
		    !(og_ulid_cmp(&c->branch, &s->branches[0]->id) == 0 && c->version < x->version))
			return x;
	}
	return s->schemas[0];
}

bool og_state_retained(const struct og_state *s, const struct og_commit_info *c)
{
	uint64_t least = UINT64_MAX;

	if (!s->has_floor)
		return true;
	for (size_t i = 0; i < s->nkeep; i++)
		least = OG_MIN(least, s->keep[i].seq);
	if (c->seq > least)
		return true;
	for (size_t i = 0; i < s->nbranches; i++)
		if (s->branches[i]->live && og_ulid_cmp(&s->branches[i]->head, &c->id) == 0)
			return true;
	for (size_t i = 0; i < s->npins; i++)
		if (og_ulid_cmp(&s->pins[i].commit, &c->id) == 0)
			return true;
	return false;
}

int og_state_line(const struct og_state *s, const struct og_ulid *head, struct og_arena *a,
		  const struct og_commit_info ***out, size_t *n, struct og_error *err)
{
	const struct og_commit_info *c = og_state_commit_find(s, head);
	const struct og_commit_info **v = NULL;
	size_t count = 0, cap = 0;

	/* Parents come before their children, so the walk ends. */
	for (; c; c = og_ulid_zero(&c->parent) ? NULL : og_state_commit_find(s, &c->parent)) {
		v = og_arena_grow(a, v, &cap, count + 1, sizeof(*v));
		if (!v)
			return og_arena_error(a, err);
		v[count++] = c;
	}
	*out = v;
	*n = count;
	return 0;
}

bool og_state_on_line(const struct og_state *s, const struct og_branch *b, const struct og_ulid *commit)
{
	const struct og_ulid *at = &b->head;

	for (;;) {
		const struct og_commit_info *c;

		if (og_ulid_cmp(at, commit) == 0)
			return true;
		c = og_state_commit_find(s, at);
		if (!c)
			return !s->commits_complete;	/* in a chunk that is not loaded: whoever wrote it had checked */
		if (og_ulid_zero(&c->parent))
			return false;
		at = &c->parent;
	}
}
