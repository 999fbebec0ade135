/* SPDX-License-Identifier: ISC */
/*
 * gzip as a stream, against zlib itself and against gzip files made by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "bundle/filter.h"
#include "tests/unit/octets.h"

/* Compresses in pieces of `piece` octets. */
static void
compress_pieces(struct buf *out, const char *bytes, size_t len, size_t piece)
{
	struct gzip_writer *w = gzip_writer_new(6, sink_to_buf, out);
	struct err e = ERR_INIT;

	for (size_t at = 0; at < len; at += piece)
		assert_int_equal(gzip_writer_add(w, bytes + at,
		    len - at < piece ? len - at : piece, &e), 0);
	assert_int_equal(gzip_writer_end(w, &e), 0);
	gzip_writer_free(w);
}

/* Reads in pieces; returns the error or 0. */
static int
expand_pieces(struct buf *out, struct buf *in, size_t piece, uint64_t max)
{
	struct gzip_reader *r = gzip_reader_new(max);
	struct err e = ERR_INIT;
	int rc = 0;

	for (size_t at = 0; at < in->len && rc >= 0;) {
		size_t n = in->len - at < piece ? in->len - at : piece, used;

		do {
			size_t before = out->len;

			rc = gzip_reader_next(r, in->ptr + at, n, &used, out,
			    &e);
			assert_true(out->len - before <= 65536);
			at += used;
			n -= used;
		} while (rc == 1);
		if (rc == 0)
			assert_int_equal(n, 0);
	}
	if (rc >= 0)
		rc = gzip_reader_end(r, &e);
	assert_true(rc == 0 || e.text[0] != '\0');
	gzip_reader_free(r);
	return rc;
}

static void
fill_text(struct buf *b, size_t len)
{
	struct rng_seeded rng;

	rng_seeded_init(&rng, 7);
	while (b->len < len)
		buf_addf(b, "line %u of it\r\n",
		    (unsigned)rng_below(&rng.rng, 500));
}

/* What zlib's own one-call function says is the truth. */
static void
uncompress_all(const struct buf *in, char *out, size_t len)
{
	z_stream z;

	memset(&z, 0, sizeof(z));
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	z.next_in = (Bytef *)in->ptr;
	z.avail_in = (uInt)in->len;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)len;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_out, 0);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
}

static void
test_writer_makes_gzip(void **state)
{
	static char got[300000];
	struct buf text = BUF_INIT, made = BUF_INIT;

	(void)state;
	fill_text(&text, 200000);
	compress_pieces(&made, text.ptr, text.len, 1000);
	uncompress_all(&made, got, text.len);
	assert_memory_equal(got, text.ptr, text.len);
	/* RFC 1952 2.3: magic, deflate, no flags, time 0 */
	assert_memory_equal(made.ptr, "\x1f\x8b\x08\0\0\0\0\0", 8);
	buf_release(&text);
	buf_release(&made);
}

static void
test_pieces_do_not_matter(void **state)
{
	static const size_t pieces[] = { 1, 777, 65536, 65537, 1 << 20 };
	struct buf text = BUF_INIT, first = BUF_INIT, made = BUF_INIT;

	(void)state;
	fill_text(&text, 200000);
	compress_pieces(&first, text.ptr, text.len, text.len);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buf back = BUF_INIT;

		buf_clear(&made);
		compress_pieces(&made, text.ptr, text.len, pieces[i]);
		assert_int_equal(made.len, first.len);
		assert_memory_equal(made.ptr, first.ptr, made.len);
		assert_int_equal(expand_pieces(&back, &made, pieces[i], 0), 0);
		assert_int_equal(back.len, text.len);
		assert_memory_equal(back.ptr, text.ptr, text.len);
		buf_release(&back);
	}
	buf_release(&text);
	buf_release(&first);
	buf_release(&made);
}

static void
test_sink_stops_it(void **state)
{
	struct gzip_writer *w = gzip_writer_new(6, sink_refuses, NULL);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(gzip_writer_add(w, "x", 1, &e), 0);
	assert_int_equal(gzip_writer_end(w, &e), ERR_FULL);
	gzip_writer_free(w);
}

/* "hello\n" by gzip -n of GNU gzip */
static const char hello[] = "\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9"
    "\xe7\x02\0\x20\x30\x3a\x36\x06\0\0\0";
#define HELLO_LEN (sizeof(hello) - 1)

static void
check_hello(const char *before, size_t nbefore, const char *after,
    size_t nafter, const char *wanted, int rc)
{
	struct buf in = BUF_INIT;

	buf_add(&in, before, nbefore);
	buf_add(&in, hello, HELLO_LEN);
	buf_add(&in, after, nafter);
	for (size_t piece = 1; piece <= in.len; piece += in.len - 1) {
		struct buf out = BUF_INIT;

		assert_int_equal(expand_pieces(&out, &in, piece, 0), rc);
		if (wanted != NULL)
			assert_string_equal(buf_cstr(&out), wanted);
		buf_release(&out);
	}
	buf_release(&in);
}

static void
test_members_padding_garbage(void **state)
{
	(void)state;
	check_hello("", 0, "", 0, "hello\n", 0);
	check_hello(hello, HELLO_LEN, "", 0, "hello\nhello\n", 0);
	check_hello("", 0, "\0\0\0\0", 4, "hello\n", 0);
	check_hello("", 0, "junk", 4, "hello\n", ERR_SYNTAX);
	check_hello("junk", 4, "", 0, "", ERR_SYNTAX);
	check_hello("\0", 1, "", 0, "", ERR_SYNTAX);
}

static void
test_cut_and_damaged(void **state)
{
	(void)state;
	for (size_t n = 0; n < HELLO_LEN; n++) {
		struct buf in = BUF_INIT, out = BUF_INIT;

		buf_add(&in, hello, n);
		assert_int_equal(expand_pieces(&out, &in, 5, 0), ERR_SYNTAX);
		buf_release(&in);
		buf_release(&out);
	}
	for (size_t i = HELLO_LEN - 8; i < HELLO_LEN; i++) {
		struct buf in = BUF_INIT, out = BUF_INIT;

		buf_add(&in, hello, HELLO_LEN);
		in.ptr[i] ^= 1;
		assert_int_equal(expand_pieces(&out, &in, 5, 0), ERR_SYNTAX);
		buf_release(&in);
		buf_release(&out);
	}
}

static void
test_limit(void **state)
{
	struct buf in = BUF_INIT, out = BUF_INIT, made = BUF_INIT;

	(void)state;
	memset(buf_room(&in, 1 << 20), 'x', 1 << 20);
	buf_grown(&in, 1 << 20);
	compress_pieces(&made, in.ptr, in.len, in.len);
	assert_int_equal(expand_pieces(&out, &made, 100, 1 << 20), 0);
	buf_clear(&out);
	assert_int_equal(expand_pieces(&out, &made, 100, 1000), ERR_LIMIT);
	assert_true(out.len <= 65536);
	buf_release(&in);
	buf_release(&out);
	buf_release(&made);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer_makes_gzip),
		cmocka_unit_test(test_pieces_do_not_matter),
		cmocka_unit_test(test_sink_stops_it),
		cmocka_unit_test(test_members_padding_garbage),
		cmocka_unit_test(test_cut_and_damaged),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
