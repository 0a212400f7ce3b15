/* Enum, @range and @check of single values, and ids from keys. */
#include "config.h"
#include "schema/rowcheck.h"
#include "base/map.h"
#include "base/num.h"
#include "json/writer.h"
#include "schema/pattern.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* One pattern: compiled, or the reason why it cannot be. Keeps its own text: catalogs may go first. */
struct entry {
	char *text;
	struct og_pattern *pattern;
	char why[256];
};

struct og_rules {
	struct og_map patterns;		/* text -> struct entry */
};

struct og_rules *og_rules_new(struct og_error *err)
{
	struct og_rules *r = calloc(1, sizeof(*r));

	if (!r)
		og_error_nomem(err);
	return r;
}

void og_rules_free(struct og_rules *r)
{
	struct og_map_entry *e;
	size_t i = 0;

	if (!r)
		return;
	while ((e = og_map_next(&r->patterns, &i))) {
		struct entry *p = (struct entry *)(uintptr_t)e->value;

		if (!p)
			continue;
		og_pattern_free(p->pattern);
		free(p->text);
		free(p);
	}
	og_map_fini(&r->patterns);
	free(r);
}

static int add_pattern(struct og_rules *r, struct og_slice re, struct entry **out, struct og_error *err)
{
	struct entry *p = calloc(1, sizeof(*p));
	struct og_map_entry *e;

	if (!p)
		return og_error_nomem(err);
	p->text = malloc(re.len + 1);
	if (!p->text || og_pattern_compile(re, &p->pattern, p->why) == OG_ERR_NOMEM)
		goto nomem;
	if (re.len)
		memcpy(p->text, re.p, re.len);
	e = og_map_put(&r->patterns, og_slice(p->text, re.len), NULL);
	if (!e)
		goto nomem;
	e->value = (uintptr_t)p;
	*out = p;
	return 0;
nomem:
	og_pattern_free(p->pattern);
	free(p->text);
	free(p);
	return og_error_nomem(err);
}

static int enum_item(const struct og_type *t, const struct og_property *p, struct og_slice s, struct og_error *err)
{
	struct og_buf b = { 0 };

	for (uint32_t i = 0; i < p->type.nenum; i++)
		if (og_slice_eq(p->type.enums[i], s))
			return 0;
	for (uint32_t i = 0; i < p->type.nenum; i++)
		og_buf_printf(&b, "%s%.*s", i ? ", " : "", OG_FMT(p->type.enums[i]));
	og_error_set(err, OG_ERR_BAD, "invalid enum value '%.*s' for %.*s.%.*s (expected: %.*s)", OG_FMT(s), OG_FMT(t->name),
		     OG_FMT(p->name), OG_FMT(og_buf_view(&b)));
	og_buf_fini(&b);
	return OG_ERR_BAD;
}

int og_rules_enum(const struct og_type *t, const struct og_property *p, const struct og_value *v, struct og_error *err)
{
	int rc = 0;

	if (p->type.nenum == 0)
		return 0;
	if (v->kind == OG_V_STRING)
		return enum_item(t, p, v->s, err);
	for (size_t i = 0; v->kind == OG_V_LIST && i < v->items.n && rc == 0; i++)
		if (v->items.v[i].kind == OG_V_STRING)
			rc = enum_item(t, p, v->items.v[i].s, err);
	return rc;
}

static double bound_value(const struct og_bound *b)
{
	return b->kind == OG_BOUND_INT ? (double)b->i : b->f;
}

int og_rules_range(const struct og_type *t, const struct og_constraint *c, const struct og_value *v, struct og_error *err)
{
	const struct og_property *p = &t->props[c->cols[0]];
	char value[400], bound[400];
	bool low, high;
	double x;

	/* Numbers are compared as doubles; lists and nulls are exempt. */
	if (v->kind == OG_V_INT)
		x = (double)v->i;
	else if (v->kind == OG_V_UINT)
		x = (double)v->u;
	else if (v->kind == OG_V_FLOAT)
		x = v->f;
	else
		return 0;
	if (isnan(x))
		return og_error_set(err, OG_ERR_BAD, "@range violation on %.*s.%.*s: value is NaN", OG_FMT(t->name),
				    OG_FMT(p->name));
	low = c->min.kind != OG_BOUND_NONE && x < bound_value(&c->min);
	high = c->max.kind != OG_BOUND_NONE && x > bound_value(&c->max);
	if (!low && !high)
		return 0;
	if (isinf(x))
		snprintf(value, sizeof(value), "%s", x < 0 ? "-inf" : "inf");
	else
		og_double_plain(x, false, value);
	og_double_plain(bound_value(low ? &c->min : &c->max), false, bound);
	return og_error_set(err, OG_ERR_BAD, "@range violation on %.*s.%.*s: value %s %s %s", OG_FMT(t->name), OG_FMT(p->name),
			    value, low ? "< min" : "> max", bound);
}

int og_rules_pattern(struct og_rules *r, const struct og_type *t, const struct og_constraint *c, const struct og_value *v,
		     struct og_error *err)
{
	const struct og_property *p = &t->props[c->cols[0]];
	const struct og_map_entry *e;
	struct entry *entry = NULL;
	int rc;

	if (v->kind != OG_V_STRING)
		return 0;
	e = og_map_find(&r->patterns, c->pattern);
	if (e)
		entry = (struct entry *)(uintptr_t)e->value;
	else if ((rc = add_pattern(r, c->pattern, &entry, err)) < 0)
		return rc;
	if (!entry->pattern)
		return og_error_set(err, OG_ERR_BAD, "@check on %.*s.%.*s has invalid regex '%.*s': %s", OG_FMT(t->name),
				    OG_FMT(p->name), OG_FMT(c->pattern), entry->why);
	switch (og_pattern_search(entry->pattern, v->s)) {
	case OG_PATTERN_YES:
		return 0;
	case OG_PATTERN_NO:
		break;
	case OG_PATTERN_EXPENSIVE:
		return og_error_set(err, OG_ERR_BAD, "@check violation on %.*s.%.*s: value '%.*s': pattern too expensive",
				    OG_FMT(t->name), OG_FMT(p->name), (int)OG_MIN(v->s.len, 200u), v->s.p);
	}
	return og_error_set(err, OG_ERR_BAD, "@check violation on %.*s.%.*s: value '%.*s' does not match pattern '%.*s'",
			    OG_FMT(t->name), OG_FMT(p->name), OG_FMT(v->s), OG_FMT(c->pattern));
}

int og_rules_check(struct og_rules *r, const struct og_type *t, const struct og_property *p, const struct og_value *v,
		   struct og_error *err)
{
	int rc = og_rules_enum(t, p, v, err);

	for (uint32_t i = 0; i < t->nconstraints && rc == 0; i++) {
		const struct og_constraint *c = &t->constraints[i];

		if (c->kind == OG_C_RANGE && (uint32_t)c->cols[0] == p->index)
			rc = og_rules_range(t, c, v, err);
	}
	for (uint32_t i = 0; i < t->nconstraints && rc == 0; i++) {
		const struct og_constraint *c = &t->constraints[i];

		if (c->kind == OG_C_CHECK && (uint32_t)c->cols[0] == p->index)
			rc = og_rules_pattern(r, t, c, v, err);
	}
	return rc;
}

static int key_text(struct og_buf *b, const struct og_property *p, const struct og_value *v, struct og_error *err)
{
	if (v->kind == OG_V_NULL)
		return og_error_set(err, OG_ERR_BAD, "insert @key property '%.*s' cannot contain null", OG_FMT(p->name));
	return og_value_id_text(b, v, p->type.scalar, err);
}

int og_key_id(struct og_buf *b, const struct og_type *t, const struct og_value *values, struct og_error *err)
{
	struct og_buf text = { 0 };
	int rc = 0;

	if (t->nkey == 1) {
		rc = key_text(b, &t->props[t->key_cols[0]], &values[t->key_cols[0]], err);
		return rc < 0 ? rc : og_buf_ok(b, err);
	}
	for (uint32_t i = 0; i < t->nkey && rc == 0; i++) {
		og_buf_clear(&text);
		rc = key_text(&text, &t->props[t->key_cols[i]], &values[t->key_cols[i]], err);
		if (rc < 0 || (rc = og_buf_ok(&text, err)) < 0)
			break;
		og_buf_byte(b, i ? ',' : '[');
		og_json_quote(b, og_buf_view(&text));
	}
	og_buf_byte(b, ']');
	og_buf_fini(&text);
	return rc < 0 ? rc : og_buf_ok(b, err);
}
