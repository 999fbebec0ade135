/* SPDX-License-Identifier: ISC */
/*
 * Labels: a header cut in two, and bodies on their way, in one piece and one
 * octet at a time.
 */
#include "node/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static int
file_with(const char *octets, size_t len)
{
	char path[] = "/tmp/test_labels.XXXXXX";
	int fd = mkstemp(path);
	struct err e = ERR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(file_write_all(fd, octets, len, &e), 0);
	return fd;
}

static const struct {
	const char *in;
	const char *mail, *entity, *as_is;
	bool typed;
	enum mime_encoding encoding;
} good[] = {
	{ "From: a\r\nContent-Type: text/plain\r\nTo: b\r\n\r\nx",
	    "From: a\r\nTo: b\r\n", "Content-Type: text/plain\r\n",
	    "Content-Type: text/plain\r\n\r\n", true, MIME_7BIT },
	{ "content-type: a/b;\n\tc=d\nX: y\n z\n"
	    "CONTENT-TRANSFER-ENCODING: base64\n\nx", "X: y\r\n z\r\n",
	    "content-type: a/b;\r\n\tc=d\r\n"
	    "CONTENT-TRANSFER-ENCODING: base64\r\n",
	    "content-type: a/b;\n\tc=d\nCONTENT-TRANSFER-ENCODING: base64\n\n",
	    true, MIME_BASE64 },
	{ "From x y\nContent-Foo: y\nA: b\n\n", "A: b\r\n",
	    "Content-Foo: y\r\n", "Content-Foo: y\n\n", false, MIME_7BIT },
	{ "A: b\r\n\r\n", "A: b\r\n", "", "\r\n", false, MIME_7BIT },
	{ "Content: x\r\nContents-Type: y\r\nMIME-Version: 1.0\r\n\r\n",
	    "Content: x\r\nContents-Type: y\r\nMIME-Version: 1.0\r\n", "",
	    "\r\n", false, MIME_7BIT },
	{ "Content-Transfer-Encoding: x-uu\r\n\r\n", "",
	    "Content-Transfer-Encoding: x-uu\r\n",
	    "Content-Transfer-Encoding: x-uu\r\n\r\n", false, MIME_UNKNOWN },
};

static void
expect(struct buf *b, const char *text)
{
	assert_string_equal(buf_cstr(b), text);
	assert_int_equal(b->len, strlen(text));
}

static void
test_good(void **state)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		int fd = file_with(good[i].in, strlen(good[i].in));
		struct err e = ERR_INIT;
		struct labels l;
		const char *end = strstr(good[i].in, "\n\r\n");

		end = end != NULL ? end + 3 : strstr(good[i].in, "\n\n") + 2;
		assert_int_equal(labels_read(fd, &l, &e), 0);
		expect(&l.mail, good[i].mail);
		expect(&l.entity, good[i].entity);
		expect(&l.as_is, good[i].as_is);
		assert_int_equal(l.body, end - good[i].in);
		assert_int_equal(l.typed, good[i].typed);
		assert_int_equal(l.encoding, good[i].encoding);
		labels_release(&l);
		close(fd);
	}
	(void)state;
}

static void
expect_bad(const char *octets, size_t len, int code)
{
	int fd = file_with(octets, len);
	struct err e = ERR_INIT;
	struct labels l;

	assert_int_equal(labels_read(fd, &l, &e), code);
	assert_string_not_equal(e.text, "");
	labels_release(&l);
	close(fd);
}

static void
test_bad(void **state)
{
	static const char *const bad[] = { "", "\r\n", "no header\r\n\r\n",
		"A: b\r\n", "A: b", "\x1f\x8b\x08\n", "A: b\r\nno\r\n\r\n" };
	struct buf large = BUF_INIT;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_bad(bad[i], strlen(bad[i]), ERR_SYNTAX);
	while (large.len <= MIME_HEADER_MAX)
		buf_adds(&large, "A: 0123456789012345678901234567890123\r\n");
	buf_adds(&large, "\r\n");
	expect_bad(large.ptr, large.len, ERR_LIMIT);
	buf_release(&large);
	(void)state;
}

static const struct {
	enum pour_how how;
	const char *in, *out;	/* out NULL: refused at its end */
} pours[] = {
	{ POUR_AS_IS, "a\nb\r\nc", "a\nb\r\nc" },
	{ POUR_CRLF, "", "" },
	{ POUR_CRLF, "a", "a" },
	{ POUR_CRLF, "\n\n\r\n\r\r\n\n", "\r\n\r\n\r\n\r\r\n\r\n" },
	{ POUR_CRLF, "a\nb\r\nc\r", "a\r\nb\r\nc\r" },
	{ POUR_TO_BASE64, "", "" },
	{ POUR_TO_BASE64, "foob", "Zm9vYg==\r\n" },
	{ POUR_FROM_BASE64, "Zm9v\r\nYg==\r\n", "foob" },
	{ POUR_FROM_BASE64, "", "" },
	{ POUR_FROM_BASE64, "Zm9vY", NULL },
	{ POUR_FROM_QP, "a=3Db=\r\nc \r\n", "a=bc\r\n" },
	{ POUR_FROM_QP, "a=\r\n=20", "a " },
};

static void
pour(size_t i, size_t step)
{
	const char *in = pours[i].in;
	size_t n, len = strlen(in);
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	struct pour p;

	pour_init(&p, pours[i].how);
	for (; len > 0; in += n, len -= n) {
		n = step < len ? step : len;
		pour_add(&p, &out, in, n);
	}
	assert_int_equal(pour_end(&p, &out, &e), pours[i].out == NULL ?
	    ERR_SYNTAX : 0);
	if (pours[i].out != NULL)
		expect(&out, pours[i].out);
	pour_release(&p);
	buf_release(&out);
}

static void
test_pour(void **state)
{
	for (size_t i = 0; i < sizeof(pours) / sizeof(pours[0]); i++) {
		pour(i, 1);
		pour(i, 2);
		pour(i, 1000);
	}
	(void)state;
}

static void
test_undoing(void **state)
{
	(void)state;
	assert_int_equal(pour_undoing(MIME_BASE64), POUR_FROM_BASE64);
	assert_int_equal(pour_undoing(MIME_QUOTED_PRINTABLE), POUR_FROM_QP);
	assert_int_equal(pour_undoing(MIME_8BIT), POUR_AS_IS);
	assert_int_equal(pour_undoing(MIME_BINARY), POUR_AS_IS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_pour), cmocka_unit_test(test_undoing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
