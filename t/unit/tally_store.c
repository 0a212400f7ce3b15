/* A store that tells how requests lay in time. */
#include "config.h"

#include "tally_store.h"

#include <stdlib.h>
#include <string.h>

struct tally_store {
	struct og_store store;	/* first */
	struct og_store *inner;
	struct tally tally;
};

struct asked {
	struct tally_store *s;
	og_store_cb cb;
	void *arg;
};

static void on_answered(void *arg, struct og_store_result *res)
{
	struct asked *q = arg;

	q->s->tally.under_way--;
	q->cb(q->arg, res);
	free(q);
}

static void tally_submit(struct og_store *store, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	struct tally_store *s = (struct tally_store *)store;
	struct asked *q = malloc(sizeof(*q));

	if (!q)
		abort();
	*q = (struct asked){ s, cb, arg };
	s->tally.requests[req->op]++;
	if (s->tally.under_way++ == 0)
		s->tally.rounds++;
	s->tally.at_once = OG_MAX(s->tally.at_once, s->tally.under_way);
	og_store_submit(s->inner, req, on_answered, q);
}

static void tally_settle(struct og_store *store, const char *folder, og_store_cb cb, void *arg)
{
	og_store_settle(((struct tally_store *)store)->inner, folder, cb, arg);
}

static int tally_page(struct og_store *store, const char *key, int *fd, struct og_error *err)
{
	return og_store_page(((struct tally_store *)store)->inner, key, fd, err);
}

static void tally_free(struct og_store *store)
{
	struct tally_store *s = (struct tally_store *)store;

	og_store_free(s->inner);
	og_store_fini(store);
	free(s);
}

static const struct og_store_ops tally_ops = {
	.submit = tally_submit,
	.settle = tally_settle,
	.page = tally_page,
	.free = tally_free,
};

struct og_store *tally_store_new(struct og_store *inner, bool paged)
{
	struct tally_store *s = calloc(1, sizeof(*s));

	if (!s || og_store_init(&s->store, &tally_ops, inner->base, inner->uri, NULL) < 0) {
		free(s);
		return NULL;
	}
	s->store.local = inner->local && paged;
	s->store.shared_pages = inner->shared_pages && paged;
	s->store.read_only = inner->read_only;
	s->inner = inner;
	return &s->store;
}

struct tally *tally_of(struct og_store *s)
{
	return &((struct tally_store *)s)->tally;
}

void tally_reset(struct og_store *s)
{
	struct tally *t = tally_of(s);

	t->rounds = t->at_once = 0;
	memset(t->requests, 0, sizeof(t->requests));
}
