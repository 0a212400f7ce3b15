/*
 * An object store, asynchronous: a local directory, an S3 bucket, or something interposed between them and the caller
 * (store/fault.h). Eight operations: get (of a range), head, put, put if absent, put if match, delete, delete of many,
 * list. What the journal builds on: every put is atomic (an object appears as a whole or not at all), put if absent lets
 * exactly one of any number of racers win, a get that starts after a put was answered sees it.
 *
 * Keys:    components of 1 to 255 bytes joined by '/', none of them "." or "..", no NUL, no component that holds ".tmp.";
 *          at most 1,024 bytes. Anything else is OG_ERR_BAD before any request is made.
 * Trust:   what a get returns is untrusted.
 * Memory:  keys are copied; the bytes of a put and its descriptor stay the caller's and must live until the completion.
 *          What a result points at is valid during the completion only; a descriptor in it belongs to whoever takes it
 *          (sets res->fd to -1), else it is closed.
 * Threads: a store belongs to the thread that runs its event_base. Completions are delivered by that loop, never from
 *          within a call of this header. Order among requests in flight is not promised.
 *
 * Results, by code:
 *   0                   done, and durable
 *   OG_ERR_NOT_FOUND    get, head, put if match: no such object (a delete of what is not there succeeds)
 *   OG_ERR_EXISTS       put if absent: occupied, perhaps by a resend of this very request: read it back
 *   OG_ERR_MISMATCH     put if match: the object is another one
 *   OG_ERR_UNKNOWN      a put, delete: it may or may not have happened, now or later; the same request may be repeated.
 *                       With res->lasting set no repetition can tell (fsync of a folder failed): stop writing
 *   OG_ERR_UNAVAILABLE  a get, head, list: try again later
 *   OG_ERR_TOO_LARGE    get: the object or range is longer than max_bytes
 *   OG_ERR_BAD, OG_ERR_IO, OG_ERR_NOMEM   it did not happen; repeating it is not likely to help
 */
#ifndef OG_STORE_STORE_H
#define OG_STORE_STORE_H

#include "base/error.h"
#include "base/slice.h"

struct event_base;

#define OG_STORE_KEY_MAX 1024
#define OG_STORE_TAG_MAX 80
#define OG_STORE_PAGE_MAX 1000	/* keys in a page of a list, keys in one delete of many */
#define OG_STORE_TO_END UINT64_MAX

enum og_store_op {
	OG_STORE_GET,
	OG_STORE_HEAD,
	OG_STORE_PUT,
	OG_STORE_PUT_ABSENT,
	OG_STORE_PUT_MATCH,
	OG_STORE_DELETE,
	OG_STORE_DELETE_MANY,
	OG_STORE_LIST,
};
#define OG_STORE_NOPS 8

/* The identity of an object's present content: SHA-256 in hex (directory) or the ETag (S3). Compare with strcmp alone. */
struct og_store_tag {
	char s[OG_STORE_TAG_MAX];
};

struct og_store_item {
	const char *key;	/* the full key */
	uint64_t size;
};

struct og_store_result {
	int code;			/* 0 or OG_ERR_*, as above */
	bool lasting;
	const struct og_error *err;	/* code != 0: never NULL, its message names the key or path */
	bool same;			/* get with a tag: still that object; no body */
	struct og_slice body;		/* get without want_fd */
	int fd;				/* get with want_fd, else -1 */
	uint64_t size;			/* get, head: of the whole object; not where it is the same */
	struct og_store_tag tag;	/* get or head with want_tag */
	const struct og_store_item *items;	/* list: by key, bytewise */
	size_t nitems;
	bool more;			/* list: keys follow after the last item */
};

typedef void (*og_store_cb)(void *arg, struct og_store_result *res);

struct og_store_req {
	enum og_store_op op;
	const char *key;		/* list: the prefix, "" or ending in '/' */
	/* get */
	uint64_t offset;		/* first byte; beyond the end: an empty body */
	uint64_t len;			/* OG_STORE_TO_END: all that follows */
	uint64_t max_bytes;		/* 0: 1 GiB */
	bool want_fd;			/* a descriptor of the whole object, readable by pread and mmap; offset, len unused */
	bool into;			/* with want_fd, not of a local store: written into into_fd from its beginning, which stays the caller's; no other comes */
	int into_fd;
	bool want_tag;			/* get from offset 0 to the end, and head */
	/* puts: parts, or the first fd_len bytes of fd (fd >= 0) */
	const struct og_slice *parts;
	size_t nparts;
	bool from_fd;
	int fd;
	uint64_t fd_len;
	/* put if match; get of a whole object into the body: nothing but `same` is wanted if it is still this one */
	const struct og_store_tag *tag;
	/* delete of many: at most OG_STORE_PAGE_MAX; all are tried, the first failure is reported */
	const char *const *keys;
	size_t nkeys;
	/* list */
	const char *after;		/* keys greater than this one; NULL: from the start */
	size_t limit;			/* 0: OG_STORE_PAGE_MAX */
};

struct og_store;

/* What a back end provides. submit takes a valid request, copies what it must and completes it from the loop. */
struct og_store_ops {
	void (*submit)(struct og_store *s, const struct og_store_req *req, og_store_cb cb, void *arg);
	/* See og_store_settle. NULL: nothing to do. */
	void (*settle)(struct og_store *s, const char *folder, og_store_cb cb, void *arg);
	/* See og_store_page. NULL: there are none. */
	int (*page)(struct og_store *s, const char *key, int *fd, struct og_error *err);
	void (*free)(struct og_store *s);
};

/* The head of every back end's own struct. */
struct og_store {
	const struct og_store_ops *ops;
	struct event_base *base;
	bool local;		/* a directory of this host: a descriptor's link count tells whether its object was replaced */
	bool shared_pages;	/* og_store_page works and all users of the store are on this host */
	bool read_only;		/* every put and delete answers OG_ERR_DENIED */
	uint64_t requests[OG_STORE_NOPS];	/* submitted since the start; for tests and `status` */
	uint64_t http_requests;	/* what they took, tries and parts each counted; 0 where there is no HTTP */
	uint64_t http_retries;	/* of those, the ones made because an earlier one failed */
	uint64_t http_bytes_in, http_bytes_out;	/* bodies of answers and of requests, each try counted */
	char *uri;		/* for messages; on the heap */
	struct og_store_deferred *deferred;	/* private to store.c */
};

/* For back ends. Fills the head; OG_ERR_NOMEM. */
int og_store_init(struct og_store *s, const struct og_store_ops *ops, struct event_base *base, const char *uri,
		  struct og_error *err) OG_MUST_CHECK;
/* Frees what the head owns; the last call of ops->free before it frees itself. */
void og_store_fini(struct og_store *s);
/* Completes a request from the loop with this code and error (copied; code 0: err may be NULL). */
void og_store_defer(struct og_store *s, int code, const struct og_error *err, og_store_cb cb, void *arg);

/* Checks the request (OG_ERR_BAD through the completion), counts it and passes it on. */
void og_store_submit(struct og_store *s, const struct og_store_req *req, og_store_cb cb, void *arg);

/* The same by name. */
void og_store_get(struct og_store *s, const char *key, uint64_t max_bytes, og_store_cb cb, void *arg);
/* A get whose result is `same` while the object is the one of this tag, its content once it is another one. */
void og_store_get_unless(struct og_store *s, const char *key, const struct og_store_tag *tag, uint64_t max_bytes, og_store_cb cb,
			 void *arg);
void og_store_get_range(struct og_store *s, const char *key, uint64_t offset, uint64_t len, og_store_cb cb, void *arg);
void og_store_get_fd(struct og_store *s, const char *key, og_store_cb cb, void *arg);
void og_store_head(struct og_store *s, const char *key, og_store_cb cb, void *arg);
void og_store_put(struct og_store *s, const char *key, const struct og_slice *parts, size_t nparts, og_store_cb cb,
		  void *arg);
void og_store_put_fd(struct og_store *s, const char *key, int fd, uint64_t len, og_store_cb cb, void *arg);
void og_store_put_absent(struct og_store *s, const char *key, const struct og_slice *parts, size_t nparts,
			 og_store_cb cb, void *arg);
void og_store_put_match(struct og_store *s, const char *key, const struct og_store_tag *tag,
			const struct og_slice *parts, size_t nparts, og_store_cb cb, void *arg);
void og_store_delete(struct og_store *s, const char *key, og_store_cb cb, void *arg);
void og_store_list(struct og_store *s, const char *prefix, const char *after, size_t limit, og_store_cb cb, void *arg);

/*
 * Makes every object that was seen in this folder ("" or ending in '/') outlast a power cut: in a directory a name is
 * visible before it is durable, so whoever shows or builds on an object that it did not put itself settles first. On a
 * store whose puts are durable when they are visible this completes at once. Not counted as a request.
 */
void og_store_settle(struct og_store *s, const char *folder, og_store_cb cb, void *arg);
/*
 * A descriptor of a file of one page at this key, made when missing, for a mapping shared by all processes on this host;
 * never synced. OG_ERR_UNSUPPORTED where there is no such thing. Blocking, but no slower than an open.
 */
int og_store_page(struct og_store *s, const char *key, int *fd, struct og_error *err) OG_MUST_CHECK;

/* Waits for requests that are being carried out; the completions of all others are never called. NULL is fine. */
void og_store_free(struct og_store *s);

/* true iff the key is one that a request may name. */
bool og_store_key_ok(const char *key);
bool og_store_prefix_ok(const char *prefix);	/* "" or a key with one '/' behind it */
const char *og_store_op_name(enum og_store_op op);	/* "put_absent" */

/*
 * Synchronous convenience for tools and tests: runs the store's loop until this request is done. Not from within a
 * completion. *out receives what the result said; its body is in *body (may be NULL), a descriptor in out->fd is the
 * caller's, items are not kept. Returns the code.
 */
struct og_buf;
int og_store_wait(struct og_store *s, const struct og_store_req *req, struct og_store_result *out, struct og_buf *body,
		  struct og_error *err);
/* All keys under a prefix, page by page, as lines "key SP size LF" appended to b. */
int og_store_wait_list(struct og_store *s, const char *prefix, struct og_buf *b, struct og_error *err);

#endif
