/* SPDX-License-Identifier: ISC */
/*
 * The conversation with the SMTP server is that of smtp/client, over a plain
 * connection as over one that mailhost has made and logged in at: so
 * pipelining, BDAT and the replies are the same for both.
 */
#include "transports/postbox.h"
#include "base/mem.h"
#include "smtp/client.h"

#include <stdlib.h>

#define CONNECT_MS 60000
#define QUIT_MS 1000
#define OUTPUT_MAX 131072	/* octets that wait to be written */
#define GREETING "220 ready\r\n"

struct postbox {
	const struct postbox_options *opts;
	struct stream *stream;
	struct smtp_client *client;
	/* The letter at hand. */
	struct letter *letter;
	uint64_t done;
	bool ready, over;
	bool refused;		/* its recipient: why is said */
	bool dead;		/* the connection is of no more use */
	enum postbox_outcome outcome;
	struct err why;
};

static int
patience(const struct postbox *p, int ms)
{
	return p->opts->wait_ms > 0 && p->opts->wait_ms < ms ?
	    p->opts->wait_ms : ms;
}

int
postbox_open(const struct postbox_options *opts, struct postbox **p_out,
    struct err *e)
{
	struct postbox *p = mem_alloc(1, sizeof(*p));
	struct smtp_client_options client = { .helo = opts->helo };
	int rc;

	*p_out = NULL;
	p->opts = opts;
	if (opts->host != NULL)
		rc = mailhost_connect(opts->host, patience(p, CONNECT_MS),
		    opts->helo, &p->stream, e);
	else
		rc = stream_connect(opts->server, patience(p, CONNECT_MS),
		    &p->stream, e);
	if (rc < 0) {
		free(p);
		return rc;
	}
	p->client = smtp_client_new(&client);
	/* Its greeting was heard before the login (RFC 4954 4 has EHLO said
	 * anew). */
	if (opts->host != NULL)
		smtp_client_feed(p->client, GREETING, strlen(GREETING));
	*p_out = p;
	return 0;
}

/*
 * The conversation.
 */
static void
settle(struct postbox *p, enum postbox_outcome outcome)
{
	p->over = true;
	p->outcome = outcome;
}

/* Of TLS and logins that the server misses (RFC 3207 4, RFC 4954 6): nothing
 * that is said of the mail. */
static bool
is_about_login(int code)
{
	return code == 530 || code == 534 || code == 535 || code == 538;
}

static void
settle_reply(struct postbox *p, const char *step, int code,
    const char *status, const char *text)
{
	(void)err_set(&p->why, ERR_DENIED, "%s: %s: %d %s%s%s",
	    p->opts->name, step, code, status, *status != '\0' ? " " : "",
	    text);
	settle(p, code >= 500 && !is_about_login(code) ? POSTBOX_REFUSED :
	    POSTBOX_LATER);
}

static void
gone(struct postbox *p)
{
	p->dead = true;
	settle(p, POSTBOX_GONE);
}

/* The server has closed (421, a greeting other than 220), or the connection
 * broke, which the text explains. */
static void
closed(struct postbox *p, const char *step, const struct smtp_reply *reply)
{
	if (reply->code != 0)
		settle_reply(p, step, reply->code, reply->status, reply->text);
	else
		(void)err_set(&p->why, ERR_IO, "%s: %s", p->opts->name,
		    reply->text);
	gone(p);
}

/* Writes until at most `most` octets wait. */
static int
flush(struct postbox *p, size_t most)
{
	struct buf *out = smtp_client_output(p->client);
	int ms = patience(p, (int)smtp_client_timeout_secs(p->client) * 1000);
	struct err e = ERR_INIT;

	while (out->len > most) {
		ssize_t n = stream_write(p->stream, out->ptr, out->len, ms,
		    &e);

		if (n < 0) {
			smtp_client_eof(p->client, e.text);
			return -1;
		}
		buf_consume(out, (size_t)n);
	}
	return 0;
}

static void
hear(struct postbox *p)
{
	int ms = patience(p, (int)smtp_client_timeout_secs(p->client) * 1000);
	struct err e = ERR_INIT;
	char bytes[4096];
	ssize_t n = stream_read(p->stream, bytes, sizeof(bytes), ms, &e);

	if (n > 0)
		smtp_client_feed(p->client, bytes, (size_t)n);
	else
		smtp_client_eof(p->client, n == 0 ? "the server hung up" :
		    e.text);
}

static void
begin(struct postbox *p)
{
	struct smtp_refusal r = { 0 };
	struct err e = ERR_INIT;
	size_t one = 0;

	p->ready = true;
	if (p->letter == NULL)
		return;
	p->ready = false;
	if (letter_begin(p->letter, smtp_client_extensions(p->client),
	    &e) < 0) {
		p->ready = true;
		p->why = e;
		settle(p, POSTBOX_LATER);
	} else if (smtp_client_begin(p->client, letter_envelope(p->letter),
	    letter_facts(p->letter), &one, 1, &r) < 0) {
		p->ready = true;
		settle_reply(p, "before MAIL", r.code, r.status, r.text);
	}
}

static void
give_content(struct postbox *p)
{
	struct buf piece = BUF_INIT;
	struct err e = ERR_INIT;
	int rc;

	while ((rc = letter_read(p->letter, &piece, &e)) == 1) {
		smtp_client_content(p->client, piece.ptr, piece.len);
		p->done += piece.len;
		buf_clear(&piece);
		if (flush(p, OUTPUT_MAX) < 0)
			break;
		if (p->opts->progress != NULL)
			p->opts->progress(p->opts->ctx, p->done);
	}
	buf_release(&piece);
	if (rc == 0)
		smtp_client_content_end(p->client);
	if (rc < 0) {	/* the server must not take it for whole */
		p->why = e;
		gone(p);
	}
}

static void
on_event(struct postbox *p, const struct smtp_client_event *ev)
{
	bool good = ev->reply.code / 100 == 2;

	switch (ev->kind) {
	case SMTP_CLIENT_READY:
		begin(p);
		break;
	case SMTP_CLIENT_RECIPIENT:
		if (!good)
			settle_reply(p, ev->step, ev->reply.code,
			    ev->reply.status, ev->reply.text);
		p->refused = !good;
		p->over = false;	/* RESULT follows */
		break;
	case SMTP_CLIENT_CONTENT:
		give_content(p);
		break;
	case SMTP_CLIENT_RESULT:
		if (good && !p->refused)
			settle(p, POSTBOX_TAKEN);
		else if (!p->refused)
			settle_reply(p, ev->step, ev->reply.code,
			    ev->reply.status, ev->reply.text);
		p->over = true;
		break;
	case SMTP_CLIENT_CLOSED:
		closed(p, ev->step, &ev->reply);
		break;
	case SMTP_CLIENT_STARTTLS:
	case SMTP_CLIENT_FINAL:
		break;		/* neither TLS nor LMTP was asked for */
	}
}

/* What came behind the outcome: that the session is ready again, or over. */
static void
hear_out(struct postbox *p)
{
	struct smtp_client_event ev;

	p->letter = NULL;
	while (!p->dead && smtp_client_next(p->client, &ev) == 1)
		on_event(p, &ev);
}

enum postbox_outcome
postbox_send(struct postbox *p, struct letter *l, struct err *why)
{
	struct smtp_client_event ev;
	enum postbox_outcome outcome;

	p->letter = l;
	p->done = 0;
	p->over = p->refused = false;
	if (p->dead)
		settle(p, POSTBOX_GONE);
	else if (p->ready)
		begin(p);
	while (!p->over) {
		if (smtp_client_next(p->client, &ev) == 1)
			on_event(p, &ev);
		else if (flush(p, 0) == 0)
			hear(p);
	}
	outcome = p->outcome;
	if (outcome != POSTBOX_TAKEN)
		*why = p->why;
	hear_out(p);
	return outcome;
}

void
postbox_close(struct postbox *p)
{
	if (p == NULL)
		return;
	if (p->ready && !p->dead) {
		struct buf *out = smtp_client_output(p->client);
		struct err e = ERR_INIT;
		ssize_t n;

		/* Whether it hears this changes nothing. */
		smtp_client_quit(p->client);
		n = stream_write(p->stream, out->ptr, out->len, QUIT_MS, &e);
		(void)n;
	}
	stream_close(p->stream);
	smtp_client_free(p->client);
	free(p);
}
