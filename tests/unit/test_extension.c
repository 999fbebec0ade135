/* SPDX-License-Identifier: ISC */
/* Keywords of EHLO and their bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp/extension.h"

static void
test_keywords(void **state)
{
	static const struct {
		const char *word;
		unsigned bit;
	} cases[] = {
		{ "PIPELINING", SMTP_EXT_PIPELINING },
		{ "pipelining", SMTP_EXT_PIPELINING },
		{ "8bitMIME", SMTP_EXT_8BITMIME },
		{ "Size", SMTP_EXT_SIZE },
		{ "DSN", SMTP_EXT_DSN }, { "NOTARY", SMTP_EXT_DSN },
		{ "MT-PRIORITY", SMTP_EXT_MT_PRIORITY },
		{ "XGZIP", SMTP_EXT_XGZIP },
		{ "XORIGIN", SMTP_EXT_XORIGIN },
		{ "", 0 }, { "SIZ", 0 }, { "SIZE ", 0 }, { "X-SIZE", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(smtp_extension_parse(slice_of(cases[i].word)),
		    cases[i].bit);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(smtp_extension_name(SMTP_EXT_DSN), "DSN");
	for (unsigned bit = 1; bit <= SMTP_EXT_XORIGIN; bit <<= 1)
		assert_int_equal(smtp_extension_parse(
		    slice_of(smtp_extension_name(bit))), bit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
