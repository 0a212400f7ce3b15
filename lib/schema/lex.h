/*
 * Reading a schema text piece by piece. The language has no reserved words and blanks are optional even between a keyword and
 * a name, so there are no tokens as such: the parser says what it wants next and the cursor tells whether it is there.
 *
 * Trust: any bytes that are well-formed UTF-8 (checked before). Memory: names are slices of the source; unescaped strings
 * live in the arena. Private to lib/schema.
 */
#ifndef OG_SCHEMA_LEX_H
#define OG_SCHEMA_LEX_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

struct pg_lex {
	struct og_slice src;
	size_t pos;
	struct og_arena *arena;
	struct og_error *err;		/* a syntax error, or lack of memory; reported at once */
	struct og_error conv;		/* the first thing that reads well but means nothing; reported if the syntax is good */
};

/* Over blanks and comments. An unterminated comment is left standing: nothing matches it. */
void pg_skip(struct pg_lex *l);
bool pg_end(struct pg_lex *l);
/* All skip first. true: it was there and is consumed; false: nothing but blanks is consumed. */
bool pg_accept(struct pg_lex *l, const char *text);
bool pg_type_name(struct pg_lex *l, struct og_slice *out);
bool pg_name(struct pg_lex *l, struct og_slice *out);
bool pg_enum_value(struct pg_lex *l, struct og_slice *out);
bool pg_int(struct pg_lex *l, struct og_slice *out);
/* Digits with or without a fraction; *is_float tells which. `sign`: a '-' may stand before. */
bool pg_number(struct pg_lex *l, bool sign, struct og_slice *out, bool *is_float);
/* 1: a string, unescaped; 0: none here; negative: lack of memory. An unknown escape is noted as l->conv. */
int pg_string(struct pg_lex *l, struct og_slice *out);
/* Looks ahead only: '@' name '(' with one of the five names that always start a constraint. */
bool pg_at_constraint(struct pg_lex *l);
/* Looks ahead only: '@' 'card' '(' digits '..'. */
bool pg_at_card(struct pg_lex *l);

/* The syntax error "expected ..." at the next token. Returns OG_ERR_BAD. */
int pg_expected(struct pg_lex *l, const char *what);
/* As pg_accept, or the syntax error. */
int pg_expect(struct pg_lex *l, const char *text);
/* Notes a fault of meaning at `at`; the first one counts. */
void pg_note(struct pg_lex *l, size_t at, const char *fmt, ...) OG_PRINTF(3, 4);

#endif
