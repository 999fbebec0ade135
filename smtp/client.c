/* SPDX-License-Identifier: ISC */
/*
 * The client half of a session.  Commands that were sent stand in a queue
 * with the step they belong to, and replies are taken off it in order; so
 * pipelining is no more than sending further before the queue is empty.
 * Replies are parsed only when the caller asks for the next event, which
 * keeps the queue of events short whatever the number of recipients.
 *
 * In a batch the queue stays empty: every command is taken to succeed.
 */
#include "smtp/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "smtp/dots.h"
#include "smtp/extension.h"
#include "smtp/offer.h"

#define EVENTS_MAX 4

enum step {
	STEP_GREETING, STEP_EHLO, STEP_HELO, STEP_STARTTLS, STEP_MAIL,
	STEP_RCPT, STEP_DATA, STEP_CONTENT, STEP_END, STEP_RSET, STEP_NOOP,
	STEP_QUIT, STEP_IDLE,
	STEPS
};

enum phase {
	PHASE_TLS,		/* the caller makes it */
	PHASE_HELLO,		/* up to the reply to EHLO or HELO */
	PHASE_READY,
	PHASE_ENVELOPE,		/* MAIL, RCPT, DATA under way */
	PHASE_CONTENT,		/* the caller gives it */
	PHASE_END,		/* awaiting the verdict */
	PHASE_QUIT,
	PHASE_CLOSED,
};

struct smtp_client {
	bool batch, plain, native, lmtp;
	bool tls_wanted, tls_required, tls;
	struct smtp_client_timeouts timeouts;
	char *helo;
	enum phase phase;
	struct smtp_offer offer;

	struct buf out, in;
	struct smtp_reply_parser parser;
	bool eof;
	char why[128];

	enum step *sent;	/* steps whose replies are due, a ring */
	size_t sent_head, sent_count, sent_cap;
	struct smtp_client_event events[EVENTS_MAX];
	size_t events_head, events_tail;

	/* the message under way */
	const struct envelope *env;
	size_t *rcpt, nrcpt;
	size_t next_rcpt;	/* to be sent */
	size_t answered, accepted;
	bool *took;		/* which were accepted */
	size_t final;		/* the next of them to get its reply */
	size_t told;		/* of a refused MAIL */
	bool mail_sent, data_sent, by_bdat, failed;
	enum smtp_body body;
	uint64_t octets, given;
	struct smtp_reply failure;
	enum step failure_step;
	struct dot_writer dots;
};

static void say_hello(struct smtp_client *c);
static void on_greeting(struct smtp_client *c, const struct smtp_reply *r);
static void on_ehlo(struct smtp_client *c, const struct smtp_reply *r);
static void on_helo(struct smtp_client *c, const struct smtp_reply *r);
static void on_starttls(struct smtp_client *c, const struct smtp_reply *r);
static void on_mail(struct smtp_client *c, const struct smtp_reply *r);
static void on_rcpt(struct smtp_client *c, const struct smtp_reply *r);
static void on_data(struct smtp_client *c, const struct smtp_reply *r);
static void on_end(struct smtp_client *c, const struct smtp_reply *r);
static void on_rset(struct smtp_client *c, const struct smtp_reply *r);
static void on_noop(struct smtp_client *c, const struct smtp_reply *r);
static void on_quit(struct smtp_client *c, const struct smtp_reply *r);

/* Timeouts: RFC 5321 4.5.3.2. */
static const struct {
	const char *name;
	unsigned timeout_secs;
	void (*take)(struct smtp_client *c, const struct smtp_reply *r);
} steps[] = {
	[STEP_GREETING] = { "greeting", 300, on_greeting },
	[STEP_EHLO] = { "EHLO", 300, on_ehlo },
	[STEP_HELO] = { "HELO", 300, on_helo },
	[STEP_STARTTLS] = { "STARTTLS", 300, on_starttls },
	[STEP_MAIL] = { "MAIL FROM", 300, on_mail },
	[STEP_RCPT] = { "RCPT TO", 300, on_rcpt },
	[STEP_DATA] = { "DATA", 120, on_data },
	[STEP_CONTENT] = { "sending content", 180, NULL },
	[STEP_END] = { "end of DATA", 600, on_end },
	[STEP_RSET] = { "RSET", 300, on_rset },
	[STEP_NOOP] = { "NOOP", 300, on_noop },
	[STEP_QUIT] = { "QUIT", 300, on_quit },
	[STEP_IDLE] = { "idle", 300, NULL },
};
_Static_assert(sizeof(steps) / sizeof(steps[0]) == STEPS,
    "a row for each step");

static void
await(struct smtp_client *c, enum step step)
{
	enum step *grown;

	if (c->batch)
		return;
	if (c->sent_count == c->sent_cap) {
		grown = mem_alloc(c->sent_cap * 2 + 8, sizeof(*grown));
		for (size_t i = 0; i < c->sent_count; i++)
			grown[i] = c->sent[(c->sent_head + i) % c->sent_cap];
		free(c->sent);
		c->sent = grown;
		c->sent_head = 0;
		c->sent_cap = c->sent_cap * 2 + 8;
	}
	c->sent[(c->sent_head + c->sent_count++) % c->sent_cap] = step;
}

static enum step
due(const struct smtp_client *c)
{
	if (c->sent_count > 0)
		return c->sent[c->sent_head];
	if (c->phase == PHASE_TLS)
		return STEP_STARTTLS;
	return c->phase == PHASE_CONTENT ? STEP_CONTENT : STEP_IDLE;
}

static struct smtp_client_event *
push(struct smtp_client *c, enum smtp_client_event_kind kind, enum step step,
    const struct smtp_reply *r)
{
	struct smtp_client_event *ev = &c->events[c->events_tail++];

	memset(ev, 0, sizeof(*ev));
	ev->kind = kind;
	ev->step = steps[step].name;
	if (r != NULL)
		ev->reply = *r;
	return ev;
}

static void
closed(struct smtp_client *c, enum step step, const struct smtp_reply *r)
{
	if (c->phase == PHASE_CLOSED)
		return;
	push(c, SMTP_CLIENT_CLOSED, step, r);
	c->phase = PHASE_CLOSED;
	c->sent_count = 0;
	buf_clear(&c->in);
}

static void
broken(struct smtp_client *c, enum step step, const char *why)
{
	struct smtp_reply r = { 0, "", "" };

	snprintf(r.text, sizeof(r.text), "%s: %s", steps[step].name, why);
	closed(c, step, &r);
}

static bool
positive(const struct smtp_reply *r)
{
	return r->code >= 200 && r->code < 300;
}

/*
 * A message: its commands.
 */
static bool
may_send(const struct smtp_client *c)
{
	return c->batch || c->sent_count == 0 ||
	    (c->offer.extensions & SMTP_EXT_PIPELINING) != 0;
}

static void
send_mail(struct smtp_client *c)
{
	struct envelope env = *c->env;

	env.body = c->body;
	smtp_write_mail(&c->out, &env, c->octets,
	    c->plain ? 0 : c->offer.extensions);
	await(c, STEP_MAIL);
	c->mail_sent = true;
}

/* Sends as much of MAIL, RCPT, DATA as may go now. */
static void
send_envelope(struct smtp_client *c)
{
	if (!c->mail_sent)
		send_mail(c);
	while (c->next_rcpt < c->nrcpt && may_send(c)) {
		smtp_write_rcpt(&c->out,
		    &c->env->rcpt[c->rcpt[c->next_rcpt++]],
		    c->plain ? 0 : c->offer.extensions);
		await(c, STEP_RCPT);
	}
	if (!c->by_bdat && !c->data_sent && c->next_rcpt == c->nrcpt &&
	    may_send(c)) {
		buf_adds(&c->out, "DATA\r\n");
		await(c, STEP_DATA);
		c->data_sent = true;
	}
}

static void
start_content(struct smtp_client *c)
{
	dot_writer_init(&c->dots);
	c->given = 0;
	c->phase = PHASE_CONTENT;
	if (c->by_bdat)
		buf_addf(&c->out, "BDAT %llu LAST\r\n",
		    (unsigned long long)c->octets);
}

static void
forget_message(struct smtp_client *c)
{
	free(c->rcpt);
	free(c->took);
	c->rcpt = NULL;
	c->took = NULL;
	c->env = NULL;
	c->phase = PHASE_READY;
}

static void
result(struct smtp_client *c, enum step step, const struct smtp_reply *r)
{
	push(c, SMTP_CLIENT_RESULT, step, r);
	forget_message(c);
}

/* The message is given up: what the server still holds of it is dropped. */
static void
give_up(struct smtp_client *c)
{
	result(c, c->failure_step, &c->failure);
	buf_adds(&c->out, "RSET\r\n");
	await(c, STEP_RSET);
}

static void
fail(struct smtp_client *c, enum step step, const struct smtp_reply *r)
{
	c->failed = true;
	c->failure = *r;
	c->failure_step = step;
}

static bool
mail_failed(const struct smtp_client *c)
{
	return c->env != NULL && c->failed && c->failure_step == STEP_MAIL;
}

/* A reply of the envelope has been taken: what now? */
static void
go_on(struct smtp_client *c)
{
	bool all = c->answered == c->nrcpt;

	if (mail_failed(c))
		return;
	if (all && c->accepted == 0 && !c->data_sent) {
		give_up(c);
	} else if (all && c->by_bdat) {
		start_content(c);
		push(c, SMTP_CLIENT_CONTENT, STEP_CONTENT, NULL);
	} else {
		send_envelope(c);
	}
}

/*
 * Replies, one function for each step.
 */
static void
on_greeting(struct smtp_client *c, const struct smtp_reply *r)
{
	if (!positive(r)) {
		buf_adds(&c->out, "QUIT\r\n");
		closed(c, STEP_GREETING, r);
		return;
	}
	say_hello(c);
}

static void
ready(struct smtp_client *c)
{
	c->phase = PHASE_READY;
	push(c, SMTP_CLIENT_READY, STEP_IDLE, NULL);
}

static void
no_tls(struct smtp_client *c, const char *why)
{
	buf_adds(&c->out, "QUIT\r\n");
	broken(c, STEP_STARTTLS, why);
}

/* RFC 3207 4: TLS first, where it is wanted. */
static void
hello_done(struct smtp_client *c)
{
	if (c->tls || !c->tls_wanted) {
		ready(c);
	} else if ((c->offer.extensions & SMTP_EXT_STARTTLS) != 0) {
		buf_adds(&c->out, "STARTTLS\r\n");
		await(c, STEP_STARTTLS);
	} else if (c->tls_required) {
		no_tls(c, "the server does not offer it");
	} else {
		ready(c);
	}
}

/* What stands behind the reply did not come by TLS: a stranger's. */
static void
on_starttls(struct smtp_client *c, const struct smtp_reply *r)
{
	if (r->code == 220 && c->in.len > 0) {
		broken(c, STEP_STARTTLS, "input behind the reply");
	} else if (r->code == 220) {
		c->phase = PHASE_TLS;
		push(c, SMTP_CLIENT_STARTTLS, STEP_STARTTLS, r);
	} else if (c->tls_required) {
		no_tls(c, r->text);
	} else {
		ready(c);
	}
}

static void
say_hello(struct smtp_client *c)
{
	buf_addf(&c->out, "%s %s\r\n", c->lmtp ? "LHLO" : "EHLO", c->helo);
	await(c, STEP_EHLO);
	c->offer = (struct smtp_offer){ 0 };
}

static void
on_ehlo(struct smtp_client *c, const struct smtp_reply *r)
{
	if (positive(r)) {
		hello_done(c);
	} else if (r->code >= 500 && !c->lmtp) {
		c->offer = (struct smtp_offer){ 0 };
		buf_addf(&c->out, "HELO %s\r\n", c->helo);
		await(c, STEP_HELO);
	} else {
		buf_adds(&c->out, "QUIT\r\n");
		closed(c, STEP_EHLO, r);
	}
}

static void
on_helo(struct smtp_client *c, const struct smtp_reply *r)
{
	if (positive(r)) {
		hello_done(c);
		return;
	}
	buf_adds(&c->out, "QUIT\r\n");
	closed(c, STEP_HELO, r);
}

static void
on_mail(struct smtp_client *c, const struct smtp_reply *r)
{
	if (!positive(r))
		fail(c, STEP_MAIL, r);
	go_on(c);
}

static void
on_rcpt(struct smtp_client *c, const struct smtp_reply *r)
{
	size_t i = c->answered++;
	struct smtp_client_event *ev;

	if (!mail_failed(c)) {
		ev = push(c, SMTP_CLIENT_RECIPIENT, STEP_RCPT, r);
		ev->index = c->rcpt[i];
		if (positive(r))
			c->took[i] = true;
		if (positive(r))
			c->accepted++;
		else
			fail(c, STEP_RCPT, r);
	}
	go_on(c);
}

static void
on_data(struct smtp_client *c, const struct smtp_reply *r)
{
	bool wanted = c->accepted > 0 && !mail_failed(c);

	if (r->code == 354 && wanted) {
		start_content(c);
		push(c, SMTP_CLIENT_CONTENT, STEP_CONTENT, NULL);
	} else if (r->code == 354 && c->lmtp) {
		/* Nobody can tell how many replies would come. */
		broken(c, STEP_DATA, "content wanted for nobody");
	} else if (r->code == 354) {
		/* RFC 2920 3.1: nobody to deliver to, yet the server wants
		 * content.  The failure stands whatever it says to none. */
		buf_adds(&c->out, ".\r\n");
		await(c, STEP_END);
		c->phase = PHASE_END;
	} else if (r->code < 400) {
		broken(c, STEP_DATA, "reply out of place");
	} else if (!mail_failed(c)) {
		if (wanted)
			fail(c, STEP_DATA, r);
		give_up(c);
	}
}

/* RFC 2033 4.2: replies come in the order of the recipients accepted. */
static size_t
next_final(struct smtp_client *c)
{
	while (!c->took[c->final])
		c->final++;
	return c->rcpt[c->final++];
}

static void
on_end(struct smtp_client *c, const struct smtp_reply *r)
{
	c->phase = PHASE_ENVELOPE;
	if (mail_failed(c))
		return;
	if (c->accepted == 0) {
		give_up(c);
		return;
	}
	if (c->lmtp) {
		push(c, SMTP_CLIENT_FINAL, STEP_END, r)->index =
		    next_final(c);
		c->phase = PHASE_END;
		if (c->sent_count > 0)
			return;
	}
	result(c, STEP_END, r);
	ready(c);
}

static void
on_rset(struct smtp_client *c, const struct smtp_reply *r)
{
	if (positive(r))
		ready(c);
	else
		closed(c, STEP_RSET, r);
}

static void
on_noop(struct smtp_client *c, const struct smtp_reply *r)
{
	(void)c;
	(void)r;
}

static void
on_quit(struct smtp_client *c, const struct smtp_reply *r)
{
	closed(c, STEP_QUIT, r);
}

/* A reply before the content is complete: the server has made up its mind and
 * the dialogue can't be saved (RFC 5321 has no such reply but 421). */
static void
on_early(struct smtp_client *c, const struct smtp_reply *r)
{
	if (c->phase == PHASE_CONTENT && r->code >= 400) {
		result(c, STEP_CONTENT, r);
		broken(c, STEP_CONTENT, "the server replied before the end");
	} else {
		broken(c, due(c), "reply to no command");
	}
}

static void
take_reply(struct smtp_client *c, const struct smtp_reply *r)
{
	enum step step = due(c);

	if (r->code == 421) {
		closed(c, step, r);
	} else if (c->sent_count == 0) {
		on_early(c, r);
	} else if (r->code >= 300 && r->code < 400 && step != STEP_DATA) {
		broken(c, step, "reply out of place");
	} else {
		c->sent_head = (c->sent_head + 1) % c->sent_cap;
		c->sent_count--;
		steps[step].take(c, r);
	}
}

static void
on_line(void *ctx, struct slice text)
{
	struct smtp_client *c = ctx;

	if (due(c) == STEP_EHLO)
		smtp_offer_line(&c->offer, text);
}

/* MAIL was refused: each recipient is told so, and when all is answered that
 * was pipelined behind it the message is over. */
static bool
end_refused_mail(struct smtp_client *c)
{
	if (!mail_failed(c))
		return false;
	if (c->told < c->nrcpt) {
		push(c, SMTP_CLIENT_RECIPIENT, STEP_MAIL, &c->failure)->index =
		    c->rcpt[c->told++];
		return true;
	}
	if (c->sent_count > 0)
		return false;
	give_up(c);
	return true;
}

static void
pump(struct smtp_client *c)
{
	struct err e = ERR_INIT;
	size_t used;
	int rc;

	if (c->phase == PHASE_TLS) {
		broken(c, STEP_STARTTLS, c->in.len > 0 ?
		    "input behind the reply" : c->why);
		return;
	}
	rc = smtp_reply_parse(&c->parser, c->in.ptr, c->in.len, &used, on_line,
	    c, &e);
	if (rc >= 0)
		buf_consume(&c->in, used);
	if (rc < 0)
		broken(c, due(c), e.text);
	else if (rc == 1)
		take_reply(c, &c->parser.reply);
	else if (c->eof)
		broken(c, due(c), c->why);
}

int
smtp_client_next(struct smtp_client *c, struct smtp_client_event *ev)
{
	for (;;) {
		if (c->events_head < c->events_tail) {
			*ev = c->events[c->events_head++];
			if (c->events_head == c->events_tail)
				c->events_head = c->events_tail = 0;
			return 1;
		}
		if (c->phase == PHASE_CLOSED)
			return 0;
		if (end_refused_mail(c))
			continue;
		if (c->in.len == 0 && !c->eof)
			return 0;
		pump(c);
	}
}

/*
 * The caller's side.
 */
struct smtp_client *
smtp_client_new(const struct smtp_client_options *opts)
{
	struct smtp_client *c = mem_alloc(1, sizeof(*c));

	c->batch = opts->batch;
	c->lmtp = opts->lmtp;
	c->tls_wanted = opts->tls || opts->tls_required;
	c->tls_required = opts->tls_required;
	c->timeouts = opts->timeouts;
	c->phase = PHASE_HELLO;
	c->plain = opts->plain;
	c->native = opts->native;
	c->helo = opts->helo != NULL ? mem_strdup(opts->helo) : NULL;
	smtp_reply_parser_init(&c->parser);
	if (!c->batch) {
		if (c->helo == NULL)
			c->helo = mem_strdup("localhost");
		await(c, STEP_GREETING);
		return c;
	}
	c->offer.extensions = opts->assumed;
	if (c->helo != NULL)
		buf_addf(&c->out, "EHLO %s\r\n", c->helo);
	ready(c);
	return c;
}

void
smtp_client_free(struct smtp_client *c)
{
	if (c == NULL)
		return;
	smtp_reply_parser_release(&c->parser);
	buf_release(&c->out);
	buf_release(&c->in);
	free(c->sent);
	free(c->rcpt);
	free(c->took);
	free(c->helo);
	free(c);
}

void
smtp_client_feed(struct smtp_client *c, const char *in, size_t len)
{
	if (c->phase != PHASE_CLOSED && !c->batch)
		buf_add(&c->in, in, len);
}

void
smtp_client_tls_on(struct smtp_client *c)
{
	if (c->phase != PHASE_TLS)
		return;
	if (c->in.len > 0) {
		broken(c, STEP_STARTTLS, "input behind the reply");
		return;
	}
	c->tls = true;
	c->phase = PHASE_HELLO;
	say_hello(c);
}

void
smtp_client_eof(struct smtp_client *c, const char *why)
{
	if (c->eof)
		return;
	c->eof = true;
	snprintf(c->why, sizeof(c->why), "%s",
	    why != NULL ? why : "connection closed");
}

int
smtp_client_begin(struct smtp_client *c, const struct envelope *env,
    const struct content_facts *facts, const size_t *rcpt, size_t n,
    struct smtp_refusal *r)
{
	int rc;

	r->code = 0;
	if (c->phase != PHASE_READY || (n == 0 && !c->batch))
		return ERR_STATE;
	if ((rc = smtp_offer_check(&c->offer, c->lmtp, env, facts, rcpt, n,
	    r)) < 0)
		return rc;
	c->env = env;
	c->nrcpt = n;
	c->rcpt = mem_alloc(n + 1, sizeof(*c->rcpt));
	c->took = mem_alloc(n + 1, sizeof(*c->took));
	c->final = 0;
	if (n > 0)
		memcpy(c->rcpt, rcpt, n * sizeof(*rcpt));
	c->next_rcpt = c->answered = c->accepted = c->told = 0;
	c->mail_sent = c->data_sent = c->failed = false;
	c->given = 0;
	c->octets = facts->octets;
	c->by_bdat = c->native || env->body == SMTP_BODY_BINARYMIME ||
	    (facts->flags & (CONTENT_BARE | CONTENT_OPEN_END)) != 0;
	/* RFC 6152 3: what is 8-bit says so. */
	c->body = env->body != SMTP_BODY_BINARYMIME &&
	    (facts->flags & CONTENT_8BIT) != 0 ? SMTP_BODY_8BITMIME :
	    env->body;
	c->phase = PHASE_ENVELOPE;
	send_envelope(c);
	if (c->batch)
		start_content(c);
	return 0;
}

void
smtp_client_content(struct smtp_client *c, const char *bytes, size_t len)
{
	if (c->phase != PHASE_CONTENT)
		return;
	c->given += len;
	if (!c->by_bdat)
		dot_writer_add(&c->dots, &c->out, bytes, len);
	else if (c->given > c->octets)
		broken(c, STEP_CONTENT, "more content than was announced");
	else
		buf_add(&c->out, bytes, len);
	/* The server may reply from now on, asked or not. */
	if (c->by_bdat && c->given == c->octets)
		smtp_client_content_end(c);
}

void
smtp_client_content_end(struct smtp_client *c)
{
	if (c->phase != PHASE_CONTENT)
		return;
	if (c->by_bdat && c->given != c->octets) {
		broken(c, STEP_CONTENT, "less content than was announced");
		return;
	}
	if (!c->by_bdat)
		dot_writer_end(&c->dots, &c->out);
	if (c->batch) {
		forget_message(c);
		return;
	}
	for (size_t i = 0; i < (c->lmtp ? c->accepted : 1); i++)
		await(c, STEP_END);
	c->phase = PHASE_END;
}

void
smtp_client_noop(struct smtp_client *c, const char *text)
{
	if (c->phase != PHASE_READY)
		return;
	buf_adds(&c->out, "NOOP");
	if (text != NULL && text[0] != '\0')
		buf_addc(&c->out, ' ');
	for (; text != NULL && *text != '\0'; text++)
		buf_addc(&c->out, *text >= 0x20 && *text < 0x7f ? *text : '?');
	buf_adds(&c->out, "\r\n");
	await(c, STEP_NOOP);
}

void
smtp_client_quit(struct smtp_client *c)
{
	if (c->phase == PHASE_CLOSED || c->phase == PHASE_QUIT)
		return;
	if (c->phase == PHASE_CONTENT) {
		broken(c, STEP_CONTENT, "given up");
		return;
	}
	buf_adds(&c->out, "QUIT\r\n");
	await(c, STEP_QUIT);
	if (c->phase == PHASE_READY)
		c->phase = PHASE_QUIT;
}

struct buf *
smtp_client_output(struct smtp_client *c)
{
	return &c->out;
}

unsigned
smtp_client_extensions(const struct smtp_client *c)
{
	return c->offer.extensions;
}

unsigned
smtp_client_timeout_secs(const struct smtp_client *c)
{
	const struct smtp_client_timeouts *t = &c->timeouts;
	const uint64_t own[STEPS] = {
		[STEP_GREETING] = t->greeting_secs,
		[STEP_EHLO] = t->hello_secs, [STEP_HELO] = t->hello_secs,
		[STEP_STARTTLS] = t->hello_secs, [STEP_MAIL] = t->mail_secs,
		[STEP_RCPT] = t->rcpt_secs, [STEP_DATA] = t->data_secs,
		[STEP_CONTENT] = t->content_secs, [STEP_END] = t->end_secs,
	};
	enum step step = due(c);

	return own[step] != 0 ? (unsigned)own[step] :
	    steps[step].timeout_secs;
}
