/* SPDX-License-Identifier: ISC */
/* Commands with their parameters, and replies, by the clauses of the RFCs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "smtp/command.h"
#include "smtp/extension.h"

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X100 X50 X50
#define ALL (SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_DSN | \
	SMTP_EXT_BINARYMIME | SMTP_EXT_SMTPUTF8)

static void
test_split(void **state)
{
	static const struct {
		const char *line;
		enum smtp_verb verb;
		const char *args;
	} cases[] = {
		{ "QUIT", SMTP_VERB_QUIT, "" },
		{ "quit ", SMTP_VERB_QUIT, "" },
		{ " Noop\t a  b ", SMTP_VERB_NOOP, "a  b" },
		{ "MAIL FROM:<>", SMTP_VERB_MAIL, "FROM:<>" },
		{ "MAILFROM:<>", SMTP_VERB_UNKNOWN, "" },
		{ "QUI", SMTP_VERB_UNKNOWN, "" },
		{ "", SMTP_VERB_UNKNOWN, "" },
		{ "unknown x", SMTP_VERB_UNKNOWN, "x" },
	};
	struct slice args;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(smtp_command_split(slice_of(cases[i].line),
		    &args), cases[i].verb);
		assert_true(slice_eqs(args, cases[i].args));
	}
	for (int v = 0; v < SMTP_VERB_UNKNOWN; v++)
		assert_int_equal(smtp_command_split(slice_of(
		    smtp_verb_name((enum smtp_verb)v)), &args), v);
}

/* code 0: taken, and written again as `again`. */
static const struct parsed {
	const char *args;
	unsigned extensions;
	int code;
	const char *status, *again;
} mails[] = {
	{ "FROM:<>", 0, 0, NULL, "<>" },
	{ "from: <a@b>", 0, 0, NULL, "<a@b>" },
	{ "FROM:<a@b>  ", ALL, 0, NULL, "<a@b> SIZE=0" },
	/* RFC 1870 5 */
	{ "FROM:<a@b> size=18446744073709551615", ALL, 0, NULL,
	    "<a@b> SIZE=18446744073709551615" },
	{ "FROM:<a@b> SIZE=18446744073709551616", SMTP_EXT_SIZE, 0, NULL,
	    "<a@b> SIZE=18446744073709551615" },
	{ "FROM:<a@b> SIZE=000000000000000000001", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> SIZE=", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> SIZE", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> SIZE=-1", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> SIZE=1x", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> SIZE=1 SIZE=1", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> SIZE=1", SMTP_EXT_DSN, 555, "5.5.4", NULL },
	/* RFC 6152 2, RFC 3030 3 */
	{ "FROM:<a@b> BODY=8bitmime", SMTP_EXT_8BITMIME, 0, NULL,
	    "<a@b> BODY=8BITMIME" },
	{ "FROM:<a@b> BODY=7BIT", SMTP_EXT_8BITMIME, 0, NULL,
	    "<a@b> BODY=7BIT" },
	{ "FROM:<a@b> BODY=BINARYMIME", SMTP_EXT_8BITMIME |
	    SMTP_EXT_BINARYMIME, 0, NULL, "<a@b> BODY=BINARYMIME" },
	{ "FROM:<a@b> BODY=BINARYMIME", SMTP_EXT_8BITMIME, 501, "5.5.4",
	    NULL },
	{ "FROM:<a@b> BODY=9BIT", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> BODY", ALL, 501, "5.5.4", NULL },
	/* RFC 3461 4.3, 4.4 */
	{ "FROM:<a@b> RET=hdrs ENVID=a+2Bb", SMTP_EXT_DSN, 0, NULL,
	    "<a@b> RET=HDRS ENVID=a+2Bb" },
	{ "FROM:<a@b> RET=SOME", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> RET=FULL RET=FULL", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> ENVID=" X100, SMTP_EXT_DSN, 0, NULL,
	    "<a@b> ENVID=" X100 },
	{ "FROM:<a@b> ENVID=" X100 "x", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> ENVID=a+2b", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> ENVID=a+", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> ENVID=a=b", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> ENVID=", ALL, 501, "5.5.4", NULL },
	/* RFC 6531 3.3, 3.4 */
	{ "FROM:<\xc3\xb6@b> SMTPUTF8", SMTP_EXT_SMTPUTF8, 0, NULL,
	    "<\xc3\xb6@b> SMTPUTF8" },
	{ "FROM:<a@b> SMTPUTF8=1", ALL, 501, "5.5.4", NULL },
	{ "FROM:<\xc3\xb6@b>", ALL, 553, "5.6.7", NULL },
	{ "FROM:<\xc3\xb6@b>", 0, 553, "5.6.7", NULL },
	{ "FROM:<\xc3@b> SMTPUTF8", ALL, 501, "5.1.7", NULL },
	/* RFC 5321 4.1.1.2, 4.1.1.11, 4.1.2 */
	{ "", ALL, 501, "5.5.4", NULL }, { "FROM", ALL, 501, "5.5.4", NULL },
	{ "FROM:", ALL, 501, "5.1.7", NULL },
	{ "FROM <a@b>", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b>", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b", ALL, 501, "5.1.7", NULL },
	{ "FROM:a@b", ALL, 501, "5.1.7", NULL },
	{ "FROM:<a>", ALL, 501, "5.1.7", NULL },
	{ "FROM:<a@b>x", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b>SIZE=1", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> =x", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> -a=1", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> X_Y=1", ALL, 501, "5.5.4", NULL },
	{ "FROM:<a@b> XFOO=bar", ALL, 555, "5.5.4", NULL },
	{ "FROM:<a@b> AUTH=<>", ALL, 555, "5.5.4", NULL },
	{ "FROM:<a@b> NOTIFY=NEVER", ALL, 555, "5.5.4", NULL },
};

static void
test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		const struct parsed *m = &mails[i];
		struct envelope env;
		struct smtp_refusal r = { 0, "", "" };
		struct buf out = BUF_INIT, want = BUF_INIT;
		int rc;

		envelope_init(&env);
		rc = smtp_command_mail(slice_of(m->args), m->extensions,
		    false, &env, &r);
		if (r.code != m->code || (rc < 0) != (m->code != 0))
			fail_msg("%s: %d %s", m->args, r.code, r.text);
		if (m->code != 0) {
			assert_string_equal(r.status, m->status);
			assert_null(env.sender);
		} else {
			buf_addf(&want, "MAIL FROM:%s\r\n", m->again);
			smtp_write_mail(&out, &env, env.size, m->extensions);
			assert_string_equal(buf_cstr(&out), buf_cstr(&want));
		}
		buf_release(&out);
		buf_release(&want);
		envelope_release(&env);
	}
}

static const struct parsed rcpts[] = {
	{ "TO:<a@b>", 0, 0, NULL, "<a@b>" },
	{ "to: <Postmaster>", 0, 0, NULL, "<Postmaster>" },
	{ "TO:<@x:a@b>", 0, 0, NULL, "<a@b>" },
	/* RFC 3461 4.1, 4.2 */
	{ "TO:<a@b> NOTIFY=never", ALL, 0, NULL, "<a@b> NOTIFY=never" },
	{ "TO:<a@b> ORCPT=rfc822;a+2Bb@c NOTIFY=DELAY,SUCCESS", ALL, 0, NULL,
	    "<a@b> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;a+2Bb@c" },
	{ "TO:<a@b> NOTIFY=NEVER,DELAY", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> NOTIFY=", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> ORCPT=rfc822", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> ORCPT=rfc822;", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> ORCPT=;a@b", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> ORCPT=rfc822;a+b@c", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> ORCPT=rfc822;\xc3\xb6@c", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> ORCPT=rfc822;" X100 X100 X100 X100 X50 X50, ALL, 501,
	    "5.5.4", NULL },
	{ "TO:<a@b> NOTIFY=NEVER", SMTP_EXT_SIZE, 555, "5.5.4", NULL },
	/* RFC 6533 3 */
	{ "TO:<a@b> ORCPT=utf-8;\\x{F6}@c", ALL, 0, NULL,
	    "<a@b> ORCPT=utf-8;\\x{F6}@c" },
	{ "TO:<a@b> ORCPT=utf-8;\xc3\xb6@c", ALL, 501, "5.5.4", NULL },
	{ "TO:<a@b> SIZE=1", ALL, 555, "5.5.4", NULL },
	{ "TO:<a@b> XFOO", ALL, 555, "5.5.4", NULL },
	/* RFC 5321 4.1.1.3 */
	{ "TO:<>", ALL, 501, "5.1.3", NULL }, { "", ALL, 501, "5.5.4", NULL },
	{ "TO:", ALL, 501, "5.1.3", NULL },
	{ "TO:<a>", ALL, 501, "5.1.3", NULL },
	{ "TO:<\xc3\xb6@b>", ALL, 553, "5.6.7", NULL },
};

static void
test_rcpt(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rcpts) / sizeof(rcpts[0]); i++) {
		const struct parsed *m = &rcpts[i];
		struct envelope env;
		struct smtp_refusal r = { 0, "", "" };
		struct buf out = BUF_INIT, want = BUF_INIT;
		int rc;

		envelope_init(&env);
		rc = smtp_command_rcpt(slice_of(m->args), m->extensions,
		    false, &env, &r);
		if (r.code != m->code || (rc < 0) != (m->code != 0))
			fail_msg("%s: %d %s", m->args, r.code, r.text);
		assert_int_equal(env.nrcpt, m->code == 0);
		if (m->code != 0) {
			assert_string_equal(r.status, m->status);
		} else {
			buf_addf(&want, "RCPT TO:%s\r\n", m->again);
			smtp_write_rcpt(&out, &env.rcpt[0], SMTP_EXT_DSN);
			assert_string_equal(buf_cstr(&out), buf_cstr(&want));
		}
		buf_release(&out);
		buf_release(&want);
		envelope_release(&env);
	}
}

/* Parameters that the receiver does not offer are left out. */
static void
test_left_out(void **state)
{
	struct envelope env;
	struct smtp_refusal r;
	struct buf out = BUF_INIT;

	(void)state;
	envelope_init(&env);
	assert_int_equal(smtp_command_mail(slice_of("FROM:<a@b> RET=FULL "
	    "BODY=8BITMIME SIZE=5 SMTPUTF8"), ALL, false, &env, &r), 0);
	assert_int_equal(smtp_command_rcpt(slice_of(
	    "TO:<\xc3\xb6@d> ORCPT=utf-8;\xc3\xb6@d"), ALL, false, &env, &r),
	    0);
	smtp_write_mail(&out, &env, 5, 0);
	smtp_write_rcpt(&out, &env.rcpt[0], 0);
	assert_string_equal(buf_cstr(&out),
	    "MAIL FROM:<a@b>\r\nRCPT TO:<\xc3\xb6@d>\r\n");
	buf_release(&out);
	envelope_release(&env);
}

/* RFC 6533 3: an ORCPT in UTF-8 becomes ASCII where it has to. */
static void
test_orcpt_utf8(void **state)
{
	static const struct {
		const char *orcpt;
		unsigned extensions;
		const char *want;
	} cases[] = {
		{ "utf-8;b\xc3\xa5rd@d", SMTP_EXT_DSN | SMTP_EXT_SMTPUTF8,
		    "utf-8;b\xc3\xa5rd@d" },
		{ "utf-8;b\xc3\xa5rd@d", SMTP_EXT_DSN,
		    "utf-8;b\\x{E5}rd@d" },
		{ "utf-8;\xe2\x82\xac\\x{2B}\\x{e5}@d", SMTP_EXT_DSN,
		    "utf-8;\\x{20AC}\\x{2B}\\x{E5}@d" },
		{ "utf-8;b\\x{e5}rd@d", SMTP_EXT_DSN,
		    "utf-8;b\\x{e5}rd@d" },
		{ "rfc822;b+2Bx@d", SMTP_EXT_DSN, "rfc822;b+2Bx@d" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct envelope env;
		struct buf out = BUF_INIT, want = BUF_INIT;

		envelope_init(&env);
		envelope_add_recipient(&env, "a@d", NULL, cases[i].orcpt);
		smtp_write_rcpt(&out, &env.rcpt[0], cases[i].extensions);
		buf_addf(&want, "RCPT TO:<a@d> ORCPT=%s\r\n", cases[i].want);
		assert_string_equal(buf_cstr(&out), buf_cstr(&want));
		buf_release(&out);
		buf_release(&want);
		envelope_release(&env);
	}
}

static void
test_bdat(void **state)
{
	static const struct {
		const char *args;
		int rc;
		uint64_t octets;
		bool last;
	} cases[] = {
		{ "0", 0, 0, false }, { "86 LAST", 0, 86, true },
		{ "7 last", 0, 7, true },
		{ "", -1, 0, false }, { "LAST", -1, 0, false },
		{ "-1", -1, 0, false }, { "1 FIRST", -1, 0, false },
		{ "1 LAST x", -1, 0, false },
		{ "99999999999999999999", -1, 0, false },
	};
	struct smtp_refusal r;
	uint64_t octets;
	bool last;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(smtp_command_bdat(slice_of(cases[i].args),
		    &octets, &last, &r), cases[i].rc);
		if (cases[i].rc < 0)
			continue;
		assert_int_equal(octets, cases[i].octets);
		assert_int_equal(last, cases[i].last);
	}
}

static void
count(void *ctx, struct slice text)
{
	buf_addslice(ctx, text);
	buf_addc(ctx, '|');
}

/* RFC 5321 4.2, RFC 2034 3; code below 0: the error. */
static void
test_replies(void **state)
{
	static const struct {
		const char *in;
		int code;
		const char *status, *text, *lines;
	} cases[] = {
		{ "250 ok\r\n", 250, "", "ok", "ok|" },
		{ "250\r\n", 250, "", "", "|" }, { "354 \n", 354, "", "", "|" },
		{ "250-a\r\n250-b c\r\n250 d\r\n", 250, "", "a b c d",
		    "a|b c|d|" },
		{ "550-5.1.1 no\r\n550 5.1.1 such\r\n", 550, "5.1.1",
		    "no such", "5.1.1 no|5.1.1 such|" },
		{ "250 2.1.5\r\n", 250, "2.1.5", "", "2.1.5|" },
		{ "250 5.1.1 x\r\n", 250, "", "5.1.1 x", "5.1.1 x|" },
		{ "250 2.1.5x\r\n", 250, "", "2.1.5x", "2.1.5x|" },
		{ "250 2.1\r\n", 250, "", "2.1", "2.1|" },
		{ "\r\n", ERR_SYNTAX, "", "", "" },
		{ "25 x\r\n", ERR_SYNTAX, "", "", "" },
		{ "150 x\r\n", ERR_SYNTAX, "", "", "" },
		{ "650 x\r\n", ERR_SYNTAX, "", "", "" },
		{ "2500 x\r\n", ERR_SYNTAX, "", "", "" },
		{ "250-x\r\n251 x\r\n", ERR_SYNTAX, "", "", "x|" },
		{ "HTTP/1.1 200 OK\r\n", ERR_SYNTAX, "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t piece = 1; piece < 90; piece += 88) {
			struct smtp_reply_parser p;
			struct buf lines = BUF_INIT;
			struct err e = ERR_INIT;
			size_t used, n, len = strlen(cases[i].in);
			int rc = 0;

			smtp_reply_parser_init(&p);
			for (size_t pos = 0; pos < len && rc == 0; pos += n) {
				n = len - pos < piece ? len - pos : piece;
				rc = smtp_reply_parse(&p, cases[i].in + pos, n,
				    &used, count, &lines, &e);
			}
			if ((rc == 1 ? p.reply.code : rc) != cases[i].code)
				fail_msg("%s: %d", cases[i].in, rc);
			assert_string_equal(buf_cstr(&lines), cases[i].lines);
			if (rc == 1) {
				assert_string_equal(p.reply.status,
				    cases[i].status);
				assert_string_equal(p.reply.text,
				    cases[i].text);
			}
			smtp_reply_parser_release(&p);
			buf_release(&lines);
		}
	}
}

/* What never ends is refused before memory grows. */
static void
test_endless_reply(void **state)
{
	struct smtp_reply_parser p;
	struct err e = ERR_INIT;
	size_t used;
	int rc = 0;

	(void)state;
	smtp_reply_parser_init(&p);
	for (int i = 0; i < 5000 && rc == 0; i++)
		rc = smtp_reply_parse(&p, "250", 3, &used, NULL, NULL, &e);
	assert_int_equal(rc, ERR_LIMIT);
	smtp_reply_parser_release(&p);
	smtp_reply_parser_init(&p);
	for (rc = 0; rc == 0;)
		rc = smtp_reply_parse(&p, "250-x\r\n", 7, &used, NULL, NULL,
		    &e);
	assert_int_equal(rc, ERR_LIMIT);
	smtp_reply_parser_release(&p);
}

static void
test_write_reply(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	smtp_write_reply(&out, 250, NULL, "a\nb");
	smtp_write_reply(&out, 550, "5.1.1", "x\ny\r\xe4");
	smtp_write_reply(&out, 354, "", "");
	assert_string_equal(buf_cstr(&out), "250-a\r\n250 b\r\n"
	    "550-5.1.1 x\r\n550 5.1.1 y??\r\n354 \r\n");
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_orcpt_utf8),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_endless_reply),
		cmocka_unit_test(test_write_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
