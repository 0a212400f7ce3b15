/*
 * The last version of a Delta log before arbitrary input: what is read can be written again, and says the same then.
 */
#include "config.h"

#include "driver.h"

#include <stdlib.h>

#include "format/delta.h"

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct og_delta_version v = { .type = 1 };
	struct og_delta_shown s, again;
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_arena a;

	og_arena_init(&a, 16 * OG_MIB);
	if (og_delta_decode(&a, og_slice(data, size), &s, &err) == 0) {
		v.shown = s;
		og_delta_encode(&b, &v);
		if (og_buf_ok(&b, &err) == 0 && og_delta_decode(&a, og_buf_view(&b), &again, &err) == 0) {
			check(again.seq == s.seq && again.version == s.version && again.table_version == s.table_version);
			check(again.nfiles == s.nfiles && og_ulid_cmp(&again.commit, &s.commit) == 0);
			for (size_t i = 0; i < s.nfiles; i++)
				check(og_ulid_cmp(&again.files[i], &s.files[i]) == 0);
		} else {
			check(err.code == OG_ERR_NOMEM || err.code == OG_ERR_TOO_LARGE);
		}
	} else {
		check(err.code < 0 && err.pos.byte <= size);
	}
	og_buf_fini(&b);
	og_arena_fini(&a);
	return 0;
}

bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	struct og_ulid files[3] = { { { 1 } }, { { 2 } }, { { 3 } } };
	struct og_delta_file adds[2] = { { files[1], 10, 1, OG_SLICE("\"nullCount\":{}") }, { files[2], 10, 1, { 0 } } };
	struct og_delta_version v = { .shown = { .version = 3, .table_version = 2, .seq = 9, .files = files, .nfiles = nr ? 3 : 0 }, .first = nr == 1,
				      .name = OG_SLICE("node:A"), .schema = OG_SLICE("{}"), .adds = adds, .nadds = nr ? 2 : 0, .removes = files,
				      .nremoves = nr == 2 };

	if (nr > 2)
		return false;
	og_delta_encode(out, &v);
	return true;
}
