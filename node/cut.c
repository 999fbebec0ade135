/* SPDX-License-Identifier: ISC */
/*
 * Objects for peers: when what waits is cut, and what becomes of an object
 * until its messages are settled.  The record of an object is durable before
 * its file is made, so a file without a record is a leftover and a record
 * without a file is written again, to the same octets.
 *
 * waiting legs --cut--> CUT --file whole--> WRITTEN --sent--> SENT --> gone
 *       ^                |                     |
 *       +---withdrawn----+---------------------+
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "bundle/writer.h"
#include "node/exchange_private.h"
#include "node/outbound.h"
#include "smtp/extension.h"

#define PARTS_MAX 20000		/* keeps an object's record under 1 MiB */
#define PACE_MS 50		/* between objects of a burst of mail */
#define ID_PREFIX "pr-"

bool
cut_is_ours(const char *id)
{
	if (id == NULL)
		return false;
	if (id[0] == '<')
		id++;
	return strncmp(id, ID_PREFIX, sizeof(ID_PREFIX) - 1) == 0;
}

static struct cut *
cut_new(struct exchange *x, const struct object *o, struct target *t)
{
	struct cut *c = mem_alloc(1, sizeof(*c));

	list_init(&c->link);
	c->id = o->id;
	c->status = o->status;
	c->target = t;
	c->name = mem_strdup(o->name);
	c->octets = o->octets;
	c->cut_secs = o->cut_secs;
	memcpy(c->digest, o->digest, sizeof(c->digest));
	c->missing = true;
	map_put_u64(x->cuts, c->id, c);
	list_add_tail(&t->objects, &c->link);
	t->nobjects++;
	return c;
}

static void
cut_free(struct exchange *x, struct cut *c)
{
	list_del(&c->link);
	c->target->nobjects--;
	c->target->object_octets -= c->weight;
	map_del_u64(x->cuts, c->id);
	free(c->name);
	free(c);
}

struct cut *
cut_find(struct exchange *x, const char *peer, const char *name)
{
	struct target *t = queue_peer(x, peer);
	struct list *item;

	if (t == NULL)
		return NULL;
	list_for_each(item, &t->objects) {
		struct cut *c = list_entry(item, struct cut, link);

		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

/* The leg of a message that is in this object. */
static struct leg *
cut_leg(struct exchange *x, uint64_t message, uint64_t object)
{
	struct entry *entry = map_get_u64(x->entries, message);
	size_t i;

	for (i = 0; entry != NULL && i < entry->nlegs; i++) {
		if (entry->leg[i].status == LEG_CUT &&
		    entry->leg[i].object == object)
			return &entry->leg[i];
	}
	return NULL;
}

/*
 * Cutting.
 */

static bool
has_limit(const struct target *t)
{
	const struct conf_peer *p = t->peer;

	return (p->batch_octets != 0 && t->ready_octets >= p->batch_octets) ||
	    (p->batch_count != 0 && t->ready_count >= p->batch_count);
}

/* How long the oldest that is ready has waited. */
static uint64_t
oldest_secs(struct exchange *x, const struct target *t)
{
	const struct leg *leg;
	uint64_t now = now_secs(x);

	leg = list_entry(t->ready.next, struct leg, link);
	return now > leg->entry->accepted_secs ?
	    now - leg->entry->accepted_secs : 0;
}

int64_t
cut_pace_ms(const struct target *t)
{
	return t->cut_ms == 0 ? 0 : t->cut_ms + PACE_MS;
}

static bool
should_cut(struct exchange *x, struct target *t)
{
	if (t->peer == NULL || list_empty(&t->ready) ||
	    t->nobjects >= OBJECTS_MAX)
		return false;
	if (t->wanted || t->urgent > 0 || has_limit(t))
		return true;
	if (!schedule_is_empty(t->peer->call))
		return road_is_due(x, t) || road_is_taking(x, t);
	/* The road is always open: what gathers while one object is under
	 * way makes the next.  An object costs a dozen flushes on its way, so
	 * a burst is not cut into as many as the disk can take. */
	if (t->pause_ms > clock_mono_ms(x->clock) ||
	    cut_pace_ms(t) > clock_mono_ms(x->clock))
		return false;
	if (t->peer->batch_age_secs == 0)
		return t->nobjects == 0;
	return oldest_secs(x, t) >= t->peer->batch_age_secs;
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

/* Moves legs into the object until a limit is reached. */
static unsigned
gather(struct exchange *x, struct target *t, struct object *o,
    uint64_t *octets_out)
{
	const struct conf_peer *p = t->peer;
	struct list *item, *after;
	unsigned needs = 0;
	struct leg *leg;

	*octets_out = 0;
	list_for_each_safe(item, after, &t->ready) {
		leg = list_entry(item, struct leg, link);
		if (refuse_leg(x, leg))
			continue;
		if (o->nparts > 0 && p->batch_octets != 0 &&
		    *octets_out + leg->entry->octets > p->batch_octets)
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
name_object(struct exchange *x, struct object *o)
{
	unsigned char random[10];
	struct buf b = BUF_INIT;

	rng_fill(x->rng, random, sizeof(random));
	base32_encode(&b, random, sizeof(random));
	o->name = buf_steal(&b);
}

static void
release_legs(struct exchange *x, const struct object *o, uint64_t object)
{
	struct leg *leg;
	size_t i;

	for (i = 0; i < o->nparts; i++) {
		leg = cut_leg(x, o->part[i].message, object);
		if (leg != NULL)
			leg_ready(leg);
	}
}

static void
assign_legs(struct exchange *x, const struct object *o)
{
	struct leg *leg;
	size_t i;

	for (i = 0; i < o->nparts; i++) {
		leg = cut_leg(x, o->part[i].message, 0);
		if (leg != NULL)
			leg->object = o->id;
	}
}

static int
record_object(struct exchange *x, struct object *o, struct err *e)
{
	struct spool_unit *u;
	int rc;

	rc = spool_begin(x->spool, &u, e);
	if (rc != 0)
		return rc;
	rc = spool_put_object(u, o, e);
	if (rc != 0) {
		spool_abort(u);
		return rc;
	}
	return spool_commit(u, true, e);
}

static bool
cut_one(struct exchange *x, struct target *t)
{
	struct err e = ERR_INIT;
	struct object o;
	struct cut *c;
	uint64_t octets;
	unsigned needs;
	bool good = false;

	object_init(&o);
	needs = gather(x, t, &o, &octets);
	if (o.nparts == 0)
		goto out;
	o.status = OBJECT_CUT;
	o.peer = mem_strdup(t->name);
	name_object(x, &o);
	o.cut_wall_ms = clock_wall_ms(x->clock);
	o.cut_secs = now_secs(x);
	o.params = outbound_params(x->conf, t->peer, needs);
	if (record_object(x, &o, &e) != 0) {
		log_event(x->log, LOG_LEVEL_WARNING, "object-not-cut",
		    "peer", t->name, "reason", e.text, NULL);
		release_legs(x, &o, 0);
		goto out;
	}
	assign_legs(x, &o);
	c = cut_new(x, &o, t);
	c->weight = octets;
	t->object_octets += octets;
	t->cut_ms = clock_mono_ms(x->clock);
	log_event(x->log, LOG_LEVEL_INFO, "object-cut", "peer", t->name,
	    "name", o.name, "messages", num_str(o.nparts).s,
	    "octets", num_str(octets).s, NULL);
	good = true;
out:
	object_release(&o);
	return good;
}

static void
ask_write(struct exchange *x, struct cut *c)
{
	struct exchange_action *a = action_add(x, EXCHANGE_WRITE, c->target);

	c->asked = true;
	a->object = c->id;
	a->name = mem_strdup(c->name);
	a->octets = c->status == OBJECT_WRITTEN ? c->octets : 0;
	memcpy(a->digest, c->digest, sizeof(a->digest));
}

void
cut_pump(struct exchange *x, struct target *t)
{
	struct list *item;

	while (should_cut(x, t) && cut_one(x, t))
		;
	if (t->pause_ms > clock_mono_ms(x->clock))
		return;
	/* One at a time is written. */
	list_for_each(item, &t->objects) {
		struct cut *c = list_entry(item, struct cut, link);

		if (c->asked)
			return;
		if (!c->missing)
			continue;
		ask_write(x, c);
		return;
	}
}

int
exchange_object_written(struct exchange *x, uint64_t object, uint64_t octets,
    const unsigned char digest[32], struct err *e)
{
	struct cut *c = map_get_u64(x->cuts, object);
	struct object o;
	int rc = 0;

	if (c == NULL)
		return err_set(e, ERR_NOT_FOUND, "no object %" PRIu64, object);
	x->dirty = true;
	object_init(&o);
	if (c->status == OBJECT_CUT)
		rc = spool_get_object(x->spool, object, &o, e);
	if (rc == 0 && c->status == OBJECT_CUT) {
		o.status = OBJECT_WRITTEN;
		o.octets = octets;
		memcpy(o.digest, digest, sizeof(o.digest));
		rc = record_object(x, &o, e);
	}
	object_release(&o);
	if (rc != 0)
		return rc;
	c->status = OBJECT_WRITTEN;
	c->octets = octets;
	memcpy(c->digest, digest, sizeof(c->digest));
	c->missing = c->asked = false;
	c->target->told = false;
	c->target->nwritten++;
	return 0;
}

void
exchange_object_unwritten(struct exchange *x, uint64_t object,
    const char *why)
{
	struct cut *c = map_get_u64(x->cuts, object);

	if (c == NULL)
		return;
	c->asked = false;
	log_event(x->log, LOG_LEVEL_WARNING, "object-not-written",
	    "peer", c->target->name, "name", c->name, "reason", why, NULL);
	road_failed(x, c->target, why);
}

bool
exchange_knows_object(struct exchange *x, const char *peer, const char *name)
{
	return cut_find(x, peer, name) != NULL;
}

/*
 * The end of an object.
 */

/* The recipients of this leg are done; in the index too once committed. */
static int
settle_part(struct exchange *x, struct spool_unit *u, const struct leg *leg,
    struct err *e)
{
	struct message_state st;
	struct message m;
	size_t i;
	int rc;

	if (leg->entry->open == leg->nrcpt)
		return spool_del_message(u, leg->entry->id, e);
	message_init(&m);
	rc = spool_get_message(x->spool, leg->entry->id, &m, e);
	if (rc == 0)
		rc = spool_get_state(x->spool, m.id, m.env.nrcpt, &st, e);
	if (rc == 0) {
		for (i = 0; i < leg->nrcpt; i++)
			st.rcpt[leg_rcpt(leg)[i]].status = RCPT_DONE;
		rc = spool_put_state(u, m.id, &st, e);
		message_state_release(&st);
	}
	message_release(&m);
	return rc;
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
		leg = cut_leg(x, o->part[i].message, o->id);
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
		leg = cut_leg(x, o->part[i].message, o->id);
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

static int
write_group(struct exchange *x, const struct object *o, size_t i, size_t end,
    const struct list *reports, bool sync, struct err *e)
{
	struct spool_unit *u;
	struct list *item;
	struct leg *leg;
	int rc;

	rc = spool_begin(x->spool, &u, e);
	if (rc != 0)
		return rc;
	list_for_each(item, reports) {
		if (rc == 0)
			rc = report_put(u, list_entry(item, struct report,
			    link), e);
	}
	for (; rc == 0 && i < end; i++) {
		leg = cut_leg(x, o->part[i].message, o->id);
		if (leg != NULL)
			rc = settle_part(x, u, leg, e);
	}
	if (rc == 0 && end == o->nparts)
		rc = spool_del_object(u, o->id, e);
	if (rc == 0)
		return spool_commit(u, sync, e);
	spool_abort(u);
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
		leg = cut_leg(x, o->part[k].message, o->id);
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
clear_object(struct exchange *x, struct cut *c, struct err *e)
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
		rc = record_object(x, &o, e);
		c->status = OBJECT_SENT;
	}
	while (rc == 0 && i < o.nparts)
		rc = clear_group(x, &o, &i, small, e);
	if (rc == 0 && o.nparts == 0)
		rc = clear_group(x, &o, &i, small, e);
	object_release(&o);
	return rc;
}

int
exchange_transport_sent(struct exchange *x, const char *peer,
    const char *name, struct err *e)
{
	struct cut *c = cut_find(x, peer, name);
	struct exchange_action *a;
	struct target *t;
	bool was_there;
	int rc;

	if (c == NULL || c->status == OBJECT_CUT) {
		log_event(x->log, LOG_LEVEL_WARNING, "transport-confused",
		    "peer", peer, "name", name, "reason",
		    "sent what was not there to send", NULL);
		return 0;
	}
	t = c->target;
	was_there = !c->missing;
	rc = clear_object(x, c, e);
	if (rc != 0)
		return rc;
	log_event(x->log, LOG_LEVEL_INFO, "object-sent", "peer", peer,
	    "name", name, "octets", num_str(c->octets).s, NULL);
	x->counters.objects_out++;
	t->last_sent_ms = clock_wall_ms(x->clock);
	t->nwritten -= was_there;
	a = action_add(x, EXCHANGE_UNLINK, t);
	a->name = mem_strdup(name);
	cut_free(x, c);
	road_good(x, t);
	x->dirty = true;
	return 0;
}

int
cut_withdraw(struct exchange *x, struct cut *c, struct err *e)
{
	struct exchange_action *a;
	struct spool_unit *u;
	struct object o;
	int rc;

	object_init(&o);
	rc = spool_get_object(x->spool, c->id, &o, e);
	if (rc == 0)
		rc = spool_begin(x->spool, &u, e);
	if (rc == 0) {
		rc = spool_del_object(u, c->id, e);
		if (rc == 0)
			rc = spool_commit(u, true, e);
		else
			spool_abort(u);
	}
	if (rc == 0) {
		release_legs(x, &o, c->id);
		a = action_add(x, EXCHANGE_UNLINK, c->target);
		a->name = mem_strdup(c->name);
		c->target->nwritten -= c->status == OBJECT_WRITTEN &&
		    !c->missing && c->target->nwritten > 0;
		cut_free(x, c);
		x->dirty = true;
	}
	object_release(&o);
	return rc;
}

/* Withdraws an object and fails its messages.  What the transport said names
 * those who carry our mail: it stays in the log. */
static void
fail_object(struct exchange *x, struct cut *c)
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
		leg = cut_leg(x, o.part[i].message, c->id);
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

void
exchange_transport_failed(struct exchange *x, const char *peer,
    const char *name, bool permanent, const char *text)
{
	struct cut *c = cut_find(x, peer, name);
	struct target *t = queue_peer(x, peer);

	log_event(x->log, LOG_LEVEL_WARNING, "object-failed", "peer", peer,
	    "name", name, "kind", permanent ? "permanent" : "temporary",
	    "reason", text, NULL);
	if (t == NULL)
		return;
	free(t->last_error);
	t->last_error = mem_strdup(text);
	if (c != NULL && permanent)
		fail_object(x, c);
	x->dirty = true;
}

/*
 * Start.
 */
static void
load_parts(struct exchange *x, const struct object *o, struct cut *c)
{
	struct leg *leg;
	size_t i;

	for (i = 0; i < o->nparts; i++) {
		leg = queue_claim(x, o->part[i].message, o->part[i].rcpt,
		    o->part[i].nrcpt, c->target);
		if (leg == NULL)
			continue;
		leg->object = c->id;
		c->weight += leg->entry->octets;
	}
	c->target->object_octets += c->weight;
}

int
cut_load(struct exchange *x, struct err *e)
{
	struct object o;
	struct cut *c;
	uint64_t id = 0;
	int rc;

	for (;;) {
		object_init(&o);
		rc = spool_next_object(x->spool, &id, &o, e);
		if (rc != 0)
			break;
		c = cut_new(x, &o, queue_peer_or_gone(x, o.peer));
		load_parts(x, &o, c);
		object_release(&o);
		if (c->status != OBJECT_SENT)
			continue;
		rc = clear_object(x, c, e);
		if (rc != 0)
			return rc;
		cut_free(x, c);
	}
	object_release(&o);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}
