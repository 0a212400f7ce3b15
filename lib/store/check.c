/* Whether a store honours conditions. */
#include "config.h"

#include "store/s3.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/ulid.h"

struct check {
	struct og_store *store;
	og_store_cb cb;
	void *arg;
	char key[64];
	struct og_slice part;
	struct og_store_tag stale;
	unsigned step;
	int code;
	struct og_error err;
};

static void on_deleted(void *arg, struct og_store_result *res)
{
	struct check *c = arg;
	struct og_store_result out = { .code = c->code, .fd = -1 };

	/* A probe that could not be removed is a few bytes in nobody's way. */
	(void)res;
	if (out.code)
		out.err = &c->err;
	c->cb(c->arg, &out);
	free(c);
}

static void finish(struct check *c, int code, const struct og_error *err)
{
	c->code = code;
	if (err)
		c->err = *err;
	og_store_delete(c->store, c->key, on_deleted, c);
}

static void ignored(struct check *c, const char *what)
{
	struct og_error err = { 0 };

	og_error_set(&err, OG_ERR_UNSUPPORTED,
		     "the object store behind '%s' ignores %s: concurrent writers would destroy each other's data. A store that "
		     "honours conditional writes is needed",
		     c->store->uri, what);
	finish(c, err.code, &err);
}

static void on_step(void *arg, struct og_store_result *res)
{
	struct check *c = arg;

	switch (c->step++) {
	case 0:
		if (res->code < 0)
			finish(c, res->code, res->err);
		else
			og_store_put_absent(c->store, c->key, &c->part, 1, on_step, c);
		return;
	case 1:
		/* Not knowing is as good as no: what counts is that it was not written over. */
		if (res->code == 0)
			ignored(c, "If-None-Match");
		else if (res->code != OG_ERR_EXISTS && res->code != OG_ERR_UNKNOWN)
			finish(c, res->code, res->err);
		else
			og_store_put_match(c->store, c->key, &c->stale, &c->part, 1, on_step, c);
		return;
	default:
		if (res->code == 0)
			ignored(c, "If-Match");
		else if (res->code == OG_ERR_MISMATCH || res->code == OG_ERR_NOT_FOUND)
			finish(c, 0, NULL);
		else
			finish(c, res->code, res->err);
		return;
	}
}

void og_store_check(struct og_store *s, og_store_cb cb, void *arg)
{
	struct check *c = calloc(1, sizeof(*c));
	struct og_ulid_gen ids = { 0 };
	struct og_error err = { 0 };
	struct og_ulid id;

	if (!c || og_ulid_new(&ids, &id, &err) < 0) {
		free(c);
		og_error_nomem(&err);
		og_store_defer(s, err.code, &err, cb, arg);
		return;
	}
	c->store = s;
	c->cb = cb;
	c->arg = arg;
	c->part = OG_SLICE("whether this store honours conditional writes");
	snprintf(c->key, sizeof(c->key), ".probe-%s", og_ulid_format(&id).s);
	/* The MD5 of nothing: no object of ours has that ETag. */
	strcpy(c->stale.s, "\"d41d8cd98f00b204e9800998ecf8427e\"");
	og_store_put_absent(s, c->key, &c->part, 1, on_step, c);
}
