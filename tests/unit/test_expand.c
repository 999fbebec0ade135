/* SPDX-License-Identifier: ISC */
/*
 * Five kinds of compression, against what the programs of those names wrote,
 * whole and octet by octet; LZW at length is tests/system/test_rsmtp.py, with
 * the real compress(1).
 */
#include <bzlib.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <zstd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "bundle/expand.h"

#define HELLO "HELO x\r\nQUIT\r\n"
#define HEX_COMPRESS "1f9d90488a307902024f030551aa24a17210"
#define HEX_GZIP "1f8b0800000000000003f370f5f157a8e0e50a0cf50ce1e502000310" \
	"80a70e000000"
#define HEX_BZIP2 "425a683931415926535933f19b3d00000356800012400002" \
	"64a60000402000310340d02001a68c808ca3bd1c4f8bb9229c284819f8cd9e80"
#define HEX_XZ "fd377a585a000004e6d6b4460200210116000000742fe5a301000d4845" \
	"4c4f20780d0a515549540d0a0000007e446c399da36aac0001260e081be0041fb6f3" \
	"7d010000000004595a"
#define HEX_ZSTD "28b52ffd045871000048454c4f20780d0a515549540d0aaf6d7b3f"

static void
add_hex(struct buf *out, const char *hex)
{
	for (; *hex != '\0'; hex += 2) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		buf_addc(out, (char)strtoul(pair, NULL, 16));
	}
}

/* Sniffs and expands in pieces; the error, or 0. */
static int
run(const struct buf *in, size_t piece, enum compression *kind,
    struct buf *out)
{
	struct err e = ERR_INIT;
	struct expander *x;
	int rc = 1;

	assert_int_equal(compression_sniff(in->ptr, in->len, kind), 1);
	assert_int_not_equal(*kind, COMPRESSION_NONE);
	x = expander_new(*kind);
	assert_int_equal(expander_kind(x), *kind);
	for (size_t at = 0, used; at < in->len && rc >= 0;) {
		size_t n = in->len - at < piece ? in->len - at : piece;

		rc = expander_next(x, in->ptr + at, n, &used, out, &e);
		assert_true(used <= n);
		at += used;
		assert_true(rc != 0 || used > 0);
	}
	while (rc == 1) {
		size_t used;

		rc = expander_next(x, NULL, 0, &used, out, &e);
	}
	if (rc >= 0)
		rc = expander_end(x, &e);
	assert_true(rc >= 0 || e.text[0] != '\0');
	expander_free(x);
	return rc;
}

static const struct {
	enum compression kind;
	const char *name, *hex, *text;
} good[] = {
	{ COMPRESSION_COMPRESS, "compress", HEX_COMPRESS, HELLO },
	/* a code that stands for the string just being learnt */
	{ COMPRESSION_COMPRESS, "compress", "1f9d9061020a1c489020",
	    "aaaaaaaaaaaaaaaaaaaa" },
	{ COMPRESSION_COMPRESS, "compress", "1f9d90", "" },
	{ COMPRESSION_GZIP, "gzip", HEX_GZIP, HELLO },
	{ COMPRESSION_GZIP, "gzip", HEX_GZIP HEX_GZIP, HELLO HELLO },
	{ COMPRESSION_BZIP2, "bzip2", HEX_BZIP2, HELLO },
	{ COMPRESSION_BZIP2, "bzip2", HEX_BZIP2 HEX_BZIP2, HELLO HELLO },
	{ COMPRESSION_XZ, "xz", HEX_XZ, HELLO },
	{ COMPRESSION_XZ, "xz", HEX_XZ HEX_XZ, HELLO HELLO },
	{ COMPRESSION_ZSTD, "zstd", HEX_ZSTD, HELLO },
	{ COMPRESSION_ZSTD, "zstd", HEX_ZSTD HEX_ZSTD, HELLO HELLO },
};

static void
test_good(void **state)
{
	static const size_t pieces[] = { 1, 2, 5, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct buf in = BUF_INIT;

		add_hex(&in, good[i].hex);
		for (size_t p = 0; p < 4; p++) {
			struct buf out = BUF_INIT;
			enum compression kind;

			assert_int_equal(run(&in, pieces[p], &kind, &out), 0);
			assert_int_equal(kind, good[i].kind);
			assert_string_equal(compression_name(kind),
			    good[i].name);
			assert_string_equal(buf_cstr(&out), good[i].text);
			buf_release(&out);
		}
		buf_release(&in);
	}
}

/* Two frames of several blocks each, some of them stored as they are, with
 * something to be skipped between them (RFC 8878 3.1.2). */
static void
test_zstd_blocks(void **state)
{
	static const size_t pieces[] = { 1, 1000, 65536, 131072, 1 << 20 };
	static const char skipped[200005] = "\x50\x2a\x4d\x18";
	const size_t len = 700000;
	char *text = mem_alloc(1, len);
	struct buf in = BUF_INIT;
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (char)(i / 150000 % 2 == 0 ? x >> 24 : i / 1000);
	}
	for (int i = 0; i < 2; i++) {
		size_t room = ZSTD_compressBound(len);

		buf_grown(&in, ZSTD_compress(buf_room(&in, room), room, text,
		    len, 3));
		buf_add(&in, skipped, 4);
		buf_adds(&in, "\x40\x0d\x03");	/* 200000 octets */
		buf_add(&in, skipped + 4, 200001);
	}
	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
		struct buf out = BUF_INIT;
		enum compression kind;

		assert_int_equal(run(&in, pieces[p], &kind, &out), 0);
		assert_int_equal(out.len, 2 * len);
		assert_memory_equal(out.ptr, text, len);
		assert_memory_equal(out.ptr + len, text, len);
		buf_release(&out);
	}
	buf_release(&in);
	free(text);
}

static void
test_bad(void **state)
{
	static const char *const bad[] = {
		"1f9d", "1f9d88", "1f9d91", "1f9d89" /* 9 bits */,
		"1f9d90" "00fe03" /* 0, then 511 */,
		"1f9d90" "01ff" /* first code 257 and more */,
		"425a6839", "425a6839ffffffffffff", "425a6830",
		"fd377a585a00", "fd377a585a00ffffffffffff",
		"28b52ffd", "28b52ffdffffffffff",
		"1f8b", "1f8b08ff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf in = BUF_INIT, out = BUF_INIT;
		enum compression kind;

		add_hex(&in, bad[i]);
		assert_int_equal(run(&in, 1, &kind, &out), ERR_SYNTAX);
		buf_clear(&out);
		assert_int_equal(run(&in, 1000, &kind, &out), ERR_SYNTAX);
		buf_release(&in);
		buf_release(&out);
	}
}

/* Every cut is told, but in LZW, which has no end. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct buf in = BUF_INIT, out = BUF_INIT;
		enum compression kind;
		size_t whole;

		add_hex(&in, good[i].hex);
		whole = in.len;
		if (strlen(good[i].text) > strlen(HELLO))
			whole /= 2;
		for (size_t n = COMPRESSION_MAGIC_MAX; n < whole &&
		    good[i].kind != COMPRESSION_COMPRESS; n++) {
			in.len = n;
			assert_int_equal(run(&in, 1000, &kind, &out),
			    ERR_SYNTAX);
		}
		buf_release(&in);
		buf_release(&out);
	}
}

static void
test_sniff(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		int rc;
	} cases[] = {
		{ "", 0, 0 }, { "H", 1, 1 }, { "\x1f", 1, 0 },
		{ "\x1f\x1f", 2, 1 }, { "B", 1, 0 }, { "BZ", 2, 0 },
		{ "BDAT", 4, 1 }, { "\xfd", 1, 0 }, { "\xfd" "7zXZ", 5, 0 },
		{ "\xfd" "7zXZx", 6, 1 }, { "\x28\xb5\x2f", 3, 0 },
		{ "(comment)", 9, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum compression kind = COMPRESSION_XZ;

		assert_int_equal(compression_sniff(cases[i].text,
		    cases[i].len, &kind), cases[i].rc);
		assert_int_equal(kind, COMPRESSION_NONE);
	}
}

/* 192 MiB of zeros. */
static void
make_bomb(enum compression kind, struct buf *out)
{
	size_t len = 192U << 20, room = 1U << 20, used = 0;
	char *zeros = calloc(1, len), *to = buf_room(out, room);
	unsigned n = (unsigned)room;

	assert_non_null(zeros);
	if (kind == COMPRESSION_BZIP2) {
		assert_int_equal(BZ2_bzBuffToBuffCompress(to, &n, zeros,
		    (unsigned)len, 9, 0, 0), BZ_OK);
		used = n;
	} else if (kind == COMPRESSION_XZ) {
		assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_NONE,
		    NULL, (const uint8_t *)zeros, len, (uint8_t *)to, &used,
		    room), LZMA_OK);
	} else {
		used = ZSTD_compress(to, room, zeros, len, 1);
		assert_false(ZSTD_isError(used));
	}
	buf_grown(out, used);
	free(zeros);
}

static void
test_bombs(void **state)
{
	static const enum compression kinds[] = { COMPRESSION_BZIP2,
		COMPRESSION_XZ, COMPRESSION_ZSTD };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct buf in = BUF_INIT, out = BUF_INIT;
		struct err e = ERR_INIT;
		struct expander *x = expander_new(kinds[i]);
		uint64_t octets = 0;
		size_t at = 0, used;
		int rc;

		make_bomb(kinds[i], &in);
		do {
			rc = expander_next(x, in.ptr + at, in.len - at, &used,
			    &out, &e);
			at += used;
			octets += out.len;
			assert_true(out.len <= 131072);
			buf_clear(&out);
		} while (rc == 1);
		assert_int_equal(rc, ERR_LIMIT);
		assert_true(octets > 64U << 20 && octets < 190U << 20);
		expander_free(x);
		buf_release(&in);
		buf_release(&out);
	}
}

/* A window of 128 MiB (zstd --ultra -22 --long=27). */
static void
test_memory(void **state)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	enum compression kind;

	(void)state;
	/* RFC 8878 3.1.1: magic, descriptor without single segment or sizes,
	 * window descriptor with exponent 17 (2^27), an empty last block */
	add_hex(&in, "28b52ffd" "00" "88" "010000");
	assert_int_equal(run(&in, 1000, &kind, &out), ERR_LIMIT);
	buf_release(&in);
	add_hex(&in, "28b52ffd" "00" "80" "010000");	/* 2^26 */
	assert_int_equal(run(&in, 1000, &kind, &out), 0);
	buf_release(&in);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_zstd_blocks),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_sniff),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
