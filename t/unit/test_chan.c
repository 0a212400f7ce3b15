/* ipc/messages, ipc/chan: the table, honest traffic, hostile frames. */
#include "config.h"

#include "ipc/chan.h"

#include "t/check.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "ipc/wire.h"

#define MAX_OPEN 2000

struct end {
	struct og_chan *chan;
	int closed, requests, pushes, answers;
	struct og_error why, last;
	uint16_t last_type;
	size_t last_len;
	uint32_t open[MAX_OPEN];
	bool hold, keep, free_in_handler, accept_fd;
	struct og_ipc_kept kept;
	int fd;
};

static struct event_base *base;
static struct end a, b; /* a: worker, b: storaged */

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	struct end *e = arg;

	e->closed++;
	e->why = *why;
}

static int on_commit(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct end *e = arg;
	struct og_buf body = { 0 };

	e->last_type = m->type;
	e->last_len = m->body.len;
	ck_assert_int_lt(e->requests, MAX_OPEN);
	e->open[e->requests++] = m->request;
	if (e->keep)
		ck_assert_int_eq(og_ipc_keep(m, &e->kept, err), 0);
	if (e->free_in_handler) {
		og_chan_free(e->chan);
		e->chan = NULL;
		return 0;
	}
	if (e->hold)
		return 0;
	og_put_u64(&body, m->body.len);
	ck_assert_int_eq(og_chan_answer(m->chan, m->request, OG_IPC_COMMITTED, &body, -1, err), 0);
	og_buf_fini(&body);
	return 0;
}

static int on_hello(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	return og_error_set(err, OG_ERR_PEER, "never said by an honest worker");
}

static int on_bell(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct end *e = arg;

	e->pushes++;
	if (e->accept_fd)
		e->fd = og_ipc_take_fd(m);
	return 0;
}

static const struct og_ipc_rule storaged_rules[] = {
	{ OG_IPC_HELLO, OG_IPC_NEW, on_hello },
	{ OG_IPC_COMMIT, OG_IPC_RUNNING, on_commit },
};
static const struct og_ipc_rule worker_rules[] = {
	{ OG_IPC_BELL, OG_IPC_ANY_STATE, on_bell },
};

static void setup(void)
{
	struct og_chan_cfg ca = { OG_ROLE_WORKER, OG_ROLE_STORAGED, worker_rules, OG_COUNT(worker_rules), &a, on_closed };
	struct og_chan_cfg cb = { OG_ROLE_STORAGED, OG_ROLE_WORKER, storaged_rules, OG_COUNT(storaged_rules), &b,
				  on_closed };
	struct og_error err = { 0 };
	int fds[2];

	og_log_init("test", OG_LOG_ERROR, false);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	base = event_base_new();
	ck_assert_int_eq(og_ipc_pair(fds, &err), 0);
	a.chan = og_chan_new(base, fds[0], &ca, &err);
	b.chan = og_chan_new(base, fds[1], &cb, &err);
	ck_assert_ptr_nonnull(a.chan);
	ck_assert_ptr_nonnull(b.chan);
	og_chan_set_state(a.chan, OG_IPC_RUNNING);
	og_chan_set_state(b.chan, OG_IPC_RUNNING);
}

static void teardown(void)
{
	og_chan_free(a.chan);
	og_chan_free(b.chan);
	og_ipc_kept_fini(&b.kept);
	event_base_free(base);
}

static void turn(int times)
{
	for (int i = 0; i < times; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int on_committed(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct end *e = arg;

	e->answers++;
	if (!m) {
		e->last = *err;
		return 0;
	}
	if (m->type != OG_IPC_COMMITTED)
		return og_error_set(err, OG_ERR_PEER, "not a COMMITTED");
	e->last_len = (size_t)og_le64(m->body.p);
	return 0;
}

static int ask(size_t bytes, uint32_t ms, struct og_error *err)
{
	struct og_buf body = { 0 };
	int rc;

	if (bytes) {
		char *p = og_buf_reserve(&body, bytes);

		ck_assert_ptr_nonnull(p);
		memset(p, 'x', bytes);
		body.len = bytes;
	}
	rc = og_chan_request(a.chan, OG_IPC_COMMIT, &body, -1, ms, on_committed, &a, NULL, err);
	og_buf_fini(&body);
	return rc;
}

START_TEST(table_is_sorted_and_sane)
{
	unsigned last = 0, rows = 0;

	for (unsigned t = 0; t < 65536; t++) {
		const struct og_ipc_row *row = og_ipc_row(t);

		if (!row)
			continue;
		rows++;
		ck_assert_uint_gt(t, last);
		last = t;
		ck_assert_uint_eq(row->type, t);
		ck_assert_uint_ne(row->by, 0);
		ck_assert(row->class == OG_IPC_LARGE || row->limit <= OG_IPC_INLINE_MAX);
		ck_assert_uint_le(row->limit, OG_CHAN_BYTES_MAX);
	}
#define ONE(name, nr, kind, by, class, limit) +1
	ck_assert_uint_eq(rows, 0 OG_IPC_MESSAGES(ONE));
	ck_assert_str_eq(og_ipc_name(OG_IPC_COMMIT), "COMMIT");
	ck_assert_str_eq(og_ipc_name(9999), "?");
}
END_TEST

static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 1 << 20, 64u << 20 };

START_TEST(carries_bodies_of_all_sizes)
{
	struct og_error err = { 0 };

	b.keep = true;
	ck_assert_int_eq(ask(sizes[_i], 0, &err), 0);
	turn(4);
	ck_assert_int_eq(a.answers, 1);
	ck_assert_uint_eq(a.last_len, sizes[_i]);
	ck_assert_uint_eq(b.kept.body.len, sizes[_i]);
	if (sizes[_i])
		ck_assert_int_eq(b.kept.body.p[sizes[_i] - 1], 'x');
	ck_assert_int_eq(a.closed + b.closed, 0);
}
END_TEST

START_TEST(refuses_to_send_what_the_table_forbids)
{
	struct og_error err = { 0 };

	ck_assert_int_eq(ask((64u << 20) + 1, 0, &err), OG_ERR_TOO_LARGE);
	ck_assert_int_eq(og_chan_send(a.chan, OG_IPC_BELL, NULL, 0, &err), OG_ERR_INTERNAL);	/* not a worker's */
	ck_assert_int_eq(og_chan_send(b.chan, OG_IPC_BELL, NULL, -1, &err), OG_ERR_INTERNAL); /* no descriptor */
	ck_assert_int_eq(og_chan_send(a.chan, OG_IPC_COMMIT, NULL, -1, &err), OG_ERR_INTERNAL); /* no push */
	ck_assert_int_eq(og_chan_answer(b.chan, 7, OG_IPC_COMMITTED, NULL, -1, &err), OG_ERR_INTERNAL);
	turn(2);
	ck_assert_int_eq(a.closed + b.closed, 0);
}
END_TEST

START_TEST(hands_over_a_descriptor)
{
	struct og_error err = { 0 };
	struct og_buf body = { 0 };
	int fd;

	ck_assert_int_eq(og_memfd_from("t", OG_SLICE("page"), &fd, &err), 0);
	a.accept_fd = true;
	og_put_u32(&body, 1);
	ck_assert_int_eq(og_chan_send(b.chan, OG_IPC_BELL, &body, fd, &err), 0);
	close(fd);
	og_buf_fini(&body);
	turn(2);
	ck_assert_int_eq(a.pushes, 1);
	ck_assert_int_eq(fcntl(a.fd, F_GETFD), FD_CLOEXEC);
	close(a.fd);
}
END_TEST

START_TEST(an_untaken_descriptor_is_closed)
{
	struct og_error err = { 0 };
	int p[2];
	char c;

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(og_chan_send(b.chan, OG_IPC_BELL, NULL, p[1], &err), 0);
	close(p[1]);
	turn(2);
	ck_assert_int_eq(a.pushes, 1);
	ck_assert_int_eq(read(p[0], &c, 1), 0); /* the last writer is gone */
	close(p[0]);
}
END_TEST

START_TEST(a_failure_reaches_the_asker_unchanged)
{
	struct og_error err = { 0 };
	struct og_error why = { .code = OG_ERR_CONFLICT, .pos = { 1, 2, 3 }, .message = "lost a race",
				.detail = { OG_DETAIL_KEY, "node:A", "x", 4, 5 } };

	b.hold = true;
	ck_assert_int_eq(ask(3, 0, &err), 0);
	turn(2);
	ck_assert_int_eq(b.requests, 1);
	og_chan_fail(b.chan, b.open[0], &why);
	turn(2);
	ck_assert_int_eq(a.answers, 1);
	ck_assert_int_eq(a.last.code, OG_ERR_CONFLICT);
	ck_assert_str_eq(a.last.message, "lost a race");
	ck_assert_uint_eq(a.last.pos.byte, 3);
	ck_assert_str_eq(a.last.detail.name, "node:A");
}
END_TEST

START_TEST(a_deadline_ends_the_wait_and_a_late_answer_is_dropped)
{
	struct og_error err = { 0 };
	struct og_buf body = { 0 };

	b.hold = true;
	ck_assert_int_eq(ask(3, 20, &err), 0);
	while (!a.answers)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_int_eq(a.last.code, OG_ERR_TIMEOUT);
	turn(2);
	og_put_u64(&body, 3);
	ck_assert_int_eq(og_chan_answer(b.chan, b.open[0], OG_IPC_COMMITTED, &body, -1, &err), 0);
	og_buf_fini(&body);
	turn(2);
	ck_assert_int_eq(a.answers, 1);
	ck_assert_int_eq(a.closed + b.closed, 0);
}
END_TEST

START_TEST(the_peers_end_fails_open_requests)
{
	struct og_error err = { 0 };

	b.hold = true;
	ck_assert_int_eq(ask(3, 0, &err), 0);
	turn(2);
	og_chan_free(b.chan);
	b.chan = NULL;
	turn(3);
	ck_assert_int_eq(a.answers, 1);
	ck_assert_int_eq(a.last.code, OG_ERR_UNAVAILABLE);
	ck_assert_int_eq(a.closed, 1);
	ck_assert_int_eq(a.why.code, 0);
	ck_assert_int_eq(ask(3, 0, &err), OG_ERR_UNAVAILABLE);
}
END_TEST

START_TEST(may_be_freed_in_a_handler)
{
	struct og_error err = { 0 };

	b.free_in_handler = true;
	ck_assert_int_eq(ask(3, 0, &err), 0);
	turn(3);
	ck_assert_int_eq(a.answers, 1);
	ck_assert_int_eq(a.last.code, OG_ERR_UNAVAILABLE);
}
END_TEST

START_TEST(stops_reading_at_1024_open_requests)
{
	struct og_error err = { 0 };
	struct og_buf body = { 0 };
	int sent = 0;

	b.hold = true;
	while (ask(1, 0, &err) == 0) {
		sent++;
		turn(1);
	}
	ck_assert_int_eq(err.code, OG_ERR_UNAVAILABLE);
	ck_assert_int_eq(sent, 1024);
	turn(50);
	ck_assert_int_eq(b.requests, 1024);
	og_put_u64(&body, 1);
	for (int i = 0; i < 1024; i++) {
		ck_assert_int_eq(og_chan_answer(b.chan, b.open[i], OG_IPC_COMMITTED, &body, -1, &err), 0);
		if (i % 8 == 0)
			turn(1);
	}
	og_buf_fini(&body);
	turn(50);
	ck_assert_int_eq(a.answers, 1024);
	b.requests = 0;
	ck_assert_int_eq(ask(1, 0, &err), 0);
	turn(5);
	ck_assert_int_eq(b.requests, 1);
	ck_assert_int_eq(a.closed + b.closed, 0);
}
END_TEST

/* Pushes beyond what the socket takes wait, then are dropped; never a blocked sender. */
START_TEST(drops_pushes_when_the_queue_is_full)
{
	struct og_error err = { 0 };
	int sent = 0, fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit files;

	/* Every push that waits holds a descriptor; the usual soft limit is less than the queue. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	while (og_chan_send(b.chan, OG_IPC_BELL, NULL, fd, &err) == 0)
		sent++;
	close(fd);
	ck_assert_int_eq(err.code, OG_ERR_UNAVAILABLE);
	ck_assert_int_ge(sent, 1024);
	turn(200);
	ck_assert_int_eq(a.pushes, sent);
	ck_assert_uint_eq(og_chan_queued(b.chan), 0);
}
END_TEST

/* --- hostile: raw packets to the storaged end -------------------------------------------------------- */

struct raw {
	struct og_ipc_header h;
	const char *body;
	size_t body_len;
	int nfds;
	size_t cut; /* bytes of the packet sent; 0: all */
	const char *reason;
};

static const struct raw hostile[] = {
	{ { 9999, 0, 1, 0 }, "", 0, 0, 0, "unknown message" },
	{ { 0, 0, 1, 0 }, "", 0, 0, 0, "unknown message" },
	{ { OG_IPC_COMMIT, 0, 1, 4 }, "abc", 3, 0, 0, "announced" },
	{ { OG_IPC_COMMIT, 0, 1, 2 }, "abc", 3, 0, 0, "announced" },
	{ { OG_IPC_COMMIT, 0, 1, 0xffffffff }, "abc", 3, 0, 0, "limit" },
	{ { OG_IPC_COMMIT, 0, 0, 3 }, "abc", 3, 0, 0, "request number" },
	{ { OG_IPC_COMMIT, 0, 1, 3 }, "abc", 3, 0, 15, "shorter than a header" },
	{ { OG_IPC_COMMIT, 0, 1, 3 }, "abc", 3, 0, 1, "shorter than a header" },
	{ { OG_IPC_COMMIT, 8, 1, 3 }, "abc", 3, 0, 0, "unknown flags" },
	{ { OG_IPC_COMMIT, OG_IPC_F_MORE, 1, 3 }, "abc", 3, 0, 0, "only answers" },
	{ { OG_IPC_COMMIT, 0, 1, 3 }, "abc", 3, 1, 0, "which its flags deny" },
	{ { OG_IPC_COMMIT, 0, 1, 3 }, "abc", 3, 2, 0, "control data" },
	{ { OG_IPC_COMMIT, OG_IPC_F_FD, 1, 3 }, "abc", 3, 1, 0, "class" },
	{ { OG_IPC_COMMIT, OG_IPC_F_MEMFD, 1, 70000 }, "", 0, 0, 0, "which its flags deny" },
	{ { OG_IPC_COMMIT, OG_IPC_F_MEMFD, 1, 70000 }, "", 0, 1, 0, "" }, /* /dev/null is no memfd */
	{ { OG_IPC_COMMIT, OG_IPC_F_MEMFD, 1, 3 }, "", 0, 1, 0, "beside a memfd" },
	{ { OG_IPC_COMMIT, OG_IPC_F_MEMFD, 1, 70000 }, "abc", 3, 1, 0, "beside a memfd" },
	{ { OG_IPC_COMMITTED, 0, 1, 3 }, "abc", 3, 0, 0, "not a message of a worker" },
	{ { OG_IPC_START, 0, 0, 3 }, "abc", 3, 0, 0, "not a message of a worker" },
	{ { OG_IPC_FAILED, 0, 5, 3 }, "abc", 3, 0, 0, "not open" },
	{ { OG_IPC_DROPPED, 0, 5, 0 }, "", 0, 0, 0, "not open" },
	{ { OG_IPC_HELLO, 0, 1, 0 }, "", 0, 0, 0, "in state" },
	{ { OG_IPC_GRAPH_OPEN, 0, 1, 0 }, "", 0, 0, 0, "may send here" },
};

static void send_raw(int sock, const struct raw *r)
{
	uint8_t packet[4096];
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(8 * sizeof(int))];
	} ctl = { 0 };
	struct iovec iov = { packet, OG_IPC_HEADER_SIZE + r->body_len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	og_ipc_header_encode(&r->h, packet);
	memcpy(packet + OG_IPC_HEADER_SIZE, r->body, r->body_len);
	if (r->cut)
		iov.iov_len = r->cut;
	if (r->nfds) {
		struct cmsghdr *cm;

		msg.msg_control = ctl.buf;
		msg.msg_controllen = CMSG_SPACE((size_t)r->nfds * sizeof(int));
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN((size_t)r->nfds * sizeof(int));
		for (int i = 0; i < r->nfds; i++)
			memcpy(CMSG_DATA(cm) + (size_t)i * sizeof(int), &null, sizeof(int));
	}
	ck_assert_int_gt(sendmsg(sock, &msg, MSG_NOSIGNAL), 0);
	close(null);
}

static int raw_peer(void)
{
	struct og_chan_cfg cb = { OG_ROLE_STORAGED, OG_ROLE_WORKER, storaged_rules, OG_COUNT(storaged_rules), &b,
				  on_closed };
	struct og_error err = { 0 };
	int fds[2];

	og_chan_free(a.chan);
	a.chan = NULL;
	og_chan_free(b.chan);
	ck_assert_int_eq(og_ipc_pair(fds, &err), 0);
	b.chan = og_chan_new(base, fds[1], &cb, &err);
	og_chan_set_state(b.chan, OG_IPC_RUNNING);
	return fds[0];
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(a_hostile_packet_closes_the_channel)
{
	int sock = raw_peer(), before = open_fds();

	send_raw(sock, &hostile[_i]);
	turn(2);
	ck_assert_int_eq(b.closed, 1);
	ck_assert_int_lt(b.why.code, 0);
	ck_assert_msg(strstr(b.why.message, hostile[_i].reason), "%s", b.why.message);
	ck_assert_int_eq(b.requests, 0);
	ck_assert_int_eq(open_fds(), before - 1); /* the socket alone: no descriptor of the peer's stays */
	close(sock);
}
END_TEST

START_TEST(a_request_number_in_use_closes_the_channel)
{
	struct raw ok = { { OG_IPC_COMMIT, 0, 5, 3 }, "abc", 3, 0, 0, "" };
	int sock = raw_peer();

	b.hold = true;
	send_raw(sock, &ok);
	ok.h.request += OG_CHAN_REQUESTS_MAX; /* another number, the same slot */
	send_raw(sock, &ok);
	turn(2);
	ck_assert_int_eq(b.requests, 1);
	ck_assert_int_eq(b.closed, 1);
	close(sock);
}
END_TEST

START_TEST(an_unsealed_memfd_closes_the_channel)
{
	uint8_t packet[OG_IPC_HEADER_SIZE];
	struct og_ipc_header h = { OG_IPC_COMMIT, OG_IPC_F_MEMFD, 1, 70000 };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct iovec iov = { packet, sizeof(packet) };
	struct msghdr msg = { &(int){ 0 }, 0, &iov, 1, ctl.buf, sizeof(ctl.buf), 0 };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
	struct og_error err = { 0 };
	int sock = raw_peer(), fd;

	ck_assert_int_eq(og_memfd_new("t", &fd, &err), 0);
	ck_assert_int_eq(ftruncate(fd, 70000), 0);
	if (_i == 1) { /* sealed, of another length */
		ck_assert_int_eq(ftruncate(fd, 70001), 0);
		ck_assert_int_eq(og_memfd_seal(fd, &err), 0);
	}
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	og_ipc_header_encode(&h, packet);
	ck_assert_int_gt(sendmsg(sock, &msg, 0), 0);
	turn(2);
	ck_assert_int_eq(b.requests, 0);
	ck_assert_int_eq(b.closed, 1);
	close(fd);
	close(sock);
}
END_TEST

START_TEST(last_words_arrive_before_the_end)
{
	struct raw ok = { { OG_IPC_COMMIT, 0, 5, 3 }, "abc", 3, 0, 0, "" };
	int sock = raw_peer();

	for (uint32_t i = 0; i < 5; i++) {
		ok.h.request = 5 + i;
		send_raw(sock, &ok);
	}
	close(sock);
	turn(3);
	ck_assert_int_eq(b.requests, 5);
	ck_assert_int_eq(b.closed, 1);
	ck_assert_int_eq(b.why.code, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("chan");
	TCase *tc = tcase_create("chan");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, table_is_sorted_and_sane);
	tcase_add_loop_test(tc, carries_bodies_of_all_sizes, 0, (int)OG_COUNT(sizes));
	tcase_add_test(tc, refuses_to_send_what_the_table_forbids);
	tcase_add_test(tc, hands_over_a_descriptor);
	tcase_add_test(tc, an_untaken_descriptor_is_closed);
	tcase_add_test(tc, a_failure_reaches_the_asker_unchanged);
	tcase_add_test(tc, a_deadline_ends_the_wait_and_a_late_answer_is_dropped);
	tcase_add_test(tc, the_peers_end_fails_open_requests);
	tcase_add_test(tc, may_be_freed_in_a_handler);
	tcase_add_test(tc, stops_reading_at_1024_open_requests);
	tcase_add_test(tc, drops_pushes_when_the_queue_is_full);
	tcase_add_loop_test(tc, a_hostile_packet_closes_the_channel, 0, (int)OG_COUNT(hostile));
	tcase_add_test(tc, a_request_number_in_use_closes_the_channel);
	tcase_add_loop_test(tc, an_unsealed_memfd_closes_the_channel, 0, 2);
	tcase_add_test(tc, last_words_arrive_before_the_end);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
