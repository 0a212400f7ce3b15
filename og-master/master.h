/*
 * og-master: the supervisor. It parses no byte of a client or of the store; it starts og-storaged, the builder and the workers,
 * hands them their sockets and channels, starts them again when they end, and answers the admin socket.
 *
 * One process, one thread, one struct master that main owns. The life of the server is its phase; every event is a function
 * here that looks at the phase.
 */
#ifndef OG_MASTER_MASTER_H
#define OG_MASTER_MASTER_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "ipc/admin.h"
#include "ipc/chan.h"
#include "og-master/options.h"
#include "proc/find.h"
#include "proc/spawn.h"

enum phase {
	PHASE_BOOT,  /* children start; nothing listens; the first failure ends it */
	PHASE_SERVE, /* what ends is started again */
	PHASE_DRAIN, /* workers finish what they have */
	PHASE_STOP,  /* all leave */
};

enum child_state {
	CHILD_DOWN,
	CHILD_STARTING, /* has got START */
	CHILD_READY,
	CHILD_LEAVING, /* its channel is closed, its process not yet gone */
};

struct child {
	struct master *m;
	enum og_role role;
	uint32_t index;
	char name[32]; /* "storaged", "builder", "worker.3" */
	enum child_state state;
	pid_t pid; /* 0: none */
	struct og_chan *chan;
	uint32_t incarnation; /* of the process: 1, 2, ... */
	uint32_t held;
	bool own_user;
	uint64_t started_ms; /* monotonic */
	uint32_t backoff_ms;
	char *reason;	/* why the process that runs is about to end; NULL: it is not */
	char *last_end; /* how the one before ended; NULL: there was none */
	struct event restart, kill;
	uint32_t ping;	/* the question that waits for its answer; 0: none */
	unsigned missed; /* looks in a row that found it unanswered */
};

struct master {
	struct options opt;
	struct event_base *base;
	enum phase phase;
	int exit_code;
	bool failed; /* the boot failure was told */
	uint64_t started_ms;
	uint32_t generation;

	struct og_config config; /* empty with --cluster; its arena holds the next two */
	bool has_config;
	const char *graph_uri;	/* normalised */
	char cache_dir[OG_PROC_PATH_MAX];	/* "": none */
	const char *graph_name; /* NULL: anonymous */
	int listen_fd;
	char addr[80]; /* "ip:port" */
	int secrets_fd;
	int zones_fd; /* the tz database, one copy for all workers */
	uint32_t held;
	struct og_admin_addr admin_addr;
	int admin_fd;
	struct event admin;
	struct admin_peer *admin_peers;

	char storaged_path[OG_PROC_PATH_MAX], worker_path[OG_PROC_PATH_MAX];
	struct child *children; /* og-storaged, builder, workers */
	size_t nchildren;
	bool workers_started;

	struct event sigterm, sigint, sigchld, sighup, drain_timer, stop_timer, watch;
};

#define CHILD_STORAGED 0
#define CHILD_BUILDER 1
#define CHILD_WORKERS 2 /* from here on */

uint64_t master_now_ms(void);

/* mode.c: from options and config file to the graph that is served, or the refusal. Messages are the user's. */
int mode_choose(struct master *m, struct og_error *err) OG_MUST_CHECK;

/* boot.c: bound, not yet listening. */
int boot_bind(struct master *m, struct og_error *err) OG_MUST_CHECK;
/* listen(2), the listen line, READY=1. */
int boot_serve(struct master *m, struct og_error *err) OG_MUST_CHECK;

/* children.c */
int children_init(struct master *m, struct og_error *err) OG_MUST_CHECK;
/* og-storaged and the builder; the workers follow when og-storaged is ready. */
int children_start(struct master *m, struct og_error *err) OG_MUST_CHECK;
/* Reaps what has ended (also orphans, when we are process 1). */
void children_reap(struct master *m);
/* Workers accept no more and finish; then everything stops. */
void children_drain(struct master *m, uint32_t ms);
/* STOP to everyone; og-storaged last, when the others are gone. */
void children_stop(struct master *m);
void children_kill(struct master *m);
bool children_gone(const struct master *m);
void children_fini(struct master *m);

/* Why the process that runs is about to end: for the log and the status. */
void child_set_reason(struct child *c, const char *text);

/* watch.c: a child whose loop stands still for --stuck-timeout is killed, and so replaced. */
void watch_start(struct master *m);
void watch_stop(struct master *m);
/* The child's channel is about to go. */
void watch_forget(struct child *c);

/* main.c: what children and signals tell. */
void master_all_ready(struct master *m);
/* Boot has failed: said once, on stderr, then everything stops with exit code 1. */
void master_fail(struct master *m, const char *message);
void master_stop(struct master *m);
void master_children_gone(struct master *m);

/* admin.c */
int admin_open(struct master *m, struct og_error *err) OG_MUST_CHECK;
void admin_close(struct master *m);

#endif
