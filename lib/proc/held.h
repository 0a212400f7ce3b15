/*
 * Which protections hold for a process: a mask that a child reports (READY) and `og-cli status` prints.
 * Threads: constants and pure functions.
 */
#ifndef OG_PROC_HELD_H
#define OG_PROC_HELD_H

#include "base/buf.h"

/* H(name, bit, text) */
#define OG_PROC_HELD(H)                         \
	H(NO_NEW_PRIVS, 0, "no-new-privs")      \
	H(UNDUMPABLE, 1, "undumpable")          \
	H(NO_CORE, 2, "no-core")                \
	H(LANDLOCK_FS, 3, "landlock-fs")        \
	H(LANDLOCK_NET, 4, "landlock-net")      \
	H(LANDLOCK_SCOPE, 5, "landlock-scope")  \
	H(SECCOMP, 6, "seccomp")                \
	H(OWN_USER, 7, "own-user")              \
	H(NO_CAPS, 8, "no-capabilities")        \
	H(EMPTY_ENV, 9, "empty-environment")    \
	H(FEW_CAPS, 10, "few-capabilities")     \
	H(LANDLOCK_PORTS, 11, "landlock-ports")

enum og_held {
#define OG_HELD_ENUM(name, bit, text) OG_HELD_##name = 1u << bit,
	OG_PROC_HELD(OG_HELD_ENUM)
#undef OG_HELD_ENUM
};

/* The text of one bit (0..31); NULL when it has no name. */
const char *og_held_name(unsigned bit);
/* "no-new-privs,undumpable,...": appended to b. */
void og_held_list(uint32_t held, struct og_buf *b);

#endif
