/*
 * AWS Signature Version 4, with the signature in the Authorization header.
 * Source:  AWS General Reference, "Signing AWS API requests"; Amazon S3 API Reference, "Authenticating Requests".
 * Memory:  a signer keeps the derived key of the day; og_sigv4_fini wipes it.
 * Threads: a signer belongs to one thread.
 */
#ifndef OG_AWS_SIGV4_H
#define OG_AWS_SIGV4_H

#include "base/buf.h"
#include "base/sha256.h"
#include "net/http_client.h"

#define OG_SIGV4_HEADERS 24
#define OG_SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

struct og_aws_key {
	const char *id, *secret;
	const char *token;		/* NULL: none */
};

struct og_sigv4 {
	struct og_sha256 cached_for;	/* secret, date, region, service */
	uint8_t key[32];
	bool have_key;
};

struct og_sigv4_call {
	const char *method;
	const char *host;		/* as sent: with the port unless it is the scheme's own */
	const char *path;		/* as sent: encoded, "/" at least */
	const char *query;		/* as sent: og_aws_query; "" for none */
	const char *region, *service;
	const char *payload;		/* hex SHA-256 of the body, or OG_SIGV4_UNSIGNED */
	/* Signed: those whose names (any case) are x-amz-*, content-type, content-md5, if-match, if-none-match, range. */
	const struct og_net_header *headers;
	size_t nheaders;
};

/* What goes out beside the caller's headers. */
struct og_sigv4_result {
	char date[17];
	struct og_buf authorization;
	struct og_net_header headers[5];	/* host, x-amz-date, x-amz-content-sha256 (S3), x-amz-security-token, authorization */
	size_t nheaders;
	struct og_sha256_text canonical, signature;	/* for tests */
};

/* key NULL: unsigned; only host and, for S3, the payload's hash go out. Free the result with og_sigv4_result_fini. */
int og_sigv4_sign(struct og_sigv4 *s, const struct og_sigv4_call *call, const struct og_aws_key *key, int64_t now_us,
		  struct og_sigv4_result *out, struct og_error *err) OG_MUST_CHECK;
void og_sigv4_result_fini(struct og_sigv4_result *r);
void og_sigv4_fini(struct og_sigv4 *s);

#endif
