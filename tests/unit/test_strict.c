/* SPDX-License-Identifier: ISC */
/* Command lines and the letter of RFC 5321. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "smtp/strict.h"

static void
test_good(void **state)
{
	static const char *const good[] = {
		"HELO client.example", "EHLO [192.0.2.1]", "ehlo a",
		"EHLO [IPv6:2001:db8::1]", "MAIL FROM:<>", "mail from:<a@b>",
		"MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME", "RCPT TO:<postmaster>",
		"RCPT To:<@x.example:a@b.example>", "RCPT TO:<a@b> ", "DATA",
		"NOOP", "NOOP text", "RSET", "QUIT", "VRFY x", "HELP",
	};
	struct smtp_refusal r;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(smtp_strict_check(slice_of(good[i]), &r), 0);
}

#define X65 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void
test_bad(void **state)
{
	static const struct {
		const char *line;
		int code;
	} bad[] = {
		/* 4.1.1.1 */
		{ "HELO a b", 501 }, { "EHLO a.b.", 501 },
		{ "HELO [1.2.3]", 501 }, { "EHLO -a", 501 },
		/* 3.3 */
		{ "MAIL FROM: <a@b>", 501 }, { "MAIL FROM :<a@b>", 501 },
		{ "MAIL FROM:a@b", 501 }, { "MAIL <a@b>", 501 },
		{ "RCPT TO: <a@b>", 501 }, { "RCPT TO:a@b", 501 },
		{ "RCPT FROM:<a@b>", 501 }, { "MAIL FROM:", 501 },
		/* 4.5.3.1.1 */
		{ "MAIL FROM:<" X65 "@b>", 501 },
		{ "RCPT TO:<" X65 "@b>", 501 },
		/* of 1982 */
		{ "TICK 0001", 500 }, { "VERB ON", 500 }, { "VERBOSE", 500 },
		{ " DATA", 500 }, { "\tDATA", 500 },
	};
	struct smtp_refusal r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(smtp_strict_check(slice_of(bad[i].line), &r),
		    -1);
		assert_int_equal(r.code, bad[i].code);
		assert_true(r.text[0] != '\0');
	}
}

/* 4.5.3.1.4: 512 with CR LF; RFC 3461 4 has 500 more for RCPT; MAIL has 160
 * more by RFC 1870 (26), 6152 (17), 3461 (107) and 6531 (10). */
static void
test_lengths(void **state)
{
	static const struct {
		const char *start;
		size_t max;
	} cases[] = {
		{ "NOOP ", 512 }, { "RCPT TO:<a@b> X=", 1012 },
		{ "MAIL FROM:<a@b> X=", 672 },
	};
	struct smtp_refusal r;
	char line[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(line, 'x', sizeof(line));
		memcpy(line, cases[i].start, strlen(cases[i].start));
		assert_int_equal(smtp_strict_check((struct slice){ line,
			cases[i].max - 2 }, &r), 0);
		assert_int_equal(smtp_strict_check((struct slice){ line,
			cases[i].max - 1 }, &r), -1);
		assert_int_equal(r.code, 500);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
