/* Where a bucket of AWS is, when nobody has said: one unsigned HEAD before the first request. */
#include "config.h"

#include "store/s3_private.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define ASK_MS 5000u

static void on_region(void *arg, const struct og_net_response *res)
{
	struct s3_store *s = arg;
	struct og_s3_endpoint e;
	struct og_error ignored = { 0 };
	const char *region = NULL;

	s->region_transfer = NULL;
	s->region_state = S3_REGION_KNOWN;
	/* Also 301 and 403 say it. Whatever else happens: the answer to a signed request puts a wrong region right. */
	if (res->outcome == OG_NET_ANSWERED && res->status != 404 && og_net_header_find(res, "x-amz-bucket-region", &region) &&
	    strlen(region) < sizeof(s->region) && og_s3_endpoint(&s->settings, s->bucket, region, &e, &ignored) == 0) {
		strcpy(s->region, region);
		s->endpoint = e;
	}
	og_log(OG_LOG_DEBUG, "s3.region", "region=%s asked=%u", s->region, res->status);
	s3_calls_resume(s);
}

static bool ask(struct s3_store *s)
{
	struct og_net_request req = { .method = "HEAD", .total_ms = ASK_MS, .no_verify = s->no_verify };
	struct og_error ignored = { 0 };
	char url[400];

	/* A wildcard certificate covers one label, and a host's name has no underscores and capitals. */
	if (strspn(s->bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s->bucket) && strlen(s->bucket) <= 63)
		snprintf(url, sizeof(url), "https://%s.s3.amazonaws.com/", s->bucket);
	else
		snprintf(url, sizeof(url), "https://s3.amazonaws.com/%s", s->bucket);
	req.url = url;
	s->region_transfer = og_net_start(s->net, &req, on_region, s, &ignored);
	s->region_state = s->region_transfer ? S3_REGION_ASKED : S3_REGION_KNOWN;
	return s->region_transfer != NULL;
}

bool s3_region_wait(struct s3_call *c)
{
	struct s3_store *s = c->s;

	if (s->region_state == S3_REGION_KNOWN || (s->region_state == S3_REGION_WANTED && !ask(s)))
		return false;
	c->waits_for_region = true;
	return true;
}
