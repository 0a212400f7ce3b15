/* lib/aws: signatures, encoding, settings, addresses. */
#include "config.h"

#include "suite.h"

#include <stdio.h>

#include "aws/encode.h"
#include "aws/endpoint.h"
#include "aws/settings.h"
#include "aws/sigv4.h"

#define TIME_US (INT64_C(1767323045) * 1000000)	/* 2026-01-02T03:04:05Z */

static struct og_error err;
static const struct og_aws_key plain = { "OGEXAMPLEKEY0001", "og/example+secret=0001", NULL };

static void check_sign(struct og_sigv4 *s, struct og_sigv4_call *call, const struct og_aws_key *key, const char *body, const char *names,
		       const char *canonical, const char *signature)
{
	struct og_sha256 digest = og_sha256(og_slice_str(body));
	struct og_sha256_text hash = og_sha256_format(&digest);
	struct og_sigv4_result r;
	char want[400];

	call->payload = hash.s;
	ck_assert_int_eq(og_sigv4_sign(s, call, key, TIME_US, &r, &err), 0);
	ck_assert_str_eq(r.canonical.s, canonical);
	ck_assert_str_eq(r.signature.s, signature);
	snprintf(want, sizeof(want), "AWS4-HMAC-SHA256 Credential=OGEXAMPLEKEY0001/20260102/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
		 call->region, call->service, names, signature);
	ck_assert_str_eq(r.authorization.data, want);
	ck_assert_str_eq(r.headers[r.nheaders - 1].value, want);
	og_sigv4_result_fini(&r);
}

START_TEST(a_conditional_put)
{
	struct og_net_header h[] = { { "Content-Type", "application/octet-stream" }, { "If-None-Match", "*" }, { "User-Agent", "not signed" } };
	struct og_buf path = { 0 };
	struct og_sigv4 s = { 0 };
	struct og_sigv4_call c = { .method = "PUT", .host = "127.0.0.1:9000", .query = "", .region = "us-east-1", .service = "s3",
				   .headers = h, .nheaders = 3 };

	og_buf_str(&path, "/herbarium/");
	og_aws_encode_path(&path, OG_SLICE("sheets/a b+c~/\303\251.json"));
	ck_assert_str_eq(path.data, "/herbarium/sheets/a%20b%2Bc~/%C3%A9.json");
	c.path = path.data;
	check_sign(&s, &c, &plain, "{\"leaf\":1}", "content-type;host;if-none-match;x-amz-content-sha256;x-amz-date",
		   "2e77fa2c030f8f44fcb67acc154a2db9c6cd1cfa7b6171b8bda9ef98963c3ad9",
		   "86c4fd92ff79350e605f212cef2dcecf5949f880a3825402444fbdc4e5d63d13");
	/* The key of the day is kept, and another region is another key. */
	check_sign(&s, &c, &plain, "{\"leaf\":1}", "content-type;host;if-none-match;x-amz-content-sha256;x-amz-date",
		   "2e77fa2c030f8f44fcb67acc154a2db9c6cd1cfa7b6171b8bda9ef98963c3ad9",
		   "86c4fd92ff79350e605f212cef2dcecf5949f880a3825402444fbdc4e5d63d13");
	og_buf_fini(&path);
	og_sigv4_fini(&s);
}
END_TEST

START_TEST(a_list_with_a_session_token)
{
	struct og_aws_param p[] = {
		{ "list-type", "2" }, { "prefix", "sheets/a b" }, { "continuation-token", "1/+=" },
		{ "max-keys", "1000" }, { "delimiter", "/" }, { "encoding-type", "url" },
	};
	struct og_aws_key key = { plain.id, plain.secret, "og-session-token==" };
	struct og_buf query = { 0 };
	struct og_sigv4 s = { 0 };
	struct og_sigv4_call c = { .method = "GET", .host = "s3.eu-west-2.amazonaws.com", .path = "/herbarium", .region = "eu-west-2",
				   .service = "s3" };

	og_aws_query(&query, p, OG_COUNT(p));
	ck_assert_str_eq(query.data, "continuation-token=1%2F%2B%3D&delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&"
				     "prefix=sheets%2Fa%20b");
	c.query = query.data;
	check_sign(&s, &c, &key, "", "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
		   "c7c7e00044f64ec3b1f952f24f4495bc3ab63aa81ee0d5da538160c602a2845a",
		   "8616ff64cc9138f4dc105785184368934eec6dd0acfc0a5604df094461e70324");
	og_buf_fini(&query);
	og_sigv4_fini(&s);
}
END_TEST

START_TEST(another_service)
{
	struct og_net_header h[] = { { "x-amz-target", "secretsmanager.GetSecretValue" }, { "content-type", "application/x-amz-json-1.1" } };
	struct og_sigv4 s = { 0 };
	struct og_sigv4_call c = { .method = "POST", .host = "secretsmanager.eu-west-2.amazonaws.com", .path = "/", .query = "",
				   .region = "eu-west-2", .service = "secretsmanager", .headers = h, .nheaders = 2 };

	check_sign(&s, &c, &plain, "{\"SecretId\":\"herbarium-tokens\"}", "content-type;host;x-amz-date;x-amz-target",
		   "92fcf14ba5322cc69da730c637930427694b44e6637f361443b175977b047bd7",
		   "531113a4846b93eb836b540d007cf825a04795279ee9785454dbd740d205fbf3");
	og_sigv4_fini(&s);
}
END_TEST

START_TEST(unsigned_requests_carry_no_authorization)
{
	struct og_sigv4 s = { 0 };
	struct og_sigv4_call c = { .method = "GET", .host = "h", .path = "/", .query = "", .region = "r", .service = "s3",
				   .payload = OG_SIGV4_UNSIGNED };
	struct og_sigv4_result r;

	ck_assert_int_eq(og_sigv4_sign(&s, &c, NULL, TIME_US, &r, &err), 0);
	for (size_t i = 0; i < r.nheaders; i++)
		ck_assert_str_ne(r.headers[i].name, "authorization");
	og_sigv4_result_fini(&r);
}
END_TEST

START_TEST(parameters_are_in_the_order_of_their_encoded_text)
{
	/* '-' is below 'a' encoded or not; '/' is above '-' as a byte, below it as %2F. */
	struct og_aws_param p[] = { { "a", "2" }, { "a-b", NULL }, { "a/b", "x" }, { "a", "1" }, { "B", "" }, { "a", "/" } };
	struct og_buf b = { 0 };

	og_aws_query(&b, p, OG_COUNT(p));
	ck_assert_str_eq(b.data, "B=&a=%2F&a=1&a=2&a%2Fb=x&a-b=");
	og_buf_fini(&b);
}
END_TEST

START_TEST(decoding)
{
	char text[] = "a%20b+c%2f%zz%4";

	text[og_aws_decode(text, strlen(text))] = '\0';
	ck_assert_str_eq(text, "a b c/%zz%4");
}
END_TEST

/* ---- settings ---- */

static int lookup(void *arg, const char *name, char *out, size_t size, struct og_error *e)
{
	const char *const *pairs = arg;

	for (; *pairs; pairs += 2) {
		if (strcmp(*pairs, name) == 0) {
			snprintf(out, size, "%s", pairs[1]);
			return 0;
		}
	}
	return og_error_set(e, OG_ERR_NOT_FOUND, "not set");
}

START_TEST(the_first_variable_that_is_set_counts)
{
	const char *v[] = { "AWS_ENDPOINT_URL", "http://b", "AWS_ENDPOINT_URL_S3", "", "AWS_DEFAULT_REGION", "eu-x-1", "AWS_TOKEN", "t",
			    "HTTPS_PROXY", "P", "https_proxy", "p", NULL };
	const char *bad[] = { "AWS_SECRET_ACCESS_KEY", "a\nb", NULL };
	struct og_aws_settings s;

	ck_assert_int_eq(og_aws_settings_load(&s, lookup, v, &err), 0);
	ck_assert_str_eq(s.endpoint_s3, "http://b");
	ck_assert_str_eq(s.region, "eu-x-1");
	ck_assert_str_eq(s.session_token, "t");
	ck_assert_str_eq(s.https_proxy, "p");
	ck_assert_ptr_null(s.access_key_id);
	og_aws_settings_fini(&s);
	ck_assert_int_eq(og_aws_settings_load(&s, lookup, bad, &err), OG_ERR_BAD);
	ck_assert_ptr_nonnull(strstr(err.message, "AWS_SECRET_ACCESS_KEY"));
	ck_assert_ptr_null(s.secret_access_key);
}
END_TEST

START_TEST(variables_with_other_names)
{
	const char *v[] = { "AWS_ENDPOINT", "http://e", "AWS_METADATA_ENDPOINT", "http://m", "AWS_REGION", "", "AWS_DEFAULT_REGION", "r",
			    "HTTP_PROXY", "upper", "REQUEST_METHOD", "", "AWS_CA_BUNDLE", "", "SSL_CERT_FILE", "f", NULL };
	const char *cgi[] = { "HTTP_PROXY", "a header field", "REQUEST_METHOD", "GET", NULL };
	const char *lower[] = { "http_proxy", "lower", "HTTP_PROXY", "upper", "REQUEST_METHOD", "GET", NULL };
	struct og_aws_settings s;

	ck_assert_int_eq(og_aws_settings_load(&s, lookup, v, &err), 0);
	ck_assert_str_eq(s.endpoint_s3, "http://e");
	ck_assert_str_eq(s.metadata_endpoint, "http://m");
	ck_assert_str_eq(s.region, "r");
	ck_assert_str_eq(og_aws_http_proxy(&s), "upper");
	ck_assert_ptr_null(s.ca_bundle);
	ck_assert_str_eq(s.ca_file, "f");
	og_aws_settings_fini(&s);
	/* Under CGI that variable is what a client sent. */
	ck_assert_int_eq(og_aws_settings_load(&s, lookup, cgi, &err), 0);
	ck_assert_ptr_null(og_aws_http_proxy(&s));
	og_aws_settings_fini(&s);
	ck_assert_int_eq(og_aws_settings_load(&s, lookup, lower, &err), 0);
	ck_assert_str_eq(og_aws_http_proxy(&s), "lower");
	og_aws_settings_fini(&s);
}
END_TEST

START_TEST(switches)
{
	bool b;

	ck_assert(og_aws_switch("TRUE") && og_aws_switch("on") && !og_aws_switch("tRuE") && !og_aws_switch(NULL) && !og_aws_switch("0"));
	ck_assert_int_eq(og_aws_bool("X", "YeS", &b, &err), 0);
	ck_assert(b);
	ck_assert_int_eq(og_aws_bool("X", "Off", &b, &err), 0);
	ck_assert(!b);
	ck_assert_int_eq(og_aws_bool("AWS_X", "maybe", &b, &err), OG_ERR_BAD);
	ck_assert_ptr_nonnull(strstr(err.message, "AWS_X"));
}
END_TEST

/* ---- addresses ---- */

static const char *address(struct og_aws_settings s, const char *bucket, const char *region)
{
	static char out[1000];
	struct og_s3_endpoint e;

	if (og_s3_endpoint(&s, bucket, region, &e, &err) < 0)
		return "refused";
	snprintf(out, sizeof(out), "%s://%s%s", e.https ? "https" : "http", e.host, e.path);
	return out;
}

START_TEST(addresses)
{
	struct og_aws_settings none = { 0 }, virtual = { .virtual_hosted = (char *)"true" };
	struct og_aws_settings custom = { .endpoint_s3 = (char *)"http://127.0.0.1:9000/" };
	struct og_aws_settings forced = { .virtual_hosted = (char *)"true", .force_path_style = (char *)"true" };

	ck_assert_str_eq(address(none, "b", "eu-west-2"), "https://s3.eu-west-2.amazonaws.com/b");
	ck_assert_str_eq(address(none, "b", "cn-north-1"), "https://s3.cn-north-1.amazonaws.com.cn/b");
	ck_assert_str_eq(address(virtual, "b", "us-east-1"), "https://b.s3.us-east-1.amazonaws.com");
	ck_assert_str_eq(address(virtual, "b.c", "us-east-1"), "https://s3.us-east-1.amazonaws.com/b.c");
	ck_assert_str_eq(address(forced, "b", "us-east-1"), "https://s3.us-east-1.amazonaws.com/b");
	ck_assert_str_eq(address(custom, "b", "us-east-1"), "http://127.0.0.1:9000/b");
	custom.endpoint_s3 = (char *)"https://S3.example.org:443/under/here//";
	ck_assert_str_eq(address(custom, "b", "auto"), "https://S3.example.org/under/here/b");
	custom.virtual_hosted = (char *)"1";
	ck_assert_str_eq(address(custom, "b", "auto"), "https://S3.example.org/under/here");
	custom.endpoint_s3 = (char *)"http://[::1]:9000";
	ck_assert_str_eq(address(custom, "b", "auto"), "http://[::1]:9000/b");
	ck_assert_str_eq(address(none, "b/c", "us-east-1"), "refused");
	ck_assert_str_eq(address(none, "..", "us-east-1"), "refused");
	ck_assert_str_eq(address(none, "b", "evil.example.org/"), "refused");
}
END_TEST

START_TEST(endpoints_that_are_none)
{
	static const char *const bad[] = {
		"ftp://x", "127.0.0.1:9000", "http://", "http://u:p@x", "http://x?a", "http://[fe80::1%25eth0]", "http://x:0", "http://x:99999",
		"http://x:y", "http:// x", "http://[::1",
	};

	for (size_t i = 0; i < OG_COUNT(bad); i++) {
		struct og_aws_settings s = { .endpoint_s3 = (char *)(uintptr_t)bad[i] };

		ck_assert_str_eq(address(s, "b", "us-east-1"), "refused");
	}
}
END_TEST

START_TEST(ports)
{
	ck_assert_uint_eq(og_aws_url_port("https://x"), 443);
	ck_assert_uint_eq(og_aws_url_port("HTTP://x/y:1"), 80);
	ck_assert_uint_eq(og_aws_url_port("http://x:9000/"), 9000);
	ck_assert_uint_eq(og_aws_url_port("http://u:p@[::1]:9000"), 9000);
	ck_assert_uint_eq(og_aws_url_port("http://[::1]"), 80);
	ck_assert_uint_eq(og_aws_url_port("proxy:3128"), 3128);
	ck_assert_uint_eq(og_aws_url_port("proxy"), 0);
	ck_assert_uint_eq(og_aws_url_port("http://x:99999"), 0);
	ck_assert_uint_eq(og_aws_url_port("http://x:"), 0);
}
END_TEST

START_TEST(uris)
{
	static const char *const bad[] = { "s3://", "s3:///x", "s3://b/a//b", "s3://b/./a", "s3://b/a/..", "s3://b/a\nb", "file:///x", "/x" };
	char bucket[256], key[1025];

	ck_assert_int_eq(og_s3_uri("S3://Bucket/a/b c//", bucket, key, &err), 0);
	ck_assert_str_eq(bucket, "Bucket");
	ck_assert_str_eq(key, "a/b c");
	ck_assert_int_eq(og_s3_uri("s3://b", bucket, key, &err), 0);
	ck_assert_str_eq(key, "");
	for (size_t i = 0; i < OG_COUNT(bad); i++)
		ck_assert_int_eq(og_s3_uri(bad[i], bucket, key, &err), OG_ERR_BAD);
	ck_assert_int_eq(og_s3_uri("s3:///x", bucket, key, &err), OG_ERR_BAD);
	ck_assert_str_eq(err.message, "missing s3 bucket in 's3:///x'");
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, a_conditional_put);
	tcase_add_test(tc, a_list_with_a_session_token);
	tcase_add_test(tc, another_service);
	tcase_add_test(tc, unsigned_requests_carry_no_authorization);
	tcase_add_test(tc, parameters_are_in_the_order_of_their_encoded_text);
	tcase_add_test(tc, decoding);
	tcase_add_test(tc, the_first_variable_that_is_set_counts);
	tcase_add_test(tc, variables_with_other_names);
	tcase_add_test(tc, switches);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, endpoints_that_are_none);
	tcase_add_test(tc, ports);
	tcase_add_test(tc, uris);
}

int main(void)
{
	return suite_run("sigv4", add, 30);
}
