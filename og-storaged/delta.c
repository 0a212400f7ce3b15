/*
 * The Delta Lake log of each type, beside its segments: a view of main for other programs. It is derived: whatever fails is told and left until the next
 * checkpoint, and nothing here waits for it. Any number of processes write it: a version is put if absent, and who loses reads on.
 *
 * A version shows a type as it is at one commit. It can show a stack that is plain, for the files' rows must be the table's; until a fold makes
 * it so again the log shows an older commit.
 *
 * One type at a time, one request at a time: run -> read the last version (once) -> view -> describe what is not known -> put.
 */
#include "config.h"

#include "storaged.h"

#include <stdlib.h>

#include "base/date.h"
#include "base/log.h"
#include "base/utf8.h"
#include "format/delta.h"

#define TRIES 5u
#define DESCRIBE_MAX 64u		/* files a job: each is a descriptor */
#define DESCS_MAX 4096u
/* A reader lists all versions: at most one a minute, and the more there are the fewer. */
#define INTERVAL_US UINT64_C(60000000)
#define INTERVAL_VERSIONS 1000u
/* Rewriting for the view's sake: small stacks alone, and a sixteenth of the builder's time by type, a quarter in all. */
#define REWRITE_BYTES (16u * OG_MIB)
#define REWRITE_BYTES_A_US 20u
#define REWRITE_BURST_US UINT64_C(5000000)

/* A state of main that is to be shown. */
struct wanted {
	bool set, now;
	struct og_layer *top;		/* reference held */
	const struct og_schema_state *schema;
	struct og_ulid commit;
	uint64_t version, table_version, seq;
};

struct table {
	uint32_t type;
	bool known;			/* the last version was read, or written here */
	bool foreign;			/* another program's: left alone */
	bool behind;			/* told already */
	bool has_shown;
	struct og_delta_shown shown;	/* files on the heap */
	uint64_t next;			/* version */
	uint64_t written_us, rewrite_us;
	struct wanted want;
	/* metaData of the schema with this digest */
	bool has_schema;
	struct og_sha256 schema_of;
	struct og_buf schema, why;
};

/* What the builder said of a segment, under the schema of that digest. */
struct desc {
	struct og_ulid seg;
	struct og_sha256 schema_of;
	bool fits;
	struct og_buf bounds;
	struct desc *next;
};

struct delta {
	struct storaged *sd;
	struct table *tables;
	size_t ntables;
	struct desc *descs;		/* newest first */
	size_t ndescs;
	uint64_t rewrite_us;
	struct event *timer;
	delta_done *done;
	struct og_buf told;		/* what went wrong for who waits for that, each with a NUL behind it */
	bool running;
	/* the type under way */
	struct table *at;		/* NULL: none */
	struct wanted cur;
	unsigned tries;
	uint64_t last;			/* version found by the listing, when `found` */
	bool found;
	struct og_buf after, bytes;
	struct og_slice part;
	struct og_layer *asked[DESCRIBE_MAX];
	uint32_t nasked;
	struct og_delta_shown next;	/* what the version being put shows; files on the heap */
};

static void run(struct delta *d);

static void wanted_drop(struct wanted *w)
{
	og_layer_unref(w->top);
	*w = (struct wanted){ 0 };
}

static void shown_drop(struct og_delta_shown *s)
{
	free((struct og_ulid *)(uintptr_t)s->files);
	*s = (struct og_delta_shown){ 0 };
}

static struct table *table_find(struct delta *d, uint32_t type)
{
	for (size_t i = 0; i < d->ntables; i++)
		if (d->tables[i].type == type)
			return &d->tables[i];
	return NULL;
}

/* Tables are added between runs alone: pointers to them stay good during one. */
static struct table *table_get(struct delta *d, uint32_t type)
{
	struct table *t = table_find(d, type);

	if (t || d->at)
		return t;
	t = reallocarray(d->tables, d->ntables + 1, sizeof(*t));
	if (!t)
		return NULL;
	d->tables = t;
	t = &d->tables[d->ntables++];
	*t = (struct table){ .type = type };
	return t;
}

/* ---- descriptions ---- */

static struct desc *desc_find(struct delta *d, const struct og_ulid *seg, const struct og_sha256 *schema_of)
{
	for (struct desc *e = d->descs; e; e = e->next)
		if (og_ulid_cmp(&e->seg, seg) == 0 && og_sha256_eq(&e->schema_of, schema_of))
			return e;
	return NULL;
}

static void desc_free(struct desc *e)
{
	og_buf_fini(&e->bounds);
	free(e);
}

static void descs_trim(struct delta *d)
{
	struct desc **p = &d->descs;

	for (size_t n = 0; *p && n < DESCS_MAX; n++)
		p = &(*p)->next;
	while (*p) {
		struct desc *e = *p;

		*p = e->next;
		desc_free(e);
		d->ndescs--;
	}
}

static void desc_add(struct delta *d, const struct og_ulid *seg, const struct og_sha256 *schema_of, const struct og_wire_about_file *f)
{
	struct desc *e = desc_find(d, seg, schema_of);
	struct og_error err = { 0 };

	if (e)
		return;
	e = calloc(1, sizeof(*e));
	if (!e)
		return;
	e->seg = *seg;
	e->schema_of = *schema_of;
	e->fits = f->fits;
	/* It becomes part of a text. */
	if (og_utf8_check(f->bounds) == f->bounds.len)
		og_buf_slice(&e->bounds, f->bounds);
	if (og_buf_ok(&e->bounds, &err) < 0)
		og_buf_fini(&e->bounds);
	e->next = d->descs;
	d->descs = e;
	d->ndescs++;
	descs_trim(d);
}

static void learn_schema(struct table *t, const struct og_sha256 *schema_of, const struct og_wire_about *w)
{
	struct og_error err = { 0 };

	if (og_utf8_check(w->schema) != w->schema.len)
		return;
	og_buf_clear(&t->schema);
	og_buf_clear(&t->why);
	og_buf_slice(&t->schema, w->schema);
	og_buf_slice(&t->why, w->why);
	t->schema_of = *schema_of;
	t->has_schema = og_buf_ok(&t->schema, &err) == 0 && og_buf_ok(&t->why, &err) == 0;
}

/* nsegs: the files that `about` is of. */
static int learn(struct delta *d, struct table *t, const struct og_schema_state *schema, const struct og_ulid *const *segs, uint32_t nsegs,
		 struct og_slice about, struct og_error *err)
{
	struct og_wire_about w;
	struct og_arena a;
	int rc;

	og_arena_init(&a, 0);
	rc = og_wire_get_about(about, &a, &w, err);
	if (rc == 0 && w.nfiles != nsegs)
		rc = og_error_set(err, OG_ERR_PEER, "%u files described where %u were asked for", w.nfiles, nsegs);
	for (uint32_t i = 0; rc == 0 && i < nsegs; i++)
		desc_add(d, segs[i], &schema->digest, &w.files[i]);
	if (rc == 0 && t)
		learn_schema(t, &schema->digest, &w);
	og_arena_fini(&a);
	return rc;
}

void delta_learn(struct storaged *sd, uint32_t type, const struct og_schema_state *schema, const struct og_ulid *seg, struct og_slice about)
{
	struct og_error err = { 0 };
	struct og_log_quoted q;

	if (learn(sd->delta, table_get(sd->delta, type), schema, &seg, 1, about, &err) < 0)
		og_log(OG_LOG_WARN, "delta.description", "type=%u why=%s", type, og_log_quote(&q, err.message));
}

/* ---- end of a type ---- */

static void finish(struct delta *d)
{
	wanted_drop(&d->cur);
	shown_drop(&d->next);
	og_buf_clear(&d->bytes);
	d->at = NULL;
	d->nasked = 0;
	if (!d->running)
		run(d);
}

/* Whoever asked for the state to be shown now is told why it is not. */
static void tell(struct delta *d, const char *why)
{
	if (!d->done || !d->cur.now)
		return;
	og_buf_printf(&d->told, "the Delta log of type %u is not up to date: %s", d->at->type, why);
	og_buf_byte(&d->told, 0);
}

static void fail(struct delta *d, const struct og_error *err)
{
	struct og_log_quoted q;

	tell(d, err->message);
	og_log(OG_LOG_WARN, "delta.failed", "type=%u why=%s", d->at->type, og_log_quote(&q, err->message));
	finish(d);
}

/* The log goes on showing what it shows. */
static void lag(struct delta *d, const char *why)
{
	struct og_log_quoted q;

	tell(d, why);
	if (!d->at->behind)
		og_log(OG_LOG_DEBUG, "delta.behind", "type=%u why=%s", d->at->type, og_log_quote(&q, why));
	d->at->behind = true;
	finish(d);
}

/* ---- put ---- */

static void read_last(struct delta *d);

static void on_put(void *arg, struct og_store_result *res)
{
	struct delta *d = arg;
	struct table *t = d->at;

	/* Somebody's is there, or perhaps ours: what the last version shows decides. */
	if (res->code == OG_ERR_EXISTS || res->code == OG_ERR_UNKNOWN) {
		t->known = false;
		if (++d->tries < TRIES)
			read_last(d);
		else
			fail(d, res->err);
		return;
	}
	if (res->code < 0) {
		fail(d, res->err);
		return;
	}
	og_log(OG_LOG_DEBUG, "delta.written", "type=%u version=%llu commit=%s files=%zu", t->type, (unsigned long long)t->next,
	       og_ulid_format(&d->next.commit).s, d->next.nfiles);
	shown_drop(&t->shown);
	t->shown = d->next;
	d->next = (struct og_delta_shown){ 0 };
	t->has_shown = true;
	t->behind = false;
	t->next++;
	t->written_us = og_monotonic_us();
	finish(d);
}

static void put_version(struct delta *d, const struct og_delta_version *v)
{
	char key[OG_DELTA_KEY_MAX];
	struct og_error err = { 0 };

	og_buf_clear(&d->bytes);
	og_delta_encode(&d->bytes, v);
	if (og_buf_ok(&d->bytes, &err) < 0) {
		fail(d, &err);
		return;
	}
	d->part = og_buf_view(&d->bytes);
	og_delta_key(d->at->type, d->at->next, key);
	d->sd->delta_puts++;
	og_store_put_absent(d->sd->store, key, &d->part, 1, on_put, d);
}

/* ---- view: what is to be shown, against what is ---- */

static int by_ulid(const void *a, const void *b)
{
	return og_ulid_cmp(a, b);
}

static bool has_file(const struct og_delta_shown *s, const struct og_ulid *id)
{
	return s->nfiles && bsearch(id, s->files, s->nfiles, sizeof(*id), by_ulid);
}

static int next_files(struct delta *d)
{
	const struct og_layer *top = d->cur.top;
	struct og_ulid *files = calloc(top ? top->depth : 1, sizeof(*files));
	size_t n = 0;

	if (!files)
		return -1;
	for (const struct og_layer *l = top; l; l = l->below)
		if (l->seg.rows)
			files[n++] = l->seg.id;
	if (n)
		qsort(files, n, sizeof(*files), by_ulid);
	free((struct og_ulid *)(uintptr_t)d->next.files);
	d->next.files = files;
	d->next.nfiles = n;
	return 0;
}

static bool same_files(const struct og_delta_shown *a, const struct og_delta_shown *b)
{
	return a->nfiles == b->nfiles && (a->nfiles == 0 || memcmp(a->files, b->files, a->nfiles * sizeof(*a->files)) == 0);
}

/*
 * Whether a file must be described before it is shown. Its bounds are worth reading where that is cheap. Whether its columns have the names of
 * the schema is sure only as long as there has been one schema.
 */
static bool must_describe(const struct delta *d, const struct og_layer *l, bool new_schema)
{
	bool shown = d->at->has_shown && has_file(&d->at->shown, &l->seg.id);
	bool may_differ = og_journal_state(d->sd->journal)->nschemas > 1;

	if (!l->seg.rows || (shown && !new_schema))
		return false;
	return may_differ || (!shown && d->sd->store->local);
}

static void view(struct delta *d);

static void on_described(void *arg, struct og_slice about, const struct og_error *why)
{
	struct delta *d = arg;
	const struct og_ulid *segs[DESCRIBE_MAX];
	struct og_error err = *why;

	for (uint32_t i = 0; i < d->nasked; i++)
		segs[i] = &d->asked[i]->seg.id;
	if (err.code == 0)
		(void)learn(d, d->at, d->cur.schema, segs, d->nasked, about, &err);
	if (err.code < 0)
		fail(d, &err);
	else
		view(d);
}

/* true: an answer is awaited. */
static bool describe(struct delta *d, bool need_schema, bool new_schema)
{
	d->nasked = 0;
	for (struct og_layer *l = d->cur.top; l && d->nasked < DESCRIBE_MAX; l = l->below)
		if (must_describe(d, l, new_schema) && !desc_find(d, &l->seg.id, &d->cur.schema->digest))
			d->asked[d->nasked++] = l;
	if (!d->nasked && !need_schema)
		return false;
	job_describe(d->sd, d->at->type, d->cur.schema, d->asked, d->nasked, on_described, d);
	return true;
}

static bool all_fit(struct delta *d, bool new_schema)
{
	for (const struct og_layer *l = d->cur.top; l; l = l->below) {
		const struct desc *e = must_describe(d, l, new_schema) ? desc_find(d, &l->seg.id, &d->cur.schema->digest) : NULL;

		if (e && !e->fits)
			return false;
	}
	return true;
}

static size_t fill_adds(struct delta *d, struct og_delta_file *adds)
{
	size_t n = 0;

	for (const struct og_layer *l = d->cur.top; l; l = l->below) {
		const struct desc *e;

		if (!l->seg.rows || (d->at->has_shown && has_file(&d->at->shown, &l->seg.id)))
			continue;
		e = desc_find(d, &l->seg.id, &d->cur.schema->digest);
		adds[n++] = (struct og_delta_file){ l->seg.id, l->seg.bytes, l->seg.rows, e ? og_buf_view(&e->bounds) : og_slice(NULL, 0) };
	}
	return n;
}

static size_t fill_removes(const struct delta *d, struct og_ulid *removes)
{
	size_t n = 0;

	for (size_t i = 0; i < d->at->shown.nfiles; i++)
		if (!has_file(&d->next, &d->at->shown.files[i]))
			removes[n++] = d->at->shown.files[i];
	return n;
}

/* "node:Person", in b. */
static struct og_slice type_name(const struct og_schema_state *s, uint32_t type, struct og_buf *b)
{
	for (size_t i = 0; i < s->ntypes; i++)
		if (s->types[i].id == type)
			og_buf_printf(b, "%s:%.*s", s->types[i].kind == 'e' ? "edge" : "node", OG_FMT(s->types[i].name));
	return og_buf_view(b);
}

static void compose(struct delta *d, struct og_slice name, bool new_schema)
{
	struct table *t = d->at;
	size_t depth = d->cur.top ? d->cur.top->depth : 1;
	struct og_delta_file *adds = calloc(depth, sizeof(*adds));
	struct og_ulid *removes = calloc(t->shown.nfiles ? t->shown.nfiles : 1, sizeof(*removes));
	struct og_delta_version v = { .shown = d->next, .type = t->type, .host = d->sd->host, .at_us = og_now_us(), .first = t->next == 0,
				      .adds = adds, .removes = removes };
	struct og_error err = { 0 };

	if (!adds || !removes) {
		og_error_nomem(&err);
		fail(d, &err);
	} else {
		v.nadds = fill_adds(d, adds);
		v.nremoves = fill_removes(d, removes);
		v.data_change = !t->has_shown || og_ulid_cmp(&t->shown.graph, &v.shown.graph) != 0 ||
				t->shown.table_version != v.shown.table_version;
		v.name = name;
		if (new_schema)
			v.schema = og_buf_view(&t->schema);
		put_version(d, &v);
	}
	free(adds);
	free(removes);
}

/* The version shown is of this graph, as new as what is wanted. */
static bool up_to_date(const struct delta *d, const struct og_ulid *graph)
{
	const struct og_delta_shown *s = &d->at->shown;

	if (!d->at->has_shown || og_ulid_cmp(&s->graph, graph) != 0 || !og_sha256_eq(&s->catalog, &d->cur.schema->digest))
		return false;
	return s->table_version > d->cur.table_version || (s->table_version == d->cur.table_version && !d->cur.now);
}

static void view(struct delta *d)
{
	const struct og_state *s = og_journal_state(d->sd->journal);
	struct table *t = d->at;
	struct og_buf name = { 0 };
	struct og_error err = { 0 };
	bool same_catalog, new_schema;

	if (up_to_date(d, &s->graph) || (!t->has_shown && !d->cur.top)) {
		finish(d);
		return;
	}
	if (!og_layer_plain(d->cur.top)) {
		lag(d, "changes lie above its rows");
		return;
	}
	same_catalog = t->has_shown && og_ulid_cmp(&t->shown.graph, &s->graph) == 0 && og_sha256_eq(&t->shown.catalog, &d->cur.schema->digest);
	d->next = (struct og_delta_shown){ .graph = s->graph, .commit = d->cur.commit, .version = d->cur.version, .table_version = d->cur.table_version,
					   .seq = d->cur.seq, .catalog = d->cur.schema->digest, .files = d->next.files };
	if (next_files(d) < 0 || (!t->has_shown && !d->next.nfiles)) {
		finish(d);
		return;
	}
	if (describe(d, !same_catalog && !(t->has_schema && og_sha256_eq(&t->schema_of, &d->cur.schema->digest)), !same_catalog))
		return;
	if (!same_catalog && !t->schema.len) {
		lag(d, t->why.data ? t->why.data : "no schema");
		return;
	}
	if (!all_fit(d, !same_catalog)) {
		lag(d, "a segment was written under another schema");
		return;
	}
	(void)type_name(d->cur.schema, t->type, &name);
	if (og_buf_ok(&name, &err) < 0) {
		fail(d, &err);
		return;
	}
	d->next.schema = same_catalog ? t->shown.schema : og_delta_schema_digest(og_buf_view(&name), og_buf_view(&t->schema));
	new_schema = !t->has_shown || og_ulid_cmp(&t->shown.graph, &s->graph) != 0 || !og_sha256_eq(&t->shown.schema, &d->next.schema);
	if (t->has_shown && !new_schema && same_files(&t->shown, &d->next))
		finish(d);
	else
		compose(d, og_buf_view(&name), new_schema);
	og_buf_fini(&name);
}

/* ---- the last version ---- */

static int take_shown(struct table *t, struct og_slice body, struct og_error *err)
{
	struct og_delta_shown s;
	struct og_ulid *files;
	struct og_arena a;
	int rc;

	og_arena_init(&a, 0);
	rc = og_delta_decode(&a, body, &s, err);
	files = rc == 0 ? calloc(s.nfiles ? s.nfiles : 1, sizeof(*files)) : NULL;
	if (rc == 0 && !files)
		rc = og_error_nomem(err);
	if (rc == 0) {
		if (s.nfiles)
			memcpy(files, s.files, s.nfiles * sizeof(*files));
		s.files = files;
		shown_drop(&t->shown);
		t->shown = s;
		t->has_shown = true;
	}
	og_arena_fini(&a);
	return rc;
}

static void on_last(void *arg, struct og_store_result *res)
{
	struct delta *d = arg;
	struct table *t = d->at;
	struct og_error err = { 0 };

	if (res->code < 0) {
		fail(d, res->err);
		return;
	}
	if (take_shown(t, res->body, &err) < 0) {
		/* What is live is not known: whatever was put would be wrong. */
		t->foreign = err.code != OG_ERR_NOMEM;
		og_error_prefix(&err, "data/%u/_delta_log, version %llu: ", t->type, (unsigned long long)d->last);
		fail(d, &err);
		return;
	}
	t->known = true;
	t->next = d->last + 1;
	view(d);
}

static void list_page(struct delta *d);

static void on_list(void *arg, struct og_store_result *res)
{
	struct delta *d = arg;
	char key[OG_DELTA_KEY_MAX];

	if (res->code < 0 && res->code != OG_ERR_NOT_FOUND) {
		fail(d, res->err);
		return;
	}
	for (size_t i = 0; res->code == 0 && i < res->nitems; i++) {
		const char *slash = strrchr(res->items[i].key, '/');
		uint64_t v;

		if (slash && og_delta_parse_name(slash + 1, &v) && (!d->found || v > d->last)) {
			d->last = v;
			d->found = true;
		}
	}
	if (res->code == 0 && res->more && res->nitems) {
		og_buf_clear(&d->after);
		og_buf_str(&d->after, res->items[res->nitems - 1].key);
		list_page(d);
		return;
	}
	if (d->found) {
		og_delta_key(d->at->type, d->last, key);
		og_store_get(d->sd->store, key, OG_DELTA_VERSION_MAX, on_last, d);
		return;
	}
	d->at->known = true;
	d->at->has_shown = false;
	d->at->next = 0;
	view(d);
}

static void list_page(struct delta *d)
{
	char folder[OG_DELTA_KEY_MAX];
	struct og_error err = { 0 };

	if (og_buf_ok(&d->after, &err) < 0) {
		fail(d, &err);
		return;
	}
	og_delta_folder(d->at->type, folder);
	og_store_list(d->sd->store, folder, d->after.len ? d->after.data : NULL, 0, on_list, d);
}

static void read_last(struct delta *d)
{
	d->found = false;
	og_buf_clear(&d->after);
	list_page(d);
}

/* ---- which type, when ---- */

static uint64_t due_us(const struct table *t)
{
	if (t->want.now || !t->written_us)
		return 0;
	return t->written_us + INTERVAL_US * (1 + t->next / INTERVAL_VERSIONS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	run(arg);
}

static void sleep_until(struct delta *d, uint64_t at, uint64_t now)
{
	uint64_t us = at > now ? at - now : 1;
	struct timeval tv = { .tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000) };

	if (!d->timer)
		d->timer = evtimer_new(d->sd->child.base, on_timer, d);
	if (d->timer)
		evtimer_add(d->timer, &tv);
}

/* The next type that is due, or NULL and when one will be. */
static struct table *next_due(struct delta *d, uint64_t now, uint64_t *soonest)
{
	for (size_t i = 0; i < d->ntables; i++) {
		struct table *t = &d->tables[i];
		uint64_t due = due_us(t);

		if (!t->want.set || t->foreign)
			continue;
		if (due <= now)
			return t;
		*soonest = OG_MIN(*soonest, due);
	}
	return NULL;
}

static void run(struct delta *d)
{
	uint64_t now = og_monotonic_us(), soonest = UINT64_MAX;
	delta_done *done = d->done;

	/* Most types end at once: a loop, not one call within the other. */
	d->running = true;
	while (!d->at && (d->at = next_due(d, now, &soonest))) {
		d->cur = d->at->want;
		d->at->want = (struct wanted){ 0 };
		d->tries = 0;
		if (d->at->known)
			view(d);
		else
			read_last(d);
	}
	d->running = false;
	if (d->at)
		return;
	if (soonest != UINT64_MAX)
		sleep_until(d, soonest, now);
	d->done = NULL;
	if (done)
		done(d->sd, &d->told);
	og_buf_clear(&d->told);
}

void delta_show(struct storaged *sd, const struct og_branch *main, bool now, delta_done *done)
{
	struct delta *d = sd->delta;

	if (done)
		d->done = done;
	/* Without a builder nobody says what a table looks like. */
	for (size_t i = 0; i < main->ntables && peer_builder(sd); i++) {
		const struct og_table *t = &main->tables[i];
		struct table *mine = table_get(d, t->type);
		bool soon;

		if (!mine)
			continue;	/* no memory, or a new type while others are under way: the next checkpoint */
		soon = now || mine->want.now;
		wanted_drop(&mine->want);
		mine->want = (struct wanted){ .set = true, .now = soon, .top = og_layer_ref(t->top), .schema = main->schema, .commit = main->head,
					      .version = main->version, .table_version = t->version, .seq = main->seq };
	}
	run(d);
}

/* ---- rewriting ---- */

bool delta_rewrite(struct storaged *sd, const struct og_layer *top)
{
	struct delta *d = sd->delta;
	struct table *t = table_get(d, top->type);
	uint64_t now = og_monotonic_us(), bytes = 0, us;

	for (const struct og_layer *l = top; l; l = l->below)
		bytes += og_layer_bytes(l);
	if (!t || bytes > REWRITE_BYTES || now < t->rewrite_us || now + REWRITE_BURST_US < d->rewrite_us)
		return false;
	us = bytes / REWRITE_BYTES_A_US;
	t->rewrite_us = now + 16 * us;
	d->rewrite_us = OG_MAX(now, d->rewrite_us) + 4 * us;
	return true;
}

/* ---- life ---- */

int delta_new(struct storaged *sd, struct og_error *err)
{
	sd->delta = calloc(1, sizeof(*sd->delta));
	if (!sd->delta)
		return og_error_nomem(err);
	sd->delta->sd = sd;
	return 0;
}

void delta_free(struct storaged *sd)
{
	struct delta *d = sd->delta;

	if (!d)
		return;
	for (size_t i = 0; i < d->ntables; i++) {
		wanted_drop(&d->tables[i].want);
		shown_drop(&d->tables[i].shown);
		og_buf_fini(&d->tables[i].schema);
		og_buf_fini(&d->tables[i].why);
	}
	while (d->descs) {
		struct desc *e = d->descs;

		d->descs = e->next;
		desc_free(e);
	}
	wanted_drop(&d->cur);
	shown_drop(&d->next);
	og_buf_fini(&d->told);
	og_buf_fini(&d->after);
	og_buf_fini(&d->bytes);
	if (d->timer)
		event_free(d->timer);
	free(d->tables);
	free(d);
	sd->delta = NULL;
}
