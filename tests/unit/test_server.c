/* SPDX-License-Identifier: ISC */
/*
 * Dialogues with the server by the clauses of the RFCs, live and in batches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "smtp/extension.h"
#include "tests/unit/dialogue.h"

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
	    "vrfy(x) error(502 5.5.1 @3) ",
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
	{ "RFC 3030 2 what follows a broken BDAT is no command",
	    HI MR "BDAT 6 FIRST\r\nRSET\r\nRSET\r\n", 0,
	    HMR "error(501 5.5.4 @4) reset close ",
	    HI_REPLY MR_REPLY "501 5.5.4 Syntax: BDAT count [LAST]\r\n" },
	{ "the same between chunks", HI MR "BDAT 2\r\nabBDAT -1\r\nNOOP\r\n",
	    0, HMR "begin(1) error(501 5.5.4 @5) reset close ",
	    HI_REPLY MR_REPLY "250 2.0.0 Ok: 2 octets received\r\n"
	    "501 5.5.4 Syntax: BDAT count [LAST]\r\n" },
	{ "HTTP", "POST / HTTP/1.1\r\nHost: x\r\n\r\n" HI MR, 0,
	    "error(500 5.5.1 @1) close ",
	    "500 5.5.1 Error: this is SMTP, not HTTP\r\n" },
	{ "HTTP in a transaction", HI MR "get /\r\n" "DATA\r\n", 0,
	    HMR "error(500 5.5.1 @4) reset close ", HI_REPLY MR_REPLY
	    "500 5.5.1 Error: this is SMTP, not HTTP\r\n" },
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
	struct smtp_server_options opts = dialogue_options();

	(void)state;
	for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++)
		dialogue_check(&live[i], &opts);
}

/* BDAT takes any octets (RFC 3030 2). */
static void
test_chunks(void **state)
{
	static const char in[] = HI MR "BDAT 3\r\na\n\0BDAT 6 LAST\r\n"
	    "\r.\r\n.\nQUIT\r\n";
	struct smtp_server_options opts = dialogue_options();
	struct player p = { smtp_server_new(&opts), BUF_INIT, BUF_INIT,
	    false };

	(void)state;
	player_play(&p, in, sizeof(in) - 1, 5);
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
	struct smtp_server_options opts = dialogue_options();

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
			dialogue_check(&d, &opts);
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
	struct smtp_server_options opts = dialogue_options();

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
		dialogue_check(&d, &opts);
		buf_release(&in);
		buf_release(&events);
		buf_release(&out);
		buf_release(&text);
	}
}

static void
test_long_command(void **state)
{
	struct smtp_server_options opts = dialogue_options();
	struct buf in = BUF_INIT;
	struct dialogue d = { "RFC 5321 4.5.3.1.4", NULL, 0,
	    "error(500 5.5.2 @1) noop() ",
	    "500 5.5.2 Error: command line too long\r\n" OK };

	(void)state;
	fill(&in, "x", 5000);
	buf_adds(&in, "\r\nNOOP\r\n");
	d.send = buf_cstr(&in);
	dialogue_check(&d, &opts);
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
	struct smtp_server_options opts = dialogue_options();

	(void)state;
	opts.batch = true;
	opts.lenient = true;
	opts.line_ends = SMTP_LINES_DETECT;
	for (size_t i = 0; i < sizeof(batch) / sizeof(batch[0]); i++)
		dialogue_check(&batch[i], &opts);
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
	struct smtp_server_options opts = dialogue_options();

	(void)state;
	opts.batch = true;
	for (size_t i = 0; i < sizeof(strict) / sizeof(strict[0]); i++)
		dialogue_check(&strict[i], &opts);
}

/* An event that wants an answer stops everything until it has one. */
static void
test_waiting(void **state)
{
	static const char in[] = HI "MAIL FROM:<>\r\nNOOP\r\n";
	struct smtp_server_options opts = dialogue_options();
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

/* A chunk that is swallowed and is the last ends the transaction that was
 * refused (RFC 3030 2): nothing of it is in the next. */
static void
test_batch_void_chunk(void **state)
{
	static const char in[] =
	    "MAIL FROM:<n@b.example> RET=HDRS ENVID=old\r\n"
	    "BDAT 1 LAST\r\nxMAIL FROM:<a@b.example>\r\n";
	struct smtp_server_options opts = dialogue_options();
	struct smtp_server *s;
	struct smtp_event ev;
	size_t used, pos = 0;

	(void)state;
	opts.batch = true;
	s = smtp_server_new(&opts);
	assert_int_equal(smtp_server_next(s, in, sizeof(in) - 1, &used, &ev),
	    1);
	assert_int_equal(ev.kind, SMTP_EVENT_MAIL);
	assert_string_equal(ev.envelope->envid, "old");
	pos += used;
	smtp_server_answer(s, 550, "5.7.1", "no");
	assert_int_equal(smtp_server_next(s, in + pos, sizeof(in) - 1 - pos,
	    &used, &ev), 1);
	assert_int_equal(ev.kind, SMTP_EVENT_MAIL);
	assert_string_equal(ev.envelope->sender, "a@b.example");
	assert_null(ev.envelope->envid);
	assert_int_equal(ev.envelope->ret, SMTP_RET_NONE);
	smtp_server_free(s);
}

static void
test_greeting(void **state)
{
	struct smtp_server_options opts = dialogue_options();
	struct dialogue d = { "RFC 5321 3.1", "EHLO x\r\nQUIT\r\n", 0, "", "" };
	struct player p = { smtp_server_new(&opts), BUF_INIT, BUF_INIT,
	    false };

	(void)state;
	smtp_server_greet(p.s, 554, "go away");
	player_play(&p, d.send, strlen(d.send), 3);
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
		cmocka_unit_test(test_batch_void_chunk),
		cmocka_unit_test(test_greeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
