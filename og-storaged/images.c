/* The cache of images, and requests for them. */
#include "config.h"

#include "storaged.h"

#include <stdlib.h>

#include "base/fd.h"
#include "base/log.h"

enum { IMG_IDS = 1, IMG_IDX = 2, IMG_COL = 3, IMG_ADJ = 4 };	/* image numbers, as builder and workers know them */

struct waiting {
	struct peer *peer;
	uint32_t request;
	struct waiting *next;
};

static void image_answer(struct storaged *sd, struct image *i, struct peer *p, uint32_t request)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	og_wire_put_image(&b, &i->key);
	i->used = ++sd->clock;
	if (og_chan_answer(p->chan, request, OG_IPC_IMAGE, &b, i->fd, &err) < 0)
		og_chan_fail(p->chan, request, &err);
	og_buf_fini(&b);
}

static void image_free(struct storaged *sd, struct image *i)
{
	struct image **p;

	for (p = &sd->image_list; *p; p = &(*p)->next)
		if (*p == i) {
			*p = i->next;
			break;
		}
	og_map_delete(&sd->images, og_buf_view(&i->key_bytes));
	while (i->waiting) {
		struct waiting *w = i->waiting;

		i->waiting = w->next;
		free(w);
	}
	if (i->fd >= 0) {
		sd->image_bytes -= i->bytes;
		sd->image_fds--;
	}
	og_fd_close(&i->fd);
	og_buf_fini(&i->key_bytes);
	free(i);
}

void images_free(struct storaged *sd)
{
	while (sd->image_list)
		image_free(sd, sd->image_list);
	og_map_fini(&sd->images);
}

struct image *image_find(struct storaged *sd, const struct og_wire_image *k)
{
	struct og_buf b = { 0 };
	struct og_map_entry *e;

	og_wire_put_image(&b, k);
	e = b.failed ? NULL : og_map_find(&sd->images, og_buf_view(&b));
	og_buf_fini(&b);
	return e ? (struct image *)(uintptr_t)e->value : NULL;
}

static struct image *image_new(struct storaged *sd, const struct og_wire_image *k, struct og_error *err)
{
	struct image *i = calloc(1, sizeof(*i));
	struct og_map_entry *e = NULL;

	if (i) {
		i->key = *k;
		i->fd = -1;
		og_wire_put_image(&i->key_bytes, k);
		e = i->key_bytes.failed ? NULL : og_map_put(&sd->images, og_buf_view(&i->key_bytes), NULL);
	}
	if (!e) {
		if (i)
			og_buf_fini(&i->key_bytes);
		free(i);
		og_error_nomem(err);
		return NULL;
	}
	e->value = (uintptr_t)i;
	i->next = sd->image_list;
	sd->image_list = i;
	return i;
}

struct image *image_want(struct storaged *sd, const struct og_wire_image *k, bool build, struct og_error *err)
{
	struct image *i = image_find(sd, k);

	if (i || !build)
		return i;
	i = image_new(sd, k, err);
	if (i && job_add(sd, k, err) < 0) {
		image_free(sd, i);
		return NULL;
	}
	return i;
}

/* Over the budget: the least recently asked for go, but not the one just built. Workers that have them mapped keep them; what is asked for again is built
 * again. */
static void evict(struct storaged *sd, const struct image *keep)
{
	while (sd->image_bytes > sd->image_budget || sd->image_fds > sd->image_fds_max) {
		struct image *oldest = NULL;

		for (struct image *i = sd->image_list; i; i = i->next)
			if (i->fd >= 0 && i != keep && (!oldest || i->used < oldest->used) && !jobs_need(sd, &i->key))
				oldest = i;
		if (!oldest)
			return;
		og_log(OG_LOG_DEBUG, "image.evict", "type=%u bytes=%llu", oldest->key.type_id, (unsigned long long)oldest->bytes);
		image_free(sd, oldest);
	}
}

void image_built(struct storaged *sd, const struct og_wire_image *k, int fd, uint64_t bytes)
{
	struct og_error err = { 0 };
	struct image *i = image_find(sd, k);

	if (!i)
		i = image_new(sd, k, &err);	/* a part of a column that nobody asked for yet: kept all the same */
	if (!i) {
		og_log(OG_LOG_ERROR, "image.keep", "why=\"%s\"", err.message);
		og_fd_close(&fd);
		return;
	}
	if (i->fd >= 0) {
		og_fd_close(&fd);
		return;
	}
	i->fd = fd;
	i->bytes = bytes;
	i->used = ++sd->clock;
	sd->image_bytes += bytes;
	sd->image_fds++;
	while (i->waiting) {
		struct waiting *w = i->waiting;

		i->waiting = w->next;
		image_answer(sd, i, w->peer, w->request);
		free(w);
	}
	evict(sd, i);
}

void image_failed(struct storaged *sd, const struct og_wire_image *k, const struct og_error *err)
{
	struct image *i = image_find(sd, k);

	if (!i || i->fd >= 0)
		return;
	while (i->waiting) {
		struct waiting *w = i->waiting;

		i->waiting = w->next;
		og_chan_fail(w->peer->chan, w->request, err);
		free(w);
	}
	image_free(sd, i);
}

void images_forget_peer(struct storaged *sd, const struct peer *peer)
{
	for (struct image *i = sd->image_list; i; i = i->next) {
		struct waiting **p = &i->waiting;

		while (*p) {
			struct waiting *w = *p;

			if (w->peer == peer) {
				*p = w->next;
				free(w);
			} else {
				p = &w->next;
			}
		}
	}
}

int on_image_get(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct storaged *sd = p->sd;
	struct og_wire_image k;
	struct waiting *w;
	struct image *i;

	if (og_wire_get_image(m->body, &k, err) < 0)
		return err->code;
	if (k.what < IMG_IDS || k.what > IMG_ADJ)
		return og_error_set(err, OG_ERR_PEER, "image kind %u does not exist", k.what);
	i = image_find(sd, &k);
	if (i && i->fd >= 0) {
		image_answer(sd, i, p, m->request);
		return 0;
	}
	w = malloc(sizeof(*w));
	if (!w)
		og_error_nomem(err);
	else if (sd_no_journal(sd, err) == 0 && !content_find(sd, k.type_id, &(struct og_wire_hash128){ k.content.hi, k.content.lo }))
		og_error_set(err, OG_ERR_GONE, "the state asked for is not at hand any more; open it again");
	else if (err->code == 0)
		i = image_want(sd, &k, true, err);
	if (err->code < 0 || !i) {
		free(w);
		og_chan_fail(p->chan, m->request, err);
		return 0;
	}
	*w = (struct waiting){ p, m->request, i->waiting };
	i->waiting = w;
	jobs_run(sd);
	return 0;
}

/* The same image of another content: of the type itself or, for an edge type, of its node types. */
static bool renamed(const struct base *old, const struct base *new, uint32_t type, struct og_wire_hash128 *key)
{
	for (size_t i = 0; i < old->state->ntables; i++) {
		if ((type && old->state->tables[i].type != type) || old->keys[i].hi != key->hi || old->keys[i].lo != key->lo)
			continue;
		for (size_t k = 0; k < new->state->ntables; k++)
			if (new->state->tables[k].type == old->state->tables[i].type) {
				*key = new->keys[k];
				return true;
			}
	}
	return false;
}

void images_prebuild(struct storaged *sd, const struct base *old, const struct base *new)
{
	struct og_error err = { 0 };
	struct image *i, *next;

	if (sd->direct)
		return;
	for (i = sd->image_list; i; i = next) {
		struct og_wire_image k = i->key;
		struct og_wire_hash128 none = { 0 };

		next = i->next;
		/* An end without rows has no name that could be followed. */
		if (k.what == IMG_ADJ && (memcmp(&k.src, &none, sizeof(none)) == 0 || memcmp(&k.dst, &none, sizeof(none)) == 0))
			continue;
		if (!renamed(old, new, k.type_id, &k.content))
			continue;
		if (memcmp(&k.src, &none, sizeof(none)) != 0)
			(void)renamed(old, new, 0, &k.src);
		if (memcmp(&k.dst, &none, sizeof(none)) != 0)
			(void)renamed(old, new, 0, &k.dst);
		(void)image_want(sd, &k, true, &err);	/* only a head start */
	}
	jobs_run(sd);
}
