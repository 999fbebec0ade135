/* SPDX-License-Identifier: ISC */
/*
 * Headers of objects (RFC 2045 5.1, 6.1; RFC 5322 2.2, 3.2.2; RFC 2231) and
 * quoted-printable (RFC 2045 6.7).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "bundle/mime.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Reads the header in pieces; *rest_out: octets behind it. */
static int
read_pieces(struct mime_reader *r, const char *text, size_t len, size_t piece,
    size_t *rest_out)
{
	struct err e = ERR_INIT;
	int rc = 0;
	size_t at = 0, used;

	mime_reader_init(r);
	while (rc == 0 && at < len) {
		size_t n = len - at < piece ? len - at : piece;

		rc = mime_reader_add(r, text + at, n, &used, &e);
		assert_true(rc != 0 || used == n);
		at += used;
	}
	*rest_out = len - at;
	return rc;
}

#define T "Content-Type: "
static const struct good {
	const char *header;
	const char *type, *required;
	enum mime_encoding encoding;
	bool lf;
} good[] = {
	{ T "application/batch-SMTP\r\n\r\n", "application/batch-smtp", NULL,
	    MIME_7BIT, false },
	{ "A: b\n\n", NULL, NULL, MIME_7BIT, true },
	{ "A: b\n" T "a/b\r\n\r\n", "a/b", NULL, MIME_7BIT, false },
	{ T "(c (d) \\) e) Application\r\n\t/ batch-SMTP\r\n (x)\r\n\r\n",
	    "application/batch-smtp", NULL, MIME_7BIT, false },
	{ "content-TYPE : A/B;required-extensions=SIZE\r\n\r\n", "a/b", "SIZE",
	    MIME_7BIT, false },
	{ T "a/b; Required-Extensions = \"8bitMIME, \\\"x\\\"\" (c)\r\n\r\n",
	    "a/b", "8bitMIME, \"x\"", MIME_7BIT, false },
	{ T "a/b; x=\"; required-extensions=no\"; y=z;\r\n\r\n", "a/b", NULL,
	    MIME_7BIT, false },
	{ T "a/b; required-extensions=SIZE,DSN\r\n\r\n", "a/b", "SIZE,DSN",
	    MIME_7BIT, false },
	{ T "a/b; required-extensions=\"\"\r\n\r\n", "a/b", "", MIME_7BIT,
	    false },
	{ T "a/b; required-extensions=\"A,\r\n B\"\r\n\r\n", "a/b", "A, B",
	    MIME_7BIT, false },
	/* said twice: both hold */
	{ T "a/b; required-extensions=A; required-extensions=B\r\n\r\n", "a/b",
	    "A,B", MIME_7BIT, false },
	/* RFC 2231 3, 4 */
	{ T "a/b; required-extensions*0=\"A,\"; required-extensions*1=B\r\n"
	    "\r\n", "a/b", "A,B", MIME_7BIT, false },
	{ T "a/b; required-extensions*=us-ascii'en'A%2CB%2\r\n\r\n", "a/b",
	    "A,B%2", MIME_7BIT, false },
	/* what cannot be read is required, and nobody has it */
	{ T "a/b; required-extensions=\"A\r\n\r\n", "a/b",
	    "required-extensions=\"A", MIME_7BIT, false },
	{ T "a/b x=y\r\n\r\n", "a/b", "x=y", MIME_7BIT, false },
	/* no type */
	{ T "text\r\n\r\n", NULL, NULL, MIME_7BIT, false },
	{ T "\r\n\r\n", NULL, NULL, MIME_7BIT, false },
	{ T "a/b\r\n" T "c/d\r\n\r\n", NULL, NULL, MIME_7BIT, false },
	{ T "a/b\r\n" T "c/d\r\n" T "e/f\r\n\r\n", NULL, NULL, MIME_7BIT,
	    false },
	{ T "a/b\r\nContent-Transfer-Encoding: BASE64\r\n\r\n", "a/b", NULL,
	    MIME_BASE64, false },
	{ "Content-Transfer-Encoding:\r\n (c) quoted-Printable (d)\r\n\r\n",
	    NULL, NULL, MIME_QUOTED_PRINTABLE, false },
	{ "Content-Transfer-Encoding: 8bit\n\n", NULL, NULL, MIME_8BIT, true },
	{ "Content-Transfer-Encoding: binary\n\n", NULL, NULL, MIME_BINARY,
	    true },
	{ "Content-Transfer-Encoding: 7bit\n\n", NULL, NULL, MIME_7BIT, true },
	{ "Content-Transfer-Encoding: x-uue\n\n", NULL, NULL, MIME_UNKNOWN,
	    true },
	{ "Content-Transfer-Encoding: base64 x\n\n", NULL, NULL, MIME_UNKNOWN,
	    true },
	{ "Content-Transfer-Encoding: base64\n"
	    "Content-Transfer-Encoding: (c) BASE64\n\n", NULL, NULL,
	    MIME_BASE64, true },
	{ "Content-Transfer-Encoding: base64\n"
	    "Content-Transfer-Encoding: 8bit\n"
	    "Content-Transfer-Encoding: 8bit\n\n", NULL, NULL, MIME_UNKNOWN,
	    true },
	{ "From x@y Mon Jan  1\n" T "a/b\n\n", "a/b", NULL, MIME_7BIT, true },
	{ "X: \xff\n" T "a/b (unclosed\n\n", "a/b", NULL, MIME_7BIT, true },
};

static void
check_good(const struct good *g, size_t piece)
{
	struct mime_reader r;
	char text[512];
	size_t rest;

	snprintf(text, sizeof(text), "%sbody", g->header);
	assert_int_equal(read_pieces(&r, text, strlen(text), piece, &rest), 1);
	assert_true(rest <= 4);
	if (piece > 512)
		assert_int_equal(rest, 4);
	assert_int_equal(r.header.type == NULL, g->type == NULL);
	if (g->type != NULL)
		assert_string_equal(r.header.type, g->type);
	assert_int_equal(r.header.required_extensions == NULL,
	    g->required == NULL);
	if (g->required != NULL)
		assert_string_equal(r.header.required_extensions, g->required);
	assert_int_equal(r.header.encoding, g->encoding);
	assert_int_equal(r.header.lf_lines, g->lf);
	mime_reader_release(&r);
}

static void
test_good_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		check_good(&good[i], 1);
		check_good(&good[i], 7);
		check_good(&good[i], 1000);
	}
}

static void
test_no_headers(void **state)
{
	static const char *const bad[] = {
		"\r\n", "\n", "word\r\n", "two words: x\r\n", " folded: x\r\n",
		": x\r\n", "A: b\r\nno field\r\n", "A: b\r\n: c\r\n",
		"A: b\r\nFrom x@y\r\n", "\xffname: x\r\n", "Na\001me: x\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		for (size_t piece = 1; piece < 100; piece += 50) {
			struct mime_reader r;
			size_t rest;

			assert_int_equal(read_pieces(&r, bad[i],
			    strlen(bad[i]), piece, &rest), ERR_SYNTAX);
			mime_reader_release(&r);
		}
	}
}

static void
test_other_fields(void **state)
{
	static const char text[] = "MIME-Version: 1.0\r\nMessage-ID:\r\n"
	    " <a.b@c>\r\nMessage-Id: <second@c>\r\n\r\n";
	struct mime_reader r;
	size_t rest;

	(void)state;
	assert_int_equal(read_pieces(&r, text, sizeof(text) - 1, 3, &rest), 1);
	assert_true(r.header.version);
	assert_string_equal(r.header.message_id, "<a.b@c>");
	mime_reader_release(&r);
}

static void
test_header_limit(void **state)
{
	static char text[MIME_HEADER_MAX + 100];
	struct mime_reader r;
	size_t rest;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[1] = ':';
	assert_int_equal(read_pieces(&r, text, sizeof(text), 1000, &rest),
	    ERR_LIMIT);
	assert_true(r.held.len <= MIME_HEADER_MAX);
	mime_reader_release(&r);
}

static const struct {
	const char *in, *out;
} qp[] = {
	{ "", "" },
	{ "plain\r\n", "plain\r\n" },
	{ "=41=3d=3D=0D=0A", "A==\r\n" },
	{ "soft=\r\nbreak", "softbreak" },
	{ "soft= \t\r\nbreak", "softbreak" },
	{ "soft=\nbreak\n", "softbreak\n" },
	{ "blanks \t\r\nnext", "blanks\r\nnext" },
	{ "blanks \nnext ", "blanks\nnext" },
	{ "kept =20\r\n", "kept  \r\n" },
	{ "a b\tc", "a b\tc" },
	{ "a =\r\nb", "a b" },
	{ "=", "" },
	{ "x=4", "x=4" },
	{ "=4G=G4==41", "=4G=G4=A" },
	{ "= x", "= x" },
	{ "=\rx", "=\rx" },
	{ "a\rb \r c\r", "a\rb \r c\r" },
	{ "a\r\r\n", "a\r\r\n" },
	{ "=2E\r\n..\r\n", ".\r\n..\r\n" },
	{ "\xe4\xf6", "\xe4\xf6" },
};

static void
test_quoted_printable(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(qp); i++) {
		for (size_t piece = 1; piece < 100; piece += 2) {
			size_t len = strlen(qp[i].in);
			struct qp_decoder d;
			struct buf out = BUF_INIT;

			qp_decoder_init(&d);
			for (size_t at = 0; at < len; at += piece)
				qp_decoder_add(&d, &out, qp[i].in + at,
				    len - at < piece ? len - at : piece);
			qp_decoder_end(&d, &out);
			assert_string_equal(buf_cstr(&out), qp[i].out);
			qp_decoder_release(&d);
			buf_release(&out);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_headers),
		cmocka_unit_test(test_no_headers),
		cmocka_unit_test(test_other_fields),
		cmocka_unit_test(test_header_limit),
		cmocka_unit_test(test_quoted_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
