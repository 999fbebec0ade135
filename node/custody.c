/* SPDX-License-Identifier: ISC */
/*
 * Life of custody: flows and their lots, in memory beside their records, and
 * in which order the work is done.  What arrived is opened before anything is
 * sealed, so that results ride along with what leaves.
 */
#include "node/custody.h"

#include <inttypes.h>
#include <stdlib.h>

#include "node/custody_private.h"
#include "node/serials.h"

#define TICK_MS 1000
#define REPEAT_MIN_SECS 900	/* no result for so long: it goes again */
#define REPEAT_NEW_SECS 3600	/* where no round trip was measured yet */
#define RESULT_WAIT_MS 200	/* results gather for so long */

/*
 * Flows and lots.
 */
struct flow *
flow_find(struct custody *c, const char *site)
{
	struct list *item;

	list_for_each(item, &c->flows) {
		struct flow *f = list_entry(item, struct flow, link);

		if (strcmp(f->target->name, site) == 0)
			return f;
	}
	return NULL;
}

struct flow *
flow_need(struct custody *c, struct target *t)
{
	struct flow *f = flow_find(c, t->name);

	if (f != NULL)
		return f;
	f = mem_alloc(1, sizeof(*f));
	f->target = t;
	f->next = f->reserved = 1;
	list_init(&f->lots);
	list_add_tail(&c->flows, &f->link);
	return f;
}

uint64_t
flow_floor(const struct flow *f)
{
	struct list *item;

	list_for_each(item, &f->lots) {
		const struct lot *lot = list_entry(item, struct lot, link);

		if (lot->state != LOT_VOID)
			return lot->serial;
	}
	return f->next;
}

struct lot *
lot_new(struct custody *c, struct flow *f, uint64_t serial)
{
	struct lot *lot = mem_alloc(1, sizeof(*lot));
	struct list *at = f->lots.prev;

	lot->flow = f;
	lot->serial = serial;
	lot->handle = c->next_handle++;
	list_init(&lot->seal_link);
	while (at != &f->lots &&
	    list_entry(at, struct lot, link)->serial > serial)
		at = at->prev;
	list_add_head(at, &lot->link);
	map_put_u64(c->lots, lot->handle, lot);
	f->nlots++;
	return lot;
}

struct lot *
lot_find(struct custody *c, const char *site, uint64_t serial)
{
	struct flow *f = flow_find(c, site);
	struct list *item;

	if (f == NULL)
		return NULL;
	list_for_each(item, &f->lots) {
		struct lot *lot = list_entry(item, struct lot, link);

		if (lot->serial == serial)
			return lot;
	}
	return NULL;
}

static void
rec_free(struct serial_out *rec)
{
	if (rec == NULL)
		return;
	serial_out_release(rec);
	free(rec);
}

void
lot_free(struct custody *c, struct lot *lot)
{
	list_del(&lot->link);
	list_del(&lot->seal_link);
	lot->flow->nlots -= lot->state != LOT_VOID;
	map_del_u64(c->lots, lot->handle);
	rec_free(lot->rec);
	free(lot);
}

struct leg *
lot_leg(struct custody *c, const struct lot *lot, uint64_t message)
{
	struct entry *entry = map_get_u64(c->x->entries, message);
	size_t i;

	for (i = 0; entry != NULL && i < entry->nlegs; i++) {
		if (entry->leg[i].status == LEG_CUT &&
		    entry->leg[i].object == lot->handle &&
		    entry->leg[i].target == lot->flow->target)
			return &entry->leg[i];
	}
	return NULL;
}

void
lot_queue(struct custody *c, struct lot *lot)
{
	struct list *at = c->to_seal.prev;

	list_del(&lot->seal_link);
	while (at != &c->to_seal &&
	    list_entry(at, struct lot, seal_link)->priority < lot->priority)
		at = at->prev;
	list_add_head(at, &lot->seal_link);
	lot->state = LOT_SEALING;
	c->x->dirty = true;
}

void
lot_release(struct custody *c, struct lot *lot, const struct serial_out *rec)
{
	struct leg *leg;
	size_t i;

	for (i = 0; i < rec->nparts; i++) {
		leg = lot_leg(c, lot, rec->part[i].message);
		if (leg == NULL)
			continue;
		leg->object = 0;
		leg_ready(leg);
	}
	c->x->dirty = true;
}

static const char *
lot_site(const struct lot *lot)
{
	return lot->flow->target->name;
}

/* What is known of a lot goes, in one transaction. */
static int
forget_records(struct custody *c, const struct lot *lot, struct err *e)
{
	struct exchange *x = c->x;
	struct spool_unit *u;
	int rc = spool_begin(x->spool, &u, e);

	if (rc != 0)
		return rc;
	rc = spool_del_serial_out(u, lot_site(lot), spool_epoch(x->spool),
	    lot->serial, e);
	if (rc == 0 && lot->bundle != 0)
		rc = transit_withdraw(x, u, lot->bundle, e);
	if (rc != 0) {
		spool_abort(u);
		return rc;
	}
	rc = spool_commit(u, false, e);
	if (rc == 0 && lot->bundle != 0)
		transit_withdrawn(x, lot->bundle);
	return rc;
}

/* Void serials that the floor has passed need not be announced any more. */
static void
forget_voids(struct custody *c, struct flow *f)
{
	struct err e = ERR_INIT;
	struct lot *lot;

	while (!list_empty(&f->lots)) {
		lot = list_entry(f->lots.next, struct lot, link);
		if (lot->state != LOT_VOID || forget_records(c, lot, &e) != 0)
			return;
		lot_free(c, lot);
	}
}

void
lot_complete(struct custody *c, struct lot *lot)
{
	struct flow *f = lot->flow;
	struct err e = ERR_INIT;

	log_event(c->x->log, LOG_LEVEL_INFO, "serial-settled",
	    "site", lot_site(lot), "serial", num_str(lot->serial).s, NULL);
	if (seal_is_of(c, lot))
		seal_abort(c);
	/* If the record stays the next start finds nothing of it open. */
	if (forget_records(c, lot, &e) != 0)
		log_event(c->x->log, LOG_LEVEL_WARNING, "upkeep-failed",
		    "reason", e.text, NULL);
	lot_free(c, lot);
	forget_voids(c, f);
	c->x->dirty = true;
}

void
custody_leg_over(struct exchange *x, uint64_t handle)
{
	struct custody *c = x->custody;
	struct lot *lot = c == NULL || handle == 0 ? NULL :
	    map_get_u64(c->lots, handle);

	if (lot == NULL || lot->legs == 0 || --lot->legs > 0)
		return;
	if (lot->state == LOT_VOID)
		forget_voids(c, lot->flow);
	else
		lot_complete(c, lot);
}

int
lot_void(struct custody *c, struct lot *lot, struct err *e)
{
	struct serial_out rec;
	struct spool_unit *u;
	int rc;

	serial_out_init(&rec);
	rec.site = mem_strdup(lot_site(lot));
	rec.epoch = spool_epoch(c->x->spool);
	rec.serial = lot->serial;
	rec.status = SERIAL_SETTLED;
	rec.params = mem_strdup("");
	rc = spool_begin(c->x->spool, &u, e);
	if (rc == 0) {
		rc = spool_put_serial_out(u, &rec, e);
		if (rc == 0 && lot->bundle != 0)
			rc = transit_withdraw(c->x, u, lot->bundle, e);
		if (rc == 0)
			rc = spool_commit(u, true, e);
		else
			spool_abort(u);
	}
	serial_out_release(&rec);
	if (rc != 0)
		return rc;
	if (lot->bundle != 0)
		transit_withdrawn(c->x, lot->bundle);
	lot->bundle = 0;
	list_del(&lot->seal_link);
	lot->flow->nlots--;
	lot->state = LOT_VOID;
	return 0;
}

/* Round trips as measured, doubled with each attempt; at random, so that
 * those of many lots do not come together. */
uint64_t
lot_repeat_secs(struct custody *c, const struct lot *lot)
{
	uint64_t rtt = directory_rtt_secs(c->x->directory, lot_site(lot));
	uint64_t wait = rtt == 0 ? REPEAT_NEW_SECS : 4 * rtt;
	uint64_t most = c->x->conf->lifetime_secs / 4;
	unsigned n;

	if (wait < REPEAT_MIN_SECS)
		wait = REPEAT_MIN_SECS;
	for (n = 1; n < lot->attempts && wait < most; n++)
		wait *= 2;
	if (wait > most && most >= REPEAT_MIN_SECS)
		wait = most;
	return now_secs(c->x) + wait + rng_below(c->x->rng, wait / 4 + 1);
}

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
on_fill(void *ctx, const char *peer)
{
	struct custody *c = ctx;
	struct exchange *x = c->x;
	struct target *t, *road = queue_peer(x, peer);
	size_t i;

	for (i = 0; road != NULL && i < x->ntargets; i++) {
		t = x->target[i];
		if (t->kind == TARGET_SITE && !list_empty(&t->ready) &&
		    custody_goes_by(c, t->name, peer))
			(void)cut_lot(c, t, road);
	}
}

static bool
on_waits(void *ctx, const char *peer)
{
	struct custody *c = ctx;
	struct exchange *x = c->x;
	struct list *item;
	size_t i;

	for (i = 0; i < x->ntargets; i++) {
		if (x->target[i]->kind == TARGET_SITE &&
		    x->target[i]->ready_count > 0 &&
		    custody_goes_by(c, x->target[i]->name, peer))
			return true;
	}
	list_for_each(item, &c->answers) {
		if (custody_goes_by(c, list_entry(item, struct answer,
		    link)->site, peer))
			return true;
	}
	return false;
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
	return on_waits(c, peer) && !list_empty(&c->answers);
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

static struct lot *
lot_of_bundle(struct custody *c, const char *site, uint64_t epoch,
    uint64_t serial)
{
	struct lot *lot;

	if (serial == 0 || epoch != spool_epoch(c->x->spool))
		return NULL;
	lot = lot_find(c, site, serial);
	return lot != NULL && lot->state == LOT_UNDERWAY ? lot : NULL;
}

static void
on_hop_done(void *ctx, const char *site, uint64_t epoch, uint64_t serial,
    const unsigned char name[TRANSIT_NAME_LEN])
{
	struct custody *c = ctx;
	struct lot *lot = lot_of_bundle(c, site, epoch, serial);

	(void)name;
	if (lot == NULL)
		return;
	lot->hop_done = true;
	lot->bundle = 0;
	lot->next_secs = lot_repeat_secs(c, lot);
}

static void
on_lost(void *ctx, const char *site, uint64_t epoch, uint64_t serial,
    const unsigned char name[TRANSIT_NAME_LEN], const char *reason)
{
	struct custody *c = ctx;
	struct lot *lot = lot_of_bundle(c, site, epoch, serial);

	(void)name;
	(void)reason;
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
	.card = on_card, .our_card = on_our_card, .fill = on_fill,
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
	free(a->site);
	free(a);
}

void
answer_need(struct custody *c, const char *site, bool card)
{
	struct list *item;
	struct answer *a;

	list_for_each(item, &c->answers) {
		a = list_entry(item, struct answer, link);
		if (strcmp(a->site, site) != 0)
			continue;
		a->card |= card;
		return;
	}
	a = mem_alloc(1, sizeof(*a));
	a->site = mem_strdup(site);
	a->card = card;
	a->due_ms = clock_mono_ms(c->x->clock) + RESULT_WAIT_MS;
	list_add_tail(&c->answers, &a->link);
	c->x->dirty = true;
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
	free(c);
	x->custody = NULL;
}

/*
 * Start.
 */

/* Do all recipients of a part still wait, as they did when it was cut? */
static bool
part_waits(struct custody *c, const struct object_part *part)
{
	struct message_state st;
	struct err e = ERR_INIT;
	struct message m;
	bool good;
	size_t i;

	good = spool_get_message(c->x->spool, part->message, &m, &e) == 0;
	if (good && spool_get_state(c->x->spool, m.id, m.env.nrcpt, &st,
	    &e) != 0) {
		good = false;
	} else if (good) {
		for (i = 0; i < part->nrcpt; i++)
			good = good && part->rcpt[i] < st.n &&
			    st.rcpt[part->rcpt[i]].status == RCPT_QUEUED;
		message_state_release(&st);
	}
	message_release(&m);
	return good;
}

static void
claim_parts(struct custody *c, struct lot *lot, const struct serial_out *s)
{
	uint64_t lifetime = c->x->conf->lifetime_secs;
	struct leg *leg;
	size_t i;

	for (i = 0; i < s->nparts; i++) {
		if (!part_waits(c, &s->part[i]))
			continue;
		leg = queue_claim(c->x, s->part[i].message, s->part[i].rcpt,
		    s->part[i].nrcpt, lot->flow->target);
		if (leg == NULL)
			continue;
		leg->object = lot->handle;
		lot->legs++;
		if (leg->entry->accepted_secs + lifetime > lot->expire_secs)
			lot->expire_secs = leg->entry->accepted_secs +
			    lifetime;
	}
}

static void
load_lot(struct custody *c, const struct serial_out *s)
{
	struct flow *f = flow_need(c, queue_site(c->x, s->site));
	struct lot *lot = lot_new(c, f, s->serial);

	lot->cut_secs = lot->expire_secs = s->cut_secs;
	lot->attempts = s->attempts;
	lot->next_secs = s->next_secs;
	lot->bundle = s->bundle;
	lot->priority = s->priority;
	memcpy(lot->digest, s->digest, sizeof(lot->digest));
	claim_parts(c, lot, s);
	if (s->status == SERIAL_SETTLED) {
		f->nlots--;
		lot->state = LOT_VOID;
	} else if (s->nparts == 0 || lot->legs == 0) {
		/* A test, or settled just before the end. */
		lot_complete(c, lot);
	} else {
		lot->state = LOT_UNDERWAY;
	}
}

/* Of another epoch: its messages wait again, the record goes. */
static int
drop_old(struct custody *c, const struct serial_out *s, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(c->x->spool, &u, e);

	if (rc != 0)
		return rc;
	rc = spool_del_serial_out(u, s->site, s->epoch, s->serial, e);
	if (rc == 0 && s->bundle != 0)
		rc = transit_withdraw(c->x, u, s->bundle, e);
	if (rc != 0) {
		spool_abort(u);
		return rc;
	}
	rc = spool_commit(u, false, e);
	if (rc == 0 && s->bundle != 0)
		transit_withdrawn(c->x, s->bundle);
	return rc;
}

static int
load_lots(struct custody *c, struct err *e)
{
	struct buf at = BUF_INIT;
	struct serial_out s;
	int rc;

	do {
		rc = spool_next_serial_out(c->x->spool, NULL, 0, &at, &s, e);
		if (rc == 0 && s.epoch != spool_epoch(c->x->spool))
			rc = drop_old(c, &s, e);
		else if (rc == 0)
			load_lot(c, &s);
		else if (rc == ERR_CORRUPT &&
		    !store_failed(spool_store(c->x->spool)))
			/* Its messages go again, under another epoch. */
			rc = 0, c->renew = true;
		serial_out_release(&s);
	} while (rc == 0);
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* Serials are issued from the end of the block reserved last, so none comes
 * twice; where the file outside the spool knows of others, the spool is an
 * older one. */
static int
load_flows(struct custody *c, struct err *e)
{
	struct exchange *x = c->x;
	struct buf at = BUF_INIT;
	struct flow_out fo;
	struct flow *f;
	int rc;

	while ((rc = spool_next_flow_out(x->spool, &at, &fo, e)) == 0 ||
	    (rc == ERR_CORRUPT && !store_failed(spool_store(x->spool)))) {
		if (rc == ERR_CORRUPT || (fo.epoch == spool_epoch(x->spool) &&
		    !serials_agree(x->serials, fo.site, fo.epoch,
		    fo.reserved))) {
			c->renew = true;
		} else if (fo.epoch == spool_epoch(x->spool)) {
			f = flow_need(c, queue_site(x, fo.site));
			f->next = f->reserved = fo.reserved;
		}
		flow_out_release(&fo);
	}
	flow_out_release(&fo);
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int
load_owed(struct custody *c, struct err *e)
{
	struct buf at = BUF_INIT;
	struct serial_in s;
	int rc;

	do {
		rc = spool_next_serial_in(c->x->spool, NULL, 0, &at, &s, e);
		if (rc == 0 && s.owed)
			answer_need(c, s.origin, false);
		serial_in_release(&s);
	} while (rc == 0 || (rc == ERR_CORRUPT &&
	    !store_failed(spool_store(c->x->spool))));
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int
open_epoch(struct custody *c, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(c->x->spool, &u, e);

	if (rc != 0)
		return rc;
	rc = spool_new_epoch(u, e);
	if (rc != 0) {
		spool_abort(u);
		return rc;
	}
	rc = spool_commit(u, true, e);
	if (rc == 0) {
		c->renew = false;
		c->counters.epochs++;
		log_event(c->x->log, LOG_LEVEL_WARNING, "epoch-opened", NULL);
	}
	return rc;
}

int
custody_load(struct exchange *x, struct err *e)
{
	struct custody *c = x->custody;
	int rc = load_flows(c, e);

	if (rc == 0 && c->renew) {
		rc = open_epoch(c, e);
		while (!list_empty(&c->flows)) {
			struct flow *f = list_entry(c->flows.next,
			    struct flow, link);

			list_del(&f->link);
			free(f);
		}
	}
	if (rc == 0)
		rc = load_lots(c, e);
	if (rc == 0)
		rc = load_owed(c, e);
	if (rc == 0)
		transit_announce(x);
	return rc;
}

/* Everything that is under way is cut anew, under another epoch: those who
 * have taken some of it know the messages by their numbers. */
static int
renew(struct custody *c, struct err *e)
{
	struct list *item, *after;
	struct serial_out s;
	struct lot *lot;
	int rc = 0;

	seal_abort(c);
	list_for_each_safe(item, after, &c->flows) {
		struct flow *f = list_entry(item, struct flow, link);

		while (rc == 0 && !list_empty(&f->lots)) {
			lot = list_entry(f->lots.next, struct lot, link);
			serial_out_init(&s);
			if (lot->rec != NULL)
				lot_release(c, lot, lot->rec);
			else
				rc = spool_get_serial_out(c->x->spool,
				    f->target->name,
				    spool_epoch(c->x->spool), lot->serial,
				    &s, e);
			lot_release(c, lot, &s);
			serial_out_release(&s);
			if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT)
				rc = 0;
			if (rc == 0)
				rc = forget_records(c, lot, e);
			if (rc == 0)
				lot_free(c, lot);
		}
		f->next = f->reserved = 1;
	}
	return rc == 0 ? open_epoch(c, e) : rc;
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
	log_event(c->x->log, LOG_LEVEL_WARNING, "answer-postponed",
	    "site", a->site, "reason", e->text, NULL);
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
		if (rc == 0)
			answer_free(a);
		else if (!is_fatal(c))
			answer_failed(c, a, e);
		return is_fatal(c) ? rc : 1;
	}
	if (list_empty(&c->to_seal))
		return 0;
	lot = list_entry(c->to_seal.next, struct lot, seal_link);
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
	struct leg *leg;
	size_t i;
	int rc = spool_get_serial_out(x->spool, lot_site(lot),
	    spool_epoch(x->spool), lot->serial, &s, e);

	if (rc == 0)
		rc = lot_void(c, lot, e);
	if (rc != 0) {
		serial_out_release(&s);
		return rc;
	}
	c->counters.unconfirmed++;
	log_event(x->log, LOG_LEVEL_WARNING, "serial-expired",
	    "site", lot_site(lot), "serial", num_str(lot->serial).s, NULL);
	for (i = 0; i < s.nparts; i++) {
		leg = lot_leg(c, lot, s.part[i].message);
		if (leg != NULL)
			settle_fail(x, leg, "4.4.7", "not confirmed: no word "
			    "came back from the far site within its lifetime; "
			    "it may have been delivered", true);
	}
	serial_out_release(&s);
	return 0;
}

static int
lot_tick(struct custody *c, struct lot *lot, uint64_t now, struct err *e)
{
	const struct target *road;

	if (lot->state != LOT_UNDERWAY)
		return 0;
	road = custody_road(c->x, lot->flow->target);
	if (lot->expire_secs + grace_secs(c->x) <= now && lot->legs > 0 &&
	    (lot->hop_done || road == NULL || road->chance))
		return expire_lot(c, lot, e);
	if (lot->next_secs > now || lot->expire_secs <= now)
		return 0;
	/* Transit repeats what the neighbour does not have. */
	if (!lot->hop_done && lot->bundle != 0) {
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
	return clock_mono_ms(x->clock) +
	    (at > now ? (int64_t)(at - now) : 1) * 1000;
}

int64_t
custody_deadline_ms(struct exchange *x)
{
	struct custody *c = x->custody;
	int64_t at = INT64_MAX, when, mono = clock_mono_ms(x->clock);
	struct list *item, *next;

	if (c->opening != NULL || c->renew)
		return mono;
	if (!is_paused(c) && (c->sealing != NULL || !list_empty(&c->to_seal)))
		return mono;
	if (is_paused(c))
		at = c->pause_ms;
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
