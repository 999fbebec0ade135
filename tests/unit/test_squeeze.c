/* SPDX-License-Identifier: ISC */
/*
 * The compression of native batches, against zlib itself and against streams
 * of stored blocks made by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "bundle/squeeze.h"
#include "tests/unit/octets.h"

#define TEXTS 3

static void
squeeze(struct buf *out, struct squeeze_how how, const struct buf *texts,
    size_t n, size_t piece)
{
	struct squeeze_writer *w = squeeze_writer_new(how, sink_to_buf, out);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		for (size_t at = 0; at < texts[i].len; at += piece)
			assert_int_equal(squeeze_writer_add(w,
			    texts[i].ptr + at, texts[i].len - at < piece ?
			    texts[i].len - at : piece, &e), 0);
		assert_int_equal(squeeze_writer_cut(w, &e), 0);
	}
	assert_int_equal(squeeze_writer_end(w, &e), 0);
	squeeze_writer_free(w);
}

/* Reads in pieces; returns the error or 0. */
static int
expand(struct buf *out, const char *in, size_t len, size_t piece,
    uint64_t max)
{
	struct squeeze_reader *r = squeeze_reader_new(max);
	struct err e = ERR_INIT, again = ERR_INIT;
	size_t used;
	int rc = 0;

	for (size_t at = 0; at < len && rc >= 0;) {
		size_t n = len - at < piece ? len - at : piece;

		do {
			size_t before = out->len;

			rc = squeeze_reader_next(r, in + at, n, &used, out,
			    &e);
			assert_true(out->len - before <= 65536);
			at += used;
			n -= used;
		} while (rc == 1);
		if (rc == 0)
			assert_int_equal(n, 0);
	}
	if (rc < 0) {
		assert_int_equal(squeeze_reader_next(r, "x", 1, &used, out,
		    &again), rc);
		assert_string_equal(again.text, e.text);
	}
	if (rc >= 0)
		rc = squeeze_reader_end(r, &e);
	else
		assert_int_equal(squeeze_reader_end(r, &again), rc);
	assert_true(rc == 0 || e.text[0] != '\0');
	squeeze_reader_free(r);
	return rc;
}

static void
fill_text(struct buf *b, size_t len, uint64_t seed)
{
	struct rng_seeded rng;

	rng_seeded_init(&rng, seed);
	while (b->len < len)
		buf_addf(b, "line %u of it\r\n",
		    (unsigned)rng_below(&rng.rng, 500));
}

static void
fill_texts(struct buf *texts)
{
	for (size_t i = 0; i < TEXTS; i++)
		buf_init(&texts[i]);
	fill_text(&texts[0], 150000, 7);
	fill_text(&texts[1], 10, 8);
	fill_text(&texts[2], 3000, 7);
}

static void
release_texts(struct buf *texts)
{
	for (size_t i = 0; i < TEXTS; i++)
		buf_release(&texts[i]);
}

/* What is in the field never changes: every site has these octets. */
static void
test_dictionary_is_pinned(void **state)
{
	struct slice octets;
	struct sha256 h;
	unsigned char digest[SHA256_LEN];
	struct buf hex = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(squeeze_dictionary(1, &octets, &e), 0);
	sha256_init(&h);
	sha256_add(&h, octets.ptr, octets.len);
	sha256_end(&h, digest);
	hex_encode(&hex, digest, 8);
	assert_string_equal(buf_cstr(&hex), "0099651dda60e8b8");
	assert_int_equal(octets.len, 16384);
	buf_release(&hex);
	assert_int_equal(squeeze_dictionary(0, &octets, &e), 0);
	assert_int_equal(octets.len, 0);
	for (unsigned id = 2; id <= SQUEEZE_DICTIONARY_MAX; id++)
		assert_int_equal(squeeze_dictionary(id, &octets, &e),
		    ERR_UNSUPPORTED);
}

/* A dictionary that holds no one's address, nor anything but ASCII. */
static void
test_dictionary_is_words(void **state)
{
	struct slice octets;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(squeeze_dictionary(1, &octets, &e), 0);
	assert_null(memchr(octets.ptr, '@', octets.len));
	for (size_t i = 0; i < octets.len; i++) {
		char c = octets.ptr[i];

		assert_true((c >= 0x20 && c < 0x7f) || c == '\r' ||
		    c == '\n' || c == '\t');
	}
}

static void
test_modes_have_names(void **state)
{
	enum squeeze_mode mode;

	(void)state;
	for (unsigned m = 0; m < SQUEEZE_MODES; m++) {
		assert_int_equal(squeeze_mode_parse(slice_of(squeeze_mode_name(
		    (enum squeeze_mode)m)), &mode), 0);
		assert_int_equal(mode, m);
	}
	assert_int_equal(squeeze_mode_parse(slice_of("Each"), &mode), 0);
	assert_int_equal(mode, SQUEEZE_EACH);
	assert_int_equal(squeeze_mode_parse(slice_of(""), &mode), ERR_SYNTAX);
	assert_int_equal(squeeze_mode_parse(slice_of("gzip"), &mode),
	    ERR_SYNTAX);
}

/* What zlib's own one-call function says is the truth. */
static void
inflate_all(struct slice in, struct slice dictionary, char *out, size_t len)
{
	z_stream z;

	memset(&z, 0, sizeof(z));
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	if (dictionary.len > 0)
		assert_int_equal(inflateSetDictionary(&z,
		    (const Bytef *)dictionary.ptr, (uInt)dictionary.len),
		    Z_OK);
	z.next_in = (Bytef *)(uintptr_t)in.ptr;
	z.avail_in = (uInt)in.len;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)len;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_out, 0);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
}

static void
test_zlib_reads_it(void **state)
{
	static char got[200000];
	struct buf texts[TEXTS], all = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	fill_texts(texts);
	for (size_t i = 0; i < TEXTS; i++)
		buf_addslice(&all, buf_slice(&texts[i]));
	for (unsigned id = 0; id < SQUEEZE_DICTIONARIES; id++) {
		struct squeeze_how how = { SQUEEZE_TOGETHER, id };
		struct buf made = BUF_INIT;
		struct slice dictionary;

		assert_int_equal(squeeze_dictionary(id, &dictionary, &e), 0);
		squeeze(&made, how, texts, TEXTS, 1000);
		assert_int_equal((unsigned char)made.ptr[0], 0x40 + id);
		inflate_all((struct slice){ made.ptr + 1, made.len - 1 },
		    dictionary, got, all.len);
		assert_memory_equal(got, all.ptr, all.len);
		buf_release(&made);
	}
	buf_release(&all);
	release_texts(texts);
}

/* In `each` a message is the same whatever stands beside it. */
static void
test_each_stands_alone(void **state)
{
	struct squeeze_how how = squeeze_default(SQUEEZE_EACH);
	struct buf texts[TEXTS], all = BUF_INIT, joined = BUF_INIT;

	(void)state;
	fill_texts(texts);
	squeeze(&all, how, texts, TEXTS, 1000);
	assert_int_equal((unsigned char)all.ptr[0], 0x81);
	buf_add(&joined, all.ptr, 1);
	for (size_t i = 0; i < TEXTS; i++) {
		struct buf one = BUF_INIT;

		squeeze(&one, how, &texts[i], 1, 1 << 20);
		buf_add(&joined, one.ptr + 1, one.len - 1);
		buf_release(&one);
	}
	assert_int_equal(all.len, joined.len);
	assert_memory_equal(all.ptr, joined.ptr, all.len);
	buf_release(&all);
	buf_release(&joined);
	release_texts(texts);
}

static void
check_pieces(struct squeeze_how how, const struct buf *texts)
{
	static const size_t pieces[] = { 1, 777, 65536, 65537, 1 << 20 };
	struct buf first = BUF_INIT, all = BUF_INIT;

	for (size_t i = 0; i < TEXTS; i++)
		buf_addslice(&all, buf_slice(&texts[i]));
	squeeze(&first, how, texts, TEXTS, 1 << 20);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct buf made = BUF_INIT, back = BUF_INIT;

		squeeze(&made, how, texts, TEXTS, pieces[i]);
		assert_int_equal(made.len, first.len);
		assert_memory_equal(made.ptr, first.ptr, made.len);
		assert_int_equal(expand(&back, made.ptr, made.len, pieces[i],
		    all.len), 0);
		assert_int_equal(back.len, all.len);
		assert_memory_equal(back.ptr, all.ptr, all.len);
		buf_release(&made);
		buf_release(&back);
	}
	buf_release(&first);
	buf_release(&all);
}

static void
test_pieces_do_not_matter(void **state)
{
	struct buf texts[TEXTS];

	(void)state;
	fill_texts(texts);
	for (unsigned m = 0; m < SQUEEZE_MODES; m++) {
		struct squeeze_how how = { (enum squeeze_mode)m, 0 };

		check_pieces(how, texts);
		check_pieces(squeeze_default((enum squeeze_mode)m), texts);
	}
	release_texts(texts);
}

static void
test_writer_says_no(void **state)
{
	struct squeeze_how how = { SQUEEZE_TOGETHER, 2 };
	struct squeeze_writer *w = squeeze_writer_new(how, sink_to_buf, NULL);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(squeeze_writer_add(w, "x", 1, &e), ERR_UNSUPPORTED);
	squeeze_writer_free(w);
	w = squeeze_writer_new(squeeze_default(SQUEEZE_EACH), sink_refuses,
	    NULL);
	assert_int_equal(squeeze_writer_add(w, "x", 1, &e), ERR_FULL);
	squeeze_writer_free(w);
}

/* RFC 1951 3.2.4: a last block that is stored, of five octets. */
#define STORED "\x01\x05\0\xfa\xff" "hello"
/* 3.2.6: a last block with fixed codes and nothing in it. */
#define NOTHING "\x03\0"
#define BYTES(s) (s), sizeof(s) - 1

static const struct {
	const char *in;
	size_t len;
	const char *wanted;	/* what comes out before an error, too */
	int rc;
} cases[] = {
	{ BYTES("\x00"), "", 0 },
	{ BYTES("\x00hello"), "hello", 0 },
	{ BYTES("\x40" STORED), "hello", 0 },
	{ BYTES("\x41" STORED), "hello", 0 },
	{ BYTES("\x40" NOTHING), "", 0 },
	{ BYTES("\x80"), "", 0 },
	{ BYTES("\x80" STORED), "hello", 0 },
	{ BYTES("\x81" STORED STORED), "hellohello", 0 },
	/* octets behind the end */
	{ BYTES("\x40" STORED "\0"), "hello", ERR_SYNTAX },
	{ BYTES("\x40" STORED STORED), "hello", ERR_SYNTAX },
	{ BYTES("\x40" NOTHING "x"), "", ERR_SYNTAX },
	/* a message of nothing */
	{ BYTES("\x80" NOTHING), "", ERR_SYNTAX },
	{ BYTES("\x80" STORED NOTHING), "hello", ERR_SYNTAX },
	/* cut off */
	{ BYTES(""), "", ERR_SYNTAX },
	{ BYTES("\x40"), "", ERR_SYNTAX },
	{ BYTES("\x40\x01\x05"), "", ERR_SYNTAX },
	{ BYTES("\x80" STORED "\x01"), "hello", ERR_SYNTAX },
	/* a length whose complement is wrong; block type 3 */
	{ BYTES("\x40\x01\x05\0\xfb\xffhello"), "", ERR_SYNTAX },
	{ BYTES("\x40\x07"), "", ERR_SYNTAX },
	/* dictionaries and modes that are none */
	{ BYTES("\x42" STORED), "", ERR_UNSUPPORTED },
	{ BYTES("\x60" STORED), "", ERR_UNSUPPORTED },
	{ BYTES("\xbf" STORED), "", ERR_UNSUPPORTED },
	{ BYTES("\xc0" STORED), "", ERR_SYNTAX },
	{ BYTES("\xff"), "", ERR_SYNTAX },
	{ BYTES("\x01hello"), "", ERR_SYNTAX },
	{ BYTES("\x3f"), "", ERR_SYNTAX },
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t piece = 1; piece <= 1000; piece += 999) {
			struct buf out = BUF_INIT;

			assert_int_equal(expand(&out, cases[i].in,
			    cases[i].len, piece, 0), cases[i].rc);
			assert_string_equal(buf_cstr(&out), cases[i].wanted);
			buf_release(&out);
		}
	}
}

static void
test_cut_anywhere(void **state)
{
	struct buf text = BUF_INIT, made = BUF_INIT;

	(void)state;
	fill_text(&text, 2000, 7);
	squeeze(&made, squeeze_default(SQUEEZE_TOGETHER), &text, 1, 1000);
	for (size_t n = 0; n < made.len; n++) {
		struct buf out = BUF_INIT;

		assert_int_equal(expand(&out, made.ptr, n, 100, 0),
		    ERR_SYNTAX);
		buf_release(&out);
	}
	buf_release(&made);
	/* each: no stream may be cut, but the last one may be missing */
	squeeze(&made, squeeze_default(SQUEEZE_EACH), &text, 1, 1000);
	for (size_t n = 2; n < made.len; n++) {
		struct buf out = BUF_INIT;

		assert_int_equal(expand(&out, made.ptr, n, 100, 0),
		    ERR_SYNTAX);
		buf_release(&out);
	}
	buf_release(&made);
	buf_release(&text);
}

/* A distance that reaches into a dictionary which was not agreed on. */
static void
test_wrong_dictionary(void **state)
{
	struct buf text = BUF_INIT, made = BUF_INIT, out = BUF_INIT;

	(void)state;
	buf_adds(&text, "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n");
	squeeze(&made, squeeze_default(SQUEEZE_TOGETHER), &text, 1, 100);
	assert_true(made.len < text.len / 2);
	assert_int_equal(expand(&out, made.ptr, made.len, 100, 0), 0);
	made.ptr[0] = 0x40;
	buf_clear(&out);
	assert_int_equal(expand(&out, made.ptr, made.len, 100, 0),
	    ERR_SYNTAX);
	buf_release(&text);
	buf_release(&made);
	buf_release(&out);
}

static void
test_limit(void **state)
{
	struct buf text = BUF_INIT;

	(void)state;
	memset(buf_room(&text, 1 << 20), 'x', 1 << 20);
	buf_grown(&text, 1 << 20);
	for (unsigned m = 0; m < SQUEEZE_MODES; m++) {
		struct buf made = BUF_INIT, out = BUF_INIT;

		squeeze(&made, squeeze_default((enum squeeze_mode)m), &text, 1,
		    1 << 20);
		assert_int_equal(expand(&out, made.ptr, made.len, 100,
		    1 << 20), 0);
		buf_clear(&out);
		assert_int_equal(expand(&out, made.ptr, made.len, 100000,
		    1000), ERR_LIMIT);
		assert_int_equal(out.len, 1000);
		buf_release(&made);
		buf_release(&out);
	}
	buf_release(&text);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dictionary_is_pinned),
		cmocka_unit_test(test_dictionary_is_words),
		cmocka_unit_test(test_modes_have_names),
		cmocka_unit_test(test_zlib_reads_it),
		cmocka_unit_test(test_each_stands_alone),
		cmocka_unit_test(test_pieces_do_not_matter),
		cmocka_unit_test(test_writer_says_no),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_wrong_dictionary),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
