/* SPDX-License-Identifier: ISC */
/*
 * The server half of a session.  A command line is looked up in one table
 * that says in which states it may come; content passes as slices of the
 * caller's input.  Events wait in a short queue because one command may cause
 * a few (RESET, then ERROR); the envelope is forgotten only when the queue is
 * empty, so that each of them can still show it.
 *
 * What is wrong with content (bare CR or LF, lines or messages too long) is
 * collected as it passes and judged at its end: until then the session stays
 * in step with the client by swallowing.
 */
#include "smtp/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "smtp/dots.h"
#include "smtp/extension.h"

#define QUEUE_MAX 8
#define SHOWN_MAX 512		/* octets of a command kept for ERROR */
#define CONVERT_MAX 32768	/* octets of LF lines given at once */

enum state {
	STATE_START = 1 << 0,
	STATE_GREETED = 1 << 1,
	STATE_MAIL = 1 << 2,
	STATE_RCPT = 1 << 3,	/* a recipient was taken */
	STATE_CHUNKS = 1 << 4,	/* between the chunks of BDAT */
	STATE_DATA = 1 << 5,	/* content by DATA */
	STATE_CHUNK = 1 << 6,	/* content by BDAT */
	STATE_TURNED_AWAY = 1 << 7,	/* the greeting was a refusal */
	STATE_CLOSED = 1 << 8,
};

#define STATES_TRANSACTION (STATE_MAIL | STATE_RCPT | STATE_CHUNKS | \
    STATE_DATA | STATE_CHUNK)
#define STATES_IDLE (STATE_START | STATE_GREETED)
#define STATES_ALL (STATES_IDLE | STATE_MAIL | STATE_RCPT | STATE_CHUNKS)

struct smtp_server {
	struct smtp_server_options opts;
	char *hostname;
	struct envelope env;
	struct buf out, line, shown, converted;

	enum state state;
	bool begun;		/* MAIL was accepted: RESET is due if void */
	bool forget;		/* the envelope goes when the queue is empty */
	bool rcpt_seen;
	bool void_mail;		/* batch: MAIL was refused by the caller */
	bool waiting;
	enum smtp_event_kind asked;
	unsigned errors;
	struct smtp_event queue[QUEUE_MAX];
	size_t queue_head, queue_tail;

	/* command lines */
	uint64_t offset, lines;	/* of the input used */
	uint64_t line_offset, line_number;
	bool partial, too_long;
	bool lines_known, lf;	/* DETECT: the first line has been seen */

	/* content */
	struct content_scanner scan;
	struct dot_reader dots;
	bool swallow, too_large;
	struct smtp_refusal verdict;	/* the caller's, code 0: none */

	/* BDAT */
	uint64_t chunk_left, chunk_octets;
	bool chunk_last;
	bool chunks_void;	/* chunks up to LAST belong to nothing */
	bool chunk_told;	/* the caller refused: no ERROR */
	struct smtp_refusal chunk_refusal;
	enum state chunk_after;	/* state behind a refused chunk */
};

struct command {
	unsigned states;
	void (*run)(struct smtp_server *s, struct slice args);
	const char *order;	/* words where the state is wrong */
	int code;		/* run is NULL: the fixed reply */
	const char *status, *text;
};

void
smtp_server_options_default(struct smtp_server_options *opts)
{
	memset(opts, 0, sizeof(*opts));
	opts->hostname = "localhost";
	opts->extensions = SMTP_EXT_PIPELINING | SMTP_EXT_SIZE |
	    SMTP_EXT_8BITMIME | SMTP_EXT_DSN | SMTP_EXT_ENHANCEDSTATUSCODES |
	    SMTP_EXT_CHUNKING | SMTP_EXT_SMTPUTF8;
	opts->message_max = 10 << 20;
	opts->recipients_max = 1000;
	opts->command_max = 2048;
	opts->line_max = 1 << 20;
	opts->errors_max = 20;
}

static struct smtp_event *
push(struct smtp_server *s, enum smtp_event_kind kind)
{
	struct smtp_event *ev = &s->queue[s->queue_tail++];

	memset(ev, 0, sizeof(*ev));
	ev->kind = kind;
	ev->envelope = &s->env;
	ev->line = s->line_number;
	ev->offset = s->line_offset;
	return ev;
}

static bool
pop(struct smtp_server *s, struct smtp_event *ev)
{
	if (s->queue_head == s->queue_tail)
		return false;
	*ev = s->queue[s->queue_head++];
	if (s->queue_head == s->queue_tail)
		s->queue_head = s->queue_tail = 0;
	return true;
}

static void
reply(struct smtp_server *s, int code, const char *status, const char *text)
{
	if (s->opts.batch)
		return;
	if ((s->opts.extensions & SMTP_EXT_ENHANCEDSTATUSCODES) == 0)
		status = NULL;
	smtp_write_reply(&s->out, code, status, text);
}

/* Asks the caller; next() gives nothing more until it has answered. */
static void
ask(struct smtp_server *s, enum smtp_event_kind kind)
{
	push(s, kind);
	s->waiting = true;
	s->asked = kind;
}

static void
end_transaction(struct smtp_server *s)
{
	if ((s->state & STATES_TRANSACTION) != 0)
		s->state = STATE_GREETED;
	s->begun = s->rcpt_seen = s->void_mail = s->swallow = false;
	s->verdict.code = 0;
	s->forget = true;
}

static void
reset(struct smtp_server *s)
{
	if (s->begun)
		push(s, SMTP_EVENT_RESET);
	end_transaction(s);
}

static void
close_session(struct smtp_server *s)
{
	reset(s);
	push(s, SMTP_EVENT_CLOSE);
	s->state = STATE_CLOSED;
}

static void
push_error(struct smtp_server *s, const struct smtp_refusal *r, bool fatal)
{
	struct smtp_event *ev = push(s, SMTP_EVENT_ERROR);

	ev->refusal = *r;
	ev->bytes = buf_slice(&s->shown);
	ev->fatal = fatal;
	reply(s, r->code, r->status, r->text);
	if (fatal) {
		s->state = STATE_CLOSED;
	} else if (!s->opts.batch && s->opts.errors_max != 0 &&
	    ++s->errors >= s->opts.errors_max) {
		reply(s, 421, "4.7.0", "Error: too many errors");
		close_session(s);
	}
}

/* A command is refused: in a batch that ends all, since nobody knows what the
 * generator took for granted behind it. */
static void
refuse_as(struct smtp_server *s, const struct smtp_refusal *r)
{
	if (s->opts.batch)
		reset(s);
	push_error(s, r, s->opts.batch);
}

static void
refuse(struct smtp_server *s, int code, const char *status, const char *text)
{
	struct smtp_refusal r;

	smtp_refuse(&r, code, status, "%s", text);
	refuse_as(s, &r);
}

/*
 * Content.
 */
static void
start_content(struct smtp_server *s, bool data)
{
	content_scanner_init(&s->scan);
	if (data)
		dot_reader_init(&s->dots, s->lf, s->opts.line_max);
	else
		dot_reader_init(&s->dots, false, SIZE_MAX);
	s->too_large = s->opts.message_max != 0 &&
	    s->env.size_given && s->env.size > s->opts.message_max;
	s->swallow = false;
	s->verdict.code = 0;
}

/* What is wrong with the content so far; the order decides which of several
 * faults is told. */
static bool
content_fault(struct smtp_server *s, struct smtp_refusal *r)
{
	bool data = s->state == STATE_DATA;

	if (s->verdict.code != 0)
		*r = s->verdict;
	else if (data && (s->dots.bare ||
	    (s->scan.facts.flags & CONTENT_BARE) != 0))
		smtp_refuse(r, 554, "5.6.0",
		    "Error: bare CR or LF in message content");
	else if (data && s->dots.too_long)
		smtp_refuse(r, 500, "5.6.0",
		    "Error: line of message content too long");
	else if (s->too_large)
		smtp_refuse(r, 552, "5.3.4",
		    "Error: message size exceeds fixed limit");
	else
		return false;
	return true;
}

static void
give(struct smtp_server *s, struct slice run)
{
	struct smtp_refusal r;

	if (run.len == 0)
		return;
	content_scanner_add(&s->scan, run.ptr, run.len);
	if (s->opts.message_max != 0 &&
	    s->scan.facts.octets > s->opts.message_max)
		s->too_large = true;
	if (!s->swallow && !content_fault(s, &r))
		push(s, SMTP_EVENT_CONTENT)->bytes = run;
}

static void
refuse_content(struct smtp_server *s, const struct smtp_refusal *r)
{
	if (s->begun)
		push(s, SMTP_EVENT_RESET);
	s->begun = false;
	push_error(s, r, false);
	end_transaction(s);
}

static void
data_end(struct smtp_server *s)
{
	struct smtp_refusal r;

	content_scanner_end(&s->scan);
	if (s->swallow) {
		end_transaction(s);
	} else if (content_fault(s, &r)) {
		refuse_content(s, &r);
	} else {
		ask(s, SMTP_EVENT_END);
		s->queue[s->queue_tail - 1].facts = &s->scan.facts;
	}
}

/* Lines that end in LF, with CR LF. */
static struct slice
convert(struct smtp_server *s, struct slice run)
{
	const char *p = run.ptr, *end = run.ptr + run.len, *nl;

	buf_clear(&s->converted);
	while ((nl = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		buf_add(&s->converted, p, (size_t)(nl - p));
		buf_add(&s->converted, "\r\n", 2);
		p = nl + 1;
	}
	buf_add(&s->converted, p, (size_t)(end - p));
	return buf_slice(&s->converted);
}

static size_t
feed_data(struct smtp_server *s, const char *in, size_t len)
{
	struct slice run;
	uint64_t before = s->dots.lines;
	size_t used;
	int end;

	if (s->lf && len > CONVERT_MAX)
		len = CONVERT_MAX;
	end = dot_reader_next(&s->dots, in, len, &used, &run);
	s->lines += s->dots.lines - before;
	if (s->lf && run.len > 0)
		run = convert(s, run);
	give(s, run);
	if (end == 1)
		data_end(s);
	return used;
}

static void
chunk_refused(struct smtp_server *s)
{
	struct smtp_refusal r = s->chunk_refusal;

	s->chunk_refusal.code = 0;
	s->state = s->chunk_after;
	s->chunks_void = !s->chunk_last;
	if (s->chunk_told)
		reply(s, r.code, r.status, r.text);
	else if (!s->opts.batch)
		push_error(s, &r, false);
}

static void
chunk_end(struct smtp_server *s)
{
	struct smtp_refusal r;
	char text[64];

	if (s->chunk_refusal.code != 0) {
		chunk_refused(s);
	} else if (content_fault(s, &r)) {
		s->chunks_void = !s->chunk_last;
		refuse_content(s, &r);
	} else if (s->chunk_last) {
		data_end(s);
	} else {
		s->state = STATE_CHUNKS;
		snprintf(text, sizeof(text), "Ok: %llu octets received",
		    (unsigned long long)s->chunk_octets);
		reply(s, 250, "2.0.0", text);
	}
}

static size_t
feed_chunk(struct smtp_server *s, const char *in, size_t len)
{
	const char *p = in, *nl;

	if (len > s->chunk_left)
		len = (size_t)s->chunk_left;
	while ((nl = memchr(p, '\n', len - (size_t)(p - in))) != NULL) {
		s->lines++;
		p = nl + 1;
	}
	if (s->chunk_refusal.code == 0)
		give(s, (struct slice){ in, len });
	s->chunk_left -= len;
	return len;
}

/*
 * Commands.
 */
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
		if (bit == SMTP_EXT_SIZE && s->opts.message_max != 0)
			buf_addf(&text, " %llu",
			    (unsigned long long)s->opts.message_max);
	}
	reply(s, 250, NULL, buf_cstr(&text));
	buf_release(&text);
}

static void
hello(struct smtp_server *s, struct slice args, bool extended)
{
	if (args.len == 0) {
		refuse(s, 501, "5.5.4", extended ? "Syntax: EHLO hostname" :
		    "Syntax: HELO hostname");
		return;
	}
	reset(s);
	s->chunks_void = false;
	s->state = STATE_GREETED;
	free(s->env.helo);
	s->env.helo = slice_dup(args);
	push(s, SMTP_EVENT_HELLO);
	if (extended)
		hello_reply(s);
	else
		reply(s, 250, NULL, s->hostname);
}

static void
run_helo(struct smtp_server *s, struct slice args)
{
	hello(s, args, false);
}

static void
run_ehlo(struct smtp_server *s, struct slice args)
{
	hello(s, args, true);
}

/* A declared size that is too large is refused here in a session, but at the
 * end of the content in a batch, when the recipients are known as well. */
static void
run_mail(struct smtp_server *s, struct slice args)
{
	struct smtp_refusal r;

	s->chunks_void = false;
	if (smtp_command_mail(args, s->opts.extensions, s->opts.lenient,
	    &s->env, &r) < 0) {
		refuse_as(s, &r);
		return;
	}
	if (!s->opts.batch && s->env.size_given && s->opts.message_max != 0 &&
	    s->env.size > s->opts.message_max) {
		refuse(s, 552, "5.3.4",
		    "Message size exceeds fixed limit");
		s->forget = true;
		return;
	}
	ask(s, SMTP_EVENT_MAIL);
}

static void
run_rcpt(struct smtp_server *s, struct slice args)
{
	struct smtp_refusal r;

	if (s->void_mail)
		return;
	s->rcpt_seen = true;
	if (s->opts.recipients_max != 0 &&
	    s->env.nrcpt >= s->opts.recipients_max) {
		/* alone, in a batch too: the others are as good as before */
		smtp_refuse(&r, 452, "4.5.3", "Error: too many recipients");
		push_error(s, &r, false);
		return;
	}
	if (smtp_command_rcpt(args, s->opts.extensions, s->opts.lenient,
	    &s->env, &r) < 0) {
		refuse_as(s, &r);
		return;
	}
	ask(s, SMTP_EVENT_RCPT);
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
		start_content(s, true);
		if (s->void_mail) {
			s->swallow = true;
			s->state = STATE_DATA;
		} else {
			ask(s, SMTP_EVENT_BEGIN);
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
	s->chunk_after = s->state;
	s->state = STATE_CHUNK;
	if (s->void_mail && s->chunk_last)
		s->chunk_after = STATE_GREETED;
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
		start_content(s, false);
		s->state = STATE_CHUNK;
		ask(s, SMTP_EVENT_BEGIN);
	}
}

static void
run_bdat(struct smtp_server *s, struct slice args)
{
	struct smtp_refusal r;

	if (smtp_command_bdat(args, &s->chunk_left, &s->chunk_last, &r) < 0) {
		refuse_as(s, &r);
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
	reset(s);
	s->chunks_void = false;
	reply(s, 250, "2.0.0", "Ok");
}

static void
run_noop(struct smtp_server *s, struct slice args)
{
	push(s, SMTP_EVENT_NOOP)->bytes = args;
	reply(s, 250, "2.0.0", "Ok");
}

static void
run_quit(struct smtp_server *s, struct slice args)
{
	if (args.len > 0) {
		refuse(s, 501, "5.5.4", "Syntax: QUIT");
		return;
	}
	reset(s);
	reply(s, 221, "2.0.0", "Bye");
	push(s, SMTP_EVENT_QUIT);
	s->state = STATE_CLOSED;
}

static void
run_vrfy(struct smtp_server *s, struct slice args)
{
	if (args.len == 0)
		refuse(s, 501, "5.5.4", "Syntax: VRFY address");
	else
		reply(s, 252, "2.0.0",
		    "Send some mail, I will try my best");
}

static void
run_help(struct smtp_server *s, struct slice args)
{
	(void)args;
	reply(s, 214, "2.0.0", "See RFC 5321");
}

/* The lines of the batches of 1982 that ask for echo: nobody listens. */
static void
run_echo(struct smtp_server *s, struct slice args)
{
	(void)args;
	if (!s->opts.batch)
		refuse(s, 500, "5.5.2", "Error: command not recognized");
}

#define NOT_IMPLEMENTED { STATES_ALL, NULL, NULL, 502, "5.5.1", \
    "Error: command not implemented" }

static const struct command commands[] = {
	[SMTP_VERB_HELO] = { STATES_ALL, run_helo, NULL, 0, NULL, NULL },
	[SMTP_VERB_EHLO] = { STATES_ALL, run_ehlo, NULL, 0, NULL, NULL },
	[SMTP_VERB_LHLO] = NOT_IMPLEMENTED,
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
	[SMTP_VERB_EXPN] = NOT_IMPLEMENTED,
	[SMTP_VERB_HELP] = { STATES_ALL, run_help, NULL, 0, NULL, NULL },
	[SMTP_VERB_STARTTLS] = NOT_IMPLEMENTED,
	[SMTP_VERB_ETRN] = NOT_IMPLEMENTED,
	[SMTP_VERB_AUTH] = { STATES_ALL, NULL, NULL, 503, "5.5.1",
	    "Error: authentication not enabled" },
	[SMTP_VERB_SEND] = NOT_IMPLEMENTED,
	[SMTP_VERB_SOML] = NOT_IMPLEMENTED,
	[SMTP_VERB_SAML] = NOT_IMPLEMENTED,
	[SMTP_VERB_TURN] = NOT_IMPLEMENTED,
	[SMTP_VERB_TICK] = { STATES_ALL, run_echo, NULL, 0, NULL, NULL },
	[SMTP_VERB_VERB] = { STATES_ALL, run_echo, NULL, 0, NULL, NULL },
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
		words = "Error: send HELO/EHLO first";
	else if (s->state == STATE_CHUNKS)
		words = "Error: BDAT has begun";
	refuse(s, 503, "5.5.1", words);
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
	if ((cmd->states & s->state) == 0)
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

	if (crlf)
		line.len--;
	buf_clear(&s->shown);
	buf_add(&s->shown, line.ptr, line.len < SHOWN_MAX ? line.len :
	    SHOWN_MAX);
	if (!s->lines_known) {
		s->lines_known = true;
		s->lf = s->opts.line_ends == SMTP_LINES_DETECT && !crlf;
	}
	if (s->too_long) {
		s->too_long = false;
		refuse(s, 500, "5.5.2", "Error: command line too long");
	} else if (!crlf && s->opts.batch &&
	    s->opts.line_ends == SMTP_LINES_CRLF) {
		refuse(s, 500, "5.5.2", "Error: line does not end in CR LF");
	} else {
		run_command(s, line);
	}
}

static size_t
feed_command(struct smtp_server *s, const char *in, size_t len)
{
	const char *nl = memchr(in, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl - in) : len;
	struct slice line = { in, n };

	if (!s->partial) {
		buf_clear(&s->line);
		s->line_offset = s->offset;
		s->line_number = s->lines + 1;
	}
	if (s->line.len + n > s->opts.command_max)
		s->too_long = true;
	if (!s->too_long && (nl == NULL || s->partial)) {
		buf_add(&s->line, in, n);
		line = buf_slice(&s->line);
	}
	s->partial = nl == NULL;
	if (nl == NULL)
		return n;
	s->lines++;
	/* Of a line that is too long its beginning shows best. */
	command_line(s, s->too_long && s->line.len > 0 ?
	    buf_slice(&s->line) : line);
	return n + 1;
}

/*
 * The session.
 */
struct smtp_server *
smtp_server_new(const struct smtp_server_options *opts)
{
	struct smtp_server *s = mem_alloc(1, sizeof(*s));

	s->opts = *opts;
	s->hostname = mem_strdup(opts->hostname != NULL ? opts->hostname :
	    "localhost");
	s->opts.hostname = s->hostname;
	s->state = opts->batch ? STATE_GREETED : STATE_START;
	return s;
}

void
smtp_server_free(struct smtp_server *s)
{
	if (s == NULL)
		return;
	envelope_release(&s->env);
	buf_release(&s->out);
	buf_release(&s->line);
	buf_release(&s->shown);
	buf_release(&s->converted);
	free(s->hostname);
	free(s);
}

int
smtp_server_next(struct smtp_server *s, const char *in, size_t len,
    size_t *used_out, struct smtp_event *ev)
{
	size_t used = 0, n;

	*used_out = 0;
	for (;;) {
		if (pop(s, ev)) {
			*used_out = used;
			return 1;
		}
		if (s->waiting)
			break;
		if (s->forget)
			envelope_clear(&s->env);
		s->forget = false;
		/* Only now, when the caller has seen all of the chunk. */
		if (s->state == STATE_CHUNK && s->chunk_left == 0) {
			chunk_end(s);
			continue;
		}
		if (used == len)
			break;
		if (s->state == STATE_CLOSED)
			n = len - used;
		else if (s->state == STATE_DATA)
			n = feed_data(s, in + used, len - used);
		else if (s->state == STATE_CHUNK)
			n = feed_chunk(s, in + used, len - used);
		else
			n = feed_command(s, in + used, len - used);
		used += n;
		s->offset += n;
	}
	*used_out = used;
	return 0;
}

static void
end_of_input(struct smtp_server *s)
{
	struct smtp_refusal r;
	bool inside = (s->state & STATES_TRANSACTION) != 0;
	bool quit = s->partial && !inside &&
	    slice_ieqs(slice_trim(buf_slice(&s->line)), "QUIT");

	if (inside)
		smtp_refuse(&r, s->opts.batch ? 554 : 451,
		    s->opts.batch ? "5.5.0" : "4.4.2",
		    "Error: input ends inside a transaction");
	else
		smtp_refuse(&r, s->opts.batch ? 500 : 451,
		    s->opts.batch ? "5.5.2" : "4.4.2",
		    "Error: input ends inside a command");
	reset(s);
	if ((inside || s->partial) && !(quit && s->opts.batch)) {
		struct smtp_event *ev = push(s, SMTP_EVENT_ERROR);

		ev->refusal = r;
		ev->bytes = buf_slice(&s->shown);
		ev->fatal = s->opts.batch;
	}
	s->state = STATE_CLOSED;
}

int
smtp_server_eof(struct smtp_server *s, struct smtp_event *ev)
{
	if (pop(s, ev))
		return 1;
	/* What is being decided on can't be cut any more. */
	if (s->waiting && s->asked == SMTP_EVENT_END)
		return 0;
	s->waiting = false;
	if (s->state == STATE_CLOSED)
		return 0;
	if (s->forget)
		envelope_clear(&s->env);
	s->forget = false;
	if (s->partial && (s->state & (STATE_DATA | STATE_CHUNK)) == 0) {
		buf_clear(&s->shown);
		buf_addslice(&s->shown, buf_slice(&s->line));
	}
	end_of_input(s);
	return pop(s, ev) ? 1 : 0;
}

/*
 * Answers.
 */
static void
answer_mail(struct smtp_server *s, bool ok)
{
	s->begun = ok;
	s->void_mail = !ok && s->opts.batch;
	if (ok || s->opts.batch)
		s->state = STATE_MAIL;
	else
		s->forget = true;
}

static void
answer_rcpt(struct smtp_server *s, bool ok)
{
	if (ok)
		s->state = STATE_RCPT;
	else if (!s->opts.batch)
		envelope_drop_recipient(&s->env);
}

/* Returns true if the reply is written here or later. */
static bool
answer_begin(struct smtp_server *s, bool ok, const struct smtp_refusal *r)
{
	if (s->state == STATE_CHUNK) {
		if (!ok) {
			end_transaction(s);
			s->chunk_refusal = *r;
			s->chunk_told = true;
			s->chunk_after = STATE_GREETED;
			s->state = STATE_CHUNK;
		}
		return true;
	}
	if (ok || s->opts.batch) {
		s->state = STATE_DATA;
		s->swallow = !ok;
		s->begun = ok;
		reply(s, 354, NULL, "End data with <CR><LF>.<CR><LF>");
		return true;
	}
	end_transaction(s);
	return false;
}

static void
hang_up(struct smtp_server *s, const struct smtp_refusal *r)
{
	reply(s, r->code, r->status, r->text);
	s->begun = s->begun && s->asked != SMTP_EVENT_BEGIN &&
	    s->asked != SMTP_EVENT_END;
	close_session(s);
}

void
smtp_server_answer(struct smtp_server *s, int code, const char *status,
    const char *text)
{
	struct smtp_refusal r;
	bool ok = code >= 200 && code < 300;
	char class[16];

	if (!s->waiting)
		return;
	s->waiting = false;
	snprintf(class, sizeof(class), "%d.0.0", code / 100);
	smtp_refuse(&r, code, status != NULL ? status : class, "%s",
	    text != NULL ? text : ok ? "Ok" : "Error");
	if (code == 421) {
		hang_up(s, &r);
		return;
	}
	switch (s->asked) {
	case SMTP_EVENT_MAIL:
		answer_mail(s, ok);
		break;
	case SMTP_EVENT_RCPT:
		answer_rcpt(s, ok);
		break;
	case SMTP_EVENT_BEGIN:
		if (answer_begin(s, ok, &r))
			return;
		break;
	default:	/* END */
		end_transaction(s);
		if (ok)
			s->errors = 0;
		break;
	}
	reply(s, r.code, r.status, r.text);
}

bool
smtp_server_waiting(const struct smtp_server *s)
{
	return s->waiting;
}

void
smtp_server_refuse_content(struct smtp_server *s, int code,
    const char *status, const char *text)
{
	smtp_refuse(&s->verdict, code, status != NULL ? status : "4.3.0",
	    "%s", text != NULL ? text : "Error");
}

void
smtp_server_greet(struct smtp_server *s, int code, const char *text)
{
	struct buf line = BUF_INIT;

	if (code == 220) {
		buf_addf(&line, "%s ESMTP", s->hostname);
		if (text != NULL)
			buf_addf(&line, " %s", text);
	} else {
		buf_addf(&line, "%s %s", s->hostname,
		    text != NULL ? text : "no service");
	}
	reply(s, code, NULL, buf_cstr(&line));
	buf_release(&line);
	if (code == 421)
		close_session(s);
	else if (code != 220)
		s->state = STATE_TURNED_AWAY;
}

struct buf *
smtp_server_output(struct smtp_server *s)
{
	return &s->out;
}

bool
smtp_server_in_transaction(const struct smtp_server *s)
{
	return (s->state & STATES_TRANSACTION) != 0;
}

bool
smtp_server_lf_lines(const struct smtp_server *s)
{
	return s->lf;
}
