/* SPDX-License-Identifier: ISC */
/*
 * Dialogues with the server, as tables: what is sent, the events and the
 * replies that must come of it.  Each is played in one piece, octet by octet
 * and in pieces of seven, and must come out the same.
 *
 * Events are written as words; content shows only where END came, since how
 * much of a refused message is seen depends on the pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "smtp/address.h"
#include "smtp/extension.h"
#include "smtp/server.h"

#define BODY "Subject: x\r\n\r\nhi\r\n"
#define HI "EHLO c.example\r\n"
#define MR "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define HI_REPLY "250-s.example\r\n250-PIPELINING\r\n250-SIZE 2000\r\n" \
	"250-8BITMIME\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n" \
	"250-CHUNKING\r\n250-BINARYMIME\r\n250 SMTPUTF8\r\n"
#define MR_REPLY "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define OK "250 2.0.0 Ok\r\n"
#define HMR "hello(c.example) mail(a@b.example) rcpt(c@d.example) "

struct dialogue {
	const char *name, *send;
	size_t send_len;	/* 0: up to the NUL */
	const char *events, *replies;
};

struct player {
	struct smtp_server *s;
	struct buf events, content;
	bool ended;
};

static void
show_error(struct player *p, const struct smtp_event *ev)
{
	buf_addf(&p->events, "error(%d %s @%llu%s) ", ev->refusal.code,
	    ev->refusal.status, (unsigned long long)ev->line,
	    ev->fatal ? " fatal" : "");
}

static void
answer(struct player *p, const char *address)
{
	struct slice local = address_local(address);

	if (local.len > 0 && local.ptr[0] == 'n')
		smtp_server_answer(p->s, 550, "5.1.1", "no");
	else if (local.len > 0 && local.ptr[0] == 'q')
		smtp_server_answer(p->s, 421, "4.3.2", "later");
	else
		smtp_server_answer(p->s, 250, NULL, NULL);
}

static void
show(struct player *p, const struct smtp_event *ev)
{
	const struct envelope *env = ev->envelope;
	const char *last = env->nrcpt > 0 ?
	    env->rcpt[env->nrcpt - 1].address : "";

	switch (ev->kind) {
	case SMTP_EVENT_HELLO:
		buf_addf(&p->events, "hello(%s) ", env->helo);
		break;
	case SMTP_EVENT_MAIL:
		buf_addf(&p->events, "mail(%s) ", env->sender);
		answer(p, env->sender);
		break;
	case SMTP_EVENT_RCPT:
		buf_addf(&p->events, "rcpt(%s) ", last);
		answer(p, last);
		break;
	case SMTP_EVENT_BEGIN:
		buf_addf(&p->events, "begin(%zu) ", env->nrcpt);
		buf_clear(&p->content);
		if (strcmp(env->sender, "full@b.example") == 0)
			smtp_server_answer(p->s, 452, "4.3.1", "full");
		else
			smtp_server_answer(p->s, 250, NULL, NULL);
		break;
	case SMTP_EVENT_CONTENT:
		assert_true(ev->bytes.len > 0);
		buf_addslice(&p->content, ev->bytes);
		if (strcmp(env->sender, "disk@b.example") == 0)
			smtp_server_refuse_content(p->s, 452, "4.3.1", "full");
		break;
	case SMTP_EVENT_END:
		assert_int_equal(ev->facts->octets, p->content.len);
		buf_adds(&p->events, "content[");
		buf_addslice(&p->events, buf_slice(&p->content));
		buf_adds(&p->events, "] ");
		smtp_server_answer(p->s, 250, NULL, NULL);
		break;
	case SMTP_EVENT_RESET:
		buf_adds(&p->events, "reset ");
		break;
	case SMTP_EVENT_NOOP:
		buf_addf(&p->events, "noop(%.*s) ", (int)ev->bytes.len,
		    ev->bytes.ptr);
		break;
	case SMTP_EVENT_QUIT:
		buf_adds(&p->events, "quit ");
		p->ended = true;
		break;
	case SMTP_EVENT_ERROR:
		show_error(p, ev);
		break;
	case SMTP_EVENT_CLOSE:
		buf_adds(&p->events, "close ");
		p->ended = true;
		break;
	}
}

/* Copies each piece to memory of its own, so that a slice kept too long is
 * seen by the sanitizer. */
static void
play(struct player *p, const char *in, size_t len, size_t piece)
{
	struct buf held = BUF_INIT;
	struct smtp_event ev;
	size_t used, pos = 0, n;
	char *copy;
	int rc;

	while (pos < len) {
		n = len - pos < piece ? len - pos : piece;
		buf_add(&held, in + pos, n);
		pos += n;
		do {
			copy = mem_strndup(held.ptr, held.len);
			rc = smtp_server_next(p->s, copy, held.len, &used,
			    &ev);
			assert_true(used <= held.len);
			if (rc == 1)
				show(p, &ev);
			free(copy);
			buf_consume(&held, used);
			assert_true(rc == 1 || held.len == 0 ||
			    smtp_server_waiting(p->s));
		} while (rc == 1);
	}
	buf_release(&held);
	while (!p->ended && smtp_server_eof(p->s, &ev) == 1)
		show(p, &ev);
	assert_int_equal(smtp_server_eof(p->s, &ev), 0);
}

static void
check(const struct dialogue *d, const struct smtp_server_options *opts)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 7 };
	size_t len = d->send_len != 0 ? d->send_len : strlen(d->send);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct player p = { smtp_server_new(opts), BUF_INIT, BUF_INIT,
		    false };
		struct buf *out = smtp_server_output(p.s);

		play(&p, d->send, len, pieces[i]);
		if (strcmp(buf_cstr(&p.events), d->events) != 0 ||
		    strcmp(buf_cstr(out), d->replies) != 0)
			fail_msg("%s, in pieces of %zu:\nevents\n%s\n%s\n"
			    "replies\n%s\n%s", d->name, pieces[i],
			    buf_cstr(&p.events), d->events, buf_cstr(out),
			    d->replies);
		smtp_server_free(p.s);
		buf_release(&p.events);
		buf_release(&p.content);
	}
}

static struct smtp_server_options
options(void)
{
	struct smtp_server_options opts;

	smtp_server_options_default(&opts);
	opts.hostname = "s.example";
	opts.extensions |= SMTP_EXT_BINARYMIME;
	opts.message_max = 2000;
	opts.command_max = 200;
	opts.line_max = 1200;
	opts.recipients_max = 3;
	opts.errors_max = 4;
	return opts;
}

static const struct dialogue live[] = {
	{ "RFC 5321 3.3 one message", HI MR "DATA\r\n" BODY ".\r\nQUIT\r\n", 0,
	    HMR "begin(1) content[" BODY "] quit ",
	    HI_REPLY MR_REPLY GO OK "221 2.0.0 Bye\r\n" },
	{ "RFC 5321 4.1.4 HELO", "HELO x\r\nNOOP\r\n", 0,
	    "hello(x) noop() ", "250 s.example\r\n" OK },
	{ "RFC 5321 4.1.4 no greeting", "MAIL FROM:<a@b.example>\r\n", 0,
	    "error(503 5.5.1 @1) ",
	    "503 5.5.1 Error: send HELO/EHLO first\r\n" },
	{ "RFC 5321 4.1.1.1 no name", "EHLO\r\n", 0,
	    "error(501 5.5.4 @1) ", "501 5.5.4 Syntax: EHLO hostname\r\n" },
	{ "RFC 5321 4.5.2 dots undone",
	    HI MR "DATA\r\n..\r\n...x\r\n.y\r\n. \r\n.\r\nQUIT\r\n", 0,
	    HMR "begin(1) content[.\r\n..x\r\ny\r\n \r\n] quit ",
	    HI_REPLY MR_REPLY GO OK "221 2.0.0 Bye\r\n" },
	{ "empty content", HI MR "DATA\r\n.\r\nNOOP\r\n", 0,
	    HMR "begin(1) content[] noop() ",
	    HI_REPLY MR_REPLY GO OK OK },
	{ "RFC 5321 4.1.4 nested MAIL", HI MR "MAIL FROM:<>\r\nRSET\r\n", 0,
	    HMR "error(503 5.5.1 @4) reset ",
	    HI_REPLY MR_REPLY "503 5.5.1 Error: nested MAIL command\r\n" OK },
	{ "RFC 5321 4.1.4 EHLO resets", HI MR "HELO d\r\nDATA\r\n", 0,
	    HMR "reset hello(d) error(503 5.5.1 @5) ",
	    HI_REPLY MR_REPLY "250 s.example\r\n"
	    "503 5.5.1 Error: need MAIL command\r\n" },
	{ "RFC 2920 3.1 all recipients refused",
	    HI "MAIL FROM:<a@b.example>\r\nRCPT TO:<n@d.example>\r\n"
	    "DATA\r\nRSET\r\n", 0,
	    "hello(c.example) mail(a@b.example) rcpt(n@d.example) "
	    "error(554 5.5.1 @4) reset ",
	    HI_REPLY OK "550 5.1.1 no\r\n"
	    "554 5.5.1 Error: no valid recipients\r\n" OK },
	{ "refused recipients leave the envelope",
	    HI MR "RCPT TO:<n@d.example>\r\nDATA\r\n.\r\n", 0,
	    HMR "rcpt(n@d.example) begin(1) content[] ",
	    HI_REPLY MR_REPLY "550 5.1.1 no\r\n" GO OK },
	{ "RFC 5321 4.5.3.1.10 too many recipients",
	    HI MR "RCPT TO:<e@d.example>\r\nRCPT TO:<f@d.example>\r\n"
	    "RCPT TO:<g@d.example>\r\nRSET\r\n", 0,
	    HMR "rcpt(e@d.example) rcpt(f@d.example) error(452 4.5.3 @6) "
	    "reset ", HI_REPLY MR_REPLY OK OK
	    "452 4.5.3 Error: too many recipients\r\n" OK },
	{ "MAIL refused by the caller",
	    HI "MAIL FROM:<n@b.example>\r\nRCPT TO:<c@d.example>\r\n", 0,
	    "hello(c.example) mail(n@b.example) error(503 5.5.1 @3) ",
	    HI_REPLY "550 5.1.1 no\r\n"
	    "503 5.5.1 Error: need MAIL command\r\n" },
	{ "421 ends the session", HI "MAIL FROM:<q@b.example>\r\nNOOP\r\n", 0,
	    "hello(c.example) mail(q@b.example) close ",
	    HI_REPLY "421 4.3.2 later\r\n" },
	{ "BEGIN refused", HI "MAIL FROM:<full@b.example>\r\n"
	    "RCPT TO:<c@d.example>\r\nDATA\r\nNOOP\r\n", 0,
	    "hello(c.example) mail(full@b.example) rcpt(c@d.example) "
	    "begin(1) noop() ", HI_REPLY MR_REPLY "452 4.3.1 full\r\n" OK },
	{ "content refused on the way", HI "MAIL FROM:<disk@b.example>\r\n"
	    "RCPT TO:<c@d.example>\r\nDATA\r\n" BODY ".\r\nNOOP\r\n", 0,
	    "hello(c.example) mail(disk@b.example) rcpt(c@d.example) "
	    "begin(1) reset error(452 4.3.1 @4) noop() ",
	    HI_REPLY MR_REPLY GO "452 4.3.1 full\r\n" OK },
	{ "too many errors", "A\r\nB\r\nC\r\nD\r\nNOOP\r\n", 0,
	    "error(500 5.5.2 @1) error(500 5.5.2 @2) error(500 5.5.2 @3) "
	    "error(500 5.5.2 @4) close ",
	    "500 5.5.2 Error: command not recognized\r\n"
	    "500 5.5.2 Error: command not recognized\r\n"
	    "500 5.5.2 Error: command not recognized\r\n"
	    "500 5.5.2 Error: command not recognized\r\n"
	    "421 4.7.0 Error: too many errors\r\n" },
	{ "RFC 5321 3.5.3, 7.3", "VRFY x\r\nHELP\r\nEXPN x\r\n", 0,
	    "error(502 5.5.1 @3) ",
	    "252 2.0.0 Send some mail, I will try my best\r\n"
	    "214 2.0.0 See RFC 5321\r\n"
	    "502 5.5.1 Error: command not implemented\r\n" },
	{ "LF ends a command as with Postfix", "NOOP a\nQUIT\n", 0,
	    "noop(a) quit ", OK "221 2.0.0 Bye\r\n" },
	{ "RFC 1870 6.1 too large by declaration",
	    HI "MAIL FROM:<a@b.example> SIZE=2001\r\n"
	    "MAIL FROM:<> SIZE=2000\r\n", 0,
	    "hello(c.example) error(552 5.3.4 @2) mail() reset "
	    "error(451 4.4.2 @3) ",
	    HI_REPLY "552 5.3.4 Message size exceeds fixed limit\r\n" OK },
	{ "connection lost inside a transaction", HI MR, 0,
	    HMR "reset error(451 4.4.2 @3) ", HI_REPLY MR_REPLY },
	{ "connection lost inside content", HI MR "DATA\r\nabc\r\n.\r", 0,
	    HMR "begin(1) reset error(451 4.4.2 @4) ",
	    HI_REPLY MR_REPLY GO },
	/* RFC 3030 */
	{ "RFC 3030 2 chunk without a transaction",
	    HI "BDAT 6 LAST\r\nNOOP\r\nNOOP 1\r\n", 0,
	    "hello(c.example) error(503 5.5.1 @2) noop(1) ",
	    HI_REPLY "503 5.5.1 Error: need MAIL command\r\n" OK },
	{ "RFC 3030 2 no valid recipient",
	    HI "MAIL FROM:<>\r\nRCPT TO:<n@d.example>\r\n"
	    "BDAT 6 LAST\r\nNOOP\r\nRSET\r\n", 0,
	    "hello(c.example) mail() rcpt(n@d.example) error(554 5.5.1 @4) "
	    "reset ", HI_REPLY OK "550 5.1.1 no\r\n"
	    "554 5.5.1 Error: no valid recipients\r\n" OK },
	{ "RFC 3030 3 DATA and BDAT don't mix",
	    HI MR "BDAT 2\r\nxyDATA\r\nBDAT 0 LAST\r\n", 0,
	    HMR "begin(1) error(503 5.5.1 @5) content[xy] ",
	    HI_REPLY MR_REPLY "250 2.0.0 Ok: 2 octets received\r\n"
	    "503 5.5.1 Error: BDAT has begun\r\n" OK },
	{ "RFC 3030 3 BINARYMIME needs BDAT",
	    HI "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\n"
	    "DATA\r\nRSET\r\n", 0,
	    "hello(c.example) mail() rcpt(c@d.example) error(503 5.5.1 @4) "
	    "reset ", HI_REPLY MR_REPLY
	    "503 5.5.1 Error: BINARYMIME needs BDAT\r\n" OK },
	{ "RFC 3030 2 chunk refused, the rest swallowed",
	    HI "MAIL FROM:<disk@b.example>\r\nRCPT TO:<c@d.example>\r\n"
	    "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", 0,
	    "hello(c.example) mail(disk@b.example) rcpt(c@d.example) "
	    "begin(1) reset error(452 4.3.1 @4) error(503 5.5.1 @6) noop() ",
	    HI_REPLY MR_REPLY "452 4.3.1 full\r\n"
	    "503 5.5.1 Error: chunks were refused\r\n" OK },
	{ "RFC 3030 2 BEGIN refused, the chunk swallowed",
	    HI "MAIL FROM:<full@b.example>\r\nRCPT TO:<c@d.example>\r\n"
	    "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", 0,
	    "hello(c.example) mail(full@b.example) rcpt(c@d.example) "
	    "begin(1) noop() ",
	    HI_REPLY MR_REPLY "452 4.3.1 full\r\n" OK },
	{ "BDAT syntax", HI MR "BDAT x LAST\r\nBDAT 1 FIRST\r\nRSET\r\n", 0,
	    HMR "error(501 5.5.4 @4) error(501 5.5.4 @5) reset ",
	    HI_REPLY MR_REPLY "501 5.5.4 Syntax: BDAT count [LAST]\r\n"
	    "501 5.5.4 Syntax: BDAT count [LAST]\r\n" OK },
	/* RFC 6531 */
	{ "RFC 6531 3.4 address without the parameter",
	    HI "MAIL FROM:<d\xc3\xb6@b.example>\r\n"
	    "MAIL FROM:<d\xc3\xb6@b.example> SMTPUTF8\r\nRSET\r\n", 0,
	    "hello(c.example) error(553 5.6.7 @2) "
	    "mail(d\xc3\xb6@b.example) reset ",
	    HI_REPLY "553 5.6.7 Address needs the SMTPUTF8 parameter of "
	    "MAIL\r\n" OK OK },
};

static void
test_live(void **state)
{
	struct smtp_server_options opts = options();

	(void)state;
	for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++)
		check(&live[i], &opts);
}

/* BDAT takes any octets (RFC 3030 2). */
static void
test_chunks(void **state)
{
	static const char in[] = HI MR "BDAT 3\r\na\n\0BDAT 6 LAST\r\n"
	    "\r.\r\n.\nQUIT\r\n";
	struct smtp_server_options opts = options();
	struct player p = { smtp_server_new(&opts), BUF_INIT, BUF_INIT,
	    false };

	(void)state;
	play(&p, in, sizeof(in) - 1, 5);
	assert_true(p.ended);
	assert_int_equal(p.content.len, 9);
	assert_memory_equal(p.content.ptr, "a\n\0\r.\r\n.\n", 9);
	smtp_server_free(p.s);
	buf_release(&p.events);
	buf_release(&p.content);
}

/* RFC 5321 2.3.8, 4.1.1.4: CR LF . CR LF ends data and nothing else does. */
static void
test_smuggling(void **state)
{
	static const char *const odd[] = {
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n",
		"\r\n.\r\r\n", "\n\n.\r\n", "\r\r\n.x\r\n", "\n", "\r",
		"x\ry", "x\ny", "\r\n.\rx", "\r\n.\n.\n",
	};
	struct smtp_server_options opts = options();

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		for (int first = 0; first < 2; first++) {
			struct buf in = BUF_INIT;
			struct dialogue d = { odd[i], NULL, 0,
			    HMR "begin(1) reset error(554 5.6.0 @4) noop() ",
			    HI_REPLY MR_REPLY GO "554 5.6.0 Error: bare CR or "
			    "LF in message content\r\n" OK };

			buf_adds(&in, HI MR "DATA\r\n");
			buf_adds(&in, first ? "" : "x");
			buf_adds(&in, odd[i]);
			buf_adds(&in, "RSET\r\n.\r\nNOOP\r\n");
			d.send = buf_cstr(&in);
			check(&d, &opts);
			buf_release(&in);
		}
	}
}

static void
fill(struct buf *b, const char *text, size_t n)
{
	while (n-- > 0)
		buf_adds(b, text);
}

/* RFC 5321 4.5.3.1: the limits, one below and one above. */
static void
test_limits(void **state)
{
	static const struct {
		size_t line, lines;
		const char *error;
	} cases[] = {
		{ 998, 1, NULL }, { 1199, 1, NULL },
		{ 1200, 1, "500 5.6.0 Error: line of message content too long"
		    "\r\n" },
		{ 998, 2, NULL },
		{ 98, 21, "552 5.3.4 Error: message size exceeds fixed limit"
		    "\r\n" },
	};
	struct smtp_server_options opts = options();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf in = BUF_INIT, events = BUF_INIT, out = BUF_INIT;
		struct buf text = BUF_INIT;
		struct dialogue d = { "limits", NULL, 0, NULL, NULL };

		for (size_t n = 0; n < cases[i].lines; n++) {
			fill(&text, "x", cases[i].line);
			buf_adds(&text, "\r\n");
		}
		buf_addf(&in, HI MR "DATA\r\n%s.\r\nNOOP\r\n",
		    buf_cstr(&text));
		if (cases[i].error == NULL)
			buf_addf(&events, HMR "begin(1) content[%s] noop() ",
			    buf_cstr(&text));
		else
			buf_addf(&events, HMR "begin(1) reset "
			    "error(%.9s @4) noop() ", cases[i].error);
		buf_addf(&out, HI_REPLY MR_REPLY GO "%s" OK,
		    cases[i].error != NULL ? cases[i].error : OK);
		d.send = buf_cstr(&in);
		d.events = buf_cstr(&events);
		d.replies = buf_cstr(&out);
		check(&d, &opts);
		buf_release(&in);
		buf_release(&events);
		buf_release(&out);
		buf_release(&text);
	}
}

static void
test_long_command(void **state)
{
	struct smtp_server_options opts = options();
	struct buf in = BUF_INIT;
	struct dialogue d = { "RFC 5321 4.5.3.1.4", NULL, 0,
	    "error(500 5.5.2 @1) noop() ",
	    "500 5.5.2 Error: command line too long\r\n" OK };

	(void)state;
	fill(&in, "x", 5000);
	buf_adds(&in, "\r\nNOOP\r\n");
	d.send = buf_cstr(&in);
	check(&d, &opts);
	buf_release(&in);
}

#define B "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define BE "mail(a@b.example) rcpt(c@d.example) "

static const struct dialogue batch[] = {
	{ "RFC 2442 3.1", HI B "DATA\r\n" BODY ".\r\nQUIT\r\n", 0,
	    HMR "begin(1) content[" BODY "] quit ", "" },
	{ "RFC 2442 3.2 DATA without a valid recipient",
	    "MAIL FROM:<>\r\nRCPT TO:<n@d.example>\r\nDATA\r\n.\r\n"
	    "MAIL FROM:<>\r\nDATA\r\n.\r\n", 0,
	    "mail() rcpt(n@d.example) begin(1) content[] "
	    "mail() begin(0) content[] ", "" },
	{ "no HELO, no QUIT, LF lines, 1982",
	    "TICK 1\nVERB ON\nmail from:<a@b.example>\nrcpt to:<c@d.example>\n"
	    "data\nx\n..y\n\n.\nnoop id\n", 0,
	    BE "begin(1) content[x\r\n.y\r\n\r\n] noop(id) ", "" },
	{ "addresses without brackets", "mail from:a@b.example\r\n"
	    "rcpt to: c@d.example\r\ndata\r\n.\r\nquit", 0,
	    BE "begin(1) content[] ", "" },
	{ "half a bracket", B "DATA\r\n.\r\nmail from:a@b.example<\r\n" B, 0,
	    BE "begin(1) content[] error(501 5.1.7 @5 fatal) ", "" },
	{ "local part alone", "MAIL FROM:<a>\r\n", 0,
	    "error(501 5.1.7 @1 fatal) ", "" },
	{ "path not closed", "MAIL FROM:<a@b.example\r\n", 0,
	    "error(501 5.1.7 @1 fatal) ", "" },
	{ "unknown command", B "XYZZY\r\nDATA\r\n.\r\n", 0,
	    BE "reset error(500 5.5.2 @3 fatal) ", "" },
	{ "RCPT without MAIL", "RCPT TO:<c@d.example>\r\n" B, 0,
	    "error(503 5.5.1 @1 fatal) ", "" },
	{ "end inside the envelope", B, 0,
	    BE "reset error(554 5.5.0 @2 fatal) ", "" },
	{ "end inside content", B "DATA\r\nabc\r\n", 0,
	    BE "begin(1) reset error(554 5.5.0 @3 fatal) ", "" },
	{ "end inside a command", "NOOP\r\nMAIL FR", 0,
	    "noop() error(500 5.5.2 @2 fatal) ", "" },
	{ "bare CR where lines end in LF: that message alone",
	    "MAIL FROM:<>\nDATA\nx\r\n.\nMAIL FROM:<>\r\nDATA\n.\n", 0,
	    "mail() begin(0) reset error(554 5.6.0 @2) "
	    "mail() begin(0) content[] ", "" },
	{ "bare LF where lines end in CR LF: that message alone",
	    B "DATA\r\nx\n.\r\n.\r\n" B "DATA\r\n.\r\n", 0,
	    BE "begin(1) reset error(554 5.6.0 @3) "
	    BE "begin(1) content[] ", "" },
	{ "too large by declaration: known at the end",
	    "MAIL FROM:<> SIZE=9999\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
	    ".\r\nNOOP\r\n", 0, "mail() rcpt(c@d.example) begin(1) "
	    "reset error(552 5.3.4 @3) noop() ", "" },
	{ "MAIL refused by the caller",
	    "MAIL FROM:<n@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
	    "x\r\n.\r\n" B "DATA\r\n.\r\n", 0,
	    "mail(n@b.example) " BE "begin(1) content[] ", "" },
	{ "BEGIN refused by the caller",
	    "MAIL FROM:<full@b.example>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n", 0,
	    "mail(full@b.example) begin(0) noop() ", "" },
	{ "behind QUIT", "QUIT\r\nrubbish\r\n", 0, "quit ", "" },
	{ "RSET", B "RSET\r\nRSET\r\n", 0, BE "reset ", "" },
};

static void
test_batch(void **state)
{
	struct smtp_server_options opts = options();

	(void)state;
	opts.batch = true;
	opts.lenient = true;
	opts.line_ends = SMTP_LINES_DETECT;
	for (size_t i = 0; i < sizeof(batch) / sizeof(batch[0]); i++)
		check(&batch[i], &opts);
}

/* RFC 2442 2: inside an object lines end in CR LF. */
static void
test_batch_strict(void **state)
{
	static const struct dialogue strict[] = {
		{ "LF", "NOOP\r\nNOOP\n", 0,
		    "noop() error(500 5.5.2 @2 fatal) ", "" },
		{ "no brackets", "MAIL FROM:a@b.example\r\n", 0,
		    "error(501 5.1.7 @1 fatal) ", "" },
	};
	struct smtp_server_options opts = options();

	(void)state;
	opts.batch = true;
	for (size_t i = 0; i < sizeof(strict) / sizeof(strict[0]); i++)
		check(&strict[i], &opts);
}

/* An event that wants an answer stops everything until it has one. */
static void
test_waiting(void **state)
{
	static const char in[] = HI "MAIL FROM:<>\r\nNOOP\r\n";
	struct smtp_server_options opts = options();
	struct smtp_server *s = smtp_server_new(&opts);
	struct smtp_event ev;
	size_t used, pos = 0;

	(void)state;
	assert_int_equal(smtp_server_next(s, in, sizeof(in) - 1, &used, &ev),
	    1);
	assert_int_equal(ev.kind, SMTP_EVENT_HELLO);
	pos += used;
	assert_int_equal(smtp_server_next(s, in + pos, sizeof(in) - 1 - pos,
	    &used, &ev), 1);
	assert_int_equal(ev.kind, SMTP_EVENT_MAIL);
	pos += used;
	assert_true(smtp_server_waiting(s));
	assert_int_equal(smtp_server_next(s, in + pos, sizeof(in) - 1 - pos,
	    &used, &ev), 0);
	assert_int_equal(used, 0);
	smtp_server_answer(s, 250, NULL, NULL);
	assert_true(smtp_server_in_transaction(s));
	assert_int_equal(smtp_server_next(s, in + pos, sizeof(in) - 1 - pos,
	    &used, &ev), 1);
	assert_int_equal(ev.kind, SMTP_EVENT_NOOP);
	smtp_server_free(s);
}

#define LHI "LHLO c.example\r\n"
#define R2 "RCPT TO:<e@d.example>\r\n"

/* RFC 2033 */
static const struct dialogue lmtp[] = {
	{ "RFC 2033 4.1 LHLO alone", "EHLO x\r\nHELO x\r\nLHLO\r\n"
	    "MAIL FROM:<>\r\n", 0, "error(500 5.5.1 @1) "
	    "error(500 5.5.1 @2) error(501 5.5.4 @3) "
	    "error(503 5.5.1 @4) close ",
	    "500 5.5.1 Error: this is LMTP, send LHLO\r\n"
	    "500 5.5.1 Error: this is LMTP, send LHLO\r\n"
	    "501 5.5.4 Syntax: LHLO hostname\r\n"
	    "503 5.5.1 Error: send LHLO first\r\n"
	    "421 4.7.0 Error: too many errors\r\n" },
	{ "RFC 2033 4.2 a reply for each", LHI MR R2 "DATA\r\nx\r\n.\r\n"
	    "NOOP\r\n", 0, HMR "rcpt(e@d.example) begin(2) content[x\r\n] "
	    "noop() ", HI_REPLY MR_REPLY OK GO OK OK OK },
	{ "RFC 2033 4.2 those accepted", LHI MR "RCPT TO:<n@d.example>\r\n"
	    R2 "DATA\r\nx\r\n.\r\n", 0,
	    HMR "rcpt(n@d.example) rcpt(e@d.example) begin(2) "
	    "content[x\r\n] ", HI_REPLY MR_REPLY "550 5.1.1 no\r\n" OK GO
	    OK OK },
	{ "RFC 2033 4.2 nobody", LHI "MAIL FROM:<>\r\n"
	    "RCPT TO:<n@d.example>\r\nDATA\r\nRSET\r\n", 0,
	    "hello(c.example) mail() rcpt(n@d.example) error(554 5.5.1 @4) "
	    "reset ", HI_REPLY OK "550 5.1.1 no\r\n"
	    "554 5.5.1 Error: no valid recipients\r\n" OK },
	{ "RFC 2033 4.2 content refused", LHI MR R2 "DATA\r\na\nb\r\n"
	    ".\r\nNOOP\r\n", 0, HMR "rcpt(e@d.example) begin(2) reset "
	    "error(554 5.6.0 @5) noop() ", HI_REPLY MR_REPLY OK GO
	    "554 5.6.0 Error: bare CR or LF in message content\r\n"
	    "554 5.6.0 Error: bare CR or LF in message content\r\n" OK },
	{ "RFC 2033 4.2, RFC 3030 2 the last chunk", LHI MR R2
	    "BDAT 2\r\nabBDAT 1 LAST\r\ncNOOP\r\n", 0,
	    HMR "rcpt(e@d.example) begin(2) content[abc] noop() ",
	    HI_REPLY MR_REPLY OK "250 2.0.0 Ok: 2 octets received\r\n" OK OK
	    OK },
	{ "RFC 2033 4.2, RFC 3030 2 chunk refused", LHI
	    "MAIL FROM:<disk@b.example>\r\nRCPT TO:<c@d.example>\r\n" R2
	    "BDAT 2\r\nabBDAT 2 LAST\r\ncdNOOP\r\n", 0,
	    "hello(c.example) mail(disk@b.example) rcpt(c@d.example) "
	    "rcpt(e@d.example) begin(2) reset error(452 4.3.1 @5) "
	    "error(503 5.5.1 @6) noop() ", HI_REPLY MR_REPLY OK
	    "452 4.3.1 full\r\n"
	    "503 5.5.1 Error: chunks were refused\r\n" OK },
};

static void
test_lmtp(void **state)
{
	struct smtp_server_options opts = options();

	(void)state;
	opts.lmtp = true;
	for (size_t i = 0; i < sizeof(lmtp) / sizeof(lmtp[0]); i++)
		check(&lmtp[i], &opts);
}

static void
test_greeting(void **state)
{
	struct smtp_server_options opts = options();
	struct dialogue d = { "RFC 5321 3.1", "EHLO x\r\nQUIT\r\n", 0, "", "" };
	struct player p = { smtp_server_new(&opts), BUF_INIT, BUF_INIT,
	    false };

	(void)state;
	smtp_server_greet(p.s, 554, "go away");
	play(&p, d.send, strlen(d.send), 3);
	assert_string_equal(buf_cstr(smtp_server_output(p.s)),
	    "554 s.example go away\r\n503 5.5.1 Error: no service here\r\n"
	    "221 2.0.0 Bye\r\n");
	assert_string_equal(buf_cstr(&p.events), "error(503 5.5.1 @1) quit ");
	smtp_server_free(p.s);
	buf_release(&p.events);
	buf_release(&p.content);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_long_command),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_batch_strict),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_lmtp),
		cmocka_unit_test(test_greeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
