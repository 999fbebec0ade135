/* SPDX-License-Identifier: ISC */
/*
 * Keys as text, their ids, and the fingerprint for the telephone: what it
 * promises is tried on every error that it promises to find.
 */
#include "base/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 4648 10, with the letters of 5 and without padding. */
static const struct {
	const char *octets, *text;
} base64url[] = {
	{ "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" },
	{ "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" },
	{ "foobar", "Zm9vYmFy" }, { "\xfb\xff\xbf", "-_-_" },
};

static void
test_base64url(void **state)
{
	static const char *const bad[] = {
		"A", "Zm9vA", "Zh", "Zm9", "Zg==", "Zg=", "Zm+v", "Zm/v",
		"Zm 9v", "Zm9v\n", "Zm9v=",
	};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(base64url); i++) {
		base64url_encode(&b, base64url[i].octets,
		    strlen(base64url[i].octets));
		assert_string_equal(buf_cstr(&b), base64url[i].text);
		buf_clear(&b);
		assert_int_equal(base64url_decode(&b,
		    slice_of(base64url[i].text)), 0);
		assert_string_equal(buf_cstr(&b), base64url[i].octets);
		buf_clear(&b);
	}
	buf_adds(&b, "kept");
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(base64url_decode(&b, slice_of(bad[i])),
		    ERR_SYNTAX);
		assert_true(slice_eqs(buf_slice(&b), "kept"));
	}
	assert_int_equal(base64url_decode(&b,
	    (struct slice){ "Zm9\0", 4 }), ERR_SYNTAX);
	buf_release(&b);
}

/* Each text of two characters: either it is refused, or the octet's own. */
static void
test_base64url_one_way(void **state)
{
	struct buf b = BUF_INIT, again = BUF_INIT;
	unsigned good = 0;

	(void)state;
	for (unsigned i = 0; i < 65536; i++) {
		char text[2] = { (char)(i >> 8), (char)i };

		buf_clear(&b);
		if (base64url_decode(&b, (struct slice){ text, 2 }) != 0)
			continue;
		good++;
		assert_int_equal(b.len, 1);
		buf_clear(&again);
		base64url_encode(&again, b.ptr, 1);
		assert_true(slice_eq(buf_slice(&again),
		    (struct slice){ text, 2 }));
	}
	assert_int_equal(good, 256);
	buf_release(&b);
	buf_release(&again);
}

static void
test_hex(void **state)
{
	static const char *const bad[] = { "0", "0g", "0A", "00 ", " 0", "0x" };
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(hex_decode(&b, SLICE_LIT("007fff1a")), 0);
	assert_true(slice_eq(buf_slice(&b),
	    (struct slice){ "\x00\x7f\xff\x1a", 4 }));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(hex_decode(&b, slice_of(bad[i])),
		    ERR_SYNTAX);
	assert_int_equal(b.len, 4);
	buf_release(&b);
}

static void
test_id(void **state)
{
	struct buf b = BUF_INIT;
	uint64_t id = 0;

	(void)state;
	/* printf 'x25519\0key' | sha256sum: 80f67ee562cc57b1... */
	assert_true(key_id("x25519", "key", 3) ==
	    UINT64_C(0x80f67ee562cc57b1));
	assert_true(key_id("ed25519", "key", 3) != key_id("x25519", "key", 3));
	key_id_format(&b, UINT64_C(0x0102030405060708));
	assert_string_equal(buf_cstr(&b), "AQIDBAUGBwg");
	assert_int_equal(key_id_parse(buf_slice(&b), &id), 0);
	assert_true(id == UINT64_C(0x0102030405060708));
	assert_int_equal(key_id_parse(SLICE_LIT("AQIDBAUGBwh"), &id),
	    ERR_SYNTAX);
	assert_int_equal(key_id_parse(SLICE_LIT("AQIDBAUGBw"), &id),
	    ERR_SYNTAX);
	assert_int_equal(key_id_parse(SLICE_LIT("AQIDBAUGBwgA"), &id),
	    ERR_SYNTAX);
	buf_release(&b);
}

/*
 * Fingerprints.
 */
static const char alphabet[] = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";

static struct fingerprint
random_fingerprint(uint64_t seed)
{
	unsigned char key[32];
	struct rng_seeded rng;

	rng_seeded_init(&rng, seed);
	rng_fill(&rng.rng, key, sizeof(key));
	return fingerprint_of("ed25519", key, sizeof(key));
}

static int
parse(const char *text, struct fingerprint *f_out, struct err *e)
{
	return fingerprint_parse(slice_of(text), f_out, e);
}

static void
test_shape(void **state)
{
	unsigned char used[256] = { 0 };
	unsigned kinds = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct fingerprint f = random_fingerprint(seed), again;

		assert_int_equal(strlen(f.text), FINGERPRINT_LEN);
		for (size_t i = 0; i < FINGERPRINT_LEN; i++) {
			if (i % 6 == 5)
				assert_int_equal(f.text[i], '-');
			else
				assert_non_null(strchr(alphabet, f.text[i]));
			used[(unsigned char)f.text[i]] = 1;
		}
		assert_int_equal(parse(f.text, &again, NULL), 0);
		assert_string_equal(again.text, f.text);
	}
	for (size_t i = 0; i < 256; i++)
		kinds += used[i];
	assert_int_equal(kinds, 31 + 1);
}

static void
test_as_people_write(void **state)
{
	struct fingerprint f = random_fingerprint(1), again;
	char low[64], bare[64], wide[128];
	size_t b = 0, w = 0;

	(void)state;
	for (size_t i = 0; i <= FINGERPRINT_LEN; i++) {
		low[i] = ascii_tolower(f.text[i]);
		if (f.text[i] != '-')
			bare[b++] = f.text[i];
		wide[w++] = f.text[i];
		if (f.text[i] != '\0')
			wide[w++] = ' ';
	}
	wide[w] = '\0';
	assert_int_equal(parse(low, &again, NULL), 0);
	assert_string_equal(again.text, f.text);
	assert_int_equal(parse(bare, &again, NULL), 0);
	assert_string_equal(again.text, f.text);
	assert_int_equal(parse(wide, &again, NULL), 0);
	assert_string_equal(again.text, f.text);
}

/* Which group the message names, from 1. */
static unsigned
named_group(const struct err *e)
{
	unsigned long n = 0;

	assert_memory_equal(e->text, "group ", 6);
	n = strtoul(e->text + 6, NULL, 10);
	return (unsigned)n;
}

static void
test_every_wrong_character(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct fingerprint f = random_fingerprint(seed), got;

		for (size_t i = 0; i < FINGERPRINT_LEN; i++) {
			char right = f.text[i];

			for (int c = 1; c < 256; c++) {
				struct err e = ERR_INIT;

				if (right == '-' || (char)c == right ||
				    (c < 128 && ascii_tolower((char)c) ==
				    ascii_tolower(right)))
					continue;
				f.text[i] = (char)c;
				assert_int_equal(parse(f.text, &got, &e),
				    ERR_SYNTAX);
				if (strchr(alphabet, c) != NULL)
					assert_int_equal(named_group(&e),
					    i / 6 + 1);
			}
			f.text[i] = right;
		}
	}
}

/* Neighbours that changed places, dashes and other groups included; and any
 * two of a group. */
static void
test_every_exchange(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct fingerprint f = random_fingerprint(seed), got;

		for (size_t i = 0; i < FINGERPRINT_LEN; i++) {
			for (size_t j = i + 1; j < FINGERPRINT_LEN; j++) {
				char a = f.text[i], b = f.text[j];

				if (a == b || (j != i + 1 && j / 6 != i / 6 &&
				    j - i != 2))
					continue;
				f.text[i] = b;
				f.text[j] = a;
				assert_int_equal(parse(f.text, &got, NULL),
				    ERR_SYNTAX);
				f.text[i] = a;
				f.text[j] = b;
			}
		}
	}
}

static void
test_exchanged_groups(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 100; seed++) {
		struct fingerprint f = random_fingerprint(seed), x, got;

		for (size_t g = 0; g < FINGERPRINT_GROUPS; g++) {
			for (size_t h = 0; h < FINGERPRINT_GROUPS; h++) {
				struct err e = ERR_INIT;

				if (g == h)
					continue;
				/* in the other's place, and said twice */
				x = f;
				memcpy(x.text + 6 * g, f.text + 6 * h, 5);
				assert_int_equal(parse(x.text, &got, &e),
				    ERR_SYNTAX);
				assert_int_equal(named_group(&e), g + 1);
				memcpy(x.text + 6 * h, f.text + 6 * g, 5);
				assert_int_equal(parse(x.text, &got, &e),
				    ERR_SYNTAX);
			}
		}
	}
}

static void
test_lost_and_gained(void **state)
{
	struct fingerprint f = random_fingerprint(4), got;
	char text[64];

	(void)state;
	for (size_t i = 0; i < FINGERPRINT_LEN; i++) {
		struct err e = ERR_INIT;

		memcpy(text, f.text, i);
		memcpy(text + i, f.text + i + 1, FINGERPRINT_LEN - i);
		assert_int_equal(parse(text, &got, &e), ERR_SYNTAX);
		assert_int_equal(named_group(&e), i / 6 + 1);
		memcpy(text, f.text, i + 1);
		memcpy(text + i + 1, f.text + i, FINGERPRINT_LEN - i + 1);
		assert_int_equal(parse(text, &got, &e), ERR_SYNTAX);
	}
	for (size_t len = 0; len < FINGERPRINT_LEN; len++)
		assert_int_equal(fingerprint_parse(
		    (struct slice){ f.text, len }, &got, NULL), ERR_SYNTAX);
	assert_int_equal(parse("", &got, NULL), ERR_SYNTAX);
	assert_int_equal(parse("-----", &got, NULL), ERR_SYNTAX);
	assert_int_equal(parse("no fingerprint", &got, NULL), ERR_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64url),
		cmocka_unit_test(test_base64url_one_way),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_as_people_write),
		cmocka_unit_test(test_every_wrong_character),
		cmocka_unit_test(test_every_exchange),
		cmocka_unit_test(test_exchanged_groups),
		cmocka_unit_test(test_lost_and_gained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
