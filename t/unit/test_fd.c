/* Descriptors and the log. */
#include "config.h"

#include "suite.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct og_error err;

START_TEST(memfds_are_sealed)
{
	struct og_slice map;
	uint64_t size;
	int fd = -1;

	ck_assert_int_eq(og_memfd_from("test", OG_SLICE("hello"), &fd, &err), 0);
	ck_assert_int_eq(og_memfd_check(fd, &size, &err), 0);
	ck_assert_uint_eq(size, 5);
	ck_assert_int_lt((int)pwrite(fd, "x", 1, 0), 0);
	ck_assert_int_lt(ftruncate(fd, 0), 0);
	ck_assert_int_lt(ftruncate(fd, 10), 0);
	ck_assert_ptr_eq(mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(og_map_file(fd, size, &map, &err), 0);
	ck_assert(og_slice_is(map, "hello"));
	og_unmap(&map);
	og_unmap(&map);
	og_fd_close(&fd);
	ck_assert_int_eq(fd, -1);
	og_fd_close(&fd);
	ck_assert_int_eq(og_memfd_from("empty", og_slice(NULL, 0), &fd, &err), 0);
	ck_assert_int_eq(og_map_file(fd, 0, &map, &err), 0);
	ck_assert_uint_eq(map.len, 0);
	og_unmap(&map);
	og_fd_close(&fd);
}
END_TEST

/* What an honest process never sends. */
START_TEST(unsealed_descriptors_are_refused)
{
	uint64_t size;
	int fd = -1, p[2];

	ck_assert_int_eq(og_memfd_new("test", &fd, &err), 0);
	ck_assert_int_eq(og_memfd_check(fd, &size, &err), OG_ERR_PEER);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
	ck_assert_int_eq(og_memfd_check(fd, &size, &err), OG_ERR_PEER);
	og_fd_close(&fd);
	ck_assert_int_eq(og_tmpfile(NULL, &fd, &err), 0);
	ck_assert_int_eq(og_memfd_check(fd, &size, &err), OG_ERR_PEER);
	og_fd_close(&fd);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(og_memfd_check(p[0], &size, &err), OG_ERR_PEER);
	ck_assert_int_eq(og_memfd_check(-1, &size, &err), OG_ERR_PEER);
	og_fd_close(&p[0]);
	og_fd_close(&p[1]);
}
END_TEST

START_TEST(reads_stop_at_the_limit)
{
	struct og_buf b = { 0 };
	int fd = -1;

	ck_assert_int_eq(og_tmpfile("/tmp", &fd, &err), 0);
	ck_assert_int_eq(og_fd_write_all(fd, OG_SLICE("0123456789"), &err), 0);
	for (size_t max = 0; max < 12; max++) {
		lseek(fd, 0, SEEK_SET);
		og_buf_clear(&b);
		ck_assert_int_eq(og_fd_read_all(fd, &b, max, &err), max < 10 ? OG_ERR_TOO_LARGE : 0);
		ck_assert_uint_le(b.len, 10);
	}
	ck_assert(og_slice_is(og_buf_view(&b), "0123456789"));
	lseek(fd, 0, SEEK_SET);
	ck_assert_int_eq(og_fd_read_all(fd, &b, SIZE_MAX, &err), 0);
	ck_assert_uint_eq(b.len, 20);
	og_buf_fini(&b);
	og_fd_close(&fd);
}
END_TEST

START_TEST(short_files_are_corrupt)
{
	char to[10];
	int fd = -1;

	ck_assert_int_eq(og_memfd_from("t", OG_SLICE("0123456789"), &fd, &err), 0);
	ck_assert_int_eq(og_fd_pread_all(fd, to, 10, 0, &err), 0);
	ck_assert_int_eq(og_fd_pread_all(fd, to, 0, 10, &err), 0);
	ck_assert_int_eq(og_fd_pread_all(fd, to, 10, 1, &err), OG_ERR_CORRUPT);
	ck_assert_uint_eq(err.pos.byte, 10);
	ck_assert_int_eq(og_fd_pread_all(fd, to, 1, 1000, &err), OG_ERR_CORRUPT);
	ck_assert_int_eq(og_fd_pread_all(fd, to, 1, UINT64_MAX, &err), OG_ERR_CORRUPT);
	og_fd_close(&fd);
	ck_assert_int_eq(og_fd_pread_all(-1, to, 1, 0, &err), OG_ERR_IO);
}
END_TEST

START_TEST(files_are_named_in_errors)
{
	struct og_buf b = { 0 };

	ck_assert_int_eq(og_file_read("/nonexistent/x", &b, 10, &err), OG_ERR_NOT_FOUND);
	ck_assert_str_eq(err.message, "/nonexistent/x: No such file or directory");
	ck_assert_int_eq(og_file_read("/", &b, 10, &err), OG_ERR_IO);
	ck_assert_str_eq(err.message, "/: read: Is a directory");
	ck_assert_int_eq(og_file_read("/proc/self/status", &b, 3, &err), OG_ERR_TOO_LARGE);
	ck_assert_str_eq(err.message, "/proc/self/status: more than 3 bytes");
	ck_assert_int_eq(og_tmpfile("/nonexistent", &(int){ -1 }, &err), OG_ERR_NOT_FOUND);
	og_buf_fini(&b);
}
END_TEST

static char line[10000];
static unsigned lines;

static void sink(void *arg, const char *s, size_t n)
{
	(void)arg;
	ck_assert_uint_lt(n, sizeof(line));
	ck_assert_int_eq(s[n - 1], '\n');
	ck_assert_ptr_eq(memchr(s, '\n', n), s + n - 1);
	ck_assert_uint_eq(og_utf8_check(og_slice(s, n)), n);
	memcpy(line, s, n);
	line[n - 1] = '\0';
	lines++;
}

/* What follows the time and the space or comma behind it. */
static const char *tail(void)
{
	return line + strlen("2026-05-01T08:30:00.000Z ");
}

START_TEST(a_line_cannot_be_forged)
{
	struct og_log_quoted q;

	og_log_init("worker.3", OG_LOG_INFO, false);
	og_log_set_sink(sink, NULL);
	og_log(OG_LOG_INFO, "start", "pid=%d uri=%s", 7, og_log_quote(&q, "/plain/x"));
	ck_assert_str_eq(tail(), "info worker.3 start pid=7 uri=/plain/x");
	og_log(OG_LOG_WARN, "open", "uri=%s", og_log_quote(&q, "a b\"\n2026 error x\\\x1b[1m\xff\x7f"));
	ck_assert_str_eq(tail(), "warn worker.3 open uri=\"a b\\\"\\n2026 error x\\\\\\u001b[1m\xef\xbf\xbd\\u007f\"");
	og_log(OG_LOG_ERROR, "raw", "text=%s", "a\nb\rc");
	ck_assert_str_eq(tail(), "error worker.3 raw text=a\\nb\\rc");
	og_log(OG_LOG_INFO, "empty", "%s", "");
	ck_assert_str_eq(tail(), "info worker.3 empty");
	lines = 0;
	og_log(OG_LOG_DEBUG, "quiet", "x=1");
	ck_assert_uint_eq(lines, 0);
}
END_TEST

START_TEST(quoting_fits_its_buffer)
{
	struct og_log_quoted q;
	char text[3000];

	ck_assert_str_eq(og_log_quote(&q, ""), "\"\"");
	ck_assert_str_eq(og_log_quote(&q, NULL), "\"\"");
	ck_assert_str_eq(og_log_quote(&q, "k=v"), "\"k=v\"");
	for (size_t n = 990; n < 1100; n++) {
		memset(text, n % 2 ? 'x' : '\n', n);
		text[n] = '\0';
		og_log_quote(&q, text);
		ck_assert_uint_lt(strlen(q.s), sizeof(q.s));
	}
	ck_assert_int_eq(q.s[strlen(q.s) - 1], '"');
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char text[20000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	og_log_set_sink(sink, NULL);
	for (int json = 0; json < 2; json++) {
		og_log_init("p", OG_LOG_DEBUG, json);
		og_log(OG_LOG_DEBUG, "long", "a=1 text=%s", text);
		og_log(OG_LOG_DEBUG, text, "a=1");
		memset(text, json ? 'y' : '"', sizeof(text) - 1);
		og_log(OG_LOG_DEBUG, "long", "a=1 text=%s", text);
	}
	memset(text, '\n', sizeof(text) - 1);
	og_log(OG_LOG_DEBUG, "long", "a=%s", text);
	ck_assert_uint_eq(lines, 7);
}
END_TEST

START_TEST(json_lines_are_objects)
{
	struct og_log_quoted q;

	og_log_init("master", OG_LOG_INFO, true);
	og_log_set_sink(sink, NULL);
	og_log(OG_LOG_INFO, "start", "pid=%d ok=yes uri=%s  stray neg=-5 id=007", 7, og_log_quote(&q, "a \"b\""));
	ck_assert_str_eq(line + strlen("{\"time\":\"2026-05-01T08:30:00.000Z\","),
			 "\"level\":\"info\",\"proc\":\"master\",\"event\":\"start\",\"pid\":7,\"ok\":\"yes\","
			 "\"uri\":\"a \\\"b\\\"\",\"text\":\"stray\",\"neg\":-5,\"id\":\"007\"}");
}
END_TEST

START_TEST(levels_parse)
{
	ck_assert_int_eq(og_log_parse_level(NULL), OG_LOG_INFO);
	ck_assert_int_eq(og_log_parse_level(""), OG_LOG_INFO);
	ck_assert_int_eq(og_log_parse_level("nonsense"), OG_LOG_INFO);
	ck_assert_int_eq(og_log_parse_level("WARN"), OG_LOG_WARN);
	ck_assert_int_eq(og_log_parse_level("trace"), OG_LOG_DEBUG);
	ck_assert_int_eq(og_log_parse_level("off"), OG_LOG_ERROR);
	ck_assert_int_eq(og_log_parse_level("hyper=debug, error ,"), OG_LOG_ERROR);
	ck_assert_int_eq(og_log_parse_level(" , "), OG_LOG_INFO);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, memfds_are_sealed);
	tcase_add_test(tc, unsealed_descriptors_are_refused);
	tcase_add_test(tc, reads_stop_at_the_limit);
	tcase_add_test(tc, short_files_are_corrupt);
	tcase_add_test(tc, files_are_named_in_errors);
	tcase_add_test(tc, a_line_cannot_be_forged);
	tcase_add_test(tc, quoting_fits_its_buffer);
	tcase_add_test(tc, long_lines_are_cut);
	tcase_add_test(tc, json_lines_are_objects);
	tcase_add_test(tc, levels_parse);
}

int main(void)
{
	return suite_run("fd", add, 60);
}
