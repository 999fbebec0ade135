/* SPDX-License-Identifier: ISC */
/*
 * What all delivery agents have in common: the account of who was told what.
 * It is kept here and not in the drivers, so that a driver that forgets a
 * recipient, or loses its way in an error, leaves "retry" and never silence.
 */
#include "node/delivery_agent.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "smtp/address.h"

static const struct delivery_driver *const drivers[] = {
	[CONF_DELIVERY_SMTP] = &delivery_smtp,
	[CONF_DELIVERY_LMTP] = &delivery_smtp,
	[CONF_DELIVERY_MAILDIR] = &delivery_maildir,
	[CONF_DELIVERY_COMMAND] = &delivery_command,
};

struct delivery *
delivery_new(struct event_base *base, const struct conf_delivery *conf,
    const struct delivery_hooks *hooks)
{
	struct delivery *a = mem_alloc(1, sizeof(*a));

	a->driver = drivers[conf->kind];
	a->base = base;
	a->lmtp = conf->kind == CONF_DELIVERY_LMTP;
	a->convert = conf->convert;
	a->hooks = *hooks;
	a->hostname = mem_strdup(hooks->hostname);
	a->hooks.hostname = a->hostname;
	a->target = mem_strdup(conf->target);
	a->domain = mem_strdup(conf->domains.n > 0 ? conf->domains.item[0] :
	    a->hostname);
	a->null_sender = mem_strdup(conf->null_sender != NULL ?
	    conf->null_sender : "MAILER-DAEMON");
	a->final = conf->final;
	a->deadline_secs = conf->deadline_secs;
	a->connect_secs = conf->connect_secs;
	a->timeouts = conf->timeouts;
	a->crlf = conf->crlf;
	a->envelope_headers = conf->envelope_headers;
	a->connections = conf->connections > 0 ? conf->connections : 1;
	list_init(&a->tasks);
	a->conf = conf;
	a->self = a->driver->make(a);
	/* What is gone with the configuration. */
	a->conf = NULL;
	a->hooks.certificate = a->hooks.key = NULL;
	return a;
}

void
delivery_free(struct delivery *a)
{
	struct delivery_task *t;
	struct list *at;

	if (a == NULL)
		return;
	a->closing = true;
	list_for_each(at, &a->tasks)	/* the driver's lists go away */
		list_del(&list_entry(at, struct delivery_task, all)->link);
	a->driver->free(a->self);
	while (!list_empty(&a->tasks)) {
		t = list_entry(a->tasks.next, struct delivery_task, all);
		delivery_task_tell_rest(t, DELIVERY_RETRY, "4.3.2",
		    "delivery was stopped");
		delivery_task_over(t);
	}
	free(a->hostname);
	free(a->target);
	free(a->domain);
	free(a->null_sender);
	free(a);
}

void
delivery_start(struct delivery *a, struct delivery_job *job)
{
	struct delivery_task *t;

	if (job->nrcpt == 0) {
		a->hooks.over(a->hooks.ctx, job);
		return;
	}
	t = mem_alloc(1, sizeof(*t));
	t->agent = a;
	t->job = job;
	t->told = mem_alloc(job->nrcpt, sizeof(*t->told));
	message_init(&t->msg);
	list_init(&t->link);
	list_add_tail(&a->tasks, &t->all);
	a->running++;
	if (!a->closing)
		a->driver->start(a->self, t);
}

size_t
delivery_running(const struct delivery *a)
{
	return a->running;
}

static bool
rcpt_known(const struct delivery_task *t)
{
	size_t i;

	for (i = 0; i < t->job->nrcpt; i++)
		if (t->job->rcpt[i] >= t->msg.env.nrcpt)
			return false;
	return true;
}

static uint64_t
waited_secs(const struct delivery_task *t)
{
	uint64_t now = spool_elapsed_secs(t->agent->hooks.spool);

	return now > t->msg.accepted_secs ? now - t->msg.accepted_secs : 0;
}

int
delivery_task_load(struct delivery_task *t)
{
	struct err e = ERR_INIT;

	if (t->loaded)
		return 0;
	if (spool_get_message(t->agent->hooks.spool, t->job->message, &t->msg,
	    &e) == 0) {
		t->loaded = rcpt_known(t);
		smtp_timing_pass(&t->msg.env.timing, waited_secs(t));
		if (t->loaded)
			return 0;
		err_set(&e, ERR_STATE, "the message lacks such a recipient");
	}
	delivery_task_tell_spool(t, &e);
	delivery_task_over(t);
	return -1;
}

void
delivery_task_tell(struct delivery_task *t, size_t i,
    enum delivery_outcome outcome, const char *status, const char *text)
{
	struct delivery_hooks *hooks = &t->agent->hooks;

	if (t->told[i])
		return;
	t->told[i] = true;
	t->ntold++;
	hooks->result(hooks->ctx, t->job, t->job->rcpt[i], outcome, status,
	    text);
}

void
delivery_task_tell_rest(struct delivery_task *t,
    enum delivery_outcome outcome, const char *status, const char *text)
{
	size_t i;

	for (i = 0; i < t->job->nrcpt; i++)
		delivery_task_tell(t, i, outcome, status, text);
}

/* A damaged body stays damaged: there is nothing to wait for. */
enum delivery_outcome
delivery_spool_outcome(const struct err *e, const char **status_out,
    const char **text_out)
{
	if (e->code == ERR_CORRUPT) {
		*status_out = "5.3.0";
		*text_out = "the stored content is damaged (checksum)";
		return DELIVERY_FAILED;
	}
	*status_out = "4.3.0";
	*text_out = e->text[0] != '\0' ? e->text :
	    "the message is not in the spool";
	return DELIVERY_RETRY;
}

void
delivery_task_tell_spool(struct delivery_task *t, const struct err *e)
{
	const char *status, *text;
	enum delivery_outcome outcome;

	outcome = delivery_spool_outcome(e, &status, &text);
	delivery_task_tell_rest(t, outcome, status, text);
}

void
delivery_task_over(struct delivery_task *t)
{
	struct delivery *a = t->agent;
	struct delivery_job *job = t->job;

	delivery_task_tell_rest(t, DELIVERY_RETRY, "4.3.0",
	    "delivery was interrupted");
	list_del(&t->link);
	list_del(&t->all);
	a->running--;
	message_release(&t->msg);
	free(t->told);
	free(t);
	a->hooks.over(a->hooks.ctx, job);
}

/* HELO is what a stranger said: only a domain goes into the field. */
static const char *
received_from(const struct message *m)
{
	const char *helo = m->env.helo;

	if (helo == NULL || address_check_domain(slice_of(helo),
	    m->env.smtputf8, NULL) != 0)
		return "unknown";
	return helo;
}

/* RFC 3848, RFC 6531 4.3: the keywords, by the source (session_mail.c). */
static const char *
received_with(const struct message *m)
{
	static const char *const words[] = { "ESMTP", "ESMTPS", "LMTP",
		"LMTPS", "UTF8SMTP", "UTF8SMTPS", "UTF8LMTP", "UTF8LMTPS" };
	const char *source = m->source != NULL ? m->source : "";
	size_t len = strlen(source);
	unsigned which = m->env.smtputf8 ? 4 : 0;

	if (m->peer != NULL)
		return "BSMTP";
	if (strncmp(source, "lmtp ", 5) == 0)
		which |= 2;
	if (len > 4 && strcmp(source + len - 4, " tls") == 0)
		which |= 1;
	return words[which];
}

void
delivery_trace(const struct delivery_task *t, const char *eol,
    struct buf *out)
{
	struct delivery *a = t->agent;

	if (!a->hooks.trace)
		return;
	buf_addf(out, "Received: from %s%s\tby %s with %s id %s;%s\t",
	    received_from(&t->msg), eol, a->hostname, received_with(&t->msg),
	    message_name(t->msg.id).s, eol);
	date_format(out, clock_wall_ms(a->hooks.clock));
	buf_adds(out, eol);
}

void
delivery_head(const struct delivery_task *t, struct buf *out)
{
	const char *eol = t->agent->crlf ? "\r\n" : "\n";
	const char *sender = t->msg.env.sender;

	if (t->agent->envelope_headers)
		buf_addf(out, "Return-Path: <%s>%s",
		    sender != NULL ? sender : "", eol);
	delivery_trace(t, eol, out);
}

void
delivery_add_lf(bool *held_cr, struct buf *out, const char *in, size_t len)
{
	const char *end = in + len, *cr;

	if (len > 0 && *held_cr && in[0] != '\n')
		buf_addc(out, '\r');
	if (len > 0)
		*held_cr = false;
	while (in < end) {
		cr = memchr(in, '\r', (size_t)(end - in));
		if (cr == NULL) {
			buf_add(out, in, (size_t)(end - in));
			return;
		}
		buf_add(out, in, (size_t)(cr - in));
		in = cr + 1;
		if (in == end)
			*held_cr = true;
		else if (*in != '\n')
			buf_addc(out, '\r');
	}
}
