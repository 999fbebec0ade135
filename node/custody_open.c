/* SPDX-License-Identifier: ISC */
/*
 * Bundles that arrived: verified to the last octet, then opened and read, a
 * piece a step.  The bundle goes in the transaction that makes the last of it
 * durable; whatever stops it before leaves it to be read again.
 */
#include <stdlib.h>

#include "node/custody_private.h"

#define LATER_MS 30000		/* no room: tried again then */
#define HEARD_SECS 86400	/* a flow's last_secs is so exact */

enum phase {
	PHASE_VERIFY,
	PHASE_READ,
	PHASE_END,	/* what its results settled is to be durable first */
};

struct opening {
	struct custody *c;
	struct arrival *a;
	enum phase phase;
	enum seal_kind kind;
	struct opener *opener;		/* NULL: a direct bundle */
	char *origin;			/* site; NULL: an onion's, nobody's */
	uint64_t offset;
	struct buf in, plain;
	struct bag_reader *bag;
	struct bag_flow flow;
	struct unpacking *unpacking;	/* NULL: no batch, or not wanted */
	struct settling *settling;
	bool settled;			/* some of our mail, by its results */
	uint64_t commits;		/* of the exchange, at its end */
	struct transit_draft *onward;
	bool refused;			/* nothing of it is to be done */
};

static void
opening_free(struct opening *o)
{
	if (o == NULL)
		return;
	opener_free(o->opener);
	bag_reader_free(o->bag);
	unpacking_free(o->unpacking);
	settling_free(o->settling);
	if (o->onward != NULL)
		transit_abort(o->onward);
	buf_release(&o->in);
	buf_release(&o->plain);
	free(o->origin);
	free(o);
}

void
open_abort(struct custody *c)
{
	opening_free(c->opening);
	c->opening = NULL;
}

static void
refused(struct opening *o, const char *reason)
{
	struct custody *c = o->c;

	c->counters.refused++;
	log_event(c->x->log, LOG_LEVEL_WARNING, "bundle-refused",
	    "from", o->a->from, "site", o->origin, "reason", reason, NULL);
	o->refused = true;
}

/*
 * Beginning.
 */
static int
opening_new(struct custody *c, struct arrival *a, struct err *e)
{
	struct opening *o = mem_alloc(1, sizeof(*o));
	struct open_with with;
	int rc = 0;

	o->c = c;
	o->a = a;
	c->opening = o;
	if (a->direct) {
		o->phase = PHASE_READ;
		o->kind = SEAL_BUNDLE;
		o->origin = mem_strdup(a->from != NULL ? a->from : "");
		o->bag = bag_reader_new(BAG_FLOW);
		return 0;
	}
	rc = directory_open_with(c->x->directory, NULL, &with, e);
	if (rc != 0)
		return rc;
	with.kinds = SEAL_BIT(SEAL_BUNDLE) | SEAL_BIT(SEAL_ONION) |
	    SEAL_BIT(SEAL_REQUEST);
	o->opener = opener_new(&with);
	return 0;
}

static void
verified(struct opening *o)
{
	static const enum bag_sort sorts[] = {
		[SEAL_BUNDLE] = BAG_FLOW, [SEAL_ONION] = BAG_ONION,
		[SEAL_REQUEST] = BAG_REQUEST,
	};
	const unsigned char *sender = opener_sender(o->opener);
	const char *site = sender != NULL ?
	    directory_site_of(o->c->x->directory, sender) : NULL;

	o->kind = opener_kind(o->opener);
	o->origin = site != NULL ? mem_strdup(site) : NULL;
	o->bag = bag_reader_new(sorts[o->kind]);
	o->phase = PHASE_READ;
	o->offset = 0;
	opener_rewind(o->opener);
	if (o->kind != SEAL_ONION && site == NULL)
		refused(o, "its sender is not known any more");
}

/*
 * What a bag says.
 */
static int
put_serial(struct custody *c, const struct serial_in *in, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(c->x->spool, &u, e);

	if (rc != 0)
		return rc;
	rc = spool_put_serial_in(u, in, e);
	if (rc == 0)
		return spool_commit(u, false, e);
	spool_abort(u);
	return rc;
}

/* Records below the floor are needed no more. */
static int
raise_floor(struct opening *o, struct flow_in *f, struct err *e)
{
	struct spool *sp = o->c->x->spool;
	struct spool_unit *u;
	int rc, more;

	if (o->flow.floor > f->floor)
		f->floor = o->flow.floor;
	f->last_secs = now_secs(o->c->x);
	do {
		rc = spool_begin(sp, &u, e);
		if (rc != 0)
			return rc;
		more = spool_drop_serials_in(u, o->origin, f->epoch,
		    f->floor, e);
		rc = more < 0 ? more : spool_put_flow_in(u, f, e);
		if (rc != 0) {
			spool_abort(u);
			return rc;
		}
		rc = spool_commit(u, false, e);
	} while (rc == 0 && more == 1);
	return rc;
}

/* The ledger's word on the serial: 1 with the record to go on with, 0 if
 * nothing of the batch is wanted. */
static int
look_up(struct opening *o, uint64_t floor, struct serial_in *in,
    struct err *e)
{
	struct custody *c = o->c;
	int rc = spool_get_serial_in(c->x->spool, o->origin, o->flow.epoch,
	    o->flow.serial, in, e);

	if (rc == ERR_NOT_FOUND) {
		in->origin = mem_strdup(o->origin);
		in->epoch = o->flow.epoch;
		in->serial = o->flow.serial;
		/* Settled long ago, says its origin, and sends it all the
		 * same: the empty digest tells it that we do not agree. */
		if (o->flow.serial < floor) {
			in->done = true;
			in->first_secs = now_secs(c->x);
		}
		rc = 0;
	}
	if (rc != 0)
		return rc;
	if (!in->done && !in->voided)
		return 1;
	c->counters.duplicates++;
	log_event(c->x->log, LOG_LEVEL_INFO, "serial-duplicate",
	    "site", o->origin, "serial", num_str(in->serial).s, NULL);
	if (in->voided)
		return 0;
	in->owed = true;
	rc = put_serial(c, in, e);
	if (rc == 0)
		answer_owe(c, in);
	return rc;
}

static int
on_flow(struct opening *o, const struct bag_event *ev, struct err *e)
{
	struct spool *sp = o->c->x->spool;
	struct serial_in in;
	struct flow_in f;
	int rc;

	o->flow = ev->flow;
	directory_heard(o->c->x->directory, o->origin);
	rc = spool_get_flow_in(sp, o->origin, o->flow.epoch, &f, e);
	if (rc == ERR_NOT_FOUND) {
		f.origin = mem_strdup(o->origin);
		f.epoch = o->flow.epoch;
		rc = 0;
	}
	if (rc == 0 && (o->flow.floor > f.floor ||
	    f.last_secs + HEARD_SECS <= now_secs(o->c->x)))
		rc = raise_floor(o, &f, e);
	if (rc == 0 && o->flow.serial != 0) {
		rc = look_up(o, f.floor, &in, e);
		if (rc == 1)
			o->unpacking = unpacking_new(o->c, &in);
		serial_in_release(&in);
		rc = rc == 1 ? 0 : rc;
	}
	flow_in_release(&f);
	return rc;
}

static int
on_void(struct opening *o, const struct bag_event *ev, struct err *e)
{
	struct serial_in in;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ev->nserials; i++) {
		rc = spool_get_serial_in(o->c->x->spool, o->origin,
		    o->flow.epoch, ev->serial[i], &in, e);
		if (rc == ERR_NOT_FOUND) {
			in.origin = mem_strdup(o->origin);
			in.epoch = o->flow.epoch;
			in.serial = ev->serial[i];
			in.voided = true;
			in.first_secs = now_secs(o->c->x);
			rc = put_serial(o->c, &in, e);
		}
		serial_in_release(&in);
	}
	return rc;
}

static void
on_card(struct opening *o, const struct bag_event *ev)
{
	struct err e = ERR_INIT;

	if (directory_learn(o->c->x->directory, o->origin, ev->bytes,
	    &e) != 0)
		log_event(o->c->x->log, LOG_LEVEL_WARNING, "card-refused",
		    "site", o->origin, "reason", e.text, NULL);
	if (o->kind == SEAL_REQUEST)
		answer_card(o->c, o->origin);
}

/* An onion's layer: only neighbours that may relay have us pass it on. */
static int
on_onward(struct opening *o, const struct bag_event *ev, struct err *e)
{
	const struct conf_peer *from = o->a->from == NULL ? NULL :
	    conf_find_peer(o->c->x->conf, o->a->from);
	struct transit_new n = {
		.destination = ev->onward.destination,
		.priority = ev->onward.priority,
		.lifetime_secs = ev->onward.lifetime_secs,
		.hops = o->a->hops > 1 ? o->a->hops - 1 : 0,
	};

	if (from == NULL || !from->may_relay || o->a->hops <= 1) {
		refused(o, from == NULL || !from->may_relay ?
		    "it is to be passed on, and its neighbour may not relay" :
		    "it has passed too many nodes");
		return 0;
	}
	return transit_begin(o->c->x, &n, &o->onward, e);
}

static int
on_octets(struct opening *o, const struct bag_event *ev, struct err *e)
{
	if (o->onward != NULL)
		return transit_add(o->onward, ev->bytes.ptr, ev->bytes.len,
		    e);
	return o->unpacking == NULL ? 0 :
	    unpacking_add(o->unpacking, ev->bytes, e);
}

static int
happened(struct opening *o, const struct bag_event *ev, struct err *e)
{
	switch (ev->kind) {
	case BAG_EVENT_FLOW:
		return on_flow(o, ev, e);
	case BAG_EVENT_VOID:
		return on_void(o, ev, e);
	case BAG_EVENT_RESULT:
		settling_free(o->settling);
		o->settling = settling_new(o->c, o->origin, &ev->result);
		o->settled = o->settled || o->settling != NULL;
		return 0;
	case BAG_EVENT_RUN:
		if (o->settling != NULL)
			settling_run(o->settling, &ev->run);
		return 0;
	case BAG_EVENT_CARD:
		on_card(o, ev);
		return 0;
	case BAG_EVENT_ONWARD:
		return on_onward(o, ev, e);
	case BAG_EVENT_BATCH:
		return 0;
	case BAG_EVENT_OCTETS:
		return on_octets(o, ev, e);
	case BAG_EVENT_OVER:
		return o->unpacking == NULL ? 0 :
		    unpacking_end(o->unpacking, e);
	}
	return 0;
}

/*
 * Steps.
 */
static int
verify_step(struct opening *o, struct err *e)
{
	int rc = transit_read(o->c->x, o->a->id, o->offset, &o->in, e);

	if (rc < 0)
		return rc;
	o->offset += o->in.len;
	if (rc == 1)
		rc = opener_verify(o->opener, o->in.ptr, o->in.len, e) == 0 ?
		    1 : -1;
	else
		rc = opener_verify_end(o->opener, e) == 0 ? 0 : -1;
	buf_clear(&o->in);
	if (rc == 0)
		verified(o);
	if (rc >= 0)
		return 1;
	if (opener_fault(o->opener) == OPEN_FOREIGN)
		directory_saw_foreign(o->c->x->directory);
	refused(o, open_fault_name(opener_fault(o->opener)));
	return 1;
}

/* 0, or negative: the bag is unsound (o->refused) or the spool has no room. */
static int
read_plain(struct opening *o, const char *in, size_t len, struct err *e)
{
	struct bag_event ev;
	size_t used;
	int rc = 0, got;

	while (rc == 0 && !o->refused) {
		got = bag_reader_next(o->bag, in, len, &used, &ev, e);
		in += used;
		len -= used;
		if (got == 0)
			break;
		if (got < 0)
			refused(o, e->text);
		else
			rc = happened(o, &ev, e);
	}
	return rc;
}

static int
read_piece(struct opening *o, struct err *e)
{
	int rc;

	if (o->opener == NULL)
		return read_plain(o, o->in.ptr, o->in.len, e);
	buf_clear(&o->plain);
	rc = opener_read(o->opener, o->in.ptr, o->in.len, &o->plain, e);
	return rc == 0 ? read_plain(o, o->plain.ptr, o->plain.len, e) : rc;
}

static int
put_end(struct opening *o, struct spool_unit *u, struct err *e)
{
	unsigned char name[TRANSIT_NAME_LEN];
	uint64_t id;
	int rc = 0;

	if (o->unpacking != NULL && !o->refused)
		rc = unpacking_put(o->unpacking, u, e);
	if (rc == 0 && o->onward != NULL && !o->refused)
		rc = transit_end(o->onward, u, &id, name, e);
	return rc == 0 ? transit_consume(o->c->x, u, o->a->id, e) : rc;
}

static void
arrival_over(struct custody *c, struct arrival *a)
{
	transit_consumed(c->x, a->id);
	list_del(&a->link);
	free(a->from);
	free(a);
}

static void
log_opened(const struct opening *o)
{
	if (o->refused)
		return;
	log_event(o->c->x->log, LOG_LEVEL_INFO, "bundle-opened",
	    "from", o->a->from, "site", o->origin,
	    "serial", o->flow.serial != 0 ? num_str(o->flow.serial).s : NULL,
	    "messages", o->unpacking != NULL ?
	    num_str(unpacking_messages(o->unpacking)).s : NULL, NULL);
}

/* All of it was read: it goes with the last of what it brought. */
static int
finish(struct opening *o, struct err *e)
{
	struct custody *c = o->c;
	struct transit_draft *onward;
	struct spool_unit *u;
	int rc = spool_begin(c->x->spool, &u, e);

	if (rc != 0)
		return rc;
	rc = put_end(o, u, e);
	if (rc == 0)
		rc = spool_commit(u, true, e);
	else
		spool_abort(u);
	onward = o->onward;
	o->onward = NULL;
	if (onward != NULL && o->refused)
		transit_abort(onward);
	else if (onward != NULL)
		transit_ended(onward, rc == 0);
	if (rc != 0)
		return rc;
	if (o->unpacking != NULL && !o->refused)
		unpacking_done(o->unpacking);
	log_opened(o);
	c->counters.opened += !o->refused;
	arrival_over(c, o->a);
	open_abort(c);
	c->x->dirty = true;
	return 0;
}

/* There may be another one to begin with. */
static int
done(int rc)
{
	return rc == 0 ? 1 : rc;
}

static int
read_step(struct opening *o, struct err *e)
{
	int rc = transit_read(o->c->x, o->a->id, o->offset, &o->in, e);

	if (rc < 0)
		return rc;
	o->offset += o->in.len;
	if (rc == 1) {
		rc = read_piece(o, e);
		buf_clear(&o->in);
		return rc == 0 ? 1 : rc;
	}
	buf_clear(&o->plain);
	if (o->opener != NULL)
		rc = opener_read_end(o->opener, &o->plain, e);
	if (rc == 0)
		rc = read_plain(o, o->plain.ptr, o->plain.len, e);
	if (rc == 0 && !o->refused && bag_reader_end(o->bag, e) != 0)
		refused(o, e->text);
	if (rc != 0)
		return rc;
	o->phase = PHASE_END;
	o->commits = o->c->x->commits;
	return 1;
}

/* Else a crash in between would lose the results: they come again only when
 * the batch is repeated.  0: not yet. */
static int
end_step(struct opening *o, struct err *e)
{
	struct exchange *x = o->c->x;

	if (o->settled && o->commits == x->commits &&
	    !list_empty(&x->outcomes))
		return 0;
	return done(finish(o, e));
}

static int
next_step(struct opening *o, struct err *e)
{
	switch (o->phase) {
	case PHASE_VERIFY:
		return verify_step(o, e);
	case PHASE_READ:
		return read_step(o, e);
	case PHASE_END:
		return end_step(o, e);
	}
	return 0;
}

static struct arrival *
next_arrival(struct custody *c)
{
	int64_t now = clock_mono_ms(c->x->clock);
	struct list *item;

	list_for_each(item, &c->arrivals) {
		struct arrival *a = list_entry(item, struct arrival, link);

		if (a->pause_ms <= now)
			return a;
	}
	return NULL;
}

/* It is damaged in our own spool: the origin sends it again. */
static int
step_failed(struct custody *c, int rc, struct err *e)
{
	struct opening *o = c->opening;

	if (store_failed(spool_store(c->x->spool)))
		return rc;
	if (rc == ERR_CORRUPT || rc == ERR_NOT_FOUND) {
		refused(o, e->text);
		rc = finish(o, e);
		if (rc == 0)
			return 1;
	}
	log_event(c->x->log, LOG_LEVEL_WARNING, "bundle-later",
	    "from", o->a->from, "reason", e->text, NULL);
	o->a->pause_ms = clock_mono_ms(c->x->clock) + LATER_MS;
	open_abort(c);
	return 1;
}

int
open_step(struct custody *c, struct err *e)
{
	struct arrival *a;
	int rc = 0;

	if (c->opening == NULL) {
		a = next_arrival(c);
		if (a == NULL)
			return 0;
		rc = opening_new(c, a, e);
	}
	if (rc == 0 && c->opening->refused)
		rc = done(finish(c->opening, e));
	else if (rc == 0)
		rc = next_step(c->opening, e);
	return rc < 0 ? step_failed(c, rc, e) : rc;
}
