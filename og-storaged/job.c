/* The builder's jobs: gathering inputs, sending them, taking outputs; folding for checkpoints. */
#include "config.h"

#include "storaged.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#define JOBS_SENT_MAX 2u	/* at the builder at one time: it has one thread, the second waits in its socket */
#define BUILDER_DEATHS_MAX 2u	/* an input that kills the builder so often is damaged */
#define JOBS_READY_MAX 16u	/* gathered and not sent yet: their inputs are descriptors */
#define JOBS_READY_BYTES (UINT64_C(512) * OG_MIB)	/* the same, of a store that is not local: they may lie in memory */
#define RETRY_MS 20
#define PART_SHIFT 20		/* rows of an image part, as in image/image.h */

struct job_layer {
	struct og_layer *layer;		/* counted */
	int fd;				/* a segment's file, or -1 */
	uint64_t size;
	bool verified;			/* its digest has been compared */
	struct og_buf body;		/* an in-log layer's bytes */
};

struct job {
	struct storaged *sd;
	uint32_t id;
	enum og_wire_job kind;
	uint32_t type_id;
	struct og_hash128 content, src, dst;
	uint64_t rows;			/* of the content; 0: not known (folds) */
	const struct og_schema_state *schema;
	struct og_wire_image *wants;
	uint32_t nwants, cap_wants;
	struct job_layer *layers;	/* base up */
	uint32_t nlayers, fetching;
	bool fetched, sent;
	bool waiting;			/* for images of the ends of an edge type */
	bool alone;			/* takes no other wants in */
	uint64_t sent_to, sent_as;	/* builder, order among all that were sent; kept until it is sent again */
	unsigned deaths;
	struct og_error err;
	/* folding */
	og_fold_done fold_done;
	void *token;
	struct og_seg *keep;		/* segments below the folded part */
	uint32_t nkeep;
	uint64_t stack_rows;		/* live ones of the whole stack */
	bool must_be_plain;		/* else the whole stack is folded */
	int out_fd;
	struct og_seg seg;
	struct og_buf about;		/* struct og_wire_about, as it came; also of a description */
	job_described *described;
	struct job *next;
};

static void job_unlink(struct job *j)
{
	struct job **p;

	for (p = &j->sd->jobs; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			return;
		}
}

static void drop_layers(struct job *j)
{
	for (uint32_t i = 0; i < j->nlayers; i++) {
		og_layer_unref(j->layers[i].layer);
		og_fd_close(&j->layers[i].fd);
		og_buf_fini(&j->layers[i].body);
	}
	free(j->layers);
	j->layers = NULL;
	j->nlayers = 0;
}

static void job_free(struct job *j)
{
	job_unlink(j);
	drop_layers(j);
	og_fd_close(&j->out_fd);
	og_buf_fini(&j->about);
	free(j->wants);
	free(j->keep);
	free(j);
}

void jobs_free(struct storaged *sd)
{
	while (sd->jobs)
		job_free(sd->jobs);
	if (sd->jobs_retry)
		event_free(sd->jobs_retry);
	sd->jobs_retry = NULL;
}

/* Damage is told with the type whose rows cannot be had. */
static void name_type(struct job *j)
{
	for (size_t i = 0; j->schema && i < j->schema->ntypes; i++) {
		const struct og_type_decl *t = &j->schema->types[i];

		if (t->id == j->type_id)
			og_error_prefix(&j->err, "%s:%.*s: ", t->kind == 'e' ? "edge" : "node", OG_FMT(t->name));
	}
}

/* The job has come to its end, well or not. Whom it tells may start others: it is not among them any more. */
static void job_end(struct job *j)
{
	struct storaged *sd = j->sd;

	job_unlink(j);
	if (j->err.code == OG_ERR_CORRUPT)
		name_type(j);
	if (j->err.code < 0)
		og_log(OG_LOG_ERROR, "job.failed", "type=%u kind=%d why=\"%s\"", j->type_id, (int)j->kind, j->err.message);
	for (uint32_t i = 0; i < j->nwants; i++) {
		struct og_error none = { 0 };

		if (j->err.code == 0)
			og_error_set(&none, OG_ERR_INTERNAL, "the builder left an image out");
		image_failed(sd, &j->wants[i], j->err.code < 0 ? &j->err : &none);
	}
	if (j->fold_done && j->err.code < 0 && sd->fold_error.code == 0)
		sd->fold_error = j->err;
	if (j->fold_done)
		j->fold_done(j->token, true, NULL, 0);	/* layers stay as they are */
	if (j->described)
		j->described(j->token, og_buf_view(&j->about), &j->err);
	job_free(j);
}

static struct job *job_new(struct storaged *sd, enum og_wire_job kind, uint32_t type_id, struct og_error *err)
{
	struct job *j = calloc(1, sizeof(*j)), **end;

	if (!j) {
		og_error_nomem(err);
		return NULL;
	}
	j->sd = sd;
	j->id = ++sd->next_job;
	j->kind = kind;
	j->type_id = type_id;
	j->out_fd = -1;
	for (end = &sd->jobs; *end; end = &(*end)->next)
		;
	*end = j;
	sd->jobs_again = true;
	return j;
}

/* Layers [0, n) of the stack, base up. */
static int take_layers(struct job *j, struct og_layer *top, uint32_t skip_base, struct og_error *err)
{
	uint32_t n = top ? top->depth - skip_base : 0;
	struct og_layer *l = top;

	j->layers = calloc(n ? n : 1, sizeof(*j->layers));
	if (!j->layers)
		return og_error_nomem(err);
	j->nlayers = n;
	for (uint32_t i = n; i-- > 0; l = l->below)
		j->layers[i] = (struct job_layer){ .layer = og_layer_ref(l), .fd = -1 };
	return 0;
}

static bool same_image(const struct og_wire_image *a, const struct og_wire_image *b)
{
	return a->type_id == b->type_id && a->what == b->what && a->prop_id == b->prop_id && a->part == b->part &&
	       og_hash128_eq(&a->content, &b->content) && og_hash128_eq(&a->src, &b->src) && og_hash128_eq(&a->dst, &b->dst);
}

static int add_want(struct job *j, const struct og_wire_image *k, struct og_error *err)
{
	for (uint32_t i = 0; i < j->nwants; i++)
		if (same_image(&j->wants[i], k))
			return 0;
	if (j->nwants == j->cap_wants) {
		uint32_t cap = j->cap_wants ? 2 * j->cap_wants : 8;
		struct og_wire_image *p = realloc(j->wants, cap * sizeof(*p));

		if (!p)
			return og_error_nomem(err);
		j->wants = p;
		j->cap_wants = cap;
	}
	j->wants[j->nwants++] = *k;
	return 0;
}

int job_add(struct storaged *sd, const struct og_wire_image *want, struct og_error *err)
{
	struct content *c = content_find(sd, want->type_id, &want->content);
	struct job *j;

	for (j = sd->jobs; j; j = j->next)
		if (j->kind == OG_JOB_IMAGES && !j->sent && !j->alone && j->type_id == want->type_id && og_hash128_eq(&j->content, &want->content) &&
		    og_hash128_eq(&j->src, &want->src) && og_hash128_eq(&j->dst, &want->dst))
			return add_want(j, want, err);
	if (!c)
		return og_error_set(err, OG_ERR_GONE, "the state asked for is not at hand any more; open it again");
	j = job_new(sd, OG_JOB_IMAGES, want->type_id, err);
	if (!j)
		return err->code;
	j->content = want->content;
	j->src = want->src;
	j->dst = want->dst;
	j->rows = c->rows;
	j->schema = c->schema;
	if (take_layers(j, c->top, 0, err) < 0 || add_want(j, want, err) < 0) {
		job_free(j);
		return err->code;
	}
	return 0;
}

/* ---- layers ---- */

struct layer_fetch {
	struct storaged *sd;
	uint32_t job, index;
};

static struct job *job_find(struct storaged *sd, uint32_t id)
{
	for (struct job *j = sd->jobs; j; j = j->next)
		if (j->id == id)
			return j;
	return NULL;
}

static void layer_arrived(struct layer_fetch *f, const struct og_error *err)
{
	struct storaged *sd = f->sd;
	struct job *j = job_find(sd, f->job);

	free(f);
	if (!j)
		return;
	if (err->code < 0 && j->err.code == 0)
		j->err = *err;
	if (--j->fetching > 0)
		return;
	j->fetched = true;
	if (j->err.code < 0)
		job_end(j);
	jobs_run(sd);
}

static void on_segment_fd(void *arg, struct og_cache_result *res)
{
	struct layer_fetch *f = arg;
	struct job *j = job_find(f->sd, f->job);
	struct og_error err = { 0 };

	if (res->code < 0) {
		err = *res->err;
		if (err.code == OG_ERR_NOT_FOUND)
			err.code = OG_ERR_CORRUPT;	/* named by the log, and gone: damage */
	} else if (j) {
		const struct og_layer *l = j->layers[f->index].layer;

		j->layers[f->index].fd = res->fd;
		j->layers[f->index].size = res->size;
		/* A remote store's bytes were compared as they came, or do not fit, as the builder is to find. */
		j->layers[f->index].verified = f->sd->store->local ? l->checked : res->verified;
		res->fd = -1;
		if (res->size != l->seg.bytes)
			og_error_set(&err, OG_ERR_CORRUPT, "segment %s: %llu bytes where %llu were written", og_ulid_format(&l->seg.id).s,
				     (unsigned long long)res->size, (unsigned long long)l->seg.bytes);
	}
	layer_arrived(f, &err);
}

static void on_body(void *arg, struct og_slice bytes, const struct og_error *err)
{
	struct layer_fetch *f = arg;
	struct job *j = job_find(f->sd, f->job);
	struct og_error e = *err;

	if (e.code == 0 && j) {
		og_buf_slice(&j->layers[f->index].body, bytes);
		if (og_buf_ok(&j->layers[f->index].body, &e) < 0)
			og_error_nomem(&e);
	}
	layer_arrived(f, &e);
}

static void fetch_layers(struct job *j)
{
	struct storaged *sd = j->sd;
	struct og_error err = { 0 };

	j->fetching = j->nlayers + 1;	/* one for this loop, so that an early end does not free the job under it */
	for (uint32_t i = 0; i < j->nlayers; i++) {
		struct layer_fetch *f = malloc(sizeof(*f));
		struct og_layer *l = j->layers[i].layer;

		if (f)
			*f = (struct layer_fetch){ sd, j->id, i };
		else
			og_error_nomem(&err);
		if (f && l->in_log)
			og_journal_layer_bytes(sd->journal, l, on_body, f);
		else if (!f || segment_get(sd, j->type_id, &l->seg, on_segment_fd, f, &err) < 0) {
			free(f);
			j->err = err;
			j->fetching--;
		}
	}
	if (--j->fetching == 0) {
		j->fetched = true;
		sd->jobs_again = true;
		if (j->err.code < 0)
			job_end(j);
	}
}

/* ---- node images that an edge type's job needs ---- */

/* 1: all there, 0: being built, or an error. */
static int need_nodes(struct job *j, const struct og_hash128 *key, struct og_error *err)
{
	struct storaged *sd = j->sd;
	struct content *c = NULL;
	uint32_t parts;
	int all = 1;

	if (key->hi == 0 && key->lo == 0)
		return 1;
	for (c = sd->contents; c && !og_hash128_eq(&c->key, key); c = c->next)
		;
	if (!c)
		return og_error_set(err, OG_ERR_GONE, "the state asked for is not at hand any more; open it again");
	c->used = ++sd->clock;
	parts = (uint32_t)((c->rows + (1u << PART_SHIFT) - 1) >> PART_SHIFT);
	for (uint32_t i = 0; i <= parts && c->rows; i++) {
		struct og_wire_image k = { .type_id = c->type_id, .what = i < parts ? IMG_IDS : IMG_IDX, .part = i < parts ? i : 0,
					   .content = c->key };
		struct image *img = image_want(sd, &k, err);

		if (!img)
			return err->code;
		room_use(&sd->room, &img->item);
		if (img->fd < 0)
			all = 0;
	}
	return all;
}

bool jobs_need(const struct storaged *sd, const struct og_wire_image *k)
{
	if (k->what != IMG_IDS && k->what != IMG_IDX)
		return false;
	for (const struct job *j = sd->jobs; j; j = j->next)
		if (og_hash128_eq(&j->src, &k->content) || og_hash128_eq(&j->dst, &k->content))
			return true;
	return false;
}

static int send_image(struct job *j, struct peer *b, uint8_t role, const struct og_wire_image *k, uint32_t index, struct og_error *err)
{
	struct image *img = image_find(j->sd, k);
	struct og_wire_range range = { .index = index, .len = img ? img->item.bytes : 0 };
	struct og_wire_input in = { .job = j->id, .role = role, .key = *k, .ranges = &range, .nranges = 1 };
	struct og_buf buf = { 0 };
	int rc;

	if (!img || img->fd < 0)
		return og_error_set(err, OG_ERR_GONE, "an image of the node type was given up meanwhile");
	og_wire_put_input(&buf, &in);
	rc = og_chan_send(b->chan, OG_IPC_BUILD_INPUT, &buf, img->fd, err);
	og_buf_fini(&buf);
	return rc;
}

static int send_nodes(struct job *j, struct peer *b, const struct og_hash128 *key, bool src, uint32_t *nids, struct og_error *err)
{
	struct content *c;
	uint32_t parts;
	int rc;

	*nids = 0;
	for (c = j->sd->contents; c && !og_hash128_eq(&c->key, key); c = c->next)
		;
	if (!c || !c->rows || (key->hi == 0 && key->lo == 0))
		return 0;
	parts = (uint32_t)((c->rows + (1u << PART_SHIFT) - 1) >> PART_SHIFT);
	for (uint32_t i = 0; i < parts; i++) {
		struct og_wire_image k = { .type_id = c->type_id, .what = IMG_IDS, .part = i, .content = c->key };

		if ((rc = send_image(j, b, src ? OG_IN_SRC_IDS : OG_IN_DST_IDS, &k, i, err)) < 0)
			return rc;
	}
	*nids = parts;
	return send_image(j, b, src ? OG_IN_SRC_IDX : OG_IN_DST_IDX,
			  &(struct og_wire_image){ .type_id = c->type_id, .what = IMG_IDX, .content = c->key }, 0, err);
}

/* ---- sending ---- */

static int send_input(struct job *j, struct peer *b, const struct og_wire_range *ranges, uint32_t n, int fd, struct og_error *err)
{
	struct og_wire_input in = { .job = j->id, .role = OG_IN_LAYERS, .ranges = (struct og_wire_range *)ranges, .nranges = n };
	struct og_buf buf = { 0 };
	int rc;

	og_wire_put_input(&buf, &in);
	rc = og_chan_send(b->chan, OG_IPC_BUILD_INPUT, &buf, fd, err);
	og_buf_fini(&buf);
	return rc;
}

/* In-log layers travel together in one memfd, at most 2,000 a message. */
static int send_bodies(struct job *j, struct peer *b, struct og_error *err)
{
	struct og_wire_range ranges[2000];
	struct og_buf all = { 0 };
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i <= j->nlayers; i++) {
		if (n > 0 && (i == j->nlayers || n == OG_COUNT(ranges))) {
			int fd = -1;

			rc = og_buf_ok(&all, err);
			if (rc == 0)
				rc = og_memfd_from("layers", og_buf_view(&all), &fd, err);
			if (rc == 0)
				rc = send_input(j, b, ranges, n, fd, err);
			og_fd_close(&fd);
			og_buf_clear(&all);
			n = 0;
		}
		if (rc < 0 || i == j->nlayers || !j->layers[i].layer->in_log)
			continue;
		ranges[n++] = (struct og_wire_range){ .index = i, .off = all.len, .len = j->layers[i].body.len };
		og_buf_slice(&all, og_buf_view(&j->layers[i].body));
	}
	og_buf_fini(&all);
	return rc;
}

static int send_layers(struct job *j, struct peer *b, struct og_error *err)
{
	for (uint32_t i = 0; i < j->nlayers; i++) {
		const struct og_layer *l = j->layers[i].layer;
		struct og_wire_range r = { .index = i, .len = j->layers[i].size, .check = !j->layers[i].verified, .segment = l->seg.id };
		int rc;

		if (l->in_log)
			continue;
		memcpy(r.sha256, l->seg.sha256.b, sizeof(r.sha256));
		rc = send_input(j, b, &r, 1, j->layers[i].fd, err);
		if (rc < 0)
			return rc;
	}
	return send_bodies(j, b, err);
}

static int on_built(void *arg, struct og_ipc_msg *m, struct og_error *err);

static int send_job(struct job *j, struct peer *b, struct og_error *err)
{
	const struct og_schema_state *s = j->schema;
	struct og_wire_build w = { .job = j->id, .kind = (uint8_t)j->kind, .schema = s->text, .type_id = j->type_id, .nlayers = j->nlayers,
				   .rows = j->rows, .content = j->content, .src = j->src, .dst = j->dst, .wants = j->wants, .nwants = j->nwants };
	struct og_buf buf = { 0 };
	int rc;

	w.types = calloc(s->ntypes ? s->ntypes : 1, sizeof(*w.types));
	if (!w.types)
		return og_error_nomem(err);
	w.ntypes = (uint32_t)s->ntypes;
	for (size_t i = 0; i < s->ntypes; i++) {
		w.types[i].type_id = s->types[i].id;
		w.types[i].kind = s->types[i].kind == 'e';
		w.types[i].name = s->types[i].name;
	}
	rc = send_layers(j, b, err);
	if (rc == 0 && j->kind == OG_JOB_IMAGES)
		rc = send_nodes(j, b, &j->src, true, &w.nsrc_ids, err);
	if (rc == 0 && j->kind == OG_JOB_IMAGES)
		rc = send_nodes(j, b, &j->dst, false, &w.ndst_ids, err);
	if (rc == 0) {
		og_wire_put_build(&buf, &w);
		rc = og_chan_request(b->chan, OG_IPC_BUILD, &buf, -1, 0, on_built, j, NULL, err);
	}
	free(w.types);
	og_buf_fini(&buf);
	return rc;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	jobs_run(arg);
}

/* The builder's queue is full: what was sent is sent again, inputs that come twice replace each other. */
static void retry_later(struct storaged *sd)
{
	static const struct timeval soon = { 0, RETRY_MS * 1000 };

	if (!sd->jobs_retry)
		sd->jobs_retry = evtimer_new(sd->child.base, on_retry, sd);
	if (sd->jobs_retry)
		evtimer_add(sd->jobs_retry, &soon);
}

static void job_send(struct job *j, struct peer *b)
{
	struct storaged *sd = j->sd;
	struct og_error err = { 0 };

	if (send_job(j, b, &err) == 0) {
		j->sent = true;
		j->sent_to = b->id;
		j->sent_as = ++sd->next_send;
		sd->jobs_sent++;
		return;
	}
	/* A channel that is gone comes back; an image that is gone is built again; anything else will not get better. */
	if (err.code == OG_ERR_UNAVAILABLE || err.code == OG_ERR_GONE) {
		retry_later(sd);
		return;
	}
	j->err = err;
	job_end(j);
}

static uint64_t input_bytes(const struct job *j)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < j->nlayers; i++)
		n += j->layers[i].layer->in_log ? 0 : j->layers[i].layer->seg.bytes;
	return n;
}

/* Whether there is room for its inputs. Jobs that wait for others take half of it, and never keep these from being gathered. */
static bool may_gather(const struct job *j)
{
	unsigned n = 0, ready = 0;
	uint64_t bytes = j->sd->store->local ? 0 : input_bytes(j);

	for (const struct job *k = j->sd->jobs; k; k = k->next) {
		if (k->sent || (!k->fetched && !k->fetching))
			continue;
		n++;
		ready += !k->waiting;
		bytes += j->sd->store->local ? 0 : input_bytes(k);
	}
	if (j->waiting)
		return n < JOBS_READY_MAX / 2 && bytes <= JOBS_READY_BYTES / 2;
	return ready == 0 || (n < JOBS_READY_MAX && bytes <= JOBS_READY_BYTES);
}

/* What waits for images of other types is fetched meanwhile, behind what these need. */
static void job_prefetch(struct job *j)
{
	if (j->waiting && !j->fetched && j->fetching == 0 && may_gather(j))
		fetch_layers(j);	/* may end it */
}

/* One step of one job: ends of an edge type, its own inputs, then off to the builder. */
static void job_step(struct job *j)
{
	struct storaged *sd = j->sd;
	struct peer *b = peer_builder(sd);
	struct og_error err = { 0 };
	int nodes = 1, dst;

	if (j->kind == OG_JOB_IMAGES) {
		nodes = need_nodes(j, &j->src, &err);
		dst = nodes < 0 ? nodes : need_nodes(j, &j->dst, &err);
		nodes = dst < 0 ? dst : nodes && dst;
	}
	if (nodes < 0) {
		if (j->fetching)
			return;		/* ends when its inputs have come */
		j->err = err;
		job_end(j);
		return;
	}
	j->waiting = nodes == 0;
	if (j->waiting)
		return;
	if (!j->fetched && j->fetching == 0 && may_gather(j))
		fetch_layers(j);	/* may end it */
	else if (j->fetched && b && sd->jobs_sent < JOBS_SENT_MAX)
		job_send(j, b);
}

/*
 * Every job that can go on does. A step may end its own job and add others, never end others; whoever calls this meanwhile (a fold that ends starts the
 * next) has it run once more.
 */
void jobs_run(struct storaged *sd)
{
	struct job *j, *next;

	sd->jobs_again = true;
	if (sd->jobs_running)
		return;
	sd->jobs_running = true;
	while (sd->jobs_again) {
		sd->jobs_again = false;
		for (j = sd->jobs; j; j = next) {
			next = j->next;
			if (!j->sent)
				job_step(j);
		}
		for (j = sd->jobs; j && !sd->jobs_again; j = next) {
			next = j->next;
			if (!j->sent)
				job_prefetch(j);
		}
	}
	sd->jobs_running = false;
}

/* ---- answers ---- */

/*
 * A full fold is rows alone. Above others it is plain if it adds as many rows as the stack has more than those: an update would add none, and a
 * delete take one away.
 */
static bool fold_is_plain(const struct job *j)
{
	uint64_t below = 0;

	for (uint32_t i = 0; i < j->nkeep; i++) {
		if (!j->keep[i].plain || __builtin_add_overflow(below, j->keep[i].rows, &below))
			return false;
	}
	return j->nkeep == 0 || (j->stack_rows >= below && j->stack_rows - below == j->seg.rows);
}

static void fold_stored(void *arg, struct og_store_result *res)
{
	struct job *j = arg;
	struct storaged *sd = j->sd;
	struct og_seg *segs;
	size_t n = 0;

	if (res->code < 0) {
		j->err = *res->err;
		job_end(j);
		jobs_run(sd);
		return;
	}
	segs = calloc(j->nkeep + 1, sizeof(*segs));
	if (!segs) {
		og_error_nomem(&j->err);
		job_end(j);
		jobs_run(sd);
		return;
	}
	for (uint32_t i = 0; i < j->nkeep; i++)
		segs[n++] = j->keep[i];
	j->seg.plain = fold_is_plain(j);
	segs[n++] = j->seg;
	segment_keep(sd, &j->seg, j->out_fd);
	job_unlink(j);
	if (j->about.len)
		delta_learn(sd, j->type_id, j->schema, &j->seg.id, og_buf_view(&j->about));
	j->fold_done(j->token, false, segs, n);
	free(segs);
	job_free(j);
	jobs_run(sd);
}

/* The folded rows become a segment of the store. */
static int store_fold(struct job *j, struct og_error *err)
{
	struct storaged *sd = j->sd;
	char key[OG_STORE_KEY_MAX + 1];
	struct og_slice map;
	struct og_sha256 sha;
	int rc;

	if ((rc = og_journal_ulid(sd->journal, &j->seg.id, err)) < 0 ||
	    (rc = og_journal_segment_key(sd->journal, j->type_id, &j->seg.id, key, err)) < 0 ||
	    (rc = og_map_file(j->out_fd, j->seg.bytes, &map, err)) < 0)
		return rc;
	sha = og_sha256(map);
	og_unmap(&map);
	j->seg.sha256 = sha;
	og_store_put_fd(sd->store, key, j->out_fd, j->seg.bytes, fold_stored, j);
	return 0;
}

/* The layers above the kept ones change rows of these: another job takes this one's place. */
static void fold_wholly(struct job *j)
{
	struct og_layer *top = j->layers[j->nlayers - 1].layer;
	struct job *all = job_new(j->sd, OG_JOB_FOLD, j->type_id, &j->err);

	if (!all || take_layers(all, top, 0, &j->err) < 0) {
		if (all)
			job_free(all);
		job_end(j);
		return;
	}
	all->schema = j->schema;
	all->stack_rows = j->stack_rows;
	all->fold_done = j->fold_done;
	all->token = j->token;
	j->fold_done = NULL;
	job_end(j);
}

static int take_about(struct job *j, int fd, uint64_t size, struct og_error *err)
{
	struct og_slice map;
	int rc;

	if (j->kind == OG_JOB_IMAGES || size == 0 || size > OG_WIRE_ABOUT_MAX)
		return og_error_set(err, OG_ERR_PEER, "a description of %llu bytes", (unsigned long long)size);
	rc = og_map_file(fd, size, &map, err);
	if (rc < 0)
		return rc;
	og_buf_clear(&j->about);
	og_buf_slice(&j->about, map);
	og_unmap(&map);
	return og_buf_ok(&j->about, err);
}

static int take_output(struct job *j, struct og_ipc_msg *m, const struct og_wire_built *w, struct og_error *err)
{
	uint64_t size;

	if (m->fd < 0)
		return og_error_set(err, OG_ERR_PEER, "an output of the builder came without its descriptor");
	if (og_memfd_check(m->fd, &size, err) < 0)
		return og_error_prefix(err, "the builder's output: ");
	if (size != w->bytes)
		return og_error_set(err, OG_ERR_PEER, "the builder's output has %llu bytes instead of %llu", (unsigned long long)size,
				    (unsigned long long)w->bytes);
	if (w->about)
		return take_about(j, m->fd, size, err);
	if (j->kind == OG_JOB_DESCRIBE)
		return og_error_set(err, OG_ERR_PEER, "the builder's output is no description");
	if (j->kind != OG_JOB_IMAGES) {
		og_fd_close(&j->out_fd);
		j->out_fd = og_ipc_take_fd(m);
		j->seg.bytes = size;
		return 0;
	}
	/* It can only answer for what it was asked: type and contents are those of the job. */
	if (w->key.type_id != j->type_id || !og_hash128_eq(&w->key.content, &j->content) || !og_hash128_eq(&w->key.src, &j->src) ||
	    !og_hash128_eq(&w->key.dst, &j->dst)) {
		/* Images of nodes carry no contents of ends. */
		return og_error_set(err, OG_ERR_PEER, "the builder's output is of another type or state than its job");
	}
	/* What has come is not wanted again: it may be given up and asked for anew, by another job, before this one ends. */
	for (uint32_t i = 0; i < j->nwants; i++)
		if (same_image(&j->wants[i], &w->key)) {
			j->wants[i] = j->wants[--j->nwants];
			break;
		}
	image_built(j->sd, &w->key, og_ipc_take_fd(m), size, &w->hash);
	index_soon(j->sd);
	return 0;
}

/* The builder has one thread: of the jobs that it had, the one sent first was in its hands when it died. */
static bool to_blame(const struct job *j)
{
	if (j->sd->blamed_builder == j->sent_to)
		return false;
	for (const struct job *k = j->sd->jobs; k; k = k->next)
		if (k->sent_to == j->sent_to && k->sent_as < j->sent_as)
			return false;
	return true;
}

static void job_lost(struct job *j, const struct og_error *err)
{
	j->sent = false;
	if (!to_blame(j))
		return;
	j->sd->blamed_builder = j->sent_to;
	if (++j->deaths >= BUILDER_DEATHS_MAX) {
		og_error_set(&j->err, OG_ERR_CORRUPT, "building type %u failed %u times: its rows are damaged (%s)", j->type_id, j->deaths,
			     err->message);
		job_end(j);
	}
}

/* One of its wants names what does not exist, as only a worker gone wrong asks for: each is tried by itself, so that the others' askers are served. */
static void job_split(struct job *j)
{
	struct og_layer *top = j->nlayers ? j->layers[j->nlayers - 1].layer : NULL;
	struct og_error err = { 0 };

	while (j->nwants > 1) {
		struct job *one = job_new(j->sd, OG_JOB_IMAGES, j->type_id, &err);

		if (!one)
			return;		/* the rest fails with this one */
		one->alone = true;
		one->content = j->content;
		one->src = j->src;
		one->dst = j->dst;
		one->rows = j->rows;
		one->schema = j->schema;
		if (take_layers(one, top, 0, &err) < 0 || add_want(one, &j->wants[j->nwants - 1], &err) < 0) {
			job_free(one);
			return;
		}
		j->nwants--;
	}
	j->alone = true;
	j->sent = false;
}

/* The builder's last word on a job. */
static void on_built_end(struct job *j, const struct og_wire_built *w)
{
	if (w->code == OG_ERR_BAD && j->kind == OG_JOB_IMAGES && j->nwants > 1) {
		job_split(j);
		if (j->nwants == 1)
			return;
	}
	if (w->code < 0)
		og_error_set(&j->err, w->code, "%.*s", OG_FMT(w->message));
	/* It compares before it builds. */
	for (uint32_t i = 0; w->code == 0 && i < j->nlayers; i++)
		j->layers[i].layer->checked = true;
	if (w->code == 0 && j->kind == OG_JOB_DESCRIBE && !j->about.len)
		og_error_set(&j->err, OG_ERR_INTERNAL, "the builder described nothing");
	if (w->code < 0 || j->kind == OG_JOB_IMAGES || j->kind == OG_JOB_DESCRIBE) {
		job_end(j);
		return;
	}
	j->seg.rows = w->rows;
	if (j->must_be_plain && !fold_is_plain(j)) {
		fold_wholly(j);
		return;
	}
	if (j->out_fd < 0)
		og_error_set(&j->err, OG_ERR_INTERNAL, "the builder folded nothing");
	if (j->err.code < 0 || store_fold(j, &j->err) < 0)
		job_end(j);
}

static int on_built(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct job *j = arg;
	struct storaged *sd = j->sd;
	struct og_wire_built w;
	int rc = 0;

	if (m && m->type != OG_IPC_BUILT)
		rc = og_error_set(err, OG_ERR_PEER, "BUILD answered by %s", og_ipc_name(m->type));
	else if (m)
		rc = og_wire_get_built(m->body, &w, err);
	/* Below 0 closes the channel: a job that is not at its end yet is told so by that. */
	if (m && (m->flags & OG_IPC_F_MORE))
		return rc < 0 ? rc : take_output(j, m, &w, err);
	sd->jobs_sent--;
	if (!m && err->code != OG_ERR_UNAVAILABLE) {
		j->err = *err;
		job_end(j);
	} else if (!m || rc < 0) {
		job_lost(j, err);
	} else {
		on_built_end(j, &w);
	}
	jobs_run(sd);
	return rc;
}

/* ---- folding ---- */

/* The stack's lowest layers, which stay; base up. */
static int keep_layers(struct job *j, const struct og_layer *top, uint32_t n, struct og_error *err)
{
	j->keep = calloc(n ? n : 1, sizeof(*j->keep));
	if (!j->keep)
		return og_error_nomem(err);
	j->nkeep = n;
	for (; top; top = top->below)
		if (top->depth <= n)
			j->keep[top->depth - 1] = top->seg;
	return 0;
}

/*
 * What a checkpoint's stack becomes: og_layer_keep of its layers stay, the rest is folded into one. A small one is folded wholly, so that it is
 * plain: it can be read as it lies, and delta.c shows it.
 */
void job_fold(void *arg, struct og_journal *jr, const struct og_fold_job *f, og_fold_done done, void *token)
{
	struct storaged *sd = arg;
	struct og_layer *top = (struct og_layer *)f->top;
	uint32_t keep = og_layer_keep(top, f->full);
	struct og_error err = { 0 };
	struct job *j;

	(void)jr;
	if (keep > 0 && !og_layer_plain(top) && delta_rewrite(sd, top))
		keep = 0;
	j = peer_builder(sd) ? job_new(sd, keep ? OG_JOB_FOLD_DELETES : OG_JOB_FOLD, f->type, &err) : NULL;
	if (!j) {
		done(token, true, NULL, 0);
		return;
	}
	j->schema = f->schema;
	j->stack_rows = f->rows;
	j->must_be_plain = f->full;
	if (take_layers(j, top, keep, &err) < 0 || keep_layers(j, top, keep, &err) < 0) {
		job_free(j);
		done(token, true, NULL, 0);
		return;
	}
	j->fold_done = done;
	j->token = token;
	jobs_run(sd);
}

void job_describe(struct storaged *sd, uint32_t type, const struct og_schema_state *schema, struct og_layer *const *segs, uint32_t n,
		  job_described *done, void *arg)
{
	struct og_error err = { 0 };
	struct job *j = job_new(sd, OG_JOB_DESCRIBE, type, &err);

	if (j)
		j->layers = calloc(n ? n : 1, sizeof(*j->layers));
	if (!j || !j->layers) {
		if (j)
			job_free(j);
		og_error_nomem(&err);
		done(arg, og_slice(NULL, 0), &err);
		return;
	}
	j->nlayers = n;
	for (uint32_t i = 0; i < n; i++)
		j->layers[i] = (struct job_layer){ .layer = og_layer_ref(segs[i]), .fd = -1 };
	j->schema = schema;
	j->described = done;
	j->token = arg;
	jobs_run(sd);
}
