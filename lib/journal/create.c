/* Making, replacing and removing a graph. */
#include "config.h"

#include "journal/private.h"

#include <stdlib.h>

#include "base/utf8.h"

#define TRIES 5u
#define FIRST_PAUSE_US 50000

/* ---- init ---- */

struct init {
	struct og_journal_config config;
	struct og_journal *shell;	/* prefix, keys, reference while a request is under way */
	struct og_journal *old;		/* the graph that is replaced */
	bool force;
	struct og_arena arena;
	struct og_genesis g;
	struct og_buf bytes;
	struct og_slice part;
	struct og_store_tag tag;
	unsigned tries;
	og_journal_done cb;
	void *arg;
};

static void init_end(struct init *i, const struct og_error *err)
{
	struct og_error e = { 0 };

	if (err)
		e = *err;
	og_journal_close(i->old);
	og_journal_close(i->shell);
	i->cb(i->arg, &e);
	og_arena_fini(&i->arena);
	og_buf_fini(&i->bytes);
	free(i);
}

static const char *format_key(struct init *i, char full[OG_STORE_KEY_MAX + 1])
{
	return og_jn_key_str(i->shell, "format.json", full);
}

static void put_absent(struct init *i);

static void on_pause(evutil_socket_t fd, short what, void *arg)
{
	put_absent(arg);
}

/* After a pause; false: that was the last time. */
static bool put_again(struct init *i)
{
	struct timeval tv = { 0, FIRST_PAUSE_US << i->tries };

	return ++i->tries < TRIES && event_base_once(i->config.base, -1, EV_TIMEOUT, on_pause, i, &tv) == 0;
}

static void on_read_back(void *arg, struct og_store_result *res)
{
	struct init *i = arg;
	struct og_genesis g;
	struct og_error err = { 0 };

	if (res->code == 0 && og_genesis_decode(&i->arena, res->body, &g, &err) == 0 &&
	    og_ulid_cmp(&g.attempt, &i->g.attempt) == 0) {
		init_end(i, NULL);	/* an earlier attempt of ours, whose answer was lost */
		return;
	}
	/* It was said to be there, and is not: ask by the put again. */
	if (res->code == OG_ERR_NOT_FOUND && put_again(i))
		return;
	if (res->code < 0) {
		init_end(i, res->err);
		return;
	}
	og_error_set(&err, OG_ERR_EXISTS, "graph already initialized at '%s'; pass --force to overwrite", i->config.uri);
	init_end(i, &err);
}

static void on_put(void *arg, struct og_store_result *res)
{
	struct init *i = arg;
	char full[OG_STORE_KEY_MAX + 1];

	switch (res->code) {
	case 0:
		init_end(i, NULL);
		return;
	case OG_ERR_EXISTS:
		og_store_get(i->config.store, format_key(i, full), OG_GENESIS_MAX, on_read_back, i);
		return;
	case OG_ERR_UNKNOWN:
	case OG_ERR_UNAVAILABLE:
		if (!res->lasting && put_again(i))
			return;
		init_end(i, res->err);
		return;
	default:
		init_end(i, res->err);
		return;
	}
}

static void put_absent(struct init *i)
{
	char full[OG_STORE_KEY_MAX + 1];

	og_store_put_absent(i->config.store, format_key(i, full), &i->part, 1, on_put, i);
}

static int encode(struct init *i, struct og_error *err)
{
	int rc = og_genesis_encode(&i->g, &i->bytes, err);

	i->part = og_buf_view(&i->bytes);
	return rc;
}

/* ---- init over a graph ---- */

static void on_match(void *arg, struct og_store_result *res)
{
	struct init *i = arg;
	struct og_error err = { 0 };

	if (res->code == OG_ERR_MISMATCH) {
		og_error_set(&err, OG_ERR_CONFLICT, "'%s' was initialised by somebody else meanwhile", i->config.uri);
		init_end(i, &err);
	} else {
		init_end(i, res->code ? res->err : NULL);
	}
}

static void put_match(struct init *i)
{
	char full[OG_STORE_KEY_MAX + 1];
	struct og_error err = { 0 };

	if (encode(i, &err) < 0)
		init_end(i, &err);
	else
		og_store_put_match(i->config.store, format_key(i, full), &i->tag, &i->part, 1, on_match, i);
}

static void on_end(void *arg, const struct og_commit_result *res)
{
	struct init *i = arg;

	if (res->outcome == OG_COMMITTED)
		put_match(i);
	else
		init_end(i, res->err);
}

/* Out of the old journal's own call, which init_end could not close. */
static void on_end_later(struct og_journal *j, struct og_jn_call *c)
{
	struct og_commit_result res = { .outcome = c->err.code ? OG_COMMIT_FAILED : OG_COMMITTED, .err = &c->err };

	(void)j;
	on_end(c->arg, &res);
}

static void on_end_record(void *arg, const struct og_commit_result *res)
{
	struct init *i = arg;
	struct og_jn_call *c = og_jn_call(i->old, on_end_later);

	c->arg = i;
	if (res->outcome != OG_COMMITTED && res->err)
		c->err = *res->err;
}

static void on_old_open(void *arg, struct og_journal *j, struct og_error *err)
{
	struct init *i = arg;
	struct og_record end = { .kind = OG_REC_END, .at_us = og_now_us() };
	const struct og_state *s;

	if (!j) {
		init_end(i, err);
		return;
	}
	i->old = j;
	s = og_journal_state(j);
	if (s->ended) {
		/* A run that was killed between: go on with the graph that it chose. */
		if (s->has_next)
			i->g.graph = s->next;
		put_match(i);
		return;
	}
	if (j->status != OG_JOURNAL_WRITABLE) {
		og_error_set(err, OG_ERR_UNAVAILABLE, "%s: read-only: %s", j->uri, j->reason);
		init_end(i, err);
		return;
	}
	end.end.has_next = true;
	end.end.next = i->g.graph;
	if (og_journal_ulid(j, &end.id, err) < 0 || og_jn_append_record(j, &end, on_end_record, i, err) < 0)
		init_end(i, err);
}

static void on_old_format(void *arg, struct og_store_result *res)
{
	struct init *i = arg;
	struct og_error err = { 0 };
	struct og_genesis g;

	if (res->code == OG_ERR_NOT_FOUND) {
		put_absent(i);
		return;
	}
	if (res->code < 0) {
		init_end(i, res->err);
		return;
	}
	i->tag = res->tag;
	/* A format.json that nobody can read serves nobody: nothing to end. */
	if (og_genesis_decode(&i->arena, res->body, &g, &err) < 0)
		put_match(i);
	else
		og_jn_open(&i->config, true, on_old_open, i);
}

static int prepare(struct init *i, const struct og_journal_genesis *g, struct og_error *err)
{
	struct og_ulid_gen gen = { 0 };
	struct og_type_decl *types;
	int rc;

	if (og_utf8_check(g->schema) != g->schema.len)
		return og_error_set(err, OG_ERR_BAD, "the schema is not UTF-8");
	if ((rc = og_ulid_new(&gen, &i->g.graph, err)) < 0 || (rc = og_ulid_new(&gen, &i->g.attempt, err)) < 0 ||
	    (rc = og_ulid_new(&gen, &i->g.id, err)) < 0)
		return rc;
	i->g.min_reader = i->g.min_writer = OG_PROTOCOL_VERSION;
	i->g.at_us = og_now_us();
	i->g.schema = og_arena_slice(&i->arena, g->schema);
	i->g.schema_digest = og_sha256(g->schema);
	types = og_arena_array(&i->arena, g->ntypes ? g->ntypes : 1, sizeof(*types));
	if (!types || !i->g.schema.p)
		return og_error_nomem(err);
	for (size_t k = 0; k < g->ntypes; k++) {
		types[k] = g->types[k];
		types[k].name = og_arena_slice(&i->arena, g->types[k].name);
		if (k && types[k].id <= types[k - 1].id)
			return og_error_set(err, OG_ERR_BAD, "types are not in order of their ids");
	}
	i->g.types = types;
	i->g.ntypes = g->ntypes;
	return encode(i, err);
}

static void run_init(struct og_journal *j, struct og_jn_call *c)
{
	struct init *i = c->arg;
	struct og_store_req req = {
		.op = OG_STORE_GET, .len = OG_STORE_TO_END, .max_bytes = OG_GENESIS_MAX, .want_tag = true
	};
	char full[OG_STORE_KEY_MAX + 1];

	(void)j;
	if (c->err.code) {
		init_end(i, &c->err);
	} else if (i->force) {
		req.key = format_key(i, full);
		og_store_submit(i->config.store, &req, on_old_format, i);
	} else {
		put_absent(i);
	}
}

void og_journal_init(const struct og_journal_config *config, const struct og_journal_genesis *g, og_journal_done cb,
		     void *arg)
{
	struct init *i = calloc(1, sizeof(*i));
	struct og_error err = { 0 };
	struct og_jn_call *c;

	if (!i)
		abort();
	og_arena_init(&i->arena, 0);
	i->config = *config;
	i->config.hooks = NULL;
	i->force = g->force;
	i->cb = cb;
	i->arg = arg;
	i->shell = og_jn_new(config, &err);
	if (!i->shell) {
		init_end(i, &err);
		return;
	}
	(void)prepare(i, g, &err);
	c = og_jn_call(i->shell, run_init);
	c->arg = i;
	c->err = err;
}

/* ---- remove ---- */

static const char *const graph_folders[] = { "log/", "ckpt/", "hist/", "data/", "index/", "blob/" };

struct removal {
	struct og_journal_config config;
	struct og_journal *shell, *old;
	bool there;			/* format.json was, or leftovers are */
	size_t folder;
	char **keys;
	size_t nkeys;
	og_journal_done cb;
	void *arg;
};

static void keys_free(struct removal *r)
{
	for (size_t i = 0; i < r->nkeys; i++)
		free(r->keys[i]);
	free(r->keys);
	r->keys = NULL;
	r->nkeys = 0;
}

static void removal_end(struct removal *r, const struct og_error *err)
{
	struct og_error e = { 0 };

	if (err)
		e = *err;
	else if (!r->there)
		og_error_set(&e, OG_ERR_NOT_FOUND, "graph not found at '%s'", r->config.uri);
	og_journal_close(r->old);
	og_journal_close(r->shell);
	keys_free(r);
	r->cb(r->arg, &e);
	free(r);
}

static void list_next(struct removal *r);

static void on_deleted(void *arg, struct og_store_result *res)
{
	struct removal *r = arg;

	keys_free(r);
	if (res->code < 0)
		removal_end(r, res->err);
	else
		list_next(r);	/* again, until a listing is empty */
}

static void on_listed(void *arg, struct og_store_result *res)
{
	struct removal *r = arg;
	struct og_store_req req = { .op = OG_STORE_DELETE_MANY };

	if (res->code < 0) {
		removal_end(r, res->err);
		return;
	}
	if (res->nitems == 0) {
		r->folder++;
		list_next(r);
		return;
	}
	r->there = true;
	r->keys = calloc(res->nitems, sizeof(*r->keys));
	if (!r->keys)
		abort();
	for (; r->nkeys < res->nitems; r->nkeys++)
		if (!(r->keys[r->nkeys] = strdup(res->items[r->nkeys].key)))
			abort();
	req.keys = (const char *const *)r->keys;
	req.nkeys = r->nkeys;
	og_store_submit(r->config.store, &req, on_deleted, r);
}

static void on_bell_deleted(void *arg, struct og_store_result *res)
{
	removal_end(arg, res->code ? res->err : NULL);
}

static void list_next(struct removal *r)
{
	char full[OG_STORE_KEY_MAX + 1];

	if (r->folder < OG_COUNT(graph_folders))
		og_store_list(r->config.store, og_jn_key_str(r->shell, graph_folders[r->folder], full), NULL, 0,
			      on_listed, r);
	else if (r->there)
		og_store_delete(r->config.store, og_jn_key_str(r->shell, "doorbell", full), on_bell_deleted, r);
	else
		removal_end(r, NULL);
}

static void on_format_deleted(void *arg, struct og_store_result *res)
{
	struct removal *r = arg;

	if (res->code < 0)
		removal_end(r, res->err);
	else
		list_next(r);
}

static void delete_format(struct removal *r)
{
	char full[OG_STORE_KEY_MAX + 1];

	r->there = true;
	og_store_delete(r->config.store, og_jn_key_str(r->shell, "format.json", full), on_format_deleted, r);
}

static void run_delete_format(struct og_journal *j, struct og_jn_call *c)
{
	(void)j;
	delete_format(c->arg);
}

static void on_removal_end(void *arg, const struct og_commit_result *res)
{
	struct removal *r = arg;

	/* Ended, or already damaged beyond writing: it is to go in either case. */
	(void)res;
	og_jn_call(r->shell, run_delete_format)->arg = r;
}

static void on_removal_open(void *arg, struct og_journal *j, struct og_error *err)
{
	struct removal *r = arg;
	struct og_record end = { .kind = OG_REC_END, .at_us = og_now_us() };

	if (!j && err->code == OG_ERR_NOT_FOUND) {
		list_next(r);
		return;
	}
	if (!j && err->code != OG_ERR_CORRUPT) {
		removal_end(r, err);
		return;
	}
	r->old = j;
	if (!j || j->state->ended || j->status != OG_JOURNAL_WRITABLE)
		delete_format(r);
	else if (og_journal_ulid(j, &end.id, err) < 0 || og_jn_append_record(j, &end, on_removal_end, r, err) < 0)
		removal_end(r, err);
}

void og_journal_remove(const struct og_journal_config *config, og_journal_done cb, void *arg)
{
	struct removal *r = calloc(1, sizeof(*r));
	struct og_error err = { 0 };

	if (!r)
		abort();
	r->config = *config;
	r->config.hooks = NULL;
	r->cb = cb;
	r->arg = arg;
	r->shell = og_jn_new(config, &err);
	if (!r->shell)
		removal_end(r, &err);
	else
		og_jn_open(&r->config, true, on_removal_open, r);
}
