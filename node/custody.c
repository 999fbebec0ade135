/* SPDX-License-Identifier: ISC */
/*
 * Life of custody: what transit says, and in which order the work is done.
 * What arrived is opened before anything is sealed, so that results ride
 * along with what leaves.
 */
#include "node/custody.h"

#include <stdlib.h>

#include "node/custody_private.h"

#define TICK_MS 1000
#define RESULT_WAIT_MS 200	/* results gather for so long */

/*
 * Roads.
 */
struct target *
custody_road(struct exchange *x, const struct target *site)
{
	const char *peer = transit_next_peer(x, site->name);

	return peer != NULL ? queue_peer(x, peer) : NULL;
}

bool
custody_goes_by(struct custody *c, const char *site, const char *peer)
{
	const char *next = transit_next_peer(c->x, site);

	return next != NULL && strcmp(next, peer) == 0;
}

static void
on_fill(void *ctx, const char *peer, struct lane *lane)
{
	struct custody *c = ctx;
	struct exchange *x = c->x;
	struct target *t;
	size_t i;

	for (i = 0; i < x->ntargets; i++) {
		t = x->target[i];
		if (t->kind == TARGET_SITE && !list_empty(&t->ready) &&
		    custody_goes_by(c, t->name, peer))
			(void)cut_lot(c, t, lane);
	}
}

/* One that had to be put off is not worth a call, nor waiting for. */
static bool
answer_waits(struct custody *c, const char *peer)
{
	int64_t soon = clock_mono_ms(c->x->clock) + RESULT_WAIT_MS;
	struct list *item;

	list_for_each(item, &c->answers) {
		struct answer *a = list_entry(item, struct answer, link);

		if (a->due_ms <= soon && custody_goes_by(c, a->site, peer))
			return true;
	}
	return false;
}

static bool
on_waits(void *ctx, const char *peer, const struct lane *lane)
{
	struct custody *c = ctx;
	struct exchange *x = c->x;
	size_t i;

	for (i = 0; i < x->ntargets; i++) {
		if (x->target[i]->kind == TARGET_SITE &&
		    x->target[i]->ready_count > 0 &&
		    custody_goes_by(c, x->target[i]->name, peer) &&
		    cut_waits(x, x->target[i], lane))
			return true;
	}
	return lane_gets(x, lane, ANSWER_PRIORITY, 0) &&
	    answer_waits(c, peer);
}

static bool
is_paused(const struct custody *c)
{
	return c->pause_ms > clock_mono_ms(c->x->clock);
}

/* What arrived may lead to results that ride along. */
static bool
on_making(void *ctx, const char *peer)
{
	struct custody *c = ctx;
	struct list *item;

	if (is_paused(c))
		return false;
	if (c->sealing != NULL || c->opening != NULL ||
	    !list_empty(&c->arrivals))
		return true;
	list_for_each(item, &c->to_seal) {
		const struct lot *lot = list_entry(item, struct lot,
		    seal_link);

		if (custody_goes_by(c, lot_site(lot), peer))
			return true;
	}
	return answer_waits(c, peer);
}

/*
 * What transit says.
 */
static void
on_arrived(void *ctx, const struct bundle *b)
{
	struct custody *c = ctx;
	struct arrival *a = mem_alloc(1, sizeof(*a));

	a->id = b->id;
	a->direct = b->direct;
	a->from = b->from != NULL ? mem_strdup(b->from) : NULL;
	a->hops = b->hops;
	list_add_tail(&c->arrivals, &a->link);
	c->x->dirty = true;
}

/* Not by the bundle's destination: an onion's is its first relay. */
static struct lot *
lot_of_bundle(struct custody *c, uint64_t id, uint64_t epoch, uint64_t serial)
{
	struct list *at, *item;

	if (serial == 0 || epoch != spool_epoch(c->x->spool))
		return NULL;
	list_for_each(at, &c->flows) {
		struct flow *f = list_entry(at, struct flow, link);

		list_for_each(item, &f->lots) {
			struct lot *lot = list_entry(item, struct lot, link);

			if (lot->bundle == id && lot->serial == serial)
				return lot->state == LOT_UNDERWAY ? lot : NULL;
		}
	}
	return NULL;
}

static void
on_hop_done(void *ctx, uint64_t id, uint64_t epoch, uint64_t serial,
    const unsigned char name[TRANSIT_NAME_LEN])
{
	struct custody *c = ctx;
	struct lot *lot = lot_of_bundle(c, id, epoch, serial);

	(void)name;
	ride_over(c, id);
	if (lot == NULL)
		return;
	lot->hop_done = true;
	lot->bundle = 0;
	lot->next_secs = lot_repeat_secs(c, lot);
}

static void
on_lost(void *ctx, uint64_t id, uint64_t epoch, uint64_t serial,
    const unsigned char name[TRANSIT_NAME_LEN], const char *reason)
{
	struct custody *c = ctx;
	struct lot *lot = lot_of_bundle(c, id, epoch, serial);

	(void)name;
	(void)reason;
	ride_lost(c, id);
	if (lot == NULL)
		return;
	lot->bundle = 0;
	lot->next_secs = now_secs(c->x) + 1;
}

static void
on_card(void *ctx, const char *peer, struct slice card, bool request)
{
	struct custody *c = ctx;
	struct err e = ERR_INIT;

	(void)request;
	if (directory_learn(c->x->directory, peer, card, &e) != 0)
		log_event(c->x->log, LOG_LEVEL_WARNING, "card-refused",
		    "peer", peer, "reason", e.text, NULL);
}

static uint64_t
on_our_card(void *ctx, struct buf *out)
{
	struct custody *c = ctx;

	return directory_our_card(c->x->directory, out);
}

static bool
on_back_is_due(void *ctx, const char *peer)
{
	struct custody *c = ctx;

	return directory_back_is_due(c->x->directory, peer);
}

static uint64_t
on_card_back(void *ctx, const char *peer, struct buf *out)
{
	struct custody *c = ctx;

	return directory_back(c->x->directory, peer, out);
}

static void
on_gave_back(void *ctx, const char *peer)
{
	struct custody *c = ctx;

	directory_gave_back(c->x->directory, peer);
}

static int
on_seal_to(void *ctx, const char *peer, bool request, struct seal_to *to_out,
    struct err *e)
{
	struct custody *c = ctx;

	return directory_seal_to(c->x->directory, peer,
	    request ? SEAL_REQUEST : SEAL_PARCEL, to_out, e);
}

static int
on_open_with(void *ctx, const char *peer, struct open_with *with_out,
    struct err *e)
{
	struct custody *c = ctx;

	return directory_open_with(c->x->directory, peer, with_out, e);
}

static uint64_t
on_key_end_secs(void *ctx, uint64_t key_id)
{
	struct custody *c = ctx;

	return directory_key_end_secs(c->x->directory, key_id);
}

static const struct transit_hooks hooks = {
	.arrived = on_arrived, .hop_done = on_hop_done, .lost = on_lost,
	.card = on_card, .our_card = on_our_card,
	.back_is_due = on_back_is_due, .card_back = on_card_back,
	.gave_back = on_gave_back, .fill = on_fill,
	.waits = on_waits, .making = on_making, .seal_to = on_seal_to,
	.open_with = on_open_with, .key_end_secs = on_key_end_secs,
};

/*
 * Answers.
 */
void
answer_free(struct answer *a)
{
	list_del(&a->link);
	free(a->owed);
	free(a->site);
	free(a);
}

struct answer *
answer_find(struct custody *c, const char *site)
{
	struct list *item;

	list_for_each(item, &c->answers) {
		struct answer *a = list_entry(item, struct answer, link);

		if (strcmp(a->site, site) == 0)
			return a;
	}
	return NULL;
}

static struct answer *
answer_need(struct custody *c, const char *site)
{
	struct answer *a = answer_find(c, site);

	if (a != NULL)
		return a;
	a = mem_alloc(1, sizeof(*a));
	a->site = mem_strdup(site);
	a->due_ms = clock_mono_ms(c->x->clock) + RESULT_WAIT_MS;
	list_add_tail(&c->answers, &a->link);
	c->x->dirty = true;
	return a;
}

void
answer_card(struct custody *c, const char *site)
{
	answer_need(c, site)->card = true;
}

void
answer_owe(struct custody *c, const struct serial_in *in)
{
	struct answer *a = answer_need(c, in->origin);

	if ((a->nowed & (a->nowed - 1)) == 0)
		a->owed = mem_realloc(a->owed, a->nowed == 0 ? 1 :
		    a->nowed * 2, sizeof(*a->owed));
	a->owed[a->nowed++] = (struct owed_result){ in->epoch, in->serial };
}

void
answer_gave(struct custody *c, const char *site, size_t n, bool card)
{
	struct answer *a = answer_find(c, site);

	if (a == NULL)
		return;
	a->nowed -= n;
	if (n > 0)
		memmove(a->owed, a->owed + n, a->nowed * sizeof(*a->owed));
	a->card = a->card && !card;
	a->postponed = false;
	a->due_ms = clock_mono_ms(c->x->clock);
	if (a->nowed == 0 && !a->card)
		answer_free(a);
}

/*
 * Life.
 */
void
custody_new(struct exchange *x)
{
	struct custody *c = mem_alloc(1, sizeof(*c));

	c->x = x;
	c->next_handle = 1;
	c->lots = map_new();
	c->rides = map_new();
	list_init(&c->flows);
	list_init(&c->to_seal);
	list_init(&c->answers);
	list_init(&c->arrivals);
	c->last_tick_ms = INT64_MIN;
	x->custody = c;
	transit_set_hooks(x, &hooks, c);
}

static void
arrivals_free(struct custody *c)
{
	struct list *item, *after;

	list_for_each_safe(item, after, &c->arrivals) {
		struct arrival *a = list_entry(item, struct arrival, link);

		free(a->from);
		free(a);
	}
}

void
custody_free(struct exchange *x)
{
	struct custody *c = x->custody;
	struct list *item, *after;

	if (c == NULL)
		return;
	seal_abort(c);
	open_abort(c);
	arrivals_free(c);
	list_for_each_safe(item, after, &c->answers)
		answer_free(list_entry(item, struct answer, link));
	list_for_each_safe(item, after, &c->flows) {
		struct flow *f = list_entry(item, struct flow, link);

		while (!list_empty(&f->lots))
			lot_free(c, list_entry(f->lots.next, struct lot,
			    link));
		free(f);
	}
	map_free(c->lots);
	rides_free(c);
	free(c);
	x->custody = NULL;
}

static int
renew_lot(struct custody *c, struct lot *lot, struct err *e)
{
	struct serial_out s;
	int rc = 0;

	serial_out_init(&s);
	if (lot->rec != NULL)
		lot_release(c, lot, lot->rec);
	else
		rc = spool_get_serial_out(c->x->spool, lot_site(lot),
		    spool_epoch(c->x->spool), lot->serial, &s, e);
	lot_release(c, lot, &s);
	if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT)
		rc = 0;
	if (rc == 0)
		rc = lot_forget_record(c, lot, &s, e);
	if (rc == 0)
		lot_free(c, lot);
	serial_out_release(&s);
	return rc;
}

/* Everything that is under way is cut anew, under another epoch: those who
 * have taken some of it know the messages by their numbers. */
static int
renew(struct custody *c, struct err *e)
{
	struct list *item, *after;
	int rc = 0;

	seal_abort(c);
	list_for_each_safe(item, after, &c->flows) {
		struct flow *f = list_entry(item, struct flow, link);

		while (rc == 0 && !list_empty(&f->lots))
			rc = renew_lot(c, list_entry(f->lots.next, struct lot,
			    link), e);
		f->next = f->reserved = 1;
	}
	return rc == 0 ? custody_open_epoch(c, e) : rc;
}

/*
 * Work.
 */
static struct answer *
due_answer(struct custody *c)
{
	struct list *item;

	list_for_each(item, &c->answers) {
		struct answer *a = list_entry(item, struct answer, link);

		if (a->due_ms <= clock_mono_ms(c->x->clock))
			return a;
	}
	return NULL;
}

/* It cannot be made now: again in a while. */
static void
answer_failed(struct custody *c, struct answer *a, const struct err *e)
{
	if (!a->postponed)
		log_event(c->x->log, LOG_LEVEL_WARNING, "answer-postponed",
		    "site", a->site, "reason", e->text, NULL);
	a->postponed = true;
	a->due_ms = clock_mono_ms(c->x->clock) + 60000;
}

static bool
is_fatal(struct custody *c)
{
	return store_failed(spool_store(c->x->spool));
}

/* Begins the next bundle: 1 if one was begun or made. */
static int
begin_next(struct custody *c, struct err *e)
{
	struct answer *a = due_answer(c);
	struct lot *lot;
	int rc;

	if (a != NULL) {
		rc = seal_answer(c, a, e);
		if (rc != 0 && !is_fatal(c))
			answer_failed(c, a, e);
		return is_fatal(c) ? rc : 1;
	}
	if (list_empty(&c->to_seal))
		return 0;
	lot = list_entry(c->to_seal.next, struct lot, seal_link);
	if (!seal_can(c, lot_site(lot))) {
		lot_postpone(c, lot);
		return 1;
	}
	rc = seal_lot_begin(c, lot, e);
	return rc == 0 ? 1 : rc;
}

static int
make_step(struct custody *c, struct err *e)
{
	int rc;

	if (is_paused(c))
		return 0;
	rc = c->sealing != NULL ? seal_step(c, e) : begin_next(c, e);
	if (rc >= 0)
		return rc == 1 || c->sealing != NULL ||
		    !list_empty(&c->to_seal) || due_answer(c) != NULL;
	if (is_fatal(c))
		return rc;
	seal_abort(c);
	log_event(c->x->log, LOG_LEVEL_WARNING, "bundle-not-made",
	    "reason", e->text, NULL);
	c->pause_ms = clock_mono_ms(c->x->clock) + 30000;
	return 0;
}

int
custody_work(struct exchange *x, struct err *e)
{
	struct custody *c = x->custody;
	int rc;

	if (c->renew) {
		rc = renew(c, e);
		if (rc != 0)
			return is_fatal(c) ? rc : 0;
	}
	rc = open_step(c, e);
	if (rc != 0)
		return rc;
	return make_step(c, e);
}

/*
 * Time.
 */
static uint64_t
grace_secs(const struct exchange *x)
{
	uint64_t grace = x->conf->lifetime_secs / 4;

	return grace < 3600 ? 3600 : grace;
}

static int
expire_lot(struct custody *c, struct lot *lot, struct err *e)
{
	struct exchange *x = c->x;
	struct serial_out s;
	size_t i;
	int rc = spool_get_serial_out(x->spool, lot_site(lot),
	    spool_epoch(x->spool), lot->serial, &s, e);

	if (rc == 0)
		rc = lot_void(c, lot, &s, e);
	if (rc != 0) {
		serial_out_release(&s);
		return rc;
	}
	c->counters.unconfirmed += !lot->test;
	log_event(x->log, LOG_LEVEL_WARNING, "serial-expired",
	    "site", lot_site(lot), "serial", num_str(lot->serial).s, NULL);
	for (i = 0; i < s.nparts; i++) {
		if (lot_leg(c, lot, s.part[i].message) != NULL)
			story_part(c, lot, &s, i, NULL);
	}
	lot_unconfirmed(c, lot, &s);
	story_end(c);
	serial_out_release(&s);
	return 0;
}

/* There was no room for its notices. */
static int
tell_again(struct custody *c, struct lot *lot, struct err *e)
{
	struct serial_out s;
	int rc = spool_get_serial_out(c->x->spool, lot_site(lot),
	    spool_epoch(c->x->spool), lot->serial, &s, e);

	if (rc == 0)
		lot_unconfirmed(c, lot, &s);
	serial_out_release(&s);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int
lot_tick(struct custody *c, struct lot *lot, uint64_t now, struct err *e)
{
	const struct target *road;

	if (lot->state == LOT_VOID && lot->legs > 0 && lot->next_secs <= now)
		return tell_again(c, lot, e);
	if (lot->state != LOT_UNDERWAY)
		return 0;
	road = custody_road(c->x, lot->flow->target);
	if (lot->expire_secs + grace_secs(c->x) <= now &&
	    (lot->legs > 0 || lot->test) &&
	    (lot->hop_done || road == NULL ||
	    transit_was_tried(c->x, road, lot->priority, 0, 0)))
		return expire_lot(c, lot, e);
	if (lot->next_secs > now || lot->expire_secs <= now)
		return 0;
	/* Transit repeats what the neighbour does not have, but a direct
	 * bundle cannot take another road. */
	if (!lot->hop_done && lot->bundle != 0 && (!lot->direct ||
	    road == NULL || strcmp(road->name, lot_site(lot)) == 0)) {
		lot->next_secs = lot_repeat_secs(c, lot);
		return 0;
	}
	c->counters.repeats++;
	log_event(c->x->log, LOG_LEVEL_INFO, "serial-repeated",
	    "site", lot_site(lot), "serial", num_str(lot->serial).s, NULL);
	lot_queue(c, lot);
	return 0;
}

int
custody_tick(struct exchange *x, struct err *e)
{
	struct custody *c = x->custody;
	struct list *item, *next, *after;
	uint64_t now = now_secs(x);
	int rc;

	if (c->last_tick_ms != INT64_MIN &&
	    clock_mono_ms(x->clock) - c->last_tick_ms < TICK_MS)
		return 0;
	c->last_tick_ms = clock_mono_ms(x->clock);
	rc = directory_tick(x->directory, e);
	keys_tell(c);
	rides_tick(c);
	list_for_each(item, &c->flows) {
		struct flow *f = list_entry(item, struct flow, link);

		list_for_each_safe(next, after, &f->lots) {
			if (rc == 0)
				rc = lot_tick(c, list_entry(next, struct lot,
				    link), now, e);
		}
	}
	return rc;
}

static int64_t
lot_deadline(struct exchange *x, const struct lot *lot, uint64_t now)
{
	uint64_t at = lot->next_secs;

	if (lot->state != LOT_UNDERWAY)
		return INT64_MAX;
	if (lot->expire_secs <= now)
		at = lot->expire_secs + grace_secs(x);
	/* It waits for an opportunity: looked for now and then. */
	if (lot->expire_secs <= now && at <= now)
		at = now + 60;
	return clock_mono_ms(x->clock) +
	    (at > now ? (int64_t)(at - now) : 1) * 1000;
}

int64_t
custody_deadline_ms(struct exchange *x)
{
	struct custody *c = x->custody;
	int64_t at = cut_deadline_ms(c), when;
	int64_t mono = clock_mono_ms(x->clock);
	struct list *item, *next;

	if (c->opening != NULL || c->renew)
		return mono;
	if (!is_paused(c) && (c->sealing != NULL || !list_empty(&c->to_seal)))
		return mono;
	if (is_paused(c))
		at = c->pause_ms;
	/* As soon as exchange_tick looks again. */
	if (directory_is_stirred(x->directory) &&
	    x->last_tick_ms + TICK_MS < at)
		at = x->last_tick_ms + TICK_MS;
	list_for_each(item, &c->arrivals) {
		when = list_entry(item, struct arrival, link)->pause_ms;
		at = when < at ? when : at;
	}
	list_for_each(item, &c->answers) {
		when = list_entry(item, struct answer, link)->due_ms;
		if (!is_paused(c))
			at = when < at ? when : at;
	}
	list_for_each(item, &c->flows) {
		list_for_each(next, &list_entry(item, struct flow,
		    link)->lots) {
			when = lot_deadline(x, list_entry(next, struct lot,
			    link), now_secs(x));
			at = when < at ? when : at;
		}
	}
	return at < mono ? mono : at;
}

void
custody_counters(const struct exchange *x, struct custody_counters *out)
{
	*out = x->custody->counters;
}
