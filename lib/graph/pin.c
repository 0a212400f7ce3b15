/* Getting the images that a plan needs, and the view on them. */
#include "config.h"

#include "graph/pin.h"

#include <stdlib.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sha256.h"
#include "image/local.h"

/* A request for one image, shared by all jobs that wait for it. */
struct fetch {
	struct og_graph *graph;
	struct og_img_key key;
	uint32_t claim;			/* of the job that asked first */
	/* Direct mode: one layer of one type. */
	bool layer;
	struct og_line *line;
	uint32_t type, index;
	struct fetch *next;
};

struct pin_job {
	struct og_graph *graph;
	struct og_snap *snap;
	struct og_need *needs;
	size_t nneeds;
	og_view_cb cb;
	void *arg;
	bool doomed;			/* what it waits for does not come */
	uint32_t claim;			/* its name to og-storaged; greater than those of older ones */
	bool asked;			/* og-storaged knows it by that */
	/* Images that og-storaged wants back, kept until this one has its view. */
	struct og_img **keeps;
	size_t nkeeps;
	struct pin_job *next;
};

/* An IMAGE_DROP that is not answered yet. */
struct drop {
	struct og_graph *graph;		/* NULL: nobody waits for the answer any more */
	uint32_t request;
	unsigned left;			/* mappings that it waits for */
	struct drop *next;
};

/* An image that some view here has mapped, and who wants to know when none has any more. */
struct mapped {
	struct og_graph *graph;		/* NULL: gone */
	struct og_img *img;		/* not counted */
	struct drop *drop;
	struct og_buf key;
	struct mapped *next;		/* of the same key */
};

/* Others may have their turn. A lost push costs them a moment. */
static void claim_done(const struct pin_job *j)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	if (!j->asked || !j->graph->chan)
		return;
	og_put_u32(&b, j->claim);
	(void)og_chan_send(j->graph->chan, OG_IPC_IMAGE_DONE, &b, -1, &err);
	og_buf_fini(&b);
}

static void job_end(struct pin_job *j, struct og_view *v, const struct og_error *err)
{
	struct pin_job **p;

	for (p = &j->graph->jobs; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			break;
		}
	claim_done(j);
	j->cb(j->arg, v, err);
	for (size_t i = 0; i < j->nkeeps; i++) {
		line_unpin(j->snap->line, j->keeps[i]);
		og_img_unref(j->keeps[i]);
	}
	free(j->keeps);
	og_snap_unref(j->snap);
	free(j->needs);
	free(j);
}

void pin_fail_all(struct og_graph *g, const struct og_error *err)
{
	struct fetch *f;

	while (g->jobs)
		job_end(g->jobs, NULL, err);
	while ((f = g->fetches)) {
		g->fetches = f->next;
		if (f->line)
			line_unref(f->line);
		free(f);
	}
}

static void fetch_remove(struct og_graph *g, struct fetch *f)
{
	struct fetch **p;

	for (p = &g->fetches; *p; p = &(*p)->next)
		if (*p == f) {
			*p = f->next;
			break;
		}
	if (f->line)
		line_unref(f->line);
	free(f);
}

static bool job_try(struct pin_job *j);
static bool job_waits_for(const struct pin_job *j, const struct fetch *f);

/* Something arrived: every job looks again whether it can go on. */
static void retry_jobs(struct og_graph *g)
{
	struct pin_job *j = g->jobs, *next;

	while (j) {
		next = j->next;
		/* A job's end may start or end others: begin anew. */
		if (job_try(j))
			next = g->jobs;
		j = next;
	}
}

/*
 * What f asked for does not come: whoever needs it cannot go on. With GONE its line is of the past: the next who asks for that state opens it again.
 * Marks first, ends later: an end may start or end others.
 */
static void fail_jobs_of(struct og_graph *g, const struct fetch *f, const struct og_error *err)
{
	bool found;

	for (struct pin_job *j = g->jobs; j; j = j->next)
		j->doomed = job_waits_for(j, f);
	do {
		found = false;
		for (struct pin_job *j = g->jobs; j && !found; j = j->next)
			if (j->doomed) {
				found = true;
				j->snap->line->reopen |= err->code == OG_ERR_GONE;
				job_end(j, NULL, err);
			}
	} while (found);
}

static void fail_claim(struct og_graph *g, uint32_t claim, const struct og_error *err)
{
	for (struct pin_job *j = g->jobs; j; j = j->next)
		if (j->claim == claim) {
			job_end(j, NULL, err);
			return;
		}
}

/* ---- images that are mapped ---- */

/* One mapping less; with the last its IMAGE_DROP is answered. */
static void drop_count(struct drop *d)
{
	struct og_graph *g = d->graph;
	struct og_error err = { 0 };
	struct drop **p;

	if (--d->left > 0)
		return;
	if (g) {
		for (p = &g->drops; *p != d; p = &(*p)->next)
			;
		*p = d->next;
		/* Fails for want of memory alone: og-storaged then counts on. */
		if (og_chan_answer(g->chan, d->request, OG_IPC_DROPPED, NULL, -1, &err) < 0)
			og_log(OG_LOG_WARN, "image.drop", "why=\"%s\"", err.message);
	}
	free(d);
}

static void on_gone(void *arg)
{
	struct mapped *m = arg;
	struct og_graph *g = m->graph;
	struct og_map_entry *e = g ? og_map_find(&g->mapped, og_buf_view(&m->key)) : NULL;

	if (e) {
		struct mapped **p = (struct mapped **)&e->value;

		while (*p != m)
			p = &(*p)->next;
		*p = m->next;
		/* The map's key is one of those that have it. */
		if (!e->value)
			og_map_delete(&g->mapped, og_buf_view(&m->key));
		else
			e->key = og_buf_view(&((struct mapped *)(uintptr_t)e->value)->key);
	}
	if (m->drop)
		drop_count(m->drop);
	og_buf_fini(&m->key);
	free(m);
}

static void put_key(struct og_buf *b, const struct og_img_key *k)
{
	og_wire_put_image(b, &(struct og_wire_image){ k->type_id, (uint8_t)k->what, k->prop_id, k->part, { k->content.hi, k->content.lo },
						      { k->src.hi, k->src.lo }, { k->dst.hi, k->dst.lo } });
}

/* From now on it is known what is mapped. */
static int note_mapped(struct og_graph *g, struct og_img *img, struct og_error *err)
{
	struct mapped *m = calloc(1, sizeof(*m));
	struct og_map_entry *e = NULL;

	if (m) {
		put_key(&m->key, &img->key);
		e = m->key.failed ? NULL : og_map_put(&g->mapped, og_buf_view(&m->key), NULL);
	}
	if (!e) {
		if (m)
			og_buf_fini(&m->key);
		free(m);
		return og_error_nomem(err);
	}
	m->graph = g;
	m->img = img;
	m->next = (struct mapped *)(uintptr_t)e->value;
	e->value = (uintptr_t)m;
	img->gone = on_gone;
	img->gone_arg = m;
	return 0;
}

void pin_forget_drops(struct og_graph *g)
{
	while (g->drops) {
		struct drop *d = g->drops;

		g->drops = d->next;
		d->graph = NULL;
	}
}

void pin_fini(struct og_graph *g)
{
	struct og_map_entry *e;

	for (size_t i = 0; (e = og_map_next(&g->mapped, &i));)
		for (struct mapped *m = (struct mapped *)(uintptr_t)e->value; m; m = m->next)
			m->graph = NULL;
	og_map_fini(&g->mapped);
	while (g->lines) {
		struct og_line *l = g->lines;

		g->lines = l->next;
		l->next = l->prev = NULL;
		l->graph = NULL;
	}
}

/* ---- images from og-storaged ---- */

static void pin_everywhere(struct og_graph *g, struct og_img *img)
{
	for (struct pin_job *j = g->jobs; j; j = j->next)
		line_pin(j->snap->line, img);
}

static int on_image(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct fetch *f = arg, gone = *f;
	struct og_graph *g = f->graph;
	struct og_img *img = NULL;

	fetch_remove(g, f);
	if (m && m->type != OG_IPC_IMAGE)
		return og_error_set(err, OG_ERR_PEER, "IMAGE_GET answered by %s", og_ipc_name(m->type));
	/* There is no room for that query: others may ask for the same and get it. */
	if (!m && (err->code == OG_ERR_TOO_LARGE || err->code == OG_ERR_UNAVAILABLE)) {
		fail_claim(g, gone.claim, err);
		retry_jobs(g);
		return 0;
	}
	if (!m || og_img_open(m->fd, &gone.key, &img, err) < 0) {
		fail_jobs_of(g, &gone, err);
		return 0;
	}
	if (note_mapped(g, img, err) < 0) {
		og_img_unref(img);
		fail_jobs_of(g, &gone, err);
		return 0;
	}
	g->stats.images++;
	g->stats.image_bytes += img->map.len;
	pin_everywhere(g, img);
	og_img_unref(img);
	retry_jobs(g);
	return 0;
}

/* Whether somebody at least as old has asked: a younger one's turn comes later. */
static bool fetching(const struct og_graph *g, const struct og_img_key *k, uint32_t claim)
{
	for (const struct fetch *f = g->fetches; f; f = f->next)
		if (!f->layer && f->claim <= claim && memcmp(&f->key, k, sizeof(*k)) == 0)
			return true;
	return false;
}

static struct fetch *fetch_new(struct og_graph *g, struct og_error *err)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f) {
		og_error_nomem(err);
		return NULL;
	}
	f->graph = g;
	f->next = g->fetches;
	g->fetches = f;
	return f;
}

static int fetch_image(struct pin_job *j, const struct og_img_key *k, struct og_error *err)
{
	struct og_graph *g = j->graph;
	struct og_buf b = { 0 };
	struct fetch *f;
	int rc;

	if (fetching(g, k, j->claim))
		return 0;
	f = fetch_new(g, err);
	if (!f)
		return err->code;
	f->key = *k;
	f->claim = j->claim;
	put_key(&b, k);
	og_put_u32(&b, j->claim);
	rc = og_chan_request(g->chan, OG_IPC_IMAGE_GET, &b, -1, 0, on_image, f, NULL, err);
	og_buf_fini(&b);
	if (rc < 0)
		fetch_remove(g, f);
	else
		j->asked = true;
	return rc;
}

/* ---- direct mode: layers ---- */

static bool digest_fits(const struct og_line *l, uint32_t type, uint32_t index, struct og_slice sha, struct og_error *err)
{
	struct og_sha256 have = og_sha256(l->layers[type].layers[index].bytes);

	if (og_slice_eq(sha, og_slice((const char *)have.b, sizeof(have.b))))
		return true;
	og_error_set(err, OG_ERR_CORRUPT, "%.*s: segment %s: digest mismatch", OG_FMT(l->catalog->types[type].table_key),
		     og_ulid_format(&l->layers[type].wire[index].segment).s);
	return false;
}

static int on_layer(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct fetch *f = arg, gone = *f;
	struct og_graph *g = f->graph;
	struct og_line *l = line_ref(f->line);
	struct line_layers *y = &l->layers[f->type];
	uint32_t index = f->index, type = f->type;
	int rc = 0;

	fetch_remove(g, f);
	if (!m) {
		fail_jobs_of(g, &gone, err);
	} else if (m->type != OG_IPC_SEGMENT_FD) {
		rc = og_error_set(err, OG_ERR_PEER, "SEGMENT_GET answered by %s", og_ipc_name(m->type));
	} else {
		struct og_reader r = og_ipc_body(m);
		uint64_t off = og_read_u64(&r);
		uint64_t len = og_read_u64(&r);
		bool check = og_read_u8(&r) != 0;
		struct og_slice sha = og_read_raw(&r, check ? sizeof(struct og_sha256) : 0);
		rc = og_reader_end(&r, err);
		if (rc == 0 && len > UINT64_MAX - off)
			rc = og_error_set(err, OG_ERR_PEER, "a layer that ends beyond the end of memory");
		if (rc == 0 && og_map_file(m->fd, off + len, &y->maps[index], err) < 0) {
			fail_jobs_of(g, &gone, err);
		} else if (rc == 0) {
			y->layers[index].bytes = og_slice(y->maps[index].p + off, len);
			y->have[index] = !check || digest_fits(l, type, index, sha, err);
			if (y->have[index])
				retry_jobs(g);
			else
				fail_jobs_of(g, &gone, err);
		}
	}
	line_unref(l);
	return rc;
}

static int fetch_layer(struct og_line *l, uint32_t type, uint32_t index, struct og_error *err)
{
	struct og_graph *g = l->graph;
	struct og_buf b = { 0 };
	struct fetch *f;
	int rc;

	for (f = g->fetches; f; f = f->next)
		if (f->layer && f->line == l && f->type == type && f->index == index)
			return 0;
	f = fetch_new(g, err);
	if (!f)
		return err->code;
	f->layer = true;
	f->line = line_ref(l);
	f->type = type;
	f->index = index;
	og_wire_put_segget(&b, &(struct og_wire_segget){ l->catalog->types[type].id, l->layers[type].wire[index] });
	rc = og_chan_request(g->chan, OG_IPC_SEGMENT_GET, &b, -1, 0, on_layer, f, NULL, err);
	og_buf_fini(&b);
	if (rc < 0)
		fetch_remove(g, f);
	return rc;
}

/* 1: everything is here; 0: on its way. */
static int have_layers(struct og_line *l, const bool *types, struct og_error *err)
{
	int all = 1;

	for (uint32_t t = 0; t < l->catalog->ntypes; t++)
		for (uint32_t i = 0; types[t] && i < l->layers[t].n; i++) {
			if (l->layers[t].have[i])
				continue;
			all = 0;
			if (fetch_layer(l, t, i, err) < 0)
				return err->code;
		}
	return all;
}

static int build_local(struct og_line *l, const struct og_need *needs, size_t n, struct og_error *err)
{
	uint32_t ntypes = l->catalog->ntypes;
	struct og_local_type *types = calloc(ntypes ? ntypes : 1, sizeof(*types));
	int rc;

	if (!types)
		return og_error_nomem(err);
	for (uint32_t i = 0; i < ntypes; i++)
		types[i] = (struct og_local_type){ l->layers[i].layers, l->layers[i].n };
	rc = og_view_build_local(l->base, types, needs, n, err);
	free(types);
	return rc;
}

/* ---- jobs ---- */

/* 1: pinned, 0: waiting, or an error. */
static int job_images(struct pin_job *j, const bool *types, const struct og_need *needs, size_t n, struct og_error *err)
{
	struct og_line *l = j->snap->line;
	struct og_img_key keys[256];
	size_t missing = og_view_missing(l->base, needs, n, keys, OG_COUNT(keys));
	int rc;

	if (missing == 0)
		return 1;
	if (!j->graph->chan)
		return graph_unavailable(err);
	if (l->layers) {
		rc = have_layers(l, types, err);
		if (rc != 1)
			return rc;
		rc = build_local(l, needs, n, err);
		return rc < 0 ? rc : 1;
	}
	for (size_t i = 0; i < missing && i < OG_COUNT(keys); i++) {
		rc = fetch_image(j, &keys[i], err);
		/* A channel with all its requests open: whatever arrives next has this job look again. */
		if (rc == OG_ERR_UNAVAILABLE && j->graph->fetches && og_chan_alive(j->graph->chan)) {
			og_error_clear(err);
			return 0;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool subset(const struct og_line *l, const bool *a, const bool *b)
{
	for (uint32_t i = 0; i < l->catalog->ntypes; i++)
		if (a[i] && !b[i])
			return false;
	return true;
}

/*
 * The types whose deltas go into a job's view, and the images that it takes. Both on the heap. Types that the newest view has go along, lest views be made
 * from the base by turns, unless that takes images which are not here.
 */
static int job_needs(const struct pin_job *j, bool **types, struct og_need **needs, size_t *n, struct og_error *err)
{
	struct og_line *l = j->snap->line;
	uint32_t ntypes = l->catalog->ntypes, ncommits = j->snap->ncommits;
	bool *own = calloc(ntypes ? ntypes : 1, sizeof(*own));
	bool *all = calloc(ntypes ? ntypes : 1, sizeof(*all));
	int rc = own && all ? 0 : og_error_nomem(err);

	*types = own;
	if (rc < 0)
		goto out;
	line_closure(l, j->needs, j->nneeds, own);
	if (l->cur && l->cur_n <= ncommits) {
		bool there = subset(l, own, l->applied) && l->cur_n == ncommits;

		for (uint32_t i = 0; i < ntypes; i++)
			all[i] = own[i] || l->applied[i];
		/* A view that is complete as it is takes no more than is read. */
		rc = line_needs(l, there ? 0 : ncommits, all, j->needs, j->nneeds, needs, n, err);
		if (rc < 0)
			goto out;
		if (there || og_view_missing(l->base, *needs, *n, NULL, 0) == 0) {
			*types = all;
			free(own);
			return 0;
		}
		free(*needs);
		*needs = NULL;
	}
	rc = line_needs(l, ncommits, own, j->needs, j->nneeds, needs, n, err);
out:
	free(all);
	return rc;
}

/* Whether a job lacks this image. */
static bool job_lacks(const struct pin_job *j, const struct og_need *needs, size_t n, const struct og_img_key *key)
{
	const struct og_view *v = j->snap->line->base;
	size_t missing = og_view_missing(v, needs, n, NULL, 0);
	struct og_img_key *keys = malloc(missing ? missing * sizeof(*keys) : 1);
	bool yes = !keys;

	if (keys)
		missing = og_view_missing(v, needs, n, keys, missing);
	for (size_t i = 0; !yes && i < missing; i++)
		yes = og_img_key_equal(&keys[i], key);
	free(keys);
	return yes;
}

static bool job_waits_for(const struct pin_job *j, const struct fetch *f)
{
	struct og_need *needs = NULL;
	struct og_error err = { 0 };
	bool *types = NULL, yes;
	size_t n = 0;

	if (f->layer && f->line != j->snap->line)
		return false;
	if (job_needs(j, &types, &needs, &n, &err) < 0)
		yes = true;
	else if (f->layer)
		yes = types[f->type];
	else
		yes = job_lacks(j, needs, n, &f->key);
	free(types);
	free(needs);
	return yes;
}

/* true: the job has ended (and is freed). */
static bool job_try(struct pin_job *j)
{
	struct og_line *l = j->snap->line;
	struct og_error err = { 0 };
	struct og_need *needs = NULL;
	struct og_view *v = NULL;
	bool *types = NULL;
	size_t n = 0;
	int rc = job_needs(j, &types, &needs, &n, &err);

	if (rc == 0)
		rc = job_images(j, types, needs, n, &err);
	if (rc == 1) {
		v = line_view(l, j->snap->ncommits, types, &err);
		rc = v ? 1 : err.code;
	}
	free(types);
	free(needs);
	if (rc == 0)
		return false;
	if (v)
		og_view_ref(v);
	job_end(j, v, &err);
	og_view_unref(v);
	return true;
}

/* The common case: the newest view has all of it. */
static struct og_view *ready_view(const struct og_snap *s, const struct og_need *needs, size_t n)
{
	const struct og_line *l = s->line;

	if (!l->cur || l->cur_n != s->ncommits)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const struct og_type *t = needs[i].type;

		if (!l->applied[t->index] || (t->kind == OG_EDGE && (!l->applied[t->src_type] || !l->applied[t->dst_type])))
			return NULL;
	}
	return og_view_missing(l->cur, needs, n, NULL, 0) == 0 ? l->cur : NULL;
}

void og_graph_pin(struct og_snap *s, const struct og_need *needs, size_t n, og_view_cb cb, void *arg)
{
	struct og_view *ready = ready_view(s, needs, n);
	struct og_error err = { 0 };
	struct pin_job *j;

	if (ready) {
		og_view_ref(ready);
		cb(arg, ready, &err);
		og_view_unref(ready);
		return;
	}
	j = calloc(1, sizeof(*j));
	if (j)
		j->needs = malloc(n ? n * sizeof(*needs) : 1);
	if (!j || !j->needs) {
		free(j);
		og_error_nomem(&err);
		cb(arg, NULL, &err);
		return;
	}
	if (n)
		memcpy(j->needs, needs, n * sizeof(*needs));
	j->nneeds = n;
	j->graph = s->graph;
	j->claim = ++s->graph->claims ? s->graph->claims : ++s->graph->claims;
	j->snap = og_snap_ref(s);
	j->cb = cb;
	j->arg = arg;
	j->next = s->graph->jobs;
	s->graph->jobs = j;
	(void)job_try(j);
}

/* ---- giving images back ---- */

/* The query whose turn it is at og-storaged keeps what it needs until it has its view. */
static bool job_keeps(struct pin_job *j, struct og_img *img)
{
	struct og_need *needs = NULL;
	struct og_error err = { 0 };
	struct og_img **p;
	bool *types = NULL, yes = false;
	size_t n = 0;

	if (job_needs(j, &types, &needs, &n, &err) == 0 && job_lacks(j, needs, n, &img->key)) {
		p = realloc(j->keeps, (j->nkeeps + 1) * sizeof(struct og_img *));
		if (p) {
			j->keeps = p;
			j->keeps[j->nkeeps++] = og_img_ref(img);
			yes = true;
		}
	}
	free(types);
	free(needs);
	return yes;
}

/* Takes the image from all lines; views that queries read have it until they end. */
static void give_up(struct og_graph *g, struct og_img *img, uint32_t claim)
{
	struct pin_job *j;

	for (struct og_line *l = g->lines; l; l = l->next) {
		bool had = og_view_has(l->base, img);

		line_unpin(l, img);
		for (j = had && claim ? g->jobs : NULL; j && (j->claim != claim || j->snap->line != l); j = j->next)
			;
		if (j && job_keeps(j, img))
			line_pin(l, img);
	}
}

int og_graph_on_image_drop(struct og_graph *g, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_wire_claim c;
	struct og_buf key = { 0 };
	struct og_map_entry *e;
	struct drop *d;

	if (og_wire_get_claim(m->body, &c, err) < 0)
		return err->code;
	d = calloc(1, sizeof(*d));
	og_wire_put_image(&key, &c.image);
	if (!d || key.failed) {
		free(d);
		og_buf_fini(&key);
		return og_error_nomem(err);
	}
	*d = (struct drop){ g, m->request, 1, g->drops };	/* one for this call */
	g->drops = d;
	e = og_map_find(&g->mapped, og_buf_view(&key));
	og_buf_fini(&key);
	for (struct mapped *p = e ? (struct mapped *)(uintptr_t)e->value : NULL, *next; p; p = next) {
		struct og_img *img = og_img_ref(p->img);

		next = p->next;
		if (!p->drop) {
			p->drop = d;
			d->left++;
		}
		give_up(g, img, c.claim);
		og_img_unref(img);	/* may free p */
	}
	drop_count(d);
	/* Who waits and has lost it asks for it again, so that its place in the queue stays. */
	retry_jobs(g);
	return 0;
}
