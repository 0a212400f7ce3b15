/*
 * A channel before arbitrary packets, and the decoders of bodies before arbitrary bytes. Input: first byte even: packets, each {u8 length,
 * bytes}, to an og-storaged end; odd: one body for the decoder that the second byte names.
 */
#include "config.h"

#include "driver.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/chan.h"
#include "ipc/wire.h"

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int on_request(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_buf b = { 0 };

	og_put_u64(&b, 1);
	check(og_chan_answer(m->chan, m->request, OG_IPC_WELCOME, &b, -1, err) == 0);
	check(og_chan_answer(m->chan, m->request, OG_IPC_WELCOME, &b, -1, err) < 0); /* answered already */
	og_buf_fini(&b);
	return 0;
}

static int on_refused(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	return og_error_set(err, OG_ERR_PEER, "refused");
}

static const struct og_ipc_rule rules[] = {
	{ OG_IPC_HELLO, OG_IPC_NEW, on_request },
	{ OG_IPC_COMMIT, OG_IPC_NEW, on_request },
	{ OG_IPC_GRAPH_OPEN, OG_IPC_RUNNING, on_request },
	{ OG_IPC_CATCH_UP, OG_IPC_NEW, on_refused },
};

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	int *closed = arg;

	(*closed)++;
}

static int on_answer(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	int *ended = arg;

	(*ended)++;
	return 0;
}

static void fuzz_packets(const uint8_t *p, size_t n)
{
	static struct event_base *base;
	int fds[2], closed = 0, ended = 0;
	struct og_chan_cfg cfg = { OG_ROLE_STORAGED, OG_ROLE_WORKER, rules, OG_COUNT(rules), &closed, on_closed };
	struct og_error err = { 0 };
	struct og_chan *c;

	if (!base)
		base = event_base_new();
	og_log_init("fuzz", OG_LOG_ERROR, false);
	check(base && og_ipc_pair(fds, &err) == 0);
	c = og_chan_new(base, fds[1], &cfg, &err);
	check(c != NULL);
	/* One question of ours is open, so that answers have something to hit. */
	check(og_chan_request(c, OG_IPC_IMAGE_DROP, NULL, -1, 0, on_answer, &ended, NULL, &err) == 0);
	while (n) {
		size_t len = OG_MIN((size_t)p[0], n - 1);

		if (len && send(fds[0], p + 1, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		p += 1 + len;
		n -= 1 + len;
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	close(fds[0]);
	for (int i = 0; i < 20 && !closed; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	check(closed == 1);
	check(ended >= 1);
	og_chan_free(c);
}

static void fuzz_body(uint8_t which, struct og_slice s)
{
	struct og_error err = { 0 };
	struct og_arena a;
	union {
		struct og_error e;
		struct og_wire_open open;
		struct og_wire_head head;
		struct og_wire_catchup catchup;
		struct og_wire_tail tail;
		struct og_wire_image image;
		struct og_wire_claim claim;
		struct og_wire_segput segput;
		struct og_wire_segget segget;
		struct og_wire_commit_req commit;
		struct og_wire_init init;
		struct og_wire_input input;
		struct og_wire_build build;
		struct og_wire_built built;
	} u;
	int rc = 0;

	memset(&u, 0, sizeof(u));
	og_arena_init(&a, 16 * OG_MIB); /* no body of ours makes a decoder take more than a multiple of its length */
	switch (which % 14) {
	case 0: rc = og_wire_get_error(s, &u.e, &err); break;
	case 1: rc = og_wire_get_open(s, &u.open, &err); break;
	case 2: rc = og_wire_get_head(s, &a, &u.head, &err); break;
	case 3: rc = og_wire_get_catchup(s, &u.catchup, &err); break;
	case 4: rc = og_wire_get_tail(s, &a, &u.tail, &err); break;
	case 5: rc = og_wire_get_image(s, &u.image, &err); break;
	case 6: rc = og_wire_get_segput(s, &u.segput, &err); break;
	case 7: rc = og_wire_get_segget(s, &u.segget, &err); break;
	case 8: rc = og_wire_get_commit_req(s, &a, &u.commit, &err); break;
	case 9: rc = og_wire_get_init(s, &a, &u.init, &err); break;
	case 10: rc = og_wire_get_input(s, &a, &u.input, &err); break;
	case 11: rc = og_wire_get_build(s, &a, &u.build, &err); break;
	case 12: rc = og_wire_get_built(s, &u.built, &err); break;
	case 13: rc = og_wire_get_claim(s, &u.claim, &err); break;
	}
	check(!a.over_limit);
	check(rc == 0 || err.code == rc);
	og_arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (size < 2)
		return 0;
	if (data[0] % 2 == 0) {
		fuzz_packets(data + 1, size - 1);
		return 0;
	}
	copy = malloc(size - 2 + 1); /* its own: a read beyond it is seen */
	check(copy != NULL);
	memcpy(copy, data + 2, size - 2);
	fuzz_body(data[1], og_slice(copy, size - 2));
	free(copy);
	return 0;
}

static void packet(struct og_buf *out, uint16_t type, uint16_t flags, uint32_t request, const char *body)
{
	struct og_ipc_header h = { type, flags, request, (uint32_t)strlen(body) };
	uint8_t bytes[OG_IPC_HEADER_SIZE];

	og_ipc_header_encode(&h, bytes);
	og_put_u8(out, (uint8_t)(sizeof(bytes) + h.length));
	og_buf_append(out, bytes, sizeof(bytes));
	og_buf_str(out, body);
}

bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	struct og_error e = { .code = OG_ERR_BAD, .message = "no" };
	struct og_buf body = { 0 };

	if (nr >= 16)
		return false;
	og_put_u8(out, nr >= 3);
	switch (nr) {
	case 0:
		packet(out, OG_IPC_HELLO, 0, 1024, "abc");
		packet(out, OG_IPC_COMMIT, 0, 1025, "abcdef");
		packet(out, OG_IPC_DROPPED, 0, 1024, "");
		return true;
	case 1:
		og_wire_put_error(&body, &e);
		og_buf_byte(&body, 0);
		packet(out, OG_IPC_GRAPH_OPEN, 0, 1, "x");
		packet(out, OG_IPC_COMMIT, OG_IPC_F_MEMFD, 1, "");
		og_buf_fini(&body);
		return true;
	case 2:
		packet(out, OG_IPC_CATCH_UP, 0, 1, "");
		packet(out, OG_IPC_LOG, 0, 0, "");
		return true;
	}
	og_put_u8(out, (uint8_t)(nr - 3));
	for (uint32_t i = 0; i < 24; i++)
		og_put_u32(out, i % 3);
	return true;
}
