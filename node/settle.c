/* SPDX-License-Identifier: ISC */
/*
 * Outcomes: what became of the recipients of a leg, made durable together
 * with the notices that they ask for.  A recipient starts as "retry", so a
 * branch that forgets one leaves it waiting.
 */
#include <stdio.h>
#include <stdlib.h>

#include "node/custody.h"
#include "node/exchange_private.h"
#include "node/notice.h"

struct outcome *
outcome_new(struct exchange *x, struct leg *leg)
{
	struct outcome *o = mem_alloc(1, sizeof(*o));

	(void)x;
	list_init(&o->link);
	o->leg = leg;
	o->verdict = mem_alloc(leg->nrcpt, sizeof(*o->verdict));
	return o;
}

void
outcome_free(struct outcome *o)
{
	size_t i;

	for (i = 0; i < o->leg->nrcpt; i++)
		free(o->verdict[i].text);
	free(o->verdict);
	report_free(o->report);
	free(o);
}

void
outcome_set(struct outcome *o, size_t i, enum delivery_verdict v,
    const char *status, const char *text)
{
	struct verdict *out = &o->verdict[i];

	out->how = v;
	out->verdict = v == VERDICT_RELAYED || v == VERDICT_TRACED ||
	    v == VERDICT_PASSED ? VERDICT_DONE : v;
	out->told = true;
	(void)snprintf(out->status, sizeof(out->status), "%s",
	    status != NULL ? status : "");
	free(out->text);
	out->text = text != NULL ? mem_strdup(text) : NULL;
}

void
outcome_queue(struct exchange *x, struct outcome *o)
{
	list_add_tail(&x->outcomes, &o->link);
	x->dirty = true;
}

void
settle_fail(struct exchange *x, struct leg *leg, const char *status,
    const char *text, bool expired)
{
	struct outcome *o;
	size_t i;

	leg_take(leg, LEG_RUNNING);
	o = outcome_new(x, leg);
	o->expired = expired;
	o->own_words = true;
	for (i = 0; i < leg->nrcpt; i++)
		outcome_set(o, i, VERDICT_FAILED, status, text);
	outcome_queue(x, o);
}

/* What there is to tell of this recipient, if anything. */
static bool
tells(const struct verdict *v, const struct message *m,
    const struct recipient *rcpt, enum notice_action *action_out)
{
	if (v->verdict == VERDICT_FAILED) {
		*action_out = NOTICE_FAILED;
		return m->kind != MESSAGE_MAIL ||
		    report_wants(rcpt, SMTP_NOTIFY_FAILURE);
	}
	*action_out = v->how == VERDICT_RELAYED || v->how == VERDICT_TRACED ?
	    NOTICE_RELAYED : NOTICE_DELIVERED;
	return v->verdict == VERDICT_DONE && v->how != VERDICT_PASSED &&
	    report_has_sender(m) && (report_wants(rcpt, SMTP_NOTIFY_SUCCESS) ||
	    (v->how == VERDICT_TRACED && report_may_tell(rcpt)));
}

/* A status of the class that the action needs. */
static const char *
told_status(const struct verdict *v)
{
	bool failed = v->verdict == VERDICT_FAILED;

	if (v->status[0] == '\0' || (!failed && v->status[0] != '2'))
		return failed ? "5.0.0" : "2.0.0";
	return v->status;
}

/* st: for what expired, the last answers; else NULL. */
static size_t
to_tell(struct exchange *x, const struct outcome *o, const struct message *m,
    const struct message_state *st, struct notice_recipient *out)
{
	const struct recipient *rcpt;
	const struct verdict *v;
	size_t i, k, n = 0;

	for (i = 0; i < o->leg->nrcpt; i++) {
		k = leg_rcpt(o->leg)[i];
		rcpt = &m->env.rcpt[k];
		v = &o->verdict[i];
		if (!tells(v, m, rcpt, &out[n].action))
			continue;
		out[n].address = rcpt->address;
		out[n].orcpt = rcpt->orcpt;
		out[n].status = told_status(v);
		if (o->own_words)
			out[n].why = v->text;
		else if (out[n].action != NOTICE_DELIVERED)
			out[n].said = v->text;
		if (st != NULL)
			out[n].said = st->rcpt[k].text;
		out[n].attempt_ms = st != NULL ? st->rcpt[k].attempt_ms :
		    clock_wall_ms(x->clock);
		n++;
	}
	return n;
}

static bool
has_success(const struct outcome *o)
{
	size_t i;

	for (i = 0; o->leg->entry->success && i < o->leg->nrcpt; i++) {
		if (o->verdict[i].verdict == VERDICT_DONE &&
		    o->verdict[i].how != VERDICT_PASSED)
			return true;
	}
	return false;
}

static bool
has_failure(const struct outcome *o)
{
	size_t i;

	for (i = 0; i < o->leg->nrcpt; i++) {
		if (o->verdict[i].verdict == VERDICT_FAILED)
			return true;
	}
	return false;
}

bool
settle_has_notice(const struct outcome *o)
{
	return has_failure(o) || has_success(o);
}

/* A message to the postmaster is never given up: its failures are retries. */
static void
keep_postmaster(struct outcome *o)
{
	size_t i;

	for (i = 0; i < o->leg->nrcpt; i++) {
		if (o->verdict[i].verdict == VERDICT_FAILED)
			o->verdict[i].verdict = VERDICT_RETRY;
	}
}

/* The record is damaged: of the message only its number is known. */
static void
stand_in(const struct outcome *o, struct message *m)
{
	size_t i, top = 0;

	message_release(m);
	message_init(m);
	m->env.sender = mem_strdup("");
	for (i = 0; i < o->leg->nrcpt; i++)
		top = leg_rcpt(o->leg)[i] > top ? leg_rcpt(o->leg)[i] : top;
	for (i = 0; i <= top; i++)
		envelope_add_recipient(&m->env, "unknown", NULL, NULL);
}

/* A failure is told to the sender; that of a notice, or of mail without a
 * sender, to the postmaster. */
static int
prepare_report(struct exchange *x, struct outcome *o, const struct message *m,
    struct err *e)
{
	struct notice_recipient *rcpt;
	struct report_about about = { .message = m,
		.to_sender = report_has_sender(m),
		.header = { m->id == 0 ? "" : NULL, 0 },
		.target = o->leg->target };
	struct message_state st;
	bool expired = o->expired && m->id != 0;
	int rc = 0;

	if (expired)
		rc = spool_get_state(x->spool, m->id, m->env.nrcpt, &st, e);
	if (rc != 0)
		return rc;
	rcpt = mem_alloc(o->leg->nrcpt + 1u, sizeof(*rcpt));
	about.rcpt = rcpt;
	about.nrcpt = to_tell(x, o, m, expired ? &st : NULL, rcpt);
	if (about.nrcpt > 0)
		rc = report_new(x, &about, &o->report, e);
	if (o->report != NULL)
		o->report->about = o->leg->entry->id;
	free(rcpt);
	if (expired)
		message_state_release(&st);
	return rc;
}

static int
prepare(struct exchange *x, struct outcome *o, struct err *e)
{
	struct message m;
	int rc;

	if (o->leg->entry->kind == MESSAGE_POSTMASTER)
		keep_postmaster(o);
	if (!settle_has_notice(o) || o->report != NULL)
		return 0;
	message_init(&m);
	rc = spool_get_message(x->spool, o->leg->entry->id, &m, e);
	if (rc == ERR_CORRUPT) {
		stand_in(o, &m);
		rc = 0;
	}
	if (rc == 0)
		rc = prepare_report(x, o, &m, e);
	message_release(&m);
	return rc;
}

/* An outcome whose notice cannot be written now is put back as a retry:
 * nothing is dropped before its notice is durable.  What was delivered stays
 * delivered, though: twice would be worse than not told. */
void
settle_postpone(struct exchange *x, struct outcome *o, const char *why)
{
	size_t i;

	if (!settle_has_notice(o))
		return;
	if (has_failure(o))
		report_postponed(x, o->leg->entry, why);
	else
		log_event(x->log, LOG_LEVEL_WARNING, "notice-lost", "id",
		    message_name(o->leg->entry->id).s, "reason", why, NULL);
	report_free(o->report);
	o->report = NULL;
	for (i = 0; i < o->leg->nrcpt; i++) {
		if (o->verdict[i].verdict == VERDICT_FAILED)
			o->verdict[i].verdict = VERDICT_RETRY;
	}
}

int
settle_prepare(struct exchange *x, struct list *batch, struct err *e)
{
	struct list *item;
	struct outcome *o;

	list_for_each(item, batch) {
		o = list_entry(item, struct outcome, link);
		if (prepare(x, o, e) == 0)
			continue;
		settle_postpone(x, o, e->text);
		e->code = 0;
	}
	return 0;
}

size_t
settle_weight(const struct outcome *o)
{
	size_t body = o->leg->entry->octets < SPOOL_INLINE_MAX ?
	    (size_t)o->leg->entry->octets : 0;

	return body + 512 + (o->report != NULL ? 4096 : 0);
}

static uint32_t
settled_count(const struct outcome *o)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < o->leg->nrcpt; i++)
		n += o->verdict[i].verdict != VERDICT_RETRY;
	return n;
}

static uint64_t
retry_secs(struct exchange *x, const struct leg *leg)
{
	uint64_t wait = backoff_secs(x, leg->attempts + 1,
	    x->conf->retry_min_secs, x->conf->retry_max_secs);

	return now_secs(x) + (wait > 0 ? wait : 1);
}

static int
write_state(struct exchange *x, struct spool_unit *u, struct outcome *o,
    struct err *e)
{
	struct message_state st;
	struct message m;
	struct recipient_state *rs;
	const struct verdict *v;
	size_t i;
	int rc;

	message_init(&m);
	rc = spool_get_message(x->spool, o->leg->entry->id, &m, e);
	if (rc == 0)
		rc = spool_get_state(x->spool, m.id, m.env.nrcpt, &st, e);
	if (rc != 0) {
		message_release(&m);
		return rc;
	}
	o->leg->next_secs = retry_secs(x, o->leg);
	for (i = 0; i < o->leg->nrcpt; i++) {
		rs = &st.rcpt[leg_rcpt(o->leg)[i]];
		v = &o->verdict[i];
		rs->status = v->verdict == VERDICT_DONE ? RCPT_DONE :
		    v->verdict == VERDICT_FAILED ? RCPT_FAILED : rs->status;
		rs->attempts = o->leg->attempts + 1;
		rs->attempt_ms = clock_wall_ms(x->clock);
		rs->next_secs = o->leg->next_secs;
		(void)snprintf(rs->status_code, sizeof(rs->status_code), "%s",
		    v->status);
		free(rs->text);
		rs->text = v->text != NULL ? mem_strdup(v->text) : NULL;
	}
	rc = spool_put_state(u, m.id, &st, e);
	message_state_release(&st);
	message_release(&m);
	return rc;
}

int
settle_write(struct exchange *x, struct spool_unit *u, struct outcome *o,
    struct err *e)
{
	struct entry *entry = o->leg->entry;
	int rc = 0;

	/* Several outcomes of one message may share a transaction. */
	entry->settling += settled_count(o);
	if (o->report != NULL)
		rc = report_put(u, o->report, e);
	if (rc != 0)
		return rc;
	if (entry->settling == entry->open)
		return spool_del_message(u, entry->id, e);
	entry->recorded = true;
	return write_state(x, u, o, e);
}

void
settle_undo(struct outcome *o)
{
	o->leg->entry->settling -= settled_count(o);
}

static void
log_verdicts(struct exchange *x, const struct outcome *o)
{
	static const char *const word[] = {
		[VERDICT_RETRY] = "recipient-deferred",
		[VERDICT_DONE] = "recipient-delivered",
		[VERDICT_FAILED] = "recipient-failed",
	};
	const struct verdict *v;
	size_t i;

	for (i = 0; i < o->leg->nrcpt; i++) {
		v = &o->verdict[i];
		x->counters.delivered += v->verdict == VERDICT_DONE;
		x->counters.failed += v->verdict == VERDICT_FAILED;
		log_event(x->log, LOG_LEVEL_INFO, word[v->verdict],
		    "id", message_name(o->leg->entry->id).s,
		    "recipient", num_str(leg_rcpt(o->leg)[i]).s,
		    "to", o->leg->target->name,
		    "status", v->status[0] != '\0' ? v->status : NULL,
		    "said", v->text, NULL);
	}
}

/* What is left of the leg waits for its next turn. */
static void
rest_of_leg(struct exchange *x, struct outcome *o)
{
	struct leg *leg = o->leg;
	uint16_t *rest = mem_alloc(leg->nrcpt, sizeof(*rest));
	size_t i, n = 0, was = leg->nrcpt;

	for (i = 0; i < was; i++) {
		if (o->verdict[i].verdict == VERDICT_RETRY)
			rest[n++] = leg_rcpt(leg)[i];
		free(o->verdict[i].text);
		o->verdict[i].text = NULL;
	}
	leg->entry->open -= (uint32_t)(was - n);
	leg->entry->settling -= (uint32_t)(was - n);
	leg_set_rcpt(leg, rest, n);
	free(rest);
	if (n == 0)
		return;
	leg->attempts++;
	/* Custody has it until somebody is told. */
	if (leg->unsure) {
		leg_take(leg, LEG_CUT);
		return;
	}
	leg_later(leg, leg->next_secs > now_secs(x) ? leg->next_secs :
	    now_secs(x) + 1);
}

void
settle_done(struct exchange *x, struct outcome *o)
{
	struct leg *leg = o->leg;
	struct entry *entry = leg->entry;
	bool gone = settled_count(o) == entry->open;
	bool stays = o->leg->unsure && settled_count(o) < o->leg->nrcpt;
	uint64_t lot = o->leg->target->kind == TARGET_SITE && !stays ?
	    o->leg->object : 0;

	log_verdicts(x, o);
	if (o->report != NULL) {
		report_done(x, o->report);
		entry->postponed = false;
	}
	o->report = NULL;
	rest_of_leg(x, o);
	outcome_free(o);
	if (gone)
		queue_forget(x, entry);
	else
		queue_reroute_late(x, leg);
	custody_leg_over(x, lot);
}

/*
 * Delivery jobs.
 */
void
exchange_delivery_result(struct exchange *x, uint64_t job, size_t rcpt,
    enum delivery_verdict verdict, const char *status, const char *text)
{
	struct outcome *o = map_get_u64(x->jobs, job);
	size_t i;

	for (i = 0; o != NULL && i < o->leg->nrcpt; i++) {
		if (leg_rcpt(o->leg)[i] == rcpt)
			outcome_set(o, i, verdict, status, text);
	}
}

/* Did the server not answer at all?  Then the others need not ask it now. */
static bool
unreachable(const struct outcome *o)
{
	size_t i;

	for (i = 0; i < o->leg->nrcpt; i++) {
		if (o->verdict[i].verdict != VERDICT_RETRY ||
		    strncmp(o->verdict[i].status, "4.4.", 4) != 0)
			return false;
	}
	return true;
}

void
exchange_delivery_over(struct exchange *x, uint64_t job)
{
	struct outcome *o = map_del_u64(x->jobs, job);
	struct target *t;

	if (o == NULL)
		return;
	t = o->leg->target;
	t->running--;
	if (!unreachable(o)) {
		t->failures = 0;
		t->pause_ms = 0;
	} else {
		/* Jobs that failed together count once. */
		if (t->pause_ms <= clock_mono_ms(x->clock))
			t->failures++;
		t->pause_ms = clock_mono_ms(x->clock) + 1000 * (int64_t)
		    backoff_secs(x, t->failures, x->conf->retry_min_secs,
		    x->conf->retry_max_secs);
	}
	outcome_queue(x, o);
}

void
exchange_delivery_return(struct exchange *x, uint64_t job)
{
	struct outcome *o = map_get_u64(x->jobs, job);
	struct leg *leg;
	size_t i;

	for (i = 0; o != NULL && i < o->leg->nrcpt; i++) {
		if (o->verdict[i].told) {
			exchange_delivery_over(x, job);
			return;
		}
	}
	if (o == NULL)
		return;
	(void)map_del_u64(x->jobs, job);
	leg = o->leg;
	leg->target->running--;
	outcome_free(o);
	leg_ready(leg);
	x->dirty = true;
}
