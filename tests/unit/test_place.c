/* SPDX-License-Identifier: ISC */
/* Places as settings of transports name them. */
#include "transports/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
good(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} cases[] = {
		{ "oslo.example:4004", "oslo.example", "4004" },
		{ "127.0.0.1:uucp", "127.0.0.1", "uucp" },
		{ "h:sge_execd", "h", "sge_execd" },	/* in services(5) */
		{ "h:whois++", "h", "whois++" },
		{ "[::1]:25", "::1", "25" }, { "/run/link", "/run/link", NULL },
		{ "/run/a:b", "/run/a:b", NULL }, { "/", "/", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct place p;

		assert_int_equal(place_parse(cases[i].text, &p), 0);
		assert_string_equal(p.host, cases[i].host);
		if (cases[i].port == NULL)
			assert_null(p.port);
		else
			assert_string_equal(p.port, cases[i].port);
		place_release(&p);
	}
}

static void
bad(void **state)
{
	static const char *const cases[] = { "", "oslo", "oslo:", ":25", ":",
		"::1:25", "h:0", "h:65536", "h:12x!", "h: 25", "[::1:25",
		"[]:25", "[::1]", "]:25:", "[:1", "[" };
	struct place p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(place_parse(cases[i], &p), ERR_SYNTAX);
		assert_null(p.host);
		assert_null(p.port);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good), cmocka_unit_test(bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
