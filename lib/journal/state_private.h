/* What the files of the state share. Private to lib/journal. */
#ifndef OG_JOURNAL_STATE_PRIVATE_H
#define OG_JOURNAL_STATE_PRIVATE_H

#include "journal/state.h"

/*
 * Positions in an array of commits, by id, in a few bytes each: a graph may have millions. Put in order, taken out in the reverse one; an id is put once.
 * put: v[i], behind all that are in. OG_ERR_NOMEM. pop: v[i], the last. find: SIZE_MAX where it is not.
 */
void og_commit_index_fini(struct og_commit_index *ix);
int og_commit_index_put(struct og_commit_index *ix, const struct og_commit_info *v, size_t i, struct og_error *err) OG_MUST_CHECK;
void og_commit_index_pop(struct og_commit_index *ix, const struct og_commit_info *v, size_t i);
size_t og_commit_index_find(const struct og_commit_index *ix, const struct og_commit_info *v, const struct og_ulid *id);

/* A value of its own with the same tables. NULL without memory. */
struct og_branch *og_branch_copy(const struct og_branch *b);
/* A copy of the bytes that lives as long as the state, the same for equal bytes. p NULL without memory. */
struct og_slice og_state_intern(struct og_state *s, struct og_slice bytes);
/* Puts a branch into the next slot; takes the reference over when it succeeds. */
int og_state_add_branch(struct og_state *s, struct og_branch *b, struct og_error *err);
int og_state_add_commit(struct og_state *s, const struct og_commit_info *c, struct og_error *err);
int og_state_add_schema(struct og_state *s, const struct og_schema_state *schema, struct og_error *err);
/* Types copied into the state's strings; NULL without memory. */
struct og_type_decl *og_state_types(struct og_state *s, const struct og_type_decl *types, size_t n);
/* The commit info of a commit record. Strings interned; OG_ERR_NOMEM. */
int og_state_info(struct og_state *s, const struct og_record *r, uint64_t seq, struct og_commit_info *out,
		  struct og_error *err);

#endif
