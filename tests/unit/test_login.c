/* SPDX-License-Identifier: ISC */
/* Logins by the commands of IMAP (RFC 3501 6.2.3) and POP3 (RFC 1939 7) and by
 * SCRAM (the example of RFC 7677 3 needs its nonce, so what a server sends is
 * checked for what a client must refuse), whole and an octet at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "transports/login.h"

#define ALL (LOGIN_COMMAND | LOGIN_SCRAM_SHA_1 | LOGIN_SCRAM_SHA_256)

static const struct {
	enum login_protocol protocol;
	unsigned ways;
	const char *user, *password;
	const char *said;	/* by the server, after its greeting */
	const char *heard;	/* by it */
	int rc;
	const char *why;	/* in the error */
} cases[] = {
	{ LOGIN_IMAP, ALL, "ann", "pw",
	    "* CAPABILITY IMAP4rev1\r\np1 OK x\r\np2 OK in\r\n",
	    "p1 CAPABILITY\r\np2 LOGIN \"ann\" \"pw\"\r\n", 1, NULL },
	{ LOGIN_IMAP, ALL, "a\"b", "c\\d e",
	    "p1 OK\np2 OK [CAPABILITY x]\n",
	    "p1 CAPABILITY\r\np2 LOGIN \"a\\\"b\" \"c\\\\d e\"\r\n", 1, NULL },
	{ LOGIN_IMAP, ALL, "ann", "n\xc3\xaf",
	    "p1 OK\r\n+ go on\r\np2 OK\r\n",
	    "p1 CAPABILITY\r\np2 LOGIN \"ann\" {3}\r\nn\xc3\xaf\r\n", 1,
	    NULL },
	{ LOGIN_IMAP, ALL, "\xc3\xa5", "\xc3\xb6",
	    "p1 OK\r\n+\r\n+\r\np2 OK\r\n",
	    "p1 CAPABILITY\r\np2 LOGIN {2}\r\n\xc3\xa5 {2}\r\n\xc3\xb6\r\n", 1,
	    NULL },
	{ LOGIN_IMAP, ALL, "\xc3\xa5", "pw", "p1 OK\r\n+\r\np2 OK\r\n",
	    "p1 CAPABILITY\r\np2 LOGIN {2}\r\n\xc3\xa5 \"pw\"\r\n", 1, NULL },
	{ LOGIN_IMAP, ALL, "ann", "pw",
	    "* CAPABILITY IMAP4rev1 logindisabled\r\np1 OK\r\n",
	    "p1 CAPABILITY\r\n", ERR_UNSUPPORTED, "no way" },
	{ LOGIN_IMAP, LOGIN_SCRAM_SHA_1, "ann", "pw", "p1 OK\r\n",
	    "p1 CAPABILITY\r\n", ERR_UNSUPPORTED, "no way" },
	{ LOGIN_IMAP, ALL, "ann", "pw\rx", "p1 OK\r\n",
	    "p1 CAPABILITY\r\n", ERR_UNSUPPORTED, "no way" },
	{ LOGIN_IMAP, ALL, "ann", "pw",
	    "p1 OK\r\n* 3 EXISTS\r\np2 NO [X] never\r\n",
	    "p1 CAPABILITY\r\np2 LOGIN \"ann\" \"pw\"\r\n", ERR_DENIED,
	    "NO [X] never" },
	{ LOGIN_IMAP, ALL, "ann", "pw", "p1 OK\r\np2 BAD\r\n", NULL,
	    ERR_DENIED, "BAD" },
	{ LOGIN_IMAP, ALL, "ann", "pw", "p1 OK\r\n* BYE tired\r\n", NULL,
	    ERR_DENIED, "BYE tired" },
	{ LOGIN_IMAP, ALL, "ann", "pw", "p1 BAD what\r\n", NULL, ERR_SYNTAX,
	    "what" },
	/* More than it has is not given. */
	{ LOGIN_IMAP, ALL, "ann", "pw", "p1 OK\r\n+ x\r\n",
	    "p1 CAPABILITY\r\np2 LOGIN \"ann\" \"pw\"\r\n", ERR_SYNTAX,
	    "than there is" },
	{ LOGIN_IMAP, ALL, "ann", "\xc3\xb6", "p1 OK\r\n+\r\n+\r\n",
	    "p1 CAPABILITY\r\np2 LOGIN \"ann\" {2}\r\n\xc3\xb6\r\n",
	    ERR_SYNTAX, "than there is" },
	{ LOGIN_IMAP, ALL, "ann", "pw", "+\r\n", "p1 CAPABILITY\r\n",
	    ERR_SYNTAX, "than there is" },
	/* An answer to another command is none. */
	{ LOGIN_IMAP, ALL, "ann", "pw", "p1 OK\r\np1 OK\r\np3 OK\r\n", NULL,
	    0, NULL },
	{ LOGIN_POP3, ALL, "ann", "p w",
	    "+OK\r\nUSER\r\n.\r\n+OK\r\n+OK in\r\n",
	    "CAPA\r\nUSER ann\r\nPASS p w\r\n", 1, NULL },
	{ LOGIN_POP3, ALL, "ann", "pw", "-ERR\r\n+OK\r\n+OK\r\n",
	    "CAPA\r\nUSER ann\r\nPASS pw\r\n", 1, NULL },
	{ LOGIN_POP3, ALL, "ann", "pw", "+OK\r\nTOP\r\n.\r\n", "CAPA\r\n",
	    ERR_UNSUPPORTED, "no way" },
	{ LOGIN_POP3, ALL, "ann", "pw", "-ERR\r\n-ERR who\r\n",
	    "CAPA\r\nUSER ann\r\n", ERR_DENIED, "-ERR who" },
	{ LOGIN_POP3, ALL, "ann", "pw", "-ERR\r\n+OK\r\n-ERR no\r\n", NULL,
	    ERR_DENIED, "-ERR no" },
	{ LOGIN_POP3, ALL, "ann", "pw", "-ERR\r\n+ x\r\n",
	    "CAPA\r\nUSER ann\r\n", ERR_SYNTAX, "than there is" },
	{ LOGIN_POP3, LOGIN_SCRAM_SHA_256, "ann", "pw", "-ERR\r\n",
	    "CAPA\r\n", ERR_UNSUPPORTED, "no way" },
	/* SMTP has no command of old. */
	{ LOGIN_SMTP, ALL, "ann", "pw", "250-x\r\n250 AUTH PLAIN\r\n",
	    "EHLO h\r\n", ERR_UNSUPPORTED, "no way" },
	{ LOGIN_SMTP, ALL, "ann", "pw", "502 what\r\n", "EHLO h\r\n",
	    ERR_SYNTAX, "502 what" },
	{ LOGIN_SMTP, ALL, "ann", "pw",
	    "250-x\r\n250-AUTH PLAIN SCRAM-SHA-1\r\n250 8BITMIME\r\n",
	    "EHLO h\r\nAUTH SCRAM-SHA-1\r\n", 0, NULL },
	{ LOGIN_SMTP, ALL, "ann", "pw",
	    "250 auth=SCRAM-SHA-1 SCRAM-SHA-256\r\n535 no\r\n", NULL,
	    ERR_DENIED, "535 no" },
	/* The better one of two, and only what is allowed. */
	{ LOGIN_IMAP, ALL, "ann", "pw",
	    "* CAPABILITY AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256\r\np1 OK\r\n",
	    "p1 CAPABILITY\r\np2 AUTHENTICATE SCRAM-SHA-256\r\n", 0, NULL },
	{ LOGIN_POP3, LOGIN_SCRAM_SHA_1, "ann", "pw",
	    "+OK\r\nSASL SCRAM-SHA-256 SCRAM-SHA-1\r\n.\r\n",
	    "CAPA\r\nAUTH SCRAM-SHA-1\r\n", 0, NULL },
	/* Who does not know the password cannot let us in. */
	{ LOGIN_IMAP, ALL, "ann", "pw",
	    "* CAPABILITY AUTH=SCRAM-SHA-1\r\np1 OK\r\np2 OK\r\n", NULL,
	    ERR_SYNTAX, "did not show" },
	/* "r=x,s=AAAA,i=4096": another nonce than ours. */
	{ LOGIN_IMAP, ALL, "ann", "pw",
	    "* CAPABILITY AUTH=SCRAM-SHA-1\r\np1 OK\r\n+ \r\n"
	    "+ cj14LHM9QUFBQSxpPTQwOTY=\r\n", NULL, ERR_SYNTAX, "SCRAM: " },
	/* "r=x,s=AAAA,i=1000001" */
	{ LOGIN_IMAP, ALL, "ann", "pw",
	    "* CAPABILITY AUTH=SCRAM-SHA-1\r\np1 OK\r\n+ \r\n"
	    "+ cj14LHM9QUFBQSxpPTEwMDAwMDE=\r\n", NULL, ERR_LIMIT,
	    "1000000" },
};

static void
play(size_t i, size_t piece)
{
	struct login *l = login_new(&(struct login_options){
	    .protocol = cases[i].protocol, .ways = cases[i].ways,
	    .user = cases[i].user, .password = cases[i].password,
	    .helo = "h" });
	const char *said = cases[i].said;
	size_t len = strlen(said);
	struct err e = ERR_INIT;
	int rc = login_next(l, &e);

	for (size_t at = 0, n; at < len && rc == 0; at += n) {
		n = len - at < piece ? len - at : piece;
		login_feed(l, said + at, n);
		rc = login_next(l, &e);
	}
	assert_int_equal(rc, cases[i].rc);
	if (cases[i].heard != NULL)
		assert_string_equal(buf_cstr(login_output(l)), cases[i].heard);
	if (cases[i].why != NULL)
		assert_non_null(strstr(e.text, cases[i].why));
	login_free(l);
}

static void
test_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		play(i, SIZE_MAX);
		play(i, 1);
	}
}

static void
test_limits(void **state)
{
	struct login_options opts = { LOGIN_IMAP, ALL, "a", "b", "h" };
	struct login *l = login_new(&opts);
	struct err e = ERR_INIT;
	int rc = 0;

	(void)state;
	for (size_t i = 0; i < LOGIN_LINE_MAX && rc == 0; i++) {
		login_feed(l, "x", 1);
		rc = login_next(l, &e);
	}
	assert_int_equal(rc, 0);
	login_feed(l, "x", 1);
	assert_int_equal(login_next(l, &e), ERR_LIMIT);
	login_free(l);

	l = login_new(&opts);
	for (size_t i = 0; i < LOGIN_LINES_MAX; i++) {
		login_feed(l, "* x\r\n", 5);
		assert_int_equal(login_next(l, &e), 0);
	}
	login_feed(l, "* x\r\n", 5);
	assert_int_equal(login_next(l, &e), ERR_LIMIT);
	login_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
