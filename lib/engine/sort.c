/* `order`: a stable merge sort, and the rows that it works on; with a limit only the best are kept, in a heap. */
#include "config.h"

#include "engine/run.h"

#define CHECK_EVERY 4096
/* Beyond this a limit is no reason for a heap. */
#define HEAP_MAX (1u << 20)

/* --- merge sort ----------------------------------------------------------------------------------------------------------------------- */

struct merge {
	struct og_exec *x;
	int (*cmp)(void *arg, const void *a, const void *b);
	void *arg;
	size_t steps;
};

static int merge_runs(struct merge *m, void **from, void **to, size_t a, size_t mid, size_t end, struct og_error *err)
{
	size_t b = mid;

	for (size_t i = a; i < end; i++) {
		if (++m->steps % CHECK_EVERY == 0) {
			int rc = eng_cancelled(m->x, err);

			if (rc < 0)
				return rc;
		}
		if (a < mid && (b >= end || m->cmp(m->arg, from[a], from[b]) <= 0))
			to[i] = from[a++];
		else
			to[i] = from[b++];
	}
	return 0;
}

int eng_sort(struct og_exec *x, void **v, size_t n, int (*cmp)(void *arg, const void *a, const void *b), void *arg, struct og_error *err)
{
	struct merge m = { .x = x, .cmp = cmp, .arg = arg };
	void **from = v, **to;

	if (n < 2)
		return 0;
	to = og_arena_array(&x->arena, n, sizeof(*to));
	if (!to)
		return eng_no_memory(x, err);
	for (size_t width = 1; width < n; width *= 2) {
		void **swap = from;

		for (size_t a = 0; a < n; a += 2 * width) {
			int rc = merge_runs(&m, from, to, a, OG_MIN(a + width, n), OG_MIN(a + 2 * width, n), err);

			if (rc < 0)
				return rc;
		}
		from = to;
		to = swap;
	}
	if (from != v)
		memcpy(v, from, n * sizeof(*v));
	return 0;
}

/* v[0] is the greatest of its heap. */
static void sift(void **v, size_t n, size_t i, int (*cmp)(void *arg, const void *a, const void *b), void *arg)
{
	for (;;) {
		size_t kid = 2 * i + 1;
		void *swap = v[i];

		if (kid >= n)
			return;
		if (kid + 1 < n && cmp(arg, v[kid + 1], v[kid]) > 0)
			kid++;
		if (cmp(arg, v[kid], v[i]) <= 0)
			return;
		v[i] = v[kid];
		v[kid] = swap;
		i = kid;
	}
}

int eng_sort_top(struct og_exec *x, void **v, size_t *n, uint64_t k, int (*cmp)(void *arg, const void *a, const void *b), void *arg,
		 struct og_error *err)
{
	size_t top = (size_t)OG_MIN(k, (uint64_t)*n);

	if (top < *n / 2) {
		for (size_t i = top / 2; i-- > 0;)
			sift(v, top, i, cmp, arg);
		for (size_t i = top; top && i < *n; i++) {
			if (i % CHECK_EVERY == 0 && eng_cancelled(x, err) < 0)
				return err->code;
			if (cmp(arg, v[i], v[0]) >= 0)
				continue;
			v[0] = v[i];
			sift(v, top, 0, cmp, arg);
		}
		*n = top;
	}
	return eng_sort(x, v, *n, cmp, arg, err);
}

/* --- rows ----------------------------------------------------------------------------------------------------------------------------- */

struct row {
	struct og_value *keys;
	uint32_t *slots;	/* of the kept variables */
};

struct eng_sorter {
	struct og_exec *x;
	struct eng_value_of *keys;
	int32_t *vars;		/* kept: what items and ties look at */
	size_t nvars;
	size_t *ties;		/* positions in vars */
	void **rows;		/* struct row * */
	size_t n, cap;
	bool heap;		/* rows[0] is the worst of `limit` rows */
	struct row *spare;	/* the candidate */
	struct eng_batch out;
};

static int compare_rows(void *arg, const void *va, const void *vb)
{
	const struct eng_sorter *s = arg;
	const struct og_plan *p = s->x->p;
	const struct row *a = va, *b = vb;

	for (uint32_t i = 0; i < p->nkeys; i++) {
		int c = og_value_order(&a->keys[i], &b->keys[i]);

		if (c)
			return p->keys[i].desc ? -c : c;
	}
	for (uint32_t i = 0; i < p->nties; i++) {
		uint32_t sa = a->slots[s->ties[i]], sb = b->slots[s->ties[i]];
		const struct og_view_type *t = eng_vtype(s->x, p->vars[p->ties[i]].type);
		int c;

		if (sa == sb)
			continue;
		c = og_slice_cmp(og_view_id(t, sa), og_view_id(t, sb));
		if (c)
			return c;
	}
	return 0;
}

static size_t keep_var(struct eng_sorter *s, int32_t var)
{
	size_t i = 0;

	while (i < s->nvars && s->vars[i] != var)
		i++;
	if (i == s->nvars)
		s->vars[s->nvars++] = var;
	return i;
}

/* A row and what it points to, in one piece. */
static struct row *new_row(struct eng_sorter *s)
{
	uint32_t nkeys = s->x->p->nkeys;
	struct row *r = og_arena_alloc(&s->x->arena, sizeof(*r) + nkeys * sizeof(*r->keys) + s->nvars * sizeof(*r->slots));

	if (r) {
		r->keys = (struct og_value *)(r + 1);
		r->slots = (uint32_t *)(r->keys + nkeys);
	}
	return r;
}

static int init_vars(struct eng_sorter *s, struct og_error *err)
{
	struct og_exec *x = s->x;
	const struct og_plan *p = x->p;
	int rc;

	s->vars = og_arena_array(&x->arena, p->nvars, sizeof(*s->vars));
	s->ties = og_arena_array(&x->arena, p->nties, sizeof(*s->ties));
	if (!s->vars || !s->ties)
		return eng_no_memory(x, err);
	for (uint32_t i = 0; i < p->nties; i++)
		s->ties[i] = keep_var(s, p->ties[i]);
	for (uint32_t i = 0; i < p->nitems; i++)
		if (x->items[i].var >= 0)
			(void)keep_var(s, x->items[i].var);
	rc = eng_batch_init(x, &s->out, ENG_BATCH, false, false);
	for (size_t i = 0; rc == 0 && i < s->nvars; i++) {
		uint32_t *col = og_arena_alloc(&x->arena, ENG_BATCH * sizeof(*col));

		s->out.cols[s->vars[i]] = col;
		rc = col ? 0 : -1;
	}
	return rc < 0 ? eng_no_memory(x, err) : 0;
}

int eng_sorter_new(struct og_exec *x, struct eng_sorter **out, struct og_error *err)
{
	const struct og_plan *p = x->p;
	struct eng_sorter *s = og_arena_array(&x->arena, 1, sizeof(*s));
	int rc;

	if (!s)
		return eng_no_memory(x, err);
	s->x = x;
	s->keys = og_arena_array(&x->arena, p->nkeys, sizeof(*s->keys));
	if (!s->keys)
		return eng_no_memory(x, err);
	if ((rc = init_vars(s, err)) < 0)
		return rc;
	for (uint32_t i = 0; i < p->nkeys; i++) {
		if (p->keys[i].item >= 0)
			s->keys[i] = x->items[p->keys[i].item];
		else if ((rc = eng_value_init(x, &p->keys[i].own, &s->keys[i], err)) < 0)
			return rc;
	}
	s->spare = new_row(s);
	*out = s;
	return s->spare ? 0 : eng_no_memory(x, err);
}

static int keep_keys(struct eng_sorter *s, struct row *r, struct og_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < s->x->p->nkeys; i++)
		rc = eng_keep(s->x, &r->keys[i], err);
	return rc;
}

static int append(struct eng_sorter *s, struct og_error *err)
{
	struct og_exec *x = s->x;
	void **grown = og_arena_grow(&x->arena, s->rows, &s->cap, s->n + 1, sizeof(*grown));
	int rc;

	if (!grown)
		return eng_no_memory(x, err);
	s->rows = grown;
	if ((rc = keep_keys(s, s->spare, err)) < 0)
		return rc;
	s->rows[s->n++] = s->spare;
	if (x->p->has_limit && s->n == x->p->limit && s->n <= HEAP_MAX) {
		s->heap = true;
		for (size_t i = s->n / 2; i-- > 0;)
			sift(s->rows, s->n, i, compare_rows, s);
	}
	s->spare = new_row(s);
	return s->spare ? 0 : eng_no_memory(x, err);
}

static int offer(struct eng_sorter *s, struct og_error *err)
{
	struct row *worst;
	int rc;

	if (!s->heap)
		return append(s, err);
	worst = s->rows[0];
	if (compare_rows(s, s->spare, worst) >= 0)
		return 0;
	if ((rc = keep_keys(s, s->spare, err)) < 0)
		return rc;
	s->rows[0] = s->spare;
	s->spare = worst;
	sift(s->rows, s->n, 0, compare_rows, s);
	return 0;
}

int eng_sorter_add(struct eng_sorter *s, struct eng_batch *b, struct og_error *err)
{
	og_arena_reset(&s->x->tmp);
	for (uint32_t i = 0; i < b->nsel; i++) {
		uint32_t r = b->sel[i];
		int rc = 0;

		for (uint32_t k = 0; rc == 0 && k < s->x->p->nkeys; k++)
			rc = eng_value_get(&s->keys[k], b, r, &s->x->tmp, &s->spare->keys[k], err);
		for (size_t v = 0; v < s->nvars; v++)
			s->spare->slots[v] = b->cols[s->vars[v]][r];
		if (rc < 0 || (rc = offer(s, err)) < 0)
			return rc;
	}
	return 0;
}

int eng_sorter_finish(struct eng_sorter *s, struct og_error *err)
{
	return eng_sort(s->x, s->rows, s->n, compare_rows, s, err);
}

int eng_sorter_emit(struct eng_sorter *s, uint64_t from, uint32_t *n, struct og_error *err)
{
	struct eng_batch *o = &s->out;

	*n = from < s->n ? (uint32_t)OG_MIN(s->n - from, (uint64_t)ENG_BATCH) : 0;
	o->n = o->nsel = *n;
	for (uint32_t i = 0; i < *n; i++) {
		const struct row *r = s->rows[from + i];

		o->sel[i] = i;
		for (size_t v = 0; v < s->nvars; v++)
			o->cols[s->vars[v]][i] = r->slots[v];
	}
	return eng_encode_batch(s->x, o, err);
}
