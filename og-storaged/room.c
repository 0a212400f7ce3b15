/* Accounting of the images' memory; no I/O. */
#include "config.h"

#include "room.h"

#include <stdlib.h>

void room_init(struct room *r, const struct room_ops *ops, void *arg, uint64_t budget, unsigned count_max)
{
	*r = (struct room){ .ops = ops, .arg = arg, .budget = budget, .most = budget + budget / 2, .count_max = count_max };
}

void room_add(struct room *r, struct room_item *it)
{
	it->known = true;
	it->next = r->items;
	if (it->next)
		it->next->prev = it;
	r->items = it;
}

static void stay(struct room *r, struct room_item *it)
{
	if (!it->leaving)
		return;
	it->leaving = false;
	r->leaving -= it->bytes;
	r->nleaving--;
}

void room_promise(struct room *r, struct room_item *it, uint64_t bytes)
{
	r->promised += bytes - it->promised;
	it->promised = bytes;
}

void room_drop(struct room *r, struct room_item *it)
{
	if (!it->known)
		return;
	it->known = false;
	room_promise(r, it, 0);
	stay(r, it);
	if (it->here) {
		r->bytes -= it->bytes;
		r->count--;
	}
	it->here = false;
	while (it->holders) {
		struct room_holder *h = it->holders;

		it->holders = h->next;
		free(h);
	}
	if (it->next)
		it->next->prev = it->prev;
	if (it->prev)
		it->prev->next = it->next;
	else
		r->items = it->next;
	it->next = it->prev = NULL;
}

void room_use(struct room *r, struct room_item *it)
{
	it->used = ++r->number;
	stay(r, it);
}

void room_arrived(struct room *r, struct room_item *it, uint64_t bytes)
{
	room_promise(r, it, 0);
	it->here = true;
	it->bytes = bytes;
	it->used = ++r->number;
	r->bytes += bytes;
	r->count++;
}

static struct room_holder *holder_of(const struct room_item *it, uint64_t peer)
{
	struct room_holder *h;

	for (h = it->holders; h && h->peer != peer; h = h->next)
		;
	return h;
}

int room_hand(struct room *r, struct room_item *it, uint64_t peer, struct og_error *err)
{
	struct room_holder *h = holder_of(it, peer);

	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return og_error_nomem(err);
		h->peer = peer;
		h->next = it->holders;
		it->holders = h;
	}
	h->handed = ++r->number;
	room_use(r, it);
	return 0;
}

static void holder_remove(struct room_item *it, struct room_holder *h)
{
	struct room_holder **p;

	for (p = &it->holders; *p != h; p = &(*p)->next)
		;
	*p = h->next;
	free(h);
}

static void gone(struct room *r, struct room_item *it)
{
	room_drop(r, it);
	r->ops->gone(r->arg, it);
}

/* One that is to go and that nobody holds. */
static void leave(struct room *r, struct room_item *it)
{
	if (!it->leaving || it->holders)
		return;
	if (r->ops->busy(r->arg, it))
		r->unasked = true;
	else
		gone(r, it);
}

void room_answered(struct room *r, struct room_item *it, uint64_t peer, uint64_t number)
{
	struct room_holder *h = holder_of(it, peer);

	if (!h || !h->open || number > h->asked)
		return;
	h->open--;
	/* An answer speaks of what was handed out before its question, and only all of them together of everything. */
	if (h->open || h->handed > h->asked)
		return;
	holder_remove(it, h);
	leave(r, it);
}

void room_forget(struct room *r, uint64_t peer)
{
	struct room_item *it, *next;

	for (it = r->items; it; it = next) {
		struct room_holder *h = holder_of(it, peer);

		next = it->next;
		if (!h)
			continue;
		holder_remove(it, h);
		leave(r, it);
	}
}

static void ask_holders(struct room *r, struct room_item *it, uint64_t now_ms)
{
	for (struct room_holder *h = it->holders; h; h = h->next) {
		if (h->asked > h->handed)
			continue;
		if (!r->ops->ask(r->arg, it, h->peer, r->number + 1)) {
			r->unasked = true;
			continue;
		}
		h->asked = ++r->number;
		if (!h->open++)
			h->asked_ms = now_ms;
	}
}

void room_ask_again(struct room *r, uint64_t now_ms)
{
	struct room_item *it, *next;

	if (!r->unasked)
		return;
	r->unasked = false;
	for (it = r->items; it; it = next) {
		next = it->next;
		if (!it->leaving)
			continue;
		ask_holders(r, it, now_ms);
		leave(r, it);
	}
}

static bool enough(const struct room *r, uint64_t need)
{
	return r->bytes - r->leaving + r->promised + need <= r->budget && r->count - r->nleaving < r->count_max;
}

void room_make(struct room *r, uint64_t need, uint64_t now_ms)
{
	while (!enough(r, need)) {
		struct room_item *victim = NULL;

		for (struct room_item *it = r->items; it; it = it->next)
			if (it->here && !it->leaving && (!victim || it->rank < victim->rank || (it->rank == victim->rank && it->used < victim->used)) &&
			    !r->ops->busy(r->arg, it))
				victim = it;
		if (!victim)
			return;
		victim->leaving = true;
		r->leaving += victim->bytes;
		r->nleaving++;
		ask_holders(r, victim, now_ms);
		leave(r, victim);
	}
}

bool room_fits(const struct room *r, uint64_t need, uint64_t limit)
{
	return r->count < r->count_max && r->bytes + r->promised <= limit && need <= limit - r->bytes - r->promised;
}

uint64_t room_overdue(const struct room *r, uint64_t peer, uint64_t ms, uint64_t now_ms)
{
	uint64_t bytes = 0;

	for (const struct room_item *it = r->items; it; it = it->next) {
		const struct room_holder *h = it->leaving ? holder_of(it, peer) : NULL;

		if (h && h->open && now_ms - h->asked_ms > ms)
			bytes += it->bytes;
	}
	return bytes;
}

bool room_waits(const struct room *r)
{
	return r->nleaving > 0;
}
