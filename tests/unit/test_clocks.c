/* SPDX-License-Identifier: ISC */
/*
 * Wall clocks that are wrong by months, or jump: nothing ages by them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/native_world.h"

#define MAIL "Subject: hello\r\n\r\nThe quick brown fox.\r\n"

#define DAY INT64_C(86400)

static void
both_ways(struct nw *w, unsigned count)
{
	unsigned there = w->site[AT_LONDON].delivered;
	unsigned back = w->site[AT_PARIS].delivered;
	unsigned far = w->site[AT_OSLO].delivered;

	assert_true(nw_submit(w, AT_PARIS, "ann@paris.example",
	    "bob@london.example bob@oslo.example", MAIL) != 0);
	assert_true(nw_submit(w, AT_LONDON, "ann@london.example",
	    "bob@paris.example", MAIL) != 0);
	nw_pass(w, 120);
	assert_int_equal(there + count, w->site[AT_LONDON].delivered);
	assert_int_equal(back + count, w->site[AT_PARIS].delivered);
	assert_int_equal(far + count, w->site[AT_OSLO].delivered);
	nw_assert_settled(w);
}

/* One site's calendar is months off: all its keys seem to have ended to the
 * others, or theirs to it.  Over a year of rotations nobody minds. */
static void
test_wrong_clocks(void **state)
{
	static const int64_t wrong[][NW_SITES] = {
		{ -300 * DAY, 0, 0 }, { 300 * DAY, 0, 0 },
		{ 0, -300 * DAY, 300 * DAY }, { 200 * DAY, -200 * DAY, 0 },
	};
	struct nw *w;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		w = nw_new_wrong(NULL, NULL, NULL, wrong[i]);
		for (k = 0; k < 12; k++) {
			both_ways(w, 1);
			nw_pass(w, 20 * DAY);
		}
		both_ways(w, 1);
		nw_free(w);
	}
}

/* It is set right, or wrong, while all run. */
static void
test_clock_jumps(void **state)
{
	struct nw *w = *state;
	int i;

	for (i = 0; i < NW_SITES; i++) {
		both_ways(w, 1);
		w->site[i].wrong_ms = (i - 1) * 400 * DAY * 1000;
		nw_pass(w, 3600);
		both_ways(w, 1);
	}
}

/* A key ends for those who write to it though their clock stands in the year
 * before, and though nobody told them of the next: they ask. */
static void
test_key_ends(void **state)
{
	struct nw *w = *state;
	struct nw_site *paris = &w->site[AT_PARIS];
	struct seal_to to;
	struct err e = ERR_INIT;

	paris->wrong_ms = -400 * DAY * 1000;
	assert_int_equal(0, directory_seal_to(paris->x->directory, "oslo",
	    SEAL_BUNDLE, &to, &e));
	w->site[AT_LONDON].down = w->site[AT_OSLO].down = true;
	nw_pass(w, 59 * DAY);
	assert_int_equal(0, directory_seal_to(paris->x->directory, "oslo",
	    SEAL_BUNDLE, &to, &e));
	nw_pass(w, DAY + 60);
	assert_int_equal(ERR_NOT_FOUND, directory_seal_to(paris->x->directory,
	    "oslo", SEAL_BUNDLE, &to, &e));
	w->site[AT_LONDON].down = w->site[AT_OSLO].down = false;
	nw_pass(w, 7200);
	both_ways(w, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, nw_set_up, nw_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_clocks),
		TEST(test_clock_jumps),
		TEST(test_key_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
