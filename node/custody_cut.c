/* SPDX-License-Identifier: ISC */
/*
 * Lots: when what waits for a site is cut, and how much of it at once.  As
 * with objects, what gathers while one bundle is being made or handed over
 * makes the next, so that a slow road gets few and large ones.  Mail that is
 * urgent is cut for itself: its bundle overtakes the others.
 */
#include <stdlib.h>

#include "node/custody_private.h"
#include "node/serials.h"

#define PARTS_MAX 5000		/* of one lot: keeps its record small */
#define LOT_OCTETS 1048576	/* of one lot, where nothing is configured */
#define LOTS_MAX 256		/* under way to one site */
#define PACE_MS 50
#define BLOCK 16		/* serials reserved at once */

static int
put_flow(struct custody *c, const struct flow *f, uint64_t reserved,
    struct err *e)
{
	struct flow_out fo;
	struct spool_unit *u;
	int rc;

	flow_out_init(&fo);
	fo.site = mem_strdup(f->target->name);
	fo.epoch = spool_epoch(c->x->spool);
	fo.next_serial = f->next;
	fo.reserved = reserved;
	rc = spool_begin(c->x->spool, &u, e);
	if (rc == 0) {
		rc = spool_put_flow_out(u, &fo, e);
		if (rc == 0)
			rc = spool_commit(u, true, e);
		else
			spool_abort(u);
	}
	flow_out_release(&fo);
	return rc;
}

/* The file first: should only one of the two be written, they do not agree,
 * and a new epoch is opened. */
int
take_serial(struct custody *c, struct flow *f, uint64_t *serial_out,
    struct err *e)
{
	int rc = 0;

	if (f->next >= f->reserved) {
		rc = serials_reserve(c->x->serials, f->target->name,
		    spool_epoch(c->x->spool), f->next + BLOCK, e);
		if (rc == 0)
			rc = put_flow(c, f, f->next + BLOCK, e);
		if (rc != 0)
			return rc;
		f->reserved = f->next + BLOCK;
	}
	*serial_out = f->next++;
	return 0;
}

bool
cut_waits(struct exchange *x, const struct target *t, const struct lane *l)
{
	return lane_share(x, t, l).first != NULL;
}

static bool
is_making(const struct custody *c, const struct flow *f)
{
	struct list *item;

	list_for_each(item, &c->to_seal) {
		if (list_entry(item, struct lot, seal_link)->flow == f)
			return true;
	}
	return c->sealing != NULL;
}

static bool
should_cut(struct custody *c, struct target *t, struct flow *f,
    const struct lane *l)
{
	const struct conf_peer *peer = l->target->peer;
	struct exchange *x = c->x;
	int64_t now = clock_mono_ms(x->clock);
	struct share s;

	if (f->nlots >= LOTS_MAX || is_making(c, f) || c->pause_ms > now)
		return false;
	s = lane_share(x, t, l);
	if (s.first == NULL)
		return false;
	if (l->wanted || s.first->entry->rank > 0 || share_is_full(peer, &s))
		return true;
	if (!schedule_is_empty(l->conf->call))
		return true;	/* transit asks when the road takes it */
	if (f->cut_ms != 0 && f->cut_ms + PACE_MS > now)
		return false;
	return s.first->entry->accepted_secs + peer->batch_age_secs <=
	    now_secs(x);
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* When what waits for t may be cut for l, as far as time decides; in the past:
 * it waits for something that happens. */
static int64_t
cut_due_ms(struct custody *c, const struct target *t, const struct lane *l)
{
	const struct flow *f = flow_find(c, t->name);
	int64_t mono = clock_mono_ms(c->x->clock), at = cut_pace_ms(l);
	uint64_t full, now = now_secs(c->x);
	struct share s;

	if (l->conf == NULL || !schedule_is_empty(l->conf->call))
		return INT64_MIN;
	s = lane_share(c->x, t, l);
	if (s.first == NULL)
		return INT64_MIN;
	full = s.first->entry->accepted_secs +
	    l->target->peer->batch_age_secs;
	if (f != NULL && f->cut_ms != 0)
		at = later(at, f->cut_ms + PACE_MS);
	if (full > now)
		at = later(at, mono + (int64_t)(full - now) * 1000);
	return at;
}

int64_t
cut_deadline_ms(struct custody *c)
{
	struct exchange *x = c->x;
	int64_t at = INT64_MAX, when, mono = clock_mono_ms(x->clock);
	const struct target *t, *road;
	size_t i, k;

	for (i = 0; i < x->ntargets; i++) {
		t = x->target[i];
		if (t->kind != TARGET_SITE || list_empty(&t->ready))
			continue;
		road = custody_road(x, t);
		for (k = 0; road != NULL && k < road->nlanes; k++) {
			when = cut_due_ms(c, t, road->lane[k]);
			at = when > mono && when < at ? when : at;
		}
	}
	return at;
}

static bool
too_large(struct exchange *x, struct leg *leg, const struct conf_peer *peer)
{
	if (peer->max_message == 0 || leg->entry->octets <= peer->max_message)
		return false;
	settle_fail(x, leg, "5.3.4", "the message is larger than the road to "
	    "this site carries", false);
	return true;
}

static void
add_part(struct serial_out *s, const struct leg *leg)
{
	struct object_part *part;

	if ((s->nparts & (s->nparts - 1)) == 0)
		s->part = mem_realloc(s->part, s->nparts == 0 ? 1 :
		    s->nparts * 2, sizeof(*s->part));
	part = &s->part[s->nparts++];
	part->message = leg->entry->id;
	part->nrcpt = leg->nrcpt;
	part->rcpt = mem_alloc(leg->nrcpt, sizeof(*part->rcpt));
	memcpy(part->rcpt, leg_rcpt(leg), leg->nrcpt * sizeof(*part->rcpt));
}

static void
take_leg(struct custody *c, struct lot *lot, struct leg *leg)
{
	uint64_t end = leg->entry->accepted_secs +
	    queue_lifetime_secs(c->x, leg->target);

	add_part(lot->rec, leg);
	leg_take(leg, LEG_CUT);
	leg->object = lot->handle;
	lot->legs++;
	lot->expire_secs = end > lot->expire_secs ? end : lot->expire_secs;
}

static uint64_t
most_octets(const struct lane *l)
{
	uint64_t most = l->target->peer->batch_octets, max = l->conf->size_max;

	most = most == 0 ? LOT_OCTETS : most;
	return max != 0 && max < most ? max : most;
}

static void
gather(struct custody *c, struct lot *lot, struct target *t,
    const struct lane *l)
{
	const struct conf_peer *p = l->target->peer;
	uint64_t octets = 0, most = most_octets(l);
	struct list *item, *after;
	struct leg *leg;
	int rank = 0;

	list_for_each_safe(item, after, &t->ready) {
		leg = list_entry(item, struct leg, link);
		if (too_large(c->x, leg, p) || !lane_gets_leg(c->x, l, leg))
			continue;
		if (lot->legs == 0)
			rank = leg->entry->rank;
		if (lot->legs > 0 && (octets + leg->entry->octets > most ||
		    (rank > 0) != (leg->entry->rank > 0)))
			break;
		octets += leg->entry->octets;
		take_leg(c, lot, leg);
		if ((p->batch_count != 0 && lot->legs >= p->batch_count) ||
		    lot->legs >= PARTS_MAX)
			break;
	}
	lot->priority = rank;
}

bool
cut_lot(struct custody *c, struct target *t, const struct lane *l)
{
	struct flow *f = flow_need(c, t);
	struct err e = ERR_INIT;
	struct lot *lot;
	uint64_t serial;

	if (list_empty(&t->ready) || !should_cut(c, t, f, l) ||
	    !seal_can(c, t->name))
		return false;
	if (take_serial(c, f, &serial, &e) != 0) {
		log_event(c->x->log, LOG_LEVEL_WARNING, "bundle-not-made",
		    "site", t->name, "reason", e.text, NULL);
		c->pause_ms = clock_mono_ms(c->x->clock) + 30000;
		return false;
	}
	lot = lot_new(c, f, serial);
	lot->rec = mem_alloc(1, sizeof(*lot->rec));
	serial_out_init(lot->rec);
	gather(c, lot, t, l);
	if (lot->legs == 0) {
		lot_free(c, lot);
		return false;
	}
	lot->cut_secs = now_secs(c->x);
	f->cut_ms = clock_mono_ms(c->x->clock);
	lot_queue(c, lot);
	log_event(c->x->log, LOG_LEVEL_INFO, "serial-cut", "site", t->name,
	    "serial", num_str(serial).s, "messages", num_str(lot->legs).s,
	    NULL);
	return true;
}

/*
 * A test: a serial without mail.
 */
static struct lot *
running_test(struct flow *f)
{
	struct list *item;

	list_for_each(item, &f->lots) {
		struct lot *lot = list_entry(item, struct lot, link);

		if (lot->test && lot->state != LOT_VOID)
			return lot;
	}
	return NULL;
}

/* One at a time: those that are never answered would add up and leave no room
 * for mail.  The one there is goes again. */
static int
begin_test(struct custody *c, struct flow *f, struct lot **lot_out,
    struct err *e)
{
	struct lot *lot = running_test(f);
	uint64_t serial;
	int rc;

	if (lot == NULL) {
		rc = take_serial(c, f, &serial, e);
		if (rc != 0)
			return rc;
		lot = lot_new(c, f, serial);
		lot->rec = mem_alloc(1, sizeof(*lot->rec));
		serial_out_init(lot->rec);
		lot->test = true;
		lot->priority = PRIORITY_MAX;
		lot_queue(c, lot);
	} else if (lot->state == LOT_UNDERWAY) {
		lot_queue(c, lot);
	}
	lot->cut_secs = now_secs(c->x);
	lot->expire_secs = lot->cut_secs + 86400;
	*lot_out = lot;
	return 0;
}

int
custody_test(struct exchange *x, const char *site, uint64_t *serial_out,
    struct err *e)
{
	struct custody *c = x->custody;
	struct target *t, *road;
	struct lane *l;
	struct lot *lot;
	int rc;

	if (!directory_knows(x->directory, site))
		return err_set(e, ERR_NOT_FOUND, "there is no card of %s: get "
		    "it and use `postrider peer add FILE`", site);
	t = queue_site(x, site);
	road = custody_road(x, t);
	if (road == NULL || road->peer == NULL)
		return err_set(e, ERR_NOT_FOUND, "no native road leads to %s",
		    site);
	if (!seal_can(c, site))
		return err_set(e, ERR_NOT_FOUND, "no live key of %s is known: "
		    "it was asked for one, try again when it has answered",
		    site);
	rc = begin_test(c, flow_need(c, t), &lot, e);
	if (rc != 0)
		return rc;
	*serial_out = lot->serial;
	l = lane_for(x, road, lot->priority, 0);
	if (l == NULL)
		l = road->lane[0];
	l->wanted = true;
	return 0;
}

/* Why nothing can be sent to a peer now; NULL: a transport runs, or has not
 * failed. */
static const char *
road_error(struct exchange *x, const char *peer)
{
	const struct target *t = peer != NULL ? queue_peer(x, peer) : NULL;
	const char *error = NULL;
	size_t i;

	for (i = 0; t != NULL && i < t->nlanes; i++) {
		const struct lane *l = t->lane[i];

		if (l->conf != NULL && (l->up || l->failures == 0))
			return NULL;
		if (l->conf != NULL && error == NULL)
			error = l->last_error;
	}
	return error;
}

bool
custody_test_status(struct exchange *x, const char *site, uint64_t serial,
    struct custody_status *st)
{
	struct custody *c = x->custody;
	struct flow *f = flow_find(c, site);
	struct lot *lot = lot_find(c, site, serial);
	struct custody_where where;

	memset(st, 0, sizeof(*st));
	if (f == NULL || (lot != NULL && lot->state == LOT_VOID))
		return false;
	st->peer = transit_next_peer(x, site);
	if (lot == NULL) {
		st->stage = CUSTODY_ANSWERED;
		st->rtt_secs = f->tested_secs;
		return f->tested_serial == serial;
	}
	lot_where(c, lot, &where);
	st->stage = where.stage;
	st->age_secs = where.age_secs;
	st->attempts = where.attempts;
	st->peer = where.peer;
	st->error = road_error(x, st->peer);
	return lot->test;
}
