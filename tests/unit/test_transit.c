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
#include "tests/unit/transit_texts.h"

static struct tw *
chain(uint64_t seed)
{
	static const char *const text[] = {
		TW_SITE("paris") TW_PEER("london", "") "link london oslo { }\n",
		TW_SITE("london") TW_PEER("paris", " may-relay = yes\n")
		    TW_PEER("oslo", " may-relay = yes\n"),
		TW_SITE("oslo") TW_PEER("london", "") "link london paris { }\n",
	};

	return tw_new(tw_names, text, 3, seed);
}

static void
test_direct(void **state)
{
	static const char *const text[] = TW_PAIR("", "");
	unsigned char name[BUNDLE_NAME_LEN];
	struct tw *w = tw_new(tw_names, text, 2, 1);
	struct transit_counters c;

	(void)state;
	tw_bundle(tw_node(w, "paris"), &tw_to_london, 3000, 1, name);
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
	tw_bundle(tw_node(w, "paris"), &tw_to_oslo, 200000, 1, name);
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


/* Everything arrives once, whatever the road does; then nothing is left. */
static void
run_faults(uint64_t seed, unsigned percent, bool crashes)
{
	static unsigned char name[60][BUNDLE_NAME_LEN];
	struct tw *w = chain(seed);
	struct rng_seeded rng;
	size_t i;

	rng_seeded_init(&rng, seed);
	w->loss = w->twice = w->damage = percent;
	w->delay_ms = 100000;
	for (i = 0; i < 60; i++) {
		struct transit_new n = i % 3 == 0 ? tw_to_london : tw_to_oslo;

		n.priority = (int)rng_below(&rng.rng, 19) - 9;
		n.lifetime_secs = 30 * 86400;
		tw_bundle(tw_node(w, "paris"), &n, 1 +
		    rng_below(&rng.rng, rng_below(&rng.rng, 2) == 0 ? 2000 :
		    300000), seed * 1000 + i, name[i]);
		tw_pass(w, rng_below(&rng.rng, 60));
		if (crashes && rng_below(&rng.rng, 3) == 0)
			tw_crash(&w->node[rng_below(&rng.rng, 3)]);
	}
	tw_pass(w, 7 * 86400);
	for (i = 0; i < 60; i++) {
		const struct tw_node *to = tw_node(w, i % 3 == 0 ? "london" :
		    "oslo");

		/* After a crash custody may be told twice of what it had not
		 * finished with, never of what it had. */
		if (tw_opened(to, name[i]) != 1)
			fail_msg("seed %d: bundle %zu was opened %zu times",
			    (int)seed, i, tw_opened(to, name[i]));
	}
	assert_int_equal(0, tw_node(w, "paris")->lost);
	for (i = 0; i < 3; i++)
		tw_assert_empty(&w->node[i]);
	tw_free(w);
}

static void
test_faults(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 2; seed++)
		run_faults(seed, 20, false);
	run_faults(5, 50, false);
}

static void
test_crashes(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 11; seed <= 13; seed++)
		run_faults(seed, 15, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
