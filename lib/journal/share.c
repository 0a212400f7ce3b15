/* One checkpoint for all hosts: whose turn it is to make it, and taking over what another one made. */
#include "config.h"

#include "journal/private.h"

#include <stdlib.h>

#include "base/log.h"

#define MARK_SPAN 9u		/* hosts look at a tail of OG_JN_TAIL_OTHERS and up to 8 more, so that mostly one is first */
/* Objects: who said that it makes one and has written nothing since has died, or rests. From 64 on nothing is in a hurry, and the work is a large one. */
#define AT_WORK 16u
#define AT_LARGE_WORK 64u
#define AGAIN 16u		/* objects until the next look while another is at work */
#define AT_WORK_TAIL 512u	/* from here on another's word is not enough */
#define NAMES 16u

struct theirs {
	struct og_journal *j;
	struct og_ckpt_name name;
	bool wanted;			/* if it is no good one is to be made */
};

static uint64_t tail(const struct og_journal *j)
{
	return j->state->seq - j->ckpt_seq;
}

void og_jn_ckpt_known(struct og_journal *j, const struct og_ckpt_name *name)
{
	if (name->seq <= j->ckpt_seq)
		return;
	j->ckpt_seq = name->seq;
	j->ckpt_id = name->id;
	j->ckpt_mark = 0;
	og_jn_trim_tail(j);
}

/* ---- what hosts tell each other ---- */

bool og_jn_ckpt_at_work(const struct og_journal *j)
{
	return j->working_seq > j->ckpt_seq && j->state->seq - j->working_seq < (tail(j) < OG_JN_TAIL_WAIT ? AT_WORK : AT_LARGE_WORK);
}

/* The host of the object that made the tail this long is the one to make it: all know who that is. */
static bool our_turn(const struct og_journal *j)
{
	const struct og_logobj *o = og_journal_object(j, j->ckpt_seq + j->checkpoint_tail);

	return o && og_ulid_cmp(&o->host, &j->host) == 0;
}

void og_jn_ckpt_say(const struct og_journal *j, struct og_logobj *o)
{
	o->making = j->ckpt || (o->seq == j->ckpt_seq + j->checkpoint_tail && o->seq >= j->ckpt_due && !og_jn_ckpt_at_work(j));
	o->made = j->ckpt_told.seq ? j->ckpt_told : (struct og_ckpt_name){ 0 };
}

void og_jn_ckpt_said(struct og_journal *j, const struct og_logobj *o)
{
	if (o->made.seq == j->ckpt_told.seq)
		j->ckpt_told.seq = 0;
}

/* ---- taking over ---- */

/* Rule K, as far as it can be told here: a floor above it would have to name it. */
static bool counts(const struct og_journal *j, const struct og_ckpt_name *name)
{
	if (!j->state->has_floor || j->state->floor_seq <= name->seq)
		return true;
	for (size_t i = 0; i < j->state->nkeep; i++)
		if (j->state->keep[i].seq == name->seq && og_ulid_cmp(&j->state->keep[i].id, &name->id) == 0)
			return true;
	return false;
}

/* S(n) once more, from their layers and the log above them. NULL: objects of that are not in memory any more, or it is none. */
static struct og_state *their_state(struct og_journal *j, const struct og_ckpt_name *name, struct og_slice bytes, struct og_error *err)
{
	struct og_state *s = NULL;
	struct og_arena a;
	struct og_ckpt c;
	int rc;

	og_arena_init(&a, 0);
	rc = og_ckpt_decode(&a, bytes, &c, err);
	if (rc == 0 && c.seq != name->seq)
		rc = og_error_set(err, OG_ERR_CORRUPT, "its name says another seq");
	if (rc == 0)
		s = og_state_from_ckpt(&j->genesis, &c, err);
	og_arena_fini(&a);
	while (s && s->seq < j->state->seq) {
		const struct og_logobj *o = og_journal_object(j, s->seq + 1);

		if (!o)
			og_error_set(err, OG_ERR_NOT_FOUND, "log object %llu is not in memory", (unsigned long long)s->seq + 1);
		if (!o || og_state_apply_object(s, o, err) < 0) {
			og_state_free(s);
			return NULL;
		}
	}
	if (s && og_sha256_eq(&s->digest, &j->state->digest))
		return s;
	if (s)
		og_error_set(err, OG_ERR_CORRUPT, "it is of another log");
	og_state_free(s);
	return NULL;
}

static int take_over(struct og_journal *j, const struct og_ckpt_name *name, struct og_slice bytes, struct og_error *err)
{
	struct og_state *s = their_state(j, name, bytes, err);
	int rc;

	if (!s)
		return err->code;
	rc = og_state_take_layers(j->state, s, err);
	if (rc == 0)
		rc = og_state_set_index(j->state, s->index, s->nindex, err);
	og_state_free(s);
	if (rc < 0)
		return rc;
	og_jn_ckpt_known(j, name);
	j->index_changed = false;
	j->stats.checkpoints_taken++;
	return 0;
}

static void begin(struct og_journal *j)
{
	if (j->ckpt || j->status != OG_JOURNAL_WRITABLE)
		return;
	if (og_jn_ckpt_at_work(j) && tail(j) < AT_WORK_TAIL)
		j->ckpt_mark = tail(j) + AGAIN;
	else
		og_jn_ckpt_start(j);
}

static void on_theirs(void *arg, struct og_store_result *res)
{
	struct theirs *t = arg;
	struct og_journal *j = t->j;
	struct og_error err = { 0 };
	struct og_log_quoted q;

	if (og_jn_back(j)) {
		j->ckpt_looking = false;
		/* Meanwhile it may have made one itself, or is about to: that is then as good. Or a floor came, and what this one names is deleted. */
		if (res->code < 0)
			err = *res->err;
		else if (!j->ckpt && t->name.seq > j->ckpt_seq && t->name.seq <= j->state->seq && counts(j, &t->name))
			(void)take_over(j, &t->name, res->body, &err);
		if (err.code)
			og_log(OG_LOG_WARN, "journal.checkpoint", "seq=%llu text=\"another host's cannot be taken over\" why=%s",
			       (unsigned long long)t->name.seq, og_log_quote(&q, err.message));
		if (err.code && t->wanted)
			begin(j);
	}
	free(t);
}

static void fetch(struct og_journal *j, const struct og_ckpt_name *name, bool wanted)
{
	struct og_key_text key = og_key_ckpt(&j->state->graph, name->seq, &name->id);
	struct theirs *t = malloc(sizeof(*t));
	char full[OG_STORE_KEY_MAX + 1];

	if (!t) {
		if (wanted)
			begin(j);
		return;
	}
	*t = (struct theirs){ .j = j, .name = *name, .wanted = wanted };
	j->ckpt_looking = true;
	og_jn_ref(j);
	og_store_get(j->store, og_jn_key(j, &key, full), OG_CKPT_MAX, on_theirs, t);
}

void og_jn_ckpt_heed(struct og_journal *j, const struct og_logobj *o)
{
	if (o->making) {
		j->working_host = o->host;
		j->working_seq = o->seq;
	} else if (og_ulid_cmp(&j->working_host, &o->host) == 0) {
		j->working_seq = 0;
	}
	if (!o->made.seq || o->made.seq <= j->ckpt_seq || o->made.seq > o->seq || j->opening || j->ckpt || j->ckpt_looking ||
	    j->status == OG_JOURNAL_ENDED || !counts(j, &o->made))
		return;
	fetch(j, &o->made, false);
}

/* ---- whose turn it is ---- */

static void on_list(void *arg, struct og_store_result *res)
{
	struct og_journal *j = arg;
	struct og_ckpt_name newest = { 0 }, n;

	if (!og_jn_back(j))
		return;
	j->ckpt_looking = false;
	for (size_t i = 0; i < res->nitems && res->code == 0; i++) {
		const char *name = strrchr(res->items[i].key, '/');

		if (name && og_key_parse_ckpt(name + 1, &n) && n.seq > newest.seq && counts(j, &n))
			newest = n;
	}
	if (newest.seq > j->state->seq)
		j->ckpt_mark = tail(j) + AGAIN;		/* of objects that we have yet to read */
	else if (newest.seq > j->ckpt_seq)
		fetch(j, &newest, true);
	else
		begin(j);
}

static void look(struct og_journal *j)
{
	char folder[OG_STORE_KEY_MAX + 1], key[OG_KEY_TEXT_MAX];

	snprintf(key, sizeof(key), "ckpt/%s/", og_ulid_format(&j->state->graph).s);
	j->ckpt_looking = true;
	og_jn_ref(j);
	og_store_list(j->store, og_jn_key_str(j, key, folder), NULL, NAMES, on_list, j);
}

static uint64_t draw_mark(struct og_journal *j)
{
	j->rng ^= j->rng << 13;
	j->rng ^= j->rng >> 7;
	j->rng ^= j->rng << 17;
	/* Where a slow one leaves a long tail the next maker has its time from then on. */
	return (tail(j) < OG_JN_TAIL_OTHERS ? OG_JN_TAIL_OTHERS : tail(j) + AT_WORK) + j->rng % MARK_SPAN;
}

void og_jn_after_object(struct og_journal *j)
{
	og_jn_trim_tail(j);
	if (j->opening || j->ckpt || j->ckpt_looking || j->status != OG_JOURNAL_WRITABLE || j->state->seq < j->ckpt_due ||
	    tail(j) < j->checkpoint_tail)
		return;
	if (!j->ckpt_mark)
		j->ckpt_mark = draw_mark(j);
	if (our_turn(j) && !og_jn_ckpt_at_work(j))
		og_jn_ckpt_start(j);
	else if (tail(j) >= j->ckpt_mark)
		look(j);
}

/* The listing of the open has just shown that there is no newer one. */
void og_jn_after_open(struct og_journal *j)
{
	if (j->status == OG_JOURNAL_WRITABLE && tail(j) >= OG_MAX(OG_JN_TAIL_OTHERS, j->checkpoint_tail))
		begin(j);
}
