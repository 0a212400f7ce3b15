/* og-storaged: start, lock-down, loop. */
#include "config.h"

#include "storaged.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sha256.h"
#include "proc/lock.h"

static int on_channel(void *arg, struct og_child_peer *p, struct og_error *err)
{
	return peer_add(arg, p, err);
}

static void on_stop(void *arg)
{
	struct storaged *sd = arg;

	sd->stopping = true;
	event_base_loopbreak(sd->child.base);
}

/* Workers go first; what they still ask for is answered until STOP. */
static void on_drain(void *arg, uint32_t ms)
{
	(void)arg;
	(void)ms;
}

struct counters {
	struct og_buf *b;
	uint32_t n;
};

static void count(struct counters *c, const char *name, uint64_t value)
{
	og_put_str(c->b, name);
	og_put_u64(c->b, value);
	c->n++;
}

static void count_journal(struct counters *c, const struct storaged *sd)
{
	struct og_journal_stats s = { 0 };

	if (sd->journal)
		og_journal_stats(sd->journal, &s);
	count(c, "commits", s.commits);
	count(c, "queued", s.queued);
	count(c, "objects_put", s.objects_put);
	count(c, "objects_followed", s.objects_followed);
	count(c, "lost_rounds", s.lost_rounds);
	count(c, "readbacks", s.readbacks);
	count(c, "looks", s.confirms);
	count(c, "look_gets", s.confirm_gets);
	count(c, "checkpoints", s.checkpoints);
	count(c, "checkpoints_failed", s.checkpoints_failed);
	count(c, "tail", s.tail);
	count(c, "delta_puts", sd->delta_puts);
}

static void count_store(struct counters *c, const struct og_store *s)
{
	for (int i = 0; i < OG_STORE_NOPS; i++) {
		char name[40];

		snprintf(name, sizeof(name), "store_%s", og_store_op_name((enum og_store_op)i));
		count(c, name, s ? s->requests[i] : 0);
	}
	count(c, "http_requests", s ? s->http_requests : 0);
	count(c, "http_retries", s ? s->http_retries : 0);
	count(c, "http_bytes_in", s ? s->http_bytes_in : 0);
	count(c, "http_bytes_out", s ? s->http_bytes_out : 0);
}

static void count_cache(struct counters *c, const struct storaged *sd)
{
	struct og_cache_stats s = { 0 };

	if (sd->cache)
		og_cache_stats(sd->cache, &s);
	count(c, "cache_bytes", s.bytes);
	count(c, "cache_limit", s.limit);
	count(c, "cache_hits", s.hits);
	count(c, "cache_misses", s.misses);
	count(c, "cache_evicted", s.evicted);
	count(c, "cache_damaged", s.damaged);
}

static int on_stats(void *arg, struct og_buf *b, struct og_error *err)
{
	struct storaged *sd = arg;
	const struct og_state *s = sd->journal ? og_journal_state(sd->journal) : NULL;
	struct og_buf list = { 0 };
	struct counters c = { .b = &list };

	count_journal(&c, sd);
	count(&c, "image_bytes", sd->room.bytes);
	count(&c, "image_limit", sd->room.budget);
	count(&c, "images_evicted", sd->evicted);
	count(&c, "index_gets", sd->index_gets);
	count(&c, "index_puts", sd->index_puts);
	count_store(&c, sd->store);
	count_cache(&c, sd);
	og_put_u32(b, c.n);
	og_buf_slice(b, og_buf_view(&list));
	b->failed |= list.failed;
	og_buf_fini(&list);
	og_put_u32(b, 1);
	og_put_str(b, "default");
	og_put_str(b, sd->uri);
	og_put_u32(b, s ? (uint32_t)s->nlive : 0);
	for (size_t i = 0; s && i < s->nbranches; i++) {
		const struct og_branch *br = s->branches[i];

		if (!br->live)
			continue;
		og_put_bytes(b, br->name);
		og_put_str(b, og_ulid_format(&br->head).s);
		og_put_u64(b, s->seq);
	}
	return og_buf_ok(b, err);
}

static const struct og_child_ops ops = { .channel = on_channel, .drain = on_drain, .stop = on_stop, .stats = on_stats };

static int read_settings(struct storaged *sd, struct og_error *err)
{
	const char *uri = og_child_setting(&sd->child, "graph.0.uri");
	const char *mode = og_child_setting(&sd->child, "mode");

	if (!uri || !*uri)
		return og_error_set(err, OG_ERR_BAD, "no graph to serve");
	sd->max_staleness_us = og_child_setting_u64(&sd->child, "max_staleness_ms", 0) * 1000;
	sd->idle_us = og_child_setting_u64(&sd->child, "idle_ms", 0) * 1000;
	sd->poll_us = og_child_setting_u64(&sd->child, "poll_ms", 0) * 1000;
	sd->direct = mode && strcmp(mode, "direct") == 0;
	sd->uri = strdup(uri);
	sd->path = strdup(uri);
	if (!sd->uri || !sd->path)
		return og_error_nomem(err);
	return og_ulid_new(&sd->ids, &sd->host, err);
}

static void finish(struct storaged *sd)
{
	peers_free(sd);
	graph_close(sd);
	og_cache_free(sd->cache);
	og_store_free(sd->store);	/* waits for puts that read a job's descriptor */
	jobs_free(sd);
	index_free(sd);
	delta_free(sd);
	images_free(sd);
	bell_free(sd);
	og_child_fini(&sd->child);
	free(sd->uri);
	free(sd->path);
	for (size_t i = 0; i < OG_COUNT(sd->path_texts); i++)
		free(sd->path_texts[i]);
	free(sd);
}

int main(int argc, char **argv)
{
	struct storaged *sd = calloc(1, sizeof(*sd));
	struct og_error err = { 0 };

	if (!sd)
		return 1;
	sd->page_fd = -1;
	if (og_child_start(&sd->child, argc, argv, &ops, sd, &err) < 0 || read_settings(sd, &err) < 0 || delta_new(sd, &err) < 0)
		return og_child_abort(&sd->child, &err);
	images_init(sd);
	/* A commit's buffers come and go: given back to the system each time, every page of them would be faulted in anew. */
	mallopt(M_MMAP_THRESHOLD, 4 * OG_MIB);
	mallopt(M_TRIM_THRESHOLD, 16 * OG_MIB);
	mallopt(M_TOP_PAD, OG_MIB);
	/* OpenSSL reads its files at the first digest, before the paths are fixed. */
	(void)og_sha256(OG_SLICE(""));
	if (store_prepare(sd, &err) < 0 || og_lock_begin(OG_LOCK_STORAGED, sd->paths, sd->npaths, &sd->held, &err) < 0 ||
	    store_lock_ports(sd, &err) < 0 || store_open(sd, &err) < 0 || og_lock_end(OG_LOCK_STORAGED, &sd->held, &err) < 0)
		return og_child_abort(&sd->child, &err);
	for (size_t i = 0; i < sd->child.npeers; i++)
		if (peer_add(sd, &sd->child.peers[i], &err) < 0)
			return og_child_abort(&sd->child, &err);
	/* Where a graph is to be made none is looked for. */
	if (sd->store && !og_child_setting(&sd->child, "create")) {
		graph_open(sd);
	} else {
		sd->ready_sent = true;
		if (og_child_ready(&sd->child, sd->held, "", &err) < 0)
			return og_child_abort(&sd->child, &err);
	}
	event_base_dispatch(sd->child.base);
	finish(sd);
	return 0;
}
