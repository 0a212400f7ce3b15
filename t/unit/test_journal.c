/* The journal on a directory: making a graph, opening it, group commit, two processes. */
#include "config.h"

#include "journal_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

START_TEST(init_is_one_put_and_happens_once)
{
	struct outcome o;

	ck_assert_uint_eq(st->requests[OG_STORE_PUT_ABSENT], 1);
	o = init(false);
	ck_assert_int_eq(o.code, OG_ERR_EXISTS);
	ck_assert_ptr_nonnull(strstr(o.message, "graph already initialized at '"));
	ck_assert_ptr_nonnull(strstr(o.message, "'; pass --force to overwrite"));
	ck_assert_uint_eq(og_state_main(og_journal_state(a))->version, 1);
	ck_assert_uint_eq(og_state_main(og_journal_state(a))->ntables, 3);
}
END_TEST

START_TEST(a_commit_is_one_request_and_survives_reopening)
{
	uint64_t before;
	struct outcome o;

	before = requests();
	o = plain(a, "main");
	ck_assert_uint_eq(requests() - before, 1);
	ck_assert_uint_eq(o.seq, 1);
	ck_assert_uint_eq(o.version, 2);
	reopen();
	ck_assert_uint_eq(og_journal_state(a)->seq, 1);
	ck_assert_uint_eq(rows(a, "main", 1), 1);
	ck_assert_int_eq(memcmp(&(struct og_ulid[]){ head(a, "main") }, &o.id, 16), 0);
	ck_assert_uint_eq(og_state_commit_find(og_journal_state(a), &o.id)->version, 2);
	ck_assert(og_slice_is(og_state_commit_find(og_journal_state(a), &o.id)->actor, "act-mira"));
}
END_TEST

START_TEST(queued_commits_share_an_object)
{
	struct outcome o[64] = { 0 };
	uint64_t before = st->requests[OG_STORE_PUT_ABSENT];
	struct spec s = on(a, "main");

	for (int i = 0; i < 64; i++) {
		s.w = (uint64_t)i + 1;
		start(&s, &o[i]);
	}
	for (int i = 0; i < 64; i++) {
		run(&o[i]);
		ck_assert_int_eq(o[i].outcome, OG_COMMITTED);
		ck_assert_uint_eq(o[i].version, (uint64_t)i + 2);
	}
	ck_assert_uint_eq(rows(a, "main", 1), 64);
	ck_assert_uint_le(st->requests[OG_STORE_PUT_ABSENT] - before, 2);
}
END_TEST

/* ---- two processes, one log ---- */

static int appender(int who, int n)
{
	int fd;
	char path[256];

	base = event_base_new();
	memset(&gen, 0, sizeof(gen));
	st = open_store();
	a = open_journal();
	snprintf(path, sizeof(path), "%s.%d", tmp, who);
	fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
	for (int i = 0; i < n;) {
		struct outcome o[8] = { 0 };
		struct spec s = on(a, "main");
		int k = OG_MIN(1 + i % 8, n - i);

		for (int m = 0; m < k; m++) {
			s.w = (uint64_t)who * 1000000 + (uint64_t)(i + m) + 1;
			start(&s, &o[m]);
		}
		for (int m = 0; m < k; m++) {
			run(&o[m]);
			if (o[m].outcome != OG_COMMITTED)
				return 1;
			if (write(fd, &o[m].id, sizeof(o[m].id)) != sizeof(o[m].id))
				return 1;
		}
		i += k;
	}
	close(fd);
	return 0;
}

START_TEST(two_processes_make_one_chain)
{
	enum { N = 500 };
	const struct og_commit_info **line;
	struct og_arena arena;
	size_t n;

	og_journal_close(a);
	a = NULL;
	og_store_free(st);
	for (int who = 1; who <= 2; who++)
		if (fork() == 0)
			_exit(appender(who, N));
	for (int i = 0; i < 2; i++) {
		int status;

		wait(&status);
		ck_assert_int_eq(status, 0);
	}
	st = open_store();
	a = open_journal();
	ck_assert_uint_eq(rows(a, "main", 1), 2 * N);
	ck_assert_uint_eq(og_state_main(og_journal_state(a))->version, 2 * N + 1);
	og_arena_init(&arena, 0);
	ck_assert_int_eq(og_state_line(og_journal_state(a), &og_state_main(og_journal_state(a))->head, &arena, &line, &n,
				       &failure), 0);
	ck_assert_uint_eq(n, 2 * N + 1);
	for (int who = 1; who <= 2; who++) {
		struct og_ulid ids[N];
		char path[256];
		int fd;

		snprintf(path, sizeof(path), "%s.%d", tmp, who);
		fd = open(path, O_RDONLY);
		ck_assert_int_eq(read(fd, ids, sizeof(ids)), sizeof(ids));
		for (int i = 0; i < N; i++)
			ck_assert_ptr_nonnull(og_state_commit_find(og_journal_state(a), &ids[i]));
		close(fd);
		unlink(path);
	}
	og_arena_fini(&arena);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, init_is_one_put_and_happens_once);
	tcase_add_test(tc, a_commit_is_one_request_and_survives_reopening);
	tcase_add_test(tc, queued_commits_share_an_object);
	tcase_add_test(tc, two_processes_make_one_chain);
}

int main(void)
{
	return journal_main("journal", add);
}
