/* SPDX-License-Identifier: ISC */
/*
 * Objects for peers, whatever the dialect: what becomes of one until what is
 * in it is settled.  The record of an object is durable before its file is
 * made, so a file without a record is a leftover and a record without a file
 * is written again.
 *
 * what waits --cut--> CUT --file whole--> WRITTEN --sent--> SENT --> gone
 *       ^              |                     |
 *       +--withdrawn---+---------------------+
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "node/dialect.h"

#define PACE_MS 50		/* between objects of a burst of mail */

int64_t
cut_pace_ms(const struct lane *l)
{
	return l->cut_ms == 0 ? 0 : l->cut_ms + PACE_MS;
}

static void
into_lane(struct cut *c, struct lane *l)
{
	c->lane = l;
	list_add_tail(&l->objects, &c->link);
	l->nobjects++;
	l->object_octets += c->weight;
}

static void
out_of_lane(struct cut *c)
{
	list_del(&c->link);
	c->lane->nobjects--;
	c->lane->object_octets -= c->weight;
}

static struct cut *
cut_new(struct exchange *x, const struct object *o, struct lane *l)
{
	struct cut *c = mem_alloc(1, sizeof(*c));

	list_init(&c->link);
	c->id = o->id;
	c->dialect = dialect_of_object(o);
	c->status = o->status;
	c->name = mem_strdup(o->name);
	c->octets = o->octets;
	c->cut_secs = o->cut_secs;
	memcpy(c->digest, o->digest, sizeof(c->digest));
	c->missing = true;
	map_put_u64(x->cuts, c->id, c);
	into_lane(c, l);
	return c;
}

static void
cut_free(struct exchange *x, struct cut *c)
{
	out_of_lane(c);
	map_del_u64(x->cuts, c->id);
	free(c->name);
	free(c);
}

static struct cut *
cut_find(struct exchange *x, const char *road, const char *name)
{
	struct lane *l = lane_find(x, road);
	struct list *item;

	if (l == NULL)
		return NULL;
	list_for_each(item, &l->objects) {
		struct cut *c = list_entry(item, struct cut, link);

		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static void
name_object(struct exchange *x, struct object *o)
{
	unsigned char random[16];
	struct buf b = BUF_INIT;

	rng_fill(x->rng, random, sizeof(random));
	base32_encode(&b, random, sizeof(random));
	o->name = buf_steal(&b);
}

int
cut_record(struct exchange *x, struct object *o, struct err *e)
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

struct cut *
cut_object(struct exchange *x, struct lane *l, struct object *o)
{
	struct err e = ERR_INIT;

	o->status = OBJECT_CUT;
	o->road = mem_strdup(l->road);
	name_object(x, o);
	o->cut_wall_ms = clock_wall_ms(x->clock);
	o->cut_secs = now_secs(x);
	if (cut_record(x, o, &e) != 0) {
		log_event(x->log, LOG_LEVEL_WARNING, "object-not-cut",
		    "peer", l->target->name, "reason", e.text,
		    "transport", lane_word(l), NULL);
		return NULL;
	}
	l->cut_ms = clock_mono_ms(x->clock);
	return cut_new(x, o, l);
}

void
cut_weigh(struct cut *c, uint64_t octets)
{
	c->weight += octets;
	c->lane->object_octets += octets;
}

static void
ask_write(struct exchange *x, struct cut *c)
{
	struct exchange_action *a = action_for_lane(x, EXCHANGE_WRITE,
	    c->lane);

	c->asked = true;
	a->object = c->id;
	a->name = mem_strdup(c->name);
	a->octets = c->status == OBJECT_WRITTEN ? c->octets : 0;
	memcpy(a->digest, c->digest, sizeof(a->digest));
}

void
cut_pump(struct exchange *x, struct lane *l)
{
	struct list *item;

	while (l->conf != NULL && l->nobjects < OBJECTS_MAX &&
	    dialect_of_peer(l->target->peer)->cut(x, l))
		;
	/* How one for a peer that is gone is to be written nobody knows. */
	if (l->target->peer == NULL || l->pause_ms > clock_mono_ms(x->clock))
		return;
	/* One at a time is written. */
	list_for_each(item, &l->objects) {
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
	bool again;
	int rc = 0;

	if (c == NULL)
		return err_set(e, ERR_NOT_FOUND, "no object %" PRIu64, object);
	x->dirty = true;
	object_init(&o);
	/* Made again by filters it may have become another. */
	again = c->status != OBJECT_CUT && c->octets == octets &&
	    memcmp(c->digest, digest, sizeof(c->digest)) == 0;
	if (!again)
		rc = spool_get_object(x->spool, object, &o, e);
	if (rc == 0 && !again) {
		o.status = OBJECT_WRITTEN;
		o.octets = octets;
		memcpy(o.digest, digest, sizeof(o.digest));
		rc = cut_record(x, &o, e);
	}
	object_release(&o);
	if (rc != 0)
		return rc;
	c->status = OBJECT_WRITTEN;
	c->octets = octets;
	memcpy(c->digest, digest, sizeof(c->digest));
	c->missing = c->asked = c->offered = false;
	c->lane->told = false;
	if (c->lane->nwritten++ == 0)
		c->lane->life_ms = clock_mono_ms(x->clock);
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
	    "peer", c->lane->target->name, "name", c->name, "reason", why,
	    "transport", lane_word(c->lane), NULL);
	road_failed(x, c->lane, why);
}

bool
exchange_knows_object(struct exchange *x, const char *road, const char *name)
{
	return cut_find(x, road, name) != NULL;
}

void
exchange_check_objects(struct exchange *x, const char *road,
    bool (*there)(void *ctx, const char *name, uint64_t octets), void *ctx)
{
	struct lane *l = lane_find(x, road);
	struct list *item;

	if (l == NULL)
		return;
	list_for_each(item, &l->objects) {
		struct cut *c = list_entry(item, struct cut, link);

		if (c->status != OBJECT_WRITTEN || c->missing ||
		    there(ctx, c->name, c->octets))
			continue;
		c->missing = true;
		l->nwritten -= l->nwritten > 0;
		x->dirty = true;
		log_event(x->log, LOG_LEVEL_WARNING, "transport-confused",
		    "peer", l->target->name, "name", c->name, "reason",
		    "it removed or changed what it had not sent",
		    "transport", lane_word(l), NULL);
	}
}

/*
 * The end of an object.
 */
int
exchange_transport_sent(struct exchange *x, const char *road,
    const char *name, struct err *e)
{
	struct cut *c = cut_find(x, road, name);
	struct lane *l = lane_find(x, road);
	struct exchange_action *a;
	bool was_there;
	int rc;

	if (c == NULL || c->status == OBJECT_CUT) {
		log_event(x->log, LOG_LEVEL_WARNING, "transport-confused",
		    "peer", l != NULL ? l->target->name : road, "name", name,
		    "reason", "sent what was not there to send", "transport",
		    l != NULL ? lane_word(l) : NULL, NULL);
		/* A file that nobody knows would be sent for ever. */
		if (c == NULL && l != NULL) {
			a = action_for_lane(x, EXCHANGE_UNLINK, l);
			a->name = mem_strdup(name);
		}
		return 0;
	}
	was_there = !c->missing;
	rc = c->dialect->sent(x, c, e);
	if (rc != 0)
		return rc;
	log_event(x->log, LOG_LEVEL_INFO, "object-sent", "peer",
	    l->target->name, "name", name, "octets",
	    num_str(c->octets).s, "transport", lane_word(l), NULL);
	x->counters.objects_out++;
	l->last_sent_ms = clock_wall_ms(x->clock);
	l->active_ms = clock_mono_ms(x->clock);
	l->nwritten -= was_there;
	/* Its transport looks again while it runs: that was the call. */
	if (!c->offered && l->nwritten == 0 && l->conf != NULL &&
	    !dialect_of_peer(l->target->peer)->waits(x, l))
		l->wanted = false;
	a = action_for_lane(x, EXCHANGE_UNLINK, l);
	a->name = mem_strdup(name);
	cut_free(x, c);
	road_good(x, l);
	x->dirty = true;
	return 0;
}

/* Its file, whole or not, is no more. */
static void
ask_unlink(struct exchange *x, struct cut *c)
{
	struct exchange_action *a = action_for_lane(x, EXCHANGE_UNLINK,
	    c->lane);

	a->name = mem_strdup(c->name);
	c->lane->nwritten -= c->status == OBJECT_WRITTEN && !c->missing &&
	    c->lane->nwritten > 0;
}

int
cut_withdraw(struct exchange *x, struct cut *c, struct err *e)
{
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
		c->dialect->withdrawn(x, &o);
		ask_unlink(x, c);
		cut_free(x, c);
		x->dirty = true;
	}
	object_release(&o);
	return rc;
}

int
cut_move(struct exchange *x, struct cut *c, struct lane *to, struct err *e)
{
	struct object o;
	int rc;

	object_init(&o);
	rc = spool_get_object(x->spool, c->id, &o, e);
	if (rc == 0) {
		free(o.road);
		o.road = mem_strdup(to->road);
		rc = cut_record(x, &o, e);
	}
	object_release(&o);
	if (rc != 0)
		return rc;
	log_event(x->log, LOG_LEVEL_INFO, "object-moved", "peer",
	    to->target->name, "name", c->name, "transport", lane_word(to),
	    "from", lane_word(c->lane), NULL);
	ask_unlink(x, c);
	out_of_lane(c);
	into_lane(c, to);
	c->missing = true;
	c->offered = false;
	x->dirty = true;
	return 0;
}

/* At most one transport has an object before it: the one that had it must
 * have ended, and nobody be writing its file. */
static void
hand_on(struct exchange *x, struct lane *l)
{
	struct list *item, *after;
	struct err e = ERR_INIT;

	if (l->up || lane_is_usable(x, l))
		return;
	list_for_each_safe(item, after, &l->objects) {
		struct cut *c = list_entry(item, struct cut, link);

		if (c->asked || c->status == OBJECT_SENT)
			continue;
		if (c->dialect->hand_on(x, c, &e) != 0) {
			log_event(x->log, LOG_LEVEL_WARNING, "object-not-moved",
			    "peer", l->target->name, "name", c->name,
			    "reason", e.text, NULL);
			return;
		}
	}
}

void
cut_hand_on(struct exchange *x, struct target *t)
{
	size_t i;

	for (i = 0; t->peer != NULL && t->nlanes > 1 && i < t->nlanes; i++)
		hand_on(x, t->lane[i]);
}

void
exchange_transport_failed(struct exchange *x, const char *road,
    const char *name, bool permanent, const char *text)
{
	struct cut *c = cut_find(x, road, name);
	struct lane *l = lane_find(x, road);

	log_event(x->log, LOG_LEVEL_WARNING, "object-failed", "peer",
	    l != NULL ? l->target->name : road, "name", name,
	    "kind", permanent ? "permanent" : "temporary", "reason", text,
	    "transport", l != NULL ? lane_word(l) : NULL, NULL);
	if (l == NULL)
		return;
	free(l->last_error);
	l->last_error = mem_strdup(text);
	if (c != NULL && permanent && !c->asked)
		c->dialect->failed(x, c);
	x->dirty = true;
}

/*
 * Start.
 */
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
		c = cut_new(x, &o, lane_find_or_gone(x, o.road));
		rc = c->dialect->load(x, &o, c, e);
		object_release(&o);
		if (rc == 0 && c->status != OBJECT_SENT)
			continue;
		if (rc == 0)
			rc = c->dialect->sent(x, c, e);
		if (rc != 0)
			return rc;
		cut_free(x, c);
	}
	object_release(&o);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}
