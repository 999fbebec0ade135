/* SPDX-License-Identifier: ISC */
/* Objects as mails, for servers with and without 8BITMIME. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "smtp/extension.h"
#include "transports/letter.h"

#define TYPE "Content-Type: application/batch-SMTP\r\n"
#define HEAD "From: A <a@b.example>\r\nto: <c@d.example>\r\n" TYPE
#define CTE "Content-Transfer-Encoding: "

/* A file with this text; the caller unlinks and frees. */
static char *
put(const char *text, size_t len)
{
	char path[] = "/tmp/postrider-letter-XXXXXX";
	struct err e = ERR_INIT;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, len, &e), 0);
	close(fd);
	return strdup(path);
}

static int
open_text(const char *text, size_t len, const char *from, const char *to,
    struct letter **l_out, struct err *e)
{
	struct letter_options opts = { .from = from, .to = to };
	char *path = put(text, len);
	int rc = letter_open(path, &opts, l_out, e);

	unlink(path);
	free(path);
	return rc;
}

static char *
read_all(struct letter *l, unsigned extensions)
{
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;
	int rc;

	assert_int_equal(letter_begin(l, extensions, &e), 0);
	while ((rc = letter_read(l, &out, &e)) == 1)
		;
	assert_int_equal(rc, 0);
	assert_int_equal(out.len, letter_facts(l)->octets);
	assert_int_equal(out.len, letter_envelope(l)->size);
	return buf_steal(&out);
}

static void
test_addresses(void **state)
{
	static const char text[] = HEAD "\r\nbody\r\n";
	struct err e = ERR_INIT;
	struct letter *l;

	(void)state;
	assert_int_equal(open_text(text, sizeof(text) - 1, NULL, NULL, &l,
	    &e), 0);
	assert_string_equal(letter_envelope(l)->sender, "a@b.example");
	assert_int_equal(letter_envelope(l)->nrcpt, 1);
	assert_string_equal(letter_envelope(l)->rcpt[0].address,
	    "c@d.example");
	assert_int_equal(letter_octets(l), sizeof(text) - 1);
	letter_close(l);
	assert_int_equal(open_text(text, sizeof(text) - 1, "x@y", "z@w", &l,
	    &e), 0);
	assert_string_equal(letter_envelope(l)->sender, "x@y");
	assert_string_equal(letter_envelope(l)->rcpt[0].address, "z@w");
	letter_close(l);
}

/* "Zm9v" is RFC 4648's vector for "foo"; the others are by hand. */
static void
test_coding(void **state)
{
	static const struct {
		const char *in;
		unsigned extensions;
		const char *out;
	} cases[] = {
		{ HEAD CTE "8bit\r\n\r\nfoo\r\n", 0,
		    HEAD CTE "8bit\r\n\r\nfoo\r\n" },
		{ HEAD CTE "8bit\r\n\r\n\xc3\xbc\r\n", SMTP_EXT_8BITMIME,
		    HEAD CTE "8bit\r\n\r\n\xc3\xbc\r\n" },
		{ HEAD CTE "8bit\r\n\r\n\xc3\xbc\r\n", 0,
		    HEAD CTE "base64\r\n\r\nw7wNCg==\r\n" },
		{ HEAD "content-transfer-encoding:  BINARY \r\nX: y\r\n\r\n"
		    "foo", SMTP_EXT_8BITMIME,
		    HEAD CTE "base64\r\nX: y\r\n\r\nZm9v\r\n" },
		{ HEAD CTE "8bit\r\n\r\nfoo\n", SMTP_EXT_8BITMIME,
		    HEAD CTE "base64\r\n\r\nZm9vCg==\r\n" },
		/* coded already, or of a kind that is not ours to change */
		{ HEAD CTE "base64\r\n\r\nZm9v\r\n", 0,
		    HEAD CTE "base64\r\n\r\nZm9v\r\n" },
		{ HEAD "\r\nfoo\r\n", 0, HEAD "\r\nfoo\r\n" },
		{ HEAD CTE "8bit\r\n\r\n", 0, HEAD CTE "8bit\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		struct letter *l;
		char *out;

		assert_int_equal(open_text(cases[i].in, strlen(cases[i].in),
		    NULL, NULL, &l, &e), 0);
		for (int again = 0; again < 2; again++) {
			out = read_all(l, cases[i].extensions);
			assert_string_equal(out, cases[i].out);
			free(out);
		}
		letter_close(l);
	}
}

/* Lengths about the 57 octets of a line of base64 and the step. */
static void
test_coded_length(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 56, 57, 58, 114, 65535,
		65536, 65537, 200000 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf in = BUF_INIT;
		struct err e = ERR_INIT;
		struct letter *l;

		buf_adds(&in, HEAD CTE "binary\r\n\r\n");
		for (size_t n = 0; n < sizes[i]; n++)
			buf_addc(&in, '\xff');
		assert_int_equal(open_text(in.ptr, in.len, NULL, NULL, &l,
		    &e), 0);
		free(read_all(l, SMTP_EXT_8BITMIME));
		letter_close(l);
		buf_release(&in);
	}
}

static void
test_bad(void **state)
{
	static const char *const bad[] = {
		"", "EHLO x\r\n", TYPE "From: <a@b>\r\n\r\n",
		TYPE "To: <a@b>\r\n\r\n",
		TYPE "From: <a@>\r\nTo: <c@d>\r\n\r\n",
		TYPE "From: <>\r\nTo: <c@d>\r\n\r\n",
		HEAD "no header\r\n\r\n",
	};
	static const struct letter_options none;
	struct letter *l;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(open_text(bad[i], strlen(bad[i]), NULL, NULL,
		    &l, &e), ERR_SYNTAX);
		assert_null(l);
	}
	assert_int_equal(letter_open("/nowhere/at/all", &none, &l, &e),
	    ERR_NOT_FOUND);
	assert_int_equal(letter_open("/tmp", &none, &l, &e), ERR_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_coding),
		cmocka_unit_test(test_coded_length),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
