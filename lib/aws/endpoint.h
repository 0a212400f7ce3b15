/*
 * Where a bucket is reached: scheme, host and the beginning of the path, by the endpoint, style and region.
 * Memory: texts are inside the struct. Pure functions.
 */
#ifndef OG_AWS_ENDPOINT_H
#define OG_AWS_ENDPOINT_H

#include "aws/settings.h"
#include "base/buf.h"

struct og_s3_endpoint {
	bool custom;			/* given by a setting, not AWS itself */
	bool https;
	char host[320];			/* host[:port], as the Host header says it */
	char path[512];			/* what stands before the key: "/bucket" or "", perhaps behind a prefix; encoded */
};

/* OG_ERR_BAD: an endpoint that is no URL, http without permission, a bucket's name that cannot be in a URL. */
int og_s3_endpoint(const struct og_aws_settings *s, const char *bucket, const char *region, struct og_s3_endpoint *out,
		   struct og_error *err) OG_MUST_CHECK;
/* ".cn" for China's regions, else "". */
const char *og_aws_suffix(const char *region);
/* An endpoint URL: scheme, host as in og_s3_endpoint, path without final '/'. */
int og_aws_url_split(const char *what, const char *url, bool *https, char host[320], char path[256], struct og_error *err) OG_MUST_CHECK;

/* The port of a URL, or that of its scheme, https or http. 0: none can be told; also of "HOST" alone. */
unsigned og_aws_url_port(const char *url);

/*
 * s3://BUCKET/KEY. bucket and key receive copies in room of these sizes; the key is without '/' at its ends and may be empty.
 * OG_ERR_BAD.
 */
int og_s3_uri(const char *uri, char bucket[256], char key[1025], struct og_error *err) OG_MUST_CHECK;

#endif
