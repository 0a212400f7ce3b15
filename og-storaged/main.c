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

#define CACHE_STATS 6u

static void put_cache_stats(struct og_buf *b, const struct og_cache_stats *s)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[CACHE_STATS] = {
		{ "cache_bytes", s->bytes }, { "cache_limit", s->limit }, { "cache_hits", s->hits }, { "cache_misses", s->misses },
		{ "cache_evicted", s->evicted }, { "cache_damaged", s->damaged },
	};

	for (size_t i = 0; i < OG_COUNT(all); i++) {
		og_put_str(b, all[i].name);
		og_put_u64(b, all[i].value);
	}
}

static int on_stats(void *arg, struct og_buf *b, struct og_error *err)
{
	struct storaged *sd = arg;
	const struct og_state *s = sd->journal ? og_journal_state(sd->journal) : NULL;
	struct og_journal_stats js = { 0 };
	struct og_cache_stats cs = { 0 };
	static const char *const names[] = { "commits", "objects_put", "objects_followed", "lost_rounds", "checkpoints", "tail",
					"delta_puts" };
	uint64_t values[OG_COUNT(names)];

	if (sd->journal)
		og_journal_stats(sd->journal, &js);
	values[0] = js.commits;
	values[1] = js.objects_put;
	values[2] = js.objects_followed;
	values[3] = js.lost_rounds;
	values[4] = js.checkpoints;
	values[5] = js.tail;
	values[6] = sd->delta_puts;
	if (sd->cache)
		og_cache_stats(sd->cache, &cs);
	og_put_u32(b, OG_COUNT(names) + 4 + OG_STORE_NOPS + CACHE_STATS);
	for (size_t i = 0; i < OG_COUNT(names); i++) {
		og_put_str(b, names[i]);
		og_put_u64(b, values[i]);
	}
	og_put_str(b, "image_bytes");
	og_put_u64(b, sd->room.bytes);
	og_put_str(b, "image_limit");
	og_put_u64(b, sd->room.budget);
	og_put_str(b, "images_evicted");
	og_put_u64(b, sd->evicted);
	for (int i = 0; i < OG_STORE_NOPS; i++) {
		char name[40];

		snprintf(name, sizeof(name), "store_%s", og_store_op_name((enum og_store_op)i));
		og_put_str(b, name);
		og_put_u64(b, sd->store ? sd->store->requests[i] : 0);
	}
	og_put_str(b, "http_requests");
	og_put_u64(b, sd->store ? sd->store->http_requests : 0);
	put_cache_stats(b, &cs);
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
