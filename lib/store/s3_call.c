/* One request of S3's interface: addressed, signed, sent, understood, and repeated where that is right. */
#include "config.h"

#include "store/s3_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/date.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"

#define FIRST_DELAY_MS 100u
#define THROTTLE_DELAY_MS 1000u
#define DELAY_MAX_MS 15000u
#define RETRY_AFTER_MAX_S 20u
#define TRIES_MAX 11u
#define SKEW_US (INT64_C(240) * 1000000)
#define SMALL_BODY (1u * OG_MIB)
#define SMALL_MS 30000u
/* Without a byte in either direction: of the first try, and of a put that is not repeated here. */
#define STALL_S 5u
#define STALL_ONCE_S 10u
#define STALL_MAX_S 30u

/* ---- what an answer means ---- */

static bool among(const char *code, const char *const *codes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}
#define AMONG(code, ...) among(code, (const char *const[]){ __VA_ARGS__ }, OG_COUNT(((const char *const[]){ __VA_ARGS__ })))

static bool throttling(const char *code)
{
	return strncmp(code, "Throttling", 10) == 0 ||
	       AMONG(code, "SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "BandwidthLimitExceeded");
}

static enum s3_class class_of_4xx(unsigned status, const char *code)
{
	switch (status) {
	case 404:
		return strcmp(code, "NoSuchBucket") == 0 ? S3_FATAL : S3_MISSING;
	case 412:
		return S3_PRECONDITION;
	case 416:
		return S3_RANGE;
	case 409:
		return S3_CONFLICT;
	case 405:
		return S3_UNSUPPORTED;
	case 408:
		return S3_LOST;
	case 429:
		return S3_THROTTLED;
	case 400:
		if (throttling(code))
			return S3_THROTTLED;
		if (AMONG(code, "RequestTimeout", "BadDigest"))
			return S3_LOST;
		return strcmp(code, "NotImplemented") == 0 ? S3_UNSUPPORTED : S3_FATAL;
	default:
		return S3_FATAL;
	}
}

static enum s3_class class_of(const struct s3_call *c, const struct og_net_response *res)
{
	const char *code = c->fault.code;

	switch (res->outcome) {
	case OG_NET_ANSWERED:
		break;
	case OG_NET_NOT_SENT:
		return S3_UNSENT;
	case OG_NET_LOST:
		return S3_LOST;
	case OG_NET_TOO_LARGE:
		return S3_TOO_LARGE;
	case OG_NET_REFUSED:
		return S3_FATAL;
	}
	if (res->status >= 200 && res->status < 300) {
		if (!c->xml_answer || !code[0])
			return S3_OK;
		return throttling(code) ? S3_THROTTLED : AMONG(code, "InternalError") ? S3_LOST : S3_FATAL;
	}
	if (res->status == 304)
		return S3_PRECONDITION;
	if (res->status >= 400 && res->status < 500)
		return class_of_4xx(res->status, code);
	if (res->status == 501 || strcmp(code, "NotImplemented") == 0)
		return S3_UNSUPPORTED;
	if (res->status >= 500)
		return res->status == 503 && throttling(code) ? S3_THROTTLED : S3_LOST;
	return S3_FATAL;
}

/* How far the server's clock is ahead of ours; false: it does not say. */
static bool clock_ahead(const struct og_net_response *res, int64_t *us)
{
	int64_t t;

	if (!og_net_date(res, &t))
		return false;
	*us = t * 1000000 - og_now_us();
	return true;
}

/*
 * A page for people instead of an object or an XML document: some other server, or a proxy's log-in. Told by its text, for servers
 * are careless about types. A store's answers bear an ETag wherever such a text could be an object's.
 */
static bool is_web_page(const struct og_net_response *res)
{
	static const char *const begins[] = { "<!doctype html", "<html" };
	const char *ignored;
	size_t skip = 0;

	while (skip < res->body.len && strchr(" \t\r\n", res->body.p[skip]))
		skip++;
	for (size_t i = 0; i < OG_COUNT(begins); i++)
		if (res->body.len - skip >= strlen(begins[i]) && strncasecmp(res->body.p + skip, begins[i], strlen(begins[i])) == 0)
			return !og_net_header_find(res, "etag", &ignored);
	return false;
}

static const char *permissions(const struct s3_call *c)
{
	if (!c->key)
		return "s3:ListBucket is";
	if (strcmp(c->method, "PUT") == 0 || strcmp(c->method, "POST") == 0)
		return "s3:PutObject is";
	if (strcmp(c->method, "DELETE") == 0)
		return "s3:DeleteObject is";
	/* Without the second an object that is not there is denied, too. */
	return "s3:GetObject and s3:ListBucket are";
}

/* What to do about it, where that can be told. */
static void put_remedy(const struct s3_call *c, const struct og_net_response *res, struct og_buf *b)
{
	const char *code = c->fault.code, *host = c->s->endpoint.host;
	int64_t ahead;

	if (res->status == 403 && clock_ahead(res, &ahead) && llabs(ahead) > SKEW_US)
		og_buf_printf(b, "; this host's clock is %lld s %s the server's", (long long)(llabs(ahead) / 1000000),
			      ahead > 0 ? "behind" : "ahead of");
	if (strcmp(code, "NoSuchBucket") == 0)
		og_buf_printf(b, "; create it at %s first", host);
	if (AMONG(code, "AccessDenied", "AllAccessDisabled") || (res->status == 403 && !code[0]))
		og_buf_printf(b, "; %s needed", permissions(c));
	if (strcmp(code, "SignatureDoesNotMatch") == 0)
		og_buf_str(b, "; is the secret the one of this key?");
	if (c->key_id[0] && AMONG(code, "SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "ExpiredToken", "RequestExpired"))
		og_buf_printf(b, " (key ...%s, from: %s)", c->key_id + OG_MAX(strlen(c->key_id), (size_t)4) - 4,
			      og_aws_creds_source(c->s->creds));
	if (is_web_page(res))
		og_buf_printf(b, "; the answer is a web page: is %s the endpoint of an S3 store?", host);
	if (c->cls == S3_UNSUPPORTED && c->once)
		og_buf_str(b, "; the object store does not support conditional writes");
}

static void say_more(struct og_error *e, const char *text)
{
	size_t n = strlen(e->message);

	snprintf(e->message + n, sizeof(e->message) - n, "%s", text);
}

static void word_transport(struct s3_call *c, const struct og_net_response *res)
{
	c->err = *res->err;
	if (res->tls == OG_NET_TLS_CERTIFICATE)
		say_more(&c->err, "; AWS_CA_BUNDLE names a file of certificates to trust");
	else if (res->tls == OG_NET_TLS_HANDSHAKE && c->s->endpoint.https)
		say_more(&c->err, "; does the endpoint speak https?");
}

static void word_error(struct s3_call *c, const struct og_net_response *res)
{
	const struct og_aws_fault *f = &c->fault;
	struct og_buf b = { 0 };
	const char *id = f->request_id;

	if (res->outcome != OG_NET_ANSWERED) {
		word_transport(c, res);
		return;
	}
	og_buf_printf(&b, "HTTP %u", res->status);
	if (f->code[0])
		og_buf_printf(&b, " %s", f->code);
	if (strcmp(f->code, "NoSuchBucket") == 0)
		og_buf_printf(&b, ": there is no bucket '%s'", c->s->bucket);
	else if (f->message[0])
		og_buf_printf(&b, ": %s", f->message);
	if (!id[0])
		(void)og_net_header_find(res, "x-amz-request-id", &id);
	if (id[0])
		og_buf_printf(&b, " (request id %.128s)", id);
	put_remedy(c, res, &b);
	og_error_set(&c->err, OG_ERR_IO, "%s", b.data ? b.data : "no memory");
	og_buf_fini(&b);
}

/* ---- life ---- */

static uint64_t next_random(struct s3_store *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

static void unlink_call(struct s3_call *c)
{
	struct s3_call **at = &c->s->calls;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
}

void s3_call_drop(struct s3_call *c)
{
	if (!c)
		return;
	unlink_call(c);
	if (c->waits_for_key)
		og_aws_creds_drop(c->s->creds, c);
	og_net_cancel(c->transfer);
	if (c->timer)
		event_free(c->timer);
	free(c->key);
	free(c);
}

static void end(struct s3_call *c)
{
	c->done(c, c->arg);
	c->res = NULL;
	s3_call_drop(c);
}

static void send_now(struct s3_call *c);

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_now(arg);
}

struct s3_call *s3_call_new(struct s3_store *s, const char *method, const char *key, void (*done)(struct s3_call *c, void *arg),
			    void *arg)
{
	struct s3_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->s = s;
	c->method = method;
	c->patience_ms = strcmp(method, "PUT") == 0 ? s->put_patience_ms : s->patience_ms;
	c->done = done;
	c->arg = arg;
	c->next = s->calls;
	s->calls = c;
	c->timer = event_new(s->store.base, -1, 0, on_timer, c);
	if (key && asprintf(&c->key, "%s%s", s->prefix, key) < 0)
		c->key = NULL;
	if (!c->timer || (key && !c->key)) {
		s3_call_drop(c);
		return NULL;
	}
	c->net.fd = c->net.sink_fd = -1;
	return c;
}

void s3_call_param(struct s3_call *c, const char *name, const char *value)
{
	c->params[c->nparams++] = (struct og_aws_param){ name, value };
}

void s3_call_header(struct s3_call *c, const char *name, const char *value)
{
	c->headers[c->nheaders++] = (struct og_net_header){ name, value };
}

void s3_call_start(struct s3_call *c)
{
	c->begun_us = og_monotonic_us();
	/* From the loop in any case, whatever fails at once. */
	event_active(c->timer, EV_TIMEOUT, 1);
}

void s3_call_start_now(struct s3_call *c)
{
	c->begun_us = og_monotonic_us();
	send_now(c);
}

static void retry_in(struct s3_call *c, unsigned ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(c->timer, &tv);
}

static bool may_retry(struct s3_call *c, unsigned wait_ms)
{
	uint64_t spent = (og_monotonic_us() - c->begun_us) / 1000;

	if (c->cls < S3_UNSENT || c->tries >= TRIES_MAX || spent + wait_ms > c->patience_ms)
		return false;
	return !c->once;
}

/* Random between the first delay and twice the last one. */
static unsigned next_delay(struct s3_call *c, const struct og_net_response *res)
{
	unsigned first = c->cls == S3_THROTTLED ? THROTTLE_DELAY_MS : FIRST_DELAY_MS;
	unsigned span = c->delay_ms ? 2 * c->delay_ms : first;
	const char *text;
	uint64_t s;

	if (res && res->outcome == OG_NET_ANSWERED && og_net_header_find(res, "retry-after", &text) &&
	    og_parse_u64(og_slice_str(text), &s))
		return OG_MAX((unsigned)OG_MIN(s, RETRY_AFTER_MAX_S) * 1000u, FIRST_DELAY_MS);
	span = span > first ? span - first : 0;
	c->delay_ms = OG_MIN(first + (span ? (unsigned)(next_random(c->s) % (span + 1)) : 0), DELAY_MAX_MS);
	return c->delay_ms;
}

static void say_tries(struct s3_call *c)
{
	char text[64];

	snprintf(text, sizeof(text), " (tried %u times in %u s)", c->tries, (unsigned)((og_monotonic_us() - c->begun_us) / 1000000));
	if (c->cls >= S3_UNSENT && c->tries > 1)
		say_more(&c->err, text);
}

static void end_or_retry(struct s3_call *c, const struct og_net_response *res)
{
	unsigned wait = c->cls >= S3_UNSENT ? next_delay(c, res) : 0;

	if (c->cls == S3_LOST)
		c->was_unknown = true;
	if (!may_retry(c, wait)) {
		say_tries(c);
		c->res = res;
		end(c);
		return;
	}
	c->s->store.http_retries++;
	og_log(OG_LOG_DEBUG, "s3.retry", "method=%s try=%u wait_ms=%u", c->method, c->tries, wait);
	retry_in(c, wait);
}

/* ---- what a second try cures at once ---- */

static bool fix_key(struct s3_call *c, const struct og_net_response *res)
{
	const char *code = c->fault.code;

	/* Another key may have been written into the file meanwhile. A HEAD has no body to say why. */
	if (!c->fixed_key && (AMONG(code, "InvalidAccessKeyId", "SignatureDoesNotMatch") || (res->status == 403 && !code[0])) &&
	    og_aws_creds_refused(c->s->creds, c->key_id)) {
		c->fixed_key = true;
		return true;
	}
	if (!AMONG(code, "ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestExpired") &&
	    !(res->status == 400 && !code[0] && c->had_token && strcmp(c->method, "HEAD") == 0))
		return false;
	if (c->fixed_key)
		return false;
	c->fixed_key = true;
	og_aws_creds_expired(c->s->creds, c->key_id);
	return true;
}

static bool fix_skew(struct s3_call *c, const struct og_net_response *res)
{
	int64_t ahead;

	if (c->fixed_skew || res->status != 403 || !clock_ahead(res, &ahead))
		return false;
	if (llabs(ahead - c->s->skew_us) < SKEW_US && strcmp(c->fault.code, "RequestTimeTooSkewed") != 0)
		return false;
	c->fixed_skew = true;
	c->s->skew_us = ahead;
	og_log(OG_LOG_WARN, "s3.clock", "text=\"the server's clock differs from this host's by %lld s\"",
	       (long long)(ahead / 1000000));
	return true;
}

static bool fix_region(struct s3_call *c, const struct og_net_response *res)
{
	const char *region = c->fault.region;
	struct og_s3_endpoint e;
	struct og_error ignored = { 0 };

	if (res->status != 301 && res->status != 307 &&
	    !(res->status == 400 && (strcmp(c->method, "HEAD") == 0 || strcmp(c->fault.code, "AuthorizationHeaderMalformed") == 0)))
		return false;
	(void)og_net_header_find(res, "x-amz-bucket-region", &region);
	if (c->fixed_region || !region[0] || strlen(region) >= sizeof(c->s->region) || strcmp(region, c->s->region) == 0 ||
	    og_s3_endpoint(&c->s->settings, c->s->bucket, region, &e, &ignored) < 0)
		return false;
	c->fixed_region = true;
	strcpy(c->s->region, region);
	c->s->endpoint = e;
	return true;
}

static void on_head(void *arg, const struct og_net_response *res)
{
	struct s3_call *c = arg;

	c->head(c, res, c->arg);
}

static void on_response(void *arg, const struct og_net_response *res)
{
	struct s3_call *c = arg;

	c->transfer = NULL;
	c->s->store.http_bytes_in += res->received;
	c->fault = (struct og_aws_fault){ 0 };
	if (res->outcome == OG_NET_ANSWERED && (res->status >= 300 || c->xml_answer))
		og_aws_fault_read(res->body, &c->fault);
	if (res->outcome == OG_NET_ANSWERED && res->status >= 300 && (fix_key(c, res) || fix_skew(c, res) || fix_region(c, res))) {
		retry_in(c, 0);
		return;
	}
	c->cls = class_of(c, res);
	if (c->cls == S3_OK && is_web_page(res))
		c->cls = S3_FATAL;
	if (c->cls != S3_OK)
		word_error(c, res);
	end_or_retry(c, res);
}

/* ---- sending ---- */

static void fail(struct s3_call *c, enum s3_class cls, const struct og_error *err)
{
	c->cls = cls;
	c->err = *err;
	end_or_retry(c, NULL);
}

static int hash_file(const struct og_net_request *r, struct og_sha256_ctx *ctx, struct og_error *err)
{
	char *room = malloc(256 * OG_KIB);
	int rc = room ? 0 : og_error_nomem(err);

	for (uint64_t at = 0; at < r->len && rc == 0;) {
		size_t n = (size_t)OG_MIN(r->len - at, (uint64_t)256 * OG_KIB);

		rc = og_fd_pread_all(r->fd, room, n, r->offset + at, err);
		if (rc == 0)
			og_sha256_update(ctx, og_slice(room, n));
		at += n;
	}
	free(room);
	return rc;
}

static void hash_parts(const struct og_net_request *r, struct og_sha256_ctx *ctx)
{
	uint64_t skip = r->offset, left = r->len;

	for (size_t i = 0; i < r->nparts && left; i++) {
		struct og_slice s = r->parts[i];

		if (skip >= s.len) {
			skip -= s.len;
			continue;
		}
		s = og_slice(s.p + skip, (size_t)OG_MIN(left, s.len - skip));
		skip = 0;
		left -= s.len;
		og_sha256_update(ctx, s);
	}
}

/* Once: the body does not change between tries. */
static int hash_body(struct s3_call *c, struct og_error *err)
{
	struct og_sha256_ctx ctx;
	struct og_sha256 digest;
	int rc = 0;

	if (c->hashed)
		return 0;
	og_sha256_init(&ctx);
	if (c->net.send_body && c->net.from_fd)
		rc = hash_file(&c->net, &ctx, err);
	else if (c->net.send_body)
		hash_parts(&c->net, &ctx);
	digest = og_sha256_final(&ctx);
	c->hash = og_sha256_format(&digest);
	c->hashed = rc == 0;
	return rc;
}

static void build_path(struct s3_call *c, struct og_buf *path, struct og_buf *query)
{
	og_buf_str(path, c->s->endpoint.path);
	if (c->key) {
		og_buf_byte(path, '/');
		og_aws_encode_path(path, og_slice_str(c->key));
	} else if (!path->len) {
		og_buf_byte(path, '/');
	}
	og_buf_str(query, "");
	og_aws_query(query, c->params, c->nparams);
}

/*
 * A connection that has died in silence is found out by nothing else, and S3 answers small requests within a second or two. Later tries are more
 * patient, so that a store which is slow is not asked again and again; none goes on when the caller has gone.
 */
static unsigned stall_of(const struct s3_call *c)
{
	uint64_t left = (og_monotonic_us() - c->begun_us) / 1000;
	unsigned s = c->once ? STALL_ONCE_S : OG_MIN(STALL_S << OG_MIN(c->tries, 3u), STALL_MAX_S);

	if (c->net.len > SMALL_BODY)
		s = STALL_MAX_S;
	left = left < c->patience_ms ? (c->patience_ms - left) / 1000 : 0;
	return (unsigned)OG_MAX(OG_MIN((uint64_t)s, left), UINT64_C(1));
}

static int transmit(struct s3_call *c, const struct og_sigv4_result *sig, const char *path, const char *query, struct og_error *err)
{
	struct og_net_header headers[S3_HEADERS + 6];
	struct og_net_request r = c->net;
	struct og_buf url = { 0 };
	int rc;

	(void)og_buf_reserve(&url, 511);
	og_buf_printf(&url, "%s://%s%s%s%s", c->s->endpoint.https ? "https" : "http", c->s->endpoint.host, path, *query ? "?" : "",
		      query);
	if ((rc = og_buf_ok(&url, err)) < 0) {
		og_buf_fini(&url);
		return rc;
	}
	r.method = c->method;
	r.url = url.data;
	r.headers = headers;
	for (size_t i = 0; i < sig->nheaders; i++)
		headers[r.nheaders++] = sig->headers[i];
	for (size_t i = 0; i < c->nheaders; i++)
		headers[r.nheaders++] = c->headers[i];
	/* Or a proxy may compress, and with that make the ETag a weak one. */
	headers[r.nheaders++] = (struct og_net_header){ "accept-encoding", "identity" };
	r.may_resend = !c->once;
	r.no_verify = c->s->no_verify;
	if (!r.total_ms && strcmp(c->method, "GET") != 0 && r.len <= SMALL_BODY && !r.stall_s)
		r.total_ms = SMALL_MS;
	if (!r.stall_s)
		r.stall_s = stall_of(c);
	if (c->head)
		r.head = on_head;
	c->tries++;
	c->s->store.http_requests++;
	c->s->store.http_bytes_out += r.len;
	c->transfer = og_net_start(c->s->net, &r, on_response, c, err);
	og_buf_fini(&url);
	return c->transfer ? 0 : err->code;
}

static void on_key(void *arg, const struct og_aws_key *key, const struct og_error *why)
{
	struct s3_call *c = arg;
	struct s3_store *s = c->s;
	struct og_buf path = { 0 }, query = { 0 };
	struct og_sigv4_result sig = { 0 };
	struct og_error err = { 0 };
	struct og_sigv4_call call = { .method = c->method, .host = s->endpoint.host, .region = s->region, .service = "s3",
				      .headers = c->headers, .nheaders = c->nheaders };
	int rc;

	c->waits_for_key = false;
	if (why) {
		fail(c, why->code == OG_ERR_UNAVAILABLE ? S3_UNSENT : S3_FATAL, why);
		return;
	}
	c->had_token = key && key->token;
	snprintf(c->key_id, sizeof(c->key_id), "%s", key ? key->id : "");
	build_path(c, &path, &query);
	if ((rc = og_buf_ok(&path, &err)) == 0 && (rc = og_buf_ok(&query, &err)) == 0) {
		call.path = path.data;
		call.query = query.data ? query.data : "";
		call.payload = s->unsigned_payload && s->endpoint.https ? OG_SIGV4_UNSIGNED : c->hash.s;
		rc = og_sigv4_sign(&s->signer, &call, key, og_now_us() + s->skew_us, &sig, &err);
	}
	if (rc == 0)
		rc = transmit(c, &sig, path.data, call.query, &err);
	og_sigv4_result_fini(&sig);
	og_buf_fini(&path);
	og_buf_fini(&query);
	if (rc < 0)
		fail(c, S3_FATAL, &err);
}

void s3_calls_resume(struct s3_store *s)
{
	for (struct s3_call *c = s->calls; c; c = c->next) {
		if (c->waits_for_region)
			event_active(c->timer, EV_TIMEOUT, 1);
		c->waits_for_region = false;
	}
}

static void send_now(struct s3_call *c)
{
	struct og_error err = { 0 };

	if (s3_region_wait(c))
		return;
	if (hash_body(c, &err) < 0) {
		fail(c, S3_FATAL, &err);
		return;
	}
	c->waits_for_key = true;
	og_aws_creds_get(c->s->creds, on_key, c);
}
