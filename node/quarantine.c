/* SPDX-License-Identifier: ISC */
/*
 * Broken objects: kept whole in the spool with the reason, and told to the
 * postmaster, in one transaction with the ledger, so that neither is ever
 * without the other.
 */
#include <stdlib.h>

#include "node/inbound.h"

struct quarantine {
	struct batch_in *in;
	struct spool_draft *object, *draft;	/* it, and the notice */
	struct notice_object *notice;
	uint64_t octets;
};

/* At most so many notices an hour for each peer; the next one tells how many
 * objects came without. */
bool
quarantine_may_tell(struct exchange *x, struct target *t)
{
	int64_t now = clock_mono_ms(x->clock);

	if (t == NULL)
		return true;
	if (t->broken_told == 0 || now - t->broken_hour_ms >= 3600000) {
		t->broken_hour_ms = now;
		t->broken_told = 0;
	}
	if (t->broken_told >= x->conf->broken_notices_per_hour) {
		t->broken_untold++;
		return false;
	}
	t->broken_told++;
	return true;
}

struct quarantine *
exchange_quarantine_new(struct inbound *base, uint64_t octets)
{
	struct batch_in *in = batch_in_of(base);
	struct quarantine *q = mem_alloc(1, sizeof(*q));
	struct exchange *x = base->x;
	struct target *t = queue_peer(x, base->peer);
	struct notice_head head = report_head(x);
	struct notice_broken broken = { .peer = base->peer,
	    .name = base->name, .reason = exchange_inbound_reason(base),
	    .octets = octets, .untold = t != NULL ? t->broken_untold : 0 };

	q->in = in;
	q->octets = octets;
	q->object = spool_draft_new(x->spool);
	if (!quarantine_may_tell(x, t))
		return q;
	q->draft = spool_draft_new(x->spool);
	q->notice = notice_object_new(&head, &broken, q->draft);
	if (t != NULL)
		t->broken_untold = 0;
	return q;
}

int
exchange_quarantine_add(struct quarantine *q, const char *bytes, size_t len,
    struct err *e)
{
	int rc = spool_draft_add(q->object, bytes, len, e);

	if (rc == 0 && q->notice != NULL)
		rc = notice_object_add(q->notice, bytes, len, e);
	return rc;
}

void
exchange_quarantine_abort(struct quarantine *q)
{
	if (q == NULL)
		return;
	notice_object_abort(q->notice);
	spool_draft_free(q->draft);
	spool_draft_free(q->object);
	free(q);
}

static void
fill_broken(struct quarantine *q, struct broken *b)
{
	struct exchange *x = q->in->base.x;

	broken_init(b);
	b->peer = mem_strdup(q->in->base.peer);
	b->name = mem_strdup(q->in->base.name);
	b->reason = mem_strdup(exchange_inbound_reason(&q->in->base));
	b->wall_ms = clock_wall_ms(x->clock);
	b->secs = now_secs(x);
}

void
quarantine_fill_notice(struct exchange *x, struct message *m)
{
	message_init(m);
	m->kind = MESSAGE_POSTMASTER;
	m->env.sender = mem_strdup("");
	m->env.body = SMTP_BODY_8BITMIME;
	envelope_add_recipient(&m->env, x->conf->postmaster, NULL, NULL);
	m->source = mem_strdup("notice");
	m->accepted_wall_ms = clock_wall_ms(x->clock);
	m->accepted_secs = now_secs(x);
}

/* This very file is done with.  Where it was cut off, another copy of the same
 * object may be whole, and goes on behind what was taken. */
static int
write_ledger(struct batch_in *in, struct spool_unit *u, struct err *e)
{
	struct ledger_entry ledger = in->ledger;
	struct slice key = buf_slice(in->torn ? &in->pickup : &in->key);

	ledger.done = true;
	return spool_put_ledger(u, in->base.peer, key, &ledger, e);
}

static int
write_all(struct quarantine *q, struct broken *b, struct message *m,
    struct err *e)
{
	struct batch_in *in = q->in;
	struct spool_unit *u;
	int rc;

	rc = spool_begin(in->base.x->spool, &u, e);
	if (rc != 0)
		return rc;
	rc = spool_add_broken(u, q->object, b, e);
	if (rc == 0 && q->draft != NULL)
		rc = spool_add_message(u, q->draft, m, e);
	if (rc == 0)
		rc = write_ledger(in, u, e);
	if (rc != 0) {
		spool_abort(u);
		return rc;
	}
	return spool_commit(u, true, e);
}

int
exchange_quarantine_end(struct quarantine *q, uint64_t *id_out, struct err *e)
{
	struct exchange *x = q->in->base.x;
	struct broken b;
	struct message m;
	int rc = 0;

	if (q->notice != NULL)
		rc = notice_object_end(q->notice, e);
	q->notice = NULL;
	if (rc == 0)
		rc = spool_draft_end(q->object, e);
	fill_broken(q, &b);
	quarantine_fill_notice(x, &m);
	if (rc == 0)
		rc = write_all(q, &b, &m, e);
	if (rc == 0) {
		x->counters.broken++;
		log_event(x->log, LOG_LEVEL_WARNING, "object-quarantined",
		    "peer", b.peer, "name", b.name, "id",
		    message_name(b.id).s, "reason", b.reason, NULL);
		if (id_out != NULL)
			*id_out = b.id;
		if (q->draft != NULL) {
			x->counters.notices++;
			queue_add(x, &m, NULL);
		}
	}
	broken_release(&b);
	message_release(&m);
	exchange_quarantine_abort(q);
	return rc;
}

int
quarantine_expire(struct exchange *x, struct err *e)
{
	struct spool_unit *u;
	struct broken b;
	uint64_t id = 0;
	int rc;

	broken_init(&b);
	rc = spool_next_broken(x->spool, &id, &b, e);
	if (rc != 0 || b.secs + x->conf->broken_expire_secs > now_secs(x)) {
		broken_release(&b);
		return rc == ERR_NOT_FOUND ? 0 : rc;
	}
	log_event(x->log, LOG_LEVEL_INFO, "object-expired", "id",
	    message_name(b.id).s, "peer", b.peer, "name", b.name, NULL);
	rc = spool_begin(x->spool, &u, e);
	if (rc == 0) {
		rc = spool_del_broken(u, b.id, e);
		if (rc == 0)
			rc = spool_commit(u, false, e);
		else
			spool_abort(u);
	}
	broken_release(&b);
	return rc == 0 ? 1 : rc;
}
