/* Outgoing HTTP: libcurl's multi interface on libevent. */
#include "config.h"

#include "net/http_client.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "base/fd.h"

#define CONNECT_MS 5000u
#define STALL_S 30u
#define BODY_MAX (1u * OG_MIB)
#define HEADERS_MAX (64u * OG_KIB)
#define IDLE_S 55L
#define CONNECTIONS 64L
#define SMALL_SEND (60u * OG_KIB)	/* goes out in one piece with its header fields; libcurl does that below 64 KiB */
#define SPARE_MAX 16u			/* handles kept for the next transfers: making one costs more than a small request */

struct og_net {
	struct event_base *base;
	CURLM *multi;
	struct event *timer, *ended;
	struct watch *watches;
	struct og_net_transfer *transfers;
	CURL *spare[SPARE_MAX];
	size_t nspare;
	char *ca_file, *ca_dir, *https_proxy, *http_proxy, *all_proxy, *no_proxy;
};

/* A socket that libcurl wants to be told about. */
struct watch {
	struct og_net *net;
	struct event *ev;
	struct watch *next;
};

struct og_net_transfer {
	struct og_net *net;
	CURL *easy;
	struct curl_slist *headers;
	char *small;			/* a body that goes out with the header fields */
	struct og_slice *parts;
	size_t nparts;
	bool from_fd, may_resend, sink, was_sent;
	int fd, sink_fd;
	uint64_t offset, len, sent;
	uint64_t max_bytes, received, sink_at;
	unsigned status;
	bool too_large;
	struct og_error err;		/* what a callback of ours found */
	char reason[CURL_ERROR_SIZE];
	char host[256];			/* for messages */
	struct og_buf fields, body;
	og_net_cb head, cb;
	void *arg;
	struct og_net_transfer *next;
};

/* ---- header fields ---- */

int og_net_header_add(struct og_buf *fields, struct og_slice line, struct og_error *err)
{
	const char *colon;
	struct og_slice name, value;

	while (line.len && (line.p[line.len - 1] == '\n' || line.p[line.len - 1] == '\r'))
		line.len--;
	if (line.len >= 5 && memcmp(line.p, "HTTP/", 5) == 0) {
		og_buf_clear(fields);
		return 0;
	}
	colon = line.len ? memchr(line.p, ':', line.len) : NULL;
	/* A NUL would end a value early for whoever reads it as a string. */
	if (!colon || colon == line.p || memchr(line.p, '\0', line.len))
		return 0;
	name = og_slice(line.p, (size_t)(colon - line.p));
	value = og_slice(colon + 1, line.len - name.len - 1);
	while (value.len && (value.p[0] == ' ' || value.p[0] == '\t'))
		value = og_slice(value.p + 1, value.len - 1);
	while (value.len && (value.p[value.len - 1] == ' ' || value.p[value.len - 1] == '\t'))
		value.len--;
	if (name.len + value.len + 2 > HEADERS_MAX - OG_MIN(fields->len, HEADERS_MAX))
		return og_error_set(err, OG_ERR_TOO_LARGE, "more than %u bytes of header fields", HEADERS_MAX);
	og_buf_slice(fields, name);
	og_buf_byte(fields, 0);
	og_buf_slice(fields, value);
	og_buf_byte(fields, 0);
	return og_buf_ok(fields, err);
}

bool og_net_header_get(const struct og_buf *fields, const char *name, const char **value)
{
	const char *p = fields->data, *end = p + fields->len;

	while (p && p < end) {
		const char *v = p + strlen(p) + 1;

		if (strcasecmp(p, name) == 0) {
			*value = v;
			return true;
		}
		p = v + strlen(v) + 1;
	}
	return false;
}

bool og_net_header_find(const struct og_net_response *res, const char *name, const char **value)
{
	return og_net_header_get(res->headers, name, value);
}

bool og_net_date(const struct og_net_response *res, int64_t *seconds)
{
	const char *text;
	time_t t;

	if (!og_net_header_find(res, "date", &text))
		return false;
	t = curl_getdate(text, NULL);
	*seconds = (int64_t)t;
	return t != (time_t)-1;
}

/* ---- URLs ---- */

/* The host of a URL, an IPv6 address with its brackets, without user and port. */
static struct og_slice url_host(const char *url)
{
	const char *p = strstr(url, "://"), *end, *at;

	p = p ? p + 3 : url;
	end = p + strcspn(p, "/?#");
	at = memrchr(p, '@', (size_t)(end - p));
	if (at)
		p = at + 1;
	if (*p == '[') {
		const char *close = memchr(p, ']', (size_t)(end - p));

		return og_slice(p, close ? (size_t)(close - p) + 1 : (size_t)(end - p));
	}
	return og_slice(p, OG_MIN((size_t)(end - p), strcspn(p, ":")));
}

bool og_net_is_loopback(const char *url)
{
	struct og_slice h = url_host(url);

	if (og_slice_is(h, "[::1]") || (h.len == 9 && strncasecmp(h.p, "localhost", 9) == 0))
		return true;
	/* An address, not a name that begins like one. */
	return h.len > 4 && memcmp(h.p, "127.", 4) == 0 && strspn(h.p, "0123456789.") >= h.len;
}

/* ---- libcurl's callbacks ---- */

static size_t read_parts(struct og_net_transfer *t, uint64_t pos, char *out, size_t n)
{
	size_t done = 0;

	for (size_t i = 0; i < t->nparts && done < n; i++) {
		struct og_slice s = t->parts[i];
		size_t k;

		if (pos >= s.len) {
			pos -= s.len;
			continue;
		}
		k = OG_MIN(n - done, s.len - (size_t)pos);
		memcpy(out + done, s.p + pos, k);
		done += k;
		pos = 0;
	}
	return done;
}

static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
	struct og_net_transfer *t = arg;
	size_t n = (size_t)OG_MIN((uint64_t)size * count, t->len - t->sent);

	if (!n)
		return 0;
	if (t->from_fd) {
		if (og_fd_pread_all(t->fd, out, n, t->offset + t->sent, &t->err) < 0)
			return CURL_READFUNC_ABORT;
	} else if (read_parts(t, t->offset + t->sent, out, n) != n) {
		og_error_set(&t->err, OG_ERR_INTERNAL, "a body is shorter than it was said to be");
		return CURL_READFUNC_ABORT;
	}
	t->sent += n;
	return n;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct og_net_transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->len || !t->may_resend)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Before each sending: libcurl repeats on its own what it sent on a connection that turned out dead. */
static int on_sending(void *arg, char *local, char *remote, int local_port, int remote_port)
{
	struct og_net_transfer *t = arg;

	(void)local;
	(void)remote;
	(void)local_port;
	(void)remote_port;
	if (t->small && t->was_sent && !t->may_resend)
		return CURL_PREREQFUNC_ABORT;
	t->was_sent = true;
	return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct og_net_transfer *t = arg;
	size_t n = size * count;

	return og_net_header_add(&t->fields, og_slice(line, n), &t->err) < 0 ? 0 : n;
}

static void tell_head(struct og_net_transfer *t, long status)
{
	struct og_net_response res = { .status = (unsigned)status, .headers = &t->fields };
	og_net_cb head = t->head;

	t->head = NULL;
	if (head)
		head(t->arg, &res);
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
	struct og_net_transfer *t = arg;
	size_t n = size * count;
	long status = 0;
	bool good;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	good = status >= 200 && status < 300;
	if (!good) {
		/* Enough to say why; the rest is read and forgotten. */
		if (t->body.len < OG_NET_ERROR_BODY)
			og_buf_append(&t->body, p, OG_MIN(n, OG_NET_ERROR_BODY - t->body.len));
		return t->body.failed ? 0 : n;
	}
	tell_head(t, status);
	if (n > t->max_bytes - t->received) {
		t->too_large = true;
		return 0;
	}
	t->received += n;
	if (t->sink)
		return og_fd_pwrite_all(t->sink_fd, og_slice(p, n), t->sink_at + t->received - n, &t->err) < 0 ? 0 : n;
	og_buf_append(&t->body, p, n);
	return og_buf_ok(&t->body, &t->err) < 0 ? 0 : n;
}

/* ---- transfers ---- */

static CURL *take_handle(struct og_net *n)
{
	return n->nspare ? n->spare[--n->nspare] : curl_easy_init();
}

static void give_back(struct og_net *n, CURL *easy)
{
	if (n->nspare == SPARE_MAX) {
		curl_easy_cleanup(easy);
		return;
	}
	/* Nothing of a request stays in it: header fields hold signatures. */
	curl_easy_reset(easy);
	n->spare[n->nspare++] = easy;
}

static void transfer_free(struct og_net_transfer *t)
{
	struct og_net_transfer **at = &t->net->transfers;

	while (*at && *at != t)
		at = &(*at)->next;
	if (*at)
		*at = t->next;
	if (t->easy) {
		curl_multi_remove_handle(t->net->multi, t->easy);
		give_back(t->net, t->easy);
	}
	free(t->small);
	curl_slist_free_all(t->headers);
	free(t->parts);
	og_buf_fini(&t->fields);
	og_buf_fini(&t->body);
	free(t);
}

static enum og_net_outcome classify(struct og_net_transfer *t, CURLcode rc)
{
	long sent = 0, connect_status = 0;

	if (rc == CURLE_OK)
		return OG_NET_ANSWERED;
	if (t->too_large)
		return OG_NET_TOO_LARGE;
	if (t->err.code)
		return OG_NET_REFUSED;
	switch (rc) {
	case CURLE_ABORTED_BY_CALLBACK:
		return OG_NET_LOST;	/* sent, and not to be sent again */
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PROXY:
		return OG_NET_NOT_SENT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_OUT_OF_MEMORY:
		return OG_NET_REFUSED;
	default:
		/* A proxy that makes no tunnel, a time-out while connecting: not a byte of the request has left. */
		curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
		if (connect_status >= 300)
			return OG_NET_NOT_SENT;
		curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
		return sent > 0 ? OG_NET_LOST : OG_NET_NOT_SENT;
	}
}

static enum og_net_tls tls_fault(CURLcode rc)
{
	switch (rc) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return OG_NET_TLS_CERTIFICATE;
	case CURLE_SSL_CONNECT_ERROR:
		return OG_NET_TLS_HANDSHAKE;
	default:
		return OG_NET_TLS_FINE;
	}
}

static int outcome_code(enum og_net_outcome o)
{
	switch (o) {
	case OG_NET_ANSWERED:
		return 0;
	case OG_NET_NOT_SENT:
		return OG_ERR_UNAVAILABLE;
	case OG_NET_LOST:
		return OG_ERR_UNKNOWN;
	case OG_NET_TOO_LARGE:
		return OG_ERR_TOO_LARGE;
	case OG_NET_REFUSED:
		return OG_ERR_IO;
	}
	return OG_ERR_IO;
}

static void finish(struct og_net_transfer *t, CURLcode rc)
{
	struct og_net_response res = { .outcome = classify(t, rc), .tls = tls_fault(rc), .headers = &t->fields, .received = t->received };
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	res.status = status > 0 ? (unsigned)status : 0;
	res.body = og_buf_view(&t->body);
	if (res.outcome == OG_NET_TOO_LARGE) {
		og_error_set(&t->err, OG_ERR_TOO_LARGE, "%s: the answer is longer than %llu bytes", t->host,
			     (unsigned long long)t->max_bytes);
	} else if (res.outcome != OG_NET_ANSWERED && !t->err.code) {
		og_error_set(&t->err, outcome_code(res.outcome), "%s: %s", t->host,
			     t->reason[0] ? t->reason : curl_easy_strerror(rc));
	}
	if (res.outcome != OG_NET_ANSWERED)
		res.err = &t->err;
	/* The connection goes back before the completion, which may want one. */
	curl_multi_remove_handle(t->net->multi, t->easy);
	t->cb(t->arg, &res);
	transfer_free(t);
}

static void reap(struct og_net *n)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(n->multi, &left))) {
		struct og_net_transfer *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		finish(t, m->data.result);
	}
}

/* ---- events ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct og_net *n = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(n->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	reap(n);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct og_net *n = ((struct watch *)arg)->net;
	int running, bits = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	/* From here on the watch may be gone. */
	curl_multi_socket_action(n->multi, fd, bits, &running);
	reap(n);
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	reap(arg);
}

static int want_timer(CURLM *multi, long ms, void *arg)
{
	struct og_net *n = arg;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	(void)multi;
	if (!n->timer)
		return 0;
	if (ms < 0)
		return event_del(n->timer);
	return event_add(n->timer, &tv);
}

static void watch_free(struct watch *w)
{
	struct watch **at = &w->net->watches;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
	if (w->ev)
		event_free(w->ev);
	free(w);
}

static int want_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *socket_arg)
{
	struct og_net *n = arg;
	struct watch *w = socket_arg;
	short events = EV_PERSIST;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			watch_free(w);
		return 0;
	}
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return -1;
		w->net = n;
		w->next = n->watches;
		n->watches = w;
		curl_multi_assign(n->multi, s, w);
	}
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	if (w->ev)
		event_free(w->ev);
	w->ev = event_new(n->base, s, events, on_socket, w);
	return w->ev && event_add(w->ev, NULL) == 0 ? 0 : -1;
}

/* ---- set-up ---- */

int og_net_global_init(struct og_error *err)
{
	CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);

	return rc == CURLE_OK ? 0 : og_error_set(err, OG_ERR_INTERNAL, "libcurl: %s", curl_easy_strerror(rc));
}

static bool copy(char **out, const char *s)
{
	if (!s || !*s)
		return true;
	*out = strdup(s);
	return *out != NULL;
}

struct og_net *og_net_new(const struct og_net_config *c, struct og_error *err)
{
	struct og_net *n = calloc(1, sizeof(*n));

	if (!n) {
		og_error_nomem(err);
		return NULL;
	}
	n->base = c->base;
	n->multi = curl_multi_init();
	n->timer = event_new(c->base, -1, 0, on_timer, n);
	n->ended = event_new(c->base, -1, 0, on_ended, n);
	if (!n->multi || !n->timer || !n->ended || !copy(&n->ca_file, c->ca_file) || !copy(&n->ca_dir, c->ca_dir) ||
	    !copy(&n->https_proxy, c->https_proxy) || !copy(&n->http_proxy, c->http_proxy) ||
	    !copy(&n->all_proxy, c->all_proxy) || !copy(&n->no_proxy, c->no_proxy)) {
		og_net_free(n);
		og_error_nomem(err);
		return NULL;
	}
	curl_multi_setopt(n->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(n->multi, CURLMOPT_SOCKETDATA, n);
	curl_multi_setopt(n->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(n->multi, CURLMOPT_TIMERDATA, n);
	curl_multi_setopt(n->multi, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS);
	curl_multi_setopt(n->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS);
	curl_multi_setopt(n->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return n;
}

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void og_net_free(struct og_net *n)
{
	if (!n)
		return;
	while (n->transfers)
		transfer_free(n->transfers);
	while (n->nspare)
		curl_easy_cleanup(n->spare[--n->nspare]);
	if (n->multi)
		curl_multi_cleanup(n->multi);
	while (n->watches)
		watch_free(n->watches);
	if (n->timer)
		event_free(n->timer);
	if (n->ended)
		event_free(n->ended);
	wipe(&n->ca_file);
	wipe(&n->ca_dir);
	wipe(&n->https_proxy);
	wipe(&n->http_proxy);
	wipe(&n->all_proxy);
	wipe(&n->no_proxy);
	free(n);
}

/* ---- starting ---- */

static int add_header(struct og_net_transfer *t, const char *line, struct og_error *err)
{
	struct curl_slist *l = curl_slist_append(t->headers, line);

	if (!l)
		return og_error_nomem(err);
	t->headers = l;
	return 0;
}

static int set_headers(struct og_net_transfer *t, const struct og_net_request *req, struct og_error *err)
{
	struct og_buf b = { 0 };
	bool has_type = false;
	int rc = 0;

	(void)og_buf_reserve(&b, 511);
	for (size_t i = 0; i < req->nheaders && rc == 0; i++) {
		const struct og_net_header *h = &req->headers[i];

		has_type = has_type || strcasecmp(h->name, "content-type") == 0;

		if (strpbrk(h->value, "\r\n") || strpbrk(h->name, "\r\n:")) {
			rc = og_error_set(err, OG_ERR_BAD, "header %s holds a line end", h->name);
			break;
		}
		og_buf_clear(&b);
		/* "name:" alone would delete it; a semicolon sends it empty. */
		og_buf_str(&b, h->name);
		og_buf_str(&b, *h->value ? ": " : ";");
		og_buf_str(&b, h->value);
		rc = og_buf_ok(&b, err);
		if (rc == 0)
			rc = add_header(t, b.data, err);
		explicit_bzero(b.data, b.len);
	}
	og_buf_fini(&b);
	/* No waiting for 100 Continue, which many stores never say; no type that libcurl would make up. */
	if (rc == 0)
		rc = add_header(t, "Expect:", err);
	if (rc == 0 && t->small && !has_type)
		rc = add_header(t, "Content-Type:", err);
	return rc;
}

static void set_proxy(struct og_net_transfer *t, const struct og_net_request *req)
{
	const struct og_net *n = t->net;
	bool https = strncasecmp(req->url, "https:", 6) == 0;
	const char *proxy = https ? n->https_proxy : n->http_proxy;

	if (!proxy)
		proxy = n->all_proxy;
	if (req->no_proxy || !proxy || og_net_is_loopback(req->url))
		proxy = "";
	/* Set in any case: left out, libcurl would look into the environment. */
	curl_easy_setopt(t->easy, CURLOPT_PROXY, proxy);
	curl_easy_setopt(t->easy, CURLOPT_NOPROXY, n->no_proxy ? n->no_proxy : "");
}

/* A small body as one piece: libcurl then sends it in one packet with the header fields, which saves the server a wake-up. */
static int copy_small(struct og_net_transfer *t, const struct og_net_request *req, struct og_error *err)
{
	if (!req->send_body || req->from_fd || !req->len || req->len > SMALL_SEND)
		return 0;
	t->small = malloc(req->len);
	if (!t->small)
		return og_error_nomem(err);
	if (read_parts(t, t->offset, t->small, t->len) != t->len)
		return og_error_set(err, OG_ERR_INTERNAL, "a body is shorter than it was said to be");
	return 0;
}

static void set_body(struct og_net_transfer *t, const struct og_net_request *req)
{
	CURL *e = t->easy;

	if (strcmp(req->method, "HEAD") == 0) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
		return;
	}
	if (t->small) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->len);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->small);
	} else if (req->send_body) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->len);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(e, CURLOPT_READDATA, t);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, t);
		curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
	}
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method);
}

static void set_options(struct og_net_transfer *t, const struct og_net_request *req)
{
	CURL *e = t->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->reason);
	curl_easy_setopt(e, CURLOPT_URL, req->url);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_NETRC, CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_DNS_SHUFFLE_ADDRESSES, 1L);
	curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, IDLE_S);
	/* Allocated for each transfer: large only where much may come. */
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, t->sink || t->max_bytes > BODY_MAX ? 256L * 1024 : 16L * 1024);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(req->connect_ms ? req->connect_ms : CONNECT_MS));
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)(req->stall_s ? req->stall_s : STALL_S));
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)req->total_ms);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, req->no_verify ? 0L : 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, req->no_verify ? 0L : 2L);
	/* Instead of the system's: what is not given must not stay at its default. */
	if (t->net->ca_file || t->net->ca_dir) {
		curl_easy_setopt(e, CURLOPT_CAINFO, t->net->ca_file);
		curl_easy_setopt(e, CURLOPT_CAPATH, t->net->ca_dir);
	}
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_sending);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	set_proxy(t, req);
	set_body(t, req);
}

static int copy_request(struct og_net_transfer *t, const struct og_net_request *req, struct og_error *err)
{
	struct og_slice host = url_host(req->url);

	t->from_fd = req->from_fd;
	t->fd = req->fd;
	t->offset = req->offset;
	t->len = req->len;
	t->may_resend = req->may_resend;
	t->sink = req->sink;
	t->sink_fd = req->sink_fd;
	t->sink_at = req->sink_at;
	t->head = req->head;
	t->max_bytes = req->max_bytes ? req->max_bytes : BODY_MAX;
	snprintf(t->host, sizeof(t->host), "%.*s", OG_FMT(host));
	if (!req->nparts)
		return 0;
	t->parts = calloc(req->nparts, sizeof(*t->parts));
	if (!t->parts)
		return og_error_nomem(err);
	memcpy(t->parts, req->parts, req->nparts * sizeof(*t->parts));
	t->nparts = req->nparts;
	return 0;
}

struct og_net_transfer *og_net_start(struct og_net *n, const struct og_net_request *req, og_net_cb cb, void *arg,
				     struct og_error *err)
{
	struct og_net_transfer *t = calloc(1, sizeof(*t));
	int running;
	CURLMcode mc;

	if (!t) {
		og_error_nomem(err);
		return NULL;
	}
	t->net = n;
	t->cb = cb;
	t->arg = arg;
	t->next = n->transfers;
	n->transfers = t;
	t->easy = take_handle(n);
	if (!t->easy) {
		og_error_nomem(err);
		goto fail;
	}
	if (copy_request(t, req, err) < 0 || copy_small(t, req, err) < 0 || set_headers(t, req, err) < 0)
		goto fail;
	set_options(t, req);
	mc = curl_multi_add_handle(n->multi, t->easy);
	if (mc == CURLM_OK) {
		/* On its way now, where there is a connection, and not behind what else the loop has to do; completions wait for the loop. */
		curl_multi_socket_action(n->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		event_active(n->ended, EV_TIMEOUT, 0);
		return t;
	}
	og_error_set(err, OG_ERR_IO, "%s: %s", t->host, curl_multi_strerror(mc));
fail:
	transfer_free(t);
	return NULL;
}

void og_net_cancel(struct og_net_transfer *t)
{
	if (t)
		transfer_free(t);
}
