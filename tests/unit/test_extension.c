/* SPDX-License-Identifier: ISC */
/* Keywords of EHLO and their bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp/extension.h"
#include "smtp/offer.h"

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

/* A server that claims it gets no numbers of ours. */
static void
test_origin_is_not_offered(void **state)
{
	struct smtp_offer o = { 0 };

	(void)state;
	smtp_offer_line(&o, slice_of("mx.example"));
	smtp_offer_line(&o, slice_of("XORIGIN"));
	smtp_offer_line(&o, slice_of("SMTPUTF8"));
	assert_int_equal(o.extensions, SMTP_EXT_SMTPUTF8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_origin_is_not_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
