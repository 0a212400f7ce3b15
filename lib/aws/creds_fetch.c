/* Fetching keys: metadata service, container's service, STS. One source after the other, the innermost of the chain first. */
#include "config.h"

#include "aws/creds_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/encode.h"
#include "aws/endpoint.h"
#include "aws/xml.h"
#include "base/arena.h"
#include "base/date.h"
#include "base/fd.h"
#include "base/log.h"
#include "json/tree.h"

#define TRIES 3u
#define TOKEN_TTL "21600"
#define TOKEN_LIFE_US (INT64_C(21000) * 1000000)
#define TOKEN_FILE_MAX (16u * OG_KIB)
#define SKEW_US (INT64_C(240) * 1000000)
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"
#define REGION_PATH "/latest/meta-data/placement/region"

static void fetch_at(struct og_aws_creds *c);

static struct creds_source *source(struct og_aws_creds *c)
{
	return &c->chain[c->at];
}

/* ---- the course of things ---- */

static void got(struct og_aws_creds *c)
{
	if (c->at == 0) {
		creds_fetched(c);
		return;
	}
	c->at--;
	c->tries = 0;
	c->fresh_file = c->fresh_clock = false;
	fetch_at(c);
}

static void on_pause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	fetch_at(arg);
}

static void final(struct og_aws_creds *c, const struct og_error *why)
{
	struct og_error err = *why;

	err.code = OG_ERR_DENIED;
	creds_failed(c, &err);
}

/* Another try after a pause, or the end. */
static void again(struct og_aws_creds *c, const struct og_error *err)
{
	struct timeval pause = { c->pause_ms / 1000, c->pause_ms % 1000 * 1000 };

	if (!c->timer)
		c->timer = event_new(c->base, -1, 0, on_pause, c);
	if (++c->tries < TRIES && c->timer && event_add(c->timer, &pause) == 0)
		return;
	/* Where there has never been a metadata service there will be none in a moment. */
	if ((source(c)->kind == CREDS_METADATA || c->wants_region) && !c->have_key)
		final(c, err);
	else
		creds_failed(c, err);
}

void creds_fetch_cancel(struct og_aws_creds *c)
{
	og_net_cancel(c->transfer);
	c->transfer = NULL;
	if (c->timer)
		event_free(c->timer);
	c->timer = NULL;
}

void creds_fetch(struct og_aws_creds *c)
{
	c->at = c->nchain - 1;
	c->tries = 0;
	c->fresh_token = c->fresh_file = c->fresh_clock = c->wants_region = false;
	fetch_at(c);
}

static void start(struct og_aws_creds *c, const struct og_net_request *req, og_net_cb cb)
{
	struct og_error err = { 0 };

	c->transfer = og_net_start(c->net, req, cb, c, &err);
	if (!c->transfer)
		final(c, &err);
}

/* What is no answer of 200: worth another try, or final. */
static void refuse_status(struct og_aws_creds *c, const char *what, const struct og_net_response *res)
{
	struct og_error err = { 0 };

	if (res->outcome != OG_NET_ANSWERED && c->wants_region) {
		og_error_set(&err, OG_ERR_UNAVAILABLE, "STS needs a region: set AWS_REGION. The metadata service does not tell it either: %s",
			     res->err->message);
		again(c, &err);
		return;
	}
	if (res->outcome != OG_NET_ANSWERED) {
		og_error_set(&err, OG_ERR_UNAVAILABLE, "%s: %s", what, res->err->message);
		if (c->chain[c->at].kind == CREDS_METADATA && res->outcome != OG_NET_REFUSED && c->nchain == 1)
			og_error_set(&err, OG_ERR_UNAVAILABLE,
				     "no credentials found: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor a profile in the "
				     "shared files, nor a web identity, nor a container's service; and %s does not answer: %s. In a "
				     "container a hop limit of 1 keeps it out of reach", what, res->err->message);
		again(c, &err);
		return;
	}
	og_error_set(&err, OG_ERR_UNAVAILABLE, "%s: HTTP %u", what, res->status);
	if (res->status == 429 || res->status >= 500)
		again(c, &err);
	else
		final(c, &err);
}

/* ---- JSON answers ---- */

static struct og_slice text_of(const struct og_json *j, const char *name)
{
	const struct og_json *v = og_json_get(j, name);

	return og_json_is(v, OG_JT_STRING) ? v->s : og_slice(NULL, 0);
}

static int read_json_key(struct og_aws_creds *c, struct og_slice body, struct og_error *err)
{
	struct og_arena a;
	const struct og_json *j;
	int rc;

	og_arena_init(&a, 4 * OG_MIB);
	j = og_json_parse(&a, body, OG_JSON_LAST_WINS, err);
	if (!j)
		rc = og_error_set(err, OG_ERR_DENIED, "the answer is not JSON");
	else if (text_of(j, "Code").len && !og_slice_is(text_of(j, "Code"), "Success"))
		rc = og_error_set(err, OG_ERR_DENIED, "the answer's code is '%.*s'", OG_FMT(text_of(j, "Code")));
	else
		rc = creds_key_set(&c->got, text_of(j, "AccessKeyId"), text_of(j, "SecretAccessKey"), text_of(j, "Token"),
				   text_of(j, "Expiration"), err);
	og_arena_fini(&a);
	return rc;
}

/* ---- container ---- */

static void on_container(void *arg, const struct og_net_response *res)
{
	struct og_aws_creds *c = arg;
	struct og_error err = { 0 };

	c->transfer = NULL;
	if (res->outcome != OG_NET_ANSWERED || res->status != 200)
		refuse_status(c, "the container's service", res);
	else if (read_json_key(c, res->body, &err) < 0)
		final(c, &err);
	else
		got(c);
}

static bool container_host_ok(const char *url)
{
	static const char *const hosts[] = { "http://169.254.170.2", "http://169.254.170.23", "http://[fd00:ec2::23]" };

	if (strncasecmp(url, "https://", 8) == 0 || og_net_is_loopback(url))
		return true;
	for (size_t i = 0; i < OG_COUNT(hosts); i++) {
		size_t n = strlen(hosts[i]);

		if (strncasecmp(url, hosts[i], n) == 0 && strchr("/:", url[n]))
			return true;
	}
	return false;
}

static int container_url(const struct og_aws_settings *s, struct og_buf *url, struct og_error *err)
{
	if (s->container_relative_uri) {
		if (s->container_relative_uri[0] != '/')
			return og_error_set(err, OG_ERR_BAD, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with '/'");
		og_buf_printf(url, "http://169.254.170.2%s", s->container_relative_uri);
	} else if (!s->container_full_uri) {
		return og_error_set(err, OG_ERR_BAD, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set");
	} else if (!container_host_ok(s->container_full_uri)) {
		return og_error_set(err, OG_ERR_BAD, "AWS_CONTAINER_CREDENTIALS_FULL_URI: plain http only to this host and to the addresses "
				    "of container services");
	} else {
		og_buf_str(url, s->container_full_uri);
	}
	return og_buf_ok(url, err);
}

/* The text of a file without the line end behind it. */
static int read_token(const char *path, struct og_buf *b, struct og_error *err)
{
	int rc = og_file_read(path, b, TOKEN_FILE_MAX, err);

	while (rc == 0 && b->len && strchr("\r\n", b->data[b->len - 1]))
		b->data[--b->len] = '\0';
	if (rc == 0 && (!b->len || memchr(b->data, '\0', b->len)))
		rc = og_error_set(err, OG_ERR_BAD, "%s holds no token", path);
	return rc;
}

static void fetch_container(struct og_aws_creds *c)
{
	const struct og_aws_settings *s = c->settings;
	struct og_net_header h = { "Authorization", s->container_token };
	struct og_net_request req = { .method = "GET", .headers = &h, .connect_ms = 2000, .total_ms = 2000, .no_proxy = true };
	struct og_buf url = { 0 }, token = { 0 };
	struct og_error err = { 0 };
	int rc = container_url(s, &url, &err);

	if (rc == 0 && s->container_token_file) {
		rc = read_token(s->container_token_file, &token, &err);
		h.value = token.data;
	}
	if (rc == 0 && h.value && strpbrk(h.value, "\r\n"))
		rc = og_error_set(&err, OG_ERR_BAD, "the container's authorization token holds a line end");
	req.url = url.data;
	req.nheaders = h.value ? 1 : 0;
	if (rc < 0)
		final(c, &err);
	else
		start(c, &req, on_container);
	if (token.data)
		explicit_bzero(token.data, token.cap);
	og_buf_fini(&token);
	og_buf_fini(&url);
}

/* ---- metadata service ---- */

static const char *metadata_base(const struct og_aws_settings *s)
{
	if (s->metadata_endpoint)
		return s->metadata_endpoint;
	return s->metadata_mode && strcasecmp(s->metadata_mode, "IPv6") == 0 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
}

size_t og_aws_creds_ports(const struct og_aws_creds *c, uint16_t *out, size_t max)
{
	const struct og_aws_settings *s = c->settings;
	const char *urls[3];
	size_t n = 0, nurls = 0;

	if (!c->nchain || c->chain[0].kind == CREDS_ANONYMOUS || (c->chain[0].kind == CREDS_STATIC && !c->from_files))
		return 0;
	urls[nurls++] = s->endpoint_sts ? s->endpoint_sts : "https://sts";
	if (!c->metadata_off)
		urls[nurls++] = metadata_base(s);
	if (s->container_relative_uri || s->container_full_uri)
		urls[nurls++] = s->container_relative_uri ? "http://container" : s->container_full_uri;
	for (size_t i = 0; i < nurls && n < max; i++)
		if (og_aws_url_port(urls[i]))
			out[n++] = (uint16_t)og_aws_url_port(urls[i]);
	return n;
}

static void metadata_ask(struct og_aws_creds *c, const char *method, const char *path, og_net_cb cb)
{
	struct og_net_header h = { "X-aws-ec2-metadata-token", c->metadata_token };
	struct og_net_request req = { .method = method, .headers = &h, .connect_ms = 1000, .total_ms = 1000, .no_proxy = true };
	const char *base = metadata_base(c->settings);
	struct og_buf url = { 0 };
	struct og_error err = { 0 };
	size_t n = strlen(base);

	while (n && base[n - 1] == '/')
		n--;
	og_buf_printf(&url, "%.*s%s", (int)n, base, path);
	if (strcmp(method, "PUT") == 0) {
		h = (struct og_net_header){ "X-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL };
		req.send_body = true;
	}
	req.nheaders = h.value[0] ? 1 : 0;
	req.url = url.data;
	if (og_buf_ok(&url, &err) < 0)
		final(c, &err);
	else
		start(c, &req, cb);
	og_buf_fini(&url);
}

/* A token that has expired: a new one, once. */
static bool metadata_renew(struct og_aws_creds *c, const struct og_net_response *res)
{
	if (res->outcome != OG_NET_ANSWERED || res->status != 401 || c->fresh_token)
		return false;
	c->fresh_token = true;
	c->metadata_token_until_us = 0;
	fetch_at(c);
	return true;
}

static void on_metadata_key(void *arg, const struct og_net_response *res)
{
	struct og_aws_creds *c = arg;
	struct og_error err = { 0 };

	c->transfer = NULL;
	if (metadata_renew(c, res))
		return;
	if (res->outcome != OG_NET_ANSWERED || res->status != 200)
		refuse_status(c, "the metadata service", res);
	else if (read_json_key(c, res->body, &err) < 0)
		final(c, &err);
	else
		got(c);
}

static void on_metadata_role(void *arg, const struct og_net_response *res)
{
	struct og_aws_creds *c = arg;
	struct og_error err = { 0 };
	struct og_buf path = { 0 };
	struct og_slice role = res->body;
	const char *end;

	c->transfer = NULL;
	if (metadata_renew(c, res))
		return;
	if (res->outcome != OG_NET_ANSWERED || (res->status != 200 && res->status != 404)) {
		refuse_status(c, "the metadata service", res);
		return;
	}
	end = role.len ? memchr(role.p, '\n', role.len) : NULL;
	if (end)
		role.len = (size_t)(end - role.p);
	while (role.len && strchr(" \t\r", role.p[role.len - 1]))
		role.len--;
	if (res->status == 404 || !role.len || role.len >= sizeof(c->metadata_role)) {
		og_error_set(&err, OG_ERR_DENIED, "the metadata service knows no role of this machine");
		final(c, &err);
		return;
	}
	og_buf_str(&path, ROLE_PATH);
	og_aws_encode(&path, role);
	if (og_buf_ok(&path, &err) < 0)
		final(c, &err);
	else
		metadata_ask(c, "GET", path.data, on_metadata_key);
	og_buf_fini(&path);
}

/* STS is asked where this machine is. */
static void on_metadata_region(void *arg, const struct og_net_response *res)
{
	struct og_aws_creds *c = arg;
	struct og_error err = { 0 };
	struct og_slice region = res->body;

	c->transfer = NULL;
	if (metadata_renew(c, res))
		return;
	while (region.len && strchr(" \t\r\n", region.p[region.len - 1]))
		region.len--;
	if (res->outcome == OG_NET_ANSWERED && res->status == 200 && region.len && region.len < sizeof(c->sts_region) &&
	    !memchr(region.p, '\0', region.len)) {
		memcpy(c->sts_region, region.p, region.len);
		c->sts_region[region.len] = '\0';
		c->wants_region = false;
		c->tries = 0;
		fetch_at(c);
		return;
	}
	og_error_set(&err, OG_ERR_UNAVAILABLE, "STS needs a region: set AWS_REGION. The metadata service does not tell it either");
	again(c, &err);
}

static void metadata_get(struct og_aws_creds *c)
{
	if (c->wants_region)
		metadata_ask(c, "GET", REGION_PATH, on_metadata_region);
	else
		metadata_ask(c, "GET", ROLE_PATH, on_metadata_role);
}

static void on_metadata_token(void *arg, const struct og_net_response *res)
{
	struct og_aws_creds *c = arg;
	struct og_error err = { 0 };

	c->transfer = NULL;
	if (res->outcome == OG_NET_ANSWERED && res->status == 200 && res->body.len && res->body.len < sizeof(c->metadata_token) &&
	    !memchr(res->body.p, '\0', res->body.len)) {
		memcpy(c->metadata_token, res->body.p, res->body.len);
		c->metadata_token[res->body.len] = '\0';
		c->metadata_token_until_us = creds_now(c) + TOKEN_LIFE_US;
	} else if (res->outcome == OG_NET_ANSWERED && (res->status == 403 || res->status == 404 || res->status == 405)) {
		if (!c->metadata_v1) {
			og_error_set(&err, OG_ERR_DENIED, "the metadata service has no version 2 (HTTP %u)", res->status);
			final(c, &err);
			return;
		}
		c->metadata_token[0] = '\0';
	} else {
		refuse_status(c, "the metadata service", res);
		return;
	}
	metadata_get(c);
}

static void fetch_metadata(struct og_aws_creds *c)
{
	if (c->metadata_token_until_us > creds_now(c))
		metadata_get(c);
	else
		metadata_ask(c, "PUT", "/latest/api/token", on_metadata_token);
}

/* ---- STS ---- */

struct sts_answer {
	const char *result;		/* "AssumeRoleWithWebIdentityResult" */
	char *v[4];			/* AccessKeyId, SecretAccessKey, SessionToken, Expiration */
};

static int on_sts_element(void *arg, const char *path, struct og_slice text, struct og_error *err)
{
	static const char *const names[] = { "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration" };
	struct sts_answer *a = arg;
	const char *at = strstr(path, a->result);

	if (!at || strncmp(at + strlen(a->result), "/Credentials/", 13) != 0)
		return 0;
	at += strlen(a->result) + 13;
	for (size_t i = 0; i < OG_COUNT(names); i++) {
		if (strcmp(at, names[i]) != 0)
			continue;
		free(a->v[i]);
		a->v[i] = strndup(text.p ? text.p : "", text.len);
		if (!a->v[i])
			return og_error_nomem(err);
	}
	return 0;
}

static int read_sts(struct og_aws_creds *c, struct og_slice body, struct og_error *err)
{
	struct sts_answer a = { .result = source(c)->kind == CREDS_ROLE ? "AssumeRoleResult" : "AssumeRoleWithWebIdentityResult" };
	int rc = og_xml_parse(body, on_sts_element, &a, err);

	if (rc == 0)
		rc = creds_key_set(&c->got, og_slice_str(a.v[0]), og_slice_str(a.v[1]), og_slice_str(a.v[2]), og_slice_str(a.v[3]), err);
	for (size_t i = 0; i < OG_COUNT(a.v); i++) {
		if (a.v[i])
			explicit_bzero(a.v[i], strlen(a.v[i]));
		free(a.v[i]);
	}
	return rc;
}

/* A signature that was refused for the hour it bears: with the server's clock, once. */
static bool fix_skew(struct og_aws_creds *c, const struct og_net_response *res)
{
	int64_t s, ahead;

	if (c->fresh_clock || source(c)->kind != CREDS_ROLE || (res->status != 403 && res->status != 400) || !og_net_date(res, &s))
		return false;
	ahead = s * 1000000 - creds_now(c);
	if (llabs(ahead - c->sts_skew_us) < SKEW_US)
		return false;
	c->fresh_clock = true;
	c->sts_skew_us = ahead;
	og_log(OG_LOG_WARN, "aws.clock", "text=\"STS's clock differs from this host's by %lld s\"", (long long)(ahead / 1000000));
	fetch_at(c);
	return true;
}

static void on_sts(void *arg, const struct og_net_response *res)
{
	struct og_aws_creds *c = arg;
	struct og_aws_fault f;
	struct og_error err = { 0 };

	c->transfer = NULL;
	if (res->outcome != OG_NET_ANSWERED) {
		refuse_status(c, "STS", res);
		return;
	}
	if (res->status == 200) {
		if (read_sts(c, res->body, &err) < 0)
			final(c, &err);
		else
			got(c);
		return;
	}
	if (fix_skew(c, res))
		return;
	og_aws_fault_read(res->body, &f);
	og_error_set(&err, OG_ERR_UNAVAILABLE, "STS: HTTP %u %s: %s (role %s)", res->status, f.code, f.message, source(c)->role_arn);
	if (strcmp(f.code, "ExpiredTokenException") == 0 && !c->fresh_file) {
		c->fresh_file = true;	/* the file may have been replaced just now */
		fetch_at(c);
	} else if (res->status == 429 || res->status >= 500 || strcmp(f.code, "IDPCommunicationError") == 0) {
		again(c, &err);
	} else {
		final(c, &err);
	}
}

static const char *sts_region(const struct og_aws_creds *c)
{
	return c->region[0] ? c->region : c->sts_region;
}

static int sts_address(struct og_aws_creds *c, bool *https, char host[320], char path[256], struct og_error *err)
{
	const char *region = sts_region(c);
	int rc;

	path[0] = '\0';
	if (c->settings->endpoint_sts) {
		rc = og_aws_url_split("AWS_ENDPOINT_URL_STS", c->settings->endpoint_sts, https, host, path, err);
		if (rc == 0 && !*https && !og_net_is_loopback(c->settings->endpoint_sts))
			rc = og_error_set(err, OG_ERR_BAD, "AWS_ENDPOINT_URL_STS must be https");
		return rc;
	}
	if (strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region))
		return og_error_set(err, OG_ERR_BAD, "'%s' is no region", region);
	*https = true;
	snprintf(host, 320, "sts.%s.amazonaws.com%s", region, og_aws_suffix(region));
	return 0;
}

/* Signed with the key of the next source in the chain; a web identity needs none. */
static int sts_send(struct og_aws_creds *c, struct og_slice body, struct og_error *err)
{
	struct og_net_header headers[8] = { { "Content-Type", "application/x-www-form-urlencoded" } };
	struct og_aws_key key = { c->got.id, c->got.secret, c->got.token };
	struct og_net_request req = { .method = "POST", .headers = headers, .nheaders = 1, .parts = &body, .nparts = 1, .len = body.len,
				      .send_body = true, .total_ms = 20000, .may_resend = true };
	struct og_sha256 digest = og_sha256(body);
	struct og_sha256_text hash = og_sha256_format(&digest);
	struct og_sigv4_result sig = { 0 };
	struct og_sigv4_call call = { .method = "POST", .query = "", .service = "sts", .payload = hash.s, .headers = headers, .nheaders = 1 };
	char host[320], path[256], url[700];
	bool https;
	int rc = sts_address(c, &https, host, path, err);

	if (rc < 0)
		return rc;
	strcat(path, strlen(path) < 255 ? "/" : "");
	call.host = host;
	call.path = path;
	call.region = *sts_region(c) ? sts_region(c) : "us-east-1";
	rc = og_sigv4_sign(&c->signer, &call, source(c)->kind == CREDS_ROLE ? &key : NULL, creds_now(c) + c->sts_skew_us, &sig, err);
	for (size_t i = 0; rc == 0 && i < sig.nheaders; i++)
		headers[req.nheaders++] = sig.headers[i];
	snprintf(url, sizeof(url), "%s://%s%s", https ? "https" : "http", host, path);
	req.url = url;
	if (rc == 0) {
		c->transfer = og_net_start(c->net, &req, on_sts, c, err);
		rc = c->transfer ? 0 : err->code;
	}
	og_sigv4_result_fini(&sig);
	return rc;
}

static void fetch_sts(struct og_aws_creds *c)
{
	const struct creds_source *s = source(c);
	struct og_aws_param p[8];
	struct og_buf token = { 0 };
	static const char *const actions[] = { "AssumeRoleWithWebIdentity", "AssumeRole" };
	struct og_error err = { 0 };
	size_t n = 0;
	int rc = 0;

	if (!c->settings->endpoint_sts && !*sts_region(c)) {
		if (c->metadata_off) {
			og_error_set(&err, OG_ERR_BAD, "STS needs a region: set AWS_REGION");
			final(c, &err);
			return;
		}
		c->wants_region = true;
		fetch_metadata(c);
		return;
	}
	p[n++] = (struct og_aws_param){ "Action", actions[s->kind == CREDS_ROLE] };
	p[n++] = (struct og_aws_param){ "Version", "2011-06-15" };
	p[n++] = (struct og_aws_param){ "RoleArn", s->role_arn };
	p[n++] = (struct og_aws_param){ "RoleSessionName", s->session };
	p[n++] = (struct og_aws_param){ "DurationSeconds", s->duration ? s->duration : "3600" };
	if (s->kind == CREDS_ROLE && s->external_id)
		p[n++] = (struct og_aws_param){ "ExternalId", s->external_id };
	/* Read each time: it rotates. */
	if (s->kind == CREDS_WEB_IDENTITY) {
		rc = read_token(s->token_file, &token, &err);
		p[n++] = (struct og_aws_param){ "WebIdentityToken", token.data };
	}
	/* It must live as long as the transfer. */
	if (c->body.data)
		explicit_bzero(c->body.data, c->body.cap);
	og_buf_clear(&c->body);
	if (rc == 0) {
		og_aws_form(&c->body, p, n);
		rc = og_buf_ok(&c->body, &err);
	}
	if (rc == 0)
		rc = sts_send(c, og_buf_view(&c->body), &err);
	if (token.data)
		explicit_bzero(token.data, token.cap);
	og_buf_fini(&token);
	if (rc < 0)
		final(c, &err);
}

/* ---- by kind ---- */

static void fetch_at(struct og_aws_creds *c)
{
	const struct creds_source *s = source(c);
	struct og_error err = { 0 };

	switch (s->kind) {
	case CREDS_ANONYMOUS:
		return;
	case CREDS_STATIC:
		if (creds_key_set(&c->got, og_slice_str(s->id), og_slice_str(s->secret), og_slice_str(s->token), og_slice(NULL, 0), &err) < 0)
			final(c, &err);
		else
			got(c);
		return;
	case CREDS_CONTAINER:
		fetch_container(c);
		return;
	case CREDS_METADATA:
		fetch_metadata(c);
		return;
	case CREDS_WEB_IDENTITY:
	case CREDS_ROLE:
		fetch_sts(c);
		return;
	}
}
