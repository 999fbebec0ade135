/* SPDX-License-Identifier: ISC */
/*
 * Objects of batches, for peers that speak bsmtp or rfc2442: when waiting mail
 * is cut into one, and what becomes of its messages.  The transport's word
 * that it handed the object over ends our custody of them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "node/inbound.h"
#include "node/outbound.h"
#include "node/returned.h"
#include "smtp/extension.h"

#define PARTS_MAX 20000		/* keeps an object's record under 1 MiB */

/* How long one that is ready has waited. */
static uint64_t
age_secs(struct exchange *x, const struct leg *leg)
{
	uint64_t now = now_secs(x);

	return now > leg->entry->accepted_secs ?
	    now - leg->entry->accepted_secs : 0;
}

static bool
should_cut(struct exchange *x, struct lane *l)
{
	const struct conf_peer *peer = l->target->peer;
	struct share s = lane_share(x, l->target, l);

	if (s.first == NULL || (lane_has_others(l) && !lane_is_usable(x, l)))
		return false;
	if (l->wanted || s.first->entry->rank > 0 || share_is_full(peer, &s))
		return true;
	if (!schedule_is_empty(l->conf->call))
		return road_is_due(x, l) || road_is_taking(x, l);
	/* The road is always open: what gathers while one object is under
	 * way makes the next.  An object costs a dozen flushes on its way, so
	 * a burst is not cut into as many as the disk can take. */
	if (l->pause_ms > clock_mono_ms(x->clock) ||
	    cut_pace_ms(l) > clock_mono_ms(x->clock))
		return false;
	if (peer->batch_age_secs == 0)
		return l->nobjects == 0;
	return age_secs(x, s.first) >= peer->batch_age_secs;
}

/* Fails a leg that this peer's road cannot carry; true if it did. */
static bool
refuse_leg(struct exchange *x, struct leg *leg)
{
	const struct conf_peer *peer = leg->target->peer;
	unsigned beyond = leg->entry->needs & ~outbound_extensions(peer);
	const char *status = NULL, *text = NULL;

	if (peer->max_message != 0 && leg->entry->octets > peer->max_message) {
		status = "5.3.4";
		text = "the message is larger than the road to this site "
		    "carries";
	} else if (beyond & SMTP_EXT_SMTPUTF8) {
		status = "5.6.7";
		text = "the road to this site does not carry SMTPUTF8";
	} else if (beyond & SMTP_EXT_DELIVERBY) {
		status = "5.3.3";
		text = "the road to this site does not carry DELIVERBY, "
		    "which the sender asks for with R";
	} else if (peer->convert != CONVERT_NONE) {
		;	/* what can be done is known when it is written */
	} else if (beyond & (SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING)) {
		status = "5.6.1";
		text = "the road to this site carries lines that end in "
		    "CR LF only, and this message holds others, or its last "
		    "one is open";
	}
	if (status == NULL)
		return false;
	settle_fail(x, leg, status, text, false);
	return true;
}

static void
object_add(struct object *o, const struct leg *leg)
{
	struct object_part *part;

	if ((o->nparts & (o->nparts - 1)) == 0)
		o->part = mem_realloc(o->part, o->nparts == 0 ? 1 :
		    o->nparts * 2, sizeof(*o->part));
	part = &o->part[o->nparts++];
	part->message = leg->entry->id;
	part->nrcpt = leg->nrcpt;
	part->rcpt = mem_alloc(leg->nrcpt, sizeof(*part->rcpt));
	memcpy(part->rcpt, leg_rcpt(leg), leg->nrcpt * sizeof(*part->rcpt));
}

static uint64_t
most_octets(const struct lane *l)
{
	uint64_t most = l->target->peer->batch_octets, max = l->conf->size_max;

	return most == 0 || (max != 0 && max < most) ? max : most;
}

/* Moves legs into the object until a limit is reached. */
static unsigned
gather(struct exchange *x, struct lane *l, struct object *o,
    uint64_t *octets_out)
{
	const struct conf_peer *p = l->target->peer;
	uint64_t most = most_octets(l);
	struct list *item, *after;
	unsigned needs = 0;
	struct leg *leg;

	*octets_out = 0;
	list_for_each_safe(item, after, &l->target->ready) {
		leg = list_entry(item, struct leg, link);
		if (refuse_leg(x, leg) || !lane_gets_leg(x, l, leg))
			continue;
		if (o->nparts > 0 && most != 0 &&
		    *octets_out + leg->entry->octets > most)
			break;
		object_add(o, leg);
		*octets_out += leg->entry->octets;
		needs |= (leg->entry->needs | leg->entry->uses) &
		    outbound_extensions(p);
		leg_take(leg, LEG_CUT);
		leg->object = 0;
		if ((p->batch_count != 0 && o->nparts >= p->batch_count) ||
		    o->nparts >= PARTS_MAX)
			break;
	}
	return needs;
}

static void
release_legs(struct exchange *x, const struct object *o, uint64_t object)
{
	struct leg *leg;
	size_t i;

	for (i = 0; i < o->nparts; i++) {
		leg = leg_cut_into(x, o->part[i].message, object);
		if (leg != NULL)
			leg_ready(leg);
	}
}

static void
add_rank(struct cut *c, const struct leg *leg)
{
	if (leg->entry->rank > c->rank)
		c->rank = leg->entry->rank;
}

static void
assign_legs(struct exchange *x, const struct object *o, struct cut *c)
{
	struct leg *leg;
	size_t i;

	for (i = 0; i < o->nparts; i++) {
		leg = leg_cut_into(x, o->part[i].message, 0);
		if (leg == NULL)
			continue;
		leg->object = o->id;
		add_rank(c, leg);
	}
}

static bool
batch_cut(struct exchange *x, struct lane *l)
{
	struct object o;
	struct cut *c = NULL;
	uint64_t octets;
	unsigned needs;

	if (!should_cut(x, l))
		return false;
	object_init(&o);
	needs = gather(x, l, &o, &octets);
	if (o.nparts == 0)
		goto out;
	o.params = outbound_params(x->conf, l->target->peer, needs);
	c = cut_object(x, l, &o);
	if (c == NULL) {
		release_legs(x, &o, 0);
		goto out;
	}
	assign_legs(x, &o, c);
	cut_weigh(c, octets);
	log_event(x->log, LOG_LEVEL_INFO, "object-cut", "peer",
	    l->target->name, "name", o.name, "messages",
	    num_str(o.nparts).s, "octets", num_str(octets).s,
	    "transport", lane_word(l), NULL);
out:
	object_release(&o);
	return c != NULL;
}

/*
 * The end of an object.
 */

/* The recipients of this leg are done; in the index too once committed. */
static int
settle_part(struct exchange *x, struct spool_unit *u, const struct leg *leg,
    struct err *e)
{
	if (leg->entry->open == leg->nrcpt)
		return spool_del_message(u, leg->entry->id, e);
	return leg_record(x, u, leg, RCPT_DONE, e);
}

static void
forget_part(struct exchange *x, struct leg *leg)
{
	struct entry *entry = leg->entry;

	x->counters.delivered += leg->nrcpt;
	entry->open -= leg->nrcpt;
	leg_take(leg, LEG_RUNNING);
	leg_set_rcpt(leg, NULL, 0);
	if (entry->open == 0)
		queue_forget(x, entry);
}

/* The parts from i on that one transaction takes: where they end. */
static size_t
group_end(struct exchange *x, const struct object *o, size_t i)
{
	const struct leg *leg;
	size_t weight = 0;

	for (; i < o->nparts && weight < SPOOL_UNIT_MAX; i++) {
		leg = leg_cut_into(x, o->part[i].message, o->id);
		if (leg == NULL)
			continue;
		weight += 512 + (leg->entry->success ? 4096u : 0u) +
		    (leg->entry->octets < SPOOL_INLINE_MAX ?
		    (size_t)leg->entry->octets : 0);
	}
	return i;
}

/* Where the parameters did not go along nobody but us tells of success.  A
 * notice that cannot be written is lost: sending all again would be worse. */
static void
group_reports(struct exchange *x, const struct object *o, size_t i,
    size_t end, struct list *reports)
{
	struct err e = ERR_INIT;
	struct report *r;
	struct leg *leg;

	for (; i < end; i++) {
		leg = leg_cut_into(x, o->part[i].message, o->id);
		if (leg == NULL)
			continue;
		if (report_relayed(x, leg,
		    outbound_carries(o->params), &r, &e) != 0)
			log_event(x->log, LOG_LEVEL_WARNING, "notice-lost",
			    "id", message_name(leg->entry->id).s,
			    "reason", e.text, NULL);
		else if (r != NULL)
			list_add_tail(reports, &r->link);
	}
}

/* What is to be told if the mail that carried them comes back. */
static int
gather_mail(struct exchange *x, const struct object *o, size_t i, size_t end,
    struct sent_mail *mail_out, struct err *e)
{
	const struct lane *l = lane_find(x, o->road);

	sent_mail_init(mail_out);
	if (l == NULL || !returned_is_kept(l))
		return 0;
	return returned_gather(x, o, i, end, mail_out, e);
}

static int
write_group(struct exchange *x, const struct object *o, size_t i, size_t end,
    const struct list *reports, bool sync, struct err *e)
{
	struct spool_unit *u;
	struct sent_mail mail;
	struct list *item;
	struct leg *leg;
	int rc = gather_mail(x, o, i, end, &mail, e);

	if (rc == 0)
		rc = spool_begin(x->spool, &u, e);
	if (rc != 0)
		goto out;
	if (mail.name != NULL)
		rc = spool_put_sent_mail(u, &mail, e);
	list_for_each(item, reports) {
		if (rc == 0)
			rc = report_put(u, list_entry(item, struct report,
			    link), e);
	}
	for (; rc == 0 && i < end; i++) {
		leg = leg_cut_into(x, o->part[i].message, o->id);
		if (leg != NULL)
			rc = settle_part(x, u, leg, e);
	}
	if (rc == 0 && end == o->nparts)
		rc = spool_del_object(u, o->id, e);
	if (rc == 0)
		rc = spool_commit(u, sync, e);
	else
		spool_abort(u);
out:
	sent_mail_release(&mail);
	return rc;
}

/* Settles parts from *i_io on in one transaction; the last one takes the
 * object's record along. */
static int
clear_group(struct exchange *x, const struct object *o, size_t *i_io,
    bool sync, struct err *e)
{
	size_t k, end = group_end(x, o, *i_io);
	struct list reports, *item, *after;
	struct report *r;
	struct leg *leg;
	int rc;

	list_init(&reports);
	group_reports(x, o, *i_io, end, &reports);
	rc = write_group(x, o, *i_io, end, &reports, sync, e);
	for (k = *i_io; rc == 0 && k < end; k++) {
		leg = leg_cut_into(x, o->part[k].message, o->id);
		if (leg != NULL)
			forget_part(x, leg);
	}
	list_for_each_safe(item, after, &reports) {
		list_del(item);
		r = list_entry(item, struct report, link);
		if (rc == 0)
			report_done(x, r);
		else
			report_free(r);
	}
	if (rc == 0)
		*i_io = end;
	return rc;
}

/* An object whose messages fit one transaction goes in one; a larger one is
 * marked first, so that a crash half way goes on where it was. */
static int
batch_sent(struct exchange *x, struct cut *c, struct err *e)
{
	struct object o;
	size_t i = 0;
	bool small;
	int rc;

	object_init(&o);
	rc = spool_get_object(x->spool, c->id, &o, e);
	small = c->weight + 512 * o.nparts < SPOOL_UNIT_MAX;
	if (rc == 0 && !small && o.status != OBJECT_SENT) {
		o.status = OBJECT_SENT;
		rc = cut_record(x, &o, e);
		c->status = OBJECT_SENT;
	}
	while (rc == 0 && i < o.nparts)
		rc = clear_group(x, &o, &i, small, e);
	if (rc == 0 && o.nparts == 0)
		rc = clear_group(x, &o, &i, small, e);
	object_release(&o);
	return rc;
}

/* By which an object would go, of those behind the one that refused it; NULL:
 * by none. */
static struct lane *
lane_of_cut(struct exchange *x, const struct cut *c, bool now)
{
	const struct target *t = c->lane->target;
	bool behind = c->refused == NULL;
	size_t i;

	for (i = 0; i < t->nlanes; i++) {
		struct lane *l = t->lane[i];

		if (behind && lane_takes(l, c->rank, c->weight) &&
		    (!now || lane_is_usable(x, l)))
			return l;
		behind = behind || l == c->refused;
	}
	return NULL;
}

/* It is frozen, and goes as it is. */
static int
batch_hand_on(struct exchange *x, struct cut *c, struct err *e)
{
	struct lane *to = lane_of_cut(x, c, true);

	return to == NULL || to == c->lane || to->nobjects >= OBJECTS_MAX ?
	    0 : cut_move(x, c, to, e);
}

/* Withdraws an object and fails its messages.  What the transport said names
 * those who carry our mail: it stays in the log. */
static void
fail_all(struct exchange *x, struct cut *c)
{
	struct err e = ERR_INIT;
	struct object o;
	struct leg *leg;
	struct leg **legs;
	size_t i, n = 0;

	object_init(&o);
	if (spool_get_object(x->spool, c->id, &o, &e) != 0) {
		object_release(&o);
		return;
	}
	legs = mem_alloc(o.nparts + 1, sizeof(struct leg *));
	for (i = 0; i < o.nparts; i++) {
		leg = leg_cut_into(x, o.part[i].message, c->id);
		if (leg != NULL)
			legs[n++] = leg;
	}
	if (cut_withdraw(x, c, &e) == 0) {
		for (i = 0; i < n; i++)
			settle_fail(x, legs[i], "5.4.4", "sending it on to "
			    "the next site failed for good", false);
	}
	free(legs);
	object_release(&o);
}

/* What one transport never takes another may. */
static void
batch_failed(struct exchange *x, struct cut *c)
{
	struct err e = ERR_INIT;
	struct lane *to;

	c->refused = c->lane;
	to = lane_of_cut(x, c, true);
	if (to == NULL)
		to = lane_of_cut(x, c, false);
	if (to == NULL || cut_move(x, c, to, &e) != 0)
		fail_all(x, c);
}

/*
 * Start.
 */
static int
batch_load(struct exchange *x, const struct object *o, struct cut *c,
    struct err *e)
{
	struct leg *leg;
	size_t i;

	for (i = 0; i < o->nparts; i++) {
		leg = queue_claim(x, o->part[i].message, o->part[i].rcpt,
		    o->part[i].nrcpt, c->lane->target);
		if (leg == NULL)
			continue;
		leg->object = c->id;
		add_rank(c, leg);
		cut_weigh(c, leg->entry->octets);
	}
	(void)e;
	return 0;
}

static void
batch_withdrawn(struct exchange *x, const struct object *o)
{
	release_legs(x, o, o->id);
}

static bool
batch_waits(struct exchange *x, const struct lane *l)
{
	return lane_share(x, l->target, l).first != NULL;
}

/* What waits is there: nothing has to be made of it first. */
static bool
batch_making(struct exchange *x, const struct lane *l)
{
	(void)x;
	(void)l;
	return false;
}

static int64_t
batch_deadline_ms(struct exchange *x, const struct lane *l)
{
	int64_t mono = clock_mono_ms(x->clock), at = INT64_MAX, full;
	uint64_t age, most = l->target->peer->batch_age_secs;
	struct share s;

	if (!schedule_is_empty(l->conf->call))
		return INT64_MAX;
	s = lane_share(x, l->target, l);
	if (s.first == NULL)
		return INT64_MAX;
	if (cut_pace_ms(l) > mono)
		at = cut_pace_ms(l);
	if (most == 0)
		return at;
	age = s.first->entry->accepted_secs + most;
	full = age <= now_secs(x) ? mono + 1000 :
	    mono + (int64_t)(age - now_secs(x)) * 1000;
	return full < at ? full : at;
}

const struct dialect batch_dialect = {
	.cut = batch_cut,
	.waits = batch_waits,
	.making = batch_making,
	.deadline_ms = batch_deadline_ms,
	.sent = batch_sent,
	.withdrawn = batch_withdrawn,
	.hand_on = batch_hand_on,
	.failed = batch_failed,
	.load = batch_load,
	.outbound_new = outbound_new,
	.outbound_read = outbound_read,
	.outbound_free = outbound_free,
	.inbound_new = inbound_new,
	.inbound_add = inbound_add,
	.inbound_end = inbound_end,
	.inbound_free = inbound_free,
};
