/* Judges a history by the log. */
#include "config.h"

#include "t/fault/sim_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct branch {
	struct og_ulid id, from, fork;
	struct og_slice name;
	uint64_t born, died;		/* seq; died UINT64_MAX: alive */
	struct og_ulid head;
	uint64_t version;
	uint64_t rows;			/* of type 1 */
};

struct commit {
	struct og_ulid id;
	struct commit *parent;		/* NULL: the genesis */
	struct branch *branch;
	uint64_t seq, version;
	uint64_t rows;			/* of type 1, afterwards */
	uint64_t tables[SIM_TYPES + 1];	/* versions afterwards */
	const struct og_record *r;	/* NULL: the genesis */
	const uint64_t *w;
	size_t nw;
};

struct model {
	struct og_arena arena;
	struct branch *branches[256];
	size_t nbranches;
	struct commit **commits;
	size_t ncommits, cap;
	struct og_map by_id;		/* every id that the log brought -> index in commits, or of a branch */
	uint64_t last;
	char why[512];
};

static bool wrong(struct model *m, const char *fmt, ...) OG_PRINTF(2, 3);

static bool wrong(struct model *m, const char *fmt, ...)
{
	va_list ap;

	if (m->why[0])
		return false;
	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
	return false;
}

static struct og_slice id_slice(const struct og_ulid *id)
{
	return og_slice((const char *)id->b, sizeof(id->b));
}

struct sim_op *sim_op_new(struct sim_ops *ops)
{
	struct sim_op *op = calloc(1, sizeof(*op));

	if (ops->n == ops->cap) {
		ops->cap = ops->cap ? 2 * ops->cap : 256;
		ops->v = reallocarray(ops->v, ops->cap, sizeof(*ops->v));
	}
	if (!op || !ops->v)
		abort();
	return ops->v[ops->n++] = op;
}

void sim_ops_fini(struct sim_ops *ops)
{
	for (size_t i = 0; i < ops->n; i++)
		free(ops->v[i]);
	free(ops->v);
	*ops = (struct sim_ops){ 0 };
}

/* ---- the log ---- */

static struct branch *branch_of(struct model *m, const struct og_ulid *id)
{
	for (size_t i = 0; i < m->nbranches; i++)
		if (!og_ulid_cmp(&m->branches[i]->id, id))
			return m->branches[i];
	return NULL;
}

static struct commit *commit_of(const struct model *m, const struct og_ulid *id)
{
	for (size_t i = m->ncommits; i-- > 0;)
		if (!og_ulid_cmp(&m->commits[i]->id, id))
			return m->commits[i];
	return NULL;
}

static struct commit *commit_new(struct model *m)
{
	struct commit *c = og_arena_alloc(&m->arena, sizeof(*c));

	m->commits = og_arena_grow(&m->arena, m->commits, &m->cap, m->ncommits + 1, sizeof(*m->commits));
	if (!c || !m->commits)
		abort();
	memset(c, 0, sizeof(*c));
	return m->commits[m->ncommits++] = c;
}

static struct branch *branch_new(struct model *m)
{
	struct branch *b = og_arena_alloc(&m->arena, sizeof(*b));

	if (!b || m->nbranches == OG_COUNT(m->branches))
		abort();
	memset(b, 0, sizeof(*b));
	b->died = UINT64_MAX;
	return m->branches[m->nbranches++] = b;
}

static bool take_commit(struct model *m, const struct og_logobj *o, const struct og_record *r)
{
	struct branch *b = branch_of(m, &r->commit.branch);
	struct commit *c, *parent = commit_of(m, &r->commit.parent);
	struct og_slice body;
	struct og_error err = { 0 };

	if (!b || b->died != UINT64_MAX || !parent || og_ulid_cmp(&b->head, &r->commit.parent))
		return wrong(m, "log object %llu: a commit beside its branch's line", (unsigned long long)o->seq);
	if (r->commit.version != b->version + 1)
		return wrong(m, "log object %llu: version %llu after %llu", (unsigned long long)o->seq,
			     (unsigned long long)r->commit.version, (unsigned long long)b->version);
	c = commit_new(m);
	c->id = r->id;
	c->parent = parent;
	c->branch = b;
	c->seq = o->seq;
	c->version = ++b->version;
	c->r = r;
	c->rows = parent->rows;
	memcpy(c->tables, parent->tables, sizeof(c->tables));
	for (size_t i = 0; i < r->commit.ntables; i++) {
		const struct og_table_change *t = &r->commit.tables[i];

		if (t->type > SIM_TYPES || t->version != ++c->tables[t->type])
			return wrong(m, "log object %llu: version of type %u", (unsigned long long)o->seq, t->type);
		if (t->type == 1)
			c->rows = (uint64_t)((int64_t)c->rows + t->dn);
	}
	if (r->commit.keys_body != OG_NO_BODY &&
	    (og_logobj_body(o, r->commit.keys_body, &body, &err) < 0 || og_keys_decode(&m->arena, body, &c->w, &c->nw, &err) < 0))
		return wrong(m, "log object %llu: %s", (unsigned long long)o->seq, err.message);
	b->head = c->id;
	b->rows = c->rows;
	return true;
}

static bool take_create(struct model *m, uint64_t seq, const struct og_record *r)
{
	struct branch *from = branch_of(m, &r->create.from), *b;

	if (!from || from->died != UINT64_MAX || og_ulid_cmp(&from->head, &r->create.fork))
		return wrong(m, "log object %llu: a branch made from no head", (unsigned long long)seq);
	for (size_t i = 0; i < m->nbranches; i++)
		if (m->branches[i]->died == UINT64_MAX && !og_slice_cmp(m->branches[i]->name, r->create.name))
			return wrong(m, "log object %llu: two branches of one name", (unsigned long long)seq);
	b = branch_new(m);
	b->id = r->id;
	b->name = r->create.name;
	b->from = from->id;
	b->head = b->fork = from->head;
	b->version = from->version;
	b->rows = from->rows;
	b->born = seq;
	return true;
}

static bool take_delete(struct model *m, uint64_t seq, const struct og_record *r)
{
	struct branch *b = branch_of(m, &r->branch);

	if (!b || b == m->branches[0] || b->died != UINT64_MAX)
		return wrong(m, "log object %llu: a delete of no branch", (unsigned long long)seq);
	for (size_t i = 0; i < m->nbranches; i++)
		if (m->branches[i]->died == UINT64_MAX && !og_ulid_cmp(&m->branches[i]->from, &b->id))
			return wrong(m, "log object %llu: a child lost its parent", (unsigned long long)seq);
	b->died = seq;
	return true;
}

static bool take_object(struct model *m, const struct og_logobj *o)
{
	for (size_t i = 0; i < o->nrecords; i++) {
		const struct og_record *r = &o->records[i];
		struct og_map_entry *e;
		bool fresh;

		e = og_map_put(&m->by_id, id_slice(&r->id), &fresh);
		if (!e || !fresh)
			return wrong(m, "log object %llu: a record that was there before", (unsigned long long)o->seq);
		e->value = o->seq;
		if ((r->kind == OG_REC_COMMIT && !take_commit(m, o, r)) || (r->kind == OG_REC_CREATE && !take_create(m, o->seq, r)) ||
		    (r->kind == OG_REC_DELETE && !take_delete(m, o->seq, r)))
			return false;
	}
	return true;
}

static bool read_log(struct model *m, const struct sim_bucket *b, const struct og_genesis *g)
{
	struct og_sha256 prev = g->digest;
	struct branch *main_branch = branch_new(m);
	struct commit *c = commit_new(m);

	main_branch->id = g->graph;
	main_branch->name = OG_SLICE("main");
	main_branch->head = c->id = g->id;
	main_branch->version = c->version = 1;
	c->branch = main_branch;
	for (size_t t = 1; t <= SIM_TYPES; t++)
		c->tables[t] = 1;
	for (m->last = 0;; m->last++) {
		const struct sim_object *at = sim_log_object(b, m->last + 1);
		struct og_logobj *o = og_arena_alloc(&m->arena, sizeof(*o));
		struct og_error err = { 0 };

		if (!o)
			abort();
		if (!at)
			break;
		if (og_logobj_decode(&m->arena, og_slice(at->bytes, at->len), o, &err) < 0)
			return wrong(m, "log object %llu: %s", (unsigned long long)m->last + 1, err.message);
		if (o->seq != m->last + 1 || !og_sha256_eq(&o->prev, &prev) || og_ulid_cmp(&o->graph, &g->graph))
			return wrong(m, "log object %llu does not follow", (unsigned long long)m->last + 1);
		prev = o->digest;
		if (!take_object(m, o))
			return false;
	}
	if (b->landed != m->last)
		return wrong(m, "%llu objects were put, the log ends at %llu", (unsigned long long)b->landed, (unsigned long long)m->last);
	return true;
}

/* ---- the state that the journal makes of it ---- */

static bool check_state(struct model *m, const struct og_state *s)
{
	size_t live = 0;

	if (s->seq != m->last)
		return wrong(m, "opened at %llu, the log ends at %llu", (unsigned long long)s->seq, (unsigned long long)m->last);
	for (size_t i = 0; i < m->nbranches; i++) {
		const struct branch *b = m->branches[i];
		const struct og_branch *o = og_state_branch(s, &b->id);

		if (b->died != UINT64_MAX)
			continue;
		live++;
		if (!o || !o->live || og_ulid_cmp(&o->head, &b->head) || o->version != b->version || og_slice_cmp(o->name, b->name) ||
		    og_branch_table(o, 1)->rows != b->rows)
			return wrong(m, "branch '%.*s' is opened as another", OG_FMT(b->name));
	}
	if (s->nlive != live)
		return wrong(m, "%zu live branches are opened, the log has %zu", s->nlive, live);
	for (size_t i = 0; i < m->ncommits; i++)
		if (!og_state_commit_find(s, &m->commits[i]->id))
			return wrong(m, "a commit of log object %llu is not in the history", (unsigned long long)m->commits[i]->seq);
	return true;
}

/* ---- operations ---- */

static bool alive(const struct branch *b, uint64_t at)
{
	return b && b->born <= at && at < b->died;
}

static bool named_at(const struct model *m, const char *name, uint64_t at)
{
	for (size_t i = 0; i < m->nbranches; i++)
		if (alive(m->branches[i], at) && og_slice_is(m->branches[i]->name, name))
			return true;
	return false;
}

static bool child_at(const struct model *m, const struct og_ulid *id, uint64_t at)
{
	for (size_t i = 0; i < m->nbranches; i++)
		if (alive(m->branches[i], at) && !og_ulid_cmp(&m->branches[i]->from, id))
			return true;
	return false;
}

/* The head of b after log object `at`. */
static const struct og_ulid *head_at(const struct model *m, const struct branch *b, uint64_t at)
{
	const struct og_ulid *head = b == m->branches[0] ? &m->commits[0]->id : &b->fork;

	for (size_t i = 1; i < m->ncommits; i++)
		if (m->commits[i]->branch == b && m->commits[i]->seq <= at)
			head = &m->commits[i]->id;
	return head;
}

static bool refusal_holds(struct model *m, const struct sim_op *op, uint64_t at)
{
	struct branch *b = branch_of(m, &op->branch), *source = branch_of(m, &op->merged_branch);

	switch (op->code) {
	case OG_ERR_NOT_FOUND:
		return !alive(b, at) || (op->kind == SIM_MERGE && !alive(source, at));
	case OG_ERR_MISMATCH:
		return op->has_expect && b && og_ulid_cmp(head_at(m, b, at), &op->expect) != 0;
	case OG_ERR_CONFLICT:
		return op->kind == SIM_CREATE ? named_at(m, op->name, at) : op->kind == SIM_DELETE && child_at(m, &op->branch, at);
	case OG_ERR_UNAVAILABLE:
	case OG_ERR_IO:
	case OG_ERR_GONE:
		return true;	/* of the store, not of the graph */
	}
	return false;
}

static const char *kind_name(enum sim_op_kind k)
{
	static const char *const names[] = { "commit", "merge", "create", "delete", "read", "snapshot" };

	return names[k];
}

#define OP_FMT "%s of host %u at %.3f s"
#define OP_ARG(op) kind_name((op)->kind), (op)->host, (double)(op)->start / 1e6

static bool meets(const uint64_t *a, size_t na, const uint64_t *b, size_t nb)
{
	for (size_t i = 0; i < na; i++)
		for (size_t k = 0; k < nb; k++)
			if (a[i] == b[k])
				return true;
	return false;
}

static uint32_t touched(const struct commit *c)
{
	uint32_t t = 0;

	for (size_t i = 0; i < c->r->commit.ntables; i++)
		t |= 1u << c->r->commit.tables[i].type;
	return t;
}

/* It landed: nothing between its base and it touched what it depends on. */
static bool check_landed(struct model *m, const struct sim_op *op, const struct commit *c)
{
	if (og_ulid_cmp(&c->branch->id, &op->branch))
		return wrong(m, OP_FMT " landed on another branch", OP_ARG(op));
	if (op->has_expect && og_ulid_cmp(&c->parent->id, &op->expect))
		return wrong(m, OP_FMT " landed on a head that it did not expect", OP_ARG(op));
	for (const struct commit *k = c->parent; og_ulid_cmp(&k->id, &op->base); k = k->parent) {
		if (!k->parent)
			return wrong(m, OP_FMT " landed on a line without its base", OP_ARG(op));
		if (touched(k) & (op->strict | op->scanned))
			return wrong(m, OP_FMT " landed over a commit that touched what it read", OP_ARG(op));
		if (meets(k->w, k->nw, op->r, op->nr) || meets(k->w, k->nw, op->w, op->nw))
			return wrong(m, OP_FMT " landed over a commit that wrote its keys", OP_ARG(op));
	}
	return true;
}

/* 409: a commit behind the base touched a strict type, and the numbers are those of the line. */
static bool check_conflict(struct model *m, const struct sim_op *op)
{
	const struct branch *b = branch_of(m, &op->branch);
	const struct commit *base = commit_of(m, &op->base);

	if (!b || !base || !(op->strict & 1u << op->type))
		return wrong(m, OP_FMT ": a conflict about nothing", OP_ARG(op));
	if (op->expected != base->tables[op->type])
		return wrong(m, OP_FMT ": expected %llu, the base has %llu", OP_ARG(op), (unsigned long long)op->expected,
			     (unsigned long long)base->tables[op->type]);
	for (size_t i = 1; i < m->ncommits; i++) {
		const struct commit *c = m->commits[i];

		if (c->branch == b && c->seq <= op->after && c->tables[op->type] == op->actual && op->actual > op->expected)
			return true;
	}
	return wrong(m, OP_FMT ": a conflict with version %llu, which is not there", OP_ARG(op), (unsigned long long)op->actual);
}

static bool check_refused(struct model *m, const struct sim_op *op)
{
	for (uint64_t at = op->before; at <= OG_MIN(op->after, m->last); at++)
		if (refusal_holds(m, op, at))
			return true;
	return wrong(m, OP_FMT " was refused and need not have been: %s (states %llu to %llu)", OP_ARG(op), op->message,
		     (unsigned long long)op->before, (unsigned long long)op->after);
}

/* Of a read, a snapshot: version and rows that were shown are those of the commit. */
static bool check_shown(struct model *m, const struct sim_op *op)
{
	const struct commit *c = commit_of(m, &op->base);

	if (!op->shown)
		return true;
	if (!c)
		return wrong(m, OP_FMT " showed a commit that is not there", OP_ARG(op));
	if (c->version != op->version || c->rows != op->rows)
		return wrong(m, OP_FMT " showed version %llu with %llu rows; it is %llu with %llu", OP_ARG(op),
			     (unsigned long long)op->version, (unsigned long long)op->rows, (unsigned long long)c->version,
			     (unsigned long long)c->rows);
	return true;
}

static bool check_write(struct model *m, const struct sim_op *op)
{
	struct og_map_entry *e = og_map_find(&m->by_id, id_slice(&op->id));
	bool acked = op->end && !op->died && op->outcome == OG_COMMITTED;
	bool unknown = op->died || !op->end || op->outcome == OG_COMMIT_UNKNOWN;
	const struct commit *c;

	if (acked && (!e || e->value != op->seq))
		return wrong(m, OP_FMT " was acknowledged in log object %llu and is not there", OP_ARG(op), (unsigned long long)op->seq);
	if (!acked && !unknown && e)
		return wrong(m, OP_FMT " was refused (%s) and is in log object %llu", OP_ARG(op), op->message,
			     (unsigned long long)e->value);
	if (e && e->value <= op->before)
		return wrong(m, OP_FMT " landed before what was there already", OP_ARG(op));
	if (e && (op->kind == SIM_COMMIT || op->kind == SIM_MERGE)) {
		c = commit_of(m, &op->id);
		return c ? check_landed(m, op, c) : wrong(m, OP_FMT " landed as something else", OP_ARG(op));
	}
	if (acked || unknown)
		return true;
	switch (op->outcome) {
	case OG_CONFLICT:
		return check_conflict(m, op);
	case OG_COMMIT_FAILED:
		return check_refused(m, op);
	case OG_REEVALUATE:
		return true;
	case OG_COMMITTED:
	case OG_COMMIT_UNKNOWN:
		break;
	}
	return wrong(m, OP_FMT ": an outcome that is none", OP_ARG(op));
}

static bool check_ops(struct model *m, const struct sim_ops *ops)
{
	for (size_t i = 0; i < ops->n; i++) {
		const struct sim_op *op = ops->v[i];

		switch (op->kind) {
		case SIM_READ:
		case SIM_SNAPSHOT:
			if (!check_shown(m, op))
				return false;
			break;
		case SIM_COMMIT:
		case SIM_MERGE:
		case SIM_CREATE:
		case SIM_DELETE:
			if (!check_write(m, op))
				return false;
			break;
		}
	}
	return true;
}

const char *sim_check(const struct sim_bucket *b, const struct og_genesis *g, const struct og_state *s, const struct sim_ops *ops)
{
	static char why[512];
	struct model *m = calloc(1, sizeof(*m));
	bool ok;

	if (!m)
		abort();
	og_arena_init(&m->arena, 0);
	ok = read_log(m, b, g) && check_ops(m, ops) && check_state(m, s);
	snprintf(why, sizeof(why), "%s", m->why);
	og_map_fini(&m->by_id);
	og_arena_fini(&m->arena);
	free(m);
	return ok ? NULL : why;
}
