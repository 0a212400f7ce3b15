/* AWS Signature Version 4. */
#include "config.h"

#include "aws/sigv4.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* RFC 2104 over our SHA-256: OpenSSL's one-shot HMAC looks its algorithms up anew each time, which costs more than the digests. */
static void hmac(const void *key, size_t key_len, struct og_slice data, uint8_t out[32])
{
	uint8_t pad[64] = { 0 };
	struct og_sha256_ctx c;
	struct og_sha256 d;

	if (key_len > sizeof(pad)) {
		d = og_sha256(og_slice(key, key_len));
		memcpy(pad, d.b, sizeof(d.b));
	} else {
		memcpy(pad, key, key_len);
	}
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	og_sha256_init(&c);
	og_sha256_update(&c, og_slice((const char *)pad, sizeof(pad)));
	og_sha256_update(&c, data);
	d = og_sha256_final(&c);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	og_sha256_init(&c);
	og_sha256_update(&c, og_slice((const char *)pad, sizeof(pad)));
	og_sha256_update(&c, og_slice((const char *)d.b, sizeof(d.b)));
	d = og_sha256_final(&c);
	memcpy(out, d.b, sizeof(d.b));
	explicit_bzero(pad, sizeof(pad));
}

static bool signs(const char *name)
{
	static const char *const names[] = { "host", "content-type", "content-md5", "if-match", "if-none-match", "range" };

	if (strncasecmp(name, "x-amz-", 6) == 0)
		return true;
	for (size_t i = 0; i < OG_COUNT(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static int compare_headers(const void *x, const void *y)
{
	const struct og_net_header *a = x, *b = y;

	return strcasecmp(a->name, b->name);
}

static void put_lower(struct og_buf *b, const char *s)
{
	size_t n = strlen(s);
	char *to = og_buf_reserve(b, n);

	if (!to)
		return;
	for (size_t i = 0; i <= n; i++)
		to[i] = (char)tolower((unsigned char)s[i]);
	b->len += n;
}

/* Trimmed, runs of blanks as one. */
static void put_value(struct og_buf *b, const char *s)
{
	size_t n;

	s += strspn(s, " \t");
	while (*s) {
		n = strcspn(s, " \t");
		og_buf_append(b, s, n);
		s += n;
		n = strspn(s, " \t");
		s += n;
		if (n && *s)
			og_buf_byte(b, ' ');
	}
}

/* All that is signed, by name; `names` receives them joined by ';'. */
static void put_headers(struct og_buf *b, struct og_net_header *h, size_t n, struct og_buf *names)
{
	qsort(h, n, sizeof(*h), compare_headers);
	for (size_t i = 0; i < n; i++) {
		if (i)
			og_buf_byte(names, ';');
		put_lower(names, h[i].name);
		put_lower(b, h[i].name);
		og_buf_byte(b, ':');
		put_value(b, h[i].value);
		while (i + 1 < n && strcasecmp(h[i].name, h[i + 1].name) == 0) {
			og_buf_byte(b, ',');
			put_value(b, h[++i].value);
		}
		og_buf_byte(b, '\n');
	}
}

static void derive(struct og_sigv4 *s, const struct og_sigv4_call *c, const char *secret, const char date[8])
{
	struct og_buf b = { 0 };
	struct og_sha256 name;
	size_t begin;

	og_buf_str(&b, "AWS4");
	og_buf_str(&b, secret);
	begin = b.len;
	og_buf_byte(&b, 0);
	og_buf_append(&b, date, 8);
	og_buf_byte(&b, 0);
	og_buf_str(&b, c->region);
	og_buf_byte(&b, 0);
	og_buf_str(&b, c->service);
	name = og_sha256(og_buf_view(&b));
	if (!s->have_key || !og_sha256_eq(&name, &s->cached_for)) {
		hmac(b.data, begin, og_slice(date, 8), s->key);
		hmac(s->key, 32, og_slice_str(c->region), s->key);
		hmac(s->key, 32, og_slice_str(c->service), s->key);
		hmac(s->key, 32, OG_SLICE("aws4_request"), s->key);
		s->cached_for = name;
		s->have_key = true;
	}
	if (b.data)
		explicit_bzero(b.data, b.cap);
	og_buf_fini(&b);
}

static void add(struct og_sigv4_result *out, const char *name, const char *value)
{
	out->headers[out->nheaders++] = (struct og_net_header){ name, value };
}

static int collect(const struct og_sigv4_call *c, const struct og_sigv4_result *out, struct og_net_header *all, size_t *n,
		   struct og_error *err)
{
	*n = 0;
	for (size_t i = 0; i < out->nheaders; i++)
		all[(*n)++] = out->headers[i];
	for (size_t i = 0; i < c->nheaders; i++) {
		if (!signs(c->headers[i].name))
			continue;
		if (*n == OG_SIGV4_HEADERS)
			return og_error_set(err, OG_ERR_INTERNAL, "too many headers to sign");
		all[(*n)++] = c->headers[i];
	}
	return 0;
}

static void stamp(int64_t now_us, char out[17])
{
	time_t t = (time_t)(now_us / 1000000);
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, 17, "%Y%m%dT%H%M%SZ", &tm) != 16)
		strcpy(out, "19700101T000000Z");
}

static int sign(struct og_sigv4 *s, const struct og_sigv4_call *c, const struct og_aws_key *key, struct og_sigv4_result *out,
		struct og_error *err)
{
	struct og_net_header all[OG_SIGV4_HEADERS];
	struct og_buf canonical = { 0 }, names = { 0 }, text = { 0 };
	struct og_sha256 digest, mac;
	size_t n;
	int rc = collect(c, out, all, &n, err);

	if (rc < 0)
		return rc;
	/* Room for all but the longest keys and tokens: printing into too little is printing twice. */
	(void)og_buf_reserve(&canonical, 1024);
	(void)og_buf_reserve(&text, 255);
	(void)og_buf_reserve(&out->authorization, 511);
	og_buf_printf(&canonical, "%s\n%s\n%s\n", c->method, c->path, c->query);
	put_headers(&canonical, all, n, &names);
	og_buf_printf(&canonical, "\n%s\n%s", names.data ? names.data : "", c->payload);
	digest = og_sha256(og_buf_view(&canonical));
	out->canonical = og_sha256_format(&digest);
	og_buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/%s/aws4_request\n%s", out->date, out->date, c->region, c->service,
		      out->canonical.s);
	derive(s, c, key->secret, out->date);
	hmac(s->key, 32, og_buf_view(&text), mac.b);
	out->signature = og_sha256_format(&mac);
	og_buf_printf(&out->authorization, "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
		      key->id, out->date, c->region, c->service, names.data ? names.data : "", out->signature.s);
	if ((rc = og_buf_ok(&canonical, err)) == 0 && (rc = og_buf_ok(&names, err)) == 0 && (rc = og_buf_ok(&text, err)) == 0)
		rc = og_buf_ok(&out->authorization, err);
	og_buf_fini(&canonical);
	og_buf_fini(&names);
	og_buf_fini(&text);
	return rc;
}

int og_sigv4_sign(struct og_sigv4 *s, const struct og_sigv4_call *call, const struct og_aws_key *key, int64_t now_us,
		  struct og_sigv4_result *out, struct og_error *err)
{
	bool s3 = strcmp(call->service, "s3") == 0;
	int rc;

	*out = (struct og_sigv4_result){ 0 };
	stamp(now_us, out->date);
	add(out, "host", call->host);
	if (s3)
		add(out, "x-amz-content-sha256", call->payload);
	if (!key)
		return 0;
	add(out, "x-amz-date", out->date);
	if (key->token)
		add(out, "x-amz-security-token", key->token);
	rc = sign(s, call, key, out, err);
	if (rc == 0)
		add(out, "authorization", out->authorization.data);
	else
		og_sigv4_result_fini(out);
	return rc;
}

void og_sigv4_result_fini(struct og_sigv4_result *r)
{
	og_buf_fini(&r->authorization);
	r->nheaders = 0;
}

void og_sigv4_fini(struct og_sigv4 *s)
{
	explicit_bzero(s, sizeof(*s));
}
