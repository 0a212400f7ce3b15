/* Verify: walks the whole graph and tells every fault; changes nothing. */
#include "config.h"

#include "journal/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/cache.h"

struct seg_ref {
	struct og_seg seg;
	uint32_t type;
};

struct ckpt_ref {
	struct og_ckpt_name name;
	char key[OG_STORE_KEY_MAX + 1];
};

struct verify {
	struct og_journal *shell;	/* prefix and keys; held until the end */
	struct og_journal_config config;
	struct og_journal_hooks hooks;
	struct og_arena genesis_arena;
	struct og_genesis genesis;
	struct og_state *state;
	uint64_t last_listed;
	struct ckpt_ref *ckpts;		/* by seq, rising */
	size_t nckpts, cap_ckpts, ckpt_at;
	struct seg_ref *segs;
	size_t nsegs, cap_segs, seg_at;
	struct og_map seg_ids;
	struct og_arena ids;
	char after[OG_STORE_KEY_MAX + 1];
	struct og_index *index;		/* of the newest checkpoint that is sound */
	size_t nindex, index_at;
	struct og_verify_report report;
	og_verify_fault fault;
	og_verify_done done;
	void *arg;
};

static void fault(struct verify *v, const char *fmt, ...) OG_PRINTF(2, 3);

static void fault(struct verify *v, const char *fmt, ...)
{
	char text[2200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	v->report.faults++;
	if (v->fault)
		v->fault(v->arg, false, text);
}

static void verify_end(struct verify *v, const struct og_error *err)
{
	struct og_error e = { 0 };

	if (err)
		e = *err;
	og_journal_close(v->shell);
	v->done(v->arg, &v->report, &e);
	og_state_free(v->state);
	og_arena_fini(&v->genesis_arena);
	og_arena_fini(&v->ids);
	og_map_fini(&v->seg_ids);
	free(v->ckpts);
	free(v->segs);
	free(v->index);
	free(v);
}

/* ---- index objects ---- */

static void take_index(struct verify *v, const struct og_ckpt *c)
{
	free(v->index);
	v->index = calloc(c->nindex ? c->nindex : 1, sizeof(*v->index));
	if (!v->index)
		abort();
	if (c->nindex)
		memcpy(v->index, c->index, c->nindex * sizeof(*v->index));
	v->nindex = c->nindex;
}

static void next_index(struct verify *v);

static void on_index(void *arg, struct og_store_result *res)
{
	struct verify *v = arg;
	const struct og_index *x = &v->index[v->index_at++];
	struct og_digest want = og_digest_of_hash128(&x->hash);
	char why[100] = "", text[OG_KEY_TEXT_MAX + 200];

	if (res->code < 0 && res->code != OG_ERR_NOT_FOUND) {
		verify_end(v, res->err);
		return;
	}
	if (res->code == OG_ERR_NOT_FOUND)
		snprintf(why, sizeof(why), "missing");
	else if (res->size != x->bytes)
		snprintf(why, sizeof(why), "%llu bytes instead of %llu", (unsigned long long)res->size, (unsigned long long)x->bytes);
	else if (!og_cache_fits(res->fd, x->bytes, &want))
		snprintf(why, sizeof(why), "digest mismatch");
	if (res->code == 0)
		v->report.bytes += res->size;
	if (!why[0]) {
		v->report.index++;
	} else if (v->fault) {
		snprintf(text, sizeof(text), "index object %s: %s: built from rows again", og_key_index(x).s, why);
		v->fault(v->arg, true, text);
	}
	next_index(v);
}

static void next_index(struct verify *v)
{
	char full[OG_STORE_KEY_MAX + 1];

	if (v->index_at == v->nindex) {
		verify_end(v, NULL);
		return;
	}
	og_journal_index_key(v->shell, &v->index[v->index_at], full);
	og_store_get_fd(v->config.store, full, on_index, v);
}

/* ---- segments ---- */

static void add_seg(struct verify *v, uint32_t type, const struct og_seg *seg)
{
	struct og_slice id = og_slice(seg->id.b, sizeof(seg->id.b));
	struct seg_ref *s;

	if (og_map_find(&v->seg_ids, id))
		return;
	id = og_arena_slice(&v->ids, id);
	if (v->nsegs == v->cap_segs) {
		v->cap_segs = v->cap_segs ? 2 * v->cap_segs : 64;
		s = reallocarray(v->segs, v->cap_segs, sizeof(*s));
		if (!s)
			abort();
		v->segs = s;
	}
	if (!id.p || !og_map_put(&v->seg_ids, id, NULL))
		abort();
	v->segs[v->nsegs++] = (struct seg_ref){ *seg, type };
}

static void next_seg(struct verify *v);

static void on_seg(void *arg, struct og_store_result *res)
{
	struct verify *v = arg;
	const struct seg_ref *s = &v->segs[v->seg_at++];
	struct og_ulid_text id = og_ulid_format(&s->seg.id);
	struct og_sha256 d;
	struct og_error err = { 0 };
	uint64_t rows;

	if (res->code == OG_ERR_NOT_FOUND) {
		fault(v, "type %u segment %s: missing", s->type, id.s);
	} else if (res->code < 0) {
		verify_end(v, res->err);
		return;
	} else {
		v->report.segments++;
		v->report.bytes += res->body.len;
		d = og_sha256(res->body);
		if (res->body.len != s->seg.bytes)
			fault(v, "type %u segment %s: %zu bytes instead of %llu", s->type, id.s, res->body.len,
			      (unsigned long long)s->seg.bytes);
		else if (!og_sha256_eq(&d, &s->seg.sha256))
			fault(v, "type %u segment %s: digest mismatch", s->type, id.s);
		else if (v->hooks.count_rows && v->hooks.count_rows(v->config.arg, res->body, &rows, &err) < 0)
			fault(v, "type %u segment %s: %s", s->type, id.s, err.message);
		else if (v->hooks.count_rows && rows != s->seg.rows)
			fault(v, "type %u segment %s: %llu rows instead of %llu", s->type, id.s, (unsigned long long)rows,
			      (unsigned long long)s->seg.rows);
	}
	next_seg(v);
}

static void next_seg(struct verify *v)
{
	struct og_key_text key;
	char full[OG_STORE_KEY_MAX + 1];

	if (v->seg_at == v->nsegs) {
		next_index(v);
		return;
	}
	key = og_key_data(v->segs[v->seg_at].type, &v->segs[v->seg_at].seg.id);
	og_store_get(v->config.store, og_jn_key(v->shell, &key, full), 0, on_seg, v);
}

/* ---- checkpoints ---- */

static void compare_branch(struct verify *v, uint64_t seq, const struct og_branch *want, const struct og_branch *have)
{
	if (!have || have->live != want->live) {
		fault(v, "checkpoint %llu: branch '%.*s' differs", (unsigned long long)seq, OG_FMT(want->name));
		return;
	}
	if (!want->live)
		return;
	if (og_ulid_cmp(&have->head, &want->head) || have->version != want->version || have->ntables != want->ntables ||
	    !og_slice_eq(have->name, want->name)) {
		fault(v, "checkpoint %llu: head of branch '%.*s' differs", (unsigned long long)seq, OG_FMT(want->name));
		return;
	}
	for (size_t i = 0; i < want->ntables; i++)
		if (have->tables[i].type != want->tables[i].type || have->tables[i].version != want->tables[i].version ||
		    have->tables[i].rows != want->tables[i].rows ||
		    og_ulid_cmp(&have->tables[i].owner, &want->tables[i].owner))
			fault(v, "checkpoint %llu: type %u of branch '%.*s' differs", (unsigned long long)seq,
			      want->tables[i].type, OG_FMT(want->name));
}

static void compare(struct verify *v, const struct og_ckpt *c)
{
	struct og_error err = { 0 };
	struct og_state *s = og_state_from_ckpt(&v->genesis, c, &err);

	if (!s) {
		fault(v, "checkpoint %llu: %s", (unsigned long long)c->seq, err.message);
		return;
	}
	if (!og_sha256_eq(&s->digest, &v->state->digest))
		fault(v, "checkpoint %llu: made of another log", (unsigned long long)c->seq);
	if (s->nbranches != v->state->nbranches)
		fault(v, "checkpoint %llu: %zu branches instead of %zu", (unsigned long long)c->seq, s->nbranches,
		      v->state->nbranches);
	for (size_t i = 0; i < v->state->nbranches; i++)
		compare_branch(v, c->seq, v->state->branches[i], og_state_branch(s, &v->state->branches[i]->id));
	for (size_t i = 0; i < c->nlayers; i++)
		if (!c->layers[i].in_log)
			add_seg(v, c->layers[i].type, &c->layers[i].seg);
	take_index(v, c);
	og_state_free(s);
}

static void next_object(struct verify *v);

static void on_ckpt(void *arg, struct og_store_result *res)
{
	struct verify *v = arg;
	struct og_arena a;
	struct og_ckpt c;
	struct og_error err = { 0 };
	unsigned long long seq = v->ckpts[v->ckpt_at].name.seq;

	v->ckpt_at++;
	if (res->code < 0 && res->code != OG_ERR_NOT_FOUND) {
		verify_end(v, res->err);
		return;
	}
	if (res->code == 0) {	/* else cleaned up since the listing */
		v->report.checkpoints++;
		v->report.bytes += res->body.len;
		og_arena_init(&a, 0);
		if (og_ckpt_decode(&a, res->body, &c, &err) < 0)
			fault(v, "checkpoint %llu: %s", seq, err.message);
		else if (c.seq != seq)
			fault(v, "checkpoint %llu: says that it is of %llu", seq, (unsigned long long)c.seq);
		else
			compare(v, &c);
		og_arena_fini(&a);
	}
	next_object(v);
}

/* ---- the log ---- */

static void check_bodies(struct verify *v, const struct og_logobj *o)
{
	for (size_t i = 0; i < o->nrecords; i++) {
		const struct og_record *r = &o->records[i];

		for (size_t t = 0; r->kind == OG_REC_COMMIT && t < r->commit.ntables; t++)
			for (size_t k = 0; k < r->commit.tables[t].nsegs; k++)
				add_seg(v, r->commit.tables[t].type, &r->commit.tables[t].segs[k]);
	}
	for (uint32_t i = 0; i < o->nbodies && !o->stub; i++) {
		struct og_error err = { 0 };
		struct og_slice body;

		v->report.bodies++;
		if (og_logobj_body(o, i, &body, &err) < 0)
			fault(v, "%s", err.message);
	}
}

static void log_end(struct verify *v)
{
	if (v->last_listed > v->state->seq && v->report.faults == 0)
		fault(v, "log object %llu: missing", (unsigned long long)v->state->seq + 1);
	for (; v->ckpt_at < v->nckpts; v->ckpt_at++)
		fault(v, "log object %llu: missing, though there is a checkpoint of it",
		      (unsigned long long)v->ckpts[v->ckpt_at].name.seq);
	next_seg(v);
}

static void on_object(void *arg, struct og_store_result *res)
{
	struct verify *v = arg;
	struct og_arena a;
	struct og_logobj o;
	struct og_error err = { 0 };
	unsigned long long n = v->state->seq + 1;
	bool go_on = false;

	if (res->code == OG_ERR_NOT_FOUND) {
		log_end(v);
		return;
	}
	if (res->code < 0) {
		verify_end(v, res->err);
		return;
	}
	og_arena_init(&a, 0);
	v->report.objects++;
	v->report.bytes += res->body.len;
	if (og_logobj_decode(&a, res->body, &o, &err) < 0) {
		fault(v, "log object %llu: %s", n, err.message);
	} else {
		v->report.records += o.nrecords;
		check_bodies(v, &o);
		if (og_state_apply_object(v->state, &o, &err) < 0)
			fault(v, "%s", err.message);
		else
			go_on = true;
	}
	og_arena_fini(&a);
	if (go_on) {
		next_object(v);
	} else {
		v->ckpt_at = v->nckpts;	/* nothing to compare them with */
		log_end(v);
	}
}

static void next_object(struct verify *v)
{
	struct og_key_text key;
	char full[OG_STORE_KEY_MAX + 1];

	if (v->ckpt_at < v->nckpts && v->ckpts[v->ckpt_at].name.seq <= v->state->seq) {
		og_store_get(v->config.store, v->ckpts[v->ckpt_at].key, OG_CKPT_MAX, on_ckpt, v);
		return;
	}
	key = og_key_log(&v->genesis.graph, v->state->seq + 1);
	og_store_get(v->config.store, og_jn_key(v->shell, &key, full), OG_LOG_OBJECT_MAX, on_object, v);
}

/* ---- listings ---- */

static void list(struct verify *v, const char *folder, og_store_cb cb)
{
	char key[OG_KEY_TEXT_MAX], full[OG_STORE_KEY_MAX + 1];

	snprintf(key, sizeof(key), "%s/%s/", folder, og_ulid_format(&v->genesis.graph).s);
	og_store_list(v->config.store, og_jn_key_str(v->shell, key, full), v->after[0] ? v->after : NULL, 0, cb, v);
}

static bool list_more(struct verify *v, const struct og_store_result *res)
{
	if (!res->more || !res->nitems) {
		v->after[0] = '\0';
		return false;
	}
	snprintf(v->after, sizeof(v->after), "%s", res->items[res->nitems - 1].key);
	return true;
}

static void on_log_list(void *arg, struct og_store_result *res)
{
	struct verify *v = arg;
	uint64_t seq;

	if (res->code < 0) {
		verify_end(v, res->err);
		return;
	}
	for (size_t i = 0; i < res->nitems; i++) {
		const char *name = strrchr(res->items[i].key, '/');

		if (name && og_key_parse_log(name + 1, &seq))
			v->last_listed = OG_MAX(v->last_listed, seq);
	}
	if (list_more(v, res))
		list(v, "log", on_log_list);
	else
		next_object(v);
}

static int by_seq(const void *a, const void *b)
{
	const struct ckpt_ref *x = a, *y = b;

	return x->name.seq < y->name.seq ? -1 : x->name.seq > y->name.seq;
}

static void on_ckpt_list(void *arg, struct og_store_result *res)
{
	struct verify *v = arg;

	if (res->code < 0) {
		verify_end(v, res->err);
		return;
	}
	for (size_t i = 0; i < res->nitems; i++) {
		const char *name = strrchr(res->items[i].key, '/');
		struct ckpt_ref r;

		if (!name || !og_key_parse_ckpt(name + 1, &r.name))
			continue;
		snprintf(r.key, sizeof(r.key), "%s", res->items[i].key);
		if (v->nckpts == v->cap_ckpts) {
			v->cap_ckpts = v->cap_ckpts ? 2 * v->cap_ckpts : 16;
			v->ckpts = reallocarray(v->ckpts, v->cap_ckpts, sizeof(*v->ckpts));
			if (!v->ckpts)
				abort();
		}
		v->ckpts[v->nckpts++] = r;
	}
	if (list_more(v, res)) {
		list(v, "ckpt", on_ckpt_list);
		return;
	}
	if (v->nckpts)
		qsort(v->ckpts, v->nckpts, sizeof(*v->ckpts), by_seq);
	list(v, "log", on_log_list);
}

static void on_genesis(void *arg, struct og_store_result *res)
{
	struct verify *v = arg;
	struct og_error err = { 0 };

	if (res->code == OG_ERR_NOT_FOUND) {
		og_error_set(&err, OG_ERR_NOT_FOUND, "graph not found at '%s'", v->config.uri);
		verify_end(v, &err);
		return;
	}
	if (res->code < 0) {
		verify_end(v, res->err);
		return;
	}
	if (og_genesis_decode(&v->genesis_arena, res->body, &v->genesis, &err) < 0 ||
	    !(v->state = og_state_from_genesis(&v->genesis, &err))) {
		verify_end(v, &err);
		return;
	}
	list(v, "ckpt", on_ckpt_list);
}

void og_journal_verify(const struct og_journal_config *config, og_verify_fault on_fault, og_verify_done done, void *arg)
{
	struct verify *v = calloc(1, sizeof(*v));
	struct og_error err = { 0 };
	char full[OG_STORE_KEY_MAX + 1];

	if (!v)
		abort();
	v->config = *config;
	if (config->hooks)
		v->hooks = *config->hooks;
	v->fault = on_fault;
	v->done = done;
	v->arg = arg;
	og_arena_init(&v->genesis_arena, 0);
	og_arena_init(&v->ids, 0);
	v->shell = og_jn_new(config, &err);
	if (!v->shell)
		verify_end(v, &err);
	else
		og_store_get(config->store, og_jn_key_str(v->shell, "format.json", full), OG_GENESIS_MAX, on_genesis, v);
}
