/* A store that tells how requests lay in time. */
#include "config.h"

#include "tally_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_MAX 16

struct asked {
	struct tally_store *s;
	og_store_cb cb;
	void *arg;
	/* kept back */
	struct og_store_req req;
	char key[OG_STORE_KEY_MAX + 1];
};

struct tally_store {
	struct og_store store;	/* first */
	struct og_store *inner;
	struct tally tally;
	struct asked *kept[KEPT_MAX];
};

static void on_answered(void *arg, struct og_store_result *res)
{
	struct asked *q = arg;

	q->s->tally.under_way--;
	q->s->tally.bytes += res->body.len;
	q->cb(q->arg, res);
	free(q);
}

static void tally_submit(struct og_store *store, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	struct tally_store *s = (struct tally_store *)store;
	struct asked *q = malloc(sizeof(*q));

	struct og_error err = { 0 };

	if (!q || s->tally.kept == KEPT_MAX)
		abort();
	*q = (struct asked){ .s = s, .cb = cb, .arg = arg };
	s->tally.requests[req->op]++;
	if (s->tally.under_way++ == 0)
		s->tally.rounds++;
	s->tally.at_once = OG_MAX(s->tally.at_once, s->tally.under_way);
	if (req->op == s->tally.fail) {
		og_error_set(&err, OG_ERR_IO, "%s: no", store->uri);
		og_store_defer(s->inner, err.code, &err, on_answered, q);
	} else if (req->op == s->tally.keep) {
		/* The bytes of a put live until it is answered. */
		q->req = *req;
		snprintf(q->key, sizeof(q->key), "%s", req->key);
		q->req.key = q->key;
		s->kept[s->tally.kept++] = q;
	} else {
		og_store_submit(s->inner, req, on_answered, q);
	}
}

void tally_let_go(struct og_store *store)
{
	struct tally_store *s = (struct tally_store *)store;

	s->tally.keep = TALLY_NO_OP;
	while (s->tally.kept) {
		struct asked *q = s->kept[--s->tally.kept];

		og_store_submit(s->inner, &q->req, on_answered, q);
	}
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
	s->tally.keep = s->tally.fail = TALLY_NO_OP;
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
	t->bytes = 0;
	memset(t->requests, 0, sizeof(t->requests));
}
