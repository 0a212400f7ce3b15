/* An execution's life: start, steps, result. */
#include "config.h"

#include "engine/run.h"
#include "base/date.h"

#include <stdlib.h>

/* Units of work between two looks at flag and clock: well below a millisecond. */
#define LOOK_EVERY 4096

static int limit_error(uint64_t limit, size_t actual, struct og_error *err)
{
	og_error_set(err, OG_ERR_TOO_LARGE, "resource limit exceeded for query_memory_bytes: actual %zu, limit %llu", actual,
		     (unsigned long long)limit);
	if (err) {
		err->detail.kind = OG_DETAIL_LIMIT;
		(void)strcpy(err->detail.name, "query_memory_bytes");
		err->detail.expected = limit;
		err->detail.actual = actual;
	}
	return OG_ERR_TOO_LARGE;
}

static int memory_limit(const struct og_exec *x, size_t actual, struct og_error *err)
{
	return limit_error(x->limits.memory, actual, err);
}

/* Draws what has come since the last look, also what goes beyond the pool: it is given back at the end. */
static int draw(struct og_exec *x, size_t used, struct og_error *err)
{
	struct og_exec_pool *p = x->limits.pool;
	size_t all;

	if (!p)
		return 0;
	all = atomic_fetch_add(&p->used, used - x->charged) + (used - x->charged);	/* modulo 2^64: less is drawn back */
	x->charged = used;
	return p->limit && all > p->limit ? limit_error(p->limit, all, err) : 0;
}

int eng_check_memory(struct og_exec *x, struct og_error *err)
{
	size_t used = x->arena.total + x->tmp.total + x->out.cap;

	if (x->limits.memory && used > x->limits.memory)
		return memory_limit(x, used, err);
	return draw(x, used, err);
}

int eng_no_memory(struct og_exec *x, struct og_error *err)
{
	/* What was asked for is not known here; it went beyond the limit by at least a byte. */
	if (x->arena.over_limit)
		return memory_limit(x, OG_MAX(x->limits.memory, x->arena.total) + 1, err);
	return og_error_nomem(err);
}

int eng_cancelled(struct og_exec *x, struct og_error *err)
{
	int flag = x->limits.cancel ? atomic_load_explicit(x->limits.cancel, memory_order_relaxed) : 0;

	if (!flag)
		return 0;
	if (flag == OG_ERR_TIMEOUT)
		return og_error_set(err, flag, "query exceeded its time limit");
	return og_error_set(err, flag < 0 ? flag : OG_ERR_CANCELLED, "query cancelled");
}

int eng_look(struct og_exec *x, struct og_error *err)
{
	int rc = eng_cancelled(x, err);

	if (rc < 0 || (rc = eng_check_memory(x, err)) < 0)
		return rc;
	if ((x->limits.row_budget && x->spent >= x->limits.row_budget) || (x->deadline_us && og_monotonic_us() >= x->deadline_us))
		x->pause = true;
	x->next_look = x->spent + LOOK_EVERY;
	if (x->limits.row_budget && x->spent < x->limits.row_budget)
		x->next_look = OG_MIN(x->next_look, x->limits.row_budget);
	return 0;
}

static int start(struct og_exec *x, struct og_error *err)
{
	int rc;

	if ((rc = gq_require_params(x->p->q, x->b, err)) < 0 || (rc = eng_encode_init(x, err)) < 0 || (rc = eng_physical(x, err)) < 0)
		return rc;
	if (x->p->aggregate)
		rc = eng_agg_new(x, &x->agg, err);
	else if (x->p->nkeys)
		rc = eng_sorter_new(x, &x->sorter, err);
	if (x->p->has_limit && !x->p->limit)
		x->stage = ENG_DONE;
	return rc;
}

int og_exec_new(const struct og_plan *p, const struct gq_bindings *b, struct og_view *v, const struct og_exec_limits *limits,
		struct og_exec **out, struct og_error *err)
{
	struct og_exec *x = calloc(1, sizeof(*x));
	int rc;

	if (!x)
		return og_error_nomem(err);
	x->p = p;
	x->b = b;
	x->v = og_view_ref(v);
	if (limits)
		x->limits = *limits;
	og_arena_init(&x->arena, x->limits.memory);
	og_arena_init(&x->tmp, 0);
	rc = start(x, err);
	if (rc < 0) {
		/* A constant that did not fit is the limit's doing too. */
		if (rc == OG_ERR_TOO_LARGE && x->arena.over_limit)
			rc = eng_no_memory(x, err);
		og_exec_free(x);
		return rc;
	}
	*out = x;
	return 0;
}

void og_exec_free(struct og_exec *x)
{
	if (!x)
		return;
	if (x->limits.pool)
		atomic_fetch_sub(&x->limits.pool->used, x->charged);
	og_buf_fini(&x->out);
	og_buf_fini(&x->columns);
	og_arena_fini(&x->tmp);
	og_arena_fini(&x->arena);
	og_view_unref(x->v);
	free(x);
}

static int consume(struct og_exec *x, struct eng_batch *b, struct og_error *err)
{
	int rc;

	if (x->agg)
		return eng_agg_add(x->agg, b, err);
	if (x->sorter)
		return eng_sorter_add(x->sorter, b, err);
	rc = eng_encode_batch(x, b, err);
	if (x->p->has_limit && x->rows >= x->p->limit)
		x->stage = ENG_DONE;
	return rc;
}

static int pull(struct og_exec *x, struct og_error *err)
{
	struct eng_batch *b;
	int rc = x->top->cls->next(x->top, &b, err);

	if (rc == OP_END) {
		x->stage = x->agg || x->sorter ? ENG_FINISH : ENG_DONE;
		return 0;
	}
	if (rc != OP_ROWS)
		return rc < 0 ? rc : 0;
	rc = consume(x, b, err);
	return rc < 0 ? rc : eng_charge(x, b->nsel, err);
}

static int emit(struct og_exec *x, struct og_error *err)
{
	uint32_t n;
	int rc = x->agg ? eng_agg_emit(x->agg, x->emitted, &n, err) : eng_sorter_emit(x->sorter, x->emitted, &n, err);

	if (rc < 0)
		return rc;
	x->emitted += n;
	if (!n || (x->p->has_limit && x->rows >= x->p->limit))
		x->stage = ENG_DONE;
	return eng_charge(x, n, err);
}

static int advance(struct og_exec *x, struct og_error *err)
{
	switch (x->stage) {
	case ENG_PULL:
		return pull(x, err);
	case ENG_FINISH:
		x->stage = ENG_EMIT;
		return x->agg ? eng_agg_finish(x->agg, err) : eng_sorter_finish(x->sorter, err);
	case ENG_EMIT:
		return emit(x, err);
	case ENG_DONE:
		break;
	}
	return 0;
}

static int close_rows(struct og_exec *x, struct og_error *err)
{
	int rc;

	if (!x->closed) {
		og_buf_str(&x->out, x->rows ? "]" : "[]");
		x->closed = true;
	}
	if (og_buf_ok(&x->out, err) < 0)
		return err->code;
	rc = eng_check_memory(x, err);
	return rc < 0 ? rc : OG_EXEC_DONE;
}

int og_exec_step(struct og_exec *x, uint64_t budget_us, struct og_error *err)
{
	struct og_error local;
	int rc;

	if (!err)
		err = &local;
	x->pause = false;
	x->spent = 0;
	x->next_look = 0;
	x->deadline_us = budget_us ? og_monotonic_us() + budget_us : 0;
	rc = eng_cancelled(x, err);
	while (rc == 0 && x->stage != ENG_DONE) {
		rc = advance(x, err);
		if (rc == 0 && x->pause && x->stage != ENG_DONE)
			return OG_EXEC_MORE;
	}
	return rc < 0 ? rc : close_rows(x, err);
}

uint64_t og_exec_row_count(const struct og_exec *x)
{
	return x->rows;
}

struct og_slice og_exec_columns_json(const struct og_exec *x)
{
	return og_buf_view(&x->columns);
}

struct og_slice og_exec_rows_json(const struct og_exec *x)
{
	return og_buf_view(&x->out);
}
