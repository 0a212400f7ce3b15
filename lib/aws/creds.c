/* The credentials at hand: kept, handed out, fetched anew in time. */
#include "config.h"

#include "aws/creds_private.h"

#include <stdlib.h>

#include "base/date.h"
#include "base/log.h"

#define MINUTE_US (INT64_C(60) * 1000000)
#define REFRESH_US (15 * MINUTE_US)
#define RETRY_MAX_S 60u

/* ---- keys ---- */

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void creds_key_fini(struct creds_key *k)
{
	wipe(&k->id);
	wipe(&k->secret);
	wipe(&k->token);
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

void creds_fetched(struct og_aws_creds *c)
{
	int64_t now = og_now_us();

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
		c->key.expires_us = now + REFRESH_US + 5 * MINUTE_US + now % (5 * MINUTE_US);
		og_log(OG_LOG_WARN, "aws.credentials", "text=\"the metadata service serves expired credentials; they are used\"");
	}
	answer(c, NULL);
}

void creds_failed(struct og_aws_creds *c, const struct og_error *err)
{
	struct og_log_quoted q;
	struct og_error e = *err;
	int64_t now = og_now_us();
	unsigned wait_s = OG_MIN(1u << OG_MIN(c->failures, 6u), RETRY_MAX_S);

	c->fetching = false;
	c->failures++;
	c->next_try_us = now + wait_s * INT64_C(1000000);
	og_error_prefix(&e, "credentials (%s): ", c->name);
	if (c->have_key && c->key.expires_us > now) {
		og_log(OG_LOG_WARN, "aws.credentials", "text=\"not refreshed, the old ones go on\" error=%s", og_log_quote(&q, e.message));
		c->forced = false;
		answer(c, NULL);
	} else {
		answer(c, &e);
	}
}

static void refresh(struct og_aws_creds *c)
{
	if (c->fetching)
		return;
	c->fetching = true;
	creds_fetch(c);
}

void og_aws_creds_get(struct og_aws_creds *c, og_aws_creds_cb cb, void *arg)
{
	struct og_error err = { 0 };
	struct creds_waiter *w, **at = &c->waiters;
	int64_t now = og_now_us();

	if (c->chain[0].kind == CREDS_ANONYMOUS) {
		cb(arg, NULL, NULL);
		return;
	}
	if (c->have_key && !c->forced && (!c->key.expires_us || now < c->key.expires_us)) {
		bool due = c->key.expires_us && c->key.expires_us - now < REFRESH_US && now >= c->next_try_us;

		hand_out(c, cb, arg);
		if (due)
			refresh(c);
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
	/* A static key stays what it is. */
	if (c->have_key && c->nchain && c->chain[0].kind != CREDS_STATIC && strcmp(c->key.id, id) == 0)
		c->forced = true;
}

const char *og_aws_creds_region(const struct og_aws_creds *c)
{
	return c->region[0] ? c->region : NULL;
}

const char *og_aws_creds_token_file(const struct og_aws_creds *c)
{
	return c->nchain ? c->chain[c->nchain - 1].token_file : NULL;
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
	for (size_t i = 0; i < c->nchain; i++) {
		struct creds_source *s = &c->chain[i];

		wipe(&s->id);
		wipe(&s->secret);
		wipe(&s->token);
		wipe(&s->role_arn);
		wipe(&s->session);
		wipe(&s->external_id);
		wipe(&s->duration);
		wipe(&s->token_file);
	}
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
	if (creds_choose(c, err) < 0) {
		og_aws_creds_free(c);
		return NULL;
	}
	og_log(OG_LOG_DEBUG, "aws.credentials", "source=\"%s\"", c->name);
	return c;
}
