/* Listening sockets, deadlines, the server's life. */
#include "config.h"

#include "http/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/fd.h"

uint64_t og_http_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* RFC 9110 section 5.6.7, not by strftime: the locale must not matter. */
void og_http_date(struct og_http_server *s)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct timespec t;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	if (t.tv_sec == s->date_at && s->date_len)
		return;
	s->date_at = t.tv_sec;
	gmtime_r(&t.tv_sec, &tm);
	n = snprintf(s->date, sizeof(s->date), "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n", days + 3 * tm.tm_wday,
		     (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon, (unsigned)(tm.tm_year + 1900) % 10000,
		     (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
	s->date_len = n > 0 ? OG_MIN((size_t)n, sizeof(s->date) - 1) : 0;
}

char *og_http_spare_take(struct og_http_server *s)
{
	if (s && s->nspares)
		return s->spares[--s->nspares];
	return malloc(IN_SIZE);
}

void og_http_spare_give(struct og_http_server *s, char *p, size_t cap)
{
	if (s && cap == IN_SIZE && s->nspares < SPARE_MAX)
		s->spares[s->nspares++] = p;
	else
		free(p);
}

/* ---- deadlines ---- */

static void arm_tick(struct og_http_server *s)
{
	struct timeval tv = { s->tick_ms / 1000, (s->tick_ms % 1000) * 1000 };

	if (!s->tick_added && event_add(&s->tick, &tv) == 0)
		s->tick_added = true;
}

void og_http_timer(struct conn *c, enum conn_timer t)
{
	struct og_http_server *s = c->s;

	if (!s)
		return;
	if (c->timer != T_NONE)
		TAILQ_REMOVE(&s->timers[c->timer], c, timers);
	c->timer = t;
	if (t == T_NONE)
		return;
	/* Equal lengths and a clock that never goes back keep each list in order. */
	c->due_ms = og_http_now_ms() + s->timeout_ms[t];
	TAILQ_INSERT_TAIL(&s->timers[t], c, timers);
	arm_tick(s);
}

static void update_listeners(struct og_http_server *s)
{
	bool on = s->accepting && !s->draining && !s->starved && s->stats.connections < s->max_connections;

	if (on == s->listening)
		return;
	for (unsigned i = 0; i < s->nlisteners; i++) {
		if (on)
			event_add(&s->listeners[i], NULL);
		else
			event_del(&s->listeners[i]);
	}
	s->listening = on;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct og_http_server *s = arg;
	uint64_t now = og_http_now_ms();
	bool any = false;
	struct conn *c;

	(void)fd;
	(void)what;
	s->tick_added = false;
	if (s->starved) {
		s->starved = false;
		update_listeners(s);
	}
	for (unsigned i = 0; i < T_COUNT; i++) {
		while ((c = TAILQ_FIRST(&s->timers[i])) && c->due_ms <= now)
			og_http_conn_timeout(c);
		any |= !TAILQ_EMPTY(&s->timers[i]);
	}
	if (any)
		arm_tick(s);
}

/* ---- connections ---- */

static void on_empty(evutil_socket_t fd, short what, void *arg)
{
	struct og_http_server *s = arg;
	void (*f)(void *) = s->on_empty;

	(void)fd;
	(void)what;
	if (!f || s->stats.connections)
		return;
	s->on_empty = NULL;
	f(s->empty_arg); /* may free s */
}

static void check_empty(struct og_http_server *s)
{
	static const struct timeval at_once;

	if (s->draining && s->on_empty && s->stats.connections == 0)
		event_add(&s->empty, &at_once);
}

void og_http_server_lost(struct og_http_server *s)
{
	s->stats.connections--;
	update_listeners(s);
	check_empty(s);
}

/* Takes fd over. */
static int adopt(struct og_http_server *s, int fd, struct og_error *err)
{
	struct conn *c = og_http_conn_new(s, fd);

	if (!c) {
		s->stats.refused++;
		og_fd_close(&fd);
		return og_error_nomem(err);
	}
	s->stats.accepted++;
	s->stats.connections++;
	update_listeners(s);
	/* The request has often come along with the connection. */
	og_http_conn_readable(c);
	return 0;
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct og_http_server *s = arg;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct og_error err;

	(void)what;
	if (conn >= 0) {
		(void)adopt(s, conn, &err); /* counted; the peer sees it closed */
		return;
	}
	/* Another process was faster, or the peer left: nothing lost. Out of descriptors or memory: try again in a tick. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		s->stats.refused++;
		s->starved = true;
		update_listeners(s);
		arm_tick(s);
	}
}

/* ---- the server ---- */

static uint32_t or_default(uint32_t v, uint32_t d)
{
	return v ? v : d;
}

static uint32_t connection_limit(uint32_t wanted)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY) {
		uint64_t room = rl.rlim_cur > 128 ? rl.rlim_cur - 64 : 64;

		if (wanted > room)
			return (uint32_t)room;
	}
	return wanted;
}

struct og_http_server *og_http_server_new(struct event_base *base, const struct og_http_config *c, og_http_on_request handler,
					  void *arg, struct og_error *err)
{
	struct og_http_server *s = calloc(1, sizeof(*s));
	uint32_t least = UINT32_MAX;

	if (!s) {
		og_error_nomem(err);
		return NULL;
	}
	s->base = base;
	s->handler = handler;
	s->arg = arg;
	s->timeout_ms[T_HEADER] = or_default(c->header_timeout_ms, 30000);
	s->timeout_ms[T_IDLE] = or_default(c->idle_timeout_ms, 75000);
	s->timeout_ms[T_BODY] = or_default(c->body_timeout_ms, 60000);
	s->timeout_ms[T_WRITE] = s->timeout_ms[T_BODY];
	s->timeout_ms[T_LINGER] = 5000;
	s->max_connections = connection_limit(or_default(c->max_connections, 10000));
	s->stream_buffer = or_default(c->stream_buffer_bytes, OG_HTTP_STREAM_BUFFER);
	s->body_memory = c->body_memory_bytes ? c->body_memory_bytes : 512ull * OG_MIB;
	for (unsigned i = 0; i < T_COUNT; i++) {
		TAILQ_INIT(&s->timers[i]);
		least = OG_MIN(least, s->timeout_ms[i]);
	}
	s->tick_ms = OG_MAX(10u, OG_MIN(1000u, least / 4));
	TAILQ_INIT(&s->all);
	s->accepting = true;
	evtimer_assign(&s->tick, base, on_tick, s);
	evtimer_assign(&s->empty, base, on_empty, s);
	return s;
}

int og_http_server_listen(struct og_http_server *s, int fd, struct og_error *err)
{
	static const int on = 1;

	if (s->nlisteners == LISTEN_MAX)
		return og_error_set(err, OG_ERR_TOO_LARGE, "more than %u listening sockets", LISTEN_MAX);
	if (og_fd_nonblock(fd, err) < 0)
		return err->code;
	/* Accepted sockets inherit it; a UNIX socket has none. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	event_assign(&s->listeners[s->nlisteners], s->base, fd, EV_READ | EV_PERSIST, on_accept, s);
	if (s->listening)
		event_add(&s->listeners[s->nlisteners], NULL);
	s->nlisteners++;
	update_listeners(s);
	return 0;
}

int og_http_server_adopt(struct og_http_server *s, int fd, struct og_error *err)
{
	if (og_fd_nonblock(fd, err) < 0 || og_fd_cloexec(fd, err) < 0) {
		og_fd_close(&fd);
		return err->code;
	}
	return adopt(s, fd, err);
}

void og_http_server_accept(struct og_http_server *s, bool on)
{
	s->accepting = on;
	update_listeners(s);
}

void og_http_server_close_idle(struct og_http_server *s)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&s->all); c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->state == CONN_HEAD && c->in_len == 0 && !c->running) {
			og_http_conn_drop(c, false);
			og_http_conn_release(c);
		}
	}
}

static void close_listeners(struct og_http_server *s)
{
	for (unsigned i = 0; i < s->nlisteners; i++) {
		int fd = event_get_fd(&s->listeners[i]);

		event_del(&s->listeners[i]);
		og_fd_close(&fd);
	}
	s->nlisteners = 0;
}

/* Those whom the kernel has let in already: their requests may have been sent before we stopped. */
static void accept_backlog(struct og_http_server *s)
{
	struct og_error err;

	for (unsigned i = 0; i < s->nlisteners; i++) {
		int fd = event_get_fd(&s->listeners[i]), conn;

		while (s->stats.connections < s->max_connections && (conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
			(void)adopt(s, conn, &err);	/* as in on_accept */
	}
}

void og_http_server_drain(struct og_http_server *s, void (*done)(void *arg), void *arg)
{
	s->on_empty = done;
	s->empty_arg = arg;
	s->draining = true;
	update_listeners(s);
	accept_backlog(s);
	close_listeners(s);
	og_http_server_close_idle(s);
	check_empty(s);
}

struct og_http_stats og_http_server_stats(const struct og_http_server *s)
{
	return s->stats;
}

void og_http_server_free(struct og_http_server *s)
{
	struct conn *c;

	if (!s)
		return;
	s->draining = true;
	s->on_empty = NULL;
	close_listeners(s);
	while ((c = TAILQ_FIRST(&s->all))) {
		c->running = true; /* keeps it while the handler is told */
		if (c->fd >= 0)
			og_http_conn_drop(c, true);
		c->running = false;
		TAILQ_REMOVE(&s->all, c, all);
		if (c->held)
			s->stats.in_flight--;
		c->s = NULL;
		og_http_conn_release(c);
	}
	event_del(&s->tick);
	event_del(&s->empty);
	while (s->nspares)
		free(s->spares[--s->nspares]);
	free(s);
}
