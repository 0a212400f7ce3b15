/*
 * The journal from the inside. Private to lib/journal.
 *
 * One thing at a time happens at the end of the log (enum phase): a put, its read-back, a settle or a check. Everything is
 * started by og_jn_pump, which runs from the loop; completions of the store change state and ask for another pump.
 * A journal is counted: every request in flight holds a reference, so that og_journal_close never waits for the store.
 *
 * Ticks order events without a clock: an operation that arrived at tick t is confirmed by a check or put that started at a
 * later tick.
 */
#ifndef OG_JOURNAL_PRIVATE_H
#define OG_JOURNAL_PRIVATE_H

#include <event2/event.h>

#include "base/date.h"
#include "journal/gather.h"
#include "journal/journal.h"

#define OG_JN_TAIL_CHECKPOINT 32u
#define OG_JN_TAIL_OTHERS 48u	/* where another host's object made it so long: it has probably begun one itself */
#define OG_JN_FOLDS 8u
#define OG_JN_TAIL_WAIT 64u	/* a batch waits for a checkpoint in progress */
#define OG_JN_CACHE_BYTES (16u * OG_MIB)	/* objects kept below the checkpoint */
#define OG_JN_TAIL_BYTES (64u * OG_MIB)		/* and above it, where checkpoints lag or objects are large */
#define OG_JN_BODIES_BYTES (16u * OG_MIB)	/* bodies of objects that are not in memory, read before */
#define OG_JN_WINDOW_MAX 64u
#define OG_JN_GETS_MAX (OG_JN_TAIL_WAIT + 1)	/* opening: such a tail and the key behind it, at once */
#define OG_JN_LINE_COMMITS 4096u
#define OG_JN_LINE_KEYS 65536u
#define OG_JN_DEADLINE_US 30000000u

enum og_jn_phase {
	OG_JN_IDLE,
	OG_JN_PUTTING,
	OG_JN_READBACK,
	OG_JN_SETTLING,
	OG_JN_CHECKING,
	OG_JN_FENCED,		/* the put was answered; whether the graph is still there was not */
};

/* ---- what conflicts are found by (lines.c) ---- */

struct og_touch {
	uint32_t type;
	uint64_t version;	/* after the commit */
};

struct og_line_commit {
	struct og_ulid parent;
	bool ours, all_keys, schema;
	struct og_touch *touched;	/* by type */
	size_t ntouched;
	uint64_t *w;
	size_t nw;
};

/* The recent commits of one branch, oldest first. */
struct og_line {
	struct og_ulid branch;
	struct og_line_commit **v;
	size_t n, cap;
	size_t nkeys;
};

struct og_lines {
	struct og_map map;		/* branch id -> struct og_line */
	struct og_line **all;
	size_t n, cap;
};

void og_lines_fini(struct og_lines *l);
/* Remembers a commit; w sorted. OG_ERR_NOMEM. */
int og_lines_add(struct og_lines *l, const struct og_record *r, const uint64_t *w, size_t nw, bool ours,
		 struct og_error *err) OG_MUST_CHECK;
/* The branch is dead. */
void og_lines_drop(struct og_lines *l, const struct og_ulid *branch);
/* Forgets the last commit of that branch again. */
void og_lines_pop(struct og_lines *l, const struct og_ulid *branch);
/* Keeps within the limits; call between batches only. */
void og_lines_trim(struct og_lines *l, const struct og_ulid *branch);
/* Commits of the branch after `base`: a pointer to the first and the count. false: base is older than what is kept. */
bool og_lines_after(const struct og_lines *l, const struct og_branch *b, const struct og_ulid *base,
		    struct og_line_commit *const **first, size_t *n);

/* ---- operations ---- */

enum og_jn_op_kind { OG_JN_COMMIT, OG_JN_CREATE, OG_JN_DELETE, OG_JN_OTHER };

struct og_jn_op {
	struct og_jn_op *next;
	enum og_jn_op_kind kind;
	struct og_arena arena;		/* holds all below */
	struct og_record rec;		/* stamped anew for each attempt */
	uint64_t arrived;		/* tick */
	uint64_t deadline_us;
	bool need_confirm;
	bool answered;			/* deadline passed in flight: its client knows nothing */
	/* commit */
	struct og_ulid base;
	bool base_confirmed, has_expect_head;
	struct og_ulid expect_head;
	uint32_t *strict, *scanned;
	size_t nstrict, nscanned;
	uint64_t *r, *w;		/* sorted */
	size_t nr, nw;
	struct og_log_part *payloads;	/* per table; bytes.p NULL: none */
	struct og_log_part keys;	/* w as a body; bytes.p NULL: none */
	struct og_slice schema_text;	/* its digest is in the record */
	size_t body_bytes;
	struct og_jn_answer *final;	/* what to say, once the state is not in the middle of a batch */
	og_commit_cb cb;
	void *arg;
};

struct og_jn_queue {
	struct og_jn_op *head, **tail;
	size_t n;
};

/* An object under way; its bytes outlive the journal while the store reads them. */
struct og_jn_batch {
	struct og_journal *j;
	struct og_jn_queue ops;
	uint64_t seq;
	struct og_buf bytes;
	struct og_slice part;
	unsigned attempts;
	bool unknown;			/* an attempt may still land */
	uint64_t first_tick, first_us;	/* when the first attempt left; CLOCK_BOOTTIME */
	uint64_t sent_tick, sent_us;	/* the last one */
	struct og_jn_object *object;	/* what reading the bytes back would give */
};

/* An object in memory. */
struct og_jn_object {
	struct og_arena arena;
	struct og_buf bytes;
	struct og_logobj obj;
};

struct og_jn_waiter {
	struct og_jn_waiter *next;
	uint64_t tick;
	uint64_t deadline_us;
	og_journal_done cb;
	void *arg;
};

/* Something to be called from the loop. */
struct og_jn_call {
	struct og_jn_call *next;
	void (*run)(struct og_journal *j, struct og_jn_call *c);	/* frees nothing; c is freed after it */
	void (*cb)(void);		/* cast back by run */
	void *arg;
	struct og_error err;
	const void *ref;
	struct og_slice bytes;
};

/* An operation's answer, kept. */
struct og_jn_answer {
	struct og_commit_result res;
	struct og_error err;
};

struct og_jn_get {
	struct og_journal *j;
	struct og_buf bytes;
	int code;
};

/* GETs of log objects, window by window: a head check, or the read-back of a put. There is one at a time. */
struct og_jn_check {
	bool running;
	uint64_t start_tick, start_us, bell;	/* CLOCK_BOOTTIME */
	uint64_t first;			/* seq of got[0] */
	uint64_t listed;		/* up to here a listing has shown that there are objects */
	uint64_t more;			/* objects found that no listing showed */
	bool readback;			/* asks for what took the batch's place, and ends with that window */
	unsigned window, waiting, found;
	struct og_jn_get got[OG_JN_GETS_MAX];
	struct og_error err;
};

/* The question whether format.json is still the one that was opened (fence.c). */
struct og_jn_fence {
	bool asked;			/* and not answered yet */
	bool failed;			/* it could not be answered: err */
	uint64_t asked_us;
	struct og_error err;
	void (*then)(struct og_journal *j);	/* waits for the answer */
};

/* A body as it was read from the store, digest checked. */
struct og_jn_body {
	uint64_t seq;
	uint32_t body;
	uint64_t used;			/* tick */
	struct og_buf bytes;
};

struct og_journal {
	unsigned refs;
	bool closed;
	struct event_base *base;
	struct og_store *store;
	char *prefix, *uri;
	struct og_ulid host;
	bool read_only;
	unsigned checkpoint_tail, folds_at_once;
	struct og_journal_hooks hooks;
	void *arg;
	struct og_ulid_gen ulids;

	struct og_arena genesis_arena;
	struct og_genesis genesis;
	int genesis_fd;			/* local store: its link count tells whether the graph is still there */
	struct og_store_tag genesis_tag;	/* another one: asked by this, where the last confirmation is too old */
	uint64_t sure_us;		/* CLOCK_BOOTTIME when what was the last confirmation left us */
	struct og_jn_fence fence;
	struct og_state *state;
	enum og_journal_status status;
	bool damaged;			/* S is as far as the log can be read */
	bool opening;			/* not handed out yet: hooks see nothing */
	uint64_t opening_last;		/* the listing showed the log up to here */
	const struct og_branch **opened;	/* live branches of the checkpoint that the open began with; references held */
	size_t nopened;
	char reason[512];

	int bell_fd;
	uint64_t *bell;			/* shared page, or NULL */
	uint64_t bell_known;
	bool bell_valid;

	uint64_t tick;
	uint64_t confirmed;		/* S holds all that was in the store at this tick */
	enum og_jn_phase phase;
	struct event *work;		/* runs calls and the pump */
	struct event *timer;		/* back-off, deadlines */
	uint64_t timer_at;		/* 0: not armed */
	uint64_t expire_us;		/* no deadline of an operation or waiter is earlier */
	struct og_jn_call *calls, **calls_tail;
	struct og_jn_queue queue, answered;
	struct og_jn_batch *batch;
	uint64_t retry_us;		/* batch: when to put again; 0: not waiting */
	uint64_t delay_us;		/* no new batch before */
	uint64_t backoff_us;
	uint64_t put_us;		/* running mean of a put */
	struct og_gather gather;
	uint64_t rng;
	uint64_t foreign_seq;		/* the last object that another host put */
	unsigned losses;		/* rounds lost without having seen the end of the log in between */
	struct og_jn_waiter *waiters, **waiters_tail;
	struct og_jn_check check;
	struct og_lines lines;

	struct og_jn_object **tail;	/* by seq, without holes, up to S */
	size_t ntail, cap_tail, tail_bytes;

	struct og_jn_ckpt *ckpt;	/* checkpoint under way */
	uint64_t ckpt_seq;		/* newest that counts, as far as known */
	struct og_ulid ckpt_id;
	struct og_ckpt_name ckpt_told;	/* own one that the others have not been told of; seq 0: none */
	uint64_t ckpt_mark;		/* tail at which it is looked whether another host has made one; 0: not drawn */
	bool ckpt_looking;		/* that, or taking it over */
	struct og_ulid working_host;	/* who last said that it makes one, in object working_seq; 0: nobody */
	uint64_t working_seq;
	uint64_t ckpt_wait_us;
	uint64_t ckpt_due;		/* none by itself below this seq */
	unsigned ckpt_failures;		/* one after another */
	bool index_changed;		/* no checkpoint says so yet */
	struct og_jn_body *bodies;	/* of at most OG_JN_BODIES_BYTES, those used last */
	size_t nbodies, cap_bodies, bodies_bytes;
	struct og_jn_snapshot *snapshots;	/* states of older commits, kept for a while */
	size_t nsnapshots;
	struct og_journal_stats stats;
};

/* journal.c */
struct og_journal *og_jn_new(const struct og_journal_config *c, struct og_error *err);
void og_jn_ref(struct og_journal *j);
void og_jn_unref(struct og_journal *j);
/* false: closed; the reference that the caller's request held is gone then. Pairs with og_jn_ref before a request. */
bool og_jn_back(struct og_journal *j);
void og_jn_wake(struct og_journal *j);
void og_jn_call_done(struct og_journal *j, og_journal_done cb, void *arg, const struct og_error *err);
struct og_jn_call *og_jn_call(struct og_journal *j, void (*run)(struct og_journal *, struct og_jn_call *));
/* prefix + key, in out; keys of ours are short enough. */
const char *og_jn_key(const struct og_journal *j, const struct og_key_text *key, char out[OG_STORE_KEY_MAX + 1]);
const char *og_jn_key_str(const struct og_journal *j, const char *key, char out[OG_STORE_KEY_MAX + 1]);
void og_jn_set_status(struct og_journal *j, enum og_journal_status st, const char *reason);
void og_jn_pump(struct og_journal *j);
void og_jn_timer(struct og_journal *j, uint64_t at_us);	/* wakes the pump then, or earlier */

/*
 * fence.c. Removing a graph is all that frees a log key, so a host that slept through it could put into nothing, and take a 404 for the log's end.
 * Whose last confirmation is older than 30 s therefore asks for format.json beside its next request, and answers nothing before that is answered.
 */
bool og_jn_graph_gone(struct og_journal *j);		/* by the link count, where there is one */
void og_jn_sure(struct og_journal *j, uint64_t then_us);	/* a confirmation, by a request that left then */
void og_jn_fence_ask(struct og_journal *j);		/* if it is due: beside a request */
/*
 * Before an answer. false: nothing stands against it. true: `then` is called once the store has answered; the status is ENDED then, or
 * fence.failed says that it could not tell, or all is well.
 */
bool og_jn_fence_wait(struct og_journal *j, void (*then)(struct og_journal *j));

/* append.c */
void og_jn_submit(struct og_journal *j, struct og_jn_op *op);
/* A record that is no commit, create or delete. Answered as a commit is, unless it fails at once: OG_ERR_NOMEM. */
int og_jn_append_record(struct og_journal *j, const struct og_record *r, og_commit_cb cb, void *arg,
			struct og_error *err) OG_MUST_CHECK;
bool og_jn_start_batch(struct og_journal *j);		/* true: a put is under way */
void og_jn_retry(struct og_journal *j);
void og_jn_back_off(struct og_journal *j);		/* the same put again, later */
/* The batch is in the log and settled; nothing stood in its place at tick `vacant`. */
void og_jn_won(struct og_journal *j, uint64_t vacant);
void og_jn_batch_gone(struct og_journal *j);		/* so is the graph: nobody knows what became of it */
void og_jn_lost(struct og_journal *j);			/* its place is another's, which has been applied */
void og_jn_expire(struct og_journal *j, uint64_t now);	/* deadlines; sets the next timer */
void og_jn_fail_queue(struct og_journal *j, struct og_jn_queue *q, enum og_commit_outcome o, const struct og_error *err);
void og_jn_send_answers(struct og_journal *j);
/* Operations whose refusal waits for a check, which failed. */
void og_jn_fail_unconfirmed(struct og_journal *j, const struct og_error *err);
bool og_jn_wants_check(const struct og_journal *j);
void og_jn_op_free(struct og_jn_op *op);
void og_jn_batch_free(struct og_jn_batch *b);
void og_jn_queue_init(struct og_jn_queue *q);
void og_jn_queue_put(struct og_jn_queue *q, struct og_jn_op *op);
struct og_jn_op *og_jn_queue_take(struct og_jn_queue *q);

/* evaluate.c: what becomes of an operation on the present (tentative) state */
enum og_jn_verdict {
	OG_JN_TAKE,
	OG_JN_ANSWER,		/* res says what, and it stays true */
	OG_JN_REFUSE,		/* res says what, if the state is confirmed */
};
enum og_jn_verdict og_jn_evaluate(struct og_journal *j, struct og_jn_op *op, struct og_jn_answer *out);

/* follow.c */
void og_jn_start_check(struct og_journal *j);
void og_jn_start_readback(struct og_journal *j);
void og_jn_check_fini(struct og_jn_check *c);
void og_jn_confirmed(struct og_journal *j, uint64_t tick);	/* answers waiters */
void og_jn_fail_waiters(struct og_journal *j, const struct og_error *err);
/* Those whose time is over are told; *next: when the next one's will be, if that is sooner. */
void og_jn_expire_waiters(struct og_journal *j, uint64_t now, uint64_t *next);
/* 0 also where there is none to be had (network file systems, read-only openings). */
int og_jn_open_bell(struct og_journal *j, struct og_error *err);
bool og_jn_bell_quiet(const struct og_journal *j);
void og_jn_ring(struct og_journal *j);
struct og_jn_object *og_jn_object_new(struct og_error *err);
void og_jn_object_own(struct og_jn_object *o, struct og_buf *bytes);	/* takes the bytes over; they do not move */
struct og_jn_object *og_jn_object_decode(struct og_buf *bytes, struct og_error *err);	/* takes the bytes over */
void og_jn_object_free(struct og_jn_object *o);
size_t og_jn_object_cost(const struct og_jn_object *o);	/* bytes of memory */
/* Writing needs a newer program: said once, then read-only. */
void og_jn_check_writer(struct og_journal *j);
/* Applies and remembers. A failure is damage; the object is freed then. Until og_jn_show nothing that calls the owner may run. */
int og_jn_apply(struct og_journal *j, struct og_jn_object *o, bool ours, struct og_error *err);
/* Tells the owner and the other processes of the host of an object that has been applied. */
void og_jn_show(struct og_journal *j, const struct og_jn_object *o, bool ours);

/*
 * share.c. The host whose object made the tail checkpoint_tail long makes a checkpoint, and says so in its objects; the others take it over when an
 * object says where it lies, or when a listing does at a tail of 48 to 56: that is also where its work is done by another if it has died.
 */
void og_jn_after_object(struct og_journal *j);		/* perhaps starts a checkpoint */
void og_jn_after_open(struct og_journal *j);
void og_jn_ckpt_known(struct og_journal *j, const struct og_ckpt_name *name);	/* it is in the store, and counts */
void og_jn_ckpt_say(const struct og_journal *j, struct og_logobj *o);	/* advice in an object of ours; o->seq is set */
void og_jn_ckpt_said(struct og_journal *j, const struct og_logobj *o);	/* it landed */
void og_jn_ckpt_heed(struct og_journal *j, const struct og_logobj *o);	/* advice of another's */
bool og_jn_ckpt_at_work(const struct og_journal *j);	/* another host makes one, as far as it says */

/* checkpoint.c */
void og_jn_ckpt_start(struct og_journal *j);
void og_jn_trim_tail(struct og_journal *j);
void og_jn_ckpt_free(struct og_journal *j);
void og_jn_opened_free(struct og_journal *j);	/* open.c */
void og_jn_snapshots_free(struct og_journal *j);
void og_jn_bodies_free(struct og_journal *j);

/* open.c */
typedef void (*og_jn_opened)(void *arg, struct og_journal *j, struct og_error *err);
/* The same as og_journal_open, but a log that has ended opens too. */
void og_jn_open(const struct og_journal_config *c, bool ended_too, og_jn_opened cb, void *arg);

#endif
