/* Layers and branch values: immutable, counted references. */
#include "config.h"

#include "journal/state_private.h"

#include <stdlib.h>

#define SMALL_MANY 8u	/* small segments that only add, before they are gathered */

struct og_layer *og_layer_ref(struct og_layer *l)
{
	if (l)
		l->refs++;
	return l;
}

void og_layer_unref(struct og_layer *l)
{
	/* A loop, not recursion: stacks may be thousands deep before they are folded. */
	while (l && --l->refs == 0) {
		struct og_layer *below = l->below;

		free(l);
		l = below;
	}
}

static struct og_layer *layer_new(struct og_layer *below, uint32_t type)
{
	struct og_layer *l = calloc(1, sizeof(*l));

	if (!l) {
		og_layer_unref(below);
		return NULL;
	}
	l->refs = 1;
	l->below = below;
	l->depth = below ? below->depth + 1 : 1;
	l->type = type;
	return l;
}

struct og_layer *og_layer_segment(struct og_layer *below, uint32_t type, const struct og_seg *seg)
{
	struct og_layer *l = layer_new(below, type);

	if (l)
		l->seg = *seg;
	return l;
}

struct og_layer *og_layer_body(struct og_layer *below, uint32_t type, uint64_t seq, uint32_t body,
			       const struct og_log_body *place)
{
	struct og_layer *l = layer_new(below, type);

	if (l) {
		l->in_log = true;
		l->seq = seq;
		l->body = body;
		l->off = place->off;
		l->len = place->len;
		l->sha256 = place->sha256;
	}
	return l;
}

const struct og_branch *og_branch_ref(const struct og_branch *b)
{
	((struct og_branch *)(uintptr_t)b)->refs++;
	return b;
}

void og_branch_unref(const struct og_branch *borrowed)
{
	struct og_branch *b = (struct og_branch *)(uintptr_t)borrowed;

	if (!b || --b->refs > 0)
		return;
	for (size_t i = 0; i < b->ntables; i++)
		og_layer_unref(b->tables[i].top);
	free(b->tables);
	free(b);
}

const struct og_table *og_branch_table(const struct og_branch *b, uint32_t type)
{
	size_t lo = 0, hi = b->ntables;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->tables[mid].type == type)
			return &b->tables[mid];
		if (b->tables[mid].type < type)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* ---- what a fold leaves ---- */

uint64_t og_layer_bytes(const struct og_layer *l)
{
	return l->in_log ? l->len : l->seg.bytes;
}

bool og_layer_plain(const struct og_layer *top)
{
	for (; top; top = top->below)
		if (top->in_log || !top->seg.plain)
			return false;
	return true;
}

/* The depth at which the small plain segments on top of this one, itself included, end. */
static uint32_t below_small(const struct og_layer *l)
{
	while (l && l->seg.bytes < OG_LAYER_SMALL)
		l = l->below;
	return l ? l->depth : 0;
}

static uint32_t keep_plain(const struct og_layer *top, bool full)
{
	uint32_t keep = below_small(top);

	return top->depth - keep < (full ? 2 : SMALL_MANY) ? top->depth : keep;
}

/* The highest layer below which, itself included, all is plain. */
static const struct og_layer *plain_prefix(const struct og_layer *top)
{
	const struct og_layer *prefix = top;

	for (; top; top = top->below)
		if (top->in_log || !top->seg.plain)
			prefix = top->below;
	return prefix;
}

uint32_t og_layer_keep(const struct og_layer *top, bool full)
{
	const struct og_layer *prefix = plain_prefix(top), *l;
	uint64_t above = 0, bytes = 0;

	if (!top)
		return 0;
	if (prefix == top)
		return keep_plain(top, full);
	if (full)
		return below_small(prefix);
	for (l = top; l != prefix; l = l->below)
		above += og_layer_bytes(l);
	for (l = prefix; l; l = l->below)
		bytes += l->seg.bytes;
	if (bytes / 8 < above)
		return 0;
	for (l = prefix; l && l->seg.bytes < OG_LAYER_SMALL && l->seg.bytes / 8 < above; l = l->below)
		above += l->seg.bytes;
	/* One segment over others that stay would become itself. */
	return !l ? 0 : l == top->below && !top->in_log ? top->depth : l->depth;
}

/* ---- relayering ---- */

/* Copies made so far, so that branches which shared a layer share its copy. */
struct copies {
	struct og_layer **from, **to;
	size_t n, cap;
};

static struct og_layer *copy_of(const struct copies *c, const struct og_layer *l)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->from[i] == l)
			return c->to[i];
	return NULL;
}

static int copies_add(struct copies *c, struct og_layer *from, struct og_layer *to)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 16;
		struct og_layer **f = reallocarray(c->from, cap, sizeof(*f));
		struct og_layer **t;

		if (!f)
			return -1;
		c->from = f;
		t = reallocarray(c->to, cap, sizeof(*t));
		if (!t)
			return -1;
		c->to = t;
		c->cap = cap;
	}
	c->from[c->n] = from;
	c->to[c->n++] = to;
	return 0;
}

static bool stack_holds(const struct og_layer *top, const struct og_layer *l)
{
	for (; top && top->depth >= l->depth; top = top->below)
		if (top == l)
			return true;
	return false;
}

/* The stack from top down to `old`, on `with` instead: a new reference, or NULL with *failed. */
static struct og_layer *restack(struct og_layer *top, struct og_layer *old, struct og_layer *with, struct copies *c,
				bool *failed)
{
	size_t n = top->depth - old->depth;
	struct og_layer **above = calloc(n ? n : 1, sizeof(*above));
	struct og_layer *on = og_layer_ref(with);

	if (!above) {
		*failed = true;
		og_layer_unref(on);
		return NULL;
	}
	for (size_t i = n; i-- > 0; top = top->below)
		above[i] = top;
	for (size_t i = 0; i < n; i++) {
		struct og_layer *copy = copy_of(c, above[i]);

		if (copy) {
			og_layer_unref(on);
			on = og_layer_ref(copy);
			continue;
		}
		copy = layer_new(on, above[i]->type);
		if (!copy || copies_add(c, above[i], copy) < 0) {
			og_layer_unref(copy);
			*failed = true;
			free(above);
			return NULL;
		}
		copy->in_log = above[i]->in_log;
		copy->seg = above[i]->seg;
		copy->seq = above[i]->seq;
		copy->body = above[i]->body;
		copy->off = above[i]->off;
		copy->len = above[i]->len;
		copy->sha256 = above[i]->sha256;
		on = copy;
	}
	free(above);
	return on;
}

struct og_branch *og_branch_copy(const struct og_branch *b)
{
	struct og_branch *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = *b;
	c->refs = 1;
	c->tables = calloc(b->ntables ? b->ntables : 1, sizeof(*c->tables));
	if (!c->tables) {
		free(c);
		return NULL;
	}
	for (size_t i = 0; i < b->ntables; i++) {
		c->tables[i] = b->tables[i];
		og_layer_ref(c->tables[i].top);
	}
	return c;
}

int og_state_relayer(struct og_state *s, struct og_layer *old, struct og_layer *with, struct og_error *err)
{
	struct copies copies = { 0 };
	bool failed = false;

	for (size_t i = 0; i < s->nbranches && !failed; i++) {
		struct og_branch *b = s->branches[i], *c;
		const struct og_table *t = b->live ? og_branch_table(b, old->type) : NULL;
		struct og_layer *top;

		if (!t || !stack_holds(t->top, old))
			continue;
		c = og_branch_copy(b);
		top = c ? restack(t->top, old, with, &copies, &failed) : NULL;
		if (!c || failed) {
			failed = true;
			og_branch_unref(c);
			break;
		}
		og_layer_unref(c->tables[t - b->tables].top);
		c->tables[t - b->tables].top = top;
		s->branches[i] = c;
		og_branch_unref(b);
	}
	free(copies.from);
	free(copies.to);
	/* What was replaced so far is as good as what was not: content is equal. */
	return failed ? og_error_nomem(err) : 0;
}

/* ---- another's layers ---- */

static uint64_t depth_of(const struct og_state *s, uint32_t type)
{
	uint64_t depth = 0;

	for (size_t i = 0; i < s->nbranches; i++) {
		const struct og_table *t = s->branches[i]->live ? og_branch_table(s->branches[i], type) : NULL;

		depth += t && t->top ? t->top->depth : 0;
	}
	return depth;
}

/* Of those types; `theirs` is the same value of the branch. */
static int take_stacks(struct og_state *s, size_t at, const struct og_branch *theirs, const uint32_t *types, size_t ntypes, struct og_error *err)
{
	struct og_branch *c = og_branch_copy(s->branches[at]);

	if (!c)
		return og_error_nomem(err);
	for (size_t i = 0; i < ntypes; i++) {
		const struct og_table *from = og_branch_table(theirs, types[i]);
		struct og_table *to = (struct og_table *)(uintptr_t)og_branch_table(c, types[i]);
		struct og_layer *old = to ? to->top : NULL;

		/* Who made the layers says whose content they are; a table that differs is not theirs to replace. */
		if (!from || !to || from->version != to->version || from->rows != to->rows)
			continue;
		to->top = from->top ? og_layer_ref(from->top) : NULL;
		og_layer_unref(old);
	}
	og_branch_unref(s->branches[at]);
	s->branches[at] = c;
	return 0;
}

int og_state_take_layers(struct og_state *s, const struct og_state *from, struct og_error *err)
{
	const struct og_branch *main = og_state_main(s);
	uint32_t *types = calloc(main->ntables ? main->ntables : 1, sizeof(*types));
	size_t n = 0;
	int rc = 0;

	if (!types)
		return og_error_nomem(err);
	for (size_t i = 0; i < main->ntables; i++)
		if (depth_of(from, main->tables[i].type) < depth_of(s, main->tables[i].type))
			types[n++] = main->tables[i].type;
	for (size_t i = 0; i < s->nbranches && n > 0 && rc == 0; i++) {
		const struct og_branch *theirs = s->branches[i]->live ? og_state_branch(from, &s->branches[i]->id) : NULL;

		if (theirs && theirs->live && og_ulid_cmp(&theirs->head, &s->branches[i]->head) == 0)
			rc = take_stacks(s, i, theirs, types, n, err);
	}
	free(types);
	return rc;
}
