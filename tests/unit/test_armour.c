/* SPDX-License-Identifier: ISC */
/* The 8-bit armour: what it costs, what stands in its lines, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "bundle/armour.h"

static void
encode(struct buf *out, const void *bytes, size_t len, size_t step)
{
	struct armour_encoder a;

	armour_encoder_init(&a);
	for (size_t at = 0; at < len; at += step)
		armour_encoder_add(&a, out, (const char *)bytes + at,
		    len - at < step ? len - at : step);
	armour_encoder_end(&a, out);
}

static int
decode(struct buf *out, struct slice in, size_t step, struct err *e)
{
	struct armour_decoder d;
	int rc = 0;

	armour_decoder_init(&d);
	for (size_t at = 0; rc == 0 && at < in.len; at += step)
		rc = armour_decoder_add(&d, out, in.ptr + at,
		    in.len - at < step ? in.len - at : step, e);
	return rc == 0 ? armour_decoder_end(&d, e) : rc;
}

/* RFC 5321 4.5.3.1.6, 6152, and what hops are known to change. */
static void
check_lines(struct slice s)
{
	size_t column = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		assert_int_not_equal(c, '\0');
		if (c == '\r') {
			assert_true(i + 1 < s.len && s.ptr[i + 1] == '\n');
			assert_true(column <= 998);
			assert_true(column == 0 || (s.ptr[i - 1] != ' ' &&
			    s.ptr[i - 1] != '\t'));
			column = 0;
			i++;
			continue;
		}
		assert_int_not_equal(c, '\n');
		assert_false(column == 0 && (c == '.' || c == 'F' ||
		    c == '-'));
		column++;
	}
	assert_int_equal(column, 0);
}

static void
there_and_back(const void *bytes, size_t len)
{
	static const size_t steps[] = { 1, 7, 1000, 100000000 };

	for (size_t i = 0; i < 4; i++) {
		struct buf text = BUF_INIT, again = BUF_INIT;
		struct err e = ERR_INIT;

		encode(&text, bytes, len, steps[i]);
		check_lines(buf_slice(&text));
		assert_int_equal(decode(&again, buf_slice(&text),
		    steps[3 - i], &e), 0);
		assert_int_equal(again.len, len);
		assert_true(len == 0 || memcmp(again.ptr, bytes, len) == 0);
		buf_release(&text);
		buf_release(&again);
	}
}

/* Each octet alone, at the start, in the middle and at the end of lines. */
static void
test_every_octet(void **state)
{
	unsigned char run[3000];

	(void)state;
	there_and_back("", 0);
	for (int c = 0; c < 256; c++) {
		memset(run, c, sizeof(run));
		there_and_back(run, 1);
		there_and_back(run, 3000);
		memset(run, 'x', sizeof(run));
		for (size_t at = 990; at < 1000; at++)
			run[at] = (unsigned char)c;
		there_and_back(run, 3000);
	}
	for (size_t i = 0; i < sizeof(run); i++)
		run[i] = (unsigned char)i;
	there_and_back(run, sizeof(run));
}

static void
test_cost(void **state)
{
	struct rng_seeded rng;
	struct buf bytes = BUF_INIT, text = BUF_INIT;

	(void)state;
	for (uint64_t seed = 1; seed < 20; seed++) {
		rng_seeded_init(&rng, seed);
		buf_clear(&bytes);
		buf_clear(&text);
		rng_fill(&rng.rng, buf_room(&bytes, 100000), 100000);
		buf_grown(&bytes, 100000);
		encode(&text, bytes.ptr, bytes.len, 65536);
		assert_true(text.len <= bytes.len + bytes.len / 50);
	}
	print_message("100000 random octets: %zu in armour\n", text.len);
	/* the zeros of padding in the clear */
	buf_clear(&text);
	memset(bytes.ptr, 0, bytes.len);
	encode(&text, bytes.ptr, bytes.len, 65536);
	assert_true(text.len <= bytes.len + bytes.len / 100);
	buf_release(&bytes);
	buf_release(&text);
}

/* By hand from postrider-mail(8): "abc" with 42 added is 8b 8c 8d; the CRC-32C
 * of "abc" is 364b3fb7 (RFC 3720's polynomial). */
#define ABC "\x8b\x8c\x8d"
#define TRAILER "==3 364b3fb7"

static void
test_known(void **state)
{
	static const char *const good[] = {
		ABC "=\r\n" TRAILER "\r\n", ABC "\r\n" TRAILER "\r\n",
		ABC "\n" TRAILER "\n", "\x8b\r\n\x8c\n\x8d" TRAILER,
		ABC "=\r\n" TRAILER " \t\r\n", ABC "\r\n" TRAILER "\r\n"
		"-- \r\nA list of names\r\n=zz", "\r\n\r\n" ABC TRAILER "\n",
	};
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		for (size_t step = 1; step < 100; step += 98) {
			buf_clear(&out);
			assert_int_equal(decode(&out,
			    slice_of(good[i]), step, &e), 0);
			assert_string_equal(buf_cstr(&out), "abc");
		}
	}
	buf_clear(&out);
	encode(&out, "abc", 3, 3);
	assert_string_equal(buf_cstr(&out), good[0]);
	/* 0x04 + 42 is a dot, which may not stand first: "=" and 0x6e; 0xd6
	 * + 42 is a NUL: "=" and 0x40 */
	buf_clear(&out);
	encode(&out, "\x04\xd6\x04", 3, 1);
	assert_memory_equal(out.ptr, "=n=@.=\r\n==3 ", 12);
	buf_release(&out);
}

static void
test_bad(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
#define BAD(s) { s, sizeof(s) - 1 }
		BAD(""), BAD(ABC), BAD(ABC "\r\n"), BAD(ABC "=\r\n"),
		BAD(ABC "\r\n=="), BAD(ABC "\r\n==3"), BAD(ABC "\r\n==\r\n"),
		BAD(ABC "\r\n==3 364b3fb8\r\n"), BAD(ABC "\r\n==4 364b3fb7\n"),
		BAD(ABC "\r\n==3 364B3FB7\r\n"), BAD(ABC "\r\n==03 364b3fb7\n"),
		BAD("\x8b\x8c\r\n" TRAILER "\r\n"),
		BAD(ABC "\0\r\n" TRAILER "\r\n"), BAD(ABC "=a\r\n" TRAILER),
		BAD(ABC "\r\n==3 364b3fb7 and more of it than can be\r\n"),
	};
	struct buf out = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t step = 1; step < 100; step += 98) {
			struct err e = ERR_INIT;
			struct slice in = { bad[i].text, bad[i].len };

			assert_int_equal(decode(&out, in, step, &e),
			    ERR_SYNTAX);
			assert_non_null(strstr(e.text, "armour"));
		}
	}
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_octet),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
