/* Channels of og-storaged, and who may ask what in which state. */
#include "config.h"

#include "storaged.h"

#include <stdlib.h>

#include "base/log.h"

/* HELLO: only processes of the very same build go on. */
static int on_hello(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct og_reader r = og_ipc_body(m);
	struct og_slice build = og_read_bytes(&r);
	uint32_t version = og_read_u32(&r);
	struct og_buf b = { 0 };
	int rc;

	if (og_reader_end(&r, err) < 0)
		return err->code;
	if (version != OG_IPC_TABLE_VERSION || !og_slice_is(build, OG_BUILD_ID))
		return og_error_set(err, OG_ERR_PEER, "a process of another build: %.*s, messages %u", OG_FMT(build), version);
	og_put_str(&b, OG_BUILD_ID);
	og_put_u32(&b, OG_IPC_TABLE_VERSION);
	rc = og_chan_answer(p->chan, m->request, OG_IPC_WELCOME, &b, -1, err);
	og_buf_fini(&b);
	if (rc < 0)
		return rc;
	og_chan_set_state(p->chan, OG_IPC_RUNNING);
	peer_send_bell(p);
	if (p->role == OG_ROLE_BUILDER) {
		jobs_run(p->sd);
		optimize_go(p->sd);
	}
	return 0;
}

static const struct og_ipc_rule worker_rules[] = {
	{ OG_IPC_HELLO, OG_IPC_NEW, on_hello },
	{ OG_IPC_GRAPH_OPEN, OG_IPC_RUNNING, on_graph_open },
	{ OG_IPC_CATCH_UP, OG_IPC_RUNNING, on_catch_up },
	{ OG_IPC_IMAGE_GET, OG_IPC_RUNNING, on_image_get },
	{ OG_IPC_IMAGE_DONE, OG_IPC_RUNNING, on_image_done },
	{ OG_IPC_SEGMENT_PUT, OG_IPC_RUNNING, on_segment_put },
	{ OG_IPC_COMMIT, OG_IPC_RUNNING, on_commit },
};

static const struct og_ipc_rule builder_rules[] = {
	{ OG_IPC_HELLO, OG_IPC_NEW, on_hello },
};

static const struct og_ipc_rule operator_rules[] = {
	{ OG_IPC_HELLO, OG_IPC_NEW, on_hello },
	{ OG_IPC_GRAPH_OPEN, OG_IPC_RUNNING, on_graph_open },
	{ OG_IPC_CATCH_UP, OG_IPC_RUNNING, on_catch_up },
	{ OG_IPC_SEGMENT_PUT, OG_IPC_RUNNING, on_segment_put },
	{ OG_IPC_SEGMENT_GET, OG_IPC_RUNNING, on_segment_get },
	{ OG_IPC_COMMIT, OG_IPC_RUNNING, on_commit },
	{ OG_IPC_GRAPH_INIT, OG_IPC_RUNNING, on_graph_init },
	{ OG_IPC_MAINTAIN, OG_IPC_RUNNING, on_maintain },
};

static void peer_free(struct peer *p)
{
	struct peer **at;

	for (at = &p->sd->peers; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	asks_forget_peer(p->sd, p);
	og_chan_free(p->chan);
	free(p);
}

static void on_closed(void *arg, struct og_chan *c, const struct og_error *why)
{
	struct peer *p = arg;
	struct storaged *sd = p->sd;
	bool operator = p->role == OG_ROLE_OPERATOR;

	(void)c;
	if (why->code < 0)
		og_log(OG_LOG_WARN, "peer.closed", "role=%s index=%u why=\"%s\"", og_role_name(p->role), p->index, why->message);
	peer_free(p);
	/* In direct mode we are there for the operator alone. */
	if (operator)
		event_base_loopbreak(sd->child.base);
}

void peer_close(struct peer *p)
{
	peer_free(p);
}

static int rules_of(enum og_role role, const struct og_ipc_rule **rules, size_t *n)
{
	switch (role) {
	case OG_ROLE_WORKER:
		*rules = worker_rules;
		*n = OG_COUNT(worker_rules);
		return 0;
	case OG_ROLE_BUILDER:
		*rules = builder_rules;
		*n = OG_COUNT(builder_rules);
		return 0;
	case OG_ROLE_OPERATOR:
		*rules = operator_rules;
		*n = OG_COUNT(operator_rules);
		return 0;
	case OG_ROLE_MASTER:
	case OG_ROLE_STORAGED:
	case OG_ROLE_ADMIN:
		break;
	}
	return -1;
}

int peer_add(struct storaged *sd, struct og_child_peer *from, struct og_error *err)
{
	struct peer *p, *old, *next;
	struct og_chan_cfg cfg = { .self = OG_ROLE_STORAGED, .peer = from->role, .closed = on_closed };
	int fd = from->fd;

	if (rules_of(from->role, &cfg.rules, &cfg.nrules) < 0)
		return og_error_set(err, OG_ERR_PEER, "no channel is possible with role %d", (int)from->role);
	for (old = sd->peers; old; old = next) {
		next = old->next;
		if (old->role == from->role && old->index == from->index)
			peer_free(old);
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return og_error_nomem(err);
	p->sd = sd;
	p->id = ++sd->next_peer;
	p->role = from->role;
	p->index = from->index;
	cfg.arg = p;
	from->fd = -1;
	p->chan = og_chan_new(sd->child.base, fd, &cfg, err);
	if (!p->chan) {
		free(p);
		return err->code;
	}
	p->next = sd->peers;
	sd->peers = p;
	return 0;
}

void peers_free(struct storaged *sd)
{
	while (sd->peers)
		peer_free(sd->peers);
}

struct peer *peer_find(struct storaged *sd, uint64_t id)
{
	for (struct peer *p = sd->peers; p; p = p->next)
		if (p->id == id)
			return p;
	return NULL;
}

struct peer *peer_builder(struct storaged *sd)
{
	for (struct peer *p = sd->peers; p; p = p->next)
		if (p->role == OG_ROLE_BUILDER && og_chan_state(p->chan) == OG_IPC_RUNNING && og_chan_alive(p->chan))
			return p;
	return NULL;
}
