/* SPDX-License-Identifier: ISC */
/* The transfer encoding of an object, by content and road (RFC 2442 2.1, RFC
 * 2045 6). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/measure.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* `times` lines of "0123456789", then text; for 7bit, 8bit, binary. */
static const struct {
	const char *text;
	size_t len, times;
	enum mime_encoding want[3];
} cases[] = {
	{ "x\r\n", 3, 1, { MIME_7BIT, MIME_7BIT, MIME_7BIT } },
	{ "\xe4\r\n", 3, 10, { MIME_QUOTED_PRINTABLE, MIME_8BIT,
	    MIME_8BIT } },
	{ "\xe4\xe4\xe4\xe4\xe4\xe4\r\n", 8, 1, { MIME_BASE64, MIME_8BIT,
	    MIME_8BIT } },
	{ "a\nb\r\n", 5, 10, { MIME_QUOTED_PRINTABLE,
	    MIME_QUOTED_PRINTABLE, MIME_BINARY } },
	{ "\0\0\0\0\0\0\r\n", 8, 0, { MIME_BASE64, MIME_BASE64,
	    MIME_BINARY } },
	{ "x", 1, 0, { MIME_QUOTED_PRINTABLE, MIME_QUOTED_PRINTABLE,
	    MIME_BINARY } },
};

static enum mime_encoding
choose(size_t i, enum conf_path path, size_t piece)
{
	struct measure m;
	struct buf all = BUF_INIT;
	enum mime_encoding chosen;

	for (size_t n = 0; n < cases[i].times; n++)
		buf_adds(&all, "0123456789\r\n");
	buf_add(&all, cases[i].text, cases[i].len);
	measure_init(&m);
	for (size_t at = 0, n; at < all.len; at += n) {
		n = all.len - at < piece ? all.len - at : piece;
		measure_add(&m, all.ptr + at, n);
	}
	chosen = measure_choose(&m, path);
	buf_release(&all);
	return chosen;
}

static void
test_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t p = 0; p < 3; p++) {
			enum conf_path path = CONF_PATH_7BIT + (int)p;

			assert_int_equal(choose(i, path, SIZE_MAX),
			    cases[i].want[p]);
			assert_int_equal(choose(i, path, 1),
			    cases[i].want[p]);
		}
}

/* RFC 5321 4.5.3.1.6: 998 octets and CR LF. */
static void
test_long_lines(void **state)
{
	char line[1001];

	(void)state;
	for (size_t n = 998; n <= 999; n++) {
		struct measure m;

		memset(line, 'x', n);
		memcpy(line + n, "\r\n", 2);
		measure_init(&m);
		measure_add(&m, line, n + 2);
		assert_int_equal(measure_choose(&m, CONF_PATH_8BIT),
		    n == 998 ? MIME_7BIT : MIME_QUOTED_PRINTABLE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
