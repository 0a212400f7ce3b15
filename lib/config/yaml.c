/* YAML documents by libyaml. */
#include "config.h"

#include "config/yaml.h"

#include <stdio.h>

#include "base/num.h"
#include "base/utf8.h"

static int put_problem(const yaml_parser_t *p, struct og_error *err)
{
	const char *problem = p->problem ? p->problem : "not YAML";
	yaml_mark_t m = p->problem_mark;

	if (p->error == YAML_MEMORY_ERROR)
		return og_error_nomem(err);
	/* The reader knows bytes only; offset 0 with no mark is its way to say so. */
	if (p->error == YAML_READER_ERROR)
		og_error_at(err, OG_ERR_BAD, p->problem_offset, "%s at byte %zu", problem, p->problem_offset);
	else if (p->context && p->context[0])
		og_error_set(err, OG_ERR_BAD, "%s at line %zu column %zu, %s at line %zu column %zu", problem, m.line + 1, m.column + 1,
			     p->context, p->context_mark.line + 1, p->context_mark.column + 1);
	else
		og_error_set(err, OG_ERR_BAD, "%s at line %zu column %zu", problem, m.line + 1, m.column + 1);
	err->pos.line = m.line + 1;
	err->pos.column = m.column + 1;
	return OG_ERR_BAD;
}

/* The end of the stream must follow. */
static int refuse_second(yaml_parser_t *p, struct og_error *err)
{
	yaml_document_t next;
	yaml_node_t *root;
	yaml_mark_t at;

	if (!yaml_parser_load(p, &next))
		return put_problem(p, err);
	root = yaml_document_get_root_node(&next);
	at = next.start_mark;
	yaml_document_delete(&next);
	if (!root)
		return 0;
	og_error_set(err, OG_ERR_BAD, "more than one document at line %zu column %zu", at.line + 1, at.column + 1);
	err->pos.line = at.line + 1;
	err->pos.column = at.column + 1;
	return OG_ERR_BAD;
}

int og_yaml_parse(struct og_yaml *y, struct og_slice text, struct og_error *err)
{
	yaml_parser_t p;
	int rc = 0;

	*y = (struct og_yaml){ 0 };
	/* libyaml would take UTF-16 as well. */
	if (og_utf8_check(text) != text.len)
		return og_error_at(err, OG_ERR_BAD, og_utf8_check(text), "stream did not contain valid UTF-8");
	if (!yaml_parser_initialize(&p))
		return og_error_nomem(err);
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)(text.p ? text.p : ""), text.len);
	if (!yaml_parser_load(&p, &y->doc)) {
		rc = put_problem(&p, err);
	} else {
		y->loaded = true;
		y->root = yaml_document_get_root_node(&y->doc);
		/* Without a root the stream is over already. */
		if (y->root)
			rc = refuse_second(&p, err);
	}
	yaml_parser_delete(&p);
	if (rc < 0)
		og_yaml_fini(y);
	return rc;
}

void og_yaml_fini(struct og_yaml *y)
{
	if (y->loaded)
		yaml_document_delete(&y->doc);
	*y = (struct og_yaml){ 0 };
}

yaml_node_t *og_yaml_node(struct og_yaml *y, int index)
{
	return yaml_document_get_node(&y->doc, index);
}

bool og_yaml_scalar(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE;
}

bool og_yaml_plain(const yaml_node_t *n)
{
	return og_yaml_scalar(n) && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

bool og_yaml_null(const yaml_node_t *n)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };

	if (!n)
		return true;
	if (!og_yaml_plain(n))
		return false;
	for (size_t i = 0; i < OG_COUNT(nulls); i++)
		if (og_slice_is(og_yaml_text(n), nulls[i]))
			return true;
	return false;
}

static bool is_bool(struct og_slice s)
{
	static const char *const words[] = { "true", "True", "TRUE", "false", "False", "FALSE" };

	for (size_t i = 0; i < OG_COUNT(words); i++)
		if (og_slice_is(s, words[i]))
			return true;
	return false;
}

static void describe_scalar(const yaml_node_t *n, char out[96])
{
	struct og_slice s = og_yaml_text(n);
	int len = (int)OG_MIN(s.len, 60u);
	int64_t i;
	double f;

	/* Not in the middle of a character. */
	while ((size_t)len < s.len && len > 0 && ((unsigned char)s.p[len] & 0xc0) == 0x80)
		len--;
	if (!og_yaml_plain(n))
		snprintf(out, 96, "string \"%.*s\"", len, s.p);
	else if (og_yaml_null(n))
		snprintf(out, 96, "unit value");
	else if (is_bool(s))
		snprintf(out, 96, "boolean `%s`", s.p[0] == 't' || s.p[0] == 'T' ? "true" : "false");
	else if (og_parse_i64(s, &i))
		snprintf(out, 96, "integer `%lld`", (long long)i);
	else if (og_parse_double(s, &f))
		snprintf(out, 96, "floating point `%.*s`", len, s.p);
	else
		snprintf(out, 96, "string \"%.*s\"", len, s.p);
}

void og_yaml_describe(const yaml_node_t *n, char out[96])
{
	switch (n ? n->type : YAML_NO_NODE) {
	case YAML_NO_NODE:
		snprintf(out, 96, "unit value");
		return;
	case YAML_SEQUENCE_NODE:
		snprintf(out, 96, "sequence");
		return;
	case YAML_MAPPING_NODE:
		snprintf(out, 96, "map");
		return;
	case YAML_SCALAR_NODE:
		describe_scalar(n, out);
		return;
	}
}
