/* A store that makes trouble at a chosen request. */
#include "config.h"

#include "store/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"

struct fault_store {
	struct og_store store;		/* first */
	struct og_store *inner;
	struct og_fault_plan plan;
	uint64_t seen;
};

struct forward {
	struct fault_store *s;
	enum og_fault_kind kind;
	enum og_store_op op;
	og_store_cb cb;
	void *arg;
};

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

static bool writes(enum og_store_op op)
{
	return op != OG_STORE_GET && op != OG_STORE_HEAD && op != OG_STORE_LIST;
}

static int lost_code(enum og_store_op op)
{
	return writes(op) ? OG_ERR_UNKNOWN : OG_ERR_UNAVAILABLE;
}

static void on_forwarded(void *arg, struct og_store_result *res)
{
	struct forward *f = arg;
	struct og_error err = { 0 };

	if (f->kind == OG_FAULT_KILL_AFTER)
		die();
	if (f->kind == OG_FAULT_LOST_AFTER) {
		struct og_store_result lost = { .fd = -1 };

		lost.code = og_error_set(&err, lost_code(f->op), "the answer was lost (fault injection)");
		lost.err = &err;
		f->cb(f->arg, &lost);
	} else {
		f->cb(f->arg, res);
	}
	free(f);
}

static enum og_fault_kind due(struct fault_store *s, enum og_store_op op)
{
	uint64_t n;

	if (op == OG_STORE_HEAD || op == OG_STORE_LIST || (s->plan.writes_only && !writes(op)))
		return OG_FAULT_NONE;
	n = s->seen++;
	if (n < s->plan.at || n - s->plan.at >= OG_MAX(s->plan.count, 1u))
		return OG_FAULT_NONE;
	return s->plan.kind;
}

static void fault_submit(struct og_store *store, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	struct fault_store *s = (struct fault_store *)store;
	enum og_fault_kind kind = due(s, req->op);
	struct og_error err = { 0 };
	struct forward *f;

	switch (kind) {
	case OG_FAULT_KILL_BEFORE:
		die();
		return;
	case OG_FAULT_FAIL:
		og_error_set(&err, OG_ERR_IO, "%s: failed (fault injection)", s->store.uri);
		og_store_defer(store, err.code, &err, cb, arg);
		return;
	case OG_FAULT_LOST_BEFORE:
		og_error_set(&err, lost_code(req->op), "%s: no answer (fault injection)", s->store.uri);
		og_store_defer(store, err.code, &err, cb, arg);
		return;
	case OG_FAULT_NONE:
		og_store_submit(s->inner, req, cb, arg);
		return;
	case OG_FAULT_KILL_AFTER:
	case OG_FAULT_LOST_AFTER:
		break;
	}
	f = malloc(sizeof(*f));
	if (!f) {
		og_error_nomem(&err);
		og_store_defer(store, err.code, &err, cb, arg);
		return;
	}
	*f = (struct forward){ .s = s, .kind = kind, .op = req->op, .cb = cb, .arg = arg };
	og_store_submit(s->inner, req, on_forwarded, f);
}

static void fault_settle(struct og_store *store, const char *folder, og_store_cb cb, void *arg)
{
	og_store_settle(((struct fault_store *)store)->inner, folder, cb, arg);
}

static int fault_page(struct og_store *store, const char *key, int *fd, struct og_error *err)
{
	return og_store_page(((struct fault_store *)store)->inner, key, fd, err);
}

static void fault_free(struct og_store *store)
{
	struct fault_store *s = (struct fault_store *)store;

	og_store_free(s->inner);
	og_store_fini(store);
	free(s);
}

static const struct og_store_ops fault_ops = {
	.submit = fault_submit,
	.settle = fault_settle,
	.page = fault_page,
	.free = fault_free,
};

struct og_store *og_store_fault_new(struct og_store *inner, const struct og_fault_plan *plan)
{
	struct fault_store *s = calloc(1, sizeof(*s));

	if (!s || og_store_init(&s->store, &fault_ops, inner->base, inner->uri, NULL) < 0) {
		free(s);
		return NULL;
	}
	s->store.local = inner->local;
	s->store.shared_pages = inner->shared_pages;
	s->store.read_only = inner->read_only;
	s->inner = inner;
	s->plan = *plan;
	return &s->store;
}

uint64_t og_store_fault_seen(const struct og_store *s)
{
	return ((const struct fault_store *)s)->seen;
}

void og_store_fault_set(struct og_store *s, const struct og_fault_plan *plan)
{
	((struct fault_store *)s)->plan = *plan;
	((struct fault_store *)s)->seen = 0;
}

int og_fault_parse(const char *text, struct og_fault_plan *out, struct og_error *err)
{
	static const struct {
		const char *name;
		enum og_fault_kind kind;
	} kinds[] = {
		{ "kill-before", OG_FAULT_KILL_BEFORE }, { "kill-after", OG_FAULT_KILL_AFTER },
		{ "fail", OG_FAULT_FAIL }, { "lost-before", OG_FAULT_LOST_BEFORE },
		{ "lost-after", OG_FAULT_LOST_AFTER },
	};
	struct og_fault_plan p = { 0 };
	struct og_slice part[4] = { { 0 } };
	size_t n = 0;

	for (const char *at = text, *end; n < 4; at = end + 1) {
		end = strchrnul(at, ':');
		part[n++] = og_slice(at, (size_t)(end - at));
		if (!*end)
			break;
	}
	for (size_t i = 0; i < OG_COUNT(kinds); i++)
		if (og_slice_is(part[0], kinds[i].name))
			p.kind = kinds[i].kind;
	if (n > 1 && og_slice_is(part[n - 1], "w")) {
		p.writes_only = true;
		n--;
	}
	if (p.kind == OG_FAULT_NONE || n < 2 || n > 3 || !og_parse_u64(part[1], &p.at) ||
	    (n == 3 && !og_parse_u64(part[2], &p.count)))
		return og_error_set(err, OG_ERR_BAD, "'%s' is not kind:at[:count][:w]", text);
	*out = p;
	return 0;
}
