/* The S3 back end: set-up, get, head, small puts. */
#include "config.h"

#include "store/s3_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/date.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"

#define PATIENCE_MS 180000u
#define GET_MAX (UINT64_C(1024) * OG_MIB)
#define MULTI_MIN (UINT64_C(64) * OG_MIB)
#define RANGE_BYTES (UINT64_C(8) * OG_MIB)

/* ---- operations ---- */

/* The names that users know. */
static const char *action(enum og_store_op op)
{
	switch (op) {
	case OG_STORE_GET:
		return "read";
	case OG_STORE_HEAD:
		return "exists";
	case OG_STORE_PUT:
		return "write";
	case OG_STORE_PUT_ABSENT:
		return "write_if_absent";
	case OG_STORE_PUT_MATCH:
		return "write_if_match";
	case OG_STORE_DELETE:
		return "delete";
	case OG_STORE_DELETE_MANY:
		return "delete_prefix";
	case OG_STORE_LIST:
		return "list_dir";
	}
	return "?";
}

void s3_op_free(struct s3_op *op)
{
	struct s3_op **at = &op->s->ops;

	while (*at && *at != op)
		at = &(*at)->next;
	if (*at)
		*at = op->next;
	s3_many_free(op);
	s3_multi_free(op);
	s3_ranges_free(op);
	if (op->begin)
		event_free(op->begin);
	og_fd_close(&op->fd);
	free(op->items);
	free(op->token);
	og_buf_fini(&op->body);
	og_arena_fini(&op->arena);
	free(op);
}

void s3_op_end(struct s3_op *op, struct og_store_result *res)
{
	if (op->beginning) {
		op->ended = true;
		op->code = res->code;
		if (res->err)
			op->err = *res->err;
		event_active(op->begin, EV_TIMEOUT, 1);
		return;
	}
	op->cb(op->arg, res);
	s3_op_free(op);
}

void s3_op_fail(struct s3_op *op, int code, const struct og_error *why)
{
	struct og_store_result res = { .code = code, .fd = -1 };
	struct og_error err = { 0 };

	og_error_set(&err, code, "storage %s failed for 's3://%s/%s%s': %s", action(op->req.op), op->s->bucket, op->s->prefix,
		     op->req.key ? op->req.key : "", why->message);
	res.err = &err;
	s3_op_end(op, &res);
}

int s3_op_code(const struct s3_op *op, enum s3_class cls)
{
	bool reads = op->req.op == OG_STORE_GET || op->req.op == OG_STORE_HEAD || op->req.op == OG_STORE_LIST;

	switch (cls) {
	case S3_OK:
		return 0;
	case S3_MISSING:
		return reads || op->req.op == OG_STORE_PUT_MATCH ? OG_ERR_NOT_FOUND : OG_ERR_IO;
	case S3_PRECONDITION:
		if (op->req.op == OG_STORE_PUT_ABSENT)
			return OG_ERR_EXISTS;
		return op->req.op == OG_STORE_PUT_MATCH ? OG_ERR_MISMATCH : OG_ERR_IO;
	case S3_TOO_LARGE:
		return OG_ERR_TOO_LARGE;
	case S3_RANGE:
	case S3_UNSUPPORTED:
	case S3_FATAL:
		return OG_ERR_IO;
	case S3_UNSENT:
	case S3_CONFLICT:
	case S3_THROTTLED:
	case S3_LOST:
		return reads ? OG_ERR_UNAVAILABLE : OG_ERR_UNKNOWN;
	}
	return OG_ERR_IO;
}

static void op_fail_call(struct s3_op *op, const struct s3_call *c)
{
	s3_op_fail(op, s3_op_code(op, c->cls), &c->err);
}

bool s3_op_call(struct s3_op *op, const char *method, const char *key, void (*done)(struct s3_call *c, void *arg))
{
	struct og_error err = { 0 };

	op->call = s3_call_new(op->s, method, key, done, op);
	if (op->call)
		return true;
	og_error_nomem(&err);
	s3_op_fail(op, OG_ERR_NOMEM, &err);
	return false;
}

bool s3_take_tag(struct s3_op *op, const struct og_net_response *res, struct og_store_tag *tag)
{
	const char *etag;
	struct og_error err = { 0 };

	if (!op->req.want_tag)
		return true;
	if (!og_net_header_find(res, "etag", &etag) || !*etag)
		og_error_set(&err, OG_ERR_UNSUPPORTED, "the object store sends no ETag");
	else if (strlen(etag) >= sizeof(tag->s))
		og_error_set(&err, OG_ERR_UNSUPPORTED, "an ETag of %zu bytes", strlen(etag));
	else
		strcpy(tag->s, etag);
	if (!err.code)
		return true;
	s3_op_fail(op, OG_ERR_IO, &err);
	return false;
}

/* ---- head ---- */

static uint64_t length_of(const struct og_net_response *res)
{
	const char *text;
	uint64_t n;

	return og_net_header_find(res, "content-length", &text) && og_parse_u64(og_slice_str(text), &n) ? n : 0;
}

static void on_head(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct og_store_result res = { .fd = -1 };

	if (c->cls != S3_OK) {
		op_fail_call(op, c);
		return;
	}
	res.size = length_of(c->res);
	if (s3_take_tag(op, c->res, &res.tag))
		s3_op_end(op, &res);
}

static void head_begin(struct s3_op *op)
{
	if (s3_op_call(op, "HEAD", op->req.key, on_head))
		s3_call_start(op->call);
}

/* ---- get ---- */

bool s3_content_range(const struct og_net_response *res, uint64_t *first, uint64_t *size)
{
	const char *text, *slash, *dash;
	uint64_t n;

	if (!og_net_header_find(res, "content-range", &text) || strncmp(text, "bytes ", 6) != 0)
		return false;
	text += 6;
	slash = strchr(text, '/');
	if (!slash)
		return false;
	dash = memchr(text, '-', (size_t)(slash - text));
	if (dash && og_parse_u64(og_slice(text, (size_t)(dash - text)), &n))
		*first = n;
	if (og_parse_u64(og_slice_str(slash + 1), &n))
		*size = n;
	return true;
}

/* What the body holds of the range that was asked for. */
static int cut(struct s3_op *op, const struct og_net_response *res, struct og_store_result *out, struct og_error *err)
{
	uint64_t first = op->req.offset;

	out->body = res->body;
	out->size = op->req.offset + res->body.len;
	if (res->status == 206) {
		if (!s3_content_range(res, &first, &out->size) || first != op->req.offset)
			return og_error_set(err, OG_ERR_IO, "the answer is another range than was asked for");
		if (out->body.len > op->req.len)
			out->body.len = (size_t)op->req.len;
		return 0;
	}
	/* The store does not know ranges, or there was none. */
	out->size = res->body.len;
	if (op->req.offset >= out->body.len)
		out->body = og_slice(NULL, 0);
	else
		out->body = og_slice(out->body.p + op->req.offset, out->body.len - (size_t)op->req.offset);
	if (out->body.len > op->req.len)
		out->body.len = (size_t)op->req.len;
	return 0;
}

static void end_get(struct s3_op *op, const struct og_net_response *r)
{
	struct og_store_result res = { .fd = -1 };
	struct og_error err = { 0 };
	uint64_t max = op->req.max_bytes ? op->req.max_bytes : GET_MAX;

	if (cut(op, r, &res, &err) < 0) {
		s3_op_fail(op, err.code, &err);
		return;
	} else if (res.body.len > max) {
		og_error_set(&err, OG_ERR_TOO_LARGE, "longer than %llu bytes", (unsigned long long)max);
		s3_op_fail(op, err.code, &err);
		return;
	}
	if (s3_take_tag(op, r, &res.tag))
		s3_op_end(op, &res);
}

/* 304, or all of it again from a store that does not know the condition. */
static bool is_same(const struct s3_op *op, const struct s3_call *c)
{
	const char *etag;

	if (op->req.op != OG_STORE_GET || !op->req.tag)
		return false;
	if (c->cls == S3_PRECONDITION)
		return c->res->status == 304;
	return c->cls == S3_OK && og_net_header_find(c->res, "etag", &etag) && strcmp(etag, op->tag.s) == 0;
}

static void on_get(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct og_store_result res = { .fd = -1 };
	uint64_t first = 0;

	if (is_same(op, c)) {
		res.same = true;
		res.tag = op->tag;
		s3_op_end(op, &res);
	} else if (c->cls == S3_OK) {
		end_get(op, c->res);
	} else if (c->cls == S3_RANGE) {
		res.size = 0;
		(void)s3_content_range(c->res, &first, &res.size);
		s3_op_end(op, &res);
	} else {
		op_fail_call(op, c);
	}
}

static void set_range(struct s3_op *op)
{
	/* Servers count in signed 64 bits. */
	uint64_t first = OG_MIN(op->req.offset, (uint64_t)INT64_MAX - 1);

	if (op->req.len > INT64_MAX - first)
		snprintf(op->range, sizeof(op->range), "bytes=%llu-", (unsigned long long)first);
	else
		snprintf(op->range, sizeof(op->range), "bytes=%llu-%llu", (unsigned long long)first,
			 (unsigned long long)(first + op->req.len - 1));
	s3_call_header(op->call, "range", op->range);
}

static void get_begin(struct s3_op *op)
{
	uint64_t max = op->req.max_bytes ? op->req.max_bytes : GET_MAX;

	if (op->req.want_fd) {
		s3_ranges_begin(op);
		return;
	}
	if (op->req.len == 0) {	/* no such range can be written */
		head_begin(op);
		return;
	}
	if (!s3_op_call(op, "GET", op->req.key, on_get))
		return;
	if (op->req.offset || op->req.len != OG_STORE_TO_END) {
		set_range(op);
		max = GET_MAX;	/* checked when it is there: a store may send all of it */
	}
	if (op->req.tag)
		s3_call_header(op->call, "if-none-match", op->tag.s);
	op->call->net.max_bytes = max;
	s3_call_start(op->call);
}

/* ---- puts ---- */

uint64_t s3_body_len(const struct og_store_req *req)
{
	uint64_t n = 0;

	if (req->from_fd)
		return req->fd_len;
	for (size_t i = 0; i < req->nparts; i++)
		n += req->parts[i].len;
	return n;
}

static void put_begin(struct s3_op *op);

/*
 * Ceph before release 20 compares the quoted If-Match that the standard demands with its bare ETag and always answers 412. Seen
 * when HEAD shows the very ETag that did not match: then the bare form decides. HEAD also tells a missing object, for which
 * some stores answer 412 and some 404.
 */
static void on_quirk_head(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	const char *etag;
	struct og_error err = { 0 };

	if (c->cls == S3_OK && !op->unquoted_tried && og_net_header_find(c->res, "etag", &etag) && strcmp(etag, op->tag.s) == 0) {
		op->unquoted_tried = true;
		put_begin(op);
	} else if (c->cls == S3_OK || c->cls == S3_MISSING) {
		og_error_set(&err, OG_ERR_MISMATCH, "the object is another one");
		s3_op_fail(op, c->cls == S3_OK ? OG_ERR_MISMATCH : OG_ERR_NOT_FOUND, &err);
	} else {
		/* Nothing was written, but by whom the object is cannot be told now. */
		s3_op_fail(op, OG_ERR_UNKNOWN, &c->err);
	}
}

static void on_put(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct og_store_result res = { .fd = -1 };

	if (c->cls == S3_OK) {
		if (op->unquoted_tried && !op->s->unquoted) {
			op->s->unquoted = true;
			og_log(OG_LOG_INFO, "s3.if_match", "text=\"this store compares If-Match without quotes\"");
		}
		s3_op_end(op, &res);
	} else if (c->cls == S3_PRECONDITION && op->req.op == OG_STORE_PUT_MATCH) {
		if (s3_op_call(op, "HEAD", op->req.key, on_quirk_head))
			s3_call_start(op->call);
	} else {
		op_fail_call(op, c);
	}
}

static const char *bare_tag(struct s3_op *op)
{
	char *copy;
	size_t n = strlen(op->tag.s);

	if (n < 2 || op->tag.s[0] != '"' || op->tag.s[n - 1] != '"')
		return op->tag.s;
	copy = og_arena_strndup(&op->arena, op->tag.s + 1, n - 2);
	return copy ? copy : op->tag.s;
}

static void put_begin(struct s3_op *op)
{
	uint64_t len = s3_body_len(&op->req);
	struct s3_call *c;

	if (op->req.op == OG_STORE_PUT && len >= MULTI_MIN) {
		s3_multi_begin(op);
		return;
	}
	if (!s3_op_call(op, "PUT", op->req.key, on_put))
		return;
	c = op->call;
	s3_call_header(c, "content-type", "application/octet-stream");
	if (op->req.op == OG_STORE_PUT_ABSENT) {
		s3_call_header(c, "if-none-match", "*");
		c->once = true;
	} else if (op->req.op == OG_STORE_PUT_MATCH) {
		if (op->s->unquoted)
			op->unquoted_tried = true;
		s3_call_header(c, "if-match", op->unquoted_tried ? bare_tag(op) : op->tag.s);
		c->once = true;
	}
	c->net.parts = op->req.parts;
	c->net.nparts = op->req.nparts;
	c->net.from_fd = op->req.from_fd;
	c->net.fd = op->req.fd;
	c->net.len = len;
	c->net.send_body = true;
	if (op->beginning)
		s3_call_start_now(c);
	else
		s3_call_start(c);
}

/* ---- submit ---- */

static int copy_request(struct s3_op *op, const struct og_store_req *req)
{
	struct og_slice *parts;
	const char **keys;

	op->req = *req;
	if (req->key && !(op->req.key = og_arena_strndup(&op->arena, req->key, strlen(req->key))))
		return -1;
	if (req->after && !(op->req.after = og_arena_strndup(&op->arena, req->after, strlen(req->after))))
		return -1;
	if (req->tag) {
		op->tag = *req->tag;
		op->req.tag = &op->tag;
	}
	if (req->nparts) {
		if (!(parts = og_arena_array(&op->arena, req->nparts, sizeof(*parts))))
			return -1;
		memcpy(parts, req->parts, req->nparts * sizeof(*parts));
		op->req.parts = parts;
	}
	if (req->nkeys) {
		if (!(keys = og_arena_array(&op->arena, req->nkeys, sizeof(*keys))))
			return -1;
		for (size_t i = 0; i < req->nkeys; i++)
			if (!(keys[i] = og_arena_strndup(&op->arena, req->keys[i], strlen(req->keys[i]))))
				return -1;
		op->req.keys = keys;
	}
	return 0;
}

static void begin(struct s3_op *op)
{
	switch (op->req.op) {
	case OG_STORE_GET:
		get_begin(op);
		return;
	case OG_STORE_HEAD:
		head_begin(op);
		return;
	case OG_STORE_PUT:
	case OG_STORE_PUT_ABSENT:
	case OG_STORE_PUT_MATCH:
		put_begin(op);
		return;
	case OG_STORE_DELETE:
	case OG_STORE_DELETE_MANY:
		s3_delete_begin(op);
		return;
	case OG_STORE_LIST:
		s3_list_begin(op);
		return;
	}
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
	struct s3_op *op = arg;
	struct og_store_result res = { .code = op->code, .err = &op->err, .fd = -1 };

	(void)fd;
	(void)what;
	if (op->ended)
		s3_op_end(op, &res);
	else
		begin(op);
}

static void s3_submit(struct og_store *store, const struct og_store_req *req, og_store_cb cb, void *arg)
{
	struct s3_store *s = (struct s3_store *)store;
	struct s3_op *op = calloc(1, sizeof(*op));
	struct og_error err = { 0 };

	if (op) {
		op->s = s;
		op->fd = -1;
		op->cb = cb;
		op->arg = arg;
		og_arena_init(&op->arena, 0);
		op->next = s->ops;
		s->ops = op;
	}
	if (op)
		op->begin = event_new(store->base, -1, 0, on_begin, op);
	if (!op || !op->begin || copy_request(op, req) < 0) {
		if (op)
			s3_op_free(op);
		og_error_nomem(&err);
		og_store_defer(store, err.code, &err, cb, arg);
		return;
	}
	/* Commits: what the loop has to do besides can wait, they cannot. */
	op->beginning = req->op == OG_STORE_PUT_ABSENT;
	if (op->beginning) {
		begin(op);
		op->beginning = false;
		return;
	}
	/* From the loop: whatever fails at once must not complete within this call. */
	event_active(op->begin, EV_TIMEOUT, 1);
}

/* ---- set-up ---- */

static void s3_free(struct og_store *store)
{
	struct s3_store *s = (struct s3_store *)store;

	while (s->calls)
		s3_call_drop(s->calls);
	while (s->ops)
		s3_op_free(s->ops);
	og_aws_creds_free(s->creds);
	og_net_free(s->net);
	og_sigv4_fini(&s->signer);
	og_aws_settings_fini(&s->settings);
	og_store_fini(&s->store);
	free(s);
}

static const struct og_store_ops s3_ops = {
	.submit = s3_submit,
	.free = s3_free,
};

static int copy_settings(struct og_aws_settings *to, const struct og_aws_settings *from, struct og_error *err)
{
#define COPY(member, ...) \
	if (from->member && !(to->member = strdup(from->member))) \
		return og_error_nomem(err);
	OG_AWS_SETTINGS(COPY)
#undef COPY
	return 0;
}

static int make_clients(struct s3_store *s, struct og_error *err)
{
	const struct og_aws_settings *set = &s->settings;
	struct og_net_config net = {
		.base = s->store.base, .ca_file = set->ca_bundle ? set->ca_bundle : set->ca_file,
		.ca_dir = set->ca_bundle ? NULL : set->ca_dir,
		.https_proxy = set->https_proxy, .http_proxy = og_aws_http_proxy(set),
		.all_proxy = set->all_proxy, .no_proxy = set->no_proxy,
	};
	struct og_aws_creds_config creds = { .base = s->store.base, .settings = &s->settings };

	s->net = og_net_new(&net, err);
	if (!s->net)
		return err->code;
	creds.net = s->net;
	s->creds = og_aws_creds_new(&creds, err);
	return s->creds ? 0 : err->code;
}

static int choose_endpoint(struct s3_store *s, struct og_error *err)
{
	const char *region = og_aws_creds_region(s->creds);
	int rc;

	snprintf(s->region, sizeof(s->region), "%s", region ? region : "us-east-1");
	if ((rc = og_s3_endpoint(&s->settings, s->bucket, s->region, &s->endpoint, err)) < 0)
		return rc;
	if (!region && !s->endpoint.custom)
		s->region_state = S3_REGION_WANTED;
	if (!s->endpoint.https) {
		char url[400];

		snprintf(url, sizeof(url), "http://%s/", s->endpoint.host);
		if (!og_net_is_loopback(url))
			og_log(OG_LOG_WARN, "s3.plain_http", "endpoint=%s text=\"data go over the network unencrypted\"",
			       s->endpoint.host);
	}
	if (s->no_verify)
		og_log(OG_LOG_WARN, "s3.no_verification", "text=\"certificates are not checked\"");
	return 0;
}

static int set_up(struct s3_store *s, const struct og_store_s3_config *c, struct og_error *err)
{
	char key[OG_STORE_KEY_MAX + 1];
	struct og_ulid_gen ids = { 0 };
	struct og_ulid id;
	int rc;

	if ((rc = og_s3_uri(c->uri, s->bucket, key, err)) < 0)
		return rc;
	snprintf(s->prefix, sizeof(s->prefix), *key ? "%s/" : "%s", key);
	if ((rc = copy_settings(&s->settings, c->settings, err)) < 0 ||
	    (rc = og_aws_bool("AWS_UNSIGNED_PAYLOAD", s->settings.unsigned_payload, &s->unsigned_payload, err)) < 0 ||
	    (rc = og_aws_bool("AWS_ALLOW_INVALID_CERTIFICATES", s->settings.allow_invalid_certificates, &s->no_verify, err)) < 0 ||
	    (rc = og_ulid_new(&ids, &id, err)) < 0)
		return rc;
	memcpy(&s->random, id.b + 8, sizeof(s->random));
	s->random |= 1;
	if ((rc = make_clients(s, err)) < 0)
		return rc;
	return choose_endpoint(s, err);
}

struct og_store *og_store_s3_new(const struct og_store_s3_config *config, struct og_error *err)
{
	struct s3_store *s = calloc(1, sizeof(*s));

	if (!s || og_store_init(&s->store, &s3_ops, config->base, config->uri, err) < 0) {
		free(s);
		og_error_nomem(err);
		return NULL;
	}
	s->store.read_only = config->read_only;
	s->patience_ms = config->patience_ms ? config->patience_ms : PATIENCE_MS;
	s->put_patience_ms = config->put_patience_ms ? config->put_patience_ms : PATIENCE_MS;
	s->range_bytes = config->range_bytes ? config->range_bytes : RANGE_BYTES;
	if (set_up(s, config, err) == 0)
		return &s->store;
	og_error_prefix(err, "failed to initialize s3 storage for '%s': ", config->uri);
	s3_free(&s->store);
	return NULL;
}

/* Without one libcurl takes 1080, or 443 where the proxy itself speaks TLS. */
static unsigned proxy_port(const char *url)
{
	const char *host = strstr(url, "://");
	unsigned port = og_aws_url_port(host ? host + 3 : url);

	if (port)
		return port;
	return strncasecmp(url, "https://", 8) == 0 ? 443 : 1080;
}

size_t og_store_s3_ports(const struct og_store *store, uint16_t *out, size_t max)
{
	const struct s3_store *s = (const struct s3_store *)store;
	const char *proxies[] = { s->settings.https_proxy, og_aws_http_proxy(&s->settings), s->settings.all_proxy };
	char url[400];
	size_t n;

	if (store->ops != &s3_ops || max < 5)
		return 0;
	snprintf(url, sizeof(url), "%s://%s", s->endpoint.https ? "https" : "http", s->endpoint.host);
	out[0] = (uint16_t)og_aws_url_port(url);
	out[1] = 53;
	n = 2;
	for (size_t i = 0; i < OG_COUNT(proxies); i++)
		if (proxies[i])
			out[n++] = (uint16_t)proxy_port(proxies[i]);
	return n + og_aws_creds_ports(s->creds, out + n, max - n);
}

const char *og_store_s3_file(const struct og_store *s, size_t i)
{
	return s->ops == &s3_ops ? og_aws_creds_file(((const struct s3_store *)s)->creds, i) : NULL;
}

bool og_store_s3_custom(const struct og_store *s)
{
	return s->ops == &s3_ops && ((const struct s3_store *)s)->endpoint.custom;
}
