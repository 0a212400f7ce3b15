/*
 * The journal on the S3 client, before a server that errs once (or three times in a row) at a chosen request: every fault at every request of
 * a life with two hosts, in virtual time (sim.h). Every operation of that life succeeds all the same, and the log holds each once. Then a
 * large object read in ranges, the same way: its bytes, or an error.
 *
 *   test_s3_faults [--only FAULT] [--at N]      that one alone
 *
 * A server that acknowledges what it does not keep must be found out: that comes first.
 */
#include "config.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/num.h"
#include "journal/journal.h"
#include "net/http_client.h"
#include "store/s3.h"
#include "t/fault/sim.h"
#include "t/unit/http_fake.h"

/* Of the operations of a life, by their number: those that are no commits; and how many are not on main. */
#define CREATED 2
#define DELETED 8
#define OTHERS 4
#define BIG (3u * OG_MIB + 77)

enum fault {
	REFUSED,		/* reset, and nobody listens for a while */
	RESET_BEFORE,
	RESET_AFTER,
	E500,
	E500_AFTER,
	E503,
	E503_AFTER,
	E409,
	E412,
	E412_AFTER,
	TRUNCATED,
	STALLED,
	SILENT,			/* carried out, and never answered */
	WRONG_ETAG,
	EXPIRED_400,
	EXPIRED_403,
	SKEWED,
	NFAULTS,
	FORGETS,		/* not a fault but a lie: 200, and nothing is kept */
};

static const char *const names[] = {
	"refused", "reset-before", "reset-after", "500", "500-after", "503", "503-after", "409", "412", "412-after", "truncated", "stalled",
	"silent", "wrong-etag", "expired-400", "expired-403", "skewed", NULL, "forgets",
};

/* ---- a server ---- */

struct object {
	char key[256];
	char *bytes;
	size_t len;
};

static struct fake fake;
static struct event_base *base;
static struct object objects[400];
static size_t nobjects;
static enum fault kind;
static uint64_t at, count, seen;	/* requests at..at+count-1 meet it */
static uint64_t requests, met;

static struct object *object(const char *key)
{
	for (size_t i = 0; i < nobjects; i++)
		if (!strcmp(objects[i].key, key))
			return &objects[i];
	return NULL;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct object *)a)->key, ((const struct object *)b)->key);
}

static void keep(const char *key, const struct og_buf *body)
{
	struct object *o = object(key);

	if (!o) {
		ck_assert_uint_lt(nobjects, OG_COUNT(objects));
		o = &objects[nobjects++];
		snprintf(o->key, sizeof(o->key), "%s", key);
		o->bytes = NULL;
	}
	free(o->bytes);
	o->len = body->len;
	o->bytes = malloc(body->len + 1);
	ck_assert_ptr_nonnull(o->bytes);
	if (body->len)
		memcpy(o->bytes, body->data, body->len);
	qsort(objects, nobjects, sizeof(*objects), by_key);
}

static void forget_all(void)
{
	while (nobjects)
		free(objects[--nobjects].bytes);
}

/* An answer before it is sent. */
struct reply {
	int status;
	const char *code;		/* of an error */
	char etag[48], range[64];
	struct evbuffer *body;
};

static void list(struct reply *r, struct evkeyvalq *query)
{
	const char *prefix = evhttp_find_header(query, "prefix"), *after = evhttp_find_header(query, "start-after");
	const char *token = evhttp_find_header(query, "continuation-token");
	uint64_t left = 0;

	(void)og_parse_u64(og_slice_str(evhttp_find_header(query, "max-keys")), &left);
	if (token && (!after || strcmp(token, after) > 0))
		after = token;
	evbuffer_add_printf(r->body, "<ListBucketResult>");
	for (size_t i = 0; i < nobjects; i++) {
		const struct object *o = &objects[i];

		if (strncmp(o->key, prefix, strlen(prefix)) || (after && strcmp(o->key, after) <= 0))
			continue;
		if (!left--) {
			evbuffer_add_printf(r->body, "<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>",
					    objects[i - 1].key);
			break;
		}
		evbuffer_add_printf(r->body, "<Contents><Key>%s</Key><Size>%zu</Size></Contents>", o->key, o->len);
	}
	evbuffer_add_printf(r->body, "</ListBucketResult>");
}

static void get(struct reply *r, const struct object *o, const char *range)
{
	unsigned long long first = 0, last = 0;

	if (!o) {
		r->status = 404;
		r->code = "NoSuchKey";
		return;
	}
	snprintf(r->etag, sizeof(r->etag), "\"%zu-%02x\"", o->len, o->len ? (unsigned char)o->bytes[o->len - 1] : 0u);
	if (sscanf(range, "bytes=%llu-%llu", &first, &last) == 2 && first < o->len) {
		last = OG_MIN(last, (unsigned long long)o->len - 1);
		r->status = 206;
		snprintf(r->range, sizeof(r->range), "bytes %llu-%llu/%zu", first, last, o->len);
		evbuffer_add(r->body, o->bytes + first, (size_t)(last - first + 1));
	} else {
		evbuffer_add(r->body, o->bytes, o->len);
	}
}

/* What a sound server does. */
static void carry_out(struct reply *r, struct evhttp_request *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	char *path = evhttp_uridecode(evhttp_uri_get_path(uri), 0, NULL);
	const char *key = strlen(path) > 3 ? path + 3 : "";	/* "/b/" */
	struct object *o = object(key);
	struct evkeyvalq query;

	evhttp_parse_query_str(evhttp_uri_get_query(uri) ? evhttp_uri_get_query(uri) : "", &query);
	if (!strcmp(fake.method, "PUT") && o && *fake_header(req, "If-None-Match")) {
		r->status = 412;
		r->code = "PreconditionFailed";
	} else if (!strcmp(fake.method, "PUT")) {
		if (!(kind == FORGETS && strstr(key, "/log/") && seen > at))
			keep(key, &fake.body);
		snprintf(r->etag, sizeof(r->etag), "\"%zu\"", fake.body.len);
	} else if (!strcmp(fake.method, "DELETE")) {
		r->status = 204;
	} else if (!*key) {
		list(r, &query);
	} else {
		get(r, o, fake_header(req, "Range"));
	}
	evhttp_clear_headers(&query);
	free(path);
}

static void send_reply(struct reply *r, struct evhttp_request *req)
{
	char date[64];
	time_t t;
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	t = ts.tv_sec + (r->code && !strcmp(r->code, "RequestTimeTooSkewed") ? 3 * 3600 : 0);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&t, &tm));
	fake_set(req, "Date", date);
	if (r->etag[0])
		fake_set(req, "ETag", r->etag);
	if (r->range[0])
		fake_set(req, "Content-Range", r->range);
	if (r->code) {
		evbuffer_drain(r->body, evbuffer_get_length(r->body));
		evbuffer_add_printf(r->body, "<Error><Code>%s</Code><Message>of the test</Message></Error>", r->code);
	}
	evhttp_send_reply(req, r->status, "-", r->body);
}

static void listen_again(void *arg)
{
	unsigned port;

	(void)arg;
	if (sscanf(fake.url, "http://127.0.0.1:%u", &port) == 1)
		ck_assert_ptr_nonnull(evhttp_bind_socket_with_handle(fake.http, "127.0.0.1", (uint16_t)port));
}

static void stop_listening(struct evhttp_bound_socket *s, void *arg)
{
	*(struct evhttp_bound_socket **)arg = s;
}

static void refuse(struct evhttp_request *req)
{
	struct evhttp_bound_socket *s = NULL;

	evhttp_foreach_bound_socket(fake.http, stop_listening, &s);
	fake_reset(req);
	if (!s)
		return;
	evhttp_del_accept_socket(fake.http, s);
	sim_at(sim_now() + SIM_SECOND / 4, listen_again, NULL);
}

/* Half of the body; then the end, or nothing any more. */
static void send_half(struct reply *r, struct evhttp_request *req, bool close)
{
	struct evhttp_connection *c = evhttp_request_get_connection(req);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(c));
	size_t n = evbuffer_get_length(r->body);
	char head[300];

	snprintf(head, sizeof(head), "HTTP/1.1 %d -\r\nContent-Length: %zu\r\nETag: %s\r\n%s%s%s\r\n", r->status, n,
		 r->etag[0] ? r->etag : "\"x\"", r->range[0] ? "Content-Range: " : "", r->range, r->range[0] ? "\r\n" : "");
	(void)!write(fd, head, strlen(head));
	n = OG_MIN(n / 2, (size_t)100 * OG_KIB);
	(void)!write(fd, evbuffer_pullup(r->body, (ev_ssize_t)n), n);
	if (close)
		evhttp_connection_free(c);
	/* else the client gives up, and evhttp ends the connection with it */
}

static bool conditional(struct evhttp_request *req)
{
	return !strcmp(fake.method, "PUT") && *fake_header(req, "If-None-Match");
}

/* true: this request meets the fault. */
static bool due(struct evhttp_request *req)
{
	uint64_t n = seen++;

	if (kind >= NFAULTS || n < at || n >= at + count)
		return false;
	if ((kind == E409 || kind == E412 || kind == E412_AFTER) && !conditional(req))
		return false;
	if ((kind == TRUNCATED || kind == STALLED) && strcmp(fake.method, "GET") != 0)
		return false;
	met++;
	return true;
}

static void error(struct reply *r, int status, const char *code)
{
	r->status = status;
	r->code = code;
}

static void misbehave(struct reply *r, struct evhttp_request *req)
{
	switch (kind) {
	case REFUSED:
		refuse(req);
		return;
	case RESET_BEFORE:
		fake_reset(req);
		return;
	case E500:
		error(r, 500, "InternalError");
		break;
	case E503:
		error(r, 503, "SlowDown");
		break;
	case E409:
		error(r, 409, "ConditionalRequestConflict");
		break;
	case E412:
		error(r, 412, "PreconditionFailed");
		break;
	case EXPIRED_400:
		error(r, 400, "ExpiredToken");
		break;
	case EXPIRED_403:
		error(r, 403, "ExpiredToken");
		break;
	case SKEWED:
		error(r, 403, "RequestTimeTooSkewed");
		break;
	default:
		carry_out(r, req);
		break;
	}
	switch (kind) {
	case RESET_AFTER:
		fake_reset(req);
		return;
	case E500_AFTER:
		error(r, 500, "InternalError");
		break;
	case E503_AFTER:
		error(r, 503, "SlowDown");
		break;
	case E412_AFTER:
		error(r, 412, "PreconditionFailed");
		break;
	case TRUNCATED:
	case STALLED:
		if (r->status < 300 && evbuffer_get_length(r->body)) {
			send_half(r, req, kind == TRUNCATED);
			return;
		}
		break;
	case SILENT:
		return;
	case WRONG_ETAG:
		strcpy(r->etag, "\"0000000000\"");
		break;
	default:
		break;
	}
	send_reply(r, req);
}

static void on_request(struct fake *f, struct evhttp_request *req)
{
	struct reply r = { .status = 200, .body = evbuffer_new() };

	(void)f;
	requests++;
	if (due(req)) {
		misbehave(&r, req);
	} else {
		carry_out(&r, req);
		send_reply(&r, req);
	}
	evbuffer_free(r.body);
}

/* ---- a life ---- */

static char why[600];

#define EXPECT(ok, ...) ((ok) || (snprintf(why, sizeof(why), __VA_ARGS__), false))

struct host {
	struct og_store *st;
	struct og_journal *j;
};

struct outcome {
	bool done;
	int code;
	char message[400];
	struct og_journal *j;
	enum og_commit_outcome outcome;
	struct og_ulid id;
	uint64_t seq, faults;
	uint64_t rows;
};

static struct outcome big_outcome;	/* of the large object */
static struct og_ulid acked[32];
static uint64_t acked_seq[32];
static size_t nacked;
static struct og_ulid_gen gen;

static const struct og_type_decl types[] = {
	{ .id = 1, .kind = 'n', .name = { "Port", 4 } },
	{ .id = 2, .kind = 'n', .name = { "Vessel", 6 } },
};

static void on_done(void *arg, const struct og_error *e)
{
	struct outcome *o = arg;

	o->done = true;
	o->code = e->code;
	snprintf(o->message, sizeof(o->message), "%.390s", e->message);
}

static void on_open(void *arg, struct og_journal *j, const struct og_error *e)
{
	((struct outcome *)arg)->j = j;
	on_done(arg, e);
}

static void on_commit(void *arg, const struct og_commit_result *res)
{
	struct outcome *o = arg;

	o->done = true;
	o->outcome = res->outcome;
	if (res->err)
		on_done(arg, res->err);
	if (res->record) {
		o->id = res->record->id;
		o->seq = res->seq;
	}
}

static void on_snapshot(void *arg, const struct og_branch *b, const struct og_error *e)
{
	if (b)
		((struct outcome *)arg)->rows = og_branch_table(b, 1)->rows;
	on_done(arg, e);
}

static void on_verified(void *arg, const struct og_verify_report *r, const struct og_error *e)
{
	((struct outcome *)arg)->faults = r ? r->faults : 0;
	on_done(arg, e);
}

static void on_fault(void *arg, bool derived, const char *text)
{
	(void)derived;
	snprintf(((struct outcome *)arg)->message, 300, "%s", text);
}

/* A fault that happens once costs no more than this, however long the client is prepared to wait for a store that is really down. */
#define ONCE_US (25 * SIM_SECOND)

static bool run(struct outcome *o, const char *what)
{
	uint64_t start = sim_now();

	sim_run(base, sim_now() + 600 * SIM_SECOND, &o->done);
	return EXPECT(o->done, "%s: no answer", what) &&
	       EXPECT(count > 1 || o == &big_outcome || sim_now() - start < ONCE_US, "%s took %.1f s", what, (double)(sim_now() - start) / 1e6);
}

static struct og_store *store_new(void)
{
	struct og_aws_settings set = { .endpoint_s3 = fake.url, .access_key_id = (char *)"ID", .secret_access_key = (char *)"secret",
				       .session_token = (char *)"token" };
	struct og_store_s3_config c = { .uri = "s3://b/p", .base = base, .settings = &set, .range_bytes = OG_MIB };
	struct og_error err = { 0 };
	struct og_store *st = og_store_s3_new(&c, &err);

	ck_assert_msg(st != NULL, "%s", err.message);
	return st;
}

static struct og_journal_config config(struct og_store *st)
{
	struct og_journal_config c = { .base = base, .store = st, .prefix = "g/", .uri = "s3://b/p/g", .checkpoint_tail = 1000 };

	ck_assert_int_eq(og_ulid_new(&gen, &c.host, &(struct og_error){ 0 }), 0);
	return c;
}

static bool open_host(struct host *h)
{
	struct outcome o = { 0 };
	struct og_journal_config c;

	h->st = store_new();
	c = config(h->st);
	og_journal_open(&c, on_open, &o);
	if (!run(&o, "open"))
		return false;
	h->j = o.j;
	return EXPECT(h->j, "open: %s", o.message) &&
	       EXPECT(og_journal_status(h->j) == OG_JOURNAL_WRITABLE, "open: %s", og_journal_reason(h->j));
}

static void close_host(struct host *h)
{
	og_journal_close(h->j);
	if (h->st)
		og_store_free(h->st);
	*h = (struct host){ 0 };
}

static bool note(struct outcome *o, const char *what)
{
	if (!run(o, what) || !EXPECT(o->outcome == OG_COMMITTED, "%s: outcome %d: %s", what, (int)o->outcome, o->message))
		return false;
	acked[nacked] = o->id;
	acked_seq[nacked++] = o->seq;
	return true;
}

static bool commit(struct host *h, const char *branch)
{
	const struct og_branch *b = og_state_branch_named(og_journal_state(h->j), og_slice_str(branch));
	struct og_commit_table t[2] = { { .type = 1, .dn = 1, .parquet = OG_SLICE("PAR1 one") },
					{ .type = 2, .dn = 2, .parquet = OG_SLICE("PAR1 two") } };
	struct outcome o = { 0 };
	struct og_commit_req req = { .op = OG_OP_MUTATE, .tables = t, .ntables = 2, .cb = on_commit, .arg = &o,
				     .deadline_us = sim_now() + 500 * SIM_SECOND };

	if (!EXPECT(b, "branch %s is not there", branch))
		return false;
	req.branch = b->id;
	req.base = b->head;
	og_journal_commit(h->j, &req);
	return note(&o, "commit");
}

static bool branch(struct host *h, bool delete)
{
	const struct og_branch *b = og_state_branch_named(og_journal_state(h->j), og_slice_str(delete ? "dock" : "main"));
	struct outcome o = { 0 };
	struct og_branch_req req = { .name = OG_SLICE("dock"), .cb = on_commit, .arg = &o, .deadline_us = sim_now() + 500 * SIM_SECOND };

	if (!EXPECT(b, "branch is not there"))
		return false;
	req.branch = b->id;
	if (delete)
		og_journal_branch_delete(h->j, &req);
	else
		og_journal_branch_create(h->j, &req);
	return note(&o, delete ? "delete" : "create");
}

/* A confirmed state holds whatever was acknowledged by anybody. */
static bool read_all(struct host *h)
{
	struct outcome o = { 0 };

	og_journal_confirm(h->j, on_done, &o);
	return run(&o, "read") && EXPECT(o.code == 0, "read: %s", o.message) &&
	       EXPECT(og_journal_state(h->j)->seq >= acked_seq[nacked - 1], "read: %llu is shown, %llu was acknowledged",
		      (unsigned long long)og_journal_state(h->j)->seq, (unsigned long long)acked_seq[nacked - 1]);
}

static bool snapshot(struct host *h, const struct og_ulid *id, uint64_t rows)
{
	struct outcome o = { 0 };

	og_journal_snapshot(h->j, id, on_snapshot, &o);
	return run(&o, "snapshot") && EXPECT(o.code == 0, "snapshot: %s", o.message) &&
	       EXPECT(o.rows == rows, "snapshot: %llu rows", (unsigned long long)o.rows);
}

static bool checkpoint(struct host *h)
{
	struct outcome o = { 0 };

	og_journal_checkpoint(h->j, false, on_done, &o);
	return run(&o, "checkpoint") && EXPECT(o.code == 0, "checkpoint: %s", o.message);
}

static bool init(void)
{
	struct og_store *st = store_new();
	struct og_journal_config c = config(st);
	struct og_journal_genesis g = { .schema = OG_SLICE("text"), .types = types, .ntypes = 2 };
	struct outcome o = { 0 };
	bool ok;

	og_journal_init(&c, &g, on_done, &o);
	ok = run(&o, "init") && EXPECT(o.code == 0, "init: %s", o.message);
	og_store_free(st);
	return ok;
}

static bool live(struct host *a, struct host *b)
{
	if (!init() || !open_host(a) || !commit(a, "main") || !commit(a, "main") || !branch(a, false) || !commit(a, "dock"))
		return false;
	if (!open_host(b) || !commit(b, "main") || !commit(b, "main"))
		return false;
	/* a has seen none of these two: it loses, reads, and lands behind them. */
	if (!commit(a, "main") || !read_all(b) || !checkpoint(b) || !commit(b, "dock") || !read_all(a))
		return false;
	if (!branch(b, true) || !commit(a, "main"))
		return false;
	close_host(b);
	return open_host(b) && snapshot(b, &acked[0], 1) && read_all(b) && commit(b, "main") && read_all(a);
}

/* Read afresh, with a server that does its work: everything once, and nothing else. */
static bool judge(void)
{
	struct host h = { 0 };
	struct outcome verify = { 0 };
	struct og_journal_config c;
	const struct og_state *s;
	bool ok = false;

	if (!open_host(&h))
		goto out;
	s = og_journal_state(h.j);
	for (size_t i = 0; i < nacked; i++)
		if (!EXPECT(og_state_commit_find(s, &acked[i]) || i == CREATED || i == DELETED, "commit %zu was acknowledged and is gone", i))
			goto out;
	if (!EXPECT(og_state_main(s)->version == 1 + nacked - OTHERS && og_branch_table(og_state_main(s), 1)->rows == nacked - OTHERS,
		    "main is at version %llu with %llu rows after %zu commits", (unsigned long long)og_state_main(s)->version,
		    (unsigned long long)og_branch_table(og_state_main(s), 1)->rows, nacked - OTHERS) ||
	    !EXPECT(s->seq == nacked && s->nlive == 1, "%llu log objects for %zu operations", (unsigned long long)s->seq, nacked))
		goto out;
	c = config(h.st);
	og_journal_verify(&c, on_fault, on_verified, &verify);
	ok = run(&verify, "verify") && EXPECT(!verify.code && !verify.faults, "verify: %s", verify.message);
out:
	close_host(&h);
	return ok;
}

static void plan(enum fault k, uint64_t first, uint64_t n)
{
	kind = k;
	at = first;
	count = n;
	seen = met = 0;
}

/* A store is freed with requests under way: the server must see the end of those connections before the next life. */
static void settle(void)
{
	bool never = false;

	sim_run(base, sim_now() + SIM_SECOND, &never);
}

static bool life(enum fault k, uint64_t first, uint64_t n)
{
	struct host a = { 0 }, b = { 0 };
	uint64_t had;
	bool ok;

	forget_all();
	nacked = 0;
	why[0] = 0;
	plan(k, first, n);
	ok = live(&a, &b);
	close_host(&a);
	close_host(&b);
	settle();
	had = met;
	if (k != FORGETS)
		plan(NFAULTS, 0, 0);
	ok = ok && judge();
	met = had;
	settle();
	return ok;
}

/* ---- a large object, in ranges ---- */

static void on_big(void *arg, struct og_store_result *res)
{
	char *bytes = malloc(BIG);

	(void)arg;
	big_outcome.done = true;
	big_outcome.code = res->code;
	if (res->err)
		snprintf(big_outcome.message, sizeof(big_outcome.message), "%.390s", res->err->message);
	if (res->code == 0) {
		big_outcome.rows = res->size == BIG && pread(res->fd, bytes, BIG, 0) == BIG && !memcmp(bytes, objects[0].bytes, BIG);
	}
	free(bytes);
}

static bool big_read(enum fault k, uint64_t first, uint64_t n)
{
	struct og_store *st = store_new();
	bool ok;

	why[0] = 0;
	big_outcome = (struct outcome){ 0 };
	plan(k, first, n);
	og_store_get_fd(st, "g/big", on_big, NULL);
	ok = run(&big_outcome, "a large object");
	/* An object that changes in the middle (so says its ETag) may be refused; it may never be a mixture. */
	if (ok && big_outcome.code)
		ok = EXPECT(k == WRONG_ETAG && *big_outcome.message, "a large object: %s", big_outcome.message);
	else if (ok)
		ok = EXPECT(big_outcome.rows, "a large object: other bytes");
	og_store_free(st);
	settle();
	return ok;
}

static void make_big(void)
{
	struct og_buf b = { 0 };

	forget_all();
	ck_assert(og_buf_reserve(&b, BIG));
	b.len = BIG;
	for (size_t i = 0; i < BIG; i++)
		b.data[i] = (char)(i * 2654435761u >> 13);
	keep("p/g/big", &b);
	og_buf_fini(&b);
}

/* ---- all ---- */

static uint64_t lives, faults_met;

/* With sanitizers a life takes five times as long: every third request then, another third for the next fault. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 3u
#else
#define STRIDE 1u
#endif

/* Every request, until one is behind the last. */
static bool sweep(const char *what, bool (*one)(enum fault, uint64_t, uint64_t), enum fault k, uint64_t n)
{
	for (uint64_t first = k % STRIDE;; first += STRIDE) {
		if (!one(k, first, n)) {
			printf("FAIL: %s, %s, %u times from request %u: %s\n", what, names[k], (unsigned)n, (unsigned)first, why);
			return false;
		}
		lives++;
		faults_met += met;
		if (first >= seen && first > 5 && met == 0)
			return true;
		if (first > 300) {
			printf("FAIL: %s: the requests do not end\n", what);
			return false;
		}
	}
}

static bool all(void)
{
	/* What would be repeated with the same outcome is not asked for thrice. */
	for (enum fault k = 0; k < NFAULTS; k++)
		if (!sweep("two hosts", life, k, 1) ||
		    ((k == RESET_BEFORE || k == RESET_AFTER || k == E500_AFTER || k == E503) && !sweep("two hosts", life, k, 3)))
			return false;
	make_big();
	for (enum fault k = 0; k < NFAULTS; k++)
		if (!sweep("a large object", big_read, k, 1))
			return false;
	return true;
}

static const char *only;
static uint64_t only_at;

static void only_one(void)
{
	enum fault k = 0;

	while (k < NFAULTS && strcmp(names[k], only))
		k++;
	ck_assert_msg(k < NFAULTS, "no fault is called %s", only);
	ck_assert_msg(life(k, only_at, 1), "%s", why);
}

START_TEST(every_fault_at_every_request)
{
	if (only) {
		only_one();
		return;
	}
	ck_assert_msg(life(NFAULTS, 0, 0), "without any fault: %s", why);
	/* The test of the test. */
	ck_assert_msg(!life(FORGETS, 15, 1), "a server that forgets is not found out");
	printf("a server that forgets: %s\n", why);
	ck_assert_msg(all(), "%s", why);
	printf("%u lives, %u faults met, %u requests\n", (unsigned)lives, (unsigned)faults_met, (unsigned)requests);
}
END_TEST

static void setup(void)
{
	sim_start(1);
	sim_sockets(8);
	ck_assert_int_eq(og_net_global_init(&(struct og_error){ 0 }), 0);
	base = event_base_new();
	fake_start(&fake, base);
	fake.handler = on_request;
	evhttp_set_max_body_size(fake.http, 16 * OG_MIB);
}

static void teardown(void)
{
	forget_all();
	fake_stop(&fake);
	event_base_free(base);
}

int main(int argc, char **argv)
{
	Suite *s = suite_create("S3, every fault");
	TCase *tc = tcase_create("faults");
	SRunner *sr;
	int failed;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--only"))
			only = argv[i + 1];
		else if (!strcmp(argv[i], "--at"))
			(void)og_parse_u64(og_slice_str(argv[i + 1]), &only_at);
	}
	og_log_init("test_s3_faults", OG_LOG_ERROR, false);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_fault_at_every_request);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	/* Time does not pass in here by itself: no process that watches another. */
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
