/*
 * One record: JSON into the columns of its type. A record without any trouble is read straight from its tokens; any other (members repeated or in an
 * unusual order, values of a wrong type, broken constraints) is put back and read again as a tree, which tells exactly what is wrong.
 */
#include "config.h"

#include "load/loader.h"

#include <math.h>
#include <stdlib.h>

#include "base/date.h"
#include "base/utf8.h"
#include "json/tree.h"

/* Results of the straight way, beside negative ones. */
enum { SHORT = 0, DONE = 1, TROUBLE = 2 };

struct record {
	struct load_type *t;
	const struct og_type *type;
	struct og_slice from, to, id;	/* p NULL: not there */
	bool data;
	size_t row;			/* where its values go */
	uint32_t found;			/* properties that have their value */
};

/* ---- rows ---- */

/* Takes back what was appended for a row that is not complete. */
static void undo(struct load_type *t)
{
	struct og_change *c = &t->rows;

	og_colvec_truncate(&c->id, OG_MIN(c->id.rows, c->rows));
	og_colvec_truncate(&c->src, OG_MIN(c->src.rows, c->rows));
	og_colvec_truncate(&c->dst, OG_MIN(c->dst.rows, c->rows));
	for (uint32_t i = 0; i < t->type->nprops; i++)
		og_colvec_truncate(&c->props[i], OG_MIN(c->props[i].rows, c->rows));
}

static int row_ok(const struct load_type *t, struct og_error *err)
{
	const struct og_change *c = &t->rows;
	int rc = 0;

	if (c->id.failed | c->src.failed | c->dst.failed) {
		if ((rc = og_colvec_ok(&c->id, err)) == 0 && (rc = og_colvec_ok(&c->src, err)) == 0)
			rc = og_colvec_ok(&c->dst, err);
		return rc;
	}
	for (uint32_t i = 0; rc == 0 && i < t->type->nprops; i++)
		if (c->props[i].failed)
			rc = og_colvec_ok(&c->props[i], err);
	return rc;
}

/* Room for one more row beside the columns. */
static int grow_meta(struct load_type *t, struct og_error *err)
{
	size_t cap = t->meta_cap ? t->meta_cap * 2 : 256;
	struct load_meta *meta;

	if (t->rows.rows < t->meta_cap)
		return 0;
	meta = realloc(t->meta, cap * sizeof(*meta));
	if (!meta)
		return og_error_nomem(err);
	t->meta = meta;
	t->meta_cap = cap;
	return 0;
}

static int count_record(struct load_type *t, struct og_error *err)
{
	if (t->records == INT32_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "more than %d records of %.*s in one load", INT32_MAX, OG_FMT(t->type->name));
	t->used = true;
	t->records++;
	return 0;
}

static int commit_row(struct og_loader *l, struct load_type *t, bool generated, struct og_error *err)
{
	uint64_t line = l->pos.line;
	int rc = row_ok(t, err);

	if (rc == 0)
		rc = grow_meta(t, err);
	if (rc == 0)
		rc = count_record(t, err);
	if (rc < 0 || l->doomed) {
		undo(t);
		return rc;
	}
	t->named |= !generated;
	t->meta[t->rows.rows++] = (struct load_meta){ line > UINT32_MAX ? UINT32_MAX : (uint32_t)line, t->records - 1, generated };
	return 0;
}

/* ---- the straight way: values ---- */

static int direct_number(struct og_colvec *c, enum og_scalar s, const struct og_json_reader *r)
{
	bool i64 = r->kind == OG_JSON_I64;
	double f;

	switch (s) {
	case OG_I32:
	case OG_DATE:
		if (!i64 || r->i < INT32_MIN || r->i > INT32_MAX)
			return TROUBLE;
		og_colvec_append_i32(c, (int32_t)r->i);
		return DONE;
	case OG_I64:
	case OG_DATETIME:
		if (!i64)
			return TROUBLE;
		og_colvec_append_i64(c, r->i);
		return DONE;
	case OG_U32:
		if (!i64 || r->i < 0 || r->i > UINT32_MAX)
			return TROUBLE;
		og_colvec_append_u32(c, (uint32_t)r->i);
		return DONE;
	case OG_U64:
		if (r->kind == OG_JSON_F64 || (i64 && r->i < 0))
			return TROUBLE;
		og_colvec_append_u64(c, r->u);
		return DONE;
	case OG_F32:
	case OG_F64:
		f = r->kind == OG_JSON_F64 ? r->f : i64 ? (double)r->i : (double)r->u;
		if (s == OG_F64) {
			og_colvec_append_f64(c, f);
			return DONE;
		}
		if (!isfinite((float)f))
			return TROUBLE;
		og_colvec_append_f32(c, (float)f);
		return DONE;
	case OG_STRING:
	case OG_BOOL:
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	return TROUBLE;
}

static int direct_string(struct og_colvec *c, const struct og_type *t, const struct og_property *p, struct og_slice s)
{
	struct og_value v = { .kind = OG_V_STRING, .s = s };
	struct og_error ignored;
	int32_t days;
	int64_t ms;

	switch (p->type.scalar) {
	case OG_STRING:
		if (p->type.nenum && og_rules_enum(t, p, &v, &ignored) < 0)
			return TROUBLE;
		og_colvec_append_str(c, s);
		return DONE;
	case OG_DATE:
		if (!og_date_parse(s, &days))
			return TROUBLE;
		og_colvec_append_i32(c, days);
		return DONE;
	case OG_DATETIME:
		if (!og_datetime_parse(s, &ms))
			return TROUBLE;
		og_colvec_append_i64(c, ms);
		return DONE;
	case OG_BOOL:
	case OG_I32:
	case OG_I64:
	case OG_U32:
	case OG_U64:
	case OG_F32:
	case OG_F64:
	case OG_VECTOR:
	case OG_BLOB:
		break;
	}
	return TROUBLE;
}

/* The array has been opened. */
static int direct_vector(struct og_loader *l, struct og_colvec *c, uint32_t dim, struct og_json_reader *r, struct og_error *err)
{
	float *v = og_arena_alloc(&l->arena, (size_t)dim * sizeof(*v));
	int tok;

	if (!v)
		return og_arena_error(&l->arena, err);
	for (uint32_t i = 0; i < dim; i++) {
		tok = og_json_next(r, err);
		if (tok <= OG_JSON_MORE)
			return tok < 0 ? tok : SHORT;
		if (tok != OG_JSON_NUMBER)
			return TROUBLE;
		v[i] = (float)(r->kind == OG_JSON_F64 ? r->f : r->kind == OG_JSON_I64 ? (double)r->i : (double)r->u);
		if (!isfinite(v[i]))
			return TROUBLE;
	}
	tok = og_json_next(r, err);
	if (tok <= OG_JSON_MORE)
		return tok < 0 ? tok : SHORT;
	if (tok != OG_JSON_ARRAY_END)
		return TROUBLE;
	og_colvec_append_vec(c, v);
	return DONE;
}

/* Lists and blobs by way of a tree of this one value. */
static int tree_value(struct og_loader *l, struct og_colvec *c, const struct og_property *p, struct og_json_reader *r, int tok, const char *from,
		      struct og_error *err)
{
	struct og_error ignored = { 0 };
	struct og_json *j;
	struct og_value v;

	tok = og_json_skip(r, tok, err);
	if (tok <= OG_JSON_MORE)
		return tok < 0 ? tok : SHORT;
	j = og_json_parse(&l->arena, og_slice(from, (size_t)(r->p - from)), OG_JSON_LAST_WINS, &ignored);
	if (!j || og_prop_from_json(&l->arena, p, j, &v, &ignored) < 0 || (v.kind == OG_V_NULL && !p->type.nullable))
		return TROUBLE;
	og_colvec_append(c, &v);
	return DONE;
}

static int direct_value(struct og_loader *l, struct record *rec, uint32_t prop, struct og_json_reader *r, struct og_error *err)
{
	const struct og_property *p = &rec->type->props[prop];
	struct og_colvec *c = &rec->t->rows.props[prop];
	const char *from = r->p;
	int tok = og_json_next(r, err);

	if (tok <= OG_JSON_MORE)
		return tok < 0 ? tok : SHORT;
	if (tok == OG_JSON_NULL) {
		if (!p->type.nullable)
			return TROUBLE;
		og_colvec_append_null(c);
		return DONE;
	}
	if (p->type.list || p->type.scalar == OG_BLOB)
		return tree_value(l, c, p, r, tok, from, err);
	if (tok == OG_JSON_STRING)
		return direct_string(c, rec->type, p, r->text);
	if (tok == OG_JSON_NUMBER)
		return direct_number(c, p->type.scalar, r);
	if (tok == OG_JSON_ARRAY && p->type.scalar == OG_VECTOR)
		return direct_vector(l, c, p->type.dim, r, err);
	if ((tok == OG_JSON_TRUE || tok == OG_JSON_FALSE) && p->type.scalar == OG_BOOL) {
		og_colvec_append_bool(c, tok == OG_JSON_TRUE);
		return DONE;
	}
	return TROUBLE;
}

/* ---- the straight way: members ---- */

/* Index of a property, or UINT32_MAX. The members of most records come in the order of the record before. */
static uint32_t find_prop(struct load_type *t, uint32_t place, struct og_slice name)
{
	const struct og_type *type = t->type;
	const struct og_property *p;

	if (place < t->norder && og_slice_eq(type->props[t->order[place]].name, name))
		return t->order[place];
	p = og_type_property(type, name);
	if (!p)
		return UINT32_MAX;
	if (place < type->nprops) {
		/* Places skipped by records without any property there stay as they were. */
		while (t->norder <= place)
			t->order[t->norder++] = p->index;
		t->order[place] = p->index;
	}
	return p->index;
}

/* Reads past a value. */
static int pass(struct og_json_reader *r, struct og_error *err)
{
	int tok = og_json_next(r, err);

	if (tok > OG_JSON_MORE)
		tok = og_json_skip(r, tok, err);
	if (tok <= OG_JSON_MORE)
		return tok < 0 ? tok : SHORT;
	return DONE;
}

static int direct_id(struct record *rec, struct og_json_reader *r, struct og_error *err)
{
	int tok = og_json_next(r, err);

	if (tok <= OG_JSON_MORE)
		return tok < 0 ? tok : SHORT;
	if (rec->id.p || (tok != OG_JSON_STRING && tok != OG_JSON_NULL))
		return TROUBLE;
	if (tok == OG_JSON_STRING)
		rec->id = r->text;
	return DONE;
}

/* The object `data`, which has been opened. */
static int direct_data(struct og_loader *l, struct record *rec, struct og_json_reader *r, struct og_error *err)
{
	struct load_type *t = rec->t;
	uint32_t place = 0, prop;
	int tok, rc;

	for (;;) {
		tok = og_json_next(r, err);
		if (tok <= OG_JSON_MORE)
			return tok < 0 ? tok : SHORT;
		if (tok == OG_JSON_OBJECT_END)
			return DONE;
		if (r->text.len == 2 && memcmp(r->text.p, "id", 2) == 0) {
			if ((rc = direct_id(rec, r, err)) != DONE)
				return rc;
			continue;
		}
		prop = find_prop(t, place, r->text);
		if (prop == UINT32_MAX) {
			if ((rc = pass(r, err)) != DONE)
				return rc;
			continue;
		}
		place++;
		if (t->seen[prop] == t->serial)
			return TROUBLE;		/* repeated: the last one counts */
		if ((rc = direct_value(l, rec, prop, r, err)) != DONE)
			return rc;
		t->seen[prop] = t->serial;
		rec->found++;
	}
}

static struct load_type *find_type(struct og_loader *l, bool edge, struct og_slice name)
{
	struct load_type *last = l->last[edge];
	const struct og_type *type;

	if (last && og_slice_eq(last->type->name, name))
		return last;
	type = edge ? og_catalog_edge(l->catalog, name) : og_catalog_node(l->catalog, name);
	if (!type)
		return NULL;
	return l->last[edge] = &l->types[type->index];
}

static int direct_type(struct og_loader *l, struct record *rec, bool edge, struct og_json_reader *r, struct og_error *err)
{
	int tok = og_json_next(r, err);

	if (tok <= OG_JSON_MORE)
		return tok < 0 ? tok : SHORT;
	if (tok != OG_JSON_STRING || rec->t)
		return TROUBLE;
	rec->t = find_type(l, edge, r->text);
	if (!rec->t)
		return TROUBLE;
	rec->type = rec->t->type;
	rec->row = rec->t->rows.rows;
	rec->t->serial++;
	return DONE;
}

static int direct_text(struct og_slice *out, struct og_json_reader *r, struct og_error *err)
{
	int tok = og_json_next(r, err);

	if (tok <= OG_JSON_MORE)
		return tok < 0 ? tok : SHORT;
	if (tok != OG_JSON_STRING || out->p)
		return TROUBLE;
	*out = r->text;
	return DONE;
}

static int direct_member(struct og_loader *l, struct record *rec, struct og_json_reader *r, struct og_error *err)
{
	struct og_slice key = r->text;
	int tok;

	if (og_slice_is(key, "type"))
		return direct_type(l, rec, false, r, err);
	if (og_slice_is(key, "edge"))
		return direct_type(l, rec, true, r, err);
	if (og_slice_is(key, "from"))
		return direct_text(&rec->from, r, err);
	if (og_slice_is(key, "to"))
		return direct_text(&rec->to, r, err);
	if (!og_slice_is(key, "data"))
		return pass(r, err);
	if (!rec->t || rec->data)
		return TROUBLE;
	rec->data = true;
	tok = og_json_next(r, err);
	if (tok == OG_JSON_OBJECT)
		return direct_data(l, rec, r, err);
	if (tok > OG_JSON_MORE)
		tok = og_json_skip(r, tok, err);
	if (tok <= OG_JSON_MORE)
		return tok < 0 ? tok : SHORT;
	return DONE;
}

/* ---- the straight way: the row as a whole ---- */

static bool constraints_hold(struct og_loader *l, const struct record *rec)
{
	const struct og_type *type = rec->type;
	struct og_error ignored;

	for (uint32_t i = 0; i < type->nconstraints; i++) {
		const struct og_constraint *c = &type->constraints[i];
		struct og_value v;

		if ((c->kind != OG_C_RANGE && c->kind != OG_C_CHECK) || type->props[c->cols[0]].type.list)
			continue;
		v = og_colvec_get(&rec->t->rows.props[c->cols[0]], rec->row);
		if (v.kind == OG_V_NULL)
			continue;
		if (c->kind == OG_C_RANGE ? og_rules_range(type, c, &v, &ignored) < 0 : og_rules_pattern(l->rules, type, c, &v, &ignored) < 0)
			return false;
	}
	return true;
}

static int direct_key(struct og_loader *l, const struct record *rec, struct og_slice *id, struct og_error *err)
{
	const struct og_type *type = rec->type;
	struct og_value *values;
	int rc;

	if (type->nkey == 1 && type->props[type->key_cols[0]].type.scalar == OG_STRING) {
		*id = og_colvec_str(&rec->t->rows.props[type->key_cols[0]], rec->row);
		return rec->id.p && !og_slice_eq(rec->id, *id) ? TROUBLE : DONE;
	}
	values = og_arena_array(&l->arena, type->nprops, sizeof(*values));
	if (!values)
		return og_arena_error(&l->arena, err);
	for (uint32_t i = 0; i < type->nkey; i++)
		values[type->key_cols[i]] = og_colvec_get(&rec->t->rows.props[type->key_cols[i]], rec->row);
	rc = loader_key_id(l, rec->t, values, NULL, id, err);
	if (rc == OG_ERR_BAD || (rc == 0 && rec->id.p && !og_slice_eq(rec->id, *id)))
		return TROUBLE;
	return rc < 0 ? rc : DONE;
}

static int direct_row(struct og_loader *l, struct record *rec, struct og_error *err)
{
	struct load_type *t = rec->t;
	const struct og_type *type = rec->type;
	struct og_ulid_text fresh;
	struct og_slice id = rec->id;
	bool generated = false;
	int rc;

	for (uint32_t i = 0; rec->found < type->nprops && i < type->nprops; i++) {
		if (t->seen[i] == t->serial)
			continue;
		if (!type->props[i].type.nullable)
			return TROUBLE;
		og_colvec_append_null(&t->rows.props[i]);
		rec->found++;
	}
	if ((rc = row_ok(t, err)) < 0)
		return rc;
	if (t->constrained && !constraints_hold(l, rec))
		return TROUBLE;
	if (type->nkey) {
		if ((rc = direct_key(l, rec, &id, err)) != DONE)
			return rc;
	} else if (!id.p) {
		if ((rc = loader_new_id(l, &fresh, err)) < 0)
			return rc;
		id = og_slice(fresh.s, OG_ULID_CHARS);
		generated = true;
	}
	og_colvec_append_str(&t->rows.id, id);
	if (type->kind == OG_EDGE) {
		og_colvec_append_str(&t->rows.src, rec->from);
		og_colvec_append_str(&t->rows.dst, rec->to);
	}
	rc = commit_row(l, t, generated, err);
	return rc < 0 ? rc : DONE;
}

/* The record whose object has been opened. */
static int direct_record(struct og_loader *l, struct record *rec, struct og_json_reader *r, struct og_error *err)
{
	int tok, rc;

	for (;;) {
		tok = og_json_next(r, err);
		if (tok <= OG_JSON_MORE)
			return tok < 0 ? tok : SHORT;
		if (tok == OG_JSON_OBJECT_END)
			break;
		if ((rc = direct_member(l, rec, r, err)) != DONE)
			return rc;
	}
	if (!rec->t || (rec->type->kind == OG_EDGE && (!rec->from.p || !rec->to.p)))
		return TROUBLE;
	return direct_row(l, rec, err);
}

/* ---- by way of a tree ---- */

static int note(struct og_loader *l, const struct load_type *t, enum load_step step, uint32_t part, const struct og_error *e)
{
	struct load_rank at = { t->type->kind == OG_EDGE ? LOAD_EDGES : LOAD_NODES, t->type->index, step, part, t->records };

	return loader_note(l, &at, e, l->pos.line);
}

/* Values that cannot be stored are noted and stay null. */
static int tree_values(struct og_loader *l, struct load_type *t, const struct og_json *data, struct og_value *values, struct og_error *err)
{
	struct og_error e = { 0 };

	for (uint32_t i = 0; i < t->type->nprops; i++) {
		const struct og_property *p = &t->type->props[i];
		const struct og_json *j = og_json_get_slice(data, p->name);
		bool bad_key = p->key && j && j->type != OG_JT_NULL;
		int rc = og_prop_from_json(&l->arena, p, j, &values[i], &e);

		if (rc == 0 && values[i].kind == OG_V_NULL && !p->type.nullable) {
			/* The id is asked for first, and misses its key. */
			if (p->key)
				og_error_set(&e, OG_ERR_BAD, "node %.*s missing @key property '%.*s'", OG_FMT(t->type->name), OG_FMT(p->name));
			else
				og_prop_missing(p, &e);
			rc = OG_ERR_BAD;
			bad_key = p->key;
		}
		if (rc == 0)
			continue;
		values[i] = (struct og_value){ .kind = OG_V_NULL };
		if (rc != OG_ERR_BAD && rc != OG_ERR_TOO_LARGE) {
			*err = e;
			return rc;
		}
		note(l, t, bad_key ? LOAD_IDS : LOAD_COLUMNS, i, &e);
	}
	return 0;
}

static void tree_constraints(struct og_loader *l, struct load_type *t, const struct og_value *values)
{
	struct og_error e = { 0 };

	for (uint32_t i = 0; i < t->type->nconstraints; i++) {
		const struct og_constraint *c = &t->type->constraints[i];

		if (c->kind == OG_C_RANGE && og_rules_range(t->type, c, &values[c->cols[0]], &e) < 0)
			note(l, t, LOAD_RANGES, i, &e);
		else if (c->kind == OG_C_CHECK && og_rules_pattern(l->rules, t->type, c, &values[c->cols[0]], &e) < 0)
			note(l, t, LOAD_PATTERNS, i, &e);
	}
	for (uint32_t i = 0; i < t->type->nprops; i++)
		if (t->type->props[i].type.nenum && og_rules_enum(t->type, &t->type->props[i], &values[i], &e) < 0)
			note(l, t, LOAD_ENUMS, i, &e);
}

/* The id that the record gives; p NULL: none. */
static void tree_given_id(struct og_loader *l, struct load_type *t, const struct og_json *data, struct og_slice *id)
{
	const struct og_json *j = og_json_get(data, "id");
	struct og_error e = { 0 };
	struct og_buf text = { 0 };

	*id = og_slice(NULL, 0);
	if (!j || j->type == OG_JT_NULL)
		return;
	if (j->type == OG_JT_STRING) {
		*id = j->s;
		return;
	}
	if (t->type->kind == OG_EDGE)
		return;
	og_json_text(&text, j);
	og_error_set(&e, OG_ERR_BAD, "node %.*s explicit id must be a string, got %s", OG_FMT(t->type->name), text.data ? text.data : "");
	og_buf_fini(&text);
	note(l, t, LOAD_IDS, 0, &e);
}

static int tree_id(struct og_loader *l, struct load_type *t, const struct og_value *values, struct og_slice given, struct og_slice *id,
		   struct og_ulid_text *fresh, bool *generated, struct og_error *err)
{
	struct og_error e = { 0 };
	int rc;

	*id = given;
	*generated = false;
	if (t->type->nkey) {
		for (uint32_t i = 0; i < t->type->nkey; i++)
			if (values[t->type->key_cols[i]].kind == OG_V_NULL)
				return 0;	/* noted */
		rc = loader_key_id(l, t, values, &given, id, &e);
		if (rc == OG_ERR_BAD)
			return note(l, t, LOAD_IDS, 0, &e);
		if (rc < 0)
			*err = e;
		return rc;
	}
	if (given.p)
		return 0;
	if ((rc = loader_new_id(l, fresh, err)) < 0)
		return rc;
	*id = og_slice(fresh->s, OG_ULID_CHARS);
	*generated = true;
	return 0;
}

static int tree_row(struct og_loader *l, struct load_type *t, const struct og_json *data, struct og_slice from, struct og_slice to,
		    struct og_error *err)
{
	struct og_value *values = og_arena_array(&l->arena, t->type->nprops ? t->type->nprops : 1, sizeof(*values));
	struct og_ulid_text fresh;
	struct og_slice given, id;
	bool generated;
	int rc;

	if (!values)
		return og_arena_error(&l->arena, err);
	if (!og_json_is(data, OG_JT_OBJECT))
		data = NULL;
	tree_given_id(l, t, data, &given);
	if ((rc = tree_values(l, t, data, values, err)) < 0)
		return rc;
	tree_constraints(l, t, values);
	if ((rc = tree_id(l, t, values, given, &id, &fresh, &generated, err)) < 0)
		return rc;
	if (l->doomed)
		return count_record(t, err);
	og_colvec_append_str(&t->rows.id, id);
	if (t->type->kind == OG_EDGE) {
		og_colvec_append_str(&t->rows.src, from);
		og_colvec_append_str(&t->rows.dst, to);
	}
	for (uint32_t i = 0; i < t->type->nprops; i++)
		og_colvec_append(&t->rows.props[i], &values[i]);
	return commit_row(l, t, generated, err);
}

static int tree_record(struct og_loader *l, struct og_slice text, struct og_error *err)
{
	const struct og_json *j = og_json_parse(&l->arena, text, OG_JSON_LAST_WINS, err), *type, *edge, *from, *to;
	struct load_type *t;

	if (!j)
		return err->code;
	type = og_json_get(j, "type");
	edge = og_json_get(j, "edge");
	if (og_json_is(type, OG_JT_STRING)) {
		t = find_type(l, false, type->s);
		if (!t)
			return og_error_set(err, OG_ERR_BAD, "record %llu: unknown node type '%.*s'", (unsigned long long)l->records, OG_FMT(type->s));
		return tree_row(l, t, og_json_get(j, "data"), og_slice(NULL, 0), og_slice(NULL, 0), err);
	}
	if (!og_json_is(edge, OG_JT_STRING))
		return og_error_set(err, OG_ERR_BAD, "record %llu: expected 'type' or 'edge' field", (unsigned long long)l->records);
	t = find_type(l, true, edge->s);
	if (!t)
		return og_error_set(err, OG_ERR_BAD, "record %llu: unknown edge type '%.*s'", (unsigned long long)l->records, OG_FMT(edge->s));
	from = og_json_get(j, "from");
	to = og_json_get(j, "to");
	if (!og_json_is(from, OG_JT_STRING))
		return og_error_set(err, OG_ERR_BAD, "record %llu: edge missing 'from'", (unsigned long long)l->records);
	if (!og_json_is(to, OG_JT_STRING))
		return og_error_set(err, OG_ERR_BAD, "record %llu: edge missing 'to'", (unsigned long long)l->records);
	return tree_row(l, t, og_json_get(j, "data"), from->s, to->s, err);
}

/* ---- */

static int bad_json(struct og_loader *l, struct og_slice window, struct og_error *err)
{
	uint64_t at = err->pos.byte - l->pos.byte, line = err->pos.line, column = err->pos.column;

	if (err->code != OG_ERR_BAD)
		return err->code;
	if (l->file && at < window.len) {
		size_t pos = (size_t)at;

		if (og_utf8_next(window, &pos) == 0xfffd && pos == at + 1)
			return og_error_set(err, OG_ERR_BAD, "io: stream did not contain valid UTF-8 at line %llu column %llu", (unsigned long long)line,
					    (unsigned long long)column);
	}
	return og_error_set(err, OG_ERR_BAD, "invalid JSON at record %llu: %s at line %llu column %llu", (unsigned long long)l->records, err->message,
			    (unsigned long long)line, (unsigned long long)column);
}

static int record_error(struct og_loader *l, struct og_error *err)
{
	if (err->code == OG_ERR_BAD)
		og_error_set(err, OG_ERR_BAD, "%s (line %llu)", err->message, (unsigned long long)l->pos.line);
	return err->code;
}

int loader_record(struct og_loader *l, struct og_slice window, bool last, size_t *used, struct og_error *err)
{
	struct og_json_reader r;
	struct record rec = { 0 };
	int tok, rc = TROUBLE;

	*used = 0;
	og_arena_reset(&l->arena);
	og_json_reader_init_head(&r, window, last, &l->pos, &l->arena);
	tok = og_json_next(&r, err);
	if (tok == OG_JSON_OBJECT && !l->trees)
		rc = direct_record(l, &rec, &r, err);
	else if (tok <= OG_JSON_MORE)
		rc = tok < 0 ? tok : SHORT;
	if (rc == DONE) {
		*used = (size_t)(r.p - window.p);
		return 1;
	}
	if (rec.t)
		undo(rec.t);
	if (rc == SHORT)
		return 0;
	if (rc < 0)
		return bad_json(l, window, err);
	og_arena_reset(&l->arena);
	og_json_reader_init_head(&r, window, last, &l->pos, &l->arena);
	tok = og_json_next(&r, err);
	if (tok > OG_JSON_MORE)
		tok = og_json_skip(&r, tok, err);
	if (tok <= OG_JSON_MORE)
		return tok < 0 ? bad_json(l, window, err) : 0;
	*used = (size_t)(r.p - window.p);
	if (tree_record(l, og_slice(window.p, *used), err) < 0)
		return record_error(l, err);
	return 1;
}
