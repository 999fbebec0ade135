/* SPDX-License-Identifier: ISC */
/* Encodings, numbers, sizes, durations, dates and digests. */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* Compares the bytes of a buffer and empties it. */
#define ASSERT_TEXT(b, want) \
	do { \
		assert_string_equal(buf_cstr(b), want); \
		buf_clear(b); \
	} while (0)

/* RFC 4648, section 10. */
static const struct {
	const char *plain, *base64, *base32;
} rfc4648[] = {
	{ "", "", "" },
	{ "f", "Zg==", "my" },
	{ "fo", "Zm8=", "mzxq" },
	{ "foo", "Zm9v", "mzxw6" },
	{ "foob", "Zm9vYg==", "mzxw6yq" },
	{ "fooba", "Zm9vYmE=", "mzxw6ytb" },
	{ "foobar", "Zm9vYmFy", "mzxw6ytboi" },
};

/* Feeds the decoder in pieces of the given size; returns what _end says. */
static int
decode(struct buf *out, const char *text, size_t len, size_t piece)
{
	struct base64_decoder dec;

	base64_decoder_init(&dec);
	for (size_t i = 0; i < len; i += piece)
		base64_decoder_add(&dec, out, text + i,
		    len - i < piece ? len - i : piece);
	return base64_decoder_end(&dec);
}

static void
test_rfc4648(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(rfc4648); i++) {
		const char *plain = rfc4648[i].plain;
		const char *text = rfc4648[i].base64;

		base64_encode(&b, plain, strlen(plain));
		ASSERT_TEXT(&b, text);
		base32_encode(&b, plain, strlen(plain));
		ASSERT_TEXT(&b, rfc4648[i].base32);
		for (size_t piece = 1; piece < 9; piece++) {
			assert_int_equal(
			    decode(&b, text, strlen(text), piece), 0);
			ASSERT_TEXT(&b, plain);
		}
	}
	hex_encode(&b, "\x00\x7f\xff\x1a", 4);
	ASSERT_TEXT(&b, "007fff1a");
	buf_release(&b);
}

static void
test_base64_odd(void **state)
{
	static const struct {
		const char *text, *plain;
		int rc;
	} cases[] = {
		{ "Zm9v\r\nYmFy\r\n", "foobar", 0 },
		{ " Z m 9\tv!Y*m-F_y ", "foobar", 0 },
		{ "Zg=\r\n=\r\n", "f", 0 },
		{ "Zg==\r\nZm9v", "f", 0 },	/* behind the end */
		{ "Zm9vYg", "foo", ERR_SYNTAX },
		{ "Zm9vYmE", "foo", ERR_SYNTAX },
		{ "Z", "", ERR_SYNTAX },
		{ "Zg=", "f", ERR_SYNTAX },
		{ "Z===", "", ERR_SYNTAX },
	};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t piece = 1; piece < 16; piece++) {
			assert_int_equal(decode(&b, cases[i].text,
			    strlen(cases[i].text), piece), cases[i].rc);
			ASSERT_TEXT(&b, cases[i].plain);
		}
	}
	buf_release(&b);
}

static void
test_base64_lines(void **state)
{
	static const char line[] =
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n";
	struct base64_encoder enc;
	struct buf b = BUF_INIT;
	char zeros[115] = { 0 };

	(void)state;
	assert_int_equal(sizeof(line) - 1, 78);
	for (size_t piece = 1; piece <= sizeof(zeros); piece++) {
		base64_encoder_init(&enc);
		for (size_t i = 0; i < sizeof(zeros); i += piece)
			base64_encoder_add(&enc, &b, zeros + i,
			    sizeof(zeros) - i < piece ?
			    sizeof(zeros) - i : piece);
		base64_encoder_end(&enc, &b);
		assert_int_equal(b.len, 78 + 78 + 6);
		assert_memory_equal(b.ptr, line, 78);
		assert_memory_equal(b.ptr + 78, line, 78);
		buf_consume(&b, 156);
		ASSERT_TEXT(&b, "AA==\r\n");
	}
	base64_encoder_init(&enc);
	base64_encoder_end(&enc, &b);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

/* Every octet value, at every alignment, there and back. */
static void
test_base64_round(void **state)
{
	struct buf text = BUF_INIT, back = BUF_INIT;
	char bytes[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(unsigned char)(i * 7 + i / 256);
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		buf_clear(&text);
		buf_clear(&back);
		base64_encode(&text, bytes, len);
		assert_int_equal(text.len, (len + 2) / 3 * 4);
		assert_int_equal(decode(&back, text.ptr, text.len, 61), 0);
		assert_int_equal(back.len, len);
		if (len > 0)
			assert_memory_equal(back.ptr, bytes, len);
	}
	buf_release(&text);
	buf_release(&back);
}

static void
test_num(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1",
		"1.0", "a" };
	uint64_t n = 7;

	(void)state;
	assert_int_equal(num_parse(SLICE_LIT("0"), 0, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(num_parse(SLICE_LIT("010"), 10, &n), 0);
	assert_int_equal(n, 10);
	assert_int_equal(num_parse(SLICE_LIT("18446744073709551615"),
	    UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
	n = 7;
	assert_int_equal(num_parse(SLICE_LIT("18446744073709551616"),
	    UINT64_MAX, &n), ERR_LIMIT);
	assert_int_equal(num_parse(SLICE_LIT("11"), 10, &n), ERR_LIMIT);
	assert_int_equal(num_parse(SLICE_LIT("9"), 5, &n), ERR_LIMIT);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(num_parse(slice_of(bad[i]), 100, &n),
		    ERR_SYNTAX);
	assert_int_equal(n, 7);
}

/* base 32 without i, l, o, u: 4 * 1024 + 19 * 32 + 2 is "4k2" */
static void
test_num32(void **state)
{
	static const struct {
		const char *text;
		uint64_t n;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "z", 31 }, { "10", 32 },
		{ "4k2", 4706 }, { "fzzzzzzzzzzzz", UINT64_MAX },
	};
	static const char *const bad[] = { "", "00", "01", "i", "l", "o", "u",
		"1 ", "-1", "g000000000000", "10000000000000" };
	char text[NUM32_MAX];
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(num32_format(text, good[i].n),
		    strlen(good[i].text));
		assert_string_equal(text, good[i].text);
		assert_int_equal(num32_parse(slice_of(text), &n), 0);
		assert_true(n == good[i].n);
	}
	assert_int_equal(num32_parse(SLICE_LIT("4K2"), &n), 0);
	assert_int_equal(n, 4706);
	assert_int_equal(num32_parse(SLICE_LIT("1\0"), &n), ERR_SYNTAX);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(num32_parse(slice_of(bad[i]), &n),
		    ERR_SYNTAX);
}

static void
test_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 }, { "10", 10 }, { "10B", 10 }, { "1k", 1024 },
		{ "64K", 65536 }, { "64KB", 65536 }, { "64KiB", 65536 },
		{ "10M", 10485760 }, { "2G", UINT64_C(2147483648) },
		{ "1T", UINT64_C(1099511627776) },
	};
	static const char *const bad[] = { "", "K", "1X", "1KX", "1iB", "-1K",
		"1.5M", "1 K", "1KK", "1KiBB", "1iBB" };
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(size_parse(slice_of(good[i].text), &n), 0);
		assert_true(n == good[i].bytes);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(size_parse(slice_of(bad[i]), &n),
		    ERR_SYNTAX);
	assert_int_equal(size_parse(SLICE_LIT("18014398509481984K"), &n),
	    ERR_LIMIT);
}

static void
test_duration(void **state)
{
	static const struct {
		const char *text;
		uint64_t secs;
	} good[] = {
		{ "0", 0 }, { "90", 90 }, { "90s", 90 }, { "15m", 900 },
		{ "2h", 7200 }, { "5d", 432000 }, { "1w", 604800 },
		{ "1h30m", 5400 }, { "1d1h1m1s", 90061 },
	};
	static const char *const bad[] = { "", "h", "1h30", "1x", "-1s",
		"1 h", "1h ", "1.5h" };
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(duration_parse(slice_of(good[i].text), &n),
		    0);
		assert_true(n == good[i].secs);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(duration_parse(slice_of(bad[i]), &n),
		    ERR_SYNTAX);
	assert_int_equal(duration_parse(SLICE_LIT("18446744073709551615w"),
	    &n), ERR_LIMIT);
	assert_int_equal(duration_parse(SLICE_LIT(
	    "18446744073709551615s1s"), &n), ERR_LIMIT);
}

static void
test_for_people(void **state)
{
	static const struct {
		uint64_t n;
		const char *size, *duration;
	} cases[] = {
		{ 0, "0 B", "0s" },
		{ 12, "12 B", "12s" },
		{ 60, "60 B", "1m" },
		{ 312, "312 B", "5m 12s" },
		{ 1023, "1023 B", "17m 3s" },
		{ 1024, "1 KiB", "17m 4s" },
		{ 3600, "3.5 KiB", "1h" },
		{ 356400, "348 KiB", "4d 3h" },
		{ 1048575, "1 MiB", "12d 3h" },
		{ 1468006, "1.4 MiB", "16d 23h" },
		{ 10485760, "10 MiB", "121d 8h" },
	};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_format(&b, cases[i].n);
		ASSERT_TEXT(&b, cases[i].size);
		duration_format(&b, cases[i].n);
		ASSERT_TEXT(&b, cases[i].duration);
	}
	size_format(&b, UINT64_MAX);
	ASSERT_TEXT(&b, "16 EiB");
	count_format(&b, 0, "peer", "peers");
	ASSERT_TEXT(&b, "0 peers");
	count_format(&b, 1, "peer", "peers");
	ASSERT_TEXT(&b, "1 peer");
	count_format(&b, UINT64_MAX, "peer", "peers");
	ASSERT_TEXT(&b, "18446744073709551615 peers");
	buf_release(&b);
}

static void
test_dates(void **state)
{
	static const struct {
		int64_t ms;
		const char *date, *stamp;
	} cases[] = {
		{ 0, "Thu, 01 Jan 1970 00:00:00 +0000",
		    "1970-01-01T00:00:00.000Z" },
		{ -1, "Wed, 31 Dec 1969 23:59:59 +0000",
		    "1969-12-31T23:59:59.999Z" },
		{ INT64_C(1709632800000), "Tue, 05 Mar 2024 10:00:00 +0000",
		    "2024-03-05T10:00:00.000Z" },
		{ INT64_C(951782399007), "Mon, 28 Feb 2000 23:59:59 +0000",
		    "2000-02-28T23:59:59.007Z" },
		{ INT64_C(951782400000), "Tue, 29 Feb 2000 00:00:00 +0000",
		    "2000-02-29T00:00:00.000Z" },
		{ INT64_C(2147483648000), "Tue, 19 Jan 2038 03:14:08 +0000",
		    "2038-01-19T03:14:08.000Z" },
	};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		date_format(&b, cases[i].ms);
		ASSERT_TEXT(&b, cases[i].date);
		timestamp_format(&b, cases[i].ms);
		ASSERT_TEXT(&b, cases[i].stamp);
	}
	buf_release(&b);
}

static void
test_xtext(void **state)
{
	static const struct {
		const char *plain, *xtext;
	} cases[] = {
		{ "", "" },
		{ "rfc822;joe@example.org", "rfc822;joe@example.org" },
		{ "a+b=c", "a+2Bb+3Dc" },
		{ "two words", "two+20words" },
		{ "\xc3\xa9\x7f", "+C3+A9+7F" },
	};
	static const char *const bad[] = { "+", "+2", "+2G", "+G2", "a=b",
		"a b", "\x7f", "caf\xc3\xa9", "a\n" };
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		xtext_encode(&b, slice_of(cases[i].plain));
		ASSERT_TEXT(&b, cases[i].xtext);
		assert_int_equal(xtext_decode(&b, slice_of(cases[i].xtext)),
		    0);
		ASSERT_TEXT(&b, cases[i].plain);
	}
	assert_int_equal(xtext_decode(&b, SLICE_LIT("+2b")), 0);
	ASSERT_TEXT(&b, "+");
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(xtext_decode(&b, slice_of(bad[i])),
		    ERR_SYNTAX);
		buf_clear(&b);
	}
	buf_release(&b);
}

static void
test_escape(void **state)
{
	static const struct {
		const char *in, *out;
		size_t max;
		bool utf8;
	} cases[] = {
		{ "plain words", "plain words", 80, false },
		{ "a\r\nb\x1b[1m", "a\\x0D\\x0Ab\\x1B[1m", 80, false },
		{ "caf\xc3\xa9", "caf\\xC3\\xA9", 80, false },
		{ "caf\xc3\xa9", "caf\xc3\xa9", 80, true },
		{ "caf\xc3", "caf\\xC3", 80, true },
		{ "\xc2\x9b" "1m", "\\xC2\\x9B1m", 80, true },
		{ "abcdefgh", "abcdefgh", 8, false },
		{ "abcdefghi", "abcde...", 8, false },
		{ "abcd\xc3\xa9xyz", "abcd...", 8, true },
		{ "abcd\n", "abcd...", 7, false },
		{ "abcd", "", 2, false },
	};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		text_escape(&b, slice_of(cases[i].in), cases[i].max,
		    cases[i].utf8);
		ASSERT_TEXT(&b, cases[i].out);
	}
	buf_release(&b);
}

static void
test_utf8(void **state)
{
	static const char *const good[] = { "", "ascii", "\xc2\x80",
		"\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
		"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf",
		"\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82",
		"\xe2\x82x", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xff" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(utf8_valid(slice_of(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(utf8_valid(slice_of(bad[i])));
}

/* FIPS 180-4 examples. */
static void
test_sha256(void **state)
{
	static const struct {
		const char *text, *hex;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb924"
		    "27ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223"
		    "b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "248d6a61d20638b8e5c026930c3e6039"
		    "a33ce45964ff2167f6ecedd419db06c1" },
	};
	unsigned char digest[SHA256_LEN];
	struct buf b = BUF_INIT;
	struct sha256 h;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		sha256_init(&h);
		for (const char *p = cases[i].text; *p != '\0'; p++)
			sha256_add(&h, p, 1);
		sha256_end(&h, digest);
		hex_encode(&b, digest, sizeof(digest));
		ASSERT_TEXT(&b, cases[i].hex);
	}
	buf_release(&b);
}

/* RFC 3720, B.4, and the usual check value. */
static void
test_crc32c(void **state)
{
	unsigned char bytes[32];
	uint32_t crc = 0;

	(void)state;
	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
	for (size_t i = 0; i < 32; i++)
		bytes[i] = (unsigned char)i;
	assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
	for (size_t i = 0; i < 32; i++)
		crc = crc32c(crc, bytes + i, 1);
	assert_int_equal(crc, 0x46dd794e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc4648),
		cmocka_unit_test(test_base64_odd),
		cmocka_unit_test(test_base64_lines),
		cmocka_unit_test(test_base64_round),
		cmocka_unit_test(test_num),
		cmocka_unit_test(test_num32),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_for_people),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_crc32c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
