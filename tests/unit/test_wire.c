/* SPDX-License-Identifier: ISC */
/* Numbers, names and lifetimes have one encoding each; and padme. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bundle/shape.h"
#include "bundle/wire.h"
#include "tests/unit/octets.h"

static const struct {
	uint64_t n;
	const char *hex;
} varints[] = {
	{ 0, "00" }, { 1, "01" }, { 127, "7f" }, { 128, "8001" },
	{ 300, "ac02" }, { 16383, "ff7f" }, { 16384, "808001" },
	{ UINT32_MAX, "ffffffff0f" },
	{ UINT64_C(1) << 63, "80808080808080808001" },
	{ UINT64_MAX, "ffffffffffffffffff01" },
};

static void
test_varint(void **state)
{
	struct buf b = BUF_INIT;
	struct wire_reader r;

	(void)state;
	for (size_t i = 0; i < COUNT(varints); i++) {
		struct buf wanted = BUF_INIT;

		buf_clear(&b);
		unhex(&wanted, varints[i].hex);
		wire_put_varint(&b, varints[i].n);
		assert_octets(&b, buf_slice(&wanted));
		r = wire_reader_of(buf_slice(&b), NULL);
		assert_int_equal(wire_get_varint(&r, UINT64_MAX, "it"),
		    varints[i].n);
		assert_int_equal(r.state, 0);
		assert_int_equal(r.len, 0);
		/* each beginning of it asks for more */
		for (size_t n = 0; n < b.len; n++) {
			r = wire_reader_of((struct slice){ b.ptr, n }, NULL);
			wire_get_varint(&r, UINT64_MAX, "it");
			assert_int_equal(r.state, 1);
		}
		if (varints[i].n > 0) {
			r = wire_reader_of(buf_slice(&b), NULL);
			wire_get_varint(&r, varints[i].n - 1, "it");
			assert_int_equal(r.state, ERR_LIMIT);
		}
		buf_release(&wanted);
	}
	buf_release(&b);
}

static void
test_bad_varint(void **state)
{
	static const char *const bad[] = {
		"8000", "ff00", "80808000", "ffffffffffffffffff02",
		"8080808080808080808001", "ffffffffffffffffffff01",
		"80808080808080808000",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct buf b = BUF_INIT;
		struct err e = ERR_INIT;
		struct wire_reader r;

		unhex(&b, bad[i]);
		r = wire_reader_of(buf_slice(&b), &e);
		assert_int_equal(wire_get_varint(&r, UINT64_MAX, "a thing"),
		    0);
		assert_int_equal(r.state, ERR_SYNTAX);
		assert_non_null(strstr(e.text, "a thing"));
		/* and it sticks */
		assert_int_equal(wire_get8(&r), 0);
		assert_int_equal(r.state, ERR_SYNTAX);
		buf_release(&b);
	}
}

static void
test_site(void **state)
{
	static const struct {
		const char *name;
		bool valid;
	} names[] = {
		{ "oslo", true }, { "a", true }, { "9", true },
		{ "St-Ives_2.x", true }, { "", false }, { "-a", false },
		{ ".a", false }, { "a b", false }, { "a/b", false },
		{ "a\xc3\xa9", false }, { "_x", false }, { "a:b", false },
		{ "0123456789012345678901234567890123456789"
		  "01234567890123456789012", true },
		{ "0123456789012345678901234567890123456789"
		  "012345678901234567890123", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		char name[SITE_NAME_MAX + 1];
		struct buf b = BUF_INIT;
		struct wire_reader r;

		assert_int_equal(wire_site_valid(slice_of(names[i].name)),
		    names[i].valid);
		wire_put_site(&b, names[i].name);
		assert_int_equal(b.len, strlen(names[i].name) + 1);
		r = wire_reader_of(buf_slice(&b), NULL);
		wire_get_site(&r, name);
		assert_int_equal(r.state < 0, !names[i].valid);
		assert_string_equal(name, names[i].valid ? names[i].name :
							   "");
		buf_release(&b);
	}
}

static void
test_lifetime(void **state)
{
	static const struct {
		uint64_t secs;
		unsigned step;
		uint64_t lasts;
	} rows[] = {
		{ 0, 0, 60 }, { 60, 0, 60 }, { 61, 1, 71 }, { 72, 2, 85 },
		{ 101, 3, 101 }, { 102, 4, 120 }, { 3600, 24, 3840 },
		/* 5 days, the usual lifetime of mail */
		{ 432000, 52, 491520 },
		{ 31536000, 77, 37224448 }, { 37224449, 77, 37224448 },
		{ UINT64_MAX, 77, 37224448 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(wire_lifetime_step(rows[i].secs),
		    rows[i].step);
		assert_int_equal(wire_lifetime_secs(rows[i].step),
		    rows[i].lasts);
	}
	for (unsigned step = 0; step <= LIFETIME_STEP_MAX; step++) {
		uint64_t secs = wire_lifetime_secs(step);

		/* never rounded up twice, and at most a fifth more */
		assert_int_equal(wire_lifetime_step(secs), step);
		if (step > 0)
			assert_in_range(secs * 100 /
			    wire_lifetime_secs(step - 1), 117, 120);
	}
}

static void
test_priority(void **state)
{
	(void)state;
	for (int octet = 0; octet < 256; octet++) {
		char c = (char)octet;
		struct wire_reader r = wire_reader_of(
		    (struct slice){ &c, 1 }, NULL);
		int priority = wire_get_priority(&r);
		bool valid = octet <= 9 || octet >= 247;

		assert_int_equal(r.state, valid ? 0 : ERR_LIMIT);
		assert_int_equal(priority, !valid ? 0 :
		    octet <= 9 ? octet : octet - 256);
	}
}

/* Values computed from the paper's own formula, and what it promises. */
static void
test_padme(void **state)
{
	static const struct {
		uint64_t len, padded;
	} rows[] = {
		{ 0, 0 }, { 1, 1 }, { 2, 2 }, { 7, 7 }, { 8, 8 }, { 9, 10 },
		{ 15, 16 }, { 16, 16 }, { 17, 18 }, { 100, 104 },
		{ 999, 1024 }, { 1000, 1024 }, { 1025, 1088 },
		{ 65535, 65536 }, { 65536, 65536 }, { 65537, 67584 },
		{ 1000000, 1015808 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(padme(rows[i].len), rows[i].padded);
	for (uint64_t len = 0; len < 100000; len++) {
		assert_true(padme(len) >= len);
		assert_true(padme(len) * 100 <= len * 112);
		assert_int_equal(padme(padme(len)), padme(len));
		assert_true(padme(len) <= padme(len + 1));
	}
	assert_int_equal(padme(UINT64_MAX), UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_bad_varint),
		cmocka_unit_test(test_site),
		cmocka_unit_test(test_lifetime),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_padme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
