/* Compiled queries by text. */
#include "config.h"

#include "graph/plans.h"

#include <stdlib.h>

#include "engine/mutate.h"

void plan_unref(struct plan_entry *e)
{
	if (!e || --e->refs > 0)
		return;
	og_catalog_unref(e->catalog);
	og_arena_fini(&e->arena);
	free(e);
}

static void unlink_entry(struct plan_cache *c, struct plan_entry *e)
{
	if (e->newer)
		e->newer->older = e->older;
	else
		c->newest = e->older;
	if (e->older)
		e->older->newer = e->newer;
	else
		c->oldest = e->newer;
	e->newer = e->older = NULL;
}

static void push_newest(struct plan_cache *c, struct plan_entry *e)
{
	e->older = c->newest;
	e->newer = NULL;
	if (c->newest)
		c->newest->newer = e;
	else
		c->oldest = e;
	c->newest = e;
}

static void drop(struct plan_cache *c, struct plan_entry *e)
{
	og_map_delete(&c->by_key, e->key);
	unlink_entry(c, e);
	c->bytes -= e->arena.total;
	plan_unref(e);
}

void plan_cache_fini(struct plan_cache *c)
{
	while (c->newest)
		drop(c, c->newest);
	og_map_fini(&c->by_key);
	og_buf_fini(&c->key);
}

static int compile(struct plan_entry *e, struct og_slice source, struct og_slice name, struct og_error *err)
{
	struct gq_file file;
	int rc;

	if ((rc = gq_parse(&e->arena, source, &file, err)) < 0 || (rc = gq_select(&file, name, &e->query, err)) < 0)
		return rc;
	return gq_check(&e->arena, e->query, e->catalog, err);
}

static int plan(struct plan_entry *e, struct og_error *err)
{
	if (e->query->is_mutation)
		return og_mutate_needs(&e->arena, e->query, e->catalog, &e->needs, &e->nneeds, err);
	return og_plan_read(&e->arena, e->query, e->catalog, &e->plan, err);
}

/* Schema, name and text; the name's length keeps them apart. */
static int make_key(struct og_buf *b, const struct og_catalog *cat, struct og_slice source, struct og_slice name, struct og_error *err)
{
	og_buf_clear(b);
	og_buf_append(b, cat->digest, sizeof(cat->digest));
	/* The same text can name other types: one that was dropped comes back with another id. */
	for (uint32_t i = 0; i < cat->ntypes; i++)
		og_buf_append(b, &cat->types[i].id, sizeof(cat->types[i].id));
	og_buf_byte(b, name.p != NULL);
	og_buf_append(b, &name.len, sizeof(name.len));
	og_buf_slice(b, name);
	og_buf_slice(b, source);
	return og_buf_ok(b, err);
}

static struct plan_entry *make_entry(struct plan_cache *c, struct og_catalog *cat, struct og_slice source, struct og_slice name,
				     struct og_error *err)
{
	struct plan_entry *e = calloc(1, sizeof(*e));

	if (!e) {
		og_error_nomem(err);
		return NULL;
	}
	e->refs = 1;
	og_arena_init(&e->arena, 0);
	e->catalog = og_catalog_ref(cat);
	e->key = og_arena_slice(&e->arena, og_buf_view(&c->key));
	if (!e->key.p)
		og_arena_error(&e->arena, err);
	if (!e->key.p || compile(e, source, name, err) < 0 || plan(e, err) < 0) {
		plan_unref(e);
		return NULL;
	}
	return e;
}

struct plan_entry *plan_get(struct plan_cache *c, struct og_catalog *cat, struct og_slice source, struct og_slice name, struct og_error *err)
{
	struct og_map_entry *m;
	struct plan_entry *e;

	if (make_key(&c->key, cat, source, name, err) < 0)
		return NULL;
	m = og_map_find(&c->by_key, og_buf_view(&c->key));
	if (m) {
		e = (struct plan_entry *)(uintptr_t)m->value;
		unlink_entry(c, e);
		push_newest(c, e);
		e->refs++;
		return e;
	}
	e = make_entry(c, cat, source, name, err);
	if (!e)
		return NULL;
	m = og_map_put(&c->by_key, e->key, NULL);
	if (!m)
		return e;	/* not kept, but good */
	m->value = (uintptr_t)e;
	e->refs++;
	push_newest(c, e);
	c->bytes += e->arena.total;
	while (c->bytes > c->limit && c->oldest && c->oldest != e)
		drop(c, c->oldest);
	return e;
}
