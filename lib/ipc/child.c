/* The common start of og-master's children, and their log channel. */
#include "config.h"

#include "ipc/child.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/num.h"
#include "ipc/wire.h"

#define START_SECONDS 30
#define LOG_BUFFER_MAX (256u * OG_KIB)

/* Lines wait here for the loop's thread; any thread may add. */
struct og_child_log {
	struct og_child *child;
	pthread_mutex_t lock;
	struct og_buf lines;
	uint64_t dropped;
	int wake_fd;
	struct event wake;
};

/* --- log ------------------------------------------------------------------------------------------- */

static void log_sink(void *arg, const char *line, size_t len)
{
	struct og_child_log *l = arg;
	static const uint64_t one = 1;
	bool first;

	pthread_mutex_lock(&l->lock);
	first = l->lines.len == 0;
	if (l->lines.len + len > LOG_BUFFER_MAX)
		l->dropped++;
	else
		og_buf_append(&l->lines, line, len);
	if (l->lines.failed) {
		l->lines.failed = false;
		l->dropped++;
	}
	pthread_mutex_unlock(&l->lock);
	if (first)
		(void)!write(l->wake_fd, &one, sizeof(one)); /* a full counter wakes all the same */
}

/* Whole lines, as many as fit one message. */
static size_t batch_len(const struct og_buf *lines)
{
	size_t room = OG_IPC_INLINE_MAX - 16, n = lines->len;

	if (n <= room)
		return n;
	for (n = room; n && lines->data[n - 1] != '\n'; n--)
		;
	return n;
}

static uint64_t count_lines(const char *p, size_t n)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

static void log_flush(struct og_child_log *l)
{
	struct og_chan *c = l->child->master;

	pthread_mutex_lock(&l->lock);
	while (l->lines.len && c && og_chan_alive(c)) {
		size_t n = batch_len(&l->lines);
		struct og_buf body = { 0 };

		og_put_u64(&body, l->dropped);
		og_put_bytes(&body, og_slice(l->lines.data, n));
		if (og_chan_send(c, OG_IPC_LOG, &body, -1, NULL) < 0)
			l->dropped += count_lines(l->lines.data, n);
		else
			l->dropped = 0;
		og_buf_fini(&body);
		og_buf_consume(&l->lines, n);
	}
	pthread_mutex_unlock(&l->lock);
}

static void on_log_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	(void)!read(fd, &n, sizeof(n));
	log_flush(arg);
}

static int log_open(struct og_child *c, struct og_error *err)
{
	struct og_child_log *l = calloc(1, sizeof(*l));
	int e;

	if (!l)
		return og_error_nomem(err);
	l->child = c;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		e = errno;
		free(l);
		return og_error_sys(err, e, "eventfd");
	}
	pthread_mutex_init(&l->lock, NULL);
	event_assign(&l->wake, c->base, l->wake_fd, EV_READ | EV_PERSIST, on_log_wake, l);
	event_add(&l->wake, NULL);
	c->log = l;
	og_log_set_sink(log_sink, l);
	return 0;
}

/* What is still here goes out, or to stderr once og-master is gone. */
static void log_close(struct og_child *c)
{
	struct og_child_log *l = c->log;

	if (!l)
		return;
	og_log_set_sink(NULL, NULL);
	log_flush(l);
	if (l->lines.len)
		(void)!write(STDERR_FILENO, l->lines.data, l->lines.len);
	event_del(&l->wake);
	og_fd_close(&l->wake_fd);
	og_buf_fini(&l->lines);
	pthread_mutex_destroy(&l->lock);
	free(l);
	c->log = NULL;
}

/* --- messages of og-master ------------------------------------------------------------------------- */

static int on_listen(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_child *c = arg;
	struct og_reader r = og_ipc_body(m);
	struct og_slice addr = og_read_bytes(&r);

	if (og_reader_end(&r, err) < 0)
		return err->code;
	free(c->listen_addr);
	c->listen_addr = strndup(addr.p ? addr.p : "", addr.len);
	if (!c->listen_addr)
		return og_error_nomem(err);
	og_fd_close(&c->listen_fd);
	c->listen_fd = og_ipc_take_fd(m);
	return og_fd_nonblock(c->listen_fd, err);
}

static int on_secrets(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_child *c = arg;

	if (c->self != OG_ROLE_STORAGED)
		return og_error_set(err, OG_ERR_PEER, "secrets are for og-storaged alone");
	og_fd_close(&c->secrets_fd);
	c->secrets_fd = og_ipc_take_fd(m);
	return 0;
}

static int on_channel(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_child *c = arg;
	struct og_reader r = og_ipc_body(m);
	struct og_child_peer p;
	uint8_t role;

	role = og_read_u8(&r);
	p.index = og_read_u32(&r);
	p.incarnation = og_read_u32(&r);
	if (og_reader_end(&r, err) < 0)
		return err->code;
	if (role >= OG_ROLE_COUNT)
		return og_error_set(err, OG_ERR_PEER, "a channel to role %u", role);
	p.role = (enum og_role)role;
	p.fd = og_ipc_take_fd(m);
	if (c->started) {
		int rc = c->ops->channel ? c->ops->channel(c->arg, &p, err) : 0;

		og_fd_close(&p.fd);
		return rc;
	}
	if (c->npeers == OG_CHILD_PEERS_MAX) {
		og_fd_close(&p.fd);
		return og_error_set(err, OG_ERR_TOO_LARGE, "more than %d channels", OG_CHILD_PEERS_MAX);
	}
	c->peers[c->npeers++] = p;
	return 0;
}

/* Keys and values move into one buffer, NUL behind each, so that they outlive the message and read as C strings. */
static int take_settings(struct og_child *c, struct og_reader *r, struct og_error *err)
{
	uint32_t n = og_read_count(r, 8);
	struct og_buf *t = &c->settings_text;
	char *p, *end;

	for (uint32_t i = 0; i < 2 * n; i++) {
		struct og_slice s = og_read_bytes(r);

		if (s.len && memchr(s.p, 0, s.len))
			return og_error_set(err, OG_ERR_PEER, "a setting with a NUL byte");
		og_buf_slice(t, s);
		og_buf_byte(t, 0);
	}
	if (og_reader_end(r, err) < 0 || og_buf_ok(t, err) < 0)
		return err->code;
	for (p = t->data, end = t->data + t->len; p < end;) {
		char *value = p + strlen(p) + 1;
		struct og_map_entry *e = og_map_put(&c->settings, og_slice_str(p), NULL);

		if (!e)
			return og_error_nomem(err);
		e->value = (uint64_t)(uintptr_t)value;
		p = value + strlen(value) + 1;
	}
	return 0;
}

static int on_start(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_child *c = arg;
	struct og_reader r = og_ipc_body(m);
	int rc;

	c->generation = og_read_u32(&r);
	c->index = og_read_u32(&r);
	if ((rc = take_settings(c, &r, err)) < 0)
		return rc;
	c->started = true;
	og_chan_set_state(c->master, OG_IPC_BOOTING);
	return 0;
}

static int on_drain(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_child *c = arg;
	struct og_reader r = og_ipc_body(m);
	uint32_t ms = og_read_u32(&r);

	if (og_reader_end(&r, err) < 0)
		return err->code;
	if (c->ops->drain)
		c->ops->drain(c->arg, ms);
	return 0;
}

static void on_stop_again(evutil_socket_t fd, short what, void *arg)
{
	struct og_child *c = arg;

	c->ops->stop(c->arg);
}

/* What came along with START is handled before the program runs its loop, and breaking a loop that does not run is forgotten: it is
 * said once more by the next loop that runs. */
static void say_stop(struct og_child *c)
{
	static const struct timeval at_once;

	c->ops->stop(c->arg);
	(void)event_base_once(c->base, -1, EV_TIMEOUT, on_stop_again, c, &at_once);
}

static int on_stop(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_child *c = arg;

	if (!c->started)
		return og_error_set(err, OG_ERR_CANCELLED, "stopped before the start");
	say_stop(c);
	return 0;
}

static int on_cancel(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_child *c = arg;
	struct og_reader r = og_ipc_body(m);
	struct og_slice id = og_read_bytes(&r);

	if (og_reader_end(&r, err) < 0)
		return err->code;
	if (c->ops->cancel)
		c->ops->cancel(c->arg, id);
	return 0;
}

static int on_stats(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct og_child *c = arg;
	struct og_error why = { 0 };
	struct og_buf reply = { 0 };
	int rc = 0;

	if (c->ops->stats) {
		rc = c->ops->stats(c->arg, &reply, &why);
	} else {
		og_put_u32(&reply, 0);
		og_put_u32(&reply, 0);
	}
	if (rc == 0)
		rc = og_chan_answer(m->chan, m->request, OG_IPC_STATS_REPLY, &reply, -1, &why);
	if (rc < 0)
		og_chan_fail(m->chan, m->request, &why);
	og_buf_fini(&reply);
	return 0;
}

#define STARTED (OG_IPC_BOOTING | OG_IPC_RUNNING)
static const struct og_ipc_rule master_rules[] = {
	{ OG_IPC_LISTEN, OG_IPC_NEW, on_listen },	{ OG_IPC_SECRETS, OG_IPC_NEW, on_secrets },
	{ OG_IPC_CHANNEL, OG_IPC_ANY_STATE, on_channel }, { OG_IPC_START, OG_IPC_NEW, on_start },
	{ OG_IPC_DRAIN, STARTED, on_drain },		{ OG_IPC_STOP, OG_IPC_ANY_STATE, on_stop },
	{ OG_IPC_CANCEL, STARTED, on_cancel },		{ OG_IPC_STATS, STARTED, on_stats },
};

static void on_closed(void *arg, struct og_chan *chan, const struct og_error *why)
{
	struct og_child *c = arg;

	if (why->code)
		c->fault = *why;
	else
		og_error_set(&c->fault, OG_ERR_UNAVAILABLE, "og-master is gone");
	if (c->started)
		say_stop(c);
}

/* --- public ---------------------------------------------------------------------------------------- */

static int role_of(const char *name, enum og_role *role, struct og_error *err)
{
	static const enum og_role roles[] = { OG_ROLE_STORAGED, OG_ROLE_WORKER, OG_ROLE_BUILDER };

	for (size_t i = 0; i < OG_COUNT(roles); i++) {
		if (name && strcmp(name, og_role_name(roles[i])) == 0) {
			*role = roles[i];
			return 0;
		}
	}
	return og_error_set(err, OG_ERR_BAD, "this program is started by og-master or og-cli, not by hand");
}

static void set_up_log(struct og_child *c)
{
	const char *proc = og_child_setting(c, "proc"), *format = og_child_setting(c, "log.format");

	og_log_init(proc ? proc : og_role_name(c->self), og_log_parse_level(og_child_setting(c, "log.level")),
		    format && strcmp(format, "json") == 0);
}

/* Whoever started us decides when we stop: the terminal's signals are not ours. A file over the limit is an error like any other. */
static void ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGXFSZ };

	for (size_t i = 0; i < OG_COUNT(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

static void on_start_limit(evutil_socket_t fd, short what, void *arg)
{
	struct og_child *c = arg;

	og_error_set(&c->fault, OG_ERR_TIMEOUT, "og-master sent no START within %d s", START_SECONDS);
}

static int await_start(struct og_child *c, struct og_error *err)
{
	static const struct timeval limit = { START_SECONDS, 0 };
	struct event timer;

	evtimer_assign(&timer, c->base, on_start_limit, c);
	evtimer_add(&timer, &limit);
	while (!c->started && !c->fault.code)
		if (event_base_loop(c->base, EVLOOP_ONCE) < 0)
			og_error_set(&c->fault, OG_ERR_IO, "the event loop failed");
	event_del(&timer);
	if (c->fault.code) {
		*err = c->fault;
		return err->code;
	}
	return 0;
}

int og_child_start(struct og_child *c, int argc, char **argv, const struct og_child_ops *ops, void *arg,
		   struct og_error *err)
{
	struct og_chan_cfg cfg = {
		.peer = OG_ROLE_MASTER,
		.rules = master_rules,
		.nrules = OG_COUNT(master_rules),
		.arg = c,
		.closed = on_closed,
	};
	int rc;

	memset(c, 0, sizeof(*c));
	c->listen_fd = c->secrets_fd = -1;
	c->ops = ops;
	c->arg = arg;
	if ((rc = role_of(argc > 1 ? argv[1] : NULL, &c->self, err)) < 0)
		return rc;
	if (argc > 2 && strcmp(argv[2], "operator") == 0)
		cfg.peer = OG_ROLE_OPERATOR;
	cfg.self = c->self;
	ignore_signals();
	c->base = event_base_new();
	if (!c->base)
		return og_error_set(err, OG_ERR_IO, "no event loop");
	c->master = og_chan_new(c->base, OG_CHILD_FD, &cfg, err);
	if (!c->master)
		return err->code;
	if ((rc = await_start(c, err)) < 0)
		return rc;
	set_up_log(c);
	return log_open(c, err);
}

const char *og_child_setting(const struct og_child *c, const char *key)
{
	struct og_map_entry *e = og_map_find(&c->settings, og_slice_str(key));

	return e ? (const char *)(uintptr_t)e->value : NULL;
}

uint64_t og_child_setting_u64(const struct og_child *c, const char *key, uint64_t otherwise)
{
	const char *text = og_child_setting(c, key);
	uint64_t v;

	return text && og_parse_u64(og_slice_str(text), &v) ? v : otherwise;
}

int og_child_ready(struct og_child *c, uint32_t held, const char *note, struct og_error *err)
{
	struct og_buf b = { 0 };
	int rc;

	og_put_u32(&b, held);
	og_put_str(&b, note);
	rc = og_chan_send(c->master, OG_IPC_READY, &b, -1, err);
	og_buf_fini(&b);
	if (rc == 0)
		og_chan_set_state(c->master, OG_IPC_RUNNING);
	return rc;
}

int og_child_abort(struct og_child *c, const struct og_error *why)
{
	struct og_buf b = { 0 };
	bool told = false;

	if (c->log)
		log_flush(c->log);
	if (c->master && og_chan_alive(c->master)) {
		og_put_u32(&b, 0);
		og_wire_put_error(&b, why);
		told = og_chan_send(c->master, OG_IPC_REJECTED, &b, -1, NULL) == 0;
		og_chan_flush(c->master, 1000);
		og_buf_fini(&b);
	}
	if (!told)
		fprintf(stderr, "Error: %s\n", why->message);
	og_child_fini(c);
	return 1;
}

void og_child_fini(struct og_child *c)
{
	log_close(c);
	if (c->master && og_chan_alive(c->master))
		og_chan_flush(c->master, 1000);
	og_chan_free(c->master);
	c->master = NULL;
	for (size_t i = 0; i < c->npeers; i++)
		og_fd_close(&c->peers[i].fd);
	c->npeers = 0;
	og_fd_close(&c->listen_fd);
	og_fd_close(&c->secrets_fd);
	free(c->listen_addr);
	c->listen_addr = NULL;
	og_map_fini(&c->settings);
	og_buf_fini(&c->settings_text);
	if (c->base)
		event_base_free(c->base);
	c->base = NULL;
}
