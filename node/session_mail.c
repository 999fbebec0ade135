/* SPDX-License-Identifier: ISC */
/*
 * The transaction of a session: who may send what to whom, and where the
 * content goes, into a draft of the spool or, for the bundle address, to
 * mailed.c.
 */
#include "node/session_state.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "smtp/address.h"

#define LOGGED_MAX 50		/* errors of one session that are logged */

static void
drop_draft(struct session *s)
{
	spool_draft_free(s->draft);
	s->draft = NULL;
	mailed_free(s->mailed);
	s->mailed = NULL;
}

void
session_drop(struct session *s)
{
	drop_draft(s);
	free(s->object_peer);
	s->object_peer = NULL;
	s->for_bundles = false;
}

static void
log_refusal(struct session *s, const char *command,
    const struct smtp_event *ev, const struct smtp_refusal *r)
{
	if (s->logged++ >= LOGGED_MAX)
		return;
	log_event(s->host->daemon->log, LOG_LEVEL_INFO, "session-error",
	    "source", s->source, "command", command,
	    "line", num_str(ev->line).s, "code", num_str((unsigned)r->code).s,
	    "status", r->status, "text", r->text, NULL);
}

/* It is told nothing, but who looks for addresses is worth knowing. */
static void
log_probe(struct session *s, const struct smtp_event *ev)
{
	struct buf text = BUF_INIT;

	if (s->logged++ >= LOGGED_MAX)
		return;
	text_escape(&text, ev->bytes, 320, true);
	log_event(s->host->daemon->log, LOG_LEVEL_INFO, "session-probe",
	    "source", s->source, "command", "VRFY", "text", buf_cstr(&text),
	    NULL);
	buf_release(&text);
}

void
session_refuse(struct session *s, const char *command,
    const struct smtp_event *ev, const struct smtp_refusal *r)
{
	log_refusal(s, command, ev, r);
	smtp_server_answer(s->smtp, r->code, r->status, r->text);
}

static void
on_mail(struct session *s, const struct smtp_event *ev)
{
	struct exchange *x = s->host->daemon->exchange;
	struct smtp_refusal r;

	session_drop(s);
	if (!s->trusted) {
		smtp_refuse(&r, s->tls != NULL ? 554 : 530, s->tls != NULL ?
		    "5.7.1" : "5.7.0", s->tls != NULL ?
		    "Your certificate is not known here" :
		    "Must issue a STARTTLS command first");
		session_refuse(s, "MAIL", ev, &r);
	} else if (exchange_check_room(x, ev->envelope->size, &r) == 0)
		smtp_server_answer(s->smtp, 250, "2.1.0", "Ok");
	else
		session_refuse(s, "MAIL", ev, &r);
}

/* Objects come alone, so that there is one answer to what becomes of them. */
static int
check_alone(const struct session *s, const struct envelope *env, bool object,
    struct smtp_refusal *r)
{
	if (env->nrcpt == 1 || (!s->for_bundles && !object))
		return 0;
	return smtp_refuse(r, 452, "4.5.3", "what is for the bundle address "
	    "goes by itself");
}

/* The recipient is the bundle address. */
static int
check_object(struct session *s, const struct envelope *env,
    struct smtp_refusal *r)
{
	const struct daemon *d = s->host->daemon;
	const struct conf_peer *peer;

	if (mailed_peer(d->conf, env->sender, s->fd, &peer, r) < 0 ||
	    check_alone(s, env, true, r) < 0)
		return -1;
	s->for_bundles = true;
	if (peer != NULL)
		s->object_peer = mem_strdup(peer->name);
	return 0;
}

static int
check_recipient(struct session *s, const struct envelope *env,
    struct smtp_refusal *r)
{
	const struct daemon *d = s->host->daemon;
	const char *address = env->rcpt[env->nrcpt - 1].address;

	if (mailed_is_address(d->conf, address))
		return check_object(s, env, r);
	if (check_alone(s, env, false, r) < 0 ||
	    mailed_check_loop(d->conf, env->sender, address, r) < 0)
		return -1;
	if (d->conf->message_max != 0 && env->size > d->conf->message_max)
		return smtp_refuse(r, 552, "5.3.4", "Message too large, "
		    "the limit is %llu octets",
		    (unsigned long long)d->conf->message_max);
	return exchange_check_recipient(d->exchange, address, env->size, r);
}

static void
on_rcpt(struct session *s, const struct smtp_event *ev)
{
	struct smtp_refusal r;

	if (check_recipient(s, ev->envelope, &r) == 0)
		smtp_server_answer(s->smtp, 250, "2.1.5", "Ok");
	else
		session_refuse(s, "RCPT", ev, &r);
}

static void
storage_refusal(struct session *s, const struct err *e,
    struct smtp_refusal *r)
{
	if (e->code == ERR_FULL) {
		smtp_refuse(r, 452, "4.3.1",
		    "No room in the spool now, try later");
		return;
	}
	if (e->code == ERR_SYNTAX) {
		smtp_refuse(r, 554, "5.6.0", "%s", e->text);
		return;
	}
	if (e->code == ERR_LIMIT) {
		smtp_refuse(r, 552, "5.3.4", "Message too large: %s",
		    e->text);
		return;
	}
	smtp_refuse(r, 451, "4.3.0", "Cannot store the message now");
	log_event(s->host->daemon->log, LOG_LEVEL_WARNING, "draft-failed",
	    "source", s->source, "error", e->text, NULL);
}

/* 0, or -1 with the refusal. */
static int
begin_object(struct session *s, struct smtp_refusal *r)
{
	struct daemon *d = s->host->daemon;
	const struct conf_peer *peer = s->object_peer == NULL ? NULL :
	    conf_find_peer(d->conf, s->object_peer);
	struct err e = ERR_INIT;

	if (peer == NULL && s->object_peer != NULL)
		return smtp_refuse(r, 451, "4.3.0", "The peer is gone");
	if (mailed_new(d, peer, s->source, &s->mailed, &e) == 0)
		return 0;
	storage_refusal(s, &e, r);
	return -1;
}

static void
on_begin(struct session *s, const struct smtp_event *ev)
{
	struct smtp_refusal r;

	drop_draft(s);
	s->octets = 0;
	if (!s->for_bundles)
		s->draft = spool_draft_new(s->host->daemon->spool);
	else if (begin_object(s, &r) < 0) {
		session_refuse(s, "DATA", ev, &r);
		return;
	}
	smtp_server_answer(s->smtp, 250, "2.0.0", "Ok");
}

static int
keep_content(struct session *s, struct slice bytes, struct err *e)
{
	const struct conf *conf = s->host->daemon->conf;

	if (s->mailed != NULL)
		return mailed_add(s->mailed, bytes, e);
	s->octets += bytes.len;
	if (conf->message_max != 0 && s->octets > conf->message_max)
		return err_set(e, ERR_LIMIT, "the limit is %llu octets",
		    (unsigned long long)conf->message_max);
	return spool_draft_add(s->draft, bytes.ptr, bytes.len, e);
}

static void
on_content(struct session *s, const struct smtp_event *ev)
{
	struct smtp_refusal r;
	struct err e = ERR_INIT;

	if ((s->draft == NULL && s->mailed == NULL) ||
	    keep_content(s, ev->bytes, &e) == 0)
		return;
	drop_draft(s);
	storage_refusal(s, &e, &r);
	smtp_server_refuse_content(s->smtp, r.code, r.status, r.text);
}

/* RFC 2033 4.2: only now is it known how large the message is, and by LMTP a
 * recipient who cannot have it is told so by a reply of its own.  -1 with the
 * last refusal if there is nobody left in env. */
static int
leave_out(struct session *s, struct envelope *env, uint64_t octets,
    struct smtp_refusal *r)
{
	struct exchange *x = s->host->daemon->exchange;
	struct smtp_event ev = { .line = 0 };
	struct recipient swap;
	size_t i, kept = 0;

	for (i = 0; i < env->nrcpt; i++) {
		swap = env->rcpt[i];
		if (exchange_check_recipient(x, swap.address, octets, r) != 0) {
			log_refusal(s, "DATA", &ev, r);
			smtp_server_answer_for(s->smtp, i, r);
			continue;
		}
		env->rcpt[i] = env->rcpt[kept];
		env->rcpt[kept++] = swap;
	}
	while (env->nrcpt > kept)
		envelope_drop_recipient(env);
	return kept > 0 ? 0 : -1;
}

static int
accept_message(struct session *s, const struct envelope *env,
    struct smtp_refusal *r)
{
	struct message m;
	struct err e = ERR_INIT;
	int rc = 0;

	if (s->draft == NULL || spool_draft_end(s->draft, &e) < 0) {
		storage_refusal(s, &e, r);
		return -1;
	}
	message_init(&m);
	m.kind = MESSAGE_MAIL;
	envelope_copy(&m.env, env);
	m.source = mem_printf("%s%s", s->source, s->tls != NULL ? " tls" : "");
	if (s->service->lmtp)
		rc = leave_out(s, &m.env, s->octets, r);
	if (rc == 0)
		rc = exchange_accept(s->host->daemon->exchange, s->draft, &m,
		    s, r);
	if (rc == 0)
		s->draft = NULL;
	message_release(&m);
	return rc;
}

static void
end_object(struct session *s, const struct smtp_event *ev)
{
	const char *text = s->object_peer != NULL ? "Ok: the object is taken" :
	    "Ok";
	struct smtp_refusal r;
	struct err e = ERR_INIT;

	if (s->mailed != NULL && mailed_end(s->mailed, &e) == 0) {
		s->messages++;
		smtp_server_answer(s->smtp, 250, "2.0.0", text);
		daemon_wake(s->host->daemon);
	} else {
		storage_refusal(s, &e, &r);
		session_refuse(s, "DATA", ev, &r);
	}
	session_drop(s);
}

static void
on_end(struct session *s, const struct smtp_event *ev)
{
	struct smtp_refusal r;

	if (s->for_bundles) {
		end_object(s, ev);
		return;
	}
	if (accept_message(s, ev->envelope, &r) == 0) {
		s->committing = true;
		daemon_wake(s->host->daemon);
		return;
	}
	drop_draft(s);
	session_refuse(s, "DATA", ev, &r);
}

static void
on_error(struct session *s, const struct smtp_event *ev)
{
	struct slice args;

	log_refusal(s, smtp_verb_name(smtp_command_split(ev->bytes, &args)),
	    ev, &ev->refusal);
}

void
session_handle(struct session *s, const struct smtp_event *ev)
{
	switch (ev->kind) {
	case SMTP_EVENT_HELLO:
	case SMTP_EVENT_NOOP:
		break;
	case SMTP_EVENT_MAIL:
		on_mail(s, ev);
		break;
	case SMTP_EVENT_RCPT:
		on_rcpt(s, ev);
		break;
	case SMTP_EVENT_BEGIN:
		on_begin(s, ev);
		break;
	case SMTP_EVENT_CONTENT:
		on_content(s, ev);
		break;
	case SMTP_EVENT_END:
		on_end(s, ev);
		break;
	case SMTP_EVENT_RESET:
		session_drop(s);
		break;
	case SMTP_EVENT_ERROR:
		on_error(s, ev);
		break;
	case SMTP_EVENT_VRFY:
		log_probe(s, ev);
		break;
	case SMTP_EVENT_STARTTLS:
		s->tls_due = true;
		break;
	case SMTP_EVENT_QUIT:
		s->quit = true;
		session_end(s);
		break;
	case SMTP_EVENT_CLOSE:
		session_end(s);
		break;
	}
}
