/* The credentials at hand: kept, handed out, fetched anew in time. */
#include "config.h"

#include "aws/creds_private.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/date.h"
#include "base/log.h"

#define MINUTE_US (INT64_C(60) * 1000000)
#define REFRESH_US (15 * MINUTE_US)
#define PAUSE_MS 1000u
#define MUST_US (5 * MINUTE_US)
#define RETRY_MAX_S 60u
#define RETRY_MAX_EMPTY_S 5u		/* with no key at hand somebody waits */

/* ---- keys ---- */

void creds_key_fini(struct creds_key *k)
{
	creds_wipe(&k->id);
	creds_wipe(&k->secret);
	creds_wipe(&k->token);
	k->expires_us = 0;
}

static bool printable(struct og_slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

int creds_key_set(struct creds_key *k, struct og_slice id, struct og_slice secret, struct og_slice token, struct og_slice expires,
		  struct og_error *err)
{
	int64_t ms = 0;

	creds_key_fini(k);
	if (!id.len || !secret.len || id.len > 150)
		return og_error_set(err, OG_ERR_DENIED, "key id and secret are not both there");
	if (!printable(id) || !printable(secret) || !printable(token))
		return og_error_set(err, OG_ERR_DENIED, "a key holds control characters");
	if (expires.len && !og_datetime_parse(expires, &ms))
		return og_error_set(err, OG_ERR_DENIED, "'%.*s' is no time of expiry", OG_FMT(expires));
	k->id = strndup(id.p, id.len);
	k->secret = strndup(secret.p, secret.len);
	if (token.len)
		k->token = strndup(token.p, token.len);
	k->expires_us = expires.len ? ms * 1000 : 0;
	if (k->id && k->secret && (!token.len || k->token))
		return 0;
	creds_key_fini(k);
	return og_error_nomem(err);
}

/* ---- handing out ---- */

static void hand_out(struct og_aws_creds *c, og_aws_creds_cb cb, void *arg)
{
	struct og_aws_key key = { c->key.id, c->key.secret, c->key.token };

	cb(arg, &key, NULL);
}

/* All who wait, with the key or with the error. They may ask again from within. */
static void answer(struct og_aws_creds *c, const struct og_error *err)
{
	struct creds_waiter *w;
	size_t n = 0;

	for (w = c->waiters; w; w = w->next)
		n++;
	while (n-- && (w = c->waiters)) {
		c->waiters = w->next;
		if (err)
			w->cb(w->arg, NULL, err);
		else
			hand_out(c, w->cb, w->arg);
		free(w);
	}
}

int64_t creds_now(const struct og_aws_creds *c)
{
	return c->now_us ? c->now_us(c->clock) : og_now_us();
}

static int64_t key_left_us(const struct og_aws_creds *c, int64_t now)
{
	if (!c->have_key)
		return 0;
	return c->key.expires_us ? c->key.expires_us - now : INT64_MAX;
}

/* 5 to 10 minutes, so that not all machines of an outage come back at once. */
static int64_t some_minutes(void)
{
	uint32_t r = 0;

	(void)!getrandom(&r, sizeof(r), GRND_NONBLOCK);
	return 5 * MINUTE_US + (int64_t)(r % (5 * MINUTE_US));
}

void creds_fetched(struct og_aws_creds *c)
{
	int64_t now = creds_now(c);

	c->fetching = false;
	c->forced = false;
	c->failures = 0;
	c->next_try_us = 0;
	creds_key_fini(&c->key);
	c->key = c->got;
	c->got = (struct creds_key){ 0 };
	c->have_key = true;
	/* In an outage the metadata service goes on with old ones, and services accept them. */
	if (c->chain[0].kind == CREDS_METADATA && c->key.expires_us && c->key.expires_us < now) {
		c->key.expires_us = now + REFRESH_US + some_minutes();
		og_log(OG_LOG_WARN, "aws.credentials", "text=\"the metadata service serves expired credentials; they are used\"");
	}
	answer(c, NULL);
}

void creds_failed(struct og_aws_creds *c, const struct og_error *err)
{
	struct og_log_quoted q;
	struct og_error e = *err;
	int64_t now = creds_now(c);
	bool usable = key_left_us(c, now) > 0;
	unsigned wait_s = OG_MIN(1u << OG_MIN(c->failures, 6u), usable ? RETRY_MAX_S : RETRY_MAX_EMPTY_S);

	c->fetching = false;
	c->forced = false;
	c->failures++;
	c->next_try_us = now + wait_s * INT64_C(1000000);
	og_error_prefix(&e, "credentials (%s): ", c->name);
	c->last_error = e;
	if (usable) {
		og_log(OG_LOG_WARN, "aws.credentials", "text=\"not refreshed, the old ones go on\" error=%s", og_log_quote(&q, e.message));
		answer(c, NULL);
	} else {
		answer(c, &e);
	}
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The chain anew, as the files are now. */
static int choose_again(struct og_aws_creds *c, struct og_error *err)
{
	struct og_aws_creds fresh = { .settings = c->settings };
	int rc = creds_choose(&fresh, err);

	if (rc == 0 && !fresh.from_files)
		rc = og_error_set(err, OG_ERR_DENIED, "profile '%s' has no keys any more",
				  c->settings->profile ? c->settings->profile : "default");
	if (rc == 0) {
		creds_sources_fini(c);
		memcpy(c->chain, fresh.chain, sizeof(c->chain));
		c->nchain = fresh.nchain;
		fresh.nchain = 0;
	}
	creds_sources_fini(&fresh);
	free(fresh.files[0]);
	free(fresh.files[1]);
	return rc;
}

static void refresh(struct og_aws_creds *c)
{
	struct og_error err = { 0 };
	bool again = c->have_key || c->failures;

	if (c->fetching)
		return;
	c->fetching = true;
	if (c->from_files && again && choose_again(c, &err) < 0)
		creds_failed(c, &err);
	else
		creds_fetch(c);
}

void og_aws_creds_get(struct og_aws_creds *c, og_aws_creds_cb cb, void *arg)
{
	struct og_error err = { 0 };
	struct creds_waiter *w, **at = &c->waiters;
	int64_t now = creds_now(c), left = key_left_us(c, now);
	bool may_try = c->forced || now >= c->next_try_us;

	if (c->chain[0].kind == CREDS_ANONYMOUS) {
		cb(arg, NULL, NULL);
		return;
	}
	if (left > 0 && !c->forced && (left >= MUST_US || !may_try)) {
		hand_out(c, cb, arg);
		if (left < REFRESH_US && may_try)
			refresh(c);
		return;
	}
	if (!may_try && !c->fetching) {
		cb(arg, NULL, &c->last_error);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		og_error_nomem(&err);
		cb(arg, NULL, &err);
		return;
	}
	w->cb = cb;
	w->arg = arg;
	while (*at)
		at = &(*at)->next;
	*at = w;
	refresh(c);
}

void og_aws_creds_drop(struct og_aws_creds *c, void *arg)
{
	struct creds_waiter **at = &c->waiters, *w;

	while ((w = *at)) {
		if (w->arg != arg) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w);
	}
}

void og_aws_creds_expired(struct og_aws_creds *c, const char *id)
{
	/* A key of the environment stays what it is. */
	if (c->have_key && c->nchain && (c->chain[0].kind != CREDS_STATIC || c->from_files) && strcmp(c->key.id, id) == 0)
		c->forced = true;
}

bool og_aws_creds_refused(struct og_aws_creds *c, const char *id)
{
	struct og_error ignored = { 0 };
	const struct creds_source *s = &c->chain[0];

	if (!c->from_files || s->kind != CREDS_STATIC || !c->have_key)
		return false;
	if (strcmp(c->key.id, id) != 0)
		return true;
	if (c->fetching || choose_again(c, &ignored) < 0 ||
	    (s->kind == CREDS_STATIC && same_text(s->id, c->key.id) && same_text(s->secret, c->key.secret) &&
	     same_text(s->token, c->key.token)))
		return false;
	c->forced = true;
	return true;
}

const char *og_aws_creds_region(const struct og_aws_creds *c)
{
	return c->region[0] ? c->region : NULL;
}

const char *og_aws_creds_file(const struct og_aws_creds *c, size_t i)
{
	const char *all[3];
	size_t n = 0;

	if (c->nchain && c->chain[c->nchain - 1].token_file)
		all[n++] = c->chain[c->nchain - 1].token_file;
	for (size_t k = 0; k < 2 && c->from_files; k++)
		if (c->files[k])
			all[n++] = c->files[k];
	return i < n ? all[i] : NULL;
}

const char *og_aws_creds_source(const struct og_aws_creds *c)
{
	return c->name;
}

/* ---- life ---- */

void og_aws_creds_free(struct og_aws_creds *c)
{
	struct creds_waiter *w, *next;

	if (!c)
		return;
	creds_fetch_cancel(c);
	for (w = c->waiters; w; w = next) {
		next = w->next;
		free(w);
	}
	creds_sources_fini(c);
	free(c->files[0]);
	free(c->files[1]);
	creds_key_fini(&c->key);
	creds_key_fini(&c->got);
	if (c->body.data)
		explicit_bzero(c->body.data, c->body.cap);
	og_buf_fini(&c->body);
	og_sigv4_fini(&c->signer);
	explicit_bzero(c->metadata_token, sizeof(c->metadata_token));
	free(c);
}

struct og_aws_creds *og_aws_creds_new(const struct og_aws_creds_config *config, struct og_error *err)
{
	struct og_aws_creds *c = calloc(1, sizeof(*c));

	if (!c) {
		og_error_nomem(err);
		return NULL;
	}
	c->base = config->base;
	c->net = config->net;
	c->settings = config->settings;
	c->now_us = config->now_us;
	c->clock = config->clock;
	c->pause_ms = config->pause_ms ? config->pause_ms : PAUSE_MS;
	if (creds_choose(c, err) < 0) {
		og_aws_creds_free(c);
		return NULL;
	}
	og_log(OG_LOG_DEBUG, "aws.credentials", "source=\"%s\"", c->name);
	return c;
}
