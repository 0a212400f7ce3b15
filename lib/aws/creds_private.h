/* Between the files of the credential chain. */
#ifndef OG_AWS_CREDS_PRIVATE_H
#define OG_AWS_CREDS_PRIVATE_H

#include <event2/event.h>

#include "aws/creds.h"

#define CREDS_CHAIN_MAX 8

enum creds_kind {
	CREDS_ANONYMOUS,
	CREDS_STATIC,
	CREDS_WEB_IDENTITY,
	CREDS_CONTAINER,
	CREDS_METADATA,
	CREDS_ROLE,		/* AssumeRole with the key of the next source in the chain */
};

/* Where one key comes from. Texts are on the heap. */
struct creds_source {
	enum creds_kind kind;
	char *id, *secret, *token;				/* static */
	char *role_arn, *session, *external_id, *duration;	/* web identity, role */
	char *token_file;					/* web identity, container */
};

struct creds_key {
	char *id, *secret, *token;
	int64_t expires_us;	/* CLOCK_REALTIME; 0: never */
};

struct creds_waiter {
	og_aws_creds_cb cb;
	void *arg;
	struct creds_waiter *next;
};

struct og_aws_creds {
	struct event_base *base;
	struct og_net *net;
	const struct og_aws_settings *settings;
	int64_t (*now_us)(void *arg);
	void *clock;
	unsigned pause_ms;
	char region[64];
	const char *name;				/* of the source */
	bool from_files;
	char *files[2];					/* config, credentials */
	bool find_process;				/* only that is wanted: */
	char *process_profile, *process_command;
	struct creds_source chain[CREDS_CHAIN_MAX];	/* the outermost first */
	size_t nchain;
	struct creds_key key;
	bool have_key, forced;
	int64_t next_try_us;
	unsigned failures;
	struct og_error last_error;			/* of the fetch that failed last */
	struct creds_waiter *waiters;
	/* creds_fetch.c */
	bool fetching;
	size_t at;			/* of the chain */
	struct creds_key got;		/* of at + 1 */
	struct og_net_transfer *transfer;
	struct event *timer;
	struct og_sigv4 signer;
	struct og_buf body;		/* of the request to STS under way */
	unsigned tries;
	char metadata_token[512], metadata_role[256];
	int64_t metadata_token_until_us;
	bool metadata_v1, fresh_token, fresh_file, fresh_clock;
	bool metadata_off, wants_region;		/* wants_region: what the metadata service is asked for */
	char sts_region[64];				/* as the metadata service tells it */
	int64_t sts_skew_us;				/* STS's clock less ours */
};

/* creds_chain.c: the source by settings and files. */
int creds_choose(struct og_aws_creds *c, struct og_error *err) OG_MUST_CHECK;
void creds_sources_fini(struct og_aws_creds *c);
void creds_wipe(char **s);

/* creds_fetch.c: one of these is called later, or within creds_fetch. */
void creds_fetch(struct og_aws_creds *c);
void creds_fetched(struct og_aws_creds *c);	/* c->got holds the key */
void creds_failed(struct og_aws_creds *c, const struct og_error *err);
void creds_fetch_cancel(struct og_aws_creds *c);

int64_t creds_now(const struct og_aws_creds *c);
void creds_key_fini(struct creds_key *k);
/* Copies; refuses empty keys and control characters. OG_ERR_DENIED. */
int creds_key_set(struct creds_key *k, struct og_slice id, struct og_slice secret, struct og_slice token, struct og_slice expires,
		  struct og_error *err) OG_MUST_CHECK;

#endif
