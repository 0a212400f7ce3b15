/* Exports: the graph's part. One table after the other: its images are pinned, its rows sorted, then lines are pulled. */
#include "config.h"

#include "load/export.h"

#include <stdatomic.h>
#include <stdlib.h>

#define PIECE_BYTES (64u * OG_KIB)

struct og_export {
	struct og_ops *ops;
	struct og_arena arena;
	struct og_export_req req;	/* copied */
	og_export_cb ready;
	void *arg;
	unsigned busy;			/* callbacks that will come */
	bool held;			/* within og_op_export */
	bool told;			/* ready has had its error */
	atomic_bool dead;		/* freed when nothing comes any more */
	struct og_snap *snap;
	struct og_view *view;
	bool *tables;			/* still to come */
	uint32_t type;			/* of `table` */
	struct og_export_table *table;
	struct og_error err;
};

static void really_free(struct og_export *x)
{
	og_export_table_free(x->table);
	og_view_unref(x->view);
	og_snap_unref(x->snap);
	free(x->tables);
	og_arena_fini(&x->arena);
	free(x);
}

static void settle(struct og_export *x)
{
	if (x->dead && !x->busy && !x->held)
		really_free(x);
}

void og_export_free(struct og_export *x)
{
	if (!x)
		return;
	x->dead = true;
	settle(x);
}

static bool alive(struct og_export *x)
{
	x->busy--;
	if (!x->dead)
		return true;
	settle(x);
	return false;
}

static void fail(struct og_export *x, const struct og_error *err)
{
	struct og_error e = *err;

	x->told = true;
	x->ready(x->arg, NULL, &e);
	x->dead = true;
	settle(x);
}

static void tell_ready(struct og_export *x)
{
	struct og_error none = { 0 };

	x->ready(x->arg, x, &none);
}

/* ---- tables ---- */

static int sort_step(void *arg, uint64_t budget_us)
{
	struct og_export *x = arg;

	(void)budget_us;
	return og_export_table_new(x->view, x->type, &x->table, &x->err);
}

static void sort_done(void *arg)
{
	struct og_export *x = arg;

	if (!alive(x))
		return;
	if (x->err.code < 0)
		fail(x, &x->err);
	else
		tell_ready(x);
}

static void on_view(void *arg, struct og_view *v, const struct og_error *err)
{
	struct og_export *x = arg;
	const struct og_runner *r = og_ops_runner(x->ops);
	struct og_error e = { 0 };

	if (!alive(x))
		return;
	if (!v) {
		fail(x, err);
		return;
	}
	x->view = og_view_ref(v);
	x->busy++;
	if (r->run(r->arg, sort_step, sort_done, x, &e) < 0) {
		x->busy--;
		fail(x, &e);
	}
}

/* Begins with the next table. false: there is none. */
static bool next_table(struct og_export *x)
{
	const struct og_catalog *c = x->snap->catalog;
	uint32_t i = 0;
	struct og_need *needs;
	struct og_error e = { 0 };

	while (i < c->ntypes && !x->tables[i])
		i++;
	if (i == c->ntypes)
		return false;
	x->tables[i] = false;
	x->type = i;
	og_export_table_free(x->table);
	x->table = NULL;
	og_view_unref(x->view);
	x->view = NULL;
	needs = calloc(c->types[i].nprops + 4, sizeof(*needs));
	if (!needs) {
		og_error_nomem(&e);
		fail(x, &e);
		return true;
	}
	x->busy++;
	og_graph_pin(x->snap, needs, og_export_needs(c, &c->types[i], needs), on_view, x);
	free(needs);
	return true;
}

static void on_state(void *arg, struct og_snap *snap, const struct og_error *err)
{
	struct og_export *x = arg;
	struct og_error e = { 0 };

	if (!alive(x))
		return;
	if (!snap) {
		fail(x, err);
		return;
	}
	x->snap = og_snap_ref(snap);
	x->tables = calloc(snap->catalog->ntypes ? snap->catalog->ntypes : 1, sizeof(*x->tables));
	if (!x->tables) {
		og_error_nomem(&e);
		fail(x, &e);
	} else if (og_export_select(snap->catalog, &x->req, x->tables, &e) < 0) {
		fail(x, &e);
	} else if (!next_table(x)) {
		tell_ready(x);
	}
}

int og_export_next(struct og_export *x, struct og_buf *out, struct og_error *err)
{
	int rc = OG_EXPORT_END;

	if (x->table) {
		rc = og_export_table_next(x->table, out, PIECE_BYTES, err);
		if (rc != OG_EXPORT_END)
			return rc;
	}
	x->held = true;
	rc = next_table(x) ? OG_EXPORT_WAIT : OG_EXPORT_END;
	x->held = false;
	settle(x);
	return rc;
}

/* ---- entry ---- */

static int copy_list(struct og_arena *a, const struct og_slice *in, size_t n, const struct og_slice **out, struct og_error *err)
{
	struct og_slice *v = og_arena_array(a, n ? n : 1, sizeof(*v));

	if (!v)
		return og_arena_error(a, err);
	for (size_t i = 0; i < n; i++) {
		v[i] = og_arena_slice(a, in[i]);
		if (!v[i].p)
			return og_arena_error(a, err);
	}
	*out = v;
	return 0;
}

static int copy_req(struct og_export *x, const struct og_export_req *req, struct og_error *err)
{
	int rc;

	x->req = *req;
	if (req->branch.p) {
		x->req.branch = og_arena_slice(&x->arena, req->branch);
		if (!x->req.branch.p)
			return og_arena_error(&x->arena, err);
	}
	if ((rc = copy_list(&x->arena, req->type_names, req->ntype_names, &x->req.type_names, err)) < 0)
		return rc;
	return copy_list(&x->arena, req->table_keys, req->ntable_keys, &x->req.table_keys, err);
}

struct og_export *og_op_export(struct og_ops *o, const struct og_export_req *req, og_export_cb ready, void *arg)
{
	struct og_export *x = calloc(1, sizeof(*x));
	struct og_error err = { 0 };
	bool told;

	if (!x) {
		og_error_nomem(&err);
		ready(arg, NULL, &err);
		return NULL;
	}
	x->ops = o;
	x->ready = ready;
	x->arg = arg;
	x->held = true;
	og_arena_init(&x->arena, 0);
	if (copy_req(x, req, &err) < 0) {
		fail(x, &err);
	} else {
		x->busy++;
		og_graph_state(og_ops_graph(o), OG_LOOK_RECENT, x->req.branch, og_slice(NULL, 0), on_state, x);
	}
	told = x->told;
	x->held = false;
	settle(x);
	return told ? NULL : x;
}
