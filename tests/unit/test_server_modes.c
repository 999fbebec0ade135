/* SPDX-License-Identifier: ISC */
/*
 * The server as it is configured otherwise: with STARTTLS, by LMTP, with
 * line ends that are mended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "smtp/extension.h"
#include "tests/unit/dialogue.h"

#define NO_TLS "530 5.7.0 Must issue a STARTTLS command first\r\n"
#define READY "220 2.0.0 Ready to start TLS\r\n"

static struct player
tls_player(bool required)
{
	struct smtp_server_options opts = dialogue_options();
	struct player p = { NULL, BUF_INIT, BUF_INIT, false };

	opts.extensions = SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_STARTTLS;
	opts.tls_required = required;
	opts.errors_max = 20;
	p.s = smtp_server_new(&opts);
	return p;
}

static void
test_starttls(void **state)
{
	struct player p = tls_player(true);

	(void)state;
	/* RFC 3207 4: what goes before TLS */
	player_say(&p, "MAIL FROM:<>\r\n", "error(530 5.7.0 @1) ", NO_TLS);
	player_say(&p, "HELO x\r\n", "error(530 5.7.0 @2) ", NO_TLS);
	player_say(&p, "RSET\r\n", "error(530 5.7.0 @3) ", NO_TLS);
	player_say(&p, "NOOP\r\n", "noop() ", OK);
	player_say(&p, HI, "hello(c.example) ", "250-s.example\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n");
	player_say(&p, "STARTTLS x\r\n", "error(501 5.5.4 @6) ",
	    "501 5.5.4 Syntax: STARTTLS\r\n");
	player_say(&p, "STARTTLS\r\n", "starttls ", READY);
	smtp_server_tls_on(p.s);
	/* 4.2: the client's name is forgotten, and STARTTLS is not offered */
	player_say(&p, "MAIL FROM:<>\r\n", "error(503 5.5.1 @8) ",
	    "503 5.5.1 Error: send HELO/EHLO first\r\n");
	player_say(&p, "EHLO d\r\n", "hello(d) ",
	    "250-s.example\r\n250 ENHANCEDSTATUSCODES\r\n");
	player_say(&p, "STARTTLS\r\n", "error(503 5.5.1 @10) ",
	    "503 5.5.1 Error: TLS is on already\r\n");
	player_say(&p, "MAIL FROM:<>\r\n", "mail() ", OK);
	player_end(&p);
}

/* RFC 3207 6: nothing that came in clear is taken for protected. */
static void
test_starttls_injection(void **state)
{
	struct player p = tls_player(false);

	(void)state;
	player_say(&p, HI "STARTTLS\r\nNOOP\r\n",
	    "hello(c.example) error(554 5.5.1 @2) close ",
	    "250-s.example\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n"
	    "554 5.5.1 Error: input behind STARTTLS\r\n");
	player_end(&p);
	p = tls_player(false);
	player_say(&p, "STARTTLS\r\n", "starttls ", READY);
	player_say(&p, "N", "error(554 5.5.1 @1) close ",
	    "554 5.5.1 Error: input behind STARTTLS\r\n");
	player_end(&p);
	p = tls_player(false);
	player_say(&p, HI MR "STARTTLS\r\n", HMR "error(503 5.5.1 @4) ",
	    "250-s.example\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n"
	    MR_REPLY "503 5.5.1 Error: a transaction is under way\r\n");
	player_end(&p);
}

/* As Postfix does: lines are mended, and the end of data is what it is. */
static const struct dialogue normalized[] = {
	{ "bare LF", HI MR "DATA\r\na\nb\n\nc\r\n.\r\n", 0, HMR
	    "begin(1) content[a\r\nb\r\n\r\nc\r\n] ",
	    HI_REPLY MR_REPLY GO OK },
	{ "bare CR", HI MR "DATA\r\na\rb\r\r\nc\r\n.\r\n", 0, HMR
	    "begin(1) content[a b \r\nc\r\n] ", HI_REPLY MR_REPLY GO OK },
	{ "LF . LF", HI MR "DATA\r\na\n.\nNOOP\r\n.\r\n", 0, HMR
	    "begin(1) content[a\r\n.\r\nNOOP\r\n] ",
	    HI_REPLY MR_REPLY GO OK },
	{ "LF . CR LF", HI MR "DATA\r\na\n.\r\nNOOP\r\n.\r\n", 0, HMR
	    "begin(1) content[a\r\n.\r\nNOOP\r\n] ",
	    HI_REPLY MR_REPLY GO OK },
	{ "CR LF . LF", HI MR "DATA\r\na\r\n.\nNOOP\r\n.\r\n", 0, HMR
	    "begin(1) content[a\r\n\r\nNOOP\r\n] ",
	    HI_REPLY MR_REPLY GO OK },
	{ "CR . CR", HI MR "DATA\r\na\r.\rNOOP\r\n.\r\n", 0, HMR
	    "begin(1) content[a . NOOP\r\n] ", HI_REPLY MR_REPLY GO OK },
	{ "dots at the start", HI MR "DATA\r\n..a\n..b\r\n.\r\n", 0, HMR
	    "begin(1) content[.a\r\n..b\r\n] ", HI_REPLY MR_REPLY GO OK },
	{ "RFC 3030 BDAT stays as it is", HI MR "BDAT 3 LAST\r\na\nb", 0,
	    HMR "begin(1) content[a\nb] ", HI_REPLY MR_REPLY OK },
};

static void
test_normalize(void **state)
{
	struct smtp_server_options opts = dialogue_options();

	(void)state;
	opts.line_ends = SMTP_LINES_NORMALIZE;
	for (size_t i = 0; i < sizeof(normalized) / sizeof(normalized[0]); i++)
		dialogue_check(&normalized[i], &opts);
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
	{ "RFC 2033 4.2 each its own", LHI MR "RCPT TO:<p@d.example>\r\n" R2
	    "DATA\r\nx\r\n.\r\nMAIL FROM:<a@b.example>\r\n" R2
	    "BDAT 1 LAST\r\nyNOOP\r\n", 0,
	    HMR "rcpt(p@d.example) rcpt(e@d.example) begin(3) "
	    "content[x\r\n] mail(a@b.example) rcpt(e@d.example) begin(1) "
	    "content[y] noop() ", HI_REPLY MR_REPLY OK OK GO OK
	    "552 5.3.4 too large for you\r\n" OK OK OK OK OK },
	{ "RFC 2033 4.2 the others could not be kept", LHI
	    "MAIL FROM:<late@b.example>\r\nRCPT TO:<p@d.example>\r\n" R2
	    "DATA\r\nx\r\n.\r\nNOOP\r\n", 0,
	    "hello(c.example) mail(late@b.example) rcpt(p@d.example) "
	    "rcpt(e@d.example) begin(2) content[x\r\n] noop() ",
	    HI_REPLY MR_REPLY OK GO "552 5.3.4 too large for you\r\n"
	    "451 4.3.0 later\r\n" OK },
	{ "RFC 2033 4.2 it could not be kept", LHI
	    "MAIL FROM:<late@b.example>\r\nRCPT TO:<c@d.example>\r\n" R2
	    "DATA\r\nx\r\n.\r\nNOOP\r\n", 0,
	    "hello(c.example) mail(late@b.example) rcpt(c@d.example) "
	    "rcpt(e@d.example) begin(2) content[x\r\n] noop() ",
	    HI_REPLY MR_REPLY OK GO "451 4.3.0 later\r\n"
	    "451 4.3.0 later\r\n" OK },
	{ "RFC 2033 4.2, RFC 3030 2 the only chunk refused", LHI
	    "MAIL FROM:<full@b.example>\r\nRCPT TO:<c@d.example>\r\n" R2
	    "BDAT 2 LAST\r\ncdNOOP\r\n", 0,
	    "hello(c.example) mail(full@b.example) rcpt(c@d.example) "
	    "rcpt(e@d.example) begin(2) noop() ",
	    HI_REPLY MR_REPLY OK "452 4.3.1 full\r\n452 4.3.1 full\r\n"
	    OK },
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
	struct smtp_server_options opts = dialogue_options();

	(void)state;
	opts.lmtp = true;
	for (size_t i = 0; i < sizeof(lmtp) / sizeof(lmtp[0]); i++)
		dialogue_check(&lmtp[i], &opts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_starttls_injection),
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_lmtp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
