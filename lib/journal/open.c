/* Opening: format.json, the newest checkpoint that counts, then the log above it by the same checks as following. */
#include "config.h"

#include "journal/private.h"

#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"

#define CANDIDATES 1000

struct opening {
	struct og_journal *j;
	bool ended_too;
	og_jn_opened cb;
	void *arg;
	struct og_ckpt_name names[CANDIDATES];	/* newest first */
	size_t nnames, at;
	bool have_ckpt;			/* S comes from names[at] */
	uint64_t listed;		/* largest seq that the listing showed */
	bool saw_ckpt_seq;
	bool floor_pass;		/* second pass: a floor above has decided */
	char after[OG_STORE_KEY_MAX + 1];
};

static void finish(struct opening *o, const struct og_error *err)
{
	struct og_error e = { 0 };

	if (err) {
		e = *err;
		og_journal_close(o->j);
		o->cb(o->arg, NULL, &e);
	} else {
		o->j->opening = false;
		og_jn_after_open(o->j);
		o->cb(o->arg, o->j, &e);
	}
	free(o);
}

/* ---- the tail ---- */

static void load_state(struct opening *o);

/* The last floor above the checkpoint must name it; if not, one of those it keeps is the start. */
static bool floor_decides(struct opening *o)
{
	const struct og_state *s = o->j->state;
	uint64_t c = o->have_ckpt ? o->names[o->at].seq : 0;
	struct og_ckpt_name best = { 0 };

	if (o->floor_pass || !s->has_floor || s->floor_seq <= c)
		return false;
	for (size_t i = 0; i < s->nkeep; i++) {
		if (o->have_ckpt && s->keep[i].seq == c && !og_ulid_cmp(&s->keep[i].id, &o->names[o->at].id))
			return false;
		if (s->keep[i].seq >= best.seq)
			best = s->keep[i];
	}
	o->names[0] = best;
	o->nnames = 1;
	o->at = 0;
	o->floor_pass = true;
	return true;
}

/* ---- where it began ---- */

void og_jn_opened_free(struct og_journal *j)
{
	for (size_t i = 0; i < j->nopened; i++)
		og_branch_unref(j->opened[i]);
	free(j->opened);
	j->opened = NULL;
	j->nopened = 0;
}

/* Without memory there are none: the state of now serves as well, if not as fast. */
static void keep_opened(struct og_journal *j)
{
	const struct og_state *s = j->state;

	og_jn_opened_free(j);
	j->opened = calloc(s->nbranches ? s->nbranches : 1, sizeof(*j->opened));
	for (size_t i = 0; j->opened && i < s->nbranches; i++)
		if (s->branches[i]->live)
			j->opened[j->nopened++] = og_branch_ref(s->branches[i]);
}

const struct og_branch *og_journal_opened_branch(const struct og_journal *j, const struct og_ulid *id)
{
	for (size_t i = 0; i < j->nopened; i++)
		if (og_ulid_cmp(&j->opened[i]->id, id) == 0)
			return j->opened[i];
	return NULL;
}

static void reset_state(struct og_journal *j)
{
	og_jn_opened_free(j);
	og_state_free(j->state);
	j->state = NULL;
	for (size_t i = 0; i < j->ntail; i++)
		og_jn_object_free(j->tail[i]);
	j->ntail = j->tail_bytes = 0;
	og_lines_fini(&j->lines);
}

static void missing(struct opening *o, uint64_t seq)
{
	char text[128];

	if (o->j->status != OG_JOURNAL_WRITABLE)
		return;
	snprintf(text, sizeof(text), "log object %llu: missing", (unsigned long long)seq);
	og_jn_set_status(o->j, OG_JOURNAL_READ_ONLY, text);
}

static void opened(struct opening *o)
{
	og_jn_check_writer(o->j);
	og_jn_trim_tail(o->j);
	finish(o, NULL);
}

static void on_ckpt_object(void *arg, struct og_store_result *res)
{
	struct opening *o = arg;

	if (!og_jn_back(o->j)) {
		free(o);
		return;
	}
	if (res->code < 0 && res->code != OG_ERR_NOT_FOUND) {
		finish(o, res->err);
		return;
	}
	if (res->code == OG_ERR_NOT_FOUND)
		missing(o, o->names[o->at].seq);
	opened(o);
}

/* The listing did not show the object of the checkpoint's own seq. It may be late: the store's word on one key is not. */
static void look_for_ckpt_object(struct opening *o)
{
	struct og_key_text key = og_key_log(&o->j->state->graph, o->names[o->at].seq);
	char full[OG_STORE_KEY_MAX + 1];

	og_jn_ref(o->j);
	og_store_head(o->j->store, og_jn_key(o->j, &key, full), on_ckpt_object, o);
}

/* Runs on its own, from the loop: it may close the journal. */
static void caught_up(void *arg, const struct og_error *err)
{
	struct opening *o = arg;
	struct og_journal *j = o->j;
	struct og_error e = { 0 };

	/* An ended log is looked at below; a graph that went while it was opened is none. */
	if (err->code && (err->code != OG_ERR_GONE || !j->state->ended)) {
		finish(o, err);
		return;
	}
	if (floor_decides(o)) {
		reset_state(j);
		load_state(o);
		return;
	}
	if (j->state->ended && !o->ended_too) {
		og_error_set(&e, OG_ERR_UNAVAILABLE, j->state->has_next ?
			     "graph is being re-initialised; run init --force again" : "graph is being removed");
		finish(o, &e);
		return;
	}
	/* A put into a hole would succeed: whoever sees one must not write. */
	if (o->listed > j->state->seq)
		missing(o, j->state->seq + 1);
	if (o->have_ckpt && !o->saw_ckpt_seq && j->status == OG_JOURNAL_WRITABLE)
		look_for_ckpt_object(o);
	else
		opened(o);
}

static void on_caught_up(void *arg, const struct og_error *err)
{
	struct opening *o = arg;

	og_jn_call_done(o->j, caught_up, o, err);
}

static void catch_up(struct opening *o)
{
	struct og_journal *j = o->j;

	/* The doorbell's value is taken by the check itself, before its first GET. */
	j->opening_last = OG_MAX(o->listed, j->state->seq);
	og_journal_confirm(j, on_caught_up, o);
}

static void on_log_list(void *arg, struct og_store_result *res)
{
	struct opening *o = arg;
	uint64_t seq;

	if (!og_jn_back(o->j)) {
		free(o);
		return;
	}
	if (res->code < 0) {
		finish(o, res->err);
		return;
	}
	for (size_t i = 0; i < res->nitems; i++) {
		const char *name = strrchr(res->items[i].key, '/');

		if (!name || !og_key_parse_log(name + 1, &seq))
			continue;
		o->listed = OG_MAX(o->listed, seq);
		if (o->have_ckpt && seq == o->names[o->at].seq)
			o->saw_ckpt_seq = true;
	}
	if (res->more && res->nitems) {
		char folder[OG_STORE_KEY_MAX + 1], key[OG_KEY_TEXT_MAX];

		snprintf(o->after, sizeof(o->after), "%s", res->items[res->nitems - 1].key);
		snprintf(key, sizeof(key), "log/%s/", og_ulid_format(&o->j->state->graph).s);
		og_jn_ref(o->j);
		og_store_list(o->j->store, og_jn_key_str(o->j, key, folder), o->after, 0, on_log_list, o);
		return;
	}
	catch_up(o);
}

static void list_log(struct opening *o)
{
	struct og_journal *j = o->j;
	uint64_t c = j->state->seq;
	struct og_key_text after = og_key_log(&j->state->graph, c ? c - 1 : 0);
	char folder[OG_STORE_KEY_MAX + 1], key[OG_KEY_TEXT_MAX];

	o->listed = 0;
	o->saw_ckpt_seq = false;
	snprintf(key, sizeof(key), "log/%s/", og_ulid_format(&j->state->graph).s);
	og_jn_key(j, &after, o->after);
	og_jn_ref(j);
	og_store_list(j->store, og_jn_key_str(j, key, folder), c ? o->after : NULL, 0, on_log_list, o);
}

/* ---- the checkpoint ---- */

static void on_ckpt(void *arg, struct og_store_result *res)
{
	struct opening *o = arg;
	struct og_journal *j = o->j;
	struct og_arena a;
	struct og_ckpt c;
	struct og_error err = { 0 };

	if (!og_jn_back(j)) {
		free(o);
		return;
	}
	if (res->code == OG_ERR_UNAVAILABLE || res->code == OG_ERR_IO) {
		finish(o, res->err);
		return;
	}
	og_arena_init(&a, 0);
	if (res->code == 0 && og_ckpt_decode(&a, res->body, &c, &err) == 0 && c.seq == o->names[o->at].seq)
		j->state = og_state_from_ckpt(&j->genesis, &c, &err);
	og_arena_fini(&a);
	if (!j->state) {
		/* Damaged: the next older one and a longer tail; reported by verify. */
		o->at++;
		load_state(o);
		return;
	}
	o->have_ckpt = true;
	keep_opened(j);
	j->ckpt_seq = o->names[o->at].seq;
	j->ckpt_id = o->names[o->at].id;
	list_log(o);
}

static void load_state(struct opening *o)
{
	struct og_journal *j = o->j;
	struct og_error err = { 0 };
	struct og_key_text key;
	char full[OG_STORE_KEY_MAX + 1];

	if (o->at < o->nnames) {
		key = og_key_ckpt(&j->genesis.graph, o->names[o->at].seq, &o->names[o->at].id);
		og_jn_ref(j);
		og_store_get(j->store, og_jn_key(j, &key, full), OG_CKPT_MAX, on_ckpt, o);
		return;
	}
	o->have_ckpt = false;
	j->ckpt_seq = 0;
	j->state = og_state_from_genesis(&j->genesis, &err);
	if (!j->state)
		finish(o, &err);
	else
		list_log(o);
}

static int newest_first(const void *a, const void *b)
{
	const struct og_ckpt_name *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq > y->seq ? -1 : 1;
	return og_ulid_cmp(&y->id, &x->id);
}

static void on_ckpt_list(void *arg, struct og_store_result *res)
{
	struct opening *o = arg;

	if (!og_jn_back(o->j)) {
		free(o);
		return;
	}
	if (res->code < 0) {
		finish(o, res->err);
		return;
	}
	for (size_t i = 0; i < res->nitems && o->nnames < CANDIDATES; i++) {
		const char *name = strrchr(res->items[i].key, '/');

		if (name && og_key_parse_ckpt(name + 1, &o->names[o->nnames]))
			o->nnames++;
	}
	qsort(o->names, o->nnames, sizeof(*o->names), newest_first);
	load_state(o);
}

/* ---- format.json ---- */

int og_jn_open_bell(struct og_journal *j, struct og_error *err)
{
	char key[OG_STORE_KEY_MAX + 1];
	void *p;
	int e;

	if (j->bell || j->read_only || !j->store->shared_pages)
		return 0;
	if (og_store_page(j->store, og_jn_key_str(j, "doorbell", key), &j->bell_fd, err) < 0)
		return err->code;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, j->bell_fd, 0);
	if (p == MAP_FAILED) {
		e = errno;
		og_fd_close(&j->bell_fd);
		return og_error_sys(err, e, "mapping the doorbell");
	}
	j->bell = p;
	/* No value of it says anything about S yet; the next check does. */
	j->bell_valid = false;
	j->bell_known = UINT64_MAX;
	return 0;
}

static int read_genesis(struct og_journal *j, struct og_store_result *res, struct og_error *err)
{
	struct og_buf b = { 0 };
	struct og_slice bytes = res->body;
	int rc = 0;

	if (res->fd >= 0) {
		if (res->size > OG_GENESIS_MAX)
			return og_error_set(err, OG_ERR_CORRUPT, "format.json: %llu bytes", (unsigned long long)res->size);
		if (!og_buf_reserve(&b, res->size))
			return og_error_nomem(err);
		rc = og_fd_pread_all(res->fd, b.data, res->size, 0, err);
		b.len = res->size;
		bytes = og_buf_view(&b);
	}
	if (rc == 0)
		rc = og_genesis_decode(&j->genesis_arena, bytes, &j->genesis, err);
	j->genesis_tag = res->tag;
	if (rc == 0 && j->genesis.min_reader > OG_PROTOCOL_VERSION)
		rc = og_error_set(err, OG_ERR_UNAVAILABLE, "protocol version %u is needed to read this graph, this program has %u",
				  j->genesis.min_reader, OG_PROTOCOL_VERSION);
	og_buf_fini(&b);
	if (rc == 0 && res->fd >= 0) {
		j->genesis_fd = res->fd;
		res->fd = -1;
	}
	return rc;
}

static void on_settled(void *arg, struct og_store_result *res)
{
	struct opening *o = arg;
	struct og_journal *j = o->j;
	char folder[OG_STORE_KEY_MAX + 1], key[OG_KEY_TEXT_MAX];

	if (!og_jn_back(j)) {
		free(o);
		return;
	}
	if (res->code < 0) {
		finish(o, res->err);
		return;
	}
	snprintf(key, sizeof(key), "ckpt/%s/", og_ulid_format(&j->genesis.graph).s);
	og_jn_ref(j);
	og_store_list(j->store, og_jn_key_str(j, key, folder), NULL, CANDIDATES, on_ckpt_list, o);
}

static void on_genesis(void *arg, struct og_store_result *res)
{
	struct opening *o = arg;
	struct og_journal *j = o->j;
	struct og_error err = { 0 };

	if (!og_jn_back(j)) {
		free(o);
		return;
	}
	if (res->code == OG_ERR_NOT_FOUND) {
		og_error_set(&err, OG_ERR_NOT_FOUND, "graph not found at '%s'", j->uri);
		finish(o, &err);
		return;
	}
	if (res->code < 0) {
		finish(o, res->err);
		return;
	}
	if (read_genesis(j, res, &err) < 0) {
		finish(o, &err);
		return;
	}
	/* Without one every check asks the store: slower, as right. Writing is another matter, see og_jn_pump. */
	(void)og_jn_open_bell(j, &(struct og_error){ 0 });
	/* Somebody may have made the graph a moment ago: what is built on it must not outlast it. */
	og_jn_ref(j);
	og_store_settle(j->store, j->prefix, on_settled, o);
}

void og_jn_open(const struct og_journal_config *c, bool ended_too, og_jn_opened cb, void *arg)
{
	struct opening *o = calloc(1, sizeof(*o));
	struct og_error err = { 0 };
	char key[OG_STORE_KEY_MAX + 1];
	struct og_store_req req = { .op = OG_STORE_GET, .key = key, .len = OG_STORE_TO_END, .max_bytes = OG_GENESIS_MAX, .want_tag = true };

	if (!o)
		abort();
	o->ended_too = ended_too;
	o->cb = cb;
	o->arg = arg;
	o->j = og_jn_new(c, &err);
	if (!o->j) {
		cb(arg, NULL, &err);
		free(o);
		return;
	}
	o->j->opening = true;
	o->j->sure_us = og_boottime_us();
	og_jn_ref(o->j);
	og_jn_key_str(o->j, "format.json", key);
	/* A descriptor, where there is one, also tells later whether the graph is still the one of this name; else the tag does. */
	if (c->store->local)
		og_store_get_fd(c->store, key, on_genesis, o);
	else
		og_store_submit(c->store, &req, on_genesis, o);
}

struct public_open {
	og_journal_opened cb;
	void *arg;
};

static void on_public(void *arg, struct og_journal *j, struct og_error *err)
{
	struct public_open *p = arg;

	p->cb(p->arg, j, err);
	free(p);
}

void og_journal_open(const struct og_journal_config *config, og_journal_opened cb, void *arg)
{
	struct public_open *p = malloc(sizeof(*p));

	if (!p)
		abort();
	*p = (struct public_open){ cb, arg };
	og_jn_open(config, false, on_public, p);
}
