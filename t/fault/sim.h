/*
 * A simulated world for the journal: virtual time, and object stores in memory that misbehave. One process, no sleeping, everything
 * decided by one seed, so that a history of minutes takes milliseconds and can be repeated.
 *
 * The program that links sim.c has its clock: clock_gettime, epoll_wait and getrandom are replaced in it for all libraries. Time goes on
 * only in sim_run, to the next thing that is due.
 *
 * A bucket is what all hosts share; each host has a store (store/store.h) of its own on it. A request travels, takes effect, and its
 * answer travels back; faults let any of the three fail, and an effect come long after its sender gave up. As S3 a bucket is durable
 * and has no shared pages. As a directory it has them, its objects last only once their folder was synced, and a power cut is possible.
 */
#ifndef OG_T_SIM_H
#define OG_T_SIM_H

#include "base/buf.h"
#include "base/map.h"
#include "base/ulid.h"
#include "store/store.h"

#define SIM_SECOND UINT64_C(1000000)

struct event_base;

/* ---- time and chance ---- */

void sim_start(uint64_t seed);		/* the clock stands at a fixed time, the event queue is empty */
uint64_t sim_now(void);			/* microseconds, monotonic */
uint64_t sim_rand(uint64_t below);	/* 0 when below is 0 */
bool sim_chance(double p);
/* Between 0 and 2 * mean, mostly small, at times ten times as much. */
uint64_t sim_delay(uint64_t mean_us);
void sim_at(uint64_t when, void (*f)(void *arg), void *arg);
/* How long to wait in earnest for sockets to become ready before time goes on; 0 where there are none. */
void sim_sockets(int ms);
/* Runs the base's events and ours until `end`, or until *stop. */
void sim_run(struct event_base *base, uint64_t end, const bool *stop);
/* Forgets what is due; frees nothing. */
void sim_forget(void);

/* ---- the store ---- */

/* How a store breaks its word; for the test of the test. */
enum sim_lie {
	SIM_HONEST,
	SIM_ACK_WITHOUT_STORING,	/* put if absent: 200, and nothing is there */
	SIM_PUT_OVER,			/* put if absent: 200 over an object that is there */
	SIM_OLD_GET,			/* a get of a new log object answers 404 for a while */
	SIM_LOSE,			/* an object vanishes */
	SIM_NO_SYNC,			/* directory: synced folders forget their last object in a power cut */
	SIM_NLIES,
};

struct sim_object {
	char *key;
	char *bytes;
	size_t len;
	uint64_t born;
	bool durable;
};

struct sim_bucket {
	bool directory;
	enum sim_lie lie;
	double faults;			/* share of requests that meet one */
	uint64_t travel_us;		/* mean, one way */
	uint64_t patience_us;		/* when a sender gives up */
	bool out;			/* nobody is answered */
	struct sim_object *v;		/* by key */
	size_t n, cap;
	uint64_t landed;		/* log objects 1..landed are there */
	unsigned lies;			/* told */
	unsigned met[16];		/* faults by kind, see sim_fault_name */
	int page;			/* descriptor, -1: none yet */
	void (*landing)(void *arg, uint64_t seq);
	void *arg;
};

void sim_bucket_init(struct sim_bucket *b, bool directory);
void sim_bucket_fini(struct sim_bucket *b);
const struct sim_object *sim_object(const struct sim_bucket *b, const char *key);
/* The log object of that seq, whatever the graph; NULL: none. */
const struct sim_object *sim_log_object(const struct sim_bucket *b, uint64_t seq);
/* What was not synced may be gone; so are the pages. All stores on it must be dead. */
void sim_power_cut(struct sim_bucket *b);
const char *sim_fault_name(unsigned kind);	/* NULL behind the last */

/* A host's way to the bucket; freed by og_store_free. NULL without memory. */
struct og_store *sim_store_new(struct sim_bucket *b, struct event_base *base);
/*
 * The host is dead: nothing more is sent. What is on its way to S3 arrives all the same; a directory's calls end with their process. Completions
 * are called with an error so that closed owners can let go; later requests are refused.
 */
void sim_store_kill(struct og_store *s);
void sim_store_cut_off(struct og_store *s, bool off);	/* no request arrives */

#endif
