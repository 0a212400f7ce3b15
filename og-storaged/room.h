/*
 * How much memory the images of a host take, and which of them go when it is too much.
 *
 * An image takes memory from when it is built until og-storaged has closed its descriptor and every process that it was handed to has let go of it. Who
 * was handed one is a holder until it says so, or dies. An image that is to go is first asked back from all its holders, and goes when the last has
 * answered; handed out again meanwhile, it stays.
 *
 * Limits:  `budget` is what images take in the steady state. Up to `most` is for the one request that needs more than fits beside what running queries hold.
 * Order:   least recently used first, of the lower rank first.
 * Memory:  items are the owner's, in a list here from room_add to room_drop; holders are ours. Threads: one.
 */
#ifndef OG_STORAGED_ROOM_H
#define OG_STORAGED_ROOM_H

#include <stdbool.h>

#include "base/error.h"

struct room_holder {
	uint64_t peer;
	uint64_t handed;		/* number of the last hand-out */
	uint64_t asked;			/* the same when it was last asked back; below `handed`: not asked since */
	uint64_t asked_ms;		/* the oldest question without an answer */
	unsigned open;			/* questions without an answer */
	struct room_holder *next;
};

struct room_item {
	uint64_t bytes;			/* once here */
	uint64_t promised;		/* while it is being built: the estimate */
	uint64_t used;
	unsigned rank;			/* 0 goes first */
	bool known, here, leaving;	/* between room_add and room_drop */
	struct room_holder *holders;
	struct room_item *prev, *next;
};

struct room_ops {
	/* Sends the question, to be answered by room_answered with the same number. false: not now. */
	bool (*ask)(void *arg, struct room_item *it, uint64_t peer, uint64_t number);
	bool (*busy)(void *arg, const struct room_item *it);	/* cannot go now */
	void (*gone)(void *arg, struct room_item *it);		/* nobody holds it any more: close it, free it (room_drop has been called) */
};

struct room {
	const struct room_ops *ops;
	void *arg;
	uint64_t budget, most;		/* bytes */
	unsigned count_max;		/* descriptors */
	uint64_t bytes, leaving, promised;
	unsigned count, nleaving;
	uint64_t number;		/* hand-outs, questions and uses so far */
	bool unasked;			/* some image that is to go waits for nothing but room_ask_again */
	struct room_item *items;
};

/* Half as much again as the budget is `most`. */
void room_init(struct room *r, const struct room_ops *ops, void *arg, uint64_t budget, unsigned count_max);
/* An item that is zero but for its rank. It takes nothing yet. */
void room_add(struct room *r, struct room_item *it);
/* Takes it out whatever its state, also when it is out already; holders are forgotten. */
void room_drop(struct room *r, struct room_item *it);
/* It will be built and take about so much. 0: it will not. */
void room_promise(struct room *r, struct room_item *it, uint64_t bytes);
void room_arrived(struct room *r, struct room_item *it, uint64_t bytes);
/* Asked for: younger than all others; stays, if it was to go. */
void room_use(struct room *r, struct room_item *it);
/* `peer` is handed a descriptor now. OG_ERR_NOMEM: it must not be. */
int room_hand(struct room *r, struct room_item *it, uint64_t peer, struct og_error *err) OG_MUST_CHECK;
/* The answer to question `number` has come. May end in ops->gone. */
void room_answered(struct room *r, struct room_item *it, uint64_t peer, uint64_t number);
/* The process is no more. */
void room_forget(struct room *r, uint64_t peer);
/* Has so many images go that `need` bytes more will be within the budget once they have; as far as others can go. */
void room_make(struct room *r, uint64_t need, uint64_t now_ms);
/* Asks whom room_make could not ask; what was busy then goes. */
void room_ask_again(struct room *r, uint64_t now_ms);
/* Whether `need` bytes more, in one more image, are within budget (or `most`) now. */
bool room_fits(const struct room *r, uint64_t need, uint64_t limit);
/* Bytes that a process was asked for more than `ms` ago and has not let go of. 0: none. */
uint64_t room_overdue(const struct room *r, uint64_t peer, uint64_t ms, uint64_t now_ms);
bool room_waits(const struct room *r);	/* some question has no answer yet */

#endif
