/* SPDX-License-Identifier: ISC */
/* Envelopes, what a message needs, and the facts about content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "smtp/envelope.h"
#include "smtp/extension.h"

#define TEXT(s) (s), sizeof(s) - 1
#define L98 "123456789012345678901234567890123456789012345678901234567890" \
	"12345678901234567890123456789012345678"
#define L900 L98 L98 L98 L98 L98 L98 L98 L98 L98 "123456789012345678"

static const struct {
	const char *text;
	size_t len;
	unsigned flags, received;
} contents[] = {
	{ TEXT(""), 0, 0 },
	{ TEXT("Subject: x\r\n\r\nbody\r\n"), 0, 0 },
	{ TEXT("x"), CONTENT_OPEN_END, 0 },
	{ TEXT("x\r\ny"), CONTENT_OPEN_END, 0 },
	{ TEXT("\r"), CONTENT_BARE | CONTENT_OPEN_END, 0 },
	{ TEXT("\n"), CONTENT_BARE | CONTENT_OPEN_END, 0 },
	{ TEXT("\n\r"), CONTENT_BARE | CONTENT_OPEN_END, 0 },
	{ TEXT("\r\r\n"), CONTENT_BARE, 0 },
	{ TEXT("a\nb\r\n"), CONTENT_BARE, 0 },
	{ TEXT("a\rb\r\n"), CONTENT_BARE, 0 },
	{ TEXT("a: \xe4\r\n\r\n\r\n"), CONTENT_8BIT | CONTENT_8BIT_HEADER, 0 },
	{ TEXT("a: b\r\n\r\n\xe4\r\n"), CONTENT_8BIT, 0 },
	{ TEXT("a: b\r\n\r\n\0\r\n"), CONTENT_NUL, 0 },
	{ TEXT("Received: x\r\nreceived:y\r\n Received: no\r\n"
	    "X-Received: no\r\nReceived-SPF: no\r\n\r\nReceived: no\r\n"),
	    0, 2 },
	/* RFC 5321 4.5.3.1.6 */
	{ TEXT("a: b\r\n\r\n" L900 L98 "\r\n"), 0, 0 },
	{ TEXT("a: b\r\n\r\n" L900 L98 "9\r\n"), CONTENT_LONG, 0 },
	{ TEXT("a: b\r\n\r\n" L900 L98 "9"), CONTENT_LONG | CONTENT_OPEN_END,
	    0 },
	{ TEXT(L900 L98 "9\r\n"), CONTENT_LONG, 0 },
	{ TEXT("\r\n" L900 "\r\n" L98 "\r\n" L98 L98 "\r\nx\r\n"), 0, 0 },
	/* what blocks of the fast path may miss, at any place in them */
	{ TEXT("\r\n" L900 "\xe4\r\n"), CONTENT_8BIT, 0 },
	{ TEXT("\r\n" L900 "\0\r\n" L900 "\r\n"), CONTENT_NUL, 0 },
	{ TEXT("\r\n" L98 "\n" L900 "\r\n"), CONTENT_BARE, 0 },
	{ TEXT("\r\n" L98 "\r" L98 "\r\n"), CONTENT_BARE, 0 },
};

static struct content_facts
scan(const char *text, size_t len, size_t piece)
{
	struct content_scanner s;
	char *copy;
	size_t n;

	content_scanner_init(&s);
	for (size_t pos = 0; pos < len; pos += n) {
		n = len - pos < piece ? len - pos : piece;
		copy = mem_alloc(n, 1);
		memcpy(copy, text + pos, n);
		content_scanner_add(&s, copy, n);
		free(copy);
	}
	content_scanner_end(&s);
	return s.facts;
}

static void
test_scanner(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		for (size_t piece = 1; piece <= 200; piece++) {
			struct content_facts f = scan(contents[i].text,
			    contents[i].len, piece == 200 ? SIZE_MAX : piece);

			if (f.flags != contents[i].flags ||
			    f.received != contents[i].received ||
			    f.octets != contents[i].len)
				fail_msg("row %zu, pieces of %zu: %#x, %u", i,
				    piece, f.flags, f.received);
		}
	}
}

/* One fault, at every place of a body of lines of every length. */
static void
test_fault_anywhere(void **state)
{
	static const struct {
		char octet;
		unsigned flags;
	} faults[] = {
		{ '\r', CONTENT_BARE }, { '\n', CONTENT_BARE },
		{ '\0', CONTENT_NUL }, { '\x80', CONTENT_8BIT },
		{ 'x', 0 },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(faults) / sizeof(faults[0]); k++) {
		for (size_t at = 0; at < 300; at++) {
			struct buf b = BUF_INIT;

			buf_adds(&b, "a: b\r\n\r\n");
			for (size_t n = 0; n < 300; n++) {
				if (n == at)
					buf_addc(&b, faults[k].octet);
				buf_adds(&b, n % 71 == 70 ? "x\r\n" : "x");
			}
			buf_adds(&b, "\r\n");
			assert_int_equal(scan(b.ptr, b.len, SIZE_MAX).flags,
			    faults[k].flags);
			buf_release(&b);
		}
	}
}

/* RFC 3461 4.1 */
static void
test_notify(void **state)
{
	static const struct {
		const char *text;
		int bits;
	} cases[] = {
		{ NULL, 0 }, { "NEVER", SMTP_NOTIFY_NEVER },
		{ "success,Failure,DELAY", SMTP_NOTIFY_SUCCESS |
		    SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY },
		{ "", -1 }, { ",", -1 }, { "NEVER,DELAY", -1 },
		{ "DELAY,", -1 }, { "DELAY, SUCCESS", -1 }, { "ALWAYS", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(smtp_notify_parse(cases[i].text),
		    cases[i].bits);
}

static void
test_needs(void **state)
{
	static const struct {
		unsigned flags;
		enum smtp_body body;
		bool smtputf8;
		unsigned needs;
	} cases[] = {
		{ 0, SMTP_BODY_NONE, false, 0 },
		{ 0, SMTP_BODY_8BITMIME, true, 0 },
		{ CONTENT_8BIT, SMTP_BODY_NONE, false, SMTP_EXT_8BITMIME },
		{ CONTENT_8BIT | CONTENT_8BIT_HEADER, SMTP_BODY_NONE, true,
		    SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 },
		{ CONTENT_BARE, SMTP_BODY_NONE, false, SMTP_EXT_CHUNKING },
		{ CONTENT_OPEN_END, SMTP_BODY_NONE, false,
		    SMTP_EXT_CHUNKING },
		{ CONTENT_8BIT, SMTP_BODY_BINARYMIME, false,
		    SMTP_EXT_CHUNKING | SMTP_EXT_BINARYMIME },
		{ CONTENT_NUL | CONTENT_LONG, SMTP_BODY_NONE, false, 0 },
	};
	static const size_t second = 1;
	struct content_facts facts = { 0, 0, 0 };
	struct envelope env;

	(void)state;
	envelope_init(&env);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		env.body = cases[i].body;
		env.smtputf8 = cases[i].smtputf8;
		facts.flags = cases[i].flags;
		assert_int_equal(envelope_needs(&env, &facts),
		    cases[i].needs);
	}
	envelope_clear(&env);
	facts.flags = 0;
	envelope_add_recipient(&env, "\xc3\xb6@b", NULL, NULL);
	envelope_add_recipient(&env, "o@b", NULL, NULL);
	assert_int_equal(envelope_needs(&env, &facts), SMTP_EXT_SMTPUTF8);
	assert_int_equal(envelope_needs_for(&env, &facts, &second, 1), 0);
	envelope_release(&env);
}

static void
test_copy(void **state)
{
	struct envelope a, b;

	(void)state;
	envelope_init(&a);
	envelope_init(&b);
	a.helo = mem_strdup("h");
	a.sender = mem_strdup("");
	a.size_given = true;
	a.size = 7;
	for (size_t i = 0; i < 20; i++)
		envelope_add_recipient(&a, "r@s", i == 3 ? "NEVER" : NULL,
		    i == 4 ? "rfc822;x" : NULL);
	envelope_copy(&b, &a);
	envelope_clear(&a);
	assert_string_equal(a.helo, "h");
	assert_int_equal(a.nrcpt, 0);
	assert_null(a.sender);
	assert_int_equal(b.nrcpt, 20);
	assert_string_equal(b.sender, "");
	assert_string_equal(b.rcpt[3].notify, "NEVER");
	assert_string_equal(b.rcpt[4].orcpt, "rfc822;x");
	assert_null(b.rcpt[5].orcpt);
	for (size_t i = 20; i > 0; i--)
		envelope_drop_recipient(&b);
	envelope_add_recipient(&b, "t@u", NULL, NULL);
	assert_string_equal(b.rcpt[0].address, "t@u");
	envelope_release(&a);
	envelope_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scanner),
		cmocka_unit_test(test_fault_anywhere),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
