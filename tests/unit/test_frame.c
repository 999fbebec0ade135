/* SPDX-License-Identifier: ISC */
/*
 * Frames: each case as octets written down from the manual page; read whole
 * and one octet at a time it says the same, and written again it is the same
 * octets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"
#include "bundle/frame.h"
#include "tests/unit/octets.h"

#define ID "000102030405060708090a0b0c0d0e0f"

/*
 * Reading as text.
 */
static void
show_bundle(struct buf *out, const struct frame *f)
{
	buf_adds(out, f->kind == FRAME_WHOLE ? "whole" : "fragment");
	if (f->kind == FRAME_FRAGMENT)
		hex_encode(out, f->name, 2);
	buf_addf(out, " %s p%d l%llu h%u %llu", f->direct ? "direct" :
	    f->destination, f->priority,
	    (unsigned long long)f->lifetime_secs, f->hops,
	    (unsigned long long)f->total);
	if (f->kind == FRAME_FRAGMENT)
		buf_addf(out, " @%llu", (unsigned long long)f->offset);
	buf_addf(out, "+%llu:", (unsigned long long)f->length);
}

static void
show(struct buf *out, const struct frame *f)
{
	switch (f->kind) {
	case FRAME_WHOLE:
	case FRAME_FRAGMENT:
		show_bundle(out, f);
		break;
	case FRAME_OCTETS:
		hex_encode(out, f->bytes.ptr, f->bytes.len);
		break;
	case FRAME_OVER:
		buf_adds(out, ";");
		break;
	case FRAME_ACK:
		buf_adds(out, "ack ");
		hex_encode(out, f->name, 2);
		for (size_t i = 0; i < f->nranges; i++)
			buf_addf(out, " %llu+%llu",
			    (unsigned long long)f->range[i].offset,
			    (unsigned long long)f->range[i].length);
		buf_adds(out, ";");
		break;
	case FRAME_SITE:
		buf_adds(out, "site ");
		buf_addslice(out, f->bytes);
		buf_adds(out, ";");
		break;
	}
}

static int
feed(struct frame_reader *r, struct buf *out, const char *in, size_t len,
    struct err *e)
{
	size_t at = 0, used;
	struct frame f;
	int rc;

	while ((rc = frame_reader_next(r, in + at, len - at, &used, &f,
	    e)) == 1) {
		at += used;
		show(out, &f);
	}
	assert_true(rc < 0 || at + used == len);
	return rc;
}

/* Reads in pieces; each piece stands in memory of its own. */
static int
read_all(struct buf *out, struct slice in, size_t piece, struct err *e)
{
	struct frame_reader *r = frame_reader_new();
	int rc = 0;

	for (size_t at = 0, n; rc == 0 && at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		char *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, in.ptr + at, n);
		rc = feed(r, out, copy, n, e);
		free(copy);
	}
	if (rc == 0)
		rc = feed(r, out, NULL, 0, e);
	if (rc == 0)
		rc = frame_reader_end(r, e);
	frame_reader_free(r);
	return rc;
}

/* Reads and writes again. */
static void
rewrite(struct buf *out, struct slice in)
{
	struct frame_reader *r = frame_reader_new();
	struct frame f;
	size_t used;

	while (frame_reader_next(r, in.ptr, in.len, &used, &f, NULL) == 1) {
		in.ptr += used;
		in.len -= used;
		if (f.kind == FRAME_OCTETS)
			buf_addslice(out, f.bytes);
		else if (f.kind != FRAME_OVER)
			assert_int_equal(frame_put(out, &f, NULL), 0);
	}
	frame_reader_free(r);
}

/* octets without padding and without what is skipped; behind it what is. */
static const struct {
	const char *hex, *rest, *text;
} good[] = {
	{ "", "", "" },
	{ "", "00", "" },
	{ "", "0000000000", "" },
	{ "02 00 34 02 abcd", "", "whole direct p0 l491520 h0 2+2:abcd;" },
	{ "01 04 6f736c6f fd 00 1f 03 616263", "0000",
	    "whole oslo p-3 l60 h31 3+3:616263;" },
	{ "01 01 61 09 4d 00 01 ff", "",
	    "whole a p9 l37224448 h0 1+1:ff;" },
	/* the last 2 of 1026 */
	{ "04 " ID " f7 01 8208 8008 02 eeff", "",
	    "fragment0001 direct p-9 l71 h0 1026 @1024+2:eeff;" },
	{ "03 " ID " 05 7061726973 00 00 10 8208 8108 01 ee", "",
	    "fragment0001 paris p0 l60 h16 1026 @1025+1:ee;" },
	{ "05 " ID " 00", "", "ack 0001;" },
	{ "05 " ID " 01 00 01", "00", "ack 0001 0+1;" },
	{ "05 " ID " 02 0a 8001 01 02", "", "ack 0001 10+128 139+2;" },
	{ "05 " ID " 01 ffffffffff1f 01", "",
	    "ack 0001 1099511627775+1;" },
	{ "06 05 63617264 0a", "", "site card\n;" },
	{ "02 00 34 01 41 05 " ID " 00 06 01 78 02 00 34 01 42", "",
	    "whole direct p0 l491520 h0 1+1:41;ack 0001;site x;"
	    "whole direct p0 l491520 h0 1+1:42;" },
	/* of later versions */
	{ "", "80 00", "" },
	{ "", "ff 03 010203 80 00 00", "" },
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct buf octets = BUF_INIT, all = BUF_INIT, text = BUF_INIT;
		struct buf again = BUF_INIT;
		struct err e = ERR_INIT;

		unhex(&octets, good[i].hex);
		unhex(&all, good[i].hex);
		unhex(&all, good[i].rest);
		for (size_t piece = 1; piece < 20; piece++) {
			buf_clear(&text);
			assert_int_equal(read_all(&text, buf_slice(&all),
			    piece < 19 ? piece : SIZE_MAX, &e), 0);
			assert_string_equal(buf_cstr(&text), good[i].text);
		}
		rewrite(&again, buf_slice(&all));
		assert_octets(&again, buf_slice(&octets));
		buf_release(&octets);
		buf_release(&all);
		buf_release(&text);
		buf_release(&again);
	}
}

static const struct {
	const char *hex;
	int code;
	const char *why;
} bad[] = {
	{ "07", ERR_UNSUPPORTED, "type 7" },
	{ "7f 00", ERR_UNSUPPORTED, "type 127" },
	{ "00 01", ERR_SYNTAX, "padding" },
	{ "00000000000000000000 80", ERR_SYNTAX, "padding" },
	{ "01", ERR_SYNTAX, "ends inside" },
	{ "80", ERR_SYNTAX, "ends inside" },
	{ "80 05 01020304", ERR_SYNTAX, "ends inside" },
	{ "80 8100", ERR_SYNTAX, "shorter" },
	/* a bundle */
	{ "02 0a 00 01 41", ERR_LIMIT, "priority 10" },
	{ "02 f6 00 01 41", ERR_LIMIT, "priority -10" },
	{ "02 00 4e 01 41", ERR_LIMIT, "step 78" },
	{ "02 00 00 00", ERR_LIMIT, "0 octets" },
	{ "02 00 00 818080808020 41", ERR_LIMIT, "length of a bundle" },
	{ "02 00 00 8200 4141", ERR_SYNTAX, "shorter" },
	{ "02 00 00 02 41", ERR_SYNTAX, "ends inside" },
	{ "02 00 00 02", ERR_SYNTAX, "ends inside" },
	{ "01 00 00 00 00 01 41", ERR_SYNTAX, "name of a site" },
	{ "01 01 2f 00 00 00 01 41", ERR_SYNTAX, "name of a site" },
	{ "01 40", ERR_LIMIT, "name of a site" },
	{ "01 01 61 00 00 20 01 41", ERR_LIMIT, "32 hops" },
	/* a fragment */
	{ "04 " ID " 00 00 8208 8008 00", ERR_SYNTAX, "within" },
	{ "04 " ID " 00 00 8208 8208 01 41", ERR_SYNTAX, "within" },
	{ "04 " ID " 00 00 8208 8108 02 4141", ERR_SYNTAX, "within" },
	{ "04 " ID " 00 00 8208 00 8208", ERR_SYNTAX, "all of" },
	{ "04 " ID " 00 00 02 00 02 4141", ERR_SYNTAX, "all of" },
	{ "04 " ID " 00 00 8208 00 ff07", ERR_LIMIT, "not the last" },
	{ "04 " ID " 00 00 8218 01 ff07", ERR_LIMIT, "not the last" },
	{ "04 " ID " 00 00 8218 ffffffffffffffffff01 ff07", ERR_LIMIT,
	    "offset" },
	/* an acknowledgement */
	{ "05 " ID " 02 00 01 00 01", ERR_SYNTAX, "sorted" },
	{ "05 " ID " 01 00 00", ERR_SYNTAX, "sorted" },
	{ "05 " ID " 8102", ERR_LIMIT, "ranges" },
	{ "05 " ID " 01 808080808020 01", ERR_LIMIT, "beyond the end" },
	{ "05 " ID " 01 818080808020 01", ERR_LIMIT, "offset" },
	{ "05 " ID " 02 00 808080808020 01 01", ERR_LIMIT,
	    "beyond the end" },
	{ "05 " ID " 02 00 01", ERR_SYNTAX, "ends inside" },
	{ "05 000102", ERR_SYNTAX, "ends inside" },
	/* a card */
	{ "06 00", ERR_LIMIT, "card" },
	{ "06 818001", ERR_LIMIT, "card" },
	{ "06 05 63617264", ERR_SYNTAX, "ends inside" },
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct buf octets = BUF_INIT, text = BUF_INIT;

		unhex(&octets, bad[i].hex);
		for (size_t piece = 1; piece < 4; piece++) {
			struct err e = ERR_INIT;

			assert_int_equal(read_all(&text, buf_slice(&octets),
			    piece < 3 ? piece : SIZE_MAX, &e), bad[i].code);
			assert_non_null(strstr(e.text, bad[i].why));
		}
		buf_release(&octets);
		buf_release(&text);
	}
}

/* A fault stays. */
static void
test_sticky(void **state)
{
	struct frame_reader *r = frame_reader_new();
	struct frame f;
	struct err e = ERR_INIT;
	size_t used;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(frame_reader_next(r, "\7", 1, &used, &f, &e),
		    ERR_UNSUPPORTED);
		assert_int_equal(frame_reader_end(r, &e), ERR_UNSUPPORTED);
	}
	frame_reader_free(r);
}

/* The longest items are held, and no longer ones. */
static void
test_limits(void **state)
{
	static char card[CARD_OCTETS_MAX + 1];
	static struct frame_range range[FRAME_RANGES_MAX + 1];
	struct frame f = { .kind = FRAME_SITE,
		.bytes = { card, CARD_OCTETS_MAX } };
	struct buf octets = BUF_INIT, text = BUF_INIT;

	(void)state;
	memset(card, 'x', sizeof(card));
	for (size_t i = 0; i < COUNT(range); i++)
		range[i] = (struct frame_range){ (i + 1) << 32, 1 << 30 };
	assert_int_equal(frame_put(&octets, &f, NULL), 0);
	f = (struct frame){ .kind = FRAME_ACK, .range = range,
		.nranges = FRAME_RANGES_MAX - 1 };
	assert_int_equal(frame_put(&octets, &f, NULL), 0);
	for (size_t piece = 1; piece < 100000; piece *= 7) {
		buf_clear(&text);
		assert_int_equal(read_all(&text, buf_slice(&octets), piece,
		    NULL), 0);
		assert_non_null(strstr(buf_cstr(&text),
		    " 1095216660480+1073741824;"));
	}
	f.nranges = FRAME_RANGES_MAX + 1;
	assert_int_equal(frame_put(&octets, &f, NULL), ERR_LIMIT);
	f = (struct frame){ .kind = FRAME_SITE,
		.bytes = { card, CARD_OCTETS_MAX + 1 } };
	assert_int_equal(frame_put(&octets, &f, NULL), ERR_LIMIT);
	buf_release(&octets);
	buf_release(&text);
}

/* What a reader would refuse is not written. */
static void
test_refused_writing(void **state)
{
	static const struct frame_range touching[] = { { 0, 5 }, { 5, 1 } };
	static const struct {
		struct frame f;
		int code;
	} rows[] = {
		{ { .kind = FRAME_WHOLE, .direct = true }, ERR_LIMIT },
		{ { .kind = FRAME_WHOLE, .direct = true, .total = 1,
		    .priority = 10 }, ERR_LIMIT },
		{ { .kind = FRAME_WHOLE, .total = 1 }, ERR_SYNTAX },
		{ { .kind = FRAME_WHOLE, .total = 1, .destination = "o/" },
		    ERR_SYNTAX },
		{ { .kind = FRAME_WHOLE, .total = 1, .destination = "o",
		    .hops = 32 }, ERR_LIMIT },
		{ { .kind = FRAME_FRAGMENT, .direct = true, .total = 9,
		    .length = 9 }, ERR_SYNTAX },
		{ { .kind = FRAME_FRAGMENT, .direct = true, .total = 9,
		    .length = 8 }, ERR_LIMIT },
		{ { .kind = FRAME_FRAGMENT, .direct = true, .total = 9,
		    .offset = 9, .length = 1 }, ERR_SYNTAX },
		{ { .kind = FRAME_ACK, .range = touching, .nranges = 2 },
		    ERR_SYNTAX },
		{ { .kind = FRAME_SITE }, ERR_LIMIT },
		{ { .kind = FRAME_OCTETS }, ERR_STATE },
		{ { .kind = FRAME_OVER }, ERR_STATE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf out = BUF_INIT;
		struct err e = ERR_INIT;

		assert_int_equal(frame_put(&out, &rows[i].f, &e),
		    rows[i].code);
		assert_int_equal(out.len, 0);
		assert_true(e.text[0] != '\0');
		buf_release(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_sticky),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_refused_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
