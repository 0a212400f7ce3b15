/*
 * The admin socket of og-master: a SOCK_SEQPACKET Unix socket on which og-cli asks (ADMIN) and og-master answers (ADMIN_REPLY).
 *
 * Both ends check who the other is (SO_PEERCRED): og-master takes root and its own uid; og-cli takes root and its own uid too,
 * because an abstract name can be taken by anybody.
 * Threads: any.
 */
#ifndef OG_IPC_ADMIN_H
#define OG_IPC_ADMIN_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/error.h"

struct og_admin_addr {
	struct sockaddr_un sa;
	socklen_t len;
	char text[128]; /* for messages; an abstract name begins with '@' */
};

/* The address: `given` (a path, or '@' and an abstract name); NULL: $XDG_RUNTIME_DIR/omnigraph.sock, else /run/omnigraph/admin.sock if that
 * folder is there and ours or root's to use, else the abstract name "@omnigraph-<uid>". */
int og_admin_addr(const char *given, struct og_admin_addr *out, struct og_error *err) OG_MUST_CHECK;
/* Binds and listens, mode 0600; a socket file that nobody serves is replaced. OG_ERR_EXISTS when somebody does. */
int og_admin_listen(const struct og_admin_addr *a, int *fd, struct og_error *err) OG_MUST_CHECK;
/* 0 if the peer of a connected Unix socket is root or has our uid; else OG_ERR_DENIED. */
int og_admin_check_peer(int fd, struct og_error *err) OG_MUST_CHECK;
/* Asks and waits: verb and arguments, the reply's JSON text appended to `reply`. OG_ERR_UNAVAILABLE when no server is there; a refusal
 * comes back as its own error. */
int og_admin_call(const struct og_admin_addr *a, const char *verb, const char *const *args, size_t nargs, unsigned timeout_ms,
		  struct og_buf *reply, struct og_error *err) OG_MUST_CHECK;

#endif
