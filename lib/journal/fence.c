/* Whether the graph is still there: a host that has slept may look for the next log object where a graph has been. */
#include "config.h"

#include "journal/private.h"

#include <sys/stat.h>

/* A removal deletes the log behind its `end`. Who was told of the log's end so long ago may have missed that. */
#define SURE_US 30000000u

static void set_gone(struct og_journal *j)
{
	og_jn_set_status(j, OG_JOURNAL_ENDED, "the graph was removed or re-initialised");
}

bool og_jn_graph_gone(struct og_journal *j)
{
	struct stat st;

	/* Replaced or removed: the name leads elsewhere, and this file has no name any more. */
	if (j->genesis_fd < 0 || (fstat(j->genesis_fd, &st) == 0 && st.st_nlink > 0))
		return false;
	set_gone(j);
	return true;
}

void og_jn_sure(struct og_journal *j, uint64_t then_us)
{
	j->sure_us = OG_MAX(j->sure_us, then_us);
}

/* A link count costs nothing and is looked at every time. */
static bool due(const struct og_journal *j)
{
	return j->genesis_fd < 0 && og_boottime_us() - j->sure_us > SURE_US;
}

/* Or the same bytes under another tag: brought back from a backup, or encrypted anew. */
static bool same_graph(struct og_journal *j, const struct og_store_result *res)
{
	struct og_sha256 digest;

	if (res->same)
		return true;
	digest = og_sha256(res->body);
	if (!og_sha256_eq(&digest, &j->genesis.digest))
		return false;
	j->genesis_tag = res->tag;
	return true;
}

static void on_format(void *arg, struct og_store_result *res)
{
	struct og_journal *j = arg;
	struct og_jn_fence *f = &j->fence;
	void (*then)(struct og_journal *) = f->then;

	if (!og_jn_back(j))
		return;
	f->asked = false;
	f->then = NULL;
	if (res->code == 0 && same_graph(j, res)) {
		og_jn_sure(j, f->asked_us);
	} else if (res->code == 0 || res->code == OG_ERR_NOT_FOUND) {
		set_gone(j);
	} else {
		f->failed = true;
		f->err = *res->err;
	}
	if (then)
		then(j);
	else if (j->status == OG_JOURNAL_ENDED && j->batch && j->phase == OG_JN_IDLE)
		og_jn_batch_gone(j);
}

static void ask(struct og_journal *j)
{
	char full[OG_STORE_KEY_MAX + 1];
	struct og_store_req req = { .op = OG_STORE_GET, .len = OG_STORE_TO_END, .max_bytes = OG_GENESIS_MAX, .want_tag = true, .tag = &j->genesis_tag };

	j->fence.asked = true;
	j->fence.failed = false;
	j->fence.asked_us = og_boottime_us();
	req.key = og_jn_key_str(j, "format.json", full);
	og_jn_ref(j);
	og_store_submit(j->store, &req, on_format, j);
}

void og_jn_fence_ask(struct og_journal *j)
{
	if (!j->fence.asked && due(j))
		ask(j);
}

bool og_jn_fence_wait(struct og_journal *j, void (*then)(struct og_journal *j))
{
	j->fence.failed = false;
	/* Not asked, and late now: we stood still in between. */
	og_jn_fence_ask(j);
	j->fence.then = j->fence.asked ? then : NULL;
	return j->fence.asked;
}
