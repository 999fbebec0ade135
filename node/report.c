/* SPDX-License-Identifier: ISC */
/*
 * Who is told what (RFC 3461 4.1, 5.2).  A report is a notice about some
 * recipients of one message: it is written as a draft before the transaction
 * that makes it durable begins, since a long one writes chunks of its own.
 *
 * Success is reported by the last who can: we do where mail ends here, or
 * goes on to somebody who cannot (RFC 3461 5.2.2); where the next hop takes
 * the parameters it takes the duty too.
 */
#include <stdlib.h>

#include "node/exchange_private.h"
#include "node/notice.h"
#include "smtp/extension.h"

#define DELAYS_MAX 50		/* notices of delay in one tick */

struct notice_head
report_head(const struct exchange *x)
{
	return (struct notice_head){ x->clock, x->rng, x->conf->hostname,
		x->conf->postmaster };
}

void
report_free(struct report *r)
{
	if (r == NULL)
		return;
	spool_draft_free(r->draft);
	message_release(&r->m);
	free(r);
}

/* What the way to the one who is told can carry, as far as we know. */
static void
look_at_way(struct exchange *x, struct notice *n)
{
	const struct target *to = queue_route(x, n->to, MESSAGE_NOTICE);
	const struct target *t = queue_road(x, to);
	bool peer = t != NULL && t->kind == TARGET_PEER && t->peer != NULL;

	n->global = n->about->env.smtputf8 && (!peer ||
	    t->peer->dialect == BUNDLE_NATIVE ||
	    (t->peer->extensions & SMTP_EXT_SMTPUTF8) != 0);
	n->limit = peer ? t->peer->max_message : 0;
}

/* What the delivery behind a target is called in what it tells. */
static const char *
target_server(const struct exchange *x, const struct target *t)
{
	size_t i;

	if (t == NULL || t->kind != TARGET_DELIVERY)
		return NULL;
	if (t->index < x->conf->ndeliveries)
		return x->conf->delivery[t->index].target;
	if (x->conf->via != NULL)
		return x->conf->via;
	for (i = 0; i < x->conf->ndeliveries; i++) {
		if (x->conf->delivery[i].kind == CONF_DELIVERY_SMTP)
			return x->conf->delivery[i].target;
	}
	return NULL;
}

static void
fill_message(struct exchange *x, const struct notice *n, bool to_sender,
    struct report *r)
{
	r->m.kind = to_sender ? MESSAGE_NOTICE : MESSAGE_POSTMASTER;
	r->m.env.sender = mem_strdup("");
	envelope_add_recipient(&r->m.env, n->to, NULL, NULL);
	/* Damage is the postmaster's business too. */
	if (to_sender && strcmp(n->rcpt->status, STATUS_DAMAGED) == 0)
		envelope_add_recipient(&r->m.env, x->conf->postmaster, NULL,
		    NULL);
	r->m.env.smtputf8 = n->global;
	r->m.source = mem_strdup("notice");
	r->m.accepted_wall_ms = clock_wall_ms(x->clock);
	r->m.accepted_secs = now_secs(x);
}

int
report_new(struct exchange *x, const struct report_about *about,
    struct report **r_out, struct err *e)
{
	const struct message *m = about->message;
	struct report *r = mem_alloc(1, sizeof(*r));
	struct notice n = {
		.clock = x->clock,
		.rng = x->rng,
		.hostname = x->conf->hostname,
		.site = x->conf->site,
		.text = x->conf->notice_text,
		.to = about->to_sender ? m->env.sender : x->conf->postmaster,
		.about = m,
		.rcpt = about->rcpt,
		.nrcpt = about->nrcpt,
		.header = about->header,
		.whole = about->whole,
		.server = target_server(x, about->target),
		.why_postmaster = about->to_sender ? NULL :
		    "The message has no sender who could be told.",
	};
	int rc;

	look_at_way(x, &n);
	list_init(&r->link);
	message_init(&r->m);
	r->about = m->id;
	fill_message(x, &n, about->to_sender, r);
	r->draft = spool_draft_new(x->spool);
	rc = notice_write(&n, x->spool, r->draft, e);
	if (rc != 0) {
		report_free(r);
		return rc;
	}
	r->m.env.body = (spool_draft_facts(r->draft)->flags &
	    CONTENT_8BIT) != 0 ? SMTP_BODY_8BITMIME : SMTP_BODY_NONE;
	*r_out = r;
	return 0;
}

int
report_put(struct spool_unit *u, struct report *r, struct err *e)
{
	return spool_add_message(u, r->draft, &r->m, e);
}

void
report_done(struct exchange *x, struct report *r)
{
	x->counters.notices++;
	log_event(x->log, LOG_LEVEL_INFO, "notice-written",
	    "id", message_name(r->m.id).s, "about", message_name(r->about).s,
	    "to", r->m.env.rcpt[0].address, NULL);
	queue_add(x, &r->m, NULL);
	report_free(r);
}

/*
 * Who wants what.
 */
bool
report_has_sender(const struct message *m)
{
	return m->kind == MESSAGE_MAIL && m->env.sender != NULL &&
	    m->env.sender[0] != '\0';
}

/* RFC 3461 4.1: without NOTIFY failures are told, success is not. */
bool
report_wants(const struct recipient *rcpt, enum smtp_notify what)
{
	int notify = smtp_notify_parse(rcpt->notify);

	if (notify <= 0)
		return what == SMTP_NOTIFY_FAILURE;
	return (notify & (int)what) != 0;
}

bool
report_may_tell(const struct recipient *rcpt)
{
	int notify = smtp_notify_parse(rcpt->notify);

	return notify < 0 || (notify & SMTP_NOTIFY_NEVER) == 0;
}

/* DELIVERBY with N asks for a notice of delay (RFC 2852 4.1.4), as far as
 * NOTIFY does not speak against it. */
static bool
wants_late(const struct message *m, const struct recipient *rcpt)
{
	return m->env.timing.by == SMTP_BY_NOTIFY && rcpt->notify == NULL;
}

void
report_hints(const struct message *m, const struct message_state *st,
    struct entry *entry)
{
	bool told = false;
	size_t i;

	if (!report_has_sender(m))
		return;
	for (i = 0; i < m->env.nrcpt; i++) {
		const struct recipient *rcpt = &m->env.rcpt[i];

		told = told || (st != NULL && st->rcpt[i].delay_told);
		entry->success |= report_wants(rcpt, SMTP_NOTIFY_SUCCESS) ||
		    (report_may_tell(rcpt) &&
		    smtp_timing_traced(&m->env.timing, 0));
		entry->delay_asked |= report_wants(rcpt, SMTP_NOTIFY_DELAY);
		entry->delay_left |= rcpt->notify == NULL;
		entry->delay_asked |= wants_late(m, rcpt);
	}
	if (told)
		entry->delay_asked = entry->delay_left = false;
}

/*
 * Objects for peers that do not carry the parameters.
 */
int
report_relayed(struct exchange *x, const struct leg *leg,
    unsigned extensions, struct report **r_out, struct err *e)
{
	struct report_about about = { .to_sender = true };
	struct notice_recipient *rcpt;
	struct message m;
	size_t i;
	int rc;

	*r_out = NULL;
	if (!leg->entry->success)
		return 0;
	message_init(&m);
	rc = spool_get_message(x->spool, leg->entry->id, &m, e);
	rcpt = mem_alloc(leg->nrcpt + 1u, sizeof(*rcpt));
	for (i = 0; rc == 0 && i < leg->nrcpt; i++) {
		const struct recipient *to = &m.env.rcpt[leg_rcpt(leg)[i]];

		if (((extensions & SMTP_EXT_DSN) == 0 &&
		    report_wants(to, SMTP_NOTIFY_SUCCESS)) ||
		    (report_may_tell(to) &&
		    smtp_timing_traced(&m.env.timing, extensions)))
			rcpt[about.nrcpt++] = (struct notice_recipient){
			    .address = to->address, .orcpt = to->orcpt,
			    .action = NOTICE_RELAYED, .status = "2.0.0",
			    .attempt_ms = clock_wall_ms(x->clock) };
	}
	about.message = &m;
	about.rcpt = rcpt;
	if (rc == 0 && about.nrcpt > 0)
		rc = report_new(x, &about, r_out, e);
	free(rcpt);
	message_release(&m);
	return rc;
}

/*
 * Delays.
 */
static const struct target *
first_target(const struct entry *entry)
{
	size_t i;

	for (i = 0; i < entry->nlegs; i++) {
		if (entry->leg[i].nrcpt > 0)
			return entry->leg[i].target;
	}
	return NULL;
}

static bool
wants_delay(const struct exchange *x, const struct recipient *rcpt)
{
	if (rcpt->notify == NULL)
		return x->conf->delay_notice_all;
	return report_wants(rcpt, SMTP_NOTIFY_DELAY);
}

/* Those who wait and want to be told; all who wait count as told. */
static size_t
delayed(const struct exchange *x, const struct message *m,
    struct message_state *st, struct notice_recipient *rcpt)
{
	size_t i, n = 0;

	for (i = 0; i < m->env.nrcpt; i++) {
		struct recipient_state *rs = &st->rcpt[i];

		if (rs->status != RCPT_QUEUED)
			continue;
		rs->delay_told = true;
		if (!wants_delay(x, &m->env.rcpt[i]) &&
		    !wants_late(m, &m->env.rcpt[i]))
			continue;
		rcpt[n].address = m->env.rcpt[i].address;
		rcpt[n].orcpt = m->env.rcpt[i].orcpt;
		rcpt[n].action = NOTICE_DELAYED;
		rcpt[n].status = rs->status_code[0] == '4' ? rs->status_code :
		    m->env.timing.by == SMTP_BY_NOTIFY ? "4.4.7" : "4.4.0";
		rcpt[n].said = rs->text;
		rcpt[n].attempt_ms = rs->attempt_ms;
		if (rs->text == NULL)
			rcpt[n].why = "it waits to be sent on";
		n++;
	}
	return n;
}

static int
write_delay(struct exchange *x, struct entry *entry, struct report *r,
    const struct message_state *st, struct err *e)
{
	struct spool_unit *u;
	int rc;

	rc = spool_begin(x->spool, &u, e);
	if (rc != 0)
		return rc;
	rc = report_put(u, r, e);
	if (rc == 0)
		rc = spool_put_state(u, entry->id, st, e);
	if (rc != 0) {
		spool_abort(u);
		return rc;
	}
	rc = spool_commit(u, true, e);
	entry->recorded = entry->recorded || rc == 0;
	return rc;
}

static int
tell_delay(struct exchange *x, struct entry *entry, const struct message *m,
    struct message_state *st, struct err *e)
{
	const struct target *t = first_target(entry);
	struct notice_recipient *rcpt;
	struct report_about about = { .message = m, .to_sender = true,
		.target = t };
	struct report *r = NULL;
	size_t i;
	int rc = 0;

	rcpt = mem_alloc(m->env.nrcpt + 1, sizeof(*rcpt));
	about.rcpt = rcpt;
	about.nrcpt = delayed(x, m, st, rcpt);
	for (i = 0; i < about.nrcpt; i++)
		rcpt[i].until_ms = m->accepted_wall_ms +
		    (int64_t)queue_lifetime_secs(x, t) * 1000;
	if (about.nrcpt > 0)
		rc = report_new(x, &about, &r, e);
	if (rc == 0 && r != NULL)
		rc = write_delay(x, entry, r, st, e);
	if (rc == 0 && r != NULL)
		report_done(x, r);
	else
		report_free(r);
	free(rcpt);
	return rc;
}

static bool
delay_is_due(const struct exchange *x, const struct entry *entry,
    uint64_t now)
{
	size_t i;

	if (!entry->delay_asked &&
	    !(entry->delay_left && x->conf->delay_notice_all))
		return false;
	if (entry->late_secs != 0 ? entry->late_secs > now :
	    x->conf->delay_notice_secs == 0 ||
	    entry->accepted_secs + x->conf->delay_notice_secs > now)
		return false;
	for (i = 0; i < entry->nlegs; i++) {
		if (entry->leg[i].status == LEG_RUNNING &&
		    entry->leg[i].nrcpt > 0)
			return false;	/* about to be settled */
	}
	return true;
}

static int
delay_one(struct exchange *x, struct entry *entry, struct err *e)
{
	struct message_state st;
	struct message m;
	int rc;

	message_init(&m);
	rc = spool_get_message(x->spool, entry->id, &m, e);
	if (rc == 0)
		rc = spool_get_state(x->spool, m.id, m.env.nrcpt, &st, e);
	if (rc == 0) {
		rc = tell_delay(x, entry, &m, &st, e);
		message_state_release(&st);
	}
	message_release(&m);
	return rc;
}

void
report_postponed(struct exchange *x, struct entry *entry, const char *why)
{
	if (!entry->postponed)
		log_event(x->log, LOG_LEVEL_WARNING, "notice-postponed", "id",
		    message_name(entry->id).s, "reason", why, NULL);
	entry->postponed = true;
}

/* A notice of delay that cannot be written now is tried with the next tick; a
 * message that cannot be read is the business of its delivery. */
bool
report_delays(struct exchange *x)
{
	struct entry *due[DELAYS_MAX];
	struct err e = ERR_INIT;
	void *value;
	size_t i, n = 0, pos = 0;
	int rc;

	if (x->delays_asked == 0 && (x->conf->delay_notice_secs == 0 ||
	    !x->conf->delay_notice_all))
		return false;
	while (n < DELAYS_MAX && map_next(x->entries, &pos, NULL, &value)) {
		if (delay_is_due(x, value, now_secs(x)))
			due[n++] = value;
	}
	for (i = 0; i < n; i++) {
		e.code = 0;
		rc = delay_one(x, due[i], &e);
		if (rc == 0 || rc == ERR_CORRUPT || rc == ERR_NOT_FOUND) {
			x->delays_asked -= due[i]->delay_asked;
			due[i]->delay_asked = due[i]->delay_left = false;
			due[i]->postponed = false;
			continue;
		}
		report_postponed(x, due[i], e.text);
		return false;
	}
	return n == DELAYS_MAX;
}
