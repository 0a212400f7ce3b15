/* Any bytes are queries or an error; what was parsed can be checked, and what was checked can be bound and evaluated. */
#include "config.h"

#include <stdlib.h>

#include "gq/gq.h"
#include "t/fuzz/driver.h"

static const char schema[] =
	"node Vessel { code: String @key  name: String @index  tonnage: I32?  flags: [String]?  built: Date?  seen: DateTime? "
	"hull: Vector(4)?  plan: Blob?  kind: enum(tug, ferry)?  width: F32? }"
	"node Port { code: String @key  city: String }  node Pilot { name: String }"
	"edge DocksAt: Vessel -> Port { berth: I32?  note: String? }  edge Tows: Vessel -> Vessel  edge Guides: Pilot -> Vessel";

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void evaluate(struct og_arena *a, const struct gq_query *q)
{
	struct gq_bindings b;
	struct og_value v;
	struct og_error err;

	require(gq_bind(a, q, NULL, &b, &err) == 0 && b.n == q->nparams);
	(void)!gq_require_params(q, &b, &err);
	for (uint32_t i = 0; i < q->nstmts; i++) {
		for (uint32_t j = 0; j < q->stmts[i].nassigns; j++) {
			const struct gq_pmatch *m = &q->stmts[i].assigns[j];

			(void)!gq_eval_const(a, q, &b, m->value, m->prop ? &m->prop->type : NULL, &v, &err);
		}
	}
}

/* Every index that the checker set stays within its array. */
static void look_at(const struct gq_read *r, const struct gq_clause *clauses, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct gq_clause *c = &clauses[i];

		if (c->kind == GQ_NOT)
			look_at(r, c->inner, c->ninner);
		if (c->kind == GQ_BINDING)
			require((uint32_t)c->var < r->nvars && r->vars[c->var].type == c->type);
		if (c->kind != GQ_TRAVERSAL)
			continue;
		require((uint32_t)c->left < r->nvars && (uint32_t)c->right < r->nvars && c->type->kind == OG_EDGE);
		require(c->edge_var < 0 || ((uint32_t)c->edge_var < r->nvars && r->vars[c->edge_var].is_edge));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct og_catalog *catalog = NULL;
	struct gq_file f = { 0 };
	struct og_arena a;
	struct og_error err;

	og_arena_init(&a, 0);
	require(og_catalog_compile(OG_SLICE(schema), NULL, 0, &catalog, &err) == 0);
	if (gq_parse(&a, og_slice(data, size), &f, &err) < 0)
		require(err.code == OG_ERR_BAD);
	for (uint32_t i = 0; i < f.nqueries; i++) {
		struct gq_query *q = &f.queries[i];

		if (gq_check(&a, q, catalog, &err) < 0) {
			require(err.code == OG_ERR_BAD);
			continue;
		}
		look_at(&q->read, q->read.clauses, q->read.nclauses);
		evaluate(&a, q);
	}
	og_catalog_unref(catalog);
	og_arena_fini(&a);
	return 0;
}
