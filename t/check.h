/*
 * Check, for tests with loops. Each of its assertions writes to a file where the test is, for a report of one that crashes; and after the test
 * Check takes its time to read them all: most of what a suite costs, and with a sanitizer nearly all. Here each assertion does so the first few
 * times that a thread comes by.
 */
#ifndef OG_T_CHECK_H
#define OG_T_CHECK_H

#include <check.h>

#define OG_MARKS 4u	/* an assertion in a thread */

/* In ck_assert_msg() and all that is made of it. The name in parentheses is Check's function. */
#define _mark_point(file, line) \
	({ \
		static __thread unsigned og_marked; \
		if (og_marked < OG_MARKS) { \
			og_marked++; \
			(_mark_point)(file, line); \
		} \
	})

#endif
