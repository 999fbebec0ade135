/* SPDX-License-Identifier: ISC */
/*
 * One SMTP client.  What is read goes from one buffer, shared by all sessions,
 * straight through the protocol into the draft; only what cannot be used yet
 * (an answer is owed, or the client does not read ours) is copied and kept,
 * and as long as there is any, nothing more is read.  So an idle session needs
 * little memory, and a busy one no copies and few system calls: interest in
 * reading is taken back only when something arrives that is not wanted.
 *
 * A call or event changes the session and ends in settle(), which alone
 * writes, arms events and tells the host that it is over.
 */
#include "node/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/conf_net.h"
#include "node/mailed.h"
#include "smtp/extension.h"
#include "smtp/server.h"

#define OUTPUT_MAX 16384	/* octets of replies left unread */
#define LINGER_MS 5000		/* for the client to close too */
#define STRANGER_MS 30000	/* for QUIT after 554 */
#define LOGGED_MAX 50		/* errors of one session that are logged */

struct session {
	const struct session_host *host;
	void *cookie;
	char *source;
	int fd;
	const struct session_service *service;
	struct tls *tls;	/* NULL: in clear */
	bool tls_due;		/* as soon as 220 is sent */
	bool handshake;		/* under way */
	bool trusted;		/* may submit */
	struct event *readable, *writable;
	bool reading, writing;	/* the events are armed */
	struct smtp_server *smtp;
	struct buf in;		/* read, not yet used */
	struct spool_draft *draft;
	uint64_t octets;	/* of the content at hand */
	char *object_peer;	/* the message at hand is its object */
	struct mailed *mailed;
	bool committing;	/* the exchange has a message of ours */
	bool welcome;
	bool stopping;
	bool eof;		/* the client has said all */
	bool eof_told;
	bool ended;		/* no more commands; replies may be unsent */
	bool quit;
	bool shut;		/* all is sent, and it knows: no more comes */
	bool dead;		/* the socket is of no more use */
	unsigned logged;
	int64_t active_ms;
	uint64_t messages;
};

static int64_t
now_ms(const struct session *s)
{
	return clock_mono_ms(s->host->daemon->clock);
}

static void
drop_draft(struct session *s)
{
	spool_draft_free(s->draft);
	s->draft = NULL;
	mailed_free(s->mailed);
	s->mailed = NULL;
}

static void
drop_transaction(struct session *s)
{
	drop_draft(s);
	free(s->object_peer);
	s->object_peer = NULL;
}

static void
end(struct session *s)
{
	drop_transaction(s);
	s->ended = true;
	s->active_ms = now_ms(s);
	buf_release(&s->in);
}

/* A last word that is no answer. */
static void
say_goodbye(struct session *s, const char *status, const char *text)
{
	smtp_write_reply(smtp_server_output(s->smtp), 421, status, text);
	end(s);
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

static void
refuse(struct session *s, const char *command, const struct smtp_event *ev,
    const struct smtp_refusal *r)
{
	log_refusal(s, command, ev, r);
	smtp_server_answer(s->smtp, r->code, r->status, r->text);
}

static void
on_mail(struct session *s, const struct smtp_event *ev)
{
	struct exchange *x = s->host->daemon->exchange;
	struct smtp_refusal r;

	drop_transaction(s);
	if (!s->trusted) {
		smtp_refuse(&r, s->tls != NULL ? 554 : 530, s->tls != NULL ?
		    "5.7.1" : "5.7.0", s->tls != NULL ?
		    "Your certificate is not known here" :
		    "Must issue a STARTTLS command first");
		refuse(s, "MAIL", ev, &r);
	} else if (exchange_check_room(x, ev->envelope->size, &r) == 0)
		smtp_server_answer(s->smtp, 250, "2.1.0", "Ok");
	else
		refuse(s, "MAIL", ev, &r);
}

/* Objects come alone, so that there is one answer to what becomes of them. */
static int
check_alone(const struct session *s, const struct envelope *env, bool object,
    struct smtp_refusal *r)
{
	if (env->nrcpt == 1 || (s->object_peer == NULL && !object))
		return 0;
	return smtp_refuse(r, 452, "4.5.3", "an object for the bundle "
	    "address goes by itself");
}

/* The recipient is the bundle address. */
static int
check_object(struct session *s, const struct envelope *env,
    struct smtp_refusal *r)
{
	const struct daemon *d = s->host->daemon;
	const struct conf_peer *peer;

	if (mailed_peer(d->conf, env->sender, s->fd, &peer, r) < 0)
		return -1;
	if (peer == NULL)
		return exchange_check_recipient(d->exchange,
		    d->conf->postmaster, env->size, r);
	if (check_alone(s, env, true, r) < 0)
		return -1;
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
		refuse(s, "RCPT", ev, &r);
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
	const struct conf_peer *peer = conf_find_peer(d->conf,
	    s->object_peer);
	struct err e = ERR_INIT;

	if (peer == NULL)
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
	if (s->object_peer == NULL)
		s->draft = spool_draft_new(s->host->daemon->spool);
	else if (begin_object(s, &r) < 0) {
		refuse(s, "DATA", ev, &r);
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

/* A notice about an object of ours is for a person. */
static void
name_postmaster(const struct conf *conf, struct envelope *env)
{
	for (size_t i = 0; i < env->nrcpt; i++) {
		struct recipient *rcpt = &env->rcpt[i];

		if (!mailed_is_address(conf, rcpt->address))
			continue;
		free(rcpt->address);
		rcpt->address = mem_strdup(conf->postmaster);
	}
}

static int
accept_message(struct session *s, const struct envelope *env,
    struct smtp_refusal *r)
{
	struct message m;
	struct err e = ERR_INIT;
	int rc;

	if (s->draft == NULL || spool_draft_end(s->draft, &e) < 0) {
		storage_refusal(s, &e, r);
		return -1;
	}
	message_init(&m);
	m.kind = MESSAGE_MAIL;
	envelope_copy(&m.env, env);
	name_postmaster(s->host->daemon->conf, &m.env);
	m.source = mem_strdup(s->source);
	rc = exchange_accept(s->host->daemon->exchange, s->draft, &m, s, r);
	if (rc == 0)
		s->draft = NULL;
	message_release(&m);
	return rc;
}

static void
end_object(struct session *s, const struct smtp_event *ev)
{
	struct smtp_refusal r;
	struct err e = ERR_INIT;

	if (s->mailed != NULL && mailed_end(s->mailed, &e) == 0) {
		s->messages++;
		smtp_server_answer(s->smtp, 250, "2.0.0",
		    "Ok: the object is taken");
	} else {
		storage_refusal(s, &e, &r);
		refuse(s, "DATA", ev, &r);
	}
	drop_transaction(s);
}

static void
on_end(struct session *s, const struct smtp_event *ev)
{
	struct smtp_refusal r;

	if (s->object_peer != NULL) {
		end_object(s, ev);
		return;
	}
	if (accept_message(s, ev->envelope, &r) == 0) {
		s->committing = true;
		daemon_wake(s->host->daemon);
		return;
	}
	drop_draft(s);
	refuse(s, "DATA", ev, &r);
}

static void
on_error(struct session *s, const struct smtp_event *ev)
{
	struct slice args;

	log_refusal(s, smtp_verb_name(smtp_command_split(ev->bytes, &args)),
	    ev, &ev->refusal);
}

static void
handle(struct session *s, const struct smtp_event *ev)
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
		drop_transaction(s);
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
		end(s);
		break;
	case SMTP_EVENT_CLOSE:
		end(s);
		break;
	}
}

/*
 * Input.
 */
static bool
choked(const struct session *s)
{
	return smtp_server_output(s->smtp)->len > OUTPUT_MAX;
}

/* Must what comes wait? */
static bool
blocked(const struct session *s)
{
	return smtp_server_waiting(s->smtp) || choked(s) || s->tls_due ||
	    s->handshake ||
	    (s->stopping && !smtp_server_in_transaction(s->smtp));
}

/* Returns how many octets are done with. */
static size_t
feed(struct session *s, const char *in, size_t len)
{
	struct smtp_event ev;
	size_t used = 0, n;

	while (!s->ended && !blocked(s)) {
		int rc = smtp_server_next(s->smtp, in + used, len - used, &n,
		    &ev);

		used += n;
		if (rc == 0)
			break;
		handle(s, &ev);
	}
	return s->ended ? len : used;
}

static void
resume(struct session *s)
{
	struct buf in = s->in;
	size_t used;

	if (in.len == 0)
		return;
	buf_init(&s->in);
	used = feed(s, in.ptr, in.len);
	buf_consume(&in, used);
	if (in.len > 0)
		s->in = in;
	else
		buf_release(&in);
}

static void
tell_eof(struct session *s)
{
	struct smtp_event ev;

	s->eof_told = true;
	while (!s->ended && smtp_server_eof(s->smtp, &ev) == 1)
		handle(s, &ev);
	end(s);
}

/*
 * Output and events.
 */
static void
flush(struct session *s)
{
	struct buf *out = smtp_server_output(s->smtp);
	ssize_t n;

	while (out->len > 0 && !s->dead && !s->handshake) {
		n = s->tls != NULL ? tls_write(s->tls, out->ptr, out->len) :
		    send(s->fd, out->ptr, out->len, MSG_NOSIGNAL);
		if (n >= 0) {
			buf_consume(out, (size_t)n);
			s->active_ms = now_ms(s);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR) {
			s->dead = true;
		}
	}
}

static void
arm(struct event *ev, bool *armed, bool wanted)
{
	if (*armed == wanted)
		return;
	*armed = wanted;
	if (wanted)
		event_add(ev, NULL);
	else
		event_del(ev);
}

/* What the client has still sent would make the kernel drop our last reply
 * when we close: so we say that we are done and wait for it to close. */
static void
finish(struct session *s)
{
	if (s->tls != NULL && !s->shut)
		tls_shut(s->tls);
	if (s->quit || s->eof)
		s->dead = true;
	else if (!s->shut)
		s->dead = shutdown(s->fd, SHUT_WR) != 0;
	s->shut = true;
}

/*
 * TLS.
 */
static void
tls_failed(struct session *s, const char *why)
{
	log_event(s->host->daemon->log, LOG_LEVEL_WARNING, "tls-failed",
	    "source", s->source, "reason", why, NULL);
	s->handshake = false;
	s->dead = true;
}

/* Trust comes by address, or now by the certificate. */
static void
tls_made(struct session *s)
{
	unsigned char digest[CONF_FINGERPRINT_LEN];
	struct buf hex = BUF_INIT;

	if (tls_peer_fingerprint(s->tls, digest)) {
		hex_encode(&hex, digest, sizeof(digest));
		s->trusted = s->trusted || conf_net_match_cert(
		    s->service->allow, s->service->nallow, digest);
	}
	log_event(s->host->daemon->log, LOG_LEVEL_INFO, "session-tls",
	    "source", s->source, "version", tls_version(s->tls), "cipher",
	    tls_cipher(s->tls), "certificate", hex.len > 0 ? buf_cstr(&hex) :
	    NULL, NULL);
	buf_release(&hex);
	s->handshake = false;
	smtp_server_tls_on(s->smtp);
}

static void
tls_go_on(struct session *s)
{
	struct err e = ERR_INIT;
	int rc = tls_handshake(s->tls, &e);

	if (rc == 1)
		tls_made(s);
	else if (rc < 0)
		tls_failed(s, e.text);
}

static void
tls_begin(struct session *s)
{
	s->tls_due = false;
	if (s->in.len > 0) {	/* the server looks for it too */
		tls_failed(s, "input behind STARTTLS");
		return;
	}
	s->active_ms = now_ms(s);
	s->tls = tls_accept(s->service->tls, s->fd);
	s->handshake = true;
	tls_go_on(s);
}

static void
proceed(struct session *s)
{
	flush(s);
	if (s->tls_due && !s->dead && smtp_server_output(s->smtp)->len == 0)
		tls_begin(s);
	while (!s->dead && !s->ended && s->in.len > 0 && !blocked(s)) {
		resume(s);
		flush(s);
	}
	if (s->ended || smtp_server_waiting(s->smtp))
		return;
	if (s->stopping && !smtp_server_in_transaction(s->smtp))
		say_goodbye(s, "4.3.2", "Service is closing down");
	else if (s->eof && !s->eof_told && s->in.len == 0)
		tell_eof(s);
	flush(s);
}

static void
settle(struct session *s)
{
	bool unsent;

	proceed(s);
	unsent = smtp_server_output(s->smtp)->len > 0;
	unsent = unsent || (s->tls != NULL && tls_wants_write(s->tls));
	if (s->ended && !unsent && !s->dead)
		finish(s);
	if (s->dead) {
		s->host->over(s->cookie);
		return;
	}
	arm(s->writable, &s->writing, unsent);
	if (!s->eof && (s->ended || s->handshake ||
	    (s->in.len == 0 && !blocked(s)))) {
		arm(s->readable, &s->reading, true);
		/* The socket does not tell of what TLS has read already. */
		if (s->tls != NULL && !s->handshake && tls_pending(s->tls))
			event_active(s->readable, EV_READ, 0);
	}
}

static void
take(struct session *s, size_t n)
{
	size_t used;

	if (s->ended)
		return;
	s->active_ms = now_ms(s);
	used = feed(s, s->host->scratch, n);
	buf_add(&s->in, s->host->scratch + used, n - used);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	ssize_t n;

	(void)what;
	if (s->handshake) {
		tls_go_on(s);
		settle(s);
		return;
	}
	if (!s->dead && !s->ended && (s->in.len > 0 || blocked(s))) {
		arm(s->readable, &s->reading, false);
		return;
	}
	n = s->dead ? -1 : s->tls != NULL ?
	    tls_read(s->tls, s->host->scratch, SESSION_READ_MAX) :
	    read(fd, s->host->scratch, SESSION_READ_MAX);
	if (n > 0) {
		take(s, (size_t)n);
	} else if (n == 0) {
		s->eof = true;
		arm(s->readable, &s->reading, false);
	} else if (errno != EAGAIN && errno != EINTR) {
		s->dead = true;
	}
	settle(s);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd;
	(void)what;
	if (s->handshake)
		tls_go_on(s);
	settle(s);
}

/*
 * The session.
 */
static struct smtp_server *
make_server(const struct daemon *d, const struct session_service *service)
{
	const struct conf *conf = d->conf;
	struct smtp_server_options opts;

	smtp_server_options_default(&opts);
	opts.hostname = conf->hostname;
	opts.lmtp = service->lmtp;
	opts.tls_required = service->tls_required;
	if (service->tls != NULL)
		opts.extensions |= SMTP_EXT_STARTTLS;
	opts.message_max = mailed_message_max(conf);
	opts.recipients_max = conf->recipients_max;
	opts.line_max = (size_t)conf->line_max;
	opts.extensions |= SMTP_EXT_BINARYMIME | SMTP_EXT_MT_PRIORITY |
	    SMTP_EXT_DELIVERBY;
	if (conf->hold_max_secs != 0) {
		opts.extensions |= SMTP_EXT_FUTURERELEASE;
		opts.hold_max_secs = conf->hold_max_secs;
		opts.hold_until_max = clock_wall_ms(d->clock) / 1000 +
		    (int64_t)conf->hold_max_secs;
	}
	opts.command_max = conf->command_max;
	opts.errors_max = conf->errors_max;
	opts.extensions &= ~service->hidden;
	if (service->normalize)
		opts.line_ends = SMTP_LINES_NORMALIZE;
	return smtp_server_new(&opts);
}

struct session *
session_new(const struct session_host *host,
    const struct session_service *service, int fd, const char *source,
    bool welcome, void *cookie)
{
	struct session *s = mem_alloc(1, sizeof(*s));
	struct event_base *base = host->daemon->base;

	s->host = host;
	s->cookie = cookie;
	s->source = mem_strdup(source);
	s->fd = fd;
	s->service = service;
	s->trusted = welcome;
	s->welcome = welcome = welcome ||
	    service->by_certificate;
	s->smtp = make_server(host->daemon, service);
	s->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable,
	    s);
	s->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable,
	    s);
	s->active_ms = now_ms(s);
	smtp_server_greet(s->smtp, welcome ? 220 : 554,
	    welcome ? NULL : "access denied");
	flush(s);
	/* The caller does not expect `over` yet: a dead one is met later. */
	arm(s->readable, &s->reading, true);
	if (s->dead)
		event_active(s->readable, EV_READ, 0);
	return s;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	log_event(s->host->daemon->log, LOG_LEVEL_DEBUG, "session-closed",
	    "source", s->source, "messages", num_str(s->messages).s, NULL);
	if (s->committing)
		exchange_forget(s->host->daemon->exchange, s);
	drop_transaction(s);
	event_free(s->readable);
	event_free(s->writable);
	tls_free(s->tls);
	close(s->fd);
	smtp_server_free(s->smtp);
	buf_release(&s->in);
	free(s->source);
	free(s);
}

void
session_completed(struct session *s, const struct exchange_completion *c)
{
	struct smtp_event ev = { .line = 0 };
	char text[64];

	s->committing = false;
	s->active_ms = now_ms(s);
	if (c->durable) {
		s->messages++;
		snprintf(text, sizeof(text), "Ok: queued as %s",
		    message_name(c->id).s);
		smtp_server_answer(s->smtp, 250, "2.0.0", text);
	} else {
		refuse(s, "DATA", &ev, &c->refusal);
	}
	(void)feed(s, "", 0);	/* what the answer gave rise to */
	settle(s);
}

bool
session_is_committing(const struct session *s)
{
	return s->committing;
}

bool
session_is_joining(const struct session *s, int64_t since_ms)
{
	return !s->committing && !s->ended && s->active_ms >= since_ms;
}

void
session_stop(struct session *s)
{
	s->stopping = true;
	settle(s);
}

void
session_tick(struct session *s, int64_t at_ms)
{
	int64_t idle = at_ms - s->active_ms;
	int64_t max =
	    (int64_t)s->host->daemon->conf->session_timeout_secs * 1000;

	if (s->committing)
		return;
	if (s->ended)
		max = LINGER_MS;
	else if (!s->welcome && max > STRANGER_MS)
		max = STRANGER_MS;
	if (max == 0 || idle < max)
		return;
	if (s->ended)
		s->dead = true;
	else
		say_goodbye(s, "4.4.2", "Idle for too long");
	settle(s);
}

bool
session_is_over(const struct session *s)
{
	return s->ended && smtp_server_output(s->smtp)->len == 0;
}
