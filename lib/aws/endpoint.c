/* Where a bucket is reached. */
#include "config.h"

#include "aws/endpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/encode.h"

const char *og_aws_suffix(const char *region)
{
	return strncmp(region, "cn-", 3) == 0 ? ".cn" : "";
}

/* The scheme's own port is not part of the Host header. */
static void drop_port(char *host, bool https)
{
	const char *own = https ? ":443" : ":80";
	size_t n = strlen(host), k = strlen(own);

	if (n > k && strcmp(host + n - k, own) == 0 && (host[0] != '[' || host[n - k - 1] == ']'))
		host[n - k] = '\0';
}

static int check_host(const char *what, const char *url, const char *host, struct og_error *err)
{
	const char *port = host[0] == '[' ? strchr(host, ']') : host;

	if (!host[0] || !port || strchr(host, '@'))
		return og_error_set(err, OG_ERR_BAD, "%s: '%s' has no host, or a user", what, url);
	if (strchr(host, '%'))
		return og_error_set(err, OG_ERR_BAD, "%s: '%s': zone ids are not supported", what, url);
	port = strchr(port, ':');
	if (port) {
		char *end;
		long v = strtol(port + 1, &end, 10);

		if (!isdigit((unsigned char)port[1]) || *end || v < 1 || v > 65535)
			return og_error_set(err, OG_ERR_BAD, "%s: '%s' has no valid port", what, url);
	}
	return 0;
}

int og_aws_url_split(const char *what, const char *url, bool *https, char host[320], char path[256], struct og_error *err)
{
	const char *p, *end;
	size_t n;

	if (strncasecmp(url, "https://", 8) == 0) {
		*https = true;
		p = url + 8;
	} else if (strncasecmp(url, "http://", 7) == 0) {
		*https = false;
		p = url + 7;
	} else {
		return og_error_set(err, OG_ERR_BAD, "%s: '%s' is not an http or https URL", what, url);
	}
	if (strpbrk(url, "?# \t"))
		return og_error_set(err, OG_ERR_BAD, "%s: '%s' must be without query and spaces", what, url);
	end = p + strcspn(p, "/");
	n = (size_t)(end - p);
	if (n >= 320 || strlen(end) >= 256)
		return og_error_set(err, OG_ERR_BAD, "%s is too long", what);
	memcpy(host, p, n);
	host[n] = '\0';
	strcpy(path, end);
	for (n = strlen(path); n && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	drop_port(host, *https);
	return check_host(what, url, host, err);
}

unsigned og_aws_url_port(const char *url)
{
	static const struct {
		const char *scheme;
		unsigned port;
	} own[] = { { "https://", 443 }, { "http://", 80 } };
	const char *p = strstr(url, "://"), *end, *at;

	p = p ? p + 3 : url;
	end = p + strcspn(p, "/?#");
	at = memrchr(p, '@', (size_t)(end - p));
	if (at)
		p = at + 1;
	if (*p == '[')
		p += strcspn(p, "]");
	p += strcspn(p, ":");
	if (p < end) {
		char *rest;
		unsigned long v = strtoul(p + 1, &rest, 10);

		return isdigit((unsigned char)p[1]) && rest == end && v <= 65535 ? (unsigned)v : 0;
	}
	for (size_t i = 0; i < OG_COUNT(own); i++)
		if (strncasecmp(url, own[i].scheme, strlen(own[i].scheme)) == 0)
			return own[i].port;
	return 0;
}

static int check_bucket(const char *bucket, struct og_error *err)
{
	size_t n = strlen(bucket);

	/* AWS asks for more, older buckets and other stores for less. */
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)bucket[i]) && !strchr(".-_", bucket[i]))
			return og_error_set(err, OG_ERR_BAD, "'%s' is no name of a bucket", bucket);
	if (!n || n > 255 || strcmp(bucket, ".") == 0 || strcmp(bucket, "..") == 0)
		return og_error_set(err, OG_ERR_BAD, "'%s' is no name of a bucket", bucket);
	return 0;
}

static int use_virtual_host(const struct og_aws_settings *s, bool https, const char *bucket, bool *out, struct og_error *err)
{
	int rc = og_aws_bool("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", s->virtual_hosted, out, err);

	if (rc < 0)
		return rc;
	/* A certificate's wildcard covers one label. */
	if (og_aws_switch(s->force_path_style) || (https && strchr(bucket, '.')))
		*out = false;
	return 0;
}

int og_s3_endpoint(const struct og_aws_settings *s, const char *bucket, const char *region, struct og_s3_endpoint *out,
		   struct og_error *err)
{
	bool ignore, virtual;
	char path[256] = "";
	int rc;

	*out = (struct og_s3_endpoint){ .https = true };
	if ((rc = check_bucket(bucket, err)) < 0 ||
	    (rc = og_aws_bool("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", s->ignore_endpoints, &ignore, err)) < 0)
		return rc;
	out->custom = s->endpoint_s3 && !ignore;
	if (out->custom && (rc = og_aws_url_split("AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL)", s->endpoint_s3, &out->https, out->host, path, err)) < 0)
		return rc;
	if ((rc = use_virtual_host(s, out->https, bucket, &virtual, err)) < 0)
		return rc;
	if (strspn(region, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(region))
		return og_error_set(err, OG_ERR_BAD, "'%s' is no region", region);
	if (out->custom) {
		/* With virtual hosting the endpoint names the bucket already. */
		snprintf(out->path, sizeof(out->path), virtual && out->host[0] != '[' ? "%s" : "%s/%s", path, bucket);
		return 0;
	}
	if (!region[0] || strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region) || strlen(region) > 32)
		return og_error_set(err, OG_ERR_BAD, "'%s' is no region", region);
	if (virtual)
		snprintf(out->host, sizeof(out->host), "%.200s.s3.%s.amazonaws.com%s", bucket, region, og_aws_suffix(region));
	else
		snprintf(out->host, sizeof(out->host), "s3.%s.amazonaws.com%s", region, og_aws_suffix(region));
	snprintf(out->path, sizeof(out->path), "%s%s", virtual ? "" : "/", virtual ? "" : bucket);
	return 0;
}

/* ---- s3:// ---- */

static int check_key(const char *uri, const char *key, struct og_error *err)
{
	const char *why = NULL;

	for (const char *p = key, *end; *p && !why; p = *end ? end + 1 : end) {
		size_t n;

		end = strchrnul(p, '/');
		n = (size_t)(end - p);
		if (!n)
			why = "an empty segment";
		else if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			why = "a segment that is '.' or '..'";
		for (size_t i = 0; i < n && !why; i++)
			if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
				why = "a control character";
	}
	return why ? og_error_set(err, OG_ERR_BAD, "invalid s3 object path for '%s': %s", uri, why) : 0;
}

int og_s3_uri(const char *uri, char bucket[256], char key[1025], struct og_error *err)
{
	const char *p = uri, *end;
	size_t n;

	if (strncasecmp(uri, "s3://", 5) != 0)
		return og_error_set(err, OG_ERR_BAD, "invalid s3 uri '%s': it does not begin with s3://", uri);
	p += 5;
	end = strchrnul(p, '/');
	n = (size_t)(end - p);
	if (!n)
		return og_error_set(err, OG_ERR_BAD, "missing s3 bucket in '%s'", uri);
	if (n > 255)
		return og_error_set(err, OG_ERR_BAD, "invalid s3 uri '%s': the bucket's name is too long", uri);
	memcpy(bucket, p, n);
	bucket[n] = '\0';
	p = *end ? end + 1 : end;
	n = strlen(p);
	while (n && p[n - 1] == '/')
		n--;
	if (n > 1024)
		return og_error_set(err, OG_ERR_BAD, "invalid s3 object path for '%s': longer than 1,024 bytes", uri);
	memcpy(key, p, n);
	key[n] = '\0';
	return check_key(uri, key, err);
}
