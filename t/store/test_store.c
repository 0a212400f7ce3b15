/*
 * What every object store must do (store/store.h), run on the directory back end with and without threads; with
 * OG_TEST_S3_URI=s3://bucket/prefix on the S3 back end instead, set up by the AWS_* variables.
 */
#include "config.h"

#include "t/check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/ulid.h"
#include "net/http_client.h"
#include "store/dir.h"
#include "store/fault.h"
#include "store/s3.h"

static char tmp[64];
static struct event_base *base;
static struct og_store *st;
static struct og_error err;
static struct og_store_result out;

static const char *s3_uri;	/* NULL: a directory */
static char s3_here[200];

static int lookup_env(void *arg, const char *name, char *value, size_t size, struct og_error *e)
{
	const char *v = getenv(name);

	if (!v)
		return og_error_set(e, OG_ERR_NOT_FOUND, "not set");
	snprintf(value, size, "%s", v);
	return 0;
}

static struct og_store *open_s3(bool read_only)
{
	struct og_aws_settings settings;
	struct og_store_s3_config c = { .uri = s3_here, .base = base, .settings = &settings, .patience_ms = 20000, .read_only = read_only };
	struct og_store *s;

	ck_assert_int_eq(og_aws_settings_load(&settings, lookup_env, NULL, &err), 0);
	s = og_store_s3_new(&c, &err);
	ck_assert_msg(s != NULL, "%s", err.message);
	og_aws_settings_fini(&settings);
	return s;
}

static struct og_store *open_store(unsigned threads)
{
	struct og_store_dir_config c = { .path = tmp, .base = base, .threads = threads, .create = true };
	struct og_store *s;

	if (s3_uri)
		return open_s3(false);
	s = og_store_dir_new(&c, &err);
	ck_assert_msg(s != NULL, "%s", err.message);
	return s;
}

static void setup(unsigned threads)
{
	strcpy(tmp, "/tmp/og-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tmp));
	base = event_base_new();
	st = open_store(threads);
}

/* Each test has a prefix of its own. */
static void setup_s3(void)
{
	struct og_ulid_gen ids = { 0 };
	struct og_ulid id;

	ck_assert_int_eq(og_ulid_new(&ids, &id, &err), 0);
	snprintf(s3_here, sizeof(s3_here), "%s/%s", s3_uri, og_ulid_format(&id).s);
	base = event_base_new();
	st = open_store(0);
}

static void teardown_s3(void)
{
	og_store_free(st);
	event_base_free(base);
}

static void setup_threads(void)
{
	setup(4);
}

static void setup_inline(void)
{
	setup(0);
}

static void teardown(void)
{
	char cmd[128];

	og_store_free(st);
	event_base_free(base);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", tmp);
	ck_assert_int_eq(system(cmd), 0);
}

static int put_in(struct og_store *s, enum og_store_op op, const char *key, const char *text,
		  const struct og_store_tag *tag)
{
	struct og_slice part = og_slice_str(text);
	struct og_store_req req = { .op = op, .key = key, .parts = &part, .nparts = 1, .tag = tag };

	return og_store_wait(s, &req, &out, NULL, &err);
}

static int put(const char *key, const char *text)
{
	return put_in(st, OG_STORE_PUT, key, text, NULL);
}

static int absent(const char *key, const char *text)
{
	return put_in(st, OG_STORE_PUT_ABSENT, key, text, NULL);
}

/* Where an answer may be lost one asks again, and in the end reads who it was. */
static int absent_settled(struct og_store *s, const char *key, const char *text)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = key, .len = OG_STORE_TO_END };
	struct og_buf b = { 0 };
	bool unknown = false;
	int rc;

	while ((rc = put_in(s, OG_STORE_PUT_ABSENT, key, text, NULL)) == OG_ERR_UNKNOWN)
		unknown = true;
	if (rc == OG_ERR_EXISTS && unknown) {
		ck_assert_int_eq(og_store_wait(s, &req, &out, &b, &err), 0);
		if (og_slice_is(og_buf_view(&b), text))
			rc = 0;
		og_buf_fini(&b);
	}
	return rc;
}

static int get(const char *key, uint64_t off, uint64_t len, struct og_buf *b)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = key, .offset = off, .len = len };

	og_buf_clear(b);
	return og_store_wait(st, &req, &out, b, &err);
}

static int simple(enum og_store_op op, const char *key)
{
	struct og_store_req req = { .op = op, .key = key, .len = OG_STORE_TO_END };

	return og_store_wait(st, &req, &out, NULL, &err);
}

#define ck_object(key, text) \
	do { \
		struct og_buf b_ = { 0 }; \
		ck_assert_int_eq(get(key, 0, OG_STORE_TO_END, &b_), 0); \
		ck_assert(og_slice_is(og_buf_view(&b_), text)); \
		og_buf_fini(&b_); \
	} while (0)

START_TEST(a_put_is_read_back_and_replaced)
{
	ck_assert_int_eq(put("a/b/c", "one"), 0);
	ck_object("a/b/c", "one");
	ck_assert_int_eq(put("a/b/c", "two two"), 0);
	ck_object("a/b/c", "two two");
	ck_assert_int_eq(put("empty", ""), 0);
	ck_object("empty", "");
	ck_assert_uint_eq(st->requests[OG_STORE_PUT], 3);
	ck_assert_uint_eq(st->requests[OG_STORE_GET], 3);
}
END_TEST

START_TEST(a_put_of_many_parts_keeps_their_order)
{
	struct og_slice parts[100];
	char bytes[100][70];
	struct og_buf want = { 0 }, have = { 0 };
	struct og_store_req req = { .op = OG_STORE_PUT, .key = "parts", .parts = parts, .nparts = 100 };

	for (int i = 0; i < 100; i++) {
		memset(bytes[i], 'a' + i % 26, sizeof(bytes[i]));
		parts[i] = og_slice(bytes[i], (size_t)(i % 70));
		og_buf_slice(&want, parts[i]);
	}
	ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &err), 0);
	ck_assert_int_eq(get("parts", 0, OG_STORE_TO_END, &have), 0);
	ck_assert(og_slice_eq(og_buf_view(&want), og_buf_view(&have)));
	og_buf_fini(&want);
	og_buf_fini(&have);
}
END_TEST

START_TEST(a_put_from_a_descriptor)
{
	struct og_buf big = { 0 }, have = { 0 };
	struct og_store_req req = { .op = OG_STORE_PUT, .key = "data/7/x.parquet", .from_fd = true };
	int fd;

	for (int i = 0; i < 100000; i++)
		og_buf_printf(&big, "line %d\n", i);
	ck_assert_int_eq(og_memfd_from("t", og_buf_view(&big), &fd, &err), 0);
	req.fd = fd;
	req.fd_len = big.len;
	ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &err), 0);
	ck_assert_int_eq(get("data/7/x.parquet", 0, OG_STORE_TO_END, &have), 0);
	ck_assert(og_slice_eq(og_buf_view(&big), og_buf_view(&have)));
	req.key = "short";
	req.fd_len = big.len + 1;
	ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &err), OG_ERR_IO);
	ck_assert_int_eq(simple(OG_STORE_HEAD, "short"), OG_ERR_NOT_FOUND);
	close(fd);
	og_buf_fini(&big);
	og_buf_fini(&have);
}
END_TEST

START_TEST(only_the_first_put_if_absent_wins)
{
	ck_assert_int_eq(absent("k", "first"), 0);
	ck_assert_int_eq(absent("k", "second"), OG_ERR_EXISTS);
	ck_object("k", "first");
	ck_assert_int_eq(simple(OG_STORE_DELETE, "k"), 0);
	ck_assert_int_eq(absent("k", "third"), 0);
	ck_object("k", "third");
}
END_TEST

/* 16 processes, 20 places: each place has exactly one winner, and its bytes are the winner's. */
START_TEST(racers_have_one_winner)
{
	enum { RACERS = 16, PLACES = 20 };
	unsigned char *won = mmap(NULL, RACERS * PLACES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int go[2];
	char key[64], text[64];

	ck_assert(won != MAP_FAILED);
	ck_assert_int_eq(pipe(go), 0);
	/* No threads across a fork: a sanitizer's allocator locks would stay locked in the child. */
	og_store_free(st);
	for (int r = 0; r < RACERS; r++) {
		if (fork() == 0) {
			struct og_store *s;
			char c;

			close(go[1]);
			base = event_base_new();
			s = open_store(1);
			(void)!read(go[0], &c, 1);
			for (int i = 0; i < PLACES; i++) {
				snprintf(key, sizeof(key), "race/%d/%d", i / 5, i);
				snprintf(text, sizeof(text), "racer %d", r);
				won[r * PLACES + i] = absent_settled(s, key, text) == 0;
			}
			og_store_free(s);
			event_base_free(base);
			_exit(0);
		}
	}
	close(go[0]);
	close(go[1]);
	for (int r = 0; r < RACERS; r++) {
		int status;

		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	st = open_store(0);
	for (int i = 0; i < PLACES; i++) {
		int winner = -1;

		for (int r = 0; r < RACERS; r++) {
			if (won[r * PLACES + i]) {
				ck_assert_int_eq(winner, -1);
				winner = r;
			}
		}
		ck_assert_int_ge(winner, 0);
		snprintf(key, sizeof(key), "race/%d/%d", i / 5, i);
		snprintf(text, sizeof(text), "racer %d", winner);
		ck_object(key, text);
	}
	munmap(won, RACERS * PLACES);
}
END_TEST

START_TEST(put_if_match_compares_content)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "ledger", .len = OG_STORE_TO_END, .want_tag = true };
	struct og_store_tag old;

	ck_assert_int_eq(put("ledger", "v1"), 0);
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
	old = out.tag;
	ck_assert_int_ne(old.s[0], 0);
	ck_assert_int_eq(put_in(st, OG_STORE_PUT_MATCH, "ledger", "v2", &old), 0);
	ck_object("ledger", "v2");
	ck_assert_int_eq(put_in(st, OG_STORE_PUT_MATCH, "ledger", "v3", &old), OG_ERR_MISMATCH);
	ck_object("ledger", "v2");
	ck_assert_int_eq(put_in(st, OG_STORE_PUT_MATCH, "nowhere", "v3", &old), OG_ERR_NOT_FOUND);
	req.op = OG_STORE_HEAD;
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
	ck_assert_str_ne(out.tag.s, old.s);
	ck_assert_uint_eq(out.size, 2);
}
END_TEST

static int get_unless(struct og_store *s, const struct og_store_tag *tag, bool want_tag, struct og_buf *b)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "ledger", .len = OG_STORE_TO_END, .tag = tag, .want_tag = want_tag };

	og_buf_clear(b);
	return og_store_wait(s, &req, &out, b, &err);
}

/* Who has an object asks for another one: nothing comes while there is none, and the other one as a whole once there is. */
START_TEST(a_get_of_what_is_known_brings_nothing)
{
	struct og_store_req bad = { .op = OG_STORE_GET, .key = "ledger", .len = OG_STORE_TO_END };
	struct og_store_tag tag = { "another" };
	struct og_buf b = { 0 };

	ck_assert_int_eq(get_unless(st, &tag, false, &b), OG_ERR_NOT_FOUND);
	ck_assert_int_eq(put("ledger", "v1"), 0);
	ck_assert_int_eq(get_unless(st, &tag, true, &b), 0);
	ck_assert(!out.same);
	ck_assert(og_slice_is(og_buf_view(&b), "v1"));
	tag = out.tag;
	for (int want_tag = 0; want_tag < 2; want_tag++) {
		ck_assert_int_eq(get_unless(st, &tag, want_tag, &b), 0);
		ck_assert(out.same);
		ck_assert_uint_eq(b.len, 0);
		ck_assert_str_eq(out.tag.s, tag.s);
	}
	ck_assert_int_eq(put("ledger", "v2"), 0);
	ck_assert_int_eq(get_unless(st, &tag, true, &b), 0);
	ck_assert(!out.same);
	ck_assert(og_slice_is(og_buf_view(&b), "v2"));
	ck_assert_str_ne(out.tag.s, tag.s);
	ck_assert_int_eq(simple(OG_STORE_DELETE, "ledger"), 0);
	ck_assert_int_eq(get_unless(st, &tag, false, &b), OG_ERR_NOT_FOUND);
	ck_assert(!out.same);
	/* of a part or as a descriptor it cannot be asked for */
	bad.tag = &tag;
	bad.want_fd = true;
	ck_assert_int_eq(og_store_wait(st, &bad, &out, NULL, &err), OG_ERR_BAD);
	bad.want_fd = false;
	bad.offset = 1;
	ck_assert_int_eq(og_store_wait(st, &bad, &out, NULL, &err), OG_ERR_BAD);
	bad.offset = 0;
	bad.len = 5;
	ck_assert_int_eq(og_store_wait(st, &bad, &out, NULL, &err), OG_ERR_BAD);
	og_buf_fini(&b);
}
END_TEST

/* The same behind a store that makes trouble: whether it is the same is not known then. */
START_TEST(a_get_of_what_is_known_may_be_lost)
{
	static const struct og_fault_plan none, lost_before = { .kind = OG_FAULT_LOST_BEFORE }, lost_after = { .kind = OG_FAULT_LOST_AFTER };
	struct og_store_tag tag = { "another" };
	struct og_buf b = { 0 };

	ck_assert_int_eq(put("ledger", "v1"), 0);
	st = og_store_fault_new(st, &none);
	ck_assert_ptr_nonnull(st);
	ck_assert_int_eq(get_unless(st, &tag, true, &b), 0);
	tag = out.tag;
	ck_assert_int_eq(get_unless(st, &tag, false, &b), 0);
	ck_assert(out.same);
	og_store_fault_set(st, &lost_before);
	ck_assert_int_eq(get_unless(st, &tag, false, &b), OG_ERR_UNAVAILABLE);
	ck_assert(!out.same);
	og_store_fault_set(st, &lost_after);
	ck_assert_int_eq(get_unless(st, &tag, false, &b), OG_ERR_UNAVAILABLE);
	ck_assert(!out.same);
	ck_assert_int_eq(get_unless(st, &tag, false, &b), 0);
	ck_assert(out.same);
	og_buf_fini(&b);
}
END_TEST

/* Appends " writer.turn" to the content; where an answer was lost, whether it stands there tells. */
static int append_turn(int writer, int turn)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "n", .len = OG_STORE_TO_END, .want_tag = true };
	struct og_buf b = { 0 };
	struct og_store_tag tag;
	bool unknown = false;
	char mine[32];
	int rc = og_store_wait(st, &req, &out, &b, &err);

	tag = out.tag;
	snprintf(mine, sizeof(mine), " %d.%d;", writer, turn);
	og_buf_str(&b, mine);
	while (rc == 0 && (rc = put_in(st, OG_STORE_PUT_MATCH, "n", b.data, &tag)) == OG_ERR_UNKNOWN) {
		unknown = true;
		rc = 0;
	}
	if (rc == OG_ERR_MISMATCH && unknown) {
		og_buf_clear(&b);
		rc = og_store_wait(st, &req, &out, &b, &err);
		if (rc == 0 && !strstr(b.data, mine))
			rc = OG_ERR_MISMATCH;
	}
	og_buf_fini(&b);
	return rc;
}

/* 8 processes append 10 times each, by compare and swap: nothing is lost, nothing is there twice. */
START_TEST(put_if_match_loses_no_update)
{
	struct og_buf b = { 0 };
	char mine[32];

	ck_assert_int_eq(put("n", "begin;"), 0);
	og_store_free(st);
	for (int r = 0; r < 8; r++) {
		if (fork() == 0) {
			base = event_base_new();
			st = open_store(0);
			for (int i = 0; i < 10;) {
				int rc = append_turn(r, i);

				if (rc == 0)
					i++;
				else if (rc != OG_ERR_MISMATCH)
					_exit(2);
			}
			_exit(0);
		}
	}
	for (int r = 0; r < 8; r++) {
		int status;

		wait(&status);
		ck_assert_int_eq(status, 0);
	}
	st = open_store(0);
	ck_assert_int_eq(get("n", 0, OG_STORE_TO_END, &b), 0);
	for (int r = 0; r < 8; r++) {
		for (int i = 0; i < 10; i++) {
			const char *at;

			snprintf(mine, sizeof(mine), " %d.%d;", r, i);
			at = strstr(b.data, mine);
			ck_assert_ptr_nonnull(at);
			ck_assert_ptr_null(strstr(at + 1, mine));
		}
	}
	ck_assert_uint_eq(b.len, strlen("begin;") + 80 * strlen(" 0.0;"));
	og_buf_fini(&b);
}
END_TEST

START_TEST(ranges)
{
	struct og_buf b = { 0 };

	ck_assert_int_eq(put("r", "0123456789"), 0);
	ck_assert_int_eq(get("r", 3, 4, &b), 0);
	ck_assert(og_slice_is(og_buf_view(&b), "3456"));
	ck_assert_uint_eq(out.size, 10);
	ck_assert_int_eq(get("r", 8, 100, &b), 0);
	ck_assert(og_slice_is(og_buf_view(&b), "89"));
	ck_assert_int_eq(get("r", 10, 1, &b), 0);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_int_eq(get("r", UINT64_MAX, OG_STORE_TO_END, &b), 0);
	ck_assert_uint_eq(b.len, 0);
	og_buf_fini(&b);
}
END_TEST

START_TEST(a_get_has_a_limit)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "r", .len = OG_STORE_TO_END, .max_bytes = 9 };

	ck_assert_int_eq(put("r", "0123456789"), 0);
	ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &err), OG_ERR_TOO_LARGE);
	req.max_bytes = 10;
	ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &err), 0);
}
END_TEST

START_TEST(a_descriptor_outlives_the_object)
{
	struct og_store_req req = { .op = OG_STORE_GET, .key = "d/x", .len = OG_STORE_TO_END, .want_fd = true };
	struct stat sb;
	char b[8];

	ck_assert_int_eq(put("d/x", "content"), 0);
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
	ck_assert_int_ge(out.fd, 0);
	ck_assert_uint_eq(out.size, 7);
	int fd = out.fd;
	ck_assert_int_eq(simple(OG_STORE_DELETE, "d/x"), 0);
	ck_assert_int_eq(pread(fd, b, 7, 0), 7);
	ck_assert_int_eq(memcmp(b, "content", 7), 0);
	ck_assert_int_eq(fstat(fd, &sb), 0);
	ck_assert_uint_eq(sb.st_size, 7);
	if (st->local)
		ck_assert_uint_eq(sb.st_nlink, 0);
	close(fd);
}
END_TEST

START_TEST(what_is_missing_is_not_found)
{
	struct og_buf b = { 0 };

	ck_assert_int_eq(get("no", 0, OG_STORE_TO_END, &b), OG_ERR_NOT_FOUND);
	ck_assert_int_eq(get("no/such/folder", 0, OG_STORE_TO_END, &b), OG_ERR_NOT_FOUND);
	ck_assert_int_eq(simple(OG_STORE_HEAD, "no"), OG_ERR_NOT_FOUND);
	ck_assert_int_eq(simple(OG_STORE_DELETE, "no"), 0);
	ck_assert_int_eq(simple(OG_STORE_DELETE, "no/such/folder"), 0);
	ck_assert_int_eq(put("file", "x"), 0);
	ck_assert_int_eq(put("folder/x", "x"), 0);
	ck_assert_int_eq(get("file/x", 0, OG_STORE_TO_END, &b), OG_ERR_NOT_FOUND);
	ck_assert_int_eq(get("folder", 0, OG_STORE_TO_END, &b), OG_ERR_NOT_FOUND);
	og_buf_fini(&b);
}
END_TEST

START_TEST(bad_keys_are_refused_before_any_request)
{
	static const char *const bad[] = {
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "a/.tmp.x", "x.tmp.y",
	};
	char longest[OG_STORE_KEY_MAX + 2];

	for (size_t i = 0; i < OG_COUNT(bad); i++) {
		ck_assert_int_eq(put(bad[i], "x"), OG_ERR_BAD);
		ck_assert_int_eq(absent(bad[i], "x"), OG_ERR_BAD);
		ck_assert_int_eq(simple(OG_STORE_GET, bad[i]), OG_ERR_BAD);
		ck_assert_int_eq(simple(OG_STORE_DELETE, bad[i]), OG_ERR_BAD);
	}
	ck_assert_int_eq(simple(OG_STORE_LIST, "a"), OG_ERR_BAD);
	ck_assert_int_eq(simple(OG_STORE_LIST, "../"), OG_ERR_BAD);
	memset(longest, 'x', sizeof(longest));
	for (size_t i = 200; i < sizeof(longest); i += 200)
		longest[i] = '/';
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(put(longest, "x"), OG_ERR_BAD);
	/* In a bucket the store's own prefix counts too. */
	longest[OG_STORE_KEY_MAX - (s3_uri ? strlen(strchr(s3_here + 5, '/')) : 0)] = '\0';
	ck_assert_int_eq(put(longest, "x"), 0);
	ck_assert_uint_eq(st->requests[OG_STORE_GET] + st->requests[OG_STORE_DELETE], 0);
	ck_assert_uint_eq(st->requests[OG_STORE_PUT], 1);
}
END_TEST

START_TEST(a_list_is_in_byte_order_and_continues)
{
	static const char *const keys[] = { "a.b", "a/1", "a/2", "a/b/c", "a/b.x", "a0", "b", "l/9/x", "l/10/x" };
	struct og_buf b = { 0 };
	char after[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < OG_COUNT(keys); i++)
		ck_assert_int_eq(put(keys[i], "xyz"), 0);
	ck_assert_int_eq(og_store_wait_list(st, "", &b, &err), 0);
	ck_assert_str_eq(b.data, "a.b 3\na/1 3\na/2 3\na/b.x 3\na/b/c 3\na0 3\nb 3\nl/10/x 3\nl/9/x 3\n");
	og_buf_clear(&b);
	ck_assert_int_eq(og_store_wait_list(st, "a/", &b, &err), 0);
	ck_assert_str_eq(b.data, "a/1 3\na/2 3\na/b.x 3\na/b/c 3\n");
	og_buf_clear(&b);
	ck_assert_int_eq(og_store_wait_list(st, "none/", &b, &err), 0);
	ck_assert_uint_eq(b.len, 0);
	/* Pages of 2: the results only tell counts here, the keys come through a start key that exists or not. */
	for (;;) {
		struct og_store_req req = { .op = OG_STORE_LIST, .key = "", .after = after, .limit = 2 };

		ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), 0);
		n += out.nitems;
		if (!out.more)
			break;
		static const char *const last[] = { "a/1", "a/b.x", "a0", "l/10/x" };
		strcpy(after, last[n / 2 - 1]);
	}
	ck_assert_uint_eq(n, OG_COUNT(keys));
	og_buf_fini(&b);
}
END_TEST

START_TEST(temporary_files_are_not_listed)
{
	struct og_buf b = { 0 };
	char path[128];
	int fd;

	ck_assert_int_eq(put("f/x", "1"), 0);
	snprintf(path, sizeof(path), "%s/f/.tmp.01ARZ3NDEKTSV4RRFFQ69G5FAV", tmp);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(og_store_wait_list(st, "", &b, &err), 0);
	ck_assert_str_eq(b.data, "f/x 1\n");
	og_buf_fini(&b);
}
END_TEST

START_TEST(delete_of_many)
{
	const char *keys[] = { "m/1", "m/none", "m/2/x", "m/3" };
	struct og_store_req req = { .op = OG_STORE_DELETE_MANY, .keys = keys, .nkeys = 4 };
	struct og_buf b = { 0 };
	char path[128];

	ck_assert_int_eq(put("m/1", ""), 0);
	ck_assert_int_eq(put("m/2/x", ""), 0);
	ck_assert_int_eq(put("m/3", ""), 0);
	ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &err), 0);
	ck_assert_int_eq(og_store_wait_list(st, "", &b, &err), 0);
	ck_assert_uint_eq(b.len, 0);
	snprintf(path, sizeof(path), "%s/m", tmp);
	if (st->local)
		ck_assert_int_lt(access(path, F_OK), 0);	/* nothing is left behind */
	ck_assert_int_eq(put("m/1", "again"), 0);	/* and the folder comes back */
	ck_object("m/1", "again");
	og_buf_fini(&b);
}
END_TEST

START_TEST(a_folder_that_was_removed_is_made_again)
{
	char cmd[128];

	ck_assert_int_eq(absent("x/y/1", "1"), 0);
	snprintf(cmd, sizeof(cmd), "rm -r %s/x", tmp);
	ck_assert_int_eq(system(cmd), 0);
	ck_assert_int_eq(absent("x/y/1", "2"), 0);
	ck_object("x/y/1", "2");
}
END_TEST

START_TEST(a_full_disk_leaves_no_trace)
{
	struct rlimit lim = { 100000, 100000 };
	char *big = calloc(1, 300000);
	struct og_slice part = og_slice(big, 299999);
	struct og_store_req req = { .op = OG_STORE_PUT_ABSENT, .key = "big", .parts = &part, .nparts = 1 };
	struct og_buf b = { 0 };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &lim), 0);
	ck_assert_int_eq(og_store_wait(st, &req, &out, NULL, &err), OG_ERR_IO);
	ck_assert(!out.lasting);
	ck_assert_ptr_nonnull(strstr(err.message, "big"));
	ck_assert_int_eq(og_store_wait_list(st, "", &b, &err), 0);
	ck_assert_uint_eq(b.len, 0);
	part.len = 1000;
	ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &err), 0);
	free(big);
	og_buf_fini(&b);
}
END_TEST

START_TEST(an_unwritable_folder_is_an_error_with_its_name)
{
	char path[128];

	if (geteuid() == 0) {
		/* Root is let in everywhere; a file in the place of a folder is as good. */
		ck_assert_int_eq(put("f", "x"), 0);
	} else {
		snprintf(path, sizeof(path), "%s/f", tmp);
		ck_assert_int_eq(mkdir(path, 0500), 0);
	}
	ck_assert_int_eq(put("f/x", "1"), OG_ERR_IO);
	ck_assert_ptr_nonnull(strstr(err.message, tmp));
}
END_TEST

START_TEST(a_read_only_store_writes_nothing)
{
	struct og_store_dir_config c = { .path = tmp, .base = base, .threads = 0, .read_only = true };
	struct og_store *ro;

	ck_assert_int_eq(put("k", "1"), 0);
	ro = s3_uri ? open_s3(true) : og_store_dir_new(&c, &err);
	ck_assert_ptr_nonnull(ro);
	ck_assert_int_eq(put_in(ro, OG_STORE_PUT, "k", "2", NULL), OG_ERR_DENIED);
	ck_assert_int_eq(put_in(ro, OG_STORE_PUT_ABSENT, "l", "2", NULL), OG_ERR_DENIED);
	og_store_free(ro);
	ck_object("k", "1");
	if (s3_uri)
		return;
	c.path = "/tmp/og-no-such-store";
	ck_assert_ptr_null(og_store_dir_new(&c, &err));
	ck_assert_int_eq(err.code, OG_ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_page_is_shared)
{
	int a, b;
	uint64_t *pa, *pb;

	ck_assert_int_eq(og_store_page(st, "doorbell", &a, &err), 0);
	ck_assert_int_eq(og_store_page(st, "doorbell", &b, &err), 0);
	pa = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);
	pb = mmap(NULL, 4096, PROT_READ, MAP_SHARED, b, 0);
	ck_assert(pa != MAP_FAILED && pb != MAP_FAILED);
	__atomic_fetch_add(pa, 1, __ATOMIC_SEQ_CST);
	ck_assert_uint_eq(__atomic_load_n(pb, __ATOMIC_SEQ_CST), 1);
	munmap(pa, 4096);
	munmap(pb, 4096);
	close(a);
	close(b);
}
END_TEST

static int completions;

static void count_completion(void *arg, struct og_store_result *res)
{
	ck_assert_int_eq(res->code, 0);
	completions++;
	if (completions == *(int *)arg)
		event_base_loopbreak(base);
}

START_TEST(many_requests_at_once_all_complete_from_the_loop)
{
	struct og_slice part = OG_SLICE("x");
	int want = 300;
	char key[32];

	completions = 0;
	for (int i = 0; i < want; i++) {
		snprintf(key, sizeof(key), "p/%d", i);
		og_store_put_absent(st, key, &part, 1, count_completion, &want);
		ck_assert_int_eq(completions, 0);
	}
	event_base_dispatch(base);
	ck_assert_int_eq(completions, want);
}
END_TEST

/* Freed with requests in flight: no completion, no leak, no use after free. */
START_TEST(free_drops_what_is_in_flight)
{
	struct og_slice part = OG_SLICE("x");
	int want = -1;
	char key[32];

	completions = 0;
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "q/%d", i);
		og_store_put(st, key, &part, 1, count_completion, &want);
	}
	og_store_get(st, "/bad", 0, count_completion, &want);
	og_store_free(st);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(completions, 0);
	st = open_store(1);
}
END_TEST

START_TEST(faults_come_where_planned)
{
	struct og_fault_plan plan;

	ck_assert_int_eq(og_fault_parse("lost-after:1:1:w", &plan, &err), 0);
	ck_assert_int_eq(og_fault_parse("lost-after", &plan, &err), OG_ERR_BAD);
	ck_assert_int_eq(og_fault_parse("nonsense:1", &plan, &err), OG_ERR_BAD);
	ck_assert_int_eq(og_fault_parse("lost-after:1:1:w", &plan, &err), 0);
	st = og_store_fault_new(st, &plan);
	ck_assert_int_eq(absent("a", "1"), 0);
	ck_assert_int_eq(absent("b", "1"), OG_ERR_UNKNOWN);
	ck_object("b", "1");
	ck_assert_int_eq(absent("b", "1"), OG_ERR_EXISTS);
	ck_assert_int_eq(og_fault_parse("lost-before:0", &plan, &err), 0);
	og_store_fault_set(st, &plan);
	ck_assert_int_eq(absent("c", "1"), OG_ERR_UNKNOWN);
	ck_assert_int_eq(absent("c", "1"), 0);
	ck_assert_uint_eq(og_store_fault_seen(st), 2);
}
END_TEST

/* ---- S3 alone ---- */

/* More than one page, in byte order across pages, and more than one batch of a delete. */
START_TEST(a_list_of_many_pages)
{
	struct og_slice part = OG_SLICE("x");
	int want = 2300;
	const char *keys[OG_STORE_PAGE_MAX];
	char (*names)[20] = calloc((size_t)want, sizeof(*names));
	struct og_buf b = { 0 };
	const char *line;

	completions = 0;
	for (int i = 0; i < want; i++) {
		snprintf(names[i], sizeof(names[i]), "many/%04d", i);
		og_store_put(st, names[i], &part, 1, count_completion, &want);
	}
	event_base_dispatch(base);
	ck_assert_int_eq(completions, want);
	ck_assert_int_eq(og_store_wait_list(st, "many/", &b, &err), 0);
	line = b.data;
	for (int i = 0; i < want; i++) {
		ck_assert_int_eq(strncmp(line, names[i], 9), 0);
		line = strchr(line, '\n') + 1;
	}
	ck_assert_int_eq(*line, 0);
	for (int i = 0; i < want; i += OG_STORE_PAGE_MAX) {
		struct og_store_req req = { .op = OG_STORE_DELETE_MANY, .keys = keys };

		for (int k = i; k < want && k < i + OG_STORE_PAGE_MAX; k++)
			keys[req.nkeys++] = names[k];
		ck_assert_int_eq(og_store_wait(st, &req, NULL, NULL, &err), 0);
	}
	og_buf_clear(&b);
	ck_assert_int_eq(og_store_wait_list(st, "many/", &b, &err), 0);
	ck_assert_uint_eq(b.len, 0);
	og_buf_fini(&b);
	free(names);
}
END_TEST

/* 64 MiB and a little: nine parts, from memory and from a file. */
START_TEST(a_large_put_goes_in_parts)
{
	size_t n = 64 * OG_MIB + 12345;
	char *bytes = malloc(n);
	struct og_slice parts[2] = { { bytes, 1000 }, { bytes + 1000, n - 1000 } };
	struct og_store_req req = { .op = OG_STORE_PUT, .key = "large", .parts = parts, .nparts = 2 };
	struct og_store_req fetch = { .op = OG_STORE_GET, .key = "large", .len = OG_STORE_TO_END, .want_fd = true };
	struct og_slice have;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 2654435761u >> 13);
	ck_assert_msg(og_store_wait(st, &req, &out, NULL, &err) == 0, "%s", err.message);
	for (int turn = 0; turn < 2; turn++) {
		uint64_t before = st->http_requests;
		int fd;

		ck_assert_int_eq(og_store_wait(st, &fetch, &out, NULL, &err), 0);
		fd = out.fd;
		ck_assert_uint_eq(out.size, n);
		ck_assert_uint_eq(st->http_requests - before, st->local ? 0 : 9);	/* of 8 MiB each, none of them twice */
		ck_assert_int_eq(og_map_file(fd, n, &have, &err), 0);
		ck_assert_int_eq(memcmp(have.p, bytes, n), 0);
		og_unmap(&have);
		if (turn == 0) {
			struct og_store_req again = { .op = OG_STORE_PUT, .key = "large2", .from_fd = true, .fd = fd, .fd_len = n };

			ck_assert_int_eq(og_store_wait(st, &again, &out, NULL, &err), 0);
			fetch.key = "large2";
		}
		close(fd);
	}
	free(bytes);
}
END_TEST

START_TEST(odd_keys_arrive_as_they_are)
{
	static const char *const keys[] = {
		"a b", "a%2Fb", "a+b", "c&d=e;f", "x/~!*'()", "\303\251/\344\270\255", "\"<q>\"", "a?b#c", "k:@$,[]", "tab\there", "...",
	};
	struct og_store_req many = { .op = OG_STORE_DELETE_MANY, .keys = keys, .nkeys = OG_COUNT(keys) };
	struct og_buf b = { 0 };

	for (size_t i = 0; i < OG_COUNT(keys); i++) {
		ck_assert_msg(put(keys[i], keys[i]) == 0, "%s", err.message);
		ck_object(keys[i], keys[i]);
	}
	ck_assert_int_eq(og_store_wait_list(st, "", &b, &err), 0);
	for (size_t i = 0; i < OG_COUNT(keys); i++) {
		char line[80];

		snprintf(line, sizeof(line), "%s %zu\n", keys[i], strlen(keys[i]));
		ck_assert_msg(strstr(b.data, line) != NULL, "%s in %s", line, b.data);
	}
	ck_assert_int_eq(og_store_wait(st, &many, NULL, NULL, &err), 0);
	og_buf_clear(&b);
	ck_assert_int_eq(og_store_wait_list(st, "", &b, &err), 0);
	ck_assert_str_eq(b.data ? b.data : "", "");
	og_buf_fini(&b);
}
END_TEST

static struct og_store_result checked;

static void on_checked(void *arg, struct og_store_result *res)
{
	checked = *res;
	event_base_loopbreak(base);
}

START_TEST(the_store_keeps_its_promises)
{
	struct og_buf b = { 0 };

	checked.code = 1;
	og_store_check(st, on_checked, NULL);
	event_base_dispatch(base);
	ck_assert_int_eq(checked.code, 0);
	ck_assert_int_eq(og_store_wait_list(st, "", &b, &err), 0);
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

static void change_setting(const char *name, const char *value, const char *uri)
{
	og_store_free(st);
	setenv(name, value, 1);
	if (uri)
		snprintf(s3_here, sizeof(s3_here), "%s", uri);
	st = open_store(0);
}

START_TEST(what_is_wrong_is_named)
{
	ck_assert_int_eq(put("k", "1"), 0);
	change_setting("AWS_SECRET_ACCESS_KEY", "wrong", NULL);
	ck_assert_int_eq(simple(OG_STORE_GET, "k"), OG_ERR_IO);
	ck_assert_msg(strstr(err.message, "SignatureDoesNotMatch") && strstr(err.message, "/k'") && !strstr(err.message, "wrong"), "%s",
		      err.message);
	ck_assert_int_eq(put("k", "2"), OG_ERR_IO);
	change_setting("AWS_ACCESS_KEY_ID", "NOBODYSKEY0000000001", NULL);
	ck_assert_int_eq(simple(OG_STORE_GET, "k"), OG_ERR_IO);
	ck_assert_msg(strstr(err.message, "InvalidAccessKeyId") != NULL, "%s", err.message);
}
END_TEST

START_TEST(a_missing_bucket_is_named)
{
	change_setting("AWS_REGION", "us-east-1", "s3://omnigraph-no-such-bucket/x");
	ck_assert_int_eq(simple(OG_STORE_GET, "k"), OG_ERR_IO);
	ck_assert_msg(strstr(err.message, "NoSuchBucket: there is no bucket 'omnigraph-no-such-bucket'") != NULL, "%s", err.message);
	ck_assert_int_eq(absent("k", "1"), OG_ERR_IO);
	ck_assert_int_eq(simple(OG_STORE_LIST, ""), OG_ERR_IO);
}
END_TEST

static void add_common(TCase *tc)
{
	tcase_add_test(tc, a_put_is_read_back_and_replaced);
	tcase_add_test(tc, a_put_of_many_parts_keeps_their_order);
	tcase_add_test(tc, a_put_from_a_descriptor);
	tcase_add_test(tc, only_the_first_put_if_absent_wins);
	tcase_add_test(tc, racers_have_one_winner);
	tcase_add_test(tc, put_if_match_compares_content);
	tcase_add_test(tc, put_if_match_loses_no_update);
	tcase_add_test(tc, a_get_of_what_is_known_brings_nothing);
	tcase_add_test(tc, a_get_of_what_is_known_may_be_lost);
	tcase_add_test(tc, ranges);
	tcase_add_test(tc, a_get_has_a_limit);
	tcase_add_test(tc, a_descriptor_outlives_the_object);
	tcase_add_test(tc, what_is_missing_is_not_found);
	tcase_add_test(tc, bad_keys_are_refused_before_any_request);
	tcase_add_test(tc, a_list_is_in_byte_order_and_continues);
	tcase_add_test(tc, delete_of_many);
	tcase_add_test(tc, a_read_only_store_writes_nothing);
	tcase_add_test(tc, many_requests_at_once_all_complete_from_the_loop);
	tcase_add_test(tc, free_drops_what_is_in_flight);
	tcase_add_test(tc, faults_come_where_planned);
}

static TCase *directory(const char *name, void (*up)(void))
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, up, teardown);
	tcase_set_timeout(tc, 60);
	add_common(tc);
	tcase_add_test(tc, temporary_files_are_not_listed);
	tcase_add_test(tc, a_folder_that_was_removed_is_made_again);
	tcase_add_test(tc, a_full_disk_leaves_no_trace);
	tcase_add_test(tc, an_unwritable_folder_is_an_error_with_its_name);
	tcase_add_test(tc, a_page_is_shared);
	return tc;
}

static TCase *s3(void)
{
	TCase *tc = tcase_create("S3");

	tcase_add_checked_fixture(tc, setup_s3, teardown_s3);
	tcase_set_timeout(tc, 180);
	add_common(tc);
	tcase_add_test(tc, a_list_of_many_pages);
	tcase_add_test(tc, a_large_put_goes_in_parts);
	tcase_add_test(tc, odd_keys_arrive_as_they_are);
	tcase_add_test(tc, the_store_keeps_its_promises);
	tcase_add_test(tc, what_is_wrong_is_named);
	tcase_add_test(tc, a_missing_bucket_is_named);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("store");
	SRunner *sr;
	int failed;

	if (og_net_global_init(&err) < 0)
		return EXIT_FAILURE;
	s3_uri = getenv("OG_TEST_S3_URI");
	if (s3_uri) {
		suite_add_tcase(s, s3());
	} else {
		suite_add_tcase(s, directory("directory, threads", setup_threads));
		suite_add_tcase(s, directory("directory, no threads", setup_inline));
	}
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
