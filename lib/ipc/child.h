/*
 * The common start of og-master's children: og-storaged, og-worker (also as builder).
 *
 * og-master starts them with an empty environment, arguments {program name, role "worker" | "builder" | "storaged"}, stderr,
 * and descriptor 3: the channel to og-master. Over it come LISTEN, SECRETS and CHANNEL, and last START with the settings.
 * og_child_start takes all of these; then the program boots, locks itself down, says READY, and runs its loop.
 * og-cli in direct mode starts og-storaged in the same way, with a third argument "operator": the other end of descriptor 3 is then
 * og-cli (role OG_ROLE_OPERATOR), which sends START and hands over, by CHANNEL with role operator, the channel for its requests.
 * To fold it also starts a builder, whose CHANNEL has role storaged, and sends the other end of that to og-storaged.
 * og_child_launch does og-cli's part.
 *
 *	static const struct og_child_ops ops = { .channel = on_channel, .drain = on_drain, .stop = on_stop };
 *
 *	int main(int argc, char **argv)
 *	{
 *		struct worker w = { 0 };
 *		struct og_error err = { 0 };
 *
 *		if (og_child_start(&w.child, argc, argv, &ops, &w, &err) < 0)
 *			return og_child_abort(&w.child, &err);	// says why, returns 1
 *		if (worker_init(&w, &err) < 0 ||			// settings: og_child_setting(&w.child, "graph.0.uri")
 *		    og_lock_begin(OG_LOCK_WORKER, NULL, 0, &w.held, &err) < 0 ||	// proc/lock.h
 *		    worker_start_threads(&w, &err) < 0 ||
 *		    og_lock_end(OG_LOCK_WORKER, &w.held, &err) < 0)
 *			return og_child_abort(&w.child, &err);	// REJECTED with the reason
 *		for (size_t i = 0; i < w.child.npeers; i++)	// channels that were there at the start;
 *			if (worker_connect(&w, &w.child.peers[i], &err) < 0)	// takes peers[i].fd, sets it to -1
 *				return og_child_abort(&w.child, &err);
 *		// ... when the graphs are open (at once, or from a callback):
 *		og_child_ready(&w.child, w.held, "", &err);
 *		event_base_dispatch(w.child.base);		// ends by event_base_loopbreak in on_stop, or after draining
 *		og_child_fini(&w.child);
 *		return 0;
 *	}
 *
 * Log lines go to og-master in batches (LOG) from og_child_start on, from any thread; what cannot be sent is counted and
 * dropped. stderr stays open for the last words of a crash.
 *
 * When the channel to og-master closes, stop() is called: nobody supervises us any more.
 * Threads: the loop's thread, but for logging.
 */
#ifndef OG_IPC_CHILD_H
#define OG_IPC_CHILD_H

#include <event2/event.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/map.h"
#include "ipc/chan.h"
#include "proc/spawn.h"

#define OG_CHILD_FD 3	       /* the channel to og-master */
#define OG_CHILD_ZONES_FD 4    /* a worker's: the tz database, for og_zones_map; the setting zones_fd says that it is there */
#define OG_CHILD_PEERS_MAX 256 /* channels handed over at the start */

struct og_child_peer {
	enum og_role role;    /* who is at the other end */
	uint32_t index;	      /* which one: workers count from 0 */
	uint32_t incarnation; /* counted up at each restart of the peer */
	int fd;		      /* for og_chan_new; -1 once taken */
};

struct og_child_ops {
	/* A channel to a fresh peer; it replaces an older one to the same role and index (whose other end is closed).
	 * Takes peer->fd. Below 0 ends the process. */
	int (*channel)(void *arg, struct og_child_peer *peer, struct og_error *err);
	/* Stop accepting, finish what runs, then leave the loop; STOP follows after so many milliseconds. */
	void (*drain)(void *arg, uint32_t ms);
	/* Leave now. May be called twice. */
	void (*stop)(void *arg);
	/* May be NULL. */
	void (*cancel)(void *arg, struct og_slice query_id);
	/* Encodes the body of STATS_REPLY (og_child_stats_begin and kin, or by hand). NULL: an empty one. */
	int (*stats)(void *arg, struct og_buf *reply, struct og_error *err);
};

struct og_child_log;
struct og_child_setting;

struct og_child {
	struct event_base *base;
	struct og_chan *master;
	enum og_role self;
	uint32_t generation, index;
	char *listen_addr; /* "ip:port" or NULL */
	int listen_fd;	   /* or -1: bound, non-blocking; og-master calls listen(2) once all are READY */
	int secrets_fd;	   /* or -1; og-storaged: og_secrets_get (proc/secrets.h) */
	struct og_child_peer peers[OG_CHILD_PEERS_MAX];
	size_t npeers;
	/* the rest is private */
	struct og_map settings;
	struct og_buf settings_text;
	const struct og_child_ops *ops;
	void *arg;
	struct og_child_log *log;
	bool started, rejected;
	struct og_error fault;
};

/*
 * Takes over descriptor 3, makes the event base, ignores SIGPIPE, SIGINT, SIGHUP and SIGTERM (og-master decides), and waits (at most 30 s) until START is
 * there. argv[1] names the role. `arg` is handed to the ops. On failure call og_child_abort.
 */
int og_child_start(struct og_child *c, int argc, char **argv, const struct og_child_ops *ops, void *arg, struct og_error *err) OG_MUST_CHECK;
/* The value of a setting, NUL-terminated, valid until og_child_fini; NULL when it was not given. */
const char *og_child_setting(const struct og_child *c, const char *key);
/* The same as a number; `otherwise` when not given or not a number. */
uint64_t og_child_setting_u64(const struct og_child *c, const char *key, uint64_t otherwise);
/* Says READY with the protections held (proc/held.h). */
int og_child_ready(struct og_child *c, uint32_t held, const char *note, struct og_error *err) OG_MUST_CHECK;
/* Says REJECTED with the reason (or prints it to stderr when there is no channel), frees everything, returns 1 for exit. */
int og_child_abort(struct og_child *c, const struct og_error *why);
void og_child_fini(struct og_child *c);

/*
 * og-cli's part, the operator: starts og-storaged (path: proc/find.h) with a channel of its own and these settings. secrets_fd may be -1 (og_secrets_take).
 * *control takes og-storaged's LOG, READY and REJECTED (rules: the caller's, role storaged) and STOP; *fd is our end of the channel for
 * requests (og_chan_new with self OG_ROLE_OPERATOR, peer OG_ROLE_STORAGED). og-storaged leaves when either channel closes or at STOP; the caller
 * reaps *pid. With role OG_ROLE_BUILDER it is og-worker as builder, and *fd the end that og-storaged is given with CHANNEL.
 */
struct og_launch_setting {
	const char *key, *value;
};
struct og_launch {
	const char *path;
	enum og_role role; /* OG_ROLE_STORAGED or OG_ROLE_BUILDER */
	const struct og_launch_setting *settings;
	size_t nsettings;
	int secrets_fd;
	struct og_spawn_ids ids; /* proc/spawn.h; {0}: as we are */
	const struct og_chan_cfg *control; /* self and peer are filled in */
};
int og_child_launch(struct event_base *base, const struct og_launch *l, pid_t *pid, struct og_chan **control, int *fd,
		    struct og_error *err) OG_MUST_CHECK;

/* The settings that og-master sends (all decimal texts where numbers):
 *	build_id, log.level (error|warn|info|debug), log.format (text|json), proc (the name for logs)
 *	mode (single|multi), graphs (count), graph.N.id ("" when anonymous), graph.N.uri (normalised), graph.N.label (for messages)
 *	state (open|default_deny|policy), bind (as asked for), workers (count), cpus (usable)
 *	header_timeout, body_timeout, idle_timeout, query_timeout (seconds), query_memory (bytes), image_memory (bytes),
 *	inflight_max, bytes_max (per actor), cache_dir ("" = none), cache_bytes (0 = none, UINT64_MAX = by the machine),
 *	max_staleness_ms, poll_ms, idle_ms (0: never), zones_fd (0: none)
 *	env.NAME (HOME, SSL_CERT_FILE, SSL_CERT_DIR of who started us; "" when not set) */

#endif
