/*
 * What every unit test program shares: one suite, one case, the runner's own summary.
 */
#ifndef OG_T_UNIT_SUITE_H
#define OG_T_UNIT_SUITE_H

#include "t/check.h"
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

/* Runs what `add` puts into the case. The program's exit status. */
static inline int suite_run(const char *name, void (*add)(TCase *tc), double timeout_s)
{
	Suite *s = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *sr;
	int failed;

	add(tc);
	tcase_set_timeout(tc, timeout_s);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The first n bytes on the heap without a byte more, so that ASan sees a read past the end. */
static inline struct og_slice exact_copy(struct og_slice s, size_t n)
{
	char *p = malloc(n ? n : 1);

	ck_assert_ptr_nonnull(p);
	if (n)
		memcpy(p, s.p, n);
	return og_slice(n ? p : realloc(p, 1), n);
}

static inline void free_copy(struct og_slice s)
{
	free((void *)(uintptr_t)s.p);
}

#endif
