/* SPDX-License-Identifier: ISC */
/*
 * What custody has in the spool, at start: lots claim their messages again.
 * Where the spool turns out to be an older one, a new epoch is opened.  And
 * what it has there no longer: flows of other sites that are over.
 */
#include <stdlib.h>

#include "node/custody_private.h"
#include "node/serials.h"

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
	uint64_t lifetime = queue_lifetime_secs(c->x, lot->flow->target);
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

/* A bundle that is there no more was handed over before the end. */
static void
load_bundle(struct custody *c, struct lot *lot, uint64_t id)
{
	struct err e = ERR_INIT;
	struct bundle b;

	lot->hop_done = id == 0 ||
	    spool_get_bundle(c->x->spool, id, &b, &e) != 0;
	if (id == 0)
		return;
	lot->bundle = lot->hop_done ? 0 : id;
	lot->direct = !lot->hop_done && b.direct;
	bundle_release(&b);
}

static void
load_lot(struct custody *c, const struct serial_out *s)
{
	struct flow *f = flow_need(c, queue_site(c->x, s->site));
	struct lot *lot = lot_new(c, f, s->serial);

	lot->cut_secs = lot->expire_secs = s->cut_secs;
	lot->attempts = s->attempts;
	lot->next_secs = s->next_secs;
	load_bundle(c, lot, s->bundle);
	lot->priority = s->priority;
	memcpy(lot->digest, s->digest, sizeof(lot->digest));
	claim_parts(c, lot, s);
	if (s->status == SERIAL_SETTLED) {
		f->nlots--;
		lot->state = LOT_VOID;
		/* Its legs fail at the first tick: until all lots are loaded
		 * they move. */
		lot->next_secs = 0;
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
	if (rc == 0)
		rc = lot_doubt(c, u, s, e);
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
			answer_owe(c, &s);
		serial_in_release(&s);
	} while (rc == 0 || (rc == ERR_CORRUPT &&
	    !store_failed(spool_store(c->x->spool))));
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

int
custody_open_epoch(struct custody *c, struct err *e)
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
	if (rc != 0)
		return rc;
	c->renew = false;
	/* Of a new spool there is nothing to tell. */
	if (spool_numbers_reserved(c->x->spool) > 1) {
		c->counters.epochs++;
		log_event(c->x->log, LOG_LEVEL_INFO, "epoch-opened", NULL);
	}
	return 0;
}

/* Everything in the file has to be known to the spool, and numbers of messages
 * not to be used again.  A spool that never had a message may be one that was
 * put back from the time when it had not, with the file lost. */
static bool
file_agrees(struct custody *c)
{
	struct exchange *x = c->x;
	uint64_t epoch, reserved;
	const char *site;
	size_t i;

	if (x->serials == NULL)
		return true;
	for (i = 0; (site = serials_site(x->serials, i, &epoch,
	    &reserved)) != NULL; i++) {
		if (epoch != spool_epoch(x->spool))
			continue;
		if (site[0] == '\0' ?
		    reserved > spool_numbers_reserved(x->spool) :
		    flow_find(c, site) == NULL)
			return false;
	}
	return serials_knows(x->serials, "", spool_epoch(x->spool));
}

int
custody_reserve_numbers(struct custody *c, struct err *e)
{
	struct exchange *x = c->x;
	uint64_t reserved = spool_numbers_reserved(x->spool);

	if (serials_agree(x->serials, "", spool_epoch(x->spool), reserved))
		return 0;
	return serials_reserve(x->serials, "", spool_epoch(x->spool),
	    reserved, e);
}

int
custody_load(struct exchange *x, struct err *e)
{
	struct custody *c = x->custody;
	int rc = load_flows(c, e);

	c->renew = c->renew || !file_agrees(c);
	if (rc == 0 && c->renew) {
		rc = custody_open_epoch(c, e);
		while (!list_empty(&c->flows)) {
			struct flow *f = list_entry(c->flows.next,
			    struct flow, link);

			list_del(&f->link);
			free(f);
		}
	}
	if (rc == 0)
		rc = custody_reserve_numbers(c, e);
	if (rc == 0)
		rc = load_lots(c, e);
	if (rc == 0)
		rc = load_owed(c, e);
	return rc;
}

/*
 * Flows that nothing comes by any more.
 */
/* One flow and what is left of its serials. */
static int
drop_flow(struct exchange *x, const struct flow_in *f, struct err *e)
{
	struct spool_unit *u;
	int rc = spool_begin(x->spool, &u, e), more;

	if (rc != 0)
		return rc;
	more = spool_drop_serials_in(u, f->origin, f->epoch, UINT64_MAX, e);
	rc = more == 0 ? spool_del_flow_in(u, f->origin, f->epoch, e) : more;
	if (rc < 0) {
		spool_abort(u);
		return rc;
	}
	rc = spool_commit(u, false, e);
	return rc == 0 ? 1 : rc;
}

int
custody_expire_flows(struct exchange *x, uint64_t before, struct err *e)
{
	struct buf at = BUF_INIT;
	struct flow_in f;
	int rc;

	for (;;) {
		rc = spool_next_flow_in(x->spool, &at, &f, e);
		if (rc == 0 && f.last_secs < before)
			rc = drop_flow(x, &f, e);
		flow_in_release(&f);
		if (rc != 0 && (rc != ERR_CORRUPT ||
		    store_failed(spool_store(x->spool))))
			break;
	}
	buf_release(&at);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}
