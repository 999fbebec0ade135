/* SPDX-License-Identifier: ISC */
/* RFC 5321 4.5.2: dots go and come, and only one thing ends data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtp/dots.h"

/* wire: what is sent, up to the end of data; rest: octets left behind it. */
static const struct {
	const char *wire, *content;
	bool lf;
	size_t rest;
	uint64_t lines;
} cases[] = {
	{ ".\r\n", "", false, 0, 1 },
	{ ".\r\nQUIT\r\n", "", false, 6, 1 },
	{ "a\r\n.\r\n.\r\n", "a\r\n", false, 3, 2 },
	{ "..\r\n.\r\n", ".\r\n", false, 0, 2 },
	{ ".a\r\n...\r\n.\r\n", "a\r\n..\r\n", false, 0, 3 },
	{ ". \r\n.\r\n", " \r\n", false, 0, 2 },
	{ "\r\n\r\n.\r\n", "\r\n\r\n", false, 0, 3 },
	{ "a\n.\n.\r\nb\r\n.\r\n", "a\n.\n.\r\nb\r\n", false, 0, 5 },
	{ ".\n\r\n.\r\n", "\n\r\n", false, 0, 3 },
	{ "a\r.\r\n.\r\n", "a\r.\r\n", false, 0, 2 },
	{ ".\n", "", true, 0, 1 },
	{ "a\n..b\n.\n.\n", "a\n.b\n", true, 2, 3 },
	{ "a\r\n.\r\n.\n", "a\r\n\r\n", true, 0, 3 },
};

static void
test_reader(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t piece = 1; piece < 30; piece++) {
			struct dot_reader d;
			struct buf out = BUF_INIT;
			struct slice run;
			size_t len = strlen(cases[i].wire), pos = 0, n, used;
			int end = 0;

			dot_reader_init(&d, cases[i].lf, 100);
			while (end == 0) {
				assert_true(pos < len);
				n = len - pos < piece ? len - pos : piece;
				end = dot_reader_next(&d, cases[i].wire + pos,
				    n, &used, &run);
				assert_in_range(used, 1, n);
				buf_addslice(&out, run);
				pos += used;
			}
			assert_string_equal(buf_cstr(&out), cases[i].content);
			assert_int_equal(len - pos, cases[i].rest);
			assert_int_equal(d.lines, cases[i].lines);
			assert_false(d.too_long);
			buf_release(&out);
		}
	}
}

static void
test_writer(void **state)
{
	static const struct {
		const char *content, *wire;
	} rows[] = {
		{ "", ".\r\n" },
		{ ".", "..\r\n.\r\n" },
		{ "a\r\n", "a\r\n.\r\n" },
		{ "a", "a\r\n.\r\n" },
		{ ".\r\n.\r\n..\r\n", "..\r\n..\r\n...\r\n.\r\n" },
		{ "a\n.\n", "a\n..\n\r\n.\r\n" },
		{ "a.\r\nb.", "a.\r\nb.\r\n.\r\n" },
		{ "\r\n.a\r", "\r\n..a\r\r\n.\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t piece = 1; piece < 20; piece++) {
			struct dot_writer w;
			struct buf out = BUF_INIT;
			size_t len = strlen(rows[i].content), n;

			dot_writer_init(&w);
			for (size_t pos = 0; pos < len; pos += n) {
				n = len - pos < piece ? len - pos : piece;
				dot_writer_add(&w, &out,
				    rows[i].content + pos, n);
			}
			dot_writer_end(&w, &out);
			assert_string_equal(buf_cstr(&out), rows[i].wire);
			buf_release(&out);
		}
	}
}

/* Content to the wire and back, for every short text of these octets. */
static void
test_round(void **state)
{
	static const char octets[] = "\r\n.x";

	(void)state;
	for (unsigned n = 0; n < 4096; n++) {
		char text[8] = "";
		struct dot_writer w;
		struct dot_reader d;
		struct buf wire = BUF_INIT, back = BUF_INIT;
		struct slice run;
		size_t used;

		for (unsigned k = 0, v = n; k < 4; k++, v /= 4)
			text[k] = octets[v % 4];
		memcpy(text + 4, "\r\n", 3);
		dot_writer_init(&w);
		dot_writer_add(&w, &wire, text, 6);
		dot_writer_end(&w, &wire);
		dot_reader_init(&d, false, 100);
		while (dot_reader_next(&d, wire.ptr, wire.len, &used,
		    &run) == 0) {
			buf_addslice(&back, run);
			buf_consume(&wire, used);
			assert_true(wire.len > 0);
		}
		assert_int_equal(wire.len, used);
		/* With a bare LF the dot behind it stays doubled: nothing
		 * like it is sent by DATA. */
		if (strstr(text, "\n.") == NULL || strstr(text, "\r\n.") ==
		    strstr(text, "\n.") - 1)
			assert_true(back.len >= 6);
		if (strstr(text, "\n.") == NULL)
			assert_string_equal(buf_cstr(&back), text);
		buf_release(&wire);
		buf_release(&back);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
