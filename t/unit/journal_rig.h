/*
 * What the tests of the journal share: a graph of three types in a folder of its own, journals on it, and running the loop until something is answered.
 * The test fails where something of this fails.
 */
#ifndef OG_T_UNIT_JOURNAL_RIG_H
#define OG_T_UNIT_JOURNAL_RIG_H

#include "t/check.h"

#include "journal/journal.h"

extern char tmp[64];			/* the folder */
extern struct event_base *base;
extern unsigned threads;		/* of the store */
extern struct og_store *st;		/* that every journal opened here is on */
extern struct og_journal *a, *b;	/* a is open from the start; both are closed at the end */
extern struct og_error failure;
extern struct og_ulid_gen gen;
extern struct og_journal_hooks hooks;	/* of every journal opened here */

/* What became of something that was asked for. */
struct outcome {
	bool done;
	int code;
	enum og_commit_outcome outcome;
	char message[512];
	struct og_ulid id;
	uint64_t seq, version, expected, actual;
	uint32_t type;
	bool counted;
	struct og_journal *j;
	const struct og_branch *state;
	struct og_buf bytes;
};

/* A commit to be made: on the head of a branch, of one row of type 1, unless changed. */
struct spec {
	struct og_journal *j;
	struct og_ulid branch, base;
	uint32_t type;
	int64_t dn;
	uint32_t strict, scanned;	/* 0: none */
	uint64_t r, w;			/* 0: none */
	bool unconfirmed, all_keys;
	const char *rows;
	const struct og_ulid *expect;
	const struct og_seg *seg;
};

/* A program of these tests: each runs without I/O threads and with them. Its exit status. */
int journal_main(const char *name, void (*add)(TCase *tc));

/* Runs the loop until it is done; the callbacks that say so have a struct outcome as their argument. */
void run(struct outcome *o);
void turn(int n);	/* n times what is due now */
void on_done(void *arg, const struct og_error *e);
void on_open(void *arg, struct og_journal *j, const struct og_error *e);
void on_commit(void *arg, const struct og_commit_result *res);
void on_snapshot(void *arg, const struct og_branch *s, const struct og_error *e);
void on_bytes(void *arg, struct og_slice bytes, const struct og_error *e);

struct og_journal_config config(void);	/* no checkpoints but those asked for */
struct og_store *open_store(void);
struct og_journal *open_journal(void);
void reopen(void);			/* a */
void interpose(bool paged);		/* a tally_store between st and the journals, and reopens a */
struct outcome init(bool force);

struct spec on(struct og_journal *j, const char *name);
void start(const struct spec *s, struct outcome *o);
struct outcome commit(const struct spec *s);
struct outcome plain(struct og_journal *j, const char *name);	/* committed */
void many(unsigned n);			/* commits of a, up to 64 in an object */
void checkpoint(void);			/* of a */
void confirm(struct og_journal *j);
struct outcome branch(struct og_journal *j, const char *name, const char *from, bool delete);
struct outcome schema_change(struct og_journal *j, const struct og_ulid *from);

struct og_ulid head(struct og_journal *j, const char *name);
struct og_ulid bid(struct og_journal *j, const char *name);
uint64_t rows(struct og_journal *j, const char *name, uint32_t type);
uint64_t requests(void);		/* to st, of any kind, so far */

#endif
