/*
 * A large get, into a descriptor: the first range, and as soon as its header fields say how much there is and under which ETag, the others beside
 * it. All are written where they belong, so that a repetition writes over what came before.
 */
#include "config.h"

#include "store/s3_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

#define LANES 8u
#define IN_FLIGHT 32u	/* of all gets of a store: commits need connections too */

struct lane {
	struct s3_op *op;
	struct s3_call *call;
	uint64_t first, len;
	char range[64];
};

struct s3_ranges {
	struct s3_op *op;
	int fd;				/* op->fd, or the caller's */
	bool asked;			/* the first range, or all of it */
	bool whole;			/* asked without a range */
	bool known;			/* size and tag */
	bool first_done;
	uint64_t max, size, next;
	struct og_store_tag tag;	/* "": the store sends none */
	unsigned busy;
	struct lane lanes[LANES];
	struct event *more;
	struct s3_ranges *next_fetch;
};

static void pump(struct s3_store *s);

static void stop_lane(struct s3_ranges *r, struct lane *l)
{
	l->call = NULL;
	r->busy--;
	r->op->s->ranges_in_flight--;
}

static void drop_lanes(struct s3_ranges *r)
{
	for (unsigned i = 0; i < LANES; i++) {
		struct s3_call *c = r->lanes[i].call;

		if (!c)
			continue;
		stop_lane(r, &r->lanes[i]);
		s3_call_drop(c);
	}
}

/* The calls are dropped by whoever ends the operation, or by the store's end. */
void s3_ranges_free(struct s3_op *op)
{
	struct s3_ranges *r = op->ranges, **at = &op->s->fetches;

	if (!r)
		return;
	while (*at && *at != r)
		at = &(*at)->next_fetch;
	if (*at)
		*at = r->next_fetch;
	if (r->more)
		event_free(r->more);
	free(r);
	op->ranges = NULL;
}

static void give_up(struct s3_ranges *r, int code, const struct og_error *err)
{
	struct s3_store *s = r->op->s;

	drop_lanes(r);
	s3_op_fail(r->op, code, err);
	pump(s);
}

static void finish(struct s3_ranges *r)
{
	struct s3_op *op = r->op;
	struct s3_store *s = op->s;
	struct og_store_result res = { .size = r->size, .fd = -1, .tag = r->tag };
	struct og_error err = { 0 };
	uint64_t have;
	int e;

	/* Longer: room that the caller made, or an earlier try at what was another object. */
	if (og_fd_size(r->fd, &have, &err) == 0 && have > r->size && ftruncate(r->fd, (off_t)r->size) < 0) {
		e = errno;
		og_error_sys(&err, e, "ftruncate");
	}
	if (!err.code && op->req.want_tag && !r->tag.s[0])
		og_error_set(&err, OG_ERR_IO, "the object store sends no ETag");
	if (err.code) {
		give_up(r, err.code, &err);
		return;
	}
	if (!op->req.into) {
		res.fd = op->fd;
		op->fd = -1;
	}
	op->cb(op->arg, &res);
	og_fd_close(&res.fd);
	s3_op_free(op);
	pump(s);
}

static void read_tag(const struct og_net_response *res, struct og_store_tag *tag)
{
	const char *etag;

	tag->s[0] = '\0';
	if (og_net_header_find(res, "etag", &etag) && strlen(etag) < sizeof(tag->s))
		strcpy(tag->s, etag);
}

/* Of which object, of which size this is the part that was asked for. */
static bool read_part(const struct lane *l, const struct og_net_response *res, uint64_t *size, struct og_store_tag *tag)
{
	uint64_t first = UINT64_MAX;

	*size = UINT64_MAX;
	read_tag(res, tag);
	return res->status == 206 && s3_content_range(res, &first, size) && first == l->first && *size <= INT64_MAX;
}

/* ---- all of it ---- */

/* Something did not fit together: another object by now, or a store that knows ranges by half. One answer fits together in itself. */
static void ask_whole(struct s3_ranges *r)
{
	struct s3_store *s = r->op->s;
	struct og_error err = { 0 };

	drop_lanes(r);
	if (r->whole) {
		og_error_set(&err, OG_ERR_IO, "the answer is none to a request for the whole object");
		give_up(r, err.code, &err);
		return;
	}
	r->whole = true;
	r->asked = r->known = r->first_done = false;
	pump(s);
}

/* ---- the first range ---- */

/* From within libcurl: to be understood now, acted upon later. */
static void on_first_head(struct s3_call *c, const struct og_net_response *res, void *arg)
{
	struct lane *l = arg;
	struct s3_ranges *r = l->op->ranges;
	struct og_store_tag tag;
	uint64_t size;

	(void)c;
	if (r->known || !read_part(l, res, &size, &tag) || !tag.s[0] || size > r->max || size <= l->len)
		return;
	r->known = true;
	r->size = size;
	r->tag = tag;
	r->next = l->len;
	event_active(r->more, EV_TIMEOUT, 1);
}

static void first_answered(struct s3_ranges *r, struct lane *l, const struct og_net_response *res)
{
	struct og_store_tag tag;
	struct og_error err = { 0 };
	uint64_t size;

	if (res->status != 206 && !r->known) {	/* it knows no ranges */
		read_tag(res, &r->tag);
		r->size = res->received;
		finish(r);
	} else if (r->whole || !read_part(l, res, &size, &tag) || res->received != OG_MIN(size, l->len) ||
		   (r->known && (size != r->size || strcmp(tag.s, r->tag.s) != 0)) || (size > l->len && !tag.s[0])) {
		ask_whole(r);
	} else if (size > r->max) {
		og_error_set(&err, OG_ERR_TOO_LARGE, "longer than %llu bytes", (unsigned long long)r->max);
		give_up(r, err.code, &err);
	} else {
		if (!r->known)
			r->next = res->received;
		r->known = r->first_done = true;
		r->size = size;
		r->tag = tag;
		if (r->next >= size && !r->busy)
			finish(r);
		else
			pump(r->op->s);
	}
}

static void on_first(struct s3_call *c, void *arg)
{
	struct lane *l = arg;
	struct s3_op *op = l->op;
	struct s3_ranges *r = op->ranges;

	stop_lane(r, l);
	if (c->cls == S3_OK) {
		first_answered(r, l, c->res);
	} else if (c->cls == S3_RANGE && !r->known && !r->whole) {
		/* Not even a first byte. */
		read_tag(c->res, &r->tag);
		r->size = 0;
		finish(r);
	} else {
		give_up(r, s3_op_code(op, c->cls), &c->err);
	}
}

/* ---- the others ---- */

static void on_lane(struct s3_call *c, void *arg)
{
	struct lane *l = arg;
	struct s3_op *op = l->op;
	struct s3_ranges *r = op->ranges;
	struct og_store_tag tag;
	uint64_t size;

	stop_lane(r, l);
	if (c->cls == S3_OK && read_part(l, c->res, &size, &tag) && size == r->size && c->res->received == l->len &&
	    (!tag.s[0] || strcmp(tag.s, r->tag.s) == 0)) {
		if (r->next >= r->size && !r->busy && r->first_done)
			finish(r);
		else
			pump(op->s);
	} else if (c->cls == S3_OK || c->cls == S3_PRECONDITION || c->cls == S3_RANGE || c->cls == S3_TOO_LARGE) {
		ask_whole(r);
	} else {
		give_up(r, s3_op_code(op, c->cls), &c->err);
	}
}

static void set_range(struct s3_ranges *r, struct lane *l, uint64_t first, uint64_t len)
{
	l->first = first;
	l->len = len;
	if (r->whole)
		return;
	snprintf(l->range, sizeof(l->range), "bytes=%llu-%llu", (unsigned long long)first, (unsigned long long)(first + len - 1));
	s3_call_header(l->call, "range", l->range);
}

/* false: no memory. */
static bool start_lane(struct s3_ranges *r)
{
	struct s3_op *op = r->op;
	struct lane *l = r->lanes;
	struct s3_call *c;

	while (l->call)
		l++;
	c = s3_call_new(op->s, "GET", op->req.key, r->asked ? on_lane : on_first, l);
	if (!c)
		return false;
	l->op = op;
	l->call = c;
	if (r->asked) {
		set_range(r, l, r->next, OG_MIN(op->s->range_bytes, r->size - r->next));
		s3_call_header(c, "if-match", r->tag.s);
		c->net.max_bytes = l->len;	/* more would go where other ranges belong */
		r->next += l->len;
	} else {
		set_range(r, l, 0, op->s->range_bytes);
		c->head = r->whole ? NULL : on_first_head;
		c->net.max_bytes = r->max;
		r->asked = true;
	}
	c->net.sink = true;
	c->net.sink_fd = r->fd;
	c->net.sink_at = l->first;
	r->busy++;
	op->s->ranges_in_flight++;
	s3_call_start(c);
	return true;
}

static bool has_more(const struct s3_ranges *r)
{
	return r->busy < LANES && (!r->asked || (r->known && r->next < r->size));
}

/* What was asked for first is had first: whoever waits for several objects begins with one. */
static void pump(struct s3_store *s)
{
	struct s3_ranges *r = s->fetches;
	struct og_error err = { 0 };

	while (r && s->ranges_in_flight < IN_FLIGHT) {
		if (!has_more(r)) {
			r = r->next_fetch;
		} else if (!start_lane(r)) {
			give_up(r, og_error_nomem(&err), &err);	/* pumps in its turn */
			return;
		}
	}
}

static void on_more(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(((struct s3_ranges *)arg)->op->s);
}

void s3_ranges_begin(struct s3_op *op)
{
	struct s3_ranges *r = calloc(1, sizeof(*r)), **end;
	struct og_error err = { 0 };

	if (r)
		r->more = event_new(op->s->store.base, -1, 0, on_more, r);
	if (!r || !r->more) {
		free(r);
		s3_op_fail(op, og_error_nomem(&err), &err);
		return;
	}
	r->op = op;
	r->max = op->req.max_bytes ? op->req.max_bytes : UINT64_MAX;
	op->ranges = r;
	if (!op->req.into && og_memfd_new("og-object", &op->fd, &err) < 0) {
		s3_op_fail(op, err.code, &err);
		return;
	}
	r->fd = op->req.into ? op->req.into_fd : op->fd;
	for (end = &op->s->fetches; *end; end = &(*end)->next_fetch)
		;
	*end = r;
	pump(op->s);
}
