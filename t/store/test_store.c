/* What every object store must do (store/store.h), run on the directory back end with and without threads. */
#include "config.h"

#include <check.h>
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
#include "store/dir.h"
#include "store/fault.h"

static char tmp[64];
static struct event_base *base;
static struct og_store *st;
static struct og_error err;
static struct og_store_result out;

static struct og_store *open_store(unsigned threads)
{
	struct og_store_dir_config c = { .path = tmp, .base = base, .threads = threads, .create = true };
	struct og_store *s = og_store_dir_new(&c, &err);

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
				won[r * PLACES + i] = put_in(s, OG_STORE_PUT_ABSENT, key, text, NULL) == 0;
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

/* 8 processes add 1 each, 10 times, by compare and swap: nothing is lost. */
START_TEST(put_if_match_loses_no_update)
{
	ck_assert_int_eq(put("n", "0"), 0);
	og_store_free(st);
	for (int r = 0; r < 8; r++) {
		if (fork() == 0) {
			base = event_base_new();
			st = open_store(0);
			for (int i = 0; i < 10;) {
				struct og_store_req req = {
					.op = OG_STORE_GET, .key = "n", .len = OG_STORE_TO_END, .want_tag = true
				};
				struct og_buf b = { 0 };
				struct og_store_tag tag;
				char text[16];

				if (og_store_wait(st, &req, &out, &b, &err) < 0)
					_exit(1);
				tag = out.tag;
				snprintf(text, sizeof(text), "%d", atoi(b.data) + 1);
				og_buf_fini(&b);
				switch (put_in(st, OG_STORE_PUT_MATCH, "n", text, &tag)) {
				case 0:
					i++;
					break;
				case OG_ERR_MISMATCH:
					break;
				default:
					_exit(2);
				}
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
	ck_object("n", "80");
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
	longest[OG_STORE_KEY_MAX] = '\0';
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
	ro = og_store_dir_new(&c, &err);
	ck_assert_ptr_nonnull(ro);
	ck_assert_int_eq(put_in(ro, OG_STORE_PUT, "k", "2", NULL), OG_ERR_DENIED);
	ck_assert_int_eq(put_in(ro, OG_STORE_PUT_ABSENT, "l", "2", NULL), OG_ERR_DENIED);
	og_store_free(ro);
	ck_object("k", "1");
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

static TCase *cases(const char *name, void (*up)(void))
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, up, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_put_is_read_back_and_replaced);
	tcase_add_test(tc, a_put_of_many_parts_keeps_their_order);
	tcase_add_test(tc, a_put_from_a_descriptor);
	tcase_add_test(tc, only_the_first_put_if_absent_wins);
	tcase_add_test(tc, racers_have_one_winner);
	tcase_add_test(tc, put_if_match_compares_content);
	tcase_add_test(tc, put_if_match_loses_no_update);
	tcase_add_test(tc, ranges);
	tcase_add_test(tc, a_get_has_a_limit);
	tcase_add_test(tc, a_descriptor_outlives_the_object);
	tcase_add_test(tc, what_is_missing_is_not_found);
	tcase_add_test(tc, bad_keys_are_refused_before_any_request);
	tcase_add_test(tc, a_list_is_in_byte_order_and_continues);
	tcase_add_test(tc, temporary_files_are_not_listed);
	tcase_add_test(tc, delete_of_many);
	tcase_add_test(tc, a_folder_that_was_removed_is_made_again);
	tcase_add_test(tc, a_full_disk_leaves_no_trace);
	tcase_add_test(tc, an_unwritable_folder_is_an_error_with_its_name);
	tcase_add_test(tc, a_read_only_store_writes_nothing);
	tcase_add_test(tc, a_page_is_shared);
	tcase_add_test(tc, many_requests_at_once_all_complete_from_the_loop);
	tcase_add_test(tc, free_drops_what_is_in_flight);
	tcase_add_test(tc, faults_come_where_planned);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("store");
	SRunner *sr;
	int failed;

	suite_add_tcase(s, cases("directory, threads", setup_threads));
	suite_add_tcase(s, cases("directory, no threads", setup_inline));
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
