/* What all back ends share: checks, counts, names, and waiting for one request. */
#include "config.h"

#include "store/store.h"

#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/fd.h"

struct og_store_deferred {
	struct og_store_deferred *next;
	struct og_store *store;
	struct event *ev;
	struct og_error err;
	int code;
	og_store_cb cb;
	void *arg;
};

int og_store_init(struct og_store *s, const struct og_store_ops *ops, struct event_base *base, const char *uri,
		  struct og_error *err)
{
	s->ops = ops;
	s->base = base;
	s->uri = strdup(uri);
	return s->uri ? 0 : og_error_nomem(err);
}

static void deferred_free(struct og_store_deferred *d)
{
	if (d->ev)
		event_free(d->ev);
	free(d);
}

void og_store_fini(struct og_store *s)
{
	struct og_store_deferred *d, *next;

	for (d = s->deferred; d; d = next) {
		next = d->next;
		deferred_free(d);
	}
	s->deferred = NULL;
	free(s->uri);
	s->uri = NULL;
}

static void on_deferred(evutil_socket_t fd, short what, void *arg)
{
	struct og_store_deferred *d = arg;
	struct og_store_deferred **at = &d->store->deferred;
	struct og_store_result res = { .code = d->code, .err = d->code ? &d->err : NULL, .fd = -1 };

	(void)fd;
	(void)what;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	d->cb(d->arg, &res);
	deferred_free(d);
}

void og_store_defer(struct og_store *s, int code, const struct og_error *err, og_store_cb cb, void *arg)
{
	struct og_store_deferred *d = calloc(1, sizeof(*d));
	struct og_store_deferred **at = &s->deferred;

	/* A completion that is lost would leave its owner waiting for ever: no way on without these few bytes. */
	if (!d || !(d->ev = event_new(s->base, -1, 0, on_deferred, d)))
		abort();
	d->store = s;
	d->code = code;
	if (err)
		d->err = *err;
	else if (code)
		og_error_set(&d->err, code, "%s", og_error_name(code));
	d->cb = cb;
	d->arg = arg;
	while (*at)
		at = &(*at)->next;
	*at = d;
	event_active(d->ev, EV_TIMEOUT, 1);
}

static bool key_component_ok(const char *p, size_t len)
{
	if (len == 0 || len > 255)
		return false;
	if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
		return false;
	return !memmem(p, len, ".tmp.", 5);
}

bool og_store_key_ok(const char *key)
{
	const char *end;

	if (!key || strlen(key) > OG_STORE_KEY_MAX)
		return false;
	do {
		end = strchrnul(key, '/');
		if (!key_component_ok(key, (size_t)(end - key)))
			return false;
		key = end + 1;
	} while (*end);
	return true;
}

bool og_store_prefix_ok(const char *prefix)
{
	char key[OG_STORE_KEY_MAX + 1];
	size_t len;

	if (!prefix)
		return false;
	len = strlen(prefix);
	if (len == 0)
		return true;
	if (len > OG_STORE_KEY_MAX || prefix[len - 1] != '/')
		return false;
	memcpy(key, prefix, len - 1);
	key[len - 1] = '\0';
	return og_store_key_ok(key);
}

const char *og_store_op_name(enum og_store_op op)
{
	switch (op) {
	case OG_STORE_GET:
		return "get";
	case OG_STORE_HEAD:
		return "head";
	case OG_STORE_PUT:
		return "put";
	case OG_STORE_PUT_ABSENT:
		return "put_absent";
	case OG_STORE_PUT_MATCH:
		return "put_match";
	case OG_STORE_DELETE:
		return "delete";
	case OG_STORE_DELETE_MANY:
		return "delete_many";
	case OG_STORE_LIST:
		return "list";
	}
	return "?";
}

static bool op_writes(enum og_store_op op)
{
	return op != OG_STORE_GET && op != OG_STORE_HEAD && op != OG_STORE_LIST;
}

static int check_request(const struct og_store *s, const struct og_store_req *req, struct og_error *err)
{
	if (s->read_only && op_writes(req->op))
		return og_error_set(err, OG_ERR_DENIED, "%s: opened read-only", s->uri);
	if (req->op == OG_STORE_LIST) {
		if (!og_store_prefix_ok(req->key))
			return og_error_set(err, OG_ERR_BAD, "%s: not a prefix of keys", s->uri);
		return 0;
	}
	if (req->op == OG_STORE_DELETE_MANY) {
		if (req->nkeys > OG_STORE_PAGE_MAX)
			return og_error_set(err, OG_ERR_BAD, "%s: %zu keys in one delete", s->uri, req->nkeys);
		for (size_t i = 0; i < req->nkeys; i++)
			if (!og_store_key_ok(req->keys[i]))
				return og_error_set(err, OG_ERR_BAD, "%s: not a key", s->uri);
		return 0;
	}
	if (!og_store_key_ok(req->key))
		return og_error_set(err, OG_ERR_BAD, "%s: not a key", s->uri);
	if (req->into && (req->op != OG_STORE_GET || !req->want_fd || s->local))
		return og_error_set(err, OG_ERR_BAD, "%s: only a get with a descriptor, and of no directory, goes into another one", s->uri);
	if (req->op == OG_STORE_GET && req->tag && (req->want_fd || req->offset || req->len != OG_STORE_TO_END))
		return og_error_set(err, OG_ERR_BAD, "%s: a get that depends on a tag is one of the whole object, without a descriptor", s->uri);
	if (req->op == OG_STORE_PUT_MATCH && !req->tag)
		return og_error_set(err, OG_ERR_BAD, "%s: put if match without a tag", s->uri);
	return 0;
}

void og_store_submit(struct og_store *s, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	struct og_error err = { 0 };

	if (check_request(s, req, &err) < 0) {
		og_store_defer(s, err.code, &err, cb, arg);
		return;
	}
	s->requests[req->op]++;
	s->ops->submit(s, req, cb, arg);
}

void og_store_get(struct og_store *s, const char *key, uint64_t max_bytes, og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = key, .len = OG_STORE_TO_END, .max_bytes = max_bytes };

	og_store_submit(s, &req, cb, arg);
}

void og_store_get_unless(struct og_store *s, const char *key, const struct og_store_tag *tag, uint64_t max_bytes, og_store_cb cb,
			 void *arg)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = key, .len = OG_STORE_TO_END, .max_bytes = max_bytes, .tag = tag };

	og_store_submit(s, &req, cb, arg);
}

void og_store_get_range(struct og_store *s, const char *key, uint64_t offset, uint64_t len, og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = key, .offset = offset, .len = len };

	og_store_submit(s, &req, cb, arg);
}

void og_store_get_fd(struct og_store *s, const char *key, og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = key, .len = OG_STORE_TO_END, .want_fd = true };

	og_store_submit(s, &req, cb, arg);
}

void og_store_head(struct og_store *s, const char *key, og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_HEAD, .key = key };

	og_store_submit(s, &req, cb, arg);
}

void og_store_put(struct og_store *s, const char *key, const struct og_slice *parts, size_t nparts, og_store_cb cb,
		  void *arg)
{
	struct og_store_req req = { .op = OG_STORE_PUT, .key = key, .parts = parts, .nparts = nparts };

	og_store_submit(s, &req, cb, arg);
}

void og_store_put_fd(struct og_store *s, const char *key, int fd, uint64_t len, og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_PUT, .key = key, .from_fd = true, .fd = fd, .fd_len = len };

	og_store_submit(s, &req, cb, arg);
}

void og_store_put_absent(struct og_store *s, const char *key, const struct og_slice *parts, size_t nparts,
			 og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_PUT_ABSENT, .key = key, .parts = parts, .nparts = nparts };

	og_store_submit(s, &req, cb, arg);
}

void og_store_put_match(struct og_store *s, const char *key, const struct og_store_tag *tag,
			const struct og_slice *parts, size_t nparts, og_store_cb cb, void *arg)
{
	struct og_store_req req = {
		.op = OG_STORE_PUT_MATCH, .key = key, .tag = tag, .parts = parts, .nparts = nparts
	};

	og_store_submit(s, &req, cb, arg);
}

void og_store_delete(struct og_store *s, const char *key, og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_DELETE, .key = key };

	og_store_submit(s, &req, cb, arg);
}

void og_store_list(struct og_store *s, const char *prefix, const char *after, size_t limit, og_store_cb cb, void *arg)
{
	struct og_store_req req = { .op = OG_STORE_LIST, .key = prefix, .after = after, .limit = limit };

	og_store_submit(s, &req, cb, arg);
}

void og_store_settle(struct og_store *s, const char *folder, og_store_cb cb, void *arg)
{
	struct og_error err = { 0 };

	if (!og_store_prefix_ok(folder)) {
		og_error_set(&err, OG_ERR_BAD, "%s: not a folder", s->uri);
		og_store_defer(s, err.code, &err, cb, arg);
	} else if (s->ops->settle) {
		s->ops->settle(s, folder, cb, arg);
	} else {
		og_store_defer(s, 0, NULL, cb, arg);
	}
}

int og_store_page(struct og_store *s, const char *key, int *fd, struct og_error *err)
{
	if (!s->ops->page || s->read_only)
		return og_error_set(err, OG_ERR_UNSUPPORTED, "%s: no shared pages", s->uri);
	if (!og_store_key_ok(key))
		return og_error_set(err, OG_ERR_BAD, "%s: not a key", s->uri);
	return s->ops->page(s, key, fd, err);
}

void og_store_free(struct og_store *s)
{
	if (s)
		s->ops->free(s);
}

struct waiting {
	struct og_store *store;
	struct og_store_result *out;
	struct og_buf *body;
	struct og_error *err;
	bool done;
	void (*items)(void *arg, const struct og_store_result *res);
	void *items_arg;
};

static void on_waited(void *arg, struct og_store_result *res)
{
	struct waiting *w = arg;

	if (w->body && res->body.len)
		og_buf_slice(w->body, res->body);
	if (w->items && !res->code)
		w->items(w->items_arg, res);
	if (res->err && w->err)
		*w->err = *res->err;
	*w->out = *res;
	res->fd = -1;
	w->out->err = w->err;
	w->out->body = og_slice(NULL, 0);
	w->out->items = NULL;
	w->done = true;
	event_base_loopbreak(w->store->base);
}

static int wait_for(struct waiting *w, const struct og_store_req *req)
{
	w->out->fd = -1;
	og_store_submit(w->store, req, on_waited, w);
	while (!w->done)
		if (event_base_loop(w->store->base, EVLOOP_ONCE) < 0)
			return og_error_set(w->err, OG_ERR_INTERNAL, "event loop failed");
	return w->out->code;
}

int og_store_wait(struct og_store *s, const struct og_store_req *req, struct og_store_result *out, struct og_buf *body,
		  struct og_error *err)
{
	struct og_store_result mine;
	struct waiting w = { .store = s, .out = out ? out : &mine, .body = body, .err = err };
	int rc = wait_for(&w, req);

	if (!out)
		og_fd_close(&mine.fd);
	return rc;
}

struct listing {
	struct og_buf *b;
	char last[OG_STORE_KEY_MAX + 1];
};

static void on_items(void *arg, const struct og_store_result *res)
{
	struct listing *l = arg;

	for (size_t i = 0; i < res->nitems; i++)
		og_buf_printf(l->b, "%s %llu\n", res->items[i].key, (unsigned long long)res->items[i].size);
	if (res->nitems)
		strcpy(l->last, res->items[res->nitems - 1].key);
}

int og_store_wait_list(struct og_store *s, const char *prefix, struct og_buf *b, struct og_error *err)
{
	struct listing l = { .b = b };
	struct og_store_result out = { 0 };

	do {
		struct og_store_req req = { .op = OG_STORE_LIST, .key = prefix, .after = l.last[0] ? l.last : NULL };
		struct waiting w = {
			.store = s, .out = &out, .err = err, .items = on_items, .items_arg = &l
		};
		int rc = wait_for(&w, &req);

		if (rc < 0)
			return rc;
	} while (out.more && out.nitems);
	return og_buf_ok(b, err);
}
