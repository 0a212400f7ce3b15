/* The S3 back end before a server that answers as none should, or as some do. */
#include "config.h"

#include "t/unit/suite.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/date.h"
#include "base/fd.h"
#include "net/http_client.h"
#include "store/s3.h"
#include "t/unit/http_fake.h"

static struct event_base *base;
static struct og_store *st;
static struct fake fake;
static struct og_error err;
static struct og_store_result out;
static struct og_buf body;
static unsigned turn, patience_ms, put_patience_ms;
static const char *keys_file, *keys_uri;

static void open_store(const char *uri, bool sign)
{
	struct og_aws_settings set = { 0 };
	struct og_store_s3_config c = { .uri = uri, .base = base, .settings = &set, .patience_ms = patience_ms, .put_patience_ms = put_patience_ms, .range_bytes = 4 };

	set.endpoint_s3 = fake.url;
	if (keys_file) {
		set.credentials_file = (char *)(uintptr_t)keys_file;
	} else if (keys_uri) {
		set.container_full_uri = (char *)(uintptr_t)keys_uri;
	} else if (sign) {
		set.access_key_id = (char *)"ID";
		set.secret_access_key = (char *)"secret";
		set.session_token = (char *)"token";
	} else {
		set.skip_signature = (char *)"1";
	}
	st = og_store_s3_new(&c, &err);
	ck_assert_msg(st != NULL, "%s", err.message);
}

static void setup(void)
{
	ck_assert_int_eq(og_net_global_init(&err), 0);
	base = event_base_new();
	fake_start(&fake, base);
	patience_ms = put_patience_ms = 5000;
	keys_file = keys_uri = NULL;
	open_store("s3://b/p/q", true);
	turn = 0;
}

static void teardown(void)
{
	og_store_free(st);
	fake_stop(&fake);
	event_base_free(base);
	og_buf_fini(&body);
}

static int run(enum og_store_op op, const char *key)
{
	static const struct og_slice part = { "content", 7 };
	static const struct og_store_tag tag = { "\"etag\"" };
	struct og_store_req req = { .op = op, .key = key, .len = OG_STORE_TO_END };

	if (op == OG_STORE_PUT || op == OG_STORE_PUT_ABSENT || op == OG_STORE_PUT_MATCH) {
		req.parts = &part;
		req.nparts = 1;
	}
	if (op == OG_STORE_PUT_MATCH)
		req.tag = &tag;
	og_buf_clear(&body);
	return og_store_wait(st, &req, &out, &body, &err);
}

static void fault(struct evhttp_request *req, int status, const char *code)
{
	char b[200];

	snprintf(b, sizeof(b), "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>because</Message><RequestId>R7</RequestId></Error>", code);
	fake_answer(req, status, b);
}

/* ---- again and again ---- */

static void busy_twice(struct fake *f, struct evhttp_request *req)
{
	if (++turn <= 2) {
		fake_set(req, "Retry-After", "0");
		fault(req, turn == 1 ? 503 : 429, "SlowDown");
	} else {
		fake_answer(req, 200, "content");
	}
}

START_TEST(what_can_be_repeated_is)
{
	static const enum og_store_op ops[] = { OG_STORE_GET, OG_STORE_PUT, OG_STORE_DELETE };

	fake.handler = busy_twice;
	for (size_t i = 0; i < OG_COUNT(ops); i++) {
		turn = 0;
		ck_assert_int_eq(run(ops[i], "k"), 0);
		ck_assert_uint_eq(turn, 3);
		ck_assert_str_eq(fake.path, "/b/p/q/k");
	}
}
END_TEST

static uint64_t asked_at[2];

static void busy_once(struct fake *f, struct evhttp_request *req)
{
	asked_at[turn > 0] = og_monotonic_us();
	if (turn++) {
		fake_answer(req, 200, "content");
		return;
	}
	fake_set(req, "Retry-After", "1");
	fault(req, 503, "");
}

/* As long as the store says, at least; longer than we are patient: an error at once. */
START_TEST(a_store_says_when)
{
	fake.handler = busy_once;
	ck_assert_int_eq(run(OG_STORE_GET, "k"), 0);
	ck_assert_uint_ge(asked_at[1] - asked_at[0], 990000);
	og_store_free(st);
	patience_ms = 900;
	open_store("s3://b/p/q", true);
	turn = 0;
	ck_assert_int_eq(run(OG_STORE_GET, "k"), OG_ERR_UNAVAILABLE);
	ck_assert_uint_eq(turn, 1);
	/* What took long to make is put with another patience. */
	turn = 0;
	ck_assert_int_eq(run(OG_STORE_PUT, "k"), 0);
	ck_assert_uint_eq(turn, 2);
	og_store_free(st);
	put_patience_ms = 900;
	open_store("s3://b/p/q", true);
	turn = 0;
	ck_assert_int_eq(run(OG_STORE_PUT, "k"), OG_ERR_UNKNOWN);
	ck_assert_uint_eq(turn, 1);
}
END_TEST

static int always_status;
static const char *always_code;

static void always(struct fake *f, struct evhttp_request *req)
{
	fault(req, always_status, always_code);
}

/* One request each, whatever the answer: what cannot be known is the caller's to resolve. */
START_TEST(a_put_under_a_condition_is_sent_once)
{
	static const struct {
		int status;
		const char *code;
		int absent, match;
	} rows[] = {
		{ 200, "", 0, 0 },
		{ 412, "PreconditionFailed", OG_ERR_EXISTS, OG_ERR_MISMATCH },
		{ 304, "", OG_ERR_EXISTS, OG_ERR_MISMATCH },
		{ 409, "ConditionalRequestConflict", OG_ERR_UNKNOWN, OG_ERR_UNKNOWN },
		{ 500, "InternalError", OG_ERR_UNKNOWN, OG_ERR_UNKNOWN },
		{ 503, "SlowDown", OG_ERR_UNKNOWN, OG_ERR_UNKNOWN },
		{ 408, "", OG_ERR_UNKNOWN, OG_ERR_UNKNOWN },
		{ 404, "NoSuchKey", OG_ERR_IO, OG_ERR_NOT_FOUND },
		{ 404, "NoSuchBucket", OG_ERR_IO, OG_ERR_IO },
		{ 403, "AccessDenied", OG_ERR_IO, OG_ERR_IO },
		{ 501, "NotImplemented", OG_ERR_IO, OG_ERR_IO },
		{ 400, "EntityTooLarge", OG_ERR_IO, OG_ERR_IO },
	};

	fake.handler = always;
	for (size_t i = 0; i < OG_COUNT(rows); i++) {
		always_status = rows[i].status;
		always_code = rows[i].code;
		fake.asked = 0;
		ck_assert_int_eq(run(OG_STORE_PUT_ABSENT, "k"), rows[i].absent);
		ck_assert_uint_eq(fake.asked, 1);
		if (rows[i].status == 501)
			ck_assert_msg(strstr(err.message, "does not support conditional writes") != NULL, "%s", err.message);
		/* After a 412 HEAD asks whose the object is; this server has an ETag for nothing. */
		if (rows[i].match == OG_ERR_MISMATCH)
			continue;
		fake.asked = 0;
		ck_assert_int_eq(run(OG_STORE_PUT_MATCH, "k"), rows[i].match);
		ck_assert_uint_eq(fake.asked, 1);
	}
}
END_TEST

static bool applied;

static void reset_puts(struct fake *f, struct evhttp_request *req)
{
	if (strcmp(f->method, "PUT") != 0) {
		fake_answer(req, applied ? 200 : 404, "content");
		return;
	}
	turn++;
	if (turn == 1) {
		fake_reset(req);
		applied = true;
	} else if (applied && *fake_header(req, "If-None-Match")) {
		fault(req, 412, "PreconditionFailed");
	} else {
		fake_answer(req, 200, "");
	}
}

/* Also on a connection that was used before, where libraries like to send again by themselves. */
START_TEST(an_answer_that_is_lost_is_not_hidden)
{
	fake.handler = reset_puts;
	for (int warm = 0; warm < 2; warm++) {
		turn = 0;
		applied = false;
		if (warm)
			ck_assert_int_eq(run(OG_STORE_GET, "k"), OG_ERR_NOT_FOUND);
		ck_assert_int_eq(run(OG_STORE_PUT_ABSENT, "k"), OG_ERR_UNKNOWN);
		ck_assert_uint_eq(turn, 1);
		ck_assert_int_eq(run(OG_STORE_PUT_ABSENT, "k"), OG_ERR_EXISTS);
		ck_assert_int_eq(run(OG_STORE_GET, "k"), 0);
		ck_assert(og_slice_is(og_buf_view(&body), "content"));
		turn = 0;
		ck_assert_int_eq(run(OG_STORE_PUT, "k"), 0);
		ck_assert_uint_eq(turn, 2);
	}
}
END_TEST

START_TEST(nobody_there)
{
	fake_stop(&fake);
	og_store_free(st);
	memset(&fake.body, 0, sizeof(fake.body));
	strcpy(fake.url, "http://127.0.0.1:1");
	open_store("s3://b/p", true);
	ck_assert_int_eq(run(OG_STORE_GET, "k"), OG_ERR_UNAVAILABLE);
	ck_assert_msg(strstr(err.message, "storage read failed for 's3://b/p/k': 127.0.0.1: ") != NULL, "%s", err.message);
	ck_assert_int_eq(run(OG_STORE_PUT_ABSENT, "k"), OG_ERR_UNKNOWN);
	fake_start(&fake, base);
}
END_TEST

/* ---- what a second try cures ---- */

static char dates[3][32], auths[3][400];

static void note(struct fake *f, struct evhttp_request *req)
{
	if (turn < 3) {
		snprintf(dates[turn], sizeof(dates[0]), "%s", fake_header(req, "x-amz-date"));
		snprintf(auths[turn], sizeof(auths[0]), "%s", fake_header(req, "Authorization"));
	}
	turn++;
}

static void moved(struct fake *f, struct evhttp_request *req)
{
	note(f, req);
	if (strstr(auths[turn - 1], "/eu-far-1/")) {
		fake_answer(req, 200, "content");
		return;
	}
	fake_set(req, "x-amz-bucket-region", "eu-far-1");
	fake_set(req, "Location", "http://evil.example.org/");
	fault(req, 301, "PermanentRedirect");
}

START_TEST(another_region_is_remembered)
{
	fake.handler = moved;
	ck_assert_int_eq(run(OG_STORE_GET, "k"), 0);
	ck_assert_uint_eq(turn, 2);
	ck_assert_int_eq(run(OG_STORE_PUT_ABSENT, "k"), 0);
	ck_assert_uint_eq(turn, 3);
}
END_TEST

static void clock_ahead(struct fake *f, struct evhttp_request *req)
{
	char date[64];
	time_t t = time(NULL) + 3 * 3600;
	struct tm tm;

	note(f, req);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
	fake_set(req, "Date", date);
	if (turn == 1)
		fault(req, 403, "RequestTimeTooSkewed");
	else
		fake_answer(req, 200, "content");
}

START_TEST(a_clock_that_is_wrong_is_corrected)
{
	char want[16];
	time_t t;
	struct tm tm;

	fake.handler = clock_ahead;
	ck_assert_int_eq(run(OG_STORE_PUT_ABSENT, "k"), 0);
	ck_assert_uint_eq(turn, 2);
	t = time(NULL) + 3 * 3600;
	strftime(want, sizeof(want), "%Y%m%dT%H", gmtime_r(&t, &tm));
	ck_assert_int_eq(strncmp(dates[1], want, 11), 0);
	ck_assert_str_ne(dates[0], dates[1]);
}
END_TEST

START_TEST(an_expired_key_gets_one_more_try)
{
	fake.handler = always;
	always_status = 400;
	always_code = "ExpiredToken";
	ck_assert_int_eq(run(OG_STORE_PUT_ABSENT, "k"), OG_ERR_IO);
	ck_assert_uint_eq(fake.asked, 2);
	ck_assert_msg(strstr(err.message, "HTTP 400 ExpiredToken: because (request id R7)") != NULL, "%s", err.message);
}
END_TEST

static void knows_new(struct fake *f, struct evhttp_request *req)
{
	if (strstr(fake_header(req, "Authorization"), "Credential=NEW/"))
		fake_answer(req, 200, "content");
	else if (strcmp(f->method, "HEAD") == 0)
		fake_answer(req, 403, "");
	else
		fault(req, 403, "InvalidAccessKeyId");
}

static void write_keys(const char *id)
{
	FILE *f = fopen(keys_file, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "[default]\naws_access_key_id=%s\naws_secret_access_key=s\n", id);
	fclose(f);
}

START_TEST(a_key_that_was_replaced_in_its_file)
{
	static const enum og_store_op ops[] = { OG_STORE_GET, OG_STORE_HEAD, OG_STORE_PUT_ABSENT };
	char path[] = "/tmp/og-keys-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	keys_file = path;
	fake.handler = knows_new;
	for (size_t i = 0; i < OG_COUNT(ops); i++) {
		og_store_free(st);
		write_keys("OLD");
		open_store("s3://b/p/q", true);
		fake.asked = 0;
		ck_assert_int_eq(run(ops[i], "k"), OG_ERR_IO);
		ck_assert_uint_eq(fake.asked, 1);
		write_keys("NEW");
		ck_assert_int_eq(run(ops[i], "k"), 0);
		ck_assert_uint_eq(fake.asked, 3);
	}
	unlink(path);
}
END_TEST

static void on_told(void *arg, struct og_store_result *res)
{
	*(int *)arg = res->code;
	ck_assert_ptr_nonnull(res->err);
	ck_assert_msg(strstr(res->err->message, "s3://b/p/q/k") != NULL, "%s", res->err->message);
}

/* A put under a condition leaves within the call. What keeps it from leaving is told by the loop all the same. */
START_TEST(what_fails_at_once_is_told_by_the_loop)
{
	struct og_slice part = OG_SLICE("content");
	int code = 0;

	og_store_free(st);
	keys_uri = "http://127.0.0.1:1/keys";
	open_store("s3://b/p/q", true);
	/* From now on it is known that there are no keys. */
	ck_assert_int_lt(run(OG_STORE_PUT_ABSENT, "k"), 0);
	og_store_put_absent(st, "k", &part, 1, on_told, &code);
	ck_assert_int_eq(code, 0);
	while (code == 0)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_int_eq(code, OG_ERR_UNKNOWN);
	ck_assert_uint_eq(fake.asked, 0);
}
END_TEST

START_TEST(unsigned_requests)
{
	og_store_free(st);
	open_store("s3://b", false);
	fake.handler = clock_ahead;
	turn = 1;
	ck_assert_int_eq(run(OG_STORE_GET, "k"), 0);
	ck_assert_str_eq(fake.path, "/b/k");
	ck_assert_str_eq(auths[1], "");
}
END_TEST

/* ---- get ---- */

static void whole(struct fake *f, struct evhttp_request *req)
{
	fake_answer(req, 200, "0123456789");
}

static void wrong_range(struct fake *f, struct evhttp_request *req)
{
	fake_set(req, "Content-Range", "bytes 2-4/10");
	fake_answer(req, 206, "234");
}

START_TEST(ranges)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "k", .offset = 3, .len = 4 };

	fake.handler = whole;
	ck_assert_int_eq(og_store_wait(st, &req, &out, &body, &err), 0);
	ck_assert(og_slice_is(og_buf_view(&body), "3456"));
	ck_assert_uint_eq(out.size, 10);
	fake.handler = wrong_range;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), OG_ERR_IO);
	ck_assert_ptr_nonnull(strstr(err.message, "another range"));
}
END_TEST

static const char *known_tag;

/* Answers as always_status says, and notes the condition. */
static void known(struct fake *f, struct evhttp_request *req)
{
	ck_assert_str_eq(fake_header(req, "If-None-Match"), "\"t\"");
	if (known_tag)
		fake_set(req, "ETag", known_tag);
	fake_answer(req, always_status, always_status == 304 ? "" : "0123456789");
}

/* Stores differ in what they say when an object is still the one that is known, and some know no such condition. */
START_TEST(what_is_known_does_not_come_again)
{
	static const struct {
		int status;
		const char *tag;
		int code;
		bool same;
	} rows[] = {
		{ 304, "\"t\"", 0, true }, { 304, NULL, 0, true }, { 304, "\"u\"", 0, true }, { 200, "\"t\"", 0, true },
		{ 200, "\"u\"", 0, false }, { 200, NULL, 0, false }, { 412, "\"t\"", OG_ERR_IO, false }, { 404, NULL, OG_ERR_NOT_FOUND, false },
	};
	static const struct og_store_tag tag = { "\"t\"" };
	struct og_store_req req = { .op = OG_STORE_GET, .key = "k", .len = OG_STORE_TO_END, .tag = &tag };

	fake.handler = known;
	for (size_t i = 0; i < OG_COUNT(rows); i++) {
		always_status = rows[i].status;
		known_tag = rows[i].tag;
		og_buf_clear(&body);
		ck_assert_int_eq(og_store_wait(st, &req, &out, &body, &err), rows[i].code);
		ck_assert_int_eq(out.same, rows[i].same);
		ck_assert_uint_eq(body.len, rows[i].code || rows[i].same ? 0 : 10);
	}
}
END_TEST

START_TEST(more_than_was_asked_for)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "k", .len = OG_STORE_TO_END, .max_bytes = 9, .want_tag = true };

	fake.handler = whole;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), OG_ERR_TOO_LARGE);
	req.max_bytes = 10;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), OG_ERR_IO);
	ck_assert_ptr_nonnull(strstr(err.message, "no ETag"));
	req.want_fd = true;
	req.want_tag = false;
	req.max_bytes = 9;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), OG_ERR_TOO_LARGE);
	ck_assert_int_eq(out.fd, -1);
}
END_TEST

static void half_first(struct fake *f, struct evhttp_request *req)
{
	struct evhttp_connection *c = evhttp_request_get_connection(req);
	static const char cut[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcde";

	if (turn++) {
		fake_answer(req, 200, "0123456789");
		return;
	}
	(void)!write(bufferevent_getfd(evhttp_connection_get_bufferevent(c)), cut, sizeof(cut) - 1);
	evhttp_connection_free(c);
}

START_TEST(a_body_that_is_cut_comes_again_from_its_beginning)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "k", .len = OG_STORE_TO_END, .want_fd = true };
	char b[16] = "";

	fake.handler = half_first;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
	ck_assert_uint_eq(turn, 2);
	ck_assert_uint_eq(out.size, 10);
	ck_assert_int_eq(pread(out.fd, b, sizeof(b), 0), 10);
	ck_assert_str_eq(b, "0123456789");
	close(out.fd);
}
END_TEST

/* ---- get, into a descriptor, in ranges of four bytes ---- */

static const char *object, *object_tag;
static unsigned conditions, plain;
static struct evhttp_request *held;

/* A good store with this object. */
static void serve_range(struct evhttp_request *req)
{
	const char *want = fake_header(req, "Range"), *match = fake_header(req, "If-Match");
	size_t size = strlen(object), first, last;
	char range[80], text[64];

	conditions += *match != '\0';
	plain += *want == '\0';
	if (object_tag)
		fake_set(req, "ETag", object_tag);
	if (*match && strcmp(match, object_tag) != 0) {
		fault(req, 412, "PreconditionFailed");
	} else if (!*want) {
		fake_answer(req, 200, object);
	} else if (sscanf(want, "bytes=%zu-%zu", &first, &last) != 2 || first >= size) {
		snprintf(range, sizeof(range), "bytes */%zu", size);
		fake_set(req, "Content-Range", range);
		fault(req, 416, "InvalidRange");
	} else {
		last = OG_MIN(last, size - 1);
		snprintf(range, sizeof(range), "bytes %zu-%zu/%zu", first, last, size);
		snprintf(text, sizeof(text), "%.*s", (int)(last - first + 1), object + first);
		fake_set(req, "Content-Range", range);
		fake_answer(req, 206, text);
	}
}

static void ranged(struct fake *f, struct evhttp_request *req)
{
	serve_range(req);
}

static bool asks_for(struct evhttp_request *req, const char *range)
{
	return strcmp(fake_header(req, "Range"), range) == 0;
}

/* Answers the second range when the third one has come too: whoever asked for them one by one would wait for ever. */
static void side_by_side(struct fake *f, struct evhttp_request *req)
{
	if (asks_for(req, "bytes=4-7")) {
		held = req;
		return;
	}
	serve_range(req);
	if (held && asks_for(req, "bytes=8-9")) {
		serve_range(held);
		held = NULL;
	}
}

static void only_plain(struct fake *f, struct evhttp_request *req)
{
	plain += *fake_header(req, "Range") == '\0';
	fake_set(req, "ETag", object_tag);
	fake_answer(req, 200, object);
}

/* Another object while it is fetched. */
static void replaced(struct fake *f, struct evhttp_request *req)
{
	if (asks_for(req, "bytes=4-7")) {
		object = "abcdefghijklm";
		object_tag = "\"other\"";
	}
	serve_range(req);
}

/* The same, and no word about conditions. */
static void replaced_silently(struct fake *f, struct evhttp_request *req)
{
	evhttp_remove_header(evhttp_request_get_input_headers(req), "If-Match");
	replaced(f, req);
}

static void whole_of_one(struct fake *f, struct evhttp_request *req)
{
	if (asks_for(req, "bytes=4-7"))
		fake_answer(req, 200, object);
	else
		serve_range(req);
}

static void other_place(struct fake *f, struct evhttp_request *req)
{
	if (!asks_for(req, "bytes=4-7")) {
		serve_range(req);
		return;
	}
	fake_set(req, "ETag", object_tag);
	fake_set(req, "Content-Range", "bytes 5-8/10");
	fake_answer(req, 206, "5678");
}

static void too_short(struct fake *f, struct evhttp_request *req)
{
	if (!asks_for(req, "bytes=0-3") && !asks_for(req, "bytes=4-7")) {
		serve_range(req);
		return;
	}
	fake_set(req, "ETag", object_tag);
	fake_set(req, "Content-Range", asks_for(req, "bytes=0-3") ? "bytes 0-3/10" : "bytes 4-7/10");
	fake_answer(req, 206, "01");
}

static void untagged(struct fake *f, struct evhttp_request *req)
{
	object_tag = *fake_header(req, "Range") ? NULL : "\"t\"";
	serve_range(req);
}

static void cut_once(struct fake *f, struct evhttp_request *req)
{
	struct evhttp_connection *c = evhttp_request_get_connection(req);
	static const char cut[] = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nETag: \"t\"\r\nContent-Range: bytes %s/10\r\n\r\n4";
	bool first = asks_for(req, "bytes=0-3");

	if ((!first && !asks_for(req, "bytes=4-7")) || turn == 2) {
		serve_range(req);
		return;
	}
	turn++;
	dprintf(bufferevent_getfd(evhttp_connection_get_bufferevent(c)), cut, first ? "0-3" : "4-7");
	evhttp_connection_free(c);
}

static void busy_lane(struct fake *f, struct evhttp_request *req)
{
	if (asks_for(req, "bytes=8-9") && ++turn == 1) {
		fake_set(req, "Retry-After", "0");
		fault(req, 503, "SlowDown");
	} else {
		serve_range(req);
	}
}

static void deleted(struct fake *f, struct evhttp_request *req)
{
	if (asks_for(req, "bytes=0-3"))
		serve_range(req);
	else
		fault(req, 404, "NoSuchKey");
}

static void count_down(void *arg, struct og_store_result *res)
{
	unsigned *left = arg;
	char b[64];

	ck_assert_int_eq(res->code, 0);
	ck_assert_int_eq(pread(res->fd, b, sizeof(b), 0), 50);
	ck_assert_int_eq(memcmp(b, object, 50), 0);
	--*left;
}

static int get_fd(const char *what, uint64_t max)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "k", .len = OG_STORE_TO_END, .want_fd = true, .max_bytes = max };
	char b[64] = "";

	turn = conditions = plain = 0;
	object = what;
	object_tag = "\"t\"";
	fake.asked = 0;
	og_buf_clear(&body);
	if (og_store_wait(st, &req, &out, NULL, &err) < 0) {
		ck_assert_int_eq(out.fd, -1);
		return err.code;
	}
	og_buf_append(&body, b, (size_t)pread(out.fd, b, sizeof(b), 0));
	ck_assert_uint_eq(out.size, body.len);
	close(out.fd);
	return 0;
}

#define DIGITS "0123456789"

START_TEST(a_descriptor_is_filled_by_ranges)
{
	static const struct {
		void (*handler)(struct fake *f, struct evhttp_request *req);
		const char *object, *got;
		unsigned asked, plain;	/* 0: any number */
	} rows[] = {
		{ side_by_side, DIGITS, DIGITS, 3, 0 },
		{ side_by_side, "", "", 1, 0 },
		{ side_by_side, "012", "012", 1, 0 },
		{ side_by_side, "0123", "0123", 1, 0 },
		{ only_plain, DIGITS, DIGITS, 1, 0 },
		{ only_plain, "", "", 1, 0 },
		{ replaced, DIGITS, "abcdefghijklm", 0, 1 },
		{ replaced_silently, DIGITS, "abcdefghijklm", 0, 1 },
		{ whole_of_one, DIGITS, DIGITS, 0, 1 },
		{ other_place, DIGITS, DIGITS, 0, 1 },
		{ too_short, DIGITS, DIGITS, 0, 1 },
		{ untagged, DIGITS, DIGITS, 2, 1 },
		{ cut_once, DIGITS, DIGITS, 5, 0 },
		{ busy_lane, DIGITS, DIGITS, 4, 0 },
	};

	for (size_t i = 0; i < OG_COUNT(rows); i++) {
		uint64_t before = st->requests[OG_STORE_GET], http = st->http_requests;

		fake.handler = rows[i].handler;
		ck_assert_msg(get_fd(rows[i].object, 0) == 0, "row %zu: %s", i, err.message);
		ck_assert_msg(og_slice_is(og_buf_view(&body), rows[i].got), "row %zu: %.*s", i, (int)body.len, body.data);
		ck_assert_msg(!rows[i].asked || fake.asked == rows[i].asked, "row %zu: %u requests", i, fake.asked);
		if (rows[i].handler != only_plain)
			ck_assert_msg(plain == rows[i].plain, "row %zu: %u without a range", i, plain);
		ck_assert_uint_eq(st->requests[OG_STORE_GET] - before, 1);
		ck_assert_uint_ge(st->http_requests - http, fake.asked);
	}
	fake.handler = side_by_side;
	ck_assert_int_eq(get_fd(DIGITS, 10), 0);
	ck_assert_uint_eq(conditions, 2);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_filled)
{
	fake.handler = side_by_side;
	ck_assert_int_eq(get_fd(DIGITS, 9), OG_ERR_TOO_LARGE);
	ck_assert_uint_eq(fake.asked, 1);
	fake.handler = only_plain;
	ck_assert_int_eq(get_fd(DIGITS, 9), OG_ERR_TOO_LARGE);
	fake.handler = deleted;
	ck_assert_int_eq(get_fd(DIGITS, 0), OG_ERR_NOT_FOUND);
	fake.handler = wrong_range;
	ck_assert_int_eq(get_fd(DIGITS, 0), OG_ERR_IO);
	ck_assert_ptr_nonnull(strstr(err.message, "storage read failed for 's3://b/p/q/k': the answer is none to a request for the whole object"));
	fake.handler = always;
	always_status = 403;
	always_code = "AccessDenied";
	ck_assert_int_eq(get_fd(DIGITS, 0), OG_ERR_IO);
	ck_assert_uint_eq(fake.asked, 1);
}
END_TEST

START_TEST(a_descriptor_of_the_caller_is_filled)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "k", .len = OG_STORE_TO_END, .want_fd = true, .into = true };
	char b[64] = "";

	/* Longer than the object, as a file that was given room. */
	ck_assert_int_eq(og_memfd_new("test", &req.into_fd, &err), 0);
	ck_assert_int_eq(ftruncate(req.into_fd, 40), 0);
	object = DIGITS;
	object_tag = "\"t\"";
	fake.handler = side_by_side;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
	ck_assert_int_eq(out.fd, -1);
	ck_assert_uint_eq(out.size, 10);
	ck_assert_int_eq(pread(req.into_fd, b, sizeof(b), 0), 10);
	ck_assert_str_eq(b, DIGITS);
	close(req.into_fd);
	/* One that cannot be written is said to be so. */
	req.into_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), OG_ERR_IO);
	ck_assert_ptr_nonnull(strstr(err.message, "No space left"));
	close(req.into_fd);
	req.want_fd = false;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), OG_ERR_BAD);
}
END_TEST

/* More objects than may be under way at a time, each of more ranges than one may have. */
START_TEST(many_descriptors_at_once)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "k", .len = OG_STORE_TO_END, .want_fd = true };
	unsigned left = 40;

	object = DIGITS DIGITS DIGITS DIGITS DIGITS;
	object_tag = "\"t\"";
	fake.handler = ranged;
	for (unsigned i = 0; i < 40; i++)
		og_store_submit(st, &req, count_down, &left);
	while (left)
		event_base_loop(base, EVLOOP_ONCE);
}
END_TEST

/* ---- put if match ---- */

static void ceph(struct fake *f, struct evhttp_request *req)
{
	turn++;
	fake_set(req, "ETag", "\"etag\"");
	if (strcmp(f->method, "PUT") != 0 || strcmp(fake_header(req, "If-Match"), "etag") == 0)
		fake_answer(req, 200, "");
	else
		fault(req, 412, "PreconditionFailed");
}

START_TEST(quotes_that_a_store_does_not_understand)
{
	fake.handler = ceph;
	ck_assert_int_eq(run(OG_STORE_PUT_MATCH, "k"), 0);
	ck_assert_uint_eq(turn, 3);
	ck_assert_int_eq(run(OG_STORE_PUT_MATCH, "k"), 0);
	ck_assert_uint_eq(turn, 4);	/* remembered */
}
END_TEST

static void other_etag(struct fake *f, struct evhttp_request *req)
{
	turn++;
	fake_set(req, "ETag", "\"other\"");
	if (strcmp(f->method, "HEAD") == 0)
		fake_answer(req, 200, "");
	else
		fault(req, 412, "PreconditionFailed");
}

START_TEST(a_real_mismatch)
{
	fake.handler = other_etag;
	ck_assert_int_eq(run(OG_STORE_PUT_MATCH, "k"), OG_ERR_MISMATCH);
	ck_assert_uint_eq(turn, 2);
}
END_TEST

/* ---- lists ---- */

static const char *pages[3];

static void list(struct fake *f, struct evhttp_request *req)
{
	fake_answer(req, 200, pages[turn++]);
}

#define ENTRY(key) "<Contents><Key>" key "</Key><Size>3</Size></Contents>"

START_TEST(pages_may_be_empty_and_keys_strange)
{
	struct og_buf b = { 0 };

	fake.handler = list;
	pages[0] = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>1/+=&amp;</NextContinuationToken></ListBucketResult>";
	pages[1] = "<ListBucketResult>" ENTRY("p/q/z") ENTRY("p/q/a%2Bb+c") ENTRY("p/q/") ENTRY("p/q/../x") ENTRY("p/q//x") ENTRY("p/other")
		   ENTRY("elsewhere") ENTRY("p/q/n%00ul") ENTRY("p/q/.tmp.x") "<EncodingType>url</EncodingType></ListBucketResult>";
	ck_assert_int_eq(og_store_wait_list(st, "", &b, &err), 0);
	ck_assert_str_eq(b.data, "a+b c 3\nz 3\n");
	ck_assert_uint_eq(turn, 2);
	ck_assert_ptr_nonnull(strstr(fake.path, "continuation-token=1%2F%2B%3D%26&"));
	ck_assert_ptr_nonnull(strstr(fake.path, "prefix=p%2Fq%2F"));
	og_buf_fini(&b);
}
END_TEST

START_TEST(lists_that_are_none)
{
	static const char *const bad[] = {
		"", "<html><br>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Key>p/q/a</Key><Size>-1</Size></Contents></ListBucketResult>",
		"<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult></ListBucketResult>",
		"<Error><Code>AccessDenied</Code></Error>",
	};

	fake.handler = list;
	for (size_t i = 0; i < OG_COUNT(bad); i++) {
		turn = 0;
		pages[0] = bad[i];
		ck_assert_msg(run(OG_STORE_LIST, "") == OG_ERR_IO, "%s", bad[i]);
	}
	turn = 0;
	pages[0] = "<Error><Code>InternalError</Code></Error>";
	pages[1] = "<ListBucketResult/>";
	ck_assert_int_eq(run(OG_STORE_LIST, ""), 0);
}
END_TEST

/* ---- deletes ---- */

static bool batch_known;

static void deletes(struct fake *f, struct evhttp_request *req)
{
	if (strcmp(f->method, "POST") == 0) {
		ck_assert_str_eq(f->path, "/b?delete=");
		ck_assert_str_ne(fake_header(req, "Content-MD5"), "");
		if (!batch_known)
			fault(req, 501, "NotImplemented");
		else
			fake_answer(req, 200, "<DeleteResult><Error><Key>p/q/2</Key><Code>InternalError</Code></Error>"
					      "<Error><Key>p/q/3</Key><Code>NoSuchKey</Code></Error></DeleteResult>");
		return;
	}
	turn++;
	if (strcmp(f->path, "/b/p/q/denied") == 0)
		fault(req, 403, "AccessDenied");
	else
		fake_answer(req, 204, "");
}

START_TEST(deletes_of_many)
{
	const char *keys[] = { "1", "2", "3", "<&>", "\x01" };
	struct og_store_req req = { .op = OG_STORE_DELETE_MANY, .keys = keys, .nkeys = 5 };

	fake.handler = deletes;
	batch_known = true;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
	ck_assert_uint_eq(turn, 2);	/* the one that failed, and the one that XML cannot carry */
	batch_known = false;
	turn = 0;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
	ck_assert_uint_eq(turn, 5);
	turn = fake.asked = 0;
	keys[2] = "denied";
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), OG_ERR_IO);
	ck_assert_uint_eq(fake.asked, 5);	/* all are tried; no batch any more */
	ck_assert_ptr_nonnull(strstr(err.message, "p/q/denied"));
	req.nkeys = 0;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
}
END_TEST

/* ---- the self-check ---- */

static void ignores_all(struct fake *f, struct evhttp_request *req)
{
	turn++;
	fake_set(req, "ETag", "\"x\"");
	fake_answer(req, strcmp(f->method, "DELETE") == 0 ? 204 : 200, "");
}

static void ignores_match(struct fake *f, struct evhttp_request *req)
{
	if (*fake_header(req, "If-None-Match") && turn++)
		fault(req, 412, "PreconditionFailed");
	else
		ignores_all(f, req);
}

static void knows_none(struct fake *f, struct evhttp_request *req)
{
	if (strcmp(f->method, "PUT") == 0)
		fault(req, 501, "NotImplemented");
	else
		ignores_all(f, req);
}

static struct og_error checked;
static int checks;

static void on_checked(void *arg, struct og_store_result *res)
{
	checked = (struct og_error){ 0 };
	if (res->err)
		checked = *res->err;
	checks++;
}

static int check(void)
{
	int before = checks;

	og_store_check(st, on_checked, NULL);
	while (checks == before)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	ck_assert_str_eq(fake.method, "DELETE");	/* nothing is left */
	return checked.code;
}

START_TEST(stores_that_ignore_conditions_are_refused)
{
	ck_assert(og_store_s3_custom(st));
	fake.handler = ignores_all;
	ck_assert_int_eq(check(), OG_ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(checked.message, "ignores If-None-Match"));
	turn = 0;
	fake.handler = ignores_match;
	ck_assert_int_eq(check(), OG_ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(checked.message, "ignores If-Match"));
	fake.handler = knows_none;
	ck_assert_int_eq(check(), OG_ERR_IO);
	ck_assert_ptr_nonnull(strstr(checked.message, "does not support conditional writes"));
}
END_TEST

/* ---- multipart ---- */

static unsigned parts_seen, aborted;
static bool complete_lost, parts_fail;

static void multipart(struct fake *f, struct evhttp_request *req)
{
	if (strcmp(f->path, "/b/p/q/big?uploads=") == 0) {
		fake_answer(req, 200, "<InitiateMultipartUploadResult><UploadId>u/1 &amp;</UploadId></InitiateMultipartUploadResult>");
	} else if (strcmp(f->method, "PUT") == 0) {
		ck_assert_ptr_nonnull(strstr(f->path, "uploadId=u%2F1%20%26"));
		parts_seen++;
		fake_set(req, "ETag", "\"p\"");
		if (parts_fail)
			fault(req, 403, "AccessDenied");
		else
			fake_answer(req, 200, "");
	} else if (strcmp(f->method, "POST") == 0) {
		turn++;
		if (complete_lost && turn == 1)
			fault(req, 500, "InternalError");
		else if (complete_lost)
			fault(req, 404, "NoSuchUpload");
		else if (turn == 1)
			fake_answer(req, 200, "  <Error><Code>InternalError</Code></Error>");
		else
			fake_answer(req, 200, "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>");
	} else if (strcmp(f->method, "HEAD") == 0) {
		fake_set(req, "Content-Length", "67108864");
		evhttp_send_reply(req, 200, "OK", NULL);
	} else {
		aborted++;
		fake_answer(req, 204, "");
	}
}

static int put_big(void)
{
	size_t n = 64 * OG_MIB;
	char *bytes = calloc(1, n);
	struct og_slice part = { bytes, n };
	struct og_store_req req = { .op = OG_STORE_PUT, .key = "big", .parts = &part, .nparts = 1 };
	int rc = og_store_wait(st, &req, &out, NULL, &err);

	free(bytes);
	return rc;
}

START_TEST(uploads_in_parts)
{
	fake.handler = multipart;
	evhttp_set_max_body_size(fake.http, 16 * OG_MIB);
	ck_assert_int_eq(put_big(), 0);
	ck_assert_uint_eq(parts_seen, 8);
	ck_assert_uint_eq(turn, 2);
	complete_lost = true;
	turn = 0;
	ck_assert_int_eq(put_big(), 0);	/* HEAD shows that it was carried out */
	ck_assert_uint_eq(aborted, 0);
	parts_fail = true;
	ck_assert_int_eq(put_big(), OG_ERR_IO);
	ck_assert_uint_eq(aborted, 1);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_can_be_repeated_is);
	tcase_add_test(tc, a_store_says_when);
	tcase_add_test(tc, a_put_under_a_condition_is_sent_once);
	tcase_add_test(tc, an_answer_that_is_lost_is_not_hidden);
	tcase_add_test(tc, nobody_there);
	tcase_add_test(tc, another_region_is_remembered);
	tcase_add_test(tc, a_clock_that_is_wrong_is_corrected);
	tcase_add_test(tc, an_expired_key_gets_one_more_try);
	tcase_add_test(tc, a_key_that_was_replaced_in_its_file);
	tcase_add_test(tc, what_fails_at_once_is_told_by_the_loop);
	tcase_add_test(tc, unsigned_requests);
	tcase_add_test(tc, ranges);
	tcase_add_test(tc, what_is_known_does_not_come_again);
	tcase_add_test(tc, more_than_was_asked_for);
	tcase_add_test(tc, a_body_that_is_cut_comes_again_from_its_beginning);
	tcase_add_test(tc, a_descriptor_is_filled_by_ranges);
	tcase_add_test(tc, a_descriptor_that_cannot_be_filled);
	tcase_add_test(tc, a_descriptor_of_the_caller_is_filled);
	tcase_add_test(tc, many_descriptors_at_once);
	tcase_add_test(tc, quotes_that_a_store_does_not_understand);
	tcase_add_test(tc, a_real_mismatch);
	tcase_add_test(tc, pages_may_be_empty_and_keys_strange);
	tcase_add_test(tc, lists_that_are_none);
	tcase_add_test(tc, deletes_of_many);
	tcase_add_test(tc, stores_that_ignore_conditions_are_refused);
	tcase_add_test(tc, uploads_in_parts);
}

int main(void)
{
	return suite_run("S3, a fake", add, 120);
}
