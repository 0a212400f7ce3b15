/* The cache of images: what there is, what it takes, what goes. Requests for them are asks.c's. */
#include "config.h"

#include "storaged.h"

#include <stdlib.h>
#include <sys/sysinfo.h>

#include "base/date.h"
#include "base/fd.h"
#include "base/log.h"

#define DROPS_MAX 512u		/* open IMAGE_DROPs a worker; at 1,024 it would not be read from, nor read */
#define FDS_MAX 65536u		/* an image is a descriptor */
#define PART_ROWS (1u << 20)	/* as in image/image.h */

/* ---- how large ---- */

/* What an image of a type is told apart by, whatever its content. */
#define SIZE_KEY 13

static struct og_slice size_key(const struct og_wire_image *k, char key[SIZE_KEY])
{
	memcpy(key, &k->type_id, 4);
	memcpy(key + 4, &k->prop_id, 4);
	memcpy(key + 8, &k->part, 4);
	key[12] = (char)k->what;
	return og_slice(key, SIZE_KEY);
}

static void size_learn(struct storaged *sd, const struct og_wire_image *k, uint64_t bytes)
{
	char key[SIZE_KEY];
	struct og_map_entry *e = og_map_find(&sd->sizes, size_key(k, key));

	if (!e) {
		char *own = malloc(SIZE_KEY);

		if (!own)
			return;		/* guessed again */
		e = og_map_put(&sd->sizes, size_key(k, own), NULL);
		if (!e) {
			free(own);
			return;
		}
	}
	e->value = bytes;
}

static uint64_t layer_bytes(const struct content *c)
{
	uint64_t sum = 0;

	for (const struct og_layer *l = c->top; l; l = l->below)
		sum += l->in_log ? l->len : l->seg.bytes;
	return sum;
}

/* What it took when it was last built; else a guess: a column may be nearly all of its rows' bytes. Held down, so that a bad guess refuses nothing. */
static uint64_t size_of(struct storaged *sd, const struct og_wire_image *k, const struct content *c)
{
	char key[SIZE_KEY];
	const struct og_map_entry *e = og_map_find(&sd->sizes, size_key(k, key));
	uint64_t rows = c ? c->rows : 0;

	if (e)
		return e->value;
	if (k->what == IMG_COL && c)
		return 4096 + OG_MIN(16 * rows + 2 * layer_bytes(c), sd->room.budget / 2);
	return 4096 + OG_MIN(16 * rows, sd->room.budget / 8);
}

static struct content *content_any(const struct storaged *sd, const struct og_hash128 *key)
{
	struct content *c = key->hi || key->lo ? sd->contents : NULL;

	while (c && (c->key.hi != key->hi || c->key.lo != key->lo))
		c = c->next;
	return c;
}

/* Ids and index of a node type that building an image of its edges takes, as far as they are not here. */
static uint64_t nodes_cost(struct storaged *sd, const struct og_hash128 *key)
{
	const struct content *c = content_any(sd, key);
	uint32_t parts = c ? (uint32_t)((c->rows + PART_ROWS - 1) / PART_ROWS) : 0;
	uint64_t sum = 0;

	for (uint32_t i = 0; i <= parts && c && c->rows; i++) {
		struct og_wire_image k = { .type_id = c->type_id, .what = i < parts ? IMG_IDS : IMG_IDX, .part = i < parts ? i : 0, .content = c->key };
		const struct image *img = image_find(sd, &k);

		if (!img || (img->fd < 0 && !img->item.promised))
			sum += size_of(sd, &k, c);
	}
	return sum;
}

uint64_t image_size(struct storaged *sd, const struct og_wire_image *k)
{
	const struct og_index *x = index_find(sd, k);

	if (x)
		return x->bytes;
	return size_of(sd, k, content_find(sd, k->type_id, &k->content));
}

uint64_t image_cost(struct storaged *sd, const struct og_wire_image *k)
{
	uint64_t sum = image_size(sd, k);

	if (index_find(sd, k))
		return sum;
	sum += nodes_cost(sd, &k->src);
	/* Ends of one type are counted once. */
	return k->src.hi == k->dst.hi && k->src.lo == k->dst.lo ? sum : sum + nodes_cost(sd, &k->dst);
}

/* ---- what there is ---- */

static void image_free(struct storaged *sd, struct image *i)
{
	struct image **p;

	for (p = &sd->image_list; *p; p = &(*p)->next)
		if (*p == i) {
			*p = i->next;
			break;
		}
	og_map_delete(&sd->images, og_buf_view(&i->key_bytes));
	room_drop(&sd->room, &i->item);
	og_fd_close(&i->fd);
	og_buf_fini(&i->key_bytes);
	free(i);
}

void images_free(struct storaged *sd)
{
	struct og_map_entry *e;

	asks_free(sd);
	while (sd->image_list)
		image_free(sd, sd->image_list);
	og_map_fini(&sd->images);
	for (size_t i = 0; (e = og_map_next(&sd->sizes, &i));)
		free((char *)e->key.p);
	og_map_fini(&sd->sizes);
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

struct image *image_note(struct storaged *sd, const struct og_wire_image *k, struct og_error *err)
{
	struct image *i = image_find(sd, k);
	const struct content *c = content_find(sd, k->type_id, &k->content);
	struct og_map_entry *e = NULL;

	if (i)
		return i;
	i = calloc(1, sizeof(*i));
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
	/* Without ids, their index and adjacency nothing of a type can be read; columns are the many. */
	i->item.rank = k->what != IMG_COL && c && c->bases ? 1 : 0;
	room_add(&sd->room, &i->item);
	return i;
}

int image_build(struct storaged *sd, struct image *i, struct og_error *err)
{
	int rc;

	if (i->fd >= 0 || i->building)
		return 0;
	rc = index_fetch(sd, i) ? 0 : job_add(sd, &i->key, err);
	if (rc < 0)
		return rc;
	i->building = true;
	room_promise(&sd->room, &i->item, image_size(sd, &i->key));
	return 0;
}

void images_sweep(struct storaged *sd)
{
	struct image *i, *next;

	for (i = sd->image_list; i; i = next) {
		next = i->next;
		if (i->fd < 0 && !i->building && !asks_for(sd, i))
			image_free(sd, i);
	}
}

struct image *image_want(struct storaged *sd, const struct og_wire_image *k, struct og_error *err)
{
	struct image *i = image_note(sd, k, err);

	if (!i || image_build(sd, i, err) == 0)
		return i;
	images_sweep(sd);
	return NULL;
}

void image_built(struct storaged *sd, const struct og_wire_image *k, int fd, uint64_t bytes, const struct og_hash128 *hash)
{
	struct og_error err = { 0 };
	struct image *i = image_note(sd, k, &err);	/* or a part of a column that nobody asked for yet: kept all the same */

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
	i->hash = *hash;
	i->building = false;
	size_learn(sd, k, bytes);
	room_arrived(&sd->room, &i->item, bytes);
	asks_answer(sd, i);
	room_make(&sd->room, 0, og_monotonic_us() / 1000);
	asks_admit(sd);
}

void image_failed(struct storaged *sd, const struct og_wire_image *k, const struct og_error *err)
{
	struct image *i = image_find(sd, k);

	if (!i || i->fd >= 0)
		return;
	asks_fail(sd, i, err);
	image_free(sd, i);
	room_soon(sd, 0);
}

void images_stale(struct storaged *sd, const struct content *c)
{
	for (struct image *i = sd->image_list; i; i = i->next) {
		const struct og_hash128 *keys[] = { &i->key.content, &i->key.src, &i->key.dst };

		for (size_t k = 0; k < OG_COUNT(keys); k++)
			if (keys[k]->hi == c->key.hi && keys[k]->lo == c->key.lo) {
				i->item.rank = 0;
				i->item.used = 0;
			}
	}
}

/* ---- what goes ---- */

/* An IMAGE_DROP without its answer. */
struct drop {
	struct storaged *sd;
	struct og_wire_image key;
	uint64_t peer, number;
};

static int on_dropped(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct drop d = *(struct drop *)arg;
	struct peer *p = m ? peer_find(d.sd, d.peer) : NULL;
	struct image *i;

	free(arg);
	if (!p)
		return 0;	/* gone, and forgotten as a holder */
	if (m->type != OG_IPC_DROPPED)
		return og_error_set(err, OG_ERR_PEER, "IMAGE_DROP answered by %s", og_ipc_name(m->type));
	p->drops--;
	i = image_find(d.sd, &d.key);
	if (i)
		room_answered(&d.sd->room, &i->item, d.peer, d.number);
	room_soon(d.sd, 0);
	return 0;
}

static bool image_ask(void *arg, struct room_item *it, uint64_t peer, uint64_t number)
{
	struct storaged *sd = arg;
	struct image *i = (struct image *)it;
	struct peer *p = peer_find(sd, peer);
	struct drop *d = p && p->drops < DROPS_MAX ? malloc(sizeof(*d)) : NULL;
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	int rc;

	if (!d)
		return false;
	*d = (struct drop){ sd, i->key, peer, number };
	og_wire_put_claim(&b, &(struct og_wire_claim){ i->key, asks_turn(sd, p) });
	rc = og_chan_request(p->chan, OG_IPC_IMAGE_DROP, &b, -1, 0, on_dropped, d, NULL, &err);
	og_buf_fini(&b);
	if (rc < 0) {
		free(d);
		return false;
	}
	p->drops++;
	asks_lose(sd, p);
	return true;
}

static bool image_busy(void *arg, const struct room_item *it)
{
	return jobs_need(arg, &((const struct image *)it)->key);
}

static void image_gone(void *arg, struct room_item *it)
{
	struct storaged *sd = arg;
	struct image *i = (struct image *)it;

	og_log(OG_LOG_DEBUG, "image.evict", "type=%u bytes=%llu", i->key.type_id, (unsigned long long)it->bytes);
	sd->evicted++;
	og_fd_close(&i->fd);
	if (!asks_for(sd, i)) {
		image_free(sd, i);
		return;
	}
	it->bytes = 0;
	room_add(&sd->room, it);	/* wanted again already */
}

static const struct room_ops room_ops = { .ask = image_ask, .busy = image_busy, .gone = image_gone };

/* Half of what there is, at most; a container's limit is og-master's to know. */
void images_init(struct storaged *sd)
{
	uint64_t budget = og_child_setting_u64(&sd->child, "image_memory", 0);
	struct sysinfo si;

	if (!budget && sysinfo(&si) == 0)
		budget = (uint64_t)si.totalram * si.mem_unit / 2;
	if (!budget)
		budget = 1024ull * OG_MIB;
	room_init(&sd->room, &room_ops, sd, OG_MIN(budget, UINT64_MAX / 4), og_fd_raise_limit(FDS_MAX) / 2);
}

/* ---- the next base ---- */

/* The same image of another content: of the type itself or, for an edge type, of its node types. */
static bool renamed(const struct base *old, const struct base *new, uint32_t type, struct og_hash128 *key)
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
		struct og_hash128 none = { 0 };

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
		/* Only a head start: nothing goes for it. */
		if (room_fits(&sd->room, image_cost(sd, &k), sd->room.budget))
			(void)image_want(sd, &k, &err);
	}
	jobs_run(sd);
}
