/* JSON trees. */
#include "config.h"

#include "json/tree.h"
#include "base/map.h"
#include "base/utf8.h"
#include "json/bytes.h"

#include <ctype.h>
#include <stdio.h>

/* Objects up to this size find repeated keys by comparing each with each. */
#define FEW_MEMBERS 16
#define STACK_FIRST 64

/*
 * Children of open levels wait on one stack, so that each level's nodes end up side by side in the
 * arena with nothing wasted. A level remembers where its children start, in its own node.
 */
struct builder {
	struct og_json_reader r;
	struct og_arena *arena;
	enum og_json_repeats repeats;
	struct og_json_member *stack;
	size_t n, cap;
	size_t starts[OG_JSON_DEPTH + 1];	/* by depth: index of the level's first child */
	struct og_slice key;			/* of the member whose value comes next */
};

static int refuse_repeat(struct builder *b, struct og_slice key, struct og_error *err)
{
	char why[200];
	size_t n = OG_MIN(key.len, (size_t)100);

	/* Cut between characters. */
	while (n < key.len && n > 0 && ((unsigned char)key.p[n] & 0xc0) == 0x80)
		n--;
	snprintf(why, sizeof(why), "duplicate JSON member '%.*s'", (int)n, key.p);
	return og_json_error_at(&b->r, b->r.p - 1, why, err);
}

/* Moves a repeated member's value to where its key came first. Returns the number of members left. */
static int repeat_of(struct builder *b, struct og_json_member *m, struct og_json_member *first, struct og_error *err)
{
	if (b->repeats == OG_JSON_REFUSE_REPEATS)
		return refuse_repeat(b, m->key, err);
	first->value = m->value;
	first->value.repeated = true;
	return 0;
}

static int unify_few(struct builder *b, struct og_json_member *v, size_t *n, struct og_error *err)
{
	size_t kept = 0, i, j;
	int rc;

	for (i = 0; i < *n; i++) {
		for (j = 0; j < kept; j++)
			if (v[j].key.len == v[i].key.len && og_slice_eq(v[j].key, v[i].key))
				break;
		if (j == kept) {
			if (kept != i)
				v[kept] = v[i];
			kept++;
		} else if ((rc = repeat_of(b, &v[i], &v[j], err)) < 0) {
			return rc;
		}
	}
	*n = kept;
	return 0;
}

static int unify_many(struct builder *b, struct og_json_member *v, size_t *n, struct og_error *err)
{
	struct og_map seen = { 0 };
	struct og_map_entry *e;
	size_t kept = 0;
	bool fresh;
	int rc = 0;

	for (size_t i = 0; i < *n; i++) {
		e = og_map_put(&seen, v[i].key, &fresh);
		if (!e) {
			rc = og_error_nomem(err);
			break;
		}
		if (fresh) {
			e->value = kept;
			if (kept != i)
				v[kept] = v[i];
			kept++;
		} else if ((rc = repeat_of(b, &v[i], &v[e->value], err)) < 0) {
			break;
		}
	}
	og_map_fini(&seen);
	*n = kept;
	return rc;
}

static struct og_json *push(struct builder *b, struct og_error *err)
{
	struct og_json_member *m;

	if (b->n == b->cap) {
		size_t want = b->n ? b->n + 1 : STACK_FIRST;
		void *p = og_arena_grow(b->arena, b->stack, &b->cap, want, sizeof(*b->stack));

		if (!p) {
			og_arena_error(b->arena, err);
			return NULL;
		}
		b->stack = p;
	}
	m = &b->stack[b->n++];
	m->key = b->key;
	m->value.repeated = false;
	return &m->value;
}

static uint32_t end_offset(const struct builder *b)
{
	size_t end = (size_t)(b->r.p - b->r.src.p);

	return end < UINT32_MAX ? (uint32_t)end : UINT32_MAX;
}

/* The level just closed becomes its node, which is the stack's entry below its children. */
static int close_node(struct builder *b, bool object, struct og_error *err)
{
	size_t start = b->starts[b->r.depth], n = b->n - start;
	struct og_json_member *children = &b->stack[start];
	struct og_json *node = &b->stack[start - 1].value;
	struct og_json *items;
	int rc = 0;

	b->n = start;
	node->end = end_offset(b);
	if (!object) {
		items = og_arena_alloc(b->arena, n * sizeof(*items));
		if (!items)
			return og_arena_error(b->arena, err);
		for (size_t i = 0; i < n; i++)
			items[i] = children[i].value;
		node->items.v = items;
		node->items.n = n;
		return 0;
	}
	if (n > 1)
		rc = n <= FEW_MEMBERS ? unify_few(b, children, &n, err) : unify_many(b, children, &n, err);
	if (rc < 0)
		return rc;
	node->members.v = og_arena_alloc(b->arena, n * sizeof(*children));
	if (!node->members.v)
		return og_arena_error(b->arena, err);
	if (n)
		memcpy(node->members.v, children, n * sizeof(*children));
	node->members.n = n;
	return 0;
}

static void fill_number(struct og_json *j, const struct og_json_reader *r)
{
	j->type = OG_JT_NUMBER;
	j->kind = (uint8_t)r->kind;
	j->num.u = r->u;
	j->num.text = r->text;
}

/* Takes one token in. */
static int take(struct builder *b, int token, struct og_error *err)
{
	struct og_json *j;

	switch ((enum og_json_token)token) {
	case OG_JSON_KEY:
		b->key = b->r.text;
		return 0;
	case OG_JSON_ARRAY_END:
	case OG_JSON_OBJECT_END:
		return close_node(b, token == OG_JSON_OBJECT_END, err);
	case OG_JSON_END:
	case OG_JSON_MORE:
		return og_error_set(err, OG_ERR_INTERNAL, "JSON ended inside a value");
	case OG_JSON_NULL:
	case OG_JSON_FALSE:
	case OG_JSON_TRUE:
	case OG_JSON_NUMBER:
	case OG_JSON_STRING:
	case OG_JSON_ARRAY:
	case OG_JSON_OBJECT:
		break;
	}
	j = push(b, err);
	if (!j)
		return OG_ERR_NOMEM;
	j->end = end_offset(b);
	if (token == OG_JSON_STRING) {
		j->type = OG_JT_STRING;
		j->s = b->r.text;
	} else if (token == OG_JSON_NUMBER) {
		fill_number(j, &b->r);
	} else if (token == OG_JSON_ARRAY || token == OG_JSON_OBJECT) {
		j->type = token == OG_JSON_ARRAY ? OG_JT_ARRAY : OG_JT_OBJECT;
		b->starts[b->r.depth - 1] = b->n;
	} else {
		j->type = token == OG_JSON_NULL ? OG_JT_NULL : OG_JT_BOOL;
		j->b = token == OG_JSON_TRUE;
	}
	return 0;
}

/* 1: the value is stack[0]; 0: the source ends inside it; or an error. */
static int build(struct builder *b, struct og_error *err)
{
	struct og_error own;
	int token, rc;

	/* push() reports through the error, whose code is the answer. */
	if (!err)
		err = &own;
	do {
		token = og_json_next(&b->r, err);
		if (token < 0)
			return token;
		if (token == OG_JSON_MORE)
			return 0;
		rc = take(b, token, err);
		if (rc < 0)
			return err->code;
	} while (b->r.depth);
	return 1;
}

struct og_json *og_json_parse(struct og_arena *a, struct og_slice src, enum og_json_repeats repeats, struct og_error *err)
{
	struct builder b = { .arena = a, .repeats = repeats };

	og_json_reader_init(&b.r, src, a);
	/* Without `partial` a short source is an error, so 0 cannot come. */
	if (build(&b, err) < 1)
		return NULL;
	if (og_json_next(&b.r, err) < 0)
		return NULL;
	return &b.stack[0].value;
}

/* Moves the position of the window's start over bytes that are done with. */
static void advance(struct og_pos *pos, struct og_slice done)
{
	uint64_t line, column;

	og_text_position(done, done.len, true, &line, &column);
	if (line == 1)
		pos->column += column - 1;
	else
		pos->column = column;
	pos->line += line - 1;
	pos->byte += done.len;
}

/*
 * Whether the value at the window's head, which was too long before, may be whole by now (or is
 * plainly wrong). Looks at each byte once over all calls.
 */
static bool may_be_whole(struct og_json_stream *s, struct og_slice window)
{
	const char *p = window.p + s->scanned, *end = window.p + window.len;
	bool scalar = false;
	unsigned high = 0;

	while (p < end) {
		if (s->in_string) {
			p = og_json_run(p, end, &high);
			if (p == end || (*p == '\\' && end - p < 2))
				break;
			if (*p != '"' && *p != '\\')
				return true;
			s->in_string = *p != '"';
			p += s->in_string ? 2 : 1;
		} else {
			if (*p == '{' || *p == '[')
				s->depth++;
			else if (*p == '}' || *p == ']')
				s->depth -= s->depth > 0;
			else if (*p == '"')
				s->in_string = true;
			scalar = isalnum((unsigned char)*p) || *p == '-' || *p == '+' || *p == '.';
			p++;
		}
		if (s->depth == 0 && !s->in_string && !scalar)
			return true;
	}
	s->scanned = (size_t)(p - window.p);
	return false;
}

int og_json_stream_next(struct og_json_stream *s, struct og_arena *a, struct og_slice window, bool last,
			const struct og_json **out, size_t *used, struct og_error *err)
{
	struct builder b = { .arena = a, .repeats = s->repeats };
	size_t blank = 0;
	int rc;

	*used = 0;
	if (s->pos.line == 0)
		s->pos = (struct og_pos){ .line = 1, .column = 1, .byte = s->pos.byte };
	if (s->waiting && !last && !may_be_whole(s, window))
		return 0;
	s->waiting = false;
	while (blank < window.len && memchr(" \n\r\t", window.p[blank], 4))
		blank++;
	if (blank) {
		advance(&s->pos, og_slice(window.p, blank));
		window = og_slice(window.p + blank, window.len - blank);
		*used = blank;
	}
	if (window.len == 0)
		return 0;
	og_json_reader_init_head(&b.r, window, last, &s->pos, a);
	rc = build(&b, err);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		s->waiting = true;
		s->in_string = false;
		s->scanned = 0;
		s->depth = 0;
		return 0;
	}
	*out = &b.stack[0].value;
	rc = 1;
	advance(&s->pos, og_slice(window.p, (size_t)(b.r.p - window.p)));
	*used = blank + (size_t)(b.r.p - window.p);
	return rc;
}

const struct og_json *og_json_get_slice(const struct og_json *j, struct og_slice key)
{
	if (!og_json_is(j, OG_JT_OBJECT))
		return NULL;
	for (size_t i = 0; i < j->members.n; i++)
		if (og_slice_eq(j->members.v[i].key, key))
			return &j->members.v[i].value;
	return NULL;
}

const struct og_json *og_json_get(const struct og_json *j, const char *key)
{
	return og_json_get_slice(j, og_slice_str(key));
}

const char *og_json_type_name(const struct og_json *j)
{
	switch ((enum og_json_type)j->type) {
	case OG_JT_NULL:
		return "null";
	case OG_JT_BOOL:
		return "boolean";
	case OG_JT_NUMBER:
		return "number";
	case OG_JT_STRING:
		return "string";
	case OG_JT_ARRAY:
		return "array";
	case OG_JT_OBJECT:
		return "object";
	}
	return "?";
}

bool og_json_to_i64(const struct og_json *j, int64_t *out)
{
	if (!og_json_is(j, OG_JT_NUMBER) || j->kind != OG_JSON_I64)
		return false;
	*out = j->num.i;
	return true;
}

bool og_json_to_u64(const struct og_json *j, uint64_t *out)
{
	if (!og_json_is(j, OG_JT_NUMBER) || j->kind == OG_JSON_F64 || (j->kind == OG_JSON_I64 && j->num.i < 0))
		return false;
	*out = j->num.u;
	return true;
}

bool og_json_to_double(const struct og_json *j, double *out)
{
	if (!og_json_is(j, OG_JT_NUMBER))
		return false;
	if (j->kind == OG_JSON_F64)
		*out = j->num.f;
	else
		*out = j->kind == OG_JSON_I64 ? (double)j->num.i : (double)j->num.u;
	return true;
}
