/* SPDX-License-Identifier: ISC */
/*
 * The server half of a session, the caller's side of it.  Events wait in a
 * short queue because one command may cause a few (RESET, then ERROR); the
 * envelope is forgotten only when the queue is empty, so that each of them
 * can still show it.
 */
#include "smtp/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "smtp/extension.h"
#include "smtp/server_state.h"

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

struct smtp_event *
server_push(struct smtp_server *s, enum smtp_event_kind kind)
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

void
server_reply(struct smtp_server *s, int code, const char *status,
    const char *text)
{
	if (s->opts.batch)
		return;
	if ((s->opts.extensions & SMTP_EXT_ENHANCEDSTATUSCODES) == 0)
		status = NULL;
	do {
		smtp_write_reply(&s->out, code, status, text);
		s->each -= s->each > 0;
	} while (s->each > 0);
}

/* RFC 2033 4.2: how many replies follow the content. */
size_t
server_each(const struct smtp_server *s, bool content_over)
{
	return s->opts.lmtp && content_over ? s->env.nrcpt : 0;
}

/* Asks the caller; next() gives nothing more until it has answered. */
void
server_ask(struct smtp_server *s, enum smtp_event_kind kind)
{
	server_push(s, kind);
	s->waiting = true;
	s->asked = kind;
}

void
server_end_transaction(struct smtp_server *s)
{
	if ((s->state & STATES_TRANSACTION) != 0)
		s->state = STATE_GREETED;
	s->begun = s->rcpt_seen = s->void_mail = s->swallow = false;
	s->verdict.code = 0;
	s->forget = true;
	free(s->own);
	s->own = NULL;
}

void
server_reset(struct smtp_server *s)
{
	if (s->begun)
		server_push(s, SMTP_EVENT_RESET);
	server_end_transaction(s);
}

void
server_close(struct smtp_server *s)
{
	server_reset(s);
	server_push(s, SMTP_EVENT_CLOSE);
	s->state = STATE_CLOSED;
}

void
server_error(struct smtp_server *s, const struct smtp_refusal *r, bool fatal)
{
	struct smtp_event *ev = server_push(s, SMTP_EVENT_ERROR);

	ev->refusal = *r;
	ev->bytes = buf_slice(&s->shown);
	ev->fatal = fatal;
	server_reply(s, r->code, r->status, r->text);
	if (fatal) {
		s->state = STATE_CLOSED;
	} else if (!s->opts.batch && s->opts.errors_max != 0 &&
	    ++s->errors >= s->opts.errors_max) {
		server_reply(s, 421, "4.7.0", "Error: too many errors");
		server_close(s);
	}
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
	free(s->own);
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
			server_chunk_end(s);
			continue;
		}
		if (used == len)
			break;
		if (s->state == STATE_CLOSED)
			n = len - used;
		else if (s->state == STATE_TLS)
			n = server_feed_clear(s, len - used);
		else if (s->state == STATE_DATA)
			n = server_feed_data(s, in + used, len - used);
		else if (s->state == STATE_CHUNK)
			n = server_feed_chunk(s, in + used, len - used);
		else
			n = server_feed_command(s, in + used, len - used);
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
	server_reset(s);
	if ((inside || s->partial) && !(quit && s->opts.batch)) {
		struct smtp_event *ev = server_push(s, SMTP_EVENT_ERROR);

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
			server_end_transaction(s);
			s->chunk_each = server_each(s, s->chunk_last);
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
		server_reply(s, 354, NULL, "End data with <CR><LF>.<CR><LF>");
		return true;
	}
	server_end_transaction(s);
	return false;
}

void
smtp_server_answer_for(struct smtp_server *s, size_t i,
    const struct smtp_refusal *r)
{
	if (s->own == NULL)
		s->own = mem_alloc(s->env.nrcpt, sizeof(*s->own));
	s->own[i] = *r;
}

static void
answer_end(struct smtp_server *s, const struct smtp_refusal *r)
{
	for (size_t i = 0; s->own != NULL && i < s->env.nrcpt; i++) {
		const struct smtp_refusal *one = s->own[i].code != 0 ?
		    &s->own[i] : r;

		server_reply(s, one->code, one->status, one->text);
	}
	if (s->own == NULL) {
		s->each = server_each(s, true);
		server_reply(s, r->code, r->status, r->text);
	}
	server_end_transaction(s);
	if (r->code < 300)
		s->errors = 0;
}

static void
hang_up(struct smtp_server *s, const struct smtp_refusal *r)
{
	s->each = server_each(s, s->asked == SMTP_EVENT_END);
	server_reply(s, r->code, r->status, r->text);
	s->begun = s->begun && s->asked != SMTP_EVENT_BEGIN &&
	    s->asked != SMTP_EVENT_END;
	server_close(s);
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
		answer_end(s, &r);
		return;
	}
	server_reply(s, r.code, r.status, r.text);
}

void
smtp_server_tls_on(struct smtp_server *s)
{
	if (s->state != STATE_TLS)
		return;
	envelope_release(&s->env);
	buf_clear(&s->line);
	buf_clear(&s->shown);
	s->opts.extensions &= ~(unsigned)SMTP_EXT_STARTTLS;
	s->state = STATE_START;
	s->tls = true;
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
		buf_addf(&line, "%s %s", s->hostname,
		    s->opts.lmtp ? "LMTP" : "ESMTP");
		if (text != NULL)
			buf_addf(&line, " %s", text);
	} else {
		buf_addf(&line, "%s %s", s->hostname,
		    text != NULL ? text : "no service");
	}
	server_reply(s, code, NULL, buf_cstr(&line));
	buf_release(&line);
	if (code == 421)
		server_close(s);
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
