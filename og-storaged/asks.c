/*
 * Requests for images: answered from the cache, or queued until the image is built; and when it may be.
 *
 * A worker asks in the name of a query (a claim), from its first request until it says that it has all (IMAGE_DONE). The claim that began first has its
 * turn: for it others' images go, and those that it has itself it keeps until its query ends. The others get what is here, and what fits without anything
 * going. So each has all that it needs at its turn, and two that together need more than there is cannot take each other's images for ever. When the budget
 * holds nothing but images in use, whose turn it is may go beyond, to `most`; what does not fit there either is refused when nothing is given back for a
 * while.
 */
#include "config.h"

#include "storaged.h"

#include <stdlib.h>

#include "base/date.h"
#include "base/log.h"

#define FORCE_MS 100		/* whose turn it is waits so long for running queries to end before it goes beyond the budget */
#define REFUSE_MS 10000		/* and is refused when nothing has been built or given back for so long */
#define SILENT_MS 1000		/* a claim that neither asks nor ends for so long has had its turn */
#define BLOCKED_MS 20		/* between two looks while somebody waits */
#define WAITING_MS 5000		/* and while only answers to IMAGE_DROP are due */
#define OVERDUE_MS 600000u	/* a worker that keeps much that it was asked for so long ago loses its channel */

struct claim {
	struct peer *peer;		/* NULL: gone */
	uint32_t number;
	uint64_t order;
	uint64_t bytes;			/* of what it asked for, about */
	uint64_t heard_ms;
	unsigned asks;			/* open ones */
	bool done;
	bool lost;			/* something of its process was asked back: it may have asked twice for the same */
	struct claim *next;
};

struct ask {
	struct claim *claim;
	uint32_t request;
	struct image *image;
	struct ask *next;
};

static uint64_t now_ms(void)
{
	return og_monotonic_us() / 1000;
}

static void image_answer(struct storaged *sd, struct image *i, struct peer *p, uint32_t request)
{
	struct og_error err = { 0 };
	struct og_buf b = { 0 };

	og_wire_put_image(&b, &i->key);
	if (room_hand(&sd->room, &i->item, p->id, &err) < 0 || og_chan_answer(p->chan, request, OG_IPC_IMAGE, &b, i->fd, &err) < 0)
		og_chan_fail(p->chan, request, &err);
	og_buf_fini(&b);
}

/* ---- claims, oldest first ---- */

static void claim_settle(struct storaged *sd, struct claim *c)
{
	struct claim **p;

	if (!c->done || c->asks)
		return;
	for (p = &sd->claims; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	free(c);
}

static struct claim *claim_find(struct storaged *sd, const struct peer *p, uint32_t number)
{
	struct claim *c;

	for (c = sd->claims; c && (c->done || c->peer != p || c->number != number); c = c->next)
		;
	return c;
}

static struct claim *claim_get(struct storaged *sd, struct peer *p, uint32_t number, struct og_error *err)
{
	struct claim *c = claim_find(sd, p, number), **at;

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c) {
			og_error_nomem(err);
			return NULL;
		}
		*c = (struct claim){ .peer = p, .number = number, .order = ++sd->clock };
		for (at = &sd->claims; *at; at = &(*at)->next)
			;
		*at = c;
	}
	c->heard_ms = now_ms();
	return c;
}

static void claims_silent(struct storaged *sd)
{
	struct claim *c, *next;

	for (c = sd->claims; c; c = next) {
		next = c->next;
		c->done |= c->asks == 0 && now_ms() - c->heard_ms >= SILENT_MS;
		claim_settle(sd, c);
	}
}

/* Whose turn it is. */
static struct claim *claim_first(const struct storaged *sd)
{
	struct claim *c;

	for (c = sd->claims; c && c->done && !c->asks; c = c->next)
		;
	return c;
}

uint32_t asks_turn(const struct storaged *sd, const struct peer *p)
{
	const struct claim *c = claim_first(sd);

	return c && c->peer == p ? c->number : 0;
}

void asks_lose(struct storaged *sd, const struct peer *p)
{
	const struct claim *turn = claim_first(sd);

	for (struct claim *c = sd->claims; c; c = c->next)
		c->lost |= c->peer == p && c != turn;
}

/* ---- the queue ---- */

bool asks_for(const struct storaged *sd, const struct image *i)
{
	for (const struct ask *a = sd->asks; a; a = a->next)
		if (a->image == i)
			return true;
	return false;
}

/* Out of the queue; its claim may go with it. */
static void ask_free(struct storaged *sd, struct ask **at)
{
	struct ask *a = *at;

	*at = a->next;
	a->claim->asks--;
	a->claim->heard_ms = now_ms();
	claim_settle(sd, a->claim);
	free(a);
}

void asks_free(struct storaged *sd)
{
	while (sd->asks)
		ask_free(sd, &sd->asks);
	while (sd->claims) {
		sd->claims->done = true;
		claim_settle(sd, sd->claims);
	}
	if (sd->room_timer)
		event_free(sd->room_timer);
	sd->room_timer = NULL;
}

void asks_answer(struct storaged *sd, struct image *i)
{
	struct ask **p = &sd->asks;

	while (*p) {
		if ((*p)->image != i) {
			p = &(*p)->next;
			continue;
		}
		image_answer(sd, i, (*p)->claim->peer, (*p)->request);
		ask_free(sd, p);
	}
}

void asks_fail(struct storaged *sd, const struct image *i, const struct og_error *err)
{
	struct ask **p = &sd->asks;

	while (*p) {
		if ((*p)->image != i) {
			p = &(*p)->next;
			continue;
		}
		og_chan_fail((*p)->claim->peer->chan, (*p)->request, err);
		ask_free(sd, p);
	}
}

void asks_forget_peer(struct storaged *sd, const struct peer *peer)
{
	struct ask **p = &sd->asks;
	struct claim *c, *next;

	while (*p) {
		if ((*p)->claim->peer == peer)
			ask_free(sd, p);
		else
			p = &(*p)->next;
	}
	for (c = sd->claims; c; c = next) {
		next = c->next;
		c->done |= c->peer == peer;
		claim_settle(sd, c);
	}
	room_forget(&sd->room, peer->id);
	images_sweep(sd);
	room_soon(sd, 0);
}

/* ---- when ---- */

/* A worker that answers nothing holds memory that nobody else can have; og-master starts another when this one has lost its channel and ends. */
static void check_overdue(struct storaged *sd)
{
	struct peer *p, *next;

	for (p = sd->peers; p; p = next) {
		uint64_t bytes = room_overdue(&sd->room, p->id, OVERDUE_MS, now_ms());

		next = p->next;
		if (bytes <= sd->room.budget / 8)
			continue;
		og_log(OG_LOG_ERROR, "peer.closed", "role=%s index=%u why=\"keeps %llu bytes of images that it was asked to give up %u s ago\"",
		       og_role_name(p->role), p->index, (unsigned long long)bytes, OVERDUE_MS / 1000);
		peer_close(p);
	}
}

static void on_room(evutil_socket_t fd, short what, void *arg)
{
	struct storaged *sd = arg;

	(void)fd;
	(void)what;
	room_ask_again(&sd->room, now_ms());
	check_overdue(sd);
	asks_admit(sd);
}

void room_soon(struct storaged *sd, unsigned ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (sd->direct)
		return;
	if (!sd->room_timer)
		sd->room_timer = evtimer_new(sd->child.base, on_room, sd);
	if (sd->room_timer)
		evtimer_add(sd->room_timer, &tv);
}

/* What it asks for is more than there may ever be, or others have it. */
static void say_why(struct storaged *sd, const struct claim *c, uint64_t need, struct og_error *err)
{
	uint64_t would = c->lost ? need : OG_MAX(need, c->bytes);

	if (would <= sd->room.most) {
		og_error_set(err, OG_ERR_UNAVAILABLE, "the memory for images is taken by other queries; try again in a moment");
		return;
	}
	og_error_set(err, OG_ERR_TOO_LARGE, "resource limit exceeded for image_memory_bytes: actual %llu, limit %llu", (unsigned long long)would,
		     (unsigned long long)sd->room.most);
	err->detail.kind = OG_DETAIL_LIMIT;
	snprintf(err->detail.name, sizeof(err->detail.name), "image_memory_bytes");
	err->detail.expected = sd->room.most;
	err->detail.actual = would;
}

static void refuse(struct storaged *sd, struct claim *c, const struct og_error *err)
{
	struct ask **p = &sd->asks;

	og_log(OG_LOG_WARN, "image.refuse", "why=\"%s\"", err->message);
	c->done = true;
	c->asks++;	/* lives until the end of this */
	while (*p) {
		if ((*p)->claim != c) {
			p = &(*p)->next;
			continue;
		}
		og_chan_fail(c->peer->chan, (*p)->request, err);
		ask_free(sd, p);
	}
	c->asks--;
	claim_settle(sd, c);
	images_sweep(sd);
}

enum verdict { GO, WAIT, REFUSED };

/* Whether what is asked for, and is not here, may be built now. *kept: room for whose turn it is, which others do not get; the turn comes first. */
static enum verdict judge(struct storaged *sd, const struct ask *a, uint64_t *kept)
{
	struct room *r = &sd->room;
	uint64_t now = now_ms(), need = image_cost(sd, &a->image->key);
	struct claim *turn = claim_first(sd);
	struct og_error err = { 0 };

	if (a->claim == turn)
		room_make(r, need, now);
	if (room_fits(r, need + *kept, r->budget))
		return GO;
	if (a->claim != turn)
		return WAIT;
	*kept += need;
	if (sd->blocked_order != turn->order) {
		sd->blocked_order = turn->order;
		sd->turn_ms = now;
		sd->blocked_evicted = sd->evicted - 1;
	}
	if (sd->blocked_evicted != sd->evicted || r->promised) {
		sd->blocked_evicted = sd->evicted;
		sd->blocked_ms = now;
	}
	if (now - sd->turn_ms >= FORCE_MS)
		sd->forced_order = turn->order;
	if (sd->forced_order == turn->order && room_fits(r, need, r->most))
		return GO;
	if (need <= r->most && now - sd->blocked_ms < REFUSE_MS)
		return WAIT;
	say_why(sd, turn, need, &err);
	refuse(sd, turn, &err);
	return REFUSED;
}

/* One pass over the queue. false: it has changed under us, again. */
static bool admit(struct storaged *sd, bool *built, bool *waits)
{
	uint64_t kept = 0;

	*waits = false;
	for (struct ask *a = sd->asks; a; a = a->next) {
		struct image *i = a->image;
		struct og_error err = { 0 };
		enum verdict v;

		if (i->building)
			continue;
		if (i->fd >= 0 && (!i->item.leaving || a->claim == claim_first(sd))) {
			asks_answer(sd, i);
			return false;
		}
		v = i->fd >= 0 ? WAIT : judge(sd, a, &kept);
		if (v == REFUSED)
			return false;
		*waits |= v == WAIT;
		if (v == WAIT)
			continue;
		if (image_build(sd, i, &err) < 0) {
			asks_fail(sd, i, &err);
			images_sweep(sd);
			return false;
		}
		*built = true;
	}
	return true;
}

void asks_admit(struct storaged *sd)
{
	bool built = false, waits;

	claims_silent(sd);
	while (!admit(sd, &built, &waits))
		;
	if (waits)
		room_soon(sd, BLOCKED_MS);
	else if (room_waits(&sd->room))
		room_soon(sd, WAITING_MS);
	if (built)
		jobs_run(sd);
}

/* ---- asking ---- */

static int ask_new(struct storaged *sd, struct image *i, struct claim *c, uint32_t request, struct og_error *err)
{
	struct ask *a = calloc(1, sizeof(*a)), **at;

	if (!a)
		return og_error_nomem(err);
	*a = (struct ask){ .claim = c, .request = request, .image = i };
	for (at = &sd->asks; *at && (*at)->claim->order <= c->order; at = &(*at)->next)
		;
	a->next = *at;
	*at = a;
	c->asks++;
	return 0;
}

int on_image_done(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct og_reader r = og_ipc_body(m);
	uint32_t number = og_read_u32(&r);
	struct claim *c;

	if (og_reader_end(&r, err) < 0)
		return err->code;
	c = claim_find(p->sd, p, number);
	if (!c)
		return 0;
	c->done = true;
	claim_settle(p->sd, c);
	asks_admit(p->sd);
	return 0;
}

int on_image_get(void *arg, struct og_ipc_msg *m, struct og_error *err)
{
	struct peer *p = arg;
	struct storaged *sd = p->sd;
	struct og_wire_claim w;
	struct og_wire_image *k = &w.image;
	struct image *i = NULL;
	struct claim *c;

	if (og_wire_get_claim(m->body, &w, err) < 0)
		return err->code;
	if (k->what < IMG_IDS || k->what > IMG_ADJ)
		return og_error_set(err, OG_ERR_PEER, "image kind %u does not exist", k->what);
	c = claim_get(sd, p, w.claim, err);
	if (c)
		i = image_find(sd, k);
	if (i && i->fd >= 0 && !i->item.leaving) {
		c->bytes += i->item.bytes;
		image_answer(sd, i, p, m->request);
		return 0;
	}
	if (c && sd_no_journal(sd, err) == 0 && !i && !content_find(sd, k->type_id, &k->content))
		og_error_set(err, OG_ERR_GONE, "the state asked for is not at hand any more; open it again");
	else if (err->code == 0)
		i = image_note(sd, k, err);
	if (err->code < 0 || ask_new(sd, i, c, m->request, err) < 0) {
		images_sweep(sd);
		og_chan_fail(p->chan, m->request, err);
		return 0;
	}
	c->bytes += image_size(sd, k);
	asks_admit(sd);
	return 0;
}
