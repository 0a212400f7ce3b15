/* Readers on other threads while the owner steps from commit to commit: what they hold never changes under them. */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "image/local.h"
#include "suite.h"

#define READERS 3
#define NODES 500u
#define COMMITS 400

/* Every commit raises `n` of one node by one: the sum tells the commit. */
static const char schema[] = "node A { n: I64 }\nedge K: A -> A {}\n";

static struct og_catalog *catalog;
static const struct og_type *node, *edge;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct og_view *current;
static atomic_bool done;

static struct og_view *take(void)
{
	struct og_view *v;

	pthread_mutex_lock(&lock);
	v = og_view_ref(current);
	pthread_mutex_unlock(&lock);
	return v;
}

/* The sum of `n` and the number of edges are those of the commit that the view carries. */
static bool consistent(const struct og_view *v)
{
	const struct og_view_type *t = &v->types[node->index], *et = &v->types[edge->index];
	uint32_t slots[64], cursor = 0, edges = 0;
	int64_t values[64], sum = 0;
	uint8_t valid[64];
	size_t n;

	while ((n = og_view_scan(t, &cursor, slots, 64)) > 0) {
		og_view_gather_i64(t, 0, slots, n, values, valid);
		for (size_t i = 0; i < n; i++) {
			uint32_t state = 0, peers[16];
			size_t k;

			sum += values[i];
			while ((k = og_view_expand(et, OG_IN, slots[i], &state, peers, NULL, 16)) == 16)
				edges += (uint32_t)k;
			edges += (uint32_t)k;
		}
	}
	return sum == (int64_t)v->seq && edges == et->rows;
}

static void *reader(void *arg)
{
	/* At least once, however the threads are scheduled. */
	do {
		struct og_view *v = take();

		if (!consistent(v))
			return arg;
		og_view_unref(v);
	} while (!atomic_load(&done));
	return NULL;
}

static void upsert(struct og_view *v, const struct og_type *type, unsigned id, unsigned src, unsigned dst, int64_t n)
{
	struct og_change c;
	struct og_error err = { 0 };
	struct og_value value = { .kind = OG_V_INT, .i = n };
	char text[3][16];

	snprintf(text[0], 16, "%u", id);
	snprintf(text[1], 16, "%u", src);
	snprintf(text[2], 16, "%u", dst);
	og_change_init(&c, type);
	if (og_change_upsert(&c, og_slice_str(text[0]), og_slice_str(text[1]), og_slice_str(text[2]), &value, &err) < 0 ||
	    og_view_apply(v, &c, &err) < 0)
		ck_abort_msg("%s", err.message);
	og_change_fini(&c);
}

static void begin(void)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	struct og_change c;
	struct og_layer layer;
	struct og_local_type local[2] = { 0 };
	struct og_need needs[2];

	ck_assert_int_eq(og_catalog_compile(og_slice_str(schema), NULL, 0, &catalog, &err), 0);
	node = og_catalog_node(catalog, OG_SLICE("A"));
	edge = og_catalog_edge(catalog, OG_SLICE("K"));
	og_change_init(&c, node);
	for (unsigned i = 0; i < NODES; i++) {
		struct og_value zero = { .kind = OG_V_INT };
		char id[16];

		snprintf(id, sizeof(id), "%u", i);
		ck_assert_int_eq(og_change_upsert(&c, og_slice_str(id), og_slice(NULL, 0), og_slice(NULL, 0), &zero, &err), 0);
	}
	ck_assert_int_eq(og_change_encode(&c, &b, &err), 0);
	og_change_fini(&c);
	layer.bytes = og_buf_view(&b);
	current = og_view_new(catalog);
	ck_assert_int_eq(og_view_set_local(current, node->index, &layer, 1, &err), 0);
	local[node->index] = (struct og_local_type){ &layer, 1 };
	needs[0] = (struct og_need){ OG_NEED_IDX, node, 0 };
	needs[1] = (struct og_need){ OG_NEED_COL, node, 0 };
	ck_assert_int_eq(og_view_build_local(current, local, needs, 2, &err), 0);
	og_buf_fini(&b);
}

START_TEST(readers_see_whole_commits)
{
	pthread_t threads[READERS];
	int64_t at[NODES] = { 0 };

	begin();
	for (size_t i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, reader, current->catalog), 0);
	for (unsigned i = 0; i < COMMITS; i++) {
		unsigned k = i * 7919 % NODES;
		struct og_view *next = og_view_copy(current), *old = current;

		ck_assert_ptr_nonnull(next);
		upsert(next, node, k, 0, 0, ++at[k]);
		upsert(next, edge, i % 300, k, i % NODES, 0);
		next->seq++;
		pthread_mutex_lock(&lock);
		current = next;
		pthread_mutex_unlock(&lock);
		og_view_unref(old);
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < READERS; i++) {
		void *torn;

		pthread_join(threads[i], &torn);
		ck_assert_ptr_null(torn);
	}
	ck_assert(consistent(current));
	og_view_unref(current);
	og_catalog_unref(catalog);
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, readers_see_whole_commits);
}

int main(void)
{
	return suite_run("image_threads", add, 120);
}
