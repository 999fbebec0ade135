/* SPDX-License-Identifier: ISC */
/*
 * The hop layer between exchanges in one process: bundles of any octets, a
 * custody that counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/transit_private.h"
#include "tests/unit/transit_world.h"

#define SITE(name) "site " name " {\n postmaster = postmaster@" name \
	".example\n hostname = mail." name ".example\n spool = /tmp\n" \
	" run = /tmp\n min-free = 1M\n retry-max = 1h\n}\n"
#define PEER(name, more) "peer " name " {\n dialect = native\n" \
	" transport = /bin/true\n retry-min = 10s\n retry-max = 1h\n" more "}\n"
#define PAIR(paris, london) { SITE("paris") PEER("london", paris), \
	SITE("london") PEER("paris", london) }

static const char *const names[] = { "paris", "london", "oslo" };

static struct tw *
pair(const char *const text[2], uint64_t seed)
{
	return tw_new(names, text, 2, seed);
}

static struct tw *
chain(uint64_t seed)
{
	static const char *const text[] = {
		SITE("paris") PEER("london", "") "link london oslo { }\n",
		SITE("london") PEER("paris", " may-relay = yes\n")
		    PEER("oslo", " may-relay = yes\n"),
		SITE("oslo") PEER("london", "") "link london paris { }\n",
	};

	return tw_new(names, text, 3, seed);
}

static const struct transit_new to_london = { .destination = "london",
	.direct = true, .lifetime_secs = 86400 };
static const struct transit_new to_oslo = { .destination = "oslo",
	.lifetime_secs = 86400 };

static void
test_direct(void **state)
{
	static const char *const text[] = PAIR("", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = pair(text, 1);
	struct transit_counters c;

	(void)state;
	tw_bundle(tw_node(w, "paris"), &to_london, 3000, 1, name);
	tw_pass(w, 10);
	assert_int_equal(1, tw_opened(tw_node(w, "london"), name));
	assert_int_equal(1, tw_node(w, "paris")->hop_done);
	assert_int_equal(1, tw_road(w, "paris", "london")->parcels);
	/* The acknowledgement came alone, and was not acknowledged. */
	assert_int_equal(1, tw_road(w, "london", "paris")->parcels);
	tw_pass(w, 3 * 86400);
	assert_int_equal(1, tw_road(w, "paris", "london")->parcels);
	assert_int_equal(1, tw_road(w, "london", "paris")->parcels);
	tw_assert_empty(tw_node(w, "paris"));
	tw_assert_empty(tw_node(w, "london"));
	transit_counters(tw_node(w, "paris")->x, &c);
	assert_int_equal(1, c.hop_done);
	assert_int_equal(0, c.repeated_octets);
	tw_free(w);
}

static void
test_relay(void **state)
{
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = chain(2);
	struct transit_counters c;

	(void)state;
	tw_bundle(tw_node(w, "paris"), &to_oslo, 200000, 1, name);
	tw_pass(w, 30);
	assert_int_equal(1, tw_opened(tw_node(w, "oslo"), name));
	assert_int_equal(0, tw_node(w, "london")->opened);
	assert_int_equal(1, tw_node(w, "paris")->hop_done);
	/* A relay tells custody of nothing. */
	assert_int_equal(0, tw_node(w, "london")->hop_done);
	transit_counters(tw_node(w, "london")->x, &c);
	assert_int_equal(1, c.forwarded);
	assert_int_equal(1, c.hop_done);
	tw_pass(w, 100);
	tw_assert_empty(tw_node(w, "paris"));
	tw_assert_empty(tw_node(w, "london"));
	tw_assert_empty(tw_node(w, "oslo"));
	tw_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
