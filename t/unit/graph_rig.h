/*
 * lib/graph before an og-storaged of paper: a graph and its operations at one end of a channel, and at the other what answers, keeps back, lies and dies as a
 * test wants it. The test fails where something of this fails. Single-threaded: turn() lets both sides run.
 */
#ifndef OG_T_UNIT_GRAPH_RIG_H
#define OG_T_UNIT_GRAPH_RIG_H

#include <check.h>

#include "graph/op.h"
#include "image/build.h"

#define HELD_MAX 64
#define COMMITS_MAX 32

struct held {
	uint16_t type;
	uint32_t request;
	struct og_wire_image image;
};

struct commit {
	uint64_t seq;
	struct og_buf body;
	uint32_t type;
	int64_t dn;
	bool segments, all;
};

/* The other side: main is Person and Place; `base` commits are in the images, the rest is told. */
struct fake {
	struct og_chan *chan;
	struct og_catalog *cat;
	bool hold;			/* keep requests until fake_go */
	struct held held[HELD_MAX];
	unsigned nheld, opens, catchups, images, commits_asked;
	struct commit commits[COMMITS_MAX];
	unsigned ncommits, base;	/* commits in the base */
	bool gone;			/* the branch does not exist */
	uint32_t claim, done;		/* of the last IMAGE_GET, of the last IMAGE_DONE */
	unsigned dropped;		/* IMAGE_DROPs answered */
	int fail_images;		/* so many IMAGE_GETs fail */
	int fail_code;
	unsigned again;			/* so many COMMITs are told to evaluate again */
	bool stale;			/* ... on a newer base, and it does not count */
	enum og_look looks[HELD_MAX];	/* of opens and catch-ups */
	unsigned nlooks;
	bool confirmed;			/* the base of the last COMMIT */
	bool silent_commits;
	uint64_t *bell;
	int bell_fd;
};
extern struct fake fake;

extern struct event_base *base;
extern struct og_chan *chan;			/* the worker's end; NULL once it is closed */
extern struct og_graph *graph;
extern struct og_ops *ops;
extern unsigned off_loop;			/* jobs that left the loop */
extern struct og_wire_image building;

void setup(void);
void teardown(void);
void turn(void);				/* whatever is due on both sides */

/* ---- what og-storaged does ---- */

struct og_buf rows_of(uint32_t type_index, const char *names);	/* a row for each letter */
void person(const char *name);			/* one more commit, of a person of that name */
void ring(void);
void push(uint64_t prev, bool reopen);		/* HEAD_MOVED, of what follows object prev */
void fake_answer(const struct held *q);
void fake_go(void);				/* answers what was kept back */
void fake_go_one(void);				/* the newest of that alone */
void send_bell(enum og_bell kind);
void connect_both(bool bell);			/* a new channel between the two */
void disconnect(void);				/* it dies */
void without_bell(void);			/* as on S3, from here on */

/* ---- what a worker asks ---- */

struct asked {
	unsigned answers;
	int code;
	uint64_t rows, seq;
	struct og_snap *snap;
	bool again;		/* ask once more from within the answer */
	bool now;
};

void ask(struct asked *a);
void on_state(void *arg, struct og_snap *s, const struct og_error *err);
void release(struct asked *a);
uint64_t rows_now(void);			/* asks and has it answered: rows of Person */

struct ran {
	unsigned answers;
	int code;
	uint64_t rows;
	char message[2048];
};

void on_changed(void *arg, const struct og_mutate_result *r, const struct og_error *err);
void query(struct ran *x, const char *type);
void change(struct ran *x, const char *text);
void insert(struct ran *x);

#endif
