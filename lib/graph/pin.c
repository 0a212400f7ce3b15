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
	struct pin_job *next;
};

static void job_end(struct pin_job *j, struct og_view *v, const struct og_error *err)
{
	struct pin_job **p;

	for (p = &j->graph->jobs; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			break;
		}
	j->cb(j->arg, v, err);
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

/* ---- images from og-storaged ---- */

static void pin_everywhere(struct og_graph *g, struct og_img *img)
{
	for (struct pin_job *j = g->jobs; j; j = j->next) {
		struct og_line *l = j->snap->line;

		og_view_pin(l->base, img);
		if (l->cur)
			og_view_pin(l->cur, img);
	}
}

static int on_image(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct fetch *f = arg, gone = *f;
	struct og_graph *g = f->graph;
	struct og_img *img = NULL;

	fetch_remove(g, f);
	if (m && m->type != OG_IPC_IMAGE)
		return og_error_set(err, OG_ERR_PEER, "IMAGE_GET answered by %s", og_ipc_name(m->type));
	if (!m || og_img_open(m->fd, &gone.key, &img, err) < 0) {
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

static bool fetching(const struct og_graph *g, const struct og_img_key *k)
{
	for (const struct fetch *f = g->fetches; f; f = f->next)
		if (!f->layer && memcmp(&f->key, k, sizeof(*k)) == 0)
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

static int fetch_image(struct og_graph *g, const struct og_img_key *k, struct og_error *err)
{
	struct og_buf b = { 0 };
	struct fetch *f;
	int rc;

	if (fetching(g, k))
		return 0;
	f = fetch_new(g, err);
	if (!f)
		return err->code;
	f->key = *k;
	og_wire_put_image(&b, &(struct og_wire_image){ k->type_id, (uint8_t)k->what, k->prop_id, k->part, { k->content.hi, k->content.lo },
						       { k->src.hi, k->src.lo }, { k->dst.hi, k->dst.lo } });
	rc = og_chan_request(g->chan, OG_IPC_IMAGE_GET, &b, -1, 0, on_image, f, NULL, err);
	og_buf_fini(&b);
	if (rc < 0)
		fetch_remove(g, f);
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
		rc = fetch_image(j->graph, &keys[i], err);
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

/* The types whose images and deltas a job needs, and the images. Both on the heap. */
static int job_needs(const struct pin_job *j, bool **types, struct og_need **needs, size_t *n, struct og_error *err)
{
	struct og_line *l = j->snap->line;

	*types = calloc(l->catalog->ntypes ? l->catalog->ntypes : 1, sizeof(**types));
	if (!*types)
		return og_error_nomem(err);
	line_closure(l, j->needs, j->nneeds, *types);
	/* Types whose deltas are applied already go along with the newest view. */
	for (uint32_t i = 0; l->cur && l->cur_n <= j->snap->ncommits && i < l->catalog->ntypes; i++)
		(*types)[i] |= l->applied[i];
	return line_needs(l, j->snap->ncommits, *types, j->needs, j->nneeds, needs, n, err);
}

static bool job_waits_for(const struct pin_job *j, const struct fetch *f)
{
	struct og_line *l = j->snap->line;
	struct og_img_key keys[256];
	struct og_need *needs = NULL;
	struct og_error err = { 0 };
	bool *types = NULL, yes = false;
	size_t n = 0, missing;

	if (f->layer && f->line != l)
		return false;
	if (job_needs(j, &types, &needs, &n, &err) < 0) {
		yes = true;
	} else if (f->layer) {
		yes = types[f->type];
	} else {
		missing = og_view_missing(l->base, needs, n, keys, OG_COUNT(keys));
		/* Of very many only the first are asked for. */
		for (size_t i = 0; !yes && i < missing && i < OG_COUNT(keys); i++)
			yes = memcmp(&keys[i], &f->key, sizeof(f->key)) == 0;
	}
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
	j->snap = og_snap_ref(s);
	j->cb = cb;
	j->arg = arg;
	j->next = s->graph->jobs;
	s->graph->jobs = j;
	(void)job_try(j);
}
