/*
 * sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET (a path, or '@' for an abstract name).
 * Threads: any.
 */
#ifndef OG_PROC_NOTIFY_H
#define OG_PROC_NOTIFY_H

#include "base/error.h"

/* "READY=1", "STOPPING=1", "STATUS=...". 0 also when nobody wants to know (no NOTIFY_SOCKET). */
int og_notify(const char *state, struct og_error *err) OG_MUST_CHECK;
/* Sockets handed over by systemd (LISTEN_FDS, LISTEN_PID is ours): how many, from descriptor 3 on; unsets the variables. */
int og_notify_listen_fds(void);

#endif
