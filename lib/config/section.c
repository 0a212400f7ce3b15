/* Tables of keys against mappings. */
#include "config.h"

#include "config/section.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"

struct walk {
	struct og_yaml *y;
	struct og_arena *a;
	struct og_error *err;
	char path[512];			/* of the value at hand, dotted */
};

static size_t path_push(struct walk *w, const char *fmt, const char *name)
{
	size_t old = strlen(w->path);

	snprintf(w->path + old, sizeof(w->path) - old, fmt, name);
	return old;
}

static void path_push_key(struct walk *w, const char *name)
{
	path_push(w, w->path[0] ? ".%s" : "%s", name);
}

static int fault(struct walk *w, const yaml_node_t *at, const char *what)
{
	if (!w->path[0] || !at)
		return og_error_set(w->err, OG_ERR_BAD, "%s", what);
	og_error_set(w->err, OG_ERR_BAD, "%s: %s at line %zu column %zu", w->path, what, at->start_mark.line + 1, at->start_mark.column + 1);
	w->err->pos.line = at->start_mark.line + 1;
	w->err->pos.column = at->start_mark.column + 1;
	return OG_ERR_BAD;
}

static int wrong_type(struct walk *w, const yaml_node_t *n, const char *expected)
{
	char is[96], what[200];

	og_yaml_describe(n, is);
	snprintf(what, sizeof(what), "invalid type: %s, expected %s", is, expected);
	return fault(w, n, what);
}

static int field_fault(struct walk *w, const yaml_node_t *mapping, const char *what, const char *field)
{
	char text[160];

	snprintf(text, sizeof(text), "%s field `%s`", what, field);
	return fault(w, mapping, text);
}

static int read_text(struct walk *w, const yaml_node_t *n, const char **out)
{
	struct og_slice s;

	if (!og_yaml_scalar(n))
		return wrong_type(w, n, "a string");
	s = og_yaml_text(n);
	if (memchr(s.p, 0, s.len))
		return fault(w, n, "invalid value: a string with a NUL character");
	*out = og_arena_strndup(w->a, s.p, s.len);
	return *out ? 0 : og_arena_error(w->a, w->err);
}

static int read_bool(struct walk *w, const yaml_node_t *n, bool *out)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = { { "true", true }, { "True", true }, { "TRUE", true }, { "false", false }, { "False", false }, { "FALSE", false } };

	for (size_t i = 0; og_yaml_plain(n) && i < OG_COUNT(words); i++)
		if (og_slice_is(og_yaml_text(n), words[i].text)) {
			*out = words[i].value;
			return 0;
		}
	return wrong_type(w, n, "a boolean");
}

static int read_uint(struct walk *w, const yaml_node_t *n, uint64_t *out)
{
	struct og_slice s;

	if (!og_yaml_plain(n))
		return wrong_type(w, n, "usize");
	s = og_yaml_text(n);
	if (s.len && s.p[0] == '+')
		s = og_slice(s.p + 1, s.len - 1);
	return og_parse_u64(s, out) ? 0 : wrong_type(w, n, "usize");
}

static int read_enum(struct walk *w, const yaml_node_t *n, const struct og_field *f, int *out)
{
	char what[400];
	size_t len;
	const char *text = NULL;
	int rc = read_text(w, n, &text);

	if (rc < 0)
		return rc;
	for (int i = 0; f->choices[i]; i++)
		if (strcmp(f->choices[i], text) == 0) {
			*out = i;
			return 0;
		}
	len = (size_t)snprintf(what, sizeof(what), "unknown variant `%.100s`, expected one of ", text);
	for (int i = 0; f->choices[i] && len < sizeof(what); i++)
		len += (size_t)snprintf(what + len, sizeof(what) - len, "%s`%s`", i ? ", " : "", f->choices[i]);
	return fault(w, n, what);
}

static int read_texts(struct walk *w, const yaml_node_t *n, struct og_texts *out)
{
	size_t count;

	if (n->type != YAML_SEQUENCE_NODE)
		return wrong_type(w, n, "a sequence");
	count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
	out->v = og_arena_array(w->a, count ? count : 1, sizeof(*out->v));
	if (!out->v)
		return og_arena_error(w->a, w->err);
	for (size_t i = 0; i < count; i++) {
		char index[32];
		size_t old;
		int rc;

		snprintf(index, sizeof(index), "[%zu]", i);
		old = path_push(w, "%s", index);
		rc = read_text(w, og_yaml_node(w->y, n->data.sequence.items.start[i]), &out->v[i]);
		if (rc < 0)
			return rc;
		w->path[old] = '\0';
	}
	out->n = count;
	return 0;
}

static int read_section(struct walk *w, const struct og_section *s, const yaml_node_t *n, void *out);

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The entry of that name, cleared if it was there before: the last one wins. */
static void *map_entry(struct og_section_map *m, const struct og_section *sub, const char *name)
{
	char *e = m->v;

	for (size_t i = 0; i < m->n; i++, e += sub->size)
		if (strcmp(*(const char **)(void *)e, name) == 0) {
			memset(e, 0, sub->size);
			break;
		}
	if (e == (char *)m->v + m->n * sub->size)
		m->n++;
	*(const char **)(void *)e = name;
	return e;
}

static int read_map(struct walk *w, const struct og_section *sub, const yaml_node_t *n, struct og_section_map *out)
{
	size_t count;

	if (n->type != YAML_MAPPING_NODE)
		return wrong_type(w, n, "a map");
	count = (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
	out->v = og_arena_array(w->a, count ? count : 1, sub->size);
	if (!out->v)
		return og_arena_error(w->a, w->err);
	for (size_t i = 0; i < count; i++) {
		const yaml_node_pair_t *p = &n->data.mapping.pairs.start[i];
		size_t old = strlen(w->path);
		const char *name;
		int rc;

		if ((rc = read_text(w, og_yaml_node(w->y, p->key), &name)) < 0)
			return rc;
		path_push_key(w, name);
		rc = read_section(w, sub, og_yaml_node(w->y, p->value), map_entry(out, sub, name));
		if (rc < 0)
			return rc;
		w->path[old] = '\0';
	}
	if (out->n)
		qsort(out->v, out->n, sub->size, by_name);
	return 0;
}

static int read_field(struct walk *w, const struct og_field *f, const yaml_node_t *n, void *at)
{
	switch (f->kind) {
	case OG_FIELD_TEXT:
		return read_text(w, n, at);
	case OG_FIELD_BOOL:
		return read_bool(w, n, at);
	case OG_FIELD_UINT:
		return read_uint(w, n, at);
	case OG_FIELD_ENUM:
		return read_enum(w, n, f, at);
	case OG_FIELD_TEXTS:
		return read_texts(w, n, at);
	case OG_FIELD_SECTION:
		return read_section(w, f->sub, n, at);
	case OG_FIELD_MAP:
		return read_map(w, f->sub, n, at);
	}
	return 0;
}

static void set_default(const struct og_field *f, void *at)
{
	switch (f->kind) {
	case OG_FIELD_BOOL:
		*(bool *)at = f->otherwise != 0;
		return;
	case OG_FIELD_UINT:
		*(uint64_t *)at = (uint64_t)f->otherwise;
		return;
	case OG_FIELD_ENUM:
		*(int *)at = (int)f->otherwise;
		return;
	case OG_FIELD_SECTION:
		for (size_t i = 0; i < f->sub->nfields; i++)
			set_default(&f->sub->fields[i], (char *)at + f->sub->fields[i].offset);
		return;
	case OG_FIELD_TEXT:
	case OG_FIELD_TEXTS:
	case OG_FIELD_MAP:
		return;
	}
}

/* The value of a key in a mapping. 1 found, 0 not there, below 0: twice. */
static int find_key(struct walk *w, const yaml_node_t *n, const char *name, const yaml_node_t **value)
{
	int found = 0;

	for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = og_yaml_node(w->y, p->key);

		if (!og_yaml_scalar(key) || !og_slice_is(og_yaml_text(key), name))
			continue;
		if (found)
			return field_fault(w, n, "duplicate", name);
		found = 1;
		*value = og_yaml_node(w->y, p->value);
	}
	return found;
}

static int read_section(struct walk *w, const struct og_section *s, const yaml_node_t *n, void *out)
{
	bool empty = og_yaml_null(n);

	if (!empty && n->type != YAML_MAPPING_NODE)
		return wrong_type(w, n, "a map");
	for (size_t i = 0; i < s->nfields; i++) {
		const struct og_field *f = &s->fields[i];
		char *at = (char *)out + f->offset;
		const yaml_node_t *value = NULL;
		size_t old = strlen(w->path);
		int rc = empty ? 0 : find_key(w, n, f->name, &value);

		if (rc < 0)
			return rc;
		set_default(f, at);
		if (og_yaml_null(value)) {
			if (f->required)
				return field_fault(w, n, "missing", f->name);
			continue;
		}
		path_push_key(w, f->name);
		rc = read_field(w, f, value, at);
		if (rc < 0)
			return rc;
		w->path[old] = '\0';
	}
	return 0;
}

int og_section_read(const struct og_section *s, struct og_yaml *y, struct og_arena *a, void *out, struct og_error *err)
{
	struct walk w = { .y = y, .a = a, .err = err };

	memset(out, 0, s->size);
	return read_section(&w, s, y->root, out);
}
