/*
 * Every message between our processes, named once. Enum, names, senders, classes and size checks
 * come from OG_IPC_MESSAGES; nothing else names a message.
 *
 * Frame: one packet of a SOCK_SEQPACKET socket. Header, 16 bytes, little-endian:
 *	u16 type, u16 flags (OG_IPC_F_*), u32 request, u32 length, u32 zero
 * then `length` bytes of body, or, with OG_IPC_F_MEMFD, no byte: the body is then the whole of the
 * sealed memfd that the packet carries. A body is encoded and decoded with base/codec.h by the
 * modules that own the message: by the structs of ipc/wire.h, or as the comment of its row says, in order:
 *	u8..u64 as they are; str, bytes: u32 length and bytes; ulid: 16 raw bytes;
 *	T[n]: u32 count, then the elements.
 * An answer carries the request number of its question, everything else that asks nothing carries 0.
 *
 * Trust:   whatever a peer sends is hostile until decoded; senders come from the role that the
 *          maker of the channel gave its ends, never from the peer.
 * Threads: constants and pure functions.
 */
#ifndef OG_IPC_MESSAGES_H
#define OG_IPC_MESSAGES_H

#include "base/buf.h"
#include "base/codec.h"
#include "base/error.h"

#define OG_IPC_HEADER_SIZE 16u
#define OG_IPC_INLINE_MAX (64u * OG_KIB) /* body bytes in the packet itself */

enum og_ipc_flag {
	OG_IPC_F_MEMFD = 1, /* the body is a sealed memfd */
	OG_IPC_F_FD = 2,    /* a descriptor that is part of the message comes along */
	OG_IPC_F_MORE = 4,  /* an answer, and another one to the same request follows */
};

enum og_role {
	OG_ROLE_MASTER,
	OG_ROLE_STORAGED,
	OG_ROLE_WORKER,
	OG_ROLE_BUILDER,
	OG_ROLE_OPERATOR, /* og-cli in direct mode */
	OG_ROLE_ADMIN,	  /* og-cli at the admin socket */
};
#define OG_ROLE_COUNT 6u

#define OG_BY_MASTER (1u << OG_ROLE_MASTER)
#define OG_BY_STORAGED (1u << OG_ROLE_STORAGED)
#define OG_BY_WORKER (1u << OG_ROLE_WORKER)
#define OG_BY_BUILDER (1u << OG_ROLE_BUILDER)
#define OG_BY_OPERATOR (1u << OG_ROLE_OPERATOR)
#define OG_BY_ADMIN (1u << OG_ROLE_ADMIN)
#define OG_BY_CLIENTS (OG_BY_WORKER | OG_BY_BUILDER | OG_BY_OPERATOR) /* of og-storaged */
#define OG_BY_CHILDREN (OG_BY_STORAGED | OG_BY_WORKER | OG_BY_BUILDER)
#define OG_BY_ANYONE ((1u << OG_ROLE_COUNT) - 1)

enum og_ipc_kind {
	OG_IPC_REQUEST, /* has a request number; one answer (or several, all but the last with F_MORE) */
	OG_IPC_ANSWER,	/* only to a request that is open */
	OG_IPC_PUSH,	/* asks nothing */
};

enum og_ipc_class {
	OG_IPC_INLINE, /* s: body at most 64 KiB, in the packet */
	OG_IPC_LARGE,  /* L: a longer one goes as a sealed memfd, up to the limit */
	OG_IPC_FD,     /* d: inline body and exactly one descriptor */
	OG_IPC_FD_OPT, /* inline body and at most one descriptor */
};

/*
 * M(name, number, kind, sent by, class, limit of the body in bytes). A number is never given to another
 * message. Messages of og-master (150 and up) keep their layout for ever: an upgrade crosses builds.
 */
/* clang-format off */
#define OG_IPC_MESSAGES(M) \
	/* str build id, u32 table version (OG_IPC_TABLE_VERSION) -> WELCOME */ \
	M(HELLO, 1, REQUEST, OG_BY_CLIENTS, INLINE, OG_IPC_INLINE_MAX) \
	/* str build id, u32 table version; the head page (a descriptor mapped read-only; none to builder and operator) */ \
	M(WELCOME, 2, ANSWER, OG_BY_STORAGED, FD_OPT, OG_IPC_INLINE_MAX) \
	/* og_wire_put_error: the answer to any request that failed; og_chan decodes it for the asker */ \
	M(FAILED, 3, ANSWER, OG_BY_ANYONE, INLINE, OG_IPC_INLINE_MAX) \
	\
	/* struct og_wire_open -> GRAPH_HEAD, FAILED */ \
	M(GRAPH_OPEN, 10, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, LARGE, 16 * OG_MIB) \
	/* struct og_wire_head */ \
	M(GRAPH_HEAD, 11, ANSWER, OG_BY_STORAGED, LARGE, 16 * OG_MIB) \
	/* struct og_wire_catchup -> TAIL, FAILED */ \
	M(CATCH_UP, 12, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, INLINE, OG_IPC_INLINE_MAX) \
	/* struct og_wire_tail: the commits since, or "open again" */ \
	M(TAIL, 13, ANSWER, OG_BY_STORAGED, LARGE, 16 * OG_MIB) \
	/* struct og_wire_tail with at most one commit; may be dropped: the head page is the truth */ \
	M(HEAD_MOVED, 14, PUSH, OG_BY_STORAGED, LARGE, 1 * OG_MIB) \
	/* u8 enum og_bell (ipc/wire.h); the page, to be mapped read-only */ \
	M(BELL, 15, PUSH, OG_BY_STORAGED, FD, OG_IPC_INLINE_MAX) \
	\
	/* struct og_wire_claim -> IMAGE, FAILED */ \
	M(IMAGE_GET, 20, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, INLINE, OG_IPC_INLINE_MAX) \
	/* struct og_wire_image; the sealed memfd */ \
	M(IMAGE, 21, ANSWER, OG_BY_STORAGED, FD, OG_IPC_INLINE_MAX) \
	/* struct og_wire_claim -> DROPPED, when what the receiver had mapped of it is gone */ \
	M(IMAGE_DROP, 22, REQUEST, OG_BY_STORAGED, INLINE, OG_IPC_INLINE_MAX) \
	/* nothing */ \
	M(DROPPED, 23, ANSWER, OG_BY_WORKER | OG_BY_OPERATOR, INLINE, OG_IPC_INLINE_MAX) \
	/* u32 claim: its query has the images that it asked for, or wants no more */ \
	M(IMAGE_DONE, 24, PUSH, OG_BY_WORKER, INLINE, OG_IPC_INLINE_MAX) \
	\
	/* struct og_wire_build -> BUILT (one output a message, all but the last with F_MORE), FAILED */ \
	M(BUILD, 30, REQUEST, OG_BY_STORAGED, LARGE, 16 * OG_MIB) \
	/* struct og_wire_input; its descriptor. Sent before the BUILD that uses it */ \
	M(BUILD_INPUT, 31, PUSH, OG_BY_STORAGED, FD, OG_IPC_INLINE_MAX) \
	/* struct og_wire_built; the sealed memfd, or none at the end */ \
	M(BUILT, 32, ANSWER, OG_BY_BUILDER, FD_OPT, OG_IPC_INLINE_MAX) \
	\
	/* struct og_wire_segput -> SEGMENT, FAILED */ \
	M(SEGMENT_PUT, 40, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, LARGE, 64 * OG_MIB) \
	/* struct og_wire_segment: nothing refers to it before a COMMIT */ \
	M(SEGMENT, 41, ANSWER, OG_BY_STORAGED, INLINE, OG_IPC_INLINE_MAX) \
	/* struct og_wire_segget -> SEGMENT_FD, FAILED */ \
	M(SEGMENT_GET, 42, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, INLINE, OG_IPC_INLINE_MAX) \
	/* u64 offset, u64 length, u8 with a digest, the SHA-256 then; the descriptor out of the host's cache */ \
	M(SEGMENT_FD, 43, ANSWER, OG_BY_STORAGED, FD, OG_IPC_INLINE_MAX) \
	\
	/* struct og_wire_commit_req -> COMMITTED, CONFLICT, FAILED */ \
	M(COMMIT, 50, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, LARGE, 64 * OG_MIB) \
	/* struct og_wire_commit without bodies, u64 doorbell (og_wire_put_committed) */ \
	M(COMMITTED, 51, ANSWER, OG_BY_STORAGED, LARGE, 1 * OG_MIB) \
	/* u8 strict (the client's 409) or evaluate again, u64 seq that is newer, the place */ \
	M(CONFLICT, 52, ANSWER, OG_BY_STORAGED, INLINE, OG_IPC_INLINE_MAX) \
	\
	/* u32 graph, ulid from branch id, ulid commit, str name, str actor -> BRANCH, FAILED */ \
	M(BRANCH_CREATE, 60, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, INLINE, OG_IPC_INLINE_MAX) \
	/* u32 graph, ulid branch id, str actor -> BRANCH, FAILED */ \
	M(BRANCH_DELETE, 61, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, INLINE, OG_IPC_INLINE_MAX) \
	/* u32 graph -> BRANCH, FAILED */ \
	M(BRANCH_LIST, 62, REQUEST, OG_BY_WORKER | OG_BY_OPERATOR, INLINE, OG_IPC_INLINE_MAX) \
	/* the branch, or all that live */ \
	M(BRANCH, 63, ANSWER, OG_BY_STORAGED, LARGE, 16 * OG_MIB) \
	\
	/* u32 graph, u8 what (checkpoint, optimize, repair, cleanup, verify), str arguments -> REPORT (F_MORE: progress), FAILED */ \
	M(MAINTAIN, 70, REQUEST, OG_BY_OPERATOR | OG_BY_MASTER, INLINE, OG_IPC_INLINE_MAX) \
	/* str JSON text */ \
	M(REPORT, 71, ANSWER, OG_BY_STORAGED, LARGE, 16 * OG_MIB) \
	/* struct og_wire_init -> GRAPH_HEAD, FAILED */ \
	M(GRAPH_INIT, 72, REQUEST, OG_BY_OPERATOR, LARGE, 16 * OG_MIB) \
	\
	/* u32 generation, u32 index, {str key, str value}[n] settings; last of what a child is started with */ \
	M(START, 150, PUSH, OG_BY_MASTER | OG_BY_OPERATOR, LARGE, 16 * OG_MIB) \
	/* str "ip:port"; a socket that is bound and that og-master makes listen */ \
	M(LISTEN, 151, PUSH, OG_BY_MASTER, FD, OG_IPC_INLINE_MAX) \
	/* nothing; the sealed memfd with the block of secrets, "NAME=value" each ended by NUL. og-storaged alone */ \
	M(SECRETS, 152, PUSH, OG_BY_MASTER | OG_BY_OPERATOR, FD, OG_IPC_INLINE_MAX) \
	/* u8 role of the peer behind it, u32 index of the peer, u32 its incarnation; one end of a socketpair.
	 * Replaces an older channel to the same role and index */ \
	M(CHANNEL, 153, PUSH, OG_BY_MASTER | OG_BY_OPERATOR, FD, OG_IPC_INLINE_MAX) \
	/* u32 protections held (proc/held.h), str note */ \
	M(READY, 154, PUSH, OG_BY_CHILDREN, INLINE, OG_IPC_INLINE_MAX) \
	/* u32 protections held, then as FAILED: the child leaves after it */ \
	M(REJECTED, 155, PUSH, OG_BY_CHILDREN, INLINE, OG_IPC_INLINE_MAX) \
	/* u32 milliseconds until STOP follows: accept nothing more, finish what runs, then leave */ \
	M(DRAIN, 156, PUSH, OG_BY_MASTER, INLINE, OG_IPC_INLINE_MAX) \
	/* nothing: leave now */ \
	M(STOP, 157, PUSH, OG_BY_MASTER | OG_BY_OPERATOR, INLINE, OG_IPC_INLINE_MAX) \
	/* str query id */ \
	M(CANCEL, 158, PUSH, OG_BY_MASTER, INLINE, OG_IPC_INLINE_MAX) \
	/* nothing -> STATS_REPLY, FAILED */ \
	M(STATS, 159, REQUEST, OG_BY_MASTER, INLINE, OG_IPC_INLINE_MAX) \
	/* {str name, u64 value}[n] counters, {str graph, str uri, {str branch, str commit, u64 seq}[n] heads}[n] graphs */ \
	M(STATS_REPLY, 160, ANSWER, OG_BY_CHILDREN, LARGE, 1 * OG_MIB) \
	/* u64 lines dropped before these, bytes lines, each ended by LF */ \
	M(LOG, 161, PUSH, OG_BY_CHILDREN, INLINE, OG_IPC_INLINE_MAX) \
	/* str verb, str[n] arguments -> ADMIN_REPLY, FAILED */ \
	M(ADMIN, 162, REQUEST, OG_BY_ADMIN, INLINE, OG_IPC_INLINE_MAX) \
	/* str JSON text */ \
	M(ADMIN_REPLY, 163, ANSWER, OG_BY_MASTER, LARGE, 1 * OG_MIB)
/* clang-format on */

/* Raised whenever a row above or a body of 1..149 changes; HELLO compares it. */
#define OG_IPC_TABLE_VERSION 5u

enum og_ipc_type {
#define OG_IPC_ENUM(name, nr, kind, by, class, limit) OG_IPC_##name = nr,
	OG_IPC_MESSAGES(OG_IPC_ENUM)
#undef OG_IPC_ENUM
};

struct og_ipc_row {
	uint16_t type;
	const char *name; /* "SEGMENT_PUT" */
	enum og_ipc_kind kind;
	enum og_ipc_class class;
	uint32_t by; /* OG_BY_* */
	uint32_t limit;
};

/* The row of a type, or NULL for a number that names no message. */
const struct og_ipc_row *og_ipc_row(unsigned type);
/* The name for logs; "?" for an unknown number. */
const char *og_ipc_name(unsigned type);
const char *og_role_name(enum og_role role); /* "storaged" */

struct og_ipc_header {
	uint16_t type, flags;
	uint32_t request;
	uint32_t length; /* of the body, wherever it is */
};

void og_ipc_header_encode(const struct og_ipc_header *h, uint8_t out[OG_IPC_HEADER_SIZE]);
/*
 * Decodes and checks a packet against the table: sizes, flags, the sender's role, whether a descriptor came along
 * as announced. 0 and *body = the inline body (empty with F_MEMFD), or OG_ERR_PEER.
 */
int og_ipc_decode(struct og_slice packet, enum og_role sender, bool has_fd, struct og_ipc_header *h,
		  struct og_slice *body, struct og_error *err) OG_MUST_CHECK;

#endif
