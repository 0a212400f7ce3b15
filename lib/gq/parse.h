/* The parser's state and the rules that call each other across files. Private to lib/gq. */
#ifndef OG_GQ_PARSE_H
#define OG_GQ_PARSE_H

#include "gq/lex.h"

/* Levels of each of `not`, calls and lists; the language promises 500. */
#define GQ_MAX_DEPTH 512u

struct gq_parser {
	struct gq_lex lex;
	struct og_arena *arena;
	struct og_error *err;	/* a syntax error, or lack of memory; reported at once */
	struct og_error conv;	/* the first thing that reads well but means nothing; reported if the syntax is good */
};

/* A list that grows in the arena. */
struct gq_list {
	void *items;
	size_t n, cap;
};

/* A cleared new last element; NULL without memory (error set). */
void *gq_list_add(struct gq_parser *p, struct gq_list *list, size_t size);
int gq_nomem(struct gq_parser *p);
/* "expected ..." at the current token. Returns OG_ERR_BAD. */
int gq_expected(struct gq_parser *p, const char *what);
/* Notes a fault of meaning; the first one counts. */
void gq_note(struct gq_parser *p, struct gq_pos pos, const char *fmt, ...) OG_PRINTF(3, 4);

bool gq_at_punct(const struct gq_parser *p, const char *text);
bool gq_at_word(const struct gq_parser *p, const char *text);
bool gq_accept_punct(struct gq_parser *p, const char *text);
bool gq_accept_word(struct gq_parser *p, const char *text);
int gq_expect_punct(struct gq_parser *p, const char *text);
int gq_expect_word(struct gq_parser *p, const char *text);
/* The text of the current token of that kind, consumed; or "expected <what>". */
int gq_expect_text(struct gq_parser *p, enum gq_token_kind kind, const char *what, struct og_slice *out);
/* A string token, unescaped. */
int gq_parse_string(struct gq_parser *p, struct og_slice *out);

int gq_parse_expr(struct gq_parser *p, unsigned depth, struct gq_expr **out);
/* value = literal | var | now() */
int gq_parse_value(struct gq_parser *p, struct gq_expr **out);
/* '>=', ...; `words`: contains and starts_with too. false: none here. */
bool gq_parse_op(struct gq_parser *p, bool words, enum gq_op *out);
int gq_parse_read(struct gq_parser *p, struct gq_read *out);
int gq_parse_mutation(struct gq_parser *p, struct gq_query *q);
/* name ':' value, with the name checked for presence only. */
int gq_parse_assign(struct gq_parser *p, struct gq_pmatch *out);

#endif
