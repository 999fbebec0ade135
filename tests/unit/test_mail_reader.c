/* SPDX-License-Identifier: ISC */
/* Mails at a bundle address: parcels behind whatever hops made of them,
 * objects, returned mail of many systems, and everything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "bundle/armour.h"
#include "bundle/mail_reader.h"
#include "tests/unit/octets.h"

#define TOP "From: <bundles@paris.example>\r\nTo: <b@london.example>\r\n" \
	"Message-ID: <abc@paris.example>\r\nMIME-Version: 1.0\r\n"
#define PLAIN "Content-Type: " MAIL_PARCEL_TYPE "\r\n"
#define ARMOURED "Content-Type: " MAIL_ARMOUR_TYPE "\r\n"
#define CTE "Content-Transfer-Encoding: "

struct read {
	struct mail_reader *reader;
	struct buf out;
	enum mail_kind kind;
	const struct mail_facts *facts;
	int rc;
	struct err e;
};

static void
read_mail(struct read *d, struct slice mail, size_t step)
{
	memset(d, 0, sizeof(*d));
	d->reader = mail_reader_new(sink_to_buf, &d->out);
	for (size_t at = 0; d->rc == 0 && at < mail.len; at += step)
		d->rc = mail_reader_add(d->reader, mail.ptr + at,
		    mail.len - at < step ? mail.len - at : step, &d->e);
	if (d->rc == 0)
		d->rc = mail_reader_end(d->reader, &d->e);
	d->kind = mail_reader_kind(d->reader);
	d->facts = mail_reader_facts(d->reader);
}

static void
read_free(struct read *d)
{
	mail_reader_free(d->reader);
	buf_release(&d->out);
}

/* Line ends as a pipe gives them. */
static void
lf_only(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] != '\r' || i + 1 == s.len ||
		    s.ptr[i + 1] != '\n')
			buf_addc(out, s.ptr[i]);
}

static void
check_parcel(struct slice mail, struct slice want)
{
	static const size_t steps[] = { 1, 2, 3, 77, 100000000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct read d;

		read_mail(&d, mail, steps[i]);
		assert_string_equal(d.e.text, "");
		assert_int_equal(d.rc, 0);
		assert_int_equal(d.kind, MAIL_PARCEL);
		assert_true(slice_eq(buf_slice(&d.out), want));
		assert_string_equal(d.facts->from, "bundles@paris.example");
		assert_string_equal(d.facts->message_id,
		    "<abc@paris.example>");
		read_free(&d);
	}
}

/* "Zm9vYmFy" is RFC 4648's vector for "foobar". */
static void
test_parcel(void **state)
{
	static const char *const mails[] = {
		TOP PLAIN CTE "base64\r\n\r\nZm9vYmFy\r\n",
		TOP PLAIN CTE "BASE64 (yes)\r\n\r\nZm9v\r\nYmFy\r\n\r\n",
		TOP PLAIN CTE "binary\r\n\r\nfoobar",
		TOP PLAIN CTE "quoted-printable\r\n\r\nfoo=\r\n=62ar=",
		/* a part of something, with what lists add */
		TOP "Content-Type: multipart/mixed; boundary=\"=x=\"\r\n\r\n"
		    "This is MIME.\r\n--=x=\r\n" PLAIN CTE "base64\r\n\r\n"
		    "Zm9vYmFy\r\n\r\n--=x=\r\nContent-Type: text/plain\r\n\r\n"
		    "You are on a list.\r\n--=x=--\r\n",
		TOP "Content-Type: multipart/mixed; boundary=a\r\n\r\n"
		    "--a\r\n\r\nhello\r\n--a\r\n"
		    "Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab  "
		    "\r\n" PLAIN CTE "binary\r\n\r\nfoobar\r\n--ab--\r\n"
		    "--a--\r\nand more\r\n",
		/* no closing boundary */
		TOP "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
		    PLAIN CTE "base64\r\n\r\nZm9vYmFy",
		/* the second is not looked at */
		TOP "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
		    PLAIN CTE "base64\r\n\r\nZm9vYmFy\r\n--a\r\n" PLAIN CTE
		    "base64\r\n\r\nZm9vYmFy\r\n--a--\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		struct buf lf = BUF_INIT;

		check_parcel(slice_of(mails[i]), SLICE_LIT("foobar"));
		lf_only(&lf, slice_of(mails[i]));
		check_parcel(buf_slice(&lf), SLICE_LIT("foobar"));
		buf_release(&lf);
	}
}

static void
armour(struct buf *out, struct slice bytes)
{
	struct armour_encoder a;

	armour_encoder_init(&a);
	armour_encoder_add(&a, out, bytes.ptr, bytes.len);
	armour_encoder_end(&a, out);
}

/* As Postfix does where the next server lacks 8BITMIME (RFC 2045 6.7). */
static void
quoted_printable(struct buf *out, struct slice s)
{
	size_t column = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c == '\r') {
			buf_add(out, "\r\n", 2);
			column = 0;
			i++;
			continue;
		}
		if (column > 72) {
			buf_adds(out, "=\r\n");
			column = 0;
		}
		if (c < 33 || c > 126 || c == '=') {
			buf_addf(out, "=%02X", c);
			column += 3;
		} else {
			buf_addc(out, (char)c);
			column++;
		}
	}
}

/* Random octets in armour: as it left, and coded again by a hop. */
static void
test_armour(void **state)
{
	struct buf bytes = BUF_INIT, text = BUF_INIT, mail = BUF_INIT;
	struct buf lf = BUF_INIT;
	struct base64_encoder base64;
	struct rng_seeded rng;

	(void)state;
	rng_seeded_init(&rng, 5);
	rng_fill(&rng.rng, buf_room(&bytes, 30000), 30000);
	buf_grown(&bytes, 30000);
	armour(&text, buf_slice(&bytes));

	buf_adds(&mail, TOP ARMOURED CTE "8bit\r\n\r\n");
	buf_addslice(&mail, buf_slice(&text));
	check_parcel(buf_slice(&mail), buf_slice(&bytes));
	buf_adds(&mail, "_____\r\nThe list of bundles\r\n");
	check_parcel(buf_slice(&mail), buf_slice(&bytes));

	lf_only(&lf, buf_slice(&mail));
	check_parcel(buf_slice(&lf), buf_slice(&bytes));
	buf_release(&lf);
	buf_clear(&mail);
	buf_adds(&mail, TOP ARMOURED CTE "quoted-printable\r\n\r\n");
	quoted_printable(&mail, buf_slice(&text));
	check_parcel(buf_slice(&mail), buf_slice(&bytes));

	buf_clear(&mail);
	buf_adds(&mail, TOP "Content-Type: multipart/mixed; boundary=x\r\n"
	    "\r\n--x\r\n" ARMOURED CTE "base64\r\n\r\n");
	base64_encoder_init(&base64);
	base64_encoder_add(&base64, &mail, text.ptr, text.len);
	base64_encoder_end(&base64, &mail);
	buf_adds(&mail, "--x\r\n\r\nbye\r\n--x--\r\n");
	check_parcel(buf_slice(&mail), buf_slice(&bytes));
	buf_release(&bytes);
	buf_release(&text);
	buf_release(&mail);
}

static void
test_broken(void **state)
{
	static const char *const mails[] = {
		TOP PLAIN CTE "base64\r\n\r\nZm9vYmF\r\n",
		TOP PLAIN CTE "base64\r\n\r\n\r\n",
		TOP PLAIN CTE "x-uuencode\r\n\r\nfoobar\r\n",
		TOP ARMOURED CTE "8bit\r\n\r\n\x8b\x8c\x8d\r\n",
		TOP ARMOURED CTE "8bit\r\n\r\n\x8b\x8c\r\n==3 364b3fb7\r\n",
		TOP ARMOURED CTE "base64\r\n\r\ni4yN\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		for (size_t step = 1; step < 1000; step += 998) {
			struct read d;

			read_mail(&d, slice_of(mails[i]), step);
			assert_int_equal(d.rc, ERR_SYNTAX);
			assert_int_equal(d.kind, MAIL_PARCEL);
			assert_string_not_equal(d.e.text, "");
			read_free(&d);
		}
	}
}

/* The whole mail, or one made of the part. */
static void
test_object(void **state)
{
#define BATCH "Content-Type: Application/batch-SMTP\r\n" CTE "7bit\r\n\r\n" \
	"EHLO x\r\nQUIT\r\n"
	static const struct {
		const char *mail, *out;
	} cases[] = {
		{ TOP BATCH, TOP BATCH },
		{ "From x Mon\n" TOP BATCH, "From x Mon\n" TOP BATCH },
		{ TOP "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x"
		    "\r\n" BATCH "\r\n--x\r\n\r\nbye\r\n--x--\r\n",
		    "MIME-Version: 1.0\r\nMessage-ID: <abc@paris.example>\r\n"
		    BATCH },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 1000; step += 998) {
			struct read d;

			read_mail(&d, slice_of(cases[i].mail), step);
			assert_int_equal(d.rc, 0);
			assert_int_equal(d.kind, MAIL_OBJECT);
			assert_string_equal(buf_cstr(&d.out), cases[i].out);
			read_free(&d);
		}
	}
}

#define DAEMON "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example (Mail " \
	"Delivery System)\r\nTo: bundles@paris.example\r\n"
#define REPORT "MIME-Version: 1.0\r\nContent-Type: multipart/report; " \
	"report-type=delivery-status;\r\n\tboundary=\"B.1/mx\"\r\n\r\n" \
	"This is a MIME-encapsulated message.\r\n\r\n--B.1/mx\r\n" \
	"Content-Type: text/plain; charset=us-ascii\r\n\r\n" \
	"I'm sorry: 571 9.9.9 words that are not looked at\r\n\r\n--B.1/mx\r\n"
#define STATUS "Content-Type: message/delivery-status\r\n\r\n" \
	"Reporting-MTA: dns; mx.example\r\n" \
	"Arrival-Date: Mon, 23 Nov 2026 02:00:00 +0000 (UTC)\r\n\r\n" \
	"Final-Recipient: rfc822; bundles@london.example\r\n"
#define ORIGINAL "\r\n--B.1/mx\r\nContent-Type: message/rfc822\r\n\r\n" TOP \
	PLAIN CTE "base64\r\n\r\nZm9vYmFy\r\n\r\n--B.1/mx--\r\n"
#define HEADERS "\r\n--B.1/mx\r\nContent-Type: text/rfc822-headers\r\n\r\n" \
		"Received: from a by b\r\n" TOP PLAIN "\r\n--B.1/mx--\r\n"
#define QMAIL "Hi. This is the qmail-send program at mx.example.\r\n" \
	"I'm afraid I wasn't able to deliver your message to the following " \
	"addresses.\r\nThis is a permanent error; I've given up. Sorry it " \
	"didn't work out.\r\n\r\n<bundles@london.example>:\r\n"

static const struct {
	const char *mail;
	enum mail_action action;
	const char *status, *text;
} returns[] = {
	/* RFC 3464, as Postfix writes it */
	{ DAEMON REPORT STATUS "Original-Recipient: rfc822;b@l.example\r\n"
	    "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; l.example\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 <b@l.example>: Recipient\r\n"
	    "    address rejected\r\n" ORIGINAL, MAIL_FAILED_PERMANENT,
	    "5.1.1", "550 5.1.1 <b@l.example>: Recipient address rejected" },
	{ DAEMON REPORT STATUS "Action: failed\r\nStatus: 4.4.1\r\n"
	    "Diagnostic-Code: X-Postfix; connection timed out\r\n" HEADERS,
	    MAIL_FAILED_TEMPORARY, "4.4.1", "connection timed out" },
	{ DAEMON REPORT STATUS "Action: delayed\r\nStatus: 4.4.1\r\n"
	    "Will-Retry-Until: Sat, 28 Nov 2026 02:00:00 +0000\r\n" HEADERS,
	    MAIL_DELAYED, "4.4.1", "" },
	{ DAEMON REPORT STATUS "Action: relayed (to nobody)\r\n"
	    "Status: 2.0.0\r\n" HEADERS, MAIL_PASSED, "2.0.0", "" },
	/* several recipients: the worst; upper case; no status */
	{ DAEMON REPORT STATUS "Action: delivered\r\nStatus: 2.1.5\r\n\r\n"
	    "Final-Recipient: rfc822; c@d\r\nACTION: Failed\r\n\r\n"
	    "Final-Recipient: rfc822; e@f\r\nAction: delayed\r\n" HEADERS,
	    MAIL_FAILED_PERMANENT, "5.0.0", "" },
	/* no original, but the envelope's id */
	{ DAEMON REPORT "Content-Type: message/delivery-status\r\n\r\n"
	    "Original-Envelope-Id: abc@paris.example\r\nReporting-MTA: dns; "
	    "x\r\n\r\nAction: failed\r\nStatus: 5.7.1\r\n\r\n--B.1/mx--\r\n",
	    MAIL_FAILED_PERMANENT, "5.7.1", "" },
	/* qmail */
	{ "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\n"
	    "Subject: failure notice\r\n\r\n" QMAIL
	    "10.0.0.1 does not like recipient.\r\nRemote host said: 550 No "
	    "such mailbox\r\nGiving up on 10.0.0.1.\r\n\r\n"
	    "--- Below this line is a copy of the message.\r\n\r\n"
	    "Return-Path: <bundles@paris.example>\r\n" TOP "\r\n450 x\r\n",
	    MAIL_FAILED_PERMANENT, "5.0.0", "Remote host said: 550 No such "
	    "mailbox" },
	/* Exim before it had reports */
	{ "From: Mail Delivery System <Mailer-Daemon@mx.example>\r\n"
	    "X-Failed-Recipients: bundles@london.example\r\nSubject: Mail "
	    "delivery failed: returning message to sender\r\n\r\n"
	    "This message was created automatically by mail delivery "
	    "software.\r\n\r\nA message that you sent could not be delivered "
	    "to one or more of its\r\nrecipients. This is a permanent error. "
	    "The following address(es) failed:\r\n\r\n"
	    "  bundles@london.example\r\n    SMTP error from remote mail "
	    "server after RCPT TO:<b@l>:\r\n    host l [10.0.0.1]: 552 5.2.2 "
	    "full\r\n\r\n------ This is a copy of the message, including all "
	    "the headers. ------\r\n\r\n" TOP "\r\nx\r\n",
	    MAIL_FAILED_PERMANENT, "5.2.2",
	    "host l [10.0.0.1]: 552 5.2.2 full" },
	{ "From: Mail Delivery System <Mailer-Daemon@mx.example>\r\n"
	    "Subject: Warning: message 1abc delayed 24 hours\r\n\r\n"
	    "A message that you have sent has not yet been delivered to one "
	    "or more of\r\nits recipients after more than 24 hours.\r\n\r\n"
	    "The message identifier is: 1abc\r\nMessage-ID: <abc@paris.example>"
	    "\r\n\r\nNo action is required on your part.\r\n",
	    MAIL_DELAYED, "4.0.0", "" },
	/* nobody's name, but RFC 3834's field */
	{ "From: Mail <noreply@mx.example>\r\nAuto-Submitted: auto-notified"
	    "\r\n\r\nYour mail could not be delivered.\r\n\r\n"
	    "Message-ID: <abc@paris.example>\r\n", MAIL_FAILED_PERMANENT,
	    "5.0.0", "Your mail could not be delivered." },
	/* sendmail 8.6, the header quoted and folded */
	{ "From: MAILER-DAEMON (Mail Delivery Subsystem)\r\nSubject: Returned "
	    "mail: User unknown\r\n\r\n   ----- Transcript of session follows "
	    "-----\r\n... while talking to l.example.:\r\n>>> RCPT To:<b@l>\r\n"
	    "<<< 451 try later\r\n\r\n   ----- Unsent message follows -----"
	    "\r\n> Return-Path: <x@y>\r\n> message-id:\r\n>  "
	    "<abc@paris.example>\r\n", MAIL_FAILED_TEMPORARY, "4.0.0",
	    "<<< 451 try later" },
};

static void
test_return(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(returns) / sizeof(returns[0]); i++) {
		for (size_t step = 1; step < 1000; step += 998) {
			struct read d;
			char *name;

			read_mail(&d, slice_of(returns[i].mail), step);
			assert_int_equal(d.rc, 0);
			assert_int_equal(d.kind, MAIL_RETURN);
			assert_int_equal(d.out.len, 0);
			assert_int_equal(d.facts->action, returns[i].action);
			assert_string_equal(d.facts->status,
			    returns[i].status);
			assert_string_equal(d.facts->text, returns[i].text);
			name = mail_returned_name(d.facts,
			    "any@PARIS.example");
			assert_string_equal(name, "abc");
			free(name);
			assert_null(mail_returned_name(d.facts, "a@b"));
			read_free(&d);
		}
	}
}

static void
test_other(void **state)
{
	static const char *const mails[] = {
		"", "\r\n", "\r\nbody\r\n", "no header at all", "A: b\r\n",
		TOP "\r\nbody\r\n",
		TOP "Content-Type: application/octet-stream\r\n\r\nx\r\n",
		/* people who quote, and programs that quote nothing */
		"From: <a@b.example>\r\n\r\nWhat is this? It says 550 5.1.1 "
		    "user unknown.\r\n> Message-ID: <abc@paris.example>\r\n",
		DAEMON "\r\n550 5.1.1 User unknown\r\n",
		"From: <a@b.example>\r\nAuto-Submitted: no\r\n\r\n550 5.1.1 "
		    "x\r\nMessage-ID: <abc@paris.example>\r\n",
		DAEMON "Auto-Submitted: auto-replied\r\nSubject: I am away"
		    "\r\n\r\nBack on Monday.\r\n> Message-ID: "
		    "<abc@paris.example>\r\n",
		/* what is inside a report or a forwarded mail is no parcel */
		DAEMON REPORT "Content-Type: message/rfc822\r\n\r\n" TOP PLAIN
		    CTE "base64\r\n\r\nZm9vYmFy\r\n--B.1/mx--\r\n",
		DAEMON REPORT PLAIN CTE "base64\r\n\r\nZm9vYmFy\r\n"
		    "--B.1/mx--\r\n",
		TOP "Content-Type: multipart/mixed\r\n\r\n--\r\n" PLAIN
		    "\r\nx\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mails) / sizeof(mails[0]); i++) {
		for (size_t step = 1; step < 1000; step += 998) {
			struct read d;

			read_mail(&d, slice_of(mails[i]), step);
			assert_int_equal(d.rc, 0);
			assert_int_equal(d.kind, MAIL_OTHER);
			assert_int_equal(d.out.len, 0);
			read_free(&d);
		}
	}
}

/* Ten thousand parts in each other, lines without end: it holds little. */
static void
test_large(void **state)
{
	struct mail_reader *r = mail_reader_new(NULL, NULL);
	struct err e = ERR_INIT;
	char text[128], *line = malloc(1000000);

	(void)state;
	memset(line, '-', 1000000);
	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "Content-Type: multipart/mixed; "
		    "boundary=b%d\r\n\r\n--b%d\r\n", i, i);
		assert_int_equal(mail_reader_add(r, text, strlen(text), &e),
		    0);
	}
	for (int i = 0; i < 20; i++)
		assert_int_equal(mail_reader_add(r, line, 1000000, &e), 0);
	assert_int_equal(mail_reader_end(r, &e), 0);
	assert_int_equal(mail_reader_kind(r), MAIL_OTHER);
	mail_reader_free(r);
	free(line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parcel),
		cmocka_unit_test(test_armour),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_object),
		cmocka_unit_test(test_return),
		cmocka_unit_test(test_other),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
