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
cut_pace_ms(const struct target *t)
{
	return t->cut_ms == 0 ? 0 : t->cut_ms + PACE_MS;
}

static struct cut *
cut_new(struct exchange *x, const struct object *o, struct target *t)
{
	struct cut *c = mem_alloc(1, sizeof(*c));

	list_init(&c->link);
	c->id = o->id;
	c->dialect = dialect_of_object(o);
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
cut_object(struct exchange *x, struct target *t, struct object *o)
{
	struct err e = ERR_INIT;

	o->status = OBJECT_CUT;
	o->peer = mem_strdup(t->name);
	name_object(x, o);
	o->cut_wall_ms = clock_wall_ms(x->clock);
	o->cut_secs = now_secs(x);
	if (cut_record(x, o, &e) != 0) {
		log_event(x->log, LOG_LEVEL_WARNING, "object-not-cut",
		    "peer", t->name, "reason", e.text, NULL);
		return NULL;
	}
	t->cut_ms = clock_mono_ms(x->clock);
	return cut_new(x, o, t);
}

void
cut_weigh(struct cut *c, uint64_t octets)
{
	c->weight += octets;
	c->target->object_octets += octets;
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

	while (t->peer != NULL && t->nobjects < OBJECTS_MAX &&
	    dialect_of_peer(t->peer)->cut(x, t))
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
		rc = cut_record(x, &o, e);
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
	rc = c->dialect->sent(x, c, e);
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
		c->dialect->withdrawn(x, &o);
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
		c = cut_new(x, &o, queue_peer_or_gone(x, o.peer));
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
