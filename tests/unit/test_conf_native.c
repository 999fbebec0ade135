/* SPDX-License-Identifier: ISC */
/*
 * Settings of peers that exchange parcels.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/exchange_world.h"

static void
test_native(void **state)
{
	struct conf *c = xw_conf_of(SITE HOME
	    "peer a { dialect = native }\n"
	    "peer b { dialect = native; parcel-size = 2K; shape = padme\n"
	    "seal = sign; forward-signed = yes; held-bundles = 7\n"
	    "held-size = 64K }\n"
	    "peer c { dialect = native; shape = 64K }\n");
	const struct conf_peer *a = &c->peer[0], *b = &c->peer[1];

	(void)state;
	assert_int_equal(a->dialect, BUNDLE_NATIVE);
	assert_int_equal(a->parcel_octets, 1 << 20);
	assert_int_equal(a->shape.kind, SHAPE_NONE);
	assert_false(a->sign);
	assert_false(a->forward_signed);
	assert_int_equal(a->held_bundles, 1024);
	assert_int_equal(a->held_octets, 1 << 30);
	assert_int_equal(b->parcel_octets, 2048);
	assert_int_equal(b->shape.kind, SHAPE_PADME);
	assert_true(b->sign);
	assert_true(b->forward_signed);
	assert_int_equal(b->held_bundles, 7);
	assert_int_equal(b->held_octets, 65536);
	assert_int_equal(c->peer[2].shape.kind, SHAPE_EXACT);
	assert_int_equal(c->peer[2].shape.octets, 65536);
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
