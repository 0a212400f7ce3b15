/* The part of a load that needs no graph. */
#include "config.h"

#include "load/loader.h"

#include <stdlib.h>

#include "base/fd.h"

#define CHUNK_BYTES (32u * OG_MIB)	/* of the buffers; a file of it fits one message */
#define INLINE_BYTES OG_MIB		/* encoded, of one type */
#define INLINE_TOTAL (4u * OG_MIB)	/* encoded, of all */

static int type_init(struct load_type *t, const struct og_type *type, struct og_error *err)
{
	t->type = type;
	og_change_init(&t->rows, type);
	t->seen = calloc(type->nprops + 1, sizeof(*t->seen));
	t->order = calloc(type->nprops + 1, sizeof(*t->order));
	if (!t->seen || !t->order || !t->rows.props)
		return og_error_nomem(err);
	for (uint32_t i = 0; i < type->nconstraints; i++)
		t->constrained |= type->constraints[i].kind == OG_C_RANGE || type->constraints[i].kind == OG_C_CHECK;
	return 0;
}

int og_loader_new(struct og_catalog *c, enum og_load_mode mode, size_t budget, bool spill, struct og_loader **out, struct og_error *err)
{
	struct og_loader *l = calloc(1, sizeof(*l));
	int rc = 0;

	if (!l)
		return og_error_nomem(err);
	l->catalog = og_catalog_ref(c);
	l->mode = mode;
	l->budget = budget;
	l->spill = spill;
	l->spool = -1;
	l->ntypes = c->ntypes;
	l->pos = (struct og_pos){ 1, 1, 0 };
	og_arena_init(&l->arena, 0);
	og_arena_init(&l->kept, 0);
	l->rules = og_rules_new(err);
	l->types = calloc(c->ntypes ? c->ntypes : 1, sizeof(*l->types));
	if (!l->rules)
		rc = err->code;
	else if (!l->types)
		rc = og_error_nomem(err);
	for (uint32_t i = 0; rc == 0 && i < c->ntypes; i++)
		rc = type_init(&l->types[i], &c->types[i], err);
	if (rc < 0) {
		og_loader_free(l);
		return rc;
	}
	*out = l;
	return 0;
}

void og_loader_free(struct og_loader *l)
{
	if (!l)
		return;
	load_encoder_free(l->encoder);
	for (uint32_t i = 0; l->types && i < l->ntypes; i++) {
		struct load_type *t = &l->types[i];

		if (t->type)
			og_change_fini(&t->rows);
		free(t->meta);
		free(t->seen);
		free(t->order);
		og_buf_fini(&t->body);
		loader_open_free(t);
	}
	free(l->types);
	for (size_t i = 0; i < l->nchunks; i++) {
		og_buf_fini(&l->chunks[i].parquet);
		free(l->chunks[i].meta);
	}
	free(l->chunks);
	og_fd_close(&l->spool);
	og_rules_free(l->rules);
	og_map_fini(&l->remap);
	og_buf_fini(&l->key);
	og_buf_fini(&l->window);
	og_arena_fini(&l->arena);
	og_arena_fini(&l->kept);
	og_catalog_unref(l->catalog);
	free(l);
}

int og_loader_thread(struct og_loader *l, struct og_error *err)
{
	l->encoder = load_encoder_new(err);
	return l->encoder ? 0 : err->code;
}

/* ---- errors in order ---- */

static int rank_cmp(const struct load_rank *a, const struct load_rank *b)
{
	if (a->phase != b->phase)
		return a->phase < b->phase ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->step != b->step)
		return a->step < b->step ? -1 : 1;
	if (a->part != b->part)
		return a->part < b->part ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

bool loader_before(const struct og_loader *l, const struct load_rank *at)
{
	return !l->doomed || rank_cmp(at, &l->rank) < 0;
}

int loader_note(struct og_loader *l, const struct load_rank *at, const struct og_error *e, uint64_t line)
{
	if (!loader_before(l, at))
		return 0;
	l->doomed = true;
	l->rank = *at;
	l->first = *e;
	if (line)
		og_error_set(&l->first, e->code, "%s (line %llu)", e->message, (unsigned long long)line);
	l->first.detail = e->detail;
	l->first.pos.line = line;
	return 0;
}

/* ---- input ---- */

static void advance(struct og_pos *pos, struct og_slice s)
{
	const char *p = s.p, *end = s.p + s.len, *nl;

	pos->byte += s.len;
	while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
		pos->line++;
		pos->column = 1;
		p = nl + 1;
	}
	pos->column += (uint64_t)(end - p);
}

static size_t space(struct og_slice s)
{
	size_t n = 0;

	while (n < s.len && (s.p[n] == ' ' || s.p[n] == '\n' || s.p[n] == '\r' || s.p[n] == '\t'))
		n++;
	return n;
}

/* Closes chunks while the buffers are over their share. */
static int relieve(struct og_loader *l, struct og_error *err)
{
	for (;;) {
		struct load_type *most = NULL;
		size_t total = 0, most_bytes = 0;
		int rc;

		for (uint32_t i = 0; i < l->ntypes; i++) {
			size_t n = l->types[i].rows.rows ? loader_buffered(&l->types[i]) : 0;

			total += n;
			if (n > most_bytes) {
				most = &l->types[i];
				most_bytes = n;
			}
		}
		if (!most || (most_bytes < CHUNK_BYTES && (total < l->budget / 2 || !l->spill)))
			return 0;
		if ((rc = loader_flush(l, most, err)) < 0)
			return rc;
	}
}

static int count_bytes(struct og_loader *l, size_t n, struct og_error *err)
{
	int rc;

	l->since += n;
	if (l->since < OG_MIN(l->budget / 16, 1u * OG_MIB))
		return 0;
	l->since = 0;
	for (uint32_t i = 0; i < l->ntypes; i++)
		if ((rc = loader_group(l, &l->types[i], err)) < 0)
			return rc;
	return relieve(l, err);
}

int og_loader_feed(struct og_loader *l, struct og_slice bytes, bool last, struct og_error *err)
{
	size_t at = 0, used;
	int rc = 0;

	l->piece++;
	og_buf_slice(&l->window, bytes);
	if ((rc = og_buf_ok(&l->window, err)) < 0)
		return rc;
	if (l->window.len < l->need && !last)
		return 0;
	l->need = 0;
	for (;;) {
		struct og_slice rest = og_slice(l->window.data + at, l->window.len - at);
		size_t n = space(rest);

		advance(&l->pos, og_slice(rest.p, n));
		at += n;
		rest = og_slice(rest.p + n, rest.len - n);
		if (rest.len == 0)
			break;
		l->records++;
		rc = loader_record(l, rest, last, &used, err);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			/* Looked at again when as much again has come: linear however small the pieces. */
			l->records--;
			l->need = 2 * rest.len;
			break;
		}
		advance(&l->pos, og_slice(rest.p, used));
		at += used;
		if ((rc = count_bytes(l, used, err)) < 0)
			return rc;
	}
	if (at)
		og_buf_consume(&l->window, at);
	return 0;
}

/* ---- the end ---- */

static int end_type(struct og_loader *l, struct load_type *t, size_t *inlined, struct og_error *err)
{
	int rc;

	if (t->rows.rows == 0)
		return 0;
	if (t->chunked || loader_buffered(t) > 4 * INLINE_BYTES)
		return loader_flush(l, t, err);
	if ((rc = loader_dedupe(l, t, err)) < 0)
		return rc;
	loader_drop_nulls(t);
	if ((rc = og_change_encode(&t->rows, &t->body, err)) < 0 || (rc = og_buf_ok(&t->body, err)) < 0)
		return rc;
	if (t->body.len > INLINE_BYTES || *inlined + t->body.len > INLINE_TOTAL) {
		og_buf_fini(&t->body);
		return loader_flush(l, t, err);
	}
	*inlined += t->body.len;
	t->inlined = true;
	return 0;
}

int og_loader_end(struct og_loader *l, struct og_error *err)
{
	size_t inlined = 0;
	int rc;

	if (l->doomed) {
		*err = l->first;
		return err->code;
	}
	for (uint32_t i = 0; i < l->ntypes; i++)
		if (l->types[i].open && (rc = loader_close(l, &l->types[i], err)) < 0)
			return rc;
	if ((rc = loader_remap(l, err)) < 0)
		return rc;
	for (uint32_t i = 0; i < l->ntypes; i++)
		if ((rc = end_type(l, &l->types[i], &inlined, err)) < 0)
			return rc;
	return 0;
}
