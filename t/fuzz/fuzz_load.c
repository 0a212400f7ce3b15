/*
 * Records of a load before arbitrary bytes. First byte: the mode, and whether the buffers hold next to nothing. Read at once, byte by byte, and by way of
 * trees, the same input must give the same rows or the same error.
 */
#include "config.h"

#include "driver.h"

#include <stdlib.h>

#include "load/check.h"

static const char schema[] =
	"node Person { slug: String @key  age: I32?  score: F32?  x: F64?  n: I64?  u: U32?  big: U64?  born: Date?  seen: DateTime?\n"
	" mood: enum(calm, wild)?  tags: [String]?  days: [Date]?  nums: [I32]?  vec: Vector(3)?  pic: Blob?  ok: Bool?  mail: String? @unique\n"
	" @range(age, 0..150) @check(slug, \"^[a-z0-9-]+$\") }\n"
	"node Note { text: String  rank: I64 }\n"
	"node Day { on: Date @key }\n"
	"node Pair { a: String  b: F32  @key(a, b) }\n"
	"edge Knows: Person -> Person @card(0..2) { since: Date? weight: F64? }\n"
	"edge On: Note -> Day @card(1..1) { at: DateTime  @unique(src, at) }\n";

static const char *const seeds[] = {
	("\x01{\"type\":\"Person\",\"data\":{\"slug\":\"a\",\"age\":7,\"score\":0.1,\"x\":1e3,\"n\":-5,\"u\":7,\"big\":18446744073709551615,"
	"\"born\":\"2024-02-29\",\"seen\":\"2026-05-01T08:30:00.25+02:00\",\"mood\":\"wild\",\"tags\":[\"x\",null],\"days\":[\"1970-01-02\",5],"
	"\"nums\":[1],\"vec\":[1,2.5,-3e1],\"pic\":\"base64:aGk=\",\"ok\":true,\"mail\":\"a@b\",\"unknown\":{\"x\":[1]}}}\n"
	"{\"edge\":\"knows\",\"from\":\"a\",\"to\":\"a\",\"data\":{\"id\":\"k\",\"since\":1,\"weight\":2}}"),
	("\x02 {\"data\":{\"text\":\"\\u00e9\",\"id\":\"n\",\"rank\":1,\"rank\":2},\"type\":\"Note\"}{\"edge\":\"On\",\"to\":\"2024-1-3\",\"from\":\"n\","
	"\"data\":{\"at\":0,\"id\":\"o\"}}\n{\"type\":\"Day\",\"data\":{\"id\":\"2024-1-3\",\"on\":19725}}"),
	"\x06{\"type\":\"Pair\",\"data\":{\"id\":\"x\",\"b\":0.5,\"a\":\"x\"}}{\"type\":\"Pair\",\"data\":{\"a\":\"y\",\"b\":-0.0}}",
	"\x05{\"type\":\"Note\",\"data\":{\"id\":\"n\",\"text\":\"1\",\"rank\":1}}{\"type\":\"Note\",\"data\":{\"id\":\"n\",\"text\":\"2\",\"rank\":1}}",
	"\x04{\"type\":\"Person\",\"data\":{\"slug\":\"A\",\"age\":151,\"mood\":\"odd\",\"vec\":[1],\"tags\":3}}",
};

bool og_fuzz_seed(unsigned nr, struct og_buf *out)
{
	if (nr >= OG_COUNT(seeds))
		return false;
	og_buf_str(out, seeds[nr]);
	return true;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

struct outcome {
	int rc;
	struct og_error err;
	struct og_loader *l;
};

static void load(struct outcome *o, struct og_catalog *c, struct og_view *v, uint8_t how, bool trees, const char *p, size_t n, size_t piece)
{
	struct load_verdict verdict;

	*o = (struct outcome){ 0 };
	check(og_loader_new(c, (enum og_load_mode)(how % 3), how & 4 ? 200 : 1u << 26, false, &o->l, &o->err) == 0);
	o->l->trees = trees;
	for (size_t at = 0; o->rc == 0 && at < n; at += piece)
		o->rc = og_loader_feed(o->l, og_slice(p + at, OG_MIN(piece, n - at)), false, &o->err);
	if (o->rc == 0)
		o->rc = og_loader_feed(o->l, og_slice(NULL, 0), true, &o->err);
	if (o->rc == 0)
		o->rc = og_loader_end(o->l, &o->err);
	if (o->rc == 0)
		o->rc = og_load_check(o->l, v, &verdict, &o->err);
	if (o->rc == 0)
		og_load_verdict_fini(&verdict);
}

/* Rows whose ids are ours differ, and so do their files. */
static bool generated(const struct load_type *t)
{
	for (uint32_t i = 0; i < t->rows.rows; i++)
		if (t->meta[i].generated)
			return true;
	return false;
}

static void compare(const struct outcome *a, const struct outcome *b)
{
	check(a->rc == b->rc);
	if (a->rc < 0) {
		check(strcmp(a->err.message, b->err.message) == 0);
		return;
	}
	check(a->l->records == b->l->records);
	for (uint32_t i = 0; i < a->l->ntypes; i++) {
		const struct load_type *x = &a->l->types[i], *y = &b->l->types[i];

		check(x->records == y->records && x->inlined == y->inlined);
		if (x->inlined && !generated(x))
			check(og_slice_eq(og_buf_view(&x->body), og_buf_view(&y->body)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1;
	struct outcome whole, bytes, trees;
	struct og_error err = { 0 };
	struct og_catalog *c;
	struct og_view *v;

	if (size == 0)
		return 0;
	check(og_catalog_compile(og_slice_str(schema), NULL, 0, &c, &err) == 0);
	v = og_view_new(c);
	check(v != NULL);
	load(&whole, c, v, data[0], false, p, size - 1, size);
	load(&bytes, c, v, data[0], false, p, size - 1, 1);
	load(&trees, c, v, data[0], true, p, size - 1, size);
	compare(&whole, &bytes);
	compare(&whole, &trees);
	og_loader_free(whole.l);
	og_loader_free(bytes.l);
	og_loader_free(trees.l);
	og_view_unref(v);
	og_catalog_unref(c);
	return 0;
}
