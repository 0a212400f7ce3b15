/* lib/aws: where credentials come from, against a server of our own on loopback. */
#include "config.h"

#include "suite.h"

#include <netinet/in.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aws/creds.h"
#include "aws/process.h"
#include "base/date.h"
#include "base/fd.h"
#include "http_fake.h"

static struct event_base *base;
static struct og_net *net;
static struct fake fake;
static struct og_aws_settings set;
static struct og_aws_creds *creds;
static struct og_error err, got_err;
static char got_id[200], got_secret[200], got_token[200];
static int answers;
static char dir[64];
static int64_t now;			/* no test waits for the time of day */

static int64_t tell_now(void *arg)
{
	return now;
}

static void after_s(int64_t s)
{
	now += s * 1000000;
}

static void setup(void)
{
	struct og_net_config c = { 0 };

	ck_assert_int_eq(og_net_global_init(&err), 0);
	base = c.base = event_base_new();
	net = og_net_new(&c, &err);
	ck_assert_ptr_nonnull(net);
	fake_start(&fake, base);
	strcpy(dir, "/tmp/og-creds-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	set = (struct og_aws_settings){ 0 };
	set.home = dir;
	now = og_now_us();
}

static void teardown(void)
{
	char cmd[100];

	og_aws_creds_free(creds);
	fake_stop(&fake);
	og_net_free(net);
	event_base_free(base);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void put_file(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static char *path_of(const char *name)
{
	static char path[4][200];
	static unsigned n;

	snprintf(path[n % 4], sizeof(path[0]), "%s/%s", dir, name);
	return path[n++ % 4];
}

static int open_creds(void)
{
	struct og_aws_creds_config c = { .base = base, .net = net, .settings = &set, .now_us = tell_now, .pause_ms = 1 };

	creds = og_aws_creds_new(&c, &err);
	return creds ? 0 : err.code;
}

static void on_key(void *arg, const struct og_aws_key *key, const struct og_error *e)
{
	answers++;
	got_err = (struct og_error){ 0 };
	got_id[0] = got_secret[0] = got_token[0] = '\0';
	if (e)
		got_err = *e;
	if (!key)
		return;
	strcpy(got_id, key->id);
	strcpy(got_secret, key->secret);
	strcpy(got_token, key->token ? key->token : "");
}

static void ask(void)
{
	int before = answers;

	og_aws_creds_get(creds, on_key, NULL);
	while (answers == before)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}

#define ck_key(id, secret, token) \
	do { \
		ask(); \
		ck_assert_msg(!got_err.code, "%s", got_err.message); \
		ck_assert_str_eq(got_id, id); \
		ck_assert_str_eq(got_secret, secret); \
		ck_assert_str_eq(got_token, token); \
	} while (0)

#define ck_refused(text) \
	do { \
		ck_assert_int_lt(open_creds(), 0); \
		ck_assert_msg(strstr(err.message, text) != NULL, "%s", err.message); \
	} while (0)

static const char *in_minutes(int n)
{
	static char text[4][32];
	static unsigned i;
	time_t t = (time_t)(now / 1000000) + n * 60;
	struct tm tm;

	strftime(text[i % 4], sizeof(text[0]), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return text[i++ % 4];
}

/* ---- variables and files ---- */

START_TEST(variables)
{
	set.access_key_id = (char *)"ID";
	ck_refused("AWS_SECRET_ACCESS_KEY is not");
	set.secret_access_key = (char *)"S/+=";
	ck_assert_int_eq(open_creds(), 0);
	ck_key("ID", "S/+=", "");
	og_aws_creds_free(creds);
	set.session_token = (char *)"T==";
	ck_assert_int_eq(open_creds(), 0);
	ck_key("ID", "S/+=", "T==");
	ck_assert_str_eq(og_aws_creds_source(creds), "environment");
}
END_TEST

START_TEST(unsigned_on_demand)
{
	set.skip_signature = (char *)"true";
	ck_assert_int_eq(open_creds(), 0);
	ask();
	ck_assert_int_eq(got_err.code, 0);
	ck_assert_str_eq(got_id, "");
}
END_TEST

START_TEST(files)
{
	ck_assert_int_eq(mkdir(path_of(".aws"), 0700), 0);
	put_file(".aws/config", "[default]\nregion=eu-one\n[profile p]\nregion = eu-two\naws_access_key_id=A\naws_secret_access_key=B\n"
				"aws_session_token=C\n[profile half]\naws_access_key_id=A\n[profile sso]\nsso_session=x\n"
				"[profile run]\ncredential_process=/bin/false\n");
	set.profile = (char *)"p";
	ck_assert_int_eq(open_creds(), 0);
	ck_key("A", "B", "C");
	ck_assert_str_eq(og_aws_creds_region(creds), "eu-two");
	og_aws_creds_free(creds);
	set.profile = (char *)"nope";
	ck_refused("there is no profile 'nope'");
	set.profile = (char *)"half";
	ck_refused("profile 'half' has no aws_secret_access_key");
	set.profile = (char *)"sso";
	ck_refused("profile 'sso' needs sso_session");
	set.profile = (char *)"run";
	ck_refused("profile 'run' needs credential_process, which only the command line runs");
	/* The default has no keys: on to the next source, of which there is none. */
	set.profile = NULL;
	set.metadata_disabled = (char *)"TRUE";
	ck_refused("no credentials found");
	set.metadata_disabled = (char *)"perhaps";
	ck_refused("AWS_EC2_METADATA_DISABLED");
}
END_TEST

/* Started by root og-storaged is somebody else, and the home folder still root's. */
START_TEST(files_that_may_not_be_read)
{
	ck_assert_int_eq(mkdir(path_of(".aws"), 0700), 0);
	put_file(".aws/config", "[default]\naws_access_key_id=A\naws_secret_access_key=B\n");
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(seteuid(65534), 0);
	set.access_key_id = (char *)"ID";
	set.secret_access_key = (char *)"S";
	ck_assert_int_eq(open_creds(), 0);
	ck_assert_int_eq(seteuid(0), 0);
	ck_key("ID", "S", "");
}
END_TEST

/* Rotated keys need no restart: the files are read again when a service does not know the key. */
START_TEST(files_that_are_rewritten)
{
	set.credentials_file = path_of("keys");
	set.metadata_disabled = (char *)"1";
	put_file("keys", "[default]\naws_access_key_id=A\naws_secret_access_key=B\n");
	ck_assert_int_eq(open_creds(), 0);
	ck_assert_str_eq(og_aws_creds_file(creds, 1), set.credentials_file);
	ck_key("A", "B", "");
	ck_assert(!og_aws_creds_refused(creds, "A"));	/* the same as before */
	put_file("keys", "[default]\naws_access_key_id=A\naws_secret_access_key=C\n");
	ck_key("A", "B", "");
	ck_assert(og_aws_creds_refused(creds, "A"));
	ck_key("A", "C", "");
	put_file("keys", "[default]\naws_access_key_id=D\naws_secret_access_key=E\naws_session_token=F\n");
	og_aws_creds_expired(creds, "A");
	ck_key("D", "E", "F");
	ck_assert(og_aws_creds_refused(creds, "A"));	/* replaced meanwhile */
	/* Half written, or gone: the old one stays. */
	put_file("keys", "[default]\naws_access_key_id=G\n");
	ck_assert(!og_aws_creds_refused(creds, "D"));
	og_aws_creds_expired(creds, "D");
	ck_key("D", "E", "F");
	ck_assert_int_eq(unlink(set.credentials_file), 0);
	after_s(60);
	og_aws_creds_expired(creds, "D");
	ck_key("D", "E", "F");
}
END_TEST

START_TEST(a_command_that_prints_keys)
{
	static const char *const bad[] = {
		"", "[]", "{}", "{\"Version\":2,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\"}", "{\"Version\":1,\"AccessKeyId\":\"a\"}",
		"{\"Version\":1,\"AccessKeyId\":\"a\\n\",\"SecretAccessKey\":\"b\"}",
		"{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"soon\"}",
		"{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"2020-01-01T00:00:00Z\"}",
	};
	char *profile, *command;
	struct og_buf value = { 0 };

	set.config_file = path_of("c");
	put_file("c", "[profile role]\nrole_arn=r\nsource_profile=run\n[profile run]\ncredential_process=/bin/x \"a b\" --c\n"
		      "[profile keys]\naws_access_key_id=A\naws_secret_access_key=B\ncredential_process=/bin/false\n");
	set.profile = (char *)"keys";
	ck_assert_int_eq(og_aws_process_needed(&set, &profile, &command, &err), 0);
	ck_assert_ptr_null(command);
	set.profile = (char *)"role";
	ck_refused("profile 'run' needs credential_process");
	ck_assert_int_eq(og_aws_process_needed(&set, &profile, &command, &err), 0);
	ck_assert_str_eq(profile, "run");
	ck_assert_str_eq(command, "/bin/x \"a b\" --c");
	for (size_t i = 0; i < OG_COUNT(bad); i++) {
		ck_assert_msg(og_aws_process_output(og_slice_str(bad[i]), profile, &value, &err) == OG_ERR_DENIED, "%s", bad[i]);
		ck_assert_msg(strncmp(err.message, "credential_process of profile 'run': ", 37) == 0, "%s", err.message);
	}
	ck_assert_uint_eq(value.len, 0);
	ck_assert_int_eq(og_aws_process_output(OG_SLICE("{\"Version\": 1, \"AccessKeyId\": \"PI\",\n\"SecretAccessKey\": \"p/\\\"s\",\n"
							"\"SessionToken\":\"pt\"}\n"), profile, &value, &err), 0);
	free(profile);
	free(command);
	set.process_keys = value.data;
	set.profile = (char *)"run";
	ck_assert_int_eq(open_creds(), 0);
	ck_key("PI", "p/\"s", "pt");
	og_aws_creds_free(creds);
	put_file("c", "[profile run2]\ncredential_process=/bin/x\n");
	set.profile = (char *)"run2";
	ck_refused("holds no keys of profile 'run2'");
	og_buf_fini(&value);
}
END_TEST

START_TEST(roles_that_lead_nowhere)
{
	set.config_file = path_of("c");
	put_file("c", "[profile a]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=a\n[profile c]\nrole_arn=r\n"
		      "source_profile=c\n[profile d]\nrole_arn=r\nsource_profile=gone\n[profile e]\nrole_arn=r\n"
		      "[profile f]\nrole_arn=r\nsource_profile=a\ncredential_source=Environment\n[profile g]\nrole_arn=r\ncredential_source=Moon\n"
		      "[profile h]\nrole_arn=r\nsource_profile=h1\n[profile h1]\nrole_arn=r\nsource_profile=h2\n[profile h2]\nrole_arn=r\nsource_profile=h3\n"
		      "[profile h3]\nrole_arn=r\nsource_profile=h4\n[profile h4]\nrole_arn=r\nsource_profile=h5\n[profile h5]\nrole_arn=r\nsource_profile=h6\n"
		      "[profile h6]\nrole_arn=r\nsource_profile=h7\n[profile h7]\naws_access_key_id=A\naws_secret_access_key=B\n"
		      "[profile env]\nrole_arn=r\ncredential_source=Environment\n[profile imds]\nrole_arn=r\ncredential_source=Ec2InstanceMetadata\n"
		      "[profile mfa]\nrole_arn=r\nsource_profile=h7\nmfa_serial=arn\n[profile sso2]\nsso_account_id=1\n"
		      "[profile via-sso]\nrole_arn=r\nsource_profile=sso2\n");
	set.profile = (char *)"a";
	ck_refused("goes in a circle");
	set.profile = (char *)"c";
	ck_refused("profile 'c' has no aws_access_key_id");
	set.profile = (char *)"h";
	ck_refused("more than 7 profiles in a row");
	set.profile = (char *)"env";
	ck_refused("profile 'env': credential_source is Environment, but AWS_ACCESS_KEY_ID is not set");
	set.profile = (char *)"imds";
	set.metadata_disabled = (char *)"y";
	ck_refused("AWS_EC2_METADATA_DISABLED is set");
	set.metadata_disabled = NULL;
	set.metadata_mode = (char *)"IPv7";
	ck_refused("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: 'IPv7'");
	set.metadata_mode = (char *)"ipv6";
	ck_assert_int_eq(open_creds(), 0);
	og_aws_creds_free(creds);
	set.profile = (char *)"mfa";
	ck_refused("profile 'mfa' needs mfa_serial");
	set.profile = (char *)"via-sso";
	ck_refused("profile 'sso2' needs sso_account_id");
	set.profile = (char *)"d";
	ck_refused("no source_profile 'gone'");
	set.profile = (char *)"e";
	ck_refused("exactly one of");
	set.profile = (char *)"f";
	ck_refused("exactly one of");
	set.profile = (char *)"g";
	ck_refused("credential_source 'Moon'");
}
END_TEST

/* ---- container ---- */

static unsigned turn;

static void json_key(struct evhttp_request *req, const char *id, const char *expires)
{
	char b[300];

	snprintf(b, sizeof(b), "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"%s\"}", id, expires);
	fake_answer(req, 200, b);
}

static void container(struct fake *f, struct evhttp_request *req)
{
	char id[64];

	snprintf(id, sizeof(id), "K%u-%s", ++turn, fake_header(req, "Authorization"));
	if (turn == 1)
		fake_answer(req, 500, "later");
	else
		json_key(req, id, in_minutes(turn == 3 ? -1 : 60));
}

START_TEST(a_container_with_a_token_that_rotates)
{
	char url[100];

	snprintf(url, sizeof(url), "%s/creds?x=1", fake.url);
	set.container_full_uri = url;
	set.container_token_file = path_of("token");
	put_file("token", "first\n");
	fake.handler = container;
	ck_assert_int_eq(open_creds(), 0);
	ck_key("K2-first", "s", "t");
	ck_assert_str_eq(fake.path, "/creds?x=1");
	ck_key("K2-first", "s", "t");
	ck_assert_uint_eq(fake.asked, 2);
	/* A service says that it has expired: a new one, once, with the token as it is by now. */
	put_file("token", "second");
	og_aws_creds_expired(creds, "another");
	ck_key("K2-first", "s", "t");
	og_aws_creds_expired(creds, "K2-first");
	ck_key("K3-second", "s", "t");
	/* That one had expired already. */
	ck_key("K4-second", "s", "t");
}
END_TEST

static void aging(struct fake *f, struct evhttp_request *req)
{
	char id[16];

	snprintf(id, sizeof(id), "K%u", turn);
	if (turn)
		json_key(req, id, in_minutes(60));
	else
		fake_answer(req, 404, "gone");
}

/* Lets a fetch in the background end. */
static void settle(unsigned asked)
{
	while (fake.asked < asked)
		event_base_loop(base, EVLOOP_ONCE);
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(fake.asked, asked);
}

static void open_aging(void)
{
	set.container_full_uri = fake.url;
	fake.handler = aging;
	turn = 1;
	ck_assert_int_eq(open_creds(), 0);
	ck_key("K1", "s", "t");
	ck_assert_uint_eq(fake.asked, 1);
}

START_TEST(a_key_is_replaced_15_minutes_before_its_end)
{
	open_aging();
	after_s(45 * 60 - 1);
	turn = 2;
	ck_key("K1", "s", "t");
	settle(1);
	after_s(1 + 1);
	ck_key("K1", "s", "t");
	settle(2);
	ck_key("K2", "s", "t");
	settle(2);
}
END_TEST

START_TEST(within_5_minutes_of_the_end_requests_wait)
{
	open_aging();
	after_s(55 * 60 + 1);
	turn = 2;
	ck_key("K2", "s", "t");
	ck_assert_uint_eq(fake.asked, 2);
}
END_TEST

START_TEST(the_old_key_goes_on_while_it_can)
{
	open_aging();
	after_s(50 * 60);
	turn = 0;
	ck_key("K1", "s", "t");
	settle(2);
	/* Not again at once; then after 1 s, after 2 s more, after 4 s more. */
	for (unsigned n = 0; n < 3; n++) {
		now += (INT64_C(1000000) << n) - 1;
		ck_key("K1", "s", "t");
		settle(2 + n);
		now += 1;
		ck_key("K1", "s", "t");
		settle(3 + n);
	}
	/* Also in the last minutes, where a request would wait for a new one. */
	after_s(9 * 60);
	ck_key("K1", "s", "t");
	settle(6);
	turn = 2;
	after_s(50);
	ck_key("K2", "s", "t");
}
END_TEST

START_TEST(nothing_is_left_to_go_on_with)
{
	open_aging();
	after_s(61 * 60);
	turn = 0;
	ask();
	ck_assert_int_eq(got_err.code, OG_ERR_DENIED);
	ck_assert_str_eq(got_err.message, "credentials (container): the container's service: HTTP 404");
	ck_assert_uint_eq(fake.asked, 2);
	/* Whoever asks within the next second hears the same. */
	ask();
	ck_assert_int_eq(got_err.code, OG_ERR_DENIED);
	ck_assert_uint_eq(fake.asked, 2);
	after_s(1);
	turn = 2;
	ck_key("K2", "s", "t");
}
END_TEST

START_TEST(a_container_elsewhere_needs_https)
{
	static const char *const bad[] = { "http://10.0.0.1/x", "http://169.254.170.20/", "http://169.254.170.2.evil.org/", "http://localhost.evil.org/" };

	for (size_t i = 0; i < OG_COUNT(bad); i++) {
		set.container_full_uri = (char *)(uintptr_t)bad[i];
		ck_assert_int_eq(open_creds(), 0);
		ask();
		ck_assert_int_eq(got_err.code, OG_ERR_DENIED);
		ck_assert_ptr_nonnull(strstr(got_err.message, "plain http"));
		og_aws_creds_free(creds);
	}
	set.container_relative_uri = (char *)"no-slash";
	ck_assert_int_eq(open_creds(), 0);
	ask();
	ck_assert_ptr_nonnull(strstr(got_err.message, "does not begin with '/'"));
	ck_assert_uint_eq(fake.asked, 0);
}
END_TEST

static const char *bad_answer = "";

static void answer_bad(struct fake *f, struct evhttp_request *req)
{
	fake_answer(req, 200, bad_answer);
}

START_TEST(answers_that_are_no_keys)
{
	static const char *const bad[] = {
		"", "[]", "{", "{\"AccessKeyId\":1}", "{\"AccessKeyId\":\"a\"}", "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"\"}",
		"{\"AccessKeyId\":\"a\\n\",\"SecretAccessKey\":\"b\"}", "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Expiration\":\"soon\"}",
		"{\"Code\":\"Failed\",\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\"}", "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\\u0000\"}",
	};

	set.container_full_uri = fake.url;
	fake.handler = answer_bad;
	ck_assert_int_eq(open_creds(), 0);
	for (size_t i = 0; i < OG_COUNT(bad); i++) {
		bad_answer = bad[i];
		after_s(60);
		ask();
		ck_assert_msg(got_err.code == OG_ERR_DENIED, "%s: %d", bad[i], got_err.code);
	}
}
END_TEST

/* ---- metadata service ---- */

static bool no_v2;

static void metadata(struct fake *f, struct evhttp_request *req)
{
	static const char role_path[] = "/latest/meta-data/iam/security-credentials/";
	char token[32];

	if (strcmp(f->path, "/latest/api/token") == 0) {
		ck_assert_str_eq(f->method, "PUT");
		ck_assert_str_eq(fake_header(req, "X-aws-ec2-metadata-token-ttl-seconds"), "21600");
		snprintf(token, sizeof(token), "TOKEN%u", turn);
		if (no_v2)
			fake_answer(req, 403, "no");
		else
			fake_answer(req, 200, token);
		return;
	}
	snprintf(token, sizeof(token), "TOKEN%u", turn);
	if (strcmp(fake_header(req, "X-aws-ec2-metadata-token"), no_v2 ? "" : token) != 0)
		fake_answer(req, 401, "");
	else if (strcmp(f->path, role_path) == 0)
		fake_answer(req, 200, "my-role \nother");
	else if (strcmp(f->path, "/latest/meta-data/iam/security-credentials/my-role") == 0)
		json_key(req, turn ? "SECOND" : "FIRST", in_minutes(60));
	else
		fake_answer(req, 404, "");
}

START_TEST(instance_metadata)
{
	set.metadata_endpoint = fake.url;
	fake.handler = metadata;
	turn = 0;
	no_v2 = false;
	ck_assert_int_eq(open_creds(), 0);
	ck_key("FIRST", "s", "t");
	ck_assert_uint_eq(fake.asked, 3);
	/* The token has been revoked: a new one is had. */
	turn = 1;
	og_aws_creds_expired(creds, "FIRST");
	ck_key("SECOND", "s", "t");
	ck_assert_uint_eq(fake.asked, 7);
}
END_TEST

START_TEST(metadata_without_version_2)
{
	set.metadata_endpoint = fake.url;
	fake.handler = metadata;
	no_v2 = true;
	turn = 0;
	ck_assert_int_eq(open_creds(), 0);
	ask();
	ck_assert_int_eq(got_err.code, OG_ERR_DENIED);
	ck_assert_ptr_nonnull(strstr(got_err.message, "no version 2"));
	og_aws_creds_free(creds);
	set.metadata_v1 = (char *)"true";
	ck_assert_int_eq(open_creds(), 0);
	ck_key("FIRST", "s", "t");
}
END_TEST

START_TEST(nobody_there_lists_what_was_tried)
{
	set.metadata_endpoint = (char *)"http://127.0.0.1:1";
	ck_assert_int_eq(open_creds(), 0);
	ask();
	ck_assert_int_eq(got_err.code, OG_ERR_DENIED);
	ck_assert_msg(strstr(got_err.message, "no credentials found") && strstr(got_err.message, "hop limit"), "%s", got_err.message);
}
END_TEST

/* ---- STS ---- */

static char seen_body[2000], seen_auth[600];

static void sts_answer(struct evhttp_request *req, const char *action, const char *id)
{
	char b[700];

	snprintf(b, sizeof(b),
		 "<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult><Credentials><AccessKeyId>%s</AccessKeyId>"
		 "<SecretAccessKey>a/b&amp;c</SecretAccessKey><SessionToken>ST</SessionToken><Expiration>%s</Expiration></Credentials></%sResult></%sResponse>",
		 action, action, id, in_minutes(60), action, action);
	fake_answer(req, 200, b);
}

static void sts(struct fake *f, struct evhttp_request *req)
{
	snprintf(seen_body, sizeof(seen_body), "%s", f->body.data);
	snprintf(seen_auth, sizeof(seen_auth), "%s", fake_header(req, "Authorization"));
	turn++;
	if (strstr(seen_body, "Action=AssumeRole&"))
		sts_answer(req, "AssumeRole", strstr(seen_body, "inner") ? "INNER" : "OUTER");
	else if (turn == 1)
		fake_answer(req, 400, "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>m</Message></Error></ErrorResponse>");
	else if (turn == 2)
		sts_answer(req, "AssumeRoleWithWebIdentity", "WEB");
	else
		fake_answer(req, 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>");
}

START_TEST(a_web_identity)
{
	set.role_arn = (char *)"arn:aws:iam::1:role/x y";
	set.web_identity_token_file = path_of("jwt");
	set.endpoint_sts = fake.url;
	put_file("jwt", "head.body/+=\r\n");
	fake.handler = sts;
	turn = 0;
	ck_assert_int_eq(open_creds(), 0);
	ck_assert_str_eq(og_aws_creds_file(creds, 0), set.web_identity_token_file);
	ck_assert_ptr_null(og_aws_creds_file(creds, 1));
	ck_key("WEB", "a/b&c", "ST");
	ck_assert_str_eq(seen_body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx%20y&"
				    "RoleSessionName=WebIdentitySession&DurationSeconds=3600&WebIdentityToken=head.body%2F%2B%3D");
	ck_assert_str_eq(seen_auth, "");
	og_aws_creds_expired(creds, "WEB");
	/* Refused, but the old one has not expired by the clock. */
	ck_key("WEB", "a/b&c", "ST");
	ck_assert_uint_eq(fake.asked, 3);
}
END_TEST

START_TEST(sts_elsewhere_needs_https)
{
	set.role_arn = (char *)"r";
	set.web_identity_token_file = path_of("jwt");
	put_file("jwt", "x");
	set.endpoint_sts = (char *)"http://10.0.0.1/";
	ck_assert_int_eq(open_creds(), 0);
	ask();
	ck_assert_ptr_nonnull(strstr(got_err.message, "must be https"));
	og_aws_creds_free(creds);
	set.endpoint_sts = NULL;
	set.metadata_disabled = (char *)"1";
	ck_assert_int_eq(open_creds(), 0);
	ask();
	ck_assert_ptr_nonnull(strstr(got_err.message, "set AWS_REGION"));
}
END_TEST

static char dates[2][32];

static void sts_in_3_hours(struct fake *f, struct evhttp_request *req)
{
	char date[64];
	time_t t = (time_t)(now / 1000000) + 3 * 3600;
	struct tm tm;

	snprintf(dates[turn % 2], sizeof(dates[0]), "%s", fake_header(req, "x-amz-date"));
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
	fake_set(req, "Date", date);
	if (turn++ == 0)
		fake_answer(req, 403, "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>expired</Message></Error></ErrorResponse>");
	else
		sts_answer(req, "AssumeRole", "ROLE");
}

START_TEST(sts_has_another_time)
{
	set.config_file = path_of("c");
	put_file("c", "[default]\nrole_arn=r\nsource_profile=keys\n[profile keys]\naws_access_key_id=A\naws_secret_access_key=s\n");
	set.endpoint_sts = fake.url;
	fake.handler = sts_in_3_hours;
	turn = 0;
	ck_assert_int_eq(open_creds(), 0);
	ck_key("ROLE", "a/b&c", "ST");
	ck_assert_uint_eq(turn, 2);
	ck_assert_str_ne(dates[0], dates[1]);
	after_s(3 * 3600);
	{
		char want[32];
		time_t t = (time_t)(now / 1000000);
		struct tm tm;

		strftime(want, sizeof(want), "%Y%m%dT%H%M", gmtime_r(&t, &tm));
		ck_assert_int_eq(strncmp(want, dates[1], strlen(want)), 0);
	}
}
END_TEST

static char connected[600];

static void place(struct fake *f, struct evhttp_request *req)
{
	if (strcmp(f->path, "/latest/api/token") == 0)
		fake_answer(req, 200, "TOKEN");
	else if (strcmp(f->path, "/latest/meta-data/placement/region") == 0 && turn == 0)
		fake_answer(req, 200, "eu-far-1\n");
	else
		fake_answer(req, 404, "");
}

/* The proxy's part: only the address is of interest here. */
static void tunnel(struct fake *f, struct evhttp_request *req)
{
	snprintf(connected, sizeof(connected), "%s %s", f->method, f->path);
	fake_answer(req, 502, "");
}

START_TEST(sts_where_this_machine_is)
{
	struct fake proxy;
	struct og_net_config c = { .base = base };

	fake_start(&proxy, base);
	evhttp_set_allowed_methods(proxy.http, EVHTTP_REQ_CONNECT);
	proxy.handler = tunnel;
	c.https_proxy = proxy.url;
	og_net_free(net);
	net = og_net_new(&c, &err);
	set.role_arn = (char *)"r";
	set.web_identity_token_file = path_of("jwt");
	put_file("jwt", "x");
	set.metadata_endpoint = fake.url;
	fake.handler = place;
	turn = 0;
	ck_assert_int_eq(open_creds(), 0);
	ask();
	ck_assert_int_eq(got_err.code, OG_ERR_UNAVAILABLE);
	ck_assert_str_eq(connected, "? sts.eu-far-1.amazonaws.com:443");
	ck_assert_uint_eq(fake.asked, 2);
	og_aws_creds_free(creds);
	turn = 1;
	ck_assert_int_eq(open_creds(), 0);
	ask();
	ck_assert_int_eq(got_err.code, OG_ERR_DENIED);
	ck_assert_ptr_nonnull(strstr(got_err.message, "set AWS_REGION"));
	fake_stop(&proxy);
}
END_TEST

START_TEST(a_chain_of_roles)
{
	set.config_file = path_of("c");
	put_file("c", "[profile outer]\nrole_arn=outer-role\nsource_profile=inner\nexternal_id=e x\nregion=eu-west-2\n"
		      "[profile inner]\nrole_arn=inner-role\nsource_profile=keys\n[profile keys]\naws_access_key_id=BASE\naws_secret_access_key=s\n");
	set.profile = (char *)"outer";
	set.endpoint_sts = fake.url;
	fake.handler = sts;
	ck_assert_int_eq(open_creds(), 0);
	ck_key("OUTER", "a/b&c", "ST");
	ck_assert_uint_eq(fake.asked, 2);
	ck_assert_ptr_nonnull(strstr(seen_body, "RoleArn=outer-role"));
	ck_assert_ptr_nonnull(strstr(seen_body, "ExternalId=e%20x"));
	ck_assert_ptr_nonnull(strstr(seen_auth, "Credential=INNER/"));
	ck_assert_ptr_nonnull(strstr(seen_auth, "/eu-west-2/sts/aws4_request"));
	ck_assert_ptr_nonnull(strstr(seen_auth, "x-amz-security-token"));
}
END_TEST

START_TEST(whoever_waits_can_be_dropped)
{
	set.container_full_uri = fake.url;
	fake.handler = answer_bad;
	ck_assert_int_eq(open_creds(), 0);
	answers = 0;
	og_aws_creds_get(creds, on_key, &answers);
	og_aws_creds_drop(creds, &answers);
	for (int i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(answers, 0);
	og_aws_creds_get(creds, on_key, &answers);	/* freed while it waits */
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, variables);
	tcase_add_test(tc, unsigned_on_demand);
	tcase_add_test(tc, files);
	tcase_add_test(tc, files_that_may_not_be_read);
	tcase_add_test(tc, files_that_are_rewritten);
	tcase_add_test(tc, a_command_that_prints_keys);
	tcase_add_test(tc, roles_that_lead_nowhere);
	tcase_add_test(tc, a_container_with_a_token_that_rotates);
	tcase_add_test(tc, a_key_is_replaced_15_minutes_before_its_end);
	tcase_add_test(tc, within_5_minutes_of_the_end_requests_wait);
	tcase_add_test(tc, the_old_key_goes_on_while_it_can);
	tcase_add_test(tc, nothing_is_left_to_go_on_with);
	tcase_add_test(tc, a_container_elsewhere_needs_https);
	tcase_add_test(tc, answers_that_are_no_keys);
	tcase_add_test(tc, instance_metadata);
	tcase_add_test(tc, metadata_without_version_2);
	tcase_add_test(tc, nobody_there_lists_what_was_tried);
	tcase_add_test(tc, a_web_identity);
	tcase_add_test(tc, sts_elsewhere_needs_https);
	tcase_add_test(tc, sts_has_another_time);
	tcase_add_test(tc, sts_where_this_machine_is);
	tcase_add_test(tc, a_chain_of_roles);
	tcase_add_test(tc, whoever_waits_can_be_dropped);
}

int main(void)
{
	return suite_run("credentials", add, 60);
}
