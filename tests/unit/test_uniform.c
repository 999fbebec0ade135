/* SPDX-License-Identifier: ISC */
/*
 * Sealed objects look like nothing: over some thousand of them, of the same
 * keys, with the same octets inside and of one size, every offset has all
 * octets about equally often.  Seeds are fixed, so it holds always or never;
 * what is known to be uneven shows that the test would see it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bundle/frame.h"
#include "tests/unit/seal_world.h"

#define OBJECTS 4096
#define SIZE 400
/* Of 255 degrees of freedom: beyond 5.2 standard deviations either way, which
 * comes by chance once in five million. */
#define LOW 154.0
#define HIGH 390.0

struct counts {
	uint32_t n[SIZE][256];
};

static double
chi_square(const uint32_t n[256])
{
	double expected = OBJECTS / 256.0, sum = 0;

	for (int i = 0; i < 256; i++)
		sum += (n[i] - expected) * (n[i] - expected) / expected;
	return sum;
}

/* How many offsets are uneven; the last of them. */
static int
uneven(const struct counts *c, size_t *offset_out)
{
	double sum = 0, mean = 255.0 * SIZE;
	int bad = 0;

	for (size_t i = 0; i < SIZE; i++) {
		double x = chi_square(c->n[i]);

		sum += x;
		if (x < LOW || x > HIGH) {
			*offset_out = i;
			bad++;
		}
	}
	/* all together: 5.2 times the root of twice the freedom */
	if ((sum - mean) * (sum - mean) > 5.2 * 5.2 * 2 * mean)
		bad++;
	return bad;
}

/* A direct bundle of zeros, padded with zeros: nothing random inside. */
static void
fill_plain(const struct seal_to *to, struct buf *plain)
{
	struct shape shape = { SHAPE_EXACT, SIZE };
	struct frame f = { .kind = FRAME_WHOLE, .direct = true,
		.lifetime_secs = 3600, .total = 100 };
	uint64_t zeros = 0;

	assert_int_equal(frame_put(plain, &f, NULL), 0);
	assert_int_equal(seal_padding(to, &shape, plain->len, &zeros, NULL),
	    0);
	for (; zeros > 0; zeros--)
		buf_addc(plain, 0);
}

/* touch: sets bit 255 of the ephemeral key to 0, as Noise itself has it. */
static void
count(const struct seal_to *to, bool touch, struct counts *c)
{
	struct buf plain = BUF_INIT, object = BUF_INIT;

	memset(c, 0, sizeof(*c));
	fill_plain(to, &plain);
	for (int i = 0; i < OBJECTS; i++) {
		buf_clear(&object);
		assert_int_equal(seal_octets(to, buf_slice(&plain), SIZE_MAX,
		    &object), 0);
		assert_int_equal(object.len, SIZE);
		if (touch)
			object.ptr[31] = (char)(object.ptr[31] & 0x7f);
		for (size_t k = 0; k < SIZE; k++)
			c->n[k][(unsigned char)object.ptr[k]]++;
	}
	buf_release(&plain);
	buf_release(&object);
}

static void
check_kind(enum seal_kind kind, bool psk)
{
	struct counts *c = calloc(1, sizeof(*c));
	struct seal_world w;
	struct seal_to to;
	size_t offset = 0;

	assert_non_null(c);
	seal_world_init(&w, 1000 + (uint64_t)kind * 2 + psk);
	to = seal_world_to(&w, kind);
	to.psk = psk ? w.psk : NULL;
	count(&to, false, c);
	if (uneven(c, &offset) > 0)
		fail_msg("the octets at %zu are not evenly spread", offset);
	free(c);
}

static void
test_kinds(void **state)
{
	(void)state;
	check_kind(SEAL_PARCEL, false);
	check_kind(SEAL_PARCEL, true);
	check_kind(SEAL_BUNDLE, false);
	check_kind(SEAL_ONION, false);
	check_kind(SEAL_REQUEST, false);
}

/* A key as the curve has it is seen at its last octet, and a signed object at
 * nearly all of them. */
static void
test_sees(void **state)
{
	struct counts *c = calloc(1, sizeof(*c));
	struct seal_world w;
	struct seal_to to;
	size_t offset = 0;

	(void)state;
	assert_non_null(c);
	seal_world_init(&w, 2000);
	to = seal_world_to(&w, SEAL_PARCEL);
	count(&to, true, c);
	assert_int_equal(uneven(c, &offset), 2);
	assert_int_equal(offset, 31);
	to.sign = true;
	count(&to, false, c);
	/* all but the nonce and the signature */
	assert_in_range(uneven(c, &offset), SIZE - 8 - 64, SIZE);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_sees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
