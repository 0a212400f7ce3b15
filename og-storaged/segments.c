/* Segments of the store, by way of the host's cache. */
#include "config.h"

#include "storaged.h"

#include "base/log.h"
#include "proc/cachedir.h"

const char *segments_folder(struct storaged *sd)
{
	const char *dir = og_child_setting(&sd->child, "cache_dir");
	struct og_error err = { 0 };
	struct og_log_quoted q;

	if (!dir || !*dir || !og_child_setting_u64(&sd->child, "cache_bytes", 0))
		return NULL;
	/* Without it we go on: the cache says why. */
	if (og_cachedir_make(dir, NULL, &err) < 0)
		og_log(OG_LOG_DEBUG, "cache.folder", "text=%s", og_log_quote(&q, err.message));
	return dir;
}

int segments_open(struct storaged *sd, struct og_error *err)
{
	struct og_cache_config c = { .store = sd->store, .dir = og_child_setting(&sd->child, "cache_dir"),
				     .limit = og_child_setting_u64(&sd->child, "cache_bytes", 0) };

	if (c.dir && !*c.dir)
		c.dir = NULL;
	sd->cache = og_cache_new(&c, err);
	return sd->cache ? 0 : err->code;
}

int segment_get(struct storaged *sd, uint32_t type, const struct og_seg *seg, og_cache_cb cb, void *arg, struct og_error *err)
{
	char key[OG_STORE_KEY_MAX + 1];
	struct og_cache_object o = { .key = key, .digest = og_digest_of_sha256(&seg->sha256), .size = seg->bytes };

	if (og_journal_segment_key(sd->journal, type, &seg->id, key, err) < 0)
		return err->code;
	og_cache_get(sd->cache, &o, cb, arg);
	return 0;
}

void segment_keep(struct storaged *sd, const struct og_seg *seg, int fd)
{
	og_cache_put_fd(sd->cache, &(struct og_cache_object){ .digest = og_digest_of_sha256(&seg->sha256), .size = seg->bytes }, fd);
}

void segment_keep_bytes(struct storaged *sd, const struct og_sha256 *sha256, struct og_slice bytes, void (*done)(void *arg), void *arg)
{
	struct og_cache_object o = { .digest = og_digest_of_sha256(sha256), .size = bytes.len };

	og_cache_put(sd->cache, &o, bytes, done, arg);
}
