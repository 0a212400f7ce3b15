/* Bodies of the messages about graphs. Input: which message (one byte), its body. What is understood must encode to the same bytes. */
#include "config.h"

#include "driver.h"

#include <stdlib.h>

#include "t/unit/wire_samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct og_buf again = { 0 };
	struct og_error err = { 0 };
	const struct wire_kind *k;
	struct og_slice body;
	struct og_arena a;
	int rc;

	if (size < 1)
		return 0;
	k = &wire_kinds[data[0] % OG_COUNT(wire_kinds)];
	body = og_slice((const char *)data + 1, size - 1);
	/* No decoder takes more than a small multiple of what it is given. */
	og_arena_init(&a, 16 * OG_MIB);
	rc = k->recode(body, &a, &again, &err);
	if (a.over_limit || (rc < 0 && err.code != rc))
		abort();
	if (rc == 0 && !k->lossy && (again.failed || again.len != body.len || (body.len && memcmp(again.data, body.p, body.len) != 0)))
		abort();
	og_arena_fini(&a);
	og_buf_fini(&again);
	return 0;
}

bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	if (nr >= OG_COUNT(wire_kinds))
		return false;
	og_put_u8(out, (uint8_t)nr);
	wire_kinds[nr].sample(out);
	return true;
}
