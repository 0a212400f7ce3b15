/* The builder: jobs of og-storaged, one at a time. */
#include "config.h"

#include "builder.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sha256.h"
#include "image/build.h"
#include "image/describe.h"
#include "ipc/wire.h"

#define LAYERS_MAX 262144u	/* of one job */
#define PARTS_MAX 4096u

struct input_map {
	struct og_slice map;
	struct input_map *next;
};

/* Inputs gathered for a job whose BUILD has not come yet. */
struct gathered {
	uint32_t job;
	struct input_map *maps;
	struct og_layer *layers;	/* by number; bytes.p NULL: not come */
	size_t nlayers;
	struct og_img **ids[2];		/* source, target; parts */
	size_t nids[2];
	struct og_img *idx[2];
	struct og_error damage;		/* a segment that is not what was written */
	struct gathered *next;
};

struct builder {
	struct og_child *child;
	struct og_chan *chan;
	struct gathered *gathered;
	/* the job that runs */
	uint32_t request, job;
	uint64_t rows;
};

static void gathered_free(struct gathered *g)
{
	while (g->maps) {
		struct input_map *m = g->maps;

		g->maps = m->next;
		og_unmap(&m->map);
		free(m);
	}
	for (int k = 0; k < 2; k++) {
		for (size_t i = 0; i < g->nids[k]; i++)
			og_img_unref(g->ids[k][i]);
		free(g->ids[k]);
		og_img_unref(g->idx[k]);
	}
	free(g->layers);
	free(g);
}

static struct gathered *gathered_get(struct builder *b, uint32_t job, struct og_error *err)
{
	struct gathered *g;

	for (g = b->gathered; g; g = g->next)
		if (g->job == job)
			return g;
	g = calloc(1, sizeof(*g));
	if (!g) {
		og_error_nomem(err);
		return NULL;
	}
	g->job = job;
	g->next = b->gathered;
	b->gathered = g;
	return g;
}

static struct gathered *gathered_take(struct builder *b, uint32_t job)
{
	struct gathered **p, *g;

	for (p = &b->gathered; *p; p = &(*p)->next)
		if ((*p)->job == job) {
			g = *p;
			*p = g->next;
			return g;
		}
	return NULL;
}

/* ---- inputs ---- */

static void check_segment(struct gathered *g, const struct og_wire_range *r, struct og_slice bytes)
{
	struct og_sha256 have = og_sha256(bytes);

	if (g->damage.code == 0 && memcmp(have.b, r->sha256, sizeof(have.b)) != 0)
		og_error_set(&g->damage, OG_ERR_CORRUPT, "segment %s: digest mismatch", og_ulid_format(&r->segment).s);
}

static int take_layers(struct gathered *g, const struct og_wire_input *in, int fd, struct og_error *err)
{
	struct input_map *m = calloc(1, sizeof(*m));
	uint64_t end = 0;

	if (!m)
		return og_error_nomem(err);
	for (uint32_t i = 0; i < in->nranges; i++) {
		if (in->ranges[i].index >= LAYERS_MAX || in->ranges[i].len > (uint64_t)1 << 40 || in->ranges[i].off > (uint64_t)1 << 40) {
			free(m);
			return og_error_set(err, OG_ERR_PEER, "layer %u is out of range", in->ranges[i].index);
		}
		end = OG_MAX(end, in->ranges[i].off + in->ranges[i].len);
	}
	if (og_map_file(fd, end, &m->map, err) < 0) {
		free(m);
		return err->code;
	}
	m->next = g->maps;
	g->maps = m;
	for (uint32_t i = 0; i < in->nranges; i++) {
		uint32_t index = in->ranges[i].index;

		if (index >= g->nlayers) {
			struct og_layer *p = realloc(g->layers, (index + 1) * sizeof(*p));

			if (!p)
				return og_error_nomem(err);
			memset(p + g->nlayers, 0, (index + 1 - g->nlayers) * sizeof(*p));
			g->layers = p;
			g->nlayers = index + 1;
		}
		g->layers[index].bytes = og_slice(m->map.p + in->ranges[i].off, in->ranges[i].len);
		if (in->ranges[i].check)
			check_segment(g, &in->ranges[i], g->layers[index].bytes);
	}
	return 0;
}

static struct og_img_key img_key(const struct og_wire_image *k)
{
	return (struct og_img_key){ .type_id = k->type_id, .what = k->what, .prop_id = k->prop_id, .part = k->part,
				    .content = { k->content.hi, k->content.lo }, .src = { k->src.hi, k->src.lo }, .dst = { k->dst.hi, k->dst.lo } };
}

static int take_image(struct gathered *g, const struct og_wire_input *in, int fd, struct og_error *err)
{
	struct og_img_key key = img_key(&in->key);
	int k = in->role == OG_IN_DST_IDS || in->role == OG_IN_DST_IDX;
	uint32_t part = in->key.part;
	struct og_img *img;

	if (part >= PARTS_MAX)
		return og_error_set(err, OG_ERR_PEER, "part %u is out of range", part);
	if (og_img_open(fd, &key, &img, err) < 0)
		return err->code;
	if (in->role == OG_IN_SRC_IDX || in->role == OG_IN_DST_IDX) {
		og_img_unref(g->idx[k]);
		g->idx[k] = img;
		return 0;
	}
	if (part >= g->nids[k]) {
		struct og_img **p = realloc(g->ids[k], (part + 1) * sizeof(*p));

		if (!p) {
			og_img_unref(img);
			return og_error_nomem(err);
		}
		memset(p + g->nids[k], 0, (part + 1 - g->nids[k]) * sizeof(*p));
		g->ids[k] = p;
		g->nids[k] = part + 1;
	}
	og_img_unref(g->ids[k][part]);
	g->ids[k][part] = img;
	return 0;
}

static int on_input(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct builder *b = arg;
	struct og_wire_input in;
	struct gathered *g;
	struct og_arena a;
	int rc;

	og_arena_init(&a, 0);
	rc = og_wire_get_input(m->body, &a, &in, err);
	g = rc == 0 ? gathered_get(b, in.job, err) : NULL;
	if (g)
		rc = in.role == OG_IN_LAYERS ? take_layers(g, &in, m->fd, err) : take_image(g, &in, m->fd, err);
	og_arena_fini(&a);
	return g ? rc : err->code;
}

/* ---- jobs ---- */

static void put_key(struct og_wire_image *w, const struct og_img_key *k)
{
	*w = (struct og_wire_image){ k->type_id, (uint8_t)k->what, k->prop_id, k->part, { k->content.hi, k->content.lo },
				     { k->src.hi, k->src.lo }, { k->dst.hi, k->dst.lo } };
}

static int answer(struct builder *b, const struct og_wire_built *w, int fd, bool more, struct og_error *err)
{
	struct og_buf buf = { 0 };
	int rc;

	og_wire_put_built(&buf, w);
	rc = more ? og_chan_answer_more(b->chan, b->request, OG_IPC_BUILT, &buf, fd, err) :
		    og_chan_answer(b->chan, b->request, OG_IPC_BUILT, &buf, fd, err);
	og_buf_fini(&buf);
	return rc;
}

static int emit(void *arg, const struct og_build_out *out, struct og_error *err)
{
	struct builder *b = arg;
	struct og_wire_built w = { .job = b->job, .more = true, .bytes = out->bytes,
				   .hash = { out->hash.hi, out->hash.lo } };
	int fd = out->fd, rc;

	put_key(&w.key, &out->key);
	rc = answer(b, &w, fd, true, err);
	og_fd_close(&fd);
	return rc;
}

static int job_images(struct builder *b, const struct og_build_in *in, const struct og_wire_build *w, struct og_error *err)
{
	struct og_build_want *wants = calloc(w->nwants ? w->nwants : 1, sizeof(*wants));
	size_t n = 0;
	int rc;

	if (!wants)
		return og_error_nomem(err);
	for (uint32_t i = 0; i < w->nwants; i++) {
		struct og_build_want want = { (enum og_img_what)w->wants[i].what, w->wants[i].prop_id };
		bool twice = false;

		for (size_t k = 0; k < n; k++)
			twice |= wants[k].what == want.what && wants[k].prop_id == want.prop_id;
		if (!twice)	/* all parts of a column come at once */
			wants[n++] = want;
	}
	rc = og_build(in, wants, n, emit, b, err);
	free(wants);
	return rc;
}

struct fold_out {
	int fd;
	uint64_t bytes;
};

static int fold_sink(void *arg, const void *p, size_t n, struct og_error *err)
{
	struct fold_out *f = arg;

	f->bytes += n;
	return og_fd_write_all(f->fd, og_slice(p, n), err);
}

static int answer_about(struct builder *b, const struct og_described *d, struct og_error *err)
{
	struct og_wire_about_file *files = calloc(d->nfiles ? d->nfiles : 1, sizeof(*files));
	struct og_wire_about w = { .schema = og_buf_view(&d->schema), .why = og_slice_str(d->why.message), .files = files,
				   .nfiles = (uint32_t)d->nfiles };
	struct og_buf text = { 0 };
	int fd = -1, rc;

	if (!files)
		return og_error_nomem(err);
	for (size_t i = 0; i < d->nfiles; i++)
		files[i] = (struct og_wire_about_file){ d->files[i].fits, og_buf_view(&d->files[i].bounds) };
	og_wire_put_about(&text, &w);
	free(files);
	if ((rc = og_buf_ok(&text, err)) == 0 && (rc = og_memfd_from("about", og_buf_view(&text), &fd, err)) == 0)
		rc = answer(b, &(struct og_wire_built){ .job = b->job, .more = true, .about = true, .bytes = text.len }, fd, true, err);
	og_fd_close(&fd);
	og_buf_fini(&text);
	return rc;
}

static int job_describe(struct builder *b, const struct og_build_in *in, struct og_error *err)
{
	struct og_slice *files = calloc(in->nlayers ? in->nlayers : 1, sizeof(*files));
	struct og_described d = { 0 };
	int rc;

	if (!files)
		return og_error_nomem(err);
	for (size_t i = 0; i < in->nlayers; i++)
		files[i] = in->layers[i].bytes;
	rc = og_describe(in->type, files, in->nlayers, &d, err);
	if (rc == 0)
		rc = answer_about(b, &d, err);
	og_described_fini(&d);
	free(files);
	return rc;
}

/* Of what was just written, out of its own bytes. */
static int describe_fold(struct builder *b, const struct og_build_in *in, const struct fold_out *f, struct og_error *err)
{
	struct og_described d = { 0 };
	struct og_slice map = { 0 };
	struct og_error why = { 0 };
	int rc = 0;

	/* The fold is good without. */
	if (og_map_file(f->fd, f->bytes, &map, &why) < 0 || og_describe(in->type, &map, 1, &d, &why) < 0)
		og_log(OG_LOG_WARN, "fold.undescribed", "type=%u why=\"%s\"", in->type->id, why.message);
	else
		rc = answer_about(b, &d, err);
	og_described_fini(&d);
	og_unmap(&map);
	return rc;
}

static int job_fold(struct builder *b, const struct og_build_in *in, bool keep_deletes, struct og_error *err)
{
	struct fold_out f = { .fd = -1 };
	int rc;

	if ((rc = og_memfd_new("fold", &f.fd, err)) < 0)
		return rc;
	rc = og_fold(in, keep_deletes, fold_sink, &f, &b->rows, err);
	if (rc == 0)
		rc = og_memfd_seal(f.fd, err);
	if (rc == 0)
		rc = answer(b, &(struct og_wire_built){ .job = b->job, .more = true, .bytes = f.bytes }, f.fd, true, err);
	if (rc == 0)
		rc = describe_fold(b, in, &f, err);
	og_fd_close(&f.fd);
	return rc;
}

static int run_job(struct builder *b, const struct og_wire_build *w, struct og_build_in *in, struct og_error *err)
{
	uint32_t rows;
	int rc;

	switch ((enum og_wire_job)w->kind) {
	case OG_JOB_IMAGES:
		return job_images(b, in, w, err);
	case OG_JOB_FOLD:
		return job_fold(b, in, false, err);
	case OG_JOB_FOLD_DELETES:
		return job_fold(b, in, true, err);
	case OG_JOB_COUNT:
		rc = og_build_rows(in, &rows, err);
		b->rows = rows;
		return rc;
	case OG_JOB_DESCRIBE:
		return job_describe(b, in, err);
	}
	return 0;
}

/* Everything announced has come, and nothing is left out. */
static int check_inputs(const struct gathered *g, const struct og_wire_build *w, struct og_error *err)
{
	bool whole = (g ? g->nlayers : 0) == w->nlayers && (g ? g->nids[0] : 0) == w->nsrc_ids && (g ? g->nids[1] : 0) == w->ndst_ids;

	for (uint32_t i = 0; whole && i < w->nlayers; i++)
		whole = g->layers[i].bytes.p != NULL;
	for (int k = 0; whole && g && k < 2; k++)
		for (size_t i = 0; whole && i < g->nids[k]; i++)
			whole = g->ids[k][i] != NULL;
	return whole ? 0 : og_error_set(err, OG_ERR_PEER, "inputs of job %u are missing", w->job);
}

static int prepare(const struct og_wire_build *w, struct og_arena *a, struct og_catalog **cat, struct og_error *err)
{
	struct og_type_id *ids = og_arena_array(a, w->ntypes ? w->ntypes : 1, sizeof(*ids));

	if (!ids)
		return og_arena_error(a, err);
	for (uint32_t i = 0; i < w->ntypes; i++)
		ids[i] = (struct og_type_id){ w->types[i].type_id, w->types[i].kind, w->types[i].name };
	return og_catalog_compile(w->schema, ids, w->ntypes, cat, err);
}

static int on_build(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct builder *b = arg;
	struct og_wire_built end = { 0 };
	struct og_catalog *cat = NULL;
	struct og_build_in in = { 0 };
	struct og_error why = { 0 };
	struct og_wire_build w;
	struct gathered *g;
	struct og_arena a;
	int rc;

	og_arena_init(&a, 0);
	rc = og_wire_get_build(m->body, &a, &w, err);
	if (rc < 0) {
		og_arena_fini(&a);
		return rc;
	}
	g = gathered_take(b, w.job);
	b->request = m->request;
	b->job = w.job;
	b->rows = 0;
	rc = check_inputs(g, &w, &why);
	if (rc == 0 && g && g->damage.code < 0) {
		why = g->damage;
		rc = why.code;
	}
	if (rc == 0)
		rc = prepare(&w, &a, &cat, &why);
	if (rc == 0) {
		in = (struct og_build_in){ .catalog = cat, .type = og_catalog_by_id(cat, w.type_id), .layers = g ? g->layers : NULL,
					   .nlayers = w.nlayers, .rows = w.rows, .content = { w.content.hi, w.content.lo }, .src_content = { w.src.hi, w.src.lo },
					   .dst_content = { w.dst.hi, w.dst.lo } };
		if (g) {
			in.src_ids = g->ids[0];
			in.nsrc_ids = g->nids[0];
			in.dst_ids = g->ids[1];
			in.ndst_ids = g->nids[1];
			in.src_idx = g->idx[0];
			in.dst_idx = g->idx[1];
		}
		rc = in.type ? run_job(b, &w, &in, &why) : og_error_set(&why, OG_ERR_CORRUPT, "type %u is not in the schema", w.type_id);
	}
	end.job = w.job;
	end.rows = b->rows;
	end.code = rc;
	end.message = og_slice_str(rc < 0 ? why.message : "");
	rc = answer(b, &end, -1, false, err);
	if (g)
		gathered_free(g);
	og_catalog_unref(cat);
	og_arena_fini(&a);
	return rc;
}

static const struct og_ipc_rule storaged_rules[] = {
	{ OG_IPC_BUILD_INPUT, OG_IPC_RUNNING, on_input },
	{ OG_IPC_BUILD, OG_IPC_RUNNING, on_build },
};

static void forget(struct builder *b)
{
	while (b->gathered) {
		struct gathered *g = b->gathered;

		b->gathered = g->next;
		gathered_free(g);
	}
}

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	struct builder *b = arg;

	forget(b);
	og_chan_free(c);
	b->chan = NULL;
	/* og-storaged has ended, and its successor brings a channel; after a fault in what was said nobody would: og-master starts another builder. */
	if (why->code == 0)
		return;
	og_log(OG_LOG_WARN, "storaged.lost", "why=\"%s\"", why->message);
	event_base_loopbreak(b->child->base);
}

static int on_welcome(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	(void)arg;
	if (m && m->type != OG_IPC_WELCOME)
		return og_error_set(err, OG_ERR_PEER, "HELLO answered by %s", og_ipc_name(m->type));
	return 0;
}

int builder_connect(struct builder *b, struct og_child_peer *peer, struct og_error *err)
{
	static const struct og_chan_cfg base = { .self = OG_ROLE_BUILDER, .peer = OG_ROLE_STORAGED, .rules = storaged_rules,
						 .nrules = OG_COUNT(storaged_rules), .closed = on_closed };
	struct og_chan_cfg cfg = base;
	struct og_buf buf = { 0 };
	int fd = peer->fd, rc;

	cfg.arg = b;
	peer->fd = -1;
	og_chan_free(b->chan);
	forget(b);
	b->chan = og_chan_new(b->child->base, fd, &cfg, err);
	if (!b->chan)
		return err->code;
	og_chan_set_state(b->chan, OG_IPC_RUNNING);
	og_put_str(&buf, OG_BUILD_ID);
	og_put_u32(&buf, OG_IPC_TABLE_VERSION);
	rc = og_chan_request(b->chan, OG_IPC_HELLO, &buf, -1, 0, on_welcome, b, NULL, err);
	og_buf_fini(&buf);
	return rc;
}

struct builder *builder_new(struct og_child *child, struct og_error *err)
{
	struct builder *b = calloc(1, sizeof(*b));

	if (!b) {
		og_error_nomem(err);
		return NULL;
	}
	b->child = child;
	return b;
}

void builder_free(struct builder *b)
{
	if (!b)
		return;
	og_chan_free(b->chan);
	forget(b);
	free(b);
}
