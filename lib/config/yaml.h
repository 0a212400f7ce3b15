/*
 * One YAML document as a tree (libyaml), with the place of each node.
 *
 * Errors:  OG_ERR_BAD, "<problem> at line <l> column <c>[, <context> at line <l> column <c>]", pos set.
 * Trust:   the file's author; libyaml bounds nesting, aliases are not expanded, the size is the caller's to bound.
 * Memory:  nodes live until og_yaml_fini. Threads: a parsed document is read-only.
 */
#ifndef OG_CONFIG_YAML_H
#define OG_CONFIG_YAML_H

#include <stdbool.h>
#include <yaml.h>

#include "base/error.h"
#include "base/slice.h"

struct og_yaml {
	yaml_document_t doc;
	bool loaded;
	yaml_node_t *root;		/* NULL: an empty document */
};

/* On error there is nothing to free. A second document is refused. */
int og_yaml_parse(struct og_yaml *y, struct og_slice text, struct og_error *err) OG_MUST_CHECK;
void og_yaml_fini(struct og_yaml *y);	/* accepts {0} */

yaml_node_t *og_yaml_node(struct og_yaml *y, int index);
static inline struct og_slice og_yaml_text(const yaml_node_t *n)
{
	return og_slice(n->data.scalar.value, n->data.scalar.length);
}
bool og_yaml_scalar(const yaml_node_t *n);
/* A scalar that was written without quotes: only such a one may be a number, a boolean or null. */
bool og_yaml_plain(const yaml_node_t *n);
/* Nothing, `~`, or a plain null; also a node that is not there. */
bool og_yaml_null(const yaml_node_t *n);
/* What it is, for messages: "sequence", "map", "unit value", "boolean `true`", "integer `-1`", "floating point `1.5`", "string \"x\"". */
void og_yaml_describe(const yaml_node_t *n, char out[96]);

#endif
