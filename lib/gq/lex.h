/*
 * Tokens of the query language. No word is reserved: a keyword is a name that the parser expects.
 *
 * Trust: well-formed UTF-8 of any content. Memory: texts are slices of the source. Private to lib/gq.
 */
#ifndef OG_GQ_LEX_H
#define OG_GQ_LEX_H

#include "base/arena.h"
#include "base/error.h"
#include "gq/ast.h"

enum gq_token_kind {
	GQ_T_END,
	GQ_T_BAD,	/* no token begins here */
	GQ_T_NAME,	/* [a-z_]... */
	GQ_T_TYPE,	/* [A-Z]... */
	GQ_T_VAR,	/* $name: text without $ */
	GQ_T_INT,
	GQ_T_FLOAT,
	GQ_T_STRING,	/* text between the quotes, escapes unresolved */
	GQ_T_PUNCT,
};

struct gq_token {
	enum gq_token_kind kind;
	struct og_slice text;
	size_t begin, end;	/* bytes of the source, quotes and $ included */
	struct gq_pos pos;
};

struct gq_lex {
	struct og_slice src;
	size_t at;		/* behind the current token */
	struct gq_pos pos;	/* of `at` */
	struct gq_token tok;	/* the current token */
};

/* Makes the first token current. */
void gq_lex_init(struct gq_lex *l, struct og_slice src);
void gq_lex_next(struct gq_lex *l);
/* The n-th token behind the current one (1: the next), which stays. */
struct gq_token gq_lex_peek(const struct gq_lex *l, unsigned n);
/* Resolves the escapes of a string token into `to` (room for text.len bytes). Returns the length, or -1 with the place of the
 * first unknown escape's character in *bad. */
ptrdiff_t gq_unescape(struct og_slice text, char *to, size_t *bad);

static inline bool gq_tok_is(const struct gq_token *t, enum gq_token_kind kind, const char *text)
{
	return t->kind == kind && og_slice_is(t->text, text);
}

#endif
