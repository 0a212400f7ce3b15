/*
 * Reading YAML mappings into structs by a table: each section names its keys, their kinds and where the values go.
 *
 * Rules: unknown keys are ignored at every level; a key twice in a section is an error, an entry twice in a map of names: the
 * last wins; null or nothing counts as absent, an empty section as one with defaults; plain scalars serve as text as spelt.
 * Errors: OG_ERR_BAD "<dotted path>: <what> at line <l> column <c>", without path and place at the root; pos set.
 * Memory: everything read lies in the arena, texts NUL-terminated. Threads: pure.
 */
#ifndef OG_CONFIG_SECTION_H
#define OG_CONFIG_SECTION_H

#include "base/arena.h"
#include "config/yaml.h"

enum og_field_kind {
	OG_FIELD_TEXT,			/* const char *, NULL: absent */
	OG_FIELD_BOOL,			/* bool */
	OG_FIELD_UINT,			/* uint64_t */
	OG_FIELD_ENUM,			/* int: index in choices, -1: absent (unless `otherwise`) */
	OG_FIELD_TEXTS,			/* struct og_texts */
	OG_FIELD_SECTION,		/* the sub-struct itself */
	OG_FIELD_MAP,			/* struct og_section_map; entries begin with `const char *name` */
};

struct og_section;

struct og_field {
	const char *name;
	enum og_field_kind kind;
	size_t offset;
	bool required;
	int64_t otherwise;		/* BOOL, UINT, ENUM when absent */
	const char *const *choices;	/* ENUM, ends in NULL */
	const struct og_section *sub;	/* SECTION, MAP */
};

struct og_section {
	const struct og_field *fields;
	size_t nfields;
	size_t size;			/* of the struct */
};

struct og_texts {
	const char **v;
	size_t n;
};

struct og_section_map {
	void *v;			/* sorted by name */
	size_t n;
};

/* Fills *out (of s->size bytes) from the document, defaults included. */
int og_section_read(const struct og_section *s, struct og_yaml *y, struct og_arena *a, void *out, struct og_error *err) OG_MUST_CHECK;

#endif
