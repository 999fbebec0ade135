/* SPDX-License-Identifier: ISC */
/* Objects as mails, for servers with and without 8BITMIME. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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

/* Filters may have made another type of it; what has no labels at all, or LF
 * line ends, no object begins with. */
static void
test_object_or_parcel(void **state)
{
	static const char ends[] = "From: <a@b.example>\r\n"
	    "To: <c@d.example>\r\n";
	static const struct {
		const char *labels;
		bool parcel;
	} cases[] = {
		{ "Content-Type: application/batch-SMTP\r\n\r\nx", false },
		{ "MIME-Version: 1.0\r\nContent-Type: multipart/signed; "
		    "boundary=a\r\n\r\nx", false },
		{ "MIME-Version: 1.0\r\nContent-Type: application/"
		    "octet-stream\r\n\r\nx", false },
		{ "Content-Type: multipart/signed\r\n\r\nx", true },
		{ "MIME-Version: 1.0\r\n\r\nx", true },
		{ "MIME-Version: 1.0\r\nContent-Type: a/b\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT;
		struct err e = ERR_INIT;
		struct letter *l;

		buf_addf(&text, "%s%s", ends, cases[i].labels);
		assert_int_equal(open_text(text.ptr, text.len, "x@y", "z@w",
		    &l, &e), 0);
		assert_int_equal(letter_is_parcel(l), cases[i].parcel);
		letter_close(l);
		buf_release(&text);
	}
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

/* A parcel of these octets, whose file is called name and is of Tue, 05 Mar
 * 2024 10:11:12. */
static struct letter *
open_parcel(const char *name, const char *bytes, size_t len,
    enum letter_coding coding, uint64_t date_secs)
{
	const struct letter_options opts = { .from = "b@paris.example",
		.to = "b@london.example", .coding = coding,
		.date_secs = date_secs };
	const struct timespec times[2] = { { 1709633472, 0 },
		{ 1709633472, 0 } };
	char dir[] = "/tmp/postrider-letter-XXXXXX";
	struct err e = ERR_INIT;
	struct letter *l = NULL;
	char *path, *made = put(bytes, len);

	assert_non_null(mkdtemp(dir));
	path = path_join(dir, name);
	assert_int_equal(rename(made, path), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(letter_open(path, &opts, &l, &e), 0);
	assert_true(letter_is_parcel(l));
	unlink(path);
	rmdir(dir);
	free(path);
	free(made);
	return l;
}

#define ROAD(date, id) "From: <b@paris.example>\r\nTo: <b@london.example>" \
	"\r\nDate: " date "\r\nMessage-ID: <" id "@paris.example>\r\n" \
	"MIME-Version: 1.0\r\nContent-Type: application/vnd.postrider."
#define HOUR "Tue, 05 Mar 2024 10:00:00 +0000"

static void
test_parcel(void **state)
{
	static const struct {
		const char *name;
		enum letter_coding coding;
		uint64_t date_secs;
		unsigned extensions;
		enum smtp_body body;
		const char *out;
	} cases[] = {
		{ "abc", LETTER_BASE64, 3600, ~0U, SMTP_BODY_7BIT,
		    ROAD(HOUR, "abc") "parcel\r\n" CTE "base64\r\n\r\n"
		    "Zm9v\r\n" },
		{ "a.b-c", LETTER_ARMOUR, 86400, 0, SMTP_BODY_7BIT,
		    ROAD("Tue, 05 Mar 2024 00:00:00 +0000", "a.b-c")
		    "parcel\r\n" CTE "base64\r\n\r\nZm9v\r\n" },
		/* f + 42 is 90, o + 42 is 99; the CRC-32C of "foo" by another
		 * program is cfc4ae1d */
		{ "abc", LETTER_ARMOUR, 0, SMTP_EXT_8BITMIME,
		    SMTP_BODY_8BITMIME,
		    ROAD("Tue, 05 Mar 2024 10:11:12 +0000", "abc")
		    "armoured-parcel\r\n" CTE "8bit\r\n\r\n"
		    "\x90\x99\x99=\r\n==3 cfc4ae1d\r\n" },
		{ "abc", LETTER_BINARY, 3600, SMTP_EXT_8BITMIME,
		    SMTP_BODY_8BITMIME,
		    ROAD(HOUR, "abc") "armoured-parcel\r\n" CTE "8bit\r\n"
		    "\r\n\x90\x99\x99=\r\n==3 cfc4ae1d\r\n" },
		{ "abc", LETTER_BINARY, 3600, SMTP_EXT_CHUNKING |
		    SMTP_EXT_BINARYMIME, SMTP_BODY_BINARYMIME,
		    ROAD(HOUR, "abc") "parcel\r\n" CTE "binary\r\n\r\n"
		    "foo" },
		/* no dot-atom: SHA-256 of "a..b", its first 16 octets in
		 * base32, by another program */
		{ "a..b", LETTER_BASE64, 3600, 0, SMTP_BODY_7BIT,
		    ROAD(HOUR, "6yvueqkmkfh2ncot4cd3uol4ma") "parcel\r\n" CTE
		    "base64\r\n\r\nZm9v\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct letter *l = open_parcel(cases[i].name, "foo", 3,
		    cases[i].coding, cases[i].date_secs);

		for (int again = 0; again < 2; again++) {
			char *out = read_all(l, cases[i].extensions);

			assert_string_equal(out, cases[i].out);
			free(out);
		}
		assert_int_equal(letter_envelope(l)->body, cases[i].body);
		assert_string_equal(letter_envelope(l)->sender,
		    "b@paris.example");
		letter_close(l);
	}
}

/* Whatever the octets, the facts are those of what comes out (read_all). */
static void
test_parcel_length(void **state)
{
	static const size_t sizes[] = { 0, 1, 57, 995, 996, 997, 65536,
		300000 };
	char *bytes = malloc(300000);

	(void)state;
	for (size_t i = 0; i < 300000; i++)
		bytes[i] = (char)(i * 7919 >> 5);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int coding = 0; coding < 3; coding++) {
			struct letter *l = open_parcel("abc", bytes, sizes[i],
			    (enum letter_coding)coding, 0);

			free(read_all(l, ~0U));
			letter_close(l);
		}
	}
	free(bytes);
}

/* The date of an object is rounded too, and nothing else of it changes. */
static void
test_object_date(void **state)
{
	static const char text[] = HEAD
	    "Date: Mon, 1 Jan 2024 01:02:03 +0100\r\n"
	    "X: y\r\n\r\nbody\r\n";
	const struct letter_options opts = { .date_secs = 604800 };
	char *path = put(text, sizeof(text) - 1), *out;
	struct err e = ERR_INIT;
	struct letter *l;

	(void)state;
	assert_int_equal(letter_open(path, &opts, &l, &e), 0);
	assert_false(letter_is_parcel(l));
	out = read_all(l, 0);
	/* the epoch was a Thursday */
	assert_non_null(strstr(out, "\r\nDate: Thu, "));
	assert_non_null(strstr(out, " 00:00:00 +0000\r\nX: y\r\n\r\nbody"));
	free(out);
	letter_close(l);
	unlink(path);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_object_or_parcel),
		cmocka_unit_test(test_coding),
		cmocka_unit_test(test_coded_length),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_parcel),
		cmocka_unit_test(test_parcel_length),
		cmocka_unit_test(test_object_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
