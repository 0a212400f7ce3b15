/* lib/aws: XML, honest and hostile; shared files; header fields of lib/net. */
#include "config.h"

#include "suite.h"

#include <stdio.h>
#include <unistd.h>

#include "aws/profile.h"
#include "aws/xml.h"
#include "base/fd.h"
#include "net/http_client.h"

static struct og_error err;

static int on_element(void *arg, const char *path, struct og_slice text, struct og_error *e)
{
	og_buf_printf(arg, "%s=%.*s|", path, OG_FMT(text));
	return 0;
}

static int parse(const char *doc, struct og_buf *out)
{
	struct og_slice s = exact_copy(og_slice_str(doc), strlen(doc));
	int rc;

	og_buf_clear(out);
	og_buf_str(out, "");
	rc = og_xml_parse(s, on_element, out, &err);
	free_copy(s);
	return rc;
}

START_TEST(elements_by_their_paths)
{
	struct og_buf b = { 0 };

	ck_assert_int_eq(parse("\n <?xml version=\"1.0\"?><!-- c --><a:R xmlns:a='u'><K x='1'>&lt;1&#50;&#x33;&amp;</K><?pi?><C><![CDATA[<&]]></C>"
			       "<E/></a:R>", &b), 0);
	ck_assert_str_eq(b.data, "R/K=<123&|R/C=<&|R/E=|R=|");
	og_buf_fini(&b);
}
END_TEST

START_TEST(what_is_not_a_small_document_is_refused)
{
	static const char *const bad[] = {
		"", "   ", "x", "<a>", "<a></b>", "<a/><b/>", "<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY x \"y\"><!ENTITY z \"&x;&x;\">]><a>&z;</a>", "<a>&nope;</a>", "<a>\x01</a>", "<a b='1' b='2'/>",
		"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
	};
	struct og_buf b = { 0 }, deep = { 0 };

	for (size_t i = 0; i < OG_COUNT(bad); i++)
		ck_assert_int_eq(parse(bad[i], &b), OG_ERR_CORRUPT);
	for (int i = 0; i < 33; i++)
		og_buf_str(&deep, "<d>");
	ck_assert_int_eq(parse(deep.data, &b), OG_ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(err.message, "nested too deeply"));
	og_buf_clear(&deep);
	og_buf_str(&deep, "<");
	for (int i = 0; i < 600; i++)
		og_buf_str(&deep, "n");
	og_buf_str(&deep, "/>");
	ck_assert_int_eq(parse(deep.data, &b), OG_ERR_CORRUPT);
	og_buf_clear(&deep);
	og_buf_str(&deep, "<t>");
	for (int i = 0; i < 7000; i++)
		og_buf_str(&deep, "0123456789");
	og_buf_str(&deep, "</t>");
	ck_assert_int_eq(parse(deep.data, &b), OG_ERR_CORRUPT);
	og_buf_fini(&deep);
	og_buf_fini(&b);
}
END_TEST

static const char whole[] = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a&amp;b</Key><Size>1</Size></Contents>"
			    "</ListBucketResult>";

START_TEST(every_prefix_is_refused)
{
	struct og_slice cut = exact_copy(og_slice_str(whole), (size_t)_i);
	struct og_buf b = { 0 };

	ck_assert_int_eq(og_xml_parse(cut, on_element, &b, &err), OG_ERR_CORRUPT);
	free_copy(cut);
	og_buf_fini(&b);
}
END_TEST

START_TEST(escaping)
{
	struct og_buf b = { 0 }, back = { 0 };

	og_buf_str(&b, "<k>");
	og_xml_escape(&b, OG_SLICE("a<b>&\"'\t\303\251"));
	og_buf_str(&b, "</k>");
	ck_assert_str_eq(b.data, "<k>a&lt;b&gt;&amp;&quot;'&#9;\303\251</k>");
	ck_assert_int_eq(parse(b.data, &back), 0);
	ck_assert_str_eq(back.data, "k=a<b>&\"'\t\303\251|");
	ck_assert(og_xml_can_carry(OG_SLICE("a\t\303\251")) && !og_xml_can_carry(OG_SLICE("a\x01")) && !og_xml_can_carry(OG_SLICE("\xff")) &&
		  !og_xml_can_carry(OG_SLICE("\xef\xbf\xbf")));
	og_buf_fini(&b);
	og_buf_fini(&back);
}
END_TEST

START_TEST(faults)
{
	struct og_aws_fault f;

	og_aws_fault_read(OG_SLICE("<Error><Code>NoSuchKey</Code><Message>gone\nfor good</Message><RequestId>r1</RequestId><Region>eu-x</Region></Error>"), &f);
	ck_assert_str_eq(f.code, "NoSuchKey");
	ck_assert_str_eq(f.message, "gone for good");
	ck_assert_str_eq(f.request_id, "r1");
	ck_assert_str_eq(f.region, "eu-x");
	og_aws_fault_read(OG_SLICE("<ErrorResponse xmlns='x'><Error><Code>AccessDenied</Code></Error><RequestId>q</RequestId></ErrorResponse>"), &f);
	ck_assert_str_eq(f.code, "AccessDenied");
	ck_assert_str_eq(f.request_id, "q");
	og_aws_fault_read(OG_SLICE("<html><body>Error 503<br></body></html>"), &f);
	ck_assert_str_eq(f.code, "");
	og_aws_fault_read(OG_SLICE(""), &f);
	ck_assert_str_eq(f.code, "");
	og_aws_fault_read(OG_SLICE("<R><Error><Code>X</Code></Error></R>"), &f);
	ck_assert_str_eq(f.code, "");
}
END_TEST

/* ---- header fields ---- */

static int header(struct og_buf *b, const char *line)
{
	struct og_slice s = exact_copy(og_slice_str(line), strlen(line));
	int rc = og_net_header_add(b, s, &err);

	free_copy(s);
	return rc;
}

START_TEST(header_fields)
{
	struct og_buf b = { 0 }, big = { 0 };
	const char *v;

	ck_assert(!og_net_header_get(&b, "etag", &v));
	ck_assert_int_eq(header(&b, "HTTP/1.1 100 Continue\r\n"), 0);
	ck_assert_int_eq(header(&b, "ETag: early\r\n"), 0);
	ck_assert_int_eq(header(&b, "HTTP/1.1 200 OK\r\n"), 0);
	ck_assert_int_eq(header(&b, "eTaG: \t \"x\"  \r\n"), 0);
	ck_assert_int_eq(header(&b, "ETag: second\r\n"), 0);
	ck_assert_int_eq(header(&b, "Empty:\r\n"), 0);
	ck_assert_int_eq(header(&b, ": no name\r\n"), 0);
	ck_assert_int_eq(header(&b, "no colon\r\n"), 0);
	ck_assert_int_eq(header(&b, "\r\n"), 0);
	ck_assert_int_eq(header(&b, ""), 0);
	ck_assert_int_eq(og_net_header_add(&b, og_slice("Nul: a\0b", 8), &err), 0);
	ck_assert(og_net_header_get(&b, "ETAG", &v));
	ck_assert_str_eq(v, "\"x\"");
	ck_assert(og_net_header_get(&b, "empty", &v));
	ck_assert_str_eq(v, "");
	ck_assert(!og_net_header_get(&b, "nul", &v) && !og_net_header_get(&b, "", &v));
	og_buf_str(&big, "x: ");
	for (int i = 0; i < 70000; i++)
		og_buf_byte(&big, 'v');
	ck_assert_int_eq(header(&b, big.data), OG_ERR_TOO_LARGE);
	og_buf_fini(&b);
	og_buf_fini(&big);
}
END_TEST

START_TEST(loopback_by_its_spelling)
{
	ck_assert(og_net_is_loopback("http://127.0.0.1:9000/x") && og_net_is_loopback("http://localhost/") &&
		  og_net_is_loopback("https://[::1]:1/") && og_net_is_loopback("http://127.9.9.9"));
	ck_assert(!og_net_is_loopback("http://127.evil.example.org/") && !og_net_is_loopback("http://localhost.example.org/") &&
		  !og_net_is_loopback("http://localhost@evil/") && !og_net_is_loopback("http://10.0.0.1/127.0.0.1"));
}
END_TEST

/* ---- shared files ---- */

static void write_file(char path[64], const char *text)
{
	int fd;

	strcpy(path, "/tmp/og-profile-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(og_fd_write_all(fd, og_slice_str(text), &err), 0);
	close(fd);
}

START_TEST(shared_files)
{
	char config[64], credentials[64];
	struct og_aws_profiles p = { 0 };

	write_file(config, "# c\n[default]\nregion = eu-one # trailing\naws_access_key_id = CONFIG\n[profile two]\nROLE_ARN=arn:x\n"
			   "s3 =\n  max = 3\n  region = nested\n[other]\nregion = no\n[profile empty]\nstray\n= y\nregion =\n[broken\nregion = no");
	write_file(credentials, "[default]\r\naws_access_key_id = CREDS\r\naws_secret_access_key=a/b+c==#d\r\n; x\n[three]\nregion=three");
	ck_assert_int_eq(og_aws_profiles_read(&p, config, credentials, &err), 0);
	ck_assert_str_eq(og_aws_profile_get(&p, "default", "region"), "eu-one");
	ck_assert_str_eq(og_aws_profile_get(&p, "default", "aws_access_key_id"), "CREDS");
	ck_assert_str_eq(og_aws_profile_get(&p, "default", "aws_secret_access_key"), "a/b+c==#d");
	ck_assert_str_eq(og_aws_profile_get(&p, "two", "role_arn"), "arn:x");
	ck_assert_ptr_null(og_aws_profile_get(&p, "two", "region"));
	ck_assert_ptr_null(og_aws_profile_get(&p, "empty", "region"));
	ck_assert(og_aws_profile_known(&p, "empty") && og_aws_profile_known(&p, "three") && !og_aws_profile_known(&p, "other"));
	og_aws_profiles_fini(&p);
	ck_assert_int_eq(og_aws_profiles_read(&p, "/no/such", NULL, &err), 0);
	ck_assert(!og_aws_profile_known(&p, "default"));
	og_aws_profiles_fini(&p);
	unlink(config);
	unlink(credentials);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, elements_by_their_paths);
	tcase_add_test(tc, what_is_not_a_small_document_is_refused);
	tcase_add_loop_test(tc, every_prefix_is_refused, 0, (int)sizeof(whole) - 1);
	tcase_add_test(tc, escaping);
	tcase_add_test(tc, faults);
	tcase_add_test(tc, header_fields);
	tcase_add_test(tc, loopback_by_its_spelling);
	tcase_add_test(tc, shared_files);
}

int main(void)
{
	return suite_run("aws xml", add, 60);
}
