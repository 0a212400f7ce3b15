/*
 * The command line and the variables of omnigraph-server, as given; what they mean together is boot.c's.
 * Memory: texts are argv's and the environment's; they live as long as the process. Threads: one.
 */
#ifndef OG_MASTER_OPTIONS_H
#define OG_MASTER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct options {
	const char *uri, *target, *config, *cluster, *bind;
	const char *cache_dir, *admin_socket, *libexec_dir, *log_format;
	bool unauthenticated, follow, allow_degraded, require_all_graphs;
	uint64_t header_timeout, body_timeout, idle_timeout, query_timeout; /* seconds */
	uint64_t query_memory, cache_bytes;				    /* bytes; cache 0: none, UINT64_MAX: by the machine */
	uint64_t image_memory;						    /* bytes; 0: half of the memory there is */
	uint64_t workers;						    /* 0: by the machine */
	uint64_t max_staleness_ms, poll_ms, idle_ms;
	uint64_t drain_timeout, stuck_timeout; /* seconds */
	uint64_t inflight_max, bytes_max; /* per actor */
	uint32_t given; /* options on the command line, a bit each in the table's order: their variables do not count */
};

enum options_end {
	OPTIONS_RUN,
	OPTIONS_HELP,	 /* print usage on stdout, exit 0 */
	OPTIONS_VERSION, /* exit 0 */
	OPTIONS_WRONG,	 /* *err says why; usage on stderr, exit 2 */
};

enum options_end options_parse(int argc, char **argv, struct options *o, struct og_error *err);
extern const char options_usage[];
/* The variables, where no flag was given. A text that does not parse is logged and the default stands. */
void options_environment(struct options *o);
/* A variable's value without surrounding white space is neither empty nor `0` nor `false`. */
bool options_truthy(const char *value);
/* The variable, or NULL when unset or blank. */
const char *options_env(const char *name);

#endif
