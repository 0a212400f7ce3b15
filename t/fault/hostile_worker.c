/*
 * og-storaged before builders that die, and workers that were taken over: they send garbage, what they may not say, numbers out of range, halves of messages, thousands of
 * requests at once, and leave in the middle. It must close their channels or refuse, live on, serve an honest worker beside them, touch nothing outside
 * of its graph, and leave the graph sound.
 *
 * Run in the build tree: it starts og-storaged as og-master does, over raw sockets, so that nothing of ours checks what is sent.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "ipc/child.h"
#include "ipc/wire.h"
#include "proc/spawn.h"

#define WAIT_MS 20000

static pid_t pid;
static int control = -1;	/* to og-storaged, as og-master */
static int honest = -1;
static uint32_t next_index = 1;
static uint64_t seed = 0x9e3779b97f4a7c15;
static char root[512];		/* holds the graph, what init wrote, and a file that nobody may touch */

static void fail(const char *what)
{
	fprintf(stderr, "FAIL: %s\n", what);
	if (pid > 0)
		kill(pid, SIGKILL);
	exit(1);
}

static void check(bool ok, const char *what)
{
	if (!ok)
		fail(what);
}

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---- packets ---- */

/* false: the peer has closed. */
static bool send_raw(int fd, const void *p, size_t n, int pass)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd w = { fd, POLLOUT, 0 };

	if (pass >= 0) {
		struct cmsghdr *c;

		m.msg_control = ctl.buf;
		m.msg_controllen = sizeof(ctl.buf);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(int));
	}
	while (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN)
			return false;
		if (poll(&w, 1, WAIT_MS) <= 0)
			fail("og-storaged reads nothing");
	}
	return true;
}

static bool say(int fd, uint16_t type, uint16_t flags, uint32_t request, const struct og_buf *body, int pass)
{
	size_t len = body && !(flags & OG_IPC_F_MEMFD) ? body->len : 0;
	struct og_ipc_header h = { type, flags, request, body ? (uint32_t)body->len : 0 };
	uint8_t *p = malloc(OG_IPC_HEADER_SIZE + len);
	bool ok;

	check(p != NULL, "no memory");
	og_ipc_header_encode(&h, p);
	if (len)
		memcpy(p + OG_IPC_HEADER_SIZE, body->data, len);
	ok = send_raw(fd, p, OG_IPC_HEADER_SIZE + len, pass);
	free(p);
	return ok;
}

struct got {
	uint16_t type;
	uint32_t request;
	size_t len;
	uint8_t body[OG_IPC_INLINE_MAX];
};

/* The next packet; false: closed, or nothing within ms. */
static bool hear(int fd, struct got *g, int ms, bool *closed)
{
	static uint8_t buf[OG_IPC_HEADER_SIZE + OG_IPC_INLINE_MAX];
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf, .msg_controllen = sizeof(ctl.buf) };
	struct pollfd r = { fd, POLLIN, 0 };
	struct cmsghdr *c;
	ssize_t n;

	*closed = false;
	if (poll(&r, 1, ms) <= 0)
		return false;
	n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	if (n < (ssize_t)OG_IPC_HEADER_SIZE) {
		*closed = true;
		return false;
	}
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		int got;

		memcpy(&got, CMSG_DATA(c), sizeof(got));
		close(got);
	}
	g->type = og_le16(buf);
	g->request = og_le32(buf + 4);
	g->len = (size_t)n - OG_IPC_HEADER_SIZE;
	memcpy(g->body, buf + OG_IPC_HEADER_SIZE, g->len);
	return true;
}

/* The answer to a request, pushes passed over; 0: the channel was closed. */
static uint16_t answer_of(int fd, uint32_t request, struct got *g)
{
	bool closed;

	for (;;) {
		if (!hear(fd, g, WAIT_MS, &closed)) {
			check(closed, "a request is neither answered nor its channel closed");
			return 0;
		}
		if (g->request == request)
			return g->type;
	}
}

/* Closed within the time, whatever is answered before. */
static void expect_closed(int fd, const char *what)
{
	struct got g;
	bool closed = false;

	while (hear(fd, &g, WAIT_MS, &closed))
		;
	if (!closed)
		fail(what);
}

/* ---- channels ---- */

static int channel_of(enum og_role role, uint32_t index)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	int fds[2];

	check(og_ipc_pair(fds, &err) == 0, "socketpair");
	og_put_u8(&b, (uint8_t)role);
	og_put_u32(&b, index);
	og_put_u32(&b, 1);
	check(say(control, OG_IPC_CHANNEL, OG_IPC_F_FD, 0, &b, fds[1]), "og-storaged has gone");
	og_buf_fini(&b);
	close(fds[1]);
	return fds[0];
}

static int channel(uint32_t index)
{
	return channel_of(OG_ROLE_WORKER, index);
}

static void hello(int fd)
{
	struct og_buf b = { 0 };
	struct got g;

	og_put_str(&b, OG_BUILD_ID);
	og_put_u32(&b, OG_IPC_TABLE_VERSION);
	check(say(fd, OG_IPC_HELLO, 0, 1024, &b, -1), "HELLO");
	check(answer_of(fd, 1024, &g) == OG_IPC_WELCOME, "no WELCOME");
	og_buf_fini(&b);
}

static int hostile(void)
{
	int fd = channel(next_index++);

	hello(fd);
	return fd;
}

static void put_open(struct og_buf *b, const char *branch)
{
	og_wire_put_open(b, &(struct og_wire_open){ .branch = og_slice_str(branch), .look = OG_LOOK_NEW });
}

static struct og_ulid branch_id, head_id;

/* The honest worker is served, and og-storaged lives. */
static void still_well(const char *after)
{
	static uint32_t nr = 4096;
	struct og_buf b = { 0 };
	struct got g;
	int status;

	if (waitpid(pid, &status, WNOHANG) == pid) {
		fprintf(stderr, "og-storaged ended, status %x, after: %s\n", (unsigned)status, after);
		pid = 0;
		exit(1);
	}
	put_open(&b, "main");
	nr += 1024;
	check(say(honest, OG_IPC_GRAPH_OPEN, 0, nr, &b, -1), after);
	if (answer_of(honest, nr, &g) != OG_IPC_GRAPH_HEAD) {
		fprintf(stderr, "the honest worker is not served after: %s\n", after);
		fail("not served");
	}
	/* graph, branch, commit */
	memcpy(branch_id.b, g.body + 16, 16);
	memcpy(head_id.b, g.body + 32, 16);
	og_buf_fini(&b);
}

/* ---- attacks ---- */

static void garbage(void)
{
	for (int i = 0; i < 300; i++) {
		int fd = channel(next_index++);
		uint8_t bytes[600];

		if (i % 2)
			hello(fd);
		for (int k = 0; k < 20; k++) {
			size_t n = 1 + rnd() % sizeof(bytes);

			for (size_t j = 0; j < n; j++)
				bytes[j] = (uint8_t)rnd();
			/* Half of them begin as an honest packet does. */
			if (k % 2 && n > OG_IPC_HEADER_SIZE) {
				struct og_ipc_header h = { (uint16_t)(1 + rnd() % 80), (uint16_t)(rnd() % 8), (uint32_t)rnd(), (uint32_t)(n - OG_IPC_HEADER_SIZE) };

				og_ipc_header_encode(&h, bytes);
			}
			if (!send_raw(fd, bytes, n, -1))
				break;
		}
		expect_closed(fd, "garbage is taken");
		close(fd);
	}
}

static void forbidden(void)
{
	static const struct {
		uint16_t type;
		bool before_hello;
	} t[] = {
		{ OG_IPC_GRAPH_OPEN, true }, { OG_IPC_COMMIT, true },	   { OG_IPC_SEGMENT_PUT, true }, { OG_IPC_HELLO, false },
		{ OG_IPC_SEGMENT_GET, false }, { OG_IPC_GRAPH_INIT, false }, { OG_IPC_MAINTAIN, false }, { OG_IPC_BUILD, false },
		{ OG_IPC_START, false },     { OG_IPC_STOP, false },	   { OG_IPC_CHANNEL, false },	 { OG_IPC_SECRETS, false },
		{ OG_IPC_IMAGE, false },     { OG_IPC_BUILT, false },	   { OG_IPC_DROPPED, false },	 { OG_IPC_ADMIN, false },
		{ OG_IPC_BRANCH_DELETE, false },
	};

	for (size_t i = 0; i < OG_COUNT(t); i++) {
		struct og_buf b = { 0 };
		int fd = channel(next_index++);

		if (!t[i].before_hello)
			hello(fd);
		put_open(&b, "main");
		(void)say(fd, t[i].type, 0, 2048, &b, -1);
		expect_closed(fd, og_ipc_name(t[i].type));
		og_buf_fini(&b);
		close(fd);
	}
	still_well("forbidden messages");
}

/* A body that cannot be decoded closes; none may be acted on. */
static void broken_bodies(void)
{
	static const uint16_t types[] = { OG_IPC_GRAPH_OPEN, OG_IPC_CATCH_UP, OG_IPC_IMAGE_GET, OG_IPC_SEGMENT_PUT, OG_IPC_COMMIT };

	for (size_t i = 0; i < OG_COUNT(types); i++)
		for (int k = 0; k < 40; k++) {
			struct og_buf b = { 0 };
			int fd = hostile();
			struct got g;

			for (uint64_t n = rnd() % 200; n > 0; n--)
				og_buf_byte(&b, (uint8_t)(k % 2 ? rnd() : 0xff));
			(void)say(fd, types[i], 0, 2048, &b, -1);
			if (answer_of(fd, 2048, &g) != 0)
				check(g.type == OG_IPC_FAILED, "a broken body is answered with success");
			og_buf_fini(&b);
			close(fd);
		}
	still_well("broken bodies");
}

static void refused(int fd, uint16_t type, const struct og_buf *b, const char *what)
{
	static uint32_t nr = 1024;
	struct got g;
	uint16_t a;

	nr += 1024;
	if (!say(fd, type, 0, nr, b, -1))
		return;
	a = answer_of(fd, nr, &g);
	if (a != 0 && a != OG_IPC_FAILED && a != OG_IPC_CONFLICT) {
		fprintf(stderr, "%s: %s\n", what, og_ipc_name(a));
		fail("what cannot be is done");
	}
}

/* Well-formed, and out of range. */
static void out_of_range(void)
{
	static const uint32_t parts[] = { 0, 1, 1u << 20, UINT32_MAX };
	static const char *const names[] = { "", "../../etc/passwd", "/", "no such", "main/../main" };
	struct og_buf b = { 0 };
	int fd;

	for (unsigned what = 0; what < 256; what += what < 6 ? 1 : 50)
		for (size_t p = 0; p < OG_COUNT(parts); p++) {
			struct og_wire_image k = { (uint32_t)rnd() % 4, (uint8_t)what, (uint32_t)rnd(), parts[p], { rnd(), rnd() }, { rnd(), 0 }, { 0, rnd() } };

			fd = hostile();
			og_buf_clear(&b);
			og_wire_put_claim(&b, &(struct og_wire_claim){ k, 1 });
			refused(fd, OG_IPC_IMAGE_GET, &b, "an image of nothing");
			close(fd);
		}
	fd = hostile();
	for (size_t i = 0; i < OG_COUNT(names); i++) {
		og_buf_clear(&b);
		put_open(&b, names[i]);
		refused(fd, OG_IPC_GRAPH_OPEN, &b, names[i]);
		og_buf_clear(&b);
		og_wire_put_open(&b, &(struct og_wire_open){ .branch = OG_SLICE("main"), .commit = og_slice_str(i ? names[i] : "0"), .look = i % 2 ? OG_LOOK_NEW : OG_LOOK_HOST });
		refused(fd, OG_IPC_GRAPH_OPEN, &b, "a commit that is none");
	}
	og_buf_clear(&b);
	og_wire_put_catchup(&b, &(struct og_wire_catchup){ { { 0xff } }, UINT64_MAX, UINT64_MAX, true });
	refused(fd, OG_IPC_CATCH_UP, &b, "a branch that is none");
	close(fd);
	og_buf_fini(&b);
	still_well("numbers out of range");
}

static void bad_commits(void)
{
	static const char *const what[] = { "of an unknown type",    "that takes 2^63 rows away", "that takes a row of none away", "of 2^63 rows",
					    "of one type twice",     "of a schema without one",	 "of a merge without a source",	 "of 2^64 rows",
					    "of type 0", "on a branch that is none",	 "on a base that is none",	 "of an actor that is no text" };
	uint8_t junk[64];
	struct og_wire_write w[2];

	memset(junk, 'x', sizeof(junk));
	for (int i = 0; i < 12; i++) {
		struct og_wire_commit_req c = { .branch = branch_id, .base_commit = head_id, .confirmed = true, .op = OG_WIRE_MUTATE, .tables = w, .ntables = 1 };
		struct og_buf b = { 0 };
		int fd = hostile();

		w[0] = w[1] = (struct og_wire_write){ .type_id = 1, .dn = 1, .body = { (const char *)junk, sizeof(junk) } };
		switch (i) {
		case 0:
			w[0].type_id = 77777;
			break;
		case 1:
			w[0].dn = INT64_MIN;
			break;
		case 2:
			w[0].dn = -1;	/* of no rows */
			break;
		case 3:
			w[0].dn = INT64_MAX;
			break;
		case 4:
			c.ntables = 2;	/* one type twice */
			break;
		case 5:
			c.op = OG_WIRE_SCHEMA;
			break;
		case 6:
			c.op = OG_WIRE_MERGE;
			break;
		case 7:
			w[0].all = true;
			w[0].rows = UINT64_MAX;
			break;
		case 8:
			w[0].type_id = 0;
			break;
		case 9:
			memset(c.branch.b, 0xee, sizeof(c.branch.b));
			break;
		case 10:
			memset(c.base_commit.b, 0xee, sizeof(c.base_commit.b));
			break;
		case 11:
			c.actor = og_slice("\xff\xfe", 2);
			break;
		}
		og_wire_put_commit_req(&b, &c);
		refused(fd, OG_IPC_COMMIT, &b, what[i]);
		og_buf_fini(&b);
		close(fd);
	}
	still_well("bad commits");
}

/* Descriptors and lengths that do not fit. */
static void half_requests(void)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct got g;
	int fd, mem, sealed;

	for (int i = 0; i < 6; i++) {
		uint8_t head[OG_IPC_HEADER_SIZE];
		struct og_ipc_header h = { OG_IPC_COMMIT, 0, 2048, 100 };

		fd = hostile();
		check(og_memfd_new("x", &mem, &err) == 0 && ftruncate(mem, 100000) == 0, "memfd");
		check(og_memfd_from("y", og_slice((const char *)head, sizeof(head)), &sealed, &err) == 0, "memfd");
		og_buf_clear(&b);
		for (int k = 0; k < 70000; k++)
			og_buf_byte(&b, 0);
		switch (i) {
		case 0:		/* says more than it brings */
			og_ipc_header_encode(&h, head);
			(void)send_raw(fd, head, sizeof(head), -1);
			break;
		case 1:		/* not sealed */
			(void)say(fd, OG_IPC_COMMIT, OG_IPC_F_MEMFD, 2048, &b, mem);
			break;
		case 2:		/* of another length */
			(void)say(fd, OG_IPC_COMMIT, OG_IPC_F_MEMFD, 2048, &b, sealed);
			break;
		case 3:		/* announced, and not there */
			(void)say(fd, OG_IPC_COMMIT, OG_IPC_F_MEMFD, 2048, &b, -1);
			break;
		case 4:		/* there, and not announced */
			og_buf_clear(&b);
			put_open(&b, "main");
			(void)say(fd, OG_IPC_GRAPH_OPEN, 0, 2048, &b, mem);
			break;
		case 5:		/* half a header */
			(void)send_raw(fd, head, 7, -1);
			break;
		}
		expect_closed(fd, "half a request is taken");
		close(mem);
		close(sealed);
		close(fd);
	}
	/* The same request twice at once. */
	fd = hostile();
	og_buf_clear(&b);
	put_open(&b, "main");
	(void)say(fd, OG_IPC_GRAPH_OPEN, 0, 2048, &b, -1);
	(void)say(fd, OG_IPC_GRAPH_OPEN, 0, 2048, &b, -1);
	(void)answer_of(fd, 2048, &g);
	close(fd);
	og_buf_fini(&b);
	still_well("halves of requests");
}

/* All at once: answered one by one, or left in the middle. */
static void pipelined(bool read_them)
{
	struct og_buf open = { 0 }, image = { 0 };
	int fd = hostile(), sent = 0, answered = 0;
	bool closed;
	struct got g;

	put_open(&open, "main");
	og_wire_put_claim(&image, &(struct og_wire_claim){ { 1, 1, 0, 0, { 1, 1 }, { 0, 0 }, { 0, 0 } }, 1 });
	while (sent < 2000) {
		struct pollfd p = { fd, POLLOUT | (read_them ? POLLIN : 0), 0 };

		/* Who does not read is not read from for ever. */
		if (poll(&p, 1, read_them ? WAIT_MS : 300) <= 0)
			break;
		if (p.revents & POLLIN) {
			check(hear(fd, &g, 0, &closed), "closed while pipelining");
			answered += g.request != 0;
		}
		/* A number is a generation above one of 1,024 slots, none of which is used twice at once. */
		if ((p.revents & POLLOUT) && sent - answered < 1000) {
			uint32_t nr = 2048 + (uint32_t)(sent / 1000) * 1024 + (uint32_t)(sent % 1000);

			if (read_them && sent >= 1000 && answered < 1000) {
				check(hear(fd, &g, WAIT_MS, &closed), "no answer");
				answered += g.request != 0;
				continue;
			}
			check(say(fd, sent % 2 ? OG_IPC_GRAPH_OPEN : OG_IPC_IMAGE_GET, 0, nr, sent % 2 ? &open : &image, -1), "closed while pipelining");
			sent++;
		} else if (!read_them) {
			break;
		}
	}
	while (read_them && answered < sent) {
		check(hear(fd, &g, WAIT_MS, &closed), "not every request is answered");
		answered += g.request != 0;
	}
	close(fd);
	og_buf_fini(&open);
	og_buf_fini(&image);
	still_well(read_them ? "2,000 requests at once" : "requests without a reader");
}

/* A worker dies with requests open, and its successor has the same place and the same numbers: it gets its own answers. */
static void successors(void)
{
	struct og_buf open = { 0 }, put = { 0 };
	uint32_t index = next_index++;
	struct got g;

	put_open(&open, "main");
	og_wire_put_segput(&put, &(struct og_wire_segput){ 1, 1, OG_SLICE("not a file of rows, but nobody refers to it") });
	for (int i = 0; i < 100; i++) {
		int a = channel(index), b;

		hello(a);
		for (uint32_t k = 0; k < 8; k++)
			check(say(a, OG_IPC_SEGMENT_PUT, 0, 2048 + k, &put, -1), "SEGMENT_PUT");
		close(a);
		b = channel(index);
		hello(b);
		for (uint32_t k = 0; k < 8; k++)
			check(say(b, OG_IPC_GRAPH_OPEN, 0, 2048 + k, &open, -1), "GRAPH_OPEN");
		for (uint32_t k = 0; k < 8; k++) {
			bool closed;

			do
				check(hear(b, &g, WAIT_MS, &closed), "a successor is not answered");
			while (g.request == 0);
			check(g.type == OG_IPC_GRAPH_HEAD, "a successor got its predecessor's answer");
		}
		close(b);
	}
	og_buf_fini(&open);
	og_buf_fini(&put);
	still_well("successors");
}

/* ---- builders ---- */

/* A commit of a row each of both node types, and the names of what images of it are made of. */
static void commit_rows(struct og_wire_image keys[2])
{
	struct og_wire_write w[2] = { { .dn = 1, .body = OG_SLICE("nobody reads this") }, { .dn = 1, .body = OG_SLICE("nor this") } };
	struct og_wire_commit_req c = { .branch = branch_id, .base_commit = head_id, .confirmed = true, .op = OG_WIRE_MUTATE, .tables = w, .ntables = 2 };
	struct og_wire_commit done;
	struct og_wire_head h;
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_ulid_text id;
	struct og_arena a;
	struct got g;
	uint64_t bell;
	int n = 0;

	og_arena_init(&a, 0);
	put_open(&b, "main");
	check(say(honest, OG_IPC_GRAPH_OPEN, 0, 1024 * 9000, &b, -1) && answer_of(honest, 1024 * 9000, &g) == OG_IPC_GRAPH_HEAD, "no head");
	check(og_wire_get_head(og_slice((char *)g.body, g.len), &a, &h, &err) == 0, err.message);
	for (uint32_t i = 0; i < h.ntypes && n < 2; i++)
		if (h.types[i].kind == 0)
			w[n++].type_id = h.types[i].type_id;
	check(n == 2, "two node types");
	og_buf_clear(&b);
	og_wire_put_commit_req(&b, &c);
	check(say(honest, OG_IPC_COMMIT, 0, 1024 * 9001, &b, -1) && answer_of(honest, 1024 * 9001, &g) == OG_IPC_COMMITTED, "no commit");
	check(og_wire_get_committed(og_slice((char *)g.body, g.len), &a, &done, &bell, &err) == 0, err.message);
	id = og_ulid_format(&done.commit);
	og_buf_clear(&b);
	og_wire_put_open(&b, &(struct og_wire_open){ .branch = OG_SLICE("main"), .commit = og_slice_str(id.s), .look = OG_LOOK_NEW });
	check(say(honest, OG_IPC_GRAPH_OPEN, 0, 1024 * 9002, &b, -1) && answer_of(honest, 1024 * 9002, &g) == OG_IPC_GRAPH_HEAD, "no head");
	check(og_wire_get_head(og_slice((char *)g.body, g.len), &a, &h, &err) == 0, err.message);
	for (uint32_t i = 0; i < h.ntypes; i++)
		for (int k = 0; k < 2; k++)
			if (h.types[i].type_id == w[k].type_id)
				keys[k] = (struct og_wire_image){ .type_id = w[k].type_id, .what = 1, .content = h.types[i].content };
	og_arena_fini(&a);
	og_buf_fini(&b);
}

/* A builder's channel, read until it has so many jobs; what it was asked last. */
static int builder(int njobs, struct og_wire_build *last, struct og_arena *a, uint32_t *request)
{
	int fd = channel_of(OG_ROLE_BUILDER, 0);
	struct og_error err = { 0 };
	bool closed;
	struct got g;

	hello(fd);
	while (njobs > 0) {
		struct og_slice body;

		check(hear(fd, &g, WAIT_MS, &closed), "a builder gets no job");
		if (g.type != OG_IPC_BUILD)
			continue;
		body = og_arena_slice(a, og_slice((char *)g.body, g.len));
		check(og_wire_get_build(body, a, last, &err) == 0, err.message);
		*request = g.request;
		njobs--;
	}
	return fd;
}

/*
 * Two jobs lie at a builder that dies twice: the one in its hands is damage, the one behind it is innocent and built by the third, whose last words
 * on it are nonsense at first.
 */
static void deadly_input(void)
{
	struct og_wire_image keys[2];
	struct og_wire_build w;
	struct og_wire_built done = { 0 };
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_arena a;
	uint32_t request = 0;
	struct got g;
	int fd, mem;

	og_arena_init(&a, 0);
	commit_rows(keys);
	for (uint32_t i = 0; i < 2; i++) {
		og_buf_clear(&b);
		og_wire_put_claim(&b, &(struct og_wire_claim){ keys[i], 1 });
		check(say(honest, OG_IPC_IMAGE_GET, 0, 1024 * 9003 + i, &b, -1), "IMAGE_GET");
	}
	for (int i = 0; i < 2; i++)
		close(builder(2, &w, &a, &request));
	check(answer_of(honest, 1024 * 9003, &g) == OG_IPC_FAILED, "a job that killed two builders is not damage");
	fd = builder(1, &w, &a, &request);
	check(w.type_id == keys[1].type_id, "the innocent job is lost");
	og_buf_clear(&b);
	og_put_u8(&b, 1);
	check(say(fd, OG_IPC_BUILT, 0, request, &b, -1), "BUILT");
	expect_closed(fd, "nonsense of a builder is taken");
	close(fd);
	fd = builder(1, &w, &a, &request);
	done.job = w.job;
	done.more = true;
	done.key = keys[1];
	done.bytes = 5;
	check(og_memfd_from("image", OG_SLICE("image"), &mem, &err) == 0, err.message);
	og_buf_clear(&b);
	og_wire_put_built(&b, &done);
	check(say(fd, OG_IPC_BUILT, OG_IPC_F_FD | OG_IPC_F_MORE, request, &b, mem), "BUILT");
	check(answer_of(honest, 1024 * 9003 + 1, &g) == OG_IPC_IMAGE, "the innocent job is not answered");
	done.more = false;
	og_buf_clear(&b);
	og_wire_put_built(&b, &done);
	check(say(fd, OG_IPC_BUILT, 0, request, &b, -1), "BUILT");
	close(mem);
	close(fd);
	og_buf_fini(&b);
	og_arena_fini(&a);
	still_well("deadly input");
}

/* ---- the whole ---- */

static void setting(struct og_buf *b, const char *key, const char *value)
{
	og_put_str(b, key);
	og_put_str(b, value);
}

static void start(const char *program, const char *graph)
{
	char *argv[] = { (char *)(uintptr_t)"og-storaged", (char *)(uintptr_t)"storaged", NULL };
	struct og_spawn s = { .path = program, .argv = argv, .nfds = 1, .own_group = true };
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	int ctl[2];
	bool closed;
	struct got g;

	check(og_ipc_pair(ctl, &err) == 0, "socketpair");
	s.fds[0] = (struct og_spawn_fd){ ctl[1], OG_CHILD_FD };
	check(og_spawn(&s, &pid, &err) == 0, err.message);
	close(ctl[1]);
	control = ctl[0];
	honest = channel(0);
	og_put_u32(&b, 1);
	og_put_u32(&b, 0);
	og_put_u32(&b, 3);
	setting(&b, "graph.0.uri", graph);
	setting(&b, "mode", "single");
	setting(&b, "log.level", "error");
	check(say(control, OG_IPC_START, 0, 0, &b, -1), "START");
	og_buf_fini(&b);
	do
		check(hear(control, &g, WAIT_MS, &closed), "no READY");
	while (g.type != OG_IPC_READY);
	hello(honest);
}

static void stop(void)
{
	int status;

	check(say(control, OG_IPC_STOP, 0, 0, NULL, -1), "STOP");
	check(waitpid(pid, &status, 0) == pid && status == 0, "og-storaged did not end well");
	pid = 0;
	close(control);
	close(honest);
}

static void only_the_graph(void)
{
	static int files;
	DIR *d = opendir(root);
	struct dirent *e;
	char path[600], text[16] = "";
	int fd, n = 0;

	check(d != NULL, "opendir");
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	if (!files)
		files = n;
	check(n == files, "there are new files beside the graph");
	snprintf(path, sizeof(path), "%s/canary", root);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && read(fd, text, sizeof(text) - 1) == 7 && strcmp(text, "untouch") == 0, "the canary is changed");
	close(fd);
}

static void write_file(const char *name, const char *text)
{
	char path[600];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "w");
	check(f && fputs(text, f) >= 0 && fclose(f) == 0, "writing a file");
}

int main(void)
{
	const char *build = getenv("builddir"), *tmp = getenv("TMPDIR");
	char cmd[2048], program[600], graph[600], *abs = realpath(build ? build : ".", NULL);

	check(abs != NULL, "the build folder");
	build = abs;
	signal(SIGPIPE, SIG_IGN);
	snprintf(root, sizeof(root), "%s/omnigraph-hostile.XXXXXX", tmp ? tmp : "/tmp");
	check(mkdtemp(root) != NULL, "mkdtemp");
	write_file("canary", "untouch");
	write_file("schema.pg", "node Person { name: String @key }\nnode Place { name: String @key }\nedge Knows: Person -> Person\n");
	snprintf(program, sizeof(program), "%s/og-storaged/og-storaged", build);
	snprintf(cmd, sizeof(cmd), "cd %s && for g in g g2; do %s/og-cli/og-cli init --schema schema.pg $g >/dev/null || exit 1; done", root, build);
	check(system(cmd) == 0, "init");
	snprintf(graph, sizeof(graph), "%s/g2", root);
	start(program, graph);
	still_well("the start");
	deadly_input();
	stop();
	snprintf(graph, sizeof(graph), "%s/g", root);
	only_the_graph();
	start(program, graph);
	still_well("the start");
	garbage();
	still_well("garbage");
	forbidden();
	broken_bodies();
	out_of_range();
	half_requests();
	pipelined(true);
	pipelined(false);
	successors();
	bad_commits();
	only_the_graph();
	stop();
	snprintf(cmd, sizeof(cmd), "%s/og-cli/og-cli verify %s >/dev/null", build, graph);
	check(system(cmd) == 0, "the graph is damaged");
	only_the_graph();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
	check(system(cmd) == 0, "rm");
	free(abs);
	puts("hostile_worker: all refused");
	return 0;
}
