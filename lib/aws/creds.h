/*
 * Where credentials come from, in this order: the variables, the shared files, a web identity, a container's service, the
 * metadata service of EC2. The first that is configured is used; if it fails, that is the error. Those that expire are fetched
 * anew in time: in the background 15 minutes before their end; from 5 minutes before it requests wait for that, as long as it can
 * be done. A fetch that failed is repeated after 1 s at the earliest, then after growing times. Shared files are read again by each
 * fetch but the first, and when a service refuses a key of theirs.
 *
 * Trust:   answers of services are bounded and checked; a key with control characters is refused.
 * Memory:  keys are wiped when they are replaced.
 * Threads: one, that of the event_base. Files (profiles, tokens) are read by blocking calls: they are small and local.
 */
#ifndef OG_AWS_CREDS_H
#define OG_AWS_CREDS_H

#include "aws/settings.h"
#include "aws/sigv4.h"

struct og_aws_creds;

struct og_aws_creds_config {
	struct event_base *base;
	struct og_net *net;			/* lives longer */
	const struct og_aws_settings *settings;	/* lives longer */
	/* For tests. NULL and 0: the time of day, and 1,000 ms. */
	int64_t (*now_us)(void *arg);
	void *clock;
	unsigned pause_ms;			/* between the attempts of one fetch */
};

/* Chooses the source and reads the shared files. NULL with *err: what is configured cannot work. */
struct og_aws_creds *og_aws_creds_new(const struct og_aws_creds_config *config, struct og_error *err);
void og_aws_creds_free(struct og_aws_creds *c);	/* waiting requests are dropped. NULL is fine */

/*
 * key NULL and err NULL: requests go out unsigned. err: OG_ERR_UNAVAILABLE where another try may help, OG_ERR_DENIED where not.
 * The key is valid during the call only. May be called back from within og_aws_creds_get, when the key is at hand.
 */
typedef void (*og_aws_creds_cb)(void *arg, const struct og_aws_key *key, const struct og_error *err);
void og_aws_creds_get(struct og_aws_creds *c, og_aws_creds_cb cb, void *arg);
/* Forgets a request that waits. */
void og_aws_creds_drop(struct og_aws_creds *c, void *arg);
/* A service said that the key with this id has expired: unless it was replaced meanwhile, the next get waits for a new one. */
void og_aws_creds_expired(struct og_aws_creds *c, const char *id);

/* A service does not know the key with this id, or its signature: whether the shared files hold another one by now, which the
 * next get gives. */
bool og_aws_creds_refused(struct og_aws_creds *c, const char *id);

/* By AWS_REGION, AWS_DEFAULT_REGION or the profile; NULL: none says. */
const char *og_aws_creds_region(const struct og_aws_creds *c);
/* Files that are read again while this runs: the i-th, NULL behind the last. They need not exist. */
const char *og_aws_creds_file(const struct og_aws_creds *c, size_t i);
/* TCP ports that fetching keys may need, from these sources or those that the shared files may name another time: at most max. */
size_t og_aws_creds_ports(const struct og_aws_creds *c, uint16_t *out, size_t max);
/* "environment", "shared files", ...; for logs. */
const char *og_aws_creds_source(const struct og_aws_creds *c);

#endif
