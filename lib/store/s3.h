/*
 * The S3 back end of store/store.h: AWS S3 and what speaks like it, over lib/net.
 *
 * Puts if absent send If-None-Match: *, puts if match If-Match with the ETag; they are sent once: an answer that does not tell
 * (5xx, 409, reset, time-out) is OG_ERR_UNKNOWN, and the caller repeats. All else is repeated here, with growing random
 * delays, for as long as the store's patience lasts. A put of 64 MiB and more goes in parts of 8 MiB. A get with want_fd
 * comes in ranges of 8 MiB, several at a time (of one object, and of all together), each under the ETag that the first one brought, written where it
 * belongs as it arrives; a store that answers otherwise is asked once more, for the whole object. Objects whose keys are none of store/store.h are not listed.
 *
 * Messages: "storage read failed for 's3://bucket/key': HTTP 403 AccessDenied: ... (request id ...)".
 */
#ifndef OG_STORE_S3_H
#define OG_STORE_S3_H

#include "aws/settings.h"
#include "store/store.h"

struct og_store_s3_config {
	const char *uri;		/* s3://bucket/prefix */
	struct event_base *base;
	const struct og_aws_settings *settings;	/* copied */
	unsigned patience_ms;		/* how long a request may take with all its repetitions; 0: 180,000 */
	unsigned put_patience_ms;	/* the same for a put without a condition: what it holds took long to make; 0: 180,000 */
	uint64_t range_bytes;		/* of a get with want_fd; 0: 8 MiB */
	bool read_only;
};

/* NULL with *err (OG_ERR_BAD, DENIED, NOMEM): "failed to initialize s3 storage for '...': ...". Makes no request. */
struct og_store *og_store_s3_new(const struct og_store_s3_config *config, struct og_error *err);
/* Whether it is on a custom endpoint, whose promises are not known: see og_store_check. */
bool og_store_s3_custom(const struct og_store *s);

/* The TCP ports that it may connect to: endpoint, proxies, name servers, where keys come from. At most max. */
size_t og_store_s3_ports(const struct og_store *s, uint16_t *out, size_t max);

/* Files with credentials that are read again and again: the i-th, NULL behind the last. Who confines itself leaves their folders open. */
const char *og_store_s3_file(const struct og_store *s, size_t i);

/*
 * Whether a store honours conditions: puts a probe under a fresh name if absent, twice, then if match with a tag that cannot match,
 * then deletes it. OG_ERR_UNSUPPORTED if it does not: concurrent writers would destroy each other's data. Five requests at most; what
 * else fails is handed on.
 */
void og_store_check(struct og_store *s, og_store_cb cb, void *arg);

#endif
