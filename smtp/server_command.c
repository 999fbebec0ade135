/* SPDX-License-Identifier: ISC */
/*
 * Command lines.  Each verb is a row of one table that says in which states
 * it may come and who handles it.
 */
#include <stdlib.h>

#include "smtp/extension.h"
#include "smtp/native.h"
#include "smtp/server_state.h"
#include "smtp/strict.h"

#define SHOWN_MAX 512		/* octets of a command kept for ERROR */

#define STATES_IDLE (STATE_START | STATE_GREETED)
#define STATES_ALL (STATES_IDLE | STATE_MAIL | STATE_RCPT | STATE_CHUNKS)

struct command {
	unsigned states;
	void (*run)(struct smtp_server *s, struct slice args);
	const char *order;	/* words where the state is wrong */
	int code;		/* run is NULL: the fixed reply */
	const char *status, *text;
};


/* A command is refused: in a batch that ends all, since nobody knows what the
 * generator took for granted behind it. */
static void
refuse_as(struct smtp_server *s, const struct smtp_refusal *r)
{
	if (s->opts.batch)
		server_reset(s);
	server_error(s, r, s->opts.batch);
}

/* What comes behind cannot be told from commands. */
static void
refuse_and_close(struct smtp_server *s, const struct smtp_refusal *r)
{
	refuse_as(s, r);
	if (s->state != STATE_CLOSED)
		server_close(s);
}

static void
refuse(struct smtp_server *s, int code, const char *status, const char *text)
{
	struct smtp_refusal r = { 0, "", "" };

	smtp_refuse(&r, code, status, "%s", text);
	refuse_as(s, &r);
}

/* What stands behind a keyword of EHLO (RFC 1870 3, RFC 4865 3). */
static void
extension_value(const struct smtp_server *s, unsigned bit, struct buf *out)
{
	if (bit == SMTP_EXT_SIZE && s->opts.message_max != 0)
		buf_addf(out, " %llu", (unsigned long long)
		    s->opts.message_max);
	if (bit != SMTP_EXT_FUTURERELEASE)
		return;
	buf_addf(out, " %llu ", (unsigned long long)s->opts.hold_max_secs);
	smtp_date_write(out, s->opts.hold_until_max);
}

static void
hello_reply(struct smtp_server *s)
{
	struct buf text = BUF_INIT;
	unsigned ext = s->opts.extensions;

	buf_adds(&text, s->hostname);
	for (unsigned bit = 1; bit <= SMTP_EXT_FUTURERELEASE; bit <<= 1) {
		if ((ext & bit) == 0)
			continue;
		buf_addf(&text, "\n%s", smtp_extension_name(bit));
		extension_value(s, bit, &text);
	}
	server_reply(s, 250, NULL, buf_cstr(&text));
	buf_release(&text);
}

static void
hello(struct smtp_server *s, struct slice args, bool extended)
{
	if (args.len == 0) {
		refuse(s, 501, "5.5.4", s->opts.lmtp ?
		    "Syntax: LHLO hostname" : extended ?
		    "Syntax: EHLO hostname" : "Syntax: HELO hostname");
		return;
	}
	server_reset(s);
	s->chunks_void = false;
	s->state = STATE_GREETED;
	free(s->env.helo);
	s->env.helo = slice_dup(args);
	server_push(s, SMTP_EVENT_HELLO);
	if (extended)
		hello_reply(s);
	else
		server_reply(s, 250, NULL, s->hostname);
}

/* RFC 2033 4.1: each protocol has its own greeting and knows no other. */
static void
wrong_hello(struct smtp_server *s)
{
	refuse(s, 500, "5.5.1", s->opts.lmtp ?
	    "Error: this is LMTP, send LHLO" :
	    "Error: this is SMTP, send EHLO");
}

static void
run_helo(struct smtp_server *s, struct slice args)
{
	if (s->opts.lmtp)
		wrong_hello(s);
	else
		hello(s, args, false);
}

static void
run_ehlo(struct smtp_server *s, struct slice args)
{
	if (s->opts.lmtp)
		wrong_hello(s);
	else
		hello(s, args, true);
}

static void
run_lhlo(struct smtp_server *s, struct slice args)
{
	if (!s->opts.lmtp)
		wrong_hello(s);
	else
		hello(s, args, true);
}

static bool
hold_too_long(const struct smtp_server *s)
{
	const struct smtp_timing *t = &s->env.timing;

	return (t->hold == SMTP_HOLD_FOR &&
	    t->hold_value > s->opts.hold_max_secs) ||
	    (t->hold == SMTP_HOLD_UNTIL &&
	    (int64_t)t->hold_value > s->opts.hold_until_max);
}

/* A declared size that is too large is refused here in a session, but at the
 * end of the content in a batch, when the recipients are known as well. */
static void
run_mail(struct smtp_server *s, struct slice args)
{
	struct smtp_refusal r = { 0, "", "" };

	s->chunks_void = false;
	if (smtp_command_mail(args, s->opts.extensions, s->opts.lenient,
	    &s->env, &r) < 0) {
		refuse_as(s, &r);
		return;
	}
	if (!s->opts.batch && s->env.size_given && s->opts.message_max != 0 &&
	    s->env.size > s->opts.message_max)
		refuse(s, 552, "5.3.4",
		    "Message size exceeds fixed limit");
	else if (hold_too_long(s))
		refuse(s, 501, "5.5.4", "Error: that is held for too long");
	else
		server_ask(s, SMTP_EVENT_MAIL);
	s->forget = !s->waiting;
}

static void
run_rcpt(struct smtp_server *s, struct slice args)
{
	struct smtp_refusal r = { 0, "", "" };

	if (s->void_mail)
		return;
	s->rcpt_seen = true;
	if (s->opts.recipients_max != 0 &&
	    s->env.nrcpt >= s->opts.recipients_max) {
		/* alone, in a batch too: the others are as good as before */
		smtp_refuse(&r, 452, "4.5.3", "Error: too many recipients");
		server_error(s, &r, false);
		return;
	}
	if (smtp_command_rcpt(args, s->opts.extensions, s->opts.lenient,
	    &s->env, &r) < 0) {
		refuse_as(s, &r);
		return;
	}
	server_ask(s, SMTP_EVENT_RCPT);
}

static void
run_data(struct smtp_server *s, struct slice args)
{
	if (args.len > 0) {
		refuse(s, 501, "5.5.4", "Syntax: DATA");
	} else if (s->env.body == SMTP_BODY_BINARYMIME) {
		refuse(s, 503, "5.5.1", "Error: BINARYMIME needs BDAT");
	} else if (!s->opts.batch && s->env.nrcpt == 0) {
		if (s->rcpt_seen)
			refuse(s, 554, "5.5.1", "Error: no valid recipients");
		else
			refuse(s, 503, "5.5.1", "Error: need RCPT command");
	} else {
		server_start_content(s, true);
		if (s->void_mail) {
			s->swallow = true;
			s->state = STATE_DATA;
		} else {
			server_ask(s, SMTP_EVENT_BEGIN);
		}
	}
}

/* The chunk comes whether it is wanted or not (RFC 3030 2). */
static void
swallow_chunk(struct smtp_server *s, int code, const char *status,
    const char *text)
{
	if (s->opts.batch && !s->chunks_void && !s->void_mail) {
		refuse(s, code, status, text);
		return;
	}
	smtp_refuse(&s->chunk_refusal, code, status, "%s", text);
	s->chunk_told = false;
	if (s->void_mail && s->chunk_last)
		server_end_transaction(s);
	s->chunk_after = s->state;
	s->state = STATE_CHUNK;
}

static void
start_chunk(struct smtp_server *s)
{
	if (s->chunks_void) {
		swallow_chunk(s, 503, "5.5.1", "Error: chunks were refused");
	} else if ((s->opts.extensions & SMTP_EXT_CHUNKING) == 0) {
		swallow_chunk(s, 502, "5.5.1",
		    "Error: command not implemented");
	} else if ((s->state & STATES_TRANSACTION) == 0) {
		swallow_chunk(s, 503, "5.5.1", "Error: need MAIL command");
	} else if (s->void_mail) {
		swallow_chunk(s, 503, "5.5.1", "Error: MAIL was refused");
	} else if (!s->opts.batch && s->env.nrcpt == 0) {
		swallow_chunk(s, s->rcpt_seen ? 554 : 503, "5.5.1",
		    "Error: no valid recipients");
	} else if (s->state == STATE_CHUNKS) {
		s->state = STATE_CHUNK;
	} else {
		server_start_content(s, false);
		s->state = STATE_CHUNK;
		server_ask(s, SMTP_EVENT_BEGIN);
	}
}

static void
run_bdat(struct smtp_server *s, struct slice args)
{
	struct smtp_refusal r = { 0, "", "" };

	/* As Postfix: the chunk may be there, nobody knows how long. */
	if (smtp_command_bdat(args, &s->chunk_left, &s->chunk_last, &r) < 0) {
		refuse_and_close(s, &r);
		return;
	}
	s->chunk_octets = s->chunk_left;
	start_chunk(s);
}

static void
run_rset(struct smtp_server *s, struct slice args)
{
	if (args.len > 0) {
		refuse(s, 501, "5.5.4", "Syntax: RSET");
		return;
	}
	server_reset(s);
	s->chunks_void = false;
	server_reply(s, 250, "2.0.0", "Ok");
}

static void
run_noop(struct smtp_server *s, struct slice args)
{
	server_push(s, SMTP_EVENT_NOOP)->bytes = args;
	server_reply(s, 250, "2.0.0", "Ok");
}

static void
run_quit(struct smtp_server *s, struct slice args)
{
	if (args.len > 0) {
		refuse(s, 501, "5.5.4", "Syntax: QUIT");
		return;
	}
	server_reset(s);
	server_reply(s, 221, "2.0.0", "Bye");
	server_push(s, SMTP_EVENT_QUIT);
	s->state = STATE_CLOSED;
}

static void
run_vrfy(struct smtp_server *s, struct slice args)
{
	if (args.len == 0 && !s->opts.batch)
		refuse(s, 501, "5.5.4", "Syntax: VRFY address");
	else
		server_reply(s, 252, "2.0.0",
		    "Send some mail, I will try my best");
	if (args.len > 0)
		server_push(s, SMTP_EVENT_VRFY)->bytes = args;
}

/* RFC 3207 4, 6: what is pipelined behind it may be a stranger's and never
 * becomes part of the session that is protected. */
static void
run_starttls(struct smtp_server *s, struct slice args)
{
	if (s->tls) {
		refuse(s, 503, "5.5.1", "Error: TLS is on already");
	} else if ((s->opts.extensions & SMTP_EXT_STARTTLS) == 0) {
		refuse(s, 502, "5.5.1", "Error: command not implemented");
	} else if (args.len > 0) {
		refuse(s, 501, "5.5.4", "Syntax: STARTTLS");
	} else if (s->more) {
		(void)server_feed_clear(s, 0);
	} else {
		server_reset(s);
		server_reply(s, 220, "2.0.0", "Ready to start TLS");
		server_push(s, SMTP_EVENT_STARTTLS);
		s->state = STATE_TLS;
	}
}

size_t
server_feed_clear(struct smtp_server *s, size_t len)
{
	struct smtp_refusal r = { 0, "", "" };

	smtp_refuse(&r, 554, "5.5.1", "Error: input behind STARTTLS");
	refuse_and_close(s, &r);
	return len;
}

static void
run_help(struct smtp_server *s, struct slice args)
{
	(void)args;
	server_reply(s, 214, "2.0.0", "See RFC 5321");
}

/* Asks for what we never tell; in a batch nobody hears the answer, so it is
 * passed over as Exim -bS does. */
static void
run_expn(struct smtp_server *s, struct slice args)
{
	(void)args;
	if (!s->opts.batch)
		refuse(s, 502, "5.5.1", "Error: command not implemented");
}

/* The lines of the batches of 1982 that ask for echo: nobody listens. */
static void
run_echo(struct smtp_server *s, struct slice args)
{
	(void)args;
	if (!s->opts.batch)
		refuse(s, 500, "5.5.2", "Error: command not recognized");
}

/* A web page can have a browser say what it likes behind the header of HTTP,
 * and the browser may be on a machine that is trusted. */
static void
run_http(struct smtp_server *s, struct slice args)
{
	struct smtp_refusal r = { 0, "", "" };

	(void)args;
	smtp_refuse(&r, 500, "5.5.1", "Error: this is SMTP, not HTTP");
	refuse_and_close(s, &r);
}

#define NOT_IMPLEMENTED { STATES_ALL, NULL, NULL, 502, "5.5.1", \
    "Error: command not implemented" }

static const struct command commands[] = {
	[SMTP_VERB_HELO] = { STATES_ALL, run_helo, NULL, 0, NULL, NULL },
	[SMTP_VERB_EHLO] = { STATES_ALL, run_ehlo, NULL, 0, NULL, NULL },
	[SMTP_VERB_LHLO] = { STATES_ALL, run_lhlo, NULL, 0, NULL, NULL },
	[SMTP_VERB_MAIL] = { STATE_GREETED, run_mail,
	    "Error: nested MAIL command", 0, NULL, NULL },
	[SMTP_VERB_RCPT] = { STATE_MAIL | STATE_RCPT, run_rcpt,
	    "Error: need MAIL command", 0, NULL, NULL },
	[SMTP_VERB_DATA] = { STATE_MAIL | STATE_RCPT, run_data,
	    "Error: need MAIL command", 0, NULL, NULL },
	[SMTP_VERB_BDAT] = { STATES_ALL, run_bdat, NULL, 0, NULL, NULL },
	[SMTP_VERB_RSET] = { STATES_ALL, run_rset, NULL, 0, NULL, NULL },
	[SMTP_VERB_NOOP] = { STATES_ALL, run_noop, NULL, 0, NULL, NULL },
	[SMTP_VERB_QUIT] = { STATES_ALL | STATE_TURNED_AWAY, run_quit, NULL,
	    0, NULL, NULL },
	[SMTP_VERB_VRFY] = { STATES_ALL, run_vrfy, NULL, 0, NULL, NULL },
	[SMTP_VERB_EXPN] = { STATES_ALL, run_expn, NULL, 0, NULL, NULL },
	[SMTP_VERB_HELP] = { STATES_ALL, run_help, NULL, 0, NULL, NULL },
	[SMTP_VERB_STARTTLS] = { STATES_IDLE, run_starttls,
	    "Error: a transaction is under way", 0, NULL, NULL },
	[SMTP_VERB_ETRN] = { STATES_ALL, run_expn, NULL, 0, NULL, NULL },
	[SMTP_VERB_AUTH] = { STATES_ALL, NULL, NULL, 503, "5.5.1",
	    "Error: authentication not enabled" },
	[SMTP_VERB_SEND] = NOT_IMPLEMENTED,
	[SMTP_VERB_SOML] = NOT_IMPLEMENTED,
	[SMTP_VERB_SAML] = NOT_IMPLEMENTED,
	[SMTP_VERB_TURN] = NOT_IMPLEMENTED,
	[SMTP_VERB_TICK] = { STATES_ALL, run_echo, NULL, 0, NULL, NULL },
	[SMTP_VERB_VERB] = { STATES_ALL, run_echo, NULL, 0, NULL, NULL },
	[SMTP_VERB_GET] = { STATES_ALL, run_http, NULL, 0, NULL, NULL },
	[SMTP_VERB_POST] = { STATES_ALL, run_http, NULL, 0, NULL, NULL },
	[SMTP_VERB_PUT] = { STATES_ALL, run_http, NULL, 0, NULL, NULL },
	[SMTP_VERB_CONNECT] = { STATES_ALL, run_http, NULL, 0, NULL, NULL },
	[SMTP_VERB_OPTIONS] = { STATES_ALL, run_http, NULL, 0, NULL, NULL },
	[SMTP_VERB_UNKNOWN] = { STATES_ALL, NULL, NULL, 500, "5.5.2",
	    "Error: command not recognized" },
};
_Static_assert(sizeof(commands) / sizeof(commands[0]) == SMTP_VERBS,
    "a row for each verb");

static void
out_of_order(struct smtp_server *s, enum smtp_verb verb)
{
	const char *words = commands[verb].order;

	if (s->state == STATE_TURNED_AWAY)
		words = "Error: no service here";
	else if (s->state == STATE_START && verb == SMTP_VERB_MAIL)
		words = s->opts.lmtp ? "Error: send LHLO first" :
		    "Error: send HELO/EHLO first";
	else if (s->state == STATE_CHUNKS)
		words = "Error: BDAT has begun";
	refuse(s, 503, "5.5.1", words);
}

/* RFC 3207 4: these go without; BDAT has its chunk behind it and cannot do
 * anything without MAIL. */
static bool
needs_tls(const struct smtp_server *s, enum smtp_verb verb)
{
	return s->opts.tls_required && !s->tls && verb != SMTP_VERB_NOOP &&
	    verb != SMTP_VERB_EHLO && verb != SMTP_VERB_LHLO &&
	    verb != SMTP_VERB_STARTTLS && verb != SMTP_VERB_QUIT &&
	    verb != SMTP_VERB_BDAT;
}

static void
run_command(struct smtp_server *s, struct slice line)
{
	const struct command *cmd;
	struct slice args;
	enum smtp_verb verb;

	if (slice_trim(line).len == 0) {
		refuse(s, 500, "5.5.2", "Error: bad syntax");
		return;
	}
	verb = smtp_command_split(line, &args);
	cmd = &commands[verb];
	if (needs_tls(s, verb))
		refuse(s, 530, "5.7.0", "Must issue a STARTTLS command first");
	else if ((cmd->states & s->state) == 0)
		out_of_order(s, verb);
	else if (cmd->run != NULL)
		cmd->run(s, args);
	else
		refuse(s, cmd->code, cmd->status, cmd->text);
}

static void
command_line(struct smtp_server *s, struct slice line)
{
	bool crlf = line.len > 0 && line.ptr[line.len - 1] == '\r';
	struct smtp_refusal r = { 0, "", "" };

	if (crlf)
		line.len--;
	buf_clear(&s->shown);
	buf_add(&s->shown, line.ptr, line.len < SHOWN_MAX ? line.len :
	    SHOWN_MAX);
	/* Batches are found joined that do not end their lines alike. */
	if (s->opts.line_ends == SMTP_LINES_DETECT)
		s->lf = !crlf;
	if (s->too_long) {
		s->too_long = false;
		refuse(s, 500, "5.5.2", "Error: command line too long");
	} else if (!crlf && s->opts.batch &&
	    s->opts.line_ends == SMTP_LINES_CRLF) {
		refuse(s, 500, "5.5.2", "Error: line does not end in CR LF");
	} else if ((s->opts.strict && smtp_strict_check(line, &r) < 0) ||
	    (s->opts.native && smtp_native_check(line, &r) < 0)) {
		refuse_as(s, &r);
	} else {
		run_command(s, line);
	}
}

size_t
server_feed_command(struct smtp_server *s, const char *in, size_t len)
{
	const char *nl = memchr(in, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl - in) : len;
	struct slice line = { in, n };

	if (!s->partial) {
		buf_clear(&s->line);
		s->line_offset = s->offset;
		s->line_number = s->lines + 1;
	}
	if (s->too_long) {
		line = buf_slice(&s->line);
	} else if (s->line.len + n > s->opts.command_max) {
		/* its beginning, so much of it that the pieces don't show */
		s->too_long = true;
		buf_add(&s->line, in, s->opts.command_max - s->line.len);
		line = buf_slice(&s->line);
	} else if (nl == NULL || s->partial) {
		buf_add(&s->line, in, n);
		line = buf_slice(&s->line);
	}
	s->partial = nl == NULL;
	if (nl == NULL)
		return n;
	s->lines++;
	s->more = n + 1 < len;
	command_line(s, line);
	return n + 1;
}
