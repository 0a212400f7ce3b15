/* Between the files of the S3 back end. */
#ifndef OG_STORE_S3_PRIVATE_H
#define OG_STORE_S3_PRIVATE_H

#include <event2/event.h>

#include "aws/creds.h"
#include "aws/encode.h"
#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "aws/xml.h"
#include "base/arena.h"
#include "base/ulid.h"
#include "net/http_client.h"
#include "store/s3.h"

#define S3_PARAMS 8
#define S3_HEADERS 8

struct s3_store {
	struct og_store store;		/* first */
	struct og_aws_settings settings;
	struct og_net *net;
	struct og_aws_creds *creds;
	struct og_sigv4 signer;
	struct og_s3_endpoint endpoint;
	char bucket[256], prefix[1026];	/* "" or ending in '/' */
	char region[64];
	enum { S3_REGION_KNOWN, S3_REGION_WANTED, S3_REGION_ASKED } region_state;
	struct og_net_transfer *region_transfer;
	int64_t skew_us;		/* the server's clock less ours */
	unsigned patience_ms, put_patience_ms;
	bool unsigned_payload, no_verify;
	bool unquoted;			/* this endpoint compares If-Match with the ETag without its quotes */
	bool no_batch;			/* it knows no delete of many */
	struct s3_call *calls;
	struct s3_op *ops;
	struct s3_ranges *fetches;	/* oldest first */
	unsigned ranges_in_flight;
	uint64_t range_bytes;
	uint64_t random;
};

/* What an answer means for the request that it answers. */
enum s3_class {
	S3_OK,
	S3_MISSING,	/* the key, or an upload */
	S3_PRECONDITION,
	S3_RANGE,	/* begins behind the end */
	S3_UNSUPPORTED,
	S3_TOO_LARGE,
	S3_FATAL,	/* permission, bucket, certificate: again would be the same */
	/* from here on another try may help */
	S3_UNSENT,	/* it did not leave */
	S3_CONFLICT,	/* it wrote nothing */
	S3_THROTTLED,
	S3_LOST,	/* it may have been carried out */
};

/* A request of S3's interface: built by its owner, then s3_call_start; exactly one completion, from the loop, unless dropped. */
struct s3_call {
	struct s3_store *s;
	const char *method;
	char *key;			/* full, of the bucket; NULL: the bucket itself */
	struct og_aws_param params[S3_PARAMS];	/* values: the owner's, until the completion */
	size_t nparams;
	struct og_net_header headers[S3_HEADERS];	/* the same */
	size_t nheaders;
	struct og_net_request net;	/* body, max_bytes, sink, stall_s, total_ms */
	/* May be NULL; of every try: see og_net_request. */
	void (*head)(struct s3_call *c, const struct og_net_response *res, void *arg);
	bool once;			/* no repetition after it may have been carried out, or been refused for load */
	bool xml_answer;		/* a 200 may carry an error */
	/* during the completion */
	enum s3_class cls;
	const struct og_net_response *res;	/* NULL when there was none */
	struct og_aws_fault fault;
	struct og_error err;		/* cls other than S3_OK: "HTTP 403 ..." */
	bool was_unknown;		/* an earlier try may have been carried out */
	void (*done)(struct s3_call *c, void *arg);
	void *arg;
	/* private to s3_call.c */
	struct event *timer;
	struct og_net_transfer *transfer;
	struct og_sha256_text hash;
	bool hashed, waits_for_key, waits_for_region, had_token, fixed_key, fixed_skew, fixed_region;
	char key_id[160];
	unsigned tries;
	unsigned patience_ms;
	uint64_t begun_us;
	unsigned delay_ms;
	struct s3_call *next;
};

/* NULL: no memory. key: of the store (the prefix is put before it) or NULL. */
struct s3_call *s3_call_new(struct s3_store *s, const char *method, const char *key, void (*done)(struct s3_call *c, void *arg),
			    void *arg);
void s3_call_param(struct s3_call *c, const char *name, const char *value);
void s3_call_header(struct s3_call *c, const char *name, const char *value);
/* The call is freed behind its completion. */
void s3_call_start(struct s3_call *c);
/* The same at once: what fails at once completes within this call. */
void s3_call_start_now(struct s3_call *c);
/* No completion any more; frees it. */
void s3_call_drop(struct s3_call *c);

/* s3_region.c: true when the bucket's region is being asked for; s3_calls_resume follows. */
bool s3_region_wait(struct s3_call *c);
/* Sends the calls that waited. */
void s3_calls_resume(struct s3_store *s);

/* An operation of the store. */
struct s3_op {
	struct s3_store *s;
	struct og_store_req req;	/* key, after, keys: copies in the arena; parts: the array too */
	struct og_store_tag tag;
	struct og_arena arena;
	og_store_cb cb;
	void *arg;
	struct s3_call *call;		/* the one under way, where there is only one */
	char range[64];
	char number[16];
	bool unquoted_tried;
	struct event *begin;
	bool beginning, ended;		/* within the submit; it ended there, and completes from the loop */
	int code;
	struct og_error err;
	struct og_buf body;		/* of a request or an answer */
	int fd;
	struct og_store_item *items;
	size_t nitems, cap_items;
	bool more;
	char *token;			/* list: where the next page begins */
	struct s3_many *many;
	struct s3_multi *multi;
	struct s3_ranges *ranges;
	struct s3_op *next;
};

/* Ends the operation: code 0, or the call's error under the name of the operation. Frees it. */
void s3_op_end(struct s3_op *op, struct og_store_result *res);
void s3_op_free(struct s3_op *op);
void s3_op_fail(struct s3_op *op, int code, const struct og_error *why);
/* The code of the store's interface for a call that is not S3_OK. */
int s3_op_code(const struct s3_op *op, enum s3_class cls);
/* false: it was ended with OG_ERR_NOMEM. */
bool s3_op_call(struct s3_op *op, const char *method, const char *key, void (*done)(struct s3_call *c, void *arg));

/* The ETag, as it came. false: the operation has ended. */
bool s3_take_tag(struct s3_op *op, const struct og_net_response *res, struct og_store_tag *tag);
/* "bytes 3-6/10", "bytes 3-6/" + star, "bytes " + star + "/10". What is not said stays. */
bool s3_content_range(const struct og_net_response *res, uint64_t *first, uint64_t *size);

/* s3_list.c, s3_delete.c, s3_multi.c, s3_ranges.c */
void s3_list_begin(struct s3_op *op);
void s3_delete_begin(struct s3_op *op);
void s3_many_free(struct s3_op *op);
void s3_multi_begin(struct s3_op *op);
void s3_multi_free(struct s3_op *op);
void s3_ranges_begin(struct s3_op *op);
void s3_ranges_free(struct s3_op *op);
/* For the fuzzer: one page of a list. */
int s3_list_read(struct s3_op *op, struct og_slice xml, struct og_error *err);

/* The length of a put's body. */
uint64_t s3_body_len(const struct og_store_req *req);

#endif
