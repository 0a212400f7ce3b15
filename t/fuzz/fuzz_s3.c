/*
 * What a store's answers are read by. First byte: which; the rest: the bytes. 0: any XML; 1: an error's body; 2: a page of a list; 3: header lines;
 * 4: endpoint URLs and s3:// URIs; 5: percent decoding.
 */
#include "config.h"

#include "driver.h"

#include <stdlib.h>

#include "store/s3_private.h"

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int on_element(void *arg, const char *path, struct og_slice text, struct og_error *err)
{
	size_t *n = arg;

	check(strlen(path) < OG_XML_PATH);
	check(text.len <= OG_XML_TEXT);
	return ++*n > 100000 ? og_error_set(err, OG_ERR_TOO_LARGE, "enough") : 0;
}

static void fuzz_xml(struct og_slice s)
{
	struct og_error err = { 0 };
	size_t n = 0;
	int rc = og_xml_parse(s, on_element, &n, &err);

	check(rc == err.code);
	check(rc < 0 || n > 0);
}

static void fuzz_fault(struct og_slice s)
{
	struct og_aws_fault f;

	og_aws_fault_read(s, &f);
	check(strlen(f.code) < sizeof(f.code) && strlen(f.message) < sizeof(f.message) && strlen(f.region) < sizeof(f.region));
	check(!strpbrk(f.message, "\r\n") && !strpbrk(f.code, "\r\n"));
}

static void fuzz_list(struct og_slice s)
{
	struct s3_store store = { .prefix = "p/q/" };
	struct s3_op op = { .s = &store, .req = { .op = OG_STORE_LIST, .key = "x/" } };
	struct og_error err = { 0 };
	int rc;

	og_arena_init(&op.arena, 0);
	rc = s3_list_read(&op, s, &err);
	check(rc == err.code);
	for (size_t i = 0; i < op.nitems; i++) {
		check(og_store_key_ok(op.items[i].key));
		check(strncmp(op.items[i].key, "x/", 2) == 0);
	}
	check(!op.more || op.token);
	free(op.items);
	free(op.token);
	og_arena_fini(&op.arena);
}

static void fuzz_headers(struct og_slice s)
{
	struct og_buf fields = { 0 };
	struct og_error err = { 0 };
	const char *v;

	while (s.len) {
		const char *lf = memchr(s.p, '\n', s.len);
		size_t n = lf ? (size_t)(lf - s.p) + 1 : s.len;

		if (og_net_header_add(&fields, og_slice(s.p, n), &err) < 0)
			break;
		s = og_slice(s.p + n, s.len - n);
	}
	check(fields.len <= 64 * OG_KIB);
	if (og_net_header_get(&fields, "etag", &v))
		check(v >= fields.data && v + strlen(v) < fields.data + fields.len);
	(void)og_net_header_get(&fields, "", &v);
	og_buf_fini(&fields);
}

static void fuzz_urls(struct og_slice s)
{
	char *text = strndup(s.p, s.len), host[320], path[256], bucket[256], key[1025];
	struct og_aws_settings set = { .endpoint_s3 = text };
	struct og_s3_endpoint e;
	struct og_error err = { 0 };
	bool https;

	check(text != NULL);
	if (og_aws_url_split("x", text, &https, host, path, &err) == 0) {
		check(host[0] && !strpbrk(host, "/@ ") && !strpbrk(path, "?# "));
		check(og_s3_endpoint(&set, "bucket", "us-east-1", &e, &err) == 0);
	}
	if (og_s3_uri(text, bucket, key, &err) == 0)
		check(bucket[0] && !strchr(bucket, '/') && !strstr(key, "//") && !strpbrk(key, "\r\n"));
	(void)og_net_is_loopback(text);
	free(text);
}

static void fuzz_decode(struct og_slice s)
{
	struct og_buf b = { 0 };
	char *copy = malloc(s.len + 1), *back;
	size_t n;

	check(copy != NULL);
	memcpy(copy, s.p, s.len);
	check(og_aws_decode(copy, s.len) <= s.len);
	/* What is encoded is read back as it was. */
	og_aws_encode(&b, s);
	back = og_buf_take(&b);
	if (back) {
		n = og_aws_decode(back, strlen(back));
		check(n == s.len && memcmp(back, s.p, n) == 0);
	}
	free(back);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(struct og_slice) = { fuzz_xml, fuzz_fault, fuzz_list, fuzz_headers, fuzz_urls, fuzz_decode };

	if (size > 0)
		targets[data[0] % OG_COUNT(targets)](og_slice(data + 1, size - 1));
	return 0;
}

bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	static const struct {
		uint8_t which;
		const char *text;
	} seeds[] = {
		{ 0, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a:b xmlns:a=\"u\"><c d='e'>&lt;&#65;&#x42;<![CDATA[x]]></c><!-- y --><?z?></a:b>" },
		{ 0, "<!DOCTYPE a [<!ENTITY b \"c\"><!ENTITY d \"&b;&b;&b;\">]><a>&d;</a>" },
		{ 1, "<Error><Code>NoSuchKey</Code><Message>m</Message><RequestId>r</RequestId><Region>eu</Region></Error>" },
		{ 1, "<ErrorResponse><Error><Code>ExpiredToken</Code></Error><RequestId>r</RequestId></ErrorResponse>" },
		{ 2, "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
		     "<Contents><Key>p/q/x/a%2Fb</Key><Size>12</Size><ETag>&quot;e&quot;</ETag></Contents>"
		     "<Contents><Key>p/q/x/%00</Key><Size>0</Size></Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>" },
		{ 3, "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 5\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n folded\r\n: n\r\n\r\n" },
		{ 4, "https://user@[fd00::1%25e]:443/a/b//?q" },
		{ 4, "S3://bucket/a/./b/../c//d/" },
		{ 5, "a%2fb+c%zz%4 \377\200" },
	};

	if (nr >= OG_COUNT(seeds))
		return false;
	og_buf_byte(out, seeds[nr].which);
	og_buf_str(out, seeds[nr].text);
	return true;
}
