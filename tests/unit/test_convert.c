/* SPDX-License-Identifier: ISC */
/*
 * Conversion of content, by clause: RFC 6152 3, RFC 3030 3, RFC 2045 6, RFC
 * 2046 5, RFC 1847 2, RFC 1428 3.  What comes out was written by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "bundle/convert.h"
#include "bundle/mime.h"
#include "smtp/envelope.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define V "MIME-Version: 1.0\r\n"
#define CT "Content-Type: "
#define CTE "Content-Transfer-Encoding: "
#define MIXED CT "multipart/mixed; boundary=b\r\n"
#define TEXT8 CT "text/plain; charset=iso-8859-1\r\n"
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X75 X50 "xxxxxxxxxxxxxxxxxxxxxxxxx"
#define X1000 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 \
	X50 X50 X50 X50 X50

static const struct good {
	const char *clause;
	enum convert_target target;
	const char *in, *out;
} good[] = {
	{ "nothing to do: RFC 6152 3", CONVERT_7BIT,
	    V TEXT8 "\r\nplain\r\n", V TEXT8 "\r\nplain\r\n" },
	{ "8bit is 8bit: RFC 6152 2", CONVERT_8BIT,
	    V TEXT8 CTE "8bit\r\n\r\n\xe4\r\n",
	    V TEXT8 CTE "8bit\r\n\r\n\xe4\r\n" },
	{ "text: RFC 6152 3, RFC 2045 6.7", CONVERT_7BIT,
	    V TEXT8 CTE "8bit\r\nSubject: x\r\n\r\n"
	    "n\xe4\xe4h 1=1 mostly us\r\n",
	    V TEXT8 "Subject: x\r\n" CTE "quoted-printable\r\n\r\n"
	    "n=E4=E4h 1=3D1 mostly us\r\n" },
	{ "a folded field goes whole: RFC 5322 2.2.3", CONVERT_7BIT,
	    V "content-transfer-encoding:\r\n 8bit\r\nA: b\r\n c\r\n"
	    TEXT8 "\r\nabcdef\xe4\r\n",
	    V "A: b\r\n c\r\n" TEXT8 CTE "quoted-printable\r\n\r\n"
	    "abcdef=E4\r\n" },
	{ "blanks at a line's end: RFC 2045 6.7 (3)", CONVERT_7BIT,
	    V TEXT8 "\r\nabcdefghijklmnop \t\r\n \r\n\xfc\tx\r\n",
	    V TEXT8 CTE "quoted-printable\r\n\r\n"
	    "abcdefghijklmnop =09\r\n=20\r\n=FC\tx\r\n" },
	{ "soft line breaks: RFC 2045 6.7 (5)", CONVERT_7BIT,
	    V TEXT8 "\r\n" X75 X75 "y\xe4\r\n",
	    V TEXT8 CTE "quoted-printable\r\n\r\n" X75 "=\r\n" X75 "=\r\n"
	    "y=E4\r\n" },
	{ "a line is not cut inside of a code", CONVERT_7BIT,
	    V TEXT8 "\r\n" X50 "123456789012345678901234\xe4\r\n",
	    V TEXT8 CTE "quoted-printable\r\n\r\n" X50
	    "123456789012345678901234=\r\n=E4\r\n" },
	{ "mostly 8-bit: base64, RFC 2045 6.8", CONVERT_7BIT,
	    V TEXT8 CTE "8bit\r\n\r\n\xe4\xf6\xfc\r\n",
	    V TEXT8 CTE "base64\r\n\r\n5Pb8DQo=\r\n" },
	{ "not text: base64", CONVERT_7BIT,
	    V CT "application/x\r\n" CTE "8bit\r\n\r\nabcdefghijklm\xe4\r\n",
	    V CT "application/x\r\n" CTE "base64\r\n\r\n"
	    "YWJjZGVmZ2hpamtsbeQNCg==\r\n" },
	{ "multipart: RFC 2045 6.4", CONVERT_7BIT,
	    V MIXED CTE "8bit\r\n\r\npreamble\r\n--b\r\n" TEXT8
	    CTE "8bit\r\n\r\nabcdef\xe4\r\n--b\r\n\r\nplain\r\n--b--\r\n"
	    "epilogue\r\n",
	    V MIXED CTE "7bit\r\n\r\npreamble\r\n--b\r\n" TEXT8
	    CTE "quoted-printable\r\n\r\nabcdef=E4\r\n--b\r\n\r\nplain\r\n"
	    "--b--\r\nepilogue\r\n" },
	{ "the line end is the boundary's: RFC 2046 5.1.1", CONVERT_7BIT,
	    V MIXED "\r\n--b\r\n" TEXT8 "\r\n\xe4\r\n--b\r\n" TEXT8
	    "\r\n\xe4\r\n\r\n--b\r\n\r\n--b--\r\n",
	    V MIXED "\r\n--b\r\n" TEXT8 CTE "base64\r\n\r\n5A==\r\n--b\r\n"
	    TEXT8 CTE "base64\r\n\r\n5A0K\r\n--b\r\n\r\n--b--\r\n" },
	{ "multipart in multipart: RFC 2046 5.1.2", CONVERT_7BIT,
	    V MIXED "\r\n--b\r\n" CT "multipart/alternative;\r\n"
	    " boundary=\"b c\"\r\n" CTE "8bit\r\n\r\n--b c\r\n" TEXT8
	    "\r\nabcdef\xe4\r\n--b c--\r\n--b--\r\n",
	    V MIXED "\r\n--b\r\n" CT "multipart/alternative;\r\n"
	    " boundary=\"b c\"\r\n" CTE "7bit\r\n\r\n--b c\r\n" TEXT8
	    CTE "quoted-printable\r\n\r\nabcdef=E4\r\n--b c--\r\n"
	    "--b--\r\n" },
	{ "an outer boundary ends the inner: RFC 2046 5.1.2", CONVERT_7BIT,
	    V MIXED "\r\n--b\r\n" CT "multipart/mixed; boundary=c\r\n\r\n"
	    "--c\r\n" TEXT8 "\r\nabcdef\xe4\r\n--b\r\n" TEXT8
	    "\r\n--c\r\n12345\xe4\r\n--b--\r\n",
	    V MIXED "\r\n--b\r\n" CT "multipart/mixed; boundary=c\r\n\r\n"
	    "--c\r\n" TEXT8 CTE "quoted-printable\r\n\r\nabcdef=E4\r\n--b\r\n"
	    TEXT8 CTE "quoted-printable\r\n\r\n=2D-c\r\n12345=E4\r\n"
	    "--b--\r\n" },
	{ "blanks behind a boundary: RFC 2046 5.1.1", CONVERT_7BIT,
	    V MIXED "\r\n--b \t\r\n" TEXT8 "\r\nabcdef\xe4\r\n--b-- \r\n",
	    V MIXED "\r\n--b \t\r\n" TEXT8 CTE "quoted-printable\r\n\r\n"
	    "abcdef=E4\r\n--b-- \r\n" },
	{ "what begins like a boundary is none", CONVERT_7BIT,
	    V MIXED "\r\n--b\r\n" TEXT8 "\r\nabcdef\xe4\r\n--bb\r\n--b -\r\n"
	    "-\r\n--\r\n--b--\r\n",
	    V MIXED "\r\n--b\r\n" TEXT8 CTE "quoted-printable\r\n\r\n"
	    "abcdef=E4\r\n=2D-bb\r\n=2D-b -\r\n=2D\r\n=2D-\r\n--b--\r\n" },
	{ "what is coded makes no boundary", CONVERT_7BIT,
	    V CT "multipart/mixed; boundary=\"b=E4\"\r\n\r\n--b=E4\r\n" TEXT8
	    "\r\nabcdef\r\n--b\xe4\r\n--b=E4--\r\n",
	    V CT "multipart/mixed; boundary=\"b=E4\"\r\n\r\n--b=E4\r\n" TEXT8
	    CTE "quoted-printable\r\n\r\nabcdef\r\n=2D-b=E4\r\n--b=E4--\r\n" },
	{ "a message inside: RFC 2046 5.2.1", CONVERT_7BIT,
	    V CT "message/rfc822\r\n" CTE "8bit\r\n\r\nSubject: y\r\n" V
	    TEXT8 CTE "8bit\r\n\r\nabcdef\xe4\r\n",
	    V CT "message/rfc822\r\n" CTE "7bit\r\n\r\nSubject: y\r\n" V
	    TEXT8 CTE "quoted-printable\r\n\r\nabcdef=E4\r\n" },
	{ "a digest: RFC 2046 5.1.5", CONVERT_7BIT,
	    V CT "multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n" V
	    TEXT8 "\r\nabcdef\xe4\r\n--b--\r\n",
	    V CT "multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n" V
	    TEXT8 CTE "quoted-printable\r\n\r\nabcdef=E4\r\n--b--\r\n" },
	{ "message/global may be encoded: RFC 6532 3.7", CONVERT_7BIT,
	    V CT "message/global\r\n" CTE "8bit\r\n\r\nSubject: \xc3\xa4\r\n"
	    "\r\nabcdef\r\n",
	    V CT "message/global\r\n" CTE "quoted-printable\r\n\r\n"
	    "Subject: =C3=A4\r\n\r\nabcdef\r\n" },
	{ "encoded already", CONVERT_7BIT,
	    V TEXT8 CTE "quoted-printable\r\n\r\n=E4\r\n",
	    V TEXT8 CTE "quoted-printable\r\n\r\n=E4\r\n" },
	{ "no MIME: RFC 1428 3", CONVERT_7BIT,
	    "Subject: x\r\n\r\nabcdef\xe4\r\n",
	    "Subject: x\r\n" V CT "text/plain; charset=unknown-8bit\r\n"
	    CTE "quoted-printable\r\n\r\nabcdef=E4\r\n" },
	{ "signed in 7-bit is kept: RFC 1847 2.1", CONVERT_7BIT,
	    V CT "multipart/signed; boundary=b; protocol=\"a/b\"\r\n"
	    CTE "8bit\r\n\r\n--b\r\n" TEXT8 CTE "8bit\r\n\r\n x \r\n--b\r\n"
	    CT "a/b\r\n\r\ns\r\n--b--\r\n",
	    V CT "multipart/signed; boundary=b; protocol=\"a/b\"\r\n"
	    CTE "7bit\r\n\r\n--b\r\n" TEXT8 CTE "8bit\r\n\r\n x \r\n--b\r\n"
	    CT "a/b\r\n\r\ns\r\n--b--\r\n" },
	{ "beside what is signed", CONVERT_7BIT,
	    V MIXED "\r\n--b\r\n" CT "multipart/signed; boundary=c\r\n\r\n"
	    "--c\r\n\r\n x \r\n--c--\r\n--b\r\n" TEXT8 "\r\nabcdef\xe4\r\n"
	    "--b--\r\n",
	    V MIXED "\r\n--b\r\n" CT "multipart/signed; boundary=c\r\n\r\n"
	    "--c\r\n\r\n x \r\n--c--\r\n--b\r\n" TEXT8 CTE
	    "quoted-printable\r\n\r\nabcdef=E4\r\n--b--\r\n" },
	{ "binary to 8bit: RFC 3030 3", CONVERT_8BIT,
	    V MIXED CTE "binary\r\n\r\n--b\r\n" CT "a/b\r\n" CTE "binary\r\n"
	    "\r\nx\ny\r\n--b\r\n" TEXT8 CTE "binary\r\n\r\n\xe4\r\n--b--\r\n",
	    V MIXED CTE "8bit\r\n\r\n--b\r\n" CT "a/b\r\n" CTE "base64\r\n"
	    "\r\neAp5\r\n--b\r\n" TEXT8 CTE "8bit\r\n\r\n\xe4\r\n--b--\r\n" },
	{ "bare CR and LF in text", CONVERT_8BIT,
	    V TEXT8 "\r\nabcdefghijkl\nmno\rpqrstuvwxyz\r\n",
	    V TEXT8 CTE "quoted-printable\r\n\r\n"
	    "abcdefghijkl=0Amno=0Dpqrstuvwxyz\r\n" },
	{ "an open end", CONVERT_8BIT,
	    V TEXT8 "\r\nabcdefghijkl", V TEXT8 CTE "quoted-printable\r\n\r\n"
	    "abcdefghijkl=\r\n" },
	{ "an open end, a blank", CONVERT_8BIT,
	    V TEXT8 "\r\nabcdefghijkl ", V TEXT8 CTE "quoted-printable\r\n\r\n"
	    "abcdefghijkl=20=\r\n" },
	{ "an open end, CR", CONVERT_8BIT,
	    V TEXT8 "\r\nabcdefghijkl\r", V TEXT8 CTE "quoted-printable\r\n"
	    "\r\nabcdefghijkl=0D=\r\n" },
	{ "an open end behind a boundary", CONVERT_8BIT,
	    V MIXED "\r\n--b\r\n\r\nx\r\n--b--",
	    V MIXED "\r\n--b\r\n\r\nx\r\n--b--\r\n" },
	{ "an open end of what is encoded", CONVERT_8BIT,
	    V CTE "quoted-printable\r\n\r\nx=3D",
	    V CTE "quoted-printable\r\n\r\nx=3D=\r\n" },
	{ "a header alone", CONVERT_8BIT, "A: b", "A: b\r\n" },
	{ "nothing", CONVERT_8BIT, "", "" },
	{ "long lines: RFC 5321 4.5.3.1.6", CONVERT_8BIT,
	    V CT "a/b\r\n" CTE "base64\r\n\r\n" X1000 "\r\n",
	    V CT "a/b\r\n" CTE "base64\r\n\r\n" X1000 "\r\n" },
	{ "signed long lines are kept", CONVERT_8BIT,
	    V CT "multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n" X1000
	    "\r\n--b--\r\n",
	    V CT "multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n" X1000
	    "\r\n--b--\r\n" },
	{ "a header that a boundary ends", CONVERT_7BIT,
	    V MIXED "\r\n--b\r\n" TEXT8 "--b\r\n" TEXT8 "\r\nabcdef\xe4\r\n"
	    "--b\r\nA: b\r\n--b--",
	    V MIXED "\r\n--b\r\n" TEXT8 "--b\r\n" TEXT8
	    CTE "quoted-printable\r\n\r\nabcdef=E4\r\n--b\r\nA: b\r\n"
	    "--b--\r\n" },
	{ "cut off inside", CONVERT_7BIT,
	    V MIXED "\r\n--b\r\n" TEXT8 "\r\nabcdef\xe4\r\n-",
	    V MIXED "\r\n--b\r\n" TEXT8 CTE "quoted-printable\r\n\r\n"
	    "abcdef=E4\r\n=2D=\r\n" },
};

static const struct bad {
	const char *clause;
	enum convert_target target;
	const char *in, *status;
} bad[] = {
	{ "signed: RFC 1847 2.1", CONVERT_7BIT,
	    V CT "multipart/signed; boundary=b\r\n\r\n--b\r\n" TEXT8
	    "\r\n\xe4\r\n--b--\r\n", "5.6.3" },
	{ "deep in what is signed", CONVERT_7BIT,
	    V CT "multipart/signed; boundary=b\r\n\r\n--b\r\n"
	    CT "multipart/mixed; boundary=c\r\n\r\n--c\r\n"
	    CT "message/rfc822\r\n\r\n" V TEXT8 "\r\n\xe4\r\n--c--\r\n"
	    "--b--\r\n",
	    "5.6.3" },
	{ "encrypted: RFC 1847 2.2", CONVERT_8BIT,
	    V CT "multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\nx\ny\r\n"
	    "--b--\r\n", "5.6.1" },
	{ "octets above 127 in a header", CONVERT_7BIT,
	    "Subject: \xe4\r\n\r\nx\r\n", "5.6.3" },
	{ "in the header of a part", CONVERT_7BIT,
	    V MIXED "\r\n--b\r\nA: \xe4\r\n\r\nx\r\n--b--\r\n", "5.6.3" },
	{ "around the parts", CONVERT_7BIT,
	    V MIXED "\r\n\xe4\r\n--b\r\n\r\nx\r\n--b--\r\n", "5.6.3" },
	{ "a line end in a header", CONVERT_8BIT, "A: b\nC: d\r\n\r\n",
	    "5.6.1" },
	{ "message/partial is 7bit: RFC 2046 5.2.2.1", CONVERT_7BIT,
	    V CT "message/partial; number=1\r\n\r\n\r\n\xe4\r\n", "5.6.3" },
	{ "an encoding that is not kept", CONVERT_7BIT,
	    V TEXT8 CTE "base64\r\n\r\n\xe4\r\n", "5.6.3" },
	{ "an unknown encoding: RFC 2045 6.4", CONVERT_7BIT,
	    V TEXT8 CTE "x-own\r\n\r\n\xe4\r\n", "5.6.3" },
	{ "no boundary", CONVERT_7BIT,
	    V CT "multipart/mixed\r\n\r\n\xe4\r\n", "5.6.3" },
	{ "two types", CONVERT_7BIT,
	    V TEXT8 TEXT8 "\r\n\xe4\r\n", "5.6.3" },
};

static const size_t pieces[] = { SIZE_MAX, 1, 2, 7 };

static size_t
piece_of(size_t len, size_t at, size_t piece)
{
	return len - at < piece ? len - at : piece;
}

static int
look(struct convert *c, const char *in, size_t len, size_t piece,
    struct smtp_refusal *r)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = piece_of(len, at, piece);
		convert_look(c, in + at, n);
	}
	return convert_decide(c, r);
}

static void
write_all(struct convert *c, const char *in, size_t len, size_t piece,
    struct buf *out)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = piece_of(len, at, piece);
		convert_add(c, in + at, n, out);
	}
	convert_end(c, out);
}

static void
check_good(const struct good *g, size_t piece)
{
	struct convert *c = convert_new(g->target);
	struct smtp_refusal r = { 0, "", "" };
	struct buf out = BUF_INIT;

	assert_int_equal(look(c, g->in, strlen(g->in), piece, &r), 0);
	for (int i = 0; i < 2; i++) {
		buf_clear(&out);
		write_all(c, g->in, strlen(g->in), piece, &out);
		if (strcmp(buf_cstr(&out), g->out) != 0)
			print_error("%s, in pieces of %zu\n", g->clause,
			    piece);
		assert_string_equal(buf_cstr(&out), g->out);
		convert_again(c);
	}
	buf_release(&out);
	convert_free(c);
}

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		for (size_t j = 0; j < COUNT(pieces); j++)
			check_good(&good[i], pieces[j]);
}

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		for (size_t j = 0; j < COUNT(pieces); j++) {
			struct convert *c = convert_new(bad[i].target);
			struct smtp_refusal r = { 0, "", "" };
			int rc = look(c, bad[i].in, strlen(bad[i].in),
			    pieces[j], &r);

			if (rc != ERR_UNSUPPORTED)
				print_error("%s\n", bad[i].clause);
			assert_int_equal(rc, ERR_UNSUPPORTED);
			assert_int_equal(r.code, 554);
			assert_string_equal(r.status, bad[i].status);
			convert_free(c);
		}
}

/* RFC 3030 3: NUL and every octet, and the decoder finds them again. */
static void
test_binary(void **state)
{
	static const char head[] = V CT "a/b\r\n" CTE "binary\r\n\r\n";
	static const char want[] = V CT "a/b\r\n" CTE "base64\r\n\r\n";
	struct buf in = BUF_INIT, out = BUF_INIT, body = BUF_INIT;
	struct convert *c = convert_new(CONVERT_7BIT);
	struct base64_decoder dec;
	struct smtp_refusal r;
	size_t n = strlen(want);

	(void)state;
	buf_adds(&in, head);
	for (int i = 0; i < 1000; i++)
		buf_addc(&in, (char)(i % 251));
	assert_int_equal(look(c, in.ptr, in.len, 3, &r), 0);
	write_all(c, in.ptr, in.len, 5, &out);
	assert_memory_equal(out.ptr, want, n);
	base64_decoder_init(&dec);
	base64_decoder_add(&dec, &body, out.ptr + n, out.len - n);
	assert_int_equal(base64_decoder_end(&dec), 0);
	assert_int_equal(body.len, 1000);
	assert_memory_equal(body.ptr, in.ptr + strlen(head), 1000);
	buf_release(&in);
	buf_release(&out);
	buf_release(&body);
	convert_free(c);
}

/* A line of 998 octets may stay, one of 999 is cut. */
static void
test_long_line(void **state)
{
	(void)state;
	for (size_t n = 998; n <= 999; n++) {
		struct buf in = BUF_INIT, out = BUF_INIT;
		struct convert *c = convert_new(CONVERT_8BIT);
		struct content_scanner scan;
		struct smtp_refusal r;

		buf_adds(&in, V TEXT8 "\r\n");
		for (size_t i = 0; i < n; i++)
			buf_addc(&in, 'x');
		buf_adds(&in, "\r\n");
		assert_int_equal(look(c, in.ptr, in.len, 100, &r), 0);
		write_all(c, in.ptr, in.len, 100, &out);
		assert_int_equal(out.len == in.len, n == 998);
		content_scanner_init(&scan);
		content_scanner_add(&scan, out.ptr, out.len);
		content_scanner_end(&scan);
		assert_int_equal(scan.facts.flags, 0);
		buf_release(&in);
		buf_release(&out);
		convert_free(c);
	}
}

/* So many parts, so deep, such a header: bounded, and told. */
static void
test_limits(void **state)
{
	struct smtp_refusal r = { 0, "", "" };
	struct buf in = BUF_INIT;
	struct convert *c = convert_new(CONVERT_7BIT);

	(void)state;
	buf_adds(&in, V MIXED "\r\n");
	for (int i = 0; i < CONVERT_PARTS_MAX; i++)
		buf_adds(&in, "--b\r\n\r\nx\r\n");
	assert_int_equal(look(c, in.ptr, in.len, 1000, &r), ERR_UNSUPPORTED);
	assert_non_null(strstr(r.text, "1000 parts"));
	convert_free(c);

	c = convert_new(CONVERT_7BIT);
	buf_clear(&in);
	for (int i = 0; i < 70000; i++)
		buf_addc(&in, 'x');
	assert_int_equal(look(c, in.ptr, in.len, 1000, &r), ERR_UNSUPPORTED);
	assert_non_null(strstr(r.text, "65536 octets"));
	convert_free(c);

	c = convert_new(CONVERT_7BIT);
	buf_clear(&in);
	for (int i = 0; i < CONVERT_DEPTH_MAX + 1; i++)
		buf_addf(&in, CT "multipart/mixed; boundary=b%d\r\n\r\n"
		    "--b%d\r\n", i, i);
	buf_adds(&in, "\r\n\xe4\r\n");
	assert_int_equal(look(c, in.ptr, in.len, 1000, &r), ERR_UNSUPPORTED);
	assert_string_equal(r.status, "5.6.3");
	convert_free(c);
	buf_release(&in);
}

static const struct {
	const char *in, *out;
	bool soft;
} qp[] = {
	{ "", "", true },
	{ "a", "a", false },
	{ "a", "a=\r\n", true },
	{ "a\r\n", "a\r\n", true },
	{ "a \r\n", "a=20\r\n", false },
	{ "a ", "a=20", false },
	{ "a \r", "a =0D", false },
	{ "\r\r\n", "=0D\r\n", false },
	{ "\n", "=0A", false },
	{ "=\x7f\x01~!", "=3D=7F=01~!", false },
	{ "-- \r\n.\r\n", "=2D-=20\r\n.\r\n", false },
};

static void
test_qp(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(qp); i++)
		for (size_t j = 0; j < COUNT(pieces); j++) {
			struct qp_encoder q;
			struct buf out = BUF_INIT;
			size_t len = strlen(qp[i].in);

			qp_encoder_init(&q);
			for (size_t at = 0, n; at < len; at += n) {
				n = piece_of(len, at, pieces[j]);
				qp_encoder_add(&q, &out, qp[i].in + at, n);
			}
			qp_encoder_end(&q, &out, qp[i].soft);
			assert_string_equal(buf_cstr(&out), qp[i].out);
			buf_release(&out);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_qp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
