/* SPDX-License-Identifier: ISC */
/*
 * The processor (RFC 2442 3.2).  An object is read whole, in odd pieces and
 * one octet at a time; each time its events, written down as text, must be
 * the same as in the table.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "bundle/reader.h"
#include "smtp/extension.h"
#include "tests/unit/octets.h"

struct transcript {
	struct buf text;
	bool in_content;
	size_t content_at;
};

static void
write_facts(struct buf *t, const struct bundle_event *ev)
{
	const struct envelope *env = ev->envelope;

	buf_addf(t, " %llu <%s>", (unsigned long long)ev->index, env->sender);
	for (size_t i = 0; i < env->nrcpt; i++)
		buf_addf(t, " <%s>", env->rcpt[i].address);
}

static void
write_event(struct transcript *tr, const struct bundle_event *ev)
{
	static const char *const formats[] = { "none", "bsmtp", "rfc2442" };
	struct buf *t = &tr->text;

	/* how much of a void message was seen depends on the pieces */
	if (tr->in_content && ev->kind == BUNDLE_EVENT_RESET) {
		buf_truncate(t, tr->content_at);
		tr->in_content = false;
	}
	if (tr->in_content && ev->kind != BUNDLE_EVENT_CONTENT) {
		tr->in_content = false;
		buf_addc(t, ']');
	}
	switch (ev->kind) {
	case BUNDLE_EVENT_FORMAT:
		buf_addf(t, "%s", formats[ev->format]);
		if (ev->compression != COMPRESSION_NONE)
			buf_addf(t, " %s", compression_name(ev->compression));
		if (ev->required != NULL)
			buf_addf(t, " requires %s", ev->required);
		if (ev->id != NULL)
			buf_addf(t, " id %s", ev->id);
		break;
	case BUNDLE_EVENT_ID:
		buf_addf(t, " id %s", ev->id);
		break;
	case BUNDLE_EVENT_BEGIN:
		buf_addf(t, " begin@%llu", (unsigned long long)ev->line);
		write_facts(t, ev);
		if (ev->hops > 0)
			buf_addf(t, " hops %u", ev->hops);
		break;
	case BUNDLE_EVENT_CONTENT:
		if (!tr->in_content)
			tr->content_at = t->len;
		buf_adds(t, tr->in_content ? "" : " [");
		tr->in_content = true;
		text_escape(t, ev->bytes, SIZE_MAX, false);
		break;
	case BUNDLE_EVENT_END:
		buf_addf(t, " end %llu of %llu",
		    (unsigned long long)ev->index,
		    (unsigned long long)ev->facts->octets);
		break;
	case BUNDLE_EVENT_RESET:
		buf_adds(t, " reset");
		break;
	case BUNDLE_EVENT_ERROR:
		buf_addf(t, " error %d@%llu", ev->refusal.code,
		    (unsigned long long)ev->line);
		break;
	case BUNDLE_EVENT_BROKEN:
		assert_true(ev->reason != NULL && *ev->reason != '\0');
		buf_adds(t, " broken");
		if (ev->refusal.code != 0)
			buf_addf(t, " %d@%llu", ev->refusal.code,
			    (unsigned long long)ev->line);
		break;
	case BUNDLE_EVENT_NOT_BATCH:
		assert_true(ev->reason != NULL && *ev->reason != '\0');
		buf_adds(t, "not-batch");
		break;
	case BUNDLE_EVENT_DONE:
		buf_adds(t, " done");
		break;
	}
}

static void
read_pieces(struct transcript *tr, const struct bundle_reader_options *opts,
    const char *in, size_t len, size_t piece)
{
	struct bundle_reader *r = bundle_reader_new(opts);
	struct bundle_event ev;
	size_t used;

	for (size_t at = 0; at < len; at += used) {
		size_t n = len - at < piece ? len - at : piece;

		while (bundle_reader_next(r, in + at, n, &used, &ev) == 1) {
			assert_true(used <= n);
			write_event(tr, &ev);
			at += used;
			n -= used;
		}
		assert_int_equal(used, n);
	}
	while (bundle_reader_eof(r, &ev) == 1)
		write_event(tr, &ev);
	assert_int_equal(bundle_reader_eof(r, &ev), 0);
	assert_int_equal(bundle_reader_next(r, "x", 1, &used, &ev), 0);
	assert_int_equal(used, 1);
	bundle_reader_free(r);
}

static void
check(const struct bundle_reader_options *opts, const char *in, size_t len,
    const char *wanted)
{
	static const size_t pieces[] = { 1, 2, 7, 61, 1 << 20 };

	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct transcript tr = { .in_content = false };

		read_pieces(&tr, opts, in, len, pieces[i]);
		assert_string_equal(buf_cstr(&tr.text), wanted);
		buf_release(&tr.text);
	}
}

#define H "HELO x\r\n"
#define MR "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n"
#define DATA(text) "DATA\r\n" text ".\r\n"
#define ONE MR DATA("hi\r\n")
#define BEGIN(line, n) " begin@" #line " " #n " <a@b.c> <d@e.f>"
#define HI(n) " [hi\\x0D\\x0A] end " #n " of 4"
#define TYPE "Content-Type: application/batch-SMTP"
#define CTE "Content-Transfer-Encoding: "

static const struct {
	const char *in, *wanted;
} cases[] = {
	/* bare batches */
	{ H ONE "QUIT\r\n", "bsmtp" BEGIN(2, 1) HI(1) " done" },
	{ ONE, "bsmtp" BEGIN(1, 1) HI(1) " done" },
	{ "HELO x\nMAIL FROM:a@b.c\nRCPT TO:d@e.f\nDATA\nhi\n.\nQUIT\n",
	    "bsmtp" BEGIN(2, 1) HI(1) " done" },
	{ ONE ONE, "bsmtp" BEGIN(1, 1) HI(1) BEGIN(6, 2) HI(2) " done" },
	{ MR DATA(""), "bsmtp" BEGIN(1, 1) " end 1 of 0 done" },
	{ MR DATA("..\r\n"), "bsmtp" BEGIN(1, 1)
	    " [.\\x0D\\x0A] end 1 of 3 done" },
	{ "NOOP postrider-id=a.b-1\r\nNOOP postrider-hops=4\r\n" ONE ONE,
	    "bsmtp id a.b-1" BEGIN(3, 1) " hops 4" HI(1) BEGIN(8, 2) HI(2)
	    " done" },
	{ "NOOP postrider-id=a b\r\nNOOP postrider-hops=x\r\n" ONE,
	    "bsmtp" BEGIN(3, 1) HI(1) " done" },
	{ MR "BDAT 4 LAST\r\nhi\r\n", "bsmtp" BEGIN(1, 1) HI(1) " done" },
	{ "HELO", "bsmtp broken 500@1" },
	{ "QUIT\r\n", "bsmtp done" },
	/* half-baked batches that end their lines differently, in one file */
	{ "MAIL FROM:<a@b.c>\nRCPT TO:<d@e.f>\nDATA\nhi\n.\n" ONE,
	    "bsmtp" BEGIN(1, 1) HI(1) BEGIN(6, 2) HI(2) " done" },
	{ ONE "MAIL FROM:<a@b.c>\nRCPT TO:<d@e.f>\nDATA\nhi\n.\n",
	    "bsmtp" BEGIN(1, 1) HI(1) BEGIN(6, 2) HI(2) " done" },
	{ "VERBOSE\r\nTICK 1\r\n" ONE, "bsmtp" BEGIN(3, 1) HI(1) " done" },
	{ "VERB ON\r\nTICK 1\r\n" ONE, "bsmtp" BEGIN(3, 1) HI(1) " done" },
	{ "VRFY\r\nEXPN x\r\nHELP\r\nETRN x\r\n" ONE,
	    "bsmtp" BEGIN(5, 1) HI(1) " done" },
	/* joined; text behind QUIT */
	{ H ONE "QUIT\r\n" H ONE "QUIT\r\n", "bsmtp" BEGIN(2, 1) HI(1)
	    BEGIN(9, 2) HI(2) " done" },
	{ H ONE "QUIT\r\n\r\n\r\n" H "XY\r\n", "bsmtp" BEGIN(2, 1) HI(1)
	    " broken 500@11" },
	{ H ONE "QUIT\r\n-- \r\n" H "XY\r\n", "bsmtp" BEGIN(2, 1) HI(1)
	    " done" },
	/* RFC 2442: RSET, and DATA without recipients has no effect */
	{ MR "RSET\r\n" ONE, "bsmtp" BEGIN(4, 1) HI(1) " done" },
	{ "MAIL FROM:<a@b.c>\r\nDATA\r\nx\r\n.\r\n" ONE,
	    "bsmtp" BEGIN(5, 1) HI(1) " done" },
	/* one message suffers alone and keeps its number */
	{ H MR DATA("a\rb\r\n") ONE, "bsmtp" BEGIN(2, 1)
	    " reset error 554@4" BEGIN(7, 2) HI(2) " done" },
	/* all behind the fault is not looked at */
	{ ONE "XY\r\n" ONE, "bsmtp" BEGIN(1, 1) HI(1) " broken 500@6" },
	{ ONE MR "DATA\r\nh", "bsmtp" BEGIN(1, 1) HI(1) BEGIN(6, 2)
	    " reset broken 554@8" },
	{ H MR "MAIL FROM:<a@b.c>\r\n", "bsmtp broken 503@4" },
	/* MIME objects */
	{ TYPE "\r\nMessage-ID: <m@n>\r\n\r\n" H ONE, "rfc2442 id <m@n>"
	    BEGIN(2, 1) HI(1) " done" },
	{ TYPE "\n\nHELO x\nMAIL FROM:<a@b.c>\nRCPT TO:<d@e.f>\nDATA\nhi\n.\n",
	    "rfc2442" BEGIN(2, 1) HI(1) " done" },
	{ TYPE "\r\n\r\n", "rfc2442 done" },
	{ TYPE, "rfc2442 done" },
	{ TYPE "\r\n" CTE "quoted-printable\r\n\r\nMAIL FROM:<a=40b=\r\n"
	    ".c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nhi\r\n=2E\r\n", "rfc2442"
	    BEGIN(1, 1) HI(1) " done" },
	/* "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nhi\r\n.\r\n" */
	{ TYPE "\r\n" CTE "base64\r\n\r\n"
	    "TUFJTCBGUk9NOjxhQGIuYz4NClJDUFQgVE86PGRA\r\n"
	    "ZS5mPg0KREFUQQ0KaGkNCi4NCg==\r\n", "rfc2442"
	    BEGIN(1, 1) HI(1) " done" },
	{ TYPE "\r\n" CTE "base64\r\n\r\nTk9PUA0KU", "rfc2442 broken" },
	{ TYPE "\r\n" CTE "x-strange\r\n\r\n" ONE, "rfc2442 broken" },
	{ TYPE "; required-extensions=\"notary, XA\"\r\n\r\n" ONE,
	    "rfc2442 requires notary, XA broken" },
	{ TYPE "; required-extensions=\"chunking,,DSN \"\r\n\r\n" ONE,
	    "rfc2442 requires chunking,,DSN " BEGIN(1, 1) HI(1) " done" },
	{ TYPE "; required-extensions=XGZIP\r\n\r\n" ONE,
	    "rfc2442 gzip requires XGZIP broken" },
	{ TYPE "\r\n\r\n\x1f\x8b\x08", "rfc2442 broken" },
	{ TYPE "\r\n\r\nMAIL FROM:a@b.c\r\n", "rfc2442 broken 501@1" },
	/* no batches */
	{ "", "not-batch" },
	{ "x", "not-batch" },
	{ "\r\n", "not-batch" },
	{ "Mailing: x\r\n\r\n" ONE, "not-batch" },
	{ "MAIL: x\r\n\r\n" ONE, "not-batch" },
	{ "Content-Type: text/plain\r\n\r\n" ONE, "not-batch" },
	{ "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" TYPE
	    "\r\n\r\n" ONE "--x--\r\n", "not-batch" },
	{ "Hello there\r\n" ONE, "not-batch" },
	{ "\x1f\x8b", "none gzip broken" },
	{ "\x1f\x8bxyz", "none gzip broken" },
};

static void
test_cases(void **state)
{
	struct bundle_reader_options opts;

	(void)state;
	bundle_reader_options_default(&opts);
	for (size_t i = 0; i < COUNT(cases); i++)
		check(&opts, cases[i].in, strlen(cases[i].in),
		    cases[i].wanted);
}

static void
compress_text(struct buf *out, const char *text)
{
	struct gzip_writer *w = gzip_writer_new(6, sink_to_buf, out);
	struct err e = ERR_INIT;

	assert_int_equal(gzip_writer_add(w, text, strlen(text), &e), 0);
	assert_int_equal(gzip_writer_end(w, &e), 0);
	gzip_writer_free(w);
}

static void
test_gzip(void **state)
{
	struct bundle_reader_options opts;
	struct buf in = BUF_INIT, object = BUF_INIT;

	(void)state;
	bundle_reader_options_default(&opts);
	compress_text(&in, H ONE "QUIT\r\n");
	check(&opts, in.ptr, in.len, "bsmtp gzip" BEGIN(2, 1) HI(1) " done");
	/* what was whole before the damage is given, then the damage told */
	check(&opts, in.ptr, in.len - 1,
	    "bsmtp gzip" BEGIN(2, 1) HI(1) " broken");
	in.ptr[in.len - 6] ^= 1;
	check(&opts, in.ptr, in.len,
	    "bsmtp gzip" BEGIN(2, 1) HI(1) " broken");
	in.ptr[in.len - 6] ^= 1;
	buf_adds(&object, TYPE "; required-extensions=xgzip\r\n" CTE
	    "binary\r\n\r\n");
	buf_add(&object, in.ptr, in.len);
	check(&opts, object.ptr, object.len, "rfc2442 gzip requires xgzip"
	    BEGIN(2, 1) HI(1) " done");
	check(&opts, object.ptr, object.len - 3, "rfc2442 gzip requires xgzip"
	    BEGIN(2, 1) HI(1) " broken");
	opts.extensions &= ~(unsigned)SMTP_EXT_XGZIP;
	check(&opts, object.ptr, object.len,
	    "rfc2442 requires xgzip broken");
	buf_clear(&in);
	compress_text(&in, "Subject: mail\r\n\r\n");
	check(&opts, in.ptr, in.len, "not-batch");
	buf_release(&in);
	buf_release(&object);
}

/* One frame of one raw block (RFC 8878 3.1.1): all of the magic number may be
 * there while the library asks for one octet. */
static void
test_zstd(void **state)
{
	static const char batch[] = H ONE "QUIT\r\n";
	size_t len = sizeof(batch) - 1;
	struct bundle_reader_options opts;
	struct buf in = BUF_INIT;

	(void)state;
	bundle_reader_options_default(&opts);
	assert_true(len < 256);
	buf_adds(&in, "\x28\xb5\x2f\xfd\x20");
	buf_addc(&in, (char)len);
	buf_addc(&in, (char)(len << 3 | 1));
	buf_addc(&in, (char)(len >> 5));
	buf_addc(&in, '\0');
	buf_adds(&in, batch);
	check(&opts, in.ptr, in.len, "bsmtp zstd" BEGIN(2, 1) HI(1) " done");
	check(&opts, in.ptr, 5, "none zstd broken");
	buf_release(&in);
}

static void
test_strict(void **state)
{
	struct bundle_reader_options opts;
	static const char no_hello[] = ONE;
	static const char lf[] = "HELO x\n";
	static const char bare[] = H "MAIL FROM:a@b.c\r\n";
	static const char unnamed[] = TYPE "\r\nMIME-Version: 1.0\r\n\r\n" H
	    "MAIL FROM:<a@b.c> SMTPUTF8\r\n";
	static const char no_version[] = TYPE "\r\n\r\n" H ONE;
	static const char tick[] = "TICK 1\r\n" H ONE "QUIT\r\n";
	static const char no_quit[] = H ONE;
	static const char behind[] = H ONE "QUIT\r\nx\r\n";
	static const char no_rcpt[] = H "MAIL FROM:<a@b.c>\r\nDATA\r\n";

	(void)state;
	bundle_reader_options_default(&opts);
	opts.strict = true;
	check(&opts, no_hello, sizeof(no_hello) - 1, "bsmtp broken 503@1");
	check(&opts, lf, sizeof(lf) - 1, "bsmtp broken 500@1");
	check(&opts, bare, sizeof(bare) - 1, "bsmtp broken 501@2");
	check(&opts, unnamed, sizeof(unnamed) - 1, "rfc2442 broken 555@2");
	check(&opts, no_version, sizeof(no_version) - 1, "not-batch");
	check(&opts, tick, sizeof(tick) - 1, "bsmtp broken 500@1");
	check(&opts, no_quit, sizeof(no_quit) - 1, "bsmtp" BEGIN(2, 1) HI(1)
	    " broken 503@4");
	check(&opts, behind, sizeof(behind) - 1, "bsmtp" BEGIN(2, 1) HI(1)
	    " broken 503@8");
	check(&opts, no_rcpt, sizeof(no_rcpt) - 1, "bsmtp broken 503@3");
}

static void
test_limits(void **state)
{
	struct bundle_reader_options opts;
	static const char two[] = MR "RCPT TO:<g@h.i>\r\n" DATA("hi\r\n");
	static const char large[] = MR DATA("hello\r\n") ONE;

	(void)state;
	bundle_reader_options_default(&opts);
	opts.recipients_max = 1;
	check(&opts, two, sizeof(two) - 1, "bsmtp error 452@3" BEGIN(1, 1)
	    HI(1) " done");
	opts.message_max = 4;
	check(&opts, large, sizeof(large) - 1, "bsmtp" BEGIN(1, 1)
	    " reset error 552@3" BEGIN(6, 2) HI(2) " done");
}

static void
test_batch_max(void **state)
{
	struct bundle_reader_options opts;
	struct buf text = BUF_INIT, in = BUF_INIT;
	struct transcript tr = { .in_content = false };

	(void)state;
	bundle_reader_options_default(&opts);
	opts.batch_max = 1 << 20;
	buf_adds(&text, H ONE);
	while (text.len < 64 << 20)
		buf_adds(&text, "RSET\r\n");
	compress_text(&in, buf_cstr(&text));
	assert_true(in.len < 1 << 20);
	read_pieces(&tr, &opts, in.ptr, in.len, in.len);
	assert_string_equal(buf_cstr(&tr.text),
	    "bsmtp gzip" BEGIN(2, 1) HI(1) " broken");
	buf_release(&text);
	buf_release(&in);
	buf_release(&tr.text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_zstd),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_batch_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
