/* SPDX-License-Identifier: ISC */
/*
 * Flows to other sites and their lots, in memory beside their records.
 */
#include <stdlib.h>

#include "node/custody_private.h"

#define REPEAT_MIN_SECS 900	/* no result for so long: it goes again */
#define REPEAT_NEW_SECS 3600	/* where no round trip was measured yet */
#define TELL_AGAIN_SECS 300	/* for want of room for a notice */

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

/* Notes durably that what this serial had may have arrived. */
static int
doubt_part(struct exchange *x, struct spool_unit *u,
    const struct object_part *part, struct err *e)
{
	struct entry *entry = map_get_u64(x->entries, part->message);
	struct message_state st;
	struct message m;
	size_t i;
	int rc = spool_get_message(x->spool, part->message, &m, e);

	if (rc == 0 && entry != NULL)
		rc = spool_get_state(x->spool, m.id, m.env.nrcpt, &st, e);
	else
		rc = rc == 0 ? ERR_NOT_FOUND : rc;
	if (rc == 0) {
		for (i = 0; i < part->nrcpt; i++)
			if (part->rcpt[i] < st.n)
				st.rcpt[part->rcpt[i]].unsure = true;
		rc = spool_put_state(u, m.id, &st, e);
		message_state_release(&st);
	}
	message_release(&m);
	if (rc == 0)
		entry->recorded = true;
	/* One that is gone or damaged is no matter of this. */
	return rc == ERR_NOT_FOUND || (rc == ERR_CORRUPT &&
	    !store_failed(spool_store(x->spool))) ? 0 : rc;
}

int
lot_doubt(struct custody *c, struct spool_unit *u, const struct serial_out *s,
    struct err *e)
{
	const struct leg *leg;
	struct entry *entry;
	size_t i, k;
	int rc = 0;

	for (i = 0; rc == 0 && i < s->nparts; i++) {
		rc = doubt_part(c->x, u, &s->part[i], e);
		entry = map_get_u64(c->x->entries, s->part[i].message);
		for (k = 0; entry != NULL && k < s->part[i].nrcpt; k++) {
			leg = leg_with(entry, s->part[i].rcpt[k]);
			if (leg != NULL)
				entry->leg[leg - entry->leg].doubtful = true;
		}
	}
	return rc;
}

void
lot_postpone(struct custody *c, struct lot *lot)
{
	if (lot->rec != NULL) {
		lot_release(c, lot, lot->rec);
		lot_free(c, lot);
		return;
	}
	list_del(&lot->seal_link);
	lot->state = LOT_UNDERWAY;
	lot->next_secs = now_secs(c->x) + REPEAT_NEW_SECS;
}

const char *
lot_site(const struct lot *lot)
{
	return lot->flow->target->name;
}

/* What is known of a lot goes, in one transaction. */
int
lot_forget_record(struct custody *c, const struct lot *lot,
    const struct serial_out *doubt, struct err *e)
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
	if (rc == 0 && doubt != NULL)
		rc = lot_doubt(c, u, doubt, e);
	if (rc != 0) {
		spool_abort(u);
		return rc;
	}
	rc = spool_commit(u, false, e);
	if (rc == 0 && lot->bundle != 0) {
		transit_withdrawn(x, lot->bundle);
		ride_lost(c, lot->bundle);
	}
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
		if (lot->state != LOT_VOID || lot->legs > 0 ||
		    lot_forget_record(c, lot, NULL, &e) != 0)
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
	if (lot_forget_record(c, lot, NULL, &e) != 0)
		log_event(c->x->log, LOG_LEVEL_WARNING, "upkeep-failed",
		    "reason", e.text, NULL);
	lot_free(c, lot);
	forget_voids(c, f);
	c->x->dirty = true;
}

/* Has its bundle left, as far as the road has said? */
static bool
has_left(struct custody *c, const struct lot *lot)
{
	struct transit_status st;
	uint64_t id = lot->bundle - 1;

	if (lot->hop_done || lot->bundle == 0)
		return true;
	return transit_next_status(c->x, &id, &st) && st.id == lot->bundle &&
	    st.sent_octets == st.octets;
}

void
custody_retry(struct exchange *x, uint64_t handle)
{
	struct custody *c = x->custody;
	struct lot *lot = c == NULL || handle == 0 ? NULL :
	    map_get_u64(c->lots, handle);

	if (lot == NULL || lot->state != LOT_UNDERWAY ||
	    lot->expire_secs <= now_secs(x) || !has_left(c, lot))
		return;
	c->counters.repeats++;
	log_event(x->log, LOG_LEVEL_INFO, "serial-repeated",
	    "site", lot_site(lot), "serial", num_str(lot->serial).s, NULL);
	lot_queue(c, lot);
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

void
lot_unconfirmed(struct custody *c, struct lot *lot, const struct serial_out *s)
{
	struct leg *leg;
	size_t i;

	lot->next_secs = now_secs(c->x) + TELL_AGAIN_SECS;
	for (i = 0; i < s->nparts; i++) {
		leg = lot_leg(c, lot, s->part[i].message);
		if (leg == NULL)
			continue;
		leg->unsure = true;
		settle_fail(c->x, leg, "4.4.7", NOT_CONFIRMED, true);
	}
}

int
lot_void(struct custody *c, struct lot *lot, const struct serial_out *unsure,
    struct err *e)
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
	if (unsure != NULL) {
		rec.part = unsure->part;	/* lent for the writing */
		rec.nparts = unsure->nparts;
	}
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
	rec.part = NULL;
	rec.nparts = 0;
	serial_out_release(&rec);
	if (rc != 0)
		return rc;
	if (lot->bundle != 0) {
		transit_withdrawn(c->x, lot->bundle);
		ride_lost(c, lot->bundle);
	}
	lot->bundle = 0;
	list_del(&lot->seal_link);
	lot->flow->nlots--;
	lot->state = LOT_VOID;
	return 0;
}

void
custody_site_replaced(struct exchange *x, const char *site)
{
	struct custody *c = x->custody;
	struct flow *f = c != NULL ? flow_find(c, site) : NULL;
	struct list *item;

	if (c != NULL)
		rides_of_site_lost(c, site);
	if (f == NULL)
		return;
	list_for_each(item, &f->lots) {
		struct lot *lot = list_entry(item, struct lot, link);

		if (lot->state == LOT_UNDERWAY)
			lot_queue(c, lot);
	}
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
