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
#include "node/session_state.h"
#include "smtp/extension.h"

#define OUTPUT_MAX 16384	/* octets of replies left unread */
#define LINGER_MS 5000		/* for the client to close too */
#define STRANGER_MS 30000	/* for QUIT after 554 */

static int64_t
now_ms(const struct session *s)
{
	return clock_mono_ms(s->host->daemon->clock);
}

void
session_end(struct session *s)
{
	session_drop(s);
	s->ended = true;
	s->active_ms = now_ms(s);
	buf_release(&s->in);
}

/* A last word that is no answer. */
static void
say_goodbye(struct session *s, const char *status, const char *text)
{
	smtp_write_reply(smtp_server_output(s->smtp), 421, status, text);
	session_end(s);
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
		session_handle(s, &ev);
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
		session_handle(s, &ev);
	session_end(s);
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
	session_drop(s);
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
		session_refuse(s, "DATA", &ev, &c->refusal);
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
