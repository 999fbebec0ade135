/* SPDX-License-Identifier: ISC */
/*
 * One connection of the SMTP agent: a socket, a timer, and the account of the
 * transaction under way; the protocol is in smtp/client.  Whatever happens
 * ends in an event of that session, a broken line too, so there is one place
 * where a connection dies.
 */
#include "node/delivery_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/delivery_reply.h"
#include "smtp/extension.h"

#define CONNECT_SECS 30
#define IDLE_SECS 5
#define QUIT_SECS 10
#define CONN_MESSAGES_MAX 100		/* then QUIT */
#define OUTPUT_HIGH (128 << 10)		/* no more content above this */
#define TURN_OCTETS (256 << 10)		/* sent in one turn of the event loop */
#define INPUT_SIZE 8192
#define TEXT_SIZE 1024

static void
reply_text(const struct conn *c, const struct smtp_client_event *ev,
    char text[TEXT_SIZE])
{
	const struct smtp_reply *r = &ev->reply;

	snprintf(text, TEXT_SIZE, "%s said after %s: %d%s%s %s",
	    c->agent->agent->target, ev->step != NULL ? ev->step : "command",
	    r->code, r->status[0] != '\0' ? " " : "", r->status, r->text);
}

/*
 * Connections.
 */

static bool
conn_opening(const struct conn *c)
{
	return c->state == CONN_CONNECTING || c->state == CONN_HELLO;
}

static void
conn_set(struct conn *c, enum conn_state state)
{
	struct smtp_agent *s = c->agent;

	if (conn_opening(c))
		s->nopening--;
	if (c->state != CONN_QUITTING)
		s->nconns--;
	c->state = state;
	if (conn_opening(c))
		s->nopening++;
	if (c->state != CONN_QUITTING)
		s->nconns++;
}

static void
conn_close_socket(struct conn *c)
{
	if (c->rd != NULL)
		event_free(c->rd);
	if (c->wr != NULL)
		event_free(c->wr);
	c->rd = c->wr = NULL;
	tls_free(c->tls);
	c->tls = NULL;
	c->handshake = false;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void
conn_drop_transaction(struct conn *c)
{
	content_close(c->content);
	c->content = NULL;
	buf_clear(&c->trace);
	c->sending = c->preparing = c->body_bad = false;
	c->task = NULL;
}

static ssize_t
conn_write(struct conn *c, const struct buf *out)
{
	if (c->tls != NULL)
		return tls_write(c->tls, out->ptr, out->len);
	return send(c->fd, out->ptr, out->len, MSG_NOSIGNAL);
}

static ssize_t
conn_read(struct conn *c, char *in, size_t len)
{
	if (c->tls != NULL)
		return tls_read(c->tls, in, len);
	return recv(c->fd, in, len, 0);
}

static void
conn_say_quit(struct conn *c)
{
	const struct buf *out = smtp_client_output(c->client);
	ssize_t n;

	smtp_client_quit(c->client);
	n = conn_write(c, out);
	(void)n;	/* a courtesy */
}

void
conn_free(struct conn *c)
{
	if (c->state == CONN_IDLE && c->fd >= 0)
		conn_say_quit(c);
	conn_set(c, CONN_QUITTING);	/* leaves the counts */
	conn_drop_transaction(c);
	conn_close_socket(c);
	event_free(c->timer);
	smtp_client_free(c->client);
	buf_release(&c->trace);
	list_del(&c->link);
	free(c);
}

static void
conn_break(struct conn *c, const char *status, const char *why)
{
	c->broken = true;
	c->status = status;
	conn_close_socket(c);
	smtp_client_eof(c->client, why);
}

static void
conn_arm(struct conn *c)
{
	struct timeval tv = { 0, 0 };

	if (c->state == CONN_CONNECTING)
		tv.tv_sec = c->agent->agent->connect_secs != 0 ?
		    (time_t)c->agent->agent->connect_secs : CONNECT_SECS;
	else if (c->preparing)
		;		/* the next piece, in the next turn */
	else if (c->state == CONN_IDLE)
		tv.tv_sec = IDLE_SECS;
	else if (c->state == CONN_QUITTING)
		tv.tv_sec = QUIT_SECS;
	else
		tv.tv_sec = (time_t)smtp_client_timeout_secs(c->client);
	evtimer_add(c->timer, &tv);
}

/* Text for the end of a connection, whoever is concerned. */
static void
closed_text(const struct conn *c, const struct smtp_client_event *ev,
    char text[TEXT_SIZE])
{
	if (ev->reply.code != 0)
		reply_text(c, ev, text);
	else
		snprintf(text, TEXT_SIZE, "%s: %s", c->agent->agent->target,
		    ev->reply.text);
}

static const char *
closed_status(const struct conn *c, const struct smtp_client_event *ev)
{
	const char *status;

	if (ev->reply.code == 0 && c->status == NULL &&
	    strcmp(ev->step, "STARTTLS") == 0)
		return "4.7.4";	/* the server has none, or will not */
	if (ev->reply.code == 0)
		return c->status != NULL ? c->status : "4.4.2";
	status = delivery_reply_status(&ev->reply);
	return status[0] == '4' ? status : "4.3.2";
}

/* A server may close a connection that was idle, or has had enough messages,
 * just as we begin the next: not its word about that message. */
static bool
task_again(struct conn *c)
{
	struct delivery_task *t = c->task;

	if (c->served == 0 || c->answered || t->again)
		return false;
	t->again = true;
	t->next = c->first;
	list_add_head(&c->agent->waiting, &t->link);
	return true;
}

static void
on_closed(struct conn *c, const struct smtp_client_event *ev)
{
	struct smtp_agent *s = c->agent;
	struct delivery_task *t = c->task;
	const char *status = closed_status(c, ev);
	char text[TEXT_SIZE];

	c->dead = true;
	conn_close_socket(c);
	closed_text(c, ev, text);
	if (t != NULL && c->body_bad) {
		delivery_task_tell_spool(t, &c->e);
		delivery_task_over(t);
	} else if (t != NULL && !task_again(c)) {
		delivery_task_tell_rest(t, DELIVERY_RETRY, status, text);
		delivery_task_over(t);
	}
	conn_drop_transaction(c);
	if (!c->was_ready && c->agent->clear && !c->in_clear) {
		conn_set(c, CONN_QUITTING);
	} else if (!c->was_ready) {
		conn_set(c, CONN_QUITTING);
		smtp_open_failed(s, DELIVERY_RETRY, status, text);
	}
	smtp_turn_soon(s);
}

/*
 * Transactions.
 */

/* The server lacks something that the message needs. */
static void
tell_refused(struct conn *c, const struct smtp_refusal *r)
{
	char text[TEXT_SIZE];

	if (r->code == 0)	/* the session was not ready: never */
		return;
	snprintf(text, sizeof(text), "%s cannot take it: %d %s %s",
	    c->agent->agent->target, r->code, r->status, r->text);
	delivery_task_tell_rest(c->task, r->code / 100 == 4 ?
	    DELIVERY_RETRY : DELIVERY_FAILED, r->status, text);
}

/* Ends the job at hand; the connection is free for the next. */
static void
task_finish(struct conn *c)
{
	struct delivery_task *t = c->task;

	conn_drop_transaction(c);
	delivery_task_over(t);
}

/* The content is ready. */
static int
transaction_send(struct conn *c)
{
	struct delivery_task *t = c->task;
	struct smtp_refusal r = { 0 };

	c->preparing = false;
	c->facts = *content_facts(c->content);
	c->facts.octets += c->trace.len;
	if (smtp_client_begin(c->client, content_envelope(c->content),
	    &c->facts, t->job->rcpt + c->first, c->n, &r) < 0) {
		tell_refused(c, &r);
		return -1;
	}
	t->next += c->n;
	return 0;
}

/* Goes on with the content.  False: the job is over, since the server cannot
 * take it or the content cannot be read. */
static bool
transaction_step(struct conn *c)
{
	struct smtp_refusal r = { 0 };
	struct err e = ERR_INIT;
	int rc = content_prepare(c->content, &r, &e);

	c->preparing = rc == 1;
	if (rc == 0)
		rc = transaction_send(c);
	else if (rc == ERR_UNSUPPORTED)
		tell_refused(c, &r);
	else if (rc < 0)
		delivery_task_tell_spool(c->task, &e);
	if (rc < 0)
		task_finish(c);
	return rc >= 0;
}

/* Begins with the job's next recipients.  False: as above. */
static bool
transaction_begin(struct conn *c)
{
	struct delivery_task *t = c->task;
	struct err e = ERR_INIT;

	c->first = t->next;
	c->n = t->job->nrcpt - t->next;
	if (c->n > CONN_RCPT_MAX)
		c->n = CONN_RCPT_MAX;
	memset(c->accepted, 0, sizeof(c->accepted));
	c->answered = false;
	buf_clear(&c->trace);
	delivery_trace(t, "\r\n", &c->trace);
	if (content_open(t->agent->hooks.spool, &t->msg,
	    t->job->rcpt + c->first, c->n, smtp_client_extensions(c->client),
	    t->agent->convert, &c->content, &e) == 0)
		return transaction_step(c);
	delivery_task_tell_spool(t, &e);
	task_finish(c);
	return false;
}

static void
conn_quit(struct conn *c)
{
	conn_set(c, CONN_QUITTING);
	smtp_client_quit(c->client);
	smtp_turn_soon(c->agent);
}

/* The connection is ready: goes on with its job, takes one that waits, or
 * has nothing to do. */
void
conn_next(struct conn *c)
{
	struct list *waiting = &c->agent->waiting;

	for (;;) {
		if (c->task == NULL && c->served >= CONN_MESSAGES_MAX) {
			conn_quit(c);
			return;
		}
		if (c->task == NULL) {
			if (list_empty(waiting)) {
				conn_set(c, CONN_IDLE);
				return;
			}
			c->task = list_entry(waiting->next,
			    struct delivery_task, link);
			list_del(&c->task->link);
			if (delivery_task_load(c->task) < 0) {
				c->task = NULL;
				continue;
			}
		}
		conn_set(c, CONN_BUSY);
		if (transaction_begin(c))
			return;
	}
}

static void
on_ready(struct conn *c, const struct smtp_client_event *ev)
{
	(void)ev;
	c->was_ready = true;
	c->agent->failed = false;
	conn_next(c);
}

/* The session counts the envelope's recipients, we those of the transaction;
 * c->n if it is none of them. */
static size_t
find_rcpt(const struct conn *c, size_t index)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->task->job->rcpt[c->first + i] == index)
			break;
	return i;
}

static void
on_recipient(struct conn *c, const struct smtp_client_event *ev)
{
	char text[TEXT_SIZE];
	size_t i;

	if (c->task == NULL || (i = find_rcpt(c, ev->index)) == c->n)
		return;
	c->answered = true;
	if (delivery_reply_outcome(&ev->reply) == DELIVERY_DONE) {
		c->accepted[i] = true;
		return;
	}
	reply_text(c, ev, text);
	delivery_task_tell(c->task, c->first + i,
	    delivery_reply_outcome(&ev->reply),
	    delivery_reply_status(&ev->reply), text);
}

static void
on_content(struct conn *c, const struct smtp_client_event *ev)
{
	(void)ev;
	if (c->task == NULL)
		return;
	c->answered = true;
	c->sending = true;
	smtp_client_content(c->client, c->trace.ptr, c->trace.len);
}

/* Who offers DSN has got the parameters, and with them the duty to report; but
 * DELIVERBY may ask each relay.  By LMTP nothing is relayed. */
static enum delivery_outcome
taken_outcome(const struct conn *c)
{
	if (!c->agent->agent->lmtp && smtp_timing_traced(
	    &c->task->msg.env.timing, smtp_client_extensions(c->client)))
		return DELIVERY_TRACED;
	return (smtp_client_extensions(c->client) & SMTP_EXT_DSN) != 0 ?
	    DELIVERY_PASSED : DELIVERY_RELAYED;
}

static void
on_final(struct conn *c, const struct smtp_client_event *ev)
{
	enum delivery_outcome outcome = delivery_reply_outcome(&ev->reply);
	char text[TEXT_SIZE];
	size_t i;

	if (c->task == NULL || (i = find_rcpt(c, ev->index)) == c->n)
		return;
	reply_text(c, ev, text);
	delivery_task_tell(c->task, c->first + i, outcome == DELIVERY_DONE ?
	    taken_outcome(c) : outcome, delivery_reply_status(&ev->reply),
	    text);
}

static void
on_result(struct conn *c, const struct smtp_client_event *ev)
{
	enum delivery_outcome outcome = delivery_reply_outcome(&ev->reply);
	struct delivery_task *t = c->task;
	char text[TEXT_SIZE];
	size_t i;

	if (t == NULL)
		return;
	c->served++;
	reply_text(c, ev, text);
	for (i = 0; i < c->n; i++)
		if (outcome != DELIVERY_DONE || c->accepted[i])
			delivery_task_tell(t, c->first + i,
			    outcome == DELIVERY_DONE ? taken_outcome(c) :
			    outcome, delivery_reply_status(&ev->reply), text);
	if (c->sending)		/* an answer before the end: out of step */
		conn_break(c, "4.4.2", "the server answered too early");
	conn_drop_transaction(c);
	c->task = t;
	if (c->broken || t->next == t->job->nrcpt)
		task_finish(c);
}

/* Begins when the event loop finds the socket ready to be written to. */
static void
on_starttls(struct conn *c, const struct smtp_client_event *ev)
{
	(void)ev;
	c->tls = tls_connect(c->agent->tls, c->fd, c->agent->tls_name);
	c->handshake = true;
	event_add(c->wr, NULL);
}

static void (*const handlers[])(struct conn *c,
    const struct smtp_client_event *ev) = {
	[SMTP_CLIENT_READY] = on_ready,
	[SMTP_CLIENT_STARTTLS] = on_starttls,
	[SMTP_CLIENT_RECIPIENT] = on_recipient,
	[SMTP_CLIENT_CONTENT] = on_content,
	[SMTP_CLIENT_FINAL] = on_final,
	[SMTP_CLIENT_RESULT] = on_result,
	[SMTP_CLIENT_CLOSED] = on_closed,
};

/*
 * Bytes.
 */

/* Gives content to the session as long as there is room.  Without its end
 * the server drops what it got. */
static int
conn_fill(struct conn *c, const struct buf *out)
{
	struct buf *piece = &c->agent->piece;
	int rc;

	while (c->sending && out->len < OUTPUT_HIGH) {
		buf_clear(piece);
		rc = content_read(c->content, piece, &c->e);
		if (rc < 0) {
			c->body_bad = true;
			conn_break(c, "4.3.0", "the content cannot be read");
			return rc;
		}
		smtp_client_content(c->client, piece->ptr, piece->len);
		if (rc == 0) {
			smtp_client_content_end(c->client);
			c->sending = false;
		}
	}
	return 0;
}

/* What a server that hung up said before can still be read. */
static int
conn_send_failed(struct conn *c)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		event_add(c->wr, NULL);
		return 0;
	}
	if (errno == EPIPE || errno == ECONNRESET) {
		c->deaf = true;
		return 0;
	}
	conn_break(c, "4.4.2", strerror(errno));
	return -1;
}

/* Sends what there is.  -1: the connection broke, CLOSED is to be had. */
static int
conn_push(struct conn *c)
{
	struct buf *out = smtp_client_output(c->client);
	size_t sent = 0;
	ssize_t n;

	while (!c->broken && !c->deaf && !c->handshake) {
		if (conn_fill(c, out) < 0)
			return -1;
		if (out->len == 0)
			return 0;
		if (sent >= TURN_OCTETS) {
			event_add(c->wr, NULL);
			return 0;
		}
		n = conn_write(c, out);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return conn_send_failed(c);
		buf_consume(out, (size_t)n);
		sent += (size_t)n;
	}
	return 0;
}

/*
 * TLS.
 */

/* Where any server would do, one without TLS does too (RFC 7435). */
static void
shake_failed(struct conn *c, const struct err *e)
{
	if (c->agent->tls_mode == CONF_TLS_MAY)
		c->agent->clear = true;
	conn_break(c, "4.7.5", e->text);	/* the session names the step */
}

/* Goes on with the handshake.  May free c. */
static void
conn_shake(struct conn *c)
{
	struct err e = ERR_INIT;
	int rc = tls_handshake(c->tls, &e);

	if (rc == 0 && tls_wants_write(c->tls))
		event_add(c->wr, NULL);
	if (rc == 0)
		return;
	c->handshake = false;
	if (rc < 0)
		shake_failed(c, &e);
	else
		smtp_client_tls_on(c->client);
	conn_run(c);
}

void
conn_run(struct conn *c)
{
	struct smtp_client_event ev;

	do {
		while (!c->dead && smtp_client_next(c->client, &ev) == 1)
			handlers[ev.kind](c, &ev);
	} while (!c->dead && conn_push(c) < 0);
	if (c->dead)
		conn_free(c);
	else
		conn_arm(c);
}

static void
readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	char in[INPUT_SIZE];
	ssize_t n;

	(void)what;
	(void)fd;
	if (c->handshake) {
		conn_shake(c);
		return;
	}
	/* The socket does not tell of what TLS has read already. */
	do {
		n = conn_read(c, in, sizeof(in));
		if (n > 0)
			smtp_client_feed(c->client, in, (size_t)n);
	} while (n > 0 && c->tls != NULL);
	if (c->tls != NULL && tls_wants_write(c->tls))
		event_add(c->wr, NULL);
	if (n > 0)
		;
	else if (n == 0)
		conn_break(c, "4.4.2", "the server closed the connection");
	else if (errno != EAGAIN && errno != EINTR)
		conn_break(c, "4.4.2", strerror(errno));
	conn_run(c);
}

static void
writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->handshake)
		conn_shake(c);
	else
		conn_run(c);
}

/*
 * Making connections.
 */

/* No address of the server can be reached. */
static void
conn_unmade(struct conn *c)
{
	struct smtp_agent *s = c->agent;
	char text[TEXT_SIZE];

	snprintf(text, sizeof(text), "%s: cannot connect: %s",
	    s->agent->target, strerror(c->error));
	conn_free(c);
	s->naddrs = 0;
	smtp_open_failed(s, DELIVERY_RETRY, "4.4.1", text);
}

static void connected(evutil_socket_t fd, short what, void *arg);

/* Tries one address after the other.  May free c. */
static void
conn_connect(struct conn *c)
{
	struct smtp_agent *s = c->agent;
	struct addr *a;

	for (; c->addr < s->naddrs; c->addr++) {
		a = &s->addr[c->addr];
		c->fd = socket(a->ss.ss_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c->fd >= 0 && (connect(c->fd,
		    (const struct sockaddr *)&a->ss, a->len) == 0 ||
		    errno == EINPROGRESS)) {
			c->wr = event_new(s->agent->base, c->fd, EV_WRITE,
			    connected, c);
			event_add(c->wr, NULL);
			conn_arm(c);
			return;
		}
		c->error = errno;
		conn_close_socket(c);
	}
	conn_unmade(c);
}

static bool
conn_is_own(const struct conn *c)
{
	const struct delivery_hooks *hooks = &c->agent->agent->hooks;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (hooks->is_own == NULL ||
	    getpeername(c->fd, (struct sockaddr *)&ss, &len) != 0)
		return false;
	return hooks->is_own(hooks->ctx, (struct sockaddr *)&ss, len);
}

static void
conn_loops(struct conn *c)
{
	struct smtp_agent *s = c->agent;
	char text[TEXT_SIZE];

	snprintf(text, sizeof(text), "%s: mail loops back to myself",
	    s->agent->target);
	conn_free(c);
	smtp_open_failed(s, DELIVERY_FAILED, "5.4.6", text);
}

static void
connected(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct event_base *base = c->agent->agent->base;
	socklen_t len = sizeof(c->error);

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &c->error, &len) != 0)
		c->error = errno;
	if (c->error != 0) {
		conn_close_socket(c);
		c->addr++;
		conn_connect(c);
		return;
	}
	if (conn_is_own(c)) {
		conn_loops(c);
		return;
	}
	event_free(c->wr);
	c->wr = event_new(base, c->fd, EV_WRITE, writable, c);
	c->rd = event_new(base, c->fd, EV_READ | EV_PERSIST, readable, c);
	event_add(c->rd, NULL);
	conn_set(c, CONN_HELLO);
	conn_arm(c);
}

static void
timed_out(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->preparing) {
		if (!transaction_step(c))
			conn_next(c);
		conn_run(c);
		return;
	}
	if (c->state == CONN_CONNECTING) {
		c->error = ETIMEDOUT;
		conn_close_socket(c);
		c->addr++;
		conn_connect(c);
		return;
	}
	if (c->state == CONN_IDLE)
		conn_quit(c);
	else
		conn_break(c, "4.4.1", "no answer in time");
	conn_run(c);
}

void
conn_open(struct smtp_agent *s)
{
	struct smtp_client_options opts = { .helo = s->agent->hostname,
	    .lmtp = s->agent->lmtp,
	    .timeouts = s->agent->timeouts,
	    .tls = s->tls != NULL && !s->clear,
	    .tls_required = s->tls_mode > CONF_TLS_MAY };
	struct conn *c = mem_alloc(1, sizeof(*c));

	c->agent = s;
	c->in_clear = !opts.tls;
	c->fd = -1;
	c->state = CONN_CONNECTING;
	s->nopening++;
	s->nconns++;
	c->timer = evtimer_new(s->agent->base, timed_out, c);
	c->client = smtp_client_new(&opts);
	buf_init(&c->trace);
	list_add_tail(&s->conns, &c->link);
	conn_connect(c);
}

